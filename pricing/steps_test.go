package pricing_test

import (
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/calends/calends/pricing"
)

func TestSteps(t *testing.T) {
	t.Parallel()
	year := func(price string) pricing.Calculation {
		return pricing.Calculation{UnitPrice: decimal.RequireFromString(price), CycleMonths: 1, TermMonths: 12,
			BillingDays: 31, CycleDays: 31, ExchangeRate: decimal.NewFromInt(1), Quantity: 1, PerUnit: true, MinorDigits: 2}
	}
	with := func(c pricing.Calculation, set func(*pricing.Calculation)) pricing.Calculation {
		set(&c)
		return c
	}
	tests := []struct {
		name string
		c    pricing.Calculation
		want []string
	}{
		{"the days that are billed", with(year("120.96"), func(c *pricing.Calculation) { c.BillingDays, c.CycleDays, c.Quantity = 28, 30, 10 }),
			[]string{"120.96 x 1/12 = 10.08", "10.08 x 28/30 = 9.408", "9.408, cut to 2 decimals = 9.40, cut off 0.008", "9.40 x 10 = 94.00"}},
		{"a seat change cuts the line", with(year("119.34"), func(c *pricing.Calculation) { c.BillingDays, c.Quantity, c.PerUnit = 27, 30, false }),
			[]string{"119.34 x 1/12 = 9.945", "9.945 x 27/31 = 8.6617741935...", "8.6617741935... x 30 = 259.8532258064...",
				"259.8532258064..., cut to 2 decimals = 259.85, cut off 0.0032258064..."}},
		{"a credit is negative and cut toward zero", with(year("119.34"), func(c *pricing.Calculation) {
			c.BillingDays, c.Quantity, c.PerUnit, c.Credit = 27, 25, false, true
		}),
			[]string{"119.34 x 1/12 = 9.945", "9.945 x 27/31 x -1 = -8.6617741935...", "-8.6617741935... x 25 = -216.5443548387...",
				"-216.5443548387..., cut to 2 decimals = -216.54, cut off -0.0043548387..."}},
		{"the promotion comes off the cycle's price", with(year("240"), func(c *pricing.Calculation) { c.Discount = decimal.RequireFromString("0.05") }),
			[]string{"240 x 1/12 = 20", "20 x (1 - 0.05) x 31/31 = 19", "19, cut to 2 decimals = 19.00", "19.00 x 1 = 19.00"}},
		{"another currency with three decimals", with(year("234.60"), func(c *pricing.Calculation) {
			c.ExchangeRate, c.MinorDigits, c.Quantity = decimal.RequireFromString("0.307408546"), 3, 18
		}),
			[]string{"234.6 x 1/12 = 19.55", "19.55 x 31/31 = 19.55", "19.55 x 0.307408546 = 6.0098370743", "6.0098370743, cut to 3 decimals = 6.009, cut off 0.0008370743",
				"6.009 x 18 = 108.162"}},
		{"yen have no decimals", with(year("52200"), func(c *pricing.Calculation) { c.MinorDigits, c.BillingDays = 0, 7 }),
			[]string{"52200 x 1/12 = 4350", "4350 x 7/31 = 982.2580645161...", "982.2580645161..., cut to 0 decimals = 982, cut off 0.2580645161...", "982 x 1 = 982"}},
		{"the whole term in one cycle", with(year("240"), func(c *pricing.Calculation) { c.CycleMonths, c.BillingDays, c.CycleDays = 12, 360, 366 }),
			[]string{"240 = 240", "240 x 360/366 = 236.0655737704...", "236.0655737704..., cut to 2 decimals = 236.06, cut off 0.0055737704...", "236.06 x 1 = 236.06"}},
		{"a credit to the customer has no cycle", pricing.Calculation{UnitPrice: decimal.RequireFromString("150"), CycleMonths: 1, TermMonths: 1,
			BillingDays: 1, CycleDays: 1, ExchangeRate: decimal.NewFromInt(1), Quantity: 1, Credit: true, PerUnit: true, MinorDigits: 2},
			[]string{"150 = 150", "150 x -1 = -150", "-150, cut to 2 decimals = -150.00", "-150.00 x 1 = -150.00"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, s := range test.c.Steps() {
				got = append(got, s.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("steps of %+v\n got %s\nwant %s", test.c, strings.Join(got, "\n     "), strings.Join(test.want, "\n     "))
			}
		})
	}
}

func TestTaxSteps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		subtotal   int64
		rate       string
		digits     int
		tax, total string
	}{
		{"tax is cut, not rounded", 24850, "0.21", 2, "248.50 x 0.21, cut to 2 decimals = 52.18, cut off 0.005", "248.50 + 52.18 = 300.68"},
		{"a credit's tax is negative", -21654, "0.21", 2, "-216.54 x 0.21, cut to 2 decimals = -45.47, cut off -0.0034", "-216.54 - 45.47 = -262.01"},
		{"no tax", 112200, "0", 2, "1122.00 x 0 = 0.00", "1122.00 + 0.00 = 1122.00"},
		{"no decimals", 4359, "0.1", 0, "4359 x 0.1, cut to 0 decimals = 435, cut off 0.9", "4359 + 435 = 4794"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			steps := pricing.TaxSteps(test.subtotal, decimal.RequireFromString(test.rate), test.digits)
			if got := steps[0].String(); got != test.tax {
				t.Errorf("tax: got %q, want %q", got, test.tax)
			}
			if got := steps[1].String(); got != test.total {
				t.Errorf("total: got %q, want %q", got, test.total)
			}
		})
	}
}

func TestExactText(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"0": "0", "1/4": "0.25", "-1/4": "-0.25", "2/3": "0.6666666666...", "-2/3": "-0.6666666666...", "100": "100",
		"1/10000000000": "0.0000000001", "1/30000000000": "0.0000000000...", "-1/30000000000": "-0.0000000000...",
	} {
		r, _ := new(big.Rat).SetString(value)
		if got := pricing.ExactText(r); got != want {
			t.Errorf("ExactText(%s) = %q, want %q", value, got, want)
		}
	}
}

// The steps and the fast calculation are twins: the same amount to the minor
// unit, and the printed prices are the exact ones rounded.
func TestStepsAgreeWithRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCalculation(t)
		rated, err := c.Rate()
		if err != nil {
			t.Skip("more than 18 digits")
		}
		steps := c.Steps()
		last := steps[len(steps)-1]
		if last.Name != pricing.StepSubtotal {
			t.Fatalf("the last step is %q", last.Name)
		}
		if got, want := last.Text(), pricing.FormatMinor(rated.Subtotal, c.MinorDigits); got != want {
			t.Fatalf("subtotal of %+v: steps give %s, Rate %s", c, got, want)
		}
		for _, s := range steps {
			switch s.Name {
			case pricing.StepCycle:
				sameToTenDecimals(t, s, rated.UnitPrice)
			case pricing.StepEffective:
				sameToTenDecimals(t, s, rated.EffectiveUnitPrice)
			}
		}
		rate := decimal.New(rapid.Int64Range(0, 10_000).Draw(t, "tax"), -4)
		tax, err := pricing.Tax(rated.Subtotal, rate)
		if err != nil {
			t.Skip("more than 18 digits")
		}
		for _, s := range pricing.TaxSteps(rated.Subtotal, rate, c.MinorDigits) {
			want := tax
			if s.Name == pricing.StepTotal {
				want += rated.Subtotal
			}
			if got, want := s.Text(), pricing.FormatMinor(want, c.MinorDigits); got != want {
				t.Fatalf("%s on %d at %s: steps give %s, want %s", s.Name, rated.Subtotal, rate, got, want)
			}
		}
	})
}

func drawCalculation(t *rapid.T) pricing.Calculation {
	price := decimal.New(rapid.Int64Range(0, 10_000_000).Draw(t, "price"), -int32(rapid.IntRange(0, 6).Draw(t, "scale")))
	days := rapid.SampledFrom([]int{28, 29, 30, 31, 365, 366, 1095, 1096}).Draw(t, "days")
	term := rapid.SampledFrom([]int{1, 12, 36}).Draw(t, "term")
	return pricing.Calculation{
		UnitPrice: price, CycleMonths: rapid.IntRange(1, term).Draw(t, "months"), TermMonths: term,
		Discount:    decimal.New(rapid.Int64Range(0, 1000).Draw(t, "discount"), -3),
		BillingDays: rapid.IntRange(1, days).Draw(t, "billed"), CycleDays: days,
		ExchangeRate: decimal.New(rapid.Int64Range(1, 2_000_000_000).Draw(t, "rate"), -9),
		Quantity:     rapid.Int64Range(1, 1_000_000).Draw(t, "quantity"),
		Credit:       rapid.Bool().Draw(t, "credit"), PerUnit: rapid.Bool().Draw(t, "perUnit"),
		MinorDigits: rapid.SampledFrom([]int{0, 2, 3}).Draw(t, "digits"),
	}
}

// sameToTenDecimals checks a printed price against its exact value: no further
// off than half a unit in the last place.
func sameToTenDecimals(t *rapid.T, s pricing.Step, printed decimal.Decimal) {
	off := new(big.Rat).Sub(s.Value, printed.Rat())
	if off.Abs(off).Cmp(big.NewRat(1, 20_000_000_000)) > 0 {
		t.Fatalf("%s: exact %s, printed %s", s.Name, s.Text(), printed)
	}
}
