package subscription_test

import "testing"

func TestRenewal(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{"auto-renew is on unless it was switched off", `
			until 2023-08
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-01T09:00Z purchase S2 P1M Monthly 2 autorenew=off
			2023-06-01T09:00Z purchase S3 P1M Monthly 3
			2023-06-02T09:00Z autorenew S3 off`, `
			new   +1 2023-06-01..2023-06-30
			new   +2 2023-06-01..2023-06-30 S2
			new   +3 2023-06-01..2023-06-30 S3
			renew +1 2023-07-01..2023-07-31
			renew +1 2023-08-01..2023-08-31`},
		{"off and on again before the last day's end", `
			until 2023-07
			2023-06-01T09:00Z purchase S1 P1M Monthly 1 autorenew=off
			2023-06-30T23:59Z autorenew S1 on`, `
			new   +1 2023-06-01..2023-06-30
			renew +1 2023-07-01..2023-07-31`},
		{"suspended on the last day: it expires, billed until then", `
			until 2023-09
			2023-06-10T09:00Z purchase S1 P1Y Monthly 1 end=2023-08-31
			2023-07-15T09:00Z suspend S1`, `
			new         +1 2023-06-10..2023-06-30 21/30
			cycleCharge +1 2023-07-01..2023-07-31
			cycleCharge +1 2023-08-01..2023-08-31`},
		{"reactivated in time it renews; both twice do nothing more", `
			until 2023-07
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-02T09:00Z suspend S1
			2023-06-03T09:00Z suspend S1
			2023-06-30T09:00Z reactivate S1
			2023-06-30T10:00Z reactivate S1`, `
			new   +1 2023-06-01..2023-06-30
			renew +1 2023-07-01..2023-07-31`},
		{"auto-renew can be switched while suspended", `
			until 2023-07
			2023-06-01T09:00Z purchase S1 P1M Monthly 1 autorenew=off
			2023-06-02T09:00Z suspend S1
			2023-06-03T09:00Z autorenew S1 on
			2023-06-04T09:00Z reactivate S1`, `
			new   +1 2023-06-01..2023-06-30
			renew +1 2023-07-01..2023-07-31`},
	})
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{"product, term, plan, quantity, end and promotion: any of them, once", `
			show price term
			promo AUTUMN B P1Y Monthly 0.5 2023-07-01..2023-07-31
			until 2023-08
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-02T09:00Z schedule S1 sku=B term=P1Y plan=Monthly qty=4 end=2024-05-15 promo=AUTUMN`, `
			new         +1 2023-06-01..2023-06-30 @10 EUR A P1M Monthly 2023-06-01..2023-06-30
			renew       +4 2023-07-01..2023-07-15 15/30 @240 EUR AUTUMN -0.5 B P1Y Monthly 2023-07-01..2024-05-15
			cycleCharge +4 2023-07-16..2023-08-15 @240 EUR AUTUMN -0.5 B P1Y Monthly 2023-07-01..2024-05-15
			cycleCharge +4 2023-08-16..2023-09-15 @240 EUR AUTUMN -0.5 B P1Y Monthly 2023-07-01..2024-05-15`},
		{"gone after the renewal", `
			until 2023-08
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-02T09:00Z schedule S1 end=2023-07-10`, `
			new   +1 2023-06-01..2023-06-30
			renew +1 2023-07-01..2023-07-10 10/30
			renew +1 2023-07-11..2023-08-10
			renew +1 2023-08-11..2023-09-10`},
		{"a later one replaces the earlier whole", `
			show term
			until 2023-07
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-02T09:00Z schedule S1 sku=B
			2023-06-03T09:00Z schedule S1 qty=3`, `
			new   +1 2023-06-01..2023-06-30 A P1M Monthly 2023-06-01..2023-06-30
			renew +3 2023-07-01..2023-07-31 A P1M Monthly 2023-07-01..2023-07-31`},
		{"{} and clear take it away", `
			until 2023-07
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-02T09:00Z schedule S1 qty=3
			2023-06-03T09:00Z schedule S1 {}
			2023-06-01T09:00Z purchase S2 P1M Monthly 1
			2023-06-02T09:00Z schedule S2 qty=3
			2023-06-03T09:00Z clear S2`, `
			new   +1 2023-06-01..2023-06-30
			new   +1 2023-06-01..2023-06-30 S2
			renew +1 2023-07-01..2023-07-31
			renew +1 2023-07-01..2023-07-31 S2`},
		{"auto-renew off and suspension delete it", `
			until 2023-07
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-02T09:00Z schedule S1 qty=3
			2023-06-03T09:00Z autorenew S1 off
			2023-06-04T09:00Z autorenew S1 on
			2023-06-05T09:00Z purchase S2 P1M Monthly 1
			2023-06-06T09:00Z schedule S2 qty=3
			2023-06-06T10:00Z suspend S2
			2023-06-06T11:00Z reactivate S2`, `
			new   +1 2023-06-01..2023-06-30
			new   +1 2023-06-05..2023-07-04 S2
			renew +1 2023-07-01..2023-07-31
			renew +1 2023-07-05..2023-08-04 S2`},
		{"switching auto-renew on where it is on keeps it", `
			until 2023-07
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-02T09:00Z schedule S1 qty=3
			2023-06-03T09:00Z autorenew S1 on
			2023-06-03T10:00Z reactivate S1`, `
			new   +1 2023-06-01..2023-06-30
			renew +3 2023-07-01..2023-07-31`},
		{"an end outside the next term: the full term, reported at the renewal", `
			until 2023-07
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-02T09:00Z schedule S1 end=2023-08-10`, `
			new   +1 2023-06-01..2023-06-30
			renew +1 2023-07-01..2023-07-31
			error TERM_END_NOT_ALLOWED S1 - 2023-07: customTermEndDate 2023-08-10: outside 2023-07-01 to 2023-07-31; the full term is billed`},
	})
	refuse(t, []refusal{
		{"with nothing", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-02T09:00Z schedule S1`, "INVALID_CHANGE", "scheduledNextTermInstructions is missing"},
		{"with auto-renew off", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 1 autorenew=off
			2023-06-02T09:00Z schedule S1 qty=3`, "INVALID_CHANGE", "auto-renew is off: there is no next term"},
		{"while suspended", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-02T09:00Z suspend S1
			2023-06-02T10:00Z schedule S1 qty=3`, "SUBSCRIPTION_NOT_ACTIVE", "the subscription is suspended"},
		{"of no seats", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-02T10:00Z schedule S1 qty=0`, "INVALID_CHANGE", "quantity 0: want 1 or more"},
		{"of an unknown term", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-02T10:00Z schedule S1 term=P2Y`, "INVALID_CHANGE", `termDuration "P2Y": want P1M, P1Y or P3Y`},
		{"of an unknown plan", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-02T10:00Z schedule S1 plan=Weekly`, "INVALID_CHANGE", `billingCycle "Weekly": want Monthly, Annual or Triennial`},
		{"of a plan that the current term does not have", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 1
			2023-06-02T10:00Z schedule S1 plan=Annual`, "INVALID_CHANGE", "a term of P1M cannot be billed Annual"},
		{"of a term that the current plan does not suit", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 1
			2023-06-02T10:00Z schedule S1 term=P1M`, "INVALID_CHANGE", "a term of P1M cannot be billed Annual"},
		{"auto-renew neither on nor off", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 1
			2023-06-02T10:00Z autorenew S1`, "INVALID_CHANGE", "autoRenewEnabled is missing"},
	})
}

func TestTrials(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{"one month at 0, whatever the term says; without instructions it expires", `
			show price term
			until 2023-08
			2023-06-18T09:00Z purchase S1 P1Y Annual 25 trial`, `
			new +25 2023-06-18..2023-07-17 @0 EUR A P1Y None 2023-06-18..2023-07-17`},
		{"converted: 0 back, the paid term starts on that day", `
			show price term
			2023-06-18T09:00Z purchase S1 P1Y Annual 25 trial
			2023-06-28T09:00Z convert S1 qty=20`, `
			new     +25 2023-06-18..2023-07-17 @0 EUR A P1Y None 2023-06-18..2023-07-17
			convert -25 2023-06-28..2023-07-17 @0 EUR A P1Y None 2023-06-18..2023-07-17
			convert +20 2023-06-28..2024-06-27 @108 EUR A P1Y Annual 2023-06-28..2024-06-27`},
		{"converted to another product, term and plan", `
			show price term
			promo START B P1M Monthly 0.1 2023-06-01..2023-06-30
			2023-06-18T09:00Z purchase S1 P1Y Annual 25 trial
			2023-06-28T09:00Z convert S1 sku=B term=P1M plan=Monthly promo=START`, `
			new     +25 2023-06-18..2023-07-17 @0 EUR A P1Y None 2023-06-18..2023-07-17
			convert -25 2023-06-28..2023-07-17 @0 EUR A P1Y None 2023-06-18..2023-07-17
			convert +25 2023-06-28..2023-07-27 @20 EUR START -0.1 B P1M Monthly 2023-06-28..2023-07-27`},
		{"a promotion that does not fit is left out", `
			2023-06-18T09:00Z purchase S1 P1M Monthly 25 trial
			2023-06-28T09:00Z convert S1 promo=START`, `
			new     +25 2023-06-18..2023-07-17
			convert -25 2023-06-28..2023-07-17
			convert +25 2023-06-28..2023-07-27
			warning PROMOTION_NOT_APPLIED S1 e2 2023-06: promotion START does not fit A/0001 P1M Monthly on 2023-06-28: billed without it`},
		{"a conversion opens the cancellation window, with its 24 hours", `
			2023-06-18T09:00Z purchase S1 P1M Monthly 25 trial
			2023-06-28T09:00Z convert S1
			2023-06-29T09:00Z cancel S1`, `
			new             +25 2023-06-18..2023-07-17
			convert         -25 2023-06-28..2023-07-17
			convert         +25 2023-06-28..2023-07-27
			cancelImmediate -25 2023-06-28..2023-07-27 on 2023-06-29`},
		{"with instructions it renews into them, by the term and plan that it named", `
			show price term
			until 2023-07
			2023-06-18T09:00Z purchase S1 P1Y Monthly 25 trial
			2023-06-28T09:00Z schedule S1 qty=20`, `
			new   +25 2023-06-18..2023-07-17 @0 EUR A P1Y None 2023-06-18..2023-07-17
			renew +20 2023-07-18..2023-08-17 @120 EUR A P1Y Monthly 2023-07-18..2024-07-17`},
		{"one that names neither term nor plan is told when it converts", `
			show term
			2023-06-18T09:00Z purchase S1 _ _ 25 trial
			2023-06-28T09:00Z convert S1 term=P1M plan=Monthly`, `
			new     +25 2023-06-18..2023-07-17 A None 2023-06-18..2023-07-17
			convert -25 2023-06-28..2023-07-17 A None 2023-06-18..2023-07-17
			convert +25 2023-06-28..2023-07-27 A P1M Monthly 2023-06-28..2023-07-27`},
	})
	refuse(t, []refusal{
		{"a conversion of what is no trial", `
			2023-06-18T09:00Z purchase S1 P1M Monthly 25
			2023-06-28T09:00Z convert S1`, "INVALID_CHANGE", "subscription S1 is no trial"},
		{"a conversion of no seats", `
			2023-06-18T09:00Z purchase S1 P1M Monthly 25 trial
			2023-06-28T09:00Z convert S1 qty=0`, "INVALID_CHANGE", "quantity 0: want 1 or more"},
		{"a conversion to an unknown term", `
			2023-06-18T09:00Z purchase S1 P1M Monthly 25 trial
			2023-06-28T09:00Z convert S1 term=P2Y`, "INVALID_CHANGE", `termDuration "P2Y": want P1M, P1Y or P3Y`},
		{"a conversion to an unknown plan", `
			2023-06-18T09:00Z purchase S1 P1M Monthly 25 trial
			2023-06-28T09:00Z convert S1 plan=Weekly`, "INVALID_CHANGE", `billingCycle "Weekly": want Monthly, Annual or Triennial`},
		{"a conversion to a plan that the term does not have", `
			2023-06-18T09:00Z purchase S1 P1M Monthly 25 trial
			2023-06-28T09:00Z convert S1 plan=Annual`, "INVALID_CHANGE", "a term of P1M cannot be billed Annual"},
		{"a conversion to what has no price changes nothing", `
			2023-06-18T09:00Z purchase S1 P1M Monthly 25 trial
			2023-06-28T09:00Z convert S1 sku=X`, "PRICE_NOT_FOUND",
			"X/0001 P1M Monthly DE Commercial has no row (sheet DE 2023-06, prices.csv)"},
		{"a conversion of a suspended trial", `
			2023-06-18T09:00Z purchase S1 P1M Monthly 25 trial
			2023-06-27T09:00Z suspend S1
			2023-06-28T09:00Z convert S1`, "SUBSCRIPTION_NOT_ACTIVE", "the subscription is suspended"},
		{"a conversion after the trial's month", `
			2023-06-18T09:00Z purchase S1 P1M Monthly 25 trial
			2023-07-18T00:00Z convert S1`, "SUBSCRIPTION_NOT_ACTIVE", "the subscription ended on 2023-07-17"},
	})
}

func TestPlanChange(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{"to monthly: from the next cycle, the dates of the term stay", `
			show price term
			until 2024-08
			2023-06-18T09:00Z purchase S1 P3Y Annual 2
			2024-03-01T09:00Z plan S1 Monthly`, `
			new               +2 2023-06-18..2024-06-17 @324 EUR A P3Y Annual 2023-06-18..2026-06-17
			changeBillingPlan +2 2024-06-18..2024-07-17 @360 EUR A P3Y Monthly 2023-06-18..2026-06-17
			cycleCharge       +2 2024-07-18..2024-08-17 @360 EUR A P3Y Monthly 2023-06-18..2026-06-17
			cycleCharge       +2 2024-08-18..2024-09-17 @360 EUR A P3Y Monthly 2023-06-18..2026-06-17`},
		{"to annual in mid-year: the months left to the anniversary", `
			until 2024-06
			2023-06-18T09:00Z purchase S1 P3Y Monthly 2
			2023-08-01T09:00Z plan S1 Annual`, `
			new               +2 2023-06-18..2023-07-17
			cycleCharge       +2 2023-07-18..2023-08-17
			changeBillingPlan +2 2023-08-18..2024-06-17
			cycleCharge       +2 2024-06-18..2025-06-17`},
		{"the price is the new plan's at the term's start, not that of the day", `
			show price
			price X P3Y Monthly EUR 360 2023-06-01..2023-06-30
			price X P3Y Monthly EUR 999 2023-07-01..2024-12-31
			price X P3Y Annual EUR 324 2023-06-01..2023-06-30
			until 2024-06
			2023-06-18T09:00Z purchase S1 P3Y Annual 2 sku=X
			2024-03-01T09:00Z plan S1 Monthly`, `
			new               +2 2023-06-18..2024-06-17 @324 EUR
			changeBillingPlan +2 2024-06-18..2024-07-17 @360 EUR`},
		{"back before it took effect: nothing", `
			until 2024-06
			2023-06-18T09:00Z purchase S1 P3Y Annual 2
			2024-03-01T09:00Z plan S1 Monthly
			2024-03-02T09:00Z plan S1 Annual`, `
			new         +2 2023-06-18..2024-06-17
			cycleCharge +2 2024-06-18..2025-06-17`},
		{"the plan that it has: nothing, whatever the term and day", `
			until 2026-06
			2025-06-18T09:00Z purchase S1 P1Y Annual 2
			2025-07-01T09:00Z plan S1 Annual`, `
			new   +2 2025-06-18..2026-06-17
			renew +2 2026-06-18..2027-06-17`},
		{"without a further cycle it is the next term's", `
			show term
			until 2024-07
			2021-06-18T09:00Z purchase S1 P3Y Triennial 2
			2024-06-01T09:00Z plan S1 Monthly`, `
			new         +2 2021-06-18..2024-06-17 A P3Y Triennial 2021-06-18..2024-06-17
			renew       +2 2024-06-18..2024-07-17 A P3Y Monthly 2024-06-18..2027-06-17
			cycleCharge +2 2024-07-18..2024-08-17 A P3Y Monthly 2024-06-18..2027-06-17`},
		{"the promotion is asked for again, for the new plan", `
			show price
			promo START A P3Y Annual 0.1 2023-06-01..2023-06-30
			until 2024-06
			2023-06-18T09:00Z purchase S1 P3Y Annual 2 promo=START
			2024-03-01T09:00Z plan S1 Monthly`, `
			new               +2 2023-06-18..2024-06-17 @324 EUR START -0.1
			changeBillingPlan +2 2024-06-18..2024-07-17 @360 EUR
			warning PROMOTION_NOT_APPLIED S1 e2 2024-03: promotion START does not fit A/0001 P3Y Monthly on 2023-06-18: billed without it`},
		{"a parked term whose new plan has a price is billed from the change on", `
			price X P3Y Monthly EUR 360 2023-06-01..2023-06-30
			until 2024-06
			2023-06-18T09:00Z purchase S1 P3Y Annual 2 sku=X
			2024-03-01T09:00Z plan S1 Monthly`, `
			changeBillingPlan +2 2024-06-18..2024-07-17
			error PRICE_NOT_FOUND S1 e1 2023-06..2024-06: not billed from 2023-06-18: X/0001 P3Y Annual DE Commercial has no row (sheet DE 2023-06, prices.csv)`},
		{"seats change meanwhile", `
			until 2024-06
			2023-06-18T09:00Z purchase S1 P3Y Annual 2
			2024-03-01T09:00Z plan S1 Monthly
			2024-04-01T09:00Z seats S1 3`, `
			new               +2 2023-06-18..2024-06-17
			addQuantity       -2 2024-04-01..2024-06-17
			addQuantity       +3 2024-04-01..2024-06-17
			changeBillingPlan +3 2024-06-18..2024-07-17`},
	})
	refuse(t, []refusal{
		{"of one year", `
			2023-06-18T09:00Z purchase S1 P1Y Annual 2
			2024-03-01T09:00Z plan S1 Monthly`, "PLAN_CHANGE_NOT_ALLOWED", "only a term of P3Y may change its plan"},
		{"of a trial", `
			2023-06-18T09:00Z purchase S1 P1Y Annual 2 trial
			2023-06-19T09:00Z plan S1 Monthly`, "PLAN_CHANGE_NOT_ALLOWED", "only a term of P3Y may change its plan"},
		{"from 2025-04-01 on", `
			2023-06-18T09:00Z purchase S1 P3Y Annual 2
			2025-04-01T00:00Z plan S1 Monthly`, "PLAN_CHANGE_NOT_ALLOWED", "plans change no more from 2025-04-01 on"},
		{"to an unknown plan", `
			2023-06-18T09:00Z purchase S1 P3Y Annual 2
			2024-03-01T09:00Z plan S1 Weekly`, "INVALID_CHANGE", `billingCycle "Weekly": want Monthly, Annual or Triennial`},
		{"to a plan that the term does not have", `
			2023-06-18T09:00Z purchase S1 P1Y Monthly 2
			2024-03-01T09:00Z plan S1 Triennial`, "INVALID_CHANGE", "a term of P1Y cannot be billed Triennial"},
		{"to a plan that has no price", `
			price X P3Y Annual EUR 324 2023-06-01..2023-06-30
			2023-06-18T09:00Z purchase S1 P3Y Annual 2 sku=X
			2024-03-01T09:00Z plan S1 Monthly`, "PRICE_NOT_FOUND",
			"X/0001 P3Y Monthly DE Commercial has no row (sheet DE 2023-06, prices.csv)"},
	})
}
