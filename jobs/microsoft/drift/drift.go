package drift

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Ours is what the ledger believes of a customer.
type Ours struct {
	CustomerID    string
	Subscriptions []subscription.View
	// Seen reports whether a subscription that is none of these was there before and
	// has ended. Nil: none was.
	Seen func(subscriptionID string) bool
}

// Customer is one customer with both sides.
type Customer struct {
	Ours
	Theirs []Theirs
	// At is when Microsoft was asked. The ledger's side is that of the same day.
	At pricing.Instant
}

// The fields in which two sides differ.
const (
	FieldCustomer      = "customer" // could not be compared
	FieldSubscription  = "subscription"
	FieldStatus        = "status"
	FieldProduct       = "product"
	FieldTerm          = "termDuration"
	FieldPlan          = "billingCycle"
	FieldCommitmentEnd = "commitmentEnd"
	FieldQuantity      = "quantity"
	FieldAutoRenew     = "autoRenewEnabled"
	FieldNextTerm      = "scheduledNextTerm"
)

// Finding is one difference.
type Finding struct {
	CustomerID     string
	SubscriptionID string
	Field          string
	Ours, Theirs   string
	// Changes would make the ledger agree. Without any, Reason says why there is none;
	// with some, how their instants are known.
	Changes []*change.Change
	Reason  string
}

// Compare returns the differences of one customer, in the order of the
// subscriptions' ids. Ids are compared in any case of letters; findings have ours.
func Compare(c Customer) []Finding {
	x := comparison{Customer: c}
	theirs := make(map[string]*Theirs, len(c.Theirs))
	for i := range c.Theirs {
		theirs[fold(c.Theirs[i].ID)] = &c.Theirs[i]
	}
	for i := range c.Subscriptions {
		ours := &c.Subscriptions[i]
		id := fold(ours.Term.SubscriptionID)
		x.id = ours.Term.SubscriptionID
		if t, ok := theirs[id]; ok {
			x.both(ours, t)
			delete(theirs, id)
		} else if !ours.Ended {
			x.find(FieldSubscription, stateOf(ours).String(), "none", "Microsoft does not list it")
		}
	}
	for _, t := range theirs {
		x.id = t.ID
		x.onlyTheirs(t)
	}
	slices.SortStableFunc(x.findings, func(a, b Finding) int { return strings.Compare(a.SubscriptionID, b.SubscriptionID) })
	return x.findings
}

// fold makes ids comparable: GUIDs are printed in either case.
func fold(id string) string { return strings.ToLower(id) }

type comparison struct {
	Customer
	id       string // of the subscription at hand
	findings []Finding
}

// find adds a difference that no change is proposed for.
func (x *comparison) find(field, ours, theirs, reason string) { x.propose(field, ours, theirs, reason) }

func (x *comparison) propose(field, ours, theirs, reason string, changes ...*change.Change) {
	x.findings = append(x.findings, Finding{CustomerID: x.CustomerID, SubscriptionID: x.id, Field: field,
		Ours: ours, Theirs: theirs, Reason: reason, Changes: changes})
}

func stateOf(v *subscription.View) Status {
	switch {
	case v.Ended:
		return Ended
	case v.Suspended:
		return Suspended
	}
	return Active
}

// onlyTheirs is a subscription that the ledger does not have, or no more.
func (x *comparison) onlyTheirs(t *Theirs) {
	switch {
	case !t.stands() || t.Elsewhere:
		// It is billed elsewhere, it ended, or says nothing: either way nobody is billed for it.
	case x.Seen != nil && x.Seen(t.ID):
		x.find(FieldStatus, Ended.String(), t.Word, "the ledger has it as ended before the last close; nothing says when it came back")
	default:
		changes, reason := x.purchase(t)
		x.propose(FieldSubscription, "none", describe(t), reason, changes...)
	}
}

func describe(t *Theirs) string {
	parts := []string{t.Word}
	if t.Quantity != nil {
		parts = append(parts, fmt.Sprint(*t.Quantity))
	}
	parts = append(parts, product(t.SKU), t.Term.String(), t.Plan.String())
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

func product(sku pricing.SKU) string {
	if sku.ProductID == "" {
		return ""
	}
	return sku.ProductID + "/" + sku.SkuID
}

// both compares a subscription that both sides have.
func (x *comparison) both(ours *subscription.View, t *Theirs) {
	state := stateOf(ours)
	switch {
	case t.Status == Unknown:
		return
	case state == Ended && t.Status == Ended:
		return
	case state != Ended && t.Status == Ended:
		changes, reason := x.expiry(ours, t)
		x.propose(FieldStatus, state.String(), t.Word, reason, changes...)
		return
	case state == Ended:
		x.find(FieldStatus, "ended on "+ours.Term.Span.End.String(), t.Word, "nothing says when it came back, or that the change which ended it was wrong")
		return
	}
	if state != t.Status {
		x.find(FieldStatus, state.String(), t.Word, "a snapshot does not say when that happened")
	}
	x.terms(ours, t)
	x.seats(ours, t)
	x.renewal(ours, t)
}

// terms compares what a term is, none of which a snapshot dates.
func (x *comparison) terms(ours *subscription.View, t *Theirs) {
	term := ours.Term
	if mine, other := product(term.SKU), product(t.SKU); other != "" && mine != other {
		x.find(FieldProduct, mine, other, "a snapshot does not say when it was upgraded, or which seats moved")
	}
	if term.Span.Trial != t.Trial {
		x.find(FieldTerm, trialWord(term.Span.Trial), trialWord(t.Trial), "a snapshot does not say when the trial was converted")
		return
	}
	if !t.Trial { // of a trial, term and plan are what comes after it
		if t.Term != pricing.NoTerm && t.Term != term.Span.Term {
			x.find(FieldTerm, term.Span.Term.String(), t.Term.String(), "a snapshot does not say when it changed")
		}
		if t.Plan != pricing.NoPlan && t.Plan != term.Plan {
			x.find(FieldPlan, term.Plan.String(), t.Plan.String(), "a snapshot does not say when it changed")
		}
	}
	if t.CommitmentEnd != pricing.NoDate && t.CommitmentEnd != term.Span.End {
		x.find(FieldCommitmentEnd, term.Span.End.String(), t.CommitmentEnd.String(), "the terms are not the same: a renewal, an upgrade or a custom end is missing on one side")
	}
}

func trialWord(trial bool) string {
	if trial {
		return "trial"
	}
	return "paid"
}

func (x *comparison) seats(ours *subscription.View, t *Theirs) {
	if t.Quantity == nil || *t.Quantity == ours.Quantity {
		return
	}
	was, now := ours.Quantity, *t.Quantity
	changes, reason := x.additions(ours, t)
	x.propose(FieldQuantity, fmt.Sprint(was), fmt.Sprint(now), reason, changes...)
}

// renewal compares what happens at the term's end.
func (x *comparison) renewal(ours *subscription.View, t *Theirs) {
	if t.AutoRenew != nil && *t.AutoRenew != ours.AutoRenew {
		var changes []*change.Change
		reason := x.undatable(ours, t)
		if reason == "" {
			c := x.change(change.RenewalChanged, x.At, x.snapshotID(FieldAutoRenew))
			c.AutoRenew = t.AutoRenew
			changes, reason = append(changes, c), datedAtSnapshot
		}
		x.propose(FieldAutoRenew, fmt.Sprint(ours.AutoRenew), fmt.Sprint(*t.AutoRenew), reason, changes...)
	}
	renews := ours.AutoRenew
	if t.AutoRenew != nil {
		renews = *t.AutoRenew
	}
	// Without a renewal nothing that is scheduled comes about.
	if !renews || sameNext(ours, t) {
		return
	}
	var changes []*change.Change
	reason := x.undatable(ours, t)
	if reason == "" {
		c := x.change(change.NextTermCleared, x.At, x.snapshotID(FieldNextTerm))
		if t.Next != nil {
			c.Type, c.NextTerm = change.NextTermScheduled, t.Next
		}
		changes, reason = append(changes, c), datedAtSnapshot
	}
	x.propose(FieldNextTerm, nextText(ours.Next), nextText(t.Next), reason, changes...)
}

const datedAtSnapshot = "dated at the snapshot: before the term's end no amount depends on it"

// undatable says why a change cannot be dated at the snapshot.
func (x *comparison) undatable(ours *subscription.View, t *Theirs) string {
	switch {
	case ours.Suspended || t.Status != Active:
		return "it is not active on both sides"
	case t.CommitmentEnd != ours.Term.Span.End:
		return "the term does not end on the same day on both sides"
	case t.CommitmentEnd < x.At.Date():
		return "the term has ended already"
	}
	return ""
}

// sameNext reports whether both sides renew into the same, however much of it
// they spell out.
func sameNext(ours *subscription.View, t *Theirs) bool {
	if ours.Term.Span.Trial && (ours.Next == nil) != (t.Next == nil) {
		return false // a trial without instructions ends
	}
	return effect(ours, ours.Next) == effect(ours, t.Next)
}

// renewed is what a subscription renews into.
type renewed struct {
	sku      pricing.SKU
	term     pricing.Term
	plan     pricing.Plan
	quantity int64
	end      pricing.Date
	asked    string // the promotion, where the instructions name one
}

func effect(v *subscription.View, next *change.NextTerm) renewed {
	r := renewed{v.Term.SKU, v.Term.Span.Term, v.Term.Plan, v.Quantity, pricing.NoDate, ""}
	if next == nil {
		return r
	}
	r.sku = pricing.SKU{ProductID: cmp.Or(next.SKU.ProductID, r.sku.ProductID), SkuID: cmp.Or(next.SKU.SkuID, r.sku.SkuID)}
	if term, ok := pricing.ParseTerm(next.TermDuration); ok {
		r.term = term
	}
	if plan, ok := pricing.ParsePlan(next.BillingCycle); ok {
		r.plan = plan
	}
	if next.Quantity != nil {
		r.quantity = *next.Quantity
	}
	r.end, r.asked = next.CustomTermEnd, next.PromotionID
	return r
}

func nextText(next *change.NextTerm) string {
	if next == nil || next.Empty() {
		return "none"
	}
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if next.Quantity != nil {
		add(fmt.Sprint(*next.Quantity))
	}
	add(product(next.SKU))
	add(next.TermDuration)
	add(next.BillingCycle)
	if next.CustomTermEnd != pricing.NoDate {
		add("to " + next.CustomTermEnd.String())
	}
	add(next.PromotionID)
	return strings.Join(parts, " ")
}
