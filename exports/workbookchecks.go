package exports

import (
	"fmt"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"
)

// leg is one side of a check: a value, and the formula that gives it where it is
// added up in the workbook.
type leg struct {
	formula string
	value   decimal.Decimal
}

func given(value int64, digits int) leg { return leg{value: decimal.New(value, -int32(digits))} }

// controlTotals compares what was computed with sums over the sheets. The two
// legs of a check do not know each other: A was computed, or counted by another
// encoder, B is added up here.
func (s *summary) controlTotals() error {
	b, inv := s.book, s.book.Info.Invoice
	number := func(title string) sheetColumn { return sheetColumn{title: title, kind: kindAmount} }
	s.section("Control totals", sheetColumn{title: "Check"}, number("A: computed"), number("B: this workbook"),
		number("Difference"), number("Tolerance"), sheetColumn{title: "Result"})
	// sum is a leg over a column of a sheet, with the value that it has now.
	sum := func(sheet *dataSheet, function, column string, value, digits int64) leg {
		formula, err := sheet.sum(function, column)
		if err != nil && s.err == nil {
			s.err = err
		}
		return leg{formula, decimal.New(value, -int32(digits))}
	}
	digits := int64(s.digits)
	net, tax, gross := in(netColumnName, inv.Currency), in(taxColumnName, inv.Currency), in(grossColumnName, inv.Currency)

	s.check("Lines: reconciliation.csv against Invoice lines", kindWhole, given(int64(b.Info.CSV.Lines), 0),
		sum(b.lines, "COUNT", lineColumnName, int64(b.totals.Lines), 0), decimal.Zero)
	s.check("Gross: reconciliation.csv against Invoice lines", kindAmount, given(b.Info.CSV.Total, s.digits),
		sum(b.lines, "SUM", gross, b.totals.Total, digits), decimal.Zero)
	s.check("Net: invoice against Invoice lines", kindAmount, given(inv.Totals.Subtotal, s.digits),
		sum(b.lines, "SUM", net, b.totals.Subtotal, digits), decimal.Zero)
	s.check("Tax: invoice against Invoice lines", kindAmount, given(inv.Totals.TaxTotal, s.digits),
		sum(b.lines, "SUM", tax, b.totals.TaxTotal, digits), decimal.Zero)
	s.check("Gross: invoice against Invoice lines", kindAmount, given(inv.Totals.Total, s.digits),
		sum(b.lines, "SUM", gross, b.totals.Total, digits), decimal.Zero)

	var byType, byCustomer, byProduct int64
	for _, t := range inv.Sections {
		byType += t.Total
	}
	for _, c := range inv.Customers {
		byCustomer += c.Total
	}
	for _, p := range b.products.byKey {
		byProduct += p.Total
	}
	lines := sum(b.lines, "SUM", gross, b.totals.Total, digits)
	s.check("Gross: by charge type against Invoice lines", kindAmount,
		leg{s.sections.sum("E"), decimal.New(byType, -int32(s.digits))}, lines, decimal.Zero)
	s.check("Gross: By customer against Invoice lines", kindAmount, sum(s.customers, "SUM", gross, byCustomer, digits), lines, decimal.Zero)
	s.check("Gross: By product against Invoice lines", kindAmount, sum(s.products, "SUM", gross, byProduct, digits), lines, decimal.Zero)
	s.checkLast(sum(b.lines, "SUM", net, b.totals.Subtotal, digits))
	s.checkProrations(in(exactColumnName, inv.Currency), in(roundedColumnName, inv.Currency), sum)
	s.checkSeats()
	s.checkRecon(sum)
	if s.err != nil {
		return s.err
	}
	s.put(s.text("Net of lines for earlier months (credits, corrections, late)"), s.cell(kindText, nil),
		s.amount(kindAmount, b.late.Subtotal, s.digits, ""), s.cell(kindText, nil), s.cell(kindText, nil), s.cell(kindText, "info"))
	return nil
}

// checkLast compares what last month's manifest says with its lines, and where
// the waterfall arrives with this month's.
func (s *summary) checkLast(lines leg) {
	last := s.book.Info.Last
	if last == nil {
		return
	}
	var arrives int64
	for _, step := range last.Waterfall.Steps {
		arrives += step.Amount
	}
	s.check("Net: last month's manifest against its lines", kindAmount, given(last.CSV.Subtotal, s.digits),
		given(last.Waterfall.Last, s.digits), decimal.Zero)
	s.check("Net: waterfall against Invoice lines", kindAmount,
		leg{fmt.Sprintf("SUM(B%d:B%d)", s.steps.first, s.steps.last-1), decimal.New(last.Waterfall.Last+arrives, -int32(s.digits))}, lines, decimal.Zero)
}

// checkProrations shows that the pennies are accounted for.
func (s *summary) checkProrations(exact, rounded string, sum func(*dataSheet, string, string, int64, int64) leg) {
	p := &s.book.prorated
	if p.sheet.records() == 0 {
		return
	}
	before := sum(p.sheet, "SUM", exact, 0, 0)
	before.value = p.exact
	s.check("Prorations: exact amounts against net, truncated", kindAmount, before,
		sum(p.sheet, "SUM", rounded, p.net, int64(s.digits)), p.bound)
}

// checkRecon compares with Microsoft's file, where there is one.
func (s *summary) checkRecon(sum func(*dataSheet, string, string, int64, int64) leg) {
	b, inv := s.book, s.book.Info.Invoice
	info, r := b.Info.Recon, &b.recon
	if info == nil {
		return
	}
	digits := int64(s.digits)
	name := func(column string) string { return in(column, inv.Currency) }
	theirs := sum(r.sheet, "SUM", name(microsoftNetName), r.microsoft.Subtotal, digits)
	s.check("Net: our lines against Recon lines", kindAmount, given(inv.Totals.Subtotal, s.digits),
		sum(r.sheet, "SUM", name(oursNetName), r.ours.Subtotal, digits), decimal.Zero)
	s.check("Lines: Microsoft's file against Recon lines", kindWhole, given(int64(info.Billed.Lines), 0),
		sum(r.sheet, "SUM", microsoftLinesName, int64(r.microsoft.Lines), 0), decimal.Zero)
	s.check("Net: Microsoft's file against Recon lines", kindAmount, given(info.Billed.Subtotal, s.digits), theirs, decimal.Zero)
	withTax := sum(r.sheet, "SUM", name(microsoftTaxName), r.microsoft.TaxTotal, digits)
	s.check("Microsoft's net and tax against its gross", kindAmount,
		leg{theirs.formula + "+" + withTax.formula, theirs.value.Add(withTax.value)},
		sum(r.sheet, "SUM", name(microsoftGrossName), r.microsoft.Total, digits), decimal.Zero)
	s.check("Net: expected against billed by Microsoft", kindAmount, given(inv.Totals.Subtotal, s.digits), theirs,
		decimal.New(info.Tolerance, -int32(s.digits)))
	explained, difference := info.explained(), less(r.microsoft, r.ours)
	for _, c := range []struct {
		name, cause, column string
		explained, value    int64
	}{
		{netColumnName, "C", reconNetName, explained.Subtotal, difference.Subtotal},
		{taxColumnName, "D", reconTaxName, explained.TaxTotal, difference.TaxTotal},
		{grossColumnName, "E", reconGrossName, explained.Total, difference.Total},
	} {
		causes := given(c.explained, s.digits)
		causes.formula = s.causes.sum(c.cause)
		s.check(c.name+": differences by cause against Recon lines", kindAmount, causes,
			sum(r.sheet, "SUM", name(c.column), c.value, digits), decimal.Zero)
	}
	// A row has a number of lines on each side that it has.
	for _, c := range []struct {
		who, absent, net string
		alone            int64
	}{
		{"we have", microsoftLinesName, oursNetName, r.onlyOurs},
		{"Microsoft has", oursLinesName, microsoftNetName, r.onlyMicrosofts},
	} {
		all := sum(r.sheet, "COUNTA", "State", 0, 0)
		with := sum(r.sheet, "COUNT", c.absent, 0, 0)
		count := decimal.New(int64(r.sheet.records()-r.present[c.absent]), 0)
		s.check("Rows of Recon lines that only "+c.who, kindWhole, given(0, 0), leg{all.formula + "-" + with.formula, count}, decimal.Zero)
		formula, err := r.sheet.sumWhereBlank(name(c.net), c.absent)
		if err != nil && s.err == nil {
			s.err = err
		}
		s.check("Rows of Recon lines that only "+c.who+", net", kindAmount, given(0, s.digits),
			leg{formula, decimal.New(c.alone, -int32(s.digits))}, decimal.Zero)
	}
}

// check writes one check. The difference and the verdict are formulas with the
// value that they have now, so that a changed line shows, and so does everything
// in a viewer that does not calculate.
func (s *summary) check(name string, kind cellKind, a, b leg, tolerance decimal.Decimal) {
	difference, verdict := b.value.Sub(a.value), "PASS"
	if difference.Abs().GreaterThan(tolerance) {
		verdict = "FAIL"
	}
	places, fine := 0, kind
	if kind == kindAmount {
		places = s.digits
	}
	if b.value.Exponent() < -int32(places) || a.value.Exponent() < -int32(places) {
		places, fine = exactPlaces, kindFraction // what truncation took away is smaller than a minor unit
	}
	cell := func(kind cellKind, l leg) excelize.Cell {
		return excelize.Cell{StyleID: s.book.styles.of(kind), Value: cellNumber(l.value), Formula: l.formula}
	}
	row := s.row
	s.verdicts = append(s.verdicts, row)
	s.put(s.text(name), cell(kind, a), cell(kind, b),
		cell(fine, leg{fmt.Sprintf("ROUND(C%d-B%d,%d)", row, row, places), difference}), cell(kind, leg{"", tolerance}),
		excelize.Cell{StyleID: s.book.styles.verdict, Value: verdict, Formula: fmt.Sprintf(`IF(ABS(D%d)<=E%d,"PASS","FAIL")`, row, row)})
}
