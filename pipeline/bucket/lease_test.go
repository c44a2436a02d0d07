package bucket

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fakeStore is a rawStore in memory.
type fakeStore struct {
	mu      sync.Mutex
	objects map[string]string
}

func newFakeStore() *fakeStore { return &fakeStore{objects: map[string]string{}} }

func (s *fakeStore) create(ctx context.Context, key string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.objects[key]; taken {
		return fmt.Errorf("create %s: %w", key, ErrExists)
	}
	s.objects[key] = string(data)
	return ctx.Err()
}

func (s *fakeStore) read(ctx context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.objects[key]
	if !ok {
		return nil, fmt.Errorf("read %s: %w", key, ErrNotExist)
	}
	return []byte(data), ctx.Err()
}

func (s *fakeStore) list(ctx context.Context, prefix string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for key := range s.objects {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, ctx.Err()
}

func (s *fakeStore) remove(ctx context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
	return ctx.Err()
}

// keys are the names of what is there, without the lease's folder.
func (s *fakeStore) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		names = append(names, strings.TrimPrefix(key, ".calends/leases/write/"))
	}
	return names
}

// A link is one process's way to the store.
type link struct {
	rawStore
	// before stands before each operation; its error is the operation's.
	before func(op string) error
	// after stands after each operation that was carried out.
	after func(op string) error
}

func (l *link) do(op string, operation func() error) error {
	if l.before != nil {
		if err := l.before(op); err != nil {
			return err
		}
	}
	err := operation()
	if l.after != nil {
		if lost := l.after(op); lost != nil {
			return lost
		}
	}
	return err
}

func (l *link) create(ctx context.Context, key string, data []byte) error {
	return l.do("create", func() error { return l.rawStore.create(ctx, key, data) })
}

func (l *link) read(ctx context.Context, key string) (data []byte, err error) {
	err = l.do("read", func() error { data, err = l.rawStore.read(ctx, key); return err })
	return data, err
}

func (l *link) list(ctx context.Context, prefix string) (keys []string, err error) {
	err = l.do("list", func() error { keys, err = l.rawStore.list(ctx, prefix); return err })
	return keys, err
}

func (l *link) remove(ctx context.Context, key string) error {
	return l.do("remove", func() error { return l.rawStore.remove(ctx, key) })
}

// A process is a run on some machine, in the bubble's time.
type process struct {
	t      *testing.T
	link   link
	leases leases

	mu    sync.Mutex
	awake chan struct{} // closed unless it is paused
	cut   error         // what its line to the store says; nil: it works
}

var deadProcesses sync.Map // by machine and number

func newProcess(t *testing.T, store rawStore, machine string, pid int) *process {
	p := &process{t: t, awake: make(chan struct{})}
	close(p.awake)
	p.link = link{rawStore: store, before: p.gate, after: p.gate}
	p.leases = leases{
		store: &p.link,
		self: func(c Claim) Holder {
			h := thisProcess(c)
			h.Host, h.Machine, h.PID = machine, t.Name()+machine, pid
			return h
		},
		gone: func(h Holder) bool {
			_, dead := deadProcesses.Load(fmt.Sprint(h.Machine, h.PID))
			return dead && h.Machine == t.Name()+machine
		},
	}
	return p
}

// gate is where a paused process stands still, and one that is cut off fails.
func (p *process) gate(string) error {
	p.mu.Lock()
	awake := p.awake
	p.mu.Unlock()
	<-awake
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut
}

func (p *process) cutOff(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = err
}

func (p *process) pause() (wake func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	awake := make(chan struct{})
	p.awake = awake
	return func() { close(awake) }
}

// kill ends the process at once: it leaves its objects behind. Only processes of
// its machine learn of it.
func (p *process) kill(held Lock) {
	p.cutOff(errors.New("killed"))
	l := held.(*lease)
	l.stop()
	<-l.beaten
	deadProcesses.Store(fmt.Sprint(l.holder.Machine, l.holder.PID), true)
}

func (p *process) lock() Lock {
	p.t.Helper()
	held, err := p.leases.lock(p.t.Context(), Claim{Name: "write", Run: "close 2026-10"})
	if err != nil {
		p.t.Fatalf("lock: %v", err)
	}
	return held
}

func (p *process) unlock(held Lock) {
	p.t.Helper()
	if err := held.Unlock(); err != nil {
		p.t.Errorf("Unlock: %v", err)
	}
}

func wantHeld(t *testing.T, held Lock) {
	t.Helper()
	if err := held.Check(t.Context()); err != nil {
		t.Errorf("Check of the holder = %v", err)
	}
	if err := held.Context().Err(); err != nil {
		t.Errorf("the holder's context: %v", context.Cause(held.Context()))
	}
}

func wantLost(t *testing.T, held Lock, says string) {
	t.Helper()
	for range 2 {
		err := held.Check(t.Context())
		if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), says) {
			t.Errorf("Check of the loser = %v, want ErrLost with %q", err, says)
		}
	}
	if cause := context.Cause(held.Context()); !errors.Is(cause, ErrLost) {
		t.Errorf("the cause of the loser's context = %v, want ErrLost", cause)
	}
}

func wantLeft(t *testing.T, store *fakeStore, want ...string) {
	t.Helper()
	if left := store.keys(); !slices.Equal(left, want) {
		t.Errorf("in the store: %q, want %q", left, want)
	}
}

// lockAfter takes the lock and wants it to take about so long.
func lockAfter(t *testing.T, p *process, least, most time.Duration) Lock {
	t.Helper()
	begun := time.Now()
	held := p.lock()
	if took := time.Since(begun); took < least || took > most {
		t.Errorf("the lock was taken after %s, want %s to %s", took, least, most)
	}
	return held
}

// inBubble runs a test with two processes on two machines, in simulated time.
func inBubble(t *testing.T, test func(t *testing.T, store *fakeStore, one, two *process)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		test(t, store, newProcess(t, store, "first-host", 101), newProcess(t, store, "second-host", 202))
	})
}

func TestLeaseLivesAndLeavesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fakeStore, one, _ *process) {
		held := lockAfter(t, one, 0, 0)
		wantLeft(t, store, "00000001.json")
		time.Sleep(3*DefaultTTL + time.Second)
		wantLeft(t, store, "00000013.json") // four signs of life in a TTL, and only the last stays
		wantHeld(t, held)
		one.unlock(held)
		wantLeft(t, store)
	})
}

func TestLeaseOfTheLivingIsNotTaken(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fakeStore, one, two *process) {
		held := one.lock()
		time.Sleep(time.Minute)
		begun := time.Now()
		var told []string
		_, err := two.leases.lock(t.Context(), Claim{Name: "write", Waiting: func(h Holder, most time.Duration) {
			told = append(told, fmt.Sprint(h.Run, " ", h.PID, " ", most))
		}})
		if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "close 2026-10, process 101 on first-host, since 2000-01-01") {
			t.Errorf("lock = %v, want ErrLocked with the holder", err)
		}
		if took := time.Since(begun); took > DefaultTTL/beats+longestWait {
			t.Errorf("it took %s to see that the holder lives", took)
		}
		if want := []string{"close 2026-10 101 15s"}; !slices.Equal(told, want) {
			t.Errorf("while waiting it was told %q, want %q", told, want)
		}
		wantHeld(t, held)
		one.unlock(held)
		wantLeft(t, store)
	})
}

func TestLeaseIsTakenAsSoonAsItIsReleased(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fakeStore, one, two *process) {
		held := one.lock()
		time.AfterFunc(2*time.Second, func() { one.unlock(held) })
		next := lockAfter(t, two, 2*time.Second, 2*time.Second+longestWait)
		wantHeld(t, next)
		two.unlock(next)
		wantLeft(t, store)
	})
}

func TestLeaseOfTheDeadIsTakenAfterItsTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fakeStore, one, two *process) {
		held := one.lock()
		time.Sleep(DefaultTTL - time.Second)
		one.kill(held)
		wantLeft(t, store, "00000004.json")
		next := lockAfter(t, two, DefaultTTL, DefaultTTL+longestWait)
		wantLeft(t, store, "00000005.json")
		wantHeld(t, next)
		two.unlock(next)
		wantLeft(t, store)
	})
}

func TestLeaseOfTheDeadIsTakenAtOnceOnItsMachine(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fakeStore, one, _ *process) {
		held := one.lock()
		time.Sleep(DefaultTTL - time.Second)
		one.kill(held)
		again := newProcess(t, store, "first-host", 303)
		next := lockAfter(t, again, 0, 0)
		wantLeft(t, store, "00000005.json")
		again.unlock(next)
		wantLeft(t, store)
	})
}

func TestPausedLoserFindsWhoTookOver(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fakeStore, one, two *process) {
		held := one.lock()
		wake := one.pause()
		next := two.lock()
		wake()
		wantLost(t, held, "process 202 on second-host")
		if err := held.Check(t.Context()); !errors.Is(err, ErrLocked) {
			t.Errorf("Check = %v, want it to be ErrLocked too", err)
		}
		wantHeld(t, next)
		one.unlock(held)
		wantHeld(t, next)
		two.unlock(next)
		wantLeft(t, store)
	})
}

// The taker is done before the loser wakes up: there is no trace of it.
func TestPausedLoserFindsNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fakeStore, one, two *process) {
		held := one.lock()
		time.Sleep(time.Minute)
		wake := one.pause()
		two.unlock(two.lock())
		third := two.lock() // begins at 1 again
		wake()
		synctest.Wait()
		wantLost(t, held, "no sign of life for")
		wantHeld(t, third)
		one.unlock(held)
		wantHeld(t, third)
		two.unlock(third)
		wantLeft(t, store)
	})
}

// The loser's context ends by itself, so that long work stops.
func TestLoserIsStopped(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *fakeStore, one, two *process) {
		held := one.lock()
		wake := one.pause()
		next := two.lock()
		wake()
		<-held.Context().Done()
		if cause := context.Cause(held.Context()); !errors.Is(cause, ErrLost) {
			t.Errorf("the cause is %v, want ErrLost", cause)
		}
		one.unlock(held)
		two.unlock(next)
	})
}

// Paused or cut off for long, but nobody wanted the lock: it is still held.
func TestSilenceAloneLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fakeStore, one, _ *process) {
		held := one.lock()
		wake := one.pause()
		time.Sleep(time.Hour)
		wake()
		wantHeld(t, held)

		down := errors.New("no route to the store")
		one.cutOff(down)
		time.Sleep(DefaultTTL / freshness)
		if err := held.Check(t.Context()); !errors.Is(err, down) {
			t.Errorf("Check without a store = %v, want its error", err)
		}
		time.Sleep(time.Hour)
		one.cutOff(nil)
		wantHeld(t, held)
		one.unlock(held)
		wantLeft(t, store)
	})
}

// Within its TTL the holder would not need to ask. It does, since somebody may have
// removed the lease by hand, so that another could run.
func TestLeaseRemovedByHand(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fakeStore, one, two *process) {
		held := one.lock()
		clear(store.objects)
		next := lockAfter(t, two, 0, 0)
		wantLost(t, held, "process 202 on second-host")
		one.unlock(held)
		two.unlock(next)
		wantLeft(t, store)
	})
}

// A sign of life of which the answer was lost is recognised, not taken for another's.
func TestLostAnswers(t *testing.T) {
	for _, op := range []string{"create", "remove", "read"} {
		t.Run(op, func(t *testing.T) {
			inBubble(t, func(t *testing.T, store *fakeStore, one, _ *process) {
				var lose atomic.Bool
				one.link.after = func(done string) error {
					if done == op && lose.CompareAndSwap(true, false) {
						return errors.New("connection reset")
					}
					return nil
				}
				held := one.lock()
				lose.Store(true)
				time.Sleep(2 * DefaultTTL)
				if lose.Load() {
					t.Errorf("no %s was lost", op)
				}
				wantHeld(t, held)
				one.unlock(held)
				wantLeft(t, store)
			})
		})
	}
}

// A claim that fails half-way takes back what it created.
func TestFailedClaimLeavesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fakeStore, one, _ *process) {
		down := errors.New("connection reset")
		looks := 0
		one.link.before = func(op string) error {
			if op == "list" {
				if looks++; looks == 2 {
					return down
				}
			}
			return nil
		}
		if _, err := one.leases.lock(t.Context(), Claim{Name: "write"}); !errors.Is(err, down) {
			t.Errorf("lock = %v, want the store's error", err)
		}
		wantLeft(t, store)
	})
}

// Who watches and is paused itself has not watched: perhaps all were.
func TestWatcherCountsOnlyWhatItWatched(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fakeStore, one, two *process) {
		held := one.lock()
		wakeOne := one.pause()
		failed := make(chan error)
		go func() {
			_, err := two.leases.lock(t.Context(), Claim{Name: "write"})
			failed <- err
		}()
		time.Sleep(3 * time.Second)
		wakeTwo := two.pause()
		time.Sleep(time.Hour)
		wakeTwo()
		time.Sleep(time.Second)
		wakeOne()
		if err := <-failed; !errors.Is(err, ErrLocked) {
			t.Errorf("lock = %v, want ErrLocked", err)
		}
		wantHeld(t, held)
		one.unlock(held)
		wantLeft(t, store)
	})
}

func TestStoppedWatcherStops(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fakeStore, one, two *process) {
		one.kill(one.lock())
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := two.leases.lock(ctx, Claim{Name: "write"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("lock = %v, want DeadlineExceeded", err)
		}
		wantLeft(t, store, "00000001.json")
	})
}

// Whatever else lies there is waited for like a holder, or is no lease's at all.
func TestForeignObjects(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fakeStore, one, _ *process) {
		for name, data := range map[string]string{"00000007.json": "{", "readme.txt": "?", "7.json": "{}"} {
			store.objects[leaseFolder+"write/"+name] = data
		}
		held := lockAfter(t, one, DefaultTTL, DefaultTTL+longestWait)
		wantLeft(t, store, "00000008.json", "7.json", "readme.txt")
		one.unlock(held)
		wantLeft(t, store, "7.json", "readme.txt")
	})
}

// A clock that is set ahead makes the holder ask; it does not cost it the lock.
func TestClockSetAhead(t *testing.T) {
	inBubble(t, func(t *testing.T, store *fakeStore, one, _ *process) {
		var ahead atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())).Round(0) }
		held, err := one.leases.lock(t.Context(), Claim{Name: "write", Now: now})
		if err != nil {
			t.Fatal(err)
		}
		ahead.Store(int64(time.Hour))
		wantHeld(t, held)
		if newest := held.(*lease).newest; newest != 2 {
			t.Errorf("the newest sign of life is number %d, want a second one", newest)
		}
		one.unlock(held)
		wantLeft(t, store)
	})
}
