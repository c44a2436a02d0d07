package offers

import (
	"github.com/calends/calends/pricing"
)

// Query says which offers are wanted. What is zero may be anything.
type Query struct {
	At    pricing.Instant
	Words string // each is in a title, the publisher, the description or an id
	// An offer has a price at the instant that is of all of these.
	Term     pricing.Term
	Plan     pricing.Plan
	Segment  string
	Currency string

	ProductID, SkuID string
	Commerce         Commerce
	Trial, AddOn     *bool
	// Promotion: one is open for such a price.
	Promotion bool
}

// wanted is a query as the catalogue's prices have it.
type wanted struct {
	*Query
	segment, currency name
	// none: the sheet has no such segment or currency.
	none bool
}

func (c *Catalogue) want(q *Query) wanted {
	w := wanted{Query: q}
	ok1, ok2 := true, true
	if q.Segment != "" {
		w.segment, ok1 = c.name(q.Segment)
	}
	if q.Currency != "" {
		w.currency, ok2 = c.name(q.Currency)
	}
	w.none = !ok1 || !ok2
	return w
}

func (w *wanted) price(p *price) bool {
	return p.valid(w.At) &&
		(w.Term == pricing.NoTerm || p.term == w.Term) &&
		(w.Plan == pricing.NoPlan || p.plan == w.Plan) &&
		(w.Segment == "" || p.segment == w.segment) &&
		(w.Currency == "" || p.currency == w.currency)
}

// Find returns the places of offers, for [Catalogue.Offer]: with words the best first
// (an id that is these very words, a title that begins with them, a title that has them
// all, the rest), then by title, product and SKU.
func (c *Catalogue) Find(q Query) []int {
	w := c.want(&q)
	if w.none {
		return nil
	}
	var places []int
	for place := range c.words.find(q.Words) {
		if c.wants(&w, &c.entries[place]) {
			places = append(places, place)
		}
	}
	return places
}

func (c *Catalogue) wants(q *wanted, e *entry) bool {
	switch {
	case q.ProductID != "" && e.ProductID != q.ProductID,
		q.SkuID != "" && e.SkuID != q.SkuID,
		q.Trial != nil && e.trial != *q.Trial,
		q.AddOn != nil && e.addOn != *q.AddOn,
		q.Commerce != "" && e.commerce != q.Commerce:
		return false
	}
	var promotions []pricing.Promotion
	if q.Promotion {
		if promotions = c.Background.ofSKU(e.SKU); len(promotions) == 0 {
			return false
		}
	}
	for i := range e.prices {
		p := &e.prices[i]
		if q.price(p) && (!q.Promotion || len(p.open(promotions, q.At)) > 0) {
			return true
		}
	}
	return false
}

// open are the promotions that a purchase at the instant may take. A trial takes none.
func (p *price) open(promotions []pricing.Promotion, at pricing.Instant) (open []pricing.Promotion) {
	if p.plan == pricing.PlanNone {
		return nil
	}
	for _, o := range promotions {
		if o.Term == p.term && o.Plan == p.plan && o.Start <= at && at <= o.End {
			open = append(open, o)
		}
	}
	return open
}
