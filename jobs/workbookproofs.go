package jobs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"iter"
	"slices"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/jobs/internal/spill"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// monthProofs are how the lines of a published month came about, which none of its
// files says. The month is computed again, once, from what its revision knew; what a
// workbook shows of each line is put aside by partner, in the order of the
// invoice's lines. Nothing else is kept of a line: blocks would hold on to the items
// and locks that they name, and grow with the month. Close removes it.
type monthProofs struct {
	partners map[string]*partnerProofs
	sorter   *spill.Sorter
	next     func() (spill.Record, error, bool)
	stop     func()
}

// partnerProofs are those of one invoice, with what the same lines say besides.
type partnerProofs struct {
	invoice ledger.InvoiceSummary
	// unproven says why there is nothing: a sentence, for people.
	unproven string
	seats    invoice.Seats
	changes  []exports.PriceChange

	sold  sales
	text  hash.Hash // of the lines as reconciliation.csv has them
	begun bool      // the heading was written
}

// proofMemory bounds the bytes of proofs that are sorted without temporary files.
const proofMemory = 32 << 20

// proofsOf computes a month again for the workbooks of some partners. A month that
// cannot be computed any more, or comes out otherwise, is no error: its partners
// say so.
func (e Env) proofsOf(ctx context.Context, at snapshot, known ledger.Month, partners []string) (*monthProofs, error) {
	p := &monthProofs{partners: make(map[string]*partnerProofs), sorter: spill.New("", proofMemory)}
	for _, inv := range known.Current.Invoices {
		if slices.Contains(partners, inv.PartnerID) {
			p.partners[inv.PartnerID] = &partnerProofs{invoice: inv, text: sha256.New()}
		}
	}
	err := p.compute(ctx, e, at, known)
	if ctx.Err() != nil {
		return nil, errors.Join(ctx.Err(), p.close())
	}
	for id, one := range p.partners {
		switch same := hex.EncodeToString(one.text.Sum(nil)) == sha256Of(known, partnerFile(id, csvName)); {
		case err != nil:
			one.unproven = fmt.Sprintf("%s cannot be computed again: %s.", known.Month, err)
		case !same:
			one.unproven = fmt.Sprintf("Computed again, lines of revision %d of %s do not come out as they stand: version %s of the program made it, or it was made when other months were closed.",
				known.Current.Revision, known.Month, known.Current.Software)
		}
		one.sold, one.text = sales{}, nil
	}
	p.next, p.stop = iter.Pull2(spill.Merge(p.sorter))
	return p, nil
}

// sha256Of is the hash of a file of the month's current revision.
func sha256Of(m ledger.Month, path string) string {
	for _, f := range m.Current.Files {
		if f.Path == path {
			return f.SHA256
		}
	}
	return ""
}

func (p *monthProofs) compute(ctx context.Context, e Env, at snapshot, known ledger.Month) error {
	m, err := e.explainer(at).month(ctx, known)
	if err != nil {
		return err
	}
	m.env.Progress = func(_ string, done, total int64) { e.progress("prove "+known.Month.String(), done, total) }
	m.env.Shard = portionSize // nothing is kept of a shard: small ones take less memory
	wanted, err := p.customers(ctx, e, known)
	if err != nil {
		return err
	}
	for _, one := range p.partners {
		one.sold = newSales(m.catalog, known.Month)
	}
	again := proving{monthProofs: p, knownMonth: m}
	source := func(yield func(customer, error) bool) {
		for c, err := range m.env.customers(ctx, m.past, m.ready) {
			if (err != nil || again.concerns(c.ID, wanted)) && !yield(c, err) {
				return
			}
		}
	}
	if err := m.env.billShards(ctx, m.ready, source, recordCount(m.past.inputs, m.ready), again.take); err != nil {
		return err
	}
	if err := cmp.Or(again.flush(), m.catalog.Err()); err != nil {
		return err
	}
	for id, one := range p.partners {
		if one.changes, err = one.sold.priceChanges(); err != nil {
			return fmt.Errorf("price changes of partner %s: %w", id, err)
		}
	}
	return nil
}

// customers are those with lines on the invoices, nil when all invoices of the
// month are wanted.
func (p *monthProofs) customers(ctx context.Context, e Env, known ledger.Month) (map[string]bool, error) {
	if len(p.partners) == len(known.Current.Invoices) {
		return nil, nil
	}
	wanted := make(map[string]bool)
	for id := range p.partners {
		inv, err := e.header(ctx, known, id)
		if err != nil {
			return nil, err
		}
		for _, c := range inv.Customers {
			wanted[c.CustomerID] = true
		}
	}
	return wanted, nil
}

// proving is the month being computed again.
type proving struct {
	*monthProofs
	*knownMonth
	lines []*invoice.Line // that were not put aside yet
	text  bytes.Buffer
	ends  []int64
	key   []byte
	value []byte
}

// concerns reports whether a customer matters to any of the partners: it has lines
// of theirs, or seats.
func (p *proving) concerns(customerID string, wanted map[string]bool) bool {
	if wanted == nil || wanted[customerID] {
		return true
	}
	payer, code := p.catalog.Payer(customerID, p.month)
	return code == "" && p.partners[payer.Partner.ID] != nil
}

// take takes the lines of a shard; customers come in the order of the files.
func (p *proving) take(s *billedShard) error {
	for id, one := range p.partners {
		one.seats.Add(s.seats[id])
		for _, block := range s.lines[id] {
			if block.Currency != one.invoice.Currency {
				continue
			}
			for l := range block.Lines() {
				l.InvoiceNumber = one.invoice.Number
				one.sold.add(l)
				p.lines = append(p.lines, l)
				if len(p.lines) == portionSize {
					if err := p.flush(); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// flush puts the lines at hand aside. One encoder writes those of all partners: each
// gets its own part, behind the heading that all have.
func (p *proving) flush() error {
	p.text.Reset()
	csv := exports.NewCSV(&p.text)
	heading := csv.Offset()
	p.ends = p.ends[:0]
	for _, l := range p.lines {
		if err := csv.Encode(l); err != nil {
			return err
		}
		p.ends = append(p.ends, csv.Offset())
	}
	if err := csv.Close(); err != nil {
		return err
	}
	text, at := p.text.Bytes(), heading
	for i, l := range p.lines {
		one := p.partners[l.Account.PartnerID]
		if !one.begun {
			one.begun = true
			one.text.Write(text[:heading])
		}
		one.text.Write(text[at:p.ends[i]])
		at = p.ends[i]
		p.key = append(p.key[:0], l.Account.PartnerID...)
		p.value = appendProof(p.value[:0], l.Proof)
		if err := p.sorter.Add(p.key, p.value); err != nil {
			return err
		}
	}
	clear(p.lines)
	p.lines = p.lines[:0]
	return nil
}

// appendProof writes what a workbook shows of a line's proof.
func appendProof(dst []byte, proof *invoice.Proof) []byte {
	if proof == nil {
		return dst
	}
	c := &proof.Calculation
	flags := byte(0)
	if c.Credit {
		flags |= 1
	}
	if c.PerUnit {
		flags |= 2
	}
	dst = append(dst, flags)
	for _, n := range [...]int64{int64(c.CycleMonths), int64(c.TermMonths), int64(c.BillingDays), int64(c.CycleDays), c.Quantity} {
		dst = binary.AppendVarint(dst, n)
	}
	dst = appendDecimal(appendDecimal(appendDecimal(dst, c.UnitPrice), c.Discount), c.ExchangeRate)
	return appendString(dst, proof.EventID)
}

// readProof reads what appendProof wrote, nil for a line without a proof.
func readProof(value []byte) (*invoice.Proof, error) {
	if len(value) == 0 {
		return nil, nil
	}
	d := decoder{b: value, s: string(value)}
	flags := d.uvarint()
	number := func() int { return int(d.varint()) }
	proof := &invoice.Proof{Calculation: pricing.Calculation{Credit: flags&1 != 0, PerUnit: flags&2 != 0,
		CycleMonths: number(), TermMonths: number(), BillingDays: number(), CycleDays: number(), Quantity: d.varint(),
		UnitPrice: d.decimal(), Discount: d.decimal(), ExchangeRate: d.decimal()}}
	proof.EventID = d.text()
	if d.broken || len(d.b) > 0 {
		return nil, errors.New("a proof that was put aside is damaged")
	}
	return proof, nil
}

// of returns what is known of a partner's lines, nil for one without an invoice.
func (p *monthProofs) of(partnerID string) *partnerProofs {
	if p == nil {
		return nil
	}
	return p.partners[partnerID]
}

// give gives lines of a partner, in the order of its invoice, their proofs. Partners
// come in the order of their ids.
func (p *monthProofs) give(partnerID string, lines []*invoice.Line) error {
	if one := p.of(partnerID); one == nil || one.unproven != "" {
		return nil
	}
	for _, l := range lines {
		record, err, ok := p.next()
		for ok && err == nil && string(record.Key) < partnerID {
			record, err, ok = p.next()
		}
		if err != nil {
			return err
		}
		if !ok || string(record.Key) != partnerID {
			return fmt.Errorf("partner %s has more lines than proofs", partnerID)
		}
		if l.Proof, err = readProof(record.Value); err != nil {
			return err
		}
	}
	return nil
}

func (p *monthProofs) close() error {
	if p == nil {
		return nil
	}
	if p.stop != nil {
		p.stop()
	}
	return p.sorter.Close()
}
