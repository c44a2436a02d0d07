package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/calends/calends/exports"
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
	locks      []ledger.Lock
	state      state
	policies   map[string]invoice.Policies
}

// state is what a close keeps for the next month to begin with.
type state struct {
	customers, subscriptions []ledger.Pending
	parties                  []party.Customer
	offers                   []pricing.Offer
}

type partnerInvoice struct {
	*invoice.Invoice
	lines []*invoice.Line
	seats invoice.Seats // of all customers whose partner it is in the month
}

// shardSize is how many changes a shard has at least: a shard is a run of whole
// customers in id order, so its borders come from the data alone.
const shardSize = 4096

type shard struct {
	number    int
	customers []customer
}

type shardResult struct {
	outcomes []invoice.Outcome
	err      error
}

// compute bills every customer for the month. With closing, invoices get their
// numbers and what the next month begins with is kept, as a close wants it.
func (e Env) compute(ctx context.Context, at snapshot, month pricing.Month, closing bool) (*computed, error) {
	r, err := e.prepare(ctx, at, month)
	if err != nil {
		return nil, err
	}
	m := &merged{ready: r, closing: closing, stale: make(map[subscription.StaleSheet]bool), partners: make(map[string][]*invoice.Line), seats: make(map[string]invoice.Seats)}
	m.published = sync.OnceValues(func() (map[exceptionKey]bool, error) { return e.readPublished(ctx, at) })
	if err := e.billShards(ctx, r, e.customers(ctx, at, r), recordCount(at.inputs, r), m.add); err != nil {
		return nil, err
	}
	if err := r.catalog.Err(); err != nil {
		return nil, err
	}
	return m.finish()
}

// ready is what all customers of a month are billed with.
type ready struct {
	month   pricing.Month
	catalog *ledger.Catalog
	books   invoice.Books
	// since is the close whose state the month begins with; nil: the beginning.
	since *ledger.Close
	// elsewhere are the charges of the month that were rated elsewhere.
	elsewhere map[string][]invoice.Elsewhere // by customer
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

// billShards bills shards on all workers and hands their outcomes on in the
// order of the customers.
func (e Env) billShards(parent context.Context, r *ready, source iter.Seq2[customer, error], total int64,
	take func(*customer, invoice.Outcome) error) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	workers := max(1, e.Workers)
	type job struct {
		shard  shard
		result chan shardResult
	}
	work := make(chan job)
	ordered := make(chan job, 2*workers) // bounds how many shards are in memory
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for j := range work {
				j.result <- r.bill(ctx, j.shard)
			}
		})
	}
	var readErr error
	wait.Go(func() {
		defer close(ordered)
		defer close(work)
		readErr = shards(source, func(s shard) bool {
			j := job{s, make(chan shardResult, 1)}
			select {
			case ordered <- j:
			case <-ctx.Done():
				return false
			}
			select {
			case work <- j:
				return true
			case <-ctx.Done():
				j.result <- shardResult{err: ctx.Err()}
				return false
			}
		})
	})
	var done int64
	var err error
	for j := range ordered {
		result := <-j.result
		if err == nil {
			err = result.err
		}
		for i := range j.shard.customers {
			if err != nil {
				break
			}
			c := &j.shard.customers[i]
			done += int64(len(c.Changes) + len(c.Standing))
			err = take(c, result.outcomes[i])
		}
		if err != nil {
			cancel()
			continue // drain, so that everyone who waits gets home
		}
		e.progress("bill "+r.month.String(), min(done, total), total)
	}
	wait.Wait()
	if err == nil {
		err = readErr
	}
	if err == nil {
		err = parent.Err() // stopped between two shards: what is here is not all
	}
	return err
}

func (r *ready) bill(ctx context.Context, s shard) (result shardResult) {
	for _, c := range s.customers {
		if err := ctx.Err(); err != nil {
			return shardResult{err: err}
		}
		outcome, err := invoice.Bill(r.catalog, r.books, r.month, c.Customer)
		if err != nil {
			return shardResult{err: err}
		}
		result.outcomes = append(result.outcomes, outcome)
	}
	return result
}

// shards groups customers.
func shards(source iter.Seq2[customer, error], yield func(shard) bool) error {
	var s shard
	size := 0
	for c, err := range source {
		if err != nil {
			return err
		}
		s.customers = append(s.customers, c)
		size += c.work()
		if size >= shardSize {
			if !yield(s) {
				return nil
			}
			s = shard{number: s.number + 1}
			size = 0
		}
	}
	if len(s.customers) > 0 {
		yield(s)
	}
	return nil
}

// merged collects outcomes in customer order.
type merged struct {
	*ready
	closing bool // invoices get numbers, and what the next month begins with is kept
	// published are the exceptions of closed months, read when one comes up.
	published func() (map[exceptionKey]bool, error)
	stale     map[subscription.StaleSheet]bool
	partners  map[string][]*invoice.Line
	seats     map[string]invoice.Seats // by partner
	standings ledger.Standings
	out       computed
}

type exceptionKey struct {
	code                          pricing.Code
	customer, subscription, event string
}

func keyOf(x invoice.Exception) exceptionKey {
	return exceptionKey{x.Code, x.CustomerID, x.SubscriptionID, x.EventID}
}

func (m *merged) add(c *customer, o invoice.Outcome) error {
	m.out.exceptions = append(m.out.exceptions, o.Exceptions...)
	if err := m.addLate(o.Late); err != nil {
		return err
	}
	for _, line := range o.Lines {
		id := line.Account.PartnerID
		partner, ok := m.catalog.Partner(id, m.month)
		if !ok {
			return fmt.Errorf("partner %s has lines in %s but was never taken in", id, m.month)
		}
		if line.Currency != partner.BillingCurrency {
			m.mismatch(line, partner.BillingCurrency)
			o.LookBack = true // it is wanted, and not issued
			continue
		}
		m.partners[id] = append(m.partners[id], line)
	}
	for _, s := range o.Stale {
		m.stale[s] = true
	}
	m.out.count.Add(o.Count)
	m.addSeats(c.ID, o.End.Seats)
	if !m.closing {
		return nil
	}
	for _, k := range o.Locks {
		m.out.locks = append(m.out.locks, ledger.Lock{CustomerID: k.CustomerID, Key: k.Key, Lock: k.Lock})
	}
	if s := c.standing(m.month, o); s != nil {
		return m.standings.Add(s)
	}
	return nil
}

// addSeats counts a customer's seats for its partner of the month. Without a
// known one nobody is billed for them.
func (m *merged) addSeats(customerID string, s invoice.Seats) {
	if s == (invoice.Seats{}) {
		return
	}
	if payer, code := m.catalog.Payer(customerID, m.month); code == "" {
		sum := m.seats[payer.Partner.ID]
		sum.Add(s)
		m.seats[payer.Partner.ID] = sum
	}
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

// mismatch refuses a line of another currency than the invoice's: a correction
// of a month that was billed before the partner changed its currency.
func (m *merged) mismatch(l *invoice.Line, currency string) {
	m.out.mismatched++
	m.out.exceptions = append(m.out.exceptions, invoice.Exception{Severity: invoice.Error, Code: pricing.CurrencyMismatch,
		PartnerID: l.Account.PartnerID, CustomerID: l.Account.CustomerID, SubscriptionID: l.SubscriptionID, Month: m.month,
		Message: fmt.Sprintf("%s of %s is not billed: it is in %s, the invoice in %s", l.ChargeType, l.OrderDate, l.Currency, currency)})
}

// finish consolidates the lines by partner.
func (m *merged) finish() (*computed, error) {
	m.out.month, m.out.books, m.out.catalog = m.month, m.books, m.catalog
	m.out.policies = make(map[string]invoice.Policies)
	for id := range m.catalog.Partners {
		m.out.policies[id] = ledger.PolicyNames(m.catalog.PoliciesIn(id, m.month))
	}
	for s := range m.stale {
		m.out.exceptions = append(m.out.exceptions, invoice.Exception{Severity: invoice.Warning, Code: pricing.PriceListStale, Month: m.month,
			Message: fmt.Sprintf("market %s has no price sheet for %s: that of %s governs", s.Market, s.Month, s.Governs)})
	}
	for _, id := range slices.Sorted(maps.Keys(m.partners)) {
		partner, _ := m.catalog.Partner(id, m.month)
		lines := m.partners[id]
		inv, err := invoice.Consolidate(m.month, partner, m.out.policies[id], lines)
		if err != nil {
			return nil, err
		}
		if m.closing {
			inv.Number = invoice.Number(m.month, len(m.out.invoices)+1)
			for _, line := range lines {
				line.InvoiceNumber = inv.Number
			}
		}
		m.out.invoices = append(m.out.invoices, partnerInvoice{inv, lines, m.seats[id]})
	}
	m.out.rates = usedRates(m.out.invoices)
	if m.closing {
		if err := m.keepState(); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(m.out.exceptions, func(a, b invoice.Exception) int {
		return cmp.Or(strings.Compare(a.PartnerID, b.PartnerID), strings.Compare(a.CustomerID, b.CustomerID),
			strings.Compare(a.SubscriptionID, b.SubscriptionID), strings.Compare(a.Message, b.Message))
	})
	return &m.out, nil
}

// keepState gathers what the next month begins with.
func (m *merged) keepState() (err error) {
	if m.out.state.customers, m.out.state.subscriptions, err = m.standings.Finish(); err != nil {
		return err
	}
	m.out.state.parties = slices.Collect(m.catalog.Customers)
	m.out.state.offers = slices.Collect(m.catalog.Offers)
	return nil
}

// usedRates lists the exchange rates that lines used, for the close to keep.
func usedRates(invoices []partnerInvoice) []ledger.RateRef {
	used := make(map[ledger.RateRef]bool)
	for _, inv := range invoices {
		for _, l := range inv.lines {
			if l.Proof != nil && l.PricingCurrency != l.Currency {
				used[ledger.RateRef{Month: l.OrderDate.Month().String(), Pricing: l.PricingCurrency, Billing: l.Currency, Rate: l.ExchangeRate.String()}] = true
			}
		}
	}
	rates := slices.Collect(maps.Keys(used))
	slices.SortFunc(rates, func(a, b ledger.RateRef) int {
		return strings.Compare(a.Month+a.Pricing+a.Billing+a.Rate, b.Month+b.Pricing+b.Billing+b.Rate)
	})
	return rates
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
