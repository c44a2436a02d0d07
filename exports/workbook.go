package exports

import (
	"errors"
	"fmt"
	"io"

	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/invoice/waterfall"
)

// The sheets, in their order. People build links on them: none is renamed.
const (
	summarySheet    = "Summary"
	customersSheet  = "By customer"
	productsSheet   = "By product"
	exceptionsSheet = "Exceptions"
	reconSheet      = "Recon lines" // only once Microsoft's file has been reconciled
	linesSheet      = "Invoice lines"
	prorationsSheet = "Prorations"
	pricesSheet     = "Price changes"
	ratesSheet      = "FX"
	sourcesSheet    = "Sources"
	notesSheet      = "Notes"
)

// WorkbookInfo is what a workbook says besides the lines.
type WorkbookInfo struct {
	Invoice *invoice.Invoice
	// Exceptions of the month; those of other partners are left out.
	Exceptions []invoice.Exception
	// Revision of the month, 1 for its first; 0 leaves it out.
	Revision        int
	SoftwareVersion string
	// CSV is the reconciliation.csv that the workbook shows, with what its own
	// encoder added up.
	CSV Control
	// Last is the month before. nil: it has no invoice to compare with.
	Last *LastMonth
	// Seats say how the partner's seats went through the month. nil: not counted.
	Seats        *invoice.Seats
	PriceChanges []PriceChange
	Sources      []Source
	// Recon is what comparing with Microsoft's file found. nil: not compared.
	Recon *ReconInfo
}

// LastMonth is the invoice of the month before, which the waterfall begins with.
type LastMonth struct {
	Revision int
	State    string // draft or closed
	// CSV is the file that was read, with the totals of that revision's manifest.
	CSV       Control
	Waterfall waterfall.Waterfall
}

// Workbook writes reconciliation.xlsx, the lines of one invoice for people, with
// what explains and checks them. Amounts are cells with numbers; a spreadsheet
// keeps 15 digits of them, so the exact book is the CSV.
//
// The same input gives the same bytes. Records are compressed as they come and
// lie in temporary files, so memory does not grow with the lines: only with
// customers, products and exceptions. Close also removes those files: call it,
// after a failure too.
type Workbook struct {
	// Info may be completed until Close: the hash of the CSV is known late.
	Info WorkbookInfo

	file    *excelize.File
	archive *xlsxZip
	styles  styles
	sheets  []*dataSheet // as they were begun
	lines   *dataSheet
	sources *dataSheet
	totals  invoice.Totals
	err     error
	blank   invoice.Item

	prorated prorations
	products products
	rates    rates
	late     lateLines
	recon    recon

	rowsPerSheet int
}

// NewWorkbook returns an encoder that writes to w when it is closed.
func NewWorkbook(w io.Writer, info WorkbookInfo) (*Workbook, error) {
	return newWorkbook(w, info, sheetRows)
}

func newWorkbook(w io.Writer, info WorkbookInfo, rowsPerSheet int) (*Workbook, error) {
	b := &Workbook{Info: info, file: excelize.NewFile(), archive: &xlsxZip{w: w}, rowsPerSheet: rowsPerSheet}
	b.file.SetZipWriter(func(io.Writer) excelize.ZipWriter { return b.archive })
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
	b.lines = b.sheet(dataSheet{name: linesSheet, table: "InvoiceLines", colour: tabBlue, keys: lineKeys, printed: printedLines,
		columns: columnsOfLines(inv.Currency)})
	b.startProrations()
	b.startRecon()
	return nil
}

// sheet begins a sheet of records.
func (b *Workbook) sheet(s dataSheet) *dataSheet {
	s.styles, s.perSheet = &b.styles, b.rowsPerSheet
	b.sheets = append(b.sheets, &s)
	return &s
}

// unproven returns what a sheet says that has its records from the proofs of the
// lines, when those are not there: where to look, instead of that there is nothing.
func (b *Workbook) unproven(nothing string) string {
	if r := b.Info.Recon; r != nil && r.Unproven != "" {
		return "Not known here, see Notes; the invoice's own workbook, reconciliation.xlsx, has it"
	}
	return nothing
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
	return nil
}

func (b *Workbook) append(l *invoice.Line) error {
	switch {
	case l.Account == nil:
		return errNoAccount
	case l.Currency != b.Info.Invoice.Currency:
		return fmt.Errorf("column Currency: line is in %q, the invoice in %s", l.Currency, b.Info.Invoice.Currency)
	}
	b.totals.Add(l)
	item := l.Item
	if item == nil {
		item = &b.blank
	}
	row, err := b.lines.next(0)
	if err != nil {
		return err
	}
	cells := lineCells{row, b.Info.Invoice.MinorDigits, int64(b.totals.Lines), item}
	for i := range lineColumns {
		lineColumns[i].cell(&cells, l)
	}
	if err := row.end(); err != nil {
		return err
	}
	b.products.add(l, item)
	b.rates.add(l)
	b.late.add(l, b.Info.Invoice.Month)
	return b.prorated.add(l, item, b.totals.Lines)
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
	for _, s := range b.sheets {
		if err := s.close(); err != nil {
			b.err = errors.Join(b.err, fmt.Errorf("remove temporary files of reconciliation.xlsx: %w", err))
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
	b.prorated.sheet.empty = b.unproven("No line charges part of a cycle")
	customers, err := b.customersSheet()
	if err != nil {
		return err
	}
	products, err := b.productsSheet()
	if err != nil {
		return err
	}
	if err := b.file.SetSheetName("Sheet1", summarySheet); err != nil {
		return err
	}
	add := func(s *dataSheet) func() error { return func() error { return s.addTo(b.file, b.archive, nil) } }
	steps := []func() error{add(customers), add(products), b.writeExceptions}
	if b.Info.Recon != nil {
		steps = append(steps, add(b.recon.sheet))
	}
	steps = append(steps, add(b.lines), add(b.prorated.sheet), b.writePriceChanges, b.writeRates, b.writeSources,
		b.writeNotes,
		// Summary stands first and is filled last: it adds up the others.
		func() error { return b.writeSummary(customers, products) },
		b.setProperties)
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	_, err = b.file.WriteToBuffer() // into the archive: the buffer stays empty
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
		Identifier:     b.Info.CSV.SHA256,
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
