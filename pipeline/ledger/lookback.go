package ledger

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// UsedLocks finds the prices that closed months used, customer by customer.
type UsedLocks struct{ closes []*chain[lockRow] }

// UsedLocks opens the locks of closes.
func (l Ledger) UsedLocks(ctx context.Context, closes []Close) *UsedLocks {
	used := &UsedLocks{}
	for _, k := range closes {
		if len(k.Locks) > 0 {
			used.closes = append(used.closes, &chain[lockRow]{ctx: ctx, ledger: l, objects: k.Locks, column: "customerId", batch: 64,
				of: func(r *lockRow) string { return r.CustomerID }})
		}
	}
	return used
}

// Of returns a customer's locks: of two with one key the later close's.
// Customers must be asked for in the order of their ids' bytes.
func (u *UsedLocks) Of(customerID string) (map[subscription.LockKey]subscription.Lock, error) {
	var locks map[subscription.LockKey]subscription.Lock
	for _, c := range u.closes {
		err := c.take(customerID, func(r *lockRow) error {
			lock, err := r.lock()
			if locks == nil {
				locks = make(map[subscription.LockKey]subscription.Lock)
			}
			locks[lock.Key] = lock.Lock
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("prices of closed months: %w", err)
		}
	}
	return locks, nil
}

// Close lets go of what is open.
func (u *UsedLocks) Close() {
	for _, c := range u.closes {
		c.close()
	}
}

// Parties finds what closes knew of customers, customer by customer.
type Parties struct{ closes []partiesAtClose }

type partiesAtClose struct {
	inputs int64
	rows   *chain[relatedRow]
}

// Parties opens the customers' facts of closes that kept their state.
func (l Ledger) Parties(ctx context.Context, closes []Close) *Parties {
	p := &Parties{}
	var last []Object
	for _, k := range closes {
		if k.AtClose == nil || sameObjects(last, k.AtClose.Parties) {
			continue // nothing came in since the close before
		}
		last = k.AtClose.Parties
		p.closes = append(p.closes, partiesAtClose{k.Inputs, &chain[relatedRow]{ctx: ctx, ledger: l, objects: last, column: "id", batch: 16,
			of: func(r *relatedRow) string { return r.ID }}})
	}
	return p
}

func sameObjects(a, b []Object) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].SHA256 != b[i].SHA256 {
			return false
		}
	}
	return true
}

// Of returns what the closes knew of a customer. Customers must be asked for in
// the order of their ids' bytes.
func (p *Parties) Of(customerID string) ([]KnownCustomer, error) {
	var known []KnownCustomer
	for _, k := range p.closes {
		err := k.rows.take(customerID, func(r *relatedRow) error {
			known = append(known, KnownCustomer{k.inputs, r.customer()})
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("customers at a close: %w", err)
		}
	}
	return known, nil
}

// Close lets go of what is open.
func (p *Parties) Close() {
	for _, k := range p.closes {
		k.rows.close()
	}
}

// LinesAt says where a customer's lines lie in a partner's reconciliation.csv.
type LinesAt struct {
	CustomerID, PartnerID string
	Offset, Size          int64 // bytes
	Row                   int   // data row of the first, 1 for the file's first
}

type linesRow struct {
	CustomerID string `parquet:"customerId"`
	PartnerID  string `parquet:"partnerId,dict"`
	Offset     int64  `parquet:"offset"`
	Size       int64  `parquet:"size"`
	Row        int64  `parquet:"row"`
}

// PutLines keeps where the lines of a closed month lie.
func (l Ledger) PutLines(ctx context.Context, lines []LinesAt) ([]Object, error) {
	slices.SortFunc(lines, func(a, b LinesAt) int {
		return cmp.Or(strings.Compare(a.CustomerID, b.CustomerID), strings.Compare(a.PartnerID, b.PartnerID))
	})
	rows := make([]linesRow, len(lines))
	for i, at := range lines {
		rows[i] = linesRow{at.CustomerID, at.PartnerID, at.Offset, at.Size, int64(at.Row)}
	}
	o, err := write(ctx, l, rows)
	return []Object{o}, err
}

// LinesOf finds where the lines of closed months lie, customer by customer.
type LinesOf struct {
	months []pricing.Month
	rows   []*chain[linesRow]
}

// LinesOf opens the places of lines of closes that kept their state.
func (l Ledger) LinesOf(ctx context.Context, closes []Close) *LinesOf {
	f := &LinesOf{}
	for _, k := range closes {
		f.months = append(f.months, k.Month)
		f.rows = append(f.rows, &chain[linesRow]{ctx: ctx, ledger: l, objects: k.AtClose.Lines, column: "customerId", batch: 16,
			of: func(r *linesRow) string { return r.CustomerID }})
	}
	return f
}

// Of yields the places of a customer's lines by month and partner. Customers
// must be asked for in the order of their ids' bytes.
func (f *LinesOf) Of(customerID string, each func(pricing.Month, LinesAt) error) error {
	for i, rows := range f.rows {
		err := rows.take(customerID, func(r *linesRow) error {
			return each(f.months[i], LinesAt{r.CustomerID, r.PartnerID, r.Offset, r.Size, int(r.Row)})
		})
		if err != nil {
			return fmt.Errorf("lines of %s: %w", f.months[i], err)
		}
	}
	return nil
}

// Close lets go of what is open.
func (f *LinesOf) Close() {
	for _, rows := range f.rows {
		rows.close()
	}
}
