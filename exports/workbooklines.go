package exports

import (
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// lineColumn is one column of the sheet Invoice lines: what a person needs of
// a line. The machine files have all 46 columns.
type lineColumn struct {
	name  string
	width int
	kind  cellKind
	cell  func(*lineCells, *invoice.Line)
	means string // for the dictionary on Notes
}

const (
	lineKeys     = 3  // in sight always: Line, Customer, Charge type
	printedLines = 18 // what fits on a page: up to Currency; the rest is for looking up
)

// The columns that are added up.
const (
	lineColumnName  = "Line"
	netColumnName   = "Net"
	taxColumnName   = "Tax"
	grossColumnName = "Gross"
)

var lineColumns = [...]lineColumn{
	{"Line", 8, kindWhole, func(c *lineCells, _ *invoice.Line) { c.whole(c.line) },
		"Row of reconciliation.csv, without its heading."},
	{"Customer", 28, kindText, func(c *lineCells, l *invoice.Line) { c.text(l.Account.CustomerName) },
		"CustomerName."},
	{"Charge type", 17, kindText, func(c *lineCells, l *invoice.Line) { c.text(l.ChargeType) },
		"ChargeType, as Microsoft names it."},
	{"Description", 34, kindText, func(c *lineCells, l *invoice.Line) { c.text(c.item.SkuName) },
		"SkuName."},
	{"Order date", 13, kindDate, func(c *lineCells, l *invoice.Line) { c.date(l.OrderDate) },
		"OrderDate: the day of the change, UTC."},
	{"Service from", 14, kindDate, func(c *lineCells, l *invoice.Line) { c.date(l.ChargeStart) },
		"ChargeStartDate: the first day charged."},
	{"Service to", 13, kindDate, func(c *lineCells, l *invoice.Line) { c.date(l.ChargeEnd) },
		"ChargeEndDate: the last day charged, inclusive."},
	{"Days", 7, kindWhole, func(c *lineCells, l *invoice.Line) { c.days(l.ChargeStart, l.ChargeEnd) },
		"Days charged, both ends counted."},
	{"Cycle days", 8, kindWhole, func(c *lineCells, l *invoice.Line) { c.cycleDays(l) },
		"Days of the full cycle that the days are charged of; blank for charges rated elsewhere."},
	{"Quantity", 10, kindQuantity, func(c *lineCells, l *invoice.Line) { c.quantity(l.BillableQuantity) },
		"BillableQuantity, always positive."},
	{"List price", 13, kindPrice, func(c *lineCells, l *invoice.Line) { c.decimal(l.UnitPrice) },
		"UnitPrice: one licence for one full cycle, in the pricing currency."},
	{"Discount", 10, kindPercent, func(c *lineCells, l *invoice.Line) { c.discount(l) },
		"The promotion's share off the list price; blank without one."},
	{"Effective price", 16, kindPrice, func(c *lineCells, l *invoice.Line) { c.decimal(l.EffectiveUnitPrice) },
		"EffectiveUnitPrice: prorated, discounted and signed, in the pricing currency, before the exchange rate and before truncation."},
	{"Exchange rate", 15, kindRate, func(c *lineCells, l *invoice.Line) { c.unlessZero(l.ExchangeRate) },
		"PCToBCExchangeRate: pricing to billing currency."},
	{"Net", 15, kindAmount, func(c *lineCells, l *invoice.Line) { c.amount(l.Subtotal) },
		"Subtotal."},
	{"Tax", 14, kindAmount, func(c *lineCells, l *invoice.Line) { c.amount(l.TaxTotal) },
		"TaxTotal."},
	{"Gross", 15, kindAmount, func(c *lineCells, l *invoice.Line) { c.amount(l.Total) },
		"Total: net and tax."},
	{"Currency", 10, kindText, func(c *lineCells, l *invoice.Line) { c.text(l.Currency) },
		"Currency of the amounts."},
	{"Pricing currency", 10, kindText, func(c *lineCells, l *invoice.Line) { c.text(l.PricingCurrency) },
		"PricingCurrency of the two prices."},
	{"Adjustment", 34, kindText, func(c *lineCells, l *invoice.Line) { c.text(l.PriceAdjustment) },
		"PriceAdjustmentDescription: promotions, overrides, and which invoice line is corrected."},
	{"Term and billing", 38, kindText, func(c *lineCells, l *invoice.Line) { c.text(c.item.TermAndBillingCycle) },
		"TermAndBillingCycle."},
	{"Term start", 12, kindDate, func(c *lineCells, l *invoice.Line) { c.date(l.TermStart) },
		"SubscriptionStartDate."},
	{"Term end", 12, kindDate, func(c *lineCells, l *invoice.Line) { c.date(l.TermEnd) },
		"SubscriptionEndDate, inclusive."},
	{"Product id", 16, kindText, func(c *lineCells, l *invoice.Line) { c.text(c.item.ProductID) },
		"ProductId."},
	{"SKU id", 8, kindText, func(c *lineCells, l *invoice.Line) { c.text(c.item.SkuID) },
		"SkuId, four places."},
	{"Subscription id", 38, kindText, func(c *lineCells, l *invoice.Line) { c.text(l.SubscriptionID) },
		"SubscriptionId."},
	{"Customer id", 38, kindText, func(c *lineCells, l *invoice.Line) { c.text(l.Account.CustomerID) },
		"CustomerId: the customer's tenant."},
	{"Order id", 38, kindText, func(c *lineCells, l *invoice.Line) { c.text(l.OrderID) },
		"OrderId."},
	{"Invoice number", 17, kindText, func(c *lineCells, l *invoice.Line) { c.text(l.InvoiceNumber) },
		"InvoiceNumber, blank in a draft."},
	{"Credit reason", 16, kindText, func(c *lineCells, l *invoice.Line) { c.text(l.CreditReasonCode) },
		"CreditReasonCode."},
	{"Reference id", 38, kindText, func(c *lineCells, l *invoice.Line) { c.text(l.ReferenceID) },
		"ReferenceId: the same on all lines of one change."},
}

// title is the heading; amounts say their currency.
func (c *lineColumn) title(currency string) string {
	if c.kind == kindAmount {
		return in(c.name, currency)
	}
	return c.name
}

// in is the heading of a column of amounts.
func in(name, currency string) string { return name + " (" + currency + ")" }

func columnsOfLines(currency string) []sheetColumn {
	all := make([]sheetColumn, len(lineColumns))
	for i, c := range lineColumns {
		all[i] = sheetColumn{c.title(currency), c.width, c.kind, c.means}
	}
	return all
}

// lineCells writes the cells of one line.
type lineCells struct {
	*rows
	digits int
	line   int64 // its number
	item   *invoice.Item
}

func (c *lineCells) days(from, to pricing.Date) {
	if from == pricing.NoDate || to == pricing.NoDate {
		c.skip()
		return
	}
	c.whole(int64(to-from) + 1)
}

func (c *lineCells) amount(minor int64) { c.rows.amount(minor, c.digits) }

// cycleDays is the length of the full cycle, where the line has a proof of it.
func (c *lineCells) cycleDays(l *invoice.Line) {
	if l.Proof == nil || l.Proof.Calculation.CycleDays == 0 {
		c.skip()
		return
	}
	c.whole(int64(l.Proof.Calculation.CycleDays))
}

// discount is the promotion's, where there is one.
func (c *lineCells) discount(l *invoice.Line) {
	if l.Proof == nil || l.Proof.Calculation.Discount.IsZero() {
		c.skip()
		return
	}
	c.decimal(l.Proof.Calculation.Discount)
}
