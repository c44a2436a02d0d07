package exports

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pricing"
)

// Dispute is a line of Microsoft's to bring before its support.
type Dispute struct {
	PartnerID      string
	CustomerID     string
	CustomerName   string
	SubscriptionID string
	Product        string
	// Invoice, File and Rows say where Microsoft's line stands.
	Invoice, File, Rows    string
	ChargeType             string
	ChargeStart, ChargeEnd pricing.Date
	// Totals in minor units of Currency: Difference = Billed - Expected.
	Currency                     string
	Expected, Billed, Difference int64
	Rule, Explanation            string
}

var disputeColumns = []struct {
	name  string
	width float64
}{
	{"SubscriptionId", 38}, {"Invoice", 14}, {"File", 28}, {"Row", 10}, {"Expected", 14}, {"Billed", 14}, {"Difference", 14}, {"Currency", 9},
	{"Rule", 70}, {"Explanation", 70}, {"ChargeType", 16}, {"ChargeStartDate", 15}, {"ChargeEndDate", 15}, {"Product", 34},
	{"CustomerName", 28}, {"CustomerId", 38}, {"PartnerId", 38},
}

// Columns of the amounts, which are numbers in a workbook.
const (
	disputeExpected   = 4
	disputeDifference = 6
)

// cells are the texts of the row.
func (d *Dispute) cells(digits int) []string {
	day := func(day pricing.Date) string {
		if day == pricing.NoDate {
			return ""
		}
		return day.String()
	}
	amount := func(minor int64) string { return pricing.FormatMinor(minor, digits) }
	return []string{d.SubscriptionID, d.Invoice, d.File, d.Rows, amount(d.Expected), amount(d.Billed), amount(d.Difference), d.Currency,
		d.Rule, d.Explanation, d.ChargeType, day(d.ChargeStart), day(d.ChargeEnd), d.Product, d.CustomerName, d.CustomerID, d.PartnerID}
}

// Disputes writes a sheet of lines to dispute, for people: as CSV in which no
// text is a formula, or as a workbook.
type Disputes struct {
	csv  *csv.Writer
	w    io.Writer
	file *excelize.File
	rows *excelize.StreamWriter
	n    int
	// money is the number format of amounts by digits.
	money map[int]int
	text  int
	err   error
}

// NewDisputesCSV returns an encoder of CSV.
func NewDisputesCSV(w io.Writer) *Disputes {
	d := &Disputes{csv: csv.NewWriter(w)}
	d.csv.UseCRLF = true
	d.err = d.csv.Write(disputeNames())
	return d
}

func disputeNames() (names []string) {
	for _, c := range disputeColumns {
		names = append(names, c.name)
	}
	return names
}

// NewDisputesWorkbook returns an encoder of a workbook with one sheet. It writes
// when it is closed; Close also releases what it holds.
func NewDisputesWorkbook(w io.Writer) *Disputes {
	d := &Disputes{w: w, file: excelize.NewFile(), money: make(map[int]int)}
	d.err = d.start()
	return d
}

const disputesSheet = "Disputes"

func (d *Disputes) start() (err error) {
	if err := d.file.SetSheetName("Sheet1", disputesSheet); err != nil {
		return err
	}
	if d.rows, err = d.file.NewStreamWriter(disputesSheet); err != nil {
		return err
	}
	for i, c := range disputeColumns {
		if err := d.rows.SetColWidth(i+1, i+1, c.width); err != nil {
			return err
		}
	}
	if err := d.rows.SetPanes(&excelize.Panes{Freeze: true, XSplit: 1, YSplit: 1, TopLeftCell: "B2", ActivePane: "bottomRight"}); err != nil {
		return err
	}
	head, err := d.file.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"E7E9ED"}}})
	if err != nil {
		return err
	}
	text := "@"
	if d.text, err = d.file.NewStyle(&excelize.Style{CustomNumFmt: &text, Alignment: &excelize.Alignment{Vertical: "top", WrapText: true}}); err != nil {
		return err
	}
	var names []any
	for _, c := range disputeColumns {
		names = append(names, excelize.Cell{StyleID: head, Value: c.name})
	}
	d.n = 1
	return d.rows.SetRow("A1", names)
}

// Encode writes one line.
func (d *Disputes) Encode(dispute *Dispute) error {
	if d.err != nil {
		return d.err
	}
	if d.err = d.encode(dispute); d.err != nil {
		d.err = fmt.Errorf("write disputes, subscription %q: %w", dispute.SubscriptionID, d.err)
	}
	return d.err
}

func (d *Disputes) encode(dispute *Dispute) error {
	digits, err := minorDigits(dispute.Currency)
	if err != nil {
		return err
	}
	cells := dispute.cells(digits)
	if d.csv != nil {
		for i := range cells {
			if i < disputeExpected || i > disputeDifference {
				cells[i] = guarded(cells[i])
			}
		}
		return d.csv.Write(cells)
	}
	if d.n == sheetRows {
		return fmt.Errorf("a sheet holds %d lines: ask for .csv instead", sheetRows-1)
	}
	style, err := d.moneyStyle(digits)
	if err != nil {
		return err
	}
	row := make([]any, len(cells))
	for i, text := range cells {
		row[i] = excelize.Cell{StyleID: d.text, Value: fitText(text)}
	}
	for i, minor := range [...]int64{dispute.Expected, dispute.Billed, dispute.Difference} {
		row[disputeExpected+i] = excelize.Cell{StyleID: style, Value: float64(minor) / float64(powersOfTen[digits])}
	}
	d.n++
	cell, err := excelize.CoordinatesToCellName(1, d.n)
	if err != nil {
		return err
	}
	return d.rows.SetRow(cell, row)
}

// moneyStyle is the look of an amount with the digits of its currency.
func (d *Disputes) moneyStyle(digits int) (int, error) {
	if id, ok := d.money[digits]; ok {
		return id, nil
	}
	format := "#,##0"
	if digits > 0 {
		format += "." + strings.Repeat("0", digits)
	}
	format += ";[Red]-" + format
	id, err := d.file.NewStyle(&excelize.Style{CustomNumFmt: &format, Alignment: &excelize.Alignment{Vertical: "top"}})
	d.money[digits] = id
	return id, err
}

// guarded keeps a spreadsheet from taking text for a formula.
func guarded(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// Close writes what is left.
func (d *Disputes) Close() error {
	if d.csv != nil {
		d.csv.Flush()
		if d.err == nil {
			d.err = d.csv.Error()
		}
		return d.err
	}
	if d.err == nil {
		d.err = d.finish()
	}
	if err := d.file.Close(); d.err == nil {
		d.err = err
	}
	return d.err
}

func (d *Disputes) finish() error {
	last, err := excelize.CoordinatesToCellName(len(disputeColumns), d.n)
	if err != nil {
		return err
	}
	if err := d.file.AutoFilter(disputesSheet, "A1:"+last, nil); err != nil {
		return err
	}
	if err := d.rows.Flush(); err != nil {
		return err
	}
	return d.file.Write(d.w)
}
