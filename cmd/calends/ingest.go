package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/calends/calends/jobs"
)

type ingestCmd struct {
	Paths   []string `arg:"" name:"path" help:"Files and folders; - is standard input."`
	Month   monthArg `placeholder:"MONTH" help:"Month of the price sheets, where their paths do not say it."`
	Charges monthArg `placeholder:"MONTH" help:"The files are charges rated elsewhere, to be billed in this month."`
}

// Help tells more than one line.
func (ingestCmd) Help() string {
	return `Each file is recognised by its header or first record: partners, customers, price sheets,
exchange rates, promotions, the offer matrix, changes, charges. It may be packed as .gz, .zst or .zip.

Of changes the bad ones are refused one by one and the rest is taken; any other file is taken whole or
refused whole. Taking the same file in again changes nothing. With something refused the exit code is 3.

    calends ingest inputs
    calends ingest --month 2026-10 sheet.csv
    calends ingest --charges 2026-10 azure.csv`
}

// Run takes the files in.
func (c ingestCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	result, err := env.Ingest(ctx, jobs.IngestPlan{Paths: c.Paths, Stdin: a.stdin, Month: c.Month.Month, Charges: c.Charges.Month})
	if err != nil {
		return err
	}
	if err := a.show(view{json: result, rows: fileRows(result), text: func(w io.Writer) { writeIngest(w, result) }}); err != nil {
		return err
	}
	return openIf(result.Refused > 0)
}

func fileRows(r jobs.IngestResult) *table {
	t := newTable("File", "Kind", "Month", "Status", ">Taken", ">Had", ">Refused", "Reason")
	for _, f := range r.Files {
		t.add(f.Name, f.Kind, f.Month, f.Status, count(f.Taken), count(f.Had), count(f.Refused), f.Reason)
	}
	return t
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

func writeIngest(w io.Writer, r jobs.IngestResult) {
	t := newTable("FILE", "KIND", "MONTH", ">TAKEN", ">HAD", ">REFUSED")
	for _, f := range r.Files {
		t.add(f.Name, f.Kind, f.Month, count(f.Taken), count(f.Had), count(f.Refused))
	}
	t.write(w, "")
	for _, f := range r.Files {
		for _, note := range f.Notes {
			fmt.Fprintf(w, "note: %s: %s\n", f.Name, note)
		}
	}
	writeRefused(w, r, "")
	fmt.Fprintf(w, "\n%s: %d records taken, %d had already, %d refused\n", plural(len(r.Files), "file"), r.Taken, r.Had, r.Refused)
}

// writeRefused prints what was refused, each with its place and the rule.
func writeRefused(w io.Writer, r jobs.IngestResult, indent string) {
	title := "\n" + indent + "Refused:\n"
	for _, f := range r.Files {
		if f.Refused == 0 {
			continue
		}
		fmt.Fprint(w, title)
		title = ""
		if f.Reason != "" {
			fmt.Fprintf(w, "%s  %s: %s\n", indent, f.Name, f.Reason)
		}
		for _, e := range f.Errors {
			fmt.Fprintf(w, "%s  %s\n", indent, recordText(f.Name, e))
		}
		if more := f.Refused - int64(len(f.Errors)); f.Reason == "" && more > 0 {
			fmt.Fprintf(w, "%s  %s: and %d more\n", indent, f.Name, more)
		}
	}
}

// recordText says file:line column "value": rule.
func recordText(file string, e jobs.RecordError) string {
	text := file
	if e.Line > 0 {
		text += ":" + count(e.Line)
	}
	if e.Column != "" {
		text += " " + e.Column
	}
	if e.Column != "" || e.Value != "" {
		text += fmt.Sprintf(" %q", e.Value)
	}
	return text + ": " + e.Rule
}
