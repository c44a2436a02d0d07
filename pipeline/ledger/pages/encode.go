package pages

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// A page holds so many rows, and of texts that stand by themselves about so many
// bytes: it is what must be decoded to find one customer.
const (
	pageRows  = 4096
	pageBytes = 16 << 10
)

// bounds are the least and the greatest value of a page, as the format has them;
// nil for none.
type bounds struct{ least, most []byte }

// widen takes in the bounds of another page.
func (b *bounds) widen(other bounds, compare func(a, b []byte) int) {
	switch {
	case other.least == nil:
	case b.least == nil:
		*b = other
	default:
		if compare(other.least, b.least) < 0 {
			b.least = other.least
		}
		if compare(other.most, b.most) > 0 {
			b.most = other.most
		}
	}
}

// only returns the values that are there, in dst where some are not.
func only[T any](dst, values []T, given []bool) []T {
	if given == nil {
		return values
	}
	dst = dst[:0]
	for i, v := range values {
		if given[i] {
			dst = append(dst, v)
		}
	}
	return dst
}

func (c *Numbers[T]) held() int                 { return len(c.Values) }
func (c *Numbers[T]) end(from int) int          { return from + pageRows }
func (c *Numbers[T]) encoding() format.Encoding { return format.DeltaBinaryPacked }

func (c *Numbers[T]) physical() format.Type {
	if c.wide() {
		return format.Int64
	}
	return format.Int32
}

// wide reports whether they have 64 bits.
func (c *Numbers[T]) wide() bool { return T(1)<<31 > 0 }

func (c *Numbers[T]) describe(e *format.SchemaElement) {
	if c.wide() {
		e.LogicalType.Value = &format.IntType{BitWidth: 64, IsSigned: true}
		e.ConvertedType = thrift.New(deprecated.Int64)
		return
	}
	e.LogicalType.Value = &format.IntType{BitWidth: 32, IsSigned: true}
	e.ConvertedType = thrift.New(deprecated.Int32)
}

func (c *Numbers[T]) appendPage(page []byte, from, to int, given []bool) ([]byte, bounds, error) {
	values := only(c.kept, c.Values[from:to], given)
	if given != nil {
		c.kept = values
	}
	var of bounds
	if len(values) > 0 {
		least, most := values[0], values[0]
		for _, v := range values {
			least, most = min(least, v), max(most, v)
		}
		of = bounds{c.bound(least), c.bound(most)}
	}
	var err error
	switch values := any(values).(type) {
	case []int32:
		c.packed, err = (&delta.BinaryPackedEncoding{}).EncodeInt32(c.packed[:0], values)
	case []int64:
		c.packed, err = (&delta.BinaryPackedEncoding{}).EncodeInt64(c.packed[:0], values)
	}
	return append(page, c.packed...), of, err
}

func (c *Numbers[T]) bound(v T) []byte {
	if c.wide() {
		return binary.LittleEndian.AppendUint64(nil, uint64(v))
	}
	return binary.LittleEndian.AppendUint32(nil, uint32(v))
}

func (c *Numbers[T]) compare(a, b []byte) int {
	if c.wide() {
		return cmp.Compare(int64(binary.LittleEndian.Uint64(a)), int64(binary.LittleEndian.Uint64(b)))
	}
	return cmp.Compare(int32(binary.LittleEndian.Uint32(a)), int32(binary.LittleEndian.Uint32(b)))
}

func (c *Flags) held() int                        { return len(c.Values) }
func (c *Flags) end(from int) int                 { return from + pageRows }
func (c *Flags) encoding() format.Encoding        { return format.Plain }
func (c *Flags) physical() format.Type            { return format.Boolean }
func (c *Flags) describe(e *format.SchemaElement) {}
func (c *Flags) compare(a, b []byte) int          { return bytes.Compare(a, b) }

func (c *Flags) appendPage(page []byte, from, to int, given []bool) ([]byte, bounds, error) {
	n := 0
	var has [2]bool
	for i, v := range c.Values[from:to] {
		if given != nil && !given[i] {
			continue
		}
		if n&7 == 0 {
			page = append(page, 0)
		}
		bit := byte(0)
		if v {
			bit = 1
		}
		page[len(page)-1] |= bit << (n & 7)
		has[bit] = true
		n++
	}
	switch has {
	case [2]bool{true, true}:
		return page, bounds{[]byte{0}, []byte{1}}, nil
	case [2]bool{true, false}:
		return page, bounds{[]byte{0}, []byte{0}}, nil
	case [2]bool{false, true}:
		return page, bounds{[]byte{1}, []byte{1}}, nil
	}
	return page, bounds{}, nil
}

func (c *Texts) held() int                 { return len(c.Values) }
func (c *Texts) encoding() format.Encoding { return format.DeltaLengthByteArray }
func (c *Texts) physical() format.Type     { return format.ByteArray }
func (c *Texts) compare(a, b []byte) int   { return bytes.Compare(a, b) }

func (c *Texts) describe(e *format.SchemaElement) { text(e) }

func text(e *format.SchemaElement) {
	e.LogicalType.Value = new(format.StringType)
	e.ConvertedType = thrift.New(deprecated.UTF8)
}

func (c *Texts) end(from int) int {
	size := 0
	for i := from; i < len(c.Values); i++ {
		size += len(c.Values[i])
		if size >= pageBytes || i-from == pageRows-1 {
			return i + 1
		}
	}
	return len(c.Values)
}

func (c *Texts) appendPage(page []byte, from, to int, given []bool) ([]byte, bounds, error) {
	// Most texts differ in their first bytes.
	var least, most string
	var low, high uint64
	c.lengths = c.lengths[:0]
	for i, s := range c.Values[from:to] {
		if given != nil && !given[i] {
			continue
		}
		switch p := prefix(s); {
		case len(c.lengths) == 0:
			least, low, most, high = s, p, s, p
		case p < low || p == low && s < least:
			least, low = s, p
		case p > high || p == high && s > most:
			most, high = s, p
		}
		c.lengths = append(c.lengths, int32(len(s)))
	}
	var err error
	if c.packed, err = (&delta.BinaryPackedEncoding{}).EncodeInt32(c.packed[:0], c.lengths); err != nil {
		return nil, bounds{}, err
	}
	page = append(page, c.packed...)
	for i, s := range c.Values[from:to] {
		if given == nil || given[i] {
			page = append(page, s...)
		}
	}
	if len(c.lengths) == 0 {
		return page, bounds{}, nil
	}
	return page, textBounds(least, most), nil
}

// prefix orders texts by their first bytes.
func prefix(s string) (p uint64) {
	if len(s) >= 8 {
		return uint64(s[7]) | uint64(s[6])<<8 | uint64(s[5])<<16 | uint64(s[4])<<24 |
			uint64(s[3])<<32 | uint64(s[2])<<40 | uint64(s[1])<<48 | uint64(s[0])<<56
	}
	for i := range len(s) {
		p |= uint64(s[i]) << (56 - 8*i)
	}
	return p
}

// Append adds a row with a text, to be written.
func (c *Names) Append(text string) {
	if n := len(c.Index); n > 0 && c.Values[c.Index[n-1]] == text {
		c.Index = append(c.Index, c.Index[n-1])
		return
	}
	switch {
	case c.others == nil:
		c.others, c.empty = make(map[string]int32), -1
	case text == "" && c.empty >= 0:
		c.Index = append(c.Index, c.empty)
		return
	}
	place := c.place(text)
	if text == "" {
		c.empty = place
	}
	c.Index = append(c.Index, place)
}

func (c *Names) held() int                        { return len(c.Index) }
func (c *Names) end(from int) int                 { return from + pageRows }
func (c *Names) encoding() format.Encoding        { return format.RLEDictionary }
func (c *Names) physical() format.Type            { return format.ByteArray }
func (c *Names) describe(e *format.SchemaElement) { text(e) }
func (c *Names) compare(a, b []byte) int          { return bytes.Compare(a, b) }

func (c *Names) appendPage(page []byte, from, to int, given []bool) ([]byte, bounds, error) {
	index := only(c.read, c.Index[from:to], given)
	if given != nil {
		c.read = index
	}
	width := bits.Len(uint(max(1, len(c.Values)) - 1))
	page = append(page, byte(width))
	if len(index) == 0 {
		return page, bounds{}, nil
	}
	var err error
	if c.packed, err = (&rle.Encoding{BitWidth: width}).EncodeInt32(c.packed[:0], index); err != nil {
		return nil, bounds{}, err
	}
	return append(page, c.packed...), c.boundsOf(index), nil
}

// boundsOf looks at each text once.
func (c *Names) boundsOf(index []int32) bounds {
	if len(c.Values) > len(c.seen) {
		c.seen = make([]int32, len(c.Values))
		c.pages = 0
	}
	c.pages++
	least, most := index[0], index[0]
	for _, i := range index {
		if c.seen[i] == c.pages {
			continue
		}
		c.seen[i] = c.pages
		if c.Values[i] < c.Values[least] {
			least = i
		} else if c.Values[i] > c.Values[most] {
			most = i
		}
	}
	return textBounds(c.Values[least], c.Values[most])
}

// maxBound is about how long the bounds of texts may be: who looks for a page
// reads those of all.
const maxBound = 64

// textBounds returns a text that is not above the least and one that is not below
// the greatest.
func textBounds(least, most string) bounds {
	if len(least) > maxBound {
		least = least[:runeStart(least, maxBound)]
	}
	return bounds{[]byte(least), []byte(above(most))}
}

// runeStart returns where the character begins that the nth byte is of.
func runeStart(s string, n int) int {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}

// above returns a short text that is not below s, if there is one: a beginning
// of it with a greater last character.
func above(s string) string {
	if len(s) <= maxBound {
		return s
	}
	for short := s[:runeStart(s, maxBound)]; short != ""; {
		last, size := utf8.DecodeLastRuneInString(short)
		short = short[:len(short)-size]
		if last++; last == 0xd800 {
			last = 0xe000 // what lies between is no character
		}
		if last <= utf8.MaxRune && size > 0 {
			return strings.Join([]string{short, string(last)}, "")
		}
	}
	return s
}
