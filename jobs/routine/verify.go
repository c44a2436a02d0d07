package routine

import (
	"context"
	"fmt"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/schedule"
)

// Verify reads everything again and proves it, at its newest tick.
type Verify struct{ Job }

// Name is the job's.
func (Verify) Name() string { return VerifyName }

// Asks is the month that the newest tick lies in.
func (v Verify) Asks(_ context.Context, at schedule.Moment) ([]schedule.Ask, error) {
	tick, ok := v.latest(at)
	if !ok {
		return nil, nil
	}
	return []schedule.Ask{ask(VerifyName, "", schedule.MonthOf(tick), tick)}, nil
}

// Plan is to read everything, if there is anything.
func (v Verify) Plan(ctx context.Context, r schedule.Request) (schedule.Plan, error) {
	some, err := v.Books.Ledger.HasInputs(ctx)
	if err != nil || !some {
		return schedule.NothingTo(r.Slice, "the bucket is empty"), err
	}
	return schedule.ReadyTo(r.Slice, "read and hash every object", "add every invoice up", "compute closed months again"), nil
}

// Execute verifies. What it finds wrong is a failure: somebody has to look.
func (v Verify) Execute(ctx context.Context, r schedule.Request, _ schedule.Plan) (history.Outcome, error) {
	result, err := v.env(r).Verify(ctx, jobs.VerifyPlan{})
	if err != nil {
		return history.Outcome{}, err
	}
	out := history.Outcome{
		Summary: fmt.Sprintf("%d inputs, %d revisions, %d objects, %d invoices with %d lines; %d closed months computed again; %d notices",
			result.Inputs, result.Revisions, result.Objects, result.Invoices, result.Lines, len(result.Proved), len(result.Notices)),
		Counts: map[string]int64{"inputs": int64(result.Inputs), "objects": int64(result.Objects), "invoices": int64(result.Invoices),
			"lines": int64(result.Lines), "proved": int64(len(result.Proved)), "notices": int64(len(result.Notices)), "findings": int64(len(result.Findings))},
		Exceptions: int64(len(result.Findings)),
	}
	if len(result.Findings) > 0 {
		f := result.Findings[0]
		return out, fmt.Errorf("%d things are wrong, the first: %s %s: %s; see them all with: calends verify", len(result.Findings), f.Kind, f.Object, f.What)
	}
	return out, nil
}
