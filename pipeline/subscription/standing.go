package subscription

import (
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// Standing is where a subscription that has not ended stands at the end of a
// day: all that the rest of its life depends on besides what is still to come.
type Standing struct {
	Term      *Term // shared and never changed
	Suspended bool
	// Cycle is the one that was charged last.
	Cycle pricing.Cycle
	// Start is the instant from which the cancellation window runs.
	Start    pricing.Instant
	Quantity int64
	// Layers are the seats by the window in which they can be taken back,
	// oldest first; they add up to Quantity.
	Layers    []Layer
	TrialPlan pricing.Plan
	AutoRenew bool
	Next      *change.NextTerm // scheduled for the term's end; nil: none
	Promotion string           // that renewals ask for
	Touched   bool             // the quantity changed since the term's start
	Upgraded  bool             // no cancellation window until it renews
}

// Layer is a number of seats that share one window.
type Layer struct {
	Seats  int64
	Added  pricing.Instant // 0 once it is closed
	Closed bool
}

// End is how a life stands after its last day.
type End struct {
	Count
	// Seats are those of the month that the life ends with.
	Seats Seats

	life *life
	last pricing.Date
}

// Standings returns where the subscriptions that have not ended stand, in the
// order in which they came to be, and the ids of those that ended in this life.
// known is false when a standing cannot say all: a term without a price is
// looked up again from its start, and a planned change of the billing plan asks
// for the price of that day. Such a customer's next month needs the whole history.
func (e End) Standings() (standings []Standing, gone []string, known bool) {
	known = true
	next := (e.last + 1).Instant()
	for _, s := range e.life.order {
		switch {
		case s.status == ended:
			gone = append(gone, s.id)
		case s.term.Lock == nil || s.pending != nil:
			known = false
		default:
			standings = append(standings, s.standing(next))
		}
	}
	return standings, gone, known
}

// standing is taken before the instant at which the next day begins.
func (s *subscription) standing(next pricing.Instant) Standing {
	return Standing{
		Term: s.term, Suspended: s.status == suspended, Cycle: s.cycle, Start: s.start, Quantity: s.quantity,
		Layers: settledLayers(s.layers, next), TrialPlan: s.trialPlan, AutoRenew: s.autoRenew, Next: s.next,
		Promotion: s.promotion, Touched: s.touched, Upgraded: s.upgraded,
	}
}

// settledLayers makes one of the oldest layers whose windows are closed for
// good: which of their seats go first makes no difference any more.
func settledLayers(layers []layer, next pricing.Instant) []Layer {
	var settled []Layer
	for _, l := range layers {
		closed := !l.open(next)
		if n := len(settled); n > 0 && closed && settled[n-1].Closed {
			settled[n-1].Seats += l.seats
			continue
		}
		settled = append(settled, Layer{Seats: l.seats, Added: l.added, Closed: closed})
		if closed { // and stays so, whenever it was added
			settled[len(settled)-1].Added = 0
		}
	}
	return settled
}

// resume makes s the subscription that stood so. layers is the room for its layers.
func (st *Standing) resume(s *subscription, layers []layer) {
	for i, l := range st.Layers {
		layers[i] = layer{seats: l.Seats, added: l.Added, moved: l.Closed}
	}
	*s = subscription{
		id: st.Term.SubscriptionID, term: st.Term, cycle: st.Cycle, start: st.Start, quantity: st.Quantity, layers: layers,
		trialPlan: st.TrialPlan, autoRenew: st.AutoRenew, next: st.Next, promotion: st.Promotion,
		touched: st.Touched, upgraded: st.Upgraded,
	}
	if st.Suspended {
		s.status = suspended
	}
}
