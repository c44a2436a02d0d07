package exports

import (
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// Dialect describes every CSV file of this package, for people and for
// documentation. The encoders write exactly this and the readers take nothing else.
const Dialect = `UTF-8 without a byte-order mark; rows end with CRLF, the last one too; one header row.
A field is quoted (RFC 4180) only when it holds a quote, a comma, CR or LF; text stands as it is.
Dates are YYYY-MM-DD, blank for none. Amounts have exactly the currency's minor digits, and zero has no sign.
Prices, quantities and rates are plain decimals: no exponent, no grouping, no trailing zeros. A rate of 0 is blank.`

const (
	separator = ','
	quote     = '"'
	rowEnd    = "\r\n"
)

// owner says which struct of a line a column stands in: what belongs to the
// account or the item repeats from line to line and is formatted once.
type owner uint8

const (
	ofLine owner = iota
	ofAccount
	ofItem
)

// column is one column of the reconciliation file. Exactly one of text, date,
// amount and number is set; it points into a line whose Account and Item are
// not nil, for reading and for writing.
type column struct {
	name  string
	owner owner

	text   func(*invoice.Line) *string
	id     bool // a text that differs from nearly all others
	date   func(*invoice.Line) *pricing.Date
	amount func(*invoice.Line) *int64 // minor units of the line's currency
	number func(*invoice.Line) *decimal.Decimal

	// scale is the number of decimals of a number in Parquet. An amount has
	// its currency's.
	scale int
	// blankZero writes a number of 0, which has no meaning there, as blank.
	blankZero bool
}

// Decimals of the numbers in Parquet: all on int64, which holds 18 digits.
const (
	priceScale    = 6
	quantityScale = 6
	rateScale     = 9
)

// columns are the 46 columns of the reconciliation file, in their order.
var columns = [...]column{
	account("PartnerId", func(a *invoice.Account) *string { return &a.PartnerID }),
	account("CustomerId", func(a *invoice.Account) *string { return &a.CustomerID }),
	account("CustomerName", func(a *invoice.Account) *string { return &a.CustomerName }),
	account("CustomerDomainName", func(a *invoice.Account) *string { return &a.CustomerDomainName }),
	account("CustomerCountry", func(a *invoice.Account) *string { return &a.CustomerCountry }),
	text("InvoiceNumber", func(l *invoice.Line) *string { return &l.InvoiceNumber }),
	account("MpnId", func(a *invoice.Account) *string { return &a.MpnID }),
	account("ResellerMpnId", func(a *invoice.Account) *string { return &a.ResellerMpnID }),
	id("OrderId", func(l *invoice.Line) *string { return &l.OrderID }),
	date("OrderDate", func(l *invoice.Line) *pricing.Date { return &l.OrderDate }),
	item("ProductId", func(i *invoice.Item) *string { return &i.ProductID }),
	item("SkuId", func(i *invoice.Item) *string { return &i.SkuID }),
	item("AvailabilityId", func(i *invoice.Item) *string { return &i.AvailabilityID }),
	item("SkuName", func(i *invoice.Item) *string { return &i.SkuName }),
	item("ProductName", func(i *invoice.Item) *string { return &i.ProductName }),
	text("ChargeType", func(l *invoice.Line) *string { return &l.ChargeType }),
	number("UnitPrice", priceScale, func(l *invoice.Line) *decimal.Decimal { return &l.UnitPrice }),
	number("Quantity", quantityScale, func(l *invoice.Line) *decimal.Decimal { return &l.Quantity }),
	amount("Subtotal", func(l *invoice.Line) *int64 { return &l.Subtotal }),
	amount("TaxTotal", func(l *invoice.Line) *int64 { return &l.TaxTotal }),
	amount("Total", func(l *invoice.Line) *int64 { return &l.Total }),
	text("Currency", func(l *invoice.Line) *string { return &l.Currency }),
	text("PriceAdjustmentDescription", func(l *invoice.Line) *string { return &l.PriceAdjustment }),
	item("PublisherName", func(i *invoice.Item) *string { return &i.PublisherName }),
	item("PublisherId", func(i *invoice.Item) *string { return &i.PublisherID }),
	item("SubscriptionDescription", func(i *invoice.Item) *string { return &i.SubscriptionDescription }),
	id("SubscriptionId", func(l *invoice.Line) *string { return &l.SubscriptionID }),
	date("ChargeStartDate", func(l *invoice.Line) *pricing.Date { return &l.ChargeStart }),
	date("ChargeEndDate", func(l *invoice.Line) *pricing.Date { return &l.ChargeEnd }),
	item("TermAndBillingCycle", func(i *invoice.Item) *string { return &i.TermAndBillingCycle }),
	number("EffectiveUnitPrice", priceScale, func(l *invoice.Line) *decimal.Decimal { return &l.EffectiveUnitPrice }),
	item("UnitType", func(i *invoice.Item) *string { return &i.UnitType }),
	item("AlternateId", func(i *invoice.Item) *string { return &i.AlternateID }),
	number("BillableQuantity", quantityScale, func(l *invoice.Line) *decimal.Decimal { return &l.BillableQuantity }),
	item("BillingFrequency", func(i *invoice.Item) *string { return &i.BillingFrequency }),
	text("PricingCurrency", func(l *invoice.Line) *string { return &l.PricingCurrency }),
	rate("PCToBCExchangeRate", func(l *invoice.Line) *decimal.Decimal { return &l.ExchangeRate }),
	date("PCToBCExchangeRateDate", func(l *invoice.Line) *pricing.Date { return &l.RateDate }),
	item("MeterDescription", func(i *invoice.Item) *string { return &i.MeterDescription }),
	item("ReservationOrderId", func(i *invoice.Item) *string { return &i.ReservationOrderID }),
	text("CreditReasonCode", func(l *invoice.Line) *string { return &l.CreditReasonCode }),
	date("SubscriptionStartDate", func(l *invoice.Line) *pricing.Date { return &l.TermStart }),
	date("SubscriptionEndDate", func(l *invoice.Line) *pricing.Date { return &l.TermEnd }),
	id("ReferenceId", func(l *invoice.Line) *string { return &l.ReferenceID }),
	item("ProductQualifiers", func(i *invoice.Item) *string { return &i.ProductQualifiers }),
	item("PromotionId", func(i *invoice.Item) *string { return &i.PromotionID }),
}

// Columns returns the names of the reconciliation file's columns in order.
func Columns() []string {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].name
	}
	return names
}

// columnNamed returns the place of a column.
func columnNamed(name string) int {
	return slices.IndexFunc(columns[:], func(c column) bool { return c.name == name })
}

func account(name string, field func(*invoice.Account) *string) column {
	return column{name: name, owner: ofAccount,
		text: func(l *invoice.Line) *string { return field(l.Account) }}
}

func item(name string, field func(*invoice.Item) *string) column {
	return column{name: name, owner: ofItem,
		text: func(l *invoice.Line) *string { return field(l.Item) }}
}

func text(name string, field func(*invoice.Line) *string) column {
	return column{name: name, text: field}
}

func id(name string, field func(*invoice.Line) *string) column {
	return column{name: name, text: field, id: true}
}

func date(name string, field func(*invoice.Line) *pricing.Date) column {
	return column{name: name, date: field}
}

func amount(name string, field func(*invoice.Line) *int64) column {
	return column{name: name, amount: field}
}

func number(name string, scale int, field func(*invoice.Line) *decimal.Decimal) column {
	return column{name: name, number: field, scale: scale}
}

func rate(name string, field func(*invoice.Line) *decimal.Decimal) column {
	c := number(name, rateScale, field)
	c.blankZero = true
	return c
}
