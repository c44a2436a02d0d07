package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Order is an order that was taken, as it was answered first: to the byte.
type Order struct{ answer json.RawMessage }

// MarshalJSON gives the answer.
func (o Order) MarshalJSON() ([]byte, error) { return o.answer, nil }

// Schema is that of the answer.
func (Order) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[jobs.OrderResult](), true, "OrderResult")
}

// PurchaseLine is what is bought: one subscription.
type PurchaseLine struct {
	ProductID    string `json:"productId" minLength:"1" maxLength:"100" example:"CFQ7TTC0LDPB"`
	SkuID        string `json:"skuId" minLength:"1" maxLength:"100" example:"0001"`
	TermDuration string `json:"termDuration" enum:"P1M,P1Y,P3Y"`
	BillingCycle string `json:"billingCycle" enum:"Monthly,Annual,Triennial"`
	Quantity     int64  `json:"quantity" minimum:"1" maximum:"1000000000" example:"10"`
	IsTrial      bool   `json:"isTrial,omitempty" doc:"A trial: one month at price 0; term and cycle are what its conversion defaults to"`
	PromotionID  string `json:"promotionId,omitempty" maxLength:"200"`
	Parent       string `json:"parentSubscriptionId,omitempty" maxLength:"200" doc:"Of an add-on: the subscription that it belongs to"`
	AutoRenew    *bool  `json:"autoRenewEnabled,omitempty" doc:"Default: true"`
	EndDate
}

// OrderBody is purchases for one customer: all of them are taken, or none.
type OrderBody struct {
	CustomerID string         `json:"customerId" minLength:"1" maxLength:"200" example:"dd6c7dae-4000-49f1-93b4-5dee8cf0620e"`
	Lines      []PurchaseLine `json:"lines" minItems:"1" maxItems:"100"`
}

// Idempotent is the key of what is done once.
type Idempotent struct {
	Key string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"255" pattern:"^[!-~]+$" example:"b0a2b1f0-5d8e-4c54-9b1a-0d6f0c1f7a11" doc:"The caller's own, of the partner. The same key with the same content is the same order and has the same answer, at any time later; with another content it is refused with 409. After an answer that did not come, or a 503, ask again with the same key"`
}

// placeOrder is a request for one.
type placeOrder struct {
	Idempotent
	Body OrderBody
}

// getOrder names one.
type getOrder struct {
	ID string `path:"id" format:"uuid" example:"5b0a4a1e-9df0-5c3e-8a53-0c6b7d0c8d3f"`
}

// ordered is the answer to an order.
type ordered struct {
	Location string `header:"Location"`
	Body     Order
}

// ordersTag is what the document sorts buying under.
var ordersTag = []string{"Orders"}

// onOrder is what may become of an order, besides success.
var onOrder = []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity}

// registerBuying adds what sells, and what asks for the price of it.
func (a *API) registerBuying() {
	register(a, access.Buy, huma.Operation{OperationID: "place-order", Method: http.MethodPost, Path: "/v1/orders",
		Summary: "Buy", Tags: ordersTag, DefaultStatus: http.StatusCreated, MaxBodyBytes: 256 << 10, Errors: onOrder,
		Description: "Buys one or several subscriptions for a customer, now: all of them, or none. A purchase that breaks a rule is refused with 422; " +
			"the type of the problem ends with the code of the rule, and nothing is recorded. The customer must have accepted the relationship with its partner, and an add-on needs one of its prerequisites.",
	}, func(ctx context.Context, who access.Principal, in *placeOrder) (*ordered, error) {
		b, err := a.buyer(ctx, who, in.Body.CustomerID)
		if err != nil {
			return nil, err
		}
		return a.order(ctx, who, b, in.Key, in.Body.request())
	})
	register(a, access.SeeSubscriptions, huma.Operation{OperationID: "get-order", Method: http.MethodGet, Path: "/v1/orders/{id}",
		Summary: "Get an order", Tags: ordersTag, Errors: []int{http.StatusNotFound},
		Description: "The answer that was given when it was taken.",
	}, a.getOrder)
	a.registerChanges()
	a.registerQuotes()
}

// buyer is a customer that the caller sees, as things stand now.
type buyer struct {
	reading *jobs.Reading
	fact    ledger.CustomerFact
}

func (a *API) buyer(ctx context.Context, who access.Principal, customerID string) (b buyer, err error) {
	if b.reading, err = a.Current.Reading(); err != nil {
		return b, err
	}
	var ok bool
	if b.fact, ok = b.reading.Catalog().CustomerFact(customerID); !ok || !who.Sees(b.fact.PartnerID) {
		return b, notFound("customer " + customerID)
	}
	audit.About(ctx, b.fact.PartnerID, "customer "+customerID)
	return b, nil
}

// request is what somebody asks for: as it is told from others, and worked out.
type request struct {
	content any
	resolve func(s standing) ([]jobs.Asked, error)
	// where is what the n-th change is called in the request; "" for the whole of it.
	where func(n int) string
}

// standing is how things stand when a request is worked out.
type standing struct {
	at    pricing.Instant
	owned []subscription.View // the customer's subscriptions, the ended ones too
}

// plan makes an order of a request.
func (a *API) plan(b buyer, r request) (jobs.OrderPlan, error) {
	content, err := json.Marshal(r.content)
	return jobs.OrderPlan{
		PartnerID: b.fact.PartnerID, CustomerID: b.fact.ID, At: a.now(), Content: string(content), Reading: b.reading, Rule: a.maySell,
		Resolve: func(owned []subscription.View, at pricing.Instant) ([]jobs.Asked, error) {
			return r.resolve(standing{at, owned})
		},
	}, err
}

// order does what is asked for, once.
func (a *API) order(ctx context.Context, who access.Principal, b buyer, key string, r request) (*ordered, error) {
	plan, err := a.plan(b, r)
	if err != nil {
		return nil, err
	}
	plan.Key, plan.By = key, who.ID
	env := a.Env()
	env.Patience = lockPatience
	answer, err := env.Order(ctx, plan)
	a.Current.Renew()
	if err != nil {
		return nil, orderProblem(err, r)
	}
	id := jobs.OrderID(plan.PartnerID, key).String()
	audit.About(ctx, "", "order "+id)
	return &ordered{Location: "/v1/orders/" + id, Body: Order{answer}}, nil
}

// orderProblem is why something was not bought.
func orderProblem(err error, r request) error {
	var answered huma.StatusError
	var refused *jobs.RefusedError
	switch {
	case errors.As(err, &answered):
		return answered // found while the request was worked out
	case errors.Is(err, jobs.ErrKeyReused):
		return problem(http.StatusConflict, "idempotency-key-reused", "the idempotency key was used for another order of the partner")
	case errors.As(err, &refused):
		return refusal(refused.Quote, r)
	}
	return err
}

// refusal is the answer to what breaks a rule: the first one, and where each stands.
func refusal(q jobs.CartQuote, r request) error {
	first := q.Refused().Refused
	p := &huma.ErrorModel{Type: problemTypes + first.Code, Title: http.StatusText(http.StatusUnprocessableEntity),
		Status: http.StatusUnprocessableEntity, Detail: first.Reason, Errors: []*huma.ErrorDetail{{Location: "rule", Message: first.Rule}}}
	for i, c := range q.Changes {
		if where := r.where(i); c.Refused != nil && where != "" {
			p.Errors = append(p.Errors, &huma.ErrorDetail{Location: where, Message: c.Refused.Code + ": " + c.Refused.Reason})
		}
	}
	return p
}

func (a *API) getOrder(ctx context.Context, who access.Principal, in *getOrder) (*struct{ Body Order }, error) {
	reading, err := a.Current.Reading()
	if err != nil {
		return nil, err
	}
	id := strings.ToLower(in.ID)
	for partner := range reading.Catalog().Partners {
		if !who.Sees(partner) {
			continue
		}
		answer, err := a.Env().TakenOrder(ctx, partner, id)
		if errors.Is(err, jobs.ErrMissing) {
			continue
		}
		audit.About(ctx, partner, "order "+id)
		return &struct{ Body Order }{Order{answer}}, err
	}
	return nil, notFound("order " + in.ID)
}

// request is a cart.
func (o OrderBody) request() request {
	return request{
		content: o,
		where:   func(n int) string { return fmt.Sprintf("body.lines[%d]", n) },
		resolve: func(s standing) (all []jobs.Asked, err error) {
			for i, l := range o.Lines {
				asked, err := l.asked(s, fmt.Sprintf("body.lines[%d]", i))
				if err != nil {
					return nil, err
				}
				all = append(all, asked)
			}
			return all, nil
		},
	}
}

// asked is the purchase; where is what it is called in the request.
func (l PurchaseLine) asked(s standing, where string) (jobs.Asked, error) {
	asked := jobs.Asked{Type: change.Purchased, AskedData: jobs.AskedData{
		ProductID: l.ProductID, SkuID: l.SkuID, TermDuration: l.TermDuration, BillingCycle: l.BillingCycle, Quantity: &l.Quantity,
		IsTrial: l.IsTrial, PromotionID: l.PromotionID, ParentSubscriptionID: l.Parent, AutoRenewEnabled: l.AutoRenew,
	}}
	if l.Parent != "" {
		if _, ok := s.find(l.Parent); !ok {
			return asked, notFound("subscription " + l.Parent)
		}
	}
	term, _ := pricing.ParseTerm(l.TermDuration)
	end, err := l.EndDate.of(s, pricing.FullTerm(term, s.at.Date(), pricing.Clamp), "", where)
	asked.CustomTermEndDate = end
	return asked, err
}

// find returns a subscription that has not ended.
func (s standing) find(id string) (subscription.View, bool) {
	i := slices.IndexFunc(s.owned, func(v subscription.View) bool { return v.Term.SubscriptionID == id && !v.Ended })
	if i < 0 {
		return subscription.View{}, false
	}
	return s.owned[i], true
}

// The codes of what is refused here, though not where it has happened.
const (
	relationshipNotAccepted = "RELATIONSHIP_NOT_ACCEPTED"
	prerequisiteMissing     = "PREREQUISITE_MISSING"
)

// maySell refuses what is sold to a customer that has not agreed to buy from the
// partner, and an add-on to which it has nothing that it adds to.
func (a *API) maySell(ctx context.Context, b jobs.Buying) (map[string]*jobs.Refusal, error) {
	refused := make(map[string]*jobs.Refusal)
	var sales []*change.Change
	for _, c := range b.Changes {
		if sells(c, b.Owned) {
			sales = append(sales, c)
		}
	}
	if len(sales) == 0 {
		return refused, nil
	}
	fact, _ := b.Reading.Catalog().CustomerFact(b.Payer.Customer.ID)
	accepted, state, err := a.Relationships.Accepted(ctx, fact, b.At.Time())
	if err != nil {
		return nil, err
	}
	owned := b.Owned
	for _, c := range b.Changes {
		if c.Type == change.Purchased { // what comes along in the cart is there, too
			owned = append(owned[:len(owned):len(owned)], subscription.View{Term: &subscription.Term{SubscriptionID: c.Subject, SKU: c.SKU}})
		}
	}
	for _, c := range sales {
		if !accepted {
			refused[c.ID] = notAccepted(state)
			continue
		}
		offer, _ := b.Reading.Catalog().Offer(c.SKU, b.At.Date().Month())
		others := slices.DeleteFunc(slices.Clone(owned), func(v subscription.View) bool {
			return v.Term.SubscriptionID == c.Subject && c.Type == change.Purchased
		})
		if missing := jobs.MissingNeeds(offer, others); missing != nil {
			refused[c.ID] = &jobs.Refusal{Code: prerequisiteMissing, Reason: fmt.Sprintf("%s/%s needs one of %s", c.SKU.ProductID, c.SKU.SkuID, skus(missing)),
				Rule: "an add-on is bought on its own, and needs one of the products that the offer matrix names, active"}
		}
	}
	return refused, nil
}

// sells reports whether a change brings the customer something more.
func sells(c *change.Change, owned []subscription.View) bool {
	switch c.Type {
	case change.Purchased, change.Upgraded, change.TrialConverted:
		return true
	case change.QuantityChanged:
		s, ok := standing{owned: owned}.find(c.Subject)
		return ok && c.Quantity != nil && *c.Quantity > s.Quantity
	default:
		return false
	}
}

func notAccepted(state relationship.State) *jobs.Refusal {
	return &jobs.Refusal{Code: relationshipNotAccepted, Reason: "the customer's relationship with the partner is " + string(state) + ", not accepted",
		Rule: "something is sold to a customer only while it has accepted the relationship with its partner; ask for one, and let the customer answer"}
}

func skus(all []pricing.SKU) string {
	var names []string
	for _, s := range all {
		name := s.ProductID
		if s.SkuID != "" {
			name += "/" + s.SkuID
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
