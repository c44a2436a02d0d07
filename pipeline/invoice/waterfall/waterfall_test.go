package waterfall

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

var october = pricing.MonthOf(2026, time.October)

// line reads: "10-05 cycleCharge 25 x 9.6 = 240.00 [options]", the date's month
// and day in 2026, quantity, unit price and net amount of a line that is charged
// whole; options: eff=, rate=, sku=, promo=, days=, end= (of the term), credit.
func line(t testing.TB, text string) *invoice.Line {
	t.Helper()
	f := strings.Fields(text)
	date, err := pricing.ParseDate("2026-" + f[0])
	if err != nil {
		t.Fatal(err)
	}
	num := decimal.RequireFromString
	l := &invoice.Line{
		Account:   &invoice.Account{CustomerID: "c", CustomerName: "Bakery"},
		Item:      &invoice.Item{ProductID: "P", SkuID: "0001", UnitType: "Licenses", TermAndBillingCycle: "One-year commitment for monthly billing"},
		OrderDate: date, ChargeStart: date, ChargeEnd: date + 29, TermEnd: date + 300, SubscriptionID: "s", ChargeType: f[1],
		Quantity: num(f[2]), BillableQuantity: num(f[2]), UnitPrice: num(f[4]), EffectiveUnitPrice: num(f[4]),
		ExchangeRate: num("1"), Currency: "EUR", Subtotal: num(f[6]).Shift(2).IntPart(),
	}
	for _, option := range f[7:] {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "eff":
			l.EffectiveUnitPrice = num(value)
		case "rate":
			l.ExchangeRate = num(value)
		case "sku":
			l.Item.SkuID = value
		case "promo":
			l.Item.PromotionID = value
		case "days":
			l.ChargeEnd = date + pricing.Date(num(value).IntPart()) - 1
		case "end":
			l.TermEnd = date + pricing.Date(num(value).IntPart())
		case "unit":
			l.Item.UnitType = value
		case "reason":
			l.CreditReasonCode = value
		default:
			t.Fatalf("option %q", option)
		}
	}
	return l
}

func seq(lines []*invoice.Line) iter.Seq2[*invoice.Line, error] {
	return func(yield func(*invoice.Line, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
	}
}

func show(w Waterfall) string {
	var out []string
	for _, s := range w.Steps {
		if s.Amount != 0 {
			out = append(out, fmt.Sprintf("%s %s", s.Cause, pricing.FormatMinor(s.Amount, 2)))
		}
	}
	return strings.Join(out, "; ")
}

func TestCauses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		september, october string
		want               string
	}{
		"nothing changed":               {"09-05 new 25 x 9.6 = 240.00", "10-05 cycleCharge 25 x 9.6 = 240.00", ""},
		"bought":                        {"", "10-05 new 25 x 9.6 = 240.00", "New subscriptions 240.00"},
		"bought and cancelled":          {"", "10-05 new 25 x 9.6 = 240.00\n10-06 cancelImmediate 25 x 9.6 = -232.00", "New subscriptions 240.00; Cancelled and ended -232.00"},
		"and the month after":           {"09-05 new 25 x 9.6 = 240.00\n09-06 cancelImmediate 25 x 9.6 = -232.00", "", "Cancelled and ended -8.00"},
		"ran out":                       {"09-05 renew 25 x 9.6 = 240.00 end=29", "", "Cancelled and ended -240.00"},
		"seats added":                   {"09-05 cycleCharge 25 x 9.6 = 240.00", "10-05 cycleCharge 25 x 9.6 = 240.00\n10-20 addQuantity 25 x 9.6 = -123.87\n10-20 addQuantity 30 x 9.6 = 148.64", "Seats added 24.77"},
		"the month after":               {"09-05 cycleCharge 25 x 9.6 = 240.00\n09-20 addQuantity 25 x 9.6 = -123.87\n09-20 addQuantity 30 x 9.6 = 148.64", "10-05 cycleCharge 30 x 9.6 = 288.00", "Seats added 23.23"},
		"seats removed":                 {"09-05 cycleCharge 30 x 9.6 = 288.00", "10-05 renew 25 x 9.6 = 240.00", "Seats removed -48.00"},
		"price at renewal":              {"09-05 cycleCharge 25 x 9.6 = 240.00", "10-05 renew 25 x 10 = 250.00", "List prices 10.00"},
		"seats and price":               {"09-05 cycleCharge 25 x 9.6 = 240.00", "10-05 renew 30 x 10 = 300.00", "Seats added 48.00; List prices 12.00"},
		"promotion dropped":             {"09-05 cycleCharge 25 x 9.6 = 216.00 eff=8.64 promo=A", "10-05 renew 25 x 9.6 = 240.00", "Promotions 24.00"},
		"stub before":                   {"09-15 new 10 x 31 = 160.00 eff=16", "10-01 cycleCharge 10 x 31 = 310.00", "Part cycles 150.00"},
		"rate":                          {"09-05 cycleCharge 10 x 10 = 90.00 rate=0.9", "10-05 cycleCharge 10 x 10 = 92.16 rate=0.921658986", "Exchange rates 2.16"},
		"price, promotion and rate":     {"09-05 cycleCharge 10 x 10 = 81.00 eff=9 promo=A rate=0.9", "10-05 renew 10 x 20 = 190.00 rate=0.95", "List prices 81.00; Promotions 18.00; Exchange rates 10.00"},
		"other product":                 {"09-05 cycleCharge 25 x 9.6 = 240.00", "10-05 renew 25 x 20 = 500.00 sku=0002", "Product and plan changes 260.00"},
		"upgraded away":                 {"09-05 cycleCharge 25 x 9.6 = 240.00\n09-20 convert 25 x 9.6 = -120.00", "", "Product and plan changes -120.00"},
		"annual charge due":             {"", "10-05 cycleCharge 25 x 100 = 2500.00 days=365", "Cycles due in one month only 2500.00"},
		"annual charge of last month":   {"09-05 new 25 x 100 = 2500.00 days=365", "", "Cycles due in one month only -2500.00"},
		"usage":                         {"09-01 usage 1 x 5 = 5.00", "10-01 usage 1 x 7 = 7.00", "Charges rated elsewhere 2.00"},
		"usage that looks like a cycle": {"09-01 cycleCharge 1 x 5 = 5.00 unit=Hour", "10-01 cycleCharge 1 x 7 = 7.00 unit=Hour", "Charges rated elsewhere 2.00"},
		"late line":                     {"", "09-05 new 25 x 9.6 = 240.00", "Credits, corrections, late lines 240.00"},
		"correction":                    {"09-05 cycleCharge 25 x 9.6 = 240.00", "10-05 cycleCharge 25 x 9.6 = 240.00\n10-05 cycleCharge 25 x 9.6 = -240.00 reason=Correction", "Credits, corrections, late lines -240.00"},
		"two cycles in one month":       {"09-01 new 10 x 30 = 150.00 eff=15\n09-16 renew 10 x 30 = 300.00", "10-16 renew 10 x 30 = 300.00", "Cycles due in one month only -150.00"},
		"was not billed":                {"", "10-05 cycleCharge 25 x 9.6 = 240.00", "Not billed before, and other 240.00"},
		"free until now":                {"09-05 cycleCharge 5 x 0 = 0.00", "10-05 renew 5 x 10 = 50.00", "List prices 50.00"},
	} {
		var months [2][]*invoice.Line
		for i, text := range []string{c.september, c.october} {
			for row := range strings.Lines(text) {
				months[i] = append(months[i], line(t, row))
			}
		}
		w, err := Explain(october, seq(months[0]), seq(months[1]))
		if err != nil {
			t.Fatal(err)
		}
		if got := show(w); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
		requireSum(t, name, w)
	}
}

type failer interface {
	Errorf(format string, args ...any)
}

func requireSum(t failer, name string, w Waterfall) {
	sum, last, this := w.Last, int64(0), int64(0)
	for _, s := range w.Steps {
		sum += s.Amount
	}
	for _, c := range w.Customers {
		last += c.Last
		this += c.This
	}
	if sum != w.This || last != w.Last || this != w.This {
		t.Errorf("%s: %d and its steps come to %d, the month to %d; the customers to %d and %d", name, w.Last, sum, w.This, last, this)
	}
}

// Whatever the lines are, last month and the causes come to this month.
func TestStepsAddUp(t *testing.T) {
	t.Parallel()
	types := []string{"new", "renew", "cycleCharge", "addQuantity", "removeQuantity", "cancelImmediate", "convert", "changeBillingPlan", "customerCredit", "usage"}
	rapid.Check(t, func(r *rapid.T) {
		month := func(name string, prefix string) (lines []*invoice.Line, total int64) {
			for s := range 4 {
				for range rapid.IntRange(0, 3).Draw(r, name) {
					l := line(t, fmt.Sprintf("%s-%02d %s %d x %d.%d = %d.%02d", prefix, rapid.IntRange(1, 28).Draw(r, "day"), rapid.SampledFrom(types).Draw(r, "type"),
						rapid.IntRange(1, 5).Draw(r, "quantity"), rapid.IntRange(0, 20).Draw(r, "price"), rapid.IntRange(0, 9).Draw(r, "dime"),
						rapid.IntRange(0, 500).Draw(r, "amount"), rapid.IntRange(0, 99).Draw(r, "cents")))
					l.SubscriptionID = fmt.Sprint(s % 2)
					l.Account.CustomerID = fmt.Sprint(s / 2)
					lines = append(lines, l)
					total += l.Subtotal
				}
			}
			return lines, total
		}
		last, lastTotal := month("september", "09")
		this, thisTotal := month("october", "10")
		w, err := Explain(october, seq(last), seq(this))
		if err != nil {
			r.Fatal(err)
		}
		if w.Last != lastTotal || w.This != thisTotal {
			r.Errorf("totals %d and %d, want %d and %d", w.Last, w.This, lastTotal, thisTotal)
		}
		requireSum(r, "drawn", w)
	})
}

func TestCustomers(t *testing.T) {
	t.Parallel()
	left, stayed, came := line(t, "09-05 renew 1 x 9 = 9.00 end=29"), line(t, "10-05 renew 1 x 7 = 7.00"), line(t, "10-05 new 1 x 5 = 5.00")
	left.Account = &invoice.Account{CustomerID: "a", CustomerName: "Left"}
	came.Account = &invoice.Account{CustomerID: "b", CustomerName: "Came"}
	w, err := Explain(october, seq([]*invoice.Line{left}), seq([]*invoice.Line{came, stayed}))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(w.Customers), "[{a Left 900 0} {b Came 0 500} {c Bakery 0 700}]"; got != want {
		t.Errorf("customers %s, want %s", got, want)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	first, second := line(t, "10-05 new 1 x 9 = 9.00"), line(t, "10-05 new 1 x 9 = 9.00")
	second.SubscriptionID = "a"
	if _, err := Explain(october, seq(nil), seq([]*invoice.Line{first, second})); err == nil || !strings.Contains(err.Error(), "not sorted") {
		t.Errorf("unsorted lines: %v", err)
	}
	broken := errors.New("broken")
	bad := func(yield func(*invoice.Line, error) bool) { yield(nil, broken) }
	if _, err := Explain(october, bad, seq([]*invoice.Line{first})); !errors.Is(err, broken) {
		t.Errorf("a failing reader: %v", err)
	}
}
