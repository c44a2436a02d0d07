// Package history keeps what ran, as immutable objects in the bucket:
//
//	runs/month=2026-10/job=import-prices/subject=DE/attempt=0001-started.json
//	                                                attempt=0001-log.jsonl
//	                                                attempt=0001-ended.json
//	                                                attempt=0001-told.json
//
// A slice is the unit that is due, done, retried or parked: a job for a month and,
// where there are several, a subject such as a market. Each attempt at it has a
// number. That an attempt began is written before it does anything, how it ended
// afterwards; an attempt that only began was interrupted, or is under way.
//
// The record of an end carries forward where the slice stands ([Standing]), so that
// the newest one tells all that a schedule needs to know, however long the history.
package history

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/calends/calends/pricing"
)

// A Slice is the unit of work: a job for a month and, where there are several, a
// subject: a market, a destination, a source.
type Slice struct {
	Job     string
	Subject string // "" where a month has one
	Month   pricing.Month
}

// String returns job/month or job/subject/month, as people name slices.
func (s Slice) String() string {
	if s.Subject == "" {
		return s.Job + "/" + s.Month.String()
	}
	return s.Job + "/" + s.Subject + "/" + s.Month.String()
}

// ParseSlice reads what [Slice.String] writes. A subject may hold slashes.
func ParseSlice(text string) (Slice, error) {
	job, rest, ok := strings.Cut(text, "/")
	if !ok || job == "" {
		return Slice{}, fmt.Errorf("slice %q: want job/month or job/subject/month, such as import-prices/DE/2026-10", text)
	}
	subject, month := "", rest
	if at := strings.LastIndexByte(rest, '/'); at >= 0 {
		subject, month = rest[:at], rest[at+1:]
	}
	m, err := pricing.ParseMonth(month)
	if err != nil {
		return Slice{}, fmt.Errorf("slice %q: %w", text, err)
	}
	return Slice{Job: job, Subject: subject, Month: m}, nil
}

// MarshalText writes the slice into JSON as its name.
func (s Slice) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads its name.
func (s *Slice) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSlice(string(text))
	return err
}

// Result is how an attempt ended.
type Result string

// The results.
const (
	// Done: everything that the plan said.
	Done Result = "done"
	// Failed: for the reason in Error; it will be tried again until it is parked.
	Failed Result = "failed"
	// Waiting: nothing is wrong; something or somebody has to come first.
	Waiting Result = "waiting"
	// Stopped: on request, or another run was at it; it goes on at the next round.
	Stopped Result = "stopped"
	// Interrupted: the process ended without a word.
	Interrupted Result = "interrupted"
)

// Begun is written before an attempt does anything.
type Begun struct {
	Slice   Slice `json:"slice"`
	Attempt int   `json:"attempt"` // from 1
	// Tick is the instant of the calendar that asked for it; the newest one of those
	// that were missed.
	Tick    time.Time `json:"tick"`
	Started time.Time `json:"started"`
	By      string    `json:"by"` // machine and process
	Version string    `json:"version"`
	// ByHand: a person asked for it.
	ByHand bool `json:"byHand,omitempty"`
	// Accept is the reason for which holds were accepted.
	Accept string `json:"accept,omitempty"`
	// Steps are those of the plan.
	Steps []string `json:"steps,omitempty"`
}

// Ended is the record of an attempt.
type Ended struct {
	Begun
	Ended  time.Time `json:"ended"`
	Result Result    `json:"result"`
	// Tried: it began. Else its plan said already that it fails, waits or has nothing to do.
	Tried bool `json:"tried,omitempty"`
	Outcome
	// Code and Reason say what the slice waits for.
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"`
	Log    *Ref   `json:"log,omitempty"`
	// Standing is where the slice stands since.
	Standing Standing `json:"standing"`
}

// Outcome is what an attempt brought.
type Outcome struct {
	// Summary is a line for people.
	Summary string `json:"summary,omitempty"`
	// Inputs and Outputs name objects and files.
	Inputs  []Ref `json:"inputs,omitempty"`
	Outputs []Ref `json:"outputs,omitempty"`
	// Counts are named by what they count, such as lines, invoices, records.
	Counts map[string]int64 `json:"counts,omitempty"`
	// Basis is what the outcome came of, such as a revision or the hashes of files:
	// while it is the same there is nothing to do again, or still to wait.
	Basis string `json:"basis,omitempty"`
	// Exceptions need somebody to look: exceptions of a month, refused records,
	// findings, differences.
	Exceptions int64 `json:"exceptions,omitempty"`
}

// Ref names an object or a file.
type Ref struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256,omitempty"`
	Size   int64  `json:"size,omitempty"`
}

// Standing is what is known of a slice after its newest attempt.
type Standing struct {
	// Done is the newest tick that is done with; zero: none yet.
	Done time.Time `json:"done,omitzero"`
	// Failures and Interruptions count those in a row.
	Failures      int `json:"failures,omitempty"`
	Interruptions int `json:"interruptions,omitempty"`
	// NotBefore is when to try again.
	NotBefore time.Time `json:"notBefore,omitzero"`
	// Parked: it failed too often, and is not tried until a person runs it.
	Parked bool `json:"parked,omitempty"`
	// Waiting is what the slice waits for, by its code.
	Waiting string `json:"waiting,omitempty"`
	// Waits counts attempts in a row that found out, and that nothing tells when trying
	// again is worth it: then there are growing pauses between them, too.
	Waits int `json:"waits,omitempty"`
	// Basis is that of the newest attempt that was done, or waits.
	Basis string `json:"basis,omitempty"`
}

// Retry says when what failed is tried again.
type Retry struct {
	// Limit is how many failures in a row park a slice, 1 or more.
	Limit int
	// First is the wait after the first failure; it doubles with each, up to Most.
	First, Most time.Duration
	// Interruptions is how many attempts in a row may end without a word, 1 or more:
	// a restart is no fault of the slice, but one that takes the process down each
	// time must not do so for ever.
	Interruptions int
}

// restarts is how many interruptions in a row a slice is tried after at once: machines
// are restarted. After more there are pauses, in which the others get their turn.
const restarts = 5

// DefaultRetry tries for some four hours before it parks.
func DefaultRetry() Retry {
	return Retry{Limit: 8, First: time.Minute, Most: time.Hour, Interruptions: 25}
}

// wait is how long to wait after so many failures.
func (r Retry) wait(failures int) time.Duration {
	wait := r.First
	for n := 1; n < failures && wait < r.Most; n++ {
		if wait > r.Most/2 {
			return r.Most
		}
		wait *= 2
	}
	return min(wait, r.Most)
}

// MaxSkew is how far the clocks of machines may differ. What is said to have happened
// later than that from now was recorded by a clock that was wrong.
const MaxSkew = 24 * time.Hour

// After is where a slice stands once the attempt ended. An attempt by hand that
// fails leaves a parked slice parked.
func (r Retry) After(before Standing, e Ended) Standing {
	after := Standing{Done: before.Done, Basis: before.Basis}
	switch e.Result {
	case Done:
		after.Basis = e.Basis
		if e.Tick.After(after.Done) || after.Done.After(e.Ended.Add(MaxSkew)) {
			after.Done = e.Tick
		}
	case Failed:
		after.Failures = before.Failures + 1
		after.NotBefore = e.Ended.Add(r.wait(after.Failures))
		after.Parked = before.Parked || after.Failures >= r.Limit
	case Interrupted:
		after.Failures, after.Interruptions = before.Failures, before.Interruptions+1
		after.Parked = before.Parked || after.Interruptions >= r.Interruptions
		if more := after.Interruptions - restarts; more > 0 {
			after.NotBefore = e.Ended.Add(r.wait(more))
		}
	case Waiting:
		after.Waiting, after.Basis = e.Code, e.Basis
		if e.Tried && e.Basis == "" {
			after.Waits = before.Waits + 1
			after.NotBefore = e.Ended.Add(r.wait(after.Waits))
		}
	case Stopped:
		after = before
	}
	return after
}

// Due reports whether a tick is not done with.
func (s Standing) Due(tick, now time.Time) bool {
	return s.Done.Before(tick) || s.Done.After(now.Add(MaxSkew))
}

// Rests reports whether it is too early to try again.
func (r Retry) Rests(s Standing, now time.Time) bool {
	return now.Before(s.NotBefore) && !s.NotBefore.After(now.Add(r.Most+MaxSkew))
}

// prefix is where all records lie.
const prefix = "runs/"

// phase is what an object of an attempt tells.
type phase string

const (
	started phase = "started.json"
	logged  phase = "log.jsonl"
	ended   phase = "ended.json"
	told    phase = "told.json"
)

func monthPrefix(m pricing.Month) string { return prefix + "month=" + m.String() + "/" }

var errNotOurs = errors.New("not the key of a run's record")
