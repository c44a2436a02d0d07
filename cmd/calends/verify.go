package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/calends/calends/jobs"
)

type verifyCmd struct {
	Quick     bool `xor:"depth" help:"Compare names and sizes only: hash nothing, add nothing up."`
	SkipProof bool `xor:"depth" help:"Do not compute closed months again."`
}

// Help tells more than one line.
func (verifyCmd) Help() string {
	return `Reads every input and every file of every revision and compares sizes and SHA-256; adds CSV, Parquet,
workbook and invoice.json up and compares them with each other and with the manifest; checks the numbers
and the order of what was issued; and computes closed months again, which must give the same. It writes
nothing.

Each finding has a kind, what was expected and found, and what to do. Faults give exit code 1. What is no
fault is told too: what an interrupted run left, a file of somebody else, an old layout.

calends repair mends what can be mended, calends gc removes what is left over.`
}

// Run reads everything.
func (c verifyCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	result, err := env.Verify(ctx, jobs.VerifyPlan{Quick: c.Quick, SkipProof: c.SkipProof})
	if err != nil {
		return err
	}
	if err := a.show(view{json: result, rows: findingRows(result), text: func(w io.Writer) { c.write(w, result) }}); err != nil {
		return err
	}
	if n := len(result.Findings); n > 0 {
		return fmt.Errorf("verify: %s in the bucket", plural(n, "fault"))
	}
	return nil
}

func findingRows(r jobs.VerifyResult) *table {
	t := newTable("Object", "What", "Expected", "Found", "Kind", "Severity", "Advice")
	for _, list := range [][]jobs.Finding{r.Findings, r.Notices} {
		for _, f := range list {
			t.add(f.Object, f.What, f.Expected, f.Found, string(f.Kind), string(f.Severity), f.Advice)
		}
	}
	return t
}

func (c verifyCmd) write(w io.Writer, r jobs.VerifyResult) {
	proof := "size and SHA-256"
	if c.Quick {
		proof = "size"
	}
	fmt.Fprintf(w, "read: %s, %s, %s with their %s\n", plural(r.Inputs, "input"), plural(r.Revisions, "revision"), plural(r.Objects, "object"), proof)
	if !c.Quick {
		fmt.Fprintf(w, "added up: %s in %s as CSV, Parquet, workbook, JSON and manifest\n", plural(r.Lines, "line"), plural(r.Invoices, "invoice"))
	}
	switch {
	case c.Quick:
		fmt.Fprintln(w, "hashed, added up, computed again: nothing, as --quick says")
	case c.SkipProof:
		fmt.Fprintln(w, "computed again: nothing, as --skip-proof says")
	case len(r.Proved) == 0:
		fmt.Fprintln(w, "computed again: nothing is closed, or nothing came out the same")
	default:
		fmt.Fprintln(w, "computed again, the same:", strings.Join(r.Proved, ", "))
	}
	writeFindings(w, "worth knowing, and no fault:", r.Notices)
	writeFindings(w, "wrong:", r.Findings)
	if len(r.Findings) == 0 {
		fmt.Fprintln(w, "nothing is wrong")
	}
}

// findingsShown is how many findings of a kind are printed; JSON and CSV have all.
const findingsShown = 20

// writeFindings prints findings by kind, with the advice once each.
func writeFindings(w io.Writer, title string, findings []jobs.Finding) {
	if len(findings) == 0 {
		return
	}
	byKind := make(map[jobs.FindingKind][]jobs.Finding)
	var kinds []jobs.FindingKind
	for _, f := range findings {
		if byKind[f.Kind] == nil {
			kinds = append(kinds, f.Kind)
		}
		byKind[f.Kind] = append(byKind[f.Kind], f)
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, kind := range kinds {
		all := byKind[kind]
		advice := ""
		for i, f := range all {
			if f.Advice != advice {
				fmt.Fprintf(w, "  %s %s: %s\n", f.Severity, f.Kind, f.Advice)
				advice = f.Advice
			}
			if i == findingsShown {
				fmt.Fprintf(w, "    and %d more; --output csv lists all\n", len(all)-i)
				break
			}
			fmt.Fprintf(w, "    %s: %s: %s\n", f.Object, f.What, foundText(f))
		}
	}
	fmt.Fprintln(w)
}

func foundText(f jobs.Finding) string {
	if f.Expected == "" {
		return f.Found
	}
	return "expected " + f.Expected + ", found " + f.Found
}
