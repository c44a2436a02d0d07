package intake

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/calends/calends/pricing/pricesheet/table"
)

// MaxLine is the longest line of a JSON Lines file that is read, in bytes.
const MaxLine = 1 << 20

// lineReader yields the lines of a file without their ends. It never holds
// more than MaxLine bytes.
type lineReader struct {
	src  *bufio.Reader
	line int64
	buf  []byte
}

func newLineReader(src io.Reader) *lineReader {
	l := &lineReader{src: bufio.NewReaderSize(src, 64<<10)}
	if mark, _ := l.src.Peek(3); string(mark) == "\xef\xbb\xbf" {
		_, _ = l.src.Discard(3) // just peeked
	}
	return l
}

// reset goes on with another piece of a file, of which so many lines stand before it.
func (l *lineReader) reset(src io.Reader, line int64) {
	if l.src == nil {
		l.src = bufio.NewReaderSize(src, 64<<10)
	}
	l.src.Reset(src)
	l.line = line
}

// next returns the next line that is not empty, valid until the following
// call. tooLong lines come without their content.
func (l *lineReader) next() (line []byte, tooLong bool, err error) {
	for {
		l.line++
		line, tooLong, err = l.read()
		if err != nil {
			return nil, false, err
		}
		if tooLong || len(bytes.TrimSpace(line)) > 0 {
			return line, tooLong, nil
		}
	}
}

func (l *lineReader) read() (line []byte, tooLong bool, err error) {
	chunk, err := l.src.ReadSlice('\n')
	if err == nil || errors.Is(err, io.EOF) && len(chunk) > 0 {
		return chunk, false, nil
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return nil, false, err
	}
	l.buf = append(l.buf[:0], chunk...)
	for errors.Is(err, bufio.ErrBufferFull) {
		chunk, err = l.src.ReadSlice('\n')
		if len(l.buf)+len(chunk) <= MaxLine {
			l.buf = append(l.buf, chunk...)
		} else {
			tooLong = true
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	return l.buf, tooLong, nil
}

const ruleLong = "is longer than 1 MiB"

func (l *lineReader) refuse(line []byte, rule string) *table.Error {
	return table.NewError(l.line, "", bytes.TrimSpace(line), rule)
}
