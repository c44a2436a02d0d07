package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calends/calends/jobs/internal/twin"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/bucket/faulty"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// The tests of this file live a small life (a few customers of two partners,
// charges rated elsewhere, months billed and closed, late arrivals after each) and
// let the store go wrong at each of its operations in turn.
//
// CALENDS_FAULTS=all takes every operation of every stage; without it a few of each
// kind are taken. CALENDS_FAULTS=SEED-SEED draws other faults by chance.

// A stage is one job of the life, and the bucket before and after it.
type stage struct {
	name          string
	run           func(context.Context, Env) error
	before, after map[string]string
	operations    map[faulty.Op]int // how many of each an undisturbed run asks for
}

// faultyLife is a life whose every stage was undisturbed once.
type faultyLife struct {
	env    Env // without a bucket
	stages []stage
}

// faultSeed is a life with two partners, charges, three closes and corrections
// after each of them.
const faultSeed = 52

// TestFaults lives the life with every fault.
func TestFaults(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("lives a life many times")
	}
	s := newFaultyLife(t)
	for name, test := range map[string]func(*testing.T){
		"a dead run is finished by the next":               s.deadRunIsFinished,
		"what fails is named":                              s.failedOperationIsNamed,
		"what is delivered twice is there once":            s.repeatedDeliveries,
		"a store that fails by chance":                     s.failsByChance,
		"a reader between two writes":                      s.readerBetweenTwoWrites,
		"a writer between two reads":                       s.writerBetweenTwoReads,
		"a writer without a lock between two of another's": s.overtakenWriter,
		"a listing that is behind":                         s.staleListings,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

func newFaultyLife(t *testing.T) *faultyLife {
	t.Helper()
	life := twin.Random(faultSeed, 4)
	files, err := life.WriteFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &faultyLife{env: testEnv(t, life.Policies())}
	s.env.Workers = 1 // so that operations have an order
	store := s.env.Bucket
	s.env.Bucket = nil
	for i, step := range life.Steps {
		stage := stage{name: fmt.Sprintf("%d, %s", i, step.Kind), run: stageOf(t, step, files[i]), before: contents(t.Context(), t, store)}
		if step.Kind != twin.StepIngest {
			stage.name += " " + step.Month.String()
		}
		b := faulty.New(store)
		if err := stage.run(t.Context(), s.on(b)); err != nil {
			t.Fatalf("stage %s: %v", stage.name, err)
		}
		stage.after = contents(t.Context(), t, store)
		stage.operations = make(map[faulty.Op]int)
		for _, e := range b.Events() {
			stage.operations[e.Op]++
		}
		s.stages = append(s.stages, stage)
	}
	return s
}

// stageOf is what a step of a life does. It may be called again: then it finishes
// what is left.
func stageOf(t *testing.T, step twin.Step, files twin.Files) func(context.Context, Env) error {
	month := monthOf(t, step.Month)
	switch step.Kind {
	case twin.StepBill:
		return func(ctx context.Context, env Env) error {
			result, err := env.Bill(ctx, month, false)
			if err == nil && len(result.Differences) > 0 {
				return fmt.Errorf("the closed month comes out otherwise: %v", result.Differences)
			}
			return err
		}
	case twin.StepClose:
		return func(ctx context.Context, env Env) error {
			_, err := env.Close(ctx, month, step.Accept)
			return err
		}
	}
	var plans []IngestPlan
	if files.Inputs != "" {
		plans = append(plans, IngestPlan{Paths: []string{files.Inputs}})
	}
	for _, c := range files.Charges {
		plans = append(plans, IngestPlan{Paths: []string{c.Path}, Charges: monthOf(t, c.Month)})
	}
	return func(ctx context.Context, env Env) error {
		for _, plan := range plans {
			if _, err := env.Ingest(ctx, plan); err != nil {
				return err
			}
		}
		return nil
	}
}

func (s *faultyLife) on(b bucket.Bucket) Env {
	env := s.env
	env.Bucket = b
	return env
}

// restored is a new bucket with the objects.
func restored(t *testing.T, objects map[string]string) bucket.Bucket {
	t.Helper()
	b := bucket.NewMemory()
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		if err := bucket.Put(context.Background(), b, key, []byte(objects[key])); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// trial is one stage on a store that goes wrong.
type trial struct {
	stage  stage
	fault  faulty.Fault
	inner  bucket.Bucket // what is stored
	events []faulty.Event
	err    error
}

func (tr trial) String() string {
	var what []string
	for _, e := range tr.events {
		if e.Fault != faulty.None {
			what = append(what, e.String())
		}
	}
	if len(what) > 1 {
		what = append(what[:1], fmt.Sprintf("and %d more", len(what)-1))
	}
	return fmt.Sprintf("stage %s, %s", tr.stage.name, strings.Join(what, ", "))
}

// hit is the event of the fault. Not every fault comes to pass.
func (tr trial) hit() (faulty.Event, bool) {
	i := slices.IndexFunc(tr.events, func(e faulty.Event) bool { return e.Fault != faulty.None })
	if i < 0 {
		return faulty.Event{}, false
	}
	return tr.events[i], true
}

func (s *faultyLife) try(ctx context.Context, t *testing.T, st stage, fault faulty.Fault) trial {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tr := trial{stage: st, fault: fault, inner: restored(t, st.before)}
	b := faulty.New(tr.inner, fault)
	b.Watch(func(e faulty.Event) {
		if e.Fault == faulty.Stall && e.Err == nil {
			cancel() // as a deadline would
		}
	})
	tr.err = st.run(ctx, s.on(b))
	tr.events = b.Events()
	return tr
}

// each tries the fault at every operation, or at some of many.
func (s *faultyLife) each(t *testing.T, fault faulty.Fault, check func(t *testing.T, tr trial)) {
	t.Helper()
	for i, st := range s.stages {
		if another := (5*int(fault.Kind) + 7*len(fault.Op)) % len(s.stages); !everything() && i != another && i != closing {
			continue
		}
		for _, at := range sample(st.operations[fault.Op], 7*i+11*int(fault.Kind), fault.Op == faulty.Commit) {
			fault.At = at
			tr := s.try(t.Context(), t, st, fault)
			if hit, ok := tr.hit(); ok && !own(hit.Err) {
				check(t, tr)
			}
			if t.Failed() {
				return // the first says it all
			}
		}
	}
}

// closing is the stage of a close that has charges, corrections and locks.
const closing = 8

func everything() bool { return os.Getenv("CALENDS_FAULTS") == "all" }

// sample chooses among so many operations: all of them, or one, and the last where
// that makes the rest count.
func sample(n, draw int, last bool) (chosen []int) {
	for at := 1; at <= n; at++ {
		if everything() || last && at == n || at == 1+draw%n {
			chosen = append(chosen, at)
		}
	}
	return chosen
}

// own reports an error that the store has without any fault: then there is none to
// be seen.
func own(err error) bool {
	return errors.Is(err, bucket.ErrNotExist) || errors.Is(err, bucket.ErrExists)
}

var everyOp = []faulty.Op{faulty.Create, faulty.Write, faulty.Commit, faulty.Open, faulty.Read, faulty.List, faulty.Lock, faulty.Check}

// finish runs the stage again, on a store that does as it should, and wants the
// bucket that an undisturbed run leaves.
func (s *faultyLife) finish(t *testing.T, tr trial) {
	t.Helper()
	if err := tr.stage.run(t.Context(), s.on(tr.inner)); err != nil {
		t.Fatalf("%s: running again: %v", tr, err)
	}
	sameFiles(t, tr.String()+", run again", tr.stage.after, contents(t.Context(), t, tr.inner))
}

// consistent is what a reader finds who comes at this moment: everything that is
// visible is whole, and belongs together.
func (s *faultyLife) consistent(t *testing.T, what fmt.Stringer, b bucket.Bucket, plan VerifyPlan) {
	t.Helper()
	env := s.on(b)
	env.Workers = 1
	ctx := context.Background()
	if first, err := env.ledger().HasInputs(ctx); err != nil || !first {
		return // nothing is visible yet
	}
	if _, err := env.Status(ctx); err != nil {
		t.Errorf("%s: status: %v", what, err)
	}
	result, err := env.Verify(ctx, plan)
	if err != nil {
		t.Errorf("%s: verify: %v", what, err)
	}
	for _, f := range result.Findings {
		t.Errorf("%s: verify: %+v", what, f)
	}
}

// deadRunIsFinished: a run that dies at any operation, before or after the
// store has done it, leaves what a reader can read; and running again gives the
// bucket of an undisturbed run.
func (s *faultyLife) deadRunIsFinished(t *testing.T) {
	for _, kind := range []faulty.Kind{faulty.Die, faulty.DieAfter} {
		for _, op := range everyOp {
			t.Run(fmt.Sprintf("%s at %s", kind, op), func(t *testing.T) {
				t.Parallel()
				s.each(t, faulty.Fault{Kind: kind, Op: op}, func(t *testing.T, tr trial) {
					if !errors.Is(tr.err, faulty.ErrDead) {
						t.Errorf("%s: the dead run says %v", tr, tr.err)
					}
					s.consistent(t, tr, tr.inner, VerifyPlan{SkipProof: true})
					s.finish(t, tr)
				})
			})
		}
	}
}

// failedOperationIsNamed: whatever fails, the error says which operation on
// which object, and why. What is visible stays whole, and running again finishes.
func (s *faultyLife) failedOperationIsNamed(t *testing.T) {
	for _, kind := range []faulty.Kind{faulty.Fail, faulty.FailAfter, faulty.Partial, faulty.Refuse, faulty.Full, faulty.Stall} {
		for _, op := range everyOp {
			switch {
			case kind == faulty.Full && op != faulty.Create && op != faulty.Write && op != faulty.Commit:
				continue // they need no space
			case kind == faulty.FailAfter && op == faulty.Read:
				continue // all bytes came: whoever has what he wants need not mind
			}
			t.Run(fmt.Sprintf("%s at %s", kind, op), func(t *testing.T) {
				t.Parallel()
				s.each(t, faulty.Fault{Kind: kind, Op: op, Bytes: 7}, func(t *testing.T, tr trial) {
					hit, _ := tr.hit()
					if hit.Err == nil {
						// A listing that was left before it failed: nobody saw it.
						if tr.err != nil || op != faulty.List {
							t.Errorf("%s: nobody saw the fault, and the run says %v", tr, tr.err)
						}
						return
					}
					if !errors.Is(tr.err, errors.Unwrap(hit.Err)) {
						t.Errorf("%s: the run says %v", tr, tr.err)
					} else if kind == faulty.Stall {
						// When the context ends, so does everything: any of it may be named.
						if !strings.Contains(tr.err.Error(), "object") && !strings.Contains(tr.err.Error(), "lock") {
							t.Errorf("%s: the run does not say what it waited for: %v", tr, tr.err)
						}
					} else if !strings.Contains(tr.err.Error(), hit.Err.Error()) {
						t.Errorf("%s: the run does not say what failed on what: %v", tr, tr.err)
					}
					s.consistent(t, tr, tr.inner, VerifyPlan{Quick: true})
					s.finish(t, tr)
				})
			})
		}
	}
}

// repeatedDeliveries: objects that a network delivers twice change nothing.
func (s *faultyLife) repeatedDeliveries(t *testing.T) {
	store := bucket.NewMemory()
	b := faulty.New(store, faulty.Fault{Kind: faulty.Repeat, Times: -1})
	for _, st := range s.stages {
		if err := st.run(t.Context(), s.on(b)); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range b.Faults()[:len(b.Faults())-1] { // the last waits for another operation
		if !errors.Is(e.Err, bucket.ErrExists) {
			t.Errorf("%s, want it refused", e)
		}
	}
	sameFiles(t, "every object delivered twice", s.stages[len(s.stages)-1].after, contents(t.Context(), t, store))
}

// failsByChance: the whole life on a store where now and then an
// operation goes wrong in some way, every job run again until it is done.
func (s *faultyLife) failsByChance(t *testing.T) {
	several := *s
	several.env.Workers = 3
	s = &several
	first, last := uint64(1), uint64(3)
	if seeds := os.Getenv("CALENDS_FAULTS"); strings.Contains(seeds, "-") {
		if _, err := fmt.Sscanf(seeds, "%d-%d", &first, &last); err != nil {
			t.Fatalf("CALENDS_FAULTS=%q: want all, or first-last", seeds)
		}
	}
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			store := bucket.NewMemory()
			faults := 0
			for _, st := range s.stages {
				for attempt := uint64(1); ; attempt++ {
					draw := seed*1000 + attempt
					chance := func(kind faulty.Kind, op faulty.Op, perThousand int) faulty.Fault {
						return faulty.Fault{Kind: kind, Op: op, Times: -1, Chance: perThousand, Seed: draw}
					}
					b := faulty.New(store, chance(faulty.Die, faulty.Create, 10), chance(faulty.DieAfter, faulty.Commit, 10),
						chance(faulty.FailAfter, faulty.Commit, 10), chance(faulty.Partial, faulty.Open, 2),
						chance(faulty.Fail, faulty.List, 20), chance(faulty.Repeat, faulty.Commit, 50))
					err := st.run(t.Context(), s.on(b))
					faults += len(b.Faults())
					if err == nil {
						break
					}
					if attempt == 200 {
						t.Fatalf("stage %s is still not done after %d runs: %v", st.name, attempt, err)
					}
				}
				sameFiles(t, "after stage "+st.name, st.after, contents(t.Context(), t, store))
				if t.Failed() {
					return
				}
			}
			if faults == 0 {
				t.Error("nothing went wrong")
			}
		})
	}
}

// readerBetweenTwoWrites: whoever reads between any two writes of a run finds
// the state before or after, whole: status works, verify has nothing to find, and
// an export is that of one revision.
func (s *faultyLife) readerBetweenTwoWrites(t *testing.T) {
	for i, st := range s.stages {
		if !everything() && i%4 != 0 {
			continue
		}
		t.Run(strings.ReplaceAll(st.name, ", ", "-"), func(t *testing.T) {
			t.Parallel()
			inner := restored(t, st.before)
			b := faulty.New(inner)
			old, now := exported(t, s.on(inner)), exported(t, s.on(restored(t, st.after)))
			b.Watch(func(e faulty.Event) {
				if e.Op != faulty.Commit {
					return
				}
				s.consistent(t, e, inner, VerifyPlan{SkipProof: true})
				for month, files := range exported(t, s.on(inner)) {
					if !maps.Equal(files, old[month]) && !maps.Equal(files, now[month]) {
						t.Errorf("%s: the export of %s is neither the old one nor the new one", e, month)
					}
				}
			})
			if err := st.run(t.Context(), s.on(b)); err != nil {
				t.Fatal(err)
			}
			s.consistent(t, e("the end"), inner, VerifyPlan{})
		})
	}
}

// e is a moment by its name.
type e string

func (e e) String() string { return string(e) }

// exported are the files of every month's export, by month and path.
func exported(t *testing.T, env Env) map[pricing.Month]map[string]string {
	t.Helper()
	ctx := context.Background()
	at, err := env.snapshot(ctx)
	if err != nil {
		t.Error(err)
		return nil
	}
	all := make(map[pricing.Month]map[string]string)
	for _, m := range at.months {
		folder := t.TempDir()
		if _, err := env.Export(ctx, ExportPlan{Month: m.Month, Folder: folder}); err != nil {
			t.Errorf("export %s: %v", m.Month, err)
		}
		files := make(map[string]string)
		for _, name := range below(t, folder) {
			files[name] = string(readFile(t, folder, name))
		}
		all[m.Month] = files
	}
	return all
}

// writerBetweenTwoReads: a reader whom a run overtakes, at any of its reads,
// finds nothing wrong.
func (s *faultyLife) writerBetweenTwoReads(t *testing.T) {
	folder := t.TempDir()
	readers := map[string]func(context.Context, Env, pricing.Month) error{
		"status": func(ctx context.Context, env Env, _ pricing.Month) error {
			result, err := env.Status(ctx)
			for _, m := range result.Months {
				if m.NewInputs < 0 {
					err = errors.Join(err, fmt.Errorf("%s has %d new inputs", m.Month, m.NewInputs))
				}
			}
			return err
		},
		"verify":       verifyReader(VerifyPlan{}),
		"verify quick": verifyReader(VerifyPlan{Quick: true}),
		"dry run": func(ctx context.Context, env Env, month pricing.Month) error {
			_, err := env.Bill(ctx, month, true)
			return err
		},
		"export": func(ctx context.Context, env Env, month pricing.Month) error {
			_, err := env.Export(ctx, ExportPlan{Month: month, Folder: filepath.Join(folder, fmt.Sprint(month))})
			return err
		},
	}
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, st := range s.stages {
				if !everything() && i%4 != 2 {
					continue
				}
				at, err := s.on(restored(t, st.before)).snapshot(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if len(at.months) == 0 {
					continue
				}
				month := at.months[len(at.months)-1].Month
				for k := 1; ; k = further(k) {
					inner := restored(t, st.before)
					b := faulty.New(inner)
					overtaken := faulty.Event{}
					seen := 0
					b.Watch(func(e faulty.Event) {
						if e.Op != faulty.Open && e.Op != faulty.List {
							return
						}
						if seen++; seen != k {
							return
						}
						overtaken = e
						for _, next := range s.stages[i:min(i+3, len(s.stages))] {
							if err := next.run(context.Background(), s.on(inner)); err != nil {
								t.Errorf("stage %s: %v", next.name, err)
							}
						}
					})
					if err := read(t.Context(), s.on(b), month); err != nil {
						t.Fatalf("overtaken by stage %s and the next at %s: %v", st.name, overtaken, err)
					}
					if seen < k {
						break
					}
				}
			}
		})
	}
}

// further goes on to the next operation, or leaves more and more of them out.
func further(k int) int {
	if everything() {
		return k + 1
	}
	return k + 1 + k/2
}

// overtakenWriter: should two runs ever be at work at once, whatever the locks say,
// then what one publishes stands. The other finds it out at whichever of its
// operations it is overtaken, and nothing ever follows a closed revision.
func (s *faultyLife) overtakenWriter(t *testing.T) {
	st := s.stages[closing]
	at, err := s.on(restored(t, st.after)).snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	month := at.closes[len(at.closes)-1].Month
	refused := 0
	for k := 1; ; k = further(k) {
		inner := unlocked{restored(t, st.before)}
		b := faulty.New(inner)
		seen, overtaken := 0, faulty.Event{}
		b.Watch(func(e faulty.Event) {
			if seen++; seen == k {
				overtaken = e
				if err := st.run(context.Background(), s.on(inner)); err != nil {
					t.Errorf("close, overtaking a bill at %s: %v", e, err)
				}
			}
		})
		_, err := s.on(b).Bill(t.Context(), month, false)
		if seen < k {
			break
		}
		if err != nil {
			refused++
			if !errors.Is(err, bucket.ErrConflict) {
				t.Errorf("bill, overtaken at %s: %v", overtaken, err)
			}
		}
		closedOnce(t, overtaken, inner)
		if again, err := s.on(inner).Bill(t.Context(), month, false); err != nil || !again.Proved {
			t.Errorf("overtaken at %s, the closed month is not proved: %v, %v", overtaken, again.Differences, err)
		}
		if t.Failed() {
			return
		}
	}
	if refused == 0 {
		t.Error("no run was refused")
	}
}

// unlocked is a bucket whose locks keep nobody out.
type unlocked struct{ bucket.Bucket }

func (u unlocked) Lock(ctx context.Context, _ bucket.Claim) (bucket.Lock, error) {
	return bucket.NewMemory().Lock(ctx, bucket.Claim{Name: "one's own"})
}

func verifyReader(plan VerifyPlan) func(context.Context, Env, pricing.Month) error {
	return func(ctx context.Context, env Env, _ pricing.Month) error {
		result, err := env.Verify(ctx, plan)
		if err == nil && len(result.Findings) > 0 {
			err = fmt.Errorf("%d findings, the first: %+v", len(result.Findings), result.Findings[0])
		}
		return err
	}
}

// staleListings: a run that is shown an old listing, at any of them, does as
// well as one that is not.
func (s *faultyLife) staleListings(t *testing.T) {
	for _, lag := range []int{1, 3, 25} {
		for i, st := range s.stages[1:] {
			before := s.stages[i]
			if !slices.ContainsFunc(slices.Collect(maps.Keys(before.before)), func(key string) bool { return strings.HasPrefix(key, "invoices/") }) {
				continue // the first revision of all can stay hidden, see ledger.Months
			}
			if !everything() && (i+lag)%4 != 0 {
				continue
			}
			t.Run(fmt.Sprintf("%d behind in %s", lag, st.name), func(t *testing.T) {
				t.Parallel()
				for k := 1; ; k++ {
					inner := restored(t, before.before)
					lists := countLists(t, s, before)
					b := faulty.New(inner, faulty.Fault{Kind: faulty.Stale, Lag: lag, At: lists + k})
					if err := before.run(t.Context(), s.on(b)); err != nil {
						t.Fatal(err)
					}
					err := st.run(t.Context(), s.on(b))
					if len(b.Faults()) == 0 {
						return
					}
					what := b.Faults()[0]
					if err != nil {
						t.Errorf("%s: the run says %v", what, err)
					}
					closedOnce(t, what, inner)
					sameFiles(t, what.String(), st.after, contents(t.Context(), t, inner))
					if t.Failed() {
						return
					}
				}
			})
		}
	}
}

func countLists(t *testing.T, s *faultyLife, st stage) (n int) {
	t.Helper()
	b := faulty.New(restored(t, st.before))
	if err := st.run(t.Context(), s.on(b)); err != nil {
		t.Fatal(err)
	}
	for _, e := range b.Events() {
		if e.Op == faulty.List {
			n++
		}
	}
	return n
}

// closedOnce wants no revision after a closed one.
func closedOnce(t *testing.T, what fmt.Stringer, b bucket.Bucket) {
	t.Helper()
	closed := make(map[string]int)
	for m, err := range (ledger.Ledger{Bucket: b}).AuditRevisions(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if n := closed[m.Value.Month]; n > 0 && m.Value.Revision > n {
			t.Errorf("%s: %s is revision %d, a %s, after the closed revision %d", what, m.Key, m.Value.Revision, m.Value.State, n)
		}
		if m.Value.State == ledger.Closed {
			closed[m.Value.Month] = m.Value.Revision
		}
	}
}
