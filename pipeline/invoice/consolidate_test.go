package invoice_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

var policies = invoice.Policies{Rounding: "documented", MonthEnd: "clamp", Windows: "enforce"}

func TestConsolidate(t *testing.T) {
	t.Parallel()
	partner := party.Partner{ID: "P", Name: "Partner", Country: "DE", BillingCurrency: "EUR", MpnID: "4711", TaxRate: dec("0.190")}
	charge := func(customer, kind string, subtotal int64) *invoice.Line {
		l := usage("S1", "2023-06-18", subtotal)
		l.Account = &invoice.Account{PartnerID: "P", CustomerID: customer, CustomerName: "Customer " + customer}
		l.ChargeType = kind
		return l
	}
	correction := charge("B", "new", -300)
	correction.CreditReasonCode, correction.PriceAdjustment = "Correction", `["Correction of C202305-000001 line 1"]`
	priced := charge("B", "renew", 200)
	priced.PricingCurrency, priced.ExchangeRate, priced.RateDate = "USD", dec("0.9"), at("2023-06-01")
	priced.Proof = &invoice.Proof{Source: subscription.Source{Market: "DE", Month: month("2023-06"), File: "june.csv", SHA256: "june"}}
	older := charge("B", "cycleCharge", 50)
	older.Proof = &invoice.Proof{Source: subscription.Source{Market: "DE", Month: month("2023-05"), File: "may.csv", SHA256: "may"}}
	own := charge("B", "cycleCharge", 1)
	own.Proof = &invoice.Proof{}

	inv, err := consolidate(month("2023-06"), partner, policies, []*invoice.Line{
		charge("A", "usage", 7), charge("A", "customerCredit", -20), charge("A", "new", 100), charge("B", "new", 1000), correction, priced, priced, older, own,
	})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintln(&text, inv.Month, inv.Kind, inv.PartnerID, inv.PartnerName, inv.Country, inv.MpnID, inv.Currency, inv.MinorDigits, inv.TaxRate, inv.Policies)
	fmt.Fprintln(&text, "total", inv.Totals)
	for _, s := range inv.Sections {
		fmt.Fprintln(&text, "section", s.Name, s.Totals)
	}
	for _, c := range inv.Customers {
		fmt.Fprintln(&text, "customer", c.CustomerID, c.CustomerName, c.Totals)
	}
	for _, s := range inv.Sheets {
		fmt.Fprintln(&text, "sheet", s)
	}
	for _, r := range inv.Rates {
		fmt.Fprintln(&text, "rate", r)
	}
	want := `
		2023-06 invoice P Partner DE 4711 EUR 2 0.19 {documented clamp enforce}
		total {9 1238 0 1238}
		section new {2 1100 0 1100}
		section renew {2 400 0 400}
		section cycleCharge {2 51 0 51}
		section customerCredit {1 -20 0 -20}
		section usage {1 7 0 7}
		section correction {1 -300 0 -300}
		customer A Customer A {3 87 0 87}
		customer B Customer B {6 1151 0 1151}
		sheet {DE 2023-05 may.csv may}
		sheet {DE 2023-06 june.csv june}
		rate {USD 2023-06 0.9}`
	if got := squeeze(text.String()); got != squeeze(want) {
		t.Errorf("got\n%s\nwant\n%s", got, squeeze(want))
	}
}

func TestCreditNote(t *testing.T) {
	t.Parallel()
	for subtotal, want := range map[int64]invoice.Kind{-1: invoice.KindCreditNote, 0: invoice.KindInvoice, 1: invoice.KindInvoice} {
		inv := must(consolidate(month("2023-06"), newWorld().partner, policies, []*invoice.Line{usage("S1", "2023-06-18", subtotal)}))
		if inv.Kind != want {
			t.Errorf("a total of %d is of kind %s, want %s", subtotal, inv.Kind, want)
		}
	}
}

func TestConsolidateRefuses(t *testing.T) {
	t.Parallel()
	dollars := usage("S1", "2023-06-18", 1)
	dollars.Currency = "USD"
	tests := []struct{ name, currency, want string }{
		{"a line of another currency", "EUR", "partner P: a line of subscription S1 is in USD, the invoice in EUR"},
		{"a currency that is none", "EURO", `partner P: currency "EURO" is unknown`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			partner := newWorld().partner
			partner.BillingCurrency = test.currency
			if _, err := consolidate(month("2023-06"), partner, policies, []*invoice.Line{dollars}); err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	if got := invoice.Number(month("2026-10"), 1); got != "C202610-000001" {
		t.Errorf("Number = %s", got)
	}
}

func TestBooks(t *testing.T) {
	t.Parallel()
	books := invoice.Books{Begun: true, Begin: month("2023-06"), Closed: month("2023-07")}
	tests := []struct {
		month             string
		closed, firstOpen bool
	}{
		{"2023-05", false, false}, {"2023-06", true, false}, {"2023-07", true, false}, {"2023-08", false, true}, {"2023-09", false, false},
	}
	for _, test := range tests {
		m := month(test.month)
		if books.IsClosed(m) != test.closed || books.FirstOpen(m) != test.firstOpen {
			t.Errorf("%s: closed %v, first open %v", m, books.IsClosed(m), books.FirstOpen(m))
		}
		if none := (invoice.Books{}); none.IsClosed(m) || none.FirstOpen(m) {
			t.Errorf("%s is closed or first open before any close", m)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	line := func(change func(*invoice.Line)) *invoice.Line {
		l := usage("S1", "2023-06-18", 1000)
		item := *l.Item
		l.Item, l.ChargeType = &item, "cycleCharge"
		change(l)
		l.Total = l.Subtotal + l.TaxTotal
		return l
	}
	same := func(*invoice.Line) {}
	more := func(change func(*invoice.Line)) func(*invoice.Line) {
		return func(l *invoice.Line) { change(l); l.Subtotal = 1100 }
	}
	tests := []struct {
		name          string
		before, after []*invoice.Line
		want          string
	}{
		{"equal lines", []*invoice.Line{line(same)}, []*invoice.Line{line(same)}, "[]"},
		{"names do not count", []*invoice.Line{line(same)}, []*invoice.Line{line(func(l *invoice.Line) { l.Item.ProductName = "New" })}, "[]"},
		{"a new line", nil, []*invoice.Line{line(same)}, "[{new lines: cycleCharge EUR 1 0 1000}]"},
		{"a line gone", []*invoice.Line{line(same)}, nil, "[{lines gone: cycleCharge EUR 1 1000 0}]"},
		{"one of two equal lines gone", []*invoice.Line{line(same), line(same)}, []*invoice.Line{line(same)}, "[{lines gone: cycleCharge EUR 1 1000 0}]"},
		{"the other side is another line", []*invoice.Line{line(same)}, []*invoice.Line{line(func(l *invoice.Line) { l.EffectiveUnitPrice = l.EffectiveUnitPrice.Neg() })},
			"[{lines gone: cycleCharge EUR 1 1000 0} {new lines: cycleCharge EUR 1 0 1000}]"},

		{"price", []*invoice.Line{line(same)}, []*invoice.Line{line(more(func(l *invoice.Line) { l.UnitPrice = dec("11"); l.EffectiveUnitPrice = dec("11") }))}, "[{changed: price EUR 1 1000 1100}]"},
		{"promotion", []*invoice.Line{line(same)}, []*invoice.Line{line(more(func(l *invoice.Line) { l.Item.PromotionID = "X"; l.EffectiveUnitPrice = dec("11") }))}, "[{changed: promotion EUR 1 1000 1100}]"},
		{"quantity", []*invoice.Line{line(same)}, []*invoice.Line{line(more(func(l *invoice.Line) { l.BillableQuantity = dec("2") }))}, "[{changed: quantity EUR 1 1000 1100}]"},
		{"days", []*invoice.Line{line(same)}, []*invoice.Line{line(more(func(l *invoice.Line) { l.ChargeEnd++; l.EffectiveUnitPrice = dec("11") }))}, "[{changed: days EUR 1 1000 1100}]"},
		{"exchange rate", []*invoice.Line{line(same)}, []*invoice.Line{line(more(func(l *invoice.Line) { l.ExchangeRate = dec("1.1") }))}, "[{changed: exchange rate EUR 1 1000 1100}]"},
		{"pricing currency", []*invoice.Line{line(same)}, []*invoice.Line{line(more(func(l *invoice.Line) { l.PricingCurrency = "USD" }))}, "[{changed: pricing currency EUR 1 1000 1100}]"},
		{"billing currency", []*invoice.Line{line(same)}, []*invoice.Line{line(more(func(l *invoice.Line) { l.Currency = "USD" }))}, "[{changed: billing currency USD 1 1000 1100}]"},
		{"rounding policy", []*invoice.Line{line(same)}, []*invoice.Line{line(more(same))}, "[{changed: rounding policy EUR 1 1000 1100}]"},
		{"tax", []*invoice.Line{line(same)}, []*invoice.Line{line(func(l *invoice.Line) { l.TaxTotal = 190 })}, "[{changed: tax EUR 1 1000 1190}]"},
		{"term", []*invoice.Line{line(same)}, []*invoice.Line{line(func(l *invoice.Line) { l.TermEnd = at("2024-01-01") })}, "[{changed: term EUR 1 1000 1000}]"},
		{"causes add their lines up", []*invoice.Line{line(same), line(func(l *invoice.Line) { l.ReferenceID = "other" })},
			[]*invoice.Line{line(func(l *invoice.Line) { l.TaxTotal = 190 }), line(func(l *invoice.Line) { l.ReferenceID = "other"; l.TaxTotal = 10 })}, "[{changed: tax EUR 2 2000 2200}]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := fmt.Sprint(invoice.Compare(test.before, test.after)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

var roundings = []pricing.Rounding{pricing.Documented, pricing.Unit, pricing.WholeLine}

// drawPrice draws a price with up to four decimals.
func drawPrice(t *rapid.T) string {
	return fmt.Sprintf("%d.%04d", rapid.IntRange(0, 500).Draw(t, "euros"), rapid.IntRange(0, 9999).Draw(t, "fraction"))
}

// The pairs of n seats more and n fewer on one day come to nothing.
func TestAddThenRemoveIsNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.monthly, w.prices = drawPrice(t), "USD"
		w.rates = map[string]string{"USD/EUR 2023-06": "0.912345678"}
		w.policies.Rounding = rapid.SampledFrom(roundings).Draw(t, "rounding")
		was := rapid.IntRange(1, 2000).Draw(t, "seats")
		day := at("2023-06-01") + pricing.Date(rapid.IntRange(0, 29).Draw(t, "day"))
		outcome := must(invoice.Bill(w, invoice.Books{}, month("2023-06"), invoice.Customer{ID: "C", Changes: history(fmt.Sprintf(`
			e1 2023-06-01 buy S1 P1M Monthly %d THIRD
			e2 %s seats S1 %d
			e3 %s seats S1 %d`, was, day, was+rapid.IntRange(1, 2000).Draw(t, "more"), day, was))}))
		var sum, tax int64
		for _, l := range outcome.Lines[1:] {
			sum += l.Subtotal
			tax += l.TaxTotal
		}
		if len(outcome.Lines) != 5 || sum != 0 || tax != 0 {
			t.Fatalf("the pairs add up to %d and %d:\n%s", sum, tax, lines(outcome.Lines))
		}
	})
}

// Seats of two subscriptions cost what they cost in one: exactly where the
// licence is truncated, within a minor unit for each line where the product is.
func TestPartsAreTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.monthly, w.partner.TaxRate = drawPrice(t), dec("0")
		w.policies.Rounding = rapid.SampledFrom(roundings).Draw(t, "rounding")
		a, b := rapid.IntRange(1, 999).Draw(t, "a"), rapid.IntRange(1, 999).Draw(t, "b")
		total := func(format string, args ...any) int64 {
			outcome := must(invoice.Bill(w, invoice.Books{}, month("2023-06"), invoice.Customer{ID: "C", Changes: history(fmt.Sprintf(format, args...))}))
			inv := must(consolidate(month("2023-06"), w.partner, policies, outcome.Lines))
			var sections, customers invoice.Totals
			for _, s := range inv.Sections {
				sections.Merge(s.Totals)
			}
			for _, c := range inv.Customers {
				customers.Merge(c.Totals)
			}
			if sections != inv.Totals || customers != inv.Totals || inv.Totals.Lines != len(outcome.Lines) {
				t.Fatalf("sections %v, customers %v, invoice %v of %d lines", sections, customers, inv.Totals, len(outcome.Lines))
			}
			return inv.Totals.Total
		}
		parts := total("e1 2023-06-01 buy S1 P1M Monthly %d\ne2 2023-06-01 buy S2 P1M Monthly %d", a, b)
		whole := total("e1 2023-06-01 buy S1 P1M Monthly %d", a+b)
		bound := int64(0)
		if w.policies.Rounding == pricing.WholeLine {
			bound = 1
		}
		if diff := whole - parts; diff < 0 || diff > bound {
			t.Fatalf("%d seats cost %d, %d and %d seats %d", a+b, whole, a, b, parts)
		}
	})
}
