package pricing

import "slices"

// Offer is what the offer matrix says of one SKU.
type Offer struct {
	SKU
	MinLicenses int64 // 0: no minimum
	MaxLicenses int64 // 0: no maximum
	// Conversions are the SKUs that it may be upgraded to.
	Conversions []SKU
	// Needs are the SKUs of which a customer must have one to buy this one, which is an
	// add-on then. One without SkuID is any SKU of the product.
	Needs []SKU
	// Facts are for people: nothing is billed or refused by them. nil: there are none,
	// or they were not read.
	Facts *OfferFacts
}

// OfferFacts is what the offer matrix tells people of a SKU, as it stands there.
type OfferFacts struct {
	ProductTitle       string
	SkuTitle           string
	Description        string
	ProvisioningID     string
	ProvisioningString string
	// OwnershipLimit is how many subscriptions of the SKU a customer may have, counted
	// as OwnershipLimitType says, such as ConcurrentCount.
	OwnershipLimit     string
	OwnershipLimitType string
	Countries          string // where it is sold, such as "DE;NL"
}

// Missing returns the SKUs of which a customer would need one to buy the offer; nil
// where it needs none, or has one of them among those that it owns.
func (o Offer) Missing(owned []SKU) []SKU {
	if slices.ContainsFunc(owned, o.MetBy) {
		return nil
	}
	return o.Needs
}

// MetBy reports whether having the SKU is enough of what the offer needs.
func (o Offer) MetBy(owned SKU) bool {
	return slices.ContainsFunc(o.Needs, func(n SKU) bool {
		return n.ProductID == owned.ProductID && (n.SkuID == "" || n.SkuID == owned.SkuID)
	})
}
