package exports

import (
	"bytes"
	"encoding/csv"
	"errors"
	"slices"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pricing"
)

// disputed are lines of three currencies, with the texts that a spreadsheet could
// take for something else.
func disputed() []Dispute {
	rule := "the quantity is that of the subscription in the charged period"
	long := "they billed 27, we 26; seats were taken back within seven days, on 2026-10-07, so the credit of the whole week stands on both sides"
	return []Dispute{
		{PartnerID: "p", CustomerID: "c1", CustomerName: "=SUM(A1)", SubscriptionID: "0001e5", Product: "Visio Plan 2", Invoice: "G045210882", File: "october.csv", Rows: "7 9",
			ChargeType: "cycleCharge", ChargeStart: day("2026-10-01"), ChargeEnd: day("2026-10-31"), Currency: "EUR", Expected: 25844, Billed: 26838, Difference: 994,
			Cause: "quantity, days", Rule: rule, Explanation: long},
		{PartnerID: "p", CustomerID: "c2", SubscriptionID: "s2", Rows: "12", ChargeStart: pricing.NoDate, ChargeEnd: pricing.NoDate, Currency: "JPY",
			Expected: 1_200_000, Billed: 0, Difference: -1_200_000, Rule: rule, Explanation: "-1 seat"},
		{PartnerID: "p", CustomerID: "c3", SubscriptionID: "s3", Rows: "13", ChargeStart: day("2026-10-05"), ChargeEnd: day("2026-11-04"), Currency: "KWD",
			Expected: 486_617, Billed: 486_618, Difference: 1, Rule: rule, Explanation: "truncated"},
	}
}

func writeDisputes(t *testing.T, d *Disputes, lines []Dispute) {
	t.Helper()
	for i := range lines {
		if err := d.Encode(&lines[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func disputesWorkbook(t *testing.T, lines []Dispute) []byte {
	t.Helper()
	var out bytes.Buffer
	writeDisputes(t, NewDisputesWorkbook(&out), lines)
	return out.Bytes()
}

// The workbook for Microsoft's support is one to work with: real numbers and dates,
// each amount with the decimals of its currency, a table, and pages that print.
func TestDisputesWorkbook(t *testing.T) {
	t.Parallel()
	file := disputesWorkbook(t, disputed())
	f := openWorkbook(t, file)
	if got := f.GetSheetList(); !slices.Equal(got, []string{disputesSheet}) {
		t.Errorf("sheets %q", got)
	}
	for _, c := range []struct{ cell, shows, stored, format string }{
		{"A2", "0001e5", "0001e5", "@"},
		{"D2", "7 9", "7 9", "@"},
		{"E2", "258.44", "258.44", "#,##0.00;[Red]-#,##0.00"},
		{"G2", "9.94", "9.94", "#,##0.00;[Red]-#,##0.00"},
		{"E3", "1,200,000", "1200000", "#,##0;[Red]-#,##0"},
		{"F3", "0", "0", "#,##0;[Red]-#,##0"},
		{"G3", "-1,200,000", "-1200000", "#,##0;[Red]-#,##0"},
		{"G4", "0.001", "0.001", "#,##0.000;[Red]-#,##0.000"},
		{"I2", "quantity, days", "quantity, days", "@"},
		{"K3", "-1 seat", "-1 seat", "@"},
		{"M2", "2026-10-01", "46296", "yyyy-mm-dd"},
		{"M3", "", "", ""},
		{"P2", "=SUM(A1)", "=SUM(A1)", "@"},
	} {
		shows, err := f.GetCellValue(disputesSheet, c.cell)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := f.GetCellValue(disputesSheet, c.cell, excelize.Options{RawCellValue: true})
		if err != nil || shows != c.shows || stored != c.stored {
			t.Errorf("%s shows %q and has %q, want %q and %q (%v)", c.cell, shows, stored, c.shows, c.stored, err)
		}
		if formula, err := f.GetCellFormula(disputesSheet, c.cell); err != nil || formula != "" {
			t.Errorf("%s is a formula: %q, %v", c.cell, formula, err)
		}
		id, err := f.GetCellStyle(disputesSheet, c.cell)
		if err != nil {
			t.Fatal(err)
		}
		style, err := f.GetStyle(id)
		if err != nil {
			t.Fatal(err)
		}
		if c.format != "" && (style.CustomNumFmt == nil || *style.CustomNumFmt != c.format) {
			t.Errorf("%s has the format %v, want %s", c.cell, style.CustomNumFmt, c.format)
		}
	}
	for _, cell := range []string{"E2", "F3", "G4", "M2"} {
		if kind, err := f.GetCellType(disputesSheet, cell); err != nil || kind != excelize.CellTypeUnset {
			t.Errorf("%s is no number: %v, %v", cell, kind, err)
		}
	}
	if tables, err := f.GetTables(disputesSheet); err != nil || len(tables) != 1 || tables[0].Range != "A1:R4" || tables[0].Name != "Disputes" {
		t.Errorf("tables %+v, %v", tables, err)
	}
	if panes, err := f.GetPanes(disputesSheet); err != nil || !panes.Freeze || panes.XSplit != 1 || panes.YSplit != 1 {
		t.Errorf("panes %+v, %v", panes, err)
	}
	if page, err := f.GetPageLayout(disputesSheet); err != nil || *page.Orientation != "landscape" || *page.FitToWidth != 1 || *page.FitToHeight != 0 {
		t.Errorf("page %+v, %v", page, err)
	}
	var names []string
	for _, n := range f.GetDefinedName() {
		names = append(names, n.Name+" "+n.RefersTo)
	}
	slices.Sort(names)
	if want := []string{"_xlnm.Print_Area 'Disputes'!$A$1:$K$4", "_xlnm.Print_Titles 'Disputes'!$1:$1"}; !slices.Equal(names, want) {
		t.Errorf("names %q", names)
	}
	if height, err := f.GetRowHeight(disputesSheet, 2); err != nil || height != 45 {
		t.Errorf("a row of three lines is %v high, %v", height, err)
	}
	if !bytes.Equal(file, disputesWorkbook(t, disputed())) {
		t.Error("the same lines gave other bytes")
	}
}

func TestDisputesWithoutLines(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, disputesWorkbook(t, nil))
	if got := raw(t, f, disputesSheet); len(got) != 2 || got[1][0] != "Nothing to dispute" {
		t.Errorf("%q", got)
	}
}

// Both forms say the same; in the CSV no text is a formula.
func TestDisputesCSV(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	writeDisputes(t, NewDisputesCSV(&out), disputed())
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	sheet := raw(t, openWorkbook(t, disputesWorkbook(t, disputed())), disputesSheet)
	if !slices.Equal(rows[0], sheet[0]) {
		t.Errorf("headings %q, the sheet's %q", rows[0], sheet[0])
	}
	for column, want := range map[string][]string{
		"Difference (gross)": {"9.94", "-1200000", "0.001"}, "CustomerName": {"'=SUM(A1)", "", ""}, "Explanation": {disputed()[0].Explanation, "'-1 seat", "truncated"},
		"Cause": {"quantity, days", "", ""}, "ChargeEndDate": {"2026-10-31", "", "2026-11-04"},
	} {
		at := slices.Index(rows[0], column)
		for i, row := range rows[1:] {
			if row[at] != want[i] {
				t.Errorf("%s, row %d: %q, want %q", column, i+1, row[at], want[i])
			}
		}
	}
}

func TestDisputesThatFailStayFailed(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for _, d := range []*Disputes{NewDisputesCSV(&out), NewDisputesWorkbook(&out)} {
		if err := d.Encode(&Dispute{SubscriptionID: "s", Currency: "XXX"}); err == nil {
			t.Error("an amount of no currency was written")
		}
		first := d.Encode(&disputed()[0])
		if first == nil || !errors.Is(d.Close(), first) {
			t.Errorf("it went on after %v", first)
		}
	}
}

// Another program opens it and adds up the same.
func TestDisputesInLibreOffice(t *testing.T) {
	t.Parallel()
	got := sumOf(t, convert(t, disputesWorkbook(t, disputed())), disputesSheet, "Difference (gross)")
	if want := decimal.RequireFromString("9.94").Sub(decimal.NewFromInt(1_200_000)).Add(decimal.RequireFromString("0.001")); !got.Equal(want) {
		t.Errorf("LibreOffice adds up %s, want %s", got, want)
	}
}
