package world

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/calends/calends/pricing"
)

var march = must(pricing.ParseMonth("2026-03"))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestPurchasesAreAllSubscriptions: the months of the history have every
// subscription once, in the order of the customers.
func TestPurchasesAreAllSubscriptions(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 999, 20_000} {
		w := must(New(Plan{Subscriptions: size, Seed: 3, Month: march}))
		ids := make(map[string]bool)
		for month := w.First(); month < w.Month; month++ {
			last := ""
			for c := range w.Purchases(month) {
				if c.At.Date().Month() != month || c.CustomerID < last {
					t.Fatalf("%d: in %s: %+v after customer %s", size, month, c, last)
				}
				last, ids[c.Subject] = c.CustomerID, true
			}
		}
		if len(ids) != size {
			t.Errorf("%d subscriptions, want %d", len(ids), size)
		}
	}
}

// TestSameSeedSameFiles: a plan says everything, the seed makes the difference.
func TestSameSeedSameFiles(t *testing.T) {
	t.Parallel()
	write := func(seed uint64) string {
		w := must(New(Plan{Subscriptions: 2000, Seed: seed, Month: march}))
		var out bytes.Buffer
		for _, file := range []func(io.Writer) error{w.WritePartners, w.WriteCustomers, w.WriteRates, w.WritePromotions, w.WriteMoves} {
			if err := file(&out); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := WriteJSON(&out, w.Day(march.First()+4)); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	first := write(1)
	if again := write(1); again != first {
		t.Error("the same seed gives other files")
	}
	if write(2) == first {
		t.Error("another seed gives the same files")
	}
}

// TestEveryKindOfChange: about an eighth of the subscriptions change their seats in the
// month, and the other changes are all there.
func TestEveryKindOfChange(t *testing.T) {
	t.Parallel()
	const size = 20_000
	w := must(New(Plan{Subscriptions: size, Seed: 1, Month: march}))
	kinds := make(map[string]int)
	ids := make(map[string]bool)
	count := func(c Change) {
		kinds[c.Type]++
		if ids[c.ID] {
			t.Errorf("the id of %+v comes twice", c)
		}
		ids[c.ID] = true
	}
	for c := range w.Before() {
		count(c)
	}
	for day := march.First(); day <= march.Last(); day++ {
		for c := range w.Day(day) {
			count(c)
			if !strings.HasPrefix(c.At.String(), day.String()) {
				t.Errorf("on %s: %+v", day, c)
			}
		}
	}
	for _, kind := range []string{"purchased", "canceled", "upgraded", "trialConverted", "renewalChanged", "nextTermScheduled", "nextTermCleared", "suspended", "reactivated"} {
		if kinds["subscription."+kind] == 0 {
			t.Errorf("nothing is %s", kind)
		}
	}
	if seats := kinds["subscription.quantityChanged"]; seats < size/7 || seats > size/5 {
		t.Errorf("%d changes of seats of %d subscriptions in two months", seats, size)
	}
	simple := must(New(Plan{Subscriptions: size, Seed: 1, Month: march, Simple: true}))
	for day := march.First(); day <= march.Last(); day++ {
		for c := range simple.Day(day) {
			if c.Type != "subscription.quantityChanged" {
				t.Fatalf("in a simple world: %+v", c)
			}
		}
	}
}

// TestSkusAreApart: no two things to buy share their ids.
func TestSkusAreApart(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for s := range sku(Plan{Subscriptions: small}.skus()) {
		key := s.product() + "/" + s.id()
		if seen[key] {
			t.Errorf("%s is there twice", key)
		}
		seen[key] = true
	}
}
