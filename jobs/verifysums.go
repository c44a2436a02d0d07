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

// sums checks that the files of the current revisions agree with each other, an
// invoice or a list of exceptions at a time.
func (v *verification) sums(ctx context.Context) {
	damaged := make(map[string]bool)
	for _, f := range v.notes {
		damaged[f.Object] = damaged[f.Object] || f.Kind == WrongHash
	}
	var jobs []func(context.Context, *notes)
	lines := make(map[string]*int)
	for _, m := range v.months {
		prefix := ledger.RevisionPrefix(m.Month, m.Current.Revision)
		for _, inv := range m.Current.Invoices {
			read := new(int)
			lines[prefix+inv.PartnerID] = read
			jobs = append(jobs, func(ctx context.Context, n *notes) {
				if damaged[prefix+partnerFile(inv.PartnerID, csvName)] {
					return // the others would be compared with what is known to be wrong
				}
				*read = v.env.verifyInvoice(ctx, manifestKey(m), prefix, inv, n)
			})
		}
		jobs = append(jobs, func(ctx context.Context, n *notes) {
			v.env.verifyExceptions(ctx, m, prefix+exceptionsName, m.Current.Exceptions, n)
			if m.Current.Late != (ledger.ExceptionCounts{}) {
				v.env.verifyExceptions(ctx, m, prefix+lateName, m.Current.Late, n)
			}
		})
	}
	v.parallel(ctx, "verify sums", len(jobs), func(ctx context.Context, i int) (n notes) {
		jobs[i](ctx, &n)
		return n
	})
	v.result.Invoices = len(lines)
	for _, read := range lines {
		v.result.Lines += *read
	}
}

// leg is one place that says what an invoice comes to.
type leg struct {
	object string
	where  string // in the object
	totals invoice.Totals
}

// verifyInvoice compares every file of a partner with its CSV, which is the
// book. It returns the number of lines in that.
func (e Env) verifyInvoice(ctx context.Context, manifest, prefix string, inv ledger.InvoiceSummary, n *notes) int {
	key := func(name string) string { return prefix + partnerFile(inv.PartnerID, name) }
	book, ok := e.verifyBook(ctx, key(csvName), inv, n)
	if !ok {
		return 0 // nothing to compare with
	}
	var legs []leg
	add := func(object, where string, totals invoice.Totals, err error) {
		if err != nil {
			n.unreadable(object, err)
			return
		}
		legs = append(legs, leg{object, where, totals})
	}
	totals, err := summaryTotals(inv)
	add(manifest, "partner "+inv.PartnerID+": ", totals, err)
	totals, err = e.parquetTotals(ctx, key(parquetName), inv.Currency)
	add(key(parquetName), "", totals, err)
	totals, err = e.workbookTotals(ctx, key(workbookName), inv.Currency)
	add(key(workbookName), "", totals, err)
	headers, err := e.headerTotals(ctx, key(invoiceName))
	if err != nil {
		n.unreadable(key(invoiceName), err)
	}
	for _, l := range append(legs, headers...) {
		l.compare(book, n)
	}
	return book.Lines
}

// verifyBook adds the CSV up and checks that every line belongs to the invoice.
func (e Env) verifyBook(ctx context.Context, key string, inv ledger.InvoiceSummary, n *notes) (book invoice.Totals, ok bool) {
	err := e.readLines(ctx, key, func(l *invoice.Line) {
		book.Add(l)
		row := "line " + strconv.Itoa(book.Lines) + ": "
		if l.Account.PartnerID != inv.PartnerID {
			n.add(WrongTotals, key, row+"PartnerId", inv.PartnerID, l.Account.PartnerID)
		}
		if l.InvoiceNumber != inv.Number {
			n.add(WrongTotals, key, row+"InvoiceNumber", inv.Number, l.InvoiceNumber)
		}
		if l.Currency != inv.Currency {
			n.add(WrongTotals, key, row+"Currency", inv.Currency, l.Currency)
		}
	})
	if err != nil {
		n.unreadable(key, err)
	}
	return book, err == nil
}

// compare enters where a leg differs from the book.
func (l leg) compare(book invoice.Totals, n *notes) {
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
			n.add(WrongTotals, l.object, l.where+c.what, count(c.expected), count(c.found))
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

// verifyExceptions checks that a file has the rows that the manifest counts.
func (e Env) verifyExceptions(ctx context.Context, m ledger.Month, key string, want ledger.ExceptionCounts, n *notes) {
	data, err := bucket.ReadAll(ctx, e.Bucket, key)
	if err != nil {
		n.unreadable(key, err)
		return
	}
	all, err := exports.ReadExceptions(bytes.NewReader(data), m.Month)
	if err != nil {
		n.unreadable(key, err)
		return
	}
	if got := countExceptions(all); got != want {
		text := func(c ledger.ExceptionCounts) string {
			return fmt.Sprintf("%d errors, %d warnings", c.Errors, c.Warnings)
		}
		n.add(WrongCount, key, "rows", text(want), text(got))
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
