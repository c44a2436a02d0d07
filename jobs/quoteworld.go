package jobs

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// quoteWorld is the world of a quote: the ledger's as it stands now, and a
// customer of the quote's own. A month whose exchange rate is not known yet
// borrows the last one that is.
type quoteWorld struct {
	invoice.World
	stranger *subscription.Payer
	borrowed map[string]pricing.Month // by pair of currencies, from which month
}

// Payer answers for the stranger, or for a customer of the ledger.
func (w *quoteWorld) Payer(customerID string, month pricing.Month) (*subscription.Payer, pricing.Code) {
	if w.stranger != nil && customerID == strangerID {
		return w.stranger, ""
	}
	return w.World.Payer(customerID, month)
}

// borrowFrom is how many months back a rate is looked for.
const borrowFrom = 48

// Rate returns the month's rate, else the last one before it.
func (w *quoteWorld) Rate(from, to string, month pricing.Month) (decimal.Decimal, bool) {
	for m := month; m > month-borrowFrom; m-- {
		if rate, ok := w.World.Rate(from, to, m); ok {
			if m != month {
				w.borrowed[from+" to "+to] = m
			}
			return rate, true
		}
	}
	return decimal.Decimal{}, false
}

// notes says what was borrowed.
func (w *quoteWorld) notes() (notes []string) {
	for _, pair := range slices.Sorted(maps.Keys(w.borrowed)) {
		notes = append(notes, fmt.Sprintf("later exchange rates from %s are not known yet: that of %s is used for them", pair, w.borrowed[pair]))
	}
	return notes
}

// ownerOf finds the history that a subscription belongs to.
func (e Env) ownerOf(ctx context.Context, at snapshot, subscriptionID, customerID string) (ledger.History, error) {
	for h, err := range e.ledger().Histories(ctx, at.inputs) {
		if err != nil {
			return ledger.History{}, err
		}
		if customerID != "" && h.CustomerID != customerID {
			continue
		}
		for _, c := range h.Changes {
			if makes(c, subscriptionID) {
				return h, nil
			}
		}
	}
	if customerID != "" {
		return ledger.History{}, fmt.Errorf("%w: customer %s has no subscription %s", ErrMissing, customerID, subscriptionID)
	}
	return ledger.History{}, fmt.Errorf("%w: no change that was taken in made a subscription %s", ErrMissing, subscriptionID)
}
