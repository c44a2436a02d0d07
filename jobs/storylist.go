package jobs

import (
	"context"
	"fmt"
	"slices"

	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// SubscriptionsPlan says which subscriptions are wanted. What is left out may be
// anything.
type SubscriptionsPlan struct {
	// Customers are asked for in the order of their ids' bytes, without repetition.
	Customers []string
	ProductID string
	State     string
	// EndingBefore leaves those whose term ends before the day, and that have not ended.
	EndingBefore pricing.Date // NoDate: none
	Day          pricing.Date // at whose end they stand so

	// After is the place of the last one of the page before.
	After SubscriptionPlace
	Limit int
}

// SubscriptionPlace is a place in a list of subscriptions: a customer, and how many of
// its subscriptions come before, in the order in which they came to be.
type SubscriptionPlace struct {
	CustomerID string
	Before     int
}

// SubscriptionsPage is a part of a list. More is where the next one begins; nil at the
// end. A page that was asked for much and found little may be short, or empty.
type SubscriptionsPage struct {
	Items []SubscriptionFacts
	More  *SubscriptionPlace
}

// customersAPage is how many customers are looked at for one page.
const customersAPage = 2000

// Subscriptions lists subscriptions of customers. Their prices are told without the
// row of the sheet.
func (r *Reading) Subscriptions(ctx context.Context, plan SubscriptionsPlan) (SubscriptionsPage, error) {
	page := SubscriptionsPage{Items: []SubscriptionFacts{}}
	at, _ := slices.BinarySearch(plan.Customers, plan.After.CustomerID)
	all := r.histories(ctx, r.at.inputs)
	defer all.close()
	var lives subscription.Lives
	for looked, id := range plan.Customers[at:] {
		if err := ctx.Err(); err != nil {
			return page, err
		}
		place := SubscriptionPlace{CustomerID: id}
		if id == plan.After.CustomerID {
			place.Before = plan.After.Before
		}
		if looked == customersAPage {
			page.More = &place
			return page, nil
		}
		if err := r.listCustomer(all, &lives, plan, place, &page); err != nil {
			return page, fmt.Errorf("subscriptions of customer %s: %w", id, err)
		}
		if page.More != nil {
			return page, nil
		}
	}
	return page, r.catalog.Err()
}

// listCustomer adds a customer's subscriptions from a place on, until the page is full.
func (r *Reading) listCustomer(all *histories, lives *subscription.Lives, plan SubscriptionsPlan, from SubscriptionPlace, page *SubscriptionsPage) error {
	c, err := all.of(from.CustomerID)
	if err != nil || len(c.Changes) == 0 {
		return err
	}
	var heard listener
	end, err := lives.LiveTo(lockedWorld{r.catalog, c.Locks}, &heard, c.ID, nil, c.Changes, plan.Day)
	if err != nil {
		return err
	}
	n := 0
	for v := range end.Views() {
		place := SubscriptionPlace{CustomerID: c.ID, Before: n}
		n++
		if place.Before < from.Before || !plan.wants(&v) {
			continue
		}
		if len(page.Items) == plan.Limit {
			page.More = &place
			return nil
		}
		f := r.facts(c.ID, v.Term.SubscriptionID, &v, plan.Day)
		if f.State == StateParked {
			f.Parked = parkingOf(f.SubscriptionID, heard.exceptions)
		}
		page.Items = append(page.Items, f)
	}
	return nil
}

func (p SubscriptionsPlan) wants(v *subscription.View) bool {
	return (p.ProductID == "" || p.ProductID == v.Term.SKU.ProductID) && (p.State == "" || p.State == standsAs(v)) &&
		(p.EndingBefore == pricing.NoDate || !v.Ended && v.Term.Span.End < p.EndingBefore)
}

// PartnerOf is the partner of a customer as it is known now; "" for a customer that was
// not taken in.
func (r *Reading) PartnerOf(customerID string) string {
	payer, _ := r.catalog.Payer(customerID, ledger.Ever)
	if payer == nil {
		return ""
	}
	return payer.Partner.ID
}
