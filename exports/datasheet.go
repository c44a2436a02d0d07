package exports

import (
	"fmt"
	"strings"
	"unicode/utf16"

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

// sheetColumn is the heading and the width, in characters, of a column.
// Headings of numbers stand right, over the numbers.
type sheetColumn struct {
	title  string
	width  int
	number bool
}

// dataSheet is a sheet of records: one heading row, one row a record, a table
// around them. Rows are streamed; what a streamed sheet looks like must be said
// before its first row.
type dataSheet struct {
	file    *excelize.File
	stream  *excelize.StreamWriter
	name    string
	table   string
	columns int
	rows    int // without the heading
}

// newDataSheet adds a sheet with its headings, the first keys columns frozen.
func newDataSheet(file *excelize.File, st styles, name, table, colour string, columns []sheetColumn, keys int) (*dataSheet, error) {
	s := &dataSheet{file: file, name: name, table: table, columns: len(columns)}
	if err := s.start(st, colour, columns, keys); err != nil {
		return nil, fmt.Errorf("start sheet %s: %w", name, err)
	}
	return s, nil
}

func (s *dataSheet) start(st styles, colour string, columns []sheetColumn, keys int) (err error) {
	if _, err := s.file.NewSheet(s.name); err != nil {
		return err
	}
	if err := layOut(s.file, s.name, colour); err != nil {
		return err
	}
	if s.stream, err = s.file.NewStreamWriter(s.name); err != nil {
		return err
	}
	for i, c := range columns {
		if err := s.stream.SetColWidth(i+1, i+1, float64(c.width)); err != nil {
			return err
		}
	}
	corner, err := excelize.CoordinatesToCellName(keys+1, 2)
	if err != nil {
		return err
	}
	panes := &excelize.Panes{Freeze: true, XSplit: keys, YSplit: 1, TopLeftCell: corner, ActivePane: "bottomRight"}
	if err := s.stream.SetPanes(panes); err != nil {
		return err
	}
	heading := make([]any, len(columns))
	for i, c := range columns {
		heading[i] = st.textHeading(c.title)
		if c.number {
			heading[i] = st.numbersHeading(c.title)
		}
	}
	return s.stream.SetRow("A1", heading, excelize.RowOpts{Height: 32})
}

// append adds a record. The row may be reused.
func (s *dataSheet) append(row []any, height ...excelize.RowOpts) error {
	s.rows++
	cell, err := excelize.CoordinatesToCellName(1, s.rows+1)
	if err != nil {
		return err
	}
	return s.stream.SetRow(cell, row, height...)
}

// rowFor is the height of a row whose wrapped text has the given width: a
// streamed row is not made to fit by the programs that show it. No row is
// higher than 20 lines of text.
func rowFor(text string, width int) excelize.RowOpts {
	const lineHeight = 15
	lines := 0
	for part := range strings.SplitSeq(text, "\n") {
		lines += 1 + len([]rune(part))/width
	}
	return excelize.RowOpts{Height: float64(lineHeight * min(lines, 20))}
}

func (st styles) textHeading(title string) excelize.Cell {
	return excelize.Cell{StyleID: st.heading, Value: title}
}

func (st styles) numbersHeading(title string) excelize.Cell {
	return excelize.Cell{StyleID: st.numberHeading, Value: title}
}

// finish puts the table around the records and hands the sheet to the file. A
// sheet without records has no table, which Excel would find broken.
func (s *dataSheet) finish() error {
	if err := s.complete(); err != nil {
		return fmt.Errorf("finish sheet %s: %w", s.name, err)
	}
	return nil
}

func (s *dataSheet) complete() error {
	if s.rows > 0 {
		last, err := excelize.CoordinatesToCellName(s.columns, s.rows+1)
		if err != nil {
			return err
		}
		no := false
		table := &excelize.Table{Range: "A1:" + last, Name: s.table, StyleName: "TableStyleLight1", ShowRowStripes: &no}
		if err := s.stream.AddTable(table); err != nil {
			return err
		}
	}
	return s.stream.Flush()
}

// printColumns leaves the columns from the given one on out of the print.
func (s *dataSheet) printColumns(last int) error {
	name, err := excelize.ColumnNumberToName(last)
	if err != nil {
		return err
	}
	return s.file.SetDefinedName(&excelize.DefinedName{
		Name: "_xlnm.Print_Area", RefersTo: fmt.Sprintf("'%s'!$A$1:$%s$%d", s.name, name, max(s.rows, 1)+1), Scope: s.name,
	})
}

// reference is the cells of one column, without the heading, for a formula.
func (s *dataSheet) reference(column int) (string, error) {
	name, err := excelize.ColumnNumberToName(column)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("'%s'!$%s$2:$%s$%d", s.name, name, name, max(s.rows, 1)+1), nil
}

// layOut sets a sheet's tab colour and how it prints: one page wide, the first
// row on every page, file, sheet and page at the foot.
func layOut(file *excelize.File, sheet, colour string) error {
	orientation := "landscape"
	yes, wide, high, paper := true, 1, 0, 9 // paper 9 is A4
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

// styles are the looks of cells. Colour has one meaning: yellow is for input.
type styles struct {
	heading, numberHeading, section, label, text, wrapped int
	amount, price, whole, quantity, rate, date            int
	verdict, input, inputDate                             int
}

func newStyles(file *excelize.File, digits int) (st styles, err error) {
	amount := "#,##0"
	if digits > 0 {
		amount += "." + strings.Repeat("0", digits)
	}
	signed := func(format string) *string { s := format + ";[Red]-" + format; return &s }
	format := func(s string) *string { return &s }
	top := &excelize.Alignment{Vertical: "top"}
	line := []excelize.Border{{Type: "bottom", Color: "7F7F7F", Style: 1}}
	grey := excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"E7E9ED"}}
	yellow := excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"FFF9D6"}}
	bold := &excelize.Font{Bold: true, Family: "Calibri", Size: 11}
	open := &excelize.Protection{Locked: false}
	for _, s := range []struct {
		id    *int
		style excelize.Style
	}{
		{&st.heading, excelize.Style{Font: bold, Fill: grey, Border: line, Alignment: &excelize.Alignment{Horizontal: "left", Indent: 1, Vertical: "center", WrapText: true}}},
		{&st.numberHeading, excelize.Style{Font: bold, Fill: grey, Border: line, Alignment: &excelize.Alignment{Horizontal: "right", Vertical: "center", WrapText: true}}},
		{&st.section, excelize.Style{Font: &excelize.Font{Bold: true, Family: "Calibri", Size: 13}}},
		{&st.label, excelize.Style{Font: bold, Alignment: top}},
		{&st.text, excelize.Style{CustomNumFmt: format("@"), Alignment: &excelize.Alignment{Horizontal: "left", Indent: 1, Vertical: "top"}}},
		{&st.wrapped, excelize.Style{CustomNumFmt: format("@"), Alignment: &excelize.Alignment{Horizontal: "left", Indent: 1, Vertical: "top", WrapText: true}}},
		{&st.amount, excelize.Style{CustomNumFmt: signed(amount), Alignment: top}},
		{&st.price, excelize.Style{CustomNumFmt: signed("#,##0.00####"), Alignment: top}},
		{&st.whole, excelize.Style{CustomNumFmt: signed("#,##0"), Alignment: top}},
		{&st.quantity, excelize.Style{CustomNumFmt: signed("#,##0.0#####"), Alignment: top}},
		{&st.rate, excelize.Style{CustomNumFmt: format("0.0########"), Alignment: top}},
		{&st.date, excelize.Style{CustomNumFmt: format("yyyy-mm-dd"), Alignment: &excelize.Alignment{Horizontal: "left", Indent: 1, Vertical: "top"}}},
		{&st.verdict, excelize.Style{Font: bold, Alignment: &excelize.Alignment{Horizontal: "left", Indent: 1, Vertical: "top"}}},
		{&st.input, excelize.Style{CustomNumFmt: format("@"), Fill: yellow, Protection: open, Alignment: &excelize.Alignment{Vertical: "top", WrapText: true}}},
		{&st.inputDate, excelize.Style{CustomNumFmt: format("yyyy-mm-dd"), Fill: yellow, Protection: open, Alignment: top}},
	} {
		if *s.id, err = file.NewStyle(&s.style); err != nil {
			return st, fmt.Errorf("cell style: %w", err)
		}
	}
	return st, nil
}
