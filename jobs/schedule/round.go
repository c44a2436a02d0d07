package schedule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/runlog"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// Scheduler does what is due.
type Scheduler struct {
	// Imports bring in what months are made of. They come before everything else, in
	// this order.
	Imports []Job
	// Jobs come after them: month by month, within a month in this order.
	Jobs []Job

	Bucket  bucket.Bucket
	History *history.Store
	Retry   history.Retry
	// Begins is the first month to mind, where the bucket's schedule has not run before.
	Begins func(ctx context.Context, now time.Time) (pricing.Month, error)
	// Minds is the first month that may still have something to do, from the one on
	// with which the schedule began: history is longer than what is read of it.
	Minds func(ctx context.Context, began pricing.Month, now time.Time) (pricing.Month, error)
	Clock Clock
	// Poll is how long the schedule sleeps at most, since a person, or another program,
	// may have acted meanwhile. 0: a minute.
	Poll time.Duration
	// By names this machine and process in records, Version the program.
	By, Version string
	// LeaseTTL is how long a machine may be silent before another takes over. 0:
	// [bucket.DefaultTTL].
	LeaseTTL time.Duration
	Log      *slog.Logger
	// Tell is called with each attempt that ended and was not told of, and says who
	// was told. nil: nobody is.
	Tell func(ctx context.Context, e history.Ended) ([]history.Told, error)
}

// Round is what a round did.
type Round struct {
	Now time.Time `json:"now"`
	// Busy: another machine has the round.
	Busy string `json:"busy,omitempty"`
	// Runs are the attempts, in order.
	Runs []history.Ended `json:"runs"`
	// Waiting and Parked are slices that wait or are parked after the round, Retried
	// those that failed and will be tried again.
	Waiting []history.Ended `json:"waiting,omitempty"`
	Parked  []history.Ended `json:"parked,omitempty"`
	Retried []history.Ended `json:"retried,omitempty"`
}

// Failed reports whether an attempt of the round failed.
func (r Round) Failed() bool {
	return slices.ContainsFunc(r.Runs, func(e history.Ended) bool { return e.Result == history.Failed })
}

// lease is held by the machine that does a round, tellingLease by the one that tells
// of what ended: a receiver that does not answer keeps nobody from working.
const (
	lease        = "schedule"
	tellingLease = "schedule-telling"
)

// hold takes a lease for a piece of work and gives it back.
func (s *Scheduler) hold(ctx context.Context, lease, run string, work func(ctx context.Context) error) (err error) {
	lock, err := s.Bucket.Lock(ctx, bucket.Claim{Name: lease, Run: run, TTL: s.LeaseTTL})
	if err != nil {
		return fmt.Errorf("%s: %w", run, err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	err = work(lock.Context())
	if lost := context.Cause(lock.Context()); err != nil && errors.Is(lost, bucket.ErrLost) {
		return fmt.Errorf("%s: %w", run, lost)
	}
	return err
}

// jobs are all of them, imports first.
func (s *Scheduler) jobs() []Job { return slices.Concat(s.Imports, s.Jobs) }

// job finds one by its name.
func (s *Scheduler) job(name string) (Job, bool) {
	for _, j := range s.jobs() {
		if j.Name() == name {
			return j, true
		}
	}
	return nil, false
}

// asked is a slice that the calendar asks for, with its place in the order.
type asked struct {
	Ask
	job      Job
	rank     int // of the job
	isImport bool
	// isOver: the calendar does not ask for it any more.
	isOver bool
}

// before orders what is due: imports first, by job and month; then by month.
func before(a, b asked) int {
	switch {
	case a.isImport && b.isImport:
		return cmp.Or(cmp.Compare(a.rank, b.rank), history.Compare(a.Slice, b.Slice))
	case a.isImport != b.isImport:
		if a.isImport {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.Slice.Month, b.Slice.Month), cmp.Compare(a.rank, b.rank), history.Compare(a.Slice, b.Slice))
}

// agenda is what all jobs are asked for, in order.
type agenda struct {
	slices []asked
	// silent are imports that could not tell: what months need is not known.
	silent []Open
	err    error // of all jobs that could not
}

// agenda gathers what all jobs are asked for. A job that cannot tell does not keep
// the others from being asked.
func (s *Scheduler) agenda(ctx context.Context, at Moment) agenda {
	var g agenda
	for rank, j := range s.jobs() {
		isImport := rank < len(s.Imports)
		list, err := asks(ctx, j, at)
		if err != nil {
			g.err = errors.Join(g.err, fmt.Errorf("find what %s is asked for: %w", j.Name(), err))
			if isImport {
				g.silent = append(g.silent, Open{history.Slice{Job: j.Name(), Month: at.Month()}, firstLine(err.Error())})
			}
			continue
		}
		for _, a := range list {
			g.slices = append(g.slices, asked{Ask: a, job: j, rank: rank, isImport: isImport})
		}
	}
	slices.SortStableFunc(g.slices, before)
	return g
}

// asks asks the job; a panic is an error.
func asks(ctx context.Context, j Job, at Moment) (list []Ask, err error) {
	defer recovered(&err)
	return j.Asks(ctx, at)
}

// over are slices that the calendar does not ask for any more, and whose newest
// attempt did not do all: it was interrupted after a month had closed, or a person
// closed the month otherwise. If there is nothing left to do they are done with.
func (s *Scheduler) over(g agenda, view history.View) []asked {
	wanted := make(map[history.Slice]bool, len(g.slices))
	for _, a := range g.slices {
		wanted[a.Slice] = true
	}
	var list []asked
	for _, slice := range view.Slices() {
		track := view[slice]
		if j, ok := s.job(slice.Job); ok && !wanted[slice] && unsettled(track) {
			list = append(list, asked{Ask: Ask{Slice: slice, Tick: track.Last.Tick}, job: j, isOver: true})
		}
	}
	return list
}

// moment is now, with the first month to mind. keep records with which month the
// schedule begins.
func (s *Scheduler) moment(ctx context.Context, keep bool) (Moment, error) {
	now := s.Clock.Now().UTC()
	began, found, err := s.History.Began(ctx)
	if err == nil && !found {
		began, err = s.Begins(ctx, now)
		if err == nil && keep {
			began, err = s.History.Beginning(ctx, began, now)
			s.Log.Info("the schedule begins; schedule.since in the configuration can name another month", "with", began.String())
		}
	}
	if err != nil {
		return Moment{}, err
	}
	first, err := s.Minds(ctx, began, now)
	return Moment{Now: now, First: first}, err
}

// view reads where the slices stand that may be asked for.
func (s *Scheduler) view(ctx context.Context, at Moment) (history.View, error) {
	return s.History.View(ctx, at.First, max(at.Month(), at.First)+1)
}

// due reports whether a slice has a tick that is not done with.
func due(a Ask, t history.Track, now time.Time) bool { return t.Standing().Due(a.Tick, now) }

// mayTry reports whether a slice that is due may be tried now.
func (s *Scheduler) mayTry(t history.Track, now time.Time) bool {
	stands := t.Standing()
	return !stands.Parked && !s.Retry.Rests(stands, now)
}

// Due plans all that is due now, in order, and changes nothing. What is parked, or
// waits to be tried again, is among it and says so.
func (s *Scheduler) Due(ctx context.Context) ([]Plan, error) {
	at, err := s.moment(ctx, false)
	if err != nil {
		return nil, err
	}
	view, err := s.view(ctx, at)
	if err != nil {
		return nil, err
	}
	g := s.agenda(ctx, at)
	plans := []Plan{}
	for _, a := range g.slices {
		track := view.Of(a.Slice)
		if !due(a.Ask, track, at.Now) {
			continue
		}
		switch stands := track.Standing(); {
		case stands.Parked:
			plans = append(plans, WaitFor(a.Slice, "parked", "it is parked: %s", why(track)))
		case !s.mayTry(track, at.Now):
			plans = append(plans, WaitFor(a.Slice, "retry", "it is tried again at %s: %s", stands.NotBefore.Format(time.RFC3339), why(track)))
		default:
			p, err := s.plan(ctx, a.job, s.request(at, a, g, view))
			if err != nil {
				p = WaitFor(a.Slice, "failed", "it cannot be planned: %v", err)
			}
			plans = append(plans, p)
		}
	}
	return plans, g.err
}

// request is an attempt that the calendar asks for.
func (s *Scheduler) request(at Moment, a asked, g agenda, view history.View) Request {
	track := view.Of(a.Slice)
	return Request{Ask: a.Ask, Moment: at, Stands: track.Standing(), Last: track.Last, Open: open(at, a, g, view), Log: s.Log}
}

// open are the imports that the month of a slice needs and that are not done: they
// failed, wait, are parked or were stopped, or cannot even tell what there is.
func open(at Moment, a asked, g agenda, view history.View) []Open {
	if a.isImport {
		return nil
	}
	list := slices.Clone(g.silent)
	for _, other := range g.slices {
		track := view.Of(other.Slice)
		if other.isImport && other.Needed <= a.Slice.Month && due(other.Ask, track, at.Now) && unsettled(track) {
			list = append(list, Open{other.Slice, why(track)})
		}
	}
	return list
}

// unsettled reports whether a slice ran, and its newest attempt did not do all.
func unsettled(t history.Track) bool { return t.Last != nil && t.Last.Result != history.Done }

// why says how the newest attempt ended.
func why(t history.Track) string {
	switch last := t.Last; {
	case last == nil:
		return "it did not run yet"
	case last.Error != "":
		return firstLine(last.Error)
	case last.Reason != "":
		return firstLine(last.Reason)
	default:
		return "it was " + string(last.Result)
	}
}

func firstLine(text string) string {
	first, _, cut := strings.Cut(text, "\n")
	if cut {
		first += " ..."
	}
	return first
}

// Round does what is due now. Its error is that of the bucket, or of the lease:
// what goes wrong with a slice stands in the slice's record.
func (s *Scheduler) Round(ctx context.Context) (Round, error) {
	at, err := s.moment(ctx, true)
	if err != nil {
		return Round{}, err
	}
	round := Round{Now: at.Now, Runs: []history.Ended{}}
	idle, err := s.idle(ctx, at, &round)
	if err == nil && !idle {
		err = s.hold(ctx, lease, "round of "+at.Now.Format(time.RFC3339), func(ctx context.Context) error {
			return s.round(ctx, at, &round)
		})
	}
	if holder, busy := heldBy(err, lease); busy {
		round.Busy = holder
		return round, nil
	}
	return round, errors.Join(err, s.tellAll(ctx, at.First, max(at.Month(), at.First)+1, at.Now))
}

// heldBy names who has a lease, if an error says that somebody has.
func heldBy(err error, lease string) (holder string, is bool) {
	var locked *bucket.LockedError
	if errors.As(err, &locked) && locked.Name == lease {
		return locked.Holder.String(), true
	}
	return "", false
}

// idle reports whether there is nothing at all to do, without the lease: most
// rounds are such. The round then has what waits.
func (s *Scheduler) idle(ctx context.Context, at Moment, round *Round) (bool, error) {
	view, err := s.view(ctx, at)
	if err != nil {
		return false, err
	}
	for _, track := range view {
		if len(track.Open) > 0 {
			return false, nil
		}
	}
	g := s.agenda(ctx, at)
	if g.err != nil {
		return false, nil // the round says it
	}
	for _, a := range g.slices {
		track := view.Of(a.Slice)
		if !due(a.Ask, track, at.Now) || !s.mayTry(track, at.Now) {
			continue
		}
		p, err := s.plan(ctx, a.job, s.request(at, a, g, view))
		if err != nil || !silently(p, track) {
			return false, nil //nolint:nilerr // the round records it
		}
	}
	for _, a := range s.over(g, view) {
		if s.isSettled(ctx, s.request(at, a, g, view), a.job) {
			return false, nil // the round records it
		}
	}
	s.standing(g, view, at, round)
	return true, nil
}

// isSettled reports whether there is nothing left to do for a slice.
func (s *Scheduler) isSettled(ctx context.Context, r Request, j Job) bool {
	p, err := s.plan(ctx, j, r)
	return err == nil && p.Verdict == Nothing
}

// silently reports whether a plan leaves nothing to do, and nothing to record: the
// record already says that the slice waits, or that all is well.
func silently(p Plan, t history.Track) bool {
	switch p.Verdict {
	case Nothing:
		return !unsettled(t)
	case Waits:
		return alreadyWaits(t, p.Code, p.Why)
	default:
		return false
	}
}

// alreadyWaits reports whether the record already says so.
func alreadyWaits(t history.Track, code, reason string) bool {
	return t.Last != nil && t.Last.Result == history.Waiting && t.Last.Code == code && t.Last.Reason == reason
}

// round does what is due, holding the lease.
func (s *Scheduler) round(ctx context.Context, at Moment, round *Round) error {
	view, err := s.view(ctx, at)
	if err != nil {
		return err
	}
	for _, slice := range view.Slices() {
		for _, n := range view[slice].Open {
			e, err := s.interrupted(ctx, at, view[slice], n)
			if err != nil {
				return err
			}
			s.note(view, e)
			round.Runs = append(round.Runs, e)
		}
	}
	tried := make(map[history.Slice]bool)
	for {
		// Asked anew after each, since one may bring the next: a close an export.
		g := s.agenda(ctx, at)
		candidates := slices.Concat(g.slices, s.over(g, view))
		next := slices.IndexFunc(candidates, func(a asked) bool {
			track := view.Of(a.Slice)
			switch {
			case tried[a.Slice]:
				return false
			case a.isOver:
				return s.isSettled(ctx, s.request(at, a, g, view), a.job)
			}
			return due(a.Ask, track, at.Now) && s.mayTry(track, at.Now)
		})
		if next < 0 {
			s.standing(g, view, at, round)
			return g.err
		}
		a := candidates[next]
		tried[a.Slice] = true
		e, ran, err := s.attempt(ctx, a.job, s.request(at, a, g, view), view.Of(a.Slice))
		if ran {
			s.note(view, e)
			round.Runs = append(round.Runs, e)
		}
		if err != nil {
			return err
		}
	}
}

// note puts an attempt that ended into the view.
func (s *Scheduler) note(view history.View, e history.Ended) {
	t := view.Of(e.Slice)
	t.Attempts, t.Last = max(t.Attempts, e.Attempt), &e
	t.Open = slices.DeleteFunc(slices.Clone(t.Open), func(n int) bool { return n == e.Attempt })
	t.Untold = append(slices.Clone(t.Untold), e.Attempt)
	view[e.Slice] = t
}

// standing lists what waits, is parked, or will be tried again.
func (s *Scheduler) standing(g agenda, view history.View, at Moment, round *Round) {
	for _, a := range g.slices {
		track := view.Of(a.Slice)
		if track.Last == nil || !due(a.Ask, track, at.Now) {
			continue
		}
		switch stands := track.Standing(); {
		case stands.Parked:
			round.Parked = append(round.Parked, *track.Last)
		case stands.Waiting != "":
			round.Waiting = append(round.Waiting, *track.Last)
		case at.Now.Before(stands.NotBefore):
			round.Retried = append(round.Retried, *track.Last)
		}
	}
}

// interrupted ends the record of an attempt whose process is gone.
func (s *Scheduler) interrupted(ctx context.Context, at Moment, t history.Track, attempt int) (history.Ended, error) {
	begun, err := s.History.Start(ctx, t.Slice, attempt)
	if err != nil {
		return history.Ended{}, err
	}
	ended := at.Now
	if ended.Before(begun.Started) {
		ended = begun.Started // two clocks differ
	}
	e := history.Ended{Begun: begun, Ended: ended, Result: history.Interrupted, Tried: true,
		Error: "the process ended without a word: it was killed, or its machine went down (" + begun.By + ")"}
	e.Standing = s.Retry.After(t.Standing(), e)
	s.Log.Warn("an attempt was interrupted", "slice", t.Slice.String(), "attempt", attempt, "by", begun.By)
	err = s.History.Finish(ctx, e, nil)
	if errors.Is(err, bucket.ErrConflict) {
		// It was only slow, and has told by now how it ended.
		return s.History.End(ctx, t.Slice, attempt)
	}
	return e, err
}

// plan asks the job for its plan; a panic is an error.
func (s *Scheduler) plan(ctx context.Context, j Job, r Request) (p Plan, err error) {
	defer recovered(&err)
	return j.Plan(ctx, r)
}

// recovered makes an error of a panic.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the job panicked: %v\n%s", p, debug.Stack())
	}
}

// attempt plans a slice and executes the plan. ran is whether there is a record of
// it: none is written where there is nothing to do, or where the slice waits for
// what it waited for already. The error is that of the record, or of a round that
// must end: the job's own stands in the record.
func (s *Scheduler) attempt(ctx context.Context, j Job, r Request, track history.Track) (e history.Ended, ran bool, err error) {
	e.Begun = history.Begun{Slice: r.Slice, Attempt: track.Attempts + 1, Tick: r.Tick, Started: s.Clock.Now().UTC(),
		By: s.By, Version: s.Version, ByHand: r.ByHand, Accept: r.Accept}
	log, copied := runlog.New(s.Log.Handler(), runlog.DefaultLimit)
	r.Log = log.With("slice", r.Slice.String(), "attempt", e.Attempt, "month", r.Slice.Month.String())
	p, err := s.plan(ctx, j, r)
	e.Steps = p.Steps
	switch {
	case err != nil:
	case !r.ByHand && silently(p, track):
		return e, false, nil
	case p.Verdict == Nothing:
		e.Summary, e.Basis = "nothing to do: "+p.Why, r.Stands.Basis
	case p.Verdict == Waits:
		err = &WaitError{p.Code, errors.New(p.Why)}
	default:
		if err := s.History.Begin(ctx, e.Begun); err != nil {
			return e, false, err
		}
		e.Tried = true
		r.Log.Info("begins", "tick", r.Tick, "steps", p.Steps[:min(len(p.Steps), loggedSteps)])
		e.Outcome, err = execute(ctx, j, r, p)
	}
	e.Ended = s.Clock.Now().UTC()
	settle(&e, err, context.Cause(ctx))
	e.Standing = s.Retry.After(track.Standing(), e)
	s.logEnd(r.Log, e)
	// However it ended, the record is written: also when a signal ended it.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := s.History.Finish(last, e, copied()); err != nil {
		return e, false, err
	}
	return e, true, ctx.Err()
}

// loggedSteps is how many steps of a plan a line of the log shows; the record has all.
const loggedSteps = 5

// recordTimeout is how long the record of an end may take when the run is over.
const recordTimeout = 20 * time.Second

// execute runs the job; a panic is an error.
func execute(ctx context.Context, j Job, r Request, p Plan) (out history.Outcome, err error) {
	defer recovered(&err)
	return j.Execute(ctx, r, p)
}

// settle says how an attempt ended from the error that it ended with, and from what
// ended the round, if anything did.
func settle(e *history.Ended, err, stopped error) {
	var wait *WaitError
	switch {
	case err == nil:
		e.Result = history.Done
	case errors.As(err, &wait):
		e.Result, e.Code, e.Reason = history.Waiting, wait.Code, wait.Error()
	case errors.Is(stopped, bucket.ErrLost):
		e.Result, e.Error = history.Stopped, stopped.Error()
	case stopped != nil:
		e.Result, e.Error = history.Stopped, "stopped on request: nothing half-written counts, and it goes on at the next round"
	case errors.Is(err, bucket.ErrLocked):
		e.Result, e.Error = history.Stopped, err.Error()
	default:
		e.Result, e.Error = history.Failed, err.Error()
	}
}

func (s *Scheduler) logEnd(log *slog.Logger, e history.Ended) {
	// As text, in JSON too: a number would not say of what.
	took := e.Ended.Sub(e.Started).Round(time.Millisecond).String()
	switch e.Result {
	case history.Failed, history.Interrupted:
		log.Error("failed", "took", took, "error", e.Error, "failures", e.Standing.Failures, "parked", e.Standing.Parked, "again", e.Standing.NotBefore)
	case history.Waiting:
		log.Warn("waits", "for", e.Code, "reason", e.Reason)
	case history.Done, history.Stopped:
		log.Info(string(e.Result), "took", took, "summary", e.Summary, "counts", e.Counts, "exceptions", e.Exceptions, "error", e.Error)
	}
}

// tellWithin is how old an end may be of which somebody is told. What is older was
// tried often enough, or comes from before anybody wanted to be told.
const tellWithin = 24 * time.Hour

// untold are the attempts of a slice to tell of: at most the newest few, since
// those before them are old.
func (s *Scheduler) untold(t history.Track, now time.Time) []int {
	if t.Last == nil || now.Sub(t.Last.Ended) > tellWithin {
		return nil
	}
	return t.Untold[max(0, len(t.Untold)-20):]
}

// tellAll tells of what ended in some months and was not told of yet. Of several
// machines one does.
func (s *Scheduler) tellAll(ctx context.Context, first, last pricing.Month, now time.Time) error {
	if s.Tell == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	view, err := s.History.View(ctx, first, last)
	if err != nil || !slices.ContainsFunc(view.Slices(), func(slice history.Slice) bool { return len(s.untold(view[slice], now)) > 0 }) {
		return err
	}
	err = s.hold(ctx, tellingLease, "tell what ended", func(ctx context.Context) error {
		// Read anew: another machine may have told meanwhile.
		view, err := s.History.View(ctx, first, last)
		if err != nil {
			return err
		}
		for _, slice := range view.Slices() {
			for _, n := range s.untold(view[slice], now) {
				if err := s.tell(ctx, slice, n, now); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if _, busy := heldBy(err, tellingLease); busy {
		return nil
	}
	return err
}

// tell tells how an attempt ended.
func (s *Scheduler) tell(ctx context.Context, slice history.Slice, attempt int, now time.Time) error {
	e, err := s.History.End(ctx, slice, attempt)
	if err != nil || now.Sub(e.Ended) > tellWithin {
		return err
	}
	to, err := s.Tell(ctx, e)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		// Nothing depends on it; it is tried again at the next round.
		s.Log.Warn("nobody could be told", "slice", slice.String(), "attempt", attempt, "error", err)
		return nil
	}
	return s.History.Tell(ctx, slice, attempt, history.Telling{At: s.Clock.Now().UTC(), To: to})
}
