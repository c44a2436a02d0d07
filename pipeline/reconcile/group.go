package reconcile

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/calends/calends/pricing"
)

// Groups merges the two sides, each sorted by partner and customer as bytes,
// into groups. Only one customer is held at a time. An error of either side
// ends it.
func Groups(month pricing.Month, ours iter.Seq2[Ours, error], theirs iter.Seq2[Billed, error]) iter.Seq2[*Group, error] {
	return func(yield func(*Group, error) bool) {
		a := newSide("our lines", ours, func(o *Ours) payer { return payer{o.Line.Account.PartnerID, o.Line.Account.CustomerID} })
		defer a.stop()
		b := newSide("their lines", theirs, func(b *Billed) payer { return payer{b.Line.Account.PartnerID, b.Line.Account.CustomerID} })
		defer b.stop()
		for {
			if a.err != nil || b.err != nil {
				err := a.err
				if err == nil {
					err = b.err
				}
				yield(nil, err)
				return
			}
			if !a.ok && !b.ok {
				return
			}
			who := a.who
			if !a.ok || b.ok && b.who.compare(a.who) < 0 {
				who = b.who
			}
			g := &Group{PartnerID: who.partner, CustomerID: who.customer, Month: month, Ours: a.take(who)}
			g.Theirs, g.Unread = readable(b.take(who))
			if a.err == nil && b.err == nil && !yield(g, nil) {
				return
			}
		}
	}
}

// payer is what lines are grouped by.
type payer struct{ partner, customer string }

func (p payer) compare(o payer) int {
	if c := strings.Compare(p.partner, o.partner); c != 0 {
		return c
	}
	return strings.Compare(p.customer, o.customer)
}

// side is one of the streams, one line ahead.
type side[T any] struct {
	name  string
	next  func() (T, error, bool)
	stop  func()
	payer func(*T) payer
	line  T
	who   payer
	ok    bool
	err   error
}

func newSide[T any](name string, lines iter.Seq2[T, error], of func(*T) payer) *side[T] {
	s := &side[T]{name: name, payer: of}
	s.next, s.stop = iter.Pull2(lines)
	s.advance()
	return s
}

func (s *side[T]) advance() {
	var err error
	s.line, err, s.ok = s.next()
	if err != nil {
		s.ok, s.err = false, err
		return
	}
	if !s.ok {
		return
	}
	who := s.payer(&s.line)
	if who.compare(s.who) < 0 {
		s.ok, s.err = false, fmt.Errorf("%s are not sorted: customer %s of partner %s comes after customer %s of partner %s",
			s.name, who.customer, who.partner, s.who.customer, s.who.partner)
		return
	}
	s.who = who
}

// take returns the lines of one customer.
func (s *side[T]) take(who payer) []T {
	var lines []T
	for s.ok && s.who == who {
		lines = append(lines, s.line)
		s.advance()
	}
	return lines
}

// readable sets the lines aside that could not be read.
func readable(lines []Billed) (read, unread []Billed) {
	refused := func(b Billed) bool { return b.Refused != "" }
	if !slices.ContainsFunc(lines, refused) {
		return lines, nil
	}
	for _, b := range lines {
		if refused(b) {
			unread = append(unread, b)
		} else {
			read = append(read, b)
		}
	}
	return read, unread
}
