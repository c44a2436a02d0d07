package reconcile

import (
	"maps"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// PolicyCount says which formula gives their Subtotals from their own
// EffectiveUnitPrice, rate and quantity, for the lines of one charge type.
type PolicyCount struct {
	ChargeType string
	Lines      int
	// Unit, Line and Usage count the lines whose Subtotal the formula gives;
	// most lines agree with several. OnlyUnit and OnlyLine are the evidence.
	Unit, Line, Usage  int
	OnlyUnit, OnlyLine int
	// Neither counts lines that no formula gives, Unknowable those without the
	// fields that it takes.
	Neither, Unknowable int
}

func (a PolicyCount) merged(b PolicyCount) PolicyCount {
	a.Lines += b.Lines
	a.Unit += b.Unit
	a.Line += b.Line
	a.Usage += b.Usage
	a.OnlyUnit += b.OnlyUnit
	a.OnlyLine += b.OnlyLine
	a.Neither += b.Neither
	a.Unknowable += b.Unknowable
	return a
}

// policy checks the arithmetic of a line of theirs.
func (t *Tally) policy(b *Billed) {
	count := t.policies[b.Line.ChargeType]
	count.Lines++
	fits, ok := obeys(b)
	switch {
	case !ok:
		count.Unknowable++
	case !fits.unit && !fits.line && !fits.usage:
		count.Neither++
	}
	count.Unit += one(fits.unit)
	count.Line += one(fits.line)
	count.Usage += one(fits.usage)
	count.OnlyUnit += one(fits.unit && !fits.line)
	count.OnlyLine += one(fits.line && !fits.unit)
	t.policies[b.Line.ChargeType] = count
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// Policies returns the counts by charge type.
func (t *Tally) Policies() []PolicyCount {
	var all []PolicyCount
	for _, kind := range slices.Sorted(maps.Keys(t.policies)) {
		count := t.policies[kind]
		count.ChargeType = kind
		all = append(all, count)
	}
	return all
}

// Suggestion is the rounding policy that their own arithmetic speaks for.
type Suggestion struct {
	Policy pricing.Rounding
	// For and Against count the lines that decide: those that one of unit and
	// line gives and the other does not, and against every policy those that none
	// gives, which Neither counts.
	For, Against, Neither int
}

// mostLawless is how many of the lines that decide may obey no policy, as one
// in so many: of more, they follow a rule that is none of ours.
const mostLawless = 10

// Withheld reports whether so many lines obey no policy that none can be suggested.
func (s Suggestion) Withheld() bool { return s.Neither*mostLawless > s.For+s.Against }

// Suggest weighs the licence lines. ok is false when no line decides.
func (t *Tally) Suggest() (s Suggestion, ok bool) {
	for _, p := range []pricing.Rounding{pricing.Documented, pricing.Unit, pricing.WholeLine} {
		this := Suggestion{Policy: p}
		for kind, count := range t.policies {
			if !licence[kindOf(kind)] { // of usage and credits it says nothing
				continue
			}
			if p.PerUnit(isSeatPair(kind)) {
				this.For, this.Against = this.For+count.OnlyUnit, this.Against+count.OnlyLine
			} else {
				this.For, this.Against = this.For+count.OnlyLine, this.Against+count.OnlyUnit
			}
			this.Neither += count.Neither
		}
		this.Against += this.Neither
		if this.For > s.For || this.For+this.Against > 0 && !ok {
			s, ok = this, true
		}
	}
	return s, ok
}

func isSeatPair(chargeType string) bool {
	return strings.EqualFold(chargeType, subscription.AddQuantity) || strings.EqualFold(chargeType, subscription.RemoveQuantity)
}

// fit says which formulas give an amount.
type fit struct{ unit, line, usage bool }

// obeys checks a line's Subtotal against its own price, rate and quantity. ok
// is false when the file does not have them.
func obeys(b *Billed) (fit, bool) {
	l := b.Line
	digits, known := pricing.MinorDigits(l.Currency)
	if !known || b.Lacks.Has(FieldEffectiveUnitPrice) || b.Lacks.Has(FieldExchangeRate) && l.PricingCurrency != l.Currency && !b.Lacks.Has(FieldPricingCurrency) {
		return fit{}, false
	}
	if q := billable(b).Abs(); q.IsInteger() {
		if f, ok := fastFit(l.EffectiveUnitPrice, rateOf(b), q.IntPart(), l.Subtotal, digits); ok {
			return f, true
		}
	}
	return slowFit(b, digits), true
}

// slowFit is what fastFit must come to, on fractions of any size.
func slowFit(b *Billed, digits int) fit {
	l := b.Line
	price, rate, quantity := printed(l.EffectiveUnitPrice), rateOf(b).Rat(), billable(b).Abs().Rat()
	gives := func(f formula) bool {
		return f.apply(price, rate, quantity, digits).nearest(abs(l.Subtotal)) == abs(l.Subtotal)
	}
	return fit{unit: gives(perUnit), line: gives(perLine), usage: gives(perUsage)}
}

// billable is the quantity that was charged for.
func billable(b *Billed) decimal.Decimal {
	if b.Lacks.Has(FieldBillableQuantity) || b.Line.BillableQuantity.IsZero() {
		return b.Line.Quantity
	}
	return b.Line.BillableQuantity
}

// rateOf is the exchange rate, 1 where the file has none.
func rateOf(b *Billed) decimal.Decimal {
	if b.Lacks.Has(FieldExchangeRate) || b.Line.ExchangeRate.IsZero() {
		return decimal.NewFromInt(1)
	}
	return b.Line.ExchangeRate
}
