package routine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/inbox"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/bucket"
)

// ImportChanges takes in what was dropped into the bucket's inbox. Every month waits
// for it before it closes.
type ImportChanges struct{ Import }

// Name is the job's.
func (ImportChanges) Name() string { return ImportChangesName }

// Asks is the inbox, at the newest tick.
func (c ImportChanges) Asks(_ context.Context, at schedule.Moment) ([]schedule.Ask, error) {
	tick, ok := c.latest(at)
	if !ok {
		return nil, nil
	}
	return []schedule.Ask{ask(ImportChangesName, "inbox", schedule.MonthOf(tick), tick)}, nil
}

func (c ImportChanges) inbox(r schedule.Request) inbox.Inbox {
	return inbox.Inbox{Env: c.env(r), Settle: inbox.SettleFor(c.Env.Bucket), LostRows: c.LostRows}
}

// Plan lists the inbox.
func (c ImportChanges) Plan(ctx context.Context, r schedule.Request) (schedule.Plan, error) {
	found, err := c.inbox(r).Plan(ctx, inbox.Options{Now: r.Now, Accept: r.Accept})
	if err != nil {
		return schedule.Plan{}, err
	}
	if stuck := found.Stuck(); len(stuck) > 0 && !found.Work() {
		return schedule.WaitFor(r.Slice, waitsForPerson, "%s %s", stuck[0].Key, stuck[0].Why), nil
	}
	if !found.Work() {
		return schedule.NothingTo(r.Slice, "the inbox is empty, or holds nothing that is whole yet"), nil
	}
	p := schedule.ReadyTo(r.Slice)
	p.Detail = found
	for _, item := range found.Items {
		step := fmt.Sprintf("%s %s", item.Will, item.Key)
		if item.Kind != "" {
			step += ": " + item.Kind
		}
		if item.Why != "" {
			step += " (" + item.Why + ")"
		}
		p.Steps = append(p.Steps, step)
	}
	return p, nil
}

// Execute takes the files in and puts them away.
func (c ImportChanges) Execute(ctx context.Context, r schedule.Request, p schedule.Plan) (history.Outcome, error) {
	plan, ok := p.Detail.(inbox.Plan)
	if !ok {
		return history.Outcome{}, errors.New("the plan does not list the inbox")
	}
	result, err := c.inbox(r).Execute(ctx, plan)
	out := history.Outcome{
		Summary: fmt.Sprintf("%d files: %d records taken, %d had already, %d refused; %d files held, %d filed, %d left, %d of them for a person",
			len(result.Files), result.Taken, result.Had, result.Refused, result.Held, result.Filed, result.Left, result.Stuck),
		Counts: map[string]int64{"files": int64(len(result.Files)), "taken": result.Taken, "had": result.Had, "refused": result.Refused,
			"held": int64(result.Held), "filed": int64(result.Filed), "left": int64(result.Left), "stuck": int64(result.Stuck)},
		Exceptions: result.Exceptions(),
	}
	for _, f := range result.Files {
		out.Inputs = append(out.Inputs, history.Ref{Name: f.Key})
		if f.To != "" {
			out.Outputs = append(out.Outputs, history.Ref{Name: f.To})
		}
		if f.Reason != "" {
			r.Log.Warn("not all of a file was taken", "file", f.Key, "status", string(f.Status), "reason", f.Reason, "now", f.To)
		}
	}
	return out, err
}

// stamp is an instant in a key.
func stamp(at time.Time) string { return at.UTC().Format("20060102T150405Z") }

// keep writes a report beside the ledger; the same again changes nothing.
func (j Job) keep(ctx context.Context, key string, data []byte) (history.Ref, error) {
	if err := bucket.PutSame(ctx, j.Env.Bucket, key, data); err != nil {
		return history.Ref{}, fmt.Errorf("keep a report: %w", err)
	}
	return refOf(key, data), nil
}
