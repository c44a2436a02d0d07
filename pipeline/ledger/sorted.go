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
	reader rows[Row]
	of     func(*Row) string

	batch []Row
	// batch[at:n] are the rows at hand; read counts those taken from the object.
	at, n int
	read  int64
	ended bool

	pages []pages.Start
}

// rows reads the rows of a data object, a batch at a time; after the last the
// error is io.EOF.
type rows[Row any] interface {
	read(batch []Row) (int, error)
	seek(row int64) error
	rows() int64
	starts(column string) ([]pages.Start, error)
	close()
}

// openSorted opens an object that is sorted by its named column; of returns
// that column of a row. batch is how many rows are decoded at a time.
func openSorted[Row any](ctx context.Context, l Ledger, o Object, open func(Object, bucket.Object) (rows[Row], error),
	column string, batch int, of func(*Row) string) (*sorted[Row], error) {
	object, err := l.Bucket.Open(ctx, o.Key)
	if err != nil {
		return nil, err
	}
	s := &sorted[Row]{object: object, key: o.Key, of: of}
	if s.reader, err = open(o, object); err == nil {
		s.pages, err = s.reader.starts(column)
	}
	if err != nil {
		return nil, errors.Join(err, object.Close())
	}
	s.batch = make([]Row, max(1, min(int64(batch), s.reader.rows())))
	return s, nil
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
	i := sort.Search(len(s.pages), func(i int) bool { return !begins(s.pages[i].Least, text) })
	if i == 0 {
		return 0
	}
	return s.pages[i-1].Row
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
	s.reader.close()
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
