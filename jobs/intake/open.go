package intake

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Limits that bound what a small file can unpack into.
const (
	// MaxReference is the largest reference file, unpacked.
	MaxReference = 1 << 30
	// MaxSpool is the largest file that is unpacked to disk: Parquet inside an
	// archive, and standard input.
	MaxSpool = 16 << 30
	// MaxArchive is how much the files of one archive may unpack into together.
	MaxArchive = 4 * MaxSpool
	// MaxMembers is the largest number of files in one archive.
	MaxMembers = 10_000
	// maxWindow is the memory that one zstd stream may ask for.
	maxWindow = 128 << 20
)

// Input is one file as it was given: itself, or the members of a zip archive.
type Input struct {
	Name string
	// Members in archive order. Folders and the resource forks that a Mac
	// packs (__MACOSX) are left out.
	Members []*Member
	content io.ReaderAt
	release func() error
}

// Open looks into a file on disk. What it holds is told by its first bytes,
// never by its name.
func Open(name string) (*Input, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return OpenFile(name, file)
}

// OpenFile looks into an open file, which goes by the name and which Close closes.
func OpenFile(name string, file *os.File) (*Input, error) { return openFile(name, file, file.Close) }

// OpenReader looks into what a stream, such as standard input, brings. It is
// kept in a temporary file until Close.
func OpenReader(name string, src io.Reader) (*Input, error) {
	file, err := spool(src)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return openFile(name, file, func() error { return errors.Join(file.Close(), os.Remove(file.Name())) })
}

// OpenContent looks into what lies elsewhere and can be read at any place. It is
// the caller's, and stays open.
func OpenContent(name string, content io.ReaderAt, size int64) (*Input, error) {
	return newInput(name, content, size, func() error { return nil })
}

func openFile(name string, file *os.File, release func() error) (*Input, error) {
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("is a folder")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", name, err), release())
	}
	return newInput(name, file, info.Size(), release)
}

func newInput(name string, content io.ReaderAt, size int64, release func() error) (*Input, error) {
	in := &Input{Name: name, content: content, release: release}
	if err := in.list(size); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", name, err), release())
	}
	return in, nil
}

// Close closes the file. Streams of its members must be closed before.
func (in *Input) Close() error { return in.release() }

func (in *Input) list(size int64) error {
	head := make([]byte, 4)
	n, err := in.content.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !isZip(head[:n]) {
		in.Members = []*Member{{Name: in.Name, file: in.content, size: size}}
		return nil
	}
	archive, err := zip.NewReader(in.content, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		in.Members = []*Member{{Name: in.Name, refused: "is a damaged zip archive: " + err.Error()}}
		return nil
	}
	archive.RegisterDecompressor(zip.Deflate, func(r io.Reader) io.ReadCloser { return flate.NewReader(r) })
	archive.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor(zstd.WithDecoderMaxWindow(maxWindow)))
	var unpacked uint64
	for _, f := range archive.File {
		// Where a file is longer than its archive says, reading it ends with an error.
		unpacked = min(unpacked+min(f.UncompressedSize64, MaxArchive), MaxArchive+1)
		switch {
		case unpacked > MaxArchive:
			in.Members = []*Member{{Name: in.Name, refused: "holds more than 64 GiB once unpacked: pack its files into several archives"}}
			return nil
		case f.Name == "[Content_Types].xml":
			in.Members = []*Member{{Name: in.Name, refused: "is an Excel workbook: save the sheet as CSV UTF-8 (comma delimited)"}}
			return nil
		case len(in.Members) == MaxMembers:
			in.Members = append(in.Members, &Member{Name: in.Name, refused: fmt.Sprintf("holds more than %d files: the rest is not looked at", MaxMembers)})
			return nil
		case strings.HasSuffix(f.Name, "/") || strings.HasPrefix(f.Name, "__MACOSX/"):
			continue
		}
		in.Members = append(in.Members, &Member{Name: in.Name + "!" + f.Name, packed: f, refused: memberRefusal(f)})
	}
	if len(in.Members) == 0 {
		in.Members = []*Member{{Name: in.Name, refused: "is a zip archive without files"}}
	}
	return nil
}

// memberRefusal says why an archive's member is not even opened, or "".
func memberRefusal(f *zip.File) string {
	name := strings.ReplaceAll(f.Name, `\`, "/")
	clean := path.Clean(name)
	switch {
	case name == "" || path.IsAbs(name) || clean == ".." || strings.HasPrefix(clean, "../") ||
		strings.Contains(name, ":") || strings.ContainsRune(name, 0):
		return "has a name that leads out of its archive"
	case f.Flags&1 != 0:
		return "is encrypted: unpack it with its password first"
	}
	return ""
}

// Member is one file to take in.
type Member struct {
	Name    string // the path as given, or archive.zip!member
	refused string
	file    io.ReaderAt // of a file that is no archive's
	size    int64
	packed  *zip.File
}

// Open returns the content, unpacked, as a stream without a bound. It may be
// opened again.
func (m *Member) Open() (io.ReadCloser, error) {
	s, err := m.open()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", m.Name, err)
	}
	return s, nil
}

// OpenReference is Open for a file that is read as a whole: past MaxReference
// bytes reading fails.
func (m *Member) OpenReference() (io.ReadCloser, error) {
	s, err := m.open()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", m.Name, err)
	}
	s.left, s.past = MaxReference, refusedReference
	return s, nil
}

// SHA256 returns the hash of the unpacked content and its length. Past
// MaxSpool bytes it gives up.
func (m *Member) SHA256() (sum [sha256.Size]byte, size int64, err error) {
	s, err := m.open()
	if err != nil {
		return sum, 0, fmt.Errorf("read %s: %w", m.Name, err)
	}
	s.left, s.past = MaxSpool, refusedSpool
	hash := sha256.New()
	size, err = io.Copy(hash, s)
	if err = errors.Join(err, s.Close()); err != nil {
		return sum, 0, fmt.Errorf("read %s: %w", m.Name, err)
	}
	return [sha256.Size]byte(hash.Sum(nil)), size, nil
}

// refusal is content that will not be looked into.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	refusedTwice     = refusal("is compressed twice: unpack it once")
	refusedNested    = refusal("is a zip inside another archive: unpack the outer one")
	refusedReference = refusal("is larger than 1 GiB once unpacked: no reference file is")
	refusedSpool     = refusal("is larger than 16 GiB once unpacked")
)

func (m *Member) open() (*stream, error) {
	if m.refused != "" {
		return nil, refusal(m.refused)
	}
	s := &stream{left: -1}
	var raw io.Reader
	if m.packed != nil {
		f, err := m.packed.Open()
		if err != nil {
			return nil, err
		}
		raw = f
		s.closers = append(s.closers, f.Close)
	} else {
		raw = io.NewSectionReader(m.file, 0, m.size)
	}
	if err := s.unpack(raw, m.packed != nil); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// stream is an unpacked file.
type stream struct {
	// buf is no embedded field: its WriteTo would go round the bound.
	buf     *bufio.Reader
	plain   bool  // nothing was unpacked
	left    int64 // bytes that may still be read; negative: any number
	past    refusal
	closers []func() error
}

func (s *stream) unpack(raw io.Reader, inArchive bool) error {
	s.buf = bufio.NewReaderSize(raw, 64<<10)
	s.plain = !inArchive
	head, _ := s.buf.Peek(4)
	switch {
	case isZip(head):
		return refusedNested
	case isGzip(head):
		z, err := gzip.NewReader(s.buf)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, func() error { _ = z.Close(); return nil }) // it only repeats what reading said
		s.buf = bufio.NewReaderSize(z, 64<<10)
	case isZstd(head):
		z, err := zstd.NewReader(s.buf, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
		s.closers = append(s.closers, func() error { z.Close(); return nil })
		s.buf = bufio.NewReaderSize(z, 64<<10)
	default:
		return nil
	}
	s.plain = false
	head, _ = s.buf.Peek(4)
	switch {
	case isZip(head):
		return refusedNested
	case isGzip(head) || isZstd(head):
		return refusedTwice
	}
	return nil
}

// Read reads unpacked bytes.
func (s *stream) Read(p []byte) (int, error) {
	if s.left < 0 {
		return s.buf.Read(p)
	}
	if s.left == 0 {
		if _, err := s.buf.Peek(1); err != nil {
			return 0, err
		}
		return 0, s.past
	}
	n, err := s.buf.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	return n, err
}

// Close closes what was opened, the innermost first.
func (s *stream) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// Content is a file that can be read at any place, as Parquet must be.
type Content struct {
	io.ReaderAt
	Size    int64
	spooled *os.File
}

// OpenAt returns the content for reading at any place. A packed file is
// unpacked into a temporary one, of MaxSpool bytes at most.
func (m *Member) OpenAt() (*Content, error) {
	s, err := m.open()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", m.Name, err)
	}
	if s.plain {
		return &Content{ReaderAt: m.file, Size: m.size}, s.Close()
	}
	file, err := spool(s)
	if err = errors.Join(err, s.Close()); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", m.Name, err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return &Content{ReaderAt: file, Size: info.Size(), spooled: file}, nil
}

// Close removes the temporary file, if there is one.
func (t *Content) Close() error {
	if t.spooled == nil {
		return nil
	}
	return errors.Join(t.spooled.Close(), os.Remove(t.spooled.Name()))
}

// spool copies a stream into a temporary file.
func spool(src io.Reader) (*os.File, error) {
	file, err := os.CreateTemp("", "calends-intake-*")
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(file, io.LimitReader(src, MaxSpool+1))
	if err == nil && n > MaxSpool {
		err = refusedSpool
	}
	if err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(file.Name()))
	}
	return file, nil
}

func isZip(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06"))
}

func isGzip(head []byte) bool { return bytes.HasPrefix(head, []byte("\x1f\x8b")) }

func isZstd(head []byte) bool {
	return bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")) ||
		len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte("\x2a\x4d\x18"))
}
