package metrics

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

const (
	// monthsBack is for how many months before this one closed months and open
	// differences are shown.
	monthsBack = 12
	// monthsCounted is for how many months before this one runs are counted, which
	// means reading the record of each.
	monthsCounted = 1
	// mostSlices bounds how many slices stand alone in a family.
	mostSlices = 200
)

// picture is what was read of a bucket.
type picture struct {
	at          time.Time // zero: never in full
	failed      map[string]bool
	runs        runs
	status      jobs.StatusResult
	differences []jobs.MonthDifferences
	token       bool // there is one
	tokenUsed   time.Time
}

// runs is what was read of the history.
type runs struct {
	view   history.View
	counts map[counted]int
	// newest is the newest attempt of a job and subject that was done.
	newest map[jobSubject]history.Ended
	// since is when a slice began to wait for what it waits for.
	since map[history.Slice]time.Time
}

type jobSubject struct{ job, subject string }

type counted struct {
	job    string
	month  pricing.Month
	result history.Result
}

// readRuns reads what ran, from the first month that the schedule minds, or that has
// records, to the next one.
func readRuns(ctx context.Context, store *history.Store, month pricing.Month) (runs, error) {
	r := runs{counts: make(map[counted]int), newest: make(map[jobSubject]history.Ended), since: make(map[history.Slice]time.Time)}
	first, began, err := store.Began(ctx)
	if err != nil {
		return runs{}, err
	}
	if !began {
		first = month - monthsBack
	}
	if r.view, err = store.View(ctx, min(first, month), month+1); err != nil {
		return runs{}, err
	}
	all, err := store.Runs(ctx, month-monthsCounted, month+1)
	if err != nil {
		return runs{}, err
	}
	for _, e := range all {
		if e.Result == "" {
			continue // it is under way
		}
		r.counts[counted{e.Slice.Job, e.Slice.Month, e.Result}]++
		r.note(e)
	}
	for slice, track := range r.view {
		if track.Last == nil {
			continue
		}
		r.note(*track.Last)
		if track.Last.Standing.Waiting != "" {
			if r.since[slice], err = waitsSince(ctx, store, *track.Last); err != nil {
				return runs{}, err
			}
		}
	}
	return r, nil
}

// note keeps the attempt if it is the newest of its job and subject that was done.
func (r runs) note(e history.Ended) {
	key := jobSubject{e.Slice.Job, e.Slice.Subject}
	if e.Result == history.Done && !e.Ended.Before(r.newest[key].Ended) {
		r.newest[key] = e
	}
}

// waitsSince goes back to the first of the attempts in a row that waited for the same.
// There are few: one is recorded when the reason changes.
func waitsSince(ctx context.Context, store *history.Store, last history.Ended) (time.Time, error) {
	since := last.Started
	for n := last.Attempt - 1; n > 0 && n > last.Attempt-50; n-- {
		e, err := store.End(ctx, last.Slice, n)
		if err != nil {
			return since, err
		}
		if e.Standing.Waiting != last.Standing.Waiting {
			break
		}
		since = e.Started
	}
	return since, nil
}

// stateOf says where a slice stands, in a word.
func stateOf(t history.Track) string {
	switch stands := t.Standing(); {
	case stands.Parked:
		return "parked"
	case len(t.Open) > 0:
		return "running"
	case stands.Waiting != "":
		return "waiting"
	case stands.Failures > 0 || stands.Interruptions > 0:
		return "failing"
	case !stands.Done.IsZero():
		return "done"
	}
	return "stopped"
}

// states are all that stateOf says.
var states = []string{"parked", "running", "waiting", "failing", "done", "stopped"}

// family is a metric: its name, help and labels, and how Prometheus is to read it.
type family struct {
	help string
	kind prometheus.ValueType
	desc *prometheus.Desc
}

// families are all metrics, by name.
var families = func() map[string]family {
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	all := make(map[string]family)
	add := func(name string, kind prometheus.ValueType, help string, labels ...string) {
		all[name] = family{help, kind, prometheus.NewDesc(name, help, labels, nil)}
	}
	add("calends_build_info", gauge, "The program: always 1.", "version", "goversion")
	add("calends_snapshot_timestamp_seconds", gauge, "When these figures were last read from the bucket in full.")
	add("calends_snapshot_failed", gauge, "1 if a part of the figures could not be read and is as old as it was before.", "part")
	add("calends_run_last_success_timestamp_seconds", gauge, "When a run of the job for the subject last ended well.", "job_name", "subject")
	add("calends_run_duration_seconds", gauge, "How long the last run took that ended well.", "job_name", "subject")
	add("calends_run_rows", gauge, "What the last run counted that ended well: lines, records, invoices and so on.", "job_name", "subject", "of")
	add("calends_run_exceptions", gauge, "What the last run that ended well left for a person to look at.", "job_name", "subject")
	add("calends_run_failures", gauge, "How many times in a row the job failed for the subject; of several months, the worst that is not parked.", "job_name", "subject")
	add("calends_runs_total", counter, "Runs for the month by how they ended; this month, the one before and the next.", "job_name", "month", "result")
	add("calends_slices", gauge, "Slices by where they stand.", "job_name", "state")
	add("calends_slice_parked", gauge, "1 for a slice that failed too often: it is not tried again until a person runs it.", "job_name", "subject", "month")
	add("calends_slice_waiting", gauge, "1 for a slice that waits for something or somebody.", "job_name", "subject", "month", "reason")
	add("calends_slice_waiting_since_timestamp_seconds", gauge, "Since when the slice waits for that.", "job_name", "subject", "month", "reason")
	add("calends_slices_untold", gauge, "Slices that ran within a day and of which a webhook's receiver is still to be told.")
	add("calends_price_list_age_days", gauge, "Days since the first day of the newest month that has a price sheet of the market, 0 if it is still to come; +Inf: there is no sheet.", "market")
	add("calends_open_differences", gauge, "Differences to Microsoft's invoice of the month that somebody has to look at.", "month")
	add("calends_month_state", gauge, "1 for the state that the month is in: draft or closed.", "month", "state")
	add("calends_refresh_token_age_days", gauge, "Days since the refresh token was last used; Microsoft forgets one that is not used for 90 days.")
	return all
}()

// sample is a value of a family, with its labels in the family's order.
type sample struct {
	name   string
	value  float64
	labels []string
}

// samples are the figures at an instant.
func (p picture) samples(now time.Time, of Source) []sample {
	var all []sample
	add := func(name string, value float64, labels ...string) {
		for i, l := range labels {
			labels[i] = strings.ToValidUTF8(l, "?")
		}
		all = append(all, sample{name, value, labels})
	}
	if !p.at.IsZero() {
		add("calends_snapshot_timestamp_seconds", seconds(p.at))
	}
	for part, failed := range p.failed {
		add("calends_snapshot_failed", truth(failed), part)
	}
	p.runs.samples(add)
	if of.Tells {
		add("calends_slices_untold", float64(p.runs.untold(now)))
	}
	for market, age := range p.sheetAges(now, of.Markets) {
		add("calends_price_list_age_days", age, market)
	}
	for _, d := range p.differences {
		add("calends_open_differences", float64(d.Open), d.Month.String())
	}
	for _, m := range p.shownMonths(now) {
		for _, state := range []ledger.State{ledger.Draft, ledger.Closed} {
			add("calends_month_state", truth(m.State == string(state)), m.Month, string(state))
		}
	}
	if p.token {
		add("calends_refresh_token_age_days", days(now.Sub(p.tokenUsed)))
	}
	return all
}

func (r runs) samples(add func(name string, value float64, labels ...string)) {
	for key, e := range r.newest {
		add("calends_run_last_success_timestamp_seconds", seconds(e.Ended), key.job, key.subject)
		add("calends_run_duration_seconds", e.Ended.Sub(e.Started).Seconds(), key.job, key.subject)
		add("calends_run_exceptions", float64(e.Exceptions), key.job, key.subject)
		for of, n := range e.Counts {
			add("calends_run_rows", float64(n), key.job, key.subject, of)
		}
	}
	for c, n := range r.counts {
		add("calends_runs_total", float64(n), c.job, c.month.String(), string(c.result))
	}
	failures := make(map[jobSubject]int)
	slicesIn := make(map[string]map[string]int)
	parked, waiting := 0, 0
	for _, slice := range r.view.Slices() {
		track := r.view[slice]
		key := jobSubject{slice.Job, slice.Subject}
		failures[key] = max(failures[key], 0)
		if stands := track.Standing(); !stands.Parked {
			failures[key] = max(failures[key], stands.Failures)
		}
		if slicesIn[slice.Job] == nil {
			slicesIn[slice.Job] = make(map[string]int)
		}
		state := stateOf(track)
		slicesIn[slice.Job][state]++
		if state == "parked" && parked < mostSlices {
			parked++
			add("calends_slice_parked", 1, slice.Job, slice.Subject, slice.Month.String())
		}
		if state == "waiting" && waiting < mostSlices {
			waiting++
			reason := track.Standing().Waiting
			add("calends_slice_waiting", 1, slice.Job, slice.Subject, slice.Month.String(), reason)
			add("calends_slice_waiting_since_timestamp_seconds", seconds(r.since[slice]), slice.Job, slice.Subject, slice.Month.String(), reason)
		}
	}
	for key, n := range failures {
		add("calends_run_failures", float64(n), key.job, key.subject)
	}
	for job, byState := range slicesIn {
		for _, state := range states {
			add("calends_slices", float64(byState[state]), job, state)
		}
	}
}

// untold counts the slices whose newest attempt ended within a day and of which somebody
// is still to be told.
func (r runs) untold(now time.Time) (n int) {
	for _, track := range r.view {
		if last := track.Last; last != nil && now.Sub(last.Ended) < 24*time.Hour && slices.Contains(track.Untold, last.Attempt) {
			n++
		}
	}
	return n
}

// sheetAges are the days since the month began for which a market's newest price sheet
// is valid. One for a month to come is not old.
func (p picture) sheetAges(now time.Time, markets []string) map[string]float64 {
	ages := make(map[string]float64)
	for _, market := range markets {
		ages[market] = math.Inf(1)
	}
	for _, sheet := range p.status.Prices {
		if _, wanted := ages[sheet.Market]; markets != nil && !wanted || len(sheet.Months) == 0 {
			continue
		}
		newest, err := pricing.ParseMonth(slices.Max(sheet.Months))
		if err != nil {
			continue // not a month that anything is valid for
		}
		ages[sheet.Market] = float64(max(0, schedule.DayOf(now)-newest.First()))
	}
	return ages
}

// shownMonths are those that are open, and the last closed ones.
func (p picture) shownMonths(now time.Time) []jobs.MonthStatus {
	first := (schedule.MonthOf(now) - monthsBack).String()
	return slices.DeleteFunc(slices.Clone(p.status.Months), func(m jobs.MonthStatus) bool {
		return m.State == string(ledger.Closed) && m.Month < first
	})
}

func seconds(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }

func days(d time.Duration) float64 { return d.Hours() / 24 }

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
