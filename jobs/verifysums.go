package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// month checks that the files of a current revision agree with each other.
func (v *verification) month(ctx context.Context, m ledger.Month) {
	prefix := ledger.RevisionPrefix(m.Month, m.Current.Revision)
	for _, inv := range m.Current.Invoices {
		v.invoice(ctx, manifestKey(m), prefix, inv)
	}
	v.exceptions(ctx, m, prefix+exceptionsName, m.Current.Exceptions)
	if m.Current.Late != (ledger.ExceptionCounts{}) {
		v.exceptions(ctx, m, prefix+lateName, m.Current.Late)
	}
}

// leg is one place that says what an invoice comes to.
type leg struct {
	object string
	where  string // in the object
	totals invoice.Totals
}

// invoice compares every file of a partner with its CSV, which is the book.
func (v *verification) invoice(ctx context.Context, manifest, prefix string, inv ledger.InvoiceSummary) {
	v.result.Invoices++
	key := func(name string) string { return prefix + partnerFile(inv.PartnerID, name) }
	book, ok := v.book(ctx, key(csvName), inv)
	if !ok {
		return // nothing to compare with
	}
	v.result.Lines += book.Lines
	var legs []leg
	add := func(object, where string, totals invoice.Totals, err error) {
		if err != nil {
			v.unreadable(object, err)
			return
		}
		legs = append(legs, leg{object, where, totals})
	}
	totals, err := summaryTotals(inv)
	add(manifest, "partner "+inv.PartnerID+": ", totals, err)
	totals, err = v.env.parquetTotals(ctx, key(parquetName), inv.Currency)
	add(key(parquetName), "", totals, err)
	totals, err = v.env.workbookTotals(ctx, key(workbookName), inv.Currency)
	add(key(workbookName), "", totals, err)
	headers, err := v.env.headerTotals(ctx, key(invoiceName))
	if err != nil {
		v.unreadable(key(invoiceName), err)
	}
	for _, l := range append(legs, headers...) {
		v.compare(l, book)
	}
}

// book adds the CSV up and checks that every line belongs to the invoice.
func (v *verification) book(ctx context.Context, key string, inv ledger.InvoiceSummary) (book invoice.Totals, ok bool) {
	err := v.env.readLines(ctx, key, func(l *invoice.Line) {
		book.Add(l)
		row := "line " + strconv.Itoa(book.Lines) + ": "
		if l.Account.PartnerID != inv.PartnerID {
			v.wrong(key, row+"PartnerId", inv.PartnerID, l.Account.PartnerID)
		}
		if l.InvoiceNumber != inv.Number {
			v.wrong(key, row+"InvoiceNumber", inv.Number, l.InvoiceNumber)
		}
		if l.Currency != inv.Currency {
			v.wrong(key, row+"Currency", inv.Currency, l.Currency)
		}
	})
	if err != nil {
		v.unreadable(key, err)
	}
	return book, err == nil
}

// compare enters where a leg differs from the book.
func (v *verification) compare(l leg, book invoice.Totals) {
	for _, c := range []struct {
		what            string
		expected, found int64
	}{
		{"lines", int64(book.Lines), int64(l.totals.Lines)},
		{"Subtotal in minor units", book.Subtotal, l.totals.Subtotal},
		{"TaxTotal in minor units", book.TaxTotal, l.totals.TaxTotal},
		{"Total in minor units", book.Total, l.totals.Total},
	} {
		if c.expected != c.found {
			v.wrong(l.object, l.where+c.what, count(c.expected), count(c.found))
		}
	}
}

// summaryTotals are what the manifest says of an invoice.
func summaryTotals(inv ledger.InvoiceSummary) (t invoice.Totals, err error) {
	digits, ok := pricing.MinorDigits(inv.Currency)
	if !ok {
		return t, fmt.Errorf("invoice of partner %s: currency %q is unknown", inv.PartnerID, inv.Currency)
	}
	t.Lines = inv.Lines
	for _, amount := range []struct {
		text  string
		units *int64
	}{{inv.Subtotal, &t.Subtotal}, {inv.TaxTotal, &t.TaxTotal}, {inv.Total, &t.Total}} {
		value, err := decimal.NewFromString(amount.text)
		if err != nil {
			return t, fmt.Errorf("invoice of partner %s: amount %q: %w", inv.PartnerID, amount.text, err)
		}
		if *amount.units, err = pricing.Truncate(value, digits); err != nil {
			return t, fmt.Errorf("invoice of partner %s: amount %q: %w", inv.PartnerID, amount.text, err)
		}
	}
	return t, nil
}

func (e Env) parquetTotals(ctx context.Context, key, currency string) (invoice.Totals, error) {
	object, err := e.Bucket.Open(ctx, key)
	if err != nil {
		return invoice.Totals{}, err
	}
	defer object.Close()
	return exports.ReadParquetTotals(object, object.Size(), currency)
}

func (e Env) workbookTotals(ctx context.Context, key, currency string) (invoice.Totals, error) {
	object, err := e.Bucket.Open(ctx, key)
	if err != nil {
		return invoice.Totals{}, err
	}
	defer object.Close()
	return exports.ReadWorkbookTotals(object, currency)
}

// headerTotals are all sums in an invoice.json: its own, those of its parts
// together, and what each file's encoder added up.
func (e Env) headerTotals(ctx context.Context, key string) ([]leg, error) {
	data, err := bucket.ReadAll(ctx, e.Bucket, key)
	if err != nil {
		return nil, err
	}
	inv, made, err := exports.ReadInvoice(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var sections, customers invoice.Totals
	for _, s := range inv.Sections {
		sections.Merge(s.Totals)
	}
	for _, c := range inv.Customers {
		customers.Merge(c.Totals)
	}
	legs := []leg{{key, "totals: ", inv.Totals}, {key, "sections together: ", sections}, {key, "customers together: ", customers}}
	for _, c := range made.Controls {
		legs = append(legs, leg{key, "control totals of " + c.File + ": ", c.Totals})
	}
	return legs, nil
}

// exceptions checks that a file has the rows that the manifest counts.
func (v *verification) exceptions(ctx context.Context, m ledger.Month, key string, want ledger.ExceptionCounts) {
	data, err := bucket.ReadAll(ctx, v.env.Bucket, key)
	if err != nil {
		v.unreadable(key, err)
		return
	}
	all, err := exports.ReadExceptions(bytes.NewReader(data), m.Month)
	if err != nil {
		v.unreadable(key, err)
		return
	}
	if got := countExceptions(all); got != want {
		text := func(c ledger.ExceptionCounts) string {
			return fmt.Sprintf("%d errors, %d warnings", c.Errors, c.Warnings)
		}
		v.wrong(key, "rows", text(want), text(got))
	}
}

func hashObject(ctx context.Context, b bucket.Bucket, key string) (size int64, sum string, err error) {
	object, err := b.Open(ctx, key)
	if err != nil {
		return 0, "", err
	}
	defer object.Close()
	hash := sha256.New()
	if size, err = io.Copy(hash, object); err != nil {
		return size, "", fmt.Errorf("read %s: %w", key, err)
	}
	return size, hex.EncodeToString(hash.Sum(nil)), nil
}
