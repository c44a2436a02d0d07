package exports

import (
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// parquetGroup bounds a row group, which is held in memory until it is written.
const parquetGroup = 131_072

// Parquet writes reconciliation.parquet: the rows and columns of the CSV, typed.
// Amounts are DECIMAL(18, the currency's digits), prices and quantities
// DECIMAL(18,6), the exchange rate DECIMAL(18,9), all on int64 and rounded half
// to even where the CSV has more digits; dates are DATE, null for none;
// everything else is a string with a dictionary, blank for none. A number of
// more than 18 digits is an error. All lines are in one currency.
//
// One row group of lines is held in memory, column by column. As in [CSV],
// neither Account nor Item may change between lines that share it, and a
// Parquet that failed stays failed.
type Parquet struct {
	file     *parquetFile
	columns  [len(columns)]parquetColumn
	currency string
	rows     int // in the open row group
	totals   invoice.Totals
	err      error
	// number is the invoice number of rows of blocks.
	number string

	account *invoice.Account
	item    *invoice.Item
	blank   invoice.Item
	shared  invoice.Line // only its account and item
}

// NewParquet returns an encoder of lines in one currency that writes to w.
func NewParquet(w io.Writer, currency string) (*Parquet, error) {
	digits, err := minorDigits(currency)
	if err != nil {
		return nil, fmt.Errorf("write reconciliation.parquet: %w", err)
	}
	p := &Parquet{file: newParquetFile(w), currency: currency}
	for i := range columns {
		p.columns[i] = newParquetColumn(&columns[i], digits)
	}
	return p, nil
}

// Encode writes one line.
func (p *Parquet) Encode(l *invoice.Line) error {
	if p.err != nil {
		return p.err
	}
	if err := p.append(l); err != nil {
		p.err = encodeError("reconciliation.parquet", p.totals.Lines+1, l, err)
		return p.err
	}
	p.totals.Add(l)
	if p.rows == parquetGroup {
		p.flush()
	}
	return p.err
}

// SetInvoice sets the invoice number of the rows of blocks that follow, "" in
// an open month.
func (p *Parquet) SetInvoice(number string) { p.number = number }

// EncodeBlock writes rows from:to of a block: the bytes that its lines in full
// would give, one by one.
func (p *Parquet) EncodeBlock(b *invoice.Block, from, to int) error {
	for i := from; i < to && p.err == nil; i++ {
		_ = p.Encode(inFull(b, i, p.number)) // kept in p.err
	}
	return p.err
}

// Close writes what is left and the footer. It does not close the writer below.
func (p *Parquet) Close() error {
	if p.err != nil {
		return p.err
	}
	if p.rows > 0 {
		p.flush()
	}
	if p.err == nil {
		p.fail(p.file.close(p.columns[:]))
	}
	if p.err != nil {
		return p.err
	}
	p.err = errClosed
	return nil
}

// Totals adds up the lines that were written.
func (p *Parquet) Totals() invoice.Totals { return p.totals }

func (p *Parquet) fail(err error) {
	if err != nil {
		p.err = fmt.Errorf("write reconciliation.parquet: %w", err)
	}
}

// flush writes the open row group and starts the next one.
func (p *Parquet) flush() {
	p.fail(p.file.writeGroup(p.columns[:], p.rows))
	for i := range p.columns {
		p.columns[i].reset()
	}
	p.rows, p.account, p.item = 0, nil, nil
}

func (p *Parquet) append(l *invoice.Line) error {
	if l.Account == nil {
		return errNoAccount
	}
	if l.Currency != p.currency {
		return fmt.Errorf("column Currency: line is in %q, the file in %s", l.Currency, p.currency)
	}
	if l.Account != p.account {
		p.shared.Account = l.Account
		if err := p.find(ofAccount, &p.shared); err != nil {
			return err
		}
		p.account = l.Account
	}
	item := l.Item
	if item == nil {
		item = &p.blank
	}
	if item != p.item {
		p.shared.Item = item
		if err := p.find(ofItem, &p.shared); err != nil {
			return err
		}
		p.item = item
	}
	if err := p.find(ofLine, l); err != nil {
		return err
	}
	for i := range p.columns {
		p.columns[i].repeat()
	}
	p.rows++
	return nil
}

// find sets the current value of the columns of one owner.
func (p *Parquet) find(of owner, l *invoice.Line) error {
	for i := range p.columns {
		if c := &p.columns[i]; c.owner == of {
			if err := c.set(l); err != nil {
				return fmt.Errorf("column %s: %w", c.name, err)
			}
		}
	}
	return nil
}

// parquetColumn is one column of the open row group. A text column holds
// indexes into its dictionary, which is in the order of first appearance.
type parquetColumn struct {
	*column
	scale int // of numbers and amounts

	// The value that the next row gets.
	index int32
	value int64
	null  bool

	indexes []int32
	values  []int64 // without the nulls
	defined []byte  // 0 for null, 1 for a value; of optional columns
	words   dictionary
}

func newParquetColumn(c *column, digits int) parquetColumn {
	p := parquetColumn{column: c, scale: c.scale}
	if c.amount != nil {
		p.scale = digits
	}
	if c.text != nil {
		p.words = newDictionary()
	}
	return p
}

// optional columns are those that may be blank without being text.
func (p *parquetColumn) optional() bool { return p.date != nil || p.blankZero }

var errTooLarge = errors.New("number has more than 18 digits")

// set takes the value of a line.
func (p *parquetColumn) set(l *invoice.Line) error {
	switch {
	case p.text != nil:
		return p.setText(*p.text(l))
	case p.amount != nil:
		p.value = *p.amount(l)
		if limit := powersOfTen[maxDigits]; p.value >= limit || p.value <= -limit {
			return errTooLarge
		}
	case p.date != nil:
		d := *p.date(l)
		p.value, p.null = int64(d), d == pricing.NoDate
	default:
		d := p.number(l)
		p.null = p.blankZero && d.IsZero()
		ok := false
		if p.value, ok = scaled(*d, p.scale); !ok {
			return fmt.Errorf("%s as DECIMAL(%d,%d): %w", d, maxDigits, p.scale, errTooLarge)
		}
	}
	return nil
}

// maxDictionary bounds a row group's dictionary, whose page the format measures
// in 31 bits.
const maxDictionary = 1 << 30

func (p *parquetColumn) setText(s string) error {
	if p.words.len() > 0 && string(p.words.text(p.index)) == s {
		return nil
	}
	index, hash, known := p.words.find(s)
	if !known {
		if !utf8.ValidString(s) {
			return errNotUTF8
		}
		if len(p.words.page)+len(s) > maxDictionary {
			return fmt.Errorf("more than %d bytes of text in %d lines", maxDictionary, parquetGroup)
		}
		index = p.words.add(s, hash)
	}
	p.index = index
	return nil
}

// repeat appends the current value as one more row.
func (p *parquetColumn) repeat() {
	if p.text != nil {
		p.indexes = append(p.indexes, p.index)
		return
	}
	if p.optional() {
		if p.null {
			p.defined = append(p.defined, 0)
			return
		}
		p.defined = append(p.defined, 1)
	}
	p.values = append(p.values, p.value)
}

func (p *parquetColumn) reset() {
	p.index, p.null = 0, false
	p.indexes, p.values, p.defined = p.indexes[:0], p.values[:0], p.defined[:0]
	if p.text != nil {
		p.words.reset()
	}
}
