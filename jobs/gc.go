package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
)

// MinimumAge is how old a leftover is at least before it is removed: what is
// younger may be somebody's work.
const MinimumAge = time.Hour

// GCPlan says what to collect.
type GCPlan struct {
	DryRun bool
	// OlderThan is the age, at least [MinimumAge], from which leftovers go.
	OlderThan time.Duration
	// Drafts also removes the superseded drafts of closed months.
	Drafts bool
	// Now is the time for a dry run, which cannot ask the store for its own.
	Now time.Time
}

// GCResult says what was removed, or would be on a dry run.
type GCResult struct {
	DryRun  bool      `json:"dryRun,omitempty"`
	Removed []Removal `json:"removed"`
	Bytes   int64     `json:"bytes"`
	// Young counts leftovers that are kept for their age.
	Young int `json:"young"`
	// Undated counts leftovers whose age the store does not tell. They are kept.
	Undated int `json:"undated"`
	// Numbered counts what is kept because a manifest may be lost: the files of a
	// revision without one whose invoices have numbers, in a month that is open, and
	// then all data that nothing names.
	Numbered int `json:"numbered"`
}

// Removal is one object that goes.
type Removal struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
	Why  string `json:"why"`
}

// GC removes what nothing names: data objects that no input and no manifest
// names, and the files of revisions without a manifest. What is named stays, and
// so does what is young, a file that is not calends', and what a repair has set
// aside. While a record cannot be read nothing is removed, for who knows what it
// names. It holds the write lock, so nobody is about to name what goes.
func (e Env) GC(ctx context.Context, plan GCPlan) (result GCResult, err error) {
	if plan.OlderThan < MinimumAge {
		return GCResult{}, fmt.Errorf("gc: %w: %s is too young; what is younger than %s may be somebody's work", ErrUsage, plan.OlderThan, MinimumAge)
	}
	if err := e.anything(ctx, "gc"); err != nil {
		return GCResult{}, err
	}
	dead, err := e.abandoned(ctx) // taking the lock removes them
	if err != nil {
		return GCResult{}, err
	}
	collect := func(ctx context.Context, e Env) error {
		c, err := e.garbage(ctx, plan)
		if err != nil {
			return err
		}
		result = GCResult{DryRun: plan.DryRun, Removed: []Removal{}, Young: c.young, Undated: c.undated, Numbered: c.numbered}
		for _, r := range append(dead, c.removals...) {
			result.Removed = append(result.Removed, r)
			result.Bytes += r.Size
		}
		if plan.DryRun {
			return nil
		}
		return e.remove(ctx, c.removals)
	}
	if plan.DryRun {
		return result, collect(ctx, e)
	}
	err = e.locked(ctx, "gc", collect)
	return result, err
}

func (e Env) abandoned(ctx context.Context) (removals []Removal, err error) {
	keeper, ok := e.Bucket.(bucket.Keeper)
	if !ok {
		return nil, nil
	}
	left, err := keeper.Abandoned(ctx)
	for _, info := range left {
		removals = append(removals, Removal{info.Key, info.Size, "temporary file of a writer that died"})
	}
	return removals, err
}

func (e Env) remove(ctx context.Context, removals []Removal) error {
	for i, r := range removals {
		if err := e.mayPublish(ctx); err != nil { // whoever has the lock may count on what is here
			return err
		}
		if err := e.Bucket.Delete(ctx, r.Key); err != nil {
			return fmt.Errorf("gc: %w", err)
		}
		e.progress("gc", int64(i+1), int64(len(removals)))
	}
	return nil
}

// collection is what a bucket has that may go.
type collection struct {
	removals                 []Removal
	young, undated, numbered int
}

// garbage reads all records and finds what may go.
func (e Env) garbage(ctx context.Context, plan GCPlan) (collection, error) {
	v := newVerification(e, VerifyPlan{Quick: true})
	if err := v.list(ctx); err != nil {
		return collection{}, err
	}
	if err := v.records(ctx); err != nil {
		return collection{}, err
	}
	if err := v.certain(); err != nil {
		return collection{}, fmt.Errorf("gc: %w", err)
	}
	now, err := e.storeTime(ctx, plan.Now)
	if err != nil {
		return collection{}, fmt.Errorf("gc: ask the store for its time: %w", err)
	}
	return v.garbage(ctx, now.Add(-plan.OlderThan), plan.Drafts)
}

// certain is an error while it is not known what all records name.
func (v *verification) certain() error {
	for _, f := range v.notes {
		switch f.Kind {
		case UnreadableObject:
			if !isComparisonManifest(f.Object) {
				continue
			}
			fallthrough
		case UnreadableRecord, NewerLayout, InputGap, MissingInput:
			return fmt.Errorf("%s: %s: it is not known what it names, so nothing is removed; %s", f.Object, f.Found, f.Advice)
		default:
		}
	}
	return nil
}

// storeTime is the time by the store's clock, which dates its objects: that of an
// object written for it. Without the lock nothing is written, and it is now.
func (e Env) storeTime(ctx context.Context, now time.Time) (at time.Time, err error) {
	if e.lock == nil {
		return now, nil
	}
	if err := e.Bucket.Delete(ctx, probeKey); err != nil { // an interrupted run's
		return at, err
	}
	if err := bucket.Put(ctx, e.Bucket, probeKey, nil); err != nil {
		return at, err
	}
	defer func() { err = errors.Join(err, e.Bucket.Delete(ctx, probeKey)) }()
	for info, err := range e.Bucket.List(ctx, probeKey) {
		if err != nil {
			return at, err
		}
		at = info.Modified
	}
	return at, nil
}

// garbage finds what nothing names and what came before the given time. A folder
// goes as a whole: one young file in it keeps it. Where the manifest of a close
// may be lost, its folder stays, and so does all data that it may name.
func (v *verification) garbage(ctx context.Context, before time.Time, drafts bool) (c collection, err error) {
	folders := newFolders()
	var data []bucket.Info
	superseded := make(map[string]bool)
	if drafts {
		superseded = v.supersededDrafts()
	}
	complete := v.complete()
	for _, key := range v.keys {
		_, named := v.named[key]
		info := v.listed[key]
		switch kind := ledger.KindOfKey(key); {
		case kind == ledger.DataKey && !named:
			data = append(data, info)
		case comparisonKeys.MatchString(key) && !named:
			c.take(before, "no reconciliation names it", info)
		case kind == ledger.ManifestKey || kind == ledger.RevisionKey:
			folder := ledger.RevisionFolder(key)
			switch {
			case superseded[folder] || !complete[folder]:
				folders.add(folder, info)
			case !named:
				c.take(before, "the manifest beside it does not name it", info)
			}
		}
	}
	lost := false
	for _, folder := range folders.names {
		why := "a draft of a closed month"
		if !superseded[folder] {
			why = "its revision has no manifest"
			issued, err := v.mayBeIssued(ctx, folder)
			if err != nil {
				return c, err
			}
			if issued {
				lost = true
				c.numbered += len(folders.files[folder])
				continue
			}
		}
		c.take(before, why, manifestFirst(folders.files[folder])...)
	}
	if lost {
		c.numbered += len(data)
		return c, nil
	}
	for _, info := range data {
		c.take(before, "no input and no manifest names it", info)
	}
	return c, nil
}

// folders are objects by folder, in the order of the listing.
type folders struct {
	names []string
	files map[string][]bucket.Info
}

func newFolders() folders { return folders{files: make(map[string][]bucket.Info)} }

func (f *folders) add(name string, info bucket.Info) {
	if f.files[name] == nil {
		f.names = append(f.names, name)
	}
	f.files[name] = append(f.files[name], info)
}

// take removes all of the objects, or none if one of them is young.
func (c *collection) take(before time.Time, why string, infos ...bucket.Info) {
	for _, info := range infos {
		switch {
		case info.Modified.IsZero():
			c.undated += len(infos)
			return
		case !info.Modified.Before(before):
			c.young += len(infos)
			return
		}
	}
	for _, info := range infos {
		c.removals = append(c.removals, Removal{info.Key, info.Size, why})
	}
}

// manifestFirst puts the manifest to the front: without it the revision is not
// there any more, whatever happens next.
func manifestFirst(infos []bucket.Info) []bucket.Info {
	for i, info := range infos {
		if ledger.KindOfKey(info.Key) == ledger.ManifestKey {
			infos[0], infos[i] = infos[i], infos[0]
		}
	}
	return infos
}

// supersededDrafts are the folders of drafts whose month is closed.
func (v *verification) supersededDrafts() map[string]bool {
	closed := make(map[string]int)
	for _, m := range v.months {
		if m.Current.State == ledger.Closed {
			closed[m.Current.Month] = m.Current.Revision
		}
	}
	folders := make(map[string]bool)
	for _, r := range v.revisions {
		if r.manifest.State == ledger.Draft && r.manifest.Revision < closed[r.manifest.Month] {
			folders[ledger.RevisionFolder(r.key)] = true
		}
	}
	return folders
}
