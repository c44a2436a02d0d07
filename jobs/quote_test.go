package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// asked makes a plan of the words that a row of a test names.
func asked(t *testing.T, what change.Type, at string, set func(*QuotePlan)) QuotePlan {
	t.Helper()
	p := QuotePlan{Type: what, At: testInstant(t, at), CustomTermEnd: pricing.NoDate}
	if set != nil {
		set(&p)
	}
	return p
}

func seats(n int64) *int64 { return &n }

// inWords is a quote as a person would tell it.
func inWords(r QuoteResult) (words []string) {
	if r.Refused != nil {
		return []string{"refused " + r.Refused.Code}
	}
	for _, l := range r.Lines {
		words = append(words, fmt.Sprintf("%s %s x %s, %s to %s: %s + %s", l.ChargeType, l.Quantity, l.EffectiveUnitPrice, l.ChargeStart, l.ChargeEnd, l.Subtotal, l.TaxTotal))
	}
	for _, l := range r.Instead {
		words = append(words, fmt.Sprintf("no more %s %s: %s", l.ChargeType, l.Quantity, l.Subtotal))
	}
	words = append(words, "this month "+r.Currency+" "+r.ThisMonth.Total)
	for _, n := range r.Next {
		before := ""
		if n.Before != nil {
			before = ", before " + n.Before.Total
		}
		words = append(words, fmt.Sprintf("next %d to %s: %s%s", len(n.Cycles), n.TermEnd, n.Sum.Total, before))
		if n.Renewal != nil {
			words = append(words, "renews "+n.Renewal.First+": "+n.Renewal.Total)
		}
	}
	if r.ReturnableUntil != "" {
		words = append(words, "until "+r.ReturnableUntil)
	}
	return words
}

func TestQuote(t *testing.T) {
	t.Parallel()
	german := &Stranger{Market: "DE", Segment: "Commercial", Currency: "EUR"}
	standard := func(p *QuotePlan) {
		p.ProductID, p.SkuID, p.TermDuration, p.BillingCycle, p.Quantity = "CFQ7TTC0LDPB", "1", "P1Y", "Monthly", seats(10)
	}
	tests := []struct {
		name string
		plan QuotePlan
		want []string
	}{
		// 124.44 / 12 = 10.37, ten of them 103.70, tax 21.777.
		{"a purchase of a customer, at its market's price and its partner's tax",
			asked(t, change.Purchased, "2024-04-15T10:00:00Z", func(p *QuotePlan) { standard(p); p.CustomerID = beispiel }),
			[]string{"new 10 x 10.37, 2024-04-15 to 2024-05-14: 103.70 + 21.77", "this month EUR 125.47", "next 11 to 2025-04-14: 1380.17",
				"renews 2025-04-15: 125.47", "until 2024-04-22T10:00:00Z"}},
		{"the same by the bucket's sheets, for nobody's customer without tax",
			asked(t, change.Purchased, "2024-04-15T10:00:00Z", func(p *QuotePlan) { standard(p); p.Stranger = german }),
			[]string{"new 10 x 10.37, 2024-04-15 to 2024-05-14: 103.70 + 0.00", "this month EUR 103.70", "next 11 to 2025-04-14: 1140.70",
				"renews 2025-04-15: 103.70", "until 2024-04-22T10:00:00Z"}},
		{"a prepaid year has no further cycle",
			asked(t, change.Purchased, "2024-04-15T10:00:00Z", func(p *QuotePlan) { standard(p); p.Stranger = german; p.BillingCycle = "Annual" }),
			[]string{"new 10 x 124.44, 2024-04-15 to 2025-04-14: 1244.40 + 0.00", "this month EUR 1244.40", "next 0 to 2025-04-14: 0.00",
				"renews 2025-04-15: 1244.40", "until 2024-04-22T10:00:00Z"}},
		{"a trial costs nothing and does not renew",
			asked(t, change.Purchased, "2024-04-15T10:00:00Z", func(p *QuotePlan) { standard(p); p.Stranger = german; p.IsTrial = true }),
			[]string{"new 10 x 0, 2024-04-15 to 2024-05-14: 0.00 + 0.00", "this month EUR 0.00", "next 0 to 2024-05-14: 0.00"}},
		{"a price that the sheets do not have is refused",
			asked(t, change.Purchased, "2024-04-15T10:00:00Z", func(p *QuotePlan) { standard(p); p.CustomerID, p.ProductID = beispiel, "NONE" }),
			[]string{"refused PRICE_NOT_FOUND"}},

		// 9.945 x 25/30 = 8.2875: 26 of them 215.475, 40 of them 331.50. A cycle is 9.94 x 40 = 397.60 + 83.49,
		// before 9.94 x 26 = 258.44 + 54.27; with 25 seats 248.50 + 52.18. April's price is 124.44, 10.37 a cycle.
		{"more seats from 20 April to 14 May, then eight cycles of 40 instead of 26",
			asked(t, change.QuantityChanged, "2024-04-20T10:00:00Z", func(p *QuotePlan) { p.SubscriptionID, p.Quantity = voorbeeldStandard, seats(40) }),
			[]string{"addQuantity 26 x -8.2875, 2024-04-20 to 2024-05-14: -215.47 + -45.24", "addQuantity 40 x 8.2875, 2024-04-20 to 2024-05-14: 331.50 + 69.61",
				"this month EUR 140.40", "next 8 to 2025-01-14: 3848.72, before 2501.68", "renews 2025-01-15: 501.90", "until 2024-04-27T10:00:00Z"}},
		{"seats whose window is closed stay",
			asked(t, change.QuantityChanged, "2024-04-20T10:00:00Z", func(p *QuotePlan) { p.SubscriptionID, p.Quantity = voorbeeldStandard, seats(25) }),
			[]string{"refused SEAT_WINDOW_CLOSED"}},
		{"unless the window is lifted",
			asked(t, change.QuantityChanged, "2024-04-20T10:00:00Z", func(p *QuotePlan) {
				p.SubscriptionID, p.Quantity, p.Override = voorbeeldStandard, seats(25), "agreed"
			}),
			[]string{"removeQuantity 26 x -8.2875, 2024-04-20 to 2024-05-14: -215.47 + -45.24", "removeQuantity 25 x 8.2875, 2024-04-20 to 2024-05-14: 207.18 + 43.50",
				"this month EUR -10.03", "next 8 to 2025-01-14: 2405.44, before 2501.68", "renews 2025-01-15: 313.69"}},
		{"the seats that are there already",
			asked(t, change.QuantityChanged, "2024-04-20T10:00:00Z", func(p *QuotePlan) { p.SubscriptionID, p.Quantity = voorbeeldStandard, seats(26) }),
			[]string{"this month EUR 0.00"}},

		// E3 30.60 and E5 48.45 a cycle; 12 of the 30 days from 20 April to 1 May: 12.24 and 19.38.
		{"five of ninety seats move to a new subscription with the same cycles",
			asked(t, change.Upgraded, "2024-04-20T10:00:00Z", func(p *QuotePlan) {
				p.SubscriptionID, p.ProductID, p.SkuID, p.Quantity = placeholderSuite, "CFQ7TTC0LFLZ", "2", seats(5)
			}),
			[]string{"convert 5 x -12.24, 2024-04-20 to 2024-05-01: -61.20 + 0.00", "convert 5 x 19.38, 2024-04-20 to 2024-05-01: 96.90 + 0.00", "this month USD 35.70",
				"next 8 to 2025-01-01: 20808.00, before 22032.00", "renews 2025-01-02: 2601.00", "next 8 to 2025-01-01: 1938.00", "renews 2025-01-02: 242.25"}},
		{"an upgrade that the offer matrix does not allow",
			asked(t, change.Upgraded, "2024-04-20T10:00:00Z", func(p *QuotePlan) {
				p.SubscriptionID, p.ProductID, p.SkuID = placeholderSuite, "CFQ7TTC0LDPB", "1"
			}),
			[]string{"refused UPGRADE_NOT_ELIGIBLE"}},

		// Bought on 10 April at 322.32 / 12 = 26.86; 28 of 30 days come back: 25.0693..., truncated. Eleven
		// cycles of 537.20 + 112.81 will not come.
		{"a cancellation two days after the purchase",
			asked(t, change.Canceled, "2024-04-12T08:00:00Z", func(p *QuotePlan) { p.SubscriptionID = musterSuite }),
			[]string{"cancelImmediate 20 x -25.0693333333, 2024-04-12 to 2024-05-09: -501.20 + -105.25", "this month EUR -606.45", "next 0 to 2025-04-09: 0.00, before 7150.11"}},
		{"a cancellation after the window",
			asked(t, change.Canceled, "2024-04-17T09:00:01Z", func(p *QuotePlan) { p.SubscriptionID = musterSuite }),
			[]string{"refused CANCEL_WINDOW_CLOSED"}},
		{"a cancellation before the purchase",
			asked(t, change.Canceled, "2024-04-09T09:00:00Z", func(p *QuotePlan) { p.SubscriptionID = musterSuite }),
			[]string{"refused UNKNOWN_SUBSCRIPTION"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			result, err := story(t).Quote(context.Background(), test.plan)
			if err != nil {
				t.Fatal(err)
			}
			sameLines(t, "quote", inWords(result), test.want...)
		})
	}
}

// Without any bucket: 120.96 / 12 = 10.08; 5 to 31 October is 27 of 31 days.
func TestQuoteByPriceAlone(t *testing.T) {
	t.Parallel()
	price := decimal.RequireFromString("120.96")
	plan := asked(t, change.Purchased, "2026-10-05T09:30:00Z", func(p *QuotePlan) {
		p.Stranger = &Stranger{Currency: "EUR", TaxRate: decimal.RequireFromString("0.21")}
		p.ProductID, p.SkuID, p.TermDuration, p.BillingCycle, p.Quantity = "any", "1", "P1Y", "Monthly", seats(10)
		p.UnitPrice, p.CustomTermEnd = &price, pricing.DateOf(2027, 6, 30)
	})
	result, err := envOn(bucket.NewMemory()).Quote(context.Background(), plan)
	if err != nil {
		t.Fatal(err)
	}
	sameLines(t, "quote", inWords(result),
		"new 10 x 8.7793548387, 2026-10-05 to 2026-10-31: 87.70 + 18.41", "this month EUR 106.11", "next 8 to 2027-06-30: 975.68", "until 2026-10-12T09:30:00Z")
	if parked := result.Next[0].RenewalParked; !strings.Contains(parked, "PRICE_NOT_FOUND") {
		t.Errorf("renewal: got %q, want that it has no price", parked)
	}
}

// A month without an exchange rate of its own borrows the last one, and says so.
func TestQuoteBorrowsRates(t *testing.T) {
	t.Parallel()
	plan := asked(t, change.Purchased, "2025-02-10T08:00:00Z", func(p *QuotePlan) {
		p.Stranger = &Stranger{Market: "KW", Segment: "Commercial", Currency: "KWD"}
		p.ProductID, p.SkuID, p.TermDuration, p.BillingCycle, p.Quantity = "CFQ7TTC0LF8R", "1", "P1Y", "Monthly", seats(1)
	})
	result, err := story(t).Quote(context.Background(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Next) != 1 || len(result.Next[0].Cycles) != 11 {
		t.Errorf("want 11 more cycles, got %+v", result.Next)
	}
	if notes := strings.Join(result.Notes, "\n"); !strings.Contains(notes, "that of 2025-02 is used") {
		t.Errorf("notes %q do not say which rate is used", notes)
	}
}

// What a quote says is what the bill says once the change has happened. The
// seats of 6 May 2024 are in the demo's changes: quoted a second before, they
// take the place of the real ones to the cent.
func TestQuoteIsTheBill(t *testing.T) {
	t.Parallel()
	env, ctx := story(t), context.Background()
	at, err := env.snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	h, err := env.ownerOf(ctx, at, dairyPremium, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range h.Changes {
		if c.Subject != dairyPremium || c.At != testInstant(t, "2024-05-06T10:00:00Z") {
			continue
		}
		plan := QuotePlan{Type: c.Type, At: c.At - pricing.Second, SubscriptionID: dairyPremium, Quantity: c.Quantity, CustomTermEnd: pricing.NoDate}
		quoted, err := env.Quote(ctx, plan)
		if err != nil {
			t.Fatal(err)
		}
		// 45 to 50 seats, 18.70 a cycle; 5 of 30 days to 10 May: 3.1166..., cut per line.
		got := inWords(quoted)
		sameLines(t, "quote", got[:4],
			"addQuantity 45 x -3.1166666667, 2024-05-06 to 2024-05-10: -140.25 + 0.00", "addQuantity 50 x 3.1166666667, 2024-05-06 to 2024-05-10: 155.83 + 0.00",
			"no more addQuantity 45: -140.25", "no more addQuantity 50: 155.83")
		if quoted.ThisMonth.Total != "0.00" {
			t.Errorf("this month differs by %s, want 0.00", quoted.ThisMonth.Total)
		}
		return
	}
	t.Fatal("the demo has no change of 6 May 2024")
}

func TestQuoteRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		plan  QuotePlan
		class error
		says  string
	}{
		{"nobody buys", asked(t, change.Purchased, "2024-04-15T10:00:00Z", nil), ErrUsage, "name the customer"},
		{"an unknown customer", asked(t, change.Purchased, "2024-04-15T10:00:00Z", func(p *QuotePlan) { p.CustomerID = "nobody" }), ErrMissing, "customer nobody was not taken in"},
		{"an unknown subscription", asked(t, change.Canceled, "2024-04-15T10:00:00Z", func(p *QuotePlan) { p.SubscriptionID = "nothing" }), ErrMissing, "made a subscription nothing"},
		{"a subscription of another customer", asked(t, change.Canceled, "2024-04-15T10:00:00Z", func(p *QuotePlan) {
			p.SubscriptionID, p.CustomerID = musterSuite, beispiel
		}), ErrMissing, "has no subscription"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := story(t).Quote(context.Background(), test.plan)
			if !errors.Is(err, test.class) || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("got %v, want %v with %q", err, test.class, test.says)
			}
		})
	}
}
