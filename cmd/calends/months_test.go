package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/microsoft/microsofttest"
)

const demoInputs = "../../testdata/demo"

// demoFile reads an input of the demo, unpacked.
func demoFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(demoInputs, name))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if data, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return string(data)
}

// sheets are the demo's price sheets of a month, by market.
func sheets(t *testing.T, month string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(demoInputs, "prices", month))
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, f := range files {
		market, _, _ := strings.Cut(f.Name(), ".")
		found[market] = demoFile(t, filepath.Join("prices", month, f.Name()))
	}
	return found
}

// publish lets Microsoft have the prices and rates of a month: the current one, and
// those before it as history.
func publish(t *testing.T, s *microsofttest.Server, month string, before ...string) {
	t.Helper()
	for market, sheet := range sheets(t, month) {
		s.PutSheet(market, "current", "", sheet)
	}
	for _, past := range before {
		for market, sheet := range sheets(t, past) {
			s.PutSheet(market, "history", strings.ReplaceAll(past, "-", ""), sheet)
		}
	}
	compact := strings.ReplaceAll(month, "-", "")
	header, rows, _ := strings.Cut(demoFile(t, "fxrates.csv"), "\n")
	kept := slices.DeleteFunc(strings.SplitAfter(rows, "\n"), func(row string) bool { return !strings.Contains(row, ","+compact) })
	s.PutFX(compact, header+"\n"+strings.Join(kept, ""))
	s.PutOfferMatrix(compact, demoFile(t, "offermatrix.csv"))
}

// The months take care of themselves: what is dropped into the inbox and what
// Microsoft publishes becomes the same invoices as the commands of a person make, and
// Microsoft's own bill is compared once it is there.
func TestMonthsTakeCareOfThemselves(t *testing.T) {
	t.Parallel()
	s := microsofttest.New(t)
	partners, exports := microsofttest.AddPartners(s), microsofttest.AddExports(s)
	dir := t.TempDir()
	books, byHand := filepath.Join(dir, "books"), filepath.Join(dir, "by-hand")
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("secret", microsofttest.ClientSecret)
	write("token", microsofttest.RefreshToken)
	write("calends.yaml", fmt.Sprintf(`
bucket: %s
schedule: {since: 2024-01, zone: Europe/Amsterdam}
exports: [{name: finance, to: %s, formats: [csv]}]
microsoft:
  tenant: %s
  client: %s
  secret: {file: %s}
  refreshToken: {file: %s}
  markets: [CH, DE, GB, JP, KW, NL, US]
  endpoints: {login: %[7]s, prices: %[7]s, partnerCenter: %[7]s, graph: %[7]s}
`, books, filepath.Join(dir, "exported"), microsofttest.Tenant, microsofttest.ClientID, filepath.Join(dir, "secret"), filepath.Join(dir, "token"), s.URL))
	calends := func(want int, args ...string) string {
		t.Helper()
		var out, talk strings.Builder
		if code := run(t.Context(), append(args, "--quiet"), streams{nil, &out, &talk}); code != want {
			t.Fatalf("calends %s: exit code %d, want %d: %s%s", strings.Join(args, " "), code, want, &out, &talk)
		}
		return out.String()
	}
	config := filepath.Join(dir, "calends.yaml")
	round := func(want int, now string) (results []string) {
		t.Helper()
		var done struct{ Runs []history.Ended }
		out := calends(want, "run", "--due", "--config", config, "--now", now, "--output", "json")
		if err := json.Unmarshal([]byte(out), &done); err != nil {
			t.Fatal(err)
		}
		for _, e := range done.Runs {
			results = append(results, e.Slice.String()+" "+string(e.Result))
		}
		return results
	}
	drop := func(names ...string) {
		t.Helper()
		for _, name := range names {
			write(filepath.Join("books/inbox", name), demoFile(t, name))
		}
	}
	for _, segment := range []string{"CH", "DE", "GB", "JP", "KW", "NL", "US"} {
		s.PutPromotions(segment, "commercial")
	}

	publish(t, s, "2024-01")
	drop("partners.csv", "customers.csv", "promotions.json", "changes/takeover.csv")
	if got := round(exitDone, "2024-01-05T12:00:00Z"); !slices.Contains(got, "bill/2024-01 done") || !slices.Contains(got, "import-prices/KW/2024-01 done") {
		t.Errorf("in January: %q", got)
	}
	if got := round(exitDone, "2024-01-05T12:01:00Z"); len(got) > 0 {
		t.Errorf("a minute later: %q", got)
	}
	drop("changes/2024-01.jsonl", "changes/reidai.parquet")
	publish(t, s, "2024-02", "2024-01")
	if got := round(exitDone, "2024-02-02T12:00:00Z"); slices.Contains(got, "close/2024-01 done") {
		t.Errorf("on the day before January closes: %q", got)
	}
	if got := round(exitDone, "2024-02-03T12:00:00Z"); !slices.Contains(got, "close/2024-01 done") || !slices.Contains(got, "export/finance/2024-01 done") {
		t.Errorf("on the day that January closes: %q", got)
	}
	// Then nothing runs for two months.
	drop("changes/2024-02.jsonl", "changes/2024-03.jsonl")
	publish(t, s, "2024-04", "2024-01", "2024-02", "2024-03")
	publish(t, s, "2024-03", "2024-01", "2024-02")
	publish(t, s, "2024-04", "2024-03")
	got := round(exitOpen, "2024-04-05T12:00:00Z")
	var order []string
	for _, name := range got {
		if strings.HasPrefix(name, "bill") || strings.HasPrefix(name, "close") || strings.HasPrefix(name, "import-changes") {
			order = append(order, name)
		}
	}
	if want := "import-changes/inbox/2024-04 done, bill/2024-02 done, close/2024-02 done, bill/2024-03 done, close/2024-03 waiting, bill/2024-04 done"; strings.Join(order, ", ") != want {
		t.Errorf("caught up in the order %q, want %s", order, want)
	}
	// March is held for a subscription without a price, and a person lets it go: with
	// its exceptions.
	calends(exitOpen, "run", "close", "--slice", "2024-03", "--accept", "it is known", "--config", config, "--now", "2024-04-06T12:00:00Z")
	// Microsoft's bill: one invoice by Graph, the other by hand.
	partners.PutInvoices(`{"id":"G045210881","invoiceDate":"2024-04-08T00:00:00Z","billingPeriodStartDate":"2024-03-01T00:00:00Z","invoiceType":"OneTime","currencyCode":"USD","documentType":"invoice"}`)
	packed, err := os.ReadFile(filepath.Join(demoInputs, "microsoft/G045210881.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	exports.Change(func(x *microsofttest.Exports) {
		x.Blobs, x.ETag = []microsofttest.Blob{{Name: "part-1.json.gz", Data: packed}}, `"one"`
	})
	drop("microsoft/G045210882_ReconLineItems.csv")
	if got := round(exitDone, "2024-04-09T12:00:00Z"); !slices.Contains(got, "import-reconciliation/billed/2024-03 done") || !slices.Contains(got, "reconcile/2024-03 done") {
		t.Errorf("when Microsoft's bill is there: %q", got)
	}
	if got := calends(exitDone, "runs", "reconcile/2024-03", "--config", config, "--output", "json"); !strings.Contains(got, "billed-G045210881-") || !strings.Contains(got, "ReconLineItems.csv") {
		t.Errorf("compared with %s", got)
	}

	hand := []string{"--bucket", byHand, "--today", "2024-04-09"}
	inputs := []string{"ingest", "partners.csv", "customers.csv", "promotions.json", "fxrates.csv", "offermatrix.csv", "changes/takeover.csv", "changes/reidai.parquet",
		"changes/2024-01.jsonl", "changes/2024-02.jsonl", "changes/2024-03.jsonl", "prices/2024-01", "prices/2024-02", "prices/2024-03", "prices/2024-04"}
	for i := range inputs[1:] {
		inputs[i+1] = filepath.Join(demoInputs, inputs[i+1])
	}
	calends(exitDone, append(inputs, hand...)...)
	calends(exitOpen, append([]string{"close", "2024-01", "2024-02", "2024-03", "--accept", "it is known"}, hand...)...)
	for _, month := range []string{"2024-01", "2024-02", "2024-03"} {
		want := closedCSVs(t, byHand, month)
		if got := closedCSVs(t, books, month); len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s by itself: %d invoices, and by hand: %d; or their bytes differ", month, len(got), len(want))
		}
	}
	calends(exitDone, "verify", "--config", config)
}

// closedCSVs are the CSVs of a month's last revision, in the order of the partners.
func closedCSVs(t *testing.T, bucket, month string) []string {
	t.Helper()
	revisions, err := filepath.Glob(filepath.Join(bucket, "invoices/month="+month, "revision=*"))
	if err != nil || len(revisions) == 0 {
		t.Fatalf("no revision of %s in %s", month, bucket)
	}
	files, err := filepath.Glob(filepath.Join(slices.Max(revisions), "partner=*", "reconciliation.csv"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, name[strings.Index(name, "partner="):]+string(data))
	}
	return all
}
