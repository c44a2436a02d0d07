package jobs

import (
	"maps"
	"slices"

	"github.com/calends/calends/pricing"
)

// settleMonths finds which months each document bills beside the one that most
// of its lines have.
//
//   - A numbered invoice bills one month.
//   - Without a number, as in Microsoft's unbilled data, every month with ample
//     lines stands for itself, unless another file bills that month: then its
//     lines were moved into this one.
//   - A few lines of an invoice that another file has, between those of another
//     month's, were moved as well.
func (r *reading) settleMonths() {
	var files []*theirFile
	for _, f := range r.files {
		if f.Reason == "" && f.Same == "" {
			files = append(files, f)
		}
	}
	moved := make(map[*document]pricing.Month)
	for _, f := range files {
		for _, d := range f.documents {
			if d.number != "" {
				if month, ok := strayed(d, f, files); ok {
					moved[d] = month
				}
				continue
			}
			for _, m := range slices.Sorted(maps.Keys(d.months)) {
				if d.ample(m) && !billedElsewhere(d, m, f, files) {
					d.own[m] = true
				}
			}
		}
	}
	// Afterwards, so that no answer depends on the order of the files.
	for d, month := range moved {
		d.month, d.own = month, map[pricing.Month]bool{month: true}
	}
	for _, f := range files {
		for _, d := range f.documents {
			f.Documents = append(f.Documents, ReconciledDocument{Number: d.number, Months: monthNames(d.own)})
		}
	}
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
