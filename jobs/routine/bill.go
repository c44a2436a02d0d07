package routine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// Bill drafts every open month, up to the one that its tick lies in.
type Bill struct{ Job }

// Name is the job's.
func (Bill) Name() string { return BillName }

// Asks are all open months, each at the newest tick: of a week's ticks that were
// missed one makes the draft.
func (b Bill) Asks(ctx context.Context, at schedule.Moment) ([]schedule.Ask, error) {
	tick, ok := b.latest(at)
	if !ok {
		return nil, nil
	}
	open, err := b.Books.Open(ctx, at.First, schedule.MonthOf(tick))
	var asks []schedule.Ask
	for _, m := range open {
		asks = append(asks, ask(BillName, "", m, tick))
	}
	return asks, err
}

// Plan is to compute the month; that also finds out whether there is something new.
func (b Bill) Plan(ctx context.Context, r schedule.Request) (schedule.Plan, error) {
	some, err := b.Books.Ledger.HasInputs(ctx)
	if err != nil {
		return schedule.Plan{}, err
	}
	if !some {
		return schedule.WaitFor(r.Slice, waitsForInput, "the bucket is empty: drop files under inbox/, or take them in with: calends ingest"), nil
	}
	m, found, err := b.Books.Month(ctx, r.Slice.Month)
	switch {
	case err != nil:
		return schedule.Plan{}, err
	case found && m.Current.State == ledger.Closed:
		return schedule.NothingTo(r.Slice, "%s is closed", m.Month), nil
	case !found:
		return schedule.ReadyTo(r.Slice, fmt.Sprintf("compute %s and write its first draft", r.Slice.Month)), nil
	}
	return schedule.ReadyTo(r.Slice, fmt.Sprintf("compute %s, and write draft %d if it differs from draft %d", m.Month, m.Current.Revision+1, m.Current.Revision)), nil
}

// Execute computes the month.
func (b Bill) Execute(ctx context.Context, r schedule.Request, _ schedule.Plan) (history.Outcome, error) {
	result, err := b.env(r).Bill(ctx, r.Slice.Month, false)
	if errors.Is(err, jobs.ErrMissing) {
		return history.Outcome{}, &schedule.WaitError{Code: waitsForInput, Err: err}
	}
	if err != nil {
		return history.Outcome{}, err
	}
	return b.billed(ctx, r.Slice.Month, result)
}

// billed is what a month came to. The record names the newest inputs, and the
// revision's manifest, which names all of them and every file.
func (j Job) billed(ctx context.Context, month pricing.Month, r jobs.BillResult) (history.Outcome, error) {
	lines := 0
	for _, inv := range r.Invoices {
		lines += inv.Lines
	}
	out := history.Outcome{
		Summary: fmt.Sprintf("%s %s, revision %d: %d invoices, %d lines, %d errors, %d warnings", r.Month, r.State, r.Revision, len(r.Invoices), lines, r.Errors, r.Warnings),
		Counts: map[string]int64{"invoices": int64(len(r.Invoices)), "lines": int64(lines), "revision": int64(r.Revision),
			"errors": int64(r.Errors), "warnings": int64(r.Warnings), "parked": int64(r.Subscriptions.Parked)},
		Exceptions: int64(r.Errors),
		Basis:      basisOf(r.Revision),
	}
	if !r.Written {
		out.Summary += "; as it was"
	}
	key := ledger.RevisionPrefix(month, r.Revision) + ledger.ManifestName
	manifest, err := bucket.ReadAll(ctx, j.Env.Bucket, key)
	if err != nil {
		return history.Outcome{}, fmt.Errorf("name what was written: %w", err)
	}
	out.Outputs = []history.Ref{refOf(key, manifest)}
	var m ledger.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return history.Outcome{}, fmt.Errorf("name what went in: read %s: %w", key, err)
	}
	out.Counts["inputs"] = int64(len(m.Inputs))
	for _, in := range m.Inputs[max(0, len(m.Inputs)-namedInputs):] {
		out.Inputs = append(out.Inputs, history.Ref{Name: fmt.Sprintf("input %d, %s", in.Number, in.Name), SHA256: in.SHA256})
	}
	return out, nil
}

// namedInputs is how many of the newest inputs a record names: a month is computed
// from all that ever came in, and its manifest names them.
const namedInputs = 20

// basisOf says which revision something came of.
func basisOf(revision int) string { return "revision " + strconv.Itoa(revision) }
