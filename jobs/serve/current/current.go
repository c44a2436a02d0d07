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

	mu      sync.Mutex
	reading *jobs.Reading
	read    time.Time
}

// New returns one that reads the ledger anew where the last reading is older than
// often. The context is the server's.
func New(ctx context.Context, env func() jobs.Env, now func() time.Time, often time.Duration) *Current {
	return &Current{ctx: ctx, env: env, now: now, often: often}
}

// Reading returns the ledger as it is now, or was a moment ago.
func (c *Current) Reading() (*jobs.Reading, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.reading == nil || now.Sub(c.read) >= c.often {
		reading, err := c.env().ReadAfter(c.ctx, c.reading)
		if err != nil {
			return nil, err
		}
		c.reading, c.read = reading, now
	}
	return c.reading, nil
}

// Renew lets the next who asks see what was just written.
func (c *Current) Renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = time.Time{}
}
