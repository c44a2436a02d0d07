package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pipeline/ledger"
)

// BilledMonth is a month that was billed, as far as it is the caller's.
type BilledMonth struct {
	Month    string `json:"month" example:"2024-03"`
	State    string `json:"state" enum:"draft,closed"`
	Revision int    `json:"revision"`
	// Invoices are those of the caller's partners.
	Invoices []ListedInvoice      `json:"invoices" doc:"Of the caller's partners"`
	Totals   []jobs.CurrencyTotal `json:"totals" doc:"Of these invoices, by currency"`
	Holds    []jobs.Hold          `json:"holds" doc:"What keeps the next month to close from closing, as far as its draft tells"`
	House    *MonthOfHouse        `json:"house,omitempty" doc:"Of the whole month; for those who belong to every partner"`
}

// MonthOfHouse are figures over all partners.
type MonthOfHouse struct {
	Subscriptions ledger.Subscriptions   `json:"subscriptions"`
	Exceptions    ledger.ExceptionCounts `json:"exceptions"`
	Late          ledger.ExceptionCounts `json:"lateExceptions" doc:"Of closed months"`
	NewInputs     int                    `json:"newInputs" doc:"Taken in after the draft was computed: billing again may change it"`
	Accepted      string                 `json:"accepted,omitempty" doc:"Why it was closed with something open"`
	ApprovedBy    []string               `json:"approvedBy,omitempty"`
	Next          bool                   `json:"next" doc:"It is the next to close"`
}

// MonthList is some of the months, the newest first.
type MonthList struct {
	List[BilledMonth]
}

// listMonths is a question for months.
type listMonths struct {
	State string `query:"state" enum:"draft,closed"`
	Page
}

func (a *API) registerMonths() {
	register(a, access.SeeInvoices, huma.Operation{OperationID: "list-months", Method: http.MethodGet, Path: "/v1/months",
		Summary: "List the months that were billed", Description: "The newest first. Who does not belong to every partner sees the months in which their partners have an invoice.", Tags: []string{"Invoices"}, Errors: []int{http.StatusBadRequest}},
		func(ctx context.Context, who access.Principal, in *listMonths) (*struct{ Body MonthList }, error) {
			page, err := a.listMonths(ctx, who, in)
			return &struct{ Body MonthList }{page}, err
		})
}

func (a *API) listMonths(ctx context.Context, who access.Principal, in *listMonths) (MonthList, error) {
	page := MonthList{List[BilledMonth]{Items: []BilledMonth{}}}
	r, err := a.Current.Reading()
	if err != nil {
		return page, err
	}
	// Revisions come and go between two pages, months do not.
	depends := []string{"months", in.State, who.ID}
	_, before, err := in.place(depends...)
	if err != nil {
		return page, err
	}
	status, err := r.Status(ctx)
	if err != nil {
		return page, err
	}
	for i, m := range slices.Backward(r.Months()) {
		if before > 0 && int(m.Month) >= before || in.State != "" && in.State != string(m.Current.State) {
			continue
		}
		item, err := billedMonth(who, r, m, status.Months[i], status.Next)
		if err != nil {
			return page, err
		}
		if len(item.Invoices) == 0 && !who.Everyone {
			continue
		}
		if len(page.Items) == in.Limit {
			last, err := monthAt("month", page.Items[len(page.Items)-1].Month)
			if err != nil {
				return page, err
			}
			page.Next = cursorOf(0, int(last), depends...)
			break
		}
		page.Items = append(page.Items, item)
	}
	return page, nil
}

func billedMonth(who access.Principal, r *jobs.Reading, m ledger.Month, s jobs.MonthStatus, next string) (item BilledMonth, err error) {
	item = BilledMonth{Month: s.Month, State: s.State, Revision: s.Revision, Invoices: []ListedInvoice{}, Holds: []jobs.Hold{}}
	var seen []ledger.InvoiceSummary
	for _, inv := range m.Current.Invoices {
		if who.Sees(inv.PartnerID) {
			seen = append(seen, inv)
			item.Invoices = append(item.Invoices, listedInvoice(r, m, inv))
		}
	}
	if item.Totals, err = jobs.TotalsByCurrency(seen); err != nil {
		return item, err
	}
	item.Holds = append(item.Holds, seenHolds(who, s.Holds)...)
	if who.Everyone {
		item.House = &MonthOfHouse{Subscriptions: s.Subscriptions, Exceptions: s.Exceptions, Late: s.Late, NewInputs: s.NewInputs, Accepted: s.Accepted, ApprovedBy: s.ApprovedBy, Next: s.Month == next}
	}
	return item, nil
}

// seenHolds are those of the caller's partners; one of the whole month is told to
// everybody by its code, since its reason may name others.
func seenHolds(who access.Principal, holds []jobs.Hold) []jobs.Hold {
	seen := []jobs.Hold{}
	for _, h := range holds {
		switch {
		case who.Everyone, h.PartnerID != "" && who.Sees(h.PartnerID):
			seen = append(seen, h)
		case h.PartnerID == "":
			seen = append(seen, jobs.Hold{Code: h.Code, Reason: "of the month as a whole"})
		}
	}
	return seen
}
