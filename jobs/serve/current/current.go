// Package current holds what the bucket says now, read once and asked by many.
package current

import (
	"context"
	"sync"
	"time"

	"github.com/calends/calends/jobs"
)

// Current is the newest reading of the ledger. It is safe for concurrent use.
type Current struct {
	env func() jobs.Env
	now func() time.Time
	// often is how long a reading counts as new.
	often time.Duration
	//nolint:containedctx // price sheets of a reading are read when they are first asked for, after the request that made it
	ctx context.Context

	reads sync.Mutex // held by who reads on

	mu      sync.Mutex // of what follows
	reading *jobs.Reading
	read    time.Time
	stale   bool // something was written since: nobody may have the old one
}

// New returns one that reads the ledger anew where the last reading is older than
// often. The context is the server's.
func New(ctx context.Context, env func() jobs.Env, now func() time.Time, often time.Duration) *Current {
	return &Current{ctx: ctx, env: env, now: now, often: often}
}

// Reading returns the ledger as it is now, or was a moment ago. One caller reads on;
// the others have what there is meanwhile, unless something was written since.
func (c *Current) Reading() (*jobs.Reading, error) {
	reading, fresh, stale := c.known()
	if fresh {
		return reading, nil
	}
	if reading == nil || stale {
		c.reads.Lock()
	} else if !c.reads.TryLock() {
		return reading, nil
	}
	defer c.reads.Unlock()
	if reading, fresh, _ = c.known(); fresh {
		return reading, nil // somebody else has read on meanwhile
	}
	c.mu.Lock()
	c.stale = false // what is written from here on is news again
	c.mu.Unlock()
	now := c.now()
	next, err := c.env().ReadAfter(c.ctx, reading)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.stale = true
		return nil, err
	}
	c.reading, c.read = next, now
	return next, nil
}

func (c *Current) known() (reading *jobs.Reading, fresh, stale bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reading, c.reading != nil && !c.stale && c.now().Sub(c.read) < c.often, c.stale
}

// Renew lets whoever asks from now on see what was just written.
func (c *Current) Renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stale = true
}
