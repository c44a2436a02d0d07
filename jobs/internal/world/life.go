package world

import (
	"fmt"
	"iter"

	"github.com/calends/calends/pricing"
)

// bought is a subscription as it was purchased.
type bought struct {
	number   int
	dice     dice
	who      customer
	sku      sku
	offer    offer
	quantity int
	at       pricing.Instant
	trial    bool
}

func (b *bought) id() string { return b.dice.uuid() }

// date of the purchase.
func (b *bought) date() pricing.Date { return b.at.Date() }

const (
	second = pricing.Instant(10_000_000) // ticks of 100 ns
	day    = 86_400
)

// moment is a second of the day.
func moment(on pricing.Date, d dice) pricing.Instant {
	return on.Instant() + pricing.Instant(d.roll(day))*second
}

// anyDay is a day of the month.
func anyDay(m pricing.Month, d dice) pricing.Date {
	return m.First() + pricing.Date(d.roll(m.Days()))
}

// month is when a subscription was purchased: as long ago as the history reaches, for
// monthly terms a year at most.
func (w *World) month(d dice, o offer) pricing.Month {
	months := int(w.history())
	if o.term == pricing.P1M {
		months = 12
	}
	return w.Month - 1 - pricing.Month(d.roll(months))
}

// offer is what most buy: a year, billed monthly.
func (w *World) offer(d dice) offer {
	switch p := d.roll(1000); {
	case p < 680:
		return offer{pricing.P1Y, pricing.Monthly}
	case p < 900:
		return offer{pricing.P1M, pricing.Monthly}
	case p < 945:
		return offer{pricing.P1Y, pricing.Annual}
	case p < 985:
		return offer{pricing.P3Y, pricing.Monthly}
	case p < 995:
		return offer{pricing.P3Y, pricing.Annual}
	default:
		return offer{pricing.P3Y, pricing.Triennial}
	}
}

func (w *World) subscriptionDice(n int) dice { return w.dice.of(aboutSubscription, n) }

// isTrial says which subscriptions are trials of the month before; they have
// another way to be made.
func (w *World) isTrial(d dice, who *customer) bool {
	return !w.Simple && who.segment == 0 && d.again(20).roll(1000) < 4
}

// bought makes the n-th subscription. Its month comes cheap, see purchased.
func (w *World) bought(n int, who customer) bought {
	d := w.subscriptionDice(n)
	b := w.purchase(d, n, who)
	if w.isTrial(d, &who) {
		b.trial, b.offer = true, offer{pricing.P1Y, pricing.Monthly}
		b.sku -= b.sku % 10
		b.at = moment(anyDay(w.Month-1, d.again(5)), d.again(6))
		return b
	}
	b.at = moment(anyDay(w.month(d.again(4), b.offer), d.again(5)), d.again(6))
	return b
}

func (w *World) purchase(d dice, n int, who customer) bought {
	b := bought{number: n, dice: d, who: who, offer: w.offer(d.again(1)), sku: sku(d.again(2).low(w.skus())), quantity: 1 + d.again(3).low(120)}
	if who.segment > 0 {
		b.sku -= b.sku%4 - 1
		if b.offer.term == pricing.P3Y && !b.sku.threeYear() {
			b.offer = offer{pricing.P1Y, b.offer.plan}
		}
	}
	for b.offer.term == pricing.P3Y && b.sku%5 >= 2 {
		b.sku-- // to one that is sold for three years
	}
	if b.offer.term == pricing.P1Y && b.offer.plan == pricing.Triennial {
		b.offer.plan = pricing.Annual
	}
	return b
}

// purchased is the month of bought, for what it costs to throw three dice.
func (w *World) purchased(n int, who *customer) pricing.Month {
	d := w.subscriptionDice(n)
	if w.isTrial(d, who) {
		return w.Month - 1
	}
	// Where a segment has no three-year offer the months are as many.
	return w.month(d.again(4), w.offer(d.again(1)))
}

// termStart is the first day of the term that runs or begins in the month.
func (b *bought) termStart(in pricing.Month) pricing.Date {
	start := b.date()
	for {
		next := start.AddMonths(b.offer.term.Months())
		if next > in.Last() {
			return start
		}
		start = next
	}
}

// Purchases yields what was bought in a month of the history, in the order of
// the customers' ids.
func (w *World) Purchases(month pricing.Month) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		last := -1
		var who customer
		for n, s := range w.each() {
			if s.customer != last {
				last, who = s.customer, w.customer(s.customer)
			}
			if w.purchased(n, &who) != month {
				continue
			}
			b := w.bought(n, who)
			if !yield(w.purchaseOf(&b, w.subscriptionDice(n), s)) {
				return
			}
		}
	}
}

func (w *World) purchaseOf(b *bought, d dice, s subscriber) Change {
	c := Change{ID: d.again(30).uuid(), Type: "subscription.purchased", At: b.at, Subject: b.id(), CustomerID: w.customerID(b.who.number),
		ProductID: b.sku.product(), SkuID: b.sku.id(), Term: b.offer.term.String(), Plan: b.offer.plan.String(), Quantity: b.quantity,
		OrderID: d.again(31).hex(12), AvailabilityID: b.sku.availability()}
	switch {
	case b.trial:
		c.IsTrial, c.SkuID = true, trialSKU
	case w.Simple:
	default:
		if b.sku.promoted() && b.offer == (offer{pricing.P1Y, pricing.Monthly}) && d.again(32).roll(2) == 0 {
			c.PromotionID = b.sku.promotion()
		}
		if d.again(33).roll(100) < 3 && b.number != s.first {
			c.ParentID = w.subscriptionDice(s.first).uuid()
		}
		if in := w.Month - b.date().Month(); b.offer == (offer{pricing.P1Y, pricing.Monthly}) && in > 2 && in < 9 && d.again(34).roll(100) < 3 {
			c.CustomTermEnd = (w.Month + 2).Last().String() // with the year of the customer's books
		}
	}
	return c
}

// Before yields what else happened in the month before: what the month that is
// measured finds standing.
func (w *World) Before() iter.Seq[Change] {
	return func(yield func(Change) bool) {
		if w.Simple {
			return
		}
		for b := range w.standing() {
			for _, c := range w.beforeOf(&b) {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// standing yields all subscriptions.
func (w *World) standing() iter.Seq[bought] {
	return func(yield func(bought) bool) {
		last := -1
		var who customer
		for n, s := range w.each() {
			if s.customer != last {
				last, who = s.customer, w.customer(s.customer)
			}
			if !yield(w.bought(n, who)) {
				return
			}
		}
	}
}

// What a subscription had in the month before.
type before int

const (
	nothing before = iota
	addedBefore
	scheduledBefore
	suspendedBefore
	endsBefore // will not renew
	boughtBefore
)

func (w *World) before(b *bought) before {
	if b.date().Month() >= w.Month-1 || w.Simple {
		return boughtBefore
	}
	long := b.offer.term != pricing.P1M && b.termStart(w.Month).Month() < w.Month-1 // no renewal in either month
	switch p := w.dice.of(aboutBefore, b.number).roll(1000); {
	case p < 40:
		return addedBefore
	case p < 50:
		return scheduledBefore
	case p < 55 && long:
		return suspendedBefore
	case p < 60 && long:
		return endsBefore
	}
	return nothing
}

func (w *World) beforeOf(b *bought) []Change {
	what := w.before(b)
	if what == nothing || what == boughtBefore {
		return nil
	}
	d := w.dice.of(aboutBefore, b.number)
	c := Change{ID: d.again(1).uuid(), At: moment(anyDay(w.Month-1, d.again(2)), d.again(3)), Subject: b.id(), CustomerID: w.customerID(b.who.number)}
	switch what {
	case addedBefore:
		c.Type, c.Quantity = "subscription.quantityChanged", w.quantity(b)
	case scheduledBefore:
		c = w.schedule(c, b, d)
	case suspendedBefore:
		c.Type = "subscription.suspended"
	case endsBefore:
		c.Type, c.AutoRenew = "subscription.renewalChanged", "false"
	case nothing, boughtBefore:
	}
	return []Change{c}
}

// quantity is how many seats there are when the measured month begins. What was
// scheduled for a renewal in between may have changed it; whoever that
// concerns changes no seats.
func (w *World) quantity(b *bought) int {
	if w.before(b) == addedBefore {
		return b.quantity + 1 + w.dice.of(aboutBefore, b.number).again(4).roll(1+b.quantity/4)
	}
	return b.quantity
}

// schedule makes instructions for the next term: more seats, a year instead of
// a month, or something else of the same kind.
func (w *World) schedule(c Change, b *bought, d dice) Change {
	c.Type = "subscription.nextTermScheduled"
	switch p := d.again(5).roll(3); {
	case p == 0 && b.offer.term == pricing.P1M:
		c.NextTerm, c.NextPlan = "P1Y", "Monthly"
	case p == 1:
		to := b.sku.sibling(w.skus())
		c.NextProductID, c.NextSkuID = to.product(), to.id()
	default:
		c.NextQuantity = b.quantity + 1 + d.again(6).roll(5)
	}
	return c
}

// Day yields what changed on a day of the month that is measured, in the
// order of the customers' ids.
func (w *World) Day(on pricing.Date) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		for b := range w.standing() {
			for _, c := range w.monthOf(&b) {
				if c.At.Date() == on && !yield(c) {
					return
				}
			}
		}
	}
}

// monthOf is what happens to a subscription in the measured month. Seats are taken away
// and subscriptions cancelled inside their windows: seven days from the
// start of a term, or from adding the seats.
func (w *World) monthOf(b *bought) []Change {
	d := w.dice.of(aboutMonth, b.number)
	if w.Simple {
		return w.seats(b, d)
	}
	changes := w.newOnes(b, d)
	switch before := w.before(b); {
	case b.trial:
		return append(changes, w.convert(b, d)...)
	case before == suspendedBefore, before == endsBefore, before == scheduledBefore:
		return append(changes, w.undo(before, b, d)...)
	}
	if d.roll(1000) >= 170 {
		return append(changes, w.refused(b, d)...)
	}
	c := w.change(b, d, 0)
	long := b.offer.term != pricing.P1M && b.termStart(w.Month).Month() < w.Month
	window, open := w.window(b, d)
	switch p := d.roll(1000); {
	case p < 128:
		return append(changes, w.seats(b, d)...)
	case p < 146 && open:
		c.Type, c.At = "subscription.canceled", window
	case p < 152:
		c = w.schedule(c, b, d)
	case p < 156:
		c.Type, c.AutoRenew = "subscription.renewalChanged", "false"
	case p < 159 && long:
		c.Type = "subscription.suspended"
	case p < 165:
		to := b.sku.sibling(w.skus())
		c.Type, c.ToProductID, c.ToSkuID = "subscription.upgraded", to.product(), to.id()
	case p < 169 && b.quantity > 3:
		return append(changes, w.split(b, d)...)
	case p < 170:
		c.Type, c.Subject, c.SubscriptionID = "customer.credited", c.CustomerID, c.Subject
		c.Amount, c.Currency, c.Reason = fmt.Sprint(1+d.again(9).roll(200)), w.partners[b.who.partner].currency, "Credit for an outage"
	default:
		return changes
	}
	return append(changes, c)
}

// change is the n-th change of a subscription in the month, at any moment of it.
func (w *World) change(b *bought, d dice, n int) Change {
	return Change{ID: d.again(30 + n).uuid(), At: moment(anyDay(w.Month, d.again(1)), d.again(2)), Subject: b.id(), CustomerID: w.customerID(b.who.number)}
}

// window is a moment at which the term that has begun in the month can still be
// reduced or cancelled.
func (w *World) window(b *bought, d dice) (at pricing.Instant, open bool) {
	start := b.termStart(w.Month)
	if start.Month() != w.Month || start == b.date() {
		return 0, false
	}
	on := start + pricing.Date(d.again(3).roll(6))
	return moment(on, d.again(2)), on <= w.Month.Last()
}

// seats are changes of the number of seats: mostly more, sometimes fewer, sometimes
// some more of which a part goes again within days.
func (w *World) seats(b *bought, d dice) []Change {
	if w.Simple && d.roll(1000) >= 125 {
		return nil
	}
	c := w.change(b, d, 0)
	c.Type = "subscription.quantityChanged"
	quantity := w.quantity(b)
	if at, open := w.window(b, d); open && quantity > 1 && d.again(4).roll(2) == 0 {
		c.At, c.Quantity = at, quantity-1-d.again(5).roll(max(1, quantity/4))
		return []Change{c}
	}
	more := 1 + d.again(5).roll(1+quantity/4)
	c.Quantity = quantity + more
	if less := (more + 1) / 2; !w.Simple && d.again(4).roll(10) == 0 {
		again := w.change(b, d, 1)
		again.Type, again.At, again.Quantity = c.Type, c.At+pricing.Instant(1+d.again(6).roll(5*day))*second, c.Quantity-less
		if again.At.Date() <= w.Month.Last() {
			return []Change{c, again}
		}
	}
	return []Change{c}
}

// convert makes paid subscriptions of half of the trials.
func (w *World) convert(b *bought, d dice) []Change {
	c := w.change(b, d, 0)
	c.At = moment(w.Month.First()+pricing.Date(d.again(1).roll(28)), d.again(2))
	end := b.date().AddMonths(1)
	if c.At.Date() >= end || d.roll(3) == 0 {
		return nil // it expires
	}
	c.Type, c.ToProductID, c.ToSkuID, c.Term, c.Plan, c.Quantity = "subscription.trialConverted", b.sku.product(), b.sku.id(), "P1Y", "Monthly", b.quantity
	return []Change{c}
}

// undo takes some of what the month before has brought back.
func (w *World) undo(what before, b *bought, d dice) []Change {
	c := w.change(b, d, 0)
	switch p := d.again(11).roll(10); {
	case what == suspendedBefore && p < 6:
		c.Type = "subscription.reactivated"
	case what == endsBefore && p < 3:
		c.Type, c.AutoRenew = "subscription.renewalChanged", "true"
	case what == scheduledBefore && p < 3:
		c.Type = "subscription.nextTermCleared"
	default:
		return nil
	}
	return []Change{c}
}

// split upgrades a part of the seats into a new subscription, and of some
// another part into the same.
func (w *World) split(b *bought, d dice) []Change {
	c := w.change(b, d, 0)
	to := b.sku.sibling(w.skus())
	c.Type, c.ToProductID, c.ToSkuID, c.Quantity, c.ToSubscription = "subscription.upgraded", to.product(), to.id(), 1, d.again(8).uuid()
	more := c
	more.ID, more.At = w.change(b, d, 1).ID, c.At+day*second
	start := b.termStart(w.Month)
	if renews := start.Month() == w.Month; renews || more.At.Date() > w.Month.Last() || d.again(7).roll(3) > 0 {
		return []Change{c}
	}
	return []Change{c, more}
}

// newOnes are purchases, some of them trials, by those who have something.
func (w *World) newOnes(b *bought, d dice) []Change {
	n := d.again(10).roll(1000)
	if n >= 17 {
		return nil
	}
	nd := w.dice.of(aboutNew, b.number)
	one := w.purchase(nd, b.number, b.who)
	one.at = moment(anyDay(w.Month, nd.again(5)), nd.again(6))
	if n >= 15 && b.who.segment == 0 {
		one.trial, one.offer = true, offer{pricing.P1Y, pricing.Monthly}
		one.sku -= one.sku % 10
	}
	return []Change{w.purchaseOf(&one, nd, subscriber{first: b.number})}
}

// refused are the few changes that the rules do not allow: there are always some,
// and what comes of them is measured too. They are at a few places of the world.
func (w *World) refused(b *bought, d dice) []Change {
	const places = 3
	every := max(1, w.Subscriptions/places)
	if b.number%every != every/2 || b.offer.term == pricing.P1M || b.termStart(w.Month).Month() >= w.Month-1 {
		return nil
	}
	c := w.change(b, d, 0)
	c.Type = "subscription.canceled"
	return []Change{c}
}
