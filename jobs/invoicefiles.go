package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
)

// Formats is a set of file formats.
type Formats uint8

// The formats of a partner's lines. Its invoice is always written as JSON.
const (
	CSV Formats = 1 << iota
	Parquet
	Workbook

	// AllFormats is what every revision has. Fewer are for measuring.
	AllFormats Formats = 0
)

func (f Formats) has(one Formats) bool { return f == AllFormats || f&one != 0 }

// invoiceFiles are one partner's folder of a revision on its way.
type invoiceFiles struct {
	*publication
	inv *partnerInvoice
	// What each of the steps wrote; the first two go side by side.
	csv, parquet, rest writing
	controls           []exports.Control
	// places are where each customer's lines lie in the CSV.
	places []ledger.LinesAt
}

func newInvoiceFiles(p *publication, inv *partnerInvoice) *invoiceFiles {
	w := writing{publication: p}
	return &invoiceFiles{publication: p, inv: inv, csv: w, parquet: w, rest: w, controls: make([]exports.Control, 2)}
}

func (f *invoiceFiles) path(name string) string { return partnerFile(f.inv.PartnerID, name) }

func (f *invoiceFiles) failed(err error) error {
	if err != nil {
		return fmt.Errorf("partner %s: %w", f.inv.PartnerID, err)
	}
	return nil
}

func (f *invoiceFiles) writeCSV(ctx context.Context) error {
	if !f.env.Formats.has(CSV) {
		return nil
	}
	var csv *exports.CSV
	err := f.csv.file(ctx, f.path(csvName), func(w io.Writer) error {
		csv = exports.NewCSV(w)
		if f.manifest.State == ledger.Closed {
			return f.encodePlaces(csv)
		}
		return f.inv.lines.encode(ctx, csv)
	})
	if err != nil {
		return f.failed(err)
	}
	f.controls[0] = exports.Control{File: csvName, SHA256: f.csv.last().SHA256, Totals: csv.Totals()}
	return nil
}

// encodePlaces writes an invoice's lines and notes where each customer's lie.
func (f *invoiceFiles) encodePlaces(csv *exports.CSV) error {
	f.places = nil
	csv.SetInvoice(f.inv.lines.invoice)
	row := 1
	for b, err := range f.inv.lines.blocks {
		if err != nil {
			return err
		}
		for from := 0; from < len(b.Rows); {
			to, id := from+1, b.Account(from).CustomerID
			for to < len(b.Rows) && b.Account(to).CustomerID == id {
				to++
			}
			at := csv.Offset()
			if err := csv.EncodeBlock(b, from, to); err != nil {
				return err
			}
			size := csv.Offset() - at
			if n := len(f.places); n > 0 && f.places[n-1].CustomerID == id {
				f.places[n-1].Size += size
			} else {
				f.places = append(f.places, ledger.LinesAt{CustomerID: id, PartnerID: f.inv.PartnerID, Offset: at, Size: size, Row: row})
			}
			row += to - from
			from = to
		}
	}
	return csv.Close()
}

func (f *invoiceFiles) writeParquet(ctx context.Context) error {
	if !f.env.Formats.has(Parquet) {
		return nil
	}
	var totals invoice.Totals
	err := f.parquet.file(ctx, f.path(parquetName), func(w io.Writer) error {
		parquet, err := f.parquetTo(w, f.inv.Currency)
		if err != nil {
			return err
		}
		if err := f.inv.lines.encode(ctx, parquet); err != nil {
			return err
		}
		totals = parquet.Totals()
		select {
		case f.parquets <- parquet:
		default:
		}
		return nil
	})
	if err != nil {
		return f.failed(err)
	}
	f.controls[1] = exports.Control{File: parquetName, SHA256: f.parquet.last().SHA256, Totals: totals}
	return nil
}

// parquetTo returns an encoder that writes to w, one that has been used if there is.
func (p *publication) parquetTo(w io.Writer, currency string) (*exports.Parquet, error) {
	select {
	case parquet := <-p.parquets:
		return parquet, parquet.Reset(w, currency)
	default:
		return exports.NewParquet(w, currency)
	}
}

// writeRest checks what lies there and writes the workbook and the header.
func (f *invoiceFiles) writeRest(ctx context.Context) error {
	provenance := exports.Provenance{SoftwareVersion: f.env.Version}
	for _, c := range f.controls {
		if c.File != "" {
			provenance.Controls = append(provenance.Controls, c)
		}
	}
	if err := f.work(ctx, "add up what was written", func() error { return f.control(ctx, provenance) }); err != nil {
		return f.failed(err)
	}
	if f.env.Formats.has(Workbook) {
		if err := f.rest.file(ctx, f.path(workbookName), func(w io.Writer) error { return f.encodeWorkbook(ctx, w) }); err != nil {
			return f.failed(err)
		}
	}
	return f.failed(f.rest.file(ctx, f.path(invoiceName), func(w io.Writer) error { return exports.WriteInvoice(w, f.inv.Invoice, provenance) }))
}

func (f *invoiceFiles) encodeWorkbook(ctx context.Context, w io.Writer) error {
	info, err := f.workbookInfo(ctx, *f.inv, f.controls[0])
	if err != nil {
		return err
	}
	book, err := exports.NewWorkbook(w, info)
	if err != nil {
		return err
	}
	return encodeAll(book, &f.inv.lines)
}

// control adds up the CSV as it lies in the bucket, the sections and the
// customers: all must give the invoice's total, or nothing is published.
func (f *invoiceFiles) control(ctx context.Context, provenance exports.Provenance) error {
	var bySection, byCustomer invoice.Totals
	for _, s := range f.inv.Sections {
		bySection.Merge(s.Totals)
	}
	for _, c := range f.inv.Customers {
		byCustomer.Merge(c.Totals)
	}
	legs := map[string]invoice.Totals{"sections": bySection, "customers": byCustomer}
	for _, c := range provenance.Controls {
		legs[c.File] = c.Totals
	}
	if f.env.Formats.has(CSV) && !f.env.forgotten {
		read, err := f.env.readTotals(ctx, f.prefix+f.path(csvName))
		if err != nil {
			return err
		}
		legs[csvName+" read back"] = read
	}
	for name, totals := range legs {
		if totals != f.inv.Totals {
			return fmt.Errorf("control totals: %s gives %+v, the invoice %+v", name, totals, f.inv.Totals)
		}
	}
	return nil
}

// readTotals adds up a reconciliation file of the bucket.
func (e Env) readTotals(ctx context.Context, key string) (totals invoice.Totals, err error) {
	object, err := e.Bucket.Open(ctx, key)
	if err != nil {
		return totals, err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	if totals, err = exports.ReadCSVTotals(object); err != nil {
		return totals, fmt.Errorf("read %s: %w", key, err)
	}
	return totals, nil
}
