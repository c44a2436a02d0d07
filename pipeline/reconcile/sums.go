package reconcile

import (
	"slices"

	"github.com/calends/calends/pipeline/subscription"
)

// mostParts bounds the lines among which a sum is looked for.
const mostParts = 12

// occasion is what the lines of a sum have in common.
const occasion = bySubscription | byCurrency | byMonth | sameDates | byKind

// adds says whether lines of one side are together one line of the other.
type adds func(one *entry, parts []*entry) bool

// byTheAmount: the amounts add up to the cent, and signs are mixed. Whatever
// quantity the one line shows, it is the net of the others.
func byTheAmount(one *entry, parts []*entry) bool {
	var subtotal, tax int64
	for _, e := range parts {
		subtotal, tax = subtotal+e.line.Subtotal, tax+e.line.TaxTotal
	}
	return mixed(parts) && subtotal == one.line.Subtotal && tax == one.line.TaxTotal && subtotal != 0
}

// byTheQuantity: the quantities of one sign add up.
func byTheQuantity(one *entry, parts []*entry) bool {
	ofKind := func(e *entry) bool { return e.kind == one.kind }
	return !mixed(parts) && one.signed().Equal(sum(parts)) && !slices.ContainsFunc(parts, func(e *entry) bool { return !ofKind(e) })
}

// byTheNet: those of both signs do.
func byTheNet(one *entry, parts []*entry) bool {
	return mixed(parts) && one.signed().Equal(sum(parts))
}

// byTheNearest: the quantities nearly add up: better than any of the lines
// alone would do, and none of them is found elsewhere by its own quantity.
func (m *matcher) byTheNearest(one *entry, parts []*entry) bool {
	off := one.signed().Sub(sum(parts)).Abs()
	for _, e := range parts {
		if e.sign == one.sign && one.signed().Sub(e.signed()).Abs().LessThanOrEqual(off) {
			return false
		}
	}
	if sum(parts).Sign() != int(one.sign) {
		return false
	}
	others := m.freeTheirs
	if one.ours {
		others = m.freeOurs
	}
	const same = sameMonth | byKind | byQuantity
	return !slices.ContainsFunc(parts, func(e *entry) bool {
		k, _ := e.key(same)
		return slices.ContainsFunc(others, func(o *entry) bool {
			if o == one || o.used || o.subscription != e.subscription {
				return false
			}
			theirs, _ := o.key(same)
			return theirs == k
		})
	})
}

func mixed(parts []*entry) bool {
	return slices.ContainsFunc(parts, func(e *entry) bool { return e.sign != parts[0].sign })
}

// sums finds one line of a side that is several of the other: split, merged,
// or the net of a wipe and recreate. The lines are of one subscription, of the
// same charge dates and of one occasion.
func (m *matcher) sums(fits adds, occasion part) {
	type both struct{ ours, theirs []*entry }
	groups := make(map[key]*both)
	var order []key
	put := func(e *entry, ours bool) {
		if !e.rated || !m.full[e.month] {
			return
		}
		k, _ := e.key(occasion)
		if k.kind == kindOf(subscription.RemoveQuantity) {
			k.kind = kindOf(subscription.AddQuantity) // a net may be of both
		}
		g := groups[k]
		if g == nil {
			g = &both{}
			groups[k] = g
			order = append(order, k)
		}
		if ours {
			g.ours = append(g.ours, e)
		} else {
			g.theirs = append(g.theirs, e)
		}
	}
	for _, o := range m.freeOurs {
		put(o, true)
	}
	for _, b := range m.freeTheirs {
		put(b, false)
	}
	for _, k := range order {
		g := groups[k]
		for _, b := range g.theirs {
			if parts := summing(b, g.ours, fits); parts != nil {
				m.match(sumStep(parts, StepMerged), parts, []*entry{b})
			}
		}
		for _, o := range g.ours {
			if parts := summing(o, g.theirs, fits); parts != nil {
				m.match(sumStep(parts, StepSplit), []*entry{o}, parts)
			}
		}
	}
	m.sweep()
}

func sumStep(parts []*entry, plain Step) Step {
	if mixed(parts) {
		return StepNetted
	}
	return plain
}

// summing returns two or more lines that one line is the sum of: all that
// there are, or else the fewest.
func summing(one *entry, candidates []*entry, fits adds) []*entry {
	if one.used {
		return nil
	}
	var free []*entry
	for _, e := range candidates {
		if !e.used && sameProduct(e, one) && (len(free) == 0 || e.product == free[0].product) {
			free = append(free, e)
		}
	}
	if len(free) < 2 {
		return nil
	}
	if fits(one, free) {
		return free
	}
	if len(free) > mostParts {
		return nil
	}
	for size := 2; size < len(free); size++ {
		if parts := choose(free, size, func(parts []*entry) bool { return fits(one, parts) }); parts != nil {
			return parts
		}
	}
	return nil
}

// sameProduct keeps lines of different products apart. The legacy licence file
// has offers and no SKUs: those are any product of the subscription.
func sameProduct(a, b *entry) bool {
	return a.product == b.product || (a.line.Item.SkuID == "") != (b.line.Item.SkuID == "")
}

// choose returns the first choice of the size that fits, in the order of the
// lines.
func choose(from []*entry, size int, fits func([]*entry) bool) []*entry {
	picked := make([]*entry, 0, size)
	var pick func(start int) bool
	pick = func(start int) bool {
		if len(picked) == size {
			return fits(picked)
		}
		for i := start; i <= len(from)-(size-len(picked)); i++ {
			picked = append(picked, from[i])
			if pick(i + 1) {
				return true
			}
			picked = picked[:len(picked)-1]
		}
		return false
	}
	if !pick(0) {
		return nil
	}
	return picked
}

// tiles finds one line of a side whose days several lines of the other share
// out, each with all of the quantity.
func (m *matcher) tiles() {
	const same = sameMonth | byKind | byProduct | byQuantity
	ours, theirs := byKey(m.freeOurs, same), byKey(m.freeTheirs, same)
	for _, o := range m.freeOurs {
		if parts := tiling(o, theirs, same); parts != nil {
			m.match(StepSplit, []*entry{o}, parts)
		}
	}
	for _, b := range m.freeTheirs {
		if parts := tiling(b, ours, same); parts != nil {
			m.match(StepMerged, parts, []*entry{b})
		}
	}
	m.sweep()
}

func byKey(entries []*entry, parts part) map[key][]*entry {
	all := make(map[key][]*entry)
	for _, e := range entries {
		if k, ok := e.key(parts); ok && e.rated {
			all[k] = append(all[k], e)
		}
	}
	return all
}

// tiling returns two or more lines that follow each other from the first to
// the last day of one.
func tiling(one *entry, candidates map[key][]*entry, same part) []*entry {
	k, _ := one.key(same)
	if one.used || !one.rated || len(candidates[k]) < 2 {
		return nil
	}
	var parts []*entry
	next := one.start
	for {
		at := slices.IndexFunc(candidates[k], func(e *entry) bool {
			return !e.used && e.start == next && e.end <= one.end
		})
		if at < 0 {
			return nil
		}
		e := candidates[k][at]
		parts = append(parts, e)
		if e.end == one.end {
			break
		}
		next = e.end + 1
	}
	if len(parts) < 2 {
		return nil
	}
	return parts
}
