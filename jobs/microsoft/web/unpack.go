package web

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
)

// unpackBody unpacks an answer in memory.
func unpackBody(raw []byte, encoding string, limit int64) ([]byte, error) {
	r, err := Unpack(bytes.NewReader(raw), int64(len(raw)), encoding)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readLimited(r, limit)
}

// Unpack reads content that may be packed: gzip, a zip with one file, a deflated
// stream, or nothing of the kind. Its first bytes tell, not what was asked for:
// the price service answers "deflate" with a zip. encoding is the answer's
// Content-Encoding, which is believed only where a stream has no such bytes.
//
// Content that is cut off fails with ErrIncomplete, there or while reading.
func Unpack(src io.ReaderAt, size int64, encoding string) (io.ReadCloser, error) {
	all := func() io.Reader { return io.NewSectionReader(src, 0, size) }
	head := make([]byte, 4)
	n, err := src.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	head = head[:min(int64(n), size)]
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(all())
		if err != nil {
			return nil, incomplete(err)
		}
		return unpacked{z}, nil
	case bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return openZip(src, size)
	case len(head) >= 2 && strings.EqualFold(encoding, "deflate"):
		// By its name a zlib stream, by custom often a bare one.
		if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
			z, err := zlib.NewReader(all())
			if err != nil {
				return nil, incomplete(err)
			}
			return unpacked{z}, nil
		}
		if _, err := io.Copy(io.Discard, flate.NewReader(all())); err == nil {
			return unpacked{flate.NewReader(all())}, nil
		}
	}
	return io.NopCloser(all()), nil
}

// openZip opens the only file of an archive.
func openZip(src io.ReaderAt, size int64) (io.ReadCloser, error) {
	archive, err := zip.NewReader(src, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("%w: a zip without its end: %w", ErrIncomplete, err)
	}
	var file *zip.File
	for _, f := range archive.File {
		if strings.HasSuffix(f.Name, "/") || strings.HasPrefix(f.Name, "__MACOSX/") {
			continue
		}
		if file != nil {
			return nil, fmt.Errorf("%w: a zip of several files, %q and %q", ErrNotData, path.Base(file.Name), path.Base(f.Name))
		}
		file = f
	}
	if file == nil {
		return nil, fmt.Errorf("%w: a zip without files", ErrNotData)
	}
	r, err := file.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: unpack %q: %w", ErrNotData, path.Base(file.Name), err)
	}
	return unpacked{r}, nil
}

// unpacked gives a packed stream's errors their class.
type unpacked struct{ io.ReadCloser }

func (u unpacked) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = incomplete(err)
	}
	return n, err
}

func incomplete(err error) error {
	return fmt.Errorf("%w: it cannot be unpacked: %w", ErrIncomplete, err)
}

// checkHead refuses what cannot be data by how it begins.
func checkHead(head []byte) error {
	head = bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")))
	switch {
	case len(head) == 0:
		return fmt.Errorf("%w: it is empty", ErrNotData)
	case head[0] == '<':
		return fmt.Errorf("%w: it is a web page: %s", ErrNotData, pageTitle(head))
	}
	return nil
}

// CheckHead refuses what is no table by how it begins, unpacked: nothing, a page for
// people, or JSON, which then is an error that came with 200.
func CheckHead(head []byte) error {
	if err := checkHead(head); err != nil {
		return err
	}
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")))
	if trimmed[0] == '{' {
		code, message := explain(trimmed)
		return fmt.Errorf("%w: it is JSON: %s", ErrNotData, clip(strings.TrimPrefix(code+": "+message, ": "), 300))
	}
	return nil
}

// pageTitle is what a page says of itself.
func pageTitle(page []byte) string {
	text := string(page[:min(len(page), 4<<10)])
	lower := strings.ToLower(text)
	if i := strings.Index(lower, "<title"); i >= 0 && len(lower) == len(text) {
		if _, rest, ok := strings.Cut(text[i:], ">"); ok {
			title, _, _ := strings.Cut(rest, "<")
			if title = clip(title, 100); title != "" {
				return fmt.Sprintf("%q", title)
			}
		}
	}
	return fmt.Sprintf("%q", clip(text, 60))
}
