package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// ListedInvoice is a partner's invoice of a month in short.
type ListedInvoice struct {
	Month       string `json:"month" example:"2024-03"`
	State       string `json:"state" enum:"draft,closed" doc:"A closed month never changes"`
	Revision    int    `json:"revision" doc:"Revision of the month"`
	PartnerID   string `json:"partnerId"`
	PartnerName string `json:"partnerName"`
	Number      string `json:"number,omitempty" example:"C202403-000002" doc:"Absent in a draft"`
	Kind        string `json:"kind" enum:"invoice,creditNote" doc:"A credit note has a negative total"`
	Currency    string `json:"currency" example:"EUR"`
	Lines       int    `json:"lines"`
	Subtotal    string `json:"subtotal" example:"9848.83"`
	TaxTotal    string `json:"taxTotal" example:"2068.19"`
	Total       string `json:"total" example:"11917.02"`
}

func listedInvoice(r *jobs.Reading, m ledger.Month, inv ledger.InvoiceSummary) ListedInvoice {
	partner, _ := r.Catalog().Partner(inv.PartnerID, m.Month)
	kind := invoice.KindInvoice
	if strings.HasPrefix(inv.Total, "-") {
		kind = invoice.KindCreditNote
	}
	return ListedInvoice{Month: m.Month.String(), State: string(m.Current.State), Revision: m.Current.Revision, PartnerID: inv.PartnerID, PartnerName: partner.Name,
		Number: inv.Number, Kind: string(kind), Currency: inv.Currency, Lines: inv.Lines, Subtotal: inv.Subtotal, TaxTotal: inv.TaxTotal, Total: inv.Total}
}

// InvoiceList is some of the invoices, those of the newest month first.
type InvoiceList struct {
	List[ListedInvoice]
}

// listInvoices is a question for invoices.
type listInvoices struct {
	Month   string `query:"month" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" example:"2024-03"`
	Partner string `query:"partnerId" maxLength:"200"`
	Number  string `query:"number" maxLength:"40" example:"C202403-000002"`
	State   string `query:"state" enum:"draft,closed"`
	Kind    string `query:"kind" enum:"invoice,creditNote"`
	Page
}

func (in *listInvoices) wants(i ListedInvoice) bool {
	return (in.Month == "" || in.Month == i.Month) && (in.Partner == "" || in.Partner == i.PartnerID) && (in.Number == "" || in.Number == i.Number) &&
		(in.State == "" || in.State == i.State) && (in.Kind == "" || in.Kind == i.Kind)
}

// InvoicePath names an invoice by its month and partner.
type InvoicePath struct {
	Month   string `path:"month" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" example:"2024-03"`
	Partner string `path:"partnerId" maxLength:"600"`
}

// getInvoice is a question for an invoice by its month and partner.
type getInvoice struct {
	InvoicePath
	Conditional
}

// getInvoiceByNumber is a question for an invoice by its number.
type getInvoiceByNumber struct {
	Number string `path:"number" maxLength:"40" example:"C202403-000002"`
	Conditional
}

// registerBilling registers what comes of billing.
func (a *API) registerBilling() {
	a.registerMonths()
	a.registerInvoices()
	a.registerLines()
	a.registerDownloads()
	a.registerExceptions()
	a.registerDifferences()
	a.registerRuns()
	a.registerApprovals()
}

func (a *API) registerInvoices() {
	register(a, access.SeeInvoices, huma.Operation{OperationID: "list-invoices", Method: http.MethodGet, Path: "/v1/invoices",
		Summary: "List invoices", Description: "Drafts of open months and the invoices of closed ones, those of the newest month first.", Tags: []string{"Invoices"}, Errors: []int{http.StatusBadRequest}},
		func(_ context.Context, who access.Principal, in *listInvoices) (*struct{ Body InvoiceList }, error) {
			page, err := a.listInvoices(who, in)
			return &struct{ Body InvoiceList }{page}, err
		})
	register(a, access.SeeInvoices, conditionalOperation(huma.Operation{OperationID: "get-invoice", Method: http.MethodGet, Path: "/v1/invoices/{month}/{partnerId}",
		Summary: "Get an invoice by its month and partner", Description: "The header as invoice.json has it: totals by charge type and customer, the policies, price sheets and exchange rates it was computed by.",
		Tags: []string{"Invoices"}, Errors: []int{http.StatusNotFound}}),
		func(ctx context.Context, who access.Principal, in *getInvoice) (*tagged[Invoice], error) {
			b, err := a.billed(ctx, who, in.InvoicePath)
			if err != nil {
				return nil, err
			}
			return a.invoiceHeader(ctx, b, in.Conditional)
		})
	register(a, access.SeeInvoices, conditionalOperation(huma.Operation{OperationID: "get-invoice-by-number", Method: http.MethodGet, Path: "/v1/invoices/{number}",
		Summary: "Get an invoice by its number", Description: "A draft has no number yet: ask for it by its month and partner.", Tags: []string{"Invoices"}, Errors: []int{http.StatusNotFound}}),
		func(ctx context.Context, who access.Principal, in *getInvoiceByNumber) (*tagged[Invoice], error) {
			r, err := a.Current.Reading()
			if err != nil {
				return nil, err
			}
			for _, m := range r.Months() {
				for _, inv := range m.Current.Invoices {
					if inv.Number == in.Number && in.Number != "" && who.Sees(inv.PartnerID) {
						audit.About(ctx, inv.PartnerID, "invoice "+inv.Number)
						return a.invoiceHeader(ctx, billed{r, m, inv}, in.Conditional)
					}
				}
			}
			return nil, notFound("the invoice " + in.Number)
		})
}

func (a *API) listInvoices(who access.Principal, in *listInvoices) (InvoiceList, error) {
	page := InvoiceList{List[ListedInvoice]{Items: []ListedInvoice{}}}
	r, err := a.Current.Reading()
	if err != nil {
		return page, err
	}
	depends := []string{"invoices", in.Month, in.Partner, in.Number, in.State, in.Kind, who.ID}
	for _, m := range r.Months() {
		depends = append(depends, m.Month.String()+":"+strconv.Itoa(m.Current.Revision))
	}
	_, from, err := in.place(depends...)
	if err != nil {
		return page, err
	}
	at := 0
	for _, m := range slices.Backward(r.Months()) {
		for _, inv := range m.Current.Invoices {
			item := listedInvoice(r, m, inv)
			if !who.Sees(inv.PartnerID) || !in.wants(item) {
				continue
			}
			if at >= from {
				if len(page.Items) == in.Limit {
					page.Next = cursorOf(0, at, depends...)
					return page, nil
				}
				page.Items = append(page.Items, item)
			}
			at++
		}
	}
	return page, nil
}

// billed is a partner's invoice in the current revision of its month.
type billed struct {
	reading *jobs.Reading
	month   ledger.Month
	invoice ledger.InvoiceSummary
}

// billed returns an invoice that the caller may see; any other is not there.
func (a *API) billed(ctx context.Context, who access.Principal, in InvoicePath) (billed, error) {
	month, err := monthAt("path.month", in.Month)
	if err != nil {
		return billed{}, err
	}
	r, err := a.Current.Reading()
	if err != nil {
		return billed{}, err
	}
	if m, ok := r.Month(month); ok && who.Sees(in.Partner) {
		for _, inv := range m.Current.Invoices {
			if inv.PartnerID == in.Partner {
				audit.About(ctx, inv.PartnerID, "invoice "+invoiceName(m, inv))
				return billed{r, m, inv}, nil
			}
		}
	}
	return billed{}, notFound("the invoice " + in.Month + "/" + in.Partner)
}

// monthAt reads a month that stands somewhere in the question.
func monthAt(location, text string) (pricing.Month, error) {
	month, err := pricing.ParseMonth(text)
	if err != nil {
		return 0, invalid(location, err.Error(), text)
	}
	return month, nil
}

// invoiceName is how people name an invoice: by its number once it has one.
func invoiceName(m ledger.Month, inv ledger.InvoiceSummary) string {
	if inv.Number != "" {
		return inv.Number
	}
	return m.Month.String() + "/" + inv.PartnerID
}

// file returns what the manifest says of one of the invoice's files.
func (b billed) file(name string) (jobs.PublishedFile, error) {
	for _, f := range jobs.FilesOf(b.month, b.invoice.PartnerID) {
		if f.Name == name {
			return f, nil
		}
	}
	return jobs.PublishedFile{}, notFound("the file " + name)
}

// readFile returns a file that a manifest names, if it is still what that says.
func (a *API) readFile(ctx context.Context, f jobs.PublishedFile) ([]byte, error) {
	data, err := bucket.ReadAll(ctx, a.Env().Bucket, f.Key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Key, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != f.SHA256 {
		return nil, a.damaged(fmt.Errorf("read %s: its sha256 is %x, not %s", f.Key, sum, f.SHA256))
	}
	return data, nil
}

// damaged is the answer where a file is not what its manifest says.
func (a *API) damaged(err error) error {
	a.Log.Error("a file is damaged; look at it with: calends verify", "error", err)
	return problem(http.StatusInternalServerError, "damaged", "a file in the bucket is not what its manifest says, so it is not shown; the server's log says which")
}

// Invoice is a partner's month as invoice.json has it.
type Invoice struct {
	FormatVersion   int               `json:"formatVersion"`
	Number          string            `json:"number" example:"C202403-000003" doc:"Blank in a draft"`
	Kind            string            `json:"kind" enum:"invoice,creditNote"`
	Status          string            `json:"status" enum:"draft,closed"`
	Month           string            `json:"month" example:"2024-03"`
	Partner         InvoicePartner    `json:"partner"`
	Currency        string            `json:"currency" example:"EUR"`
	MinorDigits     int               `json:"minorDigits" doc:"Decimals of all amounts"`
	TaxRate         string            `json:"taxRate" example:"0.21" doc:"As a fraction"`
	Policies        invoice.Policies  `json:"policies"`
	Totals          InvoiceTotals     `json:"totals"`
	Sections        []InvoiceSection  `json:"sections" doc:"By charge type; corrections stand apart"`
	Customers       []InvoiceCustomer `json:"customers"`
	PriceSheets     []InvoiceSheet    `json:"priceSheets" doc:"Those that priced its lines"`
	ExchangeRates   []InvoiceRate     `json:"exchangeRates" doc:"Those on its lines"`
	ControlTotals   []InvoiceControl  `json:"controlTotals" doc:"Of the lines as they were written, file by file; each equals totals"`
	SoftwareVersion string            `json:"softwareVersion"`
}

// InvoicePartner is who is billed.
type InvoicePartner struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Country string `json:"country" example:"NL"`
	MpnID   string `json:"mpnId"`
}

// InvoiceTotals add lines up.
type InvoiceTotals struct {
	Lines    int    `json:"lines"`
	Subtotal string `json:"subtotal" example:"9848.83"`
	TaxTotal string `json:"taxTotal" example:"2068.19"`
	Total    string `json:"total" example:"11917.02"`
}

// InvoiceSection totals the lines of a charge type.
type InvoiceSection struct {
	Name string `json:"name" example:"cycleCharge"`
	InvoiceTotals
}

// InvoiceCustomer totals the lines of a customer.
type InvoiceCustomer struct {
	CustomerID   string `json:"customerId"`
	CustomerName string `json:"customerName"`
	InvoiceTotals
}

// InvoiceSheet is a price sheet that priced lines.
type InvoiceSheet struct {
	Market string `json:"market" example:"NL"`
	Month  string `json:"month" example:"2024-03"`
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
}

// InvoiceRate is an exchange rate on lines.
type InvoiceRate struct {
	PricingCurrency string `json:"pricingCurrency" example:"USD"`
	Month           string `json:"month" example:"2024-03"`
	Rate            string `json:"rate" example:"0.92"`
}

// InvoiceControl totals the lines of a file.
type InvoiceControl struct {
	File   string `json:"file" example:"reconciliation.csv"`
	SHA256 string `json:"sha256"`
	InvoiceTotals
}

// invoiceHeader answers with the header as it stands in the bucket.
func (a *API) invoiceHeader(ctx context.Context, b billed, c Conditional) (*tagged[Invoice], error) {
	f, err := b.file(jobs.HeaderFile)
	if err != nil {
		return nil, err
	}
	return unlessHad(c, tagOf("invoice", f.SHA256), func() (header Invoice, err error) {
		data, err := a.readFile(ctx, f)
		if err != nil {
			return header, err
		}
		// A field that is not known here would be lost without a word.
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(&header); err != nil {
			return header, fmt.Errorf("read %s: %w", f.Key, err)
		}
		return header, nil
	})
}
