package exports

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// ErrSyntax is inside every error about a file that is not what this package
// writes. Errors of the reader below are not of this kind.
var ErrSyntax = errors.New("not in the form that calends writes")

// PositionError says where in a CSV file something is wrong.
type PositionError struct {
	Line   int    // of the file, 1 being the header
	Column string // its name, "" when the row as a whole is wrong
	Err    error
}

func (e *PositionError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("line %d, column %s: %v", e.Line, e.Column, e.Err)
}

// Unwrap makes the cause and [ErrSyntax] known to errors.Is.
func (e *PositionError) Unwrap() []error { return []error{ErrSyntax, e.Err} }

// ReadLines streams the rows of a reconciliation.csv back as lines. It takes
// exactly what [CSV] writes: writing the lines again gives the same bytes.
// Lines share an Account or an Item with the line before while its text is the
// same, and have no Proof. Reading stops at the first error.
func ReadLines(r io.Reader) iter.Seq2[*invoice.Line, error] {
	return func(yield func(*invoice.Line, error) bool) {
		records := newRecordReader(r, Columns())
		var last *invoice.Line
		for {
			fields, err := records.read()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("read reconciliation.csv: %w", err))
				return
			}
			line, wrong := parseLine(fields, last)
			if wrong != nil {
				wrong.Line = records.first
				yield(nil, fmt.Errorf("read reconciliation.csv: %w", wrong))
				return
			}
			if !yield(line, nil) {
				return
			}
			last = line
		}
	}
}

// ReadRows reads like [ReadLines] from a part of a file: whole rows without the header.
func ReadRows(r io.Reader) iter.Seq2[*invoice.Line, error] {
	return ReadLines(io.MultiReader(bytes.NewReader(appendHeader(nil, Columns())), r))
}

// parseLine reads the fields of one row. Its errors lack the line.
func parseLine(fields []string, last *invoice.Line) (*invoice.Line, *PositionError) {
	var own struct {
		invoice.Line
		account invoice.Account
		item    invoice.Item
	}
	l := &own.Line
	l.Account, l.Item = &own.account, &own.item
	for i := range columns {
		if columns[i].text != nil {
			*columns[i].text(l) = fields[i]
		}
	}
	digits, err := minorDigits(l.Currency)
	if err != nil {
		return nil, &PositionError{Column: "Currency", Err: err}
	}
	for i := range columns {
		col, field := &columns[i], fields[i]
		var err error
		switch {
		case col.amount != nil:
			*col.amount(l), err = parseAmount(field, digits)
		case col.date != nil:
			*col.date(l), err = parseDate(field)
		case col.number != nil && (!col.blankZero || field != ""):
			*col.number(l), err = parseNumber(field)
			if err == nil && col.blankZero && col.number(l).IsZero() {
				err = errors.New("0 is written as blank")
			}
		}
		if err != nil {
			return nil, &PositionError{Column: col.name, Err: err}
		}
	}
	line := own.Line
	switch {
	case last != nil && *last.Account == own.account:
		line.Account = last.Account
	default:
		account := own.account
		line.Account = &account
	}
	switch {
	case last != nil && *last.Item == own.item:
		line.Item = last.Item
	default:
		item := own.item
		line.Item = &item
	}
	return &line, nil
}

// ReadExceptions reads the exceptions.csv of a month. It takes exactly what
// [WriteExceptions] writes.
func ReadExceptions(r io.Reader, month pricing.Month) ([]invoice.Exception, error) {
	records := newRecordReader(r, exceptionColumns[:])
	var all []invoice.Exception
	for {
		fields, err := records.read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read exceptions.csv: %w", err)
		}
		e := invoice.Exception{
			Severity: invoice.Severity(fields[0]), Code: pricing.Code(fields[1]),
			PartnerID: fields[2], CustomerID: fields[3], SubscriptionID: fields[4],
			EventID: fields[5], Message: fields[6], Month: month,
		}
		position := PositionError{Line: records.first}
		switch {
		case e.Severity != invoice.Error && e.Severity != invoice.Warning:
			position.Column, position.Err = exceptionColumns[0], fmt.Errorf("severity %q: want error or warning", e.Severity)
		case len(all) > 0 && compareExceptions(all[len(all)-1], e) > 0:
			position.Err = errors.New("row is out of order")
		default:
			all = append(all, e)
			continue
		}
		return nil, fmt.Errorf("read exceptions.csv: %w", &position)
	}
}

var (
	quoteText     = []byte{quote}
	separatorText = []byte{separator}
	rowEndText    = []byte(rowEnd)
)

// recordReader reads the rows of a file in our dialect, the header checked.
type recordReader struct {
	r       *bufio.Reader
	columns []string
	fields  []string
	record  []byte
	quotes  int // in the last record
	first   int // line on which the last record starts
	next    int // line on which the next record starts
}

func newRecordReader(r io.Reader, columns []string) *recordReader {
	return &recordReader{r: bufio.NewReaderSize(r, csvBuffer), columns: columns, next: 1}
}

// read returns the fields of the next row, valid until the next call but for
// the strings. At the end it returns io.EOF.
func (r *recordReader) read() ([]string, error) {
	row, err := r.nextRow()
	if err != nil {
		return nil, err
	}
	return r.fieldsOf(row)
}

// nextRow returns the bytes of the next row, valid until the next call. At the
// end it returns io.EOF.
func (r *recordReader) nextRow() ([]byte, error) {
	if r.next == 1 {
		header, err := r.readRecord()
		if errors.Is(err, io.EOF) {
			return nil, r.errorf("file is empty, not even a header")
		}
		if err != nil {
			return nil, err
		}
		if !slices.Equal(header, r.columns) {
			return nil, r.errorf("header is not %s", strings.Join(r.columns, ","))
		}
	}
	return r.nextRecord()
}

// fieldsOf returns the fields of a row.
func (r *recordReader) fieldsOf(row []byte) ([]string, error) {
	fields, err := r.split(string(row))
	if err == nil && len(fields) != len(r.columns) {
		return nil, r.errorf("row has %d fields, want %d", len(fields), len(r.columns))
	}
	return fields, err
}

func (r *recordReader) errorf(format string, args ...any) error {
	return &PositionError{Line: r.first, Err: fmt.Errorf(format, args...)}
}

// readRecord returns the fields of the next record.
func (r *recordReader) readRecord() ([]string, error) {
	record, err := r.nextRecord()
	if err != nil {
		return nil, err
	}
	return r.split(string(record))
}

// nextRecord reads up to a line end that is not inside quotes, and returns what
// is before it, valid until the next call.
func (r *recordReader) nextRecord() ([]byte, error) {
	r.record, r.first, r.quotes = r.record[:0], r.next, 0
	for {
		part, err := r.r.ReadSlice('\n')
		r.quotes += bytes.Count(part, quoteText)
		if whole := err == nil && r.quotes%2 == 0; !whole || len(r.record) > 0 {
			r.record = append(r.record, part...)
			part = r.record
		}
		if err == nil {
			r.next++
			if r.quotes%2 == 0 {
				return r.withoutEnd(part)
			}
			continue
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(part) == 0:
			return nil, io.EOF
		case errors.Is(err, io.EOF):
			return nil, r.errorf("file ends inside a row")
		default:
			return nil, fmt.Errorf("line %d: %w", r.next, err)
		}
	}
}

func (r *recordReader) withoutEnd(record []byte) ([]byte, error) {
	record, ok := bytes.CutSuffix(record, rowEndText)
	if !ok {
		return nil, r.errorf("row does not end with CRLF")
	}
	if !utf8.Valid(record) {
		return nil, r.errorf("%w", errNotUTF8)
	}
	return record, nil
}

// split cuts a record into its fields and takes the quotes off.
func (r *recordReader) split(record string) ([]string, error) {
	r.fields = r.fields[:0]
	for more := true; more; {
		var field string
		if record == "" || record[0] != quote {
			field, record, more = strings.Cut(record, string(separator))
			if strings.ContainsAny(field, "\"\r\n") {
				return nil, r.columnErrorf("quote or line end in a field that is not quoted")
			}
			r.fields = append(r.fields, field)
			continue
		}
		end := closingQuote(record)
		if end < 0 {
			return nil, r.columnErrorf("field has no closing quote")
		}
		field, record = record[1:end], record[end+1:]
		if !strings.ContainsAny(field, "\",\r\n") {
			return nil, r.columnErrorf("field is quoted without need")
		}
		if more = record != ""; more {
			if record[0] != separator {
				return nil, r.columnErrorf("text after the closing quote")
			}
			record = record[1:]
		}
		r.fields = append(r.fields, strings.ReplaceAll(field, `""`, `"`))
	}
	return r.fields, nil
}

// closingQuote returns where the quoted field at the start of s ends, or -1.
func closingQuote(s string) int {
	for i := 1; ; i++ {
		n := strings.IndexByte(s[i:], quote)
		if n < 0 {
			return -1
		}
		if i += n; i+1 == len(s) || s[i+1] != quote {
			return i
		}
		i++ // a doubled quote is text
	}
}

func (r *recordReader) columnErrorf(format string, args ...any) error {
	e := &PositionError{Line: r.first, Err: fmt.Errorf(format, args...)}
	if i := len(r.fields); i < len(r.columns) {
		e.Column = r.columns[i]
	}
	return e
}
