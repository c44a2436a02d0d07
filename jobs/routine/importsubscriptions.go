package routine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/microsoft"
	"github.com/calends/calends/jobs/microsoft/drift"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// refOf names what was written.
func refOf(key string, data []byte) history.Ref {
	return history.Ref{Name: key, SHA256: fmt.Sprintf("%x", sha256.Sum256(data)), Size: int64(len(data))}
}

// takeChanges takes changes in, as a file of CloudEvents.
func (i Import) takeChanges(ctx context.Context, r schedule.Request, name string, changes []*change.Change) (result jobs.IngestResult, ref history.Ref, err error) {
	if len(changes) == 0 {
		return result, ref, nil
	}
	ours, err := i.env(r).Spelling(ctx, r.Today())
	if err != nil {
		return result, ref, err
	}
	microsoft.Spell(changes, ours)
	var data bytes.Buffer
	if err := microsoft.WriteChanges(&data, changes); err != nil {
		return result, ref, err
	}
	err = folder(func(dir string) error {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data.Bytes(), 0o600); err != nil {
			return fmt.Errorf("write changes down: %w", err)
		}
		result, err = i.take(ctx, r, dir, file, 0)
		return err
	})
	return result, refOf(name, data.Bytes()), err
}

// ImportAudit makes changes of what Partner Center's audit records prove. Every
// month waits for it before it closes.
type ImportAudit struct {
	Import
	Client *microsoft.Client
}

// Name is the job's.
func (ImportAudit) Name() string { return ImportAuditName }

// Asks are the records up to the newest tick.
func (a ImportAudit) Asks(_ context.Context, at schedule.Moment) ([]schedule.Ask, error) {
	tick, ok := a.latest(at)
	if !ok {
		return nil, nil
	}
	return []schedule.Ask{ask(ImportAuditName, "", schedule.MonthOf(tick), tick)}, nil
}

// windows are the days to ask for, since the tick that was done with last. In a new
// month the slice is a new one: it asks from the month's beginning on, or for all.
func (a ImportAudit) windows(ctx context.Context, r schedule.Request) ([]microsoft.Window, pricing.Date, error) {
	last := pricing.NoDate
	if !r.Stands.Done.IsZero() {
		last = schedule.DayOf(r.Stands.Done)
	} else {
		before, err := history.NewStore(a.Env.Bucket).View(ctx, r.Slice.Month-1, r.Slice.Month-1)
		if err != nil {
			return nil, 0, err
		}
		if done := before.Of(history.Slice{Job: ImportAuditName, Month: r.Slice.Month - 1}).Standing().Done; !done.IsZero() {
			last = schedule.DayOf(done)
		}
	}
	windows, lost := microsoft.AuditWindows(last, r.Today())
	return windows, lost, nil
}

// Plan says for which days records are asked for.
func (a ImportAudit) Plan(ctx context.Context, r schedule.Request) (schedule.Plan, error) {
	if plan, ok := waited(r); ok {
		return plan, nil
	}
	windows, lost, err := a.windows(ctx, r)
	if err != nil {
		return schedule.Plan{}, err
	}
	p := schedule.ReadyTo(r.Slice)
	if lost != pricing.NoDate {
		p.Steps = append(p.Steps, fmt.Sprintf("records from %s on are kept no more, and were not asked for: compare with a snapshot", lost))
	}
	for _, w := range windows {
		p.Steps = append(p.Steps, "ask for the audit records of "+w.String())
	}
	p.Steps = append(p.Steps, "take in the changes that they prove")
	return p, nil
}

// Execute asks, and takes in what is proved.
func (a ImportAudit) Execute(ctx context.Context, r schedule.Request, _ schedule.Plan) (out history.Outcome, err error) {
	windows, lost, err := a.windows(ctx, r)
	if err != nil {
		return out, err
	}
	if lost != pricing.NoDate {
		r.Log.Warn("audit records are kept no more that were not asked for", "from", lost.String())
		out.Exceptions++
	}
	got, err := a.Client.AuditChanges(ctx, windows, nil)
	if err != nil {
		return out, forPerson(err)
	}
	name := "audit-" + stamp(r.Tick)
	result, ref, err := a.takeChanges(ctx, r, name+".jsonl", got.Changes)
	if err != nil {
		return out, err
	}
	if ref.Name != "" {
		out.Inputs = []history.Ref{ref}
	}
	out.Summary = fmt.Sprintf("%d records: %d changes, %d of them new, %d refused; %d records prove nothing, %d are not done yet",
		got.Records, len(got.Changes), result.Taken, result.Refused, len(got.Left), got.Pending)
	out.Counts = map[string]int64{"records": int64(got.Records), "changes": int64(len(got.Changes)), "taken": result.Taken, "refused": result.Refused, "left": int64(len(got.Left))}
	out.Exceptions += result.Refused + int64(len(got.Left))
	if len(got.Left) > 0 {
		var report bytes.Buffer
		if err := microsoft.WriteAuditLeft(&report, got.Left); err != nil {
			return out, err
		}
		ref, err := a.keep(ctx, fmt.Sprintf("microsoft/audit/%s/%s-%.12x.csv", r.Slice.Month, stamp(r.Tick), sha256.Sum256(report.Bytes())), report.Bytes())
		if err != nil {
			return out, err
		}
		out.Outputs = append(out.Outputs, ref)
	}
	return out, nil
}

// ImportSnapshot compares all of Microsoft's subscriptions with what the ledger
// believes of them, and reports where they differ. Where Take is set, what the
// snapshot proves is taken in.
type ImportSnapshot struct {
	Import
	Client *microsoft.Client
	Take   bool
}

// Name is the job's.
func (ImportSnapshot) Name() string { return ImportSnapshotName }

// Asks is a snapshot at the newest tick.
func (s ImportSnapshot) Asks(_ context.Context, at schedule.Moment) ([]schedule.Ask, error) {
	tick, ok := s.latest(at)
	if !ok {
		return nil, nil
	}
	a := ask(ImportSnapshotName, "", schedule.MonthOf(tick), tick)
	if !s.Take {
		a.Needed = neverNeeded
	}
	return []schedule.Ask{a}, nil
}

// Plan is to ask and compare.
func (s ImportSnapshot) Plan(_ context.Context, r schedule.Request) (schedule.Plan, error) {
	if plan, ok := waited(r); ok {
		return plan, nil
	}
	p := schedule.ReadyTo(r.Slice, "ask for the subscriptions of every customer", "compare them with what the ledger believes", "report where they differ")
	if s.Take {
		p.Steps = append(p.Steps, "take in the changes that the snapshot proves")
	}
	return p, nil
}

// Execute asks and compares.
func (s ImportSnapshot) Execute(ctx context.Context, r schedule.Request, _ schedule.Plan) (out history.Outcome, err error) {
	err = folder(func(dir string) (err error) {
		customers, err := s.Client.Customers(ctx)
		if err != nil {
			return err
		}
		file, err := os.Create(filepath.Join(dir, "snapshot.jsonl"))
		if err != nil {
			return fmt.Errorf("write a snapshot down: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		snapshot, err := s.Client.Snapshot(ctx, microsoft.SnapshotPlan{Customers: customers}, file)
		if err != nil {
			return err
		}
		if _, err := file.Seek(0, 0); err != nil {
			return fmt.Errorf("read the snapshot: %w", err)
		}
		var report bytes.Buffer
		rows, err := drift.NewReport(&report)
		if err != nil {
			return err
		}
		var changes []*change.Change
		compared, err := microsoft.Drift(microsoft.ReadSnapshot(file), s.ours(ctx, r), func(found []drift.Finding) error {
			for _, f := range found {
				changes = append(changes, f.Changes...)
			}
			return rows.Add(found)
		})
		if err = errors.Join(err, rows.Close()); err != nil {
			return err
		}
		out.Summary = fmt.Sprintf("%d customers, %d subscriptions: %d differences, %d changes proposed; %d customers could not be read",
			compared.Customers, compared.Subscriptions, compared.Findings, compared.Proposed, snapshot.Failed)
		out.Counts = map[string]int64{"customers": int64(compared.Customers), "subscriptions": int64(compared.Subscriptions),
			"differences": int64(compared.Findings), "proposed": int64(compared.Proposed), "failed": int64(snapshot.Failed)}
		out.Exceptions = int64(compared.Findings + snapshot.Failed)
		ref, err := s.keep(ctx, fmt.Sprintf("microsoft/drift/%s/%s-%.12x.csv", r.Slice.Month, stamp(r.Tick), sha256.Sum256(report.Bytes())), report.Bytes())
		if err != nil {
			return err
		}
		out.Outputs = append(out.Outputs, ref)
		if !s.Take {
			return nil
		}
		result, took, err := s.takeChanges(ctx, r, "snapshot-"+stamp(r.Tick)+".jsonl", changes)
		if err != nil {
			return err
		}
		if took.Name != "" {
			out.Inputs = append(out.Inputs, took)
		}
		out.Counts["taken"], out.Counts["refused"] = result.Taken, result.Refused
		out.Summary += fmt.Sprintf("; %d taken, %d refused", result.Taken, result.Refused)
		return nil
	})
	return out, forPerson(err)
}

// ours is what the ledger believes today.
func (s ImportSnapshot) ours(ctx context.Context, r schedule.Request) iter.Seq2[drift.Ours, error] {
	return func(yield func(drift.Ours, error) bool) {
		for b, err := range s.env(r).Subscriptions(ctx, r.Today()) {
			if !yield(drift.Ours(b), err) {
				return
			}
		}
	}
}
