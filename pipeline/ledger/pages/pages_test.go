package pages_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/ledger/pages"
)

// row has a column of every kind.
type row struct {
	Customer string  `parquet:"customer,dict"`
	ID       string  `parquet:"id"`
	Marks    []byte  `parquet:"marks,plain"`
	Layers   []byte  `parquet:"layers,dict"`
	Day      int32   `parquet:"day"`
	At       int64   `parquet:"at"`
	Open     bool    `parquet:"open"`
	Quantity *int64  `parquet:"quantity,optional"`
	Renew    *bool   `parquet:"renew,optional"`
	Price    *string `parquet:"price,optional,dict"`
}

func drawRow(t *rapid.T) row {
	few := rapid.SampledFrom([]string{"", "a", "b", "Ünïcode\x00", strings.Repeat("long", 20)})
	r := row{
		Customer: rapid.OneOf(few, rapid.String()).Draw(t, "customer"), ID: rapid.String().Draw(t, "id"),
		Marks: []byte(rapid.String().Draw(t, "marks")), Layers: []byte(few.Draw(t, "layers")),
		Day: rapid.Int32().Draw(t, "day"), At: rapid.Int64().Draw(t, "at"), Open: rapid.Bool().Draw(t, "open"),
	}
	if rapid.Bool().Draw(t, "has quantity") {
		r.Quantity = new(rapid.Int64().Draw(t, "quantity"))
	}
	if rapid.Bool().Draw(t, "has renew") {
		r.Renew = new(rapid.Bool().Draw(t, "renew"))
	}
	if rapid.Bool().Draw(t, "has price") {
		r.Price = new(few.Draw(t, "price"))
	}
	return r
}

// columns reads what row writes, and one column that no file has.
type columns struct {
	customer, layers, price, missing pages.Names
	id, marks, again, absent         pages.Texts
	day                              pages.Numbers[int32]
	at, quantity                     pages.Numbers[int64]
	open, renew                      pages.Flags

	hasQuantity, hasRenew, hasPrice, hasMissing []bool
	none                                        pages.Numbers[int64]
}

func (c *columns) add(r *pages.Reader) {
	r.Add("customer", &c.customer)
	r.Add("id", &c.id)
	r.Add("marks", &c.marks)
	r.Add("layers", &c.layers)
	r.Add("day", &c.day)
	r.Add("at", &c.at)
	r.Add("open", &c.open)
	r.AddOptional("quantity", &c.quantity, &c.hasQuantity)
	r.AddOptional("renew", &c.renew, &c.hasRenew)
	r.AddOptional("price", &c.price, &c.hasPrice)
	r.Add("customer", &c.again)
	r.AddOptional("missing", &c.missing, &c.hasMissing)
	r.Add("missing too", &c.absent)
	r.Add("missing as well", &c.none)
}

func (c *columns) row(i int) row {
	r := row{Customer: c.customer.Of(i), ID: c.id.Values[i], Marks: []byte(c.marks.Values[i]), Layers: []byte(c.layers.Of(i)),
		Day: c.day.Values[i], At: c.at.Values[i], Open: c.open.Values[i]}
	if c.hasQuantity[i] {
		r.Quantity = new(c.quantity.Values[i])
	}
	if c.hasRenew[i] {
		r.Renew = new(c.renew.Values[i])
	}
	if c.hasPrice[i] {
		r.Price = new(c.price.Of(i))
	}
	return r
}

func write(rows []row, options ...parquet.WriterOption) []byte {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b, append(options, parquet.Compression(&parquet.Zstd))...)
	for few := range slices.Chunk(rows, 7) { // pages end between two writes
		if _, err := w.Write(few); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func read(file []byte, most func() int) (rows []row, err error) {
	r, err := pages.Open("rows.parquet", bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var c columns
	c.add(r)
	for {
		n, err := r.Next(most())
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		for i := range n {
			if c.again.Values[i] != c.customer.Of(i) {
				return rows, fmt.Errorf("row %d has two customers", len(rows))
			}
			if c.hasMissing[i] || c.missing.Of(i) != "" || c.absent.Values[i] != "" || c.none.Values[i] != 0 {
				return rows, fmt.Errorf("row %d has what the file has not", len(rows))
			}
			rows = append(rows, c.row(i))
		}
	}
}

// Whatever the pages, row groups and dictionaries, the columns are those of the
// rows that the library itself reads.
func TestColumnsAreTheRows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(drawRow), 0, 60).Draw(t, "rows")
		options := []parquet.WriterOption{
			parquet.PageBufferSize(rapid.IntRange(1, 200).Draw(t, "page")),
			parquet.MaxRowsPerRowGroup(rapid.Int64Range(1, 80).Draw(t, "group")),
			parquet.DataPageVersion(rapid.IntRange(1, 2).Draw(t, "version")),
		}
		if rapid.Bool().Draw(t, "small dictionaries") {
			options = append(options, parquet.DictionaryMaxBytes(rapid.Int64Range(1, 40).Draw(t, "dictionary")))
		}
		file := write(rows, options...)
		want, err := parquet.Read[row](bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := read(file, func() int { return rapid.IntRange(1, 30).Draw(t, "most") })
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(rows) || len(want) != len(rows) {
			t.Fatalf("%d rows, the library has %d, of %d", len(got), len(want), len(rows))
		}
		for i := range want {
			if fmt.Sprint(show(got[i])) != fmt.Sprint(show(want[i])) {
				t.Fatalf("row %d\ngot  %v\nwant %v", i, show(got[i]), show(want[i]))
			}
		}
	})
}

// From any row on, again and back too, the rows are those from there.
func TestSeekToRow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(drawRow), 1, 60).Draw(t, "rows")
		file := write(rows, parquet.PageBufferSize(rapid.IntRange(1, 200).Draw(t, "page")),
			parquet.MaxRowsPerRowGroup(rapid.Int64Range(1, 80).Draw(t, "group")))
		r, err := pages.Open("rows.parquet", bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var c columns
		c.add(r)
		for range 10 {
			from := rapid.IntRange(0, len(rows)).Draw(t, "from")
			if err := r.SeekToRow(int64(from)); err != nil {
				t.Fatal(err)
			}
			if left := int(r.Rows()); left != len(rows)-from {
				t.Fatalf("%d rows from row %d of %d", left, from, len(rows))
			}
			n, err := r.Next(rapid.IntRange(1, 30).Draw(t, "most"))
			if from == len(rows) && errors.Is(err, io.EOF) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if show(c.row(i)) != show(rows[from+i]) {
					t.Fatalf("row %d\ngot  %v\nwant %v", from+i, show(c.row(i)), show(rows[from+i]))
				}
			}
		}
	})
}

// show prints a row with what its pointers point at.
func show(r row) string {
	var text []string
	v := reflect.ValueOf(r)
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() == reflect.Pointer {
			if f.IsNil() {
				text = append(text, "none")
				continue
			}
			f = f.Elem()
		}
		text = append(text, fmt.Sprintf("%q", fmt.Sprint(f.Interface())))
	}
	return strings.Join(text, " ")
}

// Rows that share a text share its memory and, in one row group, its place.
func TestNamesAreShared(t *testing.T) {
	t.Parallel()
	rows := make([]row, 10_000)
	for i := range rows {
		rows[i] = row{Customer: fmt.Sprint("customer ", i/100), ID: fmt.Sprint(i)}
	}
	file := write(rows, parquet.PageBufferSize(1<<10))
	r, err := pages.Open("rows.parquet", bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var customer pages.Names
	r.Add("customer", &customer)
	places := make(map[int32]string)
	for n, err := r.Next(512); err == nil; n, err = r.Next(512) {
		for i := range n {
			place := customer.Index[i]
			if known, ok := places[place]; ok && known != customer.Of(i) {
				t.Fatalf("%q and %q at one place", known, customer.Of(i))
			}
			places[place] = customer.Of(i)
		}
	}
	if len(places) != 100 {
		t.Errorf("%d places for 100 texts", len(places))
	}
}

// What the file promises and does not hold is an error, wherever it is cut or bent.
func TestDamageIsAnError(t *testing.T) {
	t.Parallel()
	var rows []row
	for i := range 300 {
		rows = append(rows, row{Customer: fmt.Sprint(i / 10), ID: fmt.Sprint("id ", i), Day: int32(i), Quantity: new(int64(i))})
	}
	healthy := write(rows, parquet.PageBufferSize(512))
	whole := func() int { return 64 }
	rapid.Check(t, func(t *rapid.T) {
		damaged := bytes.Clone(healthy)
		at := rapid.IntRange(0, len(damaged)-1).Draw(t, "at")
		if rapid.Bool().Draw(t, "cut") {
			damaged = damaged[:at]
		} else {
			damaged[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		got, err := read(damaged, whole)
		if err == nil && len(got) != len(rows) {
			t.Fatalf("%d rows of %d, and no error", len(got), len(rows))
		}
		if err != nil && !strings.HasPrefix(err.Error(), "read rows.parquet: ") && !strings.HasPrefix(err.Error(), "row ") {
			t.Fatalf("it does not say which file: %v", err)
		}
	})
}

func TestOtherKindsAreRefused(t *testing.T) {
	t.Parallel()
	file := write([]row{{Customer: "a", ID: "b"}})
	for column, c := range map[string]pages.Column{"id": &pages.Numbers[int64]{}, "at": &pages.Names{}, "customer": &pages.Numbers[int32]{},
		"day": &pages.Flags{}, "open": &pages.Texts{}} {
		r, err := pages.Open("rows.parquet", bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		r.Add(column, c)
		if _, err := r.Next(1); err == nil || !strings.Contains(err.Error(), "column "+column) {
			t.Errorf("%s as %T: %v", column, c, err)
		}
		r.Close()
	}
}
