package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/jobs/internal/aside"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// computed is a month as the ledger wants it, before any file is written.
type computed struct {
	month      pricing.Month
	books      invoice.Books    // as they were before it
	catalog    *ledger.Catalog  // what it was computed with
	invoices   []partnerInvoice // in PartnerId order
	exceptions []invoice.Exception
	// late are exceptions of closed months that those did not publish: what
	// late arrivals brought.
	late  []invoice.Exception
	rates []ledger.RateRef
	// mismatched counts lines of closed months that no invoice can hold.
	mismatched int
	count      subscription.Count
	locks      []ledger.Pending
	state      state
	policies   map[string]invoice.Policies
	shelf      *aside.Shelf // where the lines are
}

// state is what a close keeps for the next month to begin with.
type state struct {
	customers, subscriptions []ledger.Pending
	parties                  []party.Customer
	offers                   []pricing.Offer
}

type partnerInvoice struct {
	*invoice.Invoice
	lines lines
	seats invoice.Seats // of all customers whose partner it is in the month
}

// compute bills every customer for the month. With closing, invoices get their
// numbers and what the next month begins with is kept, as a close wants it. The
// caller closes what it gets.
func (e Env) compute(ctx context.Context, at snapshot, month pricing.Month, closing bool) (_ *computed, err error) {
	begin := time.Now()
	r, err := e.prepare(ctx, at, month)
	if err != nil {
		return nil, err
	}
	e.stage("read facts", time.Since(begin))
	r.closing = closing
	m := &merged{ready: r, stale: make(map[subscription.StaleSheet]bool), partners: make(map[string]*partnerLines), seats: make(map[string]invoice.Seats)}
	m.out = &computed{month: r.month, books: r.books, catalog: r.catalog, shelf: aside.New("", cmp.Or(e.memory, linesInMemory)), policies: make(map[string]invoice.Policies)}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.out.close())
		}
	}()
	for id := range r.catalog.Partners {
		m.out.policies[id] = ledger.PolicyNames(r.catalog.PoliciesIn(id, month))
	}
	m.published = sync.OnceValues(func() (map[exceptionKey]bool, error) { return e.readPublished(ctx, at) })
	begin = time.Now()
	if err := e.billShards(ctx, r, e.customers(ctx, at, r), recordCount(at.inputs, r), m.add); err != nil {
		return nil, err
	}
	e.stage("read and bill", time.Since(begin))
	if err := r.catalog.Err(); err != nil {
		return nil, err
	}
	return m.out, m.finish()
}

// linesInMemory is how many bytes of lines a month holds before it puts the rest
// aside in a file: some half a million.
const linesInMemory = 128 << 20

// close lets go of the lines.
func (c *computed) close() error { return c.shelf.Close() }

// ready is what all customers of a month are billed with.
type ready struct {
	month   pricing.Month
	closing bool // invoices get numbers, and what the next month begins with is kept
	catalog *ledger.Catalog
	books   invoice.Books
	// since is the close whose state the month begins with; nil: the beginning.
	since *ledger.Close
	// elsewhere are the charges of the month that were rated elsewhere.
	elsewhere map[string][]invoice.Elsewhere // by customer
	spare     invoice.Spare
}

func (e Env) prepare(ctx context.Context, at snapshot, month pricing.Month) (r *ready, err error) {
	r = &ready{month: month, books: ledger.Books(at.closes)}
	if !e.WholeHistory {
		r.since = lastState(at.closes)
	}
	if r.catalog, err = e.ledger().Load(ctx, at.inputs, at.closes, r.since, e.Policies); err != nil {
		return nil, err
	}
	r.elsewhere, err = e.readElsewhere(ctx, at, func(of pricing.Month) bool { return of == month })
	return r, err
}

// lastState is the last close, when that and all before it kept their state.
func lastState(closes []ledger.Close) *ledger.Close {
	if len(closes) == 0 || slices.ContainsFunc(closes, func(k ledger.Close) bool { return k.AtClose == nil }) {
		return nil
	}
	return &closes[len(closes)-1]
}

// recordCount is about how many records there are to go through.
func recordCount(inputs []ledger.Input, r *ready) (n int64) {
	span := ledger.Span{Since: r.since, Until: r.month}
	if r.since != nil {
		for _, o := range r.since.AtClose.Subscriptions {
			n += o.Records
		}
	}
	return n + span.Records(inputs)
}

// merged collects shards in the order of the customers.
type merged struct {
	*ready
	// published are the exceptions of closed months, read when one comes up.
	published func() (map[exceptionKey]bool, error)
	stale     map[subscription.StaleSheet]bool
	partners  map[string]*partnerLines
	seats     map[string]invoice.Seats // by partner
	standings ledger.Standings
	locks     ledger.Locks
	out       *computed
}

// partnerLines are one partner's lines as they come, shard by shard.
type partnerLines struct {
	consolidation *invoice.Consolidation
	lines         lines
}

type exceptionKey struct {
	code                          pricing.Code
	customer, subscription, event string
}

func keyOf(x invoice.Exception) exceptionKey {
	return exceptionKey{x.Code, x.CustomerID, x.SubscriptionID, x.EventID}
}

func (m *merged) add(s *billedShard) error {
	m.out.exceptions = append(m.out.exceptions, s.exceptions...)
	m.out.mismatched += s.mismatched
	if err := m.addLate(s.late); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(s.lines)) {
		for _, block := range s.lines[id] {
			if err := m.addLines(id, block); err != nil {
				return err
			}
		}
	}
	for _, one := range s.stale {
		m.stale[one] = true
	}
	m.out.count.Add(s.count)
	for id, seats := range s.seats {
		sum := m.seats[id]
		sum.Add(seats)
		m.seats[id] = sum
	}
	for _, lock := range s.locks {
		if err := m.locks.Add(lock); err != nil {
			return err
		}
	}
	for _, standing := range s.standings {
		if err := m.standings.Add(standing); err != nil {
			return err
		}
	}
	return nil
}

func (m *merged) addLines(partnerID string, block *invoice.Block) error {
	p, ok := m.partners[partnerID]
	if !ok {
		partner, known := m.catalog.Partner(partnerID, m.month)
		if !known {
			return fmt.Errorf("partner %s has lines in %s but was never taken in", partnerID, m.month)
		}
		c, err := invoice.NewConsolidation(m.month, partner, m.out.policies[partnerID])
		if err != nil {
			return err
		}
		p = &partnerLines{consolidation: c}
		m.partners[partnerID] = p
	}
	if err := p.consolidation.Add(block); err != nil {
		return err
	}
	kept, err := m.out.shelf.Put(block)
	if err != nil {
		return err
	}
	if kept.InFile() {
		m.spare.Give(block)
	}
	p.lines.kept = append(p.lines.kept, kept)
	return nil
}

// addLate keeps the exceptions that closed months did not publish. A line
// parked for want of a rate is named until there is one.
func (m *merged) addLate(late []invoice.Exception) error {
	if len(late) == 0 {
		return nil
	}
	published, err := m.published()
	if err != nil {
		return err
	}
	for _, x := range late {
		if !published[keyOf(x)] || x.Code == pricing.FXRateNotFound {
			m.out.late = append(m.out.late, x)
		}
	}
	return nil
}

// finish makes the invoices.
func (m *merged) finish() error {
	for s := range m.stale {
		m.out.exceptions = append(m.out.exceptions, invoice.Exception{Severity: invoice.Warning, Code: pricing.PriceListStale, Month: m.month,
			Message: fmt.Sprintf("market %s has no price sheet for %s: that of %s governs", s.Market, s.Month, s.Governs)})
	}
	rates := make(map[ledger.RateRef]bool)
	for _, id := range slices.Sorted(maps.Keys(m.partners)) {
		p := m.partners[id]
		inv := p.consolidation.Invoice()
		if m.closing {
			inv.Number = invoice.Number(m.month, len(m.out.invoices)+1)
			p.lines.number(id, inv.Number)
		}
		m.out.invoices = append(m.out.invoices, partnerInvoice{inv, p.lines, m.seats[id]})
		for _, r := range p.consolidation.Exchanged() {
			rates[ledger.RateRef{Month: r.Month.String(), Pricing: r.PricingCurrency, Billing: inv.Currency, Rate: r.Rate}] = true
		}
	}
	m.out.rates = slices.SortedFunc(maps.Keys(rates), func(a, b ledger.RateRef) int {
		return strings.Compare(a.Month+a.Pricing+a.Billing+a.Rate, b.Month+b.Pricing+b.Billing+b.Rate)
	})
	if m.closing {
		if err := m.keepState(); err != nil {
			return err
		}
	}
	slices.SortStableFunc(m.out.exceptions, func(a, b invoice.Exception) int {
		return cmp.Or(strings.Compare(a.PartnerID, b.PartnerID), strings.Compare(a.CustomerID, b.CustomerID),
			strings.Compare(a.SubscriptionID, b.SubscriptionID), strings.Compare(a.Message, b.Message))
	})
	return nil
}

// keepState gathers what the next month begins with.
func (m *merged) keepState() (err error) {
	if m.out.state.customers, m.out.state.subscriptions, err = m.standings.Finish(); err != nil {
		return err
	}
	if m.out.locks, err = m.locks.Finish(); err != nil {
		return err
	}
	m.out.state.parties = slices.Collect(m.catalog.Customers)
	m.out.state.offers = slices.Collect(m.catalog.Offers)
	return nil
}

// readLines reads a reconciliation file of the bucket.
func (e Env) readLines(ctx context.Context, key string, each func(*invoice.Line)) (err error) {
	object, err := e.Bucket.Open(ctx, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	for line, err := range exports.ReadLines(io.Reader(object)) {
		if err != nil {
			return fmt.Errorf("read %s: %w", key, err)
		}
		each(line)
	}
	return nil
}
