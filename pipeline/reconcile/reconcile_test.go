package reconcile_test

import (
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pricing"
)

// What was found, by step, our rows | their rows, and what each cause costs.
func TestMatches(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, lines, want string }{
		{"the same on both sides", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00 tax=22.80
			-----
			S1 new 03-18..04-17 10 x 12.00 = 120.00 tax=22.80`, `
			equal 1|1`},
		{"nothing there", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00 tax=22.80
			-----`, `
			remainder 1| missingThere -120.00+-22.80`},
		{"nothing here", `
			-----
			S1 new 03-18..04-17 10 x 12.00 = 120.00`, `
			remainder |1 missingHere 120.00`},
		{"letters' case does not matter", `
			S1 cycleCharge 03-18..04-17 10 x 12.00 = 120.00
			-----
			s1 CycleCharge 03-18..04-17 10 x 12.00 = 120.00`, `
			equal 1|1`},
		{"another quantity", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00 tax=22.80
			-----
			S1 new 03-18..04-17 12 x 12.00 = 144.00 tax=27.36`, `
			quantity 1|1 quantity 24.00+4.56`},
		{"another date: 18 of 31 days for 20", `
			S1 addQuantity 03-12..03-31 10 x 31.00/20.00 = 200.00
			-----
			S1 addQuantity 03-14..03-31 10 x 31.00/18.00 = 180.00`, `
			date 1|1 days -20.00`},
		{"another date, across the month's end: 22 of 31 days for 20", `
			S1 addQuantity 03-01..03-20 10 x 31.00/20.00 = 200.00
			-----
			S1 addQuantity 02-28..03-20 10 x 31.00/22.00 = 220.00`, `
			date 1|1 days 20.00`},
		{"another date that costs nothing", `
			S1 new 03-12..04-11 10 x 12.00 = 120.00
			-----
			S1 new 03-14..04-13 10 x 12.00 = 120.00`, `
			dates 1|1 days 0.00`},
		{"quantity, price and tax at once, each with its cents", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00 tax=22.80
			-----
			S1 new 03-18..04-17 11 x 12.50 = 137.50 tax=9.62`, `
			quantity 1|1 quantity 12.00+2.28 unitPrice 5.50+1.04 tax 0.00+-16.50`},
		{"split in two quantities", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			-----
			S1 new 03-18..04-17 4 x 12.00 = 48.00
			S1 new 03-18..04-17 6 x 12.00 = 72.00`, `
			split 1|1,2`},
		{"split in two, of another sum", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			-----
			S1 new 03-18..04-17 4 x 12.00 = 48.00
			S1 new 03-18..04-17 7 x 12.00 = 84.00`, `
			split 1|1,2 quantity 12.00`},
		{"split in two ranges of days", `
			S1 cycleCharge 03-01..03-31 10 x 31.00 = 310.00
			-----
			S1 cycleCharge 03-01..03-10 10 x 31.00/10.00 = 100.00
			S1 cycleCharge 03-11..03-31 10 x 31.00/21.00 = 210.00`, `
			split 1|1,2`},
		{"merged", `
			S1 addQuantity 03-21..03-30 4 x 30.00/10.00 = 40.00
			S1 addQuantity 03-21..03-30 6 x 30.00/10.00 = 60.00
			-----
			S1 addQuantity 03-21..03-30 10 x 30.00/10.00 = 100.00`, `
			merged 1,2|1`},
		{"a wipe and recreate as its net, truncated once", `
			S1 addQuantity 03-21..03-30 10 x 10.00/3.3333333333 = -33.33
			S1 addQuantity 03-21..03-30 12 x 10.00/3.3333333333 = 40.00
			-----
			S1 addQuantity 03-21..03-30 2 x 10.00/3.3333333333 = 6.66`, `
			netted 1,2|1 roundingPolicy -0.01`},
		{"the same with the new quantity and the sum", `
			S1 addQuantity 03-21..03-30 10 x 10.00/3.3333333333 = -33.33
			S1 addQuantity 03-21..03-30 12 x 10.00/3.3333333333 = 40.00
			-----
			S1 addQuantity 03-21..03-30 12 x 10.00/3.3333333333 = 6.67`, `
			netted 1,2|1`},
		{"the same in the legacy file, which has no SKUs", `
			S1 addQuantity 03-21..03-30 10 x 30.00/10.00 = -100.00
			S1 addQuantity 03-21..03-30 12 x 30.00/10.00 = 120.00
			-----
			S1 addQuantity 03-21..03-30 2 x 30.00 = 20.00 sku= lacks=price lacks=rate`, `
			netted 1,2|1`},
		{"our net is their pair", `
			S1 addQuantity 03-21..03-30 2 x 30.00/10.00 = 20.00
			-----
			S1 addQuantity 03-21..03-30 10 x 30.00/10.00 = -100.00
			S1 addQuantity 03-21..03-30 12 x 30.00/10.00 = 120.00`, `
			netted 1|1,2`},
		{"billed twice", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			-----
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			S1 new 03-18..04-17 10 x 12.00 = 120.00`, `
			equal 1|1
			duplicate |2 duplicate 120.00`},
		{"billed twice, with another quantity at that", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			-----
			S1 new 03-18..04-17 12 x 12.00 = 144.00
			S1 new 03-18..04-17 12 x 12.00 = 144.00`, `
			quantity 1|1 quantity 24.00
			duplicate |2 duplicate 144.00`},
		{"half of it billed again", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			-----
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			S1 new 03-18..04-17 5 x 12.00 = 60.00`, `
			equal 1|1
			duplicate |2 duplicate 60.00`},
		{"we billed it twice", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			-----
			S1 new 03-18..04-17 10 x 12.00 = 120.00`, `
			equal 1|1
			duplicate 2| duplicate -120.00`},
		{"they billed it a month later", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00 tax=22.80
			-----
			S1 new 03-18..04-17 10 x 12.00 = 120.00 tax=22.80 month=04`, `
			neighbour 1|1 period -120.00+-22.80`},
		{"a month later and dearer: the price counts there", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			-----
			S1 new 03-18..04-17 10 x 13.00 = 130.00 month=04`, `
			neighbour 1|1 period -120.00 unitPrice 0.00`},
		{"what we billed in February, and dearer: the price counts here", `
			S1 new 02-18..03-17 10 x 12.00 = 120.00 month=02
			-----
			S1 new 02-18..03-17 10 x 13.00 = 130.00`, `
			neighbour 1|1 period 120.00 unitPrice 10.00`},
		{"dated into April by their March invoice", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			-----
			S1 new 04-18..05-17 10 x 12.00 = 120.00`, `
			dates 1|1 period 0.00`},
		{"neighbours among themselves are no difference", `
			S1 new 02-18..03-17 10 x 12.00 = 120.00 month=02
			S1 cycleCharge 03-18..04-17 10 x 12.00 = 120.00
			-----
			S1 new 02-18..03-17 11 x 12.00 = 132.00 month=02
			S1 cycleCharge 03-18..04-17 10 x 12.00 = 120.00`, `
			equal 2|2`},
		{"a neighbour's line that is nobody's", `
			-----
			S1 new 02-18..03-17 11 x 12.00 = 132.00 month=02`, ``},
		{"our correction of what they had right in February", `
			S1 new 02-18..03-17 10 x 12.00 = 120.00 month=02
			S1 new 02-18..03-17 10 x 12.00 = -120.00 note=C202402
			S1 new 02-18..03-17 11 x 12.00 = 132.00
			-----
			S1 new 02-18..03-17 11 x 12.00 = 132.00 month=02`, `
			remainder 2| period 120.00
			neighbour 3|1 period -132.00`},
		{"they take back what they had billed in February", `
			S1 new 02-18..03-17 10 x 12.00 = 120.00 month=02
			-----
			S1 new 02-18..03-17 10 x 12.00 = 120.00 month=02
			S1 new 02-18..03-17 10 x 12.00 = -120.00`, `
			remainder |2 period -120.00`},
		{"a credit that we do not have, and one that they do not", `
			S1 customerCredit 03-20..03-20 1 x 5.00 = -5.00
			-----
			S1 customerCredit 03-07..03-07 1 x 7.00 = -7.00`, `
			remainder 1| credit 5.00
			remainder |1 credit -7.00`},
		{"a credit of another amount", `
			S1 customerCredit 03-20..03-20 1 x 5.00 = -5.00
			-----
			S1 customerCredit 03-20..03-20 1 x 7.00 = -7.00`, `
			key 1|1 credit -2.00`},
		{"another charge type", `
			S1 cycleCharge 03-18..04-17 10 x 12.00 = 120.00
			-----
			S1 renew 03-18..04-17 10 x 12.00 = 120.00`, `
			type 1|1`},
		{"another subscription id", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			-----
			S9 new 03-18..04-17 10 x 12.00 = 120.00`, `
			product 1|1`},
		{"two currencies are never added", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			-----
			S1 new 03-18..04-17 10 x 13.00 = 130.00 cur=USD`, `
			currency 1|1 currency -120.00 currency 130.00USD`},
		{"the wrong sign", `
			S1 addQuantity 03-12..03-31 10 x 12.00 = 120.00 tax=22.80
			-----
			S1 addQuantity 03-12..03-31 10 x 12.00 = -120.00 tax=-22.80`, `
			sign 1|1 quantity -240.00+-45.60`},
		{"from the last day to the first", `
			S1 addQuantity 03-12..03-31 10 x 12.00 = 120.00
			-----
			S1 addQuantity 03-31..03-12 10 x 12.00 = 120.00 on=03-12`, `
			key 1|1 days 0.00`},
		{"a part that could be the net of both", `
			S1 addQuantity 03-12..03-31 25 x 12.00 = -300.00
			S1 addQuantity 03-12..03-31 29 x 12.00 = 348.00
			-----
			S1 addQuantity 03-12..03-31 12 x 12.00 = -144.00
			S1 addQuantity 03-12..03-31 13 x 12.00 = -156.00
			S1 addQuantity 03-12..03-31 4 x 12.00 = 48.00
			S1 addQuantity 03-12..03-31 25 x 12.00 = 300.00`, `
			split 1|1,2
			split 2|3,4`},
		{"of two that differ alike, the one that is nearest", `
			S1 addQuantity 03-05..03-31 59 x 31.00/27.00 = 1593.00
			S1 addQuantity 03-19..03-31 62 x 31.00/13.00 = 806.00
			-----
			S1 addQuantity 03-20..03-31 61 x 31.00/12.00 = 732.00`, `
			remainder 1| missingThere -1593.00
			occasion 2|1 quantity -13.00 days -61.00`},
		{"the event ids tell which of two is which", `
			S1 addQuantity 03-11..03-31 5 x 31.00/21.00 = 105.00 ref=a
			S1 addQuantity 03-16..03-31 7 x 31.00/16.00 = 112.00 ref=b
			-----
			S1 addQuantity 03-12..03-31 6 x 31.00/20.00 = 120.00 ref=b`, `
			remainder 1| missingThere -105.00
			reference 2|1 quantity -16.00 days 24.00`},
		{"usage is told apart by its product", `
			S1 usage 03-01..03-31 100 x 0.10 = 10.00 sku=AAAA
			S1 usage 03-01..03-31 100 x 0.20 = 20.00 sku=BBBB
			-----
			S1 usage 03-01..03-31 100 x 0.20 = 20.00 sku=BBBB
			S1 usage 03-01..03-31 120 x 0.10 = 12.00 sku=AAAA`, `
			quantity 1|2 quantity 2.00
			equal 2|1`},
		{"a file without dates", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			-----
			S1 new 03-18..04-17 11 x 12.00 = 132.00 lacks=dates`, `
			loose 1|1 quantity 12.00`},
		{"nothing gives their amount", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			-----
			S1 new 03-18..04-17 10 x 12.00 = 77.77`, `
			key 1|1 arithmetic -42.23`},
		{"nothing gives an amount whose price the file does not have", `
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			-----
			S1 new 03-18..04-17 10 x 12.00 = 77.77 lacks=price`, `
			key 1|1 unknown -42.23`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := group(test.lines)
			r := must(reconcile.Reconcile(nil, g))
			if got := found(r.Matches); got != squeeze(test.want) {
				t.Errorf("found\n%s\nwant\n%s", got, squeeze(test.want))
			}
		})
	}
}

// One line of ours and one of theirs; the cause, and a word of why.
func TestCauses(t *testing.T) {
	t.Parallel()
	sheets := catalog{rates: map[string]string{"2024-02": "0.92", "2024-03": "0.9"}}.price("2024-02", "31.00").price("2024-03", "34.10").promotion("TENTH", "0.1")
	tests := []struct{ name, ours, theirs, want, why string }{
		{"the price of February's sheet", "34.10 = 341.00", "31.00 = 310.00",
			"unitPrice -31.00", "theirs is on line 7 of the sheet DE 2024-02"},
		{"the effective price alone is February's", "34.10 = 341.00", "34.10/31.00 = 310.00",
			"unitPrice -31.00", "sheet DE 2024-02"},
		{"a price of no sheet", "34.10 = 341.00", "35.00 = 350.00",
			"unitPrice 9.00", "no row at hand has theirs"},
		{"the list price moved, the effective one did not, the amount did", "34.10 = 341.00", "31.00/34.10 = 310.00",
			"unitPrice -31.00", "sheet DE 2024-02"},
		{"the promotion lost", "34.10/30.69 = 306.90 promo=TENTH", "34.10 = 341.00",
			"promotion 34.10", "they take off 0 %, we 10 % (TENTH)"},
		{"the promotion lost, its id left", "34.10/30.69 = 306.90 promo=TENTH", "34.10/34.10 = 341.00 promo=TENTH",
			"promotion 34.10", "(TENTH)"},
		{"the promotion lost with last month's price", "34.10/30.69 = 306.90 promo=TENTH", "31.00 = 310.00",
			"unitPrice -27.90 promotion 31.00", "(TENTH)"},
		{"a promotion that we did not give", "34.10 = 341.00", "34.10/30.69 = 306.90",
			"promotion -34.10", "they take off 10 %, we 0 % (TENTH)"},
		{"a promotion that only they know", "34.10 = 341.00", "34.10/25.575 = 255.70 promo=THEIRS",
			"promotion -85.30", "they take off 25 %, we 0 % (THEIRS)"},
		{"another number of days under the same dates", "34.10 = 341.00", "34.10/22.00 = 220.00",
			"days -121.00", "as if the event was on 2024-03-12"},
		{"February's rate", "34.10 = 306.90 pc=USD rate=0.9", "34.10 = 313.70 pc=USD rate=0.92",
			"exchangeRate 6.80", "theirs is that of 2024-02"},
		{"the line truncated, not the unit", "34.10/11.3666666667 = 113.60", "34.10/11.3666666667 = 113.66",
			"roundingPolicy 0.06", "theirs: the line is truncated; ours: the unit is truncated, then multiplied"},
		{"a price and an amount that only truncations can make of it", "34.10 = 341.00", "34.555 = 345.53",
			"unitPrice 4.53", "what truncations of 10 units can make is in it"},
		{"more than they can make", "34.10 = 341.00", "34.555 = 345.77",
			"unitPrice 4.50 arithmetic 0.27", "their own columns give 345.50, they billed 345.77"},
		{"no tax", "34.10 = 341.00 tax=64.79", "34.10 = 341.00",
			"tax 0.00+-64.79", "they charge no tax, we 19 %"},
		{"another tax rate", "34.10 = 341.00 tax=64.79", "34.10 = 341.00 tax=23.87",
			"tax 0.00+-40.92", "their tax is 7 %, ours 19 %"},
		{"the tax rounded", "1.15 = 11.50 tax=2.18", "1.15 = 11.50 tax=2.19",
			"roundingPolicy 0.00+0.01", "their tax is rounded to the nearest"},
		{"no effective price in the file", "34.10 = 341.00", "31.00 = 310.00 lacks=price",
			"unitPrice -31.00", "sheet DE 2024-02"},
		{"no unit price either", "34.10 = 341.00", "31.00 = 310.00 lacks=price lacks=unit",
			"unitPrice -31.00", "sheet DE 2024-02"},
		{"no SKU either", "34.10 = 341.00", "31.00 = 310.00 lacks=price sku=",
			"unitPrice -31.00", "sheet DE 2024-02"},
		{"February's rate in a file without rates", "34.10 = 306.90 pc=USD rate=0.9", "34.10 = 313.70 lacks=price lacks=rate",
			"exchangeRate 6.80", "theirs is that of 2024-02"},
		{"no promotion column", "34.10/30.69 = 306.90 promo=TENTH", "34.10/30.69 = 300.00 lacks=promo",
			"arithmetic -6.90", "their own columns give 306.90, they billed 300.00"},
		{"a price in another currency", "34.10 = 306.90 pc=USD rate=0.9", "31.00 = 310.00 pc=EUR rate=1",
			"unitPrice 3.10", "their list price is 31 EUR, ours 34.1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			const key = "S1 new 03-01..03-31 10 x "
			r := must(reconcile.Reconcile(sheets, group(key+test.ours+"\n-----\n"+key+test.theirs)))
			if got, want := found(r.Matches), "key 1|1 "+test.want; got != want {
				t.Fatalf("found %s, want %s", got, want)
			}
			why := ""
			for _, d := range r.Matches[0].Differences {
				why += d.Explanation + "\n"
			}
			if !strings.Contains(why, test.why) {
				t.Errorf("explained by %q, want %q", why, test.why)
			}
		})
	}
}

// A line of theirs that nothing of ours is like says what would have to come in.
func TestMissingHere(t *testing.T) {
	t.Parallel()
	tests := []struct{ theirs, want string }{
		{"S1 new 03-18..04-17 10 x 12.00 = 120.00", "a purchase of 10 of A/0001 on 2024-03-18"},
		{"S1 renew 03-18..04-17 10 x 12.00 = 120.00", "a renewal with 10 of A/0001 on 2024-03-18"},
		{"S1 cycleCharge 03-18..04-17 10 x 12.00 = 120.00", "a subscription of 10 of A/0001 that runs on 2024-03-18"},
		{"S1 cancelImmediate 03-18..04-17 10 x 12.00 = -120.00", "a cancellation of 10 of A/0001 on 2024-03-18"},
		{"S1 convert 03-18..04-17 10 x 12.00 = 120.00", "an upgrade or trial conversion of 10 of A/0001 on 2024-03-18"},
		{"S1 moveQuantity 03-18..04-17 10 x 12.00 = 120.00", "an upgrade of 10 into an existing subscription of A/0001 on 2024-03-18"},
		{"S1 changeBillingPlan 03-18..04-17 10 x 12.00 = 120.00", "a change of the billing plan on 2024-03-18"},
		{"S1 addQuantity 03-18..04-17 12 x 12.00 = 144.00\nS1 addQuantity 03-18..04-17 10 x 12.00 = -120.00", "a change of seats from 10 to 12 on 2024-03-18"},
		{"S1 addQuantity 03-18..04-17 10 x 12.00 = -120.00", "a change of seats from 10 on 2024-03-18"},
		{"S1 usage 03-01..03-31 10 x 12.00 = 120.00", "a charge rated elsewhere: usage of A/0001 on 2024-03-01"},
	}
	for _, test := range tests {
		r := must(reconcile.Reconcile(nil, group("-----\n"+test.theirs)))
		for _, m := range r.Matches {
			if d := m.Differences[0]; d.Cause != reconcile.MissingHere || d.Evidence.Change != test.want {
				t.Errorf("%s: %s, %q, want %q", test.theirs, d.Cause, d.Evidence.Change, test.want)
			}
		}
	}
}

// What we refused and they billed names the code and the event.
func TestRefused(t *testing.T) {
	t.Parallel()
	closed := reconcile.Refusal{Code: pricing.CancelWindowClosed, SubscriptionID: "S1", EventID: "e7", Date: day("03-20"), Month: march, Message: "the window closed on 2024-03-10"}
	someday := closed
	someday.Date = pricing.NoDate
	tests := []struct {
		name, theirs string
		refusal      reconcile.Refusal
		want         reconcile.Cause
	}{
		{"of the day", "S1 cancelImmediate 03-20..04-17 10 x 31.00/29.00 = -290.00", closed, reconcile.Refused},
		{"of another day", "S1 cancelImmediate 03-22..04-17 10 x 31.00/27.00 = -270.00", closed, reconcile.MissingHere},
		{"of the month, where the day is not known", "S1 cancelImmediate 03-22..04-17 10 x 31.00/27.00 = -270.00", someday, reconcile.Refused},
		{"of another subscription", "S2 cancelImmediate 03-20..04-17 10 x 31.00/29.00 = -290.00", closed, reconcile.MissingHere},
		{"a charge type that the code cannot mean", "S1 addQuantity 03-20..04-17 10 x 31.00/29.00 = 290.00", closed, reconcile.MissingHere},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := group("-----\n" + test.theirs)
			g.Refusals = []reconcile.Refusal{test.refusal}
			d := must(reconcile.Reconcile(nil, g)).Matches[0].Differences[0]
			if d.Cause != test.want {
				t.Fatalf("%s, want %s", d.Cause, test.want)
			}
			if d.Cause == reconcile.Refused && (d.Evidence.Code != pricing.CancelWindowClosed || d.Evidence.EventID != "e7") {
				t.Errorf("the evidence is %+v", d.Evidence)
			}
		})
	}
}

// Of a month that their files were not read for, nothing is said.
func TestLateLineOfAMonthFurtherBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ dates, want string }{
		{"01-18..02-17", "; whether they billed it in 2024-01 was not looked at"},
		{"02-18..03-17", ", nor have those of 2024-02"},
	} {
		g := group("S1 cycleCharge " + c.dates + " 10 x 12.00 = 120.00 month=03\n-----\nS2 new 02-01..02-29 1 x 1.00 = 1.00 month=02")
		g.TheirMonths = []pricing.Month{march - 1, march}
		d := must(reconcile.Reconcile(nil, g)).Matches[0].Differences[0]
		if d.Cause != reconcile.MissingThere || !strings.HasSuffix(d.Explanation, c.want) {
			t.Errorf("%s: %s %s", c.dates, d.Cause, d.Explanation)
		}
	}
}

// A charge rated elsewhere that we refused is no reason for another line to differ.
func TestChargeRefusedElsewhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, chargeType string
		cited            bool
	}{{"a refused change", "", true}, {"a refused charge", "new", false}} {
		g := group("S1 cycleCharge 03-18..04-17 10 x 12.00 = 120.00\n-----\nS1 cycleCharge 03-18..04-17 11 x 12.00 = 132.00")
		g.Refusals = []reconcile.Refusal{{Code: pricing.CurrencyMismatch, ChargeType: c.chargeType, SubscriptionID: "S1", Date: pricing.NoDate, Month: march}}
		d := must(reconcile.Reconcile(nil, g)).Matches[0].Differences[0]
		if d.Cause != reconcile.Quantity || strings.Contains(d.Explanation, "we refused a change") != c.cited || (d.Evidence.Code != "") != c.cited {
			t.Errorf("%s: %s, %+v", c.name, d.Explanation, d.Evidence)
		}
	}
}

// A line that looks moved is looked for only in months that both sides have.
func TestMovedDatesNeedBothMonths(t *testing.T) {
	t.Parallel()
	const lines = `
		S1 cycleCharge 03-18..04-17 10 x 12.00 = 120.00
		S1 cycleCharge 04-18..05-17 10 x 12.00 = 120.00 month=04
		-----
		S1 cycleCharge 04-18..05-17 10 x 12.00 = 120.00 month=04
		S1 cycleCharge 04-18..05-17 10 x 12.00 = 120.00 month=04`
	both := []pricing.Month{march, march + 1}
	for _, test := range []struct {
		theirs []pricing.Month
		want   string
	}{
		{both, "neighbour 1|2 period -120.00"},
		{both[:1], "remainder 1| missingThere -120.00"},
	} {
		g := group(lines)
		g.OurMonths, g.TheirMonths = both, test.theirs
		if got := found(must(reconcile.Reconcile(nil, g)).Matches); got != test.want {
			t.Errorf("with %v: %s, want %s", test.theirs, got, test.want)
		}
	}
}
