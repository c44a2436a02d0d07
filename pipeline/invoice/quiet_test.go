package invoice

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// quietWorld has one sheet, in which not everything is priced the whole month.
type quietWorld struct {
	onePayer
	sheet *pricing.Sheet
}

func (w quietWorld) Sheet(string, pricing.Month) (*pricing.Sheet, error) { return w.sheet, nil }
func (w quietWorld) Promotions(string) []pricing.Promotion               { return nil }
func (w quietWorld) Partner(string, pricing.Month) (party.Partner, bool) {
	return w.payer.Partner, true
}
func (w quietWorld) Offer(pricing.SKU, pricing.Month) (_ pricing.Offer, _ bool) { return }

func (w quietWorld) Rate(from, to string, _ pricing.Month) (decimal.Decimal, bool) {
	return w.rate, from != "GBP"
}

// columns makes of standings what the state has.
func columns(all []subscription.Standing) subscription.Part {
	s := &subscription.Stood{Reading: new(int)}
	for i, one := range all {
		t, k := one.Term, one.Term.Lock
		s.Subscription, s.Order = append(s.Subscription, t.SubscriptionID), word(s.Order, t.OrderID)
		s.Kinds = append(s.Kinds, subscription.Kind{AvailabilityID: t.AvailabilityID, AddOn: t.AddOn, SKU: t.SKU, Term: t.Span.Term, Plan: t.Plan,
			Custom: t.Span.Custom, Trial: t.Span.Trial, MonthEnd: t.Span.MonthEnd,
			PromotionID: k.PromotionID, ProductTitle: k.ProductTitle, SkuTitle: k.SkuTitle, Publisher: k.Publisher})
		sheet := k.Source
		sheet.Line = 0
		s.Sheets = append(s.Sheets, sheet)
		s.Kind, s.Sheet, s.Line = append(s.Kind, int32(i)), append(s.Sheet, int32(i)), append(s.Line, int64(k.Source.Line))
		s.Price, s.Discount, s.Currency = number(s.Price, k.UnitPrice), number(s.Discount, k.Discount), word(s.Currency, k.Currency)
		s.Start, s.End = append(s.Start, int32(t.Span.Start)), append(s.End, int32(t.Span.End))
		s.CycleLast, s.Quantity = append(s.CycleLast, int32(one.Cycle.Last)), append(s.Quantity, one.Quantity)
		s.Renews = append(s.Renews, one.AutoRenew && !one.Suspended && !t.Span.Trial && one.Next == nil && one.Promotion == "")
	}
	s.Whole = func(rows []int32, to []subscription.Standing) ([]subscription.Standing, error) {
		for _, i := range rows {
			to = append(to, all[i])
		}
		return to, nil
	}
	return subscription.Part{Stood: s, To: len(all)}
}

func word(w subscription.Words, text string) subscription.Words {
	return subscription.Words{Words: append(w.Words, text), Index: append(w.Index, int32(len(w.Index)))}
}

func number(c subscription.FixedColumn, d decimal.Decimal) subscription.FixedColumn {
	return subscription.FixedColumn{Values: append(c.Values, subscription.FixedOf(d)), Index: append(c.Index, int32(len(c.Index)))}
}

// Subscriptions of all kinds, in columns and lived: the same lines, seats, counts
// and exceptions, whatever is quiet, and most of it is.
func TestQuietAgainstLives(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 8))
	one := func(of int) bool { return random.IntN(of) == 0 }
	month := pricing.MonthOf(2025, 2)
	skus := []pricing.SKU{{ProductID: "A", SkuID: "0001"}, {ProductID: "B", SkuID: "0001"}, {ProductID: "C", SkuID: "0001"}}
	var rows []pricing.Row
	for i, offer := range []struct {
		term pricing.Term
		plan pricing.Plan
	}{{pricing.P1M, pricing.Monthly}, {pricing.P1Y, pricing.Monthly}, {pricing.P1Y, pricing.Annual}, {pricing.P3Y, pricing.Monthly}, {pricing.P3Y, pricing.Annual}, {pricing.P3Y, pricing.Triennial}} {
		for j, sku := range skus {
			row := pricing.Row{SKU: sku, Term: offer.term, Plan: offer.plan, Segment: "Commercial", Currency: []string{"EUR", "USD", "GBP"}[j],
				UnitPrice: decimal.New(int64(1000+77*i+13*j), -2), End: pricing.DateOf(2100, 1, 1).Instant(), SkuTitle: "new " + sku.ProductID, Line: 10*i + j}
			if j == 0 { // another price from the fourteenth on, and one more currency
				row.End = (month.First() + 13).Instant() - 1
				rows = append(rows, row)
				row.Start, row.End, row.Line, row.UnitPrice = row.End+1, pricing.DateOf(2100, 1, 1).Instant(), row.Line+100, decimal.New(999, -2)
				rows = append(rows, row)
				row.Currency, row.Line = "USD", row.Line+1
			}
			if i != 3 || j != 1 { // which has no price any more
				rows = append(rows, row)
			}
		}
	}
	quiet, lived := 0, 0
	for range 3000 {
		w := quietWorld{onePayer{rate: decimal.RequireFromString("0.9213"), payer: subscription.Payer{
			Partner:  party.Partner{ID: "P", BillingCurrency: []string{"EUR", "JPY"}[random.IntN(2)], TaxRate: decimal.RequireFromString("0.19")},
			Customer: party.Customer{ID: "C", Name: "Contoso", PartnerID: "P", Segment: "Commercial"},
			Policies: subscription.Policies{Rounding: pricing.Rounding(random.IntN(3)), MonthEnd: pricing.MonthEnd(random.IntN(2))},
		}}, pricing.NewSheet("", month, "now.csv", "11", rows)}
		var all []subscription.Standing
		for i := range 1 + random.IntN(6) {
			all = append(all, drawQuiet(random, skus, month, fmt.Sprintf("%d-%d", random.IntN(9), i)))
		}
		var changes []*change.Change
		if one(3) {
			of := all[random.IntN(len(all))]
			changes = append(changes, &change.Change{ID: "e1", Type: change.QuantityChanged, Subject: of.Term.SubscriptionID, CustomerID: "C",
				At: (month.First() + pricing.Date(random.IntN(28))).Instant() + 9, Quantity: new(of.Quantity + 3), CustomTermEnd: pricing.NoDate})
		}
		bill := func(c Customer) (*Biller, Outcome, []string) {
			c.ID, c.Changes = "C", changes
			b := NewBiller(w, Books{}, month)
			outcome, err := b.Bill(c)
			if err != nil {
				t.Fatal(err)
			}
			outcome.End = subscription.End{Count: outcome.End.Count, Seats: outcome.End.Seats}
			outcome.Locks = nil
			slices.SortStableFunc(outcome.Exceptions, func(x, y Exception) int { return len(x.Message) - len(y.Message) })
			var lines []string
			for _, block := range b.Take()["P"] {
				for i := range block.Rows {
					line := block.Line(i)
					text, err := json.Marshal([]any{plain(*line), line.Item, line.Account})
					if err != nil {
						t.Fatal(err)
					}
					lines = append(lines, string(text))
				}
			}
			return b, outcome, lines
		}
		part := columns(all)
		b, got, gotLines := bill(Customer{Parts: []subscription.Part{part}})
		_, want, wantLines := bill(Customer{Standing: all})
		if !slices.Equal(gotLines, wantLines) {
			t.Fatalf("lines of %+v\nin columns\n%s\nlived\n%s", all, gotLines, wantLines)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("of %+v\nin columns %+v\nlived      %+v", all, got, want)
		}
		lived += len(b.quiet.rows)
		quiet += len(all) - len(b.quiet.rows)
	}
	if quiet < lived || lived == 0 {
		t.Errorf("%d were quiet and %d lived: want most quiet and some lived", quiet, lived)
	}
}

// drawQuiet draws a subscription as it stood before a month.
func drawQuiet(random *rand.Rand, skus []pricing.SKU, month pricing.Month, id string) subscription.Standing {
	one := func(of int) bool { return random.IntN(of) == 0 }
	offers := []struct {
		term pricing.Term
		plan pricing.Plan
	}{{pricing.P1M, pricing.Monthly}, {pricing.P1Y, pricing.Monthly}, {pricing.P1Y, pricing.Annual}, {pricing.P3Y, pricing.Monthly}, {pricing.P3Y, pricing.Annual}, {pricing.P3Y, pricing.Triennial}}
	o := offers[random.IntN(len(offers))]
	last := month.First() - 1
	start := last - pricing.Date(random.IntN(30*o.term.Months()))
	span := pricing.FullTerm(o.term, start, pricing.MonthEnd(random.IntN(2)))
	if one(6) {
		span, _ = span.WithEnd(max(last, span.End-pricing.Date(random.IntN(20))))
	}
	if one(12) {
		span = pricing.TrialTerm(o.term, max(start, last-20))
	}
	s := subscription.Standing{
		Term: &subscription.Term{SubscriptionID: id, OrderID: "O" + id, SKU: skus[random.IntN(len(skus))], AddOn: one(5), Span: span, Plan: o.plan,
			Lock: &subscription.Lock{UnitPrice: decimal.New(random.Int64N(1_000_000), -2), Currency: []string{"EUR", "USD", "GBP"}[random.IntN(20)/9],
				SkuTitle: "old", Source: subscription.Source{Market: "NL", Month: month - 3, File: "old.csv", SHA256: "00", Line: 7}}},
		Suspended: one(12), Cycle: span.CycleAt(o.plan, min(last, span.End)), Start: start.Instant(), Quantity: 1 + random.Int64N(300),
		TrialPlan: o.plan, AutoRenew: !one(8),
	}
	s.Layers = []subscription.Layer{{Seats: s.Quantity, Closed: true}}
	switch {
	case one(20):
		s.Next = &change.NextTerm{Quantity: new(s.Quantity + 1), CustomTermEnd: pricing.NoDate}
	case one(20):
		s.Promotion = "GONE"
	case one(20):
		s.Term.Lock.PromotionID, s.Term.Lock.Discount = "HALF", decimal.RequireFromString("0.5")
	case one(20):
		s.Term.Lock.UnitPrice = decimal.RequireFromString("9999999999999999999.99")
	}
	return s
}
