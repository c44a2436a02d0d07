package exports

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"
)

// Tab colours: what a sheet is for.
const (
	tabGreen = "00875A" // control
	tabBlue  = "1F4E9E" // data
	tabRed   = "C0392B" // exceptions
	tabGrey  = "7F7F7F" // notes
)

// cellText is how many UTF-16 units a cell holds. More would be cut silently.
const cellText = 32_767

const cutMark = " … (cut; the whole text is in the CSV)"

// sheetRows is how many records stand on one sheet; a sheet ends at 1,048,576.
const sheetRows = 1_000_000

// sheetColumn is one column of a sheet of records: its heading, its width in
// characters, what its cells hold, and what it means, for the dictionary on Notes.
type sheetColumn struct {
	title string
	width int
	kind  cellKind
	means string
}

// in returns the column with the currency of its amounts in the heading.
func (c sheetColumn) in(currency string) sheetColumn {
	c.title += " (" + currency + ")"
	return c
}

// dataSheet is a sheet of records: one heading row, one row a record, a table
// around them. What goes beyond one sheet continues on the next, named
// "Invoice lines 2" and so on.
type dataSheet struct {
	name    string
	table   string
	colour  string
	columns []sheetColumn
	keys    int // columns that stay in sight
	printed int // columns that are printed, from the left; 0 for all
	// empty is what the sheet says instead of records.
	empty string

	styles   *styles
	perSheet int
	parts    []*rows
	written  []sheetPart
}

// sheetPart is a sheet of the file with some of the records.
type sheetPart struct {
	name string
	rows int
	feet int // below the records
}

// next begins a record. A height of 0 is the sheet's own.
func (s *dataSheet) next(height int) (*rows, error) {
	if n := len(s.parts); n == 0 || s.parts[n-1].count == s.perSheet {
		if n > 0 {
			if err := s.parts[n-1].finish(); err != nil {
				return nil, fmt.Errorf("sheet %s: %w", s.partName(n), err)
			}
		}
		kinds := make([]cellKind, len(s.columns))
		for i, c := range s.columns {
			kinds[i] = c.kind
		}
		part, err := newRows(s.styles, kinds, 2)
		if err != nil {
			return nil, fmt.Errorf("sheet %s: %w", s.partName(n+1), err)
		}
		s.parts = append(s.parts, part)
	}
	part := s.parts[len(s.parts)-1]
	part.next(height)
	return part, nil
}

// total writes a row below the records, on the last sheet, that adds up columns:
// those of the titles in values, which have the sums as they are now. It is no part
// of the table, so that nothing counts an amount twice, and follows its filter.
func (s *dataSheet) total(values map[string]decimal.Decimal) error {
	if len(s.parts) == 0 {
		return nil
	}
	kinds, sums := make([]cellKind, len(s.columns)), make([]leg, len(s.columns))
	for i, c := range s.columns {
		kinds[i] = c.kind
		value, ok := values[c.title]
		if !ok {
			continue
		}
		ranges, err := s.ranges(c.title)
		if err != nil {
			return err
		}
		sums[i] = leg{"SUBTOTAL(109," + strings.Join(ranges, ",") + ")", value}
	}
	return s.parts[len(s.parts)-1].foot(s.styles, "Total", kinds, sums)
}

// records is how many there are.
func (s *dataSheet) records() (n int) {
	for _, p := range s.parts {
		n += p.count
	}
	return n
}

func (s *dataSheet) partName(n int) string { return partName(s.name, n) }

// partName is the name of the n-th sheet of records, 1 being the first.
func partName(name string, n int) string {
	if n == 1 {
		return name
	}
	return fmt.Sprintf("%s %d", name, n)
}

// place says where the n-th record stands, 1 being the first, for a link.
func (s *dataSheet) place(n int) string {
	return fmt.Sprintf("'%s'!A%d", s.partName(1+(n-1)/s.perSheet), 2+(n-1)%s.perSheet)
}

// column returns the position, from 1, of the column with the heading.
func (s *dataSheet) column(title string) int {
	for i, c := range s.columns {
		if c.title == title {
			return i + 1
		}
	}
	return 0
}

// sum is a formula over one column of all records, such as SUM or COUNT.
func (s *dataSheet) sum(function, title string) (string, error) {
	ranges, err := s.ranges(title)
	return function + "(" + strings.Join(ranges, ",") + ")", err
}

// sumWhere is a formula for the sum of a column over the records that have in
// another one what the criterion says, such as "=" for nothing.
func (s *dataSheet) sumWhere(title, other, criterion string) (string, error) {
	amounts, err := s.ranges(title)
	if err != nil {
		return "", err
	}
	others, err := s.ranges(other)
	for i := range others {
		amounts[i] = fmt.Sprintf("SUMIFS(%s,%s,%s)", amounts[i], others[i], criterion)
	}
	return strings.Join(amounts, "+"), err
}

// sumAbsolute is a formula for the sum of a column without the signs of its
// amounts: those above nothing, less those below.
func (s *dataSheet) sumAbsolute(title string) (string, error) {
	above, err := s.sumWhere(title, title, `">0"`)
	if err != nil {
		return "", err
	}
	below, err := s.sumWhere(title, title, `"<0"`)
	return above + "-(" + below + ")", err
}

// ranges are where the cells of a column stand, on each of the sheets.
func (s *dataSheet) ranges(title string) ([]string, error) {
	name, err := excelize.ColumnNumberToName(s.column(title))
	if err != nil {
		return nil, fmt.Errorf("sheet %s, column %s: %w", s.name, title, err)
	}
	ranges := make([]string, max(1, len(s.parts)))
	for i := range ranges {
		last := 2
		if i < len(s.parts) {
			last = max(1, s.parts[i].count) + 1
		}
		ranges[i] = fmt.Sprintf("'%s'!$%s$2:$%s$%d", s.partName(i+1), name, name, last)
	}
	return ranges, nil
}

// cells is the range of one column on the first sheet, for a chart, down to the
// given record.
func (s *dataSheet) cells(title string, last int) (string, error) {
	name, err := excelize.ColumnNumberToName(s.column(title))
	return fmt.Sprintf("'%s'!$%s$2:$%s$%d", s.name, name, name, last+1), err
}

// addTo adds the sheets to the file. decorate, which may be nil, is called with
// each before it is complete.
func (s *dataSheet) addTo(file *excelize.File, archive *xlsxZip, decorate func(sheetPart) error) error {
	for n := 1; n <= max(1, len(s.parts)); n++ {
		var part *rows
		if n <= len(s.parts) {
			part = s.parts[n-1]
		}
		if err := s.addPart(file, archive, n, part, decorate); err != nil {
			return fmt.Errorf("sheet %s: %w", s.partName(n), err)
		}
	}
	return nil
}

func (s *dataSheet) addPart(file *excelize.File, archive *xlsxZip, n int, part *rows, decorate func(sheetPart) error) error {
	sheet := sheetPart{name: s.partName(n)}
	table := s.table
	if n > 1 {
		table = fmt.Sprintf("%s%d", table, n)
	}
	index, err := file.NewSheet(sheet.name)
	if err != nil {
		return err
	}
	if part != nil {
		if part.packer != nil {
			if err := part.finish(); err != nil {
				return err
			}
		}
		sheet.rows, sheet.feet = part.count, part.feet
		archive.insert(sheetPartName(index), part)
	}
	if err := layOut(file, sheet.name, s.colour); err != nil {
		return err
	}
	if err := setDimension(file, sheet.name, len(s.columns), max(sheet.rows, 1)+1+sheet.feet); err != nil {
		return err
	}
	stream, err := s.head(file, sheet.name)
	if err != nil {
		return err
	}
	switch {
	case sheet.rows > 0:
		// A sheet without records has no table, which Excel would find broken.
		if err := s.addTable(stream, table, sheet.rows); err != nil {
			return err
		}
	case s.empty != "":
		if err := stream.SetRow("A2", []any{excelize.Cell{StyleID: s.styles.of(kindText), Value: s.empty}}); err != nil {
			return err
		}
	}
	if s.printed > 0 {
		if err := s.printArea(file, sheet); err != nil {
			return err
		}
	}
	if decorate != nil && sheet.rows > 0 {
		if err := decorate(sheet); err != nil {
			return err
		}
	}
	s.written = append(s.written, sheet)
	return stream.Flush()
}

// sheetPartName is the part of the archive for the sheet with the index: sheets
// are numbered as they are made.
func sheetPartName(index int) string { return fmt.Sprintf("xl/worksheets/sheet%d.xml", index+1) }

// head writes widths, panes and headings.
func (s *dataSheet) head(file *excelize.File, name string) (*excelize.StreamWriter, error) {
	stream, err := file.NewStreamWriter(name)
	if err != nil {
		return nil, err
	}
	heading := make([]any, len(s.columns))
	widths := make([]int, len(s.columns))
	for i, c := range s.columns {
		heading[i], widths[i] = s.styles.heading(c), c.width
	}
	if err := setWidths(stream, widths); err != nil {
		return nil, err
	}
	corner, err := excelize.CoordinatesToCellName(s.keys+1, 2)
	if err != nil {
		return nil, err
	}
	panes := &excelize.Panes{Freeze: true, XSplit: s.keys, YSplit: 1, TopLeftCell: corner, ActivePane: "bottomRight"}
	if err := stream.SetPanes(panes); err != nil {
		return nil, err
	}
	return stream, stream.SetRow("A1", heading, excelize.RowOpts{Height: 32})
}

func (s *dataSheet) addTable(stream *excelize.StreamWriter, name string, records int) error {
	last, err := excelize.CoordinatesToCellName(len(s.columns), records+1)
	if err != nil {
		return err
	}
	no := false
	return stream.AddTable(&excelize.Table{Range: "A1:" + last, Name: name, StyleName: "TableStyleLight1", ShowRowStripes: &no})
}

// printArea leaves the columns on the right out of the print.
func (s *dataSheet) printArea(file *excelize.File, sheet sheetPart) error {
	name, err := excelize.ColumnNumberToName(s.printed)
	if err != nil {
		return err
	}
	return file.SetDefinedName(&excelize.DefinedName{
		Name: "_xlnm.Print_Area", RefersTo: fmt.Sprintf("'%s'!$A$1:$%s$%d", sheet.name, name, max(sheet.rows, 1)+1+sheet.feet), Scope: sheet.name,
	})
}

// close forgets the records.
func (s *dataSheet) close() (err error) {
	for _, p := range s.parts {
		err = errors.Join(err, p.packed.Close())
	}
	return err
}

// setDimension says how far a sheet goes: some readers believe it. Like all that
// stands above the rows it must be said before they are streamed.
func setDimension(file *excelize.File, sheet string, columns, rows int) error {
	last, err := excelize.CoordinatesToCellName(columns, rows)
	if err != nil {
		return err
	}
	return file.SetSheetDimension(sheet, "A1:"+last)
}

// setWidths sets the widths of columns, in characters. Excelize writes the one
// that was set last first; the format wants them from left to right.
func setWidths(stream *excelize.StreamWriter, widths []int) error {
	for i := len(widths) - 1; i >= 0; i-- {
		if err := stream.SetColWidth(i+1, i+1, float64(widths[i])); err != nil {
			return err
		}
	}
	return nil
}

// heightFor is the height of a row whose wrapped text has the given width: rows
// are not made to fit by the programs that show them. No row is higher than 20
// lines of text; 0 is the height of one.
func heightFor(text string, width int) int {
	const lineHeight = 15
	lines := 0
	for part := range strings.SplitSeq(text, "\n") {
		lines += 1 + len([]rune(part))/width
	}
	if lines == 1 {
		return 0
	}
	return lineHeight * min(lines, 20)
}

// layOut sets a sheet's tab colour and how it prints: one page wide, the first
// row on every page, file, sheet and page at the foot. Summary stands upright: its
// tables are narrow and long.
func layOut(file *excelize.File, sheet, colour string) error {
	orientation := "landscape"
	yes, wide, high, paper := true, 1, 0, 9 // as many pages as it takes; paper 9 is A4
	if sheet == summarySheet {
		orientation = "portrait"
	}
	if err := file.SetSheetProps(sheet, &excelize.SheetPropsOptions{TabColorRGB: &colour, FitToPage: &yes}); err != nil {
		return err
	}
	page := &excelize.PageLayoutOptions{Size: &paper, Orientation: &orientation, FitToWidth: &wide, FitToHeight: &high}
	if err := file.SetPageLayout(sheet, page); err != nil {
		return err
	}
	if err := file.SetHeaderFooter(sheet, &excelize.HeaderFooterOptions{OddFooter: "&L&F&C&A&RPage &P of &N"}); err != nil {
		return err
	}
	narrow, foot := 0.4, 0.6 // inches
	margins := &excelize.PageLayoutMarginsOptions{Left: &narrow, Right: &narrow, Top: &narrow, Bottom: &foot, Footer: &narrow}
	if err := file.SetPageMargins(sheet, margins); err != nil {
		return err
	}
	if sheet == summarySheet {
		return nil
	}
	return file.SetDefinedName(&excelize.DefinedName{
		Name: "_xlnm.Print_Titles", RefersTo: "'" + sheet + "'!$1:$1", Scope: sheet,
	})
}

// fitText cuts what a cell cannot hold and says so in the cell. Text cells are
// strings in a text format, never formulas: text such as =1+1 stays text, also
// when somebody edits the cell.
func fitText(s string) string {
	if len(s) <= cellText {
		return s
	}
	units, mark := utf16.Encode([]rune(s)), utf16.Encode([]rune(cutMark))
	if len(units) <= cellText {
		return s
	}
	cut := string(utf16.Decode(units[:cellText-len(mark)]))
	// A pair that the cut went through is left out.
	return strings.TrimSuffix(cut, "\ufffd") + cutMark
}
