package signin

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// failures counts credentials that were wrong, by address and in all. Who sends too many
// is told to wait, and the trail hears no more of them; right ones are never counted, so
// that nobody is kept out by a neighbour behind the same address.
type failures struct {
	now func() time.Time

	mu  sync.Mutex
	by  map[string]*rate.Limiter
	all *rate.Limiter
}

const (
	failuresAtOnce = 10
	failureEach    = 10 * time.Second
	allAtOnce      = 200
	allEach        = 200 * time.Millisecond
	// mostAddresses are remembered; beyond it all begin anew.
	mostAddresses = 10_000
)

func newFailures(now func() time.Time) *failures {
	return &failures{now: now, by: make(map[string]*rate.Limiter), all: rate.NewLimiter(rate.Every(allEach), allAtOnce)}
}

// allow counts one more, and reports whether it is not too many.
func (f *failures) allow(address string) bool {
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	one, ok := f.by[address]
	if !ok {
		if len(f.by) >= mostAddresses {
			clear(f.by)
		}
		one = rate.NewLimiter(rate.Every(failureEach), failuresAtOnce)
		f.by[address] = one
	}
	return one.AllowN(now, 1) && f.all.AllowN(now, 1)
}
