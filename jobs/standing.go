package jobs

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Believed is what the ledger believes of one customer's subscriptions on a day.
type Believed struct {
	CustomerID string
	// Subscriptions are those that stood at the last close and those that came to be
	// after it, also when they have ended since.
	Subscriptions []subscription.View
	// Seen reports whether the id may be that of a subscription that ended before. It
	// may say so without need, once in four billion.
	Seen func(subscriptionID string) bool
}

// Subscriptions yields what the ledger believes at the end of a day, customer by
// customer in the order of their ids. What is in memory is bounded by the largest
// customer. Nothing is written, and no lock is needed.
func (e Env) Subscriptions(ctx context.Context, day pricing.Date) iter.Seq2[Believed, error] {
	return func(yield func(Believed, error) bool) {
		if err := e.subscriptions(ctx, day, func(b Believed) bool { return yield(b, nil) }); err != nil {
			yield(Believed{}, fmt.Errorf("subscriptions on %s: %w", day, err))
		}
	}
}

func (e Env) subscriptions(ctx context.Context, day pricing.Date, yield func(Believed) bool) error {
	at, r, err := e.standing(ctx, day)
	if err != nil {
		return err
	}
	var lives subscription.Lives
	for c, err := range e.customers(ctx, at, r) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		from, err := subscription.Standings(c.Parts)
		if err != nil {
			return err
		}
		end, err := lives.LiveTo(lockedWorld{r.catalog, c.Locks}, nowhere{}, c.ID, from, c.Changes, day)
		if err != nil {
			return err
		}
		b := Believed{CustomerID: c.ID, Subscriptions: slices.Collect(end.Views()), Seen: c.seen.Has}
		if !yield(b) {
			return nil
		}
	}
	return r.catalog.Err()
}

// standing reads what customers are lived with to the end of a day.
func (e Env) standing(ctx context.Context, day pricing.Date) (snapshot, *ready, error) {
	at, err := e.snapshot(ctx)
	if err != nil {
		return at, nil, err
	}
	if since := lastState(at.closes); since != nil && day.Month() <= since.Month {
		e.WholeHistory = true // the state that was kept is a later one
	}
	r, err := e.prepare(ctx, at, day.Month())
	if err != nil {
		return at, nil, err
	}
	r.books = invoice.Books{} // no corrections: nothing that was issued is read
	return at, r, nil
}

// Spelling returns how the ledger spells an id that another system may write in
// another case of letters, as GUIDs are: the ledger goes by bytes. An id that it does
// not have, or has in small letters, comes back as it is.
func (e Env) Spelling(ctx context.Context, day pricing.Date) (func(id string) string, error) {
	ours := make(map[string]string) // by small letters; most ledgers have none that differ
	note := func(id string) {
		if small := strings.ToLower(id); small != id {
			ours[small] = id
		}
	}
	_, r, err := e.standing(ctx, day)
	if err != nil {
		return nil, fmt.Errorf("spelling of ids: %w", err)
	}
	for c := range r.catalog.Customers {
		note(c.ID)
	}
	for b, err := range e.Subscriptions(ctx, day) {
		if err != nil {
			return nil, fmt.Errorf("spelling of ids: %w", err)
		}
		for _, s := range b.Subscriptions {
			note(s.Term.SubscriptionID)
		}
	}
	return func(id string) string { return cmp.Or(ours[strings.ToLower(id)], id) }, nil
}

// lockedWorld is the world of a customer whose closed months used these locks.
type lockedWorld struct {
	subscription.Facts
	locks map[subscription.LockKey]subscription.Lock
}

// Lock returns what a closed month used for the lookup.
func (w lockedWorld) Lock(key subscription.LockKey) (subscription.Lock, bool) {
	lock, ok := w.locks[key]
	return lock, ok
}

// nowhere is the sink of a life that is asked only where it ends.
type nowhere struct{}

// Charge is left out.
func (nowhere) Charge(subscription.Charge) {}

// Exception is left out.
func (nowhere) Exception(subscription.Exception) {}

// StaleSheet is left out.
func (nowhere) StaleSheet(pricing.Month, subscription.StaleSheet) {}

// Locked is left out.
func (nowhere) Locked(subscription.LockKey, subscription.Lock) {}
