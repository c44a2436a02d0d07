package subscription

import (
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

type status uint8

const (
	active status = iota
	suspended
	ended
)

// subscription is where one subscription stands.
type subscription struct {
	id     string
	status status
	term   *Term
	// cycle is the one that was charged last; everything up to its last day
	// has its line.
	cycle pricing.Cycle
	// start is the instant from which the cancellation window runs.
	start    pricing.Instant
	quantity int64
	layers   []layer // oldest first; they add up to quantity
	// trialPlan is what a trial's conversion or renewal is billed by when
	// nothing else is said.
	trialPlan pricing.Plan

	autoRenew bool
	next      *change.NextTerm // scheduled for the term's end; nil: none
	// promotion is the one that renewals ask for; "" once it lapsed.
	promotion string
	pending   *planChange

	// touched is set when the quantity changed since the term's start, in any
	// way: a cancellation within 24 hours then refunds no used days.
	touched bool
	// upgraded subscriptions have no cancellation window until they renew.
	upgraded bool

	parked *parking
	// opened is set once the seats of the month's opening have been counted.
	opened bool
}

// parking says why and since when a term is not billed.
type parking struct {
	code    pricing.Code
	message string
	eventID string
	since   pricing.Date
}

// layer is a number of seats that share one window for taking them back.
type layer struct {
	seats int64
	added pricing.Instant
	// moved seats came by an upgrade: their window is closed at once. So is that
	// of seats whose window had closed when a state was kept.
	moved bool
}

func (l layer) open(at pricing.Instant) bool {
	return !l.moved && at-l.added <= windowFrom(l.added)
}

// windowFrom is how long a purchase, an addition or a renewal can be taken
// back, to the instant. New terms had three days until 12 March 2022.
func windowFrom(start pricing.Instant) pricing.Instant {
	if start < sevenDaysSince {
		return 72 * pricing.Hour
	}
	return 168 * pricing.Hour
}

var sevenDaysSince = pricing.DateOf(2022, 3, 12).Instant()

// fullRefundWithin is how long after the start of a term all days are refunded.
const fullRefundWithin = 24 * pricing.Hour

// cancelOpen reports whether the subscription can still be cancelled.
func (s *subscription) cancelOpen(at pricing.Instant) bool {
	return !s.upgraded && at-s.start <= windowFrom(s.start)
}

// openSeats counts the seats whose own window is open.
func (s *subscription) openSeats(at pricing.Instant) (n int64) {
	for _, l := range s.layers {
		if l.open(at) {
			n += l.seats
		}
	}
	return n
}

// removeSeats takes seats from the layers, newest first: the open ones, then
// what is left from the closed ones.
func (s *subscription) removeSeats(n int64, at pricing.Instant) {
	for _, open := range []bool{true, false} {
		for i := len(s.layers) - 1; i >= 0 && n > 0; i-- {
			if s.layers[i].open(at) == open {
				n -= s.layers[i].take(n)
			}
		}
	}
	s.dropEmptyLayers()
}

// moveSeats takes seats that an upgrade moves away: newest layers first, open or not.
func (s *subscription) moveSeats(n int64) {
	for i := len(s.layers) - 1; i >= 0 && n > 0; i-- {
		n -= s.layers[i].take(n)
	}
	s.dropEmptyLayers()
}

func (l *layer) take(n int64) int64 {
	n = min(n, l.seats)
	l.seats -= n
	return n
}

func (s *subscription) dropEmptyLayers() {
	kept := s.layers[:0]
	for _, l := range s.layers {
		if l.seats > 0 {
			kept = append(kept, l)
		}
	}
	s.layers = kept
}

// begin puts the subscription at the start of a term, with all seats in one layer.
func (s *subscription) begin(term *Term, start pricing.Instant, quantity int64) {
	s.term = term
	s.cycle = term.Span.CycleAt(term.Plan, term.Span.Start)
	s.start = start
	s.quantity = quantity
	s.layers = []layer{{seats: quantity, added: start}}
	s.next = nil
	s.pending = nil
	s.touched = false
	s.upgraded = false
}
