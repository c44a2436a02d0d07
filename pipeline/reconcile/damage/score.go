package damage

import (
	"slices"

	"github.com/calends/calends/pipeline/reconcile"
)

// Score is how one cause was found: of what was planted, and of what was named.
type Score struct {
	Cause reconcile.Cause
	// Planted counts damages that should have been named so, Found those that
	// were. Named counts what was called so, Right what of it was planted.
	Planted, Found, Named, Right int
}

// Recall is the share of the planted that was found, in percent.
func (s Score) Recall() string { return share(s.Found, s.Planted) }

// Precision is the share of the named that was planted, in percent.
func (s Score) Precision() string { return share(s.Right, s.Named) }

func share(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	tenths := part * 1000 / whole
	return itoa(tenths/10) + "." + itoa(tenths%10)
}

func itoa(n int) string {
	if n == 0 {
		return "0"
	}
	var digits []byte
	for ; n > 0; n /= 10 {
		digits = append(digits, byte('0'+n%10))
	}
	slices.Reverse(digits)
	return string(digits)
}

// Miss is a damage that was not found, or a cause that was not planted.
type Miss struct {
	Planted *Planted // nil for a cause that nobody planted
	Cause   reconcile.Cause
	Match   *reconcile.Match
}

// Judge scores the matches of a month by cause: unknown and all that were
// planted or named, in the order of a report. A rounding on regrouped lines is
// right: they are truncated another number of times.
func Judge(matches []reconcile.Match, planted []Planted) ([]Score, []Miss) {
	type ref struct {
		ours bool
		row  int64
	}
	at := make(map[ref]int)
	for i := range matches {
		for _, o := range matches[i].Ours {
			at[ref{true, int64(o.Row)}] = i
		}
		for _, b := range matches[i].Theirs {
			at[ref{false, b.Row}] = i
		}
	}
	scores := make(map[reconcile.Cause]*Score)
	score := func(c reconcile.Cause) *Score {
		if scores[c] == nil {
			scores[c] = &Score{Cause: c}
		}
		return scores[c]
	}
	score(reconcile.Unknown)
	var misses []Miss
	expected := make(map[int]map[reconcile.Cause]bool)
	regrouped := make(map[int]bool)
	for i := range planted {
		p := &planted[i]
		var where []int
		for _, row := range p.Theirs {
			if m, ok := at[ref{false, row}]; ok {
				where = append(where, m)
			}
		}
		for _, row := range p.Ours {
			if m, ok := at[ref{true, int64(row)}]; ok {
				where = append(where, m)
			}
		}
		cause := p.Kind.Cause()
		found := false
		for _, m := range where {
			if cause == "" {
				regrouped[m] = true
				continue
			}
			if expected[m] == nil {
				expected[m] = make(map[reconcile.Cause]bool)
			}
			expected[m][cause] = true
			found = found || slices.ContainsFunc(matches[m].Differences, func(d reconcile.Difference) bool { return d.Cause == cause })
		}
		if cause == "" {
			continue
		}
		score(cause).Planted++
		if found {
			score(cause).Found++
		} else {
			miss := Miss{Planted: p, Cause: cause}
			if len(where) > 0 {
				miss.Match = &matches[where[0]]
			}
			misses = append(misses, miss)
		}
	}
	for i := range matches {
		for _, d := range matches[i].Differences {
			score(d.Cause).Named++
			if expected[i][d.Cause] || regrouped[i] && d.Cause == reconcile.Rounding {
				score(d.Cause).Right++
			} else {
				misses = append(misses, Miss{Cause: d.Cause, Match: &matches[i]})
			}
		}
	}
	var all []Score
	for _, c := range reconcile.Causes() {
		if s := scores[c]; s != nil {
			all = append(all, *s)
		}
	}
	return all, misses
}
