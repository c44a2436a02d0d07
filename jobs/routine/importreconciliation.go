package routine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/inbox"
	"github.com/calends/calends/jobs/microsoft"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// ImportReconciliation fetches what Microsoft billed in each month, once it is
// billed, to where the reconcile job finds it. While a month is not, it can fetch
// what is unbilled, which the bill then takes the place of.
type ImportReconciliation struct {
	Import
	Client *microsoft.Client
	// Unbilled are the currencies of which lines that are not on an invoice yet are
	// fetched too. None: only what is billed.
	Unbilled []string
}

// Name is the job's.
func (ImportReconciliation) Name() string { return ImportReconciliationName }

// Asks are the months that are minded; a close does not wait for Microsoft's bill.
func (c ImportReconciliation) Asks(_ context.Context, at schedule.Moment) (asks []schedule.Ask, _ error) {
	tick, ok := c.latest(at)
	if !ok {
		return nil, nil
	}
	add := func(subject string, m pricing.Month) {
		a := ask(ImportReconciliationName, subject, m, tick)
		a.Needed = neverNeeded
		asks = append(asks, a)
	}
	for m := at.First; m < schedule.MonthOf(tick); m++ {
		add("billed", m)
	}
	for _, currency := range c.Unbilled {
		add("unbilled/"+currency, schedule.MonthOf(tick))
	}
	return asks, nil
}

// Plan is to ask what there is.
func (c ImportReconciliation) Plan(_ context.Context, r schedule.Request) (schedule.Plan, error) {
	if r.Last == nil || r.Last.Code != waitsForExport {
		if plan, ok := waited(r); ok {
			return plan, nil
		}
	}
	if currency, ok := strings.CutPrefix(r.Slice.Subject, "unbilled/"); ok {
		return schedule.ReadyTo(r.Slice, "export what is not billed yet in "+currency, "fetch what is new"), nil
	}
	return schedule.ReadyTo(r.Slice, fmt.Sprintf("find Microsoft's invoices of %s", r.Slice.Month), "export each", "fetch what is new"), nil
}

// Execute finds the exports and fetches them.
func (c ImportReconciliation) Execute(ctx context.Context, r schedule.Request, _ schedule.Plan) (out history.Outcome, err error) {
	exports, err := c.exports(ctx, r)
	if err != nil {
		return out, forPerson(err)
	}
	out.Counts = map[string]int64{"exports": int64(len(exports))}
	unchanged, empty := 0, 0
	for _, x := range exports {
		got, err := c.fetch(ctx, r, x, &out)
		if errors.Is(err, microsoft.ErrNoExport) {
			empty++
			continue
		}
		if errors.Is(err, microsoft.ErrExportLate) {
			return out, &schedule.WaitError{Code: waitsForExport, Err: err}
		}
		if err != nil {
			return out, forPerson(err)
		}
		if got.Unchanged {
			unchanged++
		}
	}
	if r.Slice.Subject == "billed" && empty == len(exports) {
		return out, &schedule.WaitError{Code: waitsForSource, Err: fmt.Errorf("Microsoft has invoices for %s, and no lines of them yet", r.Slice.Month)} //nolint:staticcheck // a name
	}
	out.Summary = fmt.Sprintf("%d exports, %d of them as we had them; %d files, %d lines", len(exports), unchanged, len(out.Outputs), out.Counts["lines"])
	if empty > 0 {
		out.Summary += fmt.Sprintf("; %d without any lines yet", empty)
	}
	if r.Slice.Subject == "billed" && len(out.Outputs) > 0 {
		return out, c.forget(ctx, r.Slice.Month, "unbilled-")
	}
	return out, nil
}

// exports are what a slice wants.
func (c ImportReconciliation) exports(ctx context.Context, r schedule.Request) ([]microsoft.Export, error) {
	if currency, ok := strings.CutPrefix(r.Slice.Subject, "unbilled/"); ok {
		return []microsoft.Export{{Currency: currency, Period: "current"}}, nil
	}
	all, err := c.Client.Invoices(ctx)
	if err != nil {
		return nil, err
	}
	var list []microsoft.Export
	for _, inv := range microsoft.InvoicesOf(r.Slice.Month, all) {
		list = append(list, microsoft.Export{InvoiceID: inv.ID})
	}
	if len(list) == 0 {
		return nil, &schedule.WaitError{Code: waitsForSource, Err: fmt.Errorf("Microsoft has no invoice for %s yet", r.Slice.Month)} //nolint:staticcheck // a name
	}
	return list, nil
}

// exportLimit is how long a round waits for an export that Microsoft is making, before
// it lets others go on. Later rounds look at the same operation.
const exportLimit = 2 * time.Minute

// exported is what is kept of an export, so that nothing is asked or fetched twice,
// not by another machine either.
type exported struct {
	microsoft.Asked
	// Files are the keys of its newest version.
	Files []string `json:"files,omitempty"`
}

// exportsPrefix has a numbered record for each thing that is learnt of an export.
const exportsPrefix = "microsoft/exports/"

// nameOf names an export in keys.
func nameOf(x microsoft.Export) string {
	if x.InvoiceID != "" {
		return "billed-" + x.InvoiceID
	}
	return "unbilled-" + x.Currency
}

func (c ImportReconciliation) known(ctx context.Context, folder string) (known exported, next int, err error) {
	key := ""
	for info, err := range c.Env.Bucket.List(ctx, folder) {
		if err != nil {
			return known, 0, fmt.Errorf("look for what was exported: %w", err)
		}
		key, next = info.Key, next+1
	}
	if key == "" {
		return known, 1, nil
	}
	data, err := bucket.ReadAll(ctx, c.Env.Bucket, key)
	if err == nil {
		err = json.Unmarshal(data, &known)
	}
	if err != nil {
		return known, 0, fmt.Errorf("read what was exported: %s: %w", key, err)
	}
	return known, next + 1, nil
}

// fetch fetches one export, files it, and lets go of its earlier version.
func (c ImportReconciliation) fetch(ctx context.Context, r schedule.Request, x microsoft.Export, out *history.Outcome) (got microsoft.Exported, err error) {
	kept := exportsPrefix + r.Slice.Month.String() + "/" + bucket.Segment(nameOf(x)) + "/"
	known, next, err := c.known(ctx, kept)
	if err != nil {
		return got, err
	}
	write := func(e exported) error {
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		key := fmt.Sprintf("%s%06d.json", kept, next)
		next++
		if err := bucket.Put(ctx, c.Env.Bucket, key, data); err != nil {
			return fmt.Errorf("keep what is known of export %s: %w", x, err)
		}
		return nil
	}
	limit := exportLimit
	if r.ByHand {
		limit = 0 // a person waits for it
	}
	err = folder(func(dir string) error {
		// That everything is there is kept only once it is in the bucket, below: the
		// folder does not outlive this attempt.
		got, err = c.Client.ExportReconciliation(ctx, microsoft.ExportPlan{Export: x, Folder: dir, Known: known.Asked, Limit: limit, Keep: func(a microsoft.Asked) error {
			if a.ETag != known.ETag {
				return nil
			}
			return write(exported{a, known.Files})
		}})
		if err != nil || got.Unchanged {
			return err
		}
		now := exported{Asked: microsoft.Asked{ETag: got.ETag}}
		for _, f := range got.Files {
			ref, err := c.file(ctx, r.Slice.Month, nameOf(x), f)
			if err != nil {
				return err
			}
			now.Files = append(now.Files, ref.Name)
			out.Outputs = append(out.Outputs, ref)
			out.Counts["lines"] += f.Lines
		}
		for _, old := range known.Files {
			if !slices.Contains(now.Files, old) {
				if err := c.Env.Bucket.Delete(ctx, old); err != nil {
					return fmt.Errorf("let go of the earlier version of export %s: %w", x, err)
				}
			}
		}
		return write(now)
	})
	return got, err
}

// file puts a fetched file to where the reconcile job finds it.
func (c ImportReconciliation) file(ctx context.Context, month pricing.Month, export string, f microsoft.ExportedFile) (history.Ref, error) {
	key := fmt.Sprintf("%s%s/%s-%.12s-%s", inbox.Compared, month, bucket.Segment(export), f.SHA256, bucket.Segment(path.Base(f.Name)))
	in, err := os.Open(f.Path)
	if err != nil {
		return history.Ref{}, fmt.Errorf("file %s: %w", f.Name, err)
	}
	defer in.Close()
	w, err := bucket.CreateSame(ctx, c.Env.Bucket, key)
	if err != nil {
		return history.Ref{}, fmt.Errorf("file %s: %w", f.Name, err)
	}
	defer w.Abort()
	if _, err = io.Copy(w, in); err == nil {
		err = w.Commit()
	}
	if err != nil {
		return history.Ref{}, fmt.Errorf("file %s: %w", f.Name, err)
	}
	return history.Ref{Name: key, SHA256: f.SHA256, Size: f.Size}, nil
}

// forget removes the files of exports whose names begin so: what was unbilled is
// billed now, and would stand beside it twice.
func (c ImportReconciliation) forget(ctx context.Context, month pricing.Month, names string) error {
	prefix := inbox.Compared + month.String() + "/" + names
	var keys []string
	for info, err := range c.Env.Bucket.List(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("look for what was unbilled: %w", err)
		}
		keys = append(keys, info.Key)
	}
	for _, key := range keys {
		if err := c.Env.Bucket.Delete(ctx, key); err != nil {
			return fmt.Errorf("remove what is billed now: %w", err)
		}
	}
	return nil
}
