package pricing_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/calends/calends/pricing"
)

func TestOfferMissing(t *testing.T) {
	t.Parallel()
	skus := func(text string) (all []pricing.SKU) {
		for _, one := range strings.Fields(text) {
			product, sku, _ := strings.Cut(one, "/")
			all = append(all, pricing.SKU{ProductID: product, SkuID: sku})
		}
		return all
	}
	for _, tt := range []struct{ name, needs, owned, want string }{
		{"what needs nothing misses nothing", "", "", ""},
		{"one that is needed is missing", "A/0001", "B/0001", "A/0001"},
		{"another SKU of the product is another thing", "A/0001", "A/0002", "A/0001"},
		{"one of several is enough", "A/0001 B/0002", "C/0001 B/0002", ""},
		{"none of several: each would do", "A/0001 B/0002", "", "A/0001 B/0002"},
		{"a product is any of its SKUs", "A/", "A/0007", ""},
		{"a product is not another one", "A/", "AA/0007", "A/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := pricing.Offer{Needs: skus(tt.needs)}.Missing(skus(tt.owned))
			if fmt.Sprint(got) != fmt.Sprint(skus(tt.want)) {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}
