package table

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// readAll returns the records joined by |, and the errors, in file order.
func readAll(t *testing.T, src io.Reader) []string {
	t.Helper()
	r := NewReader(src)
	var got []string
	for {
		fields, err := r.Read()
		var e *Error
		switch {
		case errors.Is(err, io.EOF):
			return got
		case errors.As(err, &e):
			got = append(got, e.Error())
		case err != nil:
			return append(got, err.Error())
		default:
			got = append(got, string(bytes.Join(fields, []byte("|"))))
		}
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"a last line needs no end", "a,b\nc,d", "a|b / c|d"},
		{"CRLF ends a line", "a,b\r\nc,d\r\n", "a|b / c|d"},
		{"empty lines are skipped", "\r\na\n\n\nb\n", "a / b"},
		{"a byte-order mark is skipped", "\ufeffa,b\n", "a|b"},
		{"a byte-order mark before a quote is skipped", "\ufeff\"a\",b\n", "a|b"},
		{"a comma may be quoted", `"a,b",c`, "a,b|c"},
		{"a quote is doubled", `"a ""b""",c`, `a "b"|c`},
		{"a line end may be quoted", "\"a\r\nb\",c\nd,e", "a\r\nb|c / d|e"},
		{"blank fields are fields", ",\"\",", "||"},

		{"a bare quote is an error of its line", "a \"b\" c,d\ne,f", "line 1: " + ruleBare + " / e|f"},
		{"text behind a quote is an error", "\"a\"b,c\nd,e", "line 1: " + ruleAfter + " / d|e"},
		{"an open quote costs its own line only", "a,b\n\"c,d\ne,f\n", "a|b / line 2: " + ruleOpen + " / e|f"},
		{"bytes that are no UTF-8 are an error", "a\n\xe4,b\nc", "a / line 2: " + RuleUTF8 + " / c"},
		{"quoted bytes that are no UTF-8 are an error", "\"\xe4\",b\nc", "line 1: " + RuleUTF8 + " / c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, src := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in))} {
				if got := strings.Join(readAll(t, src), " / "); got != tt.want {
					t.Errorf("%q\n got %q\nwant %q", tt.in, got, tt.want)
				}
			}
		})
	}
}

func TestReaderBoundsARecord(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3*MaxRecord)
	got := readAll(t, strings.NewReader("a\n"+long+"\nb\n\""+strings.Repeat("y\n", MaxRecord)+"c"))
	if got[1] != "line 2: "+ruleTooLong || got[2] != "b" || got[3] != "line 4: "+ruleTooLong || got[4] != "y" {
		t.Errorf("got %q", got[:5])
	}
	broken := errors.New("disk on fire")
	got = readAll(t, io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)))
	if want := []string{"a", "disk on fire"}; !slices.Equal(got, want) {
		t.Errorf("a broken input: got %q, want %q", got, want)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	tb, err := New("test", strings.NewReader("Extra, Unit Price ,productid,Extra\n1,2,3,4\n1,2\n"))
	if err != nil {
		t.Fatal(err)
	}
	price, product := tb.Required("UnitPrice"), tb.Required("ProductId")
	if err := tb.Err(); err != nil || price != 1 || product != 2 {
		t.Fatalf("columns go by name in any case: got %d, %d, %v", price, product, err)
	}
	if got := strings.Join(tb.Unknown(), " "); got != "Extra" {
		t.Errorf("an unknown column is named once: got %q", got)
	}
	var rows []string
	err = tb.Each(func() *Error { rows = append(rows, string(tb.Cell(price))); return nil })
	if want := "test: line 3: has 2 fields, the header has 4: the file is cut off or a comma is not quoted"; err == nil || err.Error() != want {
		t.Errorf("a ragged row: got %v, want %s", err, want)
	}
	if !slices.Equal(rows, []string{"2"}) {
		t.Errorf("got rows %q", rows)
	}
}

func TestTableRefusesAHeader(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"nothing at all", "", "test: line 1: has no header row"},
		{"no rows", "Id\n", "test: has a header and no rows"},
		{"a column is missing", "Name\nx\n", "test: line 1: column Id is missing"},
		{"a column stands twice", "Id,ID\n1,2\n", `test: line 1: ID "": stands twice in the header`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tb, err := New("test", strings.NewReader(tt.in))
			if err == nil {
				tb.Required("Id")
				err = tb.Each(func() *Error { return nil })
			}
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestErrorsListsTwenty(t *testing.T) {
	t.Parallel()
	errs := Errors{What: "price sheet"}
	if errs.Err() != nil {
		t.Error("no error is nil")
	}
	for i := range 25 {
		errs.Add(NewError(int64(i+2), "UnitPrice", []byte(strings.Repeat("é", 100)), "want a price"))
	}
	lines := strings.Split(errs.Error(), "\n")
	if len(lines) != 22 || lines[0] != "price sheet: 25 errors" || lines[21] != "  and 5 more" {
		t.Errorf("got %q", lines)
	}
	if want := `  line 2: UnitPrice "` + strings.Repeat("é", 40) + `…": want a price`; lines[1] != want {
		t.Errorf("a long value is cut: got %s", lines[1])
	}
	var e *Error
	if !errors.As(errs.Err(), &e) || e.Line != 2 {
		t.Errorf("errors.As finds the first: got %v", e)
	}
}

// FuzzReaderAgainstEncodingCSV holds the reader against the standard
// library's: equal records, or both refuse.
func FuzzReaderAgainstEncodingCSV(f *testing.F) {
	for _, s := range []string{"a,b\r\nc,d", "\"a\"\"b\",c\n", "\"a\nb\",c", "a\"b", "\"a\"b", "\"a", ",\n\n,", "\r\r\n", "\ufeff\"a\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if !utf8.ValidString(in) || len(in) > 1<<16 {
			t.Skip()
		}
		std := csv.NewReader(strings.NewReader(strings.TrimPrefix(in, "\ufeff")))
		std.FieldsPerRecord = -1
		r := NewReader(strings.NewReader(in))
		for {
			want, wantErr := std.Read()
			got, err := r.Read()
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("%q: got %q, %v; encoding/csv %q, %v", in, got, err, want, wantErr)
			}
			if err != nil {
				return
			}
			for i := range got {
				got[i] = bytes.ReplaceAll(got[i], []byte("\r\n"), []byte("\n"))
			}
			if !slices.EqualFunc(got, want, func(a []byte, b string) bool { return string(a) == b }) {
				t.Fatalf("%q: got %q, encoding/csv %q", in, got, want)
			}
			if line, _ := std.FieldPos(0); int64(line) != r.Line() {
				t.Fatalf("%q: line %d, encoding/csv %d", in, r.Line(), line)
			}
		}
	})
}
