package serve

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
)

// What one request may take.
const (
	maxBody     = 1 << 20          // bytes
	bodyWithin  = 30 * time.Second // for all of the body, also where it is not wanted
	stallsAfter = 30 * time.Second // for each write of the answer
)

// refuse answers with a problem (RFC 9457), before any operation is asked.
func refuse(w http.ResponseWriter, status int, code, detail string) {
	body, err := json.Marshal(map[string]any{"type": "urn:calends:problem:" + code, "title": http.StatusText(status), "status": status, "detail": detail})
	if err != nil {
		panic(err) // strings and a number
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever has gone does not read it
}

// received gives each request an id and an address, logs how it ended, and answers for
// a handler that panics: the others go on.
func received(log *slog.Logger, now func() time.Time, proxies []netip.Prefix, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := &audit.Asked{ID: rand.Text(), From: addressOf(r, proxies), Path: audit.Cleaned(relationship.Redacted(r.URL.EscapedPath()))}
		began := now()
		answer := &answer{ResponseWriter: w, control: http.NewResponseController(w)}
		w.Header().Set("X-Request-Id", asked.ID)
		if r.Body != nil && r.Body != http.NoBody {
			// By the machine's clock, whatever day the server works with. A writer without
			// deadlines is a test's.
			_ = answer.control.SetReadDeadline(time.Now().Add(bodyWithin))
		}
		defer func() {
			trouble := recover()
			begun := answer.status != 0
			if trouble != nil {
				log.Error("a request panicked", "request", asked.ID, "path", asked.Path, "panic", trouble, "stack", string(debug.Stack()))
				if !begun {
					refuse(answer, http.StatusInternalServerError, "failed", "the server failed; its log says why")
				}
			}
			if log.Enabled(r.Context(), slog.LevelDebug) {
				log.Debug("request", "request", asked.ID, "method", r.Method, "path", asked.Path, "status", answer.status, "bytes", answer.bytes,
					"took", now().Sub(began), "from", asked.From)
			}
			if trouble != nil && begun {
				panic(http.ErrAbortHandler) // half an answer must not look like a whole one
			}
		}()
		next.ServeHTTP(answer, r.WithContext(audit.WithAsked(r.Context(), asked)))
	})
}

// answer counts what is written. A reader that takes nothing for a while is let go; one
// that is slow and steady may take as long as it needs.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	status  int
	bytes   int64
}

// Unwrap lets [http.ResponseController] through.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader notes the status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write gives each part of the answer its own time.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	// A connection's deadline is of the machine's clock, whatever day the server works
	// with. A writer without deadlines is a test's.
	if err := a.control.SetWriteDeadline(time.Now().Add(stallsAfter)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// addressOf is where the request comes from: of the addresses that proxies pass on the
// last that is none of theirs.
func addressOf(r *http.Request, proxies []netip.Prefix) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	trusted := func(text string) bool {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return false
		}
		for _, p := range proxies {
			if p.Contains(address.Unmap()) {
				return true
			}
		}
		return false
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && trusted(host); i-- {
		hop := strings.TrimSpace(hops[i])
		if _, err := netip.ParseAddr(hop); err != nil {
			break
		}
		host = hop
	}
	return host
}

// strict is told to browsers with each answer: no script, nothing from elsewhere, no
// frame. The slices are shared and never changed; whoever wants another value sets one.
var strict = []struct {
	name  string
	value []string
}{
	{"Content-Security-Policy", []string{"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"}},
	{"X-Content-Type-Options", []string{"nosniff"}},
	{"X-Frame-Options", []string{"DENY"}},
	{"Referrer-Policy", []string{"same-origin"}},
	{"Permissions-Policy", []string{"camera=(), geolocation=(), microphone=(), payment=()"}},
	{"Cross-Origin-Opener-Policy", []string{"same-origin"}},
	{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
	{"Cache-Control", []string{"private, no-cache"}},
}

// overTLS is told besides where the connection is, or the proxy's.
var overTLS = []string{"max-age=31536000"}

// headers tells browsers to be strict.
func headers(secure bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for i := range strict {
			h[strict[i].name] = strict[i].value
		}
		if secure {
			h["Strict-Transport-Security"] = overTLS
		}
		next.ServeHTTP(w, r)
	})
}

// sameOrigin refuses what a browser was made to send by another site's page.
func sameOrigin(trusted string, next http.Handler) (http.Handler, error) {
	protection := http.NewCrossOriginProtection()
	if trusted != "" {
		if err := protection.AddTrustedOrigin(strings.TrimSuffix(trusted, "/")); err != nil {
			return nil, err
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, "other-origin", "the request comes from another site's page")
	}))
	return protection.Handler(next), nil
}

// readable refuses a query that cannot be read as a whole: what a filter was meant to
// leave out must not be answered because its name or value was lost.
func readable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
			refuse(w, http.StatusBadRequest, "query", "the query cannot be read: write %, ; and what is not ASCII as %25, %3B and so on")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// senders read each body whole, so that no handler waits for a slow sender, and bound
// how many of one caller are read at a time, so that slow ones do not take all places.
type senders struct {
	most int

	mu  sync.Mutex
	now map[string]int
}

// newSenders leaves most of the places to others than one caller.
func newSenders(together int) *senders {
	return &senders{most: max(1, together/8), now: make(map[string]int)}
}

func (s *senders) begin(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now[who] >= s.most {
		return false
	}
	s.now[who]++
	return true
}

func (s *senders) end(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now[who]--; s.now[who] == 0 {
		delete(s.now, who)
	}
}

// handler stands behind the sign-in. The time for the body began with the request, and
// ends with it.
func (s *senders) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		who := callerOf(r)
		if !s.begin(who) {
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusTooManyRequests, "too-many-bodies", "more than "+strconv.Itoa(s.most)+" bodies on their way at a time; send them faster, or one after the other")
			return
		}
		body, err := whole(w, r)
		s.end(who)
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			refuse(w, http.StatusRequestEntityTooLarge, "too-large", "the body is larger than "+strconv.Itoa(maxBody)+" bytes")
			return
		case err != nil:
			refuse(w, http.StatusBadRequest, "half-body", "the body did not come whole, and in time")
			return
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // not supported by a test's writer
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		next.ServeHTTP(w, r)
	})
}

// whole reads a body, unless it says that it is too large.
func whole(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, &http.MaxBytesError{Limit: maxBody}
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
}

// together bounds how many requests are under way.
func together(most int, next http.Handler) http.Handler {
	places := make(chan struct{}, most)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusServiceUnavailable, "too-many-together", "the server answers as many requests as it can; try again")
		}
	})
}

// callers bounds how much each caller may ask: somebody who is signed in wherever they
// are, anybody else by address.
type callers struct {
	limits Limits
	now    func() time.Time

	mu  sync.Mutex
	all map[string]*caller
}

type caller struct {
	limiter *rate.Limiter
	last    time.Time
}

// mostCallers is how many are remembered. Beyond it those are forgotten that have been
// silent long enough to have all of their burst again, so that it changes nothing.
const mostCallers = 10_000

func newCallers(limits Limits, now func() time.Time) *callers {
	return &callers{limits: limits, now: now, all: make(map[string]*caller)}
}

func (c *callers) allow(who string) bool {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.all[who]
	if !ok {
		if len(c.all) >= mostCallers {
			c.forget(now)
		}
		known = &caller{limiter: rate.NewLimiter(rate.Limit(c.limits.PerSecond), c.limits.Burst)}
		c.all[who] = known
	}
	known.last = now
	return known.limiter.AllowN(now, 1)
}

// forget lets go of whoever is silent; if nobody is, of everybody: a flood of
// addresses must not fill the memory.
func (c *callers) forget(now time.Time) {
	full := time.Duration(c.limits.Burst) * time.Second / time.Duration(c.limits.PerSecond)
	for who, known := range c.all {
		if now.Sub(known.last) > full {
			delete(c.all, who)
		}
	}
	if len(c.all) >= mostCallers {
		clear(c.all)
	}
}

// callerOf is who asks, behind the sign-in: somebody, or an address.
func callerOf(r *http.Request) string {
	if p, ok := access.From(r.Context()); ok {
		return p.ID
	}
	return "address " + audit.AskedOf(r.Context()).From
}

// handler refuses who asks too much. It stands behind the sign-in.
func (c *callers) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.allow(callerOf(r)) {
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusTooManyRequests, "too-many", "more requests than "+strconv.Itoa(c.limits.PerSecond)+" a second; slow down")
			return
		}
		next.ServeHTTP(w, r)
	})
}
