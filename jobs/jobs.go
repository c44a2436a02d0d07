// Package jobs is what runs on its own: taking inputs in, billing and closing
// months, exporting, verifying, explaining. A job plans first, then executes;
// running it twice changes nothing. The only package below cmd that knows the
// day and the machine: both come in by [Env].
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Env is what every job works with.
type Env struct {
	Bucket bucket.Bucket
	// Policies gives the configured policies of a partner.
	Policies func(partnerID string) subscription.Policies
	// Version of the program, as manifests record it.
	Version string
	// Today is the day of the run: a month can be closed once it is over.
	Today pricing.Date
	// Closing is what a month waits for before it closes.
	Closing Closing
	// Workers bill shards of customers; outputs do not depend on their number.
	Workers int
	// Shard is about how many subscriptions and changes are billed at a time: a
	// matter of memory, of which outputs do not depend either. 0: a good number.
	Shard int
	// Formats are those that lines are written in.
	Formats Formats
	// WholeHistory computes months from all that ever came in, not from the state
	// at the last close. The result is the same, and takes longer.
	WholeHistory bool
	// Progress is told how far a stage is; total is 0 when it is not known.
	// It is called from one goroutine at a time. nil: nobody watches.
	Progress func(stage string, done, total int64)
	Log      *slog.Logger
	// Waiting is told that a job waits to see whether the holder of the lock is still
	// alive, and for how long at most. nil: nobody wants to know.
	Waiting func(holder bucket.Holder, most time.Duration)
	// Stage is told how long a part of billing took, when it is over: parts that go
	// side by side overlap. It is called from one goroutine at a time. nil: nobody
	// wants to know.
	Stage func(name string, took time.Duration)
	// LockTTL is how long this run may show no sign of life before another takes
	// over. 0: [bucket.DefaultTTL]. A folder's lock needs none.
	LockTTL time.Duration
	// Patience is how long a job tries again to have the lock while another run holds
	// it, for those behind whom somebody waits. 0: it gives up at once.
	Patience time.Duration

	lock bucket.Lock // while a job holds it
	// forgotten is set where nothing that is written can be read back.
	forgotten bool
	// memory is how many bytes of lines a month holds; 0: [linesInMemory]. Tests hold few.
	memory int64
}

// The classes of failure that callers act upon.
var (
	// ErrMissing: an input that the job needs is not there.
	ErrMissing = errors.New("an input is missing")
	// ErrUsage: what was asked for makes no sense as asked.
	ErrUsage = errors.New("wrong usage")
	// ErrHeld: the month cannot be closed as it is.
	ErrHeld = errors.New("the month is held")
)

func (e Env) ledger() ledger.Ledger { return ledger.Ledger{Bucket: e.Bucket} }

func (e Env) progress(stage string, done, total int64) {
	if e.Progress != nil {
		e.Progress(stage, done, total)
	}
}

func (e Env) stage(name string, took time.Duration) {
	if e.Stage != nil {
		e.Stage(name, took)
	}
}

// writeLock is held by every job that writes to the bucket.
const writeLock = "write"

// notEmpty refuses a bucket that holds no input, before a lock makes its folder:
// its address is more likely mistyped.
func (e Env) notEmpty(ctx context.Context, job string) error {
	first, err := e.ledger().HasInputs(ctx)
	if err == nil && !first {
		err = fmt.Errorf("%s: %w: the bucket is empty; take files in first, with: calends ingest", job, ErrMissing)
	}
	return err
}

// locked runs a job that writes, while no other does. The job works with the
// context and the Env that it is given: the one ends when the lock is lost, the
// other knows the lock. Within a job it is held already.
func (e Env) locked(ctx context.Context, run string, job func(ctx context.Context, e Env) error) (err error) {
	if e.lock != nil {
		return job(ctx, e)
	}
	held, err := e.patientLock(ctx, bucket.Claim{Name: writeLock, Run: run, TTL: e.LockTTL, Waiting: e.Waiting, Now: time.Now})
	if err != nil {
		return fmt.Errorf("%s: %w", run, err)
	}
	defer func() { err = errors.Join(err, held.Unlock()) }()
	e.lock = held
	err = job(held.Context(), e)
	if lost := context.Cause(held.Context()); err != nil && errors.Is(lost, bucket.ErrLost) {
		// Whatever the job says, it says because its context has ended.
		return fmt.Errorf("%s: %w", run, lost)
	}
	return err
}

// The pauses between two tries to have a lock.
const (
	firstPause   = 10 * time.Millisecond
	longestPause = 250 * time.Millisecond
)

// patientLock takes the lock, again and again while another run holds it and the
// patience lasts.
func (e Env) patientLock(ctx context.Context, claim bucket.Claim) (bucket.Lock, error) {
	patience, stop := context.WithTimeout(ctx, e.Patience)
	defer stop()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		held, err := e.Bucket.Lock(ctx, claim)
		if !errors.Is(err, bucket.ErrLocked) || patience.Err() != nil {
			return held, err
		}
		select {
		case <-patience.Done():
		case <-time.After(pause):
		}
	}
}

// mayPublish is asked right before each write that makes something count: an
// input's JSON, a revision's manifest. A run that was paused, and another has taken
// over meanwhile, ends here.
//
// What remains is a write that is on its way while the lock is lost. It is then
// create-if-absent that decides: of two runs one has the key, and the other, unless
// it wanted to write the same bytes, is told of a conflict.
func (e Env) mayPublish(ctx context.Context) error {
	if e.lock == nil {
		return errors.New("publish without the lock")
	}
	return e.lock.Check(ctx)
}

// snapshot is the ledger as a job found it.
type snapshot struct {
	inputs []ledger.Input
	months []ledger.Month
	closes []ledger.Close
}

func (e Env) snapshot(ctx context.Context) (snapshot, error) {
	l := e.ledger()
	// Months first: a revision names inputs that were there before it, so that whoever
	// is overtaken by another run knows all that the revisions name.
	months, err := l.Months(ctx)
	if err != nil {
		return snapshot{}, err
	}
	inputs, err := l.Inputs(ctx)
	if err != nil {
		return snapshot{}, err
	}
	closes, err := ledger.Closes(months)
	return snapshot{inputs, months, closes}, err
}

// month returns what the bucket has of a month.
func (s snapshot) month(m pricing.Month) (ledger.Month, bool) {
	for _, known := range s.months {
		if known.Month == m {
			return known, true
		}
	}
	return ledger.Month{}, false
}

// unbroken refuses an open month while a month of the books before the last
// closed one is not closed: its manifest is lost, and what it issued would be
// billed once more, or never be corrected.
func (s snapshot) unbroken(month pricing.Month) error {
	if known, ok := s.month(month); ok && known.Current.State == ledger.Closed {
		return nil // is only proved
	}
	if len(s.closes) == 0 {
		return nil
	}
	want := s.closes[len(s.closes)-1].Begins
	for _, c := range s.closes {
		if want = min(want, c.Month); c.Month != want {
			return fmt.Errorf("%s cannot be computed: the manifest that closed %s is lost, while %s is closed: calends repair --from DIR puts it back from an export or a backup", month, want, c.Month)
		}
		want++
	}
	return nil
}

// before returns the ledger as the close of the month found it.
func (s snapshot) before(m ledger.Month) (snapshot, error) {
	known := len(m.Current.Inputs)
	if known > len(s.inputs) {
		return snapshot{}, fmt.Errorf("month %s was computed from %d inputs, the ledger has %d", m.Month, known, len(s.inputs))
	}
	past := snapshot{inputs: s.inputs[:known], months: s.months}
	for _, k := range s.closes {
		if k.Month < m.Month {
			past.closes = append(past.closes, k)
		}
	}
	return past, nil
}
