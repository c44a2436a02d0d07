package exports

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

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
	// Explained adds up the net amounts of the causes in differences.csv, in the
	// invoice's currency.
	Explained int64
	// Unproven says why the lines come without their proofs; "" when they have
	// them. What is missing for it is said on Notes and on the sheets themselves.
	Unproven string
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

func (s *ReconSide) net() int64 {
	if s == nil {
		return 0
	}
	return s.Subtotal
}

// The columns of Recon lines that are added up.
const (
	oursLinesName      = "Lines ours"
	microsoftLinesName = "Lines Microsoft"
	oursNetName        = "Net ours"
	microsoftNetName   = "Net Microsoft"
	microsoftTaxName   = "Tax Microsoft"
	microsoftGrossName = "Gross Microsoft"
	reconDifference    = "Difference"
)

// recon collects what the comparison found.
type recon struct {
	sheet           *dataSheet
	digits          int
	ours, microsoft invoice.Totals
	present         map[string]int // rows with a number, by column of lines
	onlyOurs        int64          // net amounts of rows that only one side has
	onlyMicrosofts  int64
	open            []ReconRow
	customers       map[string]reconCustomer
}

type reconCustomer struct {
	name     string
	subtotal int64
}

func (b *Workbook) startRecon() {
	currency := b.Info.Invoice.Currency
	b.recon = recon{digits: b.Info.Invoice.MinorDigits, customers: make(map[string]reconCustomer), present: make(map[string]int)}
	b.recon.sheet = b.sheet(dataSheet{name: reconSheet, table: "ReconLines", colour: tabBlue, keys: 3, printed: 15, empty: "Nothing was compared",
		columns: []sheetColumn{
			{"Customer", 28, kindText, "CustomerName."},
			{"Subscription id", 38, kindText, "SubscriptionId."},
			{"State", 22, kindText, "How the two sides met."},
			{"Code", 20, kindText, "The largest cause of the difference; blank for none."},
			{"Description", 34, kindText, "SkuName."},
			{"Charge type", 17, kindText, "ChargeType."},
			{"From", 13, kindDate, "ChargeStartDate."},
			{"To", 13, kindDate, "ChargeEndDate, inclusive."},
			{"Qty ours", 10, kindQuantity, "BillableQuantity; blank where several lines are matched together."},
			{"Qty Microsoft", 11, kindQuantity, "BillableQuantity of Microsoft's line."},
			{"Price ours", 15, kindPrice, "EffectiveUnitPrice, in the pricing currency."},
			{"Price Microsoft", 15, kindPrice, "EffectiveUnitPrice of Microsoft's line."},
			sheetColumn{oursNetName, 15, kindAmount, "Subtotal."}.in(currency),
			sheetColumn{microsoftNetName, 15, kindAmount, "Subtotal of Microsoft's lines."}.in(currency),
			sheetColumn{reconDifference, 15, kindAmount, "Microsoft's net amount less ours."}.in(currency),
			{"Message", 60, kindText, "What was found, in words."},
			{"SKU", 22, kindText, "ProductId:SkuId."},
			{oursLinesName, 8, kindWhole, "How many of our lines; blank where we have none."},
			{microsoftLinesName, 11, kindWhole, "How many of Microsoft's lines; blank where it has none."},
			{"Rate ours", 13, kindRate, "PCToBCExchangeRate."},
			{"Rate Microsoft", 13, kindRate, "PCToBCExchangeRate of Microsoft's line."},
			sheetColumn{"Tax ours", 14, kindAmount, "TaxTotal."}.in(currency),
			sheetColumn{microsoftTaxName, 14, kindAmount, "TaxTotal of Microsoft's lines."}.in(currency),
			sheetColumn{"Gross ours", 15, kindAmount, "Total."}.in(currency),
			sheetColumn{microsoftGrossName, 15, kindAmount, "Total of Microsoft's lines."}.in(currency),
			{"Line", 20, kindText, "Row of reconciliation.csv of our first line."},
			{"Microsoft's line", 34, kindText, "File and row of Microsoft's first line."},
			{"Customer id", 38, kindText, "CustomerId."},
		}})
}

var errNoRecon = errors.New("workbook was begun without Recon")

// EncodeRecon writes one row of the comparison with Microsoft's file. The row
// may be used again.
func (b *Workbook) EncodeRecon(row *ReconRow) error {
	if b.err != nil {
		return b.err
	}
	err := errNoRecon
	if b.Info.Recon != nil {
		err = b.recon.add(row)
	}
	if err != nil {
		b.err = fmt.Errorf("write reconciliation.xlsx, comparison of subscription %q: %w", row.SubscriptionID, err)
	}
	return b.err
}

func (r *recon) add(m *ReconRow) error {
	row, err := r.sheet.next(0)
	if err != nil {
		return err
	}
	if m.Ours != nil {
		r.ours.Merge(m.Ours.totals())
		r.present[oursLinesName]++
	}
	if m.Microsofts != nil {
		r.microsoft.Merge(m.Microsofts.totals())
		r.present[microsoftLinesName]++
		c := r.customers[m.CustomerID]
		c.name = cmp.Or(c.name, m.CustomerName)
		c.subtotal += m.Microsofts.Subtotal
		r.customers[m.CustomerID] = c
	}
	switch {
	case m.Microsofts == nil:
		r.onlyOurs += m.Ours.net()
	case m.Ours == nil:
		r.onlyMicrosofts += m.Microsofts.net()
	}
	if m.Open {
		r.open = append(r.open, m.clone())
	}
	ours, theirs := m.Ours, m.Microsofts
	row.text(m.CustomerName)
	row.text(m.SubscriptionID)
	row.text(m.State)
	row.text(m.Code)
	row.text(m.SkuName)
	row.text(m.ChargeType)
	row.date(m.Start)
	row.date(m.End)
	pair := func(write func(*ReconSide)) {
		for _, s := range []*ReconSide{ours, theirs} {
			if s == nil {
				row.skip()
			} else {
				write(s)
			}
		}
	}
	pair(func(s *ReconSide) { row.unlessZeroQuantity(s.Quantity) })
	pair(func(s *ReconSide) { row.unlessZero(s.EffectivePrice) })
	pair(func(s *ReconSide) { row.amount(s.Subtotal, r.digits) })
	row.amount(theirs.net()-ours.net(), r.digits)
	row.text(m.Message)
	row.text(sku(m.ProductID, m.SkuID))
	pair(func(s *ReconSide) { row.whole(int64(s.Lines)) })
	pair(func(s *ReconSide) { row.unlessZero(s.ExchangeRate) })
	pair(func(s *ReconSide) { row.amount(s.TaxTotal, r.digits) })
	pair(func(s *ReconSide) { row.amount(s.Total, r.digits) })
	pair(func(s *ReconSide) { row.text(s.Ref) })
	row.text(m.CustomerID)
	return row.end()
}

func (s *ReconSide) totals() invoice.Totals {
	return invoice.Totals{Lines: s.Lines, Subtotal: s.Subtotal, TaxTotal: s.TaxTotal, Total: s.Total}
}

func (m *ReconRow) clone() ReconRow {
	c := *m
	if m.Ours != nil {
		ours := *m.Ours
		c.Ours = &ours
	}
	if m.Microsofts != nil {
		theirs := *m.Microsofts
		c.Microsofts = &theirs
	}
	return c
}

func (m *ReconRow) difference() int64 { return m.Microsofts.net() - m.Ours.net() }

// sortOpen puts the largest differences first.
func sortOpen(open []ReconRow) {
	slices.SortStableFunc(open, func(a, b ReconRow) int {
		x, y := a.difference(), b.difference()
		return cmp.Compare(max(y, -y), max(x, -x))
	})
}
