// Package spill sorts more records than memory holds: what does not fit is
// written to temporary files in sorted runs, which are merged when read.
package spill

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/klauspost/compress/s2"
)

// Sorter takes records in any order. Records are sorted by key, as bytes; those
// of one key come out in the order in which they were added. A Sorter is for one
// goroutine; several are read as one with [Merge]. Close removes its files.
type Sorter struct {
	dir   string
	limit int
	batch batch
	runs  []*os.File
	// Spilled counts the bytes that went through temporary files.
	Spilled int64
}

// New returns a Sorter that keeps about limit bytes of records in memory, and
// the rest in files below dir; "" is the system's folder for temporary files.
func New(dir string, limit int) *Sorter { return &Sorter{dir: dir, limit: max(limit, 1)} }

// perRecord is what a record takes in memory besides its bytes.
const perRecord = 24

// Add takes a copy of a record.
func (s *Sorter) Add(key, value []byte) error {
	if s.batch.bytes == nil && s.limit >= 1<<20 {
		// As large as it can get: growing would hold it twice. What is not
		// written to takes no memory.
		s.batch.bytes = make([]byte, 0, s.limit)
	}
	s.batch.add(key, value)
	if len(s.batch.bytes)+perRecord*len(s.batch.records) < s.limit {
		return nil
	}
	return s.spill()
}

func (s *Sorter) spill() error {
	s.batch.sort()
	file, err := os.CreateTemp(s.dir, "calends-sort-*")
	if err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	s.runs = append(s.runs, file)
	w := s2.NewWriter(file, s2.WriterConcurrency(1))
	var head [2 * binary.MaxVarintLen64]byte
	for _, r := range s.batch.records {
		key, value := s.batch.key(r), s.batch.value(r)
		n := binary.PutUvarint(head[:], uint64(len(key)))
		n += binary.PutUvarint(head[n:], uint64(len(value)))
		for _, part := range [][]byte{head[:n], key, value} {
			if _, err := w.Write(part); err != nil {
				return fmt.Errorf("sort: write %s: %w", file.Name(), err)
			}
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("sort: write %s: %w", file.Name(), err)
	}
	if size, err := file.Seek(0, io.SeekCurrent); err == nil {
		s.Spilled += size
	}
	s.batch.reset()
	return nil
}

// Close removes the temporary files. It may be called twice.
func (s *Sorter) Close() error {
	var errs []error
	for _, file := range s.runs {
		errs = append(errs, file.Close(), os.Remove(file.Name()))
	}
	s.runs, s.batch = nil, batch{}
	return errors.Join(errs...)
}

// Record is a key with what was added under it. Both are valid until the next
// record.
type Record struct{ Key, Value []byte }

// Merge yields the records of all sorters in the order of their keys; of one
// key, those of an earlier sorter first. Nothing may be added any more, and it
// may be ranged over again.
func Merge(sorters ...*Sorter) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var all merge
		for _, s := range sorters {
			for _, file := range s.runs {
				if _, err := file.Seek(0, io.SeekStart); err != nil {
					yield(Record{}, fmt.Errorf("sort: read %s: %w", file.Name(), err))
					return
				}
				all.add(&fileRun{name: file.Name(), r: bufio.NewReaderSize(s2.NewReader(file), 64<<10)})
			}
			s.batch.sort()
			all.add(&memoryRun{batch: &s.batch})
		}
		heap.Init(&all)
		for len(all.heads) > 0 {
			h := all.heads[0]
			if h.err != nil {
				yield(Record{}, h.err)
				return
			}
			if !yield(h.Record, nil) {
				return
			}
			if h.advance(); h.done {
				heap.Pop(&all)
			} else {
				heap.Fix(&all, 0)
			}
		}
	}
}

// run is a sorted sequence.
type run interface {
	// next returns io.EOF behind the last record.
	next() (Record, error)
}

// head is the first record of a run that was not read yet.
type head struct {
	Record
	run   run
	order int
	done  bool
	err   error
}

func (h *head) advance() {
	h.Record, h.err = h.run.next()
	if errors.Is(h.err, io.EOF) {
		h.done, h.err = true, nil
	}
}

// merge is a heap of heads. One with an error is the least: it ends everything.
type merge struct{ heads []*head }

func (m *merge) add(r run) {
	h := &head{run: r, order: len(m.heads)}
	if h.advance(); !h.done {
		m.heads = append(m.heads, h)
	}
}

func (m *merge) Len() int      { return len(m.heads) }
func (m *merge) Swap(i, j int) { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }
func (m *merge) Push(x any)    { m.heads = append(m.heads, x.(*head)) }

func (m *merge) Pop() any {
	last := m.heads[len(m.heads)-1]
	m.heads = m.heads[:len(m.heads)-1]
	return last
}

func (m *merge) Less(i, j int) bool {
	a, b := m.heads[i], m.heads[j]
	if (a.err != nil) != (b.err != nil) {
		return a.err != nil
	}
	if c := bytes.Compare(a.Key, b.Key); c != 0 {
		return c < 0
	}
	return a.order < b.order
}

type fileRun struct {
	name string
	r    *bufio.Reader
	buf  []byte
}

func (f *fileRun) next() (Record, error) {
	key, err := binary.ReadUvarint(f.r)
	if errors.Is(err, io.EOF) {
		return Record{}, io.EOF
	}
	var value uint64
	if err == nil {
		value, err = binary.ReadUvarint(f.r)
	}
	if err == nil {
		f.buf = slices.Grow(f.buf[:0], int(key+value))[:key+value]
		_, err = io.ReadFull(f.r, f.buf)
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // inside a record
		}
		return Record{}, fmt.Errorf("sort: read %s: %w", f.name, err)
	}
	return Record{f.buf[:key], f.buf[key:]}, nil
}

type memoryRun struct {
	batch *batch
	at    int
}

func (m *memoryRun) next() (Record, error) {
	if m.at == len(m.batch.records) {
		return Record{}, io.EOF
	}
	r := m.batch.records[m.at]
	m.at++
	return Record{m.batch.key(r), m.batch.value(r)}, nil
}

// batch is records in memory: their bytes one after another.
type batch struct {
	bytes   []byte
	records []record
	sorted  bool
}

type record struct {
	// prefix is the start of the key behind what all keys have in common.
	prefix     uint64
	start      int
	key, value uint32 // lengths
}

func (b *batch) add(key, value []byte) {
	b.records = append(b.records, record{start: len(b.bytes), key: uint32(len(key)), value: uint32(len(value))})
	b.bytes = append(append(b.bytes, key...), value...)
	b.sorted = false
}

func (b *batch) key(r record) []byte { return b.bytes[r.start : r.start+int(r.key)] }

func (b *batch) value(r record) []byte {
	from := r.start + int(r.key)
	return b.bytes[from : from+int(r.value)]
}

func (b *batch) reset() { b.bytes, b.records, b.sorted = b.bytes[:0], b.records[:0], false }

// sort puts the records in order. Keys of one partner begin alike, so eight
// bytes behind the common start decide most comparisons without a look into
// the bytes.
func (b *batch) sort() {
	if b.sorted || len(b.records) == 0 {
		return
	}
	common := b.key(b.records[0])
	for _, r := range b.records[1:] {
		common = common[:commonLength(common, b.key(r))]
	}
	skip := len(common)
	for i := range b.records {
		var first [8]byte
		copy(first[:], b.key(b.records[i])[skip:])
		b.records[i].prefix = binary.BigEndian.Uint64(first[:])
	}
	slices.SortFunc(b.records, func(x, y record) int {
		switch {
		case x.prefix < y.prefix:
			return -1
		case x.prefix > y.prefix:
			return 1
		}
		if c := bytes.Compare(b.key(x)[skip:], b.key(y)[skip:]); c != 0 {
			return c
		}
		return x.start - y.start
	})
	b.sorted = true
}

func commonLength(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
