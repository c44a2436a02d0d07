// Package faulty is a bucket that goes wrong as it is told to: for tests of what
// runs on a bucket. A script of faults says which operations fail, and how; the
// same script over the same operations gives the same faults.
//
//	b := faulty.New(bucket.NewMemory(), faulty.Fault{Kind: faulty.Die, Op: faulty.Commit, At: 7})
//
// dies at the seventh commit: that object is not there, and every later operation
// fails, as for a process that was killed. What runs next opens the inner bucket
// again, as a new process would.
//
// Without faults it keeps every promise of [bucket.Bucket].
package faulty

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/calends/calends/pipeline/bucket"
)

// The errors that faults show, for errors.Is. [Refuse] and [Full] show those of
// the operating system, [Stall] that of the context.
var (
	// ErrFault: the store answered with an error.
	ErrFault = errors.New("the store does not answer as it should")
	// ErrDead: the process is dead, and reaches the store no more.
	ErrDead = errors.New("the process is dead")
)

// Op is an operation of a bucket, its writers and its objects.
type Op string

// The operations. [Read] is of an open object, by whichever way.
const (
	Create Op = "create"
	Write  Op = "write"
	Commit Op = "commit"
	Open   Op = "open"
	Read   Op = "read"
	List   Op = "list"
	Delete Op = "delete"
	Lock   Op = "lock"
	Check  Op = "check" // of a lock that is held
)

// Event is one operation that a bucket was asked for.
type Event struct {
	Number int // counted from 1
	Op     Op
	Key    string // the prefix of a listing, the name of a lock
	Fault  Kind   // [None] where nothing went wrong
	// Err is what the caller saw; of a [Repeat] what the store said the second time.
	Err error
}

func (e Event) String() string {
	s := fmt.Sprintf("%d: %s %q", e.Number, e.Op, e.Key)
	if e.Fault != None {
		s += ", " + e.Fault.String()
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Bucket is a bucket with faults. Make one with [New].
type Bucket struct {
	inner bucket.Bucket
	watch func(Event)

	mu      sync.Mutex
	rules   []*rule
	events  []Event
	dead    bool
	changes []changed // in the order in which they became visible
	again   []delivery
}

// changed is an object that came or went.
type changed struct {
	info    bucket.Info
	created bool
}

// New returns the bucket with the faults. Of two that fit one operation the first
// counts.
func New(inner bucket.Bucket, faults ...Fault) *Bucket {
	b := &Bucket{inner: inner, watch: func(Event) {}}
	for _, f := range faults {
		b.rules = append(b.rules, &rule{Fault: f, room: f.Bytes, seen: make(map[string]int)})
	}
	return b
}

// Watch has every operation told when it is done, in the goroutine that asked for
// it; one that stalls also when it begins to, without an error then. It is to be
// called before the bucket is used.
func (b *Bucket) Watch(each func(Event)) { b.watch = each }

// Events returns what has happened until now.
func (b *Bucket) Events() []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Event(nil), b.events...)
}

// Faults returns the events that were faults.
func (b *Bucket) Faults() []Event {
	var faults []Event
	for _, e := range b.Events() {
		if e.Fault != None {
			faults = append(faults, e)
		}
	}
	return faults
}

// call is one operation on its way.
type call struct {
	bucket *Bucket
	ctx    context.Context // covers the operation, and of a writer or object its life
	number int
	op     Op
	key    string
	fault  Fault
	room   int // of Full: how many bytes there is room for
}

// begin enters an operation and finds its fault. A call that fails before
// anything is done has its error at once.
func (b *Bucket) begin(ctx context.Context, op Op, key string, size int) (*call, error) {
	b.redeliver()
	c := &call{bucket: b, ctx: ctx, op: op, key: key}
	b.mu.Lock()
	b.events = append(b.events, Event{Number: len(b.events) + 1, Op: op, Key: key})
	c.number = len(b.events)
	dead := b.dead
	if !dead {
		c.fault, c.room = b.decide(op, key, size)
		b.dead = c.fault.Kind == Die || c.fault.Kind == DieAfter
	}
	b.mu.Unlock()
	switch {
	case dead:
		return c, c.end(ErrDead)
	case c.fault.Kind == Die:
		return c, c.end(ErrDead)
	case c.fault.Kind == Fail:
		return c, c.end(ErrFault)
	case c.fault.Kind == Refuse:
		return c, c.end(errRefused)
	case c.fault.Kind == Full && op != Write:
		return c, c.end(errFull)
	case c.fault.Kind == Stall:
		b.watch(Event{Number: c.number, Op: op, Key: key, Fault: Stall})
		<-ctx.Done()
		return c, c.end(ctx.Err())
	}
	return c, nil
}

// finish is for an operation that was done: it enters the inner bucket's error,
// or the one that a fault shows after a success.
func (c *call) finish(err error) error {
	if err == nil {
		switch c.fault.Kind {
		case FailAfter, Partial:
			err = c.wrap(ErrFault)
		case DieAfter:
			err = c.wrap(ErrDead)
		case Full:
			err = c.wrap(errFull)
		default: // the others fail before, or show no error
		}
	}
	return c.note(err)
}

// end is for an operation that failed before anything was done.
func (c *call) end(err error) error { return c.note(c.wrap(err)) }

// wrap names the operation and the key, as every error of a bucket does.
func (c *call) wrap(err error) error {
	switch c.op {
	case List:
		return fmt.Errorf("list objects under %q: %w", c.key, err)
	case Lock:
		return fmt.Errorf("lock %q: %w", c.key, err)
	case Check:
		return fmt.Errorf("check lock %q: %w", c.key, err)
	default:
		return fmt.Errorf("%s object %q: %w", c.op, c.key, err)
	}
}

func (c *call) note(err error) error {
	c.bucket.mu.Lock()
	e := &c.bucket.events[c.number-1]
	e.Fault, e.Err = c.fault.Kind, err
	told := *e
	c.bucket.mu.Unlock()
	c.bucket.watch(told)
	return err
}

// changed notes that an object has come or gone.
func (b *Bucket) changed(info bucket.Info, created bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes = append(b.changes, changed{info, created})
}

// Create is [bucket.Bucket]'s.
func (b *Bucket) Create(ctx context.Context, key string) (bucket.Writer, error) {
	c, err := b.begin(ctx, Create, key, 0)
	if err != nil {
		return nil, err
	}
	inner, err := b.inner.Create(ctx, key)
	if err := c.finish(err); err != nil {
		if inner != nil {
			err = errors.Join(err, inner.Abort())
		}
		return nil, err
	}
	return &writer{bucket: b, ctx: ctx, key: key, inner: inner}, nil
}

// Open is [bucket.Bucket]'s.
func (b *Bucket) Open(ctx context.Context, key string) (bucket.Object, error) {
	c, err := b.begin(ctx, Open, key, 0)
	if err != nil {
		return nil, err
	}
	inner, err := b.inner.Open(ctx, key)
	if err := c.finish(err); err != nil {
		if inner != nil {
			err = errors.Join(err, inner.Close())
		}
		return nil, err
	}
	return &object{Object: inner, bucket: b, ctx: ctx, key: key}, nil
}

// Delete is [bucket.Bucket]'s.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	c, err := b.begin(ctx, Delete, key, 0)
	if err != nil {
		return err
	}
	size, there := b.size(ctx, key)
	err = b.inner.Delete(ctx, key)
	if err == nil && there {
		b.changed(bucket.Info{Key: key, Size: size}, false)
	}
	return c.finish(err)
}

// size asks for an object that is about to go, for a listing that still shows it.
func (b *Bucket) size(ctx context.Context, key string) (size int64, there bool) {
	o, err := b.inner.Open(ctx, key)
	if err != nil {
		return 0, false
	}
	defer o.Close()
	return o.Size(), true
}
