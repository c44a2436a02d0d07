package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/calends/calends/jobs"
)

type approveCmd struct {
	Month  monthArg `arg:"" name:"month" help:"Month to approve, such as 2026-10."`
	By     string   `placeholder:"NAME" help:"Who approves. Without a name the approvals of the month are listed."`
	Accept string   `xor:"word" placeholder:"REASON" help:"Let the month close although something holds it; its manifest will keep the reason."`
	Revoke bool     `xor:"word" help:"Take all approvals of the month back."`
}

// Help tells more than one line.
func (approveCmd) Help() string {
	return `Records that the month's current draft may be closed: who said so, when, and of which revision. Look at
the draft first: what is approved is just that. A draft that is no more what would be billed is refused;
bill the month and look again. Once the lines change, the approval does not hold any more.

calends close waits for an approval where the configuration says close: approval: true. A reason given
here lifts what is parked, missing or beyond a bound, for a close that runs by itself, too.

The exit code is 3 when the month is approved and something else will hold it.`
}

// Run records what is said, or lists what was.
func (c approveCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	if c.By == "" && (c.Accept != "" || c.Revoke) {
		return fmt.Errorf("approve %s: %w: say who you are, with --by NAME", c.Month, jobs.ErrUsage)
	}
	result := jobs.ApprovalResult{}
	if c.By == "" {
		result, err = env.Approvals(ctx, c.Month.Month)
	} else {
		result, err = env.Approve(ctx, jobs.ApprovePlan{Month: c.Month.Month, By: c.By, At: time.Now(), Accept: c.Accept, Revoke: c.Revoke})
	}
	if err != nil {
		return err
	}
	if err := a.show(view{json: result, rows: approvalRows(result), text: func(w io.Writer) { writeApprovals(w, result) }}); err != nil {
		return err
	}
	return openIf(c.By != "" && !c.Revoke && len(result.Holds) > 0)
}

// approvalRows have a row for each thing that was said.
func approvalRows(r jobs.ApprovalResult) *table {
	t := newTable("Month", ">Number", ">Revision", "By", "At", "Said", "Stands", "Reason")
	for _, a := range r.Approvals {
		t.add(r.Month, strconv.Itoa(a.Number), strconv.Itoa(a.Revision), a.By, a.At, said(a), strconv.FormatBool(a.Stands), a.Accepted)
	}
	return t
}

func said(a jobs.ApprovalEntry) string {
	if a.Revoked {
		return "revoked"
	}
	return "approved"
}

func writeApprovals(w io.Writer, r jobs.ApprovalResult) {
	fmt.Fprintf(w, "%s: %s, revision %d, %s\n", r.Month, r.State, r.Revision, approvalState(r))
	if len(r.Approvals) > 0 {
		fmt.Fprintln(w)
		t := newTable(">REVISION", "BY", "AT", "", "", "REASON")
		for _, a := range r.Approvals {
			stands := ""
			if a.Stands {
				stands = "stands"
			}
			t.add(strconv.Itoa(a.Revision), a.By, a.At, said(a), stands, a.Accepted)
		}
		t.write(w, "  ")
	}
	if r.NewInputs > 0 {
		fmt.Fprintf(w, "\n%s since the draft: where they change it, bill again\n", plural(r.NewInputs, "input"))
	}
	if len(r.Holds) > 0 {
		fmt.Fprintln(w, "\nheld, approved or not:")
		writeHolds(w, r.Holds)
		fmt.Fprintln(w, "mend it, or approve with --accept REASON")
	}
}

// approvalState says what closing the month waits for.
func approvalState(r jobs.ApprovalResult) string {
	switch {
	case r.Approved && r.Written:
		return "approved now"
	case r.Approved:
		return "approved"
	case r.State == "closed":
		return "closed without an approval"
	case r.Required:
		return "not approved: closing waits for it"
	}
	return "not approved; closing does not wait for it"
}

// holdsShown is how many holds are printed; JSON has all.
const holdsShown = 20

func writeHolds(w io.Writer, holds []jobs.Hold) {
	for _, h := range holds[:min(len(holds), holdsShown)] {
		fmt.Fprintln(w, "  "+h.Reason)
	}
	if rest := len(holds) - holdsShown; rest > 0 {
		fmt.Fprintf(w, "  and %d more; with --output json all of them\n", rest)
	}
}
