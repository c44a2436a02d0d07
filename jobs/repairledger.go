package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
)

// inputs makes the records of inputs again that are missing or say nothing, from
// the files that were taken in. Which those were, the manifests tell.
func (r *repairing) inputs(ctx context.Context) error {
	there := make(map[int64]bool)
	last := int64(0)
	for _, in := range r.v.known {
		there[in.Number] = true
		last = max(last, in.Number)
	}
	refs := make(map[int64]ledger.InputRef)
	for _, rev := range r.v.revisions {
		for _, ref := range rev.manifest.Inputs {
			refs[ref.Number] = ref
			last = max(last, ref.Number)
		}
	}
	unreadable := make(map[string]bool)
	for _, f := range r.v.result.Findings {
		if f.Kind == UnreadableRecord && ledger.KindOfKey(f.Object) == ledger.InputKey {
			unreadable[f.Object] = true
			if n, ok := ledger.InputNumber(f.Object); ok {
				last = max(last, n)
			}
		}
		if f.Kind == MissingInput && !strings.HasSuffix(f.Found, "missing") {
			r.leave(f.Object, f.What+" is another one", "the ledger and the manifest contradict each other", f.Advice)
		}
	}
	for n := int64(1); n <= last; n++ {
		if there[n] {
			continue
		}
		key := ledger.InputKeyOf(n)
		why := "is missing"
		if unreadable[key] {
			why = "cannot be read"
		} else if _, newer := r.v.listed[key]; newer {
			continue // of a later layout
		}
		ref, ok := refs[n]
		if !ok {
			r.leave(key, why, "no manifest names this input, so nobody knows what it was", "put it back from a backup")
			continue
		}
		if err := r.input(ctx, key, why, ref); err != nil {
			return err
		}
	}
	return nil
}

func (r *repairing) input(ctx context.Context, key, why string, ref ledger.InputRef) error {
	wanted := fmt.Sprintf("calends repair --from FILE with the file that was taken in: %s, sha256 %s", ref.Name, ref.SHA256)
	taken, path, err := r.offer.take(ctx, ref.SHA256, ref.Kind, "")
	if err != nil {
		return err
	}
	if taken == nil {
		r.leave(key, why, "it can only be made from the file that was taken in", wanted)
		return nil
	}
	in, ok, err := r.offer.record(ctx, taken, ref)
	if err != nil {
		return err
	}
	if !ok {
		r.leave(key, why, path+" does not say its month, or is not read as "+string(ref.Kind), "offer it below a folder that says the month, such as 2026-10/"+filepath.Base(path)+", or put the record back from a backup")
		return nil
	}
	for _, o := range in.DataObjects() {
		if r.v.listed[o.Key].Size == o.Size {
			continue
		}
		data, err := bucket.ReadAll(ctx, taken, o.Key)
		if err != nil {
			return err
		}
		if err := r.planPutBack(ctx, o.Key, "data of "+ref.Name+" that is missing", "taken in again from "+path, data); err != nil {
			return err
		}
		delete(r.damaged, o.Key)
	}
	scratch := bucket.NewMemory()
	if err := (ledger.Ledger{Bucket: scratch}).Append(ctx, in); err != nil {
		return err
	}
	data, err := bucket.ReadAll(ctx, scratch, key)
	if err != nil {
		return err
	}
	return r.planPutBack(ctx, key, why, "taken in again from "+path, data)
}

// data puts objects of inputs back, from the files that were taken in or from
// copies. Those of a close are made with its revision.
func (r *repairing) data(ctx context.Context) error {
	for _, c := range r.v.claims {
		why, damaged := r.damaged[c.key]
		if !damaged || !c.data {
			continue
		}
		data, from, err := r.offer.content(c.sha256)
		if err != nil {
			return err
		}
		how := "copied from " + from
		reason := "it can only be made from the file that was taken in"
		for _, in := range c.inputs {
			if data != nil {
				break
			}
			taken, path, err := r.offer.take(ctx, in.SHA256, in.Kind, in.Month)
			if err != nil {
				return err
			}
			if taken == nil {
				continue
			}
			found, err := bucket.ReadAll(ctx, taken, c.key)
			if errors.Is(err, bucket.ErrNotExist) {
				reason = "this version makes other bytes of " + path + " than the one that took it in"
				continue
			}
			if err != nil {
				return err
			}
			data, how = found, "taken in again from "+path
		}
		switch {
		case data != nil:
			if err := r.planPutBack(ctx, c.key, why, how, data); err != nil {
				return err
			}
			delete(r.damaged, c.key)
		case len(c.inputs) > 0:
			in := c.inputs[0]
			r.leave(c.key, why, reason, fmt.Sprintf("calends repair --from FILE with the file that was taken in as input %d: %s, sha256 %s; or with a copy of the object",
				in.Number, in.Name, in.SHA256))
		}
	}
	return nil
}

// unreadableManifest puts a manifest back from a copy, or moves that of a draft
// aside. Whether it was a draft, the invoices beside it tell.
func (r *repairing) unreadableManifest(ctx context.Context, key string) error {
	const why = "cannot be read"
	if copied, err := r.copyManifest(ctx, key, why); copied || err != nil {
		return err
	}
	month, _, _ := ledger.RevisionOf(key)
	drafts, numbered, err := r.v.numbers(ctx, ledger.RevisionFolder(key))
	if err != nil {
		return err
	}
	switch {
	case numbered > 0:
		r.leave(key, why, "the month was closed by it, and how far its close knew the ledger stands nowhere else",
			"calends repair --from DIR with an export of the month, or put it back from a backup")
	case drafts > 0:
		r.planSetAside(key, why, "it is a draft's, its invoices have no numbers; calends bill "+month.String()+" makes the next one")
	default:
		r.leave(key, why, "no invoice beside it tells whether it closed the month",
			"calends repair --from DIR with an export of the month, or put it back from a backup; if it was a draft for sure, delete it")
	}
	return nil
}

// copyManifest puts a manifest back from an offered copy, one that names the
// files which are there.
func (r *repairing) copyManifest(ctx context.Context, key, why string) (copied bool, err error) {
	month, number, _ := ledger.RevisionOf(key)
	for _, path := range r.offer.files {
		info, err := os.Stat(path)
		if err != nil {
			return false, err
		}
		if info.Size() > maxManifest {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return false, err
		}
		var m ledger.Manifest
		if json.Unmarshal(data, &m) != nil || m.Month != month.String() || m.Revision != number || !r.holds(ledger.RevisionFolder(key), m) {
			continue
		}
		r.v.revisions = append(r.v.revisions, revision{key, month, m})
		return true, r.planPutBack(ctx, key, why, "copied from "+path+", which names the files that are there", data)
	}
	return false, nil
}

// maxManifest is larger than any manifest.
const maxManifest = 64 << 20

// holds reports whether the files that a manifest names are in the folder, with
// their sizes; the hashes are compared when it is verified.
func (r *repairing) holds(folder string, m ledger.Manifest) bool {
	return !slices.ContainsFunc(m.Files, func(f ledger.File) bool {
		info, ok := r.v.listed[folder+f.Path]
		return !ok || info.Size != f.Size
	})
}
