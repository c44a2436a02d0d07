package invoice

import (
	"iter"
	"slices"
	"unsafe"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Block holds lines compactly, in the order of the file: a row of numbers for
// each, all texts in one place, and once what many lines share. A million lines
// take some 300 MB instead of 2 GB, and the collector has nothing to walk.
//
// It is the border between what computes lines and what writes them: [Block.Line]
// gives any line in full.
type Block struct {
	*Shared
	Rows  []Row
	Texts []byte
	// Currency is the billing currency of all lines.
	Currency string
}

// Shared is what the rows of several blocks name by its place here.
type Shared struct {
	Accounts []*Account
	Items    []*Item
	Sheets   []subscription.Source // of prices; Line is 0
	Rates    []Rate
	Notes    []Note
	// Others are lines that no row can hold: rated elsewhere, taken back, a
	// credit, or with a number of more than 18 digits.
	Others []*Line
}

// Row is one line of a block. An index of -1 is none.
type Row struct {
	// Other is the line in full; then only Account, Type, Subscription, OrderDate
	// and the amounts are set besides.
	Other   int32
	Account int32
	Item    int32
	Rate    int32
	Note    int32
	// Sheet and SheetLine are where the price stands.
	Sheet, SheetLine int32

	Type     ChargeType
	Credit   bool // a minus line
	PerUnit  bool
	MonthEnd pricing.MonthEnd

	OrderDate, ChargeStart, ChargeEnd, TermStart, TermEnd, RateDate pricing.Date

	CycleFirst, CycleLast              pricing.Date
	CycleDays, CycleMonths, TermMonths int32
	BillingDays                        int32

	Quantity int64
	// ListPrice is that of the whole term, in units of 10^-10 like all prices here,
	// and Discount the promotion's fraction off, too.
	ListPrice, Discount int64
	// UnitPrice and EffectiveUnitPrice are in units of 10^-10, see [PriceScale].
	UnitPrice, EffectiveUnitPrice int64
	// Subtotal, TaxTotal and Total are in minor units.
	Subtotal, TaxTotal, Total int64

	Subscription, Order, Reference, Event Text
}

// PriceScale is how many decimals the prices of a row have.
const PriceScale = 10

// rowSize is what a row takes in memory and where blocks are put aside.
const rowSize = int(unsafe.Sizeof(Row{}))

// Text is a piece of a block's Texts.
type Text struct{ At, Len uint32 }

// ChargeType is the place of a charge type in [ChargeTypes].
type ChargeType uint8

// ChargeTypes are those that are rated here; a line of any other stands in full.
var ChargeTypes = [...]string{subscription.New, subscription.Renew, subscription.CycleCharge, subscription.AddQuantity,
	subscription.RemoveQuantity, subscription.MoveQuantity, subscription.CancelImmediate, subscription.Convert,
	subscription.ChangeBillingPlan, subscription.CustomerCredit}

// Rate is how amounts of a pricing currency become those of an invoice.
type Rate struct {
	PricingCurrency string
	Currency        string          // the billing currency
	Exchange        decimal.Decimal // 1 in the same currency
	Tax             decimal.Decimal
}

// Note is what few lines say besides.
type Note struct {
	PriceAdjustment  string
	CreditReasonCode string
}

// Text returns a text of the block. It is good as long as the block is.
func (b *Block) Text(t Text) []byte { return b.Texts[t.At : t.At+t.Len : t.At+t.Len] }

// Clip gives back room that many more lines would have had.
func (b *Block) Clip() {
	if 4*len(b.Rows) < 3*cap(b.Rows) {
		b.Rows, b.Texts = append([]Row(nil), b.Rows...), append([]byte(nil), b.Texts...)
	}
}

// clear forgets the lines and keeps the room that they took.
func (b *Block) clear() { b.Rows, b.Texts = b.Rows[:0], b.Texts[:0] }

// Account returns the account of a line.
func (b *Block) Account(i int) *Account { return b.Accounts[b.Rows[i].Account] }

// text keeps a text.
func (b *Block) text(s string) Text {
	t := Text{uint32(len(b.Texts)), uint32(len(s))}
	b.Texts = append(b.Texts, s...)
	return t
}

// Add appends a line in full.
func (b *Block) Add(l *Line) {
	b.Others = append(b.Others, l)
	b.Rows = append(b.Rows, Row{
		Other: int32(len(b.Others) - 1), Account: b.account(l.Account), Item: -1, Rate: -1, Note: -1, Sheet: -1,
		OrderDate: l.OrderDate, Subtotal: l.Subtotal, TaxTotal: l.TaxTotal, Total: l.Total, Subscription: b.text(l.SubscriptionID),
	})
}

// account gives an account a place, unless it has the last one.
func (s *Shared) account(a *Account) int32 {
	if n := len(s.Accounts); n == 0 || s.Accounts[n-1] != a {
		s.Accounts = append(s.Accounts, a)
	}
	return int32(len(s.Accounts) - 1)
}

// other returns the line of a row that stands in full, nil for any other.
func (b *Block) other(i int32) *Line {
	if at := b.Rows[i].Other; at >= 0 {
		return b.Others[at]
	}
	return nil
}

// Line returns a line in full, with its proof. Those of one block share their
// accounts and items.
func (b *Block) Line(i int) *Line {
	r := &b.Rows[i]
	if l := b.other(int32(i)); l != nil {
		return l
	}
	rate, sheet := b.Rates[r.Rate], b.Sheets[r.Sheet]
	sheet.Line = int(r.SheetLine)
	exact := func(units int64) decimal.Decimal { return decimal.New(units, -PriceScale) }
	l := &Line{
		Account: b.Accounts[r.Account], Item: b.Items[r.Item],
		SubscriptionID: string(b.Text(r.Subscription)), OrderID: string(b.Text(r.Order)), ReferenceID: string(b.Text(r.Reference)),
		OrderDate: r.OrderDate, ChargeType: ChargeTypes[r.Type],
		UnitPrice: exact(r.UnitPrice), EffectiveUnitPrice: exact(r.EffectiveUnitPrice), Quantity: decimal.NewFromInt(r.Quantity),
		Subtotal: r.Subtotal, TaxTotal: r.TaxTotal, Total: r.Total, Currency: rate.Currency,
		PricingCurrency: rate.PricingCurrency, ExchangeRate: rate.Exchange, RateDate: r.RateDate,
		ChargeStart: r.ChargeStart, ChargeEnd: r.ChargeEnd, TermStart: r.TermStart, TermEnd: r.TermEnd,
	}
	l.BillableQuantity = l.Quantity
	if r.Note >= 0 {
		l.PriceAdjustment, l.CreditReasonCode = b.Notes[r.Note].PriceAdjustment, b.Notes[r.Note].CreditReasonCode
	}
	digits, _ := pricing.MinorDigits(rate.Currency) // known, or there would be no row
	l.Proof = &Proof{
		EventID: string(b.Text(r.Event)), Source: sheet, TaxRate: rate.Tax, MonthEnd: r.MonthEnd,
		Cycle: pricing.Cycle{First: r.CycleFirst, Last: r.CycleLast, Days: int(r.CycleDays), Months: int(r.CycleMonths)},
		Calculation: pricing.Calculation{
			UnitPrice: exact(r.ListPrice), Discount: exact(r.Discount), CycleMonths: int(r.CycleMonths), TermMonths: int(r.TermMonths),
			BillingDays: int(r.BillingDays), CycleDays: int(r.CycleDays), ExchangeRate: rate.Exchange, Quantity: r.Quantity,
			Credit: r.Credit, PerUnit: r.PerUnit, MinorDigits: digits,
		},
	}
	return l
}

// Lines yields all lines in full.
func (b *Block) Lines() iter.Seq[*Line] {
	return func(yield func(*Line) bool) {
		for i := range b.Rows {
			if !yield(b.Line(i)) {
				return
			}
		}
	}
}

// RowBytes is the memory of the rows, to be put aside within the run: rows hold
// no pointer. What reads it back is [Block.Room].
func (b *Block) RowBytes() []byte {
	if len(b.Rows) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(b.Rows))), len(b.Rows)*rowSize)
}

// Room gives the block n rows and returns their memory, to be filled with what
// [Block.RowBytes] was.
func (b *Block) Room(n int) []byte {
	b.Rows = slices.Grow(b.Rows[:0], n)[:n]
	return b.RowBytes()
}
