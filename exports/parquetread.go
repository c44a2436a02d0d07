package exports

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/calends/calends/pipeline/invoice"
)

// ReadParquetTotals adds up the lines of a reconciliation.parquet, as another
// program would read it. Only the three columns of amounts are read.
func ReadParquetTotals(r io.ReaderAt, size int64, currency string) (invoice.Totals, error) {
	totals, err := parquetTotals(r, size, currency)
	if err != nil {
		return invoice.Totals{}, fmt.Errorf("read reconciliation.parquet: %w", err)
	}
	return totals, nil
}

func parquetTotals(r io.ReaderAt, size int64, currency string) (t invoice.Totals, err error) {
	digits, err := minorDigits(currency)
	if err != nil {
		return t, err
	}
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return t, err
	}
	t.Lines = int(file.NumRows())
	for _, sum := range []struct {
		column string
		into   *int64
	}{{"Subtotal", &t.Subtotal}, {"TaxTotal", &t.TaxTotal}, {"Total", &t.Total}} {
		if *sum.into, err = sumAmounts(file, sum.column, digits); err != nil {
			return t, fmt.Errorf("column %s: %w", sum.column, err)
		}
	}
	return t, nil
}

// sumAmounts adds a column of decimals with the currency's digits up.
func sumAmounts(file *parquet.File, name string, digits int) (sum int64, err error) {
	leaf, ok := file.Schema().Lookup(name)
	if !ok {
		return 0, fmt.Errorf("%w: there is none", ErrSyntax)
	}
	if scale, ok := decimalScale(leaf.Node.Type().LogicalType()); !ok || scale != digits {
		return 0, fmt.Errorf("%w: want decimals of %d places", ErrSyntax, digits)
	}
	rows := int64(0)
	for _, group := range file.RowGroups() {
		n, part, err := sumChunk(group.ColumnChunks()[leaf.ColumnIndex])
		if err != nil {
			return 0, err
		}
		rows += n
		sum += part
	}
	if rows != file.NumRows() {
		return 0, fmt.Errorf("%w: %d values in %d rows", ErrSyntax, rows, file.NumRows())
	}
	return sum, nil
}

func decimalScale(t *format.LogicalType) (int, bool) {
	if t == nil {
		return 0, false
	}
	d, ok := t.Value.(*format.DecimalType)
	if !ok {
		return 0, false
	}
	return int(d.Scale), true
}

func sumChunk(chunk parquet.ColumnChunk) (rows, sum int64, err error) {
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	values := make([]parquet.Value, 1024)
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return rows, sum, nil
		}
		if err != nil {
			return rows, sum, err
		}
		for reader := page.Values(); err == nil; {
			var n int
			n, err = reader.ReadValues(values)
			for _, v := range values[:n] {
				sum += v.Int64()
			}
			rows += int64(n)
		}
		parquet.Release(page)
		if !errors.Is(err, io.EOF) {
			return rows, sum, err
		}
	}
}
