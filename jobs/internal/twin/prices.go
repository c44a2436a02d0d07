package twin

import (
	"math/big"
	"strings"
	"time"
)

// lock is the price of a term: found once, at its start, and kept.
type lock struct {
	price                             *big.Rat // for the whole term, one licence
	currency                          string
	productTitle, skuTitle, publisher string // of the sheet row; blank where there is none
	promotion                         string // the promotion that applies, or blank
	discount                          *big.Rat
}

// parsedRow is a price row with its texts understood.
type parsedRow struct {
	PriceRow
	price *big.Rat
	start time.Time
	until time.Time // the first instant at which it is no longer valid
}

// priceKey is what a row is looked up by, but for market and currency.
type priceKey struct{ product, sku, term, plan, segment string }

// parsedSheet is the sheet of a market and month, ready for lookups.
type parsedSheet map[priceKey][]parsedRow

// padSku writes a SKU id with four places: 1 and 0001 are one SKU.
func padSku(sku string) string {
	for len(sku) < 4 {
		sku = "0" + sku
	}
	return sku
}

func segmentOrDefault(segment string) string {
	if segment == "" {
		return "Commercial"
	}
	return segment
}

// stampLayouts are the layouts of the dates seen in Microsoft's files.
var stampLayouts = []struct {
	layout string
	fine   time.Duration
}{
	{time.RFC3339Nano, time.Nanosecond},
	{"2006-01-02T15:04:05.9999999", time.Nanosecond},
	{"1/2/2006 3:04:05 PM", time.Nanosecond},
	{"1/2/2006 15:04:05", time.Nanosecond},
	{"1/2/2006 15:04", time.Minute},
	{"2006-01-02T15:04Z", time.Minute},
	{"2006-01-02 15:04", time.Minute},
	{"1/2/2006", 24 * time.Hour},
	{"2006-01-02", 24 * time.Hour},
}

// parseStamp reads a timestamp, and gives the first instant after it: of one
// given to the second that is a nanosecond later, of a day the next day.
func parseStamp(text string) (at, after time.Time, ok bool) {
	for _, l := range stampLayouts {
		if t, err := time.Parse(l.layout, text); err == nil {
			t = t.UTC()
			return t, t.Add(l.fine), true
		}
	}
	return time.Time{}, time.Time{}, false
}

// parseSheet understands a sheet. Rows that cannot be read do not occur: a sheet
// is taken whole or refused whole.
func parseSheet(s Sheet) parsedSheet {
	parsed := parsedSheet{}
	for _, row := range s.Rows {
		price, ok := rat(row.UnitPrice)
		start, _, okStart := parseStamp(row.Start)
		_, until, okEnd := parseStamp(row.End)
		if !ok || !okStart || !okEnd {
			panic("twin: unreadable price row " + row.ProductID + " " + row.UnitPrice + " " + row.Start + " " + row.End)
		}
		key := priceKey{row.ProductID, padSku(row.SkuID), row.Term, row.Plan, segmentOrDefault(row.Segment)}
		parsed[key] = append(parsed[key], parsedRow{row, price, start, until})
	}
	return parsed
}

// validRows are the licence prices of a key at an instant.
func (s parsedSheet) validRows(key priceKey, at time.Time) []parsedRow {
	var valid []parsedRow
	for _, row := range s[key] {
		tiered := row.TierMin != "" || row.TierMax != ""
		if !tiered && !at.Before(row.start) && at.Before(row.until) {
			valid = append(valid, row)
		}
	}
	return valid
}

// chooseCurrency picks the currency of a price: the billing currency, else USD,
// else the only one there is.
func chooseCurrency(rows []parsedRow, billing string) (string, bool) {
	offered := map[string]bool{}
	for _, row := range rows {
		offered[row.Currency] = true
	}
	if offered[billing] {
		return billing, true
	}
	if offered["USD"] {
		return "USD", true
	}
	if len(offered) == 1 {
		return rows[0].Currency, true
	}
	return "", false
}

// governing is the row that started first; false when two that did differ in price.
func governing(rows []parsedRow) (parsedRow, bool) {
	first := rows[0]
	for _, row := range rows {
		if row.start.Before(first.start) {
			first = row
		}
	}
	for _, row := range rows {
		if row.start.Equal(first.start) && row.price.Cmp(first.price) != 0 {
			return parsedRow{}, false
		}
	}
	return first, true
}

// find looks a price up in one sheet. The code is blank when there is one.
func (s parsedSheet) find(key priceKey, billing string, at time.Time) (*lock, string) {
	rows := s.validRows(key, at)
	if len(rows) == 0 {
		return nil, "PRICE_NOT_FOUND"
	}
	currency, ok := chooseCurrency(rows, billing)
	if !ok {
		return nil, "PRICE_AMBIGUOUS"
	}
	var inCurrency []parsedRow
	for _, row := range rows {
		if row.Currency == currency {
			inCurrency = append(inCurrency, row)
		}
	}
	row, ok := governing(inCurrency)
	if !ok {
		return nil, "PRICE_AMBIGUOUS"
	}
	return &lock{
		price: row.price, currency: currency, discount: new(big.Rat),
		productTitle: row.ProductTitle, skuTitle: row.SkuTitle, publisher: row.Publisher,
	}, ""
}

// want is what a term wants priced, and when and for whom.
type want struct {
	subscription string
	product, sku string
	term, plan   string
	at           time.Time
	month        Month  // whose exceptions a warning of this lookup stands in
	event        string // the change that wants it; blank for a renewal
}

// lookupKey identifies a lookup: what a closed month looked up stays found.
type lookupKey struct{ customer, subscription, product, sku, term, plan, at string }

// promotionKey identifies the decision on a promotion for a term.
type promotionKey struct {
	lookupKey
	promotion string
}

func (w *walk) key(want want) lookupKey {
	return lookupKey{w.customer, want.subscription, want.product, padSku(want.sku), want.term, want.plan, want.at.Format(time.RFC3339Nano)}
}

// price finds the price that a term locks: what was locked when a month was
// closed, else the newest sheet of the month, else the latest earlier one.
func (w *walk) price(want want) (*lock, string) {
	key := w.key(want)
	if stored, ok := w.books.locks[key]; ok {
		copied := stored
		return &copied, ""
	}
	month := DateOf(want.at).Month()
	customer, _ := w.books.customerAt(w.customer, month)
	partner, _ := w.books.partnerAt(customer.PartnerID, month)
	sheet, stale, ok := w.books.sheetFor(customer.Market, month)
	if stale {
		w.exceptions = append(w.exceptions, dated{want.month, Exception{Severity: "warning", Code: "PRICE_LIST_STALE", Message: customer.Market + " " + month.String()}})
	}
	if !ok {
		return nil, "PRICE_NOT_FOUND"
	}
	found, code := sheet.find(priceKey{want.product, padSku(want.sku), want.term, want.plan, segmentOrDefault(customer.Segment)}, partner.Currency, want.at)
	if code != "" {
		return nil, code
	}
	w.books.usedLocks[key] = *found
	return found, ""
}

// discount decides on a promotion for a term; false when it does not apply. Only
// the decision of a term that has a price is part of a lock.
func (w *walk) discount(id string, want want, priced bool) (*big.Rat, bool) {
	key := promotionKey{w.key(want), id}
	if stored, ok := w.books.discounts[key]; ok {
		return stored, stored.Sign() > 0
	}
	promotion, ok := w.books.promotions[id]
	found := new(big.Rat)
	if ok && promotion.fits(want) {
		found, _ = rat(promotion.Discount)
	}
	if priced {
		w.books.usedDiscounts[key] = found
	}
	return found, found.Sign() > 0
}

// fits says whether a promotion is for that product, SKU, term and plan, and the
// instant inside its dates.
func (p Promotion) fits(want want) bool {
	start, _, _ := parseStamp(p.Start)
	_, until, _ := parseStamp(p.End)
	return p.ProductID == want.product && padSku(p.SkuID) == padSku(want.sku) &&
		p.Term == want.term && p.Plan == want.plan &&
		!want.at.Before(start) && want.at.Before(until)
}

// isUUID says whether an id has the shape of a UUID.
func isUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i, c := range id {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", c) {
			return false
		}
	}
	return true
}
