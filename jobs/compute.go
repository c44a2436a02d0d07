package jobs

import (
	"bytes"
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
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// computed is a month as the ledger wants it, before any file is written.
type computed struct {
	month      pricing.Month
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
	policies   map[string]invoice.Policies
}

type partnerInvoice struct {
	*invoice.Invoice
	lines []*invoice.Line
}

// shardSize is how many changes a shard has at least: a shard is a run of whole
// customers in id order, so its borders come from the data alone.
const shardSize = 4096

type shard struct {
	number    int
	customers []invoice.Customer
}

type shardResult struct {
	outcomes []invoice.Outcome
	err      error
}

// compute bills every customer for the month. With number, invoices get their
// numbers, as closing gives them.
func (e Env) compute(ctx context.Context, at snapshot, month pricing.Month, number bool) (*computed, error) {
	r, err := e.prepare(ctx, at, month)
	if err != nil {
		return nil, err
	}
	m := &merged{month: month, closing: number, books: r.books, catalog: r.catalog, published: r.published, stale: make(map[subscription.StaleSheet]bool)}
	source := customers(e.ledger().Histories(ctx, at.inputs), r.elsewhere, r.issued)
	if err := e.billShards(ctx, r.catalog, r.books, month, source, changeCount(at.inputs), m.add); err != nil {
		return nil, err
	}
	return m.finish()
}

// ready is what the customers of a month are billed with, besides their changes.
type ready struct {
	catalog   *ledger.Catalog
	books     invoice.Books
	issued    map[string][]invoice.Issued // by customer, when corrections belong to the month
	published map[exceptionKey]bool       // exceptions of closed months, likewise
	elsewhere map[string][]invoice.Elsewhere
}

func (e Env) prepare(ctx context.Context, at snapshot, month pricing.Month) (r ready, err error) {
	r = ready{books: ledger.Books(at.closes), issued: make(map[string][]invoice.Issued)}
	if r.catalog, err = e.ledger().Load(ctx, at.inputs, at.closes, e.Policies); err != nil {
		return r, err
	}
	if r.books.FirstOpen(month) {
		if r.issued, r.published, err = e.readIssued(ctx, at); err != nil {
			return r, err
		}
	}
	r.elsewhere, err = e.readElsewhere(ctx, at, month)
	return r, err
}

func changeCount(inputs []ledger.Input) (n int64) {
	for _, in := range inputs {
		if in.Kind == ledger.Changes {
			n += in.Records
		}
	}
	return n
}

// billShards bills shards on all workers and hands their outcomes on in the
// order of the customers.
func (e Env) billShards(parent context.Context, world invoice.World, books invoice.Books, month pricing.Month,
	source iter.Seq2[invoice.Customer, error], total int64, take func(string, invoice.Outcome) error) error {
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
				j.result <- bill(ctx, world, books, month, j.shard)
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
		for i, c := range j.shard.customers {
			if err != nil {
				break
			}
			done += int64(len(c.Changes))
			err = take(c.ID, result.outcomes[i])
		}
		if err != nil {
			cancel()
			continue // drain, so that everyone who waits gets home
		}
		e.progress("bill "+month.String(), done, total)
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

func bill(ctx context.Context, world invoice.World, books invoice.Books, month pricing.Month, s shard) (r shardResult) {
	for _, c := range s.customers {
		if err := ctx.Err(); err != nil {
			return shardResult{err: err}
		}
		outcome, err := invoice.Bill(world, books, month, c)
		if err != nil {
			return shardResult{err: err}
		}
		r.outcomes = append(r.outcomes, outcome)
	}
	return r
}

// shards groups customers.
func shards(source iter.Seq2[invoice.Customer, error], yield func(shard) bool) error {
	var s shard
	size := 0
	for c, err := range source {
		if err != nil {
			return err
		}
		s.customers = append(s.customers, c)
		size += 1 + len(c.Changes) + len(c.Issued) + len(c.Elsewhere)
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

// customers joins what came in for each customer, in id order. It consumes the maps.
func customers(histories iter.Seq2[ledger.History, error], elsewhere map[string][]invoice.Elsewhere, issued map[string][]invoice.Issued) iter.Seq2[invoice.Customer, error] {
	return func(yield func(invoice.Customer, error) bool) {
		var others []string
		for id := range elsewhere {
			others = append(others, id)
		}
		for id := range issued {
			if _, both := elsewhere[id]; !both {
				others = append(others, id)
			}
		}
		slices.Sort(others)
		customer := func(id string, h ledger.History) invoice.Customer {
			return invoice.Customer{ID: id, Changes: h.Changes, Conflicts: h.Conflicts, Elsewhere: elsewhere[id], Issued: issued[id]}
		}
		for h, err := range histories {
			if err != nil {
				yield(invoice.Customer{}, err)
				return
			}
			for len(others) > 0 && others[0] < h.CustomerID {
				if !yield(customer(others[0], ledger.History{}), nil) {
					return
				}
				others = others[1:]
			}
			if len(others) > 0 && others[0] == h.CustomerID {
				others = others[1:]
			}
			if !yield(customer(h.CustomerID, h), nil) {
				return
			}
		}
		for _, id := range others {
			if !yield(customer(id, ledger.History{}), nil) {
				return
			}
		}
	}
}

// merged collects outcomes in customer order.
type merged struct {
	month     pricing.Month
	closing   bool // invoices get numbers, and locks are kept
	books     invoice.Books
	catalog   *ledger.Catalog
	published map[exceptionKey]bool // exceptions of closed months
	stale     map[subscription.StaleSheet]bool
	partners  map[string][]*invoice.Line
	out       computed
}

type exceptionKey struct {
	code                          pricing.Code
	customer, subscription, event string
}

func keyOf(x invoice.Exception) exceptionKey {
	return exceptionKey{x.Code, x.CustomerID, x.SubscriptionID, x.EventID}
}

func (m *merged) add(customer string, o invoice.Outcome) error {
	m.out.exceptions = append(m.out.exceptions, o.Exceptions...)
	for _, x := range o.Late {
		// A line parked for want of a rate is named until there is one.
		if !m.published[keyOf(x)] || x.Code == pricing.FXRateNotFound {
			m.out.late = append(m.out.late, x)
		}
	}
	if m.partners == nil {
		m.partners = make(map[string][]*invoice.Line)
	}
	for _, line := range o.Lines {
		id := line.Account.PartnerID
		m.partners[id] = append(m.partners[id], line)
	}
	for _, s := range o.Stale {
		m.stale[s] = true
	}
	for _, k := range o.Locks {
		if !m.closing {
			break // only a close keeps them
		}
		m.out.locks = append(m.out.locks, ledger.Lock{CustomerID: k.CustomerID, Key: k.Key, Lock: k.Lock})
	}
	m.out.count.Add(o.Count)
	return nil
}

// finish consolidates the lines by partner.
func (m *merged) finish() (*computed, error) {
	m.out.month = m.month
	m.out.policies = make(map[string]invoice.Policies)
	for id := range m.catalog.Partners {
		m.out.policies[id] = ledger.PolicyNames(m.catalog.PoliciesIn(id, m.month))
	}
	for s := range m.stale {
		m.out.exceptions = append(m.out.exceptions, invoice.Exception{Severity: invoice.Warning, Code: pricing.PriceListStale, Month: m.month,
			Message: fmt.Sprintf("market %s has no price sheet for %s: that of %s governs", s.Market, s.Month, s.Governs)})
	}
	var ids []string
	for id := range m.partners {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		partner, ok := m.catalog.Partner(id, m.month)
		if !ok {
			return nil, fmt.Errorf("partner %s has lines in %s but was never taken in", id, m.month)
		}
		lines := m.ofCurrency(partner.BillingCurrency, m.partners[id])
		if len(lines) == 0 {
			continue
		}
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
		m.out.invoices = append(m.out.invoices, partnerInvoice{inv, lines})
	}
	m.out.rates = usedRates(m.out.invoices)
	slices.SortStableFunc(m.out.exceptions, func(a, b invoice.Exception) int {
		return cmp.Or(strings.Compare(a.PartnerID, b.PartnerID), strings.Compare(a.CustomerID, b.CustomerID),
			strings.Compare(a.SubscriptionID, b.SubscriptionID), strings.Compare(a.Message, b.Message))
	})
	return &m.out, nil
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

// ofCurrency refuses lines of another currency than the invoice's: corrections
// of months that were billed before the partner changed its currency.
func (m *merged) ofCurrency(currency string, lines []*invoice.Line) []*invoice.Line {
	kept := lines[:0:0]
	for _, l := range lines {
		if l.Currency == currency {
			kept = append(kept, l)
			continue
		}
		m.out.mismatched++
		m.out.exceptions = append(m.out.exceptions, invoice.Exception{Severity: invoice.Error, Code: pricing.CurrencyMismatch,
			PartnerID: l.Account.PartnerID, CustomerID: l.Account.CustomerID, SubscriptionID: l.SubscriptionID, Month: m.month,
			Message: fmt.Sprintf("%s of %s is not billed: it is in %s, the invoice in %s", l.ChargeType, l.OrderDate, l.Currency, currency)})
	}
	return kept
}

// readIssued reads the lines of all closed months by customer, and which
// exceptions they published.
func (e Env) readIssued(ctx context.Context, at snapshot) (map[string][]invoice.Issued, map[exceptionKey]bool, error) {
	issued := make(map[string][]invoice.Issued)
	published := make(map[exceptionKey]bool)
	for _, m := range at.months {
		if !ledger.Books(at.closes).IsClosed(m.Month) {
			continue
		}
		prefix := ledger.RevisionPrefix(m.Month, m.Current.Revision)
		for _, inv := range m.Current.Invoices {
			row := 0
			err := e.readLines(ctx, prefix+partnerFile(inv.PartnerID, csvName), func(l *invoice.Line) {
				row++
				id := l.Account.CustomerID
				issued[id] = append(issued[id], invoice.Issued{Line: l, Row: row})
			})
			if err != nil {
				return nil, nil, err
			}
		}
		exceptions, err := e.readExceptions(ctx, m)
		if err != nil {
			return nil, nil, err
		}
		for _, x := range exceptions {
			published[keyOf(x)] = true
		}
	}
	return issued, published, nil
}

func (e Env) readExceptions(ctx context.Context, m ledger.Month) ([]invoice.Exception, error) {
	key := ledger.RevisionPrefix(m.Month, m.Current.Revision) + exceptionsName
	data, err := bucket.ReadAll(ctx, e.Bucket, key)
	if err != nil {
		return nil, err
	}
	exceptions, err := exports.ReadExceptions(bytes.NewReader(data), m.Month)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return exceptions, nil
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

// readElsewhere reads the charges rated elsewhere, by customer: of the month,
// and of closed ones where their corrections belong to it. Of two files with
// one partner and invoice number the later counts, for whatever open month.
func (e Env) readElsewhere(ctx context.Context, at snapshot, month pricing.Month) (map[string][]invoice.Elsewhere, error) {
	books := ledger.Books(at.closes)
	latest := make(map[chargeDocument]int64)
	byInput := make(map[int64][]invoice.Elsewhere)
	var order []int64
	for _, in := range at.inputs {
		if in.Kind != ledger.Charges {
			continue
		}
		of, err := pricing.ParseMonth(in.Month)
		if err != nil {
			return nil, fmt.Errorf("input %d: %w", in.Number, err)
		}
		late := books.FirstOpen(month) && books.IsClosed(of)
		wanted := of == month || late
		if !wanted && books.IsClosed(of) {
			continue
		}
		order = append(order, in.Number)
		for _, o := range in.Objects {
			err := e.readLines(ctx, o.Key, func(l *invoice.Line) {
				latest[documentOf(l, of)] = in.Number
				if wanted {
					byInput[in.Number] = append(byInput[in.Number], invoice.Elsewhere{Line: l, Month: of})
				}
			})
			if err != nil {
				return nil, err
			}
		}
	}
	charges := make(map[string][]invoice.Elsewhere)
	for _, number := range order {
		for _, c := range byInput[number] {
			if latest[documentOf(c.Line, c.Month)] != number {
				continue
			}
			line := *c.Line
			line.InvoiceNumber = "" // Microsoft's; ours comes at close
			c.Line = &line
			id := line.Account.CustomerID
			charges[id] = append(charges[id], c)
		}
	}
	return charges, nil
}
