package subscription

import (
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// Stood are subscriptions that have not ended, as they stood at the end of a day:
// what a [Standing] says of each, in columns as the state keeps them. To most of
// them nothing happens in a month, and then the month needs a few of the columns
// and no subscription at all, see [Lives.Quiet].
//
// It never changes once made, and may be read by many.
type Stood struct {
	Subscription []string
	Order        Words

	// Kind and Sheet are places in Kinds and Sheets. A place means the same in all
	// of one Reading.
	Kind, Sheet []int32
	Kinds       []Kind
	Sheets      []Source // Line is 0
	Reading     any
	// Line is that of the price in its sheet.
	Line            []int64
	Price, Discount FixedColumn
	Currency        Words // of the price

	// Start and End are the term's, CycleLast is the last day that was charged: dates.
	Start, End, CycleLast []int32
	Quantity              []int64
	// Renews says that the term, no trial, is renewed as it is, with no promotion
	// to ask for.
	Renews []bool

	// Whole appends the standings of some rows. They share memory.
	Whole func(rows []int32, to []Standing) ([]Standing, error)
}

// Words is a column of text that rows share.
type Words struct {
	Words []string
	Index []int32
}

// Of returns the text of a row.
func (w *Words) Of(row int) string { return w.Words[w.Index[row]] }

// FixedColumn is a column of numbers that rows share.
type FixedColumn struct {
	Values []Fixed
	Index  []int32
}

// Fixed is a number, which may not fit: then a row is none for [Lives.Quiet].
type Fixed struct {
	pricing.Fixed
	Units int64 // of 10^-10
	Fits  bool
}

// FixedOf takes a decimal apart.
func FixedOf(d decimal.Decimal) Fixed {
	f, fits := pricing.FixedOf(d)
	units, printable := f.Units()
	return Fixed{f, units, fits && printable}
}

// Share is what a discount leaves.
func (f *Fixed) Share() (pricing.Fixed, bool) {
	share, ok := f.Fixed.Left()
	return share, ok && f.Fits
}

// Of returns the number of a row.
func (c *FixedColumn) Of(row int) *Fixed { return &c.Values[c.Index[row]] }

// Kind is what many terms have in common: all but whose they are, when, and for
// how much.
type Kind struct {
	AvailabilityID string
	AddOn          bool
	SKU            pricing.SKU
	Term           pricing.Term
	Plan           pricing.Plan
	Custom, Trial  bool
	MonthEnd       pricing.MonthEnd

	PromotionID, ProductTitle, SkuTitle, Publisher string
}

// Of returns a term of the kind with a lock: whose and when is for others to say.
func (k *Kind) Of(lock *Lock) *Term {
	return &Term{AvailabilityID: k.AvailabilityID, AddOn: k.AddOn, SKU: k.SKU, Plan: k.Plan, Lock: lock,
		Span: pricing.TermSpan{Term: k.Term, Custom: k.Custom, Trial: k.Trial, MonthEnd: k.MonthEnd}}
}

// Part are the rows of a customer: From and those before To.
type Part struct {
	*Stood
	From, To int
}

// Standings returns all that some parts say.
func Standings(parts []Part) (all []Standing, err error) {
	for _, p := range parts {
		rows := make([]int32, 0, p.To-p.From)
		for i := p.From; i < p.To; i++ {
			rows = append(rows, int32(i))
		}
		if all, err = p.Whole(rows, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}
