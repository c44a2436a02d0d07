package intake

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// ChangeReader reads changes one by one, from JSON Lines, CSV or Parquet. The
// same change gives the same value, Content included, whatever the format.
//
// It goes by the name of a field: in JSON as written, beside data or in it; in
// CSV and Parquet in any case, with or without `data.` before it.
type ChangeReader struct {
	source  changeSource
	rec     record
	unknown firstNames
}

// changeSource fills a record with what stands in a file.
type changeSource interface {
	// read returns the position of the record. A refused one is an
	// [*table.Error]; io.EOF follows the last.
	read(r *record) (position int64, err error)
	close() error
}

// OpenChanges opens a member that was recognised as changes. The reader must
// be closed.
func OpenChanges(m *Member, format Format) (*ChangeReader, error) {
	if format == Parquet {
		t, err := m.OpenAt()
		if err != nil {
			return nil, err
		}
		r, err := NewParquetChanges(t, t.Size)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read %s: %w", m.Name, err), t.Close())
		}
		r.source = closing{r.source, t}
		return r, nil
	}
	s, err := m.Open()
	if err != nil {
		return nil, err
	}
	open := NewJSONChanges
	if format == CSV {
		open = NewCSVChanges
	}
	r, err := open(s)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", m.Name, err), s.Close())
	}
	r.source = closing{r.source, s}
	return r, nil
}

// closing closes the file behind a source as well.
type closing struct {
	changeSource
	file io.Closer
}

func (c closing) close() error { return errors.Join(c.changeSource.close(), c.file.Close()) }

func newChangeReader(source changeSource) *ChangeReader {
	return &ChangeReader{source: source}
}

// Next reads the next change into c, which it overwrites. Taken.Record is the
// line, or the row of a table. A refused record comes back as refused, and
// reading may go on. After the last one err is io.EOF; any other error is the
// file's and ends it.
func (r *ChangeReader) Next(c *change.Change) (refused *table.Error, err error) {
	r.rec.reset()
	position, err := r.source.read(&r.rec)
	if err != nil {
		var e *table.Error
		if errors.As(err, &e) {
			return e, nil
		}
		return nil, err
	}
	if refused = r.rec.build(c); refused != nil {
		refused.Line = position
		return refused, nil
	}
	c.Taken.Record = position
	for _, u := range r.rec.unknown {
		r.unknown.add(u.name)
	}
	return nil, nil
}

// Unknown returns the fields without a meaning here that were seen so far,
// sorted, the first 20 of them.
func (r *ChangeReader) Unknown() []string { return r.unknown.sorted() }

// firstNames are the first names of many, as many as are listed.
type firstNames []string

func (n *firstNames) add(name string) {
	if len(*n) < table.MaxListed && !slices.Contains(*n, name) {
		*n = append(*n, strings.Clone(name))
	}
}

func (n firstNames) sorted() []string { return slices.Sorted(slices.Values(n)) }

// Close closes what OpenChanges opened.
func (r *ChangeReader) Close() error { return r.source.close() }

// NewJSONChanges reads JSON Lines: one object a line of at most MaxLine bytes.
// Empty lines, CRLF and a byte-order mark are fine.
func NewJSONChanges(src io.Reader) (*ChangeReader, error) {
	return newChangeReader(&jsonChanges{lines: newLineReader(src)}), nil
}

type jsonChanges struct {
	lines *lineReader
	scan  scanner
	rec   *record
}

const (
	ruleNoJSON = "is no JSON object: changes are one object a line"
	ruleMore   = "has something behind its JSON object: changes are one object a line"
)

func (j *jsonChanges) close() error { return nil }

func (j *jsonChanges) read(r *record) (int64, error) {
	line, tooLong, err := j.lines.next()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		return 0, fmt.Errorf("read changes, line %d: %w", j.lines.line, err)
	}
	if tooLong {
		return 0, &table.Error{Line: j.lines.line, Rule: ruleLong}
	}
	if !utf8.Valid(line) {
		return 0, &table.Error{Line: j.lines.line, Rule: table.RuleUTF8}
	}
	j.scan.reset(line)
	j.rec = r
	if !j.scan.members(j.envelope) {
		return 0, j.lines.refuse(line, ruleNoJSON)
	}
	if !j.scan.done() {
		return 0, j.lines.refuse(line, ruleMore)
	}
	return j.lines.line, nil
}

// envelope reads one member beside data.
func (j *jsonChanges) envelope(key []byte) bool {
	if string(key) != "data" {
		return j.member(envelopeField(key), key, 0)
	}
	if j.scan.peek() == '{' {
		return j.scan.members(j.data)
	}
	v, ok := j.scan.value(0)
	if ok && v.kind != null {
		j.rec.fail("data", v.text, ruleObject)
	}
	return ok
}

func (j *jsonChanges) data(key []byte) bool { return j.member(dataField(key), key, 1) }

func (j *jsonChanges) member(f field, key []byte, depth int) bool {
	// What stands in data goes before what stands beside it.
	covered := depth == 0 && fCustomerID <= f && f < numFields && j.rec.values[f].kind != absent
	if f == fNext && !covered {
		return j.rec.nextTerm(&j.scan)
	}
	v, ok := j.scan.value(0)
	switch {
	case f == fUnknown:
		j.rec.addUnknown(string(key), depth, v)
	case f != fIgnored && !covered:
		j.rec.values[f] = v
	}
	return ok
}

// nextTerm reads scheduledNextTermInstructions: an object, null, or a text that
// holds one of them.
func (r *record) nextTerm(p *scanner) bool {
	r.clearNext()
	if p.peek() == '{' {
		r.values[fNext].kind = object
		return r.nextObject(p)
	}
	v, ok := p.value(0)
	switch {
	case !ok:
		return false
	case v.kind == null:
		r.values[fNext].kind = object
	case v.kind == text:
		r.nextText(v.text)
	default:
		r.fail(next, v.text, ruleObject)
	}
	return true
}

// nextText reads instructions that came as text; a blank one is absent.
func (r *record) nextText(s []byte) {
	p := scanner{s: s}
	if p.done() {
		return
	}
	r.values[fNext].kind = object
	var ok bool
	if p.peek() == '{' {
		ok = r.nextObject(&p)
	} else {
		var v value
		v, ok = p.value(0)
		ok = ok && v.kind == null
	}
	if !ok || !p.done() {
		r.fail(next, s, ruleObject)
	}
}

func (r *record) nextObject(p *scanner) bool {
	return p.members(func(key []byte) bool {
		f := fUnknown
		switch string(key) {
		case "product":
			return r.nextProduct(p)
		case "quantity":
			f = fNextQuantity
		case "customTermEndDate":
			f = fNextCustomTermEnd
		}
		return r.nextMember(p, f, next+".", key)
	})
}

func (r *record) nextProduct(p *scanner) bool {
	if p.peek() != '{' {
		v, ok := p.value(0)
		if ok && v.kind != null {
			r.fail(next+".product", v.text, ruleObject)
		}
		return ok
	}
	return p.members(func(key []byte) bool { return r.nextMember(p, nextProductField(key), next+".product.", key) })
}

func (r *record) nextMember(p *scanner, f field, path string, key []byte) bool {
	v, ok := p.value(0)
	if f == fUnknown {
		r.addUnknown(path+string(key), 2, v)
	} else {
		r.values[f] = v
	}
	return ok
}
