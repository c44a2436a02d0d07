package invoice

import "github.com/calends/calends/pricing"

// Invoice is one partner's month: the header of its lines. Amounts are in
// minor units of Currency.
type Invoice struct {
	Month       pricing.Month
	Number      string // "" while the month is open
	Kind        Kind
	PartnerID   string
	PartnerName string
	Country     string
	MpnID       string
	Currency    string
	MinorDigits int
	TaxRate     string // as a fraction, "0" for none
	Policies    Policies
	Totals      Totals
	Sections    []Section // by charge type, in a fixed order
	Customers   []CustomerTotal
	Sheets      []SheetUse // the price sheets that priced its lines
	Rates       []RateUse  // the exchange rates on its lines
}

// Kind tells an invoice from a credit note: one whose total is negative.
type Kind string

// The kinds of documents. Both are numbered in one series.
const (
	KindInvoice    Kind = "invoice"
	KindCreditNote Kind = "creditNote"
)

// Policies are the named choices that an invoice was computed by.
type Policies struct {
	Rounding string `json:"rounding"` // unit, line or documented
	MonthEnd string `json:"monthEnd"` // clamp or stick
	Windows  string `json:"windows"`  // enforce or trust
}

// Totals add lines up, in minor units.
type Totals struct {
	Lines    int
	Subtotal int64
	TaxTotal int64
	Total    int64
}

// Add counts one line.
func (t *Totals) Add(l *Line) {
	t.Lines++
	t.Subtotal += l.Subtotal
	t.TaxTotal += l.TaxTotal
	t.Total += l.Total
}

// Section totals the lines of one charge type; corrections stand apart.
type Section struct {
	Name string
	Totals
}

// CustomerTotal totals the lines of one customer.
type CustomerTotal struct {
	CustomerID   string
	CustomerName string
	Totals
}

// SheetUse names a price sheet that priced lines of an invoice.
type SheetUse struct {
	Market string        `json:"market"`
	Month  pricing.Month `json:"-"`
	File   string        `json:"file"`
	SHA256 string        `json:"sha256"`
}

// RateUse names an exchange rate on lines of an invoice.
type RateUse struct {
	PricingCurrency string
	Month           pricing.Month
	Rate            string
}

// Merge adds another sum.
func (t *Totals) Merge(o Totals) {
	t.Lines += o.Lines
	t.Subtotal += o.Subtotal
	t.TaxTotal += o.TaxTotal
	t.Total += o.Total
}
