package exports

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

func companyInfo() WorkbookInfo {
	stranger := troubles()[0]
	stranger.PartnerID, stranger.Message = "22222222-2222-4222-8222-222222222222", "of another partner"
	return WorkbookInfo{
		Invoice: document(), Exceptions: append(troubles(), stranger), SoftwareVersion: "1.4.0",
		CSVSHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	}
}

func writeWorkbook(t testing.TB, info WorkbookInfo, lines []*invoice.Line, rowsPerSheet int) []byte {
	t.Helper()
	var out bytes.Buffer
	b, err := NewWorkbook(&out, info)
	if err != nil {
		t.Fatal(err)
	}
	b.rowsPerSheet = rowsPerSheet
	for _, l := range lines {
		if err := b.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func openWorkbook(t testing.TB, file []byte) *excelize.File {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// raw returns the cells of a sheet as they are stored, without formats.
func raw(t testing.TB, f *excelize.File, sheet string) [][]string {
	t.Helper()
	rows, err := f.GetRows(sheet, excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestWorkbookSheets(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, writeWorkbook(t, companyInfo(), company(), sheetRows))
	if got, want := f.GetSheetList(), []string{"Summary", "Invoice lines", "Exceptions", "Notes"}; !slices.Equal(got, want) {
		t.Errorf("sheets %q, want %q", got, want)
	}
	lines := raw(t, f, linesSheet)
	if len(lines) != 6 {
		t.Fatalf("%d rows of lines", len(lines))
	}
	for i, c := range lineColumns {
		if lines[0][i] != c.title("EUR") {
			t.Errorf("heading %d is %q, want %q", i+1, lines[0][i], c.title("EUR"))
		}
	}
	for column, want := range map[int]string{lineNumberColumn: "Line", netColumn: "Net", taxColumn: "Tax", grossColumn: "Gross"} {
		if got := lineColumns[column-1].name; got != want {
			t.Errorf("the control totals take %s for %s", got, want)
		}
	}
	shown, err := f.GetRows(linesSheet)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(shown[2][:16], "|")
	want := `2|Bäckerei "Krume", Köln|addQuantity|Microsoft 365 Business Standard|2026-10-20|2026-10-20|2026-11-04|16|25|9.60|-4.954839|1.0|-123.87|-23.53|-147.40|EUR`
	if got != want {
		t.Errorf("row as shown\n got %s\nwant %s", got, want)
	}
	exceptions := raw(t, f, exceptionsSheet)
	if len(exceptions) != 5 || exceptions[1][1] != "PRICE_LIST_STALE" || exceptions[4][1] != "SEAT_WINDOW_CLOSED" {
		t.Errorf("exceptions %q", exceptions)
	}
}

// The checks say PASS, also to a viewer that does not calculate; the formulas
// say the same when they are calculated; and a changed amount makes them FAIL.
func TestWorkbookControlTotals(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, writeWorkbook(t, companyInfo(), company(), 2))
	first := checkRow(t, f)
	for row := first; row < first+6; row++ {
		requireCheck(t, f, row, "PASS")
	}
	if err := f.SetCellValue(linesSheet, "O2", 285.61); err != nil {
		t.Fatal(err)
	}
	for row, want := range map[int]string{first: "PASS", first + 1: "PASS", first + 3: "FAIL"} {
		cell := "F" + strconv.Itoa(row)
		if got, err := f.CalcCellValue(summarySheet, cell); err != nil || got != want {
			t.Errorf("%s after an amount was changed: %q (%v), want %s", cell, got, err, want)
		}
	}
}

// checkRow finds the first row of the control totals.
func checkRow(t *testing.T, f *excelize.File) int {
	t.Helper()
	for i, row := range raw(t, f, summarySheet) {
		if len(row) > 0 && row[0] == "Number of invoice lines" {
			return i + 1
		}
	}
	t.Fatal("no control totals")
	return 0
}

func requireCheck(t *testing.T, f *excelize.File, row int, want string) {
	t.Helper()
	for _, column := range []string{"C", "D", "F"} {
		cell := column + strconv.Itoa(row)
		cached, err := f.GetCellValue(summarySheet, cell, excelize.Options{RawCellValue: true})
		if err != nil {
			t.Fatal(err)
		}
		live, err := f.CalcCellValue(summarySheet, cell, excelize.Options{RawCellValue: true})
		if err != nil {
			t.Fatal(err)
		}
		if column == "F" && cached != want || cached == "" || !sameCell(cached, live) {
			t.Errorf("%s: cached %q, calculated %q, want %s", cell, cached, live, want)
		}
	}
}

func sameCell(a, b string) bool {
	x, err := decimal.NewFromString(a)
	if err != nil {
		return a == b
	}
	y, err := decimal.NewFromString(b)
	return err == nil && x.Sub(y).Abs().LessThan(decimal.New(1, -6))
}

func TestWorkbookReportsTheEnginesMistake(t *testing.T) {
	t.Parallel()
	info := companyInfo()
	info.Invoice.Totals.TaxTotal++
	f := openWorkbook(t, writeWorkbook(t, info, company(), sheetRows))
	first := checkRow(t, f)
	requireCheck(t, f, first+1, "PASS")
	requireCheck(t, f, first+2, "FAIL")
}

func TestWorkbookSplitsLines(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, writeWorkbook(t, companyInfo(), company(), 2))
	want := []string{"Summary", "Invoice lines", "Invoice lines (2)", "Invoice lines (3)", "Exceptions", "Notes"}
	if got := f.GetSheetList(); !slices.Equal(got, want) {
		t.Fatalf("sheets %q, want %q", got, want)
	}
	if rows := raw(t, f, "Invoice lines (3)"); len(rows) != 2 || rows[1][0] != "5" {
		t.Errorf("last sheet %q", rows)
	}
}

func TestWorkbookWithoutExceptions(t *testing.T) {
	t.Parallel()
	info := companyInfo()
	info.Exceptions = info.Exceptions[4:] // of another partner
	rows := raw(t, openWorkbook(t, writeWorkbook(t, info, company(), sheetRows)), exceptionsSheet)
	if len(rows) != 2 || rows[1][0] != "No exceptions" {
		t.Errorf("sheet %q", rows)
	}
}

// Columns of numbers and dates hold nothing but numbers, those of ids nothing
// but text, and no sheet has a filter beside its table.
func TestWorkbookCellTypes(t *testing.T) {
	t.Parallel()
	sheet := string(part(t, writeWorkbook(t, companyInfo(), company(), sheetRows), "xl/worksheets/sheet2.xml"))
	cells := regexp.MustCompile(`<c r="([A-Z]+)[2-9]" s="\d+"([^>]*)>(<v>|<is>)`).FindAllStringSubmatch(sheet, -1)
	if len(cells) < 100 {
		t.Fatalf("%d cells found", len(cells))
	}
	for _, cell := range cells {
		n, err := excelize.ColumnNameToNumber(cell[1])
		if err != nil {
			t.Fatal(err)
		}
		c := &lineColumns[n-1]
		number := c.number || strings.HasSuffix(c.name, "date") || strings.HasPrefix(c.name, "Service") || c.name == "Term start" || c.name == "Term end"
		if text := cell[3] == "<is>"; text == number {
			t.Errorf("column %s has a cell %s", c.name, cell[0])
		}
	}
	if strings.Contains(sheet, "<autoFilter") || strings.Contains(sheet, "<f>") {
		t.Error("a filter beside the table, or a formula among the lines")
	}
}

func part(t testing.TB, file []byte, name string) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWorkbookIsDeterministic(t *testing.T) {
	t.Parallel()
	lines := many(3_000, "EUR")
	first := writeWorkbook(t, companyInfo(), lines, 1_000)
	for range 3 {
		if !bytes.Equal(first, writeWorkbook(t, companyInfo(), lines, 1_000)) {
			t.Fatal("the same input gave other bytes")
		}
	}
}

func TestWorkbookText(t *testing.T) {
	t.Parallel()
	var lines []*invoice.Line
	texts := append(slices.Clone(nasty), strings.Repeat("ä🍞", 20_000))
	for _, s := range texts {
		l := *company()[0]
		account := *l.Account
		account.CustomerName, l.Account = s, &account
		lines = append(lines, &l)
	}
	rows := raw(t, openWorkbook(t, writeWorkbook(t, companyInfo(), lines, sheetRows)), linesSheet)
	for i, want := range texts {
		got := rows[i+1][1]
		switch {
		case strings.ContainsAny(want, "\x00\r"): // XML has no NUL and one line end
		case len(want) > cellText:
			if !strings.HasSuffix(got, cutMark) || !strings.HasPrefix(want, strings.TrimSuffix(got, cutMark)) {
				t.Errorf("long text came as %d bytes ending in %q", len(got), got[len(got)-60:])
			}
		case got != want:
			t.Errorf("text %q came as %q", want, got)
		}
	}
}

func TestWorkbookDigits(t *testing.T) {
	t.Parallel()
	for currency, want := range map[string]string{"JPY": "-12,387", "EUR": "-123.87", "KWD": "-12.387"} {
		info := companyInfo()
		info.Invoice.Currency = currency
		info.Invoice.MinorDigits, _ = pricing.MinorDigits(currency)
		lines := company()
		for _, l := range lines {
			l.Currency = currency
		}
		f := openWorkbook(t, writeWorkbook(t, info, lines, sheetRows))
		if got, err := f.GetCellValue(linesSheet, "M3"); err != nil || got != want {
			t.Errorf("%s: shown as %q (%v), want %q", currency, got, err, want)
		}
	}
}

func TestWorkbookRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*invoice.Line)
		want   string
	}{
		{"no account", func(l *invoice.Line) { l.Account = nil }, "no account"},
		{"another currency", func(l *invoice.Line) { l.Currency = "USD" }, `line is in "USD", the invoice in EUR`},
	} {
		b, err := NewWorkbook(io.Discard, companyInfo())
		if err != nil {
			t.Fatal(err)
		}
		requireRefused(t, c.name, b, c.change, c.want)
	}
	bad := companyInfo()
	bad.Invoice.MinorDigits = 3
	if _, err := NewWorkbook(io.Discard, bad); err == nil {
		t.Error("an invoice with the wrong digits was taken")
	}
	b, err := NewWorkbook(&brokenWriter{100}, companyInfo())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); !errors.Is(err, errBroken) {
		t.Errorf("broken writer: %v", err)
	}
}

func BenchmarkWorkbook(b *testing.B) {
	lines := many(20_000, "EUR")
	b.ReportAllocs()
	for b.Loop() {
		w, err := NewWorkbook(io.Discard, companyInfo())
		if err != nil {
			b.Fatal(err)
		}
		for _, l := range lines {
			if err := w.Encode(l); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(lines))/b.Elapsed().Seconds(), "lines/s")
}
