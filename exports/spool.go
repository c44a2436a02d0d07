package exports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// spoolMemory is how many bytes a spool keeps in memory before it takes a
// temporary file.
const spoolMemory = 4 << 20

// spool holds bytes until they are wanted: few in memory, many in a temporary
// file. Close removes the file: call it, after a failure too.
type spool struct {
	limit  int
	memory bytes.Buffer
	file   *os.File
	size   int64
}

// Write adds bytes at the end.
func (s *spool) Write(b []byte) (int, error) {
	s.size += int64(len(b))
	s.memory.Write(b)
	if s.memory.Len() <= s.limit {
		return len(b), nil
	}
	if s.file == nil {
		var err error
		if s.file, err = os.CreateTemp("", "calends-sheet-*"); err != nil {
			return 0, fmt.Errorf("keep a sheet's rows: %w", err)
		}
	}
	if _, err := s.memory.WriteTo(s.file); err != nil {
		return 0, fmt.Errorf("keep a sheet's rows: %w", err)
	}
	return len(b), nil
}

// WriteTo copies everything that was written. It ends the writing.
func (s *spool) WriteTo(w io.Writer) (n int64, err error) {
	if s.file != nil {
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return 0, fmt.Errorf("read a sheet's rows back: %w", err)
		}
		if n, err = io.Copy(w, s.file); err != nil {
			return n, err
		}
	}
	more, err := w.Write(s.memory.Bytes())
	return n + int64(more), err
}

// Close forgets the bytes.
func (s *spool) Close() error {
	s.memory = bytes.Buffer{}
	if s.file == nil {
		return nil
	}
	file := s.file
	s.file = nil
	return errors.Join(file.Close(), os.Remove(file.Name()))
}
