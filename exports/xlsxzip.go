package exports

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/flate"
)

// xlsxZip is the archive that excelize writes a workbook into. Excelize hands
// the parts over in an order that varies; they are kept, compressed, and written
// sorted by name and with one fixed time when the archive is closed.
//
// Excelize writes a sheet's frame, from its panes to its table; the records,
// which are compressed already, are put into it here.
type xlsxZip struct {
	w     io.Writer
	parts []*xlsxPart
	rows  map[string]*rows // by part
}

// xlsxPart is one file of the archive.
type xlsxPart struct {
	name string
	raw  bytes.Buffer
	rows *rows // what goes in front of </sheetData>; nil for nothing

	// The part's content once it is complete: a deflate stream in three pieces,
	// of which each but the last ends on a whole byte.
	head, tail []byte
	size       int64
	crc        uint32
}

// The epoch of the zip format.
var xlsxTime = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

// insert has the rows put into the sheet with the given part.
func (z *xlsxZip) insert(part string, r *rows) {
	if z.rows == nil {
		z.rows = make(map[string]*rows)
	}
	z.rows[part] = r
}

// Create starts a part, which ends where the next one starts.
func (z *xlsxZip) Create(name string) (io.Writer, error) {
	if err := z.finishPart(); err != nil {
		return nil, err
	}
	p := &xlsxPart{name: name, rows: z.rows[name]}
	z.parts = append(z.parts, p)
	return p, nil
}

// Write adds to the part. What excelize writes is small: the rows are ours.
func (p *xlsxPart) Write(b []byte) (int, error) { return p.raw.Write(b) }

// AddFS is in excelize's interface, which never calls it.
func (z *xlsxZip) AddFS(fs.FS) error { return fmt.Errorf("add files to workbook: %w", fs.ErrInvalid) }

func (z *xlsxZip) finishPart() error {
	if len(z.parts) == 0 {
		return nil
	}
	p := z.parts[len(z.parts)-1]
	if err := p.finish(); err != nil {
		return fmt.Errorf("workbook part %s: %w", p.name, err)
	}
	return nil
}

// finish compresses the part.
func (p *xlsxPart) finish() (err error) {
	if p.tail != nil {
		return nil
	}
	tail := p.raw.Bytes()
	if p.name == contentTypes {
		tail = sortDefaults(tail)
	}
	if p.rows != nil {
		end := bytes.LastIndex(tail, []byte("</sheetData>"))
		if end < 0 {
			return fmt.Errorf("no end of rows to put %d rows before", p.rows.count)
		}
		var head []byte
		head, tail = tail[:end], tail[end:]
		if p.head, err = deflate(head, (*flate.Writer).Flush); err != nil {
			return err
		}
		p.crc = combineCRC(crc32.ChecksumIEEE(head), p.rows.crc, p.rows.size)
		p.size = int64(len(head)) + p.rows.size
	}
	p.crc = combineCRC(p.crc, crc32.ChecksumIEEE(tail), int64(len(tail)))
	p.size += int64(len(tail))
	if p.size > math.MaxUint32 {
		return fmt.Errorf("%d bytes are more than the 4 GiB that a part can have", p.size)
	}
	p.tail, err = deflate(tail, (*flate.Writer).Close)
	p.raw = bytes.Buffer{}
	return err
}

const contentTypes = "[Content_Types].xml"

var defaultType = regexp.MustCompile(`<Default [^>]*></Default>`)

// sortDefaults puts the default content types, which excelize writes in the order
// of a map, in a fixed one.
func sortDefaults(types []byte) []byte {
	all := defaultType.FindAll(types, -1)
	for i := range all {
		all[i] = slices.Clone(all[i])
	}
	slices.SortFunc(all, bytes.Compare)
	next := -1
	return defaultType.ReplaceAllFunc(types, func([]byte) []byte { next++; return all[next] })
}

// deflate compresses data; end says whether more follows.
func deflate(data []byte, end func(*flate.Writer) error) ([]byte, error) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err = end(w)
	return out.Bytes(), err
}

// packed is how many bytes the part takes.
func (p *xlsxPart) packed() int64 {
	n := int64(len(p.head) + len(p.tail))
	if p.rows != nil {
		n += p.rows.packed.size
	}
	return n
}

// WriteTo writes the compressed part.
func (p *xlsxPart) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(p.head)
	written := int64(n)
	if err == nil && p.rows != nil {
		var more int64
		more, err = p.rows.packed.WriteTo(w)
		written += more
	}
	if err != nil {
		return written, err
	}
	n, err = w.Write(p.tail)
	return written + int64(n), err
}

// Close writes the archive. The list of content types comes first, as readers
// that guess a file's type expect it.
func (z *xlsxZip) Close() error {
	if err := z.finishPart(); err != nil {
		return err
	}
	slices.SortFunc(z.parts, func(a, b *xlsxPart) int { return strings.Compare(a.name, b.name) })
	archive := zip.NewWriter(z.w)
	for _, p := range z.parts {
		w, err := archive.CreateRaw(&zip.FileHeader{
			Name:               p.name,
			Method:             zip.Deflate,
			Modified:           xlsxTime,
			CRC32:              p.crc,
			CompressedSize64:   uint64(p.packed()),
			UncompressedSize64: uint64(p.size),
		})
		if err != nil {
			return err
		}
		if _, err := p.WriteTo(w); err != nil {
			return err
		}
	}
	return archive.Close()
}

// combineCRC returns the CRC-32 of two pieces laid end to end from those of
// each, the second being size bytes long. To pass over a zero byte is a linear
// map of the 32 bits; squaring it passes over two, four and so on.
func combineCRC(first, second uint32, size int64) uint32 {
	var over crcMap // one bit
	over[0] = crc32.IEEE
	for i := 1; i < len(over); i++ {
		over[i] = 1 << (i - 1)
	}
	for range 3 { // one byte
		over = over.squared()
	}
	for ; size > 0; size >>= 1 {
		if size&1 == 1 {
			first = over.apply(first)
		}
		over = over.squared()
	}
	return first ^ second
}

// crcMap is a linear map of 32 bits: what each of them turns into.
type crcMap [32]uint32

func (m *crcMap) apply(v uint32) (sum uint32) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 == 1 {
			sum ^= m[i]
		}
	}
	return sum
}

func (m *crcMap) squared() (s crcMap) {
	for i, v := range m {
		s[i] = m.apply(v)
	}
	return s
}
