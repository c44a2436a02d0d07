package ledger

import (
	"context"
	"fmt"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// BenchmarkPriceRows reads the prices of a sheet for billing. What the sheet tells
// besides must not cost it anything.
func BenchmarkPriceRows(b *testing.B) {
	for _, told := range []bool{false, true} {
		b.Run(fmt.Sprintf("told=%v", told), func(b *testing.B) {
			var rows []pricing.Row
			for i := range 100_000 {
				title := fmt.Sprintf("Product %d", i/8)
				r := pricing.Row{SKU: pricing.SKU{ProductID: fmt.Sprintf("CFQ7TTC0%04X", i/16), SkuID: fmt.Sprintf("%04d", i/8%2)}, Term: pricing.P1Y, Plan: pricing.Monthly,
					Market: "NL", Segment: "Commercial", Currency: "EUR", UnitPrice: decimal.New(int64(i%5000), -2), End: 1 << 60, ProductTitle: title, SkuTitle: title,
					Publisher: "Microsoft Corporation", Line: i + 2}
				if told {
					r.Listing = &pricing.Listing{Description: fmt.Sprintf("What people read about product %d before they buy it, in two lines or three of a page", i/8), Tags: "License", ERPPrice: "12.50"}
				}
				rows = append(rows, r)
			}
			ctx, l := context.Background(), Ledger{Bucket: bucket.NewMemory()}
			o, err := l.PutPrices(ctx, "NL", rows)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(o.Size)/(1<<20), "MB")
			for _, reader := range []struct {
				name string
				read func() (int, error)
			}{
				{"rows", func() (int, error) { rows, err := l.PriceRows(ctx, o); return len(rows), err }},
				{"columns", func() (n int, err error) {
					err = l.EachPriceColumns(ctx, o, func(c *PriceColumns) error { n += c.Rows; return nil })
					return n, err
				}},
				{"listed", func() (int, error) { rows, err := l.ListedRows(ctx, o); return len(rows), err }},
			} {
				b.Run(reader.name, func(b *testing.B) {
					for b.Loop() {
						if n, err := reader.read(); err != nil || n != len(rows) {
							b.Fatal(n, err)
						}
					}
					b.ReportMetric(float64(len(rows)*b.N)/b.Elapsed().Seconds(), "rows/s")
				})
			}
		})
	}
}
