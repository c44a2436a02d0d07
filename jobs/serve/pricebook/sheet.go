package pricebook

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/ledger/pages"
	"github.com/calends/calends/pricing"
)

// Sheet is the price sheet of one market and month. It is immutable. Its rows are
// numbered in the order of [pricing.Sheet.Rows].
type Sheet struct {
	Market string
	Month  pricing.Month
	File   string // the imported file's name
	SHA256 string // of its content

	source ledger.SheetSource
	facts  *pricing.Sheet // without rows
	tag    string
	rows   []row
	keys   keys
	texts  []string
	// instants are where rows begin and end: few, and many rows share them.
	instants []pricing.Instant
	// large are the prices that a row has no room for.
	large []decimal.Decimal
}

// row is a [pricing.Row] without a pointer, in 56 bytes. Texts are places in those of the
// sheet.
type row struct {
	price      int64  // coefficient, or where exp is inLarge the place there
	start, end uint32 // places in the sheet's instants

	product, sku, segment, currency   uint32
	productTitle, skuTitle, publisher uint32

	line int32
	read int32 // place in the order of the file
	exp  int8

	term   pricing.Term
	plan   pricing.Plan
	tiered bool
}

const inLarge = math.MaxInt8

// Tag changes whenever anything about the sheet does.
func (s *Sheet) Tag() string { return s.tag }

func tagOf(source ledger.SheetSource) string {
	what := fmt.Appendf(nil, "%q %s %q %s", source.Market, source.Month, source.File, source.SHA256)
	for _, o := range source.Objects {
		what = fmt.Appendf(what, " %s", o.SHA256)
	}
	sum := sha256.Sum256(what)
	return hex.EncodeToString(sum[:16])
}

// Len is how many rows there are.
func (s *Sheet) Len() int { return len(s.rows) }

// Row returns a row.
func (s *Sheet) Row(i int) pricing.Row {
	r := &s.rows[i]
	return pricing.Row{
		SKU:  pricing.SKU{ProductID: s.texts[r.product], SkuID: s.texts[r.sku]},
		Term: r.term, Plan: r.plan, Market: s.Market, Segment: s.texts[r.segment], Currency: s.texts[r.currency],
		UnitPrice: s.price(r), Start: s.instants[r.start], End: s.instants[r.end], Tiered: r.tiered,
		ProductTitle: s.texts[r.productTitle], SkuTitle: s.texts[r.skuTitle], Publisher: s.texts[r.publisher], Line: int(r.line),
	}
}

func (s *Sheet) price(r *row) decimal.Decimal {
	if r.exp == inLarge {
		return s.large[r.price]
	}
	return decimal.New(r.price, int32(r.exp))
}

// Whole returns the sheet as pricing has it.
func (s *Sheet) Whole() *pricing.Sheet {
	return pricing.NewSheet(s.Market, s.Month, s.File, s.SHA256, s.appendRows(nil, 0, len(s.rows)))
}

// ofKey appends the rows of the query's key.
func (s *Sheet) ofKey(rows []pricing.Row, q pricing.PriceQuery) []pricing.Row {
	from := s.keys.find(s, q)
	to := from
	for to < len(s.rows) && s.sameKey(from, to) {
		to++
	}
	return s.appendRows(rows, from, to)
}

// appendRows appends some rows in the order of the file: where rows say the same, the
// first goes before the others.
func (s *Sheet) appendRows(rows []pricing.Row, from, to int) []pricing.Row {
	if to-from == 1 {
		return append(rows, s.Row(from))
	}
	order := make([]int32, to-from)
	for i := range order {
		order[i] = int32(from + i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(s.rows[a].read, s.rows[b].read) })
	for _, i := range order {
		rows = append(rows, s.Row(int(i)))
	}
	return rows
}

// sameKey reports whether two rows are answers to the same lookup, but for currency and
// instant. A text stands in the sheet once.
func (s *Sheet) sameKey(i, k int) bool {
	a, b := &s.rows[i], &s.rows[k]
	return a.product == b.product && a.sku == b.sku && a.term == b.term && a.plan == b.plan && a.segment == b.segment
}

// compare is the order of [pricing.Sheet.Rows]. Most rows differ in the first of these,
// and nothing behind that is looked at.
func (s *Sheet) compare(a, b row) int {
	if c := s.compareTexts(a.product, b.product); c != 0 {
		return c
	}
	if c := s.compareTexts(a.sku, b.sku); c != 0 {
		return c
	}
	if c := cmp.Or(cmp.Compare(a.term, b.term), cmp.Compare(a.plan, b.plan)); c != 0 {
		return c
	}
	if c := s.compareTexts(a.segment, b.segment); c != 0 {
		return c
	}
	if c := s.compareTexts(a.currency, b.currency); c != 0 {
		return c
	}
	if c := cmp.Or(cmp.Compare(s.instants[a.start], s.instants[b.start]), cmp.Compare(a.line, b.line)); c != 0 {
		return c
	}
	return cmp.Or(s.comparePrices(&a, &b), cmp.Compare(a.read, b.read))
}

func (s *Sheet) compareTexts(a, b uint32) int {
	if a == b {
		return 0
	}
	return strings.Compare(s.texts[a], s.texts[b])
}

func (s *Sheet) comparePrices(a, b *row) int {
	if a.price == b.price && a.exp == b.exp {
		return 0
	}
	return s.price(a).Cmp(s.price(b))
}

// readSheet reads the objects of a sheet.
func readSheet(ctx context.Context, l ledger.Ledger, source ledger.SheetSource) (*Sheet, error) {
	records := int64(0)
	for _, o := range source.Objects {
		records += o.Records
	}
	if records > math.MaxInt32 {
		return nil, fmt.Errorf("it has %d rows", records)
	}
	s := &Sheet{Market: source.Market, Month: source.Month, File: source.File, SHA256: source.SHA256, source: source, tag: tagOf(source), rows: make([]row, 0, records)}
	w := sheetWriter{sheet: s, places: make(map[string]uint32), moments: make(map[int64]uint32)}
	for _, o := range source.Objects {
		w.group = 0 // places are of the object's own
		if err := l.EachPriceColumns(ctx, o, w.add); err != nil {
			return nil, err
		}
	}
	s.texts, s.instants = slices.Clip(s.texts), slices.Clip(s.instants)
	if !slices.IsSortedFunc(s.rows, s.compare) {
		slices.SortFunc(s.rows, s.compare)
	}
	s.keys = keysOf(s)
	s.facts = pricing.NewSheet(s.Market, s.Month, s.File, s.SHA256, nil)
	return s, nil
}

// sheetWriter fills a sheet.
type sheetWriter struct {
	sheet   *Sheet
	places  map[string]uint32 // of texts
	moments map[int64]uint32  // places of instants

	group                             int
	product, sku, segment, currency   column
	productTitle, skuTitle, publisher column
	amounts                           []amount // by the places of the row group
}

// column says where the texts of a row group stand in the sheet.
type column struct {
	places []uint32 // by the place in the row group, 0: not looked for yet
}

// amount is a price as a row has it.
type amount struct {
	price int64
	exp   int8
	known bool
}

func (w *sheetWriter) add(c *ledger.PriceColumns) error {
	if c.Group != w.group {
		w.group = c.Group
		for _, column := range [...]*column{&w.product, &w.sku, &w.segment, &w.currency, &w.productTitle, &w.skuTitle, &w.publisher} {
			column.places = column.places[:0]
		}
		w.amounts = w.amounts[:0]
	}
	for i := range c.Rows {
		line := c.Line.Values[i]
		if line != int64(int32(line)) {
			return fmt.Errorf("line %d is out of range", line)
		}
		price, err := w.priceOf(&c.UnitPrice, i)
		if err != nil {
			return fmt.Errorf("line %d: price: %w", line, err)
		}
		w.sheet.rows = append(w.sheet.rows, row{
			price: price.price, exp: price.exp, start: w.instant(c.Start.Values[i]), end: w.instant(c.End.Values[i]),
			product: w.text(&w.product, &c.ProductID, i), sku: w.text(&w.sku, &c.SkuID, i),
			segment: w.text(&w.segment, &c.Segment, i), currency: w.text(&w.currency, &c.Currency, i),
			productTitle: w.text(&w.productTitle, &c.ProductTitle, i), skuTitle: w.text(&w.skuTitle, &c.SkuTitle, i),
			publisher: w.text(&w.publisher, &c.Publisher, i),
			line:      int32(line), read: int32(len(w.sheet.rows)),
			term: pricing.Term(c.Term.Values[i]), plan: pricing.Plan(c.Plan.Values[i]), tiered: c.Tiered.Values[i],
		})
	}
	return nil
}

// instant returns where an instant stands in the sheet.
func (w *sheetWriter) instant(ticks int64) uint32 {
	place, ok := w.moments[ticks]
	if !ok {
		place = uint32(len(w.sheet.instants))
		w.sheet.instants = append(w.sheet.instants, pricing.Instant(ticks))
		w.moments[ticks] = place
	}
	return place
}

// text returns where a row's text stands in the sheet.
func (w *sheetWriter) text(known *column, from *pages.Names, i int) uint32 {
	at := from.Index[i]
	for int(at) >= len(known.places) {
		known.places = append(known.places, 0)
	}
	if place := known.places[at]; place > 0 {
		return place - 1
	}
	text := from.Values[at]
	place, ok := w.places[text]
	if !ok {
		place = uint32(len(w.sheet.texts))
		w.sheet.texts = append(w.sheet.texts, text)
		w.places[text] = place
	}
	known.places[at] = place + 1
	return place
}

func (w *sheetWriter) priceOf(from *pages.Names, i int) (amount, error) {
	at := from.Index[i]
	for int(at) >= len(w.amounts) {
		w.amounts = append(w.amounts, amount{})
	}
	if !w.amounts[at].known {
		price, err := decimal.NewFromString(from.Values[at])
		if err != nil {
			return amount{}, err
		}
		a := amount{known: true, exp: inLarge, price: int64(len(w.sheet.large))}
		if exp := price.Exponent(); exp > math.MinInt8 && exp < inLarge && price.Coefficient().IsInt64() {
			a.price, a.exp = price.CoefficientInt64(), int8(exp)
		} else {
			w.sheet.large = append(w.sheet.large, price)
		}
		w.amounts[at] = a
	}
	return w.amounts[at], nil
}
