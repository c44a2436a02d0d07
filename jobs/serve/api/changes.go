package api

import (
	"cmp"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Seats is how many there shall be.
type Seats struct {
	Quantity int64 `json:"quantity" minimum:"1" maximum:"1000000000" example:"30" doc:"The new total. Seats can go within 168 hours after they came"`
}

// Upgrade is what a subscription, or a part of its seats, becomes.
type Upgrade struct {
	ToProductID      string `json:"toProductId" minLength:"1" maxLength:"100" example:"CFQ7TTC0LCHC"`
	ToSkuID          string `json:"toSkuId" minLength:"1" maxLength:"100" example:"0002"`
	Quantity         *int64 `json:"quantity,omitempty" minimum:"1" maximum:"1000000000" doc:"So many seats move to a new subscription, or into toSubscriptionId. Default: all, and the subscription keeps its id"`
	ToSubscriptionID string `json:"toSubscriptionId,omitempty" maxLength:"200" doc:"One of the customer's that the seats move into"`
	TermDuration     string `json:"termDuration,omitempty" enum:"P1M,P1Y,P3Y" doc:"A longer term, which starts now. Default: the running one goes on"`
	BillingCycle     string `json:"billingCycle,omitempty" enum:"Monthly,Annual,Triennial" doc:"Of a longer term"`
	PromotionID      string `json:"promotionId,omitempty" maxLength:"200"`
}

// Schedule is what the next term shall be; what is left out stays as it is.
type Schedule struct {
	ProductID    string `json:"productId,omitempty" maxLength:"100"`
	SkuID        string `json:"skuId,omitempty" maxLength:"100"`
	TermDuration string `json:"termDuration,omitempty" enum:"P1M,P1Y,P3Y"`
	BillingCycle string `json:"billingCycle,omitempty" enum:"Monthly,Annual,Triennial"`
	Quantity     *int64 `json:"quantity,omitempty" minimum:"1" maximum:"1000000000"`
	PromotionID  string `json:"promotionId,omitempty" maxLength:"200"`
	EndDate
}

// AutoRenew is whether a subscription renews.
type AutoRenew struct {
	Enabled bool `json:"enabled" doc:"Without it the subscription expires at the end of its term, and what was scheduled is gone"`
}

// Conversion is what a trial becomes; what is left out is the trial's.
type Conversion struct {
	ToProductID  string `json:"toProductId,omitempty" maxLength:"100"`
	ToSkuID      string `json:"toSkuId,omitempty" maxLength:"100"`
	TermDuration string `json:"termDuration,omitempty" enum:"P1M,P1Y,P3Y"`
	BillingCycle string `json:"billingCycle,omitempty" enum:"Monthly,Annual,Triennial"`
	Quantity     *int64 `json:"quantity,omitempty" minimum:"1" maximum:"1000000000"`
	PromotionID  string `json:"promotionId,omitempty" maxLength:"200"`
}

// BillingPlan is how a term is billed from its next cycle on.
type BillingPlan struct {
	BillingCycle string `json:"billingCycle" enum:"Monthly,Annual,Triennial"`
}

// Nothing has nothing to say.
type Nothing struct{}

// SubscriptionChange is one change of one subscription: exactly one of the fields beside
// its id.
type SubscriptionChange struct {
	SubscriptionID string       `json:"subscriptionId" minLength:"1" maxLength:"200" example:"ac85bab0-1652-40cc-94ec-81da3ac37385"`
	Seats          *Seats       `json:"seats,omitempty"`
	Upgrade        *Upgrade     `json:"upgrade,omitempty"`
	NextTerm       *Schedule    `json:"nextTerm,omitempty"`
	ClearNextTerm  *Nothing     `json:"clearNextTerm,omitempty"`
	AutoRenew      *AutoRenew   `json:"autoRenew,omitempty"`
	EndDate        *EndDate     `json:"endDate,omitempty"`
	Conversion     *Conversion  `json:"conversion,omitempty"`
	Cancellation   *Nothing     `json:"cancellation,omitempty"`
	Suspension     *Nothing     `json:"suspension,omitempty"`
	Reactivation   *Nothing     `json:"reactivation,omitempty"`
	BillingPlan    *BillingPlan `json:"billingPlan,omitempty"`
}

// OfSubscription is a change that needs no more words.
type OfSubscription struct {
	ID string `path:"id" maxLength:"200" example:"ac85bab0-1652-40cc-94ec-81da3ac37385"`
	Idempotent
}

// changeOf is a change with a body.
type changeOf[B any] struct {
	OfSubscription
	Body B
}

func (a *API) registerChanges() {
	changes(a, "change-seats", http.MethodPost, "seats", "Change seats", "More seats are charged for the rest of the cycle, fewer are refunded; they can go within 168 hours after they came.",
		func(c *SubscriptionChange, b *Seats) { c.Seats = b })
	changes(a, "upgrade-subscription", http.MethodPost, "upgrades", "Upgrade all or some seats", "To what the offer matrix allows. The term goes on unless a longer one is asked for.",
		func(c *SubscriptionChange, b *Upgrade) { c.Upgrade = b })
	changes(a, "schedule-next-term", http.MethodPut, "next-term", "Schedule changes for the term's end", "Takes the place of whatever was scheduled before. It needs auto-renew, and applies at the renewal; a change of seats, an upgrade or a suspension before then drops it.",
		func(c *SubscriptionChange, b *Schedule) { c.NextTerm = b })
	says(a, "clear-next-term", http.MethodDelete, "next-term", "Drop what is scheduled", "", func(c *SubscriptionChange) { c.ClearNextTerm = &Nothing{} })
	changes(a, "set-auto-renew", http.MethodPost, "auto-renew", "Turn auto-renew on or off", "",
		func(c *SubscriptionChange, b *AutoRenew) { c.AutoRenew = b })
	changes(a, "align-end-date", http.MethodPost, "end-date", "Align the end of the next term", "The end of a term is fixed when it begins: this is scheduled for the renewal, beside what is scheduled already.",
		func(c *SubscriptionChange, b *EndDate) { c.EndDate = b })
	changes(a, "convert-trial", http.MethodPost, "conversion", "Convert a trial", "The paid term begins now.",
		func(c *SubscriptionChange, b *Conversion) { c.Conversion = b })
	says(a, "cancel-subscription", http.MethodPost, "cancellation", "Cancel", "Within 168 hours after the term's start; the rest of the cycle is refunded, within 24 hours all of it.", func(c *SubscriptionChange) { c.Cancellation = &Nothing{} })
	says(a, "suspend-subscription", http.MethodPost, "suspension", "Suspend", "It is billed on, and expires at the end of its term unless it is reactivated before.", func(c *SubscriptionChange) { c.Suspension = &Nothing{} })
	says(a, "reactivate-subscription", http.MethodPost, "reactivation", "Reactivate", "", func(c *SubscriptionChange) { c.Reactivation = &Nothing{} })
	changes(a, "change-billing-plan", http.MethodPost, "billing-plan", "Change the billing plan", "From the next cycle on; only terms of three years, and only before 2025-04-01.",
		func(c *SubscriptionChange, b *BillingPlan) { c.BillingPlan = b })
}

// changes adds an operation that changes a subscription as its body says.
func changes[B any](a *API, id, method, path, summary, description string, set func(*SubscriptionChange, *B)) {
	register(a, access.Buy, changeOperation(id, method, path, summary, description), func(ctx context.Context, who access.Principal, in *changeOf[B]) (*ordered, error) {
		c := SubscriptionChange{SubscriptionID: in.ID}
		set(&c, &in.Body)
		return a.change(ctx, who, in.Key, c)
	})
}

// says adds an operation that changes a subscription without any body.
func says(a *API, id, method, path, summary, description string, set func(*SubscriptionChange)) {
	register(a, access.Buy, changeOperation(id, method, path, summary, description), func(ctx context.Context, who access.Principal, in *OfSubscription) (*ordered, error) {
		c := SubscriptionChange{SubscriptionID: in.ID}
		set(&c)
		return a.change(ctx, who, in.Key, c)
	})
}

func changeOperation(id, method, path, summary, description string) huma.Operation {
	o := huma.Operation{OperationID: id, Method: method, Path: "/v1/subscriptions/{id}/" + path, Summary: summary, Description: description,
		Tags: ordersTag, DefaultStatus: http.StatusCreated, MaxBodyBytes: 16 << 10, Errors: onOrder}
	if method != http.MethodPost {
		o.DefaultStatus = http.StatusOK
	}
	return o
}

func (a *API) change(ctx context.Context, who access.Principal, key string, c SubscriptionChange) (*ordered, error) {
	b, err := a.owner(ctx, who, c.SubscriptionID)
	if err != nil {
		return nil, err
	}
	return a.order(ctx, who, b, key, c.request())
}

// owner is the customer of a subscription, if the caller sees it.
func (a *API) owner(ctx context.Context, who access.Principal, subscriptionID string) (buyer, error) {
	reading, err := a.Current.Reading()
	if err != nil {
		return buyer{}, err
	}
	seen := func(customerID string) bool {
		fact, ok := reading.Catalog().CustomerFact(customerID)
		return ok && who.Sees(fact.PartnerID)
	}
	customerID, ok, err := reading.Owner(ctx, subscriptionID, seen)
	if err != nil {
		return buyer{}, err
	}
	if !ok {
		return buyer{}, notFound("subscription " + subscriptionID)
	}
	return a.buyer(ctx, who, customerID)
}

// request is an order of one change.
func (c SubscriptionChange) request() request {
	return request{content: c, where: func(int) string { return "" }, resolve: func(s standing) ([]jobs.Asked, error) {
		asked, err := c.asked(s, "body")
		return []jobs.Asked{asked}, err
	}}
}

// asked works a change out; where is what it is called in the request.
func (c SubscriptionChange) asked(s standing, where string) (jobs.Asked, error) {
	asked := jobs.Asked{SubscriptionID: c.SubscriptionID}
	given := 0
	give := func(is bool, what change.Type) bool {
		if is {
			given++
			asked.Type = what
		}
		return is
	}
	var err error
	if give(c.Seats != nil, change.QuantityChanged) {
		asked.Quantity = &c.Seats.Quantity
	}
	if give(c.Upgrade != nil, change.Upgraded) {
		asked.AskedData, err = c.Upgrade.data(s)
	}
	if give(c.NextTerm != nil, change.NextTermScheduled) {
		asked.Next, err = c.NextTerm.next(s, c.SubscriptionID, where)
	}
	give(c.ClearNextTerm != nil, change.NextTermCleared)
	if give(c.AutoRenew != nil, change.RenewalChanged) {
		asked.AutoRenewEnabled = &c.AutoRenew.Enabled
	}
	if give(c.EndDate != nil, change.NextTermScheduled) {
		asked.Next, err = c.EndDate.next(s, c.SubscriptionID, where)
	}
	if give(c.Conversion != nil, change.TrialConverted) {
		v := c.Conversion
		asked.AskedData = jobs.AskedData{ToProductID: v.ToProductID, ToSkuID: v.ToSkuID, TermDuration: v.TermDuration, BillingCycle: v.BillingCycle,
			Quantity: v.Quantity, PromotionID: v.PromotionID}
	}
	give(c.Cancellation != nil, change.Canceled)
	give(c.Suspension != nil, change.Suspended)
	give(c.Reactivation != nil, change.Reactivated)
	if give(c.BillingPlan != nil, change.BillingPlanChanged) {
		asked.BillingCycle = c.BillingPlan.BillingCycle
	}
	if given != 1 {
		return asked, invalid(where, "want exactly one change of the subscription, such as seats", given)
	}
	return asked, err
}

func (u Upgrade) data(s standing) (jobs.AskedData, error) {
	data := jobs.AskedData{ToProductID: u.ToProductID, ToSkuID: u.ToSkuID, Quantity: u.Quantity, ToSubscriptionID: u.ToSubscriptionID,
		TermDuration: u.TermDuration, BillingCycle: u.BillingCycle, PromotionID: u.PromotionID}
	if u.ToSubscriptionID != "" {
		if _, ok := s.find(u.ToSubscriptionID); !ok {
			return data, notFound("subscription " + u.ToSubscriptionID)
		}
	}
	return data, nil
}

// next are the instructions for a subscription's next term.
func (n Schedule) next(s standing, subscriptionID, where string) (*jobs.NextTerm, error) {
	if n == (Schedule{}) {
		return nil, invalid(where, "say what the next term shall be; DELETE drops what is scheduled", nil)
	}
	next := &jobs.NextTerm{Quantity: n.Quantity, Product: jobs.NextProduct{ProductID: n.ProductID, SkuID: n.SkuID,
		TermDuration: n.TermDuration, BillingCycle: n.BillingCycle, PromotionID: n.PromotionID}}
	v, ok := s.find(subscriptionID)
	if !ok {
		return next, nil // it has ended, which the rules refuse
	}
	var err error
	next.CustomTermEndDate, err = n.EndDate.of(s, nextTerm(v, n.TermDuration), subscriptionID, where)
	return next, err
}

// next are the instructions that a subscription has already, with the end beside them.
func (e EndDate) next(s standing, subscriptionID, where string) (*jobs.NextTerm, error) {
	next := &jobs.NextTerm{}
	v, ok := s.find(subscriptionID)
	if !ok {
		return next, nil // it has ended, which the rules refuse
	}
	termDuration := ""
	if n := v.Next; n != nil {
		termDuration = n.TermDuration
		*next = jobs.NextTerm{Quantity: n.Quantity, Product: jobs.NextProduct{ProductID: n.SKU.ProductID, SkuID: n.SKU.SkuID,
			TermDuration: n.TermDuration, BillingCycle: n.BillingCycle, PromotionID: n.PromotionID}}
	}
	if e == (EndDate{}) {
		return nil, invalid(where, "give customTermEndDate or alignTo", nil)
	}
	var err error
	next.CustomTermEndDate, err = e.of(s, nextTerm(v, termDuration), subscriptionID, where)
	return next, err
}

// nextTerm is the full term that follows the running one.
func nextTerm(v subscription.View, termDuration string) pricing.TermSpan {
	term, ok := pricing.ParseTerm(termDuration)
	if !ok {
		term = v.Term.Span.Term
	}
	return pricing.FullTerm(cmp.Or(term, pricing.P1M), v.Term.Span.End+1, v.Term.Span.MonthEnd)
}
