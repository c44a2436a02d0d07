package main

import (
	"context"
	"fmt"

	"github.com/calends/calends/jobs"
)

type reconcileCmd struct {
	Month         monthArg `arg:"" help:"Month to compare, such as 2026-10."`
	With          []string `required:"" placeholder:"FILE" sep:"none" help:"Microsoft's reconciliation file, or a folder of them; - is standard input, and 2026-11=FILE says when it was billed. May be given several times, or followed by more files."`
	More          []string `arg:"" optional:"" name:"file" help:"More files, as after --with."`
	Partner       []string `placeholder:"ID" sep:"," help:"Only this partner. May be given several times."`
	To            string   `placeholder:"DIR" help:"Write the files into this plain folder too, below reconcile/month=MONTH."`
	Format        []string `placeholder:"FORM" sep:"," enum:"csv,parquet,xlsx" help:"Only files of this form: csv, parquet, xlsx. May be given several times."`
	Disputes      string   `placeholder:"FILE" help:"Write the lines to dispute with Microsoft: .csv, or .xlsx."`
	SuggestPolicy bool     `help:"Say which rounding policy Microsoft's own amounts obey."`
	Limit         int      `default:"10" placeholder:"N" help:"How many partners, files and large differences to print. Default 10."`
}

// Help tells more than one line.
func (reconcileCmd) Help() string {
	return `Compares the month's current revision with Microsoft's own reconciliation data, line by line, and gives
every difference a cause. It takes new-commerce files with their older and newer headers and the legacy
licence file, as CSV or JSON Lines, packed as .gz, .zst or .zip; many files, of many partners. Files of
the months beside serve to find what moved between months.

    calends reconcile 2026-10 --with recon.csv.gz
    calends reconcile 2026-10 --with october/ november/ --disputes ticket.xlsx
    calends reconcile 2026-10 --with recon.json.gz --suggest-policy
    calends reconcile 2026-10 --with october.csv 2026-11=november.csv

Which month an invoice of Microsoft's bills is told by the dates of most of its lines; if it has few and
another invoice of the partner is the month's, by its number or else the file's name, such as 2026-11.csv.
What 2026-11=FILE says is so. The table of files says how each was read.

A partner is compared when a file bills it in the month. One whose files are all of other months, or cannot
be read, is left out, and the result begins with it. One that --partner names and no file has lines of is
compared with nothing: all its lines are then missing there. Without --partner it is only named.

For each partner differences.csv, .parquet and .xlsx are written into the bucket, in revisions: the same
files against the same invoices write nothing new. exports/README.md describes the columns.

Lines that cannot be read are refused one by one and counted; a line of ours that one of them may be says
so. The exit code is 3 when a difference is open, a partner was left out, a line or a file was refused, or a
file names a partner whom nobody knows, even where the customer is known; 2 when no file can be used at all,
1 when a file breaks off in the middle, 4 when a file or the month is missing, ours or in all of theirs.`
}

// Run compares.
func (c reconcileCmd) Run(ctx context.Context, a *app) error {
	if c.Limit < 0 {
		return fmt.Errorf("%w: --limit %d: want 0 or more", jobs.ErrUsage, c.Limit)
	}
	env, err := a.env()
	if err != nil {
		return err
	}
	result, err := env.Reconcile(ctx, jobs.ReconcilePlan{Month: c.Month.Month, Files: append(c.With, c.More...), Stdin: a.stdin, Partners: c.Partner,
		To: c.To, Formats: c.Format, Disputes: c.Disputes, Largest: c.Limit})
	if err != nil {
		return err
	}
	shown := reconcileView{result, c}
	if err := a.show(view{json: result, rows: shown.rows(), text: shown.write}); err != nil {
		return err
	}
	return openIf(result.NeedsALook())
}
