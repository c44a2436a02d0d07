package jobs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// reader returns what reads and keeps the file.
func (i *ingestion) reader(s Source, m *intake.Member, what intake.Recognised, in *ledger.Input, f *FileResult) (func(context.Context) error, error) {
	l := i.env.ledger()
	switch what.Kind {
	case intake.PartnerList:
		in.Kind = ledger.Partners
		return whole(m, in, f, func(ctx context.Context, r io.Reader) (int, []string, error) {
			list, err := intake.ReadPartners(r)
			if err != nil {
				return 0, nil, &contentError{err}
			}
			return len(list.Partners), list.Unknown, keep(in)(l.PutPartners(ctx, list.Partners))
		}), nil
	case intake.CustomerList:
		in.Kind = ledger.Customers
		return whole(m, in, f, func(ctx context.Context, r io.Reader) (int, []string, error) {
			list, err := intake.ReadCustomers(r)
			if err != nil {
				return 0, nil, &contentError{err}
			}
			return len(list.Customers), list.Unknown, keep(in)(l.PutCustomers(ctx, list.Customers))
		}), nil
	case intake.FXRates:
		in.Kind = ledger.Rates
		return whole(m, in, f, func(ctx context.Context, r io.Reader) (int, []string, error) {
			fx, err := pricesheet.ReadFX(r)
			if err != nil {
				return 0, nil, &contentError{err}
			}
			return len(fx.Rates), fx.Unknown, keep(in)(l.PutRates(ctx, fx.Rates))
		}), nil
	case intake.Promotions:
		in.Kind = ledger.Promotions
		return whole(m, in, f, func(ctx context.Context, r io.Reader) (int, []string, error) {
			promotions, err := pricesheet.ReadPromotions(r)
			if err != nil {
				return 0, nil, &contentError{err}
			}
			return len(promotions), nil, keep(in)(l.PutPromotions(ctx, promotions))
		}), nil
	case intake.OfferMatrix:
		in.Kind = ledger.Offers
		return whole(m, in, f, func(ctx context.Context, r io.Reader) (int, []string, error) {
			matrix, err := pricesheet.ReadOfferMatrix(r)
			if err != nil {
				return 0, nil, &contentError{err}
			}
			return len(matrix.Offers), matrix.Unknown, keep(in)(l.PutOffers(ctx, matrix.Offers))
		}), nil
	case intake.PriceSheet:
		return i.priceSheet(s, m, in, f)
	case intake.Changes:
		in.Kind = ledger.Changes
		return func(ctx context.Context) error { return i.changes(ctx, m, what, in, f) }, nil
	case intake.Charges, intake.LegacyCharges:
		return i.charges(s, m, what, in, f)
	default:
		return nil, errors.New(what.Reason)
	}
}

// keep enters the data object of a file that has one.
func keep(in *ledger.Input) func(ledger.Object, error) error {
	return func(o ledger.Object, err error) error {
		if err == nil {
			in.Objects = append(in.Objects, o)
		}
		return err
	}
}

// whole reads a reference file: all of it or none.
func whole(m *intake.Member, in *ledger.Input, f *FileResult, take func(context.Context, io.Reader) (int, []string, error)) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		r, err := m.OpenReference()
		if err != nil {
			return &contentError{err}
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		n, unknown, err := take(ctx, r)
		in.Records = int64(n)
		f.noteUnknown(unknown)
		return err
	}
}

func (f *FileResult) noteUnknown(columns []string) {
	if len(columns) > 0 {
		f.Notes = append(f.Notes, "columns without a meaning here: "+joinIDs(columns))
	}
}

func (i *ingestion) priceSheet(s Source, m *intake.Member, in *ledger.Input, f *FileResult) (func(context.Context) error, error) {
	month := s.Month
	if month == 0 {
		var err error
		if month, err = intake.MonthFromPath(m.Name); err != nil {
			return nil, fmt.Errorf("a price sheet needs its month: %w", err)
		}
	}
	in.Month = month.String()
	// Whether it is a licence or a software sheet shows when it is read; both
	// kinds are asked for what the ledger has.
	in.Kind = ledger.Prices
	if _, ok := i.known[fileKey{ledger.Software, in.SHA256, in.Month}]; ok {
		in.Kind = ledger.Software
	}
	return whole(m, in, f, func(ctx context.Context, r io.Reader) (int, []string, error) {
		sheet, err := pricesheet.Read(r)
		if err != nil {
			return 0, nil, &contentError{err}
		}
		// A sheet that is mostly perpetual software must not supersede the
		// licence sheet of its month.
		in.Kind = ledger.Prices
		if 2*(sheet.Counts.OneTime+sheet.Counts.NoPlan) > sheet.Counts.Records {
			in.Kind = ledger.Software
		}
		byMarket := make(map[string][]pricing.Row)
		for _, row := range sheet.Rows {
			byMarket[row.Market] = append(byMarket[row.Market], row)
		}
		for _, market := range sheet.Markets {
			if err := i.lostRows(in, market, len(byMarket[market])); err != nil {
				return 0, nil, err
			}
		}
		f.Accepted = in.Accepted
		for _, market := range sheet.Markets {
			if err := keep(in)(i.env.ledger().PutPrices(ctx, market, byMarket[market])); err != nil {
				return 0, nil, err
			}
		}
		if skipped := sheet.Counts.OneTime + sheet.Counts.NoPlan; skipped > 0 {
			f.Notes = append(f.Notes, fmt.Sprintf("%d rows of perpetual software are no licence prices", skipped))
		}
		if sheet.Counts.Tiered > 0 {
			f.Notes = append(f.Notes, fmt.Sprintf("%d rows have a PricingTierRange and are no licence prices", sheet.Counts.Tiered))
		}
		return sheet.Counts.Records, sheet.Unknown, nil
	}), nil
}

// changes streams changes into sorted runs. A file that the ledger has adds nothing.
func (i *ingestion) changes(ctx context.Context, m *intake.Member, what intake.Recognised, in *ledger.Input, f *FileResult) (err error) {
	sum, err := hashMember(m)
	if err != nil {
		return &contentError{err}
	}
	in.SHA256 = sum
	if _, ok := i.known[keyOfInput(*in)]; ok {
		return nil
	}
	runs := newRuns(ctx, i.env.ledger(), i.env.Workers)
	most := cmp.Or(i.plan.Errors, maxErrors)
	var stopped error // by the bucket, or from outside
	unknown, err := intake.ReadChanges(ctx, m, what.Format, i.env.Workers, func(b *intake.Batch) error {
		in.Refused += int64(len(b.Refused))
		for _, refused := range b.Refused[:min(len(b.Refused), most-len(f.Errors))] {
			f.Errors = append(f.Errors, recordError(refused))
		}
		for n := range b.Changes {
			in.Records++
			if runs.add(&b.Changes[n]) {
				i.env.progress("ingest "+in.Name, in.Records, 0)
			}
		}
		stopped = runs.failed()
		return stopped
	})
	f.noteUnknown(unknown)
	objects, failed := runs.finish(err == nil)
	if stopped = cmp.Or(failed, stopped, ctx.Err()); stopped != nil {
		return stopped
	}
	if err != nil {
		return &contentError{err}
	}
	in.Objects = objects
	return nil
}

// runSize is how many changes are sorted in memory at a time.
const runSize = 1 << 16

// runs puts changes into the ledger in sorted runs, while more are read. Which
// changes are in a run depends on their order alone.
type runs struct {
	ledger ledger.Ledger
	ctx    context.Context //nolint:containedctx // of the file that the changes are of
	stop   context.CancelCauseFunc

	run   []change.Change
	free  chan []change.Change // those that may be put at a time
	wait  sync.WaitGroup
	tasks []*runTask
}

type runTask struct {
	begun   bool
	objects []ledger.Object
	err     error
}

// mostPuts bounds the memory of many workers.
const mostPuts = 4

func newRuns(parent context.Context, l ledger.Ledger, workers int) *runs {
	r := &runs{ledger: l, free: make(chan []change.Change, min(mostPuts, max(1, workers)))}
	for range cap(r.free) {
		r.free <- nil
	}
	r.ctx, r.stop = context.WithCancelCause(parent)
	return r
}

// add takes the next change, and reports whether a run became full with it.
func (r *runs) add(c *change.Change) bool {
	if n := len(r.run); n == cap(r.run) && n >= runSize/16 {
		r.run = slices.Grow(r.run, runSize-n) // no small file
	}
	r.run = append(r.run, *c)
	if len(r.run) < runSize {
		return false
	}
	r.put()
	return true
}

// put hands the run on, as soon as there is room.
func (r *runs) put() {
	next := <-r.free
	run, task := r.run, &runTask{}
	r.run = next[:0]
	r.tasks = append(r.tasks, task)
	r.wait.Go(func() {
		if task.err = r.ctx.Err(); task.err == nil {
			task.begun = true
			task.objects, task.err = r.ledger.PutChanges(r.ctx, run)
		}
		if task.err != nil {
			r.stop(task.err)
		}
		r.free <- run
	})
}

// failed is why no more changes are wanted.
func (r *runs) failed() error { return context.Cause(r.ctx) }

// finish waits for all runs, of which the last is put only if it is whole. It
// returns the objects in the order of the runs.
func (r *runs) finish(whole bool) (objects []ledger.Object, err error) {
	if whole && len(r.run) > 0 {
		r.put()
	}
	r.wait.Wait()
	err = r.failed()
	r.stop(nil)
	for _, t := range r.tasks {
		objects = append(objects, t.objects...)
		if t.begun && t.err != nil && errors.Is(err, context.Canceled) { // it says what it waited for
			err = t.err
		}
	}
	return objects, err
}

// charges keeps a file of charges rated elsewhere, whole.
func (i *ingestion) charges(s Source, m *intake.Member, what intake.Recognised, in *ledger.Input, f *FileResult) (func(context.Context) error, error) {
	month := s.Charges
	if month == 0 {
		return nil, errors.New("this is a reconciliation file: to bill its lines as charges rated elsewhere give --charges 2026-10")
	}
	in.Kind, in.Month = ledger.Charges, month.String()
	_, had := i.known[keyOfInput(*in)]
	if books := ledger.Books(i.at.closes); !had && books.Begun && month <= books.Closed {
		return nil, fmt.Errorf("the month %s is closed: take the charges in for %s, the first open month, with --charges %s", month, books.Closed+1, books.Closed+1)
	}
	return func(ctx context.Context) (err error) {
		r, err := intake.OpenCharges(m, what)
		if err != nil {
			return &contentError{err}
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		var data bytes.Buffer
		csv := exports.NewCSV(&data)
		bad := table.Errors{What: "file of charges"}
		closed, err := i.env.closedDocuments(ctx, i.at)
		if err != nil {
			return err
		}
		for {
			var c intake.Charge
			refused, err := r.Next(&c)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return &contentError{err}
			}
			line, wrong := chargeLine(&c)
			if refused == nil {
				refused = wrong
			}
			if refused == nil {
				refused = notBilledBefore(&c, line, closed)
			}
			if refused != nil {
				bad.Add(refused)
				continue
			}
			if err := csv.Encode(line); err != nil {
				return &contentError{fmt.Errorf("line %d: %w", c.Line, err)}
			}
			in.Records++
			if d := (ledger.Document{PartnerID: line.Account.PartnerID, Number: line.InvoiceNumber}); !slices.Contains(in.Documents, d) {
				in.Documents = append(in.Documents, d)
			}
		}
		if err := bad.Err(); err != nil {
			in.Records, in.Documents = 0, nil
			return &contentError{err}
		}
		if err := csv.Close(); err != nil {
			return err
		}
		f.noteUnknown(r.Unknown())
		return keep(in)(i.env.ledger().Data(ctx, "csv", data.Bytes(), in.Records))
	}, nil
}
