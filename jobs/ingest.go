package jobs

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// IngestPlan says what to take in.
type IngestPlan struct {
	// Paths are files and folders; "-" is Stdin.
	Paths []string
	// Folder, if given, is what the paths stand in: the result names files by
	// their paths below it, and no month is read from its own name.
	Folder string
	Stdin  io.Reader
	// Month of price sheets, when their paths do not say it. 0: not given.
	Month pricing.Month
	// Charges is the month that the files are charges rated elsewhere for. 0: they are none.
	Charges pricing.Month
	// Sources are files that lie elsewhere, taken after those of the paths. Each says
	// its months itself.
	Sources []Source
	// Errors is how many refused records of a file are listed; all are counted. 0: 50.
	Errors int
	// LostRows holds a price sheet that has lost more than so many percent of the rows
	// of the last one of its market: it is not taken. 0: none is held.
	LostRows int
	// Accept is the reason to take such a sheet nevertheless; the ledger records it.
	Accept string
}

// IngestResult says what became of each file, in the order of taking in.
type IngestResult struct {
	Files []FileResult `json:"files"`
	Taken int64        `json:"taken"` // records
	Had   int64        `json:"had"`
	// Refused counts records, and whole files that were refused as one each.
	Refused int64 `json:"refused"`
	// Held counts files.
	Held int64 `json:"held,omitempty"`
}

// FileResult is what became of one file.
type FileResult struct {
	Name    string        `json:"name"`
	Kind    string        `json:"kind"`
	Month   string        `json:"month,omitempty"`
	Status  string        `json:"status"` // taken, had, refused, held
	Taken   int64         `json:"taken"`  // records
	Had     int64         `json:"had"`
	Refused int64         `json:"refused"`
	Reason  string        `json:"reason,omitempty"` // of a whole file
	Errors  []RecordError `json:"errors,omitempty"` // the first of them
	Notes   []string      `json:"notes,omitempty"`
	Input   int64         `json:"input,omitempty"` // its number in the ledger
	// Accepted is the reason for which it was taken although it would be held.
	Accepted string `json:"accepted,omitempty"`
}

// RecordError is one thing that is wrong in a file.
type RecordError struct {
	Line   int64  `json:"line"`
	Column string `json:"column,omitempty"`
	Value  string `json:"value,omitempty"`
	Rule   string `json:"rule"`
}

// The states of a file.
const (
	StatusTaken   = "taken"
	StatusHad     = "had"
	StatusRefused = "refused"
	StatusHeld    = "held" // not taken, until somebody accepts it
)

// maxErrors is how many refused records of a file are listed where the plan does
// not say.
const maxErrors = 50

// Ingest takes files into the ledger. Each becomes visible on its own, whole;
// a file that the ledger has already changes nothing.
func (e Env) Ingest(ctx context.Context, plan IngestPlan) (result IngestResult, err error) {
	err = e.locked(ctx, "ingest", func(ctx context.Context, e Env) error {
		at, err := e.snapshot(ctx)
		if err != nil {
			return err
		}
		i := ingestion{env: e, plan: plan, at: at, known: make(map[fileKey]ledger.Input)}
		for _, in := range at.inputs {
			i.known[keyOfInput(in)] = in
		}
		sources, err := plan.sources()
		if err != nil {
			return err
		}
		for n, source := range sources {
			e.progress("ingest", int64(n), int64(len(sources)))
			i.rest = sources[n+1:]
			if err := i.source(ctx, source); err != nil {
				return err
			}
		}
		e.progress("ingest", int64(len(sources)), int64(len(sources)))
		result = i.result
		return nil
	})
	return result, err
}

// shown is the name of a file in the result.
func (p IngestPlan) shown(name string) string {
	if p.Folder == "" {
		return name
	}
	return strings.TrimPrefix(name, filepath.Clean(p.Folder)+string(filepath.Separator))
}

// fileKey is equal for an input that was taken in before: the same content for
// the same purpose.
type fileKey struct {
	kind   ledger.Kind
	sha256 string
	month  string
}

func keyOfInput(in ledger.Input) fileKey { return fileKey{in.Kind, in.SHA256, in.Month} }

type ingestion struct {
	env    Env
	plan   IngestPlan
	at     snapshot
	known  map[fileKey]ledger.Input
	result IngestResult

	// rest are the sources, members those of the same archive, still to come.
	rest    []Source
	members []*intake.Member
}

// source takes one file in. All that it holds is read before any of it counts.
func (i *ingestion) source(ctx context.Context, s Source) (err error) {
	input, err := s.Open(ctx)
	var bad *contentError
	switch {
	case errors.Is(err, ErrLeave):
		return nil
	case errors.As(err, &bad):
		i.report(refusedFile(s.Name, bad.cause))
		return nil
	case err != nil:
		return fmt.Errorf("ingest %s: %w", s.Name, err)
	}
	defer func() { err = errors.Join(err, input.Close()) }()
	var files []FileResult
	var inputs []ledger.Input
	for n, m := range input.Members {
		i.members = input.Members[n+1:]
		m.Name = i.plan.shown(m.Name)
		file, in, err := i.read(ctx, s, m)
		if err != nil {
			return fmt.Errorf("ingest %s: %w", m.Name, err)
		}
		files = append(files, file)
		if in != nil {
			inputs = append(inputs, *in)
		}
	}
	if s.Before != nil {
		if err := s.Before(ctx, input, files); err != nil {
			return fmt.Errorf("ingest %s: %w", s.Name, err)
		}
	}
	for _, in := range inputs {
		if err := i.env.mayPublish(ctx); err != nil {
			return fmt.Errorf("ingest %s: %w", s.Name, err)
		}
		if err := i.env.ledger().Append(ctx, in); err != nil {
			return fmt.Errorf("ingest %s: %w", s.Name, err)
		}
	}
	for _, file := range files {
		i.report(file)
	}
	if s.After != nil {
		if err := s.After(ctx); err != nil {
			return fmt.Errorf("ingest %s: %w", s.Name, err)
		}
	}
	return nil
}

// read is member for any file: one over which a reader panics is refused.
func (i *ingestion) read(ctx context.Context, s Source, m *intake.Member) (f FileResult, in *ledger.Input, err error) {
	defer func() {
		if p := recover(); p != nil {
			f, in, err = refusedFile(m.Name, fmt.Errorf("the reader of the file panicked, which is a mistake in calends: %v", p)), nil, nil
		}
	}()
	return i.member(ctx, s, m)
}

func (i *ingestion) report(f FileResult) {
	i.result.Files = append(i.result.Files, f)
	i.result.Taken += f.Taken
	i.result.Had += f.Had
	i.result.Refused += f.Refused
	if f.Status == StatusHeld {
		i.result.Held++
	}
}

func refusedFile(name string, err error) FileResult {
	f := FileResult{Name: name, Status: StatusRefused, Refused: 1, Reason: err.Error()}
	var list *table.Errors
	if errors.As(err, &list) {
		f.Reason = plural(list.Count, "error") + ": the file is taken whole or not at all"
		for _, one := range list.List {
			f.Errors = append(f.Errors, recordError(one))
		}
	}
	return f
}

func recordError(e *table.Error) RecordError {
	return RecordError{Line: e.Line, Column: e.Column, Value: e.Value, Rule: e.Rule}
}

// member reads one file and keeps its rows. The input is what then makes them
// count, nil where nothing is taken; whoever is read next finds it in the ledger.
// The error is the bucket's: what is wrong with the file stands in the result.
func (i *ingestion) member(ctx context.Context, s Source, m *intake.Member) (FileResult, *ledger.Input, error) {
	what := m.Recognise()
	f := FileResult{Name: m.Name, Kind: what.Kind.String(), Status: StatusTaken}
	in := ledger.Input{Number: int64(len(i.at.inputs)) + 1, Name: filepath.Base(m.Name)}
	refuse := func(err error) (FileResult, *ledger.Input, error) {
		refused := refusedFile(m.Name, err)
		refused.Kind = f.Kind
		return refused, nil, nil
	}
	if s.Charges != 0 && what.Kind != intake.Charges && what.Kind != intake.LegacyCharges {
		return refuse(fmt.Errorf("with --charges a file in the columns of Microsoft's reconciliation file is wanted, this is: %s", what.Kind))
	}
	if what.Kind.Whole() || what.Kind == intake.Charges || what.Kind == intake.LegacyCharges {
		sum, err := hashMember(m)
		if err != nil {
			return refuse(err)
		}
		in.SHA256 = sum
	}
	store, err := i.reader(s, m, what, &in, &f)
	if err != nil {
		return refuse(err)
	}
	f.Month = in.Month
	if known, ok := i.known[keyOfInput(in)]; ok && in.SHA256 != "" {
		superseding, err := i.env.ledger().Superseding(ctx, known, i.at.inputs[known.Number:])
		if err != nil {
			return f, nil, err
		}
		if i.comeAgain(ctx, superseding) {
			return had(f, known), nil, nil
		}
		// It is what holds again from now on.
		delete(i.known, keyOfInput(in))
	}
	err = store(ctx)
	var bad *contentError
	if errors.As(err, &bad) {
		return refuse(bad.cause)
	}
	var held *heldError
	if errors.As(err, &held) {
		f.Status, f.Reason = StatusHeld, held.Error()
		return f, nil, nil
	}
	if err != nil {
		return f, nil, err
	}
	if known, ok := i.known[keyOfInput(in)]; ok {
		return had(f, known), nil, nil
	}
	if in.Records == 0 && in.Refused > 0 {
		f.Status = StatusRefused
		f.Reason = "no record could be taken"
		f.Refused = in.Refused
		return f, nil, nil
	}
	i.at.inputs = append(i.at.inputs, in)
	i.known[keyOfInput(in)] = in
	f.Taken, f.Refused, f.Input = in.Records, in.Refused, in.Number
	return f, &in, nil
}

func had(f FileResult, known ledger.Input) FileResult {
	f.Status, f.Had, f.Refused, f.Input = StatusHad, known.Records, 0, known.Number
	f.Errors = nil
	return f
}

// comeAgain reports whether all the inputs come again later in this run: then
// they hold after it as they do now.
func (i *ingestion) comeAgain(ctx context.Context, inputs []ledger.Input) bool {
	if len(inputs) == 0 {
		return true
	}
	coming := make(map[string]bool)
	note := func(members []*intake.Member) {
		for _, m := range members {
			if sum, err := hashMember(m); err == nil { // else it will be refused, with its reason
				coming[sum] = true
			}
		}
	}
	note(i.members)
	for _, s := range i.rest {
		if s.once {
			continue
		}
		source, err := s.Open(ctx)
		if err != nil {
			continue
		}
		note(source.Members)
		_ = source.Close() // only read
	}
	for _, in := range inputs {
		if !coming[in.SHA256] {
			return false
		}
	}
	return true
}

// contentError marks what is wrong with a file, not with the bucket.
type contentError struct{ cause error }

func (e *contentError) Error() string { return e.cause.Error() }
func (e *contentError) Unwrap() error { return e.cause }

// hashMember returns the SHA-256 of the unpacked content.
func hashMember(m *intake.Member) (string, error) {
	sum, _, err := m.SHA256()
	return hex.EncodeToString(sum[:]), err
}
