package ledger

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// changeRow is a change in a run. Its input is the one that names the run.
type changeRow struct {
	CustomerID     string  `parquet:"customerId,dict"`
	At             int64   `parquet:"at"`
	ID             string  `parquet:"id"`
	Record         int64   `parquet:"record"`
	Content        []byte  `parquet:"content"`
	Source         string  `parquet:"source,dict"`
	Type           string  `parquet:"type,dict"`
	Subject        string  `parquet:"subject"`
	Override       string  `parquet:"override,dict"`
	ProductID      string  `parquet:"productId,dict"`
	SkuID          string  `parquet:"skuId,dict"`
	TermDuration   string  `parquet:"termDuration,dict"`
	BillingCycle   string  `parquet:"billingCycle,dict"`
	PromotionID    string  `parquet:"promotionId,dict"`
	Quantity       *int64  `parquet:"quantity,optional"`
	OrderID        string  `parquet:"orderId,dict"`
	AvailabilityID string  `parquet:"availabilityId,dict"`
	ParentID       string  `parquet:"parentSubscriptionId,dict"`
	ToSubscription string  `parquet:"toSubscriptionId,dict"`
	IsTrial        bool    `parquet:"isTrial"`
	AutoRenew      *bool   `parquet:"autoRenewEnabled,optional"`
	CustomTermEnd  int32   `parquet:"customTermEndDate"`
	UnitPrice      *string `parquet:"unitPrice,optional,dict"`
	Amount         *string `parquet:"amount,optional,dict"`
	Currency       string  `parquet:"currency,dict"`
	SubscriptionID string  `parquet:"subscriptionId,dict"`
	Reason         string  `parquet:"reason,dict"`
	EventID        string  `parquet:"eventId,dict"`
	Defect         string  `parquet:"defect,dict"`

	NextTerm           bool   `parquet:"nextTerm"` // whether the next* columns were given
	NextProductID      string `parquet:"nextProductId,dict"`
	NextSkuID          string `parquet:"nextSkuId,dict"`
	NextTermDuration   string `parquet:"nextTermDuration,dict"`
	NextBillingCycle   string `parquet:"nextBillingCycle,dict"`
	NextAvailabilityID string `parquet:"nextAvailabilityId,dict"`
	NextPromotionID    string `parquet:"nextPromotionId,dict"`
	NextQuantity       *int64 `parquet:"nextQuantity,optional"`
	NextCustomTermEnd  int32  `parquet:"nextCustomTermEndDate"`
}

// PutChanges keeps a run of changes: it sorts them and writes a data object.
func (l Ledger) PutChanges(ctx context.Context, changes []change.Change) (Object, error) {
	slices.SortFunc(changes, func(a, b change.Change) int { return change.Compare(&a, &b) })
	rows := make([]changeRow, len(changes))
	for i := range changes {
		rows[i] = newChangeRow(&changes[i])
	}
	return write(ctx, l, rows)
}

func newChangeRow(c *change.Change) changeRow {
	r := changeRow{
		CustomerID: c.CustomerID, At: int64(c.At), ID: c.ID, Record: c.Taken.Record, Content: c.Content[:],
		Source: c.Source, Type: string(c.Type), Subject: c.Subject, Override: c.Override,
		ProductID: c.SKU.ProductID, SkuID: c.SKU.SkuID, TermDuration: c.TermDuration, BillingCycle: c.BillingCycle,
		PromotionID: c.PromotionID, Quantity: c.Quantity, OrderID: c.OrderID, AvailabilityID: c.AvailabilityID,
		ParentID: c.ParentID, ToSubscription: c.ToSubscription, IsTrial: c.IsTrial, AutoRenew: c.AutoRenew,
		CustomTermEnd: int32(c.CustomTermEnd), UnitPrice: text(c.UnitPrice), Amount: text(c.Amount), Currency: c.Currency,
		SubscriptionID: c.SubscriptionID, Reason: c.Reason, EventID: c.EventID, Defect: c.Defect,
	}
	if n := c.NextTerm; n != nil {
		r.NextTerm = true
		r.NextProductID, r.NextSkuID, r.NextTermDuration, r.NextBillingCycle = n.SKU.ProductID, n.SKU.SkuID, n.TermDuration, n.BillingCycle
		r.NextAvailabilityID, r.NextPromotionID = n.AvailabilityID, n.PromotionID
		r.NextQuantity, r.NextCustomTermEnd = n.Quantity, int32(n.CustomTermEnd)
	}
	return r
}

func text(d *decimal.Decimal) *string {
	if d == nil {
		return nil
	}
	s := d.String()
	return &s
}

func (r *changeRow) change(input int64) (*change.Change, error) {
	c := &change.Change{
		ID: r.ID, Source: r.Source, Type: change.Type(r.Type), At: pricing.Instant(r.At), Subject: r.Subject,
		CustomerID: r.CustomerID, Override: r.Override, SKU: pricing.SKU{ProductID: r.ProductID, SkuID: r.SkuID},
		TermDuration: r.TermDuration, BillingCycle: r.BillingCycle, PromotionID: r.PromotionID, Quantity: r.Quantity,
		OrderID: r.OrderID, AvailabilityID: r.AvailabilityID, ParentID: r.ParentID, ToSubscription: r.ToSubscription,
		IsTrial: r.IsTrial, AutoRenew: r.AutoRenew, CustomTermEnd: pricing.Date(r.CustomTermEnd), Currency: r.Currency,
		SubscriptionID: r.SubscriptionID, Reason: r.Reason, EventID: r.EventID, Defect: r.Defect,
		Taken: change.Position{Input: input, Record: r.Record},
	}
	copy(c.Content[:], r.Content)
	var err error
	if c.UnitPrice, err = number(r.UnitPrice); err == nil {
		c.Amount, err = number(r.Amount)
	}
	if err != nil {
		return nil, fmt.Errorf("change %s: %w", r.ID, err)
	}
	if r.NextTerm {
		c.NextTerm = &change.NextTerm{
			SKU: pricing.SKU{ProductID: r.NextProductID, SkuID: r.NextSkuID}, TermDuration: r.NextTermDuration,
			BillingCycle: r.NextBillingCycle, AvailabilityID: r.NextAvailabilityID, PromotionID: r.NextPromotionID,
			Quantity: r.NextQuantity, CustomTermEnd: pricing.Date(r.NextCustomTermEnd),
		}
	}
	return c, nil
}

func number(s *string) (*decimal.Decimal, error) {
	if s == nil {
		return nil, nil
	}
	d, err := decimal.NewFromString(*s)
	return &d, err
}

// History is all changes of one customer, as they are to be applied.
type History struct {
	CustomerID string
	Changes    []*change.Change
	Conflicts  []*change.Change
}

// Histories merges the runs of the inputs and yields one customer after the
// other, in the order of their ids' bytes. It holds one customer and a part of
// each run at a time.
func (l Ledger) Histories(ctx context.Context, inputs []Input) iter.Seq2[History, error] {
	return func(yield func(History, error) bool) {
		var runs runHeap
		defer func() {
			for _, r := range runs {
				r.close()
			}
		}()
		for _, in := range inputs {
			if in.Kind != Changes {
				continue
			}
			for _, o := range in.Objects {
				r, err := l.openRun(ctx, in.Number, o)
				if err != nil {
					yield(History{}, err)
					return
				}
				if r != nil {
					runs = append(runs, r)
				}
			}
		}
		heap.Init(&runs)
		var group []*change.Change
		for len(runs) > 0 {
			next := runs[0]
			c := next.head
			if len(group) > 0 && group[0].CustomerID != c.CustomerID {
				if !yield(history(group), nil) {
					return
				}
				group = nil
			}
			group = append(group, c)
			more, err := next.advance()
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(History{}, err)
				return
			}
			if more {
				heap.Fix(&runs, 0)
			} else {
				heap.Pop(&runs)
				next.close()
			}
		}
		if len(group) > 0 {
			yield(history(group), nil)
		}
	}
}

// history keeps one content an id: the one that was taken in first stands,
// equal ones count once, others are conflicts.
func history(sorted []*change.Change) History {
	h := History{CustomerID: sorted[0].CustomerID}
	first := make(map[string]*change.Change, len(sorted))
	for _, c := range sorted {
		if known, ok := first[c.ID]; !ok || c.Taken.Before(known.Taken) {
			first[c.ID] = c
		}
	}
	if len(first) == len(sorted) {
		h.Changes = sorted
		return h
	}
	type content struct {
		id  string
		sum [32]byte
	}
	reported := make(map[content]bool)
	for _, c := range sorted {
		stands := first[c.ID]
		key := content{c.ID, c.Content}
		switch {
		case c == stands:
			h.Changes = append(h.Changes, c)
		case c.Content != stands.Content && !reported[key]:
			reported[key] = true
			h.Conflicts = append(h.Conflicts, c)
		}
	}
	return h
}

// run reads one sorted data object of changes, a batch at a time.
type run struct {
	key    string
	input  int64
	object bucket.Object
	reader *parquet.GenericReader[changeRow]
	batch  []changeRow
	at, n  int
	head   *change.Change
}

// openRun returns nil for an empty run.
func (l Ledger) openRun(ctx context.Context, input int64, o Object) (*run, error) {
	object, err := l.Bucket.Open(ctx, o.Key)
	if err != nil {
		return nil, err
	}
	r := &run{key: o.Key, input: input, object: object, batch: make([]changeRow, min(512, max(1, o.Records))),
		reader: parquet.NewGenericReader[changeRow](io.NewSectionReader(object, 0, object.Size()))}
	more, err := r.advance()
	if err != nil || !more {
		r.close()
		return nil, err
	}
	return r, nil
}

// advance moves to the next change. It returns false at the end.
func (r *run) advance() (bool, error) {
	for r.at == r.n {
		clear(r.batch)
		n, err := r.reader.Read(r.batch)
		r.at, r.n = 0, n
		if n == 0 && errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("read %s: %w", r.key, err)
		}
	}
	c, err := r.batch[r.at].change(r.input)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", r.key, err)
	}
	r.head = c
	r.at++
	return true, nil
}

// close lets go of what was only read: there is nothing to lose.
func (r *run) close() {
	_ = r.reader.Close()
	_ = r.object.Close()
}

// runHeap has the run with the next change in order on top.
type runHeap []*run

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return change.Compare(h[i].head, h[j].head) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*run)) }
func (h *runHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
