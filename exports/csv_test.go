package exports

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

func TestCSVGolden(t *testing.T) {
	t.Parallel()
	golden(t, "reconciliation.csv", writeCSV(t, company()))
}

func TestColumnsAreThoseOfTheFormat(t *testing.T) {
	t.Parallel()
	const want = "PartnerId,CustomerId,CustomerName,CustomerDomainName,CustomerCountry,InvoiceNumber,MpnId,ResellerMpnId," +
		"OrderId,OrderDate,ProductId,SkuId,AvailabilityId,SkuName,ProductName,ChargeType,UnitPrice,Quantity,Subtotal,TaxTotal," +
		"Total,Currency,PriceAdjustmentDescription,PublisherName,PublisherId,SubscriptionDescription,SubscriptionId," +
		"ChargeStartDate,ChargeEndDate,TermAndBillingCycle,EffectiveUnitPrice,UnitType,AlternateId,BillableQuantity," +
		"BillingFrequency,PricingCurrency,PCToBCExchangeRate,PCToBCExchangeRateDate,MeterDescription,ReservationOrderId," +
		"CreditReasonCode,SubscriptionStartDate,SubscriptionEndDate,ReferenceId,ProductQualifiers,PromotionId"
	if got := strings.Join(Columns(), ","); got != want {
		t.Errorf("columns\n got %s\nwant %s", got, want)
	}
	// No two columns point at one field.
	l := &invoice.Line{Account: &invoice.Account{}, Item: &invoice.Item{}}
	seen := map[any]string{}
	for _, c := range columns {
		var field any
		switch {
		case c.text != nil:
			field = c.text(l)
		case c.date != nil:
			field = c.date(l)
		case c.amount != nil:
			field = c.amount(l)
		default:
			field = c.number(l)
		}
		if other, ok := seen[field]; ok {
			t.Errorf("%s and %s are the same field", other, c.name)
		}
		seen[field] = c.name
	}
}

// nasty are texts that a careless writer breaks.
var nasty = []string{
	"", " leading and trailing ", `a "quoted" word`, `"`, `""`, "comma, here", "line\nfeed", "carriage\rreturn",
	"both\r\nof them", "\t", "=1+1", "+49 30", "-5", "@SUM(A1)", "'", "Zażółć gęślą 日本語 🍞", "\ufeffmark", "\x00\x01",
	`["Correction of C202610-000001 line 3"]`,
}

func TestCSVIsReadByEncodingCSV(t *testing.T) {
	t.Parallel()
	var lines []*invoice.Line
	for _, s := range nasty {
		for _, l := range company() {
			account, item := *l.Account, *l.Item
			account.CustomerName, item.SkuName, l.PriceAdjustment = s, s, s
			item.PromotionID = s // the last field of the row
			l.Account, l.Item = &account, &item
			lines = append(lines, l)
		}
	}
	requireEncodingCSVAgrees(t, lines)
}

// requireEncodingCSVAgrees reads the lines' CSV with the standard library and
// compares every field with the one of the line.
func requireEncodingCSVAgrees(t *testing.T, lines []*invoice.Line) {
	t.Helper()
	written := writeCSV(t, lines)
	rows, err := csv.NewReader(bytes.NewReader(written)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(lines)+1 || !slices.Equal(rows[0], Columns()) {
		t.Fatalf("%d rows for %d lines, header %q", len(rows), len(lines), rows[0])
	}
	for i, l := range lines {
		for j, want := range slowFields(l) {
			// The standard reader turns a CRLF inside a field into LF.
			if want = strings.ReplaceAll(want, "\r\n", "\n"); rows[i+1][j] != want {
				t.Errorf("row %d %s: got %q, want %q", i+1, columns[j].name, rows[i+1][j], want)
			}
		}
	}
}

// slowFields is the text form of a line by other means than the encoder's.
func slowFields(l *invoice.Line) []string {
	digits, _ := pricing.MinorDigits(l.Currency)
	fields := make([]string, len(columns))
	for i, c := range columns {
		switch {
		case c.text != nil:
			fields[i] = *c.text(l)
		case c.date != nil:
			fields[i] = c.date(l).String()
		case c.amount != nil:
			fields[i] = decimal.New(*c.amount(l), int32(-digits)).StringFixed(int32(digits))
		case c.blankZero && c.number(l).IsZero():
		default:
			fields[i] = c.number(l).String()
		}
	}
	return fields
}

func TestAmountText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		minor  int64
		digits int
		want   string
	}{
		{0, 2, "0.00"}, {5, 2, "0.05"}, {-5, 2, "-0.05"}, {123456, 2, "1234.56"}, {-100, 2, "-1.00"},
		{0, 0, "0"}, {-1234, 0, "-1234"},
		{1, 3, "0.001"}, {-1234567, 3, "-1234.567"},
		{999_999_999_999_999_999, 2, "9999999999999999.99"}, {-1 << 63, 2, "-92233720368547758.08"},
	} {
		got := string(appendAmount(nil, c.minor, c.digits))
		if got != c.want {
			t.Errorf("%d with %d digits: got %s, want %s", c.minor, c.digits, got, c.want)
		}
		if back, err := parseAmount(got, c.digits); err != nil || back != c.minor {
			t.Errorf("%s read back: %d, %v", got, back, err)
		}
	}
	for _, s := range []string{"", "-", ".", "1", "1.0", "1.000", "01.00", "+1.00", "-0.00", "1,00", " 1.00", "1.00 ", ".50", "1e2", "1_0.00", "10.0.0"} {
		if got, err := parseAmount(s, 2); err == nil {
			t.Errorf("amount %q was read as %d", s, got)
		}
	}
}

// A row's amounts and dates are what a line's are, in room that holds no more.
func TestAmountAndDateOfARow(t *testing.T) {
	t.Parallel()
	amounts := []int64{0, math.MaxInt64, math.MinInt64}
	for _, p := range powersOfTen {
		amounts = append(amounts, p-1, p, p+1, -p+1, -p, -p-1, 7*p)
	}
	var room [24]byte
	for digits := range 5 {
		for _, minor := range amounts {
			n := putAmount(room[:], 0, minor, digits)
			if got, want := string(room[:n]), string(appendAmount(nil, minor, digits))+","; got != want {
				t.Errorf("%d with %d decimals is %q, want %q", minor, digits, got, want)
			}
		}
	}
	var dates dateTexts
	for _, d := range []pricing.Date{pricing.NoDate, firstText, lastText, 0, -1, 1, 1024, 20_000, 20_000 + 1024, 20_000} {
		n := dates.put(room[:], 0, d)
		if got, want := string(room[:n]), d.String()+","; got != want || !hasText(d) {
			t.Errorf("date %d is %q, want %q", d, got, want)
		}
	}
	for _, d := range []pricing.Date{firstText - 1, lastText + 1} {
		if _, err := dates.append(nil, d); err == nil {
			t.Errorf("date %d is written", d)
		}
	}
}

func TestNumberText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		number decimal.Decimal
		want   string
	}{
		{decimal.Decimal{}, "0"}, {decimal.New(0, -5), "0"}, {decimal.New(0, 5), "0"},
		{decimal.New(9600, -3), "9.6"}, {decimal.New(-49548387097, -10), "-4.9548387097"},
		{decimal.New(5, 3), "5000"}, {decimal.New(100, -2), "1"}, {decimal.New(1, -18), "0.000000000000000001"},
		{decimal.New(1, -20), "0.00000000000000000001"},
		{decimal.RequireFromString("123456789012345678901234567890.50"), "123456789012345678901234567890.5"},
	} {
		got := string(appendNumber(nil, c.number))
		if got != c.want {
			t.Errorf("%d x 10^%d: got %s, want %s", c.number.Coefficient(), c.number.Exponent(), got, c.want)
		}
		if back, err := parseNumber(got); err != nil || !back.Equal(c.number) {
			t.Errorf("%s read back: %s, %v", got, back, err)
		}
	}
	for _, s := range []string{"", "-", ".", "1.", ".5", "1.50", "-0", "00", "01", "1e3", "1E999999999", "+1", " 1", "NaN", "--1", "1-", strings.Repeat("9", 99)} {
		if got, err := parseNumber(s); err == nil {
			t.Errorf("number %q was read as %s", s, got)
		}
	}
}

// A shared Account is formatted once; another pointer, or a change back, is
// formatted again.
func TestCSVFollowsAccountAndItem(t *testing.T) {
	t.Parallel()
	all := company()
	a, b := all[0], all[4]
	mixed := []*invoice.Line{a, b, a, a, b}
	requireEncodingCSVAgrees(t, mixed)
	noItem := *a
	noItem.Item = nil
	blank := noItem
	blank.Item = &invoice.Item{}
	if !bytes.Equal(writeCSV(t, []*invoice.Line{a, &noItem, a}), writeCSV(t, []*invoice.Line{a, &blank, a})) {
		t.Error("a line without an item is not written as one with a blank item")
	}
}

func TestEncodersRefuse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*invoice.Line)
		want   string
	}{
		{"no account", func(l *invoice.Line) { l.Account = nil }, "no account"},
		{"unknown currency", func(l *invoice.Line) { l.Currency = "XXX" }, "column Currency"},
		{"text that is not UTF-8", func(l *invoice.Line) { l.PriceAdjustment = "a\xff" }, "column PriceAdjustmentDescription"},
		{"item text that is not UTF-8", func(l *invoice.Line) { l.Item = &invoice.Item{SkuName: "\xff"} }, "column SkuName"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := NewParquet(io.Discard, "EUR")
			if err != nil {
				t.Fatal(err)
			}
			for name, e := range map[string]encoder{"csv": NewCSV(io.Discard), "parquet": p} {
				requireRefused(t, name, e, c.change, c.want)
			}
		})
	}
}

type encoder interface {
	Encode(*invoice.Line) error
	Close() error
	Totals() invoice.Totals
}

// requireRefused gives the encoder a good line, a bad one and a good one: it
// must name the bad one and stay failed.
func requireRefused(t *testing.T, name string, e encoder, change func(*invoice.Line), want string) {
	t.Helper()
	good := company()[0]
	bad := *good
	change(&bad)
	if err := e.Encode(good); err != nil {
		t.Fatal(err)
	}
	err := e.Encode(&bad)
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "row 2") {
		t.Errorf("%s: error %v, want %q of row 2", name, err, want)
	}
	if again := e.Encode(good); !errors.Is(again, err) {
		t.Errorf("%s: did not stay failed: %v", name, again)
	}
	if closed := e.Close(); !errors.Is(closed, err) {
		t.Errorf("%s: Close after failure: %v", name, closed)
	}
	if e.Totals().Lines != 1 {
		t.Errorf("%s: %d lines counted, want the good one", name, e.Totals().Lines)
	}
}

type brokenWriter struct{ left int }

var errBroken = errors.New("disk is full")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestEncodersReportTheWriter(t *testing.T) {
	t.Parallel()
	lines := many(2000, "EUR")
	for _, left := range []int{0, 10, 100_000} {
		p, err := NewParquet(&brokenWriter{left}, "EUR")
		if err != nil {
			t.Fatal(err)
		}
		for name, e := range map[string]encoder{"csv": NewCSV(&brokenWriter{left}), "parquet": p} {
			var err error
			for _, l := range lines {
				if err = e.Encode(l); err != nil {
					break
				}
			}
			if closed := e.Close(); err == nil {
				err = closed
			}
			if !errors.Is(err, errBroken) {
				t.Errorf("%s with %d bytes of room: %v", name, left, err)
			}
			if again := e.Close(); again == nil {
				t.Errorf("%s closed after it had failed", name)
			}
		}
	}
}

func FuzzCSVIsReadByEncodingCSV(f *testing.F) {
	for _, s := range nasty {
		f.Add(s, "x"+s, int64(-4950), int64(12), int32(-3), int32(20000))
	}
	f.Fuzz(func(t *testing.T, a, b string, amount, value int64, exponent, days int32) {
		l := *company()[0]
		account, item := *l.Account, *l.Item
		account.CustomerName, account.ResellerMpnID, item.ProductName, item.PromotionID = a, b, b, a
		l.Account, l.Item, l.InvoiceNumber, l.ReferenceID = &account, &item, a, b
		l.Subtotal, l.TaxTotal, l.Total = amount, -amount, value
		l.UnitPrice, l.ExchangeRate = decimal.New(value, exponent%40), decimal.New(amount, exponent%7)
		l.OrderDate = pricing.Date(days)
		if err := NewCSV(io.Discard).Encode(&l); err != nil {
			t.Skip(err) // not UTF-8, or a year of five digits
		}
		requireEncodingCSVAgrees(t, []*invoice.Line{&l, company()[4]})
	})
}

func BenchmarkCSV(b *testing.B) {
	lines := many(20_000, "EUR")
	b.ReportAllocs()
	for b.Loop() {
		c := NewCSV(io.Discard)
		for _, l := range lines {
			if err := c.Encode(l); err != nil {
				b.Fatal(err)
			}
		}
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(lines))/b.Elapsed().Seconds(), "lines/s")
}
