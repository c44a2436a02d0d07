package ledger

import (
	"context"
	"fmt"
	"slices"

	"github.com/calends/calends/pricing"
)

// offerRow is the row of an offer matrix that has limits and conversions only: so it
// was before prerequisites were kept, and the same offers still give the same bytes.
type offerRow struct {
	ProductID   string   `parquet:"productId"`
	SkuID       string   `parquet:"skuId"`
	MinLicenses int64    `parquet:"minLicenses"`
	MaxLicenses int64    `parquet:"maxLicenses"`
	Conversions []string `parquet:"conversions,list"` // product, SKU, product, SKU …
}

// ruledRow is what billing and buying read of either row.
type ruledRow struct {
	ProductID   string   `parquet:"productId"`
	SkuID       string   `parquet:"skuId"`
	MinLicenses int64    `parquet:"minLicenses"`
	MaxLicenses int64    `parquet:"maxLicenses"`
	Conversions []string `parquet:"conversions,list"`
	Needs       []string `parquet:"needs,list"` // product, SKU, product, SKU …
}

// toldRow is the row of an offer matrix that has more than an offerRow.
type toldRow struct {
	ProductID   string   `parquet:"productId"`
	SkuID       string   `parquet:"skuId"`
	MinLicenses int64    `parquet:"minLicenses"`
	MaxLicenses int64    `parquet:"maxLicenses"`
	Conversions []string `parquet:"conversions,list"`
	Needs       []string `parquet:"needs,list"`

	ProductTitle       string `parquet:"productTitle"`
	SkuTitle           string `parquet:"skuTitle"`
	Description        string `parquet:"description"`
	ProvisioningID     string `parquet:"provisioningId"`
	ProvisioningString string `parquet:"provisioningString"`
	OwnershipLimit     string `parquet:"ownershipLimit,dict"`
	OwnershipLimitType string `parquet:"ownershipLimitType,dict"`
	Countries          string `parquet:"countries,dict"`
}

// PutOffers keeps an offer matrix as a data object.
func (l Ledger) PutOffers(ctx context.Context, offers []pricing.Offer) (Object, error) {
	if slices.ContainsFunc(offers, func(o pricing.Offer) bool { return len(o.Needs) > 0 || o.Facts != nil }) {
		rows := make([]toldRow, len(offers))
		for i, o := range offers {
			var f pricing.OfferFacts
			if o.Facts != nil {
				f = *o.Facts
			}
			rows[i] = toldRow{
				o.ProductID, o.SkuID, o.MinLicenses, o.MaxLicenses, pairs(o.Conversions), pairs(o.Needs),
				f.ProductTitle, f.SkuTitle, f.Description, f.ProvisioningID, f.ProvisioningString, f.OwnershipLimit, f.OwnershipLimitType, f.Countries,
			}
		}
		return write(ctx, l, rows)
	}
	rows := make([]offerRow, len(offers))
	for i, o := range offers {
		rows[i] = offerRow{o.ProductID, o.SkuID, o.MinLicenses, o.MaxLicenses, pairs(o.Conversions)}
	}
	return write(ctx, l, rows)
}

// eachOffer reads what billing and buying go by. Facts are not read.
func (l Ledger) eachOffer(ctx context.Context, o Object, each func(pricing.Offer)) error {
	return read(ctx, l, o, func(rows []ruledRow) error {
		for _, r := range rows {
			each(pricing.Offer{SKU: pricing.SKU{ProductID: r.ProductID, SkuID: r.SkuID}, MinLicenses: r.MinLicenses, MaxLicenses: r.MaxLicenses,
				Conversions: unpaired(r.Conversions), Needs: unpaired(r.Needs)})
		}
		return nil
	})
}

// OfferMatrix returns all that the inputs say of offers: of each SKU the last, with its
// facts, in no particular order.
func (l Ledger) OfferMatrix(ctx context.Context, inputs []Input) ([]pricing.Offer, error) {
	var offers []pricing.Offer
	at := make(map[pricing.SKU]int)
	for _, in := range inputs {
		if in.Kind != Offers {
			continue
		}
		for _, o := range in.Objects {
			err := read(ctx, l, o, func(rows []toldRow) error {
				for i := range rows {
					offer := rows[i].offer()
					if i, known := at[offer.SKU]; known {
						offers[i] = offer
						continue
					}
					at[offer.SKU] = len(offers)
					offers = append(offers, offer)
				}
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("input %d (%s %s): %w", in.Number, in.Kind, in.Name, err)
			}
		}
	}
	return offers, nil
}

func (r *toldRow) offer() pricing.Offer {
	o := pricing.Offer{SKU: pricing.SKU{ProductID: r.ProductID, SkuID: r.SkuID}, MinLicenses: r.MinLicenses, MaxLicenses: r.MaxLicenses,
		Conversions: unpaired(r.Conversions), Needs: unpaired(r.Needs)}
	f := pricing.OfferFacts{
		ProductTitle: r.ProductTitle, SkuTitle: r.SkuTitle, Description: r.Description,
		ProvisioningID: r.ProvisioningID, ProvisioningString: r.ProvisioningString,
		OwnershipLimit: r.OwnershipLimit, OwnershipLimitType: r.OwnershipLimitType, Countries: r.Countries,
	}
	if f != (pricing.OfferFacts{}) {
		o.Facts = &f
	}
	return o
}

// pairs lays SKUs out as product, SKU, product, SKU ….
func pairs(skus []pricing.SKU) (texts []string) {
	for _, s := range skus {
		texts = append(texts, s.ProductID, s.SkuID)
	}
	return texts
}

func unpaired(texts []string) (skus []pricing.SKU) {
	for i := 0; i+1 < len(texts); i += 2 {
		skus = append(skus, pricing.SKU{ProductID: texts[i], SkuID: texts[i+1]})
	}
	return skus
}
