package jobs

import (
	"bytes"
	"context"
	"encoding/csv"
	"testing"

	"github.com/calends/calends/jobs/internal/twin"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
	"github.com/calends/calends/testdata/cases"
)

// TestPublishedCases takes each published example through real files: ingest,
// bill, reconciliation.csv and exceptions.csv, to the cent.
func TestPublishedCases(t *testing.T) {
	if testing.Short() {
		t.Skip("fifty small buckets")
	}
	t.Parallel()
	all, err := cases.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			env := testEnv(t, map[string]twin.Policy{cases.PartnerID: {
				Rounding: orDefault(c.Policies.Rounding, "documented"),
				MonthEnd: orDefault(c.Policies.MonthEnd, "clamp"),
				Windows:  orDefault(c.Policies.Windows, "enforce"),
			}})
			dir := t.TempDir()
			if err := c.WriteFiles(dir); err != nil {
				t.Fatal(err)
			}
			mustIngest(ctx, t, env, dir)
			var lines, exceptions []map[string]string
			for _, text := range c.Months() {
				month := mustMonth(t, text)
				if _, err := env.Bill(ctx, month, false); err != nil {
					t.Fatal(err)
				}
				lines = append(lines, csvRows(ctx, t, env, month, partnerFile(cases.PartnerID, csvName))...)
				exceptions = append(exceptions, csvRows(ctx, t, env, month, exceptionsName)...)
			}
			for _, d := range c.Diff(lines) {
				t.Error(d)
			}
			for _, d := range c.DiffExceptions(exceptions) {
				t.Error(d)
			}
		})
	}
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func mustMonth(t *testing.T, text string) pricing.Month {
	t.Helper()
	month, err := pricing.ParseMonth(text)
	if err != nil {
		t.Fatal(err)
	}
	return month
}

// mustIngest takes files and folders in; nothing of them may be refused.
func mustIngest(ctx context.Context, t *testing.T, env Env, paths ...string) {
	t.Helper()
	result, err := env.Ingest(ctx, IngestPlan{Paths: paths})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range result.Files {
		if f.Refused > 0 {
			t.Fatalf("ingest %s: %s %v", f.Name, f.Reason, f.Errors)
		}
	}
}

// csvRows reads a file of the month's current revision; none where the month has no such file.
func csvRows(ctx context.Context, t *testing.T, env Env, month pricing.Month, path string) []map[string]string {
	t.Helper()
	at, err := env.snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	known, ok := at.month(month)
	if !ok {
		t.Fatalf("%s has no revision", month)
	}
	listed := false
	for _, f := range known.Current.Files {
		listed = listed || f.Path == path
	}
	if !listed {
		return nil
	}
	data, err := bucket.ReadAll(ctx, env.Bucket, ledger.RevisionPrefix(month, known.Current.Revision)+path)
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	for _, record := range records[1:] {
		row := make(map[string]string)
		for i, name := range records[0] {
			row[name] = record[i]
		}
		rows = append(rows, row)
	}
	return rows
}
