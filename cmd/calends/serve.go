package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/metrics"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/jobs/serve"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/jobs/serve/access/signin"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/page"
)

type serveCmd struct {
	Listen   string `placeholder:"ADDRESS" help:"Where to answer: a port of this machine, such as 8420, or host:port. Default 127.0.0.1:8420, or serve: listen: of the configuration."`
	Schedule bool   `help:"Run the schedule in the same process, as calends schedule does."`
	Metrics  string `placeholder:"ADDRESS" help:"With --schedule: serve its /metrics, /healthz and /readyz at another port."`
	metricsFlag
}

// Validate is called by kong.
func (c serveCmd) Validate() error {
	if !c.Schedule && (c.Metrics != "" || c.MetricsFile != "") {
		return errors.New("--metrics and --metrics-file go with --schedule")
	}
	return c.metricsFlag.Validate()
}

// Help tells more than one line.
func (serveCmd) Help() string {
	return `An API for programs below /v1, described by /v1/openapi.yaml, and a page for people at /: prices, offers,
customers, buying, subscriptions, invoices, differences, runs and approvals. Everybody sees what their role
and their partners allow, and what they did, saw and downloaded is kept in the bucket.

People sign in by OpenID Connect where the configuration says how (serve: signIn:). Without it the server is for
this machine only, and prints a link that signs in the first browser that opens it. Programs show a token of
the same provider, or one made with calends token create.

Ctrl-C or SIGTERM stops it: answers under way come to their end, for a while.`
}

// Run answers until the context is done.
func (c serveCmd) Run(ctx context.Context, a *app) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	env, err := a.env()
	if err != nil {
		return err
	}
	env.Progress, env.Waiting = nil, nil // many work at a time, for others than who sits here
	a.bar = nil
	listener, err := metrics.Listen(ctx, cmp.Or(c.Listen, config.Serve.Listen, serve.DefaultListen))
	if err != nil {
		return fmt.Errorf("%w: serve: %w", jobs.ErrUsage, err)
	}
	defer listener.Close()
	now := a.clock().Now
	trail := audit.NewStore(env.Bucket, audit.Settings{Now: now, Log: a.log})
	people := directory.New(env.Bucket, now)
	show, err := page.Words(version(), a.log)
	if err != nil {
		return err
	}
	who, err := a.door(config.Serve, listener.Addr(), signin.Settings{Directory: people, Trail: trail, Now: now, Log: a.log, Show: show})
	if err != nil {
		return fmt.Errorf("%w: serve: %w", jobs.ErrUsage, err)
	}
	settings, err := config.shown()
	if err != nil {
		return err
	}
	reads, done := context.WithCancel(context.WithoutCancel(ctx)) // answers under way still read
	defer done()
	server, err := serve.New(reads, config.Serve, serve.World{
		Env: daily(env, now), Now: now, Log: a.log, Version: version(), Who: who, Trail: trail,
		Events: trail, Directory: people, Settings: settings,
		Ready: []serve.Check{{Name: "sign-in", Run: who.Ready}, {Name: "trail", Run: trail.Ready}},
	})
	if err != nil {
		return fmt.Errorf("%w: serve: %w", jobs.ErrUsage, err)
	}
	address := cmp.Or(config.Serve.URL, baseOf(config.Serve, listener.Addr()))
	a.say("answering at %s; stop it with Ctrl-C or SIGTERM", address)
	if config.Serve.SignIn.IsZero() {
		a.say("sign in, once, within the hour: %s", who.Link())
	}
	return c.run(ctx, a, server, listener, trail)
}

// run lets the server, the trail and the schedule work side by side. When one fails the
// others stop, and the trail is written to its end last.
func (c serveCmd) run(ctx context.Context, a *app, server *serve.Server, listener net.Listener, trail *audit.Store) (err error) {
	keeping, enough := context.WithCancel(context.WithoutCancel(ctx))
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		trail.Run(keeping)
	}()
	defer func() {
		enough()
		<-kept
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
		defer cancel()
		err = errors.Join(err, trail.Close(last))
	}()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(ctx, listener) })
	if c.Schedule {
		group.Go(func() error { return scheduleCmd{Listen: c.Metrics, metricsFlag: c.metricsFlag}.Run(ctx, a) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	a.say("stopped")
	return nil
}

// closeWithin is how long the trail's last writes may take.
const closeWithin = 20 * time.Second

// door is how people and programs come in.
func (a *app) door(o serve.Options, at net.Addr, s signin.Settings) (*signin.Authenticator, error) {
	if o.SignIn.IsZero() {
		s.TLS = o.TLS.Certificate != ""
		return signin.NewLocal(at, s)
	}
	return signin.New(o.SignIn, cmp.Or(o.URL, baseOf(o, at)), s, signin.Surroundings{Transport: http.DefaultTransport, Lookup: os.LookupEnv})
}

// baseOf is how the server is reached where nothing stands before it.
func baseOf(o serve.Options, at net.Addr) string {
	if o.TLS.Certificate != "" {
		return "https://" + at.String()
	}
	return "http://" + at.String()
}

// clock is the machine's, or that of a demonstration on another day.
func (a *app) clock() schedule.Clock {
	if !a.globals.Today.given {
		return schedule.SystemClock{}
	}
	today := schedule.DayOf(schedule.SystemClock{}.Now())
	return atClock{ahead: time.Duration(a.globals.Today.Date-today) * 24 * time.Hour}
}

// daily is what jobs of a long day work with: the day is asked for each time.
func daily(env jobs.Env, now func() time.Time) func() jobs.Env {
	return func() jobs.Env {
		env := env
		env.Today = schedule.DayOf(now())
		return env
	}
}
