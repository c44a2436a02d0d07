package exports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pipeline/invoice"
)

// summary streams the sheet Summary from top to bottom: a streamed cell can
// hold a formula and its value, others cannot.
type summary struct {
	stream *excelize.StreamWriter
	styles styles
	digits int
	row    int // the next one
	err    error
}

// put writes a row of cells from column A on. After an error it does nothing.
func (s *summary) put(cells ...any) {
	if s.err == nil {
		s.err = s.stream.SetRow(fmt.Sprintf("A%d", s.row), cells)
	}
	s.row++
}

// section starts a block: a blank row, its title, and the headings of its table.
func (s *summary) section(title string, headings ...excelize.Cell) {
	s.row++
	s.put(excelize.Cell{StyleID: s.styles.section, Value: title})
	cells := make([]any, len(headings))
	for i, h := range headings {
		cells[i] = h
	}
	s.put(cells...)
}

func (s *summary) identity(label, value string) {
	s.put(excelize.Cell{StyleID: s.styles.label, Value: label}, excelize.Cell{StyleID: s.styles.text, Value: fitText(value)})
}

// totals writes one row of a table of totals and, in front, its names.
func (s *summary) totals(name, id string, t invoice.Totals) {
	s.put(
		excelize.Cell{StyleID: s.styles.text, Value: fitText(name)},
		excelize.Cell{StyleID: s.styles.whole, Value: t.Lines},
		excelize.Cell{StyleID: s.styles.amount, Value: cellAmount(t.Subtotal, s.digits)},
		excelize.Cell{StyleID: s.styles.amount, Value: cellAmount(t.TaxTotal, s.digits)},
		excelize.Cell{StyleID: s.styles.amount, Value: cellAmount(t.Total, s.digits)},
		excelize.Cell{StyleID: s.styles.text, Value: id},
	)
}

// check is a row of the control totals: given is what the engine computed,
// formula what the workbook adds up itself, found its value now.
type check struct {
	name    string
	given   int64
	formula string
	found   int64
	digits  int
	style   int
}

// check compares two legs that do not know each other. The difference and the
// verdict are formulas with the value that they have now, so that a changed
// line shows, and so does everything in a viewer that does not calculate.
func (s *summary) check(c check) {
	difference, verdict := c.found-c.given, "PASS"
	if difference != 0 {
		verdict = "FAIL"
	}
	row := s.row
	s.put(
		excelize.Cell{StyleID: s.styles.text, Value: c.name},
		excelize.Cell{StyleID: c.style, Value: cellAmount(c.given, c.digits)},
		excelize.Cell{StyleID: c.style, Value: cellAmount(c.found, c.digits), Formula: c.formula},
		excelize.Cell{StyleID: c.style, Value: cellAmount(difference, c.digits), Formula: fmt.Sprintf("ROUND(C%d-B%d,%d)", row, row, c.digits)},
		excelize.Cell{StyleID: c.style, Value: 0},
		excelize.Cell{StyleID: s.styles.verdict, Value: verdict, Formula: fmt.Sprintf(`IF(ABS(D%d)<=E%d,"PASS","FAIL")`, row, row)},
	)
}

func (b *Workbook) writeSummary() error {
	if err := layOut(b.file, summarySheet, tabGreen); err != nil {
		return err
	}
	stream, err := b.file.NewStreamWriter(summarySheet)
	if err != nil {
		return err
	}
	for i, width := range []int{32, 17, 17, 17, 17, 40} {
		if err := stream.SetColWidth(i+1, i+1, float64(width)); err != nil {
			return err
		}
	}
	s := &summary{stream: stream, styles: b.styles, digits: b.Info.Invoice.MinorDigits, row: 1}
	b.identityBlock(s)
	if err := b.controlTotals(s); err != nil {
		return err
	}
	signOff(s)
	inv := b.Info.Invoice
	money := func(title string) excelize.Cell { return s.styles.numbersHeading(title + " (" + inv.Currency + ")") }
	s.section("Totals by charge type", s.styles.textHeading("Charge type"), s.styles.numbersHeading("Lines"), money("Net"), money("Tax"), money("Gross"))
	for _, t := range inv.Sections {
		s.totals(t.Name, "", t.Totals)
	}
	s.section("Totals by customer", s.styles.textHeading("Customer"), s.styles.numbersHeading("Lines"), money("Net"), money("Tax"), money("Gross"), s.styles.textHeading("Customer id"))
	for _, t := range inv.Customers {
		s.totals(t.CustomerName, t.CustomerID, t.Totals)
	}
	if s.err != nil {
		return fmt.Errorf("sheet %s row %d: %w", summarySheet, s.row, s.err)
	}
	if err := b.file.ProtectSheet(summarySheet, &excelize.SheetProtectionOptions{
		SelectLockedCells: true, SelectUnlockedCells: true, FormatColumns: true,
	}); err != nil {
		return err
	}
	return stream.Flush()
}

// identityBlock says what the workbook is about.
func (b *Workbook) identityBlock(s *summary) {
	inv := b.Info.Invoice
	number, kind := inv.Number, "Invoice"
	if number == "" {
		number = "DRAFT"
	}
	if inv.Kind == invoice.KindCreditNote {
		kind = "Credit note"
	}
	sheets := make([]string, len(inv.Sheets))
	for i, u := range inv.Sheets {
		sheets[i] = u.Market + " " + u.Month.String()
	}
	rates := make([]string, len(inv.Rates))
	for i, u := range inv.Rates {
		rates[i] = fmt.Sprintf("1 %s = %s %s (%s)", u.PricingCurrency, u.Rate, inv.Currency, u.Month)
	}
	s.identity("Partner", inv.PartnerName)
	s.identity("Partner tenant id", inv.PartnerID)
	s.identity("MPN id", inv.MpnID)
	s.identity("Period", inv.Month.First().String()+" to "+inv.Month.Last().String())
	s.identity("Currency", fmt.Sprintf("%s, %d minor digits", inv.Currency, inv.MinorDigits))
	s.identity(kind+" number", number)
	s.identity("Tax rate", inv.TaxRate)
	s.identity("Policies", fmt.Sprintf("rounding %s, month end %s, windows %s", inv.Policies.Rounding, inv.Policies.MonthEnd, inv.Policies.Windows))
	s.identity("Price sheets", strings.Join(sheets, ", "))
	s.identity("Exchange rates", strings.Join(rates, ", "))
	s.identity("Software version", b.Info.SoftwareVersion)
	s.identity("SHA-256 of reconciliation.csv", b.Info.CSVSHA256)
}

// controlTotals compares the invoice, as the engine computed it, with sums over
// the lines and over the tables of this workbook.
func (b *Workbook) controlTotals(s *summary) error {
	inv := b.Info.Invoice
	s.section("Control totals", s.styles.textHeading("Check"), s.styles.numbersHeading("A: invoice"), s.styles.numbersHeading("B: this workbook"),
		s.styles.numbersHeading("Difference"), s.styles.numbersHeading("Tolerance"), s.styles.textHeading("Result"))
	sum := func(function string, column int) (string, error) {
		parts := make([]string, len(b.filled))
		for i, sheet := range b.filled {
			var err error
			if parts[i], err = sheet.reference(column); err != nil {
				return "", err
			}
		}
		return function + "(" + strings.Join(parts, ",") + ")", nil
	}
	first := s.row
	for _, c := range []struct {
		name         string
		function     string
		column       int
		given, found int64
		digits       int
		style        int
	}{
		{"Number of invoice lines", "COUNT", lineNumberColumn, int64(inv.Totals.Lines), int64(b.totals.Lines), 0, s.styles.whole},
		{"Net of the invoice lines", "SUM", netColumn, inv.Totals.Subtotal, b.totals.Subtotal, s.digits, s.styles.amount},
		{"Tax of the invoice lines", "SUM", taxColumn, inv.Totals.TaxTotal, b.totals.TaxTotal, s.digits, s.styles.amount},
		{"Gross of the invoice lines", "SUM", grossColumn, inv.Totals.Total, b.totals.Total, s.digits, s.styles.amount},
	} {
		formula, err := sum(c.function, c.column)
		if err != nil {
			return err
		}
		s.check(check{c.name, c.given, formula, c.found, c.digits, c.style})
	}
	// The two tables of totals stand below the sign-off, each with a title and
	// a heading behind a blank row.
	sections := s.row + 2 + signOffRows + 3
	customers := sections + len(inv.Sections) + 3
	s.check(check{"Gross by charge type", inv.Totals.Total, tableSum(sections, len(inv.Sections)),
		grossOf(inv.Sections, func(t invoice.Section) int64 { return t.Total }), s.digits, s.styles.amount})
	s.check(check{"Gross by customer", inv.Totals.Total, tableSum(customers, len(inv.Customers)),
		grossOf(inv.Customers, func(t invoice.CustomerTotal) int64 { return t.Total }), s.digits, s.styles.amount})
	return b.markVerdicts(fmt.Sprintf("F%d:F%d", first, s.row-1))
}

// tableSum adds up the gross amounts of a table of totals on Summary.
func tableSum(first, rows int) string {
	return fmt.Sprintf("SUM(E%d:E%d)", first, first+max(rows, 1)-1)
}

func grossOf[T any](totals []T, gross func(T) int64) (sum int64) {
	for _, t := range totals {
		sum += gross(t)
	}
	return sum
}

// markVerdicts colours what the words already say.
func (b *Workbook) markVerdicts(cells string) error {
	var rules []excelize.ConditionalFormatOptions
	for _, v := range []struct{ word, font, fill string }{{"FAIL", "9C0006", "FFC7CE"}, {"PASS", "006100", "FFFFFF"}} {
		style, err := b.file.NewConditionalStyle(&excelize.Style{
			Font: &excelize.Font{Color: v.font, Bold: true},
			Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{v.fill}},
		})
		if err != nil {
			return err
		}
		rules = append(rules, excelize.ConditionalFormatOptions{Type: "cell", Criteria: "==", Value: `"` + v.word + `"`, Format: &style})
	}
	return b.file.SetConditionalFormat(summarySheet, cells, rules)
}

// signOffRows is how many rows signOff takes, the blank one before it included.
const signOffRows = 5

// signOff leaves room for the people who answer for the month.
func signOff(s *summary) {
	s.section("Sign-off", s.styles.textHeading(""), s.styles.textHeading("Name"), s.styles.textHeading("Date"), s.styles.textHeading("Comment"))
	for _, role := range []string{"Prepared", "Reviewed"} {
		s.put(
			excelize.Cell{StyleID: s.styles.label, Value: role},
			excelize.Cell{StyleID: s.styles.input},
			excelize.Cell{StyleID: s.styles.inputDate},
			excelize.Cell{StyleID: s.styles.input},
		)
	}
}

const messageWidth = 70

// writeExceptions lists what was not billed, or billed with a warning, of this
// partner and no other. Owner, status and comment are for people.
func (b *Workbook) writeExceptions() error {
	own := make([]invoice.Exception, 0, len(b.Info.Exceptions))
	for _, e := range b.Info.Exceptions {
		if e.PartnerID == b.Info.Invoice.PartnerID {
			own = append(own, e)
		}
	}
	slices.SortFunc(own, compareExceptions)
	sheet, err := newDataSheet(b.file, b.styles, exceptionsSheet, "Exceptions", tabRed, []sheetColumn{
		{title: "Severity", width: 16}, {title: "Code", width: 28}, {title: "Customer id", width: 39},
		{title: "Subscription id", width: 39}, {title: "Event id", width: 39}, {title: "Message", width: messageWidth},
		{title: "Owner", width: 18}, {title: "Status", width: 24}, {title: "Comment", width: 40},
	}, 2)
	if err != nil {
		return err
	}
	cell := cellMaker{styles: b.styles}
	input := excelize.Cell{StyleID: b.styles.input}
	for _, e := range own {
		message := cell.text(e.Message)
		message.StyleID = b.styles.wrapped
		err := sheet.append([]any{
			cell.text(string(e.Severity)), cell.text(string(e.Code)), cell.text(e.CustomerID),
			cell.text(e.SubscriptionID), cell.text(e.EventID), message, input, input, input,
		}, rowFor(e.Message, messageWidth))
		if err != nil {
			return err
		}
	}
	if len(own) == 0 {
		return b.noExceptions(sheet)
	}
	status := excelize.NewDataValidation(true)
	status.SetSqref(fmt.Sprintf("H2:H%d", len(own)+1))
	if err := status.SetDropList([]string{"Open", "Accepted", "Disputed with Microsoft", "Corrected"}); err != nil {
		return err
	}
	if err := b.file.AddDataValidation(exceptionsSheet, status); err != nil {
		return err
	}
	return sheet.finish()
}

// noExceptions says so, which a blank sheet would not.
func (b *Workbook) noExceptions(sheet *dataSheet) error {
	if err := sheet.stream.SetRow("A2", []any{excelize.Cell{StyleID: b.styles.text, Value: "No exceptions"}}); err != nil {
		return err
	}
	return sheet.finish()
}
