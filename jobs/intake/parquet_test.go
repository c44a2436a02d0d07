package intake

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/change"
)

// flatChange is a change as a tool would write it to Parquet.
type flatChange struct {
	ID        string    `parquet:"id"`
	Type      string    `parquet:"type,dict"`
	Time      time.Time `parquet:"time,timestamp(microsecond)"`
	Subject   *string   `parquet:"subject,optional"`
	Customer  string    `parquet:"customerId"`
	Product   *string   `parquet:"productId,optional,dict"`
	Sku       *string   `parquet:"skuId,optional"`
	Quantity  *int64    `parquet:"quantity,optional"`
	AutoRenew *bool     `parquet:"autoRenewEnabled,optional"`
	End       *int32    `parquet:"customTermEndDate,optional,date"`
	UnitPrice *int64    `parquet:"unitPrice,optional,decimal(6:18)"`
	Reason    *string   `parquet:"reason,optional"`
	Next      *string   `parquet:"scheduledNextTermInstructions,optional"`
	Note      *string   `parquet:"note,optional"`
}

func parquetFile[T any](t testing.TB, rows []T, options ...parquet.WriterOption) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, options...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

// TestFormatsAgree writes the same changes as JSON Lines, CSV and Parquet and
// reads equal values, Content included.
func TestFormatsAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := func(label string) *string {
			s := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[a-zA-Z0-9 ,"é:-]{1,12}[a-z]`)).Draw(rt, label)
			if s == "" {
				return nil
			}
			return &s
		}
		var rows []flatChange
		for i := range rapid.IntRange(1, 40).Draw(rt, "rows") {
			r := flatChange{ID: fmt.Sprintf("e%d", i), Customer: "c1", Type: rapid.SampledFrom([]string{"subscription.purchased", "subscription.upgraded", "odd"}).Draw(rt, "type"),
				Time:    time.UnixMicro(rapid.Int64Range(-1e15, 4e15).Draw(rt, "time")).UTC(),
				Subject: text("subject"), Product: text("product"), Sku: text("sku"), Reason: text("reason"), Note: text("note")}
			if rapid.Bool().Draw(rt, "q") {
				r.Quantity = new(rapid.Int64Range(-1000, 1e17).Draw(rt, "quantity"))
				r.End = new(rapid.Int32Range(0, 40000).Draw(rt, "end"))
			}
			if rapid.Bool().Draw(rt, "p") {
				r.UnitPrice = new(rapid.Int64Range(-1e9, 1e17).Draw(rt, "price"))
				r.AutoRenew = new(rapid.Bool().Draw(rt, "renew"))
			}
			if rapid.Bool().Draw(rt, "n") {
				r.Next = new(rapid.SampledFrom([]string{`{}`, `null`, `{"quantity":3}`, `{"product":{"skuId":"1"}, "customTermEndDate":"2027-01-31"}`}).Draw(rt, "next"))
			}
			rows = append(rows, r)
		}
		names := []string{"id", "type", "time", "subject", "customerId", "productId", "skuId", "quantity", "autoRenewEnabled", "customTermEndDate", "unitPrice", "reason", next, "note"}
		var lines, table bytes.Buffer
		w := csv.NewWriter(&table)
		_ = w.Write(names) // a Buffer takes everything
		for _, r := range rows {
			cells := []string{r.ID, r.Type, r.Time.Format(time.RFC3339Nano), deref(r.Subject), r.Customer, deref(r.Product), deref(r.Sku), "", "", "", "", deref(r.Reason), deref(r.Next), deref(r.Note)}
			data := map[string]any{"customerId": r.Customer, "productId": r.Product, "skuId": r.Sku, "quantity": r.Quantity, "autoRenewEnabled": r.AutoRenew, "reason": r.Reason, "note": r.Note}
			if r.Quantity != nil {
				cells[7] = fmt.Sprint(*r.Quantity)
			}
			if r.AutoRenew != nil {
				cells[8] = fmt.Sprint(*r.AutoRenew)
			}
			if r.End != nil {
				cells[9] = time.Unix(int64(*r.End)*86400, 0).UTC().Format(time.DateOnly)
				data["customTermEndDate"] = cells[9]
			}
			if r.UnitPrice != nil {
				sign, n := "", *r.UnitPrice
				if n < 0 {
					sign, n = "-", -n
				}
				cells[10] = fmt.Sprintf("%s%d.%06d", sign, n/1e6, n%1e6)
				data["unitPrice"] = json.Number(cells[10])
			}
			if r.Next != nil {
				data[next] = json.RawMessage(*r.Next)
			}
			_ = w.Write(cells)
			line, err := json.Marshal(map[string]any{"id": r.ID, "type": r.Type, "time": cells[2], "subject": r.Subject, "data": data})
			if err != nil {
				rt.Fatal(err)
			}
			lines.Write(append(line, '\n'))
		}
		w.Flush()
		file := parquetFile(t, rows, parquet.PageBufferSize(200), parquet.MaxRowsPerRowGroup(7))
		fromJSON, refusedJSON := jsonOf(t, lines.String())
		fromCSV, refusedCSV := csvOf(t, table.String())
		r, err := NewParquetChanges(file, file.Size())
		fromParquet, refusedParquet := readChanges(t, r, err)
		if len(fromJSON) != len(rows) || len(fromCSV) != len(rows) || len(fromParquet) != len(rows) {
			rt.Fatalf("of %d rows, JSON %d %q, CSV %d %q, Parquet %d %q", len(rows), len(fromJSON), refusedJSON, len(fromCSV), refusedCSV, len(fromParquet), refusedParquet)
		}
		for i := range rows {
			a, b, c := showChange(fromJSON[i]), showChange(fromCSV[i]), showChange(fromParquet[i])
			if a != b || b != c || fromJSON[i].Content != fromCSV[i].Content || fromCSV[i].Content != fromParquet[i].Content {
				rt.Fatalf("JSON    %s\nCSV     %s\nParquet %s", a, b, c)
			}
			if fromParquet[i].Taken.Record != int64(i+1) {
				rt.Fatalf("row %d has position %d", i+1, fromParquet[i].Taken.Record)
			}
		}
	})
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func TestParquetColumnTypes(t *testing.T) {
	t.Parallel()
	type product struct {
		Sku int64 `parquet:"skuId"`
	}
	type instructions struct {
		Product  product  `parquet:"product"`
		Quantity *float64 `parquet:"quantity,optional"`
	}
	type data struct {
		Customer [16]byte     `parquet:"customerId,uuid"`
		Quantity string       `parquet:"quantity"`
		Price    [16]byte     `parquet:"unitPrice,decimal(2:38)"`
		Amount   int32        `parquet:"amount,decimal(2:9)"`
		End      time.Time    `parquet:"customTermEndDate,timestamp(millisecond)"`
		Trial    string       `parquet:"isTrial"`
		Next     instructions `parquet:"scheduledNextTermInstructions"`
	}
	type row struct {
		ID   string `parquet:"ID,enum"`
		Type string `parquet:"Type"`
		Time string `parquet:"TIME"`
		Data data   `parquet:"data"`
	}
	var price [16]byte
	for i := range price {
		price[i] = 0xff // -1
	}
	file := parquetFile(t, []row{{"e1", "odd", "2026-10-05T09:30:00Z", data{[16]byte{0x0e, 0x19, 0x5b, 0x37, 15: 0xc0}, "5", price, 1250, time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC), "true",
		instructions{product{2}, new(3.0)}}}})
	r, err := NewParquetChanges(file, file.Size())
	got, refused := readChanges(t, r, err)
	want := "id=e1 type=odd at=2026-10-05T09:30:00Z customer=0e195b37-0000-0000-0000-0000000000c0 quantity=5 trial=true end=2027-01-31 price=-0.01 amount=12.5 next{ sku=0002 quantity=3 }"
	if len(got) != 1 || showChange(got[0]) != want {
		t.Errorf("got  %v %q\nwant %s", got, refused, want)
	}
}

func TestParquetRefusals(t *testing.T) {
	t.Parallel()
	type float struct {
		ID, Type, Time, CustomerID string
		Price                      float64 `parquet:"unitPrice"`
	}
	file := parquetFile(t, []float{{"e1", "odd", "2026-10-05T09:30:00Z", "c1", 1.5}, {"e1", "odd", "2026-10-05", "c1", 1.5}})
	r, err := NewParquetChanges(file, file.Size())
	_, refused := readChanges(t, r, err)
	if want := `line 1: unitPrice "1.5": ` + ruleFloat + `; line 2: time "2026-10-05": ` + ruleTime; strings.Join(refused, "; ") != want {
		t.Errorf("got  %q\nwant %s", refused, want)
	}

	type local struct {
		ID, Type, CustomerID string
		Time                 int64 `parquet:"time,timestamp(microsecond:local)"`
	}
	type list struct {
		ID, Type, Time, CustomerID string
		Quantity                   []int64 `parquet:"quantity"`
	}
	type other struct {
		Name string `parquet:"name"`
	}
	for name, tt := range map[string]struct {
		file *bytes.Reader
		want string
	}{
		"a time without time zone": {parquetFile(t, []local{{}}), `changes: time "": is a TIMESTAMP without a time zone: write it adjusted to UTC`},
		"a list":                   {parquetFile(t, []list{{}}), `changes: quantity "": is a list: want one value a row`},
		"another file":             {parquetFile(t, []other{{}}), "changes: 4 errors\n  line 1: column id is missing\n  line 1: column type is missing\n  line 1: column time is missing\n  line 1: column customerId is missing"},
	} {
		if _, err := NewParquetChanges(tt.file, tt.file.Size()); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v\nwant %s", name, err, tt.want)
		}
	}
}

// TestParquetDamage cuts and flips a file everywhere: an error or other
// values, never a panic.
func TestParquetDamage(t *testing.T) {
	t.Parallel()
	var rows []flatChange
	for i := range 50 {
		rows = append(rows, flatChange{ID: fmt.Sprint(i), Type: "odd", Customer: "c1", Quantity: new(int64(i))})
	}
	file := parquetFile(t, rows)
	whole := make([]byte, file.Size())
	if _, err := file.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	try := func(b []byte) {
		r, err := NewParquetChanges(bytes.NewReader(b), int64(len(b)))
		for n := 0; err == nil && n < 1000; n++ {
			c := new(change.Change)
			_, err = r.Next(c)
		}
	}
	for i := 0; i < len(whole); i += 3 {
		try(whole[:i])
		flipped := bytes.Clone(whole)
		flipped[i] ^= 0x41
		try(flipped)
	}
}

// A word of a dictionary that is no text is refused where it stands, and only there.
func TestParquetDictionaryNotUTF8(t *testing.T) {
	t.Parallel()
	row := func(id, product string) flatChange {
		return flatChange{ID: id, Type: "odd", Customer: "c1", Product: &product}
	}
	file := parquetFile(t, []flatChange{row("e1", "good"), row("e2", "a\xff"), row("e3", "good"), {ID: "e4", Type: "odd", Customer: "c1"}, row("e5", "a\xff")})
	r, err := NewParquetChanges(file, file.Size())
	got, refused := readChanges(t, r, err)
	if want := `line 2: productId "": is not UTF-8 text; line 5: productId "": is not UTF-8 text`; len(got) != 3 || strings.Join(refused, "; ") != want {
		t.Errorf("%d changes, refused %q\nwant %s", len(got), refused, want)
	}
}

func TestAppendStamp(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		time.Unix(0, 0), time.Unix(-1, 1), time.Unix(-86400, 999_999_999), time.Unix(86399, 120_000_000), time.UnixMicro(1_791_192_600_000_010),
		time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 5, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		at = at.UTC()
		if got, want := string(appendStamp(nil, at)), at.Format("2006-01-02T15:04:05.999999999"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
