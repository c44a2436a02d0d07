package jobs

import (
	"bytes"
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
	Line         string
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
	found, err := e.findLines(ctx, at, plan)
	if err != nil {
		return ExplainResult{}, fmt.Errorf("explain %s: %w", plan.name(), err)
	}
	x := explainer{env: e, now: at, customers: make(map[customerKey]*customerBill)}
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

// explainer computes each customer once, however many of its lines are asked for.
type explainer struct {
	env       Env
	now       snapshot
	customers map[customerKey]*customerBill
}

// bill computes the customer of a line.
func (x *explainer) bill(ctx context.Context, known ledger.Month, customerID string) (*customerBill, error) {
	key := customerKey{known.Month, customerID}
	if b, ok := x.customers[key]; ok {
		return b, nil
	}
	b, err := x.env.billCustomer(ctx, x.now, known, customerID)
	if err != nil {
		return nil, err
	}
	x.customers[key] = b
	return b, nil
}

// billCustomer computes one customer as the month's current revision did.
func (e Env) billCustomer(ctx context.Context, now snapshot, known ledger.Month, customerID string) (*customerBill, error) {
	past, err := now.asOf(known)
	if err != nil {
		return nil, err
	}
	e.Policies = ledger.Close{Policies: known.Current.Policies}.PolicyOf(e.Policies)
	r, err := e.prepare(ctx, past, known.Month)
	if err != nil {
		return nil, err
	}
	h, err := e.history(ctx, past.inputs, customerID)
	if err != nil {
		return nil, err
	}
	b := &customerBill{known: known, past: past, catalog: r.catalog, lines: make(map[string]*invoice.Line)}
	b.customer = invoice.Customer{ID: customerID, Changes: h.Changes, Conflicts: h.Conflicts,
		Elsewhere: r.elsewhere[customerID], Issued: r.issued[customerID]}
	outcome, err := invoice.Bill(r.catalog, r.books, known.Month, b.customer)
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

// history reads one customer's changes.
func (e Env) history(ctx context.Context, inputs []ledger.Input, customerID string) (ledger.History, error) {
	for h, err := range e.ledger().Histories(ctx, inputs) {
		if err != nil {
			return ledger.History{}, err
		}
		if h.CustomerID == customerID {
			return h, nil
		}
		if h.CustomerID > customerID {
			break // they come in the order of their ids
		}
	}
	return ledger.History{CustomerID: customerID}, nil
}

// lineText is a line as the file has it, but for the invoice number, which
// comes when the month closes.
func lineText(l *invoice.Line) (string, error) {
	var text bytes.Buffer
	open := *l
	open.InvoiceNumber = ""
	if err := encodeAll(exports.NewCSV(&text), []*invoice.Line{&open}); err != nil {
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
