package jobs

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/calends/calends/pricing"
)

// named is what the files have of one partner.
type named struct {
	full   map[pricing.Month]bool // months that they hold in full
	months map[pricing.Month]bool // months of lines that could be read
	files  []string
}

// choosePartners finds whom to compare, and which months the files have of each.
// Files of other months, or lines that cannot be read, are no reason to call a
// whole invoice missing: such a partner is left out.
func (r *reconciliation) choosePartners() error {
	all := r.namedPartners()
	for _, id := range slices.Sorted(maps.Keys(all)) {
		n := all[id]
		switch {
		case n.months[r.plan.Month] || len(n.files) == 0:
			r.partners = append(r.partners, id)
			r.theirMonths[id] = slices.Sorted(maps.Keys(n.full))
			if len(n.files) == 0 {
				r.result.Unnamed = append(r.result.Unnamed, id)
			}
		default:
			r.result.LeftOut = append(r.result.LeftOut, LeftOutPartner{id, n.reason(r.plan.Month)})
		}
	}
	for _, inv := range r.month.Current.Invoices {
		if all[inv.PartnerID] == nil {
			r.result.Absent = append(r.result.Absent, inv.PartnerID)
		}
	}
	if len(r.partners) == 0 && len(r.result.LeftOut) > 0 {
		return r.noneBills()
	}
	return nil
}

// namedPartners gathers the partners that the files name or the plan does.
func (r *reconciliation) namedPartners() map[string]*named {
	all := make(map[string]*named)
	get := func(id string) *named {
		if all[id] == nil {
			all[id] = &named{full: make(map[pricing.Month]bool), months: make(map[pricing.Month]bool)}
		}
		return all[id]
	}
	for id := range r.reading.parties.wanted {
		get(id)
	}
	for _, f := range r.reading.files {
		if f.Same != "" {
			continue
		}
		if strings.HasPrefix(f.Kind, "legacy") {
			r.legacy[f.Name] = true
		}
		for _, d := range f.documents {
			for id := range d.partners {
				n := get(id)
				maps.Copy(n.full, d.full())
				if !slices.Contains(n.files, f.Name) {
					n.files = append(n.files, f.Name)
				}
			}
			for of := range d.readable {
				get(of.partner).months[d.billing(of.month)] = true
			}
		}
	}
	return all
}

// reason says why a partner cannot be compared.
func (n *named) reason(month pricing.Month) string {
	if len(n.months) == 0 {
		return fmt.Sprintf("no line of it in %s could be read", strings.Join(n.files, ", "))
	}
	return fmt.Sprintf("%s: billed in %s, not in %s", strings.Join(n.files, ", "), strings.Join(monthNames(n.months), ", "), month)
}

// noneBills refuses files that have nothing of the month, and says what each has.
func (r *reconciliation) noneBills() error {
	var have []string
	for _, f := range r.reading.files {
		switch {
		case f.Reason != "":
			have = append(have, f.Name+": "+f.Reason)
			continue
		case f.Same != "":
			continue
		case f.Lines == 0 && f.Refused > 0:
			have = append(have, f.Name+": "+f.allRefused())
			continue
		}
		months := make(map[pricing.Month]bool)
		for _, d := range f.documents {
			maps.Copy(months, d.own)
		}
		if names := monthNames(months); len(names) > 0 {
			have = append(have, f.Name+": bills "+strings.Join(names, ", "))
		} else {
			have = append(have, f.Name+": has no line that says when it was billed")
		}
	}
	return fmt.Errorf("%w: none of the files bills %s:\n  %s\ngive Microsoft's files of %s; if a file was billed then, say --with %s=FILE",
		ErrMissing, r.plan.Month, strings.Join(have, "\n  "), r.plan.Month, r.plan.Month)
}

// allRefused says why nothing of a file can be used.
func (f *theirFile) allRefused() string {
	text := fmt.Sprintf("none of its %d lines can be read", f.Refused)
	if f.Refused == 1 {
		text = "its one line cannot be read"
	}
	if len(f.Errors) == 0 {
		return text
	}
	e := f.Errors[0]
	text += fmt.Sprintf("; line %d: ", e.Line)
	if e.Column != "" {
		text += fmt.Sprintf("%s %q: ", e.Column, e.Value)
	}
	return text + e.Rule
}
