package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/microsoft"
)

type connectCmd struct {
	Check  connectCheckCmd  `cmd:"" help:"Try everything that imports from Microsoft need, step by step."`
	SignIn connectSignInCmd `cmd:"" name:"sign-in" help:"Sign in with a browser, and store the refresh token."`
}

// Help tells more than one line.
func (connectCmd) Help() string {
	return `Imports from Microsoft need an application in the partner's tenant and, for prices, exchange rates and the offer
matrix, a user who is an Admin Agent or a Sales Agent: they sign in once, with multi-factor authentication, and their
refresh token is stored. jobs/microsoft/README.md tells how to set both up.`
}

// microsoft is a client's configuration and what it needs besides.
func (a *app) microsoft() (microsoft.Options, microsoft.Surroundings, error) {
	config, err := a.config()
	return config.Microsoft, microsoft.Surroundings{Version: version(), Log: a.log}, err
}

type connectCheckCmd struct{}

// Help tells more than one line.
func (connectCheckCmd) Help() string {
	return `Looks at the configuration and the secrets, signs in as the application and with the user, asks for the beginning
of each file, and for the lists that subscriptions and reconciliation come from. Says of each step what was found, and
what to do where something is missing. Nothing is imported; no secret is shown.

The exit code is 1 when a step failed, 4 when the first to fail wants something that was not given: a setting, a secret.`
}

// Run checks the connection.
func (connectCheckCmd) Run(ctx context.Context, a *app) error {
	options, around, err := a.microsoft()
	if err != nil {
		return err
	}
	result, err := microsoft.Check(ctx, options, around, a.today(), func(step string) {
		if a.bar != nil {
			a.bar.show(step, 0, 0)
		}
	})
	if err != nil {
		return fmt.Errorf("check the connection to Microsoft: %w", err)
	}
	rows := newTable("Step", "State", "Reason", "Advice")
	for _, s := range result.Steps {
		rows.add(s.Step, string(s.State), s.Reason, s.Advice)
	}
	if err := a.show(view{json: result, rows: rows, text: func(w io.Writer) { writeCheck(w, result) }}); err != nil {
		return err
	}
	return checkFailure(result)
}

// checkFailure is what the exit code tells.
func checkFailure(r microsoft.CheckResult) error {
	for _, s := range r.Steps {
		if s.State != microsoft.StateFailed {
			continue
		}
		err := fmt.Errorf("%s of %d failed, %s first", plural(r.Failed, "step"), len(r.Steps), s.Step)
		if r.Missing {
			err = fmt.Errorf("%w: %w", jobs.ErrMissing, err)
		}
		return err
	}
	return nil
}

func writeCheck(w io.Writer, r microsoft.CheckResult) {
	t := newTable("STEP", "STATE", "")
	for _, s := range r.Steps {
		t.add(s.Step, string(s.State), s.Reason)
		if s.Advice != "" {
			t.add("", "", "> "+s.Advice)
		}
	}
	t.write(w, "")
}

// signInPatience is how long somebody may take to sign in.
const signInPatience = 10 * time.Minute

type connectSignInCmd struct {
	Port int `default:"8400" placeholder:"PORT" help:"The port of this machine that the browser comes back to."`
}

// Help tells more than one line.
func (connectSignInCmd) Help() string {
	return `Prints an address to open in a browser on this machine. Whoever signs in there, an Admin Agent or a Sales Agent,
lets the application act for them; the refresh token goes into the file that the configuration names under
microsoft: refreshToken. The application needs http://localhost among its redirect addresses of type web.

On a machine without a browser, forward the port to one that has: ssh -L 8400:localhost:8400 MACHINE.`
}

// Run waits for the browser.
func (c connectSignInCmd) Run(ctx context.Context, a *app) error {
	options, around, err := a.microsoft()
	if err != nil {
		return err
	}
	if err := options.Validate(); err != nil {
		return fmt.Errorf("%w: microsoft: %w", jobs.ErrMissing, err)
	}
	client := microsoft.NewClient(options, around)
	defer client.Close()
	l, err := net.Listen("tcp", net.JoinHostPort("localhost", strconv.Itoa(c.Port)))
	if err != nil {
		return fmt.Errorf("wait for the browser: %w; choose another --port", err)
	}
	patient, cancel := context.WithTimeout(ctx, signInPatience)
	defer cancel()
	err = client.SignIn(patient, l, func(address string) { a.say("open this address in a browser on this machine:\n%s", address) })
	if err != nil {
		return err
	}
	rows := newTable("File")
	rows.add(options.RefreshToken.File)
	return a.show(view{
		json: struct {
			File string `json:"file"`
		}{options.RefreshToken.File},
		rows: rows,
		text: func(w io.Writer) {
			fmt.Fprintf(w, "signed in; the refresh token is in %s\ntry it: calends connect check\n", options.RefreshToken.File)
		},
	})
}
