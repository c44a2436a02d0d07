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

// Units is a [Rated] in whole numbers: prices in units of 10^-10 of the pricing
// currency, the amount in minor units of the billing currency.
type Units struct {
	UnitPrice, EffectiveUnitPrice int64
	Subtotal                      int64
}

// Rate computes the line. It is exact up to the one truncation, whatever the
// sizes of the numbers: 128-bit integers where they suffice, big integers where
// they do not. The only error is [ErrAmountRange].
func (c Calculation) Rate() (Rated, error) {
	if u, ok := c.Units(); ok {
		return Rated{Subtotal: u.Subtotal,
			UnitPrice:          decimal.New(u.UnitPrice, -priceDecimals),
			EffectiveUnitPrice: decimal.New(u.EffectiveUnitPrice, -priceDecimals)}, nil
	}
	return c.bigRate()
}

// Units computes the line in whole numbers, without allocating. ok is false
// where a product needs more than 128 bits, or a result more than 64: then
// [Calculation.Rate] gives it all the same, or says why there is none.
func (c Calculation) Units() (u Units, ok bool) {
	price, ok1 := FixedOf(c.UnitPrice)
	off, ok2 := FixedOf(c.Discount)
	share, ok3 := off.Left()
	rate, ok4 := FixedOf(c.ExchangeRate)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return Units{}, false
	}
	return FixedCalculation{
		UnitPrice: price, Share: share, ExchangeRate: rate, CycleMonths: c.CycleMonths, TermMonths: c.TermMonths,
		BillingDays: c.BillingDays, CycleDays: c.CycleDays, Quantity: c.Quantity, Credit: c.Credit, PerUnit: c.PerUnit, MinorDigits: c.MinorDigits,
	}.Units()
}

// bigRate is the path for numbers that 128 bits cannot hold.
func (c Calculation) bigRate() (Rated, error) {
	subtotal, err := c.bigSubtotal()
	if err != nil {
		return Rated{}, err
	}
	months, term := int64(c.CycleMonths), int64(c.TermMonths)
	rated := Rated{
		Subtotal:           subtotal,
		UnitPrice:          proratedShare(months, term, c.UnitPrice),
		EffectiveUnitPrice: proratedShare(months*int64(c.BillingDays), term*int64(c.CycleDays), c.UnitPrice, one.Sub(c.Discount)),
	}
	if c.Credit {
		rated.Subtotal = -rated.Subtotal
		rated.EffectiveUnitPrice = rated.EffectiveUnitPrice.Neg()
	}
	return rated, nil
}

// proratedShare returns the product of the factors x num/den, rounded half to even to
// the decimals of a printed price.
func proratedShare(num, den int64, factors ...decimal.Decimal) decimal.Decimal {
	above, below := big.NewInt(num), big.NewInt(den)
	for _, d := range factors {
		multiply(above, below, d)
	}
	return quotient(above, below, priceDecimals)
}

var one = decimal.NewFromInt(1)

// bigSubtotal truncates the amount, as [FixedCalculation.truncated] does.
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
