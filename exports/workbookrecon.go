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
	// Tolerance adds up, without their signs, the differences that are not open
	// although they cost something: as much may differ over the month as a whole.
	Tolerance invoice.Totals
	// Causes total differences.csv by its column Cause, in the invoice's currency, in
	// the order that Summary shows them in. Lines counts its rows.
	Causes []invoice.Section
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
	// Open counts the causes that somebody has to look at: rows with any stand among
	// the exceptions too.
	Open int
	// Causes add up to the difference of the row.
	Causes []ReconCause

	CustomerID, CustomerName string
	SubscriptionID           string
	ProductID, SkuID         string
	SkuName                  string
	ChargeType               string
	// Start and End are of the charge, inclusive; pricing.NoDate for none.
	Start, End pricing.Date
	// Ours and Microsofts are nil where that side has nothing.
	Ours, Microsofts *ReconSide
	// Elsewhere says where the line stands that the other side billed in another
	// month: that month, file and row. "" for none.
	Elsewhere string
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

// ReconCause is what one cause brings of a row's difference, in minor units of the
// invoice's currency.
type ReconCause struct {
	Code                      string
	Subtotal, TaxTotal, Total int64
}

// The columns of Recon lines that are added up.
const (
	oursLinesName      = "Lines ours"
	microsoftLinesName = "Lines Microsoft"
	oursNetName        = "Net ours"
	microsoftNetName   = "Net Microsoft"
	oursTaxName        = "Tax ours"
	microsoftTaxName   = "Tax Microsoft"
	oursGrossName      = "Gross ours"
	microsoftGrossName = "Gross Microsoft"
	reconNetName       = "Net difference"
	reconTaxName       = "Tax difference"
	reconGrossName     = "Gross difference"
)

const (
	openName      = "Open"
	causesMeaning = "What each cause brings of the gross difference; differences.csv has net and tax too."
)

// recon collects what the comparison found.
type recon struct {
	sheet           *dataSheet
	digits          int
	ours, microsoft invoice.Totals
	present         map[string]int // rows with a number, by column of lines
	onlyOurs        int64          // net amounts of rows that only one side has
	onlyMicrosofts  int64
	absolute        invoice.Totals // differences without their signs
	openCauses      int
	open            []ReconRow
	customers       map[string]reconCustomer
	causes          []byte // of the row at hand, as text
}

// reconCustomer is what Microsoft bills a customer, and how many differences are
// open.
type reconCustomer struct {
	name string
	invoice.Totals
	open int
}

func (b *Workbook) startRecon() {
	currency := b.Info.Invoice.Currency
	b.recon = recon{digits: b.Info.Invoice.MinorDigits, customers: make(map[string]reconCustomer), present: make(map[string]int)}
	b.recon.sheet = b.sheet(dataSheet{name: reconSheet, table: "ReconLines", colour: tabBlue, keys: 3, printed: 17, empty: "Nothing was compared",
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
			sheetColumn{reconNetName, 15, kindAmount, "Microsoft's net amount less ours."}.in(currency),
			sheetColumn{reconTaxName, 15, kindAmount, "Microsoft's tax less ours."}.in(currency),
			sheetColumn{reconGrossName, 15, kindAmount, "Microsoft's gross amount less ours."}.in(currency),
			sheetColumn{"Causes, gross", 34, kindText, causesMeaning}.in(currency),
			{openName, 7, kindWhole, "How many of the causes somebody has to look at; blank for none."},
			{"Message", 60, kindText, "What was found, in words."},
			{"SKU", 22, kindText, "ProductId:SkuId."},
			{oursLinesName, 8, kindWhole, "How many of our lines; blank where we have none."},
			{microsoftLinesName, 11, kindWhole, "How many of Microsoft's lines; blank where it has none."},
			{"Rate ours", 13, kindRate, "PCToBCExchangeRate."},
			{"Rate Microsoft", 13, kindRate, "PCToBCExchangeRate of Microsoft's line."},
			sheetColumn{oursTaxName, 14, kindAmount, "TaxTotal."}.in(currency),
			sheetColumn{microsoftTaxName, 14, kindAmount, "TaxTotal of Microsoft's lines."}.in(currency),
			sheetColumn{oursGrossName, 15, kindAmount, "Total."}.in(currency),
			sheetColumn{microsoftGrossName, 15, kindAmount, "Total of Microsoft's lines."}.in(currency),
			{"Line", 20, kindText, "Row of reconciliation.csv of our first line; where we billed it in another month, that month too."},
			{"Microsoft's line", 34, kindText, "File and row of Microsoft's first line; where it billed it in another month, that month too."},
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
	c := r.customers[m.CustomerID]
	if m.Ours != nil {
		r.ours.Merge(m.Ours.totals())
		r.present[oursLinesName]++
	}
	if m.Microsofts != nil {
		r.microsoft.Merge(m.Microsofts.totals())
		r.present[microsoftLinesName]++
		c.Merge(m.Microsofts.totals())
	}
	c.name = cmp.Or(c.name, m.CustomerName)
	c.open += m.Open
	r.customers[m.CustomerID] = c
	switch {
	case m.Microsofts == nil:
		r.onlyOurs += m.Ours.totals().Subtotal
	case m.Ours == nil:
		r.onlyMicrosofts += m.Microsofts.totals().Subtotal
	}
	if m.Open > 0 {
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
	difference := m.difference()
	r.absolute.Merge(absolute(difference))
	r.openCauses += m.Open
	row.amount(difference.Subtotal, r.digits)
	row.amount(difference.TaxTotal, r.digits)
	row.amount(difference.Total, r.digits)
	r.causes = m.appendCauses(r.causes[:0], r.digits)
	row.text(string(r.causes))
	if m.Open > 0 {
		row.whole(int64(m.Open))
	} else {
		row.skip()
	}
	row.text(m.Message)
	row.text(sku(m.ProductID, m.SkuID))
	pair(func(s *ReconSide) { row.whole(int64(s.Lines)) })
	pair(func(s *ReconSide) { row.unlessZero(s.ExchangeRate) })
	pair(func(s *ReconSide) { row.amount(s.TaxTotal, r.digits) })
	pair(func(s *ReconSide) { row.amount(s.Total, r.digits) })
	for _, s := range []*ReconSide{ours, theirs} {
		if s == nil {
			row.text(m.Elsewhere)
		} else {
			row.text(s.Ref)
		}
	}
	row.text(m.CustomerID)
	return row.end()
}

// totals of a side that is not there are zero.
func (s *ReconSide) totals() invoice.Totals {
	if s == nil {
		return invoice.Totals{}
	}
	return invoice.Totals{Lines: s.Lines, Subtotal: s.Subtotal, TaxTotal: s.TaxTotal, Total: s.Total}
}

func (m *ReconRow) clone() ReconRow {
	c := *m
	c.Causes = slices.Clone(m.Causes)
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

// difference is what Microsoft bills less what we do.
func (m *ReconRow) difference() invoice.Totals {
	return less(m.Microsofts.totals(), m.Ours.totals())
}

func less(a, b invoice.Totals) invoice.Totals {
	return invoice.Totals{Lines: a.Lines - b.Lines, Subtotal: a.Subtotal - b.Subtotal, TaxTotal: a.TaxTotal - b.TaxTotal, Total: a.Total - b.Total}
}

func absolute(t invoice.Totals) invoice.Totals {
	return invoice.Totals{Lines: t.Lines, Subtotal: abs(t.Subtotal), TaxTotal: abs(t.TaxTotal), Total: abs(t.Total)}
}

func abs(n int64) int64 { return max(n, -n) }

// appendCauses writes what each cause brings, such as "quantity 12.00; days -3.10".
func (m *ReconRow) appendCauses(dst []byte, digits int) []byte {
	for i, c := range m.Causes {
		if i > 0 {
			dst = append(dst, "; "...)
		}
		dst = appendAmount(append(append(dst, c.Code...), ' '), c.Total, digits)
	}
	return dst
}

// sortOpen puts the largest gross differences first; where gross amounts agree, as
// with tax that stands in the net amount, the net decides.
func sortOpen(open []ReconRow) {
	slices.SortStableFunc(open, func(a, b ReconRow) int {
		x, y := a.difference(), b.difference()
		return cmp.Or(cmp.Compare(abs(y.Total), abs(x.Total)), cmp.Compare(abs(y.Subtotal), abs(x.Subtotal)))
	})
}
