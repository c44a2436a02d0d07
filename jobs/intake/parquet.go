package intake

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// batch is how many values of a column are taken from a page at a time.
const batch = 256

// NewParquetChanges reads a Parquet file with one change a row. Columns go by
// name; groups count as dotted names, so `data` may be one. Text may be text or
// an enum, a number an integer, a DECIMAL or text, a time a TIMESTAMP in UTC or
// text, a date a DATE, a TIMESTAMP or text. Pages are read one by one.
func NewParquetChanges(src io.ReaderAt, size int64) (_ *ChangeReader, err error) {
	defer caught(&err)
	file, err := parquet.OpenFile(src, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(64<<10))
	if err != nil {
		return nil, fmt.Errorf("open changes as Parquet: %w", err)
	}
	p := &parquetChanges{groups: file.RowGroups()}
	var names []string
	errs := table.Errors{What: "changes"}
	walk(file.Root(), func(leaf *parquet.Column) {
		name := strings.Join(leaf.Path(), ".")
		names = append(names, name)
		p.columns = append(p.columns, parquetColumn{convert: converter(leaf.Type()), full: byte(leaf.MaxDefinitionLevel())})
		if leaf.MaxRepetitionLevel() > 0 {
			errs.Add(&table.Error{Column: name, Rule: "is a list: want one value a row"})
		}
	})
	if err := errs.Err(); err != nil {
		return nil, err
	}
	if p.mapping, err = newFlatColumns("changes", names); err != nil {
		return nil, err
	}
	walk(file.Root(), func(leaf *parquet.Column) {
		if p.mapping.fields[leaf.Index()] == fTime && localTime(leaf.Type()) {
			errs.Add(&table.Error{Column: names[leaf.Index()], Rule: "is a TIMESTAMP without a time zone: write it adjusted to UTC"})
		}
	})
	if err := errs.Err(); err != nil {
		return nil, err
	}
	return newChangeReader(p), nil
}

// caught turns a panic of the Parquet library over a damaged file into an error.
func caught(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("damaged Parquet file: %v", r)
	}
}

func walk(c *parquet.Column, leaf func(*parquet.Column)) {
	if c.Leaf() {
		leaf(c)
		return
	}
	for _, child := range c.Columns() {
		walk(child, leaf)
	}
}

type parquetChanges struct {
	mapping *flatColumns
	columns []parquetColumn
	groups  []parquet.RowGroup
	left    int64 // rows of the current group
	row     int64
	arena   []byte // the current row's cells
}

// parquetColumn walks through the pages of one column chunk. Page buffers are
// left to the garbage collector, because cells point into them.
type parquetColumn struct {
	convert func(arena []byte, v parquet.Value) (value, []byte)
	full    byte // the definition level of a value that is there; 0: all are
	pages   parquet.Pages

	// Of a page without a dictionary.
	values parquet.ValueReader
	buffer [batch]parquet.Value
	at, n  int

	// Of a page with one: which word each value is, and what words become, once
	// for the row group. Levels say which rows have a value, if some have none.
	indexes []int32
	levels  []byte
	words   []word
	of      parquet.Dictionary
}

// word is an entry of a dictionary as a cell.
type word struct {
	value value
	utf8  bool
}

func (p *parquetChanges) close() error {
	var errs []error
	for i := range p.columns {
		if c := &p.columns[i]; c.pages != nil {
			errs = append(errs, c.pages.Close())
			c.pages = nil
		}
	}
	return errors.Join(errs...)
}

func (p *parquetChanges) read(r *record) (_ int64, err error) {
	defer caught(&err)
	for p.left == 0 {
		if err := p.close(); err != nil {
			return 0, fmt.Errorf("read changes, row %d: %w", p.row, err)
		}
		if len(p.groups) == 0 {
			return 0, io.EOF
		}
		group := p.groups[0]
		p.groups, p.left = p.groups[1:], group.NumRows()
		for i, chunk := range group.ColumnChunks() {
			c := &p.columns[i]
			c.pages, c.values, c.at, c.n = chunk.Pages(), nil, 0, 0
			c.indexes, c.levels, c.words, c.of = nil, nil, nil, nil
		}
	}
	p.left--
	p.row++
	p.arena = p.arena[:0]
	for i := range p.columns {
		cell, arena, err := p.columns[i].next(p.arena)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, fmt.Errorf("read changes, row %d: %w", p.row, err)
		}
		p.arena = arena
		if !cell.utf8 {
			r.fail(p.mapping.names[i], nil, "is not UTF-8 text")
			continue
		}
		if cell.value.kind != absent {
			p.mapping.set(r, i, cell.value)
		}
	}
	return p.row, nil
}

// next returns the next cell. What does not stand in the file goes into the arena.
func (c *parquetColumn) next(arena []byte) (word, []byte, error) {
	for c.at == c.n && len(c.levels) == 0 && len(c.indexes) == 0 {
		if err := c.more(); err != nil {
			return word{}, arena, err
		}
	}
	if len(c.levels) > 0 {
		level := c.levels[0]
		c.levels = c.levels[1:]
		if level < c.full {
			return word{utf8: true}, arena, nil
		}
	}
	if len(c.indexes) > 0 {
		i := c.indexes[0]
		c.indexes = c.indexes[1:]
		return c.words[i], arena, nil
	}
	if c.at == c.n {
		return word{}, arena, parquet.ErrCorrupted // levels without values
	}
	cell := c.buffer[c.at]
	c.at++
	w, arena := c.word(arena, cell)
	return w, arena, nil
}

// word converts a value.
func (c *parquetColumn) word(arena []byte, cell parquet.Value) (word, []byte) {
	if cell.IsNull() {
		return word{utf8: true}, arena
	}
	v, arena := c.convert(arena, cell)
	return word{v, v.kind != text || utf8.Valid(v.text)}, arena
}

// more reads the next values, or the indexes of a page that has a dictionary.
func (c *parquetColumn) more() error {
	if c.values == nil {
		page, err := c.pages.ReadPage()
		if err != nil {
			return err
		}
		if of := page.Dictionary(); of != nil {
			return c.open(page, of)
		}
		c.values = page.Values()
	}
	n, err := c.values.ReadValues(c.buffer[:])
	c.at, c.n = 0, n
	if errors.Is(err, io.EOF) {
		c.values = nil
		err = nil
	}
	return err
}

// open begins a page that has a dictionary.
func (c *parquetColumn) open(page parquet.Page, of parquet.Dictionary) error {
	if of != c.of {
		c.of, c.words = of, make([]word, of.Len())
		var arena []byte // the words point into it
		for i := range c.words {
			c.words[i], arena = c.word(arena, of.Index(int32(i)))
		}
	}
	data := page.Data()
	c.indexes = data.Int32()
	if levels := page.DefinitionLevels(); c.full > 0 && len(levels) > 0 {
		if there := bytes.Count(levels, []byte{c.full}); there != len(c.indexes) {
			return fmt.Errorf("%w: a page of %d values has %d indexes", parquet.ErrCorrupted, there, len(c.indexes))
		}
		c.levels = levels
	}
	for _, i := range c.indexes {
		if uint(i) >= uint(len(c.words)) {
			return fmt.Errorf("%w: a page refers to entry %d of a dictionary of %d", parquet.ErrCorrupted, i, len(c.words))
		}
	}
	return nil
}

func localTime(t parquet.Type) bool {
	stamp, ok := logical(t).(*format.TimestampType)
	return ok && !stamp.IsAdjustedToUTC
}

func logical(t parquet.Type) format.LogicalTypeValue {
	if l := t.LogicalType(); l != nil {
		return l.Value
	}
	return nil
}

// converter returns how a column's values become cells. Characters that do
// not stand in the file go into the arena.
func converter(t parquet.Type) func([]byte, parquet.Value) (value, []byte) {
	// put returns what write has appended as a cell of the kind.
	put := func(k kind, write func([]byte, parquet.Value) []byte) func([]byte, parquet.Value) (value, []byte) {
		return func(arena []byte, v parquet.Value) (value, []byte) {
			from := len(arena)
			arena = write(arena, v)
			return value{k, arena[from:]}, arena
		}
	}
	wide := func(v parquet.Value) int64 {
		if v.Kind() == parquet.Int32 {
			return int64(v.Int32())
		}
		return v.Int64()
	}
	switch l := logical(t).(type) {
	case *format.DateType:
		return put(text, func(b []byte, v parquet.Value) []byte { return append(b, pricing.Date(v.Int32()).String()...) })
	case *format.TimestampType:
		zone := ""
		if l.IsAdjustedToUTC {
			zone = "Z"
		}
		return put(text, func(b []byte, v parquet.Value) []byte {
			return append(appendStamp(b, timestamp(v.Int64(), l.Unit)), zone...)
		})
	case *format.DecimalType:
		return put(number, func(b []byte, v parquet.Value) []byte {
			unscaled := new(big.Int)
			if k := v.Kind(); k == parquet.Int32 || k == parquet.Int64 {
				unscaled.SetInt64(wide(v))
			} else if raw := v.ByteArray(); len(raw) <= 32 {
				unscaled.SetBytes(raw)
				if len(raw) > 0 && raw[0] >= 0x80 { // two's complement
					unscaled.Sub(unscaled, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
				}
			} else {
				return append(b, "a DECIMAL of more than 32 bytes"...)
			}
			return append(b, decimal.NewFromBigInt(unscaled, -l.Scale).String()...)
		})
	case *format.UUIDType:
		return put(text, func(b []byte, v parquet.Value) []byte {
			raw := v.ByteArray()
			for i, n := range [...]int{4, 2, 2, 2, 6} {
				if len(raw) < n {
					break
				}
				if i > 0 {
					b = append(b, '-')
				}
				b = hex.AppendEncode(b, raw[:n])
				raw = raw[n:]
			}
			return b
		})
	case *format.IntType:
		if !l.IsSigned {
			return put(number, func(b []byte, v parquet.Value) []byte {
				if v.Kind() == parquet.Int32 {
					return strconv.AppendUint(b, uint64(v.Uint32()), 10)
				}
				return strconv.AppendUint(b, v.Uint64(), 10)
			})
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return put(boolean, func(b []byte, v parquet.Value) []byte { return strconv.AppendBool(b, v.Boolean()) })
	case parquet.Int32, parquet.Int64:
		return put(number, func(b []byte, v parquet.Value) []byte { return strconv.AppendInt(b, wide(v), 10) })
	case parquet.Int96: // the timestamps of old Spark versions, in UTC
		return put(text, func(b []byte, v parquet.Value) []byte {
			i := v.Int96()
			nanos := int64(uint64(i[1])<<32 | uint64(i[0]))
			const julian1970 = 2440588
			return time.Unix((int64(i[2])-julian1970)*86400, nanos).UTC().AppendFormat(b, time.RFC3339Nano)
		})
	case parquet.Float:
		return put(floating, func(b []byte, v parquet.Value) []byte { return strconv.AppendFloat(b, float64(v.Float()), 'g', -1, 32) })
	case parquet.Double:
		return put(floating, func(b []byte, v parquet.Value) []byte { return strconv.AppendFloat(b, v.Double(), 'g', -1, 64) })
	case parquet.ByteArray, parquet.FixedLenByteArray:
	}
	return func(arena []byte, v parquet.Value) (value, []byte) { return value{text, v.ByteArray()}, arena }
}

// appendStamp appends a time in UTC as 2006-01-02T15:04:05.999999999 does, which
// takes the library three times as long.
func appendStamp(b []byte, t time.Time) []byte {
	const day = 24 * 60 * 60
	if year := t.Year(); year < 0 || year > 9999 {
		return t.AppendFormat(b, "2006-01-02T15:04:05.999999999")
	}
	seconds := t.Unix()
	date := seconds / day
	if seconds -= date * day; seconds < 0 {
		date, seconds = date-1, seconds+day
	}
	two := func(b []byte, n int64) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }
	b = append(pricing.Date(date).Append(b), 'T')
	b = append(two(b, seconds/3600), ':')
	b = append(two(b, seconds/60%60), ':')
	b = two(b, seconds%60)
	fraction := t.Nanosecond()
	if fraction == 0 {
		return b
	}
	b = append(b, '.')
	for unit := 100_000_000; fraction > 0; unit /= 10 {
		b = append(b, byte('0'+fraction/unit))
		fraction %= unit
	}
	return b
}

func timestamp(n int64, unit format.TimeUnit) time.Time {
	switch unit.Value.(type) {
	case *format.MilliSeconds:
		return time.UnixMilli(n).UTC()
	case *format.NanoSeconds:
		return time.Unix(0, n).UTC()
	}
	return time.UnixMicro(n).UTC()
}
