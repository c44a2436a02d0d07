package pricing

import (
	"errors"
	"fmt"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

// share reads "28/30".
func share(s string) (part, whole int) {
	if _, err := fmt.Sscanf(s, "%d/%d", &part, &whole); err != nil {
		panic(err)
	}
	return part, whole
}

// charge is a calculation in a currency of two digits at a rate of 1.
func charge(price, months, days string, quantity int64) Calculation {
	c := Calculation{UnitPrice: dec(price), ExchangeRate: dec("1"), Quantity: quantity, MinorDigits: 2}
	c.CycleMonths, c.TermMonths = share(months)
	c.BillingDays, c.CycleDays = share(days)
	return c
}

// amount prints what the calculation comes to under a policy.
func amount(c Calculation, perUnit bool) string {
	c.PerUnit = perUnit
	rated, err := c.Rate()
	if err != nil {
		return err.Error()
	}
	return FormatMinor(rated.Subtotal, c.MinorDigits)
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, price, months, days string
		discount, rate, currency  string
		quantity                  int64
		unit, line                string
	}{
		// The tables of https://learn.microsoft.com/partner-center/common-billing-scenarios-onetime-recurring
		{"a full cycle", "10.08", "1/1", "30/30", "", "", "EUR", 10, "100.80", "100.80"},
		{"a year prepaid", "120.96", "12/12", "365/365", "", "", "EUR", 10, "1209.60", "1209.60"},
		{"a twelfth of a year", "120.96", "1/12", "31/31", "", "", "EUR", 10, "100.80", "100.80"},
		{"a third of three years", "750", "12/36", "365/365", "", "", "USD", 10, "2500.00", "2500.00"},
		{"seats: 10 for 28 of 30 days", "10.08", "1/1", "28/30", "", "", "EUR", 10, "94.00", "94.08"},
		{"seats: 12 for 28 of 30 days", "10.08", "1/1", "28/30", "", "", "EUR", 12, "112.80", "112.89"},
		{"seats: 8 for 28 of 30 days", "10.08", "1/1", "28/30", "", "", "EUR", 8, "75.20", "75.26"},
		{"cancelled on the third of 31 days", "10.08", "1/1", "29/31", "", "", "EUR", 10, "94.20", "94.29"},
		{"upgrade: 300 seats at 7.728", "10.08", "1/1", "23/30", "", "", "EUR", 300, "2316.00", "2318.40"},
		{"upgrade: their target", "6.43", "1/1", "23/30", "", "", "EUR", 300, "1476.00", "1478.90"},

		{"a stub of 17 of 31 days", "120", "1/12", "17/31", "", "", "EUR", 25, "137.00", "137.09"},
		{"half a year to the anniversary", "720", "6/36", "184/184", "", "", "EUR", 3, "360.00", "360.00"},
		{"a third that never ends", "100", "1/3", "30/30", "", "", "EUR", 3, "99.99", "100.00"},
		{"a tenth is not 9 hundredths", "0.3", "1/3", "30/30", "", "", "EUR", 1, "0.10", "0.10"},
		{"parts of a cent count by line", "0.009", "1/1", "30/30", "", "", "EUR", 1000, "0.00", "9.00"},
		{"one short of the next cent", "0.019999999999", "1/1", "30/30", "", "", "EUR", 1, "0.01", "0.01"},
		{"a price of zero", "0", "1/1", "30/30", "", "", "EUR", 25, "0.00", "0.00"},
		{"a price in thousands", "12e3", "1/12", "30/30", "", "", "EUR", 2, "2000.00", "2000.00"},
		{"no seats", "10.08", "1/1", "30/30", "", "", "EUR", 0, "0.00", "0.00"},

		{"15 % off", "240", "1/12", "31/31", "0.15", "", "EUR", 10, "170.00", "170.00"},
		{"12.5 % off, prorated", "240", "1/12", "17/31", "0.125", "", "EUR", 10, "95.90", "95.96"},
		{"all of it off", "240", "1/12", "31/31", "1", "", "EUR", 10, "0.00", "0.00"},
		{"a discount is not rounded", "100", "1/1", "30/30", "0.333333333333", "", "EUR", 3, "199.98", "200.00"},

		{"yen have no decimals", "52200", "1/12", "7/31", "", "", "JPY", 10, "9820", "9822"},
		{"won neither", "10.08", "1/1", "30/30", "", "1383.29", "KRW", 3, "41829", "41830"},
		{"dinars have three", "234.60", "1/12", "31/31", "", "0.307408546", "KWD", 18, "108.162", "108.177"},
		{"rupiahs have two", "10.08", "1/1", "28/30", "", "15987.25", "IDR", 10, "1504080.40", "1504080.48"},
		{"a rate of many digits", "10.08", "1/1", "30/30", "", "0.846202666", "EUR", 10, "85.20", "85.29"},
		{"a rate far below one", "1000000", "1/1", "30/30", "", "0.0000393512345", "USD", 7, "275.45", "275.45"},
		{"everything at once", "234.60", "1/12", "17/31", "0.15", "0.846202666", "EUR", 9, "69.39", "69.40"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := charge(test.price, test.months, test.days, test.quantity)
			c.MinorDigits, _ = MinorDigits(test.currency)
			if test.discount != "" {
				c.Discount = dec(test.discount)
			}
			if test.rate != "" {
				c.ExchangeRate = dec(test.rate)
			}
			if got := amount(c, true); got != test.unit {
				t.Errorf("by unit: got %s, want %s\n%+v", got, test.unit, c)
			}
			if got := amount(c, false); got != test.line {
				t.Errorf("by line: got %s, want %s\n%+v", got, test.line, c)
			}
			// A credit is the same, negated: truncated toward zero, not down.
			c.Credit = true
			for perUnit, want := range map[bool]string{true: test.unit, false: test.line} {
				if dec(want).Sign() != 0 {
					want = "-" + want
				}
				if got := amount(c, perUnit); got != want {
					t.Errorf("credit, by unit %t: got %s, want %s\n%+v", perUnit, got, want, c)
				}
			}
		})
	}
}

func TestRoundingPolicies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		policy         Rounding
		seatPair       bool
		perUnit        bool
		twelveForADate string // 12 seats at 9.408
	}{
		{Documented, true, false, "112.89"},
		{Documented, false, true, "112.80"},
		{Unit, true, true, "112.80"},
		{Unit, false, true, "112.80"},
		{WholeLine, true, false, "112.89"},
		{WholeLine, false, false, "112.89"},
	}
	for _, test := range tests {
		perUnit := test.policy.PerUnit(test.seatPair)
		if got := amount(charge("10.08", "1/1", "28/30", 12), perUnit); perUnit != test.perUnit || got != test.twelveForADate {
			t.Errorf("%s, line of a seat change %t: by unit %t, %s, want %t, %s", test.policy, test.seatPair, perUnit, got, test.perUnit, test.twelveForADate)
		}
	}
}

func TestPrintedPrices(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, price, months, days, discount string
		unit, effective                     string
	}{
		{"no trailing zeros", "10.0800", "1/1", "30/30", "0", "10.08", "10.08"},
		{"whole units", "120", "1/12", "30/30", "0", "10", "10"},
		{"the unit price is of a full cycle, before the discount", "240", "1/12", "28/30", "0.15", "20", "15.8666666667"},
		{"prorated", "10.08", "1/1", "28/30", "0", "10.08", "9.408"},
		{"a third", "100", "1/3", "30/30", "0", "33.3333333333", "33.3333333333"},
		{"two thirds", "200", "1/3", "30/30", "0", "66.6666666667", "66.6666666667"},
		{"16 of 31 days", "9.60", "1/1", "16/31", "0", "9.6", "4.9548387097"},
		{"half to an even zero", "0.00000000005", "1/1", "1/1", "0", "0", "0"},
		{"half to an even two, up", "0.00000000015", "1/1", "1/1", "0", "0.0000000002", "0.0000000002"},
		{"half to an even two, down", "0.00000000025", "1/1", "1/1", "0", "0.0000000002", "0.0000000002"},
		{"more than half", "0.000000000250001", "1/1", "1/1", "0", "0.0000000003", "0.0000000003"},
		{"less than half", "0.000000000149999", "1/1", "1/1", "0", "0.0000000001", "0.0000000001"},
		{"half by days", "0.0000000003", "1/1", "15/30", "0", "0.0000000003", "0.0000000002"},
		{"half of a long price", "12345678901234567890.00000000005", "1/1", "1/1", "0", "12345678901234567890", "12345678901234567890"},
		{"half of a long price, up", "12345678901234567890.00000000015", "1/1", "1/1", "0", "12345678901234567890.0000000002", "12345678901234567890.0000000002"},
		{"all of it off", "240", "1/12", "31/31", "1", "20", "0"},
		{"a divisor of more than 63 bits", "1.20000000108001", "1/12", "1/1", "0.00000000000001", "0.1000000001", "0.1000000001"},
		{"a divisor of more than 64 bits", "1.20000000108001", "1/12", "31/31", "0.00000000000001", "0.1000000001", "0.1000000001"},
		// 2^64 - 0.3 and the like in the last place: rounded up, it must not wrap around.
		{"as large as 64 bits", "2000000000.00000101", "1/1", "1/1", "0.077662796314522885", "2000000000.00000101", "1844674407.3709551616"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := charge(test.price, test.months, test.days, 0)
			c.Discount = dec(test.discount)
			for _, c.Credit = range []bool{false, true} {
				rated, err := c.Rate()
				if err != nil {
					t.Fatal(err)
				}
				want := test.effective
				if c.Credit && want != "0" {
					want = "-" + want
				}
				if rated.UnitPrice.String() != test.unit || rated.EffectiveUnitPrice.String() != want {
					t.Errorf("credit %t: got %s and %s, want %s and %s\n%+v", c.Credit, rated.UnitPrice, rated.EffectiveUnitPrice, test.unit, want, c)
				}
			}
		})
	}
}

func TestAmountRange(t *testing.T) {
	t.Parallel()
	const most, refused = "9999999999999999.99", "amount has more than 18 digits"
	tests := []struct {
		name, price string
		quantity    int64
		unit, line  string
	}{
		{"18 digits", "9999999999999999.99", 1, most, most},
		{"18 digits, on the slow path", "9999999999999999.9900000000000", 1, most, most},
		{"18 digits and parts of a cent", "9999999999999999.9999", 1, most, most},
		{"19 digits", "10000000000000000", 1, refused, refused},
		{"19 digits, on the slow path", "10000000000000000.0000000000000", 1, refused, refused},
		{"19 digits by quantity", "5000000000000000", 2, refused, refused},
		{"19 digits by quantity, on the slow path", "5000000000000000.0000000000000", 2, refused, refused},
		{"parts of a cent make a difference", "4999999999999999.999", 2, "9999999999999999.98", most},
		{"19 digits by parts of a cent", "4999999999999999.99999", 200_000_000_000, refused, refused},
		{"64 bits are exceeded", "1000000000", 1_000_000_000_000_000_000, refused, refused},
		{"64 bits are exceeded by little", "18500000000", 10_000_000, refused, refused},
		{"63 bits are exceeded", "100000000000000000", 1, refused, refused},
		{"128 bits are exceeded", "123456789012345678901234567890", 9_000_000_000_000_000_000, refused, refused},
		{"a huge quantity of nothing", "0", 9_000_000_000_000_000_000, "0.00", "0.00"},
		{"a huge quantity of parts of a cent", "0.0000000001", 9_000_000_000_000_000_000, "0.00", "900000000.00"},
		{"a huge price with long decimals", "1234567890.123456789012345678", 1, "1234567890.12", "1234567890.12"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := charge(test.price, "1/1", "30/30", test.quantity)
			if got := amount(c, true); got != test.unit {
				t.Errorf("%s x %d by unit: got %s, want %s", test.price, test.quantity, got, test.unit)
			}
			if got := amount(c, false); got != test.line {
				t.Errorf("%s x %d by line: got %s, want %s", test.price, test.quantity, got, test.line)
			}
			if test.line == refused {
				if got, err := c.Rate(); !errors.Is(err, ErrAmountRange) || got != (Rated{}) {
					t.Errorf("%s x %d: got %+v, %v, want nothing and ErrAmountRange", test.price, test.quantity, got, err)
				}
			}
		})
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		amount string
		digits int
		want   string
	}{
		{"112.899", 2, "11289"}, {"-112.899", 2, "-11289"}, {"0.009", 2, "0"}, {"-0.009", 2, "0"}, {"12.5", 2, "1250"}, {"12", 3, "12000"},
		{"4359.99", 0, "4359"}, {"-4359.99", 0, "-4359"}, {"1.23456", 4, "12345"}, {"12e3", 2, "1200000"},
		{"9999999999999999.999", 2, "999999999999999999"}, {"-9999999999999999.999", 2, "-999999999999999999"},
		{"10000000000000000", 2, "amount has more than 18 digits"}, {"-10000000000000000", 2, "amount has more than 18 digits"},
		{"1e30", 0, "amount has more than 18 digits"},
	}
	for _, test := range tests {
		units, err := Truncate(dec(test.amount), test.digits)
		got := fmt.Sprint(units)
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s to %d digits: got %s, want %s", test.amount, test.digits, got, test.want)
		}
	}
}

func TestTax(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		subtotal int64
		rate     string
		want     string
	}{
		{"truncated, not rounded", 24850, "0.21", "5218"},
		{"a credit's is truncated toward zero", -21654, "0.21", "-4547"},
		{"no rate", 112200, "0", "0"},
		{"a rate of 0.00", 112200, "0.00", "0"},
		{"exact", 10000, "0.19", "1900"},
		{"below one unit", 4, "0.21", "0"},
		{"below one unit of a credit", -4, "0.21", "0"},
		{"yen", 4359, "0.1", "435"},
		{"a fine rate", 100000, "0.0825", "8250"},
		{"the most", 999_999_999_999_999_999, "0.999999999999999999", "999999999999999998"},
		{"out of range", 999_999_999_999_999_999, "1.1", "amount has more than 18 digits"},
		{"out of range below", -999_999_999_999_999_999, "1.1", "amount has more than 18 digits"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tax, err := Tax(test.subtotal, dec(test.rate))
			got := fmt.Sprint(tax)
			if err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("%d at %s: got %s, want %s", test.subtotal, test.rate, got, test.want)
			}
		})
	}
}

func TestExchangeRate(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, pricing, billing, want string }{
		{"the same currency", "1.19", "1.19", "1"},
		{"to USD it is the table's own number", "1.19", "1", "1.19"},
		{"from USD", "1", "1.19", "0.840336134"},
		{"to a dearer one", "1", "3.253", "0.307408546"},
		{"from a dearer one", "3.253", "1.19", "2.733613445"},
		{"9 decimals above one too", "1", "0.0000621", "16103.05958132"},
		{"half to an even zero", "1.0000000005", "1", "1"},
		{"half to an even two, up", "1.0000000015", "1", "1.000000002"},
		{"half to an even two, down", "1.0000000025", "1", "1.000000002"},
		{"more than half", "1.00000000250001", "1", "1.000000003"},

		{"a tenth has 9 decimals", "0.1000000005", "1", "0.1"},
		{"a tenth and more", "0.1234567895", "1", "0.12345679"},
		{"below a tenth: 9 significant digits", "0.0123456789012", "1", "0.0123456789"},
		{"yen in USD", "0.0067123456789", "1", "0.00671234568"},
		{"a hundredth has 10 decimals", "0.01", "1", "0.01"},
		{"a hundredth and a bit", "0.01000000005", "1", "0.01"},
		{"dong in dinars", "0.00003953", "3.253", "0.0000121518598"},
		{"half to even at the ninth digit, down", "0.01234567885", "1", "0.0123456788"},
		{"half to even at the ninth digit, up", "0.01234567875", "1", "0.0123456788"},
		{"rounded up to a tenth", "0.09999999999", "1", "0.1"},
		{"numbers in thousands", "1e3", "1e5", "0.01"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := ExchangeRate(dec(test.pricing), dec(test.billing)).String(); got != test.want {
				t.Errorf("%s / %s: got %s, want %s", test.pricing, test.billing, got, test.want)
			}
		})
	}
}

// drawCalculation draws a line of realistic size.
func drawCalculation(t *rapid.T) Calculation {
	term := rapid.SampledFrom([]int{1, 12, 36}).Draw(t, "term")
	days := rapid.SampledFrom([]int{28, 29, 30, 31, 365, 366, 1095, 1096}).Draw(t, "days")
	return Calculation{
		UnitPrice:   decimal.New(rapid.Int64Range(0, 10_000_000_000).Draw(t, "price"), -rapid.Int32Range(0, 8).Draw(t, "scale")),
		CycleMonths: rapid.IntRange(1, term).Draw(t, "months"), TermMonths: term,
		Discount:    decimal.New(rapid.Int64Range(0, 1000).Draw(t, "discount"), -3),
		BillingDays: rapid.IntRange(1, days).Draw(t, "billed"), CycleDays: days,
		ExchangeRate: decimal.New(rapid.Int64Range(1, 2_000_000_000).Draw(t, "rate"), -9),
		Quantity:     rapid.Int64Range(1, 100_000).Draw(t, "quantity"),
		PerUnit:      rapid.Bool().Draw(t, "per unit"),
		MinorDigits:  rapid.SampledFrom([]int{0, 2, 3, 4}).Draw(t, "digits"),
	}
}

// subtotalOf rates the calculation for a quantity and a number of days.
func subtotalOf(t *rapid.T, c Calculation, quantity int64, days int) int64 {
	c.Quantity, c.BillingDays = quantity, days
	rated, err := c.Rate()
	if err != nil {
		t.Skip("out of range")
	}
	return rated.Subtotal
}

func TestMoreNeverCostsLess(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCalculation(t)
		before := subtotalOf(t, c, c.Quantity, c.BillingDays)
		if got := subtotalOf(t, c, c.Quantity+1, c.BillingDays); got < before {
			t.Fatalf("%+v: a seat more costs %d, not %d", c, got, before)
		}
		if c.BillingDays == c.CycleDays {
			return
		}
		if got := subtotalOf(t, c, c.Quantity, c.BillingDays+1); got < before {
			t.Fatalf("%+v: a day more costs %d, not %d", c, got, before)
		}
	})
}

// Two parts never cost more than the whole, and less by what one more
// truncation can take: a minor unit for a line, one for each licence per unit.
func TestPartsAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCalculation(t)
		a, b := rapid.Int64Range(1, 50_000).Draw(t, "a"), rapid.Int64Range(1, 50_000).Draw(t, "b")
		atMost := int64(1)
		if c.PerUnit {
			atMost = 0 // whole minor units, times the quantity
		}
		whole := subtotalOf(t, c, a+b, c.BillingDays)
		if lost := whole - subtotalOf(t, c, a, c.BillingDays) - subtotalOf(t, c, b, c.BillingDays); lost < 0 || lost > atMost {
			t.Fatalf("%+v: %d and %d seats lose %d of %d, at most %d", c, a, b, lost, whole, atMost)
		}

		first := rapid.IntRange(1, c.CycleDays-1).Draw(t, "first days")
		atMost = 1
		if c.PerUnit {
			atMost = c.Quantity
		}
		whole = subtotalOf(t, c, c.Quantity, c.CycleDays)
		if lost := whole - subtotalOf(t, c, c.Quantity, first) - subtotalOf(t, c, c.Quantity, c.CycleDays-first); lost < 0 || lost > atMost {
			t.Fatalf("%+v: the first %d days and the others lose %d of %d, at most %d", c, first, lost, whole, atMost)
		}
	})
}

// Truncation by unit never charges more than by line, and less than a minor
// unit for each licence.
func TestUnitIsBelowLine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCalculation(t)
		c.PerUnit = true
		unit := subtotalOf(t, c, c.Quantity, c.BillingDays)
		c.PerUnit = false
		if line := subtotalOf(t, c, c.Quantity, c.BillingDays); unit > line || line-unit >= c.Quantity {
			t.Fatalf("%+v: %d by unit, %d by line", c, unit, line)
		}
	})
}

func TestACreditIsTheChargeNegated(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCalculation(t)
		plus, err := c.Rate()
		if err != nil {
			t.Skip("out of range")
		}
		c.Credit = true
		minus, err := c.Rate()
		if err != nil || minus.Subtotal != -plus.Subtotal || !minus.EffectiveUnitPrice.Equal(plus.EffectiveUnitPrice.Neg()) || !minus.UnitPrice.Equal(plus.UnitPrice) {
			t.Fatalf("%+v: got %+v, %v, the charge is %+v", c, minus, err, plus)
		}
		rate := decimal.New(rapid.Int64Range(0, 10_000).Draw(t, "tax"), -4)
		up, err1 := Tax(plus.Subtotal, rate)
		down, err2 := Tax(minus.Subtotal, rate)
		if err1 != nil || err2 != nil || up != -down {
			t.Fatalf("tax at %s on %d: %d, %v, on %d: %d, %v", rate, plus.Subtotal, up, err1, minus.Subtotal, down, err2)
		}
	})
}

func TestExchangeRateOfTheSameIsOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		worth := decimal.New(rapid.Int64Min(1).Draw(t, "worth"), rapid.Int32Range(-18, 3).Draw(t, "exponent"))
		if got := ExchangeRate(worth, worth).String(); got != "1" {
			t.Fatalf("%s / %s = %s", worth, worth, got)
		}
	})
}
