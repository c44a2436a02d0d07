// Package subscription lives one customer's subscriptions: terms, charge
// cycles, seat layers, scheduled changes, renewals and upgrades. It applies
// changes in the order in which they happened and yields charges, refusals
// and parked terms. It knows no clock, no file and no amount.
//
// The rules are Microsoft's for licence-based new-commerce services as its
// partner documentation publishes them; the package README lists them with
// the decisions where that is silent.
package subscription

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// Lives lives one customer after another, in the room that the last one took. It
// is for one goroutine.
type Lives struct {
	life   life
	room   []subscription
	layers []layer
	locks  map[lockContent]*Lock
	// rows are the locks of what was looked up without a promotion, by the question
	// without its instant: many terms begin in a month by the same row.
	rows map[pricing.PriceQuery]lockedRow
	// quiet are the prices of terms that began with nothing else to them.
	quiet quietPrices
}

// lockedRow is the answer from one instant to another.
type lockedRow struct {
	lock        *Lock
	from, until pricing.Instant
}

// lockContent nearly tells locks apart.
type lockContent struct {
	month                    pricing.Month
	line                     int
	market, asked, promotion string
}

// Live lives a customer's history up to the last day of a month: the whole of
// it, or what came after the day on which its subscriptions stood as from says.
// The changes are the customer's own, one content an id, in the order of
// [change.Compare]; those after the month are read for the overrides in them
// and otherwise left alone. An error comes from the world, never from a change.
//
// All calls must have worlds of the same price sheets. The End is good until the
// next call.
func (ls *Lives) Live(world World, sink Sink, customerID string, from []Standing, changes []*change.Change, until pricing.Month) (End, error) {
	return ls.LiveTo(world, sink, customerID, from, changes, until.Last())
}

// LiveTo is Live up to a day inside of a month.
func (ls *Lives) LiveTo(world World, sink Sink, customerID string, from []Standing, changes []*change.Change, last pricing.Date) (End, error) {
	l := &ls.life
	*l = life{
		lives: ls, world: world, sink: sink, customerID: customerID, order: l.order[:0],
		overrides: collectOverrides(changes), first: last.Month().First(),
	}
	ls.resume(from)
	for _, c := range changes {
		if c.At.Date() > last {
			break
		}
		if err := l.apply(c); err != nil {
			return End{}, fmt.Errorf("customer %s, change %s: %w", customerID, c.ID, err)
		}
	}
	for _, s := range l.order {
		if err := l.advance(s, last); err != nil {
			return End{}, fmt.Errorf("customer %s, subscription %s: %w", customerID, s.id, err)
		}
	}
	l.seats.Closing = l.closing()
	return End{l.finish(last), l.seats, l, last}, nil
}

// resume takes subscriptions up where they stood.
func (ls *Lives) resume(from []Standing) {
	layers := 0
	for i := range from {
		layers += len(from[i].Layers)
	}
	if cap(ls.room) < len(from) {
		ls.room = make([]subscription, len(from))
	}
	if cap(ls.layers) < layers {
		ls.layers = make([]layer, layers)
	}
	room := ls.layers[:layers]
	for i := range from {
		s := &ls.room[:len(from)][i]
		n := len(from[i].Layers)
		from[i].resume(s, room[:n:n])
		room = room[n:]
		ls.life.add(s)
	}
}

// shared returns one lock for all that say the same.
func (ls *Lives) shared(lock Lock) *Lock {
	if lock.Source.SHA256 == "" {
		return &lock
	}
	key := lockContent{lock.Source.Month, lock.Source.Line, lock.Source.Market, lock.Asked, lock.PromotionID}
	known, ok := ls.locks[key]
	switch {
	case !ok:
		if ls.locks == nil {
			ls.locks = make(map[lockContent]*Lock)
		}
		ls.locks[key] = &lock
		return &lock
	case known.Source != lock.Source, !known.Discount.Equal(lock.Discount), !known.UnitPrice.Equal(lock.UnitPrice):
		return &lock
	}
	return known
}

type life struct {
	lives      *Lives
	world      World
	sink       Sink
	customerID string
	order      []*subscription          // as they came to be
	index      map[string]*subscription // by id, once there are many
	overrides  overrides
	// first is the first day of the month to live to, whose seats are counted.
	first pricing.Date
	seats Seats
}

// fewSubscriptions are found sooner without an index.
const fewSubscriptions = 16

// find returns the customer's subscription of the id, ended ones too.
func (l *life) find(id string) (*subscription, bool) {
	if len(l.order) > fewSubscriptions {
		if l.index == nil {
			l.index = make(map[string]*subscription, len(l.order))
			for _, s := range l.order {
				l.index[s.id] = s
			}
		}
		s, ok := l.index[id]
		return s, ok
	}
	for _, s := range l.order {
		if s.id == id {
			return s, true
		}
	}
	return nil, false
}

// overrides says which closed windows are lifted, and which changes said so.
type overrides struct {
	reasons map[*change.Change]string // by the change whose windows are lifted
	valid   map[string]bool           // ids of overrides that name an earlier change
}

// collectOverrides reads the overrides of the whole history: one that comes
// months later lifts the window all the same. Of several the first gives the reason.
func collectOverrides(changes []*change.Change) overrides {
	var o overrides
	for i, by := range changes {
		if by.Type != change.Overridden || by.Reason == "" {
			continue
		}
		if o.valid == nil {
			o = overrides{make(map[*change.Change]string), make(map[string]bool)}
		}
		for _, c := range changes[:i] {
			if c.ID != by.EventID || c.Subject != by.Subject {
				continue
			}
			o.valid[by.ID] = true
			if o.reasons[c] == "" {
				o.reasons[c] = by.Reason
			}
		}
	}
	return o
}

// lifted returns the reason why closed windows do not hold for the change.
func (o overrides) lifted(c *change.Change) string { return cmp.Or(c.Override, o.reasons[c]) }

// refusal says why a change was not taken. It is never shown as an error: it
// becomes an exception with its code.
type refusal struct {
	code   pricing.Code
	reason string
}

func (r *refusal) Error() string { return string(r.code) + ": " + r.reason }

func refuse(code pricing.Code, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error {
	return refuse(pricing.InvalidChange, format, args...)
}

// apply takes one change or reports why not.
func (l *life) apply(c *change.Change) error {
	err := l.take(c)
	var r *refusal
	if errors.As(err, &r) {
		month := c.At.Date().Month()
		l.sink.Exception(Exception{Code: r.code, SubscriptionID: subscriptionOf(c), EventID: c.ID,
			Message: string(c.Type) + " at " + c.At.String() + ": " + r.reason, From: month, To: month})
		return nil
	}
	return err
}

func subscriptionOf(c *change.Change) string {
	if c.Type == change.CustomerCredited {
		return c.SubscriptionID
	}
	return c.Subject
}

// take checks in the order of the rules: customer, partner and subscription
// known; active; values valid; trial and seats; eligibility; window; price.
func (l *life) take(c *change.Change) error {
	payer, code := l.world.Payer(l.customerID, c.At.Date().Month())
	if code != "" {
		return refuse(code, "%s", unknownPayer(code, l.customerID, payer))
	}
	e := event{life: l, Change: c, payer: payer, day: c.At.Date()}
	if c.Type == change.Purchased {
		return e.purchase()
	}
	if c.Type == change.CustomerCredited {
		return e.credit()
	}
	step, known := steps[c.Type]
	if !known {
		step.take, step.whileSuspended = (*event).unknown, true
	}
	s, ok := l.find(c.Subject)
	if !ok {
		return refuse(pricing.UnknownSubscription, "customer %s has no subscription %q", l.customerID, c.Subject)
	}
	if err := l.advance(s, e.day); err != nil {
		return err
	}
	if c.Type != change.Overridden {
		switch {
		case s.status == ended:
			return refuse(pricing.SubscriptionNotActive, "the subscription ended on %s", s.term.Span.End)
		case s.status == suspended && !step.whileSuspended:
			return refuse(pricing.SubscriptionNotActive, "the subscription is suspended")
		}
	}
	if c.Defect != "" {
		return invalid("%s", c.Defect)
	}
	return step.take(&e, s)
}

// unknownPayer says what has to be taken in.
func unknownPayer(code pricing.Code, customerID string, payer *Payer) string {
	switch {
	case code == pricing.UnknownCustomer:
		return fmt.Sprintf("no customer %s was taken in", customerID)
	case payer == nil:
		return fmt.Sprintf("the partner of customer %s was not taken in", customerID)
	}
	return fmt.Sprintf("partner %s of customer %s was not taken in", payer.Partner.ID, customerID)
}

func (e *event) unknown(*subscription) error { return invalid("unknown type of change") }

// steps says how each type of change to an existing subscription is taken.
var steps = map[change.Type]struct {
	take           func(*event, *subscription) error
	whileSuspended bool
}{
	change.QuantityChanged:    {take: (*event).changeQuantity},
	change.Canceled:           {take: (*event).cancel, whileSuspended: true},
	change.Upgraded:           {take: (*event).upgrade},
	change.TrialConverted:     {take: (*event).convertTrial},
	change.BillingPlanChanged: {take: (*event).changePlan},
	change.RenewalChanged:     {take: (*event).changeRenewal, whileSuspended: true},
	change.NextTermScheduled:  {take: (*event).schedule},
	change.NextTermCleared:    {take: (*event).clearSchedule},
	change.Suspended:          {take: (*event).suspend, whileSuspended: true},
	change.Reactivated:        {take: (*event).reactivate, whileSuspended: true},
	change.Overridden:         {take: (*event).override, whileSuspended: true},
}

// advance charges every cycle and renews every term that starts up to and
// including the day. A renewal at 00:00 comes before any change of its day.
func (l *life) advance(s *subscription, to pricing.Date) error {
	for s.status != ended && s.cycle.Last < to {
		next := s.cycle.Last + 1
		l.open(s, next)
		if next > s.term.Span.End {
			if err := l.renewOrExpire(s, next); err != nil {
				return err
			}
			continue
		}
		if s.pending != nil {
			l.switchPlan(s, next)
			continue
		}
		s.cycle = s.term.Span.CycleAt(s.term.Plan, next)
		l.charge(s, Charge{Type: CycleCharge, OrderDate: next})
	}
	l.open(s, to)
	return nil
}

// charge yields the charge of a whole cycle of the subscription's term, or a
// part of it. A parked term yields none.
func (l *life) charge(s *subscription, c Charge) {
	if s.term.Lock == nil {
		return
	}
	c.Term = s.term
	if c.Cycle == (pricing.Cycle{}) {
		c.Cycle = s.cycle
	}
	if c.Quantity == 0 {
		c.Quantity = s.quantity
	}
	if c.Change == nil {
		c.Start = c.Cycle.First
	}
	l.sink.Charge(c)
}

// end ends the subscription on the day: cancelled, upgraded away or expired.
func (l *life) end(s *subscription, on pricing.Date) {
	l.unpark(s, on)
	s.status = ended
	s.next = nil
	term := *s.term
	term.Span.End = on
	s.term = &term
}

// park marks the term as not billed.
func (l *life) park(s *subscription, code pricing.Code, reason, eventID string, since pricing.Date) {
	s.parked = &parking{code: code, message: reason, eventID: eventID, since: since}
}

// unpark reports a parked term in every month that it touched up to the day.
func (l *life) unpark(s *subscription, until pricing.Date) {
	p := s.parked
	if p == nil {
		return
	}
	s.parked = nil
	l.sink.Exception(Exception{Code: p.code, SubscriptionID: s.id, EventID: p.eventID,
		Message: fmt.Sprintf("not billed from %s: %s", p.since, p.message),
		From:    p.since.Month(), To: until.Month()})
}

// finish reports what is still parked and counts where all subscriptions stand.
func (l *life) finish(last pricing.Date) Count {
	var count Count
	for _, s := range l.order {
		switch {
		case s.status == ended:
			count.Ended++
		case s.parked != nil:
			count.Parked++
			l.unpark(s, last)
		default:
			count.Billed++
		}
	}
	return count
}

func (l *life) add(s *subscription) {
	l.order = append(l.order, s)
	if l.index != nil {
		l.index[s.id] = s
	}
}

// warn reports something that was billed but deserves a look.
func (l *life) warn(code pricing.Code, s string, eventID string, day pricing.Date, format string, args ...any) {
	l.sink.Exception(Exception{Warning: true, Code: code, SubscriptionID: s, EventID: eventID,
		Message: fmt.Sprintf(format, args...), From: day.Month(), To: day.Month()})
}

// query is the question for a term's price.
func query(term *Term, payer *Payer, at pricing.Instant) pricing.PriceQuery {
	length, plan := term.Span.Term, term.Plan
	if term.Span.Trial {
		length, plan = pricing.P1M, pricing.PlanNone
	}
	return pricing.PriceQuery{
		SKU: term.SKU, Term: length, Plan: plan,
		Market: payer.Customer.Country, Segment: payer.Customer.Segment,
		BillingCurrency: payer.Partner.BillingCurrency, At: at,
	}
}

// ownPrice is a price that a purchase brought along.
type ownPrice struct {
	unitPrice decimal.Decimal
	currency  string
}

// lookup finds the price of a term and locks it, for an event of the given
// month. asked is the promotion that
// the event names or the last term had; a *pricing.PriceError says that there
// is no price. The caller reports a promotion that was asked for and is not in
// the lock.
func (l *life) lookup(term *Term, payer *Payer, event pricing.Month, at pricing.Instant, asked string, own *ownPrice) (*Lock, error) {
	q := query(term, payer, at)
	key := LockKey{SubscriptionID: term.SubscriptionID, At: at, SKU: term.SKU, Term: q.Term, Plan: q.Plan}
	lock, remembered := l.world.Lock(key)
	if remembered && lock.Asked == asked {
		return &lock, nil
	}
	anytime := q
	anytime.At = 0
	plain := !remembered && own == nil && asked == "" && !term.Span.Trial
	if plain {
		if known, ok := l.lives.rows[anytime]; ok && known.from <= at && at <= known.until {
			l.sink.Locked(key, *known.lock)
			return known.lock, nil
		}
	}
	var from, until pricing.Instant
	switch {
	case remembered:
		// The price stands; only the promotion is asked for anew.
	case term.Span.Trial:
		lock.Currency = payer.Partner.BillingCurrency
	case own != nil:
		lock.UnitPrice, lock.Currency = own.unitPrice, own.currency
	default:
		price, err := pricing.FindPrice(l.world, q)
		l.reportStale(event, q, price, err)
		if err != nil {
			return nil, err
		}
		plain = plain && !price.Stale // that is reported each time
		from, until = price.From, price.Until
		lock = lockOf(price)
	}
	lock.Asked = asked
	if !term.Span.Trial {
		lock.PromotionID, lock.Discount = l.discount(asked, q)
	}
	l.sink.Locked(key, lock)
	shared := l.lives.shared(lock)
	if plain {
		if l.lives.rows == nil {
			l.lives.rows = make(map[pricing.PriceQuery]lockedRow)
		}
		l.lives.rows[anytime] = lockedRow{shared, from, until}
	}
	return shared, nil
}

// lockOf locks the price of a row.
func lockOf(price pricing.Price) Lock {
	return Lock{
		ProductTitle: price.Row.ProductTitle, SkuTitle: price.Row.SkuTitle, Publisher: price.Row.Publisher,
		UnitPrice: price.Row.UnitPrice, Currency: price.Row.Currency,
		Source: Source{Market: price.Sheet.Market, Month: price.Sheet.Month, File: price.Sheet.File,
			SHA256: price.Sheet.SHA256, Line: price.Row.Line},
	}
}

func (l *life) reportStale(event pricing.Month, q pricing.PriceQuery, price pricing.Price, err error) {
	stale := StaleSheet{Market: q.Market, Month: q.At.Date().Month()}
	var missing *pricing.PriceError
	switch {
	case errors.As(err, &missing) && missing.Stale:
		stale.Governs = missing.Governs
	case price.Stale:
		stale.Governs = price.Sheet.Month
	default:
		return
	}
	l.sink.StaleSheet(event, stale)
}

// discount returns the promotion's share off, if the promotion fits.
func (l *life) discount(id string, q pricing.PriceQuery) (string, decimal.Decimal) {
	if id == "" {
		return "", decimal.Decimal{}
	}
	for _, p := range l.world.Promotions(id) {
		if p.Fits(q) {
			return p.ID, p.Discount
		}
	}
	return "", decimal.Decimal{}
}

// settle gives the subscription its term's lock, or parks it, and reports a
// promotion that was asked for but does not fit.
func (l *life) settle(s *subscription, payer *Payer, at pricing.Instant, asked string, own *ownPrice, eventID string) error {
	day := at.Date()
	lock, err := l.lookup(s.term, payer, day.Month(), at, asked, own)
	var missing *pricing.PriceError
	switch {
	case errors.As(err, &missing):
		l.park(s, missing.Code, missing.Reason, eventID, day)
		s.promotion, _ = l.discount(asked, query(s.term, payer, at))
	case err != nil:
		return err
	default:
		s.term.Lock = lock
		s.promotion = lock.PromotionID
	}
	if asked != "" && s.promotion == "" {
		l.warnPromotion(s, asked, eventID, day)
	}
	return nil
}

func (l *life) warnPromotion(s *subscription, id, eventID string, day pricing.Date) {
	l.warn(pricing.PromotionNotApplied, s.id, eventID, day,
		"promotion %s does not fit %s/%s %s %s on %s: billed without it",
		id, s.term.SKU.ProductID, s.term.SKU.SkuID, s.term.Span.Term, s.term.Plan, day)
}
