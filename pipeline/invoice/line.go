// Package invoice turns charges into lines and lines into invoices: amounts,
// consolidation by partner and month, corrections against what was issued,
// numbering and control totals.
package invoice

import (
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Line is one row of the reconciliation file. What many lines share stands in
// Account (per customer) and Item (per term of a subscription), so that writers
// can format it once.
type Line struct {
	Account *Account
	Item    *Item

	InvoiceNumber  string // "" in an open month
	SubscriptionID string
	OrderID        string
	OrderDate      pricing.Date
	ChargeType     string

	// UnitPrice is the list price of one full cycle, in the pricing currency,
	// positive; EffectiveUnitPrice is prorated, discounted and signed. Both
	// have at most 10 decimals.
	UnitPrice          decimal.Decimal
	EffectiveUnitPrice decimal.Decimal
	Quantity           decimal.Decimal // positive; whole for licences
	BillableQuantity   decimal.Decimal

	// Subtotal, TaxTotal and Total are in minor units of Currency.
	Subtotal int64
	TaxTotal int64
	Total    int64
	Currency string // the billing currency

	PricingCurrency string
	ExchangeRate    decimal.Decimal // pricing to billing currency
	RateDate        pricing.Date

	ChargeStart pricing.Date
	ChargeEnd   pricing.Date
	TermStart   pricing.Date // SubscriptionStartDate
	TermEnd     pricing.Date // SubscriptionEndDate

	PriceAdjustment  string // PriceAdjustmentDescription
	CreditReasonCode string
	ReferenceID      string

	// Proof is what `explain` needs; no file carries it. nil for charges
	// rated elsewhere.
	Proof *Proof
}

// Account is what the lines of one customer share in one month.
type Account struct {
	PartnerID          string
	MpnID              string
	CustomerID         string
	CustomerName       string
	CustomerDomainName string
	CustomerCountry    string
	ResellerMpnID      string
}

// Item is what the lines of one subscription's term share.
type Item struct {
	ProductID               string
	SkuID                   string
	AvailabilityID          string
	SkuName                 string
	ProductName             string
	PublisherName           string
	PublisherID             string
	SubscriptionDescription string
	TermAndBillingCycle     string
	UnitType                string
	AlternateID             string
	BillingFrequency        string
	MeterDescription        string
	ReservationOrderID      string
	ProductQualifiers       string // a JSON array of strings, or ""
	PromotionID             string
}

// Proof says how a line came about.
type Proof struct {
	EventID string // "" for cycle charges and renewals
	// Source is the price sheet row; its SHA256 is "" for a purchase's own
	// price, a trial and a credit.
	Source      subscription.Source
	Calculation pricing.Calculation
	Cycle       pricing.Cycle
	TaxRate     decimal.Decimal
	// MonthEnd is the policy that the term began with and keeps to its end,
	// whatever the partner has chosen since.
	MonthEnd pricing.MonthEnd
	// Corrects names the issued line that a correction takes back.
	Corrects string
}

// Exception is one row of exceptions.csv.
type Exception struct {
	Severity       Severity
	Code           pricing.Code
	PartnerID      string
	CustomerID     string
	SubscriptionID string
	EventID        string
	Message        string
	// Month is the one in whose exceptions it stands.
	Month pricing.Month
}

// Severity says whether money is missing (error) or only a person should look.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)
