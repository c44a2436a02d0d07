package exports

import (
	"fmt"

	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pipeline/invoice/waterfall"
)

// waterfall leads from last month's net amount to this month's, cause by cause.
func (s *summary) waterfall() {
	inv, last := s.book.Info.Invoice, s.book.Info.Last
	title := fmt.Sprintf("From %s to %s", inv.Month-1, inv.Month)
	if last == nil {
		s.put()
		s.put(excelize.Cell{StyleID: s.book.styles.section, Value: title})
		s.put(s.text(fmt.Sprintf("%s has no invoice in %s to compare with", inv.Month-1, inv.Currency)))
		return
	}
	number := func(title string, kind cellKind) sheetColumn { return sheetColumn{title: title, kind: kind} }
	s.section(title, sheetColumn{title: "Cause"}, number(in(netColumnName, inv.Currency), kindAmount),
		number(in("Running total", inv.Currency), kindAmount), number("Subscriptions", kindWhole))
	w := &last.Waterfall
	s.steps.first = s.row
	running := w.Last
	s.put(s.text("Net of "+(inv.Month-1).String()), s.amount(kindAmount, w.Last, s.digits, ""),
		s.amount(kindAmount, running, s.digits, fmt.Sprintf("B%d", s.row)))
	for _, step := range w.Steps {
		running += step.Amount
		s.put(s.text(step.Cause.String()), s.amount(kindAmount, step.Amount, s.digits, ""),
			s.amount(kindAmount, running, s.digits, fmt.Sprintf("ROUND(C%d+B%d,%d)", s.row-1, s.row, s.digits)), s.cell(kindWhole, step.Subscriptions))
	}
	total := excelize.Cell{StyleID: s.book.styles.total}
	name := excelize.Cell{StyleID: s.book.styles.totalLabel, Value: "Net of " + inv.Month.String()}
	net, arrived := total, total
	net.Value, net.Formula = cellAmount(running, s.digits), fmt.Sprintf("SUM(B%d:B%d)", s.steps.first, s.row-1)
	arrived.Value, arrived.Formula = net.Value, fmt.Sprintf("C%d", s.row-1)
	s.steps.last = s.row
	s.put(name, net, arrived, total)
}

// bar is one bar of the chart: a step of the waterfall, or a total.
type bar struct {
	row      int // on Summary
	from, to int64
	total    bool
}

// bars are the totals and the causes that changed something. ok is false where a
// running total is negative: such bars cannot be stacked.
func (s *summary) bars() (bars []bar, ok bool) {
	last := s.book.Info.Last
	if last == nil {
		return nil, false
	}
	w := &last.Waterfall
	running := w.Last
	bars = append(bars, bar{s.steps.first, 0, running, true})
	ok = running >= 0
	for i, step := range w.Steps {
		from := running
		running += step.Amount
		ok = ok && running >= 0
		if step.Amount != 0 {
			bars = append(bars, bar{s.steps.first + 1 + i, from, running, false})
		}
	}
	return append(bars, bar{s.steps.last, 0, running, true}), ok
}

// chartFigures are the heights of the chart's bars, as formulas over the table
// of the waterfall.
func (s *summary) chartFigures() {
	bars, ok := s.bars()
	if !ok {
		s.figures = span{}
		return
	}
	number := func(title string) sheetColumn { return sheetColumn{title: title, kind: kindAmount} }
	s.section("Figures behind the chart", sheetColumn{title: "Bar"}, number("Blank below"), number("Total"), number("Up"), number("Down"))
	s.figures.first = s.row
	for _, b := range bars {
		name := excelize.Cell{StyleID: s.book.styles.computedText, Formula: fmt.Sprintf("A%d", b.row), Value: s.stepName(b)}
		amount := func(value int64, formula string, args ...any) excelize.Cell {
			return s.amount(kindAmount, value, s.digits, fmt.Sprintf(formula, args...))
		}
		zero := s.amount(kindAmount, 0, s.digits, "")
		if b.total {
			s.put(name, zero, amount(b.to, "B%d", b.row), zero, zero)
			continue
		}
		s.put(name, amount(min(b.from, b.to), "MIN(C%d,C%d)", b.row-1, b.row), zero,
			amount(max(b.to-b.from, 0), "MAX(B%d,0)", b.row), amount(max(b.from-b.to, 0), "MAX(-B%d,0)", b.row))
	}
	s.figures.last = s.row - 1
}

func (s *summary) stepName(b bar) string {
	month := s.book.Info.Invoice.Month
	switch b.row {
	case s.steps.first:
		return "Net of " + (month - 1).String()
	case s.steps.last:
		return "Net of " + month.String()
	}
	return waterfall.Cause(b.row - s.steps.first - 1).String()
}
