package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
)

// What lies beside the ledger.
const (
	quarantineFolder = "quarantine/"     // what a repair has set aside
	probeKey         = "ledger/gc-probe" // asks the store for its time
)

// otherBooks are folders of jobs that keep manifests of their own there; this
// one leaves them alone.
var otherBooks = []string{"reconcile/"}

func hasAnyPrefix(key string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// strays tells what the objects are that nothing names.
func (v *verification) strays(ctx context.Context) error {
	complete := make(map[string]bool) // revision folders that have a manifest, readable or not
	for _, key := range v.keys {
		if ledger.KindOfKey(key) == ledger.ManifestKey {
			complete[ledger.RevisionFolder(key)] = true
		}
	}
	half := make(map[string]int)
	var folders []string
	for _, key := range v.keys {
		if _, ok := v.named[key]; ok || hasAnyPrefix(key, otherBooks) {
			continue
		}
		if strings.HasPrefix(key, quarantineFolder) {
			v.wrong(Quarantined, key, "object", "", "damaged bytes that a repair has set aside")
			continue
		}
		v.result.Leftovers = append(v.result.Leftovers, key)
		switch kind := ledger.KindOfKey(key); {
		case kind == ledger.DataKey:
			v.wrong(UnnamedObject, key, "object", "named by an input or a manifest", "named by none")
		case kind == ledger.RevisionKey && complete[ledger.RevisionFolder(key)]:
			v.wrong(UnnamedFile, key, "file", "named by the manifest beside it", "named by none")
		case kind == ledger.RevisionKey:
			folder := ledger.RevisionFolder(key)
			if half[folder]++; half[folder] == 1 {
				folders = append(folders, folder)
			}
		case key == probeKey:
			v.wrong(TemporaryFile, key, "object", "", "left by an interrupted gc")
		default:
			v.wrong(ForeignFile, key, "key", "one of calends' own", "of another form")
		}
	}
	for _, folder := range folders {
		v.wrong(HalfWritten, folder, "revision", "a manifest", plural(half[folder], "file")+" and no manifest: a run was interrupted")
	}
	if v.unread > 0 {
		// What an unreadable record names looks like nobody's.
		for i, f := range v.notes {
			if f.Kind == UnnamedObject || f.Kind == UnnamedFile {
				v.notes[i].Advice = "mend the unreadable record first: it may be the one that names it"
			}
		}
	}
	return v.temporaries(ctx)
}

// temporaries lists what dead writers have left, where the store can tell.
func (v *verification) temporaries(ctx context.Context) error {
	keeper, ok := v.env.Bucket.(bucket.Keeper)
	if !ok {
		return nil
	}
	left, err := keeper.Abandoned(ctx)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	for _, info := range left {
		v.wrong(TemporaryFile, info.Key, "object", "", plural(int(info.Size), "byte")+" of a writer that died")
	}
	return nil
}
