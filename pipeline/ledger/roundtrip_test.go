package ledger_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Every kind of row comes back as it was put, whatever is in it. Each draws one
// value of every type; a failure names the field.

func text(t *rapid.T) string { return rapid.String().Draw(t, "text") }

// name is a text by which something is looked up.
func name(t *rapid.T) string { return rapid.StringN(1, 20, -1).Draw(t, "name") }

// number draws a decimal in the form in which it is printed.
func number(t *rapid.T) decimal.Decimal {
	d := decimal.New(rapid.Int64Range(0, 1e15).Draw(t, "coefficient"), rapid.Int32Range(-12, 4).Draw(t, "exponent"))
	return dec(d.String())
}

func instant(t *rapid.T) pricing.Instant {
	return pricing.Instant(rapid.Int64Range(-1e17, 1e17).Draw(t, "instant"))
}

func date(t *rapid.T) pricing.Date {
	return pricing.Date(rapid.OneOf(rapid.Just(int32(pricing.NoDate)), rapid.Int32Range(-30000, 60000)).Draw(t, "date"))
}

func drawSKU(t *rapid.T) pricing.SKU { return pricing.SKU{ProductID: text(t), SkuID: text(t)} }

func drawTerm(t *rapid.T) pricing.Term {
	return rapid.SampledFrom([]pricing.Term{pricing.NoTerm, pricing.P1M, pricing.P1Y, pricing.P3Y}).Draw(t, "term")
}

func drawPlan(t *rapid.T) pricing.Plan {
	return rapid.SampledFrom([]pricing.Plan{pricing.NoPlan, pricing.PlanNone, pricing.Monthly, pricing.Annual, pricing.Triennial}).Draw(t, "plan")
}

// maybe draws a value or none.
func maybe[T any](t *rapid.T, draw func(*rapid.T) T) *T {
	if rapid.Bool().Draw(t, "given") {
		return new(draw(t))
	}
	return nil
}

func whole(t *rapid.T) int64 { return rapid.Int64().Draw(t, "whole") }
func yesNo(t *rapid.T) bool  { return rapid.Bool().Draw(t, "yes") }

func drawChange(t *rapid.T) change.Change {
	c := change.Change{
		ID: text(t), Source: text(t), Type: change.Type(text(t)), At: instant(t), Subject: text(t), CustomerID: name(t), Override: text(t),
		SKU: drawSKU(t), TermDuration: text(t), BillingCycle: text(t), PromotionID: text(t), Quantity: maybe(t, whole), OrderID: text(t),
		AvailabilityID: text(t), ParentID: text(t), ToSubscription: text(t), IsTrial: yesNo(t), AutoRenew: maybe(t, yesNo), CustomTermEnd: date(t),
		UnitPrice: maybe(t, number), Amount: maybe(t, number), Currency: text(t), SubscriptionID: text(t), Reason: text(t), EventID: text(t),
		NextTerm: maybe(t, drawNextTerm), Defect: text(t), Taken: change.Position{Record: whole(t)},
	}
	copy(c.Content[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "content"))
	return c
}

func drawNextTerm(t *rapid.T) change.NextTerm {
	return change.NextTerm{SKU: drawSKU(t), TermDuration: text(t), BillingCycle: text(t), AvailabilityID: text(t), PromotionID: text(t),
		Quantity: maybe(t, whole), CustomTermEnd: date(t)}
}

func TestChangesComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newStore()
		put := drawChange(t)
		s.take(ledger.Changes, "", must(s.PutChanges(s.ctx, []change.Change{put}))...)
		put.Taken.Input = 1
		got := 0
		for h, err := range s.each(s.ctx, s.inputs) {
			if err != nil {
				t.Fatal(err)
			}
			got += len(h.Changes)
			if !reflect.DeepEqual(*h.Changes[0], put) {
				t.Fatalf("got\n%+v\nwant\n%+v", *h.Changes[0], put)
			}
		}
		if got != 1 {
			t.Fatalf("%d changes", got)
		}
		all := s.All(s.ctx, s.inputs, ledger.Span{Until: ledger.Ever})
		defer all.Close()
		one := must(all.Of(put.CustomerID))
		if len(one) != 1 {
			t.Fatalf("%d changes of the customer", len(one))
		}
		same(t, *one[0], put)
	})
}

// Changes of many objects come back in order, and of any customer alone.
func TestManyChangesComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newStore()
		var put []*change.Change
		for range rapid.IntRange(1, 4).Draw(t, "files") {
			var file []change.Change
			for i := range rapid.IntRange(0, 400).Draw(t, "changes") {
				c := changeOf(rapid.IntRange(0, 5000).Draw(t, "change"))
				c.Taken.Record = int64(i)
				file = append(file, c)
			}
			s.take(ledger.Changes, "", must(s.PutChanges(s.ctx, file))...)
			for _, c := range file {
				c.Taken.Input = int64(len(s.inputs))
				put = append(put, &c)
			}
		}
		slices.SortFunc(put, change.Compare)
		var got []*change.Change
		of := make(map[string][]*change.Change)
		for group, err := range s.Groups(s.ctx, s.inputs, ledger.Span{Until: ledger.Ever}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, group...)
			of[group[0].CustomerID] = group
		}
		if len(got) != len(put) {
			t.Fatalf("%d changes of %d", len(got), len(put))
		}
		for i := range put {
			same(t, *got[i], *put[i])
		}
		all := s.All(s.ctx, s.inputs, ledger.Span{Until: ledger.Ever})
		defer all.Close()
		for _, id := range slices.Sorted(maps.Keys(of)) {
			if !rapid.Bool().Draw(t, "asked for") {
				continue
			}
			one := must(all.Of(id))
			slices.SortFunc(one, change.Compare)
			same(t, one, of[id])
		}
	})
}

func TestRowsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newStore()
		partner := party.Partner{ID: name(t), Name: text(t), Country: text(t), BillingCurrency: text(t), MpnID: text(t), TaxRate: number(t)}
		s.take(ledger.Partners, "", must(s.PutPartners(s.ctx, []party.Partner{partner})))
		customer := party.Customer{ID: name(t), Name: text(t), Domain: text(t), Country: text(t), Segment: text(t), PartnerID: partner.ID, ResellerMpnID: text(t),
			Relationship: rapid.SampledFrom([]party.Relationship{"", party.Accepted, party.Unasked}).Draw(t, "relationship")}
		s.take(ledger.Customers, "", must(s.PutCustomers(s.ctx, []party.Customer{customer})))
		promotion := pricing.Promotion{ID: name(t), SKU: drawSKU(t), Term: drawTerm(t), Plan: drawPlan(t), Start: instant(t), End: instant(t), Discount: number(t)}
		s.take(ledger.Promotions, "", must(s.PutPromotions(s.ctx, []pricing.Promotion{promotion})))
		offer := pricing.Offer{SKU: drawSKU(t), MinLicenses: whole(t), MaxLicenses: whole(t)}
		for range rapid.IntRange(0, 3).Draw(t, "conversions") {
			offer.Conversions = append(offer.Conversions, drawSKU(t))
		}
		s.take(ledger.Offers, "", must(s.PutOffers(s.ctx, []pricing.Offer{offer})))
		usd := number(t)
		s.take(ledger.Rates, "", must(s.PutRates(s.ctx, []pricing.FXRate{{Currency: "EUR", Month: month("2023-06"), USDPerUnit: usd}})))
		lock := ledger.Lock{CustomerID: customer.ID,
			Key: subscription.LockKey{SubscriptionID: text(t), At: instant(t), SKU: drawSKU(t), Term: drawTerm(t), Plan: drawPlan(t)},
			Lock: subscription.Lock{UnitPrice: number(t), Currency: text(t), PromotionID: text(t), Discount: number(t), ProductTitle: text(t),
				SkuTitle: text(t), Publisher: text(t), Asked: text(t), Source: subscription.Source{Market: text(t),
					Month: pricing.Month(rapid.Int32().Draw(t, "month")), File: text(t), SHA256: text(t), Line: rapid.Int().Draw(t, "line")}}}
		k := closed("2023-06", len(s.inputs))
		k.Locks = s.putLocks(lock)

		c := s.load(t, k)
		payer, _ := c.Payer(customer.ID, month("2023-07"))
		same(t, payer.Partner, partner)
		same(t, payer.Customer, customer)
		same(t, c.Promotions(promotion.ID), []pricing.Promotion{promotion})
		gotOffer, _ := c.Offer(offer.SKU, month("2023-07"))
		same(t, gotOffer, offer)
		same(t, s.locksOf(customer.ID, k)[lock.Key], lock.Lock)
		if rate, ok := c.Rate("EUR", "USD", month("2023-06")); !ok || !rate.Equal(pricing.ExchangeRate(usd, dec("1"))) {
			t.Fatalf("rate %s of %s", rate, usd)
		}
	})
}

func TestPricesComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newStore()
		row := pricing.Row{SKU: drawSKU(t), Term: drawTerm(t), Plan: drawPlan(t), Market: "DE", Segment: text(t), Currency: text(t), UnitPrice: number(t),
			Start: instant(t), End: instant(t), Tiered: yesNo(t), ProductTitle: text(t), SkuTitle: text(t), Publisher: text(t), Line: rapid.Int().Draw(t, "line")}
		o := must(s.PutPrices(s.ctx, "DE", []pricing.Row{row}))
		rows := must(s.PriceRows(s.ctx, o))
		same(t, rows, []pricing.Row{row})
		s.take(ledger.Prices, "2023-06", o)
		sheet := must(s.load(t).Sheet("DE", month("2023-06")))
		same(t, sheet.Rows(), rows)
	})
}

// same compares what was read with what was put. Numbers are equal in text too.
func same[T any](t *rapid.T, got, want T) {
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got\n%s\nwant\n%s", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
	}
}

func drawLock(t *rapid.T) *subscription.Lock {
	few := rapid.SampledFrom([]string{"", "A", "B"})
	return &subscription.Lock{UnitPrice: dec(rapid.SampledFrom([]string{"1", "7", "2.5"}).Draw(t, "price")), Currency: few.Draw(t, "currency"),
		PromotionID: few.Draw(t, "promotion"), Discount: dec(rapid.SampledFrom([]string{"0", "0.05"}).Draw(t, "discount")),
		ProductTitle: few.Draw(t, "product"), SkuTitle: text(t), Publisher: few.Draw(t, "publisher"), Asked: few.Draw(t, "asked"),
		Source: subscription.Source{Market: few.Draw(t, "market"), Month: pricing.Month(rapid.Int32().Draw(t, "month")), File: few.Draw(t, "file"),
			SHA256: few.Draw(t, "sum"), Line: rapid.SampledFrom([]int{0, 2, 1 << 40}).Draw(t, "line")}}
}

func drawStanding(t *rapid.T, locks []*subscription.Lock) subscription.Standing {
	day := func() pricing.Date { return date(t) }
	s := subscription.Standing{
		Term: &subscription.Term{SubscriptionID: text(t), OrderID: text(t), AvailabilityID: text(t), AddOn: yesNo(t), SKU: drawSKU(t),
			Span: pricing.TermSpan{Term: drawTerm(t), Start: day(), End: day(), Custom: yesNo(t), MonthEnd: pricing.MonthEnd(rapid.IntRange(0, 1).Draw(t, "month end")), Trial: yesNo(t)},
			Plan: drawPlan(t), Lock: rapid.SampledFrom(locks).Draw(t, "lock")},
		Suspended: yesNo(t), Cycle: pricing.Cycle{First: day(), Last: day(), Days: rapid.IntRange(0, 31).Draw(t, "days"), Months: rapid.IntRange(0, 36).Draw(t, "months")},
		Start: instant(t), Quantity: whole(t), TrialPlan: drawPlan(t), AutoRenew: yesNo(t), Next: maybe(t, drawNextTerm),
		Promotion: text(t), Touched: yesNo(t), Upgraded: yesNo(t),
	}
	s.Layers = []subscription.Layer{{Seats: s.Quantity, Closed: true}}
	if yesNo(t) {
		s.Layers = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) subscription.Layer {
			return subscription.Layer{Seats: whole(t), Added: instant(t), Closed: yesNo(t)}
		}), 2, 5).Draw(t, "layers")
	}
	return s
}

// The state at a close comes back as it was put, customer by customer; those that
// have subscriptions and are not there are left out.
func TestStandingsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newStore()
		locks := rapid.SliceOfN(rapid.Custom(drawLock), 1, 4).Draw(t, "locks")
		ids := rapid.SliceOfNDistinct(rapid.String(), 0, 6, rapid.ID).Draw(t, "customers")
		slices.Sort(ids)
		at := &ledger.AtClose{}
		var put []ledger.Standing
		for len(ids) > 0 { // some objects, each with some customers
			n := rapid.IntRange(1, len(ids)).Draw(t, "in an object")
			var all ledger.Standings
			for _, id := range ids[:n] {
				c := ledger.Standing{CustomerID: id, LookBack: yesNo(t), Ended: rapid.IntRange(0, 1000).Draw(t, "ended"), Seen: ledger.Marks{}}
				c.Seen = c.Seen.Add(rapid.SliceOfN(rapid.String(), 0, 5).Draw(t, "seen"))
				for range rapid.IntRange(0, 4).Draw(t, "subscriptions") {
					c.Subscriptions = append(c.Subscriptions, drawStanding(t, locks))
				}
				put = append(put, c)
				if err := all.Add(&c); err != nil {
					t.Fatal(err)
				}
			}
			customers, subscriptions, err := all.Finish()
			if err != nil {
				t.Fatal(err)
			}
			at.Customers = append(at.Customers, must(s.Put(s.ctx, customers))...)
			at.Subscriptions = append(at.Subscriptions, must(s.Put(s.ctx, subscriptions))...)
			ids = ids[n:]
		}
		r := s.Standings(s.ctx, at)
		defer r.Close()
		for _, want := range put {
			got := must(r.Next())
			if got == nil {
				t.Fatalf("customer %q is missing", want.CustomerID)
			}
			same(t, *got, want)
		}
		if more := must(r.Next()); more != nil {
			t.Fatalf("one more: %+v", more)
		}
	})
}

// Many customers come back over the borders of what is read at a time.
func TestManyStandingsComeBack(t *testing.T) {
	t.Parallel()
	s := newStore()
	r := s.Standings(s.ctx, s.standAll(t, 3000, 7))
	defer r.Close()
	n := 0
	for c := must(r.Next()); c != nil; c = must(r.Next()) {
		if want := customerID(n / 7); c.CustomerID != want || len(c.Subscriptions) != 7 {
			t.Fatalf("customer %s with %d subscriptions, want %s with 7", c.CustomerID, len(c.Subscriptions), want)
		}
		for _, got := range c.Subscriptions {
			want := standingOf(n)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("subscription %d\ngot  %+v\nwant %+v", n, got, want)
			}
			n++
		}
	}
	if n != 3003 {
		t.Errorf("%d subscriptions, want 3003", n)
	}
}
