package jobs

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// TestTakingAgain: the same file twice is harmless; a file that comes again
// after a later one of its kind holds again; a folder with both, taken again,
// changes nothing.
func TestTakingAgain(t *testing.T) {
	t.Parallel()
	const header = "PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate\n"
	for _, tt := range []struct {
		name string
		runs [][]string // the files of each run
		want string     // how each file of the last run ended
		left int        // inputs in the ledger
	}{
		{"the same file twice", [][]string{{"a"}, {"a"}}, "had", 1},
		{"a correction", [][]string{{"a"}, {"b"}}, "taken", 2},
		{"back to the first", [][]string{{"a"}, {"b"}, {"a"}}, "taken", 3},
		{"another partner's file in between", [][]string{{"a"}, {"other"}, {"a"}}, "had", 2},
		{"a folder with both, twice", [][]string{{"a", "b"}, {"a", "b"}}, "had had", 2},
		{"a folder with both, and back", [][]string{{"a", "b"}, {"b", "a"}, {"b", "a"}}, "had had", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, row := range map[string]string{"a": "p,P,DE,EUR,1,0.1\n", "b": "p,P,DE,EUR,1,0.2\n", "other": "q,Q,DE,EUR,1,\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(header+row), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			env := testEnv(t, nil)
			got := ""
			for _, run := range tt.runs {
				var paths []string
				for _, name := range run {
					paths = append(paths, filepath.Join(dir, name))
				}
				result, err := env.Ingest(context.Background(), IngestPlan{Paths: paths})
				if err != nil {
					t.Fatal(err)
				}
				got = ""
				for i, f := range result.Files {
					if i > 0 {
						got += " "
					}
					got += f.Status
				}
			}
			at, err := env.snapshot(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want || len(at.inputs) != tt.left {
				t.Errorf("%s, %d inputs; want %s, %d", got, len(at.inputs), tt.want, tt.left)
			}
		})
	}
}
