// Package table reads comma-separated files with a header row and turns cells
// into values, naming line, column, value and rule of everything that it
// cannot read.
//
// It is strict where leniency would change money: a number is digits with a
// point, a date is one of the listed spellings, a row has as many fields as the
// header. It is lenient where nothing can go wrong: a byte-order mark, CRLF,
// the order and the case of columns, columns that nobody asks for. There is no
// guard against formula injection here: text comes out as it stands.
package table

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Error is one thing in a file that cannot be read.
type Error struct {
	Line   int64  // line of a text file or row of a table, 1 being the first; 0: the file as a whole
	Column string // column or field; "" where the record as a whole is meant
	Value  string // as it stands in the file, cut when long
	Rule   string // what it has to be
}

// Error returns `line 12: UnitPrice "1,5": want …`.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Column != "" {
		b.WriteString(e.Column)
		b.WriteByte(' ')
	}
	if e.Value != "" || e.Column != "" {
		fmt.Fprintf(&b, "%q: ", e.Value)
	}
	b.WriteString(e.Rule)
	return b.String()
}

// maxValue is how much of a value an Error keeps.
const maxValue = 80

// NewError returns an Error with a copy of the value, cut when it is long.
func NewError(line int64, column string, value []byte, rule string) *Error {
	text := string(value[:min(len(value), maxValue+utf8.UTFMax)])
	if len(text) > maxValue {
		text = strings.ToValidUTF8(text[:maxValue], "") + "…"
	}
	return &Error{Line: line, Column: column, Value: text, Rule: rule}
}

// MaxListed is how many errors of one file are kept; the rest are counted.
const MaxListed = 20

// Errors is why a file was refused as a whole.
type Errors struct {
	What  string   // the kind of file, such as "price sheet"
	List  []*Error // the first MaxListed, in file order
	Count int      // all of them
}

// Add takes one more error in.
func (e *Errors) Add(err *Error) {
	e.Count++
	if len(e.List) < MaxListed {
		e.List = append(e.List, err)
	}
}

// Err returns e as an error, or nil when there is nothing in it.
func (e *Errors) Err() error {
	if e.Count == 0 {
		return nil
	}
	return e
}

// Error lists what was kept, one a line after the first.
func (e *Errors) Error() string {
	if e.Count == 1 {
		return e.What + ": " + e.List[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d errors", e.What, e.Count)
	for _, err := range e.List {
		b.WriteString("\n  ")
		b.WriteString(err.Error())
	}
	if more := e.Count - len(e.List); more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", more)
	}
	return b.String()
}

// Unwrap gives errors.As the listed errors.
func (e *Errors) Unwrap() []error {
	list := make([]error, len(e.List))
	for i, err := range e.List {
		list[i] = err
	}
	return list
}
