package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// Close bills the month, numbers its invoices and freezes it. The month must be
// the next of the books, be over, and have nothing parked or missing; accept is
// the reason why it closes all the same. Closing a closed month again does nothing.
func (e Env) Close(ctx context.Context, month pricing.Month, accept string) (result BillResult, err error) {
	if err := e.notEmpty(ctx, "close "+month.String()); err != nil {
		return BillResult{}, err
	}
	err = e.locked(ctx, "close "+month.String(), func(ctx context.Context, e Env) (err error) {
		at, err := e.snapshot(ctx)
		if err != nil {
			return err
		}
		if err := at.inBooks(month); err != nil {
			return err
		}
		if known, ok := at.month(month); ok && known.Current.State == ledger.Closed {
			result = closedResult(known)
			return nil
		}
		if books := ledger.Books(at.closes); books.Begun && month != books.Closed+1 {
			return fmt.Errorf("close %s: %w: months close in order, the next is %s", month, ErrUsage, books.Closed+1)
		}
		c, err := e.compute(ctx, at, month, true)
		if err != nil {
			return fmt.Errorf("close %s: %w", month, err)
		}
		defer func() { err = errors.Join(err, c.close()) }()
		known, _ := at.month(month)
		result = c.result(known)
		if holds := e.holds(c); len(holds) > 0 && accept == "" {
			return &HeldError{Month: month, Reasons: holds, Missing: hasMissing(c)}
		}
		manifest, err := e.publish(ctx, at, c, ledger.Closed, accept)
		if err != nil {
			return fmt.Errorf("close %s: %w", month, err)
		}
		result.Revision, result.State, result.Written = manifest.Revision, string(manifest.State), true
		return nil
	})
	return result, err
}

func closedResult(known ledger.Month) BillResult {
	m := known.Current
	return BillResult{Month: m.Month, Revision: m.Revision, State: string(m.State), Invoices: m.Invoices,
		Subscriptions: m.Subscriptions, Errors: m.Exceptions.Errors, Warnings: m.Exceptions.Warnings, Exceptions: []ExceptionEntry{}}
}

// HeldError says why a month was not closed.
type HeldError struct {
	Month   pricing.Month
	Reasons []string
	// Missing is set when an input would lift the hold.
	Missing bool
}

func (h *HeldError) Error() string {
	text := fmt.Sprintf("close %s: %s:", h.Month, ErrHeld)
	for _, r := range h.Reasons {
		text += "\n  " + r
	}
	return text + "\nmend it, or close all the same with --accept REASON"
}

// Unwrap makes the class known to errors.Is.
func (h *HeldError) Unwrap() []error {
	if h.Missing {
		return []error{ErrHeld, ErrMissing}
	}
	return []error{ErrHeld}
}

// missing are the codes of what is not billed for want of an input.
var missing = map[pricing.Code]bool{
	pricing.PriceNotFound: true, pricing.PriceAmbiguous: true, pricing.FXRateNotFound: true,
	pricing.UnknownCustomer: true, pricing.UnknownPartner: true,
}

func hasMissing(c *computed) bool {
	return slices.ContainsFunc(slices.Concat(c.exceptions, c.late), func(x invoice.Exception) bool { return missing[x.Code] })
}

// holds lists what keeps the month from closing.
func (e Env) holds(c *computed) []string {
	var reasons []string
	if last := c.month.Last(); e.Today <= last {
		reasons = append(reasons, fmt.Sprintf("the month is not over: today is %s, its last day %s", e.Today, last))
	}
	if c.count.Parked > 0 {
		reasons = append(reasons, plural(c.count.Parked, "subscription")+" parked: without a price nothing is billed")
	}
	if c.mismatched > 0 {
		reasons = append(reasons, plural(c.mismatched, "line")+" of closed months cannot stand on an invoice: the partner's currency has changed since")
	}
	reasons = append(reasons, missingReasons(c.exceptions, exceptionsName)...)
	return append(reasons, missingReasons(c.late, lateName)...)
}

// missingReasons counts what is not billed for want of an input, by code.
func missingReasons(exceptions []invoice.Exception, file string) []string {
	byCode := make(map[pricing.Code]int)
	var codes []pricing.Code
	for _, x := range exceptions {
		if x.Severity == invoice.Error && missing[x.Code] {
			if byCode[x.Code] == 0 {
				codes = append(codes, x.Code)
			}
			byCode[x.Code]++
		}
	}
	var reasons []string
	for _, code := range codes {
		reasons = append(reasons, fmt.Sprintf("%s %s: see %s of the draft", plural(byCode[code], "exception"), code, file))
	}
	return reasons
}
