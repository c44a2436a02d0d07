package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// view is a result in the forms that --output offers.
type view struct {
	// json is a result of package jobs as it is: a written contract. New fields
	// may be added, none is renamed.
	json any
	// rows are what csv shows.
	rows *table
	// text writes what table shows.
	text func(w io.Writer)
}

// show prints a result on standard output.
func (a *app) show(v view) error {
	a.endProgress()
	var out bytes.Buffer
	switch a.globals.Output {
	case "json":
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(v.json); err != nil {
			return fmt.Errorf("print the result as JSON: %w", err)
		}
	case "csv":
		if err := v.rows.writeCSV(&out); err != nil {
			return fmt.Errorf("print the result as CSV: %w", err)
		}
	default:
		var text bytes.Buffer
		v.text(&text)
		out.Write(bytes.Map(visible, text.Bytes()))
	}
	if _, err := a.stdout.Write(out.Bytes()); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

// visible keeps texts of input files from steering a terminal.
func visible(r rune) rune {
	if r != '\n' && unicode.IsControl(r) {
		return unicode.ReplacementChar
	}
	return r
}

// table is rows under titles.
type table struct {
	titles []string
	right  map[int]bool // columns of figures
	rows   [][]string
}

// newTable makes an empty table. A title that begins with ">" is of figures.
func newTable(titles ...string) *table {
	t := &table{right: make(map[int]bool)}
	for i, title := range titles {
		name, figures := strings.CutPrefix(title, ">")
		t.titles = append(t.titles, name)
		t.right[i] = figures
	}
	return t
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// write prints the table aligned, each line behind the indent.
func (t *table) write(w io.Writer, indent string) {
	widths := make([]int, len(t.titles))
	for _, row := range append([][]string{t.titles}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range append([][]string{t.titles}, t.rows...) {
		line := indent
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if t.right[i] {
				cell = padding + cell
			} else {
				cell += padding
			}
			line += cell + "  "
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

func (t *table) writeCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(t.titles); err != nil {
		return err
	}
	if err := out.WriteAll(t.rows); err != nil {
		return err
	}
	return out.Error()
}

// plural says 1 file, 2 files.
func plural[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
