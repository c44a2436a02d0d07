package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/calends/calends/jobs"
)

// billRows are what csv shows: the invoices, or on a dry run what would change.
func billRows(results []jobs.BillResult) *table {
	if results[0].DryRun {
		t := newTable("Month", "PartnerId", "Cause", ">Lines", "Currency", ">Before", ">After", ">Change")
		for _, r := range results {
			for _, d := range r.Differences {
				t.add(r.Month, d.PartnerID, d.Cause, strconv.Itoa(d.Lines), d.Currency, d.Before, d.After, d.Change)
			}
		}
		return t
	}
	t := newTable("Month", "Revision", "State", "PartnerId", "InvoiceNumber", ">Lines", "Currency", ">Subtotal", ">TaxTotal", ">Total")
	for _, r := range results {
		for _, inv := range r.Invoices {
			t.add(r.Month, strconv.Itoa(r.Revision), r.State, inv.PartnerID, inv.Number, strconv.Itoa(inv.Lines),
				inv.Currency, inv.Subtotal, inv.TaxTotal, inv.Total)
		}
	}
	return t
}

func writeBill(w io.Writer, r jobs.BillResult) {
	fmt.Fprintf(w, "%s: %s\n", r.Month, billState(r))
	s := r.Subscriptions
	fmt.Fprintf(w, "subscriptions: %d billed, %d parked, %d ended\n", s.Billed, s.Parked, s.Ended)
	writeInvoices(w, r)
	writeDifferences(w, r.Differences)
	writeExceptions(w, "", "exceptions.csv", r.Exceptions)
	writeExceptions(w, "late changes to closed months, ", "late-exceptions.csv", r.Late)
	if open := r.Errors + r.Warnings; open > 0 && len(r.Exceptions) == 0 {
		fmt.Fprintf(w, "\nexceptions: %s, %s; they stand in the month's exceptions.csv\n", plural(r.Errors, "error"), plural(r.Warnings, "warning"))
	}
}

func billState(r jobs.BillResult) string {
	revision := fmt.Sprintf("%s, revision %d", r.State, r.Revision)
	switch {
	case r.DryRun:
		return "dry run, nothing written"
	case r.Proved:
		return revision + ", computed again: the same"
	case r.State == "closed" && len(r.Differences) > 0:
		return revision + ", computed again: NOT the same"
	case r.Written:
		return revision + ", written"
	}
	return revision + ", nothing new"
}

func writeInvoices(w io.Writer, r jobs.BillResult) {
	if len(r.Invoices) == 0 {
		fmt.Fprintln(w, "no invoices: nothing is billed in this month")
		return
	}
	fmt.Fprintln(w)
	t := newTable("PARTNER", "INVOICE", ">LINES", ">SUBTOTAL", ">TAX", ">TOTAL", "")
	for _, inv := range r.Invoices {
		number := inv.Number
		if number == "" {
			number = "-"
		}
		t.add(inv.PartnerID, number, strconv.Itoa(inv.Lines), inv.Subtotal, inv.TaxTotal, inv.Total, inv.Currency)
	}
	t.write(w, "  ")
}

func writeDifferences(w io.Writer, all []jobs.Difference) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(w, "\nagainst the current revision:")
	t := newTable("PARTNER", "CAUSE", ">LINES", ">BEFORE", ">AFTER", ">CHANGE", "")
	for _, d := range all {
		t.add(d.PartnerID, d.Cause, strconv.Itoa(d.Lines), d.Before, d.After, d.Change, d.Currency)
	}
	t.write(w, "  ")
}

// exceptionsShown is how many exceptions of one code are printed; all stand in
// the month's file.
const exceptionsShown = 3

// writeExceptions groups exceptions by code, errors first, with a few of each.
// The file is where all of them stand.
func writeExceptions(w io.Writer, title, file string, all []jobs.ExceptionEntry) {
	more := false
	for _, severity := range []string{"error", "warning"} {
		byCode := make(map[string][]jobs.ExceptionEntry)
		var codes []string
		for _, x := range all {
			if x.Severity != severity {
				continue
			}
			if byCode[x.Code] == nil {
				codes = append(codes, x.Code)
			}
			byCode[x.Code] = append(byCode[x.Code], x)
		}
		if len(codes) > 0 {
			fmt.Fprintf(w, "\n%s%ss:\n", title, severity)
		}
		for _, code := range codes {
			same := byCode[code]
			fmt.Fprintf(w, "  %s (%d)\n", code, len(same))
			for _, x := range same[:min(len(same), exceptionsShown)] {
				fmt.Fprintf(w, "    %s\n", exceptionText(x))
			}
			if rest := len(same) - exceptionsShown; rest > 0 {
				fmt.Fprintf(w, "    and %d more\n", rest)
				more = true
			}
		}
	}
	if more {
		fmt.Fprintln(w, "  all of them stand in the month's", file)
	}
}

// exceptionText says whose exception it is, most exactly.
func exceptionText(x jobs.ExceptionEntry) string {
	switch {
	case x.SubscriptionID != "":
		return "subscription " + x.SubscriptionID + ": " + x.Message
	case x.CustomerID != "":
		return "customer " + x.CustomerID + ": " + x.Message
	case x.PartnerID != "":
		return "partner " + x.PartnerID + ": " + x.Message
	}
	return x.Message
}
