package intake

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/change"
)

func good(id string) string {
	return `{"id":"` + id + `","type":"subscription.canceled","time":"2026-10-05T09:30:00Z","subject":"s1","data":{"customerId":"c1"}}`
}

// What is refused is copied as it stands, and refused again for the same reasons.
func TestCopyRefused(t *testing.T) {
	t.Parallel()
	long := `{"id":"` + strings.Repeat("x", MaxLine) + `"}`
	const header = "id,type,time,customerId,reason\n"
	for _, tt := range []struct {
		name   string
		format Format
		file   string
		want   string
	}{
		{"nothing is refused", JSONLines, good("a") + "\n" + good("b") + "\n", ""},
		{"one line of three", JSONLines, good("a") + "\n{no JSON\n" + good("b") + "\n", "{no JSON\n"},
		{"first, last, without an end", JSONLines, "\xef\xbb\xbf[1]\r\n" + good("b") + "\n\n\n{\"id\":1", "[1]\r\n{\"id\":1\n"},
		{"two that follow, and empty lines between", JSONLines, "x\n\n \ny\n" + good("b"), "x\ny\n"},
		{"longer than a line may be", JSONLines, good("a") + "\n" + long + "\n" + good("b") + "\n", long + "\n"},

		{"a header alone", CSV, header, header},
		{"the header comes along", CSV, "\xef\xbb\xbf" + header + "a,t,2026-10-05T09:30:00Z,c1,\nb,t,yesterday,c1,\n", header + "b,t,yesterday,c1,\n"},
		{"a record over three lines", CSV, header + "b,t,yesterday,c1,\"one\n\ntwo\"\na,t,2026-10-05T09:30:00Z,c1,\n", header + "b,t,yesterday,c1,\"one\n\ntwo\"\n"},
		{"a field too few", CSV, header + "a,t\nb,t,2026-10-05T09:30:00Z,c1,\n", header + "a,t\n"},
		{"a quote that never closes", CSV, header + "a,t,2026-10-05T09:30:00Z,c1,\"open\nb,t,2026-10-05T09:30:00Z,c1,\n",
			header + "a,t,2026-10-05T09:30:00Z,c1,\"open\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := memberOf([]byte(tt.file))
			var got bytes.Buffer
			n, err := CopyRefused(m, tt.format, &got)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != tt.want {
				t.Errorf("got %.200q\nwant %.200q", got.String(), tt.want)
			}
			_, before := readMember(t, m, tt.format)
			_, after := readMember(t, memberOf(got.Bytes()), tt.format)
			if int64(len(before)) != n || !slices.Equal(rules(before), rules(after)) {
				t.Errorf("%d copied; refused before\n%q\nafter\n%q", n, before, after)
			}
		})
	}
}

func readMember(t testing.TB, m *Member, format Format) (changes []change.Change, refused []string) {
	t.Helper()
	r, err := OpenChanges(m, format)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return readChanges(t, r, nil)
}

// rules are refusals without the lines that they name.
func rules(refused []string) []string {
	bare := make([]string, 0, len(refused))
	for _, r := range refused {
		_, rule, _ := strings.Cut(r, ": ")
		bare = append(bare, rule)
	}
	return bare
}

func TestCopyRefusedRows(t *testing.T) {
	t.Parallel()
	type row struct {
		ID         string `parquet:"id"`
		Type       string `parquet:"type"`
		Time       string `parquet:"time"`
		CustomerID string `parquet:"customerId"`
		Quantity   string `parquet:"quantity"`
		Next       string `parquet:"scheduledNextTermInstructions"`
	}
	file := parquetFile(t, []row{
		{"a", "subscription.canceled", "2026-10-05T09:30:00Z", "c1", "", ""},
		{"b", "subscription.quantityChanged", "2026-10-05T09:30:00Z", "c1", "many", ""},
		{"c", "subscription.nextTermScheduled", "soon", "c1", "", `{"quantity":3}`},
	})
	data := make([]byte, file.Size())
	if _, err := file.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if n, err := CopyRefused(memberOf(data), Parquet, &got); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	changes, refused := csvOf(t, got.String())
	if want := []string{`quantity "many": want a whole number`, `time "soon": ` + ruleTime}; len(changes) != 0 || !slices.Equal(rules(refused), want) {
		t.Errorf("%v, %q", changes, refused)
	}
	changes, refused = csvOf(t, strings.NewReplacer("many", "7", "soon", "2026-10-06T00:00:00Z").Replace(got.String()))
	if len(refused) != 0 || *changes[0].Quantity != 7 || *changes[1].NextTerm.Quantity != 3 {
		t.Errorf("corrected: %v, %q", changes, refused)
	}
}

// A reader that panics costs its file, whoever reads it in whichever goroutine.
func TestReaderThatPanics(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{JSONLines, CSV} {
		t.Run(format.String(), func(t *testing.T) {
			t.Parallel()
			text := "id,type,time,customerId\n"
			for i := range 4000 {
				text += fmt.Sprintf("%d,t,2026-10-05T09:30:00Z,c1\n", i)
			}
			if format == JSONLines {
				text = strings.Repeat(good("a")+"\n", 20_000)
			}
			in, err := OpenContent("file", panicking{strings.NewReader(text)}, int64(len(text)))
			if err != nil {
				t.Fatal(err)
			}
			_, err = ReadChanges(t.Context(), in.Members[0], format, 2, func(*Batch) error { return nil })
			if err == nil || !strings.Contains(err.Error(), "panicked") || !strings.Contains(err.Error(), "no such place") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// panicking panics behind the first 64 KiB.
type panicking struct{ *strings.Reader }

func (p panicking) ReadAt(b []byte, off int64) (int, error) {
	if off >= 64<<10 {
		panic("no such place")
	}
	return p.Reader.ReadAt(b, off)
}

func TestOpenFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x-1234")
	if err := os.WriteFile(path, []byte(good("a")), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	in, err := OpenFile("inbox/changes.jsonl", file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if m := in.Members[0]; m.Name != "inbox/changes.jsonl" || m.Recognise().Kind != Changes {
		t.Errorf("%s: %+v", m.Name, m.Recognise())
	}
}
