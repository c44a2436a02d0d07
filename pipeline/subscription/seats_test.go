package subscription_test

import "testing"

func TestSeats(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{"seats up: wipe and recreate from the event day to the cycle's end", `
			2021-06-18T09:00Z purchase S1 P1M Monthly 10
			2021-06-20T10:00Z seats S1 12`, `
			new         +10 2021-06-18..2021-07-17
			addQuantity -10 2021-06-20..2021-07-17
			addQuantity +12 2021-06-20..2021-07-17`},
		{"seats down: the same as removeQuantity", `
			2021-06-18T09:00Z purchase S1 P1M Monthly 10
			2021-06-20T10:00Z seats S1 7`, `
			new            +10 2021-06-18..2021-07-17
			removeQuantity -10 2021-06-20..2021-07-17
			removeQuantity  +7 2021-06-20..2021-07-17`},
		{"several changes a day: each has its pair, in the order of time and id", `
			2021-06-18T09:00Z purchase S1 P1M Monthly 10
			2021-06-20T10:00Z seats S1 13 id=b
			2021-06-20T10:00Z seats S1 12 id=a
			2021-06-20T09:00Z seats S1 11 id=c`, `
			new            +10 2021-06-18..2021-07-17
			addQuantity    -10 2021-06-20..2021-07-17
			addQuantity    +11 2021-06-20..2021-07-17
			addQuantity    -11 2021-06-20..2021-07-17
			addQuantity    +12 2021-06-20..2021-07-17
			addQuantity    -12 2021-06-20..2021-07-17
			addQuantity    +13 2021-06-20..2021-07-17`},
		{"the quantity that is already there: nothing", `
			until 2021-07
			2021-06-18T09:00Z purchase S1 P1M Monthly 10
			2021-06-19T09:00Z schedule S1 qty=3
			2021-06-20T10:00Z seats S1 10`, `
			new   +10 2021-06-18..2021-07-17
			renew  +3 2021-07-18..2021-08-17`},
		{"a change clears what was scheduled", `
			until 2021-07
			2021-06-18T09:00Z purchase S1 P1M Monthly 10
			2021-06-19T09:00Z schedule S1 qty=3
			2021-06-20T10:00Z seats S1 11`, `
			new         +10 2021-06-18..2021-07-17
			addQuantity -10 2021-06-20..2021-07-17
			addQuantity +11 2021-06-20..2021-07-17
			renew       +11 2021-07-18..2021-08-17`},
		{"on a cycle's first day: the cycle for the quantity before, then the pair", `
			2021-06-18T09:00Z purchase S1 P1Y Monthly 10
			2021-07-18T00:00Z seats S1 12`, `
			new         +10 2021-06-18..2021-07-17
			cycleCharge +10 2021-07-18..2021-08-17
			addQuantity -10 2021-07-18..2021-08-17
			addQuantity +12 2021-07-18..2021-08-17`},
		{"on a renewal's day: the renewal at 00:00 comes first", `
			2021-06-18T09:00Z purchase S1 P1M Monthly 10
			2021-07-18T00:00Z seats S1 8`, `
			new            +10 2021-06-18..2021-07-17
			renew          +10 2021-07-18..2021-08-17
			removeQuantity -10 2021-07-18..2021-08-17
			removeQuantity  +8 2021-07-18..2021-08-17`},
		{"on a cycle's last day: one day", `
			2021-06-18T09:00Z purchase S1 P1Y Monthly 10
			2021-07-17T23:59Z seats S1 12`, `
			new         +10 2021-06-18..2021-07-17
			addQuantity -10 2021-07-17..2021-07-17
			addQuantity +12 2021-07-17..2021-07-17
			cycleCharge +12 2021-07-18..2021-08-17`},
	})
}

// Each addition is a layer with a window of its own; open ones go, newest first.
func TestSeatLayers(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{"added seats can go within 168 hours, to the tick", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-07-01T09:00Z seats S1 15
			2023-07-08T09:00Z seats S1 10`, `
			new            +10 2023-06-01..2024-05-31
			addQuantity    -10 2023-07-01..2024-05-31
			addQuantity    +15 2023-07-01..2024-05-31
			removeQuantity -15 2023-07-08..2024-05-31
			removeQuantity +10 2023-07-08..2024-05-31`},
		{"an open layer below a newer one goes too", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-06-02T09:00Z seats S1 12
			2023-06-03T09:00Z seats S1 15
			2023-06-04T09:00Z seats S1 1`, `
			new            +10 2023-06-01..2024-05-31
			addQuantity    -10 2023-06-02..2024-05-31
			addQuantity    +12 2023-06-02..2024-05-31
			addQuantity    -12 2023-06-03..2024-05-31
			addQuantity    +15 2023-06-03..2024-05-31
			removeQuantity -15 2023-06-04..2024-05-31
			removeQuantity  +1 2023-06-04..2024-05-31`},
		{"a renewal opens the window of all seats again", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-07-08T00:00Z seats S1 1`, `
			new            +10 2023-06-01..2023-06-30
			renew          +10 2023-07-01..2023-07-31
			removeQuantity -10 2023-07-08..2023-07-31
			removeQuantity  +1 2023-07-08..2023-07-31`},
		{"with an override closed layers follow, newest first", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-07-01T09:00Z seats S1 15
			2023-07-02T09:00Z seats S1 8 override=ticket-7
			2023-07-03T09:00Z seats S1 9
			2023-07-04T09:00Z seats S1 8`, `
			new            +10 2023-06-01..2024-05-31
			addQuantity    -10 2023-07-01..2024-05-31
			addQuantity    +15 2023-07-01..2024-05-31
			removeQuantity -15 2023-07-02..2024-05-31 "ticket-7"
			removeQuantity  +8 2023-07-02..2024-05-31 "ticket-7"
			addQuantity     -8 2023-07-03..2024-05-31
			addQuantity     +9 2023-07-03..2024-05-31
			removeQuantity  -9 2023-07-04..2024-05-31
			removeQuantity  +8 2023-07-04..2024-05-31`},
		{"an override that lifts nothing is not printed", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-06-02T09:00Z seats S1 8 override=ticket-7`, `
			new            +10 2023-06-01..2024-05-31
			removeQuantity -10 2023-06-02..2024-05-31
			removeQuantity  +8 2023-06-02..2024-05-31`},
		{"windows=trust bills it with a warning", `
			policy trust
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-07-01T09:00Z seats S1 8`, `
			new            +10 2023-06-01..2024-05-31
			removeQuantity -10 2023-07-01..2024-05-31
			removeQuantity  +8 2023-07-01..2024-05-31
			warning SEAT_WINDOW_CLOSED S1 e2 2023-07: subscription.quantityChanged at 2023-07-01T09:00:00Z: billed although the window is closed, by the policy windows=trust: 2 seats shall go, only 0 can still be taken back on 2023-07-01T09:00:00Z`},
		{"with an override trust does not warn", `
			policy trust
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-07-01T09:00Z seats S1 8 override=ticket-7`, `
			new            +10 2023-06-01..2024-05-31
			removeQuantity -10 2023-07-01..2024-05-31 "ticket-7"
			removeQuantity  +8 2023-07-01..2024-05-31 "ticket-7"`},
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{"exactly 168 hours after the start", `
			until 2023-07
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-08T09:00Z cancel S1`, `
			new             +10 2023-06-01..2023-06-30
			cancelImmediate -10 2023-06-08..2023-06-30`},
		{"exactly 72 hours for terms that start before 2022-03-12", `
			until 2022-04
			2022-03-11T23:59:59.9999999Z purchase S1 P1M Monthly 10
			2022-03-14T23:59:59.9999999Z cancel S1`, `
			new             +10 2022-03-11..2022-04-10
			cancelImmediate -10 2022-03-14..2022-04-10`},
		{"168 hours from 2022-03-12 00:00 on", `
			until 2022-04
			2022-03-12T00:00Z purchase S1 P1M Monthly 10
			2022-03-19T00:00Z cancel S1`, `
			new             +10 2022-03-12..2022-04-11
			cancelImmediate -10 2022-03-19..2022-04-11`},
		{"a renewal's window starts at 00:00, with its own length", `
			2022-02-12T20:00Z purchase S1 P1M Monthly 10
			2022-03-19T00:00Z cancel S1`, `
			new             +10 2022-02-12..2022-03-11
			renew           +10 2022-03-12..2022-04-11
			cancelImmediate -10 2022-03-19..2022-04-11`},
		{"a suspended subscription can be cancelled", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-03T09:00Z suspend S1
			2023-06-04T09:00Z cancel S1`, `
			new             +10 2023-06-01..2023-06-30
			cancelImmediate -10 2023-06-04..2023-06-30`},

		{"within 24 hours all days are refunded, on the day of the cancel", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-02T09:00Z cancel S1`, `
			new             +10 2023-06-01..2023-06-30
			cancelImmediate -10 2023-06-01..2023-06-30 on 2023-06-02`},
		{"one tick later only the rest is", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-02T09:00:00.0000001Z cancel S1`, `
			new             +10 2023-06-01..2023-06-30
			cancelImmediate -10 2023-06-02..2023-06-30`},
		{"nor when the quantity was changed, even back to what it was", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-01T10:00Z seats S1 11
			2023-06-01T11:00Z seats S1 10
			2023-06-02T08:00Z cancel S1`, `
			new             +10 2023-06-01..2023-06-30
			addQuantity     -10 2023-06-01..2023-06-30
			addQuantity     +11 2023-06-01..2023-06-30
			removeQuantity  -11 2023-06-01..2023-06-30
			removeQuantity  +10 2023-06-01..2023-06-30
			cancelImmediate -10 2023-06-02..2023-06-30`},
		{"nor when seats moved away", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-01T10:00Z upgrade S1 B qty=4 to=S2
			2023-06-02T08:00Z cancel S1`, `
			new             +10 2023-06-01..2023-06-30
			convert          -4 2023-06-01..2023-06-30
			convert          +4 2023-06-01..2023-06-30 S2
			cancelImmediate  -6 2023-06-02..2023-06-30`},
		{"a change to the quantity that is there does not count", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-01T10:00Z seats S1 10
			2023-06-02T08:00Z cancel S1`, `
			new             +10 2023-06-01..2023-06-30
			cancelImmediate -10 2023-06-01..2023-06-30 on 2023-06-02`},
		{"a renewal's 24 hours end at its next midnight", `
			2023-05-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-02T00:00Z cancel S1`, `
			new             +10 2023-05-01..2023-05-31
			renew           +10 2023-06-01..2023-06-30
			cancelImmediate -10 2023-06-01..2023-06-30 on 2023-06-02`},
		{"a stub's days are refunded as they were charged", `
			2023-06-11T09:00Z purchase S1 P1M Monthly 10 end=2023-06-30
			2023-06-12T09:00Z cancel S1`, `
			new             +10 2023-06-11..2023-06-30 20/30
			cancelImmediate -10 2023-06-11..2023-06-30 20/30 on 2023-06-12`},
	})
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{"on the envelope", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-20T09:00Z cancel S1 override=ticket-7`, `
			new             +10 2023-06-01..2023-06-30
			cancelImmediate -10 2023-06-20..2023-06-30 "ticket-7"`},
		{"by a later change that names it, also one after the month", `
			until 2023-06
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-20T09:00Z cancel S1
			2023-09-20T09:00Z overridden S1 e2 ticket-7`, `
			new             +10 2023-06-01..2023-06-30
			cancelImmediate -10 2023-06-20..2023-06-30 "ticket-7"`},
		{"of two the first gives the reason, the envelope before both", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-06-20T09:00Z seats S1 9
			2023-06-20T10:00Z seats S1 8 override=ticket-0
			2023-06-21T09:00Z overridden S1 e2 ticket-1
			2023-06-22T09:00Z overridden S1 e2 ticket-2
			2023-06-22T09:00Z overridden S1 e3 ticket-3`, `
			new            +10 2023-06-01..2024-05-31
			removeQuantity -10 2023-06-20..2024-05-31 "ticket-1"
			removeQuantity  +9 2023-06-20..2024-05-31 "ticket-1"
			removeQuantity  -9 2023-06-20..2024-05-31 "ticket-0"
			removeQuantity  +8 2023-06-20..2024-05-31 "ticket-0"`},
		{"in time it is not needed, and not printed", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-05T09:00Z cancel S1 override=ticket-7`, `
			new             +10 2023-06-01..2023-06-30
			cancelImmediate -10 2023-06-05..2023-06-30`},
		{"windows=trust needs none, and warns", `
			policy trust
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-20T09:00Z cancel S1`, `
			new             +10 2023-06-01..2023-06-30
			cancelImmediate -10 2023-06-20..2023-06-30
			warning CANCEL_WINDOW_CLOSED S1 e2 2023-06: subscription.canceled at 2023-06-20T09:00:00Z: billed although the window is closed, by the policy windows=trust: the window closed on 2023-06-08T09:00:00Z, 168 hours after the term's start`},
	})
}

func TestWindowsRefused(t *testing.T) {
	t.Parallel()
	refuse(t, []refusal{
		{"a tick after 168 hours", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-08T09:00:00.0000001Z cancel S1`, "CANCEL_WINDOW_CLOSED",
			"the window closed on 2023-06-08T09:00:00Z, 168 hours after the term's start"},
		{"a tick after 72 hours", `
			2022-03-11T09:00Z purchase S1 P1M Monthly 10
			2022-03-14T09:00:00.0000001Z cancel S1`, "CANCEL_WINDOW_CLOSED",
			"the window closed on 2022-03-14T09:00:00Z, 72 hours after the term's start"},
		{"an override without a reason lifts nothing", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-20T09:00Z cancel S1 override=`, "CANCEL_WINDOW_CLOSED",
			"the window closed on 2023-06-08T09:00:00Z, 168 hours after the term's start"},
		{"an upgraded subscription has none", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-01T10:00Z upgrade S1 B
			2023-06-01T11:00Z cancel S1`, "CANCEL_WINDOW_CLOSED",
			"a subscription made by an upgrade has no window until it renews"},

		{"seats of the term's start, a tick after", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-06-08T09:00:00.0000001Z seats S1 9`, "SEAT_WINDOW_CLOSED",
			"1 seats shall go, only 0 can still be taken back on 2023-06-08T09:00:00.0000001Z"},
		{"more than are open: none goes", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-07-01T09:00Z seats S1 15
			2023-07-02T09:00Z seats S1 9`, "SEAT_WINDOW_CLOSED",
			"6 seats shall go, only 5 can still be taken back on 2023-07-02T09:00:00Z"},
		{"seats added before 2022-03-12 have 72 hours", `
			2022-01-01T09:00Z purchase S1 P1Y Annual 10
			2022-03-11T09:00Z seats S1 12
			2022-03-14T09:00:00.0000001Z seats S1 10`, "SEAT_WINDOW_CLOSED",
			"2 seats shall go, only 0 can still be taken back on 2022-03-14T09:00:00.0000001Z"},
		{"a removal takes the newest open seats, so the oldest stay", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-06-07T09:00Z seats S1 12
			2023-06-07T10:00Z seats S1 10
			2023-06-09T09:00Z seats S1 9`, "SEAT_WINDOW_CLOSED",
			"1 seats shall go, only 0 can still be taken back on 2023-06-09T09:00:00Z"},
		{"seats that came by an upgrade", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-06-02T09:00Z upgrade S1 B
			2023-06-02T10:00Z seats S1 9`, "SEAT_WINDOW_CLOSED",
			"1 seats shall go, only 0 can still be taken back on 2023-06-02T10:00:00Z"},

		{"an override does not lift another rule", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-20T09:00Z seats S1 0 override=ticket-7`, "INVALID_CHANGE", "quantity 0: want 1 or more"},
		{"no quantity", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-02T09:00Z seats S1`, "INVALID_CHANGE", "quantity is missing"},
		{"fewer seats than the offer matrix allows", `
			offer A 5..300
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-02T09:00Z seats S1 4`, "INVALID_CHANGE", "quantity 4: the offer matrix wants at least 5 of A/0001"},
		{"more seats than the offer matrix allows", `
			offer A 5..300
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-02T09:00Z seats S1 301`, "INVALID_CHANGE", "quantity 301: the offer matrix allows at most 300 of A/0001"},
		{"an unreadable value comes before the window", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-07-02T09:00Z seats S1 defect=quantity-2.5`, "INVALID_CHANGE", "quantity-2.5"},
		{"active comes before values", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-06-02T09:00Z suspend S1
			2023-07-02T09:00Z seats S1 0`, "SUBSCRIPTION_NOT_ACTIVE", "the subscription is suspended"},
		{"a subscription that was cancelled", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-06-02T09:00Z cancel S1
			2023-06-02T09:00Z seats S1 11`, "SUBSCRIPTION_NOT_ACTIVE", "the subscription ended on 2023-06-02"},
		{"a subscription that nobody bought", `
			2023-06-02T09:00Z seats S1 11`, "UNKNOWN_SUBSCRIPTION", `customer C has no subscription "S1"`},
		{"an unknown type", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-06-02T09:00Z subscription.moved S1`, "INVALID_CHANGE", "unknown type of change"},

		{"an override that names no change", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-06-02T09:00Z overridden S1 e9 ticket-7`, "INVALID_CHANGE", `eventId "e9" names no earlier change of subscription S1`},
		{"an override of another subscription's change", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-06-01T09:00Z purchase S2 P1Y Annual 10
			2023-06-02T09:00Z overridden S1 e2 ticket-7`, "INVALID_CHANGE", `eventId "e2" names no earlier change of subscription S1`},
		{"an override before what it names", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-06-02T09:00Z overridden S1 e2 ticket-7`, "INVALID_CHANGE", `eventId "e2" names no earlier change of subscription S1`},
		{"an override without a reason", `
			2023-06-01T09:00Z purchase S1 P1Y Annual 10
			2023-06-02T09:00Z overridden S1 e1`, "INVALID_CHANGE", "reason is missing"},
	})
}

func TestCredits(t *testing.T) {
	t.Parallel()
	tell(t, []story{
		{"to the customer, or of a subscription, also of an ended one", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-02T09:00Z credit 12.50 EUR
			2023-06-08T09:00Z cancel S1
			2023-06-09T09:00Z credit 3 EUR of=S1`, `
			new             +10 2023-06-01..2023-06-30
			customerCredit   -1 2023-06-02..2023-06-02 12.5 -
			cancelImmediate -10 2023-06-08..2023-06-30
			customerCredit   -1 2023-06-09..2023-06-09 3`},
		{"the subscription's own lines of the day come first", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-07-01T00:00Z credit 3 EUR of=S1 subject=C`, `
			new            +10 2023-06-01..2023-06-30
			renew          +10 2023-07-01..2023-07-31
			customerCredit  -1 2023-07-01..2023-07-01 3`},
	})
	refuse(t, []refusal{
		{"of no subscription that the customer has", `2023-06-01T09:00Z credit 3 EUR of=S9`, "UNKNOWN_SUBSCRIPTION", `customer C has no subscription "S9"`},
		{"of nothing", `2023-06-01T09:00Z credit`, "INVALID_CHANGE", "amount is missing"},
		{"of 0", `2023-06-01T09:00Z credit 0 EUR`, "INVALID_CHANGE", "amount 0: want more than 0"},
		{"below 0", `2023-06-01T09:00Z credit -3 EUR`, "INVALID_CHANGE", "amount -3: want more than 0"},
		{"without a currency", `2023-06-01T09:00Z credit 3`, "INVALID_CHANGE", "currency is missing"},
		{"to somebody else", `2023-06-01T09:00Z credit 3 EUR subject=D`, "INVALID_CHANGE", `subject "D": want the customer's id C`},
		{"in another currency", `2023-06-01T09:00Z credit 3 USD`, "CURRENCY_MISMATCH", "a credit in USD cannot stand on an invoice in EUR"},
		{"with an unreadable value", `2023-06-01T09:00Z credit 3 EUR defect=amount-x`, "INVALID_CHANGE", "amount-x"},
	})
}
