package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/ledger"
)

// ListedException is something that was not billed, or that somebody has to look at.
type ListedException struct {
	Month          string `json:"month" example:"2024-03"`
	Severity       string `json:"severity" enum:"error,warning" doc:"error: money is missing; warning: somebody should look"`
	Code           string `json:"code" example:"MISSING_PRICE"`
	PartnerID      string `json:"partnerId" doc:"Blank where it is not known; such rows are for those who belong to every partner"`
	CustomerID     string `json:"customerId"`
	SubscriptionID string `json:"subscriptionId"`
	EventID        string `json:"eventId"`
	Message        string `json:"message"`
	Late           bool   `json:"late" doc:"It came in after its month was closed"`
}

// ExceptionList is some of a month's exceptions, in the order of their file, with how
// many there are.
type ExceptionList struct {
	List[ListedException]
	Errors   int `json:"errors" doc:"Of those that were asked for, on all pages"`
	Warnings int `json:"warnings"`
}

// listExceptions is a question for exceptions.
type listExceptions struct {
	Month        string `query:"month" required:"true" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" example:"2024-03"`
	Severity     string `query:"severity" enum:"error,warning"`
	Code         string `query:"code" maxLength:"100" example:"MISSING_PRICE"`
	Partner      string `query:"partnerId" maxLength:"200"`
	Customer     string `query:"customerId" maxLength:"200"`
	Subscription string `query:"subscriptionId" maxLength:"200"`
	Page
}

func (in *listExceptions) wants(e ListedException) bool {
	return (in.Severity == "" || in.Severity == e.Severity) && (in.Code == "" || in.Code == e.Code) && (in.Partner == "" || in.Partner == e.PartnerID) &&
		(in.Customer == "" || in.Customer == e.CustomerID) && (in.Subscription == "" || in.Subscription == e.SubscriptionID)
}

func (a *API) registerExceptions() {
	register(a, access.SeeExceptions, huma.Operation{OperationID: "list-exceptions", Method: http.MethodGet, Path: "/v1/exceptions",
		Summary: "List what was not billed, and why", Tags: []string{"Invoices"}, Errors: []int{http.StatusBadRequest, http.StatusNotFound}},
		func(ctx context.Context, who access.Principal, in *listExceptions) (*struct{ Body ExceptionList }, error) {
			page, err := a.listExceptions(ctx, who, in)
			return &struct{ Body ExceptionList }{page}, err
		})
}

func (a *API) listExceptions(ctx context.Context, who access.Principal, in *listExceptions) (ExceptionList, error) {
	page := ExceptionList{List: List[ListedException]{Items: []ListedException{}}}
	month, err := monthAt("query.month", in.Month)
	if err != nil {
		return page, err
	}
	r, err := a.Current.Reading()
	if err != nil {
		return page, err
	}
	m, ok := r.Month(month)
	if !ok {
		return page, notFound("a bill of " + in.Month)
	}
	audit.About(ctx, "", "exceptions of "+in.Month)
	if who.Sees(in.Partner) { // else the event would be shown to that partner's admins
		audit.About(ctx, in.Partner, "")
	}
	depends := []string{"exceptions", in.Month, in.Severity, in.Code, in.Partner, in.Customer, in.Subscription, who.ID, strconv.Itoa(m.Current.Revision)}
	_, from, err := in.place(depends...)
	if err != nil {
		return page, err
	}
	all, err := a.exceptionsOf(ctx, m)
	if err != nil {
		return page, err
	}
	at := 0
	for _, e := range all {
		if e.PartnerID == "" && !who.Everyone || e.PartnerID != "" && !who.Sees(e.PartnerID) || !in.wants(e) {
			continue
		}
		switch e.Severity {
		case "error":
			page.Errors++
		default:
			page.Warnings++
		}
		if at++; at <= from {
			continue
		}
		if len(page.Items) < in.Limit {
			page.Items = append(page.Items, e)
		} else if page.Next == "" {
			page.Next = cursorOf(0, from+in.Limit, depends...)
		}
	}
	return page, nil
}

// exceptionsOf reads a month's exceptions, and behind them those of late arrivals.
func (a *API) exceptionsOf(ctx context.Context, m ledger.Month) (all []ListedException, err error) {
	late := jobs.ExceptionFiles()
	for _, f := range jobs.FilesOf(m, "") {
		isLate, is := late[f.Name]
		if !is {
			continue
		}
		data, err := a.readFile(ctx, f)
		if err != nil {
			return nil, err
		}
		read, err := exports.ReadExceptions(bytes.NewReader(data), m.Month)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Key, err)
		}
		for _, e := range read {
			all = append(all, ListedException{Month: m.Month.String(), Severity: string(e.Severity), Code: string(e.Code), PartnerID: e.PartnerID, CustomerID: e.CustomerID,
				SubscriptionID: e.SubscriptionID, EventID: e.EventID, Message: e.Message, Late: isLate})
		}
	}
	return all, nil
}
