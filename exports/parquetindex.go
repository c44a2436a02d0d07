package exports

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// pageIndex says what stands in the pages of a column chunk and where, so that a
// reader can pass over those that it does not need. Numbers compare signed, text
// by bytes. An empty bound is a bound, nil is none.
type pageIndex struct {
	pages []pageSummary
	rows  int64
}

type pageSummary struct {
	least, most []byte
	nulls       int
	location    format.PageLocation
}

// addNumbers adds a page of so many rows with the values that are not null.
func (x *pageIndex) addNumbers(p *parquetColumn, values []int64, rows int) {
	if len(values) == 0 {
		x.add(nil, nil, rows, rows)
		return
	}
	x.add(p.appendValue(nil, slices.Min(values)), p.appendValue(nil, slices.Max(values)), rows, rows-len(values))
}

// add adds a page.
func (x *pageIndex) add(least, most []byte, rows, nulls int) {
	x.pages = append(x.pages, pageSummary{least: bound(least), most: bound(most), nulls: nulls, location: format.PageLocation{FirstRowIndex: x.rows}})
	x.rows += int64(rows)
}

// bound returns a bound that outlives the page that it is of.
func bound(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

// place says where the last page that was added stands.
func (x *pageIndex) place(offset int64, size int) {
	l := &x.pages[len(x.pages)-1].location
	l.Offset, l.CompressedPageSize = offset, int32(size)
}

// statistics are the bounds of the whole chunk.
func (x *pageIndex) statistics(p *parquetColumn) (s format.Statistics) {
	for i := range x.pages {
		page := &x.pages[i]
		s.NullCount += int64(page.nulls)
		switch {
		case page.least == nil:
			continue
		case s.MinValue == nil:
			s.MinValue, s.MaxValue = page.least, page.most
			continue
		}
		if p.compare(page.least, s.MinValue) < 0 {
			s.MinValue = page.least
		}
		if p.compare(page.most, s.MaxValue) > 0 {
			s.MaxValue = page.most
		}
	}
	return s
}

// maxBound is how long the bounds of a page of text are.
const maxBound = 64

// columnIndex says what stands in the pages. Long texts are cut.
func (x *pageIndex) columnIndex(p *parquetColumn) format.ColumnIndex {
	var c format.ColumnIndex
	for i := range x.pages {
		page := &x.pages[i]
		least, most := page.least, page.most
		if p.text != nil {
			least, most = notAbove(least), notBelow(most)
		}
		c.NullPages = append(c.NullPages, page.least == nil)
		c.MinValues = append(c.MinValues, bytes.Clone(least))
		c.MaxValues = append(c.MaxValues, bytes.Clone(most))
		c.NullCounts = append(c.NullCounts, int64(page.nulls))
	}
	c.BoundaryOrder = boundaryOrder(p, c)
	return c
}

// boundaryOrder says whether the bounds of pages with values only rise or only fall.
func boundaryOrder(p *parquetColumn, c format.ColumnIndex) format.BoundaryOrder {
	rises, falls, last := true, true, -1
	for i, null := range c.NullPages {
		if null {
			continue
		}
		if last >= 0 {
			least, most := p.compare(c.MinValues[i], c.MinValues[last]), p.compare(c.MaxValues[i], c.MaxValues[last])
			rises = rises && least >= 0 && most >= 0
			falls = falls && least <= 0 && most <= 0
		}
		last = i
	}
	switch {
	case rises:
		return format.Ascending
	case falls:
		return format.Descending
	}
	return format.Unordered
}

// offsetIndex says where the pages stand.
func (x *pageIndex) offsetIndex() (o format.OffsetIndex) {
	for i := range x.pages {
		o.PageLocations = append(o.PageLocations, x.pages[i].location)
	}
	return o
}

// notAbove returns a short text that is not greater than s.
func notAbove(s []byte) []byte {
	if len(s) <= maxBound {
		return s
	}
	n := maxBound
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// notBelow returns a short text that is not less than s, if there is one.
func notBelow(s []byte) []byte {
	if len(s) <= maxBound {
		return s
	}
	// A prefix with a greater last character is greater than all that begins
	// with the prefix.
	for short := notAbove(s); len(short) > 0; {
		last, size := utf8.DecodeLastRune(short)
		short = short[:len(short)-size]
		if last++; last == 0xd800 {
			last = 0xe000 // what lies between is no character
		}
		if last <= utf8.MaxRune {
			return utf8.AppendRune(bytes.Clone(short), last)
		}
	}
	return s
}

// compare compares two bounds.
func (p *parquetColumn) compare(a, b []byte) int {
	if p.text != nil {
		return bytes.Compare(a, b)
	}
	return cmp.Compare(p.valueOf(a), p.valueOf(b))
}

// valueOf reads what appendValue writes.
func (p *parquetColumn) valueOf(b []byte) int64 {
	if p.date != nil {
		return int64(int32(binary.LittleEndian.Uint32(b)))
	}
	return int64(binary.LittleEndian.Uint64(b))
}

// writeIndex writes the index of all pages and tells the row groups where it is.
func (f *parquetFile) writeIndex(columns []parquetColumn) error {
	for i := range f.indexes {
		chunk := &f.groups[i/len(columns)].Columns[i%len(columns)]
		index := f.indexes[i].columnIndex(&columns[i%len(columns)])
		n, err := f.writeThrift(&index)
		if err != nil {
			return err
		}
		chunk.ColumnIndexOffset, chunk.ColumnIndexLength = f.offset-int64(n), int32(n)
	}
	for i := range f.indexes {
		chunk := &f.groups[i/len(columns)].Columns[i%len(columns)]
		index := f.indexes[i].offsetIndex()
		n, err := f.writeThrift(&index)
		if err != nil {
			return err
		}
		chunk.OffsetIndexOffset, chunk.OffsetIndexLength = f.offset-int64(n), int32(n)
	}
	return nil
}

// writeThrift writes a structure and returns how many bytes it has.
func (f *parquetFile) writeThrift(v any) (int, error) {
	b, err := thrift.Marshal(new(thrift.CompactProtocol), v)
	if err != nil {
		return 0, err
	}
	return len(b), f.write(b)
}
