package jobs

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// storedLine is a line as a revision's file has it.
type storedLine struct {
	month  ledger.Month
	line   *invoice.Line
	number string // of the invoice, "" in a draft
	row    int
}

// ref names the line as it can be asked for again.
func (s storedLine) ref() string {
	if s.number != "" {
		return fmt.Sprintf("%s:%d", s.number, s.row)
	}
	return fmt.Sprintf("%s/%s:%d", s.month.Month, s.line.Account.PartnerID, s.row)
}

// lineRef is a line's name, taken apart.
type lineRef struct {
	month   pricing.Month
	number  string // of the invoice; else partner is given
	partner string
	row     int
}

// InvoiceOfLine returns the invoice that a line's name speaks of, and its month. What
// is no name is ErrUsage, what is not there ErrMissing; neither says what else is there.
func (r *Reading) InvoiceOfLine(line string) (ledger.Month, ledger.InvoiceSummary, error) {
	ref, err := parseLineRef(line)
	if err != nil {
		return ledger.Month{}, ledger.InvoiceSummary{}, err
	}
	if known, ok := r.at.month(ref.month); ok {
		for _, inv := range known.Current.Invoices {
			if ref.is(inv) && ref.row <= inv.Lines {
				return known, inv, nil
			}
		}
	}
	return ledger.Month{}, ledger.InvoiceSummary{}, fmt.Errorf("%w: line %q", ErrMissing, line)
}

// is reports whether the line is one of the invoice's.
func (r lineRef) is(inv ledger.InvoiceSummary) bool {
	if r.number != "" {
		return r.number == inv.Number
	}
	return r.partner == inv.PartnerID
}

const lineForms = "want C202610-000001:12 (an invoice and a row of its CSV, 1 being the first below the header) or 2026-10/<PartnerId>:12"

// invoiceNumber reads the month out of a number.
var invoiceNumber = regexp.MustCompile(`^C(\d{4})(\d{2})-\d{6,}$`)

func parseLineRef(s string) (lineRef, error) {
	wrong := func() (lineRef, error) { return lineRef{}, fmt.Errorf("%w: line %q: %s", ErrUsage, s, lineForms) }
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return wrong()
	}
	row, err := strconv.Atoi(s[colon+1:])
	if err != nil || row < 1 {
		return wrong()
	}
	ref := lineRef{row: row}
	name, partner, ofPartner := strings.Cut(s[:colon], "/")
	if ofPartner {
		ref.partner = partner
		ref.month, err = pricing.ParseMonth(name)
	} else {
		parts := invoiceNumber.FindStringSubmatch(name)
		if parts == nil {
			return wrong()
		}
		ref.number = name
		ref.month, err = pricing.ParseMonth(parts[1] + "-" + parts[2])
	}
	if err != nil || ofPartner && partner == "" {
		return wrong()
	}
	return ref, nil
}

// findLines reads the lines that the plan asks for.
func (e Env) findLines(ctx context.Context, at snapshot, plan ExplainPlan) ([]storedLine, error) {
	switch {
	case (plan.Line == "") == (plan.Subscription == ""):
		return nil, fmt.Errorf("%w: name either a line or a subscription", ErrUsage)
	case plan.Subscription != "":
		return e.linesOfSubscription(ctx, at, plan.Subscription, plan.Month)
	case plan.Month != 0:
		return nil, fmt.Errorf("%w: a month goes with a subscription; the line's name has its own", ErrUsage)
	}
	ref, err := parseLineRef(plan.Line)
	if err != nil {
		return nil, err
	}
	if plan.Row == "" {
		line, err := e.lineAt(ctx, at, ref)
		return []storedLine{line}, err
	}
	known, inv, err := at.billedIn(ref)
	if err != nil {
		return nil, err
	}
	for l, err := range exports.ReadRows(strings.NewReader(plan.Row)) {
		return []storedLine{{month: known, line: l, number: inv.Number, row: ref.row}}, err
	}
	return nil, fmt.Errorf("%w: the row of line %s is blank", ErrUsage, plan.Line)
}

// billed returns what the bucket has of a month.
func (s snapshot) billed(month pricing.Month) (ledger.Month, error) {
	known, ok := s.month(month)
	if !ok {
		return known, fmt.Errorf("%w: %s was not billed; run calends bill %s first", ErrMissing, month, month)
	}
	return known, nil
}

func (e Env) lineAt(ctx context.Context, at snapshot, ref lineRef) (found storedLine, err error) {
	known, inv, err := at.billedIn(ref)
	if err != nil {
		return storedLine{}, err
	}
	err = e.eachStored(ctx, known, inv, func(s storedLine) {
		if s.row == ref.row {
			found = s
		}
	})
	return found, err
}

// billedIn returns the invoice that has the line, and its month.
func (s snapshot) billedIn(ref lineRef) (ledger.Month, ledger.InvoiceSummary, error) {
	fail := func(err error) (ledger.Month, ledger.InvoiceSummary, error) {
		return ledger.Month{}, ledger.InvoiceSummary{}, err
	}
	known, err := s.billed(ref.month)
	if err != nil {
		return fail(err)
	}
	var names []string
	for _, inv := range known.Current.Invoices {
		names = append(names, inv.PartnerID)
		if ref.number != "" {
			names[len(names)-1] = inv.Number
		}
		if !ref.is(inv) {
			continue
		}
		if ref.row > inv.Lines {
			return fail(fmt.Errorf("%w: the invoice has %d lines", ErrMissing, inv.Lines))
		}
		return known, inv, nil
	}
	if ref.number != "" && known.Current.State != ledger.Closed {
		return fail(fmt.Errorf("%w: %s is not closed, so its invoices have no numbers yet; ask for %s/<PartnerId>:%d", ErrMissing, ref.month, ref.month, ref.row))
	}
	what := "invoice of partner " + ref.partner
	if ref.number != "" {
		what = "invoice " + ref.number
	}
	has := "has none at all"
	if len(names) > 0 {
		has = "has " + joinIDs(names)
	}
	return fail(fmt.Errorf("%w: %s has no %s; it %s", ErrMissing, ref.month, what, has))
}

// eachStored reads an invoice's lines.
func (e Env) eachStored(ctx context.Context, known ledger.Month, inv ledger.InvoiceSummary, each func(storedLine)) error {
	row := 0
	key := ledger.RevisionPrefix(known.Month, known.Current.Revision) + partnerFile(inv.PartnerID, csvName)
	return e.readLines(ctx, key, func(l *invoice.Line) {
		row++
		each(storedLine{month: known, line: l, number: inv.Number, row: row})
	})
}

// linesOfSubscription reads a subscription's lines of a month, the newest
// billed one if it is 0.
func (e Env) linesOfSubscription(ctx context.Context, at snapshot, id string, month pricing.Month) ([]storedLine, error) {
	if month == 0 {
		if len(at.months) == 0 {
			return nil, fmt.Errorf("%w: no month was billed yet; run calends bill first", ErrMissing)
		}
		month = at.months[len(at.months)-1].Month
	}
	known, err := at.billed(month)
	if err != nil {
		return nil, err
	}
	var found []storedLine
	for _, inv := range known.Current.Invoices {
		err := e.eachStored(ctx, known, inv, func(s storedLine) {
			if s.line.SubscriptionID == id {
				found = append(found, s)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: it has no line in %s; the id may be another, or nothing was charged in that month (see its exceptions.csv)", ErrMissing, month)
	}
	return found, nil
}
