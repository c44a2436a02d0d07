package microsoft

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/calends/calends/jobs/microsoft/web"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// OfferMatrix fetches the offer matrix of a month: what may be bought how often, and
// what may become what. A month without one yet is ErrNotPublished.
func (c *Client) OfferMatrix(ctx context.Context, w Want) (Fetched, error) {
	path := "/v1.0/sales/offermatrix(Month='" + w.Month.Compact() + "')/$value"
	f, err := c.fetch(ctx, path, w.Month.String()+"/offermatrix.csv", w, checkMatrix)
	if errors.Is(err, web.ErrNotFound) {
		return Fetched{}, fmt.Errorf("%w: offer matrix of %s: %w", ErrNotPublished, w.Month, err)
	}
	return f, err
}

func checkMatrix(r io.Reader) (int, error) {
	t, err := table.New("offer matrix", r)
	if err != nil {
		return 0, notData(err)
	}
	for _, name := range []string{"ProductId", "SkuId", "MinLicenses", "MaxLicenses", "ProductSkuConversion"} {
		t.Required(name)
	}
	return checkRows(t, func() *table.Error { return nil })
}
