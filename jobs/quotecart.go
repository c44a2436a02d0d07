package jobs

import (
	"context"
	"fmt"
	"slices"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// CartQuote says what changes of one customer would bill together. Nothing of it is
// recorded.
type CartQuote struct {
	CustomerID string `json:"customerId"`
	Time       string `json:"time" format:"date-time" doc:"When it would happen"`
	Month      string `json:"month" doc:"The billing period that thisMonth is of"`
	Currency   string `json:"currency" doc:"The partner's billing currency"`
	// Changes are told one by one, in the order of the cart.
	Changes []ChangeQuote `json:"changes" doc:"What becomes of each change, in the order of the cart"`
	// Lines would come to this month's invoice; Instead are those that it would
	// not have any more. ThisMonth is the difference.
	Lines     []LineFacts `json:"lines" doc:"Lines that would come to this month's invoice; referenceId is the id of their change"`
	Instead   []LineFacts `json:"instead,omitempty" doc:"Lines that this month's invoice would not have any more"`
	ThisMonth Amounts     `json:"thisMonth" doc:"What this month's invoice would have more, or with a minus less"`
	// FromNextMonth is what follows, a subscription each.
	FromNextMonth []Recurring      `json:"fromNextMonth" doc:"What each subscription is charged after this month, to the end of its term and at its renewal"`
	Exceptions    []ExceptionEntry `json:"exceptions,omitempty" doc:"What would deserve a look"`
	Notes         []string         `json:"notes,omitempty"`
}

// ChangeQuote is what one change of a cart comes to.
type ChangeQuote struct {
	ID               string `json:"id"`
	Type             string `json:"type" example:"subscription.purchased"`
	Time             string `json:"time" format:"date-time"`
	SubscriptionID   string `json:"subscriptionId"`
	ToSubscriptionID string `json:"toSubscriptionId,omitempty" doc:"The subscription that seats move to, where it is another"`
	// Refused says why the change would not be taken; the rest is told without it then.
	Refused *Refusal `json:"refused,omitempty" doc:"Why the change would not be taken; amounts are then without it"`
	// ThisMonth is the sum of its own lines.
	ThisMonth Amounts `json:"thisMonth" doc:"The sum of its own lines"`
	// ReturnableUntil is the last instant at which it can be taken back.
	ReturnableUntil string   `json:"returnableUntil,omitempty" format:"date-time" doc:"The last instant at which it can be taken back; absent where it cannot"`
	Notes           []string `json:"notes,omitempty"`
}

// Refused is the first change that would not be taken, nil if all would be.
func (q CartQuote) Refused() *ChangeQuote {
	for i := range q.Changes {
		if q.Changes[i].Refused != nil {
			return &q.Changes[i]
		}
	}
	return nil
}

// quoteCart says what changes of a customer would bill together, as if they were
// bought here: by the rules of imports, and a closed window or an error refuses the
// change whatever the partner's policy. The ids of the changes are none of the
// customer's, and their instants are in the order of the cart. ruled are those that a
// rule of buying refuses, by their ids.
func (r *Reading) quoteCart(ctx context.Context, c invoice.Customer, cart []*change.Change, ruled map[string]*Refusal) (CartQuote, error) {
	q, err := r.newQuotation(c, nil, cart)
	if err != nil {
		return CartQuote{}, err
	}
	q.ruled = ruled
	if err := q.run(ctx); err != nil {
		return CartQuote{}, err
	}
	q.result.Notes = append(q.books, q.result.Notes...)
	return q.result, nil
}

// quotation is a quote in the making.
type quotation struct {
	world *quoteWorld
	// cart are the changes that were asked for; asked are those of them that are not
	// refused, in the order in which they are applied.
	cart, asked []*change.Change
	// asImported takes what an import would take: a change that is billed with an error.
	asImported bool
	// ruled are the changes that a rule of buying refuses, by their ids.
	ruled map[string]*Refusal
	// without and with are the history of the subscriptions that the cart is about.
	without, with invoice.Customer
	month         pricing.Month
	digits        int
	// states are where the subscriptions stand before the first change, and after each.
	states []map[string]subscription.View
	months map[pricing.Month]*bothWays
	books  []string // notes
	result CartQuote
}

// newQuotation puts changes of a customer before the ledger's world.
func (r *Reading) newQuotation(c invoice.Customer, stranger *Stranger, cart []*change.Change) (*quotation, error) {
	q := &quotation{cart: cart, world: &quoteWorld{World: r.catalog, borrowed: make(map[string]pricing.Month)}}
	if stranger != nil {
		q.world.stranger = stranger.payer(r.env.Policies(""))
	} else {
		q.result.CustomerID = c.ID
	}
	q.month = cart[0].At.Date().Month()
	payer, code := q.world.Payer(c.ID, q.month)
	if code == pricing.UnknownCustomer {
		return nil, fmt.Errorf("%w: customer %s was not taken in", ErrMissing, c.ID)
	}
	if payer != nil {
		q.result.Currency = payer.Partner.BillingCurrency
		q.digits, _ = pricing.MinorDigits(q.result.Currency)
	}
	q.result.Time, q.result.Month = cart[0].At.String(), q.month.String()
	for _, c := range cart {
		one := ChangeQuote{ID: c.ID, Type: string(c.Type), Time: c.At.String(), SubscriptionID: c.Subject, ThisMonth: q.amounts(invoice.Totals{})}
		if c.ToSubscription != c.Subject {
			one.ToSubscriptionID = c.ToSubscription
		}
		q.result.Changes = append(q.result.Changes, one)
	}
	q.without = invoice.Customer{ID: c.ID, Locks: c.Locks, Changes: related(c.Changes, cart)}
	q.noteBooks(r.at)
	return q, nil
}

// related returns the changes of the subscriptions that a cart is about, and of those
// that seats have moved from or to: the others go on as they would.
func related(history, cart []*change.Change) (of []*change.Change) {
	about := make(map[string]bool)
	note := func(c *change.Change) {
		for _, id := range []string{c.Subject, c.ToSubscription} {
			about[id] = about[id] || id != ""
		}
	}
	for _, c := range cart {
		note(c)
	}
	for grown := true; grown; {
		before := len(about)
		of = of[:0]
		for _, c := range history {
			if about[c.Subject] || about[c.ToSubscription] || about[c.SubscriptionID] {
				note(c)
				of = append(of, c)
			}
		}
		grown = len(about) > before
	}
	return of
}

// noteBooks says where lines of a month that is closed already would stand.
func (q *quotation) noteBooks(at snapshot) {
	books := ledger.Books(at.closes)
	switch {
	case books.Begun && q.month < books.Begin:
		q.books = append(q.books, fmt.Sprintf("%s is before %s, with which the books begin: lines of that month are never billed", q.month, books.Begin))
	case books.IsClosed(q.month):
		q.books = append(q.books, fmt.Sprintf("%s is closed: these lines would be billed in the first open month, with their own dates", q.month))
	}
}

// run lives both histories and compares them. Every month is billed as if it were
// open: corrections of closed ones have no place in a quote. What is refused is left
// out, and the rest told without it.
func (q *quotation) run(ctx context.Context) error {
	q.asked = slices.Clone(q.cart)
	slices.SortStableFunc(q.asked, change.Compare)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := q.live(); err != nil {
			return err
		}
		refused, err := q.refusals()
		if err != nil {
			return err
		}
		if len(refused) == 0 {
			return q.tell(ctx)
		}
		q.asked = slices.DeleteFunc(q.asked, func(c *change.Change) bool {
			if why := refused[c.ID]; why != nil {
				q.quoteOf(c).Refused = why
			}
			return refused[c.ID] != nil
		})
	}
}

// live puts what is asked for into the customer's history.
func (q *quotation) live() error {
	q.with = q.without
	q.with.Changes = slices.Concat(q.without.Changes, q.asked)
	slices.SortStableFunc(q.with.Changes, change.Compare)
	q.months = make(map[pricing.Month]*bothWays)
	q.states = make([]map[string]subscription.View, len(q.asked)+1)
	for i := range q.states {
		var err error
		if q.states[i], err = q.stateAfter(i); err != nil {
			return err
		}
	}
	return nil
}

// stateAfter is where the subscriptions stand after the first n changes of those that
// are asked for. Overrides that came later have lifted windows before.
func (q *quotation) stateAfter(n int) (map[string]subscription.View, error) {
	state := make(map[string]subscription.View)
	if len(q.asked) == 0 {
		return state, nil
	}
	upTo, own := q.asked[max(0, n-1)], q.asked[n:]
	var changes []*change.Change
	for _, c := range q.with.Changes {
		past := change.Compare(c, upTo) <= 0 && !slices.Contains(own, c)
		if past || c.Type == change.Overridden {
			changes = append(changes, c)
		}
	}
	var lives subscription.Lives
	end, err := lives.LiveTo(lockedWorld{q.world, q.with.Locks}, nowhere{}, q.with.ID, nil, changes, upTo.At.Date())
	if err != nil {
		return nil, err
	}
	for v := range end.Views() {
		state[v.Term.SubscriptionID] = v
	}
	return state, nil
}

// quoteOf is what is told of a change.
func (q *quotation) quoteOf(c *change.Change) *ChangeQuote {
	i := slices.IndexFunc(q.result.Changes, func(one ChangeQuote) bool { return one.ID == c.ID })
	return &q.result.Changes[i]
}

func (q *quotation) isAsked(eventID string) bool {
	return slices.ContainsFunc(q.asked, func(c *change.Change) bool { return c.ID == eventID })
}
