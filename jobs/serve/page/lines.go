package page

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/linebook"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

func (s *Site) registerLines() {
	s.register(http.MethodGet, "/invoices/{month}/{partner}/lines", "page-lines", access.SeeInvoices, s.lines)
	s.register(http.MethodGet, "/invoices/{month}/{partner}/lines/{row}", "page-line", access.SeeInvoices, s.line)
}

// lineRow is a line in the list, as the file has it.
type lineRow struct {
	Row                           int
	Address                       string
	Customer, CustomerID          string
	Sku, Product, Subscription    string
	ChargeType, Order, Start, End string
	Quantity, UnitPrice           string
	PricingCurrency               string
	Subtotal, TaxTotal, Total     string
}

// sortHead is a column's head that sorts by it.
type sortHead struct {
	Name    string
	Address string
	Sorted  string // ascending, descending or none, as aria-sort has it
	Amount  bool   // of money
	Right   bool
}

type linesBody struct {
	invoiceRow
	Title     string
	Rows      []lineRow
	Heads     []sortHead
	Count     int
	First     int // the number of the first row shown, of all that were found
	Last      int
	Subtotal  string
	TaxTotal  string
	Sum       string
	Filtered  bool
	Form      lineForm
	Start     string // the first page, "" on it
	After     string
	Clear     string // the address without a filter
	Customer  string // the name of the one that was chosen
	Everybody string // the address for all customers
}

// lineForm is what was asked for.
type lineForm struct {
	Words, CustomerID, SubscriptionID, ProductID string
	From, To, Least, Most                        string
	Types, Signs                                 []choice
	Sort, Order                                  string
}

// heads are the columns of the list; those with a name of linebook's can be sorted by.
var heads = []struct {
	name   string
	sort   linebook.Sort
	amount bool
	right  bool
}{
	{"Line", linebook.ByRow, false, true},
	{"Customer", linebook.ByCustomer, false, false},
	{"Product", linebook.BySku, false, false},
	{"Charge", linebook.ByChargeType, false, false},
	{"Ordered", linebook.ByOrderDate, false, false},
	{"Charged", linebook.ByChargeStart, false, false},
	{"Quantity", linebook.ByQuantity, false, true},
	{"Unit price", linebook.ByUnitPrice, false, true},
	{"Subtotal", linebook.BySubtotal, true, true},
	{"Tax", linebook.ByTax, true, true},
	{"Total", linebook.ByTotal, true, true},
}

// lineQuery reads the form of the lines.
func lineQuery(a ask) (linebook.Query, error) {
	q := linebook.All()
	q.Text = a.FormValue("q")
	q.CustomerID, q.SubscriptionID, q.ProductID = a.FormValue("customer"), a.FormValue("subscription"), a.FormValue("product")
	if t := a.FormValue("type"); t != "" {
		q.ChargeTypes = []string{t}
	}
	for name, day := range map[string]*pricing.Date{"from": &q.From, "to": &q.To} {
		if text := a.FormValue(name); text != "" {
			var err error
			if *day, err = pricing.ParseDate(text); err != nil {
				return q, wrongError{"The day " + text + " cannot be read: it is written like 2024-03-31."}
			}
		}
	}
	for name, limit := range map[string]**decimal.Decimal{"least": &q.Min, "most": &q.Max} {
		if text := strings.TrimSpace(a.FormValue(name)); text != "" {
			value, err := plainAmount(text)
			if err != nil {
				return q, err
			}
			*limit = &value
		}
	}
	switch a.FormValue("sign") {
	case "charges":
		q.Sign = 1
	case "credits":
		q.Sign = -1
	}
	q.Sort, q.Descending = linebook.Sort(a.FormValue("sort")), a.FormValue("order") == "descending"
	known := false
	for _, h := range heads {
		known = known || h.sort == q.Sort
	}
	if !known {
		return q, wrongError{"The lines cannot be sorted by that."}
	}
	return q, nil
}

// plainAmount reads a number as files write it: long ones and those with exponents are
// none that anybody means.
func plainAmount(text string) (decimal.Decimal, error) {
	if len(text) > 20 || strings.ContainsAny(text, "eE") {
		return decimal.Zero, wrongError{"The amount " + text + " cannot be read: it is written like 1234.50."}
	}
	value, err := decimal.NewFromString(text)
	if err != nil {
		return decimal.Zero, wrongError{"The amount " + text + " cannot be read: it is written like 1234.50."}
	}
	return value, nil
}

func (s *Site) lines(a ask) (answer, error) {
	m, inv, err := s.seenInvoice(a)
	if err != nil {
		return answer{}, err
	}
	book, _, err := s.book()
	if err != nil {
		return answer{}, err
	}
	q, err := lineQuery(a)
	if err != nil {
		return answer{}, err
	}
	lines, err := s.openLines(a, m, inv)
	if err != nil {
		return answer{}, err
	}
	found, err := lines.Page(a.Context(), q, a.FormValue("cursor"), pageRows)
	if errors.Is(err, linebook.ErrCursor) {
		return answer{}, wrongError{"This page of the list is not there any more: the draft or the question has changed. Begin at the first page."}
	}
	if err != nil {
		return answer{}, err
	}
	body := linesBody{
		invoiceRow: invoiceRow{inv, m.Current.Month, m.Current.State, book.name(inv.PartnerID)}, Title: invoiceTitle(m.Current, inv),
		Count: found.Count, Subtotal: found.Subtotal, TaxTotal: found.TaxTotal, Sum: found.Total, Filtered: found.Count < lines.Rows(),
		Form: formOf(a, q), Heads: headsOf(a, q), Clear: a.URL.EscapedPath(),
	}
	if q.CustomerID != "" {
		body.Customer, body.Everybody = q.CustomerID, with(a.Request, map[string]string{"customer": "", "cursor": "", "behind": ""})
	}
	for _, l := range found.Lines {
		row := lineRowOf(l, a.URL.EscapedPath())
		body.Rows = append(body.Rows, row)
		if row.CustomerID == q.CustomerID {
			body.Customer = row.Customer
		}
	}
	// How many came before is carried along, for nothing but to be said.
	behind, err := strconv.Atoi(a.FormValue("behind"))
	if err != nil || behind < 0 || behind > found.Count || a.FormValue("cursor") == "" {
		behind = 0
	}
	body.First, body.Last = behind+1, behind+len(found.Lines)
	if a.FormValue("cursor") != "" {
		body.Start = with(a.Request, map[string]string{"cursor": "", "behind": ""})
	}
	if found.Next != "" {
		body.After = with(a.Request, map[string]string{"cursor": found.Next, "behind": strconv.Itoa(body.Last)})
	}
	return answer{template: "lines", title: "Lines of " + invoiceTitle(m.Current, inv), place: "Months", crumbs: append(crumbsOf(m.Current.Month), crumb{invoiceTitle(m.Current, inv), invoiceAddress(m.Current.Month, inv.PartnerID)}), body: body}, nil
}

func invoiceAddress(month, partnerID string) string {
	return "/invoices/" + month + "/" + pathSegment(partnerID)
}

// openLines returns the lines of an invoice.
func (s *Site) openLines(a ask, m ledger.Month, inv ledger.InvoiceSummary) (*linebook.Book, error) {
	for _, f := range jobs.FilesOf(m, inv.PartnerID) {
		if f.Name == jobs.LinesFile {
			return s.Lines.Open(a.Context(), s.Env().Bucket, linebook.File{Key: f.Key, Size: f.Size, SHA256: f.SHA256, Lines: inv.Lines, Currency: inv.Currency})
		}
	}
	return nil, errNotFound
}

// columnAt is where each column of the reconciliation file stands.
func columnAt(name string) int { return slices.Index(exports.Columns(), name) }

// The columns that a list shows.
var (
	atCustomer, atCustomerName          = columnAt("CustomerId"), columnAt("CustomerName")
	atSku, atProduct, atProductID       = columnAt("SkuName"), columnAt("ProductName"), columnAt("ProductId")
	atSubscription, atChargeType        = columnAt("SubscriptionId"), columnAt("ChargeType")
	atOrderDate, atStart, atEnd         = columnAt("OrderDate"), columnAt("ChargeStartDate"), columnAt("ChargeEndDate")
	atQuantity, atUnitPrice, atCurrency = columnAt("Quantity"), columnAt("UnitPrice"), columnAt("PricingCurrency")
	atSubtotal, atTax, atTotal          = columnAt("Subtotal"), columnAt("TaxTotal"), columnAt("Total")
)

func lineRowOf(l linebook.Line, list string) lineRow {
	f := &l.Fields
	return lineRow{
		Row: l.Row, Address: list + "/" + strconv.Itoa(l.Row), Customer: f[atCustomerName], CustomerID: f[atCustomer],
		Sku: cmp.Or(f[atSku], f[atProductID]), Product: f[atProduct], Subscription: f[atSubscription], ChargeType: f[atChargeType],
		Order: f[atOrderDate], Start: f[atStart], End: f[atEnd], Quantity: f[atQuantity], UnitPrice: f[atUnitPrice], PricingCurrency: f[atCurrency],
		Subtotal: f[atSubtotal], TaxTotal: f[atTax], Total: f[atTotal],
	}
}

func formOf(a ask, q linebook.Query) lineForm {
	f := lineForm{Words: q.Text, CustomerID: q.CustomerID, SubscriptionID: q.SubscriptionID, ProductID: q.ProductID, Sort: a.FormValue("sort"), Order: a.FormValue("order"),
		From: a.FormValue("from"), To: a.FormValue("to"), Least: a.FormValue("least"), Most: a.FormValue("most")}
	chosen := a.FormValue("type")
	for _, t := range invoice.ChargeTypes {
		f.Types = append(f.Types, choice{t, t, t == chosen})
	}
	if chosen != "" && !slices.Contains(invoice.ChargeTypes[:], chosen) {
		f.Types = append(f.Types, choice{chosen, chosen, true})
	}
	for _, sign := range []string{"charges", "credits"} {
		f.Signs = append(f.Signs, choice{sign, sign, a.FormValue("sign") == sign})
	}
	return f
}

func headsOf(a ask, q linebook.Query) []sortHead {
	var list []sortHead
	for _, h := range heads {
		head := sortHead{Name: h.name, Sorted: "none", Amount: h.amount, Right: h.right}
		order := ""
		if h.sort == q.Sort {
			head.Sorted, order = "ascending", "descending"
			if q.Descending {
				head.Sorted, order = "descending", ""
			}
		}
		head.Address = with(a.Request, map[string]string{"sort": string(h.sort), "order": order, "cursor": "", "behind": ""})
		list = append(list, head)
	}
	return list
}

type lineBody struct {
	invoiceRow
	Row    int
	X      jobs.Explanation
	Before string // the lines beside it
	After  string
	List   string
}

func (s *Site) line(a ask) (answer, error) {
	m, inv, err := s.seenInvoice(a)
	if err != nil {
		return answer{}, err
	}
	row, err := strconv.Atoi(a.PathValue("row"))
	if err != nil || row < 1 || row > inv.Lines || a.PathValue("row") != strconv.Itoa(row) {
		return answer{}, errNotFound
	}
	explained, err := s.Env().Explain(a.Context(), jobs.ExplainPlan{Line: m.Current.Month + "/" + inv.PartnerID + ":" + strconv.Itoa(row)})
	if err != nil {
		return answer{}, err
	}
	book, _, err := s.book()
	if err != nil {
		return answer{}, err
	}
	list := invoiceAddress(m.Current.Month, inv.PartnerID) + "/lines"
	body := lineBody{invoiceRow: invoiceRow{inv, m.Current.Month, m.Current.State, book.name(inv.PartnerID)}, Row: row, X: explained.Lines[0], List: list}
	if row > 1 {
		body.Before = list + "/" + strconv.Itoa(row-1)
	}
	if row < inv.Lines {
		body.After = list + "/" + strconv.Itoa(row+1)
	}
	title := invoiceTitle(m.Current, inv)
	return answer{template: "line", title: "Line " + strconv.Itoa(row) + " of " + title, place: "Months",
		crumbs: append(crumbsOf(m.Current.Month), crumb{title, invoiceAddress(m.Current.Month, inv.PartnerID)}, crumb{"Lines", list}), body: body}, nil
}
