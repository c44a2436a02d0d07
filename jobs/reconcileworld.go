package jobs

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pricing"
)

// reconcileWorld answers what would explain another price, rate or promotion,
// from everything that the ledger has. It is asked by all workers.
type reconcileWorld struct {
	catalog    *ledger.Catalog
	promotions map[pricing.SKU][]pricing.Promotion

	lock   sync.Mutex
	sheets map[sheetKey]map[pricing.SKU][]pricing.Row
}

type sheetKey struct {
	market string
	month  pricing.Month
}

var _ reconcile.World = (*reconcileWorld)(nil)

func newReconcileWorld(catalog *ledger.Catalog) *reconcileWorld {
	w := &reconcileWorld{catalog: catalog, promotions: make(map[pricing.SKU][]pricing.Promotion), sheets: make(map[sheetKey]map[pricing.SKU][]pricing.Row)}
	for p := range catalog.AllPromotions {
		w.promotions[p.SKU] = append(w.promotions[p.SKU], p)
	}
	for _, all := range w.promotions {
		slices.SortFunc(all, func(a, b pricing.Promotion) int {
			return cmp.Or(strings.Compare(a.ID, b.ID), cmp.Compare(a.Term, b.Term), cmp.Compare(a.Plan, b.Plan), cmp.Compare(a.Start, b.Start))
		})
	}
	return w
}

// Sheets around a month: those before it by which a term may have been priced
// by mistake, and the next one.
const (
	sheetsBefore = 6
	sheetsAfter  = 1
)

// Prices returns the rows of a SKU in the sheets around a month, the month's own
// first, then the nearest.
func (w *reconcileWorld) Prices(customerID string, sku pricing.SKU, month pricing.Month) ([]reconcile.PriceRow, error) {
	payer, _ := w.catalog.Payer(customerID, month)
	if payer == nil || payer.Customer.Country == "" {
		return nil, nil
	}
	market, segment := payer.Customer.Country, payer.Customer.Segment
	known := make(map[pricing.Month]bool)
	for _, m := range w.catalog.Months(market) {
		known[m] = true
	}
	var found []reconcile.PriceRow
	for distance := pricing.Month(0); distance <= sheetsBefore; distance++ {
		for _, m := range []pricing.Month{month - distance, month + distance} {
			if !known[m] || m > month+sheetsAfter {
				continue
			}
			known[m] = false
			sheet, err := w.catalog.Sheet(market, m)
			if err != nil {
				return nil, err
			}
			for _, row := range w.rows(sheetKey{market, m}, sheet)[sku] {
				if row.Segment == segment {
					found = append(found, reconcile.PriceRow{Row: row, Market: market, Month: m, File: sheet.File})
				}
			}
		}
	}
	return found, nil
}

// rows returns a sheet's rows by SKU.
func (w *reconcileWorld) rows(key sheetKey, sheet *pricing.Sheet) map[pricing.SKU][]pricing.Row {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.sheets[key] == nil {
		bySKU := make(map[pricing.SKU][]pricing.Row)
		for _, row := range sheet.Rows() {
			bySKU[row.SKU] = append(bySKU[row.SKU], row)
		}
		w.sheets[key] = bySKU
	}
	return w.sheets[key]
}

// Promotions returns those of the SKU.
func (w *reconcileWorld) Promotions(sku pricing.SKU) []pricing.Promotion { return w.promotions[sku] }

// Rate returns the exchange rate of a month.
func (w *reconcileWorld) Rate(pricingCurrency, billingCurrency string, month pricing.Month) (decimal.Decimal, bool) {
	return w.catalog.Rate(pricingCurrency, billingCurrency, month)
}
