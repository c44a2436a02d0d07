package pricing

import (
	"math/bits"

	"github.com/shopspring/decimal"
)

// Fixed is a decimal that is not negative and fits 64 bits. Prices and rates that
// many lines share are made so once: asking a decimal for its digits takes longer
// than the arithmetic of a line.
type Fixed struct {
	coefficient uint64
	scale       int // it is coefficient x 10^-scale
}

// FixedOf returns a decimal as a Fixed. ok is false when it does not fit.
func FixedOf(d decimal.Decimal) (f Fixed, ok bool) {
	if d.NumDigits() > 18 || d.IsNegative() {
		return Fixed{}, false
	}
	return Fixed{uint64(d.CoefficientInt64()), -int(d.Exponent())}, true
}

// Left returns 1 - f, a discount's, without the garbage of a decimal subtraction.
// ok is false when it does not fit.
func (f Fixed) Left() (share Fixed, ok bool) {
	if f.coefficient == 0 {
		return Fixed{1, 0}, true
	}
	whole, fits := pow10(f.scale)
	return Fixed{whole - f.coefficient, f.scale}, fits && f.coefficient <= whole
}

// Units returns a price or a fraction in units of 10^-10. ok is false where
// it has more decimals or does not fit.
func (f Fixed) Units() (units int64, ok bool) {
	power, fits := pow10(priceDecimals - f.scale)
	high, low := bits.Mul64(f.coefficient, power)
	if !fits || high != 0 || low > 1<<62 {
		return 0, false
	}
	return int64(low), true
}

// TaxUnits is [Tax] in whole numbers, without allocating. ok is false where that
// does not suffice.
func TaxUnits(subtotal int64, rate Fixed) (units int64, ok bool) {
	power, ok := pow10(rate.scale)
	if !ok {
		return 0, false
	}
	product, ok := uint128{lo: uint64(max(subtotal, -subtotal))}.mul(rate.coefficient)
	quotient, _ := product.div(power)
	if !ok || quotient.hi != 0 || quotient.lo >= amountLimit {
		return 0, false
	}
	if subtotal < 0 {
		return -int64(quotient.lo), true
	}
	return int64(quotient.lo), true
}

// FixedCalculation is a [Calculation] of numbers that are fixed.
type FixedCalculation struct {
	UnitPrice               Fixed
	CycleMonths, TermMonths int
	Share                   Fixed // that the discount leaves, see [Fixed.Left]
	BillingDays, CycleDays  int
	ExchangeRate            Fixed
	Quantity                int64
	Credit, PerUnit         bool
	MinorDigits             int
}

// Units computes the line. ok is false where 128 bits do not suffice, see
// [Calculation.Units].
func (c FixedCalculation) Units() (u Units, ok bool) {
	scale := c.UnitPrice.scale + c.Share.scale
	months, term := uint64(c.CycleMonths), uint64(c.TermMonths)
	list := uint128{lo: c.UnitPrice.coefficient}
	var ok1, ok4 bool
	u.UnitPrice, ok1 = printed(list, c.UnitPrice.scale, months, term)
	net, ok2 := list.mul(c.Share.coefficient)
	days, ok3 := net.mul(uint64(c.BillingDays))
	u.EffectiveUnitPrice, ok4 = printed(days, scale, months, term*uint64(c.CycleDays))
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return Units{}, false
	}
	u.Subtotal, ok = c.truncated(days, c.ExchangeRate.coefficient, scale+c.ExchangeRate.scale)
	if c.Credit {
		u.EffectiveUnitPrice, u.Subtotal = -u.EffectiveUnitPrice, -u.Subtotal
	}
	return u, ok
}

// printed returns price x 10^-scale x num/den in units of 10^-10, half to even.
func printed(price uint128, scale int, num, den uint64) (units int64, ok bool) {
	shift := priceDecimals - scale
	power, ok := pow10(max(shift, -shift))
	if !ok {
		return 0, false
	}
	below := uint128{lo: den}
	if shift >= 0 {
		price, ok = price.mul(power)
	} else {
		below, ok = below.mul(power)
	}
	if ok {
		price, ok = price.mul(num)
	}
	if !ok || below.hi != 0 || below.lo > 1<<63 {
		return 0, false
	}
	result, remainder := price.div(below.lo)
	if result.hi != 0 || result.lo > 1<<62 { // before rounding up, which could wrap around
		return 0, false
	}
	if twice := 2 * remainder; twice > below.lo || twice == below.lo && result.lo&1 == 1 {
		result.lo++
	}
	return int64(result.lo), true
}

// truncated is the one place where an amount is truncated: toward zero, since
// every factor is positive and the sign comes last. price is that of all billed
// days, and rate stands with it at 10^-scale.
func (c *FixedCalculation) truncated(price uint128, rate uint64, scale int) (units int64, ok bool) {
	shift := scale - c.MinorDigits
	power, ok := pow10(max(shift, -shift))
	up, below := uint64(1), uint128{lo: uint64(c.TermMonths) * uint64(c.CycleDays)}
	if ok && shift >= 0 {
		below, ok = below.mul(power)
	} else {
		up = power
	}
	quantity, each := uint64(c.Quantity), uint64(1)
	if c.PerUnit {
		quantity, each = 1, quantity
	}
	for _, factor := range [...]uint64{rate, up, uint64(c.CycleMonths), quantity} {
		if ok {
			price, ok = price.mul(factor)
		}
	}
	if !ok || below.hi != 0 {
		return 0, false
	}
	quotient, _ := price.div(below.lo)
	quotient, ok = quotient.mul(each)
	if !ok || quotient.hi != 0 || quotient.lo >= amountLimit {
		return 0, false
	}
	return int64(quotient.lo), true
}
