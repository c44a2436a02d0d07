package exports

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"slices"

	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// createdBy is constant: the version that wrote a file stands in its manifest.
const createdBy = "calends version 1 (build reconciliation)"

// parquetPage is how many rows a data page holds.
const parquetPage = 32_768

const parquetMagic = "PAR1"

// parquetFile lays columns out as a Parquet file: row groups of column chunks,
// each a dictionary page (text only) and data pages of version 1, then the
// footer. The structures and encodings are parquet-go's. Its own writers take
// rows and hash every value of every column again.
type parquetFile struct {
	w      io.Writer
	root   string // the name of the schema
	offset int64
	groups []format.RowGroup
	codec  zstd.Codec
	page   []byte
	packed []byte
	levels []byte
}

func newParquetFile(w io.Writer) *parquetFile {
	return &parquetFile{w: w, root: "reconciliation", codec: zstd.Codec{Level: zstd.SpeedFastest, Concurrency: 1}}
}

// write starts the file with its magic, so that nothing is written before the
// first row group is known to be good.
func (f *parquetFile) write(b []byte) error {
	if f.offset == 0 {
		if _, err := io.WriteString(f.w, parquetMagic); err != nil {
			return err
		}
		f.offset = int64(len(parquetMagic))
	}
	n, err := f.w.Write(b)
	f.offset += int64(n)
	return err
}

// position is where the next byte goes.
func (f *parquetFile) position() int64 { return max(f.offset, int64(len(parquetMagic))) }

// writeGroup writes one row group.
func (f *parquetFile) writeGroup(columns []parquetColumn, rows int) error {
	group := format.RowGroup{NumRows: int64(rows), Ordinal: int16(len(f.groups)), FileOffset: f.position()}
	for i := range columns {
		meta, err := f.writeChunk(&columns[i], rows)
		if err != nil {
			return fmt.Errorf("column %s: %w", columns[i].name, err)
		}
		group.Columns = append(group.Columns, format.ColumnChunk{FileOffset: meta.DataPageOffset, MetaData: meta})
		group.TotalByteSize += meta.TotalUncompressedSize
		group.TotalCompressedSize += meta.TotalCompressedSize
	}
	f.groups = append(f.groups, group)
	return nil
}

// writeChunk writes the pages of one column.
func (f *parquetFile) writeChunk(c *parquetColumn, rows int) (format.ColumnMetaData, error) {
	meta := format.ColumnMetaData{
		Type:         c.physicalType(),
		Encoding:     []format.Encoding{format.RLE, format.Plain},
		PathInSchema: []string{c.name},
		Codec:        format.Zstd,
		NumValues:    int64(rows),
		Statistics:   c.statistics(),
	}
	if c.text != nil {
		meta.Encoding = append(meta.Encoding, format.RLEDictionary)
		meta.DictionaryPageOffset = f.position()
		header := format.PageHeader{
			Type:                 format.DictionaryPage,
			DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(c.words.len()), Encoding: format.Plain}),
		}
		if err := f.writePage(&meta, header, c.words.page); err != nil {
			return meta, err
		}
	}
	meta.DataPageOffset = f.position()
	values := c.values
	for from := 0; from < rows; from += parquetPage {
		to := min(from+parquetPage, rows)
		var err error
		if values, err = f.encode(c, from, to, values); err != nil {
			return meta, err
		}
		encoding := format.Plain
		if c.text != nil {
			encoding = format.RLEDictionary
		}
		header := format.PageHeader{
			Type: format.DataPage,
			DataPageHeader: thrift.New(format.DataPageHeader{
				NumValues:               int32(to - from),
				Encoding:                encoding,
				DefinitionLevelEncoding: format.RLE,
				RepetitionLevelEncoding: format.RLE,
			}),
		}
		if err := f.writePage(&meta, header, f.page); err != nil {
			return meta, err
		}
	}
	return meta, nil
}

// encode puts rows from:to of a column into f.page. values are those that no
// page has yet; it returns what is left of them.
func (f *parquetFile) encode(c *parquetColumn, from, to int, values []int64) ([]int64, error) {
	f.page = f.page[:0]
	if c.text != nil {
		width := bits.Len(uint(c.words.len() - 1))
		packed, err := (&rle.Encoding{BitWidth: width}).EncodeInt32(f.levels[:0], c.indexes[from:to])
		if err != nil {
			return nil, err
		}
		f.levels = packed
		f.page = append(append(f.page, byte(width)), packed...)
		return values, nil
	}
	count := to - from
	if c.optional() {
		levels, err := (&rle.Encoding{BitWidth: 1}).EncodeLevels(f.levels[:0], c.defined[from:to])
		if err != nil {
			return nil, err
		}
		f.levels = levels
		f.page = binary.LittleEndian.AppendUint32(f.page, uint32(len(levels)))
		f.page = append(f.page, levels...)
		for _, d := range c.defined[from:to] {
			count -= int(1 - d)
		}
	}
	for _, v := range values[:count] {
		f.page = c.appendValue(f.page, v)
	}
	return values[count:], nil
}

// writePage compresses a page and writes it behind its header.
func (f *parquetFile) writePage(meta *format.ColumnMetaData, header format.PageHeader, page []byte) (err error) {
	if f.packed, err = f.codec.Encode(f.packed[:0], page); err != nil {
		return err
	}
	header.UncompressedPageSize = int32(len(page))
	header.CompressedPageSize = int32(len(f.packed))
	header.CRC = int32(crc32.ChecksumIEEE(f.packed))
	head, err := thrift.Marshal(new(thrift.CompactProtocol), &header)
	if err != nil {
		return err
	}
	meta.TotalUncompressedSize += int64(len(head) + len(page))
	meta.TotalCompressedSize += int64(len(head) + len(f.packed))
	if err := f.write(head); err != nil {
		return err
	}
	return f.write(f.packed)
}

// close writes the footer. A file without rows is a good file, too.
func (f *parquetFile) close(columns []parquetColumn) error {
	meta := format.FileMetaData{
		Version:   1,
		CreatedBy: createdBy,
		RowGroups: f.groups,
		Schema: []format.SchemaElement{{
			Name:        f.root,
			NumChildren: thrift.New(int32(len(columns))),
		}},
	}
	for i := range columns {
		meta.Schema = append(meta.Schema, columns[i].schema())
		meta.ColumnOrders = append(meta.ColumnOrders, format.ColumnOrder{Value: new(format.TypeDefinedOrder)})
	}
	for i := range f.groups {
		meta.NumRows += f.groups[i].NumRows
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &meta)
	if err != nil {
		return err
	}
	footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer)))
	return f.write(append(footer, parquetMagic...))
}

func (p *parquetColumn) physicalType() format.Type {
	switch {
	case p.text != nil:
		return format.ByteArray
	case p.date != nil:
		return format.Int32
	}
	return format.Int64
}

// schema describes the column, in the current words and in those of readers
// from before 2017.
func (p *parquetColumn) schema() format.SchemaElement {
	e := format.SchemaElement{
		Name:           p.name,
		Type:           thrift.New(p.physicalType()),
		RepetitionType: thrift.New(format.Required),
	}
	if p.optional() {
		e.RepetitionType = thrift.New(format.Optional)
	}
	switch {
	case p.text != nil:
		e.LogicalType.Value = new(format.StringType)
		e.ConvertedType = thrift.New(deprecated.UTF8)
	case p.date != nil:
		e.LogicalType.Value = new(format.DateType)
		e.ConvertedType = thrift.New(deprecated.Date)
	default:
		e.LogicalType.Value = &format.DecimalType{Scale: int32(p.scale), Precision: maxDigits}
		e.ConvertedType = thrift.New(deprecated.Decimal)
		e.Scale, e.Precision = thrift.New(int32(p.scale)), thrift.New(int32(maxDigits))
	}
	return e
}

// statistics are the bounds of the column chunk, by which readers skip it:
// numbers compare signed, text by bytes.
func (p *parquetColumn) statistics() format.Statistics {
	s := format.Statistics{}
	if p.text != nil {
		// Every word of the dictionary stands in some row. An empty slice
		// is a bound, nil is none.
		least, most := p.words.bounds()
		s.MinValue = append([]byte{}, least...)
		s.MaxValue = append([]byte{}, most...)
		return s
	}
	if p.optional() {
		s.NullCount = int64(len(p.defined) - len(p.values))
	}
	if len(p.values) > 0 {
		s.MinValue = p.appendValue(nil, slices.Min(p.values))
		s.MaxValue = p.appendValue(nil, slices.Max(p.values))
	}
	return s
}

// appendValue appends a number or date in the PLAIN encoding.
func (p *parquetColumn) appendValue(dst []byte, v int64) []byte {
	if p.date != nil {
		return binary.LittleEndian.AppendUint32(dst, uint32(int32(v)))
	}
	return binary.LittleEndian.AppendUint64(dst, uint64(v))
}
