package ledger

import (
	"context"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// PriceRows reads what [Ledger.PutPrices] kept.
func (l Ledger) PriceRows(ctx context.Context, o Object) ([]pricing.Row, error) {
	var rows []pricing.Row
	err := read(ctx, l, o, func(batch []priceRow) error {
		for _, r := range batch {
			price, err := decimal.NewFromString(r.UnitPrice)
			if err != nil {
				return fmt.Errorf("line %d: price: %w", r.Line, err)
			}
			rows = append(rows, pricing.Row{
				SKU:  pricing.SKU{ProductID: r.ProductID, SkuID: r.SkuID},
				Term: pricing.Term(r.Term), Plan: pricing.Plan(r.Plan), Market: o.Market, Segment: r.Segment, Currency: r.Currency,
				UnitPrice: price, Start: pricing.Instant(r.Start), End: pricing.Instant(r.End), Tiered: r.Tiered,
				ProductTitle: r.ProductTitle, SkuTitle: r.SkuTitle, Publisher: r.Publisher, Line: int(r.Line),
			})
		}
		return nil
	})
	return rows, err
}
