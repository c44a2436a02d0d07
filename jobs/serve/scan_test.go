package serve_test

import (
	"encoding/csv"
	"encoding/json"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs/serve"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/api"
	"github.com/calends/calends/jobs/serve/servetest"
	"github.com/calends/calends/testdata"
)

// The demo's partners that the scan asks about: what is whose, and who else there is.
const (
	ours          = "80f6fb73-3725-4404-a0ee-98ef768080f3" // Voorbeeldstad Cloud B.V.
	theirs        = "6c483e07-8f13-4923-9228-bccb7b3b8939" // Sampleton Resale Inc.
	invented      = "00000000-0000-4000-8000-000000000000"
	fietsen       = "dd6c7dae-4000-49f1-93b4-5dee8cf0620e" // a customer of ours
	fietsenOffice = "9f82d669-9505-4808-8e4d-23756302fd7c" // its subscription, which renews
)

// A sample is a request of an operation that concerns the partner ours, and how it is
// answered to who sees that partner.
type sample struct {
	path, query, body string
	want              int // 0: 200
	// house: what belongs to no partner alone is answered to who belongs to all.
	house bool
	// open: everybody who may ask sees the same, whatever their partners.
	open bool
}

// samples has one for each operation; an operation without fails the scan.
var samples = map[string]sample{
	"list-users":   {},
	"get-user":     {path: "/v1/users/user-of-" + ours},
	"put-user":     {path: "/v1/users/user-of-" + ours, body: `{"name":"Scan","roles":["sales-agent"],"partners":["` + ours + `"]}`},
	"disable-user": {path: "/v1/users/user-of-" + ours + "/disable"},
	"list-tokens":  {},
	"create-token": {body: `{"name":"Scan","roles":["sales-agent"],"partners":["` + ours + `"],"expires":"` + time.Now().UTC().Add(time.Hour).Format(time.RFC3339) + `"}`, want: 201},
	"revoke-token": {path: "/v1/tokens/token-of-" + ours + "/revoke"},
	"list-trail":   {},
	"check-trail":  {house: true},

	"get-self":     {open: true},
	"get-settings": {house: true},

	"list-prices":        {open: true, query: "market=US&month=2024-03&limit=1000"},
	"get-price":          {open: true, query: "market=NL&month=2024-03&productId=CFQ7TTC0LH18&skuId=1&termDuration=P1Y&billingPlan=Annual&currency=EUR"},
	"look-up-prices":     {open: true, body: `{"month":"2024-03","keys":[{"market":"NL","productId":"CFQ7TTC0LH18","skuId":"0001","termDuration":"P1Y","billingPlan":"Annual"}]}`},
	"list-price-changes": {open: true, query: "market=NL&from=2024-02&to=2024-03"},
	"list-price-sheets":  {open: true},
	"get-price-sheet":    {open: true, path: "/v1/price-sheets/NL/2024-03"},

	"list-offers":         {open: true, query: "market=NL&month=2024-03&q=business"},
	"get-offer":           {open: true, path: "/v1/offers/CFQ7TTC0LDPB/0001", query: "market=NL&month=2024-03"},
	"list-promotions":     {open: true, query: "market=NL&at=2024-03-05T00:00:00Z"},
	"check-prerequisites": {path: "/v1/offers/CFQ7TTC0LDPB/0001/prerequisites", query: "customerId=dd6c7dae-4000-49f1-93b4-5dee8cf0620e"},

	"list-months":           {},
	"list-invoices":         {},
	"get-invoice":           {path: "/v1/invoices/2024-03/" + ours},
	"get-invoice-by-number": {path: "/v1/invoices/C202403-000003"},
	"list-lines":            {path: "/v1/invoices/2024-03/" + ours + "/lines", query: "sort=total&limit=3"},
	"explain-line":          {path: "/v1/lines/2024-04%2F" + ours + "%3A1/explanation"},
	"list-files":            {path: "/v1/invoices/2024-03/" + ours + "/files"},
	"get-file":              {path: "/v1/invoices/2024-03/" + ours + "/files/differences.csv"},
	"get-file-address":      {path: "/v1/invoices/2024-03/" + ours + "/files/reconciliation.csv/address", want: 409},
	"list-exceptions":       {query: "month=2024-03"},
	"list-comparisons":      {query: "month=2024-03"},
	"list-differences":      {query: "month=2024-03"},
	"list-runs":             {},
	"get-run":               {path: "/v1/runs/close%2F2024-03:1", want: 404},
	"get-approvals":         {query: "month=2024-04"},
	"approve-month":         {path: "/v1/months/2024-04/approvals", body: `{"revision":1,"accept":"what is open is known"}`, house: true},
	"reopen-month":          {path: "/v1/months/2024-04/approvals", house: true},

	"place-order":                    {body: `{"customerId":"` + fietsen + `","lines":[{"productId":"CFQ7TTC0LDPB","skuId":"0001","termDuration":"P1Y","billingCycle":"Monthly","quantity":10}]}`, want: 201},
	"get-order":                      {path: "/v1/orders/5b0a4a1e-9df0-5c3e-8a53-0c6b7d0c8d3f", want: 404},
	"ask-quote":                      {body: `{"changes":[{"subscriptionId":"` + fietsenOffice + `","seats":{"quantity":30}}]}`},
	"list-end-dates":                 {query: "term=P1Y&customerId=" + fietsen},
	"list-end-dates-of-subscription": {path: "/v1/subscriptions/" + fietsenOffice + "/end-dates"},
	"change-seats":                   {path: "/v1/subscriptions/" + fietsenOffice + "/seats", body: `{"quantity":30}`, want: 201},
	"upgrade-subscription":           {path: "/v1/subscriptions/" + fietsenOffice + "/upgrades", body: `{"toProductId":"CFQ7TTC0LFLX","toSkuId":"0001"}`, want: 201},
	"schedule-next-term":             {path: "/v1/subscriptions/" + fietsenOffice + "/next-term", body: `{"quantity":30}`},
	"clear-next-term":                {path: "/v1/subscriptions/" + fietsenOffice + "/next-term"},
	"set-auto-renew":                 {path: "/v1/subscriptions/" + fietsenOffice + "/auto-renew", body: `{"enabled":false}`, want: 201},
	"align-end-date":                 {path: "/v1/subscriptions/" + fietsenOffice + "/end-date", body: `{"alignTo":"calendar-month"}`, want: 201},
	"convert-trial":                  {path: "/v1/subscriptions/" + fietsenOffice + "/conversion", body: `{}`, want: 422},
	"cancel-subscription":            {path: "/v1/subscriptions/" + fietsenOffice + "/cancellation", want: 422},
	"suspend-subscription":           {path: "/v1/subscriptions/" + fietsenOffice + "/suspension", want: 201},
	"reactivate-subscription":        {path: "/v1/subscriptions/" + fietsenOffice + "/reactivation", want: 201},
	"change-billing-plan":            {path: "/v1/subscriptions/" + fietsenOffice + "/billing-plan", body: `{"billingCycle":"Annual"}`, want: 422},

	"list-subscriptions":       {},
	"get-subscription":         {path: "/v1/subscriptions/" + fietsenOffice},
	"get-subscription-story":   {path: "/v1/subscriptions/" + fietsenOffice + "/story"},
	"get-subscription-picture": {path: "/v1/subscriptions/" + fietsenOffice + "/picture.svg"},

	"list-customers":                {},
	"get-customer":                  {path: "/v1/customers/" + fietsen},
	"create-customer":               {body: `{"partnerId":"` + ours + `","name":"Scan B.V.","domain":"scan.example","country":"NL"}`, want: 201},
	"get-relationship":              {path: "/v1/customers/" + fietsen + "/relationship"},
	"request-relationship":          {path: "/v1/customers/" + fietsen + "/relationship-requests", want: 409}, // it is accepted
	"withdraw-relationship-request": {path: "/v1/customers/" + fietsen + "/relationship-requests/1", want: 409},
}

// secretsOf is all that would give a partner away: ids, names and domains of it and of
// its customers.
func secretsOf(t *testing.T, partner string) (all []string) {
	t.Helper()
	for _, file := range []struct {
		name   string
		owner  int
		fields []int
	}{{"demo/partners.csv", 0, []int{0, 1}}, {"demo/customers.csv", 5, []int{0, 1, 2}}} {
		data, err := testdata.Demo.ReadFile(file.name)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(string(data))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows[1:] {
			if row[file.owner] != partner {
				continue
			}
			for _, f := range file.fields {
				all = append(all, row[f])
			}
		}
	}
	customers := all
	env := servetest.Env(servetest.Demo(t))
	for b, err := range env.Subscriptions(t.Context(), servetest.Today) {
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(customers, b.CustomerID) {
			continue
		}
		for _, s := range b.Subscriptions {
			all = append(all, s.Term.SubscriptionID)
		}
	}
	return all
}

// parameter is one of a route's path.
var parameter = regexp.MustCompile(`\{[^}]+\}`)

// scan asks a route's sample.
func scan(t *testing.T, s http.Handler, r api.Route, one sample, pairs ...string) *httptest.ResponseRecorder {
	t.Helper()
	path := one.path
	if path == "" {
		path = r.Path
	}
	if one.query != "" {
		path += "?" + one.query
	}
	if one.body != "" {
		pairs = append(pairs, "Content-Type", "application/json")
	}
	return ask(t, s, r.Method, path, one.body, append(pairs, "Idempotency-Key", "scan-"+r.Operation)...)
}

// with returns the sample with every id of the partner's replaced.
func (s sample) with(secrets []string, by string) sample {
	for _, secret := range secrets {
		for _, text := range []*string{&s.path, &s.query, &s.body} {
			*text = strings.ReplaceAll(*text, secret, by)
			*text = strings.ReplaceAll(*text, url.QueryEscape(secret), by)
		}
	}
	return s
}

// mentions reports whether the sample names something of the partner's.
func (s sample) mentions(secrets []string) bool {
	return slices.ContainsFunc(secrets, func(x string) bool { return strings.Contains(s.path+s.query+s.body, x) })
}

// Every operation is asked as nobody, as each role, and as somebody of another partner.
func TestEveryRouteAsEverybody(t *testing.T) {
	t.Parallel()
	secrets := secretsOf(t, ours)
	if len(secrets) < 20 {
		t.Fatalf("only %d secrets: the scan would see nothing", len(secrets))
	}
	fresh := func() *serve.Server {
		return server(t, serve.Options{Limits: serve.Limits{PerSecond: 1e6}}, nil, &notes{})
	}
	shared := fresh()
	for _, route := range shared.API().Routes() {
		one, ok := samples[route.Operation]
		if !ok {
			t.Errorf("%s %s (%s) has no sample: nobody knows whether it leaks", route.Method, route.Path, route.Operation)
			continue
		}
		if parameter.MatchString(route.Path) && one.path == "" {
			t.Errorf("%s: the sample gives no path for %s", route.Operation, route.Path)
			continue
		}
		t.Run(route.Operation, func(t *testing.T) {
			t.Parallel()
			s := shared.Handler()
			if w := scan(t, s, route, one); w.Code != 401 {
				t.Errorf("nobody: %d %s", w.Code, w.Body)
			}
			for _, role := range access.Roles() {
				as := []string{"X-Test-Role", string(role)}
				if !role.May(route.Needs) {
					if w := scan(t, s, route, one, as...); w.Code != 403 || problemType(w) != "urn:calends:problem:not-allowed" {
						t.Errorf("%s may not %s: %d %s", role, route.Needs, w.Code, w.Body)
					}
					continue
				}
				if route.Method != http.MethodGet {
					s = fresh().Handler() // what was done before is not done again
				}
				strangers(t, s, route, one, secrets, append(as, "X-Test-Partner", theirs))
				strangers(t, s, route, one, secrets, append(as, "X-Test-Partner", invented))
				for _, scope := range [][]string{{}, {"X-Test-Partner", ours}} {
					if route.Method != http.MethodGet {
						s = fresh().Handler()
					}
					want := max(one.want, 200)
					if one.house && len(scope) > 0 {
						want = 403
					}
					w := scan(t, s, route, one, append(as, scope...)...)
					if w.Code != want {
						t.Errorf("%s of %v: %d, want %d: %.500s", role, scope, w.Code, want, w.Body)
					}
					asDescribed(t, shared.API().OpenAPI(), route, w)
				}
			}
		})
	}
	for operation := range samples {
		if !slices.ContainsFunc(shared.API().Routes(), func(r api.Route) bool { return r.Operation == operation }) {
			t.Errorf("the sample of %s is of no operation", operation)
		}
	}
}

// strangers asks as somebody of another partner: nothing of the first one's may be in
// the answer, and what was named does not exist.
func strangers(t *testing.T, s http.Handler, route api.Route, one sample, secrets, as []string) {
	t.Helper()
	w := scan(t, s, route, one, as...)
	body := w.Body.String()
	if one.mentions(secrets) && !one.open {
		other := scan(t, s, route, one.with(secrets, invented), as...)
		if w.Code != other.Code || w.Code < 400 || w.Code >= 500 {
			t.Errorf("%v: an id of another partner: %d, one that nobody has: %d: %.300s", as, w.Code, other.Code, body)
		}
		if a, b := (sample{body: body}).with(secrets, invented).body, other.Body.String(); a != b {
			t.Errorf("%v: the answers tell another partner's id from one that nobody has:\n%s\n%s", as, a, b)
		}
		return
	}
	for _, secret := range secrets {
		if strings.Contains(body, secret) {
			t.Errorf("%v: the answer gives %q away: %.300s", as, secret, body)
		}
	}
}

// asDescribed holds an answer against the document that programs are written for.
func asDescribed(t *testing.T, document *huma.OpenAPI, route api.Route, w *httptest.ResponseRecorder) {
	t.Helper()
	var described *huma.Operation
	for _, item := range document.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete, item.Head} {
			if op != nil && op.OperationID == route.Operation {
				described = op
			}
		}
	}
	if described == nil {
		t.Errorf("%s is not in the document", route.Operation)
		return
	}
	response, ok := described.Responses[strconv.Itoa(w.Code)]
	if !ok {
		t.Errorf("%s answers %d, and the document does not say so", route.Operation, w.Code)
		return
	}
	if w.Body.Len() == 0 {
		return
	}
	kind, _, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if err != nil {
		t.Errorf("%s: content type %q: %v", route.Operation, w.Header().Get("Content-Type"), err)
		return
	}
	media, ok := response.Content[kind]
	if !ok {
		t.Errorf("%s answers %d with %s, and the document does not say so", route.Operation, w.Code, kind)
		return
	}
	if media.Schema == nil || kind != "application/json" && kind != "application/problem+json" {
		return
	}
	var value any
	if err := json.Unmarshal(w.Body.Bytes(), &value); err != nil {
		t.Errorf("%s: %v", route.Operation, err)
		return
	}
	var result huma.ValidateResult
	huma.Validate(document.Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, value, &result)
	for _, err := range result.Errors[:min(len(result.Errors), 3)] {
		t.Errorf("%s answers otherwise than the document says: %v", route.Operation, err)
	}
}
