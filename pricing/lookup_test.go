package pricing

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// shelf is a book of a few sheets.
type shelf []*Sheet

func (s shelf) Sheet(market string, month Month) (*Sheet, error) {
	var found *Sheet
	for _, sheet := range s {
		if sheet.Market == market && sheet.Month <= month && (found == nil || sheet.Month > found.Month) {
			found = sheet
		}
	}
	return found, nil
}

// sheetOf is the sheet of one month in the Netherlands. A line is
//
//	CURRENCY PRICE START END [sku=2] [term=P3Y] [plan=Monthly] [segment=Education] [tiered]
//
// of product CFQ7TTC0HD7P, SKU 1, for a year prepaid and commercial unless it
// says otherwise. An end to the day lasts through it. The first is line 2.
func sheetOf(month string, lines ...string) *Sheet {
	m, err := ParseMonth(month)
	if err != nil {
		panic(err)
	}
	var rows []Row
	for i, line := range lines {
		fields := strings.Fields(line)
		r := Row{SKU: SKU{"CFQ7TTC0HD7P", NormalSKU("1")}, Term: P1Y, Plan: Annual, Market: "NL", Segment: "Commercial",
			Currency: fields[0], UnitPrice: decimal.RequireFromString(fields[1]), Start: instant(fields[2]), End: instant(fields[3]), Line: i + 2}
		if len(fields[3]) == len(time.DateOnly) {
			r.End += Day - 1
		}
		for _, option := range fields[4:] {
			key, value, _ := strings.Cut(option, "=")
			switch key {
			case "sku":
				r.SkuID = NormalSKU(value)
			case "term":
				r.Term, _ = ParseTerm(value)
			case "plan":
				r.Plan, _ = ParsePlan(value)
			case "segment":
				r.Segment = value
			case "tiered":
				r.Tiered = true
			default:
				panic("option " + option)
			}
		}
		rows = append(rows, r)
	}
	return NewSheet("NL", m, "sheet-"+month+".csv", "", rows)
}

func query(at, billing string) PriceQuery {
	return PriceQuery{SKU: SKU{"CFQ7TTC0HD7P", NormalSKU("0001")}, Term: P1Y, Plan: Annual, Market: "NL", Segment: "Commercial",
		BillingCurrency: billing, At: instant(at)}
}

// found prints the answer as the tables spell it.
func found(p Price, err error) string {
	if err != nil {
		return err.Error()
	}
	stale := ""
	if p.Stale {
		stale = ", stale"
	}
	return fmt.Sprintf("%s %s, line %d of %s%s", p.Row.Currency, p.Row.UnitPrice, p.Row.Line, p.Sheet.File, stale)
}

func TestFindPriceOnASheet(t *testing.T) {
	t.Parallel()
	const what = "CFQ7TTC0HD7P/0001 P1Y Annual NL Commercial "
	const where = " (sheet NL 2021-11, sheet-2021-11.csv)"
	// Two rows that overlap, as https://learn.microsoft.com/partner-center/pricing-and-offers has them.
	overlap := []string{"EUR 100 2021-10-01 2021-11-03T06:57:30.0682597Z", "EUR 110 2021-11-01 9999-11-30"}
	tests := []struct {
		name, at, billing string
		lines             []string
		want              string
	}{
		{"the only row", "2021-11-10", "EUR", []string{"EUR 115.2 2021-11-01 9999-11-30"}, "EUR 115.2, line 2"},
		{"the row of the SKU", "2021-11-10", "EUR", []string{"EUR 1 2021-11-01 9999-11-30 sku=2", "EUR 2 2021-11-01 9999-11-30"}, "EUR 2, line 3"},
		{"the row of the term", "2021-11-10", "EUR", []string{"EUR 1 2021-11-01 9999-11-30 term=P3Y", "EUR 2 2021-11-01 9999-11-30"}, "EUR 2, line 3"},
		{"the row of the plan", "2021-11-10", "EUR", []string{"EUR 1 2021-11-01 9999-11-30 plan=Monthly", "EUR 2 2021-11-01 9999-11-30"}, "EUR 2, line 3"},
		{"the row of the segment", "2021-11-10", "EUR", []string{"EUR 1 2021-11-01 9999-11-30 segment=Education", "EUR 2 2021-11-01 9999-11-30"}, "EUR 2, line 3"},
		{"a price of zero is a price", "2021-11-10", "EUR", []string{"EUR 0 2021-11-01 9999-11-30"}, "EUR 0, line 2"},

		{"overlap: the row that started first governs", "2021-11-02", "EUR", overlap, "EUR 100, line 2"},
		{"overlap: in any order", "2021-11-02", "EUR", []string{overlap[1], overlap[0]}, "EUR 100, line 3"},
		{"overlap: until it ends", "2021-11-04", "EUR", overlap, "EUR 110, line 3"},
		{"the last tick of a row is in it", "2021-11-03T06:57:30.0682597Z", "EUR", overlap, "EUR 100, line 2"},
		{"the next tick is not", "2021-11-03T06:57:30.0682598Z", "EUR", overlap, "EUR 110, line 3"},
		{"the first tick of a row is in it", "2021-11-01T00:00:00Z", "EUR", overlap[1:], "EUR 110, line 2"},
		{"a row that is to come does not count", "2021-11-02", "EUR", []string{"EUR 1 2021-11-03 9999-11-30", "EUR 2 2021-11-01 9999-11-30"}, "EUR 2, line 3"},

		{"the billing currency comes first", "2021-11-10", "EUR", []string{"USD 1 2021-01-01 9999-11-30", "EUR 2 2021-11-01 9999-11-30", "GBP 3 2021-01-01 9999-11-30"}, "EUR 2, line 3"},
		{"then USD", "2021-11-10", "EUR", []string{"GBP 1 2021-01-01 9999-11-30", "CHF 2 2021-01-01 9999-11-30", "USD 3 2021-11-01 9999-11-30"}, "USD 3, line 4"},
		{"then USD, wherever it stands", "2021-11-10", "EUR", []string{"USD 1 2021-11-01 9999-11-30", "GBP 2 2021-01-01 9999-11-30"}, "USD 1, line 2"},
		{"then the only one", "2021-11-10", "EUR", []string{"GBP 1 2021-11-01 9999-11-30", "GBP 1 2021-11-02 9999-11-30"}, "GBP 1, line 2"},
		{"a currency whose row has ended is not on offer", "2021-11-10", "EUR", []string{"EUR 1 2021-11-01 2021-11-09", "USD 2 2021-11-01 9999-11-30"}, "USD 2, line 3"},

		{"identical duplicates count once", "2021-11-10", "EUR", []string{"EUR 5 2021-11-01 9999-11-30", "EUR 5.00 2021-11-01 9999-11-30"}, "EUR 5, line 2"},
		{"two prices from one start do not matter behind an earlier row", "2021-11-10", "EUR",
			[]string{"EUR 5 2021-11-02 9999-11-30", "EUR 6 2021-11-02 9999-11-30", "EUR 7 2021-11-01 9999-11-30"}, "EUR 7, line 4"},
		{"nor in another currency", "2021-11-10", "EUR",
			[]string{"USD 5 2021-11-01 9999-11-30", "USD 6 2021-11-01 9999-11-30", "EUR 7 2021-11-01 9999-11-30"}, "EUR 7, line 4"},
		{"tiered rows are skipped", "2021-11-10", "EUR", []string{"EUR 1 2021-01-01 9999-11-30 tiered", "EUR 2 2021-11-01 9999-11-30"}, "EUR 2, line 3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := found(FindPrice(shelf{sheetOf("2021-11", test.lines...)}, query(test.at, test.billing)))
			if want := test.want + " of sheet-2021-11.csv"; got != want {
				t.Errorf("at %s, billed in %s, of\n%s\n got %s\nwant %s", test.at, test.billing, strings.Join(test.lines, "\n"), got, want)
			}
		})
	}

	refused := []struct {
		name, at string
		lines    []string
		want     string
	}{
		{"two prices from one start", "2021-11-10", []string{"EUR 5 2021-11-01 9999-11-30", "EUR 6 2021-11-01 9999-11-30"},
			"PRICE_AMBIGUOUS: " + what + "has two prices that start at 2021-11-01T00:00:00Z: 5 (line 2) and 6 (line 3)"},
		{"two prices from one start, the second a duplicate", "2021-11-10", []string{"EUR 5 2021-11-01 9999-11-30", "EUR 5 2021-11-01 9999-11-30", "EUR 6 2021-11-01 2021-11-10"},
			"PRICE_AMBIGUOUS: " + what + "has two prices that start at 2021-11-01T00:00:00Z: 5 (line 2) and 6 (line 4)"},
		{"several currencies, neither the billing one nor USD", "2021-11-10", []string{"GBP 5 2021-11-01 9999-11-30", "CHF 6 2021-11-01 9999-11-30"},
			"PRICE_AMBIGUOUS: " + what + "is offered in several currencies, neither EUR nor USD"},
		{"several currencies, the first and the last the same", "2021-11-10", []string{"GBP 5 2021-11-01 9999-11-30", "CHF 6 2021-11-01 9999-11-30", "GBP 5 2021-11-01 9999-11-30"},
			"PRICE_AMBIGUOUS: " + what + "is offered in several currencies, neither EUR nor USD"},
		{"no row", "2021-11-10", []string{"EUR 5 2021-11-01 9999-11-30 plan=Monthly", "EUR 5 2021-11-01 9999-11-30 sku=2"}, "PRICE_NOT_FOUND: " + what + "has no row"},
		{"an empty sheet", "2021-11-10", nil, "PRICE_NOT_FOUND: " + what + "has no row"},
		{"rows before and after", "2021-11-10T09:00:00Z", []string{"EUR 5 2021-11-01 2021-11-09", "EUR 6 2021-11-11 9999-11-30"},
			"PRICE_NOT_FOUND: " + what + "has 2 rows, none valid at 2021-11-10T09:00:00Z"},
		{"tiered rows only", "2021-11-10", []string{"EUR 5 2021-11-01 9999-11-30 tiered", "EUR 6 2021-11-01 9999-11-30 tiered", "EUR 7 2021-11-01 2021-11-09"},
			"PRICE_NOT_FOUND: " + what + "has only 2 rows with a PricingTierRange at 2021-11-10T00:00:00Z, which are no licence prices"},
		{"tiered rows that are not valid are not named", "2021-11-10", []string{"EUR 5 2021-11-01 2021-11-09 tiered"},
			"PRICE_NOT_FOUND: " + what + "has 1 rows, none valid at 2021-11-10T00:00:00Z"},
	}
	for _, test := range refused {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := found(FindPrice(shelf{sheetOf("2021-11", test.lines...)}, query(test.at, "EUR")))
			if want := test.want + where; got != want {
				t.Errorf("at %s of\n%s\n got %s\nwant %s", test.at, strings.Join(test.lines, "\n"), got, want)
			}
		})
	}
}

// A question without a billing currency names none in its refusal.
func TestFindPriceWithoutBillingCurrency(t *testing.T) {
	t.Parallel()
	got := found(FindPrice(shelf{sheetOf("2021-11", "GBP 5 2021-11-01 9999-11-30", "CHF 6 2021-11-01 9999-11-30")}, query("2021-11-10", "")))
	if !strings.Contains(got, "is offered in several currencies, not in USD") {
		t.Errorf("got %s", got)
	}
}

func TestFindPriceInABook(t *testing.T) {
	t.Parallel()
	book := shelf{sheetOf("2026-08", "EUR 8 2020-01-01 9999-11-30"), sheetOf("2026-10", "EUR 10 2020-01-01 9999-11-30"), sheetOf("2026-12", "EUR 12 2020-01-01 9999-11-30 sku=2")}
	tests := []struct{ name, at, want string }{
		{"the sheet of the month", "2026-10-05", "EUR 10, line 2 of sheet-2026-10.csv"},
		{"its first tick", "2026-10-01T00:00:00Z", "EUR 10, line 2 of sheet-2026-10.csv"},
		{"the tick before it is the month before", "2026-09-30T23:59:59.9999999Z", "EUR 8, line 2 of sheet-2026-08.csv, stale"},
		{"a missing month: the latest earlier sheet", "2026-11-30T23:59:59.9999999Z", "EUR 10, line 2 of sheet-2026-10.csv, stale"},
		{"nothing earlier", "2026-07-31", "PRICE_NOT_FOUND: market NL has no price sheet for 2026-07 or earlier"},
		{"the sheet of the month governs even without the row", "2026-12-05",
			"PRICE_NOT_FOUND: CFQ7TTC0HD7P/0001 P1Y Annual NL Commercial has no row (sheet NL 2026-12, sheet-2026-12.csv)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := found(FindPrice(book, query(test.at, "EUR"))); got != test.want {
				t.Errorf("at %s: got %s\nwant %s", test.at, got, test.want)
			}
		})
	}

	elsewhere := query("2026-10-05", "EUR")
	elsewhere.Market = "DE"
	if got, want := found(FindPrice(book, elsewhere)), "PRICE_NOT_FOUND: market DE has no price sheet for 2026-10 or earlier"; got != want {
		t.Errorf("another market: got %s, want %s", got, want)
	}
}

// The error says by itself whether the sheet that was searched was stale.
func TestPriceErrorNamesTheSheet(t *testing.T) {
	t.Parallel()
	book := shelf{sheetOf("2026-10", "EUR 10 2020-01-01 9999-11-30 sku=2")}
	tests := []struct {
		at      string
		stale   bool
		governs string
	}{
		{"2026-10-05", false, "2026-10"},
		{"2026-11-05", true, "2026-10"},
	}
	for _, test := range tests {
		_, err := FindPrice(book, query(test.at, "EUR"))
		var refused *PriceError
		if !errors.As(err, &refused) {
			t.Fatalf("at %s: got %v, want a PriceError", test.at, err)
		}
		if refused.Code != PriceNotFound || refused.Stale != test.stale || refused.Governs.String() != test.governs {
			t.Errorf("at %s: got %s, stale %t, %s, want %s, stale %t, %s", test.at,
				refused.Code, refused.Stale, refused.Governs, PriceNotFound, test.stale, test.governs)
		}
	}
}

type brokenBook struct{ err error }

func (b brokenBook) Sheet(string, Month) (*Sheet, error) { return nil, b.err }

// A book that cannot be read is no missing price.
func TestFindPricePassesOnTheErrorOfTheBook(t *testing.T) {
	t.Parallel()
	want := errors.New("bucket away")
	_, err := FindPrice(brokenBook{want}, query("2026-10-05", "EUR"))
	var refused *PriceError
	if !errors.Is(err, want) || errors.As(err, &refused) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestNormalSKU(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"1": "0001", "01": "0001", "0001": "0001", "000P": "000P", "P": "000P", "12345": "12345", "": "0000"} {
		if got := NormalSKU(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestSheetRowsAreSorted(t *testing.T) {
	t.Parallel()
	sheet := sheetOf("2026-10",
		"EUR 9 2026-10-01 9999-11-30 sku=2",
		"USD 8 2026-10-01 9999-11-30",
		"EUR 7 2026-10-02 9999-11-30",
		"EUR 6 2026-10-01 9999-11-30",
		"EUR 6 2026-10-01 9999-11-30",
		"EUR 5 2026-10-01 9999-11-30 segment=Education",
		"EUR 4 2026-10-01 9999-11-30 plan=Monthly",
		"EUR 3 2026-10-01 9999-11-30 term=P1M plan=Monthly",
		"EUR 2 2026-10-01 9999-11-30 term=P3Y",
	)
	const want = "[9 8 5 6 4 3 7 10 2]" // product, SKU, term, plan, segment, currency, start, line
	for range 20 {                      // whatever order the index is walked in
		var lines []int
		for _, r := range sheet.Rows() {
			lines = append(lines, r.Line)
		}
		if got := fmt.Sprint(lines); got != want {
			t.Fatalf("lines %s, want %s", got, want)
		}
	}
}

func TestPromotionFits(t *testing.T) {
	t.Parallel()
	promotion := Promotion{ID: "39NFJQT1PGKD", SKU: SKU{"CFQ7TTC0HD7P", "0001"}, Term: P1Y, Plan: Annual,
		Start: instant("2026-10-01"), End: instant("2026-10-31T23:59:59.9999999Z"), Discount: decimal.RequireFromString("0.15")}
	tests := []struct {
		name string
		vary func(*PriceQuery)
		want bool
	}{
		{"as promoted", func(*PriceQuery) {}, true},
		{"the first tick", func(q *PriceQuery) { q.At = promotion.Start }, true},
		{"a tick before it", func(q *PriceQuery) { q.At = promotion.Start - 1 }, false},
		{"the last tick", func(q *PriceQuery) { q.At = promotion.End }, true},
		{"a tick after it", func(q *PriceQuery) { q.At = promotion.End + 1 }, false},
		{"another product", func(q *PriceQuery) { q.ProductID = "CFQ7TTC0LH18" }, false},
		{"another SKU", func(q *PriceQuery) { q.SkuID = "0002" }, false},
		{"another term", func(q *PriceQuery) { q.Term = P3Y }, false},
		{"another plan", func(q *PriceQuery) { q.Plan = Monthly }, false},
		{"any market, segment and currency", func(q *PriceQuery) { q.Market, q.Segment, q.BillingCurrency = "US", "Education", "USD" }, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			q := query("2026-10-15T09:30:00Z", "EUR")
			test.vary(&q)
			if got := promotion.Fits(q); got != test.want {
				t.Errorf("%+v: got %t, want %t", q, got, test.want)
			}
		})
	}
}

// The answer to a question stays the same between the instants that it names, and
// in any billing currency if it says so.
func TestPriceHolds(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	march := MonthOf(2024, 3)
	first, last := march.First().Instant(), (march.Last()+1).Instant()-1
	within := func() Instant { return first + Instant(random.Int64N(int64(last-first+1))) }
	sku := SKU{ProductID: "CFQ7TTC0LH18", SkuID: "0001"}
	shorter, chosen, anyhow := 0, 0, 0
	currency := func() string { return []string{"EUR", "USD"}[random.IntN(8)/7] }
	for range 2000 {
		var rows []Row
		for i := range 1 + random.IntN(4) {
			start, end := within(), within()
			if random.IntN(2) == 0 {
				start = first - Day
			}
			if random.IntN(2) == 0 {
				end = last + Day
			}
			rows = append(rows, Row{SKU: sku, Term: P1Y, Plan: Monthly, Market: "DE", Segment: "Commercial", Currency: currency(),
				UnitPrice: decimal.New(int64(random.IntN(3)+1), 0), Start: start, End: end, Line: i + 2, Tiered: random.IntN(8) == 0})
		}
		book := shelf{NewSheet("DE", march, "de.csv", "00", rows)}
		q := PriceQuery{SKU: sku, Term: P1Y, Plan: Monthly, Market: "DE", Segment: "Commercial", BillingCurrency: currency(), At: within()}
		price, err := FindPrice(book, q)
		if err != nil {
			continue
		}
		if price.From < first || price.From > q.At || price.Until < q.At || price.Until > last {
			t.Fatalf("the answer at %s holds from %s until %s", q.At, price.From, price.Until)
		}
		if price.From > first && price.Until < last {
			shorter++
		}
		questions := []string{q.BillingCurrency}
		if price.Anyhow {
			questions = []string{"EUR", "USD", "JPY"}
			anyhow++
		} else {
			chosen++
		}
		for _, at := range []Instant{price.From, price.From + (q.At-price.From)/2, q.At + (price.Until-q.At)/2, price.Until} {
			for _, billing := range questions {
				other := q
				other.At, other.BillingCurrency = at, billing
				if again, err := FindPrice(book, other); err != nil || again.Row.Line != price.Row.Line {
					t.Fatalf("at %s line %d, from %s until %s; at %s in %s line %d, %v\n%+v", q.At, price.Row.Line, price.From, price.Until, at, billing, again.Row.Line, err, rows)
				}
			}
		}
	}
	if shorter == 0 || chosen == 0 || anyhow == 0 {
		t.Errorf("%d answers for a part of the month, %d of several currencies, %d of one: want some of each", shorter, chosen, anyhow)
	}
}
