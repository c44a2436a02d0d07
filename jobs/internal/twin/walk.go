package twin

import (
	"math/big"
	"sort"
	"strconv"
	"time"
)

// state is where a subscription stands.
type state int

const (
	active state = iota
	suspended
	ended
)

// layer is a group of seats that came at one instant and share a window.
type layer struct {
	quantity int64
	since    time.Time
	closed   bool // seats that were moved: no window at all
}

// planChange is a billing plan change that waits for the next cycle.
type planChange struct {
	plan, event string
	lock        *lock  // nil where the term has no later cycle, or is parked
	promotion   string // that stays with the subscription under the new plan
}

// instructions are the scheduled changes of the next term. Blank or nil is: as it is.
type instructions struct {
	product, sku, term, plan, promotion string
	quantity                            int64
	customEnd                           *Date
}

// subscription is one subscription's life up to a day.
type subscription struct {
	id                      string
	state                   state
	product, sku            string
	orderID, availabilityID string
	addOn                   bool
	quantity                int64
	autoRenew               bool
	term                    *term
	at                      int // the current cycle
	promotion               string
	scheduled               *instructions
	pending                 *planChange
	layers                  []layer
	hasWindow               bool // false for what an upgrade made, until it renews
	quantityChanged         bool // since the term's start, in any way
	parkedCode, parkedEvent string
	parkedSince             Date
}

func (s *subscription) cycle() *cycle { return &s.term.cycles[s.at] }

func (s *subscription) parked() bool { return s.cycle().lock == nil }

// dated is an exception with the month that it stands in.
type dated struct {
	month Month
	Exception
}

// line is one desired line, and what decides its place in a file.
type line struct {
	month  Month // of its OrderDate: the period that it belongs to
	row    Row
	charge bool // rated elsewhere
	// of a mirror: the issued line that it corrects
	corrects *issuedLine
}

// walk is one walk through one customer's history, day by day.
type walk struct {
	books      *Books
	customer   string
	horizon    Date
	changes    []parsedChange // in (time, id) order
	subs       map[string]*subscription
	lines      []line
	exceptions []dated
}

// walkCustomer walks a customer's whole history up to and including the horizon.
func (b *Books) walkCustomer(customer string, horizon Date) *walk {
	w := &walk{books: b, customer: customer, horizon: horizon, subs: map[string]*subscription{}}
	w.changes = b.changesOf(customer)
	if len(w.changes) == 0 {
		return w
	}
	next := 0
	for day := DateOf(w.changes[0].at); day <= horizon; day++ {
		for _, sub := range w.subsInOrder() {
			w.dawn(sub, day)
		}
		for next < len(w.changes) && DateOf(w.changes[next].at) == day {
			w.apply(w.changes[next])
			next++
		}
	}
	for _, sub := range w.subsInOrder() {
		if sub.state != ended {
			w.unpark(sub, horizon)
		}
	}
	return w
}

func (w *walk) subsInOrder() []*subscription {
	all := make([]*subscription, 0, len(w.subs))
	for _, s := range w.subs {
		all = append(all, s)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].id < all[j].id })
	return all
}

// dawn is what 00:00 of a day brings to a subscription: the end of its term and
// perhaps a renewal, or the start of its next cycle.
func (w *walk) dawn(sub *subscription, day Date) {
	if sub.state == ended {
		return
	}
	if day == sub.term.end+1 {
		w.endOfTerm(sub, day)
		return
	}
	if day == sub.cycle().last+1 {
		w.nextCycle(sub, day)
	}
}

func (w *walk) nextCycle(sub *subscription, day Date) {
	chargeType, reference, event := "cycleCharge", cycleReference(w.customer, sub, day), ""
	sub.at++
	if sub.pending != nil {
		event = sub.pending.event
		chargeType, reference = "changeBillingPlan", eventReference(event)
		w.startPlan(sub)
	}
	if !sub.parked() {
		w.unpark(sub, day-1)
	}
	w.emit(sub, sub.term, sub.cycle(), entry{chargeType: chargeType, quantity: sub.quantity, from: day, order: day, reference: reference, event: event})
}

// startPlan puts the pending plan in force: the cycle that starts now and all
// later ones of the term are cut anew.
func (w *walk) startPlan(sub *subscription) {
	t := sub.term
	rest := t.tileFrom(sub.cycle().cut, sub.pending.plan, planMonths(sub.pending.plan))
	for i := range rest {
		rest[i].lock = sub.pending.lock
	}
	t.cycles = append(append([]cycle(nil), t.cycles[:sub.at]...), rest...)
	t.plan = sub.pending.plan
	sub.promotion = sub.pending.promotion
	sub.pending = nil
}

func (w *walk) endOfTerm(sub *subscription, day Date) {
	w.unpark(sub, day-1)
	renews := sub.state == active && sub.autoRenew
	if sub.term.trial {
		renews = renews && sub.scheduled != nil
	}
	if !renews {
		sub.state = ended
		return
	}
	w.renew(sub, day)
}

func (w *walk) renew(sub *subscription, day Date) {
	old := sub.term
	name, plan := old.name, old.plan
	if sub.pending != nil {
		plan = sub.pending.plan
	}
	var customEnd *Date
	asked := sub.promotion
	if in := sub.scheduled; in != nil {
		sub.product, sub.sku = or(in.product, sub.product), or(in.sku, sub.sku)
		name, plan = or(in.term, name), or(in.plan, plan)
		asked = or(in.promotion, asked)
		if in.quantity > 0 {
			sub.quantity = in.quantity
		}
		customEnd = in.customEnd
	}
	sub.scheduled, sub.pending = nil, nil
	t, ok := newTerm(name, plan, false, day.Midnight(), customEnd, w.stick(day.Month()))
	if !ok {
		w.report(day.Month(), "error", "TERM_END_NOT_ALLOWED", sub.id, "")
	}
	sub.term, sub.at = t, 0
	sub.hasWindow, sub.quantityChanged = true, false
	sub.layers = []layer{{quantity: sub.quantity, since: t.instant}}
	w.lockTerm(sub, asked, nil, "")
	w.emit(sub, t, sub.cycle(), entry{chargeType: "renew", quantity: sub.quantity, from: day, order: day, reference: cycleReference(w.customer, sub, day)})
}

// lockTerm finds the price of the subscription's new term and locks it in every
// cycle, or parks the subscription. own is the price that a purchase brought along.
func (w *walk) lockTerm(sub *subscription, promotion string, own *lock, event string) {
	t := sub.term
	if t.trial {
		own = w.freeLock(t.start.Month())
	}
	wanted := want{
		subscription: sub.id, product: sub.product, sku: sub.sku, term: t.name, plan: t.plan,
		at: t.instant, month: t.start.Month(), event: event,
	}
	found, code := own, ""
	if own == nil {
		found, code = w.price(wanted)
	}
	sub.promotion = w.applyPromotion(found, promotion, wanted, t.trial)
	for i := range t.cycles {
		t.cycles[i].lock = found
	}
	if found == nil {
		sub.parkedCode, sub.parkedEvent, sub.parkedSince = code, event, t.start
	}
}

// applyPromotion puts a promotion that fits into a lock, and says which one
// stays with the subscription; one that does not fit is gone for good.
func (w *walk) applyPromotion(l *lock, promotion string, wanted want, trial bool) string {
	if promotion == "" {
		return ""
	}
	if !trial {
		if discount, ok := w.discount(promotion, wanted, l != nil); ok {
			if l != nil {
				l.promotion, l.discount = promotion, discount
			}
			return promotion
		}
	}
	w.report(wanted.month, "warning", "PROMOTION_NOT_APPLIED", wanted.subscription, wanted.event)
	return ""
}

// freeLock is the price of a trial: 0, in the billing currency.
func (w *walk) freeLock(month Month) *lock {
	return &lock{price: new(big.Rat), discount: new(big.Rat), currency: w.partner(month).Currency}
}

// unpark notes that a subscription was parked up to a day, in every month of it.
func (w *walk) unpark(sub *subscription, through Date) {
	if sub.parkedCode == "" {
		return
	}
	for m := sub.parkedSince.Month(); m <= through.Month(); m++ {
		w.report(m, "error", sub.parkedCode, sub.id, sub.parkedEvent)
	}
	sub.parkedCode = ""
}

// end closes a subscription on a day.
func (w *walk) end(sub *subscription, day Date) {
	w.unpark(sub, day)
	sub.state = ended
	sub.scheduled, sub.pending = nil, nil
}

func (w *walk) partner(month Month) Partner {
	customer, _ := w.books.customerAt(w.customer, month)
	partner, _ := w.books.partnerAt(customer.PartnerID, month)
	return partner
}

func (w *walk) stick(month Month) bool { return w.partner(month).Policy.MonthEnd == "stick" }

// report adds an exception of this customer.
func (w *walk) report(month Month, severity, code, subscription, event string) {
	customer, _ := w.books.customerAt(w.customer, month)
	w.exceptions = append(w.exceptions, dated{month, Exception{
		Severity: severity, Code: code, PartnerID: customer.PartnerID, CustomerID: w.customer,
		SubscriptionID: subscription, EventID: event,
	}})
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// The windows of section 8.

var shortWindowsUntil = NewDate(2022, 3, 12)

// windowLength is how long what started at an instant can be taken back.
func windowLength(since time.Time) time.Duration {
	if DateOf(since) < shortWindowsUntil {
		return 72 * time.Hour
	}
	return 168 * time.Hour
}

func open(since, now time.Time) bool { return now.Sub(since) <= windowLength(since) }

func (l layer) open(now time.Time) bool { return !l.closed && open(l.since, now) }

func (s *subscription) cancelOpen(now time.Time) bool {
	return s.hasWindow && open(s.term.instant, now)
}

// openSeats counts the seats whose own window is open.
func (s *subscription) openSeats(now time.Time) int64 {
	var n int64
	for _, l := range s.layers {
		if l.open(now) {
			n += l.quantity
		}
	}
	return n
}

// takeSeats takes seats out of the layers that may go, newest first, and gives
// how many are still to be taken.
func (s *subscription) takeSeats(n int64, may func(layer) bool) int64 {
	for i := len(s.layers) - 1; i >= 0; i-- {
		if may(s.layers[i]) {
			take := min(n, s.layers[i].quantity)
			s.layers[i].quantity -= take
			n -= take
		}
	}
	return n
}

// eventReference is the ReferenceId of an event: its id if that is a UUID, else
// a UUIDv5 of it, whose value the twin does not compute.
func eventReference(id string) string {
	if isUUID(id) {
		return id
	}
	return uuid5Mark + "event " + id
}

// cycleReference is the ReferenceId of a cycle's own line.
func cycleReference(customer string, sub *subscription, first Date) string {
	return uuid5Mark + "cycle " + customer + " " + sub.id + " " + sub.term.start.String() + " " + first.String()
}

// uuid5Mark begins a ReferenceId that stands for some UUIDv5: Diff asks only that
// the other side has a UUIDv5 there, and the same one for the same text.
const uuid5Mark = "uuid5 of "

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
