package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/calends/calends/jobs"
)

type statusCmd struct{}

// Help tells more than one line.
func (statusCmd) Help() string {
	return `Month by month: state and revision, invoices, lines and totals, exceptions, how many inputs came in
since a draft was computed, and who has approved it. What holds the month to close next, as far as its
draft tells. Then what was taken in, and for which months each market has a price sheet.`
}

// Run reads where everything stands.
func (statusCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	result, err := env.Status(ctx)
	if err != nil {
		return err
	}
	return a.show(view{json: result, rows: statusRows(result), text: func(w io.Writer) { writeStatus(w, result) }})
}

// statusRows have one row a month and currency.
func statusRows(r jobs.StatusResult) *table {
	t := newTable("Month", "State", "Revision", "Currency", ">Invoices", ">Subtotal", ">TaxTotal", ">Total", ">Errors", ">Warnings", ">NewInputs", "ApprovedBy")
	for _, m := range r.Months {
		row := func(c jobs.CurrencyTotal) {
			t.add(m.Month, m.State, strconv.Itoa(m.Revision), c.Currency, strconv.Itoa(c.Invoices), c.Subtotal, c.TaxTotal, c.Total,
				strconv.Itoa(m.Exceptions.Errors), strconv.Itoa(m.Exceptions.Warnings), strconv.Itoa(m.NewInputs), strings.Join(m.ApprovedBy, "; "))
		}
		for _, c := range m.Totals {
			row(c)
		}
		if len(m.Totals) == 0 {
			row(jobs.CurrencyTotal{})
		}
	}
	return t
}

func writeStatus(w io.Writer, r jobs.StatusResult) {
	writeMonths(w, r.Months)
	switch {
	case r.Begin != "":
		fmt.Fprintf(w, "\nbooks: %s to %s are closed; the next to close is %s\n", r.Begin, r.Closed, r.Next)
	case r.Next != "":
		fmt.Fprintf(w, "\nbooks: nothing is closed yet; the first month to close begins them, such as %s\n", r.Next)
	}
	for _, m := range r.Months {
		if slices.ContainsFunc(m.Holds, func(h jobs.Hold) bool { return h.Code != jobs.HeldNotOver }) {
			fmt.Fprintf(w, "\n%s is held:\n", m.Month)
			writeHolds(w, m.Holds)
		}
	}
	fmt.Fprintln(w, "\ntaken in:")
	t := newTable("KIND", ">FILES", ">RECORDS", ">REFUSED")
	for _, in := range r.Inputs {
		t.add(in.Kind, strconv.Itoa(in.Files), count(in.Records), count(in.Refused))
	}
	t.write(w, "  ")
	if len(r.Prices) > 0 {
		fmt.Fprintln(w, "\nprice sheets:")
	}
	sheets := newTable("MARKET", "MONTHS")
	for _, p := range r.Prices {
		sheets.add(p.Market, spans(p.Months))
	}
	if len(r.Prices) > 0 {
		sheets.write(w, "  ")
	}
}

// writeMonths prints a row a month and currency; what is the same as above is
// left blank.
func writeMonths(w io.Writer, months []jobs.MonthStatus) {
	if len(months) == 0 {
		fmt.Fprintln(w, "no month is billed yet")
		return
	}
	t := newTable("MONTH", "STATE", ">REVISION", ">INVOICES", ">LINES", ">TOTAL", "", ">ERRORS", ">WARNINGS", "")
	for _, m := range months {
		var notes []string
		if len(m.ApprovedBy) > 0 {
			notes = append(notes, "approved by "+strings.Join(m.ApprovedBy, ", "))
		}
		if m.NewInputs > 0 {
			notes = append(notes, plural(m.NewInputs, "input")+" since: bill again")
		}
		total, currency := "", ""
		if len(m.Totals) > 0 {
			total, currency = m.Totals[0].Total, m.Totals[0].Currency
		}
		t.add(m.Month, m.State, strconv.Itoa(m.Revision), strconv.Itoa(m.Invoices), strconv.Itoa(m.Lines), total, currency,
			strconv.Itoa(m.Exceptions.Errors+m.Late.Errors), strconv.Itoa(m.Exceptions.Warnings+m.Late.Warnings), strings.Join(notes, "; "))
		for _, c := range m.Totals[min(1, len(m.Totals)):] {
			t.add("", "", "", "", "", c.Total, c.Currency, "", "", "")
		}
	}
	t.write(w, "")
}

// spans shortens 2026-01, 2026-02, 2026-03 to 2026-01 to 2026-03. The months are
// in order.
func spans(months []string) string {
	var parts []string
	for i := 0; i < len(months); {
		last := i
		for last+1 < len(months) && follows(months[last], months[last+1]) {
			last++
		}
		part := months[i]
		if last > i {
			part += " to " + months[last]
		}
		parts = append(parts, part)
		i = last + 1
	}
	return strings.Join(parts, ", ")
}

func follows(a, b string) bool {
	var first, second monthArg
	return first.UnmarshalText([]byte(a)) == nil && second.UnmarshalText([]byte(b)) == nil && second.Month == first.Month+1
}
