package jobs

import (
	"context"
	"fmt"

	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// MissingNeeds returns the SKUs of which a customer with these subscriptions would need
// one more to buy the offer; nil if it may buy it. A purchase made here is refused
// otherwise; what Microsoft reports has happened.
func MissingNeeds(offer pricing.Offer, owned []subscription.View) []pricing.SKU {
	var skus []pricing.SKU
	for _, v := range owned {
		if Serves(v) {
			skus = append(skus, v.Term.SKU)
		}
	}
	return offer.Missing(skus)
}

// Serves reports whether an add-on can lean on the subscription: it runs, as a trial too.
func Serves(v subscription.View) bool { return !v.Ended && !v.Suspended }

// OfferMatrix returns what the offer matrix says of every SKU now, with what it tells
// people, in no particular order. It is read each time.
func (r *Reading) OfferMatrix(ctx context.Context) ([]pricing.Offer, error) {
	offers, err := r.env.ledger().OfferMatrix(ctx, r.at.inputs)
	if err != nil {
		return nil, fmt.Errorf("read the offer matrix: %w", err)
	}
	return offers, nil
}

// ListedRows returns the rows of a sheet with what it tells people, in the order in
// which the sheet has them. They are read each time.
func (r *Reading) ListedRows(ctx context.Context, sheet ledger.SheetSource) (rows []pricing.Row, err error) {
	for _, o := range sheet.Objects {
		own, err := r.env.ledger().ListedRows(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("read the price sheet of %s for %s (%s): %w", sheet.Market, sheet.Month, sheet.File, err)
		}
		rows = append(rows, own...)
	}
	return rows, nil
}

// NoSheet is the error where a market has no price sheet of a month or an earlier one.
func (r *Reading) NoSheet(market string, month pricing.Month) error {
	if _, err := governing(r.catalog, market, month); err != nil {
		return err
	}
	return fmt.Errorf("%w: market %s has no price sheet for %s or earlier", ErrMissing, market, month)
}
