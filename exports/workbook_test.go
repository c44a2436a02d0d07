package exports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

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
	f := openWorkbook(t, writeWorkbook(t, fullInfo(t), proved(), sheetRows))
	if got, want := f.GetSheetList(), []string{"Summary", "By customer", "By product", "Exceptions", "Invoice lines", "Prorations",
		"Price changes", "FX", "Sources", "Notes"}; !slices.Equal(got, want) {
		t.Errorf("sheets %q, want %q", got, want)
	}
	lines := raw(t, f, linesSheet)
	for i, c := range lineColumns {
		if lines[0][i] != c.title("EUR") {
			t.Errorf("heading %d is %q, want %q", i+1, lines[0][i], c.title("EUR"))
		}
	}
	requireShown(t, f, linesSheet, 18,
		`1|Bäckerei "Krume", Köln|new|Microsoft 365 Business Standard|2026-10-05|2026-10-05|2026-11-04|31|31|25|9.60||9.60|1.0|240.00|45.60|285.60|EUR`,
		`2|Bäckerei "Krume", Köln|addQuantity|Microsoft 365 Business Standard|2026-10-20|2026-10-20|2026-11-04|16|31|25|9.60||-4.954839|1.0|-123.87|-23.53|-147.40|EUR`,
		`3|Bäckerei "Krume", Köln|addQuantity|Microsoft 365 Business Standard|2026-10-20|2026-10-20|2026-11-04|16|31|30|9.60||4.954839|1.0|148.64|28.24|176.88|EUR`,
		`4|=Yard & Sons|customerCredit||2026-10-31|2026-10-31|2026-10-31|1||1|50.00||-50.00||-50.00|-9.50|-59.50|EUR`,
		`5|=Yard & Sons|cancelImmediate|Visio Plan 2|2026-10-07|2026-10-07|2026-11-02|27||3|15.00||-12.411290|0.921658986|-34.29|0.00|-34.29|EUR`)
	requireShown(t, f, customersSheet, 11,
		`Bäckerei "Krume", Köln|aaaaaaaa-0000-4000-8000-000000000001|3|264.77|50.31|315.08|146.7%|0.00|264.77||New`,
		`Left & Gone Ltd|99999999-0000-4000-8000-000000000009|0|0.00|0.00|0.00|0.0%|100.00|-100.00|-100.0%|Left`,
		`=Yard & Sons|bbbbbbbb-0000-4000-8000-000000000002|2|-84.29|-9.50|-93.79|-46.7%|39.39|-123.68|-314.0%|`,
		`Total||5|180.48|40.81|221.29||139.39|41.09||`)
	requireShown(t, f, productsSheet, 15,
		`Microsoft 365 Business Standard|CFQ7TTC0LDPB|0001|One-year commitment for monthly billing|3|25|5|0|9.60|9.60|EUR|264.77|50.31|315.08|146.7%`,
		`Visio Plan 2|CFQ7TTC0HD33|0003|One-month commitment for monthly billing|1|0|0|-3|15.00|15.00|USD|-34.29|0.00|-34.29|-19.0%`,
		`(no product)||||1|0|0|0|50.00|50.00|EUR|-50.00|-9.50|-59.50|-27.7%`)
	requireShown(t, f, exceptionsSheet, 2, `warning|PRICE_LIST_STALE`, ``, ``, `error|SEAT_WINDOW_CLOSED`)
	requireShown(t, f, prorationsSheet, 20,
		`2|Bäckerei "Krume", Köln|Microsoft 365 Business Standard|addQuantity|2026-10-20|-25|2026-10-20|2026-11-04|16|31|16/31|0.5161290323|9.60||EUR|1.0|-123.8709677419|-123.87|-0.0009677419|line truncated`,
		`3|Bäckerei "Krume", Köln|Microsoft 365 Business Standard|addQuantity|2026-10-20|30|2026-10-20|2026-11-04|16|31|16/31|0.5161290323|9.60||EUR|1.0|148.6451612903|148.64|0.0051612903|line truncated`)
	requireShown(t, f, pricesSheet, 16,
		`Microsoft 365 Business Standard|CFQ7TTC0LDPB|0001|P1Y|Monthly|DE|Commercial|EUR|110.40|115.20|4.80|4.3%|2026-10-01||25|10.00`,
		`Visio Plan 2|CFQ7TTC0HD33|0003|P1M|Monthly|GB|Commercial|USD|36.00||||2026-01-01|2026-09-30|0|0.00`)
	requireShown(t, f, ratesSheet, 9, `USD/EUR|USD|0.921658986|EUR|2026-10-01|order dates in 2026-10|Microsoft's monthly rates (fxrates), see Sources|1|-34.29`)
	requireShown(t, f, sourcesSheet, 8,
		`last month|reconciliation.csv|2026-09||2||77aa|the month that the waterfall begins with`,
		`prices|DE-202610.csv|2026-10|DE|4,711|0|5f3c|priced lines of this invoice`,
		`changes|=cmd.jsonl|||12|1|aa00|changes of subscriptions`)
	if notes := raw(t, f, notesSheet); notes[1][0] != "What this is" || len(notes) < 60 {
		t.Errorf("%d notes, the first %q", len(notes), notes[1])
	}
}

// requireShown compares the records of a sheet with what a person sees in their
// first columns; "" stands for any.
func requireShown(t *testing.T, f *excelize.File, sheet string, columns int, want ...string) {
	t.Helper()
	shown, err := f.GetRows(sheet)
	if err != nil {
		t.Fatal(err)
	}
	if len(shown) != len(want)+1 {
		t.Fatalf("%s has %d records, want %d", sheet, len(shown)-1, len(want))
	}
	for i, w := range want {
		cells := append(shown[i+1], make([]string, columns)...)[:columns]
		if got := strings.Join(cells, "|"); w != "" && got != w {
			t.Errorf("%s, row %d as shown\n got %s\nwant %s", sheet, i+2, got, w)
		}
	}
}

// The waterfall leads from last month's net to this month's, and says why.
func TestWorkbookWaterfall(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, writeWorkbook(t, fullInfo(t), proved(), sheetRows))
	shown, err := f.GetRows(summarySheet)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range shown {
		if len(row) >= 3 && (strings.HasPrefix(row[0], "Net of 2026") || len(row) > 3 && row[1] != "0.00" && (row[3] == "1" || row[3] == "2")) {
			got = append(got, strings.Join(row[:3], " "))
		}
	}
	want := []string{"Net of 2026-09 139.39 139.39", "New subscriptions 240.00 379.39", "Seats added 24.77 404.16",
		"Cancelled and ended -173.68 230.48", "Credits, corrections, late lines -50.00 180.48", "Net of 2026-10 180.48 180.48"}
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("waterfall\n got %q\nwant %q", got, want)
	}
}

// The seats of the month lead from its opening to its closing, which was counted
// apart: whoever alters a movement, or miscounts, sees a check fail.
func TestWorkbookSeats(t *testing.T) {
	t.Parallel()
	const check = "Seats: closing against opening and movements"
	info := fullInfo(t)
	file := writeWorkbook(t, info, proved(), sheetRows)
	f := openWorkbook(t, file)
	rows := raw(t, f, summarySheet)
	first := slices.IndexFunc(rows, func(row []string) bool { return len(row) > 0 && row[0] == "Seats as 2026-10-01 begins" })
	if first < 0 {
		t.Fatal("no seats")
	}
	got := make([]string, 0, 10)
	for _, row := range rows[first : first+10] {
		got = append(got, strings.Join(row, " "))
	}
	if want := []string{"Seats as 2026-10-01 begins 30", "New subscriptions 25", "Seats added 5", "Seats removed -2", "Cancelled -3", "Expired -4",
		"Upgrades, moved in 6", "Upgrades, moved out -6", "Renewals and converted trials, change -1", "Seats as 2026-10-31 ends 50"}; !slices.Equal(got, want) {
		t.Errorf("seats\n got %q\nwant %q", got, want)
	}
	if rows[first-2][0] != "Seats in 2026-10" {
		t.Errorf("the block is called %q", rows[first-2])
	}
	if v := verdictsOf(t, f)[check]; v.cached != "PASS" || v.live != "PASS" {
		t.Errorf("%s: %+v", check, v)
	}
	ends := "B" + strconv.Itoa(first+10)
	if live, err := f.CalcCellValue(summarySheet, ends); err != nil || live != "50" {
		t.Errorf("%s is calculated as %q (%v)", ends, live, err)
	}
	if err := f.SetCellValue(summarySheet, "B"+strconv.Itoa(first+4), -1); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(rows, func(row []string) bool { return len(row) > 0 && row[0] == check })
	if live, err := f.CalcCellValue(summarySheet, "F"+strconv.Itoa(at+1)); err != nil || live != "FAIL" {
		t.Errorf("after a movement was altered %s says %q (%v)", check, live, err)
	}

	info.Seats.Closing = 49
	if v := verdictsOf(t, openWorkbook(t, writeWorkbook(t, info, proved(), sheetRows)))[check]; v.cached != "FAIL" || v.live != "FAIL" {
		t.Errorf("one seat less was counted: %+v", v)
	}
	info.Seats = nil // as in the workbook of a comparison
	f = openWorkbook(t, writeWorkbook(t, info, proved(), sheetRows))
	for _, sheet := range []string{summarySheet, notesSheet} {
		for _, row := range raw(t, f, sheet) {
			if len(row) > 0 && slices.Contains([]string{"Seats in 2026-10", check, "Seats"}, row[0]) {
				t.Errorf("seats were not counted, %s has %q", sheet, row)
			}
		}
	}
}

// The checks say PASS, also to a viewer that does not calculate; the formulas
// say the same when they are calculated.
func TestWorkbookControlTotals(t *testing.T) {
	t.Parallel()
	for name, file := range map[string][]byte{
		"one sheet":      writeWorkbook(t, fullInfo(t), proved(), sheetRows),
		"three sheets":   writeWorkbook(t, fullInfo(t), proved(), 2),
		"no last month":  writeWorkbook(t, companyInfo(), company(), sheetRows),
		"with Microsoft": comparedWorkbook(t, 2),
	} {
		verdicts := verdictsOf(t, openWorkbook(t, file))
		if len(verdicts) < 8 {
			t.Errorf("%s: %d checks", name, len(verdicts))
		}
		for check, v := range verdicts {
			want := "PASS"
			if name == "with Microsoft" && ofDifferences(check) {
				want = "FAIL" // there are some, and lines that only one side has
			}
			if v.cached != want || v.live != want {
				t.Errorf("%s, %s: cached %s, calculated %s, want %s", name, check, v.cached, v.live, want)
			}
		}
	}
}

// ofDifferences reports whether a check fails where Microsoft bills anything else.
func ofDifferences(check string) bool {
	return check == "Open differences" || strings.HasPrefix(check, "Rows of Recon lines") ||
		strings.HasSuffix(check, ": expected against billed by Microsoft") || strings.HasSuffix(check, ": all differences, without their signs")
}

// A comparison passes when nothing is left to look at, and not before.
func TestWorkbookPassesWhenNothingIsOpen(t *testing.T) {
	t.Parallel()
	info := fullInfo(t)
	recon, rows := comparison()
	rows = rows[:5] // those that we have
	for i := range rows {
		theirs := *rows[i].Ours
		rows[i].Causes, rows[i].Open, rows[i].Microsofts = nil, 0, &theirs
	}
	recon.Causes, recon.Billed, recon.Tolerance = nil, info.Invoice.Totals, invoice.Totals{}
	info.Recon = &recon
	info.Sources = append(info.Sources, Source{Kind: KindMicrosoft, Name: "recon.csv", Records: 5})
	differ := func(row int, code string, net, tax int64, open int) {
		r := &rows[row]
		r.Open, r.Causes = r.Open+open, append(r.Causes, ReconCause{code, net, tax, net + tax})
		sum := invoice.Totals{Subtotal: net, TaxTotal: tax, Total: net + tax}
		r.Microsofts.Subtotal, r.Microsofts.TaxTotal, r.Microsofts.Total = r.Microsofts.Subtotal+net, r.Microsofts.TaxTotal+tax, r.Microsofts.Total+net+tax
		recon.Billed.Merge(sum)
		recon.Causes = append(recon.Causes, invoice.Section{Name: code, Totals: sum})
		if open == 0 {
			recon.Tolerance.Merge(absolute(sum))
		}
	}
	failed := func() (names []string) {
		for check, v := range verdictsOf(t, openWorkbook(t, writeWorkbook(t, info, proved(), sheetRows, rows...))) {
			if v.cached != v.live {
				t.Errorf("%s: cached %s, calculated %s", check, v.cached, v.live)
			}
			if v.live == "FAIL" {
				names = append(names, check)
			}
		}
		slices.Sort(names)
		return names
	}
	if got := failed(); len(got) > 0 {
		t.Errorf("both sides agree: %q fail", got)
	}
	differ(0, "roundingPolicy", -1, 0, 0)
	if got := failed(); len(got) > 0 {
		t.Errorf("truncated elsewhere: %q fail", got)
	}
	differ(1, "tax", 0, 300, 1)
	differ(2, "tax", 0, -300, 1)
	if got, want := failed(), []string{"Gross: all differences, without their signs", "Open differences", "Tax: all differences, without their signs"}; !slices.Equal(got, want) {
		t.Errorf("tax differs and cancels out: %q fail, want %q", got, want)
	}
	info.Sources[len(info.Sources)-1].Refused = 2
	if got := failed(); !slices.Contains(got, "Lines of Microsoft's files that could not be read") {
		t.Errorf("two lines could not be read: %q fail", got)
	}
}

type verdict struct{ cached, live string }

// verdictsOf reads every check of Summary and compares each cached number with
// what the formula gives.
func verdictsOf(t *testing.T, f *excelize.File) map[string]verdict {
	t.Helper()
	plain := excelize.Options{RawCellValue: true}
	verdicts := make(map[string]verdict)
	for i, row := range raw(t, f, summarySheet) {
		if len(row) < 6 || row[5] != "PASS" && row[5] != "FAIL" {
			continue
		}
		for _, column := range []string{"B", "C", "D", "F"} {
			cell := column + strconv.Itoa(i+1)
			cached, err := f.GetCellValue(summarySheet, cell, plain)
			if err != nil {
				t.Fatal(err)
			}
			live, err := f.CalcCellValue(summarySheet, cell, plain)
			if err != nil {
				t.Fatalf("%s (%s): %v", cell, row[0], err)
			}
			if !sameCell(cached, live) {
				t.Errorf("%s (%s): cached %q, calculated %q", cell, row[0], cached, live)
			}
			if column == "F" {
				verdicts[row[0]] = verdict{cached, live}
			}
		}
		formula, err := f.GetCellFormula(summarySheet, "D"+strconv.Itoa(i+1))
		if err != nil || !strings.Contains(formula, "-B") {
			t.Errorf("the difference of %s is no formula: %q, %v", row[0], formula, err)
		}
	}
	return verdicts
}

func sameCell(a, b string) bool {
	x, err := decimal.NewFromString(a)
	if err != nil {
		return a == b
	}
	y, err := decimal.NewFromString(b)
	return err == nil && x.Sub(y).Abs().LessThan(decimal.New(1, -9))
}

// What the lines' proofs would show is never missing without a word: the sheets
// point to Notes, and Notes say why and where it is.
func TestWorkbookWithoutProofsSaysSo(t *testing.T) {
	t.Parallel()
	info := fullInfo(t)
	recon, rows := comparison()
	recon.Unproven = "The price sheet of DE is gone."
	info.Recon, info.Seats, info.PriceChanges = &recon, nil, nil
	f := openWorkbook(t, writeWorkbook(t, info, company(), sheetRows, rows...))
	for _, sheet := range []string{prorationsSheet, pricesSheet} {
		if got := raw(t, f, sheet); len(got) != 2 || !strings.Contains(got[1][0], "see Notes; the invoice's own workbook, reconciliation.xlsx, has it") {
			t.Errorf("%s: %q", sheet, got[1:])
		}
	}
	said := ""
	for _, row := range raw(t, f, notesSheet) {
		if row[0] == "What is not here" {
			said = row[1]
		}
	}
	if !strings.HasPrefix(said, "The price sheet of DE is gone. So Prorations, Price changes") || !strings.Contains(said, "reconciliation.xlsx, has them") {
		t.Errorf("notes say %q", said)
	}
}

// Whichever amount somebody alters, a check fails that knows it.
func TestWorkbookAlteredAmountFails(t *testing.T) {
	t.Parallel()
	file := comparedWorkbook(t, sheetRows)
	for _, c := range []struct{ sheet, column, check string }{
		{linesSheet, "Gross (EUR)", "Gross: reconciliation.csv against Invoice lines"},
		{linesSheet, "Net (EUR)", "Net: invoice against Invoice lines"},
		{linesSheet, "Net (EUR)", "Net: waterfall against Invoice lines"},
		{linesSheet, "Tax (EUR)", "Tax: invoice against Invoice lines"},
		{customersSheet, "Gross (EUR)", "Gross: By customer against Invoice lines"},
		{productsSheet, "Gross (EUR)", "Gross: By product against Invoice lines"},
		{reconSheet, "Net ours (EUR)", "Net: our invoice against Recon lines"},
		{reconSheet, "Tax ours (EUR)", "Tax: our invoice against Recon lines"},
		{reconSheet, "Tax Microsoft (EUR)", "Tax: Microsoft's file against Recon lines"},
		{reconSheet, "Net Microsoft (EUR)", "Net: Microsoft's file against Recon lines"},
		{reconSheet, "Gross Microsoft (EUR)", "Microsoft's net and tax against its gross"},
		{reconSheet, "Lines Microsoft", "Lines: Microsoft's file against Recon lines"},
		{reconSheet, "Net difference (EUR)", "Net: differences by cause against Recon lines"},
		{reconSheet, "Tax difference (EUR)", "Tax: differences by cause against Recon lines"},
		{reconSheet, "Gross difference (EUR)", "Gross: differences by cause against Recon lines"},
	} {
		f := openWorkbook(t, file)
		column := slices.Index(raw(t, f, c.sheet)[0], c.column)
		cell, err := excelize.CoordinatesToCellName(column+1, 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.SetCellValue(c.sheet, cell, 0.01); err != nil {
			t.Fatal(err)
		}
		found := false
		for i, row := range raw(t, f, summarySheet) {
			if len(row) > 5 && row[0] == c.check {
				found = true
				if got, err := f.CalcCellValue(summarySheet, "F"+strconv.Itoa(i+1)); err != nil || got != "FAIL" {
					t.Errorf("%s, %s altered: %s says %q (%v)", c.sheet, c.column, c.check, got, err)
				}
			}
		}
		if !found {
			t.Errorf("no check %s", c.check)
		}
	}
}

func TestWorkbookReportsTheEnginesMistake(t *testing.T) {
	t.Parallel()
	info := companyInfo()
	info.Invoice.Totals.TaxTotal++
	for check, v := range verdictsOf(t, openWorkbook(t, writeWorkbook(t, info, company(), sheetRows))) {
		want := "PASS"
		if check == "Tax: invoice against Invoice lines" {
			want = "FAIL"
		}
		if v.cached != want || v.live != want {
			t.Errorf("%s: cached %s, calculated %s, want %s", check, v.cached, v.live, want)
		}
	}
}

func TestWorkbookSplitsLines(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, comparedWorkbook(t, 2))
	want := []string{"Summary", "By customer", "By customer 2", "By product", "By product 2", "Exceptions"}
	if got := f.GetSheetList(); !slices.Equal(got[:6], want) || !slices.Contains(got, "Recon lines 3") || !slices.Contains(got, "Invoice lines 3") || slices.Contains(got, "Invoice lines 4") {
		t.Fatalf("sheets %q, want %q and so on", got, want)
	}
	if rows := raw(t, f, "Invoice lines 3"); len(rows) != 2 || rows[1][0] != "5" {
		t.Errorf("last sheet %q", rows)
	}
	totals, err := ReadWorkbookTotals(bytes.NewReader(comparedWorkbook(t, 2)), "EUR")
	if err != nil || totals != document().Totals {
		t.Errorf("totals %+v (%v), want %+v", totals, err, document().Totals)
	}
}

// The comparison with Microsoft's file has a sheet, columns and legs of its own.
func TestWorkbookCompared(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, comparedWorkbook(t, sheetRows))
	if got, want := f.GetSheetList()[3:6], []string{"Exceptions", "Recon lines", "Invoice lines"}; !slices.Equal(got, want) {
		t.Errorf("sheets %q, want %q", got, want)
	}
	requireShown(t, f, reconSheet, 29,
		`Bäckerei "Krume", Köln|5a000000-0000-4000-8000-000000000001|same keys|unit price|Microsoft 365 Business Standard|new|2026-10-05|2026-11-04|25|25|9.60|9.70|240.00|242.50|2.50|0.47|2.97|quantity 11.42; unit price -8.45|2|Microsoft charges 9.7 a licence, the row of 2026-09; our sheet of 2026-10 has 9.6|CFQ7TTC0LDPB:0001|1|1|1.0|1.0|45.60|46.07|285.60|288.57`,
		``, ``,
		`=Yard & Sons||only ours|missing there||customerCredit|2026-10-31|2026-10-31|1||-50.00||-50.00||50.00|9.50|59.50|missing there 59.50|1|Microsoft has no such credit||1||||-9.50||-59.50|`,
		``,
		`Unheard-of Inc|5c|only Microsoft's|missing here|Teams Phone|new|2026-10-09|2026-11-08||2||8.00||16.00|16.00|3.04|19.04|missing here 19.04|1|no change of ours asks for it|CFQ7TTC0AAAA:0002||1||1.0||3.04||19.04`)
	requireShown(t, f, exceptionsSheet, 14,
		`error|missing there|=Yard & Sons|||Microsoft has no such credit|missing there 59.50|-50.00||50.00|9.50|59.50|59.50|4`,
		`error|missing here|Unheard-of Inc|5c|CFQ7TTC0AAAA:0002|no change of ours asks for it|missing here 19.04||16.00|16.00|3.04|19.04|19.04|`,
		``, ``, ``, ``, ``)
	if linked, place, err := f.GetCellHyperLink(exceptionsSheet, "N2"); err != nil || !linked || place != "'Invoice lines'!A5" {
		t.Errorf("the link of the first exception leads to %q (%v)", place, err)
	}
	customers, err := f.GetRows(customersSheet)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"Microsoft net (EUR)|Net variance (EUR)|Tax variance (EUR)|Gross variance (EUR)|Open differences|Comparison|Microsoft tax (EUR)|Microsoft gross (EUR)",
		"267.27|2.50|0.47|2.97|2|differs|50.78|318.05",
		"0.00|0.00|0.00|0.00|0||0.00|0.00", // left last month
		"16.00|16.00|3.04|19.04|1|only Microsoft's|3.04|19.04",
		"-34.29|50.00|9.50|59.50|1|differs|0.00|-34.29",
		"248.98|68.50|13.01|81.51|4||53.82|302.80",
	} {
		if got := strings.Join(customers[i][11:], "|"); got != want {
			t.Errorf("By customer, row %d ends with %s, want %s", i+1, got, want)
		}
	}
}

// The total stands below the last customer, wherever that is, and what it says is
// calculated over all of them.
func TestWorkbookTotalOfCustomers(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, comparedWorkbook(t, 2))
	first, last := raw(t, f, customersSheet), raw(t, f, customersSheet+" 2")
	if len(first) != 3 || first[2][0] == "Total" || len(last) != 4 || last[3][0] != "Total" {
		t.Fatalf("the sheets have %d and %d rows, the last %q", len(first), len(last), last)
	}
	sums := 0
	for i, cached := range last[3] {
		if i == 0 || cached == "" {
			continue
		}
		cell, err := excelize.CoordinatesToCellName(i+1, 4)
		if err != nil {
			t.Fatal(err)
		}
		if live, err := f.CalcCellValue(customersSheet+" 2", cell, excelize.Options{RawCellValue: true}); err != nil || !sameCell(cached, live) {
			t.Errorf("%s: cached %q, calculated %q (%v)", last[0][i], cached, live, err)
		}
		sums++
	}
	if sums != 13 {
		t.Errorf("%d columns are added up", sums)
	}
}

// Summary has what each cause comes to, in the given order, and their sum.
func TestWorkbookCauses(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, comparedWorkbook(t, sheetRows))
	shown, err := f.GetRows(summarySheet)
	if err != nil {
		t.Fatal(err)
	}
	first := slices.IndexFunc(shown, func(row []string) bool { return len(row) > 0 && row[0] == "Cause" })
	if first < 0 {
		t.Fatal("no causes")
	}
	for i, want := range []string{"Cause|Differences|Net (EUR)|Tax (EUR)|Gross (EUR)", "unknown|0|0.00|0.00|0.00", "quantity|1|9.60|1.82|11.42",
		"unit price|1|-7.10|-1.35|-8.45", "missing here|1|16.00|3.04|19.04", "missing there|1|50.00|9.50|59.50", "All causes|4|68.50|13.01|81.51", ""} {
		if got := strings.Join(shown[first+i], "|"); got != want {
			t.Errorf("row %d is %s, want %s", i, got, want)
		}
	}
	row := strconv.Itoa(first + 7)
	for i, want := range []string{"4", "68.5", "13.01", "81.51"} {
		if live, err := f.CalcCellValue(summarySheet, "BCDE"[i:i+1]+row, excelize.Options{RawCellValue: true}); err != nil || !sameCell(live, want) {
			t.Errorf("the sum in row %s is calculated as %s (%v), want %s", row, live, err, want)
		}
	}
}

// Summary prints its tables upright and its charts behind them; a line that the
// other side billed in another month says where.
func TestWorkbookPrint(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, comparedWorkbook(t, sheetRows))
	rows := raw(t, f, summarySheet)
	figures := slices.IndexFunc(rows, func(row []string) bool { return len(row) > 0 && row[0] == "Figures behind the chart" })
	want := fmt.Sprintf("Summary!$A$1:$F$%d,Summary!$H$1:$S$42", figures-1)
	at := slices.IndexFunc(f.GetDefinedName(), func(n excelize.DefinedName) bool {
		return n.Name == "_xlnm.Print_Area" && n.Scope == summarySheet
	})
	if at < 0 || f.GetDefinedName()[at].RefersTo != want {
		t.Errorf("the print areas are %v, want %s", f.GetDefinedName(), want)
	}
	if page, err := f.GetPageLayout(summarySheet); err != nil || *page.Orientation != "portrait" || *page.FitToWidth != 1 || *page.FitToHeight != 0 {
		t.Errorf("Summary prints as %+v (%v)", page, err)
	}
	recon, compared := comparison()
	info := fullInfo(t)
	info.Recon = &recon
	compared[3].Elsewhere, compared[5].Elsewhere = "2026-11, G1.csv:7", "2026-09, row 4"
	shown := raw(t, openWorkbook(t, writeWorkbook(t, info, proved(), sheetRows, compared...)), reconSheet)
	line := slices.Index(shown[0], "Line")
	if theirs, ours := shown[4][line+1], shown[6][line]; theirs != "2026-11, G1.csv:7" || ours != "2026-09, row 4" {
		t.Errorf("lines elsewhere: Microsoft's %q, ours %q", theirs, ours)
	}
}

// A difference of tax alone is no less a difference: it stands in its own columns,
// among the exceptions, where gross amounts decide the order, and by customer.
func TestWorkbookTaxAloneDiffers(t *testing.T) {
	t.Parallel()
	info := fullInfo(t)
	recon, rows := comparison()
	for i := range rows {
		rows[i].Causes, rows[i].Open, rows[i].Code, rows[i].Message = nil, 0, "", ""
		rows[i].Microsofts = rows[i].Ours
	}
	differ := func(row *ReconRow, code string, net, tax int64) {
		theirs := *row.Ours
		theirs.Subtotal, theirs.TaxTotal, theirs.Total = theirs.Subtotal+net, theirs.TaxTotal+tax, theirs.Total+net+tax
		row.Microsofts, row.Code, row.Open, row.Causes = &theirs, code, 1, []ReconCause{{code, net, tax, net + tax}}
	}
	rows = rows[:5] // those that we have
	differ(&rows[1], "days", 100, 19)
	differ(&rows[2], "tax", 0, -2824)
	info.Recon = &recon
	f := openWorkbook(t, writeWorkbook(t, info, proved(), sheetRows, rows...))
	exceptions, err := f.GetRows(exceptionsSheet)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"tax -28.24|148.64|148.64|0.00|-28.24|-28.24|28.24|3", "days 1.19|-123.87|-122.87|1.00|0.19|1.19|1.19|2"} {
		if got := strings.Join(exceptions[i+1][6:14], "|"); got != want {
			t.Errorf("exception %d is %s, want %s", i+1, got, want)
		}
	}
	customers, err := f.GetRows(customersSheet)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"1.00|-28.05|-27.05|2|differs", "0.00|0.00|0.00|0|", "0.00|0.00|0.00|0|agrees"} {
		if got := strings.Join(customers[i+1][12:17], "|"); got != want {
			t.Errorf("customer %d is %s, want %s", i+1, got, want)
		}
	}
}

func TestWorkbookTakesNoComparisonUnasked(t *testing.T) {
	t.Parallel()
	b, err := NewWorkbook(io.Discard, companyInfo())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.EncodeRecon(&ReconRow{}); !errors.Is(err, errNoRecon) {
		t.Errorf("EncodeRecon: %v", err)
	}
	if err := b.Close(); !errors.Is(err, errNoRecon) {
		t.Errorf("Close: %v", err)
	}
}

func TestWorkbookWithoutRecords(t *testing.T) {
	t.Parallel()
	info := companyInfo()
	info.Exceptions = info.Exceptions[4:] // of another partner
	f := openWorkbook(t, writeWorkbook(t, info, company(), sheetRows))
	for sheet, want := range map[string]string{
		exceptionsSheet: "No exceptions",
		pricesSheet:     "No price of a product on this invoice differs from last month's sheet",
		sourcesSheet:    "No sources were named",
		prorationsSheet: "No line charges part of a cycle",
	} {
		if rows := raw(t, f, sheet); len(rows) != 2 || rows[1][0] != want {
			t.Errorf("%s: %q", sheet, rows)
		}
		if tables, err := f.GetTables(sheet); err != nil || len(tables) > 0 {
			t.Errorf("%s has a table of nothing: %v, %v", sheet, tables, err)
		}
	}
}

func TestWorkbookIsDeterministic(t *testing.T) {
	t.Parallel()
	lines := many(3_000, "EUR")
	first, compared := writeWorkbook(t, companyInfo(), lines, 1_000), comparedWorkbook(t, sheetRows)
	for range 5 {
		if !bytes.Equal(first, writeWorkbook(t, companyInfo(), lines, 1_000)) {
			t.Fatal("the same input gave other bytes")
		}
		if !bytes.Equal(compared, comparedWorkbook(t, sheetRows)) { // with its charts
			t.Fatal("the same comparison gave other bytes")
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
		if got, err := f.GetCellValue(linesSheet, "O3"); err != nil || got != want {
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

// flow yields n lines without holding them all: those of many, over and over,
// with ids of their own.
func flow(n int) func(yield func(*invoice.Line) bool) {
	lines := many(2_000, "EUR")
	return func(yield func(*invoice.Line) bool) {
		random := rand.New(rand.NewPCG(2026, 11))
		id := func() string { return fmt.Sprintf("%016x-%016x-0000", random.Uint64(), random.Uint64()) }
		for i := range n {
			l := lines[i%len(lines)]
			l.SubscriptionID, l.OrderID, l.ReferenceID = id(), id(), id()
			if !yield(l) {
				return
			}
		}
	}
}

// BenchmarkWorkbook tells lines a second, the size of the file, and how far the
// heap grew above the lines, which stay out of it.
func BenchmarkWorkbook(b *testing.B) {
	const lines = 250_000
	b.ReportAllocs()
	var size int64
	var grew uint64
	for b.Loop() {
		runtime.GC()
		var before, now runtime.MemStats
		runtime.ReadMemStats(&before)
		var out counter
		w, err := NewWorkbook(&out, companyInfo())
		if err != nil {
			b.Fatal(err)
		}
		i := 0
		for l := range flow(lines) {
			if err := w.Encode(l); err != nil {
				b.Fatal(err)
			}
			if i++; i%10_000 == 0 {
				runtime.ReadMemStats(&now)
				grew = max(grew, now.HeapInuse-min(before.HeapInuse, now.HeapInuse))
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		runtime.ReadMemStats(&now)
		grew = max(grew, now.HeapInuse-min(before.HeapInuse, now.HeapInuse))
		size = int64(out)
	}
	b.ReportMetric(float64(b.N*lines)/b.Elapsed().Seconds(), "lines/s")
	b.ReportMetric(float64(size)/(1<<20), "MiB/file")
	b.ReportMetric(float64(grew)/(1<<20), "MiB/heap")
}

type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
