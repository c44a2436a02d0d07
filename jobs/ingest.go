package jobs

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
}

// IngestResult says what became of each file, in the order of taking in.
type IngestResult struct {
	Files []FileResult `json:"files"`
	Taken int64        `json:"taken"` // records
	Had   int64        `json:"had"`
	// Refused counts records, and whole files that were refused as one each.
	Refused int64 `json:"refused"`
}

// FileResult is what became of one file.
type FileResult struct {
	Name    string        `json:"name"`
	Kind    string        `json:"kind"`
	Month   string        `json:"month,omitempty"`
	Status  string        `json:"status"` // taken, had, refused
	Taken   int64         `json:"taken"`  // records
	Had     int64         `json:"had"`
	Refused int64         `json:"refused"`
	Reason  string        `json:"reason,omitempty"` // of a whole file
	Errors  []RecordError `json:"errors,omitempty"` // the first of them
	Notes   []string      `json:"notes,omitempty"`
	Input   int64         `json:"input,omitempty"` // its number in the ledger
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
)

// maxErrors is how many refused records of a file are listed; all are counted.
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
		paths, err := plan.files()
		if err != nil {
			return err
		}
		for n, path := range paths {
			e.progress("ingest", int64(n), int64(len(paths)))
			i.rest = paths[n+1:]
			if err := i.path(ctx, path); err != nil {
				return err
			}
		}
		e.progress("ingest", int64(len(paths)), int64(len(paths)))
		result = i.result
		return nil
	})
	return result, err
}

// files lists the files below the paths, folders in name order. Hidden ones are left out.
func (p IngestPlan) files() ([]string, error) {
	var files []string
	for _, path := range p.Paths {
		if path == "-" {
			files = append(files, path)
			continue
		}
		root := filepath.Join(p.Folder, path)
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			hidden := name != root && strings.HasPrefix(d.Name(), ".")
			switch {
			case err != nil:
				return err
			case d.IsDir() && hidden:
				return fs.SkipDir
			case !d.IsDir() && !hidden:
				files = append(files, name)
			}
			return nil
		})
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("ingest %s: %w: there is no such file or folder", path, ErrMissing)
		}
		if err != nil {
			return nil, fmt.Errorf("ingest %s: %w", path, err)
		}
	}
	return files, nil
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

	// rest are the paths, members those of the same archive, still to come.
	rest    []string
	members []*intake.Member
}

func (i *ingestion) path(ctx context.Context, path string) error {
	var source *intake.Input
	var err error
	if path == "-" {
		source, err = intake.OpenReader("standard input", i.plan.Stdin)
	} else {
		source, err = intake.Open(path)
	}
	if err != nil {
		i.report(refusedFile(i.plan.shown(path), err))
		return nil
	}
	defer source.Close()
	for n, m := range source.Members {
		i.members = source.Members[n+1:]
		m.Name = i.plan.shown(m.Name)
		file, err := i.member(ctx, m)
		if err != nil {
			return fmt.Errorf("ingest %s: %w", m.Name, err)
		}
		i.report(file)
	}
	return nil
}

func (i *ingestion) report(f FileResult) {
	i.result.Files = append(i.result.Files, f)
	i.result.Taken += f.Taken
	i.result.Had += f.Had
	i.result.Refused += f.Refused
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

// member takes one file. The error is the bucket's: what is wrong with the
// file stands in the result.
func (i *ingestion) member(ctx context.Context, m *intake.Member) (FileResult, error) {
	what := m.Recognise()
	f := FileResult{Name: m.Name, Kind: what.Kind.String(), Status: StatusTaken}
	in := ledger.Input{Number: int64(len(i.at.inputs)) + 1, Name: filepath.Base(m.Name)}
	refuse := func(err error) (FileResult, error) {
		refused := refusedFile(m.Name, err)
		refused.Kind = f.Kind
		return refused, nil
	}
	if i.plan.Charges != 0 && what.Kind != intake.Charges && what.Kind != intake.LegacyCharges {
		return refuse(fmt.Errorf("with --charges a file in the columns of Microsoft's reconciliation file is wanted, this is: %s", what.Kind))
	}
	if what.Kind.Whole() || what.Kind == intake.Charges || what.Kind == intake.LegacyCharges {
		sum, err := hashMember(m)
		if err != nil {
			return refuse(err)
		}
		in.SHA256 = sum
	}
	store, err := i.reader(m, what, &in, &f)
	if err != nil {
		return refuse(err)
	}
	f.Month = in.Month
	if known, ok := i.known[keyOfInput(in)]; ok && in.SHA256 != "" {
		superseding, err := i.env.ledger().Superseding(ctx, known, i.at.inputs[known.Number:])
		if err != nil {
			return f, err
		}
		if i.comeAgain(superseding) {
			return had(f, known), nil
		}
		// It is what holds again from now on.
		delete(i.known, keyOfInput(in))
	}
	err = store(ctx)
	var bad *contentError
	if errors.As(err, &bad) {
		return refuse(bad.cause)
	}
	if err != nil {
		return f, err
	}
	if known, ok := i.known[keyOfInput(in)]; ok {
		return had(f, known), nil
	}
	if in.Records == 0 && in.Refused > 0 {
		f.Status = StatusRefused
		f.Reason = "no record could be taken"
		f.Refused = in.Refused
		return f, nil
	}
	if err := i.env.mayPublish(ctx); err != nil {
		return f, err
	}
	if err := i.env.ledger().Append(ctx, in); err != nil {
		return f, err
	}
	i.at.inputs = append(i.at.inputs, in)
	i.known[keyOfInput(in)] = in
	f.Taken, f.Refused, f.Input = in.Records, in.Refused, in.Number
	return f, nil
}

func had(f FileResult, known ledger.Input) FileResult {
	f.Status, f.Had, f.Refused, f.Input = StatusHad, known.Records, 0, known.Number
	f.Errors = nil
	return f
}

// comeAgain reports whether all the inputs come again later in this run: then
// they hold after it as they do now.
func (i *ingestion) comeAgain(inputs []ledger.Input) bool {
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
	for _, path := range i.rest {
		if path == "-" {
			continue // it can be read only once
		}
		source, err := intake.Open(path)
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
