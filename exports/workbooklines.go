package exports

import (
	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// lineColumn is one column of the sheet Invoice lines: what a person needs of
// a line. The machine files have all 46 columns.
type lineColumn struct {
	name   string
	number bool
	money  bool // the heading names the currency
	width  int
	cell   func(*cellMaker, *invoice.Line) excelize.Cell
	means  string // for the dictionary on Notes
}

// The positions, from 1, of the columns that the control totals add up.
const (
	keyColumns   = 3  // frozen: Line, Customer, Charge type
	printColumns = 16 // what fits on a page: up to Currency; the rest is for looking up

	lineNumberColumn = 1
	netColumn        = 13
	taxColumn        = 14
	grossColumn      = 15
)

var lineColumns = [...]lineColumn{
	{"Line", true, false, 8, func(c *cellMaker, _ *invoice.Line) excelize.Cell { return c.whole(c.number) },
		"Row of reconciliation.csv, without its heading."},
	{"Customer", false, false, 28, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(l.Account.CustomerName) },
		"CustomerName."},
	{"Charge type", false, false, 17, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(l.ChargeType) },
		"ChargeType, as Microsoft names it."},
	{"Description", false, false, 34, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(c.item.SkuName) },
		"SkuName."},
	{"Order date", false, false, 13, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.date(l.OrderDate) },
		"OrderDate: the day of the change, UTC."},
	{"Service from", false, false, 14, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.date(l.ChargeStart) },
		"ChargeStartDate: the first day charged."},
	{"Service to", false, false, 13, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.date(l.ChargeEnd) },
		"ChargeEndDate: the last day charged, inclusive."},
	{"Days", true, false, 7, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.days(l.ChargeStart, l.ChargeEnd) },
		"Days charged, both ends counted."},
	{"Quantity", true, false, 10, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.quantity(l.BillableQuantity) },
		"BillableQuantity, always positive."},
	{"List price", true, false, 13, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.price(l.UnitPrice) },
		"UnitPrice: one licence for one full cycle, in the pricing currency."},
	{"Effective price", true, false, 16, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.price(l.EffectiveUnitPrice) },
		"EffectiveUnitPrice: prorated, discounted and signed, in the pricing currency, before the exchange rate and before truncation."},
	{"Exchange rate", true, false, 15, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.rate(l.ExchangeRate) },
		"PCToBCExchangeRate: pricing to billing currency."},
	{"Net", true, true, 15, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.amount(l.Subtotal) },
		"Subtotal."},
	{"Tax", true, true, 14, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.amount(l.TaxTotal) },
		"TaxTotal."},
	{"Gross", true, true, 15, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.amount(l.Total) },
		"Total: net and tax."},
	{"Currency", false, false, 10, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(l.Currency) },
		"Currency of the amounts."},
	{"Pricing currency", false, false, 10, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(l.PricingCurrency) },
		"PricingCurrency of the two prices."},
	{"Adjustment", false, false, 34, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(l.PriceAdjustment) },
		"PriceAdjustmentDescription: promotions, overrides, and which invoice line is corrected."},
	{"Term and billing", false, false, 38, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(c.item.TermAndBillingCycle) },
		"TermAndBillingCycle."},
	{"Term start", false, false, 12, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.date(l.TermStart) },
		"SubscriptionStartDate."},
	{"Term end", false, false, 12, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.date(l.TermEnd) },
		"SubscriptionEndDate, inclusive."},
	{"Product id", false, false, 16, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(c.item.ProductID) },
		"ProductId."},
	{"SKU id", false, false, 8, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(c.item.SkuID) },
		"SkuId, four places."},
	{"Subscription id", false, false, 38, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(l.SubscriptionID) },
		"SubscriptionId."},
	{"Customer id", false, false, 38, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(l.Account.CustomerID) },
		"CustomerId: the customer's tenant."},
	{"Order id", false, false, 38, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(l.OrderID) },
		"OrderId."},
	{"Invoice number", false, false, 17, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(l.InvoiceNumber) },
		"InvoiceNumber, blank in a draft."},
	{"Credit reason", false, false, 16, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(l.CreditReasonCode) },
		"CreditReasonCode."},
	{"Reference id", false, false, 38, func(c *cellMaker, l *invoice.Line) excelize.Cell { return c.text(l.ReferenceID) },
		"ReferenceId: the same on all lines of one change."},
}

// title is the heading; amounts say their currency.
func (c *lineColumn) title(currency string) string {
	if c.money {
		return c.name + " (" + currency + ")"
	}
	return c.name
}

// cellMaker turns the values of one line into cells.
type cellMaker struct {
	styles styles
	digits int
	number int // of the line
	item   *invoice.Item
}


func (c *cellMaker) text(s string) excelize.Cell {
	if s == "" {
		return excelize.Cell{StyleID: c.styles.text}
	}
	return excelize.Cell{StyleID: c.styles.text, Value: fitText(s)}
}

func (c *cellMaker) whole(n int) excelize.Cell {
	return excelize.Cell{StyleID: c.styles.whole, Value: n}
}

func (c *cellMaker) date(d pricing.Date) excelize.Cell {
	if d == pricing.NoDate {
		return excelize.Cell{StyleID: c.styles.date}
	}
	if day := int(d) + sheetEpoch; day >= firstSheetDay {
		return excelize.Cell{StyleID: c.styles.date, Value: day}
	}
	return c.text(d.String())
}

func (c *cellMaker) days(from, to pricing.Date) excelize.Cell {
	if from == pricing.NoDate || to == pricing.NoDate {
		return excelize.Cell{StyleID: c.styles.whole}
	}
	return c.whole(int(to-from) + 1)
}

func (c *cellMaker) amount(minor int64) excelize.Cell {
	return excelize.Cell{StyleID: c.styles.amount, Value: cellAmount(minor, c.digits)}
}

func (c *cellMaker) price(d decimal.Decimal) excelize.Cell {
	return excelize.Cell{StyleID: c.styles.price, Value: cellNumber(d)}
}

func (c *cellMaker) quantity(d decimal.Decimal) excelize.Cell {
	style := c.styles.whole
	if !d.IsInteger() {
		style = c.styles.quantity
	}
	return excelize.Cell{StyleID: style, Value: cellNumber(d)}
}

func (c *cellMaker) rate(d decimal.Decimal) excelize.Cell {
	if d.IsZero() {
		return excelize.Cell{StyleID: c.styles.rate}
	}
	return excelize.Cell{StyleID: c.styles.rate, Value: cellNumber(d)}
}

// cellAmount is an amount as a spreadsheet holds it: the nearest double. A
// decimal given to excelize would become text, of which SUM is 0.
func cellAmount(minor int64, digits int) float64 {
	return float64(minor) / float64(powersOfTen[digits])
}

func cellNumber(d decimal.Decimal) float64 {
	if v, places, ok := coefficient(d); ok {
		return float64(v) / float64(powersOfTen[places])
	}
	f, _ := d.Float64()
	return f
}
