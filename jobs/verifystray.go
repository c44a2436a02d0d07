package jobs

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
)

// What lies beside the ledger.
const (
	quarantineFolder = "quarantine/"     // what a repair has set aside
	probeKey         = "ledger/gc-probe" // asks the store for its time
)

// strays tells what the objects are that nothing names.
func (v *verification) strays(ctx context.Context) error {
	complete := v.complete()
	silent := make(map[string]bool) // folders whose manifest does not tell what it names
	for _, f := range v.notes {
		if f.Kind == UnreadableRecord || f.Kind == NewerLayout {
			silent[folderOf(f.Object)] = true
		}
	}
	half := make(map[string]int)
	var folders []string
	for _, key := range v.keys {
		if _, ok := v.named[key]; ok || silent[folderOf(key)] {
			continue
		}
		if ledger.KindOfKey(key) == ledger.JobKey {
			continue
		}
		if strings.HasPrefix(key, quarantineFolder) {
			v.wrong(Quarantined, key, "object", "", "what a repair has set aside")
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
		case comparisonKeys.MatchString(key):
			v.wrong(UnnamedFile, key, "file", "named by the manifest of a reconciliation", "named by none")
		case key == probeKey:
			v.wrong(TemporaryFile, key, "object", "", "left by an interrupted gc")
		default:
			v.wrong(ForeignFile, key, "key", "one of calends' own", "of another form")
		}
	}
	lost := false
	for _, folder := range folders {
		v.wrong(HalfWritten, folder, "revision", "a manifest", plural(half[folder], "file")+" and no manifest: a run was interrupted")
		issued, err := v.mayBeIssued(ctx, folder)
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		if issued {
			lost = true
			f := &v.notes[len(v.notes)-1]
			f.Severity, f.Found = SeverityWarning, plural(half[folder], "file")+", invoices with numbers, and no manifest"
			f.Advice = "if the month was closed, its manifest is lost: calends repair --from DIR with an export or a backup; if a close was interrupted, close the month again. calends gc leaves it alone"
		}
	}
	if v.certain() != nil || lost {
		// What a lost record names looks like nobody's.
		for i, f := range v.notes {
			if f.Kind == UnnamedObject || f.Kind == UnnamedFile {
				v.notes[i].Advice = "mend the records first: the one that is lost may name it"
			}
		}
	}
	return v.temporaries(ctx)
}

// complete are the folders of revisions that have a manifest, readable or not.
func (v *verification) complete() map[string]bool {
	folders := make(map[string]bool)
	for _, key := range v.keys {
		if ledger.KindOfKey(key) == ledger.ManifestKey {
			folders[ledger.RevisionFolder(key)] = true
		}
	}
	return folders
}

// mayBeIssued reports whether a folder without a manifest holds numbered invoices
// of a month that no other revision closes. A close was interrupted there, or its
// manifest is lost, and then these are what the partners have.
func (v *verification) mayBeIssued(ctx context.Context, folder string) (bool, error) {
	for _, m := range v.months {
		if m.Current.State == ledger.Closed && strings.HasPrefix(folder, ledger.MonthPrefix(m.Month)) {
			return false, nil
		}
	}
	_, numbered, err := v.numbers(ctx, folder)
	return numbered > 0, err
}

// numbers counts the invoices of a revision without and with a number.
func (v *verification) numbers(ctx context.Context, folder string) (drafts, numbered int, err error) {
	for _, key := range v.keys {
		if !strings.HasPrefix(key, folder) || !strings.HasSuffix(key, "/"+invoiceName) {
			continue
		}
		data, err := bucket.ReadAll(ctx, v.env.Bucket, key)
		if err != nil {
			return 0, 0, err
		}
		inv, _, err := exports.ReadInvoice(bytes.NewReader(data))
		switch {
		case err != nil: // it tells nothing
		case inv.Number == "":
			drafts++
		default:
			numbered++
		}
	}
	return drafts, numbered, nil
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
