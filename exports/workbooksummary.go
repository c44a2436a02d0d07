package exports

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pipeline/invoice"
)

// summary is the sheet Summary. It is laid out twice: the first time finds
// where the blocks stand that the formulas of others point at.
type summary struct {
	book   *Workbook
	digits int
	row    int // the next one
	cells  [][]any
	err    error

	verdicts  []int // rows of checks
	sections  span  // the totals by charge type
	steps     span  // last month, the causes, this month
	figures   span  // behind the chart
	causes    span  // of differences from Microsoft's file
	seats     span  // opening, movements, closing
	customers *dataSheet
	products  *dataSheet
}

// span is rows from first to last.
type span struct{ first, last int }

// put adds a row of cells from column A on.
func (s *summary) put(cells ...any) {
	s.cells = append(s.cells, cells)
	s.row++
}

// section starts a block: a blank row, its title, and the headings of its table.
func (s *summary) section(title string, headings ...sheetColumn) {
	s.put()
	s.put(excelize.Cell{StyleID: s.book.styles.section, Value: title})
	cells := make([]any, len(headings))
	for i, h := range headings {
		cells[i] = s.book.styles.heading(h)
	}
	s.put(cells...)
}

func (s *summary) cell(kind cellKind, value any) excelize.Cell {
	return excelize.Cell{StyleID: s.book.styles.of(kind), Value: value}
}

func (s *summary) text(value string) excelize.Cell {
	if value == "" {
		return s.cell(kindText, nil)
	}
	return s.cell(kindText, fitText(value))
}

// amount is a cell with a number of minor units, computed by the formula if
// there is one.
func (s *summary) amount(kind cellKind, minor int64, digits int, formula string) excelize.Cell {
	return excelize.Cell{StyleID: s.book.styles.of(kind), Value: cellAmount(minor, digits), Formula: formula}
}

// cellAmount is an amount as a spreadsheet holds it: the nearest double. A
// decimal given to excelize would become text, of which SUM is 0.
func cellAmount(minor int64, digits int) float64 {
	return float64(minor) / float64(powersOfTen[digits])
}

func cellNumber(d decimal.Decimal) float64 {
	f, _ := d.Float64()
	return f
}

func (b *Workbook) writeSummary(customers, products *dataSheet) error {
	if err := layOut(b.file, summarySheet, tabGreen); err != nil {
		return err
	}
	s := &summary{book: b, digits: b.Info.Invoice.MinorDigits, customers: customers, products: products}
	for range 2 {
		s.row, s.cells, s.verdicts = 1, nil, nil
		s.identityBlock()
		if err := s.controlTotals(); err != nil {
			return fmt.Errorf("sheet %s: %w", summarySheet, err)
		}
		s.causesOfDifferences()
		s.waterfall()
		s.seatMovements()
		s.signOff()
		s.chargeTypes()
		s.chartFigures()
	}
	return s.write()
}

func (s *summary) write() error {
	file := s.book.file
	if err := setDimension(file, summarySheet, 6, len(s.cells)); err != nil {
		return err
	}
	stream, err := file.NewStreamWriter(summarySheet)
	if err != nil {
		return err
	}
	if err := setWidths(stream, []int{58, 19, 19, 19, 16, 12, 3}); err != nil {
		return err
	}
	for i, cells := range s.cells {
		if len(cells) == 0 {
			continue
		}
		if err := stream.SetRow(fmt.Sprintf("A%d", i+1), cells); err != nil {
			return fmt.Errorf("sheet %s row %d: %w", summarySheet, i+1, err)
		}
	}
	if err := s.markVerdicts(); err != nil {
		return err
	}
	if err := s.charts(); err != nil {
		return fmt.Errorf("charts: %w", err)
	}
	if err := s.printAreas(); err != nil {
		return fmt.Errorf("print areas: %w", err)
	}
	if err := file.ProtectSheet(summarySheet, &excelize.SheetProtectionOptions{
		SelectLockedCells: true, SelectUnlockedCells: true, FormatColumns: true,
	}); err != nil {
		return err
	}
	return stream.Flush()
}

// printAreas has the tables printed, then the charts on a page of their own, and the
// figures behind them not at all.
func (s *summary) printAreas() error {
	last := len(s.cells)
	if s.figures.first > 0 {
		last = s.figures.first - 4 // before the blank row, the title and the headings
	}
	areas := fmt.Sprintf("%s!$A$1:$F$%d", summarySheet, last)
	if rows := s.chartRows(); rows > 0 {
		areas += fmt.Sprintf(",%s!$H$1:$S$%d", summarySheet, rows)
	}
	return s.book.file.SetDefinedName(&excelize.DefinedName{Name: "_xlnm.Print_Area", RefersTo: areas, Scope: summarySheet})
}

func (s *summary) identity(label string, cells ...any) {
	s.put(append([]any{excelize.Cell{StyleID: s.book.styles.label, Value: label}}, cells...)...)
}

// identityBlock says what the workbook is about.
func (s *summary) identityBlock() {
	b, inv := s.book, s.book.Info.Invoice
	number, kind, status := inv.Number, "Invoice", "FINAL"
	if number == "" {
		number, status = "none yet", "DRAFT"
	}
	if inv.Kind == invoice.KindCreditNote {
		kind = "Credit note"
	}
	day := func(d int64) excelize.Cell { return s.cell(kindDate, d+sheetEpoch) }
	s.identity("Partner", s.text(inv.PartnerName))
	s.identity("Partner tenant id", s.text(inv.PartnerID))
	s.identity("MPN id", s.text(inv.MpnID))
	s.identity("Period, first and last day", day(int64(inv.Month.First())), day(int64(inv.Month.Last())))
	s.identity("Currency", s.text(fmt.Sprintf("%s, %d decimals", inv.Currency, inv.MinorDigits)))
	s.identity("Status", excelize.Cell{StyleID: b.styles.verdict, Value: status})
	s.identity(kind+" number", s.text(number))
	if n := b.Info.Revision; n > 0 {
		revision := fmt.Sprintf("%d of %s", n, inv.Month)
		if n > 1 {
			revision += fmt.Sprintf("; supersedes %d", n-1)
		}
		s.identity("Revision", s.text(revision))
	}
	rate, err := decimal.NewFromString(inv.TaxRate)
	if err != nil {
		rate = decimal.Zero
	}
	s.identity("Tax rate", excelize.Cell{StyleID: b.styles.percentLeft, Value: cellNumber(rate)})
	s.identity("Policies", s.text(fmt.Sprintf("rounding %s, month end %s, windows %s", inv.Policies.Rounding, inv.Policies.MonthEnd, inv.Policies.Windows)))
	s.identity("Price sheets", s.text(sheetsUsed(inv)))
	s.identity("Exchange rates", s.text(ratesUsed(inv)))
	if last := b.Info.Last; last != nil {
		s.identity("Compared with", s.text(fmt.Sprintf("%s, revision %d (%s)", inv.Month-1, last.Revision, last.State)))
	}
	s.identity("Software version", s.text(b.Info.SoftwareVersion))
	s.identity("SHA-256 of reconciliation.csv", s.text(b.Info.CSV.SHA256))
}

// someOf joins a few texts of many.
func someOf(texts []string, where string) string {
	const most = 6
	if len(texts) <= most {
		return strings.Join(texts, ", ")
	}
	return strings.Join(texts[:most], ", ") + fmt.Sprintf(" and %d more, see %s", len(texts)-most, where)
}

func sheetsUsed(inv *invoice.Invoice) string {
	var names []string
	for _, u := range inv.Sheets {
		names = append(names, u.Market+" "+u.Month.String())
	}
	return someOf(names, sourcesSheet)
}

func ratesUsed(inv *invoice.Invoice) string {
	var names []string
	for _, u := range inv.Rates {
		names = append(names, fmt.Sprintf("1 %s = %s %s (%s)", u.PricingCurrency, u.Rate, inv.Currency, u.Month))
	}
	return someOf(names, ratesSheet)
}

// markVerdicts colours what the words already say.
func (s *summary) markVerdicts() error {
	var rules []excelize.ConditionalFormatOptions
	for _, v := range []struct{ word, font, fill string }{{"FAIL", "9C0006", "FFC7CE"}, {"PASS", "006100", "FFFFFF"}} {
		style, err := s.book.file.NewConditionalStyle(&excelize.Style{
			Font: &excelize.Font{Color: v.font, Bold: true},
			Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{v.fill}},
		})
		if err != nil {
			return err
		}
		rules = append(rules, excelize.ConditionalFormatOptions{Type: "cell", Criteria: "==", Value: `"` + v.word + `"`, Format: &style})
	}
	cells := fmt.Sprintf("F%d:F%d", s.verdicts[0], s.verdicts[len(s.verdicts)-1])
	return s.book.file.SetConditionalFormat(summarySheet, cells, rules)
}

// signOff leaves room for the people who answer for the month.
func (s *summary) signOff() {
	text := func(title string) sheetColumn { return sheetColumn{title: title} }
	s.section("Sign-off", text(""), text("Name"), text("Date"), text("Comment"))
	for _, role := range []string{"Prepared", "Reviewed"} {
		s.identity(role, s.cell(kindInput, nil), s.cell(kindInputDate, nil), s.cell(kindInput, nil))
	}
}

// chargeTypes totals the invoice by what was charged.
func (s *summary) chargeTypes() {
	inv := s.book.Info.Invoice
	s.sections = s.totalsBy("Totals by charge type", "Charge type", "Lines", inv.Sections)
	if len(inv.Sections) == 0 {
		s.put(s.text("No lines"))
	}
}

// causesOfDifferences totals the differences from Microsoft's file by cause.
func (s *summary) causesOfDifferences() {
	recon := s.book.Info.Recon
	if recon == nil {
		return
	}
	s.causes = s.totalsBy("Differences by cause: Microsoft's amount less ours", "Cause", "Differences", recon.Causes)
	cells := []any{excelize.Cell{StyleID: s.book.styles.totalLabel, Value: "All causes"}}
	sum := recon.explained()
	for i, value := range []any{sum.Lines, cellAmount(sum.Subtotal, s.digits), cellAmount(sum.TaxTotal, s.digits), cellAmount(sum.Total, s.digits)} {
		style := s.book.styles.total
		if i == 0 {
			style = s.book.styles.totalWhole
		}
		cells = append(cells, excelize.Cell{StyleID: style, Value: value, Formula: s.causes.sum("BCDE"[i : i+1])})
	}
	s.put(cells...)
}

// explained is what all causes come to.
func (r *ReconInfo) explained() (sum invoice.Totals) {
	for _, c := range r.Causes {
		sum.Merge(c.Totals)
	}
	return sum
}

// sum is a formula for the sum of a column of the span.
func (s span) sum(column string) string {
	return fmt.Sprintf("SUM(%s%d:%s%d)", column, s.first, column, max(s.first, s.last))
}

// totalsBy writes a table of totals and returns where its rows stand.
func (s *summary) totalsBy(title, of, count string, all []invoice.Section) span {
	money := func(title string) sheetColumn {
		return sheetColumn{title: in(title, s.book.Info.Invoice.Currency), kind: kindAmount}
	}
	s.section(title, sheetColumn{title: of}, sheetColumn{title: count, kind: kindWhole},
		money(netColumnName), money(taxColumnName), money(grossColumnName))
	first := s.row
	for _, t := range all {
		s.put(s.text(t.Name), s.cell(kindWhole, t.Lines), s.amount(kindAmount, t.Subtotal, s.digits, ""),
			s.amount(kindAmount, t.TaxTotal, s.digits, ""), s.amount(kindAmount, t.Total, s.digits, ""))
	}
	return span{first, s.row - 1}
}
