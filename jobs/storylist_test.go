package jobs

import (
	"fmt"
	"slices"
	"testing"

	"github.com/calends/calends/pricing"
)

func allCustomers(r *Reading) (ids []string) {
	for c := range r.Catalog().Customers {
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	return ids
}

// TestSubscriptionsByPages: whatever the size of the pages, they have every
// subscription once, as the ledger believes it.
func TestSubscriptionsByPages(t *testing.T) {
	t.Parallel()
	env := story(t)
	env.WholeHistory = true
	r := read(t, env)
	var want []string
	for b, err := range env.Subscriptions(t.Context(), demoDay) {
		if err != nil {
			t.Fatal(err)
		}
		if r.PartnerOf(b.CustomerID) == "" {
			continue // its changes are refused
		}
		for _, v := range b.Subscriptions {
			want = append(want, fmt.Sprint(b.CustomerID, v.Term.SubscriptionID, standsAs(&v), v.Term.Span.End))
		}
	}
	for _, limit := range []int{1, 3, 1000} {
		var got []string
		plan := SubscriptionsPlan{Customers: allCustomers(r), EndingBefore: pricing.NoDate, Day: demoDay, Limit: limit}
		for pages := 0; ; pages++ {
			page, err := r.Subscriptions(t.Context(), plan)
			if err != nil || pages > len(want) {
				t.Fatal(pages, err)
			}
			if len(page.Items) > limit {
				t.Errorf("a page of %d has %d", limit, len(page.Items))
			}
			for _, f := range page.Items {
				got = append(got, fmt.Sprint(f.CustomerID, f.SubscriptionID, f.State, f.TermEnd))
				if (f.State == StateParked) != (f.Parked != nil) {
					t.Errorf("%s is %s by %v", f.SubscriptionID, f.State, f.Parked)
				}
			}
			if page.More == nil {
				break
			}
			plan.After = *page.More
		}
		sameLines(t, fmt.Sprintf("pages of %d", limit), got, want...)
	}
}

// TestSubscriptionsWanted: each filter leaves what it names.
func TestSubscriptionsWanted(t *testing.T) {
	t.Parallel()
	r := read(t, story(t))
	everyone := allCustomers(r)
	all, err := r.Subscriptions(t.Context(), SubscriptionsPlan{Customers: everyone, EndingBefore: pricing.NoDate, Day: demoDay, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	july := pricing.DateOf(2024, 7, 1)
	for _, row := range []struct {
		name string
		plan SubscriptionsPlan
		want func(SubscriptionFacts) bool
	}{
		{"of a product", SubscriptionsPlan{Customers: everyone, ProductID: "CFQ7TTC0LF8R", EndingBefore: pricing.NoDate},
			func(f SubscriptionFacts) bool { return f.ProductID == "CFQ7TTC0LF8R" }},
		{"active", SubscriptionsPlan{Customers: everyone, State: StateActive, EndingBefore: pricing.NoDate}, func(f SubscriptionFacts) bool { return f.State == StateActive }},
		{"ended", SubscriptionsPlan{Customers: everyone, State: StateEnded, EndingBefore: pricing.NoDate}, func(f SubscriptionFacts) bool { return f.State == StateEnded }},
		{"whose term ends soon", SubscriptionsPlan{Customers: everyone, EndingBefore: july},
			func(f SubscriptionFacts) bool { return f.State != StateEnded && f.TermEnd < "2024-07-01" }},
		{"of one customer", SubscriptionsPlan{Customers: []string{beispiel}, EndingBefore: pricing.NoDate}, func(f SubscriptionFacts) bool { return f.CustomerID == beispiel }},
	} {
		row.plan.Day, row.plan.Limit = demoDay, 1000
		page, err := r.Subscriptions(t.Context(), row.plan)
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, f := range page.Items {
			got = append(got, f.SubscriptionID)
		}
		for _, f := range all.Items {
			if row.want(f) {
				want = append(want, f.SubscriptionID)
			}
		}
		sameLines(t, row.name, got, want...)
		if len(want) == 0 || len(want) == len(all.Items) {
			t.Errorf("%s: %d of %d, so nothing was tested", row.name, len(want), len(all.Items))
		}
	}
}
