package exports

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares what was written with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test ./exports -update, then read the diff)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func day(s string) pricing.Date {
	d, err := pricing.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

var october = pricing.MonthOf(2026, time.October)

// company is a partner with two customers in October 2026: a purchase, a seat
// change, a cancellation in a foreign pricing currency and a credit.
func company() []*invoice.Line {
	num := decimal.RequireFromString
	bakery := &invoice.Account{
		PartnerID: "11111111-1111-4111-8111-111111111111", MpnID: "0457123",
		CustomerID: "aaaaaaaa-0000-4000-8000-000000000001", CustomerName: `Bäckerei "Krume", Köln`,
		CustomerDomainName: "krume.onmicrosoft.com", CustomerCountry: "DE", ResellerMpnID: "0999001",
	}
	yard := &invoice.Account{
		PartnerID: bakery.PartnerID, MpnID: bakery.MpnID,
		CustomerID: "bbbbbbbb-0000-4000-8000-000000000002", CustomerName: "=Yard & Sons",
		CustomerDomainName: "yard.onmicrosoft.com", CustomerCountry: "GB",
	}
	business := &invoice.Item{
		ProductID: "CFQ7TTC0LDPB", SkuID: "0001", AvailabilityID: "CFQ7TTC0LQ7X",
		SkuName: "Microsoft 365 Business Standard", ProductName: "Microsoft 365 Business Standard",
		PublisherName: "Microsoft Corporation", SubscriptionDescription: "Microsoft 365 Business Standard",
		TermAndBillingCycle: "One-year commitment for monthly billing", UnitType: "Licenses", BillingFrequency: "Monthly",
	}
	visio := &invoice.Item{
		ProductID: "CFQ7TTC0HD33", SkuID: "0003", AvailabilityID: "CFQ7TTC0K5RR",
		SkuName: "Visio Plan 2", ProductName: "Visio Plan 2", PublisherName: "Microsoft Corporation",
		SubscriptionDescription: "Visio Plan 2", TermAndBillingCycle: "One-month commitment for monthly billing",
		UnitType: "Licenses", ProductQualifiers: `["Add-on"]`, PromotionID: "39NFJQT1PJQB:0001:39NFJQT1Q5KN",
	}
	first := invoice.Line{
		Account: bakery, Item: business, SubscriptionID: "5a000000-0000-4000-8000-000000000001", OrderID: "94e858b6d855",
		OrderDate: day("2026-10-05"), ChargeType: "new", UnitPrice: num("9.6"), EffectiveUnitPrice: num("9.6"),
		Quantity: num("25"), BillableQuantity: num("25"), Subtotal: 24000, TaxTotal: 4560, Total: 28560,
		Currency: "EUR", PricingCurrency: "EUR", ExchangeRate: num("1"), RateDate: day("2026-10-01"),
		ChargeStart: day("2026-10-05"), ChargeEnd: day("2026-11-04"), TermStart: day("2026-10-05"), TermEnd: day("2027-10-04"),
		ReferenceID: "0cf1202a-5b7d-4219-966e-93c637113708",
	}
	minus := first
	minus.OrderDate, minus.ChargeStart, minus.ChargeType = day("2026-10-20"), day("2026-10-20"), "addQuantity"
	minus.EffectiveUnitPrice = num("-4.9548387097")
	minus.Subtotal, minus.TaxTotal, minus.Total = -12387, -2353, -14740
	minus.ReferenceID = "6f3ec1a4-8f60-4a0c-9d1f-0d3c2b1a0001"
	plus := minus
	plus.EffectiveUnitPrice, plus.Quantity, plus.BillableQuantity = num("4.9548387097"), num("30"), num("30")
	plus.Subtotal, plus.TaxTotal, plus.Total = 14864, 2824, 17688

	cancel := first
	cancel.Account, cancel.Item = yard, visio
	cancel.SubscriptionID, cancel.OrderID = "5b000000-0000-4000-8000-000000000002", "94e858b6d856"
	cancel.OrderDate, cancel.ChargeType = day("2026-10-07"), "cancelImmediate"
	cancel.ChargeStart, cancel.ChargeEnd = day("2026-10-07"), day("2026-11-02")
	cancel.TermStart, cancel.TermEnd = day("2026-10-03"), day("2026-11-02")
	cancel.UnitPrice, cancel.EffectiveUnitPrice = num("15"), num("-12.4112903226")
	cancel.Quantity, cancel.BillableQuantity = num("3"), num("3")
	cancel.PricingCurrency, cancel.ExchangeRate = "USD", num("0.921658986")
	cancel.Subtotal, cancel.TaxTotal, cancel.Total = -3429, 0, -3429
	cancel.PriceAdjustment = `["5.0% promotion","override: ""clerk, on the phone"""]`
	cancel.ReferenceID = "6f3ec1a4-8f60-4a0c-9d1f-0d3c2b1a0002"

	credit := invoice.Line{
		Account: yard, Item: &invoice.Item{}, OrderDate: day("2026-10-31"), ChargeType: "customerCredit",
		UnitPrice: num("50"), EffectiveUnitPrice: num("-50"), Quantity: num("1"), BillableQuantity: num("1"),
		Subtotal: -5000, TaxTotal: -950, Total: -5950, Currency: "EUR", PricingCurrency: "EUR",
		RateDate: pricing.NoDate, ChargeStart: day("2026-10-31"), ChargeEnd: day("2026-10-31"),
		TermStart: pricing.NoDate, TermEnd: pricing.NoDate, CreditReasonCode: "Goodwill",
		ReferenceID: "6f3ec1a4-8f60-4a0c-9d1f-0d3c2b1a0003",
	}
	return []*invoice.Line{&first, &minus, &plus, &credit, &cancel}
}

// document is the invoice of company.
func document() *invoice.Invoice {
	inv := &invoice.Invoice{
		Month: october, Number: "C202610-000001", Kind: invoice.KindInvoice,
		PartnerID: "11111111-1111-4111-8111-111111111111", PartnerName: "Nordlicht <Cloud> GmbH & Co. KG",
		Country: "DE", MpnID: "0457123", Currency: "EUR", MinorDigits: 2, TaxRate: "0.19",
		Policies: invoice.Policies{Rounding: "documented", MonthEnd: "clamp", Windows: "enforce"},
		Sheets:   []invoice.SheetUse{{Market: "DE", Month: october, File: "DE-202610.csv", SHA256: "5f3c"}},
		Rates:    []invoice.RateUse{{PricingCurrency: "USD", Month: october, Rate: "0.921658986"}},
	}
	for _, l := range company() {
		inv.Totals.Add(l)
		addTo(&inv.Sections, l.ChargeType, l)
		if n := len(inv.Customers); n == 0 || inv.Customers[n-1].CustomerID != l.Account.CustomerID {
			inv.Customers = append(inv.Customers, invoice.CustomerTotal{CustomerID: l.Account.CustomerID, CustomerName: l.Account.CustomerName})
		}
		inv.Customers[len(inv.Customers)-1].Add(l)
	}
	return inv
}

func addTo(sections *[]invoice.Section, name string, l *invoice.Line) {
	for i := range *sections {
		if (*sections)[i].Name == name {
			(*sections)[i].Add(l)
			return
		}
	}
	*sections = append(*sections, invoice.Section{Name: name})
	(*sections)[len(*sections)-1].Add(l)
}

// many makes n lines at a realistic shape: ten subscriptions a customer, two
// lines a subscription, forty products.
func many(n int, currency string) []*invoice.Line {
	random := rand.New(rand.NewPCG(2026, 10))
	uuid := func() string {
		return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", random.Uint32(), random.IntN(1<<16), random.IntN(1<<12), random.IntN(1<<12), random.Uint64()>>16)
	}
	template := company()
	items := make([]invoice.Item, 40)
	for i := range items {
		items[i] = *template[0].Item
		items[i].ProductID = fmt.Sprintf("CFQ7TTC0%04X", i)
		items[i].SkuName = fmt.Sprintf("Microsoft 365 Plan %d", i)
		items[i].ProductName, items[i].SubscriptionDescription = items[i].SkuName, items[i].SkuName
	}
	lines := make([]*invoice.Line, n)
	var account *invoice.Account
	var item *invoice.Item
	var subscription, order string
	for i := range lines {
		l := *template[i%3]
		if i%20 == 0 {
			a := *template[0].Account
			a.CustomerID, a.CustomerName = uuid(), fmt.Sprintf("Customer %d Ltd", i/20)
			a.CustomerDomainName = fmt.Sprintf("customer%d.onmicrosoft.com", i/20)
			account = &a
		}
		if i%2 == 0 {
			own := items[random.IntN(len(items))]
			item, subscription, order = &own, uuid(), uuid()[24:]
		}
		l.Account, l.Item, l.SubscriptionID, l.OrderID, l.ReferenceID = account, item, subscription, order, uuid()
		l.Currency = currency
		l.UnitPrice = decimal.New(random.Int64N(100_000), -2)
		l.EffectiveUnitPrice = decimal.New(random.Int64N(2_000_000_000_000)-1_000_000_000_000, -10)
		l.Subtotal = random.Int64N(2_000_000) - 1_000_000
		l.TaxTotal = l.Subtotal / 5
		l.Total = l.Subtotal + l.TaxTotal
		l.OrderDate = october.First() + pricing.Date(random.IntN(31))
		l.ChargeStart = l.OrderDate
		lines[i] = &l
	}
	return lines
}

// writeCSV returns the lines as reconciliation.csv.
func writeCSV(t testing.TB, lines []*invoice.Line) []byte {
	t.Helper()
	var b bytes.Buffer
	c := NewCSV(&b)
	for _, l := range lines {
		if err := c.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
