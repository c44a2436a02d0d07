package exports

import (
	"fmt"
	"strings"

	"github.com/xuri/excelize/v2"
)

// cellKind is what the cells of a column hold, and so how they look.
type cellKind uint8

const (
	kindText cellKind = iota
	kindWrapped
	kindDate
	kindWhole
	kindQuantity // whole, mostly
	kindFraction // a quantity that is not
	kindPrice
	kindRate
	kindAmount
	kindExact // an amount before it is truncated
	kindPercent
	kindInput
	kindInputDate

	cellKinds = int(kindInputDate) + 1
)

// isNumber reports whether headings stand right, over the numbers.
func (k cellKind) isNumber() bool { return k >= kindWhole && k <= kindPercent }

// styles are the looks of cells, by their number in the file. Colour has one
// meaning: yellow is for input.
type styles struct {
	kinds                                             [cellKinds]int
	textHeading, numberHeading, section, label, total int
	totalLabel, totalWhole, verdict, percentLeft      int
	computedText                                      int
}

func (st *styles) of(k cellKind) int { return st.kinds[k] }

func (st *styles) heading(c sheetColumn) excelize.Cell {
	if c.kind.isNumber() {
		return excelize.Cell{StyleID: st.numberHeading, Value: c.title}
	}
	return excelize.Cell{StyleID: st.textHeading, Value: c.title}
}

// amountFormat shows an amount of a currency with the given decimals.
func amountFormat(digits int) string {
	format := "#,##0"
	if digits > 0 {
		format += "." + strings.Repeat("0", digits)
	}
	return format + ";[Red]-" + format
}

func newStyles(file *excelize.File, digits int) (st styles, err error) {
	top := &excelize.Alignment{Vertical: "top"}
	left := &excelize.Alignment{Horizontal: "left", Indent: 1, Vertical: "top"}
	wrapped := &excelize.Alignment{Horizontal: "left", Indent: 1, Vertical: "top", WrapText: true}
	line := []excelize.Border{{Type: "bottom", Color: "7F7F7F", Style: 1}}
	above := []excelize.Border{{Type: "top", Color: "7F7F7F", Style: 1}}
	fill := func(colour string) excelize.Fill {
		return excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{colour}}
	}
	font := func(size float64, bold bool) *excelize.Font {
		return &excelize.Font{Bold: bold, Family: "Calibri", Size: size}
	}
	grey, yellow := fill("E7E9ED"), fill("FFF9D6")
	open := &excelize.Protection{Locked: false}
	format := func(s string) *string { return &s }
	signed := func(s string) *string { return format(s + ";[Red]-" + s) }
	for _, s := range []struct {
		id    *int
		style excelize.Style
	}{
		{&st.kinds[kindText], excelize.Style{CustomNumFmt: format("@"), Alignment: left}},
		{&st.kinds[kindWrapped], excelize.Style{CustomNumFmt: format("@"), Alignment: wrapped}},
		{&st.kinds[kindDate], excelize.Style{CustomNumFmt: format("yyyy-mm-dd"), Alignment: left}},
		{&st.kinds[kindWhole], excelize.Style{CustomNumFmt: signed("#,##0"), Alignment: top}},
		{&st.kinds[kindQuantity], excelize.Style{CustomNumFmt: signed("#,##0"), Alignment: top}},
		{&st.kinds[kindFraction], excelize.Style{CustomNumFmt: signed("#,##0.0#####"), Alignment: top}},
		{&st.kinds[kindPrice], excelize.Style{CustomNumFmt: signed("#,##0.00####"), Alignment: top}},
		{&st.kinds[kindRate], excelize.Style{CustomNumFmt: format("0.0########"), Alignment: top}},
		{&st.kinds[kindAmount], excelize.Style{CustomNumFmt: format(amountFormat(digits)), Alignment: top}},
		{&st.kinds[kindExact], excelize.Style{CustomNumFmt: signed("#,##0.0000000000"), Alignment: top}},
		{&st.kinds[kindPercent], excelize.Style{CustomNumFmt: signed("0.0%"), Alignment: top}},
		{&st.kinds[kindInput], excelize.Style{CustomNumFmt: format("@"), Fill: yellow, Protection: open, Alignment: &excelize.Alignment{Vertical: "top", WrapText: true}}},
		{&st.kinds[kindInputDate], excelize.Style{CustomNumFmt: format("yyyy-mm-dd"), Fill: yellow, Protection: open, Alignment: top}},
		{&st.textHeading, excelize.Style{Font: font(11, true), Fill: grey, Border: line, Alignment: &excelize.Alignment{Horizontal: "left", Indent: 1, Vertical: "center", WrapText: true}}},
		{&st.numberHeading, excelize.Style{Font: font(11, true), Fill: grey, Border: line, Alignment: &excelize.Alignment{Horizontal: "right", Vertical: "center", WrapText: true}}},
		{&st.section, excelize.Style{Font: font(13, true)}},
		{&st.label, excelize.Style{Font: font(11, true), Alignment: left}},
		{&st.totalLabel, excelize.Style{Font: font(11, true), Border: above, Alignment: left}},
		{&st.total, excelize.Style{Font: font(11, true), CustomNumFmt: format(amountFormat(digits)), Border: above, Alignment: top}},
		{&st.totalWhole, excelize.Style{Font: font(11, true), CustomNumFmt: signed("#,##0"), Border: above, Alignment: top}},
		{&st.computedText, excelize.Style{Alignment: left}},
		{&st.percentLeft, excelize.Style{CustomNumFmt: format("0.0##%"), Alignment: left}},
		{&st.verdict, excelize.Style{Font: font(11, true), Alignment: left}},
	} {
		if *s.id, err = file.NewStyle(&s.style); err != nil {
			return st, fmt.Errorf("cell style: %w", err)
		}
	}
	return st, nil
}
