package drift

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
)

// Columns of a report.
var Columns = []string{"CustomerId", "SubscriptionId", "Field", "Ours", "Theirs", "ProposedChange", "ChangeId", "ChangeTime", "Reason"}

// Report writes findings as CSV, a row each; one whose proposal is several changes
// has a row for each of them.
type Report struct{ out *csv.Writer }

// NewReport writes the header.
func NewReport(w io.Writer) (*Report, error) {
	r := &Report{csv.NewWriter(w)}
	return r, r.write(Columns)
}

// Add writes the findings.
func (r *Report) Add(findings []Finding) error {
	for _, f := range findings {
		row := []string{f.CustomerID, f.SubscriptionID, f.Field, f.Ours, f.Theirs, "", "", "", f.Reason}
		if len(f.Changes) == 0 {
			if err := r.write(row); err != nil {
				return err
			}
		}
		for _, c := range f.Changes {
			row[5], row[6], row[7] = string(c.Type), c.ID, c.At.String()
			if err := r.write(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close writes what is left.
func (r *Report) Close() error {
	r.out.Flush()
	return r.named(r.out.Error())
}

func (r *Report) write(row []string) error {
	guarded := make([]string, len(row))
	for i, s := range row {
		guarded[i] = guard(s)
	}
	return r.named(r.out.Write(guarded))
}

func (r *Report) named(err error) error {
	if err != nil {
		return fmt.Errorf("write drift report: %w", err)
	}
	return nil
}

// guard keeps a spreadsheet from taking somebody else's text for a formula.
func guard(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
