package page_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/current"
	"github.com/calends/calends/jobs/serve/page"
	"github.com/calends/calends/jobs/serve/servetest"
)

// TestLook serves pages until it is stopped, to look at them: CALENDS_LOOK=127.0.0.1:9999.
func TestLook(t *testing.T) {
	address := os.Getenv("CALENDS_LOOK")
	if address == "" {
		t.Skip("no CALENDS_LOOK")
	}
	b := servetest.Demo(t)
	env := servetest.Env(b)
	mux := http.NewServeMux()
	envf := func() jobs.Env { return env }
	if _, err := page.New(mux, page.Desk{Env: envf, Current: current.New(context.Background(), envf, time.Now, 2*time.Second), Now: servetest.Now, Trail: quiet{}, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Version: "1.0"}); err != nil {
		t.Fatal(err)
	}
	who := access.Principal{ID: "u1", Name: "Ada Admin", Roles: []access.Role{access.GlobalAdmin}, Everyone: true}
	t.Fatal(http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		mux.ServeHTTP(w, r.WithContext(access.With(r.Context(), who)))
	})))
}

type quiet struct{}

func (quiet) Note(context.Context, audit.Event) error { return nil }

var _ = io.Discard
var _ = httptest.NewRecorder
