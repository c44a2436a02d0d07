package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/reconcile"
)

// writeDemo tells what the demo made and where it lies.
func writeDemo(w io.Writer, r demoResult) {
	fmt.Fprint(w, "TAKEN IN\n\n")
	writeKinds(w, r.Ingest)
	if len(r.Ingest) == 1 {
		fmt.Fprintln(w, "\n  Everything else was taken in by an earlier run; calends status counts it.")
	}
	for _, in := range r.Ingest {
		writeRefused(w, in, "  ")
	}
	fmt.Fprint(w, "\nINVOICES\n\n")
	writeDemoInvoices(w, r)
	fmt.Fprint(w, "\nEXCEPTIONS\n\n")
	writeCodes(w, r.Months)
	writeHeld(w, r.Held)
	fmt.Fprintf(w, "\nIN APRIL, FOR CLOSED MONTHS\n\n")
	writeLate(w, r.Late)
	fmt.Fprint(w, "\nMICROSOFT'S MARCH, THEIRS - OURS\n\n")
	writeDemoReconcile(w, r.Reconcile)
	fmt.Fprintf(w, "\nVERIFIED\n\n  %s and %s hashed; %s in %s add up as CSV, Parquet, workbook, JSON and manifest;\n  %s computed again, the same\n",
		plural(r.Verify.Inputs, "input"), plural(r.Verify.Objects, "object"), plural(r.Verify.Lines, "line"), plural(r.Verify.Invoices, "invoice"),
		strings.Join(proved(r.Months), ", "))
	writeWhere(w, r)
}

func writeHeld(w io.Writer, reasons []string) {
	if len(reasons) == 0 {
		return
	}
	fmt.Fprintln(w, "\n  March was therefore held back at first:")
	for _, reason := range reasons {
		fmt.Fprintln(w, "    "+reason)
	}
	fmt.Fprintf(w, "  It closed after: calends approve %s --by %q --accept %q\n", demoCharges, demoPerson, demoReason)
}

// writeKinds counts what was taken in, by kind.
func writeKinds(w io.Writer, results []jobs.IngestResult) {
	type sum struct{ files, taken, had, refused int64 }
	sums := make(map[string]*sum)
	var kinds []string
	for _, r := range results {
		for _, f := range r.Files {
			if sums[f.Kind] == nil {
				sums[f.Kind] = new(sum)
				kinds = append(kinds, f.Kind)
			}
			s := sums[f.Kind]
			s.files++
			s.taken += f.Taken
			s.had += f.Had
			s.refused += f.Refused
		}
	}
	t := newTable("KIND", ">FILES", ">TAKEN", ">HAD", ">REFUSED")
	for _, kind := range kinds {
		s := sums[kind]
		t.add(cmp.Or(kind, "-"), count(s.files), count(s.taken), count(s.had), count(s.refused))
	}
	t.write(w, "  ")
}

func writeDemoInvoices(w io.Writer, r demoResult) {
	t := newTable("MONTH", "STATE", "INVOICE", "PARTNER", ">LINES", ">SUBTOTAL", ">TAX", ">TOTAL", "")
	for _, m := range r.Months {
		for _, inv := range m.Invoices {
			t.add(m.Month, m.State, cmp.Or(inv.Number, "-"), cmp.Or(r.names[inv.PartnerID], inv.PartnerID), strconv.Itoa(inv.Lines),
				inv.Subtotal, inv.TaxTotal, inv.Total, inv.Currency)
		}
	}
	t.write(w, "  ")
}

// writeCodes counts the exceptions of all months by code, with one of each.
func writeCodes(w io.Writer, months []jobs.BillResult) {
	type code struct {
		severity, name, first string
		count                 int
	}
	var codes []*code
	for _, m := range months {
		for _, x := range append(slices.Clip(m.Exceptions), m.Late...) {
			i := slices.IndexFunc(codes, func(c *code) bool { return c.name == x.Code && c.severity == x.Severity })
			if i < 0 {
				i = len(codes)
				codes = append(codes, &code{x.Severity, x.Code, m.Month + ": " + x.Message, 0})
			}
			codes[i].count++
		}
	}
	slices.SortFunc(codes, func(a, b *code) int {
		return cmp.Or(strings.Compare(a.severity, b.severity), strings.Compare(a.name, b.name))
	})
	for _, c := range codes {
		fmt.Fprintf(w, "  %-7s  %s (%d)\n           %s\n", c.severity, c.name, c.count, c.first)
	}
}

// writeDemoReconcile lists what differs, and what it comes to.
func writeDemoReconcile(w io.Writer, r jobs.ReconcileResult) {
	t := newTable("CAUSE", ">AMOUNT", "", "CUSTOMER", "WHY")
	for _, d := range r.Largest {
		t.add(d.Cause, d.Total, d.Currency, shorten(d.CustomerName, 22), shorten(d.Explanation, 80))
	}
	t.write(w, "  ")
	for _, s := range r.Sides {
		fmt.Fprintf(w, "  %s - %s = %s %s\n", s.Theirs, s.Ours, s.Difference, s.Currency)
	}
	for _, c := range r.Causes {
		switch {
		case c.Cause == string(reconcile.Unknown):
			fmt.Fprintf(w, "  without a known cause: %s %s\n", c.Total, c.Currency)
		case c.Cause == string(reconcile.Rounding):
			fmt.Fprintf(w, "  within what rounding explains: %s %s\n", c.Total, c.Currency)
		}
	}
}

// shorten cuts a text for a table.
func shorten(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most-1]) + "…"
}

func writeLate(w io.Writer, lines []demoLine) {
	t := newTable("DATE", "CUSTOMER", "TYPE", ">QUANTITY", ">SUBTOTAL", "", "WHY")
	for _, l := range lines {
		t.add(l.Date, shorten(l.Customer, 28), l.ChargeType, l.Quantity, l.Subtotal, l.Currency, l.Why)
	}
	t.write(w, "  ")
}

// proved lists the closed months that came out the same again.
func proved(months []jobs.BillResult) (names []string) {
	for _, m := range months {
		if m.Proved {
			names = append(names, m.Month)
		}
	}
	return names
}

// demoNext are commands to go on with, on the demo's bucket.
var demoNext = [...]string{
	"status", "explain C202403-000002:2", "bill 2024-05", "approve " + demoDraft + " --by me", "close " + demoDraft, "export " + demoDraft + " out --format xlsx", "verify",
}

func writeWhere(w io.Writer, r demoResult) {
	fmt.Fprint(w, "\nWHERE IT LIES\n\n")
	fmt.Fprintf(w, "  %s/inputs        what came in\n", r.Folder)
	fmt.Fprintf(w, "  %s/calends-data  the bucket: all inputs, every revision of every month\n", r.Folder)
	fmt.Fprintf(w, "  %s/reconcile     March beside Microsoft's, each difference with its cause\n", r.Folder)
	fmt.Fprintf(w, "  %s/export        each month in a plain folder; open for example\n", r.Folder)
	for _, f := range r.Exports[len(r.Exports)-1].Files {
		if strings.HasSuffix(f.Path, ".xlsx") {
			fmt.Fprintf(w, "  %s/export/%s/%s\n", r.Folder, demoDraft, f.Path)
			break
		}
	}
	fmt.Fprint(w, "\nTRY NEXT\n\n")
	for _, command := range demoNext {
		fmt.Fprintf(w, "  calends %s --bucket %s/calends-data\n", command, r.Folder)
	}
	fmt.Fprint(w, "\nRefused files and exceptions are what the demo shows, so it ends with exit code 0; ingest, bill and\nclose by themselves would end with 3.\n")
}
