package page_test

import (
	"encoding/csv"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/testdata"
)

// A sample is an address of a page that concerns the partner ours, or nobody.
type sample struct {
	address string
	// want is how it is answered to somebody who sees that partner alone; 0: 200.
	want int
	// house is how it is answered to who belongs to everybody; 0: as want says.
	house int
}

// samples has one for each page; a page without fails the test.
var samples = map[string]sample{
	"page-home":          {address: "/"},
	"page-month":         {address: "/months/2024-03"},
	"page-partners":      {address: "/partners"},
	"page-partner":       {address: "/partners/" + ours},
	"page-invoice":       {address: "/invoices/2024-03/" + ours},
	"page-lines":         {address: "/invoices/2024-03/" + ours + "/lines"},
	"page-line":          {address: "/invoices/2024-03/" + ours + "/lines/24"},
	"page-exceptions":    {address: "/months/2024-03/exceptions"},
	"page-differences":   {address: "/months/2024-03/differences"},
	"page-runs":          {address: "/runs"},
	"page-run":           {address: "/runs/bill/2024-04"},
	"page-approval":      {address: "/months/2024-04/approval"},
	"page-approve":       {address: "/months/2024-04/approval", want: 403, house: 422},
	"page-take-back":     {address: "/months/2024-04/approval/taken-back", want: 403, house: 303},
	"page-prices":        {address: "/prices?market=NL&month=2024-03"},
	"page-price-changes": {address: "/prices/changes?market=NL&from=2024-03&to=2024-04"},
	"page-offers":        {address: "/offers?market=NL&month=2024-03"},
	"page-offer":         {address: "/offers/CFQ7TTC0LDPB/0001?market=NL&month=2024-03"},
	"page-customers":     {address: "/customers"},
	"page-customer":      {address: "/customers/" + ourCustomer},
	"page-subscription":  {address: "/subscriptions/" + ourSubscription},
}

// secretsOf is what would give a partner away: ids, names and domains of it and of its
// customers.
func secretsOf(t *testing.T, partner string) (secrets []string) {
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
			for _, f := range file.fields {
				if row[file.owner] == partner {
					secrets = append(secrets, row[f])
				}
			}
		}
	}
	return append(secrets, ourSubscription)
}

// Every page is asked as nobody, as each role, by somebody of the partner, of another
// one, and of none that there is.
func TestEveryPageAsEverybody(t *testing.T) {
	t.Parallel()
	secrets := secretsOf(t, ours)
	if len(secrets) < 15 {
		t.Fatalf("only %d secrets: nothing would be noticed", len(secrets))
	}
	shared := newHouse(t)
	recordRun(t, shared)
	for _, route := range shared.site.Routes() {
		one, ok := samples[route.Operation]
		if !ok {
			t.Errorf("%s %s (%s) has no sample: nobody knows whether it leaks", route.Method, route.Path, route.Operation)
			continue
		}
		t.Run(route.Operation, func(t *testing.T) {
			t.Parallel()
			h := shared
			if route.Method != http.MethodGet {
				h = newHouse(t)
			}
			if s := h.ask(nil, route.Method, one.address, nil); s.Code != http.StatusSeeOther || !strings.HasPrefix(s.Header().Get("Location"), "/sign-in?back=") {
				t.Errorf("nobody: %d to %q", s.Code, s.Header().Get("Location"))
			}
			for _, role := range access.Roles() {
				insider, outsider, stranger, everyone := as(role, ours), as(role, theirs), as(role, invented), as(role)
				if !role.May(route.Needs) {
					for _, who := range []access.Principal{insider, everyone} {
						s := h.ask(&who, route.Method, one.address, nil)
						if s.Code != http.StatusForbidden {
							t.Errorf("%s may not %s: %d", role, route.Needs, s.Code)
						}
						s.silent(secrets...)
						if e := h.trail.of(route.Operation); e.Kind != "refused" || e.Operation != route.Operation {
							t.Errorf("the trail has %+v", e)
						}
					}
					continue
				}
				want := max(one.want, 200)
				if s := h.ask(&insider, route.Method, one.address, nil); s.Code != want {
					t.Errorf("%s of the partner: %d, want %d\n%s", role, s.Code, want, s.text())
				}
				for _, who := range []access.Principal{outsider, stranger} {
					s := h.ask(&who, route.Method, one.address, nil)
					s.silent(secrets...)
					nobodys := one.address
					for _, secret := range secrets {
						nobodys = strings.ReplaceAll(nobodys, secret, invented)
					}
					if nobodys == one.address {
						continue
					}
					if other := h.ask(&who, route.Method, nobodys, nil); s.Code != http.StatusNotFound || other.Code != s.Code || other.Body.String() != s.Body.String() {
						t.Errorf("%s of %v: %d for another partner's, %d for what nobody has, the same page: %v", role, who.Partners, s.Code, other.Code, s.Body.String() == other.Body.String())
					}
				}
				if one.house != 0 {
					want = one.house
				}
				if s := h.ask(&everyone, route.Method, one.address, nil); s.Code != want {
					t.Errorf("%s of everybody: %d, want %d\n%s", role, s.Code, want, s.text())
				}
			}
		})
	}
	for operation := range samples {
		if !slices.ContainsFunc(shared.site.Routes(), func(r pageRoute) bool { return r.Operation == operation }) {
			t.Errorf("the sample of %s is of no page", operation)
		}
	}
}

// Whoever follows links meets no door that is shut: none leads where the role may not
// go, or to nothing.
func TestNoLinkIsInVain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	recordRun(t, h)
	for _, role := range access.Roles() {
		for _, who := range []access.Principal{as(role), as(role, ours)} {
			name := string(role) + " of everybody"
			if !who.Everyone {
				name = string(role) + " of one"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				seen, kinds := map[string]bool{"/": true}, map[string]int{"GET /{$}": 1}
				for queue := []string{"/"}; len(queue) > 0; queue = queue[1:] {
					s := h.ask(&who, http.MethodGet, queue[0], nil)
					if s.Code != http.StatusOK {
						t.Errorf("%s: %d", queue[0], s.Code)
						continue
					}
					for _, link := range s.links() {
						u, err := url.Parse(link)
						if err != nil || u.IsAbs() || u.Host != "" {
							t.Errorf("%s leads away to %q (%v)", queue[0], link, err)
							continue
						}
						// Files are the API's. Of each kind of page a few are enough.
						_, kind := h.mux.Handler(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+strings.TrimPrefix(link, "/"), nil))
						if u.Path == "" || strings.HasPrefix(u.Path, "/v1/") || seen[link] || kinds[kind] >= 12 {
							continue
						}
						seen[link] = true
						kinds[kind]++
						queue = append(queue, link)
					}
				}
				for _, route := range h.site.Routes() {
					if who.May(route.Needs) && route.Method == http.MethodGet && kinds["GET "+route.Path] == 0 {
						t.Errorf("no link leads to %s", route.Path)
					}
				}
			})
		}
	}
}
