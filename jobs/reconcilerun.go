package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pricing"
)

// Reconcile compares the month's current revision with Microsoft's files:
//
//   - Their lines are read once, each checked, and sorted by partner, customer and
//     subscription; what memory does not hold goes through temporary files.
//   - A customer at a time, both sides are matched and every difference is given
//     its causes (package reconcile), on all workers.
//   - Both sides' sums and the causes must agree, per partner and currency, with
//     our invoice and with what was read; else nothing is published.
//   - The differences of each partner become files in the bucket. When a revision
//     says the same already, nothing is written.
//
// A partner is compared when a file bills it in the month; when files name it and
// none does, it is left out, and where that leaves nobody the run is refused. One
// that the plan names and no file is compared with nothing. Of ours, a line
// belongs to the month of its invoice; of theirs, to the month that its document
// bills: see [ReconciledDocument].
func (e Env) Reconcile(ctx context.Context, plan ReconcilePlan) (result ReconcileResult, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("reconcile %s: %w", plan.Month, err)
		}
	}()
	r, err := e.newReconciliation(ctx, plan)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.reading.read(ctx); err != nil {
		return result, err
	}
	if err := r.choosePartners(); err != nil {
		return result, err
	}
	if err := r.computeAgain(ctx); err != nil {
		return result, err
	}
	if err := r.compare(ctx); err != nil {
		return result, err
	}
	if err := r.report(); err != nil {
		return result, err
	}
	return r.result, r.publish(ctx)
}

// reconciliation is one run of Reconcile.
type reconciliation struct {
	env     Env
	plan    ReconcilePlan
	reading *reading
	world   *reconcileWorld
	at      snapshot
	month   ledger.Month
	around  []ledger.Month // in order, the month among them
	// partners that are compared, and for each of them the months that their files have.
	partners    []string
	theirMonths map[string][]pricing.Month
	refusals    map[string][]reconcile.Refusal // by customer
	exceptions  []invoice.Exception
	legacy      map[string]bool   // files by name
	currencies  map[string]string // of the month's invoices by partner, when workbooks are wanted
	proofs      *monthProofs      // likewise

	root     string // temporary folder of the outputs
	output   *partnerOutput
	disputes *disputeFile
	match    int
	partner  *partnerSum
	compared []*partnerSum // to be proved when all is read
	tally    reconcile.Tally
	read     map[sumKey]sideSum // theirs of the month, as they came
	sizes    []int64            // of result.Largest
	result   ReconcileResult
}

type sumKey struct{ partner, currency string }

type sideSum struct {
	lines int
	total int64
}

// partnerSum is what one partner came to.
type partnerSum struct {
	id        string
	tally     reconcile.Tally
	elsewhere map[string]sideSum // by currency
	open      int
	tolerated invoice.Totals // in the invoice's currency, without signs
}

func (e Env) newReconciliation(ctx context.Context, plan ReconcilePlan) (*reconciliation, error) {
	for _, format := range plan.Formats {
		if reconcileFiles[format] == "" {
			return nil, fmt.Errorf("%w: format %q; known are %s", ErrUsage, format, strings.Join(ReconcileFormats(), ", "))
		}
	}
	if ext := strings.ToLower(filepath.Ext(plan.Disputes)); plan.Disputes != "" && ext != ".csv" && ext != ".xlsx" {
		return nil, fmt.Errorf("%w: disputes file %q: want a name that ends in .csv or .xlsx", ErrUsage, plan.Disputes)
	}
	at, err := e.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	month, err := at.billed(plan.Month)
	if err != nil {
		return nil, err
	}
	catalog, err := e.ledger().Load(ctx, at.inputs, at.closes, nil, e.Policies)
	if err != nil {
		return nil, err
	}
	r := &reconciliation{env: e, plan: plan, world: newReconcileWorld(catalog), at: at, month: month, theirMonths: make(map[string][]pricing.Month),
		refusals: make(map[string][]reconcile.Refusal), legacy: make(map[string]bool), read: make(map[sumKey]sideSum),
		reading: &reading{env: e, plan: plan}}
	if r.reading.parties, err = partiesOf(catalog, plan); err != nil {
		return nil, err
	}
	for _, m := range []pricing.Month{plan.Month - 1, plan.Month, plan.Month + 1} {
		if known, ok := at.month(m); ok {
			r.around = append(r.around, known)
			r.result.Ours = append(r.result.Ours, ReconciledMonth{m.String(), known.Current.Revision, string(known.Current.State), known.Current.Fingerprint})
		}
	}
	if r.exceptions, err = e.readExceptions(ctx, month, exceptionsName); err != nil {
		return nil, err
	}
	if len(plan.Formats) == 0 || slices.Contains(plan.Formats, "xlsx") {
		r.currencies = make(map[string]string)
		for _, inv := range month.Current.Invoices {
			r.currencies[inv.PartnerID] = inv.Currency
		}
	}
	for _, x := range r.exceptions {
		if x.Severity == invoice.Error && x.CustomerID != "" {
			r.refusals[x.CustomerID] = append(r.refusals[x.CustomerID], reconcile.Refusal{Code: x.Code, ChargeType: chargeRefused(x), SubscriptionID: x.SubscriptionID,
				EventID: x.EventID, Date: pricing.NoDate, Month: plan.Month, Message: x.Message})
		}
	}
	if r.root, err = os.MkdirTemp("", "calends-reconcile-*"); err != nil {
		return nil, err
	}
	if plan.Disputes != "" {
		if r.disputes, err = newDisputeFile(plan.Disputes); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

// chargeRefused is the charge type of a charge rated elsewhere that was not
// billed, "" for a refused change. Exceptions say it in words only.
func chargeRefused(x invoice.Exception) string {
	what, _, ok := strings.Cut(x.Message, " rated elsewhere is not billed: ")
	if !ok || x.EventID != "" {
		return ""
	}
	chargeType, _, _ := strings.Cut(what, " of ")
	return chargeType
}

func (r *reconciliation) close() error {
	errs := []error{r.reading.close(), r.proofs.close()}
	if r.output != nil {
		errs = append(errs, r.output.abort())
	}
	if r.disputes != nil {
		errs = append(errs, r.disputes.abort())
	}
	return errors.Join(append(errs, os.RemoveAll(r.root))...)
}

// computeAgain computes the month for the workbooks, if any are wanted.
func (r *reconciliation) computeAgain(ctx context.Context) (err error) {
	if r.currencies == nil {
		return nil
	}
	r.proofs, err = r.env.proofsOf(ctx, r.at, r.month, r.partners)
	for _, id := range r.partners {
		if p := r.proofs.of(id); p != nil && p.unproven != "" {
			r.result.Unproven = append(r.result.Unproven, UnprovenPartner{id, p.unproven})
		}
	}
	return err
}

// theirs yields the lines of the month and of those beside it, in order.
func (r *reconciliation) theirs(yield func(reconcile.Billed, error) bool) {
	for b, err := range r.reading.records {
		if err != nil {
			yield(reconcile.Billed{}, err)
			return
		}
		if _, compared := r.theirMonths[b.line.Account.PartnerID]; !compared {
			continue // left out, which the result says
		}
		file := r.reading.files[b.file]
		month := file.documents[b.document].monthOf(b.line)
		switch distance := month - r.plan.Month; {
		case b.refused != "": // counted where it was read; it may have no date
			if month != r.plan.Month && month != 0 {
				continue
			}
		case distance == 0:
			key := sumKey{b.line.Account.PartnerID, b.line.Currency}
			sum := r.read[key]
			r.read[key] = sideSum{sum.lines + 1, sum.total + b.line.Total}
		case -1 <= distance && distance <= 1:
			r.result.Neighbours++
		default:
			r.result.Outside++
			continue
		}
		billed := reconcile.Billed{Line: b.line, Month: month, File: file.Name, Row: b.row, Lacks: b.lacks, Extra: b.extra, Refused: b.refused}
		if !yield(billed, nil) {
			return
		}
	}
}

// portion is some customers that a worker compares.
type portion struct {
	groups []*reconcile.Group
	lines  int
	done   chan struct{}
	parts  []*part // by partner
	err    error
}

// part is what a portion has of one partner.
type part struct {
	partner   string
	tally     reconcile.Tally
	elsewhere map[string]sideSum
	rows      [][]exports.Difference // by match
	// What a workbook shows: our lines of the month, and every match.
	lines []*invoice.Line
	recon []exports.ReconRow
}

// portionSize is how many lines a portion has at least.
const portionSize = 4096

// compare matches customer by customer on all workers and takes the results in
// the customers' order.
func (r *reconciliation) compare(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	workers := max(1, r.env.Workers)
	work := make(chan *portion)
	ordered := make(chan *portion, 2*workers) // bounds how many portions are in memory
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for p := range work {
				p.err = r.portion(ctx, p)
				close(p.done)
			}
		})
	}
	var readErr error
	wait.Go(func() {
		defer close(ordered)
		defer close(work)
		groups := reconcile.Groups(r.plan.Month, ahead(r.env.ourLines(ctx, r.around, r.partners)), ahead(r.theirs))
		readErr = portions(groups, func(p *portion) bool {
			select {
			case ordered <- p:
			case <-ctx.Done():
				return false
			}
			select {
			case work <- p:
				return true
			case <-ctx.Done():
				p.err = ctx.Err()
				close(p.done)
				return false
			}
		})
	})
	var err error
	lines := int64(0)
	for p := range ordered {
		<-p.done
		if err == nil {
			err = p.err
		}
		if err == nil {
			err = r.take(ctx, p)
		}
		if err != nil {
			cancel()
			continue // drain, so that everyone who waits gets home
		}
		lines += int64(p.lines)
		r.env.progress("reconcile "+r.plan.Month.String(), lines, 0)
	}
	wait.Wait()
	err = cmp.Or(err, readErr, parent.Err())
	if err == nil {
		err = r.finishPartner("")
	}
	for _, p := range r.compared {
		if err == nil { // all of theirs has been read
			err = r.prove(p)
		}
	}
	return err
}

// ahead reads a sequence on a goroutine of its own, a little ahead of whoever
// takes it.
func ahead[T any](sequence iter.Seq2[T, error]) iter.Seq2[T, error] {
	const size = 512
	type batch struct {
		values []T
		err    error
	}
	return func(yield func(T, error) bool) {
		batches, stop := make(chan batch, 4), make(chan struct{})
		var wait sync.WaitGroup
		defer wait.Wait()
		defer close(stop)
		wait.Go(func() {
			defer close(batches)
			var b batch
			send := func() bool {
				select {
				case batches <- b:
					b = batch{values: make([]T, 0, size)}
					return true
				case <-stop:
					return false
				}
			}
			for value, err := range sequence {
				if err != nil {
					b.err = err
					break
				}
				if b.values = append(b.values, value); len(b.values) == size && !send() {
					return
				}
			}
			send()
		})
		for b := range batches {
			for _, value := range b.values {
				if !yield(value, nil) {
					return
				}
			}
			if b.err != nil {
				var none T
				yield(none, b.err)
				return
			}
		}
	}
}

// portions groups customers.
func portions(groups iter.Seq2[*reconcile.Group, error], yield func(*portion) bool) error {
	p := &portion{done: make(chan struct{})}
	for g, err := range groups {
		if err != nil {
			return err
		}
		p.groups = append(p.groups, g)
		if p.lines += len(g.Ours) + len(g.Theirs); p.lines < portionSize {
			continue
		}
		if !yield(p) {
			return nil
		}
		p = &portion{done: make(chan struct{})}
	}
	if len(p.groups) > 0 {
		yield(p)
	}
	return nil
}

// portion compares the customers of a portion.
func (r *reconciliation) portion(ctx context.Context, p *portion) error {
	for _, g := range p.groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := len(p.parts)
		if n == 0 || p.parts[n-1].partner != g.PartnerID {
			p.parts = append(p.parts, &part{partner: g.PartnerID, elsewhere: make(map[string]sideSum)})
			n++
		}
		if err := r.group(p.parts[n-1], g); err != nil {
			return fmt.Errorf("customer %s of partner %s: %w", g.CustomerID, g.PartnerID, err)
		}
	}
	p.groups = nil
	return nil
}

func (r *reconciliation) group(p *part, g *reconcile.Group) error {
	for _, m := range r.around {
		g.OurMonths = append(g.OurMonths, m.Month)
	}
	g.TheirMonths = r.theirMonths[g.PartnerID]
	g.Refusals, g.Illegible = r.refusals[g.CustomerID], r.reading.illegible[g.PartnerID]
	spellAsWeDo(g)
	r.setElsewhereAside(p, g)
	result, err := reconcile.Reconcile(r.world, g)
	if err != nil {
		return err
	}
	p.tally.Add(g, result)
	currency, book := r.currencies[g.PartnerID]
	if book {
		for i := range g.Ours {
			if g.Ours[i].Month == g.Month {
				p.lines = append(p.lines, g.Ours[i].Line)
			}
		}
	}
	for i := range result.Matches {
		if row, ok := reconRow(g, &result.Matches[i], currency); ok && book {
			p.recon = append(p.recon, row)
		}
		if rows := differenceRows(g, &result.Matches[i]); len(rows) > 0 {
			p.rows = append(p.rows, rows)
		}
	}
	return nil
}

// spellAsWeDo gives their subscription ids the case that ours have: Microsoft's
// files differ in it.
func spellAsWeDo(g *reconcile.Group) {
	upper := func(s string) bool {
		return strings.ContainsFunc(s, func(c rune) bool { return 'A' <= c && c <= 'Z' })
	}
	if !slices.ContainsFunc(g.Ours, func(o reconcile.Ours) bool { return upper(o.Line.SubscriptionID) }) &&
		!slices.ContainsFunc(g.Theirs, func(b reconcile.Billed) bool { return upper(b.Line.SubscriptionID) }) {
		return
	}
	ours := make(map[string]string)
	exact := make(map[string]bool)
	for _, o := range g.Ours {
		ours[strings.ToLower(o.Line.SubscriptionID)] = o.Line.SubscriptionID
		exact[o.Line.SubscriptionID] = true
	}
	for _, b := range g.Theirs {
		if id, ok := ours[strings.ToLower(b.Line.SubscriptionID)]; ok && !exact[b.Line.SubscriptionID] {
			b.Line.SubscriptionID = id
		}
	}
}

// setElsewhereAside takes out lines of the legacy file whose subscription has
// no line of ours: legacy licences are rated elsewhere, and were not taken in.
func (r *reconciliation) setElsewhereAside(p *part, g *reconcile.Group) {
	if len(r.legacy) == 0 {
		return
	}
	ours := make(map[string]bool)
	for _, o := range g.Ours {
		ours[o.Line.SubscriptionID] = true
	}
	g.Theirs = slices.DeleteFunc(g.Theirs, func(b reconcile.Billed) bool {
		if !r.legacy[b.File] || ours[b.Line.SubscriptionID] {
			return false
		}
		if b.Month == g.Month {
			sum := p.elsewhere[b.Line.Currency]
			p.elsewhere[b.Line.Currency] = sideSum{sum.lines + 1, sum.total + b.Line.Total}
		}
		return true
	})
}

// take writes what a portion came to.
func (r *reconciliation) take(ctx context.Context, p *portion) error {
	for _, part := range p.parts {
		if err := r.startPartner(ctx, part.partner); err != nil {
			return err
		}
		if err := r.proofs.give(part.partner, part.lines); err != nil {
			return err
		}
		if err := r.output.show(part.lines, part.recon); err != nil {
			return err
		}
		r.partner.tally.Merge(&part.tally)
		for currency, sum := range part.elsewhere {
			known := r.partner.elsewhere[currency]
			r.partner.elsewhere[currency] = sideSum{known.lines + sum.lines, known.total + sum.total}
		}
		for _, rows := range part.rows {
			if err := r.writeRows(rows); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reconciliation) writeRows(rows []exports.Difference) error {
	r.match++
	for i := range rows {
		rows[i].Match = r.match
		if err := r.output.encode(&rows[i]); err != nil {
			return err
		}
		switch rows[i].Status {
		case StatusOpen:
			r.partner.open++
			r.enterLargest(&rows[i])
		case StatusTolerated:
			if rows[i].Currency == r.currencies[r.partner.id] {
				r.partner.tolerate(&rows[i])
			}
		}
	}
	if r.disputes == nil {
		return nil
	}
	if d := disputeOf(r.plan.Month, rows); d != nil {
		r.result.Disputes++
		return r.disputes.writer.Encode(d)
	}
	return nil
}

// startPartner turns to a partner, unless it is the one at hand. Partners come
// in order; those without a line on either side have files without rows.
func (r *reconciliation) startPartner(ctx context.Context, id string) (err error) {
	if r.partner != nil && r.partner.id == id {
		return nil
	}
	if err := r.finishPartner(id); err != nil {
		return err
	}
	r.partner, r.match = &partnerSum{id: id, elsewhere: make(map[string]sideSum)}, 0
	if r.output, err = newPartnerOutput(r.root, id, r.plan.Formats); err != nil || r.currencies[id] == "" {
		return err
	}
	file, err := r.output.create(differencesBook)
	if err != nil {
		return err
	}
	r.output.book, err = r.newBook(ctx, id, file)
	return err
}

// finishPartner closes the files of the partner at hand.
func (r *reconciliation) finishPartner(next string) error {
	p := r.partner
	if p == nil {
		return nil
	}
	if next != "" && next < p.id {
		return fmt.Errorf("partner %s comes after %s", next, p.id)
	}
	output := r.output
	if output.book != nil {
		r.finishBook(output.book, p)
	}
	r.output, r.partner = nil, nil
	if err := output.close(); err != nil {
		return fmt.Errorf("partner %s: %w", p.id, err)
	}
	r.compared = append(r.compared, p)
	r.tally.Merge(&p.tally)
	r.result.Open += p.open
	r.result.Partners = append(r.result.Partners, ReconciledPartner{PartnerID: p.id, Open: p.open, Sides: sidesOf(&p.tally), Causes: causesOf(&p.tally)})
	for _, currency := range slices.Sorted(maps.Keys(p.elsewhere)) {
		r.result.Elsewhere = append(r.result.Elsewhere, ElsewhereLines{p.id, currency, int64(p.elsewhere[currency].lines), money(p.elsewhere[currency].total, currency),
			"legacy licences are rated elsewhere and these were not taken in; to bill and compare them: calends ingest --charges"})
	}
	return nil
}
