package pricebench

import (
	"testing"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/pricebook"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// A book of a million rows from a folder, with two workers.
func BenchmarkRead(b *testing.B) {
	folder, err := bucket.NewDisk(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	plan := Plan{Markets: 40, Months: 1, Month: pricing.MonthOf(2026, 10), Rows: 1_000_000, Seed: 1}
	if err := plan.Make(b.Context(), folder, func(int, int) {}); err != nil {
		b.Fatal(err)
	}
	env := jobs.Env{Bucket: folder}
	for b.Loop() {
		reading, err := env.Read(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		book, err := pricebook.Read(b.Context(), ledger.Ledger{Bucket: folder}, reading.Catalog().SheetSources(), nil, 2)
		if err != nil {
			b.Fatal(err)
		}
		if book.Rows() != plan.Rows {
			b.Fatalf("%d rows", book.Rows())
		}
	}
	b.ReportMetric(float64(plan.Rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
