package reconcile

import (
	"fmt"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// drawLine draws a line out of few values, so that many have much in common,
// and amounts that follow from nothing.
func drawLine(t *rapid.T) *invoice.Line {
	start := pricing.DateOf(2024, 2, 25) + pricing.Date(rapid.IntRange(0, 5).Draw(t, "start")*9)
	l := &invoice.Line{
		Account:        &invoice.Account{PartnerID: "P", CustomerID: "C"},
		Item:           &invoice.Item{ProductID: "A", SkuID: "0001", PromotionID: rapid.SampledFrom([]string{"", "X"}).Draw(t, "promotion")},
		SubscriptionID: rapid.SampledFrom([]string{"S1", "S2"}).Draw(t, "subscription"),
		ChargeType:     rapid.SampledFrom([]string{"new", "cycleCharge", "addQuantity", "customerCredit", "usage"}).Draw(t, "type"),
		OrderDate:      start, ChargeStart: start, ChargeEnd: start + pricing.Date(rapid.IntRange(0, 2).Draw(t, "days")*15),
		Quantity:        decimal.NewFromInt(rapid.Int64Range(0, 4).Draw(t, "quantity")),
		UnitPrice:       decimal.New(rapid.Int64Range(0, 3).Draw(t, "price")*500, -2),
		Currency:        rapid.SampledFrom([]string{"EUR", "EUR", "EUR", "JPY"}).Draw(t, "currency"),
		PricingCurrency: rapid.SampledFrom([]string{"EUR", "USD"}).Draw(t, "pricing"),
		ExchangeRate:    decimal.New(rapid.Int64Range(0, 2).Draw(t, "rate")*5, -1),
		ReferenceID:     rapid.SampledFrom([]string{"", "r1", "r2"}).Draw(t, "reference"),
		Subtotal:        rapid.SampledFrom([]int64{0, 500, 1000, -500, -1000, 1500, 333}).Draw(t, "subtotal"),
		TaxTotal:        rapid.SampledFrom([]int64{0, 0, 95, -95}).Draw(t, "tax"),
	}
	l.BillableQuantity = l.Quantity
	l.EffectiveUnitPrice = l.UnitPrice
	l.Total = l.Subtotal + l.TaxTotal + rapid.SampledFrom([]int64{0, 0, 0, 7}).Draw(t, "slip")
	return l
}

// Whatever the lines: each of the month is in one match, and the causes add up
// to theirs - ours, match by match and by currency. The same again is the same.
func TestEverythingIsAccountedFor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		march := pricing.MonthOf(2024, 3)
		months := []pricing.Month{march - 1, march, march + 1}
		g := &Group{PartnerID: "P", CustomerID: "C", Month: march, OurMonths: months, TheirMonths: months}
		for range rapid.IntRange(0, 7).Draw(t, "ours") {
			g.Ours = append(g.Ours, Ours{Line: drawLine(t), Month: rapid.SampledFrom(append(months, march)).Draw(t, "month"), Row: len(g.Ours) + 1})
		}
		for range rapid.IntRange(0, 7).Draw(t, "theirs") {
			g.Theirs = append(g.Theirs, Billed{Line: drawLine(t), Month: rapid.SampledFrom(append(months, march)).Draw(t, "month"), Row: int64(len(g.Theirs) + 1),
				Lacks: Fields(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 4, 8, 24, 32, 256}).Draw(t, "lacks"))})
		}
		r, err := Reconcile(nil, g)
		if err != nil {
			t.Fatal(err)
		}
		account(t, g, r)
		again, err := Reconcile(nil, g)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(r) {
			t.Fatalf("again, it is\n%v\nnot\n%v (%v)", again, r, err)
		}
	})
}

// account fails unless the result accounts for every line and every cent.
func account(t *rapid.T, g *Group, r Result) {
	seen := make(map[*invoice.Line]int)
	left := make(map[string]Amount) // theirs - ours - causes
	for _, m := range r.Matches {
		causes := make(map[string]Amount)
		names := make(map[string]bool)
		for _, d := range m.Differences {
			causes[d.Currency] = causes[d.Currency].Add(d.Amount)
			left[d.Currency] = left[d.Currency].Sub(d.Amount)
			if name := string(d.Cause) + d.Currency; names[name] && m.Step != StepCurrency {
				t.Fatalf("%s names %s twice", m.Step, d.Cause)
			} else {
				names[name] = true
			}
			if d.Explanation == "" {
				t.Fatalf("%s of %s says nothing", d.Cause, m.Step)
			}
		}
		if causes[m.Currency] != m.Difference {
			t.Fatalf("%s: causes %v of a difference of %v", m.Step, causes[m.Currency], m.Difference)
		}
		for _, o := range m.Ours {
			seen[o.Line]++
		}
		for _, b := range m.Theirs {
			seen[b.Line]++
		}
	}
	count := func(l *invoice.Line, month pricing.Month) bool {
		if n := seen[l]; n > 1 || n == 0 && month == g.Month {
			t.Fatalf("a line of %s is in %d matches", month, n)
		}
		return month == g.Month
	}
	for _, o := range g.Ours {
		if count(o.Line, o.Month) {
			left[o.Line.Currency] = left[o.Line.Currency].Sub(amountOf(o.Line))
		}
	}
	for _, b := range g.Theirs {
		if count(b.Line, b.Month) {
			left[b.Line.Currency] = left[b.Line.Currency].Add(amountOf(b.Line))
		}
	}
	for currency, amount := range left {
		if !amount.IsZero() {
			t.Fatalf("%s: %v is not accounted for", currency, amount)
		}
	}
}

// The rounding check on integers comes to what it does on fractions.
func TestFastFitIsSlowFit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		price := decimal.New(rapid.Int64Range(0, 1e14).Draw(t, "price"), -rapid.SampledFrom([]int32{0, 2, 4, 6, 9, 10}).Draw(t, "scale"))
		rate := decimal.New(rapid.Int64Range(1, 2_000_000_000).Draw(t, "rate"), -rapid.SampledFrom([]int32{0, 3, 9}).Draw(t, "rate scale"))
		quantity := rapid.Int64Range(1, 5000).Draw(t, "quantity")
		digits := rapid.SampledFrom([]string{"JPY", "EUR", "KWD"}).Draw(t, "currency")
		l := &invoice.Line{EffectiveUnitPrice: price, ExchangeRate: rate, BillableQuantity: decimal.NewFromInt(quantity), Currency: digits}
		d, _ := pricing.MinorDigits(digits)
		near := perLine
		if rapid.Bool().Draw(t, "by the unit") {
			near = perUnit
		}
		amount := near.apply(exactly(price.Rat()), rate.Rat(), l.BillableQuantity.Rat(), d)
		if !amount.low.IsInt64() || amount.low.Int64() > 1e15 {
			t.Skip("no amount of money")
		}
		l.Subtotal = amount.amount(amount.low) + rapid.Int64Range(-1, 1).Draw(t, "off")
		if l.Subtotal < 0 {
			l.Subtotal = 0
		}
		if fast, ok := fastFit(price, rate, quantity, l.Subtotal, d); ok {
			if slow := slowFit(&Billed{Line: l}, d); fast != slow {
				t.Fatalf("%s x %s x %d = %d: fast %v, slow %v", price, rate, quantity, l.Subtotal, fast, slow)
			}
		}
	})
}

// What a line is made of comes back out of its printed numbers.
func TestFactorsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		plan := rapid.SampledFrom([]pricing.Plan{pricing.Monthly, pricing.Annual}).Draw(t, "plan")
		start := pricing.DateOf(2023, 1, 1) + pricing.Date(rapid.IntRange(0, 700).Draw(t, "day"))
		span := pricing.FullTerm(pricing.P1Y, start, pricing.Clamp)
		event := start + pricing.Date(rapid.IntRange(0, 364).Draw(t, "event"))
		cycle := span.CycleAt(plan, event)
		pair := rapid.Bool().Draw(t, "pair")
		c := pricing.Calculation{
			UnitPrice: decimal.New(rapid.Int64Range(100, 5_000_000).Draw(t, "price"), -2), CycleMonths: cycle.Months, TermMonths: 12,
			BillingDays: cycle.From(event), CycleDays: cycle.Days, ExchangeRate: decimal.New(rapid.Int64Range(1, 2_000_000_000).Draw(t, "rate"), -9),
			Quantity: rapid.Int64Range(1, 3000).Draw(t, "quantity"), PerUnit: pricing.Documented.PerUnit(pair), MinorDigits: 2,
		}
		rated, err := c.Rate()
		if err != nil {
			t.Skip(err)
		}
		l := &invoice.Line{Account: &invoice.Account{}, Item: &invoice.Item{}, ChargeType: "new", OrderDate: event, ChargeStart: event, ChargeEnd: cycle.Last,
			UnitPrice: rated.UnitPrice, EffectiveUnitPrice: rated.EffectiveUnitPrice, BillableQuantity: decimal.NewFromInt(c.Quantity),
			ExchangeRate: c.ExchangeRate, Currency: "EUR", PricingCurrency: "USD", Subtotal: rated.Subtotal}
		if pair {
			l.ChargeType = "addQuantity"
		}
		e := newEntry(l, 0, 0, l.BillableQuantity, 0)
		b := newBill([]*entry{&e})
		f, ok := newExplainer(nil, &Group{}, nil).readOurs(&b)
		if !ok || !f.gives(rated.Subtotal) {
			t.Fatalf("read as %+v", f)
		}
	})
}
