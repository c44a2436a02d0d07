package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// world is what the jobs of a test change: it is shared by all machines, as the
// bucket is.
type world struct {
	mu       sync.Mutex
	random   *rand.Rand
	imported map[string]int // by market and month
	billed   map[pricing.Month]int
	closed   []pricing.Month
	at       map[pricing.Month]time.Time // when it closed
	faults   []string
}

func (w *world) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

func (w *world) isClosed(m pricing.Month) bool { return slices.Contains(w.closed, m) }

// trouble is how often something goes wrong, of 1000 times.
type trouble struct{ fails, panics, dies, waits int }

// stub is a job of the world, on one machine.
type stub struct {
	world   *world
	machine *machine
	name    string
	trouble trouble
	asks    func(at schedule.Moment) []schedule.Ask
	do      func(r schedule.Request)
}

func (s stub) Name() string { return s.name }

func (stub) Takes(history.Slice) error { return nil }

func (s stub) Asks(_ context.Context, at schedule.Moment) ([]schedule.Ask, error) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return s.asks(at), nil
}

func (s stub) Plan(_ context.Context, r schedule.Request) (schedule.Plan, error) {
	if s.name == "close" && len(r.Open) > 0 {
		return schedule.WaitFor(r.Slice, "import", "%v is open", r.Open[0].Slice), nil
	}
	return schedule.ReadyTo(r.Slice, s.name), nil
}

var errSource = errors.New("the source does not answer")

func (s stub) Execute(_ context.Context, r schedule.Request, _ schedule.Plan) (history.Outcome, error) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	switch n := s.world.random.IntN(1000); {
	case n < s.trouble.dies:
		s.machine.dead = true // before it did anything
		return history.Outcome{}, nil
	case n < s.trouble.dies+s.trouble.fails:
		return history.Outcome{}, errSource
	case n < s.trouble.dies+s.trouble.fails+s.trouble.panics:
		panic("out of luck")
	case n < s.trouble.dies+s.trouble.fails+s.trouble.panics+s.trouble.waits:
		return history.Outcome{}, &schedule.WaitError{Code: "not-published", Err: errSource}
	}
	s.do(r)
	if s.world.random.IntN(1000) < s.trouble.dies {
		s.machine.dead = true // after it did everything
	}
	return history.Outcome{Summary: "did it"}, nil
}

// machine is one of those that run the schedule. Once dead it writes nothing.
type machine struct {
	bucket.Bucket
	dead bool
	now  time.Time
}

var errDead = errors.New("the machine is dead")

func (m *machine) Create(ctx context.Context, key string) (bucket.Writer, error) {
	if m.dead {
		return nil, errDead
	}
	return m.Bucket.Create(ctx, key)
}

func (m *machine) Now() time.Time                              { return m.now }
func (m *machine) Wait(ctx context.Context, _ time.Time) error { return ctx.Err() }

// scheduler is a machine's, with its jobs.
func (w *world) scheduler(t testing.TB, store bucket.Bucket, name, zone string, first pricing.Month, tr trouble) (*schedule.Scheduler, *machine) {
	t.Helper()
	m := &machine{Bucket: store}
	imports, bills, closes := ticks(t, "15 2 * * *", zone), ticks(t, "0 3 * * *", zone), ticks(t, "30 2 3 * *", zone)
	day := func(m pricing.Month) time.Time {
		year, month := m.Civil()
		return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	}
	s := &schedule.Scheduler{
		Bucket: m, History: history.NewStore(m), Clock: m, By: name, Version: "test", Log: slog.New(slog.DiscardHandler),
		Retry:  history.Retry{Limit: 40, First: time.Minute, Most: time.Hour, Interruptions: 40},
		Begins: func(context.Context, time.Time) (pricing.Month, error) { return first, nil },
		Minds: func(_ context.Context, began pricing.Month, _ time.Time) (pricing.Month, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return max(began, began+pricing.Month(len(w.closed))-2), nil
		},
	}
	s.Imports = []schedule.Job{stub{world: w, machine: m, name: "import-prices", trouble: tr,
		asks: func(at schedule.Moment) (asks []schedule.Ask) {
			for month := at.First; month <= at.Month(); month++ {
				latest := imports.Latest(at.Now)
				if last := imports.Latest(day(month + 1).Add(-time.Nanosecond)); last.Before(latest) {
					latest = last
				}
				if schedule.MonthOf(latest) != month {
					continue
				}
				for _, market := range []string{"DE", "NL"} {
					asks = append(asks, schedule.Ask{Slice: history.Slice{Job: "import-prices", Subject: market, Month: month}, Tick: latest, Needed: month})
				}
			}
			return asks
		},
		do: func(r schedule.Request) { w.imported[r.Slice.Subject+r.Slice.Month.String()]++ },
	}}
	s.Jobs = []schedule.Job{
		stub{world: w, machine: m, name: "bill", trouble: tr,
			asks: func(at schedule.Moment) (asks []schedule.Ask) {
				for month := at.First; month <= schedule.MonthOf(bills.Latest(at.Now)); month++ {
					if !w.isClosed(month) {
						asks = append(asks, schedule.Ask{Slice: history.Slice{Job: "bill", Month: month}, Tick: bills.Latest(at.Now)})
					}
				}
				return asks
			},
			do: func(r schedule.Request) { w.billed[r.Slice.Month]++ },
		},
		stub{world: w, machine: m, name: "close", trouble: tr,
			asks: func(at schedule.Moment) (asks []schedule.Ask) {
				for month := at.First; month < at.Month(); month++ {
					if tick := closes.FirstFrom(day(month + 1)); !w.isClosed(month) && !tick.After(at.Now) {
						asks = append(asks, schedule.Ask{Slice: history.Slice{Job: "close", Month: month}, Tick: tick})
					}
				}
				return asks
			},
			do: func(r schedule.Request) { w.close(r, first) },
		},
	}
	return s, m
}

// close is what a close of the real thing would refuse, or do twice without harm;
// here each is a fault.
func (w *world) close(r schedule.Request, first pricing.Month) {
	m := r.Slice.Month
	if want := first + pricing.Month(len(w.closed)); m != want && !w.isClosed(m) {
		w.fault("%s closed before %s", m, want)
	}
	if r.Now.Before(r.Tick) {
		w.fault("%s closed at %s, before its tick %s", m, r.Now, r.Tick)
	}
	for _, market := range []string{"DE", "NL"} {
		if w.imported[market+m.String()] == 0 {
			w.fault("%s closed without the prices of %s", m, market)
		}
	}
	if w.billed[m] == 0 {
		w.fault("%s closed without a draft", m)
	}
	if !w.isClosed(m) {
		w.closed = append(w.closed, m)
		w.at[m] = r.Now
	}
}

// seeds is how many worlds there are of each kind: CALENDS_SCHEDULE_SEEDS, or one.
func seeds(t *testing.T) uint64 {
	text := os.Getenv("CALENDS_SCHEDULE_SEEDS")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Years of ticks on several machines that sleep, fail, panic and die: each month is
// closed once, in order, not before its time, with its prices in, and soon.
func TestYears(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, zone string
		machines   int
		sleep      time.Duration // between rounds, on average
		downtime   time.Duration // the longest
		trouble    trouble
	}{
		{"one machine, nothing goes wrong", "UTC", 1, 18 * time.Hour, 0, trouble{}},
		{"three machines", "Europe/Amsterdam", 3, 30 * time.Hour, 0, trouble{}},
		{"weeks of downtime", "Europe/Amsterdam", 1, 18 * time.Hour, 60 * 24 * time.Hour, trouble{}},
		{"everything goes wrong", "America/New_York", 3, 24 * time.Hour, 20 * 24 * time.Hour, trouble{fails: 100, panics: 20, dies: 30, waits: 30}},
		{"half an hour of summer time", "Australia/Lord_Howe", 2, 20 * time.Hour, 10 * 24 * time.Hour, trouble{fails: 50, dies: 50}},
	}
	for _, tt := range tests {
		for seed := range seeds(t) {
			t.Run(fmt.Sprint(tt.name, ", seed ", seed), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(seed, 1))
				store, w := bucket.NewMemory(), &world{random: random, imported: make(map[string]int), billed: make(map[pricing.Month]int), at: make(map[pricing.Month]time.Time)}
				first := pricing.MonthOf(2026, 1)
				var schedulers []*schedule.Scheduler
				var machines []*machine
				wrong := tt.trouble
				start := func(n int) {
					s, m := w.scheduler(t, store, fmt.Sprint("machine ", n), tt.zone, first, wrong)
					schedulers[n], machines[n] = s, m
				}
				schedulers, machines = make([]*schedule.Scheduler, tt.machines), make([]*machine, tt.machines)
				for n := range tt.machines {
					start(n)
				}
				end, months := instant(t, "2027-04-10T00:00:00Z"), 15
				if testing.Short() {
					end, months = instant(t, "2026-05-10T00:00:00Z"), 4
				}
				for now := instant(t, "2026-01-05T12:34:00Z"); now.Before(end); {
					// All that are awake look at once.
					var group sync.WaitGroup
					for n := range machines {
						machines[n].now = now
						group.Go(func() {
							if _, err := schedulers[n].Round(t.Context()); err != nil && !errors.Is(err, errDead) {
								t.Errorf("%s: round of machine %d: %v", now, n, err)
							}
						})
					}
					group.Wait()
					for n := range machines {
						if machines[n].dead {
							start(n)
						}
					}
					now = now.Add(time.Duration(random.Int64N(int64(2 * tt.sleep))))
					if tt.downtime > 0 && random.IntN(60) == 0 {
						now = now.Add(time.Duration(random.Int64N(int64(tt.downtime))))
					}
				}
				// A last few rounds for what failed last, on a machine that is well.
				wrong = trouble{}
				start(0)
				for n := range 60 {
					machines[0].now = end.Add(time.Duration(n) * 90 * time.Minute)
					if _, err := schedulers[0].Round(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				for _, fault := range w.faults {
					t.Error(fault)
				}
				if got, want := len(w.closed), months; got != want {
					t.Errorf("%d months closed, want %d", got, want)
				}
				checkRecords(t, store, first)
				if tt.trouble == (trouble{}) && tt.downtime == 0 {
					for m, at := range w.at {
						tick := ticks(t, "30 2 3 * *", tt.zone).FirstFrom(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, int(m-first)+1, 0))
						if late := at.Sub(tick); late > 2*tt.sleep {
							t.Errorf("%s closed %s after its tick", m, late)
						}
					}
				}
			})
		}
	}
}

// checkRecords: attempts are numbered without gaps, all ended, and no tick was done
// with twice.
func checkRecords(t *testing.T, store bucket.Bucket, first pricing.Month) {
	t.Helper()
	runs, err := history.NewStore(store).Runs(t.Context(), first, first+20)
	if err != nil {
		t.Fatal(err)
	}
	if len(runs) < 100 {
		t.Errorf("only %d runs", len(runs))
	}
	attempts := make(map[history.Slice][]int)
	done := make(map[string]int)
	for _, e := range runs {
		attempts[e.Slice] = append(attempts[e.Slice], e.Attempt)
		switch e.Result {
		case "":
			t.Errorf("%s attempt %d did not end", e.Slice, e.Attempt)
		case history.Done:
			done[fmt.Sprint(e.Slice, e.Tick)]++
		case history.Failed, history.Interrupted, history.Stopped, history.Waiting:
		}
	}
	for slice, list := range attempts {
		slices.Sort(list)
		for i, n := range list {
			if n != i+1 {
				t.Errorf("%s: attempts %v", slice, list)
				break
			}
		}
	}
	for tick, times := range done {
		if times > 1 {
			t.Errorf("%s was done %d times", tick, times)
		}
	}
}
