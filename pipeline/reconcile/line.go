package reconcile

import (
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// Ours is a line of our invoices.
type Ours struct {
	Line *invoice.Line
	// Month is that of the invoice; late lines have older dates.
	Month pricing.Month
	Row   int // data row of the invoice's CSV, 1 for the first
	// TaxRate is the invoice's. Without HasTaxRate it is read off the line.
	TaxRate    decimal.Decimal
	HasTaxRate bool
}

// Billed is a line of Microsoft's.
type Billed struct {
	// Line holds what the file says, in the same fields as ours. Quantities
	// and prices have the file's signs.
	Line *invoice.Line
	// Month is the billing month of the document that the line stands in.
	Month pricing.Month
	File  string
	Row   int64 // line of the file, as a person would count it
	// Lacks are the fields that the file has no column for, or left blank.
	Lacks Fields
	// Extra are the columns that nobody knows, by the file's own names. They
	// are kept, never compared.
	Extra map[string]string
	// Refused says why the line could not be read, "" for one that was. Line
	// then holds what could be; its amounts count for nothing.
	Refused string
}

// Fields is a set of fields that some of Microsoft's files do not have.
type Fields uint16

// The fields that can be lacking. What is lacking is no evidence: nothing is
// concluded from it.
const (
	FieldUnitPrice Fields = 1 << iota
	FieldEffectiveUnitPrice
	FieldBillableQuantity
	FieldExchangeRate
	FieldPricingCurrency
	FieldPromotionID
	FieldOrderDate
	FieldChargeDates
	FieldTaxTotal
)

// Has reports whether the set has the field.
func (f Fields) Has(field Fields) bool { return f&field != 0 }

// Refusal is a change of the customer that we did not bill: refused, or of a
// subscription that is parked. Or it is a charge rated elsewhere.
type Refusal struct {
	Code pricing.Code
	// ChargeType is that of a charge rated elsewhere, "" for a change. From such a
	// charge nothing follows for other lines.
	ChargeType     string
	SubscriptionID string
	EventID        string       // "" for a renewal
	Date           pricing.Date // of the event; NoDate where it is not known
	Month          pricing.Month
	Message        string
}

// Group is one customer of one partner.
type Group struct {
	PartnerID  string
	CustomerID string
	// Month is the one that is reconciled. Lines of other months are there to
	// be found by lines of this one: they are never a difference themselves.
	Month  pricing.Month
	Ours   []Ours
	Theirs []Billed
	// Unread are lines of theirs that could not be read. They match nothing; a
	// line of ours that one of them may be says so.
	Unread []Billed
	// Illegible are those of which not even the subscription could be read. They
	// may be of any customer.
	Illegible int64
	Refusals  []Refusal
	// OurMonths and TheirMonths are the months that the sides hold in full. A
	// line with another month's dates is looked for in those only: what looks
	// moved may else be a line whose counterpart nobody brought.
	OurMonths, TheirMonths []pricing.Month
}

// World is what explains another price, rate or promotion than ours. Answers
// must not depend on the order of questions, and are wanted for lines that
// differ only.
type World interface {
	// Prices returns the rows of the SKU for the customer's market and segment
	// in the sheets around the month, whatever their term, plan and currency.
	Prices(customerID string, sku pricing.SKU, month pricing.Month) ([]PriceRow, error)
	// Promotions returns those of the SKU, whenever they hold.
	Promotions(sku pricing.SKU) []pricing.Promotion
	// Rate returns the exchange rate of a month. ok is false without one.
	Rate(pricingCurrency, billingCurrency string, month pricing.Month) (rate decimal.Decimal, ok bool)
}

// PriceRow is a row of the price sheet of a market and month.
type PriceRow struct {
	Row    pricing.Row
	Market string
	Month  pricing.Month
	File   string
}
