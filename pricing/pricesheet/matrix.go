package pricesheet

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

const (
	ruleLimit      = "want a whole number of licences, or blank for no limit"
	ruleMax        = "must not be less than MinLicenses"
	ruleConversion = "want PRODUCT/SKU, several of them separated by ; or ,"
)

// Matrix is what an offer matrix file holds.
type Matrix struct {
	Offers  []pricing.Offer // in file order, each SKU once
	Unknown []string        // columns without a meaning here
}

// ReadOfferMatrix reads Microsoft's offer matrix: licence limits, and the SKUs
// that one may be upgraded to.
func ReadOfferMatrix(src io.Reader) (*Matrix, error) {
	t, err := table.New("offer matrix", src)
	if err != nil {
		return nil, err
	}
	product, sku := t.Required("ProductId"), t.Required("SkuId")
	least, most := t.Required("MinLicenses"), t.Required("MaxLicenses")
	conversion := t.Required("ProductSkuConversion")
	for _, unused := range [...]string{"ProductTitle", "SkuTitle", "ProvisioningId", "ProvisioningString", "AssetOwnershipLimit",
		"AssetOwnershipLimitType", "ProductSkuPreRequisites", "Description", "AllowedCountries"} {
		t.Optional(unused)
	}
	m := &Matrix{}
	seen := make(map[pricing.SKU]int)
	lines := []int64{}
	err = t.Each(func() *table.Error {
		var o pricing.Offer
		for _, id := range [...]int{product, sku} {
			if len(t.Cell(id)) == 0 {
				return t.Refuse(id, ruleRequired)
			}
		}
		o.SKU = pricing.SKU{ProductID: string(t.Cell(product)), SkuID: pricing.NormalSKU(string(t.Cell(sku)))}
		var ok bool
		if o.MinLicenses, ok = limit(t.Cell(least)); !ok {
			return t.Refuse(least, ruleLimit)
		}
		if o.MaxLicenses, ok = limit(t.Cell(most)); !ok {
			return t.Refuse(most, ruleLimit)
		}
		if o.MaxLicenses > 0 && o.MaxLicenses < o.MinLicenses {
			return t.Refuse(most, ruleMax)
		}
		if o.Conversions, ok = conversions(t.Cell(conversion)); !ok {
			return t.Refuse(conversion, ruleConversion)
		}
		if i, dup := seen[o.SKU]; dup {
			if !sameOffer(m.Offers[i], o) {
				return t.Refuse(sku, fmt.Sprintf(ruleOtherRow, o.ProductID, o.SkuID, lines[i]))
			}
			return nil
		}
		seen[o.SKU] = len(m.Offers)
		m.Offers = append(m.Offers, o)
		lines = append(lines, t.Line())
		return nil
	})
	if err != nil {
		return nil, err
	}
	m.Unknown = t.Unknown()
	return m, nil
}

func sameOffer(a, b pricing.Offer) bool {
	return a.MinLicenses == b.MinLicenses && a.MaxLicenses == b.MaxLicenses && slices.Equal(a.Conversions, b.Conversions)
}

func limit(s []byte) (int64, bool) {
	if len(s) == 0 {
		return 0, true
	}
	n, ok := table.Whole(s)
	return n, ok && n >= 0
}

func conversions(s []byte) (skus []pricing.SKU, ok bool) {
	separator := func(r rune) bool { return r == ';' || r == ',' }
	for _, one := range bytes.FieldsFunc(s, separator) {
		if one = bytes.TrimSpace(one); len(one) == 0 {
			continue
		}
		product, sku, found := bytes.Cut(one, []byte{'/'})
		product, sku = bytes.TrimSpace(product), bytes.TrimSpace(sku)
		if !found || len(product) == 0 || len(sku) == 0 || bytes.ContainsAny(sku, "/ ") || bytes.ContainsAny(product, " ") {
			return nil, false
		}
		skus = append(skus, pricing.SKU{ProductID: string(product), SkuID: pricing.NormalSKU(string(sku))})
	}
	return skus, true
}
