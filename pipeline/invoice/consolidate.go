package invoice

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calends/calends/pipeline/party"
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

// Consolidate makes the header of one partner's lines, which are in the order
// of the file. All are in the partner's currency.
func Consolidate(month pricing.Month, partner party.Partner, policies Policies, lines []*Line) (*Invoice, error) {
	digits, ok := pricing.MinorDigits(partner.BillingCurrency)
	if !ok {
		return nil, fmt.Errorf("partner %s: currency %q is unknown", partner.ID, partner.BillingCurrency)
	}
	inv := &Invoice{
		Month: month, Kind: KindInvoice, PartnerID: partner.ID, PartnerName: partner.Name, Country: partner.Country,
		MpnID: partner.MpnID, Currency: partner.BillingCurrency, MinorDigits: digits, TaxRate: partner.TaxRate.String(),
		Policies: policies,
	}
	byType := make(map[string]*Totals)
	sheets := make(map[SheetUse]bool)
	rates := make(map[RateUse]bool)
	for _, l := range lines {
		if l.Currency != partner.BillingCurrency {
			return nil, fmt.Errorf("partner %s: a line of subscription %s is in %s, the invoice in %s",
				partner.ID, l.SubscriptionID, l.Currency, partner.BillingCurrency)
		}
		inv.Totals.Add(l)
		section := l.ChargeType
		if l.isCorrection() {
			section = CorrectionSection
		}
		if byType[section] == nil {
			byType[section] = new(Totals)
		}
		byType[section].Add(l)
		inv.addCustomer(l)
		if l.Proof != nil && l.Proof.Source.SHA256 != "" {
			s := l.Proof.Source
			sheets[SheetUse{s.Market, s.Month, s.File, s.SHA256}] = true
		}
		if l.PricingCurrency != l.Currency && l.RateDate != pricing.NoDate { // charges rated elsewhere may name no rate
			rates[RateUse{l.PricingCurrency, l.RateDate.Month(), l.ExchangeRate.String()}] = true
		}
	}
	if inv.Totals.Total < 0 {
		inv.Kind = KindCreditNote
	}
	for name, totals := range byType {
		inv.Sections = append(inv.Sections, Section{name, *totals})
	}
	slices.SortFunc(inv.Sections, func(a, b Section) int { return strings.Compare(sectionKey(a.Name), sectionKey(b.Name)) })
	for s := range sheets {
		inv.Sheets = append(inv.Sheets, s)
	}
	slices.SortFunc(inv.Sheets, func(a, b SheetUse) int {
		return strings.Compare(a.Market+a.Month.String()+a.SHA256, b.Market+b.Month.String()+b.SHA256)
	})
	for r := range rates {
		inv.Rates = append(inv.Rates, r)
	}
	slices.SortFunc(inv.Rates, func(a, b RateUse) int {
		return strings.Compare(a.PricingCurrency+a.Month.String()+a.Rate, b.PricingCurrency+b.Month.String()+b.Rate)
	})
	return inv, nil
}

func (inv *Invoice) addCustomer(l *Line) {
	if n := len(inv.Customers); n == 0 || inv.Customers[n-1].CustomerID != l.Account.CustomerID {
		inv.Customers = append(inv.Customers, CustomerTotal{CustomerID: l.Account.CustomerID, CustomerName: l.Account.CustomerName})
	}
	inv.Customers[len(inv.Customers)-1].Add(l)
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
