// Package waterfall says why a partner's month comes to more or less than the
// month before: new subscriptions, seats, cancellations, prices and so on, cause
// by cause, adding up to the difference exactly.
//
// It reads both months' lines once, side by side, in the order of the file, and
// keeps nothing but one subscription's figures and one total a customer.
package waterfall

import (
	"cmp"
	"fmt"
	"iter"
	"strings"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// Cause is why an amount is in one month and not in the other.
type Cause uint8

// The causes, in the order in which they are shown.
const (
	// NewSubscriptions: first charges of subscriptions bought in the month.
	NewSubscriptions Cause = iota
	// SeatsAdded and SeatsRemoved: the prorated lines of a change, and the
	// cycles charged for more or fewer seats since.
	SeatsAdded
	SeatsRemoved
	// Cancellations: refunds, and cycles that are charged no more.
	Cancellations
	// Changes of product, term or billing plan.
	Changes
	// Timing: cycles that only one of the months has, as most of those that are
	// longer than a month.
	Timing
	// Prices: another list price, since the term began anew.
	Prices
	// Promotions that began or ended.
	Promotions
	// PartCycles: a cycle charged in part, where the other month has a whole one.
	PartCycles
	// Rates: another exchange rate.
	Rates
	// Elsewhere: usage and other charges that were rated elsewhere.
	Elsewhere
	// Credits, corrections of closed months, and what came late for them.
	Credits
	// Other is what none of these explains: cycles that were not billed the month
	// before, as of a parked term, and another rounding policy.
	Other

	causes = int(Other) + 1
)

func (c Cause) String() string {
	return [...]string{"New subscriptions", "Seats added", "Seats removed", "Cancelled and ended", "Product and plan changes",
		"Cycles due in one month only", "List prices", "Promotions", "Part cycles", "Exchange rates", "Charges rated elsewhere",
		"Credits, corrections, late lines", "Not billed before, and other"}[c]
}

// Waterfall leads from one month's net amount to the next one's:
// Last + the steps = This. Amounts are in minor units.
type Waterfall struct {
	Last, This int64
	Steps      []Step // every cause, in order
	Customers  []Customer
}

// Step is what one cause changes.
type Step struct {
	Cause         Cause
	Amount        int64
	Subscriptions int // whose charges it changes
}

// Customer is one customer's net amount in both months.
type Customer struct {
	ID, Name   string
	Last, This int64
}

// Explain compares the lines of a month with those of the month before. Both
// are one partner's, in one currency, sorted by customer and subscription.
func Explain(month pricing.Month, last, this iter.Seq2[*invoice.Line, error]) (Waterfall, error) {
	w := Waterfall{Steps: make([]Step, causes)}
	for i := range w.Steps {
		w.Steps[i].Cause = Cause(i)
	}
	before, now := newReader(last, month-1), newReader(this, month)
	defer before.stop()
	defer now.stop()
	for before.line != nil || now.line != nil {
		next := before.key()
		if before.line == nil || now.line != nil && now.key().compare(next) < 0 {
			next = now.key()
		}
		w.add(next, before.side(next), now.side(next))
	}
	if before.err != nil {
		return Waterfall{}, fmt.Errorf("lines of %s: %w", month-1, before.err)
	}
	if now.err != nil {
		return Waterfall{}, fmt.Errorf("lines of %s: %w", month, now.err)
	}
	return w, nil
}

// add enters one subscription.
func (w *Waterfall) add(k key, before, now side) {
	w.Last += before.total
	w.This += now.total
	if n := len(w.Customers); n == 0 || w.Customers[n-1].ID != k.customer {
		w.Customers = append(w.Customers, Customer{ID: k.customer})
	}
	c := &w.Customers[len(w.Customers)-1]
	c.Name = cmp.Or(now.name, c.Name, before.name)
	c.Last += before.total
	c.This += now.total
	for cause, amount := range explain(before, now) {
		if amount != 0 {
			w.Steps[cause].Amount += amount
			w.Steps[cause].Subscriptions++
		}
	}
}

// key is what lines are sorted by.
type key struct{ customer, subscription string }

func (k key) compare(o key) int {
	return cmp.Or(strings.Compare(k.customer, o.customer), strings.Compare(k.subscription, o.subscription))
}

// reader reads lines subscription by subscription.
type reader struct {
	month pricing.Month
	next  func() (*invoice.Line, error, bool)
	stop  func()
	line  *invoice.Line // the next one; nil at the end
	err   error
}

func newReader(lines iter.Seq2[*invoice.Line, error], month pricing.Month) *reader {
	r := &reader{month: month}
	r.next, r.stop = iter.Pull2(lines)
	r.read()
	return r
}

func (r *reader) read() {
	line, err, ok := r.next()
	switch {
	case !ok:
		r.line = nil
	case err != nil:
		r.line, r.err = nil, err
	default:
		r.line = line
	}
}

func (r *reader) key() key {
	if r.line == nil {
		return key{}
	}
	return key{r.line.Account.CustomerID, r.line.SubscriptionID}
}

// side reads the lines of one subscription.
func (r *reader) side(k key) (s side) {
	for r.line != nil && r.key() == k {
		s.add(r.line, r.month)
		r.read()
		if r.line != nil && r.key().compare(k) < 0 {
			r.line, r.err = nil, fmt.Errorf("customer %s, subscription %q stand behind %s, %q: the lines are not sorted",
				r.line.Account.CustomerID, r.line.SubscriptionID, k.customer, k.subscription)
		}
	}
	return s
}
