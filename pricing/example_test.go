package pricing_test

import (
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// The worked example of the README: 25 seats at 115.20 a year, billed monthly,
// become 30 on 20 October.
func ExampleCalculation_Rate() {
	bought, _ := pricing.ParseDate("2026-10-05")
	changed, _ := pricing.ParseDate("2026-10-20")
	term := pricing.FullTerm(pricing.P1Y, bought, pricing.Clamp)
	cycle := term.CycleAt(pricing.Monthly, changed)
	fmt.Printf("term %s to %s, cycle %s to %s: %d of %d days\n", term.Start, term.End, cycle.First, cycle.Last, cycle.From(changed), cycle.Days)

	line := func(quantity int64, from pricing.Date, credit, seatPair bool) {
		rated, err := pricing.Calculation{
			UnitPrice:   decimal.RequireFromString("115.2"),
			CycleMonths: cycle.Months, TermMonths: term.Months(),
			BillingDays: cycle.From(from), CycleDays: cycle.Days,
			ExchangeRate: decimal.NewFromInt(1), Quantity: quantity, Credit: credit,
			PerUnit: pricing.Documented.PerUnit(seatPair), MinorDigits: 2,
		}.Rate()
		if err != nil {
			fmt.Println(err)
			return
		}
		tax, err := pricing.Tax(rated.Subtotal, decimal.RequireFromString("0.19"))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d at %s, effective %s: %s, tax %s\n", quantity, rated.UnitPrice, rated.EffectiveUnitPrice,
			pricing.FormatMinor(rated.Subtotal, 2), pricing.FormatMinor(tax, 2))
	}
	line(25, cycle.First, false, false)
	line(25, changed, true, true)
	line(30, changed, false, true)
	// Output:
	// term 2026-10-05 to 2027-10-04, cycle 2026-10-05 to 2026-11-04: 16 of 31 days
	// 25 at 9.6, effective 9.6: 240.00, tax 45.60
	// 25 at 9.6, effective -4.9548387097: -123.87, tax -23.53
	// 30 at 9.6, effective 4.9548387097: 148.64, tax 28.24
}
