package subscription

import "github.com/calends/calends/pricing"

// Seats says how seats went through a month: Opening and the movements give
// Closing, and all three are counted apart. Seats of all subscriptions that have
// not ended count, of trials, suspended and parked ones too.
//
// The month begins before anything of its first day. A term whose last day was
// the day before renews or expires at 00:00 of the first: its seats are in the
// Opening, as they were in the Closing of the month before.
type Seats struct {
	Opening   int64
	Purchased int64 // by new subscriptions
	Added     int64
	Removed   int64
	Cancelled int64
	Expired   int64 // not renewed
	// What upgrades moved, within a customer: the two come to nothing.
	UpgradedIn, UpgradedOut int64
	// Renewed is what renewals and conversions of trials changed, less where
	// they left seats out.
	Renewed int64
	Closing int64
}

// Add adds another customer's.
func (s *Seats) Add(o Seats) {
	s.Opening += o.Opening
	s.Purchased += o.Purchased
	s.Added += o.Added
	s.Removed += o.Removed
	s.Cancelled += o.Cancelled
	s.Expired += o.Expired
	s.UpgradedIn += o.UpgradedIn
	s.UpgradedOut += o.UpgradedOut
	s.Renewed += o.Renewed
	s.Closing += o.Closing
}

// within reports whether a day belongs to the month whose seats are counted.
// Later ones are never lived.
func (l *life) within(day pricing.Date) bool { return day >= l.first }

// open counts the seats with which a subscription comes into the month. It is
// asked before anything of the day happens to the subscription.
func (l *life) open(s *subscription, day pricing.Date) {
	if s.opened || s.status == ended || !l.within(day) {
		return
	}
	s.opened = true
	l.seats.Opening += s.quantity
}

// tally counts seats that came or went on a day, if it belongs to the month.
func (l *life) tally(day pricing.Date, movement *int64, seats int64) {
	if l.within(day) {
		*movement += seats
	}
}

// closing counts the seats that the month leaves.
func (l *life) closing() (seats int64) {
	for _, s := range l.order {
		if s.status != ended {
			seats += s.quantity
		}
	}
	return seats
}
