package microsoft

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/calends/calends/jobs/microsoft/drift"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// auditSource is what changes made of audit records name as theirs.
const auditSource = "partner-center/audit"

// bills reports whether the record may be about something that is billed here.
func (r *AuditRecord) bills() bool {
	return r.ResourceType == "subscription" || r.ResourceType == "order"
}

// changes makes changes of a record where the values before and after prove them,
// and says of the rest why they do not. Neither means that nothing is billed.
func (r *AuditRecord) changes() ([]*change.Change, []AuditLeft) {
	if !r.bills() || r.OperationStatus == "failed" {
		return nil, nil
	}
	a := audited{record: r, customer: lowerGUID(r.CustomerID)}
	at, err := instantOf(r.OperationDate)
	switch {
	case r.OperationStatus != "succeeded":
		a.leave("its status is " + string(r.OperationStatus) + ": want succeeded")
	case err != nil:
		a.leave("operationDate: " + err.Error())
	case at == 0:
		a.leave("it has no operationDate")
	case a.customer == "":
		a.leave("it names no customer")
	case r.ResourceType == "order":
		a.at = at
		a.order()
	default:
		a.at = at
		a.subscription()
	}
	return a.changes, a.left
}

// audited is a record on its way to changes.
type audited struct {
	record   *AuditRecord
	customer string
	id       string // of the subscription at hand
	at       pricing.Instant
	changes  []*change.Change
	left     []AuditLeft
}

func (a *audited) leave(reason string) {
	a.left = append(a.left, AuditLeft{RecordID: a.record.key(), CustomerID: a.customer, SubscriptionID: a.id,
		Operation: string(a.record.OperationType), Time: a.record.OperationDate, Reason: reason})
}

// add begins a change. The first has the record's own id, another a number behind
// it, in the order in which they are to be applied.
func (a *audited) add(kind change.Type) *change.Change {
	id := a.record.key()
	if n := len(a.changes); n > 0 {
		id = fmt.Sprintf("%s/%03d", id, n+1)
	}
	c := noChange()
	c.ID, c.Source, c.Type, c.At, c.CustomerID, c.Subject = id, auditSource, kind, a.at, a.customer, a.id
	a.changes = append(a.changes, c)
	return c
}

// subscription compares the values before and after.
func (a *audited) subscription() {
	before, whole, err := readSubscription(a.record.ResourceOldValue)
	if err != nil {
		a.leave("resourceOldValue: " + err.Error())
		return
	}
	after, _, err := readSubscription(a.record.ResourceNewValue)
	switch {
	case err != nil:
		a.leave("resourceNewValue: " + err.Error())
		return
	case before == nil && after == nil:
		a.leave("it says neither what was before nor what came after")
		return
	case after == nil:
		a.id = before.ID
		a.leave("it does not say what came after")
		return
	}
	a.id = after.ID
	switch {
	case after.Elsewhere:
		return
	case before == nil:
		a.leave("it does not say what was before")
	case before.ID != after.ID:
		a.leave("it leads from subscription " + before.ID + " to this one: how many seats moved, and whether this one was there before, is not said")
	default:
		a.compare(before, after, whole)
	}
}

// readSubscription reads a value of a record; nil where there is none. whole is the
// resource's, with all that it has, not a part of it.
func readSubscription(value text) (_ *drift.Theirs, whole bool, err error) {
	if value == "" {
		return nil, false, nil
	}
	var s subscriptionResource
	if err := json.Unmarshal([]byte(value), &s); err != nil {
		return nil, false, fmt.Errorf("not a subscription: %w", err)
	}
	t, err := s.theirs()
	if err != nil {
		return nil, false, err
	}
	t.Elsewhere = !s.licensed()
	whole = t.Word != "" && t.Quantity != nil && t.CommitmentEnd != pricing.NoDate
	return &t, whole, nil
}

// compare finds what is billed among what changed. Its order is that in which the
// changes are applied: what needs an active subscription first.
func (a *audited) compare(before, after *drift.Theirs, whole bool) {
	status := a.status(before, after)
	if status == change.Reactivated {
		a.add(status)
	}
	if status == change.Canceled {
		a.add(status) // whatever else the record says, it ends the subscription
		return
	}
	moved := a.term(before, after)
	quantity := !moved && differ(before.Quantity, after.Quantity)
	if quantity {
		switch {
		case *after.Quantity < 1:
			a.leave(fmt.Sprintf("a quantity of %d", *after.Quantity))
		case before.Status == drift.Suspended && after.Status == drift.Suspended:
			a.leave("the quantity of a suspended subscription changed")
		default:
			a.add(change.QuantityChanged).Quantity = after.Quantity
		}
	}
	off := false
	if differ(before.AutoRenew, after.AutoRenew) {
		a.add(change.RenewalChanged).AutoRenew = after.AutoRenew
		off = !*after.AutoRenew
	}
	a.next(before, after, whole && !off && !quantity && !moved && status != change.Suspended)
	if status == change.Suspended {
		a.add(status)
	}
}

func differ[T comparable](before, after *T) bool {
	return before != nil && after != nil && *before != *after
}

// status returns the change of the status, which the caller adds where it belongs.
func (a *audited) status(before, after *drift.Theirs) change.Type {
	if before.Word == after.Word || before.Word == "" || after.Word == "" {
		return ""
	}
	from, to := before.Status, after.Status
	switch {
	case from == drift.Active && to == drift.Suspended:
		return change.Suspended
	case from == drift.Suspended && to == drift.Active:
		return change.Reactivated
	case to == drift.Ended && after.Word != "expired" && after.Word != "disabled" && (from == drift.Active || from == drift.Suspended):
		// Cancelled: what only runs out is expired or disabled for months before.
		if before.CommitmentEnd != pricing.NoDate && a.at.Date() > before.CommitmentEnd {
			a.leave("it was deleted after its term had ended: the ledger ends it by itself")
			return ""
		}
		return change.Canceled
	case from == drift.Ended && to == drift.Ended, before.Word == "pending" && to == drift.Active:
		return ""
	}
	a.leave("from " + before.Word + " to " + after.Word + ": not a cancellation, a suspension or its end")
	return ""
}

// term makes a change of another product, term or plan. moved says that something
// of the kind happened, also where it is left.
func (a *audited) term(before, after *drift.Theirs) (moved bool) {
	product := before.SKU != after.SKU && before.SKU.ProductID != "" && after.SKU.ProductID != ""
	length := before.Term != after.Term && before.Term != pricing.NoTerm && after.Term != pricing.NoTerm
	plan := before.Plan != after.Plan && before.Plan != pricing.NoPlan && after.Plan != pricing.NoPlan
	end := before.CommitmentEnd != after.CommitmentEnd && before.CommitmentEnd != pricing.NoDate && after.CommitmentEnd != pricing.NoDate
	switch {
	case before.Trial && !after.Trial:
		a.conversion(after)
		return true
	case before.Trial != after.Trial:
		a.leave("a paid subscription that became a trial")
		return true
	case !product && !length && !plan && !end:
		return false
	case before.CommitmentEnd != pricing.NoDate && a.at.Date() > before.CommitmentEnd:
		a.leave("it renewed: the ledger renews by itself")
		return true
	case !product && !length && !end:
		a.add(change.BillingPlanChanged).BillingCycle = after.Plan.String()
		return false
	case !product && !length:
		a.leave("the end of its term moved from " + before.CommitmentEnd.String() + " to " + after.CommitmentEnd.String())
		return true
	case differ(before.Quantity, after.Quantity):
		a.leave("product or term and the quantity changed at once: which seats moved is not said")
		return true
	case before.Status != drift.Active || after.Status == drift.Suspended:
		a.leave("product or term of a subscription changed that is not active")
		return true
	case length && after.Term < before.Term:
		a.leave("a shorter term, " + after.Term.String() + " for " + before.Term.String())
		return true
	case plan && !length:
		a.leave("product and billing cycle changed at once, in the same term")
		return true
	}
	c := a.add(change.Upgraded)
	c.SKU = after.SKU
	if length {
		c.TermDuration, c.BillingCycle = after.Term.String(), after.Plan.String()
	}
	if after.PromotionID != before.PromotionID {
		c.PromotionID = after.PromotionID
	}
	return true
}

// conversion makes a paid subscription of a trial.
func (a *audited) conversion(after *drift.Theirs) {
	if after.SKU.ProductID == "" || after.Quantity == nil || !after.Term.Allows(after.Plan) {
		a.leave("a trial was converted, but to which product, quantity, term and billing cycle is not said")
		return
	}
	c := a.add(change.TrialConverted)
	c.SKU, c.Quantity, c.PromotionID = after.SKU, after.Quantity, after.PromotionID
	c.TermDuration, c.BillingCycle = after.Term.String(), after.Plan.String()
}

// next makes a change of what is scheduled. cleared allows that nothing said means
// nothing scheduled: other changes clear the schedule by themselves, and a part of a
// resource says nothing by leaving it out.
func (a *audited) next(before, after *drift.Theirs, cleared bool) {
	switch {
	case after.Next == nil && before.Next != nil && cleared:
		a.add(change.NextTermCleared)
	case after.Next != nil && (before.Next == nil || !sameNextTerm(before.Next, after.Next)):
		a.add(change.NextTermScheduled).NextTerm = after.Next
	}
}

func sameNextTerm(a, b *change.NextTerm) bool {
	one, other := *a, *b
	if differ(one.Quantity, other.Quantity) || (one.Quantity == nil) != (other.Quantity == nil) {
		return false
	}
	one.Quantity, other.Quantity = nil, nil
	return one == other
}

// orderResource is an order as audit records have it.
type orderResource struct {
	ID              string      `json:"id"`
	BillingCycle    word        `json:"billingCycle"`
	TransactionType word        `json:"transactionType"`
	Status          word        `json:"status"`
	LineItems       []orderLine `json:"lineItems"`
}

type orderLine struct {
	OfferID              string     `json:"offerId"`
	SubscriptionID       string     `json:"subscriptionId"`
	ParentSubscriptionID string     `json:"parentSubscriptionId"`
	Quantity             *wholeText `json:"quantity"`
	CustomTermEndDate    string     `json:"customTermEndDate"`
	TermDuration         string     `json:"termDuration"`
	BillingCycle         word       `json:"billingCycle"`
	TransactionType      word       `json:"transactionType"`
	PromotionID          string     `json:"promotionId"`
}

// order makes purchases of the lines of a new order.
func (a *audited) order() {
	if a.record.OperationType != "create_order" {
		a.leave("an order that changed: the records of its subscriptions say what")
		return
	}
	var o orderResource
	if err := json.Unmarshal([]byte(a.record.ResourceNewValue), &o); err != nil {
		a.leave("resourceNewValue: not an order: " + err.Error())
		return
	}
	switch {
	case len(o.LineItems) == 0:
		a.leave("an order without lines")
	case o.Status != "" && o.Status != "completed" && o.Status != "unknown":
		a.leave("an order that is " + string(o.Status) + ": what comes of it is not said")
	default:
		for i := range o.LineItems {
			a.id = lowerGUID(o.LineItems[i].SubscriptionID)
			a.purchase(&o, &o.LineItems[i])
		}
	}
}

func (a *audited) purchase(o *orderResource, l *orderLine) {
	product, sku, availability := splitOffer(l.OfferID)
	term, sold := pricing.ParseTerm(l.TermDuration)
	cycle := l.BillingCycle
	if cycle == "" {
		cycle = o.BillingCycle
	}
	plan, _ := pricing.ParsePlan(string(cycle))
	kind := l.TransactionType
	if kind == "" {
		kind = o.TransactionType
	}
	switch {
	case product == "" || cycle == "onetime" || cycle == "one_time":
		return // a legacy offer, software, a plan for usage: rated elsewhere
	case slices.Contains([]word{"renew", "systembilling"}, kind):
		return // the ledger renews by itself
	case kind != "" && kind != "new" && kind != "userpurchase" && kind != "systempurchase":
		a.leave("an order line of the kind " + string(kind) + ": the record of its subscription says what changed")
		return
	case a.id == "":
		a.leave("an order line of " + l.OfferID + " without a subscription")
		return
	case plan == pricing.PlanNone:
		a.leave("no billing cycle: a trial, or free; the order does not say which")
		return
	case !sold && l.TermDuration == "" && plan == pricing.NoPlan:
		return // without a commitment: usage
	case !term.Allows(plan):
		a.leave(fmt.Sprintf("a term of %q billed %q is none that is known", l.TermDuration, cycle))
		return
	case l.Quantity == nil || *l.Quantity < 1:
		a.leave("an order line without a quantity")
		return
	}
	end, err := instantOf(l.CustomTermEndDate)
	if err != nil {
		a.leave("customTermEndDate: " + err.Error())
		return
	}
	c := a.add(change.Purchased)
	c.SKU = pricing.SKU{ProductID: product, SkuID: sku}
	c.Quantity = l.Quantity.whole()
	c.TermDuration, c.BillingCycle = term.String(), plan.String()
	c.OrderID, c.AvailabilityID, c.ParentID, c.PromotionID = o.ID, availability, lowerGUID(l.ParentSubscriptionID), l.PromotionID
	if end != 0 {
		c.CustomTermEnd = end.Date()
	}
}
