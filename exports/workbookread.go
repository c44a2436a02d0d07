package exports

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// ReadWorkbookTotals adds up the rows of the sheets Invoice lines of a
// reconciliation.xlsx, from what stands in the cells: no formula is calculated.
func ReadWorkbookTotals(r io.Reader, currency string) (invoice.Totals, error) {
	totals, err := workbookTotals(r, currency)
	if err != nil {
		return invoice.Totals{}, fmt.Errorf("read reconciliation.xlsx: %w", err)
	}
	return totals, nil
}

func workbookTotals(r io.Reader, currency string) (t invoice.Totals, err error) {
	digits, err := minorDigits(currency)
	if err != nil {
		return t, err
	}
	file, err := excelize.OpenReader(r, excelize.Options{RawCellValue: true})
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sheets := file.GetSheetList()
	if !slices.Contains(sheets, linesSheet) {
		return t, fmt.Errorf("%w: no sheet %s", ErrSyntax, linesSheet)
	}
	for n := 1; ; n++ {
		sheet := partName(linesSheet, n)
		if !slices.Contains(sheets, sheet) {
			return t, nil
		}
		if err := sumSheet(file, sheet, currency, digits, &t); err != nil {
			return t, fmt.Errorf("sheet %s: %w", sheet, err)
		}
	}
}

// sumSheet adds the records of one sheet, those below its heading. Columns are
// found by their names.
func sumSheet(file *excelize.File, sheet, currency string, digits int, t *invoice.Totals) (err error) {
	rows, err := file.Rows(sheet)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	sums := [...]struct {
		name   string
		into   *int64
		column int
	}{{name: netColumnName, into: &t.Subtotal}, {name: taxColumnName, into: &t.TaxTotal}, {name: grossColumnName, into: &t.Total}}
	for n := 1; rows.Next(); n++ {
		cells, err := rows.Columns(excelize.Options{RawCellValue: true})
		if err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
		if n > 1 {
			t.Lines++
		}
		for i := range sums {
			sum := &sums[i]
			if n == 1 {
				if sum.column = slices.Index(cells, in(sum.name, currency)); sum.column < 0 {
					return fmt.Errorf("%w: no column %s", ErrSyntax, in(sum.name, currency))
				}
				continue
			}
			units, err := readAmount(cells, sum.column, digits)
			if err != nil {
				return fmt.Errorf("row %d, column %s: %w", n, sum.name, err)
			}
			*sum.into += units
		}
	}
	return rows.Error()
}

// readAmount reads an amount in minor units. Columns count from 0.
func readAmount(cells []string, column, digits int) (int64, error) {
	if len(cells) <= column {
		return 0, fmt.Errorf("%w: the row ends before it", ErrSyntax)
	}
	amount, err := decimal.NewFromString(cells[column])
	if err != nil {
		return 0, fmt.Errorf("%w: %q is no amount", ErrSyntax, cells[column])
	}
	// A cell is a binary fraction; its text has as many places as the currency.
	return pricing.Truncate(amount.Round(int32(digits)), digits)
}
