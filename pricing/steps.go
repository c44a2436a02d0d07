package pricing

import (
	"fmt"
	"math/big"

	"github.com/shopspring/decimal"
)

// Step is one step of a calculation with its numbers put in. Value is exact;
// the texts are for people.
type Step struct {
	// Name says what the value is.
	Name string
	// Formula is how it comes about: 120.96 x 1/12.
	Formula string
	Value   *big.Rat
	// Cut is what a truncation took off; nil where nothing is truncated.
	Cut *big.Rat
	// Digits is the number of decimals of an amount of money, anyDigits for
	// a price that has as many as it needs.
	Digits int
}

// The names of steps. [Calculation.Steps] ends with StepSubtotal.
const (
	StepCycle     = "unit price of one cycle"
	StepAmount    = "amount" // of a credit, which has no cycle
	StepEffective = "effective unit price"
	StepConverted = "in the billing currency"
	StepUnit      = "one unit, truncated"
	StepLine      = "all units"
	StepSubtotal  = "subtotal"
	StepTax       = "tax"
	StepTotal     = "total"
)

const anyDigits = -1

// Text returns the value: an amount with exactly its currency's decimals, a
// price as [ExactText] gives it.
func (s Step) Text() string {
	if s.Digits == anyDigits {
		return ExactText(s.Value)
	}
	return s.Value.FloatString(s.Digits)
}

// CutText returns what was cut off, "" where nothing is truncated.
func (s Step) CutText() string {
	if s.Cut == nil {
		return ""
	}
	return ExactText(s.Cut)
}

// String returns the step in one line: 10.08 x 28/30 = 9.408.
func (s Step) String() string {
	text := s.Formula + " = " + s.Text()
	if s.Cut != nil && s.Cut.Sign() != 0 {
		text += ", cut off " + s.CutText()
	}
	return text
}

// Steps tells how the calculation's amount comes about, step by step, in exact
// fractions throughout. The value of the last step is the subtotal that
// [Calculation.Rate] computes.
func (c Calculation) Steps() []Step {
	steps := []Step{c.cycleStep()}
	steps = append(steps, c.effectiveStep(steps[0]))
	if !c.ExchangeRate.Equal(one) {
		last := steps[len(steps)-1]
		steps = append(steps, Step{Name: StepConverted, Formula: last.Text() + " x " + c.ExchangeRate.String(),
			Value: product(last.Value, c.ExchangeRate.Rat()), Digits: anyDigits})
	}
	quantity := big.NewRat(c.Quantity, 1)
	last := steps[len(steps)-1]
	if c.PerUnit {
		unit := truncated(StepUnit, last.Text(), last.Value, c.MinorDigits)
		return append(steps, unit, Step{Name: StepSubtotal, Formula: fmt.Sprintf("%s x %d", unit.Text(), c.Quantity),
			Value: product(unit.Value, quantity), Digits: c.MinorDigits})
	}
	line := Step{Name: StepLine, Formula: fmt.Sprintf("%s x %d", last.Text(), c.Quantity),
		Value: product(last.Value, quantity), Digits: anyDigits}
	return append(steps, line, truncated(StepSubtotal, line.Text(), line.Value, c.MinorDigits))
}

// cycleStep is the share of the term's price that one full cycle carries.
func (c Calculation) cycleStep() Step {
	formula := c.UnitPrice.String()
	if c.CycleMonths != c.TermMonths {
		formula += fmt.Sprintf(" x %d/%d", c.CycleMonths, c.TermMonths)
	}
	name := StepCycle
	if c.CycleDays == 1 {
		name = StepAmount
	}
	return Step{Name: name, Formula: formula, Digits: anyDigits,
		Value: product(c.UnitPrice.Rat(), big.NewRat(int64(c.CycleMonths), int64(c.TermMonths)))}
}

// effectiveStep takes the promotion off and charges the days that are billed.
func (c Calculation) effectiveStep(cycle Step) Step {
	step := Step{Name: StepEffective, Formula: cycle.Text(), Value: cycle.Value, Digits: anyDigits}
	if !c.Discount.IsZero() {
		step.Formula += " x (1 - " + c.Discount.String() + ")"
		step.Value = product(step.Value, one.Sub(c.Discount).Rat())
	}
	if c.CycleDays > 1 { // a credit has no cycle
		step.Formula += fmt.Sprintf(" x %d/%d", c.BillingDays, c.CycleDays)
	}
	step.Value = product(step.Value, big.NewRat(int64(c.BillingDays), int64(c.CycleDays)))
	if c.Credit {
		step.Formula += " x -1"
		step.Value = new(big.Rat).Neg(step.Value)
	}
	return step
}

// TaxSteps tells how the tax on a subtotal and the total come about, as [Tax]
// computes them.
func TaxSteps(subtotal int64, rate decimal.Decimal, minorDigits int) []Step {
	net := decimal.New(subtotal, -int32(minorDigits))
	fixed := net.StringFixed(int32(minorDigits))
	tax := truncated(StepTax, fixed+" x "+rate.String(), net.Mul(rate).Rat(), minorDigits)
	if rate.IsZero() {
		tax.Formula, tax.Cut = fixed+" x 0", nil
	}
	sign := " + "
	if tax.Value.Sign() < 0 {
		sign = " - "
	}
	total := Step{Name: StepTotal, Value: new(big.Rat).Add(net.Rat(), tax.Value), Digits: minorDigits,
		Formula: fixed + sign + new(big.Rat).Abs(tax.Value).FloatString(minorDigits)}
	return []Step{tax, total}
}

// truncated cuts a value toward zero to the decimals of an amount.
func truncated(name, formula string, value *big.Rat, digits int) Step {
	kept := cut(value, digits)
	return Step{Name: name, Formula: fmt.Sprintf("%s, cut to %d decimals", formula, digits), Value: kept,
		Cut: new(big.Rat).Sub(value, kept), Digits: digits}
}

// ExactText prints a fraction as a plain decimal without trailing zeros. Of one
// that has more than 10 decimals it prints the first 10 and three dots.
func ExactText(value *big.Rat) string {
	first := cut(value, priceDecimals)
	text := decimal.NewFromBigRat(first, priceDecimals).String()
	if first.Cmp(value) == 0 {
		return text
	}
	if first.Sign() == 0 { // something is there, too small to show its digits
		text = "0.0000000000"
		if value.Sign() < 0 {
			text = "-" + text
		}
	}
	return text + "..."
}

// cut keeps the first decimals of a fraction: toward zero.
func cut(value *big.Rat, places int) *big.Rat {
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	units := new(big.Int).Mul(value.Num(), unit)
	return new(big.Rat).SetFrac(units.Quo(units, value.Denom()), unit)
}

func product(a, b *big.Rat) *big.Rat { return new(big.Rat).Mul(a, b) }
