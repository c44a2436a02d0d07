package subscription_test

import "testing"

func TestUpgrade(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{"all seats, the same id: the term's dates and cycles stay", `
			show price term
			until 2023-07
			2023-06-01T09:00Z purchase S1 P1Y Monthly 10
			2023-06-16T09:00Z upgrade S1 B`, `
			new         +10 2023-06-01..2023-06-30 @120 EUR A P1Y Monthly 2023-06-01..2024-05-31
			convert     -10 2023-06-16..2023-06-30 @120 EUR A P1Y Monthly 2023-06-01..2024-05-31
			convert     +10 2023-06-16..2023-06-30 @240 EUR B P1Y Monthly 2023-06-01..2024-05-31
			cycleCharge +10 2023-07-01..2023-07-31 @240 EUR B P1Y Monthly 2023-06-01..2024-05-31`},
		{"the source's own id is the same as none", `
			2023-06-01T09:00Z purchase S1 P1Y Monthly 10
			2023-06-16T09:00Z upgrade S1 B to=S1 qty=10 plan=Monthly`, `
			new     +10 2023-06-01..2023-06-30
			convert -10 2023-06-16..2023-06-30
			convert +10 2023-06-16..2023-06-30`},
		{"all seats to a new id: the source ends that day", `
			until 2023-07
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-16T09:00Z upgrade S1 B to=S2`, `
			new     +10 2023-06-01..2023-06-30
			convert -10 2023-06-16..2023-06-30
			convert +10 2023-06-16..2023-06-30 S2
			renew   +10 2023-07-01..2023-07-31 S2`},
		{"some seats to a new id", `
			until 2023-07
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-16T09:00Z upgrade S1 B to=S2 qty=4`, `
			new     +10 2023-06-01..2023-06-30
			convert  -4 2023-06-16..2023-06-30
			convert  +4 2023-06-16..2023-06-30 S2
			renew    +6 2023-07-01..2023-07-31
			renew    +4 2023-07-01..2023-07-31 S2`},
		{"the target takes over auto-renew, not what was scheduled", `
			until 2023-07
			2023-06-01T09:00Z purchase S1 P1M Monthly 10 autorenew=off
			2023-06-16T09:00Z upgrade S1 B to=S2
			2023-06-01T09:00Z purchase S3 P1M Monthly 10
			2023-06-02T09:00Z schedule S3 qty=1
			2023-06-16T09:00Z upgrade S3 B to=S4 qty=4`, `
			new     +10 2023-06-01..2023-06-30
			new     +10 2023-06-01..2023-06-30 S3
			convert -10 2023-06-16..2023-06-30
			convert +10 2023-06-16..2023-06-30 S2
			convert  -4 2023-06-16..2023-06-30 S3
			convert  +4 2023-06-16..2023-06-30 S4
			renew    +6 2023-07-01..2023-07-31 S3
			renew    +4 2023-07-01..2023-07-31 S4`},
		{"a longer term starts on the event's day", `
			show price term
			until 2023-07
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-16T09:00Z upgrade S1 A term=P1Y plan=Annual`, `
			new     +10 2023-06-01..2023-06-30 @10 EUR A P1M Monthly 2023-06-01..2023-06-30
			convert -10 2023-06-16..2023-06-30 @10 EUR A P1M Monthly 2023-06-01..2023-06-30
			convert +10 2023-06-16..2024-06-15 @108 EUR A P1Y Annual 2023-06-16..2024-06-15`},
		{"a longer term without a plan keeps the source's", `
			show term
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-16T09:00Z upgrade S1 B to=S2 qty=4 term=P3Y`, `
			new     +10 2023-06-01..2023-06-30 A P1M Monthly 2023-06-01..2023-06-30
			convert  -4 2023-06-16..2023-06-30 A P1M Monthly 2023-06-01..2023-06-30
			convert  +4 2023-06-16..2023-07-15 B P3Y Monthly 2023-06-16..2026-06-15 S2`},
		{"the price of the event's day, and only the change's own promotion", `
			show price
			promo OLD A P1Y Annual 0.5 2023-06-01..2023-06-30
			promo NEW B P1Y Annual 0.25 2023-06-01..2023-06-30
			price X P1Y Annual EUR 500 2023-06-10..2023-06-30
			2023-06-01T09:00Z purchase S1 P1Y Annual 10 promo=OLD
			2023-06-16T09:00Z upgrade S1 X to=S2 qty=4
			2023-06-17T09:00Z upgrade S1 B to=S3 qty=4 promo=NEW
			2023-06-17T09:00Z upgrade S1 B promo=OLD`, `
			new     +10 2023-06-01..2024-05-31 @108 EUR OLD -0.5
			convert  -4 2023-06-16..2024-05-31 @108 EUR OLD -0.5
			convert  +4 2023-06-16..2024-05-31 @500 EUR S2
			convert  -4 2023-06-17..2024-05-31 @108 EUR OLD -0.5
			convert  +4 2023-06-17..2024-05-31 @216 EUR NEW -0.25 S3
			convert  -2 2023-06-17..2024-05-31 @108 EUR OLD -0.5
			convert  +2 2023-06-17..2024-05-31 @216 EUR
			warning PROMOTION_NOT_APPLIED S1 e4 2023-06: promotion OLD does not fit B/0001 P1Y Annual on 2023-06-17: billed without it`},
		{"a custom end stays the target's too", `
			show term
			2023-06-11T09:00Z purchase S1 P1M Monthly 10 end=2023-06-30
			2023-06-16T09:00Z upgrade S1 B`, `
			new     +10 2023-06-11..2023-06-30 20/30 A P1M Monthly 2023-06-11..2023-06-30
			convert -10 2023-06-16..2023-06-30 20/30 A P1M Monthly 2023-06-11..2023-06-30
			convert +10 2023-06-16..2023-06-30 20/30 B P1M Monthly 2023-06-11..2023-06-30`},
		{"moved seats leave the newest layer first", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-06-07T09:00Z seats S1 12
			2023-06-07T10:00Z upgrade S1 B to=S2 qty=2
			2023-06-08T08:00Z seats S1 1`, `
			new            +10 2023-06-01..2024-05-31
			addQuantity    -10 2023-06-07..2024-05-31
			addQuantity    +12 2023-06-07..2024-05-31
			convert         -2 2023-06-07..2024-05-31
			convert         +2 2023-06-07..2024-05-31 S2
			removeQuantity -10 2023-06-08..2024-05-31
			removeQuantity  +1 2023-06-08..2024-05-31`},
		{"the offer matrix allows it", `
			offer A 1..300 B
			offer B 4..300
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-16T09:00Z upgrade S1 B to=S2 qty=4`, `
			new     +10 2023-06-01..2023-06-30
			convert  -4 2023-06-16..2023-06-30
			convert  +4 2023-06-16..2023-06-30 S2`},
		{"a renewal opens the window that an upgrade closed", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-16T09:00Z upgrade S1 B
			2023-07-08T00:00Z cancel S1`, `
			new             +10 2023-06-01..2023-06-30
			convert         -10 2023-06-16..2023-06-30
			convert         +10 2023-06-16..2023-06-30
			renew           +10 2023-07-01..2023-07-31
			cancelImmediate -10 2023-07-08..2023-07-31`},
	})
}

func TestUpgradeIntoExisting(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{"the target's own cycle, days and locked price", `
			show price
			2023-05-20T09:00Z purchase S2 P1Y Monthly 5 sku=B price=222
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-16T09:00Z upgrade S1 B to=S2 qty=4`, `
			new          +5 2023-05-20..2023-06-19 @222 EUR S2
			new         +10 2023-06-01..2023-06-30 @10 EUR
			moveQuantity -4 2023-06-16..2023-06-30 @10 EUR
			moveQuantity +4 2023-06-16..2023-06-19 @222 EUR S2
			cycleCharge  +9 2023-06-20..2023-07-19 @222 EUR S2`},
		{"all seats: the source ends", `
			until 2023-07
			2023-05-20T09:00Z purchase S2 P1Y Annual 5 sku=B
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-16T09:00Z upgrade S1 B to=S2`, `
			new          +5 2023-05-20..2024-05-19 S2
			new         +10 2023-06-01..2023-06-30
			moveQuantity -10 2023-06-16..2023-06-30
			moveQuantity +10 2023-06-16..2024-05-19 S2`},
		{"the target's own lines of the day come first, and its schedule is gone", `
			until 2023-07
			2023-05-20T09:00Z purchase S2 P1M Monthly 5 sku=B
			2023-06-01T09:00Z schedule S2 qty=1
			2023-06-12T09:00Z purchase S1 P1M Monthly 10 end=2023-06-30
			2023-06-28T09:00Z upgrade S1 B to=S2 qty=4
			2023-05-20T09:00Z purchase S4 P1Y Monthly 5 sku=B
			2023-06-01T09:00Z schedule S4 qty=1
			2023-06-20T09:00Z upgrade S1 B to=S4 qty=4`, `
			new          +5 2023-05-20..2023-06-19 S2
			new          +5 2023-05-20..2023-06-19 S4
			new         +10 2023-06-12..2023-06-30 19/30
			cycleCharge  +5 2023-06-20..2023-07-19 S4
			moveQuantity -4 2023-06-20..2023-06-30 19/30
			moveQuantity +4 2023-06-20..2023-07-19 S4
			renew        +1 2023-06-20..2023-07-19 S2
			moveQuantity -4 2023-06-28..2023-06-30 19/30
			moveQuantity +4 2023-06-28..2023-07-19 S2
			renew        +5 2023-07-20..2023-08-19 S2
			cycleCharge  +9 2023-07-20..2023-08-19 S4
			renew        +2 2023-07-01..2023-07-31`},
		{"its own price holds, a promotion of the change is not applied", `
			2023-05-20T09:00Z purchase S2 P1Y Annual 5 sku=B
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-16T09:00Z upgrade S1 B to=S2 qty=4 promo=SUMMER`, `
			new          +5 2023-05-20..2024-05-19 S2
			new         +10 2023-06-01..2023-06-30
			moveQuantity -4 2023-06-16..2023-06-30
			moveQuantity +4 2023-06-16..2024-05-19 S2
			warning PROMOTION_NOT_APPLIED S1 e3 2023-06: promotion SUMMER is not applied: the seats take the locked price of S2`},
		{"moved seats open no window, the others keep theirs", `
			2023-05-20T09:00Z purchase S2 P1Y Annual 5 sku=B
			2023-06-10T09:00Z seats S2 8
			2023-06-10T09:00Z purchase S1 P1Y Annual 10 end=2024-04-30
			2023-06-16T09:00Z upgrade S1 B to=S2 qty=4
			2023-06-16T10:00Z seats S2 9`, `
			new            +5 2023-05-20..2024-05-19 S2
			addQuantity    -5 2023-06-10..2024-05-19 S2
			addQuantity    +8 2023-06-10..2024-05-19 S2
			new           +10 2023-06-10..2024-04-30 326/366
			moveQuantity   -4 2023-06-16..2024-04-30 326/366
			moveQuantity   +4 2023-06-16..2024-05-19 S2
			removeQuantity -12 2023-06-16..2024-05-19 S2
			removeQuantity +9 2023-06-16..2024-05-19 S2`},
	})
}

func TestUpgradeRefused(t *testing.T) {
	t.Parallel()
	const bought = `
		2023-05-01T09:00Z purchase S2 P1Y Annual 5 sku=B
		2023-06-01T09:00Z purchase S1 P1M Monthly 10
		2023-06-01T09:00Z purchase S3 P3Y Annual 10
		`
	const invalid, ineligible = "INVALID_CHANGE", "UPGRADE_NOT_ELIGIBLE"
	refuse(t, []refusal{
		{"to nothing", bought + `2023-06-16T09:00Z upgrade S1`, invalid, "toProductId or toSkuId is missing"},
		{"of no seats", bought + `2023-06-16T09:00Z upgrade S1 B qty=0 to=S9`, invalid, "quantity 0: want 1 or more"},
		{"to an unknown term", bought + `2023-06-16T09:00Z upgrade S1 B term=P2Y`, invalid, `termDuration "P2Y": want P1M, P1Y or P3Y`},
		{"to an unknown plan", bought + `2023-06-16T09:00Z upgrade S1 B plan=Weekly`, invalid, `billingCycle "Weekly": want Monthly, Annual or Triennial`},
		{"to a plan that the longer term does not have", bought + `2023-06-16T09:00Z upgrade S1 B term=P1Y plan=Triennial`, invalid,
			"a term of P1Y cannot be billed Triennial"},
		{"to another plan without a longer term", bought + `2023-06-16T09:00Z upgrade S3 B plan=Monthly`, invalid,
			"billingCycle Monthly: without a longer term the plan stays Annual"},
		{"to what it is", bought + `2023-06-16T09:00Z upgrade S1 A`, invalid, "the subscription is A/0001 already"},
		{"of more seats than there are", bought + `2023-06-16T09:00Z upgrade S1 B qty=11 to=S9`, invalid, "11 seats cannot move: there are 10"},
		{"of a part without an id", bought + `2023-06-16T09:00Z upgrade S1 B qty=9`, invalid, "a part of the seats needs a toSubscriptionId of its own"},
		{"of a part to its own id", bought + `2023-06-16T09:00Z upgrade S1 B qty=9 to=S1`, invalid, "a part of the seats needs a toSubscriptionId of its own"},
		{"of a trial", `2023-06-01T09:00Z purchase S1 P1M Monthly 10 trial
			2023-06-16T09:00Z upgrade S1 B`, invalid, "a trial cannot be upgraded, only converted"},
		{"of a suspended subscription", bought + `2023-06-15T09:00Z suspend S1
			2023-06-16T09:00Z upgrade S1 B`, "SUBSCRIPTION_NOT_ACTIVE", "the subscription is suspended"},
		{"of one that was upgraded away", bought + `2023-06-15T09:00Z upgrade S1 B to=S9
			2023-06-15T09:00Z upgrade S1 B to=S9`, "SUBSCRIPTION_NOT_ACTIVE", "the subscription ended on 2023-06-15"},
		{"to fewer seats than the target's minimum", `offer A 1..300 B
			offer B 5..300` + bought + `2023-06-16T09:00Z upgrade S1 B qty=4 to=S9`, invalid, "quantity 4: the offer matrix wants at least 5 of B/0001"},
		{"to more seats than the existing target may have", `offer A 1..300 B
			offer B 5..14` + bought + `2023-06-16T09:00Z upgrade S1 B to=S2`, invalid, "quantity 15: the offer matrix allows at most 14 of B/0001"},
		{"leaving fewer seats than the source's minimum", `offer A 5..300 B
			offer B 0..0` + bought + `2023-06-16T09:00Z upgrade S1 B qty=6 to=S9`, invalid, "quantity 4: the offer matrix wants at least 5 of A/0001"},

		{"to a shorter term", bought + `2023-06-16T09:00Z upgrade S3 B term=P1Y`, ineligible, "a term of P1Y is shorter than the source's P3Y"},
		{"that the offer matrix does not have", `offer A 1..300 C` + bought + `2023-06-16T09:00Z upgrade S1 B`, ineligible,
			"the offer matrix does not convert A/0001 to B/0001"},
		{"into a subscription that is not active", bought + `2023-06-15T09:00Z suspend S2
			2023-06-16T09:00Z upgrade S1 B to=S2`, ineligible, "target S2: it is not active"},
		{"into a trial", `2023-05-30T09:00Z purchase S2 P1M Monthly 5 sku=B trial
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-16T09:00Z upgrade S1 B to=S2`, ineligible, "target S2: it is a trial"},
		{"into another product", bought + `2023-06-16T09:00Z upgrade S1 C to=S2`, ineligible, "target S2: it is B/0001, not C/0001"},
		{"into a shorter term", bought + `2023-06-16T09:00Z upgrade S3 B to=S2`, ineligible, "target S2: its term of P1Y is shorter than the source's P3Y"},
		{"into a term that ends before", `2023-05-20T09:00Z purchase S2 P1Y Annual 5 sku=B end=2023-06-20
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-16T09:00Z upgrade S1 B to=S2`, ineligible, "target S2: its term ends on 2023-06-20, before the source's 2023-06-30"},
		{"into one that can itself still be cancelled", `2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-10T09:00Z purchase S2 P1Y Annual 5 sku=B
			2023-06-17T09:00Z upgrade S1 B to=S2`, ineligible, "target S2: it can itself still be cancelled, until 2023-06-17T09:00:00Z"},
		{"to what has no price changes nothing", bought + `2023-06-16T09:00Z upgrade S1 X to=S9`, "PRICE_NOT_FOUND",
			"X/0001 P1M Monthly DE Commercial has no row (sheet DE 2023-06, prices.csv)"},
		{"of a subscription that nobody bought", bought + `2023-06-16T09:00Z upgrade S8 B`, "UNKNOWN_SUBSCRIPTION", `customer C has no subscription "S8"`},
	})
	t.Run("into a parked one", func(t *testing.T) {
		t.Parallel()
		tell(t, []story{{"and out of a parked one without a minus line", `
			2023-05-20T09:00Z purchase S2 P1Y Annual 5 sku=X
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-16T09:00Z upgrade S1 X to=S2 qty=4
			2023-06-16T09:00Z upgrade S2 B to=S3 qty=1`, `
			new     +10 2023-06-01..2023-06-30
			convert  +1 2023-06-16..2024-05-19 S3
			error UPGRADE_NOT_ELIGIBLE S1 e3 2023-06: subscription.upgraded at 2023-06-16T09:00:00Z: target S2: it is parked
			error PRICE_NOT_FOUND S2 e1 2023-05..2023-06: not billed from 2023-05-20: X/0001 P1Y Annual DE Commercial has no row (sheet DE 2023-05, prices.csv)`}})
	})
}
