package exports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pipeline/invoice"
)

const (
	customerColumnName  = "Customer"
	lastColumnName      = "Last month net"
	microsoftColumnName = "Microsoft net"
	microsoftTaxColumn  = "Microsoft tax"
	microsoftGross      = "Microsoft gross"
)

// customerRow is one customer of this month, the last one, or Microsoft's.
type customerRow struct {
	id, name string
	invoice.Totals
	last      int64
	microsoft reconCustomer
}

// customers merges what the invoice says of its customers with last month's and
// Microsoft's, the largest first.
func (b *Workbook) customers() []*customerRow {
	var all []*customerRow
	byID := make(map[string]*customerRow)
	find := func(id, name string) *customerRow {
		row := byID[id]
		if row == nil {
			row = &customerRow{id: id, name: name}
			byID[id] = row
			all = append(all, row)
		}
		return row
	}
	for _, c := range b.Info.Invoice.Customers {
		find(c.CustomerID, c.CustomerName).Merge(c.Totals)
	}
	if b.Info.Last != nil {
		for _, c := range b.Info.Last.Waterfall.Customers {
			if c.Last != 0 || byID[c.ID] != nil {
				find(c.ID, c.Name).last = c.Last
			}
		}
	}
	for id, c := range b.recon.customers {
		find(id, c.name).microsoft = c
	}
	slices.SortFunc(all, func(a, b *customerRow) int {
		return cmp.Or(cmp.Compare(b.Subtotal, a.Subtotal), strings.Compare(a.id, b.id))
	})
	return all
}

func (b *Workbook) customersSheet() (*dataSheet, error) {
	inv := b.Info.Invoice
	columns := []sheetColumn{
		{customerColumnName, 34, kindText, "CustomerName; the largest net amount comes first."},
		{"Customer id", 38, kindText, "CustomerId: the customer's tenant."},
		{"Lines", 9, kindWhole, "Number of invoice lines."},
		sheetColumn{netColumnName, 15, kindAmount, "Subtotal."}.in(inv.Currency),
		sheetColumn{taxColumnName, 14, kindAmount, "TaxTotal."}.in(inv.Currency),
		sheetColumn{grossColumnName, 15, kindAmount, "Total."}.in(inv.Currency),
		{"Share", 9, kindPercent, "Of the invoice's net amount."},
	}
	if b.Info.Last != nil {
		columns = append(columns,
			sheetColumn{lastColumnName, 16, kindAmount, "Net amount of the month before."}.in(inv.Currency),
			sheetColumn{"Change", 15, kindAmount, "Net amount less that of the month before."}.in(inv.Currency),
			sheetColumn{"Change %", 11, kindPercent, "The change as a share of the month before."},
			sheetColumn{"Status", 12, kindText, "New: not on the invoice before. Left: only on that one. Not billed: Microsoft has lines, we have none."})
	}
	if b.Info.Recon != nil {
		columns = append(columns,
			sheetColumn{microsoftColumnName, 16, kindAmount, "Net amount of Microsoft's lines."}.in(inv.Currency),
			sheetColumn{"Net variance", 15, kindAmount, "Microsoft's net amount less ours."}.in(inv.Currency),
			sheetColumn{"Tax variance", 15, kindAmount, "Microsoft's tax less ours."}.in(inv.Currency),
			sheetColumn{"Gross variance", 15, kindAmount, "Microsoft's gross amount less ours."}.in(inv.Currency),
			sheetColumn{"Open differences", 13, kindWhole, "Of all lines: they may cancel out in the variance."},
			sheetColumn{"Comparison", 18, kindText, "Differs: something is open. Within tolerance: truncated at another place, no more. Only ours, only Microsoft's: the other side has no line."},
			sheetColumn{microsoftTaxColumn, 15, kindAmount, "Tax of Microsoft's lines."}.in(inv.Currency),
			sheetColumn{microsoftGross, 16, kindAmount, "Gross amount of Microsoft's lines."}.in(inv.Currency))
	}
	printed := len(columns)
	if b.Info.Recon != nil {
		printed -= 2 // the variances say it all
	}
	sheet := b.sheet(dataSheet{name: customersSheet, table: "ByCustomer", colour: tabGreen, keys: 1, printed: printed, columns: columns, empty: "No lines"})
	var sum customerRow
	for i, c := range b.customers() {
		sum.add(c)
		row, err := sheet.next(0)
		if err != nil {
			return nil, err
		}
		row.text(c.name)
		row.text(c.id)
		row.whole(int64(c.Lines))
		row.amount(c.Subtotal, inv.MinorDigits)
		row.amount(c.TaxTotal, inv.MinorDigits)
		row.amount(c.Total, inv.MinorDigits)
		row.share(c.Subtotal, inv.Totals.Subtotal)
		if b.Info.Last != nil {
			row.amount(c.last, inv.MinorDigits)
			if err := sheet.difference(row, i%sheet.perSheet+2, in(netColumnName, inv.Currency), in(lastColumnName, inv.Currency),
				c.Subtotal-c.last, inv.MinorDigits); err != nil {
				return nil, err
			}
			row.share(c.Subtotal-c.last, c.last)
			row.text(c.status())
		}
		if b.Info.Recon != nil {
			if err := b.compareCustomer(sheet, row, i%sheet.perSheet+2, c); err != nil {
				return nil, err
			}
		}
		if err := row.end(); err != nil {
			return nil, err
		}
	}
	return sheet, sheet.total(sum.totals(inv))
}

// add adds a customer up.
func (c *customerRow) add(o *customerRow) {
	c.Merge(o.Totals)
	c.last += o.last
	c.microsoft.Merge(o.microsoft.Totals)
	c.microsoft.open += o.microsoft.open
}

// totals are the sums by title; a sheet takes those of its columns.
func (c *customerRow) totals(inv *invoice.Invoice) map[string]decimal.Decimal {
	sums := map[string]decimal.Decimal{
		"Lines": decimal.NewFromInt(int64(c.Lines)), "Open differences": decimal.NewFromInt(int64(c.microsoft.open)),
	}
	variance := less(c.microsoft.Totals, c.Totals)
	for title, minor := range map[string]int64{
		netColumnName: c.Subtotal, taxColumnName: c.TaxTotal, grossColumnName: c.Total,
		lastColumnName: c.last, "Change": c.Subtotal - c.last,
		microsoftColumnName: c.microsoft.Subtotal, microsoftTaxColumn: c.microsoft.TaxTotal, microsoftGross: c.microsoft.Total,
		"Net variance": variance.Subtotal, "Tax variance": variance.TaxTotal, "Gross variance": variance.Total,
	} {
		sums[in(title, inv.Currency)] = decimal.New(minor, -int32(inv.MinorDigits))
	}
	return sums
}

// compareCustomer writes what Microsoft bills the customer, beside what we do.
func (b *Workbook) compareCustomer(sheet *dataSheet, row *rows, number int, c *customerRow) error {
	inv, theirs := b.Info.Invoice, &c.microsoft
	variance := less(theirs.Totals, c.Totals)
	row.amount(theirs.Subtotal, inv.MinorDigits)
	for _, v := range []struct {
		theirs, ours string
		value        int64
	}{
		{microsoftColumnName, netColumnName, variance.Subtotal},
		{microsoftTaxColumn, taxColumnName, variance.TaxTotal},
		{microsoftGross, grossColumnName, variance.Total},
	} {
		if err := sheet.difference(row, number, in(v.theirs, inv.Currency), in(v.ours, inv.Currency), v.value, inv.MinorDigits); err != nil {
			return err
		}
	}
	row.whole(int64(theirs.open))
	row.text(c.comparison(variance))
	row.amount(theirs.TaxTotal, inv.MinorDigits)
	row.amount(theirs.Total, inv.MinorDigits)
	return nil
}

// comparison says in a word or two whether Microsoft bills the customer the same.
func (c *customerRow) comparison(variance invoice.Totals) string {
	switch ours, theirs := c.Lines, c.microsoft.Lines; {
	case ours == 0 && theirs == 0:
		return "" // was here last month
	case theirs == 0:
		return "only ours"
	case ours == 0:
		return "only Microsoft's"
	case c.microsoft.open > 0:
		return "differs"
	case variance.Subtotal != 0 || variance.TaxTotal != 0 || variance.Total != 0:
		return "within tolerance"
	}
	return "agrees"
}

func (c *customerRow) status() string {
	switch {
	case c.Lines == 0 && c.last == 0:
		return "Not billed"
	case c.Lines == 0:
		return "Left"
	case c.last == 0:
		return "New"
	}
	return ""
}

// difference writes a live formula over two columns of a row, with its value.
func (s *dataSheet) difference(row *rows, number int, minuend, subtrahend string, value int64, digits int) error {
	from, err := excelize.CoordinatesToCellName(s.column(minuend), number)
	if err != nil {
		return fmt.Errorf("column %s: %w", minuend, err)
	}
	less, err := excelize.CoordinatesToCellName(s.column(subtrahend), number)
	if err != nil {
		return fmt.Errorf("column %s: %w", subtrahend, err)
	}
	row.formula(fmt.Sprintf("ROUND(%s-%s,%d)", from, less, digits), decimal.New(value, -int32(digits)))
	return nil
}
