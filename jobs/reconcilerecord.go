package jobs

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pricing"
)

// Microsoft's lines arrive in any order and are sorted by customer before they
// are compared. Here is the form that they have in between: it is never kept.

// billedRecord is a line of theirs before its month is known: that is its
// document's, which shows when the file was read to its end.
type billedRecord struct {
	line     *invoice.Line
	file     int // in the order of the files
	document int // of the file
	row      int64
	lacks    reconcile.Fields
	legacy   bool
	extra    map[string]string
	refused  string // why the line could not be read, or ""
}

// sortKey appends what records are sorted by. Ids hold no control characters.
func (r *billedRecord) sortKey(dst []byte) []byte {
	for _, id := range [...]string{r.line.Account.PartnerID, r.line.Account.CustomerID, r.line.SubscriptionID} {
		dst = append(append(dst, id...), 0)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.file))
	return binary.BigEndian.AppendUint64(dst, uint64(r.row))
}

// texts, days and numbers list the fields of a line, for writing and reading.
func texts(l *invoice.Line) [31]*string {
	a, i := l.Account, l.Item
	return [...]*string{
		&a.PartnerID, &a.MpnID, &a.CustomerID, &a.CustomerName, &a.CustomerDomainName, &a.CustomerCountry, &a.ResellerMpnID,
		&i.ProductID, &i.SkuID, &i.AvailabilityID, &i.SkuName, &i.ProductName, &i.PublisherName, &i.PublisherID, &i.SubscriptionDescription,
		&i.TermAndBillingCycle, &i.UnitType, &i.AlternateID, &i.BillingFrequency, &i.MeterDescription, &i.ReservationOrderID,
		&i.ProductQualifiers, &i.PromotionID,
		&l.InvoiceNumber, &l.SubscriptionID, &l.OrderID, &l.ChargeType, &l.PriceAdjustment, &l.CreditReasonCode, &l.ReferenceID, &l.PricingCurrency,
	}
}

func days(l *invoice.Line) [6]*pricing.Date {
	return [...]*pricing.Date{&l.OrderDate, &l.RateDate, &l.ChargeStart, &l.ChargeEnd, &l.TermStart, &l.TermEnd}
}

func numbers(l *invoice.Line) [5]*decimal.Decimal {
	return [...]*decimal.Decimal{&l.UnitPrice, &l.EffectiveUnitPrice, &l.Quantity, &l.BillableQuantity, &l.ExchangeRate}
}

func amounts(l *invoice.Line) [3]*int64 { return [...]*int64{&l.Subtotal, &l.TaxTotal, &l.Total} }

// encode appends the record.
func (r *billedRecord) encode(dst []byte) []byte {
	flags := uint64(r.lacks) << 1
	if r.legacy {
		flags |= 1
	}
	dst = binary.AppendUvarint(dst, flags)
	dst = binary.AppendUvarint(dst, uint64(r.file))
	dst = binary.AppendUvarint(dst, uint64(r.document))
	dst = binary.AppendUvarint(dst, uint64(r.row))
	dst = appendString(dst, r.line.Currency)
	for _, s := range texts(r.line) {
		dst = appendString(dst, *s)
	}
	for _, d := range days(r.line) {
		dst = binary.AppendVarint(dst, int64(*d))
	}
	for _, n := range numbers(r.line) {
		dst = appendDecimal(dst, *n)
	}
	for _, a := range amounts(r.line) {
		dst = binary.AppendVarint(dst, *a)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.extra)))
	if len(r.extra) > 0 {
		for _, name := range slices.Sorted(maps.Keys(r.extra)) {
			dst = appendString(appendString(dst, name), r.extra[name])
		}
	}
	return appendString(dst, r.refused)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendDecimal writes a number: its exponent and coefficient, or its text when
// it is longer than 18 digits.
func appendDecimal(dst []byte, d decimal.Decimal) []byte {
	if d.NumDigits() > 18 {
		return appendString(append(dst, 1), d.String())
	}
	dst = binary.AppendVarint(append(dst, 0), int64(d.Exponent()))
	return binary.AppendVarint(dst, d.CoefficientInt64())
}

// decodeBilled reads what encode wrote. All texts share one string.
func decodeBilled(value []byte) (billedRecord, error) {
	var own struct {
		invoice.Line
		account invoice.Account
		item    invoice.Item
	}
	line := &own.Line
	line.Account, line.Item = &own.account, &own.item
	d := decoder{b: value, s: string(value)}
	flags := d.uvarint()
	r := billedRecord{line: line, lacks: reconcile.Fields(flags >> 1), legacy: flags&1 != 0,
		file: int(d.uvarint()), document: int(d.uvarint()), row: int64(d.uvarint())}
	line.Currency = d.text()
	for _, s := range texts(line) {
		*s = d.text()
	}
	for _, day := range days(line) {
		*day = pricing.Date(d.varint())
	}
	for _, n := range numbers(line) {
		*n = d.decimal()
	}
	for _, a := range amounts(line) {
		*a = d.varint()
	}
	if n := d.uvarint(); n > 0 && !d.broken {
		r.extra = make(map[string]string)
		for range n {
			name := d.text()
			r.extra[name] = d.text()
		}
	}
	r.refused = d.text()
	if d.broken || len(d.b) > 0 {
		return r, errors.New("a sorted line is damaged")
	}
	return r, nil
}

// decoder reads a record from its start to its end.
type decoder struct {
	b      []byte
	s      string // the whole record
	broken bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	return step(d, v, n)
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	return step(d, v, n)
}

func step[T any](d *decoder, v T, n int) T {
	if n <= 0 {
		d.broken, d.b = true, nil
		var none T
		return none
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) text() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.broken, d.b = true, nil
		return ""
	}
	from := len(d.s) - len(d.b)
	d.b = d.b[n:]
	return d.s[from : from+int(n)]
}

func (d *decoder) decimal() decimal.Decimal {
	if d.uvarint() == 1 {
		long, err := decimal.NewFromString(d.text())
		d.broken = d.broken || err != nil
		return long
	}
	exponent := d.varint()
	return decimal.New(d.varint(), int32(exponent))
}
