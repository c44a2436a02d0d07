package microsoft_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calends/calends/jobs/microsoft"
	"github.com/calends/calends/jobs/microsoft/microsofttest"
	"github.com/calends/calends/jobs/microsoft/web"
	"github.com/calends/calends/jobs/secret"
	"github.com/calends/calends/pricing"
)

// office is a partner's client, on a clock of its own, and the server that stands in
// for Microsoft.
type office struct {
	*microsoft.Client
	*microsofttest.Server

	mu     sync.Mutex
	now    time.Time
	waited []time.Duration
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{Server: microsofttest.New(t), now: time.Date(2026, 11, 3, 4, 0, 0, 0, time.UTC)}
	here := o.Server.URL
	o.Client = microsoft.NewClient(microsoft.Options{
		Tenant: microsofttest.Tenant, Client: microsofttest.ClientID, Secret: secret.Source{Env: "SECRET"},
		Endpoints: microsoft.Endpoints{Login: here, Prices: here, PartnerCenter: here, Graph: here},
	}, microsoft.Surroundings{
		Version: "test",
		Lookup:  func(name string) (string, bool) { return microsofttest.ClientSecret, name == "SECRET" },
		Now: func() time.Time {
			o.mu.Lock()
			defer o.mu.Unlock()
			return o.now
		},
		Wait: func(ctx context.Context, d time.Duration) error {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.now = o.now.Add(d)
			o.waited = append(o.waited, d)
			return ctx.Err()
		},
	})
	t.Cleanup(o.Client.Close)
	return o
}

func (o *office) waits() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Trim(fmt.Sprint(o.waited), "[]")
}

// files are exports of three files with 3, 2 and 1 lines.
func files() []microsofttest.Blob {
	line := func(n int) string { return fmt.Sprintf(`{"invoiceNumber":"G1","subtotal":%d.10}`, n) }
	return []microsofttest.Blob{
		{Name: "part-00000.c000.json.gz", Data: microsofttest.Lines(line(1), line(2), line(3))},
		{Name: "part-00001.c000.json.gz", Data: microsofttest.Lines(line(4), line(5))},
		{Name: "day=03/part 2.json.gz", Data: microsofttest.Lines(line(6))},
	}
}

// exports is an office with files to export, a plan to fetch them, and what it keeps.
func exports(t *testing.T) (*office, *microsofttest.Exports, *microsoft.ExportPlan) {
	t.Helper()
	o := newOffice(t)
	x := microsofttest.AddExports(o.Server)
	x.Blobs = files()
	plan := &microsoft.ExportPlan{Export: microsoft.Export{InvoiceID: "G1"}, Folder: t.TempDir()}
	plan.Keep = func(a microsoft.Asked) error { plan.Known = a; return nil }
	return o, x, plan
}

// check compares what came with what the store has.
func check(t *testing.T, got microsoft.Exported, want []microsofttest.Blob) {
	t.Helper()
	if len(got.Files) != len(want) {
		t.Fatalf("%d files, want %d", len(got.Files), len(want))
	}
	for i, f := range got.Files {
		data, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name != want[i].Name || !bytes.Equal(data, want[i].Data) || f.Size != int64(len(data)) || len(f.SHA256) != 64 {
			t.Errorf("file %d is %s with %d bytes, want %s with %d", i, f.Name, len(data), want[i].Name, len(want[i].Data))
		}
		if lines := []int64{3, 2, 1}[i]; f.Lines != lines {
			t.Errorf("file %s has %d lines, want %d", f.Name, f.Lines, lines)
		}
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		set   func(x *microsofttest.Exports)
		waits string
	}{
		{"at once", func(*microsofttest.Exports) {}, ""},
		{"after three looks", func(x *microsofttest.Exports) { x.Running = 3 }, "10s 10s 10s"},
		{"when it says", func(x *microsofttest.Exports) { x.Running, x.RetryAfter = 2, "75" }, "1m15s 1m15s"},
		{"when a date says", func(x *microsofttest.Exports) { x.Running, x.RetryAfter = 1, "Tue, 03 Nov 2026 04:01:30 GMT" }, "1m30s"},
		{"without a word", func(x *microsofttest.Exports) { x.Running, x.RetryAfter = 2, "" }, "10s 10s"},
		{"with its manifest inside", func(x *microsofttest.Exports) { x.Inline = true }, ""},
		{"completed is the other word for it", func(x *microsofttest.Exports) { x.Done = "completed" }, ""},
		{"with links to Microsoft's own address", func(x *microsofttest.Exports) { x.Links = "https://graph.microsoft.com" }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, x, plan := exports(t)
			tt.set(x)
			got, err := o.ExportReconciliation(t.Context(), *plan)
			if err != nil {
				t.Fatal(err)
			}
			check(t, got, files())
			if o.waits() != tt.waits {
				t.Errorf("waited %s, want %s", o.waits(), tt.waits)
			}
			if want := (microsoft.Asked{ETag: "etag-1"}); plan.Known != want {
				t.Errorf("kept %+v, want %+v", plan.Known, want)
			}
		})
	}
}

func TestExportAsks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, want string
		export     microsoft.Export
	}{
		{"an invoice", `billed {"attributeSet":"full","invoiceId":"G016907411"}`, microsoft.Export{InvoiceID: "G016907411"}},
		{"what is not billed yet", `unbilled {"attributeSet":"full","billingPeriod":"current","currencyCode":"EUR"}`, microsoft.Export{Currency: "EUR", Period: "current"}},
		{"fewer attributes", `unbilled {"attributeSet":"basic","billingPeriod":"last","currencyCode":"USD"}`, microsoft.Export{Currency: "USD", Period: "last", Basic: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, x, plan := exports(t)
			plan.Export = tt.export
			if _, err := o.ExportReconciliation(t.Context(), *plan); err != nil {
				t.Fatal(err)
			}
			if got := x.Asked(); len(got) != 1 || got[0] != tt.want {
				t.Errorf("asked %s, want %s", got, tt.want)
			}
		})
	}
	for _, e := range []microsoft.Export{{}, {InvoiceID: "G1", Currency: "EUR", Period: "last"}, {Currency: "EUR"}, {Currency: "Euro", Period: "last"}, {Currency: "EUR", Period: "next"}} {
		o := newOffice(t)
		if _, err := o.ExportReconciliation(t.Context(), microsoft.ExportPlan{Export: e, Folder: t.TempDir()}); err == nil || len(o.Asked()) > 0 {
			t.Errorf("%+v: error %v after %d requests, want one before any", e, err, len(o.Asked()))
		}
	}
}

// The same version is fetched once; a new one is fetched beside it.
func TestExportOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	o, x, plan := exports(t)
	if _, err := o.ExportReconciliation(t.Context(), *plan); err != nil {
		t.Fatal(err)
	}
	reads := o.Count("/blobs/")
	again, err := o.ExportReconciliation(t.Context(), *plan)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Unchanged || len(again.Files) > 0 || o.Count("/blobs/") != reads {
		t.Errorf("the same eTag: unchanged %t, %d files, %d more reads; want nothing fetched", again.Unchanged, len(again.Files), o.Count("/blobs/")-reads)
	}
	x.Change(func(x *microsofttest.Exports) { x.ETag = "etag/2" })
	newer, err := o.ExportReconciliation(t.Context(), *plan)
	if err != nil {
		t.Fatal(err)
	}
	check(t, newer, files())
	if newer.Unchanged || plan.Known.ETag != "etag/2" {
		t.Errorf("a new eTag: unchanged %t, kept %+v", newer.Unchanged, plan.Known)
	}
}

// A run that was stopped while the operation ran polls it on, and asks for no other.
func TestExportGoesOnWaiting(t *testing.T) {
	t.Parallel()
	o, x, plan := exports(t)
	x.Running, x.RetryAfter, plan.Limit = 100, "600", time.Hour
	_, err := o.ExportReconciliation(t.Context(), *plan)
	if !errors.Is(err, microsoft.ErrExportLate) || plan.Known.Operation == "" {
		t.Fatalf("error %v, kept %+v; want a late export whose operation is kept", err, plan.Known)
	}
	x.Change(func(x *microsofttest.Exports) { x.Running = 0 })
	got, err := o.ExportReconciliation(t.Context(), *plan)
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, files())
	if n := len(x.Asked()); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

// An operation that Microsoft has forgotten is asked for anew.
func TestExportForgotten(t *testing.T) {
	t.Parallel()
	o, x, plan := exports(t)
	x.Running, plan.Limit = 100, time.Minute
	if _, err := o.ExportReconciliation(t.Context(), *plan); !errors.Is(err, microsoft.ErrExportLate) {
		t.Fatal(err)
	}
	x.Change(func(x *microsofttest.Exports) { x.Running = 0 })
	x.Forget()
	got, err := o.ExportReconciliation(t.Context(), *plan)
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, files())
	if n := len(x.Asked()); n != 2 {
		t.Errorf("asked %d times, want twice", n)
	}
}

// What opens the files expires after each of them.
func TestExportExpires(t *testing.T) {
	t.Parallel()
	for _, inline := range []bool{false, true} {
		t.Run(fmt.Sprintf("inline %t", inline), func(t *testing.T) {
			t.Parallel()
			o, x, plan := exports(t)
			x.Reads, x.Inline = 1, inline
			got, err := o.ExportReconciliation(t.Context(), *plan)
			if err != nil {
				t.Fatal(err)
			}
			check(t, got, files())
			if n := len(x.Asked()); n != 1 {
				t.Errorf("asked %d times, want once: the operation has new signatures", n)
			}
		})
	}
}

// The signature and the operation expire, and meanwhile there is a newer version.
func TestExportOverrun(t *testing.T) {
	t.Parallel()
	o, x, plan := exports(t)
	newer := files()
	newer[0], newer[1] = microsofttest.Blob{Name: "new-0.json.gz", Data: newer[0].Data}, microsofttest.Blob{Name: "new-1.json.gz", Data: newer[1].Data}
	o.Fail("part 2", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		x.Forget()
		x.Change(func(x *microsofttest.Exports) { x.ETag, x.Blobs = "etag-2", newer })
		next.ServeHTTP(w, r)
	})
	got, err := o.ExportReconciliation(t.Context(), *plan)
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, newer)
	if got.ETag != "etag-2" || plan.Known.ETag != "etag-2" {
		t.Errorf("version %s, kept %s; want etag-2", got.ETag, plan.Known.ETag)
	}
}

// A run that is stopped between files leaves those that it has.
func TestExportGoesOnFetching(t *testing.T) {
	t.Parallel()
	o, _, plan := exports(t)
	ctx, stop := context.WithCancel(t.Context())
	two := make(chan struct{}) // files are there
	plan.Progress = func(done, _ int) {
		if done == 2 {
			close(two)
		}
	}
	o.Fail("part 2", func(http.ResponseWriter, *http.Request, http.Handler) {
		<-two
		stop()
		panic(http.ErrAbortHandler)
	})
	if _, err := o.ExportReconciliation(ctx, *plan); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want to be stopped", err)
	}
	if left, _ := filepath.Glob(filepath.Join(plan.Folder, "*", "*", "*.part")); len(left) > 0 {
		t.Errorf("left %s", left)
	}
	plan.Progress = nil
	reads := o.Count("/blobs/")
	got, err := o.ExportReconciliation(t.Context(), *plan)
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, files())
	if n := o.Count("/blobs/") - reads; n != 1 {
		t.Errorf("%d files fetched by the second run, want the one that was missing", n)
	}
}

// What a kill leaves behind, and what a bad disk does to a file, is fetched again;
// the rest is not.
func TestExportAfterAKill(t *testing.T) {
	t.Parallel()
	o, _, plan := exports(t)
	first, err := o.ExportReconciliation(t.Context(), *plan)
	if err != nil {
		t.Fatal(err)
	}
	whole, half, bad := first.Files[0].Path, first.Files[1].Path, first.Files[2].Path
	before, err := os.Stat(whole)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0x55
	for _, err := range []error{os.Rename(half, half+".part"), os.Truncate(half+".part", 20), os.WriteFile(bad, data, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	plan.Known = microsoft.Asked{} // nothing was kept either
	reads := o.Count("/blobs/")
	again, err := o.ExportReconciliation(t.Context(), *plan)
	if err != nil {
		t.Fatal(err)
	}
	check(t, again, files())
	after, err := os.Stat(whole)
	if err != nil {
		t.Fatal(err)
	}
	if n := o.Count("/blobs/") - reads; n != 2 || !os.SameFile(before, after) {
		t.Errorf("%d files fetched again, want the two that were not there in whole", n)
	}
}

// What passes is tried again and leaves the same files.
func TestExportThroughTrouble(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		part   string
		faults []microsofttest.Fault
	}{
		{"throttled when it asks", "/export", []microsofttest.Fault{microsofttest.Throttle("7")}},
		{"throttled while it waits", "/operations/", []microsofttest.Fault{microsofttest.Throttle(""), microsofttest.Status(503)}},
		{"half an operation", "/operations/", []microsofttest.Fault{microsofttest.Half()}},
		{"hung up on the manifest", "/manifests/", []microsofttest.Fault{microsofttest.HangUp()}},
		{"half a file", "part-00000", []microsofttest.Fault{microsofttest.Half()}},
		{"a store that is busy", "/blobs/", []microsofttest.Fault{microsofttest.Status(503), microsofttest.Throttle("2"), microsofttest.HangUp()}},
		{"a page instead of a file, once", "part-00001", []microsofttest.Fault{microsofttest.Page("Sorry")}},
		{"half a gzip that looks whole, once", "part-00000", []microsofttest.Fault{microsofttest.Text(string(files()[0].Data[:40]))}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, _, plan := exports(t)
			o.Fail(tt.part, tt.faults...)
			got, err := o.ExportReconciliation(t.Context(), *plan)
			if err != nil {
				t.Fatal(err)
			}
			check(t, got, files())
		})
	}
}

func TestExportFails(t *testing.T) {
	t.Parallel()
	blob := func(name string, data []byte) []microsofttest.Blob {
		return []microsofttest.Blob{{Name: name, Data: data}}
	}
	good := files()[0].Data
	two := 2
	for _, tt := range []struct {
		name  string
		set   func(o *office, x *microsofttest.Exports)
		want  string
		class error
	}{
		{"no data yet", func(_ *office, x *microsofttest.Exports) { x.Code, x.Message = "5000", "No data available" }, "5000: No data available", microsoft.ErrNoExport},
		{"failed", func(_ *office, x *microsofttest.Exports) { x.Code, x.Message = "5001", "Internal trouble" }, "5001: Internal trouble", microsoft.ErrExportFailed},
		{"a status that nobody knows", func(_ *office, x *microsofttest.Exports) { x.Done = "sleeping" }, `status is "sleeping"`, web.ErrNotData},
		{"an unknown invoice", func(o *office, _ *microsofttest.Exports) { o.Fail("/export", microsofttest.Status(404)) }, "404", microsoft.ErrNoExport},
		{"no Location", func(o *office, _ *microsofttest.Exports) { o.Fail("/export", microsofttest.Status(202)) }, "without a Location", web.ErrNotData},
		{"a page instead of an operation", func(o *office, _ *microsofttest.Exports) { o.Fail("/operations/", microsofttest.Page("Sign in")) }, "web page: \"Sign in\"", web.ErrNotData},
		{"other JSON instead of an operation", func(o *office, _ *microsofttest.Exports) { o.Fail("/operations/", microsofttest.Text(`{"value":[]}`)) }, "tells no status", web.ErrNotData},
		{"a page instead of a manifest", func(o *office, _ *microsofttest.Exports) { o.Fail("/manifests/", microsofttest.Page("Oops")) }, "Oops", web.ErrNotData},
		{"an empty manifest", func(o *office, _ *microsofttest.Exports) { o.Fail("/manifests/", microsofttest.Text(`{}`)) }, "neither eTag nor id", web.ErrNotData},
		{"no permission", func(o *office, _ *microsofttest.Exports) { o.Fail("/export", microsofttest.Status(403)) }, "403", web.ErrForbidden},

		{"fewer files than it says", func(_ *office, x *microsofttest.Exports) { x.Blobs, x.BlobCount = blob("a.gz", good), &two }, "blobCount says 2 files, 1 are listed", web.ErrNotData},
		{"a file twice", func(_ *office, x *microsofttest.Exports) { x.Blobs = append(files(), files()[1]) }, `"part-00001.c000.json.gz" is listed twice`, web.ErrNotData},
		{"a name that leaves the folder", func(_ *office, x *microsofttest.Exports) { x.Blobs = blob("../a.gz", good) }, `"../a.gz"`, web.ErrNotData},
		{"a name from the root", func(_ *office, x *microsofttest.Exports) { x.Blobs = blob("/etc/a.gz", good) }, `"/etc/a.gz"`, web.ErrNotData},
		{"a name with a query", func(_ *office, x *microsofttest.Exports) { x.Blobs = blob("a.gz?sig=x", good) }, "does not stay", web.ErrNotData},
		{"no name", func(_ *office, x *microsofttest.Exports) { x.Blobs = blob("", good) }, "no name", web.ErrNotData},

		{"half a file, always", func(_ *office, x *microsofttest.Exports) { x.Blobs = blob("a.json.gz", good[:len(good)-9]) }, "file a.json.gz: ", web.ErrIncomplete},
		{"a line cut in two", func(_ *office, x *microsofttest.Exports) {
			x.Blobs = blob("b.json.gz", microsofttest.Lines(`{"a":1}`, `{"a":`))
		}, "file b.json.gz: the answer breaks off: line 2", web.ErrIncomplete},
		{"lines of no objects", func(_ *office, x *microsofttest.Exports) { x.Blobs = blob("c.json.gz", microsofttest.Lines(`"a"`)) }, "line 1 is no JSON object", web.ErrIncomplete},
		{"a page, always", func(_ *office, x *microsofttest.Exports) {
			x.Blobs = blob("d.json.gz", []byte("<html><title>No</title></html>"))
		}, `web page: "No"`, web.ErrNotData},
		{"an error as JSON, always", func(_ *office, x *microsofttest.Exports) {
			x.Blobs = blob("e.json.gz", []byte(`{"error":{"code":"Busy","message":"Later"}}`))
		}, "file e.json.gz: the answer is no data: it is an error: Busy: Later", web.ErrNotData},
		{"a file that is shut for good", func(o *office, _ *microsofttest.Exports) {
			o.Fail("part-00001", slices.Repeat([]microsofttest.Fault{microsofttest.Status(403)}, 20)...)
		}, "file part-00001.c000.json.gz: GET ", web.ErrForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, x, plan := exports(t)
			tt.set(o, x)
			_, err := o.ExportReconciliation(t.Context(), *plan)
			if err == nil {
				t.Fatal("no error")
			}
			if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "export billed G1: ") {
				t.Errorf("error %v, want %q of the class %v", err, tt.want, tt.class)
			}
			if strings.Contains(err.Error(), "signature") {
				t.Errorf("the error gives the signature away: %v", err)
			}
			if plan.Known.ETag != "" {
				t.Errorf("kept %+v although nothing is there", plan.Known)
			}
			part, _ := filepath.Glob(filepath.Join(plan.Folder, "*", "*.part"))
			if len(part) > 0 {
				t.Errorf("left %s", part)
			}
		})
	}
}

// A link to somebody else gets no token and no request.
func TestExportStaysAtHome(t *testing.T) {
	t.Parallel()
	o, x, plan := exports(t)
	x.Links = "https://elsewhere.example"
	got, err := o.ExportReconciliation(t.Context(), *plan)
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, files())
	if strings.Contains(plan.Known.Operation, "elsewhere") {
		t.Errorf("kept %s", plan.Known.Operation)
	}
}

func TestInvoices(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := microsofttest.AddPartners(o.Server)
	p.PutInvoices(
		`{"id":"D02005YFHI","invoiceDate":"2026-11-21T00:00:00Z","invoiceType":"Recurring","currencyCode":"GBP","documentType":"invoice"}`,
		`{"id":"G2","invoiceDate":"2026-11-06T01:22:47.603895Z","billingPeriodStartDate":"2026-10-01T00:00:00Z","billingPeriodEndDate":"2026-10-31T23:59:59.9999999Z","invoiceType":"OneTime","currencyCode":"CHF","documentType":"invoice",
		  "amendments":[{"id":"G3","invoiceDate":"2026-11-08T18:44:37.5381456Z","invoiceType":"OneTime","currencyCode":"CHF","documentType":"adjustment_note","amendsOf":"G2"}]}`,
		`{"id":"G1","invoiceDate":"2026-11-06T01:00:00","invoiceType":"one_time","currencyCode":"EUR","documentType":"invoice"}`,
		`{"id":"G0","invoiceDate":"2026-10-06T01:00:00Z","invoiceType":"one_time","currencyCode":"EUR","documentType":"invoice"}`,
	)
	all, err := o.Invoices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 5 {
		t.Errorf("%d invoices, want 5 from two pages", len(all))
	}
	month := pricing.MonthOf(2026, time.October)
	var ids []string
	for _, i := range microsoft.InvoicesOf(month, all) {
		ids = append(ids, i.ID+" "+i.Currency+" "+i.Document)
	}
	want := []string{"G1 EUR invoice", "G2 CHF invoice", "G3 CHF adjustment_note"}
	if !slices.Equal(ids, want) {
		t.Errorf("of October %v, want %v", ids, want)
	}
	for _, bad := range []string{`{"invoiceDate":"2026-11-06T01:00:00Z"}`, `{"id":"G9"}`, `{"id":"G9","invoiceDate":"soon"}`, `[]`} {
		o := newOffice(t)
		microsofttest.AddPartners(o.Server).PutInvoices(bad)
		if _, err := o.Invoices(t.Context()); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
