package page

import (
	"net/http"
	"slices"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

func (s *Site) registerHome() {
	s.register(http.MethodGet, "/{$}", "page-home", access.SeeSelf, s.home)
	s.register(http.MethodGet, "/months/{month}", "page-month", access.SeeInvoices, s.month)
}

// monthRow is a month in the list.
type monthRow struct {
	Month    string
	State    ledger.State
	Revision int
	Invoices int
	Lines    int
	Totals   []jobs.CurrencyTotal
	Accepted string
	// Exceptions and Late are counted for whoever belongs to every partner: the counts
	// are of the whole house.
	Exceptions, Late *ledger.ExceptionCounts
}

type homeBody struct {
	Months []monthRow // the newest first
	// Next is the month to close next, nil where the draft is not there or not seen.
	Next *nextStep
	// Desk is for those who see no invoices.
	Desk    []crumb
	Nothing bool // the person belongs to no partner
}

// nextStep is what stands between a draft and its close.
type nextStep struct {
	Row        monthRow
	Over       bool
	NewInputs  int
	Holds      []jobs.Hold
	More       int // holds that are not this person's to see
	Required   bool
	Approved   bool
	MayApprove bool
}

func (s *Site) home(a ask) (answer, error) {
	out := answer{template: "home", title: "Months", place: "Months"}
	body := homeBody{Nothing: !a.who.Everyone && len(a.who.Partners) == 0}
	if !a.may(access.SeeInvoices) {
		out.title, out.place = "Your desk", ""
		for _, p := range places[1:] {
			if a.may(p.needs) {
				body.Desk = append(body.Desk, crumb{p.name, p.address})
			}
		}
		out.body = body
		return out, nil
	}
	_, reading, err := s.book()
	if err != nil {
		return out, err
	}
	next := nextMonth(reading.Months())
	for _, m := range reading.Months() {
		row, err := rowOf(m.Current, a.who)
		if err != nil {
			return out, err
		}
		if row.Invoices == 0 && !a.who.Everyone {
			continue
		}
		body.Months = append(body.Months, row)
		if m.Month == next && m.Current.State == ledger.Draft {
			if body.Next, err = s.nextStep(a, m, row); err != nil {
				return out, err
			}
		}
	}
	slices.Reverse(body.Months)
	out.body = body
	return out, nil
}

// nextMonth is the month to close next: after the last closed one, or the first.
func nextMonth(months []ledger.Month) pricing.Month {
	var next pricing.Month
	for i, m := range months {
		if i == 0 {
			next = m.Month
		}
		if m.Current.State == ledger.Closed {
			next = m.Month + 1
		}
	}
	return next
}

func rowOf(m ledger.Manifest, who access.Principal) (monthRow, error) {
	seen := invoicesOf(m, who)
	row := monthRow{Month: m.Month, State: m.State, Revision: m.Revision, Invoices: len(seen)}
	for _, inv := range seen {
		row.Lines += inv.Lines
	}
	if who.Everyone {
		row.Exceptions, row.Late, row.Accepted = &m.Exceptions, &m.Late, m.Accepted
	}
	var err error
	row.Totals, err = jobs.TotalsByCurrency(seen)
	return row, err
}

// nextStep tells what keeps a draft from closing, as far as the person may know.
func (s *Site) nextStep(a ask, m ledger.Month, row monthRow) (*nextStep, error) {
	said, err := s.Env().Approvals(a.Context(), m.Month)
	if err != nil {
		return nil, err
	}
	next := &nextStep{Row: row, Over: s.Env().Today > m.Month.Last(), NewInputs: said.NewInputs, Required: said.Required, Approved: said.Approved,
		MayApprove: a.may(access.Approve) && seesAll(a.who, m.Current.Invoices)}
	next.Holds, next.More = holdsFor(a.who, said.Holds)
	return next, nil
}

// holdsFor keeps the holds that somebody may see: those of a partner of theirs, and for
// whoever belongs to everyone all.
func holdsFor(who access.Principal, all []jobs.Hold) (seen []jobs.Hold, more int) {
	for _, h := range all {
		if who.Everyone || h.PartnerID != "" && who.Sees(h.PartnerID) {
			seen = append(seen, h)
		} else {
			more++
		}
	}
	return seen, more
}

// seesAll reports whether somebody belongs to every partner that is billed.
func seesAll(who access.Principal, invoices []ledger.InvoiceSummary) bool {
	for _, inv := range invoices {
		if !who.Sees(inv.PartnerID) {
			return false
		}
	}
	return true
}

type monthBody struct {
	Row      monthRow
	Next     *nextStep
	Invoices []invoiceRow
	Manifest ledger.Manifest
	Everyone bool
	// Before and After are the months beside it, "" for none.
	Before, After string
	Approvals     bool // the person may see who approved
	Exceptions    bool
	Differences   bool
}

// invoiceRow is an invoice in a list.
type invoiceRow struct {
	ledger.InvoiceSummary
	Month   string
	State   ledger.State
	Partner string // the name
}

func (s *Site) month(a ask) (answer, error) {
	m, err := s.seenMonth(a)
	if err != nil {
		return answer{}, err
	}
	book, reading, err := s.book()
	if err != nil {
		return answer{}, err
	}
	body := monthBody{Manifest: m.Current, Everyone: a.who.Everyone, Approvals: a.may(access.SeeApprovals),
		Exceptions: a.may(access.SeeExceptions), Differences: a.may(access.SeeDifferences)}
	if body.Row, err = rowOf(m.Current, a.who); err != nil {
		return answer{}, err
	}
	for _, inv := range invoicesOf(m.Current, a.who) {
		body.Invoices = append(body.Invoices, invoiceRow{inv, m.Current.Month, m.Current.State, book.name(inv.PartnerID)})
	}
	slices.SortStableFunc(body.Invoices, func(x, y invoiceRow) int { return compareNames(x.Partner, y.Partner) })
	if m.Month == nextMonth(reading.Months()) && m.Current.State == ledger.Draft {
		if body.Next, err = s.nextStep(a, m, body.Row); err != nil {
			return answer{}, err
		}
	}
	body.Before, body.After = s.beside(a.who, reading.Months(), m.Month)
	return answer{template: "month", title: monthName(m.Current.Month), place: "Months", crumbs: []crumb{{"Months", "/"}}, body: body}, nil
}

// beside are the months before and after one that the person sees something of.
func (s *Site) beside(who access.Principal, months []ledger.Month, month pricing.Month) (before, after string) {
	for _, m := range months {
		if !who.Everyone && len(invoicesOf(m.Current, who)) == 0 {
			continue
		}
		if m.Month < month {
			before = m.Current.Month
		}
		if m.Month > month && after == "" {
			after = m.Current.Month
		}
	}
	return before, after
}

// seenMonth is the month of the address, if the person sees something of it.
func (s *Site) seenMonth(a ask) (ledger.Month, error) {
	month, err := pricing.ParseMonth(a.PathValue("month"))
	if err != nil {
		return ledger.Month{}, errNotFound
	}
	reading, err := s.Current.Reading()
	if err != nil {
		return ledger.Month{}, err
	}
	m, ok := reading.Month(month)
	if !ok || !a.who.Everyone && len(invoicesOf(m.Current, a.who)) == 0 {
		return ledger.Month{}, errNotFound
	}
	return m, nil
}
