package twin

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Diff compares a month that the twin computed with what was published for it: the
// reconciliation.csv of every partner by PartnerId, and the exceptions.csv.
func (r Result) Diff(reconciliation map[string][]byte, exceptions []byte) (diffs []string) {
	partners := slices.Collect(maps.Keys(reconciliation))
	partners = slices.AppendSeq(partners, maps.Keys(r.Partners))
	slices.Sort(partners)
	for _, partner := range slices.Compact(partners) {
		for _, d := range Diff(r.Partners[partner], reconciliation[partner]) {
			diffs = append(diffs, fmt.Sprintf("%s partner %s: %s", r.Month, partner, d))
		}
	}
	for _, d := range DiffExceptions(r.Exceptions, exceptions) {
		diffs = append(diffs, fmt.Sprintf("%s exceptions: %s", r.Month, d))
	}
	return diffs
}

// Diff compares the rows that the twin wants with a reconciliation.csv, and gives
// one readable line for each difference; none when the two agree. ReferenceIds
// that are some UUIDv5 need only be UUIDv5s, one for each text.
func Diff(want []Row, gotCSV []byte) []string {
	got, diffs := readRows(gotCSV)
	refs := newReferences()
	if len(want) == len(got) {
		all := true
		for i := range want {
			all = all && len(columnsThatDiffer(want[i], got[i], nil)) == 0
		}
		if all {
			for i := range want {
				for _, d := range columnsThatDiffer(want[i], got[i], refs) {
					diffs = append(diffs, fmt.Sprintf("row %d (%s): %s", i+1, describe(want[i]), d))
				}
			}
			return diffs
		}
	}
	return append(diffs, diffUnordered(want, got, refs)...)
}

// diffUnordered pairs rows off: equal ones first, then those of one subscription,
// day and type. What is left is missing or too much.
func diffUnordered(want, got []Row, refs *references) (diffs []string) {
	partner := make([]int, len(want)) // of each wanted row: the row found for it, plus one
	taken := make([]bool, len(got))
	pair := func(fits func(w, g Row) bool) {
		for i := range want {
			for j := range got {
				if partner[i] == 0 && !taken[j] && fits(want[i], got[j]) {
					partner[i], taken[j] = j+1, true
				}
			}
		}
	}
	pair(func(w, g Row) bool { return len(columnsThatDiffer(w, g, nil)) == 0 })
	for _, columns := range [][]string{
		{"CustomerId", "SubscriptionId", "OrderDate", "ChargeType", "Quantity", "ChargeStartDate", "CreditReasonCode"},
		{"CustomerId", "SubscriptionId", "OrderDate", "ChargeType", "CreditReasonCode"},
		{"CustomerId", "SubscriptionId", "OrderDate", "Quantity"},
	} {
		pair(func(w, g Row) bool {
			for _, c := range columns {
				if w[c] != g[c] {
					return false
				}
			}
			return strings.HasPrefix(w["Subtotal"], "-") == strings.HasPrefix(g["Subtotal"], "-")
		})
	}
	order := 0
	for i, w := range want {
		if partner[i] == 0 {
			diffs = append(diffs, fmt.Sprintf("missing: %s", describe(w)))
			continue
		}
		j := partner[i]
		for _, d := range columnsThatDiffer(w, got[j-1], refs) {
			diffs = append(diffs, fmt.Sprintf("row %d (%s): %s", j, describe(w), d))
		}
		if j < order {
			diffs = append(diffs, fmt.Sprintf("row %d (%s): stands after a row that should follow it", j, describe(w)))
		}
		order = max(order, j)
	}
	for j, g := range got {
		if !taken[j] {
			diffs = append(diffs, fmt.Sprintf("too much: row %d (%s)", j+1, describe(g)))
		}
	}
	return diffs
}

func describe(r Row) string {
	return strings.Join([]string{
		r["CustomerId"], r["SubscriptionId"], r["OrderDate"], r["ChargeType"],
		r["EffectiveUnitPrice"] + " x " + r["Quantity"] + " = " + r["Subtotal"] + " " + r["Currency"],
		r["ChargeStartDate"] + ".." + r["ChargeEndDate"], r["CreditReasonCode"] + r["PriceAdjustmentDescription"],
	}, " ")
}

// references remembers which UUIDv5 stands for which text.
type references struct {
	byText map[string]string
	byUUID map[string]string
}

func newReferences() *references {
	return &references{byText: map[string]string{}, byUUID: map[string]string{}}
}

// columnsThatDiffer names the columns of two rows that differ. Without
// references a UUIDv5 is as good as any other.
func columnsThatDiffer(want, got Row, refs *references) (diffs []string) {
	for _, column := range Columns {
		w, g := want[column], got[column]
		if column == "ReferenceId" && strings.HasPrefix(w, uuid5Mark) {
			if problem := refs.check(w, g); problem != "" {
				diffs = append(diffs, problem)
			}
			continue
		}
		if w != g {
			diffs = append(diffs, fmt.Sprintf("%s: want %q, got %q", column, w, g))
		}
	}
	return diffs
}

func (r *references) check(text, got string) string {
	if !isUUID(got) || got[14] != '5' {
		return fmt.Sprintf("ReferenceId: want a UUIDv5, got %q", got)
	}
	if r == nil {
		return ""
	}
	if before, ok := r.byText[text]; ok && before != got {
		return fmt.Sprintf("ReferenceId: %s was %s before, now %s", text, before, got)
	}
	if before, ok := r.byUUID[got]; ok && before != text {
		return fmt.Sprintf("ReferenceId: %s stands for %s and for %s", got, before, text)
	}
	r.byText[text], r.byUUID[got] = got, text
	return ""
}

// readRows reads a reconciliation.csv strictly: its header must be Columns.
func readRows(data []byte) (rows []Row, problems []string) {
	if len(data) == 0 {
		return nil, nil
	}
	records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		return nil, []string{"unreadable: " + err.Error()}
	}
	if bytes.Count(data, []byte("\n")) != bytes.Count(data, []byte("\r\n")) {
		problems = append(problems, "line endings: want CRLF alone")
	}
	if !slices.Equal(records[0], Columns) {
		problems = append(problems, fmt.Sprintf("header: want %v, got %v", Columns, records[0]))
	}
	for _, record := range records[1:] {
		row := Row{}
		for i, value := range record {
			row[records[0][i]] = value
		}
		rows = append(rows, row)
	}
	return rows, problems
}

// DiffExceptions compares exceptions with an exceptions.csv, as sets and without
// their messages.
func DiffExceptions(want []Exception, gotCSV []byte) []string {
	rows, diffs := readExceptions(gotCSV)
	wanted := map[Exception]bool{}
	for _, e := range want {
		wanted[e.key()] = true
	}
	got := map[Exception]bool{}
	for _, e := range rows {
		if !got[e.key()] && !wanted[e.key()] {
			diffs = append(diffs, "too much: "+exceptionText(e))
		}
		got[e.key()] = true
	}
	for _, e := range want {
		if !got[e.key()] {
			diffs = append(diffs, "missing: "+exceptionText(e))
		}
	}
	return diffs
}

func readExceptions(data []byte) (rows []Exception, problems []string) {
	if len(data) == 0 {
		return nil, nil
	}
	records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		return nil, []string{"unreadable: " + err.Error()}
	}
	header := []string{"Severity", "Code", "PartnerId", "CustomerId", "SubscriptionId", "EventId", "Message"}
	if !slices.Equal(records[0], header) {
		return nil, []string{fmt.Sprintf("header: want %v, got %v", header, records[0])}
	}
	for _, r := range records[1:] {
		rows = append(rows, Exception{r[0], r[1], r[2], r[3], r[4], r[5], r[6]})
	}
	return rows, nil
}

func exceptionText(e Exception) string {
	return fmt.Sprintf("%s %s partner=%s customer=%s subscription=%s event=%s %s",
		e.Severity, e.Code, e.PartnerID, e.CustomerID, e.SubscriptionID, e.EventID, e.Message)
}
