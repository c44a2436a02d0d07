package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

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

// fingerprint is equal for equal results: the lines, headers and exceptions of
// a month, whatever program version computed them. CSVs are by partner.
type fingerprint struct {
	sum  string
	csvs map[string]string
}

func (c *computed) fingerprint() (fingerprint, error) {
	f := fingerprint{csvs: make(map[string]string)}
	all := sha256.New()
	for _, inv := range c.invoices {
		hash := sha256.New()
		if err := encodeAll(exports.NewCSV(hash), inv.lines); err != nil {
			return f, fmt.Errorf("partner %s: %w", inv.PartnerID, err)
		}
		f.csvs[inv.PartnerID] = hex.EncodeToString(hash.Sum(nil))
		all.Write([]byte(inv.PartnerID + "\n" + f.csvs[inv.PartnerID] + "\n"))
		if err := exports.WriteInvoice(all, inv.Invoice, exports.Provenance{}); err != nil {
			return f, fmt.Errorf("partner %s: %w", inv.PartnerID, err)
		}
	}
	if err := exports.WriteExceptions(all, c.exceptions); err != nil {
		return f, err
	}
	if err := exports.WriteExceptions(all, c.late); err != nil {
		return f, err
	}
	f.sum = hex.EncodeToString(all.Sum(nil))
	return f, nil
}

// encoder is what all writers of lines have in common.
type encoder interface {
	Encode(*invoice.Line) error
	Close() error
}

func encodeAll(e encoder, lines []*invoice.Line) error {
	for _, l := range lines {
		if err := e.Encode(l); err != nil {
			return err
		}
	}
	return e.Close()
}

// publication writes one revision: data first, manifest last.
type publication struct {
	env      Env
	at       snapshot
	computed *computed
	prints   fingerprint
	manifest ledger.Manifest
	prefix   string
	// places are where each customer's lines lie, for the state at close.
	places []ledger.LinesAt
}

// writing collects the files of one partner, or those of the whole month.
type writing struct {
	publication *publication
	files       []ledger.File
	places      []ledger.LinesAt
}

// publish writes the month's next revision and returns its manifest. What an
// interrupted run left of it is finished if it is the same, else passed over.
func (e Env) publish(ctx context.Context, at snapshot, c *computed, prints fingerprint, state ledger.State, accepted string) (ledger.Manifest, error) {
	known, _ := at.month(c.month)
	next := known.Current.Revision + 1
	for {
		p := publication{env: e, at: at, computed: c, prints: prints, prefix: ledger.RevisionPrefix(c.month, next)}
		p.manifest = ledger.Manifest{
			Month: c.month.String(), Revision: next, State: state, Software: e.Version, Accepted: accepted, Fingerprint: prints.sum,
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
	if err := p.env.mayPublish(ctx); err != nil {
		return err
	}
	return p.env.ledger().PutManifest(ctx, p.computed.month, p.manifest)
}

// keepState writes what the next month begins with.
func (p *publication) keepState(ctx context.Context) (err error) {
	l, state, at := p.env.ledger(), p.computed.state, &ledger.AtClose{}
	if len(p.computed.locks) > 0 {
		locks, err := l.PutLocks(ctx, p.computed.locks)
		if err != nil {
			return err
		}
		p.manifest.Locks = append(p.manifest.Locks, locks)
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

// writeInvoices writes all partners' folders, on all workers. What they wrote
// enters the manifest in the order of the partners.
func (p *publication) writeInvoices(ctx context.Context) error {
	invoices := p.computed.invoices
	writings := make([]writing, len(invoices))
	summaries := make([]ledger.InvoiceSummary, len(invoices))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, p.env.Workers))
	var watched sync.Mutex
	done := int64(0)
	for i, inv := range invoices {
		group.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			writings[i].publication = p
			if summaries[i], err = writings[i].writeInvoice(ctx, inv); err != nil {
				return fmt.Errorf("partner %s: %w", inv.PartnerID, err)
			}
			watched.Lock()
			defer watched.Unlock()
			done++
			p.env.progress("write "+p.computed.month.String(), done, int64(len(invoices)))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i := range writings {
		p.manifest.Files = append(p.manifest.Files, writings[i].files...)
		p.places = append(p.places, writings[i].places...)
	}
	p.manifest.Invoices = append(p.manifest.Invoices, summaries...)
	return nil
}

// file writes one file and enters it.
func (d *writing) file(ctx context.Context, path string, write func(io.Writer) error) error {
	w, err := bucket.CreateSame(ctx, d.publication.env.Bucket, d.publication.prefix+path)
	if err != nil {
		return err
	}
	if err := write(w); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), w.Abort())
	}
	if err := w.Commit(); err != nil {
		return err
	}
	d.files = append(d.files, ledger.File{Path: path, Size: w.Size(), SHA256: w.SHA256()})
	return nil
}

// last is the file that was written last.
func (d *writing) last() ledger.File { return d.files[len(d.files)-1] }

// encodeCSV writes an invoice's lines and notes where each customer's lie.
func (d *writing) encodeCSV(csv *exports.CSV, inv partnerInvoice) error {
	d.places = nil
	for i, l := range inv.lines {
		at := csv.Offset()
		if err := csv.Encode(l); err != nil {
			return err
		}
		size := csv.Offset() - at
		if n := len(d.places); n > 0 && d.places[n-1].CustomerID == l.Account.CustomerID {
			d.places[n-1].Size += size
			continue
		}
		d.places = append(d.places, ledger.LinesAt{CustomerID: l.Account.CustomerID, PartnerID: inv.PartnerID, Offset: at, Size: size, Row: i + 1})
	}
	return csv.Close()
}

func (d *writing) writeInvoice(ctx context.Context, inv partnerInvoice) (none ledger.InvoiceSummary, err error) {
	p := d.publication
	path := func(name string) string { return partnerFile(inv.PartnerID, name) }
	csvHash := p.prints.csvs[inv.PartnerID]
	provenance := exports.Provenance{SoftwareVersion: p.env.Version}

	var csv *exports.CSV
	err = d.file(ctx, path(csvName), func(w io.Writer) error {
		csv = exports.NewCSV(w)
		return d.encodeCSV(csv, inv)
	})
	if err != nil {
		return none, err
	}
	if d.last().SHA256 != csvHash {
		return none, fmt.Errorf("%s: two encodings of the same lines differ", csvName)
	}
	provenance.Controls = append(provenance.Controls, exports.Control{File: csvName, SHA256: csvHash, Totals: csv.Totals()})

	var parquet *exports.Parquet
	err = d.file(ctx, path(parquetName), func(w io.Writer) (err error) {
		if parquet, err = exports.NewParquet(w, inv.Currency); err != nil {
			return err
		}
		return encodeAll(parquet, inv.lines)
	})
	if err != nil {
		return none, err
	}
	provenance.Controls = append(provenance.Controls, exports.Control{File: parquetName, SHA256: d.last().SHA256, Totals: parquet.Totals()})

	err = d.file(ctx, path(workbookName), func(w io.Writer) error {
		info, err := p.workbookInfo(ctx, inv, exports.Control{File: csvName, SHA256: csvHash, Totals: csv.Totals()})
		if err != nil {
			return err
		}
		book, err := exports.NewWorkbook(w, info)
		if err != nil {
			return err
		}
		if err := encodeAll(book, inv.lines); err != nil {
			_ = book.Close() // for its temporary files; what failed is known
			return err
		}
		return nil
	})
	if err != nil {
		return none, err
	}
	if err := p.control(ctx, inv, provenance); err != nil {
		return none, err
	}
	err = d.file(ctx, path(invoiceName), func(w io.Writer) error { return exports.WriteInvoice(w, inv.Invoice, provenance) })
	if err != nil {
		return none, err
	}
	return inv.summary(), nil
}

// summary is the invoice as manifests and results show it.
func (inv partnerInvoice) summary() ledger.InvoiceSummary {
	amount := func(units int64) string { return pricing.FormatMinor(units, inv.MinorDigits) }
	return ledger.InvoiceSummary{
		PartnerID: inv.PartnerID, Number: inv.Number, Currency: inv.Currency, Lines: inv.Totals.Lines,
		Subtotal: amount(inv.Totals.Subtotal), TaxTotal: amount(inv.Totals.TaxTotal), Total: amount(inv.Totals.Total),
	}
}

// control adds up the CSV as it lies in the bucket, the sections and the
// customers: all must give the invoice's total, or nothing is published.
func (p *publication) control(ctx context.Context, inv partnerInvoice, provenance exports.Provenance) error {
	var read, bySection, byCustomer invoice.Totals
	err := p.env.readLines(ctx, p.prefix+partnerFile(inv.PartnerID, csvName), read.Add)
	if err != nil {
		return err
	}
	for _, s := range inv.Sections {
		bySection.Merge(s.Totals)
	}
	for _, c := range inv.Customers {
		byCustomer.Merge(c.Totals)
	}
	legs := map[string]invoice.Totals{csvName + " read back": read, "sections": bySection, "customers": byCustomer}
	for _, c := range provenance.Controls {
		legs[c.File] = c.Totals
	}
	for name, totals := range legs {
		if totals != inv.Totals {
			return fmt.Errorf("control totals: %s gives %+v, the invoice %+v", name, totals, inv.Totals)
		}
	}
	return nil
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
