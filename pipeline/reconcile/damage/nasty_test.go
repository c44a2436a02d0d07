package damage_test

import (
	"math/rand"
	"slices"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pipeline/reconcile/damage"
	"github.com/calends/calends/pipeline/subscription"
)

// nasty damages a subscription in several places at once, and whole customers,
// in ways that get into each other's way. It works on printed lines and shares
// nothing with the package's own damage.
type nasty struct {
	rough
	spared int // one line in so many is
}

// rerate computes the amounts of a line from its printed effective price.
func rerate(l *invoice.Line) {
	exact := l.EffectiveUnitPrice.Abs().Mul(l.ExchangeRate).Mul(l.BillableQuantity)
	subtotal := exact.Shift(2).Truncate(0).IntPart()
	if l.EffectiveUnitPrice.IsNegative() {
		subtotal = -subtotal
	}
	l.Subtotal, l.TaxTotal = subtotal, decimal.NewFromInt(subtotal).Mul(decimal.New(19, -2)).Truncate(0).IntPart()
	l.Total = l.Subtotal + l.TaxTotal
}

// sized is the line with another quantity.
func sized(l invoice.Line, quantity int64) invoice.Line {
	l.Quantity, l.BillableQuantity = ints(quantity), ints(quantity)
	rerate(&l)
	return l
}

func isPair(a, b *invoice.Line) bool {
	return a.SubscriptionID == b.SubscriptionID && a.ReferenceID == b.ReferenceID && a.ChargeType == b.ChargeType &&
		a.EffectiveUnitPrice.IsNegative() && b.EffectiveUnitPrice.IsPositive() &&
		(a.ChargeType == subscription.AddQuantity || a.ChargeType == subscription.RemoveQuantity)
}

// customer damages the March of one customer.
func (n *nasty) customer(ours []reconcile.Ours) ([]reconcile.Billed, []damage.Planted) {
	whole := n.Intn(12)
	for i := 0; i < len(ours); i++ {
		our := ours[i]
		l := *our.Line
		if our.Month != march || l.Subtotal == 0 {
			n.write(l, our.Month)
			continue
		}
		switch whole {
		case 0: // none of the customer's lines is there
			n.plant(damage.Dropped, nil, our.Row)
			continue
		case 1: // all of them twice
			n.write(l, march)
			n.plant(damage.Duplicated, []int64{n.write(l, march)})
			continue
		case 2: // all of them a month later
			n.plant(damage.Moved, []int64{n.write(l, march+1)}, our.Row)
			continue
		}
		if n.Intn(n.spared) == 0 {
			n.write(l, march)
			continue
		}
		var next *invoice.Line
		if i+1 < len(ours) && ours[i+1].Month == march && isPair(&l, ours[i+1].Line) {
			next = ours[i+1].Line
		}
		if next != nil && n.Intn(3) == 0 {
			i++
			n.pair(our, ours[i])
			continue
		}
		n.line(our)
	}
	return n.lines, n.planted
}

// pair damages a wipe and its recreate together.
func (n *nasty) pair(minus, plus reconcile.Ours) {
	a, b := *minus.Line, *plus.Line
	net := b.BillableQuantity.Sub(a.BillableQuantity).IntPart()
	netted := func(seats int64) int64 {
		l := b
		if seats < 0 {
			l, seats = a, -seats
		}
		row := n.write(sized(l, seats), march)
		n.plant(damage.Netted, []int64{row}, minus.Row, plus.Row)
		return row
	}
	switch n.Intn(3) {
	case 0: // as its net
		netted(net)
	case 1: // as its net, with some seats too many
		more := net + 1 + n.Int63n(2)
		if net < 0 {
			more = net - 1 - n.Int63n(2)
		}
		n.plant(damage.Quantity, []int64{netted(more)})
	case 2: // the minus line twice
		n.write(a, march)
		n.plant(damage.Duplicated, []int64{n.write(a, march)})
		n.write(b, march)
	}
}

// line damages a single line.
func (n *nasty) line(our reconcile.Ours) {
	l := *our.Line
	quantity := l.BillableQuantity.IntPart()
	days := int64(l.ChargeEnd-l.ChargeStart) + 1
	switch n.Intn(8) {
	case 0: // three lines for one
		if quantity < 4 {
			n.write(l, march)
			return
		}
		first := 1 + n.Int63n(quantity-2)
		second := 1 + n.Int63n(quantity-first-1)
		n.plant(damage.SplitUp, []int64{n.write(sized(l, first), march), n.write(sized(l, second), march),
			n.write(sized(l, quantity-first-second), march)}, our.Row)
	case 1: // the wrong sign
		l.EffectiveUnitPrice, l.Subtotal, l.TaxTotal, l.Total = l.EffectiveUnitPrice.Neg(), -l.Subtotal, -l.TaxTotal, -l.Total
		n.plant(damage.Quantity, []int64{n.write(l, march)}, our.Row)
	case 2: // from the last day to the first
		if days < 2 {
			n.write(l, march)
			return
		}
		l.ChargeStart, l.ChargeEnd = l.ChargeEnd, l.ChargeStart
		n.plant(damage.Shifted, []int64{n.write(l, march)}, our.Row)
	case 3: // the effective price at four decimals
		before := l.Subtotal
		l.EffectiveUnitPrice = l.EffectiveUnitPrice.Round(4)
		rerate(&l)
		row := n.write(l, march)
		if l.Subtotal != before {
			n.plant(damage.Policy, []int64{row}, our.Row)
		}
	case 4: // seats
		more := quantity + 1 + n.Int63n(3)
		if quantity > 3 && n.Intn(2) == 0 {
			more = quantity - 1 - n.Int63n(2)
		}
		n.plant(damage.Quantity, []int64{n.write(sized(l, more), march)}, our.Row)
	case 5: // fewer days
		if days < 6 || l.ChargeStart.Month() != (l.ChargeStart+2).Month() || l.OrderDate != l.ChargeStart {
			n.write(l, march)
			return
		}
		by := 1 + n.Int63n(2)
		l.EffectiveUnitPrice = l.EffectiveUnitPrice.Mul(ints(days-by)).DivRound(ints(days), 10)
		l.ChargeStart += 0
		for range by {
			l.ChargeStart++
		}
		l.OrderDate = l.ChargeStart
		rerate(&l)
		n.plant(damage.Shifted, []int64{n.write(l, march)}, our.Row)
	case 6: // gone
		n.plant(damage.Dropped, nil, our.Row)
	case 7: // again, and the copy with another order
		n.write(l, march)
		l.OrderID = "another"
		n.plant(damage.Duplicated, []int64{n.write(l, march)})
	}
}

// Damage on damage: most lines of a subscription at once, and customers as a
// whole. Some of it can be read in two ways; no more than one in a hundred is
// read in the other. What is rated anew here is truncated by the line, which
// is named besides.
func TestNastyDamage(t *testing.T) {
	t.Parallel()
	for name, spared := range map[string]int{"some lines of a subscription": 2, "all but a few": 5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(7)
			chance := rand.New(rand.NewSource(8))
			out := play(t, w, 400, true, func(_ int, ours []reconcile.Ours) ([]reconcile.Billed, []damage.Planted) {
				n := &nasty{rough: rough{Rand: chance, w: w}, spared: spared}
				return n.customer(ours)
			})
			scores, misses := damage.Judge(out.matches, out.planted)
			misses = slices.DeleteFunc(misses, func(m damage.Miss) bool { return m.Planted == nil && m.Cause == reconcile.Rounding })
			if scores[0].Named > 0 || len(misses)*100 > len(out.planted) {
				t.Errorf("of %d damages %d were not found or named otherwise:\n%s", len(out.planted), len(misses), table(scores))
				for _, miss := range misses[:min(len(misses), 5)] {
					t.Log(describe(miss))
				}
			}
		})
	}
}
