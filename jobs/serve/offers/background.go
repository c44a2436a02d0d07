package offers

import (
	"cmp"
	"slices"
	"strings"

	"github.com/calends/calends/pricing"
)

// Background is what is the same in every market: the offer matrix and the promotions.
// It never changes once made.
type Background struct {
	tag        string
	matrix     map[pricing.SKU]*pricing.Offer
	products   map[string]string   // what the matrix calls them
	promotions []pricing.Promotion // by product, SKU, term, plan, start, end and id
}

// NewBackground makes one. The tag changes whenever anything that it is made of does.
func NewBackground(tag string, matrix []pricing.Offer, promotions []pricing.Promotion) *Background {
	b := &Background{tag: tag, matrix: make(map[pricing.SKU]*pricing.Offer, len(matrix)), products: make(map[string]string), promotions: slices.Clone(promotions)}
	for i := range matrix {
		o := &matrix[i]
		b.matrix[o.SKU] = o
		// Where its SKUs give a product several titles, the first of them by the alphabet.
		if f, known := o.Facts, b.products[o.ProductID]; f != nil && f.ProductTitle != "" && (known == "" || f.ProductTitle < known) {
			b.products[o.ProductID] = f.ProductTitle
		}
	}
	slices.SortFunc(b.promotions, func(a, b pricing.Promotion) int {
		return cmp.Or(compareSKU(a.SKU, b.SKU), cmp.Compare(a.Term, b.Term), cmp.Compare(a.Plan, b.Plan),
			cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End), strings.Compare(a.ID, b.ID), a.Discount.Cmp(b.Discount))
	})
	return b
}

func compareSKU(a, b pricing.SKU) int {
	return cmp.Or(strings.Compare(a.ProductID, b.ProductID), strings.Compare(a.SkuID, b.SkuID))
}

// Tag changes whenever anything about the background does.
func (b *Background) Tag() string { return b.tag }

// Row returns what the offer matrix says of a SKU, nil if nothing.
func (b *Background) Row(sku pricing.SKU) *pricing.Offer { return b.matrix[sku] }

// ofSKU are the promotions of a SKU.
func (b *Background) ofSKU(sku pricing.SKU) []pricing.Promotion {
	from, _ := slices.BinarySearchFunc(b.promotions, sku, func(p pricing.Promotion, sku pricing.SKU) int { return compareSKU(p.SKU, sku) })
	to := from
	for to < len(b.promotions) && b.promotions[to].SKU == sku {
		to++
	}
	return b.promotions[from:to]
}

// Title is what the offer matrix calls a SKU, or a product where no SKU is named; "" if
// it does not know it.
func (b *Background) Title(sku pricing.SKU) string {
	if sku.SkuID == "" {
		return b.products[sku.ProductID]
	}
	if o := b.matrix[sku]; o != nil && o.Facts != nil {
		return cmp.Or(o.Facts.SkuTitle, o.Facts.ProductTitle)
	}
	return ""
}

// Promotions are those that are open at an instant, by product, SKU, term, plan, start,
// end and id.
func (b *Background) Promotions(at pricing.Instant) (open []pricing.Promotion) {
	for _, p := range b.promotions {
		if p.Start <= at && at <= p.End {
			open = append(open, p)
		}
	}
	return open
}

// Since is the latest instant up to at at which a promotion began or had ended; the
// first of all instants if there was none.
func (b *Background) Since(at pricing.Instant) pricing.Instant {
	since := never
	for _, p := range b.promotions {
		since = later(since, at, p.Start, p.End)
	}
	return since
}

const never = pricing.Instant(-1 << 63)

// later moves since on to the first instant of a validity, or the first after it,
// unless that is after at.
func later(since, at, start, end pricing.Instant) pricing.Instant {
	if start <= at {
		since = max(since, start)
	}
	if end < at {
		since = max(since, end+1)
	}
	return since
}
