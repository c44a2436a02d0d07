package subscription

import (
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pricing"
)

// Charge types, as reconciliation files spell them.
const (
	New               = "new"
	Renew             = "renew"
	CycleCharge       = "cycleCharge"
	AddQuantity       = "addQuantity"
	RemoveQuantity    = "removeQuantity"
	MoveQuantity      = "moveQuantity"
	CancelImmediate   = "cancelImmediate"
	Convert           = "convert"
	ChangeBillingPlan = "changeBillingPlan"
	CustomerCredit    = "customerCredit"
)

// Charge is what one event asks for, before any amount: a line is made of it
// with the tax and exchange rates of its month.
type Charge struct {
	Type     string
	Term     *Term // nil for a credit
	Quantity int64
	Credit   bool // a minus line

	OrderDate pricing.Date
	Start     pricing.Date // ChargeStartDate; the last day is the cycle's
	Cycle     pricing.Cycle

	// Change is the event; nil for cycle charges and renewals.
	Change *change.Change
	// Note is the reason of an override that lifted a window.
	Note string
	// SubscriptionID and Amount are a credit's.
	SubscriptionID string
	Amount         decimal.Decimal
}

// Term is one term of a subscription under one plan and price: what all its
// lines share. It never changes once made.
type Term struct {
	SubscriptionID string
	OrderID        string
	AvailabilityID string
	AddOn          bool
	SKU            pricing.SKU
	Span           pricing.TermSpan
	Plan           pricing.Plan
	Lock           *Lock // nil while parked
}

// Lock is the price that a term keeps, with its proof.
type Lock struct {
	UnitPrice decimal.Decimal // list price, whole term
	Currency  string
	// PromotionID and Discount are set where a promotion was applied.
	PromotionID string
	Discount    decimal.Decimal

	ProductTitle string
	SkuTitle     string
	Publisher    string

	// Source says which row it came from; SHA256 is "" for a purchase's own
	// price and for a trial, which have no names either.
	Source Source
	// Asked is the promotion that was asked for when PromotionID was decided.
	Asked string
}

// Source is a row of a price sheet.
type Source struct {
	Market string
	Month  pricing.Month
	File   string
	SHA256 string
	Line   int
}

// LockKey identifies a lookup: the same key is the same question, so a lock
// that a closed month used answers it ever after.
type LockKey struct {
	SubscriptionID string
	At             pricing.Instant
	SKU            pricing.SKU
	Term           pricing.Term
	Plan           pricing.Plan
}

// Exception is a refusal, a parked term or a warning. It stands in the
// exceptions of every month From..To.
type Exception struct {
	Warning        bool
	Code           pricing.Code
	SubscriptionID string
	EventID        string
	Message        string
	From, To       pricing.Month
}

// Payer is who pays for a customer in a month, and by which policies.
type Payer struct {
	Partner  party.Partner
	Customer party.Customer
	Policies Policies
}

// Policies are the named choices of a partner.
type Policies struct {
	Rounding pricing.Rounding
	MonthEnd pricing.MonthEnd
	// Trust takes changes although a window is closed: what the source
	// reports has happened. It is billed with a warning.
	Trust bool
}

// World is all that a customer's life depends on besides its changes.
type World interface {
	Facts
	// Lock returns what a closed month used for the lookup.
	Lock(key LockKey) (Lock, bool)
}

// Facts are what is known of all customers alike. Answers must not depend on
// the order of questions.
type Facts interface {
	pricing.Book
	// Payer returns the customer's payer in a month, else UNKNOWN_CUSTOMER,
	// or UNKNOWN_PARTNER with the id that the customer names.
	Payer(customerID string, month pricing.Month) (*Payer, pricing.Code)
	// Promotions returns what is known under the id.
	Promotions(id string) []pricing.Promotion
	// Offer returns the offer matrix's row, empty where there is none. loaded
	// is false without any matrix.
	Offer(sku pricing.SKU, month pricing.Month) (offer pricing.Offer, loaded bool)
}

// Sink takes what a life yields, in the order in which the rules produce it
// within each subscription and day.
type Sink interface {
	Charge(Charge)
	Exception(Exception)
	// StaleSheet reports that an event of a month asked for a sheet that an
	// earlier one answered.
	StaleSheet(event pricing.Month, stale StaleSheet)
	// Locked reports a lock that was looked up, not remembered.
	Locked(LockKey, Lock)
}

// StaleSheet is a month of a market without a price sheet of its own, and the
// month whose sheet governs instead.
type StaleSheet struct {
	Market         string
	Month, Governs pricing.Month
}

// Count says where a customer's subscriptions stand at the end of a month.
type Count struct {
	Billed, Parked, Ended int
}

// Add adds another customer's.
func (c *Count) Add(o Count) {
	c.Billed += o.Billed
	c.Parked += o.Parked
	c.Ended += o.Ended
}
