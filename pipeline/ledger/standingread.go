package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/ledger/pages"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// ReadStandings reads what [Standings] collected, customer by customer.
type ReadStandings struct {
	customers     columns
	subscriptions columns

	// What is at hand of each, taken up to at.
	customer     standingCustomers
	subscription standingSubscriptions
}

// Standings opens the state at a close.
func (l Ledger) Standings(ctx context.Context, at *AtClose) *ReadStandings {
	s := &ReadStandings{
		customers:     columns{ctx: ctx, ledger: l, objects: at.Customers},
		subscriptions: columns{ctx: ctx, ledger: l, objects: at.Subscriptions},
	}
	s.customers.add, s.subscriptions.add = s.customer.add, s.subscription.add
	return s
}

// standingBatch is how many rows are read at a time. What is made of them shares
// memory, and is kept or let go of together.
const standingBatch = 2048

// Stood is a customer as [Standing] says it, with its subscriptions in columns.
type Stood struct {
	Standing
	Parts []subscription.Part
	room  [1]subscription.Part // most have one
}

// Next returns the next customer, nil after the last.
func (s *ReadStandings) Next() (*Standing, error) {
	c, err := s.NextParts()
	if c == nil || err != nil {
		return nil, err
	}
	c.Subscriptions, err = subscription.Standings(c.Parts)
	return &c.Standing, err
}

// NextParts returns the next customer, nil after the last. Its subscriptions are
// in the parts.
func (s *ReadStandings) NextParts() (*Stood, error) {
	if s.customer.at == len(s.customer.rows) {
		n, err := s.customers.next(standingBatch)
		if err != nil || n == 0 {
			return nil, err
		}
		s.customer.decode(n)
	}
	c := &s.customer.rows[s.customer.at]
	s.customer.at++
	var err error
	c.Parts, err = s.partsOf(c.CustomerID, c.room[:0])
	return c, err
}

// partsOf takes a customer's subscriptions; those before it are nobody's.
func (s *ReadStandings) partsOf(customerID string, parts []subscription.Part) ([]subscription.Part, error) {
	b := &s.subscription
	for {
		for b.at < b.rows && b.customers.Of(b.at) < customerID {
			b.at++
		}
		first := b.at
		for b.at < b.rows && b.customers.Of(b.at) == customerID {
			b.at++
		}
		if b.at > first {
			parts = append(parts, subscription.Part{Stood: b.stood, From: first, To: b.at})
		}
		if b.at < b.rows {
			return parts, nil
		}
		n, err := s.subscriptions.next(standingBatch)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return parts, nil
		}
		b.take(n, s.subscriptions.key, s.subscriptions.reader)
	}
}

// Close lets go of what is open.
func (s *ReadStandings) Close() {
	s.customers.close()
	s.subscriptions.close()
}

// columns reads the same columns of objects that follow each other in order.
type columns struct {
	//nolint:containedctx // objects are opened when the reading reaches them, within the run that the context is of
	ctx     context.Context
	ledger  Ledger
	objects []Object
	// add says which columns are read.
	add func(*pages.Reader)

	key    string // of the one that is open
	object bucket.Object
	reader *pages.Reader
}

// next reads the next rows, at most so many; none after the last.
func (c *columns) next(most int) (int, error) {
	for {
		if c.reader == nil {
			if len(c.objects) == 0 {
				return 0, nil
			}
			if err := c.open(c.objects[0]); err != nil {
				return 0, err
			}
			c.objects = c.objects[1:]
		}
		n, err := c.reader.Next(most)
		if err == nil {
			return n, nil
		}
		c.close()
		if !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
}

func (c *columns) open(o Object) (err error) {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if c.object, err = c.ledger.Bucket.Open(c.ctx, o.Key); err != nil {
		return err
	}
	if c.reader, err = pages.Open(o.Key, c.object, c.object.Size()); err != nil {
		_ = c.object.Close() // only read: there is nothing to lose
		return err
	}
	c.key = o.Key
	c.add(c.reader)
	return nil
}

func (c *columns) close() {
	if c.reader != nil {
		c.reader.Close()
		_ = c.object.Close() // only read: there is nothing to lose
		c.reader, c.object = nil, nil
	}
}

// standingCustomers makes customers of rows.
type standingCustomers struct {
	id       pages.Texts
	lookBack pages.Flags
	ended    pages.Numbers[int64]
	seen     pages.Texts

	rows []Stood
	at   int
}

func (c *standingCustomers) add(r *pages.Reader) {
	r.Add("customerId", &c.id)
	r.Add("lookBack", &c.lookBack)
	r.Add("ended", &c.ended)
	r.Add("seen", &c.seen)
}

func (c *standingCustomers) decode(n int) {
	all := 0
	for _, seen := range c.seen.Values {
		all += len(seen) / 4
	}
	marks := make(Marks, 0, all)
	c.rows, c.at = make([]Stood, n), 0
	for i := range c.rows {
		first := len(marks)
		marks = marks.decode(c.seen.Values[i])
		c.rows[i].Standing = Standing{CustomerID: c.id.Values[i], LookBack: c.lookBack.Values[i], Ended: int(c.ended.Values[i]),
			Seen: marks[first:len(marks):len(marks)]}
	}
}

// standingSubscriptions makes subscriptions of rows.
type standingSubscriptions struct {
	standingColumns

	group  int // whose places the following are of
	kinds  kinds
	sheets sheetPlaces

	// What is at hand, taken up to at.
	stood     *subscription.Stood
	customers subscription.Words
	rows, at  int
}

// standingColumns are the columns of the state. A copy keeps what was read.
type standingColumns struct {
	customer, order, availability, product, sku, layers, promotion pages.Names

	subscription pages.Texts

	term, termStart, termEnd, monthEnd, plan, trialPlan pages.Numbers[int32]
	cycleFirst, cycleLast, cycleDays, cycleMonths       pages.Numbers[int32]
	start, quantity                                     pages.Numbers[int64]

	addOn, custom, trial, suspended, autoRenew, touched, upgraded pages.Flags

	next nextTerm
	lock standingLock
}

// standingLock has the columns of a lock.
type standingLock struct {
	asked, unitPrice, currency, promotion, discount      pages.Names
	productTitle, skuTitle, publisher, market, file, sum pages.Names

	month pages.Numbers[int32]
	line  pages.Numbers[int64]

	prices, discounts numbers
}

func (s *standingSubscriptions) add(r *pages.Reader) {
	s.group = -1 // of another object
	s.standingColumns.add(r)
}

func (s *standingColumns) add(r *pages.Reader) {
	r.Add("customerId", &s.customer)
	r.Add("subscriptionId", &s.subscription)
	r.Add("orderId", &s.order)
	r.Add("availabilityId", &s.availability)
	r.Add("addOn", &s.addOn)
	r.Add("productId", &s.product)
	r.Add("skuId", &s.sku)
	r.Add("term", &s.term)
	r.Add("termStart", &s.termStart)
	r.Add("termEnd", &s.termEnd)
	r.Add("customTermEnd", &s.custom)
	r.Add("monthEnd", &s.monthEnd)
	r.Add("trial", &s.trial)
	r.Add("plan", &s.plan)
	r.Add("trialPlan", &s.trialPlan)
	r.Add("cycleFirst", &s.cycleFirst)
	r.Add("cycleLast", &s.cycleLast)
	r.Add("cycleDays", &s.cycleDays)
	r.Add("cycleMonths", &s.cycleMonths)
	r.Add("suspended", &s.suspended)
	r.Add("start", &s.start)
	r.Add("quantity", &s.quantity)
	r.Add("layers", &s.layers)
	r.Add("autoRenew", &s.autoRenew)
	r.Add("promotion", &s.promotion)
	r.Add("touched", &s.touched)
	r.Add("upgraded", &s.upgraded)
	s.next.add(r)
	s.lock.add(r)
}

func (k *standingLock) add(r *pages.Reader) {
	r.Add("asked", &k.asked)
	r.Add("unitPrice", &k.unitPrice)
	r.Add("currency", &k.currency)
	r.Add("promotionId", &k.promotion)
	r.Add("discount", &k.discount)
	r.Add("productTitle", &k.productTitle)
	r.Add("skuTitle", &k.skuTitle)
	r.Add("publisher", &k.publisher)
	r.Add("market", &k.market)
	r.Add("month", &k.month)
	r.Add("file", &k.file)
	r.Add("sha256", &k.sum)
	r.Add("line", &k.line)
}

// whole makes the subscriptions of some rows.
func (s *standingColumns) whole(rows []int32, to []subscription.Standing) (_ []subscription.Standing, err error) {
	locks := make([]subscription.Lock, len(rows))
	terms := make([]subscription.Term, len(rows))
	layers := make([]subscription.Layer, 0, len(rows))
	to = slices.Grow(to, len(rows))
	for n, row := range rows {
		i, lock, term := int(row), &locks[n], &terms[n]
		if err := s.lock.of(i, lock); err != nil {
			return nil, fmt.Errorf("subscription %s: %w", s.subscription.Values[i], err)
		}
		first, quantity := len(layers), s.quantity.Values[i]
		if encoded := s.layers.Of(i); encoded == "" {
			layers = append(layers, subscription.Layer{Seats: quantity, Closed: true})
		} else if layers, err = appendLayers(layers, encoded); err != nil {
			return nil, fmt.Errorf("subscription %s: %w", s.subscription.Values[i], err)
		}
		term.SubscriptionID, term.OrderID, term.AvailabilityID = s.subscription.Values[i], s.order.Of(i), s.availability.Of(i)
		term.AddOn, term.SKU, term.Lock = s.addOn.Values[i], pricing.SKU{ProductID: s.product.Of(i), SkuID: s.sku.Of(i)}, lock
		term.Span = pricing.TermSpan{
			Term: pricing.Term(s.term.Values[i]), Start: pricing.Date(s.termStart.Values[i]), End: pricing.Date(s.termEnd.Values[i]),
			Custom: s.custom.Values[i], MonthEnd: pricing.MonthEnd(s.monthEnd.Values[i]), Trial: s.trial.Values[i]}
		term.Plan = pricing.Plan(s.plan.Values[i])
		to = append(to, subscription.Standing{
			Term: term, Suspended: s.suspended.Values[i],
			Cycle: pricing.Cycle{First: pricing.Date(s.cycleFirst.Values[i]), Last: pricing.Date(s.cycleLast.Values[i]),
				Days: int(s.cycleDays.Values[i]), Months: int(s.cycleMonths.Values[i])},
			Start: pricing.Instant(s.start.Values[i]), Quantity: quantity, Layers: layers[first:len(layers):len(layers)],
			TrialPlan: pricing.Plan(s.trialPlan.Values[i]), AutoRenew: s.autoRenew.Values[i], Next: s.next.of(i),
			Promotion: s.promotion.Of(i), Touched: s.touched.Values[i], Upgraded: s.upgraded.Values[i],
		})
	}
	return to, nil
}

// of makes the lock of a row. Looking for an equal one among all would take longer.
func (k *standingLock) of(i int, lock *subscription.Lock) (err error) {
	if lock.UnitPrice, err = k.prices.of(&k.unitPrice, i); err != nil {
		return fmt.Errorf("price %q: %w", k.unitPrice.Of(i), err)
	}
	if lock.Discount, err = k.discounts.of(&k.discount, i); err != nil {
		return fmt.Errorf("discount %q: %w", k.discount.Of(i), err)
	}
	lock.Asked, lock.Currency, lock.PromotionID = k.asked.Of(i), k.currency.Of(i), k.promotion.Of(i)
	lock.ProductTitle, lock.SkuTitle, lock.Publisher = k.productTitle.Of(i), k.skuTitle.Of(i), k.publisher.Of(i)
	lock.Source = subscription.Source{Market: k.market.Of(i), Month: pricing.Month(k.month.Values[i]),
		File: k.file.Of(i), SHA256: k.sum.Of(i), Line: int(k.line.Values[i])}
	return nil
}

var errLayers = errors.New("its layers of seats cannot be read")

// appendLayers reads what [encodeLayers] wrote.
func appendLayers(layers []subscription.Layer, encoded string) ([]subscription.Layer, error) {
	for b := []byte(encoded); len(b) > 0; {
		var v [3]int64
		for i := range v {
			n := 0
			if v[i], n = binary.Varint(b); n <= 0 {
				return layers, errLayers
			}
			b = b[n:]
		}
		layers = append(layers, subscription.Layer{Seats: v[0], Added: pricing.Instant(v[1]), Closed: v[2] == 1})
	}
	return layers, nil
}

// nextTerm has the columns of what is scheduled for a term's end.
type nextTerm struct {
	there                                                    pages.Flags
	product, sku, duration, billing, availability, promotion pages.Names

	quantity      pages.Numbers[int64]
	quantityGiven []bool
	customEnd     pages.Numbers[int32]
}

func (t *nextTerm) add(r *pages.Reader) {
	r.Add("nextTerm", &t.there)
	r.Add("nextProductId", &t.product)
	r.Add("nextSkuId", &t.sku)
	r.Add("nextTermDuration", &t.duration)
	r.Add("nextBillingCycle", &t.billing)
	r.Add("nextAvailabilityId", &t.availability)
	r.Add("nextPromotionId", &t.promotion)
	r.AddOptional("nextQuantity", &t.quantity, &t.quantityGiven)
	r.Add("nextCustomTermEndDate", &t.customEnd)
}

// of returns the instructions of a row; nil: none.
func (t *nextTerm) of(i int) *change.NextTerm {
	if !t.there.Values[i] {
		return nil
	}
	n := &change.NextTerm{
		SKU: pricing.SKU{ProductID: t.product.Of(i), SkuID: t.sku.Of(i)}, TermDuration: t.duration.Of(i),
		BillingCycle: t.billing.Of(i), AvailabilityID: t.availability.Of(i), PromotionID: t.promotion.Of(i),
		CustomTermEnd: pricing.Date(t.customEnd.Values[i]),
	}
	if t.quantityGiven[i] {
		n.Quantity = new(t.quantity.Values[i])
	}
	return n
}
