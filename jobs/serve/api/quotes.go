package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// QuoteBody is what is asked for: purchases, changes, or both, of one customer.
type QuoteBody struct {
	CustomerID string               `json:"customerId,omitempty" maxLength:"200" doc:"Of purchases; of changes alone it is the subscriptions'" example:"dd6c7dae-4000-49f1-93b4-5dee8cf0620e"`
	Lines      []PurchaseLine       `json:"lines,omitempty" maxItems:"100" doc:"Purchases, as in an order"`
	Changes    []SubscriptionChange `json:"changes,omitempty" maxItems:"100" doc:"Changes of subscriptions, each as in the request that would do it; they happen in this order, after the purchases"`
}

// EndDate is where a term ends before it is full.
type EndDate struct {
	CustomTermEndDate string `json:"customTermEndDate,omitempty" format:"date" example:"2027-06-30" doc:"The last day of the term"`
	AlignTo           string `json:"alignTo,omitempty" maxLength:"200" example:"calendar-month" doc:"calendar-month for the last month's end within the term, or the id of another subscription of the customer, with whose term it ends"`
}

// EndDates are the days on which a term may end.
type EndDates struct {
	Term  string `json:"termDuration" enum:"P1M,P1Y,P3Y"`
	Start string `json:"start" format:"date" doc:"The term's first day"`
	First string `json:"first" format:"date" doc:"The first day on which it may end; it may end on every one from this to last"`
	Last  string `json:"last" format:"date" doc:"The last day of the full term"`
	// MonthEnds and Aligned are those that people choose.
	MonthEnds []string     `json:"monthEnds" doc:"The ends of calendar months among them"`
	Aligned   []AlignedEnd `json:"aligned" doc:"What alignTo comes to"`
}

// AlignedEnd is an end with which something else ends.
type AlignedEnd struct {
	AlignTo string `json:"alignTo" doc:"calendar-month, or the id of a subscription"`
	Date    string `json:"date" format:"date"`
	Name    string `json:"name,omitempty" doc:"The product of the subscription"`
}

// calendarMonth aligns to the ends of months.
const calendarMonth = "calendar-month"

type askedQuote struct{ Body QuoteBody }

// askedEndDates is a question for the ends of a term to buy.
type askedEndDates struct {
	Term       string `query:"term" required:"true" enum:"P1M,P1Y,P3Y"`
	Start      string `query:"start" format:"date" example:"2026-10-05" doc:"The term's first day. Default: today"`
	CustomerID string `query:"customerId" maxLength:"200" doc:"With it, the ends of its subscriptions are among the suggestions"`
}

func (a *API) registerQuotes() {
	register(a, access.AskQuotes, huma.Operation{OperationID: "ask-quote", Method: http.MethodPost, Path: "/v1/quotes",
		Summary: "Ask what something would bill", Tags: ordersTag, Metadata: onlyAsks, MaxBodyBytes: 256 << 10, Errors: []int{http.StatusNotFound},
		Description: "What purchases and changes would bill together this month and from next month on, and until when each could be taken back. " +
			"Nothing is done. A change that would be refused says why, and the amounts are without it.",
	}, a.quote)
	register(a, access.AskQuotes, huma.Operation{OperationID: "list-end-dates", Method: http.MethodGet, Path: "/v1/end-dates",
		Summary: "List the ends that a new term may have", Tags: ordersTag, Errors: []int{http.StatusNotFound},
	}, a.endDates)
	register(a, access.AskQuotes, huma.Operation{OperationID: "list-end-dates-of-subscription", Method: http.MethodGet, Path: "/v1/subscriptions/{id}/end-dates",
		Summary: "List the ends that the next term may have", Tags: ordersTag, Errors: []int{http.StatusNotFound},
		Description: "Of the term that begins when the running one ends, with what is scheduled for it.",
	}, a.nextEndDates)
}

func (a *API) quote(ctx context.Context, who access.Principal, in *askedQuote) (*struct{ Body jobs.CartQuote }, error) {
	body := in.Body
	if len(body.Lines)+len(body.Changes) == 0 {
		return nil, invalid("body", "give lines to buy, or changes of subscriptions", nil)
	}
	var b buyer
	var err error
	if body.CustomerID != "" {
		b, err = a.buyer(ctx, who, body.CustomerID)
	} else if len(body.Changes) == 0 {
		return nil, invalid("body.customerId", "say who buys", nil)
	}
	for _, c := range body.Changes {
		if err != nil {
			return nil, err
		}
		var of buyer
		if of, err = a.owner(ctx, who, c.SubscriptionID); err == nil && b.reading != nil && of.fact.ID != b.fact.ID {
			err = notFound("subscription " + c.SubscriptionID + " of customer " + b.fact.ID)
		}
		if b.reading == nil {
			b = of
		}
	}
	if err != nil {
		return nil, err
	}
	r := body.request()
	plan, err := a.plan(b, r)
	if err != nil {
		return nil, err
	}
	quote, err := b.reading.QuoteOrder(ctx, plan)
	if err != nil {
		return nil, orderProblem(err, r)
	}
	return &struct{ Body jobs.CartQuote }{quote}, nil
}

// request is all that is asked for.
func (q QuoteBody) request() request {
	return request{content: q, where: func(int) string { return "" }, resolve: func(s standing) ([]jobs.Asked, error) {
		all, err := OrderBody{Lines: q.Lines}.request().resolve(s)
		for i, c := range q.Changes {
			if err != nil {
				break
			}
			var asked jobs.Asked
			asked, err = c.asked(s, fmt.Sprintf("body.changes[%d]", i))
			all = append(all, asked)
		}
		return all, err
	}}
}

// of works the end of a term out, "" for the full one's. of is the subscription whose
// term it is, where there is one already.
func (e EndDate) of(s standing, term pricing.TermSpan, of, where string) (string, error) {
	switch {
	case e.CustomTermEndDate != "" && e.AlignTo != "":
		return "", invalid(where+".alignTo", "give customTermEndDate or alignTo, not both", e.AlignTo)
	case e.AlignTo == calendarMonth:
		return lastMonthEnd(term).String(), nil
	case e.AlignTo == "":
		return e.CustomTermEndDate, nil
	}
	other, ok := s.find(e.AlignTo)
	if !ok || e.AlignTo == of {
		return "", notFound("another subscription " + e.AlignTo)
	}
	if end := other.Term.Span.End; end < term.Start || end > term.End {
		return "", invalid(where+".alignTo", fmt.Sprintf("the subscription ends on %s, outside of %s to %s", end, term.Start, term.End), e.AlignTo)
	}
	return other.Term.Span.End.String(), nil
}

// lastMonthEnd is the last end of a month within a full term.
func lastMonthEnd(term pricing.TermSpan) pricing.Date {
	if end := term.End.Month().Last(); end == term.End {
		return end
	}
	return (term.End.Month() - 1).Last()
}

func (a *API) endDates(ctx context.Context, who access.Principal, in *askedEndDates) (*struct{ Body EndDates }, error) {
	start := a.now().Date()
	if in.Start != "" {
		var err error
		if start, err = pricing.ParseDate(in.Start); err != nil {
			return nil, invalid("query.start", "want a day such as 2026-10-05", in.Start)
		}
	}
	var owned []subscription.View
	if in.CustomerID != "" {
		b, err := a.buyer(ctx, who, in.CustomerID)
		if err == nil {
			owned, err = b.reading.SubscriptionsOf(ctx, b.fact.ID, a.now().Date())
		}
		if err != nil {
			return nil, err
		}
	}
	term, _ := pricing.ParseTerm(in.Term)
	return &struct{ Body EndDates }{endDates(pricing.FullTerm(term, start, pricing.Clamp), owned, "")}, nil
}

// namedSubscription is whose question it is.
type namedSubscription struct {
	ID string `path:"id" maxLength:"200" example:"ac85bab0-1652-40cc-94ec-81da3ac37385"`
}

func (a *API) nextEndDates(ctx context.Context, who access.Principal, in *namedSubscription) (*struct{ Body EndDates }, error) {
	b, err := a.owner(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	owned, err := b.reading.SubscriptionsOf(ctx, b.fact.ID, a.now().Date())
	if err != nil {
		return nil, err
	}
	v, ok := standing{owned: owned}.find(in.ID)
	if !ok {
		return nil, problem(http.StatusUnprocessableEntity, string(pricing.SubscriptionNotActive), "the subscription has ended: it has no next term")
	}
	termDuration := ""
	if v.Next != nil {
		termDuration = v.Next.TermDuration
	}
	return &struct{ Body EndDates }{endDates(nextTerm(v, termDuration), owned, in.ID)}, nil
}

// endDates are the ends that a term may have, among them those of other subscriptions
// than the one that it is of.
func endDates(term pricing.TermSpan, owned []subscription.View, of string) EndDates {
	e := EndDates{Term: term.Term.String(), Start: term.Start.String(), First: term.Start.String(), Last: term.End.String(),
		MonthEnds: []string{}, Aligned: []AlignedEnd{{AlignTo: calendarMonth, Date: lastMonthEnd(term).String()}}}
	for m := term.Start.Month(); m.Last() <= term.End; m++ {
		e.MonthEnds = append(e.MonthEnds, m.Last().String())
	}
	for _, v := range owned {
		if end := v.Term.Span.End; !v.Ended && v.Term.SubscriptionID != of && term.Start <= end && end <= term.End {
			one := AlignedEnd{AlignTo: v.Term.SubscriptionID, Date: end.String()}
			if v.Term.Lock != nil {
				one.Name = v.Term.Lock.SkuTitle
			}
			e.Aligned = append(e.Aligned, one)
		}
	}
	slices.SortStableFunc(e.Aligned[1:], func(x, y AlignedEnd) int { return strings.Compare(x.Date, y.Date) })
	return e
}
