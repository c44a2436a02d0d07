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
	"github.com/calends/calends/jobs/routine"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

type runsCmd struct {
	Slice  string   `arg:"" optional:"" help:"One slice, such as close/2026-10 or import-prices/DE/2026-10: its newest attempt in full, with its log."`
	At     int      `name:"attempt" placeholder:"N" help:"Another attempt of the slice than its newest."`
	From   monthArg `placeholder:"MONTH" help:"List the runs from this month on. Default: the last three months that have any, and those that are not closed."`
	To     monthArg `placeholder:"MONTH" help:"List the runs up to this month."`
	Job    []string `placeholder:"JOB" help:"List those of these jobs; repeat or separate by commas."`
	Result []string `enum:"done,failed,waiting,stopped,interrupted,running" placeholder:"RESULT" help:"List those that ended so: done, failed, waiting, stopped or interrupted; running ones have not."`
	Limit  int      `default:"50" placeholder:"N" help:"List the newest N. Default 50; 0 lists all."`
}

// Help tells more than one line.
func (runsCmd) Help() string {
	return `Every attempt at a slice leaves a record in the bucket that is never changed: which tick asked for it, when
it began and ended, on which machine, what it read and wrote, counts, exceptions, errors and its log.

What waits or is parked now, and why, says calends run --due --dry-run.`
}

// Run lists, or shows one.
func (c runsCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	store := history.NewStore(env.Bucket)
	if c.Slice != "" {
		return c.show(ctx, a, store)
	}
	return c.list(ctx, a, store, &routine.Books{Ledger: ledger.Ledger{Bucket: env.Bucket}})
}

// months are those to list.
func (c runsCmd) months(ctx context.Context, store *history.Store, books *routine.Books) (first, last pricing.Month, err error) {
	months, err := store.Months(ctx)
	if err != nil || len(months) == 0 {
		return 1, 0, err
	}
	first, last = c.From.Month, c.To.Month
	if last == 0 {
		last = months[len(months)-1]
	}
	if first == 0 {
		// A month that is held for long is older than the last three, and the newest to run.
		minded, err := books.Minds(ctx, months[0], schedule.SystemClock{}.Now())
		if err != nil {
			return 0, 0, err
		}
		first = min(months[max(0, len(months)-3)], minded)
	}
	return first, last, nil
}

func (c runsCmd) list(ctx context.Context, a *app, store *history.Store, books *routine.Books) error {
	first, last, err := c.months(ctx, store, books)
	if err != nil {
		return err
	}
	all, err := store.Runs(ctx, first, last)
	if err != nil {
		return err
	}
	runs := slices.DeleteFunc(all, func(e history.Ended) bool {
		return len(c.Job) > 0 && !slices.Contains(c.Job, e.Slice.Job) || len(c.Result) > 0 && !slices.Contains(c.Result, resultOf(e))
	})
	if c.Limit > 0 {
		runs = runs[max(0, len(runs)-c.Limit):]
	}
	if runs == nil {
		runs = []history.Ended{}
	}
	return a.show(view{json: runs, rows: runRows(runs), text: func(w io.Writer) {
		if len(runs) == 0 {
			fmt.Fprintln(w, "nothing ran")
			return
		}
		runTable(runs).write(w, "")
	}})
}

// resultOf names how an attempt ended.
func resultOf(e history.Ended) string {
	if e.Result == "" {
		return "running"
	}
	return string(e.Result)
}

// runRows are attempts with a row each, for programs.
func runRows(runs []history.Ended) *table {
	t := newTable("Started", "Slice", ">Attempt", "Result", "Parked", "Ended", ">Exceptions", "What")
	for _, e := range runs {
		end := ""
		if e.Result != "" {
			end = e.Ended.Format(time.RFC3339)
		}
		t.add(e.Started.Format(time.RFC3339), e.Slice.String(), strconv.Itoa(e.Attempt), resultOf(e), strconv.FormatBool(e.Standing.Parked), end,
			strconv.FormatInt(e.Exceptions, 10), endText(e))
	}
	return t
}

// runTable are attempts for people.
func runTable(runs []history.Ended) *table {
	t := newTable("STARTED", "SLICE", ">ATTEMPT", "RESULT", ">TOOK", ">EXCEPTIONS", "WHAT")
	for _, e := range runs {
		took := ""
		if e.Result != "" {
			took = e.Ended.Sub(e.Started).Round(time.Millisecond).String()
		}
		result := resultOf(e)
		if e.Standing.Parked {
			result += ", parked"
		}
		t.add(e.Started.Format(time.RFC3339), e.Slice.String(), strconv.Itoa(e.Attempt), result, took, strconv.FormatInt(e.Exceptions, 10), inOneLine(endText(e)))
	}
	return t
}

// inOneLine is as much of a text as a row of a table has room for.
func inOneLine(text string) string {
	const most = 150
	line := []rune(strings.Join(strings.Fields(text), " "))
	if len(line) > most {
		line = append(line[:most], []rune(" ...")...)
	}
	return string(line)
}

// oneRun is a run in full.
type oneRun struct {
	history.Ended
	LogLines string `json:"logLines,omitempty"`
}

func (c runsCmd) show(ctx context.Context, a *app, store *history.Store) error {
	slice, err := history.ParseSlice(c.Slice)
	if err != nil {
		return fmt.Errorf("%w: %w", jobs.ErrUsage, err)
	}
	at := c.At
	if at == 0 {
		view, err := store.View(ctx, slice.Month, slice.Month)
		if err != nil {
			return err
		}
		at = view.Of(slice).Attempts
	}
	run, err := c.one(ctx, store, slice, at)
	if err != nil {
		return err
	}
	return a.show(view{json: run, rows: runRows([]history.Ended{run.Ended}), text: run.write})
}

func (c runsCmd) one(ctx context.Context, store *history.Store, slice history.Slice, attempt int) (oneRun, error) {
	var run oneRun
	var err error
	run.Ended, err = store.End(ctx, slice, attempt)
	if errors.Is(err, bucket.ErrNotExist) { // it is under way, was killed, or never was
		run.Begun, err = store.Start(ctx, slice, attempt)
	}
	if errors.Is(err, bucket.ErrNotExist) {
		return run, fmt.Errorf("%w: %s has no attempt %d; see: calends runs", jobs.ErrMissing, slice, max(attempt, 1))
	}
	if err != nil {
		return run, err
	}
	log, err := store.LogOf(ctx, run.Ended)
	run.LogLines = string(log)
	return run, err
}

func (r oneRun) write(w io.Writer) {
	fmt.Fprintf(w, "%s, attempt %d: %s\n", r.Slice, r.Attempt, resultOf(r.Ended))
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-11s %s\n", name, strings.ReplaceAll(value, "\n", "\n              "))
		}
	}
	row("what", r.Summary)
	row("reason", r.Reason)
	row("error", r.Error)
	row("tick", r.Tick.Format(time.RFC3339))
	row("started", r.Started.Format(time.RFC3339Nano))
	if r.Result != "" {
		row("ended", fmt.Sprintf("%s, after %s", r.Ended.Ended.Format(time.RFC3339Nano), r.Ended.Ended.Sub(r.Started).Round(time.Millisecond)))
	}
	by := r.By + ", " + r.Version
	if r.ByHand {
		by += ", by hand"
	}
	row("by", by)
	row("accepted", r.Accept)
	row("steps", strings.Join(r.Steps, "\n"))
	var counts []string
	for _, name := range slices.Sorted(maps.Keys(r.Counts)) {
		counts = append(counts, fmt.Sprintf("%s %d", name, r.Counts[name]))
	}
	row("counts", strings.Join(counts, ", "))
	if r.Exceptions > 0 {
		row("exceptions", strconv.FormatInt(r.Exceptions, 10))
	}
	row("inputs", refs(r.Inputs))
	row("outputs", refs(r.Outputs))
	if r.Standing.Parked {
		row("parked", "it is not tried again until it is run by hand")
	} else if !r.Standing.NotBefore.IsZero() {
		row("again", r.Standing.NotBefore.Format(time.RFC3339))
	}
	row("log", strings.TrimSpace(r.LogLines))
}

// refs lists objects, no more than a person reads.
func refs(list []history.Ref) string {
	const most = 20
	var lines []string
	for i, ref := range list {
		if i == most {
			lines = append(lines, fmt.Sprintf("and %d more; with --output json all of them", len(list)-most))
			break
		}
		sum := ""
		if len(ref.SHA256) >= 12 {
			sum = "  sha256 " + ref.SHA256[:12]
		}
		lines = append(lines, ref.Name+sum)
	}
	return strings.Join(lines, "\n")
}
