package signin_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/calends/calends/jobs/secret"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/jobs/serve/access/oidctest"
	"github.com/calends/calends/jobs/serve/access/signin"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/bucket"
)

var start = time.Date(2026, time.November, 23, 9, 0, 0, 0, time.UTC)

type clock struct{ after atomic.Int64 }

func (c *clock) now() time.Time      { return start.Add(time.Duration(c.after.Load())) }
func (c *clock) add(d time.Duration) { c.after.Add(int64(d)) }

// notes is a trail that is looked at.
type notes struct {
	mu     sync.Mutex
	events []audit.Event
	broken bool
}

func (n *notes) Note(_ context.Context, e audit.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.broken {
		return fmt.Errorf("the bucket is full")
	}
	n.events = append(n.events, e)
	return nil
}

// say is what the trail has: kind, who and object.
func (n *notes) say() (all []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.events {
		all = append(all, strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Who, " ", e.Object)))
	}
	return all
}

const home = "https://billing.example.com"

// world is a server with a sign-in that says who asks.
type world struct {
	clock    *clock
	provider *oidctest.Provider // nil: local
	trail    *notes
	log      *bytes.Buffer
	people   *directory.Directory
	who      *signin.Authenticator
	handler  http.Handler
}

const (
	tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	other  = "9188040d-6c67-4c5b-b112-36a304b66dad"
	object = "00000000-0000-0000-66f3-3332eca7ea81"
)

// anna is who signs in.
var anna = oidctest.Claims{"sub": "anna", "name": "Anna", "roles": []string{"admin-agent"}}

func options(p *oidctest.Provider) signin.Options {
	return signin.Options{
		Issuer: p.URL(), ClientID: oidctest.ClientID, ClientSecret: secret.Source{Env: "SECRET"}, Partners: []string{"A", "B"},
		API: signin.API{Audience: []string{oidctest.Audience}},
	}
}

func lookup(name string) (string, bool) {
	if name != "SECRET" {
		return "", false
	}
	return oidctest.ClientSecret, true
}

func newWorld(t *testing.T, change func(o *signin.Options)) *world {
	t.Helper()
	w := &world{clock: new(clock)}
	w.provider = oidctest.New(t, w.clock.now)
	w.provider.SignsIn(anna)
	o := options(w.provider)
	if change != nil {
		change(&o)
	}
	var err error
	w.who, err = signin.New(o, home, w.settings(), signin.Surroundings{Lookup: lookup})
	if err != nil {
		t.Fatal(err)
	}
	w.serve()
	return w
}

func (w *world) settings() signin.Settings {
	w.trail, w.log, w.people = new(notes), new(bytes.Buffer), directory.New(bucket.NewMemory(), w.clock.now)
	return signin.Settings{Directory: w.people, Trail: w.trail, Now: w.clock.now, Log: slog.New(slog.NewTextHandler(w.log, nil))}
}

func (w *world) serve() {
	mux := http.NewServeMux()
	w.who.Routes(mux)
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		p, ok := access.From(r.Context())
		if !ok {
			_, _ = io.WriteString(rw, "nobody")
			return
		}
		_, _ = fmt.Fprint(rw, p.ID, " ", p.Name, " ", p.Roles, " ", p.Partners, " ", p.Everyone)
	})
	inner := w.who.Middleware(mux)
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.RemoteAddr, ":")
		inner.ServeHTTP(rw, r.WithContext(audit.WithAsked(r.Context(), &audit.Asked{ID: "r1", From: host, Path: r.URL.Path})))
	})
}

// browser keeps cookies as browsers do, and follows where it is sent.
type browser struct {
	t       *testing.T
	w       *world
	cookies map[string]*http.Cookie
	from    string
}

func (w *world) browser(t *testing.T) *browser {
	return &browser{t: t, w: w, cookies: make(map[string]*http.Cookie), from: "192.0.2.1:4711"}
}

// ask asks our server, without following.
func (b *browser) ask(method, path string, pairs ...string) *http.Response {
	b.t.Helper()
	r := httptest.NewRequest(method, home+path, nil)
	r.RemoteAddr = b.from
	for _, c := range b.cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == "Host" {
			r.Host = pairs[i+1]
			continue
		}
		r.Header.Add(pairs[i], pairs[i+1])
	}
	rec := httptest.NewRecorder()
	b.w.handler.ServeHTTP(rec, r)
	res := rec.Result()
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c
		}
	}
	return res
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// toProvider begins a sign-in, and returns the address that the provider sends it back to.
func (b *browser) toProvider(path string) string {
	b.t.Helper()
	res := b.ask("GET", path)
	if res.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("GET %s: %s %s", path, res.Status, text(b.t, res))
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answered, err := client.Get(res.Header.Get("Location"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer answered.Body.Close()
	if answered.StatusCode != http.StatusFound {
		b.t.Fatalf("the provider: %s %s", answered.Status, text(b.t, answered))
	}
	back, ok := strings.CutPrefix(answered.Header.Get("Location"), home)
	if !ok {
		b.t.Fatalf("the provider sends to %s", answered.Header.Get("Location"))
	}
	return back
}

// signIn signs in, and returns the last answer.
func (b *browser) signIn(back string) *http.Response {
	b.t.Helper()
	return b.ask("GET", b.toProvider("/sign-in?"+url.Values{"back": {back}}.Encode()))
}

// who is who the server says that it is.
func (b *browser) who(pairs ...string) string {
	b.t.Helper()
	return text(b.t, b.ask("GET", "/", pairs...))
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func contains(t *testing.T, got, part string) {
	t.Helper()
	if !strings.Contains(got, part) {
		t.Errorf("got %s, want something with %q", got, part)
	}
}

func events(t *testing.T, w *world, want ...string) {
	t.Helper()
	if got := w.trail.say(); !slices.Equal(got, want) {
		t.Errorf("the trail has %q, want %q", got, want)
	}
}

// id is the id of a subject of the provider's.
func (w *world) id(subject string) string {
	return subject + "@" + strings.TrimPrefix(w.provider.URL(), "http://")
}
