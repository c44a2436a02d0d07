// Package aside keeps the blocks of a month until its invoices are written: in
// memory as long as they are few, then in a temporary file.
package aside

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/calends/calends/pipeline/invoice"
)

// Shelf keeps blocks. Put is for one goroutine; what it returns can be read by
// many. Close removes its file.
type Shelf struct {
	dir   string
	limit int64
	held  int64 // bytes in memory

	once sync.Once
	file *os.File
	size int64
	err  error
}

// New returns a shelf that holds about limit bytes in memory, and the rest in a
// file below dir; "" is the system's folder for temporary files.
func New(dir string, limit int64) *Shelf { return &Shelf{dir: dir, limit: limit} }

// Kept is a block on a shelf.
type Kept struct {
	block invoice.Block // without rows and texts when they are in the file
	lines int
	shelf *Shelf
	at    int64
	rows  int // bytes of rows, then of texts
	texts int
}

// InFile reports whether rows and texts are in the file, and their memory is free.
func (k Kept) InFile() bool { return len(k.block.Rows) < k.lines }

// Others are the lines in full of the block and of those that share with it.
func (k Kept) Others() []*invoice.Line { return k.block.Others }

// Put takes a block, which must not be changed any more.
func (s *Shelf) Put(b *invoice.Block) (Kept, error) {
	rows := b.RowBytes()
	if s.held+int64(len(rows)+len(b.Texts)) <= s.limit {
		b.Clip()
	}
	room := cap(b.Texts)
	if len(b.Rows) > 0 {
		room += len(rows) / len(b.Rows) * cap(b.Rows)
	}
	k := Kept{block: *b, lines: len(b.Rows), shelf: s, rows: len(rows), texts: len(b.Texts)}
	if size := int64(room); s.held+size <= s.limit {
		s.held += size
		return k, nil
	}
	s.once.Do(func() { s.file, s.err = os.CreateTemp(s.dir, "calends-lines-*") })
	if s.err != nil {
		return Kept{}, fmt.Errorf("put lines aside: %w", s.err)
	}
	k.at = s.size
	for _, part := range [][]byte{rows, b.Texts} {
		n, err := s.file.Write(part)
		s.size += int64(n)
		if err != nil {
			return Kept{}, fmt.Errorf("put lines aside in %s: %w", s.file.Name(), err)
		}
	}
	k.block.Rows, k.block.Texts = nil, nil
	return k, nil
}

// Block returns the block. What was in the file is read into room, which is good
// until it is used for another.
func (k Kept) Block(room *invoice.Block) (*invoice.Block, error) {
	if !k.InFile() {
		return &k.block, nil
	}
	room.Shared, room.Currency = k.block.Shared, k.block.Currency
	rows := room.Room(k.lines)
	room.Texts = slices.Grow(room.Texts[:0], k.texts)[:k.texts]
	if _, err := k.shelf.file.ReadAt(rows, k.at); err != nil {
		return nil, fmt.Errorf("read lines put aside in %s: %w", k.shelf.file.Name(), err)
	}
	if _, err := k.shelf.file.ReadAt(room.Texts, k.at+int64(k.rows)); err != nil && k.texts > 0 {
		return nil, fmt.Errorf("read lines put aside in %s: %w", k.shelf.file.Name(), err)
	}
	return room, nil
}

// Close removes what was put aside.
func (s *Shelf) Close() error {
	if s.file == nil {
		return nil
	}
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}
