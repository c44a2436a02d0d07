package table

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// MaxRecord is the longest record that a Reader returns, in bytes. It bounds
// memory where a quote that never closes would swallow the rest of the file.
const MaxRecord = 1 << 20

// Reader reads the records of a comma-separated file (RFC 4180): fields may be
// quoted, a quoted field may hold commas, doubled quotes and line ends. A
// byte-order mark is skipped, LF and CRLF both end a line, empty lines are
// skipped. Line ends inside a field stand as they are.
//
// A malformed record is an [*Error]; reading may go on after it, with the line
// after the one on which the record starts.
type Reader struct {
	src        io.Reader
	buf        []byte
	start, end int // the unread part of buf
	srcErr     error
	begun      bool

	line    int64 // of the last record
	next    int64 // line at start
	fields  [][]byte
	scratch []byte
}

// NewReader returns a Reader of a file.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src, buf: make([]byte, 64<<10), next: 1}
}

// Line returns the line on which the last record starts, 1 being the first.
func (r *Reader) Line() int64 { return r.line }

// Rules that a malformed record breaks.
const (
	ruleTooLong  = "is longer than 1 MiB, or a quote in it is never closed"
	ruleOpen     = "ends inside a quoted field: the file is cut off, or a quote is missing"
	ruleBare     = "has a quote in a field that does not start with one"
	ruleAfter    = "has text after the closing quote of a field"
	RuleUTF8     = "is not UTF-8: save the file as UTF-8"
	ruleRagged   = "has %d fields, the header has %d: the file is cut off or a comma is not quoted"
	ruleNoHeader = "has no header row"
)

var errTooLong = errors.New("record too long")

// Read returns the fields of the next record, valid until the next call, or
// io.EOF after the last.
func (r *Reader) Read() ([][]byte, error) {
	if !r.begun {
		r.begun = true
		r.skipMark()
	}
	for {
		first, err := r.lineEnd(0)
		r.line = r.next
		if errors.Is(err, errTooLong) {
			r.discardLine()
			return nil, &Error{Line: r.line, Rule: ruleTooLong}
		}
		if err != nil {
			return nil, err
		}
		line := chomp(r.buf[r.start : r.start+first])
		if len(line) == 0 {
			r.consume(first)
			continue
		}
		size, rule := first, ""
		if bytes.IndexByte(line, '"') < 0 {
			rule = r.split(line)
		} else if size, rule, err = r.quotedRecord(first); err != nil {
			return nil, err
		}
		if rule != "" {
			r.consume(first)
			return nil, &Error{Line: r.line, Rule: rule}
		}
		r.consume(size)
		return r.fields, nil
	}
}

// quotedRecord reads a record whose first line has quotes, and returns its
// size or the rule that it breaks.
func (r *Reader) quotedRecord(first int) (size int, rule string, err error) {
	size, rule, err = r.recordEnd(first)
	if err != nil {
		return 0, "", err
	}
	if rule == "" {
		return size, r.parse(chomp(r.buf[r.start : r.start+size])), nil
	}
	// A quote out of place is the likelier cause of one that never closes.
	if cause := r.parse(chomp(r.buf[r.start : r.start+first])); cause != "" && cause != ruleOpen {
		rule = cause
	}
	return 0, rule, nil
}

func (r *Reader) skipMark() {
	for r.end < 3 && r.fill() {
	}
	if bytes.HasPrefix(r.buf[:r.end], []byte("\xef\xbb\xbf")) {
		r.start = 3
	}
}

// fill reads more behind end, moving or growing the buffer when it is full.
func (r *Reader) fill() bool {
	if r.srcErr != nil {
		return false
	}
	if r.start > 0 && r.end == len(r.buf) {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if r.end == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		r.srcErr = err
		if n > 0 || err != nil {
			return n > 0
		}
	}
	r.srcErr = io.ErrNoProgress
	return false
}

// lineEnd returns how far the line that contains offset from reaches, its line
// end included, counted from start.
func (r *Reader) lineEnd(from int) (int, error) {
	for {
		if i := bytes.IndexByte(r.buf[r.start+from:r.end], '\n'); i >= 0 {
			return from + i + 1, nil
		}
		from = r.end - r.start
		if from > MaxRecord {
			return 0, errTooLong
		}
		if !r.fill() {
			if !errors.Is(r.srcErr, io.EOF) {
				return 0, r.srcErr
			}
			if r.end == r.start {
				return 0, io.EOF
			}
			return r.end - r.start, nil
		}
	}
}

// recordEnd extends a first line with quotes to the end of its record: the
// first line end after an even number of quotes. Where there is none it
// returns the rule that is broken.
func (r *Reader) recordEnd(size int) (_ int, rule string, err error) {
	quotes, counted := 0, 0
	for {
		quotes += bytes.Count(r.buf[r.start+counted:r.start+size], []byte{'"'})
		counted = size
		if quotes%2 == 0 {
			return size, "", nil
		}
		if size > MaxRecord {
			return 0, ruleTooLong, nil
		}
		if r.end-r.start == size && !r.fill() {
			if !errors.Is(r.srcErr, io.EOF) {
				return 0, "", r.srcErr
			}
			return 0, ruleOpen, nil
		}
		size, err = r.lineEnd(size)
		if errors.Is(err, errTooLong) {
			return 0, ruleTooLong, nil
		}
		if err != nil {
			return 0, "", err
		}
	}
}

func (r *Reader) consume(n int) {
	r.next += int64(bytes.Count(r.buf[r.start:r.start+n], []byte{'\n'}))
	r.start += n
}

// discardLine skips to the end of the line without keeping it.
func (r *Reader) discardLine() {
	for {
		if i := bytes.IndexByte(r.buf[r.start:r.end], '\n'); i >= 0 {
			r.start += i + 1
			r.next++
			return
		}
		r.start, r.end = 0, 0
		if !r.fill() {
			return
		}
	}
}

// chomp cuts the line end off.
func chomp(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// split splits a record without quotes. It returns the rule that it breaks.
func (r *Reader) split(line []byte) (rule string) {
	if !utf8.Valid(line) {
		return RuleUTF8
	}
	r.fields = r.fields[:0]
	for {
		i := bytes.IndexByte(line, ',')
		if i < 0 {
			r.fields = append(r.fields, line)
			return ""
		}
		r.fields = append(r.fields, line[:i])
		line = line[i+1:]
	}
}

// parse splits a record with quotes. It returns the rule that it breaks.
func (r *Reader) parse(rec []byte) (rule string) {
	if !utf8.Valid(rec) {
		return RuleUTF8
	}
	r.fields, r.scratch = r.fields[:0], r.scratch[:0]
	for {
		if len(rec) == 0 || rec[0] != '"' {
			i := bytes.IndexByte(rec, ',')
			field := rec
			if i >= 0 {
				field = rec[:i]
			}
			if bytes.IndexByte(field, '"') >= 0 {
				return ruleBare
			}
			r.fields = append(r.fields, field)
			if i < 0 {
				return ""
			}
			rec = rec[i+1:]
			continue
		}
		field, rest, ok := r.quoted(rec[1:])
		if !ok {
			return ruleOpen
		}
		r.fields = append(r.fields, field)
		switch {
		case len(rest) == 0:
			return ""
		case rest[0] != ',':
			return ruleAfter
		}
		rec = rest[1:]
	}
}

// quoted returns a quoted field without its quotes and what follows it.
func (r *Reader) quoted(s []byte) (field, rest []byte, ok bool) {
	i := bytes.IndexByte(s, '"')
	if i < 0 {
		return nil, nil, false
	}
	if i+1 == len(s) || s[i+1] != '"' {
		return s[:i], s[i+1:], true
	}
	from := len(r.scratch)
	for {
		r.scratch = append(r.scratch, s[:i]...)
		if i+1 == len(s) || s[i+1] != '"' {
			return r.scratch[from:], s[i+1:], true
		}
		r.scratch = append(r.scratch, '"')
		s = s[i+2:]
		if i = bytes.IndexByte(s, '"'); i < 0 {
			return nil, nil, false
		}
	}
}
