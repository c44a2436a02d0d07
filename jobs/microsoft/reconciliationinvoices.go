package microsoft

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/calends/calends/jobs/microsoft/web"
	"github.com/calends/calends/pricing"
)

// Invoice is one of Microsoft's invoices to the partner.
type Invoice struct {
	ID       string
	Currency string
	// Document is "invoice", "credit_note", "adjustment_note" or "void_note".
	Document string
	// OneTime is set for those of the new commerce; the others are legacy.
	OneTime bool
	// Amends is the invoice that this one amends, if any.
	Amends string
	Date   pricing.Date
	// Start and End are the billing period's; [pricing.NoDate] where it is not said.
	Start, End pricing.Date
}

// Month is the month that it bills: that in which its period starts, else the one
// before its date, since invoices are made within a few days after the month.
func (i Invoice) Month() pricing.Month {
	if i.Start != pricing.NoDate {
		return i.Start.Month()
	}
	return i.Date.Month() - 1
}

// InvoicesOf are the new commerce's invoices that bill the month, amendments too,
// by id.
func InvoicesOf(month pricing.Month, all []Invoice) (found []Invoice) {
	for _, i := range all {
		if i.OneTime && i.Month() == month {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, b Invoice) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(found, func(a, b Invoice) bool { return a.ID == b.ID })
}

// invoiceResource is an invoice as Partner Center prints it.
type invoiceResource struct {
	ID                     string            `json:"id"`
	InvoiceDate            string            `json:"invoiceDate"`
	BillingPeriodStartDate string            `json:"billingPeriodStartDate"`
	BillingPeriodEndDate   string            `json:"billingPeriodEndDate"`
	CurrencyCode           string            `json:"currencyCode"`
	DocumentType           word              `json:"documentType"`
	InvoiceType            word              `json:"invoiceType"`
	AmendsOf               string            `json:"amendsOf"`
	Amendments             []invoiceResource `json:"amendments"`
}

// Invoices lists all of Microsoft's invoices to the partner, in the order in which
// they come, each followed by its amendments.
func (c *Client) Invoices(ctx context.Context) ([]Invoice, error) {
	var all []Invoice
	err := c.eachPage(ctx, c.partnerCenter("/v1/invoices?size=200&offset=0"), func(items []json.RawMessage) error {
		for _, item := range items {
			var i invoiceResource
			if err := json.Unmarshal(item, &i); err != nil {
				return fmt.Errorf("%w: an invoice: %w", web.ErrNotData, err)
			}
			read, err := i.invoices()
			if err != nil {
				return err
			}
			all = append(all, read...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list invoices: %w", err)
	}
	return all, nil
}

func (i *invoiceResource) invoices() ([]Invoice, error) {
	if i.ID == "" {
		return nil, fmt.Errorf("%w: an invoice without an id", web.ErrNotData)
	}
	kind := strings.ReplaceAll(string(i.InvoiceType), "_", "")
	out := Invoice{ID: i.ID, Currency: i.CurrencyCode, Document: string(i.DocumentType), OneTime: kind == "onetime", Amends: i.AmendsOf}
	for _, d := range []struct {
		name, text string
		to         *pricing.Date
	}{{"invoiceDate", i.InvoiceDate, &out.Date}, {"billingPeriodStartDate", i.BillingPeriodStartDate, &out.Start}, {"billingPeriodEndDate", i.BillingPeriodEndDate, &out.End}} {
		at, err := instantOf(d.text)
		if err != nil {
			return nil, fmt.Errorf("invoice %s, %s: %w", i.ID, d.name, err)
		}
		if *d.to = at.Date(); at == 0 {
			*d.to = pricing.NoDate
		}
	}
	if out.Date == pricing.NoDate && out.Start == pricing.NoDate {
		return nil, fmt.Errorf("%w: invoice %s has neither a date nor a period", web.ErrNotData, i.ID)
	}
	all := []Invoice{out}
	for _, a := range i.Amendments {
		more, err := a.invoices()
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}
