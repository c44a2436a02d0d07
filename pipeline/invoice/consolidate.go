package invoice

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// sections is the order in which an invoice totals its charge types; others
// follow by name, corrections come last.
var sections = []string{"new", "renew", "cycleCharge", "addQuantity", "removeQuantity", "moveQuantity", "convert",
	"changeBillingPlan", "cancelImmediate", "customerCredit"}

// CorrectionSection is the name of the section of mirrored lines.
const CorrectionSection = "correction"

// Number names the n-th invoice of a month, 1 being the first.
func Number(month pricing.Month, n int) string { return fmt.Sprintf("C%s-%06d", month.Compact(), n) }

// Consolidation makes the header of one partner's invoice, block by block.
type Consolidation struct {
	invoice  *Invoice
	sections map[string]*Totals
	sheets   map[SheetUse]bool
	rates    map[RateUse]bool
	// exchanged are the rates by the month of the lines' order dates.
	exchanged map[RateUse]bool
}

// NewConsolidation begins a partner's invoice.
func NewConsolidation(month pricing.Month, partner party.Partner, policies Policies) (*Consolidation, error) {
	digits, ok := pricing.MinorDigits(partner.BillingCurrency)
	if !ok {
		return nil, fmt.Errorf("partner %s: currency %q is unknown", partner.ID, partner.BillingCurrency)
	}
	return &Consolidation{
		invoice: &Invoice{
			Month: month, Kind: KindInvoice, PartnerID: partner.ID, PartnerName: partner.Name, Country: partner.Country,
			MpnID: partner.MpnID, Currency: partner.BillingCurrency, MinorDigits: digits, TaxRate: partner.TaxRate.String(),
			Policies: policies,
		},
		sections: make(map[string]*Totals), sheets: make(map[SheetUse]bool), rates: make(map[RateUse]bool), exchanged: make(map[RateUse]bool),
	}, nil
}

// Add takes the invoice's next lines.
func (c *Consolidation) Add(b *Block) error {
	var byType [len(ChargeTypes)]Totals
	sheets, rates := make([]bool, len(b.Sheets)), make([]bool, len(b.Rates))
	account, of := int32(-1), (*CustomerTotal)(nil)
	for i := range b.Rows {
		r := &b.Rows[i]
		if r.Other >= 0 {
			if err := c.add(b.Others[r.Other]); err != nil {
				return err
			}
			account = -1
			continue
		}
		if r.Account != account {
			account, of = r.Account, c.customer(b.Accounts[r.Account])
		}
		t := Totals{Lines: 1, Subtotal: r.Subtotal, TaxTotal: r.TaxTotal, Total: r.Total}
		byType[r.Type].Merge(t)
		of.Merge(t)
		sheets[r.Sheet], rates[r.Rate] = true, true
	}
	for i, t := range byType {
		if t.Lines > 0 {
			c.invoice.Totals.Merge(t)
			c.section(ChargeTypes[i]).Merge(t)
		}
	}
	for i, used := range sheets {
		if used {
			c.useSheet(b.Sheets[i])
		}
	}
	for i, used := range rates {
		if !used {
			continue
		}
		rate := &b.Rates[i]
		if rate.Currency != c.invoice.Currency {
			return fmt.Errorf("partner %s: lines are in %s, the invoice in %s", c.invoice.PartnerID, rate.Currency, c.invoice.Currency)
		}
		if rate.PricingCurrency != rate.Currency {
			use := RateUse{rate.PricingCurrency, c.invoice.Month, rate.Exchange.String()}
			c.rates[use], c.exchanged[use] = true, true
		}
	}
	return nil
}

// add takes a line in full.
func (c *Consolidation) add(l *Line) error {
	inv := c.invoice
	if l.Currency != inv.Currency {
		return fmt.Errorf("partner %s: a line of subscription %s is in %s, the invoice in %s",
			inv.PartnerID, l.SubscriptionID, l.Currency, inv.Currency)
	}
	inv.Totals.Add(l)
	section := l.ChargeType
	if l.isCorrection() {
		section = CorrectionSection
	}
	c.section(section).Add(l)
	c.customer(l.Account).Add(l)
	if l.Proof != nil {
		c.useSheet(l.Proof.Source)
	}
	if l.PricingCurrency == l.Currency {
		return nil
	}
	if l.RateDate != pricing.NoDate { // charges rated elsewhere may name no rate
		c.rates[RateUse{l.PricingCurrency, l.RateDate.Month(), l.ExchangeRate.String()}] = true
	}
	if l.Proof != nil {
		c.exchanged[RateUse{l.PricingCurrency, l.OrderDate.Month(), l.ExchangeRate.String()}] = true
	}
	return nil
}

func (c *Consolidation) section(name string) *Totals {
	t, ok := c.sections[name]
	if !ok {
		t = new(Totals)
		c.sections[name] = t
	}
	return t
}

// customer returns the totals of the customer at hand.
func (c *Consolidation) customer(a *Account) *CustomerTotal {
	inv := c.invoice
	if n := len(inv.Customers); n == 0 || inv.Customers[n-1].CustomerID != a.CustomerID {
		inv.Customers = append(inv.Customers, CustomerTotal{CustomerID: a.CustomerID, CustomerName: a.CustomerName})
	}
	return &inv.Customers[len(inv.Customers)-1]
}

func (c *Consolidation) useSheet(s subscription.Source) {
	if s.SHA256 != "" {
		c.sheets[SheetUse{s.Market, s.Month, s.File, s.SHA256}] = true
	}
}

// Exchanged lists the rates that lines were rated with, by the month of their
// order dates.
func (c *Consolidation) Exchanged() []RateUse {
	var uses []RateUse
	for r := range c.exchanged {
		uses = append(uses, r)
	}
	return uses
}

// Invoice returns the header of all lines so far.
func (c *Consolidation) Invoice() *Invoice {
	inv := c.invoice
	inv.Kind, inv.Sections, inv.Sheets, inv.Rates = KindInvoice, nil, nil, nil
	if inv.Totals.Total < 0 {
		inv.Kind = KindCreditNote
	}
	for name, totals := range c.sections {
		inv.Sections = append(inv.Sections, Section{name, *totals})
	}
	slices.SortFunc(inv.Sections, func(a, b Section) int { return strings.Compare(sectionKey(a.Name), sectionKey(b.Name)) })
	for s := range c.sheets {
		inv.Sheets = append(inv.Sheets, s)
	}
	slices.SortFunc(inv.Sheets, func(a, b SheetUse) int {
		return strings.Compare(a.Market+a.Month.String()+a.SHA256, b.Market+b.Month.String()+b.SHA256)
	})
	for r := range c.rates {
		inv.Rates = append(inv.Rates, r)
	}
	slices.SortFunc(inv.Rates, func(a, b RateUse) int {
		return strings.Compare(a.PricingCurrency+a.Month.String()+a.Rate, b.PricingCurrency+b.Month.String()+b.Rate)
	})
	return inv
}

func sectionKey(name string) string {
	if i := slices.Index(sections, name); i >= 0 {
		return fmt.Sprintf("0%02d", i)
	}
	if name == CorrectionSection {
		return "2"
	}
	return "1" + name
}
