package jobs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pricing"
)

// ourLines yields the lines of the partners, in the order given, each partner's
// by customer: those of the month, and of the months beside it.
func (e Env) ourLines(ctx context.Context, months []ledger.Month, partners []string) iter.Seq2[reconcile.Ours, error] {
	return func(yield func(reconcile.Ours, error) bool) {
		for _, id := range partners {
			if more, err := e.linesOfPartner(ctx, months, id, yield); err != nil {
				yield(reconcile.Ours{}, fmt.Errorf("our lines of partner %s: %w", id, err))
				return
			} else if !more {
				return
			}
		}
	}
}

// linesOfPartner merges the invoices of a partner by customer.
func (e Env) linesOfPartner(ctx context.Context, months []ledger.Month, partner string, yield func(reconcile.Ours, error) bool) (more bool, err error) {
	var streams []*ourStream
	defer func() {
		for _, s := range streams {
			s.stop()
		}
	}()
	for _, m := range months {
		inv, err := e.header(ctx, m, partner)
		if err != nil {
			return false, err
		}
		if inv == nil {
			continue
		}
		rate, err := decimal.NewFromString(inv.TaxRate)
		if err != nil {
			return false, fmt.Errorf("tax rate %q of %s: %w", inv.TaxRate, m.Month, err)
		}
		s := &ourStream{month: m.Month, taxRate: rate}
		s.next, s.stop = iter.Pull2(e.invoiceLines(ctx, m, partner))
		streams = append(streams, s)
		if err := s.advance(); err != nil {
			return false, err
		}
	}
	for {
		var first *ourStream
		for _, s := range streams {
			if s.line != nil && (first == nil || s.line.Account.CustomerID < first.line.Account.CustomerID) {
				first = s
			}
		}
		if first == nil {
			return true, nil
		}
		if !yield(reconcile.Ours{Line: first.line, Month: first.month, Row: first.row, TaxRate: first.taxRate, HasTaxRate: true}, nil) {
			return false, nil
		}
		if err := first.advance(); err != nil {
			return false, err
		}
	}
}

// ourStream is an invoice, one line ahead.
type ourStream struct {
	month   pricing.Month
	taxRate decimal.Decimal
	next    func() (*invoice.Line, error, bool)
	stop    func()
	line    *invoice.Line // nil at the end
	row     int
}

func (s *ourStream) advance() error {
	line, err, _ := s.next()
	s.line = line
	s.row++
	return err
}

// header reads a partner's invoice.json, nil where the month has none.
func (e Env) header(ctx context.Context, m ledger.Month, partner string) (*invoice.Invoice, error) {
	for _, known := range m.Current.Invoices {
		if known.PartnerID != partner {
			continue
		}
		key := ledger.RevisionPrefix(m.Month, m.Current.Revision) + partnerFile(partner, invoiceName)
		data, err := bucket.ReadAll(ctx, e.Bucket, key)
		if err != nil {
			return nil, err
		}
		inv, _, err := exports.ReadInvoice(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", key, err)
		}
		return inv, nil
	}
	return nil, nil
}

// invoiceLines streams a partner's lines of a month's current revision.
func (e Env) invoiceLines(ctx context.Context, m ledger.Month, partner string) iter.Seq2[*invoice.Line, error] {
	return func(yield func(*invoice.Line, error) bool) {
		key := ledger.RevisionPrefix(m.Month, m.Current.Revision) + partnerFile(partner, csvName)
		object, err := e.Bucket.Open(ctx, key)
		if err != nil {
			yield(nil, err)
			return
		}
		defer object.Close()
		for line, err := range exports.ReadLines(io.Reader(object)) {
			if err != nil {
				err = fmt.Errorf("read %s: %w", key, err)
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}
