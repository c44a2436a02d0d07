package linebook

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// codes are small numbers, as narrow as the largest allows.
type codes struct {
	narrow []uint8
	middle []uint16
	wide   []uint32
}

func (c *codes) at(row int) uint32 {
	switch {
	case c.narrow != nil:
		return uint32(c.narrow[row])
	case c.middle != nil:
		return uint32(c.middle[row])
	}
	return c.wide[row]
}

// add appends a code. rows is how many there will be, for the room.
func (c *codes) add(code uint32, rows int) {
	switch {
	case c.wide != nil:
		c.wide = append(c.wide, code)
	case code > math.MaxUint16:
		c.wide = widened[uint32](c.narrow, c.middle, rows)
		c.narrow, c.middle = nil, nil
		c.wide = append(c.wide, code)
	case c.middle != nil:
		c.middle = append(c.middle, uint16(code))
	case code > math.MaxUint8:
		c.middle = widened[uint16](c.narrow, nil, rows)
		c.narrow = nil
		c.middle = append(c.middle, uint16(code))
	default:
		if c.narrow == nil {
			c.narrow = make([]uint8, 0, rows)
		}
		c.narrow = append(c.narrow, uint8(code))
	}
}

func widened[T uint16 | uint32](narrow []uint8, middle []uint16, rows int) []T {
	wide := make([]T, 0, max(rows, len(narrow)+len(middle)+1))
	for _, c := range narrow {
		wide = append(wide, T(c))
	}
	for _, c := range middle {
		wide = append(wide, T(c))
	}
	return wide
}

func (c *codes) size() int64 {
	return int64(cap(c.narrow) + 2*cap(c.middle) + 4*cap(c.wide))
}

// dictionary is a run of columns of which many rows have the same text. It stands as the
// file has it, with its separators and quotes.
type dictionary struct {
	texts []string
	rows  codes
	// While the book is made.
	known map[string]uint32
	last  []byte // the text of the row before
	code  uint32
}

func newDictionary() *dictionary { return &dictionary{known: make(map[string]uint32)} }

func (d *dictionary) add(text []byte, rows int) {
	if len(d.texts) == 0 || !bytes.Equal(text, d.last) {
		code, known := d.known[string(text)]
		if !known {
			code = uint32(len(d.texts))
			d.texts = append(d.texts, string(text))
			d.known[d.texts[code]] = code
		}
		d.code, d.last = code, append(d.last[:0], text...)
	}
	d.rows.add(d.code, rows)
}

func (d *dictionary) done() {
	d.known, d.last = nil, nil
	d.texts = slices.Clip(d.texts)
}

func (d *dictionary) of(row int) string { return d.texts[d.rows.at(row)] }

func (d *dictionary) size() int64 {
	n := d.rows.size()
	for _, t := range d.texts {
		n += int64(len(t)) + 16
	}
	return n
}

// idColumn is a column of which nearly every row has another text. One that is a UUID in
// small letters takes 17 bytes, any other its length and one or two. Where every
// sixteenth begins is noted.
type idColumn struct {
	data  []byte
	marks []uint32
	rows  int
}

const (
	marked = 16 // rows for each mark
	isUUID = 0  // where a length would stand: that of a text is one more
)

var errTooLarge = errors.New("more than 4 GB of ids")

func (c *idColumn) add(text []byte, rows int) error {
	if c.data == nil {
		c.data = make([]byte, 0, 17*rows)
		c.marks = make([]uint32, 0, rows/marked+1)
	}
	if c.rows%marked == 0 {
		if uint64(len(c.data)) > math.MaxUint32 {
			return errTooLarge
		}
		c.marks = append(c.marks, uint32(len(c.data)))
	}
	c.rows++
	c.data = appendID(c.data, text)
	return nil
}

func appendID(dst, text []byte) []byte {
	var id [16]byte
	if parseUUID(&id, text) {
		return append(append(dst, isUUID), id[:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(text))+1)
	return append(dst, text...)
}

func (c *idColumn) done() {
	if cap(c.data)-len(c.data) > cap(c.data)/8 {
		c.data = slices.Clip(slices.Clone(c.data))
	}
}

// next takes the id at the beginning of data apart: its kind, its bytes, what follows.
func next(data []byte) (uuid bool, id, rest []byte) {
	if data[0] == isUUID {
		return true, data[1:17], data[17:]
	}
	length, n := binary.Uvarint(data)
	end := n + int(length) - 1
	return false, data[n:end], data[end:]
}

func (c *idColumn) append(dst []byte, row int) []byte {
	data := c.data[c.marks[row/marked]:]
	for range row % marked {
		_, _, data = next(data)
	}
	uuid, id, _ := next(data)
	if !uuid {
		return append(dst, id...)
	}
	return appendUUID(dst, id)
}

// having returns the rows of a text as the file has it.
func (c *idColumn) having(text []byte) (rows []int) {
	wanted := appendID(nil, text)
	data := c.data
	for row := range c.rows {
		_, _, rest := next(data)
		if bytes.Equal(data[:len(data)-len(rest)], wanted) {
			rows = append(rows, row)
		}
		data = rest
	}
	return rows
}

func (c *idColumn) size() int64 { return int64(cap(c.data) + 4*cap(c.marks)) }

const hexDigits = "0123456789abcdef"

// hyphens are before these bytes of a UUID.
func hyphened(i int) bool { return i == 4 || i == 6 || i == 8 || i == 10 }

// parseUUID reads the one spelling that appendUUID writes.
func parseUUID(id *[16]byte, text []byte) bool {
	if len(text) != 36 {
		return false
	}
	at := 0
	for i := range id {
		if hyphened(i) {
			if text[at] != '-' {
				return false
			}
			at++
		}
		high, low := hexValue[text[at]], hexValue[text[at+1]]
		if high|low > 15 {
			return false
		}
		id[i] = high<<4 | low
		at += 2
	}
	return true
}

var hexValue = func() (t [256]uint8) {
	for i := range t {
		t[i] = 255
	}
	for i, c := range []byte(hexDigits) {
		t[c] = uint8(i)
	}
	return t
}()

func appendUUID(dst, id []byte) []byte {
	for i, b := range id {
		if hyphened(i) {
			dst = append(dst, '-')
		}
		dst = append(dst, hexDigits[b>>4], hexDigits[b&15])
	}
	return dst
}
