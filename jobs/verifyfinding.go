package jobs

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/calends/calends/pipeline/bucket"
)

// FindingKind says what sort of thing is not as it should be. The names are a
// written contract: new ones may be added, none is renamed.
type FindingKind string

// The kinds of findings.
const (
	MissingObject    FindingKind = "missing-object"    // named, and not there
	WrongSize        FindingKind = "wrong-size"        // of a named object
	WrongHash        FindingKind = "wrong-hash"        // of a named object
	UnreadableObject FindingKind = "unreadable-object" // its bytes are not what its name promises
	UnreadableRecord FindingKind = "unreadable-record" // an input or manifest that says nothing, or says to be another
	InputGap         FindingKind = "input-gap"         // a number in the row of inputs is missing
	MissingInput     FindingKind = "missing-input"     // a manifest names an input that the ledger does not have so
	WrongCount       FindingKind = "wrong-count"       // of records or rows
	WrongTotals      FindingKind = "wrong-totals"      // the control totals do not add up
	WrongBooks       FindingKind = "wrong-books"       // order or numbers of what was issued
	NotReproduced    FindingKind = "not-reproduced"    // a closed month comes out otherwise today
	NewerLayout      FindingKind = "newer-layout"      // a record of a later version of the program
	OldLayout        FindingKind = "old-layout"        // a record of an earlier one
	HalfWritten      FindingKind = "half-written"      // the files of a revision without its manifest
	UnnamedFile      FindingKind = "unnamed-file"      // in a revision's folder, and not in its manifest
	UnnamedObject    FindingKind = "unnamed-object"    // data that no input and no manifest names
	ForeignFile      FindingKind = "foreign-file"      // nothing of ours has such a key
	TemporaryFile    FindingKind = "temporary-file"    // what a dead process left hidden
	Quarantined      FindingKind = "quarantined"       // damaged bytes that repair has set aside
)

// Severity says how much a finding matters.
type Severity string

// The severities. Only errors are faults: something named is not there, or not
// what it should be.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
	SeverityInfo    Severity = "info"
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Object   string      `json:"object"` // its key in the bucket, or the month
	What     string      `json:"what"`
	Expected string      `json:"expected,omitempty"`
	Found    string      `json:"found"`
	Kind     FindingKind `json:"kind"`
	Severity Severity    `json:"severity"`
	Advice   string      `json:"advice"` // what a person can do
}

// nature is what all findings of a kind have in common.
type nature struct {
	severity Severity
	advice   string
}

var natures = map[FindingKind]nature{
	MissingObject:    {SeverityError, "calends repair --dry-run says whether and how it can be put back"},
	WrongSize:        {SeverityError, "calends repair --dry-run says whether and how it can be put back"},
	WrongHash:        {SeverityError, "calends repair --dry-run says whether and how it can be put back"},
	UnreadableObject: {SeverityError, "calends repair --dry-run; if nothing else is wrong with it, it was written like this: report it"},
	UnreadableRecord: {SeverityError, "calends repair --dry-run says what can be done; no command works on the bucket until then"},
	InputGap:         {SeverityError, "calends repair --from FILES, the files that were taken in, or put the record back from a backup"},
	MissingInput:     {SeverityError, "calends repair --from FILES, the files that were taken in, or put the ledger back from a backup"},
	WrongCount:       {SeverityError, "somebody has edited the record: put it back from a backup"},
	WrongTotals:      {SeverityError, "do not send these files out; somebody has edited them or the manifest: put the revision back from a backup"},
	WrongBooks:       {SeverityError, "somebody has edited or removed a manifest: put it back from a backup"},
	NotReproduced:    {SeverityError, "what was issued stands; keep the bucket and both versions of the program, and report it"},
	NewerLayout:      {SeverityError, "use the version of calends that wrote it, or a later one"},
	OldLayout:        {SeverityInfo, "nothing: it is read as it is"},
	HalfWritten:      {SeverityInfo, "nothing: the next bill or close of the month finishes it or passes it over, and calends gc removes what stays"},
	UnnamedFile:      {SeverityWarning, "nothing reads it; calends gc removes it once it is old"},
	UnnamedObject:    {SeverityInfo, "nothing reads it; calends gc removes it once it is old"},
	ForeignFile:      {SeverityWarning, "it is none of calends' files: move it out of the bucket"},
	TemporaryFile:    {SeverityInfo, "nothing: the next command that writes removes it"},
	Quarantined:      {SeverityInfo, "delete it when nobody wants to look into it any more"},
}

// notes collects findings. Each goroutine has its own.
type notes []Finding

// add enters a finding with what its kind has in common.
func (n *notes) add(kind FindingKind, object, what, expected, found string) {
	*n = append(*n, Finding{Object: object, What: what, Expected: expected, Found: found,
		Kind: kind, Severity: natures[kind].severity, Advice: natures[kind].advice})
}

// unreadable enters an object that cannot be read, unless the run was stopped
// or it is missing, which is said elsewhere.
func (n *notes) unreadable(object string, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, bucket.ErrNotExist) {
		return
	}
	n.add(UnreadableObject, object, "content", "", err.Error())
}

// split divides findings into the faults and the rest, the weightier first.
func (n notes) split() (faults, notices []Finding) {
	faults, notices = []Finding{}, []Finding{}
	for _, f := range n {
		if f.Severity == SeverityError {
			faults = append(faults, f)
		} else {
			notices = append(notices, f)
		}
	}
	slices.SortStableFunc(notices, func(a, b Finding) int { return -cmp.Compare(a.Severity, b.Severity) })
	return faults, notices
}
