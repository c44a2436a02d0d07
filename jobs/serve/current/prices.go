package current

import (
	"log/slog"

	"github.com/calends/calends/jobs/serve/pricebook"
	"github.com/calends/calends/pipeline/ledger"
)

// Prices returns a shelf with the price sheets that the newest reading knows of.
func (c *Current) Prices(log *slog.Logger) *pricebook.Shelf {
	env := c.env()
	return &pricebook.Shelf{
		Context: c.ctx, Ledger: ledger.Ledger{Bucket: env.Bucket}, Now: c.now, Often: c.often, Workers: env.Workers, Log: log,
		Sources: func() ([]ledger.SheetSource, error) {
			reading, err := c.Reading()
			if err != nil {
				return nil, err
			}
			return reading.Catalog().SheetSources(), nil
		},
	}
}
