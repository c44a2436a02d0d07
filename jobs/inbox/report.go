package inbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/intake"
)

// Report is what became of a file that was dropped. It lies beside the file.
type Report struct {
	Dropped string `json:"dropped"` // the key that it had
	SHA256  string `json:"sha256"`  // of it as it was dropped
	Size    int64  `json:"size"`
	Status  Status `json:"status"`
	To      string `json:"to"` // the key that it has now
	Reason  string `json:"reason,omitempty"`
	Advice  string `json:"advice,omitempty"`
	// Files are what it holds, itself or the members of an archive, with every refused
	// record (of each the first 100,000).
	Files []jobs.FileResult `json:"files,omitempty"`
	// Refused are objects with the refused records as they stood, to be corrected and
	// dropped again.
	Refused []string `json:"refusedRecords,omitempty"`
	// Accepted is the reason for which it was taken although it would be held.
	Accepted string `json:"accepted,omitempty"`
}

// Status is what became of a file.
type Status string

// What becomes of a file.
const (
	Taken    Status = "taken" // all of it, or all but some records of changes
	Had      Status = "had"   // the ledger had it already
	Rejected Status = "refused"
	Held     Status = "held" // nothing of it counts until a person accepts it
	Filed    Status = "filed"
	Left     Status = "left"  // where it was, for the next time
	Stuck    Status = "stuck" // where it was, until a person acts
)

// listed is how many refused records of a file a report has.
const listed = 100_000

// statusOf is that of a file by what became of its members: one that waits, or
// was refused whole, lets the archive wait or be refused, where the others count all
// the same.
func statusOf(files []jobs.FileResult) Status {
	has := func(status string) bool {
		return slices.ContainsFunc(files, func(f jobs.FileResult) bool { return f.Status == status })
	}
	switch {
	case has(jobs.StatusHeld):
		return Held
	case has(jobs.StatusRefused):
		return Rejected
	case has(jobs.StatusTaken):
		return Taken
	}
	return Had
}

// reasonOf is the first one of a file that was refused whole or is held.
func reasonOf(files []jobs.FileResult) string {
	for _, f := range files {
		if f.Reason != "" && f.Status != jobs.StatusTaken {
			return f.Reason
		}
	}
	return ""
}

// folderOf is where a file with the status goes, by day.
func folderOf(s Status) string {
	switch s {
	case Rejected:
		return refused
	case Held:
		return held
	default:
		return done
	}
}

func (r Report) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("encode the report of %s: %w", r.Dropped, err)
	}
	return b.Bytes(), nil
}

// tells reports whether a report that is there says all that another of the same
// file does: what the one took, the other finds had.
func (r Report) tells(other Report) bool {
	return r.SHA256 == other.SHA256 && r.To == other.To && slices.EqualFunc(r.Files, other.Files, func(a, b jobs.FileResult) bool {
		return a.Name == b.Name && (a.Status == b.Status || a.Status == jobs.StatusTaken && b.Status == jobs.StatusHad)
	})
}

// stable are results without what differs when a run that died is run again: the
// number in the ledger, which another run may have got meanwhile.
func stable(files []jobs.FileResult) []jobs.FileResult {
	files = slices.Clone(files)
	for i := range files {
		if files[i].Status == jobs.StatusTaken {
			files[i].Input = 0
		}
	}
	return files
}

// advice is what a person can do about it.
func advice(item Item, r Report) string {
	sheet := slices.ContainsFunc(r.Files, func(f jobs.FileResult) bool {
		return f.Status == jobs.StatusRefused && f.Kind == intake.PriceSheet.String() && f.Month == ""
	})
	switch {
	case r.Status == Held:
		return "see whether it is whole; to take it nevertheless: calends run import-changes --accept REASON"
	case r.Status == Filed && r.Reason != "":
		return "drop it again, below inbox/microsoft/2026-10/ or the like"
	case r.Status == Rejected && sheet && item.month == 0:
		return "drop it into a folder of its month, such as inbox/prices/2026-10/"
	case r.Status == Rejected:
		return "correct it and drop it into inbox/ again; what the ledger has of it already changes nothing"
	case len(r.Refused) > 0:
		return "correct the records in the files that are named, and drop those into inbox/"
	}
	return ""
}
