package exports

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/calends/calends/pipeline/invoice"
)

// ReadCSVTotals adds up the lines of a reconciliation.csv. Of a row it reads the
// three amounts and their currency, and checks the form of the whole: its end,
// its quotes, its encoding and the number of its fields. [ReadLines], which takes
// more than ten times as long, checks how every other field is spelled, too.
func ReadCSVTotals(r io.Reader) (invoice.Totals, error) {
	sum := csvSum{records: newRecordReader(r, Columns())}
	for {
		row, err := sum.records.nextRow()
		if errors.Is(err, io.EOF) {
			return sum.totals, nil
		}
		if err == nil && !sum.addFast(row) {
			err = sum.add(row)
		}
		if err != nil {
			return invoice.Totals{}, fmt.Errorf("read reconciliation.csv: %w", err)
		}
	}
}

// csvSum adds up rows.
type csvSum struct {
	records  *recordReader
	totals   invoice.Totals
	currency []byte // of the last row
	digits   int
}

// The amounts stand one behind the other, then their currency.
var (
	columnSubtotal = columnNamed("Subtotal")
	columnCurrency = columnNamed("Currency")
)

// add adds a row up the plain way, which knows what is wrong with it.
func (s *csvSum) add(row []byte) error {
	fields, err := s.records.fieldsOf(row)
	if err != nil {
		return err
	}
	wrong := func(column int, err error) error {
		return &PositionError{Line: s.records.first, Column: columns[column].name, Err: err}
	}
	digits, err := minorDigits(fields[columnCurrency])
	if err != nil {
		return wrong(columnCurrency, err)
	}
	var amounts [3]int64
	for i := range amounts {
		if amounts[i], err = parseAmount(fields[columnSubtotal+i], digits); err != nil {
			return wrong(columnSubtotal+i, err)
		}
	}
	s.currency, s.digits = append(s.currency[:0], fields[columnCurrency]...), digits
	s.totals.Merge(invoice.Totals{Lines: 1, Subtotal: amounts[0], TaxTotal: amounts[1], Total: amounts[2]})
	return nil
}

// addFast adds a row up if nothing about it is unusual.
func (s *csvSum) addFast(row []byte) bool {
	at, fields := scanRow(row, s.records.quotes, columnSubtotal)
	if fields != len(columns) {
		return false
	}
	rest := row[at:]
	var amounts [3]int64
	for i := range amounts {
		n := bytes.IndexByte(rest, separator)
		if n < 0 {
			return false
		}
		var ok bool
		if amounts[i], ok = usualAmount(rest[:n], s.digits); !ok {
			return false
		}
		rest = rest[n+1:]
	}
	if n := len(s.currency); n == 0 || len(rest) <= n || rest[n] != separator || !bytes.Equal(rest[:n], s.currency) {
		return false
	}
	s.totals.Merge(invoice.Totals{Lines: 1, Subtotal: amounts[0], TaxTotal: amounts[1], Total: amounts[2]})
	return true
}

// scanRow counts the fields of a row with so many quotes, and says where one of
// them begins. There are none where a quote or a carriage return stands wrong.
func scanRow(row []byte, quotes, field int) (at, fields int) {
	commas := 0
	for from := 0; ; {
		to := len(row)
		if quotes > 0 {
			if n := bytes.IndexByte(row[from:], quote); n >= 0 {
				to = from + n
			}
		}
		// Between quoted fields every comma separates.
		plain := row[from:to]
		if bytes.IndexByte(plain, '\r') >= 0 {
			return 0, 0
		}
		n := bytes.Count(plain, separatorText)
		if commas < field && field <= commas+n {
			at = from + nthComma(plain, field-commas) + 1
		}
		commas += n
		if to == len(row) {
			return at, commas + 1
		}
		end := quotedField(row, to)
		if end < 0 {
			return 0, 0
		}
		from = end
	}
}

// quotedField returns where the quoted field that begins at i ends, or -1 when
// it is not one that is written here.
func quotedField(row []byte, i int) int {
	if i > 0 && row[i-1] != separator {
		return -1
	}
	needed := false
	for end := i + 1; ; end++ {
		n := bytes.IndexByte(row[end:], quote)
		if n < 0 {
			return -1
		}
		needed = needed || bytes.ContainsAny(row[end:end+n], ",\r\n")
		if end += n; end+1 < len(row) && row[end+1] == quote {
			end++ // a doubled quote is text
			needed = true
			continue
		}
		if end++; !needed || end < len(row) && row[end] != separator {
			return -1
		}
		return end
	}
}

// nthComma returns where the n-th comma stands, the first being 1. There are
// as many.
func nthComma(s []byte, n int) int {
	const (
		low    = 0x7f7f7f7f7f7f7f7f
		commas = 0x2c2c2c2c2c2c2c2c
	)
	const step = 128 // counting that many at once is fast
	at := 0
	for at+step <= len(s) {
		here := bytes.Count(s[at:at+step], separatorText)
		if here >= n {
			break
		}
		n -= here
		at += step
	}
	for ; at+8 <= len(s); at += 8 {
		x := binary.LittleEndian.Uint64(s[at:]) ^ commas
		found := ^(x&low + low | x | low) // the high bit of each byte that is a comma
		if here := bits.OnesCount64(found); here < n {
			n -= here
			continue
		}
		for ; n > 1; n-- {
			found &= found - 1
		}
		return at + bits.TrailingZeros64(found)/8
	}
	for ; ; at++ {
		if s[at] == separator {
			if n--; n == 0 {
				return at
			}
		}
	}
}

// usualAmount reads what [appendAmount] writes, if it is of a usual length.
func usualAmount(s []byte, digits int) (int64, bool) {
	negative := len(s) > 0 && s[0] == '-'
	if negative {
		s = s[1:]
	}
	whole := len(s)
	if digits > 0 {
		if whole -= digits + 1; whole < 1 || s[whole] != '.' {
			return 0, false
		}
	}
	if whole < 1 || len(s) > maxDigits || s[0] == '0' && whole > 1 {
		return 0, false
	}
	v := int64(0)
	for i, c := range s {
		if i == whole {
			continue
		}
		if c -= '0'; c > 9 {
			return 0, false
		}
		v = 10*v + int64(c)
	}
	if negative {
		return -v, v != 0
	}
	return v, true
}
