package jobs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calends/calends/pricing"
)

// TestCloseHolds: a month closes only when it is over and nothing is parked or
// missing, of its own or of what came late; a reason closes it all the same.
func TestCloseHolds(t *testing.T) {
	t.Parallel()
	const (
		partners  = "PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate\np,P,DE,EUR,1,\n"
		customers = "CustomerId,CustomerName,CustomerDomainName,CustomerCountry,Segment,PartnerId,ResellerMpnId\nc,C,c.example,DE,,p,\n"
		sheet     = "ProductTitle,ProductId,SkuId,SkuTitle,Publisher,TermDuration,BillingPlan,Market,Currency,UnitPrice,EffectiveStartDate,EffectiveEndDate,Segment\n" +
			"T,PA,1,S,M,P1Y,Monthly,DE,EUR,120,1/1/2020,11/30/9999,Commercial\nT,PU,1,S,M,P1Y,Monthly,DE,USD,240,1/1/2020,11/30/9999,Commercial\n"
		fx = "CurrencyCode,USDPerUnit,Month\nEUR,1.1,202608\n"
	)
	bought := func(id, customer, product, at string) string {
		return `{"specversion":"1.0","id":"` + id + `","source":"t","type":"subscription.purchased","time":"` + at + `","subject":"s` + id +
			`","data":{"customerId":"` + customer + `","productId":"` + product + `","skuId":"1","termDuration":"P1Y","billingCycle":"Monthly","quantity":1}}` + "\n"
	}
	july := bought("1", "c", "PA", "2026-07-05T10:00:00Z")
	for _, tt := range []struct {
		name   string
		july   string // taken in before July closes
		later  string // and after
		month  string
		today  pricing.Date
		reason string // "": the month closes
	}{
		{"nothing is open", july, "", "2026-08", pricing.DateOf(2026, 9, 1), ""},
		{"the month is not over", july, "", "2026-08", pricing.DateOf(2026, 8, 31), "the month is not over: today is 2026-08-31, its last day 2026-08-31"},
		{"a subscription is parked", july, bought("2", "c", "PX", "2026-08-05T10:00:00Z"), "2026-08", pricing.DateOf(2026, 9, 1), "1 subscription parked"},
		{"an unknown customer", july, bought("2", "x", "PA", "2026-08-05T10:00:00Z"), "2026-08", pricing.DateOf(2026, 9, 1), "1 exception UNKNOWN_CUSTOMER: see exceptions.csv of the draft"},
		{"a late purchase without a rate", july, bought("2", "c", "PU", "2026-07-06T10:00:00Z"), "2026-08", pricing.DateOf(2026, 9, 1), "1 exception FX_RATE_NOT_FOUND: see late-exceptions.csv of the draft"},
		{"a late purchase of an unknown customer", july, bought("2", "x", "PA", "2026-07-06T10:00:00Z"), "2026-08", pricing.DateOf(2026, 9, 1), "1 exception UNKNOWN_CUSTOMER: see late-exceptions.csv of the draft"},
		{"a line that July was closed without", july + bought("2", "c", "PU", "2026-07-06T10:00:00Z"), "", "2026-08", pricing.DateOf(2026, 9, 1), "1 exception FX_RATE_NOT_FOUND: see late-exceptions.csv of the draft"},
		{"a correction in a currency of before", july, strings.Replace(partners, "EUR", "USD", 1) + "\x00" +
			bought("2", "c", "PA", "2026-07-06T10:00:00Z"), "2026-08", pricing.DateOf(2026, 9, 1), "of closed months cannot stand on an invoice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			env := testEnv(t, nil)
			take := func(contents ...string) {
				dir := t.TempDir()
				for i, content := range contents {
					if content == "" {
						continue
					}
					if err := os.WriteFile(filepath.Join(dir, "2026-07-"+string(rune('a'+i))), []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				mustIngest(ctx, t, env, dir)
			}
			take(partners, customers, sheet, fx, tt.july)
			if _, err := env.Close(ctx, mustMonth(t, "2026-07"), "the books begin"); err != nil {
				t.Fatal(err)
			}
			take(strings.Split(tt.later, "\x00")...)
			env.Today = tt.today
			month := mustMonth(t, tt.month)
			_, err := env.Close(ctx, month, "")
			switch {
			case tt.reason == "" && err != nil:
				t.Fatal(err)
			case tt.reason != "" && (!errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), tt.reason)):
				t.Fatalf("got %v, want %s", err, tt.reason)
			}
			if _, err := env.Close(ctx, month, "agreed"); err != nil {
				t.Errorf("with a reason: %v", err)
			}
		})
	}
}

// TestChargesAreBilledOnce: one document of charges is billed once, for
// whatever month it is filed, and never again once its month is closed.
func TestChargesAreBilledOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	env := testEnv(t, nil)
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	charge := func(amount string) string {
		return "PartnerId,CustomerId,InvoiceNumber,OrderDate,ChargeType,Quantity,BillableQuantity,Subtotal,TaxTotal,Total,Currency\n" +
			"p,c,D1,2026-07-03,new,1,1," + amount + ",0," + amount + ",EUR\n"
	}
	mustIngest(ctx, t, env, write("partners", "PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate\np,P,DE,EUR,1,\n"))
	take := func(month, amount string) FileResult {
		t.Helper()
		result, err := env.Ingest(ctx, IngestPlan{Paths: []string{write("charges-"+amount, charge(amount))}, Charges: mustMonth(t, month)})
		if err != nil {
			t.Fatal(err)
		}
		return result.Files[0]
	}
	total := func(month string) string {
		t.Helper()
		result, err := env.Bill(ctx, mustMonth(t, month), false)
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Invoices) == 0 {
			return "none"
		}
		return result.Invoices[0].Total
	}
	if f := take("2026-07", "6.00"); f.Status != StatusTaken {
		t.Fatal(f)
	}
	if got := total("2026-07"); got != "6.00" {
		t.Errorf("July %s, want 6.00", got)
	}
	take("2026-08", "9.00")
	if july, august := total("2026-07"), total("2026-08"); july != "none" || august != "9.00" {
		t.Errorf("filed again for August: July %s, August %s; want none and 9.00", july, august)
	}
	for _, month := range []string{"2026-07", "2026-08"} {
		if _, err := env.Close(ctx, mustMonth(t, month), "agreed"); err != nil {
			t.Fatal(err)
		}
	}
	f := take("2026-09", "11.00")
	if f.Status != StatusRefused || len(f.Errors) != 1 || !strings.Contains(f.Errors[0].Rule, "was billed with 2026-08, which is closed") {
		t.Errorf("filed again after the close: %+v", f)
	}
}
