package invoice

import (
	"crypto/sha1" //nolint:gosec // names of version 5 are made with it, RFC 9562
	"encoding/hex"
	"slices"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// row appends a charge's line to a block, in whole numbers. It returns false for
// what [Biller.line] has to make: a credit, a number that is too long, or a
// refusal, which says why. The two give the same line.
func (b *Biller) row(block *Block, c subscription.Charge, account *account) bool {
	kind, known := chargeType(c.Type)
	if account.code != "" || c.Term == nil || !known {
		return false
	}
	payer, lock := account.payer, c.Term.Lock
	rateAt, ok := b.rate(lock.Currency, account)
	if !ok {
		return false
	}
	price, discount := subscription.FixedOf(lock.UnitPrice), subscription.FixedOf(lock.Discount)
	r := Row{
		Other: -1, Rate: rateAt, Note: -1, Type: kind, Credit: c.Credit, MonthEnd: c.Term.Span.MonthEnd,
		PerUnit:   payer.Policies.Rounding.PerUnit(isSeatPair(c.Type)),
		OrderDate: c.OrderDate, ChargeStart: c.Start, ChargeEnd: c.Cycle.Last,
		TermStart: c.Term.Span.Start, TermEnd: c.Term.Span.End, RateDate: b.firstOf(account.month),
		CycleFirst: c.Cycle.First, CycleLast: c.Cycle.Last, CycleDays: int32(c.Cycle.Days), CycleMonths: int32(c.Cycle.Months),
		TermMonths: int32(c.Term.Span.Months()), BillingDays: int32(c.Cycle.From(c.Start)), Quantity: c.Quantity,
	}
	if !r.rate(&price, &discount, &b.fixedRates[rateAt]) {
		return false
	}
	if account.index < 0 {
		b.accountOf(account)
	}
	r.Account = account.index
	r.Item = b.itemAt(c.Term)
	r.Sheet, r.SheetLine = b.sheetAt(&lock.Source), int32(lock.Source.Line)
	if c.Note != "" {
		r.Note = b.noteAt(Note{PriceAdjustment: jsonList(c.Note)})
	}
	r.Subscription, r.Order = block.text(c.Term.SubscriptionID), block.text(c.Term.OrderID)
	if c.Change != nil {
		r.Event = block.text(c.Change.ID)
	}
	r.Reference = block.reference(c, r.Event)
	block.Rows = append(block.Rows, r)
	return true
}

// rate fills in the prices and the amounts; false where whole numbers do not
// suffice.
func (r *Row) rate(price, discount *subscription.Fixed, by *fixedRate) bool {
	share, ok := discount.Share()
	if !ok || !price.Fits || !by.fits {
		return false
	}
	r.ListPrice, r.Discount = price.Units, discount.Units
	units, ok := pricing.FixedCalculation{
		UnitPrice: price.Fixed, CycleMonths: int(r.CycleMonths), TermMonths: int(r.TermMonths), Share: share,
		BillingDays: int(r.BillingDays), CycleDays: int(r.CycleDays), ExchangeRate: by.exchange, Quantity: r.Quantity,
		Credit: r.Credit, PerUnit: r.PerUnit, MinorDigits: by.digits,
	}.Units()
	if !ok {
		return false
	}
	r.UnitPrice, r.EffectiveUnitPrice, r.Subtotal = units.UnitPrice, units.EffectiveUnitPrice, units.Subtotal
	if r.TaxTotal, ok = pricing.TaxUnits(r.Subtotal, by.tax); !ok {
		return false
	}
	r.Total = r.Subtotal + r.TaxTotal
	return true
}

// fixedRate is a [Rate] in whole numbers.
type fixedRate struct {
	exchange, tax pricing.Fixed
	digits        int
	fits          bool
}

func fixed(r Rate) fixedRate {
	exchange, ok1 := pricing.FixedOf(r.Exchange)
	tax, ok2 := pricing.FixedOf(r.Tax)
	digits, ok3 := pricing.MinorDigits(r.Currency)
	return fixedRate{exchange, tax, digits, ok1 && ok2 && ok3}
}

func chargeType(name string) (ChargeType, bool) {
	for i, t := range ChargeTypes {
		if t == name {
			return ChargeType(i), true
		}
	}
	return 0, false
}

// isSeatPair tells the lines of a seat change from all others.
func isSeatPair(kind string) bool {
	return kind == subscription.AddQuantity || kind == subscription.RemoveQuantity
}

// rate returns the place of the rate and the tax of a month; false without a rate.
func (b *Biller) rate(currency string, a *account) (int32, bool) {
	if a.currency == currency {
		return a.rate, true
	}
	partner := &a.payer.Partner
	key := rateKey{currency, partner.ID, a.month}
	i, ok := b.rates[key]
	if !ok {
		exchange := decimal.NewFromInt(1)
		if currency != partner.BillingCurrency {
			if exchange, ok = b.world.Rate(currency, partner.BillingCurrency, a.month); !ok {
				return 0, false
			}
		}
		i = int32(len(b.shared.Rates))
		rate := Rate{currency, partner.BillingCurrency, exchange, partner.TaxRate}
		b.shared.Rates, b.fixedRates = append(b.shared.Rates, rate), append(b.fixedRates, fixed(rate))
		b.rates[key] = i
	}
	a.currency, a.rate = currency, i
	return i, true
}

// firstOf is the month's first day.
func (b *Biller) firstOf(month pricing.Month) pricing.Date {
	if month == b.month {
		return b.first
	}
	return month.First()
}

// sheetAt returns the place of a price sheet.
func (b *Biller) sheetAt(s *subscription.Source) int32 {
	slot := uint32(s.Month) * 31
	if len(s.Market) > 1 {
		slot += uint32(s.Market[0])*7 + uint32(s.Market[1])*257
	}
	known := &b.sheets[slot%uint32(len(b.sheets))]
	if known.of == b.shared && known.sheet.Month == s.Month && known.sheet.Market == s.Market && known.sheet.SHA256 == s.SHA256 && known.sheet.File == s.File {
		return known.index
	}
	sheet := *s
	sheet.Line = 0
	index, ok := b.sheetIndex[sheet]
	if !ok {
		index = int32(len(b.shared.Sheets))
		b.shared.Sheets = append(b.shared.Sheets, sheet)
		b.sheetIndex[sheet] = index
	}
	*known = recentSheet{b.shared, sheet, index}
	return index
}

// itemAt returns the place of what the lines of a term share.
func (b *Biller) itemAt(t *subscription.Term) int32 { return b.itemOf(t).place(b.shared) }

func (b *Biller) itemOf(t *subscription.Term) *sharedItem {
	slot := uint32(t.Plan)*8 + uint32(t.Span.Term)
	for _, text := range [...]string{t.SKU.ProductID, t.SKU.SkuID} {
		for i := range len(text) {
			slot = (slot ^ uint32(text[i])) * 16777619
		}
	}
	recent := &b.recent[slot%uint32(len(b.recent))]
	k := t.Lock
	if recent.item != nil && recent.sku == t.SKU && recent.plan == t.Plan && recent.term == t.Span.Term && recent.trial == t.Span.Trial && recent.addOn == t.AddOn &&
		recent.availability == t.AvailabilityID && recent.promotion == k.PromotionID && recent.skuTitle == k.SkuTitle &&
		recent.productTitle == k.ProductTitle && recent.publisher == k.Publisher {
		return recent.item
	}
	item := itemOf(t)
	known, ok := b.items[*item]
	if !ok {
		known = &sharedItem{item: item}
		b.items[*item] = known
	}
	*recent = recentItem{
		sku: t.SKU, availability: t.AvailabilityID, addOn: t.AddOn, trial: t.Span.Trial, term: t.Span.Term, plan: t.Plan,
		promotion: k.PromotionID, skuTitle: k.SkuTitle, productTitle: k.ProductTitle, publisher: k.Publisher, item: known,
	}
	return known
}

func (i *sharedItem) place(s *Shared) int32 {
	if i.of != s {
		i.of, i.index = s, int32(len(s.Items))
		s.Items = append(s.Items, i.item)
	}
	return i.index
}

func (b *Biller) noteAt(n Note) int32 {
	i, ok := b.notes[n]
	if !ok {
		i = int32(len(b.shared.Notes))
		b.shared.Notes = append(b.shared.Notes, n)
		b.notes[n] = i
	}
	return i
}

// reference keeps the charge's [referenceID]; event is where its event's stands.
func (b *Block) reference(c subscription.Charge, event Text) Text {
	switch {
	case c.Change != nil && isUUID(c.Change.ID):
		return event // which says the same
	case c.Change != nil:
		return b.text(referenceID(c))
	}
	return b.cycleReference(c.Term.SubscriptionID, c.Term.Span.Start, c.Cycle.First)
}

// cycleReference keeps that of a whole cycle.
func (b *Block) cycleReference(subscriptionID string, start, first pricing.Date) Text {
	var room [128]byte
	name := append(room[:0], references[:]...)
	name = append(append(name, subscriptionID...), '|')
	name = append(start.Append(name), '|')
	name = first.Append(name)
	sum := sha1.Sum(name) //nolint:gosec // see the import
	var id uuid.UUID
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	at := len(b.Texts)
	b.Texts = slices.Grow(b.Texts, 36)[:at+36]
	text := b.Texts[at:]
	hex.Encode(text[:8], id[:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:], id[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return Text{uint32(at), 36}
}
