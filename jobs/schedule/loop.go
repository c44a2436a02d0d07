package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/pricing"
)

// Run does round after round until the context is done; that is no error. It sleeps
// until something may be due, at most for Poll. A round that fails, because the
// bucket cannot be reached, is logged and told to after, and tried again. after is
// called after each round; nil: nobody wants to know.
func (s *Scheduler) Run(ctx context.Context, after func(Round, error)) error {
	poll := s.Poll
	if poll <= 0 {
		poll = time.Minute
	}
	for {
		round, err := s.Round(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // asked to stop, and nothing half-written counts
		}
		if err != nil {
			s.Log.Error("the round failed; the next one tries again", "error", err)
		}
		if after != nil {
			after(round, err)
		}
		if err := s.Clock.Wait(ctx, s.Clock.Now().Add(poll)); err != nil {
			return nil //nolint:nilerr // asked to stop while there was nothing to do
		}
	}
}

// ErrNoSuchJob is a name that no job has.
var ErrNoSuchJob = errors.New("there is no such job")

// Hand is what a person asks for.
type Hand struct {
	Job string
	// Slices of the job, one without a subject for each of its month; empty: all that
	// the calendar asks for now, done or not.
	Slices []history.Slice
	Accept string
}

// requests are the attempts that a person asks for.
func (s *Scheduler) requests(ctx context.Context, h Hand, at Moment, view history.View) (Job, []Request, error) {
	j, ok := s.job(h.Job)
	if !ok {
		return nil, nil, fmt.Errorf("%w: %s", ErrNoSuchJob, h.Job)
	}
	g := s.agenda(ctx, at)
	if g.err != nil {
		s.Log.Warn("not all jobs can say what they are asked for", "error", g.err)
	}
	var list []Request
	for _, a := range g.slices {
		if a.job.Name() == h.Job && (len(h.Slices) == 0 || slices.ContainsFunc(h.Slices, func(want history.Slice) bool { return covers(want, a.Slice) })) {
			list = append(list, s.byHand(at, a, g, view, h.Accept))
		}
	}
	if len(list) == 0 && len(h.Slices) == 0 && g.err != nil {
		return nil, nil, g.err
	}
	rank := slices.IndexFunc(s.jobs(), func(other Job) bool { return other.Name() == h.Job })
	for _, slice := range h.Slices {
		if slices.ContainsFunc(list, func(r Request) bool { return covers(slice, r.Slice) }) {
			continue
		}
		// The calendar does not ask for it, but a person may.
		if err := j.Takes(slice); err != nil {
			return nil, nil, err
		}
		a := asked{Ask: Ask{Slice: slice, Tick: at.Now}, job: j, rank: rank, isImport: rank < len(s.Imports)}
		list = append(list, s.byHand(at, a, g, view, h.Accept))
	}
	return j, list, nil
}

// covers reports whether a slice that a person names is that of the job: without a
// subject it is each of the month.
func covers(named, slice history.Slice) bool {
	return named == slice || named.Subject == "" && named.Month == slice.Month
}

func (s *Scheduler) byHand(at Moment, a asked, g agenda, view history.View, accept string) Request {
	r := s.request(at, a, g, view)
	r.ByHand, r.Accept = true, accept
	return r
}

// PlanByHand plans what a person asks for, and changes nothing.
func (s *Scheduler) PlanByHand(ctx context.Context, h Hand) ([]Plan, error) {
	at, view, err := s.forHand(ctx, h)
	if err != nil {
		return nil, err
	}
	j, requests, err := s.requests(ctx, h, at, view)
	if err != nil {
		return nil, err
	}
	plans := []Plan{}
	for _, r := range requests {
		p, err := s.plan(ctx, j, r)
		if err != nil {
			return plans, fmt.Errorf("plan %s: %w", r.Slice, err)
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// ByHand runs what a person asks for, whether it is due or not, waits to be tried
// again, or is parked. While another machine has the round it is bucket.ErrLocked.
func (s *Scheduler) ByHand(ctx context.Context, h Hand) (Round, error) {
	round := Round{Now: s.Clock.Now().UTC(), Runs: []history.Ended{}}
	var at Moment
	err := s.hold(ctx, lease, "run "+h.Job, func(ctx context.Context) error {
		now, view, err := s.forHand(ctx, h)
		if err != nil {
			return err
		}
		at = now
		round.Now = at.Now
		j, requests, err := s.requests(ctx, h, at, view)
		if err != nil {
			return err
		}
		for _, r := range requests {
			track := view.Of(r.Slice)
			for _, n := range track.Open {
				e, err := s.interrupted(ctx, at, track, n)
				if err != nil {
					return err
				}
				s.note(view, e)
				track = view.Of(r.Slice)
			}
			e, ran, err := s.attempt(ctx, j, r, track)
			if ran {
				s.note(view, e)
				round.Runs = append(round.Runs, e)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return round, err
	}
	first, last := h.months(at)
	return round, s.tellAll(ctx, first, last, at.Now)
}

// months are those that a person's wish is about, and those that are minded.
func (h Hand) months(at Moment) (first, last pricing.Month) {
	first, last = at.First, max(at.Month(), at.First)+1
	for _, slice := range h.Slices {
		first, last = min(first, slice.Month), max(last, slice.Month)
	}
	return first, last
}

// forHand reads the view, widened to the months that a person names. With which month
// the schedule begins is decided by a round.
func (s *Scheduler) forHand(ctx context.Context, h Hand) (Moment, history.View, error) {
	at, err := s.moment(ctx, false)
	if err != nil {
		return at, nil, err
	}
	first, last := h.months(at)
	view, err := s.History.View(ctx, first, last)
	return at, view, err
}

// SystemClock is the machine's.
type SystemClock struct{}

// Now returns the time.
func (SystemClock) Now() time.Time { return time.Now() }

// Wait waits.
func (SystemClock) Wait(ctx context.Context, until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// IsBusy reports whether an error says that another machine has the round.
func IsBusy(err error) bool {
	_, busy := heldBy(err, lease)
	return busy
}
