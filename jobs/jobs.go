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
	// Workers bill shards of customers; outputs do not depend on their number.
	Workers int
	// Progress is told how far a stage is; total is 0 when it is not known.
	// It is called from one goroutine at a time. nil: nobody watches.
	Progress func(stage string, done, total int64)
	Log      *slog.Logger
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

// locked runs a job that writes, while no other does.
func (e Env) locked(ctx context.Context, job func() error) (err error) {
	unlock, err := e.Bucket.Lock(ctx, writeLock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	return job()
}

// snapshot is the ledger as a job found it.
type snapshot struct {
	inputs []ledger.Input
	months []ledger.Month
	closes []ledger.Close
}

func (e Env) snapshot(ctx context.Context) (snapshot, error) {
	l := e.ledger()
	inputs, err := l.Inputs(ctx)
	if err != nil {
		return snapshot{}, err
	}
	months, err := l.Months(ctx)
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
