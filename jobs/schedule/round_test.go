package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// fake is a job that is asked for one slice a day, at two in the morning.
type fake struct {
	name    string
	subject string
	asks    func(at schedule.Moment) ([]schedule.Ask, error)
	plan    func(r schedule.Request) (schedule.Plan, error)
	execute func(ctx context.Context, r schedule.Request) (history.Outcome, error)

	executed []string // slices, with the day of their tick
}

func (f *fake) Name() string { return f.name }

func (f *fake) slice() history.Slice {
	return history.Slice{Job: f.name, Subject: f.subject, Month: pricing.MonthOf(2026, 10)}
}

func (f *fake) Takes(s history.Slice) error {
	if s.Subject != f.subject {
		return errNoSubject
	}
	return nil
}

var errNoSubject = errors.New("there is no such subject")

func (f *fake) Asks(_ context.Context, at schedule.Moment) ([]schedule.Ask, error) {
	if f.asks != nil {
		return f.asks(at)
	}
	tick := at.Now.Truncate(24 * time.Hour).Add(2 * time.Hour)
	if tick.After(at.Now) {
		tick = tick.AddDate(0, 0, -1)
	}
	return []schedule.Ask{{Slice: f.slice(), Tick: tick}}, nil
}

func (f *fake) Plan(_ context.Context, r schedule.Request) (schedule.Plan, error) {
	if f.plan != nil {
		return f.plan(r)
	}
	return schedule.ReadyTo(r.Slice, f.name), nil
}

func (f *fake) Execute(ctx context.Context, r schedule.Request, _ schedule.Plan) (history.Outcome, error) {
	f.executed = append(f.executed, fmt.Sprint(r.Slice, " ", r.Tick.UTC().Format("02")))
	if f.execute != nil {
		return f.execute(ctx, r)
	}
	return history.Outcome{Summary: "did it"}, nil
}

// office is one machine with its jobs, and a clock that tests set.
type office struct {
	*schedule.Scheduler
	t     *testing.T
	store bucket.Bucket
	now   time.Time
}

func (o *office) Now() time.Time                              { return o.now }
func (o *office) Wait(ctx context.Context, _ time.Time) error { return ctx.Err() }

// at sets the clock.
func (o *office) at(text string) *office {
	o.now = instant(o.t, text)
	return o
}

// open opens an office over a bucket on the third of October; imports before the bar.
func open(t *testing.T, store bucket.Bucket, imports []schedule.Job, list ...schedule.Job) *office {
	t.Helper()
	o := &office{t: t, store: store}
	first := pricing.MonthOf(2026, 10)
	o.Scheduler = &schedule.Scheduler{Imports: imports, Jobs: list, Bucket: store, History: history.NewStore(store), Clock: o,
		Retry: history.Retry{Limit: 3, First: 10 * time.Minute, Most: 30 * time.Minute, Interruptions: 10},
		By:    "a machine", Version: "test", Log: slog.New(slog.DiscardHandler),
		Begins: func(context.Context, time.Time) (pricing.Month, error) { return first, nil },
		Minds:  func(_ context.Context, began pricing.Month, _ time.Time) (pricing.Month, error) { return began, nil },
	}
	return o.at("2026-10-03T06:00:00Z")
}

// round does one and says what it did: a slice and a result each.
func (o *office) round() []string {
	o.t.Helper()
	r, err := o.Round(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	return did(r)
}

func did(r schedule.Round) []string {
	list := []string{}
	for _, e := range r.Runs {
		list = append(list, fmt.Sprintf("%s %s", e.Slice, e.Result))
	}
	return list
}

func (o *office) want(got []string, want ...string) {
	o.t.Helper()
	if !slices.Equal(got, want) {
		o.t.Errorf("%s: got %q, want %q", o.now.Format(time.RFC3339), got, want)
	}
}

// last is how the slice of a job ended last.
func (o *office) last(f *fake) history.Ended {
	o.t.Helper()
	track := o.track(f)
	if track.Last == nil {
		o.t.Fatalf("%s did not run", f.slice())
	}
	return *track.Last
}

func (o *office) track(f *fake) history.Track {
	o.t.Helper()
	view, err := history.NewStore(o.store).View(o.t.Context(), f.slice().Month, f.slice().Month)
	if err != nil {
		o.t.Fatal(err)
	}
	return view.Of(f.slice())
}

func TestDoubledTicksDoNothing(t *testing.T) {
	t.Parallel()
	job := &fake{name: "bill"}
	o := open(t, bucket.NewMemory(), nil, job)
	o.want(o.round(), "bill/2026-10 done")
	for range 3 {
		o.want(o.round())
	}
	o.want(o.at("2026-10-04T01:59:59Z").round())
	o.want(o.at("2026-10-04T02:00:00Z").round(), "bill/2026-10 done")
	o.want(o.at("2026-10-11T17:00:00Z").round(), "bill/2026-10 done") // a week of downtime is one
	o.want(job.executed, "bill/2026-10 03", "bill/2026-10 04", "bill/2026-10 11")
	if n := o.track(job).Attempts; n != 3 {
		t.Errorf("%d attempts", n)
	}
}

// A job that panics, or cannot tell what it is asked for, does not keep the others.
func TestPanics(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(f *fake)
		runs  []string
		err   string
	}{
		{"in Asks", func(f *fake) { f.asks = func(schedule.Moment) ([]schedule.Ask, error) { panic("out of luck") } }, []string{"good/2026-10 done"}, "find what bad is asked for: the job panicked: out of luck"},
		{"an error of Asks", func(f *fake) {
			f.asks = func(schedule.Moment) ([]schedule.Ask, error) { return nil, errors.New("out of luck") }
		}, []string{"good/2026-10 done"}, "find what bad is asked for: out of luck"},
		{"in Plan", func(f *fake) { f.plan = func(schedule.Request) (schedule.Plan, error) { panic("out of luck") } }, []string{"bad/2026-10 failed", "good/2026-10 done"}, ""},
		{"in Execute", func(f *fake) {
			f.execute = func(context.Context, schedule.Request) (history.Outcome, error) { panic("out of luck") }
		}, []string{"bad/2026-10 failed", "good/2026-10 done"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bad, good := &fake{name: "bad"}, &fake{name: "good"}
			tt.spoil(bad)
			o := open(t, bucket.NewMemory(), nil, bad, good)
			r, err := o.Round(t.Context())
			o.want(did(r), tt.runs...)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("the round says %v", err)
				}
				return
			}
			if err != nil || !r.Failed() {
				t.Errorf("the round says %v, failed %v", err, r.Failed())
			}
			if e := o.last(bad); !strings.HasPrefix(e.Error, "the job panicked: out of luck\n") || !strings.Contains(e.Error, "round_test.go") {
				t.Errorf("recorded: %s", e.Error)
			}
			o.want(o.round()) // not before its pause
		})
	}
}

// Failures pause, then park; a person takes it from there.
func TestRetriesThenParked(t *testing.T) {
	t.Parallel()
	broken := errors.New("the source does not answer")
	job := &fake{name: "bill", execute: func(context.Context, schedule.Request) (history.Outcome, error) { return history.Outcome{}, broken }}
	o := open(t, bucket.NewMemory(), nil, job)
	o.want(o.round(), "bill/2026-10 failed")
	o.want(o.at("2026-10-03T06:09:59Z").round())
	o.want(o.at("2026-10-03T06:10:00Z").round(), "bill/2026-10 failed")
	o.want(o.at("2026-10-03T06:29:59Z").round())
	r, err := o.at("2026-10-03T06:30:00Z").Round(t.Context())
	if err != nil || len(r.Parked) != 1 || len(r.Retried) != 0 {
		t.Errorf("after the third failure: %+v, %v", r, err)
	}
	// Parked is parked, also at later ticks.
	if r, err := o.at("2026-10-20T06:00:00Z").Round(t.Context()); err != nil || len(r.Runs) > 0 || len(r.Parked) != 1 {
		t.Errorf("two weeks later: %+v, %v", r, err)
	}
	plans, err := o.Due(t.Context())
	if err != nil || len(plans) != 1 || plans[0].Code != "parked" || !strings.Contains(plans[0].Why, broken.Error()) {
		t.Errorf("due: %+v, %v", plans, err)
	}
	// By hand it fails again, and stays parked; then it is mended.
	hand := schedule.Hand{Job: "bill", Accept: "it is mended"}
	if r, err := o.ByHand(t.Context(), hand); err != nil || !slices.Equal(did(r), []string{"bill/2026-10 failed"}) || !r.Runs[0].Standing.Parked {
		t.Errorf("by hand: %+v, %v", r, err)
	}
	job.execute = nil
	if r, err := o.ByHand(t.Context(), hand); err != nil || !slices.Equal(did(r), []string{"bill/2026-10 done"}) || !r.Runs[0].ByHand || r.Runs[0].Accept != "it is mended" {
		t.Errorf("by hand, mended: %+v, %v", r, err)
	}
	o.want(o.round())
	o.want(o.at("2026-10-21T06:00:00Z").round(), "bill/2026-10 done")
}

// That a slice waits is recorded once, and again when the reason is another.
func TestWaitingIsRecordedOnce(t *testing.T) {
	t.Parallel()
	reason := "nobody has approved"
	job := &fake{name: "close", plan: func(r schedule.Request) (schedule.Plan, error) {
		return schedule.WaitFor(r.Slice, "approval", "%s", reason), nil
	}}
	o := open(t, bucket.NewMemory(), nil, job)
	o.want(o.round(), "close/2026-10 waiting")
	o.want(o.at("2026-10-03T07:00:00Z").round())
	o.want(o.at("2026-10-04T07:00:00Z").round())
	r, err := o.Round(t.Context())
	if err != nil || len(r.Runs) != 0 || len(r.Waiting) != 1 {
		t.Errorf("an idle round does not say what waits: %+v, %v", r, err)
	}
	reason = "somebody took it back"
	o.want(o.round(), "close/2026-10 waiting")
	if e := o.last(job); e.Attempt != 2 || e.Reason != reason || e.Tried {
		t.Errorf("recorded: %+v", e)
	}
	if len(job.executed) > 0 {
		t.Errorf("executed %v", job.executed)
	}
	job.plan = nil
	o.want(o.round(), "close/2026-10 done")
}

// What is found out to wait only when it is tried is tried again after growing
// pauses, for ever: it is no failure.
func TestWaitingFoundOutLate(t *testing.T) {
	t.Parallel()
	job := &fake{name: "import", execute: func(context.Context, schedule.Request) (history.Outcome, error) {
		return history.Outcome{}, &schedule.WaitError{Code: "not-published", Err: errors.New("there is no sheet yet")}
	}}
	o := open(t, bucket.NewMemory(), []schedule.Job{job})
	tries := 0
	for o.at("2026-10-03T06:00:00Z"); o.now.Before(instant(t, "2026-10-05T06:00:00Z")); o.now = o.now.Add(time.Minute) {
		tries += len(o.round())
	}
	if e := o.last(job); e.Standing.Parked || e.Standing.Waiting != "not-published" || e.Standing.Failures > 0 || !e.Tried {
		t.Errorf("it stands at %+v", e.Standing)
	}
	if tries < 80 || tries > 110 {
		t.Errorf("%d tries in two days, want about one in half an hour", tries)
	}
}

// What failed, waited or was stopped, and has nothing to do any more, is done: else
// the months that need it would wait for ever.
func TestNothingLeftToDoSettles(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]error{"failed": errors.New("a file that nobody can read"), "waited": &schedule.WaitError{Code: "held", Err: errors.New("half the rows are gone")}, "gave way": bucket.ErrLocked} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inbox := &fake{name: "import-changes", execute: func(context.Context, schedule.Request) (history.Outcome, error) { return history.Outcome{}, end }}
			closing := &fake{name: "close", plan: func(r schedule.Request) (schedule.Plan, error) {
				if len(r.Open) > 0 {
					return schedule.WaitFor(r.Slice, "import", "%s is open", r.Open[0].Slice), nil
				}
				return schedule.ReadyTo(r.Slice), nil
			}}
			o := open(t, bucket.NewMemory(), []schedule.Job{inbox}, closing)
			if _, err := o.Round(t.Context()); err != nil {
				t.Fatal(err)
			}
			if e := o.last(closing); e.Code != "import" || !strings.Contains(e.Reason, "import-changes/2026-10") {
				t.Errorf("the close: %+v", e)
			}
			// Somebody took the file away.
			inbox.plan = func(r schedule.Request) (schedule.Plan, error) {
				return schedule.NothingTo(r.Slice, "the inbox is empty"), nil
			}
			o.want(o.at("2026-10-03T07:00:00Z").round(), "import-changes/2026-10 done", "close/2026-10 done")
			if e := o.last(inbox); e.Summary != "nothing to do: the inbox is empty" {
				t.Errorf("the inbox: %+v", e)
			}
			o.want(o.at("2026-10-04T01:00:00Z").round())
		})
	}
}

// What the calendar does not ask for any more is done with if nothing is left to do:
// a close that was interrupted when the month was closed already, one that waited and
// that a person did otherwise. Else it is left as it is.
func TestWhatIsOver(t *testing.T) {
	t.Parallel()
	waits := func(r schedule.Request) (schedule.Plan, error) {
		return schedule.WaitFor(r.Slice, "approval", "nobody has approved"), nil
	}
	nothing := func(r schedule.Request) (schedule.Plan, error) {
		return schedule.NothingTo(r.Slice, "it is closed"), nil
	}
	nobodyAsks := func(schedule.Moment) ([]schedule.Ask, error) { return nil, nil }
	begun := history.Begun{Slice: (&fake{name: "close"}).slice(), Attempt: 1, Tick: instant(t, "2026-10-03T02:00:00Z"), Started: instant(t, "2026-10-03T02:00:05Z"), By: "another machine"}

	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		job := &fake{name: "close", asks: nobodyAsks, plan: nothing}
		o := open(t, bucket.NewMemory(), nil, job)
		if err := o.History.Begin(t.Context(), begun); err != nil {
			t.Fatal(err)
		}
		o.want(o.round(), "close/2026-10 interrupted", "close/2026-10 done")
		o.want(o.round())
	})
	t.Run("waited", func(t *testing.T) {
		t.Parallel()
		job := &fake{name: "close", plan: waits}
		o := open(t, bucket.NewMemory(), nil, job)
		o.want(o.round(), "close/2026-10 waiting")
		job.asks, job.plan = nobodyAsks, nothing
		o.want(o.round(), "close/2026-10 done")
		o.want(o.round())
	})
	t.Run("something is left", func(t *testing.T) {
		t.Parallel()
		job := &fake{name: "close", asks: nobodyAsks}
		o := open(t, bucket.NewMemory(), nil, job)
		if err := o.History.Begin(t.Context(), begun); err != nil {
			t.Fatal(err)
		}
		o.want(o.round(), "close/2026-10 interrupted")
		o.want(o.round())
		o.want(job.executed)
	})
}

// An import that cannot even tell what there is keeps months from closing.
func TestSilentImportIsOpen(t *testing.T) {
	t.Parallel()
	inbox := &fake{name: "import-changes", asks: func(schedule.Moment) ([]schedule.Ask, error) { return nil, errors.New("the listing broke off") }}
	var seen []schedule.Open
	closing := &fake{name: "close", plan: func(r schedule.Request) (schedule.Plan, error) { seen = r.Open; return schedule.ReadyTo(r.Slice), nil }}
	o := open(t, bucket.NewMemory(), []schedule.Job{inbox}, closing)
	if _, err := o.Round(t.Context()); err == nil {
		t.Error("the round says nothing of the listing")
	}
	if len(seen) != 1 || seen[0].Slice.Job != "import-changes" || !strings.Contains(seen[0].Why, "the listing broke off") {
		t.Errorf("open: %+v", seen)
	}
}

// Of two machines one works; a person is told so, too.
func TestBusy(t *testing.T) {
	t.Parallel()
	store := bucket.NewMemory()
	begun, finish := make(chan struct{}), make(chan struct{})
	slow := &fake{name: "bill", execute: func(context.Context, schedule.Request) (history.Outcome, error) {
		close(begun)
		<-finish
		return history.Outcome{}, nil
	}}
	o, other := open(t, store, nil, slow), open(t, store, nil, &fake{name: "bill"})
	ended := make(chan []string)
	go func() {
		r, err := o.Round(context.WithoutCancel(t.Context()))
		if err != nil {
			t.Errorf("the round that works: %v", err)
		}
		ended <- did(r)
	}()
	<-begun
	r, err := other.Round(t.Context())
	if err != nil || r.Busy == "" || len(r.Runs) > 0 {
		t.Errorf("the second machine: %+v, %v", r, err)
	}
	if _, err := other.ByHand(t.Context(), schedule.Hand{Job: "bill"}); !errors.Is(err, bucket.ErrLocked) || !schedule.IsBusy(err) {
		t.Errorf("by hand meanwhile: %v", err)
	}
	close(finish)
	o.want(<-ended, "bill/2026-10 done")
	other.want(other.round())
}

// A stop in the middle is recorded, the lease is given back, and the next round, on
// any machine, goes on at once.
func TestStopped(t *testing.T) {
	t.Parallel()
	store := bucket.NewMemory()
	ctx, stop := context.WithCancel(t.Context())
	job := &fake{name: "bill", execute: func(ctx context.Context, _ schedule.Request) (history.Outcome, error) {
		stop()
		<-ctx.Done()
		return history.Outcome{}, fmt.Errorf("compute: %w", ctx.Err())
	}}
	after := &fake{name: "verify"}
	o := open(t, store, nil, job, after)
	if _, err := o.Round(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the round: %v", err)
	}
	if e := o.last(job); e.Result != history.Stopped || e.Standing != (history.Standing{}) {
		t.Errorf("recorded: %+v", e)
	}
	other := open(t, store, nil, &fake{name: "bill"}, after)
	other.want(other.round(), "bill/2026-10 done", "verify/2026-10 done")
}

// Run ends with its context, and tells of each round.
func TestRunStops(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	o := open(t, bucket.NewMemory(), nil, &fake{name: "bill"})
	rounds := 0
	err := o.Run(ctx, func(r schedule.Round, err error) {
		if rounds++; rounds == 3 {
			stop()
		}
		if want := []string{"bill/2026-10 done"}; err != nil || rounds == 1 && !slices.Equal(did(r), want) || rounds > 1 && len(r.Runs) > 0 {
			t.Errorf("round %d: %v, %v", rounds, did(r), err)
		}
	})
	if err != nil || rounds != 3 {
		t.Errorf("%d rounds, %v", rounds, err)
	}
}

// An attempt whose process died is recorded as interrupted by the next round, which
// tries again; one that was only slow keeps the end that it wrote itself.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	store := bucket.NewMemory()
	job := &fake{name: "bill"}
	o := open(t, store, nil, job)
	begun := history.Begun{Slice: job.slice(), Attempt: 1, Tick: instant(t, "2026-10-03T02:00:00Z"), Started: instant(t, "2026-10-03T02:00:05Z"), By: "another machine"}
	if err := o.History.Begin(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	o.want(o.round(), "bill/2026-10 interrupted", "bill/2026-10 done")
	e, err := o.History.End(t.Context(), job.slice(), 1)
	if err != nil || !strings.Contains(e.Error, "another machine") || e.Standing.Interruptions != 1 {
		t.Errorf("recorded: %+v, %v", e, err)
	}
	if o.last(job).Standing.Interruptions != 0 {
		t.Errorf("it stands at %+v", o.last(job).Standing)
	}
}

// slowEnd is a bucket in which an attempt that looked interrupted ends just when a
// round is about to say so.
type slowEnd struct {
	bucket.Bucket
	end func()
}

func (s slowEnd) Create(ctx context.Context, key string) (bucket.Writer, error) {
	if strings.HasSuffix(key, "attempt=0001-ended.json") {
		s.end()
	}
	return s.Bucket.Create(ctx, key)
}

func TestOnlySlow(t *testing.T) {
	t.Parallel()
	store := bucket.NewMemory()
	job := &fake{name: "bill"}
	begun := history.Begun{Slice: job.slice(), Attempt: 1, Tick: instant(t, "2026-10-03T02:00:00Z"), Started: instant(t, "2026-10-03T02:00:05Z"), By: "another machine"}
	theirs := history.NewStore(store)
	if err := theirs.Begin(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	o := open(t, slowEnd{store, func() {
		e := history.Ended{Begun: begun, Ended: instant(t, "2026-10-03T05:59:00Z"), Result: history.Done, Tried: true}
		e.Standing = history.DefaultRetry().After(history.Standing{}, e)
		if err := theirs.Finish(context.WithoutCancel(t.Context()), e, nil); err != nil {
			t.Error(err)
		}
	}}, nil, job)
	o.want(o.round(), "bill/2026-10 done")
	if e := o.last(job); e.By != "another machine" || len(job.executed) > 0 {
		t.Errorf("the last is by %s, and we executed %v", e.By, job.executed)
	}
}

// A clock that went wrong does no lasting harm: what it did next year is done again
// when the clock is right, and years before the first month nothing is asked for.
func TestClocksThatAreWrong(t *testing.T) {
	t.Parallel()
	fails := true
	job := &fake{name: "bill"}
	flaky := &fake{name: "verify", execute: func(context.Context, schedule.Request) (history.Outcome, error) {
		if fails {
			return history.Outcome{}, errors.New("not now")
		}
		return history.Outcome{}, nil
	}}
	o := open(t, bucket.NewMemory(), nil, job, flaky)
	o.want(o.at("2027-10-03T06:00:00Z").round(), "bill/2026-10 done", "verify/2026-10 failed")
	fails = false
	o.want(o.at("2026-10-03T06:00:00Z").round(), "bill/2026-10 done", "verify/2026-10 done")
	o.want(o.round())
	o.want(o.at("2026-10-03T05:00:00Z").round()) // an hour back, such as after a leap of the clock
	o.want(o.at("2026-10-02T05:00:00Z").round()) // a day back: its tick is older than what is done
	o.want(o.at("2026-10-04T05:00:00Z").round(), "bill/2026-10 done", "verify/2026-10 done")
}

func TestByHand(t *testing.T) {
	t.Parallel()
	job := &fake{name: "export", subject: "books"}
	o := open(t, bucket.NewMemory(), nil, job)
	other := history.Slice{Job: "export", Subject: "books", Month: pricing.MonthOf(2024, 2)}
	r, err := o.ByHand(t.Context(), schedule.Hand{Job: "export", Slices: []history.Slice{other}})
	if err != nil {
		t.Fatal(err)
	}
	o.want(did(r), "export/books/2024-02 done")
	o.want(o.round(), "export/books/2026-10 done")
	r, err = o.ByHand(t.Context(), schedule.Hand{Job: "export"})
	if err != nil || r.Runs[0].Tick != instant(t, "2026-10-03T02:00:00Z") {
		t.Errorf("%+v, %v", r, err)
	}
	o.want(did(r), "export/books/2026-10 done")
	// Nothing to do keeps what the slice was done of.
	job.execute = func(context.Context, schedule.Request) (history.Outcome, error) {
		return history.Outcome{Basis: "revision 3"}, nil
	}
	if _, err := o.ByHand(t.Context(), schedule.Hand{Job: "export"}); err != nil {
		t.Fatal(err)
	}
	job.plan = func(r schedule.Request) (schedule.Plan, error) {
		return schedule.NothingTo(r.Slice, "it is there"), nil
	}
	if _, err := o.ByHand(t.Context(), schedule.Hand{Job: "export"}); err != nil {
		t.Fatal(err)
	}
	if e := o.last(job); e.Summary != "nothing to do: it is there" || e.Standing.Basis != "revision 3" {
		t.Errorf("recorded: %+v", e)
	}
	// A month is all its subjects; one that the job does not have is refused, and leaves
	// no record.
	october := pricing.MonthOf(2026, 10)
	if r, err = o.ByHand(t.Context(), schedule.Hand{Job: "export", Slices: []history.Slice{{Job: "export", Month: october}}}); err != nil {
		t.Fatal(err)
	}
	o.want(did(r), "export/books/2026-10 done")
	for _, slice := range []history.Slice{{Job: "export", Subject: "bokos", Month: october}, {Job: "export", Month: october + 1}} {
		if r, err := o.ByHand(t.Context(), schedule.Hand{Job: "export", Slices: []history.Slice{slice}}); !errors.Is(err, errNoSubject) || len(r.Runs) > 0 {
			t.Errorf("%s: %+v, %v", slice, r, err)
		}
	}
	if _, err := o.ByHand(t.Context(), schedule.Hand{Job: "exprt"}); !errors.Is(err, schedule.ErrNoSuchJob) {
		t.Errorf("a job that there is not: %v", err)
	}
	job.asks = func(schedule.Moment) ([]schedule.Ask, error) { return nil, errors.New("the listing broke off") }
	if _, err := o.ByHand(t.Context(), schedule.Hand{Job: "export"}); err == nil || !strings.Contains(err.Error(), "the listing broke off") {
		t.Errorf("a job that cannot tell what it is asked for: %v", err)
	}
}

// A dry run writes nothing at all.
func TestPlansWriteNothing(t *testing.T) {
	t.Parallel()
	store := bucket.NewMemory()
	o := open(t, store, []schedule.Job{&fake{name: "import"}}, &fake{name: "bill"})
	plans, err := o.Due(t.Context())
	if err != nil || len(plans) != 2 || plans[0].Slice.Job != "import" || plans[1].Verdict != schedule.Ready {
		t.Errorf("due: %+v, %v", plans, err)
	}
	plans, err = o.PlanByHand(t.Context(), schedule.Hand{Job: "bill"})
	if err != nil || len(plans) != 1 {
		t.Errorf("by hand: %+v, %v", plans, err)
	}
	for info, err := range store.List(t.Context(), "") {
		t.Errorf("%s is written, %v", info.Key, err)
	}
}

// Somebody is told of each attempt once, as soon as it can be, but not of what is
// older than a day.
func TestTell(t *testing.T) {
	t.Parallel()
	job := &fake{name: "bill"}
	o := open(t, bucket.NewMemory(), nil, job)
	var told []string
	var trouble error
	o.Tell = func(_ context.Context, e history.Ended) ([]history.Told, error) {
		told = append(told, fmt.Sprintf("%s %d", e.Slice, e.Attempt))
		return []history.Told{{Address: "https://example.com"}}, trouble
	}
	trouble = errors.New("nobody listens")
	o.want(o.round(), "bill/2026-10 done")
	o.want(o.round())
	trouble = nil
	o.want(o.round())
	o.want(o.round())
	o.want(told, "bill/2026-10 1", "bill/2026-10 1", "bill/2026-10 1")
	told, trouble = nil, errors.New("nobody listens")
	o.want(o.at("2026-10-04T02:00:00Z").round(), "bill/2026-10 done")
	o.want(o.at("2026-10-05T01:59:00Z").round())
	told = nil
	job.plan = func(r schedule.Request) (schedule.Plan, error) { return schedule.NothingTo(r.Slice, "done"), nil }
	o.want(o.at("2026-10-05T02:01:00Z").round())
	o.want(told)
}

// Whoever is told, however slowly, keeps no other machine from working; of two machines
// one tells.
func TestTellingKeepsNobody(t *testing.T) {
	t.Parallel()
	store := bucket.NewMemory()
	one, two := &fake{name: "bill"}, &fake{name: "bill"}
	a, b := open(t, store, nil, one), open(t, store, nil, two)
	told := 0
	b.Tell = func(context.Context, history.Ended) ([]history.Told, error) {
		told++
		return nil, nil
	}
	a.Tell = func(context.Context, history.Ended) ([]history.Told, error) {
		told++
		b.want(b.at("2026-10-04T06:00:00Z").round(), "bill/2026-10 done")
		return []history.Told{{Address: "https://example.com"}}, nil
	}
	a.want(a.round(), "bill/2026-10 done")
	if told != 1 {
		t.Errorf("told %d times in the first round, want once", told)
	}
	b.want(b.round())
	b.want(b.round())
	if told != 2 {
		t.Errorf("told %d times of two runs", told)
	}
}
