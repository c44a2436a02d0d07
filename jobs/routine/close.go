package routine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// Close closes each month at its first tick after the month's end.
type Close struct{ Job }

// Name is the job's.
func (Close) Name() string { return CloseName }

// Asks are the open months whose tick has come.
func (c Close) Asks(ctx context.Context, at schedule.Moment) ([]schedule.Ask, error) {
	if c.Ticks.Off() {
		return nil, nil
	}
	open, err := c.Books.Open(ctx, at.First, at.Month()-1)
	var asks []schedule.Ask
	for _, m := range open {
		if tick := c.tick(m); !tick.IsZero() && !tick.After(at.Now) {
			asks = append(asks, ask(CloseName, "", m, tick))
		}
	}
	return asks, err
}

// tick is the first of the next month's days as the zone counts them, but not before
// the month has ended, which is at midnight UTC: 06:00 of the first in Auckland is
// still the month, and the tick after that one would be a month late.
func (c Close) tick(month pricing.Month) time.Time {
	over := begin(month + 1)
	year, next := (month + 1).Civil()
	tick := c.Ticks.FirstOn(year, next, 1)
	if !tick.IsZero() && tick.Before(over) {
		return over
	}
	return tick
}

// begin is the first instant of a month.
func begin(m pricing.Month) time.Time {
	year, month := m.Civil()
	return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
}

// Plan waits for the month before, and for imports that the month needs. What else
// may hold it shows only when the month is computed: what held it once is not looked
// for again before something has changed.
func (c Close) Plan(ctx context.Context, r schedule.Request) (schedule.Plan, error) {
	closed, err := c.Books.isClosed(ctx, r.Slice.Month)
	if err != nil || closed {
		return schedule.NothingTo(r.Slice, "%s is closed", r.Slice.Month), err
	}
	if r.Slice.Month > r.First {
		earlier, open, err := c.Books.FirstOpen(ctx, r.First, r.Slice.Month-1)
		if err != nil {
			return schedule.Plan{}, err
		}
		if open {
			return schedule.WaitFor(r.Slice, waitsForEarlier, "months close in order, and %s is open", earlier), nil
		}
	}
	if len(r.Open) > 0 && r.Accept == "" {
		return schedule.WaitFor(r.Slice, waitsForImport, "not everything is in: %s\nmend it, or close all the same with: calends run close --slice %s --accept REASON",
			openImports(r.Open), r.Slice), nil
	}
	basis, err := c.basis(ctx, r)
	if err != nil {
		return schedule.Plan{}, err
	}
	if last := r.Last; last != nil && last.Result == history.Waiting && last.Basis == basis && !r.ByHand {
		return schedule.WaitFor(r.Slice, last.Code, "%s", last.Reason), nil
	}
	p := schedule.ReadyTo(r.Slice, fmt.Sprintf("bill %s once more", r.Slice.Month), "hold it if something is open", "number and freeze its invoices")
	p.Detail = closeDetail{Basis: basis}
	return p, nil
}

type closeDetail struct {
	Basis string `json:"basis"`
}

// basis is what decides whether the month is held.
func (c Close) basis(ctx context.Context, r schedule.Request) (string, error) {
	m, _, err := c.Books.Month(ctx, r.Slice.Month)
	if err != nil {
		return "", err
	}
	inputs, err := c.Books.Ledger.LastInput(ctx)
	if err != nil {
		return "", err
	}
	approvals, err := c.Books.Ledger.Approvals(ctx, r.Slice.Month)
	if err != nil {
		return "", err
	}
	bounds, err := json.Marshal(c.Env.Closing)
	return fmt.Sprintf("input %d, revision %d, approval %d, closing %s, version %s", inputs, m.Current.Revision, len(approvals), bounds, c.Env.Version), err
}

func openImports(open []schedule.Open) string {
	var texts []string
	for _, o := range open {
		texts = append(texts, fmt.Sprintf("%s (%s)", o.Slice, o.Why))
	}
	return strings.Join(texts, "; ")
}

// Execute closes the month. What holds it is nothing that failed.
func (c Close) Execute(ctx context.Context, r schedule.Request, p schedule.Plan) (history.Outcome, error) {
	result, err := c.env(r).Close(ctx, r.Slice.Month, r.Accept)
	detail, _ := p.Detail.(closeDetail)
	var held *jobs.HeldError
	switch {
	case errors.As(err, &held):
		code := held.Holds[0].Code
		if held.Waits() {
			code = jobs.HeldForApproval // which may accept the rest
		}
		return history.Outcome{Basis: detail.Basis}, &schedule.WaitError{Code: string(code), Err: err}
	case errors.Is(err, jobs.ErrMissing):
		return history.Outcome{Basis: detail.Basis}, &schedule.WaitError{Code: waitsForInput, Err: err}
	case err != nil:
		return history.Outcome{}, err
	}
	return c.billed(ctx, r.Slice.Month, result)
}

// stateOf names a month's revision for people.
func stateOf(m ledger.Month) string {
	return fmt.Sprintf("%s revision %d of %s", m.Current.State, m.Current.Revision, m.Month)
}
