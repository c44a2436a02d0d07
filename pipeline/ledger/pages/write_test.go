package pages_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/ledger/pages"
)

// filler writes what columns read.
type filler struct {
	customer, layers, price         pages.Names
	id, marks                       pages.Texts
	day                             pages.Numbers[int32]
	at, quantity                    pages.Numbers[int64]
	open, renew                     pages.Flags
	hasQuantity, hasRenew, hasPrice []bool
}

func (f *filler) writer() *pages.Writer {
	w := pages.NewWriter("row", "test")
	w.Add("customer", &f.customer)
	w.Add("id", &f.id)
	w.AddBytes("marks", &f.marks)
	w.Add("layers", &f.layers)
	w.Add("day", &f.day)
	w.Add("at", &f.at)
	w.Add("open", &f.open)
	w.AddOptional("quantity", &f.quantity, &f.hasQuantity)
	w.AddOptional("renew", &f.renew, &f.hasRenew)
	w.AddOptional("price", &f.price, &f.hasPrice)
	return w
}

func (f *filler) add(r row) {
	f.customer.Append(r.Customer)
	f.id.Values = append(f.id.Values, r.ID)
	f.marks.Values = append(f.marks.Values, string(r.Marks))
	f.layers.Append(string(r.Layers))
	f.day.Values = append(f.day.Values, r.Day)
	f.at.Values = append(f.at.Values, r.At)
	f.open.Values = append(f.open.Values, r.Open)
	f.quantity.Values, f.hasQuantity = append(f.quantity.Values, orZero(r.Quantity)), append(f.hasQuantity, r.Quantity != nil)
	f.renew.Values, f.hasRenew = append(f.renew.Values, orZero(r.Renew)), append(f.hasRenew, r.Renew != nil)
	f.price.Append(orZero(r.Price))
	f.hasPrice = append(f.hasPrice, r.Price != nil)
}

func orZero[T any](v *T) (zero T) {
	if v == nil {
		return zero
	}
	return *v
}

func fill(t rapid.TB, rows []row, group int) []byte {
	t.Helper()
	var f filler
	w := f.writer()
	for some := range slices.Chunk(rows, group) {
		for _, r := range some {
			f.add(r)
		}
		if err := w.Group(); err != nil {
			t.Fatal(err)
		}
	}
	file, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func same(t rapid.TB, got, want []row) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d rows of %d", len(got), len(want))
	}
	for i := range want {
		if show(got[i]) != show(want[i]) {
			t.Fatalf("row %d\ngot  %v\nwant %v", i, show(got[i]), show(want[i]))
		}
	}
}

// What is written is what this package and the library read, and the same every time.
func TestWrittenIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(drawRow), 0, 60).Draw(t, "rows")
		group := rapid.IntRange(1, 80).Draw(t, "group")
		file := fill(t, rows, group)
		if !bytes.Equal(file, fill(t, rows, group)) {
			t.Fatal("the same rows gave other bytes")
		}
		got, err := read(file, func() int { return rapid.IntRange(1, 30).Draw(t, "most") })
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, rows)
		if len(rows) == 0 {
			return // the library's reader does not like a file without rows
		}
		if got, err = parquet.Read[row](bytes.NewReader(file), int64(len(file))); err != nil {
			t.Fatal(err)
		}
		same(t, got, rows)
	})
}

// many are rows of several pages in each column, in the order of the customers.
func many(n int) []row {
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{Customer: strings.Repeat("x", 60) + string(rune('a'+i*26/n)) + strings.Repeat("ÿ", i%9), ID: strings.Repeat("i", i%50),
			Marks: []byte{byte(i), byte(i >> 8)}, Day: int32(i * i), At: -int64(i) << 40, Open: i%3 == 0, Layers: []byte("layer")}
		if i > n/2 {
			rows[i].Quantity, rows[i].Renew, rows[i].Price = new(int64(i)), new(i%2 == 0), new(strings.Repeat("p", i%5))
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.Customer, b.Customer) })
	return rows
}

// Pages begin and end where the index says, and hold what lies between its bounds.
func TestIndexIsOfThePages(t *testing.T) {
	t.Parallel()
	rows := many(20_000)
	file := fill(t, rows, 15_000)
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range f.RowGroups() {
		for c, chunk := range group.ColumnChunks() {
			name := f.Schema().Columns()[c][0]
			index, err := chunk.ColumnIndex()
			if err != nil {
				t.Fatal(err)
			}
			offsets, err := chunk.OffsetIndex()
			if err != nil {
				t.Fatal(err)
			}
			if index.NumPages() < 2 {
				t.Errorf("%s: %d pages", name, index.NumPages())
			}
			compare := chunk.Type().Compare
			least, most, _ := chunk.(*parquet.FileColumnChunk).Bounds()
			reader := chunk.Pages()
			row, given := int64(0), false
			for i := range index.NumPages() {
				page, err := reader.ReadPage()
				if err != nil {
					t.Fatal(err)
				}
				if offsets.FirstRowIndex(i) != row {
					t.Errorf("%s: page %d begins with row %d, the index says %d", name, i, row, offsets.FirstRowIndex(i))
				}
				row += page.NumRows()
				values := make([]parquet.Value, page.NumValues())
				if _, err := page.Values().ReadValues(values); err != nil && !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				nulls := int64(0)
				for _, v := range values {
					switch {
					case v.IsNull():
						nulls++
					case compare(v, index.MinValue(i)) < 0 || compare(v, index.MaxValue(i)) > 0:
						t.Fatalf("%s: page %d has %v, not in %v to %v", name, i, v, index.MinValue(i), index.MaxValue(i))
					case compare(v, least) < 0 || compare(v, most) > 0:
						t.Fatalf("%s has %v, not in %v to %v", name, v, least, most)
					default:
						given = true
					}
				}
				if nulls != index.NullCount(i) || index.NullPage(i) != (nulls == page.NumValues()) {
					t.Errorf("%s: page %d has %d nulls of %d, the index says %d", name, i, nulls, page.NumValues(), index.NullCount(i))
				}
				parquet.Release(page)
			}
			if row != group.NumRows() || !given {
				t.Errorf("%s: %d rows of %d", name, row, group.NumRows())
			}
			if err := reader.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	got, err := read(file, func() int { return 512 })
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, rows)
}

func TestSeekInWhatIsWritten(t *testing.T) {
	t.Parallel()
	rows := many(20_000)
	file := fill(t, rows, 15_000)
	r, err := pages.Open("rows.parquet", bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var c columns
	c.add(r)
	for _, from := range []int{19_999, 0, 4095, 4096, 14_999, 15_000, 7777} {
		if err := r.SeekToRow(int64(from)); err != nil {
			t.Fatal(err)
		}
		n, err := r.Next(100)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if show(c.row(i)) != show(rows[from+i]) {
				t.Fatalf("row %d is not what was written", from+i)
			}
		}
	}
}

func TestColumnsOfUnequalLengthAreRefused(t *testing.T) {
	t.Parallel()
	var f filler
	w := f.writer()
	f.add(row{})
	f.at.Values = append(f.at.Values, 1)
	if err := w.Group(); err == nil || !strings.Contains(err.Error(), "column at has 2 rows where customer has 1") {
		t.Error(err)
	}
}
