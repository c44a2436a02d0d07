package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// OrderPlan says what shall happen now to a customer's subscriptions: all of it, or
// nothing.
type OrderPlan struct {
	// Key is the caller's own for this order: with the same key and content it is the
	// same order, whenever and wherever it is asked for again. Keys of two partners have
	// nothing to do with each other.
	Key string
	// By is who asks, for the record.
	By         string
	PartnerID  string
	CustomerID string
	// At is now.
	At      pricing.Instant
	Changes []Asked
	// Resolve works the changes out of what was asked, where they depend on how things
	// stand; Content is what was asked then, and what tells two orders apart. owned is
	// where the customer's subscriptions stand before, those too that ended. nil: Changes.
	Resolve func(owned []subscription.View, at pricing.Instant) ([]Asked, error)
	Content string
	// Rule is what holds for what is bought here besides the rules of imports. nil: nothing.
	Rule BuyingRule
	// Reading is what the caller knows of the ledger. nil: it is read.
	Reading *Reading
}

// OrderResult is an order that was taken.
type OrderResult struct {
	ID              string   `json:"id" format:"uuid"`
	PartnerID       string   `json:"partnerId"`
	CustomerID      string   `json:"customerId"`
	Time            string   `json:"time" format:"date-time" doc:"When it happened"`
	By              string   `json:"by" doc:"Who ordered"`
	ChangeIDs       []string `json:"changeIds" doc:"The changes in the ledger, in the order of the request"`
	SubscriptionIDs []string `json:"subscriptionIds" doc:"The subscription of each change; of an upgrade into another, that one"`
	// Quote is what was known of its cost when it was taken.
	Quote CartQuote `json:"quote" doc:"What it bills, as it stood when the order was taken"`
}

// ErrKeyReused: the key of an order was used for another one.
var ErrKeyReused = errors.New("the idempotency key was used for another order")

// RefusedError says that an order breaks a rule. Nothing of it is recorded.
type RefusedError struct {
	// Quote tells the reason of each change that is refused.
	Quote CartQuote
}

func (e *RefusedError) Error() string {
	first := e.Quote.Refused()
	return "refused: " + first.Refused.Code + ": " + first.Refused.Reason
}

// orders is the name space of orders' ids.
var orders = uuid.MustParse("5d0b7a3e-0a53-5a56-8d2c-3f1c6b7e9a10")

// OrderID is the id of the order that a key of a partner names.
func OrderID(partnerID, key string) uuid.UUID {
	return uuid.NewSHA1(orders, []byte(partnerID+"\x00"+key))
}

// content is equal for equal orders.
func (p OrderPlan) content() (string, error) {
	asked, err := encodeCompact(struct {
		PartnerID, CustomerID, Content string
		Changes                        []Asked
	}{p.PartnerID, p.CustomerID, p.Content, p.Changes})
	sum := sha256.Sum256(asked)
	return hex.EncodeToString(sum[:]), err
}

// Order records changes as having happened now, and answers what they bill. It is done
// once, however often it is asked for: with the same key and content the answer is the
// same to the byte. Errors: a [RefusedError], ErrKeyReused; ErrMissing where the
// customer is not known, or another partner's.
//
// Before the changes are made to count, a record of the order with its answer is
// written; whatever ends a run between the two, the next order, or the next attempt, or
// [Env.FinishOrders] makes them count.
func (e Env) Order(ctx context.Context, plan OrderPlan) (json.RawMessage, error) {
	answer, err := e.order(ctx, plan)
	if err != nil {
		return nil, fmt.Errorf("order for customer %s: %w", plan.CustomerID, err)
	}
	return answer, nil
}

func (e Env) order(ctx context.Context, plan OrderPlan) (answer json.RawMessage, err error) {
	if plan.Key == "" {
		return nil, fmt.Errorf("%w: an order has a key", ErrUsage)
	}
	content, err := plan.content()
	if err != nil {
		return nil, err
	}
	id := OrderID(plan.PartnerID, plan.Key)
	if answer, err = e.answered(ctx, plan.PartnerID, id.String(), content); answer != nil || err != nil {
		return answer, err
	}
	err = e.locked(ctx, "order "+id.String(), func(ctx context.Context, e Env) error {
		if err := e.finishOrders(ctx); err != nil {
			return err
		}
		if answer, err = e.answered(ctx, plan.PartnerID, id.String(), content); answer != nil || err != nil {
			return err
		}
		answer, err = e.take(ctx, plan, id, content)
		return err
	})
	return answer, err
}

// answered returns the answer of an order that was taken, nil for one that was not, or
// of which it is not certain.
func (e Env) answered(ctx context.Context, partnerID, id, content string) (json.RawMessage, error) {
	record, err := e.orderRecord(ctx, partnerID, id)
	switch {
	case errors.Is(err, bucket.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case record.Content != content:
		return nil, ErrKeyReused
	}
	if open, err := e.isOpen(ctx, id); open || err != nil {
		return nil, err
	}
	return record.Answer, nil
}

// take checks an order and records it. The lock is held, and no order is unfinished.
func (e Env) take(ctx context.Context, plan OrderPlan, id uuid.UUID, content string) (json.RawMessage, error) {
	r, err := e.ReadAfter(ctx, plan.Reading)
	if err != nil {
		return nil, err
	}
	cart, err := r.cart(ctx, plan, id)
	if err != nil {
		return nil, err
	}
	if cart.quote.Refused() != nil {
		return nil, &RefusedError{cart.quote}
	}
	result := OrderResult{ID: id.String(), PartnerID: plan.PartnerID, CustomerID: plan.CustomerID, Time: cart.quote.Time, By: plan.By, Quote: cart.quote}
	for _, c := range cart.changes {
		result.ChangeIDs = append(result.ChangeIDs, c.ID)
		result.SubscriptionIDs = append(result.SubscriptionIDs, cmp.Or(c.ToSubscription, c.Subject))
	}
	record := orderRecord{Layout: ledger.Layout, ID: result.ID, PartnerID: plan.PartnerID, Key: plan.Key, Content: content, Events: string(cart.events)}
	if record.Answer, err = encodeCompact(result); err != nil {
		return nil, err
	}
	if err := e.putOrder(ctx, record, cart.changes, int64(len(r.at.inputs))); err != nil {
		return nil, err
	}
	return record.Answer, nil
}

// QuoteOrder says what an order would bill, without doing it. Its key does not matter.
func (r *Reading) QuoteOrder(ctx context.Context, plan OrderPlan) (CartQuote, error) {
	cart, err := r.cart(ctx, plan, OrderID(plan.PartnerID, ""))
	if err != nil {
		return CartQuote{}, fmt.Errorf("quote for customer %s: %w", plan.CustomerID, err)
	}
	return cart.quote, nil
}

// cart is what an order comes to.
type cart struct {
	events  []byte // as a file that could be taken in
	changes []change.Change
	quote   CartQuote
}

// cart makes the changes of an order and quotes them.
func (r *Reading) cart(ctx context.Context, plan OrderPlan, id uuid.UUID) (none cart, err error) {
	c, err := r.CustomerHistory(ctx, plan.CustomerID)
	if err != nil {
		return none, err
	}
	at, err := instantAfter(c.Changes, plan.At)
	if err != nil {
		return none, err
	}
	month := at.Date().Month()
	if books := ledger.Books(r.at.closes); books.Begun && (books.IsClosed(month) || month < books.Begin) {
		return none, fmt.Errorf("%w: the books of %s are closed, and nothing can happen in it any more: is the clock right?", ErrHeld, month)
	}
	payer, code := r.catalog.Payer(plan.CustomerID, month)
	if code == pricing.UnknownCustomer || payer != nil && payer.Customer.PartnerID != plan.PartnerID {
		return none, fmt.Errorf("%w: partner %s has no customer %s", ErrMissing, plan.PartnerID, plan.CustomerID)
	}
	owned, err := r.owned(c, at)
	if err != nil {
		return none, err
	}
	if plan.Resolve != nil {
		if plan.Changes, err = plan.Resolve(owned, at); err != nil {
			return none, err
		}
	}
	if len(plan.Changes) == 0 {
		return none, fmt.Errorf("%w: an order has at least one change", ErrUsage)
	}
	var made cart
	if made.events, err = plan.events(id, at); err != nil {
		return none, err
	}
	if made.changes, err = readEvents(made.events); err != nil {
		return none, err
	}
	asked := pointers(made.changes)
	var ruled map[string]*Refusal
	if plan.Rule != nil && code == "" { // who is not known is refused all the same
		if ruled, err = plan.Rule(ctx, Buying{Reading: r, Payer: payer, At: at, Changes: asked, Owned: owned}); err != nil {
			return none, err
		}
	}
	made.quote, err = r.quoteCart(ctx, c, asked, ruled)
	return made, err
}

func pointers(changes []change.Change) (all []*change.Change) {
	for i := range changes {
		all = append(all, &changes[i])
	}
	return all
}

// BuyingRule is what holds for what is bought here, and not for what has happened
// elsewhere. It returns why changes are refused, by their ids.
type BuyingRule func(ctx context.Context, b Buying) (map[string]*Refusal, error)

// Buying is what a [BuyingRule] judges.
type Buying struct {
	Reading *Reading
	Payer   *subscription.Payer
	At      pricing.Instant
	// Changes are asked for, in the order of the cart.
	Changes []*change.Change
	// Owned is where the customer's subscriptions stand before, those too that ended.
	Owned []subscription.View
}

// owned is where a customer's subscriptions stand right before an instant.
func (r *Reading) owned(c invoice.Customer, at pricing.Instant) ([]subscription.View, error) {
	history := c.Changes
	c.Changes = nil
	for _, past := range history {
		if past.At < at || past.Type == change.Overridden { // one that came later has lifted a window before
			c.Changes = append(c.Changes, past)
		}
	}
	return r.views(new(subscription.Lives), c, at.Date())
}
