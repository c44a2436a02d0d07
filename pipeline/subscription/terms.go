package subscription

import (
	"cmp"
	"errors"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// purchase starts a subscription: a term, or a trial's one month.
func (e *event) purchase() error {
	if e.Subject == "" {
		return invalid("subject is missing: it names the subscription")
	}
	if _, taken := e.find(e.Subject); taken {
		return invalid("subscription %s was bought before", e.Subject)
	}
	if e.Defect != "" {
		return invalid("%s", e.Defect)
	}
	if e.SKU.ProductID == "" || e.SKU.SkuID == "" {
		return invalid("productId or skuId is missing")
	}
	if err := checkQuantity(e.Quantity); err != nil {
		return err
	}
	span, plan, err := e.purchasedSpan()
	if err != nil {
		return err
	}
	own, err := e.ownPrice()
	if err != nil {
		return err
	}
	if err := e.checkLimits(e.SKU, *e.Quantity); err != nil {
		return err
	}
	s := &subscription{id: e.Subject, autoRenew: e.AutoRenew == nil || *e.AutoRenew, opened: e.within(e.day)}
	if e.IsTrial {
		s.trialPlan, plan = plan, pricing.PlanNone
	}
	span = e.align(span, s.id, e.CustomTermEnd, e.ID, e.day)
	s.begin(&Term{
		SubscriptionID: s.id, OrderID: e.OrderID, AvailabilityID: e.AvailabilityID, AddOn: e.ParentID != "",
		SKU: e.SKU, Span: span, Plan: plan,
	}, e.At, *e.Quantity)
	e.add(s)
	e.tally(e.day, &e.seats.Purchased, s.quantity)
	if err := e.settle(s, e.payer, e.At, e.PromotionID, own, e.ID); err != nil {
		return err
	}
	e.line(s, Charge{Type: New})
	return nil
}

// purchasedSpan reads term and plan. A trial's are only what its conversion or
// renewal defaults to: they may be left out.
func (e *event) purchasedSpan() (pricing.TermSpan, pricing.Plan, error) {
	term, termOK := pricing.ParseTerm(e.TermDuration)
	plan, planOK := pricing.ParsePlan(e.BillingCycle)
	switch {
	case !termOK && (e.TermDuration != "" || !e.IsTrial):
		return pricing.TermSpan{}, 0, invalid("termDuration %q: want P1M, P1Y or P3Y", e.TermDuration)
	case !planOK && (e.BillingCycle != "" || !e.IsTrial):
		return pricing.TermSpan{}, 0, invalid("billingCycle %q: want Monthly, Annual or Triennial", e.BillingCycle)
	case e.IsTrial && (!termOK || !planOK || plan == pricing.PlanNone):
		return pricing.TrialTerm(term, e.day), plan, nil
	case !term.Allows(plan):
		return pricing.TermSpan{}, 0, invalid("a term of %s cannot be billed %s", term, plan)
	case e.IsTrial:
		return pricing.TrialTerm(term, e.day), plan, nil
	}
	return pricing.FullTerm(term, e.day, e.payer.Policies.MonthEnd), plan, nil
}

func (e *event) ownPrice() (*ownPrice, error) {
	if e.UnitPrice == nil || e.IsTrial {
		return nil, nil
	}
	currency := cmp.Or(e.Currency, e.payer.Partner.BillingCurrency)
	if _, ok := pricing.MinorDigits(currency); !ok {
		return nil, invalid("currency %q: want an ISO 4217 code", currency)
	}
	if e.UnitPrice.IsNegative() {
		return nil, invalid("unitPrice %s: want 0 or more", e.UnitPrice)
	}
	return &ownPrice{*e.UnitPrice, currency}, nil
}

// align shortens a term to a custom end. An end outside the full term is
// reported and the full term billed: the seats are in use.
func (l *life) align(span pricing.TermSpan, id string, end pricing.Date, eventID string, day pricing.Date) pricing.TermSpan {
	if end == pricing.NoDate {
		return span
	}
	aligned, ok := span.WithEnd(end)
	if ok && !span.Trial {
		return aligned
	}
	reason := "outside " + span.Start.String() + " to " + span.End.String()
	if span.Trial {
		reason = "a trial has none"
	}
	l.sink.Exception(Exception{Code: pricing.TermEndNotAllowed, SubscriptionID: id, EventID: eventID,
		Message: "customTermEndDate " + end.String() + ": " + reason + "; the full term is billed",
		From:    day.Month(), To: day.Month()})
	return span
}

// renewOrExpire decides what follows the last day of a term.
func (l *life) renewOrExpire(s *subscription, day pricing.Date) error {
	renews := s.status == active && s.autoRenew && (!s.term.Span.Trial || s.next != nil)
	if !renews {
		l.tally(day, &l.seats.Expired, s.quantity)
		l.end(s, s.term.Span.End)
		return nil
	}
	l.unpark(s, s.term.Span.End)

	next := s.next
	if next == nil {
		next = &change.NextTerm{CustomTermEnd: pricing.NoDate}
	}
	term, plan := s.following(next)
	payer, code := l.world.Payer(l.customerID, day.Month())
	span := pricing.FullTerm(term, day, s.term.Span.MonthEnd)
	if code == "" {
		span.MonthEnd = payer.Policies.MonthEnd
	}
	quantity := s.quantity
	if next.Quantity != nil {
		quantity = *next.Quantity
	}
	asked := cmp.Or(next.PromotionID, s.promotion)
	renewed := *s.term
	renewed.Span = l.align(span, s.id, next.CustomTermEnd, "", day)
	renewed.Plan = plan
	renewed.Lock = nil
	renewed.SKU = overlay(s.term.SKU, next.SKU)
	l.tally(day, &l.seats.Renewed, quantity-s.quantity)
	s.begin(&renewed, day.Instant(), quantity)
	if code != "" {
		l.park(s, code, "the customer or its partner is unknown", "", day)
		return nil
	}
	if err := l.settle(s, payer, day.Instant(), asked, nil, ""); err != nil {
		return err
	}
	l.charge(s, Charge{Type: Renew, OrderDate: day})
	return nil
}

// following returns the next term's term and plan: what the instructions say,
// else the current ones.
func (s *subscription) following(next *change.NextTerm) (pricing.Term, pricing.Plan) {
	term, plan := s.term.Span.Term, s.plannedNext()
	if t, ok := pricing.ParseTerm(next.TermDuration); ok {
		term = t
	}
	if p, ok := pricing.ParsePlan(next.BillingCycle); ok {
		plan = p
	}
	return term, plan
}

// overlay replaces the parts of a SKU that are given.
func overlay(current, given pricing.SKU) pricing.SKU {
	return pricing.SKU{ProductID: cmp.Or(given.ProductID, current.ProductID), SkuID: cmp.Or(given.SkuID, current.SkuID)}
}

// schedule keeps instructions for the term's end. Later ones replace them whole.
func (e *event) schedule(s *subscription) error {
	next := e.NextTerm
	switch {
	case next == nil:
		return invalid("scheduledNextTermInstructions is missing")
	case !s.autoRenew:
		return invalid("auto-renew is off: there is no next term")
	case next.Empty():
		s.next = nil
		return nil
	case next.Quantity != nil:
		if err := checkQuantity(next.Quantity); err != nil {
			return err
		}
	}
	if _, ok := pricing.ParseTerm(next.TermDuration); !ok && next.TermDuration != "" {
		return invalid("termDuration %q: want P1M, P1Y or P3Y", next.TermDuration)
	}
	if _, ok := pricing.ParsePlan(next.BillingCycle); !ok && next.BillingCycle != "" {
		return invalid("billingCycle %q: want Monthly, Annual or Triennial", next.BillingCycle)
	}
	if term, plan := s.following(next); !term.Allows(plan) {
		return invalid("a term of %s cannot be billed %s", term, plan)
	}
	s.next = next
	return nil
}

func (e *event) clearSchedule(s *subscription) error {
	s.next = nil
	return nil
}

// convertTrial ends the trial and starts the paid term on the same day.
func (e *event) convertTrial(s *subscription) error {
	if !s.term.Span.Trial {
		return invalid("subscription %s is no trial", s.id)
	}
	quantity := s.quantity
	if e.Quantity != nil {
		if err := checkQuantity(e.Quantity); err != nil {
			return err
		}
		quantity = *e.Quantity
	}
	term, plan := s.following(&change.NextTerm{TermDuration: e.TermDuration, BillingCycle: e.BillingCycle})
	if _, ok := pricing.ParseTerm(e.TermDuration); !ok && e.TermDuration != "" {
		return invalid("termDuration %q: want P1M, P1Y or P3Y", e.TermDuration)
	}
	if _, ok := pricing.ParsePlan(e.BillingCycle); !ok && e.BillingCycle != "" {
		return invalid("billingCycle %q: want Monthly, Annual or Triennial", e.BillingCycle)
	}
	if !term.Allows(plan) {
		return invalid("a term of %s cannot be billed %s", term, plan)
	}
	paid := *s.term
	paid.SKU = overlay(s.term.SKU, e.SKU)
	paid.Span = pricing.FullTerm(term, e.day, e.payer.Policies.MonthEnd)
	paid.Plan = plan
	lock, err := e.priced(&paid, e.At)
	if err != nil {
		return err
	}
	paid.Lock = lock
	e.line(s, Charge{Type: Convert, Credit: true})
	e.tally(e.day, &e.seats.Renewed, quantity-s.quantity)
	s.begin(&paid, e.At, quantity)
	s.promotion = lock.PromotionID
	e.line(s, Charge{Type: Convert})
	e.reportDropped(s)
	return nil
}

// priced finds the price of what the event makes of a subscription. Without
// one the event is refused and changes nothing.
func (e *event) priced(term *Term, at pricing.Instant) (*Lock, error) {
	lock, err := e.lookup(term, e.payer, e.day.Month(), at, e.PromotionID, nil)
	var missing *pricing.PriceError
	if errors.As(err, &missing) {
		return nil, refuse(missing.Code, "%s", missing.Reason)
	}
	return lock, err
}

// reportDropped warns when the event's promotion did not fit.
func (e *event) reportDropped(s *subscription) {
	if e.PromotionID != "" && s.promotion == "" {
		e.warnPromotion(s, e.PromotionID, e.ID, e.day)
	}
}
