package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pricing"
)

// Result is what became of an inbox.
type Result struct {
	Files   []Fate `json:"files"` // in the order of the plan
	Taken   int64  `json:"taken"` // records, as are Had and Refused
	Had     int64  `json:"had"`
	Refused int64  `json:"refused"` // files that were refused whole count as one each
	Held    int    `json:"held"`    // files, as are the rest
	Filed   int    `json:"filed"`
	Left    int    `json:"left"`
	Stuck   int    `json:"stuck"`
}

// Fate is what became of one file.
type Fate struct {
	Key    string `json:"key"`
	Status Status `json:"status"`
	Reason string `json:"reason,omitempty"`
	To     string `json:"to,omitempty"`
	Report string `json:"report,omitempty"`
	// RefusedRecords are the objects with the records that were not taken.
	RefusedRecords []string          `json:"refusedRecords,omitempty"`
	Files          []jobs.FileResult `json:"files,omitempty"`
}

// Exceptions counts what a person has to look at.
func (r Result) Exceptions() int64 {
	n := r.Refused + int64(r.Held+r.Stuck)
	for _, f := range r.Files {
		if f.Status == Filed && f.Reason != "" {
			n++
		}
	}
	return n
}

// monthless is of a file to compare that nobody will look for.
const monthless = "its lines do not say which month it bills"

// Execute does what the plan says, as far as the files are still what they were. What
// is wrong with a file is in the result, and the others go on; the error is the
// bucket's, the result then what was done until then.
func (b Inbox) Execute(ctx context.Context, plan Plan) (Result, error) {
	r := run{inbox: b, plan: plan, fates: make(map[string]Fate)}
	var err error
	if slices.ContainsFunc(plan.Items, func(i Item) bool { return i.Will != Leave }) {
		err = b.Env.Together(ctx, "take the inbox in", func(ctx context.Context, e jobs.Env) error {
			r.env = e
			return r.all(ctx)
		})
	}
	return r.result(), err
}

// run is one execution.
type run struct {
	inbox Inbox
	env   jobs.Env
	plan  Plan
	fates map[string]Fate // by key
}

func (r *run) all(ctx context.Context) error {
	ingest := jobs.IngestPlan{Errors: listed, LostRows: r.inbox.LostRows, Accept: r.plan.Accept}
	for _, item := range r.plan.Items {
		switch {
		case item.Will == Leave: // the result says why
		case item.ingest:
			ingest.Sources = append(ingest.Sources, r.source(item))
		default:
			if err := r.aside(ctx, item); err != nil {
				return fmt.Errorf("take %s: %w", item.Key, err)
			}
		}
	}
	if len(ingest.Sources) == 0 {
		return nil
	}
	_, err := r.env.Ingest(ctx, ingest)
	return err
}

func (r *run) result() Result {
	result := Result{Files: []Fate{}}
	for _, item := range r.plan.Items {
		fate, ok := r.fates[item.Key]
		if !ok {
			if item.Will != Leave {
				continue // the run ended before it
			}
			fate = Fate{Key: item.Key, Status: Left, Reason: item.Why}
			if item.stuck {
				fate.Status = Stuck
			}
		}
		for _, f := range fate.Files {
			result.Taken, result.Had, result.Refused = result.Taken+f.Taken, result.Had+f.Had, result.Refused+f.Refused
		}
		switch fate.Status {
		case Held:
			result.Held++
		case Filed:
			result.Filed++
		case Left:
			result.Left++
		case Stuck:
			result.Stuck++
		default: // their records count
		}
		result.Files = append(result.Files, fate)
	}
	return result
}

// source is the item for the ledger. What counts is what was copied into a
// temporary file: whatever becomes of the object, that is moved.
func (r *run) source(item Item) jobs.Source {
	var file *spooled
	s := jobs.Source{Name: folder + item.rel}
	if item.byPath {
		s.Charges = item.month
	}
	s.Open = func(ctx context.Context) (in *intake.Input, err error) {
		if file, err = r.spool(ctx, item); err != nil {
			return nil, err
		}
		return intake.OpenFile(s.Name, file.File)
	}
	s.Before = func(ctx context.Context, in *intake.Input, files []jobs.FileResult) error {
		report := Report{Status: statusOf(files), Reason: reasonOf(files), Files: stable(files), Accepted: r.accepted(files)}
		var err error
		if report.Refused, err = r.keepRefused(ctx, item, in, files); err != nil {
			return err
		}
		report.Advice = advice(item, report)
		return r.keep(ctx, item, file, report, files)
	}
	s.After = func(ctx context.Context) error { return r.remove(ctx, item, file) }
	return s
}

// accepted is the reason of the plan, if something was taken for it.
func (r *run) accepted(files []jobs.FileResult) string {
	if slices.ContainsFunc(files, func(f jobs.FileResult) bool { return f.Accepted != "" }) {
		return r.plan.Accept
	}
	return ""
}

// aside does what the ledger has no part in: it files what is to be compared, and
// refuses what lies in a folder where it cannot be taken from.
func (r *run) aside(ctx context.Context, item Item) (err error) {
	file, err := r.spool(ctx, item)
	if errors.Is(err, jobs.ErrLeave) {
		return nil
	}
	if err != nil {
		return err
	}
	in, err := intake.OpenFile(folder+item.rel, file.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	report := Report{Status: Rejected, Reason: item.Why}
	if item.Will == File {
		report = Report{Status: Filed}
		if report.To, err = r.file(ctx, item, file, in); err != nil {
			return err
		}
		if strings.HasPrefix(report.To, Compared+unknown+"/") {
			report.Reason = monthless
		}
	}
	files := []jobs.FileResult{{Name: folder + item.rel, Kind: item.Kind, Month: item.Month, Status: string(report.Status), Reason: report.Reason}}
	if report.Status == Rejected {
		files[0].Refused = 1
	}
	report.Files, report.Advice = files, advice(item, report)
	if err := r.keep(ctx, item, file, report, files); err != nil {
		return err
	}
	return r.remove(ctx, item, file)
}

// file puts a reconciliation file where it is compared, once: the same content again
// is there already.
func (r *run) file(ctx context.Context, item Item, file *spooled, in *intake.Input) (key string, err error) {
	month := item.month
	for _, m := range in.Members {
		if item.month != 0 {
			break
		}
		billed, err := billedMonth(m)
		if err != nil || month != 0 && month != billed {
			month = 0 // whoever compares it says what is wrong with it
			break
		}
		month = billed
	}
	name := unknown
	if month != 0 {
		name = month.String()
	}
	prefix := Compared + name + "/" + file.sha256[:12] + "-"
	there, err := r.first(ctx, prefix)
	if err != nil || there.Key != "" {
		return there.Key, err
	}
	key = prefix + fit(lastOf(item.rel), maxSegment-len(file.sha256[:12])-1)
	return key, r.copy(ctx, key, file)
}

// billedMonth is [jobs.BilledMonth] of any file.
func billedMonth(m *intake.Member) (month pricing.Month, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read %s: %v", m.Name, p)
		}
	}()
	return jobs.BilledMonth(m, m.Recognise())
}
