package invoice

import (
	"slices"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/subscription"
)

// Nine of ten subscriptions have one whole cycle in a month and nothing else.
// Their rows are made here from the columns of the state, without a subscription,
// a term or a charge in between. What is not plain goes the long way, which
// would make the same rows: tests hold the one against the other.

// quietPlaces find what quiet rows share by its places in the state.
type quietPlaces struct {
	reading any
	items   []*sharedItem // by kind
	sheets  []sharedSheet
	renewed []renewedTerm // by the number of the price
	rows    []int32       // of the customer at hand: those that are not quiet
}

// renewedTerm is what the terms share that begin at a price.
type renewedTerm struct {
	item  *sharedItem
	sheet sharedSheet
}

// sharedSheet is the place of a price sheet in the blocks that it was last used in.
type sharedSheet struct {
	of    *Shared
	index int32
}

// grow makes room for n.
func grow[T any](all []T, n int) []T {
	if n > len(all) {
		all = append(all, make([]T, n-len(all))...)
	}
	return all
}

// quietCount is what quiet subscriptions add to an outcome.
type quietCount struct {
	subscriptions int
	seats         int64
}

// billQuiet makes the rows of the customer's quiet subscriptions, and leaves the
// others to be lived in its Standing.
func (b *Biller) billQuiet(c *Customer) (count quietCount, err error) {
	if len(c.Parts) == 0 {
		return count, nil
	}
	account := b.account(b.month)
	// What a close keeps is said by whole lives only.
	plain := account.code == "" && !b.KeepLocks && len(c.Locks) == 0
	if plain {
		if err := b.open(account); err != nil {
			return count, err
		}
	}
	busy := busy(c.Changes)
	for _, p := range c.Parts {
		b.quiet.begin(p.Stood)
		b.quiet.rows = b.quiet.rows[:0]
		for i := p.From; i < p.To; i++ {
			if plain && !busy.has(p.Subscription[i]) && b.quietRow(p.Stood, i, account) {
				count.subscriptions++
				count.seats += p.Quantity[i]
				continue
			}
			b.quiet.rows = append(b.quiet.rows, int32(i))
		}
		if len(b.quiet.rows) == 0 {
			continue
		}
		if c.Standing, err = p.Whole(b.quiet.rows, c.Standing); err != nil {
			return count, err
		}
	}
	return count, nil
}

// busySubscriptions are those that changes name.
type busySubscriptions struct {
	changes []*change.Change
	ids     map[string]bool // instead, where there are many
}

// fewChanges are gone through sooner than a map is made.
const fewChanges = 8

func busy(changes []*change.Change) busySubscriptions {
	if len(changes) <= fewChanges {
		return busySubscriptions{changes: changes}
	}
	ids := make(map[string]bool, len(changes))
	for _, c := range changes {
		ids[c.Subject], ids[c.ToSubscription], ids[c.SubscriptionID] = true, true, true
	}
	return busySubscriptions{ids: ids}
}

func (b busySubscriptions) has(id string) bool {
	if b.ids != nil {
		return b.ids[id]
	}
	return slices.ContainsFunc(b.changes, func(c *change.Change) bool {
		return c.Subject == id || c.ToSubscription == id || c.SubscriptionID == id
	})
}

func (q *quietPlaces) begin(s *subscription.Stood) {
	if q.reading != s.Reading {
		*q = quietPlaces{reading: s.Reading, rows: q.rows}
	}
	q.items, q.sheets = grow(q.items, len(s.Kinds)), grow(q.sheets, len(s.Sheets))
}

// quietRow lives a subscription of a row through the month and appends its line,
// if there is one. false: it takes more than that, and nothing has happened.
func (b *Biller) quietRow(s *subscription.Stood, i int, account *account) bool {
	c, ok := b.lives.Quiet(b.world, account.payer, s, i, subscription.MonthDays{First: b.first, Last: b.last})
	if !ok || c.Type == "" {
		return ok
	}
	kind := &s.Kinds[s.Kind[i]]
	price, discount, currency := s.Price.Of(i), s.Discount.Of(i), s.Currency.Of(i)
	charge := cycleCharge
	if c.Price != nil {
		price, discount, currency = &c.Price.Price, &c.Price.Discount, c.Price.Lock.Currency
		charge = renew
	}
	rate, ok := b.rate(currency, account)
	if !ok {
		return false
	}
	r := Row{
		Other: -1, Rate: rate, Note: -1, Type: charge, MonthEnd: c.Span.MonthEnd, PerUnit: account.payer.Policies.Rounding.PerUnit(false),
		OrderDate: c.Cycle.First, ChargeStart: c.Cycle.First, ChargeEnd: c.Cycle.Last, TermStart: c.Span.Start, TermEnd: c.Span.End, RateDate: b.first,
		CycleFirst: c.Cycle.First, CycleLast: c.Cycle.Last, CycleDays: int32(c.Cycle.Days), CycleMonths: int32(c.Cycle.Months),
		TermMonths: int32(c.Span.Months()), BillingDays: int32(c.Cycle.Len()), Quantity: s.Quantity[i],
	}
	if !r.rate(price, discount, &b.fixedRates[rate]) {
		return false
	}
	if account.index < 0 {
		b.accountOf(account)
	}
	r.Account = account.index
	if c.Price == nil {
		r.Item, r.Sheet, r.SheetLine = b.quietItem(s.Kind[i], kind), b.quietSheet(s, i), int32(s.Line[i])
	} else {
		r.Item, r.Sheet = b.renewed(kind, c.Price)
		r.SheetLine = int32(c.Price.Lock.Source.Line)
	}
	block := account.block
	r.Subscription, r.Order = block.text(s.Subscription[i]), block.text(s.Order.Of(i))
	r.Reference = block.cycleReference(s.Subscription[i], c.Span.Start, c.Cycle.First)
	block.Rows = append(block.Rows, r)
	return true
}

// The charge types of quiet subscriptions.
var (
	cycleCharge, _ = chargeType(subscription.CycleCharge)
	renew, _       = chargeType(subscription.Renew)
)

func (b *Biller) quietItem(at int32, k *subscription.Kind) int32 {
	item := &b.quiet.items[at]
	if *item == nil {
		*item = b.itemOf(k.Of(&subscription.Lock{PromotionID: k.PromotionID, ProductTitle: k.ProductTitle, SkuTitle: k.SkuTitle, Publisher: k.Publisher}))
	}
	return (*item).place(b.shared)
}

func (b *Biller) quietSheet(s *subscription.Stood, i int) int32 {
	return b.quiet.sheets[s.Sheet[i]].place(b, &s.Sheets[s.Sheet[i]])
}

func (s *sharedSheet) place(b *Biller, sheet *subscription.Source) int32 {
	if s.of != b.shared {
		*s = sharedSheet{b.shared, b.sheetAt(sheet)}
	}
	return s.index
}

// renewed returns item and sheet of a term that begins at a price. All terms that
// have the price are of one kind in what a line shows.
func (b *Biller) renewed(k *subscription.Kind, p *subscription.QuietPrice) (item, sheet int32) {
	b.quiet.renewed = grow(b.quiet.renewed, p.Number+1)
	known := &b.quiet.renewed[p.Number]
	if known.item == nil {
		known.item = b.itemOf(k.Of(&p.Lock))
	}
	return known.item.place(b.shared), known.sheet.place(b, &p.Lock.Source)
}
