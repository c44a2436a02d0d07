package ledger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// AtClose names what a close leaves to the next month, so that this reads where
// everything stood and its own changes, never the whole history.
type AtClose struct {
	// Customers is one row for each customer that ever had a change.
	Customers []Object `json:"customers,omitempty"`
	// Subscriptions is one row for each subscription that has not ended.
	Subscriptions []Object `json:"subscriptions,omitempty"`
	// Parties are all customers' own facts, Offers the rows of the offer matrix,
	// as they stood.
	Parties []Object `json:"parties,omitempty"`
	Offers  []Object `json:"offers,omitempty"`
	// Lines says where each customer's lines lie in the month's files.
	Lines []Object `json:"lines,omitempty"`
}

// Objects returns all data objects that it names.
func (a *AtClose) Objects() []Object {
	if a == nil {
		return nil
	}
	return slices.Concat(a.Customers, a.Subscriptions, a.Parties, a.Offers, a.Lines)
}

// Standing is how a customer stood at a close.
type Standing struct {
	CustomerID string
	// LookBack is set when something of the past may still come out otherwise
	// without a further change, as when a price was missing: the customer's whole
	// history is then read every month.
	LookBack bool
	// Ended counts the subscriptions that have ended.
	Ended int
	// Seen are marks of the ids that a later change may not bring again unseen:
	// those of the changes, and of the subscriptions that ended.
	Seen Marks
	// Subscriptions are those that have not ended, as they came to be; none when
	// LookBack is set.
	Subscriptions []subscription.Standing
}

// Marks are short marks of ids, in order, each once: four bytes an id, since
// every change that a customer ever had leaves one. Two ids may share a mark: then
// a customer's history is read without need, which costs time and nothing else.
type Marks []uint32

// Add returns the marks with those of more ids. It leaves m as it was.
func (m Marks) Add(ids []string) Marks {
	if len(ids) == 0 {
		return m
	}
	all := slices.Clone(m)
	for _, id := range ids {
		all = append(all, mark(id))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Has reports whether the id may be among the marked ones.
func (m Marks) Has(id string) bool {
	_, found := slices.BinarySearch(m, mark(id))
	return found
}

func mark(id string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return h.Sum32()
}

func (m Marks) encode() []byte {
	b := make([]byte, 0, 4*len(m))
	for _, one := range m {
		b = binary.LittleEndian.AppendUint32(b, one)
	}
	return b
}

// decode appends what [Marks.encode] wrote.
func (m Marks) decode(b string) Marks {
	for ; len(b) >= 4; b = b[4:] {
		m = append(m, uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24)
	}
	return m
}

type standingCustomerRow struct {
	CustomerID string `parquet:"customerId"`
	LookBack   bool   `parquet:"lookBack"`
	Ended      int64  `parquet:"ended"`
	Seen       []byte `parquet:"seen,plain"`
}

// standingRow is a subscription at a close. What is empty for most costs next
// to nothing: each such column is a dictionary of one.
type standingRow struct {
	CustomerID     string `parquet:"customerId,dict"`
	SubscriptionID string `parquet:"subscriptionId"`
	OrderID        string `parquet:"orderId,dict"`
	AvailabilityID string `parquet:"availabilityId,dict"`
	AddOn          bool   `parquet:"addOn"`
	ProductID      string `parquet:"productId,dict"`
	SkuID          string `parquet:"skuId,dict"`

	Term      int32 `parquet:"term"`
	TermStart int32 `parquet:"termStart"`
	TermEnd   int32 `parquet:"termEnd"`
	Custom    bool  `parquet:"customTermEnd"`
	MonthEnd  int32 `parquet:"monthEnd"`
	Trial     bool  `parquet:"trial"`
	Plan      int32 `parquet:"plan"`
	TrialPlan int32 `parquet:"trialPlan"`

	CycleFirst  int32 `parquet:"cycleFirst"`
	CycleLast   int32 `parquet:"cycleLast"`
	CycleDays   int32 `parquet:"cycleDays"`
	CycleMonths int32 `parquet:"cycleMonths"`

	Suspended bool   `parquet:"suspended"`
	Start     int64  `parquet:"start"`
	Quantity  int64  `parquet:"quantity"`
	Layers    []byte `parquet:"layers,dict"` // empty: one layer, its window closed
	AutoRenew bool   `parquet:"autoRenew"`
	Promotion string `parquet:"promotion,dict"`
	Touched   bool   `parquet:"touched"`
	Upgraded  bool   `parquet:"upgraded"`

	NextTerm           bool   `parquet:"nextTerm"` // whether the next* columns hold instructions
	NextProductID      string `parquet:"nextProductId,dict"`
	NextSkuID          string `parquet:"nextSkuId,dict"`
	NextTermDuration   string `parquet:"nextTermDuration,dict"`
	NextBillingCycle   string `parquet:"nextBillingCycle,dict"`
	NextAvailabilityID string `parquet:"nextAvailabilityId,dict"`
	NextPromotionID    string `parquet:"nextPromotionId,dict"`
	NextQuantity       *int64 `parquet:"nextQuantity,optional"`
	NextCustomTermEnd  int32  `parquet:"nextCustomTermEndDate"`

	Asked        string `parquet:"asked,dict"`
	UnitPrice    string `parquet:"unitPrice,dict"`
	Currency     string `parquet:"currency,dict"`
	PromotionID  string `parquet:"promotionId,dict"`
	Discount     string `parquet:"discount,dict"`
	ProductTitle string `parquet:"productTitle,dict"`
	SkuTitle     string `parquet:"skuTitle,dict"`
	Publisher    string `parquet:"publisher,dict"`
	Market       string `parquet:"market,dict"`
	Month        int32  `parquet:"month"`
	File         string `parquet:"file,dict"`
	SHA256       string `parquet:"sha256,dict"`
	Line         int64  `parquet:"line"`
}

func newStandingRow(customerID string, s *subscription.Standing) standingRow {
	t, k := s.Term, s.Term.Lock
	r := standingRow{
		CustomerID: customerID, SubscriptionID: t.SubscriptionID, OrderID: t.OrderID, AvailabilityID: t.AvailabilityID,
		AddOn: t.AddOn, ProductID: t.SKU.ProductID, SkuID: t.SKU.SkuID,
		Term: int32(t.Span.Term), TermStart: int32(t.Span.Start), TermEnd: int32(t.Span.End), Custom: t.Span.Custom,
		MonthEnd: int32(t.Span.MonthEnd), Trial: t.Span.Trial, Plan: int32(t.Plan), TrialPlan: int32(s.TrialPlan),
		CycleFirst: int32(s.Cycle.First), CycleLast: int32(s.Cycle.Last), CycleDays: int32(s.Cycle.Days), CycleMonths: int32(s.Cycle.Months),
		Suspended: s.Suspended, Start: int64(s.Start), Quantity: s.Quantity, Layers: encodeLayers(s.Layers), AutoRenew: s.AutoRenew,
		Promotion: s.Promotion, Touched: s.Touched, Upgraded: s.Upgraded,
		Asked: k.Asked, UnitPrice: k.UnitPrice.String(), Currency: k.Currency, PromotionID: k.PromotionID, Discount: k.Discount.String(),
		ProductTitle: k.ProductTitle, SkuTitle: k.SkuTitle, Publisher: k.Publisher,
		Market: k.Source.Market, Month: int32(k.Source.Month), File: k.Source.File, SHA256: k.Source.SHA256, Line: int64(k.Source.Line),
	}
	if n := s.Next; n != nil {
		r.NextTerm = true
		r.NextProductID, r.NextSkuID, r.NextTermDuration, r.NextBillingCycle = n.SKU.ProductID, n.SKU.SkuID, n.TermDuration, n.BillingCycle
		r.NextAvailabilityID, r.NextPromotionID = n.AvailabilityID, n.PromotionID
		r.NextQuantity, r.NextCustomTermEnd = n.Quantity, int32(n.CustomTermEnd)
	}
	return r
}

// encodeLayers writes layers oldest first as seats, instant and whether the
// window is closed, in varints; the one layer of most is left out.
func encodeLayers(layers []subscription.Layer) []byte {
	if len(layers) == 1 && layers[0].Closed {
		return nil
	}
	var b []byte
	for _, l := range layers {
		b = binary.AppendVarint(b, l.Seats)
		b = binary.AppendVarint(b, int64(l.Added))
		closed := int64(0)
		if l.Closed {
			closed = 1
		}
		b = binary.AppendVarint(b, closed)
	}
	return b
}

// Pending is a data object that is ready but not written yet.
type Pending struct {
	data    []byte
	records int64
}

// SameData reports whether pending objects are the ones that were written.
func SameData(pending []Pending, written []Object) bool {
	return slices.EqualFunc(pending, written, func(p Pending, o Object) bool {
		sum := sha256.Sum256(p.data)
		return hex.EncodeToString(sum[:]) == o.SHA256
	})
}

// Put writes pending objects.
func (l Ledger) Put(ctx context.Context, pending []Pending) ([]Object, error) {
	var objects []Object
	for _, p := range pending {
		o, err := l.Data(ctx, "parquet", p.data, p.records)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// standingChunk is how many rows an object of standings has: what is encoded at
// a time. Objects follow each other in the order of the customers.
const standingChunk = 65_536

// Standings collects where customers stand at a close, in the order of their
// ids. What it holds is encoded already, but for the last chunk.
type Standings struct {
	customers     []standingCustomerRow
	subscriptions []standingRow

	encodedCustomers, encodedSubscriptions []Pending
}

// Add takes the next customer.
func (s *Standings) Add(c *Standing) error {
	s.customers = append(s.customers, standingCustomerRow{c.CustomerID, c.LookBack, int64(c.Ended), c.Seen.encode()})
	for i := range c.Subscriptions {
		s.subscriptions = append(s.subscriptions, newStandingRow(c.CustomerID, &c.Subscriptions[i]))
	}
	if len(s.customers) < standingChunk && len(s.subscriptions) < standingChunk {
		return nil
	}
	return s.flush()
}

func (s *Standings) flush() (err error) {
	if s.encodedCustomers, err = flush(s.encodedCustomers, &s.customers); err == nil {
		s.encodedSubscriptions, err = flush(s.encodedSubscriptions, &s.subscriptions)
	}
	return err
}

func flush[Row any](done []Pending, rows *[]Row) ([]Pending, error) {
	if len(*rows) == 0 {
		return done, nil
	}
	data, err := encode(*rows)
	p := Pending{data, int64(len(*rows))}
	clear(*rows)
	*rows = (*rows)[:0]
	return append(done, p), err
}

// Finish returns what is to be written: customers, then their subscriptions.
func (s *Standings) Finish() (customers, subscriptions []Pending, err error) {
	if err := s.flush(); err != nil {
		return nil, nil, fmt.Errorf("state at close: %w", err)
	}
	return s.encodedCustomers, s.encodedSubscriptions, nil
}

// chain reads objects that follow each other in order as one.
type chain[Row any] struct {
	//nolint:containedctx // objects are opened when the reading reaches them, within the run that the context is of
	ctx     context.Context
	ledger  Ledger
	objects []Object
	column  string
	batch   int
	of      func(*Row) string

	open *sorted[Row]
}

func (c *chain[Row]) head() (*Row, error) {
	for {
		if c.open == nil {
			if len(c.objects) == 0 {
				return nil, nil
			}
			open, err := openSorted(c.ctx, c.ledger, c.objects[0], openRows[Row], c.column, c.batch, c.of)
			if err != nil {
				return nil, err
			}
			c.open, c.objects = open, c.objects[1:]
		}
		row, err := c.open.head()
		if err != nil || row != nil {
			return row, err
		}
		c.close()
	}
}

func (c *chain[Row]) next() { c.open.next() }

// take returns the rows of one text, which must not be before an earlier one.
func (c *chain[Row]) take(text string, each func(*Row) error) error {
	for {
		if c.open != nil {
			if err := c.open.seek(text); err != nil {
				return err
			}
		}
		row, err := c.head()
		if err != nil || row == nil || c.of(row) > text {
			return err
		}
		if c.of(row) < text {
			continue // a new object: seek in it
		}
		if err := each(row); err != nil {
			return fmt.Errorf("read %s: %w", c.open.key, err)
		}
		c.next()
	}
}

func (c *chain[Row]) close() {
	if c.open != nil {
		c.open.close()
		c.open = nil
	}
}

// PutParties keeps customers' facts in the order of their ids.
func (l Ledger) PutParties(ctx context.Context, customers []party.Customer) ([]Object, error) {
	slices.SortFunc(customers, func(a, b party.Customer) int { return cmp.Compare(a.ID, b.ID) })
	var objects []Object
	for chunk := range slices.Chunk(customers, standingChunk) {
		o, err := l.PutCustomers(ctx, chunk)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// PutStandingOffers keeps the offer matrix as it stands.
func (l Ledger) PutStandingOffers(ctx context.Context, offers []pricing.Offer) ([]Object, error) {
	if len(offers) == 0 {
		return nil, nil
	}
	slices.SortFunc(offers, func(a, b pricing.Offer) int {
		return cmp.Or(cmp.Compare(a.ProductID, b.ProductID), cmp.Compare(a.SkuID, b.SkuID))
	})
	o, err := l.PutOffers(ctx, offers)
	return []Object{o}, err
}
