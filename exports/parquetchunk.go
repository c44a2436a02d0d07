package exports

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"slices"

	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// chunkWriter writes the pages of one column of a row group. How they are
// encoded follows from the values alone.
type chunkWriter struct {
	*parquetFile
	column *parquetColumn
	rows   int
	meta   format.ColumnMetaData
	index  pageIndex
}

func (c *chunkWriter) write() error {
	p := c.column
	c.meta = format.ColumnMetaData{
		Type:         p.physicalType(),
		Encoding:     []format.Encoding{format.RLE, format.Plain},
		PathInSchema: []string{p.name},
		Codec:        format.Zstd,
		NumValues:    int64(c.rows),
	}
	var err error
	switch {
	case p.text == nil:
		err = c.writeNumbers()
	case !p.id:
		err = c.writeTexts(p.sharedBy, p.indexes)
	default:
		if numbers := p.ids.index(&p.words); numbers != nil {
			err = c.writeTexts(&p.ids.rows, numbers)
		} else {
			err = c.writeIDs()
		}
	}
	c.meta.Statistics = c.index.statistics(p)
	return err
}

// writeNumbers writes numbers and dates: by a dictionary unless it would be long.
func (c *chunkWriter) writeNumbers() error {
	p := c.column
	encoding := format.Plain
	if c.numbers.index(p.values, len(p.values)/4) {
		encoding = format.RLEDictionary
		c.page = c.page[:0]
		for _, v := range c.numbers.values {
			c.page = p.appendValue(c.page, v)
		}
		if err := c.writeDictionary(len(c.numbers.values), c.page); err != nil {
			return err
		}
	}
	done := 0 // values
	for from := 0; from < c.rows; from += parquetPage {
		to := min(from+parquetPage, c.rows)
		c.page = c.page[:0]
		count := to - from
		if p.optional() {
			levels := p.defined[from:to]
			count = bytesSet(levels)
			if err := c.appendLevels(levels, count); err != nil {
				return err
			}
		}
		values := p.values[done : done+count]
		if encoding == format.Plain {
			for _, v := range values {
				c.page = p.appendValue(c.page, v)
			}
		} else if err := c.appendIndexes(c.numbers.indexes[done:done+count], len(c.numbers.values)); err != nil {
			return err
		}
		done += count
		c.index.addNumbers(p, values, to-from)
		if err := c.writeData(to-from, encoding); err != nil {
			return err
		}
	}
	return nil
}

// bytesSet counts the ones among zeros and ones.
func bytesSet(levels []byte) (n int) {
	for _, d := range levels {
		n += int(d)
	}
	return n
}

// appendLevels appends which of the rows of a page have a value.
func (c *chunkWriter) appendLevels(levels []byte, count int) (err error) {
	if count == 0 || count == len(levels) {
		c.levels = append(binary.AppendUvarint(c.levels[:0], uint64(len(levels))<<1), levels[0])
	} else if c.levels, err = (&rle.Encoding{BitWidth: 1}).EncodeLevels(c.levels[:0], levels); err != nil {
		return err
	}
	c.page = binary.LittleEndian.AppendUint32(c.page, uint32(len(c.levels)))
	c.page = append(c.page, c.levels...)
	return nil
}

// appendIndexes appends indexes into a dictionary of so many values.
func (c *chunkWriter) appendIndexes(indexes []int32, values int) (err error) {
	width := bits.Len(uint(max(1, values) - 1))
	c.page = append(c.page, byte(width))
	if width == 0 {
		c.page = binary.AppendUvarint(c.page, uint64(len(indexes))<<1)
		return nil
	}
	c.levels, err = (&rle.Encoding{BitWidth: width}).EncodeInt32(c.levels[:0], indexes)
	c.page = append(c.page, c.levels...)
	return err
}

// writeTexts writes texts by their dictionary: indexes are those of the rows or,
// if by is set, of what it says that the rows share.
func (c *chunkWriter) writeTexts(by *[]int32, indexes []int32) error {
	words := &c.column.words
	if err := c.writeDictionary(words.len(), words.page); err != nil {
		return err
	}
	pages := c.sharedPages(by, indexes)
	for i, from := 0, 0; from < c.rows; i, from = i+1, from+parquetPage {
		to := min(from+parquetPage, c.rows)
		if i == len(pages.of) {
			of := c.resolve(by, indexes, from, to)
			c.page = c.page[:0]
			if err := c.appendIndexes(of, words.len()); err != nil {
				return err
			}
			if err := c.pack(); err != nil {
				return err
			}
			pages.of = append(pages.of, packedPage{size: len(c.page), packed: slices.Clone(c.packed), seen: c.seen(of, words.len())})
		}
		page := &pages.of[i]
		least, most := words.boundsOf(page.seen)
		c.index.add(least, most, to-from, 0)
		if err := c.writePacked(dataHeader(to-from, format.RLEDictionary), page.size, page.packed); err != nil {
			return err
		}
	}
	return nil
}

// sharedPages are the data pages of the columns of a row group that have the same
// indexes, as have a customer's id, name and domain.
type sharedPages struct {
	by      *[]int32
	indexes []int32
	of      []packedPage
}

type packedPage struct {
	size   int // before it was compressed
	packed []byte
	seen   []int32 // the distinct indexes
}

// sharedPages returns the pages of another column with the same indexes, or new ones.
func (c *chunkWriter) sharedPages(by *[]int32, indexes []int32) *sharedPages {
	for i := range c.shared {
		if s := &c.shared[i]; s.by == by && slices.Equal(s.indexes, indexes) {
			return s
		}
	}
	c.shared = append(c.shared, sharedPages{by: by, indexes: indexes})
	return &c.shared[len(c.shared)-1]
}

// resolve returns the indexes of rows from:to.
func (c *chunkWriter) resolve(by *[]int32, indexes []int32, from, to int) []int32 {
	if by == nil {
		return indexes[from:to]
	}
	c.texts = c.texts[:0]
	for _, n := range (*by)[from:to] {
		c.texts = append(c.texts, indexes[n])
	}
	return c.texts
}

// seen returns the distinct ones of the indexes of a page.
func (c *chunkWriter) seen(indexes []int32, values int) (distinct []int32) {
	if values == 1 {
		return []int32{0}
	}
	c.marks = slices.Grow(c.marks[:0], values)[:values]
	clear(c.marks)
	last := int32(-1)
	for _, n := range indexes {
		if n != last && c.marks[n] == 0 {
			c.marks[n] = 1
			distinct = append(distinct, n)
		}
		last = n
	}
	return distinct
}

// writeIDs writes texts as they are.
func (c *chunkWriter) writeIDs() error {
	ids := &c.column.ids
	for from := 0; from < c.rows; from += parquetPage {
		to := min(from+parquetPage, c.rows)
		least, most := ids.bounds(from, to)
		c.index.add(least, most, to-from, 0)
		size := 0
		if ids.fit() {
			c.repeats = ids.repeats(c.repeats[:0], from, to)
			c.packed, size = c.ids.Append(c.packed[:0], ids.span(from, to), c.repeats)
		} else {
			c.page = ids.appendPage(c.page[:0], from, to)
			if err := c.pack(); err != nil {
				return err
			}
			size = len(c.page)
		}
		if err := c.writePacked(dataHeader(to-from, format.Plain), size, c.packed); err != nil {
			return err
		}
	}
	return nil
}

func (c *chunkWriter) writeDictionary(values int, page []byte) error {
	c.meta.Encoding = append(c.meta.Encoding, format.RLEDictionary)
	c.meta.DictionaryPageOffset = c.position()
	var err error
	if c.packed, err = c.codec.Encode(c.packed[:0], page); err != nil {
		return err
	}
	return c.writePacked(format.PageHeader{
		Type:                 format.DictionaryPage,
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(values), Encoding: format.Plain}),
	}, len(page), c.packed)
}

// writeData writes c.page as a data page.
func (c *chunkWriter) writeData(rows int, encoding format.Encoding) error {
	if err := c.pack(); err != nil {
		return err
	}
	return c.writePacked(dataHeader(rows, encoding), len(c.page), c.packed)
}

// pack compresses c.page into c.packed.
func (c *chunkWriter) pack() (err error) {
	c.packed, err = c.codec.Encode(c.packed[:0], c.page)
	return err
}

func dataHeader(rows int, encoding format.Encoding) format.PageHeader {
	return format.PageHeader{
		Type: format.DataPage,
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues:               int32(rows),
			Encoding:                encoding,
			DefinitionLevelEncoding: format.RLE,
			RepetitionLevelEncoding: format.RLE,
		}),
	}
}

// writePacked writes a page of so many bytes that is compressed already.
func (c *chunkWriter) writePacked(header format.PageHeader, size int, packed []byte) error {
	header.UncompressedPageSize = int32(size)
	header.CompressedPageSize = int32(len(packed))
	header.CRC = int32(crc32.ChecksumIEEE(packed))
	head, err := thrift.Marshal(new(thrift.CompactProtocol), &header)
	if err != nil {
		return err
	}
	if header.Type == format.DataPage {
		if c.meta.DataPageOffset == 0 {
			c.meta.DataPageOffset = c.position()
		}
		c.index.place(c.position(), len(head)+len(packed))
	}
	c.meta.TotalUncompressedSize += int64(len(head) + size)
	c.meta.TotalCompressedSize += int64(len(head) + len(packed))
	if err := c.parquetFile.write(head); err != nil {
		return err
	}
	return c.parquetFile.write(packed)
}
