package intake

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"

	"github.com/calends/calends/pipeline/change"
)

// CopyRefused copies the records of a member that are refused, and those alone,
// as they stand in it: a file that can be corrected and taken in again. JSON
// Lines stay JSON Lines, CSV keeps its header. Rows of a Parquet file, which is
// no text, become CSV. It returns how many there are.
func CopyRefused(m *Member, format Format, w io.Writer) (n int64, err error) {
	defer panicked(&err)
	r, err := OpenChanges(m, format)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if format == Parquet {
		return copyRows(r, w)
	}
	text, err := m.Open()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, text.Close()) }()
	return copyLines(r, newLineCopier(text, w), format == CSV)
}

// copyLines copies the lines from each refused record to the one before the next
// record, whatever is wrong with it: where it begins is always known.
func copyLines(r *ChangeReader, lines *lineCopier, header bool) (n int64, err error) {
	var c change.Change
	wanted := header // the lines from here to the next record
	for {
		refused, err := r.Next(&c)
		end := errors.Is(err, io.EOF)
		switch {
		case err != nil && !end:
			return n, err
		case end:
			return n, lines.to(0, wanted)
		}
		at := c.Taken.Record
		if refused != nil {
			at = refused.Line
			n++
		}
		if err := lines.to(at, wanted); err != nil {
			return n, err
		}
		wanted = refused != nil
	}
}

// lineCopier walks through the lines of a text, of any length, and copies some.
type lineCopier struct {
	src  *bufio.Reader
	dst  io.Writer
	line int64 // the next one
}

func newLineCopier(src io.Reader, dst io.Writer) *lineCopier {
	buffered := bufio.NewReaderSize(src, 64<<10)
	if mark, _ := buffered.Peek(3); string(mark) == "\xef\xbb\xbf" {
		_, _ = buffered.Discard(3) // just peeked
	}
	return &lineCopier{src: buffered, dst: dst, line: 1}
}

// to goes on to a line, or to the end with 0, and copies what it passes if that is
// wanted: without the empty lines around it, and with an end behind the last.
func (l *lineCopier) to(line int64, wanted bool) error {
	var empty []byte // lines that count only if something follows
	text := false    // something was copied
	for line == 0 || l.line < line {
		for begun := false; ; {
			part, err := l.src.ReadSlice('\n')
			switch {
			case !wanted:
			case !begun && len(bytes.TrimSpace(part)) == 0:
				if text {
					empty = append(empty, part...)
				}
			default:
				begun, text = true, true
				if _, err := l.dst.Write(append(empty, part...)); err != nil {
					return err
				}
				empty = empty[:0]
			}
			if err == nil {
				break
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if err = notEOF(err); begun && err == nil {
				_, err = l.dst.Write([]byte{'\n'})
			}
			return err
		}
		l.line++
	}
	return nil
}

// copyRows writes refused rows with the columns that a row can have.
func copyRows(r *ChangeReader, w io.Writer) (n int64, err error) {
	rows := csv.NewWriter(w)
	if err := rows.Write(fieldNames[:]); err != nil {
		return 0, err
	}
	var c change.Change
	for {
		refused, err := r.Next(&c)
		if errors.Is(err, io.EOF) {
			rows.Flush()
			return n, rows.Error()
		}
		if err != nil {
			return n, err
		}
		if refused == nil {
			continue
		}
		n++
		cells := make([]string, numFields)
		for f, v := range r.rec.values {
			if !v.blank() && (field(f) != fNext || v.text != nil) {
				cells[f] = string(v.text)
			}
		}
		if r.rec.values[fNext].text != nil { // the others are what it says
			clear(cells[fNext+1:])
		}
		if err := rows.Write(cells); err != nil {
			return n, fmt.Errorf("write row %d: %w", refused.Line, err)
		}
	}
}
