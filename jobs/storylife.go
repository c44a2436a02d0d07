package jobs

import (
	"cmp"
	"context"
	"slices"
	"sort"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// teller finds out what happened to one subscription. It lives its history again and
// again, each time one step further, and looks at what has changed: so that nothing of
// the rules is told twice.
type teller struct {
	reading  *Reading
	ctx      context.Context //nolint:containedctx // of the one story that is told
	id       string
	day      pricing.Date
	customer invoice.Customer // the family's changes
	family   map[string]bool
	lives    subscription.Lives

	events []storyEvent
	terms  []termInForce
	// now is where the subscription stands at the end of the day, and heard what the
	// life to it yielded; nil if it never came to be.
	now   *subscription.View
	heard recorder
}

// storyEvent is something that happened, and where the subscription stood before and
// after.
type storyEvent struct {
	at            pricing.Instant
	kind          string
	change        *change.Change // nil for what the calendar does
	before, after *subscription.View
	// refusal is why the change was not taken; notes are other exceptions.
	refusal *subscription.Exception
	notes   []subscription.Exception
}

// termInForce is a term and the day on which it took over.
type termInForce struct {
	term *subscription.Term
	from pricing.Date
}

// listener keeps what a life says besides charges.
type listener struct {
	nowhere
	exceptions []subscription.Exception
}

// Exception keeps it.
func (l *listener) Exception(x subscription.Exception) { l.exceptions = append(l.exceptions, x) }

// recorder keeps the charges too.
type recorder struct {
	listener
	charges []subscription.Charge
}

// Charge keeps it.
func (r *recorder) Charge(c subscription.Charge) { r.charges = append(r.charges, c) }

// at lives the first n changes of the family to the end of a day. Overrides that come
// later lift a window all the same.
func (t *teller) at(n int, day pricing.Date) (*subscription.View, recorder, error) {
	changes := slices.Clone(t.customer.Changes[:n])
	for _, c := range t.customer.Changes[n:] {
		if c.Type == change.Overridden {
			changes = append(changes, c)
		}
	}
	var heard recorder
	if err := t.ctx.Err(); err != nil {
		return nil, heard, err
	}
	end, err := t.lives.LiveTo(lockedWorld{t.reading.catalog, t.customer.Locks}, &heard, t.customer.ID, nil, changes, day)
	if err != nil {
		return nil, heard, err
	}
	for v := range end.Views() {
		if v.Term.SubscriptionID == t.id {
			return &v, heard, nil
		}
	}
	return nil, heard, nil
}

// live goes through the history up to the day.
func (t *teller) live() (err error) {
	changes := t.customer.Changes
	known := sort.Search(len(changes), func(i int) bool { return changes[i].At.Date() > t.day })
	for i, c := range changes[:known] {
		if !t.touches(c) {
			continue
		}
		if err := t.calendar(i, c.At.Date()); err != nil {
			return err
		}
		if err := t.change(i, c); err != nil {
			return err
		}
	}
	if err := t.calendar(known, t.day); err != nil {
		return err
	}
	if t.now, t.heard, err = t.at(known, t.day); err != nil {
		return err
	}
	t.planChanges()
	for _, c := range t.customer.Conflicts {
		if t.touches(c) && c.At.Date() <= t.day {
			stood := t.stoodAt(c.At)
			t.events = append(t.events, storyEvent{at: c.At, kind: EventChange, change: c, before: stood, after: stood,
				refusal: &subscription.Exception{Code: pricing.ConflictingChange, Message: "the id was taken in before with another content, which stands"}})
		}
	}
	// What the calendar does on a day comes before every change of it.
	slices.SortStableFunc(t.events, func(a, b storyEvent) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(boolOrder(a.change != nil), boolOrder(b.change != nil)))
	})
	return nil
}

func boolOrder(b bool) int {
	if b {
		return 1
	}
	return 0
}

// touches reports whether a change is the subscription's own, or an upgrade to it.
func (t *teller) touches(c *change.Change) bool {
	switch c.Type {
	case change.CustomerCredited:
		return c.SubscriptionID == t.id
	case change.Upgraded:
		return c.Subject == t.id || c.ToSubscription == t.id
	default:
		return c.Subject == t.id
	}
}

// stoodAt is where the subscription stood at an instant, as far as events tell.
func (t *teller) stoodAt(at pricing.Instant) (v *subscription.View) {
	for _, e := range t.events {
		if e.at <= at {
			v = e.after
		}
	}
	return v
}

// last is where the subscription stood after the last event.
func (t *teller) last() *subscription.View {
	if len(t.events) == 0 {
		return nil
	}
	return t.events[len(t.events)-1].after
}

// calendar notes renewals and the end of a term up to and including a day, before the
// change i of it.
func (t *teller) calendar(i int, to pricing.Date) error {
	for {
		was := t.last()
		if was == nil || was.Ended || was.Term.Span.End >= to {
			return nil
		}
		day := was.Term.Span.End + 1
		is, heard, err := t.at(i, day)
		if err != nil {
			return err
		}
		e := storyEvent{at: day.Instant(), kind: EventRenewal, before: was, after: is}
		if is.Ended {
			e.kind = EventExpiry
		}
		for _, x := range heard.exceptions {
			if x.SubscriptionID == t.id && x.EventID == "" && x.From == day.Month() {
				e.notes = append(e.notes, x)
			}
		}
		t.add(e)
	}
}

// change notes what a change did.
func (t *teller) change(i int, c *change.Change) error {
	is, heard, err := t.at(i+1, c.At.Date())
	if err != nil {
		return err
	}
	e := storyEvent{at: c.At, kind: EventChange, change: c, before: t.last(), after: is}
	for _, x := range heard.exceptions {
		if x.EventID != c.ID {
			continue
		}
		if refuses(c, x) {
			e.refusal = &x
		} else {
			e.notes = append(e.notes, x)
		}
	}
	t.add(e)
	return nil
}

// refuses reports whether an exception of a change says that it was not taken. A
// purchase without a price is parked, and an end that cannot be is left out.
func refuses(c *change.Change, x subscription.Exception) bool {
	switch {
	case x.Warning, x.Code == pricing.TermEndNotAllowed:
		return false
	case c.Type == change.Purchased:
		return x.Code != pricing.PriceNotFound && x.Code != pricing.PriceAmbiguous
	}
	return true
}

// add notes an event, and the term that it began.
func (t *teller) add(e storyEvent) {
	t.events = append(t.events, e)
	is := e.after
	if is == nil || is.Ended {
		return
	}
	if n := len(t.terms); n == 0 || t.terms[n-1].term != is.Term && !sameTerm(t.terms[n-1].term, is.Term) {
		t.terms = append(t.terms, termInForce{is.Term, e.at.Date()})
	}
}

// sameTerm reports whether two lives have made the same term.
func sameTerm(a, b *subscription.Term) bool {
	return a.SKU == b.SKU && a.Span == b.Span && a.Plan == b.Plan
}

// planChanges adds the days on which another billing plan took over: charges tell.
func (t *teller) planChanges() {
	for _, c := range t.heard.charges {
		if c.Type != subscription.ChangeBillingPlan || c.Term.SubscriptionID != t.id {
			continue
		}
		at := c.OrderDate.Instant()
		stood := t.stoodAt(at - 1)
		after := *stood
		after.Term = c.Term
		t.events = append(t.events, storyEvent{at: at, kind: EventPlan, before: stood, after: &after})
		t.terms = append(slices.DeleteFunc(t.terms, func(f termInForce) bool { return sameTerm(f.term, c.Term) }), termInForce{c.Term, c.OrderDate})
	}
	slices.SortStableFunc(t.terms, func(a, b termInForce) int { return cmp.Compare(a.from, b.from) })
}

// storyTerms tells the terms, each to the day before the next.
func (t *teller) storyTerms() []StoryTerm {
	var told []StoryTerm
	for i, f := range t.terms {
		to := f.term.Span.End
		if i+1 < len(t.terms) {
			to = min(to, t.terms[i+1].from-1)
		} else if t.now != nil && t.now.Ended {
			to = min(to, t.now.Term.Span.End)
		}
		s := StoryTerm{
			Start: f.term.Span.Start.String(), End: f.term.Span.End.String(), From: f.from.String(), To: to.String(),
			ProductID: f.term.SKU.ProductID, SkuID: f.term.SKU.SkuID, TermDuration: f.term.Span.Term.String(), BillingCycle: f.term.Plan.String(),
			Trial: f.term.Span.Trial, CustomEnd: f.term.Span.Custom, Parked: f.term.Lock == nil, Cycles: []string{},
		}
		if lock := f.term.Lock; lock != nil {
			s.SkuName, s.UnitPrice, s.Currency, s.PromotionID = lock.SkuTitle, lock.UnitPrice.String(), lock.Currency, lock.PromotionID
		}
		for day := f.from; day <= to; {
			cycle := f.term.Span.CycleAt(f.term.Plan, day)
			s.Cycles = append(s.Cycles, max(cycle.First, f.from).String())
			day = cycle.Last + 1
		}
		told = append(told, s)
	}
	return told
}
