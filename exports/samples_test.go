package exports

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var samples = flag.String("samples", "", "write pairs of reconciliation.csv and .parquet into this folder, for a second reader")

// TestWriteSamples makes what testdata/secondreader compares: each number of
// minor digits, nasty texts, several row groups, no rows at all.
func TestWriteSamples(t *testing.T) {
	t.Parallel()
	if *samples == "" {
		t.Skip("no -samples DIR")
	}
	odd := company()
	for _, s := range append(slices.Clone(nasty), strings.Repeat("Lang é", 50)) {
		l := *odd[4]
		account := *l.Account
		account.CustomerName, l.Account, l.PriceAdjustment = s, &account, s
		odd = append(odd, &l)
	}
	for name, s := range map[string]struct {
		currency string
		lines    int
	}{"none": {"EUR", 0}, "jpy": {"JPY", 1_000}, "eur": {"EUR", parquetGroup + 10_000}, "kwd": {"KWD", 50_000}, "clf": {"CLF", 100}} {
		lines := many(s.lines, s.currency)
		if name == "eur" {
			lines = append(lines, odd...)
			for _, b := range manyBlocks(40_000, s.currency) {
				lines = slices.AppendSeq(lines, b.Lines())
			}
		}
		folder := filepath.Join(*samples, name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for file, content := range map[string][]byte{
			"reconciliation.csv": writeCSV(t, lines), "reconciliation.parquet": writeParquet(t, lines, s.currency),
		} {
			if err := os.WriteFile(filepath.Join(folder, file), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
