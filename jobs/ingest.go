package jobs

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet"
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

// runSize is how many changes are sorted in memory at a time.
const runSize = 100_000

// Ingest takes files into the ledger. Each becomes visible on its own, whole;
// a file that the ledger has already changes nothing.
func (e Env) Ingest(ctx context.Context, plan IngestPlan) (result IngestResult, err error) {
	err = e.locked(ctx, func() error {
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

// reader returns what reads and keeps the file.
func (i *ingestion) reader(m *intake.Member, what intake.Recognised, in *ledger.Input, f *FileResult) (func(context.Context) error, error) {
	l := i.env.ledger()
	switch what.Kind {
	case intake.PartnerList:
		in.Kind = ledger.Partners
		return whole(m, in, f, func(ctx context.Context, r io.Reader) (int, []string, error) {
			list, err := intake.ReadPartners(r)
			if err != nil {
				return 0, nil, &contentError{err}
			}
			return len(list.Partners), list.Unknown, keep(in)(l.PutPartners(ctx, list.Partners))
		}), nil
	case intake.CustomerList:
		in.Kind = ledger.Customers
		return whole(m, in, f, func(ctx context.Context, r io.Reader) (int, []string, error) {
			list, err := intake.ReadCustomers(r)
			if err != nil {
				return 0, nil, &contentError{err}
			}
			return len(list.Customers), list.Unknown, keep(in)(l.PutCustomers(ctx, list.Customers))
		}), nil
	case intake.FXRates:
		in.Kind = ledger.Rates
		return whole(m, in, f, func(ctx context.Context, r io.Reader) (int, []string, error) {
			fx, err := pricesheet.ReadFX(r)
			if err != nil {
				return 0, nil, &contentError{err}
			}
			return len(fx.Rates), fx.Unknown, keep(in)(l.PutRates(ctx, fx.Rates))
		}), nil
	case intake.Promotions:
		in.Kind = ledger.Promotions
		return whole(m, in, f, func(ctx context.Context, r io.Reader) (int, []string, error) {
			promotions, err := pricesheet.ReadPromotions(r)
			if err != nil {
				return 0, nil, &contentError{err}
			}
			return len(promotions), nil, keep(in)(l.PutPromotions(ctx, promotions))
		}), nil
	case intake.OfferMatrix:
		in.Kind = ledger.Offers
		return whole(m, in, f, func(ctx context.Context, r io.Reader) (int, []string, error) {
			matrix, err := pricesheet.ReadOfferMatrix(r)
			if err != nil {
				return 0, nil, &contentError{err}
			}
			return len(matrix.Offers), matrix.Unknown, keep(in)(l.PutOffers(ctx, matrix.Offers))
		}), nil
	case intake.PriceSheet:
		return i.priceSheet(m, in, f)
	case intake.Changes:
		in.Kind = ledger.Changes
		return func(ctx context.Context) error { return i.changes(ctx, m, what, in, f) }, nil
	case intake.Charges, intake.LegacyCharges:
		return i.charges(m, what, in, f)
	default:
		return nil, errors.New(what.Reason)
	}
}

// keep enters the data object of a file that has one.
func keep(in *ledger.Input) func(ledger.Object, error) error {
	return func(o ledger.Object, err error) error {
		if err == nil {
			in.Objects = append(in.Objects, o)
		}
		return err
	}
}

// whole reads a reference file: all of it or none.
func whole(m *intake.Member, in *ledger.Input, f *FileResult, take func(context.Context, io.Reader) (int, []string, error)) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		r, err := m.OpenReference()
		if err != nil {
			return &contentError{err}
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		n, unknown, err := take(ctx, r)
		in.Records = int64(n)
		f.noteUnknown(unknown)
		return err
	}
}

func (f *FileResult) noteUnknown(columns []string) {
	if len(columns) > 0 {
		f.Notes = append(f.Notes, "columns without a meaning here: "+joinIDs(columns))
	}
}

func (i *ingestion) priceSheet(m *intake.Member, in *ledger.Input, f *FileResult) (func(context.Context) error, error) {
	month := i.plan.Month
	if month == 0 {
		var err error
		if month, err = intake.MonthFromPath(m.Name); err != nil {
			return nil, fmt.Errorf("a price sheet needs its month: %w", err)
		}
	}
	in.Month = month.String()
	// Whether it is a licence or a software sheet shows when it is read; both
	// kinds are asked for what the ledger has.
	in.Kind = ledger.Prices
	if _, ok := i.known[fileKey{ledger.Software, in.SHA256, in.Month}]; ok {
		in.Kind = ledger.Software
	}
	return whole(m, in, f, func(ctx context.Context, r io.Reader) (int, []string, error) {
		sheet, err := pricesheet.Read(r)
		if err != nil {
			return 0, nil, &contentError{err}
		}
		// A sheet that is mostly perpetual software must not supersede the
		// licence sheet of its month.
		in.Kind = ledger.Prices
		if 2*(sheet.Counts.OneTime+sheet.Counts.NoPlan) > sheet.Counts.Records {
			in.Kind = ledger.Software
		}
		byMarket := make(map[string][]pricing.Row)
		for _, row := range sheet.Rows {
			byMarket[row.Market] = append(byMarket[row.Market], row)
		}
		for _, market := range sheet.Markets {
			if err := keep(in)(i.env.ledger().PutPrices(ctx, market, byMarket[market])); err != nil {
				return 0, nil, err
			}
		}
		if skipped := sheet.Counts.OneTime + sheet.Counts.NoPlan; skipped > 0 {
			f.Notes = append(f.Notes, fmt.Sprintf("%d rows of perpetual software are no licence prices", skipped))
		}
		if sheet.Counts.Tiered > 0 {
			f.Notes = append(f.Notes, fmt.Sprintf("%d rows have a PricingTierRange and are no licence prices", sheet.Counts.Tiered))
		}
		return sheet.Counts.Records, sheet.Unknown, nil
	}), nil
}

// changes streams changes into sorted runs. The content's hash is known only
// at its end: a file that the ledger has then adds nothing.
func (i *ingestion) changes(ctx context.Context, m *intake.Member, what intake.Recognised, in *ledger.Input, f *FileResult) (err error) {
	sum, err := hashMember(m)
	if err != nil {
		return &contentError{err}
	}
	in.SHA256 = sum
	if _, ok := i.known[keyOfInput(*in)]; ok {
		return nil
	}
	r, err := intake.OpenChanges(m, what.Format)
	if err != nil {
		return &contentError{err}
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var run []change.Change
	flush := func() error {
		if len(run) == 0 {
			return nil
		}
		err := keep(in)(i.env.ledger().PutChanges(ctx, run))
		run = run[:0]
		return err
	}
	for {
		var c change.Change
		refused, err := r.Next(&c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &contentError{err}
		}
		if refused != nil {
			in.Refused++
			if len(f.Errors) < maxErrors {
				f.Errors = append(f.Errors, recordError(refused))
			}
			continue
		}
		in.Records++
		run = append(run, c)
		if len(run) == runSize {
			if err := flush(); err != nil {
				return err
			}
			i.env.progress("ingest "+in.Name, in.Records, 0)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	f.noteUnknown(r.Unknown())
	return flush()
}

// charges keeps a file of charges rated elsewhere, whole.
func (i *ingestion) charges(m *intake.Member, what intake.Recognised, in *ledger.Input, f *FileResult) (func(context.Context) error, error) {
	month := i.plan.Charges
	if month == 0 {
		return nil, errors.New("this is a reconciliation file: to bill its lines as charges rated elsewhere give --charges 2026-10")
	}
	in.Kind, in.Month = ledger.Charges, month.String()
	_, had := i.known[keyOfInput(*in)]
	if books := ledger.Books(i.at.closes); !had && books.Begun && month <= books.Closed {
		return nil, fmt.Errorf("the month %s is closed: take the charges in for %s, the first open month, with --charges %s", month, books.Closed+1, books.Closed+1)
	}
	return func(ctx context.Context) (err error) {
		r, err := intake.OpenCharges(m, what)
		if err != nil {
			return &contentError{err}
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		var data bytes.Buffer
		csv := exports.NewCSV(&data)
		bad := table.Errors{What: "file of charges"}
		closed, err := i.env.closedDocuments(ctx, i.at)
		if err != nil {
			return err
		}
		for {
			var c intake.Charge
			refused, err := r.Next(&c)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return &contentError{err}
			}
			line, wrong := chargeLine(&c)
			if refused == nil {
				refused = wrong
			}
			if refused == nil {
				refused = notBilledBefore(&c, line, closed)
			}
			if refused != nil {
				bad.Add(refused)
				continue
			}
			if err := csv.Encode(line); err != nil {
				return &contentError{fmt.Errorf("line %d: %w", c.Line, err)}
			}
			in.Records++
		}
		if err := bad.Err(); err != nil {
			in.Records = 0
			return &contentError{err}
		}
		if err := csv.Close(); err != nil {
			return err
		}
		f.noteUnknown(r.Unknown())
		return keep(in)(i.env.ledger().Data(ctx, "csv", data.Bytes(), in.Records))
	}, nil
}
