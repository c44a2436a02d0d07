package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/parquet-go/parquet-go"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger/pages"
)

// sorted reads a data object whose rows are in the order of a text column,
// forwards only. Seeking reads the page index and then the pages that hold the
// rows sought, so that one customer of many costs a few pages.
type sorted[Row any] struct {
	object bucket.Object
	key    string
	reader *rowReader[Row]
	of     func(*Row) string

	batch []Row
	// batch[at:n] are the rows at hand; read counts those taken from the object.
	at, n int
	read  int64
	ended bool

	pages []pageStart // nil until a first seek
}

// pageStart is the smallest text of a page, perhaps cut short, and its first row.
type pageStart struct {
	least string
	row   int64
}

// openSorted opens an object that is sorted by its named column; of returns
// that column of a row. batch is how many rows are decoded at a time.
func openSorted[Row any](ctx context.Context, l Ledger, o Object, column string, batch int, of func(*Row) string) (*sorted[Row], error) {
	object, err := l.Bucket.Open(ctx, o.Key)
	if err != nil {
		return nil, err
	}
	s := &sorted[Row]{object: object, key: o.Key, of: of}
	if s.reader, err = newRowReader[Row](o, object); err == nil {
		s.pages, err = s.reader.pageStarts(column)
	}
	if err != nil {
		return nil, errors.Join(err, object.Close())
	}
	s.batch = make([]Row, max(1, min(int64(batch), s.reader.left)))
	return s, nil
}

// pageStarts lists the pages of a column over all row groups. It is empty when
// the object has no page index: then every seek reads on.
func (r *rowReader[Row]) pageStarts(column string) (starts []pageStart, err error) {
	defer pages.Caught(r.key, &err)
	leaf, ok := r.file.Schema().Lookup(column)
	if !ok {
		return nil, fmt.Errorf("read %s: it has no column %s", r.key, column)
	}
	first := int64(0)
	for _, group := range r.file.RowGroups() {
		chunk := group.ColumnChunks()[leaf.ColumnIndex]
		index, err1 := chunk.ColumnIndex()
		offsets, err2 := chunk.OffsetIndex()
		if err1 != nil || err2 != nil || index == nil || offsets == nil || index.NumPages() != offsets.NumPages() {
			return nil, nil
		}
		for i := range index.NumPages() {
			starts = append(starts, pageStart{index.MinValue(i).String(), first + offsets.FirstRowIndex(i)})
		}
		first += group.NumRows()
	}
	return starts, nil
}

// head returns the row at hand, nil at the end. It is valid until the next call
// of next or seek; the strings in it are for keeps.
func (s *sorted[Row]) head() (*Row, error) {
	for s.at == s.n {
		if s.ended {
			return nil, nil
		}
		n, err := s.reader.read(s.batch)
		s.at, s.n = 0, n
		s.read += int64(n)
		switch {
		case errors.Is(err, io.EOF):
			s.ended = true
		case err != nil:
			return nil, err
		case n == 0:
			return nil, fmt.Errorf("read %s: %w", s.key, io.ErrNoProgress)
		}
	}
	return &s.batch[s.at], nil
}

func (s *sorted[Row]) next() { s.at++ }

// seek goes to the first row, from the one at hand on, whose text is not before
// the given one.
func (s *sorted[Row]) seek(text string) error {
	if s.n > 0 && s.at < s.n && s.of(&s.batch[s.n-1]) < text {
		s.at = s.n // none of those at hand
	}
	if s.at == s.n && !s.ended {
		if row := s.pageOf(text); row > s.read {
			if err := s.reader.seek(row); err != nil {
				return err
			}
			s.read, s.at, s.n = row, 0, 0
		}
	}
	for {
		row, err := s.head()
		if err != nil || row == nil {
			return err
		}
		if s.of(row) >= text {
			return nil
		}
		s.next()
	}
}

// pageOf returns the first row of the last page that surely begins before the
// text: rows of the text may begin at a page's end.
func (s *sorted[Row]) pageOf(text string) int64 {
	i := sort.Search(len(s.pages), func(i int) bool { return !begins(s.pages[i].least, text) })
	if i == 0 {
		return 0
	}
	return s.pages[i-1].row
}

// begins reports whether a page whose least text is as given, perhaps cut short,
// surely begins before the text.
func begins(least, text string) bool {
	if len(least) < parquet.DefaultColumnIndexSizeLimit {
		return least < text
	}
	return least < text[:min(len(least), len(text))]
}

// close lets go of what was only read: there is nothing to lose.
func (s *sorted[Row]) close() {
	_ = s.reader.close()
	_ = s.object.Close()
}

// take returns the rows of one text, which must not be before an earlier one.
func (s *sorted[Row]) take(text string, each func(*Row) error) error {
	if err := s.seek(text); err != nil {
		return err
	}
	for {
		row, err := s.head()
		if err != nil || row == nil || s.of(row) != text {
			return err
		}
		if err := each(row); err != nil {
			return fmt.Errorf("read %s: %w", s.key, err)
		}
		s.next()
	}
}
