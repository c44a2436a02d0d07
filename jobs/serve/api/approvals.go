package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/ledger"
)

// MonthApprovals is what was said of a month's drafts.
type MonthApprovals struct {
	Month    string `json:"month" example:"2024-04"`
	State    string `json:"state" enum:"draft,closed"`
	Revision int    `json:"revision" doc:"The current one; an approval is of one revision"`
	Approved bool   `json:"approved" doc:"An approval of the current draft stands, or the month was closed by one"`
	Required bool   `json:"required" doc:"The month does not close without one"`
	Written  bool   `json:"written" doc:"The request wrote something; false if the same was said before"`

	Whole     bool          `json:"whole" doc:"The caller belongs to every partner of the draft, so the approvals themselves are told"`
	Approvals []SaidOfMonth `json:"approvals"`
	Holds     []jobs.Hold   `json:"holds" doc:"What will keep the month from closing, approved or not, once it is over"`
	NewInputs int           `json:"newInputs,omitempty" doc:"Taken in after the draft was computed; an approval holds as long as they change nothing of it"`
}

// SaidOfMonth is one thing that somebody said of a month's draft.
type SaidOfMonth struct {
	Number   int    `json:"number"`
	By       string `json:"by"`
	At       string `json:"at" format:"date-time"`
	Revision int    `json:"revision"`
	Accepted string `json:"accepted,omitempty" doc:"Why the month may close with something open"`
	Revoked  bool   `json:"revoked" doc:"It takes all approvals before it back"`
	Stands   bool   `json:"stands" doc:"It is of the current draft, and not taken back"`
}

// monthQuery names a month.
type monthQuery struct {
	Month string `query:"month" required:"true" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" example:"2024-04"`
}

// approveMonth approves a month's draft.
type approveMonth struct {
	Month string `path:"month" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" example:"2024-04"`
	Body  struct {
		Revision int    `json:"revision" minimum:"1" doc:"The draft that was looked at; if it is not the current one any more, nothing is approved"`
		Accept   string `json:"accept,omitempty" maxLength:"1000" doc:"Why the month may close with something open"`
	}
}

// reopenMonth takes approvals back.
type reopenMonth struct {
	Month string `path:"month" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" example:"2024-04"`
}

// lockPatience is how long a change waits for another run that holds the bucket.
const lockPatience = 10 * time.Second

type approvalsOutput struct{ Body MonthApprovals }

func (a *API) registerApprovals() {
	register(a, access.SeeApprovals, huma.Operation{OperationID: "get-approvals", Method: http.MethodGet, Path: "/v1/approvals",
		Summary: "Get a month's approvals", Tags: []string{"Approvals"}, Errors: []int{http.StatusNotFound}},
		func(ctx context.Context, who access.Principal, in *monthQuery) (*approvalsOutput, error) {
			m, err := a.draftOf(who, "query.month", in.Month)
			if err != nil {
				return nil, err
			}
			result, err := a.Env().Approvals(ctx, m.Month)
			return &approvalsOutput{monthApprovals(who, m, result)}, err
		})
	register(a, access.Approve, huma.Operation{OperationID: "approve-month", Method: http.MethodPost, Path: "/v1/months/{month}/approvals",
		Summary: "Approve a month's draft", Description: "Only what would be billed now can be approved: the month is computed again, and must come out the same. The caller has to belong to every partner that the draft bills. The same said again writes nothing.",
		Tags: []string{"Approvals"}, Errors: []int{http.StatusNotFound, http.StatusConflict}},
		func(ctx context.Context, who access.Principal, in *approveMonth) (*approvalsOutput, error) {
			return a.say(ctx, who, in.Month, jobs.ApprovePlan{Revision: in.Body.Revision, Accept: in.Body.Accept})
		})
	register(a, access.Reopen, huma.Operation{OperationID: "reopen-month", Method: http.MethodDelete, Path: "/v1/months/{month}/approvals",
		Summary: "Take all approvals of a month back", Description: "A closed month stays closed: what was issued is corrected in the first open month.", Tags: []string{"Approvals"},
		Errors: []int{http.StatusNotFound, http.StatusConflict}},
		func(ctx context.Context, who access.Principal, in *reopenMonth) (*approvalsOutput, error) {
			return a.say(ctx, who, in.Month, jobs.ApprovePlan{Revoke: true})
		})
}

// draftOf returns a month that bills a partner of the caller's.
func (a *API) draftOf(who access.Principal, location, text string) (ledger.Month, error) {
	month, err := monthAt(location, text)
	if err != nil {
		return ledger.Month{}, err
	}
	r, err := a.Current.Reading()
	if err != nil {
		return ledger.Month{}, err
	}
	m, ok := r.Month(month)
	if some, _ := billsSeen(who, m); !ok || !some {
		return m, notFound("a bill of " + text)
	}
	return m, nil
}

// billsSeen reports whether the month bills some of the caller's partners, and no other.
func billsSeen(who access.Principal, m ledger.Month) (some, all bool) {
	some, all = who.Everyone, true
	for _, inv := range m.Current.Invoices {
		sees := who.Sees(inv.PartnerID)
		some, all = some || sees, all && sees
	}
	return some, all && some
}

func (a *API) say(ctx context.Context, who access.Principal, text string, plan jobs.ApprovePlan) (*approvalsOutput, error) {
	m, err := a.draftOf(who, "path.month", text)
	if err != nil {
		return nil, err
	}
	audit.About(ctx, "", "approval of "+text+" revision "+strconv.Itoa(m.Current.Revision))
	if m.Current.State == ledger.Closed {
		return nil, problem(http.StatusConflict, "closed", text+" is closed: what was issued stays issued, and corrections come in the first open month")
	}
	if _, all := billsSeen(who, m); !all {
		return nil, problem(http.StatusForbidden, "not-every-partner", "a month is approved as a whole, and its draft bills partners that you do not belong to")
	}
	// Whom the draft bills was looked up in this revision.
	if plan.Revision == 0 {
		plan.Revision = m.Current.Revision
	}
	plan.Month, plan.At, plan.By = m.Month, a.Now(), fmt.Sprintf("%s (%s)", who.Name, who.ID)
	if plan.Revision != m.Current.Revision {
		return nil, problem(http.StatusConflict, "other-draft", fmt.Sprintf("revision %d was looked at, and the current draft is revision %d: look at that one", plan.Revision, m.Current.Revision))
	}
	env := a.Env()
	env.Patience = lockPatience
	result, err := env.Approve(ctx, plan)
	switch {
	case errors.Is(err, jobs.ErrMissing), errors.Is(err, jobs.ErrUsage):
		return nil, problem(http.StatusConflict, "other-draft", err.Error())
	case err != nil:
		return nil, err
	}
	a.Current.Renew()
	return &approvalsOutput{monthApprovals(who, m, result)}, nil
}

// monthApprovals shows those who belong to every partner of the month all of it; a
// reason or a name may tell others what is not theirs.
func monthApprovals(who access.Principal, m ledger.Month, r jobs.ApprovalResult) MonthApprovals {
	_, all := billsSeen(who, m)
	shown := MonthApprovals{Month: r.Month, State: r.State, Revision: r.Revision, Approved: r.Approved, Required: r.Required, Written: r.Written, Whole: all, Approvals: []SaidOfMonth{}, Holds: seenHolds(who, r.Holds)}
	if !all {
		return shown
	}
	shown.NewInputs, shown.Holds = r.NewInputs, r.Holds
	for _, e := range r.Approvals {
		shown.Approvals = append(shown.Approvals, SaidOfMonth{Number: e.Number, By: e.By, At: e.At, Revision: e.Revision, Accepted: e.Accepted, Revoked: e.Revoked, Stands: e.Stands})
	}
	return shown
}
