package exports

import (
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pricing"
)

// rowsBuffer is how many bytes of rows are collected before they are compressed.
const rowsBuffer = 64 << 10

// rows writes the records of one sheet: cell after cell, in the order of the
// columns, as the XML that stands between <sheetData> and </sheetData>. They are
// compressed as they come and end on a whole byte, so that the sheet's part of
// the archive can be put together around them (see xlsxPart).
//
// Text is a string in the cell itself, never a formula, and a number is its
// exact decimal text. A rows that failed stays failed.
type rows struct {
	cells  []cellFrame
	column int    // the next cell's, from 0
	first  int    // number of the sheet's row that comes first
	count  int    // records that were ended
	feet   int    // rows below them
	number []byte // the current row's
	buf    []byte
	packer *flate.Writer
	packed spool
	size   int64  // of the XML
	crc    uint32 // likewise
	err    error
}

// cellFrame is what surrounds the values of one column, but for the row number.
type cellFrame struct {
	open     string // <c r="B
	number   string // " s="7"><v>
	fraction string // the same for a quantity that is not whole
	text     string // " s="7" t="inlineStr"><is><t>
	blank    string // " s="7"/>
}

// newRows returns a writer of rows with the given columns, the first one with
// the given number.
func newRows(st *styles, kinds []cellKind, first int) (*rows, error) {
	r := &rows{cells: make([]cellFrame, len(kinds)), first: first, packed: spool{limit: spoolMemory}}
	style := func(k cellKind) string { return `" s="` + strconv.Itoa(st.of(k)) }
	for i, kind := range kinds {
		name, err := excelize.ColumnNumberToName(i + 1)
		if err != nil {
			return nil, err
		}
		s := style(kind)
		r.cells[i] = cellFrame{`<c r="` + name, s + `"><v>`, style(kindFraction) + `"><v>`, s + `" t="inlineStr"><is><t>`, s + `"/>`}
	}
	var err error
	r.packer, err = flate.NewWriter(&r.packed, flate.BestSpeed)
	return r, err
}

// next begins a record. A height of 0 is the sheet's own.
func (r *rows) next(height int) {
	r.column = 0
	r.number = strconv.AppendInt(r.number[:0], int64(r.first+r.count), 10)
	r.buf = append(append(append(r.buf, `<row r="`...), r.number...), '"')
	if height > 0 {
		r.buf = append(strconv.AppendInt(append(r.buf, ` ht="`...), int64(height), 10), `" customHeight="1"`...)
	}
	r.buf = append(r.buf, '>')
}

// end completes a record.
func (r *rows) end() error {
	if r.err == nil && r.column != len(r.cells) {
		r.err = fmt.Errorf("row %d has %d cells, its sheet %d columns", r.first+r.count, r.column, len(r.cells))
	}
	r.buf = append(r.buf, "</row>"...)
	r.count++
	if len(r.buf) >= rowsBuffer {
		r.pack()
	}
	return r.err
}

func (r *rows) pack() {
	r.size += int64(len(r.buf))
	r.crc = crc32.Update(r.crc, crc32.IEEETable, r.buf)
	if r.err == nil {
		_, r.err = r.packer.Write(r.buf)
	}
	r.buf = r.buf[:0]
}

// finish ends the rows.
func (r *rows) finish() error {
	r.pack()
	if r.err == nil {
		r.err = r.packer.Flush()
	}
	r.packer = nil
	return r.err
}

// skip leaves a cell out: it is blank and looks like any other blank cell.
func (r *rows) skip() { r.column++ }

// begin writes what stands before a value and returns the column's frame.
func (r *rows) begin() *cellFrame {
	if r.column >= len(r.cells) {
		r.column++ // end reports it
		return &cellFrame{}
	}
	f := &r.cells[r.column]
	r.column++
	r.buf = append(append(r.buf, f.open...), r.number...)
	return f
}

const (
	numberEnd = "</v></c>"
	textEnd   = "</t></is></c>"
)

// blank writes an empty cell with the look of its column, such as one for input.
func (r *rows) blank() { r.buf = append(r.buf, r.begin().blank...) }

func (r *rows) text(s string) {
	if s == "" {
		r.skip()
		return
	}
	r.buf = append(r.buf, r.begin().text...)
	if s[0] == ' ' || s[0] == '\n' || s[0] == '\t' || s[len(s)-1] == ' ' || s[len(s)-1] == '\n' || s[len(s)-1] == '\t' {
		r.buf = append(r.buf[:len(r.buf)-1], ` xml:space="preserve">`...)
	}
	r.buf = append(appendXML(r.buf, fitText(s)), textEnd...)
}

func (r *rows) whole(n int64) {
	r.buf = append(strconv.AppendInt(append(r.buf, r.begin().number...), n, 10), numberEnd...)
}

// amount writes minor units of a currency with the given decimals.
func (r *rows) amount(minor int64, digits int) {
	r.buf = append(appendAmount(append(r.buf, r.begin().number...), minor, digits), numberEnd...)
}

// money writes an amount with a look of its own: that of the row's currency.
func (r *rows) money(minor int64, digits, style int) {
	r.begin()
	r.buf = append(strconv.AppendInt(append(r.buf, `" s="`...), int64(style), 10), `"><v>`...)
	r.buf = append(appendAmount(r.buf, minor, digits), numberEnd...)
}

func (r *rows) decimal(d decimal.Decimal) {
	r.buf = append(appendNumber(append(r.buf, r.begin().number...), d), numberEnd...)
}

// quantity writes a number that is whole, mostly.
func (r *rows) quantity(d decimal.Decimal) {
	frame := r.begin()
	number := frame.number
	if !d.IsInteger() {
		number = frame.fraction
	}
	r.buf = append(appendNumber(append(r.buf, number...), d), numberEnd...)
}

// unlessZero leaves out what is zero for want of a value.
func (r *rows) unlessZero(d decimal.Decimal) {
	if d.IsZero() {
		r.skip()
		return
	}
	r.decimal(d)
}

func (r *rows) unlessZeroQuantity(d decimal.Decimal) {
	if d.IsZero() {
		r.skip()
		return
	}
	r.quantity(d)
}

// share writes a part of a whole, for a percentage; nothing of nothing is blank.
func (r *rows) share(part, whole int64) {
	if whole == 0 {
		r.skip()
		return
	}
	r.decimal(decimal.New(part, 0).DivRound(decimal.New(max(whole, -whole), 0), 6))
}

// sheetEpoch is the day 0 of a spreadsheet, 1899-12-30, as a distance from
// ours. It is right from March 1900 on; earlier days are written as text.
const (
	sheetEpoch    = 25_569
	firstSheetDay = 61
)

func (r *rows) date(d pricing.Date) {
	switch day := int64(d) + sheetEpoch; {
	case d == pricing.NoDate:
		r.skip()
	case day < firstSheetDay:
		r.text(d.String())
	default:
		r.whole(day)
	}
}

// formula writes a formula, which is ours and no one else's text, with the
// number that it has now.
func (r *rows) formula(f string, value decimal.Decimal) {
	frame := r.begin()
	r.buf = append(append(r.buf, strings.TrimSuffix(frame.number, "<v>")...), "<f>"...)
	r.buf = append(appendXML(r.buf, f), "</f><v>"...)
	r.buf = append(appendNumber(r.buf, value), numberEnd...)
}

// foot writes a row that stands below the records and is none of them: a label,
// then a cell a column, of which sums says which have a formula.
func (r *rows) foot(st *styles, label string, kinds []cellKind, sums []leg) error {
	r.next(0)
	for i, sum := range sums {
		r.begin()
		style := st.total
		if kinds[i] == kindWhole {
			style = st.totalWhole
		}
		if i == 0 {
			style = st.totalLabel
		}
		r.buf = strconv.AppendInt(append(r.buf, `" s="`...), int64(style), 10)
		switch {
		case i == 0:
			r.buf = append(appendXML(append(r.buf, `" t="inlineStr"><is><t>`...), label), textEnd...)
		case sum.formula == "":
			r.buf = append(r.buf, `"/>`...)
		default:
			r.buf = append(appendXML(append(r.buf, `"><f>`...), sum.formula), `</f><v>`...)
			r.buf = append(appendNumber(r.buf, sum.value), numberEnd...)
		}
	}
	err := r.end()
	r.count--
	r.feet++
	return err
}

// appendXML appends text as XML has it. What XML cannot hold is written as the
// format's own escape, _x0001_, and text that looks like one is escaped too.
func appendXML(dst []byte, s string) []byte {
	done := 0
	for i := 0; i < len(s); i++ {
		var escape string
		switch c := s[i]; {
		case c == '&':
			escape = "&amp;"
		case c == '<':
			escape = "&lt;"
		case c == '>':
			escape = "&gt;"
		case c == '_':
			if !isEscape(s[i:]) {
				continue
			}
			escape = "_x005F_"
		case c >= utf8.RuneSelf:
			if special, size := utf8.DecodeRuneInString(s[i:]); special == utf8.RuneError && size == 1 || special == 0xFFFE || special == 0xFFFF {
				dst = append(append(dst, s[done:i]...), "\ufffd"...)
				i += size - 1
				done = i + 1
			} else {
				i += size - 1
			}
			continue
		case c < ' ' && c != '\t' && c != '\n':
			escape = fmt.Sprintf("_x%04X_", c)
		default:
			continue
		}
		dst = append(append(dst, s[done:i]...), escape...)
		done = i + 1
	}
	return append(dst, s[done:]...)
}

// isEscape reports whether s begins like _x005F_.
func isEscape(s string) bool {
	if len(s) < 7 || s[1] != 'x' || s[6] != '_' {
		return false
	}
	_, err := strconv.ParseUint(s[2:6], 16, 16)
	return err == nil
}
