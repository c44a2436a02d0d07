package jobs

import (
	"maps"
	"slices"
	"strings"

	"github.com/calends/calends/pricing"
)

// settleMonths finds which month each document bills, where that of most of its
// lines is not the answer, and which others it bills beside.
//
//   - What the plan says of a file is so.
//   - A numbered invoice bills one month, however many files it is in.
//   - Without a number, as in Microsoft's unbilled data, every month with ample
//     lines stands for itself, unless another file bills that month: then its
//     lines were moved into this one.
//   - A few lines of an invoice that another file has, between those of another
//     month's, were moved as well.
//   - A few lines beside the month's own invoice are of the month whose number
//     or name they have: see apart.
func (r *reading) settleMonths() {
	var files []*theirFile
	for _, f := range r.files {
		if f.Reason == "" && f.Same == "" {
			files = append(files, f)
		}
	}
	for _, f := range files {
		for _, d := range f.documents {
			if f.given != 0 {
				d.bill(f.given, ByOption)
			}
		}
	}
	oneMonthEach(files)
	type answer struct {
		month pricing.Month
		by    MonthBy
	}
	moved := make(map[*document]answer)
	for _, f := range files {
		for _, d := range f.documents {
			switch {
			case d.by == ByOption:
				continue
			case d.number == "":
				for _, m := range slices.Sorted(maps.Keys(d.months)) {
					if d.ample(m) && !billedElsewhere(d, m, f, files) {
						d.own[m] = true
					}
				}
			default:
				if month, ok := strayed(d, f, files); ok {
					moved[d] = answer{month, ByFile}
					continue
				}
			}
			if month, by, ok := apart(d, f, files); ok {
				moved[d] = answer{month, by}
			}
		}
	}
	// Afterwards, so that no answer depends on the order of the files.
	for d, a := range moved {
		d.bill(a.month, a.by)
	}
	for _, f := range files {
		for _, d := range f.documents {
			f.Documents = append(f.Documents, ReconciledDocument{Number: d.number, Months: monthNames(d.own), By: d.by})
		}
	}
}

// oneMonthEach settles the invoices that are in several files by all of their lines.
func oneMonthEach(files []*theirFile) {
	type part struct {
		d        *document
		together map[pricing.Month]int
	}
	var parts []part
	for _, f := range files {
		for _, d := range f.documents {
			if d.number == "" || d.by == ByOption {
				continue
			}
			together := make(map[pricing.Month]int)
			for _, other := range files {
				for _, e := range other.documents {
					if e.number == d.number && e.by != ByOption && d.shares(e) {
						for m, n := range e.months {
							together[m] += n
						}
					}
				}
			}
			parts = append(parts, part{d, together})
		}
	}
	for _, p := range parts {
		if m := fullest(p.together); m != p.d.month {
			p.d.bill(m, ByInvoice)
		}
	}
}

// shares reports whether two documents bill the same partner in the same currency.
func (d *document) shares(e *document) bool {
	common := func(a, b map[string]bool) bool {
		for key := range a {
			if b[key] {
				return true
			}
		}
		return false
	}
	return common(d.partners, e.partners) && common(d.currencies, e.currencies)
}

// apart finds the month of a few lines that are dated as those of a larger
// document are, and are not of its invoice: a partner gets one invoice a month
// and currency. Numbers ascend, so one after the month's own is of the next
// month, if no other invoice is. Else the names of the files may tell the two
// apart.
func apart(d *document, in *theirFile, files []*theirFile) (month pricing.Month, by MonthBy, ok bool) {
	var own *document
	var its *theirFile
	for _, f := range files {
		for _, e := range f.documents {
			if e != d && e.month == d.month && d.shares(e) && d.lines()*5 < e.lines() && (own == nil || e.lines() > own.lines()) {
				own, its = e, f
			}
		}
	}
	if own == nil {
		return 0, "", false
	}
	if by := following(own.number, d.number); by != 0 && !anotherBills(d, d.month+by, files) {
		return d.month + by, ByInvoice, true
	}
	if near := in.named - d.month; in.named != 0 && in.named != its.named && (near == 1 || near == -1) {
		return in.named, ByName, true
	}
	return 0, "", false
}

// following is 1 for a number after another of its series, -1 for one before,
// and 0 where that cannot be told.
func following(number, other string) pricing.Month {
	series := func(s string) string { return strings.TrimRight(s, "0123456789") }
	if number == "" || len(number) != len(other) || series(number) != series(other) || number == series(number) {
		return 0
	}
	return pricing.Month(strings.Compare(other, number))
}

// anotherBills reports whether an invoice of another number bills the month.
func anotherBills(d *document, m pricing.Month, files []*theirFile) bool {
	return slices.ContainsFunc(files, func(f *theirFile) bool {
		return slices.ContainsFunc(f.documents, func(e *document) bool {
			return e.number != "" && e.number != d.number && e.month == m && d.shares(e)
		})
	})
}

// billedElsewhere reports whether other files bill the month of all partners of
// a document, and nothing much of the document's own month: files that mix both
// months are parts of one export.
func billedElsewhere(d *document, m pricing.Month, in *theirFile, files []*theirFile) bool {
	if m == d.month || len(d.partners) == 0 {
		return false
	}
	covered := make(map[string]bool)
	for _, f := range files {
		if f == in {
			continue
		}
		for _, e := range f.documents {
			if e.month == m && !e.ample(d.month) {
				maps.Copy(covered, e.partners)
			}
		}
	}
	for partner := range d.partners {
		if !covered[partner] {
			return false
		}
	}
	return true
}

// strayed returns the month of the file that a document's lines were moved into,
// if they were: another file has more of the same invoice and none of the
// month, which most of this file is of.
func strayed(d *document, in *theirFile, files []*theirFile) (month pricing.Month, ok bool) {
	host := d
	for _, e := range in.documents {
		if e.lines() > host.lines() {
			host = e
		}
	}
	if host.month == d.month {
		return 0, false
	}
	for _, f := range files {
		if f == in {
			continue
		}
		home := slices.IndexFunc(f.documents, func(e *document) bool {
			return e.number == d.number && e.month == d.month && e.lines() > d.lines()
		})
		mixed := slices.ContainsFunc(f.documents, func(e *document) bool { return e.month == host.month })
		if home >= 0 && !mixed {
			return host.month, true
		}
	}
	return 0, false
}
