package exports

import (
	"bytes"
	"slices"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// SetInvoice sets the invoice number of the rows of blocks that follow, "" in
// an open month.
func (c *CSV) SetInvoice(number string) {
	c.number = number
	c.head.of = nil
}

// EncodeBlock writes rows from:to of a block: the bytes that its lines in full
// would give, one by one.
func (c *CSV) EncodeBlock(b *invoice.Block, from, to int) error {
	for i := from; i < to && c.err == nil; i++ {
		r := &b.Rows[i]
		if r.Other >= 0 || !c.appendRow(b, r) {
			// The line knows what is unusual, or wrong, about its row.
			_ = c.Encode(inFull(b, i, c.number)) // kept in c.err
			continue
		}
		c.totals.Merge(invoice.Totals{Lines: 1, Subtotal: r.Subtotal, TaxTotal: r.TaxTotal, Total: r.Total})
		if len(c.buf) >= csvBuffer {
			c.flushBlocks()
		}
	}
	return c.err
}

// rowHead is the text that the rows of an account begin with: all before the order.
type rowHead struct {
	of   *invoice.Account
	text []byte
}

// rowItem is the text of an item as it stands in rows, together with what hardly
// ever differs between two rows of it.
type rowItem struct {
	*sharedText[invoice.Item]
	rate invoice.Rate
	note invoice.Note
	date pricing.Date // of the rate

	middle []byte // from the currency to the subscription's id
	tail   []byte // from the billing frequency to the term's dates
	last   []byte // behind the reference
	size   int    // of all of the item's text in a row

	version int // how often it was formatted
}

// fits reports whether the text is that of a row with such a rate and note.
func (t *rowItem) fits(rate *invoice.Rate, note *invoice.Note, date pricing.Date) bool {
	return t.size > 0 && t.date == date && t.note == *note && t.rate.Currency == rate.Currency &&
		t.rate.PricingCurrency == rate.PricingCurrency && t.rate.Exchange.Equal(rate.Exchange)
}

// rowItems are the items of rows, and which of them stand where in the block at hand.
type rowItems struct {
	known  map[*invoice.Item]*rowItem
	of     *invoice.Shared
	places []rowPlace
}

// rowPlace is an item that fits the rows of a place with this rate and note, as
// long as it is not formatted for others.
type rowPlace struct {
	item       *rowItem
	version    int
	rate, note int32
	date       pricing.Date
}

func (p *rowPlace) fits(r *invoice.Row) bool {
	return p.item != nil && p.version == p.item.version && p.rate == r.Rate && p.note == r.Note && p.date == r.RateDate
}

// at returns a place of what blocks share.
func (t *rowItems) at(of *invoice.Shared, place int32) *rowPlace {
	if t.of != of {
		t.of = of
		clear(t.places)
	}
	if n := len(t.places); int(place) >= n {
		t.places = slices.Grow(t.places, len(of.Items)-n)[:len(of.Items)]
		clear(t.places[n:])
	}
	return &t.places[place]
}

// rowRoom is room for the fields of a row that are not its account's, item's
// or ids: dates, amounts, prices, the charge type.
const rowRoom = 512

// appendRow appends a row as it stands in its block, and reports whether it
// could. Its columns are those of [columns], which every test of blocks compares.
//
// A row is some twenty copies of text that was formatted before, into room that
// is there: appending piece by piece took three times as long.
func (c *CSV) appendRow(b *invoice.Block, r *invoice.Row) bool {
	rate := &b.Rates[r.Rate]
	account := b.Accounts[r.Account]
	if account != c.head.of || account == nil || rate.Currency != c.currency {
		if c.prepareHead(account, rate.Currency) != nil {
			return false
		}
	}
	place := c.rows.at(b.Shared, r.Item)
	if !place.fits(r) && c.prepareItem(place, b, r) != nil {
		return false
	}
	item := place.item
	order, subscription, reference := b.Text(r.Order), b.Text(r.Subscription), b.Text(r.Reference)
	if !plainText(order) || !plainText(subscription) || !plainText(reference) ||
		!hasText(r.OrderDate) || !hasText(r.ChargeStart) || !hasText(r.ChargeEnd) || !hasText(r.TermStart) || !hasText(r.TermEnd) {
		return false
	}
	n := len(c.buf)
	end := n + len(c.head.text) + item.size + len(order) + len(subscription) + len(reference) + rowRoom
	if end > cap(c.buf) {
		c.buf = slices.Grow(c.buf, end-n)
	}
	dst := c.buf[:end]
	n += copy(dst[n:], c.head.text)
	n += copy(dst[n:], order)
	dst[n] = separator
	n = c.dates.put(dst, n+1, r.OrderDate)
	n += copy(dst[n:], item.run(0))
	n += copy(dst[n:], chargeTypeTexts[r.Type])
	n = c.prices.put(dst, n, r.UnitPrice)
	n = putAmount(dst, n, r.Quantity, 0)
	n = putAmount(dst, n, r.Subtotal, c.digits)
	n = putAmount(dst, n, r.TaxTotal, c.digits)
	n = putAmount(dst, n, r.Total, c.digits)
	n += copy(dst[n:], item.middle)
	n += copy(dst[n:], subscription)
	dst[n] = separator
	n = c.dates.put(dst, n+1, r.ChargeStart)
	n = c.dates.put(dst, n, r.ChargeEnd)
	n += copy(dst[n:], item.run(2))
	n = c.prices.put(dst, n, r.EffectiveUnitPrice)
	n += copy(dst[n:], item.run(3))
	n = putAmount(dst, n, r.Quantity, 0)
	n += copy(dst[n:], item.tail)
	n = c.dates.put(dst, n, r.TermStart)
	n = c.dates.put(dst, n, r.TermEnd)
	n += copy(dst[n:], reference)
	dst[n] = separator
	n++
	n += copy(dst[n:], item.last)
	c.buf = dst[:n]
	return true
}

// chargeTypeTexts are the charge types with their separators.
var chargeTypeTexts = func() (texts [len(invoice.ChargeTypes)]string) {
	for i, t := range invoice.ChargeTypes {
		texts[i] = t + string(separator)
	}
	return texts
}()

// prepareHead makes the text of an account ready, and the currency's digits.
func (c *CSV) prepareHead(account *invoice.Account, currency string) (err error) {
	if err := c.prepare(account, nil, currency); err != nil {
		return err
	}
	c.head.of = nil
	text := append(c.head.text[:0], c.account.run(0)...)
	if text, err = appendText(text, c.number); err != nil {
		return err
	}
	c.head.text = append(append(text, separator), c.account.run(1)...)
	c.head.of = account
	return nil
}

// prepareItem puts the item of a row in its place, with the row's rate and note.
func (c *CSV) prepareItem(place *rowPlace, b *invoice.Block, r *invoice.Row) error {
	rate, note := &b.Rates[r.Rate], &invoice.Note{}
	if r.Note >= 0 {
		note = &b.Notes[r.Note]
	}
	item := place.item
	if item == nil {
		of := b.Items[r.Item]
		if item = c.rows.known[of]; item == nil {
			fixed, err := c.itemText(of)
			if err != nil {
				return err
			}
			if len(c.rows.known) >= maxItems {
				clear(c.rows.known)
			}
			item = &rowItem{sharedText: fixed}
			c.rows.known[of] = item
		}
	}
	if !item.fits(rate, note, r.RateDate) {
		if err := item.format(&c.dates, rate, note, r.RateDate); err != nil {
			return err
		}
	}
	*place = rowPlace{item, item.version, r.Rate, r.Note, r.RateDate}
	return nil
}

// format makes the text that fits a rate and a note.
func (t *rowItem) format(dates *dateTexts, rate *invoice.Rate, note *invoice.Note, date pricing.Date) error {
	t.size = 0
	t.version++
	f := fields{dst: t.middle[:0], dates: dates}
	f.text(rate.Currency)
	f.text(note.PriceAdjustment)
	f.append(t.run(1))
	t.middle = f.dst
	f.dst = append(t.tail[:0], t.run(4)...)
	f.text(rate.PricingCurrency)
	if !rate.Exchange.IsZero() {
		f.dst = appendNumber(f.dst, rate.Exchange)
	}
	f.dst = append(f.dst, separator)
	f.date(date)
	f.append(t.run(5))
	f.text(note.CreditReasonCode)
	t.tail = f.dst
	if f.err != nil {
		return f.err
	}
	t.last = append(append(t.last[:0], bytes.TrimSuffix(t.run(6), separatorText)...), rowEnd...)
	t.rate, t.note, t.date = *rate, *note, date
	t.size = len(t.text) + len(t.middle) + len(t.tail) + len(t.last)
	return nil
}

// fields appends fields, each with its separator, and keeps the first error.
type fields struct {
	dst   []byte
	dates *dateTexts
	err   error
}

func (f *fields) append(text []byte) { f.dst = append(f.dst, text...) }

func (f *fields) text(s string) {
	f.keep(appendText(f.dst, s))
	f.dst = append(f.dst, separator)
}

func (f *fields) date(d pricing.Date) {
	f.keep(f.dates.append(f.dst, d))
	f.dst = append(f.dst, separator)
}

func (f *fields) keep(dst []byte, err error) {
	f.dst = dst
	if f.err == nil {
		f.err = err
	}
}
