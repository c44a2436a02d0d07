package exports

import (
	"errors"
	"fmt"
	"io"

	"github.com/calends/calends/pipeline/invoice"
)

// csvBuffer is how many bytes are collected before they are written, exactly as
// many at a time: a file that grows by whole blocks costs the system half of what
// pieces of other sizes do. Larger ones measured no faster.
const csvBuffer = 128 << 10

// CSV writes reconciliation.csv: the header with the first bytes, then a row a
// line, in the order given. The text of an Account or Item is formatted once
// and copied from then on, so neither may change between two lines that share
// it. A line without an Item has its columns blank.
//
// A CSV that failed stays failed: what it wrote so far is no file.
type CSV struct {
	w      io.Writer
	buf    []byte
	err    error
	totals invoice.Totals
	// flushed counts the bytes that are no longer in buf.
	flushed int64

	account sharedText[invoice.Account]
	item    *sharedText[invoice.Item]
	items   map[*invoice.Item]*sharedText[invoice.Item]
	shared  invoice.Line // only its account and item

	currency string
	digits   int
	dates    dateTexts

	// Of rows of blocks.
	number string // of the invoice
	head   rowHead
	rows   rowItems
	prices priceTexts
}

// sharedText is the text of all columns of an account or an item, each with its
// separator: the runs of its owner, one behind the other.
type sharedText[T any] struct {
	of   *T
	text []byte
	ends [8]int
}

func (t *sharedText[T]) run(n int) []byte {
	if n == 0 {
		return t.text[:t.ends[0]]
	}
	return t.text[t.ends[n-1]:t.ends[n]]
}

// maxItems bounds how many items a CSV remembers. A price list has fewer.
const maxItems = 10_000

// csvRun is columns[from:to], neighbours that belong to one owner, of whose runs
// it is the nth.
type csvRun struct {
	owner    owner
	from, to int
	nth      int
}

var csvRuns = func() (runs []csvRun) {
	var count [3]int
	for i := range columns {
		of := columns[i].owner
		if last := len(runs) - 1; last >= 0 && runs[last].owner == of {
			runs[last].to++
		} else {
			runs = append(runs, csvRun{of, i, i + 1, count[of]})
			count[of]++
		}
	}
	return runs
}()

// NewCSV returns an encoder that writes to w.
func NewCSV(w io.Writer) *CSV {
	return &CSV{
		w: w, buf: appendHeader(make([]byte, 0, 16<<10), Columns()), // most partners are small
		items: map[*invoice.Item]*sharedText[invoice.Item]{},
		rows:  rowItems{known: map[*invoice.Item]*rowItem{}},
	}
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
		c.flushBlocks()
	}
	return c.err
}

// Close writes what is left. It does not close the writer below.
func (c *CSV) Close() error {
	if c.err != nil {
		return c.err
	}
	c.flush(len(c.buf))
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

// flushBlocks writes what is a multiple of csvBuffer.
func (c *CSV) flushBlocks() { c.flush(len(c.buf) - len(c.buf)%csvBuffer) }

// flush writes the first n bytes.
func (c *CSV) flush(n int) {
	if _, err := c.w.Write(c.buf[:n]); err != nil {
		c.err = fmt.Errorf("write reconciliation.csv: %w", err)
	}
	c.flushed += int64(n)
	c.buf = c.buf[:copy(c.buf, c.buf[n:])]
}

func (c *CSV) append(l *invoice.Line) (err error) {
	if err := c.prepare(l.Account, l.Item, l.Currency); err != nil {
		return err
	}
	for _, run := range csvRuns {
		switch run.owner {
		case ofAccount:
			c.buf = append(c.buf, c.account.run(run.nth)...)
		case ofItem:
			c.buf = append(c.buf, c.item.run(run.nth)...)
		case ofLine:
			if c.buf, err = c.appendRun(c.buf, run, l); err != nil {
				return err
			}
		}
	}
	c.endRow()
	return nil
}

// endRow puts the row's end where its last field has left a separator.
func (c *CSV) endRow() { c.buf = append(c.buf[:len(c.buf)-1], rowEnd...) }

// prepare makes ready what lines share.
func (c *CSV) prepare(account *invoice.Account, item *invoice.Item, currency string) (err error) {
	if account == nil {
		return errNoAccount
	}
	if account != c.account.of {
		c.shared.Account = account
		c.account.of = nil
		if c.account.text, err = c.format(c.account.text, c.account.ends[:], ofAccount); err != nil {
			return err
		}
		c.account.of = account
	}
	if c.item == nil || item != c.item.of {
		if c.item, err = c.itemText(item); err != nil {
			return err
		}
	}
	if currency != c.currency || c.currency == "" {
		digits, err := minorDigits(currency)
		if err != nil {
			return fmt.Errorf("column Currency: %w", err)
		}
		c.currency, c.digits = currency, digits
	}
	return nil
}

// itemText returns the text of an item; of nil it is blank.
func (c *CSV) itemText(item *invoice.Item) (*sharedText[invoice.Item], error) {
	if t, ok := c.items[item]; ok {
		return t, nil
	}
	c.shared.Item = item
	if item == nil {
		c.shared.Item = &invoice.Item{}
	}
	t := &sharedText[invoice.Item]{of: item}
	var err error
	if t.text, err = c.format(nil, t.ends[:], ofItem); err != nil {
		return nil, err
	}
	if len(c.items) >= maxItems {
		clear(c.items)
	}
	c.items[item] = t
	return t, nil
}

// format renders the runs of one owner into text, and says where each ends.
func (c *CSV) format(text []byte, ends []int, of owner) (_ []byte, err error) {
	text = text[:0]
	for _, run := range csvRuns {
		if run.owner == of {
			if text, err = c.appendRun(text, run, &c.shared); err != nil {
				return text, err
			}
			ends[run.nth] = len(text)
		}
	}
	return text, nil
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
