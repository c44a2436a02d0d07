package ledger

import (
	"context"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/ledger/pages"
	"github.com/calends/calends/pricing"
)

// listedRow is the row of a price sheet that tells more than prices. What it has more
// than a priceRow stands in columns of its own, which whoever looks for prices does not
// read; a sheet without any gives the bytes that it gave before there were such columns.
type listedRow struct {
	ProductID    string `parquet:"productId,dict"`
	SkuID        string `parquet:"skuId,dict"`
	Term         int32  `parquet:"term"`
	Plan         int32  `parquet:"plan"`
	Segment      string `parquet:"segment,dict"`
	Currency     string `parquet:"currency,dict"`
	UnitPrice    string `parquet:"unitPrice,dict"`
	Start        int64  `parquet:"start"`
	End          int64  `parquet:"end"`
	Tiered       bool   `parquet:"tiered"`
	ProductTitle string `parquet:"productTitle,dict"`
	SkuTitle     string `parquet:"skuTitle,dict"`
	Publisher    string `parquet:"publisher,dict"`
	Line         int64  `parquet:"line"`

	Description   string `parquet:"description,dict"`
	UnitOfMeasure string `parquet:"unitOfMeasure,dict"`
	Tags          string `parquet:"tags,dict"`
	ERPPrice      string `parquet:"erpPrice,dict"`
}

func (l Ledger) putListed(ctx context.Context, market string, prices []pricing.Row) (Object, error) {
	rows := make([]listedRow, len(prices))
	for i, p := range prices {
		var t pricing.Listing
		if p.Listing != nil {
			t = *p.Listing
		}
		rows[i] = listedRow{p.ProductID, p.SkuID, int32(p.Term), int32(p.Plan), p.Segment, p.Currency, p.UnitPrice.String(),
			int64(p.Start), int64(p.End), p.Tiered, p.ProductTitle, p.SkuTitle, p.Publisher, int64(p.Line),
			t.Description, t.UnitOfMeasure, t.Tags, t.ERPPrice}
	}
	o, err := write(ctx, l, rows)
	o.Market = market
	return o, err
}

// ListedRows reads what [Ledger.PutPrices] kept, with what the sheet tells besides.
func (l Ledger) ListedRows(ctx context.Context, o Object) ([]pricing.Row, error) {
	var description, unit, tags, erp pages.Names
	var rows []pricing.Row
	var told *pricing.Listing // by the row before
	err := l.eachPriceColumns(ctx, o, func(r *pages.Reader) {
		r.Add("description", &description)
		r.Add("unitOfMeasure", &unit)
		r.Add("tags", &tags)
		r.Add("erpPrice", &erp)
	}, func(c *PriceColumns) error {
		for i := range c.Rows {
			price, err := decimal.NewFromString(c.UnitPrice.Of(i))
			if err != nil {
				return fmt.Errorf("line %d: price: %w", c.Line.Values[i], err)
			}
			t := pricing.Listing{Description: description.Of(i), UnitOfMeasure: unit.Of(i), Tags: tags.Of(i), ERPPrice: erp.Of(i)}
			if told == nil || *told != t {
				told = &t
			}
			row := pricing.Row{
				SKU:  pricing.SKU{ProductID: c.ProductID.Of(i), SkuID: c.SkuID.Of(i)},
				Term: pricing.Term(c.Term.Values[i]), Plan: pricing.Plan(c.Plan.Values[i]), Market: o.Market,
				Segment: c.Segment.Of(i), Currency: c.Currency.Of(i), UnitPrice: price,
				Start: pricing.Instant(c.Start.Values[i]), End: pricing.Instant(c.End.Values[i]), Tiered: c.Tiered.Values[i],
				ProductTitle: c.ProductTitle.Of(i), SkuTitle: c.SkuTitle.Of(i), Publisher: c.Publisher.Of(i), Line: int(c.Line.Values[i]),
			}
			if t != (pricing.Listing{}) {
				row.Listing = told
			}
			rows = append(rows, row)
		}
		return nil
	})
	return rows, err
}
