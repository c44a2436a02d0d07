package inbox

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/bucket/faulty"
)

// restored is a new bucket with the objects, as a new process finds them.
func restored(t testing.TB, objects map[string]string) bucket.Bucket {
	t.Helper()
	b := bucket.NewMemory()
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		put(t, b, key, objects[key])
	}
	return b
}

// stride takes every operation with CALENDS_FAULTS=all, else some of them.
func stride(t testing.TB) int {
	t.Helper()
	if testing.Short() {
		t.Skip("runs an inbox many times")
	}
	if os.Getenv("CALENDS_FAULTS") == "all" {
		return 1
	}
	return 11
}

// operations counts what a run over everything asks of its bucket.
func operations(t testing.TB, before map[string]string) int {
	t.Helper()
	b := faulty.New(restored(t, before))
	take(t, b)
	return len(b.Events())
}

func droppedEverything(t testing.TB) map[string]string {
	t.Helper()
	b := bucket.NewMemory()
	drop(t, b, everything(t))
	return contents(t, b)
}

// A run that dies at any operation, before or after it was done, is finished by the
// next: the bucket is that of a run that nothing disturbed, byte for byte.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	before := droppedEverything(t)
	undisturbed := restored(t, before)
	take(t, undisturbed)
	want := contents(t, undisturbed)
	all, step := operations(t, before), stride(t)
	for n, kind := range []faulty.Kind{faulty.Die, faulty.DieAfter} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			for at := 1 + n*step/2; at <= all; at += step {
				inner := restored(t, before)
				b := faulty.New(inner, faulty.Fault{Kind: kind, At: at})
				if _, err := run1(t.Context(), inboxOn(b), Options{Now: fifth}); err == nil && at < all {
					t.Fatalf("operation %d: nobody noticed", at)
				}
				again := restored(t, contents(t, inner))
				take(t, again)
				if got := contents(t, again); !mapsEqual(got, want) {
					t.Fatalf("operation %d of %d, %v\n got %q\nwant %q", at, all, b.Faults(), slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
				}
			}
		})
	}
}

// Finished on the next day, the ledger is the same, everything dropped is kept, and
// nothing stays in the inbox.
func TestKilledOverMidnight(t *testing.T) {
	t.Parallel()
	before := droppedEverything(t)
	undisturbed := restored(t, before)
	take(t, undisturbed)
	for at, all, step := 1, operations(t, before), stride(t); at <= all; at += step {
		inner := restored(t, before)
		b := faulty.New(inner, faulty.Fault{Kind: faulty.DieAfter, At: at})
		_, _ = run1(t.Context(), inboxOn(b), Options{Now: fifth}) // its end is told below
		again := restored(t, contents(t, inner))
		if _, err := run1(t.Context(), inboxOn(again), Options{Now: fifth.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		got := contents(t, again)
		for key, text := range contents(t, undisturbed) {
			if strings.HasPrefix(key, "ledger/") && got[key] != text {
				t.Errorf("operation %d: %s differs", at, key)
			}
		}
		kept := make(map[string]bool)
		for key, text := range got {
			if _, _, waits := below(key); waits && strings.HasPrefix(key, folder) && !strings.HasPrefix(key, folder+held) {
				t.Errorf("operation %d: %s is still there", at, key)
			}
			kept[text] = true
		}
		for key, text := range before {
			if !kept[text] {
				t.Errorf("operation %d: %s is lost", at, key)
			}
		}
	}
}

// An operation that fails ends the run, and the next goes on where it was: nothing is
// taken twice, nothing before what comes first, and nothing is lost.
func TestFailingStore(t *testing.T) {
	t.Parallel()
	before := droppedEverything(t)
	undisturbed := restored(t, before)
	take(t, undisturbed)
	want := contents(t, undisturbed)
	all, step := operations(t, before), stride(t)
	for n, kind := range []faulty.Kind{faulty.Fail, faulty.FailAfter, faulty.Partial} {
		for at := 1 + n*step/3; at <= all; at += step {
			inner := restored(t, before)
			b := faulty.New(inner, faulty.Fault{Kind: kind, At: at})
			_, _ = run1(t.Context(), inboxOn(b), Options{Now: fifth}) // what it could not do, the next does
			again := restored(t, contents(t, inner))
			take(t, again)
			if got := contents(t, again); !mapsEqual(got, want) {
				t.Fatalf("operation %d of %d, %v\n got %q\nwant %q", at, all, b.Faults(), slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
		}
	}
}

// Any number of machines may look into one inbox: one takes, the others find nothing
// or wait for it.
func TestTwoMachines(t *testing.T) {
	t.Parallel()
	before := droppedEverything(t)
	undisturbed := restored(t, before)
	take(t, undisturbed)
	disk, err := bucket.NewDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	drop(t, disk, everything(t))
	for name, b := range map[string]bucket.Bucket{"memory": restored(t, before), "disk": disk} {
		var machines sync.WaitGroup
		for range 4 {
			machines.Go(func() {
				plan, err := inboxOn(b).Plan(context.Background(), Options{Now: fifth})
				if err != nil {
					t.Error(err)
					return
				}
				for { // with the plan of before, however late its turn is
					_, err := inboxOn(b).Execute(context.Background(), plan)
					if err == nil {
						return
					}
					if !errors.Is(err, bucket.ErrLocked) {
						t.Error(err)
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		machines.Wait()
		if got, want := contents(t, b), contents(t, undisturbed); !mapsEqual(got, want) {
			t.Errorf("%s\n got %q\nwant %q", name, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
}

// A file that is replaced while the first is taken in stays, and is taken next time.
func TestReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	inner := bucket.NewMemory()
	drop(t, inner, files{"a.csv": partners})
	other := strings.ReplaceAll(partners, "Contoso", "Fabrikm") // as long
	replaced := false
	b := faulty.New(inner)
	b.Watch(func(e faulty.Event) {
		if e.Op == faulty.Commit && strings.HasPrefix(e.Key, "ledger/inputs/") && !replaced {
			replaced = true
			if err := inner.Delete(context.Background(), "inbox/a.csv"); err != nil {
				t.Error(err)
			}
			put(t, inner, "inbox/a.csv", other)
		}
	})
	result := take(t, b)
	same(t, "fates", fates(result), []string{"a.csv taken"})
	if !replaced || !strings.Contains(result.Files[0].Reason, "replaced meanwhile") {
		t.Errorf("%+v", result.Files[0])
	}
	same(t, "objects", shelves(t, inner), []string{"inbox/a.csv", "inbox/done/2026-10-05/a.csv"})
	take(t, inner)
	same(t, "objects", shelves(t, inner), []string{"inbox/done/2026-10-05/a (2).csv", "inbox/done/2026-10-05/a.csv"})
	got := contents(t, inner)
	if got["inbox/done/2026-10-05/a.csv"] != partners || got["inbox/done/2026-10-05/a (2).csv"] != other || len(inputs(t, inner)) != 2 {
		t.Errorf("%q", got)
	}
}

// A file that nobody may read is left, and the others are taken.
func TestUnreadableObject(t *testing.T) {
	t.Parallel()
	for _, op := range []faulty.Op{faulty.Open, faulty.Read} {
		inner := bucket.NewMemory()
		drop(t, inner, files{"a.csv": partners, "b.csv": customers})
		result, err := run1(t.Context(), inboxOn(faulty.New(inner, faulty.Fault{Kind: faulty.Refuse, Op: op, Key: "inbox/a.csv", Times: -1})), Options{Now: fifth})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(fates(result), "b.csv taken") || !slices.Contains(fates(result), "a.csv stuck") || result.Exceptions() != 1 {
			t.Errorf("%s: %+v", op, result)
		}
		if result := take(t, inner); result.Taken != 1 {
			t.Errorf("%s: the next run: %+v", op, result)
		}
	}
}

// A stop ends the run between two files, or within one, and the next finishes.
func TestStopped(t *testing.T) {
	t.Parallel()
	inner := bucket.NewMemory()
	drop(t, inner, everything(t))
	ctx, stop := context.WithCancel(t.Context())
	b := faulty.New(inner)
	b.Watch(func(e faulty.Event) {
		if e.Op == faulty.Commit && strings.HasPrefix(e.Key, "ledger/inputs/") {
			stop()
		}
	})
	if _, err := run1(ctx, inboxOn(b), Options{Now: fifth}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	undisturbed := bucket.NewMemory()
	drop(t, undisturbed, everything(t))
	take(t, undisturbed)
	take(t, inner)
	if !mapsEqual(contents(t, inner), contents(t, undisturbed)) {
		t.Error("the next run does not finish it")
	}
}
