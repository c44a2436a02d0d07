package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Table reads the rows of a file by column name.
type Table struct {
	what   string
	reader *Reader
	names  []string
	known  []bool
	fields [][]byte
	errs   Errors // in the header
}

// New reads the header row. What names the kind of file in errors. A header
// that cannot be read is an [*Errors].
func New(what string, src io.Reader) (*Table, error) {
	t := &Table{what: what, reader: NewReader(src), errs: Errors{What: what}}
	header, err := t.reader.Read()
	var e *Error
	switch {
	case errors.Is(err, io.EOF):
		t.errs.Add(&Error{Line: 1, Rule: ruleNoHeader})
		return nil, t.errs.Err()
	case errors.As(err, &e):
		t.errs.Add(e)
		return nil, t.errs.Err()
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	for _, name := range header {
		t.names = append(t.names, strings.TrimSpace(string(name)))
	}
	t.known = make([]bool, len(t.names))
	return t, nil
}

// NormalName is what two spellings of a column's name have in common: letters
// in lower case, no spaces.
func NormalName(name string) string {
	return strings.ToLower(strings.Join(strings.Fields(name), ""))
}

// Names returns the header as it stands.
func (t *Table) Names() []string { return t.names }

// Optional returns the index of a column, -1 when the file has none. Further
// names are other spellings, tried in turn. A name that stands twice in the
// header is an error of the file.
func (t *Table) Optional(names ...string) int {
	for _, name := range names {
		found := -1
		for i, n := range t.names {
			if NormalName(n) != NormalName(name) {
				continue
			}
			t.known[i] = true
			if found >= 0 {
				t.errs.Add(&Error{Line: 1, Column: n, Rule: "stands twice in the header"})
			}
			found = i
		}
		if found >= 0 {
			return found
		}
	}
	return -1
}

// Required is Optional for a column whose absence is an error of the file.
func (t *Table) Required(names ...string) int {
	i := t.Optional(names...)
	if i < 0 {
		t.errs.Add(&Error{Line: 1, Rule: "column " + names[0] + " is missing"})
	}
	return i
}

// Err returns what Optional and Required found wrong with the header, as an [*Errors].
func (t *Table) Err() error { return t.errs.Err() }

// Unknown returns the columns that nobody asked for, sorted, each once.
func (t *Table) Unknown() []string {
	var unknown []string
	for i, name := range t.names {
		if !t.known[i] && name != "" {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return slices.Compact(unknown)
}

// Next goes to the next row. io.EOF follows the last. An [*Error] is a row that
// cannot be split as the header says; reading may go on. Any other error is
// the input's and ends the file.
func (t *Table) Next() error {
	fields, err := t.reader.Read()
	t.fields = fields
	if err != nil {
		var e *Error
		if errors.Is(err, io.EOF) || errors.As(err, &e) {
			return err
		}
		return fmt.Errorf("read %s after line %d: %w", t.what, t.reader.Line(), err)
	}
	if len(fields) != len(t.names) {
		return &Error{Line: t.reader.Line(), Rule: fmt.Sprintf(ruleRagged, len(fields), len(t.names))}
	}
	return nil
}

// Each calls row for every row and collects what is refused, rows that cannot
// be split included. The error is an [*Errors] unless the input broke off.
func (t *Table) Each(row func() *Error) error {
	if err := t.Err(); err != nil {
		return err
	}
	errs := Errors{What: t.what}
	for rows := 0; ; rows++ {
		err := t.Next()
		if errors.Is(err, io.EOF) {
			if rows == 0 {
				errs.Add(&Error{Rule: "has a header and no rows"})
			}
			return errs.Err()
		}
		var e *Error
		if err == nil {
			e = row()
		} else if !errors.As(err, &e) {
			return err
		}
		if e != nil {
			errs.Add(e)
		}
	}
}

// Line returns the line of the current row.
func (t *Table) Line() int64 { return t.reader.Line() }

// Raw returns a cell as it stands, valid until Next; nil for column -1.
func (t *Table) Raw(column int) []byte {
	if column < 0 {
		return nil
	}
	return t.fields[column]
}

// Cell returns a cell without surrounding white space.
func (t *Table) Cell(column int) []byte { return bytes.TrimSpace(t.Raw(column)) }

// Refuse returns the error that a cell breaks a rule.
func (t *Table) Refuse(column int, rule string) *Error {
	if column < 0 {
		return &Error{Line: t.Line(), Rule: rule}
	}
	return NewError(t.Line(), t.names[column], t.Raw(column), rule)
}
