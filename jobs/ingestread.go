package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// reader returns what reads and keeps the file.
func (i *ingestion) reader(m *intake.Member, what intake.Recognised, in *ledger.Input, f *FileResult) (func(context.Context) error, error) {
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
		return i.priceSheet(m, in, f)
	case intake.Changes:
		in.Kind = ledger.Changes
		return func(ctx context.Context) error { return i.changes(ctx, m, what, in, f) }, nil
	case intake.Charges, intake.LegacyCharges:
		return i.charges(m, what, in, f)
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

func (i *ingestion) priceSheet(m *intake.Member, in *ledger.Input, f *FileResult) (func(context.Context) error, error) {
	month := i.plan.Month
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

// changes streams changes into sorted runs. The content's hash is known only
// at its end: a file that the ledger has then adds nothing.
func (i *ingestion) changes(ctx context.Context, m *intake.Member, what intake.Recognised, in *ledger.Input, f *FileResult) (err error) {
	sum, err := hashMember(m)
	if err != nil {
		return &contentError{err}
	}
	in.SHA256 = sum
	if _, ok := i.known[keyOfInput(*in)]; ok {
		return nil
	}
	r, err := intake.OpenChanges(m, what.Format)
	if err != nil {
		return &contentError{err}
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var run []change.Change
	flush := func() error {
		if len(run) == 0 {
			return nil
		}
		objects, err := i.env.ledger().PutChanges(ctx, run)
		in.Objects = append(in.Objects, objects...)
		run = run[:0]
		return err
	}
	for {
		var c change.Change
		refused, err := r.Next(&c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &contentError{err}
		}
		if refused != nil {
			in.Refused++
			if len(f.Errors) < maxErrors {
				f.Errors = append(f.Errors, recordError(refused))
			}
			continue
		}
		in.Records++
		run = append(run, c)
		if len(run) == runSize {
			if err := flush(); err != nil {
				return err
			}
			i.env.progress("ingest "+in.Name, in.Records, 0)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	f.noteUnknown(r.Unknown())
	return flush()
}

// charges keeps a file of charges rated elsewhere, whole.
func (i *ingestion) charges(m *intake.Member, what intake.Recognised, in *ledger.Input, f *FileResult) (func(context.Context) error, error) {
	month := i.plan.Charges
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
