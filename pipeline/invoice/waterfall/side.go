package waterfall

import (
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// side is what one subscription was charged in one month.
type side struct {
	name  string // the customer's
	total int64
	// named holds the lines whose type is a cause by itself.
	named [causes]int64
	has   [causes]bool
	// cycle is the line of the last cycle that began in the month, cycles what
	// all of them come to.
	cycle  *invoice.Line
	cycles int64
}

func (s *side) add(l *invoice.Line, month pricing.Month) {
	s.name = l.Account.CustomerName
	s.total += l.Subtotal
	if cause, ok := causeOf(l, month); ok {
		s.named[cause] += l.Subtotal
		s.has[cause] = true
		return
	}
	s.cycle = l
	s.cycles += l.Subtotal
}

// causeOf returns the cause that a line's type names; ok is false for the line
// that a cycle is charged with, which says nothing without the other month's.
func causeOf(l *invoice.Line, month pricing.Month) (_ Cause, ok bool) {
	switch {
	case l.ChargeType == "customerCredit", l.CreditReasonCode == "Correction", l.OrderDate.Month() != month:
		return Credits, true
	case l.SubscriptionID == "", l.Item.UnitType != "Licenses":
		return Elsewhere, true
	}
	switch l.ChargeType {
	case "new", "renew", "cycleCharge":
		return 0, false
	case "addQuantity":
		return SeatsAdded, true
	case "removeQuantity":
		return SeatsRemoved, true
	case "cancelImmediate":
		return Cancellations, true
	case "convert", "moveQuantity", "changeBillingPlan":
		return Changes, true
	}
	return Elsewhere, true
}

// explain splits the difference of a subscription's two months.
func explain(before, now side) (by [causes]int64) {
	for c := range by {
		by[c] = now.named[c] - before.named[c]
	}
	was, is := before.cycle, now.cycle
	if was == nil || is == nil {
		by[appeared(before, now)] += now.cycles - before.cycles
		return by
	}
	// A month may see two cycles begin, as when a term ends early and the next
	// one starts: the last of each month are compared, the others are timing.
	by[Timing] += now.cycles - is.Subtotal - before.cycles + was.Subtotal
	compare(&by, was, is)
	return by
}

// appeared says why only one of two months has a cycle's charge.
func appeared(before, now side) Cause {
	has := func(c Cause) bool { return before.has[c] || now.has[c] }
	switch is := now.cycle; {
	case is == nil && before.cycle == nil:
		return Other // of nothing
	case is != nil && is.ChargeType == "new":
		return NewSubscriptions
	case has(Cancellations):
		return Cancellations
	case has(Changes):
		return Changes
	case is != nil && long(is):
		return Timing
	case is != nil:
		return Other
	case long(before.cycle) && before.cycle.TermEnd > before.cycle.ChargeStart.Month().Last():
		return Timing
	}
	return Cancellations
}

// long reports whether a charge covers more than a month.
func long(l *invoice.Line) bool { return l.ChargeEnd-l.ChargeStart >= 31 }

// compare splits the difference of two cycles' lines by what differs on them:
// one factor after another takes its new value, and each answers for what that
// changes. The last one that differs answers for what truncation leaves.
func compare(by *[causes]int64, was, is *invoice.Line) {
	if was.Item.ProductID != is.Item.ProductID || was.Item.SkuID != is.Item.SkuID || was.Item.TermAndBillingCycle != is.Item.TermAndBillingCycle {
		by[Changes] += is.Subtotal - was.Subtotal
		return
	}
	quantity, effective, rate := was.BillableQuantity, was.EffectiveUnitPrice, was.ExchangeRate
	type step struct {
		cause Cause
		value int64 // of the line once the factor has its new value
	}
	var steps []step
	value := func() int64 { return worth(quantity, effective, rate, is.Currency) }
	if c := is.BillableQuantity.Cmp(was.BillableQuantity); c != 0 {
		cause := SeatsAdded
		if c < 0 {
			cause = SeatsRemoved
		}
		quantity = is.BillableQuantity
		steps = append(steps, step{cause, value()})
	}
	if !is.UnitPrice.Equal(was.UnitPrice) && !was.UnitPrice.IsZero() {
		effective = effective.Mul(is.UnitPrice).DivRound(was.UnitPrice, pricePlaces)
		steps = append(steps, step{Prices, value()})
	}
	if effective.Sub(is.EffectiveUnitPrice).Abs().GreaterThan(printed) {
		cause := PartCycles
		switch {
		case was.UnitPrice.IsZero():
			cause = Prices
		case was.Item.PromotionID != is.Item.PromotionID:
			cause = Promotions
		}
		effective = is.EffectiveUnitPrice
		steps = append(steps, step{cause, value()})
	}
	if !is.ExchangeRate.Equal(was.ExchangeRate) {
		rate = is.ExchangeRate
		steps = append(steps, step{Rates, value()})
	}
	if len(steps) == 0 {
		by[Other] += is.Subtotal - was.Subtotal
		return
	}
	steps[len(steps)-1].value = is.Subtotal
	from := was.Subtotal
	for _, s := range steps {
		by[s.cause] += s.value - from
		from = s.value
	}
}

// pricePlaces is how many decimals a price is computed with here; printed is
// what the rounding of two printed prices can come to.
const pricePlaces = 16

var printed = decimal.New(1, -9)

// worth is a line's amount in minor units. It is no invoice's: it divides a
// difference whose two ends are. Beyond the range of amounts it is 0.
func worth(quantity, effective, rate decimal.Decimal, currency string) int64 {
	digits, ok := pricing.MinorDigits(currency)
	if !ok {
		return 0
	}
	amount, err := pricing.Truncate(quantity.Mul(effective).Mul(rate), digits)
	if err != nil {
		return 0
	}
	return amount
}
