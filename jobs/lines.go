package jobs

import (
	"context"
	"iter"

	"github.com/calends/calends/jobs/internal/aside"
	"github.com/calends/calends/pipeline/invoice"
)

// lines are those of one invoice, in the order of the file.
type lines struct {
	kept    []aside.Kept
	invoice string // their invoice's number, "" in an open month
}

// number gives all lines of the partner their invoice's number.
func (l *lines) number(partnerID, invoice string) {
	l.invoice = invoice
	for _, k := range l.kept {
		for _, line := range k.Others() {
			if line.Account.PartnerID == partnerID {
				line.InvoiceNumber = invoice
			}
		}
	}
}

// blocks yields the lines as they are kept. A block is good until the next one.
func (l *lines) blocks(yield func(*invoice.Block, error) bool) {
	var room invoice.Block
	for _, k := range l.kept {
		b, err := k.Block(&room)
		if !yield(b, err) || err != nil {
			return
		}
	}
}

// inFull yields the lines one by one, with their proofs.
func (l *lines) inFull() iter.Seq2[*invoice.Line, error] {
	return func(yield func(*invoice.Line, error) bool) {
		for b, err := range l.blocks {
			if err != nil {
				yield(nil, err)
				return
			}
			for line := range b.Lines() {
				if line.InvoiceNumber != l.invoice {
					line.InvoiceNumber = l.invoice
				}
				if !yield(line, nil) {
					return
				}
			}
		}
	}
}

// blockEncoder is what the writers of lines in columns have in common.
type blockEncoder interface {
	SetInvoice(number string)
	EncodeBlock(b *invoice.Block, from, to int) error
	Close() error
}

// encode writes all lines.
func (l *lines) encode(ctx context.Context, e blockEncoder) error {
	e.SetInvoice(l.invoice)
	for b, err := range l.blocks {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = e.EncodeBlock(b, 0, len(b.Rows))
		}
		if err != nil {
			return err
		}
	}
	return e.Close()
}

// all returns the lines at once.
func (l *lines) all() (all []*invoice.Line, err error) {
	for line, err := range l.inFull() {
		if err != nil {
			return nil, err
		}
		all = append(all, line)
	}
	return all, nil
}
