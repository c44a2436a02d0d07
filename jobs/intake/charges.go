package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// ChargeReader reads charges one by one: the reconciliation file in its older
// spelling and in the newer one, as CSV or JSON Lines, and the legacy licence
// file. Columns go by name, in any case and order.
type ChargeReader struct {
	columns []chargeColumn
	parser  chargeParser
	source  chargeSource
	unknown []string
	keep    bool
	file    io.Closer
}

// chargeSource puts the cells of one row, by column; nil where there is none.
type chargeSource interface {
	read(cells [][]byte) (line int64, err error)
	// others yields the row's cells in columns without a meaning here.
	others(yield func(name string, cell []byte) bool)
	// column says how the file spells a column.
	column(i int) string
}

// OpenCharges opens a member that was recognised as charges or legacy charges.
// The reader must be closed.
func OpenCharges(m *Member, what Recognised) (*ChargeReader, error) {
	s, err := m.Open()
	if err != nil {
		return nil, err
	}
	r, err := NewCharges(s, what)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", m.Name, err), s.Close())
	}
	r.file = s
	return r, nil
}

// NewCharges reads charges of the kind and format that Recognise found. A
// header without the columns that every charge needs is an [*table.Errors].
func NewCharges(src io.Reader, what Recognised) (*ChargeReader, error) {
	r := &ChargeReader{columns: chargeColumns()}
	if what.Kind == LegacyCharges {
		r.columns = legacyColumns()
	}
	if what.Format == CSV {
		t, err := table.New(what.Kind.String(), src)
		if err != nil {
			return nil, err
		}
		c := &csvCharges{t: t, index: make([]int, len(r.columns))}
		for i, column := range r.columns {
			if column.required {
				c.index[i] = t.Required(column.names...)
			} else {
				c.index[i] = t.Optional(column.names...)
			}
		}
		if err := t.Err(); err != nil {
			return nil, err
		}
		for i, name := range t.Names() {
			if name != "" && !slices.Contains(c.index, i) {
				c.other = append(c.other, i)
			}
		}
		r.source, r.unknown = c, t.Unknown()
		return r, nil
	}
	r.source = newJSONCharges(r, src)
	return r, nil
}

// Next reads the next charge into c, which it overwrites. A row that cannot be
// read comes back as refused, with the first thing that is wrong with it; c has
// the cells that could be read, and reading may go on. After the last one err
// is io.EOF; any other error is the file's and ends it.
func (r *ChargeReader) Next(c *Charge) (refused *table.Error, err error) {
	*c = Charge{
		OrderDate: pricing.NoDate, ChargeStartDate: pricing.NoDate, ChargeEndDate: pricing.NoDate, PCToBCExchangeRateDate: pricing.NoDate,
		SubscriptionStartDate: pricing.NoDate, SubscriptionEndDate: pricing.NoDate,
	}
	var cells [64][]byte
	line, err := r.source.read(cells[:len(r.columns)])
	if err != nil && !errors.As(err, &refused) {
		return nil, err
	}
	c.Line = line
	for i := range r.columns {
		column, cell := &r.columns[i], cells[i]
		if cell != nil {
			c.Present |= 1 << i
		}
		if len(bytes.TrimSpace(cell)) == 0 {
			if column.needed && refused == nil {
				refused = table.NewError(line, r.source.column(i), cell, ruleBlank)
			}
			continue
		}
		if rule := column.set(&r.parser, c, cell); rule != "" {
			if refused == nil {
				refused = table.NewError(line, r.source.column(i), cell, rule)
			}
			continue
		}
		c.Filled |= 1 << i
	}
	if r.keep && refused == nil {
		for name, cell := range r.source.others {
			if c.Extra == nil {
				c.Extra = make(map[string]string)
			}
			c.Extra[name] = string(cell)
		}
	}
	return refused, nil
}

// KeepUnknown makes Next keep the cells of columns without a meaning here.
func (r *ChargeReader) KeepUnknown() { r.keep = true }

// Column returns the place of a column in a [ColumnSet], -1 when this kind of
// file has none of the name.
func (r *ChargeReader) Column(name string) int {
	return slices.IndexFunc(r.columns, func(c chargeColumn) bool {
		return slices.ContainsFunc(c.names, func(n string) bool { return strings.EqualFold(n, name) })
	})
}

// Unknown returns the columns without a meaning here, sorted. Of JSON Lines
// they are the ones seen so far.
func (r *ChargeReader) Unknown() []string { return r.unknown }

// Close closes what OpenCharges opened.
func (r *ChargeReader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

type csvCharges struct {
	t     *table.Table
	index []int
	other []int // the columns that index does not have
}

func (s *csvCharges) others(yield func(string, []byte) bool) {
	for _, i := range s.other {
		if cell := s.t.Cell(i); len(cell) > 0 && !yield(s.t.Names()[i], cell) {
			return
		}
	}
}

func (s *csvCharges) column(i int) string { return s.t.Names()[s.index[i]] }

func (s *csvCharges) read(cells [][]byte) (int64, error) {
	if err := s.t.Next(); err != nil {
		return 0, err
	}
	for i, column := range s.index {
		cells[i] = s.t.Raw(column)
	}
	return s.t.Line(), nil
}

// jsonCharges reads one object a line.
type jsonCharges struct {
	reader *ChargeReader
	lines  *lineReader
	scan   scanner
	// byName finds a column by the spelling of a key as it stands in the file;
	// -1 for an unknown one. rank says which of its names that is.
	byName map[string]chargeKey
	names  map[string]chargeKey // by normal name
	given  []int                // rank of the name that filled the column in this row
	cells  [][]byte
	line   int64
	refuse *table.Error
	other  []otherCell // of this row
}

type otherCell struct {
	name string
	cell []byte
}

func (j *jsonCharges) others(yield func(string, []byte) bool) {
	for _, o := range j.other {
		if !yield(o.name, o.cell) {
			return
		}
	}
}

type chargeKey struct{ column, rank int }

func newJSONCharges(r *ChargeReader, src io.Reader) *jsonCharges {
	j := &jsonCharges{reader: r, lines: newLineReader(src), byName: make(map[string]chargeKey), names: make(map[string]chargeKey), given: make([]int, len(r.columns))}
	for i, column := range r.columns {
		for rank, name := range column.names {
			j.names[table.NormalName(name)] = chargeKey{i, rank + 1}
		}
	}
	return j
}

func (j *jsonCharges) column(i int) string { return j.reader.columns[i].names[0] }

func (j *jsonCharges) read(cells [][]byte) (int64, error) {
	line, tooLong, err := j.lines.next()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		return 0, fmt.Errorf("read charges, line %d: %w", j.lines.line, err)
	}
	if tooLong {
		return 0, &table.Error{Line: j.lines.line, Rule: ruleLong}
	}
	if !utf8.Valid(line) {
		return 0, &table.Error{Line: j.lines.line, Rule: table.RuleUTF8}
	}
	j.scan.reset(line)
	j.cells, j.refuse, j.line = cells, nil, j.lines.line
	clear(j.given)
	j.other = j.other[:0]
	if !j.scan.members(j.member) || !j.scan.done() {
		return j.lines.line, j.lines.refuse(line, "is no JSON object"+whereBroken(line)+": charges are one object a line")
	}
	if j.refuse != nil {
		return j.line, j.refuse
	}
	return j.line, nil
}

// whereBroken says at which character of a line JSON is no more, and why.
func whereBroken(line []byte) string {
	var object map[string]json.RawMessage
	err := json.Unmarshal(line, &object)
	var syntax *json.SyntaxError
	switch {
	case !errors.As(err, &syntax):
		return ""
	case syntax.Offset >= int64(len(bytes.TrimSpace(line))):
		return ", it ends too early"
	}
	return fmt.Sprintf(" (at character %d: %s)", utf8.RuneCount(line[:syntax.Offset]), syntax)
}

func (j *jsonCharges) member(key []byte) bool {
	v, ok := j.scan.value(0)
	if !ok {
		return false
	}
	k, seen := j.byName[string(key)]
	if !seen {
		k = j.find(string(key))
	}
	if k.column < 0 {
		if text := bytes.TrimSpace(v.text); j.reader.keep && v.kind != null && len(text) > 0 {
			j.other = append(j.other, otherCell{string(key), text})
		}
		return true
	}
	cell, ok := chargeCell(v)
	if !ok {
		if j.refuse == nil {
			j.refuse = table.NewError(j.line, string(key), v.text, "want text or a number")
		}
		return true
	}
	// Of two spellings in one row the first that is not blank counts.
	if given := j.given[k.column]; given == 0 || len(cell) > 0 && (k.rank <= given || len(j.cells[k.column]) == 0) {
		j.cells[k.column], j.given[k.column] = cell, k.rank
	}
	return true
}

// find remembers a spelling, and reports it when it is unknown.
func (j *jsonCharges) find(key string) chargeKey {
	k, ok := j.names[table.NormalName(key)]
	if !ok {
		k.column = -1
	}
	if len(j.byName) < 10_000 {
		j.byName[key] = k
		if !ok && len(j.reader.unknown) < 1000 {
			at, dup := slices.BinarySearch(j.reader.unknown, key)
			if !dup {
				j.reader.unknown = slices.Insert(j.reader.unknown, at, key)
			}
		}
	}
	return k
}

// chargeCell turns a JSON value into what a CSV cell would hold. Arrays become
// JSON text without white space, empty ones nothing.
func chargeCell(v value) (cell []byte, ok bool) {
	switch v.kind {
	case null:
		return nil, true
	case array:
		var compact bytes.Buffer
		if err := json.Compact(&compact, v.text); err != nil {
			return nil, false
		}
		if compact.Len() == len("[]") {
			return nil, true
		}
		return compact.Bytes(), true
	case object:
		return nil, false
	case absent, text, number, boolean, floating:
	}
	return v.text, true
}
