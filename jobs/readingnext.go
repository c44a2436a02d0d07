package jobs

import (
	"context"
	"fmt"
	"slices"

	"github.com/calends/calends/pipeline/ledger"
)

// Next is the ledger as it stands now, for whoever has a reading of it: only what is
// new is read. It is the same reading where nothing is. What came in but changes and
// charges, and a close, have the catalog read anew, with this context; it has to last
// as long as the reading.
func (r *Reading) Next(ctx context.Context, e Env) (*Reading, error) {
	at, err := e.snapshotSince(ctx, r.at)
	if err != nil {
		return nil, fmt.Errorf("read on in the ledger: %w", err)
	}
	came := at.inputs[len(r.at.inputs):]
	if len(came) == 0 && slices.EqualFunc(at.months, r.at.months, sameRevision) && e.Today == r.env.Today {
		return r, nil
	}
	next := *r // with all that it shares
	next.env, next.at = e, at
	kept := len(at.closes) == len(r.at.closes)
	for _, in := range came {
		kept = kept && (in.Kind == ledger.Changes || in.Kind == ledger.Charges)
	}
	if !kept {
		if next.catalog, err = e.ledger().Load(ctx, at.inputs, at.closes, nil, e.Policies); err != nil {
			return nil, fmt.Errorf("read on in the ledger: %w", err)
		}
	}
	return &next, nil
}

func sameRevision(a, b ledger.Month) bool {
	return a.Month == b.Month && a.Current.Revision == b.Current.Revision
}

// snapshotSince is the ledger as it is now, for a job that has an earlier one.
func (e Env) snapshotSince(ctx context.Context, known snapshot) (at snapshot, err error) {
	l := e.ledger()
	if at.months, err = l.MonthsSince(ctx, known.months); err != nil { // first, as in snapshot
		return at, err
	}
	if at.inputs, err = l.InputsSince(ctx, known.inputs); err != nil {
		return at, err
	}
	at.closes, err = ledger.Closes(at.months)
	return at, err
}
