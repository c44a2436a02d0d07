package exports

import (
	"cmp"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
)

// products adds the lines up by product, as they come.
type products struct {
	byKey map[productKey]*productSum
}

type productKey struct{ product, sku, term, pricing string }

type productSum struct {
	productKey
	title string
	invoice.Totals
	// seats are licences: charged by cycles, added and removed by changes.
	charged, added, removed decimal.Decimal
	lowest, highest         decimal.Decimal // list prices of one cycle
}

func (p *products) add(l *invoice.Line, item *invoice.Item) {
	key := productKey{item.ProductID, item.SkuID, item.TermAndBillingCycle, l.PricingCurrency}
	s := p.byKey[key]
	if s == nil {
		if p.byKey == nil {
			p.byKey = make(map[productKey]*productSum)
		}
		s = &productSum{productKey: key, title: item.SkuName, lowest: l.UnitPrice, highest: l.UnitPrice}
		p.byKey[key] = s
	}
	s.Add(l)
	s.title = max(s.title, item.SkuName) // renamed within the month: the same one, whatever comes first
	if l.UnitPrice.LessThan(s.lowest) {
		s.lowest = l.UnitPrice
	}
	if l.UnitPrice.GreaterThan(s.highest) {
		s.highest = l.UnitPrice
	}
	if item.UnitType == "Licenses" && l.CreditReasonCode == "" {
		s.addSeats(l)
	}
}

// addSeats counts licences. A change of seats is a pair of lines: the old number
// with a minus and the new one.
func (s *productSum) addSeats(l *invoice.Line) {
	seats := l.BillableQuantity
	if l.EffectiveUnitPrice.IsNegative() {
		seats = seats.Neg()
	}
	switch l.ChargeType {
	case "new", "renew", "cycleCharge", "changeBillingPlan":
		s.charged = s.charged.Add(seats)
	case "addQuantity":
		s.added = s.added.Add(seats)
	case "removeQuantity", "cancelImmediate":
		s.removed = s.removed.Add(seats)
	case "convert", "moveQuantity":
		if seats.IsNegative() {
			s.removed = s.removed.Add(seats)
		} else {
			s.added = s.added.Add(seats)
		}
	}
}

// sorted returns the sums, the largest first.
func (p *products) sorted() []*productSum {
	all := make([]*productSum, 0, len(p.byKey))
	for _, s := range p.byKey {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *productSum) int {
		return cmp.Or(cmp.Compare(b.Subtotal, a.Subtotal), strings.Compare(a.product, b.product), strings.Compare(a.sku, b.sku),
			strings.Compare(a.term, b.term), strings.Compare(a.pricing, b.pricing))
	})
	return all
}

func (b *Workbook) productsSheet() (*dataSheet, error) {
	inv := b.Info.Invoice
	sheet := b.sheet(dataSheet{name: productsSheet, table: "ByProduct", colour: tabGreen, keys: 1, empty: "No lines",
		columns: []sheetColumn{
			{"Product", 40, kindText, "SkuName; the largest net amount comes first."},
			{"Product id", 16, kindText, "ProductId."},
			{"SKU id", 8, kindText, "SkuId, four places."},
			{"Term and billing", 42, kindText, "TermAndBillingCycle."},
			{"Lines", 9, kindWhole, "Number of invoice lines."},
			{"Seats charged", 11, kindQuantity, "Licences of the cycles that begin in the month, before its changes."},
			{"Seats added", 11, kindQuantity, "By changes of the month: more seats, and seats moved here."},
			{"Seats removed", 11, kindQuantity, "By changes of the month: fewer seats, cancellations, and seats moved away; with a minus."},
			{"Lowest list price", 13, kindPrice, "UnitPrice of one licence for a full cycle, in the pricing currency."},
			{"Highest list price", 13, kindPrice, "The same; another one where terms began at different prices."},
			{"Pricing currency", 10, kindText, "Currency of the list prices."},
			sheetColumn{netColumnName, 15, kindAmount, "Subtotal."}.in(inv.Currency),
			sheetColumn{taxColumnName, 14, kindAmount, "TaxTotal."}.in(inv.Currency),
			sheetColumn{grossColumnName, 15, kindAmount, "Total."}.in(inv.Currency),
			{"Share", 9, kindPercent, "Of the invoice's net amount."},
		}})
	for _, s := range b.products.sorted() {
		row, err := sheet.next(0)
		if err != nil {
			return nil, err
		}
		row.text(cmp.Or(s.title, "(no product)"))
		row.text(s.product)
		row.text(s.sku)
		row.text(s.term)
		row.whole(int64(s.Lines))
		row.quantity(s.charged)
		row.quantity(s.added)
		row.quantity(s.removed)
		row.decimal(s.lowest)
		row.decimal(s.highest)
		row.text(s.pricing)
		row.amount(s.Subtotal, inv.MinorDigits)
		row.amount(s.TaxTotal, inv.MinorDigits)
		row.amount(s.Total, inv.MinorDigits)
		row.share(s.Subtotal, inv.Totals.Subtotal)
		if err := row.end(); err != nil {
			return nil, err
		}
	}
	return sheet, nil
}
