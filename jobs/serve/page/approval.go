package page

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/ledger"
)

func (s *Site) registerApproval() {
	s.register(http.MethodGet, "/months/{month}/approval", "page-approval", access.SeeApprovals, s.approval)
	s.register(http.MethodPost, "/months/{month}/approval", "page-approve", access.Approve, s.approve)
	s.register(http.MethodPost, "/months/{month}/approval/taken-back", "page-take-back", access.Reopen, s.takeBack)
}

type approvalBody struct {
	Row monthRow
	jobs.ApprovalResult
	// Seen are the holds that the person may see, More the others.
	Seen []jobs.Hold
	More int
	Over bool
	// May, Sole and TakeBack: the person may approve, belongs to every partner that the
	// draft bills, may take approvals back.
	May, Sole, TakeBack bool
	Closed              bool
	By                  string // as whom
	Said                string // what was just done
	Fingerprint         string
}

// said are the words after something was done.
var said = map[string]string{
	"approved":   "Your approval is recorded.",
	"the-same":   "You said the same before: nothing was written.",
	"taken-back": "All approvals of this month are taken back.",
	"nothing":    "There was no approval to take back.",
}

func (s *Site) approval(a ask) (answer, error) {
	m, err := s.seenMonth(a)
	if err != nil {
		return answer{}, err
	}
	body := approvalBody{May: a.may(access.Approve), Sole: seesAll(a.who, m.Current.Invoices), TakeBack: a.may(access.Reopen),
		Closed: m.Current.State == ledger.Closed, By: approverName(a.who), Said: said[a.FormValue("done")], Over: s.Env().Today > m.Month.Last(), Fingerprint: m.Current.Fingerprint}
	if body.Row, err = rowOf(m.Current, a.who); err != nil {
		return answer{}, err
	}
	if body.ApprovalResult, err = s.Env().Approvals(a.Context(), m.Month); err != nil {
		return answer{}, err
	}
	body.Seen, body.More = holdsFor(a.who, body.ApprovalResult.Holds)
	if !a.who.Everyone { // a reason may name what is another partner's
		for i := range body.Approvals {
			body.Approvals[i].Accepted = ""
		}
	}
	return answer{template: "approval", title: "Approval of " + monthName(m.Current.Month), place: "Months", crumbs: crumbsOf(m.Current.Month), body: body}, nil
}

// approverName is under which name somebody's approval is recorded.
func approverName(who access.Principal) string {
	if who.Name == "" || who.Name == who.ID {
		return who.ID
	}
	return who.Name + " (" + who.ID + ")"
}

func (s *Site) approve(a ask) (answer, error) {
	m, err := s.approvable(a)
	if err != nil {
		return answer{}, err
	}
	if a.PostFormValue("fingerprint") != m.Current.Fingerprint {
		return answer{}, wrongError{"There is a newer draft of this month than the one that you looked at. Nothing was approved."}
	}
	result, err := s.patient().Approve(a.Context(), jobs.ApprovePlan{Month: m.Month, By: approverName(a.who), At: s.Now(), Accept: strings.TrimSpace(a.PostFormValue("accept")), Revision: m.Current.Revision})
	if err != nil {
		return answer{}, err
	}
	return s.spoken(m, result.Written, "approved", "the-same"), nil
}

func (s *Site) takeBack(a ask) (answer, error) {
	m, err := s.approvable(a)
	if err != nil {
		return answer{}, err
	}
	result, err := s.patient().Approve(a.Context(), jobs.ApprovePlan{Month: m.Month, By: approverName(a.who), At: s.Now(), Revoke: true})
	if err != nil {
		return answer{}, err
	}
	return s.spoken(m, result.Written, "taken-back", "nothing"), nil
}

// approvable is a draft of which somebody may say something: who approves it approves
// what all its partners are billed.
func (s *Site) approvable(a ask) (ledger.Month, error) {
	m, err := s.seenMonth(a)
	switch {
	case err != nil:
		return m, err
	case !seesAll(a.who, m.Current.Invoices):
		return m, errNotAllowed
	case m.Current.State == ledger.Closed:
		return m, wrongError{monthName(m.Current.Month) + " is closed: what was issued stays, and corrections come in the first open month."}
	}
	audit.About(a.Context(), "", "approval of "+m.Current.Month)
	return m, nil
}

// patience is how long a form waits while another run holds the bucket.
const patience = 10 * time.Second

// patient is an Env behind which a person waits.
func (s *Site) patient() jobs.Env {
	env := s.Env()
	env.Patience = patience
	return env
}

func (s *Site) spoken(m ledger.Month, written bool, done, same string) answer {
	s.Current.Renew()
	if !written {
		done = same
	}
	return answer{to: "/months/" + m.Current.Month + "/approval?" + url.Values{"done": {done}}.Encode()}
}
