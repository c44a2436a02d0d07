package ledger

import (
	"context"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/ledger/pages"
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

// PriceColumns are some rows of a price sheet, column by column. Instants are ticks,
// terms and plans numbers of package pricing. It is reused; texts are for keeps.
type PriceColumns struct {
	Rows int
	// Group counts the row groups: places of [pages.Names] mean the same within one.
	Group int

	ProductID, SkuID, Segment, Currency, UnitPrice pages.Names
	ProductTitle, SkuTitle, Publisher              pages.Names
	Term, Plan                                     pages.Numbers[int32]
	Start, End, Line                               pages.Numbers[int64]
	Tiered                                         pages.Flags
}

// EachPriceColumns reads what [Ledger.PutPrices] kept, as [Ledger.PriceRows] does,
// without making rows of it.
func (l Ledger) EachPriceColumns(ctx context.Context, o Object, each func(*PriceColumns) error) error {
	return l.eachPriceColumns(ctx, o, func(*pages.Reader) {}, each)
}

// eachPriceColumns is EachPriceColumns with more columns.
func (l Ledger) eachPriceColumns(ctx context.Context, o Object, more func(*pages.Reader), each func(*PriceColumns) error) error {
	var c PriceColumns
	var reader *pages.Reader
	rows := columns{ctx: ctx, ledger: l, objects: []Object{o}, add: func(r *pages.Reader) {
		reader = r
		r.Add("productId", &c.ProductID)
		r.Add("skuId", &c.SkuID)
		r.Add("term", &c.Term)
		r.Add("plan", &c.Plan)
		r.Add("segment", &c.Segment)
		r.Add("currency", &c.Currency)
		r.Add("unitPrice", &c.UnitPrice)
		r.Add("start", &c.Start)
		r.Add("end", &c.End)
		r.Add("tiered", &c.Tiered)
		r.Add("productTitle", &c.ProductTitle)
		r.Add("skuTitle", &c.SkuTitle)
		r.Add("publisher", &c.Publisher)
		r.Add("line", &c.Line)
		more(r)
	}}
	defer rows.close()
	for {
		n, err := rows.next(4096)
		if err != nil || n == 0 {
			return err
		}
		c.Rows, c.Group = n, reader.Group()
		if err := each(&c); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
