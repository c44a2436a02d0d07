// Package change is the vocabulary of what happened to a customer's
// subscriptions: typed changes as CloudEvents carry them, their identity and
// their order. It knows neither prices nor invoices.
package change

import (
	"cmp"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// Type is a CloudEvents type. A type outside the list below is kept as it
// came: billing refuses it by name.
type Type string

// The types of changes.
const (
	Purchased          Type = "subscription.purchased"
	QuantityChanged    Type = "subscription.quantityChanged"
	Canceled           Type = "subscription.canceled"
	Upgraded           Type = "subscription.upgraded"
	TrialConverted     Type = "subscription.trialConverted"
	BillingPlanChanged Type = "subscription.billingPlanChanged"
	RenewalChanged     Type = "subscription.renewalChanged"
	NextTermScheduled  Type = "subscription.nextTermScheduled"
	NextTermCleared    Type = "subscription.nextTermCleared"
	Suspended          Type = "subscription.suspended"
	Reactivated        Type = "subscription.reactivated"
	Overridden         Type = "change.overridden"
	CustomerCredited   Type = "customer.credited"
)

// Change is one thing that happened to one customer. Fields that its type does
// not use are zero. Text stands as it came, but for SkuIds, which have four places.
type Change struct {
	ID         string // the idempotency key, looked up within the customer
	Source     string
	Type       Type
	At         pricing.Instant
	Subject    string // the subscription; the customer for a credit
	CustomerID string
	// Override is the reason why a closed window is lifted for this change.
	Override string

	// What is bought, or upgraded or converted to (productId or toProductId).
	SKU            pricing.SKU
	TermDuration   string
	BillingCycle   string
	PromotionID    string
	Quantity       *int64 // nil: not given
	OrderID        string
	AvailabilityID string
	ParentID       string // parentSubscriptionId: an add-on
	ToSubscription string // toSubscriptionId
	IsTrial        bool
	AutoRenew      *bool        // nil: not given
	CustomTermEnd  pricing.Date // NoDate: none

	// UnitPrice (whole term) and Currency of a purchase; Amount of a credit.
	UnitPrice *decimal.Decimal
	Amount    *decimal.Decimal
	Currency  string
	// SubscriptionID is the one that a credit is for, if any.
	SubscriptionID string
	// Reason of a credit or an override; EventID names the overridden change.
	Reason  string
	EventID string

	// NextTerm is nil when nothing was given, and empty when it was {} or null.
	NextTerm *NextTerm

	// Defect says what is wrong with a value that could be read but cannot be
	// kept, such as a quantity of 2.5; billing refuses the change with it.
	Defect string

	// Content is the SHA-256 of the change's canonical JSON, its source left
	// out: equal for equal contents, whatever file, format or key order brought them.
	Content [32]byte
	// Taken says where the ledger took it in. Its order decides which of two
	// contents of one id stands, and nothing else.
	Taken Position
}

// NextTerm is scheduledNextTermInstructions: what the next term shall be. A
// zero field leaves the current one's.
type NextTerm struct {
	SKU            pricing.SKU
	TermDuration   string
	BillingCycle   string
	AvailabilityID string
	PromotionID    string
	Quantity       *int64
	CustomTermEnd  pricing.Date // NoDate: none
}

// Empty reports whether the instructions ask for nothing.
func (n NextTerm) Empty() bool { return n == NextTerm{CustomTermEnd: pricing.NoDate} }

// Position is a place in the ledger: the input's number and the record in it.
type Position struct {
	Input  int64 // 1 for the first input taken in
	Record int64 // line of a text file, row of a table; 1 for the first
}

// Before reports whether p was taken in before q.
func (p Position) Before(q Position) bool {
	return p.Input < q.Input || p.Input == q.Input && p.Record < q.Record
}

// Compare orders changes as they are applied: by customer, time and id (both
// ids by bytes), then by arrival.
func Compare(a, b *Change) int {
	if c := strings.Compare(a.CustomerID, b.CustomerID); c != 0 {
		return c
	}
	if c := cmp.Compare(a.At, b.At); c != 0 {
		return c
	}
	if c := strings.Compare(a.ID, b.ID); c != 0 {
		return c
	}
	if a.Taken == b.Taken {
		return 0
	}
	if a.Taken.Before(b.Taken) {
		return -1
	}
	return 1
}
