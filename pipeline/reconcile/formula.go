package reconcile

import (
	"math/big"
)

// formula says where an amount is truncated.
type formula string

// The formulas that are tried on a line. The first two are our policies.
const (
	perUnit     formula = "unit"         // truncate(price x rate) x quantity
	perLine     formula = "line"         // truncate(price x rate x quantity)
	perUsage    formula = "usage"        // truncate(truncate(price x quantity) x rate)
	nearestLine formula = "nearest line" // as line, to the nearest minor unit
	nearestUnit formula = "nearest unit" // as unit, to the nearest minor unit
)

var formulas = []formula{perUnit, perLine, perUsage, nearestLine, nearestUnit}

// apply computes the amounts that a price, rate and quantity can give, in
// minor units.
func (f formula) apply(price span, rate, quantity *big.Rat, digits int) units {
	half := halfUnit(digits)
	switch f {
	case perUnit:
		u := price.times(rate).truncated(digits)
		u.each = quantity
		return u
	case nearestUnit:
		u := price.times(rate).plus(half).truncated(digits)
		u.each = quantity
		return u
	case perUsage:
		return price.times(quantity).cut(digits).times(rate).truncated(digits)
	case nearestLine:
		return price.times(rate).times(quantity).plus(half).truncated(digits)
	default:
		return price.times(rate).times(quantity).truncated(digits)
	}
}

// String says it as a person would.
func (f formula) String() string {
	return map[formula]string{
		perUnit: "the unit is truncated, then multiplied", perLine: "the line is truncated", perUsage: "the price times the quantity is truncated, then converted",
		nearestLine: "the line is rounded to the nearest", nearestUnit: "the unit is rounded to the nearest, then multiplied",
	}[f]
}

// factors are what the amount of a line is the product of.
type factors struct {
	quantity *big.Rat // positive
	unit     span     // the list price of one full cycle
	share    *big.Rat // what a promotion leaves of it, 1 without one
	days     *big.Rat // the days charged of those of the full cycle
	rate     *big.Rat
	formula  formula

	sign   int64
	digits int
}

// price is the effective unit price, positive.
func (f factors) price() span { return f.unit.times(f.share).times(f.days) }

// amount is the signed amount in minor units; where the printed price leaves
// several, the one nearest to what is wanted.
func (f factors) amount(want int64) int64 {
	return f.sign * f.formula.apply(f.price(), f.rate, f.quantity, f.digits).nearest(want*f.sign)
}

// gives reports whether the amount is what the factors give.
func (f factors) gives(amount int64) bool { return f.amount(amount) == amount }

// nearly reports whether the amount is within what truncations can make of
// the exact one. Each takes less than one minor unit off each licence, and there
// are two: theirs, and the one that their amount may have been scaled from.
func (f factors) nearly(amount int64) bool {
	amount *= f.sign
	price := f.price().times(f.rate)
	low, high := minor(price.low, f.digits), minor(price.high, f.digits)
	u := units{low: low.Sub(low, big.NewInt(1)), high: high.Add(high, big.NewInt(1)), each: f.quantity}
	return u.amount(u.low) <= amount && amount <= u.amount(u.high)
}
