package jobs

import (
	"context"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// QuotePlan says what might happen, and when.
type QuotePlan struct {
	// Type is [change.Purchased], [change.QuantityChanged], [change.Upgraded]
	// or [change.Canceled].
	Type change.Type
	At   pricing.Instant
	// CustomerID is the one that buys. For a change of a subscription it may be
	// left out: the subscription is then looked for.
	CustomerID     string
	SubscriptionID string
	// Stranger is the customer of a purchase when it is none of the ledger's.
	Stranger *Stranger

	// What is bought, or upgraded to.
	ProductID      string
	SkuID          string
	TermDuration   string
	BillingCycle   string
	PromotionID    string
	Quantity       *int64 // nil: not given
	CustomTermEnd  pricing.Date
	IsTrial        bool
	UnitPrice      *decimal.Decimal // own price of a purchase, whole term
	PriceCurrency  string           // of UnitPrice
	ToSubscription string
	// Override is the reason why a closed window shall not hold.
	Override string
}

// Stranger is a customer that the ledger does not have.
type Stranger struct {
	Market   string
	Segment  string
	Currency string // the billing currency
	TaxRate  decimal.Decimal
}

// QuoteResult says what a change would bill. Nothing of it is recorded.
type QuoteResult struct {
	Type           string `json:"type"`
	Time           string `json:"time"`
	CustomerID     string `json:"customerId,omitempty"`
	SubscriptionID string `json:"subscriptionId,omitempty"`
	Currency       string `json:"currency"`
	Month          string `json:"month"`
	// Refused says why the change would not be taken; nothing is billed then.
	Refused *Refusal `json:"refused,omitempty"`
	// Exceptions would come with the change, beside a refusal of itself.
	Exceptions []ExceptionEntry `json:"exceptions,omitempty"`
	// Lines would come to this month's invoice; Instead are those that it would
	// not have any more. ThisMonth is the difference.
	Lines     []LineFacts `json:"lines"`
	Instead   []LineFacts `json:"instead,omitempty"`
	ThisMonth Amounts     `json:"thisMonth"`
	// Next is what follows from next month on, a subscription each.
	Next  []Recurring `json:"next"`
	Notes []string    `json:"notes,omitempty"`
	// ReturnableUntil is the last instant at which what is bought can be taken
	// back.
	ReturnableUntil string `json:"returnableUntil,omitempty"`
}

// Open reports whether the change would leave something for a person to look at.
func (r QuoteResult) Open() bool {
	return r.Refused != nil || slices.ContainsFunc(r.Exceptions, func(x ExceptionEntry) bool { return x.Severity == string(invoice.Error) })
}

// Refusal says why a change is not taken.
type Refusal struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`
	Rule   string `json:"rule"`
}

// Amounts are sums of lines, decimal text.
type Amounts struct {
	Subtotal string `json:"subtotal"`
	TaxTotal string `json:"taxTotal"`
	Total    string `json:"total"`
}

// Recurring is what a subscription is charged after this month, to the end of
// its term.
type Recurring struct {
	SubscriptionID string `json:"subscriptionId"`
	TermStart      string `json:"termStart"`
	TermEnd        string `json:"termEnd"`
	// Cycles are those that start after this month; Sum adds them up. Before is
	// their sum without the change, absent where there would be none.
	Cycles []CycleCharge `json:"cycles"`
	Sum    Amounts       `json:"sum"`
	Before *Amounts      `json:"sumBefore,omitempty"`
	// Renewal is the first charge of the next term at the prices known now;
	// absent where the subscription would not renew. RenewalParked says why it
	// renews but has no price by then. RenewalBefore is that charge without the change.
	Renewal       *CycleCharge `json:"renewal,omitempty"`
	RenewalParked string       `json:"renewalParked,omitempty"`
	RenewalBefore *CycleCharge `json:"renewalBefore,omitempty"`
}

// CycleCharge is the charge of one cycle.
type CycleCharge struct {
	First      string `json:"first"`
	Last       string `json:"last"`
	ChargeType string `json:"chargeType"`
	Quantity   string `json:"quantity"`
	Amounts
}

// Quote says what a change would bill: it lives the customer's history with
// and without it and compares the lines. Nothing is recorded.
func (e Env) Quote(ctx context.Context, plan QuotePlan) (QuoteResult, error) {
	r, err := e.Read(ctx)
	if err == nil {
		var result QuoteResult
		if result, err = r.quote(ctx, plan); err == nil {
			return result, nil
		}
	}
	return QuoteResult{}, fmt.Errorf("quote %s: %w", quoteName(plan.Type), err)
}

func quoteName(t change.Type) string {
	switch t {
	case change.Purchased:
		return "purchase"
	case change.QuantityChanged:
		return "seats"
	case change.Upgraded:
		return "upgrade"
	case change.Canceled:
		return "cancel"
	default:
		return string(t)
	}
}

// quote is a cart of one change, told as one.
func (r *Reading) quote(ctx context.Context, plan QuotePlan) (QuoteResult, error) {
	c, err := r.quotedCustomer(ctx, plan)
	if err != nil {
		return QuoteResult{}, err
	}
	q, err := r.newQuotation(c, plan.Stranger, []*change.Change{plan.change(c)})
	if err != nil {
		return QuoteResult{}, err
	}
	q.asImported = true
	if err := q.run(ctx); err != nil {
		return QuoteResult{}, err
	}
	cart := q.result
	one := cart.Changes[0]
	return QuoteResult{
		Type: one.Type, Time: one.Time, CustomerID: cart.CustomerID, SubscriptionID: one.SubscriptionID, Currency: cart.Currency, Month: cart.Month,
		Refused: one.Refused, Exceptions: cart.Exceptions, Lines: cart.Lines, Instead: cart.Instead, ThisMonth: cart.ThisMonth,
		Next: cart.FromNextMonth, Notes: slices.Concat(q.books, one.Notes, cart.Notes), ReturnableUntil: one.ReturnableUntil,
	}, nil
}

// quotedCustomer finds whose change it is.
func (r *Reading) quotedCustomer(ctx context.Context, plan QuotePlan) (c invoice.Customer, err error) {
	switch {
	case plan.Stranger != nil:
		return invoice.Customer{ID: strangerID}, nil
	case plan.SubscriptionID != "" && plan.Type != change.Purchased:
		return r.env.ownerOf(ctx, r.at, plan.SubscriptionID, plan.CustomerID)
	case plan.CustomerID != "":
		return r.CustomerHistory(ctx, plan.CustomerID)
	default:
		return c, fmt.Errorf("%w: name the customer, or the market and currency of one", ErrUsage)
	}
}

// change is what the plan says might happen, under an id that nothing of the
// customer's has.
func (p QuotePlan) change(of invoice.Customer) *change.Change {
	taken := make(map[string]bool)
	for _, c := range of.Changes {
		taken[c.ID], taken[c.Subject], taken[c.ToSubscription] = true, true, true
	}
	unused := "quote"
	for taken[unused] {
		unused += "-"
	}
	c := &change.Change{
		ID: unused, Type: p.Type, At: p.At, Subject: p.SubscriptionID, CustomerID: of.ID, Override: p.Override,
		SKU: pricing.SKU{ProductID: p.ProductID}, TermDuration: p.TermDuration, BillingCycle: p.BillingCycle,
		PromotionID: p.PromotionID, Quantity: p.Quantity, ToSubscription: p.ToSubscription, IsTrial: p.IsTrial,
		CustomTermEnd: p.CustomTermEnd, UnitPrice: p.UnitPrice, Currency: p.PriceCurrency,
	}
	if p.SkuID != "" {
		c.SKU.SkuID = pricing.NormalSKU(p.SkuID)
	}
	if c.Subject == "" {
		c.Subject = unused
	}
	if p.Type == change.Upgraded && p.Quantity != nil && p.ToSubscription == "" {
		c.ToSubscription = unused // a part of the seats needs an id of its own
	}
	return c
}
