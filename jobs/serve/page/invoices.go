package page

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

func (s *Site) registerInvoices() {
	s.register(http.MethodGet, "/invoices/{month}/{partner}", "page-invoice", access.SeeInvoices, s.invoice)
}

// seenInvoice is the invoice of the address, if the person sees its partner.
func (s *Site) seenInvoice(a ask) (ledger.Month, ledger.InvoiceSummary, error) {
	partner := a.PathValue("partner")
	month, err := pricing.ParseMonth(a.PathValue("month"))
	if err != nil || !a.who.Sees(partner) {
		return ledger.Month{}, ledger.InvoiceSummary{}, errNotFound
	}
	reading, err := s.Current.Reading()
	if err != nil {
		return ledger.Month{}, ledger.InvoiceSummary{}, err
	}
	m, _ := reading.Month(month)
	for _, inv := range m.Current.Invoices {
		if inv.PartnerID == partner {
			audit.About(a.Context(), partner, invoiceName(m.Current, inv))
			return m, inv, nil
		}
	}
	return m, ledger.InvoiceSummary{}, errNotFound
}

// invoiceName names an invoice: its number, or in a draft month and partner.
func invoiceName(m ledger.Manifest, inv ledger.InvoiceSummary) string {
	if inv.Number != "" {
		return inv.Number
	}
	return m.Month + "/" + inv.PartnerID
}

// invoiceTitle is what it is called on a page.
func invoiceTitle(m ledger.Manifest, inv ledger.InvoiceSummary) string {
	what := "Invoice"
	if strings.HasPrefix(inv.Total, "-") {
		what = "Credit note"
	}
	if inv.Number != "" {
		return what + " " + inv.Number
	}
	return "Draft for " + monthName(m.Month)
}

// totals is a row of sums, as text.
type totals struct {
	Name, ID string
	Lines    int
	Subtotal string
	TaxTotal string
	Total    string
}

// download is a file of an invoice.
type download struct {
	Name, What, Address string
	Size                int64
	SHA256              string
}

type invoiceBody struct {
	invoiceRow
	Header    *invoice.Invoice
	Sections  []totals
	Customers []totals
	TaxRate   string
	Files     []download
	Revision  int
	Made      exports.Provenance
	Inputs    int
	Previous  *invoiceRow // of the month before
}

func (s *Site) invoice(a ask) (answer, error) {
	m, inv, err := s.seenInvoice(a)
	if err != nil {
		return answer{}, err
	}
	book, reading, err := s.book()
	if err != nil {
		return answer{}, err
	}
	data, err := s.monthFile(a, m, inv.PartnerID, jobs.HeaderFile)
	if err != nil {
		return answer{}, err
	}
	header, made, err := exports.ReadInvoice(bytes.NewReader(data))
	if err != nil {
		return answer{}, fmt.Errorf("read the invoice of %s in %s: %w", inv.PartnerID, m.Month, err)
	}
	body := invoiceBody{
		invoiceRow: invoiceRow{inv, m.Current.Month, m.Current.State, header.PartnerName},
		Header:     header, Made: made, Revision: m.Current.Revision, Inputs: len(m.Current.Inputs), TaxRate: header.TaxRate,
	}
	for _, sec := range header.Sections {
		body.Sections = append(body.Sections, totalsOf(sec.Name, "", sec.Totals, header.MinorDigits))
	}
	for _, c := range header.Customers {
		body.Customers = append(body.Customers, totalsOf(c.CustomerName, c.CustomerID, c.Totals, header.MinorDigits))
	}
	if a.may(access.Download) {
		body.Files = downloads(m, inv.PartnerID)
	}
	if before, ok := reading.Month(m.Month - 1); ok {
		for _, last := range before.Current.Invoices {
			if last.PartnerID == inv.PartnerID {
				body.Previous = &invoiceRow{last, before.Current.Month, before.Current.State, book.name(last.PartnerID)}
			}
		}
	}
	return answer{template: "invoice", title: invoiceTitle(m.Current, inv), place: "Months", crumbs: crumbsOf(m.Current.Month), body: body}, nil
}

// crumbsOf lead to a month.
func crumbsOf(month string) []crumb {
	return []crumb{{"Months", "/"}, {monthName(month), "/months/" + month}}
}

func totalsOf(name, id string, t invoice.Totals, digits int) totals {
	text := func(n int64) string { return pricing.FormatMinor(n, digits) }
	return totals{name, id, t.Lines, text(t.Subtotal), text(t.TaxTotal), text(t.Total)}
}

// fileWords say what a file is.
var fileWords = map[string]string{
	"reconciliation.csv":     "every line, exact, in Microsoft's 46 columns",
	"reconciliation.parquet": "the same lines, typed, for programs",
	"reconciliation.xlsx":    "workbook for people",
	"invoice.json":           "header, totals and provenance",
}

// downloads are the files of an invoice, as the manifest names them.
func downloads(m ledger.Month, partnerID string) []download {
	var list []download
	for _, f := range jobs.FilesOf(m, partnerID) {
		list = append(list, download{f.Name, fileWords[f.Name], fileAddress(m.Current.Month, partnerID, f.Name), f.Size, f.SHA256})
	}
	return list
}

// fileAddress is where programs and people fetch a file of an invoice.
func fileAddress(month, partnerID, name string) string {
	return "/v1/invoices/" + month + "/" + pathSegment(partnerID) + "/files/" + pathSegment(name)
}

// monthFile reads a small file of the month's current revision, of a partner or, for
// "", of all, and makes sure that it is the one that the manifest names.
func (s *Site) monthFile(a ask, m ledger.Month, partnerID, name string) ([]byte, error) {
	for _, f := range jobs.FilesOf(m, partnerID) {
		if f.Name != name {
			continue
		}
		data, err := bucket.ReadAll(a.Context(), s.Env().Bucket, f.Key)
		if err == nil && hexSum(data) != f.SHA256 {
			err = fmt.Errorf("%s is not the file that its manifest names: run calends verify", f.Key)
		}
		return data, err
	}
	return nil, errNotFound
}
