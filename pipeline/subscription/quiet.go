package subscription

import "github.com/calends/calends/pricing"

// This is the life of a subscription to which nothing happens, made of columns.
// [Lives.Live] would come to the same, and says so in the tests: whatever is not
// plain is left to it.

// QuietCharge is what the month of such a subscription asks for: at most one
// charge, of a whole cycle.
type QuietCharge struct {
	// Type is CycleCharge, or Renew, or "" when nothing is due.
	Type  string
	Cycle pricing.Cycle // it is ordered on its first day
	Span  pricing.TermSpan
	// Price is that of the term which begins; nil for one that goes on, at the
	// price that it has.
	Price *QuietPrice
}

// QuietPrice is a price that terms of one kind begin with.
type QuietPrice struct {
	// Number tells it apart from all others of a [Lives].
	Number          int
	Lock            Lock
	Price, Discount Fixed

	from, until pricing.Instant
}

func (p *QuietPrice) holds(at pricing.Instant) bool { return p != nil && p.from <= at && at <= p.until }

// quietPrices are those found so far.
type quietPrices struct {
	reading any
	count   int
	places  map[place]int
	byPlace [][]*QuietPrice // and by kind
	// payer is the one asked for last. Most prices are the same whatever its
	// currency, and are found without that.
	payer              *Payer
	anyhow, ofCurrency int
}

// place is all that a price depends on besides its kind and day; currency is ""
// where there is no choice.
type place struct{ market, segment, currency string }

func (q *quietPrices) at(p place) int {
	i, ok := q.places[p]
	if !ok {
		i = len(q.byPlace)
		q.places[p] = i
		q.byPlace = append(q.byPlace, nil)
	}
	return i
}

// of returns where the price of a kind stands.
func (q *quietPrices) of(place int, kind int32, kinds int) **QuietPrice {
	if missing := kinds - len(q.byPlace[place]); missing > 0 {
		q.byPlace[place] = append(q.byPlace[place], make([]*QuietPrice, missing)...)
	}
	return &q.byPlace[place][kind]
}

// Quiet lives a subscription of a row through a month in which no change names
// it. ok is false for what takes more than this: then nothing has happened yet.
func (ls *Lives) Quiet(world pricing.Book, payer *Payer, s *Stood, row int, month MonthDays) (c QuietCharge, ok bool) {
	next := pricing.Date(s.CycleLast[row]) + 1
	if next > month.Last {
		return QuietCharge{}, true
	}
	if next < month.First {
		return QuietCharge{}, false
	}
	kind := &s.Kinds[s.Kind[row]]
	c.Span = pricing.TermSpan{Term: kind.Term, Start: pricing.Date(s.Start[row]), End: pricing.Date(s.End[row]),
		Custom: kind.Custom, MonthEnd: kind.MonthEnd, Trial: kind.Trial}
	c.Type = CycleCharge
	if next > c.Span.End {
		if !s.Renews[row] {
			return QuietCharge{}, false
		}
		c.Type = Renew
		if c.Price = ls.quietPrice(world, payer, s, row, next.Instant()); c.Price == nil {
			return QuietCharge{}, false
		}
		c.Span = pricing.FullTerm(kind.Term, next, payer.Policies.MonthEnd)
	}
	c.Cycle = c.Span.CycleAt(kind.Plan, next)
	return c, c.Cycle.Last >= month.Last
}

// MonthDays are the first and the last day of a month.
type MonthDays struct{ First, Last pricing.Date }

// quietPrice returns the price of a term that begins; nil when there is more to
// say about it.
func (ls *Lives) quietPrice(world pricing.Book, payer *Payer, s *Stood, row int, at pricing.Instant) *QuietPrice {
	q := &ls.quiet
	if q.reading != s.Reading {
		*q = quietPrices{reading: s.Reading, count: q.count, places: make(map[place]int)}
	}
	if q.payer != payer {
		p := place{payer.Customer.Country, payer.Customer.Segment, ""}
		q.payer, q.anyhow = payer, q.at(p)
		p.currency = payer.Partner.BillingCurrency
		q.ofCurrency = q.at(p)
	}
	anyhow, ofCurrency := q.of(q.anyhow, s.Kind[row], len(s.Kinds)), q.of(q.ofCurrency, s.Kind[row], len(s.Kinds))
	switch {
	case (*anyhow).holds(at):
		return *anyhow
	case (*ofCurrency).holds(at):
		return *ofCurrency
	}
	kind := &s.Kinds[s.Kind[row]]
	price, err := pricing.FindPrice(world, query(&Term{SKU: kind.SKU, Span: pricing.TermSpan{Term: kind.Term}, Plan: kind.Plan}, payer, at))
	if err != nil || price.Stale { // both have to be told of each
		return nil
	}
	p := &QuietPrice{Number: q.count, Lock: lockOf(price), from: price.From, until: price.Until}
	p.Price, p.Discount = FixedOf(p.Lock.UnitPrice), FixedOf(p.Lock.Discount)
	q.count++
	if *ofCurrency = p; price.Anyhow {
		*anyhow = p
	}
	return p
}
