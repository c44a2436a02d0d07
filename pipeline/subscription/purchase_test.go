package subscription_test

import (
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/subscription"
)

func TestPurchase(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{"the first cycle, whatever the term", `
			show term
			2021-06-18T09:00Z purchase S1 P1M Monthly 10
			2021-06-18T09:00Z purchase S2 P1Y Monthly 1
			2021-06-18T09:00Z purchase S3 P1Y Annual 2
			2021-06-18T09:00Z purchase S4 P3Y Triennial 3`, `
			new +10 2021-06-18..2021-07-17 A P1M Monthly 2021-06-18..2021-07-17
			new +1 2021-06-18..2021-07-17 A P1Y Monthly 2021-06-18..2022-06-17 S2
			new +2 2021-06-18..2022-06-17 A P1Y Annual 2021-06-18..2022-06-17 S3
			new +3 2021-06-18..2024-06-17 A P3Y Triennial 2021-06-18..2024-06-17 S4`},
		{"P12M is P1Y and the plan's case does not matter", `
			show term
			2021-06-18T09:00Z purchase S1 P12M annual 2`, `
			new +2 2021-06-18..2022-06-17 A P1Y Annual 2021-06-18..2022-06-17`},
		{"the date is UTC's", `
			2021-06-30T23:30:00-02:00 purchase S1 P1M Monthly 1`, `
			new +1 2021-07-01..2021-07-31`},

		{"cycles count from the first day, clamped to the month", `
			until 2021-05
			2021-01-31T09:00Z purchase S1 P1Y Monthly 1`, `
			new +1 2021-01-31..2021-02-27
			cycleCharge +1 2021-02-28..2021-03-30
			cycleCharge +1 2021-03-31..2021-04-29
			cycleCharge +1 2021-04-30..2021-05-30
			cycleCharge +1 2021-05-31..2021-06-29`},
		{"stick keeps the distance from the month's end", `
			policy stick
			until 2021-04
			2021-01-30T09:00Z purchase S1 P1Y Monthly 1`, `
			new +1 2021-01-30..2021-02-26
			cycleCharge +1 2021-02-27..2021-03-29
			cycleCharge +1 2021-03-30..2021-04-28
			cycleCharge +1 2021-04-29..2021-05-29`},
		{"every term is anchored on its own first day", `
			until 2021-03
			2021-01-31T09:00Z purchase S1 P1M Monthly 1`, `
			new +1 2021-01-31..2021-02-27
			renew +1 2021-02-28..2021-03-27
			renew +1 2021-03-28..2021-04-27`},

		{"a custom end cuts a stub off the first cycle", `
			show term
			until 2021-08
			2021-07-15T09:00Z purchase S1 P1Y Monthly 1 end=2022-06-30`, `
			new +1 2021-07-15..2021-07-31 17/31 A P1Y Monthly 2021-07-15..2022-06-30
			cycleCharge +1 2021-08-01..2021-08-31 A P1Y Monthly 2021-07-15..2022-06-30`},
		{"a prepaid term has one stub of the full year's days", `
			2021-07-15T09:00Z purchase S1 P1Y Annual 1 end=2021-12-31`, `
			new +1 2021-07-15..2021-12-31 170/365`},
		{"the next term is full again", `
			until 2021-08
			2021-07-15T09:00Z purchase S1 P1M Monthly 1 end=2021-07-31`, `
			new +1 2021-07-15..2021-07-31 17/31
			renew +1 2021-08-01..2021-08-31`},
		{"the term's own end is no custom one", `
			until 2021-08
			2021-07-31T09:00Z purchase S1 P1M Monthly 1 end=2021-08-30`, `
			new +1 2021-07-31..2021-08-30
			renew +1 2021-08-31..2021-09-29`},
		{"an end outside the term is reported and the full term billed", `
			2021-07-15T09:00Z purchase S1 P1M Monthly 1 end=2021-08-15
			2021-07-15T09:00Z purchase S2 P1M Monthly 1 end=2021-07-14`, `
			new +1 2021-07-15..2021-08-14
			new +1 2021-07-15..2021-08-14 S2
			error TERM_END_NOT_ALLOWED S1 e1 2021-07: customTermEndDate 2021-08-15: outside 2021-07-15 to 2021-08-14; the full term is billed
			error TERM_END_NOT_ALLOWED S2 e2 2021-07: customTermEndDate 2021-07-14: outside 2021-07-15 to 2021-08-14; the full term is billed`},
		{"a trial has no custom end", `
			2021-07-15T09:00Z purchase S1 P1M Monthly 1 trial end=2021-07-31`, `
			new +1 2021-07-15..2021-08-14
			error TERM_END_NOT_ALLOWED S1 e1 2021-07: customTermEndDate 2021-07-31: a trial has none; the full term is billed`},
	})
}

// The price is asked for once a term and stands for all its seats.
func TestPrices(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{"seats added later take the term's price, the renewal its own day's", `
			show price
			price X P1M Monthly EUR 10 2021-06-01..2021-06-30
			price X P1M Monthly EUR 11 2021-07-01..2021-12-31
			2021-06-18T09:00Z purchase S1 P1M Monthly 1 sku=X
			2021-07-01T09:00Z seats S1 2
			2021-07-20T09:00Z seats S1 3`, `
			new +1 2021-06-18..2021-07-17 @10 EUR
			addQuantity -1 2021-07-01..2021-07-17 @10 EUR
			addQuantity +2 2021-07-01..2021-07-17 @10 EUR
			renew +2 2021-07-18..2021-08-17 @11 EUR
			addQuantity -2 2021-07-20..2021-08-17 @11 EUR
			addQuantity +3 2021-07-20..2021-08-17 @11 EUR`},
		{"of two valid rows the one that started first", `
			show price
			price X P1M Monthly EUR 12 2021-06-10..2021-12-31
			price X P1M Monthly EUR 10 2021-06-01..2021-06-30
			2021-06-30T23:59:59.9999999Z purchase S1 P1M Monthly 1 sku=X
			2021-07-01T00:00Z purchase S2 P1M Monthly 1 sku=X`, `
			new +1 2021-06-30..2021-07-29 @10 EUR
			new +1 2021-07-01..2021-07-31 @12 EUR S2
			renew +1 2021-07-30..2021-08-29 @12 EUR`},
		{"the billing currency, else USD, else the only one", `
			show price
			policy currency=CHF
			price X P1M Monthly CHF 10 2021-01-01..2021-12-31
			price X P1M Monthly USD 11 2021-01-01..2021-12-31
			price Y P1M Monthly EUR 10 2021-01-01..2021-12-31
			price Y P1M Monthly USD 11 2021-01-01..2021-12-31
			price Z P1M Monthly EUR 10 2021-01-01..2021-12-31
			2021-06-18T09:00Z purchase S1 P1M Monthly 1 sku=X
			2021-06-18T09:00Z purchase S2 P1M Monthly 1 sku=Y
			2021-06-18T09:00Z purchase S3 P1M Monthly 1 sku=Z`, `
			new +1 2021-06-18..2021-07-17 @10 CHF
			new +1 2021-06-18..2021-07-17 @11 USD S2
			new +1 2021-06-18..2021-07-17 @10 EUR S3`},
		{"a purchase's own price, in the billing currency if none is named, for its term only", `
			show price
			until 2021-07
			2021-06-18T09:00Z purchase S1 P1M Monthly 1 price=7.5 currency=USD
			2021-06-18T10:00Z purchase S2 P1M Monthly 1 sku=X price=0`, `
			new +1 2021-06-18..2021-07-17 @7.5 USD
			new +1 2021-06-18..2021-07-17 @0 EUR S2
			renew +1 2021-07-18..2021-08-17 @10 EUR
			error PRICE_NOT_FOUND S2 - 2021-07: not billed from 2021-07-18: X/0001 P1M Monthly DE Commercial has no row (sheet DE 2021-07, prices.csv)`},
		{"a sheet that is missing: the latest earlier one, with a warning once an event", `
			sheets 2021-06
			until 2021-07
			2021-06-18T09:00Z purchase S1 P1M Monthly 1`, `
			new +1 2021-06-18..2021-07-17
			renew +1 2021-07-18..2021-08-17
			stale DE 2021-07: 2021-06 governs, asked in 2021-07`},

		{"a promotion stays for seats added later and for renewals inside its dates", `
			show price
			until 2021-08
			promo SUMMER A P1M Monthly 0.25 2021-06-01..2021-07-18
			2021-06-18T09:00Z purchase S1 P1M Monthly 1 promo=SUMMER
			2021-06-20T09:00Z seats S1 2`, `
			new +1 2021-06-18..2021-07-17 @10 EUR SUMMER -0.25
			addQuantity -1 2021-06-20..2021-07-17 @10 EUR SUMMER -0.25
			addQuantity +2 2021-06-20..2021-07-17 @10 EUR SUMMER -0.25
			renew +2 2021-07-18..2021-08-17 @10 EUR SUMMER -0.25
			renew +2 2021-08-18..2021-09-17 @10 EUR
			warning PROMOTION_NOT_APPLIED S1 - 2021-08: promotion SUMMER does not fit A/0001 P1M Monthly on 2021-08-18: billed without it`},
		{"one that lapsed is dropped for good", `
			show price
			until 2021-09
			promo SUMMER A P1M Monthly 0.25 2021-06-01..2021-06-30
			promo SUMMER A P1M Monthly 0.5 2021-08-01..2021-08-31
			2021-06-18T09:00Z purchase S1 P1M Monthly 1 promo=SUMMER`, `
			new +1 2021-06-18..2021-07-17 @10 EUR SUMMER -0.25
			renew +1 2021-07-18..2021-08-17 @10 EUR
			renew +1 2021-08-18..2021-09-17 @10 EUR
			renew +1 2021-09-18..2021-10-17 @10 EUR
			warning PROMOTION_NOT_APPLIED S1 - 2021-07: promotion SUMMER does not fit A/0001 P1M Monthly on 2021-07-18: billed without it`},
		{"one that does not fit is ignored, with a warning", `
			show price
			promo SUMMER B P1M Monthly 0.25 2021-06-01..2021-06-30
			2021-06-18T09:00Z purchase S1 P1M Monthly 1 promo=SUMMER`, `
			new +1 2021-06-18..2021-07-17 @10 EUR
			warning PROMOTION_NOT_APPLIED S1 e1 2021-06: promotion SUMMER does not fit A/0001 P1M Monthly on 2021-06-18: billed without it`},
		{"a purchase with its own price may have one, a trial takes none", `
			show price
			promo SUMMER A P1M Monthly 0.25 2021-06-01..2021-06-30
			2021-06-18T09:00Z purchase S1 P1M Monthly 1 price=8 currency=EUR promo=SUMMER
			2021-06-18T09:00Z purchase S2 P1M Monthly 1 trial promo=SUMMER`, `
			new +1 2021-06-18..2021-07-17 @8 EUR SUMMER -0.25
			new +1 2021-06-18..2021-07-17 @0 EUR S2
			warning PROMOTION_NOT_APPLIED S2 e2 2021-06: promotion SUMMER does not fit A/0001 P1M None on 2021-06-18: billed without it`},
	})
}

// A term without a price is parked: not billed, never forgotten.
func TestParked(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{"the exception stands in every month, and changes go on being tracked", `
			price X P1M Monthly EUR 10 2021-08-01..2021-12-31
			until 2021-08
			2021-06-18T09:00Z purchase S1 P1M Monthly 1 sku=X
			2021-06-20T09:00Z seats S1 5`, `
			renew +5 2021-08-18..2021-09-17
			error PRICE_NOT_FOUND S1 e1 2021-06..2021-07: not billed from 2021-06-18: X/0001 P1M Monthly DE Commercial has 1 rows, none valid at 2021-06-18T09:00:00Z (sheet DE 2021-06, prices.csv)
			error PRICE_NOT_FOUND S1 - 2021-07..2021-08: not billed from 2021-07-18: X/0001 P1M Monthly DE Commercial has 1 rows, none valid at 2021-07-18T00:00:00Z (sheet DE 2021-07, prices.csv)`},
		{"no sheet at all", `
			sheets 2021-07
			2021-06-18T09:00Z purchase S1 P1M Monthly 1`, `
			error PRICE_NOT_FOUND S1 e1 2021-06: not billed from 2021-06-18: market DE has no price sheet for 2021-06 or earlier`},
		{"two prices from the same start", `
			price X P1M Monthly EUR 10 2021-06-01..2021-12-31
			price X P1M Monthly EUR 10.0 2021-06-01..2021-12-31
			price X P1M Monthly EUR 11 2021-06-01..2021-12-31
			2021-06-18T09:00Z purchase S1 P1M Monthly 1 sku=X`, `
			error PRICE_AMBIGUOUS S1 e1 2021-06: not billed from 2021-06-18: X/0001 P1M Monthly DE Commercial has two prices that start at 2021-06-01T00:00:00Z: 10 (line 15) and 11 (line 17) (sheet DE 2021-06, prices.csv)`},
		{"several currencies, neither the partner's nor USD", `
			price X P1M Monthly CHF 10 2021-06-01..2021-12-31
			price X P1M Monthly SEK 10 2021-06-01..2021-12-31
			2021-06-18T09:00Z purchase S1 P1M Monthly 1 sku=X`, `
			error PRICE_AMBIGUOUS S1 e1 2021-06: not billed from 2021-06-18: X/0001 P1M Monthly DE Commercial is offered in several currencies, neither EUR nor USD (sheet DE 2021-06, prices.csv)`},
		{"a cancelled one is reported up to its last day", `
			until 2021-09
			2021-06-29T09:00Z purchase S1 P1Y Monthly 1 sku=X
			2021-07-02T09:00Z cancel S1`, `
			error PRICE_NOT_FOUND S1 e1 2021-06..2021-07: not billed from 2021-06-29: X/0001 P1Y Monthly DE Commercial has no row (sheet DE 2021-06, prices.csv)`},
		{"an upgrade that keeps the id brings it back without a minus line", `
			until 2021-08
			2021-06-18T09:00Z purchase S1 P1Y Monthly 3 sku=X
			2021-07-02T09:00Z upgrade S1 A`, `
			convert +3 2021-07-02..2021-07-17
			cycleCharge +3 2021-07-18..2021-08-17
			cycleCharge +3 2021-08-18..2021-09-17
			error PRICE_NOT_FOUND S1 e1 2021-06..2021-07: not billed from 2021-06-18: X/0001 P1Y Monthly DE Commercial has no row (sheet DE 2021-06, prices.csv)`},
		{"a customer who is unknown at the renewal", `
			unknown customer 2021-07
			until 2021-08
			2021-06-18T09:00Z purchase S1 P1M Monthly 1`, `
			new +1 2021-06-18..2021-07-17
			error UNKNOWN_CUSTOMER S1 - 2021-07..2021-08: not billed from 2021-07-18: the customer or its partner is unknown
			error UNKNOWN_CUSTOMER S1 - 2021-08: not billed from 2021-08-18: the customer or its partner is unknown`},
	})
}

func TestPurchaseRefused(t *testing.T) {
	t.Parallel()
	const invalid = "INVALID_CHANGE"
	refuse(t, []refusal{
		{"no customer", `unknown customer 2021-06
			2021-06-18T09:00Z purchase S1 P1M Monthly 1`, "UNKNOWN_CUSTOMER", "no customer C was taken in"},
		{"no partner", `unknown partner 2021-06
			2021-06-18T09:00Z purchase S1 P1M Monthly 1`, "UNKNOWN_PARTNER", "partner P of customer C was not taken in"},

		{"an id that is bought again", `2021-06-18T09:00Z purchase S1 P1M Monthly 1
			2021-06-19T09:00Z purchase S1 P1M Monthly 1`, invalid, "subscription S1 was bought before"},
		{"an id that is bought again after its end", `2021-06-18T09:00Z purchase S1 P1M Monthly 1
			2021-06-19T09:00Z cancel S1
			2021-06-20T09:00Z purchase S1 P1M Monthly 1`, invalid, "subscription S1 was bought before"},
		{"an id that an upgrade made", `2021-06-18T09:00Z purchase S1 P1M Monthly 4
			2021-06-19T09:00Z upgrade S1 B qty=1 to=S2
			2021-06-20T09:00Z purchase S2 P1M Monthly 1`, invalid, "subscription S2 was bought before"},
		{"no product", `2021-06-18T09:00Z purchase S1 P1M Monthly 1 sku=`, invalid, "productId or skuId is missing"},
		{"no quantity", `2021-06-18T09:00Z purchase S1 P1M Monthly`, invalid, "quantity is missing"},
		{"no seats", `2021-06-18T09:00Z purchase S1 P1M Monthly 0`, invalid, "quantity 0: want 1 or more"},
		{"too many seats", `2021-06-18T09:00Z purchase S1 P1M Monthly 1000000001`, invalid, "quantity 1000000001: want 1000000000 or less"},
		{"an unknown term", `2021-06-18T09:00Z purchase S1 P2Y Monthly 1`, invalid, `termDuration "P2Y": want P1M, P1Y or P3Y`},
		{"an unknown plan", `2021-06-18T09:00Z purchase S1 P1Y Weekly 1`, invalid, `billingCycle "Weekly": want Monthly, Annual or Triennial`},
		{"a plan that the term does not have", `2021-06-18T09:00Z purchase S1 P1M Annual 1`, invalid, "a term of P1M cannot be billed Annual"},
		{"a trial's plan that its term does not have", `2021-06-18T09:00Z purchase S1 P1M Annual 1 trial`, invalid, "a term of P1M cannot be billed Annual"},
		{"a trial's unknown term", `2021-06-18T09:00Z purchase S1 P2Y Annual 1 trial`, invalid, `termDuration "P2Y": want P1M, P1Y or P3Y`},
		{"a plan that only trials have", `2021-06-18T09:00Z purchase S1 P1M None 1`, invalid, "a term of P1M cannot be billed None"},
		{"fewer seats than the offer matrix allows", `offer A 5..300
			2021-06-18T09:00Z purchase S1 P1M Monthly 4`, invalid, "quantity 4: the offer matrix wants at least 5 of A/0001"},
		{"more seats than the offer matrix allows", `offer A 5..300
			2021-06-18T09:00Z purchase S1 P1M Monthly 301`, invalid, "quantity 301: the offer matrix allows at most 300 of A/0001"},
		{"a price in no currency", `2021-06-18T09:00Z purchase S1 P1M Monthly 1 price=5 currency=EURO`, invalid, `currency "EURO": want an ISO 4217 code`},
		{"a price below 0", `2021-06-18T09:00Z purchase S1 P1M Monthly 1 price=-5 currency=EUR`, invalid, "unitPrice -5: want 0 or more"},
		{"a value that could be read but not kept", `2021-06-18T09:00Z purchase S1 P1M Monthly 1 defect=quantity-2.5`, invalid, "quantity-2.5"},
	})
}

// The cycles of a long life tile: no day is billed twice or never.
func TestCyclesTile(t *testing.T) {
	t.Parallel()
	for _, plan := range []string{"P1M Monthly", "P1Y Monthly", "P1Y Annual", "P3Y Monthly", "P3Y Annual"} {
		for _, bought := range []string{"2023-12-31", "2024-01-30", "2024-02-29", "2024-06-15"} {
			l := parse(t, "until 2027-06\n"+bought+"T09:00Z purchase S1 "+plan+" 1")
			next := bought
			for _, charge := range l.live(t).charges {
				first, last, _ := strings.Cut(strings.Fields(charge)[2], "..")
				if first != next {
					t.Errorf("%s from %s: %q, want from %s", plan, bought, charge, next)
				}
				next = (day(last) + 1).String()
			}
			if next <= "2027-06-30" {
				t.Errorf("%s from %s: charged up to %s only", plan, bought, next)
			}
		}
	}
}

// What a closed month used answers the same lookup ever after, whatever the
// sheets say now; another promotion is asked for anew, at the old price.
func TestLocks(t *testing.T) {
	t.Parallel()
	const story = `
		show price
		until 2023-07
		promo SUMMER X P1M Monthly 0.25 2023-06-01..2023-06-30
		2023-06-18T09:00Z purchase S1 P1M Monthly 1 sku=X promo=SUMMER
		`
	before := parse(t, "price X P1M Monthly EUR 10 2023-01-01..2023-12-31"+story).live(t)
	if len(before.locks) != 2 {
		t.Errorf("%d locks, want one for the purchase and one for the renewal: %v", len(before.locks), before.locks)
	}
	after := parse(t, "price X P1M Monthly EUR 99 2023-01-01..2023-12-31"+story)
	after.world.locks = before.locks
	again := after.live(t)
	if again.String() != before.String() {
		t.Errorf("with the locks\n%s\nwant\n%s", again, before)
	}
	if len(again.locks) != 0 {
		t.Errorf("remembered locks were kept again: %v", again.locks)
	}

	without := parse(t, "price X P1M Monthly EUR 99 2023-01-01..2023-12-31"+strings.ReplaceAll(story, "promo=SUMMER", ""))
	without.world.locks = before.locks
	want := squeeze(`
		new   +1 2023-06-18..2023-07-17 @10 EUR
		renew +1 2023-07-18..2023-08-17 @10 EUR`)
	if got := without.live(t).String(); got != want {
		t.Errorf("without the promotion\n%s\nwant\n%s", got, want)
	}
}

// Live stops at the end of the month and says where all subscriptions stand.
func TestCount(t *testing.T) {
	t.Parallel()
	got := parse(t, `
		until 2023-07
		2023-06-01T09:00Z purchase S1 P1M Monthly 1
		2023-06-01T09:00Z purchase S2 P1M Monthly 1 sku=X
		2023-06-01T09:00Z purchase S3 P1M Monthly 1 autorenew=off
		2023-06-01T09:00Z purchase S4 P1Y Monthly 1
		2023-06-02T09:00Z suspend S4
		2023-06-02T09:00Z purchase S5 P1M Monthly 1
		2023-06-03T09:00Z cancel S5
		2023-06-03T09:00Z purchase S6 P1M Monthly 0
		2023-08-01T00:00Z purchase S7 P1M Monthly 1`).live(t).count
	if want := (subscription.Count{Billed: 2, Parked: 1, Ended: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
