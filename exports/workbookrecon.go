package exports

import (
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// ReconInfo is what a workbook says of Microsoft's file besides the rows that
// [Workbook.EncodeRecon] takes. It brings the sheet Recon lines, the variance
// columns, and Microsoft's legs on Summary.
type ReconInfo struct {
	// Billed adds up Microsoft's lines of this partner and month as they were
	// read from its files, whatever they were matched with.
	Billed invoice.Totals
	// Tolerance is the difference, in minor units of the net amount, that the
	// month as a whole may have.
	Tolerance int64
}

// ReconRow is one match, or what is left of one side: a row of Recon lines.
// Every line of the invoice and every line of Microsoft's stands in exactly one.
type ReconRow struct {
	// State says how the two sides met, in a word or two; Code is the stable name
	// of the largest cause, "" for none. Message is for people.
	State, Code, Message string
	// Open rows are for somebody to look at: they stand among the exceptions too.
	Open bool

	CustomerID, CustomerName string
	SubscriptionID           string
	ProductID, SkuID         string
	SkuName                  string
	ChargeType               string
	// Start and End are of the charge, inclusive; pricing.NoDate for none.
	Start, End pricing.Date
	// Ours and Microsofts are nil where that side has nothing.
	Ours, Microsofts *ReconSide
}

// ReconSide is what one side has of a match. Where several lines together are
// matched, Lines counts them and the quantity and prices may stay zero.
type ReconSide struct {
	// Ref says where the first line stands: the row of reconciliation.csv, or
	// Microsoft's file and row.
	Ref string
	// Row is the row of reconciliation.csv of our first line, 1 for the first
	// record; 0 on Microsoft's side.
	Row            int
	Lines          int
	Quantity       decimal.Decimal
	EffectivePrice decimal.Decimal // in the pricing currency, signed
	ExchangeRate   decimal.Decimal
	// In minor units of the invoice's currency.
	Subtotal, TaxTotal, Total int64
}
