package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/calends/calends/jobs"
)

type verifyCmd struct {
	Quick bool `help:"Do not compute closed months again."`
}

// Help tells more than one line.
func (verifyCmd) Help() string {
	return `Reads every input and every file of every revision and compares sizes and SHA-256; adds CSV, Parquet,
workbook and invoice.json up and compares them with each other and with the manifest; checks the numbers
and the order of what was issued; and computes closed months again, which must give the same.

Objects that nothing names, as an interrupted run leaves them, are listed and are no error. Anything
wrong gives exit code 1.`
}

// Run reads everything.
func (c verifyCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	result, err := env.Verify(ctx, jobs.VerifyPlan{Quick: c.Quick})
	if err != nil {
		return err
	}
	if err := a.show(view{json: result, rows: findingRows(result), text: func(w io.Writer) { writeVerify(w, result, c.Quick) }}); err != nil {
		return err
	}
	if n := len(result.Findings); n > 0 {
		return fmt.Errorf("verify: %s in the bucket", plural(n, "fault"))
	}
	return nil
}

func findingRows(r jobs.VerifyResult) *table {
	t := newTable("Object", "What", "Expected", "Found")
	for _, f := range r.Findings {
		t.add(f.Object, f.What, f.Expected, f.Found)
	}
	return t
}

// leftoversShown is how many leftovers are printed; JSON has all.
const leftoversShown = 5

func writeVerify(w io.Writer, r jobs.VerifyResult, quick bool) {
	fmt.Fprintf(w, "read: %s, %s, %s with their size and SHA-256\n", plural(r.Inputs, "input"), plural(r.Revisions, "revision"), plural(r.Objects, "object"))
	fmt.Fprintf(w, "added up: %s in %s as CSV, Parquet, workbook, JSON and manifest\n", plural(r.Lines, "line"), plural(r.Invoices, "invoice"))
	switch {
	case quick:
		fmt.Fprintln(w, "computed again: nothing, as --quick says")
	case len(r.Proved) == 0:
		fmt.Fprintln(w, "computed again: nothing is closed")
	default:
		fmt.Fprintln(w, "computed again, the same:", strings.Join(r.Proved, ", "))
	}
	if n := len(r.Leftovers); n > 0 {
		fmt.Fprintf(w, "left over, and named by nothing (no harm): %s\n", plural(n, "object"))
		for _, key := range r.Leftovers[:min(n, leftoversShown)] {
			fmt.Fprintln(w, "  "+key)
		}
		if n > leftoversShown {
			fmt.Fprintf(w, "  and %d more\n", n-leftoversShown)
		}
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(w, "nothing is wrong")
		return
	}
	fmt.Fprintln(w, "\nwrong:")
	for _, f := range r.Findings {
		fmt.Fprintf(w, "  %s: %s: ", f.Object, f.What)
		if f.Expected != "" {
			fmt.Fprintf(w, "expected %s, found ", f.Expected)
		}
		fmt.Fprintln(w, f.Found)
	}
}
