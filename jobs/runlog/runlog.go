// Package runlog gives a run a log of its own: what is logged goes where the program's
// log goes, and a bounded copy is kept for the run's record.
//
// The copy is JSON, one object a line, of level Info and above whatever the program's
// log shows. Where there is too much, the beginning and the end are kept, in whole
// lines, and a line between them says how much is missing. Bytes never exceeds the limit.
package runlog

import (
	"bytes"
	"fmt"
	"log/slog"
	"sync"
)

// DefaultLimit is enough for a thousand lines or two.
const DefaultLimit = 256 << 10

// minLimit leaves room for a few lines and for the one that says what is missing.
const minLimit = 4 << 10

// New gives a logger that writes to base and keeps a copy of at most limit bytes, 4 KiB
// at least. What is true of the whole run is put on every line with the logger's With.
// The function returned gives the copy so far; both may be called from any goroutine.
func New(base slog.Handler, limit int) (*slog.Logger, func() []byte) {
	c := &ends{limit: max(limit, minLimit)}
	copied := slog.NewJSONHandler(c, &slog.HandlerOptions{ReplaceAttr: c.shorten})
	return slog.New(slog.NewMultiHandler(base, copied)), c.bytes
}

// ends keeps the first and the last lines written to it. A quarter is for the first
// ones: why something failed mostly stands at the end.
type ends struct {
	limit int

	mu    sync.Mutex
	first []byte
	last  [][]byte // lines
	size  int      // of last
	lines int      // that were dropped between the two
	lost  int64    // and their bytes
}

// noteSize is room for the line about what is missing.
const noteSize = 128

// Write takes a line: a slog handler writes each with one call.
func (e *ends) Write(line []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.last) == 0 && e.lines == 0 && len(e.first)+len(line) <= e.limit/4 {
		e.first = append(e.first, line...)
		return len(line), nil
	}
	e.last = append(e.last, bytes.Clone(line))
	e.size += len(line)
	for len(e.first)+e.size+noteSize > e.limit {
		e.lines++
		e.lost += int64(len(e.last[0]))
		e.size -= len(e.last[0])
		e.last[0] = nil
		e.last = e.last[1:]
	}
	return len(line), nil
}

// shorten cuts a text that would leave no room for other lines.
func (e *ends) shorten(_ []string, a slog.Attr) slog.Attr {
	most := e.limit / 16
	text := ""
	switch v := a.Value.Any().(type) {
	case string:
		text = v
	case error:
		text = v.Error()
	}
	if len(text) > most {
		return slog.String(a.Key, fmt.Sprintf("%s... (cut here, %d bytes in all)", text[:most], len(text)))
	}
	return a
}

func (e *ends) bytes() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := bytes.Clone(e.first)
	if e.lines > 0 {
		all = fmt.Appendf(all, `{"level":"WARN","msg":"lines are missing here","lines":%d,"bytes":%d}`+"\n", e.lines, e.lost)
	}
	return append(all, bytes.Join(e.last, nil)...)
}
