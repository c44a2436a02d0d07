package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// VerifyPlan says how much to prove.
type VerifyPlan struct {
	// Quick looks at names and sizes only: nothing is hashed, added up or computed.
	Quick bool
	// SkipProof does not compute closed months again.
	SkipProof bool
}

// VerifyResult says what was read and what is wrong.
type VerifyResult struct {
	Inputs    int `json:"inputs"`
	Revisions int `json:"revisions"`
	Objects   int `json:"objects"` // that inputs and manifests name, each hashed unless it was quick
	Invoices  int `json:"invoices"`
	Lines     int `json:"lines"`
	// Proved are the closed months that came out the same again.
	Proved []string `json:"proved"`
	// Findings are the faults, of severity error.
	Findings []Finding `json:"findings"`
	// Notices are what is no fault and worth knowing: warnings, then infos.
	Notices []Finding `json:"notices"`
	// Leftovers are objects that nothing names, as an interrupted run leaves
	// them. They do no harm: no reader sees them.
	Leftovers []string `json:"leftovers"`
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
//   - What nothing names is told apart: the rest of an interrupted run, a file of
//     somebody else, what a repair has set aside.
func (e Env) Verify(ctx context.Context, plan VerifyPlan) (VerifyResult, error) {
	v, err := e.verify(ctx, plan)
	return v.result, err
}

func (e Env) verify(ctx context.Context, plan VerifyPlan) (*verification, error) {
	v := newVerification(e, plan)
	if err := v.list(ctx); err != nil { // before the rest: what is written meanwhile is no leftover
		return v, err
	}
	if len(v.keys) == 0 {
		return v, snapshot{}.something("verify")
	}
	if err := v.records(ctx); err != nil {
		return v, err
	}
	v.parallel(ctx, "verify objects", len(v.claims), func(ctx context.Context, i int) (n notes) {
		v.check(ctx, v.claims[i], &n)
		return n
	})
	v.result.Objects = len(v.claims)
	v.books()
	if !plan.Quick {
		v.sums(ctx)
	}
	if !plan.Quick && !plan.SkipProof {
		v.recompute(ctx)
	}
	if err := v.strays(ctx); err != nil {
		return v, err
	}
	v.result.Findings, v.result.Notices = v.notes.split()
	return v, ctx.Err()
}

// verification is one run of Verify.
type verification struct {
	env    Env
	plan   VerifyPlan
	result VerifyResult
	notes  notes

	keys   []string // of the bucket, in order
	listed map[string]bucket.Info
	// named has what inputs and manifests account for: nil for their own records,
	// else what they say of it.
	named  map[string]*claim
	claims []*claim

	known     []ledger.Input
	revisions []revision // of all readable manifests, by month and number
	months    []ledger.Month
}

// revision is one manifest.
type revision struct {
	key      string
	month    pricing.Month
	manifest ledger.Manifest
}

// claim is what a record says of an object.
type claim struct {
	key    string
	size   int64
	sha256 string
	// records is how many rows an object of the ledger has; a file of a revision
	// does not say.
	records int64
	data    bool
	// inputs are those that name it, revision the key of the manifest that does.
	inputs   []ledger.Input
	revision *revision
}

func newVerification(e Env, plan VerifyPlan) *verification {
	return &verification{env: e, plan: plan, listed: make(map[string]bucket.Info), named: make(map[string]*claim),
		result: VerifyResult{Proved: []string{}, Findings: []Finding{}, Notices: []Finding{}, Leftovers: []string{}}}
}

// wrong enters a finding.
func (v *verification) wrong(kind FindingKind, object, what, expected, found string) {
	v.notes.add(kind, object, what, expected, found)
}

// parallel runs jobs on all workers. Their findings are entered in the order of
// the jobs, whoever was first.
func (v *verification) parallel(ctx context.Context, stage string, jobs int, job func(context.Context, int) notes) {
	found := make([]notes, jobs)
	var group errgroup.Group
	group.SetLimit(max(1, v.env.Workers))
	var watched sync.Mutex
	done := int64(0)
	for i := range jobs {
		group.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			found[i] = job(ctx, i)
			watched.Lock()
			defer watched.Unlock()
			done++
			v.env.progress(stage, done, int64(jobs))
			return nil
		})
	}
	_ = group.Wait() // jobs have findings, no errors
	for _, n := range found {
		v.notes = append(v.notes, n...)
	}
}

func (v *verification) list(ctx context.Context) error {
	for info, err := range v.env.Bucket.List(ctx, "") {
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		v.keys = append(v.keys, info.Key)
		v.listed[info.Key] = info
		v.env.progress("verify list", int64(len(v.keys)), 0)
	}
	return nil
}

// records reads all inputs and manifests and notes what they name.
func (v *verification) records(ctx context.Context) error {
	old := make(map[string]int)
	oldest := make(map[string]string)
	layout := func(what, key string, recorded int) {
		if ledger.LayoutOf(recorded) < ledger.Layout {
			old[what]++
			oldest[what] = cmp.Or(oldest[what], key)
		}
	}
	// Manifests first: a run that writes meanwhile then adds inputs that no manifest
	// names yet, and not the other way round.
	if err := v.readManifests(ctx, layout); err != nil {
		return err
	}
	if err := v.inputs(ctx, layout); err != nil {
		return err
	}
	v.manifests()
	for _, read := range []func(context.Context) error{v.approvals, v.comparisons, v.relationships} {
		if err := read(ctx); err != nil {
			return err
		}
	}
	for _, what := range []string{"input", "manifest"} {
		if n := old[what]; n > 0 {
			v.wrong(OldLayout, oldest[what], "layout of "+plural(n, what), count(ledger.Layout)+", which is written today", "an earlier one")
		}
	}
	return ctx.Err()
}

// inputs reads every input and notes the data that it names.
func (v *verification) inputs(ctx context.Context, layout func(what, key string, recorded int)) error {
	next := int64(1)
	for found, err := range v.env.ledger().AuditInputs(ctx, v.env.Workers) {
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		if ledger.KindOfKey(found.Key) != ledger.InputKey {
			v.named[found.Key] = nil
			v.notes.add(ForeignFile, found.Key, "key", "none among the inputs", "a file that is no input")
			f := &v.notes[len(v.notes)-1]
			f.Severity, f.Advice = SeverityError, "no command works until it is gone: calends repair moves it aside"
			continue
		}
		v.named[found.Key] = nil
		v.result.Inputs++
		v.env.progress("verify inputs", int64(v.result.Inputs), 0)
		if found.Err != nil {
			v.unreadableRecord(found.Key, found.Err)
			next++
			continue
		}
		in := found.Value
		if in.Number != next {
			v.wrong(InputGap, found.Key, "number of the input: one before it is missing", count(next), count(in.Number))
		}
		next = in.Number + 1
		layout("input", found.Key, in.Layout)
		v.known = append(v.known, in)
		v.inputObjects(found.Key, in)
	}
	return ctx.Err()
}

// unreadableRecord enters an input or manifest that cannot be used.
func (v *verification) unreadableRecord(key string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	kind := UnreadableRecord
	if errors.Is(err, ledger.ErrNewer) {
		kind = NewerLayout
	}
	v.wrong(kind, key, "content", "", err.Error())
}

func (v *verification) inputObjects(key string, in ledger.Input) {
	records := int64(0)
	for _, o := range in.DataObjects() {
		records += o.Records
		c := v.claim(claim{key: o.Key, size: o.Size, sha256: o.SHA256, records: o.Records, data: true})
		c.inputs = append(c.inputs, in)
	}
	// A price sheet also has rows that are no licence prices.
	if in.Kind != ledger.Prices && in.Kind != ledger.Software && records != in.Records {
		v.wrong(WrongCount, key, "records of its objects", count(in.Records), count(records))
	}
}

// claim notes an object. Two inputs of the same content share their data.
func (v *verification) claim(c claim) *claim {
	if known := v.named[c.key]; known != nil {
		return known
	}
	v.named[c.key] = &c
	v.claims = append(v.claims, &c)
	return &c
}

// check proves that an object is there with the size and hash that are recorded
// of it, and with as many records.
func (v *verification) check(ctx context.Context, c *claim, n *notes) {
	if v.plan.Quick {
		v.checkSize(ctx, c, n)
		return
	}
	size, sum, err := hashObject(ctx, v.env.Bucket, c.key)
	switch {
	case errors.Is(err, bucket.ErrNotExist):
		n.add(MissingObject, c.key, "object", "is there", "is missing")
		return
	case err != nil:
		n.unreadable(c.key, err)
		return
	}
	if size != c.size {
		n.add(WrongSize, c.key, "size", count(c.size), count(size))
	}
	if sum != c.sha256 {
		n.add(WrongHash, c.key, "sha256", c.sha256, sum)
	}
	if !c.data || sum != c.sha256 {
		return
	}
	rows, err := v.rows(ctx, c)
	if err != nil {
		n.unreadable(c.key, err)
	} else if rows != c.records {
		n.add(WrongCount, c.key, "records", count(c.records), count(rows))
	}
}

func (v *verification) rows(ctx context.Context, c *claim) (int64, error) {
	rows, isParquet, err := v.env.ledger().CountRecords(ctx, ledger.Object{Key: c.key})
	if !isParquet {
		err = v.env.readLines(ctx, c.key, func(*invoice.Line) { rows++ })
	}
	return rows, err
}

// checkSize goes by the listing. What came after it is asked for by itself.
func (v *verification) checkSize(ctx context.Context, c *claim, n *notes) {
	size := v.listed[c.key].Size
	if _, ok := v.listed[c.key]; !ok {
		object, err := v.env.Bucket.Open(ctx, c.key)
		if errors.Is(err, bucket.ErrNotExist) {
			n.add(MissingObject, c.key, "object", "is there", "is missing")
			return
		}
		if err != nil {
			n.unreadable(c.key, err)
			return
		}
		size = object.Size()
		if err := object.Close(); err != nil {
			n.unreadable(c.key, err)
		}
	}
	if size != c.size {
		n.add(WrongSize, c.key, "size", count(c.size), count(size))
	}
}

// readManifests reads every revision.
func (v *verification) readManifests(ctx context.Context, layout func(what, key string, recorded int)) error {
	for found, err := range v.env.ledger().AuditRevisions(ctx, v.env.Workers) {
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		v.named[found.Key] = nil
		v.result.Revisions++
		v.env.progress("verify revisions", int64(v.result.Revisions), 0)
		if found.Err != nil {
			v.unreadableRecord(found.Key, found.Err)
			continue
		}
		layout("manifest", found.Key, found.Value.Layout)
		month, _, _ := ledger.RevisionOf(found.Key)
		v.revisions = append(v.revisions, revision{found.Key, month, found.Value})
	}
	slices.SortStableFunc(v.revisions, func(a, b revision) int {
		return cmp.Or(cmp.Compare(a.month, b.month), cmp.Compare(a.manifest.Revision, b.manifest.Revision))
	})
	return ctx.Err()
}

// manifests notes what the revisions name and finds the current ones.
func (v *verification) manifests() {
	for i := range v.revisions {
		r := &v.revisions[i]
		v.manifest(r)
		if n := len(v.months); n > 0 && v.months[n-1].Month == r.month {
			if v.months[n-1].Current.State == ledger.Closed {
				v.wrong(WrongBooks, r.key, "revision", "none after the closed one", string(r.manifest.State))
			}
			v.months[n-1].Current = r.manifest
			continue
		}
		v.months = append(v.months, ledger.Month{Month: r.month, Current: r.manifest})
	}
}

// manifest notes what a revision names.
func (v *verification) manifest(r *revision) {
	m := r.manifest
	prefix := ledger.RevisionPrefix(r.month, m.Revision)
	for _, f := range m.Files {
		v.claim(claim{key: prefix + f.Path, size: f.Size, sha256: f.SHA256, revision: r})
	}
	for _, o := range m.Objects() {
		c := v.claim(claim{key: o.Key, size: o.Size, sha256: o.SHA256, records: o.Records, data: true})
		if c.revision == nil {
			c.revision = r
		}
	}
	if a := m.Approval; a != nil {
		v.claim(claim{key: a.Key, size: a.Size, sha256: a.SHA256, revision: r})
	}
	byNumber := make(map[int64]ledger.Input)
	for _, in := range v.known {
		byNumber[in.Number] = in
	}
	for _, ref := range m.Inputs {
		in, ok := byNumber[ref.Number]
		switch {
		case !ok:
			v.wrong(MissingInput, r.key, "input "+count(ref.Number)+" ("+ref.Name+")", ref.SHA256, "is missing")
			return // one is enough to know
		case in.SHA256 != ref.SHA256 || in.Kind != ref.Kind:
			v.wrong(MissingInput, r.key, "input "+count(ref.Number), ref.SHA256, in.SHA256)
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
			v.wrong(WrongBooks, m.Month.String(), "closed months follow each other", (last + 1).String(), m.Month.String())
		}
		if last == 0 && m.Current.Begins != "" && m.Current.Begins != m.Month.String() {
			v.wrong(WrongBooks, m.Month.String(), "the books begin with", m.Current.Begins, m.Month.String())
		}
		last = m.Month
		before := ""
		for i, inv := range m.Current.Invoices {
			key := manifestKey(m)
			if want := invoice.Number(m.Month, i+1); inv.Number != want {
				v.wrong(WrongBooks, key, "number of the invoice of partner "+inv.PartnerID, want, inv.Number)
			}
			if inv.PartnerID <= before {
				v.wrong(WrongBooks, key, "order of invoices", "by PartnerId", inv.PartnerID+" after "+before)
			}
			before = inv.PartnerID
		}
	}
}

func (v *verification) unnumbered(m ledger.Month) {
	for _, inv := range m.Current.Invoices {
		if inv.Number != "" {
			v.wrong(WrongBooks, manifestKey(m), "number of partner "+inv.PartnerID+"'s draft", "none", inv.Number)
		}
	}
}

func manifestKey(m ledger.Month) string {
	return ledger.RevisionPrefix(m.Month, m.Current.Revision) + ledger.ManifestName
}

// recompute bills closed months again.
func (v *verification) recompute(ctx context.Context) {
	for _, m := range v.months {
		if m.Current.State != ledger.Closed || ctx.Err() != nil {
			continue
		}
		result, err := v.env.Bill(ctx, m.Month, true)
		switch {
		case errors.Is(err, context.Canceled):
		case err != nil:
			v.wrong(NotReproduced, m.Month.String(), "content", "", fmt.Sprintf("compute again: %v", err))
		case result.Proved:
			v.result.Proved = append(v.result.Proved, m.Month.String())
		default:
			for _, d := range result.Differences {
				v.wrong(NotReproduced, m.Month.String(), "computed again: partner "+d.PartnerID+": "+d.Cause, d.Before, d.After)
			}
		}
	}
}
