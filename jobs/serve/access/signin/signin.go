// Package signin finds out who asks: people by a provider of OpenID Connect and a
// session, programs by a token of the provider's or of our own. Without a provider
// there is the local mode: on this machine alone, by a link that works once.
package signin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/jobs/serve/audit"
)

// Settings are what an [Authenticator] works with.
type Settings struct {
	Directory *directory.Directory
	Trail     audit.Trail
	Now       func() time.Time
	Log       *slog.Logger
	// TLS says that a server without a provider speaks it by itself. With one, its
	// address says so.
	TLS bool
	// Show answers a person with a page of a few words; nil: a plain one.
	Show func(w http.ResponseWriter, r *http.Request, n Notice)
}

// Notice is what a person is told on the way in or out.
type Notice struct {
	Status      int
	Title, Text string
	// Next is where to go on, "" if nowhere, and Label what that says.
	Next, Label string
}

// Authenticator finds out who asks. Make one with [New] or [NewLocal]. It may be used
// concurrently.
type Authenticator struct {
	s        Settings
	cookies  cookies
	sessions *sessions
	failures *failures

	// One of both:
	provider *provider
	local    *local

	seal seal
}

// Surroundings are the outside that a provider is reached through.
type Surroundings struct {
	Transport http.RoundTripper                         // nil: as usual
	Lookup    func(name string) (value string, ok bool) // os.LookupEnv
}

// New returns an authenticator with a provider, for a server that browsers reach under
// the address base, such as https://billing.example.com. It asks the provider nothing yet.
func New(o Options, base string, s Settings, out Surroundings) (*Authenticator, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("signIn: %w", err)
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || !private(u) {
		return nil, fmt.Errorf("url %q: a sign-in wants the https address under which browsers reach the server, such as https://billing.example.com", base)
	}
	if out.Transport == nil {
		out.Transport = http.DefaultTransport
	}
	a, err := newAuthenticator(s, u)
	if err != nil {
		return nil, err
	}
	lifetime, idle := o.lifetimes()
	a.sessions = newSessions(lifetime, idle, s.Now)
	a.provider = newProvider(o, strings.TrimSuffix(u.Scheme+"://"+u.Host, "/")+callbackPath, out.Transport, s.Now, out.Lookup)
	return a, nil
}

func newAuthenticator(s Settings, u *url.URL) (*Authenticator, error) {
	sealed, err := newSeal()
	if err != nil {
		return nil, err
	}
	if s.Show == nil {
		s.Show = plain
	}
	return &Authenticator{
		s: s, cookies: cookies{secure: u.Scheme == "https", port: cmp.Or(u.Port(), "80")}, failures: newFailures(s.Now), seal: sealed,
	}, nil
}

// Ready reports whether people can sign in: whether the provider has answered.
func (a *Authenticator) Ready(ctx context.Context) error {
	if a.local != nil {
		return nil
	}
	_, err := a.provider.discover(ctx)
	return err
}

const (
	signInPath   = "/sign-in"
	callbackPath = "/sign-in/callback"
	signOutPath  = "/sign-out"
	signedOut    = "/signed-out"
	localPath    = "/local/"
)

// Routes adds the ways in and out.
func (a *Authenticator) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET "+signInPath, a.signIn)
	mux.HandleFunc("POST "+signOutPath, a.signOut)
	mux.HandleFunc("GET "+signedOut, a.signedOut)
	if a.local != nil {
		mux.HandleFunc("GET "+localPath+"{secret}", a.redeem)
		return
	}
	mux.HandleFunc("GET "+callbackPath, a.callback)
}

// Middleware puts whoever asks into the request's context. What a request brings but
// its token or its session's cookie is not believed. One without either goes on as
// nobody's.
func (a *Authenticator) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.local != nil && !a.local.host(r.Host) {
			refuse(w, http.StatusMisdirectedRequest, "other-host", "without a sign-in the server answers to this machine's own address only")
			return
		}
		who, ok, err := a.who(w, r)
		if err != nil {
			a.turnAway(w, r, err)
			return
		}
		if ok {
			r = r.WithContext(access.With(r.Context(), who))
		}
		next.ServeHTTP(w, r)
	})
}

// who returns whose request it is. The error of a token that is wrong is a [refusal], or
// directory.ErrToken or ErrDisabled.
func (a *Authenticator) who(w http.ResponseWriter, r *http.Request) (access.Principal, bool, error) {
	if headers := r.Header.Values("Authorization"); len(headers) > 0 {
		who, err := a.bearer(r.Context(), headers)
		return who, err == nil, err
	}
	cookie, err := r.Cookie(a.cookies.session())
	if err != nil {
		return access.Principal{}, false, nil
	}
	one, ok := a.sessions.find(cookie.Value)
	if !ok {
		a.cookies.clear(w, a.cookies.session())
		return access.Principal{}, false, nil
	}
	if one.local {
		return localPrincipal(), true, nil
	}
	who, err := a.s.Directory.Principal(r.Context(), one.who)
	if errors.Is(err, directory.ErrDisabled) {
		a.sessions.end(cookie.Value)
		a.cookies.clear(w, a.cookies.session())
		return access.Principal{}, false, nil
	}
	return who, err == nil, err
}

func (a *Authenticator) bearer(ctx context.Context, headers []string) (access.Principal, error) {
	scheme, token, _ := strings.Cut(headers[0], " ")
	if token = strings.TrimSpace(token); len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return access.Principal{}, refused("want one header Authorization: Bearer TOKEN")
	}
	if strings.HasPrefix(token, directory.TokenPrefix) {
		return a.s.Directory.Bearer(ctx, token)
	}
	if a.local != nil {
		return access.Principal{}, refused("the token is none of this server's")
	}
	claimed, err := a.provider.bearer(ctx, token)
	if err != nil {
		return access.Principal{}, err
	}
	return a.s.Directory.Principal(ctx, claimed)
}

// reason is what may be shown of why credentials are wrong; false where that is not so
// but something else has failed.
func reason(err error) (string, bool) {
	var r *refusal
	if errors.As(err, &r) || errors.Is(err, directory.ErrToken) || errors.Is(err, directory.ErrDisabled) {
		return err.Error(), true
	}
	return "", false
}

// turnAway answers a program whose credentials are wrong, or cannot be looked at.
func (a *Authenticator) turnAway(w http.ResponseWriter, r *http.Request, err error) {
	why, wrong := reason(err)
	if !wrong {
		a.s.Log.Error("it could not be found out who asks", "request", audit.AskedOf(r.Context()).ID, "error", err)
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, "sign-in-unavailable", "it cannot be found out who asks at the moment; try again")
		return
	}
	if !a.failed(w, r, http.StatusUnauthorized, "authenticate", why) {
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="calends", error="invalid_token"`)
	refuse(w, http.StatusUnauthorized, "invalid-token", why)
}

// failed counts wrong credentials and tells the trail. It answers itself, and returns
// false, where these are too many.
func (a *Authenticator) failed(w http.ResponseWriter, r *http.Request, status int, operation, why string) bool {
	asked := audit.AskedOf(r.Context())
	if !a.failures.allow(asked.From) {
		w.Header().Set("Retry-After", fmt.Sprint(int(failureEach.Seconds())))
		refuse(w, http.StatusTooManyRequests, "too-many-failures", "too many wrong credentials; wait a little")
		return false
	}
	e := a.event(r, audit.Refused, operation, access.Principal{ID: nobody}, status)
	e.Object = why
	if err := a.s.Trail.Note(r.Context(), e); err != nil {
		a.s.Log.Error("the trail could not be written", "request", asked.ID, "error", err) // nothing is answered that it would have to tell of
	}
	return true
}

// nobody is who asked where that is not known.
const nobody = "nobody"

func (a *Authenticator) event(r *http.Request, kind audit.Kind, operation string, who access.Principal, status int) audit.Event {
	asked := audit.AskedOf(r.Context())
	return audit.Event{
		At: a.s.Now().UTC().Format(time.RFC3339Nano), Kind: kind, Who: who.ID, Name: who.Name, Action: operation, Operation: operation,
		Path: asked.Path, Status: status, From: asked.From, Request: asked.ID, Count: 1,
	}
}

// refuse answers with a problem (RFC 9457).
func refuse(w http.ResponseWriter, status int, code, detail string) {
	body, err := json.Marshal(map[string]any{"type": "urn:calends:problem:" + code, "title": http.StatusText(status), "status": status, "detail": detail})
	if err != nil {
		panic(err) // texts and a number
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever has gone does not read it
}

// Back is where a person is brought who asked for a page before signing in: a path of
// this site, whatever was given.
func Back(given string) string {
	const home = "/"
	if len(given) > 2000 || !strings.HasPrefix(given, "/") || strings.HasPrefix(given, "//") || strings.ContainsFunc(given, func(c rune) bool {
		return c == '\\' || c <= ' ' || c >= 0x7f // a browser drops some of these, and then two slashes may begin it
	}) {
		return home
	}
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return home
	}
	for _, own := range []string{signInPath, signOutPath, signedOut, strings.TrimSuffix(localPath, "/")} {
		if u.Path == own || strings.HasPrefix(u.Path, own+"/") {
			return home
		}
	}
	return given
}

// SignIn is where a page sends somebody who has not signed in, to come back to the
// address asked for.
func SignIn(asked *url.URL) string {
	return signInPath + "?" + url.Values{"back": {Back(asked.RequestURI())}}.Encode()
}

// hostOf is a Host header without its port.
func hostOf(text string) string {
	if host, _, err := net.SplitHostPort(text); err == nil {
		return host
	}
	return strings.Trim(text, "[]")
}
