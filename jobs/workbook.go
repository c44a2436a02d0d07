package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/invoice/waterfall"
	"github.com/calends/calends/pipeline/ledger"
)

// workbookInfo is what a partner's workbook says besides the lines. It depends
// on the month's inputs and on what the month before is at this moment; the
// workbook names both. They do not decide whether a revision is written: the
// lines, headers and exceptions do.
func (p *publication) workbookInfo(ctx context.Context, inv partnerInvoice, csv exports.Control) (exports.WorkbookInfo, error) {
	if p.computed.catalog == nil {
		return exports.WorkbookInfo{}, errNoCatalog
	}
	info := exports.WorkbookInfo{
		Invoice: inv.Invoice, Exceptions: ofPartner(p.computed.exceptions, inv.PartnerID),
		Revision: p.manifest.Revision, SoftwareVersion: p.env.Version, CSV: csv, Seats: &inv.seats,
	}
	var err error
	if info.Last, err = p.env.lastMonth(ctx, p.at, inv.Invoice, inv.lines.inFull()); err != nil {
		return info, err
	}
	sold := newSales(p.computed.catalog, p.computed.month)
	for l, err := range inv.lines.inFull() {
		if err != nil {
			return info, err
		}
		sold.add(l)
	}
	if info.PriceChanges, err = sold.priceChanges(); err != nil {
		return info, fmt.Errorf("price changes: %w", err)
	}
	info.Sources = sources(p.at.inputs, inv.Invoice, info.Last)
	return info, nil
}

// lastMonth compares an invoice, whose lines are given, with that of the month
// before as it stands now, whose lines are read once. nil: there is none in the
// same currency.
func (e Env) lastMonth(ctx context.Context, at snapshot, inv *invoice.Invoice, lines iter.Seq2[*invoice.Line, error]) (last *exports.LastMonth, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("compare with %s: %w", inv.Month-1, err)
		}
	}()
	before, ok := at.month(inv.Month - 1)
	if !ok {
		return nil, nil
	}
	n := slices.IndexFunc(before.Current.Invoices, func(s ledger.InvoiceSummary) bool { return s.PartnerID == inv.PartnerID })
	if n < 0 || before.Current.Invoices[n].Currency != inv.Currency {
		return nil, nil
	}
	path := partnerFile(inv.PartnerID, csvName)
	last = &exports.LastMonth{Revision: before.Current.Revision, State: string(before.Current.State),
		CSV: exports.Control{File: csvName, SHA256: sha256Of(before, path)}}
	if last.CSV.Totals, err = summaryTotals(before.Current.Invoices[n]); err != nil {
		return nil, err
	}
	were := e.linesOf(ctx, ledger.RevisionPrefix(before.Month, before.Current.Revision)+path)
	last.Waterfall, err = waterfall.Explain(inv.Month, were, lines)
	return last, err
}

// linesOf yields the lines of a reconciliation file of the bucket.
func (e Env) linesOf(ctx context.Context, key string) iter.Seq2[*invoice.Line, error] {
	return func(yield func(*invoice.Line, error) bool) {
		object, err := e.Bucket.Open(ctx, key)
		if err != nil {
			yield(nil, err)
			return
		}
		stopped := false
		for line, err := range exports.ReadLines(io.Reader(object)) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				err = fmt.Errorf("read %s: %w", key, err)
			}
			if stopped = !yield(line, err); stopped || err != nil {
				break
			}
		}
		if err := object.Close(); err != nil && !stopped {
			yield(nil, err)
		}
	}
}

// sources lists the inputs behind a partner's invoice: last month's book, the
// price sheets that priced its lines, reference data, its charges rated elsewhere.
// Files of changes are left to the manifest: the same changes give the same
// workbook, however they were cut into files and in whatever order they came.
func sources(inputs []ledger.Input, inv *invoice.Invoice, last *exports.LastMonth) []exports.Source {
	var first, all []exports.Source
	if last != nil {
		first = append(first, exports.Source{Kind: "last month", Name: csvName, Month: (inv.Month - 1).String(), SHA256: last.CSV.SHA256,
			Records: int64(last.CSV.Lines), Refused: -1, Use: fmt.Sprintf("the waterfall begins with its revision %d, %s", last.Revision, last.State)})
	}
	rows := make(map[string]ledger.Input)
	for _, in := range inputs {
		rows[in.SHA256] = in
	}
	for _, s := range inv.Sheets {
		in := rows[s.SHA256]
		all = append(all, exports.Source{Kind: string(ledger.Prices), Name: s.File, Month: s.Month.String(), Market: s.Market, SHA256: s.SHA256,
			Records: in.Records, Refused: in.Refused, Use: "priced lines of this invoice"})
	}
	for _, in := range inputs {
		if use := useOf(in, inv.PartnerID, inv.Month.String()); use != "" {
			all = append(all, exports.Source{Kind: string(in.Kind), Name: in.Name, Month: in.Month, SHA256: in.SHA256,
				Records: in.Records, Refused: in.Refused, Use: use})
		}
	}
	slices.SortFunc(all, func(a, b exports.Source) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Month, b.Month), strings.Compare(a.Market, b.Market),
			strings.Compare(a.Name, b.Name), strings.Compare(a.SHA256, b.SHA256))
	})
	first = append(first, exports.Source{Kind: string(ledger.Changes), Name: manifestName, Month: inv.Month.String(), Records: -1, Refused: -1,
		Use: "names every file of changes, with its SHA-256"})
	return append(first, all...)
}

// manifestName is the file of a revision that names all its inputs.
const manifestName = "manifest.json"

// useOf says what an input is for, "" for nothing that the partner's workbook
// should name.
func useOf(in ledger.Input, partnerID, month string) string {
	switch in.Kind {
	case ledger.Charges:
		theirs := slices.ContainsFunc(in.Documents, func(d ledger.Document) bool { return d.PartnerID == partnerID })
		if theirs && in.Month == month {
			return "charges rated elsewhere, passed through"
		}
	case ledger.Partners:
		return "currency and tax rate"
	case ledger.Customers:
		return "names, markets and segments"
	case ledger.Rates:
		return "exchange rates"
	case ledger.Promotions:
		return "promotions"
	case ledger.Offers:
		return "what may be upgraded, and how many licences"
	case ledger.Changes, ledger.Prices, ledger.Software: // see sources; sheets that were used are named by the invoice
	}
	return ""
}

var errNoCatalog = errors.New("computed without a catalog")
