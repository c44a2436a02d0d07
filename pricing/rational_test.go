package pricing

import (
	"errors"
	"math/big"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// The slow twin: the formulas as the rules print them, on exact fractions,
// with nothing clever in it.

func ratOf(d decimal.Decimal) *big.Rat {
	r, ok := new(big.Rat).SetString(d.String())
	if !ok {
		panic(d.String())
	}
	return r
}

func times(factors ...*big.Rat) *big.Rat {
	product := big.NewRat(1, 1)
	for _, f := range factors {
		product.Mul(product, f)
	}
	return product
}

func tenTo(n int) *big.Rat {
	power := big.NewRat(1, 1)
	for range n {
		power.Mul(power, big.NewRat(10, 1))
	}
	return power
}

// whole drops what is behind the point, toward zero.
func whole(r *big.Rat) *big.Rat {
	return new(big.Rat).SetInt(new(big.Int).Quo(r.Num(), r.Denom()))
}

func ratUnitPrice(c Calculation) *big.Rat {
	return times(ratOf(c.UnitPrice), big.NewRat(int64(c.CycleMonths), int64(c.TermMonths)))
}

func ratEffective(c Calculation) *big.Rat {
	left := new(big.Rat).Sub(big.NewRat(1, 1), ratOf(c.Discount))
	return times(ratUnitPrice(c), left, big.NewRat(int64(c.BillingDays), int64(c.CycleDays)))
}

// ratSubtotal is in minor units, without the sign.
func ratSubtotal(c Calculation) *big.Rat {
	one, quantity := times(ratEffective(c), ratOf(c.ExchangeRate), tenTo(c.MinorDigits)), big.NewRat(c.Quantity, 1)
	if c.PerUnit {
		return times(whole(one), quantity)
	}
	return whole(times(one, quantity))
}

// ratHalfEven rounds a number that is not negative.
func ratHalfEven(r *big.Rat, places int) *big.Rat {
	scaled := times(r, tenTo(places))
	below := whole(scaled)
	above := new(big.Rat).Add(below, big.NewRat(1, 1))
	down, up := new(big.Rat).Sub(scaled, below), new(big.Rat).Sub(above, scaled)
	odd := below.Num().Bit(0) == 1
	if nearer := down.Cmp(up); nearer > 0 || nearer == 0 && odd {
		below = above
	}
	return below.Quo(below, tenTo(places))
}

func ratExchangeRate(pricing, billing decimal.Decimal) *big.Rat {
	rate := new(big.Rat).Quo(ratOf(pricing), ratOf(billing))
	places := 9
	for rate.Sign() > 0 && times(rate, tenTo(places-9)).Cmp(big.NewRat(1, 10)) < 0 {
		places++
	}
	return ratHalfEven(rate, places)
}

// inRange reports whether minor units have 18 digits at most.
func inRange(units *big.Rat) bool { return new(big.Rat).Abs(units).Cmp(tenTo(18)) < 0 }

// compareWithTwin holds all paths of a calculation against the twin.
func compareWithTwin(t interface{ Fatalf(string, ...any) }, c Calculation) {
	want := ratSubtotal(c)
	unit, effective := ratHalfEven(ratUnitPrice(c), 10), ratHalfEven(ratEffective(c), 10)
	billable := inRange(want)
	if c.Credit {
		want.Neg(want)
		effective.Neg(effective)
	}
	for name, path := range map[string]func() (Rated, error){"Rate": c.Rate, "bigRate": c.bigRate} {
		got, err := path()
		switch {
		case !billable:
			if !errors.Is(err, ErrAmountRange) {
				t.Fatalf("%s of %+v: got %+v, %v, the twin has %s", name, c, got, err, want.RatString())
			}
		case err != nil:
			t.Fatalf("%s of %+v: %v, the twin has %s", name, c, err, want.RatString())
		case big.NewRat(got.Subtotal, 1).Cmp(want) != 0 || ratOf(got.UnitPrice).Cmp(unit) != 0 || ratOf(got.EffectiveUnitPrice).Cmp(effective) != 0:
			t.Fatalf("%s of %+v: got %+v, the twin has %s, %s and %s", name, c, got, unit.FloatString(12), effective.FloatString(12), want.RatString())
		}
	}
	u, fast := c.Units()
	if !fast {
		return
	}
	printed := func(units int64) *big.Rat { return ratOf(decimal.New(units, -priceDecimals)) }
	if big.NewRat(u.Subtotal, 1).Cmp(want) != 0 || printed(u.UnitPrice).Cmp(unit) != 0 || printed(u.EffectiveUnitPrice).Cmp(effective) != 0 {
		t.Fatalf("Units of %+v: got %+v, the twin has %s, %s and %s", c, u, unit.FloatString(12), effective.FloatString(12), want.RatString())
	}
}

// wide is a coefficient of up to 128 bits times 10^exponent.
func wide(hi, lo uint64, exponent int) decimal.Decimal {
	coefficient := new(big.Int).SetUint64(hi)
	coefficient.Lsh(coefficient, 64).Or(coefficient, new(big.Int).SetUint64(lo))
	return decimal.NewFromBigInt(coefficient, int32(exponent))
}

// FuzzRateAgainstRationals compares the 128-bit path, the path on big integers
// and the twin, far beyond what a price sheet could hold: prices of up to 38
// digits, decimals of any length, quantities of up to 63 bits.
func FuzzRateAgainstRationals(f *testing.F) {
	const max64, maxQuantity = 1<<64 - 1, 1<<63 - 1
	type seed struct {
		priceHi, priceLo        uint64
		priceExponent           int8
		discount                uint64
		discountScale           uint8
		rate                    uint64
		rateScale, months, term uint8
		billingDays, cycleDays  uint16
		quantity                int64
		digits                  uint8
		credit, perUnit         bool
	}
	for _, s := range []seed{
		{priceLo: 1008, priceExponent: -2, rate: 1, billingDays: 27, cycleDays: 29, quantity: 10, digits: 2, perUnit: true},
		{priceLo: 12096, priceExponent: -2, rate: 1, term: 1, billingDays: 27, cycleDays: 29, quantity: 12, digits: 2, credit: true},
		{priceLo: 52200, rate: 1, term: 1, billingDays: 6, cycleDays: 30, quantity: 10},
		{priceLo: 23460, priceExponent: -2, rate: 307408546, rateScale: 9, term: 1, billingDays: 30, cycleDays: 30, quantity: 18, digits: 3, perUnit: true},
		{priceLo: 240, discount: 125, discountScale: 3, rate: 846202666, rateScale: 9, months: 11, term: 1, billingDays: 16, cycleDays: 364, quantity: 9, digits: 2},
		{priceLo: 720, rate: 1, months: 5, term: 2, billingDays: 183, cycleDays: 1095, quantity: 3, digits: 4},
		{priceLo: 5, priceExponent: -11, rate: 1, billingDays: 0, cycleDays: 0, quantity: 1, digits: 2},
		{priceLo: 999_999_999_999_999_999, priceExponent: -2, rate: 1, quantity: 1, digits: 2},                                             // 18 digits
		{priceLo: 999_999_999_999_999_999, priceExponent: -1, rate: 1, quantity: 1, digits: 2},                                             // a digit too many
		{priceLo: 1_234_567_890_123_456_789, priceExponent: -9, rate: 1, quantity: 1, digits: 2},                                           // 19 digits
		{priceHi: 669_260_594, priceLo: 5, priceExponent: -20, rate: 1, quantity: 1, digits: 3, perUnit: true},                             // 29 digits
		{priceHi: 6_692_605_942, priceLo: 1, priceExponent: -24, rate: 3, rateScale: 1, quantity: 100_000, digits: 4},                      // 30 digits
		{priceHi: max64, priceLo: max64, priceExponent: -20, rate: max64, rateScale: 19, quantity: maxQuantity, digits: 4},                 // overflows everything
		{priceLo: 999_999_999_999_999_999, priceExponent: -18, rate: 999_999_999_999_999_999, rateScale: 18, quantity: 1, digits: 2},       // fits 128 bits by a hair
		{priceLo: 100_000_000_000_000_000, priceExponent: 24, rate: 1, quantity: 0, digits: 2},                                             // nothing of very much
		{priceLo: 1, priceExponent: -24, rate: 1, rateScale: 19, quantity: maxQuantity, digits: 0},                                         // very much of nothing
		{priceLo: 200_000_000_000_000_101, priceExponent: -8, discount: 77_662_796_314_522_885, discountScale: 18, rate: 1, rateScale: 19}, // rounds up to 2^64
		{priceLo: 1 << 59, priceExponent: -2, rate: 128, quantity: 1 << 62, digits: 2, perUnit: true},                                      // 2^128, which wraps to 0
		{priceLo: max64, priceExponent: -10, rate: 1, quantity: 1, digits: 2},
	} {
		f.Add(s.priceHi, s.priceLo, s.priceExponent, s.discount, s.discountScale, s.rate, s.rateScale, s.months, s.term,
			s.billingDays, s.cycleDays, s.quantity, s.digits, s.credit, s.perUnit)
	}
	f.Fuzz(func(t *testing.T, priceHi, priceLo uint64, priceExponent int8, discount uint64, discountScale uint8, rate uint64, rateScale, months, term uint8,
		billingDays, cycleDays uint16, quantity int64, digits uint8, credit, perUnit bool) {
		c := Calculation{
			UnitPrice:    wide(priceHi, priceLo, int(priceExponent%25)),
			TermMonths:   []int{1, 12, 36}[term%3],
			CycleDays:    1 + int(cycleDays%1096),
			ExchangeRate: wide(0, rate, -int(rateScale%20)),
			Quantity:     quantity & maxQuantity,
			MinorDigits:  int(digits % 5),
			Credit:       credit, PerUnit: perUnit,
		}
		c.CycleMonths = 1 + int(months)%c.TermMonths
		c.BillingDays = 1 + int(billingDays)%c.CycleDays
		scale := discountScale % 20
		if power, _ := pow10(int(scale)); power > 0 {
			c.Discount = wide(0, discount%(power+1), -int(scale)) // 0 to 1
		}
		compareWithTwin(t, c)
	})
}

// FuzzExchangeRateAgainstRationals compares the rates, which are rounded, with
// those of the twin.
func FuzzExchangeRateAgainstRationals(f *testing.F) {
	f.Add(uint64(119), uint8(2), uint64(1), uint8(0))
	f.Add(uint64(3953), uint8(8), uint64(3253), uint8(3))
	f.Add(uint64(10_000_000_005), uint8(10), uint64(1), uint8(0))
	f.Add(uint64(1_234_567_885), uint8(11), uint64(1), uint8(0))
	f.Add(uint64(9_999_999_999), uint8(11), uint64(1), uint8(0))
	f.Add(uint64(1), uint8(19), uint64(1<<64-1), uint8(0))
	f.Add(uint64(1<<64-1), uint8(0), uint64(1), uint8(19))
	f.Add(uint64(0), uint8(0), uint64(1), uint8(0))
	f.Fuzz(func(t *testing.T, pricing uint64, pricingScale uint8, billing uint64, billingScale uint8) {
		if billing == 0 {
			t.Skip("a currency is worth something")
		}
		from, to := wide(0, pricing, -int(pricingScale%20)), wide(0, billing, -int(billingScale%20))
		got, want := ExchangeRate(from, to), ratExchangeRate(from, to)
		if ratOf(got).Cmp(want) != 0 {
			t.Fatalf("%s / %s: got %s, the twin has %s", from, to, got, want.RatString())
		}
	})
}

func TestRateAgainstRationals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCalculation(t)
		c.Credit = rapid.Bool().Draw(t, "credit")
		if rapid.Bool().Draw(t, "long decimals") { // around the edge of 64 and 128 bits
			c.UnitPrice = decimal.New(rapid.Int64Range(1, amountLimit).Draw(t, "long price"), -rapid.Int32Range(10, 18).Draw(t, "its scale"))
			scale := rapid.IntRange(3, 18).Draw(t, "scale of the discount")
			power, _ := pow10(scale)
			c.Discount = decimal.New(rapid.Int64Range(0, int64(power)).Draw(t, "long discount"), -int32(scale))
		}
		compareWithTwin(t, c)
	})
}

func TestTaxAgainstRationals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		subtotal := rapid.Int64Range(-amountLimit+1, amountLimit-1).Draw(t, "subtotal")
		rate := decimal.New(rapid.Int64Range(0, 2_000_000).Draw(t, "rate"), -6)
		want := whole(times(big.NewRat(subtotal, 1), ratOf(rate)))
		fixed, _ := FixedOf(rate)
		if units, fast := TaxUnits(subtotal, fixed); fast && big.NewRat(units, 1).Cmp(want) != 0 {
			t.Fatalf("TaxUnits of %d at %s: got %d, the twin has %s", subtotal, rate, units, want.RatString())
		}
		got, err := Tax(subtotal, rate)
		if !inRange(want) {
			if !errors.Is(err, ErrAmountRange) {
				t.Fatalf("%d at %s: got %d, %v, the twin has %s", subtotal, rate, got, err, want.RatString())
			}
			return
		}
		if err != nil || big.NewRat(got, 1).Cmp(want) != 0 {
			t.Fatalf("%d at %s: got %d, %v, the twin has %s", subtotal, rate, got, err, want.RatString())
		}
	})
}

// Both paths are really taken, each by the numbers that it is there for.
func TestPathsTaken(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		c              Calculation
		discount, rate string
		fast           bool
	}{
		{"a price of a sheet", charge("120.96", "1/12", "28/30", 10), "0", "1", true},
		{"with a promotion and a rate", charge("234.6", "1/12", "17/31", 300), "0.15", "0.846202666", true},
		{"the sheet's six decimals, three years, many seats", charge("12345.678901", "1/36", "30/31", 1_000_000), "0.125", "0.000012151", true},
		{"a price in thousands", charge("12e3", "1/12", "28/30", 10), "0", "1", true},
		{"a zero of another exponent", charge("120.96", "1/12", "28/30", 10), "0e1", "1", true},
		{"all of it off", charge("120.96", "1/12", "28/30", 10), "1", "1", true},
		{"a price of nine digits", charge("400000000.99", "1/1", "30/30", 1), "0", "1", true},
		{"a printed price beyond 64 bits", charge("4000000000.99", "1/1", "30/30", 1), "0", "1", false},
		{"18 digits", charge("9999999999999999.99", "1/1", "30/30", 1), "0", "1", false},
		{"19 digits", charge("99999999999999999.99", "1/1", "30/30", 1), "0", "1", false},
		{"30 digits", charge("12.3456789012345678901234567890", "1/1", "30/30", 1), "0", "1", false},
		{"a discount of 19 digits", charge("10", "1/1", "30/30", 1), "0.1234567890123456789", "1", false},
		{"a rate of 20 digits", charge("10", "1/1", "30/30", 1), "0", "1.2345678901234567891", false},
		{"a divisor beyond 64 bits", charge("10.123456", "1/1", "30/30", 1), "0.123456", "0.123456789", false},
		{"a product beyond 128 bits", charge("9999999999999999.99", "1/1", "30/30", 9_000_000_000_000_000_000), "0", "999999", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := test.c
			c.Discount, c.ExchangeRate = dec(test.discount), dec(test.rate)
			if _, fast := c.Units(); fast != test.fast {
				t.Errorf("%+v: in 128 bits %t, want %t", c, fast, test.fast)
			}
			compareWithTwin(t, c)
		})
	}
	if _, fast := FixedOf(dec("-1")); fast {
		t.Error("a negative number fits an unsigned one")
	}
}
