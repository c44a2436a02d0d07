package linebook

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// File is a reconciliation.csv as its manifest names it.
type File struct {
	Key      string
	Size     int64
	SHA256   string
	Lines    int
	Currency string
}

// read makes the book of a file. A file that is not what its manifest says is
// [ErrDamaged].
func read(ctx context.Context, b bucket.Bucket, f File) (_ *Book, err error) {
	object, err := b.Open(ctx, f.Key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	if object.Size() != f.Size {
		return nil, fmt.Errorf("read %s: %w: %d bytes, not %d", f.Key, ErrDamaged, object.Size(), f.Size)
	}
	hashed := newHashing(ctx, object)
	book, err := parse(hashed, f)
	sum, hashErr := hashed.close()
	switch {
	case hashErr != nil:
		return nil, fmt.Errorf("read %s: %w", f.Key, hashErr)
	case sum != f.SHA256:
		return nil, fmt.Errorf("read %s: %w: its sha256 is %s, not %s", f.Key, ErrDamaged, sum, f.SHA256)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", f.Key, err)
	}
	return book, nil
}

// parse makes a book of what the reader gives.
func parse(r io.Reader, f File) (*Book, error) {
	digits, ok := pricing.MinorDigits(f.Currency)
	if !ok {
		return nil, fmt.Errorf("%q is no currency", f.Currency)
	}
	book := &Book{sum: f.SHA256, digits: digits}
	for i := range runs {
		switch runs[i].kind {
		case words:
			book.words[i] = newDictionary()
		case ids:
			book.ids[i] = &idColumn{}
		case amount:
			book.money[i] = make([]int64, 0, f.Lines)
		}
	}
	rows := rowReader{r: bufio.NewReaderSize(r, chunk)}
	header, err := rows.next()
	if err != nil || string(header) != strings.Join(exports.Columns(), ",") {
		return nil, fmt.Errorf("the header is not ours: %w", errors.Join(ErrDamaged, err))
	}
	fields := make([][]byte, 0, columns)
	for {
		row, err := rows.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = book.add(row, fields, f.Lines)
		}
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", book.rows+1, err)
		}
	}
	if book.rows != f.Lines {
		return nil, fmt.Errorf("%w: %d lines, not %d", ErrDamaged, book.rows, f.Lines)
	}
	for i := range runs {
		switch runs[i].kind {
		case words:
			book.words[i].done()
		case ids:
			book.ids[i].done()
		case amount:
		}
	}
	return book, nil
}

// add takes one row in. room is for its fields.
func (b *Book) add(row []byte, room [][]byte, lines int) error {
	fields, ok := split(room, row)
	if !ok || len(fields) != columns {
		return fmt.Errorf("%w: want %d fields", ErrDamaged, columns)
	}
	from := 0 // the byte with which the run begins
	for r := range runs {
		length := ends[r] - begin(r) - 1 // its separators
		for _, f := range fields[begin(r):ends[r]] {
			length += len(f)
		}
		text := row[from : from+length]
		from += length + 1
		switch runs[r].kind {
		case words:
			b.words[r].add(text, lines)
		case ids:
			if err := b.ids[r].add(text, lines); err != nil {
				return err
			}
		case amount:
			minor, ok := parseAmount(text, b.digits)
			if !ok {
				return fmt.Errorf("%w: amount %q", ErrDamaged, text)
			}
			b.money[r] = append(b.money[r], minor)
		}
	}
	b.rows++
	return nil
}

// chunk is what is read and hashed at a time.
const chunk = 256 << 10

// rowReader reads rows, each up to a line end that is not inside quotes.
type rowReader struct {
	r    *bufio.Reader
	long []byte
}

var rowEnd = []byte("\r\n")

// next returns a row without its end, good until the next one. At the end it is io.EOF.
func (r *rowReader) next() ([]byte, error) {
	r.long = r.long[:0]
	quotes := 0
	for {
		part, err := r.r.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(part)+len(r.long) == 0 {
			return nil, io.EOF
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: it ends inside a row", ErrDamaged)
			}
			return nil, err
		}
		quotes += bytes.Count(part, []byte{'"'})
		whole := err == nil && quotes%2 == 0
		if !whole || len(r.long) > 0 {
			r.long = append(r.long, part...)
			part = r.long
		}
		if whole {
			row, ok := bytes.CutSuffix(part, rowEnd)
			if !ok {
				return nil, fmt.Errorf("%w: a row does not end with CRLF", ErrDamaged)
			}
			return row, nil
		}
	}
}

// split cuts a row into its fields, as they stand there with their quotes.
func split(fields [][]byte, row []byte) (_ [][]byte, ok bool) {
	fields = fields[:0]
	for {
		end := 0
		if len(row) > 0 && row[0] == '"' {
			for end = 1; ; end++ { // a doubled quote closes and opens
				n := bytes.IndexByte(row[end:], '"')
				if n < 0 {
					return nil, false
				}
				end += n
				if end+1 == len(row) || row[end+1] != '"' {
					break
				}
				end++
			}
			end++
			if end < len(row) && row[end] != ',' {
				return nil, false
			}
		} else if end = bytes.IndexByte(row, ','); end < 0 {
			end = len(row)
		}
		fields = append(fields, row[:end])
		if end == len(row) {
			return fields, true
		}
		row = row[end+1:]
	}
}

// unquoted is what a field says.
func unquoted(field string) string {
	if len(field) < 2 || field[0] != '"' {
		return field
	}
	return strings.ReplaceAll(field[1:len(field)-1], `""`, `"`)
}

// quoted is the inverse of [unquoted].
func quoted(text string) []byte {
	if !strings.ContainsAny(text, "\",\r\n") {
		return []byte(text)
	}
	return []byte(`"` + strings.ReplaceAll(text, `"`, `""`) + `"`)
}

// parseAmount reads the one spelling that pricing.FormatMinor writes.
func parseAmount(text []byte, digits int) (int64, bool) {
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	whole := len(text)
	if digits > 0 {
		whole -= digits + 1
		if whole < 1 || text[whole] != '.' {
			return 0, false
		}
	}
	if whole < 1 || whole > 1 && text[0] == '0' || len(text) > 20 {
		return 0, false
	}
	minor := int64(0)
	for i, c := range text {
		if i == whole {
			continue
		}
		digit := int64(c) - '0'
		if digit < 0 || digit > 9 || minor > (1<<63-1-digit)/10 {
			return 0, false
		}
		minor = 10*minor + digit
	}
	if negative {
		return -minor, minor != 0
	}
	return minor, true
}

// hashing is a reader that hashes beside whoever reads: on another core.
type hashing struct {
	ctx    context.Context
	r      io.Reader
	hash   hash.Hash
	pieces chan []byte
	free   chan []byte
	done   chan struct{}
	err    error
}

func newHashing(ctx context.Context, r io.Reader) *hashing {
	const pieces = 4
	h := &hashing{ctx: ctx, r: r, hash: sha256.New(), pieces: make(chan []byte, pieces), free: make(chan []byte, pieces+1), done: make(chan struct{})}
	for range pieces {
		h.free <- make([]byte, chunk)
	}
	go func() {
		defer close(h.done)
		for piece := range h.pieces {
			h.hash.Write(piece)
			h.free <- piece[:cap(piece)]
		}
	}()
	return h
}

// Read passes a piece on to the one who hashes, and copies it out.
func (h *hashing) Read(p []byte) (int, error) {
	if err := h.ctx.Err(); err != nil {
		h.err = err
	}
	if h.err != nil {
		return 0, h.err
	}
	n, err := h.r.Read(p)
	h.tell(p[:n])
	h.err = err
	return n, err
}

func (h *hashing) tell(p []byte) {
	for len(p) > 0 {
		piece := <-h.free
		n := copy(piece[:cap(piece)], p)
		h.pieces <- piece[:n]
		p = p[n:]
	}
}

// close reads what nobody has read, waits, and returns the hash of the whole.
func (h *hashing) close() (sum string, err error) {
	rest := make([]byte, chunk)
	for h.err == nil {
		_, _ = h.Read(rest)
	}
	close(h.pieces)
	<-h.done
	if !errors.Is(h.err, io.EOF) {
		return "", h.err
	}
	return hex.EncodeToString(h.hash.Sum(nil)), nil
}
