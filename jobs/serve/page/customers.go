package page

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/party"
)

func (s *Site) registerCustomers() {
	s.register(http.MethodGet, "/customers", "page-customers", access.SeeCustomers, s.customers)
	s.register(http.MethodGet, "/customers/{customer}", "page-customer", access.SeeCustomers, s.customer)
}

type customerRow struct {
	party.Customer
	Partner string
	Known   bool // the partner was taken in
}

func rowOfCustomer(b *book, c party.Customer) customerRow {
	_, known := b.byPartner[c.PartnerID]
	return customerRow{c, b.name(c.PartnerID), known}
}

type customersBody struct {
	Words    string
	Partners []choice
	Rows     []customerRow
	Pager    pager
}

func (s *Site) customers(a ask) (answer, error) {
	book, _, err := s.book()
	if err != nil {
		return answer{}, err
	}
	body := customersBody{Words: a.FormValue("q")}
	partner := a.FormValue("partner")
	for _, p := range book.seen(a.who) {
		body.Partners = append(body.Partners, choice{p.ID, p.Name, p.ID == partner})
	}
	words := strings.Fields(strings.ToLower(body.Words))
	var found []party.Customer
	for _, c := range book.customers {
		if a.who.Sees(c.PartnerID) && (partner == "" || c.PartnerID == partner) && isCustomer(words, c) {
			found = append(found, c)
		}
	}
	from, to, p := a.page(len(found))
	body.Pager = p
	for _, c := range found[from:to] {
		body.Rows = append(body.Rows, rowOfCustomer(book, c))
	}
	return answer{template: "customers", title: "Customers", place: "Customers", body: body}, nil
}

// isCustomer reports whether all words occur in a customer's name, domain or id.
func isCustomer(words []string, c party.Customer) bool {
	if len(words) == 0 {
		return true
	}
	text := strings.ToLower(c.Name + "\n" + c.Domain + "\n" + c.ID + "\n" + c.Country)
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

type customerBody struct {
	customerRow
	Subscriptions []subscriptionRow
	Shown         bool // the person may see subscriptions
	Relationship  relationship.State
	Expires       string // when the open request does
	Lines         []monthLines
}

// monthLines are a customer's lines of the newest months.
type monthLines struct{ Month, Address string }

func (s *Site) customer(a ask) (answer, error) {
	book, reading, err := s.book()
	if err != nil {
		return answer{}, err
	}
	c, ok := book.byID[a.PathValue("customer")]
	if !ok || !a.who.Sees(c.PartnerID) {
		return answer{}, errNotFound
	}
	audit.About(a.Context(), c.PartnerID, "customer "+c.ID)
	body := customerBody{customerRow: rowOfCustomer(book, c), Shown: a.may(access.SeeSubscriptions)}
	fact, _ := reading.Catalog().CustomerFact(c.ID)
	stands, err := s.Relationships.Of(a.Context(), fact, s.Now())
	if err != nil {
		return answer{}, err
	}
	body.Relationship = stands.State
	if open := stands.Open(); open != nil {
		body.Expires = open.Expires
	}
	if body.Shown {
		views, err := reading.SubscriptionsOf(a.Context(), c.ID, s.today())
		if err != nil {
			return answer{}, err
		}
		body.Subscriptions = subscriptionsOf(views)
	}
	if a.may(access.SeeInvoices) {
		for _, m := range slices.Backward(reading.Months()) {
			if len(body.Lines) < 6 && slices.ContainsFunc(m.Current.Invoices, func(inv ledger.InvoiceSummary) bool { return inv.PartnerID == c.PartnerID }) {
				body.Lines = append(body.Lines, monthLines{m.Current.Month, invoiceAddress(m.Current.Month, c.PartnerID) + "/lines?" + url.Values{"customer": {c.ID}}.Encode()})
			}
		}
	}
	return answer{template: "customer", title: c.Name, place: "Customers", crumbs: []crumb{{"Customers", "/customers"}}, body: body}, nil
}
