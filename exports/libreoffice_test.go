package exports

import (
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// Another program opens the workbook, calculates its formulas itself, and comes
// to PASS; on a wrong amount to FAIL.
func TestWorkbookInLibreOffice(t *testing.T) {
	t.Parallel()
	office, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("NOT TESTED: no soffice on the path (apt-get install libreoffice-calc); CI has it")
	}
	if testing.Short() {
		t.Skip("starts LibreOffice")
	}
	wrong := companyInfo()
	wrong.Invoice.Totals.Subtotal--
	for name, info := range map[string]WorkbookInfo{"PASS": companyInfo(), "FAIL": wrong} {
		folder := t.TempDir()
		file := filepath.Join(folder, "reconciliation.xlsx")
		if err := os.WriteFile(file, writeWorkbook(t, info, company(), 2), 0o600); err != nil {
			t.Fatal(err)
		}
		convert := exec.Command(office, "-env:UserInstallation=file://"+filepath.Join(folder, "profile"),
			"--headless", "--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76", "--outdir", folder, file)
		if out, err := convert.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		summary, err := os.Open(filepath.Join(folder, "reconciliation.csv"))
		if err != nil {
			t.Fatal(err)
		}
		r := csv.NewReader(summary)
		r.FieldsPerRecord = -1
		rows, err := r.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if err := summary.Close(); err != nil {
			t.Fatal(err)
		}
		want := []string{"Net of the invoice lines", "180.48", "180.48", "0.00", "0.00", "PASS"}
		if name == "FAIL" {
			want = []string{"Net of the invoice lines", "180.47", "180.48", "0.01", "0.00", "FAIL"}
		}
		if !slices.ContainsFunc(rows, func(row []string) bool { return slices.Equal(row, want) }) {
			t.Errorf("no row %q in %q", want, rows)
		}
	}
}
