package ledger

import (
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/ledger/pages"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Most subscriptions of a month need a few of their columns. Those are handed on
// as they are read, and what many rows have in common is found by the places of
// its words in their dictionaries, without touching a word.

// take hands the columns of n rows on. The reader gets other memory.
func (s *standingSubscriptions) take(n int, key string, r *pages.Reader) {
	if s.group != r.Group() {
		s.group = r.Group()
		s.lock.prices, s.lock.discounts = numbers{}, numbers{}
		s.kinds.forget()
		s.sheets.forget()
	}
	s.lock.prices.parse(&s.lock.unitPrice)
	s.lock.discounts.parse(&s.lock.discount)
	kept := s.standingColumns
	r.Keep()
	stood := &subscription.Stood{
		Subscription: kept.subscription.Values, Order: subscription.Words{Words: kept.order.Values, Index: kept.order.Index},
		Kind: make([]int32, n), Sheet: make([]int32, n), Reading: s, Line: kept.lock.line.Values,
		Start: kept.termStart.Values, End: kept.termEnd.Values, CycleLast: kept.cycleLast.Values,
		Quantity: kept.quantity.Values, Renews: make([]bool, n),
		Whole: func(rows []int32, to []subscription.Standing) ([]subscription.Standing, error) {
			to, err := kept.whole(rows, to)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", key, err)
			}
			return to, nil
		},
	}
	for i := range n {
		stood.Kind[i] = s.kinds.of(&kept, i)
		stood.Sheet[i] = s.sheets.of(&kept.lock, i)
		stood.Renews[i] = kept.autoRenew.Values[i] && !kept.suspended.Values[i] && !kept.trial.Values[i] &&
			!kept.next.there.Values[i] && kept.promotion.Of(i) == ""
	}
	stood.Price = subscription.FixedColumn{Values: kept.lock.prices.fixed, Index: kept.lock.unitPrice.Index}
	stood.Discount = subscription.FixedColumn{Values: kept.lock.discounts.fixed, Index: kept.lock.discount.Index}
	stood.Currency = subscription.Words{Words: kept.lock.currency.Values, Index: kept.lock.currency.Index}
	stood.Kinds, stood.Sheets = s.kinds.all, s.sheets.all
	s.customers = subscription.Words{Words: kept.customer.Values, Index: kept.customer.Index}
	s.stood, s.rows, s.at = stood, n, 0
}

// numbers are those that stand in a row group's dictionary as text, each parsed
// once.
type numbers struct {
	decimals []decimal.Decimal
	fixed    []subscription.Fixed
}

// parse adds the numbers that have joined the dictionary. What is none does not
// fit: whoever makes the standing of its row parses it again and has the error.
func (n *numbers) parse(names *pages.Names) {
	for _, text := range names.Values[len(n.fixed):] {
		var one subscription.Fixed
		d, err := decimal.NewFromString(text)
		if err == nil {
			one = subscription.FixedOf(d)
		}
		n.decimals, n.fixed = append(n.decimals, d), append(n.fixed, one)
	}
}

func (n *numbers) of(names *pages.Names, i int) (decimal.Decimal, error) {
	if at := names.Index[i]; n.fixed[at].Fits {
		return n.decimals[at], nil
	}
	return decimal.NewFromString(names.Of(i))
}

// kinds gives each kind of term a place.
type kinds struct {
	all    []subscription.Kind
	places map[subscription.Kind]int32
	// recent are those of the row group that were asked for lately, by the places
	// of their words.
	recent [4096]struct {
		words kindWords
		place int32 // and 1
	}
}

// kindWords are the words of a kind by their places, and what takes no word.
type kindWords struct {
	product, sku, availability, promotion int32
	productTitle, skuTitle, publisher     int32
	term, plan, monthEnd                  int32
	addOn, custom, trial                  bool
}

func (k *kinds) forget() { clear(k.recent[:]) }

func (k *kinds) of(s *standingColumns, i int) int32 {
	w := kindWords{
		product: s.product.Index[i], sku: s.sku.Index[i], availability: s.availability.Index[i], promotion: s.lock.promotion.Index[i],
		productTitle: s.lock.productTitle.Index[i], skuTitle: s.lock.skuTitle.Index[i],
		publisher: s.lock.publisher.Index[i], term: s.term.Values[i], plan: s.plan.Values[i], monthEnd: s.monthEnd.Values[i],
		addOn: s.addOn.Values[i], custom: s.custom.Values[i], trial: s.trial.Values[i],
	}
	slot := uint32(w.product)
	for _, word := range [...]int32{w.sku, w.skuTitle, w.promotion, w.term*8 + w.plan} {
		slot = slot*16777619 ^ uint32(word)
	}
	known := &k.recent[slot%uint32(len(k.recent))]
	if known.place > 0 && known.words == w {
		return known.place - 1
	}
	kind := subscription.Kind{
		AvailabilityID: s.availability.Of(i), AddOn: w.addOn, SKU: pricing.SKU{ProductID: s.product.Of(i), SkuID: s.sku.Of(i)},
		Term: pricing.Term(w.term), Plan: pricing.Plan(w.plan), Custom: w.custom, Trial: w.trial, MonthEnd: pricing.MonthEnd(w.monthEnd),
		PromotionID: s.lock.promotion.Of(i), ProductTitle: s.lock.productTitle.Of(i), SkuTitle: s.lock.skuTitle.Of(i),
		Publisher: s.lock.publisher.Of(i),
	}
	place, ok := k.places[kind]
	if !ok {
		if k.places == nil {
			k.places = make(map[subscription.Kind]int32)
		}
		place = int32(len(k.all))
		k.all, k.places[kind] = append(k.all, kind), place
	}
	known.words, known.place = w, place+1
	return place
}

// sheetPlaces gives each price sheet a place.
type sheetPlaces struct {
	all    []subscription.Source
	places map[subscription.Source]int32
	// recent likewise, by market, month, file and hash.
	recent [1024]struct {
		words [4]int32
		place int32 // and 1
	}
}

func (p *sheetPlaces) forget() { clear(p.recent[:]) }

func (p *sheetPlaces) of(k *standingLock, i int) int32 {
	words := [...]int32{k.sum.Index[i], k.market.Index[i], k.month.Values[i], k.file.Index[i]}
	known := &p.recent[(uint32(words[0])*31+uint32(words[2]))%uint32(len(p.recent))]
	if known.place > 0 && known.words == words {
		return known.place - 1
	}
	sheet := subscription.Source{Market: k.market.Of(i), Month: pricing.Month(k.month.Values[i]), File: k.file.Of(i), SHA256: k.sum.Of(i)}
	place, ok := p.places[sheet]
	if !ok {
		if p.places == nil {
			p.places = make(map[subscription.Source]int32)
		}
		place = int32(len(p.all))
		p.all, p.places[sheet] = append(p.all, sheet), place
	}
	known.words, known.place = words, place+1
	return place
}
