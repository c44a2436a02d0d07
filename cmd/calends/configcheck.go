package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/routine"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/jobs/secret"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Read the configuration, and say what it comes to and what is missing."`
}

type configCheckCmd struct{}

// Help tells more than one line.
func (configCheckCmd) Help() string {
	return `Reads the configuration file as every command does: unknown keys and values that cannot be are errors.
Besides it looks whether each secret that it names is there, opens the addresses of the bucket and of exports,
and says when each job runs next. It reads no object and asks nobody; calends connect check asks Microsoft.`
}

// configCheck is what a configuration comes to.
type configCheck struct {
	File    string     `json:"file"`
	Bucket  string     `json:"bucket"`
	Zone    string     `json:"zone"`
	Jobs    []jobTicks `json:"jobs"`
	Missing []string   `json:"missing"`
}

// jobTicks says when a job runs.
type jobTicks struct {
	Job  string `json:"job"`
	Cron string `json:"cron"`
	Next string `json:"next,omitempty"`
	// Off says why it does not run by itself.
	Off string `json:"off,omitempty"`
}

// Run checks.
func (configCheckCmd) Run(_ context.Context, a *app) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	if _, err := a.env(); err != nil {
		return err
	}
	for i, d := range config.Exports {
		if err := d.Check(); err != nil {
			return fmt.Errorf("%w: exports %d: %w", jobs.ErrUsage, i+1, err)
		}
	}
	ticks, err := config.Schedule.ticks()
	if err != nil {
		return fmt.Errorf("%w: %w", jobs.ErrUsage, err)
	}
	result := configCheck{File: a.configFile(), Bucket: a.bucketAddress(config), Zone: config.Schedule.Zone, Missing: config.missing(ticks)}
	if result.Zone == "" {
		result.Zone = "UTC"
	}
	now := schedule.SystemClock{}.Now()
	for _, name := range slices.Sorted(maps.Keys(ticks)) {
		j := jobTicks{Job: name, Cron: ticks[name].String(), Off: config.off(name, ticks[name])}
		if next := ticks[name].Next(now); j.Off == "" && !next.IsZero() {
			j.Next = next.UTC().Format(time.RFC3339)
		}
		result.Jobs = append(result.Jobs, j)
	}
	if err := a.show(view{json: result, rows: result.rows(), text: result.write}); err != nil {
		return err
	}
	if len(result.Missing) > 0 {
		return fmt.Errorf("%w: %s", jobs.ErrMissing, result.Missing[0])
	}
	return nil
}

// forUser are the jobs whose source is given to a user only.
var forUser = []string{routine.ImportPricesName, routine.ImportFXName, routine.ImportOffersName}

// missing are the secrets that the configuration names and that are not there, and the
// one that jobs want and that it does not name.
func (c Config) missing(ticks map[string]schedule.Ticks) []string {
	missing := []string{}
	runs := func(job string) bool { return c.off(job, ticks[job]) == "" }
	if c.Microsoft.RefreshToken.IsZero() && slices.ContainsFunc(forUser, runs) {
		missing = append(missing, "microsoft: refreshToken: prices, exchange rates and the offer matrix are given to a user only; "+
			"name a file, and store a token there with calends connect sign-in")
	}
	look := func(what string, s secret.Source) {
		if s.IsZero() {
			return
		}
		if _, err := s.Read(os.LookupEnv); err != nil {
			missing = append(missing, what+": "+err.Error())
		}
	}
	look("microsoft: secret", c.Microsoft.Secret)
	look("microsoft: certificate", c.Microsoft.Certificate)
	look("microsoft: refreshToken", c.Microsoft.RefreshToken)
	for i, w := range c.Webhooks {
		if err := w.Check(os.LookupEnv); err != nil {
			missing = append(missing, fmt.Sprintf("webhooks %d: %v", i+1, err))
		}
	}
	return missing
}

func (r configCheck) rows() *table { return r.table("Job", "Cron", "Next", "Off") }

func (r configCheck) table(columns ...string) *table {
	t := newTable(columns...)
	for _, j := range r.Jobs {
		t.add(j.Job, j.Cron, j.Next, j.Off)
	}
	return t
}

func (r configCheck) write(w io.Writer) {
	fmt.Fprintf(w, "configuration  %s\nbucket         %s\nzone           %s\n\n", r.File, r.Bucket, r.Zone)
	r.table("JOB", "CRON", "NEXT", "OFF").write(w, "")
	if len(r.Missing) > 0 {
		fmt.Fprintln(w, "\nmissing")
	}
	for _, m := range r.Missing {
		fmt.Fprintf(w, "  %s\n", m)
	}
}
