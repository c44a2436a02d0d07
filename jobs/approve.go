package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// ApprovePlan says who says what of a month's draft.
type ApprovePlan struct {
	Month pricing.Month
	By    string
	At    time.Time
	// Accept is the reason why the month may close with something open.
	Accept string
	// Revoke takes all approvals of the month back.
	Revoke bool
	// Revision is the draft that was looked at; another is refused. 0: whichever there is.
	Revision int
}

// ApprovalResult says what was said of a month's drafts.
type ApprovalResult struct {
	Month    string `json:"month"`
	State    string `json:"state"`
	Revision int    `json:"revision"` // the current one
	// Written is false when the same was said before.
	Written bool `json:"written"`
	// Approved: an approval of the current draft stands, or the month was closed by one.
	Approved bool `json:"approved"`
	// Required: the month does not close without one.
	Required  bool            `json:"required"`
	Approvals []ApprovalEntry `json:"approvals"`
	// NewInputs were taken in after the draft was computed. An approval holds as long as
	// they change nothing of it.
	NewInputs int `json:"newInputs"`
	// Holds will keep the month from closing, approved or not, once it is over.
	Holds []Hold `json:"holds"`
}

// ApprovalEntry is one thing that was said.
type ApprovalEntry struct {
	ledger.Approval
	// Stands: it is of the current draft, and not taken back.
	Stands bool `json:"stands"`
}

// Open reports whether something will keep the approved month from closing.
func (r ApprovalResult) Open() bool { return r.Written && r.Approved && len(r.Holds) > 0 }

// Approve records that somebody approves a month's current draft, or takes all
// approvals of the month back. Only what would be billed now can be approved: the
// month is computed again, and its draft must be the same. The same said again by the
// same person writes nothing.
func (e Env) Approve(ctx context.Context, plan ApprovePlan) (result ApprovalResult, err error) {
	job := "approve " + plan.Month.String()
	if plan.By, err = approver(plan.By); err != nil {
		return ApprovalResult{}, fmt.Errorf("%s: %w", job, err)
	}
	if err := e.notEmpty(ctx, job); err != nil {
		return ApprovalResult{}, err
	}
	err = e.locked(ctx, job, func(ctx context.Context, e Env) error {
		result, err = e.approve(ctx, plan)
		if err != nil {
			return fmt.Errorf("%s: %w", job, err)
		}
		return nil
	})
	return result, err
}

// nameLength is how long a name may be, in bytes.
const nameLength = 200

// approver refuses what is no name.
func approver(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", fmt.Errorf("%w: whoever approves has to give a name", ErrUsage)
	case len(name) > nameLength || strings.ContainsFunc(name, unicode.IsControl):
		return "", fmt.Errorf("%w: name %q: want one line of at most %d bytes", ErrUsage, name, nameLength)
	}
	return name, nil
}

func (e Env) approve(ctx context.Context, plan ApprovePlan) (ApprovalResult, error) {
	at, known, approvals, err := e.approvable(ctx, plan.Month)
	if err != nil {
		return ApprovalResult{}, err
	}
	if plan.Revision != 0 && plan.Revision != known.Current.Revision {
		return ApprovalResult{}, fmt.Errorf("%w: revision %d was looked at, and the draft is revision %d by now", ErrMissing, plan.Revision, known.Current.Revision)
	}
	var holds []Hold
	if plan.Revoke {
		holds, err = e.draftHolds(ctx, at, known)
	} else {
		holds, err = e.currentHolds(ctx, at, known)
	}
	if err != nil {
		return ApprovalResult{}, err
	}
	written := plan.isNews(known.Current, approvals)
	if written {
		said := ledger.Approval{Month: plan.Month.String(), Number: len(approvals) + 1, By: plan.By, At: plan.At.UTC().Format(time.RFC3339),
			Revision: known.Current.Revision, Fingerprint: known.Current.Fingerprint, Accepted: plan.Accept, Revoked: plan.Revoke}
		if err := e.mayPublish(ctx); err != nil {
			return ApprovalResult{}, err
		}
		if err := e.ledger().PutApproval(ctx, plan.Month, said); err != nil {
			return ApprovalResult{}, err
		}
		approvals = append(approvals, said)
	}
	result := e.approvalResult(at, known, approvals, holds)
	result.Written = written
	return result, nil
}

// isNews reports whether the plan says something that does not stand already.
func (p ApprovePlan) isNews(draft ledger.Manifest, approvals []ledger.Approval) bool {
	if p.Revoke {
		return len(approvals) > 0 && !approvals[len(approvals)-1].Revoked
	}
	return !slices.ContainsFunc(draft.ApprovedBy(approvals), func(a ledger.Approval) bool {
		return a.By == p.By && (p.Accept == "" || p.Accept == a.Accepted)
	})
}

// approvable returns the month's draft and what was said of it and of those before.
func (e Env) approvable(ctx context.Context, month pricing.Month) (at snapshot, known ledger.Month, approvals []ledger.Approval, err error) {
	if at, err = e.snapshot(ctx); err != nil {
		return at, known, nil, err
	}
	if err := at.inBooks(month); err != nil {
		return at, known, nil, err
	}
	known, ok := at.month(month)
	switch {
	case !ok:
		return at, known, nil, fmt.Errorf("%w: the month has no draft; bill it first, with: calends bill %s", ErrMissing, month)
	case known.Current.State == ledger.Closed:
		return at, known, nil, fmt.Errorf("%w: the month is closed, with revision %d", ErrUsage, known.Current.Revision)
	}
	approvals, err = e.ledger().Approvals(ctx, month)
	return at, known, approvals, err
}

// currentHolds computes the month, refuses a draft that is not what comes out, and
// lists what keeps the month from closing.
func (e Env) currentHolds(ctx context.Context, at snapshot, known ledger.Month) (_ []Hold, err error) {
	c, err := e.compute(ctx, at, known.Month, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	sum, err := c.sum(ctx, e.Workers)
	if err != nil {
		return nil, err
	}
	if sum != known.Current.Fingerprint {
		return nil, fmt.Errorf("%w: revision %d is not what would be billed now: inputs have come in since, or policies have changed; look at the next draft, with: calends bill %s",
			ErrMissing, known.Current.Revision, known.Month)
	}
	return e.holds(c.closable(at))
}

// draftHolds lists what keeps the month from closing as far as its draft tells.
func (e Env) draftHolds(ctx context.Context, at snapshot, known ledger.Month) ([]Hold, error) {
	m := closable{month: known.Month, parked: known.Current.Subscriptions.Parked, invoices: known.Current.Invoices, last: at.closedBefore(known.Month)}
	for _, file := range []struct {
		name  string
		count ledger.ExceptionCounts
		into  *[]invoice.Exception
	}{{exceptionsName, known.Current.Exceptions, &m.exceptions}, {lateName, known.Current.Late, &m.late}} {
		if file.count == (ledger.ExceptionCounts{}) {
			continue
		}
		var err error
		if *file.into, err = e.readExceptions(ctx, known, file.name); err != nil {
			return nil, err
		}
	}
	return e.holds(m)
}

// Approvals lists what was said of a month's drafts. It changes nothing.
func (e Env) Approvals(ctx context.Context, month pricing.Month) (ApprovalResult, error) {
	fail := func(err error) (ApprovalResult, error) {
		return ApprovalResult{}, fmt.Errorf("approvals of %s: %w", month, err)
	}
	at, err := e.snapshot(ctx)
	if err != nil {
		return fail(err)
	}
	known, ok := at.month(month)
	if !ok {
		return fail(fmt.Errorf("%w: the month has no draft; bill it first, with: calends bill %s", ErrMissing, month))
	}
	approvals, err := e.ledger().Approvals(ctx, month)
	if err != nil {
		return fail(err)
	}
	var holds []Hold
	if known.Current.State == ledger.Draft {
		if holds, err = e.draftHolds(ctx, at, known); err != nil {
			return fail(err)
		}
	}
	return e.approvalResult(at, known, approvals, holds), nil
}

func (e Env) approvalResult(at snapshot, known ledger.Month, approvals []ledger.Approval, holds []Hold) ApprovalResult {
	m := known.Current
	standing := m.ApprovedBy(approvals)
	r := ApprovalResult{Month: m.Month, State: string(m.State), Revision: m.Revision, Required: e.Closing.Approval,
		Approved: len(standing) > 0 || m.Approval != nil, Approvals: []ApprovalEntry{}, Holds: []Hold{}}
	if m.State == ledger.Draft {
		r.NewInputs = len(at.inputs) - len(m.Inputs)
	}
	for _, a := range approvals {
		stands := slices.ContainsFunc(standing, func(s ledger.Approval) bool { return s.Number == a.Number }) ||
			m.Approval != nil && m.Approval.Number == a.Number
		r.Approvals = append(r.Approvals, ApprovalEntry{a, stands})
	}
	for _, h := range lift(holds, "", acceptedBy(standing)) {
		if h.Code != HeldNotOver {
			r.Holds = append(r.Holds, h)
		}
	}
	return r
}

// acceptedBy is the last reason among approvals: one who approves without a reason
// does not take that of another back.
func acceptedBy(approvals []ledger.Approval) (reason string) {
	for _, a := range approvals {
		reason = cmp.Or(a.Accepted, reason)
	}
	return reason
}

// approved is what approvals say of a month as it was computed.
type approved struct {
	by     *ledger.ApprovalRef // the last one; nil: nobody has approved just this
	reason string              // for which the month may close with something open
	waits  string              // why by is nil
}

// approval looks for one of what is about to be closed: of the current draft, which
// must have the same lines, headers and exceptions.
func (e Env) approval(ctx context.Context, known ledger.Month, c *computed) (approved, error) {
	approvals, err := e.ledger().Approvals(ctx, c.month)
	if err != nil {
		return approved{}, err
	}
	draft := known.Current
	standing := draft.ApprovedBy(approvals)
	if len(standing) == 0 {
		return approved{waits: waitsFor(c.month, draft, approvals)}, nil
	}
	last := standing[len(standing)-1]
	sum, err := c.draftSum(ctx, e.Workers)
	if err != nil {
		return approved{}, err
	}
	if sum != draft.Fingerprint {
		return approved{waits: fmt.Sprintf("waits for approval: revision %d, which %s approved, is not what would be closed: inputs have come in since, or policies have changed; bill it again, with: calends bill %s",
			draft.Revision, last.By, c.month)}, nil
	}
	ref, err := e.ledger().RefApproval(ctx, c.month, last)
	return approved{by: &ref, reason: acceptedBy(standing)}, err
}

// waitsFor says whose approval a month waits for and why what was said is none.
func waitsFor(month pricing.Month, draft ledger.Manifest, approvals []ledger.Approval) string {
	if draft.Revision == 0 {
		return fmt.Sprintf("waits for approval, and there is no draft to approve: bill it first, with: calends bill %s", month)
	}
	text := fmt.Sprintf("waits for approval of revision %d", draft.Revision)
	if len(approvals) == 0 {
		return text
	}
	switch last := approvals[len(approvals)-1]; {
	case last.Revoked:
		return fmt.Sprintf("%s: %s revoked what was approved", text, last.By)
	default:
		return fmt.Sprintf("%s: %s approved revision %d", text, last.By, last.Revision)
	}
}

// draftSum is the fingerprint that the month has as a draft, without the numbers of
// its invoices.
func (c *computed) draftSum(ctx context.Context, workers int) (string, error) {
	numbers := make([]string, len(c.invoices))
	for i := range c.invoices {
		numbers[i] = c.invoices[i].Number
		c.invoices[i].number("")
	}
	sum, err := c.sum(ctx, workers)
	for i := range c.invoices {
		c.invoices[i].number(numbers[i])
	}
	return sum, err
}

// number gives the invoice and its lines a number.
func (inv *partnerInvoice) number(number string) {
	inv.Number = number
	inv.lines.number(inv.PartnerID, number)
}
