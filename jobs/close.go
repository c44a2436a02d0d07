package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// Close bills the month, numbers its invoices and freezes it. The month must be
// the next of the books, be over, have nothing parked or missing, keep the bounds of
// [Closing] and be approved where that is wanted; accept is the reason why it closes
// all the same, but for the approval. Closing a closed month again does nothing.
//
// What keeps the month is a [HeldError], and stands in the result, too.
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
		if result, err = e.closeNext(ctx, at, month, accept); err != nil {
			var held *HeldError
			if errors.As(err, &held) {
				result.hold(held.Holds)
				return err
			}
			return fmt.Errorf("close %s: %w", month, err)
		}
		return nil
	})
	return result, err
}

// closeNext closes the next month of the books, unless something holds it.
func (e Env) closeNext(ctx context.Context, at snapshot, month pricing.Month, accept string) (result BillResult, err error) {
	c, err := e.compute(ctx, at, month, true)
	if err != nil {
		return BillResult{}, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	known, _ := at.month(month)
	result = c.result(known)
	approved, err := e.approval(ctx, known, c)
	if err != nil {
		return result, err
	}
	holds, err := e.holds(c.closable(at))
	if err != nil {
		return result, err
	}
	holds = lift(holds, accept, approved.reason)
	if e.Closing.Approval && approved.by == nil {
		holds = append(holds, Hold{Code: HeldForApproval, Reason: approved.waits})
	}
	if len(holds) > 0 {
		return result, newHeldError(month, holds)
	}
	manifest, err := e.publish(ctx, at, c, ledger.Closed, consent{cmp.Or(accept, approved.reason), approved.by})
	if err != nil {
		return result, err
	}
	result.Revision, result.State, result.Written = manifest.Revision, string(manifest.State), true
	return result, nil
}

// hold makes it the result of a month that was not closed: nothing has got a number.
func (r *BillResult) hold(holds []Hold) {
	r.Held = holds
	for i := range r.Invoices {
		r.Invoices[i].Number = ""
	}
}

// consent is by whose word a month closes with what.
type consent struct {
	accepted string // the reason for what is open
	approval *ledger.ApprovalRef
}

func closedResult(known ledger.Month) BillResult {
	m := known.Current
	return BillResult{Month: m.Month, Revision: m.Revision, State: string(m.State), Invoices: m.Invoices,
		Subscriptions: m.Subscriptions, Errors: m.Exceptions.Errors, Warnings: m.Exceptions.Warnings, Exceptions: []ExceptionEntry{}}
}

// HoldCode says what sort of thing keeps a month from closing. The codes are a
// written contract: new ones may be added, none is renamed.
type HoldCode string

// The codes of holds.
const (
	HeldNotOver      HoldCode = "not-over"
	HeldByParked     HoldCode = "parked"
	HeldByMissing    HoldCode = "missing-input"
	HeldByTotal      HoldCode = "total"
	HeldByNewPartner HoldCode = "new-partner"
	HeldByNegative   HoldCode = "negative"
	HeldByCurrency   HoldCode = "currency"
	HeldByExceptions HoldCode = "exceptions"
	HeldForApproval  HoldCode = "approval"
)

// Hold is one thing that keeps a month from closing.
type Hold struct {
	Code      HoldCode `json:"code"`
	PartnerID string   `json:"partnerId,omitempty"`
	Reason    string   `json:"reason"`
}

// lift takes away what is accepted: by the reason that the close was given everything
// but the approval, by that of an approval everything that the approver has seen. That
// the month would be over by now, an approval does not say.
func lift(holds []Hold, accept, approved string) []Hold {
	return slices.DeleteFunc(holds, func(h Hold) bool { return accept != "" || approved != "" && h.Code != HeldNotOver })
}

// HeldError says why a month was not closed.
type HeldError struct {
	Month pricing.Month
	Holds []Hold
	// Missing is set when an input would lift the hold.
	Missing bool
}

func newHeldError(month pricing.Month, holds []Hold) *HeldError {
	h := &HeldError{Month: month, Holds: holds}
	h.Missing = h.Has(HeldByMissing) || h.Has(HeldByParked)
	return h
}

func (h *HeldError) Error() string {
	text := fmt.Sprintf("close %s: %s:", h.Month, ErrHeld)
	for _, line := range h.lines() {
		text += "\n  " + line
	}
	switch approve := fmt.Sprintf("calends approve %s --by NAME", h.Month); {
	case h.Waits() && h.other():
		text += "\nmend it and approve it, or accept it as it is with: " + approve + " --accept REASON"
	case h.Waits():
		text += "\napprove it with: " + approve
	default:
		text += "\nmend it, or close all the same with --accept REASON"
	}
	return text
}

// heldShown is how many holds of one code are told in full.
const heldShown = 10

// lines are the reasons, of each code no more than a person reads.
func (h *HeldError) lines() (lines []string) {
	more := make(map[HoldCode]int)
	for i, hold := range h.Holds {
		more[hold.Code]++
		if n := more[hold.Code]; n <= heldShown {
			lines = append(lines, hold.Reason)
		}
		if n := more[hold.Code] - heldShown; n > 0 && !slices.ContainsFunc(h.Holds[i+1:], func(o Hold) bool { return o.Code == hold.Code }) {
			lines = append(lines, fmt.Sprintf("and %d more of the kind %s; with --output json all of them", n, hold.Code))
		}
	}
	return lines
}

// Reasons are those of all holds.
func (h *HeldError) Reasons() []string {
	var reasons []string
	for _, hold := range h.Holds {
		reasons = append(reasons, hold.Reason)
	}
	return reasons
}

// Has reports whether a hold of the code is among them.
func (h *HeldError) Has(code HoldCode) bool {
	return slices.ContainsFunc(h.Holds, func(hold Hold) bool { return hold.Code == code })
}

// Waits reports whether the month waits for approval.
func (h *HeldError) Waits() bool { return h.Has(HeldForApproval) }

// other reports whether something else than an approval is missing.
func (h *HeldError) other() bool {
	return slices.ContainsFunc(h.Holds, func(hold Hold) bool { return hold.Code != HeldForApproval })
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

// holds lists what keeps the month from closing, but for an approval.
func (e Env) holds(m closable) ([]Hold, error) {
	var holds []Hold
	hold := func(code HoldCode, reason string) { holds = append(holds, Hold{Code: code, Reason: reason}) }
	if last := m.month.Last(); e.Today <= last {
		hold(HeldNotOver, fmt.Sprintf("the month is not over: today is %s, its last day %s", e.Today, last))
	}
	allowed := 0
	if bound := e.Closing.Bounds.Parked; bound != nil {
		allowed = *bound
	}
	if m.parked > allowed {
		hold(HeldByParked, plural(m.parked, "subscription")+" parked: without a price nothing is billed")
	}
	if m.mismatched > 0 {
		hold(HeldByCurrency, plural(m.mismatched, "line")+" of closed months cannot stand on an invoice: the partner's currency has changed since")
	}
	known := m.parked <= allowed && m.priceless() <= allowed
	for _, reason := range slices.Concat(missingReasons(m.exceptions, exceptionsName, known), missingReasons(m.late, lateName, known)) {
		hold(HeldByMissing, reason)
	}
	beyond, err := e.Closing.Bounds.holds(m)
	return append(holds, beyond...), err
}

// priceless counts the subscriptions of which something is not billed for want of a
// price, in the month or late.
func (m closable) priceless() int {
	subscriptions := make(map[string]bool)
	for _, x := range slices.Concat(m.exceptions, m.late) {
		if x.Severity == invoice.Error && noPrice(x.Code) {
			subscriptions[x.SubscriptionID] = true
		}
	}
	return len(subscriptions)
}

func noPrice(code pricing.Code) bool {
	return code == pricing.PriceNotFound || code == pricing.PriceAmbiguous
}

// missingReasons counts what is not billed for want of an input, by code. With known
// so many subscriptions may be without a price.
func missingReasons(exceptions []invoice.Exception, file string, known bool) []string {
	byCode := make(map[pricing.Code]int)
	var codes []pricing.Code
	for _, x := range exceptions {
		if x.Severity == invoice.Error && missing[x.Code] && (!known || !noPrice(x.Code)) {
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
