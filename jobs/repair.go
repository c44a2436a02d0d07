package jobs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
)

// RepairPlan says what a repair may use.
type RepairPlan struct {
	// DryRun says what would be done, and does none of it.
	DryRun bool
	// From are files and folders to take content from: files that were taken in,
	// exports, backups. Only what has the hash that is wanted is used.
	From []string
	// Now is the time for a dry run, see [GCPlan].
	Now time.Time
	// Before is told what will be done before any of it is. nil: nobody wants to know.
	Before func(RepairResult) error
}

// RepairResult says what is done and what is left.
type RepairResult struct {
	DryRun  bool           `json:"dryRun,omitempty"`
	Actions []RepairAction `json:"actions"`
	Left    []Unmended     `json:"left"`
	// Faults is how many faults Verify finds afterwards, closed months not computed
	// again; on a dry run how many there are.
	Faults int `json:"faults"`
}

// The things that a repair does.
const (
	// PutBack writes exactly the bytes that a record names.
	PutBack = "put back"
	// SetAside moves an object into the quarantine folder.
	SetAside = "set aside"
	// BillAgain publishes the next draft of a month.
	BillAgain = "bill again"
	// RemoveLeftover deletes what nothing names, as gc does.
	RemoveLeftover = "remove"
)

// RepairAction is one thing that a repair does.
type RepairAction struct {
	Do   string `json:"do"`
	Key  string `json:"key"` // or the month
	Why  string `json:"why"`
	How  string `json:"how"`
	Done bool   `json:"done"`

	run func(context.Context, Env) error
}

// Unmended is what a repair cannot mend.
type Unmended struct {
	Key    string `json:"key"`
	What   string `json:"what"`
	Reason string `json:"reason"` // why not
	Advice string `json:"advice"` // what a person can do
}

// Open reports whether something is left for a person to look at.
func (r RepairResult) Open() bool { return len(r.Left) > 0 || !r.DryRun && r.Faults > 0 }

// Repair mends what can be mended. Bytes that are written again are those that
// an input or a manifest names, to the last: computed from what the revision knew,
// or read from files that are offered. What stood there is moved to the
// quarantine first; nothing is lost.
func (e Env) Repair(ctx context.Context, plan RepairPlan) (result RepairResult, err error) {
	if plan.DryRun {
		result, err = e.planRepair(ctx, plan)
		result.DryRun = true
		return result, err
	}
	if err := e.anything(ctx, "repair"); err != nil { // before a lock makes the folder
		return RepairResult{}, err
	}
	err = e.locked(ctx, "repair", func(ctx context.Context, e Env) error {
		result, err = e.planRepair(ctx, plan)
		if err != nil {
			return err
		}
		if plan.Before != nil {
			if err := plan.Before(result); err != nil {
				return err
			}
		}
		return e.execute(ctx, &result)
	})
	return result, err
}

// anything refuses a bucket without any object: its address is more likely mistyped.
func (e Env) anything(ctx context.Context, job string) error {
	for _, err := range e.Bucket.List(ctx, "") {
		return err
	}
	return snapshot{}.something(job)
}

// execute does what was planned, then looks at the bucket again.
func (e Env) execute(ctx context.Context, r *RepairResult) error {
	for i := range r.Actions {
		a := &r.Actions[i]
		if err := e.mayPublish(ctx); err != nil {
			return err
		}
		if err := a.run(ctx, e); err != nil {
			return fmt.Errorf("repair: %s %s: %w", a.Do, a.Key, err)
		}
		a.Done = true
		e.progress("repair", int64(i+1), int64(len(r.Actions)))
	}
	if len(r.Actions) == 0 {
		return nil
	}
	after, err := e.Verify(ctx, VerifyPlan{SkipProof: true})
	r.Faults = len(after.Findings)
	return err
}

// setAside moves an object into the quarantine: copied whole, then removed.
func (e Env) setAside(ctx context.Context, key string) error {
	data, err := bucket.ReadAll(ctx, e.Bucket, key)
	if errors.Is(err, bucket.ErrNotExist) {
		return nil // an interrupted repair has done it
	}
	if err != nil {
		return err
	}
	if err := bucket.PutSame(ctx, e.Bucket, quarantineFolder+hashOf(data)+"-"+path.Base(key), data); err != nil {
		return err
	}
	return e.Bucket.Delete(ctx, key)
}

// putBack writes bytes in the place of others.
func (e Env) putBack(ctx context.Context, key string, data []byte) error {
	if err := e.setAside(ctx, key); err != nil {
		return err
	}
	return bucket.PutSame(ctx, e.Bucket, key, data)
}

// repairing plans a repair, on a patch that shows the bucket as it will be.
type repairing struct {
	env     Env // the bucket as it is
	mended  Env // the bucket as it will be
	patch   *patch
	v       *verification
	offer   *offer
	damaged map[string]string // key of a named object -> what is wrong with it
	plan    RepairPlan
	result  RepairResult
}

func (e Env) planRepair(ctx context.Context, plan RepairPlan) (RepairResult, error) {
	r := repairing{env: e, patch: newPatch(e.Bucket), damaged: make(map[string]string), plan: plan,
		result: RepairResult{Actions: []RepairAction{}, Left: []Unmended{}}}
	r.mended = e
	r.mended.Bucket = r.patch
	var err error
	if r.v, err = e.verify(ctx, VerifyPlan{SkipProof: true}); err != nil {
		return r.result, err
	}
	r.result.Faults = len(r.v.result.Findings)
	if r.offer, err = e.readOffer(ctx, plan.From); err != nil {
		return r.result, err
	}
	for _, f := range r.v.result.Findings {
		switch f.Kind {
		case MissingObject, WrongSize, WrongHash:
			r.damaged[f.Object] = "is damaged"
			if f.Kind == MissingObject {
				r.damaged[f.Object] = "is missing"
			}
		default:
		}
	}
	// In the order in which one needs the other.
	for _, step := range []func(context.Context) error{r.records, r.inputs, r.data, r.revisions, r.comparisons, r.leftovers} {
		if err := step(ctx); err != nil {
			return r.result, fmt.Errorf("repair: %w", err)
		}
	}
	r.rest()
	return r.result, ctx.Err()
}

func (r *repairing) act(do, key, why, how string, run func(context.Context, Env) error) {
	r.result.Actions = append(r.result.Actions, RepairAction{Do: do, Key: key, Why: why, How: how, run: run})
}

// planPutBack plans to write the bytes, and shows them to what is planned next.
func (r *repairing) planPutBack(ctx context.Context, key, why, how string, data []byte) error {
	r.act(PutBack, key, why, how, func(ctx context.Context, e Env) error { return e.putBack(ctx, key, data) })
	return r.patch.put(ctx, key, data)
}

func (r *repairing) planSetAside(key, why, how string) {
	r.act(SetAside, key, why, how, func(ctx context.Context, e Env) error { return e.setAside(ctx, key) })
	r.patch.hidden = append(r.patch.hidden, key)
}

func (r *repairing) leave(key, what, reason, advice string) {
	r.result.Left = append(r.result.Left, Unmended{key, what, reason, advice})
}

// records mends manifests that say nothing, and moves aside what is no record.
func (r *repairing) records(ctx context.Context) error {
	for _, f := range r.v.result.Findings {
		switch {
		case f.Kind == ForeignFile:
			r.planSetAside(f.Object, "no input has such a key", "moved to "+quarantineFolder)
		case f.Kind == NewerLayout:
			r.leave(f.Object, "has a later layout", "this version does not know it", f.Advice)
		case f.Kind == UnreadableRecord && ledger.KindOfKey(f.Object) == ledger.ManifestKey:
			if err := r.unreadableManifest(ctx, f.Object); err != nil {
				return err
			}
		}
	}
	for _, f := range r.v.result.Notices {
		if f.Kind == HalfWritten && f.Severity == SeverityWarning {
			if _, err := r.copyManifest(ctx, f.Object+ledger.ManifestName, "is missing"); err != nil {
				return err
			}
		}
	}
	return nil
}

// comparisons puts damaged files of reconciliations back from copies. Making them
// again needs Microsoft's files, so that is left to a person.
func (r *repairing) comparisons(ctx context.Context) error {
	for _, c := range r.v.claims {
		why, damaged := r.damaged[c.key]
		if !damaged || !strings.HasPrefix(c.key, reconcileFolder) {
			continue
		}
		data, from, err := r.offer.content(c.sha256)
		if err != nil {
			return err
		}
		if data == nil {
			r.leave(c.key, why, "it is made from Microsoft's files", comparisonAdvice+"; or calends repair --from DIR with a copy")
			continue
		}
		if err := r.planPutBack(ctx, c.key, why, "copied from "+from, data); err != nil {
			return err
		}
	}
	return nil
}

// leftovers removes what nothing names and what is a day old, unless what is lost
// may be what names it.
func (r *repairing) leftovers(ctx context.Context) error {
	if r.v.certain() != nil {
		return nil
	}
	now, err := r.env.storeTime(ctx, r.plan.Now)
	if err != nil {
		return err
	}
	garbage, err := r.v.garbage(ctx, now.Add(-leftoverAge), false)
	if err != nil {
		return err
	}
	for _, g := range garbage.removals {
		if _, err := r.patch.over.Open(ctx, g.Key); err == nil {
			continue // what was put back may name it
		}
		r.act(RemoveLeftover, g.Key, g.Why, "deleted: it is older than a day", func(ctx context.Context, e Env) error {
			return e.Bucket.Delete(ctx, g.Key)
		})
	}
	return nil
}

// leftoverAge is the age from which a repair takes leftovers for abandoned.
const leftoverAge = 24 * time.Hour

// rest names the faults that no step has taken on. Those of a revision with a
// damaged file may be only its consequences: they show when that is mended.
func (r *repairing) rest() {
	folders := make(map[string]bool)
	for key := range r.damaged {
		folders[folderOf(key)] = true
		folders[key] = true
	}
	for _, f := range r.v.result.Findings {
		switch f.Kind {
		case UnreadableObject, WrongTotals, WrongCount:
			if !folders[folderOf(f.Object)] && !folders[f.Object] {
				r.leave(f.Object, f.What+" is wrong", "its bytes are those that were recorded, or the record itself was edited", f.Advice)
			}
		case WrongBooks:
			if r.putsBackClose(f.Expected) {
				continue // whether that was all shows when it is looked at again
			}
			r.leave(f.Object, f.What+" is wrong", "what was issued cannot be computed from anything else", f.Advice)
		default:
		}
	}
}

// putsBackClose reports whether a manifest of the month is to be put back.
func (r *repairing) putsBackClose(month string) bool {
	return slices.ContainsFunc(r.result.Actions, func(a RepairAction) bool {
		return a.Do == PutBack && ledger.KindOfKey(a.Key) == ledger.ManifestKey && strings.HasPrefix(a.Key, "invoices/month="+month+"/")
	})
}

// folderOf is the revision folder of a key, or nothing.
func folderOf(key string) string {
	switch ledger.KindOfKey(key) {
	case ledger.ManifestKey, ledger.RevisionKey:
		return ledger.RevisionFolder(key)
	default:
		return key
	}
}
