package jobs

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// owners knows which customers' changes made a subscription, as far as a hash tells:
// 12 bytes for each, and each customer's id; where the changes of a customer lie; and to
// which subscriptions charges belong that were rated elsewhere. It is extended by what
// came in since, and safe for concurrent use.
type owners struct {
	seed  maphash.Seed
	turn  chan struct{} // has room for whoever extends the index
	index atomic.Pointer[ownerIndex]
}

// ownerIndex never changes once made.
type ownerIndex struct {
	inputs int // that it knows
	// made has the hashes of subscriptions' ids, and the places of the ids of customers
	// that made them. A customer may have several places.
	made      leads
	customers []string
	// lies has the hashes of customers' ids, and the places of the objects with their
	// changes.
	lies    leads
	objects []changeObject
	// rated are the hashes of subscriptions with charges that were rated elsewhere, in
	// order, superseded ones too.
	rated []uint64
}

// changeObject is a data object of an input.
type changeObject struct{ input, object int32 } // from 0 on

// lead is a hash and a place that it leads to.
type lead struct {
	hash uint64
	at   uint32
}

// leads lead from hashes, which are in order, to places in a list.
type leads struct {
	hashes []uint64
	at     []uint32
}

// of yields the places of a hash.
func (p leads) of(hash uint64) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		i, _ := slices.BinarySearch(p.hashes, hash)
		for ; i < len(p.hashes) && p.hashes[i] == hash; i++ {
			if !yield(p.at[i]) {
				return
			}
		}
	}
}

func newOwners() *owners {
	o := &owners{seed: maphash.MakeSeed(), turn: make(chan struct{}, 1)}
	o.index.Store(&ownerIndex{})
	return o
}

// madeBy returns the customers whose changes may have made the subscription, in order.
func (x *ownerIndex) madeBy(hash uint64) (ids []string) {
	for at := range x.made.of(hash) {
		ids = append(ids, x.customers[at])
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// holding leaves of inputs the objects that may hold changes of a customer.
func (x *ownerIndex) holding(hash uint64, inputs []ledger.Input) []ledger.Input {
	var found []ledger.Input
	for at := range x.lies.of(hash) {
		o := x.objects[at]
		if int(o.input) >= len(inputs) {
			continue // came in later
		}
		in := inputs[o.input]
		if n := len(found); n == 0 || found[n-1].Number != in.Number {
			found = append(found, in)
			found[n].Objects = nil
		}
		last := &found[len(found)-1]
		last.Objects = append(last.Objects, in.Objects[o.object])
	}
	return found
}

// knowing returns an index that knows the inputs, and perhaps later ones.
func (o *owners) knowing(ctx context.Context, e Env, inputs []ledger.Input) (*ownerIndex, error) {
	if x := o.index.Load(); x.inputs >= len(inputs) {
		return x, nil
	}
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	known := o.index.Load()
	if known.inputs >= len(inputs) {
		return known, nil // somebody else did it meanwhile
	}
	x, err := o.extend(ctx, e, known, inputs)
	if err != nil {
		return nil, fmt.Errorf("whose subscriptions are: %w", err)
	}
	o.index.Store(x)
	return x, nil
}

func (o *owners) extend(ctx context.Context, e Env, known *ownerIndex, inputs []ledger.Input) (*ownerIndex, error) {
	x := &ownerIndex{inputs: len(inputs), customers: known.customers, objects: known.objects}
	var made, lies []lead
	for i := known.inputs; i < len(inputs); i++ {
		if inputs[i].Kind != ledger.Changes {
			continue
		}
		for n, object := range inputs[i].Objects {
			one := inputs[i]
			one.Objects = []ledger.Object{object}
			last, there, maker := "", false, false // the customer at hand, and whether it stands in the lists
			err := e.ledger().EachOwner(ctx, []ledger.Input{one}, func(customerID, id string) {
				if customerID != last || !there {
					last, there, maker = strings.Clone(customerID), true, false
					lies = append(lies, lead{maphash.String(o.seed, last), uint32(len(x.objects))})
				}
				if id == "" {
					return
				}
				if !maker {
					maker = true
					x.customers = append(x.customers, last)
				}
				made = append(made, lead{maphash.String(o.seed, id), uint32(len(x.customers) - 1)})
			})
			if err != nil {
				return nil, err
			}
			x.objects = append(x.objects, changeObject{int32(i), int32(n)})
		}
	}
	var err error
	x.rated, err = o.extendRated(ctx, e, known.rated, inputs[known.inputs:])
	x.made, x.lies = known.made.with(made), known.lies.with(lies)
	return x, err
}

func (o *owners) extendRated(ctx context.Context, e Env, known []uint64, inputs []ledger.Input) ([]uint64, error) {
	news := make(map[uint64]bool)
	for _, in := range inputs {
		if in.Kind != ledger.Charges {
			continue
		}
		for _, object := range in.Objects {
			err := e.readLines(ctx, object.Key, func(l *invoice.Line) { news[maphash.String(o.seed, l.SubscriptionID)] = true })
			if err != nil {
				return nil, err
			}
		}
	}
	if len(news) == 0 {
		return known, nil
	}
	all := slices.AppendSeq(slices.Clone(known), maps.Keys(news))
	slices.Sort(all)
	return slices.Compact(all), nil
}

// with returns them and others besides.
func (p leads) with(others []lead) leads {
	if len(others) == 0 {
		return p
	}
	slices.SortFunc(others, func(a, b lead) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.at, b.at)) })
	others = slices.Compact(others)
	all := leads{make([]uint64, 0, len(p.hashes)+len(others)), make([]uint32, 0, len(p.hashes)+len(others))}
	i := 0
	for _, n := range others {
		from := i
		for i < len(p.hashes) && p.hashes[i] <= n.hash {
			i++
		}
		all.hashes = append(append(all.hashes, p.hashes[from:i]...), n.hash)
		all.at = append(append(all.at, p.at[from:i]...), n.at)
	}
	return leads{append(all.hashes, p.hashes[i:]...), append(all.at, p.at[i:]...)}
}

// KnowOwners reads whose subscriptions are, if it has not been read yet: the first
// question then need not wait. It takes some seconds for a million.
func (r *Reading) KnowOwners(ctx context.Context) error {
	_, err := r.owners.knowing(ctx, r.env, r.at.inputs)
	return err
}

// Owner returns the customer one of whose changes made the subscription. Of several,
// which only a mistake brings about, it is the first that is among, and among may be
// nil; false for none.
func (r *Reading) Owner(ctx context.Context, subscriptionID string, among func(customerID string) bool) (customerID string, ok bool, err error) {
	x, err := r.owners.knowing(ctx, r.env, r.at.inputs)
	if err != nil {
		return "", false, err
	}
	for _, id := range x.madeBy(maphash.String(r.owners.seed, subscriptionID)) {
		if among != nil && !among(id) {
			continue
		}
		c, err := r.CustomerHistory(ctx, id)
		if err != nil {
			return "", false, err
		}
		// A hash may be another id's, and the index may know later inputs.
		if slices.ContainsFunc(c.Changes, func(c *change.Change) bool { return makes(c, subscriptionID) }) {
			return id, true, nil
		}
	}
	return "", false, nil
}

// ratedElsewhere reports whether one of the subscriptions may have charges that were
// rated elsewhere.
func (r *Reading) ratedElsewhere(ctx context.Context, ids map[string]bool) (bool, error) {
	x, err := r.owners.knowing(ctx, r.env, r.at.inputs)
	if err != nil {
		return false, err
	}
	for id := range ids {
		if _, found := slices.BinarySearch(x.rated, maphash.String(r.owners.seed, id)); found {
			return true, nil
		}
	}
	return false, nil
}

// CustomerHistory returns all changes of a customer, one content an id, the other
// contents, and the prices that closed months used: all that its subscriptions are
// lived from. A customer without changes has none.
func (r *Reading) CustomerHistory(ctx context.Context, customerID string) (invoice.Customer, error) {
	inputs := r.at.inputs
	if x := r.owners.index.Load(); x.inputs >= len(inputs) {
		// Most objects hold nothing of the customer: they are not opened.
		inputs = x.holding(maphash.String(r.owners.seed, customerID), inputs)
	}
	all := r.histories(ctx, inputs)
	defer all.close()
	c, err := all.of(customerID)
	if err != nil {
		return c, fmt.Errorf("history of customer %s: %w", customerID, err)
	}
	return c, nil
}

// SubscriptionsOf returns where a customer's subscriptions stand at the end of a day,
// those that have ended too, in the order in which they came to be.
func (r *Reading) SubscriptionsOf(ctx context.Context, customerID string, day pricing.Date) ([]subscription.View, error) {
	c, err := r.CustomerHistory(ctx, customerID)
	if err != nil {
		return nil, err
	}
	return r.views(new(subscription.Lives), c, day)
}

func (r *Reading) views(lives *subscription.Lives, c invoice.Customer, day pricing.Date) ([]subscription.View, error) {
	end, err := lives.LiveTo(lockedWorld{r.catalog, c.Locks}, nowhere{}, c.ID, nil, c.Changes, day)
	if err == nil {
		err = r.catalog.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("subscriptions on %s: %w", day, err)
	}
	return slices.Collect(end.Views()), nil
}

// histories reads customers' histories from some inputs. They must be asked for in the order of their
// ids' bytes.
type histories struct {
	changes *ledger.Past
	locks   *ledger.UsedLocks
}

func (r *Reading) histories(ctx context.Context, inputs []ledger.Input) *histories {
	l := r.env.ledger()
	return &histories{l.All(ctx, inputs, ledger.Span{Until: ledger.Ever}), l.UsedLocks(ctx, r.at.closes)}
}

func (h *histories) of(customerID string) (c invoice.Customer, err error) {
	changes, err := h.changes.Of(customerID)
	if err != nil {
		return c, err
	}
	all := ledger.NewHistory(customerID, changes)
	c = invoice.Customer{ID: customerID, Changes: all.Changes, Conflicts: all.Conflicts}
	c.Locks, err = h.locks.Of(customerID)
	return c, err
}

func (h *histories) close() {
	h.changes.Close()
	h.locks.Close()
}
