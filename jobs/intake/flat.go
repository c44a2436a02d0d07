package intake

import (
	"io"
	"strings"

	"github.com/calends/calends/pricing/pricesheet/table"
)

// flatColumns says what the columns of a flat file mean.
type flatColumns struct {
	fields []field
	names  []string // as the file writes them, without `data.`
}

// newFlatColumns maps columns by name, in any case. The error is an
// [*table.Errors].
func newFlatColumns(what string, names []string) (*flatColumns, error) {
	byName := make(map[string]field, numFields+3)
	for f, name := range fieldNames {
		byName[strings.ToLower(name)] = field(f)
	}
	for _, ignored := range [...]string{"specversion", "datacontenttype", "dataschema"} {
		byName[ignored] = fIgnored
	}
	errs := table.Errors{What: what}
	var seen [numFields]bool
	c := &flatColumns{fields: make([]field, len(names)), names: make([]string, len(names))}
	for i, name := range names {
		c.names[i] = strings.TrimSpace(name)
		bare, inData := strings.CutPrefix(table.NormalName(name), "data.")
		if inData {
			c.names[i] = c.names[i][len("data."):]
		}
		f, known := byName[bare]
		if !known || inData && (f < fCustomerID || f == fIgnored) {
			c.fields[i] = fUnknown
			continue
		}
		c.fields[i] = f
		if f == fIgnored {
			continue
		}
		if seen[f] {
			errs.Add(&table.Error{Line: 1, Column: name, Rule: "stands twice in the header"})
		}
		seen[f] = true
	}
	for _, f := range [...]field{fID, fType, fTime, fCustomerID} {
		if !seen[f] {
			errs.Add(&table.Error{Line: 1, Rule: "column " + fieldNames[f] + " is missing"})
		}
	}
	return c, errs.Err()
}

// set puts one cell into the record. A blank cell is absent.
func (c *flatColumns) set(r *record, column int, v value) {
	if v.blank() {
		return
	}
	switch f := c.fields[column]; {
	case f == fIgnored:
	case f == fUnknown:
		r.addUnknown(c.names[column], 1, v)
	case f == fNext:
		if r.values[fNext].kind != absent {
			r.fail(next, v.text, ruleTwice)
		} else if v.kind != text {
			r.fail(next, v.text, ruleObject)
		} else {
			r.nextText(v.text)
			r.values[fNext].text = v.text
		}
	case f > fNext:
		if r.values[fNext].text != nil {
			r.fail(next, r.values[fNext].text, ruleTwice)
		}
		r.values[fNext].kind = object
		r.values[f] = v
	default:
		r.values[f] = v
	}
}

// NewCSVChanges reads a CSV file with one change a row. A header without the
// columns that every change needs is an [*table.Errors].
func NewCSVChanges(src io.Reader) (*ChangeReader, error) {
	t, err := table.New("changes", src)
	if err != nil {
		return nil, err
	}
	columns, err := newFlatColumns("changes", t.Names())
	if err != nil {
		return nil, err
	}
	return newChangeReader(&csvChanges{t: t, columns: columns}), nil
}

type csvChanges struct {
	t       *table.Table
	columns *flatColumns
}

func (s *csvChanges) close() error { return nil }

func (s *csvChanges) read(r *record) (int64, error) {
	if err := s.t.Next(); err != nil {
		return 0, err
	}
	for i := range s.columns.fields {
		if cell := s.t.Raw(i); len(cell) > 0 {
			s.columns.set(r, i, value{text, cell})
		}
	}
	return s.t.Line(), nil
}
