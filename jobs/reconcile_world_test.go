package jobs

import (
	"bufio"
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

var (
	reconcileWorldDir   = flag.String("reconcile-world", "", "write a bucket and Microsoft's file of a large month into this folder, for testdata/rivals/reconcile")
	reconcileWorldLines = flag.Int("reconcile-lines", 1_000_000, "how many lines that month has")
)

// TestWriteReconcileWorld makes what testdata/rivals/reconcile compares.
func TestWriteReconcileWorld(t *testing.T) {
	if *reconcileWorldDir == "" {
		t.Skip("no -reconcile-world DIR")
	}
	b, err := bucket.NewDisk(filepath.Join(*reconcileWorldDir, "calends-data"))
	if err != nil {
		t.Fatal(err)
	}
	planted := writeLargeMonth(t, envOn(b), *reconcileWorldDir, *reconcileWorldLines)
	t.Logf("%d lines, %d damaged", *reconcileWorldLines, planted)
}

// large is a month of one partner: ten subscriptions a customer, a line each.
type large struct{ lines int }

const largePartner = "10000000-0000-4000-8000-000000000001"

var largeMonth = pricing.MonthOf(2026, 10)

func (w large) customer(i int) string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", i/10, i/10)
}

func (w large) line(i int) *invoice.Line {
	day := largeMonth.First() + pricing.Date(i%28)
	price := decimal.New(int64(500+i%37*100), -2)
	quantity := int64(1 + i%90)
	subtotal := int64(500+i%37*100) * quantity
	tax := subtotal * 21 / 100
	return &invoice.Line{
		Account: &invoice.Account{PartnerID: largePartner, MpnID: "6100001", CustomerID: w.customer(i), CustomerName: fmt.Sprintf("Customer %d, Ltd", i/10),
			CustomerDomainName: fmt.Sprintf("customer%d.onmicrosoft.com", i/10), CustomerCountry: "NL", ResellerMpnID: "6200001"},
		Item: &invoice.Item{ProductID: fmt.Sprintf("CFQ7TTC0%04d", i%200), SkuID: "0001", SkuName: "Microsoft 365 Business Standard", ProductName: "Microsoft 365 Business Standard",
			PublisherName: "Microsoft Corporation", SubscriptionDescription: "Microsoft 365 Business Standard", TermAndBillingCycle: "One-year commitment for monthly billing",
			UnitType: "Licenses", BillingFrequency: "Monthly"},
		SubscriptionID: fmt.Sprintf("%08x-1111-4000-8000-%012x", i, i*7), OrderID: fmt.Sprintf("%012x", i*13), OrderDate: day, ChargeType: "cycleCharge",
		UnitPrice: price, EffectiveUnitPrice: price, Quantity: decimal.NewFromInt(quantity), BillableQuantity: decimal.NewFromInt(quantity),
		Subtotal: subtotal, TaxTotal: tax, Total: subtotal + tax, Currency: "EUR", PricingCurrency: "EUR", ExchangeRate: decimal.NewFromInt(1), RateDate: largeMonth.First(),
		ChargeStart: day, ChargeEnd: day.AddMonths(1) - 1, TermStart: day.AddMonths(-3), TermEnd: day.AddMonths(9) - 1, ReferenceID: fmt.Sprintf("%08x-2222-4000-8000-%012x", i*3, i),
	}
}

// writeLargeMonth writes the month into the bucket and Microsoft's file into the
// folder, in no order and with one line in a hundred damaged.
func writeLargeMonth(t testing.TB, env Env, dir string, lines int) (planted int) {
	t.Helper()
	ctx := t.Context()
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	w := large{lines}
	check(writeParties(filepath.Join(dir, "inputs"), w))
	_, err := env.Ingest(ctx, IngestPlan{Paths: []string{filepath.Join(dir, "inputs")}})
	check(err)
	inv := &invoice.Invoice{Month: largeMonth, Kind: invoice.KindInvoice, PartnerID: largePartner, PartnerName: "Large", Country: "NL", Currency: "EUR", MinorDigits: 2,
		TaxRate: "0.21", Policies: invoice.Policies{Rounding: "documented", MonthEnd: "clamp", Windows: "enforce"}}
	m := ledger.Manifest{Month: largeMonth.String(), Revision: 1, State: ledger.Draft, Software: "test", Fingerprint: "large", Policies: map[string]invoice.Policies{largePartner: inv.Policies}}
	put := func(path string, write func(io.Writer) error) {
		object, err := bucket.CreateSame(ctx, env.Bucket, ledger.RevisionPrefix(largeMonth, 1)+path)
		check(err)
		check(write(object))
		check(object.Commit())
		m.Files = append(m.Files, ledger.File{Path: path, Size: object.Size(), SHA256: object.SHA256()})
	}
	put(partnerFile(largePartner, csvName), func(out io.Writer) error {
		csv := exports.NewCSV(out)
		for i := range lines {
			l := w.line(i)
			inv.Totals.Add(l)
			if err := csv.Encode(l); err != nil {
				return err
			}
		}
		return csv.Close()
	})
	put(partnerFile(largePartner, invoiceName), func(out io.Writer) error { return exports.WriteInvoice(out, inv, exports.Provenance{}) })
	put(exceptionsName, func(out io.Writer) error { return exports.WriteExceptions(out, nil) })
	m.Invoices = []ledger.InvoiceSummary{partnerInvoice{Invoice: inv}.summary()}
	check(env.ledger().PutManifest(context.WithoutCancel(ctx), largeMonth, m))
	file, err := os.Create(filepath.Join(dir, "microsoft.csv"))
	check(err)
	buffered := bufio.NewWriterSize(file, 1<<20)
	theirs := exports.NewCSV(buffered)
	for n := range lines {
		i := int(uint64(n) * 7_368_787 % uint64(lines)) // a prime: every line once, in no order
		l := w.line(i)
		l.InvoiceNumber, l.ReferenceID = "G000000001", fmt.Sprintf("%08x-3333-4000-8000-%012x", i*5, i)
		copies := 1
		if i%100 == 0 {
			planted++
			switch i / 100 % 4 {
			case 0:
				copies = 0
			case 1:
				copies = 2
			case 2:
				rebill(l, l.UnitPrice, l.Quantity.Add(decimal.NewFromInt(3)))
			case 3:
				rebill(l, l.UnitPrice.Add(decimal.New(25, -2)), l.Quantity)
			}
		}
		for range copies {
			check(theirs.Encode(l))
		}
	}
	check(theirs.Close())
	check(buffered.Flush())
	check(file.Close())
	return planted
}

// rebill changes what a line bills.
func rebill(l *invoice.Line, price, quantity decimal.Decimal) {
	l.UnitPrice, l.EffectiveUnitPrice, l.Quantity, l.BillableQuantity = price, price, quantity, quantity
	l.Subtotal = price.Mul(quantity).Shift(2).IntPart()
	l.TaxTotal = l.Subtotal * 21 / 100
	l.Total = l.Subtotal + l.TaxTotal
}

func writeParties(dir string, w large) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	partners := "PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate\n" + largePartner + ",Large,NL,EUR,6100001,0.21\n"
	if err := os.WriteFile(filepath.Join(dir, "partners.csv"), []byte(partners), 0o666); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(dir, "customers.csv"))
	if err != nil {
		return err
	}
	defer file.Close()
	out := csv.NewWriter(file)
	if err := out.Write([]string{"CustomerId", "CustomerName", "CustomerDomainName", "CustomerCountry", "Segment", "PartnerId", "ResellerMpnId"}); err != nil {
		return err
	}
	for i := 0; i < w.lines; i += 10 {
		if err := out.Write([]string{w.customer(i), fmt.Sprintf("Customer %d, Ltd", i/10), "", "NL", "", largePartner, ""}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// BenchmarkReconcile compares 50,000 lines with 50,000; testdata/rivals/reconcile
// does it with a million, beside DuckDB.
func BenchmarkReconcile(b *testing.B) {
	const lines = 50_000
	dir := b.TempDir()
	store, err := bucket.NewDisk(filepath.Join(dir, "calends-data"))
	if err != nil {
		b.Fatal(err)
	}
	env := envOn(store)
	writeLargeMonth(b, env, dir, lines)
	for b.Loop() {
		result, err := env.Reconcile(b.Context(), ReconcilePlan{Month: largeMonth, Files: []string{filepath.Join(dir, "microsoft.csv")}, Formats: []string{"csv", "parquet"}})
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range result.Causes {
			if c.Cause == "unknown" && c.Differences > 0 {
				b.Fatalf("unknown: %+v", c)
			}
		}
	}
	b.ReportMetric(float64(2*lines*b.N)/b.Elapsed().Seconds(), "lines/s")
}
