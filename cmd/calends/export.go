package main

import (
	"context"
	"fmt"
	"io"

	"github.com/calends/calends/jobs"
)

type exportCmd struct {
	Month   monthArg `arg:"" help:"Month to export, such as 2026-10."`
	Dir     placeArg `arg:"" help:"Where to copy to: a folder as a path or file:///path, made if it is not there; or s3://name/prefix, azblob://name/prefix."`
	Partner []string `placeholder:"ID" sep:"," help:"Only this partner, and nothing that names another. May be given several times."`
	Format  []string `placeholder:"FORM" sep:"," enum:"csv,parquet,xlsx,json" help:"Only files of this form: csv, parquet, xlsx, json. May be given several times."`
}

// Help tells more than one line.
func (exportCmd) Help() string {
	return `Copies the month's current revision into a plain folder, each file checked against the SHA-256 in the
manifest. Files are copied byte for byte, the machine CSV too; the workbook is the form for people.

    DIR/partner=ID/reconciliation.csv, .parquet, .xlsx and invoice.json
    DIR/exceptions.csv
    DIR/manifest.json, unless --partner or --format leaves something out

The folder is not the bucket: a file that is there with other content is replaced, as a whole. Files of
an earlier export that this one does not have are left, and named. In a store nothing is replaced: what is
there with other content is a conflict, and another prefix the way out. A store's options stand in the
address, as s3://name/prefix?region=eu-west-1&endpoint=https://s3.example.com.`
}

// Run copies the files.
func (c exportCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	result, err := env.Export(ctx, jobs.ExportPlan{Month: c.Month.Month, Folder: c.Dir.name, Store: c.Dir.store, Partners: c.Partner, Formats: c.Format})
	if err != nil {
		return err
	}
	return a.show(view{json: result, rows: exportRows(result), text: func(w io.Writer) { writeExport(w, result) }})
}

func exportRows(r jobs.ExportResult) *table {
	t := newTable("Path", ">Size", "SHA256", "Written")
	for _, f := range r.Files {
		t.add(f.Path, count(f.Size), f.SHA256, fmt.Sprint(f.Written))
	}
	return t
}

func writeExport(w io.Writer, r jobs.ExportResult) {
	t := newTable("FILE", ">BYTES", "")
	written := 0
	for _, f := range r.Files {
		state := "was there"
		if f.Written {
			state = "written"
			written++
		}
		t.add(f.Path, count(f.Size), state)
	}
	t.write(w, "")
	for _, note := range r.Notes {
		fmt.Fprintln(w, "note:", note)
	}
	fmt.Fprintf(w, "\n%s, %s revision %d: %s in %s, %d of them written now\n",
		r.Month, r.State, r.Revision, plural(len(r.Files), "file"), r.Folder, written)
}
