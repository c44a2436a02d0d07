package inbox

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pipeline/bucket"
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

// spooled is the content of an object as it was read, in a temporary file that has no
// name any more.
type spooled struct {
	*os.File
	size   int64
	sha256 string
}

// What happens to objects that others write too.
var (
	errGone    = errors.New("is gone: somebody else has taken it")
	errChanged = errors.New("has changed since it was looked at: it is taken next time")
)

// spool reads an object that has not changed since the plan was made. One that has,
// and one that nobody may read, is left for the next run.
func (r *run) spool(ctx context.Context, item Item) (*spooled, error) {
	file, err := os.CreateTemp("", "calends-inbox-*")
	if err != nil {
		return nil, err
	}
	s := &spooled{File: file}
	if err = os.Remove(file.Name()); err == nil {
		err = r.read(ctx, item, s)
	}
	if err == nil {
		return s, nil
	}
	left := Fate{Key: item.Key, Status: Left, Reason: err.Error()}
	if errors.Is(err, fs.ErrPermission) {
		left.Status = Stuck
	}
	if left.Status == Stuck || errors.Is(err, errGone) || errors.Is(err, errChanged) {
		r.fates[item.Key] = left
		err = jobs.ErrLeave
	}
	return nil, errors.Join(err, file.Close())
}

func (r *run) read(ctx context.Context, item Item, to *spooled) error {
	object, err := r.env.Bucket.Open(ctx, item.Key)
	if errors.Is(err, bucket.ErrNotExist) {
		return errGone
	}
	if err != nil {
		return err
	}
	defer object.Close()
	hash := sha256.New()
	if to.size, err = io.Copy(io.MultiWriter(to.File, hash), object); err != nil {
		return err
	}
	to.sha256 = hex.EncodeToString(hash.Sum(nil))
	now, err := r.first(ctx, item.Key)
	if err != nil {
		return err
	}
	if now.Key != item.Key || now.Size != item.seen.Size || !now.Modified.Equal(item.seen.Modified) || to.size != now.Size {
		return errChanged
	}
	return nil
}

// first is the first object with the prefix; the zero Info: there is none.
func (r *run) first(ctx context.Context, prefix string) (bucket.Info, error) {
	for info, err := range r.env.Bucket.List(ctx, prefix) {
		if err != nil || strings.HasPrefix(info.Key, prefix) { // always, so this is the first
			return info, err
		}
	}
	return bucket.Info{}, nil
}

// keepRefused writes the refused records of files that were taken otherwise, each
// into an object of its own.
func (r *run) keepRefused(ctx context.Context, item Item, in *intake.Input, files []jobs.FileResult) (keys []string, err error) {
	for n, f := range files {
		if f.Status != jobs.StatusTaken || f.Refused == 0 {
			continue
		}
		key, err := r.keepRecords(ctx, item, in.Members[n])
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (r *run) keepRecords(ctx context.Context, item Item, m *intake.Member) (key string, err error) {
	what := m.Recognise()
	rel := item.rel
	if _, member, ok := strings.Cut(m.Name, item.rel+"!"); ok { // of an archive
		rel += "!" + bucket.Segment(member)
	}
	end := ".csv"
	if what.Format == intake.JSONLines {
		end = ".jsonl"
	}
	records, err := os.CreateTemp("", "calends-inbox-*")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	if err := os.Remove(records.Name()); err != nil {
		return "", err
	}
	hash := sha256.New()
	if _, err := intake.CopyRefused(m, what.Format, io.MultiWriter(records, hash)); err != nil {
		return "", fmt.Errorf("copy the refused records of %s: %w", m.Name, err)
	}
	size, err := records.Seek(0, io.SeekCurrent)
	if err != nil {
		return "", err
	}
	file := &spooled{records, size, hex.EncodeToString(hash.Sum(nil))}
	err = name(refused, r.plan.Day, bare(rel)+refusedSuffix+end, file.sha256, func(k string) (bool, error) {
		key = k
		there, err := r.sha256(ctx, key)
		if err != nil || there != "" {
			return there == file.sha256, err
		}
		return true, r.copy(ctx, key, file)
	})
	return key, err
}

// keep puts the file where it goes and its report beside it.
func (r *run) keep(ctx context.Context, item Item, file *spooled, report Report, files []jobs.FileResult) error {
	report.Dropped, report.SHA256, report.Size = item.Key, file.sha256, file.size
	filed := report.To
	return name(folderOf(report.Status), r.plan.Day, item.rel, file.sha256, func(key string) (bool, error) {
		report.To = cmp.Or(filed, key)
		free, err := r.room(ctx, key, report)
		if err != nil || !free {
			return false, err
		}
		if filed == "" {
			err = r.copy(ctx, key, file)
		}
		if err == nil {
			err = r.write(ctx, key, report)
		}
		if err == nil {
			r.fates[item.Key] = Fate{Key: item.Key, Status: report.Status, Reason: report.Reason, To: report.To, Report: key + reportSuffix,
				RefusedRecords: report.Refused, Files: brief(files)}
		}
		return true, err
	})
}

// brief are results with the first refused records; the report has all.
func brief(files []jobs.FileResult) []jobs.FileResult {
	files = slices.Clone(files)
	for i, f := range files {
		files[i].Errors = f.Errors[:min(len(f.Errors), 50)]
	}
	return files
}

// room reports whether the name is free, or is that of this file already.
func (r *run) room(ctx context.Context, name string, report Report) (bool, error) {
	if report.To == name {
		there, err := r.sha256(ctx, name)
		if err != nil || there != "" && there != report.SHA256 {
			return false, err
		}
	}
	old, err := r.report(ctx, name)
	return err == nil && (old == nil || old.tells(report)), err
}

// report reads the one that is there, nil if there is none.
func (r *run) report(ctx context.Context, name string) (*Report, error) {
	data, err := bucket.ReadAll(ctx, r.env.Bucket, name+reportSuffix)
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var old Report
	if err := json.Unmarshal(data, &old); err != nil {
		return &Report{}, nil // somebody else's, or edited: it tells nothing
	}
	return &old, nil
}

// write writes the report, unless one is there that says it all.
func (r *run) write(ctx context.Context, name string, report Report) error {
	if old, err := r.report(ctx, name); err != nil || old != nil {
		return err
	}
	data, err := report.encode()
	if err != nil {
		return err
	}
	return bucket.PutSame(ctx, r.env.Bucket, name+reportSuffix, data)
}

// copy makes the object of a file.
func (r *run) copy(ctx context.Context, key string, file *spooled) error {
	w, err := bucket.CreateSame(ctx, r.env.Bucket, key)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.Copy(w, io.NewSectionReader(file.File, 0, file.size)); err != nil {
		return err
	}
	if w.SHA256() != file.sha256 {
		return fmt.Errorf("copy %s: the temporary file has changed", key)
	}
	return w.Commit()
}

// sha256 is that of an object, "" if there is none.
func (r *run) sha256(ctx context.Context, key string) (string, error) {
	object, err := r.env.Bucket.Open(ctx, key)
	if errors.Is(err, bucket.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer object.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, object); err != nil {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// remove ends the move. Whoever has put another content under the key meanwhile has
// it taken next time.
func (r *run) remove(ctx context.Context, item Item, file *spooled) error {
	there, err := r.sha256(ctx, item.Key)
	if err != nil {
		return err
	}
	if there != file.sha256 {
		fate := r.fates[item.Key]
		fate.Reason = "was replaced meanwhile: the new one is taken next time"
		r.fates[item.Key] = fate
		return nil
	}
	if r.fates[item.Key].To == item.Key {
		return nil // it is held again
	}
	if err := r.env.MayWrite(ctx); err != nil {
		return err
	}
	if item.Key != folder+item.rel { // it was held: its report goes first, so that none stands alone
		if err := r.env.Bucket.Delete(ctx, item.Key+reportSuffix); err != nil {
			return err
		}
	}
	return r.env.Bucket.Delete(ctx, item.Key)
}
