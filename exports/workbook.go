package exports

import (
	"errors"
	"fmt"
	"io"

	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pipeline/invoice"
)

// The sheets, in their order. People build links on them: none is renamed.
const (
	summarySheet    = "Summary"
	linesSheet      = "Invoice lines"
	exceptionsSheet = "Exceptions"
	notesSheet      = "Notes"
)

// sheetRows is how many lines stand on one sheet; a sheet ends at 1,048,576.
const sheetRows = 1_000_000

// WorkbookInfo is what a workbook says besides the lines.
type WorkbookInfo struct {
	Invoice *invoice.Invoice
	// Exceptions of the month; those of other partners are left out.
	Exceptions      []invoice.Exception
	SoftwareVersion string
	// CSVSHA256 is the hash, in hex, of the reconciliation.csv that the
	// workbook shows.
	CSVSHA256 string
}

// Workbook writes reconciliation.xlsx, the lines of one invoice for people:
// Summary, Invoice lines, Exceptions and Notes. Amounts are cells with numbers;
// a spreadsheet keeps 15 digits of them, so the exact book is the CSV.
//
// The same input gives the same bytes. While lines come, rows beyond 16 MiB lie
// in a temporary file; Close compresses them and holds the compressed file in
// memory, about 250 bytes a line, most of it random ids. Make one workbook at a time. Close also
// removes the temporary file: call it, after a failure too.
type Workbook struct {
	// Info may be completed until Close: the hash of the CSV is known late.
	Info WorkbookInfo

	file   *excelize.File
	styles styles
	// lines is the sheet being filled, filled are those before it.
	lines  *dataSheet
	filled []*dataSheet
	row    []any
	totals invoice.Totals
	err    error
	blank  invoice.Item

	rowsPerSheet int
}

// NewWorkbook returns an encoder that writes to w when it is closed.
func NewWorkbook(w io.Writer, info WorkbookInfo) (*Workbook, error) {
	b := &Workbook{Info: info, file: excelize.NewFile(), rowsPerSheet: sheetRows}
	b.file.SetZipWriter(func(io.Writer) excelize.ZipWriter { return &xlsxZip{w: w} })
	if err := b.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("write reconciliation.xlsx: %w", err), b.file.Close())
	}
	return b, nil
}

func (b *Workbook) start() error {
	inv := b.Info.Invoice
	digits, err := minorDigits(inv.Currency)
	if err != nil {
		return err
	}
	if digits != inv.MinorDigits {
		return fmt.Errorf("invoice has %d minor digits, %s has %d", inv.MinorDigits, inv.Currency, digits)
	}
	if b.styles, err = newStyles(b.file, digits); err != nil {
		return err
	}
	if err := b.file.SetSheetName("Sheet1", summarySheet); err != nil {
		return err
	}
	return b.nextLines()
}

// nextLines starts the first or a further sheet of lines.
func (b *Workbook) nextLines() (err error) {
	name, table := linesSheet, "InvoiceLines"
	if n := len(b.filled) + 1; n > 1 {
		name, table = fmt.Sprintf("%s (%d)", name, n), fmt.Sprintf("%s%d", table, n)
	}
	columns := make([]sheetColumn, len(lineColumns))
	for i, c := range lineColumns {
		columns[i] = sheetColumn{c.title(b.Info.Invoice.Currency), c.width, c.number}
	}
	b.lines, err = newDataSheet(b.file, b.styles, name, table, tabBlue, columns, keyColumns)
	return err
}

// Encode writes one line.
func (b *Workbook) Encode(l *invoice.Line) error {
	if b.err != nil {
		return b.err
	}
	if err := b.append(l); err != nil {
		b.err = encodeError("reconciliation.xlsx", b.totals.Lines+1, l, err)
		return b.err
	}
	b.totals.Add(l)
	return nil
}

func (b *Workbook) append(l *invoice.Line) error {
	switch {
	case l.Account == nil:
		return errNoAccount
	case l.Currency != b.Info.Invoice.Currency:
		return fmt.Errorf("column Currency: line is in %q, the invoice in %s", l.Currency, b.Info.Invoice.Currency)
	}
	if b.lines.rows == b.rowsPerSheet {
		if err := b.finishLines(); err != nil {
			return err
		}
		if err := b.nextLines(); err != nil {
			return err
		}
	}
	cell := cellMaker{styles: b.styles, digits: b.Info.Invoice.MinorDigits, number: b.totals.Lines + 1, item: l.Item}
	if cell.item == nil {
		cell.item = &b.blank
	}
	b.row = b.row[:0]
	for _, c := range lineColumns {
		b.row = append(b.row, c.cell(&cell, l))
	}
	return b.lines.append(b.row)
}

func (b *Workbook) finishLines() error {
	b.filled = append(b.filled, b.lines)
	if err := b.lines.printColumns(printColumns); err != nil {
		return err
	}
	return b.lines.finish()
}

// Close completes the workbook and writes it. It does not close the writer below.
func (b *Workbook) Close() error {
	if errors.Is(b.err, errClosed) {
		return b.err
	}
	if b.err == nil {
		if err := b.finish(); err != nil {
			b.err = fmt.Errorf("write reconciliation.xlsx: %w", err)
		}
	}
	if err := b.file.Close(); err != nil {
		b.err = errors.Join(b.err, fmt.Errorf("remove temporary files of reconciliation.xlsx: %w", err))
	}
	if b.err != nil {
		return b.err
	}
	b.err = errClosed
	return nil
}

// finish completes the sheets in their order and writes the file.
func (b *Workbook) finish() error {
	for _, step := range []func() error{b.finishLines, b.writeExceptions, b.writeNotes, b.writeSummary, b.setProperties} {
		if err := step(); err != nil {
			return err
		}
	}
	_, err := b.file.WriteToBuffer() // into xlsxZip: the buffer stays empty
	return err
}

// setProperties says what the document is. Its dates are the period's last day:
// the same month gives the same bytes whenever it is written.
func (b *Workbook) setProperties() error {
	inv := b.Info.Invoice
	date := inv.Month.Last().String() + "T00:00:00Z"
	if err := b.file.SetDocProps(&excelize.DocProperties{
		Title:          fmt.Sprintf("%s, %s", inv.PartnerName, inv.Month),
		Subject:        "Reconciliation workbook",
		Creator:        "Calends",
		LastModifiedBy: "Calends",
		Created:        date,
		Modified:       date,
		Identifier:     b.Info.CSVSHA256,
		Version:        b.Info.SoftwareVersion,
	}); err != nil {
		return fmt.Errorf("document properties: %w", err)
	}
	if err := b.file.SetAppProps(&excelize.AppProperties{Application: "Calends"}); err != nil {
		return fmt.Errorf("application properties: %w", err)
	}
	yes := true
	if err := b.file.SetCalcProps(&excelize.CalcPropsOptions{FullCalcOnLoad: &yes}); err != nil {
		return fmt.Errorf("calculation properties: %w", err)
	}
	b.file.SetActiveSheet(0)
	return nil
}

// Totals adds up the lines that were written.
func (b *Workbook) Totals() invoice.Totals { return b.totals }
