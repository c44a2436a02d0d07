package reconcile

import (
	"cmp"
	"slices"
	"strings"

	"github.com/calends/calends/pricing"
)

// Tally adds results up: what a report shows, whatever the number of lines.
// The zero Tally is ready. Tallies of parts merge into that of the whole.
type Tally struct {
	causes   map[causeKey]CauseTotal
	sides    map[string]Sides
	steps    map[Step]int
	policies map[string]PolicyCount
}

type causeKey struct {
	cause    Cause
	currency string
}

// CauseTotal is what one cause comes to in one currency.
type CauseTotal struct {
	Cause    Cause
	Currency string
	// Differences of the cause, and how many of them cost nothing.
	Differences, Free int
	Amount            Amount
}

// Sides are the lines of the month on both sides, in one currency. The causes
// of the currency add up to Theirs - Ours.
type Sides struct {
	Currency              string
	OurLines, TheirLines  int
	Ours, Theirs          Amount
	Matched, Agreed, Open int // matches; of these without a difference; with one
}

// Add counts a group and its result.
func (t *Tally) Add(g *Group, r Result) {
	t.ready()
	for _, m := range r.Matches {
		t.match(g.Month, m)
	}
	for i := range g.Theirs {
		if g.Theirs[i].Month == g.Month {
			t.policy(&g.Theirs[i])
		}
	}
}

func (t *Tally) ready() {
	if t.causes == nil {
		t.causes = make(map[causeKey]CauseTotal)
		t.sides = make(map[string]Sides)
		t.steps = make(map[Step]int)
		t.policies = make(map[string]PolicyCount)
	}
}

func (t *Tally) match(month pricing.Month, m Match) {
	t.steps[m.Step]++
	for i := range m.Ours {
		if o := &m.Ours[i]; o.Month == month {
			s := t.sides[o.Line.Currency]
			s.OurLines++
			s.Ours = s.Ours.Add(amountOf(o.Line))
			t.sides[o.Line.Currency] = s
		}
	}
	for i := range m.Theirs {
		if b := &m.Theirs[i]; b.Month == month {
			s := t.sides[b.Line.Currency]
			s.TheirLines++
			s.Theirs = s.Theirs.Add(amountOf(b.Line))
			t.sides[b.Line.Currency] = s
		}
	}
	s := t.sides[m.Currency]
	s.Matched++
	if len(m.Differences) == 0 {
		s.Agreed++
	} else {
		s.Open++
	}
	t.sides[m.Currency] = s
	for _, d := range m.Differences {
		key := causeKey{d.Cause, d.Currency}
		total := t.causes[key]
		total.Differences++
		if d.Amount.IsZero() {
			total.Free++
		}
		total.Amount = total.Amount.Add(d.Amount)
		t.causes[key] = total
	}
}

// Merge adds another tally.
func (t *Tally) Merge(o *Tally) {
	t.ready()
	for key, b := range o.causes {
		a := t.causes[key]
		a.Differences, a.Free, a.Amount = a.Differences+b.Differences, a.Free+b.Free, a.Amount.Add(b.Amount)
		t.causes[key] = a
	}
	for key, b := range o.sides {
		a := t.sides[key]
		a.OurLines, a.TheirLines = a.OurLines+b.OurLines, a.TheirLines+b.TheirLines
		a.Ours, a.Theirs = a.Ours.Add(b.Ours), a.Theirs.Add(b.Theirs)
		a.Matched, a.Agreed, a.Open = a.Matched+b.Matched, a.Agreed+b.Agreed, a.Open+b.Open
		t.sides[key] = a
	}
	for step, n := range o.steps {
		t.steps[step] += n
	}
	for kind, n := range o.policies {
		t.policies[kind] = t.policies[kind].merged(n)
	}
}

// Causes returns the causes that were found, in the order of [Causes] and by
// currency. Unknown is there for each currency, also when it is zero.
func (t *Tally) Causes() []CauseTotal {
	var all []CauseTotal
	for key, total := range t.causes {
		total.Cause, total.Currency = key.cause, key.currency
		all = append(all, total)
	}
	for currency := range t.sides {
		if _, ok := t.causes[causeKey{Unknown, currency}]; !ok {
			all = append(all, CauseTotal{Cause: Unknown, Currency: currency})
		}
	}
	order := Causes()
	slices.SortFunc(all, func(a, b CauseTotal) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Cause), slices.Index(order, b.Cause)), strings.Compare(a.Currency, b.Currency))
	})
	return all
}

// Sides returns the totals of both sides by currency.
func (t *Tally) Sides() []Sides {
	var all []Sides
	for currency, s := range t.sides {
		s.Currency = currency
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Sides) int { return strings.Compare(a.Currency, b.Currency) })
	return all
}

// Steps returns how many matches each step found.
func (t *Tally) Steps() map[Step]int { return t.steps }
