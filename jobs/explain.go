package jobs

import (
	"bytes"
	"cmp"
	"context"
	"fmt"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// ExplainPlan says which lines to explain: one by its name, or all of a
// subscription in a month.
type ExplainPlan struct {
	// Line is an invoice number or a month and partner, and the data row of the
	// CSV: C202610-000001:12 or 2026-10/<PartnerId>:12.
	Line string
	// Row is that row as the CSV has it, for who has read it already: a large file need
	// not be read for it again. "": it is read.
	Row          string
	Subscription string
	// Month of the subscription's lines. 0: the newest that was billed.
	Month pricing.Month
}

// ExplainResult explains lines in the order of their files.
type ExplainResult struct {
	Lines []Explanation `json:"lines"`
}

// Explanation says how a line came about.
type Explanation struct {
	Line LineFacts `json:"line"`
	// Origin is what asked for the line: change, cycle, renewal, correction or
	// elsewhere; "" for one that is not reproduced.
	Origin string `json:"origin"`
	// Reproduced is set when the line was computed again from what its revision
	// knew and came out the same. Without it there is no arithmetic.
	Reproduced bool     `json:"reproduced"`
	Notes      []string `json:"notes,omitempty"`

	Event      *EventFacts      `json:"event,omitempty"`
	Term       *TermFacts       `json:"term,omitempty"`
	Price      *PriceFacts      `json:"price,omitempty"`
	Cycle      *CycleFacts      `json:"cycle,omitempty"`
	Policies   *PolicyFacts     `json:"policies,omitempty"`
	Steps      []StepFacts      `json:"steps,omitempty"`
	Correction *CorrectionFacts `json:"correction,omitempty"`
	Late       *LateFacts       `json:"late,omitempty"`
	// Elsewhere is the record of a charge that was rated elsewhere.
	Elsewhere *InputFacts `json:"elsewhere,omitempty"`
}

// The origins of a line.
const (
	OriginChange     = "change"
	OriginCycle      = "cycle"
	OriginRenewal    = "renewal"
	OriginCorrection = "correction"
	OriginElsewhere  = "elsewhere"
)

// Reproduced reports whether all lines came out the same again.
func (r ExplainResult) Reproduced() bool {
	for _, l := range r.Lines {
		if !l.Reproduced {
			return false
		}
	}
	return true
}

// Explain says how lines came about. It reads them from the current revision
// and computes their customers again from what that revision knew.
func (e Env) Explain(ctx context.Context, plan ExplainPlan) (ExplainResult, error) {
	at, err := e.snapshot(ctx)
	if err != nil {
		return ExplainResult{}, err
	}
	return e.explainAt(ctx, at, plan)
}

// Explain is [Env.Explain] as the ledger stood when it was read.
func (r *Reading) Explain(ctx context.Context, plan ExplainPlan) (ExplainResult, error) {
	return r.env.explainAt(ctx, r.at, plan)
}

func (e Env) explainAt(ctx context.Context, at snapshot, plan ExplainPlan) (ExplainResult, error) {
	found, err := e.findLines(ctx, at, plan)
	if err != nil {
		return ExplainResult{}, fmt.Errorf("explain %s: %w", plan.name(), err)
	}
	x := e.explainer(at)
	var result ExplainResult
	for _, line := range found {
		explanation, err := x.explain(ctx, line)
		if err != nil {
			return ExplainResult{}, fmt.Errorf("explain %s: %w", line.ref(), err)
		}
		result.Lines = append(result.Lines, explanation)
	}
	return result, nil
}

func (p ExplainPlan) name() string {
	if p.Line != "" {
		return p.Line
	}
	return "subscription " + p.Subscription
}

// customerBill is one customer's month, computed from what its revision knew.
type customerBill struct {
	known    ledger.Month
	past     snapshot
	catalog  *ledger.Catalog
	customer invoice.Customer
	lines    map[string]*invoice.Line // by their text in the file
}

type customerKey struct {
	month    pricing.Month
	customer string
}

// knownMonth is what a month's current revision knew.
type knownMonth struct {
	env  Env // with the policies that it recorded
	past snapshot
	*ready
}

// explainer reads each month and computes each customer once, however many
// lines are asked for.
type explainer struct {
	env       Env
	now       snapshot
	months    map[pricing.Month]*knownMonth
	customers map[customerKey]*customerBill
}

func (e Env) explainer(now snapshot) *explainer {
	return &explainer{env: e, now: now, months: make(map[pricing.Month]*knownMonth), customers: make(map[customerKey]*customerBill)}
}

// month reads what the month's current revision knew.
func (x *explainer) month(ctx context.Context, known ledger.Month) (*knownMonth, error) {
	if m, ok := x.months[known.Month]; ok {
		return m, nil
	}
	past, err := x.now.asOf(known)
	if err != nil {
		return nil, err
	}
	m := &knownMonth{env: x.env, past: past}
	m.env.Policies = ledger.Close{Policies: known.Current.Policies}.PolicyOf(x.env.Policies)
	if m.ready, err = m.env.prepare(ctx, past, known.Month); err != nil {
		return nil, err
	}
	x.months[known.Month] = m
	return m, nil
}

// bill computes one customer as the month's current revision did.
func (x *explainer) bill(ctx context.Context, known ledger.Month, customerID string) (*customerBill, error) {
	key := customerKey{known.Month, customerID}
	if b, ok := x.customers[key]; ok {
		return b, nil
	}
	m, err := x.month(ctx, known)
	if err != nil {
		return nil, err
	}
	b := &customerBill{known: known, past: m.past, catalog: m.catalog, lines: make(map[string]*invoice.Line)}
	if b.customer, err = m.env.wholeCustomer(ctx, m.past, m.ready, customerID); err != nil {
		return nil, err
	}
	outcome, err := invoice.Bill(m.catalog, m.books, known.Month, b.customer)
	if err != nil {
		return nil, err
	}
	for _, line := range outcome.Lines {
		text, err := lineText(line)
		if err != nil {
			return nil, err
		}
		b.lines[text] = line
	}
	x.customers[key] = b
	return b, nil
}

// asOf returns the ledger as the month's current revision found it. A month
// that was closed after a draft was made knew more inputs than the draft.
func (s snapshot) asOf(known ledger.Month) (snapshot, error) {
	past, err := s.before(known)
	if err != nil {
		return snapshot{}, err
	}
	all := past.closes
	past.closes = nil
	for _, k := range all {
		if k.Inputs <= int64(len(known.Current.Inputs)) {
			past.closes = append(past.closes, k)
		}
	}
	return past, nil
}

// wholeCustomer gathers one customer with its whole history.
func (e Env) wholeCustomer(ctx context.Context, at snapshot, r *ready, customerID string) (c invoice.Customer, err error) {
	back, err := e.lookback(ctx, at, r)
	if err != nil {
		return c, err
	}
	defer back.close()
	recent := e.ledger().All(ctx, at.inputs, ledger.Span{Since: r.since, Until: r.month})
	defer recent.Close()
	changes, err := recent.Of(customerID)
	if err != nil {
		return c, err
	}
	return back.customer(customerID, changes)
}

// lineText is a line as the file has it, but for the invoice number, which
// comes when the month closes.
func lineText(l *invoice.Line) (string, error) {
	var text bytes.Buffer
	open := *l
	open.InvoiceNumber = ""
	csv := exports.NewCSV(&text)
	if err := cmp.Or(csv.Encode(&open), csv.Close()); err != nil {
		return "", err
	}
	return text.String(), nil
}

// explain explains one line.
func (x *explainer) explain(ctx context.Context, stored storedLine) (Explanation, error) {
	explanation := Explanation{Line: stored.facts()}
	b, err := x.bill(ctx, stored.month, stored.line.Account.CustomerID)
	if err != nil {
		return explanation, err
	}
	text, err := lineText(stored.line)
	if err != nil {
		return explanation, err
	}
	line, ok := b.lines[text]
	explanation.Reproduced = ok
	if !ok {
		explanation.Notes = append(explanation.Notes, fmt.Sprintf(
			"computed again, this line does not come out as it stands: revision %d of %s was made by another version of the program or when other months were closed; bill the month again to see what has changed",
			stored.month.Current.Revision, stored.month.Month))
		return explanation, nil
	}
	explanation.Origin = originOf(line)
	switch explanation.Origin {
	case OriginElsewhere:
		explanation.Elsewhere, err = x.recordElsewhere(ctx, b, text)
		return explanation, err
	case OriginCorrection:
		explanation.Correction, err = x.correction(ctx, b, line)
		return explanation, err
	}
	err = x.proof(ctx, b, line, &explanation)
	return explanation, err
}

func originOf(l *invoice.Line) string {
	switch {
	case l.Proof == nil:
		return OriginElsewhere
	case l.Proof.Corrects != "":
		return OriginCorrection
	case l.Proof.EventID != "":
		return OriginChange
	case l.ChargeType == subscription.Renew:
		return OriginRenewal
	}
	return OriginCycle
}

// changeOf finds the customer's change by its id.
func (b *customerBill) changeOf(id string) *change.Change {
	for _, c := range b.customer.Changes {
		if c.ID == id {
			return c
		}
	}
	return nil
}
