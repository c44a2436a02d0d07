package offers

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// Catalogue is what one price sheet offers. It never changes once made, and is safe for
// concurrent use.
type Catalogue struct {
	// Sheet is the one that it is made of.
	Sheet Sheet
	// Background is what is the same in every market.
	Background *Background

	entries  []entry // by title, product and SKU
	at       map[pricing.SKU]int
	products map[string]string // their titles
	// addOns are the entries of add-ons that a SKU is enough for, in order.
	addOns map[pricing.SKU][]int
	// names are all segments and currencies, in order.
	names []string
	// borders are the instants at which something begins or has just ended, in order.
	borders []pricing.Instant
	words   index
}

// Sheet names a price sheet.
type Sheet struct {
	Market string
	Month  pricing.Month
	File   string
	SHA256 string
	// Tag changes whenever anything about the sheet does.
	Tag string
}

// entry is one SKU of the sheet.
type entry struct {
	// What every search looks at stands together.
	prices                 []price // by key, start and line
	commerce               Commerce
	trial, addOn, software bool

	pricing.SKU
	productTitle, skuTitle, publisher, description, unit string

	tags   []string
	matrix *pricing.Offer
}

// price is a row of a sheet that is a licence price.
type price struct {
	key
	unit       decimal.Decimal
	erp        string
	start, end pricing.Instant
	line       int
}

// key is what a SKU's prices are told apart by.
type key struct {
	term              pricing.Term
	plan              pricing.Plan
	segment, currency name
}

// name is the place of a segment or currency among all of them.
type name uint16

func (k key) compare(l key) int {
	return cmp.Or(cmp.Compare(k.term, l.term), cmp.Compare(k.plan, l.plan), cmp.Compare(k.segment, l.segment), cmp.Compare(k.currency, l.currency))
}

// name returns the place of a segment or currency, false if the sheet has none such.
func (c *Catalogue) name(text string) (name, bool) {
	i, ok := slices.BinarySearch(c.names, text)
	return name(i), ok
}

func (p *price) valid(at pricing.Instant) bool { return p.start <= at && at <= p.end }

// New makes a catalogue of a sheet's rows, read with their listings.
func New(sheet Sheet, rows []pricing.Row, background *Background) *Catalogue {
	c := &Catalogue{Sheet: sheet, Background: background, at: make(map[pricing.SKU]int), addOns: make(map[pricing.SKU][]int)}
	sorted := make([]*pricing.Row, 0, len(rows))
	named := make(map[string]bool)
	for i := range rows {
		if r := &rows[i]; !r.Tiered { // which are no licence prices
			sorted = append(sorted, r)
			named[r.Segment], named[r.Currency] = true, true
		}
	}
	c.names = slices.Sorted(maps.Keys(named))
	slices.SortStableFunc(sorted, func(a, b *pricing.Row) int { return compareSKU(a.SKU, b.SKU) })
	seen := make(map[pricing.Instant]bool)
	for len(sorted) > 0 {
		n := 1
		for n < len(sorted) && sorted[n].SKU == sorted[0].SKU {
			n++
		}
		c.entries = append(c.entries, c.newEntry(sorted[:n]))
		for _, r := range sorted[:n] {
			seen[r.Start], seen[r.End+1] = true, true
		}
		sorted = sorted[n:]
	}
	for _, p := range background.promotions {
		seen[p.Start], seen[p.End+1] = true, true
	}
	for at := range seen {
		c.borders = append(c.borders, at)
	}
	slices.Sort(c.borders)
	c.order()
	return c
}

// order puts the entries in the order of their titles and makes what finds them.
func (c *Catalogue) order() {
	folded := make(map[pricing.SKU]string, len(c.entries))
	for i := range c.entries {
		folded[c.entries[i].SKU] = fold(c.entries[i].title())
	}
	slices.SortFunc(c.entries, func(a, b entry) int {
		return cmp.Or(strings.Compare(folded[a.SKU], folded[b.SKU]), compareSKU(a.SKU, b.SKU))
	})
	// Prices lie one after the other, for those who look at all of them.
	count := 0
	for i := range c.entries {
		count += len(c.entries[i].prices)
	}
	prices := make([]price, 0, count)
	texts := make([]texts, len(c.entries))
	skus := make(map[string][]int) // of a product
	c.products = make(map[string]string)
	for i := range c.entries {
		e := &c.entries[i]
		c.at[e.SKU] = i
		from := len(prices)
		prices = append(prices, e.prices...)
		e.prices = prices[from:len(prices):len(prices)]
		skus[e.ProductID] = append(skus[e.ProductID], i)
		c.products[e.ProductID] = cmp.Or(c.products[e.ProductID], e.productTitle)
		texts[i] = e.texts()
	}
	c.words = newIndex(texts)
	for i := range c.entries {
		e := &c.entries[i]
		if e.matrix == nil {
			continue
		}
		for _, need := range e.matrix.Needs {
			for _, base := range skus[need.ProductID] {
				if sku := c.entries[base].SKU; e.matrix.MetBy(sku) && !slices.Contains(c.addOns[sku], i) {
					c.addOns[sku] = append(c.addOns[sku], i)
				}
			}
		}
	}
}

// newEntry makes the entry of one SKU's rows.
func (c *Catalogue) newEntry(rows []*pricing.Row) entry {
	e := entry{SKU: rows[0].SKU, commerce: CommerceOf(rows[0].ProductID), matrix: c.Background.Row(rows[0].SKU), prices: make([]price, 0, len(rows))}
	newest := rows[0]
	for _, r := range rows {
		if r.Start > newest.Start {
			newest = r
		}
		p := price{key: key{term: r.Term, plan: r.Plan}, unit: r.UnitPrice, start: r.Start, end: r.End, line: r.Line}
		p.segment, _ = c.name(r.Segment)
		p.currency, _ = c.name(r.Currency)
		e.trial = e.trial || r.Plan == pricing.PlanNone
		if r.Listing != nil {
			p.erp = r.Listing.ERPPrice
			e.tag(r.Listing.Tags)
		}
		e.prices = append(e.prices, p)
	}
	slices.SortStableFunc(e.prices, func(a, b price) int {
		return cmp.Or(a.key.compare(b.key), cmp.Compare(a.start, b.start))
	})
	e.productTitle, e.skuTitle, e.publisher = newest.ProductTitle, newest.SkuTitle, newest.Publisher
	if newest.Listing != nil {
		e.description, e.unit = newest.Listing.Description, newest.Listing.UnitOfMeasure
	}
	if e.matrix != nil {
		e.addOn = len(e.matrix.Needs) > 0
		if f := e.matrix.Facts; f != nil {
			e.description = cmp.Or(e.description, f.Description)
			e.productTitle, e.skuTitle = cmp.Or(e.productTitle, f.ProductTitle), cmp.Or(e.skuTitle, f.SkuTitle)
		}
	}
	return e
}

// tag notes the tags of a row, such as "License; Trial".
func (e *entry) tag(tags string) {
	for t := range strings.FieldsFuncSeq(tags, func(r rune) bool { return r == ';' || r == ',' }) {
		t = strings.TrimSpace(t)
		if t == "" || slices.Contains(e.tags, t) {
			continue
		}
		e.tags = append(e.tags, t)
		switch strings.ToLower(t) {
		case "trial":
			e.trial = true
		case "software", "perpetual":
			e.software = true
		}
	}
}

func (e *entry) title() string { return cmp.Or(e.skuTitle, e.productTitle, e.ProductID) }

func (e *entry) texts() texts {
	return texts{title: e.title(), rest: []string{e.productTitle, e.ProductID, e.SkuID, e.publisher, e.description}}
}

// Commerce says how an offer is sold.
type Commerce string

// The ways.
const (
	NewCommerce Commerce = "new"
	Traditional Commerce = "traditional"
)

var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// CommerceOf tells by the form of a product's id: a GUID is that of a traditional offer.
func CommerceOf(productID string) Commerce {
	if len(productID) == 36 && guid.MatchString(productID) {
		return Traditional
	}
	return NewCommerce
}

// Tag changes whenever anything that the catalogue says does.
func (c *Catalogue) Tag() string { return c.Sheet.Tag + " " + c.Background.tag }

// Len is how many SKUs the sheet has.
func (c *Catalogue) Len() int { return len(c.entries) }

// Has reports whether the sheet has the SKU, whatever the instant.
func (c *Catalogue) Has(sku pricing.SKU) bool {
	_, ok := c.at[sku]
	return ok
}

// Title is what the sheet calls a SKU, or a product where no SKU is named; else what the
// offer matrix does.
func (c *Catalogue) Title(sku pricing.SKU) string {
	if i, ok := c.at[sku]; ok {
		return c.entries[i].title()
	}
	if sku.SkuID == "" && c.products[sku.ProductID] != "" {
		return c.products[sku.ProductID]
	}
	return c.Background.Title(sku)
}

// Since is the latest instant up to at at which anything began or had ended: from then
// to at every answer is the same.
func (c *Catalogue) Since(at pricing.Instant) pricing.Instant {
	i, found := slices.BinarySearch(c.borders, at)
	if found {
		return at
	}
	if i == 0 {
		return never
	}
	return c.borders[i-1]
}
