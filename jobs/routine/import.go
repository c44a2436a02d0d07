package routine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/microsoft"
	"github.com/calends/calends/jobs/microsoft/signin"
	"github.com/calends/calends/jobs/microsoft/web"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pricing"
)

// neverNeeded is the month of an import that no close waits for.
const neverNeeded = pricing.Month(math.MaxInt32)

// Import is what imports have in common.
type Import struct {
	Job
	// LostRows is by how many percent a price sheet may be shorter than the last one of
	// its market; 0: by any.
	LostRows int
}

// settles is how long after its end a month may still get its last word at the source:
// Microsoft's months may end later than those of UTC.
const settles = 24 * time.Hour

// byMonth asks for every month that is minded, up to the newest tick's: for that one
// at the newest tick, for one that is over at the first tick a day after its end, and
// until then at the last one in it. So what was published on its last day is seen
// before it closes.
func (j Job) byMonth(at schedule.Moment, add func(month pricing.Month, tick time.Time)) {
	latest, ok := j.latest(at)
	if !ok {
		return
	}
	for m := at.First; m < schedule.MonthOf(latest); m++ {
		over := begin(m + 1)
		if last := j.Ticks.FirstFrom(over.Add(settles)); !last.After(latest) {
			add(m, last)
		} else if inside := j.Ticks.Latest(over.Add(-time.Nanosecond)); schedule.MonthOf(inside) == m {
			add(m, inside)
		}
	}
	add(schedule.MonthOf(latest), latest)
}

// waited plans to wait on, where the last attempt of this tick had to: the source is
// asked again at the next tick, or when a person says so.
func waited(r schedule.Request) (schedule.Plan, bool) {
	if last := r.Last; last != nil && last.Result == history.Waiting && !r.Tick.After(last.Tick) && !r.ByHand {
		return schedule.WaitFor(r.Slice, last.Code, "%s", last.Reason), true
	}
	return schedule.Plan{}, false
}

// forPerson lets a slice wait for a sign-in that no retry can help, until the next
// tick, or until somebody who has mended it runs it by hand.
func forPerson(err error) error {
	if errors.Is(err, signin.ErrPerson) {
		return &schedule.WaitError{Code: waitsForSignIn, Err: err}
	}
	return err
}

// folder runs work with a temporary folder.
func folder(work func(dir string) error) (err error) {
	dir, err := os.MkdirTemp("", "calends-import-")
	if err != nil {
		return fmt.Errorf("make a folder for what is imported: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return work(dir)
}

// take takes a file in, as calends ingest does. It is refused, held, or counts.
func (i Import) take(ctx context.Context, r schedule.Request, dir, file string, month pricing.Month) (jobs.IngestResult, error) {
	name, err := filepath.Rel(dir, file)
	if err != nil {
		return jobs.IngestResult{}, err
	}
	result, err := i.env(r).Ingest(ctx, jobs.IngestPlan{Folder: dir, Paths: []string{name}, Month: month, LostRows: i.LostRows, Accept: r.Accept})
	if err != nil {
		return result, err
	}
	for _, f := range result.Files {
		switch f.Status {
		case jobs.StatusRefused:
			return result, fmt.Errorf("take in %s: %s%s", f.Name, f.Reason, firstError(f))
		case jobs.StatusHeld:
			return result, &schedule.WaitError{Code: waitsForPerson, Err: fmt.Errorf("%s is held: %s\ntake it all the same with: calends run %s --slice %s --accept REASON",
				f.Name, f.Reason, r.Slice.Job, r.Slice)}
		}
	}
	return result, nil
}

// firstError is where a refused file is wrong first.
func firstError(f jobs.FileResult) string {
	if len(f.Errors) == 0 {
		return ""
	}
	e := f.Errors[0]
	return fmt.Sprintf("; line %d, column %s, value %q: %s", e.Line, e.Column, e.Value, e.Rule)
}

// fetched imports one file: it is fetched, unless it is the one that is known, and
// taken in.
func (i Import) fetched(ctx context.Context, r schedule.Request, fetch func(context.Context, microsoft.Want) (microsoft.Fetched, error)) (out history.Outcome, err error) {
	err = folder(func(dir string) error {
		known := r.Stands.Basis
		if r.ByHand {
			known = "" // whatever it was, it is wanted again
		}
		f, err := fetch(ctx, microsoft.Want{Month: r.Slice.Month, Today: r.Today(), ETag: known, Dir: dir})
		switch {
		case errors.Is(err, web.ErrNotModified) && known != "": // else it is the answer to another question
			out.Summary, out.Basis = "unchanged at the source", r.Stands.Basis
			return nil
		case errors.Is(err, microsoft.ErrNotPublished):
			return &schedule.WaitError{Code: waitsForSource, Err: err}
		case err != nil:
			return err
		}
		out.Inputs = []history.Ref{{Name: f.Name, SHA256: f.SHA256, Size: f.Size}}
		result, err := i.take(ctx, r, dir, f.Path, r.Slice.Month)
		if err != nil {
			return err
		}
		out.Basis = f.ETag
		out.Summary = fmt.Sprintf("%s: %d rows, %s", f.Name, f.Rows, taken(result))
		out.Counts = map[string]int64{"rows": int64(f.Rows), "taken": result.Taken, "had": result.Had}
		return nil
	})
	return out, forPerson(err)
}

// taken says what became of a file.
func taken(r jobs.IngestResult) string {
	if r.Taken == 0 && r.Refused == 0 {
		return "as we had it"
	}
	return fmt.Sprintf("%d taken, %d refused", r.Taken, r.Refused)
}

// ImportPrices fetches each market's price sheet, month by month.
type ImportPrices struct {
	Import
	Client  *microsoft.Client
	Markets []string
	// Future: next month's too.
	Future bool
}

// Name is the job's.
func (ImportPrices) Name() string { return ImportPricesName }

// Asks are each market and month.
func (p ImportPrices) Asks(_ context.Context, at schedule.Moment) (asks []schedule.Ask, _ error) {
	add := func(m pricing.Month, tick time.Time) {
		for _, market := range p.Markets {
			a := ask(ImportPricesName, market, m, tick)
			a.Needed = m
			asks = append(asks, a)
		}
	}
	p.byMonth(at, add)
	if tick, ok := p.latest(at); ok && p.Future {
		add(schedule.MonthOf(tick)+1, tick)
	}
	return asks, nil
}

// Plan is to fetch it.
func (p ImportPrices) Plan(_ context.Context, r schedule.Request) (schedule.Plan, error) {
	if plan, ok := waited(r); ok {
		return plan, nil
	}
	return schedule.ReadyTo(r.Slice, fmt.Sprintf("fetch the price sheet of %s for %s", r.Slice.Subject, r.Slice.Month), "hold it if it lost too many rows", "take it in if it is new"), nil
}

// Execute fetches and takes it in.
func (p ImportPrices) Execute(ctx context.Context, r schedule.Request, _ schedule.Plan) (history.Outcome, error) {
	return p.fetched(ctx, r, func(ctx context.Context, w microsoft.Want) (microsoft.Fetched, error) {
		return p.Client.PriceSheet(ctx, r.Slice.Subject, w)
	})
}

// ImportFX fetches the exchange rates of each month.
type ImportFX struct {
	Import
	Client *microsoft.Client
}

// Name is the job's.
func (ImportFX) Name() string { return ImportFXName }

// Asks are the months.
func (x ImportFX) Asks(_ context.Context, at schedule.Moment) (asks []schedule.Ask, _ error) {
	x.byMonth(at, func(m pricing.Month, tick time.Time) {
		a := ask(ImportFXName, "", m, tick)
		a.Needed = m
		asks = append(asks, a)
	})
	return asks, nil
}

// Plan is to fetch them.
func (x ImportFX) Plan(_ context.Context, r schedule.Request) (schedule.Plan, error) {
	if plan, ok := waited(r); ok {
		return plan, nil
	}
	return schedule.ReadyTo(r.Slice, fmt.Sprintf("fetch the exchange rates of %s", r.Slice.Month), "take them in if they are new"), nil
}

// Execute fetches and takes them in.
func (x ImportFX) Execute(ctx context.Context, r schedule.Request, _ schedule.Plan) (history.Outcome, error) {
	return x.fetched(ctx, r, x.Client.FXRates)
}
