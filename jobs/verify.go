package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// VerifyPlan says how much to prove.
type VerifyPlan struct {
	// Quick skips what takes long: computing closed months again.
	Quick bool
}

// VerifyResult says what was read and what is wrong.
type VerifyResult struct {
	Inputs    int `json:"inputs"`
	Revisions int `json:"revisions"`
	Objects   int `json:"objects"` // that inputs and manifests name, each hashed
	Invoices  int `json:"invoices"`
	Lines     int `json:"lines"`
	// Proved are the closed months that came out the same again.
	Proved   []string  `json:"proved"`
	Findings []Finding `json:"findings"`
	// Leftovers are objects that nothing names, as an interrupted run leaves
	// them. They do no harm: no reader sees them.
	Leftovers []string `json:"leftovers"`
}

// Finding is one thing that is not as it should be.
type Finding struct {
	Object   string `json:"object"` // its key in the bucket, or the month
	What     string `json:"what"`
	Expected string `json:"expected,omitempty"`
	Found    string `json:"found"`
}

// Verify reads everything in the bucket again and proves that it belongs
// together. It writes nothing. What is wrong is in the result; the error is of
// a bucket that cannot be read at all.
//
//   - Every input's objects, and every file of every revision, are there with
//     their size and SHA-256; objects have as many records as they say.
//   - Of each current revision and partner: CSV, Parquet, workbook, invoice.json
//     (its sections, customers and control totals) and the manifest have the same
//     number of lines and the same sums; exceptions are as many as the manifest
//     says.
//   - Closed months follow each other, nothing follows a closed revision, and its
//     invoices are numbered without a gap in the order of the partners.
//   - A closed month comes out the same when it is computed again.
func (e Env) Verify(ctx context.Context, plan VerifyPlan) (VerifyResult, error) {
	v := verification{env: e, named: make(map[string]bool),
		result: VerifyResult{Proved: []string{}, Findings: []Finding{}, Leftovers: []string{}}}
	objects, err := v.list(ctx) // before the rest: what is written meanwhile is no leftover
	if err != nil {
		return v.result, err
	}
	if len(objects) == 0 {
		return v.result, snapshot{}.something("verify")
	}
	if err := v.inputs(ctx); err != nil {
		return v.result, err
	}
	if err := v.revisions(ctx); err != nil {
		return v.result, err
	}
	v.books()
	for i, m := range v.months {
		e.progress("verify sums", int64(i), int64(len(v.months)))
		v.month(ctx, m)
	}
	e.progress("verify sums", int64(len(v.months)), int64(len(v.months)))
	if !plan.Quick {
		v.recompute(ctx)
	}
	for _, key := range objects {
		if !v.named[key] {
			v.result.Leftovers = append(v.result.Leftovers, key)
		}
	}
	return v.result, ctx.Err()
}

// verification is one run of Verify.
type verification struct {
	env    Env
	result VerifyResult
	named  map[string]bool // keys that inputs and manifests account for
	known  []ledger.Input
	months []ledger.Month
}

// wrong enters a finding.
func (v *verification) wrong(object, what, expected, found string) {
	v.result.Findings = append(v.result.Findings, Finding{object, what, expected, found})
}

// unreadable enters an object that cannot be read, unless the run was stopped
// or the object is known to be missing.
func (v *verification) unreadable(object string, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, bucket.ErrNotExist) && v.named[object] {
		return
	}
	v.wrong(object, "content", "", err.Error())
}

func (v *verification) list(ctx context.Context) (keys []string, err error) {
	for info, err := range v.env.Bucket.List(ctx, "") {
		if err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
		keys = append(keys, info.Key)
	}
	return keys, nil
}

// inputs checks every input and the data that it names.
func (v *verification) inputs(ctx context.Context) error {
	for found, err := range v.env.ledger().AuditInputs(ctx) {
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		v.named[found.Key] = true
		v.result.Inputs++
		v.env.progress("verify inputs", int64(v.result.Inputs), 0)
		in := found.Value
		switch want := int64(v.result.Inputs); {
		case found.Err != nil:
			v.unreadable(found.Key, found.Err)
			continue
		case in.Number != want:
			v.wrong(found.Key, "number of the input: one before it is missing", count(want), count(in.Number))
			v.result.Inputs = int(in.Number)
		}
		v.known = append(v.known, in)
		v.inputObjects(ctx, found.Key, in)
	}
	return nil
}

func (v *verification) inputObjects(ctx context.Context, key string, in ledger.Input) {
	records := int64(0)
	for _, o := range in.Objects {
		records += o.Records
		v.data(ctx, o)
	}
	// A price sheet also has rows that are no licence prices.
	if in.Kind != ledger.Prices && in.Kind != ledger.Software && records != in.Records {
		v.wrong(key, "records of its objects", count(in.Records), count(records))
	}
}

// data checks an object of the ledger: its bytes, and how many records it has.
func (v *verification) data(ctx context.Context, o ledger.Object) {
	if !v.object(ctx, o.Key, o.Size, o.SHA256) {
		return
	}
	rows, isParquet, err := v.env.ledger().CountRecords(ctx, o)
	if !isParquet {
		err = v.env.readLines(ctx, o.Key, func(*invoice.Line) { rows++ })
	}
	if err != nil {
		v.unreadable(o.Key, err)
		return
	}
	if rows != o.Records {
		v.wrong(o.Key, "records", count(o.Records), count(rows))
	}
}

// object checks that an object is there with the size and hash that are
// recorded of it. It reports whether it can be read.
func (v *verification) object(ctx context.Context, key string, size int64, sha256 string) bool {
	if v.named[key] {
		return true // two inputs of the same content share their data
	}
	v.named[key] = true
	v.result.Objects++
	found, sum, err := hashObject(ctx, v.env.Bucket, key)
	switch {
	case errors.Is(err, bucket.ErrNotExist):
		v.wrong(key, "object", "is there", "is missing")
	case err != nil:
		v.unreadable(key, err)
	default:
		if found != size {
			v.wrong(key, "size", count(size), count(found))
		}
		if sum != sha256 {
			v.wrong(key, "sha256", sha256, sum)
		}
		return true
	}
	return false
}

// revisions checks the files of every revision and finds the current ones.
func (v *verification) revisions(ctx context.Context) error {
	for found, err := range v.env.ledger().AuditRevisions(ctx) {
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		v.named[found.Key] = true
		v.result.Revisions++
		v.env.progress("verify revisions", int64(v.result.Revisions), 0)
		if found.Err != nil {
			v.unreadable(found.Key, found.Err)
			continue
		}
		month, _, _ := ledger.RevisionOf(found.Key)
		m := found.Value
		v.revision(ctx, found.Key, month, m)
		if n := len(v.months); n > 0 && v.months[n-1].Month == month {
			if v.months[n-1].Current.State == ledger.Closed {
				v.wrong(found.Key, "revision", "none after the closed one", string(m.State))
			}
			v.months[n-1].Current = m
			continue
		}
		v.months = append(v.months, ledger.Month{Month: month, Current: m})
	}
	return nil
}

func (v *verification) revision(ctx context.Context, key string, month pricing.Month, m ledger.Manifest) {
	prefix := ledger.RevisionPrefix(month, m.Revision)
	for _, f := range m.Files {
		v.object(ctx, prefix+f.Path, f.Size, f.SHA256)
	}
	for _, o := range m.Locks {
		v.data(ctx, o)
	}
	for i, ref := range m.Inputs {
		if i >= len(v.known) {
			v.wrong(key, "input "+count(ref.Number), ref.SHA256, "is missing")
			return
		}
		if in := v.known[i]; in.Number != ref.Number || in.SHA256 != ref.SHA256 || in.Kind != ref.Kind {
			v.wrong(key, "input "+count(ref.Number), ref.SHA256, in.SHA256)
		}
	}
}

// books checks the order and the numbers of what was issued.
func (v *verification) books() {
	var last pricing.Month
	for _, m := range v.months {
		if m.Current.State != ledger.Closed {
			v.unnumbered(m)
			continue
		}
		if last != 0 && m.Month != last+1 {
			v.wrong(m.Month.String(), "closed months follow each other", (last + 1).String(), m.Month.String())
		}
		last = m.Month
		before := ""
		for i, inv := range m.Current.Invoices {
			key := manifestKey(m)
			if want := invoice.Number(m.Month, i+1); inv.Number != want {
				v.wrong(key, "number of the invoice of partner "+inv.PartnerID, want, inv.Number)
			}
			if inv.PartnerID <= before {
				v.wrong(key, "order of invoices", "by PartnerId", inv.PartnerID+" after "+before)
			}
			before = inv.PartnerID
		}
	}
}

func (v *verification) unnumbered(m ledger.Month) {
	for _, inv := range m.Current.Invoices {
		if inv.Number != "" {
			v.wrong(manifestKey(m), "number of partner "+inv.PartnerID+"'s draft", "none", inv.Number)
		}
	}
}

func manifestKey(m ledger.Month) string {
	return ledger.RevisionPrefix(m.Month, m.Current.Revision) + ledger.ManifestName
}

// recompute bills closed months again.
func (v *verification) recompute(ctx context.Context) {
	for _, m := range v.months {
		if m.Current.State != ledger.Closed {
			continue
		}
		result, err := v.env.Bill(ctx, m.Month, true)
		switch {
		case err != nil:
			v.unreadable(m.Month.String(), fmt.Errorf("compute again: %w", err))
		case result.Proved:
			v.result.Proved = append(v.result.Proved, m.Month.String())
		default:
			for _, d := range result.Differences {
				v.wrong(m.Month.String(), "computed again: partner "+d.PartnerID+": "+d.Cause, d.Before, d.After)
			}
		}
	}
}
