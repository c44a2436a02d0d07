package exports

import (
	"bytes"
	"errors"
	"testing"

	"github.com/calends/calends/pipeline/invoice"
)

// What is read back adds up to what was written, over several sheets too.
func TestReadTotals(t *testing.T) {
	lines := company()
	var want invoice.Totals
	for _, l := range lines {
		want.Add(l)
	}
	parquet := writeParquet(t, lines, "EUR")
	got, err := ReadParquetTotals(bytes.NewReader(parquet), int64(len(parquet)), "EUR")
	if err != nil || got != want {
		t.Errorf("Parquet: %+v, %v; want %+v", got, err, want)
	}
	for _, rowsPerSheet := range []int{sheetRows, 2} {
		book := writeWorkbook(t, companyInfo(), lines, rowsPerSheet)
		got, err := ReadWorkbookTotals(bytes.NewReader(book), "EUR")
		if err != nil || got != want {
			t.Errorf("workbook of %d rows a sheet: %+v, %v; want %+v", rowsPerSheet, got, err, want)
		}
	}
	if _, err := ReadParquetTotals(bytes.NewReader(parquet), int64(len(parquet)), "JPY"); !errors.Is(err, ErrSyntax) {
		t.Errorf("Parquet of EUR read as JPY: %v, want a syntax error", err)
	}
}

func TestReadTotalsRefusesOtherFiles(t *testing.T) {
	for _, file := range []string{"", "PAR1", "PK", "a,b\n1,2\n"} {
		if _, err := ReadParquetTotals(bytes.NewReader([]byte(file)), int64(len(file)), "EUR"); err == nil {
			t.Errorf("%q was read as Parquet", file)
		}
		if _, err := ReadWorkbookTotals(bytes.NewReader([]byte(file)), "EUR"); err == nil {
			t.Errorf("%q was read as a workbook", file)
		}
	}
}
