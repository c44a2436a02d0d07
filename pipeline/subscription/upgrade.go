package subscription

import (
	"slices"

	"github.com/calends/calends/pricing"
)

// upgrade moves all or some seats to another SKU: of a new subscription, of
// the same one, or of one that exists.
func (e *event) upgrade(s *subscription) error {
	moved, longer, err := e.upgradeValues(s)
	if err != nil {
		return err
	}
	target := e.upgradeTarget(s)
	resulting := moved
	if target != nil && target.status != ended { // an ended one has no seats
		resulting += target.quantity
	}
	if err := e.checkLimits(e.SKU, resulting); err != nil {
		return err
	}
	if left := s.quantity - moved; left > 0 {
		if err := e.checkLimits(s.term.SKU, left); err != nil {
			return err
		}
	}
	if err := e.upgradeAllowed(s); err != nil {
		return err
	}
	if target != nil {
		return e.moveInto(s, target, moved)
	}
	return e.moveToNew(s, moved, longer)
}

// upgradeValues checks what the change says by itself and against the source.
// longer is the term that starts on the event's day, NoTerm when the source's
// term goes on.
func (e *event) upgradeValues(s *subscription) (moved int64, longer pricing.Term, err error) {
	if e.SKU.ProductID == "" || e.SKU.SkuID == "" {
		return 0, 0, invalid("toProductId or toSkuId is missing")
	}
	moved = s.quantity
	if e.Quantity != nil {
		if err := checkQuantity(e.Quantity); err != nil {
			return 0, 0, err
		}
		moved = *e.Quantity
	}
	term, ok := pricing.ParseTerm(e.TermDuration)
	if !ok && e.TermDuration != "" {
		return 0, 0, invalid("termDuration %q: want P1M, P1Y or P3Y", e.TermDuration)
	}
	plan, ok := pricing.ParsePlan(e.BillingCycle)
	if !ok && e.BillingCycle != "" {
		return 0, 0, invalid("billingCycle %q: want Monthly, Annual or Triennial", e.BillingCycle)
	}
	if s.term.Span.Trial {
		return 0, 0, invalid("a trial cannot be upgraded, only converted")
	}
	if plan == pricing.NoPlan {
		plan = s.term.Plan
	}
	switch {
	case term > s.term.Span.Term:
		longer = term
		if !longer.Allows(plan) {
			return 0, 0, invalid("a term of %s cannot be billed %s", longer, plan)
		}
	case plan != s.term.Plan:
		return 0, 0, invalid("billingCycle %s: without a longer term the plan stays %s", plan, s.term.Plan)
	case e.SKU == s.term.SKU:
		return 0, 0, invalid("the subscription is %s/%s already", e.SKU.ProductID, e.SKU.SkuID)
	}
	switch {
	case moved > s.quantity:
		return 0, 0, invalid("%d seats cannot move: there are %d", moved, s.quantity)
	case moved < s.quantity && e.keepsID(s):
		return 0, 0, invalid("a part of the seats needs a toSubscriptionId of its own")
	}
	return moved, longer, nil
}

// keepsID reports whether the target is the source's own id.
func (e *event) keepsID(s *subscription) bool {
	return e.ToSubscription == "" || e.ToSubscription == s.id
}

// upgradeTarget returns the existing target, nil for a new one.
func (e *event) upgradeTarget(s *subscription) *subscription {
	if e.keepsID(s) {
		return nil
	}
	target, _ := e.find(e.ToSubscription)
	return target
}

// upgradeAllowed checks the terms by name and the offer matrix.
func (e *event) upgradeAllowed(s *subscription) error {
	if term, ok := pricing.ParseTerm(e.TermDuration); ok && term < s.term.Span.Term {
		return refuse(pricing.UpgradeNotEligible, "a term of %s is shorter than the source's %s", term, s.term.Span.Term)
	}
	offer, loaded := e.world.Offer(s.term.SKU, e.day.Month())
	if !loaded || slices.Contains(offer.Conversions, e.SKU) {
		return nil
	}
	return refuse(pricing.UpgradeNotEligible, "the offer matrix does not convert %s/%s to %s/%s",
		s.term.SKU.ProductID, s.term.SKU.SkuID, e.SKU.ProductID, e.SKU.SkuID)
}

// moveInto moves seats into a subscription that exists: the target's own
// cycle, days and locked price.
func (e *event) moveInto(s, target *subscription, moved int64) error {
	if err := e.advance(target, e.day); err != nil {
		return err
	}
	not := func(format string, args ...any) error {
		return refuse(pricing.UpgradeNotEligible, "target "+target.id+": "+format, args...)
	}
	switch {
	case target.status != active:
		return not("it is not active")
	case target.term.Span.Trial:
		return not("it is a trial")
	case target.term.Lock == nil:
		return not("it is parked")
	case target.term.SKU != e.SKU:
		return not("it is %s/%s, not %s/%s", target.term.SKU.ProductID, target.term.SKU.SkuID, e.SKU.ProductID, e.SKU.SkuID)
	case target.term.Span.Term < s.term.Span.Term:
		return not("its term of %s is shorter than the source's %s", target.term.Span.Term, s.term.Span.Term)
	case target.term.Span.End < s.term.Span.End:
		return not("its term ends on %s, before the source's %s", target.term.Span.End, s.term.Span.End)
	case target.cancelOpen(e.At):
		return not("it can itself still be cancelled, until %s", target.start+windowFrom(target.start))
	}
	e.line(s, Charge{Type: MoveQuantity, Quantity: moved, Credit: true})
	e.line(target, Charge{Type: MoveQuantity, Quantity: moved})
	target.quantity += moved
	e.tally(e.day, &e.seats.UpgradedIn, moved)
	target.layers = append(target.layers, layer{seats: moved, added: e.At, moved: true})
	target.touched = true
	target.next = nil
	e.leave(s, moved)
	if e.PromotionID != "" {
		e.warn(pricing.PromotionNotApplied, s.id, e.ID, e.day,
			"promotion %s is not applied: the seats take the locked price of %s", e.PromotionID, target.id)
	}
	return nil
}

// leave takes moved seats from the source; without any left it ends.
func (e *event) leave(s *subscription, moved int64) {
	s.quantity -= moved
	e.tally(e.day, &e.seats.UpgradedOut, moved)
	s.next = nil
	s.touched = true
	if s.quantity == 0 {
		e.end(s, e.day)
		return
	}
	s.moveSeats(moved)
}

// moveToNew makes a subscription of the moved seats. It has the source's term
// and cycles, unless a longer term starts.
func (e *event) moveToNew(s *subscription, moved int64, longer pricing.Term) error {
	term := *s.term
	term.SKU, term.Lock = e.SKU, nil
	if !e.keepsID(s) {
		term.SubscriptionID, term.AddOn = e.ToSubscription, false
	}
	start, cycle := s.start, s.cycle
	if longer != pricing.NoTerm {
		term.Span = pricing.FullTerm(longer, e.day, e.payer.Policies.MonthEnd)
		if plan, ok := pricing.ParsePlan(e.BillingCycle); ok {
			term.Plan = plan
		}
		start, cycle = e.At, term.Span.CycleAt(term.Plan, e.day)
	}
	lock, err := e.priced(&term, e.At)
	if err != nil {
		return err
	}
	term.Lock = lock
	target := &subscription{id: term.SubscriptionID, autoRenew: s.autoRenew, opened: e.within(e.day)}
	target.begin(&term, start, moved)
	target.cycle = cycle
	target.layers[0].moved = true
	target.touched, target.upgraded = true, true
	target.promotion = lock.PromotionID
	e.tally(e.day, &e.seats.UpgradedIn, moved)
	e.line(s, Charge{Type: Convert, Quantity: moved, Credit: true})
	e.line(target, Charge{Type: Convert})
	if e.keepsID(s) {
		e.unpark(s, e.day)
		e.tally(e.day, &e.seats.UpgradedOut, s.quantity)
		*s = *target
		e.reportDropped(s)
		return nil
	}
	e.leave(s, moved)
	e.add(target)
	e.reportDropped(target)
	return nil
}
