package api

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/picture"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// SubscriptionList is some of the subscriptions, by customer, and of one customer in the
// order in which they came to be.
type SubscriptionList struct {
	List[jobs.SubscriptionFacts]
}

// Subscription is where one stands, and what follows.
type Subscription struct {
	jobs.SubscriptionFacts
	Day          string         `json:"day" format:"date" doc:"At whose end it stands so"`
	Next         *jobs.Upcoming `json:"next,omitempty" doc:"What will be charged, at what is known now"`
	UpgradedFrom []string       `json:"upgradedFrom,omitempty" doc:"Subscriptions from which an upgrade moved seats"`
	UpgradedInto []string       `json:"upgradedInto,omitempty" doc:"Subscriptions into which an upgrade moved seats"`
}

// SubscriptionStory is all that happened to a subscription.
type SubscriptionStory struct {
	jobs.Story
	Billed bool `json:"billed" doc:"Lines and sums are told: the caller may see invoices. Otherwise both are empty"`
}

// listSubscriptions is a question for subscriptions.
type listSubscriptions struct {
	Customer     string `query:"customerId" maxLength:"200" example:"dd6c7dae-4000-49f1-93b4-5dee8cf0620e"`
	Partner      string `query:"partnerId" maxLength:"200"`
	Product      string `query:"productId" maxLength:"100" example:"CFQ7TTC0LDPB"`
	State        string `query:"state" enum:"active,suspended,parked,ended" doc:"Parked ones have no price and are not billed"`
	EndingBefore string `query:"endingBefore" format:"date" example:"2024-07-01" doc:"Only those whose term ends before this day, and that have not ended"`
	Page
}

// namedStory is a question for one subscription.
type namedStory struct {
	ID string `path:"id" maxLength:"200" example:"ac85bab0-1652-40cc-94ec-81da3ac37385"`
	Conditional
}

// drawn is a picture.
type drawn struct {
	Status      int
	ETag        string `header:"ETag"`
	ContentType string `header:"Content-Type"`
	// Policy is the picture's own: under the server's it would have no style.
	Policy string `header:"Content-Security-Policy"`
	Body   []byte
}

func (a *API) registerSubscriptions() {
	tags := []string{"Subscriptions"}
	register(a, access.SeeSubscriptions, huma.Operation{OperationID: "list-subscriptions", Method: http.MethodGet, Path: "/v1/subscriptions", Summary: "List subscriptions",
		Description: "Where each stands at the end of today, with its price but not the price sheet's row. A page that looked at many and found little may be short, or empty: go on while there is a next.",
		Tags:        tags, Errors: []int{http.StatusBadRequest, http.StatusNotFound}},
		func(ctx context.Context, who access.Principal, in *listSubscriptions) (*struct{ Body SubscriptionList }, error) {
			list, err := a.listSubscriptions(ctx, who, in)
			return &struct{ Body SubscriptionList }{list}, err
		})
	register(a, access.SeeSubscriptions, conditionalOperation(huma.Operation{OperationID: "get-subscription", Method: http.MethodGet, Path: "/v1/subscriptions/{id}", Summary: "Get a subscription",
		Description: "Where it stands at the end of today: its term, its price with the row of the price sheet, its seats with the windows in which they can be taken back, what is scheduled, and the next charge.",
		Tags:        tags, Errors: []int{http.StatusNotFound}}),
		func(ctx context.Context, who access.Principal, in *namedStory) (*tagged[Subscription], error) {
			asked, err := a.askedStory(ctx, who, in.ID)
			if err != nil {
				return nil, err
			}
			asked.plan.NoLines = true
			return unlessHad(in.Conditional, asked.tag(a.Version, "subscription"), func() (Subscription, error) {
				s, err := asked.reading.Story(ctx, asked.plan)
				return Subscription{s.SubscriptionFacts, s.Day, s.Next, s.UpgradedFrom, s.UpgradedInto}, err
			})
		})
	register(a, access.SeeSubscriptions, conditionalOperation(huma.Operation{OperationID: "get-subscription-story", Method: http.MethodGet, Path: "/v1/subscriptions/{id}/story", Summary: "Get a subscription's story",
		Description: "All terms, every change with what it did or why it was refused, renewals, and every line: as issued, and in open months as it would be billed now. Whoever may not see invoices gets no lines and no sums.",
		Tags:        tags, Errors: []int{http.StatusNotFound}}),
		func(ctx context.Context, who access.Principal, in *namedStory) (*tagged[SubscriptionStory], error) {
			asked, err := a.askedStory(ctx, who, in.ID)
			if err != nil {
				return nil, err
			}
			billed := who.May(access.SeeInvoices)
			asked.plan.NoLines = !billed
			return unlessHad(in.Conditional, asked.tag(a.Version, "story"), func() (SubscriptionStory, error) {
				s, err := asked.reading.Story(ctx, asked.plan)
				return SubscriptionStory{s, billed}, err
			})
		})
	register(a, access.SeeSubscriptions, pictureOperation(tags), a.drawSubscription)
}

func pictureOperation(tags []string) huma.Operation {
	o := conditionalOperation(huma.Operation{OperationID: "get-subscription-picture", Method: http.MethodGet, Path: "/v1/subscriptions/{id}/picture.svg", Summary: "Draw a subscription",
		Description: "Terms and charge cycles, seats over time, changes and refusals, what is scheduled. SVG without any script, light or dark as the reader wants it.",
		Tags:        tags, Errors: []int{http.StatusNotFound}})
	o.Responses["200"] = &huma.Response{Description: "The picture", Content: map[string]*huma.MediaType{picture.MediaType: {Schema: &huma.Schema{Type: huma.TypeString}}}}
	return o
}

func (a *API) drawSubscription(ctx context.Context, who access.Principal, in *namedStory) (*drawn, error) {
	asked, err := a.askedStory(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	asked.plan.NoLines = true
	tag := asked.tag(a.Version, "picture")
	if in.has(tag) {
		return &drawn{Status: http.StatusNotModified, ETag: tag}, nil
	}
	s, err := asked.reading.Story(ctx, asked.plan)
	if err != nil {
		return nil, err
	}
	var svg bytes.Buffer
	if err := picture.Draw(&svg, s); err != nil {
		return nil, err
	}
	return &drawn{Status: http.StatusOK, ETag: tag, ContentType: picture.MediaType, Policy: picture.Policy(), Body: svg.Bytes()}, nil
}

// askedStory is a story that the caller may see.
type askedStory struct {
	reading *jobs.Reading
	plan    jobs.StoryPlan
}

// askedStory finds whose the subscription is.
func (a *API) askedStory(ctx context.Context, who access.Principal, id string) (askedStory, error) {
	reading, err := a.Current.Reading()
	if err != nil {
		return askedStory{}, err
	}
	customerID, ok, err := reading.Owner(ctx, id, func(customerID string) bool { return who.Sees(reading.PartnerOf(customerID)) })
	if err != nil {
		return askedStory{}, err
	}
	if !ok {
		return askedStory{}, notFound("subscription " + id)
	}
	audit.About(ctx, reading.PartnerOf(customerID), "subscription "+id)
	return askedStory{reading, jobs.StoryPlan{CustomerID: customerID, SubscriptionID: id, Day: a.now().Date()}}, nil
}

// tag is of all that an answer about the story depends on.
func (s askedStory) tag(parts ...string) string {
	parts = append(parts, s.plan.CustomerID, s.plan.SubscriptionID, s.plan.Day.String(), strconv.FormatBool(s.plan.NoLines), strconv.Itoa(len(s.reading.Inputs())))
	for _, m := range s.reading.Months() {
		parts = append(parts, m.Month.String(), strconv.Itoa(m.Current.Revision))
	}
	return tagOf(parts...)
}

func (a *API) listSubscriptions(ctx context.Context, who access.Principal, in *listSubscriptions) (SubscriptionList, error) {
	list := SubscriptionList{List[jobs.SubscriptionFacts]{Items: []jobs.SubscriptionFacts{}}}
	reading, err := a.Current.Reading()
	if err != nil {
		return list, err
	}
	plan := jobs.SubscriptionsPlan{ProductID: in.Product, State: in.State, EndingBefore: pricing.NoDate, Day: a.now().Date(), Limit: in.Limit}
	if in.EndingBefore != "" {
		if plan.EndingBefore, err = pricing.ParseDate(in.EndingBefore); err != nil {
			return list, invalid("query.endingBefore", "want a day such as 2024-07-01", in.EndingBefore)
		}
	}
	depends := []string{"subscriptions", in.Customer, in.Partner, in.Product, in.State, in.EndingBefore}
	if plan.After, err = subscriptionAfter(in.Page, depends); err != nil {
		return list, err
	}
	if plan.Customers, err = a.customersOf(ctx, who, reading, in); err != nil {
		return list, err
	}
	page, err := reading.Subscriptions(ctx, plan)
	if err != nil {
		return list, err
	}
	list.Items = page.Items
	if page.More != nil {
		list.Next = cursorAfter(strconv.Itoa(page.More.Before)+" "+page.More.CustomerID, depends...)
	}
	return list, nil
}

// subscriptionAfter is the place at which a page begins.
func subscriptionAfter(p Page, depends []string) (jobs.SubscriptionPlace, error) {
	place, err := p.after(depends...)
	if err != nil || place == "" {
		return jobs.SubscriptionPlace{}, err
	}
	before, customer, ok := strings.Cut(place, " ")
	n, err := strconv.Atoi(before)
	if !ok || err != nil || n < 0 {
		return jobs.SubscriptionPlace{}, problem(http.StatusBadRequest, "cursor", "the cursor is of another question: ask for the first page again")
	}
	return jobs.SubscriptionPlace{CustomerID: customer, Before: n}, nil
}

// customersOf are the ids of those whose subscriptions are asked for and may be seen, in
// order. A partner or a customer that is named and not seen is not there.
func (a *API) customersOf(ctx context.Context, who access.Principal, reading *jobs.Reading, in *listSubscriptions) (ids []string, err error) {
	if in.Partner != "" {
		if _, known := reading.Catalog().Partner(in.Partner, ledger.Ever); !known || !who.Sees(in.Partner) {
			return nil, notFound("partner " + in.Partner)
		}
		audit.About(ctx, in.Partner, "")
	}
	if in.Customer != "" {
		seen, err := a.customer(ctx, who, in.Customer)
		if err != nil || in.Partner != "" && seen.fact.PartnerID != in.Partner {
			return nil, err
		}
		return []string{in.Customer}, nil
	}
	for _, c := range a.customers.customers(reading.Catalog()) {
		if who.Sees(c.PartnerID) && (in.Partner == "" || c.PartnerID == in.Partner) {
			ids = append(ids, c.ID)
		}
	}
	return slices.Clip(ids), nil
}
