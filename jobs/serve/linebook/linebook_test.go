package linebook_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/jobs/serve/linebook"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// written is a reconciliation.csv in a bucket.
type written struct {
	bucket bucket.Bucket
	file   linebook.File
	data   []byte
}

func write(t testing.TB, currency string, lines []*invoice.Line) written {
	t.Helper()
	var data bytes.Buffer
	csv := exports.NewCSV(&data)
	for _, l := range lines {
		if err := csv.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := csv.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data.Bytes())
	w := written{bucket.NewMemory(), linebook.File{Key: "reconciliation.csv", Size: int64(data.Len()), SHA256: hex.EncodeToString(sum[:]), Lines: len(lines), Currency: currency}, data.Bytes()}
	if err := bucket.Put(context.Background(), w.bucket, w.file.Key, w.data); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w written) open(t testing.TB) *linebook.Book {
	t.Helper()
	book, err := linebook.NewShelf(1<<30).Open(context.Background(), w.bucket, w.file)
	if err != nil {
		t.Fatal(err)
	}
	return book
}

// pages asks for everything, page by page.
func pages(t testing.TB, b *linebook.Book, q linebook.Query, limit int) (lines []linebook.Line, first linebook.Page) {
	t.Helper()
	for cursor := ""; ; {
		page, err := b.Page(context.Background(), q, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Lines) > limit {
			t.Fatalf("a page of %d lines, want %d at most", len(page.Lines), limit)
		}
		if cursor == "" {
			first = page
		}
		lines = append(lines, page.Lines...)
		if cursor = page.Next; cursor == "" {
			return lines, first
		}
	}
}

// text is a row of the CSV.
func text(fields [46]string) string {
	var row []string
	for _, f := range fields {
		if strings.ContainsAny(f, "\",\r\n") {
			f = `"` + strings.ReplaceAll(f, `"`, `""`) + `"`
		}
		row = append(row, f)
	}
	return strings.Join(row, ",") + "\r\n"
}

// Whatever is asked, the answer is what reading the whole CSV and filtering and sorting
// its lines gives, and its rows are those of the file, byte for byte.
func TestPagesAreWhatTheFileHas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		currency := rapid.SampledFrom([]string{"EUR", "JPY", "KWD"}).Draw(rt, "currency")
		lines := rapid.SliceOfN(rapid.Custom(drawLine(currency)), 0, 40).Draw(rt, "lines")
		w := write(t, currency, lines)
		book := w.open(t)
		q := drawQuery(rt, lines)
		got, page := pages(t, book, q, rapid.IntRange(1, 15).Draw(rt, "limit"))

		naive := byHand(rt, w.data, q)
		if len(got) != len(naive) || page.Count != len(naive) {
			rt.Fatalf("%d lines, counted %d, want %d, of %+v", len(got), page.Count, len(naive), q)
		}
		var sum invoice.Totals
		for i, expected := range naive {
			sum.Add(expected.line)
			if got[i].Row != expected.row {
				rt.Fatalf("line %d is row %d, want %d, of %+v", i, got[i].Row, expected.row, q)
			}
			var row bytes.Buffer
			csv := exports.NewCSV(&row)
			if err := errors.Join(csv.Encode(expected.line), csv.Close()); err != nil {
				rt.Fatal(err)
			}
			if _, want, _ := strings.Cut(row.String(), "\r\n"); text(got[i].Fields) != want {
				rt.Fatalf("row %d:\n got %s\nwant %s", got[i].Row, text(got[i].Fields), want)
			} else if whole := book.Row(expected.row); whole != want {
				rt.Fatalf("row %d as a whole:\n got %s\nwant %s", got[i].Row, whole, want)
			}
		}
		if book.Row(0)+book.Row(len(lines)+1) != "" {
			rt.Error("rows that are not there")
		}
		digits, _ := pricing.MinorDigits(currency)
		for _, s := range []struct {
			got  string
			want int64
		}{{page.Subtotal, sum.Subtotal}, {page.TaxTotal, sum.TaxTotal}, {page.Total, sum.Total}} {
			if want := pricing.FormatMinor(s.want, digits); s.got != want {
				rt.Errorf("sum %s, want %s", s.got, want)
			}
		}
	})
}

type numbered struct {
	row  int
	line *invoice.Line
}

// byHand reads the whole file, and filters and sorts it the plain way.
func byHand(t *rapid.T, data []byte, q linebook.Query) (all []numbered) {
	row := 0
	for l, err := range exports.ReadLines(bytes.NewReader(data)) {
		if err != nil {
			t.Fatal(err)
		}
		row++
		if wanted(l, q) {
			all = append(all, numbered{row, l})
		}
	}
	compare := map[linebook.Sort]func(a, b *invoice.Line) int{
		linebook.ByCustomer:    byText(func(l *invoice.Line) string { return l.Account.CustomerName }),
		linebook.ByProduct:     byText(func(l *invoice.Line) string { return l.Item.ProductName }),
		linebook.BySku:         byText(func(l *invoice.Line) string { return l.Item.SkuName }),
		linebook.ByChargeType:  byText(func(l *invoice.Line) string { return l.ChargeType }),
		linebook.ByOrderDate:   func(a, b *invoice.Line) int { return int(a.OrderDate) - int(b.OrderDate) },
		linebook.ByChargeStart: func(a, b *invoice.Line) int { return int(a.ChargeStart) - int(b.ChargeStart) },
		linebook.ByChargeEnd:   func(a, b *invoice.Line) int { return int(a.ChargeEnd) - int(b.ChargeEnd) },
		linebook.ByUnitPrice:   func(a, b *invoice.Line) int { return a.UnitPrice.Cmp(b.UnitPrice) },
		linebook.ByQuantity:    func(a, b *invoice.Line) int { return a.Quantity.Cmp(b.Quantity) },
		linebook.BySubtotal:    func(a, b *invoice.Line) int { return int(a.Subtotal - b.Subtotal) },
		linebook.ByTax:         func(a, b *invoice.Line) int { return int(a.TaxTotal - b.TaxTotal) },
		linebook.ByTotal:       func(a, b *invoice.Line) int { return int(a.Total - b.Total) },
	}[q.Sort]
	if compare == nil {
		if q.Descending {
			slices.Reverse(all)
		}
		return all
	}
	slices.SortStableFunc(all, func(a, b numbered) int {
		if q.Descending {
			return compare(b.line, a.line)
		}
		return compare(a.line, b.line)
	})
	return all
}

func byText(of func(*invoice.Line) string) func(a, b *invoice.Line) int {
	return func(a, b *invoice.Line) int { return strings.Compare(strings.ToLower(of(a)), strings.ToLower(of(b))) }
}

func wanted(l *invoice.Line, q linebook.Query) bool {
	digits, _ := pricing.MinorDigits(l.Currency)
	total := decimal.New(l.Total, -int32(digits))
	for _, word := range strings.Fields(strings.ToLower(q.Text)) {
		if !slices.ContainsFunc([]string{l.Account.CustomerName, l.Account.CustomerDomainName, l.Item.ProductName, l.Item.SkuName, l.Item.PublisherName, l.Item.SubscriptionDescription},
			func(name string) bool { return strings.Contains(strings.ToLower(name), word) }) {
			return false
		}
	}
	return (q.CustomerID == "" || q.CustomerID == l.Account.CustomerID) &&
		(q.SubscriptionID == "" || q.SubscriptionID == l.SubscriptionID) &&
		(q.OrderID == "" || q.OrderID == l.OrderID) &&
		(q.ProductID == "" || q.ProductID == l.Item.ProductID) &&
		(q.SkuID == "" || q.SkuID == l.Item.SkuID) &&
		(len(q.ChargeTypes) == 0 || slices.Contains(q.ChargeTypes, l.ChargeType)) &&
		(q.From == pricing.NoDate || l.ChargeStart >= q.From) &&
		(q.To == pricing.NoDate || l.ChargeStart <= q.To && l.ChargeStart != pricing.NoDate) &&
		(q.Sign == 0 || q.Sign == total.Sign()) &&
		(q.Min == nil || total.Cmp(*q.Min) >= 0) && (q.Max == nil || total.Cmp(*q.Max) <= 0)
}

var (
	someIDs   = []string{"", "0001", "c0ffee00-0000-4000-8000-000000000001", "C0FFEE00-0000-4000-8000-000000000001", "c0ffee00-0000-4000-8000-00000000000g", "an id, \"quoted\"", strings.Repeat("long ", 40)}
	someNames = []string{"", "Contoso", "\"Dummy Data\" Dairy Co.", "Voorbeeld, Stad", "Ähre & Söhne", "ÄHRE", "line\r\nend", "contoso EU"}
	someDates = []pricing.Date{pricing.NoDate, pricing.DateOf(2026, time.October, 1), pricing.DateOf(2026, time.October, 20), pricing.DateOf(2026, time.November, 4)}
	someTypes = []string{"new", "cycleCharge", "addQuantity"}
)

func drawLine(currency string) func(*rapid.T) *invoice.Line {
	return func(t *rapid.T) *invoice.Line {
		pick := func(label string, of []string) string { return rapid.SampledFrom(of).Draw(t, label) }
		day := func(label string) pricing.Date { return rapid.SampledFrom(someDates).Draw(t, label) }
		number := func(label string) decimal.Decimal {
			return decimal.New(int64(rapid.IntRange(-3, 300).Draw(t, label)), -int32(rapid.IntRange(0, 10).Draw(t, label+" places")))
		}
		minor := func(label string) int64 {
			return rapid.OneOf(rapid.Int64Range(-3, 3), rapid.Int64Range(-1e15, 1e15)).Draw(t, label)
		}
		return &invoice.Line{
			Account: &invoice.Account{PartnerID: "p", CustomerID: pick("customer", someIDs), CustomerName: pick("name", someNames), CustomerDomainName: pick("domain", someNames), CustomerCountry: "NL"},
			Item: &invoice.Item{ProductID: pick("product", someIDs), SkuID: pick("sku", someIDs), SkuName: pick("sku name", someNames), ProductName: pick("product name", someNames),
				PublisherName: pick("publisher", someNames), SubscriptionDescription: pick("description", someNames), ProductQualifiers: pick("qualifiers", []string{"", `["Trial"]`}), PromotionID: pick("promotion", someIDs)},
			InvoiceNumber: "C202610-000001", SubscriptionID: pick("subscription", someIDs), OrderID: pick("order", someIDs), ReferenceID: pick("reference", someIDs),
			OrderDate: day("order date"), ChargeType: pick("type", someTypes), ChargeStart: day("start"), ChargeEnd: day("end"), TermStart: day("term"), TermEnd: day("term end"), RateDate: day("rate date"),
			UnitPrice: number("price"), EffectiveUnitPrice: number("effective"), Quantity: number("quantity"), BillableQuantity: number("billable"), ExchangeRate: number("rate"),
			Subtotal: minor("subtotal"), TaxTotal: minor("tax"), Total: minor("total"), Currency: currency, PricingCurrency: "USD", PriceAdjustment: pick("adjustment", someNames),
		}
	}
}

func drawQuery(t *rapid.T, lines []*invoice.Line) linebook.Query {
	maybe := func(label string, of []string) string {
		if rapid.IntRange(0, 4).Draw(t, label+"?") > 0 {
			return ""
		}
		return rapid.SampledFrom(of).Draw(t, label)
	}
	q := linebook.All()
	q.CustomerID, q.SubscriptionID, q.OrderID = maybe("by customer", someIDs), maybe("by subscription", someIDs), maybe("by order", someIDs)
	q.ProductID, q.SkuID = maybe("by product", someIDs), maybe("by sku", someIDs)
	q.ChargeTypes = rapid.SliceOfN(rapid.SampledFrom(append(someTypes, "none")), 0, 2).Draw(t, "types")
	q.From, q.To = rapid.SampledFrom(someDates).Draw(t, "from"), rapid.SampledFrom(someDates).Draw(t, "to")
	q.Text = maybe("text", []string{"contoso", "ähre söhne", "DAIRY dummy", "stad", ",", "nowhere"})
	q.Sign = rapid.IntRange(-1, 1).Draw(t, "sign")
	for _, limit := range []**decimal.Decimal{&q.Min, &q.Max} {
		if rapid.Bool().Draw(t, "limited") {
			d := decimal.New(rapid.Int64Range(-2e15, 2e15).Draw(t, "limit of total"), -int32(rapid.IntRange(-20, 5).Draw(t, "its places")))
			if len(lines) > 0 && rapid.Bool().Draw(t, "of a line") {
				digits, _ := pricing.MinorDigits(lines[0].Currency)
				d = decimal.New(lines[0].Total, -int32(digits))
			}
			*limit = &d
		}
	}
	q.Sort = rapid.SampledFrom([]linebook.Sort{linebook.ByRow, linebook.ByCustomer, linebook.ByProduct, linebook.BySku, linebook.ByChargeType, linebook.ByOrderDate, linebook.ByChargeStart,
		linebook.ByChargeEnd, linebook.ByUnitPrice, linebook.ByQuantity, linebook.BySubtotal, linebook.ByTax, linebook.ByTotal}).Draw(t, "sort")
	q.Descending = rapid.Bool().Draw(t, "descending")
	return q
}

// many are lines as a large partner has them: n of them, of some thousand customers.
func many(n int) []*invoice.Line {
	dice := rand.New(rand.NewPCG(1, 2))
	id := func() string {
		return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", dice.Uint32(), dice.Uint32()>>16, dice.Uint32()>>20, dice.Uint32()>>20, dice.Uint64()>>16)
	}
	items := make([]*invoice.Item, 300)
	for i := range items {
		items[i] = &invoice.Item{ProductID: fmt.Sprintf("CFQ7TTC0%04d", i/4), SkuID: fmt.Sprintf("%04d", i%4), AvailabilityID: fmt.Sprintf("CFQ7TTC0%04X", i), SkuName: fmt.Sprintf("Plan %d of the product", i),
			ProductName: fmt.Sprintf("Product number %d", i/4), PublisherName: "Microsoft Corporation", SubscriptionDescription: fmt.Sprintf("Plan %d of the product", i),
			TermAndBillingCycle: "One-year commitment for monthly billing", UnitType: "Licenses", BillingFrequency: "Monthly"}
	}
	start := pricing.DateOf(2026, time.October, 1)
	lines := make([]*invoice.Line, n)
	var account *invoice.Account
	for i := range lines {
		if i%40 == 0 {
			account = &invoice.Account{PartnerID: id(), CustomerID: id(), CustomerName: fmt.Sprintf("Customer %d Ltd.", i/40), CustomerDomainName: fmt.Sprintf("customer%d.example", i/40), CustomerCountry: "DE", MpnID: "1234567", ResellerMpnID: "7654321"}
		}
		day := pricing.Date(dice.IntN(31))
		quantity, price := int64(1+dice.IntN(200)), int64(100+dice.IntN(900)*10)
		subtotal := quantity * price
		lines[i] = &invoice.Line{Account: account, Item: items[dice.IntN(len(items))], InvoiceNumber: "C202610-000001", SubscriptionID: id(), OrderID: id(), ReferenceID: id(), OrderDate: start + day,
			ChargeType: someTypes[dice.IntN(3)], UnitPrice: decimal.New(price, -2), EffectiveUnitPrice: decimal.New(price*int64(1+dice.IntN(31))*1e7/31, -9), Quantity: decimal.New(quantity, 0), BillableQuantity: decimal.New(quantity, 0),
			Subtotal: subtotal, TaxTotal: subtotal / 5, Total: subtotal + subtotal/5, Currency: "EUR", PricingCurrency: "EUR",
			ChargeStart: start + day, ChargeEnd: start + day + 30, TermStart: start + day - 365*pricing.Date(dice.IntN(3)), TermEnd: start + day + 365}
	}
	return lines
}

// A million lines: made in how long, kept in how much, and how long a page takes.
func BenchmarkBook(b *testing.B) {
	w := write(b, "EUR", many(1_000_000))
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			w.open(b)
		}
		b.ReportMetric(float64(w.open(b).Size())/1e6, "MB")
		b.ReportMetric(float64(w.file.Size)/1e6, "MB-of-CSV")
	})
	book := w.open(b)
	all := linebook.All()
	for name, change := range map[string]func(*linebook.Query){
		"as-it-stands":     func(*linebook.Query) {},
		"by-total":         func(q *linebook.Query) { q.Sort, q.Descending = linebook.ByTotal, true },
		"by-customer-name": func(q *linebook.Query) { q.Sort = linebook.ByCustomer },
		"worst-order":      func(q *linebook.Query) { q.Descending = true },
		"text":             func(q *linebook.Query) { q.Text = "product 77"; q.Sort = linebook.ByQuantity },
		"credits":          func(q *linebook.Query) { q.Sign = -1; q.ChargeTypes = []string{"new"} },
	} {
		q := all
		change(&q)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := book.Page(context.Background(), q, "", 100); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A file that is not what its manifest says is no book.
func TestDamage(t *testing.T) {
	t.Parallel()
	lines := many(50)
	for name, damage := range map[string]func(w *written){
		"a byte is another": func(w *written) {
			w.data = bytes.Replace(w.data, []byte("Customer 1 Ltd."), []byte("Customer 2 Ltd."), 1)
		},
		"an amount is none":  func(w *written) { w.data = bytes.Replace(w.data, []byte("EUR"), []byte("EU,"), 1) },
		"the end is missing": func(w *written) { w.data = w.data[:len(w.data)-100] },
		"a byte more":        func(w *written) { w.data = append(w.data, '\n') },
		"a line less":        func(w *written) { w.file.Lines++ },
	} {
		w := write(t, "EUR", lines)
		w.data = bytes.Clone(w.data)
		damage(&w)
		w.file.Key = "damaged.csv"
		if err := bucket.Put(t.Context(), w.bucket, w.file.Key, w.data); err != nil {
			t.Fatal(err)
		}
		_, err := linebook.NewShelf(1<<30).Open(t.Context(), w.bucket, w.file)
		if !errors.Is(err, linebook.ErrDamaged) || !strings.Contains(err.Error(), w.file.Key) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A cursor belongs to its query and its file.
func TestCursor(t *testing.T) {
	t.Parallel()
	book, other := write(t, "EUR", many(50)).open(t), write(t, "EUR", many(51)).open(t)
	q := linebook.All()
	q.Sort = linebook.ByTotal
	page, err := book.Page(t.Context(), q, "", 10)
	if err != nil || page.Next == "" {
		t.Fatalf("next %q, %v", page.Next, err)
	}
	another := q
	another.Descending = true
	for name, ask := range map[string]func() (linebook.Page, error){
		"another query": func() (linebook.Page, error) { return book.Page(t.Context(), another, page.Next, 10) },
		"another file":  func() (linebook.Page, error) { return other.Page(t.Context(), q, page.Next, 10) },
		"no cursor":     func() (linebook.Page, error) { return book.Page(t.Context(), q, "%", 10) },
		"cut short":     func() (linebook.Page, error) { return book.Page(t.Context(), q, page.Next[:4], 10) },
	} {
		if _, err := ask(); !errors.Is(err, linebook.ErrCursor) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if page, err = book.Page(t.Context(), q, page.Next, 1000); err != nil || len(page.Lines) != 40 || page.Count != 50 || page.Next != "" {
		t.Errorf("the rest: %d lines, counted %d, next %q, %v", len(page.Lines), page.Count, page.Next, err)
	}
}

// counted counts how often an object is opened.
type counted struct {
	bucket.Bucket
	mu    sync.Mutex
	times map[string]int
}

func (c *counted) Open(ctx context.Context, key string) (bucket.Object, error) {
	c.mu.Lock()
	c.times[key]++
	c.mu.Unlock()
	return c.Bucket.Open(ctx, key)
}

// A book is made once, however many ask, and again once it had to make room.
func TestShelf(t *testing.T) {
	t.Parallel()
	a, b := write(t, "EUR", many(3000)), write(t, "EUR", many(3001))
	store := &counted{Bucket: bucket.NewMemory(), times: make(map[string]int)}
	shelf := linebook.NewShelf(b.open(t).Size() * 3 / 2)
	a.file.Key, b.file.Key = "a.csv", "b.csv"
	for _, w := range []written{a, b} {
		if err := bucket.Put(t.Context(), store, w.file.Key, w.data); err != nil {
			t.Fatal(err)
		}
	}
	open := func(w written) {
		if book, err := shelf.Open(t.Context(), store, w.file); err != nil || book.Rows() != w.file.Lines {
			t.Errorf("%s: %v", w.file.Key, err)
		}
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { open(a) })
	}
	group.Wait()
	if store.times["a.csv"] != 1 {
		t.Errorf("8 at once read the file %d times", store.times["a.csv"])
	}
	open(b)
	open(b)
	open(a)
	if store.times["a.csv"] != 2 || store.times["b.csv"] != 1 {
		t.Errorf("with room for one of them: read %v times", store.times)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := shelf.Open(gone, store, b.file); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits any more: %v", err)
	}
	open(b)
}
