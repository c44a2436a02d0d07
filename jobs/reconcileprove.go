package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pricing"
)

// prove compares the tally with our invoice, with what was read of theirs, and
// with the causes.
func (r *reconciliation) prove(p *partnerSum) error {
	if err := r.sums(p); err != nil {
		return fmt.Errorf("partner %s: the sums do not agree, nothing is published: %w", p.id, err)
	}
	return nil
}

func (r *reconciliation) sums(p *partnerSum) error {
	causes := make(map[string]reconcile.Amount)
	for _, c := range p.tally.Causes() {
		causes[c.Currency] = causes[c.Currency].Add(c.Amount)
	}
	ours, theirs := make(map[string]sideSum), make(map[string]sideSum)
	for _, inv := range r.month.Current.Invoices {
		if inv.PartnerID == p.id {
			total, err := minorOf(inv.Total, inv.Currency)
			if err != nil {
				return err
			}
			ours[inv.Currency] = sideSum{inv.Lines, total}
		}
	}
	for key, sum := range r.read {
		if key.partner == p.id {
			aside := p.elsewhere[key.currency]
			theirs[key.currency] = sideSum{sum.lines - aside.lines, sum.total - aside.total}
		}
	}
	for _, s := range p.tally.Sides() {
		if difference := s.Theirs.Sub(s.Ours); difference != causes[s.Currency] {
			return fmt.Errorf("theirs - ours is %+v in %s, the causes come to %+v", difference, s.Currency, causes[s.Currency])
		}
		if got := (sideSum{s.OurLines, s.Ours.Total}); got != ours[s.Currency] {
			return fmt.Errorf("of ours %+v in %s were compared, the invoice has %+v", got, s.Currency, ours[s.Currency])
		}
		if got := (sideSum{s.TheirLines, s.Theirs.Total}); got != theirs[s.Currency] {
			return fmt.Errorf("of theirs %+v in %s were compared, %+v were read", got, s.Currency, theirs[s.Currency])
		}
		delete(ours, s.Currency)
		delete(theirs, s.Currency)
	}
	for _, left := range []map[string]sideSum{ours, theirs} {
		for currency, sum := range left {
			if sum.lines != 0 {
				return fmt.Errorf("%+v in %s were not compared", sum, currency)
			}
		}
	}
	return nil
}

// minorOf reads an amount of a manifest.
func minorOf(text, currency string) (int64, error) {
	amount, err := decimal.NewFromString(text)
	if err != nil {
		return 0, fmt.Errorf("total %q: %w", text, err)
	}
	digits, _ := pricing.MinorDigits(currency)
	return pricing.Truncate(amount, digits)
}

// enterLargest keeps the largest open differences, the first of equal ones.
func (r *reconciliation) enterLargest(d *exports.Difference) {
	size := max(d.Total, -d.Total)
	if digits, _ := pricing.MinorDigits(d.Currency); digits < 4 {
		for range 4 - digits { // JPY and KWD beside EUR
			size *= 10
		}
	}
	at, _ := slices.BinarySearchFunc(r.sizes, size, func(known, size int64) int {
		if known >= size {
			return -1
		}
		return 1
	})
	if at >= r.plan.Largest {
		return
	}
	entry := LargestDifference{d.PartnerID, d.CustomerID, d.CustomerName, d.SubscriptionID, d.Match, d.Cause, money(d.Total, d.Currency), d.Currency, d.Explanation}
	r.sizes, r.result.Largest = slices.Insert(r.sizes, at, size), slices.Insert(r.result.Largest, at, entry)
	if n := r.plan.Largest; len(r.sizes) > n {
		r.sizes, r.result.Largest = r.sizes[:n], r.result.Largest[:n]
	}
}

// report gathers the totals of the run.
func (r *reconciliation) report() error {
	result := &r.result
	result.Month = r.plan.Month.String()
	result.Sides, result.Causes = sidesOf(&r.tally), causesOf(&r.tally)
	result.Steps = make(map[string]int)
	for step, n := range r.tally.Steps() {
		result.Steps[string(step)] = n
	}
	for _, p := range r.tally.Policies() {
		result.Policies = append(result.Policies, PolicyEvidence(p))
	}
	r.suggest()
	foreign := make(map[foreignKey]foreignSum)
	for _, f := range r.reading.files {
		result.Theirs = append(result.Theirs, f.ReconciledFile)
		if f.Same != "" {
			continue
		}
		result.Unread += f.Refused
		for key, sum := range f.foreign {
			foreign[key] = foreignSum{foreign[key].lines + sum.lines, foreign[key].total + sum.total}
		}
	}
	for key, sum := range foreign {
		result.Foreign = append(result.Foreign, ForeignLines{key.partner, key.currency, sum.lines, money(sum.total, key.currency)})
	}
	slices.SortFunc(result.Foreign, func(a, b ForeignLines) int {
		return cmp.Or(strings.Compare(a.PartnerID, b.PartnerID), strings.Compare(a.Currency, b.Currency))
	})
	return nil
}

// suggest says which rounding Microsoft's arithmetic speaks for, and for whom it
// is another than we bill by.
func (r *reconciliation) suggest() {
	s, ok := r.tally.Suggest()
	if !ok {
		return
	}
	suggested := &SuggestedPolicy{Rounding: s.Policy.String(), For: s.For, Against: s.Against, Neither: s.Neither, Withheld: s.Withheld()}
	r.result.Suggested = suggested
	if suggested.Withheld {
		suggested.Rounding = ""
		return
	}
	for _, id := range r.partners {
		if ours, ok := r.month.Current.Policies[id]; ok && ours.Rounding != suggested.Rounding {
			suggested.Otherwise = append(suggested.Otherwise, OtherPolicy{id, ours.Rounding})
		}
	}
}

// publish writes the result into the bucket, and into the folder that was asked for.
func (r *reconciliation) publish(ctx context.Context) error {
	files, err := filesBelow(r.root)
	if err != nil {
		return err
	}
	// The order in which the files were named is no other result.
	theirs := slices.SortedStableFunc(slices.Values(r.result.Theirs), func(a, b ReconciledFile) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.SHA256, b.SHA256))
	})
	m, written, err := r.env.publishReconciliation(ctx, r.plan.Month,
		ReconcileManifest{Ours: r.result.Ours, Theirs: theirs, Partners: r.result.Partners, Unproven: r.result.Unproven, Files: files}, r.root)
	if err != nil {
		return err
	}
	r.result.Revision, r.result.Written = m.Revision, written
	if r.plan.To != "" {
		if err := copyOut(r.plan.To, r.plan.Month, files, r.root); err != nil {
			return err
		}
		r.result.Folder = r.plan.To
	}
	if r.disputes != nil {
		return r.disputes.commit()
	}
	return nil
}

func sidesOf(t *reconcile.Tally) []ReconciledSides {
	all := []ReconciledSides{}
	for _, s := range t.Sides() {
		all = append(all, ReconciledSides{s.Currency, s.OurLines, s.TheirLines, money(s.Ours.Total, s.Currency), money(s.Theirs.Total, s.Currency),
			money(s.Theirs.Total-s.Ours.Total, s.Currency), s.Matched, s.Agreed, s.Open})
	}
	return all
}

func causesOf(t *reconcile.Tally) []ReconciledCause {
	all := []ReconciledCause{}
	for _, c := range t.Causes() {
		all = append(all, ReconciledCause{string(c.Cause), c.Currency, c.Differences, c.Free,
			money(c.Amount.Subtotal, c.Currency), money(c.Amount.Tax, c.Currency), money(c.Amount.Total, c.Currency)})
	}
	return all
}

// money prints an amount of minor units.
func money(minor int64, currency string) string {
	digits, _ := pricing.MinorDigits(currency)
	return pricing.FormatMinor(minor, digits)
}

// disputeFile becomes visible when it is whole.
type disputeFile struct {
	name   string
	part   *os.File
	writer *exports.Disputes
}

func newDisputeFile(name string) (*disputeFile, error) {
	part, err := createPart(filepath.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("%w: disputes: %w", ErrUsage, err)
	}
	d := &disputeFile{name: name, part: part}
	if strings.EqualFold(filepath.Ext(name), ".xlsx") {
		d.writer = exports.NewDisputesWorkbook(part)
	} else {
		d.writer = exports.NewDisputesCSV(part)
	}
	return d, nil
}

func (d *disputeFile) commit() error {
	err := d.writer.Close()
	if err == nil {
		err = d.part.Chmod(0o644)
	}
	if err == nil {
		err = os.Rename(d.part.Name(), d.name) // before it is closed: until then it is locked
	}
	if err = errors.Join(err, d.part.Close()); err != nil {
		return fmt.Errorf("write %s: %w", d.name, err)
	}
	d.part = nil
	return nil
}

// abort removes what was not committed.
func (d *disputeFile) abort() error {
	if d.part == nil {
		return nil
	}
	_, _ = d.writer.Close(), d.part.Close() // nobody will read it
	return os.Remove(d.part.Name())
}
