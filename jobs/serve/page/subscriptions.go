package page

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

func (s *Site) registerSubscriptions() {
	s.register(http.MethodGet, "/subscriptions/{subscription}", "page-subscription", access.SeeSubscriptions, s.subscription)
}

// today is the day on which subscriptions are looked at.
func (s *Site) today() pricing.Date { return s.Env().Today }

type subscriptionBody struct {
	jobs.Story
	Partner string
	Lines   []storyLine // nil for those who see no invoices
	Shown   bool
	Picture string
}

// storyLine is a line of the story with its address, "" where no file has it yet.
type storyLine struct {
	jobs.StoryLine
	Address string
}

func (s *Site) subscription(a ask) (answer, error) {
	book, reading, err := s.book()
	if err != nil {
		return answer{}, err
	}
	id := a.PathValue("subscription")
	customerID, ok, err := reading.Owner(a.Context(), id, func(customerID string) bool {
		c, known := book.byID[customerID]
		return known && a.who.Sees(c.PartnerID)
	})
	if err != nil {
		return answer{}, err
	}
	if !ok {
		return answer{}, errNotFound
	}
	customer := book.byID[customerID]
	audit.About(a.Context(), customer.PartnerID, "subscription "+id)
	shown := a.may(access.SeeInvoices)
	story, err := reading.Story(a.Context(), jobs.StoryPlan{CustomerID: customerID, SubscriptionID: id, Day: s.today(), NoLines: !shown})
	if errors.Is(err, jobs.ErrMissing) {
		return answer{}, errNotFound
	}
	if err != nil {
		return answer{}, err
	}
	body := subscriptionBody{Story: story, Partner: book.name(customer.PartnerID), Shown: shown, Picture: "/v1/subscriptions/" + pathSegment(id) + "/picture.svg"}
	body.CustomerName = cmp.Or(body.CustomerName, customer.Name, customerID)
	slices.Reverse(body.History)
	if body.Shown {
		for _, l := range story.Lines {
			body.Lines = append(body.Lines, storyLine{l, lineAddress(l)})
		}
		slices.Reverse(body.Lines)
	} else {
		body.Next, body.Sums = nil, nil
	}
	return answer{template: "subscription", title: cmp.Or(story.SkuName, story.ProductName, story.ProductID) + " of " + body.CustomerName, place: "Customers",
		crumbs: []crumb{{"Customers", "/customers"}, {body.CustomerName, "/customers/" + pathSegment(customerID)}}, body: body}, nil
}

// subscriptionRow is a subscription in the list of a customer's.
type subscriptionRow struct {
	ID, Name, State, Term, Plan string
	Start, End                  string
	Quantity                    int64
	AutoRenew                   bool
}

// subscriptionsOf lists a customer's subscriptions: those that go on first.
func subscriptionsOf(views []subscription.View) []subscriptionRow {
	var rows []subscriptionRow
	for i := range views {
		v := &views[i]
		row := subscriptionRow{ID: v.Term.SubscriptionID, Name: v.Term.SKU.ProductID + "/" + v.Term.SKU.SkuID, State: jobs.StateActive,
			Term: v.Term.Span.Term.String(), Plan: v.Term.Plan.String(), Start: v.Term.Span.Start.String(), End: v.Term.Span.End.String(), Quantity: v.Quantity, AutoRenew: v.AutoRenew && !v.Ended}
		if lock := v.Term.Lock; lock != nil {
			row.Name = cmp.Or(lock.SkuTitle, lock.ProductTitle, row.Name)
		}
		switch {
		case v.Ended:
			row.State, row.Quantity = jobs.StateEnded, 0
		case v.Parked:
			row.State = jobs.StateParked
		case v.Suspended:
			row.State = jobs.StateSuspended
		}
		rows = append(rows, row)
	}
	ended := func(r subscriptionRow) int {
		if r.State == jobs.StateEnded {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(rows, func(r, t subscriptionRow) int {
		return cmp.Or(ended(r)-ended(t), compareNames(r.Name, t.Name), cmp.Compare(r.ID, t.ID))
	})
	return rows
}

// lineAddress is the page of a line that a file has.
func lineAddress(l jobs.StoryLine) string {
	at := strings.LastIndexByte(l.Ref, ':')
	if at < 0 || l.Month == "" {
		return ""
	}
	return invoiceAddress(l.Month, l.PartnerID) + "/lines/" + l.Ref[at+1:]
}
