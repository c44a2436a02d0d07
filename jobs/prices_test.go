package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/calends/calends/pricing"
)

func TestFindPrices(t *testing.T) {
	t.Parallel()
	standard := func(at string) PriceFindPlan {
		return PriceFindPlan{Market: "DE", ProductID: "CFQ7TTC0LDPB", SkuID: "0001", Term: pricing.P1M, Plan: pricing.Monthly, Segment: "Commercial", Currency: "EUR", At: testInstant(t, at)}
	}
	basic := func(currency string) PriceFindPlan {
		return PriceFindPlan{Market: "KW", ProductID: "CFQ7TTC0LH18", Term: pricing.P1M, Currency: currency, At: testInstant(t, "2024-04-10T00:00:00Z")}
	}
	tests := []struct {
		name string
		plan PriceFindPlan
		want []string
	}{
		{"the row that started first governs until it ends", standard("2024-04-03T06:57:30Z"),
			[]string{"DE 2024-04", "EUR 11.93", "line 5: governs", "line 6: started later than line 5, which governs until it ends"}},
		{"then the next one does", standard("2024-04-03T06:57:31Z"),
			[]string{"DE 2024-04", "EUR 12.44", "line 5: not valid any more", "line 6: governs"}},
		{"an earlier month's sheet is stale, the billing currency goes first", basic("KWD"),
			[]string{"KW 2024-03 stale", "KWD 1.877", "line 2: governs", "line 5: KWD goes before USD"}},
		{"else USD", basic("EUR"),
			[]string{"KW 2024-03 stale", "USD 6.12", "line 2: USD goes before KWD", "line 5: governs"}},
		{"a product that is not there", PriceFindPlan{Market: "DE", ProductID: "NONE", At: testInstant(t, "2024-04-10T00:00:00Z")},
			[]string{"DE 2024-04", "the sheet has no row of product NONE"}},
		{"a term that is not sold", PriceFindPlan{Market: "DE", ProductID: "CFQ7TTC0LDPB", SkuID: "0001", Term: pricing.P3Y, At: testInstant(t, "2024-04-10T00:00:00Z")},
			[]string{"DE 2024-04", "the sheet has no row of product CFQ7TTC0LDPB, SKU 0001, term P3Y"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, err := story(t).FindPrices(context.Background(), test.plan)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{r.Sheet.Market + " " + r.Sheet.Month}
			if r.Sheet.Stale {
				got[0] += " stale"
			}
			if r.NotFound != "" {
				got = append(got, r.NotFound)
			}
			for _, l := range r.Lookups {
				if l.Price != nil {
					got = append(got, l.Price.Currency+" "+l.Price.UnitPrice)
				} else {
					got = append(got, l.Code)
				}
				for _, row := range l.Rows {
					got = append(got, fmt.Sprintf("line %d: %s", row.Line, row.Verdict))
				}
			}
			sameLines(t, "lookup", got, test.want...)
			if found := r.NotFound == ""; r.Found() != found {
				t.Errorf("Found() = %v, want %v", r.Found(), found)
			}
		})
	}
}

// testSheet makes a sheet of rows like "EUR 10 2024-01-01 2024-01-31", all of one key.
func testSheet(t *testing.T, rows ...string) *pricing.Sheet {
	t.Helper()
	var all []pricing.Row
	for i, text := range rows {
		var currency, price, start, end string
		if _, err := fmt.Sscan(text, &currency, &price, &start, &end); err != nil {
			t.Fatal(err)
		}
		all = append(all, pricing.Row{SKU: pricing.SKU{ProductID: "P", SkuID: "0001"}, Term: pricing.P1Y, Plan: pricing.Monthly, Market: "DE",
			Segment: "Commercial", Currency: currency, UnitPrice: testDecimal(t, price),
			Start: testInstant(t, start+"T00:00:00Z"), End: testInstant(t, end+"T23:59:59Z"), Line: i + 2})
	}
	return pricing.NewSheet("DE", testMonth(t, "2024-01"), "DE.csv", "", all)
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		rows []string
		code string
		want []string
	}{
		{"a row twice counts once", []string{"EUR 10 2024-01-01 2024-12-31", "EUR 10 2024-01-01 2024-12-31"}, "",
			[]string{"governs", "says the same as line 2"}},
		{"two prices with one start are ambiguous", []string{"EUR 10 2024-01-01 2024-12-31", "EUR 11 2024-01-01 2024-12-31"}, "PRICE_AMBIGUOUS",
			[]string{"valid, but none of the valid ones goes first", "valid, but none of the valid ones goes first"}},
		{"two foreign currencies are ambiguous", []string{"CHF 10 2024-01-01 2024-12-31", "GBP 11 2024-01-01 2024-12-31"}, "PRICE_AMBIGUOUS",
			[]string{"valid, but none of the valid ones goes first", "valid, but none of the valid ones goes first"}},
		{"none is valid", []string{"EUR 10 2023-01-01 2023-12-31", "EUR 11 2025-01-01 2025-12-31"}, "PRICE_NOT_FOUND",
			[]string{"not valid any more", "not valid yet"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sheet := testSheet(t, test.rows...)
			lookup, err := lookUp(sheet, PriceFindPlan{Market: "DE", Currency: "EUR", At: testInstant(t, "2024-06-01T00:00:00Z")}, sheet.Rows())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range lookup.Rows {
				got = append(got, r.Verdict)
			}
			sameLines(t, "verdicts", got, test.want...)
			if lookup.Code != test.code {
				t.Errorf("code %q, want %q", lookup.Code, test.code)
			}
		})
	}
}

func TestComparePrices(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		before, after []string
		want          string
	}{
		{"up, in percent of before", []string{"EUR 14.28 2024-01-01 2024-12-31"}, []string{"EUR 15.40 2024-01-01 2024-12-31"}, "up EUR 14.28 15.4 +1.12 +7.84"},
		{"down", []string{"EUR 30 2024-01-01 2024-12-31"}, []string{"EUR 20 2024-01-01 2024-12-31"}, "down EUR 30 20 -10 -33.33"},
		{"from nothing there is no percentage", []string{"EUR 0 2024-01-01 2024-12-31"}, []string{"EUR 5 2024-01-01 2024-12-31"}, "up EUR 0 5 +5 "},
		{"the same", []string{"EUR 30 2024-01-01 2024-12-31"}, []string{"EUR 30.00 2024-01-01 2024-12-31"}, ""},
		{"another currency is another key", []string{"EUR 30 2024-01-01 2024-12-31"}, []string{"USD 30 2024-01-01 2024-12-31"}, "gone EUR 30   ; new USD  30  "},
		{"a row that is not valid yet is not there", nil, []string{"EUR 30 2025-01-01 2025-12-31"}, ""},
		{"of overlapping rows the first governs", []string{"EUR 30 2024-01-01 2024-12-31"}, []string{"EUR 31 2024-02-01 2024-12-31", "EUR 30 2024-01-01 2024-12-31"}, ""},
		{"ambiguous ones are named", []string{"EUR 30 2024-01-01 2024-12-31"}, []string{"EUR 31 2024-01-01 2024-12-31", "EUR 32 2024-01-01 2024-12-31"}, "ambiguous EUR    "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			at := testInstant(t, "2024-06-01T00:00:00Z")
			before, err := governingPrices(testSheet(t, test.before...), at)
			if err != nil {
				t.Fatal(err)
			}
			after, err := governingPrices(testSheet(t, test.after...), at)
			if err != nil {
				t.Fatal(err)
			}
			var r PriceCompareResult
			r.compare(before, after)
			var got []string
			for _, c := range r.Changes {
				got = append(got, strings.Join([]string{c.What, c.Currency, c.Before, c.After, c.Change, c.Percent}, " "))
			}
			if text := strings.Join(got, "; "); text != test.want {
				t.Errorf("got %q, want %q", text, test.want)
			}
		})
	}
}

func TestComparePricesOfDemo(t *testing.T) {
	t.Parallel()
	env := story(t)
	r, err := env.ComparePrices(context.Background(), PriceComparePlan{Market: "DE", Before: pricing.MonthOf(2024, 3), After: pricing.MonthOf(2024, 4)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(r.New, r.Gone, r.Changed, r.Ambiguous), "3 3 18 0"; got != want {
		t.Errorf("new, gone, changed, ambiguous: got %s, want %s", got, want)
	}
	// On the 30th Business Standard has its new price too: a month and a year, billed in two ways.
	later := testInstant(t, "2024-04-30T00:00:00Z")
	r, err = env.ComparePrices(context.Background(), PriceComparePlan{Market: "DE", Before: pricing.MonthOf(2024, 3), After: pricing.MonthOf(2024, 4), At: &later})
	if err != nil {
		t.Fatal(err)
	}
	if r.Changed != 21 {
		t.Errorf("on %s %d prices changed, want 21", later, r.Changed)
	}
}

func TestListPrices(t *testing.T) {
	t.Parallel()
	r, err := story(t).ListPrices(context.Background(), PriceListPlan{Market: "DE", Month: pricing.MonthOf(2024, 4), Search: []string{"visio", "2", "p1y"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range r.Rows {
		got = append(got, row.SkuTitle+" "+row.Term+" "+row.Plan+" "+row.UnitPrice)
	}
	sameLines(t, "rows", got, "Visio Plan 2 P1Y Monthly 154.02", "Visio Plan 2 P1Y Annual 154.02")
}

func TestPricesMissing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		market string
		month  string
		says   string
	}{
		{"a market without a sheet", "FR", "2024-04", "there are sheets of CH, DE, GB, JP, KW, NL, US"},
		{"a month before the first sheet", "DE", "2023-12", "its first is of 2024-01"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := story(t).ListPrices(context.Background(), PriceListPlan{Market: test.market, Month: testMonth(t, test.month)})
			if !errors.Is(err, ErrMissing) || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("got %v, want %v with %q", err, ErrMissing, test.says)
			}
		})
	}
}
