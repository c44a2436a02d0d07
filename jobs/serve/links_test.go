package serve_test

import (
	"strings"
	"testing"

	"github.com/calends/calends/jobs/serve"
)

// Nobody has to sign in for a link, and its secret gets into no trail.
func TestLinksAreForAnybody(t *testing.T) {
	t.Parallel()
	trail := &notes{}
	s := server(t, serve.Options{}, nil, trail)
	if len(s.API().Public()) != 3 {
		t.Errorf("%d public operations", len(s.API().Public()))
	}
	secret := strings.Repeat("a7", 26)
	for _, r := range s.API().Public() {
		path := strings.Replace(r.Path, "{token}", "Qw.1.cal_"+secret, 1)
		body := ""
		if r.Method == "POST" {
			body = `{"name":"Carla Voorbeeld"}`
		}
		w := ask(t, s.Handler(), r.Method, path, body, "Content-Type", "application/json")
		if w.Code != 404 || problemType(w) != "urn:calends:problem:link" {
			t.Errorf("%s: %d %s", r.Operation, w.Code, w.Body)
		}
		e := trail.last()
		if strings.Contains(e.Path, secret) || e.Operation != r.Operation || e.Status != 404 || e.From == "" {
			t.Errorf("%s: the trail has %+v", r.Operation, e)
		}
	}
}

// A filter that cannot be read is an error, and not the whole list.
func TestQueriesAreReadWhole(t *testing.T) {
	t.Parallel()
	s := server(t, serve.Options{}, nil, &notes{})
	for query, want := range map[string]int{"": 200, "?partnerId=" + ours: 200, "?partnerId=%zz": 400, "?partnerId=" + ours + ";x": 400} {
		if w := ask(t, s.Handler(), "GET", "/v1/customers"+query, "", "X-Test-Role", "sales-agent"); w.Code != want {
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		}
	}
}
