package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/microsoft"
	"github.com/calends/calends/jobs/microsoft/signin"
	"github.com/calends/calends/jobs/routine"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/jobs/webhook"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// nowArg is the time of a rehearsal on the command line.
type nowArg struct {
	time.Time
	given bool
}

// UnmarshalText reads 2026-11-03T06:00:00Z.
func (n *nowArg) UnmarshalText(text []byte) (err error) {
	if n.Time, err = time.Parse(time.RFC3339, string(text)); err != nil {
		return fmt.Errorf("instant %q: want such as 2026-11-03T06:00:00Z", text)
	}
	n.given = true
	return nil
}

// atClock shows the time from an instant on.
type atClock struct {
	schedule.SystemClock
	ahead time.Duration
}

// Now returns the time.
func (c atClock) Now() time.Time { return c.SystemClock.Now().Add(c.ahead) }

// clock is the machine's, or begins at an instant for a rehearsal.
func (n nowArg) clock() schedule.Clock {
	if !n.given {
		return schedule.SystemClock{}
	}
	return atClock{ahead: n.Sub(schedule.SystemClock{}.Now())}
}

// machinery is the schedule as the configuration has it.
type machinery struct {
	*schedule.Scheduler
	env    jobs.Env
	config Config
	hooks  *webhook.Hooks // nil: nobody is told
	close  func()
}

// machinery puts the schedule together. The caller closes it.
func (a *app) machinery(clock schedule.Clock) (*machinery, error) {
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	env, err := a.env()
	if err != nil {
		return nil, err
	}
	ticks, err := config.Schedule.ticks()
	if err != nil {
		return nil, fmt.Errorf("%w: schedule: %w", jobs.ErrUsage, err)
	}
	books := &routine.Books{Ledger: ledger.Ledger{Bucket: env.Bucket}}
	job := func(name string) routine.Job { return routine.Job{Env: env, Books: books, Ticks: ticks[name]} }
	m := &machinery{env: env, config: config, close: func() {}, Scheduler: &schedule.Scheduler{
		Bucket: env.Bucket, History: history.NewStore(env.Bucket), Retry: config.Schedule.retry(), Clock: clock, Poll: config.Schedule.Poll,
		By: thisProcess(), Version: version(), LeaseTTL: a.globals.LeaseTTL, Log: a.log,
		Begins: books.Begins, Minds: books.Minds,
	}}
	if since := config.Schedule.Since.Month; since != 0 {
		// It holds also where the schedule began with another month before it was set.
		m.Begins = func(context.Context, time.Time) (pricing.Month, error) { return since, nil }
		m.Minds = func(ctx context.Context, _ pricing.Month, now time.Time) (pricing.Month, error) {
			return books.Minds(ctx, since, now)
		}
	}
	m.Jobs = []schedule.Job{
		routine.Bill{Job: job(routine.BillName)},
		routine.Close{Job: job(routine.CloseName)},
		routine.Export{Job: job(routine.ExportName), Destinations: config.Exports},
		routine.Reconcile{Job: job(routine.ReconcileName)},
		routine.Verify{Job: job(routine.VerifyName)},
	}
	if err := m.imports(a, job); err != nil {
		return nil, err
	}
	if len(config.Webhooks) > 0 {
		m.hooks, err = webhook.NewHooks(config.Webhooks, webhook.World{Now: clock.Now, Wait: sleep, Lookup: os.LookupEnv, Agent: "calends/" + version()}, env.Bucket)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", jobs.ErrUsage, err)
		}
		m.Tell = m.hooks.Tell
	}
	return m, nil
}

// imports adds the jobs that bring in what months are made of.
func (m *machinery) imports(a *app, job func(string) routine.Job) error {
	lost := defaultRowsLost
	if m.config.Imports.RowsLostPercent != nil {
		lost = *m.config.Imports.RowsLostPercent
	}
	bring := func(name string) routine.Import { return routine.Import{Job: job(name), LostRows: lost} }
	options, around, err := a.microsoft()
	if err != nil {
		return err
	}
	if !options.IsZero() {
		client, segments := microsoft.NewClient(options, around), options.Segments
		if len(segments) == 0 {
			segments = []string{"commercial"}
		}
		m.close = client.Close
		m.Imports = []schedule.Job{
			routine.ImportPrices{Import: bring(routine.ImportPricesName), Client: client, Markets: options.Markets, Future: m.config.Imports.Future},
			routine.ImportFX{Import: bring(routine.ImportFXName), Client: client},
			routine.ImportOffers{Import: bring(routine.ImportOffersName), Client: client, Markets: options.Markets, Segments: segments},
			routine.ImportAudit{Import: bring(routine.ImportAuditName), Client: client},
			routine.ImportSnapshot{Import: bring(routine.ImportSnapshotName), Client: client, Take: m.config.Imports.Snapshot == routine.SnapshotChanges},
			routine.ImportReconciliation{Import: bring(routine.ImportReconciliationName), Client: client, Unbilled: m.config.Imports.Unbilled},
		}
	}
	m.Imports = append(m.Imports, routine.ImportChanges{Import: bring(routine.ImportChangesName)})
	return nil
}

// defaultRowsLost is by how many percent a price sheet may be shorter than the last
// one of its market, where the configuration does not say it.
const defaultRowsLost = 30

// tokenAge is the time since the refresh token was last used.
func (m *machinery) tokenAge(context.Context) (time.Duration, bool, error) {
	return signin.Age(m.config.Microsoft.RefreshToken, m.Clock.Now())
}

// sleep waits, unless the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	clock := schedule.SystemClock{}
	return clock.Wait(ctx, clock.Now().Add(d))
}

// thisProcess names the machine and the process.
func thisProcess() string {
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	return fmt.Sprintf("%s, process %d", host, os.Getpid())
}
