package pages

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const magic = "PAR1"

// Writer makes a Parquet file of the columns that were added to it: row groups of
// column chunks, each an optional dictionary page and data pages of version 1,
// then the index of all pages and the footer. The structures and encodings are the
// library's. Its own writers take rows and look at every value of every column
// several times.
//
// The file follows from the values alone: same values, same bytes.
type Writer struct {
	schema, by string
	chunks     []*chunk
	groups     []format.RowGroup
	file       []byte

	codec                zstd.Codec
	page, packed, levels []byte
}

// chunk is a column of the open row group, and what is known of its pages.
type chunk struct {
	name   string
	column Column
	given  *[]bool
	bytes  bool                    // no text
	codec  format.CompressionCodec // the library wants the same in all row groups

	columnIndexes []format.ColumnIndex // by row group
	offsetIndexes []format.OffsetIndex
}

// NewWriter returns a writer of a file with a name for its schema and of who made it.
func NewWriter(schema, by string) *Writer {
	return &Writer{schema: schema, by: by, file: []byte(magic),
		codec: zstd.Codec{Level: zstd.SpeedFastest, Concurrency: 1}}
}

// Add has a column written. Columns are added before the first row group is written.
func (w *Writer) Add(name string, c Column) { w.AddOptional(name, c, nil) }

// AddOptional has a column written of which some values may be missing: given says
// which are there. A missing value has a place in the column all the same.
func (w *Writer) AddOptional(name string, c Column, given *[]bool) {
	w.chunks = append(w.chunks, &chunk{name: name, column: c, given: given, codec: format.Zstd})
}

// AddBytes has a column written that is no text but hashes and the like.
func (w *Writer) AddBytes(name string, c *Texts) {
	w.chunks = append(w.chunks, &chunk{name: name, column: c, bytes: true, codec: format.Zstd})
}

// Group writes what the columns hold as the next row group, and empties them.
func (w *Writer) Group() error {
	rows := w.chunks[0].column.held()
	group := format.RowGroup{NumRows: int64(rows), Ordinal: int16(len(w.groups)), FileOffset: int64(len(w.file))}
	for _, c := range w.chunks {
		if n := c.column.held(); n != rows || c.given != nil && len(*c.given) != rows {
			return fmt.Errorf("column %s has %d rows where %s has %d", c.name, n, w.chunks[0].name, rows)
		}
		meta, err := w.chunk(c, rows)
		if err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
		group.Columns = append(group.Columns, format.ColumnChunk{FileOffset: meta.DataPageOffset, MetaData: meta})
		group.TotalByteSize += meta.TotalUncompressedSize
		group.TotalCompressedSize += meta.TotalCompressedSize
		c.column.clear()
		c.column.group()
		if c.given != nil {
			*c.given = (*c.given)[:0]
		}
	}
	w.groups = append(w.groups, group)
	return nil
}

// chunk writes the pages of a column.
func (w *Writer) chunk(c *chunk, rows int) (meta format.ColumnMetaData, err error) {
	encoding := c.column.encoding()
	meta = format.ColumnMetaData{
		Type: c.column.physical(), Encoding: []format.Encoding{format.RLE, encoding}, PathInSchema: []string{c.name},
		Codec: c.codec, NumValues: int64(rows),
	}
	if names, ok := c.column.(*Names); ok {
		meta.Encoding = append(meta.Encoding, format.Plain)
		meta.DictionaryPageOffset = int64(len(w.file))
		w.page = w.page[:0]
		for _, text := range names.Values {
			w.page = append(binary.LittleEndian.AppendUint32(w.page, uint32(len(text))), text...)
		}
		header := format.PageHeader{Type: format.DictionaryPage,
			DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(len(names.Values)), Encoding: format.Plain})}
		if err := w.put(&meta, header); err != nil {
			return meta, err
		}
	}
	meta.DataPageOffset = int64(len(w.file))
	var index format.ColumnIndex
	var offsets format.OffsetIndex
	var all bounds
	for from := 0; from < rows; {
		to := min(rows, c.column.end(from))
		var given []bool
		nulls := 0
		w.page = w.page[:0]
		if c.given != nil {
			given = (*c.given)[from:to]
			if nulls, err = w.appendGiven(given); err != nil {
				return meta, err
			}
		}
		var of bounds
		if w.page, of, err = c.column.appendPage(w.page, from, to, given); err != nil {
			return meta, err
		}
		if from == 0 && len(w.groups) == 0 && meta.DictionaryPageOffset == 0 {
			if c.codec, err = w.worth(); err != nil {
				return meta, err
			}
			meta.Codec = c.codec
		}
		at := len(w.file)
		header := format.PageHeader{Type: format.DataPage, DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: int32(to - from), Encoding: encoding, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE})}
		if err := w.put(&meta, header); err != nil {
			return meta, err
		}
		offsets.PageLocations = append(offsets.PageLocations,
			format.PageLocation{Offset: int64(at), CompressedPageSize: int32(len(w.file) - at), FirstRowIndex: int64(from)})
		index.NullPages = append(index.NullPages, nulls == to-from)
		index.NullCounts = append(index.NullCounts, int64(nulls))
		index.MinValues, index.MaxValues = append(index.MinValues, of.least), append(index.MaxValues, of.most)
		meta.Statistics.NullCount += int64(nulls)
		all.widen(of, c.column.compare)
		from = to
	}
	meta.Statistics.MinValue, meta.Statistics.MaxValue = all.least, all.most
	c.columnIndexes, c.offsetIndexes = append(c.columnIndexes, index), append(c.offsetIndexes, offsets)
	return meta, nil
}

// appendGiven appends which values of a page are there, and counts those that are not.
func (w *Writer) appendGiven(given []bool) (nulls int, err error) {
	levels := make([]byte, len(given))
	for i, there := range given {
		if there {
			levels[i] = 1
		} else {
			nulls++
		}
	}
	if w.levels, err = (&rle.Encoding{BitWidth: 1}).EncodeLevels(w.levels[:0], levels); err != nil {
		return 0, err
	}
	w.page = binary.LittleEndian.AppendUint32(w.page, uint32(len(w.levels)))
	w.page = append(w.page, w.levels...)
	return nulls, nil
}

// worth tells by the first page of a column, w.page, whether it is to be compressed:
// in ids and hashes nothing repeats, and numbers are packed already.
func (w *Writer) worth() (codec format.CompressionCodec, err error) {
	if w.packed, err = w.codec.Encode(w.packed[:0], w.page); err != nil || len(w.packed) < len(w.page)*9/10 {
		return format.Zstd, err
	}
	return format.Uncompressed, nil
}

// put writes w.page.
func (w *Writer) put(meta *format.ColumnMetaData, header format.PageHeader) (err error) {
	if len(w.page) > math.MaxInt32 {
		return fmt.Errorf("a page of %d bytes is longer than the format can say", len(w.page))
	}
	packed := w.page
	if meta.Codec == format.Zstd {
		if w.packed, err = w.codec.Encode(w.packed[:0], w.page); err != nil {
			return err
		}
		packed = w.packed
	}
	header.UncompressedPageSize, header.CompressedPageSize = int32(len(w.page)), int32(len(packed))
	header.CRC = int32(crc32.ChecksumIEEE(packed))
	head, err := thrift.Marshal(new(thrift.CompactProtocol), &header)
	if err != nil {
		return err
	}
	meta.TotalUncompressedSize += int64(len(head) + len(w.page))
	meta.TotalCompressedSize += int64(len(head) + len(packed))
	w.append(head)
	w.append(packed)
	return nil
}

// append makes room for as much again: by itself a long slice grows by a quarter.
func (w *Writer) append(b []byte) {
	if cap(w.file)-len(w.file) < len(b) {
		w.file = slices.Grow(w.file, len(w.file)+len(b))
	}
	w.file = append(w.file, b...)
}

// Close returns the file. A file without rows is a good file, too.
func (w *Writer) Close() ([]byte, error) {
	if err := w.index(); err != nil {
		return nil, err
	}
	meta := format.FileMetaData{Version: 2, CreatedBy: w.by, RowGroups: w.groups,
		Schema: []format.SchemaElement{{Name: w.schema, NumChildren: thrift.New(int32(len(w.chunks)))}}}
	for _, c := range w.chunks {
		meta.Schema = append(meta.Schema, c.schema())
		meta.ColumnOrders = append(meta.ColumnOrders, format.ColumnOrder{Value: new(format.TypeDefinedOrder)})
	}
	for i := range w.groups {
		meta.NumRows += w.groups[i].NumRows
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &meta)
	if err != nil {
		return nil, err
	}
	w.append(footer)
	w.file = binary.LittleEndian.AppendUint32(w.file, uint32(len(footer)))
	return append(w.file, magic...), nil
}

// index writes the index of all pages and tells the row groups where it is: all
// that the pages hold, then where all stand.
func (w *Writer) index() error {
	for g := range w.groups {
		for i, c := range w.chunks {
			b, err := thrift.Marshal(new(thrift.CompactProtocol), &c.columnIndexes[g])
			if err != nil {
				return err
			}
			at := &w.groups[g].Columns[i]
			at.ColumnIndexOffset, at.ColumnIndexLength = int64(len(w.file)), int32(len(b))
			w.append(b)
		}
	}
	for g := range w.groups {
		for i, c := range w.chunks {
			b, err := thrift.Marshal(new(thrift.CompactProtocol), &c.offsetIndexes[g])
			if err != nil {
				return err
			}
			at := &w.groups[g].Columns[i]
			at.OffsetIndexOffset, at.OffsetIndexLength = int64(len(w.file)), int32(len(b))
			w.append(b)
		}
	}
	return nil
}

func (c *chunk) schema() format.SchemaElement {
	e := format.SchemaElement{Name: c.name, Type: thrift.New(c.column.physical()), RepetitionType: thrift.New(format.Required)}
	if c.given != nil {
		e.RepetitionType = thrift.New(format.Optional)
	}
	if !c.bytes {
		c.column.describe(&e)
	}
	return e
}
