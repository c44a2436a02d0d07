package linebook

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// Query asks for some lines of a book. Its zero value asks for all, in the file's order.
type Query struct {
	// These are equal to the line's, "" for any.
	CustomerID     string
	SubscriptionID string
	OrderID        string
	ProductID      string
	SkuID          string
	// ChargeTypes has the line's; empty for any.
	ChargeTypes []string
	// From and To are the first and the last day on which the charge may begin;
	// pricing.NoDate for any. A line without such a day is in no range.
	From, To pricing.Date
	// Text has words, each of which is in a name of the customer, its domain, the
	// product, the SKU, the subscription or the publisher, in small or capital letters.
	Text string
	// Sign is 1 for charges, -1 for credits, by Total; 0 for any.
	Sign int
	// Min and Max are the least and the largest Total; nil for any.
	Min, Max *decimal.Decimal

	Sort       Sort
	Descending bool
}

// All is the query of all lines.
func All() Query { return Query{From: pricing.NoDate, To: pricing.NoDate} }

// Sort names a column to sort by; lines that are equal in it stand in the file's order.
type Sort string

// What lines can be sorted by.
const (
	ByRow         Sort = "" // the file's order
	ByCustomer    Sort = "customerName"
	ByProduct     Sort = "productName"
	BySku         Sort = "skuName"
	ByChargeType  Sort = "chargeType"
	ByOrderDate   Sort = "orderDate"
	ByChargeStart Sort = "chargeStartDate"
	ByChargeEnd   Sort = "chargeEndDate"
	ByUnitPrice   Sort = "unitPrice"
	ByQuantity    Sort = "quantity"
	BySubtotal    Sort = "subtotal"
	ByTax         Sort = "taxTotal"
	ByTotal       Sort = "total"
)

// Page is some of the lines that a query asks for, and what all of them come to.
type Page struct {
	Lines []Line
	// Next continues behind the last line; "" at the end.
	Next string
	// Count and the sums are of all lines of the query. The sums have the currency's digits.
	Count                     int
	Subtotal, TaxTotal, Total string
}

// ErrCursor: the cursor is none, or of another query or another file.
var ErrCursor = errors.New("the cursor fits no more: ask from the beginning")

// asked is after how many lines a query looks whether anybody still waits for it.
const asked = 1 << 16

// Page returns at most limit lines behind the cursor, "" for those from the beginning.
func (b *Book) Page(ctx context.Context, q Query, cursor string, limit int) (Page, error) {
	key, err := b.key(q)
	if err != nil {
		return Page{}, err
	}
	mark := b.mark(q)
	pick := picker{limit: limit}
	if cursor != "" {
		row, ok := mark.row(cursor)
		if !ok || row >= b.rows {
			return Page{}, ErrCursor
		}
		pick.behind, pick.after = true, picked{key(row), row}
	}
	sum := [3]int64{}
	count := 0
	f := b.filter(q)
	for row := range f.rows(b, q.Sort == ByRow && q.Descending) {
		if count%asked == 0 && ctx.Err() != nil {
			return Page{}, ctx.Err()
		}
		count++
		for i, r := range [...]int{runSubtotal, runTax, runTotal} {
			sum[i] += b.money[r][row]
		}
		pick.offer(picked{key(row), row})
	}
	page := Page{Count: count, Lines: []Line{}}
	for i, into := range [...]*string{&page.Subtotal, &page.TaxTotal, &page.Total} {
		*into = pricing.FormatMinor(sum[i], b.digits)
	}
	best, more := pick.sorted()
	for _, p := range best {
		line, err := b.line(p.row)
		if err != nil {
			return Page{}, err
		}
		page.Lines = append(page.Lines, line)
	}
	if more {
		page.Next = mark.cursor(best[len(best)-1].row)
	}
	return page, nil
}

// mark is what cursors of a query on a book begin with.
type mark [12]byte

func (b *Book) mark(q Query) (m mark) {
	text, err := json.Marshal(q)
	if err != nil {
		panic("linebook: a query has only what is JSON") // texts, numbers and decimals
	}
	sum := sha256.Sum256(append([]byte(b.sum), text...))
	copy(m[:], sum[:])
	return m
}

func (m mark) cursor(row int) string {
	return base64.RawURLEncoding.EncodeToString(binary.AppendUvarint(m[:], uint64(row)))
}

func (m mark) row(cursor string) (int, bool) {
	data, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(data) <= len(m) || mark(data[:len(m)]) != m {
		return 0, false
	}
	row, n := binary.Uvarint(data[len(m):])
	return int(row), n == len(data)-len(m) && row < 1<<40
}

// A filter is a query looked up in the dictionaries of a book.
type filter struct {
	masks [runCount][]bool // by code; nil: any
	// words have for each word of the text where it is.
	words [][len(named)][]bool
	// only are the rows of an id, if one was asked for.
	byID bool
	only []int
	// The least and the largest Total.
	low, high int64
}

// named are the runs with names, and the columns in them.
var named = [...]struct {
	run     int
	columns []string
}{
	{runCustomer, []string{"CustomerName", "CustomerDomainName"}},
	{runProduct, []string{"SkuName", "ProductName"}},
	{runPublisher, []string{"PublisherName", "SubscriptionDescription"}},
}

func (b *Book) filter(q Query) *filter {
	f := &filter{low: -1 << 63, high: 1<<63 - 1}
	equal := func(run int, column, wanted string) {
		if wanted != "" {
			f.and(run, b.codesOf(run, column, func(s string) bool { return s == wanted }))
		}
	}
	equal(runCustomer, "CustomerId", q.CustomerID)
	equal(runProduct, "ProductId", q.ProductID)
	equal(runProduct, "SkuId", q.SkuID)
	if len(q.ChargeTypes) > 0 {
		f.and(runChargeType, b.codesOf(runChargeType, "ChargeType", func(s string) bool { return slices.Contains(q.ChargeTypes, s) }))
	}
	if q.From != pricing.NoDate || q.To != pricing.NoDate {
		f.and(runStart, b.codesOf(runStart, "ChargeStartDate", func(s string) bool {
			day, err := pricing.ParseDate(s)
			return err == nil && day >= q.From && (q.To == pricing.NoDate || day <= q.To)
		}))
	}
	for _, word := range strings.Fields(strings.ToLower(q.Text)) {
		var in [len(named)][]bool
		for i, n := range named {
			in[i] = make([]bool, len(b.words[n.run].texts))
			for _, column := range n.columns {
				for code, has := range b.codesOf(n.run, column, func(s string) bool { return strings.Contains(strings.ToLower(s), word) }) {
					in[i][code] = in[i][code] || has
				}
			}
		}
		f.words = append(f.words, in)
	}
	f.id(b.ids[runSubscriber], q.SubscriptionID)
	f.id(b.ids[runOrder], q.OrderID)
	f.amounts(q, b.digits)
	return f
}

// codesOf says which texts of a run's column are wanted.
func (b *Book) codesOf(run int, column string, wanted func(string) bool) []bool {
	texts := b.words[run].texts
	mask := make([]bool, len(texts))
	for i, field := range fieldsOf(run, column, texts) {
		mask[i] = wanted(field)
	}
	return mask
}

// fieldsOf returns one column of each text of a run.
func fieldsOf(run int, column string, texts []string) []string {
	at := place[column] - begin(run)
	fields := make([]string, len(texts))
	for i, t := range texts {
		fields[i] = fieldOf(t, at)
	}
	return fields
}

// fieldOf returns a field of what was cut out of a row.
func fieldOf(text string, at int) string {
	for {
		end := 0
		if strings.HasPrefix(text, `"`) {
			end = 1
			for end < len(text) && (text[end] != '"' || end+1 < len(text) && text[end+1] != ',') {
				if text[end] == '"' {
					end++ // and the one that it doubles
				}
				end++
			}
			end = min(end+1, len(text))
		} else if end = strings.IndexByte(text, ','); end < 0 {
			end = len(text)
		}
		if at == 0 {
			return unquoted(text[:end])
		}
		text, at = text[min(end+1, len(text)):], at-1
	}
}

func (f *filter) and(run int, mask []bool) {
	if f.masks[run] == nil {
		f.masks[run] = mask
		return
	}
	for i, has := range mask {
		f.masks[run][i] = f.masks[run][i] && has
	}
}

func (f *filter) id(column *idColumn, wanted string) {
	if wanted == "" {
		return
	}
	rows := column.having(quoted(wanted))
	if f.byID {
		rows = slices.DeleteFunc(rows, func(row int) bool { _, has := slices.BinarySearch(f.only, row); return !has })
	}
	f.byID, f.only = true, rows
}

// amounts sets between what the Total lies, in minor units.
func (f *filter) amounts(q Query, digits int) {
	switch {
	case q.Sign > 0:
		f.low = 1
	case q.Sign < 0:
		f.high = -1
	}
	if q.Min != nil {
		f.low = max(f.low, bounded(q.Min.Shift(int32(digits)).Ceil()))
	}
	if q.Max != nil {
		f.high = min(f.high, bounded(q.Max.Shift(int32(digits)).Floor()))
	}
}

var largest = decimal.New(1<<62, 0)

// bounded is a whole number, or one that is beyond all amounts.
func bounded(d decimal.Decimal) int64 {
	switch {
	case d.GreaterThan(largest):
		return 1 << 62
	case d.LessThan(largest.Neg()):
		return -1 << 62
	}
	return d.IntPart()
}

// rows yields the rows that pass, in the file's order or from its end: a picker that is
// offered the best ones first has less to do.
func (f *filter) rows(b *Book, fromEnd bool) func(func(int) bool) {
	count := b.rows
	if f.byID {
		count = len(f.only)
	}
	return func(yield func(int) bool) {
		for i := range count {
			if fromEnd {
				i = count - 1 - i
			}
			row := i
			if f.byID {
				row = f.only[i]
			}
			if f.passes(b, row) && !yield(row) {
				return
			}
		}
	}
}

// masked are the runs by which lines are filtered.
var masked = [...]int{runCustomer, runProduct, runChargeType, runStart}

func (f *filter) passes(b *Book, row int) bool {
	if total := b.money[runTotal][row]; total < f.low || total > f.high {
		return false
	}
	for _, r := range masked {
		if f.masks[r] != nil && !f.masks[r][b.words[r].rows.at(row)] {
			return false
		}
	}
	for i := range f.words {
		found := false
		for n := range named {
			found = found || f.words[i][n][b.words[named[n].run].rows.at(row)]
		}
		if !found {
			return false
		}
	}
	return true
}

// ranks are the places of the texts of a run in the order of one of its columns; made
// when they are first asked for.
type ranks struct {
	mu sync.Mutex
	of map[Sort][]int32
}

// sorted columns of words, and how to compare.
var sortable = map[Sort]struct {
	run     int
	column  string
	compare func(a, b string) int
}{
	ByCustomer:    {runCustomer, "CustomerName", compareText},
	ByProduct:     {runProduct, "ProductName", compareText},
	BySku:         {runProduct, "SkuName", compareText},
	ByChargeType:  {runChargeType, "ChargeType", compareText},
	ByOrderDate:   {runOrderDate, "OrderDate", cmp.Compare[string]},
	ByChargeStart: {runStart, "ChargeStartDate", cmp.Compare[string]},
	ByChargeEnd:   {runEnd, "ChargeEndDate", cmp.Compare[string]},
	ByUnitPrice:   {runUnitPrice, "UnitPrice", compareNumbers},
	ByQuantity:    {runQuantity, "Quantity", compareNumbers},
}

func compareText(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) }

func compareNumbers(a, b string) int {
	x, _ := decimal.NewFromString(a) // it is a number: blank is less than any
	y, _ := decimal.NewFromString(b)
	return x.Cmp(y)
}

// key returns what rows are sorted by, the least first.
func (b *Book) key(q Query) (func(row int) int64, error) {
	sign := int64(1)
	if q.Descending {
		sign = -1
	}
	money := func(run int) (func(int) int64, error) {
		amounts := b.money[run]
		return func(row int) int64 { return sign * amounts[row] }, nil
	}
	switch q.Sort {
	case ByRow:
		return func(row int) int64 { return sign * int64(row) }, nil
	case BySubtotal:
		return money(runSubtotal)
	case ByTax:
		return money(runTax)
	case ByTotal:
		return money(runTotal)
	default:
	}
	by, known := sortable[q.Sort]
	if !known {
		return nil, fmt.Errorf("lines cannot be sorted by %q", q.Sort)
	}
	ranks, rows := b.ranked(q.Sort, by.run, by.column, by.compare), &b.words[by.run].rows
	return func(row int) int64 { return sign * int64(ranks[rows.at(row)]) }, nil
}

func (b *Book) ranked(s Sort, run int, column string, compare func(a, b string) int) []int32 {
	b.ranks.mu.Lock()
	defer b.ranks.mu.Unlock()
	if known, ok := b.ranks.of[s]; ok {
		return known
	}
	fields := fieldsOf(run, column, b.words[run].texts)
	order := make([]int32, len(fields))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(x, y int32) int { return compare(fields[x], fields[y]) })
	ranks := make([]int32, len(fields))
	for i := 1; i < len(order); i++ {
		ranks[order[i]] = ranks[order[i-1]]
		if compare(fields[order[i-1]], fields[order[i]]) != 0 {
			ranks[order[i]]++
		}
	}
	if b.ranks.of == nil {
		b.ranks.of = make(map[Sort][]int32)
	}
	b.ranks.of[s] = ranks
	return ranks
}

// picked is a row by what it is sorted by.
type picked struct {
	key int64
	row int
}

func (p picked) less(o picked) bool { return p.key < o.key || p.key == o.key && p.row < o.row }

// picker keeps the least of what it is offered, limit of them, in a heap of which the
// largest is the first.
type picker struct {
	limit  int
	behind bool
	after  picked
	heap   []picked
	more   bool
}

func (p *picker) offer(o picked) {
	switch {
	case p.behind && !p.after.less(o):
	case len(p.heap) < p.limit:
		p.heap = append(p.heap, o)
		p.up(len(p.heap) - 1)
	default:
		p.more = true
		if len(p.heap) > 0 && o.less(p.heap[0]) {
			p.heap[0] = o
			p.down(0)
		}
	}
}

func (p *picker) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !p.heap[parent].less(p.heap[i]) {
			return
		}
		p.heap[parent], p.heap[i] = p.heap[i], p.heap[parent]
		i = parent
	}
}

func (p *picker) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(p.heap) {
			return
		}
		if child+1 < len(p.heap) && p.heap[child].less(p.heap[child+1]) {
			child++
		}
		if !p.heap[i].less(p.heap[child]) {
			return
		}
		p.heap[i], p.heap[child] = p.heap[child], p.heap[i]
		i = child
	}
}

// sorted returns what was kept, the least first, and whether there was more.
func (p *picker) sorted() (best []picked, more bool) {
	slices.SortFunc(p.heap, func(a, b picked) int {
		if a.less(b) {
			return -1
		}
		return 1
	})
	return p.heap, p.more
}
