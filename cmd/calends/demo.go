package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pricing"
)

type demoCmd struct {
	Dir string `arg:"" optional:"" default:"calends-demo" help:"Folder for the demo: new, empty, or of an earlier demo. Default ./calends-demo."`
}

// Help tells more than one line.
func (demoCmd) Help() string {
	return `Unpacks an invented world of four partners into DIR/inputs, takes it in, bills and closes January to
March 2024, takes in what came late, bills April with the corrections, exports every month to DIR/export,
compares March with Microsoft's files into DIR/reconcile and proves that all of it adds up. The bucket is DIR/calends-data; --bucket and the configuration file
are not used.

Some files are refused and some changes are parked: that is what the demo shows, and the exit code is 0.
Running it again on the same folder finishes what was interrupted and gives the same.`
}

// The demo's story; testdata/README.md tells it.
const (
	demoCharges = "2024-03" // what charges/ was rated for
	demoDraft   = "2024-04" // billed after late/ came in, and left open
	demoReason  = "the demo closes March with what is open"
	demoPerson  = "the demo"
)

// demoApproved is when it looks at March: a day of the story, so that it ends the same.
var demoApproved = time.Date(2024, time.April, 2, 9, 0, 0, 0, time.UTC)

var demoClosed = []string{"2024-01", "2024-02", "2024-03"}

// demoResult is what the demo came to, step by step.
type demoResult struct {
	Folder string `json:"folder"`
	// Ingest has the start, charges rated elsewhere, the files to refuse and what
	// came late; only the last when an earlier run did the rest.
	Ingest  []jobs.IngestResult `json:"ingest"`
	Held    []string            `json:"held"` // why March was not closed at first
	Months  []jobs.BillResult   `json:"months"`
	Exports []jobs.ExportResult `json:"exports"`
	// Reconcile compares March with Microsoft's files.
	Reconcile jobs.ReconcileResult `json:"reconcile"`
	Verify    jobs.VerifyResult    `json:"verify"`
	Late      []demoLine           `json:"late"` // April's lines with an earlier date
	names     map[string]string    // of partners
}

// Run plays the story.
func (c demoCmd) Run(ctx context.Context, a *app) error {
	folder := demoFolder(c.Dir)
	if err := folder.prepare(); err != nil {
		return err
	}
	env, err := a.envOn(filepath.Join(c.Dir, defaultBucket), defaultsOfConfig())
	if err != nil {
		return err
	}
	d := demo{app: a, env: env, folder: folder, result: demoResult{Folder: filepath.ToSlash(c.Dir), Held: []string{}}}
	if err := d.play(ctx); err != nil {
		return err
	}
	r := d.result
	if err := a.show(view{json: r, rows: billRows(r.Months), text: func(w io.Writer) { writeDemo(w, r) }}); err != nil {
		return err
	}
	if n := len(r.Verify.Findings); n > 0 {
		return fmt.Errorf("demo: verify found %s; remove %s and start afresh", plural(n, "fault"), c.Dir)
	}
	return nil
}

// demo is one run. Every step finds out by itself what is done already.
type demo struct {
	app    *app
	env    jobs.Env
	folder demoFolder
	result demoResult
}

func (d *demo) play(ctx context.Context) error {
	closed, err := d.allClosed(ctx)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	for _, step := range []struct {
		say  string
		done bool
		do   func(context.Context) error
	}{
		// What the months were closed with must not be taken in again: it would
		// supersede what came late.
		{"take in partners, customers, prices, rates and changes", closed, d.ingestStart},
		{"bill and close January, February and March 2024", closed, d.closeMonths},
		{"take in what came late", false, d.ingestLate},
		{"bill April with its corrections", false, d.billDraft},
		{"export every month", false, d.exportAll},
		{"compare March with Microsoft's files", false, d.reconcile},
		{"verify", false, d.verify},
	} {
		if step.done {
			d.app.say("demo: %s: done before", step.say)
			continue
		}
		d.app.say("demo: %s", step.say)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("demo: %s: %w", step.say, err)
		}
	}
	d.result.Late, d.result.names, err = d.folder.lateLines(demoDraft)
	return err
}

// allClosed reports whether an earlier run came past the closes.
func (d *demo) allClosed(ctx context.Context) (bool, error) {
	status, err := d.env.Status(ctx)
	if errors.Is(err, jobs.ErrMissing) {
		return false, nil // nothing is there yet
	}
	return status.Closed >= demoClosed[len(demoClosed)-1], err
}

func (d *demo) ingestStart(ctx context.Context) error {
	charges, err := pricing.ParseMonth(demoCharges)
	if err != nil {
		return err
	}
	for _, plan := range []jobs.IngestPlan{
		{Paths: []string{"partners.csv", "customers.csv", "fxrates.csv", "promotions.json", "offermatrix.csv", "prices", "changes"}},
		{Paths: []string{"charges"}, Charges: charges},
		{Paths: []string{"bad"}},
	} {
		if err := d.ingest(ctx, plan); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) ingestLate(ctx context.Context) error {
	return d.ingest(ctx, jobs.IngestPlan{Paths: []string{"late"}})
}

func (d *demo) ingest(ctx context.Context, plan jobs.IngestPlan) error {
	plan.Folder = d.folder.inputs()
	r, err := d.env.Ingest(ctx, plan)
	d.result.Ingest = append(d.result.Ingest, r)
	return err
}

// closeMonths bills and closes month by month. March is held back; it closes when
// its draft is approved, with a reason.
func (d *demo) closeMonths(ctx context.Context) error {
	for _, name := range demoClosed {
		month, err := pricing.ParseMonth(name)
		if err != nil {
			return err
		}
		if _, err := d.env.Bill(ctx, month, false); err != nil {
			return err
		}
		_, err = d.env.Close(ctx, month, "")
		var held *jobs.HeldError
		if errors.As(err, &held) {
			d.result.Held = held.Reasons()
			_, err = d.env.Approve(ctx, jobs.ApprovePlan{Month: month, By: demoPerson, At: demoApproved, Accept: demoReason})
			if err == nil {
				_, err = d.env.Close(ctx, month, "")
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) billDraft(ctx context.Context) error {
	month, err := pricing.ParseMonth(demoDraft)
	if err != nil {
		return err
	}
	_, err = d.env.Bill(ctx, month, false)
	return err
}

// exportAll copies all months, and asks once more what each came to: a closed
// one is computed again, so that the demo ends with the same on every run.
func (d *demo) exportAll(ctx context.Context) error {
	for _, name := range append(demoClosed[:len(demoClosed):len(demoClosed)], demoDraft) {
		month, err := pricing.ParseMonth(name)
		if err != nil {
			return err
		}
		bill, err := d.env.Bill(ctx, month, true)
		if err != nil {
			return err
		}
		d.result.Months = append(d.result.Months, bill)
		export, err := d.env.Export(ctx, jobs.ExportPlan{Month: month, Folder: d.folder.export(name)})
		if err != nil {
			return err
		}
		d.result.Exports = append(d.result.Exports, export)
	}
	return nil
}

// reconcile compares March with what Microsoft billed. The differences are planted.
func (d *demo) reconcile(ctx context.Context) error {
	month, err := pricing.ParseMonth(demoCharges)
	if err != nil {
		return err
	}
	d.result.Reconcile, err = d.env.Reconcile(ctx, jobs.ReconcilePlan{Month: month, Folder: d.folder.inputs(), Files: []string{"microsoft"}, To: string(d.folder), Largest: demoLargest})
	// Whether it was written now or by an earlier run is no part of the story.
	d.result.Reconcile.Written, d.result.Reconcile.Folder = false, ""
	return err
}

// demoLargest is how many differences the demo shows: all of them.
const demoLargest = 20

func (d *demo) verify(ctx context.Context) (err error) {
	// exportAll has computed the closed months again.
	d.result.Verify, err = d.env.Verify(ctx, jobs.VerifyPlan{SkipProof: true})
	return err
}
