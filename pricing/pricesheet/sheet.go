package pricesheet

import (
	"io"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// Sheet is what a licence price sheet file holds.
type Sheet struct {
	// Rows in file order, duplicates included. Line is the line in the file.
	Rows    []pricing.Row
	Markets []string // sorted, each once
	Counts  Counts
	// Unknown are the columns that have no meaning here, sorted.
	Unknown []string
	// Software is set when the file has OneTime rows: it is the software
	// sheet, which must never supersede a licence sheet.
	Software bool
}

// Counts accounts for every record of a sheet: Records = Rows + OneTime + NoPlan.
type Counts struct {
	Records int
	Rows    int // those in Sheet.Rows
	OneTime int // perpetual software: no licence price, skipped
	NoPlan  int // rows of the software sheet with a blank BillingPlan, skipped
	Tiered  int // of Rows: with a PricingTierRange
	Trial   int // of Rows: BillingPlan None
}

// What stands for no bound: the placeholder years of Microsoft's own files.
var (
	firstInstant = pricing.DateOf(1753, 1, 1).Instant()
	lastInstant  = pricing.DateOf(10000, 1, 1).Instant() - 1
)

// Rules of a price sheet's cells.
const (
	ruleTerm      = "want P1M, P1Y, P3Y or OneTime"
	rulePlan      = "want Monthly, Annual, Triennial or None"
	ruleMarket    = "want a two-letter country code"
	ruleCurrency  = "want an ISO 4217 currency code"
	ruleRequired  = "must not be blank"
	ruleNegative  = "must not be negative"
	softwareTitle = "OneTime"
)

// Read reads a licence price sheet in any of the shapes that Partner Center has
// served since 2021. The currency, term, plan and price of each row are checked;
// a row that can never be looked up (an unknown segment, an end before its
// start) is kept as it stands.
//
// A file that ends in the middle of its last row is refused: most cuts leave a
// row with too few fields, and one inside the last field, Segment, shows by a
// segment that is unknown, or blank where other rows have one.
func Read(src io.Reader) (*Sheet, error) {
	tail := &tailReader{src: src}
	t, err := table.New("price sheet", tail)
	if err != nil {
		return nil, err
	}
	p := &sheetParser{
		t:       t,
		product: t.Required("ProductId"), sku: t.Required("SkuId"),
		term: t.Required("TermDuration"), plan: t.Required("BillingPlan"),
		market: t.Required("Market"), currency: t.Required("Currency"), price: t.Required("UnitPrice"),
		start: t.Required("EffectiveStartDate"), end: t.Required("EffectiveEndDate"),
		segment: t.Optional("Segment"),
		tierMin: t.Optional("PricingTierRangeMin"), tierMax: t.Optional("PricingTierRangeMax"),
		title: t.Optional("ProductTitle"), skuTitle: t.Optional("SkuTitle"), publisher: t.Optional("Publisher"),
		description: t.Optional("SkuDescription"), unit: t.Optional("UnitOfMeasure"), tags: t.Optional("Tags"), erp: t.Optional("ERP Price"),
		codes: make(map[string]string), currencies: make(map[string]string), segments: make(map[string]string),
		prices: make(map[string]decimal.Decimal), starts: make(map[string]pricing.Instant), ends: make(map[string]pricing.Instant),
		markets:   make(map[string]bool),
		blankPlan: table.Errors{What: "price sheet"},
	}
	if err := t.Each(p.row); err != nil {
		return nil, err
	}
	if tail.last != '\n' && p.segment == len(t.Names())-1 && p.cutSegment() {
		cut := table.Errors{What: "price sheet"}
		cut.Add(p.lastSegment)
		return nil, cut.Err()
	}
	if p.counts.OneTime == 0 {
		if err := p.blankPlan.Err(); err != nil {
			return nil, err
		}
	}
	p.counts.NoPlan = p.blankPlan.Count
	rows := slices.Concat(append(p.full, p.rows)...)
	p.counts.Rows = len(rows)
	return &Sheet{
		Rows: rows, Markets: slices.Sorted(maps.Keys(p.markets)), Counts: p.counts,
		Unknown: t.Unknown(), Software: p.counts.OneTime > 0,
	}, nil
}

// tailReader remembers the last byte that was read.
type tailReader struct {
	src  io.Reader
	last byte
}

func (r *tailReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	if n > 0 {
		r.last = p[n-1]
	}
	return n, err
}

// cutSegment reports whether the last row's segment looks cut off.
func (p *sheetParser) cutSegment() bool {
	return p.lastSegment != nil && (p.lastSegment.Value != "" || p.segmented)
}

const blockRows = 4096

type sheetParser struct {
	t *table.Table

	product, sku, term, plan, market, currency, price, start, end int
	segment, tierMin, tierMax, title, skuTitle, publisher         int
	description, unit, tags, erp                                  int

	full    [][]pricing.Row // blocks of blockRows, so that a long sheet is copied once
	rows    []pricing.Row
	counts  Counts
	markets map[string]bool

	// What repeats is parsed and kept once, by its text.
	text                        table.Interner
	codes, currencies, segments map[string]string
	prices                      map[string]decimal.Decimal
	starts, ends                map[string]pricing.Instant

	// lastSegment is the last row's, if it is blank or unknown; segmented is
	// set once a row has one.
	lastSegment *table.Error
	segmented   bool

	told *pricing.Listing // by the row before

	// blankPlan are the rows without a plan: errors, unless this turns out to
	// be the software sheet.
	blankPlan table.Errors
}

// row takes the current row in, or says what is wrong with it.
func (p *sheetParser) row() *table.Error {
	t := p.t
	p.counts.Records++
	term, termOK := pricing.ParseTerm(string(t.Cell(p.term)))
	if !termOK {
		if table.EqualFold(t.Cell(p.term), softwareTitle) {
			p.counts.OneTime++
			return nil
		}
		return t.Refuse(p.term, ruleTerm)
	}
	planText := t.Cell(p.plan)
	plan, planOK := pricing.ParsePlan(string(planText))
	if !planOK {
		if len(planText) > 0 {
			return t.Refuse(p.plan, rulePlan)
		}
		p.blankPlan.Add(t.Refuse(p.plan, rulePlan))
		return nil
	}
	r := pricing.Row{Term: term, Plan: plan, Line: int(t.Line())}
	for _, id := range [...]int{p.product, p.sku} {
		if len(t.Cell(id)) == 0 {
			return t.Refuse(id, ruleRequired)
		}
	}
	r.ProductID = p.text.String(t.Cell(p.product))
	r.SkuID = p.skuID(t.Cell(p.sku))
	var ok bool
	if r.Market, ok = once(p.codes, t.Cell(p.market), table.Country); !ok {
		return t.Refuse(p.market, ruleMarket)
	}
	if r.Currency, ok = once(p.currencies, t.Cell(p.currency), table.Currency); !ok {
		return t.Refuse(p.currency, ruleCurrency)
	}
	r.Segment, _ = once(p.segments, t.Cell(p.segment), segment) // any will do
	p.noteSegment(r.Segment)
	if r.UnitPrice, ok = once(p.prices, t.Cell(p.price), table.Decimal); !ok || r.UnitPrice.IsNegative() {
		switch {
		case ok:
			return t.Refuse(p.price, ruleNegative)
		case len(t.Cell(p.price)) == 0:
			return t.Refuse(p.price, ruleRequired)
		}
		return t.Refuse(p.price, table.RuleDecimal)
	}
	if r.Start, ok = once(p.starts, t.Cell(p.start), start); !ok {
		return t.Refuse(p.start, table.RuleDate)
	}
	if r.End, ok = once(p.ends, t.Cell(p.end), end); !ok {
		return t.Refuse(p.end, table.RuleDate)
	}
	r.Tiered = len(t.Cell(p.tierMin)) > 0 || len(t.Cell(p.tierMax)) > 0
	r.ProductTitle = p.text.String(t.Raw(p.title))
	r.SkuTitle = p.text.String(t.Raw(p.skuTitle))
	r.Publisher = p.text.String(t.Raw(p.publisher))
	r.Listing = p.listing()

	if r.Tiered {
		p.counts.Tiered++
	}
	if plan == pricing.PlanNone {
		p.counts.Trial++
	}
	p.markets[r.Market] = true
	if len(p.rows) == cap(p.rows) && len(p.rows) > 0 {
		p.full, p.rows = append(p.full, p.rows), make([]pricing.Row, 0, blockRows)
	}
	p.rows = append(p.rows, r)
	return nil
}

// listing returns what the row tells besides: rows that follow each other often tell
// the same.
func (p *sheetParser) listing() *pricing.Listing {
	l := pricing.Listing{
		Description:   p.text.String(p.t.Raw(p.description)),
		UnitOfMeasure: p.text.String(p.t.Cell(p.unit)),
		Tags:          p.text.String(p.t.Cell(p.tags)),
		ERPPrice:      p.text.String(p.t.Cell(p.erp)),
	}
	switch {
	case l == pricing.Listing{}:
		return nil
	case p.told == nil || *p.told != l:
		p.told = &l
	}
	return p.told
}

// knownSegments are those that sheets have had.
var knownSegments = []string{"Commercial", "Education", "Charity", "Government"}

func (p *sheetParser) noteSegment(segment string) {
	p.lastSegment = nil
	blank := len(p.t.Cell(p.segment)) == 0
	p.segmented = p.segmented || !blank
	if blank || !slices.Contains(knownSegments, segment) {
		p.lastSegment = p.t.Refuse(p.segment, "the file ends here, in the middle of a row: get it again")
	}
}

func (p *sheetParser) skuID(cell []byte) string {
	if len(cell) >= 4 {
		return p.text.String(cell)
	}
	return p.text.String([]byte(pricing.NormalSKU(string(cell))))
}

// once reads a cell, or remembers what an equal one was.
func once[T any](seen map[string]T, cell []byte, read func([]byte) (T, bool)) (T, bool) {
	if v, ok := seen[string(cell)]; ok {
		return v, true
	}
	v, ok := read(cell)
	if ok {
		seen[string(cell)] = v
	}
	return v, ok
}

func segment(cell []byte) (string, bool) { return table.Segment(cell), true }

// start and end read the bounds of a row's validity; a blank one is unbounded.
func start(cell []byte) (pricing.Instant, bool) {
	if len(cell) == 0 {
		return firstInstant, true
	}
	stamp, ok := table.Time(cell)
	return stamp.At, ok
}

func end(cell []byte) (pricing.Instant, bool) {
	if len(cell) == 0 {
		return lastInstant, true
	}
	stamp, ok := table.Time(cell)
	return stamp.End(), ok
}
