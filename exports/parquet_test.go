package exports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

func writeParquet(t testing.TB, lines []*invoice.Line, currency string) []byte {
	t.Helper()
	var b bytes.Buffer
	p, err := NewParquet(&b, currency)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if err := p.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func openParquet(t testing.TB, file []byte) *parquet.File {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The file as another library reads it has the fields of the CSV, rounded to
// what its columns hold.
func TestParquetHasTheFieldsOfTheCSV(t *testing.T) {
	t.Parallel()
	for _, currency := range []string{"JPY", "EUR", "KWD", "CLF"} {
		t.Run(currency, func(t *testing.T) {
			t.Parallel()
			lines := append(company(), many(5_000, currency)...)
			for _, l := range lines {
				l.Currency = currency
			}
			lines[1].ExchangeRate = decimal.New(4, -10) // rounds to 0, which is not blank
			requireParquet(t, writeParquet(t, lines, currency), lines)
		})
	}
}

func requireParquet(t *testing.T, file []byte, lines []*invoice.Line) {
	t.Helper()
	f := openParquet(t, file)
	if f.NumRows() != int64(len(lines)) {
		t.Fatalf("%d rows, want %d", f.NumRows(), len(lines))
	}
	digits, _ := pricing.MinorDigits(lines[0].Currency)
	n := 0
	for _, group := range f.RowGroups() {
		rows := group.Rows()
		batch := make([]parquet.Row, 100)
		for {
			read, err := rows.ReadRows(batch)
			for _, row := range batch[:read] {
				requireRow(t, n, row, lines[n], digits)
				n++
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n != len(lines) {
		t.Errorf("%d rows read, want %d", n, len(lines))
	}
}

func requireRow(t *testing.T, n int, row parquet.Row, l *invoice.Line, digits int) {
	t.Helper()
	for i, want := range slowFields(l) {
		c, v := &columns[i], row[i]
		var got string
		switch {
		case v.IsNull():
		case c.text != nil:
			got = string(v.ByteArray())
		case c.date != nil:
			got = pricing.Date(v.Int32()).String()
		case c.amount != nil:
			got = decimal.New(v.Int64(), int32(-digits)).StringFixed(int32(digits))
		default:
			got = decimal.New(v.Int64(), int32(-c.scale)).String()
			if want != "" {
				want = c.number(l).RoundBank(int32(c.scale)).String()
			}
		}
		if got != want || v.IsNull() && c.text != nil {
			t.Fatalf("row %d %s: got %q (null: %t), want %q", n, c.name, got, v.IsNull(), want)
		}
	}
}

func TestParquetSchema(t *testing.T) {
	t.Parallel()
	for currency, amount := range map[string]string{"JPY": "DECIMAL(18,0)", "EUR": "DECIMAL(18,2)", "KWD": "DECIMAL(18,3)"} {
		schema := openParquet(t, writeParquet(t, nil, currency)).Schema().String()
		for _, want := range []string{
			"required binary PartnerId (STRING)", "optional int32 OrderDate (DATE)",
			"required int64 Subtotal (" + amount + ")", "required int64 Total (" + amount + ")",
			"required int64 UnitPrice (DECIMAL(18,6))", "required int64 BillableQuantity (DECIMAL(18,6))",
			"optional int64 PCToBCExchangeRate (DECIMAL(18,9))",
		} {
			if !strings.Contains(schema, want) {
				t.Errorf("%s: no %q in\n%s", currency, want, schema)
			}
		}
	}
	fields := openParquet(t, writeParquet(t, company(), "EUR")).Schema().Fields()
	for i, f := range fields {
		if f.Name() != columns[i].name {
			t.Errorf("column %d is %s, want %s", i, f.Name(), columns[i].name)
		}
	}
	if _, err := NewParquet(io.Discard, "XXX"); err == nil {
		t.Error("a currency without digits was taken")
	}
}

// Row groups are bounded and each has the bounds of its own rows, over signs.
func TestParquetGroupsAndStatistics(t *testing.T) {
	t.Parallel()
	lines := many(parquetGroup+40_000, "EUR")
	file := writeParquet(t, lines, "EUR")
	f := openParquet(t, file)
	meta := f.Metadata()
	if len(meta.RowGroups) != 2 || meta.RowGroups[0].NumRows != parquetGroup || meta.CreatedBy != createdBy {
		t.Fatalf("%d row groups, created by %q", len(meta.RowGroups), meta.CreatedBy)
	}
	for g, group := range meta.RowGroups {
		of := lines[:parquetGroup]
		if g == 1 {
			of = lines[parquetGroup:]
		}
		for i, c := range columns {
			requireStatistics(t, fmt.Sprintf("group %d %s", g, c.name), &c, group.Columns[i].MetaData.Statistics, of)
		}
	}
	requireParquet(t, file, lines)
	if !bytes.Equal(file, writeParquet(t, lines, "EUR")) {
		t.Error("the same lines gave other bytes")
	}
}

func requireStatistics(t *testing.T, name string, c *column, got format.Statistics, lines []*invoice.Line) {
	t.Helper()
	kind := parquet.Int64
	value := func(l *invoice.Line) parquet.Value {
		v, _ := scaled(*c.number(l), c.scale)
		return parquet.Int64Value(v)
	}
	switch {
	case c.text != nil:
		kind = parquet.ByteArray
		value = func(l *invoice.Line) parquet.Value { return parquet.ByteArrayValue([]byte(*c.text(l))) }
	case c.amount != nil:
		value = func(l *invoice.Line) parquet.Value { return parquet.Int64Value(*c.amount(l)) }
	case c.date != nil:
		kind = parquet.Int32
		value = func(l *invoice.Line) parquet.Value { return parquet.Int32Value(int32(*c.date(l))) }
	}
	compare := map[parquet.Kind]parquet.Type{parquet.Int64: parquet.Int64Type, parquet.Int32: parquet.Int32Type, parquet.ByteArray: parquet.ByteArrayType}[kind].Compare
	least, most := value(lines[0]), value(lines[0])
	for _, l := range lines {
		if v := value(l); compare(v, least) < 0 {
			least = v
		} else if compare(v, most) > 0 {
			most = v
		}
	}
	if got.MinValue == nil || compare(kind.Value(got.MinValue), least) != 0 || compare(kind.Value(got.MaxValue), most) != 0 {
		t.Errorf("%s: bounds %v to %v, want %v to %v", name, kind.Value(got.MinValue), kind.Value(got.MaxValue), least, most)
	}
	if got.NullCount != 0 {
		t.Errorf("%s: %d nulls", name, got.NullCount)
	}
}

func TestParquetRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*invoice.Line)
		want   string
	}{
		{"another currency", func(l *invoice.Line) { l.Currency = "USD" }, `line is in "USD", the file in EUR`},
		{"amount of 19 digits", func(l *invoice.Line) { l.Total = -powersOfTen[18] }, "column Total"},
		{"price of 13 digits", func(l *invoice.Line) { l.UnitPrice = decimal.New(1, 12) }, "column UnitPrice: 1000000000000 as DECIMAL(18,6)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := NewParquet(io.Discard, "EUR")
			if err != nil {
				t.Fatal(err)
			}
			requireRefused(t, "parquet", p, c.change, c.want)
		})
	}
}

func TestScaled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want int64
	}{
		{"0", 0}, {"1.5", 1_500_000}, {"-4.9548387097", -4_954_839},
		// Half goes to even.
		{"0.0000005", 0}, {"0.0000015", 2}, {"0.0000025", 2}, {"-0.0000015", -2}, {"-0.0000025", -2}, {"0.00000250001", 3},
		{"999999999999.999999", 999_999_999_999_999_999}, {"1e3", 1_000_000_000}, {"0.0000000000000000000001", 0},
	} {
		if got, ok := scaled(decimal.RequireFromString(c.in), 6); !ok || got != c.want {
			t.Errorf("%s: got %d (%t), want %d", c.in, got, ok, c.want)
		}
	}
	for _, s := range []string{"1000000000000", "-1000000000000", "999999999999.9999999", "1e9000"} {
		if got, ok := scaled(decimal.RequireFromString(s), 6); ok {
			t.Errorf("%s fits as %d", s, got)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		d := decimal.New((1-2*random.Int64N(2))*(random.Int64()>>random.IntN(64)), int32(random.IntN(24)-18))
		scale := random.IntN(10)
		fast, ok := scaled(d, scale)
		if slow, want := scaledBig(d, scale); fast != slow || ok != want {
			t.Fatalf("%s at scale %d: got %d (%t), want %d (%t)", d, scale, fast, ok, slow, want)
		}
		if rounded := d.RoundBank(int32(scale)); ok && !rounded.Equal(decimal.New(fast, int32(-scale))) {
			t.Fatalf("%s at scale %d: got %d, want %s", d, scale, fast, rounded)
		}
	}
}

func BenchmarkParquet(b *testing.B) {
	lines := many(parquetGroup, "EUR")
	b.ReportAllocs()
	for b.Loop() {
		p, err := NewParquet(io.Discard, "EUR")
		if err != nil {
			b.Fatal(err)
		}
		for _, l := range lines {
			if err := p.Encode(l); err != nil {
				b.Fatal(err)
			}
		}
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(lines))/b.Elapsed().Seconds(), "lines/s")
}
