package exports

import (
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// The columns of Prorations that are added up.
const (
	exactColumnName   = "Exact amount"
	roundedColumnName = "Net"
	residueColumnName = "Residue"
)

// exactPlaces is how many decimals an amount has before it is truncated.
const exactPlaces = 10

// prorations shows how each amount for part of a cycle was reached.
type prorations struct {
	sheet  *dataSheet
	digits int
	policy string // the invoice's rounding
	// exact, net and bound add up the amounts before and after truncation, and
	// how much that could take away.
	exact, bound decimal.Decimal
	net          int64
}

func (b *Workbook) startProrations() {
	currency := b.Info.Invoice.Currency
	b.prorated = prorations{digits: b.Info.Invoice.MinorDigits, policy: b.Info.Invoice.Policies.Rounding}
	b.prorated.sheet = b.sheet(dataSheet{name: prorationsSheet, table: "Prorations", colour: tabBlue, keys: 2, printed: 20,
		columns: []sheetColumn{
			{"Line", 8, kindWhole, "Line of Invoice lines."},
			{"Customer", 28, kindText, "CustomerName."},
			{"Description", 34, kindText, "SkuName."},
			{"Charge type", 17, kindText, "ChargeType."},
			{"Order date", 13, kindDate, "The day of the change, UTC."},
			{"Seats", 9, kindWhole, "Licences before the change with a minus, after it without."},
			{"From", 13, kindDate, "The first day charged."},
			{"To", 13, kindDate, "The last day charged, inclusive."},
			{"Days", 7, kindWhole, "Days charged."},
			{"Of days", 8, kindWhole, "Days of the full cycle."},
			{"Fraction", 11, kindText, "The two as a fraction, exact."},
			{"As decimal", 14, kindExact, "The fraction, rounded to 10 decimals."},
			{"Full price", 13, kindPrice, "List price of one licence for the full cycle, in the pricing currency."},
			{"Discount", 10, kindPercent, "The promotion's share off the list price."},
			{"Pricing currency", 10, kindText, "Currency of the full price."},
			{"Exchange rate", 15, kindRate, "Pricing to billing currency."},
			sheetColumn{exactColumnName, 20, kindExact, "Fraction x price x rate x seats, rounded to 10 decimals for display only."}.in(currency),
			sheetColumn{roundedColumnName, 15, kindAmount, "The amount on the invoice, truncated toward zero."}.in(currency),
			sheetColumn{residueColumnName, 17, kindExact, "What truncation took away: exact amount less net."}.in(currency),
			{"Rule", 30, kindText, "What was truncated: the price of one licence, or the line."},
			{"Subscription id", 38, kindText, "SubscriptionId."},
			{"Event id", 38, kindText, "The change that asked for the line; blank for a cycle or a renewal."},
		}})
}

// add enters a line if it charges part of a cycle.
func (p *prorations) add(l *invoice.Line, item *invoice.Item, number int) error {
	if l.Proof == nil || l.Proof.Calculation.CycleDays == 0 {
		return nil
	}
	c := l.Proof.Calculation
	if c.BillingDays == c.CycleDays {
		return nil
	}
	exact, seats, rule, bound := exactAmount(c), c.Quantity, "line truncated", int64(1)
	if c.Credit {
		seats = -seats
	}
	if c.PerUnit {
		rule, bound = "price of one licence truncated", c.Quantity
	}
	net := decimal.New(l.Subtotal, -int32(p.digits))
	p.exact = p.exact.Add(exact)
	p.bound = p.bound.Add(decimal.New(bound, -int32(p.digits)))
	p.net += l.Subtotal

	row, err := p.sheet.next(0)
	if err != nil {
		return err
	}
	row.whole(int64(number))
	row.text(l.Account.CustomerName)
	row.text(item.SkuName)
	row.text(l.ChargeType)
	row.date(l.OrderDate)
	row.whole(seats)
	row.date(l.ChargeStart)
	row.date(l.ChargeEnd)
	row.whole(int64(c.BillingDays))
	row.whole(int64(c.CycleDays))
	row.text(fmt.Sprintf("%d/%d", c.BillingDays, c.CycleDays))
	row.decimal(decimal.New(int64(c.BillingDays), 0).DivRound(decimal.New(int64(c.CycleDays), 0), exactPlaces))
	row.decimal(l.UnitPrice)
	row.unlessZero(c.Discount)
	row.text(l.PricingCurrency)
	row.decimal(c.ExchangeRate)
	row.decimal(exact)
	row.amount(l.Subtotal, p.digits)
	row.decimal(exact.Sub(net))
	row.text(rule)
	row.text(l.SubscriptionID)
	row.text(l.Proof.EventID)
	return row.end()
}

// exactAmount is what a line comes to before it is truncated, to 10 decimals.
func exactAmount(c pricing.Calculation) decimal.Decimal {
	amount := c.UnitPrice.Mul(decimal.New(int64(c.CycleMonths), 0)).Mul(decimal.New(1, 0).Sub(c.Discount)).
		Mul(decimal.New(int64(c.BillingDays), 0)).Mul(c.ExchangeRate).Mul(decimal.New(c.Quantity, 0))
	if c.Credit {
		amount = amount.Neg()
	}
	return amount.DivRound(decimal.New(int64(c.TermMonths)*int64(c.CycleDays), 0), exactPlaces)
}
