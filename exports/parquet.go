package exports

import (
	"errors"
	"fmt"
	"io"
	"slices"
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
// everything else is a string, blank for none. A number of more than 18 digits
// is an error. All lines are in one currency.
//
// One row group of lines is held in memory, column by column. As in [CSV],
// neither Account nor Item may change between lines that share it, and a
// Parquet that failed stays failed.
type Parquet struct {
	file     *parquetFile
	columns  [len(columns)]parquetColumn
	of       [3][]*parquetColumn // by owner
	currency string
	rows     int // in the open row group
	totals   invoice.Totals
	err      error

	accounts sharers[invoice.Account]
	items    sharers[invoice.Item]
	blank    invoice.Item
	shared   invoice.Line // only its account and item

	// Of rows of blocks.
	number string // of the invoice
	rate   rowRate
	words  rowWords
}

// sharers are the distinct accounts or items of a row group. Whatever text of
// theirs a column holds, its index in the dictionary is looked up once for each.
type sharers[T any] struct {
	numbers map[*T]int32 // in the order of appearance
	last    *T
	number  int32   // of the last one
	rows    []int32 // by row, the number of its account or item
	placed  placed
}

// take makes one that is known the current one.
func (s *sharers[T]) take(one *T) bool {
	if one == s.last {
		return true
	}
	number, known := s.numbers[one]
	if known {
		s.last, s.number = one, number
	}
	return known
}

// add makes one that is not known yet the current one.
func (s *sharers[T]) add(one *T) {
	s.last, s.number = one, int32(len(s.numbers))
	s.numbers[one] = s.number
}

func (s *sharers[T]) reset() {
	if len(s.numbers) > maxItems {
		s.numbers = map[*T]int32{} // to clear a map costs what it once held
	}
	clear(s.numbers)
	s.last, s.rows = nil, s.rows[:0]
	s.placed.of = nil
}

// placed are the numbers of what the rows of blocks name by its place.
type placed struct {
	of      *invoice.Shared
	numbers []int32 // number + 1, 0 for one that was not looked up yet
}

// at returns where the number of a place stands.
func (p *placed) at(of *invoice.Shared, place int32, places int) *int32 {
	if p.of != of || int(place) >= len(p.numbers) {
		if p.of != of {
			p.numbers = p.numbers[:0]
		}
		from := len(p.numbers)
		p.of, p.numbers = of, slices.Grow(p.numbers, places-from)[:places]
		clear(p.numbers[from:])
	}
	return &p.numbers[place]
}

// NewParquet returns an encoder of lines in one currency that writes to w.
func NewParquet(w io.Writer, currency string) (*Parquet, error) {
	p := &Parquet{file: newParquetFile(w)}
	p.accounts.numbers, p.items.numbers = map[*invoice.Account]int32{}, map[*invoice.Item]int32{}
	for i := range columns {
		of := columns[i].owner
		p.columns[i] = newParquetColumn(&columns[i], 0)
		p.of[of] = append(p.of[of], &p.columns[i])
		switch of {
		case ofAccount:
			p.columns[i].sharedBy = &p.accounts.rows
		case ofItem:
			p.columns[i].sharedBy = &p.items.rows
		case ofLine:
		}
	}
	if err := p.Reset(w, currency); err != nil {
		return nil, err
	}
	return p, nil
}

// Reset makes the encoder write another file to w, whatever became of the one
// before, in the memory of that: a large row group takes some 50 MB, which are
// not quick to come by.
func (p *Parquet) Reset(w io.Writer, currency string) error {
	digits, err := minorDigits(currency)
	if err != nil {
		p.err = fmt.Errorf("write reconciliation.parquet: %w", err)
		return p.err
	}
	p.file.reset(w)
	p.clear()
	for i := range p.columns {
		if c := &p.columns[i]; c.amount != nil {
			c.scale = digits
		}
	}
	p.currency, p.number, p.totals, p.err = currency, "", invoice.Totals{}, nil
	return nil
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
	p.clear()
}

// clear forgets the open row group.
func (p *Parquet) clear() {
	for i := range p.columns {
		p.columns[i].reset()
	}
	p.accounts.reset()
	p.items.reset()
	p.rate, p.words = rowRate{}, rowWords{}
	p.rows = 0
}

func (p *Parquet) append(l *invoice.Line) error {
	if l.Account == nil {
		return errNoAccount
	}
	if l.Currency != p.currency {
		return fmt.Errorf("column Currency: line is in %q, the file in %s", l.Currency, p.currency)
	}
	if err := p.prepare(l.Account, l.Item); err != nil {
		return err
	}
	if err := p.find(ofLine, l); err != nil {
		return err
	}
	for _, c := range p.of[ofLine] {
		c.repeat()
	}
	p.addShared()
	p.rate.known = false
	p.rows++
	return nil
}

// prepare makes an account and an item the current ones.
func (p *Parquet) prepare(account *invoice.Account, item *invoice.Item) error {
	if item == nil {
		item = &p.blank
	}
	if !p.accounts.take(account) {
		p.shared.Account = account
		if err := p.find(ofAccount, &p.shared); err != nil {
			return err
		}
		p.accounts.add(account)
	}
	if !p.items.take(item) {
		p.shared.Item = item
		if err := p.find(ofItem, &p.shared); err != nil {
			return err
		}
		p.items.add(item)
	}
	return nil
}

// addShared gives one more row the current account and item.
func (p *Parquet) addShared() {
	p.accounts.rows = append(p.accounts.rows, p.accounts.number)
	p.items.rows = append(p.items.rows, p.items.number)
}

// find sets the current value of the columns of one owner.
func (p *Parquet) find(of owner, l *invoice.Line) error {
	for _, c := range p.of[of] {
		if err := c.set(l); err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
	}
	return nil
}

// parquetColumn is one column of the open row group. A text column holds
// indexes into its dictionary, which is in the order of first appearance; or the
// texts themselves where hardly one comes again.
type parquetColumn struct {
	*column
	scale int // of numbers and amounts

	// The value that the next row gets.
	index int32
	value int64
	null  bool

	words   dictionary
	indexes []int32 // by row; of a shared column by account or item
	// sharedBy points at the rows' accounts or items.
	sharedBy *[]int32
	ids      idTexts

	values  []int64 // without the nulls
	defined []byte  // 0 for null, 1 for a value; of optional columns
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
	case p.id:
		return setID(&p.ids, *p.text(l))
	case p.text != nil:
		if err := p.setText(*p.text(l)); err != nil || p.sharedBy == nil {
			return err
		}
		p.indexes = append(p.indexes, p.index)
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
	index, hash, known := findWord(&p.words, s)
	if !known {
		if !utf8.ValidString(s) {
			return errNotUTF8
		}
		if len(p.words.page)+len(s) > maxDictionary {
			return fmt.Errorf("more than %d bytes of text in %d lines", maxDictionary, parquetGroup)
		}
		index = addWord(&p.words, s, hash)
	}
	p.index = index
	return nil
}

// repeat appends the current value as one more row.
func (p *parquetColumn) repeat() {
	switch {
	case p.id:
		p.ids.repeat()
		return
	case p.text != nil:
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
	p.ids.reset()
	if p.text != nil {
		p.words.reset()
	}
}
