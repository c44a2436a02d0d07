package exports

import (
	"slices"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// SetInvoice sets the invoice number of the rows of blocks that follow, "" in
// an open month.
func (p *Parquet) SetInvoice(number string) { p.number, p.rate.known = number, false }

// parquetChunk is how many rows are turned into columns at once: they stay in
// the cache meanwhile.
const parquetChunk = 512

// EncodeBlock writes rows from:to of a block: the bytes that its lines in full
// would give, one by one.
func (p *Parquet) EncodeBlock(b *invoice.Block, from, to int) error {
	for from < to && p.err == nil {
		n := p.appendRows(b, b.Rows[from:min(to, from+parquetChunk, from+parquetGroup-p.rows)])
		if n == 0 {
			// The line knows what is unusual, or wrong, about its row.
			_ = p.Encode(inFull(b, from, p.number)) // kept in p.err
			from++
			continue
		}
		from += n
		if p.rows == parquetGroup {
			p.flush()
		}
	}
	return p.err
}

var (
	columnInvoiceNumber    = columnNamed("InvoiceNumber")
	columnOrderID          = columnNamed("OrderId")
	columnChargeType       = columnNamed("ChargeType")
	columnPriceAdjustment  = columnNamed("PriceAdjustmentDescription")
	columnSubscriptionID   = columnNamed("SubscriptionId")
	columnPricingCurrency  = columnNamed("PricingCurrency")
	columnExchangeRate     = columnNamed("PCToBCExchangeRate")
	columnCreditReasonCode = columnNamed("CreditReasonCode")
	columnReferenceID      = columnNamed("ReferenceId")
)

// rowValues are the columns that a row has as a date, or as a number in the
// units of its column.
var rowValues = [...]struct {
	column int
	value  func(*invoice.Row) int64
}{
	{columnNamed("OrderDate"), func(r *invoice.Row) int64 { return int64(r.OrderDate) }},
	{columnNamed("ChargeStartDate"), func(r *invoice.Row) int64 { return int64(r.ChargeStart) }},
	{columnNamed("ChargeEndDate"), func(r *invoice.Row) int64 { return int64(r.ChargeEnd) }},
	{columnNamed("PCToBCExchangeRateDate"), func(r *invoice.Row) int64 { return int64(r.RateDate) }},
	{columnNamed("SubscriptionStartDate"), func(r *invoice.Row) int64 { return int64(r.TermStart) }},
	{columnNamed("SubscriptionEndDate"), func(r *invoice.Row) int64 { return int64(r.TermEnd) }},
	{columnNamed("UnitPrice"), func(r *invoice.Row) int64 { return priceUnits(r.UnitPrice) }},
	{columnNamed("EffectiveUnitPrice"), func(r *invoice.Row) int64 { return priceUnits(r.EffectiveUnitPrice) }},
	{columnNamed("Quantity"), func(r *invoice.Row) int64 { return r.Quantity * quantityUnit }},
	{columnNamed("BillableQuantity"), func(r *invoice.Row) int64 { return r.Quantity * quantityUnit }},
	{columnNamed("Subtotal"), func(r *invoice.Row) int64 { return r.Subtotal }},
	{columnNamed("TaxTotal"), func(r *invoice.Row) int64 { return r.TaxTotal }},
	{columnNamed("Total"), func(r *invoice.Row) int64 { return r.Total }},
}

const quantityUnit = 1_000_000 // 10^quantityScale

// priceUnits rounds a price of a row half to even to the decimals of its column.
func priceUnits(price int64) int64 {
	const unit = 10_000 // 10^(invoice.PriceScale - priceScale)
	q, r := price/unit, price%unit
	switch twice := 2 * max(r, -r); {
	case twice > unit, twice == unit && q%2 != 0:
		if price < 0 {
			return q - 1
		}
		return q + 1
	}
	return q
}

// rowRate is the rate whose values its columns hold, if known, and where charge
// types stand in the dictionary of the open row group.
type rowRate struct {
	invoice.Rate
	known bool
	types [len(invoice.ChargeTypes)]int32 // index + 1
}

// appendRows appends rows to the open row group until one cannot be, and
// returns how many it took.
func (p *Parquet) appendRows(b *invoice.Block, rows []invoice.Row) int {
	if len(rows) == 0 || rows[0].Other >= 0 || !p.prepareRate(&b.Rates[rows[0].Rate]) {
		return 0
	}
	p.makeRoom(len(rows))
	n := 0
	for n < len(rows) && rows[n].Rate == rows[0].Rate && p.appendShared(b, &rows[n]) {
		n++
	}
	rows = rows[:n]
	for i := range rowValues {
		p.columns[rowValues[i].column].appendRows(rows, rowValues[i].value)
	}
	for _, i := range [...]int{columnInvoiceNumber, columnCurrency, columnPricingCurrency, columnExchangeRate} {
		p.columns[i].repeatTimes(n)
	}
	for i := range rows {
		r := &rows[i]
		p.totals.Merge(invoice.Totals{Lines: 1, Subtotal: r.Subtotal, TaxTotal: r.TaxTotal, Total: r.Total})
	}
	p.rows += n
	return n
}

// prepareRate makes a rate, and what all rows of the file share, the current
// values of their columns, and reports whether it could.
func (p *Parquet) prepareRate(rate *invoice.Rate) bool {
	if p.rate.known && p.rate.Rate == *rate {
		return true
	}
	if rate.Currency != p.currency {
		return false
	}
	exchange := &p.columns[columnExchangeRate]
	var ok bool
	if exchange.value, ok = scaled(rate.Exchange, rateScale); !ok {
		return false
	}
	exchange.null = rate.Exchange.IsZero()
	for _, t := range [...]struct {
		column int
		text   string
	}{{columnInvoiceNumber, p.number}, {columnCurrency, rate.Currency}, {columnPricingCurrency, rate.PricingCurrency}} {
		if p.columns[t.column].setText(t.text) != nil {
			return false
		}
	}
	p.rate.Rate, p.rate.known = *rate, true
	return true
}

// appendShared appends the columns of one row that hold text, and reports
// whether the row can be written without its line.
func (p *Parquet) appendShared(b *invoice.Block, r *invoice.Row) bool {
	const limit = 1_000_000_000_000_000_000 // 10^maxDigits
	if r.Other >= 0 || b.Accounts[r.Account] == nil ||
		r.Subtotal >= limit || r.Subtotal <= -limit || r.TaxTotal >= limit || r.TaxTotal <= -limit || r.Total >= limit || r.Total <= -limit ||
		r.Quantity >= limit/quantityUnit || r.Quantity <= -limit/quantityUnit {
		return false
	}
	var note invoice.Note
	if r.Note >= 0 {
		note = b.Notes[r.Note]
	}
	adjustment, reason := &p.columns[columnPriceAdjustment], &p.columns[columnCreditReasonCode]
	subscription, order, reference := &p.columns[columnSubscriptionID].ids, &p.columns[columnOrderID].ids, &p.columns[columnReferenceID].ids
	if p.prepare(b.Accounts[r.Account], b.Items[r.Item]) != nil ||
		adjustment.setText(note.PriceAdjustment) != nil || reason.setText(note.CreditReasonCode) != nil ||
		setID(subscription, b.Text(r.Subscription)) != nil || setID(order, b.Text(r.Order)) != nil || setID(reference, b.Text(r.Reference)) != nil {
		return false
	}
	kind := &p.columns[columnChargeType]
	if p.rate.types[r.Type] == 0 {
		if kind.setText(invoice.ChargeTypes[r.Type]) != nil {
			return false
		}
		p.rate.types[r.Type] = kind.index + 1
	}
	kind.index = p.rate.types[r.Type] - 1
	kind.repeat()
	adjustment.repeat()
	reason.repeat()
	subscription.repeat()
	order.repeat()
	reference.repeat()
	p.addShared()
	return true
}

// makeRoom makes room for n more rows. Twice as much as there was is allocated
// at once: by itself a long slice grows by a quarter only.
func (p *Parquet) makeRoom(n int) {
	p.accounts.rows, p.items.rows = room(p.accounts.rows, n), room(p.items.rows, n)
	for i := range p.columns {
		switch c := &p.columns[i]; {
		case c.sharedBy != nil:
		case c.id:
			c.ids.rows, c.ids.starts = room(c.ids.rows, n), room(c.ids.starts, n)
		case c.text != nil:
			c.indexes = room(c.indexes, n)
		default:
			c.values = room(c.values, n)
			if c.optional() {
				c.defined = room(c.defined, n)
			}
		}
	}
}

// room returns the slice with room for n more.
func room[T any](s []T, n int) []T {
	if cap(s)-len(s) >= n {
		return s
	}
	return slices.Grow(s, len(s)+n)
}

// appendRows appends a value of each row.
func (p *parquetColumn) appendRows(rows []invoice.Row, value func(*invoice.Row) int64) {
	values := p.values
	if p.date == nil {
		for i := range rows {
			values = append(values, value(&rows[i]))
		}
		p.values = values
		return
	}
	all := len(p.defined)
	p.defined = p.defined[:all+len(rows)]
	defined := p.defined[all:]
	for i := range rows {
		v := value(&rows[i])
		defined[i] = 0
		if v != int64(pricing.NoDate) {
			values = append(values, v)
			defined[i] = 1
		}
	}
	p.values = values
}

// repeatTimes appends the current value as n more rows.
func (p *parquetColumn) repeatTimes(n int) {
	for range n {
		p.repeat()
	}
}
