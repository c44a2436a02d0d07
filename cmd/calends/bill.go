package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/calends/calends/jobs"
)

type billCmd struct {
	Months []monthArg `arg:"" name:"month" help:"Months to bill, in this order, such as 2026-10."`
	DryRun bool       `help:"Write nothing; print what would change against the last draft."`

	WholeHistory bool `help:"Compute from all that ever came in, not from the state at the last close: the same result, in more time."`
}

// Help tells more than one line.
func (billCmd) Help() string {
	return `Writes the month's next draft revision: for each partner reconciliation.csv, .parquet and .xlsx and
invoice.json, and exceptions.csv for what needs a person. If the current draft is the same already,
nothing is written. A month may be billed while earlier ones are open, and again whenever something
came in. A closed month is not written again: it is computed from what it knew, to prove that it comes
out the same.

The exit code is 3 when there are exceptions of severity error: something is not billed. As JSON, one
month is an object, several are a list.`
}

// Run bills the months in order.
func (c billCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	env.WholeHistory = c.WholeHistory
	return a.eachMonth(c.Months, func(m monthArg) (jobs.BillResult, error) { return env.Bill(ctx, m.Month, c.DryRun) })
}

// eachMonth runs a job month by month and shows what it came to, that of the
// months before a failure too.
func (a *app) eachMonth(months []monthArg, job func(monthArg) (jobs.BillResult, error)) error {
	var results []jobs.BillResult
	var failed error
	open := false
	for _, m := range months {
		r, err := job(m)
		if err != nil {
			failed = err
			if len(r.Held) > 0 && a.globals.Output == "json" {
				results = append(results, r)
			}
			break
		}
		results = append(results, r)
		open = open || r.Open()
	}
	if len(results) == 0 {
		return failed
	}
	err := a.show(view{json: oneOrAll(results), rows: billRows(results), text: func(w io.Writer) {
		for i, r := range results {
			if i > 0 {
				fmt.Fprintln(w)
			}
			writeBill(w, r)
		}
	}})
	if err := errors.Join(failed, err); err != nil {
		return err
	}
	return openIf(open)
}
