package serve_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/calends/calends/jobs/serve"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
)

// The short way for prices answers byte for byte as the long one, and leaves to it what
// it cannot.
func TestQuickPricesAreTheSame(t *testing.T) {
	t.Parallel()
	const asked = "market=NL&productId=CFQ7TTC0LH18&skuId=1&termDuration=P1Y&billingPlan=Annual"
	queries := []string{
		asked, asked + "&currency=EUR", asked + "&currency=eur&at=2024-03-05T10:00:00Z", asked + "&at=2024-03-05T10:00:00.5Z",
		asked + "&segment=Commercial", asked + "&segment=Education", asked + "&segment=commercial", asked + "&segment=",
		asked + "&month=2024-02", asked + "&month=2024-13", asked + "&at=2024-03-05", asked + "&at=2024-02-30T00:00:00Z", asked + "&at=1700-01-01T00:00:00Z",
		asked + "&unknown=1", asked + "&market=DE", asked + "&currency=EURO", asked + "&currency=%45UR", asked + "&currency=E%55R", asked + "&",
		asked + "&at=2024-03-05T10%3A00%3A00Z", asked + "&at=2024-03-05T10:00:00%2B01:00", asked + ";currency=EUR", asked + "&currency",
		strings.Replace(asked, "NL", "nl", 1), strings.Replace(asked, "NL", "N1", 1), strings.Replace(asked, "NL", "XX", 1), strings.Replace(asked, "skuId=1", "skuId=0001", 1),
		strings.Replace(asked, "P1Y", "P5Y", 1), strings.Replace(asked, "Annual", "annual", 1), strings.Replace(asked, "skuId=1", "skuId=", 1),
		strings.Replace(asked, "CFQ7TTC0LH18", "nothing", 1), strings.Replace(asked, "CFQ7TTC0LH18", url.QueryEscape("één"), 1), strings.Replace(asked, "CFQ7TTC0LH18", "a+b", 1),
		strings.Replace(asked, "CFQ7TTC0LH18", strings.Repeat("x", 101), 1), strings.Replace(asked, "CFQ7TTC0LH18", "%zz", 1), "market=NL", "", "%", "=", "&&",
	}
	for _, market := range []string{"US", "GB", "CH", "JP", "KW", "DE"} {
		for _, product := range []string{"CFQ7TTC0LDPB", "CFQ7TTC0LFLX", "CFQ7TTC0LF8Q", "CFQ7TTC0P0HK"} {
			for _, plan := range []string{"termDuration=P1Y&billingPlan=Monthly", "termDuration=P1M&billingPlan=Monthly", "termDuration=P3Y&billingPlan=Triennial"} {
				queries = append(queries, "currency=USD&market="+market+"&productId="+product+"&skuId=0001&"+plan+"&at=2024-04-03T06:57:30Z")
			}
		}
	}
	trail := &notes{}
	s := server(t, serve.Options{Limits: serve.Limits{PerSecond: 1e6}}, nil, trail).Handler()
	quick := 0
	for _, query := range queries {
		for _, role := range []string{"sales-agent", "no-role", ""} {
			short := ask(t, s, "GET", "/v1/price?"+query, "", "X-Test-Role", role)
			shortly := trail.last()
			long := ask(t, s, "GET", "/v1/price?"+query, "", "X-Test-Role", role, "Accept", "application/json, */*")
			same := func(h map[string][]string) map[string][]string {
				h = maps.Clone(h)
				delete(h, "X-Request-Id")
				return h
			}
			if short.Code != long.Code || short.Body.String() != long.Body.String() || !maps.EqualFunc(same(short.Header()), same(long.Header()), func(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }) {
				t.Errorf("%s as %q: %d %s%v, the long way %d %s%v", query, role, short.Code, short.Body, short.Header(), long.Code, long.Body, long.Header())
			}
			longer := trail.last()
			shortly.At, shortly.Request, longer.At, longer.Request = "", "", "", ""
			if shortly != longer {
				t.Errorf("%s as %q: the trail has %+v, of the long way %+v", query, role, shortly, longer)
			}
			if short.Code == 200 {
				quick++
			}
			if short.Code == 200 && (shortly.Kind != audit.Saw || shortly.Operation != "get-price") {
				t.Errorf("%s: the trail has %+v", query, shortly)
			}
		}
	}
	if quick < 30 {
		t.Errorf("only %d of the questions have a price: the test sees too little", quick)
	}
}

// A plain question takes the short way, and nothing else does.
func TestQuickIsTaken(t *testing.T) {
	t.Parallel()
	const plain = "/v1/price?market=NL&productId=CFQ7TTC0LH18&skuId=1&termDuration=P1Y&billingPlan=Annual&at=2024-03-05T10:00:00Z"
	s := server(t, serve.Options{}, nil, &notes{})
	for _, row := range []struct {
		method, path, accept string
		role                 access.Role
		quick                bool
	}{
		{"GET", plain, "", access.SalesAgent, true},
		{"GET", plain, "*/*", access.GlobalAdmin, true},
		{"GET", plain, "text/html", access.SalesAgent, false},
		{"GET", plain, "", "no-role", false},
		{"GET", plain + "&month=2024-03", "", access.SalesAgent, false},
		{"HEAD", plain, "", access.SalesAgent, false},
		{"GET", "/v1/prices", "", access.SalesAgent, false},
	} {
		long := false
		handler := s.API().Quick(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { long = true }))
		r := httptest.NewRequestWithContext(access.With(t.Context(), access.Principal{ID: "somebody", Roles: []access.Role{row.role}}), row.method, row.path, nil)
		if row.accept != "" {
			r.Header.Set("Accept", row.accept)
		}
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if long == row.quick {
			t.Errorf("%s %s as %s, accept %q: the short way was taken: %v, want %v", row.method, row.path, row.role, row.accept, !long, row.quick)
		}
	}
}
