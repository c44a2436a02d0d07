package main

import (
	"context"

	"github.com/calends/calends/jobs"
)

type closeCmd struct {
	Months []monthArg `arg:"" name:"month" help:"Months to close, in order, such as 2026-10."`
	Accept string     `placeholder:"REASON" help:"Close although something holds the month, but for an approval; the manifest keeps the reason."`
}

// Help tells more than one line.
func (closeCmd) Help() string {
	return `Bills the month once more, numbers its invoices and freezes it. What comes in afterwards for a closed
month is billed in the first open one, as corrections. Months close in order; the first that is closed
begins the books.

A month is held back while it is not over, while something is not billed for want of an input, while it
is beyond a bound that the configuration sets (close: bounds), and while it waits for an approval (close:
approval), which calends approve gives and --accept does not replace. The exit code is then 4 if an input
would help, else 1; with --output json the result says what holds the month, each with a code. Closing a
closed month again does nothing.`
}

// Run closes the months in order.
func (c closeCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	return a.eachMonth(c.Months, func(m monthArg) (jobs.BillResult, error) { return env.Close(ctx, m.Month, c.Accept) })
}
