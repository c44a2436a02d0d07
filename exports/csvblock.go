package exports

import (
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// SetInvoice sets the invoice number of the rows of blocks that follow, "" in
// an open month.
func (c *CSV) SetInvoice(number string) { c.number = number }

// EncodeBlock writes rows from:to of a block: the bytes that its lines in full
// would give, one by one.
func (c *CSV) EncodeBlock(b *invoice.Block, from, to int) error {
	for i := from; i < to && c.err == nil; i++ {
		r := &b.Rows[i]
		if before := len(c.buf); r.Other >= 0 || !c.appendRow(b, r) {
			// The line knows what is unusual, or wrong, about its row.
			c.buf = c.buf[:before]
			_ = c.Encode(inFull(b, i, c.number)) // kept in c.err
			continue
		}
		c.totals.Merge(invoice.Totals{Lines: 1, Subtotal: r.Subtotal, TaxTotal: r.TaxTotal, Total: r.Total})
		if len(c.buf) >= csvBuffer {
			c.flush()
		}
	}
	return c.err
}

// appendRow appends a row as it stands in its block, and reports whether it
// could. Its columns are those of [columns], which every test of blocks compares.
func (c *CSV) appendRow(b *invoice.Block, r *invoice.Row) bool {
	rate := &b.Rates[r.Rate]
	if c.prepare(b.Accounts[r.Account], b.Items[r.Item], rate.Currency) != nil || !c.prepareRate(rate) {
		return false
	}
	var note invoice.Note
	if r.Note >= 0 {
		note = b.Notes[r.Note]
	}
	account, item := &c.account, c.item
	f := fields{dst: append(c.buf, account.run(0)...), dates: &c.dates}
	f.text(c.number)
	f.append(account.run(1))
	f.bytes(b.Text(r.Order))
	f.date(r.OrderDate)
	f.append(item.run(0))
	f.dst = append(append(f.dst, invoice.ChargeTypes[r.Type]...), separator)
	f.dst = append(c.prices.append(f.dst, r.UnitPrice), separator)
	f.amount(r.Quantity, 0)
	f.amount(r.Subtotal, c.digits)
	f.amount(r.TaxTotal, c.digits)
	f.amount(r.Total, c.digits)
	f.dst = append(append(f.dst, c.currency...), separator)
	f.text(note.PriceAdjustment)
	f.append(item.run(1))
	f.bytes(b.Text(r.Subscription))
	f.date(r.ChargeStart)
	f.date(r.ChargeEnd)
	f.append(item.run(2))
	f.dst = append(c.prices.append(f.dst, r.EffectiveUnitPrice), separator)
	f.append(item.run(3))
	f.amount(r.Quantity, 0)
	f.append(item.run(4))
	f.append(c.rateText)
	f.date(r.RateDate)
	f.append(item.run(5))
	f.text(note.CreditReasonCode)
	f.date(r.TermStart)
	f.date(r.TermEnd)
	f.bytes(b.Text(r.Reference))
	f.append(item.run(6))
	c.buf = f.dst
	c.endRow()
	return f.err == nil
}

// prepareRate makes the text of a rate ready, and reports whether there is one.
func (c *CSV) prepareRate(rate *invoice.Rate) bool {
	// Rates that are equal as structs are equal; any other is formatted anew.
	if *rate == c.rate && len(c.rateText) > 0 {
		return true
	}
	f := fields{dst: c.rateText[:0]}
	f.text(rate.PricingCurrency)
	if !rate.Exchange.IsZero() {
		f.dst = appendNumber(f.dst, rate.Exchange)
	}
	f.dst = append(f.dst, separator)
	c.rate, c.rateText = *rate, f.dst
	if f.err != nil {
		c.rateText = c.rateText[:0]
	}
	return f.err == nil
}

// fields appends fields, each with its separator, and keeps the first error.
type fields struct {
	dst   []byte
	dates *dateTexts
	err   error
}

func (f *fields) append(text []byte) { f.dst = append(f.dst, text...) }

func (f *fields) text(s string) {
	if s != "" {
		f.keep(appendText(f.dst, s))
	}
	f.dst = append(f.dst, separator)
}

func (f *fields) bytes(s []byte) {
	f.keep(appendText(f.dst, s))
	f.dst = append(f.dst, separator)
}

func (f *fields) date(d pricing.Date) {
	f.keep(f.dates.append(f.dst, d))
	f.dst = append(f.dst, separator)
}

func (f *fields) amount(v int64, digits int) {
	f.dst = append(appendAmount(f.dst, v, digits), separator)
}

func (f *fields) keep(dst []byte, err error) {
	f.dst = dst
	if f.err == nil {
		f.err = err
	}
}
