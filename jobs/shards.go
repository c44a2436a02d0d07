package jobs

import (
	"context"
	"iter"
	"sync"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
)

// defaultShard is about how many subscriptions and changes a shard has at least.
// A shard is a run of whole customers in id order, so its borders come from the
// data alone; no output depends on where they lie.
const defaultShard = 32_768

// wholeShard is the same where customers come with their whole history, each
// change of which may have looked up prices ever since.
const wholeShard = 4096

// billedShard is what a shard's customers come to.
type billedShard struct {
	lines      map[string][]*invoice.Block // by partner
	exceptions []invoice.Exception
	late       []invoice.Exception // of closed months
	stale      []subscription.StaleSheet
	count      subscription.Count
	seats      map[string]invoice.Seats // by the partner of the month
	mismatched int
	// What a close keeps.
	locks     []ledger.Lock
	standings []*ledger.Standing
}

// billShards bills shards on all workers and hands them on in the order of the
// customers.
func (e Env) billShards(parent context.Context, r *ready, source iter.Seq2[customer, error], total int64, take func(*billedShard) error) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	workers, month := max(1, e.Workers), r.month.String()
	type result struct {
		shard *billedShard
		err   error
	}
	type job struct {
		customers []customer
		work      int64
		result    chan result
	}
	work := make(chan job)
	ordered := make(chan job, workers) // bounds how many shards are in memory
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			biller := invoice.NewBiller(r.catalog, r.books, r.month)
			biller.KeepLocks, biller.Spare = r.closing, &r.spare
			for j := range work {
				s, err := r.bill(ctx, biller, j.customers)
				j.result <- result{s, err}
			}
		})
	}
	var readErr error
	wait.Go(func() {
		defer close(ordered)
		defer close(work)
		readErr = shards(source, e.shardSize(r), func(customers []customer, size int) bool {
			j := job{customers, int64(size), make(chan result, 1)}
			select {
			case ordered <- j:
			case <-ctx.Done():
				return false
			}
			select {
			case work <- j:
				return true
			case <-ctx.Done():
				j.result <- result{err: ctx.Err()}
				return false
			}
		})
	})
	var done int64
	var err error
	for j := range ordered {
		r := <-j.result
		if err == nil {
			err = r.err
		}
		if err == nil {
			err = take(r.shard)
		}
		if err != nil {
			cancel()
			continue // drain, so that everyone who waits gets home
		}
		done += j.work
		e.progress("bill "+month, min(done, total), total)
	}
	wait.Wait()
	if err == nil {
		err = readErr
	}
	if err == nil {
		err = parent.Err() // stopped between two shards: what is here is not all
	}
	return err
}

func (e Env) shardSize(r *ready) int {
	switch {
	case e.Shard > 0:
		return e.Shard
	case r.since == nil:
		return wholeShard
	}
	return defaultShard
}

// shards groups customers.
func shards(source iter.Seq2[customer, error], least int, yield func(customers []customer, size int) bool) error {
	var customers []customer
	size := 0
	for c, err := range source {
		if err != nil {
			return err
		}
		customers = append(customers, c)
		size += c.work()
		if size >= least {
			if !yield(customers, size) {
				return nil
			}
			customers, size = nil, 0
		}
	}
	if len(customers) > 0 {
		yield(customers, size)
	}
	return nil
}

// bill bills one shard.
func (r *ready) bill(ctx context.Context, biller *invoice.Biller, customers []customer) (*billedShard, error) {
	s := &billedShard{seats: make(map[string]invoice.Seats)}
	for i := range customers {
		c := &customers[i]
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		outcome, err := biller.Bill(c.Customer)
		if err != nil {
			return nil, err
		}
		s.add(r, c, outcome)
	}
	s.lines = biller.Take()
	return s, nil
}

func (s *billedShard) add(r *ready, c *customer, o invoice.Outcome) {
	s.exceptions = append(s.exceptions, o.Exceptions...)
	s.late = append(s.late, o.Late...)
	s.stale = append(s.stale, o.Stale...)
	s.count.Add(o.Count)
	s.mismatched += o.Mismatched
	s.addSeats(o)
	if !r.closing {
		return
	}
	for _, k := range o.Locks {
		s.locks = append(s.locks, ledger.Lock{CustomerID: k.CustomerID, Key: k.Key, Lock: k.Lock})
	}
	if standing := c.standing(r.month, o); standing != nil {
		s.standings = append(s.standings, standing)
	}
}

// addSeats counts a customer's seats for its partner of the month. Without a
// known one nobody is billed for them.
func (s *billedShard) addSeats(o invoice.Outcome) {
	if o.PartnerID == "" || o.End.Seats == (invoice.Seats{}) {
		return
	}
	sum := s.seats[o.PartnerID]
	sum.Add(o.End.Seats)
	s.seats[o.PartnerID] = sum
}
