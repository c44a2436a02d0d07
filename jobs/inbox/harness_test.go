package inbox

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

const (
	partners  = "PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate\np1,Contoso,NL,EUR,1,0.21\n"
	customers = "CustomerId,CustomerName,CustomerDomainName,CustomerCountry,Segment,PartnerId,ResellerMpnId\nc1,Fabrikam,f.example,NL,,p1,2\n"
	rates     = "CurrencyCode,USDPerUnit,Month\nEUR,1.09,202610\n"
	bad       = "this,is,nothing\n1,2,3\n"

	reconHeader = "PartnerId,CustomerId,InvoiceNumber,OrderDate,ProductId,SkuId,ChargeType,UnitPrice,Quantity,Subtotal,TaxTotal,Total,Currency,SubscriptionId,ChargeStartDate,ChargeEndDate\n"
	reconLine   = "p1,c1,G1,2026-10-05,P,0001,cycleFee,1.00,1,1.00,0.00,1.00,EUR,s1,2026-10-05,2026-11-04\n"
)

// change is one that is understood, and broken one that is not.
func change(id string) string {
	return `{"id":"` + id + `","type":"subscription.canceled","time":"2026-10-05T09:30:00Z","subject":"s1","data":{"customerId":"c1"}}` + "\n"
}

func broken(id string) string {
	return strings.Replace(change(id), "2026-10-05T09:30:00Z", "yesterday", 1)
}

// sheet is a price sheet of NL with so many rows.
func sheet(rows int) string {
	text := "ProductTitle,ProductId,SkuId,SkuTitle,Publisher,SkuDescription,UnitOfMeasure,TermDuration,BillingPlan,Market,Currency,UnitPrice," +
		"PricingTierRangeMin,PricingTierRangeMax,EffectiveStartDate,EffectiveEndDate,Tags,ERP Price,Segment\n"
	for i := range rows {
		text += fmt.Sprintf("Product,P%05d,0001,Product,Microsoft,,,P1Y,Monthly,NL,EUR,57.12,,,11/1/2023 12:00:00 AM,11/30/9999 11:59:59 PM,,67.20,Commercial\n", i)
	}
	return text
}

func gz(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// zipped packs names and contents.
func zipped(t testing.TB, pairs ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		f, err := w.Create(pairs[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// files are dropped below inbox/, by name.
type files map[string]string

func inboxOn(b bucket.Bucket) Inbox {
	return Inbox{LostRows: 50, Env: jobs.Env{Bucket: b, Version: "test", Workers: 1, Today: pricing.DateOf(2026, 10, 5),
		Policies: func(string) subscription.Policies { return subscription.Policies{} }}}
}

func put(t testing.TB, b bucket.Bucket, key, text string) {
	t.Helper()
	if err := bucket.Put(context.Background(), b, key, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func drop(t testing.TB, b bucket.Bucket, dropped files) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(dropped)) {
		put(t, b, folder+name, dropped[name])
	}
}

// fifth is the day of most tests.
var fifth = time.Date(2026, 10, 5, 23, 30, 0, 0, time.UTC)

func run1(ctx context.Context, i Inbox, o Options) (Result, error) {
	plan, err := i.Plan(ctx, o)
	if err != nil {
		return Result{}, err
	}
	return i.Execute(ctx, plan)
}

// take runs the inbox once, on the fifth.
func take(t testing.TB, b bucket.Bucket) Result {
	t.Helper()
	result, err := run1(context.Background(), inboxOn(b), Options{Now: fifth})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// contents are all objects.
func contents(t testing.TB, b bucket.Bucket) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for info, err := range b.List(context.Background(), "") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := bucket.ReadAll(context.Background(), b, info.Key)
		if err != nil {
			t.Fatal(err)
		}
		all[info.Key] = string(data)
	}
	return all
}

// shelves are the keys of what jobs keep, without the reports.
func shelves(t testing.TB, b bucket.Bucket) (keys []string) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(contents(t, b))) {
		if ledger.KindOfKey(key) == ledger.JobKey && !strings.HasSuffix(key, reportSuffix) {
			keys = append(keys, key)
		}
	}
	return keys
}

// fates are the statuses of a result.
func fates(r Result) (all []string) {
	for _, f := range r.Files {
		all = append(all, strings.TrimPrefix(f.Key, folder)+" "+string(f.Status))
	}
	return all
}

func reportOf(t testing.TB, b bucket.Bucket, key string) (report Report) {
	t.Helper()
	data, err := bucket.ReadAll(context.Background(), b, key+reportSuffix)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	return report
}

func inputs(t testing.TB, b bucket.Bucket) []ledger.Input {
	t.Helper()
	all, err := ledger.Ledger{Bucket: b}.Inputs(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s\n got %q\nwant %q", what, got, want)
	}
}
