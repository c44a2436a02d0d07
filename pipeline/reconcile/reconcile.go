package reconcile

import (
	"github.com/calends/calends/pipeline/invoice"
)

// Reconcile matches the lines of a group and explains what differs. An error
// comes from the world, never from a line.
func Reconcile(world World, g *Group) (Result, error) {
	m := newMatcher(world, g)
	m.run()
	return m.result()
}

func amountOf(l *invoice.Line) Amount { return Amount{l.Subtotal, l.TaxTotal, l.Total} }
