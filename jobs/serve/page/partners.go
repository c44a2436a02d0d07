package page

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/party"
)

func (s *Site) registerPartners() {
	s.register(http.MethodGet, "/partners", "page-partners", access.SeeCustomers, s.partners)
	s.register(http.MethodGet, "/partners/{partner}", "page-partner", access.SeeCustomers, s.partner)
}

func compareNames(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) }

// partnerRow is a partner in the list, with its newest invoice.
type partnerRow struct {
	party.Partner
	Customers int
	Newest    *invoiceRow // nil for none, and for those who see no invoices
}

type partnersBody struct {
	Partners []partnerRow
	Invoices bool
}

func (s *Site) partners(a ask) (answer, error) {
	book, reading, err := s.book()
	if err != nil {
		return answer{}, err
	}
	customers := make(map[string]int)
	for _, c := range book.customers {
		customers[c.PartnerID]++
	}
	newest := make(map[string]*invoiceRow)
	for _, m := range reading.Months() {
		for _, inv := range m.Current.Invoices {
			newest[inv.PartnerID] = &invoiceRow{inv, m.Current.Month, m.Current.State, ""}
		}
	}
	body := partnersBody{Invoices: a.may(access.SeeInvoices)}
	for _, p := range book.seen(a.who) {
		row := partnerRow{Partner: p, Customers: customers[p.ID]}
		if body.Invoices {
			row.Newest = newest[p.ID]
		}
		body.Partners = append(body.Partners, row)
	}
	return answer{template: "partners", title: "Partners", place: "Partners", body: body}, nil
}

type partnerBody struct {
	Partner   party.Partner
	Customers int
	Invoices  []invoiceRow // the newest first
	Shown     bool         // the person may see invoices
}

func (s *Site) partner(a ask) (answer, error) {
	book, reading, err := s.book()
	if err != nil {
		return answer{}, err
	}
	p, ok := book.byPartner[a.PathValue("partner")]
	if !ok || !a.who.Sees(p.ID) {
		return answer{}, errNotFound
	}
	audit.About(a.Context(), p.ID, "")
	body := partnerBody{Partner: p, Shown: a.may(access.SeeInvoices)}
	for _, c := range book.customers {
		if c.PartnerID == p.ID {
			body.Customers++
		}
	}
	if body.Shown {
		for _, m := range reading.Months() {
			for _, inv := range m.Current.Invoices {
				if inv.PartnerID == p.ID {
					body.Invoices = append(body.Invoices, invoiceRow{inv, m.Current.Month, m.Current.State, p.Name})
				}
			}
		}
		slices.Reverse(body.Invoices)
	}
	return answer{template: "partner", title: p.Name, place: "Partners", crumbs: []crumb{{"Partners", "/partners"}}, body: body}, nil
}
