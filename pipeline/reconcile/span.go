package reconcile

import (
	"math/big"

	"github.com/shopspring/decimal"
)

// priceDecimals is how many decimals a printed price has at most. One with few
// is exact; from someDecimals on it may be a fraction that was rounded, even
// where its last zeros are not printed.
const (
	priceDecimals = 10
	someDecimals  = 6
)

// span is what a price can have been, given that it was printed with a number
// of decimals: from low to high, neither negative.
type span struct{ low, high *big.Rat }

// exactly is a span of one value.
func exactly(value *big.Rat) span { return span{value, value} }

// printed is what a printed price stands for: it may have been rounded, cut, or
// rounded twice, so it is less than one last decimal off.
func printed(price decimal.Decimal) span {
	exact := price.Abs().Rat()
	if price.Exponent() > -someDecimals {
		return exactly(exact)
	}
	return around(exact, lastUnit(priceDecimals))
}

func around(value, slack *big.Rat) span {
	low := new(big.Rat).Sub(value, slack)
	if low.Sign() < 0 {
		low.SetInt64(0)
	}
	return span{low, new(big.Rat).Add(value, slack)}
}

// lastUnit is the last of a number of decimals.
func lastUnit(decimals int) *big.Rat { return new(big.Rat).SetFrac(big.NewInt(1), power(decimals)) }

// halfUnit is half of the last of a number of decimals.
func halfUnit(decimals int) *big.Rat {
	return new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Mul(big.NewInt(2), power(decimals)))
}

func (s span) exact() bool { return s.low == s.high || s.low.Cmp(s.high) == 0 }

// middle is the value itself where it is exact.
func (s span) middle() *big.Rat {
	if s.exact() {
		return s.low
	}
	sum := new(big.Rat).Add(s.low, s.high)
	return sum.Mul(sum, big.NewRat(1, 2))
}

// touches reports whether two spans may stand for the same value.
func (s span) touches(o span) bool { return s.low.Cmp(o.high) <= 0 && o.low.Cmp(s.high) <= 0 }

func (s span) times(factor *big.Rat) span {
	low := new(big.Rat).Mul(s.low, factor)
	if s.low == s.high {
		return exactly(low)
	}
	return span{low, new(big.Rat).Mul(s.high, factor)}
}

func (s span) plus(value *big.Rat) span {
	low := new(big.Rat).Add(s.low, value)
	if s.low == s.high {
		return exactly(low)
	}
	return span{low, new(big.Rat).Add(s.high, value)}
}

// cut truncates to the digits and goes on as an amount of money.
func (s span) cut(digits int) span {
	u := s.truncated(digits)
	return span{new(big.Rat).SetFrac(u.low, power(digits)), new(big.Rat).SetFrac(u.high, power(digits))}
}

// truncated are the whole minor units.
func (s span) truncated(digits int) units {
	return units{low: minor(s.low, digits), high: minor(s.high, digits), each: big.NewRat(1, 1)}
}

func minor(value *big.Rat, digits int) *big.Int {
	scaled := new(big.Int).Mul(value.Num(), power(digits))
	return scaled.Quo(scaled, value.Denom())
}

// units are the amounts that are possible: a quantity times each whole number
// of minor units from low to high, truncated.
type units struct {
	low, high *big.Int
	each      *big.Rat
}

// nearest returns the possible amount that is nearest to the one wanted.
func (u units) nearest(want int64) int64 {
	if u.each.Sign() <= 0 {
		return 0
	}
	at := new(big.Rat).Quo(big.NewRat(want, 1), u.each)
	n := new(big.Int).Quo(at.Num(), at.Denom())
	best := u.amount(u.within(n))
	if next := u.amount(u.within(n.Add(n, big.NewInt(1)))); abs(next-want) < abs(best-want) {
		return next
	}
	return best
}

func (u units) within(n *big.Int) *big.Int {
	switch {
	case n.Cmp(u.low) < 0:
		return u.low
	case n.Cmp(u.high) > 0:
		return u.high
	}
	return n
}

func (u units) amount(n *big.Int) int64 {
	product := new(big.Rat).SetInt(n)
	product.Mul(product, u.each)
	return new(big.Int).Quo(product.Num(), product.Denom()).Int64()
}

func power(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }
