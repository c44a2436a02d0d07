package reconcile

import (
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// entry is a line of either side as the matching sees it.
type entry struct {
	line  *invoice.Line
	month pricing.Month
	here  bool // in the month that is reconciled
	ours  bool
	place int // among the lines of its side
	used  bool

	subscription string
	kind         string
	product      string
	quantity     decimal.Decimal // positive
	whole        int64           // the quantity, or
	parts        string          // what it is where it is not whole
	sign         int8            // of the amount; that of nothing is positive
	start, end   pricing.Date    // of the charge
	turned       bool            // the file has the end before the start
	// rated is set for licences, whose amount follows from a price and days.
	// Of all else, many lines differ in nothing but product and amount.
	rated bool
	// stated is set where line has the amount that its own columns give, not the billed one.
	stated bool
}

func newEntry(l *invoice.Line, month, reconciled pricing.Month, quantity decimal.Decimal, place int) entry {
	e := entry{
		line: l, month: month, here: month == reconciled, place: place,
		subscription: strings.ToLower(l.SubscriptionID), kind: kindOf(l.ChargeType),
		product:  l.Item.ProductID + "/" + l.Item.SkuID,
		quantity: quantity.Abs(), sign: 1, start: l.ChargeStart, end: l.ChargeEnd,
	}
	if e.start > e.end && e.end != pricing.NoDate && e.start != pricing.NoDate {
		e.start, e.end, e.turned = e.end, e.start, true
	}
	if e.quantity.IsInteger() && e.quantity.BigInt().IsInt64() {
		e.whole = e.quantity.IntPart()
	} else {
		e.parts = e.quantity.String()
	}
	if l.Subtotal < 0 || l.Subtotal == 0 && l.EffectiveUnitPrice.Sign()*quantity.Sign() < 0 {
		e.sign = -1
	}
	e.rated = licence[e.kind]
	if !e.rated {
		e.product += "/" + l.Item.MeterDescription
	}
	return e
}

// licence are the charge types whose amounts follow from a price and days.
var licence = map[string]bool{
	kindOf(subscription.New): true, kindOf(subscription.Renew): true, kindOf(subscription.CycleCharge): true,
	kindOf(subscription.AddQuantity): true, kindOf(subscription.RemoveQuantity): true, kindOf(subscription.MoveQuantity): true,
	kindOf(subscription.CancelImmediate): true, kindOf(subscription.Convert): true, kindOf(subscription.ChangeBillingPlan): true,
}

// legacyKinds are what the legacy licence file calls them.
var legacyKinds = map[string]string{
	"cycle fee":                                   subscription.CycleCharge,
	"new purchase cycle fee":                      subscription.New,
	"purchase fee":                                subscription.New,
	"prorate fees when purchase":                  subscription.New,
	"prorate fee when renew":                      subscription.Renew,
	"prorate fees when renew":                     subscription.Renew,
	"cancel fee":                                  subscription.CancelImmediate,
	"prorate fees when cancel":                    subscription.CancelImmediate,
	"prorate fees when convert to a new offering": subscription.Convert,
	"prorate fees when convert away from current offering": subscription.Convert,
	"cycle instance prorate":                               subscription.AddQuantity,
}

// kinds are the charge types as files mostly spell them.
var kinds = map[string]string{
	subscription.New: "new", subscription.Renew: "renew", subscription.CycleCharge: "cyclecharge",
	subscription.AddQuantity: "addquantity", subscription.RemoveQuantity: "removequantity", subscription.MoveQuantity: "movequantity",
	subscription.CancelImmediate: "cancelimmediate", subscription.Convert: "convert",
	subscription.ChangeBillingPlan: "changebillingplan", subscription.CustomerCredit: "customercredit",
}

// kindOf returns a charge type in one spelling.
func kindOf(chargeType string) string {
	if kind, ok := kinds[chargeType]; ok {
		return kind
	}
	kind := strings.ToLower(strings.TrimSpace(chargeType))
	if known, ok := legacyKinds[kind]; ok {
		return strings.ToLower(known)
	}
	return kind
}

// once reports whether a charge type comes once a cycle: a second line of the
// same dates is no second event.
func (e *entry) once() bool {
	return e.kind == kindOf(subscription.New) || e.kind == kindOf(subscription.Renew) || e.kind == kindOf(subscription.CycleCharge)
}

func (e *entry) credit() bool { return e.kind == kindOf(subscription.CustomerCredit) }

// signed is the quantity with the amount's sign.
func (e *entry) signed() decimal.Decimal {
	if e.sign < 0 {
		return e.quantity.Neg()
	}
	return e.quantity
}

// key is what two lines have in common. A step fills in what it asks for.
type key struct {
	subscription, kind, product, quantity, reference, currency string
	whole                                                      int64 // the quantity where it is whole
	sign                                                       int8
	start, end, order                                          pricing.Date
	month                                                      pricing.Month
	subtotal, tax, total                                       int64
	turned                                                     bool
}

// part is something that a key is made of.
type part uint16

const (
	bySubscription part = 1 << iota
	byKind
	byProduct
	byQuantity
	byReference
	byCurrency
	bySign
	byStart
	byEnd
	byOrder
	byMonth
	byAmount
)

// key returns the line's key of the parts. ok is false where the line does not
// have them.
func (e *entry) key(parts part) (k key, ok bool) {
	if parts&bySubscription != 0 {
		k.subscription = e.subscription
	}
	if parts&byKind != 0 {
		k.kind = e.kind
	}
	if parts&byProduct != 0 || !e.rated {
		k.product = e.product
	}
	if parts&byQuantity != 0 {
		k.whole, k.quantity = e.whole, e.parts
	}
	if parts&byReference != 0 {
		k.reference = strings.ToLower(e.line.ReferenceID)
		if k.reference == "" {
			return k, false
		}
	}
	if parts&byCurrency != 0 {
		k.currency = e.line.Currency
	}
	if parts&bySign != 0 {
		k.sign = e.sign
	}
	if parts&byStart != 0 {
		k.start = e.start
	}
	if parts&byEnd != 0 {
		k.end = e.end
	}
	if parts&byOrder != 0 {
		k.order = e.line.OrderDate
	}
	if parts&byMonth != 0 {
		k.month = e.month
	}
	if parts&byAmount != 0 {
		k.subtotal, k.tax, k.total, k.turned = e.line.Subtotal, e.line.TaxTotal, e.line.Total, e.turned
	}
	return k, true
}
