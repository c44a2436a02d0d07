package invoice

import (
	"crypto/sha1" //nolint:gosec // names of version 5 are made with it, RFC 9562
	"encoding/hex"

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
	digits, ok := pricing.MinorDigits(payer.Partner.BillingCurrency)
	if !ok {
		return false
	}
	rateAt, ok := b.rate(lock.Currency, account)
	if !ok {
		return false
	}
	rate := &b.shared.Rates[rateAt]
	r := Row{
		Other: -1, Rate: rateAt, Note: -1, Type: kind, Credit: c.Credit, MonthEnd: c.Term.Span.MonthEnd,
		PerUnit:   payer.Policies.Rounding.PerUnit(isSeatPair(c.Type)),
		OrderDate: c.OrderDate, ChargeStart: c.Start, ChargeEnd: c.Cycle.Last,
		TermStart: c.Term.Span.Start, TermEnd: c.Term.Span.End, RateDate: b.firstOf(account.month),
		CycleFirst: c.Cycle.First, CycleLast: c.Cycle.Last, CycleDays: int32(c.Cycle.Days), CycleMonths: int32(c.Cycle.Months),
		TermMonths: int32(c.Term.Span.Months()), BillingDays: int32(c.Cycle.From(c.Start)), Quantity: c.Quantity,
	}
	units, ok := pricing.Calculation{
		UnitPrice: lock.UnitPrice, CycleMonths: int(r.CycleMonths), TermMonths: int(r.TermMonths), Discount: lock.Discount,
		BillingDays: int(r.BillingDays), CycleDays: int(r.CycleDays), ExchangeRate: rate.Exchange, Quantity: r.Quantity,
		Credit: r.Credit, PerUnit: r.PerUnit, MinorDigits: digits,
	}.Units()
	if !ok {
		return false
	}
	r.UnitPrice, r.EffectiveUnitPrice, r.Subtotal = units.UnitPrice, units.EffectiveUnitPrice, units.Subtotal
	if r.TaxTotal, ok = pricing.TaxUnits(r.Subtotal, rate.Tax); !ok {
		return false
	}
	r.Total = r.Subtotal + r.TaxTotal
	if account.index < 0 {
		b.accountOf(account)
	}
	r.Account = account.index
	r.Lock, r.Item = b.lockAt(c.Term)
	if c.Note != "" {
		r.Note = b.noteAt(Note{PriceAdjustment: jsonList(c.Note)})
	}
	r.Subscription, r.Order = block.text(c.Term.SubscriptionID), block.text(c.Term.OrderID)
	if c.Change != nil {
		r.Event = block.text(c.Change.ID)
	}
	r.Reference = block.reference(c)
	block.Rows = append(block.Rows, r)
	return true
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
		b.shared.Rates = append(b.shared.Rates, Rate{currency, partner.BillingCurrency, exchange, partner.TaxRate})
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

// lockAt returns the places of a term's lock and of what its lines share.
func (b *Biller) lockAt(t *subscription.Term) (lock, item int32) {
	k, ok := b.locks[t.Lock]
	if !ok {
		k = new(sharedLock)
		b.locks[t.Lock] = k
	}
	if k.of != b.shared {
		k.of, k.index = b.shared, int32(len(b.shared.Locks))
		b.shared.Locks = append(b.shared.Locks, t.Lock)
	}
	return k.index, b.itemAt(k, t)
}

// itemAt returns the place of what the lines of a term share.
func (b *Biller) itemAt(k *sharedLock, t *subscription.Term) int32 {
	for i := range k.items {
		one := &k.items[i]
		if one.sku == t.SKU && one.availability == t.AvailabilityID && one.addOn == t.AddOn && one.trial == t.Span.Trial &&
			one.term == t.Span.Term && one.plan == t.Plan {
			return one.item.place(b.shared)
		}
	}
	item := itemOf(t)
	known, ok := b.items[*item]
	if !ok {
		known = &sharedItem{item: item}
		b.items[*item] = known
	}
	k.items = append(k.items, lockItem{t.SKU, t.AvailabilityID, t.AddOn, t.Span.Trial, t.Span.Term, t.Plan, known})
	return known.place(b.shared)
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

// reference keeps the charge's [referenceID].
func (b *Block) reference(c subscription.Charge) Text {
	if c.Change != nil {
		return b.text(referenceID(c))
	}
	name := make([]byte, 0, 128)
	name = append(name, references[:]...)
	name = append(append(name, c.Term.SubscriptionID...), '|')
	name = append(c.Term.Span.Start.Append(name), '|')
	name = c.Cycle.First.Append(name)
	sum := sha1.Sum(name) //nolint:gosec // see the import
	var id uuid.UUID
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	at := len(b.Texts)
	b.Texts = append(b.Texts, make([]byte, 36)...)
	text := b.Texts[at:]
	hex.Encode(text[:8], id[:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:], id[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return Text{uint32(at), 36}
}
