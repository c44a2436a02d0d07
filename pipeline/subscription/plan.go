package subscription

import (
	"errors"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// planChange is a billing plan that takes over with the next cycle.
type planChange struct {
	by        *change.Change
	term      *Term  // the same term under the new plan and its price
	promotion string // that the new plan keeps; "" for none
}

// planChangesUntil is the day from which billing plans no longer change inside a term.
var planChangesUntil = pricing.DateOf(2025, 4, 1)

// changePlan changes how a three-year term is billed, from its next cycle on.
func (e *event) changePlan(s *subscription) error {
	plan, ok := pricing.ParsePlan(e.BillingCycle)
	span := s.term.Span
	switch {
	case !ok || plan == pricing.PlanNone:
		return invalid("billingCycle %q: want Monthly, Annual or Triennial", e.BillingCycle)
	case span.Term != pricing.NoTerm && !span.Term.Allows(plan):
		return invalid("a term of %s cannot be billed %s", span.Term, plan)
	case plan == s.plannedNext():
		return nil
	case span.Trial || span.Term != pricing.P3Y:
		return refuse(pricing.PlanChangeNotAllowed, "only a term of P3Y may change its plan")
	case e.day >= planChangesUntil:
		return refuse(pricing.PlanChangeNotAllowed, "plans change no more from %s on", planChangesUntil)
	case plan == s.term.Plan:
		s.pending = nil
		return nil
	}
	changed := *s.term
	changed.Plan, changed.Lock = plan, nil
	next := &planChange{by: e.Change, term: &changed, promotion: s.promotion}
	// Without a further cycle the plan is the next term's, at that day's price.
	if s.cycle.Last < span.End {
		if err := e.pricePlan(s, next); err != nil {
			return err
		}
	}
	s.pending = next
	return nil
}

// pricePlan locks the price of the new plan at the term's start. A parked term
// tracks the change without one, and is billed from it on when there is one.
func (e *event) pricePlan(s *subscription, next *planChange) error {
	lock, err := e.lookup(next.term, e.payer, e.day.Month(), s.start, s.promotion, nil)
	var missing *pricing.PriceError
	switch {
	case errors.As(err, &missing) && s.term.Lock != nil:
		return refuse(missing.Code, "%s", missing.Reason)
	case errors.As(err, &missing):
		next.promotion, _ = e.discount(s.promotion, query(next.term, e.payer, s.start))
	case err != nil:
		return err
	default:
		next.term.Lock, next.promotion = lock, lock.PromotionID
	}
	if s.promotion != "" && next.promotion == "" {
		e.warn(pricing.PromotionNotApplied, s.id, e.ID, e.day,
			"promotion %s does not fit %s/%s %s %s on %s: billed without it",
			s.promotion, next.term.SKU.ProductID, next.term.SKU.SkuID, next.term.Span.Term, next.term.Plan, s.start.Date())
	}
	return nil
}

// plannedNext is the plan that the next cycle will have; a trial's is what its
// conversion defaults to.
func (s *subscription) plannedNext() pricing.Plan {
	switch {
	case s.pending != nil:
		return s.pending.term.Plan
	case s.term.Span.Trial:
		return s.trialPlan
	}
	return s.term.Plan
}

// switchPlan starts the first cycle under the new plan.
func (l *life) switchPlan(s *subscription, first pricing.Date) {
	next := s.pending
	s.term, s.promotion, s.pending = next.term, next.promotion, nil
	s.cycle = s.term.Span.SwitchedCycle(s.term.Plan, first)
	if s.term.Lock != nil {
		l.unpark(s, first-1)
	}
	l.charge(s, Charge{Type: ChangeBillingPlan, OrderDate: first, Start: first, Change: next.by})
}
