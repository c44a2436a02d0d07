package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// field is a field of a change that has a meaning.
type field uint8

// The fields, in the order in which the content hash takes them: to reorder or
// to insert is to change every hash.
const (
	fID field = iota
	fSource
	fType
	fTime
	fSubject
	fOverride
	fCustomerID // the first that stands in data
	fProductID
	fSkuID
	fToProductID
	fToSkuID
	fTermDuration
	fBillingCycle
	fQuantity
	fOrderID
	fAvailabilityID
	fAutoRenew
	fCustomTermEnd
	fPromotionID
	fIsTrial
	fParentID
	fUnitPrice
	fCurrency
	fToSubscription
	fEventID
	fReason
	fAmount
	fSubscriptionID
	fNext // scheduledNextTermInstructions: given at all
	fNextProductID
	fNextSkuID
	fNextAvailabilityID
	fNextBillingCycle
	fNextTermDuration
	fNextPromotionID
	fNextQuantity
	fNextCustomTermEnd
	numFields
	fIgnored // specversion and its like
	fUnknown
)

const next = "scheduledNextTermInstructions"

var fieldNames = [numFields]string{
	"id", "source", "type", "time", "subject", "override",
	"customerId", "productId", "skuId", "toProductId", "toSkuId", "termDuration", "billingCycle", "quantity",
	"orderId", "availabilityId", "autoRenewEnabled", "customTermEndDate", "promotionId", "isTrial",
	"parentSubscriptionId", "unitPrice", "currency", "toSubscriptionId", "eventId", "reason", "amount", "subscriptionId",
	next, next + ".product.productId", next + ".product.skuId", next + ".product.availabilityId", next + ".product.billingCycle",
	next + ".product.termDuration", next + ".product.promotionId", next + ".quantity", next + ".customTermEndDate",
}

// envelopeField finds a field that stands beside data.
func envelopeField(key []byte) field {
	switch string(key) {
	case "id":
		return fID
	case "source":
		return fSource
	case "type":
		return fType
	case "time":
		return fTime
	case "subject":
		return fSubject
	case "override":
		return fOverride
	case "specversion", "datacontenttype", "dataschema":
		return fIgnored
	}
	return dataField(key)
}

// dataField finds a field that stands in data.
func dataField(key []byte) field {
	switch string(key) {
	case "customerId":
		return fCustomerID
	case "productId":
		return fProductID
	case "skuId":
		return fSkuID
	case "toProductId":
		return fToProductID
	case "toSkuId":
		return fToSkuID
	case "termDuration":
		return fTermDuration
	case "billingCycle":
		return fBillingCycle
	case "quantity":
		return fQuantity
	case "orderId":
		return fOrderID
	case "availabilityId":
		return fAvailabilityID
	case "autoRenewEnabled":
		return fAutoRenew
	case "customTermEndDate":
		return fCustomTermEnd
	case "promotionId":
		return fPromotionID
	case "isTrial":
		return fIsTrial
	case "parentSubscriptionId":
		return fParentID
	case "unitPrice":
		return fUnitPrice
	case "currency":
		return fCurrency
	case "toSubscriptionId":
		return fToSubscription
	case "eventId":
		return fEventID
	case "reason":
		return fReason
	case "amount":
		return fAmount
	case "subscriptionId":
		return fSubscriptionID
	case next:
		return fNext
	}
	return fUnknown
}

// nextProductField finds a field of scheduledNextTermInstructions.product.
func nextProductField(key []byte) field {
	switch string(key) {
	case "productId":
		return fNextProductID
	case "skuId":
		return fNextSkuID
	case "availabilityId":
		return fNextAvailabilityID
	case "billingCycle":
		return fNextBillingCycle
	case "termDuration":
		return fNextTermDuration
	case "promotionId":
		return fNextPromotionID
	}
	return fUnknown
}

// record is a change before its fields are read: what JSON, CSV and Parquet
// have in common, so that one piece of code gives all three their meaning.
type record struct {
	values  [numFields]value
	unknown []unknownField
	err     *table.Error // found while the fields were collected
	defect  string       // see change.Change

	hashed []byte
	own    strings.Builder // text that no other record has, of many
	text   table.Interner
	last   [numFields]string // shared text of the record before
}

// unknownField is one without a meaning here. It counts for the content only.
type unknownField struct {
	name  string
	depth int // 0 beside data, 1 in it, 2 in scheduledNextTermInstructions
	value value
}

func (r *record) reset() {
	r.values = [numFields]value{}
	r.unknown = r.unknown[:0]
	r.err = nil
}

func (r *record) clearNext() {
	for f := fNext; f < numFields; f++ {
		r.values[f] = value{}
	}
	r.unknown = slices.DeleteFunc(r.unknown, func(u unknownField) bool { return u.depth == 2 })
}

// addUnknown keeps the last value of a name.
func (r *record) addUnknown(name string, depth int, v value) {
	for i := range r.unknown {
		if r.unknown[i].name == name && r.unknown[i].depth == depth {
			r.unknown[i].value = v
			return
		}
	}
	r.unknown = append(r.unknown, unknownField{name, depth, v})
}

func (r *record) fail(column string, v []byte, rule string) {
	if r.err == nil {
		r.err = table.NewError(0, column, v, rule)
	}
}

// Rules of a change's fields.
const (
	ruleID       = "every change has an id"
	ruleType     = "every change has a type"
	ruleTimeless = "every change has a time"
	ruleCustomer = "every change names its customer"
	ruleText     = "want text"
	ruleWhole    = "want a whole number"
	ruleBool     = "want true or false"
	ruleTime     = "want RFC 3339 with Z or an offset, such as 2026-10-05T09:30:00Z"
	ruleDay      = "want a date such as 2026-10-31"
	ruleObject   = "want a JSON object"
	ruleFloat    = "is a binary floating-point number: want DECIMAL, an integer or text"
	ruleTwice    = "is given as JSON and as columns of its own"
)

// blank reports whether a value counts as absent.
func (v value) blank() bool {
	if len(v.text) > 0 && v.kind == text && ' ' < v.text[0] && v.text[0] < utf8.RuneSelf {
		return false // as nearly always
	}
	return v.kind == absent || v.kind == null || v.kind == text && len(bytes.TrimSpace(v.text)) == 0
}

// build reads the fields into c, or says why the record cannot be understood.
func (r *record) build(c *change.Change) *table.Error {
	*c = change.Change{CustomTermEnd: pricing.NoDate}
	r.defect = ""
	if r.err != nil {
		return r.err
	}
	for f, rule := range [...]string{fID: ruleID, fType: ruleType, fTime: ruleTimeless, fCustomerID: ruleCustomer} {
		if rule != "" && r.values[f].blank() {
			return table.NewError(0, fieldNames[f], nil, rule)
		}
	}
	r.hashed = r.hashed[:0]
	c.ID = r.ownText(fID)
	c.Source = r.source()
	c.Type = change.Type(r.sharedText(fType))
	c.At = r.instant()
	c.Subject = r.ownText(fSubject)
	c.Override = r.ownText(fOverride)
	c.CustomerID = r.sharedText(fCustomerID)
	productID, skuID := r.sharedText(fProductID), r.skuID(fSkuID)
	toProductID, toSkuID := r.sharedText(fToProductID), r.skuID(fToSkuID)
	if c.Type == change.Upgraded || c.Type == change.TrialConverted {
		productID, skuID = toProductID, toSkuID
	}
	c.SKU = pricing.SKU{ProductID: productID, SkuID: skuID}
	c.TermDuration = r.sharedText(fTermDuration)
	c.BillingCycle = r.sharedText(fBillingCycle)
	c.Quantity = r.whole(fQuantity)
	c.OrderID = r.ownText(fOrderID)
	c.AvailabilityID = r.sharedText(fAvailabilityID)
	c.AutoRenew = r.flag(fAutoRenew)
	c.CustomTermEnd = r.date(fCustomTermEnd)
	c.PromotionID = r.sharedText(fPromotionID)
	c.IsTrial = r.isTrial()
	c.ParentID = r.ownText(fParentID)
	c.UnitPrice = r.decimal(fUnitPrice)
	c.Currency = r.sharedText(fCurrency)
	c.ToSubscription = r.ownText(fToSubscription)
	c.EventID = r.ownText(fEventID)
	c.Reason = r.ownText(fReason)
	c.Amount = r.decimal(fAmount)
	c.SubscriptionID = r.ownText(fSubscriptionID)
	if r.values[fNext].kind != absent {
		r.hash(fNext, nil)
		c.NextTerm = &change.NextTerm{
			SKU:            pricing.SKU{ProductID: r.sharedText(fNextProductID), SkuID: r.skuID(fNextSkuID)},
			AvailabilityID: r.sharedText(fNextAvailabilityID),
			BillingCycle:   r.sharedText(fNextBillingCycle),
			TermDuration:   r.sharedText(fNextTermDuration),
			PromotionID:    r.sharedText(fNextPromotionID),
			Quantity:       r.whole(fNextQuantity),
			CustomTermEnd:  r.date(fNextCustomTermEnd),
		}
	}
	if r.err != nil {
		return r.err
	}
	r.hashUnknown()
	c.Defect = r.defect
	c.Content = sha256.Sum256(r.hashed)
	return nil
}

// hash adds a field in its canonical form to the content.
func (r *record) hash(f field, canonical []byte) {
	r.hashed = appendText(append(r.hashed, byte(f)), canonical)
}

// hashUnknown adds what has no meaning here, in the order of its names.
func (r *record) hashUnknown() {
	if len(r.unknown) == 0 {
		return
	}
	slices.SortFunc(r.unknown, func(a, b unknownField) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return a.depth - b.depth
	})
	for _, u := range r.unknown {
		if !u.value.blank() {
			r.hashed = appendText(append(r.hashed, byte(numFields)), []byte(u.name))
			r.hashed = appendCanonical(r.hashed, u.value)
		}
	}
}

// given returns the characters of a field of one of two kinds, nil when it is absent.
func (r *record) given(f field, other kind, rule string) []byte {
	v := r.values[f]
	switch {
	case v.blank():
		return nil
	case v.kind == text || v.kind == other:
		return v.text
	case v.kind == floating:
		r.fail(fieldNames[f], v.text, ruleFloat)
	default:
		r.fail(fieldNames[f], v.text, rule)
	}
	return nil
}

func (r *record) characters(f field) []byte {
	s := r.given(f, text, ruleText)
	if s != nil {
		r.hash(f, s)
	}
	return s
}

// ownText is text that few changes share: an id, a reason.
func (r *record) ownText(f field) string {
	s := r.characters(f)
	if len(s) == 0 || len(s) > ownTexts/16 {
		return string(s)
	}
	if r.own.Cap()-r.own.Len() < len(s) {
		r.own = strings.Builder{}
		r.own.Grow(ownTexts)
	}
	from := r.own.Len()
	r.own.Write(s)
	return r.own.String()[from:]
}

// ownTexts is how many bytes of such text are allocated at once. They are held
// as long as one of the changes is, which are put away together.
const ownTexts = 16 << 10

// sharedText is text that many changes share: it is kept once.
func (r *record) sharedText(f field) string { return r.shared(f, r.characters(f)) }

// shared keeps a text once. Often it is that of the record before.
func (r *record) shared(f field, s []byte) string {
	if string(s) != r.last[f] {
		r.last[f] = r.text.String(s)
	}
	return r.last[f]
}

// skuID reads a SkuId in four places. Tables that guess types make it an integer.
func (r *record) skuID(f field) string {
	s := r.given(f, number, ruleText)
	if s == nil {
		return ""
	}
	if r.values[f].kind == number {
		if n, ok := table.Whole(s); !ok || n < 0 {
			r.fail(fieldNames[f], s, ruleText)
			return ""
		}
	}
	if len(s) < 4 {
		s = []byte(pricing.NormalSKU(string(s)))
	}
	r.hash(f, s)
	return r.shared(f, s)
}

func (r *record) instant() pricing.Instant {
	s := r.given(fTime, text, ruleTime)
	if s == nil {
		return 0
	}
	stamp, ok := table.Time(s)
	if !ok || !stamp.Offset || !stamp.ISO || stamp.Precision != table.ToTick {
		r.fail(fieldNames[fTime], s, ruleTime)
		return 0
	}
	var ticks [8]byte
	binary.BigEndian.PutUint64(ticks[:], uint64(stamp.At))
	r.hash(fTime, ticks[:])
	return stamp.At
}

func (r *record) whole(f field) *int64 {
	var s []byte
	if v := r.values[f]; v.kind == floating {
		s = v.text // a column of integers with gaps, as some tools write it
	} else {
		s = bytes.TrimSpace(r.given(f, number, ruleWhole))
	}
	if len(s) == 0 {
		return nil
	}
	n, ok := table.Whole(s)
	if !ok {
		d, valid := table.Number(s)
		if valid && (d.Exponent() != 0 || d.NumDigits() > 18) {
			// A number that no seats can have is understood: billing refuses it.
			r.defect = fieldNames[f] + " " + d.String() + ": " + ruleWhole
			r.hash(f, []byte(d.String()))
			return nil
		}
		if ok = valid; ok {
			n = d.IntPart()
		}
	}
	if !ok {
		r.fail(fieldNames[f], s, ruleWhole)
		return nil
	}
	var canonical [8]byte
	binary.BigEndian.PutUint64(canonical[:], uint64(n))
	r.hash(f, canonical[:])
	return &n
}

func (r *record) decimal(f field) *decimal.Decimal {
	s := bytes.TrimSpace(r.given(f, number, table.RuleDecimal))
	if len(s) == 0 {
		return nil
	}
	d, ok := table.Number(s)
	if !ok {
		r.fail(fieldNames[f], s, table.RuleDecimal)
		return nil
	}
	r.hash(f, []byte(d.String()))
	return &d
}

// source is where a change came from: no part of what happened, and tables
// often leave it out, so it does not count for the content.
func (r *record) source() string { return r.shared(fSource, r.given(fSource, text, ruleText)) }

// isTrial reads a flag that is the same left out as false, for the content too.
func (r *record) isTrial() bool {
	trial := r.parseFlag(fIsTrial)
	if trial == nil || !*trial {
		return false
	}
	r.hash(fIsTrial, []byte{1})
	return true
}

func (r *record) flag(f field) *bool {
	yes := r.parseFlag(f)
	if yes == nil {
		return nil
	}
	canonical := []byte{0}
	if *yes {
		canonical[0] = 1
	}
	r.hash(f, canonical)
	return yes
}

func (r *record) parseFlag(f field) *bool {
	s := bytes.TrimSpace(r.given(f, boolean, ruleBool))
	if len(s) == 0 {
		return nil
	}
	yes := table.EqualFold(s, "true")
	if !yes && !table.EqualFold(s, "false") {
		r.fail(fieldNames[f], s, ruleBool)
		return nil
	}
	return &yes
}

// date reads a day, or the UTC day of a timestamp.
func (r *record) date(f field) pricing.Date {
	s := bytes.TrimSpace(r.given(f, text, ruleDay))
	if len(s) == 0 {
		return pricing.NoDate
	}
	stamp, ok := table.Time(s)
	if !ok || s[4] != '-' {
		r.fail(fieldNames[f], s, ruleDay)
		return pricing.NoDate
	}
	day := stamp.At.Date()
	var canonical [8]byte
	binary.BigEndian.PutUint64(canonical[:], uint64(day))
	r.hash(f, canonical[:])
	return day
}
