package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/schedule"
)

const (
	// grace is how much later than it said the schedule may wake up.
	grace = 2 * time.Minute
	// longestRound is how long a round may work without anybody taking the process for
	// dead. A close of a large month takes minutes; Microsoft's export can take hours.
	longestRound = 12 * time.Hour
	// checkTimeout bounds what readiness asks of others.
	checkTimeout = 5 * time.Second
)

// Check is something that must be well for the schedule to do its work.
type Check struct {
	Name string
	Run  func(context.Context) error
}

// Health tells whether the schedule lives, and whether it can do its work. It may be
// used from any goroutine.
type Health struct {
	now    func() time.Time
	stuck  func() (parked, waiting []history.Slice)
	checks []Check

	mu       sync.Mutex
	until    time.Time // when it wakes up; zero: it works
	since    time.Time // when it began to work
	rounds   int
	rounded  time.Time // when the last round ended
	roundErr error     // and how
	busy     string    // who had it instead
}

// NewHealth makes the health of a schedule that is about to begin. stuck, which may be
// nil, lists slices that wait for a person: they are told, and are no illness.
func NewHealth(now func() time.Time, stuck func() (parked, waiting []history.Slice), checks ...Check) *Health {
	return &Health{now: now, stuck: stuck, checks: checks, since: now()}
}

// Clock is the schedule's, and notes when the schedule sleeps: that it wakes up again
// is the sign of life.
func (h *Health) Clock(c schedule.Clock) schedule.Clock { return watched{c, h} }

type watched struct {
	schedule.Clock
	h *Health
}

func (w watched) Wait(ctx context.Context, until time.Time) error {
	w.h.sleep(until)
	defer w.h.sleep(time.Time{})
	return w.Clock.Wait(ctx, until)
}

func (h *Health) sleep(until time.Time) {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until, h.since = until, now
}

// After notes how a round ended, as [schedule.Scheduler.Run] tells it.
func (h *Health) After(r schedule.Round, err error) {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rounds++
	h.rounded, h.roundErr, h.busy = now, err, r.Busy
}

// Answer is the body of both pages.
type Answer struct {
	OK     bool          `json:"ok"`
	Checks []CheckAnswer `json:"checks"`
	// Parked and Waiting are slices that wait for a person, or for something to come.
	Parked  []history.Slice `json:"parked,omitempty"`
	Waiting []history.Slice `json:"waiting,omitempty"`
}

// CheckAnswer is what came of one check.
type CheckAnswer struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

func (a *Answer) add(name string, err error, detail string) {
	if err != nil {
		detail = err.Error()
	}
	a.Checks = append(a.Checks, CheckAnswer{name, err == nil, detail})
	a.OK = a.OK && err == nil
}

// Live tells whether the process should be left alone: the schedule sleeps no longer
// than it said, or is at work.
func (h *Health) Live() Answer {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	a := Answer{OK: true}
	switch {
	case !h.until.IsZero() && now.After(h.until.Add(grace)):
		a.add("schedule", fmt.Errorf("it should have woken up at %s", at(h.until)), "")
	case !h.until.IsZero():
		a.add("schedule", nil, "sleeps until "+at(h.until))
	case now.Sub(h.since) > longestRound:
		a.add("schedule", fmt.Errorf("it has been at one round since %s", at(h.since)), "")
	default:
		a.add("schedule", nil, "at work since "+at(h.since))
	}
	return a
}

// Ready tells whether the schedule can do its work: what it needs can be reached, and
// the last round came to its end. Before the first it is ready if the checks say so.
func (h *Health) Ready(ctx context.Context) Answer {
	ctx, cancel := context.WithTimeoutCause(ctx, checkTimeout, fmt.Errorf("no answer within %s", checkTimeout))
	defer cancel()
	a := Answer{OK: true}
	for _, c := range h.checks {
		err := c.Run(ctx)
		if err != nil && errors.Is(err, ctx.Err()) {
			err = context.Cause(ctx)
		}
		a.add(c.Name, err, "")
	}
	detail, err := h.round()
	a.add("round", err, detail)
	if h.stuck != nil {
		a.Parked, a.Waiting = h.stuck()
	}
	return a
}

// round says how the last round ended.
func (h *Health) round() (detail string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.rounds == 0:
		return "the first one is under way", nil
	case h.busy != "":
		return "the last one ended at " + at(h.rounded) + "; another machine had it: " + h.busy, h.roundErr
	}
	return "the last one ended at " + at(h.rounded), h.roundErr
}

func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Handler answers /healthz and /readyz: 200, or 503 when something is wrong.
func (h *Health) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { reply(w, h.Live()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { reply(w, h.Ready(r.Context())) })
	return mux
}

func reply(w http.ResponseWriter, a Answer) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !a.OK {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(a) // who asked has gone
}
