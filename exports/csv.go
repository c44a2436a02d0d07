package exports

import (
	"errors"
	"fmt"
	"io"

	"github.com/calends/calends/pipeline/invoice"
)

// csvBuffer is how many bytes are collected before they are written. Larger
// ones measured no faster.
const csvBuffer = 64 << 10

// CSV writes reconciliation.csv: the header with the first bytes, then a row a
// line, in the order given. The text of an Account or Item is formatted once
// and copied while the pointer stays the same, so neither may change between
// two lines that share it. A line without an Item has its columns blank.
//
// A CSV that failed stays failed: what it wrote so far is no file.
type CSV struct {
	w      io.Writer
	buf    []byte
	err    error
	totals invoice.Totals
	// flushed counts the bytes that are no longer in buf.
	flushed int64

	// number is the invoice number of rows of blocks.
	number string

	account *invoice.Account
	item    *invoice.Item
	// runs holds, by index in csvRuns, the text of those of account and item.
	runs     [len(columns)][]byte
	blank    invoice.Item
	shared   invoice.Line // only its account and item
	currency string
	digits   int
	dates    dateTexts
}

// csvRun is columns[from:to], neighbours that belong to one owner.
type csvRun struct {
	owner    owner
	from, to int
}

var csvRuns = func() (runs []csvRun) {
	for i := range columns {
		if last := len(runs) - 1; last >= 0 && runs[last].owner == columns[i].owner {
			runs[last].to++
		} else {
			runs = append(runs, csvRun{columns[i].owner, i, i + 1})
		}
	}
	return runs
}()

// NewCSV returns an encoder that writes to w.
func NewCSV(w io.Writer) *CSV {
	return &CSV{w: w, buf: appendHeader(make([]byte, 0, csvBuffer+csvBuffer/4), Columns())}
}

// Encode writes one line.
func (c *CSV) Encode(l *invoice.Line) error {
	if c.err != nil {
		return c.err
	}
	if err := c.append(l); err != nil {
		c.err = encodeError("reconciliation.csv", c.totals.Lines+1, l, err)
		return c.err
	}
	c.totals.Add(l)
	if len(c.buf) >= csvBuffer {
		c.flush()
	}
	return c.err
}

// SetInvoice sets the invoice number of the rows of blocks that follow, "" in
// an open month.
func (c *CSV) SetInvoice(number string) { c.number = number }

// EncodeBlock writes rows from:to of a block: the bytes that its lines in full
// would give, one by one.
func (c *CSV) EncodeBlock(b *invoice.Block, from, to int) error {
	for i := from; i < to && c.err == nil; i++ {
		_ = c.Encode(inFull(b, i, c.number)) // kept in c.err
	}
	return c.err
}

// Close writes what is left. It does not close the writer below.
func (c *CSV) Close() error {
	if c.err != nil {
		return c.err
	}
	c.flush()
	if c.err != nil {
		return c.err
	}
	c.err = errClosed
	return nil
}

// Offset is where the next line will begin, in bytes from the file's start.
func (c *CSV) Offset() int64 { return c.flushed + int64(len(c.buf)) }

// Totals adds up the lines that were written.
func (c *CSV) Totals() invoice.Totals { return c.totals }

var errClosed = errors.New("encoder is closed")

func (c *CSV) flush() {
	if _, err := c.w.Write(c.buf); err != nil {
		c.err = fmt.Errorf("write reconciliation.csv: %w", err)
	}
	c.flushed += int64(len(c.buf))
	c.buf = c.buf[:0]
}

func (c *CSV) append(l *invoice.Line) (err error) {
	if err := c.prepare(l); err != nil {
		return err
	}
	for i, run := range csvRuns {
		if run.owner != ofLine {
			c.buf = append(c.buf, c.runs[i]...)
		} else if c.buf, err = c.appendRun(c.buf, run, l); err != nil {
			return err
		}
	}
	// Every run ends with a separator; the last one gives way to the row's end.
	c.buf = append(c.buf[:len(c.buf)-1], rowEnd...)
	return nil
}

// prepare renews what is kept from the line before.
func (c *CSV) prepare(l *invoice.Line) error {
	if l.Account == nil {
		return errNoAccount
	}
	if l.Account != c.account {
		c.shared.Account = l.Account
		if err := c.format(ofAccount, &c.shared); err != nil {
			return err
		}
		c.account = l.Account
	}
	item := l.Item
	if item == nil {
		item = &c.blank
	}
	if item != c.item {
		c.shared.Item = item
		if err := c.format(ofItem, &c.shared); err != nil {
			return err
		}
		c.item = item
	}
	if l.Currency != c.currency || c.currency == "" {
		digits, err := minorDigits(l.Currency)
		if err != nil {
			return fmt.Errorf("column Currency: %w", err)
		}
		c.currency, c.digits = l.Currency, digits
	}
	return nil
}

// format renders the runs of one owner.
func (c *CSV) format(of owner, l *invoice.Line) (err error) {
	for i, run := range csvRuns {
		if run.owner == of {
			if c.runs[i], err = c.appendRun(c.runs[i][:0], run, l); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *CSV) appendRun(dst []byte, run csvRun, l *invoice.Line) (_ []byte, err error) {
	for i := run.from; i < run.to; i++ {
		switch col := &columns[i]; {
		case col.text != nil:
			dst, err = appendText(dst, *col.text(l))
		case col.amount != nil:
			dst = appendAmount(dst, *col.amount(l), c.digits)
		case col.date != nil:
			dst, err = c.dates.append(dst, *col.date(l))
		default:
			if d := col.number(l); !col.blankZero || !d.IsZero() {
				dst = appendNumber(dst, *d)
			}
		}
		if err != nil {
			return dst, fmt.Errorf("column %s: %w", columns[i].name, err)
		}
		dst = append(dst, separator)
	}
	return dst, nil
}

var errNoAccount = errors.New("line has no account")

// encodeError says which line of which file could not be written.
func encodeError(file string, row int, l *invoice.Line, err error) error {
	return fmt.Errorf("write %s row %d (subscription %q, reference %q): %w", file, row, l.SubscriptionID, l.ReferenceID, err)
}

func appendHeader(dst []byte, names []string) []byte {
	for i, name := range names {
		if i > 0 {
			dst = append(dst, separator)
		}
		dst = append(dst, name...)
	}
	return append(dst, rowEnd...)
}
