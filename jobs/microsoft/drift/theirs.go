// Package drift compares what Microsoft says of a customer's subscriptions with
// what the ledger believes of them. It reads no file and asks nobody: both sides
// come in as values, and findings go out.
//
// A snapshot says how things are, not when they became so. A finding proposes a
// change only where what Microsoft says also proves an instant that gives the
// right amounts:
//
//   - a purchase, when its start, its term and the windows of all its seats are there
//     and agree; it is dated at its start;
//   - added seats, when the windows of the newest seats add up to exactly those; each
//     addition is dated by its own window;
//   - auto-renew and what is scheduled for the next term, when both sides have the same
//     term and it has not ended: until its end no amount depends on them, and so they
//     are dated at the snapshot;
//   - auto-renew that was off when the term ended, when Microsoft says expired or disabled
//     where the ledger renewed; it is dated on the term's last day.
//
// Everything else (fewer seats, cancellations, suspensions, upgrades, other terms or
// plans) is reported and not proposed: the audit records have its instant, or a
// person knows it.
package drift

import (
	"slices"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// Status is the state of a subscription in Microsoft's words, which are many, as
// billing knows it.
type Status uint8

// The states. Of an unknown one nothing is compared.
const (
	Unknown Status = iota
	Active
	Suspended
	Ended
)

// String returns the state as reports print it.
func (s Status) String() string { return [...]string{"unknown", "active", "suspended", "ended"}[s] }

// Theirs is a subscription as Microsoft says it is. What it does not say is zero,
// and is not compared.
type Theirs struct {
	ID     string
	Status Status
	// Word is the status in Microsoft's own word.
	Word  string
	SKU   pricing.SKU
	Term  pricing.Term
	Plan  pricing.Plan
	Trial bool
	// Elsewhere is set for one that is not billed by seats: usage, software, a legacy
	// offer. It is compared only with one that the ledger has.
	Elsewhere bool
	Quantity  *int64
	// AutoRenew is nil where nothing is said.
	AutoRenew *bool
	// Created and Start are the instants of the order and of its effect; 0: not said.
	Created, Start pricing.Instant
	CommitmentEnd  pricing.Date // inclusive; NoDate: not said
	// Next is what is scheduled for the term's end; nil: nothing.
	Next *change.NextTerm
	// Refundable are the seats that can still be taken back, each lot with the end of
	// its own window.
	Refundable []Lot

	OrderID, AvailabilityID, ParentID, PromotionID string
}

// Lot is a number of seats that came at one time.
type Lot struct {
	Seats int64
	Until pricing.Instant // the last instant at which they can be taken back
}

// Added is when the seats came: as long before the end of their window as windows are.
func (l Lot) Added() pricing.Instant {
	added := l.Until - window
	if added < sevenDaysSince {
		return l.Until - windowBefore
	}
	return added
}

// Windows were three days for what began before 12 March 2022.
const (
	window       = 168 * pricing.Hour
	windowBefore = 72 * pricing.Hour
)

var sevenDaysSince = pricing.DateOf(2022, 3, 12).Instant()

// lots are the seats that can be taken back, oldest first.
func (t *Theirs) lots() []Lot {
	lots := slices.Clone(t.Refundable)
	slices.SortStableFunc(lots, func(a, b Lot) int { return int(min(1, max(-1, a.Until-b.Until))) })
	return lots
}

func (t *Theirs) stands() bool { return t.Status == Active || t.Status == Suspended }
