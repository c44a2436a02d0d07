package jobs

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
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
// 12 bytes for each, and each customer's id; and to which subscriptions charges belong
// that were rated elsewhere. It is extended by what came in since, and safe for
// concurrent use.
type owners struct {
	seed  maphash.Seed
	turn  chan struct{} // has room for whoever extends the index
	index atomic.Pointer[ownerIndex]
}

// ownerIndex never changes once made.
type ownerIndex struct {
	inputs int // that it knows
	// hashes are those of subscriptions' ids, in order; beside each is the place of a
	// customer's id. A customer may have several places.
	hashes    []uint64
	places    []uint32
	customers []string
	// rated are the hashes of subscriptions with charges that were rated elsewhere, in
	// order, superseded ones too.
	rated []uint64
}

func newOwners() *owners {
	o := &owners{seed: maphash.MakeSeed(), turn: make(chan struct{}, 1)}
	o.index.Store(&ownerIndex{})
	return o
}

// madeBy returns the customers whose changes may have made the subscription, in order.
func (x *ownerIndex) madeBy(hash uint64) (ids []string) {
	i, _ := slices.BinarySearch(x.hashes, hash)
	for ; i < len(x.hashes) && x.hashes[i] == hash; i++ {
		ids = append(ids, x.customers[x.places[i]])
	}
	slices.Sort(ids)
	return slices.Compact(ids)
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

// made is that a customer's change made a subscription.
type made struct {
	hash  uint64
	place uint32
}

func (o *owners) extend(ctx context.Context, e Env, known *ownerIndex, inputs []ledger.Input) (*ownerIndex, error) {
	x := &ownerIndex{inputs: len(inputs), customers: known.customers}
	var news []made
	last := ""
	err := e.ledger().EachMade(ctx, inputs[known.inputs:], func(customerID, subscriptionID string) {
		if customerID != last || len(news) == 0 {
			last = strings.Clone(customerID)
			x.customers = append(x.customers, last)
		}
		news = append(news, made{maphash.String(o.seed, subscriptionID), uint32(len(x.customers) - 1)})
	})
	if err != nil {
		return nil, err
	}
	if x.rated, err = o.extendRated(ctx, e, known.rated, inputs[known.inputs:]); err != nil {
		return nil, err
	}
	if len(news) == 0 {
		x.hashes, x.places = known.hashes, known.places
		return x, nil
	}
	slices.SortFunc(news, func(a, b made) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.place, b.place)) })
	news = slices.Compact(news)
	x.merge(known, news)
	return x, nil
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

// merge fills in what is known and what is new, in the order of the hashes.
func (x *ownerIndex) merge(known *ownerIndex, news []made) {
	x.hashes = make([]uint64, 0, len(known.hashes)+len(news))
	x.places = make([]uint32, 0, len(known.hashes)+len(news))
	i := 0
	for _, n := range news {
		from := i
		for i < len(known.hashes) && known.hashes[i] <= n.hash {
			i++
		}
		x.hashes = append(append(x.hashes, known.hashes[from:i]...), n.hash)
		x.places = append(append(x.places, known.places[from:i]...), n.place)
	}
	x.hashes = append(x.hashes, known.hashes[i:]...)
	x.places = append(x.places, known.places[i:]...)
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
	all := r.histories(ctx)
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

// histories reads customers' histories. They must be asked for in the order of their
// ids' bytes.
type histories struct {
	changes *ledger.Past
	locks   *ledger.UsedLocks
}

func (r *Reading) histories(ctx context.Context) *histories {
	l := r.env.ledger()
	return &histories{l.All(ctx, r.at.inputs, ledger.Span{Until: ledger.Ever}), l.UsedLocks(ctx, r.at.closes)}
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
