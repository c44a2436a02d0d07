package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// The files of a revision.
const (
	csvName        = "reconciliation.csv"
	parquetName    = "reconciliation.parquet"
	workbookName   = "reconciliation.xlsx"
	invoiceName    = "invoice.json"
	exceptionsName = "exceptions.csv"
	// lateName has the exceptions that late arrivals brought for closed months,
	// whose own files are frozen. It is there only when there are any.
	lateName = "late-exceptions.csv"
)

// partnerFile is the path of a partner's file below the revision's folder.
func partnerFile(partnerID, name string) string {
	return "partner=" + bucket.Segment(partnerID) + "/" + name
}

// csvHashes are the SHA-256 of the CSVs that a month has or would have, by partner.
type csvHashes map[string]string

// hashes computes the CSVs of all partners, on all workers, and writes none.
func (c *computed) hashes(ctx context.Context, workers int) (csvHashes, error) {
	sums := make([]string, len(c.invoices))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, workers))
	for i := range c.invoices {
		inv := &c.invoices[i]
		group.Go(func() error {
			hash := sha256.New()
			if err := inv.lines.encode(ctx, exports.NewCSV(hash)); err != nil {
				return fmt.Errorf("partner %s: %w", inv.PartnerID, err)
			}
			sums[i] = hex.EncodeToString(hash.Sum(nil))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	csvs := make(csvHashes)
	for i, inv := range c.invoices {
		csvs[inv.PartnerID] = sums[i]
	}
	return csvs, nil
}

// fingerprint is equal for equal results: the lines, headers and exceptions of
// a month, whatever program version computed them.
func (c *computed) fingerprint(csvs csvHashes) (string, error) {
	all := sha256.New()
	for _, inv := range c.invoices {
		all.Write([]byte(inv.PartnerID + "\n" + csvs[inv.PartnerID] + "\n"))
		if err := exports.WriteInvoice(all, inv.Invoice, exports.Provenance{}); err != nil {
			return "", fmt.Errorf("partner %s: %w", inv.PartnerID, err)
		}
	}
	if err := exports.WriteExceptions(all, c.exceptions); err != nil {
		return "", err
	}
	if err := exports.WriteExceptions(all, c.late); err != nil {
		return "", err
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

// sum is the fingerprint of a month of which nothing is written yet.
func (c *computed) sum(ctx context.Context, workers int) (string, error) {
	csvs, err := c.hashes(ctx, workers)
	if err != nil {
		return "", err
	}
	return c.fingerprint(csvs)
}

// encodeAll writes lines in full, as a workbook wants them.
func encodeAll(book *exports.Workbook, lines *lines) error {
	for l, err := range lines.inFull() {
		if err == nil {
			err = book.Encode(l)
		}
		if err != nil {
			return errors.Join(err, book.Close()) // its temporary files go, too
		}
	}
	return book.Close()
}

// publication writes one revision: data first, manifest last.
type publication struct {
	env      Env
	at       snapshot
	computed *computed
	manifest ledger.Manifest
	prefix   string
	// places are where each customer's lines lie, for the state at close.
	places []ledger.LinesAt
	// slots bounds how many work while partners' folders are written; nil: one does.
	slots chan struct{}
	// parquets are encoders whose file is written, for another one.
	parquets chan *exports.Parquet
	telling  sync.Mutex // one goroutine at a time tells how far it is
}

// commitsAhead is how many files may be waiting for the store while others are made.
const commitsAhead = 4

// writing collects the files of one partner, or those of the whole month.
type writing struct {
	publication *publication
	files       []ledger.File
}

// publish writes the month's next revision and returns its manifest. What an
// interrupted run left of it is finished if it is the same, else passed over.
func (e Env) publish(ctx context.Context, at snapshot, c *computed, state ledger.State, word consent) (ledger.Manifest, error) {
	known, _ := at.month(c.month)
	next := known.Current.Revision + 1
	for {
		p := publication{env: e, at: at, computed: c, prefix: ledger.RevisionPrefix(c.month, next)}
		p.manifest = ledger.Manifest{
			Month: c.month.String(), Revision: next, State: state, Software: e.Version, Accepted: word.accepted, Approval: word.approval,
			Subscriptions: ledger.Subscriptions{Billed: c.count.Billed, Parked: c.count.Parked, Ended: c.count.Ended},
			Policies:      c.policies,
			Exceptions:    countExceptions(c.exceptions), Late: countExceptions(c.late), Rates: c.rates,
			Inputs: []ledger.InputRef{}, Invoices: []ledger.InvoiceSummary{},
		}
		for _, in := range at.inputs {
			p.manifest.Inputs = append(p.manifest.Inputs, ledger.InputRef{Number: in.Number, Kind: in.Kind, Name: in.Name, SHA256: in.SHA256})
		}
		err := p.write(ctx)
		if err == nil {
			return p.manifest, nil
		}
		if !ledger.IsConflict(err) {
			return ledger.Manifest{}, fmt.Errorf("write %s revision %d: %w", c.month, next, err)
		}
		above, failed := e.revisionAbove(ctx, c.month, next)
		if failed != nil {
			return ledger.Manifest{}, fmt.Errorf("write %s revision %d: %w; %w", c.month, next, err, failed)
		}
		next = above
	}
}

// revisionAbove finds a number above what an interrupted run has left in a revision
// and later ones. Where one of them was published the run was overtaken: what it
// computed is of yesterday, and must not follow.
func (e Env) revisionAbove(ctx context.Context, month pricing.Month, taken int) (int, error) {
	above, err := e.ledger().NextRevision(ctx, month)
	if err != nil {
		return 0, err
	}
	above = max(above, taken+1) // a listing may be behind what is there
	for n := taken; n < above; n++ {
		published, err := e.ledger().IsPublished(ctx, month, n)
		if err != nil {
			return 0, err
		}
		if published {
			return 0, fmt.Errorf("another run has published revision %d meanwhile; run again, to compute from what is there now", n)
		}
	}
	return above, nil
}

func countExceptions(exceptions []invoice.Exception) (n ledger.ExceptionCounts) {
	for _, x := range exceptions {
		if x.Severity == invoice.Error {
			n.Errors++
		} else {
			n.Warnings++
		}
	}
	return n
}

func (p *publication) write(ctx context.Context) error {
	if err := p.leftovers(ctx); err != nil {
		return err
	}
	if err := p.writeInvoices(ctx); err != nil {
		return err
	}
	whole := writing{publication: p}
	if err := whole.file(ctx, exceptionsName, func(w io.Writer) error { return exports.WriteExceptions(w, p.computed.exceptions) }); err != nil {
		return err
	}
	if len(p.computed.late) > 0 {
		if err := whole.file(ctx, lateName, func(w io.Writer) error { return exports.WriteExceptions(w, p.computed.late) }); err != nil {
			return err
		}
	}
	p.manifest.Files = append(p.manifest.Files, whole.files...)
	if p.manifest.State == ledger.Closed {
		if err := p.keepState(ctx); err != nil {
			return fmt.Errorf("state at close: %w", err)
		}
	}
	if err := p.fingerprint(); err != nil {
		return err
	}
	if err := p.env.mayPublish(ctx); err != nil {
		return err
	}
	return p.env.ledger().PutManifest(ctx, p.computed.month, p.manifest)
}

// fingerprint says what was written. Without the CSVs nothing can be said.
func (p *publication) fingerprint() (err error) {
	if !p.env.Formats.has(CSV) {
		return nil
	}
	csvs := make(csvHashes)
	for _, f := range p.manifest.Files {
		for _, inv := range p.computed.invoices {
			if f.Path == partnerFile(inv.PartnerID, csvName) {
				csvs[inv.PartnerID] = f.SHA256
			}
		}
	}
	p.manifest.Fingerprint, err = p.computed.fingerprint(csvs)
	return err
}

// keepState writes what the next month begins with.
func (p *publication) keepState(ctx context.Context) (err error) {
	l, state, at := p.env.ledger(), p.computed.state, &ledger.AtClose{}
	if p.manifest.Locks, err = l.Put(ctx, p.computed.locks); err != nil {
		return err
	}
	if at.Customers, err = l.Put(ctx, state.customers); err != nil {
		return err
	}
	if at.Subscriptions, err = l.Put(ctx, state.subscriptions); err != nil {
		return err
	}
	if at.Parties, err = l.PutParties(ctx, state.parties); err != nil {
		return err
	}
	if at.Offers, err = l.PutStandingOffers(ctx, state.offers); err != nil {
		return err
	}
	if at.Lines, err = l.PutLines(ctx, p.places); err != nil {
		return err
	}
	p.manifest.AtClose = at
	p.manifest.Begins = p.manifest.Month
	if books := p.computed.books; books.Begun {
		p.manifest.Begins = books.Begin.String()
	}
	return nil
}

// leftovers finds files of an interrupted run that this one would not write.
func (p *publication) leftovers(ctx context.Context) error {
	ours := map[string]bool{p.prefix + exceptionsName: true}
	if len(p.computed.late) > 0 {
		ours[p.prefix+lateName] = true
	}
	for _, inv := range p.computed.invoices {
		for _, name := range []string{csvName, parquetName, workbookName, invoiceName} {
			ours[p.prefix+partnerFile(inv.PartnerID, name)] = true
		}
	}
	for info, err := range p.env.Bucket.List(ctx, p.prefix) {
		if err != nil {
			return err
		}
		if !ours[info.Key] {
			return fmt.Errorf("%w: an interrupted run left %s", bucket.ErrConflict, info.Key)
		}
	}
	return nil
}

// writeInvoices writes all partners' folders, on all workers: first the columns,
// each file by itself, then what needs them. What was written enters the manifest
// in the order of the partners.
func (p *publication) writeInvoices(ctx context.Context) error {
	invoices := p.computed.invoices
	folders := make([]*invoiceFiles, len(invoices))
	for i := range invoices {
		folders[i] = newInvoiceFiles(p, &invoices[i])
	}
	bySize := slices.Clone(folders)
	slices.SortStableFunc(bySize, func(a, b *invoiceFiles) int { return cmp.Compare(b.inv.Totals.Lines, a.inv.Totals.Lines) })
	var columns, rest []func(context.Context) error
	for _, f := range bySize { // the largest begin
		columns = append(columns, f.writeCSV, f.writeParquet)
		rest = append(rest, f.writeRest)
	}
	done, total := int64(0), int64(len(columns)+len(rest))
	workers := max(1, p.env.Workers)
	p.slots, p.parquets = make(chan struct{}, workers), make(chan *exports.Parquet, workers)
	defer func() { p.slots, p.parquets = nil, nil }()
	for _, tasks := range [][]func(context.Context) error{columns, rest} {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(workers + commitsAhead)
		for _, task := range tasks {
			group.Go(func() error {
				if err := cmp.Or(ctx.Err(), task(ctx)); err != nil {
					return err
				}
				p.telling.Lock()
				defer p.telling.Unlock()
				done++
				p.env.progress("write "+p.computed.month.String(), done, total)
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	for _, f := range folders {
		for _, w := range []*writing{&f.csv, &f.parquet, &f.rest} {
			p.manifest.Files = append(p.manifest.Files, w.files...)
		}
		p.places = append(p.places, f.places...)
		p.manifest.Invoices = append(p.manifest.Invoices, f.inv.summary())
	}
	return nil
}

// work does what keeps a processor busy, as many at a time as there are workers.
func (p *publication) work(ctx context.Context, stage string, do func() error) error {
	if p.slots != nil {
		select {
		case p.slots <- struct{}{}:
			defer func() { <-p.slots }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	begin := time.Now()
	err := do()
	p.timed(stage, time.Since(begin))
	return err
}

// timed tells how long a part took, one at a time.
func (p *publication) timed(stage string, took time.Duration) {
	p.telling.Lock()
	defer p.telling.Unlock()
	p.env.stage(stage, took)
}

// file writes one file and enters it.
func (d *writing) file(ctx context.Context, path string, write func(io.Writer) error) error {
	w, err := bucket.CreateSame(ctx, d.publication.env.Bucket, d.publication.prefix+path)
	if err != nil {
		return err
	}
	err = d.publication.work(ctx, "write "+path[strings.LastIndexByte(path, '/')+1:], func() error { return write(w) })
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), w.Abort())
	}
	// While the store makes sure of one file, another is made.
	begin := time.Now()
	if err := w.Commit(); err != nil {
		return err
	}
	d.publication.timed("commit files", time.Since(begin))
	d.files = append(d.files, ledger.File{Path: path, Size: w.Size(), SHA256: w.SHA256()})
	return nil
}

// last is the file that was written last.
func (d *writing) last() ledger.File { return d.files[len(d.files)-1] }

// summary is the invoice as manifests and results show it.
func (inv partnerInvoice) summary() ledger.InvoiceSummary {
	amount := func(units int64) string { return pricing.FormatMinor(units, inv.MinorDigits) }
	return ledger.InvoiceSummary{
		PartnerID: inv.PartnerID, Number: inv.Number, Currency: inv.Currency, Lines: inv.Totals.Lines,
		Subtotal: amount(inv.Totals.Subtotal), TaxTotal: amount(inv.Totals.TaxTotal), Total: amount(inv.Totals.Total),
	}
}

// ofPartner returns the exceptions that a partner may see.
func ofPartner(exceptions []invoice.Exception, partnerID string) []invoice.Exception {
	var own []invoice.Exception
	for _, x := range exceptions {
		if x.PartnerID == partnerID {
			own = append(own, x)
		}
	}
	return own
}

// readCurrent reads a partner's lines of a revision's CSV, nil where it has none.
func (e Env) readCurrent(ctx context.Context, m ledger.Month, partnerID string) ([]*invoice.Line, error) {
	for _, inv := range m.Current.Invoices {
		if inv.PartnerID != partnerID {
			continue
		}
		var lines []*invoice.Line
		key := ledger.RevisionPrefix(m.Month, m.Current.Revision) + partnerFile(partnerID, csvName)
		err := e.readLines(ctx, key, func(l *invoice.Line) { lines = append(lines, l) })
		return lines, err
	}
	return nil, nil
}

// joinIDs prints a few ids of many.
func joinIDs(ids []string) string {
	const most = 5
	if len(ids) <= most {
		return strings.Join(ids, ", ")
	}
	return strings.Join(ids[:most], ", ") + fmt.Sprintf(" and %d more", len(ids)-most)
}
