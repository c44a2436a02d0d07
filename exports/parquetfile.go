package exports

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/calends/calends/exports/zstdids"
)

// createdBy is constant: the version that wrote a file stands in its manifest.
const createdBy = "calends version 1 (build reconciliation)"

// parquetPage is how many rows a data page holds.
const parquetPage = 32_768

const parquetMagic = "PAR1"

// parquetFile lays columns out as a Parquet file: row groups of column chunks,
// each an optional dictionary page and data pages of version 1, then the index of
// all pages and the footer. The structures and encodings are parquet-go's. Its
// own writers take rows and hash every value of every column again.
type parquetFile struct {
	w       io.Writer
	root    string // the name of the schema
	offset  int64
	groups  []format.RowGroup
	indexes []pageIndex // by group and column
	codec   zstd.Codec
	page    []byte
	packed  []byte
	levels  []byte
	numbers numberDictionary
	texts   []int32 // indexes of a page
	marks   []int32
	shared  []sharedPages
	ids     zstdids.Encoder
	repeats []zstdids.Repeat
}

func newParquetFile(w io.Writer) *parquetFile {
	return &parquetFile{w: w, root: "reconciliation", codec: zstd.Codec{Level: zstd.SpeedFastest, Concurrency: 1}}
}

// reset begins another file in the memory of this one.
func (f *parquetFile) reset(w io.Writer) {
	f.w, f.offset, f.groups, f.indexes = w, 0, nil, nil
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
	f.shared = f.shared[:0]
	for i := range columns {
		chunk := chunkWriter{parquetFile: f, column: &columns[i], rows: rows}
		if err := chunk.write(); err != nil {
			return fmt.Errorf("column %s: %w", columns[i].name, err)
		}
		f.indexes = append(f.indexes, chunk.index)
		group.Columns = append(group.Columns, format.ColumnChunk{FileOffset: chunk.meta.DataPageOffset, MetaData: chunk.meta})
		group.TotalByteSize += chunk.meta.TotalUncompressedSize
		group.TotalCompressedSize += chunk.meta.TotalCompressedSize
	}
	f.groups = append(f.groups, group)
	return nil
}

// close writes the index of the pages and the footer. A file without rows is a
// good file, too.
func (f *parquetFile) close(columns []parquetColumn) error {
	if err := f.writeIndex(columns); err != nil {
		return err
	}
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

// appendValue appends a number or date in the PLAIN encoding.
func (p *parquetColumn) appendValue(dst []byte, v int64) []byte {
	if p.date != nil {
		return binary.LittleEndian.AppendUint32(dst, uint32(int32(v)))
	}
	return binary.LittleEndian.AppendUint64(dst, uint64(v))
}
