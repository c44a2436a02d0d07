package reconcile

import (
	"math/big"

	"github.com/shopspring/decimal"
)

// priceDecimals is how many decimals a printed price has at most; one with
// fewer is taken as exact to that many.
const priceDecimals = 10

// span is what an amount can have been, given prices that were printed with a
// number of decimals: from low to high, both positive.
type span struct{ low, high *big.Rat }

var halfLastDecimal = new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Mul(big.NewInt(2), power(priceDecimals)))

// newSpan is what a printed price stands for: exact up to the tenth decimal,
// where it may have been rounded.
func newSpan(price decimal.Decimal) span {
	exact := rational(price.Abs())
	if price.Exponent() > -priceDecimals {
		return span{exact, exact}
	}
	low := new(big.Rat).Sub(exact, halfLastDecimal)
	if low.Sign() < 0 {
		low.SetInt64(0)
	}
	return span{low, new(big.Rat).Add(exact, halfLastDecimal)}
}

// exactly is a span of one value.
func exactly(value *big.Rat) span { return span{value, value} }

func (s span) times(factor *big.Rat) span {
	if s.low == s.high {
		return exactly(new(big.Rat).Mul(s.low, factor))
	}
	return span{new(big.Rat).Mul(s.low, factor), new(big.Rat).Mul(s.high, factor)}
}

// truncatedTo cuts to the digits and goes on as an amount of money.
func (s span) truncatedTo(digits int) span {
	cut := s.truncated(digits)
	return span{new(big.Rat).SetFrac(cut.low, power(digits)), new(big.Rat).SetFrac(cut.high, power(digits))}
}

// truncated cuts to whole minor units.
func (s span) truncated(digits int) units {
	return units{low: minor(s.low, digits), high: minor(s.high, digits), step: big.NewRat(1, 1)}
}

// perUnit cuts the price of one and takes it by the quantity.
func (s span) perUnit(quantity *big.Rat, digits int) units {
	u := s.truncated(digits)
	u.step = quantity
	return u
}

// units are the amounts step x low, step x (low+1) ... step x high, in minor
// units, each truncated.
type units struct {
	low, high *big.Int
	step      *big.Rat
}

// has reports whether the amount is among them.
func (u units) has(amount *big.Int) bool {
	for n := new(big.Int).Set(u.low); n.Cmp(u.high) <= 0; n.Add(n, big.NewInt(1)) {
		if u.amount(n).Cmp(amount) == 0 {
			return true
		}
	}
	return false
}

func (u units) amount(n *big.Int) *big.Int {
	product := new(big.Rat).Mul(new(big.Rat).SetInt(n), u.step)
	return new(big.Int).Quo(product.Num(), product.Denom())
}

func minor(value *big.Rat, digits int) *big.Int {
	scaled := new(big.Int).Mul(value.Num(), power(digits))
	return scaled.Quo(scaled, value.Denom())
}

func power(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func rational(d decimal.Decimal) *big.Rat { return d.Rat() }
