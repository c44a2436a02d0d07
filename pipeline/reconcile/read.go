package reconcile

import (
	"math/big"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

var rat1 = big.NewRat(1, 1)

// bill is one side of a match as a single line: a line, or several that
// together are one.
type bill struct {
	lead    *entry // the line that has the prices
	entries []*entry
	// quantity is net and positive; sign is that of the net.
	quantity   *big.Rat
	sign       int64
	start, end pricing.Date
	turned     bool // the file has the end before the start
	// price is the printed effective unit price: of the lead, or of lines that
	// share the days out, their sum.
	price decimal.Decimal
	sum   Amount
}

func newBill(entries []*entry) bill {
	b := bill{entries: entries, lead: entries[0], sign: 1}
	tiled := len(entries) > 1 && entries[0].start != entries[1].start
	for _, e := range entries {
		b.sum = b.sum.Add(amountOf(e.line))
		if tiled {
			b.price = b.price.Add(e.line.EffectiveUnitPrice.Abs())
		}
	}
	net := sum(entries)
	if tiled {
		net = entries[0].signed()
	}
	if net.IsNegative() || net.IsZero() && entries[0].sign < 0 {
		b.sign = -1
	}
	b.quantity = net.Abs().Rat()
	for _, e := range entries {
		if int64(e.sign) == b.sign {
			b.lead = e
			break
		}
	}
	if !tiled {
		b.price = b.lead.line.EffectiveUnitPrice.Abs()
	}
	b.start, b.end = entries[0].start, entries[0].end
	for _, e := range entries {
		b.start, b.end, b.turned = min(b.start, e.start), max(b.end, e.end), b.turned || e.turned
	}
	return b
}

// effective is what the printed effective unit price stands for. A sum of
// several prices may be off by as many last decimals.
func (b *bill) effective() span {
	if s := printed(b.price); s.exact() || b.start == b.lead.start && b.end == b.lead.end {
		return s
	}
	slack := lastUnit(priceDecimals)
	return around(b.price.Rat(), slack.Mul(slack, big.NewRat(int64(len(b.entries)), 1)))
}

// dated reports whether the bill has charge dates to reckon with.
func (b *bill) dated() bool {
	return b.start != pricing.NoDate && b.end != pricing.NoDate && b.start <= b.end
}

// days is the number of days charged.
func (b *bill) days() int64 { return int64(b.end-b.start) + 1 }

// fullCycles returns the lengths that the full cycle which ends on the bill's
// last day can have: those of the plans first, then every other.
func (b *bill) fullCycles() []int64 {
	var lengths []int64
	add := func(n int64) {
		if n >= b.days() && !slices.Contains(lengths, n) {
			lengths = append(lengths, n)
		}
	}
	next := b.end + 1
	for _, months := range []int{1, 12, 36} {
		add(int64(next - next.AddMonths(-months)))
	}
	// The first cycle of a term that starts at a month's end is anchored on it.
	for _, months := range []int{1, 12, 36} {
		add(int64(b.start.AddMonths(months) - b.start))
	}
	for _, n := range []int64{28, 29, 30, 31, 365, 366, 1095, 1096, b.days()} {
		add(n)
	}
	return lengths
}

// daysOptions are the fractions of a cycle that the bill's dates can mean.
func (b *bill) daysOptions() []*big.Rat {
	if !b.dated() {
		return []*big.Rat{rat1}
	}
	var all []*big.Rat
	for _, n := range b.fullCycles() {
		all = append(all, big.NewRat(b.days(), n))
	}
	return all
}

// unitPrice is what a printed list price of one cycle stands for: the term's
// price is a plain decimal, of which a month is a twelfth.
func unitPrice(price decimal.Decimal) span {
	s := printed(price)
	if s.exact() {
		return s
	}
	for _, parts := range []int64{12, 36, 3} {
		n := decimal.NewFromInt(parts)
		term := price.Abs().Mul(n).Round(someDecimals - 1)
		exact := new(big.Rat).Quo(term.Rat(), n.Rat())
		if s.touches(exactly(exact)) {
			return exactly(exact)
		}
	}
	return s
}

// discounts returns what a promotion leaves, as far as it is known by its id:
// a promotion may have had several percentages.
func (x *explainer) discounts(sku pricing.SKU, id string) []*big.Rat {
	var all []*big.Rat
	for _, p := range x.world.Promotions(sku) {
		if p.ID == id {
			all = append(all, new(big.Rat).Sub(rat1, p.Discount.Rat()))
		}
	}
	return all
}

// left returns what a discount must leave for a price to come out: the
// plainest decimal that does, and its places, of which there are four at most.
func left(price span, unit span, days *big.Rat) (share *big.Rat, places int32) {
	base := unit.middle()
	if base.Sign() == 0 || days.Sign() == 0 {
		return nil, 0
	}
	exact := new(big.Rat).Quo(price.middle(), new(big.Rat).Mul(base, days))
	for places = 1; places <= 4; places++ {
		d := decimal.NewFromBigRat(exact, places)
		if d.IsPositive() && d.LessThan(decimal.NewFromInt(1)) && unit.times(d.Rat()).times(days).touches(price) {
			return d.Rat(), places
		}
	}
	return nil, 0
}

// split finds the days and the promotion in our own effective price: a
// promotion that is known, else the plainest percentage.
func (x *explainer) split(f *factors, b *bill, price span) bool {
	i := b.lead.line.Item
	shares := []*big.Rat{rat1}
	if i.PromotionID != "" {
		shares = x.discounts(skuOf(i), i.PromotionID)
	}
	options := b.daysOptions()
	for _, days := range options {
		for _, share := range shares {
			if f.unit.times(share).times(days).touches(price) {
				f.share, f.days = share, days
				return true
			}
		}
	}
	plainest := int32(5)
	for _, days := range options {
		if share, places := left(price, f.unit, days); i.PromotionID != "" && share != nil && places < plainest {
			f.share, f.days, plainest = share, days, places
		}
	}
	return plainest < 5
}

// readOurs finds the factors of our own bill. ok is false where its amount
// does not follow from them: of credits, usage and the like.
func (x *explainer) readOurs(b *bill) (f factors, ok bool) {
	l := b.lead.line
	digits, known := pricing.MinorDigits(l.Currency)
	f = factors{quantity: b.quantity, share: rat1, days: rat1, rate: rateOrOne(l.ExchangeRate), formula: perLine, sign: b.sign, digits: digits}
	f.unit = unitPrice(l.UnitPrice)
	if !known {
		return f, false
	}
	if p := l.Proof; p != nil && p.Corrects == "" && p.Calculation.TermMonths > 0 && p.Calculation.CycleDays > 0 && len(b.entries) == 1 {
		c := p.Calculation
		f.unit = exactly(new(big.Rat).Mul(c.UnitPrice.Rat(), big.NewRat(int64(c.CycleMonths), int64(c.TermMonths))))
		f.share = new(big.Rat).Sub(rat1, c.Discount.Rat())
		f.days = big.NewRat(int64(c.BillingDays), int64(c.CycleDays))
		f.formula = perLine
		if c.PerUnit {
			f.formula = perUnit
		}
		return f, f.gives(b.sum.Subtotal)
	}
	price := b.effective()
	fits := x.split(&f, b, price)
	if !fits { // a price as it stands, of whatever it is made
		f.unit, f.share, f.days = price, rat1, rat1
	}
	order := []formula{perUnit, perLine}
	if isSeatPair(b.lead.kind) {
		order = []formula{perLine, perUnit}
	}
	for _, f.formula = range order {
		if f.givesParts(b) {
			return f, fits
		}
	}
	f.formula = perUsage
	return f, fits && f.givesParts(b)
}

// givesParts reports whether each line of a bill is what the factors give for
// its own quantity, or its own days.
func (f factors) givesParts(b *bill) bool {
	if len(b.entries) == 1 {
		return f.gives(b.sum.Subtotal)
	}
	for _, e := range b.entries {
		part := f
		part.quantity, part.sign = e.quantity.Rat(), int64(e.sign)
		part.unit, part.share, part.days = printed(e.line.EffectiveUnitPrice), rat1, rat1
		if !part.gives(e.line.Subtotal) {
			return false
		}
	}
	return true
}

func rateOrOne(rate decimal.Decimal) *big.Rat {
	if rate.IsZero() {
		return rat1
	}
	return rate.Rat()
}

func skuOf(i *invoice.Item) pricing.SKU {
	return pricing.SKU{ProductID: i.ProductID, SkuID: pricing.NormalSKU(i.SkuID)}
}
