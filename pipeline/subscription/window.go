package subscription

import "github.com/calends/calends/pricing"

// WindowEnd returns the last instant at which what started then (a purchase,
// added seats, a renewal) can be taken back.
func WindowEnd(start pricing.Instant) pricing.Instant { return start + windowFrom(start) }
