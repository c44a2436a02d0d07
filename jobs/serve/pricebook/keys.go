package pricebook

import (
	"math/bits"

	"github.com/calends/calends/pricing"
)

// keys finds the first row of a key: a table of their numbers, from 1, at places that
// the key's hash says, or behind. A search by halves would look at fifteen rows and
// their texts, each somewhere else in memory.
type keys []uint32

// keysOf makes the table of a sheet, at least half of it empty.
func keysOf(s *Sheet) keys {
	distinct := 0
	for i := range s.rows {
		if i == 0 || !s.sameKey(i-1, i) {
			distinct++
		}
	}
	k := make(keys, 1<<bits.Len(uint(2*distinct)))
	for i := range s.rows {
		if i > 0 && s.sameKey(i-1, i) {
			continue
		}
		r := &s.rows[i]
		at := k.place(s.texts[r.product], s.texts[r.sku], r.term, r.plan, s.texts[r.segment])
		for k[at] != 0 {
			at = (at + 1) & (len(k) - 1)
		}
		k[at] = uint32(i) + 1
	}
	return k
}

// find returns the first row of the query's key, or where the rows end.
func (k keys) find(s *Sheet, q pricing.PriceQuery) int {
	for at := k.place(q.ProductID, q.SkuID, q.Term, q.Plan, q.Segment); k[at] != 0; at = (at + 1) & (len(k) - 1) {
		r := &s.rows[k[at]-1]
		if r.term == q.Term && r.plan == q.Plan && s.texts[r.product] == q.ProductID && s.texts[r.sku] == q.SkuID && s.texts[r.segment] == q.Segment {
			return int(k[at] - 1)
		}
	}
	return len(s.rows)
}

// place is where a key would stand (FNV-1a).
func (k keys) place(product, sku string, term pricing.Term, plan pricing.Plan, segment string) int {
	h := uint64(14695981039346656037)
	for _, text := range [...]string{product, sku, segment} {
		for i := range len(text) {
			h = (h ^ uint64(text[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211 // no byte of a text
	}
	h = (h ^ uint64(term)<<8 ^ uint64(plan)) * 1099511628211
	return int((h ^ h>>32) & uint64(len(k)-1))
}
