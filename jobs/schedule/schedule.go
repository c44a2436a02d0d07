// Package schedule runs jobs by themselves. Ticks of a calendar ask for slices, a
// job for a month and a subject; a slice is due while the history does not say that
// its newest tick is done with. So a tick that is missed, late or doubled changes
// nothing, a week of downtime is caught up in order, and it does not matter which
// machine is awake.
//
// A round does what is due at an instant, under one lease of the bucket: of any
// number of machines one works. Imports come first, then months in order. What
// fails is tried again after a while, a limited number of times, and then parked
// until a person runs it. One job's failure, or panic, does not keep the others.
package schedule

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/pricing"
)

// A Job plans, then executes. Both may be called for any slice of the job, again
// and again; a job that was executed already does nothing, or the same once more.
type Job interface {
	// Name is what the configuration and the command line call it.
	Name() string
	// Asks are the slices that the ticks up to an instant ask for, from a month on:
	// each with its newest tick, done or not.
	Asks(ctx context.Context, at Moment) ([]Ask, error)
	// Takes refuses a slice that a person names and that the job does not have, such as
	// one with a subject where there is none.
	Takes(s history.Slice) error
	// Plan says what executing would do. It changes nothing.
	Plan(ctx context.Context, r Request) (Plan, error)
	// Execute does what was planned. A [*WaitError] is no failure.
	Execute(ctx context.Context, r Request, p Plan) (history.Outcome, error)
}

// Moment is when slices are asked for.
type Moment struct {
	Now time.Time
	// First is the first month that the schedule minds.
	First pricing.Month
}

// Month is the month of the moment: months and days are UTC, whatever the zone of
// the ticks.
func (m Moment) Month() pricing.Month { return MonthOf(m.Now) }

// Today is the day of the moment.
func (m Moment) Today() pricing.Date { return DayOf(m.Now) }

// MonthOf returns the month of an instant, UTC.
func MonthOf(at time.Time) pricing.Month {
	at = at.UTC()
	return pricing.MonthOf(at.Year(), at.Month())
}

// DayOf returns the day of an instant, UTC.
func DayOf(at time.Time) pricing.Date {
	at = at.UTC()
	return pricing.DateOf(at.Year(), at.Month(), at.Day())
}

// Ask is a slice that the calendar asks for.
type Ask struct {
	Slice history.Slice
	// Tick is the newest instant that asks for it.
	Tick time.Time
	// Needed is the first month that should not close without it. 0: every month.
	// Only that of an import counts.
	Needed pricing.Month
}

// Request is one attempt at a slice.
type Request struct {
	Ask
	Moment
	// Accept is the reason for which a person accepts what would hold it; "": nothing
	// is accepted.
	Accept string
	// ByHand: a person asked for it.
	ByHand bool
	// Stands is where the slice stands, and Last how it ended last; nil: it did not run.
	Stands history.Standing
	Last   *history.Ended
	// Open are imports that should have been done before, and were not.
	Open []Open
	Log  *slog.Logger
}

// Open is an import that is not done.
type Open struct {
	Slice history.Slice
	Why   string
}

// Verdict is what a plan comes to.
type Verdict string

// The verdicts.
const (
	// Ready: there is something to do.
	Ready Verdict = "ready"
	// Nothing: there is nothing to do.
	Nothing Verdict = "nothing"
	// Waits: something or somebody has to come first.
	Waits Verdict = "waits"
)

// Plan says what executing would do.
type Plan struct {
	Slice   history.Slice `json:"slice"`
	Verdict Verdict       `json:"verdict"`
	// Code and Why say what it waits for, or why there is nothing to do.
	Code string `json:"code,omitempty"`
	Why  string `json:"why,omitempty"`
	// Steps are what will be done, in order, for people.
	Steps []string `json:"steps,omitempty"`
	// Detail is the job's own: what Execute needs to know of what Plan found.
	Detail any `json:"detail,omitempty"`
}

// ReadyTo plans steps.
func ReadyTo(s history.Slice, steps ...string) Plan {
	return Plan{Slice: s, Verdict: Ready, Steps: steps}
}

// NothingTo plans nothing.
func NothingTo(s history.Slice, format string, args ...any) Plan {
	return Plan{Slice: s, Verdict: Nothing, Why: fmt.Sprintf(format, args...)}
}

// WaitFor plans to wait.
func WaitFor(s history.Slice, code, format string, args ...any) Plan {
	return Plan{Slice: s, Verdict: Waits, Code: code, Why: fmt.Sprintf(format, args...)}
}

// WaitError ends an attempt that found out that something has to come first. It is
// tried again at every round, and no failure.
type WaitError struct {
	// Code is stable and short, such as approval.
	Code string
	Err  error
}

func (e *WaitError) Error() string { return e.Err.Error() }
func (e *WaitError) Unwrap() error { return e.Err }

// Clock is the time of the machine, or a simulated one.
type Clock interface {
	Now() time.Time
	// Wait returns at that instant, or when the context is done, with its error.
	Wait(ctx context.Context, until time.Time) error
}
