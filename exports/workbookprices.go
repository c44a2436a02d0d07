package exports

import (
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// PriceChange is a price of this month's sheet, of a product on the invoice,
// that was another on last month's. Prices are for the whole term.
type PriceChange struct {
	Market              string
	ProductID, SkuID    string
	Title               string
	Term, Plan, Segment string
	Currency            string
	// Old and New are nil where that month's sheet has no such price.
	Old, New *decimal.Decimal
	// From and To are the first and last day of the new price, or of the old one
	// where there is no new; pricing.NoDate for no bound.
	From, To pricing.Date
	// Seats are those of this invoice's lines at the new price; Impact is what the
	// change makes for one of their cycles, in Currency.
	Seats  int64
	Impact decimal.Decimal
}

// writePriceChanges lists what became of the prices of products on the invoice.
func (b *Workbook) writePriceChanges() error {
	sheet := b.sheet(dataSheet{name: pricesSheet, table: "PriceChanges", colour: tabBlue, keys: 3,
		empty: b.unproven("No price of a product on this invoice differs from last month's sheet"),
		columns: []sheetColumn{
			{"Product", 40, kindText, "SkuTitle of the price sheet."},
			{"Product id", 16, kindText, "ProductId."},
			{"SKU id", 8, kindText, "SkuId, four places."},
			{"Term", 8, kindText, "TermDuration."},
			{"Plan", 12, kindText, "BillingPlan."},
			{"Market", 9, kindText, "Market of the sheet."},
			{"Segment", 14, kindText, "Segment."},
			{"Currency", 10, kindText, "Currency of the prices."},
			{"Old price", 14, kindPrice, "UnitPrice for the whole term on last month's sheet; blank for none."},
			{"New price", 14, kindPrice, "UnitPrice for the whole term on this month's sheet; blank for none."},
			{"Change", 14, kindPrice, "New price less old price."},
			{"Change %", 11, kindPercent, "The change as a share of the old price."},
			{"From", 13, kindDate, "EffectiveStartDate; blank for no bound."},
			{"To", 13, kindDate, "EffectiveEndDate; blank for no bound."},
			{"Seats affected", 11, kindWhole, "Licences whose term began in this month, at the new price. Running terms keep theirs."},
			{"Impact", 14, kindPrice, "What the change makes for one cycle of those seats, before promotions and exchange rate."},
		}})
	for i := range b.Info.PriceChanges {
		if err := sheet.addPriceChange(&b.Info.PriceChanges[i]); err != nil {
			return err
		}
	}
	return sheet.addTo(b.file, b.archive, nil)
}

func (s *dataSheet) addPriceChange(c *PriceChange) error {
	row, err := s.next(0)
	if err != nil {
		return err
	}
	for _, text := range []string{c.Title, c.ProductID, c.SkuID, c.Term, c.Plan, c.Market, c.Segment, c.Currency} {
		row.text(text)
	}
	for _, price := range []*decimal.Decimal{c.Old, c.New} {
		if price == nil {
			row.skip()
		} else {
			row.decimal(*price)
		}
	}
	if c.Old == nil || c.New == nil {
		row.skip()
		row.skip()
	} else {
		change := c.New.Sub(*c.Old)
		row.decimal(change)
		if c.Old.IsZero() {
			row.skip()
		} else {
			row.decimal(change.DivRound(*c.Old, 6))
		}
	}
	row.date(c.From)
	row.date(c.To)
	row.whole(c.Seats)
	row.decimal(c.Impact)
	return row.end()
}
