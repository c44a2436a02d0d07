package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// lookback gathers all that a customer's whole history is billed from: its
// changes, what closed months used and issued, and charges rated elsewhere.
// Customers must be asked for in the order of their ids.
type lookback struct {
	*ready
	past    *ledger.Past // nil when the changes given are all
	locks   *ledger.UsedLocks
	parties *ledger.Parties
	issued  *issuedLines // nil when no corrections belong to the month
	// charges are those of closed months.
	charges func() (map[string][]invoice.Elsewhere, error)
}

// customer makes a customer of its changes, whole or only the recent ones.
func (b *lookback) customer(id string, recent []*change.Change) (c invoice.Customer, err error) {
	all := recent
	if b.past != nil {
		past, err := b.past.Of(id)
		if err != nil {
			return c, err
		}
		all = append(past, recent...)
	}
	h := ledger.NewHistory(id, all)
	c = invoice.Customer{ID: id, Changes: h.Changes, Conflicts: h.Conflicts, Elsewhere: slices.Clone(b.elsewhere[id])}
	if c.Locks, err = b.locks.Of(id); err != nil {
		return c, err
	}
	if b.parties != nil {
		known, err := b.parties.Of(id)
		if err != nil {
			return c, err
		}
		b.catalog.Remember(id, known)
	}
	if b.issued == nil {
		return c, nil
	}
	if c.Issued, err = b.issued.of(id); err != nil {
		return c, err
	}
	charges, err := b.charges()
	c.Elsewhere = append(c.Elsewhere, charges[id]...)
	return c, err
}

func (b *lookback) close() {
	if b.past != nil {
		b.past.Close()
	}
	b.locks.Close()
	if b.parties != nil {
		b.parties.Close()
	}
	if b.issued != nil {
		b.issued.close()
	}
}

// lookback opens what customers are looked back with. since is the close whose
// state the month begins with, nil for the whole history.
func (e Env) lookback(ctx context.Context, at snapshot, r *ready) (*lookback, error) {
	b := &lookback{ready: r, locks: e.ledger().UsedLocks(ctx, at.closes)}
	if r.since != nil {
		b.past = e.ledger().Before(ctx, at.inputs, *r.since)
		b.parties = e.ledger().Parties(ctx, at.closes)
	}
	if !r.books.FirstOpen(r.month) {
		return b, nil
	}
	b.charges = sync.OnceValues(func() (map[string][]invoice.Elsewhere, error) {
		return e.readElsewhere(ctx, at, r.books.IsClosed)
	})
	var err error
	if b.issued, err = e.issuedLines(ctx, at, r.since != nil); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// issuedLines are the lines of closed months by customer: found by their places
// when every close kept them, else all read at once.
type issuedLines struct {
	env      Env
	ctx      context.Context //nolint:containedctx // files are opened when a customer is first asked for, within one run
	prefixes map[pricing.Month]string
	places   *ledger.LinesOf
	files    map[string]bucket.Object

	all map[string][]invoice.Issued
}

func (e Env) issuedLines(ctx context.Context, at snapshot, byPlace bool) (*issuedLines, error) {
	i := &issuedLines{env: e, ctx: ctx, prefixes: make(map[pricing.Month]string), files: make(map[string]bucket.Object)}
	for _, m := range at.months {
		i.prefixes[m.Month] = ledger.RevisionPrefix(m.Month, m.Current.Revision)
	}
	if byPlace {
		i.places = e.ledger().LinesOf(ctx, at.closes)
		return i, nil
	}
	var err error
	i.all, err = e.readIssued(ctx, at)
	return i, err
}

func (i *issuedLines) of(customerID string) (issued []invoice.Issued, err error) {
	if i.places == nil {
		return i.all[customerID], nil
	}
	err = i.places.Of(customerID, func(month pricing.Month, at ledger.LinesAt) error {
		lines, err := i.read(month, at)
		issued = append(issued, lines...)
		return err
	})
	return issued, err
}

func (i *issuedLines) read(month pricing.Month, at ledger.LinesAt) (issued []invoice.Issued, err error) {
	key := i.prefixes[month] + partnerFile(at.PartnerID, csvName)
	file, open := i.files[key]
	if !open {
		if file, err = i.env.Bucket.Open(i.ctx, key); err != nil {
			return nil, err
		}
		i.files[key] = file
	}
	part := make([]byte, at.Size)
	if _, err := file.ReadAt(part, at.Offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s at byte %d: %w", key, at.Offset, err)
	}
	for line, err := range exports.ReadRows(bytes.NewReader(part)) {
		if err == nil && line.Account.CustomerID != at.CustomerID {
			err = fmt.Errorf("a line of customer %s stands where %s's should", line.Account.CustomerID, at.CustomerID)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s from byte %d: %w", key, at.Offset, err)
		}
		issued = append(issued, invoice.Issued{Line: line, Row: at.Row + len(issued)})
	}
	return issued, nil
}

// customers are those of lines that were read at once.
func (i *issuedLines) customers() []string {
	if i == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(i.all))
}

func (i *issuedLines) close() {
	if i.places != nil {
		i.places.Close()
	}
	for _, f := range i.files {
		_ = f.Close() // only read
	}
}

// readIssued reads the lines of all closed months by customer.
func (e Env) readIssued(ctx context.Context, at snapshot) (map[string][]invoice.Issued, error) {
	issued := make(map[string][]invoice.Issued)
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
				return nil, err
			}
		}
	}
	return issued, nil
}

// readPublished reads which exceptions closed months have published.
func (e Env) readPublished(ctx context.Context, at snapshot) (map[exceptionKey]bool, error) {
	published := make(map[exceptionKey]bool)
	for _, m := range at.months {
		if !ledger.Books(at.closes).IsClosed(m.Month) {
			continue
		}
		names := []string{exceptionsName}
		if m.Current.Late != (ledger.ExceptionCounts{}) {
			names = append(names, lateName)
		}
		for _, name := range names {
			exceptions, err := e.readExceptions(ctx, m, name)
			if err != nil {
				return nil, err
			}
			for _, x := range exceptions {
				published[keyOf(x)] = true
			}
		}
	}
	return published, nil
}

func (e Env) readExceptions(ctx context.Context, m ledger.Month, name string) ([]invoice.Exception, error) {
	key := ledger.RevisionPrefix(m.Month, m.Current.Revision) + name
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
