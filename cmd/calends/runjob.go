package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/bucket"
)

type runJobCmd struct {
	Job    string   `arg:"" optional:"" help:"Which job: import-prices, import-fx, import-offers, import-changes, import-audit, import-snapshot, import-reconciliation, bill, close, export, reconcile or verify."`
	Due    bool     `help:"Do all that is due now, in order: one round of calends schedule, for another scheduler to start."`
	Slice  []string `placeholder:"SLICE" help:"Only these: a month such as 2026-10, with all its subjects, or subject/month such as DE/2026-10; repeat or separate by commas. Default: all that the calendar asks the job for, done or not."`
	DryRun bool     `help:"Print the plan and change nothing."`
	Accept string   `placeholder:"REASON" help:"Go on although something would be held; the record keeps the reason."`
	Now    nowArg   `placeholder:"INSTANT" help:"Another time than the clock's, such as 2026-11-03T06:00:00Z: to rehearse a schedule on a copy."`
	metricsFlag
}

// Help tells more than one line.
func (runJobCmd) Help() string {
	return `A job plans, then executes; --dry-run stops after the plan. Every run leaves a record, see calends runs.

By hand a job runs whether it is due or not, while it waits to be tried again, and when it was parked: if
it succeeds, it is as if it had succeeded by itself. While calends schedule is at work on this or another
machine the exit code is 5.

--due is for a systemd timer or a Kubernetes CronJob. It does what is due, and nothing when nothing is; when
another machine is at it already, that is fine, too. The exit code is 1 if something failed in this round,
and 3 if something waits for a person: it is parked, held, or wants approval. By hand it is 3 for exceptions, too.`
}

// Run plans, or runs.
func (c runJobCmd) Run(ctx context.Context, a *app) (err error) {
	if c.Due == (c.Job != "") {
		return fmt.Errorf("%w: say which job to run, or --due for all that is due", jobs.ErrUsage)
	}
	if c.Due && (len(c.Slice) > 0 || c.Accept != "") {
		return fmt.Errorf("%w: --slice and --accept belong to one job, not to --due", jobs.ErrUsage)
	}
	m, err := a.machinery(c.Now.clock())
	if err != nil {
		return err
	}
	defer m.close()
	hand, err := c.hand()
	if err != nil {
		return err
	}
	if c.DryRun {
		return c.plan(ctx, a, m, hand)
	}
	var round schedule.Round
	if c.Due {
		round, err = m.Round(ctx)
	} else {
		round, err = m.ByHand(ctx, hand)
	}
	err = errors.Join(m.usage(err, c.Job), c.write(ctx, m, round))
	if err != nil && len(round.Runs) == 0 {
		return err
	}
	shown := roundView{round, c.Job}
	if show := a.show(view{json: round, rows: shown.rows(), text: shown.write}); show != nil {
		return errors.Join(err, show)
	}
	if err != nil {
		return err
	}
	return c.verdict(round)
}

// usage says what is wrong with a job that cannot be run.
func (m *machinery) usage(err error, job string) error {
	if !errors.Is(err, schedule.ErrNoSuchJob) {
		return err
	}
	known := slices.Sorted(maps.Keys(defaultTicks))
	if slices.Contains(known, job) {
		return fmt.Errorf("%w: %s cannot run: microsoft is not configured", jobs.ErrUsage, job)
	}
	return fmt.Errorf("%w: %w%s", jobs.ErrUsage, err, suggest(job, known))
}

// hand is what a person asks for.
func (c runJobCmd) hand() (schedule.Hand, error) {
	h := schedule.Hand{Job: c.Job, Accept: c.Accept}
	for _, text := range c.Slice {
		if !strings.HasPrefix(text, c.Job+"/") {
			text = c.Job + "/" + text
		}
		s, err := history.ParseSlice(text)
		if err != nil {
			return h, fmt.Errorf("%w: --slice: %w", jobs.ErrUsage, err)
		}
		h.Slices = append(h.Slices, s)
	}
	return h, nil
}

func (c runJobCmd) plan(ctx context.Context, a *app, m *machinery, hand schedule.Hand) error {
	var plans []schedule.Plan
	var err error
	if c.Due {
		plans, err = m.Scheduler.Due(ctx)
	} else {
		plans, err = m.PlanByHand(ctx, hand)
	}
	if err != nil {
		return m.usage(err, c.Job)
	}
	shown := plansView(plans)
	return a.show(view{json: plans, rows: shown.rows(), text: shown.write})
}

// verdict is the exit code of a round.
func (c runJobCmd) verdict(r schedule.Round) error {
	for _, e := range r.Runs {
		switch {
		case e.Result == history.Failed && !c.Due:
			return fmt.Errorf("%s: %s", e.Slice, e.Error)
		case e.Result == history.Failed:
			return fmt.Errorf("something failed: calends runs %s", e.Slice)
		case e.Result == history.Stopped && !c.Due:
			return gaveWayError(fmt.Sprintf("%s: %s", e.Slice, e.Error))
		}
	}
	waits := slices.ContainsFunc(slices.Concat(r.Waiting, r.Runs), func(e history.Ended) bool {
		return e.Result == history.Waiting && e.Code != "not-published" && e.Code != "export"
	})
	exceptions := slices.ContainsFunc(r.Runs, func(e history.Ended) bool { return e.Exceptions > 0 })
	return openIf(waits || len(r.Parked) > 0 || exceptions && !c.Due)
}

// gaveWayError is a run by hand that another one was in the way of.
type gaveWayError string

func (e gaveWayError) Error() string        { return string(e) }
func (e gaveWayError) Is(target error) bool { return target == bucket.ErrLocked }

// plansView prints plans.
type plansView []schedule.Plan

func (v plansView) rows() *table {
	t := newTable("Slice", "Verdict", "Code", "Why", "Steps")
	for _, p := range v {
		t.add(p.Slice.String(), string(p.Verdict), p.Code, p.Why, strings.Join(p.Steps, "; "))
	}
	return t
}

func (v plansView) write(w io.Writer) {
	if len(v) == 0 {
		fmt.Fprintln(w, "nothing is due")
	}
	for _, p := range v {
		switch p.Verdict {
		case schedule.Ready:
			fmt.Fprintf(w, "%s\n", p.Slice)
			for _, step := range p.Steps {
				fmt.Fprintf(w, "  %s\n", step)
			}
		case schedule.Nothing:
			fmt.Fprintf(w, "%s: nothing to do: %s\n", p.Slice, p.Why)
		case schedule.Waits:
			fmt.Fprintf(w, "%s: waits: %s\n", p.Slice, indented(p.Why))
		}
	}
}

// indented puts the further lines of a text below its first.
func indented(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") }

// roundView prints a round, or the runs of a job by hand.
type roundView struct {
	schedule.Round
	job string // "": it was a round
}

func (v roundView) rows() *table { return runRows(v.Runs) }

func (v roundView) write(w io.Writer) {
	if v.Busy != "" {
		fmt.Fprintf(w, "another machine does this round: %s\n", v.Busy)
		return
	}
	switch {
	case len(v.Runs)+len(v.Waiting)+len(v.Retried)+len(v.Parked) > 0:
	case v.job != "":
		fmt.Fprintf(w, "the calendar does not ask for %s yet; name what to do with --slice\n", v.job)
	default:
		fmt.Fprintln(w, "nothing was due")
	}
	for _, e := range v.Runs {
		fmt.Fprintf(w, "%s  %s%s\n", e.Slice, e.Result, colon(endText(e)))
	}
	sections := []struct {
		title string
		list  []history.Ended
	}{{"waiting", v.Waiting}, {"tried again later", v.Retried}, {"parked until a person runs it", v.Parked}}
	for _, s := range sections {
		for _, e := range s.list {
			if !slices.ContainsFunc(v.Runs, func(run history.Ended) bool { return run.Slice == e.Slice }) {
				fmt.Fprintf(w, "%s  %s%s\n", e.Slice, s.title, colon(endText(e)))
			}
		}
	}
}

func colon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + indented(text)
}

// endText says in a few words how an attempt ended.
func endText(e history.Ended) string {
	switch {
	case e.Reason != "":
		return e.Reason
	case e.Error != "" && e.Standing.Parked:
		return e.Error + "\nparked after " + strconv.Itoa(e.Standing.Failures) + " failures in a row" + ": see to it, then run it by hand"
	case e.Error != "" && !e.Standing.NotBefore.IsZero():
		return e.Error + "\ntried again at " + e.Standing.NotBefore.Format(time.RFC3339)
	case e.Error != "":
		return e.Error
	}
	return e.Summary
}
