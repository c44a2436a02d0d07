package ledger_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

func (s *store) takePromotion(id string) {
	s.take(ledger.Promotions, "", must(s.PutPromotions(s.ctx, []pricing.Promotion{{ID: id, SKU: skuA, Term: pricing.P1M, Plan: pricing.Monthly,
		End: pricing.Instant(len(s.inputs)), Discount: dec("0.25")}})))
}

func (s *store) takeOffer(product string, least int64) {
	s.take(ledger.Offers, "", must(s.PutOffers(s.ctx, []pricing.Offer{{SKU: pricing.SKU{ProductID: product, SkuID: "0001"}, MinLicenses: least}})))
}

// payers prints what the catalog says of the customer in each month.
func payers(c *ledger.Catalog, customer string, months ...string) string {
	var text []string
	for _, m := range months {
		p, code := c.Payer(customer, month(m))
		if code != "" {
			text = append(text, m+" "+string(code))
			continue
		}
		text = append(text, fmt.Sprintf("%s %s %s %s %s", m, p.Customer.Country, p.Partner.ID, p.Partner.BillingCurrency, p.Partner.TaxRate))
	}
	return strings.Join(text, "\n")
}

// A closed month has what its close knew, an open one the newest.
func TestPayer(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.takePartner("P", "EUR", "0.19")  // 1
	s.takeCustomer("C", "P", "DE")     // 2
	s.takePartner("P", "EUR", "0.20")  // 3
	s.takePartner("Q", "CHF", "0.077") // 4
	s.takeCustomer("C", "Q", "CH")     // 5
	s.takeCustomer("D", "P", "DE")     // 6
	s.takeCustomer("E", "R", "DE")     // 7
	c := s.load(t, closed("2023-06", 2), closed("2023-07", 3), closed("2023-08", 5))
	tests := []struct{ name, customer, want string }{
		{"before the books the newest, in them what each close knew, after them the newest", "C", `
			2023-05 CH Q CHF 0.077
			2023-06 DE P EUR 0.19
			2023-07 DE P EUR 0.2
			2023-08 CH Q CHF 0.077
			2023-09 CH Q CHF 0.077`},
		{"a customer who came late pays the tax of the month", "D", `
			2023-05 DE P EUR 0.2
			2023-06 DE P EUR 0.19
			2023-07 DE P EUR 0.2
			2023-08 DE P EUR 0.2
			2023-09 DE P EUR 0.2`},
		{"a partner that nobody knows", "E", `
			2023-05 UNKNOWN_PARTNER
			2023-06 UNKNOWN_PARTNER
			2023-07 UNKNOWN_PARTNER
			2023-08 UNKNOWN_PARTNER
			2023-09 UNKNOWN_PARTNER`},
		{"a customer whom nobody knows", "F", `
			2023-05 UNKNOWN_CUSTOMER
			2023-06 UNKNOWN_CUSTOMER
			2023-07 UNKNOWN_CUSTOMER
			2023-08 UNKNOWN_CUSTOMER
			2023-09 UNKNOWN_CUSTOMER`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for range 2 { // the second answer is remembered
				if got := payers(c, test.customer, "2023-05", "2023-06", "2023-07", "2023-08", "2023-09"); got != squeeze(test.want) {
					t.Errorf("got\n%s\nwant\n%s", got, squeeze(test.want))
				}
			}
		})
	}
	if p, code := c.Payer("E", month("2023-09")); code != pricing.UnknownPartner || p.Partner.ID != "R" {
		t.Errorf("the unknown partner is %+v, want the id that the customer names", p)
	}
	if p, ok := c.Partner("P", month("2023-06")); !ok || p.TaxRate.String() != "0.19" {
		t.Errorf("Partner(P, 2023-06) = %+v, %v", p, ok)
	}
	if _, ok := c.Partner("R", month("2023-06")); ok {
		t.Error("partner R was never taken in")
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.takePartner("trusted", "EUR", "0")
	s.takePartner("new", "EUR", "0")
	k := closed("2023-06", 2)
	k.Policies = map[string]invoice.Policies{"trusted": {Rounding: "line", MonthEnd: "stick", Windows: "enforce"}}
	c := s.load(t, k)
	tests := []struct{ name, partner, month, want string }{
		{"a closed month has those that its close recorded", "trusted", "2023-06", "{line stick enforce}"},
		{"months before the books too: cycles stay those of issued lines", "trusted", "2023-05", "{line stick enforce}"},
		{"an open month has the configured ones", "trusted", "2023-07", "{documented clamp trust}"},
		{"so has a partner that the close did not know", "new", "2023-06", "{documented clamp enforce}"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := fmt.Sprint(ledger.PolicyNames(c.PoliciesIn(test.partner, month(test.month)))); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.takeRate("EUR", "2023-06", "1.1")
	s.takeRate("CHF", "2023-06", "1.2")
	s.takeRate("EUR", "2023-06", "1.25")
	s.takeRate("JPY", "2023-06", "0.007")
	s.takeRate("CHF", "2023-07", "1.2")
	k := closed("2023-06", 2)
	k.Rates = map[ledger.RateKey]decimal.Decimal{{Pricing: "USD", Billing: "EUR", Month: month("2023-06")}: dec("0.909090909")}
	before, after := s.load(t), s.load(t, k)
	tests := []struct {
		name            string
		catalog         *ledger.Catalog
		from, to, month string
		want            string
	}{
		{"the newest table", before, "USD", "EUR", "2023-06", "0.8"},
		{"a close keeps the rates that it used", after, "USD", "EUR", "2023-06", "0.909090909"},
		{"not those that it did not use", after, "CHF", "EUR", "2023-06", "0.96"},
		{"nine decimals, half even", before, "EUR", "CHF", "2023-06", "1.041666667"},
		{"nine digits where that is finer", before, "JPY", "EUR", "2023-06", "0.0056"},
		{"a dollar is a dollar", before, "USD", "CHF", "2023-07", "0.833333333"},
		{"a month without the currency", before, "USD", "EUR", "2023-07", ""},
		{"a month without any", before, "EUR", "CHF", "2023-08", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rate, ok := test.catalog.Rate(test.from, test.to, month(test.month))
			if got := rate.String(); ok != (test.want != "") || ok && got != test.want {
				t.Errorf("%s to %s in %s: %s, %v, want %q", test.from, test.to, test.month, got, ok, test.want)
			}
		})
	}
}

// A matrix that came later does not undo what a closed month took.
func TestOffers(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.takePartner("P", "EUR", "0") // 1
	s.takeOffer("A", 5)            // 2
	s.takeOffer("A", 7)            // 3
	s.takeOffer("B", 9)            // 4
	c := s.load(t, closed("2023-06", 1), closed("2023-07", 2))
	tests := []struct{ month, product, want string }{
		{"2023-05", "A", "0 false"}, {"2023-06", "A", "0 false"},
		{"2023-07", "A", "5 true"}, {"2023-07", "B", "0 true"}, {"2023-07", "X", "0 true"},
		{"2023-08", "A", "7 true"}, {"2023-08", "B", "9 true"}, {"2023-08", "X", "0 true"},
	}
	for _, test := range tests {
		offer, loaded := c.Offer(pricing.SKU{ProductID: test.product, SkuID: "0001"}, month(test.month))
		if got := fmt.Sprint(offer.MinLicenses, " ", loaded); got != test.want {
			t.Errorf("%s in %s: %s, want %s", test.product, test.month, got, test.want)
		}
	}
}

func TestPromotions(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.takePromotion("SUMMER")
	s.takePromotion("SUMMER")
	c := s.load(t, closed("2023-06", 1))
	if got := c.Promotions("SUMMER"); len(got) != 1 || got[0].End != 1 {
		t.Errorf("got %v, want the newest only", got)
	}
	if got := c.Promotions("WINTER"); got != nil {
		t.Errorf("got %v of an id that nobody took in", got)
	}
}

func TestSheets(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.takePrices(ledger.Prices, "DE", "2023-06", "10")
	s.takePrices(ledger.Software, "DE", "2023-06", "50")
	s.takePrices(ledger.Prices, "DE", "2023-09", "12")
	s.takePrices(ledger.Prices, "DE", "2023-06", "11")
	s.takePrices(ledger.Prices, "FR", "2023-06", "20")
	s.takePrices(ledger.Software, "CH", "2023-06", "50")
	s.takePrices(ledger.Software, "CH", "2023-06", "51")
	c := s.load(t)
	tests := []struct{ name, market, month, want string }{
		{"a later import of the market and month supersedes; software stands beside it", "DE", "2023-06", "2023-06 prices-4.csv 11 50"},
		{"a month without a sheet: the latest earlier", "DE", "2023-08", "2023-06 prices-4.csv 11 50"},
		{"its own sheet", "DE", "2023-09", "2023-09 prices-3.csv 12"},
		{"long after", "DE", "2030-01", "2023-09 prices-3.csv 12"},
		{"before the first", "DE", "2023-05", ""},
		{"another market", "FR", "2023-06", "2023-06 prices-5.csv 20"},
		{"a software sheet supersedes its like", "CH", "2023-06", "2023-06 software-prices-7.csv 51"},
		{"a market without any", "US", "2023-06", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sheet, err := c.Sheet(test.market, month(test.month))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if sheet != nil {
				got = sheet.Month.String() + " " + sheet.File
				for _, r := range sheet.Rows() {
					got += " " + r.UnitPrice.String()
				}
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if got := fmt.Sprint(c.Markets(), c.Months("DE")); got != "[CH DE FR] [2023-06 2023-09]" {
		t.Errorf("markets and months: %s", got)
	}
}

func TestLocks(t *testing.T) {
	t.Parallel()
	s := newStore()
	key := subscription.LockKey{SubscriptionID: "S1", At: 1, SKU: skuA, Term: pricing.P1M, Plan: pricing.Monthly}
	put := func(price string) []ledger.Object {
		return s.putLocks(ledger.Lock{CustomerID: "C", Key: key, Lock: subscription.Lock{UnitPrice: dec(price), Currency: "EUR"}})
	}
	june, july := closed("2023-06", 0), closed("2023-07", 0)
	june.Locks, july.Locks = put("10"), put("11")
	other := key
	other.Plan = pricing.Annual
	if lock, ok := s.locksOf("C", june)[key]; !ok || lock.UnitPrice.String() != "10" {
		t.Errorf("got %+v, %v", lock, ok)
	}
	locks := s.locksOf("C", june, july)
	if lock, ok := locks[key]; !ok || lock.UnitPrice.String() != "11" {
		t.Errorf("of two closes the later: got %+v, %v", lock, ok)
	}
	if _, ok := locks[other]; ok {
		t.Error("another question has an answer")
	}
	if _, ok := s.locksOf("D", june, july)[key]; ok {
		t.Error("another customer has an answer")
	}
}

func TestEveryoneIsListed(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.takePartner("P", "EUR", "0")
	s.takeCustomer("C", "P", "DE")
	s.takeCustomer("C", "P", "FR")
	s.takeCustomer("D", "P", "DE")
	c := s.load(t)
	customers := make(map[string]string)
	for customer := range c.Customers {
		customers[customer.ID] += customer.Country
	}
	if got := fmt.Sprint(customers); got != "map[C:FR D:DE]" {
		t.Errorf("customers %s", got)
	}
	for id := range c.Partners {
		if id != "P" {
			t.Errorf("partner %s", id)
		}
	}
}

// Many locks are kept in several objects, those of a customer in one, and found again.
func TestManyLocks(t *testing.T) {
	t.Parallel()
	s := newStore()
	var locks []ledger.Lock
	for i := range 140_000 {
		key := subscription.LockKey{SubscriptionID: fmt.Sprint(i), At: 1, SKU: skuA, Term: pricing.P1M, Plan: pricing.Monthly}
		locks = append(locks, ledger.Lock{CustomerID: fmt.Sprintf("C%06d", i/3), Key: key, Lock: subscription.Lock{UnitPrice: decimal.New(int64(i), -2), Currency: "EUR"}})
	}
	june := closed("2023-06", 0)
	june.Locks = s.putLocks(locks...)
	if len(june.Locks) != 3 {
		t.Errorf("%d objects, want 3", len(june.Locks))
	}
	used := s.UsedLocks(s.ctx, []ledger.Close{june})
	defer used.Close()
	for _, i := range []int{0, 65_535, 65_538, 131_073, 139_999} {
		of := must(used.Of(locks[i].CustomerID))
		if got := of[locks[i].Key]; !got.UnitPrice.Equal(locks[i].UnitPrice) || len(of) < 2 && i < 139_998 {
			t.Errorf("lock %d: %+v of %d", i, got, len(of))
		}
	}
}
