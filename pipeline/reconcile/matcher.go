package reconcile

import (
	"cmp"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// matcher puts the lines of one group together, step by step: what a step
// matched, no later one sees.
type matcher struct {
	group  *Group
	ours   []entry
	theirs []entry
	// full are the months that both sides hold in full.
	full map[pricing.Month]bool
	// free are the entries that no step has matched yet.
	freeOurs, freeTheirs []*entry
	// claimed are the unread lines that a line of ours was given to.
	claimed map[*Billed]bool
	found   []found
}

// found is a match before it is explained.
type found struct {
	step         Step
	ours, theirs []*entry
	// repeats is the line that a duplicate repeats.
	repeats *entry
	// unread is a line of theirs that a line of ours may be, had it been read.
	unread *Billed
}

func newMatcher(g *Group) *matcher {
	m := &matcher{group: g, ours: make([]entry, len(g.Ours)), theirs: make([]entry, len(g.Theirs))}
	m.freeOurs, m.freeTheirs = make([]*entry, len(g.Ours)), make([]*entry, len(g.Theirs))
	m.full = make(map[pricing.Month]bool)
	for _, month := range g.OurMonths {
		m.full[month] = slices.Contains(g.TheirMonths, month)
	}
	m.full[g.Month] = true
	for i := range g.Ours {
		o := &g.Ours[i]
		m.ours[i] = newEntry(o.Line, o.Month, g.Month, o.Line.BillableQuantity, i)
		m.ours[i].ours = true
		m.freeOurs[i] = &m.ours[i]
	}
	for i := range g.Theirs {
		b := &g.Theirs[i]
		m.theirs[i] = newEntry(b.Line, b.Month, g.Month, billable(b), i)
		m.freeTheirs[i] = &m.theirs[i]
	}
	return m
}

// What lines have in common at every step within a month, and beyond it.
const (
	sameLife  = bySubscription | bySign | byCurrency
	sameMonth = sameLife | byMonth
	sameDates = byStart | byEnd
)

// plan is an order of the steps.
type plan uint8

const (
	netsFirst plan = iota // lines that add up to the cent are a net, before anything is a part
	netsLast
)

// run matches from the strictest step to the loosest. Splits and nets come
// before the quantity is doubted, copies before the dates are; a neighbouring
// month before one line is taken for a quite different one.
func (m *matcher) run(p plan) {
	m.pairs(StepEqual, sameMonth|byKind|byProduct|sameDates|byOrder|byQuantity|byAmount, nil)
	if m.done() {
		return
	}
	if p == netsFirst {
		m.sums(byTheAmount, occasion)
	}
	m.pairs(StepKey, sameMonth|byKind|byProduct|sameDates|byQuantity, nil)
	m.pairs(StepKey, sameMonth|byKind|sameDates|byQuantity, nil)
	m.sums(byTheQuantity, occasion|byOrder)
	m.tiles()
	m.sums(byTheQuantity, occasion)
	if p == netsLast {
		m.sums(byTheAmount, occasion)
	}
	m.sums(byTheNet, occasion)
	m.unread(sameEvent)
	m.pairs(StepDates, sameMonth|byKind|byQuantity, redated)
	m.pairs(StepNeighbour, sameLife|byKind|sameDates|byQuantity, m.monthApart)
	m.copies()
	m.pairs(StepReference, sameMonth|byKind|byReference, m.within)
	m.copies()
	m.sums(m.byTheNearest, occasion)
	m.pairs(StepQuantity, sameMonth|byKind|sameDates, m.within)
	m.pairs(StepSign, (sameMonth|byKind|byProduct|sameDates|byQuantity)&^bySign, m.mirrored)
	m.pairs(StepNeighbour, sameLife|byKind|byQuantity, m.monthShifted)
	m.copies()
	m.pairs(StepNeighbour, sameLife|byKind|sameDates, m.monthApart)
	m.pairs(StepNeighbour, sameLife|byKind|byReference, m.monthApart)
	m.pairs(StepDate, sameMonth|byKind|byEnd|byQuantity, m.within)
	m.copies()
	m.pairs(StepNeighbour, sameLife|byKind|byQuantity, m.monthNear)
	m.pairs(StepDates, sameMonth|byKind|byQuantity, m.within)
	m.copies()
	m.pairs(StepType, sameMonth|sameDates|byQuantity, m.within)
	m.pairs(StepOccasion, sameMonth|byKind|byEnd, m.within)
	m.pairs(StepNeighbour, sameLife|byKind, m.monthNear)
	m.pairs(StepNeighbour, sameLife|byKind, m.monthShifted)
	m.pairs(StepLoose, sameMonth|byKind, m.within)
	m.copies()
	m.partialCopies()
	m.pairs(StepProduct, (sameMonth|byKind|byProduct|sameDates|byQuantity)&^bySubscription, m.within)
	m.pairs(StepCurrency, (sameMonth|byKind|sameDates|byQuantity)&^byCurrency, inTwo)
	m.pairs(StepCurrency, (sameMonth|byKind|sameDates)&^byCurrency, inTwo)
	m.unread(anEvent)
	m.rest()
}

func (m *matcher) done() bool { return len(m.freeOurs) == 0 && len(m.freeTheirs) == 0 }

// pairs matches lines of the two sides that have the same key, the closest
// ones first. may has a say about each pair; nil allows all.
func (m *matcher) pairs(step Step, parts part, may func(o, b *entry) bool) {
	if len(m.freeOurs) == 0 || len(m.freeTheirs) == 0 {
		return
	}
	ids := make(map[key]int, len(m.freeOurs))
	ours, sizes := make([]int, len(m.freeOurs)), make([]int, 0, len(m.freeOurs))
	for i, o := range m.freeOurs {
		k, ok := o.key(parts)
		if !ok {
			ours[i] = none
			continue
		}
		id, ok := ids[k]
		if !ok {
			id = len(sizes)
			ids[k] = id
			sizes = append(sizes, 0)
		}
		ours[i] = id
		sizes[id]++
	}
	theirs, theirSizes, some := make([]int, len(m.freeTheirs)), make([]int, len(sizes)), false
	for i, b := range m.freeTheirs {
		theirs[i] = none
		if k, ok := b.key(parts); ok {
			if id, ok := ids[k]; ok {
				theirs[i], some = id, true
				theirSizes[id]++
			}
		}
	}
	if !some {
		return
	}
	byID, theirsByID := grouped(m.freeOurs, ours, sizes), grouped(m.freeTheirs, theirs, theirSizes)
	for id := range sizes {
		m.closest(step, byID[id], theirsByID[id], may)
	}
	m.sweep()
}

// none is the group of a line that has no key.
const none = -1

// grouped puts lines of the same number together, in one piece of memory.
func grouped(entries []*entry, ids, sizes []int) [][]*entry {
	flat := make([]*entry, len(entries))
	groups := make([][]*entry, len(sizes))
	at := 0
	for id, n := range sizes {
		groups[id] = flat[at : at : at+n]
		at += n
	}
	for i, e := range entries {
		if id := ids[i]; id != none {
			groups[id] = append(groups[id], e)
		}
	}
	return groups
}

// mostCandidates bounds the pairs that are weighed against each other; of
// more, lines are taken in their order.
const mostCandidates = 1 << 14

func (m *matcher) closest(step Step, ours, theirs []*entry, may func(o, b *entry) bool) {
	if may == nil {
		may = func(_, _ *entry) bool { return true }
	}
	if len(ours) == 1 && len(theirs) == 1 {
		if may(ours[0], theirs[0]) {
			m.match(step, ours, theirs)
		}
		return
	}
	if len(ours)*len(theirs) > mostCandidates {
		for _, b := range theirs {
			for _, o := range ours {
				if !o.used && may(o, b) {
					m.match(step, []*entry{o}, []*entry{b})
					break
				}
			}
		}
		return
	}
	type candidate struct {
		o, b     *entry
		likeness int
		distance int64
	}
	var all []candidate
	for _, o := range ours {
		for _, b := range theirs {
			if may(o, b) {
				all = append(all, candidate{o, b, likeness(o, b), abs(o.line.Subtotal - b.line.Subtotal)})
			}
		}
	}
	slices.SortFunc(all, func(x, y candidate) int {
		return cmp.Or(cmp.Compare(y.likeness, x.likeness), cmp.Compare(x.distance, y.distance),
			cmp.Compare(x.o.place, y.o.place), cmp.Compare(x.b.place, y.b.place))
	})
	for _, c := range all {
		if !c.o.used && !c.b.used {
			m.match(step, []*entry{c.o}, []*entry{c.b})
		}
	}
}

// likeness weighs what two lines have in common beyond their key.
func likeness(o, b *entry) int {
	n := 0
	for _, same := range [...]struct {
		is     bool
		weight int
	}{
		{o.line.ReferenceID != "" && o.line.ReferenceID == b.line.ReferenceID, 8},
		{o.product == b.product, 4},
		{o.start == b.start, 4},
		{o.end == b.end, 3},
		{o.line.OrderDate == b.line.OrderDate, 3},
		{o.quantity.Equal(b.quantity), 3},
		{o.line.UnitPrice.Equal(b.line.UnitPrice), 2},
		{o.kind == b.kind, 2},
	} {
		if same.is {
			n += same.weight
		}
	}
	return n
}

// alike keeps what follows from no price and days from being taken for one
// another: credits must be of the same amount, usage of that or of the same dates.
func alike(o, b *entry) bool {
	if o.rated && b.rated || o.line.Subtotal == b.line.Subtotal {
		return true
	}
	return !o.credit() && !b.credit() && o.start == b.start && o.end == b.end
}

// mirrored allows lines of the month that are each other's reverse.
func (m *matcher) mirrored(o, b *entry) bool {
	return o.sign != b.sign && o.rated && b.rated && o.here && b.here && o.line.Subtotal != 0 && o.line.Subtotal == -b.line.Subtotal
}

// inTwo allows lines of two currencies.
func inTwo(o, b *entry) bool { return o.line.Currency != b.line.Currency }

// within allows lines of a month to differ. In a neighbouring month that one
// side has a few lines of only, they may be this month's: they wait.
func (m *matcher) within(o, b *entry) bool { return m.full[o.month] && alike(o, b) }

// monthApart allows lines of different months, one of them the reconciled one.
func (m *matcher) monthApart(o, b *entry) bool {
	return o.month != b.month && (o.here || b.here) && alike(o, b)
}

// monthNear allows lines of different months that are of nearly the same day.
func (m *matcher) monthNear(o, b *entry) bool {
	return m.monthApart(o, b) && apart(o.line.OrderDate, b.line.OrderDate) <= 2*slack
}

// monthShifted allows lines of different months whose dates are whole months
// apart, where both sides hold both months in full.
func (m *matcher) monthShifted(o, b *entry) bool {
	if !m.monthApart(o, b) {
		return false
	}
	return m.full[o.month] && m.full[b.month] && wholeMonths(o, b)
}

// redated allows lines of the month that are dated whole months apart.
func redated(o, b *entry) bool { return o.here && b.here && alike(o, b) && wholeMonths(o, b) }

// wholeMonths reports whether two lines are dated about as many whole months
// apart, and not in the same one.
func wholeMonths(o, b *entry) bool {
	from, to := o.line.OrderDate, b.line.OrderDate
	if from == pricing.NoDate || to == pricing.NoDate || from.Month() == to.Month() {
		return false
	}
	return apart(from.AddMonths(int(to.Month()-from.Month())), to) <= slack
}

// apart is the number of days between two dates; no date is far from any.
func apart(a, b pricing.Date) int64 { return abs(int64(a) - int64(b)) }

// slack is how far a month's length can move a date.
const slack = 3

func (m *matcher) match(step Step, ours, theirs []*entry) {
	for _, e := range ours {
		e.used = true
	}
	for _, e := range theirs {
		e.used = true
	}
	m.found = append(m.found, found{step: step, ours: ours, theirs: theirs})
}

// sweep forgets what was matched.
func (m *matcher) sweep() {
	used := func(e *entry) bool { return e.used }
	m.freeOurs = slices.DeleteFunc(m.freeOurs, used)
	m.freeTheirs = slices.DeleteFunc(m.freeTheirs, used)
}

// copies finds lines that say what a matched line of their own side says. One
// that may be a line of the other side, moved by a month, is left for that.
func (m *matcher) copies() {
	const same = sameMonth | byKind | byProduct | sameDates | byOrder | byQuantity | byAmount
	m.repeated(m.ours, m.freeOurs, same, func(o *entry) bool {
		return !o.credit() && !slices.ContainsFunc(m.freeTheirs, func(b *entry) bool { return m.moved(o, b) })
	})
	m.repeated(m.theirs, m.freeTheirs, same, func(b *entry) bool {
		return !b.credit() && !slices.ContainsFunc(m.freeOurs, func(o *entry) bool { return m.moved(o, b) })
	})
	m.sweep()
}

// moved reports whether two lines are the same but for a month.
func (m *matcher) moved(o, b *entry) bool {
	const same = sameLife | byKind | byQuantity
	if o.used || b.used || o.month == b.month || o.subscription != b.subscription || !m.monthShifted(o, b) {
		return false
	}
	mine, _ := o.key(same)
	theirs, _ := b.key(same)
	return mine == theirs
}

// partialCopies finds second lines of something that is billed once: a cycle
// of the same dates, or a change of the same reference, of another quantity.
func (m *matcher) partialCopies() {
	const same = sameMonth | byKind | byProduct | sameDates
	once := func(e *entry) bool { return e.once() }
	rated := func(e *entry) bool { return e.rated }
	m.repeated(m.ours, m.freeOurs, same, once)
	m.repeated(m.theirs, m.freeTheirs, same, once)
	m.repeated(m.ours, m.freeOurs, same|byReference, rated)
	m.repeated(m.theirs, m.freeTheirs, same|byReference, rated)
	m.sweep()
}

// repeated makes duplicates of free lines that have the key of a matched line
// of their own side.
func (m *matcher) repeated(all []entry, free []*entry, parts part, may func(*entry) bool) {
	if len(free) == 0 {
		return
	}
	first := make(map[key]*entry, len(free))
	for _, e := range free {
		if k, ok := e.key(parts); ok {
			first[k] = nil
		}
	}
	for i := range all {
		e := &all[i]
		if k, ok := e.key(parts); ok && e.used {
			if seen, wanted := first[k]; wanted && seen == nil {
				first[k] = e
			}
		}
	}
	for _, e := range free {
		if k, ok := e.key(parts); ok && !e.used && first[k] != nil && may(e) {
			m.found = append(m.found, m.alone(StepDuplicate, e, first[k]))
		}
	}
}

// alone is a match of one line, which has no counterpart.
func (m *matcher) alone(step Step, e, repeats *entry) found {
	e.used = true
	f := found{step: step, repeats: repeats}
	if e.ours {
		f.ours = []*entry{e}
	} else {
		f.theirs = []*entry{e}
	}
	return f
}

// rest leaves every other line of the month as a remainder.
func (m *matcher) rest() {
	for _, free := range [][]*entry{m.freeOurs, m.freeTheirs} {
		for _, e := range free {
			if e.here {
				m.found = append(m.found, m.alone(StepRemainder, e, nil))
			}
		}
	}
	m.sweep()
}

// inOrder returns what was found, in the order of our lines and then of theirs.
// Lines of neighbouring months among themselves are nobody's business.
func (m *matcher) inOrder() []found {
	m.found = slices.DeleteFunc(m.found, func(f found) bool {
		return !slices.ContainsFunc(f.ours, isHere) && !slices.ContainsFunc(f.theirs, isHere)
	})
	rank := func(f found) (side, place int) {
		if len(f.ours) > 0 {
			return 0, f.ours[0].place
		}
		return 1, f.theirs[0].place
	}
	slices.SortStableFunc(m.found, func(x, y found) int {
		xSide, xPlace := rank(x)
		ySide, yPlace := rank(y)
		return cmp.Or(cmp.Compare(xSide, ySide), cmp.Compare(xPlace, yPlace))
	})
	return m.found
}

func isHere(e *entry) bool { return e.here }

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

func sum(entries []*entry) decimal.Decimal {
	var total decimal.Decimal
	for _, e := range entries {
		total = total.Add(e.signed())
	}
	return total
}
