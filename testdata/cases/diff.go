package cases

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Diff compares the rows of reconciliation.csv of all billed months, in their
// order, with the wanted lines. Only the columns that the case names count, and
// they count as text: 10.80 is not 10.8. No difference gives nil.
func (c Case) Diff(rows []map[string]string) []string {
	return diff(c.Want, rows, "SubscriptionId", "OrderDate")
}

// DiffExceptions does the same for the rows of exceptions.csv. A warning
// counts like an error.
func (c Case) DiffExceptions(rows []map[string]string) []string {
	return diff(c.WantExceptions, rows, "SubscriptionId", "Code")
}

// diff pairs rows one by one after ordering both sides by the keys that they
// have; rows with equal keys keep their order, which is part of the result.
func diff(want, got []Row, keys ...string) []string {
	names := []string{"Code", "SubscriptionId"}
	if len(want) > 0 {
		names = slices.Sorted(maps.Keys(want[0]))
	}
	wantText, gotText := project(want, names, keys), project(got, names, keys)
	if slices.Equal(wantText, gotText) {
		return nil
	}
	var out []string
	missing, extra := without(wantText, gotText), without(gotText, wantText)
	for _, line := range missing {
		out = append(out, "missing:    "+line)
	}
	for _, line := range extra {
		out = append(out, "unexpected: "+line)
	}
	if len(out) == 0 {
		out = append(out, "the lines are right, their order is not:")
		for i, line := range wantText {
			if gotText[i] != line {
				out = append(out, fmt.Sprintf("row %d: want %s", i+1, line), fmt.Sprintf("row %d: got  %s", i+1, gotText[i]))
			}
		}
	}
	return out
}

// project writes the compared columns of each row as one line of text.
func project(rows []Row, names, keys []string) []string {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b Row) int {
		for _, key := range keys {
			if !slices.Contains(names, key) {
				continue // the case does not say it
			}
			if order := strings.Compare(a[key], b[key]); order != 0 {
				return order
			}
		}
		return 0
	})
	lines := make([]string, len(rows))
	for i, row := range rows {
		var b strings.Builder
		for _, name := range names {
			fmt.Fprintf(&b, "%s=%s ", name, row[name])
		}
		lines[i] = strings.TrimSpace(b.String())
	}
	return lines
}

// without returns the lines of a that b does not have, each as often as it lacks.
func without(a, b []string) []string {
	have := map[string]int{}
	for _, line := range b {
		have[line]++
	}
	var out []string
	for _, line := range a {
		if have[line]--; have[line] < 0 {
			out = append(out, line)
		}
	}
	return out
}
