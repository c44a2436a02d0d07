// Package inbox takes in what was dropped into the bucket:
//
//	inbox/changes.jsonl.gz             anything that calends ingest takes, at any depth
//	inbox/prices/2026-10/DE.csv        a price sheet has its month from the path
//	inbox/charges/2026-10/azure.csv    charges rated elsewhere, to be billed in that month
//	inbox/microsoft/2026-10/recon.csv  Microsoft's reconciliation file, to be compared
//
// Afterwards a file lies in another place, with a report beside it:
//
//	inbox/done/2026-10-05/changes.jsonl.gz                   the day is that of the taking in
//	inbox/done/2026-10-05/changes.jsonl.gz.report.json       see [Report]
//	inbox/refused/2026-10-05/changes.refused.jsonl           records of it that were refused
//	inbox/refused/2026-10-05/scan.pdf                        what was refused whole
//	inbox/held/2026-10-05/prices/2026-10/DE.csv              what waits for a person
//	microsoft/reconciliation/2026-10/0a1b2c3d4e5f-recon.csv  what is to be compared
//
// A file in the columns of the reconciliation file is one of Microsoft's, wherever
// it lies, unless it is below inbox/charges/.
//
// [Inbox.Plan] says what is there, [Inbox.Execute] does it, under the bucket's write
// lock. Files are taken in the order of their paths, folder by folder, as calends
// ingest takes those of a folder: of two partner lists the later name holds. What is
// not whole yet is left: names that end in .part or the like, files younger than
// [Inbox.Settle], and whatever changes while it is read.
//
// A move is a copy, then the deletion of the original. The copy and the report are
// there before anything counts, the original goes after: a run that dies at any point
// is finished by the next. Finished on another day, a file may lie in both days'
// folders: what the ledger has, it does not take again. A name that is taken by
// another content gets a number: "x (2).csv".
package inbox

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/bucket"
)

// Inbox is the inbox of a bucket.
type Inbox struct {
	Env jobs.Env
	// Settle is how old a file has to be to be taken, because a copy of it may still be
	// on its way: see [SettleFor].
	Settle time.Duration
	// LostRows is the bound of [jobs.IngestPlan].
	LostRows int
}

// SettleFor is a good [Inbox.Settle]: an object of a store is there once it is
// whole, a file of a folder while it grows.
func SettleFor(b bucket.Bucket) time.Duration {
	if _, ok := b.(*bucket.Disk); ok {
		return 5 * time.Second
	}
	return 0
}

// The folders of an inbox.
const (
	folder    = "inbox/"
	done      = "done"
	refused   = "refused"
	held      = "held"
	charges   = "charges"
	microsoft = "microsoft"
	// Compared is where the reconciliation files of Microsoft's lie, by month; those of
	// which no month can be told in [Compared] + "unknown/".
	Compared = "microsoft/reconciliation/"
	unknown  = "unknown"
)

const (
	reportSuffix  = ".report.json"
	refusedSuffix = ".refused"
)

// below returns the path of a dropped file below the inbox, and that of a held file
// as it was dropped. ok is false for what the inbox has put there itself.
func below(key string) (rel string, isHeld, ok bool) {
	rel = strings.TrimPrefix(key, folder)
	first, rest, inside := strings.Cut(rel, "/")
	switch {
	case !inside:
		return rel, false, true
	case first == done || first == refused:
		return "", false, false
	case first == held:
		_, rest, inside = strings.Cut(rest, "/") // the day
		return rest, true, inside && !strings.HasSuffix(rest, reportSuffix)
	}
	return rel, false, true
}

// unfinished are the ends of names that programs give to what they still write.
var unfinished = [...]string{".part", ".partial", ".filepart", ".tmp", ".crdownload"}

func isUnfinished(rel string) bool {
	name := strings.ToLower(path.Base(rel))
	return strings.HasPrefix(name, "~$") || slices.ContainsFunc(unfinished[:], func(end string) bool { return strings.HasSuffix(name, end) })
}

// before orders paths folder by folder, as a walk through the folders meets them.
func before(a, b string) int { return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")) }
