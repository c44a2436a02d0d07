package exports

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pipeline/invoice"
)

// convert has LibreOffice read a workbook and write every sheet of it as CSV,
// with all formulas calculated anew and the amounts as they are stored.
func convert(t *testing.T, file []byte) map[string][][]string {
	t.Helper()
	office, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("NOT TESTED: no soffice on the path (apt-get install libreoffice-calc); CI has it")
	}
	if testing.Short() {
		t.Skip("starts LibreOffice")
	}
	folder := t.TempDir()
	name := filepath.Join(folder, "book.xlsx")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(folder, "profile", "user", "registrymodifications.xcu")
	if err := os.MkdirAll(filepath.Dir(settings), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(settings, []byte(calculateAlways), 0o600); err != nil {
		t.Fatal(err)
	}
	// The options of the filter: comma, quote, UTF-8, from line 1, no formats;
	// quote nothing needlessly, detect no numbers, values as stored, no formulas,
	// spaces kept, every sheet to a file of its own.
	command := exec.Command(office, "-env:UserInstallation=file://"+filepath.Join(folder, "profile"),
		"--headless", "--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,false,-1", "--outdir", folder, name)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sheets := make(map[string][][]string)
	for _, sheet := range openWorkbook(t, file).GetSheetList() {
		data, err := os.ReadFile(filepath.Join(folder, "book-"+sheet+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		r := csv.NewReader(bytes.NewReader(data))
		r.FieldsPerRecord = -1
		if sheets[sheet], err = r.ReadAll(); err != nil {
			t.Fatalf("sheet %s: %v", sheet, err)
		}
	}
	return sheets
}

// calculateAlways has LibreOffice trust no value that stands beside a formula.
const calculateAlways = `<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item>
</oor:items>`

// sumOf adds up a column on all sheets of a name.
func sumOf(t *testing.T, sheets map[string][][]string, name, column string) decimal.Decimal {
	t.Helper()
	var sum decimal.Decimal
	for n := 1; ; n++ {
		rows, ok := sheets[partName(name, n)]
		if !ok {
			return sum
		}
		at := slices.Index(rows[0], column)
		if at < 0 {
			t.Fatalf("%s has no column %s: %q", name, column, rows[0])
		}
		for _, row := range rows[1:] {
			if row[0] == "Total" {
				continue // below the records
			}
			amount, err := decimal.NewFromString(row[at])
			if err != nil {
				t.Fatalf("%s, column %s: %q is no number", name, column, row[at])
			}
			sum = sum.Add(amount)
		}
	}
}

// Another program opens the workbook, calculates its formulas itself and comes
// to PASS; and every sheet that adds up the lines comes to what the CSV says.
func TestWorkbookInLibreOffice(t *testing.T) {
	t.Parallel()
	sheets := convert(t, comparedWorkbook(t, 2))
	fails, passes := 0, 0
	seats := false
	for _, row := range sheets[summarySheet] {
		switch {
		case len(row) < 6:
		case row[5] == "PASS":
			passes++
			seats = seats || row[0] == "Seats: closing against opening and movements" && row[1] == "50" && row[2] == "50" && row[3] == "0"
		case row[5] == "FAIL":
			fails++
			if !ofDifferences(row[0]) {
				t.Errorf("a check fails: %q", row)
			}
		}
	}
	if passes < 25 || fails != 11 {
		t.Errorf("%d checks pass and %d fail", passes, fails)
	}
	if !seats {
		t.Errorf("the seats do not roll forward: %q", sheets[summarySheet])
	}
	var totals invoice.Totals
	for l, err := range ReadLines(bytes.NewReader(writeCSV(t, company()))) {
		if err != nil {
			t.Fatal(err)
		}
		totals.Add(l)
	}
	for _, sheet := range []string{linesSheet, customersSheet, productsSheet} {
		for column, want := range map[string]int64{"Net (EUR)": totals.Subtotal, "Tax (EUR)": totals.TaxTotal, "Gross (EUR)": totals.Total} {
			if got := sumOf(t, sheets, sheet, column); !got.Equal(decimal.New(want, -2)) {
				t.Errorf("%s, %s: LibreOffice adds up %s, the CSV %s", sheet, column, got, decimal.New(want, -2))
			}
		}
	}
	if got := sheets[linesSheet][1][1]; got != `Bäckerei "Krume", Köln` {
		t.Errorf("customer %q", got)
	}
}

// A workbook in which somebody altered an amount fails there too.
func TestWorkbookAlteredInLibreOffice(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, writeWorkbook(t, fullInfo(t), proved(), sheetRows))
	cell, err := excelize.CoordinatesToCellName(slices.Index(raw(t, f, linesSheet)[0], "Net (EUR)")+1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.SetCellValue(linesSheet, cell, 240.01); err != nil {
		t.Fatal(err)
	}
	var altered bytes.Buffer
	if err := f.Write(&altered); err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, row := range convert(t, altered.Bytes())[summarySheet] {
		if len(row) > 5 && row[5] == "FAIL" {
			failed = append(failed, fmt.Sprint(row[0], " ", row[3]))
		}
	}
	want := []string{"Net: invoice against Invoice lines 0.01", "Net: waterfall against Invoice lines 0.01"}
	if !slices.Equal(failed, want) {
		t.Errorf("failed checks %q, want %q", failed, want)
	}
}
