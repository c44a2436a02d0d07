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
	ruleNeeds      = "want PRODUCT/SKU or PRODUCT, several of them separated by ; or ,"
)

// Matrix is what an offer matrix file holds.
type Matrix struct {
	Offers  []pricing.Offer // in file order, each SKU once
	Unknown []string        // columns without a meaning here
}

// ReadOfferMatrix reads Microsoft's offer matrix: licence limits, the SKUs that one
// may be upgraded to, those that an add-on needs one of, and what is for people.
//
// Rows of one SKU say the same of what is billed. Where they name different
// prerequisites any of them is enough, as of those in one row, and what the first
// tells people stands.
func ReadOfferMatrix(src io.Reader) (*Matrix, error) {
	t, err := table.New("offer matrix", src)
	if err != nil {
		return nil, err
	}
	p := &matrixParser{
		t:       t,
		product: t.Required("ProductId"), sku: t.Required("SkuId"),
		least: t.Required("MinLicenses"), most: t.Required("MaxLicenses"),
		conversion: t.Required("ProductSkuConversion"), needs: t.Optional("ProductSkuPreRequisites"),
		productTitle: t.Optional("ProductTitle"), skuTitle: t.Optional("SkuTitle"), description: t.Optional("Description"),
		provisioningID: t.Optional("ProvisioningId"), provisioning: t.Optional("ProvisioningString"),
		owned: t.Optional("AssetOwnershipLimit"), ownedType: t.Optional("AssetOwnershipLimitType"), countries: t.Optional("AllowedCountries"),
		seen: make(map[pricing.SKU]int),
	}
	if err := t.Each(p.row); err != nil {
		return nil, err
	}
	return &Matrix{Offers: p.offers, Unknown: t.Unknown()}, nil
}

type matrixParser struct {
	t *table.Table

	product, sku, least, most, conversion, needs              int
	productTitle, skuTitle, description                       int
	provisioningID, provisioning, owned, ownedType, countries int

	offers []pricing.Offer
	lines  []int64 // of the offers
	seen   map[pricing.SKU]int
	text   table.Interner
}

// row takes the current row in, or says what is wrong with it.
func (p *matrixParser) row() *table.Error {
	t := p.t
	var o pricing.Offer
	for _, id := range [...]int{p.product, p.sku} {
		if len(t.Cell(id)) == 0 {
			return t.Refuse(id, ruleRequired)
		}
	}
	o.SKU = pricing.SKU{ProductID: string(t.Cell(p.product)), SkuID: pricing.NormalSKU(string(t.Cell(p.sku)))}
	var ok bool
	if o.MinLicenses, ok = limit(t.Cell(p.least)); !ok {
		return t.Refuse(p.least, ruleLimit)
	}
	if o.MaxLicenses, ok = limit(t.Cell(p.most)); !ok {
		return t.Refuse(p.most, ruleLimit)
	}
	if o.MaxLicenses > 0 && o.MaxLicenses < o.MinLicenses {
		return t.Refuse(p.most, ruleMax)
	}
	if o.Conversions, ok = skuList(t.Cell(p.conversion), false); !ok {
		return t.Refuse(p.conversion, ruleConversion)
	}
	if o.Needs, ok = skuList(t.Cell(p.needs), true); !ok {
		return t.Refuse(p.needs, ruleNeeds)
	}
	o.Facts = p.facts()
	if i, dup := p.seen[o.SKU]; dup {
		first := &p.offers[i]
		if !sameOffer(*first, o) {
			return t.Refuse(p.sku, fmt.Sprintf(ruleOtherRow, o.ProductID, o.SkuID, p.lines[i]))
		}
		for _, n := range o.Needs {
			if !slices.Contains(first.Needs, n) {
				first.Needs = append(first.Needs, n)
			}
		}
		return nil
	}
	p.seen[o.SKU] = len(p.offers)
	p.offers = append(p.offers, o)
	p.lines = append(p.lines, t.Line())
	return nil
}

// facts returns what the row tells people, nil if nothing.
func (p *matrixParser) facts() *pricing.OfferFacts {
	f := pricing.OfferFacts{
		ProductTitle:       string(p.t.Raw(p.productTitle)),
		SkuTitle:           string(p.t.Raw(p.skuTitle)),
		Description:        string(p.t.Raw(p.description)),
		ProvisioningID:     string(p.t.Cell(p.provisioningID)),
		ProvisioningString: string(p.t.Cell(p.provisioning)),
		OwnershipLimit:     p.text.String(p.t.Cell(p.owned)),
		OwnershipLimitType: p.text.String(p.t.Cell(p.ownedType)),
		Countries:          p.text.String(p.t.Cell(p.countries)),
	}
	if f == (pricing.OfferFacts{}) {
		return nil
	}
	return &f
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

// skuList reads PRODUCT/SKU;PRODUCT/SKU. Of what is needed a product alone will do, and
// a colon stands for the slash, as catalogues write it.
func skuList(s []byte, needs bool) (skus []pricing.SKU, ok bool) {
	separator := func(r rune) bool { return r == ';' || r == ',' }
	for _, one := range bytes.FieldsFunc(s, separator) {
		if one = bytes.TrimSpace(one); len(one) == 0 {
			continue
		}
		if needs {
			one = bytes.ReplaceAll(one, []byte{':'}, []byte{'/'})
		}
		product, sku, found := bytes.Cut(one, []byte{'/'})
		product, sku = bytes.TrimSpace(product), bytes.TrimSpace(sku)
		whole := needs && !found
		if len(product) == 0 || len(sku) == 0 && !whole || bytes.ContainsAny(sku, "/ ") || bytes.ContainsAny(product, " ") {
			return nil, false
		}
		named := pricing.SKU{ProductID: string(product)}
		if !whole {
			named.SkuID = pricing.NormalSKU(string(sku))
		}
		skus = append(skus, named)
	}
	return skus, true
}
