package offers

import (
	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Need is one of an add-on's prerequisites, and what meets it.
type Need struct {
	Named
	Met           bool    `json:"met"`
	Subscriptions []Owned `json:"subscriptions" doc:"The customer's that meet it"`
}

// Owned is a customer's subscription that meets a need.
type Owned struct {
	SubscriptionID string `json:"subscriptionId"`
	SkuID          string `json:"skuId" example:"0001"`
	Quantity       int64  `json:"quantity"`
}

// Needs tells which prerequisites of an offer a customer's subscriptions meet: those
// that run, trials too. One that is met is enough.
func Needs(offer pricing.Offer, title func(pricing.SKU) string, owned []subscription.View) []Need {
	needs := []Need{}
	for _, sku := range offer.Needs {
		n := Need{Named: Named{sku.ProductID, sku.SkuID, title(sku)}, Subscriptions: []Owned{}}
		only := pricing.Offer{Needs: []pricing.SKU{sku}}
		for _, v := range owned {
			if jobs.Serves(v) && only.MetBy(v.Term.SKU) {
				n.Subscriptions = append(n.Subscriptions, Owned{v.Term.SubscriptionID, v.Term.SKU.SkuID, v.Quantity})
			}
		}
		n.Met = len(n.Subscriptions) > 0
		needs = append(needs, n)
	}
	return needs
}
