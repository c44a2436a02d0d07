// Package world invents a partner's whole business of any size from a seed, to
// measure with: partners, customers, price sheets, exchange rates, promotions, the
// purchases of three years and what changed in one month. Small worlds are a year old.
//
// Nothing is held: each thing is a function of the seed and its number, so a world
// of fifty million subscriptions is written in the memory of a small one, month by
// month or day by day, and the same plan always gives the same files. Whether a
// month comes out right is asked elsewhere; this one is for how long it takes.
package world

import (
	"bufio"
	"fmt"
	"io"
	"iter"

	"github.com/calends/calends/pricing"
)

// Plan says which world is wanted.
type Plan struct {
	// Subscriptions that run when the month begins.
	Subscriptions int
	Seed          uint64
	// Month is the one to measure.
	Month pricing.Month
	// Simple leaves out all but purchases, renewals and changes of seats: what can
	// be computed in a few lines of SQL.
	Simple bool
}

// history is how many months before the one that is measured have purchases.
func (p Plan) history() pricing.Month {
	if p.Subscriptions < small {
		return 12
	}
	return 36
}

// World is what a plan describes.
type World struct {
	Plan
	dice      dice
	partners  []partner
	customers int
	giant     int // the number of the customer with many subscriptions
	giantSize int
}

// New invents a world.
func New(p Plan) (*World, error) {
	if p.Subscriptions < 1 {
		return nil, fmt.Errorf("a world of %d subscriptions: want one at least", p.Subscriptions)
	}
	if p.Subscriptions > 1_000_000_000 {
		return nil, fmt.Errorf("a world of %d subscriptions: want a thousand million at most", p.Subscriptions)
	}
	w := &World{Plan: p, dice: newDice(p.Seed)}
	w.partners = w.inventPartners()
	w.giantSize = min(20_000, p.Subscriptions/10)
	// The giant is the first customer behind a third of the subscriptions.
	w.giant = -1
	for n, c := 0, 0; n < p.Subscriptions; c++ {
		if w.giant < 0 && n >= p.Subscriptions/3 && w.giantSize > 200 {
			w.giant = c
		}
		n += w.size(c)
		w.customers = c + 1
	}
	return w, nil
}

// Partners is how many there are.
func (w *World) Partners() int { return len(w.partners) }

// Customers is how many there are.
func (w *World) Customers() int { return w.customers }

// First is the month that the history begins with.
func (w *World) First() pricing.Month { return w.Month - w.history() }

// size is how many subscriptions a customer has, unless it is the last one: most
// have a few, some hundreds, one thousands.
func (w *World) size(c int) int {
	if c == w.giant {
		return w.giantSize
	}
	d := w.dice.of(aboutSize, c)
	switch p := d.roll(100); {
	case p < 45:
		return 1 + d.again(1).roll(3)
	case p < 80:
		return 4 + d.again(1).roll(7)
	case p < 95:
		return 11 + d.again(1).roll(30)
	default:
		return 41 + d.again(1).roll(160)
	}
}

// each yields all subscriptions with their customers, in the order of the
// customers' ids.
func (w *World) each() iter.Seq2[int, subscriber] {
	return func(yield func(int, subscriber) bool) {
		n := 0
		for c := range w.customers {
			size := min(w.size(c), w.Subscriptions-n)
			who := subscriber{customer: c, first: n}
			for range size {
				if !yield(n, who) {
					return
				}
				n++
			}
		}
	}
}

// subscriber is whose a subscription is; first is the number of its first one.
type subscriber struct{ customer, first int }

// text is a file of text on its way. A failure stays, and Flush returns it.
type text struct{ *bufio.Writer }

func newText(out io.Writer) text { return text{bufio.NewWriterSize(out, 1<<16)} }

func (t text) printf(format string, args ...any) { _, _ = fmt.Fprintf(t, format, args...) }
