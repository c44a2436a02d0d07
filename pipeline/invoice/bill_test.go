package invoice_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

func TestAmounts(t *testing.T) {
	t.Parallel()
	// June has 30 days: 20 are left from the 11th on, 10 from the 21st. A third
	// of 10.00 never divides.
	const june = `
		e1 2023-06-01 buy S1 P1M Monthly 7
		e2 2023-06-11 seats S1 9
		e3 2023-06-21 cancel S1`
	in := func(currency, monthly, tax string, rounding pricing.Rounding) func(*world) {
		return func(w *world) {
			w.partner.BillingCurrency, w.prices, w.monthly = currency, currency, monthly
			w.partner.TaxRate, w.policies.Rounding = dec(tax), rounding
		}
	}
	tests := []struct {
		name    string
		world   func(*world)
		changes string
		want    string
	}{
		{"documented: a seat change truncates the line, all others the licence", in("EUR", "10", "0", pricing.Documented), june, `
			S1 new              7  70.00 0.00  70.00
			S1 addQuantity     -7 -46.66 0.00 -46.66
			S1 addQuantity      9  60.00 0.00  60.00
			S1 cancelImmediate -9 -29.97 0.00 -29.97`},
		{"unit: every line truncates the licence", in("EUR", "10", "0", pricing.Unit), june, `
			S1 new              7  70.00 0.00  70.00
			S1 addQuantity     -7 -46.62 0.00 -46.62
			S1 addQuantity      9  59.94 0.00  59.94
			S1 cancelImmediate -9 -29.97 0.00 -29.97`},
		{"line: every line truncates the product", in("EUR", "10", "0", pricing.WholeLine), june, `
			S1 new              7  70.00 0.00  70.00
			S1 addQuantity     -7 -46.66 0.00 -46.66
			S1 addQuantity      9  60.00 0.00  60.00
			S1 cancelImmediate -9 -30.00 0.00 -30.00`},

		{"tax is truncated toward zero, line by line, credits too", in("EUR", "10", "0.19", pricing.Documented), june, `
			S1 new              7  70.00 13.30  83.30
			S1 addQuantity     -7 -46.66 -8.86 -55.52
			S1 addQuantity      9  60.00 11.40  71.40
			S1 cancelImmediate -9 -29.97 -5.69 -35.66`},
		{"a yen has no cents", in("JPY", "1000", "0.1", pricing.Documented), june, `
			S1 new              7  7000  700  7700
			S1 addQuantity     -7 -4666 -466 -5132
			S1 addQuantity      9  6000  600  6600
			S1 cancelImmediate -9 -2997 -299 -3296`},
		{"a dinar has a thousand fils", in("KWD", "10", "0.05", pricing.Documented), june, `
			S1 new              7  70.000  3.500  73.500
			S1 addQuantity     -7 -46.666 -2.333 -48.999
			S1 addQuantity      9  60.000  3.000  63.000
			S1 cancelImmediate -9 -29.997 -1.499 -31.496`},
		{"a price of more digits than the currency has", in("EUR", "0.019", "0", pricing.Documented), `
			e1 2023-06-01 buy S1 P1M Monthly 1000`, `
			S1 new 1000 10.00 0.00 10.00`},
		{"the rate of the line's month, before the one truncation", func(w *world) {
			w.prices, w.partner.TaxRate = "USD", decimal.Zero
			w.rates = map[string]string{"USD/EUR 2023-06": "0.912345678", "USD/EUR 2023-07": "0.9"}
		}, `
			e1 2023-06-01 buy S1 P1M Monthly 7
			e2 2023-06-11 seats S1 9`, `
			S1 new          7  63.84 0.00  63.84
			S1 addQuantity -7 -42.57 0.00 -42.57
			S1 addQuantity  9  54.74 0.00  54.74`},
		{"a promotion comes before the truncation", in("EUR", "10", "0", pricing.Documented), `
			e1 2023-06-01 buy S1 P1M Monthly 3 THIRD
			e2 2023-06-11 seats S1 4`, `
			S1 new          3  19.98 0.00  19.98
			S1 addQuantity -3 -13.33 0.00 -13.33
			S1 addQuantity  4  17.77 0.00  17.77`},
		{"a credit is taxed", in("EUR", "10", "0.19", pricing.Documented), `
			e1 2023-06-01 buy S1 P1M Monthly 1
			e2 2023-06-02 credit 12.509
			e3 2023-06-03 credit 1 S1`, `
			   customerCredit -1 -12.50 -2.37 -14.87
			S1 new             1  10.00  1.90  11.90
			S1 customerCredit -1  -1.00 -0.19  -1.19`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			test.world(w)
			outcome, err := invoice.Bill(w, invoice.Books{}, month("2023-06"), invoice.Customer{ID: "C", Changes: history(test.changes)})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := squeeze(lines(outcome.Lines)), squeeze(test.want); got != want {
				t.Errorf("got\n%s\n%s\nwant\n%s", got, exceptions(outcome.Exceptions), want)
			}
		})
	}
}

// What a customer's system may rely upon besides the amount.
func TestLineFields(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.prices = "USD"
	w.rates = map[string]string{"USD/EUR 2023-06": "0.9"}
	outcome := must(invoice.Bill(w, invoice.Books{}, month("2023-06"), invoice.Customer{ID: "C", Changes: history(`
		e1 2023-06-01 buy S1 P1M Monthly 3 THIRD
		e2 2023-06-11 seats S1 4
		e3 2023-06-12 buy S2 P1Y Monthly 1`)}))
	minus, year := outcome.Lines[1], outcome.Lines[3]
	checks := []struct{ name, got, want string }{
		{"UnitPrice is the list price of a full cycle, positive", minus.UnitPrice.String(), "10"},
		{"EffectiveUnitPrice is prorated, discounted, signed, 10 decimals", minus.EffectiveUnitPrice.String(), "-4.4446666667"},
		{"a cycle of a year is a twelfth", year.UnitPrice.String(), "10"},
		{"PCToBCExchangeRate", minus.ExchangeRate.String(), "0.9"},
		{"PCToBCExchangeRateDate", minus.RateDate.String(), "2023-06-01"},
		{"currencies", minus.PricingCurrency + " " + minus.Currency, "USD EUR"},
		{"charge dates", minus.ChargeStart.String() + " " + minus.ChargeEnd.String(), "2023-06-11 2023-06-30"},
		{"term dates", year.TermStart.String() + " " + year.TermEnd.String(), "2023-06-12 2024-06-11"},
		{"order date", minus.OrderDate.String(), "2023-06-11"},
		{"promotion", minus.Item.PromotionID, "THIRD"},
		{"a plan of the whole term has no frequency", minus.Item.BillingFrequency, ""},
		{"a plan of a part has one", year.Item.BillingFrequency, "Monthly"},
		{"commitment", year.Item.TermAndBillingCycle, "One-year commitment for monthly billing"},
		{"names are the sheet's", year.Item.ProductName + ", " + year.Item.SkuName + ", " + year.Item.PublisherName, "Product A, SKU A, Microsoft"},
		{"proof", minus.Proof.EventID + " " + minus.Proof.Source.File + " " + minus.Proof.Source.Month.String(), "e2 prices.csv 2023-06"},
	}
	for _, c := range checks {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	const id = "7d9f1c1e-4a52-4b8e-9a1f-0c4a1d2b3e4f"
	bill := func() []*invoice.Line {
		return must(invoice.Bill(newWorld(), invoice.Books{}, month("2023-07"), invoice.Customer{ID: "C", Changes: history(`
			e1 2023-06-15 buy S1 P1Y Monthly 7
			` + id + ` 2023-07-16 seats S1 9
			e3 2023-07-16 seats S1 10
			e1 2023-06-15 buy S2 P1Y Monthly 7`)})).Lines
	}
	l, again := bill(), bill()
	if len(l) != 6 {
		t.Fatalf("%d lines:\n%s", len(l), lines(l))
	}
	for i := range l {
		if l[i].ReferenceID != again[i].ReferenceID {
			t.Errorf("line %d: %s, then %s for the same input", i, l[i].ReferenceID, again[i].ReferenceID)
		}
	}
	if l[1].ReferenceID != id || l[2].ReferenceID != id {
		t.Errorf("the pair of a UUID: %s and %s, want %s", l[1].ReferenceID, l[2].ReferenceID, id)
	}
	if l[3].ReferenceID != l[4].ReferenceID {
		t.Errorf("the lines of one event: %s and %s", l[3].ReferenceID, l[4].ReferenceID)
	}
	for _, i := range []int{0, 3, 5} {
		if u, err := uuid.Parse(l[i].ReferenceID); err != nil || u.Version() != 5 {
			t.Errorf("line %d: %s, want a UUID of version 5", i, l[i].ReferenceID)
		}
	}
	if l[0].ReferenceID == l[5].ReferenceID || l[0].ReferenceID == l[3].ReferenceID {
		t.Error("two cycles or events share a reference")
	}
}

// By subscription, its bytes, then order date; of one day as the rules produce them.
func TestOrder(t *testing.T) {
	t.Parallel()
	outcome := must(invoice.Bill(newWorld(), invoice.Books{}, month("2023-06"), invoice.Customer{ID: "C", Changes: history(`
		e1 2023-06-01 buy s1 P1M Monthly 7
		e2 2023-06-02 buy S2 P1M Monthly 1
		e3 2023-06-03 buy S10 P1M Monthly 1
		e4 2023-05-20 buy S1 P1M Monthly 2
		e5 2023-06-20 seats S1 3
		e6 2023-06-20 seats S1 4
		e7 2023-06-19 credit 1 S1`),
		Elsewhere: []invoice.Elsewhere{{Line: usage("S1", "2023-06-18", 500), Month: month("2023-06")}}}))
	want := squeeze(`
		S1 usage 1 5.00 0.00 5.00
		S1 customerCredit -1 -1.00 -0.19 -1.19
		S1 renew 2 20.00 3.80 23.80
		S1 addQuantity -2 -20.00 -3.80 -23.80
		S1 addQuantity 3 30.00 5.70 35.70
		S1 addQuantity -3 -30.00 -5.70 -35.70
		S1 addQuantity 4 40.00 7.60 47.60
		S10 new 1 10.00 1.90 11.90
		S2 new 1 10.00 1.90 11.90
		s1 new 7 70.00 13.30 83.30`)
	if got := lines(outcome.Lines); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// usage is a charge that was rated elsewhere.
func usage(subscriptionID, day string, subtotal int64) *invoice.Line {
	return &invoice.Line{
		Account: &invoice.Account{PartnerID: "P", CustomerID: "C", CustomerName: "Customer C"}, Item: &invoice.Item{ProductID: "U"},
		SubscriptionID: subscriptionID, ChargeType: "usage", OrderDate: at(day), ChargeStart: at(day), ChargeEnd: at(day),
		TermStart: pricing.NoDate, TermEnd: pricing.NoDate, RateDate: pricing.NoDate, ReferenceID: "usage",
		Quantity: dec("1"), BillableQuantity: dec("1"), UnitPrice: decimal.New(subtotal, -2), EffectiveUnitPrice: decimal.New(subtotal, -2),
		Subtotal: subtotal, Total: subtotal, Currency: "EUR", PricingCurrency: "EUR", ExchangeRate: dec("1"),
	}
}

func TestExceptions(t *testing.T) {
	t.Parallel()
	elsewhere := func(change func(*invoice.Line)) []invoice.Elsewhere {
		l := usage("S7", "2023-06-18", 500)
		change(l)
		return []invoice.Elsewhere{{Line: l, Month: month("2023-06")}}
	}
	const bought = `e1 2023-05-10 buy S1 P1Y Monthly 7`
	since := func(code pricing.Code) func(*world) {
		return func(w *world) {
			w.unknown = func(m pricing.Month) pricing.Code {
				if m < month("2023-06") {
					return ""
				}
				return code
			}
		}
	}
	tests := []struct {
		name     string
		world    func(*world)
		customer invoice.Customer
		want     string
	}{
		{"no rate", func(w *world) { w.prices = "USD" }, invoice.Customer{Changes: history(bought)},
			`error FX_RATE_NOT_FOUND P/C "S1" "" 2023-06: cycleCharge of 2023-06-10 is not billed: no rate from USD to EUR for 2023-06`},
		{"no rate, by an event", func(w *world) { w.prices = "USD" }, invoice.Customer{Changes: history(`e1 2023-06-10 buy S1 P1M Monthly 7`)},
			`error FX_RATE_NOT_FOUND P/C "S1" "e1" 2023-06: new of 2023-06-10 is not billed: no rate from USD to EUR for 2023-06`},
		{"the customer is unknown in the month", since(pricing.UnknownCustomer), invoice.Customer{Changes: history(bought)},
			`error UNKNOWN_CUSTOMER P/C "S1" "" 2023-06: cycleCharge of 2023-06-10 is not billed: the customer or its partner is unknown`},
		{"the partner is unknown in the month", since(pricing.UnknownPartner), invoice.Customer{Changes: history(bought)},
			`error UNKNOWN_PARTNER P/C "S1" "" 2023-06: cycleCharge of 2023-06-10 is not billed: the customer or its partner is unknown`},
		{"the partner's currency is none", func(w *world) { w.partner.BillingCurrency = "EURO" }, invoice.Customer{Changes: history(bought)},
			`error CURRENCY_MISMATCH P/C "S1" "" 2023-06: cycleCharge of 2023-06-10 is not billed: the partner's currency EURO is unknown`},
		{"an amount that no file could hold", func(w *world) { w.monthly = "99999999999" }, invoice.Customer{Changes: history(`e1 2023-06-10 buy S1 P1M Monthly 900000000`)},
			`error INVALID_CHANGE P/C "S1" "e1" 2023-06: new of 2023-06-10 is not billed: amount has more than 18 digits`},

		{"an id with a second content", func(*world) {}, invoice.Customer{Conflicts: history(`e1 2023-06-10 buy S1 P1M Monthly 7`)},
			`error CONFLICTING_CHANGE P/C "S1" "e1" 2023-06: subscription.purchased at 2023-06-10T09:00:00Z: the id was taken in before with another content, which stands`},
		{"a credit's id with a second content", func(*world) {}, invoice.Customer{Conflicts: history(`e1 2023-06-10 credit 5 S1`)},
			`error CONFLICTING_CHANGE P/C "S1" "e1" 2023-06: customer.credited at 2023-06-10T09:00:00Z: the id was taken in before with another content, which stands`},
		{"a second content of another month stands there", func(*world) {}, invoice.Customer{Conflicts: history(`e1 2023-07-10 buy S1 P1M Monthly 7`)}, ``},

		{"rated elsewhere in another currency", func(*world) {}, invoice.Customer{Elsewhere: elsewhere(func(l *invoice.Line) { l.Currency = "USD" })},
			`error CURRENCY_MISMATCH P/C "S7" "" 2023-06: usage of 2023-06-18 rated elsewhere is not billed: it is in USD, the invoice in EUR`},
		{"rated elsewhere for a partner that nobody knows", func(*world) {}, invoice.Customer{Elsewhere: elsewhere(func(l *invoice.Line) { l.Account.PartnerID = "Q" })},
			`error UNKNOWN_PARTNER Q/C "S7" "" 2023-06: usage of 2023-06-18 rated elsewhere is not billed: the partner was not taken in`},

		{"a refusal names the partner", func(w *world) { w.policies.Trust = false }, invoice.Customer{Changes: history(`
			e1 2023-06-01 buy S1 P1M Monthly 7
			e2 2023-06-20 cancel S1`)},
			`error CANCEL_WINDOW_CLOSED P/C "S1" "e2" 2023-06: subscription.canceled at 2023-06-20T09:00:00Z: the window closed on 2023-06-08T09:00:00Z, 168 hours after the term's start`},
		{"a warning is one", func(*world) {}, invoice.Customer{Changes: history(`e1 2023-06-01 buy S1 P1M Monthly 7 NONE`)},
			`warning PROMOTION_NOT_APPLIED P/C "S1" "e1" 2023-06: promotion NONE does not fit A/0001 P1M Monthly on 2023-06-01: billed without it`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			test.world(w)
			test.customer.ID = "C"
			outcome := must(invoice.Bill(w, invoice.Books{}, month("2023-06"), test.customer))
			if got := exceptions(outcome.Exceptions); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			if strings.Contains(test.want, "is not billed") && len(outcome.Lines) > 0 {
				t.Errorf("it is billed:\n%s", lines(outcome.Lines))
			}
		})
	}
}

// A parked term stands in the exceptions of each of its months.
func TestParkedStandsInEveryMonth(t *testing.T) {
	t.Parallel()
	changes := []*change.Change{{ID: "e1", Type: change.Purchased, Subject: "S1", CustomerID: "C", At: at("2023-05-10").Instant(),
		SKU: pricing.SKU{ProductID: "X", SkuID: "0001"}, TermDuration: "P1Y", BillingCycle: "Annual", Quantity: seats("3"), CustomTermEnd: pricing.NoDate}}
	for _, m := range []string{"2023-05", "2023-06", "2024-04"} {
		outcome := must(invoice.Bill(newWorld(), invoice.Books{}, month(m), invoice.Customer{ID: "C", Changes: changes}))
		want := `error PRICE_NOT_FOUND P/C "S1" "e1" ` + m + `: not billed from 2023-05-10: X/0001 P1Y Annual DE Commercial has no row (sheet DE 2023-05, prices.csv)`
		if got := exceptions(outcome.Exceptions); got != want || outcome.Count.Parked != 1 {
			t.Errorf("%s: got %s, %d parked, want\n%s", m, got, outcome.Count.Parked, want)
		}
	}
}
