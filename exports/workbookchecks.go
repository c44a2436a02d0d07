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
	s.checks("Control totals", "A: computed", "B: this workbook")
	sum := func(sheet *dataSheet, function, column string, value, digits int64) leg {
		return s.sum(sheet, function, column, decimal.New(value, -int32(digits)))
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
	s.put(s.text("Net of lines for earlier months (credits, corrections, late)"), s.cell(kindText, nil),
		s.amount(kindAmount, b.late.Subtotal, s.digits, ""), s.cell(kindText, nil), s.cell(kindText, nil), s.cell(kindText, "info"))
	s.checkRecon()
	return s.err
}

// checks begins a table of checks.
func (s *summary) checks(title, a, b string) {
	number := func(title string) sheetColumn { return sheetColumn{title: title, kind: kindAmount} }
	s.section(title, sheetColumn{title: "Check"}, number(a), number(b), number("Difference"), number("Tolerance"), sheetColumn{title: "Result"})
}

// sum is a leg over a column of a sheet, with the value that it has now.
func (s *summary) sum(sheet *dataSheet, function, column string, value decimal.Decimal) leg {
	formula, err := sheet.sum(function, column)
	s.fail(err)
	return leg{formula, value}
}

// fail keeps the first error.
func (s *summary) fail(err error) {
	if s.err == nil {
		s.err = err
	}
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

// checkRecon compares with Microsoft's file, where there is one: first that the
// sheet holds both sides and the causes, then that nothing is left to look at.
func (s *summary) checkRecon() {
	b, inv := s.book, s.book.Info.Invoice
	info, r := b.Info.Recon, &b.recon
	if info == nil {
		return
	}
	s.checks("Compared with Microsoft", "A: computed or read", "B: this workbook")
	tolerance, explained, difference := info.Tolerance, info.explained(), less(r.microsoft, r.ours)
	amounts := []struct {
		name, ours, theirs, difference       string // columns
		cause                                string // column of the causes on Summary
		invoiced, billed, ourSum, theirSum   int64
		explained, differs, absolute, within int64
	}{
		{netColumnName, oursNetName, microsoftNetName, reconNetName, "C", inv.Totals.Subtotal, info.Billed.Subtotal, r.ours.Subtotal, r.microsoft.Subtotal,
			explained.Subtotal, difference.Subtotal, r.absolute.Subtotal, tolerance.Subtotal},
		{taxColumnName, oursTaxName, microsoftTaxName, reconTaxName, "D", inv.Totals.TaxTotal, info.Billed.TaxTotal, r.ours.TaxTotal, r.microsoft.TaxTotal,
			explained.TaxTotal, difference.TaxTotal, r.absolute.TaxTotal, tolerance.TaxTotal},
		{grossColumnName, oursGrossName, microsoftGrossName, reconGrossName, "E", inv.Totals.Total, info.Billed.Total, r.ours.Total, r.microsoft.Total,
			explained.Total, difference.Total, r.absolute.Total, tolerance.Total},
	}
	over := func(column, function string, minor int64) leg {
		return s.sum(r.sheet, function, in(column, inv.Currency), decimal.New(minor, -int32(s.digits)))
	}
	s.check("Lines: our invoice against Recon lines", kindWhole, given(int64(inv.Totals.Lines), 0),
		s.sum(r.sheet, "SUM", oursLinesName, decimal.NewFromInt(int64(r.ours.Lines))), decimal.Zero)
	for _, a := range amounts {
		s.check(a.name+": our invoice against Recon lines", kindAmount, given(a.invoiced, s.digits), over(a.ours, "SUM", a.ourSum), decimal.Zero)
	}
	s.check("Lines: Microsoft's file against Recon lines", kindWhole, given(int64(info.Billed.Lines), 0),
		s.sum(r.sheet, "SUM", microsoftLinesName, decimal.NewFromInt(int64(r.microsoft.Lines))), decimal.Zero)
	for _, a := range amounts {
		s.check(a.name+": Microsoft's file against Recon lines", kindAmount, given(a.billed, s.digits), over(a.theirs, "SUM", a.theirSum), decimal.Zero)
	}
	net, tax := over(microsoftNetName, "SUM", r.microsoft.Subtotal), over(microsoftTaxName, "SUM", r.microsoft.TaxTotal)
	s.check("Microsoft's net and tax against its gross", kindAmount, leg{net.formula + "+" + tax.formula, net.value.Add(tax.value)},
		over(microsoftGrossName, "SUM", r.microsoft.Total), decimal.Zero)
	for _, a := range amounts {
		causes := given(a.explained, s.digits)
		causes.formula = s.causes.sum(a.cause)
		s.check(a.name+": differences by cause against Recon lines", kindAmount, causes, over(a.difference, "SUM", a.differs), decimal.Zero)
	}
	for _, a := range amounts {
		s.check(a.name+": expected against billed by Microsoft", kindAmount, given(a.invoiced, s.digits), over(a.theirs, "SUM", a.theirSum),
			decimal.New(a.within, -int32(s.digits)))
	}
	// Differences that cancel out are differences.
	for _, a := range amounts {
		formula, err := r.sheet.sumAbsolute(in(a.difference, inv.Currency))
		s.fail(err)
		s.check(a.name+": all differences, without their signs", kindAmount, given(0, s.digits), leg{formula, decimal.New(a.absolute, -int32(s.digits))},
			decimal.New(a.within, -int32(s.digits)))
	}
	s.check("Open differences", kindWhole, given(0, 0), s.sum(r.sheet, "SUM", openName, decimal.NewFromInt(int64(r.openCauses))), decimal.Zero)
	refused, err := b.refused()
	s.fail(err)
	s.check("Lines of Microsoft's files that could not be read", kindWhole, given(0, 0), refused, decimal.Zero)
	s.checkAlone()
}

// checkAlone shows what only one side has. A row has a number of lines on each side
// that it has.
func (s *summary) checkAlone() {
	r := &s.book.recon
	for _, c := range []struct {
		who, absent, net string
		alone            int64
	}{
		{"we have", microsoftLinesName, oursNetName, r.onlyOurs},
		{"Microsoft has", oursLinesName, microsoftNetName, r.onlyMicrosofts},
	} {
		all := s.sum(r.sheet, "COUNTA", "State", decimal.Zero)
		with := s.sum(r.sheet, "COUNT", c.absent, decimal.Zero)
		count := decimal.New(int64(r.sheet.records()-r.present[c.absent]), 0)
		s.check("Rows of Recon lines that only "+c.who, kindWhole, given(0, 0), leg{all.formula + "-" + with.formula, count}, decimal.Zero)
		formula, err := r.sheet.sumWhere(in(c.net, s.book.Info.Invoice.Currency), c.absent, `"="`)
		s.fail(err)
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
		excelize.Cell{StyleID: s.book.styles.verdict, Value: verdict, Formula: fmt.Sprintf(`IF(ROUND(ABS(D%d)-E%d,%d)<=0,"PASS","FAIL")`, row, row, places)})
}
