package jobs

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/party"
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

// Partner answers for the stranger's, or for a partner of the ledger.
func (w *quoteWorld) Partner(id string, month pricing.Month) (party.Partner, bool) {
	if w.stranger != nil && id == w.stranger.Partner.ID {
		return w.stranger.Partner, true
	}
	return w.World.Partner(id, month)
}

// strangerID is the id of a customer that the ledger does not have, and of its
// partner.
const strangerID = "quote"

func (s Stranger) payer(policies subscription.Policies) *subscription.Payer {
	return &subscription.Payer{
		Partner:  party.Partner{ID: strangerID, Name: strangerID, BillingCurrency: s.Currency, TaxRate: s.TaxRate},
		Customer: party.Customer{ID: strangerID, Name: strangerID, Country: cmp.Or(s.Market, "none"), Segment: s.Segment, PartnerID: strangerID},
		Policies: policies,
	}
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

// ownerOf finds the customer that a subscription belongs to, with its history.
func (e Env) ownerOf(ctx context.Context, at snapshot, subscriptionID, customerID string) (none invoice.Customer, err error) {
	if customerID == "" {
		if customerID, err = e.makerOf(ctx, at, subscriptionID); err != nil {
			return none, err
		}
	}
	c, err := e.historyOf(ctx, at, customerID)
	if err != nil {
		return none, err
	}
	for _, one := range c.Changes {
		if makes(one, subscriptionID) {
			return c, nil
		}
	}
	return none, fmt.Errorf("%w: customer %s has no subscription %s", ErrMissing, customerID, subscriptionID)
}

// makerOf finds the customer one of whose changes made a subscription.
func (e Env) makerOf(ctx context.Context, at snapshot, subscriptionID string) (string, error) {
	for group, err := range e.ledger().Groups(ctx, at.inputs, ledger.Span{Until: ledger.Ever}) {
		if err != nil {
			return "", err
		}
		for _, c := range group {
			if makes(c, subscriptionID) {
				return c.CustomerID, nil
			}
		}
	}
	return "", fmt.Errorf("%w: no change that was taken in made a subscription %s", ErrMissing, subscriptionID)
}

// historyOf reads one customer's changes and the prices that closed months used.
func (e Env) historyOf(ctx context.Context, at snapshot, customerID string) (c invoice.Customer, err error) {
	all := e.ledger().All(ctx, at.inputs, ledger.Span{Until: ledger.Ever})
	defer all.Close()
	changes, err := all.Of(customerID)
	if err != nil {
		return c, err
	}
	used := e.ledger().UsedLocks(ctx, at.closes)
	defer used.Close()
	h := ledger.NewHistory(customerID, changes)
	c = invoice.Customer{ID: customerID, Changes: h.Changes}
	c.Locks, err = used.Of(customerID)
	return c, err
}
