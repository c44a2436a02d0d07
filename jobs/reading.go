package jobs

import (
	"context"
	"fmt"

	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// Reading is the ledger as it stood when it was read, for those who ask often. It is
// safe for concurrent use.
type Reading struct {
	env     Env
	at      snapshot
	catalog *ledger.Catalog
	owners  *owners // shared with the readings before and after
}

// Read reads all but changes and charges. Price sheets are read when they are first
// asked for, with this context: it has to last as long as the reading.
func (e Env) Read(ctx context.Context) (*Reading, error) {
	at, err := e.snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	catalog, err := e.ledger().Load(ctx, at.inputs, at.closes, nil, e.Policies)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return &Reading{env: e, at: at, catalog: catalog, owners: newOwners()}, nil
}

// ReadAfter is Read for those who have read before: only what came in since is read
// ([Reading.Next]). before may be nil.
func (e Env) ReadAfter(ctx context.Context, before *Reading) (*Reading, error) {
	if before == nil {
		return e.Read(ctx)
	}
	return before.Next(ctx, e)
}

// Catalog is everything that came in besides changes and charges.
func (r *Reading) Catalog() *ledger.Catalog { return r.catalog }

// Inputs are all inputs, in the order of taking in. They are not to be changed.
func (r *Reading) Inputs() []ledger.Input { return r.at.inputs }

// Months are the months that have a revision, in order. They are not to be changed.
func (r *Reading) Months() []ledger.Month { return r.at.months }

// Month returns what the bucket had of a month, false if it has no revision.
func (r *Reading) Month(month pricing.Month) (ledger.Month, bool) { return r.at.month(month) }
