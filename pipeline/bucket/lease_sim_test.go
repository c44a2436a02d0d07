package bucket

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestLeaseInATroubledWorld lets several processes want one lock, in simulated
// time, over a slow store: answers are lost, creations arrive long after they were
// given up, processes are paused and killed, listings show no single moment. It
// wants what a lock is for:
//
//   - From the moment somebody has the lock no earlier holder passes a check, and
//     what an earlier one passed is at least half a TTL ago.
//   - Whatever happened, the lock can be taken in the end, and nothing remains.
func TestLeaseInATroubledWorld(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := world{
			seed:      rapid.Uint64().Draw(rt, "seed"),
			processes: rapid.IntRange(2, 5).Draw(rt, "processes"),
			machines:  rapid.IntRange(1, 3).Draw(rt, "machines"),
			runs:      rapid.IntRange(1, 4).Draw(rt, "runs of each"),
			stalls:    rapid.Float64Range(0, 0.1).Draw(rt, "stalls"),
			losses:    rapid.Float64Range(0, 0.1).Draw(rt, "lost answers"),
			pauses:    rapid.Float64Range(0, 0.5).Draw(rt, "pauses"),
			kills:     rapid.Float64Range(0, 0.5).Draw(rt, "kills"),
		}
		synctest.Test(t, w.live)
		for _, p := range w.problems {
			rt.Error(p)
		}
	})
}

type world struct {
	seed                          uint64
	processes, machines, runs     int
	stalls, losses, pauses, kills float64

	store fakeStore
	late  sync.WaitGroup // requests that nobody waits for any more

	mu       sync.Mutex
	claims   int
	dead     map[string]bool
	holders  []*simRun // in the order of taking
	problems []string
}

// simRun is a holder's time with the lock.
type simRun struct {
	name   string
	passed time.Time // when it last passed a check
	ended  bool      // it began to unlock, or was killed
}

func (w *world) live(t *testing.T) {
	w.store.objects = map[string]string{}
	w.dead = map[string]bool{}
	var all sync.WaitGroup
	for i := range w.processes {
		all.Go(func() { w.process(t.Context(), i) })
	}
	all.Wait()
	w.late.Wait()

	// Afterwards the world is quiet. Strays of the dead may take a TTL each.
	begun := time.Now()
	held, err := w.leases(&link{rawStore: &w.store}, "last", "machine 0").lock(t.Context(), Claim{Name: "write"})
	if took := time.Since(begun); err != nil || took > DefaultTTL+2*longestWait {
		w.problem("in the end the lock is taken after %s: %v", took, err)
		return
	}
	if err := held.Unlock(); err != nil {
		w.problem("in the end: Unlock: %v", err)
	}
	if left := w.store.keys(); len(left) > 0 {
		w.problem("in the end %q is left", left)
	}
}

func (w *world) problem(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

func (w *world) leases(store rawStore, process, machine string) leases {
	return leases{
		store: store,
		self: func(Claim) Holder {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.claims++
			return Holder{ID: fmt.Sprint(process, " ", w.claims), Run: process, Host: machine, PID: 1}
		},
		gone: func(h Holder) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return h.Host == machine && w.dead[h.Run]
		},
	}
}

// process is started again and again, until it has had its runs.
func (w *world) process(ctx context.Context, number int) {
	chance := rand.New(rand.NewPCG(w.seed, uint64(number)))
	machine := fmt.Sprint("machine ", number%w.machines)
	for run := range w.runs {
		time.Sleep(upTo(chance, DefaultTTL))
		name := fmt.Sprintf("process %d.%d", number, run)
		line := &simLine{world: w, chance: rand.New(rand.NewPCG(chance.Uint64(), 0))}
		held, err := w.leases(line, name, machine).lock(ctx, Claim{Name: "write"})
		if err != nil {
			continue // others are at it, or the line was too bad
		}
		r := w.took(name)
		for range 1 + chance.IntN(5) {
			time.Sleep(upTo(chance, DefaultTTL))
			if chance.Float64() < w.pauses {
				line.pauseFor(upTo(chance, 3*DefaultTTL))
			}
			if held.Check(ctx) == nil {
				w.pass(r)
			}
		}
		if chance.Float64() < w.kills {
			w.kill(r, held.(*lease), line)
			continue
		}
		w.end(r)
		_ = held.Unlock() // over a bad line it may fail, and then ends by itself
		if chance.Float64() < w.losses {
			line.cut(errors.New("the process has ended"))
		}
		w.mu.Lock()
		w.dead[name] = true // like any process that is done
		w.mu.Unlock()
	}
}

func (w *world) took(name string) *simRun {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, earlier := range w.holders {
		if ago := time.Since(earlier.passed); !earlier.ended && ago < DefaultTTL/freshness {
			w.problems = append(w.problems, fmt.Sprintf("%s has the lock, and %s passed a check %s ago", name, earlier.name, ago))
		}
	}
	r := &simRun{name: name, passed: time.Now().Add(-DefaultTTL)}
	w.holders = append(w.holders, r)
	return r
}

func (w *world) pass(r *simRun) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.passed = time.Now()
	if newest := w.holders[len(w.holders)-1]; newest != r {
		w.problems = append(w.problems, fmt.Sprintf("%s passed a check after %s had the lock", r.name, newest.name))
	}
}

func (w *world) end(r *simRun) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.ended = true
}

func (w *world) kill(r *simRun, l *lease, line *simLine) {
	line.cut(errors.New("killed"))
	w.mu.Lock()
	r.ended = true
	w.dead[r.name] = true
	w.mu.Unlock()
	l.stop()
	<-l.beaten
}

func upTo(chance *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(chance.Int64N(int64(most)))
}

// simLine is a process's line to the store.
type simLine struct {
	world *world

	mu     sync.Mutex
	chance *rand.Rand
	paused time.Time // until then
	broken error
}

func (l *simLine) pauseFor(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = time.Now().Add(d)
}

func (l *simLine) cut(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = err
}

// awake returns when the process is not paused, or what its end is.
func (l *simLine) awake() error {
	for {
		l.mu.Lock()
		paused, broken := time.Until(l.paused), l.broken
		l.mu.Unlock()
		if broken != nil || paused <= 0 {
			return broken
		}
		time.Sleep(paused)
	}
}

// weather is what a request meets.
type weather struct {
	there, back time.Duration
	lost        bool
}

func (l *simLine) weather() weather {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := weather{there: upTo(l.chance, 100*time.Millisecond), back: upTo(l.chance, 100*time.Millisecond)}
	if l.chance.Float64() < l.world.stalls {
		w.there = upTo(l.chance, 3*DefaultTTL)
	}
	w.lost = l.chance.Float64() < l.world.losses
	return w
}

// send carries a request out. One that is late arrives though nobody waits for it
// any more; others are then forgotten.
func (l *simLine) send(ctx context.Context, late bool, request func() error) error {
	if err := l.awake(); err != nil {
		return err
	}
	w := l.weather()
	arrives := time.NewTimer(w.there)
	defer arrives.Stop()
	select {
	case <-arrives.C:
	case <-ctx.Done():
		if late {
			l.world.late.Go(func() {
				time.Sleep(w.there)
				_ = request() // nobody learns what became of it
			})
		}
		return errors.Join(ctx.Err(), l.awake())
	}
	err := request()
	time.Sleep(w.back)
	if ended := l.awake(); ended != nil {
		return ended
	}
	if w.lost {
		return errors.New("the answer was lost")
	}
	return err
}

func (l *simLine) create(ctx context.Context, key string, data []byte) error {
	return l.send(ctx, true, func() error { return l.world.store.create(context.WithoutCancel(ctx), key, data) })
}

func (l *simLine) read(ctx context.Context, key string) (data []byte, err error) {
	err = l.send(ctx, false, func() error { data, err = l.world.store.read(ctx, key); return err })
	return data, err
}

// list shows even numbers as they were at one moment and odd ones at another.
func (l *simLine) list(ctx context.Context, prefix string) (keys []string, err error) {
	err = l.send(ctx, false, func() error {
		for parity := range byte(2) {
			half, err := l.world.store.list(ctx, prefix)
			if err != nil {
				return err
			}
			for _, key := range half {
				if key[len(key)-len("0.json")]%2 == parity {
					keys = append(keys, key)
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		return nil
	})
	return keys, err
}

func (l *simLine) remove(ctx context.Context, key string) error {
	return l.send(ctx, false, func() error { return l.world.store.remove(ctx, key) })
}

// A taker looks twice, and each look was so slow that the holder's signs of life
// had come and gone before they were read: it saw nothing but itself.
func TestLeaseIsNotTakenByASlowLook(t *testing.T) {
	t.Parallel()
	w := world{seed: 0xd29718, processes: 4, machines: 1, runs: 3, stalls: 0.1, losses: 0.0009765625, pauses: 0.0078125, kills: 0.5}
	synctest.Test(t, w.live)
	for _, p := range w.problems {
		t.Error(p)
	}
}

// movingStore lists one object more, which is gone whenever it is read: what a
// holder's signs of life look like to whoever reads slowly.
type movingStore struct{ fakeStore }

func (s *movingStore) list(ctx context.Context, prefix string) ([]string, error) {
	keys, err := s.fakeStore.list(ctx, prefix)
	return append(keys, prefix+"00000012.json"), err
}

func TestLeaseSettlesOnWholePicturesOnly(t *testing.T) {
	t.Parallel()
	store := &movingStore{fakeStore{objects: map[string]string{}}}
	w := world{dead: map[string]bool{}}
	s := w.leases(store, "taker", "machine")
	claim := Claim{Name: "write"}.withDefaults()
	l := &lease{leases: s, claim: claim, holder: s.self(claim)}
	if taken, err := l.tryTake(t.Context(), nil); taken || err != nil {
		t.Errorf("taken %t, %v, though somebody is at it", taken, err)
	}
	if left := store.keys(); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
}
