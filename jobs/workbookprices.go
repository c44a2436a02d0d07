package jobs

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// soldItem is what a price sheet prices.
type soldItem struct {
	pricing.SKU
	term            pricing.Term
	plan            pricing.Plan
	market, segment string
	currency        string
}

// sale is what the lines of a month say of an item.
type sale struct {
	seats  int64           // whose term began with the month's own sheet
	cycles decimal.Decimal // of those, as a share of the term's price
}

// sales collects what an invoice's lines bill by a price sheet, however long ago.
type sales struct {
	catalog *ledger.Catalog
	month   pricing.Month
	items   map[soldItem]sale
}

func newSales(catalog *ledger.Catalog, month pricing.Month) sales {
	return sales{catalog, month, make(map[soldItem]sale)}
}

// add enters a line, which comes with its proof.
func (s sales) add(l *invoice.Line) {
	if l.Proof == nil || l.Proof.Source.SHA256 == "" {
		return
	}
	c := l.Proof.Calculation
	term, plan, ok := termAndPlan(c)
	payer, _ := s.catalog.Payer(l.Account.CustomerID, l.OrderDate.Month())
	if !ok || payer == nil {
		return
	}
	item := soldItem{pricing.SKU{ProductID: l.Item.ProductID, SkuID: l.Item.SkuID}, term, plan,
		l.Proof.Source.Market, payer.Customer.Segment, l.PricingCurrency}
	sold := s.items[item]
	if l.Proof.Source.Month == s.month && !c.Credit && (l.ChargeType == "new" || l.ChargeType == "renew") {
		sold.seats += c.Quantity
		sold.cycles = sold.cycles.Add(decimal.New(c.Quantity*int64(c.CycleMonths), 0).DivRound(decimal.New(int64(c.TermMonths), 0), 10))
	}
	s.items[item] = sold
}

// priceChanges compares the prices of what the lines bill as the sheets of this
// month and of the last one have them on the first.
func (s sales) priceChanges() ([]exports.PriceChange, error) {
	var changes []exports.PriceChange
	for item, sold := range s.items {
		before, err := item.price(s.catalog, s.month-1)
		if err != nil {
			return nil, err
		}
		now, err := item.price(s.catalog, s.month)
		if err != nil {
			return nil, err
		}
		if c, ok := item.change(before, now, sold); ok {
			changes = append(changes, c)
		}
	}
	slices.SortFunc(changes, func(a, b exports.PriceChange) int {
		return cmp.Or(strings.Compare(a.ProductID, b.ProductID), strings.Compare(a.SkuID, b.SkuID), strings.Compare(a.Market, b.Market),
			strings.Compare(a.Segment, b.Segment), strings.Compare(a.Term, b.Term), strings.Compare(a.Plan, b.Plan),
			strings.Compare(a.Currency, b.Currency), strings.Compare(a.Title, b.Title))
	})
	return changes, nil
}

// termAndPlan reads a calculation backwards: it knows months.
func termAndPlan(c pricing.Calculation) (pricing.Term, pricing.Plan, bool) {
	for term := pricing.P1M; term <= pricing.P3Y; term++ {
		for plan := pricing.Monthly; plan <= pricing.Triennial; plan++ {
			if term.Months() == c.TermMonths && plan.Months() == c.CycleMonths && term.Allows(plan) {
				return term, plan, true
			}
		}
	}
	return pricing.NoTerm, pricing.NoPlan, false
}

// price is the row that governs the item on the first of the month, nil for none.
func (i soldItem) price(catalog *ledger.Catalog, month pricing.Month) (*pricing.Row, error) {
	price, err := pricing.FindPrice(catalog, pricing.PriceQuery{SKU: i.SKU, Term: i.term, Plan: i.plan, Market: i.market, Segment: i.segment,
		BillingCurrency: i.currency, At: month.First().Instant()})
	var refused *pricing.PriceError
	if errors.As(err, &refused) || err == nil && price.Row.Currency != i.currency {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &price.Row, nil
}

func (i soldItem) change(before, now *pricing.Row, sold sale) (c exports.PriceChange, ok bool) {
	if before == nil && now == nil || before != nil && now != nil && before.UnitPrice.Equal(now.UnitPrice) {
		return c, false
	}
	row := cmp.Or(now, before)
	c = exports.PriceChange{Market: i.market, ProductID: i.ProductID, SkuID: i.SkuID, Title: row.SkuTitle,
		Term: i.term.String(), Plan: i.plan.String(), Segment: i.segment, Currency: i.currency,
		From: dayOf(row.Start), To: dayOf(row.End), Seats: sold.seats}
	if before != nil {
		c.Old = &before.UnitPrice
	}
	if now != nil {
		c.New = &now.UnitPrice
	}
	if before != nil && now != nil {
		c.Impact = now.UnitPrice.Sub(before.UnitPrice).Mul(sold.cycles).Round(6)
	}
	return c, true
}

// dayOf is one end of a validity, NoDate for the placeholder years.
func dayOf(at pricing.Instant) pricing.Date {
	if bound(at) == "" {
		return pricing.NoDate
	}
	return at.Date()
}
