// Package damage writes our own lines as Microsoft might have billed them, with
// planted differences, and says what it planted. What the reconciler finds is
// scored against that.
package damage

import (
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Kind names a way to damage a line.
type Kind string

// The kinds. Those that only regroup lines have no cause of their own.
const (
	Dropped    Kind = "dropped"
	Duplicated Kind = "duplicated"
	Invented   Kind = "invented" // a subscription that we do not have
	Quantity   Kind = "quantity"
	Price      Kind = "price" // of last month's sheet
	Shifted    Kind = "shifted date"
	Moved      Kind = "moved month" // billed in the next month
	Rate       Kind = "rate"        // of last month
	Policy     Kind = "policy"      // truncated at the other place
	Lost       Kind = "promotion lost"
	Tax        Kind = "tax"
	Garbled    Kind = "garbled"      // an amount that the line's own columns do not give
	Credited   Kind = "credit"       // a credit that we do not have
	Netted     Kind = "merged pair"  // a wipe and recreate as its net
	SplitUp    Kind = "split"        // one line as two quantities
	Cut        Kind = "split days"   // one line as two ranges of days
	Partly     Kind = "partial copy" // billed again, with another quantity
)

// Cause is what the reconciler should call it, "" for regrouped lines, which
// cost nothing but truncations.
func (k Kind) Cause() reconcile.Cause {
	return map[Kind]reconcile.Cause{
		Dropped: reconcile.MissingThere, Duplicated: reconcile.Duplicate, Partly: reconcile.Duplicate, Invented: reconcile.MissingHere,
		Quantity: reconcile.Quantity, Price: reconcile.Price, Shifted: reconcile.Days, Moved: reconcile.Period, Rate: reconcile.Rate,
		Policy: reconcile.Rounding, Lost: reconcile.Promotion, Garbled: reconcile.Arithmetic, Tax: reconcile.Tax, Credited: reconcile.Credit,
	}[k]
}

// Factors are the kinds that change a factor of a line's amount: any number of
// them may be on one line.
func Factors() []Kind { return []Kind{Quantity, Price, Shifted, Rate, Policy, Lost, Tax, Garbled} }

// Whole are the kinds that add, take away, move or regroup lines.
func Whole() []Kind {
	return []Kind{Dropped, Duplicated, Partly, Invented, Moved, Credited, Netted, SplitUp, Cut}
}

// Planted is one damage. Rows are those of the lines it is on.
type Planted struct {
	Kind Kind
	// Theirs are rows of what was written; Ours of what was left out.
	Theirs []int64
	Ours   []int
}

// Books know what was billed differently a month ago.
type Books interface {
	// LastPrice is the whole term's price of the line's row a month earlier.
	LastPrice(l *invoice.Line) (decimal.Decimal, bool)
	// LastRate is the exchange rate of the month before the line's.
	LastRate(l *invoice.Line) (decimal.Decimal, bool)
}

// Options say how much is damaged. The same options give the same damage.
type Options struct {
	Seed uint64
	// Month is the one to damage; lines of others are written as they are.
	Month pricing.Month
	// OneIn is how many licence lines there are to one that is damaged.
	OneIn int
	// Together is the most factors that are damaged on one line.
	Together int
	// Kinds are drawn from; nil means all.
	Kinds []Kind
	// KeepReferences leaves ReferenceId as ours. Microsoft has its own.
	KeepReferences bool
}

// Write returns the lines as their file would have them, with what was
// planted. It takes lines with their Proof.
func Write(books Books, ours []reconcile.Ours, o Options) ([]reconcile.Billed, []Planted) {
	w := &writer{books: books, options: o, dice: dice(o.Seed*2 + 1), ours: ours}
	if o.Kinds == nil {
		w.options.Kinds = append(Factors(), Whole()...)
	}
	for i := 0; i < len(ours); i++ {
		i += w.line(i) - 1
	}
	return w.lines, w.planted
}

// File is the name of the file that the lines are said to be from.
const File = "microsoft.csv"

type writer struct {
	books   Books
	options Options
	dice    dice
	ours    []reconcile.Ours
	lines   []reconcile.Billed
	planted []Planted
	copies  int
}

// line writes the line at an index, damaged or not, and returns how many lines
// that took.
func (w *writer) line(i int) int {
	our := &w.ours[i]
	l := our.Line
	if our.Month != w.options.Month || l.Proof == nil || l.Proof.Calculation.CycleDays == 0 || l.Subtotal == 0 ||
		l.ChargeType == subscription.CustomerCredit || w.dice.below(w.options.OneIn) != 0 {
		w.write(newDraft(l, our.Month))
		return 1
	}
	kind := w.options.Kinds[w.dice.below(len(w.options.Kinds))]
	if slices.Contains(Factors(), kind) {
		w.factors(our, kind)
		return 1
	}
	d := newDraft(l, our.Month)
	switch kind {
	case Dropped:
		w.plant(kind, nil, our.Row)
		return 1
	case Moved:
		also := w.also(&d)
		d.month++
		row := w.write(d)
		w.plant(kind, []int64{row}, our.Row)
		w.plants(also, row)
		return 1
	case Duplicated:
		also := w.also(&d)
		w.plants(also, w.write(d))
		w.plant(kind, []int64{w.write(d)})
		return 1
	case Partly:
		once := l.ChargeType == subscription.New || l.ChargeType == subscription.Renew || l.ChargeType == subscription.CycleCharge
		if more := d; once && d.Quantity > 2 {
			w.write(d)
			more.Quantity = d.Quantity/2 + 1
			w.plant(kind, []int64{w.write(more)})
			return 1
		}
	case Invented:
		w.write(d)
		w.copies++
		d.line.SubscriptionID = fmt.Sprintf("invented-%06d", w.copies)
		d.line.OrderID = d.line.SubscriptionID
		w.plant(kind, []int64{w.write(d)})
		return 1
	case Credited:
		w.write(d)
		d.credit()
		w.plant(kind, []int64{w.write(d)})
		return 1
	case Netted:
		if i+1 < len(w.ours) && pair(l, w.ours[i+1].Line) {
			other := newDraft(w.ours[i+1].Line, our.Month)
			if net := other.Quantity - d.Quantity; net != 0 && d.Credit && !other.Credit {
				other.Quantity, other.Credit = max(net, -net), net < 0
				also := w.also(&other)
				row := w.write(other)
				w.plant(kind, []int64{row}, our.Row, w.ours[i+1].Row)
				w.plants(also, row)
				return 2
			}
		}
	case SplitUp:
		if d.Quantity > 2 {
			also := w.also(&d)
			part := d
			part.Quantity = 1 + int64(w.dice.below(int(d.Quantity-1)))
			d.Quantity -= part.Quantity
			row := w.write(part)
			w.plant(kind, []int64{row, w.write(d)}, our.Row)
			w.plants(also, row)
			return 1
		}
	case Cut:
		if days := d.BillingDays; days > 3 && int(d.line.ChargeEnd-d.line.ChargeStart)+1 == days {
			part := d
			part.BillingDays = 1 + w.dice.below(days-1)
			part.line.ChargeEnd = part.line.ChargeStart + pricing.Date(part.BillingDays-1)
			d.line.ChargeStart = part.line.ChargeEnd + 1
			d.BillingDays -= part.BillingDays
			w.plant(kind, []int64{w.write(part), w.write(d)}, our.Row)
			return 1
		}
	default:
	}
	w.write(d)
	return 1
}

// also damages a factor of a line that is added, moved or regrouped as well,
// now and then: one that all of its parts share.
func (w *writer) also(d *draft) []Kind {
	if w.options.Together < 2 || w.dice.below(3) != 0 {
		return nil
	}
	shared := []Kind{Price, Rate, Lost}
	if k := shared[w.dice.below(len(shared))]; slices.Contains(w.options.Kinds, k) && w.factor(d, k) {
		return []Kind{k}
	}
	return nil
}

func (w *writer) plants(kinds []Kind, row int64) {
	for _, k := range kinds {
		w.plant(k, []int64{row})
	}
}

// factors damages one to Together factors of a line, and now and then moves it
// to the next month besides.
func (w *writer) factors(our *reconcile.Ours, first Kind) {
	d := newDraft(our.Line, our.Month)
	wanted := []Kind{first}
	for range w.dice.below(max(w.options.Together, 1)) {
		if k := Factors()[w.dice.below(len(Factors()))]; !slices.Contains(wanted, k) && slices.Contains(w.options.Kinds, k) {
			wanted = append(wanted, k)
		}
	}
	var done []Kind
	for _, k := range wanted {
		if w.factor(&d, k) {
			done = append(done, k)
		}
	}
	if len(done) > 0 && w.options.Together > 1 && slices.Contains(w.options.Kinds, Moved) && w.dice.below(8) == 0 {
		d.month++
		done = append(done, Moved)
	}
	// Nobody can tell where an amount was truncated that is garbled, nor where
	// what came later has made the place idle.
	if slices.Contains(done, Garbled) {
		done = slices.DeleteFunc(done, func(k Kind) bool { return k == Policy })
	}
	if other := d; slices.Contains(done, Policy) {
		other.PerUnit = !other.PerUnit
		if other.rated() == d.rated() {
			done = slices.DeleteFunc(done, func(k Kind) bool { return k == Policy })
		}
	}
	row := w.write(d)
	for _, k := range done {
		w.plant(k, []int64{row}, our.Row)
	}
}

// factor damages one factor. It reports false where that changes no amount.
func (w *writer) factor(d *draft, k Kind) bool {
	before, was := d.rated(), *d
	switch k {
	case Quantity:
		by := 1 + int64(w.dice.below(3))
		if d.Quantity > by && w.dice.below(2) == 0 {
			by = -by
		}
		d.Quantity += by
	case Price:
		price, ok := w.books.LastPrice(&d.line)
		if !ok || price.Equal(d.UnitPrice) {
			return false
		}
		d.UnitPrice = price
	case Shifted:
		days := int(d.line.ChargeEnd-d.line.ChargeStart) + 1
		if days != d.BillingDays || days < 4 || d.line.OrderDate != d.line.ChargeStart {
			return false
		}
		by := 1 + w.dice.below(3)
		if (d.line.OrderDate + pricing.Date(by)).Month() != d.line.OrderDate.Month() {
			return false
		}
		d.line.OrderDate += pricing.Date(by)
		d.line.ChargeStart += pricing.Date(by)
		d.BillingDays -= by
	case Rate:
		rate, ok := w.books.LastRate(&d.line)
		if !ok || rate.Equal(d.ExchangeRate) {
			return false
		}
		d.ExchangeRate = rate
	case Policy:
		d.PerUnit = !d.PerUnit
	case Lost:
		if d.Discount.IsZero() {
			return false
		}
		d.Discount, d.item.PromotionID = decimal.Decimal{}, ""
	case Tax:
		if d.taxRate.IsZero() {
			d.taxRate = decimal.New(7, -2)
		} else {
			d.taxRate = d.taxRate.Sub(decimal.New(1, -2))
		}
	case Garbled: // by more than truncations can make
		by := 3*d.Quantity + 137 + int64(w.dice.below(900))
		if less := w.dice.below(2) == 0 && by < max(before.subtotal, -before.subtotal); less != (before.subtotal < 0) {
			by = -by
		}
		d.off = by
	default:
		return false
	}
	if d.rated() == before {
		*d = was
		return false
	}
	return true
}

func (w *writer) plant(k Kind, theirs []int64, ours ...int) {
	w.planted = append(w.planted, Planted{Kind: k, Theirs: theirs, Ours: ours})
}

// write adds a line and returns its row.
func (w *writer) write(d draft) int64 {
	line := d.finished()
	if !w.options.KeepReferences {
		line.ReferenceID = ""
	}
	row := int64(len(w.lines) + 2)
	w.lines = append(w.lines, reconcile.Billed{Line: line, Month: d.month, File: File, Row: row})
	return row
}

// pair reports whether two lines are a wipe and its recreate.
func pair(a, b *invoice.Line) bool {
	seats := func(l *invoice.Line) bool {
		return l.ChargeType == subscription.AddQuantity || l.ChargeType == subscription.RemoveQuantity
	}
	return seats(a) && a.ChargeType == b.ChargeType && a.SubscriptionID == b.SubscriptionID && a.ReferenceID == b.ReferenceID &&
		a.Proof != nil && b.Proof != nil && b.Proof.Calculation.CycleDays > 0
}

// draft is a line that is being written: a calculation, and the rest.
type draft struct {
	pricing.Calculation
	line    invoice.Line
	item    invoice.Item
	month   pricing.Month
	taxRate decimal.Decimal
	off     int64 // what is billed beyond the calculation
	asIs    bool  // its amounts follow from no calculation
}

func newDraft(l *invoice.Line, month pricing.Month) draft {
	d := draft{line: *l, item: *l.Item, month: month, asIs: true}
	if l.Proof != nil && l.Proof.Calculation.CycleDays > 0 {
		d.Calculation, d.taxRate, d.asIs = l.Proof.Calculation, l.Proof.TaxRate, false
	}
	return d
}

// credit makes it a credit of a tenth.
func (d *draft) credit() {
	d.asIs = true
	d.line.ChargeType, d.line.CreditReasonCode = subscription.CustomerCredit, "SLA"
	d.line.Subtotal = -(max(d.line.Subtotal, -d.line.Subtotal)/10 + 1)
	d.line.TaxTotal, d.line.Total = 0, d.line.Subtotal
	d.line.ChargeEnd = d.line.ChargeStart
	d.line.Quantity, d.line.BillableQuantity = decimal.NewFromInt(1), decimal.NewFromInt(1)
	d.line.EffectiveUnitPrice = decimal.New(d.line.Subtotal, -2)
	d.line.UnitPrice = d.line.EffectiveUnitPrice.Abs()
}

// money is what a draft comes to.
type money struct{ subtotal, tax int64 }

func (d *draft) rated() money {
	rated, err := d.Rate()
	if err != nil {
		return money{}
	}
	subtotal := rated.Subtotal + d.off
	tax, err := pricing.Tax(subtotal, d.taxRate)
	if err != nil {
		return money{}
	}
	return money{subtotal, tax}
}

// finished is the line with the amounts that its calculation gives.
func (d *draft) finished() *invoice.Line {
	l, item := d.line, d.item
	l.Item, l.Proof, l.InvoiceNumber = &item, nil, "G0"+d.month.Compact()
	if d.asIs {
		return &l
	}
	rated, err := d.Rate()
	if err != nil {
		return &l
	}
	amount := d.rated()
	l.UnitPrice, l.EffectiveUnitPrice, l.ExchangeRate = rated.UnitPrice, rated.EffectiveUnitPrice, d.ExchangeRate
	l.Quantity = decimal.NewFromInt(d.Quantity)
	l.BillableQuantity = l.Quantity
	l.Subtotal, l.TaxTotal, l.Total = amount.subtotal, amount.tax, amount.subtotal+amount.tax
	return &l
}

// dice is a small generator of numbers: the same seed, the same throws.
type dice uint64

// below throws a number from 0 to n-1.
func (d *dice) below(n int) int {
	if n <= 1 {
		return 0
	}
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) % uint64(n))
}
