// Package routine has the jobs that a schedule runs: each a plan and its execution,
// in terms of what package jobs does for a person at the command line.
//
//	import-prices, import-fx, import-offers, import-changes, import-reconciliation
//	bill, close, export, reconcile, verify
package routine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// The names of the jobs.
const (
	ImportPricesName         = "import-prices"
	ImportFXName             = "import-fx"
	ImportOffersName         = "import-offers"
	ImportChangesName        = "import-changes"
	ImportAuditName          = "import-audit"
	ImportSnapshotName       = "import-snapshot"
	ImportReconciliationName = "import-reconciliation"
	BillName                 = "bill"
	CloseName                = "close"
	ExportName               = "export"
	ReconcileName            = "reconcile"
	VerifyName               = "verify"
)

// What slices wait for. Holds of a close have codes of their own.
const (
	waitsForInput   = "input"         // something that the job needs is not in the bucket
	waitsForImport  = "import"        // an import that the month needs is not done
	waitsForEarlier = "earlier-month" // months close in order
	waitsForSource  = "not-published" // the source does not have it yet
	waitsForExport  = "export"        // the source is still making it
	waitsForPerson  = "held"          // somebody has to look at it
	waitsForSignIn  = "sign-in"       // somebody has to sign in again, or to give a right
)

// Job is what all jobs of the routine have in common.
type Job struct {
	Env   jobs.Env
	Books *Books
	Ticks schedule.Ticks
}

// env is what the job works with in one attempt.
func (j Job) env(r schedule.Request) jobs.Env {
	e := j.Env
	e.Today, e.Log = r.Today(), r.Log
	return e
}

// latest is the newest tick, if there is one since the schedule minds anything.
func (j Job) latest(at schedule.Moment) (tick time.Time, ok bool) {
	tick = j.Ticks.Latest(at.Now)
	return tick, !tick.IsZero() && schedule.MonthOf(tick) >= at.First
}

// ask asks for a month at a tick.
func ask(job, subject string, month pricing.Month, tick time.Time) schedule.Ask {
	return schedule.Ask{Slice: history.Slice{Job: job, Subject: subject, Month: month}, Tick: tick}
}

// horizon is how many closed months are minded: Microsoft's own bill, and what was
// to be exported, may come that much later.
const horizon = 3

// Books tell which months are open. Closed ones stay closed, so that they are read
// once.
type Books struct {
	Ledger ledger.Ledger

	mu     sync.Mutex
	closed map[pricing.Month]ledger.Month
}

// Month returns what the bucket has of a month, false if it has no revision.
func (b *Books) Month(ctx context.Context, month pricing.Month) (ledger.Month, bool, error) {
	b.mu.Lock()
	m, ok := b.closed[month]
	b.mu.Unlock()
	if ok {
		return m, true, nil
	}
	m, ok, err := b.Ledger.Month(ctx, month)
	if err == nil && ok && m.Current.State == ledger.Closed {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.closed == nil {
			b.closed = make(map[pricing.Month]ledger.Month)
		}
		b.closed[month] = m
	}
	return m, ok, err
}

// isClosed reports whether a month is closed.
func (b *Books) isClosed(ctx context.Context, month pricing.Month) (bool, error) {
	m, ok, err := b.Month(ctx, month)
	return ok && m.Current.State == ledger.Closed, err
}

// FirstOpen is the first month that is not closed, of those from first to last.
func (b *Books) FirstOpen(ctx context.Context, first, last pricing.Month) (pricing.Month, bool, error) {
	for m := first; m <= last; m++ {
		if closed, err := b.isClosed(ctx, m); err != nil || !closed {
			return m, err == nil, err
		}
	}
	return 0, false, nil
}

// Open lists the months that are not closed, of those from first to last.
func (b *Books) Open(ctx context.Context, first, last pricing.Month) ([]pricing.Month, error) {
	return b.months(ctx, first, last, false)
}

// Closed lists those that are.
func (b *Books) Closed(ctx context.Context, first, last pricing.Month) ([]pricing.Month, error) {
	return b.months(ctx, first, last, true)
}

func (b *Books) months(ctx context.Context, first, last pricing.Month, closed bool) ([]pricing.Month, error) {
	var list []pricing.Month
	for m := first; m <= last; m++ {
		is, err := b.isClosed(ctx, m)
		if err != nil {
			return nil, err
		}
		if is == closed {
			list = append(list, m)
		}
	}
	return list, nil
}

// Minds is the first month that may still have something to do, of those from the
// one on with which the schedule began: a few closed ones, and all open ones.
func (b *Books) Minds(ctx context.Context, began pricing.Month, now time.Time) (pricing.Month, error) {
	// Months close in order, so that the last closed one is found from the end.
	for m := schedule.MonthOf(now); m >= began; m-- {
		closed, err := b.isClosed(ctx, m)
		if err != nil {
			return 0, fmt.Errorf("find the last closed month: %w", err)
		}
		if closed {
			return max(began, m+1-horizon), nil
		}
	}
	return began, nil
}

// Begins is the first month that a new schedule minds, where nobody says it: the
// first that is open. A bucket that has inputs and was never billed does not tell,
// since changes reach back to when subscriptions were bought.
func (b *Books) Begins(ctx context.Context, now time.Time) (pricing.Month, error) {
	months, err := b.Ledger.Months(ctx)
	if err != nil {
		return 0, fmt.Errorf("find the first open month: %w", err)
	}
	for _, m := range months {
		if m.Current.State != ledger.Closed {
			return m.Month, nil
		}
	}
	if len(months) > 0 {
		return months[len(months)-1].Month + 1, nil
	}
	some, err := b.Ledger.HasInputs(ctx)
	if err != nil {
		return 0, err
	}
	if some {
		return 0, fmt.Errorf("%w: the bucket has inputs and no month was billed yet, so that nothing tells which month is the first to bill: set schedule.since, such as since: %s, in the configuration",
			jobs.ErrUsage, schedule.MonthOf(now))
	}
	return schedule.MonthOf(now), nil
}

// What becomes of differences between Microsoft's subscriptions and the ledger's.
const (
	SnapshotReport  = "report"
	SnapshotChanges = "changes"
)
