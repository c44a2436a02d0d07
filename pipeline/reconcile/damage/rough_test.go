package damage_test

import (
	"math/rand"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pipeline/reconcile/damage"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// rough damages printed lines as somebody with a spreadsheet would: one column
// changed and the amount scaled and rounded to the nearest cent, the other
// columns forgotten. It shares nothing with the package's own damage.
type rough struct {
	*rand.Rand
	w       *world
	lines   []reconcile.Billed
	planted []damage.Planted
}

func (r *rough) write(l invoice.Line, month pricing.Month) int64 {
	item := *l.Item
	l.Item, l.Proof, l.ReferenceID = &item, nil, ""
	row := int64(len(r.lines) + 2)
	r.lines = append(r.lines, reconcile.Billed{Line: &l, Month: month, File: "rough.csv", Row: row})
	return row
}

func (r *rough) plant(k damage.Kind, theirs []int64, ours ...int) {
	r.planted = append(r.planted, damage.Planted{Kind: k, Theirs: theirs, Ours: ours})
}

// scale multiplies the amounts and rounds them to the nearest cent.
func scale(l *invoice.Line, num, den decimal.Decimal) {
	rate := decimal.New(19, -2)
	l.Subtotal = decimal.NewFromInt(l.Subtotal).Mul(num).Div(den).Round(0).IntPart()
	l.TaxTotal = decimal.NewFromInt(l.Subtotal).Mul(rate).Round(0).IntPart()
	l.Total = l.Subtotal + l.TaxTotal
}

func ints(n int64) decimal.Decimal { return decimal.NewFromInt(n) }

func (r *rough) damage(ours []reconcile.Ours, oneIn int) ([]reconcile.Billed, []damage.Planted) {
	for i := 0; i < len(ours); i++ {
		our := ours[i]
		l := *our.Line
		item := *l.Item
		l.Item = &item
		before := l.Subtotal
		if our.Month != march || l.Subtotal == 0 || r.Intn(oneIn) != 0 {
			r.write(l, our.Month)
			continue
		}
		days := int64(l.ChargeEnd-l.ChargeStart) + 1
		quantity := l.BillableQuantity.IntPart()
		switch r.Intn(16) {
		case 0: // Quantity only, with the amount
			more := quantity + 1 + r.Int63n(5)
			l.Quantity = ints(more)
			if r.Intn(2) == 0 {
				l.BillableQuantity = l.Quantity
			}
			scale(&l, ints(more), ints(quantity))
			r.plant(damage.Quantity, []int64{r.write(l, march)})
		case 1: // the quantity, and no amount
			l.Quantity, l.BillableQuantity = ints(quantity+2), ints(quantity+2)
			r.plant(damage.Quantity, []int64{r.write(l, march)})
		case 2: // UnitPrice 7 % up, EffectiveUnitPrice as it was
			l.UnitPrice = l.UnitPrice.Mul(decimal.New(107, -2))
			scale(&l, ints(107), ints(100))
			row := r.write(l, march)
			if l.Subtotal != before {
				r.plant(damage.Price, []int64{row})
			}
		case 3: // both up, to four decimals
			l.UnitPrice = l.UnitPrice.Mul(decimal.New(107, -2)).Round(4)
			l.EffectiveUnitPrice = l.EffectiveUnitPrice.Mul(decimal.New(107, -2)).Round(4)
			scale(&l, ints(107), ints(100))
			row := r.write(l, march)
			if l.Subtotal != before {
				r.plant(damage.Price, []int64{row})
			}
		case 4: // the start two days later, no amount
			if days > 4 {
				l.ChargeStart += 2
				r.plant(damage.Shifted, []int64{r.write(l, march)})
				continue
			}
			r.write(l, march)
		case 5: // the start two days later, the amount by days, the price forgotten
			if days > 4 {
				l.ChargeStart += 2
				scale(&l, ints(days-2), ints(days))
				r.plant(damage.Shifted, []int64{r.write(l, march)})
				continue
			}
			r.write(l, march)
		case 6: // a month later, all dates
			l.OrderDate, l.ChargeStart, l.ChargeEnd = l.OrderDate.AddMonths(1), l.ChargeStart.AddMonths(1), l.ChargeEnd.AddMonths(1)
			r.plant(damage.Moved, []int64{r.write(l, march+pricing.Month(r.Intn(2)))}, our.Row)
		case 7: // a month later, OrderDate only
			l.OrderDate = l.OrderDate.AddMonths(1)
			r.plant(damage.Moved, []int64{r.write(l, march+pricing.Month(r.Intn(2)))}, our.Row)
		case 8: // the rate one percent up
			if l.PricingCurrency == l.Currency {
				r.write(l, march)
				continue
			}
			l.ExchangeRate = l.ExchangeRate.Mul(decimal.New(101, -2)).Round(9)
			scale(&l, ints(101), ints(100))
			row := r.write(l, march)
			if l.Subtotal != before {
				r.plant(damage.Rate, []int64{row})
			}
		case 9: // the promotion's id gone and its percentage with it
			p, ok := r.w.promotion[pricing.SKU{ProductID: item.ProductID, SkuID: item.SkuID}]
			if !ok || item.PromotionID == "" {
				r.write(l, march)
				continue
			}
			left := ints(1).Sub(p.Discount)
			l.Item.PromotionID = ""
			if r.Intn(2) == 0 {
				l.EffectiveUnitPrice = l.EffectiveUnitPrice.Div(left).Round(10)
			}
			scale(&l, ints(1), left)
			r.plant(damage.Lost, []int64{r.write(l, march)})
		case 10: // no tax
			l.TaxTotal, l.Total = 0, l.Subtotal
			row := r.write(l, march)
			if our.Line.TaxTotal != 0 {
				r.plant(damage.Tax, []int64{row})
			}
		case 11: // the tax one cent off
			l.TaxTotal++
			l.Total++
			exact := decimal.NewFromInt(l.Subtotal).Mul(decimal.New(19, -2)).Round(0).IntPart()
			row := r.write(l, march)
			if l.TaxTotal != exact {
				r.plant(damage.Tax, []int64{row})
			} else {
				r.plant(damage.Policy, []int64{row})
			}
		case 12: // a pair as one line with the new quantity and the sum
			if i+1 < len(ours) {
				next := ours[i+1].Line
				if next.ReferenceID == l.ReferenceID && next.ChargeType == l.ChargeType && l.EffectiveUnitPrice.IsNegative() &&
					(l.ChargeType == subscription.AddQuantity || l.ChargeType == subscription.RemoveQuantity) {
					merged := *next
					merged.Subtotal += l.Subtotal
					merged.TaxTotal += l.TaxTotal
					merged.Total += l.Total
					r.plant(damage.Netted, []int64{r.write(merged, march)}, our.Row, ours[i+1].Row)
					i++
					continue
				}
			}
			r.write(l, march)
		case 13: // a copy under another order and day
			r.write(l, march)
			l.OrderID = "another"
			r.plant(damage.Duplicated, []int64{r.write(l, march)})
		case 14: // gone
			r.plant(damage.Dropped, nil, our.Row)
		case 15: // price and quantity, all columns but the tax's rounding
			l.UnitPrice = l.UnitPrice.Mul(decimal.New(110, -2))
			l.EffectiveUnitPrice = l.EffectiveUnitPrice.Mul(decimal.New(110, -2)).Round(10)
			l.Quantity, l.BillableQuantity = ints(quantity+3), ints(quantity+3)
			scale(&l, ints((quantity+3)*110), ints(quantity*100))
			row := r.write(l, march)
			r.plant(damage.Quantity, []int64{row})
			r.plant(damage.Price, []int64{row})
		}
	}
	return r.lines, slices.Clip(r.planted)
}
