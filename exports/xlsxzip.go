package exports

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"slices"
	"strings"
	"time"
)

// xlsxZip is the archive that excelize writes a workbook into. Excelize hands
// the parts over in an order that varies; they are kept, compressed, and written
// sorted by name and with one fixed time when the archive is closed.
type xlsxZip struct {
	w     io.Writer
	parts []*xlsxPart
}

// xlsxPart is one compressed file of the archive.
type xlsxPart struct {
	name   string
	data   bytes.Buffer
	size   uint64
	crc    uint32
	packer *flate.Writer
}

// The epoch of the zip format.
var xlsxTime = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

// Create starts a part, which ends where the next one starts.
func (z *xlsxZip) Create(name string) (io.Writer, error) {
	if err := z.finishPart(); err != nil {
		return nil, err
	}
	p := &xlsxPart{name: name}
	var err error
	if p.packer, err = flate.NewWriter(&p.data, flate.BestSpeed); err != nil {
		return nil, err
	}
	z.parts = append(z.parts, p)
	return p, nil
}

// Write compresses more of the part.
func (p *xlsxPart) Write(b []byte) (int, error) {
	p.size += uint64(len(b))
	p.crc = crc32.Update(p.crc, crc32.IEEETable, b)
	return p.packer.Write(b)
}

// AddFS is in excelize's interface, which never calls it.
func (z *xlsxZip) AddFS(fs.FS) error { return fmt.Errorf("add files to workbook: %w", fs.ErrInvalid) }

func (z *xlsxZip) finishPart() error {
	if len(z.parts) == 0 {
		return nil
	}
	last := z.parts[len(z.parts)-1]
	if last.size > math.MaxUint32 {
		return fmt.Errorf("workbook part %s has %d bytes, more than 4 GiB", last.name, last.size)
	}
	if last.packer == nil {
		return nil
	}
	err := last.packer.Close()
	last.packer = nil
	return err
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
			CompressedSize64:   uint64(p.data.Len()),
			UncompressedSize64: p.size,
		})
		if err != nil {
			return err
		}
		if _, err := p.data.WriteTo(w); err != nil {
			return err
		}
	}
	return archive.Close()
}
