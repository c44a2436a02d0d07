package ledger

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// PutChanges keeps changes as data objects, one a calendar month, each in the
// order of [change.Compare]: so that a month is read without the others.
func (l Ledger) PutChanges(ctx context.Context, changes []change.Change) ([]Object, error) {
	var objects []Object
	for of := inOrder(changes); len(of) > 0; {
		month := of[0].month
		n := 1
		for n < len(of) && of[n].month == month {
			n++
		}
		overrides := slices.ContainsFunc(of[:n], func(p placed) bool { return p.change.Type == change.Overridden })
		data, err := encodeChanges(of[:n])
		if err != nil {
			return nil, fmt.Errorf("changes of %s: %w", month, err)
		}
		o, err := l.Data(ctx, "parquet", data, int64(n))
		if err != nil {
			return nil, fmt.Errorf("changes of %s: %w", month, err)
		}
		o.Month, o.Overrides = month.String(), overrides
		objects = append(objects, o)
		of = of[n:]
	}
	return objects, nil
}

// placed is a change with its place among others, in numbers as far as may be:
// they are compared more often than anything else is done with a change, and a
// change lies somewhere else in memory.
type placed struct {
	month    pricing.Month
	customer uint64 // the first bytes of the id
	at       pricing.Instant
	change   *change.Change
}

// inOrder sorts changes by month, and within one by [change.Compare].
func inOrder(changes []change.Change) []placed {
	of := make([]placed, len(changes))
	for i := range changes {
		c := &changes[i]
		var first [8]byte
		copy(first[:], c.CustomerID)
		of[i] = placed{c.At.Date().Month(), binary.BigEndian.Uint64(first[:]), c.At, c}
	}
	slices.SortFunc(of, func(a, b placed) int {
		switch {
		case a.month != b.month:
			return cmp.Compare(a.month, b.month)
		case a.customer != b.customer:
			return cmp.Compare(a.customer, b.customer)
		case a.at != b.at: // of one customer, or see below
			return cmp.Compare(a.at, b.at)
		}
		return change.Compare(a.change, b.change)
	})
	// Customers whose ids begin alike, which hardly any do, stand mixed.
	for from := 0; from < len(of); {
		to, mixed := from+1, false
		for to < len(of) && of[to].month == of[from].month && of[to].customer == of[from].customer {
			mixed = mixed || of[to].change.CustomerID != of[from].change.CustomerID
			to++
		}
		if mixed {
			slices.SortFunc(of[from:to], func(a, b placed) int { return change.Compare(a.change, b.change) })
		}
		from = to
	}
	return of
}

// History is all changes of one customer, as they are to be applied.
type History struct {
	CustomerID string
	Changes    []*change.Change
	Conflicts  []*change.Change
}

// Ever is a month after all others.
const Ever = pricing.Month(math.MaxInt32)

// Span says which changes a month is computed from.
type Span struct {
	// Since is the close at whose state the computing begins; nil: the beginning.
	// What it knew of its own and earlier months is left out.
	Since *Close
	// Until is the month computed. Later changes are read for the overrides among
	// them, which may lift a window of this month, and for their ids, which may
	// have been taken in before one of this month: the rest of them is left out.
	Until pricing.Month
}

// object reports whether a data object may hold changes of the span.
func (s Span) object(input int64, o Object) (bool, error) {
	if o.Month == "" {
		return true, nil // of any months
	}
	month, err := monthOf(o.Month)
	if err != nil {
		return false, fmt.Errorf("%s: %w", o.Key, err)
	}
	return !s.known(input, month), nil
}

// later reports whether an object's changes are of later months and none of
// them an override.
func (s Span) later(o Object) bool {
	month, err := monthOf(o.Month)
	return err == nil && month > s.Until && !o.Overrides
}

// Records counts the changes in the objects that a span reads.
func (s Span) Records(inputs []Input) (n int64) {
	for _, in := range inputs {
		for _, o := range in.Objects {
			if wanted, err := s.object(in.Number, o); in.Kind == Changes && wanted && err == nil && !s.later(o) {
				n += o.Records
			}
		}
	}
	return n
}

// wants reports whether a change is of the span.
func (s Span) wants(c *change.Change) bool {
	return s.Since == nil || c.Taken.Input > s.Since.Inputs || !s.known(c.Taken.Input, c.At.Date().Month())
}

// known reports whether the state at the close has it already.
func (s Span) known(input int64, month pricing.Month) bool {
	return s.Since != nil && input <= s.Since.Inputs && month <= s.Since.Month
}

// Groups merges the runs of the inputs and yields the changes of one customer
// after the other, in the order of their ids' bytes, sorted and with all
// repetitions. It holds one customer and a part of each run at a time.
func (l Ledger) Groups(ctx context.Context, inputs []Input, span Span) iter.Seq2[[]*change.Change, error] {
	return func(yield func([]*change.Change, error) bool) {
		var runs runHeap
		defer func() {
			for _, r := range runs {
				r.close()
			}
		}()
		wanted, err := wantedRuns(inputs, span.object)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, w := range wanted {
			r, err := l.openRun(ctx, w, batchOf(len(wanted)), span, span.later(w.object))
			if err != nil {
				yield(nil, err)
				return
			}
			if r != nil {
				runs = append(runs, r)
			}
		}
		heap.Init(&runs)
		var group group
		for len(runs) > 0 {
			next := runs[0]
			c := next.head
			if customer := group.customer(); len(customer) > 0 && customer[0].CustomerID != c.CustomerID {
				group.next()
				if !yield(customer, nil) {
					return
				}
			}
			group.add(c)
			more, err := next.advance()
			if err != nil {
				yield(nil, err)
				return
			}
			if more {
				heap.Fix(&runs, 0)
			} else {
				heap.Pop(&runs)
				next.close()
			}
		}
		if customer := group.customer(); len(customer) > 0 {
			yield(customer, nil)
		}
	}
}

// group gathers the changes of one customer after the other, of many in one piece
// of memory.
type group struct {
	all   []*change.Change
	first int // of the customer at hand
}

func (g *group) add(c *change.Change) {
	if len(g.all) == cap(g.all) {
		here := g.all[g.first:]
		g.all, g.first = append(make([]*change.Change, 0, max(1024, 2*len(here))), here...), 0
	}
	g.all = append(g.all, c)
}

func (g *group) customer() []*change.Change { return g.all[g.first:len(g.all):len(g.all)] }
func (g *group) next()                      { g.first = len(g.all) }

// wantedRun is a data object of changes and the input that names it.
type wantedRun struct {
	input  int64
	object Object
}

func wantedRuns(inputs []Input, want func(int64, Object) (bool, error)) ([]wantedRun, error) {
	var wanted []wantedRun
	for _, in := range inputs {
		if in.Kind != Changes {
			continue
		}
		for _, o := range in.Objects {
			ok, err := want(in.Number, o)
			if err != nil {
				return nil, fmt.Errorf("input %d: %w", in.Number, err)
			}
			if ok {
				wanted = append(wanted, wantedRun{in.Number, o})
			}
		}
	}
	return wanted, nil
}

// batchOf bounds the rows that many runs have at hand together.
func batchOf(runs int) int { return min(512, max(16, 32_768/max(1, runs))) }

// Past finds all changes that a span leaves out as known, customer by customer.
type Past struct {
	//nolint:containedctx // runs are opened when a customer is first asked for, within the run that the context is of
	ctx    context.Context
	ledger Ledger
	inputs []Input
	want   func(int64, Object) (bool, error)
	keep   func(*change.Change) bool

	opened bool
	runs   []*sorted[change.Change]
}

// Before returns what the close knew of its own and earlier months.
func (l Ledger) Before(ctx context.Context, inputs []Input, since Close) *Past {
	span := Span{Since: &since}
	return &Past{ctx: ctx, ledger: l, inputs: inputs,
		want: func(input int64, o Object) (bool, error) {
			if o.Month == "" {
				return input <= since.Inputs, nil
			}
			month, err := monthOf(o.Month)
			return span.known(input, month), err
		},
		keep: func(c *change.Change) bool { return !span.wants(c) },
	}
}

// All returns every change of a span.
func (l Ledger) All(ctx context.Context, inputs []Input, span Span) *Past {
	return &Past{ctx: ctx, ledger: l, inputs: inputs, want: span.object, keep: span.wants}
}

// Of returns a customer's changes, in no order. Customers must be asked for in
// the order of their ids' bytes.
func (p *Past) Of(customerID string) ([]*change.Change, error) {
	if err := p.open(); err != nil {
		return nil, err
	}
	var changes []*change.Change
	for _, r := range p.runs {
		err := r.take(customerID, func(c *change.Change) error {
			if p.keep(c) {
				changes = append(changes, new(*c))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return changes, nil
}

func (p *Past) open() error {
	if p.opened {
		return nil
	}
	p.opened = true
	wanted, err := wantedRuns(p.inputs, p.want)
	if err != nil {
		return err
	}
	for _, w := range wanted {
		open := func(o Object, object bucket.Object) (rows[change.Change], error) {
			return openChanges(o, object, w.input, false)
		}
		run, err := openSorted(p.ctx, p.ledger, w.object, open, "customerId", batchOf(4*len(wanted)), func(c *change.Change) string { return c.CustomerID })
		if err != nil {
			return err
		}
		p.runs = append(p.runs, run)
	}
	return nil
}

// Close lets go of what is open.
func (p *Past) Close() {
	for _, r := range p.runs {
		r.close()
	}
	p.runs = nil
}

// NewHistory makes a customer's history of its changes, in any order.
func NewHistory(customerID string, changes []*change.Change) History {
	slices.SortFunc(changes, change.Compare)
	if len(changes) == 0 {
		return History{CustomerID: customerID}
	}
	return history(changes)
}

// history keeps one content an id: the one that was taken in first stands,
// equal ones count once, others are conflicts.
func history(sorted []*change.Change) History {
	h := History{CustomerID: sorted[0].CustomerID}
	if !repeated(sorted) {
		h.Changes = sorted
		return h
	}
	first := make(map[string]*change.Change, len(sorted))
	for _, c := range sorted {
		if known, ok := first[c.ID]; !ok || c.Taken.Before(known.Taken) {
			first[c.ID] = c
		}
	}
	type content struct {
		id  string
		sum [32]byte
	}
	reported := make(map[content]bool)
	for _, c := range sorted {
		stands := first[c.ID]
		key := content{c.ID, c.Content}
		switch {
		case c == stands:
			h.Changes = append(h.Changes, c)
		case c.Content != stands.Content && !reported[key]:
			reported[key] = true
			h.Conflicts = append(h.Conflicts, c)
		}
	}
	return h
}

// few is how many ids are told apart faster one by one than by a map.
const few = 16

// repeated reports whether an id is there twice.
func repeated(changes []*change.Change) bool {
	if len(changes) <= few {
		for i, c := range changes {
			for _, before := range changes[:i] {
				if before.ID == c.ID {
					return true
				}
			}
		}
		return false
	}
	ids := make(map[string]bool, len(changes))
	for _, c := range changes {
		ids[c.ID] = true
	}
	return len(ids) < len(changes)
}

// runHeap has the run with the next change in order on top.
type runHeap []*run

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return change.Compare(h[i].head, h[j].head) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*run)) }
func (h *runHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
