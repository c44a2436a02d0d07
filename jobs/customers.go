package jobs

import (
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// customer is one customer on its way through a month.
type customer struct {
	invoice.Customer
	// seen are the marks that its state at the last close had.
	seen ledger.Marks
}

// work is about how much there is to do for it.
func (c *customer) work() int {
	n := 1 + len(c.Changes) + len(c.Issued) + len(c.Elsewhere)
	for _, p := range c.Parts {
		n += p.To - p.From
	}
	return n
}

// customers yields everyone with anything to bill, in the order of their ids:
// from where they stood at the last close and what came in since, or, where that
// reaches behind the close, from the whole history.
func (e Env) customers(ctx context.Context, at snapshot, r *ready) iter.Seq2[customer, error] {
	return func(yield func(customer, error) bool) {
		back, err := e.lookback(ctx, at, r)
		if err != nil {
			yield(customer{}, err)
			return
		}
		defer back.close()
		span := ledger.Span{Since: r.since, Until: r.month}
		next, stop := iter.Pull2(e.ledger().Groups(ctx, at.inputs, span))
		defer stop()
		j := joining{ready: r, back: back, next: next, others: back.others()}
		if r.since != nil {
			standings := e.ledger().Standings(ctx, r.since.AtClose)
			defer standings.Close()
			j.standings = standings
		}
		for {
			c, ok, err := j.customer()
			if err == nil && !ok {
				return
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// others are customers that may have lines without any change.
func (b *lookback) others() []string {
	ids := make(map[string]bool)
	for id := range b.elsewhere {
		ids[id] = true
	}
	for _, id := range b.issued.customers() {
		ids[id] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

// joining walks three lists in the order of customer ids, side by side.
type joining struct {
	*ready
	back      *lookback
	standings *ledger.ReadStandings // nil for the whole history
	next      func() ([]*change.Change, error, bool)
	others    []string

	// What is at hand of each; read says that it was asked for.
	standing     *ledger.Stood
	group        []*change.Change
	readStanding bool
	readGroup    bool
}

// customer returns the next one; false after the last.
func (j *joining) customer() (c customer, ok bool, err error) {
	if err := j.fill(); err != nil {
		return c, false, err
	}
	id, ok := "", false
	least := func(other string) {
		if !ok || other < id {
			id, ok = other, true
		}
	}
	if j.standing != nil {
		least(j.standing.CustomerID)
	}
	if len(j.group) > 0 {
		least(j.group[0].CustomerID)
	}
	if len(j.others) > 0 {
		least(j.others[0])
	}
	if !ok {
		return c, false, nil
	}
	var standing *ledger.Stood
	var recent []*change.Change
	if j.standing != nil && j.standing.CustomerID == id {
		standing, j.readStanding = j.standing, false
	}
	if len(j.group) > 0 && j.group[0].CustomerID == id {
		recent, j.readGroup = j.group, false
	}
	if len(j.others) > 0 && j.others[0] == id {
		j.others = j.others[1:]
	}
	if j.since == nil || reachesBack(standing, recent, j.since.Month) {
		c.Customer, err = j.back.customer(id, recent)
		return c, true, err
	}
	h := ledger.NewHistory(id, recent)
	c.Customer = invoice.Customer{ID: id, Changes: h.Changes, Conflicts: h.Conflicts, Elsewhere: j.elsewhere[id]}
	if standing != nil {
		c.Parts, c.Ended, c.seen = standing.Parts, standing.Ended, standing.Seen
	}
	return c, true, nil
}

func (j *joining) fill() (err error) {
	if !j.readStanding && j.standings != nil {
		if j.standing, err = j.standings.NextParts(); err != nil {
			return err
		}
		j.readStanding = true
	}
	if !j.readGroup {
		group, err, more := j.next()
		if err != nil {
			return err
		}
		j.readGroup = true
		j.group = nil
		if more {
			j.group = group
		}
	}
	return nil
}

// reachesBack reports whether a customer's recent changes, or what was left open
// at the close, ask for more than where its subscriptions stood: a late change,
// an override of an earlier one, an id that was there before, a subscription
// that has ended, a billing plan whose price is that of the term's start. It may
// say so without need, never the other way round.
func reachesBack(s *ledger.Stood, recent []*change.Change, closed pricing.Month) bool {
	if s != nil && s.LookBack {
		return true
	}
	seen := func(id string) bool { return s != nil && id != "" && s.Seen.Has(id) }
	ended := func(id string) bool { return seen(id) && !stands(s, id) }
	after := closed.Last()
	for _, c := range recent {
		switch {
		case c.At.Date() <= after, c.Type == change.Overridden, c.Type == change.BillingPlanChanged,
			seen(c.ID), ended(c.Subject), ended(c.ToSubscription), ended(c.SubscriptionID):
			return true
		}
	}
	return false
}

// stands reports whether a subscription has not ended, whatever else has left the same mark.
func stands(s *ledger.Stood, id string) bool {
	return slices.ContainsFunc(s.Parts, func(p subscription.Part) bool { return slices.Contains(p.Subscription[p.From:p.To], id) })
}

// standing is what the close of a month keeps of a customer; nil when there is
// nothing to keep.
func (c *customer) standing(month pricing.Month, o invoice.Outcome) *ledger.Standing {
	standings, news, known := o.End.Standings()
	for _, changes := range [][]*change.Change{c.Changes, c.Conflicts} {
		for _, one := range changes {
			if one.At.Date().Month() <= month {
				news = append(news, one.ID)
			}
		}
	}
	s := &ledger.Standing{CustomerID: c.ID, Ended: o.Count.Ended, Seen: c.seen.Add(news), LookBack: o.LookBack || !known}
	if !s.LookBack {
		s.Subscriptions = standings
	}
	if !s.LookBack && len(s.Seen) == 0 && len(s.Subscriptions) == 0 {
		return nil
	}
	return s
}
