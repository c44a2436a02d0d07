package api

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/current"
	"github.com/calends/calends/jobs/serve/linebook"
	"github.com/calends/calends/jobs/serve/servetest"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// house is the demo's bucket behind the API, and who asks it.
type house struct {
	*testing.T
	bucket bucket.Bucket
	env    jobs.Env
	mux    *http.ServeMux
	trail  heard
	read   *current.Current
}

func newHouse(t *testing.T, wrap ...func(bucket.Bucket) bucket.Bucket) *house {
	t.Helper()
	var b bucket.Bucket = servetest.Demo(t)
	for _, w := range wrap {
		b = w(b)
	}
	h := &house{T: t, bucket: b, env: servetest.Env(b), mux: http.NewServeMux()}
	env := func() jobs.Env { return h.env }
	h.read = current.New(t.Context(), env, servetest.Now, time.Hour)
	log := slog.New(slog.DiscardHandler)
	New(h.mux, Desk{Env: env, Current: h.read, Prices: h.read.Prices(log), Lines: linebook.NewShelf(1 << 20), Now: servetest.Now, Trail: &h.trail, Log: log, Version: "test"})
	return h
}

// The demo's partners: one is billed in euros, one in dollars.
const (
	euro   = "80f6fb73-3725-4404-a0ee-98ef768080f3"
	dollar = "6c483e07-8f13-4923-9228-bccb7b3b8939"
	// march and april are the invoices of the first.
	march = "/v1/invoices/2024-03/" + euro
	april = "/v1/invoices/2024-04/" + euro
)

var (
	everyone = access.Principal{ID: "root", Name: "Root", Roles: []access.Role{access.GlobalAdmin}, Everyone: true}
	ofEuro   = access.Principal{ID: "e", Name: "E", Roles: []access.Role{access.AdminAgent}, Partners: []string{euro}}
	ofDollar = access.Principal{ID: "d", Name: "D", Roles: []access.Role{access.AdminAgent}, Partners: []string{dollar}}
	ofNobody = access.Principal{ID: "n", Name: "N", Roles: []access.Role{access.GlobalAdmin}}
	ofSales  = access.Principal{ID: "s", Name: "S", Roles: []access.Role{access.SalesAgent}, Everyone: true}
)

// ask sends a request of somebody's; pairs are header names and values.
func (h *house) ask(who access.Principal, method, path, body string, pairs ...string) *httptest.ResponseRecorder {
	h.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r.WithContext(access.With(r.Context(), who)))
	return w
}

// get asks, wants 200 and reads the answer.
func (h *house) get(who access.Principal, path string, into any) *httptest.ResponseRecorder {
	h.Helper()
	w := h.ask(who, http.MethodGet, path, "")
	if w.Code != http.StatusOK {
		h.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
		h.Fatalf("GET %s: %v", path, err)
	}
	return w
}

// refused asks, and wants a problem with that status and code.
func (h *house) refused(who access.Principal, method, path, body string, status int, code string) *httptest.ResponseRecorder {
	h.Helper()
	w := h.ask(who, method, path, body)
	var p struct{ Type string }
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != status || code != "" && p.Type != problemTypes+code {
		h.Errorf("%s %s: %d %s, want %d %s", method, path, w.Code, w.Body, status, code)
	}
	return w
}

// object reads what lies in the bucket.
func (h *house) object(key string) []byte {
	h.Helper()
	data, err := bucket.ReadAll(h.Context(), h.bucket, key)
	if err != nil {
		h.Fatal(err)
	}
	return data
}

const marchFolder = "invoices/month=2024-03/revision=0002/partner=" + euro + "/"

// What belongs to another partner is answered as what does not exist, and who may not
// see invoices at all is told so.
func TestBillingBorders(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const invented = "00000000-0000-4000-8000-000000000000"
	for _, path := range []string{march, march + "/lines", march + "/files", march + "/files/reconciliation.csv", march + "/files/reconciliation.csv/address", march + "/files/differences.csv",
		"/v1/lines/2024-03%2F" + euro + ":1/explanation"} {
		for _, who := range []access.Principal{ofDollar, ofNobody} {
			there, nowhere := h.refused(who, http.MethodGet, path, "", 404, "not-found"), h.refused(who, http.MethodGet, strings.ReplaceAll(path, euro, invented), "", 404, "not-found")
			if a, b := strings.ReplaceAll(there.Body.String(), euro, invented), nowhere.Body.String(); a != b {
				t.Errorf("%s tells that it is there:\n%s\n%s", path, a, b)
			}
		}
		h.refused(ofSales, http.MethodGet, path, "", 403, "not-allowed")
	}
	for _, path := range []string{"/v1/invoices/C202403-000003", "/v1/lines/C202403-000003:1/explanation"} {
		h.refused(ofDollar, http.MethodGet, path, "", 404, "not-found")
		h.refused(ofDollar, http.MethodGet, strings.Replace(path, "000003", "000099", 1), "", 404, "not-found")
		h.refused(ofSales, http.MethodGet, path, "", 403, "not-allowed")
	}
	for _, path := range []string{"/v1/months", "/v1/invoices", "/v1/exceptions?month=2024-03", "/v1/comparisons?month=2024-03", "/v1/differences?month=2024-03", "/v1/runs", "/v1/runs/close%2F2024-03:1", "/v1/approvals?month=2024-04"} {
		h.refused(ofSales, http.MethodGet, path, "", 403, "not-allowed")
	}
	// Lists have what is one's own.
	for _, path := range []string{"/v1/invoices?limit=1000", "/v1/exceptions?month=2024-03&limit=1000", "/v1/comparisons?month=2024-03", "/v1/differences?month=2024-03"} {
		for _, who := range []access.Principal{ofEuro, ofDollar, ofNobody} {
			var page List[struct{ PartnerID string }]
			h.get(who, path, &page)
			for _, item := range page.Items {
				if !who.Sees(item.PartnerID) {
					t.Errorf("%s shows %s something of %q", path, who.ID, item.PartnerID)
				}
			}
			if who.ID != ofNobody.ID && len(page.Items) == 0 {
				t.Errorf("%s shows %s nothing", path, who.ID)
			}
		}
	}
	h.refused(ofNobody, http.MethodGet, "/v1/approvals?month=2024-04", "", 404, "not-found")
}

func TestMonths(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var all, own, none, closed MonthList
	h.get(everyone, "/v1/months", &all)
	h.get(ofEuro, "/v1/months", &own)
	h.get(ofNobody, "/v1/months", &none)
	h.get(everyone, "/v1/months?state=closed", &closed)
	if len(all.Items) != 4 || len(own.Items) != 4 || len(none.Items) != 0 || len(closed.Items) != 3 {
		t.Fatalf("%d months, %d of one partner, %d of none, %d closed", len(all.Items), len(own.Items), len(none.Items), len(closed.Items))
	}
	m := all.Items[0]
	if m.Month != "2024-04" || m.State != "draft" || len(m.Invoices) != 4 || len(m.Totals) != 4 || m.House == nil || !m.House.Next || len(m.Holds) != 2 || m.House.Subscriptions.Billed == 0 {
		t.Errorf("to who sees all: %+v", m)
	}
	m = own.Items[1]
	want := jobs.CurrencyTotal{Currency: "EUR", Invoices: 1, Subtotal: "9848.83", TaxTotal: "2068.19", Total: "11917.02"}
	if m.Month != "2024-03" || m.House != nil || len(m.Invoices) != 1 || m.Invoices[0].PartnerName != "Voorbeeldstad Cloud B.V." || len(m.Totals) != 1 || m.Totals[0] != want {
		t.Errorf("to a partner: %+v", m)
	}
	for _, hold := range own.Items[0].Holds {
		if hold.PartnerID == "" && strings.Contains(hold.Reason, "subscription") {
			t.Errorf("a partner is told of the house: %+v", hold)
		}
	}
	// Page by page it is the same.
	var paged []string
	for cursor := ""; ; {
		var page MonthList
		h.get(everyone, "/v1/months?limit=3&cursor="+cursor, &page)
		for _, m := range page.Items {
			paged = append(paged, m.Month)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if got := strings.Join(paged, " "); got != "2024-04 2024-03 2024-02 2024-01" {
		t.Errorf("by pages: %s", got)
	}
}

func TestInvoiceList(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for query, want := range map[string]int{"": 16, "?month=2024-03": 4, "?partnerId=" + dollar: 4, "?number=C202403-000003": 1, "?state=draft": 4, "?state=closed&partnerId=" + euro: 3, "?kind=creditNote": 0, "?month=2030-01": 0} {
		var page InvoiceList
		if h.get(everyone, "/v1/invoices"+query, &page); len(page.Items) != want || page.Next != "" {
			t.Errorf("%s: %d invoices, want %d", query, len(page.Items), want)
		}
	}
	seen := make(map[string]bool)
	for cursor := ""; ; {
		var page InvoiceList
		h.get(everyone, "/v1/invoices?limit=5&cursor="+cursor, &page)
		for _, i := range page.Items {
			seen[i.Month+i.PartnerID] = true
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(seen) != 16 {
		t.Errorf("page by page: %d invoices", len(seen))
	}
	var first InvoiceList
	h.get(everyone, "/v1/invoices?limit=1", &first)
	h.refused(everyone, http.MethodGet, "/v1/invoices?limit=1&state=closed&cursor="+first.Next, "", 400, "cursor")
	for _, wrong := range []string{"?month=2024-13", "?state=open", "?limit=0", "?limit=1001", "?nonsense=1"} {
		h.refused(everyone, http.MethodGet, "/v1/invoices"+wrong, "", 422, "")
	}
}

// The header is what invoice.json has, nothing less and nothing else.
func TestInvoiceHeader(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var got, want any
	w := h.get(ofEuro, march, &got)
	if err := json.Unmarshal(h.object(marchFolder+"invoice.json"), &want); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v (%v)", got, want, err)
	}
	if byNumber := h.get(ofEuro, "/v1/invoices/C202403-000003", &got); byNumber.Body.String() != w.Body.String() || byNumber.Header().Get("ETag") != w.Header().Get("ETag") {
		t.Errorf("by its number: %s", byNumber.Body)
	}
	if w := h.ask(ofEuro, http.MethodGet, march, "", "If-None-Match", w.Header().Get("ETag")); w.Code != 304 {
		t.Errorf("having it: %d", w.Code)
	}
	h.refused(ofEuro, http.MethodGet, "/v1/invoices/C202404-000001", "", 404, "not-found")
	h.refused(ofEuro, http.MethodGet, "/v1/invoices/2024-13/"+euro, "", 422, "")
	h.refused(ofEuro, http.MethodGet, "/v1/invoices/2030-01/"+euro, "", 404, "not-found")
}

// Lines are those of the CSV, each column as it stands there.
func TestLines(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	rows, err := csv.NewReader(bytes.NewReader(h.object(marchFolder + "reconciliation.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var page InvoiceLines
	w := h.get(ofEuro, march+"/lines", &page)
	if len(page.Items) != 25 || page.Count != 25 || page.Total != "11917.02" || page.Subtotal != "9848.83" || page.TaxTotal != "2068.19" || page.Currency != "EUR" {
		t.Fatalf("%d lines, %+v", len(page.Items), page)
	}
	for i, l := range page.Items {
		v := reflect.ValueOf(l)
		if l.Row != i+1 || l.Ref != fmt.Sprintf("C202403-000003:%d", i+1) {
			t.Errorf("line %d is %d, %s", i+1, l.Row, l.Ref)
		}
		for c, name := range rows[0] {
			field, known := v.Type().FieldByName(name)
			if tag := field.Tag.Get("json"); !known || !strings.EqualFold(tag, name) || tag[0] < 'a' {
				t.Fatalf("column %s has the name %q", name, tag)
			}
			if got, want := v.FieldByName(name).String(), rows[i+1][c]; got != want {
				t.Errorf("line %d, %s: %q, want %q", i+1, name, got, want)
			}
		}
	}
	if w := h.ask(ofEuro, http.MethodGet, march+"/lines", "", "If-None-Match", w.Header().Get("ETag")); w.Code != 304 {
		t.Errorf("having them: %d", w.Code)
	}
	if w := h.ask(ofEuro, http.MethodGet, march+"/lines?limit=1", "", "If-None-Match", w.Header().Get("ETag")); w.Code != 200 {
		t.Errorf("the ETag of another question: %d", w.Code)
	}
	// The largest first, three at a time.
	var totals []string
	for cursor := ""; ; {
		var page InvoiceLines
		h.get(ofEuro, march+"/lines?sort=total&order=descending&sign=charge&minTotal=500&limit=3&cursor="+cursor, &page)
		for _, l := range page.Items {
			totals = append(totals, l.Total)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if got := strings.Join(totals, " "); got != wantLargest {
		t.Errorf("the largest: %s", got)
	}
	for query, want := range map[string]int{
		"?q=muster+premium":                               countRows(rows, "CustomerName", "Muster", "SkuName", "Premium"),
		"?chargeType=new,renew":                           countRows(rows, "ChargeType", "new") + countRows(rows, "ChargeType", "renew"),
		"?customerId=" + page.Items[0].CustomerId:         countRows(rows, "CustomerId", page.Items[0].CustomerId),
		"?subscriptionId=" + page.Items[3].SubscriptionId: countRows(rows, "SubscriptionId", page.Items[3].SubscriptionId),
		"?sign=credit":                                    countRows(rows, "Total", "-"),
		"?from=2024-03-18&to=2024-03-18":                  countRows(rows, "ChargeStartDate", "2024-03-18"),
		"?productId=NONE":                                 0,
	} {
		var page InvoiceLines
		if h.get(ofEuro, march+"/lines"+query, &page); page.Count != want || len(page.Items) != want {
			t.Errorf("%s: %d lines, counted %d, want %d", query, len(page.Items), page.Count, want)
		}
	}
	for _, wrong := range []string{"?from=2024-02-30", "?minTotal=much", "?sort=customerId", "?sign=0", "?q=" + strings.Repeat("w+", 17), "?cursor=" + strings.Repeat("x", 300)} {
		h.refused(ofEuro, http.MethodGet, march+"/lines"+wrong, "", 422, "")
	}
	h.refused(ofEuro, http.MethodGet, march+"/lines?cursor=AAAA", "", 400, "cursor")
}

// wantLargest are the totals of March of 500.00 and more, as the CSV has them.
const wantLargest = "3478.26 1828.55 1734.05 1271.22 914.76 548.13"

// countRows counts rows whose columns begin with, or of names contain, what is wanted.
func countRows(rows [][]string, pairs ...string) (n int) {
	for _, row := range rows[1:] {
		all := true
		for i := 0; i < len(pairs); i += 2 {
			value := row[slices.Index(rows[0], pairs[i])]
			all = all && (value == pairs[i+1] || pairs[i] == "Total" && strings.HasPrefix(value, pairs[i+1]) || strings.HasSuffix(pairs[i], "Name") && strings.Contains(value, pairs[i+1]))
		}
		if all {
			n++
		}
	}
	return n
}

func TestExplanation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, ref := range []string{"C202403-000003:2", "2024-03%2F" + euro + ":2"} {
		var e jobs.Explanation
		h.get(ofEuro, "/v1/lines/"+ref+"/explanation", &e)
		if !e.Reproduced || e.Line.Total != "1271.22" || e.Price == nil || len(e.Steps) == 0 {
			t.Errorf("%s: %+v", ref, e)
		}
	}
	for _, ref := range []string{"C202403-000003:26", "2030-01%2F" + euro + ":1"} {
		h.refused(ofEuro, http.MethodGet, "/v1/lines/"+ref+"/explanation", "", 404, "not-found")
	}
	h.refused(ofEuro, http.MethodGet, "/v1/lines/nonsense/explanation", "", 422, "")
}

func TestNobodyGetsIntoAnotherPartnersTrail(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, list := range []string{"exceptions", "differences"} {
		for _, one := range []struct {
			who  access.Principal
			want string
		}{{ofEuro, euro}, {everyone, euro}, {ofDollar, ""}} {
			asked := &audit.Asked{}
			r := httptest.NewRequest(http.MethodGet, "/v1/"+list+"?month=2024-03&partnerId="+euro, nil)
			w := httptest.NewRecorder()
			h.mux.ServeHTTP(w, r.WithContext(audit.WithAsked(access.With(t.Context(), one.who), asked)))
			if partner, _ := asked.Subject(); w.Code != http.StatusOK || partner != one.want {
				t.Errorf("%s of %s: %d, an event of partner %q, want %q", list, one.who.ID, w.Code, partner, one.want)
			}
		}
	}
}

func TestExceptions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var all, own, april, warnings, late ExceptionList
	h.get(everyone, "/v1/exceptions?month=2024-03", &all)
	h.get(ofDollar, "/v1/exceptions?month=2024-03", &own)
	if all.Errors+all.Warnings != len(all.Items) || len(own.Items) == 0 || len(own.Items) >= len(all.Items) {
		t.Errorf("%d exceptions, %d of one partner", len(all.Items), len(own.Items))
	}
	if all.Items[0].PartnerID != "" {
		t.Error("who sees everything is not told of a customer that nobody knows")
	}
	h.get(everyone, "/v1/exceptions?month=2024-04", &april)
	h.get(everyone, "/v1/exceptions?month=2024-04&severity=warning&limit=1", &warnings)
	if april.Errors != 1 || april.Warnings != 2 || warnings.Errors != 0 || warnings.Warnings != 2 || len(warnings.Items) != 1 || warnings.Next == "" {
		t.Errorf("April: %+v, its warnings: %+v", april, warnings)
	}
	// What comes for a closed month and cannot be billed is told with the next open one.
	const change = `{"specversion":"1.0","id":"late-1","source":"t","type":"subscription.quantityChanged","time":"2024-03-20T10:00:00Z","subject":"0a0c232b-7716-4c79-b58e-8697f986ff3d","data":{"customerId":"5cb27d42-9fe2-4490-a140-d83514c62657","quantity":4000}}`
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "late.jsonl"), []byte(change+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.env.Ingest(t.Context(), jobs.IngestPlan{Folder: folder, Paths: []string{"late.jsonl"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.env.Bill(t.Context(), pricing.MonthOf(2024, time.April), false); err != nil {
		t.Fatal(err)
	}
	h.read.Renew()
	h.get(everyone, "/v1/exceptions?month=2024-04&subscriptionId=0a0c232b-7716-4c79-b58e-8697f986ff3d", &late)
	if len(late.Items) != 1 || !late.Items[0].Late || late.Items[0].EventID != "late-1" {
		t.Errorf("what came late: %+v", late)
	}
	h.refused(everyone, http.MethodGet, "/v1/exceptions?month=2024-04&severity=warning&limit=1&cursor="+warnings.Next, "", 400, "cursor")
	seen := 0
	for cursor := ""; ; {
		var page ExceptionList
		h.get(everyone, "/v1/exceptions?month=2024-03&limit=2&cursor="+cursor, &page)
		seen += len(page.Items)
		if page.Errors != all.Errors {
			t.Errorf("a page counts %d errors, the first one %d", page.Errors, all.Errors)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if seen != len(all.Items) {
		t.Errorf("page by page: %d of %d", seen, len(all.Items))
	}
	h.refused(everyone, http.MethodGet, "/v1/exceptions", "", 422, "")
	h.refused(everyone, http.MethodGet, "/v1/exceptions?month=2030-01", "", 404, "not-found")
}

// Differences add up to what the comparison says, cause by cause.
func TestDifferences(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var compared ComparisonList
	h.get(ofEuro, "/v1/comparisons?month=2024-03", &compared)
	if len(compared.Items) != 1 || compared.Items[0].PartnerID != euro || compared.Items[0].Open != 5 {
		t.Fatalf("compared: %+v", compared)
	}
	for _, c := range compared.Items[0].Causes {
		var rows DifferenceList
		h.get(ofEuro, "/v1/differences?month=2024-03&cause="+c.Cause, &rows)
		sum := decimal.Zero
		for _, d := range rows.Items {
			sum = sum.Add(decimal.RequireFromString(d.DifferenceTotal))
			if d.Cause != c.Cause || d.Ours.Lines == "" || d.Explanation == "" {
				t.Errorf("%+v", d)
			}
		}
		if sum.StringFixed(2) != c.Total {
			t.Errorf("%s: %d differences make %s, want %s", c.Cause, len(rows.Items), sum, c.Total)
		}
	}
	var all, open DifferenceList
	h.get(everyone, "/v1/differences?month=2024-03", &all)
	h.get(everyone, "/v1/differences?month=2024-03&status=open&partnerId="+euro, &open)
	if len(open.Items) != 5 || len(all.Items) <= 5 {
		t.Errorf("%d open of one partner, %d in all", len(open.Items), len(all.Items))
	}
	seen := 0
	for cursor := ""; ; {
		var page DifferenceList
		h.get(everyone, "/v1/differences?month=2024-03&limit=2&cursor="+cursor, &page)
		seen += len(page.Items)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if seen != len(all.Items) {
		t.Errorf("page by page: %d of %d", seen, len(all.Items))
	}
	var none DifferenceList
	if h.get(everyone, "/v1/differences?month=2024-02", &none); len(none.Items) != 0 {
		t.Errorf("of a month that was not compared: %+v", none)
	}
}

// Who does not belong to every partner learns that something ran, and no more.
func TestRuns(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	store := history.NewStore(h.bucket)
	slice := history.Slice{Job: "export", Subject: "a/b", Month: pricing.MonthOf(2024, time.March)}
	for attempt, result := range map[int]history.Result{1: history.Failed, 2: history.Done, 3: ""} {
		begun := history.Begun{Slice: slice, Attempt: attempt, Tick: servetest.Now(), Started: servetest.Now().Add(time.Duration(attempt) * time.Minute), By: "a machine", Version: "test"}
		err := store.Begin(t.Context(), begun)
		if result != "" && err == nil {
			e := history.Ended{Begun: begun, Ended: begun.Started.Add(time.Second), Result: result, Error: "a secret", Outcome: history.Outcome{Summary: "a secret", Counts: map[string]int64{"lines": 7}}}
			err = store.Finish(t.Context(), e, []byte("{\"msg\":\"a secret\"}\n"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var all, failed, page RunList
	h.get(everyone, "/v1/runs", &all)
	h.get(everyone, "/v1/runs?result=failed&job=export&month=2024-03", &failed)
	if len(all.Items) != 3 || all.Items[0].Result != running || all.Items[0].Ended != "" || all.Items[2].Details.Error != "a secret" || len(failed.Items) != 1 {
		t.Errorf("runs: %+v, failed: %+v", all, failed)
	}
	var ids []string
	for cursor := ""; ; {
		page = RunList{}
		h.get(ofEuro, "/v1/runs?limit=2&cursor="+cursor, &page)
		for _, r := range page.Items {
			ids = append(ids, r.ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if got := strings.Join(ids, " "); got != "export/a/b/2024-03:3 export/a/b/2024-03:2 export/a/b/2024-03:1" {
		t.Errorf("page by page: %s", got)
	}
	var run ListedRun
	h.get(everyone, "/v1/runs/"+url.PathEscape(ids[1]), &run)
	if run.Result != "done" || run.Details.Log == "" || run.Details.Counts["lines"] != 7 || run.Started != "2024-05-02T09:32:00Z" {
		t.Errorf("a run: %+v", run)
	}
	for _, path := range []string{"/v1/runs", "/v1/runs/" + url.PathEscape(ids[2])} {
		if w := h.ask(ofEuro, http.MethodGet, path, ""); w.Code != 200 || strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), "lines") {
			t.Errorf("%s tells a partner: %d %s", path, w.Code, w.Body)
		}
	}
	for _, id := range []string{"export/a/b/2024-03:4", "export/2024-03:1", "nonsense", "export/a/b/2024-03:x"} {
		h.refused(everyone, http.MethodGet, "/v1/runs/"+url.PathEscape(id), "", 404, "not-found")
	}
}

const approvalsOfApril = "/v1/months/2024-04/approvals"

func TestApproveAndReopen(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.refused(ofSales, http.MethodPost, approvalsOfApril, `{"revision":1}`, 403, "not-allowed")
	h.refused(ofEuro, http.MethodPost, approvalsOfApril, `{"revision":1}`, 403, "not-every-partner")
	h.refused(ofNobody, http.MethodPost, approvalsOfApril, `{"revision":1}`, 404, "not-found")
	h.refused(everyone, http.MethodPost, "/v1/months/2024-03/approvals", `{"revision":2}`, 409, "closed")
	h.refused(everyone, http.MethodDelete, "/v1/months/2024-03/approvals", "", 409, "closed")
	h.refused(everyone, http.MethodPost, approvalsOfApril, `{"revision":2}`, 409, "other-draft")
	h.refused(everyone, http.MethodPost, approvalsOfApril, `{}`, 422, "")
	h.refused(everyone, http.MethodPost, "/v1/months/2030-01/approvals", `{"revision":1}`, 404, "not-found")
	h.refused(access.Principal{ID: "a", Roles: []access.Role{access.AdminAgent}, Everyone: true}, http.MethodDelete, approvalsOfApril, "", 403, "not-allowed")

	say := func(method, body string) (m MonthApprovals) {
		t.Helper()
		w := h.ask(everyone, method, approvalsOfApril, body)
		if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != 200 {
			t.Fatalf("%s: %d %s", method, w.Code, w.Body)
		}
		return m
	}
	if m := say(http.MethodPost, `{"revision":1,"accept":"known"}`); !m.Written || !m.Approved || len(m.Approvals) != 1 || m.Approvals[0].By != "Root (root)" || m.Approvals[0].At != "2024-05-02T09:30:00Z" || m.Approvals[0].Accepted != "known" || len(m.Holds) != 0 {
		t.Errorf("approved: %+v", m)
	}
	if m := say(http.MethodPost, `{"revision":1,"accept":"known"}`); m.Written || len(m.Approvals) != 1 {
		t.Errorf("approved again: %+v", m)
	}
	var own MonthApprovals
	if w := h.get(ofEuro, "/v1/approvals?month=2024-04", &own); !own.Approved || own.Whole || len(own.Approvals) != 0 || strings.Contains(w.Body.String(), "Root") {
		t.Errorf("to a partner: %s", w.Body)
	}
	var months MonthList
	if h.get(everyone, "/v1/months?limit=1", &months); !slices.Contains(months.Items[0].House.ApprovedBy, "Root (root)") {
		t.Errorf("the month does not tell: %+v", months)
	}
	if m := say(http.MethodDelete, ""); !m.Written || m.Approved || len(m.Approvals) != 2 || !m.Approvals[1].Revoked {
		t.Errorf("reopened: %+v", m)
	}
	if m := say(http.MethodDelete, ""); m.Written {
		t.Errorf("reopened again: %+v", m)
	}
	// Another run holds the bucket for longer than anybody waits.
	held, err := h.bucket.Lock(t.Context(), bucket.Claim{Name: "write", Run: "bill"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := held.Unlock(); err != nil {
			t.Error(err)
		}
	}()
	r := httptest.NewRequest(http.MethodPost, approvalsOfApril, strings.NewReader(`{"revision":1}`))
	r.Header.Set("Content-Type", "application/json")
	ctx, cancel := context.WithTimeout(access.With(r.Context(), everyone), 50*time.Millisecond)
	defer cancel()
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r.WithContext(ctx))
	if w.Code != 503 {
		t.Errorf("while another run is at work: %d %s", w.Code, w.Body)
	}
}
