package reconcile

import (
	"math/bits"

	"github.com/shopspring/decimal"
)

// fastFit is [obeys] on 128-bit integers. ok is false where they do not
// suffice, or the quantity is no whole number.
func fastFit(price, rate decimal.Decimal, quantity, subtotal int64, digits int) (f fit, ok bool) {
	p, pScale, ok1 := scaled(price)
	r, rScale, ok2 := scaled(rate)
	if !ok1 || !ok2 || quantity <= 0 {
		return fit{}, false
	}
	if pScale < digits { // 59 is 59.00
		p, pScale = p*powers[digits-pScale], digits
	}
	rounded := pScale >= someDecimals
	if rounded && pScale < priceDecimals {
		p, pScale = p*powers[priceDecimals-pScale], priceDecimals
	}
	shift := pScale + rScale - digits
	if pScale > priceDecimals || p >= 1<<62 || shift >= len(powers) {
		return fit{}, false
	}
	low, high := p, p
	if rounded {
		low, high = p-min(1, p), p+1
	}
	want, q := uint64(subtotal), uint64(quantity)
	if subtotal < 0 {
		want = uint64(-subtotal)
	}
	unitLow, ok1 := product(low, r, 1, shift)
	unitHigh, ok2 := product(high, r, 1, shift)
	lineLow, ok3 := product(low, r, q, shift)
	lineHigh, ok4 := product(high, r, q, shift)
	firstLow, ok5 := product(low, q, 1, pScale-digits)
	firstHigh, ok6 := product(high, q, 1, pScale-digits)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 {
		return fit{}, false
	}
	usageLow, ok1 := product(firstLow, r, 1, rScale)
	usageHigh, ok2 := product(firstHigh, r, 1, rScale)
	if !ok1 || !ok2 {
		return fit{}, false
	}
	unit := want / q
	return fit{
		unit:  want%q == 0 && unitLow <= unit && unit <= unitHigh,
		line:  lineLow <= want && want <= lineHigh,
		usage: usageLow <= want && want <= usageHigh,
	}, true
}

// powers of ten that are a uint64.
var powers = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// product returns a x b x c / 10^shift, truncated.
func product(a, b, c uint64, shift int) (uint64, bool) {
	high, low := bits.Mul64(a, b)
	carry, low := bits.Mul64(low, c)
	over, high := bits.Mul64(high, c)
	high, more := bits.Add64(high, carry, 0)
	by := powers[shift]
	if over != 0 || more != 0 || high >= by {
		return 0, false
	}
	quotient, _ := bits.Div64(high, low, by)
	return quotient, true
}

// scaled is a decimal as a whole number of at most 14 digits and its decimals.
func scaled(d decimal.Decimal) (units uint64, scale int, ok bool) {
	if d.Exponent() > 0 || -int(d.Exponent()) >= len(powers) {
		return 0, 0, false
	}
	n := d.CoefficientInt64()
	if d.NumDigits() > 14 {
		return 0, 0, false
	}
	if n < 0 {
		n = -n
	}
	return uint64(n), -int(d.Exponent()), true
}
