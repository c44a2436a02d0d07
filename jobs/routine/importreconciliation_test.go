package routine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/microsoft"
	"github.com/calends/calends/jobs/microsoft/microsofttest"
	"github.com/calends/calends/jobs/routine"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/jobs/secret"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// october is the import of what Microsoft billed in October, from a server with one
// invoice, on a clock that moves when somebody waits.
func october(t *testing.T) (exports *microsofttest.Exports, store bucket.Bucket, run func() (history.Outcome, error)) {
	t.Helper()
	server := microsofttest.New(t)
	microsofttest.AddPartners(server).PutInvoices(`{"id":"G1","invoiceDate":"2026-11-06T01:00:00Z","invoiceType":"one_time","currencyCode":"EUR","documentType":"invoice"}`)
	exports = microsofttest.AddExports(server)
	exports.Blobs = []microsofttest.Blob{{Name: "part-0.json.gz", Data: microsofttest.Lines(`{"invoiceNumber":"G1"}`)}}
	options := microsoft.Options{
		Tenant: microsofttest.Tenant, Client: microsofttest.ClientID, Secret: secret.Source{Env: "SECRET"},
		Endpoints: microsoft.Endpoints{Login: server.URL, Prices: server.URL, PartnerCenter: server.URL, Graph: server.URL},
	}
	now := time.Date(2026, 11, 7, 5, 0, 0, 0, time.UTC)
	client := microsoft.NewClient(options, microsoft.Surroundings{
		Version: "test",
		Lookup:  func(string) (string, bool) { return microsofttest.ClientSecret, true },
		Now:     func() time.Time { return now },
		Wait: func(ctx context.Context, d time.Duration) error {
			now = now.Add(d)
			return ctx.Err()
		},
	})
	t.Cleanup(client.Close)

	store = bucket.NewMemory()
	job := routine.ImportReconciliation{Import: routine.Import{Job: routine.Job{Env: jobs.Env{Bucket: store}}}, Client: client}
	return exports, store, func() (history.Outcome, error) {
		ask := schedule.Ask{Slice: history.Slice{Job: routine.ImportReconciliationName, Subject: "billed", Month: pricing.MonthOf(2026, 10)}, Tick: now}
		return job.Execute(t.Context(), schedule.Request{Ask: ask, Moment: schedule.Moment{Now: now}}, schedule.Plan{})
	}
}

// An invoice is listed days before its lines can be had.
func TestAnInvoiceWithoutLinesIsWaitedFor(t *testing.T) {
	t.Parallel()
	exports, _, run := october(t)
	exports.Code, exports.Message = "5000", "No data available"
	var waits *schedule.WaitError
	if _, err := run(); !errors.As(err, &waits) || !strings.Contains(err.Error(), "no lines of them yet") {
		t.Errorf("got %v, want a wait", err)
	}
	exports.Change(func(x *microsofttest.Exports) { x.Code, x.Message = "", "" })
	out, err := run()
	if err != nil || len(out.Outputs) != 1 || out.Counts["lines"] != 1 {
		t.Errorf("once they are there: got %+v, %v", out, err)
	}
}

// An export that takes long is asked for once: a round lets others go on, and the next
// looks at the same operation.
func TestAnExportThatTakesLong(t *testing.T) {
	t.Parallel()
	exports, _, run := october(t)
	exports.Running, exports.RetryAfter = 1_000_000, "30"
	for range 3 {
		var waits *schedule.WaitError
		if _, err := run(); !errors.As(err, &waits) || waits.Code != "export" {
			t.Fatalf("got %v, want a wait for the export", err)
		}
	}
	exports.Change(func(x *microsofttest.Exports) { x.Running = 0 })
	out, err := run()
	if err != nil || len(out.Outputs) != 1 {
		t.Errorf("once it is there: got %+v, %v", out, err)
	}
	if asked := exports.Asked(); len(asked) != 1 {
		t.Errorf("asked for %d times: %q", len(asked), asked)
	}
}

// A newer version of an export takes the place of the one before: side by side their
// lines would count twice.
func TestANewerExportTakesThePlace(t *testing.T) {
	t.Parallel()
	exports, store, run := october(t)
	exports.ETag = "one"
	if _, err := run(); err != nil {
		t.Fatal(err)
	}
	exports.Change(func(x *microsofttest.Exports) {
		x.ETag, x.Blobs = "two", []microsofttest.Blob{{Name: "part-0.json.gz", Data: microsofttest.Lines(`{"invoiceNumber":"G1","total":"2"}`)}}
	})
	out, err := run()
	if err != nil || len(out.Outputs) != 1 {
		t.Fatalf("got %+v, %v", out, err)
	}
	var keys []string
	for info, err := range store.List(t.Context(), "microsoft/reconciliation/") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	if len(keys) != 1 || keys[0] != out.Outputs[0].Name {
		t.Errorf("there are %q, want %s alone", keys, out.Outputs[0].Name)
	}
}
