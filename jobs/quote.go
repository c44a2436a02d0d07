package jobs

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
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
	// renews but has no price by then.
	Renewal       *CycleCharge `json:"renewal,omitempty"`
	RenewalParked string       `json:"renewalParked,omitempty"`
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
	q, err := e.newQuotation(ctx, plan)
	if err != nil {
		return QuoteResult{}, fmt.Errorf("quote %s: %w", quoteName(plan.Type), err)
	}
	if err := q.run(ctx); err != nil {
		return QuoteResult{}, fmt.Errorf("quote %s: %w", quoteName(plan.Type), err)
	}
	return q.result, nil
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

// quotation is a quote in the making.
type quotation struct {
	plan   QuotePlan
	world  *quoteWorld
	change *change.Change
	// without and with are the customer's history.
	without, with invoice.Customer
	month         pricing.Month
	digits        int
	result        QuoteResult
}

// newQuotation finds the customer and makes the change.
func (e Env) newQuotation(ctx context.Context, plan QuotePlan) (*quotation, error) {
	at, err := e.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	catalog, err := e.ledger().Load(ctx, at.inputs, at.closes, nil, e.Policies)
	if err != nil {
		return nil, err
	}
	q := &quotation{plan: plan, month: plan.At.Date().Month(), world: &quoteWorld{World: catalog, borrowed: make(map[string]pricing.Month)}}
	switch {
	case plan.Stranger != nil:
		q.without.ID = strangerID
		q.world.stranger = plan.Stranger.payer(e.Policies(""))
	case plan.SubscriptionID != "" && plan.Type != change.Purchased:
		if q.without, err = e.ownerOf(ctx, at, plan.SubscriptionID, plan.CustomerID); err != nil {
			return nil, err
		}
	case plan.CustomerID != "":
		if q.without, err = e.historyOf(ctx, at, plan.CustomerID); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%w: name the customer, or the market and currency of one", ErrUsage)
	}
	payer, code := q.world.Payer(q.without.ID, q.month)
	if code == pricing.UnknownCustomer {
		return nil, fmt.Errorf("%w: customer %s was not taken in", ErrMissing, q.without.ID)
	}
	if payer != nil {
		q.result.Currency = payer.Partner.BillingCurrency
		q.digits, _ = pricing.MinorDigits(q.result.Currency)
	}
	q.hypothesis()
	q.noteBooks(at)
	return q, nil
}

// strangerID is the id of a customer that the ledger does not have, and of its
// partner.
const strangerID = "quote"

func (s Stranger) payer(policies subscription.Policies) *subscription.Payer {
	return &subscription.Payer{
		Partner:  party.Partner{ID: strangerID, Name: strangerID, BillingCurrency: s.Currency, TaxRate: s.TaxRate},
		Customer: party.Customer{ID: strangerID, Name: strangerID, Country: cmp.Or(s.Market, "none"), Segment: s.Segment, PartnerID: strangerID},
		Policies: policies,
	}
}

// hypothesis puts the change into the customer's history.
func (q *quotation) hypothesis() {
	p := q.plan
	taken := make(map[string]bool)
	for _, c := range q.without.Changes {
		taken[c.ID], taken[c.Subject], taken[c.ToSubscription] = true, true, true
	}
	unused := "quote"
	for taken[unused] {
		unused += "-"
	}
	c := &change.Change{
		ID: unused, Type: p.Type, At: p.At, Subject: p.SubscriptionID, CustomerID: q.without.ID, Override: p.Override,
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
	q.change = c
	q.with = q.without
	q.with.Changes = append(slices.Clone(q.without.Changes), c)
	slices.SortStableFunc(q.with.Changes, change.Compare)
	q.result.Type, q.result.Time, q.result.Month = string(c.Type), c.At.String(), q.month.String()
	q.result.CustomerID, q.result.SubscriptionID = c.CustomerID, c.Subject
	if p.Stranger != nil {
		q.result.CustomerID = ""
	}
}
