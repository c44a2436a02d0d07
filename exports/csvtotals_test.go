package exports

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/calends/calends/pipeline/invoice"
)

// slowTotals adds a CSV up with the reader of lines.
func slowTotals(file []byte) (t invoice.Totals, err error) {
	for l, err := range ReadLines(bytes.NewReader(file)) {
		if err != nil {
			return invoice.Totals{}, err
		}
		t.Add(l)
	}
	return t, nil
}

// requireSameTotals compares what both ways make of a file. Where only a field
// is spelled badly that is no amount, the fast way does not see it.
func requireSameTotals(t *testing.T, file []byte) {
	t.Helper()
	want, refused := slowTotals(file)
	got, err := ReadCSVTotals(bytes.NewReader(file))
	switch elsewhere := spelledBadlyElsewhere(refused); {
	case elsewhere:
	case (err == nil) != (refused == nil):
		t.Fatalf("totals: %v, lines: %v, of\n%q", err, refused, file)
	case got != want:
		t.Fatalf("totals %+v, lines add up to %+v, of\n%q", got, want, file)
	case err != nil && err.Error() != refused.Error():
		t.Fatalf("totals: %v\nlines: %v", err, refused)
	}
}

func spelledBadlyElsewhere(err error) bool {
	var position *PositionError
	if !errors.As(err, &position) {
		return false
	}
	for _, c := range columns {
		if c.name == position.Column && (c.date != nil || c.number != nil) {
			return true
		}
	}
	return false
}

func TestReadCSVTotals(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 5))
	for _, currency := range []string{"EUR", "JPY", "KWD", "CLF"} {
		lines := append(company(), many(500, currency)...)
		for _, l := range lines {
			l.Currency = currency
		}
		blocks := wildBlock(random, 300, currency)
		for l := range blocks.Lines() {
			lines = append(lines, l)
		}
		var want invoice.Totals
		for _, l := range lines {
			want.Add(l)
		}
		file := writeCSV(t, lines)
		if got, err := ReadCSVTotals(bytes.NewReader(file)); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", currency, got, err, want)
		}
		requireSameTotals(t, file)
	}
	// Each line in its own currency.
	mixed := company()
	for i, currency := range []string{"EUR", "JPY", "EUR", "KWD"} {
		mixed[i].Currency = currency
	}
	requireSameTotals(t, writeCSV(t, mixed))
	requireSameTotals(t, writeCSV(t, nil))
}

// One byte or piece changed somewhere: both ways add up to the same or refuse
// for the same reason.
func TestReadCSVTotalsOfDamagedFiles(t *testing.T) {
	t.Parallel()
	file := writeCSV(t, company())
	random := rand.New(rand.NewPCG(6, 6))
	const alphabet = "0123456789.,-\"\r\n\xffaZ"
	for range 20_000 {
		damaged := bytes.Clone(file)
		at := random.IntN(len(damaged))
		switch random.IntN(5) {
		case 0:
			damaged = damaged[:at]
		case 1:
			damaged = append(damaged[:at], damaged[min(len(damaged), at+1+random.IntN(60)):]...)
		case 2:
			damaged = append(append(bytes.Clone(damaged[:at]), alphabet[random.IntN(len(alphabet))]), damaged[at:]...)
		default:
			damaged[at] = alphabet[random.IntN(len(alphabet))]
		}
		requireSameTotals(t, damaged)
	}
	for _, file := range []string{"", "a,b\r\n", "\ufeffPartnerId\r\n"} {
		requireSameTotals(t, []byte(file))
		if _, err := ReadCSVTotals(bytes.NewReader([]byte(file))); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v, want a syntax error", file, err)
		}
	}
}

func FuzzReadCSVTotals(f *testing.F) {
	for _, l := range company() {
		_, row, _ := bytes.Cut(writeCSV(f, []*invoice.Line{l}), rowEndText)
		f.Add(row)
	}
	f.Fuzz(func(t *testing.T, rows []byte) {
		requireSameTotals(t, append(appendHeader(nil, Columns()), rows...))
	})
}

func BenchmarkReadCSVTotals(b *testing.B) {
	var file bytes.Buffer
	c := NewCSV(&file)
	for _, block := range manyBlocks(50_000, "EUR") {
		if err := c.EncodeBlock(block, 0, len(block.Rows)); err != nil {
			b.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
	lines := 0
	b.SetBytes(int64(file.Len()))
	for b.Loop() {
		t, err := ReadCSVTotals(bytes.NewReader(file.Bytes()))
		if err != nil || t != c.Totals() {
			b.Fatalf("%+v, %v; want %+v", t, err, c.Totals())
		}
		lines += t.Lines
	}
	b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
}
