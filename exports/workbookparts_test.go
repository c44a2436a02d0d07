package exports

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
)

// archive is the parts of a workbook by name.
func archive(t testing.TB, file []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if z.File[0].Name != contentTypes {
		t.Errorf("the first part is %s", z.File[0].Name)
	}
	parts := make(map[string][]byte)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if parts[f.Name], err = io.ReadAll(r); err != nil { // checks the CRC too
			t.Fatalf("%s: %v", f.Name, err)
		}
	}
	if len(parts) != len(z.File) {
		t.Error("two parts of one name")
	}
	return parts
}

// elements returns the names of the elements below the root, in order.
func elements(t testing.TB, part []byte) (names []string) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(part))
	for depth := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if depth == 1 {
				names = append(names, e.Name.Local)
			}
			depth++
		case xml.EndElement:
			depth--
		}
	}
}

// attributes returns what an attribute of an element is, each time it appears.
func attributes(part []byte, element, attribute string) (values []string) {
	for _, m := range regexp.MustCompile(`<`+element+`\s[^>]*?\b`+attribute+`="([^"]*)"`).FindAllSubmatch(part, -1) {
		values = append(values, string(m[1]))
	}
	return values
}

// worksheetOrder is the order that the format wants of a sheet's elements. Excel
// offers to repair a file that has another.
var worksheetOrder = []string{"sheetPr", "dimension", "sheetViews", "sheetFormatPr", "cols", "sheetData", "sheetCalcPr", "sheetProtection",
	"protectedRanges", "scenarios", "autoFilter", "sortState", "dataConsolidate", "customSheetViews", "mergeCells", "phoneticPr",
	"conditionalFormatting", "dataValidations", "hyperlinks", "printOptions", "pageMargins", "pageSetup", "headerFooter", "rowBreaks",
	"colBreaks", "customProperties", "cellWatches", "ignoredErrors", "smartTags", "drawing", "legacyDrawing", "legacyDrawingHF",
	"drawingHF", "picture", "oleObjects", "controls", "webPublishItems", "tableParts", "extLst"}

// What makes Excel offer a repair is not there: elements out of order, tables
// whose headings are not those of their cells, parts without a type, relations
// to nothing, names that appear twice.
func TestWorkbookParts(t *testing.T) {
	t.Parallel()
	for name, file := range map[string][]byte{
		"compared, on several sheets": comparedWorkbook(t, 2),
		"compared":                    comparedWorkbook(t, sheetRows),
		"plain":                       writeWorkbook(t, companyInfo(), company(), sheetRows),
		"without lines":               writeWorkbook(t, companyInfo(), nil, sheetRows),
	} {
		parts := archive(t, file)
		requireRelations(t, name, parts)
		requireTypes(t, name, parts)
		requireTables(t, name, parts, openWorkbook(t, file))
		for part, content := range parts {
			if !strings.HasPrefix(part, "xl/worksheets/sheet") {
				continue
			}
			last := -1
			for _, element := range elements(t, content) {
				at := slices.Index(worksheetOrder, element)
				if at < last || at < 0 || at == last && element != "conditionalFormatting" {
					t.Errorf("%s, %s: <%s> stands out of order", name, part, element)
				}
				last = at
			}
			requireCells(t, name+", "+part, content)
			if bytes.Contains(content, []byte("<autoFilter")) || bytes.Contains(content, []byte("<mergeCell")) {
				t.Errorf("%s, %s: a filter beside a table, or a merged cell", name, part)
			}
		}
		for part := range parts {
			if strings.Contains(part, "calcChain") || strings.Contains(part, "vba") || strings.Contains(part, "externalLink") {
				t.Errorf("%s: has %s", name, part)
			}
		}
	}
}

// requireCells checks that rows and cells stand in order, once each, and within
// the sheet's dimension; that columns have widths from left to right.
func requireCells(t *testing.T, name string, sheet []byte) {
	t.Helper()
	last := [2]int{}
	most := [2]int{}
	for _, ref := range attributes(sheet, "c", "r") {
		column, row, err := excelize.CellNameToCoordinates(ref)
		if err != nil {
			t.Fatal(err)
		}
		if at := [2]int{row, column}; slices.Compare(at[:], last[:]) <= 0 {
			t.Errorf("%s: cell %s stands behind row %d, column %d", name, ref, last[0], last[1])
		} else {
			last = at
		}
		most = [2]int{max(most[0], row), max(most[1], column)}
	}
	dimension := attributes(sheet, "dimension", "ref")
	if len(dimension) != 1 {
		t.Fatalf("%s: dimensions %q", name, dimension)
	}
	_, corner, _ := strings.Cut(dimension[0], ":")
	column, row, err := excelize.CellNameToCoordinates(corner)
	if err != nil || row < most[0] || column < most[1] {
		t.Errorf("%s: the dimension is %s (%v), cells go to row %d, column %d", name, dimension[0], err, most[0], most[1])
	}
	widths := attributes(sheet, "col", "min")
	for i := 1; i < len(widths); i++ {
		if len(widths[i]) < len(widths[i-1]) || len(widths[i]) == len(widths[i-1]) && widths[i] <= widths[i-1] {
			t.Errorf("%s: column %s has its width behind column %s", name, widths[i], widths[i-1])
		}
	}
}

// requireRelations checks that every relation leads to a part, and that every
// part but the roots is led to.
func requireRelations(t *testing.T, name string, parts map[string][]byte) {
	t.Helper()
	led := make(map[string]bool)
	for part, content := range parts {
		if !strings.HasSuffix(part, ".rels") {
			continue
		}
		ids := attributes(content, "Relationship", "Id")
		if slices.Sort(ids); len(slices.Compact(slices.Clone(ids))) != len(ids) {
			t.Errorf("%s, %s: ids %q", name, part, ids)
		}
		for _, target := range attributes(content, "Relationship", "Target") {
			to := strings.TrimPrefix(target, "/")
			if !strings.HasPrefix(target, "/") {
				to = path.Join(path.Dir(path.Dir(part)), target)
			}
			if _, ok := parts[to]; !ok {
				t.Errorf("%s, %s leads to %s, which is not there", name, part, to)
			}
			led[to] = true
		}
	}
	for part := range parts {
		if !led[part] && !strings.HasSuffix(part, ".rels") && part != contentTypes {
			t.Errorf("%s: nothing leads to %s", name, part)
		}
	}
}

func requireTypes(t *testing.T, name string, parts map[string][]byte) {
	t.Helper()
	typed := attributes(parts[contentTypes], "Override", "PartName")
	for _, part := range typed {
		if _, ok := parts[strings.TrimPrefix(part, "/")]; !ok {
			t.Errorf("%s: a type for %s, which is not there", name, part)
		}
	}
	for part := range parts {
		if strings.HasSuffix(part, ".xml") && part != contentTypes && !slices.Contains(typed, "/"+part) {
			t.Errorf("%s: %s has no type of its own", name, part)
		}
	}
}

// requireTables checks names, ids, ranges and headings of all tables.
func requireTables(t *testing.T, name string, parts map[string][]byte, f *excelize.File) {
	t.Helper()
	var names, ids []string
	tables := 0
	for _, sheet := range f.GetSheetList() {
		all, err := f.GetTables(sheet)
		if err != nil {
			t.Fatal(err)
		}
		rows := raw(t, f, sheet)
		if n := len(rows) - 1; rows[n][0] == "Total" { // below the table
			rows = rows[:n]
		}
		for _, table := range all {
			tables++
			first, last, _ := strings.Cut(table.Range, ":")
			column, row, err := excelize.CellNameToCoordinates(last)
			if first != "A1" || err != nil || row != len(rows) || column != len(rows[0]) {
				t.Errorf("%s, %s: the table is %s, the sheet has %d rows and %d headings", name, sheet, table.Range, len(rows), len(rows[0]))
			}
			var headings []string
			for part := range tablesOf(parts) {
				if slices.Contains(attributes(part, "table", "name"), table.Name) {
					headings = attributes(part, "tableColumn", "name")
				}
			}
			if len(headings) != len(rows[0]) {
				t.Fatalf("%s, table %s: %d columns over %d headings", name, table.Name, len(headings), len(rows[0]))
			}
			for i := range headings {
				if unescaped(headings[i]) != rows[0][i] {
					t.Errorf("%s, table %s: column %q over a cell %q", name, table.Name, headings[i], rows[0][i])
				}
			}
			if sorted := slices.Sorted(slices.Values(headings)); len(slices.Compact(sorted)) != len(headings) {
				t.Errorf("%s, table %s: a heading twice: %q", name, table.Name, headings)
			}
		}
	}
	for part := range tablesOf(parts) {
		names = append(names, attributes(part, "table", "displayName")...)
		ids = append(ids, attributes(part, "table", "id")...)
	}
	for _, list := range [][]string{names, ids} {
		if slices.Sort(list); len(list) != tables || len(slices.Compact(list)) != tables {
			t.Errorf("%s: %d tables, with %q", name, tables, list)
		}
	}
}

func tablesOf(parts map[string][]byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for name, part := range parts {
			if strings.HasPrefix(name, "xl/tables/") && !yield(part) {
				return
			}
		}
	}
}

var unescape = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">", "&#39;", "'", "&#34;", `"`, "&apos;", "'", "&quot;", `"`)

func unescaped(s string) string { return unescape.Replace(s) }

// Columns of numbers and dates hold nothing but numbers, others nothing but text.
func TestWorkbookCellTypes(t *testing.T) {
	t.Parallel()
	info := fullInfo(t)
	recon, compared := comparison()
	info.Recon = &recon
	b, err := newWorkbook(io.Discard, info, sheetRows)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range proved() {
		if err := b.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	for i := range compared {
		if err := b.EncodeRecon(&compared[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	file := comparedWorkbook(t, sheetRows)
	parts, f := archive(t, file), openWorkbook(t, file)
	cell := regexp.MustCompile(`<c r="([A-Z]+)([0-9]+)" s="(\d+)"( t="inlineStr")?(/?)>`)
	checked := 0
	for _, s := range b.sheets {
		index, err := f.GetSheetIndex(s.name)
		if err != nil {
			t.Fatal(err)
		}
		part := parts[sheetPartName(index)]
		for _, m := range cell.FindAllSubmatch(part, -1) {
			column, err := excelize.ColumnNameToNumber(string(m[1]))
			if err != nil {
				t.Fatal(err)
			}
			if string(m[2]) == "1" || string(m[5]) == "/" || s.records() == 0 {
				continue // a heading, a blank, or the sentence of a sheet without records
			}
			kind := s.columns[column-1].kind
			text := kind == kindText || kind == kindWrapped
			if (len(m[4]) > 0) != text {
				t.Errorf("%s, column %s: cell %s", s.name, s.columns[column-1].title, m[0])
			}
			checked++
		}
	}
	if checked < 300 {
		t.Errorf("%d cells were checked", checked)
	}
}
