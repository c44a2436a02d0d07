package subscription

import (
	"iter"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// View is where one subscription stands after a life, also one that ended in it
// or has no price: for whoever compares it with what another system says.
type View struct {
	Term      *Term // shared and never changed
	Suspended bool
	Ended     bool // Term.Span.End is its last day
	Parked    bool // without a price: not billed, but tracked all the same
	Quantity  int64
	Layers    []Layer // as in [Standing], but none is settled
	AutoRenew bool
	Next      *change.NextTerm // scheduled for the term's end; nil: none
	// NextPlan is the billing plan of the next cycle; a trial's is what its conversion
	// defaults to.
	NextPlan pricing.Plan
	// Start is the instant at which the term began.
	Start pricing.Instant
	// Upgraded is set where an upgrade made it: no cancellation window until it renews.
	Upgraded bool
}

// Views yields all subscriptions of the life in the order in which they came to
// be. Those that had ended before it are none of them.
func (e End) Views() iter.Seq[View] {
	return func(yield func(View) bool) {
		for _, s := range e.life.order {
			if !yield(s.view()) {
				return
			}
		}
	}
}

func (s *subscription) view() View {
	v := View{
		Term: s.term, Suspended: s.status == suspended, Ended: s.status == ended, Parked: s.term.Lock == nil,
		Quantity: s.quantity, AutoRenew: s.autoRenew, Next: s.next, NextPlan: s.plannedNext(), Start: s.start,
		Upgraded: s.upgraded,
	}
	for _, l := range s.layers {
		v.Layers = append(v.Layers, Layer{Seats: l.seats, Added: l.added, Closed: l.moved})
	}
	return v
}
