package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/reconcile"
)

// reconcileView shows a reconciliation.
type reconcileView struct {
	jobs.ReconcileResult
	asked reconcileCmd
}

// rows are each partner's causes.
func (r reconcileView) rows() *table {
	t := newTable("Month", "PartnerId", "Cause", ">Differences", ">Subtotal", ">Tax", ">Total", "Currency")
	for _, p := range r.Partners {
		for _, c := range p.Causes {
			t.add(r.Month, p.PartnerID, c.Cause, fmt.Sprint(c.Differences), c.Subtotal, c.Tax, c.Total, c.Currency)
		}
	}
	return t
}

// write prints what fits on a screen; the files have the rest.
func (r reconcileView) write(w io.Writer) {
	r.writeNotCompared(w)
	r.writeUnknown(w)
	for _, s := range r.Sides {
		fmt.Fprintf(w, "  theirs %s (%s) - ours %s (%s) = %s %s, the sum of the causes\n",
			s.Theirs, plural(s.TheirLines, "line"), s.Ours, plural(s.OurLines, "line"), s.Difference, s.Currency)
	}
	r.writeCauses(w)
	r.writeSystem(w)
	if len(r.Partners) > 1 {
		r.writePartners(w)
	}
	r.writeLargest(w)
	if r.asked.SuggestPolicy {
		r.writePolicies(w)
	}
	r.writeFiles(w)
	r.writeNotes(w)
	state := "written"
	if !r.Written {
		state = "there already, nothing new is written"
	}
	fmt.Fprintf(w, "\n%s: revision %d, %s", r.Month, r.Revision, state)
	if r.Folder != "" {
		fmt.Fprintf(w, "; files in %s", r.Folder)
	}
	if r.asked.Disputes != "" {
		fmt.Fprintf(w, "; %s in %s", plural(r.Disputes, "dispute"), r.asked.Disputes)
	}
	fmt.Fprintln(w)
}

// writeNotCompared begins with those for whom the wrong files were given.
func (r reconcileView) writeNotCompared(w io.Writer) {
	for i, p := range r.LeftOut {
		if i == max(1, r.asked.Limit) {
			fmt.Fprintf(w, "NOT COMPARED: and %s more\n", plural(len(r.LeftOut)-i, "partner"))
			break
		}
		fmt.Fprintf(w, "NOT COMPARED: partner %s: %s\n", p.PartnerID, p.Reason)
	}
	if len(r.LeftOut) > 0 {
		fmt.Fprintf(w, "  give Microsoft's files of %s; if a file was billed then, say --with %s=FILE\n\n", r.Month, r.Month)
	}
	for _, id := range r.Unnamed {
		fmt.Fprintf(w, "NO FILE NAMES partner %s: all its lines count as missing there\n", id)
	}
}

// writeUnknown tells the number to drive to zero.
func (r reconcileView) writeUnknown(w io.Writer) {
	var amounts []string
	for _, c := range r.Causes {
		if c.Cause == string(reconcile.Unknown) && c.Differences > 0 {
			amounts = append(amounts, fmt.Sprintf("%s %s in %s", c.Total, c.Currency, plural(c.Differences, "line")))
		}
	}
	fmt.Fprintf(w, "UNKNOWN: %s. Open: %s.\n", cmp.Or(strings.Join(amounts, ", "), "nothing"), plural(r.Open, "difference"))
}

// writeCauses has a row a cause and a column a currency: amounts of two are
// never added.
func (r reconcileView) writeCauses(w io.Writer) {
	var order []string
	amounts := make(map[string]map[string]string)
	lines, free, currencies := make(map[string]int), make(map[string]int), make(map[string]bool)
	for _, c := range r.Causes {
		if c.Differences == 0 {
			continue
		}
		if amounts[c.Cause] == nil {
			order = append(order, c.Cause)
			amounts[c.Cause] = make(map[string]string)
		}
		amounts[c.Cause][c.Currency] = c.Total
		currencies[c.Currency] = true
		lines[c.Cause] += c.Differences
		free[c.Cause] += c.Free
	}
	if len(order) == 0 {
		return
	}
	columns := slices.Sorted(maps.Keys(currencies))
	titles := []string{"CAUSE", ">LINES"}
	for _, currency := range columns {
		titles = append(titles, ">"+currency)
	}
	t := newTable(append(titles, "")...)
	for _, cause := range order {
		row := []string{cause, fmt.Sprint(lines[cause])}
		for _, currency := range columns {
			row = append(row, amounts[cause][currency])
		}
		note := ""
		if free[cause] > 0 {
			note = fmt.Sprintf("%d cost nothing", free[cause])
		}
		t.add(append(row, note)...)
	}
	fmt.Fprintln(w)
	t.write(w, "  ")
}

func (r reconcileView) writePartners(w io.Writer) {
	t := newTable("PARTNER", ">OURS", ">THEIRS", ">OPEN", ">DIFFERENCE", "")
	for i, p := range r.Partners {
		if i == r.asked.Limit {
			break
		}
		for _, s := range p.Sides {
			t.add(p.PartnerID, fmt.Sprint(s.OurLines), fmt.Sprint(s.TheirLines), fmt.Sprint(p.Open), s.Difference, s.Currency)
		}
	}
	fmt.Fprintln(w)
	t.write(w, "  ")
	r.more(w, len(r.Partners), "partner")
}

// more says how many of a list are not shown.
func (r reconcileView) more(w io.Writer, n int, what string) {
	if rest := n - r.asked.Limit; rest > 0 {
		fmt.Fprintf(w, "  and %s more\n", plural(rest, what))
	}
}

func (r reconcileView) writeLargest(w io.Writer) {
	if len(r.Largest) == 0 {
		return
	}
	t := newTable("LARGEST", ">AMOUNT", "", "CUSTOMER", "WHY")
	for _, d := range r.Largest {
		t.add(d.Cause, d.Total, d.Currency, shorten(cmp.Or(d.CustomerName, d.CustomerID), 24), shorten(d.Explanation, 90))
	}
	fmt.Fprintln(w)
	t.write(w, "  ")
	if rest := r.Open - len(r.Largest); rest > 0 {
		fmt.Fprintf(w, "  and %s more\n", plural(rest, "open difference"))
	}
}

// writePolicies shows the evidence for a rounding policy.
func (r reconcileView) writePolicies(w io.Writer) {
	t := newTable("THEIR ARITHMETIC", ">LINES", ">UNIT", ">LINE", ">USAGE", ">ONLY UNIT", ">ONLY LINE", ">NONE", ">CANNOT TELL")
	for _, p := range r.Policies {
		t.add(p.ChargeType, fmt.Sprint(p.Lines), fmt.Sprint(p.Unit), fmt.Sprint(p.Line), fmt.Sprint(p.Usage), fmt.Sprint(p.OnlyUnit), fmt.Sprint(p.OnlyLine),
			fmt.Sprint(p.Neither), fmt.Sprint(p.Unknowable))
	}
	fmt.Fprintln(w)
	t.write(w, "  ")
	switch s := r.Suggested; {
	case s == nil:
		fmt.Fprintln(w, "  suggested: nothing, every line comes out the same by unit and by line")
	case s.Withheld:
		fmt.Fprintf(w, "  suggested: nothing, %s of the %d that decide obey no policy: see NONE\n", plural(s.Neither, "line"), s.For+s.Against)
	default:
		fmt.Fprintf(w, "  suggested: rounding: %s (%s for it, %d against)\n", s.Rounding, plural(s.For, "line"), s.Against)
	}
}

// writeSystem says that what is tolerated line by line has a system.
func (r reconcileView) writeSystem(w io.Writer) {
	rounded := slices.ContainsFunc(r.Causes, func(c jobs.ReconciledCause) bool { return c.Cause == string(reconcile.Rounding) && c.Differences > 0 })
	s := r.Suggested
	if s == nil || !rounded || r.asked.SuggestPolicy {
		return
	}
	const evidence = "--suggest-policy shows the evidence"
	switch {
	case s.Withheld:
		fmt.Fprintf(w, "\n  %s of theirs of the %d that decide obey no rounding policy; %s\n", plural(s.Neither, "line"), s.For+s.Against, evidence)
	case len(s.Otherwise) > 0 && s.For > 9*s.Against: // one in ten against is no system
		fmt.Fprintf(w, "\n  their amounts obey rounding: %s, and we bill %s by another; %s\n", s.Rounding, plural(len(s.Otherwise), "partner"), evidence)
	}
}

func (r reconcileView) writeFiles(w io.Writer) {
	t := newTable("FILE", "KIND", "MONTHS", "BY", ">LINES", ">REFUSED", "COLUMNS NOT KNOWN")
	for i, f := range r.Theirs {
		if i == r.asked.Limit {
			break
		}
		var months, by []string
		for _, d := range f.Documents {
			for _, m := range d.Months {
				if !slices.Contains(months, m) {
					months = append(months, m)
				}
			}
			if !slices.Contains(by, string(d.By)) {
				by = append(by, string(d.By))
			}
		}
		t.add(f.Name, f.Kind, shorten(strings.Join(months, " "), 24), strings.Join(by, " "), count(f.Lines), count(f.Refused), shorten(strings.Join(f.Unknown, ", "), 40))
	}
	fmt.Fprintln(w)
	t.write(w, "  ")
	r.more(w, len(r.Theirs), "file")
}

// monthReasons say why a document bills another month than that of most of its
// lines. What the user said needs no word.
var monthReasons = map[jobs.MonthBy]string{
	jobs.ByInvoice: "its number is not that of the invoice with most lines of the month; if that is wrong, say --with MONTH=FILE",
	jobs.ByName:    "its name says so, and another file has most lines of the month; if that is wrong, say --with MONTH=FILE",
	jobs.ByFile:    "the rest of the file is of that month, and most of the invoice is in another file",
}

func (r reconcileView) writeNotes(w io.Writer) {
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	for _, f := range r.Theirs {
		switch {
		case f.Reason != "":
			note("%s is refused: %s", f.Name, f.Reason)
		case f.Same != "":
			note("%s has the same content as %s and is left out", f.Name, f.Same)
		}
		for i, e := range f.Errors {
			if i == r.asked.Limit {
				note("%s: and %d more", f.Name, f.Refused-int64(i))
				break
			}
			note("%s", recordText(f.Name, e))
		}
		for j, d := range f.Documents {
			if j == r.asked.Limit {
				note("%s: and %s more", f.Name, plural(len(f.Documents)-j, "invoice"))
				break
			}
			if why := monthReasons[d.By]; why != "" {
				note("%s: %s is read as billed in %s: %s", f.Name, cmp.Or(d.Number, "what has no invoice number"), strings.Join(d.Months, ", "), why)
			}
		}
		if f.ByCustomer > 0 {
			note("%s: %s of a PartnerId that is none of ours went to the partners of their customers", f.Name, plural(f.ByCustomer, "line"))
		}
		if f.Others > 0 {
			note("%s: %s of other partners passed over", f.Name, plural(f.Others, "line"))
		}
	}
	for _, f := range r.Foreign {
		note("partner %q is none of ours: %s, %s %s", f.PartnerID, plural(f.Lines, "line"), f.Total, f.Currency)
	}
	for _, e := range r.Elsewhere {
		note("elsewhere: %s of partner %s, %s %s: %s", plural(e.Lines, "line"), e.PartnerID, e.Total, e.Currency, e.Reason)
	}
	if r.Neighbours > 0 {
		note("%s of the months beside, for matching only", plural(r.Neighbours, "line"))
	}
	if r.Outside > 0 {
		note("%s of other months left out", plural(r.Outside, "line"))
	}
	for _, p := range r.Unproven {
		note("the workbook of partner %s has no prorations, price changes and seats: %s", p.PartnerID, p.Reason)
	}
	if n := len(r.Absent); n > 0 {
		note("not compared, no file names them: %s: %s", plural(n, "partner"), strings.Join(r.Absent[:min(n, max(1, r.asked.Limit))], ", "))
	}
	if len(notes) > 0 {
		fmt.Fprintln(w)
	}
	for i, n := range notes {
		if i == 2*r.asked.Limit && r.asked.Limit > 0 {
			fmt.Fprintf(w, "note: and %d more; --output json has all\n", len(notes)-i)
			break
		}
		fmt.Fprintln(w, "note:", n)
	}
}
