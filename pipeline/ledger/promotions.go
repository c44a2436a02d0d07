package ledger

import "github.com/calends/calends/pricing"

// AllPromotions yields every promotion as it is known now, in no particular order.
func (c *Catalog) AllPromotions(yield func(pricing.Promotion) bool) {
	for _, v := range c.promotions {
		promotions, _ := v.at(newest)
		for _, p := range promotions {
			if !yield(p) {
				return
			}
		}
	}
}
