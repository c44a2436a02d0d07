package jobs

import (
	"context"
	"fmt"
	"strings"

	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// SheetFacts names a price sheet.
type SheetFacts struct {
	Market string `json:"market"`
	Month  string `json:"month"`
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	// Stale is set when an earlier month's sheet governs, for want of the
	// month's own.
	Stale bool `json:"stale,omitempty"`
}

// SheetFactsOf names the sheet that governs a month.
func SheetFactsOf(s *pricing.Sheet, asked pricing.Month) SheetFacts {
	return SheetFacts{Market: s.Market, Month: s.Month.String(), File: s.File, SHA256: s.SHA256, Stale: s.Month != asked}
}

// PriceKey is what a price is looked up by, besides market and instant.
type PriceKey struct {
	ProductID string `json:"productId"`
	SkuID     string `json:"skuId"`
	Term      string `json:"termDuration"`
	Plan      string `json:"billingPlan"`
	Segment   string `json:"segment"`
}

// PriceRow is one row of a price sheet. UnitPrice is for the whole term; both
// ends of the validity are inside it, "" where there is none.
type PriceRow struct {
	PriceKey
	Currency     string `json:"currency"`
	UnitPrice    string `json:"unitPrice"`
	Start        string `json:"effectiveStart"`
	End          string `json:"effectiveEnd"`
	Tiered       bool   `json:"tiered,omitempty"` // a PricingTierRange: no licence price
	ProductTitle string `json:"productTitle"`
	SkuTitle     string `json:"skuTitle"`
	Publisher    string `json:"publisher,omitempty"`
	Line         int    `json:"line"` // in the file, 1 being the header
}

// PriceRowOf is a row as people and programs are shown it.
func PriceRowOf(r pricing.Row) PriceRow {
	return PriceRow{
		PriceKey: keyOfRow(r), Currency: r.Currency, UnitPrice: r.UnitPrice.String(), Start: bound(r.Start), End: bound(r.End),
		Tiered: r.Tiered, ProductTitle: r.ProductTitle, SkuTitle: r.SkuTitle, Publisher: r.Publisher, Line: r.Line,
	}
}

func keyOfRow(r pricing.Row) PriceKey {
	return PriceKey{ProductID: r.ProductID, SkuID: r.SkuID, Term: r.Term.String(), Plan: r.Plan.String(), Segment: r.Segment}
}

// bound prints one end of a validity, "" for the placeholder years 1753 and
// 9999 that stand for none.
func bound(at pricing.Instant) string {
	switch year, _, _ := at.Date().Civil(); year {
	case 1753, 9999:
		return ""
	}
	return at.String()
}

// catalog reads everything but changes and charges as it stands now.
func (e Env) catalog(ctx context.Context) (*ledger.Catalog, error) {
	at, err := e.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return e.ledger().Load(ctx, at.inputs, at.closes, nil, e.Policies)
}

// PriceBook has all price sheets: the ledger's catalog, or an index of it.
type PriceBook interface {
	pricing.Book
	// Markets are those that have a sheet, and Months those of a market, in order.
	Markets() []string
	Months(market string) []pricing.Month
}

// governing returns the sheet of a market and month, or the latest earlier one.
func governing(c PriceBook, market string, month pricing.Month) (*pricing.Sheet, error) {
	sheet, err := c.Sheet(market, month)
	if err != nil || sheet != nil {
		return sheet, err
	}
	if months := c.Months(market); len(months) > 0 {
		return nil, fmt.Errorf("%w: market %s has no price sheet for %s or earlier; its first is of %s", ErrMissing, market, month, months[0])
	}
	known := "the bucket has no price sheet at all; take some in with calends ingest"
	if markets := c.Markets(); len(markets) > 0 {
		known = "there are sheets of " + strings.Join(markets, ", ")
	}
	return nil, fmt.Errorf("%w: market %s has no price sheet; %s", ErrMissing, market, known)
}

// oneSheet is a price book of one sheet.
type oneSheet struct{ sheet *pricing.Sheet }

// Sheet returns the one sheet, whatever is asked for.
func (b oneSheet) Sheet(string, pricing.Month) (*pricing.Sheet, error) { return b.sheet, nil }

// PriceListPlan says which rows to list.
type PriceListPlan struct {
	Market string
	Month  pricing.Month
	// Search keeps the rows in whose titles, ids, publisher, term, plan,
	// segment or currency every word occurs, in any case.
	Search []string
}

// PriceListResult is what a sheet offers.
type PriceListResult struct {
	Sheet SheetFacts `json:"sheet"`
	Rows  []PriceRow `json:"rows"`
}

// ListPrices lists the rows of the sheet that governs a market in a month.
func (e Env) ListPrices(ctx context.Context, plan PriceListPlan) (PriceListResult, error) {
	catalog, err := e.catalog(ctx)
	if err != nil {
		return PriceListResult{}, err
	}
	sheet, err := governing(catalog, plan.Market, plan.Month)
	if err != nil {
		return PriceListResult{}, fmt.Errorf("list prices: %w", err)
	}
	result := PriceListResult{Sheet: SheetFactsOf(sheet, plan.Month), Rows: []PriceRow{}}
	for _, r := range sheet.Rows() {
		if row := PriceRowOf(r); row.matches(plan.Search) {
			result.Rows = append(result.Rows, row)
		}
	}
	return result, nil
}

func (r PriceRow) matches(words []string) bool {
	text := strings.ToLower(strings.Join([]string{r.ProductTitle, r.SkuTitle, r.Publisher, r.ProductID, r.SkuID, r.Term, r.Plan, r.Segment, r.Currency}, "\n"))
	for _, w := range words {
		if !strings.Contains(text, strings.ToLower(w)) {
			return false
		}
	}
	return true
}
