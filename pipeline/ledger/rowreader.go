package ledger

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger/pages"
)

// rowReader reads the rows of a Parquet object. Where the library panics, because
// the store fails or the object is damaged, it returns an error.
type rowReader[Row any] struct {
	key    string
	left   int64 // rows
	file   *parquet.File
	reader *parquet.GenericReader[Row]
}

// openRows opens an object of flat rows.
func openRows[Row any](o Object, object bucket.Object) (rows[Row], error) {
	r, err := newRowReader[Row](o, object)
	return r, err
}

func newRowReader[Row any](o Object, object bucket.Object) (r *rowReader[Row], err error) {
	defer pages.Caught(o.Key, &err)
	// Opened apart: the reader would panic at what goes wrong with opening.
	file, err := parquet.OpenFile(io.NewSectionReader(object, 0, object.Size()), object.Size())
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.Key, err)
	}
	return &rowReader[Row]{o.Key, file.NumRows(), file, parquet.NewGenericReader[Row](file)}, nil
}

// read fills the batch as far as there are rows; after the last the error is io.EOF.
func (r *rowReader[Row]) read(batch []Row) (n int, err error) {
	defer pages.Caught(r.key, &err)
	clear(batch)
	n, err = r.reader.Read(batch)
	r.left -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return n, fmt.Errorf("read %s: %w", r.key, err)
	case r.left > 0: // half of the rows must not pass for all
		return n, fmt.Errorf("read %s: %w: %d rows are missing", r.key, io.ErrUnexpectedEOF, r.left)
	}
	return n, io.EOF
}

// seek goes on to a row, 0 for the object's first.
func (r *rowReader[Row]) seek(row int64) (err error) {
	defer pages.Caught(r.key, &err)
	if err := r.reader.SeekToRow(row); err != nil {
		return fmt.Errorf("read %s: go to row %d: %w", r.key, row, err)
	}
	r.left = r.file.NumRows() - row
	return nil
}

func (r *rowReader[Row]) rows() int64 { return r.left }

func (r *rowReader[Row]) starts(column string) ([]pages.Start, error) {
	return pages.Starts(r.key, r.file, column)
}

// close lets go of what was only read: there is nothing to lose.
func (r *rowReader[Row]) close() { _ = r.reader.Close() }
