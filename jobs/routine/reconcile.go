package routine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/inbox"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// Reconcile compares each month with Microsoft's file once that has arrived.
type Reconcile struct{ Job }

// Name is the job's.
func (Reconcile) Name() string { return ReconcileName }

// Asks are the months that are minded and have a revision and a file.
func (c Reconcile) Asks(ctx context.Context, at schedule.Moment) ([]schedule.Ask, error) {
	tick, ok := c.latest(at)
	if !ok {
		return nil, nil
	}
	var asks []schedule.Ask
	for m := at.First; m <= schedule.MonthOf(tick); m++ {
		files, err := c.files(ctx, m)
		if err != nil {
			return nil, err
		}
		if len(files) > 0 {
			asks = append(asks, ask(ReconcileName, "", m, tick))
		}
	}
	return asks, nil
}

// files lists Microsoft's of a month.
func (c Reconcile) files(ctx context.Context, month pricing.Month) ([]bucket.Info, error) {
	var files []bucket.Info
	for info, err := range c.Env.Bucket.List(ctx, inbox.Compared+month.String()+"/") {
		if err != nil {
			return nil, fmt.Errorf("list Microsoft's files of %s: %w", month, err)
		}
		files = append(files, info)
	}
	return files, nil
}

type reconcileDetail struct {
	Basis string   `json:"basis"`
	Files []string `json:"files"`
}

// Plan is nothing while our revision and their files are those that were compared.
func (c Reconcile) Plan(ctx context.Context, r schedule.Request) (schedule.Plan, error) {
	files, err := c.files(ctx, r.Slice.Month)
	if err != nil {
		return schedule.Plan{}, err
	}
	m, found, err := c.Books.Month(ctx, r.Slice.Month)
	switch {
	case err != nil:
		return schedule.Plan{}, err
	case len(files) == 0:
		return schedule.NothingTo(r.Slice, "no file of Microsoft's has arrived for %s: drop it under inbox/", r.Slice.Month), nil
	case !found:
		return schedule.WaitFor(r.Slice, waitsForInput, "%s was not billed yet", r.Slice.Month), nil
	}
	var keys []string
	for _, f := range files {
		keys = append(keys, f.Key)
	}
	detail := reconcileDetail{Files: keys,
		Basis: fmt.Sprintf("%s, %d files %x", basisOf(m.Current.Revision), len(keys), sha256.Sum256([]byte(strings.Join(keys, "\n"))))}
	switch last := r.Last; {
	case r.ByHand || r.Stands.Basis != detail.Basis:
	case last != nil && last.Result == history.Waiting:
		return schedule.WaitFor(r.Slice, last.Code, "%s", last.Reason), nil
	default:
		return schedule.NothingTo(r.Slice, "%s was compared with these files already", stateOf(m)), nil
	}
	p := schedule.ReadyTo(r.Slice, fmt.Sprintf("compare %s with %d files of Microsoft's", stateOf(m), len(keys)))
	p.Steps, p.Detail = append(p.Steps, keys...), detail
	return p, nil
}

// Execute compares. The files are read from a temporary folder.
func (c Reconcile) Execute(ctx context.Context, r schedule.Request, p schedule.Plan) (out history.Outcome, err error) {
	detail, ok := p.Detail.(reconcileDetail)
	if !ok {
		return out, fmt.Errorf("plan of %s: it names no files", r.Slice)
	}
	folder, err := os.MkdirTemp("", "calends-reconcile-")
	if err != nil {
		return out, fmt.Errorf("make a folder for Microsoft's files: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	out.Basis = detail.Basis
	var names []string
	for _, key := range detail.Files {
		ref, err := fetch(ctx, c.Env.Bucket, key, filepath.Join(folder, path.Base(key)))
		if err != nil {
			return out, err
		}
		out.Inputs = append(out.Inputs, ref)
		names = append(names, path.Base(key))
	}
	slices.Sort(names)
	result, err := c.env(r).Reconcile(ctx, jobs.ReconcilePlan{Month: r.Slice.Month, Folder: folder, Files: names})
	if errors.Is(err, jobs.ErrMissing) {
		return out, &schedule.WaitError{Code: waitsForInput, Err: err}
	}
	if err != nil {
		return out, err
	}
	var lines int64
	for _, f := range result.Theirs {
		lines += f.Lines
	}
	out.Summary = fmt.Sprintf("%s beside Microsoft's: %d partners, %d differences to look at, %d lines that could not be read; revision %d of the comparison",
		result.Month, len(result.Partners), result.Open, result.Unread, result.Revision)
	out.Counts = map[string]int64{"partners": int64(len(result.Partners)), "differences": int64(result.Open), "lines": lines, "unread": result.Unread, "revision": int64(result.Revision)}
	out.Exceptions = int64(result.Open) + result.Unread
	return out, nil
}

// fetch copies an object into a file.
func fetch(ctx context.Context, b bucket.Bucket, key, name string) (ref history.Ref, err error) {
	object, err := b.Open(ctx, key)
	if err != nil {
		return ref, fmt.Errorf("fetch %s: %w", key, err)
	}
	defer object.Close()
	file, err := os.Create(name)
	if err != nil {
		return ref, fmt.Errorf("fetch %s: %w", key, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(file, sum), object)
	if err != nil {
		return ref, fmt.Errorf("fetch %s: %w", key, err)
	}
	return history.Ref{Name: key, SHA256: fmt.Sprintf("%x", sum.Sum(nil)), Size: size}, nil
}
