package jobs

import (
	"context"
	"fmt"
	"slices"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Story is all that is known of one subscription on a day: where it stands, how it
// came to that, and what it was billed.
type Story struct {
	SubscriptionFacts
	// Day is the one at whose end the subscription stands so.
	Day string `json:"day"`
	// Next is what will be charged, at what is known now.
	Next *Upcoming `json:"next,omitempty"`
	// Terms are what it was billed by, in order, the current one included.
	Terms   []StoryTerm  `json:"terms"`
	History []StoryEvent `json:"history"`
	// UpgradedFrom and UpgradedInto are other subscriptions, from and into which an
	// upgrade moved seats.
	UpgradedFrom []string `json:"upgradedFrom,omitempty"`
	UpgradedInto []string `json:"upgradedInto,omitempty"`
	// Lines are those of every month up to the day's: as they were issued, and in open
	// months as they would be billed now. Sums add them up, a currency each.
	Lines []StoryLine `json:"lines"`
	Sums  []StorySum  `json:"sums"`
}

// SubscriptionFacts say where a subscription stands.
type SubscriptionFacts struct {
	SubscriptionID string `json:"subscriptionId"`
	CustomerID     string `json:"customerId"`
	CustomerName   string `json:"customerName,omitempty"`
	PartnerID      string `json:"partnerId"`

	// State is active, suspended, parked, ended or refused.
	State string `json:"state" enum:"active,suspended,parked,ended,refused"`
	// Parked says why it is not billed.
	Parked *Parking `json:"parked,omitempty"`

	ProductID    string `json:"productId"`
	SkuID        string `json:"skuId"`
	ProductName  string `json:"productName,omitempty"`
	SkuName      string `json:"skuName,omitempty"`
	TermDuration string `json:"termDuration,omitempty"` // P1M, P1Y or P3Y
	BillingCycle string `json:"billingCycle,omitempty"` // Monthly, Annual, Triennial or None
	TermStart    string `json:"termStart,omitempty"`
	TermEnd      string `json:"termEnd,omitempty"` // of one that has ended its last day
	CustomEnd    bool   `json:"customEnd,omitempty"`
	Trial        bool   `json:"trial,omitempty"`
	AddOn        bool   `json:"addOn,omitempty"`

	Quantity int64 `json:"quantity"`
	// Layers are the seats by the window in which they can be taken back, oldest first.
	Layers []SeatLayer `json:"layers"`
	// CancelUntil is the last instant at which all of it can be cancelled; "" where
	// that has passed or an upgrade made it.
	CancelUntil string     `json:"cancelUntil,omitempty"`
	AutoRenew   bool       `json:"autoRenewEnabled"`
	Scheduled   *Scheduled `json:"scheduled,omitempty"`
	// Price is the one that the term has locked; absent while parked.
	Price *PriceFacts `json:"price,omitempty"`
}

// The states of a subscription. One that is suspended and has no price is parked; one
// that is refused never came to be.
const (
	StateActive    = "active"
	StateSuspended = "suspended"
	StateParked    = "parked"
	StateEnded     = "ended"
	StateRefused   = "refused"
)

// Parking says why a term is not billed.
type Parking struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// SeatLayer is a number of seats that were added together.
type SeatLayer struct {
	Seats int64  `json:"seats"`
	Since string `json:"since"`
	// Until is the last instant at which they can be taken back; "" for seats that an
	// upgrade moved: those cannot.
	Until string `json:"until,omitempty"`
	// Open is set while they can, at the end of the day.
	Open bool `json:"open"`
}

// Scheduled is what a subscription will be without any further change. What is left
// out stays.
type Scheduled struct {
	// On is the first day of it: of the next term, or of the next cycle for a plan alone.
	On           string `json:"on"`
	ProductID    string `json:"productId,omitempty"`
	SkuID        string `json:"skuId,omitempty"`
	TermDuration string `json:"termDuration,omitempty"`
	BillingCycle string `json:"billingCycle,omitempty"`
	Quantity     *int64 `json:"quantity,omitempty"`
	CustomEnd    string `json:"customTermEndDate,omitempty"`
	PromotionID  string `json:"promotionId,omitempty"`
}

// Upcoming is what follows, each a line that would be billed.
type Upcoming struct {
	Currency string `json:"currency"`
	// Charge is the next one of all; Renewal is the first of the next term.
	Charge  *CycleCharge `json:"charge,omitempty"`
	Renewal *CycleCharge `json:"renewal,omitempty"`
	// RenewalParked says why it renews but has no price by then.
	RenewalParked string   `json:"renewalParked,omitempty"`
	Notes         []string `json:"notes,omitempty"`
}

// StoryTerm is a term, or a part of one, that had one product, plan and price.
type StoryTerm struct {
	// Start and End are the term's; From and To the days on which it was in force, To
	// being what is expected of the current one.
	Start        string `json:"start"`
	End          string `json:"end"`
	From         string `json:"from"`
	To           string `json:"to"`
	ProductID    string `json:"productId"`
	SkuID        string `json:"skuId"`
	SkuName      string `json:"skuName,omitempty"`
	TermDuration string `json:"termDuration,omitempty"`
	BillingCycle string `json:"billingCycle"`
	Trial        bool   `json:"trial,omitempty"`
	CustomEnd    bool   `json:"customEnd,omitempty"`
	Parked       bool   `json:"parked,omitempty"` // when it began
	UnitPrice    string `json:"unitPrice,omitempty"`
	Currency     string `json:"currency,omitempty"`
	PromotionID  string `json:"promotionId,omitempty"`
	// Cycles are the first days of its charge cycles.
	Cycles []string `json:"cycles"`
}

// StoryEvent is something that happened to the subscription or should have.
type StoryEvent struct {
	Time string `json:"time"`
	// Kind is change, renewal, expiry or plan: what the calendar does has no change.
	Kind   string      `json:"kind" enum:"change,renewal,expiry,plan"`
	Change *EventFacts `json:"change,omitempty"`
	// Did says in words what came of it. Refused says why nothing did.
	Did     string   `json:"did"`
	Refused *Refusal `json:"refused,omitempty"`
	// Notes are exceptions that came with it.
	Notes []string `json:"notes,omitempty"`
	// QuantityBefore and Quantity are the seats; State and Layers are those after it.
	QuantityBefore int64       `json:"quantityBefore"`
	Quantity       int64       `json:"quantity"`
	State          string      `json:"state"`
	Layers         []SeatLayer `json:"layers"`
	// Other is the subscription that an upgrade moved seats from or to.
	Other string `json:"other,omitempty"`
	// ReferenceID is the one of the event's lines.
	ReferenceID string `json:"referenceId,omitempty"`
}

// The kinds of events.
const (
	EventChange  = "change"
	EventRenewal = "renewal"
	EventExpiry  = "expiry"
	EventPlan    = "plan"
)

// StoryLine is a line of the subscription. Its State is closed, or open where it has
// no file and no number yet.
type StoryLine struct {
	LineFacts
	// Event is the id of the change that asked for it; "" for cycles and renewals.
	Event string `json:"event,omitempty"`
	// Corrects names the issued line that it takes back.
	Corrects string `json:"corrects,omitempty"`
}

// LineOpen is the state of a line of an open month.
const LineOpen = "open"

// StorySum adds lines up.
type StorySum struct {
	Currency string `json:"currency"`
	Lines    int    `json:"lines"`
	Amounts
	// Issued and Open are the parts of it that were and were not yet issued.
	Issued Amounts `json:"issued"`
	Open   Amounts `json:"open"`
}

// StoryPlan says which story is told.
type StoryPlan struct {
	CustomerID     string
	SubscriptionID string
	// Day is the one at whose end it stops. Lines go to the end of its month.
	Day pricing.Date
	// NoLines leaves out what was billed.
	NoLines bool
}

// Story tells of a customer's subscription.
func (r *Reading) Story(ctx context.Context, plan StoryPlan) (Story, error) {
	s, err := r.story(ctx, plan)
	if err != nil {
		return Story{}, fmt.Errorf("subscription %s: %w", plan.SubscriptionID, err)
	}
	return s, nil
}

func (r *Reading) story(ctx context.Context, plan StoryPlan) (Story, error) {
	customerID, subscriptionID, day := plan.CustomerID, plan.SubscriptionID, plan.Day
	whole, err := r.CustomerHistory(ctx, customerID)
	if err != nil {
		return Story{}, err
	}
	t := teller{reading: r, ctx: ctx, id: subscriptionID, day: day}
	t.customer, t.family = relatives(whole, subscriptionID)
	if err := t.live(); err != nil {
		return Story{}, err
	}
	if len(t.events) == 0 {
		return Story{}, fmt.Errorf("%w: customer %s has none of that id on %s", ErrMissing, customerID, day)
	}
	s := Story{Day: day.String(), Terms: []StoryTerm{}, History: []StoryEvent{}, Lines: []StoryLine{}, Sums: []StorySum{}}
	if s.SubscriptionFacts, err = t.facts(); err != nil {
		return Story{}, err
	}
	s.Terms = append(s.Terms, t.storyTerms()...)
	for _, e := range t.events {
		told := t.tell(e)
		s.History = append(s.History, told)
		if told.Other == "" || told.Refused != nil {
			continue
		}
		list := &s.UpgradedInto
		if e.change.Subject != subscriptionID {
			list = &s.UpgradedFrom
		}
		if !slices.Contains(*list, told.Other) {
			*list = append(*list, told.Other)
		}
	}
	if s.Next, err = t.upcoming(s.SubscriptionFacts); err != nil {
		return Story{}, err
	}
	if plan.NoLines {
		return s, r.catalog.Err()
	}
	if s.Lines, s.Sums, err = t.lines(); err != nil {
		return Story{}, err
	}
	return s, r.catalog.Err()
}

// relatives keeps of a customer's history what a subscription's life depends on: its own
// changes, and those of all that upgrades connect with it, which are the family.
func relatives(c invoice.Customer, subscriptionID string) (_ invoice.Customer, family map[string]bool) {
	family = map[string]bool{subscriptionID: true}
	for grown := true; grown; {
		grown = false
		for _, one := range c.Changes {
			if one.Type != change.Upgraded || one.ToSubscription == "" || family[one.Subject] == family[one.ToSubscription] {
				continue
			}
			family[one.Subject], family[one.ToSubscription], grown = true, true, true
		}
	}
	of := func(one *change.Change) bool {
		if one.Type == change.CustomerCredited {
			return family[one.SubscriptionID]
		}
		return family[one.Subject]
	}
	kept := invoice.Customer{ID: c.ID, Locks: c.Locks}
	for _, one := range c.Changes {
		if of(one) {
			kept.Changes = append(kept.Changes, one)
		}
	}
	for _, one := range c.Conflicts {
		if of(one) {
			kept.Conflicts = append(kept.Conflicts, one)
		}
	}
	return kept, family
}

// standsAs names where a subscription stands.
func standsAs(v *subscription.View) string {
	switch {
	case v == nil:
		return StateRefused
	case v.Ended:
		return StateEnded
	case v.Parked:
		return StateParked
	case v.Suspended:
		return StateSuspended
	}
	return StateActive
}

// layersOf are the seats of a subscription at an instant, by their windows.
func layersOf(v *subscription.View, at pricing.Instant) []SeatLayer {
	layers := []SeatLayer{}
	if v == nil || v.Ended {
		return layers
	}
	for _, l := range v.Layers {
		layer := SeatLayer{Seats: l.Seats, Since: l.Added.String()}
		if !l.Closed {
			end := subscription.WindowEnd(l.Added)
			layer.Until, layer.Open = end.String(), at <= end
		}
		layers = append(layers, layer)
	}
	return layers
}
