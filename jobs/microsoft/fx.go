package microsoft

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/calends/calends/jobs/microsoft/web"
	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet"
)

// FXRates fetches the exchange rates of a month. A month without any yet is
// ErrNotPublished.
func (c *Client) FXRates(ctx context.Context, w Want) (Fetched, error) {
	path := "/v1.0/sales/fxrates(Month='" + w.Month.Compact() + "')/$value"
	f, err := c.fetch(ctx, path, w.Month.String()+"/fxrates.csv", w, func(r io.Reader) (int, error) { return checkFX(r, w.Month) })
	if errors.Is(err, web.ErrNotFound) {
		return Fetched{}, fmt.Errorf("%w: exchange rates of %s: %w", ErrNotPublished, w.Month, err)
	}
	return f, err
}

// checkFX reads the rates, which are few, and wants some of the month.
func checkFX(r io.Reader, month pricing.Month) (int, error) {
	fx, err := pricesheet.ReadFX(r)
	if err != nil {
		return 0, notData(err)
	}
	for _, rate := range fx.Rates {
		if rate.Month == month {
			return len(fx.Rates), nil
		}
	}
	return 0, fmt.Errorf("%w: it has rates of %s, and none of %s", web.ErrNotData, fx.Rates[0].Month, month)
}
