package subscription

import (
	"fmt"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// event is one change on its way in.
type event struct {
	*life
	*change.Change
	payer *Payer
	day   pricing.Date
	// note is the reason of an override, once it has lifted a window.
	note string
}

// maxQuantity bounds seats, so that no product of it can surprise.
const maxQuantity = 1_000_000_000

func checkQuantity(q *int64) error {
	switch {
	case q == nil:
		return invalid("quantity is missing")
	case *q < 1:
		return invalid("quantity %d: want 1 or more", *q)
	case *q > maxQuantity:
		return invalid("quantity %d: want %d or less", *q, int64(maxQuantity))
	}
	return nil
}

// checkLimits holds a quantity against the offer matrix, where it has the SKU.
func (e *event) checkLimits(sku pricing.SKU, quantity int64) error {
	offer, _ := e.world.Offer(sku, e.day.Month())
	switch {
	case offer.MinLicenses > 0 && quantity < offer.MinLicenses:
		return invalid("quantity %d: the offer matrix wants at least %d of %s/%s", quantity, offer.MinLicenses, sku.ProductID, sku.SkuID)
	case offer.MaxLicenses > 0 && quantity > offer.MaxLicenses:
		return invalid("quantity %d: the offer matrix allows at most %d of %s/%s", quantity, offer.MaxLicenses, sku.ProductID, sku.SkuID)
	}
	return nil
}

// changeQuantity wipes the old quantity and recreates the new one from the day on.
func (e *event) changeQuantity(s *subscription) error {
	if err := checkQuantity(e.Quantity); err != nil {
		return err
	}
	was, now := s.quantity, *e.Quantity
	if was == now {
		return nil
	}
	if err := e.checkLimits(s.term.SKU, now); err != nil {
		return err
	}
	kind := AddQuantity
	if now < was {
		kind = RemoveQuantity
		if open := s.openSeats(e.At); was-now > open {
			if err := e.closedWindow(s, pricing.SeatWindowClosed,
				"%d seats shall go, only %d can still be taken back on %s", was-now, open, e.At); err != nil {
				return err
			}
		}
		s.removeSeats(was-now, e.At)
		e.tally(e.day, &e.seats.Removed, was-now)
	} else {
		s.layers = append(s.layers, layer{seats: now - was, added: e.At})
		e.tally(e.day, &e.seats.Added, now-was)
	}
	e.line(s, Charge{Type: kind, Quantity: was, Credit: true})
	e.line(s, Charge{Type: kind, Quantity: now})
	s.quantity = now
	s.touched = true
	s.next = nil
	return nil
}

// closedWindow refuses, unless an override or the policy lifts the window.
func (e *event) closedWindow(s *subscription, code pricing.Code, format string, args ...any) error {
	if e.note = e.overrides.lifted(e.Change); e.note != "" {
		return nil
	}
	if !e.payer.Policies.Trust {
		return refuse(code, format, args...)
	}
	e.warn(code, s.id, e.ID, e.day, "%s at %s: billed although the window is closed, by the policy windows=trust: %s",
		e.Type, e.At, fmt.Sprintf(format, args...))
	return nil
}

// line charges the rest of the current cycle from the event's day on, unless
// the charge has another start or cycle.
func (e *event) line(s *subscription, c Charge) {
	c.Change = e.Change
	c.OrderDate = e.day
	c.Note = e.note
	if c.Start == 0 {
		c.Start = e.day
	}
	e.charge(s, c)
}

// cancel refunds the rest of the cycle; within 24 hours all of it.
func (e *event) cancel(s *subscription) error {
	if !s.cancelOpen(e.At) {
		why := fmt.Sprintf("the window closed on %s, %d hours after the term's start", s.start+windowFrom(s.start), windowFrom(s.start)/pricing.Hour)
		if s.upgraded {
			why = "a subscription made by an upgrade has no window until it renews"
		}
		if err := e.closedWindow(s, pricing.CancelWindowClosed, "%s", why); err != nil {
			return err
		}
	}
	start := e.day
	if !s.upgraded && e.At-s.start <= fullRefundWithin && !s.touched {
		start = s.cycle.First
	}
	e.line(s, Charge{Type: CancelImmediate, Credit: true, Start: start})
	e.tally(e.day, &e.seats.Cancelled, s.quantity)
	e.end(s, e.day)
	return nil
}

func (e *event) changeRenewal(s *subscription) error {
	if e.AutoRenew == nil {
		return invalid("autoRenewEnabled is missing")
	}
	s.autoRenew = *e.AutoRenew
	if !s.autoRenew {
		s.next = nil
	}
	return nil
}

func (e *event) suspend(s *subscription) error {
	s.status = suspended
	s.next = nil
	return nil
}

func (e *event) reactivate(s *subscription) error {
	s.status = active
	return nil
}

// override has done its work before any change was taken: here it is only
// checked that it names one.
func (e *event) override(*subscription) error {
	if e.Reason == "" {
		return invalid("reason is missing")
	}
	if !e.overrides.valid[e.ID] {
		return invalid("eventId %q names no earlier change of subscription %s", e.EventID, e.Subject)
	}
	return nil
}

// credit gives the customer an amount back. It needs no subscription.
func (e *event) credit() error {
	billing := e.payer.Partner.BillingCurrency
	s, known := e.find(e.SubscriptionID)
	if known { // its own lines of the day come first
		if err := e.advance(s, e.day); err != nil {
			return err
		}
	}
	switch {
	case e.SubscriptionID != "" && !known:
		return refuse(pricing.UnknownSubscription, "customer %s has no subscription %q", e.customerID, e.SubscriptionID)
	case e.Defect != "":
		return invalid("%s", e.Defect)
	case e.Subject != "" && e.Subject != e.customerID:
		return invalid("subject %q: want the customer's id %s", e.Subject, e.customerID)
	case e.Amount == nil:
		return invalid("amount is missing")
	case !e.Amount.IsPositive():
		return invalid("amount %s: want more than 0", e.Amount)
	case e.Currency == "":
		return invalid("currency is missing")
	case e.Currency != billing:
		return refuse(pricing.CurrencyMismatch, "a credit in %s cannot stand on an invoice in %s", e.Currency, billing)
	}
	e.sink.Charge(Charge{Type: CustomerCredit, Quantity: 1, Credit: true, OrderDate: e.day, Start: e.day,
		Cycle: pricing.Cycle{First: e.day, Last: e.day, Days: 1, Months: 1}, Change: e.Change,
		SubscriptionID: e.SubscriptionID, Amount: *e.Amount})
	return nil
}
