package microsoft

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/calends/calends/jobs/microsoft/web"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// PriceSheet fetches the licence-based price sheet of a market and month. A sheet of
// the current month may become another until the month is over; that of a month
// before stays. Next month's is ErrNotPublished until there is one.
func (c *Client) PriceSheet(ctx context.Context, market string, w Want) (Fetched, error) {
	path, err := sheetPath(market, w)
	if err != nil {
		return Fetched{}, err
	}
	f, err := c.fetch(ctx, path, w.Month.String()+"/"+market+".csv", w, func(r io.Reader) (int, error) { return checkSheet(r, market) })
	switch {
	case !errors.Is(err, web.ErrNotFound):
		return f, err
	case w.Month > w.Today.Month():
		return Fetched{}, fmt.Errorf("%w: prices of %s for %s: %w", ErrNotPublished, market, w.Month, err)
	}
	return Fetched{}, fmt.Errorf("there are no prices of %s for %s; look at the market, and whether the partner sells there: %w", market, w.Month, err)
}

func sheetPath(market string, w Want) (string, error) {
	path := "/v1.0/sales/pricesheets(Market='" + market + "',PricesheetView='updatedlicensebased')/$value?timeline="
	switch now := w.Today.Month(); {
	case w.Month < now:
		return path + "history&month=" + w.Month.Compact(), nil
	case w.Month == now:
		return path + "current", nil
	case w.Month == now+1:
		return path + "future", nil
	}
	return "", fmt.Errorf("prices of %s for %s: Microsoft has those of next month, %s, at most", market, w.Month, w.Today.Month()+1)
}

// checkSheet looks whether a file is a price sheet of the market, to its end, and
// counts its rows. What the rows say is for whoever reads them.
func checkSheet(r io.Reader, market string) (rows int, err error) {
	t, err := table.New("price sheet", r)
	if err != nil {
		return 0, notData(err)
	}
	at := t.Required("Market")
	for _, name := range []string{"ProductId", "SkuId", "TermDuration", "BillingPlan", "Currency", "UnitPrice"} {
		t.Required(name)
	}
	return checkRows(t, func() *table.Error {
		if !table.EqualFold(t.Cell(at), market) {
			return t.Refuse(at, "want the market that was asked for, "+market)
		}
		return nil
	})
}

// checkRows counts the rows, stops at the first that is wrong, and takes one that has
// not all of its fields for the place where the file is cut off.
func checkRows(t *table.Table, check func() *table.Error) (rows int, err error) {
	if err := t.Err(); err != nil {
		return 0, notData(err)
	}
	for ; ; rows++ {
		err := t.Next()
		var bad *table.Error
		switch {
		case errors.Is(err, io.EOF) && rows == 0:
			return 0, fmt.Errorf("%w: it has a header and no rows", web.ErrNotData)
		case errors.Is(err, io.EOF):
			return rows, nil
		case errors.As(err, &bad):
			return 0, fmt.Errorf("%w: %w", web.ErrIncomplete, err)
		case err != nil:
			return 0, err
		}
		if refused := check(); refused != nil {
			return 0, notData(refused)
		}
	}
}

func notData(err error) error { return fmt.Errorf("%w: %w", web.ErrNotData, err) }
