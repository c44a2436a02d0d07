// Package serve is the server: an API for programs and a page for people, on one port,
// behind everything that keeps strangers out and one caller from being in another's way.
package serve

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/jobs/serve/api"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/current"
	"github.com/calends/calends/jobs/serve/linebook"
	"github.com/calends/calends/jobs/serve/offers"
	"github.com/calends/calends/jobs/serve/page"
)

// World is what the server stands in.
type World struct {
	// Env is what jobs work with today.
	Env     func() jobs.Env
	Now     func() time.Time
	Log     *slog.Logger
	Version string
	// Who finds out who asks.
	Who Authenticator
	// Trail is told who asked what, and Events has what it was told. Both are one in a
	// bucket.
	Trail  audit.Trail
	Events *audit.Store
	// Directory has users and tokens.
	Directory *directory.Directory
	// Settings are how the server was started, by the names of the configuration file.
	Settings map[string]any
	// Ready are checks besides the server's own.
	Ready []Check
}

// Authenticator finds out who asks, and lets people sign in and out.
type Authenticator interface {
	// Middleware puts whoever asks into the request's context. A request without
	// credentials goes on as nobody's; one with wrong ones is refused.
	Middleware(next http.Handler) http.Handler
	// Routes adds the ways in and out.
	Routes(mux *http.ServeMux)
}

// Server answers requests. Make one with [New].
type Server struct {
	options Options
	world   World
	secure  *certificate // nil: plain HTTP
	handler http.Handler
	api     *api.API
	site    *page.Site
}

// often is how old the ledger may be as the server knows it; what the server writes
// itself it knows at once.
const often = 2 * time.Second

// New puts the server together. The context is that of everything that it reads by
// itself; it lasts as long as the server.
func New(ctx context.Context, o Options, w World) (*Server, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	proxies, err := o.proxies()
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, world: w}
	if o.TLS.Certificate != "" {
		s.secure, err = newCertificate(o.TLS, w.Now, func(err error) {
			w.Log.Error("the certificate could not be read again; the one before holds", "error", err)
		})
		if err != nil {
			return nil, err
		}
	}
	mux := http.NewServeMux()
	d := s.desk(ctx)
	s.api = api.New(mux, d)
	s.site, err = page.New(mux, page.Desk{Env: d.Env, Current: d.Current, Lines: d.Lines, Offers: d.Offers, Relationships: d.Relationships,
		Now: d.Now, Trail: d.Trail, Log: d.Log, Version: d.Version})
	if err != nil {
		return nil, err
	}
	w.Who.Routes(mux)
	mux.HandleFunc(noOperation, func(w http.ResponseWriter, r *http.Request) { // else the page would answer
		if allowed := methodsOf(mux, r); len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			refuse(w, http.StatusMethodNotAllowed, "method-not-allowed", "the API has no such operation here; it has "+strings.Join(allowed, ", "))
			return
		}
		refuse(w, http.StatusNotFound, "not-found", "the API has no such operation; /v1/openapi.yaml lists all")
	})

	limits := o.Limits.withDefaults()
	inner := newCallers(limits, w.Now).handler(s.api.Quick(readable(mux)))
	inner = newSenders(limits.Together).handler(inner)
	inner = w.Who.Middleware(inner)
	if inner, err = sameOrigin(o.URL, inner); err != nil {
		return nil, fmt.Errorf("url %q: %w", o.URL, err)
	}
	inner = together(limits.Together, inner)
	outer := http.NewServeMux()
	outer.Handle("/", inner)
	outer.HandleFunc("GET /healthz", alive)
	outer.Handle("GET /readyz", s.ready())
	// Compressing stands outside, so that what a panic leaves is an answer of its own.
	s.handler, err = zipped(received(w.Log, w.Now, proxies, headers(s.isSecure(), outer)))
	return s, err
}

// noOperation is the pattern of what the API does not have.
const noOperation = "/v1/"

// methodsOf are the methods that the API has for the path of a request.
func methodsOf(mux *http.ServeMux, r *http.Request) (methods []string) {
	for _, method := range []string{http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut} {
		with := r.Clone(r.Context())
		with.Method = method
		if _, pattern := mux.Handler(with); strings.HasPrefix(pattern, method+" ") || method == http.MethodHead && strings.HasPrefix(pattern, http.MethodGet+" ") {
			methods = append(methods, method)
		}
	}
	return methods
}

func (s *Server) isSecure() bool {
	return s.secure != nil || strings.HasPrefix(s.options.URL, "https:")
}

// linesRoom is how many bytes the lines of invoices may take that were asked for last:
// two million of them.
const linesRoom = 256 << 20

func (s *Server) desk(ctx context.Context) api.Desk {
	w := s.world
	now := current.New(ctx, w.Env, w.Now, often)
	return api.Desk{Env: w.Env, Current: now, Prices: now.Prices(w.Log), Offers: offers.NewShelf(offers.Most), Lines: linebook.NewShelf(linesRoom), Now: w.Now, Trail: w.Trail, Log: w.Log, Version: w.Version,
		Relationships: relationship.NewStore(w.Env().Bucket), Random: rand.Reader, URL: strings.TrimRight(s.options.URL, "/"),
		Directory: w.Directory, Reach: s.reach(), Events: w.Events, Settings: w.Settings}
}

// reach is the most that the provider can say of a user's partners; nil without one.
func (s *Server) reach() func(id string) ([]string, bool) {
	if s.options.SignIn.IsZero() {
		return nil
	}
	return s.options.SignIn.Reach
}

// ready is asked by /readyz.
func (s *Server) ready() *readiness {
	return &readiness{world: s.world, checks: append([]Check{{Name: "bucket", Run: func(ctx context.Context) error {
		_, err := s.world.Env().HasInputs(ctx)
		return err
	}}}, s.world.Ready...)}
}

// Handler answers requests, whatever brings them.
func (s *Server) Handler() http.Handler { return s.handler }

// API is the server's own, for its document and routes.
func (s *Server) API() *api.API { return s.api }

// What a connection may take before it has asked, and between two requests.
const (
	headersWithin  = 5 * time.Second
	idleFor        = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	// stopWithin is how long answers under way may still take after a stop.
	stopWithin = 20 * time.Second
)

// Serve answers until the context is done, which is no error, and then lets answers
// under way come to their end, for a while.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if s.secure != nil {
		l = tls.NewListener(l, s.secure.config())
	}
	s.api.Prices.Warm()
	defer s.api.Prices.Wait()
	begun := make(chan struct{})
	go func() {
		defer close(begun)
		s.begin(ctx)
	}()
	defer func() { <-begun }()
	requests, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	server := &http.Server{
		Handler: s.handler, MaxHeaderBytes: maxHeaderBytes, ReadHeaderTimeout: headersWithin, IdleTimeout: idleFor,
		BaseContext: func(net.Listener) context.Context { return requests },
		ErrorLog:    slog.NewLogLogger(s.world.Log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve at %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(requests, stopWithin)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		end() // jobs under way give back what they hold
		_ = server.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve at %s: %w", l.Addr(), err)
	}
	return nil
}

// begin finishes the orders that a killed server left, and finds out whose subscriptions
// are, so that the first who asks need not wait. Where it fails the next order, and who
// asks, do it.
func (s *Server) begin(ctx context.Context) {
	failed := func(what string, err error) {
		if err != nil && ctx.Err() == nil {
			s.world.Log.Warn("the server began without this; it is done when it is needed", "what", what, "error", err)
		}
	}
	failed("finish orders", s.world.Env().FinishOrders(ctx))
	reading, err := s.api.Current.Reading()
	if err == nil {
		err = reading.KnowOwners(ctx)
	}
	failed("read whose subscriptions are", err)
}
