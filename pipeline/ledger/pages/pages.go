// Package pages reads and writes columns of a Parquet file, some rows at a time,
// without making rows of them: numbers as slices, text of a dictionary as its
// indexes, so that what many rows share is made once.
//
// It knows flat files: no nesting, no repetition, and dictionaries of text only. What the library panics at, because the store fails
// or the file is damaged, comes back as an error.
package pages

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// Reader reads the columns that were added to it, in step.
type Reader struct {
	name   string // of the file, for errors
	file   *parquet.File
	leaves []*leaf

	next  int   // the row group after the one begun
	begun int   // how many were, some perhaps again
	left  int64 // rows of the one begun
	rows  int64 // rows of the file that were not read
}

// Column takes up the values of a column, or has those to write: [Names], [Texts],
// [Numbers] or [Flags].
type Column interface {
	// group begins a row group.
	group()
	// page begins a page of values, nulls left out.
	page(parquet.Page) error
	// clear forgets what was read; keep does, too, and leaves its memory to who has it.
	clear()
	keep()
	// take adds the next values of the page, none as many empty ones.
	take(n int) error
	none(n int)

	// held is how many rows it has to write.
	held() int
	// end is where the page ends that begins with a row, perhaps behind the last.
	end(from int) int
	// appendPage appends the values of rows, those that are given.
	appendPage(page []byte, from, to int, given []bool) ([]byte, bounds, error)
	// compare compares two bounds.
	compare(a, b []byte) int
	encoding() format.Encoding
	physical() format.Type
	// describe says what the values mean.
	describe(*format.SchemaElement)
}

// Open opens a file; its name is for errors.
func Open(name string, r io.ReaderAt, size int64) (reader *Reader, err error) {
	defer Caught(name, &err)
	file, err := parquet.OpenFile(io.NewSectionReader(r, 0, size), size)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return &Reader{name: name, file: file, rows: file.NumRows()}, nil
}

// Add has a column read into c, all of it empty when the file has no such column.
// Columns are added before the first row is read.
func (r *Reader) Add(name string, c Column) { r.AddOptional(name, c, nil) }

// AddOptional has a column read of which some values may be missing: given says
// which are there. Without it they are empty.
func (r *Reader) AddOptional(name string, c Column, given *[]bool) {
	l := &leaf{name: name, index: -1, column: c, given: given}
	if found, ok := r.file.Schema().Lookup(name); ok {
		l.index = found.ColumnIndex
		l.full = byte(found.MaxDefinitionLevel)
	}
	r.leaves = append(r.leaves, l)
}

// Rows is how many rows there are from here on.
func (r *Reader) Rows() int64 { return r.rows }

// Group counts the row groups begun. Places of [Names] mean the same within one.
func (r *Reader) Group() int { return r.begun }

// Next reads the next rows into the columns, at most so many, and returns how
// many; after the last the error is [io.EOF]. What the columns held before is gone,
// but for the texts, which are for keeps.
func (r *Reader) Next(most int) (n int, err error) {
	defer Caught(r.name, &err)
	groups := r.file.RowGroups()
	for r.left == 0 {
		if r.next == len(groups) {
			if r.rows > 0 { // half of the rows must not pass for all
				return 0, fmt.Errorf("read %s: %w: %d rows are missing", r.name, io.ErrUnexpectedEOF, r.rows)
			}
			return 0, io.EOF
		}
		r.begin(groups[r.next])
	}
	n = int(min(int64(most), r.left))
	for _, l := range r.leaves {
		if err := l.read(n); err != nil {
			return 0, fmt.Errorf("read %s: column %s: %w", r.name, l.name, err)
		}
	}
	r.left -= int64(n)
	r.rows -= int64(n)
	return n, nil
}

// SeekToRow goes on to a row, 0 for the file's first.
func (r *Reader) SeekToRow(row int64) (err error) {
	defer Caught(r.name, &err)
	r.rows = r.file.NumRows() - row
	r.next, r.left = 0, 0
	for _, group := range r.file.RowGroups() {
		if row >= group.NumRows() {
			row -= group.NumRows()
			r.next++
			continue
		}
		r.begin(group)
		for _, l := range r.leaves {
			if err := l.seek(group, row); err != nil {
				return fmt.Errorf("read %s: column %s: go to row %d: %w", r.name, l.name, row, err)
			}
		}
		r.left -= row
		return nil
	}
	return nil
}

// Keep leaves the memory of what was read last to whoever has copied the columns:
// [Reader.Next] reads into other.
func (r *Reader) Keep() {
	for _, l := range r.leaves {
		l.column.keep()
		if l.given != nil {
			*l.given = nil
		}
	}
}

func (r *Reader) begin(group parquet.RowGroup) {
	r.next++
	r.begun++
	r.left = group.NumRows()
	for _, l := range r.leaves {
		l.begin(group)
	}
}

// Start is where a page of a column begins: its smallest value, perhaps cut
// short, and its first row.
type Start struct {
	Least string
	Row   int64
}

// Starts lists the pages of a column. It is empty when the file has no page index.
func (r *Reader) Starts(column string) ([]Start, error) { return Starts(r.name, r.file, column) }

// Starts lists the pages of a column of a file whose name is for errors.
func Starts(name string, file *parquet.File, column string) (starts []Start, err error) {
	defer Caught(name, &err)
	leaf, ok := file.Schema().Lookup(column)
	if !ok {
		return nil, fmt.Errorf("read %s: it has no column %s", name, column)
	}
	first := int64(0)
	for _, group := range file.RowGroups() {
		chunk := group.ColumnChunks()[leaf.ColumnIndex]
		index, err1 := chunk.ColumnIndex()
		offsets, err2 := chunk.OffsetIndex()
		if err1 != nil || err2 != nil || index == nil || offsets == nil || index.NumPages() != offsets.NumPages() {
			return nil, nil
		}
		for i := range index.NumPages() {
			starts = append(starts, Start{index.MinValue(i).String(), first + offsets.FirstRowIndex(i)})
		}
		first += group.NumRows()
	}
	return starts, nil
}

// Close lets go of the pages at hand.
func (r *Reader) Close() {
	for _, l := range r.leaves {
		l.close()
	}
}

// leaf walks the pages of one column.
type leaf struct {
	name   string
	index  int  // of the column in the file; -1: there is none
	full   byte // the definition level of a value that is there; 0: all are
	column Column
	given  *[]bool

	pages    parquet.Pages
	page     parquet.Page
	at, rows int // of the page: taken, all
}

func (l *leaf) begin(group parquet.RowGroup) {
	l.close()
	l.column.group()
	if l.index >= 0 {
		l.pages = group.ColumnChunks()[l.index].Pages()
	}
}

// seek goes to the page of a row and leaves out what comes before it there. The
// library would cut the page, and bits cannot be cut.
func (l *leaf) seek(group parquet.RowGroup, row int64) error {
	if l.index < 0 {
		return nil
	}
	first := int64(0)
	offsets, err := group.ColumnChunks()[l.index].OffsetIndex()
	if err == nil && offsets != nil {
		i := sort.Search(offsets.NumPages(), func(i int) bool { return offsets.FirstRowIndex(i) > row })
		if i > 0 {
			first = offsets.FirstRowIndex(i - 1)
		}
		if err := l.pages.SeekToRow(first); err != nil {
			return err
		}
	}
	for first < row {
		if err := l.more(); err != nil {
			return err
		}
		n := int(min(int64(l.rows-l.at), row-first))
		if err := l.pass(n); err != nil {
			return err
		}
		first += int64(n)
	}
	return nil
}

// read takes so many rows.
func (l *leaf) read(n int) error {
	l.clear()
	for n > 0 {
		if l.index < 0 {
			l.column.none(n)
			l.give(false, n)
			return nil
		}
		if err := l.more(); err != nil {
			return err
		}
		k := min(n, l.rows-l.at)
		if err := l.pass(k); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

func (l *leaf) clear() {
	l.column.clear()
	if l.given != nil {
		*l.given = (*l.given)[:0]
	}
}

// more goes on to a page with rows that were not taken.
func (l *leaf) more() error {
	for l.at == l.rows {
		l.drop()
		page, err := l.pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		l.page, l.at, l.rows = page, 0, int(page.NumRows())
		if err := l.column.page(page); err != nil {
			return err
		}
	}
	return nil
}

// pass takes rows that the page has.
func (l *leaf) pass(n int) error {
	levels := l.page.DefinitionLevels()
	if l.full == 0 || len(levels) == 0 {
		l.at += n
		l.give(true, n)
		return l.column.take(n)
	}
	levels = levels[l.at : l.at+n]
	l.at += n
	for len(levels) > 0 {
		here := levels[0] == l.full
		same := 1
		for same < len(levels) && (levels[same] == l.full) == here {
			same++
		}
		levels = levels[same:]
		l.give(here, same)
		if !here {
			l.column.none(same)
			continue
		}
		if err := l.column.take(same); err != nil {
			return err
		}
	}
	return nil
}

func (l *leaf) give(given bool, n int) {
	if l.given == nil {
		return
	}
	for range n {
		*l.given = append(*l.given, given)
	}
}

// drop gives the page back to the library.
func (l *leaf) drop() {
	if l.page != nil {
		parquet.Release(l.page)
	}
	l.page, l.at, l.rows = nil, 0, 0
}

func (l *leaf) close() {
	l.drop()
	if l.pages != nil {
		_ = l.pages.Close() // only read: there is nothing to lose
		l.pages = nil
	}
}

// Caught turns a panic of the Parquet library into an error; it is to be deferred.
func Caught(name string, err *error) {
	switch p := recover().(type) {
	case nil:
	case error:
		*err = fmt.Errorf("read %s: not readable as Parquet: %w", name, p)
	default:
		*err = fmt.Errorf("read %s: not readable as Parquet: %v", name, p)
	}
}
