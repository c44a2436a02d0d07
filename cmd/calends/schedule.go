package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/metrics"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/bucket"
)

// metricsFlag is for commands that run jobs.
type metricsFlag struct {
	MetricsFile string `placeholder:"FILE" help:"After each round write figures for the node exporter's textfile collector; the name ends in .prom."`
}

// Validate is called by kong.
func (f metricsFlag) Validate() error {
	if f.MetricsFile == "" {
		return nil
	}
	return metrics.CheckTextfile(f.MetricsFile)
}

// write refreshes the figures and writes them, if somebody wants them.
func (f metricsFlag) write(ctx context.Context, m *machinery, _ schedule.Round) error {
	if f.MetricsFile == "" {
		return nil
	}
	figures := m.metrics()
	return errors.Join(figures.Refresh(ctx), figures.WriteTextfile(f.MetricsFile))
}

// metrics are the figures of the schedule.
func (m *machinery) metrics() *metrics.Metrics {
	return metrics.New(metrics.Source{History: m.History, Status: m.env.Status, OpenDifferences: m.env.OpenDifferences,
		Markets: m.config.Microsoft.Markets, TokenAge: m.tokenAge, Tells: m.hooks != nil, Version: version(), Now: m.Clock.Now})
}

type scheduleCmd struct {
	Listen string `placeholder:"ADDRESS" help:"Serve /metrics, /healthz and /readyz at a port of this machine, such as 9464, or at host:port."`
	metricsFlag
}

// Help tells more than one line.
func (scheduleCmd) Help() string {
	return `Runs until it is stopped. Once a minute it looks for what is due by the calendar of the configuration
(schedule: in calends.yaml) and not done yet, and does it: imports first, then months in order. What was
missed while nothing ran is caught up. Any number of machines may run it on one bucket: one works, and if
it dies another goes on.

What fails is tried again with growing pauses, then parked until a person runs it: calends run JOB --slice.
A month that is held, or waits for approval, is looked at again as soon as something has changed.

Ctrl-C or SIGTERM stops it: what is under way is given back and goes on at the next round, on any machine.

See what would be done now with calends run --due --dry-run, and what was done with calends runs.`
}

// Run runs the schedule until the context is done.
func (c scheduleCmd) Run(ctx context.Context, a *app) error {
	m, err := a.machinery(schedule.SystemClock{})
	if err != nil {
		return err
	}
	defer m.close()
	figures := m.metrics()
	checks := []metrics.Check{{Name: "bucket", Run: func(ctx context.Context) error {
		_, _, err := m.History.Began(ctx)
		return err
	}}}
	if m.hooks != nil {
		checks = append(checks, metrics.Check{Name: "webhooks", Run: func(context.Context) error { return m.hooks.Check() }})
	}
	health := metrics.NewHealth(m.Clock.Now, figures.Stuck, checks...)
	m.Clock = health.Clock(m.Clock)
	// What cannot be is said at once, not in the log of a service.
	if _, err := m.Due(ctx); errors.Is(err, jobs.ErrUsage) || errors.Is(err, bucket.ErrInvalidKey) {
		return err
	}
	var listener net.Listener
	if c.Listen != "" {
		if listener, err = metrics.Listen(ctx, c.Listen); err != nil {
			return fmt.Errorf("%w: --listen: %w", jobs.ErrUsage, err)
		}
		a.say("metrics and health at http://%s", listener.Addr())
	}
	a.say("the schedule runs; stop it with Ctrl-C or SIGTERM")
	group, ctx := errgroup.WithContext(ctx)
	if listener != nil {
		group.Go(func() error { return metrics.Serve(ctx, listener, metrics.Mux(figures, health)) })
	}
	show := func(err error) {
		if err != nil && ctx.Err() == nil {
			a.log.Error("the figures could not be read", "error", err)
		}
		if c.MetricsFile != "" {
			if err := figures.WriteTextfile(c.MetricsFile); err != nil {
				a.log.Error("the figures could not be written", "error", err)
			}
		}
	}
	watched := listener != nil || c.MetricsFile != ""
	if watched {
		group.Go(func() error {
			figures.Keep(ctx, schedule.SystemClock{}, refreshEvery, show)
			return nil
		})
	}
	group.Go(func() error {
		return m.Scheduler.Run(ctx, func(r schedule.Round, err error) {
			health.After(r, err)
			if watched && len(r.Runs) > 0 {
				show(figures.Refresh(ctx))
			}
		})
	})
	if err := group.Wait(); err != nil {
		return err
	}
	a.say("stopped; nothing half-written counts, and what was under way goes on at the next round")
	return nil
}

// refreshEvery is how old figures may be while nothing ends here: a round can be long,
// and another machine may have done something.
const refreshEvery = 5 * time.Minute
