package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/current"
	"github.com/calends/calends/jobs/serve/servetest"
	"github.com/calends/calends/pipeline/bucket"
)

// Of the demo.
const (
	dutch   = "80f6fb73-3725-4404-a0ee-98ef768080f3" // Voorbeeldstad Cloud B.V.
	us      = "6c483e07-8f13-4923-9228-bccb7b3b8939" // Sampleton Resale Inc.
	fietsen = "dd6c7dae-4000-49f1-93b4-5dee8cf0620e" // a customer of the first
	nobody  = "00000000-0000-4000-8000-000000000000"
)

// told is a trail that remembers events.
type told struct {
	mu     sync.Mutex
	events []audit.Event
}

func (n *told) Note(_ context.Context, e audit.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
	return nil
}

func (n *told) last() audit.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.events[len(n.events)-1]
}

// customerDesk answers for the demo's customers, at instants that the test gives.
type customerDesk struct {
	*testing.T
	bucket bucket.Bucket
	env    jobs.Env
	now    time.Time
	mux    *http.ServeMux
	trail  told
}

func newCustomerDesk(t *testing.T) *customerDesk {
	t.Helper()
	b := servetest.Demo(t)
	d := &customerDesk{T: t, bucket: b, env: servetest.Env(b), now: servetest.Now(), mux: http.NewServeMux()}
	clock := func() time.Time { return d.now }
	env := func() jobs.Env { return d.env }
	now := current.New(t.Context(), env, clock, time.Hour)
	log := slog.New(slog.DiscardHandler)
	New(d.mux, Desk{Env: env, Current: now, Prices: now.Prices(log), Now: clock, Trail: &d.trail, Log: log, Version: "test",
		Relationships: relationship.NewStore(b), Random: rand.NewChaCha8([32]byte{7}), URL: "https://billing.example.com"})
	return d
}

// agent is a sales agent of some partners, of all where none is named.
func agent(partners ...string) access.Principal {
	return access.Principal{ID: "agent-1", Name: "Sales agent", Roles: []access.Role{access.SalesAgent}, Partners: partners, Everyone: len(partners) == 0}
}

// as sends a request of somebody's; pairs are header names and values.
func (d *customerDesk) as(who access.Principal, method, path, body string, pairs ...string) *httptest.ResponseRecorder {
	d.Helper()
	ctx := audit.WithAsked(d.Context(), &audit.Asked{From: "192.0.2.7", Path: path})
	return d.send(access.With(ctx, who), method, path, body, pairs...)
}

// stranger sends a request of nobody's, from an address.
func (d *customerDesk) stranger(method, path, body string) *httptest.ResponseRecorder {
	d.Helper()
	return d.send(audit.WithAsked(d.Context(), &audit.Asked{From: "203.0.113.9", Path: path}), method, path, body)
}

func (d *customerDesk) send(ctx context.Context, method, path, body string, pairs ...string) *httptest.ResponseRecorder {
	d.Helper()
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, r)
	return w
}

// want reads an answer that has the status.
func want[T any](t testing.TB, w *httptest.ResponseRecorder, status int) (into T) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("got %d %s, want %d", w.Code, w.Body, status)
	}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &into); err != nil {
			t.Fatalf("%v in %s", err, w.Body)
		}
	}
	return into
}

// refused is a problem.
type refused struct {
	Type, Detail string
	Status       int
	Errors       []struct {
		Location, Message string
		Value             any
	}
}

func (d *customerDesk) refuses(w *httptest.ResponseRecorder, status int, code string) refused {
	d.Helper()
	p := want[refused](d, w, status)
	if code != "" && p.Type != problemTypes+code {
		d.Errorf("got %s, want %s: %s", p.Type, code, w.Body)
	}
	return p
}

func names(list CustomerList) string {
	var all []string
	for _, c := range list.Items {
		all = append(all, c.Name)
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

const allDutch = "Beispiel Maschinenbau GmbH; Exempla Uhren AG; Hogeschool Voorbeeldstad; Muster & Söhne, Logistik GmbH; Specimen Shipping Ltd; Voorbeeld Fietsen B.V."

func TestListCustomers(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	everyone := want[CustomerList](t, d.as(agent(), "GET", "/v1/customers", ""), 200)
	if len(everyone.Items) < 8 || everyone.Next != "" || !slices.IsSortedFunc(everyone.Items, func(a, b Customer) int { return strings.Compare(a.ID, b.ID) }) {
		t.Errorf("%+v", everyone)
	}
	for _, tt := range []struct{ who, query, want string }{
		{dutch, "", allDutch},
		{dutch, "?partnerId=" + dutch, allDutch},
		{dutch, "?q=VOORBEELD", "Hogeschool Voorbeeldstad; Voorbeeld Fietsen B.V."},
		{dutch, "?q=fiets+voorbeeld", "Voorbeeld Fietsen B.V."},
		{dutch, "?q=" + fietsen[:9], "Voorbeeld Fietsen B.V."},
		{dutch, "?q=dairy", ""},
		{dutch, "?relationship=accepted&q=gmbh", "Beispiel Maschinenbau GmbH; Muster & Söhne, Logistik GmbH"},
		{dutch, "?relationship=declined", ""},
	} {
		if got := names(want[CustomerList](t, d.as(agent(tt.who), "GET", "/v1/customers"+tt.query, ""), 200)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.query, got, tt.want)
		}
	}
	var ids []string
	query := "?limit=1"
	for range 10 {
		page := want[CustomerList](t, d.as(agent(dutch), "GET", "/v1/customers"+query, ""), 200)
		ids = append(ids, page.Items[0].Name)
		if page.Next == "" {
			break
		}
		query = "?limit=1&cursor=" + page.Next
	}
	if got := slices.Sorted(slices.Values(ids)); strings.Join(got, "; ") != allDutch {
		t.Errorf("page by page: %q", ids)
	}
	first := want[CustomerList](t, d.as(agent(dutch), "GET", "/v1/customers?limit=1", ""), 200)
	d.refuses(d.as(agent(dutch), "GET", "/v1/customers?limit=1&q=x&cursor="+first.Next, ""), 400, "cursor")
	d.refuses(d.as(agent(dutch), "GET", "/v1/customers?cursor=nonsense", ""), 400, "cursor")
	d.refuses(d.as(agent(), "GET", "/v1/customers?q="+strings.Repeat("a+", 17), ""), 422, "")
	d.refuses(d.as(agent(), "GET", "/v1/customers?relationship=maybe", ""), 422, "")
}

func TestGetCustomer(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	got := want[Customer](t, d.as(agent(dutch), "GET", "/v1/customers/"+fietsen, ""), 200)
	if (got != Customer{ID: fietsen, Name: "Voorbeeld Fietsen B.V.", Domain: "voorbeeldfietsen.onmicrosoft.com", Country: "NL", Segment: "Commercial",
		PartnerID: dutch, ResellerMpnID: "6200011", Relationship: "accepted"}) {
		t.Errorf("%+v", got)
	}
	if e := d.trail.last(); e.Partner != dutch || e.Object != "customer "+fietsen || e.Kind != audit.Saw {
		t.Errorf("the trail has %+v", e)
	}
}

// What another partner has is answered like what nobody has, whatever is asked of it.
func TestCustomersOfOthersDoNotExist(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	for _, ask := range []struct{ method, path, body string }{
		{"GET", "/v1/customers/ID", ""},
		{"GET", "/v1/customers/ID/relationship", ""},
		{"POST", "/v1/customers/ID/relationship-requests", ""},
		{"DELETE", "/v1/customers/ID/relationship-requests/1", ""},
		{"GET", "/v1/customers?partnerId=PARTNER", ""},
		{"POST", "/v1/customers", `{"partnerId":"PARTNER","name":"x","domain":"x.example","country":"NL"}`},
	} {
		of := func(id, partner string) string {
			fill := strings.NewReplacer("/ID", "/"+id, "PARTNER", partner)
			w := d.as(agent(us), ask.method, fill.Replace(ask.path), fill.Replace(ask.body), "Idempotency-Key", "k")
			d.refuses(w, 404, "not-found")
			return strings.NewReplacer(id, "which", partner, "which").Replace(w.Body.String())
		}
		if theirs, none := of(fietsen, dutch), of(nobody, nobody); theirs != none {
			t.Errorf("%s %s: %s of another partner, %s of nobody", ask.method, ask.path, theirs, none)
		}
		w := d.as(access.Principal{ID: "no role", Everyone: true}, ask.method, strings.Replace(ask.path, "/ID", "/"+fietsen, 1), ask.body, "Idempotency-Key", "k")
		d.refuses(w, 403, "not-allowed")
	}
}

const pizza = `{"partnerId":"` + dutch + `","name":" Pizzeria Voorbeeld ","domain":"Pizzeria.example","country":"nl","segment":"Commercial","resellerMpnId":"6200011"}`

func TestCreateCustomer(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	w := d.as(agent(dutch), "POST", "/v1/customers", pizza, "Idempotency-Key", "k-1")
	created := want[Customer](t, w, 201)
	if created.Name != "Pizzeria Voorbeeld" || created.Domain != "pizzeria.example" || created.Country != "NL" || created.Relationship != "none" || len(created.ID) != 36 {
		t.Errorf("%+v", created)
	}
	if at := w.Header().Get("Location"); at != "/v1/customers/"+created.ID {
		t.Errorf("location %s", at)
	}
	if e := d.trail.last(); e.Partner != dutch || e.Object != "customer "+created.ID || e.Kind != audit.Did || e.Status != 201 {
		t.Errorf("the trail has %+v", e)
	}
	if got := want[Customer](t, d.as(agent(dutch), "GET", "/v1/customers/"+created.ID, ""), 200); got != created {
		t.Errorf("it reads as %+v", got)
	}
	if list := want[CustomerList](t, d.as(agent(dutch), "GET", "/v1/customers?relationship=none", ""), 200); names(list) != "Pizzeria Voorbeeld" {
		t.Errorf("%+v", list)
	}

	// The same once more, and something else under the same key.
	if again := want[Customer](t, d.as(agent(dutch), "POST", "/v1/customers", pizza, "Idempotency-Key", "k-1"), 201); again != created {
		t.Errorf("once more: %+v", again)
	}
	d.refuses(d.as(agent(dutch), "POST", "/v1/customers", strings.Replace(pizza, "Pizzeria V", "Trattoria V", 1), "Idempotency-Key", "k-1"), 409, "idempotency-key-reused")

	// The same under another key is a duplicate, unless it is wanted.
	p := d.refuses(d.as(agent(dutch), "POST", "/v1/customers", pizza, "Idempotency-Key", "k-2"), 409, "customer-known")
	if len(p.Errors) != 1 || p.Errors[0].Location != "body.domain" || p.Errors[0].Value != created.ID {
		t.Errorf("%+v", p)
	}
	twin := want[Customer](t, d.as(agent(dutch), "POST", "/v1/customers", strings.Replace(pizza, `{`, `{"allowDuplicate":true,`, 1), "Idempotency-Key", "k-2"), 201)
	if twin.ID == created.ID || twin.Domain != created.Domain {
		t.Errorf("%+v", twin)
	}

	// An id of one's own, which nobody may have, in any case, whosever it is.
	own := strings.Replace(pizza, `{`, `{"id":"tenant-7","allowDuplicate":true,`, 1)
	if got := want[Customer](t, d.as(agent(dutch), "POST", "/v1/customers", own, "Idempotency-Key", "k-3"), 201); got.ID != "tenant-7" {
		t.Errorf("%+v", got)
	}
	d.refuses(d.as(agent(dutch), "POST", "/v1/customers", strings.Replace(own, "tenant", "TENANT", 1), "Idempotency-Key", "k-4"), 409, "customer-known")
	taken := strings.NewReplacer("tenant-7", fietsen, dutch, us).Replace(own)
	p = d.refuses(d.as(agent(us), "POST", "/v1/customers", taken, "Idempotency-Key", "k-5"), 409, "customer-known")
	if strings.Contains(fmt.Sprint(p), dutch) || strings.Contains(fmt.Sprint(p), "Voorbeeld") {
		t.Errorf("the refusal tells whose it is: %+v", p)
	}
}

func TestCreateCustomerRefuses(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	for _, tt := range []struct{ name, old, new, location string }{
		{"a name of blanks", " Pizzeria Voorbeeld ", "   ", "body.name"},
		{"a name of two lines", "Pizzeria V", `Pizzeria\nV`, "body.name"},
		{"a domain of one word", "Pizzeria.example", "pizzeria", "body.domain"},
		{"a domain with a path", "Pizzeria.example", "pizzeria.example/x", "body.domain"},
		{"a country of three letters", `"nl"`, `"NLD"`, "body.country"},
		{"a country that is none", `"nl"`, `"ZZ"`, "body.country"},
		{"a country that is no more", `"nl"`, `"DD"`, "body.country"},
		{"a country by another code", `"nl"`, `"UK"`, "body.country"},
		{"all of Europe", `"nl"`, `"EU"`, "body.country"},
		{"a segment that no sheet has", "Commercial", "Retail", "body.segment"},
		{"a reseller in words", "6200011", "reseller", "body.resellerMpnId"},
		{"an id with a slash", `{`, `{"id":"a/b",`, "body.id"},
		{"what has no meaning", `{`, `{"relationship":"accepted",`, "body.relationship"},
		{"no name", `"name":" Pizzeria Voorbeeld ",`, "", "body"},
	} {
		w := d.as(agent(dutch), "POST", "/v1/customers", strings.Replace(pizza, tt.old, tt.new, 1), "Idempotency-Key", tt.name)
		if p := d.refuses(w, 422, ""); len(p.Errors) == 0 || p.Errors[0].Location != tt.location {
			t.Errorf("%s: %s, want %s", tt.name, w.Body, tt.location)
		}
	}
	d.refuses(d.as(agent(dutch), "POST", "/v1/customers", pizza), 422, "")
	if got := want[CustomerList](t, d.as(agent(dutch), "GET", "/v1/customers?q=pizzeria", ""), 200); len(got.Items) != 0 {
		t.Errorf("created: %+v", got)
	}
}

// While another run holds the bucket, whoever asks is told when to come again.
func TestCreateCustomerWhileTheBucketIsHeld(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	held, err := d.bucket.Lock(t.Context(), bucket.Claim{Name: "write", Run: "bill 2024-04"})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { _ = held.Unlock() }) // within everybody's patience
	want[Customer](t, d.as(agent(dutch), "POST", "/v1/customers", pizza, "Idempotency-Key", "k"), 201)
}

func TestCountries(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"NL", "DE", "US", "GB", "JP", "KW", "CW", "XK", "TW"} {
		if !isCountry(c) {
			t.Errorf("%s is no country", c)
		}
	}
	for _, c := range []string{"", "UK", "EU", "ZZ", "XX", "DD", "ZR", "NLD", "QM"} {
		if isCountry(c) {
			t.Errorf("%s is a country", c)
		}
	}
}
