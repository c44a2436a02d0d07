package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// BillResult says what billing a month came to.
type BillResult struct {
	Month    string `json:"month"`
	Revision int    `json:"revision"`
	State    string `json:"state"`
	// Written is false when the current revision holds the same already, and
	// on a dry run.
	Written bool `json:"written"`
	DryRun  bool `json:"dryRun,omitempty"`
	// Proved is set for a closed month that was computed again to the same bytes.
	Proved        bool                    `json:"proved,omitempty"`
	Invoices      []ledger.InvoiceSummary `json:"invoices"`
	Subscriptions ledger.Subscriptions    `json:"subscriptions"`
	Errors        int                     `json:"errors"`
	Warnings      int                     `json:"warnings"`
	// Differences are against the revision before, by partner and cause: on a
	// dry run, and where a closed month comes out otherwise.
	Differences []Difference `json:"differences,omitempty"`
	// Exceptions stand in exceptions.csv too.
	Exceptions []ExceptionEntry `json:"exceptions"`
	// Late are exceptions of closed months that late arrivals brought; they
	// stand in late-exceptions.csv.
	Late []ExceptionEntry `json:"lateExceptions,omitempty"`
	// Held says why a close did not close the month.
	Held []Hold `json:"held,omitempty"`
}

// ExceptionEntry is an exception as jobs report it.
type ExceptionEntry struct {
	Severity       string `json:"severity"`
	Code           string `json:"code"`
	PartnerID      string `json:"partnerId,omitempty"`
	CustomerID     string `json:"customerId,omitempty"`
	SubscriptionID string `json:"subscriptionId,omitempty"`
	EventID        string `json:"eventId,omitempty"`
	Message        string `json:"message"`
}

// Open reports whether the result leaves something for a person to look at.
func (r BillResult) Open() bool {
	return r.Errors > 0 || slices.ContainsFunc(r.Late, func(x ExceptionEntry) bool { return x.Severity == string(invoice.Error) }) || r.State == string(ledger.Closed) && len(r.Differences) > 0
}

// Bill computes a month and writes its next draft, unless the current one is
// the same. A dry run writes nothing and lists the differences. A closed month
// is computed again from what it knew, to prove that it comes out the same.
func (e Env) Bill(ctx context.Context, month pricing.Month, dryRun bool) (result BillResult, err error) {
	if err := e.notEmpty(ctx, "bill "+month.String()); err != nil {
		return BillResult{}, err
	}
	if dryRun {
		return e.bill(ctx, month, dryRun)
	}
	err = e.locked(ctx, "bill "+month.String(), func(ctx context.Context, e Env) (err error) {
		result, err = e.bill(ctx, month, dryRun)
		return err
	})
	return result, err
}

func (e Env) bill(ctx context.Context, month pricing.Month, dryRun bool) (result BillResult, err error) {
	at, err := e.snapshot(ctx)
	if err != nil {
		return BillResult{}, err
	}
	if err := at.inBooks(month); err != nil {
		return BillResult{}, err
	}
	known, _ := at.month(month)
	if known.Current.State == ledger.Closed {
		return e.prove(ctx, at, known)
	}
	c, err := e.compute(ctx, at, month, false)
	if err != nil {
		return BillResult{}, fmt.Errorf("bill %s: %w", month, err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	result = c.result(known)
	result.DryRun = dryRun
	if known.Current.Revision > 0 {
		sum, err := c.sum(ctx, e.Workers)
		if err != nil {
			return BillResult{}, fmt.Errorf("bill %s: %w", month, err)
		}
		if known.Current.Fingerprint == sum {
			return result, nil
		}
	}
	if dryRun {
		result.Differences, err = e.differences(ctx, known, c)
		return result, err
	}
	manifest, err := e.publish(ctx, at, c, ledger.Draft, consent{})
	if err != nil {
		return BillResult{}, fmt.Errorf("bill %s: %w", month, err)
	}
	result.Revision, result.State, result.Written = manifest.Revision, string(manifest.State), true
	return result, nil
}

// inBooks refuses months before the books began, and all open ones while the books lack a month.
func (s snapshot) inBooks(month pricing.Month) error {
	if err := s.unbroken(month); err != nil {
		return err
	}
	if books := ledger.Books(s.closes); books.Begun && month < books.Begin {
		return fmt.Errorf("bill %s: %w: the books begin with %s, the first month that was closed; earlier ones were issued elsewhere", month, ErrUsage, books.Begin)
	}
	return nil
}

func (c *computed) result(known ledger.Month) BillResult {
	r := BillResult{
		Month: c.month.String(), Revision: known.Current.Revision, State: string(ledger.Draft),
		Subscriptions: ledger.Subscriptions{Billed: c.count.Billed, Parked: c.count.Parked, Ended: c.count.Ended},
		Invoices:      []ledger.InvoiceSummary{}, Exceptions: []ExceptionEntry{},
	}
	for _, inv := range c.invoices {
		r.Invoices = append(r.Invoices, inv.summary())
	}
	counts := countExceptions(c.exceptions)
	r.Errors, r.Warnings = counts.Errors, counts.Warnings
	for _, x := range c.exceptions {
		r.Exceptions = append(r.Exceptions, entryOf(x))
	}
	for _, x := range c.late {
		r.Late = append(r.Late, entryOf(x))
	}
	return r
}

func entryOf(x invoice.Exception) ExceptionEntry {
	return ExceptionEntry{string(x.Severity), string(x.Code), x.PartnerID, x.CustomerID, x.SubscriptionID, x.EventID, x.Message}
}

// prove computes a closed month from what its close knew. It writes nothing.
func (e Env) prove(ctx context.Context, at snapshot, known ledger.Month) (result BillResult, err error) {
	past, err := at.before(known)
	if err != nil {
		return BillResult{}, err
	}
	proving := e
	recorded, err := ledger.Closes([]ledger.Month{known})
	if err != nil {
		return BillResult{}, err
	}
	proving.Policies = recorded[0].PolicyOf(e.Policies)
	c, err := proving.compute(ctx, past, known.Month, true)
	if err != nil {
		return BillResult{}, fmt.Errorf("prove %s: %w", known.Month, err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	sum, err := c.sum(ctx, e.Workers)
	if err != nil {
		return BillResult{}, fmt.Errorf("prove %s: %w", known.Month, err)
	}
	result = c.result(known)
	result.State = string(ledger.Closed)
	if state := c.state.differs(known.Current.AtClose); state != "" {
		result.Differences = append(result.Differences, Difference{Cause: state})
		return result, nil
	}
	if sum == known.Current.Fingerprint {
		result.Proved = true
		return result, nil
	}
	if result.Differences, err = e.differences(ctx, known, c); err != nil {
		return BillResult{}, err
	}
	if len(result.Differences) == 0 {
		result.Differences = append(result.Differences, Difference{Cause: "exceptions or headers differ, no line does"})
	}
	return result, nil
}

// differs says what of the state at a close is not as it comes out now; "" when
// all is, or nothing was kept.
func (s state) differs(kept *ledger.AtClose) string {
	switch {
	case kept == nil:
		return ""
	case !ledger.SameData(s.subscriptions, kept.Subscriptions):
		return "where the subscriptions stood at the close differs"
	case !ledger.SameData(s.customers, kept.Customers):
		return "what the close kept of customers differs"
	}
	return ""
}

// Difference totals what one cause changes for one partner.
type Difference struct {
	PartnerID string `json:"partnerId"`
	Cause     string `json:"cause"`
	Lines     int    `json:"lines"`
	Currency  string `json:"currency"`
	Before    string `json:"before"` // Total of the lines as the current revision has them
	After     string `json:"after"`
	Change    string `json:"change"`
}

// differences compares what was computed with the current revision.
func (e Env) differences(ctx context.Context, known ledger.Month, c *computed) ([]Difference, error) {
	after := make(map[string]partnerInvoice)
	ids := make(map[string]bool)
	for _, inv := range c.invoices {
		after[inv.PartnerID] = inv
		ids[inv.PartnerID] = true
	}
	for _, inv := range known.Current.Invoices {
		ids[inv.PartnerID] = true
	}
	var all []Difference
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		before, err := e.readCurrent(ctx, known, id)
		if err != nil {
			return nil, err
		}
		is := after[id].lines
		now, err := is.all()
		if err != nil {
			return nil, err
		}
		for _, d := range invoice.Compare(before, now) {
			digits, _ := pricing.MinorDigits(d.Currency)
			all = append(all, Difference{PartnerID: id, Cause: d.Cause, Lines: d.Lines, Currency: d.Currency,
				Before: pricing.FormatMinor(d.Before, digits), After: pricing.FormatMinor(d.After, digits),
				Change: pricing.FormatMinor(d.After-d.Before, digits)})
		}
	}
	return all, nil
}
