package exports

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// Every page's bounds hold for its rows and for no more than needed, and its
// place is where it is: over signs, nulls, long texts, rising and falling values.
func TestPageIndex(t *testing.T) {
	t.Parallel()
	lines := many(parquetGroup+100, "EUR")
	for i, l := range lines {
		page := i / parquetPage
		l.PriceAdjustment = strings.Repeat("é", 40+page) + fmt.Sprint(i%7)
		l.CreditReasonCode = []string{"", "a", strings.Repeat("\U0010ffff", 30)}[i%3]
		l.RateDate = pricing.NoDate
		if page == 1 {
			l.OrderDate, l.ExchangeRate = pricing.NoDate, decimal.Zero
		}
		l.TermStart, l.TermEnd = pricing.Date(i/1000), pricing.Date(-i/1000)
	}
	file := writeParquet(t, lines, "EUR")
	f := openParquet(t, file)
	if got, want := len(f.ColumnIndexes()), len(columns)*len(f.RowGroups()); got != want || len(f.OffsetIndexes()) != want {
		t.Fatalf("%d column indexes and %d offset indexes, want %d", got, len(f.OffsetIndexes()), want)
	}
	first := 0
	for g, group := range f.Metadata().RowGroups {
		of := lines[first : first+int(group.NumRows)]
		for i := range columns {
			n := g*len(columns) + i
			name := fmt.Sprintf("group %d %s", g, columns[i].name)
			requireColumnIndex(t, name, &columns[i], &f.ColumnIndexes()[n], of)
			requireOffsets(t, name, &f.OffsetIndexes()[n], &group.Columns[i].MetaData, len(of))
		}
		first += len(of)
	}
	for column, want := range map[string]format.BoundaryOrder{
		"SubscriptionStartDate": format.Ascending, "SubscriptionEndDate": format.Descending,
		"PriceAdjustmentDescription": format.Ascending, "Subtotal": format.Unordered,
	} {
		if got := f.ColumnIndexes()[columnNamed(column)].BoundaryOrder; got != want {
			t.Errorf("%s is %v, want %v", column, got, want)
		}
	}
	requireSeeks(t, f, lines)
}

// requireColumnIndex compares the bounds of a column chunk's pages with its lines.
func requireColumnIndex(t *testing.T, name string, c *column, got *format.ColumnIndex, lines []*invoice.Line) {
	t.Helper()
	p := newParquetColumn(c, 2)
	for page := 0; page*parquetPage < len(lines); page++ {
		nulls := 0
		var least, most []byte
		for _, l := range lines[page*parquetPage : min(len(lines), (page+1)*parquetPage)] {
			v, null := plainValue(t, &p, l)
			switch {
			case null:
				nulls++
				continue
			case least == nil:
				least, most = v, v
			}
			if p.compare(v, least) < 0 {
				least = v
			}
			if p.compare(v, most) > 0 {
				most = v
			}
		}
		if int(got.NullCounts[page]) != nulls || got.NullPages[page] != (least == nil) {
			t.Fatalf("%s page %d: %d nulls (all: %t), want %d", name, page, got.NullCounts[page], got.NullPages[page], nulls)
		}
		if least == nil {
			continue
		}
		low, high := got.MinValues[page], got.MaxValues[page]
		if p.compare(low, least) > 0 || p.compare(high, most) < 0 {
			t.Fatalf("%s page %d: bounds %q to %q, values %q to %q", name, page, low, high, least, most)
		}
		if len(least) <= maxBound && !bytes.Equal(low, least) || len(most) <= maxBound && !bytes.Equal(high, most) {
			t.Fatalf("%s page %d: bounds %q to %q are wider than %q to %q", name, page, low, high, least, most)
		}
	}
}

// plainValue is the value of a line in the encoding of bounds.
func plainValue(t *testing.T, p *parquetColumn, l *invoice.Line) (v []byte, null bool) {
	t.Helper()
	if p.text != nil {
		return []byte(*p.text(l)), false
	}
	p.null = false
	if err := p.set(l); err != nil {
		t.Fatal(err)
	}
	return p.appendValue([]byte{}, p.value), p.null
}

// requireOffsets checks that the pages follow each other and fill the chunk.
func requireOffsets(t *testing.T, name string, got *format.OffsetIndex, meta *format.ColumnMetaData, rows int) {
	t.Helper()
	begin := meta.DataPageOffset
	if meta.DictionaryPageOffset != 0 {
		begin = meta.DictionaryPageOffset
	}
	at := meta.DataPageOffset
	for i, l := range got.PageLocations {
		if l.Offset != at || l.FirstRowIndex != int64(i*parquetPage) {
			t.Fatalf("%s page %d: at %d, row %d; want %d, %d", name, i, l.Offset, l.FirstRowIndex, at, i*parquetPage)
		}
		at += int64(l.CompressedPageSize)
	}
	if pages := (rows + parquetPage - 1) / parquetPage; len(got.PageLocations) != pages || at-begin != meta.TotalCompressedSize {
		t.Fatalf("%s: %d pages of %d bytes, want %d of %d", name, len(got.PageLocations), at-begin, pages, meta.TotalCompressedSize)
	}
}

// requireSeeks reads single rows, for which a reader passes over pages.
func requireSeeks(t *testing.T, f *parquet.File, lines []*invoice.Line) {
	t.Helper()
	for _, at := range []int{0, parquetPage - 1, parquetPage, 3*parquetPage + 5} {
		rows := f.RowGroups()[0].Rows()
		row := make([]parquet.Row, 1)
		if err := rows.SeekToRow(int64(at)); err != nil {
			t.Fatal(err)
		}
		if n, err := rows.ReadRows(row); n != 1 {
			t.Fatalf("row %d: %v", at, err)
		}
		requireRow(t, at, row[0], lines[at], 2)
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestShortBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	for _, c := range []struct{ text, below, above string }{
		{"", "", ""}, {"short", "short", "short"}, {long + "b", long + "b", long + "b"},
		{long + "bc", long + "b", long + "c"},
		{long + "é!", long, long[:62] + "b"}, // é would be cut
		{long[:62] + "\u07ff!", long[:62] + "\u07ff", long[:62] + "\u0800"},
		{long[:61] + "\ud7ff!", long[:61] + "\ud7ff", long[:61] + "\ue000"},
		{long[:60] + "\U0010ffff!", long[:60] + "\U0010ffff", long[:59] + "b"},
		{strings.Repeat("\U0010ffff", 17), strings.Repeat("\U0010ffff", 16), strings.Repeat("\U0010ffff", 17)},
	} {
		if got := string(notAbove([]byte(c.text))); got != c.below {
			t.Errorf("%q: not above it is %q, want %q", c.text, got, c.below)
		}
		if got := string(notBelow([]byte(c.text))); got != c.above {
			t.Errorf("%q: not below it is %q, want %q", c.text, got, c.above)
		}
	}
	random := rand.New(rand.NewPCG(9, 9))
	for range 20_000 {
		var s []rune
		for range random.IntN(80) {
			s = append(s, []rune{'a', 'z', '\u007f', '\u07ff', '\ud7ff', '\uffff', utf8.MaxRune}[random.IntN(7)])
		}
		text := string(s)
		low, high := string(notAbove([]byte(text))), string(notBelow([]byte(text)))
		if cmp.Compare(low, text) > 0 || cmp.Compare(high, text) < 0 || !utf8.ValidString(low) || !utf8.ValidString(high) {
			t.Fatalf("%q: bounds %q to %q", text, low, high)
		}
	}
}
