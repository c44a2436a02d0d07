package reconcile

import (
	"math/big"

	"github.com/calends/calends/pricing"
)

// contradicted explains what their own columns give, and leaves what they billed
// beyond that to their arithmetic.
func (w *walk) contradicted(right *bill, explain func(*walk) error) error {
	billed := w.b
	if w.b = right; right.sum.Subtotal != w.at.Subtotal || w.changed() {
		if err := explain(w); err != nil {
			return err
		}
	}
	w.b = billed
	own, theirs := w.money(right.sum.Subtotal), w.money(billed.sum.Subtotal)
	w.to(Arithmetic, billed.sum.Subtotal, "their own columns give "+own+", they billed "+theirs, Evidence{Ours: own, Theirs: theirs})
	return nil
}

// asStated is a bill with the amounts that its lines' own columns give; of two that
// differ by the last decimal of a price, ours. ok is false where all are as they stand.
func (x *explainer) asStated(b *bill, f formula, ours int64) (right bill, ok bool) {
	entries := make([]*entry, len(b.entries))
	for i, e := range b.entries {
		entries[i] = e
		if e.stated {
			continue
		}
		if amount, contradicts := contradiction(&x.group.Theirs[e.place], f, abs(ours)); contradicts {
			line, other := *e.line, *e
			line.Subtotal = amount * int64(e.sign)
			other.line, other.stated, entries[i], ok = &line, true, &other, true
		}
	}
	if !ok {
		return bill{}, false
	}
	return newBill(entries), true
}

// contradiction returns what the formula makes of a line's own price, rate and
// quantity, where no formula makes its Subtotal of them. A price is taken for
// as coarse as it is printed; what the file lacks contradicts nothing.
func contradiction(b *Billed, f formula, ours int64) (amount int64, contradicts bool) {
	l := b.Line
	digits, known := pricing.MinorDigits(l.Currency)
	if !known || b.Lacks.Has(FieldEffectiveUnitPrice) || l.EffectiveUnitPrice.IsZero() ||
		b.Lacks.Has(FieldExchangeRate) && (l.PricingCurrency != l.Currency || b.Lacks.Has(FieldPricingCurrency)) {
		return 0, false
	}
	price, rate, billed := printed(l.EffectiveUnitPrice), rateOf(b).Rat(), abs(l.Subtotal)
	if decimals := -int(l.EffectiveUnitPrice.Exponent()); decimals >= 4 && decimals < someDecimals+2 {
		price = around(l.EffectiveUnitPrice.Abs().Rat(), halfUnit(decimals))
	}
	for _, quantity := range []*big.Rat{billable(b).Abs().Rat(), l.Quantity.Abs().Rat()} {
		for _, each := range formulas {
			if quantity.Sign() == 0 || each.apply(price, rate, quantity, digits).nearest(billed) == billed {
				return 0, false
			}
		}
	}
	quantity := billable(b).Abs().Rat()
	if f.apply(printed(l.EffectiveUnitPrice), rate, quantity, digits).nearest(ours) == ours { // up to the last decimal of the price
		return ours, true
	}
	return f.apply(exactly(l.EffectiveUnitPrice.Abs().Rat()), rate, quantity, digits).nearest(billed), true
}
