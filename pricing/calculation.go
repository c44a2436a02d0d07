package pricing

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/shopspring/decimal"
)

// Rounding names the place where an amount is truncated.
type Rounding uint8

// The rounding policies. All truncate toward zero, to the minor unit of the
// billing currency.
const (
	// Documented truncates as WholeLine for addQuantity and removeQuantity and
	// as Unit for every other type: the only one that reproduces all of
	// Microsoft's published tables.
	Documented Rounding = iota
	// Unit truncates the price of one licence, then multiplies by the
	// quantity: the formula that the reconciliation file's field guide prints.
	Unit
	// WholeLine truncates the product.
	WholeLine
)

// ParseRounding reads a policy name.
func ParseRounding(s string) (Rounding, error) {
	for r := Documented; r <= WholeLine; r++ {
		if s == r.String() {
			return r, nil
		}
	}
	return Documented, fmt.Errorf("rounding policy %q: want documented, unit or line", s)
}

// String returns the policy's name as the configuration spells it.
func (r Rounding) String() string { return [...]string{"documented", "unit", "line"}[r] }

// PerUnit reports whether the policy truncates before the quantity is
// multiplied. seatPair tells lines of a seat change from all others.
func (r Rounding) PerUnit(seatPair bool) bool {
	return r == Unit || r == Documented && !seatPair
}

// Calculation is everything that the amount of one line depends on. Nothing in
// it is rounded but the exchange rate, which is used as printed.
type Calculation struct {
	// UnitPrice is the list price of one licence for the whole term.
	UnitPrice decimal.Decimal
	// CycleMonths of TermMonths is the share of it that one full cycle carries.
	CycleMonths, TermMonths int
	// Discount is the promotion's fraction off, 0 to 1.
	Discount decimal.Decimal
	// BillingDays of CycleDays are charged.
	BillingDays, CycleDays int
	// ExchangeRate converts the pricing into the billing currency.
	ExchangeRate decimal.Decimal
	Quantity     int64
	// Credit turns the signs of the effective price and the amount.
	Credit bool
	// PerUnit truncates before the quantity is multiplied, see [Rounding].
	PerUnit bool
	// MinorDigits of the billing currency.
	MinorDigits int
}

// Rated is the outcome of a calculation.
type Rated struct {
	// UnitPrice is the list price of one full cycle; EffectiveUnitPrice is
	// prorated, discounted and signed. Both are rounded half even to 10
	// decimals, for printing only.
	UnitPrice          decimal.Decimal
	EffectiveUnitPrice decimal.Decimal
	// Subtotal is in minor units of the billing currency, signed.
	Subtotal int64
}

// ErrAmountRange is returned for an amount of 10^18 minor units or more, which
// no output could hold.
var ErrAmountRange = errors.New("amount has more than 18 digits")

// amountLimit is the first number of minor units that is out of range.
const amountLimit = 1_000_000_000_000_000_000

// priceDecimals is how many decimals a printed unit price has at most.
const priceDecimals = 10

// Rate computes the line. It is exact up to the one truncation, whatever the
// sizes of the numbers: 128-bit integers where they suffice, big integers where
// they do not. The only error is [ErrAmountRange].
func (c Calculation) Rate() (Rated, error) {
	subtotal, err := c.subtotal()
	if err != nil {
		return Rated{}, err
	}
	unit := fraction{num: []uint64{uint64(c.CycleMonths)}, den: []uint64{uint64(c.TermMonths)}}
	effective := fraction{
		num: []uint64{uint64(c.CycleMonths), uint64(c.BillingDays)},
		den: []uint64{uint64(c.TermMonths), uint64(c.CycleDays)},
	}
	rated := Rated{
		Subtotal:           subtotal,
		UnitPrice:          unit.of(c.UnitPrice),
		EffectiveUnitPrice: effective.of(c.UnitPrice, one.Sub(c.Discount)),
	}
	if c.Credit {
		rated.Subtotal = -rated.Subtotal
		rated.EffectiveUnitPrice = rated.EffectiveUnitPrice.Neg()
	}
	return rated, nil
}

var one = decimal.NewFromInt(1)

// subtotal is the one place where an amount is truncated: toward zero, since
// every factor is positive and the sign comes last.
func (c Calculation) subtotal() (int64, error) {
	num, den, ok := c.product128()
	if !ok {
		return c.bigSubtotal()
	}
	quotient, _ := num.div(den)
	if c.PerUnit {
		quotient, ok = quotient.mul(uint64(c.Quantity))
	}
	if !ok || quotient.hi != 0 || quotient.lo >= amountLimit {
		return 0, ErrAmountRange
	}
	return int64(quotient.lo), nil
}

// product128 returns the exact amount before truncation as num/den: of one
// licence under PerUnit, else of the line. ok is false when it does not fit.
func (c Calculation) product128() (num uint128, den uint64, ok bool) {
	price, priceScale, ok1 := small(c.UnitPrice)
	share, shareScale, ok2 := oneLess(c.Discount)
	rate, rateScale, ok3 := small(c.ExchangeRate)
	if !ok1 || !ok2 || !ok3 {
		return uint128{}, 0, false
	}
	shift := priceScale + shareScale + rateScale - c.MinorDigits
	up, down := uint64(1), uint64(1)
	if shift >= 0 {
		down, ok = pow10(shift)
	} else {
		up, ok = pow10(-shift)
	}
	num = uint128{lo: price}
	for _, factor := range [...]uint64{share, rate, up, uint64(c.CycleMonths), uint64(c.BillingDays)} {
		if !ok {
			return uint128{}, 0, false
		}
		num, ok = num.mul(factor)
	}
	if ok && !c.PerUnit {
		num, ok = num.mul(uint64(c.Quantity))
	}
	divisor := uint128{lo: down}
	for _, factor := range [...]uint64{uint64(c.TermMonths), uint64(c.CycleDays)} {
		if ok {
			divisor, ok = divisor.mul(factor)
		}
	}
	return num, divisor.lo, ok && divisor.hi == 0
}

// bigSubtotal is the path for numbers that 128 bits cannot hold.
func (c Calculation) bigSubtotal() (int64, error) {
	num, den := big.NewInt(1), big.NewInt(1)
	for _, d := range [...]decimal.Decimal{c.UnitPrice, one.Sub(c.Discount), c.ExchangeRate, decimal.New(1, int32(c.MinorDigits))} {
		multiply(num, den, d)
	}
	for _, n := range [...]int{c.CycleMonths, c.BillingDays} {
		num.Mul(num, big.NewInt(int64(n)))
	}
	for _, n := range [...]int{c.TermMonths, c.CycleDays} {
		den.Mul(den, big.NewInt(int64(n)))
	}
	quantity := big.NewInt(c.Quantity)
	if c.PerUnit {
		num.Quo(num, den).Mul(num, quantity)
	} else {
		num.Mul(num, quantity).Quo(num, den)
	}
	if !num.IsInt64() || num.Int64() >= amountLimit {
		return 0, ErrAmountRange
	}
	return num.Int64(), nil
}

// Truncate returns the whole minor units in an amount, toward zero.
func Truncate(amount decimal.Decimal, minorDigits int) (int64, error) {
	units := amount.Shift(int32(minorDigits)).Truncate(0)
	if units.Abs().GreaterThanOrEqual(decimal.New(amountLimit, 0)) {
		return 0, ErrAmountRange
	}
	return units.IntPart(), nil
}

// Tax returns the tax on a subtotal in minor units, truncated toward zero.
func Tax(subtotal int64, rate decimal.Decimal) (int64, error) {
	if rate.IsZero() {
		return 0, nil
	}
	return Truncate(decimal.NewFromInt(subtotal).Mul(rate), 0)
}

// ExchangeRate returns the rate from the pricing to the billing currency, given
// what a unit of each is worth in USD: rounded half even to 9 decimals, or to 9
// significant digits where that is finer. The rounded rate is the one used.
func ExchangeRate(pricing, billing decimal.Decimal) decimal.Decimal {
	num, den := big.NewInt(1), big.NewInt(1)
	multiply(num, den, pricing)
	multiply(den, num, billing)
	places := 9
	// Each zero behind the point is one more decimal to reach nine digits.
	for low := new(big.Int).Mul(num, big.NewInt(10)); num.Sign() > 0 && low.Cmp(den) < 0; low.Mul(low, big.NewInt(10)) {
		places++
	}
	return quotient(num, den, places)
}

// fraction multiplies prices by num/den, exactly, and rounds once.
type fraction struct{ num, den []uint64 }

// of returns the product of the factors and the fraction, rounded half even to
// the decimals of a printed price.
func (f fraction) of(factors ...decimal.Decimal) decimal.Decimal {
	if result, ok := f.of128(factors); ok {
		return result
	}
	return f.ofBig(factors)
}

// ofBig is the path for numbers that 128 bits cannot hold.
func (f fraction) ofBig(factors []decimal.Decimal) decimal.Decimal {
	num, den := big.NewInt(1), big.NewInt(1)
	for _, d := range factors {
		multiply(num, den, d)
	}
	for _, n := range f.num {
		num.Mul(num, new(big.Int).SetUint64(n))
	}
	for _, n := range f.den {
		den.Mul(den, new(big.Int).SetUint64(n))
	}
	return quotient(num, den, priceDecimals)
}

func (f fraction) of128(factors []decimal.Decimal) (_ decimal.Decimal, ok bool) {
	num, den, shift := uint128{lo: 1}, uint128{lo: 1}, priceDecimals
	for _, d := range factors {
		coefficient, scale, ok := small(d)
		if !ok {
			return decimal.Decimal{}, false
		}
		if num, ok = num.mul(coefficient); !ok {
			return decimal.Decimal{}, false
		}
		shift -= scale
	}
	up, down := f.num, f.den
	power, ok := pow10(max(shift, -shift))
	if shift >= 0 {
		up = append(up[:len(up):len(up)], power)
	} else {
		down = append(down[:len(down):len(down)], power)
	}
	for _, n := range up {
		if ok {
			num, ok = num.mul(n)
		}
	}
	for _, n := range down {
		if ok {
			den, ok = den.mul(n)
		}
	}
	if !ok || den.hi != 0 || den.lo > 1<<63 {
		return decimal.Decimal{}, false
	}
	result, remainder := num.div(den.lo)
	if result.hi != 0 || result.lo > 1<<62 { // before rounding up, which could wrap around
		return decimal.Decimal{}, false
	}
	if twice := 2 * remainder; twice > den.lo || twice == den.lo && result.lo&1 == 1 {
		result.lo++
	}
	return decimal.New(int64(result.lo), -priceDecimals), true
}

// small returns a decimal that is not negative as coefficient x 10^-scale. ok
// is false when it does not fit 64 bits.
func small(d decimal.Decimal) (coefficient uint64, scale int, ok bool) {
	if d.NumDigits() > 18 || d.IsNegative() {
		return 0, 0, false
	}
	return uint64(d.CoefficientInt64()), -int(d.Exponent()), true
}

// oneLess returns 1 - discount as coefficient x 10^-scale, without the garbage
// of a decimal subtraction. ok is false when it does not fit 64 bits.
func oneLess(discount decimal.Decimal) (coefficient uint64, scale int, ok bool) {
	if discount.IsZero() {
		return 1, 0, true
	}
	off, scale, ok := small(discount)
	whole, fits := pow10(scale)
	return whole - off, scale, ok && fits && off <= whole
}

// multiply multiplies num/den by a decimal.
func multiply(num, den *big.Int, d decimal.Decimal) {
	num.Mul(num, d.Coefficient())
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(d.Exponent(), -d.Exponent()))), nil)
	if d.Exponent() >= 0 {
		num.Mul(num, power)
	} else {
		den.Mul(den, power)
	}
}

// quotient returns num/den rounded half even to the given decimals. Neither is
// negative.
func quotient(num, den *big.Int, places int) decimal.Decimal {
	scaled := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	scaled.Mul(scaled, num)
	result, remainder := scaled.QuoRem(scaled, den, new(big.Int))
	if half := remainder.Lsh(remainder, 1).Cmp(den); half > 0 || half == 0 && result.Bit(0) == 1 {
		result.Add(result, big.NewInt(1))
	}
	return decimal.NewFromBigInt(result, -int32(places))
}
