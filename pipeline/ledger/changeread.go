package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/ledger/pages"
	"github.com/calends/calends/pricing"
)

// changeReader reads the changes of a data object by its columns.
type changeReader struct {
	key    string
	input  int64 // the one that names the object
	reader *pages.Reader
	group  int // whose amounts are known

	customer, source, kind, override, product, sku         pages.Names
	duration, billing, promotion, order, availability      pages.Names
	parent, toSubscription, currency, subscription, reason pages.Names
	event, defect                                          pages.Names
	unitPrice, amount                                      amounts
	id, content, subject                                   pages.Texts
	at, record, quantity                                   pages.Numbers[int64]
	customEnd                                              pages.Numbers[int32]
	trial, autoRenew                                       pages.Flags
	hasQuantity, hasAutoRenew                              []bool
	next                                                   nextTerm
}

// openChanges opens a data object of changes. With onlyIDs it reads of a change
// what its id is judged by, and nothing else.
func openChanges(o Object, object bucket.Object, input int64, onlyIDs bool) (*changeReader, error) {
	reader, err := pages.Open(o.Key, object, object.Size())
	if err != nil {
		return nil, err
	}
	r := &changeReader{key: o.Key, input: input, reader: reader}
	reader.Add("customerId", &r.customer)
	reader.Add("at", &r.at)
	reader.Add("id", &r.id)
	reader.Add("record", &r.record)
	if !onlyIDs {
		r.addRest(reader)
	}
	return r, nil
}

func (r *changeReader) addRest(reader *pages.Reader) {
	reader.Add("content", &r.content)
	reader.Add("source", &r.source)
	reader.Add("type", &r.kind)
	reader.Add("subject", &r.subject)
	reader.Add("override", &r.override)
	reader.Add("productId", &r.product)
	reader.Add("skuId", &r.sku)
	reader.Add("termDuration", &r.duration)
	reader.Add("billingCycle", &r.billing)
	reader.Add("promotionId", &r.promotion)
	reader.AddOptional("quantity", &r.quantity, &r.hasQuantity)
	reader.Add("orderId", &r.order)
	reader.Add("availabilityId", &r.availability)
	reader.Add("parentSubscriptionId", &r.parent)
	reader.Add("toSubscriptionId", &r.toSubscription)
	reader.Add("isTrial", &r.trial)
	reader.AddOptional("autoRenewEnabled", &r.autoRenew, &r.hasAutoRenew)
	reader.Add("customTermEndDate", &r.customEnd)
	reader.AddOptional("unitPrice", &r.unitPrice.names, &r.unitPrice.given)
	reader.AddOptional("amount", &r.amount.names, &r.amount.given)
	reader.Add("currency", &r.currency)
	reader.Add("subscriptionId", &r.subscription)
	reader.Add("reason", &r.reason)
	reader.Add("eventId", &r.event)
	reader.Add("defect", &r.defect)
	r.next.add(reader)
}

// read fills the batch as far as there are changes; after the last the error is
// io.EOF. What the changes point at is for keeps.
func (r *changeReader) read(batch []change.Change) (n int, err error) {
	if n, err = r.reader.Next(len(batch)); err != nil {
		return 0, err
	}
	if group := r.reader.Group(); group != r.group {
		r.group, r.unitPrice.known, r.amount.known = group, nil, nil
	}
	for i := range n {
		batch[i] = change.Change{CustomerID: r.customer.Of(i), At: pricing.Instant(r.at.Values[i]), ID: r.id.Values[i],
			Taken: change.Position{Input: r.input, Record: r.record.Values[i]}}
	}
	if len(r.content.Values) == 0 { // only the ids were asked for
		return n, nil
	}
	quantities, renewals := slices.Clone(r.quantity.Values), slices.Clone(r.autoRenew.Values)
	for i := range n {
		c := &batch[i]
		copy(c.Content[:], r.content.Values[i])
		c.Source, c.Type, c.Subject, c.Override = r.source.Of(i), change.Type(r.kind.Of(i)), r.subject.Values[i], r.override.Of(i)
		c.SKU = pricing.SKU{ProductID: r.product.Of(i), SkuID: r.sku.Of(i)}
		c.TermDuration, c.BillingCycle, c.PromotionID = r.duration.Of(i), r.billing.Of(i), r.promotion.Of(i)
		c.OrderID, c.AvailabilityID, c.ParentID, c.ToSubscription = r.order.Of(i), r.availability.Of(i), r.parent.Of(i), r.toSubscription.Of(i)
		c.IsTrial, c.CustomTermEnd, c.Currency = r.trial.Values[i], pricing.Date(r.customEnd.Values[i]), r.currency.Of(i)
		c.SubscriptionID, c.Reason, c.EventID, c.Defect = r.subscription.Of(i), r.reason.Of(i), r.event.Of(i), r.defect.Of(i)
		c.NextTerm = r.next.of(i)
		if r.hasQuantity[i] {
			c.Quantity = &quantities[i]
		}
		if r.hasAutoRenew[i] {
			c.AutoRenew = &renewals[i]
		}
		if c.UnitPrice, err = r.unitPrice.of(i); err == nil {
			c.Amount, err = r.amount.of(i)
		}
		if err != nil {
			return 0, fmt.Errorf("read %s: change %s: %w", r.key, c.ID, err)
		}
	}
	return n, nil
}

func (r *changeReader) seek(row int64) error                        { return r.reader.SeekToRow(row) }
func (r *changeReader) rows() int64                                 { return r.reader.Rows() }
func (r *changeReader) starts(column string) ([]pages.Start, error) { return r.reader.Starts(column) }
func (r *changeReader) close()                                      { r.reader.Close() }

// amounts are decimals, in text. Rows with the same share one.
type amounts struct {
	names pages.Names
	given []bool
	known map[int32]*decimal.Decimal // by the place of the text in the row group
}

func (a *amounts) of(i int) (*decimal.Decimal, error) {
	if !a.given[i] {
		return nil, nil
	}
	place := a.names.Index[i]
	if known := a.known[place]; known != nil {
		return known, nil
	}
	d, err := decimal.NewFromString(a.names.Values[place])
	if err != nil {
		return nil, err
	}
	if a.known == nil {
		a.known = make(map[int32]*decimal.Decimal)
	}
	a.known[place] = &d
	return &d, nil
}

// run reads one sorted data object of changes, a batch at a time.
type run struct {
	head *change.Change

	ctx    context.Context //nolint:containedctx // of the merge that the run is a part of
	object bucket.Object
	reader *changeReader
	span   Span

	// batch are the changes read, taken up to at. They are for keeps, so the next
	// ones get memory of their own.
	batch []change.Change
	at    int
	size  int
}

// openRun returns nil for a run without a wanted change. With onlyIDs a change is
// its customer, time, id and place.
func (l Ledger) openRun(ctx context.Context, w wantedRun, size int, span Span, onlyIDs bool) (*run, error) {
	object, err := l.Bucket.Open(ctx, w.object.Key)
	if err != nil {
		return nil, err
	}
	reader, err := openChanges(w.object, object, w.input, onlyIDs)
	if err != nil {
		return nil, errors.Join(err, object.Close())
	}
	r := &run{ctx: ctx, object: object, reader: reader, span: span, size: size}
	more, err := r.advance()
	if err != nil || !more {
		r.close()
		return nil, err
	}
	return r, nil
}

// advance moves to the next wanted change. It returns false at the end.
func (r *run) advance() (more bool, err error) {
	for {
		for r.at < len(r.batch) {
			r.head = &r.batch[r.at]
			r.at++
			if r.span.wants(r.head) {
				return true, nil
			}
		}
		if err := r.ctx.Err(); err != nil {
			return false, err
		}
		batch := make([]change.Change, min(int64(r.size), r.reader.rows()))
		n, err := r.reader.read(batch)
		if errors.Is(err, io.EOF) {
			r.head = nil
			return false, nil
		}
		if err != nil {
			return false, err
		}
		r.batch, r.at = batch[:n], 0
	}
}

func (r *run) close() {
	r.reader.close()
	_ = r.object.Close() // only read: there is nothing to lose
}
