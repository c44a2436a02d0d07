package exports

import (
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// Difference is one cause of what differs between our lines and Microsoft's: a
// row of differences.csv. A match with several causes has a row for each, and
// the amounts of its rows add up to theirs - ours.
type Difference struct {
	PartnerID      string
	CustomerID     string
	CustomerName   string
	SubscriptionID string
	ProductID      string
	SkuID          string
	SkuName        string

	// Match numbers the matches of a partner that differ; rows of one match
	// share it. Step says how its lines were found to belong together.
	Match int
	Step  string
	Cause string
	// Status is open, tolerated or noted: see the README.
	Status string

	// The amounts are theirs - ours, in minor units of Currency.
	Currency string
	Subtotal int64
	TaxTotal int64
	Total    int64

	Explanation string
	// Expected is what we say, Billed what they say, of what differs.
	Expected, Billed string
	// Evidence is a JSON object of what speaks for the cause, or "".
	Evidence string

	Ours, Theirs DifferenceSide
}

// DifferenceSide is what one side has in a match. Of several lines the amounts
// are sums, the dates the earliest start and the latest end; what the lines do
// not share is blank.
type DifferenceSide struct {
	Lines   int
	Month   string // 2026-10
	Invoice string
	File    string // of theirs
	Rows    string // in the invoice's CSV or their file, separated by spaces

	ChargeType         string
	OrderDate          pricing.Date
	ChargeStart        pricing.Date
	ChargeEnd          pricing.Date
	Quantity           Optional
	UnitPrice          Optional
	EffectiveUnitPrice Optional
	PricingCurrency    string
	ExchangeRate       Optional
	PromotionID        string
	ReferenceID        string

	// In minor units of Currency; not there without lines.
	Currency string
	Subtotal int64
	TaxTotal int64
	Total    int64

	// Unknown is a JSON object of the columns of theirs that have no meaning
	// here, or "".
	Unknown string
}

// Optional is a number that may be missing.
type Optional struct {
	decimal.Decimal
	Valid bool
}

// differenceColumn is one column of differences.csv. Exactly one of text, date,
// count, amount and number is set.
type differenceColumn struct {
	name   string
	text   func(*Difference) string
	date   func(*Difference) pricing.Date
	count  func(*Difference) int
	amount func(*Difference) (minor int64, currency string) // no currency: blank
	number func(*Difference) Optional
	scale  int // of a number in Parquet
}

// amountScale is the number of decimals of an amount in differences.parquet,
// whose rows may be in several currencies: what the finest of them has.
const amountScale = 4

// differenceColumns are the columns of differences.csv, in their order.
var differenceColumns = append(append(append([]differenceColumn{
	{name: "PartnerId", text: func(d *Difference) string { return d.PartnerID }},
	{name: "CustomerId", text: func(d *Difference) string { return d.CustomerID }},
	{name: "CustomerName", text: func(d *Difference) string { return d.CustomerName }},
	{name: "SubscriptionId", text: func(d *Difference) string { return d.SubscriptionID }},
	{name: "ProductId", text: func(d *Difference) string { return d.ProductID }},
	{name: "SkuId", text: func(d *Difference) string { return d.SkuID }},
	{name: "SkuName", text: func(d *Difference) string { return d.SkuName }},
	{name: "Match", count: func(d *Difference) int { return d.Match }},
	{name: "Step", text: func(d *Difference) string { return d.Step }},
	{name: "Cause", text: func(d *Difference) string { return d.Cause }},
	{name: "Status", text: func(d *Difference) string { return d.Status }},
	{name: "Currency", text: func(d *Difference) string { return d.Currency }},
	{name: "DifferenceSubtotal", amount: func(d *Difference) (int64, string) { return d.Subtotal, d.Currency }},
	{name: "DifferenceTax", amount: func(d *Difference) (int64, string) { return d.TaxTotal, d.Currency }},
	{name: "DifferenceTotal", amount: func(d *Difference) (int64, string) { return d.Total, d.Currency }},
	{name: "Explanation", text: func(d *Difference) string { return d.Explanation }},
	{name: "Expected", text: func(d *Difference) string { return d.Expected }},
	{name: "Billed", text: func(d *Difference) string { return d.Billed }},
	{name: "Evidence", text: func(d *Difference) string { return d.Evidence }},
}, sideColumns("Our", func(d *Difference) *DifferenceSide { return &d.Ours })...),
	sideColumns("Their", func(d *Difference) *DifferenceSide { return &d.Theirs })...),
	differenceColumn{name: "TheirFile", text: func(d *Difference) string { return d.Theirs.File }},
	differenceColumn{name: "TheirUnknownColumns", text: func(d *Difference) string { return d.Theirs.Unknown }})

func sideColumns(side string, of func(*Difference) *DifferenceSide) []differenceColumn {
	text := func(name string, field func(*DifferenceSide) string) differenceColumn {
		return differenceColumn{name: side + name, text: func(d *Difference) string { return field(of(d)) }}
	}
	date := func(name string, field func(*DifferenceSide) pricing.Date) differenceColumn {
		return differenceColumn{name: side + name, date: func(d *Difference) pricing.Date { return field(of(d)) }}
	}
	number := func(name string, scale int, field func(*DifferenceSide) Optional) differenceColumn {
		return differenceColumn{name: side + name, scale: scale, number: func(d *Difference) Optional { return field(of(d)) }}
	}
	amount := func(name string, field func(*DifferenceSide) int64) differenceColumn {
		return differenceColumn{name: side + name, amount: func(d *Difference) (int64, string) { return field(of(d)), of(d).Currency }}
	}
	return []differenceColumn{
		{name: side + "Lines", count: func(d *Difference) int { return of(d).Lines }},
		text("Month", func(s *DifferenceSide) string { return s.Month }),
		text("Invoice", func(s *DifferenceSide) string { return s.Invoice }),
		text("Rows", func(s *DifferenceSide) string { return s.Rows }),
		text("ChargeType", func(s *DifferenceSide) string { return s.ChargeType }),
		date("OrderDate", func(s *DifferenceSide) pricing.Date { return s.OrderDate }),
		date("ChargeStartDate", func(s *DifferenceSide) pricing.Date { return s.ChargeStart }),
		date("ChargeEndDate", func(s *DifferenceSide) pricing.Date { return s.ChargeEnd }),
		number("Quantity", quantityScale, func(s *DifferenceSide) Optional { return s.Quantity }),
		number("UnitPrice", priceScale, func(s *DifferenceSide) Optional { return s.UnitPrice }),
		number("EffectiveUnitPrice", priceScale, func(s *DifferenceSide) Optional { return s.EffectiveUnitPrice }),
		text("PricingCurrency", func(s *DifferenceSide) string { return s.PricingCurrency }),
		number("ExchangeRate", rateScale, func(s *DifferenceSide) Optional { return s.ExchangeRate }),
		text("PromotionId", func(s *DifferenceSide) string { return s.PromotionID }),
		text("ReferenceId", func(s *DifferenceSide) string { return s.ReferenceID }),
		text("Currency", func(s *DifferenceSide) string { return s.Currency }),
		amount("Subtotal", func(s *DifferenceSide) int64 { return s.Subtotal }),
		amount("TaxTotal", func(s *DifferenceSide) int64 { return s.TaxTotal }),
		amount("Total", func(s *DifferenceSide) int64 { return s.Total }),
	}
}

// DifferenceColumns returns the names of the columns of differences.csv in order.
func DifferenceColumns() []string {
	names := make([]string, len(differenceColumns))
	for i := range differenceColumns {
		names[i] = differenceColumns[i].name
	}
	return names
}
