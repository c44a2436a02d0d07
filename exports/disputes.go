package exports

import (
	"encoding/csv"
	"errors"
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
	// Totals with tax, in minor units of Currency: Difference = Billed - Expected.
	Currency                     string
	Expected, Billed, Difference int64
	// Cause is that of the difference, or several, with commas between.
	Cause, Rule, Explanation string
}

var disputeColumns = [...]sheetColumn{
	{title: "SubscriptionId", width: 38}, {title: "Invoice", width: 14}, {title: "File", width: 28}, {title: "Row", width: 10},
	{title: "Expected (gross)", width: 17, kind: kindAmount}, {title: "Billed (gross)", width: 17, kind: kindAmount},
	{title: "Difference (gross)", width: 18, kind: kindAmount}, {title: "Currency", width: 10}, {title: "Cause", width: 18}, {title: "Rule", width: disputeWidth, kind: kindWrapped}, {title: "Explanation", width: disputeWidth, kind: kindWrapped},
	{title: "ChargeType", width: 17}, {title: "ChargeStartDate", width: 17, kind: kindDate}, {title: "ChargeEndDate", width: 17, kind: kindDate},
	{title: "Product", width: 34}, {title: "CustomerName", width: 28}, {title: "CustomerId", width: 38}, {title: "PartnerId", width: 38},
}

const (
	// disputeWidth is how wide a column of sentences is.
	disputeWidth = 60
	// disputesPrinted is how many columns are printed, up to the sentences.
	disputesPrinted = 11
)

// amounts are Microsoft's two sides and what is between them.
func (d *Dispute) amounts() [3]int64 { return [...]int64{d.Expected, d.Billed, d.Difference} }

// Disputes writes a sheet of lines to dispute, for people: as CSV in which no
// text is a formula, or as a workbook.
type Disputes struct {
	csv  *csv.Writer
	book *disputesBook // where there is no csv
	err  error
}

// NewDisputesCSV returns an encoder of CSV.
func NewDisputesCSV(w io.Writer) *Disputes {
	d := &Disputes{csv: csv.NewWriter(w)}
	d.csv.UseCRLF = true
	var names []string
	for _, c := range disputeColumns {
		names = append(names, c.title)
	}
	d.err = d.csv.Write(names)
	return d
}

// NewDisputesWorkbook returns an encoder of a workbook with one sheet, and another
// one where that is full. It writes when it is closed; Close also releases what it
// holds.
func NewDisputesWorkbook(w io.Writer) *Disputes {
	d := &Disputes{}
	d.book, d.err = newDisputesBook(w)
	return d
}

// Encode writes one line.
func (d *Disputes) Encode(dispute *Dispute) error {
	if d.err != nil {
		return d.err
	}
	digits, err := minorDigits(dispute.Currency)
	switch {
	case err != nil:
	case d.csv != nil:
		err = d.csv.Write(dispute.texts(digits))
	default:
		err = d.book.add(dispute, digits)
	}
	if err != nil {
		d.err = fmt.Errorf("write disputes, subscription %q: %w", dispute.SubscriptionID, err)
	}
	return d.err
}

// Close writes what is left.
func (d *Disputes) Close() error {
	switch {
	case d.csv != nil:
		if d.csv.Flush(); d.err == nil {
			d.err = d.csv.Error()
		}
	case d.err == nil:
		d.err = d.book.finish()
	}
	if d.book != nil {
		d.err = errors.Join(d.err, d.book.close())
	}
	return d.err
}

// texts are the cells of a row of the CSV.
func (d *Dispute) texts(digits int) []string {
	day := func(day pricing.Date) string {
		if day == pricing.NoDate {
			return ""
		}
		return day.String()
	}
	cells := []string{guarded(d.SubscriptionID), guarded(d.Invoice), guarded(d.File), guarded(d.Rows)}
	for _, minor := range d.amounts() {
		cells = append(cells, pricing.FormatMinor(minor, digits))
	}
	return append(cells, guarded(d.Currency), guarded(d.Cause), guarded(d.Rule), guarded(d.Explanation), guarded(d.ChargeType), day(d.ChargeStart), day(d.ChargeEnd),
		guarded(d.Product), guarded(d.CustomerName), guarded(d.CustomerID), guarded(d.PartnerID))
}

// guarded keeps a spreadsheet from taking text for a formula.
func guarded(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// disputesBook is a workbook of nothing but records.
type disputesBook struct {
	file    *excelize.File
	archive *xlsxZip
	styles  styles
	sheet   *dataSheet
	money   map[int]int // the look of amounts, by digits
}

const disputesSheet = "Disputes"

func newDisputesBook(w io.Writer) (*disputesBook, error) {
	b := &disputesBook{file: excelize.NewFile(), archive: &xlsxZip{w: w}, money: make(map[int]int)}
	b.file.SetZipWriter(func(io.Writer) excelize.ZipWriter { return b.archive })
	var err error
	if b.styles, err = newStyles(b.file, 0); err != nil {
		return b, fmt.Errorf("write disputes: %w", err)
	}
	b.sheet = &dataSheet{name: disputesSheet, table: "Disputes", colour: tabRed, keys: 1, printed: disputesPrinted, columns: disputeColumns[:],
		empty: "Nothing to dispute", styles: &b.styles, perSheet: sheetRows}
	return b, nil
}

// add enters a line.
func (b *disputesBook) add(d *Dispute, digits int) error {
	style, err := b.moneyStyle(digits)
	if err != nil {
		return err
	}
	row, err := b.sheet.next(max(heightFor(d.Rule, disputeWidth), heightFor(d.Explanation, disputeWidth)))
	if err != nil {
		return err
	}
	for _, text := range []string{d.SubscriptionID, d.Invoice, d.File, d.Rows} {
		row.text(text)
	}
	for _, minor := range d.amounts() {
		row.money(minor, digits, style)
	}
	for _, text := range []string{d.Currency, d.Cause, d.Rule, d.Explanation, d.ChargeType} {
		row.text(text)
	}
	row.date(d.ChargeStart)
	row.date(d.ChargeEnd)
	for _, text := range []string{d.Product, d.CustomerName, d.CustomerID, d.PartnerID} {
		row.text(text)
	}
	return row.end()
}

// moneyStyle is the look of an amount in a currency with the given digits.
func (b *disputesBook) moneyStyle(digits int) (int, error) {
	if style, ok := b.money[digits]; ok {
		return style, nil
	}
	style, err := b.file.NewStyle(&excelize.Style{CustomNumFmt: new(amountFormat(digits)), Alignment: &excelize.Alignment{Vertical: "top"}})
	b.money[digits] = style
	return style, err
}

func (b *disputesBook) finish() error {
	err := b.file.SetSheetName("Sheet1", disputesSheet)
	if err == nil {
		err = b.sheet.addTo(b.file, b.archive, nil)
	}
	if err == nil {
		err = b.file.SetDocProps(&excelize.DocProperties{Title: "Lines to dispute", Creator: "Calends", LastModifiedBy: "Calends"})
	}
	if err == nil {
		err = b.file.SetAppProps(&excelize.AppProperties{Application: "Calends"})
	}
	if err == nil {
		_, err = b.file.WriteToBuffer() // into the archive: the buffer stays empty
	}
	if err != nil {
		return fmt.Errorf("write disputes: %w", err)
	}
	return nil
}

// close releases what the workbook holds.
func (b *disputesBook) close() error {
	err := b.file.Close()
	if b.sheet != nil {
		err = errors.Join(err, b.sheet.close())
	}
	if err != nil {
		return fmt.Errorf("remove temporary files of disputes: %w", err)
	}
	return nil
}
