package pricebook

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/servetest"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// world is a ledger with price sheets in memory, and what was asked of its bucket.
type world struct {
	ledger.Ledger
	inputs []ledger.Input
	opened *opened
}

// opened are the keys of objects that were opened, in any order.
type opened struct {
	mu   sync.Mutex
	keys []string
}

func (o *opened) note(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keys = append(o.keys, key)
}

// counted notes the objects that are opened.
type counted struct {
	bucket.Bucket
	opened *opened
}

func (c counted) Open(ctx context.Context, key string) (bucket.Object, error) {
	c.opened.note(key)
	return c.Bucket.Open(ctx, key)
}

func newWorld() *world {
	o := new(opened)
	return &world{Ledger: ledger.Ledger{Bucket: counted{bucket.NewMemory(), o}}, opened: o}
}

type failing interface{ Fatal(...any) }

func (w *world) take(t failing, kind ledger.Kind, month pricing.Month, market string, rows []pricing.Row) {
	o, err := w.PutPrices(context.Background(), market, rows)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(len(w.inputs) + 1)
	w.inputs = append(w.inputs, ledger.Input{Number: n, Kind: kind, Name: fmt.Sprintf("sheet-%d.csv", n), SHA256: fmt.Sprintf("hash %d", n),
		Month: month.String(), Objects: []ledger.Object{o}})
}

func (w *world) catalog(t failing) *ledger.Catalog {
	c, err := w.Load(context.Background(), w.inputs, nil, nil, func(string) subscription.Policies { return subscription.Policies{} })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) book(t failing, from *Book) *Book {
	b, err := Read(context.Background(), w.Ledger, w.catalog(t).SheetSources(), from, 2)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Few values, so that keys meet: rows that overlap, say the same, contradict each
// other, and differ in currency alone.
func drawRow(t *rapid.T, market string, line int) pricing.Row {
	few := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	start := pricing.DateOf(2026, 1, 1).Instant() + pricing.Instant(rapid.IntRange(0, 70).Draw(t, "start"))*pricing.Day
	return pricing.Row{
		SKU:  pricing.SKU{ProductID: few("product", "CFQ1", "CFQ2", "CFQ1b"), SkuID: few("sku", "0001", "0002")},
		Term: rapid.SampledFrom([]pricing.Term{pricing.P1M, pricing.P1Y}).Draw(t, "term"), Plan: rapid.SampledFrom([]pricing.Plan{pricing.PlanNone, pricing.Monthly, pricing.Annual}).Draw(t, "plan"),
		Market: market, Segment: few("segment", "Commercial", "Education"), Currency: few("currency", "EUR", "USD", "NOK"),
		UnitPrice: decimal.RequireFromString(few("price", "0", "12", "12.5", "1200", "0.0000001", "99999999999999999999.25", "1e40")),
		Start:     start, End: start + pricing.Instant(rapid.IntRange(-1, 50).Draw(t, "days"))*pricing.Day - 1,
		Tiered: rapid.IntRange(0, 5).Draw(t, "tiered") == 0, ProductTitle: few("title", "Office", "ÖFFICE İ", ""), SkuTitle: few("skuTitle", "Office 1", "Teams", "\xff"),
		Publisher: few("publisher", "Microsoft", "Contoso"), Line: line,
	}
}

func drawWorld(t *rapid.T) *world {
	w := newWorld()
	for range rapid.IntRange(1, 4).Draw(t, "imports") {
		market := rapid.SampledFrom([]string{"DE", "NL"}).Draw(t, "market")
		var rows []pricing.Row
		for i := range rapid.IntRange(0, 25).Draw(t, "rows") {
			rows = append(rows, drawRow(t, market, i+2))
		}
		w.take(t, rapid.SampledFrom([]ledger.Kind{ledger.Prices, ledger.Software}).Draw(t, "kind"), drawMonth(t), market, rows)
	}
	return w
}

func drawMonth(t *rapid.T) pricing.Month {
	return pricing.MonthOf(2026, 1) + pricing.Month(rapid.IntRange(-1, 2).Draw(t, "month"))
}

// Answers and refusals are those of the catalog, word for word, and hold as long.
func TestFindsWhatTheEngineFinds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		book, catalog := w.book(t, nil), w.catalog(t)
		for range 40 {
			key := drawRow(t, rapid.SampledFrom([]string{"DE", "NL", "FR"}).Draw(t, "market"), 0)
			q := pricing.PriceQuery{SKU: key.SKU, Term: key.Term, Plan: key.Plan, Market: key.Market, Segment: key.Segment,
				BillingCurrency: rapid.SampledFrom([]string{"EUR", "USD", "NOK", "CHF", ""}).Draw(t, "billing currency"), At: key.Start}
			got, gotErr := book.Find(q)
			want, wantErr := pricing.FindPrice(catalog, q)
			if !reflect.DeepEqual(gotErr, wantErr) {
				t.Fatalf("%+v:\ngot  %v\nwant %v", q, gotErr, wantErr)
			}
			if wantErr != nil {
				continue
			}
			if got.Stale != want.Stale || got.Anyhow != want.Anyhow || got.From != want.From || got.Until != want.Until ||
				got.Sheet.File != want.Sheet.File || got.Sheet.SHA256 != want.Sheet.SHA256 || got.Sheet.Month != want.Sheet.Month {
				t.Fatalf("%+v:\ngot  %+v\nwant %+v", q, got, want)
			}
			sameRow(t, got.Row, want.Row)
		}
	})
}

// sameRow wants two rows to be equal, prices in text too.
func sameRow(t failing, got, want pricing.Row) {
	price, wanted := got.UnitPrice, want.UnitPrice
	got.UnitPrice, want.UnitPrice = decimal.Decimal{}, decimal.Decimal{}
	if got != want || price.String() != wanted.String() || !price.Equal(wanted) {
		t.Fatal(fmt.Sprintf("got\n%+v %s\nwant\n%+v %s", got, price, want, wanted))
	}
}

// Whole sheets have the catalog's rows in the catalog's order.
func TestSheetsAreTheCatalogs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		book, catalog := w.book(t, nil), w.catalog(t)
		if got, want := book.Markets(), catalog.Markets(); !slices.Equal(got, want) {
			t.Fatalf("got markets %v, want %v", got, want)
		}
		for _, market := range append(catalog.Markets(), "FR") {
			if got, want := book.Months(market), catalog.Months(market); !slices.Equal(got, want) {
				t.Fatalf("%s: got months %v, want %v", market, got, want)
			}
			month := drawMonth(t)
			want, _ := catalog.Sheet(market, month)
			got, _ := book.Sheet(market, month)
			if (got == nil) != (want == nil) {
				t.Fatalf("%s %s: got a sheet: %v, want one: %v", market, month, got != nil, want != nil)
			}
			if want == nil {
				continue
			}
			sheet, rows := book.Governing(market, month), want.Rows()
			if sheet.Len() != len(rows) || len(got.Rows()) != len(rows) {
				t.Fatalf("got %d rows, want %d", sheet.Len(), len(rows))
			}
			for i, row := range rows {
				// Two imports may have a row on the same line that differs in nothing but texts.
				if i > 0 && tie(rows[i-1], row) || i+1 < len(rows) && tie(row, rows[i+1]) {
					continue
				}
				sameRow(t, sheet.Row(i), row)
				sameRow(t, got.Rows()[i], row)
			}
		}
	})
}

func tie(a, b pricing.Row) bool {
	return a.SKU == b.SKU && a.Term == b.Term && a.Plan == b.Plan && a.Segment == b.Segment && a.Currency == b.Currency && a.Start == b.Start && a.Line == b.Line
}

// A filter keeps what looking at every row keeps, from any row on.
func TestFilterKeepsWhatItSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		month := pricing.MonthOf(2026, 1)
		var rows []pricing.Row
		for i := range rapid.IntRange(1, 60).Draw(t, "rows") {
			rows = append(rows, drawRow(t, "DE", i+2))
		}
		w.take(t, ledger.Prices, month, "DE", rows)
		sheet := w.book(t, nil).Of("DE", month)
		like := drawRow(t, "DE", 0)
		maybe := func() bool { return rapid.IntRange(0, 2).Draw(t, "given") == 0 }
		var f Filter
		if maybe() {
			f.ProductID = like.ProductID
		}
		if maybe() {
			f.SkuID = like.SkuID
		}
		if maybe() {
			f.Term, f.Plan = like.Term, like.Plan
		}
		if maybe() {
			f.Segment, f.Currency = like.Segment, like.Currency
		}
		if maybe() {
			f.At = &like.Start
		}
		f.Words = rapid.SliceOfN(rapid.SampledFrom([]string{"OFFICE", "öffice", "i̇", "teams", "p1y", "cfq1", "micro", "none", "\xff", "eur"}), 0, 3).Draw(t, "words")
		from := rapid.IntRange(0, sheet.Len()).Draw(t, "from")
		var want []int
		for i := from; i < sheet.Len(); i++ {
			if r := sheet.Row(i); f.keeps(r) {
				want = append(want, i)
			}
		}
		if got := slices.Collect(sheet.Select(f, from)); !slices.Equal(got, want) {
			t.Fatalf("%+v from %d: got %v, want %v", f, from, got, want)
		}
	})
}

// keeps is the filter read aloud.
func (f Filter) keeps(r pricing.Row) bool {
	text := strings.ToLower(strings.Join([]string{r.ProductTitle, r.SkuTitle, r.Publisher, r.ProductID, r.SkuID, r.Term.String(), r.Plan.String(), r.Segment, r.Currency}, "\n"))
	for _, w := range f.Words {
		if !strings.Contains(text, strings.ToLower(w)) {
			return false
		}
	}
	return (f.ProductID == "" || r.ProductID == f.ProductID) && (f.SkuID == "" || r.SkuID == f.SkuID) && (f.Term == 0 || r.Term == f.Term) &&
		(f.Plan == 0 || r.Plan == f.Plan) && (f.Segment == "" || r.Segment == f.Segment) && (f.Currency == "" || r.Currency == f.Currency) &&
		(f.At == nil || r.Start <= *f.At && *f.At <= r.End)
}

func TestOnlyNewObjectsAreRead(t *testing.T) {
	t.Parallel()
	w := newWorld()
	month := pricing.MonthOf(2026, 1)
	row := func(market, price string) []pricing.Row {
		return []pricing.Row{{SKU: pricing.SKU{ProductID: "P", SkuID: "0001"}, Term: pricing.P1Y, Plan: pricing.Annual, Market: market, Segment: "Commercial",
			Currency: "EUR", UnitPrice: decimal.RequireFromString(price), Start: month.First().Instant(), End: (month + 1).First().Instant() - 1, Line: 2}}
	}
	w.take(t, ledger.Prices, month, "DE", row("DE", "10"))
	w.take(t, ledger.Prices, month, "NL", row("NL", "20"))
	first := w.book(t, nil)
	if len(w.opened.keys) != 2 {
		t.Fatalf("opened %v, want two objects", w.opened.keys)
	}
	w.take(t, ledger.Prices, month, "NL", row("NL", "21"))
	w.take(t, ledger.Prices, month+1, "NL", row("NL", "22"))
	w.opened.keys = nil
	second := w.book(t, first)
	if len(w.opened.keys) != 2 {
		t.Errorf("opened %v, want the two new objects", w.opened.keys)
	}
	if first.Of("DE", month) != second.Of("DE", month) {
		t.Error("the sheet that stayed was read again")
	}
	for _, tt := range []struct {
		book  *Book
		month pricing.Month
		want  string
	}{{first, month, "20"}, {first, month + 1, "20"}, {second, month, "21"}, {second, month + 1, "22"}} {
		if s := tt.book.Governing("NL", tt.month); s.Row(0).UnitPrice.String() != tt.want {
			t.Errorf("%s: got %s, want %s", tt.month, s.Row(0).UnitPrice, tt.want)
		}
	}
	if a, b := first.Of("NL", month).Tag(), second.Of("NL", month).Tag(); a == b {
		t.Errorf("another sheet has the same tag %s", a)
	}
}

func TestReadSaysWhichSheetIsMissing(t *testing.T) {
	t.Parallel()
	_, err := Read(t.Context(), ledger.Ledger{Bucket: bucket.NewMemory()}, []ledger.SheetSource{
		{Market: "DE", Month: pricing.MonthOf(2026, 1), File: "DE.csv", Objects: []ledger.Object{{Key: "ledger/data/gone.parquet"}}}}, nil, 1)
	if !errors.Is(err, bucket.ErrNotExist) || !strings.Contains(err.Error(), "price sheet of DE for 2026-01 (DE.csv)") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ctx, ledger.Ledger{Bucket: bucket.NewMemory()}, nil, nil, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
}

// Every price that the demo's sheets have is found as the command line finds it.
func TestDemo(t *testing.T) {
	t.Parallel()
	env := servetest.Env(servetest.Demo(t))
	reading, err := env.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	book, err := Read(t.Context(), ledger.Ledger{Bucket: env.Bucket}, reading.Catalog().SheetSources(), nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, s := range book.Sheets() {
		whole, _ := reading.Catalog().Sheet(s.Market, s.Month)
		for i, row := range whole.Rows() {
			sameRow(t, s.Row(i), row)
			if i%7 != 0 { // some of them: each reads the bucket
				continue
			}
			asked++
			at := (s.Month.First() + pricing.Date(i%28)).Instant()
			found, err := env.FindPrices(t.Context(), jobs.PriceFindPlan{Market: s.Market, ProductID: row.ProductID, SkuID: row.SkuID, Term: row.Term, Plan: row.Plan,
				Segment: row.Segment, Currency: "EUR", At: at})
			if err != nil {
				t.Fatal(err)
			}
			got, err := book.Find(pricing.PriceQuery{SKU: row.SKU, Term: row.Term, Plan: row.Plan, Market: s.Market, Segment: row.Segment, BillingCurrency: "EUR", At: at})
			want := found.Lookups[0]
			var refused *pricing.PriceError
			switch {
			case errors.As(err, &refused):
				if string(refused.Code) != want.Code || refused.Reason != want.Reason {
					t.Errorf("got %v, want %s: %s", err, want.Code, want.Reason)
				}
			case err != nil:
				t.Fatal(err)
			case want.Price == nil || got.Row.UnitPrice.String() != want.Price.UnitPrice || got.Row.Currency != want.Price.Currency || got.Row.Line != want.Price.Line ||
				got.Stale != found.Sheet.Stale || got.Sheet.SHA256 != found.Sheet.SHA256:
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
	}
	if asked < 20 {
		t.Fatalf("asked %d times", asked)
	}
}
