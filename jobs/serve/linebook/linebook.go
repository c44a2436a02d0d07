// Package linebook finds lines of an invoice: it filters, sorts and pages those of one
// reconciliation.csv, a million of them in some milliseconds.
//
// A [Book] is the whole file in memory, column by column: a fifth of its size, and out of
// it every row comes back byte for byte. It is made from the CSV and not from the Parquet
// file beside it, since that rounds prices, and reading the CSV to its end proves its hash.
// A [Shelf] keeps the books that were asked for last.
package linebook

import (
	"errors"
	"fmt"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pricing"
)

// ErrDamaged: the file is not the one that its manifest names.
var ErrDamaged = errors.New("the file is not what its manifest says")

// columns is how many a line has.
const columns = 46

// A run is some neighbouring columns that are kept together. Which columns belong to
// one run is a matter of memory: those that repeat together have one text for all.
type run struct {
	last string // name of its last column; it begins behind the run before
	kind kind
}

type kind uint8

const (
	words  kind = iota // few different texts
	ids                // many, most of them UUIDs
	amount             // of minor units
)

// runs are the 46 columns in their order.
var runs = [...]run{
	runCustomer:   {"ResellerMpnId", words},
	runOrder:      {"OrderId", ids},
	runOrderDate:  {"OrderDate", words},
	runProduct:    {"ProductName", words},
	runChargeType: {"ChargeType", words},
	runUnitPrice:  {"UnitPrice", words},
	runQuantity:   {"Quantity", words},
	runSubtotal:   {"Subtotal", amount},
	runTax:        {"TaxTotal", amount},
	runTotal:      {"Total", amount},
	runAdjustment: {"PriceAdjustmentDescription", words},
	runPublisher:  {"SubscriptionDescription", words},
	runSubscriber: {"SubscriptionId", ids},
	runStart:      {"ChargeStartDate", words},
	runEnd:        {"ChargeEndDate", words},
	runTerm:       {"TermAndBillingCycle", words},
	runEffective:  {"EffectiveUnitPrice", words},
	runUnit:       {"AlternateId", words},
	runBillable:   {"BillableQuantity", words},
	runCurrency:   {"CreditReasonCode", words},
	runTermDates:  {"SubscriptionEndDate", words},
	runReference:  {"ReferenceId", ids},
	runQualifiers: {"PromotionId", words},
}

const (
	runCustomer = iota
	runOrder
	runOrderDate
	runProduct
	runChargeType
	runUnitPrice
	runQuantity
	runSubtotal
	runTax
	runTotal
	runAdjustment
	runPublisher
	runSubscriber
	runStart
	runEnd
	runTerm
	runEffective
	runUnit
	runBillable
	runCurrency
	runTermDates
	runReference
	runQualifiers
	runCount
)

// ends has behind which column each run ends, and place where each column stands.
var ends, place = layout()

func layout() (ends [runCount]int, place map[string]int) {
	place = make(map[string]int, columns)
	names := exports.Columns()
	for i, name := range names {
		place[name] = i
	}
	for i, r := range runs {
		at, known := place[r.last]
		if !known || i > 0 && at < ends[i-1] {
			panic("linebook: no column " + r.last + " there")
		}
		ends[i] = at + 1
	}
	if len(names) != columns || ends[runCount-1] != columns {
		panic("linebook: the columns have changed")
	}
	return ends, place
}

// begin is the first column of a run.
func begin(r int) int {
	if r == 0 {
		return 0
	}
	return ends[r-1]
}

// Book is the lines of one invoice. It never changes, and is safe for concurrent use.
type Book struct {
	sum    string // the file's SHA-256
	digits int    // of its currency
	rows   int
	words  [runCount]*dictionary
	ids    [runCount]*idColumn
	money  [runCount][]int64
	ranks  ranks
}

// Rows is how many lines there are.
func (b *Book) Rows() int { return b.rows }

// Line is the number of a row, 1 being the first below the header, and its 46 fields as
// the file has them.
type Line struct {
	Row    int
	Fields [columns]string
}

// Row returns a row as the file has it, 1 being the first below the header; "" if there
// is none.
func (b *Book) Row(number int) string {
	if number < 1 || number > b.rows {
		return ""
	}
	return string(append(b.appendRow(nil, number-1), rowEnd...))
}

// line takes a row apart, 0 being the first.
func (b *Book) line(row int) (Line, error) {
	l := Line{Row: row + 1}
	text := b.appendRow(nil, row)
	fields, ok := split(make([][]byte, 0, columns), text)
	if !ok || len(fields) != columns {
		return l, fmt.Errorf("row %d: %w", row+1, ErrDamaged) // it was read once already
	}
	for i, f := range fields {
		l.Fields[i] = unquoted(string(f))
	}
	return l, nil
}

// appendRow appends a row as the file has it, without its end.
func (b *Book) appendRow(dst []byte, row int) []byte {
	for r := range runs {
		if r > 0 {
			dst = append(dst, ',')
		}
		switch runs[r].kind {
		case words:
			dst = append(dst, b.words[r].of(row)...)
		case ids:
			dst = b.ids[r].append(dst, row)
		case amount:
			dst = append(dst, pricing.FormatMinor(b.money[r][row], b.digits)...)
		}
	}
	return dst
}

// Size is about how many bytes the book takes.
func (b *Book) Size() int64 {
	n := int64(0)
	for r := range runs {
		switch runs[r].kind {
		case words:
			n += b.words[r].size()
		case ids:
			n += b.ids[r].size()
		case amount:
			n += int64(8 * cap(b.money[r]))
		}
	}
	return n
}
