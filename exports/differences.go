package exports

import (
	"fmt"
	"io"
	"strconv"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// DifferencesCSV writes differences.csv, in the dialect of [CSV], in the order
// given. One that failed stays failed.
type DifferencesCSV struct {
	w     io.Writer
	buf   []byte
	rows  int
	err   error
	dates dateTexts
}

// NewDifferencesCSV returns an encoder that writes to w.
func NewDifferencesCSV(w io.Writer) *DifferencesCSV {
	return &DifferencesCSV{w: w, buf: appendHeader(nil, DifferenceColumns())}
}

// Encode writes one row.
func (c *DifferencesCSV) Encode(d *Difference) error {
	if c.err != nil {
		return c.err
	}
	c.rows++
	for i := range differenceColumns {
		var err error
		if c.buf, err = c.append(c.buf, &differenceColumns[i], d); err != nil {
			c.err = fmt.Errorf("write differences.csv row %d (subscription %q): column %s: %w", c.rows, d.SubscriptionID, differenceColumns[i].name, err)
			return c.err
		}
		c.buf = append(c.buf, separator)
	}
	c.buf = append(c.buf[:len(c.buf)-1], rowEnd...)
	if len(c.buf) >= csvBuffer {
		c.flush()
	}
	return c.err
}

func (c *DifferencesCSV) append(dst []byte, col *differenceColumn, d *Difference) ([]byte, error) {
	switch {
	case col.text != nil:
		return appendText(dst, col.text(d))
	case col.date != nil:
		return c.dates.append(dst, col.date(d))
	case col.count != nil:
		return strconv.AppendInt(dst, int64(col.count(d)), 10), nil
	case col.amount != nil:
		minor, currency := col.amount(d)
		if currency == "" {
			return dst, nil
		}
		digits, err := minorDigits(currency)
		return appendAmount(dst, minor, digits), err
	}
	if n := col.number(d); n.Valid {
		return appendNumber(dst, n.Decimal), nil
	}
	return dst, nil
}

func (c *DifferencesCSV) flush() {
	if _, err := c.w.Write(c.buf); err != nil {
		c.err = fmt.Errorf("write differences.csv: %w", err)
	}
	c.buf = c.buf[:0]
}

// Close writes what is left. It does not close the writer below.
func (c *DifferencesCSV) Close() error {
	if c.err != nil {
		return c.err
	}
	if c.flush(); c.err == nil {
		c.err = errClosed
		return nil
	}
	return c.err
}

// DifferencesParquet writes differences.parquet: the rows and columns of
// differences.csv, typed. Text is a string, blank for none; everything else is
// null for none: dates are DATE, counts DECIMAL(18,0), amounts DECIMAL(18,4) in
// whatever currency their row names, quantities and prices DECIMAL(18,6), the
// exchange rate DECIMAL(18,9), all on int64. One row group is held in memory.
type DifferencesParquet struct {
	file    *parquetFile
	columns []parquetColumn
	rows    int // in the open row group
	count   int
	err     error
}

// NewDifferencesParquet returns an encoder that writes to w.
func NewDifferencesParquet(w io.Writer) *DifferencesParquet {
	p := &DifferencesParquet{file: newParquetFile(w)}
	p.file.root = "differences"
	for i := range differenceColumns {
		p.columns = append(p.columns, newDifferenceColumn(&differenceColumns[i]))
	}
	return p
}

// newDifferenceColumn describes a column to the Parquet file. Which accessor is
// set in it says only of which type it is: no line is ever asked.
func newDifferenceColumn(d *differenceColumn) parquetColumn {
	c := column{name: d.name, scale: d.scale, blankZero: d.text == nil}
	switch {
	case d.text != nil:
		c.text = func(*invoice.Line) *string { return nil }
		return parquetColumn{column: &c, words: newDictionary()}
	case d.date != nil:
		c.date = func(*invoice.Line) *pricing.Date { return nil }
	case d.amount != nil:
		c.scale = amountScale
	}
	return parquetColumn{column: &c, scale: c.scale}
}

// Encode writes one row.
func (p *DifferencesParquet) Encode(d *Difference) error {
	if p.err != nil {
		return p.err
	}
	p.count++
	for i := range p.columns {
		if err := p.columns[i].setDifference(&differenceColumns[i], d); err != nil {
			p.err = fmt.Errorf("write differences.parquet row %d (subscription %q): column %s: %w", p.count, d.SubscriptionID, differenceColumns[i].name, err)
			return p.err
		}
	}
	for i := range p.columns {
		p.columns[i].repeat()
	}
	if p.rows++; p.rows == parquetGroup {
		p.flush()
	}
	return p.err
}

// setDifference takes the value of a row.
func (p *parquetColumn) setDifference(c *differenceColumn, d *Difference) error {
	switch {
	case c.text != nil:
		return p.setText(c.text(d))
	case c.date != nil:
		day := c.date(d)
		p.value, p.null = int64(day), day == pricing.NoDate
	case c.count != nil:
		p.value, p.null = int64(c.count(d)), false
	case c.amount != nil:
		minor, currency := c.amount(d)
		p.value, p.null = 0, currency == ""
		if p.null {
			return nil
		}
		digits, err := minorDigits(currency)
		if err != nil {
			return err
		}
		unit := powersOfTen[amountScale-digits]
		if limit := (powersOfTen[maxDigits] - 1) / unit; minor > limit || minor < -limit {
			return errTooLarge
		}
		p.value = minor * unit
	default:
		n := c.number(d)
		p.value, p.null = 0, !n.Valid
		ok := true
		if n.Valid {
			p.value, ok = scaled(n.Decimal, p.scale)
		}
		if !ok {
			return fmt.Errorf("%s as DECIMAL(%d,%d): %w", n, maxDigits, p.scale, errTooLarge)
		}
	}
	return nil
}

func (p *DifferencesParquet) flush() {
	p.fail(p.file.writeGroup(p.columns, p.rows))
	for i := range p.columns {
		p.columns[i].reset()
	}
	p.rows = 0
}

func (p *DifferencesParquet) fail(err error) {
	if err != nil {
		p.err = fmt.Errorf("write differences.parquet: %w", err)
	}
}

// Close writes what is left and the footer. It does not close the writer below.
func (p *DifferencesParquet) Close() error {
	if p.err != nil {
		return p.err
	}
	if p.rows > 0 {
		p.flush()
	}
	if p.err == nil {
		p.fail(p.file.close(p.columns))
	}
	if p.err != nil {
		return p.err
	}
	p.err = errClosed
	return nil
}
