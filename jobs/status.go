package jobs

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// StatusResult says what a bucket has.
type StatusResult struct {
	Months []MonthStatus `json:"months"`
	Inputs []InputCount  `json:"inputs"` // by kind
	Prices []MarketSheet `json:"prices"` // by market
	// Begin and Closed are the first and the last month of the books, "" before
	// the first close.
	Begin  string `json:"begin,omitempty"`
	Closed string `json:"closed,omitempty"`
	// Next is the month to close next: the one after the last closed, or the
	// first one that was billed.
	Next string `json:"next,omitempty"`
}

// MonthStatus is what a bucket has of a month.
type MonthStatus struct {
	Month         string                 `json:"month"`
	State         string                 `json:"state"`
	Revision      int                    `json:"revision"`
	Invoices      int                    `json:"invoices"`
	Lines         int                    `json:"lines"`
	Totals        []CurrencyTotal        `json:"totals"`
	Subscriptions ledger.Subscriptions   `json:"subscriptions"`
	Exceptions    ledger.ExceptionCounts `json:"exceptions"`
	Late          ledger.ExceptionCounts `json:"lateExceptions"`
	// NewInputs were taken in after a draft was computed: billing again may
	// change it. A closed month has none, whatever came in.
	NewInputs int    `json:"newInputs"`
	Accepted  string `json:"accepted,omitempty"`
	// ApprovedBy are those whose approval of the draft stands, or by whose approval the
	// month was closed.
	ApprovedBy []string `json:"approvedBy,omitempty"`
	// Holds keep the next month from closing, as far as its draft tells: a close
	// computes it again.
	Holds []Hold `json:"holds,omitempty"`
}

// CurrencyTotal adds invoices in one currency up.
type CurrencyTotal struct {
	Currency string `json:"currency"`
	Invoices int    `json:"invoices"`
	Subtotal string `json:"subtotal"`
	TaxTotal string `json:"taxTotal"`
	Total    string `json:"total"`
}

// InputCount counts the inputs of a kind.
type InputCount struct {
	Kind    string `json:"kind"`
	Files   int    `json:"files"`
	Records int64  `json:"records"`
	Refused int64  `json:"refused"`
}

// MarketSheet lists the months for which a market has a price sheet.
type MarketSheet struct {
	Market string   `json:"market"`
	Months []string `json:"months"`
}

// Status reads where every month stands. It changes nothing.
func (e Env) Status(ctx context.Context) (StatusResult, error) {
	at, err := e.snapshot(ctx)
	if err != nil {
		return StatusResult{}, err
	}
	if err := at.something("status"); err != nil {
		return StatusResult{}, err
	}
	return e.statusOf(ctx, at)
}

// Status is [Env.Status] as the ledger stood when it was read, of an empty bucket too.
func (r *Reading) Status(ctx context.Context) (StatusResult, error) { return r.env.statusOf(ctx, r.at) }

func (e Env) statusOf(ctx context.Context, at snapshot) (StatusResult, error) {
	result := StatusResult{Months: []MonthStatus{}, Inputs: countInputs(at.inputs), Prices: marketSheets(at.inputs)}
	for _, m := range at.months {
		status, err := monthStatus(m.Current, len(at.inputs))
		if err != nil {
			return StatusResult{}, fmt.Errorf("status of %s: %w", m.Month, err)
		}
		result.Months = append(result.Months, status)
	}
	books := ledger.Books(at.closes)
	switch {
	case books.Begun:
		result.Begin, result.Closed, result.Next = books.Begin.String(), books.Closed.String(), (books.Closed + 1).String()
	case len(at.months) > 0:
		result.Next = at.months[0].Month.String()
	}
	for i, m := range at.months {
		if err := e.addApprovals(ctx, at, m, &result.Months[i], result.Next); err != nil {
			return StatusResult{}, fmt.Errorf("status of %s: %w", m.Month, err)
		}
	}
	return result, nil
}

// addApprovals tells whose approval a month has, and what keeps the next from closing.
func (e Env) addApprovals(ctx context.Context, at snapshot, m ledger.Month, s *MonthStatus, next string) error {
	if m.Current.State == ledger.Closed {
		if a := m.Current.Approval; a != nil {
			s.ApprovedBy = []string{a.By}
		}
		return nil
	}
	approvals, err := e.ledger().Approvals(ctx, m.Month)
	if err != nil {
		return err
	}
	standing := m.Current.ApprovedBy(approvals)
	for _, a := range standing {
		if !slices.Contains(s.ApprovedBy, a.By) {
			s.ApprovedBy = append(s.ApprovedBy, a.By)
		}
	}
	if s.Month != next {
		return nil
	}
	holds, err := e.draftHolds(ctx, at, m)
	if err != nil {
		return err
	}
	s.Holds = lift(holds, "", acceptedBy(standing))
	if e.Closing.Approval && len(standing) == 0 {
		s.Holds = append(s.Holds, Hold{Code: HeldForApproval, Reason: waitsFor(m.Month, m.Current, approvals)})
	}
	return nil
}

// something refuses a bucket that holds nothing: most likely it is not the one
// that was meant.
func (s snapshot) something(job string) error {
	if len(s.inputs) == 0 && len(s.months) == 0 {
		return fmt.Errorf("%s: %w: the bucket holds nothing; look at --bucket, or take files in with: calends ingest", job, ErrMissing)
	}
	return nil
}

func monthStatus(m ledger.Manifest, inputs int) (MonthStatus, error) {
	s := MonthStatus{Month: m.Month, State: string(m.State), Revision: m.Revision, Invoices: len(m.Invoices),
		Subscriptions: m.Subscriptions, Exceptions: m.Exceptions, Late: m.Late, Accepted: m.Accepted}
	if m.State == ledger.Draft {
		s.NewInputs = inputs - len(m.Inputs)
	}
	for _, inv := range m.Invoices {
		s.Lines += inv.Lines
	}
	var err error
	s.Totals, err = TotalsByCurrency(m.Invoices)
	return s, err
}

// TotalsByCurrency adds invoices up, in the order of the currencies' codes.
func TotalsByCurrency(invoices []ledger.InvoiceSummary) ([]CurrencyTotal, error) {
	type sums struct {
		invoices             int
		subtotal, tax, total decimal.Decimal
	}
	byCurrency := make(map[string]*sums)
	for _, inv := range invoices {
		s := byCurrency[inv.Currency]
		if s == nil {
			s = new(sums)
			byCurrency[inv.Currency] = s
		}
		s.invoices++
		for _, amount := range []struct {
			text string
			sum  *decimal.Decimal
		}{{inv.Subtotal, &s.subtotal}, {inv.TaxTotal, &s.tax}, {inv.Total, &s.total}} {
			value, err := decimal.NewFromString(amount.text)
			if err != nil {
				return nil, fmt.Errorf("invoice of partner %s: amount %q: %w", inv.PartnerID, amount.text, err)
			}
			*amount.sum = amount.sum.Add(value)
		}
	}
	totals := []CurrencyTotal{}
	for _, currency := range slices.Sorted(maps.Keys(byCurrency)) {
		s := byCurrency[currency]
		digits, _ := pricing.MinorDigits(currency)
		text := func(d decimal.Decimal) string { return d.StringFixed(int32(digits)) }
		totals = append(totals, CurrencyTotal{currency, s.invoices, text(s.subtotal), text(s.tax), text(s.total)})
	}
	return totals, nil
}

func countInputs(inputs []ledger.Input) []InputCount {
	counts := []InputCount{}
	for _, in := range inputs {
		i := slices.IndexFunc(counts, func(c InputCount) bool { return c.Kind == string(in.Kind) })
		if i < 0 {
			i = len(counts)
			counts = append(counts, InputCount{Kind: string(in.Kind)})
		}
		counts[i].Files++
		counts[i].Records += in.Records
		counts[i].Refused += in.Refused
	}
	slices.SortFunc(counts, func(a, b InputCount) int { return cmp.Compare(a.Kind, b.Kind) })
	return counts
}

func marketSheets(inputs []ledger.Input) []MarketSheet {
	months := make(map[string]map[string]bool)
	for _, in := range inputs {
		if in.Kind != ledger.Prices {
			continue
		}
		for _, o := range in.Objects {
			if months[o.Market] == nil {
				months[o.Market] = make(map[string]bool)
			}
			months[o.Market][in.Month] = true
		}
	}
	sheets := []MarketSheet{}
	for _, market := range slices.Sorted(maps.Keys(months)) {
		sheets = append(sheets, MarketSheet{market, slices.Sorted(maps.Keys(months[market]))})
	}
	return sheets
}

// HasInputs reports whether anything was taken in. It asks the bucket for little.
func (e Env) HasInputs(ctx context.Context) (bool, error) { return e.ledger().HasInputs(ctx) }
