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

// rowRate is the rate whose values its columns hold, if known.
type rowRate struct {
	invoice.Rate
	known bool
}

// rowWords say where what rows have stands in the dictionaries of the open row group.
type rowWords struct {
	types              [len(invoice.ChargeTypes)]int32 // index + 1
	adjustment, reason int32                           // of no note
	blank              bool                            // those two are known
}

// appendRows appends rows to the open row group until one cannot be, and
// returns how many it took.
func (p *Parquet) appendRows(b *invoice.Block, rows []invoice.Row) int {
	if len(rows) == 0 || rows[0].Other >= 0 || !p.prepareRate(&b.Rates[rows[0].Rate]) {
		return 0
	}
	p.makeRoom(len(rows))
	n := 0
	var totals invoice.Totals
	for n < len(rows) && rows[n].Rate == rows[0].Rate && p.appendShared(b, &rows[n]) {
		r := &rows[n]
		totals.Merge(invoice.Totals{Lines: 1, Subtotal: r.Subtotal, TaxTotal: r.TaxTotal, Total: r.Total})
		n++
	}
	rows = rows[:n]
	p.totals.Merge(totals)
	p.columns[columnSubscriptionID].ids.appendRows(b, rows, func(r *invoice.Row) invoice.Text { return r.Subscription })
	p.columns[columnOrderID].ids.appendRows(b, rows, func(r *invoice.Row) invoice.Text { return r.Order })
	p.columns[columnReferenceID].ids.appendRows(b, rows, func(r *invoice.Row) invoice.Text { return r.Reference })
	for i := range rowValues {
		p.columns[rowValues[i].column].appendRows(rows, rowValues[i].value)
	}
	for _, i := range [...]int{columnInvoiceNumber, columnCurrency, columnPricingCurrency, columnExchangeRate} {
		p.columns[i].repeatTimes(n)
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
	p.rate = rowRate{*rate, true}
	return true
}

// maxRowID bounds the ids of a row that is written without its line, so that
// those of a row group are within [maxDictionary].
const maxRowID = maxDictionary/parquetGroup - 4

// appendShared appends the columns of one row that lines share, and reports
// whether the row can be written without its line.
func (p *Parquet) appendShared(b *invoice.Block, r *invoice.Row) bool {
	const limit = 1_000_000_000_000_000_000 // 10^maxDigits
	if r.Other >= 0 || b.Accounts[r.Account] == nil ||
		r.Subtotal >= limit || r.Subtotal <= -limit || r.TaxTotal >= limit || r.TaxTotal <= -limit || r.Total >= limit || r.Total <= -limit ||
		r.Quantity >= limit/quantityUnit || r.Quantity <= -limit/quantityUnit ||
		!plainID(b, r.Subscription) || !plainID(b, r.Order) || !plainID(b, r.Reference) {
		return false
	}
	number := p.items.placed.at(b.Shared, r.Item, len(b.Items))
	if *number == 0 || b.Accounts[r.Account] != p.accounts.last {
		if p.prepare(b.Accounts[r.Account], b.Items[r.Item]) != nil {
			return false
		}
		*number = p.items.number + 1
	}
	adjustment, reason, kind := &p.columns[columnPriceAdjustment], &p.columns[columnCreditReasonCode], &p.columns[columnChargeType]
	switch {
	case r.Note >= 0:
		note := &b.Notes[r.Note]
		if adjustment.setText(note.PriceAdjustment) != nil || reason.setText(note.CreditReasonCode) != nil {
			return false
		}
	case !p.words.blank:
		if adjustment.setText("") != nil || reason.setText("") != nil {
			return false
		}
		p.words.adjustment, p.words.reason, p.words.blank = adjustment.index, reason.index, true
	default:
		adjustment.index, reason.index = p.words.adjustment, p.words.reason
	}
	if p.words.types[r.Type] == 0 {
		if kind.setText(invoice.ChargeTypes[r.Type]) != nil {
			return false
		}
		p.words.types[r.Type] = kind.index + 1
	}
	kind.indexes = append(kind.indexes, p.words.types[r.Type]-1)
	adjustment.indexes = append(adjustment.indexes, adjustment.index)
	reason.indexes = append(reason.indexes, reason.index)
	p.accounts.rows = append(p.accounts.rows, p.accounts.number)
	p.items.rows = append(p.items.rows, *number-1)
	return true
}

// plainID reports whether an id can be written without a closer look.
func plainID(b *invoice.Block, id invoice.Text) bool {
	return id.Len <= maxRowID && plainText(b.Text(id))
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
