// Package oidctest is a provider of OpenID Connect for tests: it signs in whom a test
// says, without asking, and lies as a test wants.
package oidctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// The one application that the provider knows.
const (
	ClientID     = "4a7ed1c2-1f3b-4c55-9d0e-6f0a3a5b8a11"
	ClientSecret = "hunter2-of-the-application"
	Audience     = "api://calends"
)

// Claims are what a token says.
type Claims map[string]any

// Provider is a provider of the test's own. Its methods may be called at any time.
type Provider struct {
	now    func() time.Time
	server *httptest.Server

	mu       sync.Mutex
	key      *ecdsa.PrivateKey
	keyID    string
	issuer   string // what it calls itself; "": its address
	person   Claims
	change   func(Claims)
	sign     func(Claims) string
	declines string
	down     bool
	codes    map[string]code
	fetched  map[string]int
}

// code is one that a browser was sent back with.
type code struct{ nonce, challenge, redirect string }

// New starts a provider, until the test ends.
func New(t testing.TB, now func() time.Time) *Provider {
	t.Helper()
	p := &Provider{now: now, codes: make(map[string]code), fetched: make(map[string]int)}
	p.Rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{path...}", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
			p.discovery(w)
			return
		}
		http.NotFound(w, r)
	})
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		down := p.down
		p.fetched[r.URL.Path]++
		p.mu.Unlock()
		if down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.server.Close)
	return p
}

// URL is its address, and what it calls itself unless told otherwise.
func (p *Provider) URL() string { return p.server.URL }

// Fetched is how often a path was asked for.
func (p *Provider) Fetched(path string) int { return locked(p, func() int { return p.fetched[path] }) }

func locked[T any](p *Provider, do func() T) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return do()
}

func (p *Provider) set(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
}

// Calls has the provider call itself otherwise.
func (p *Provider) Calls(itself string) { p.set(func() { p.issuer = itself }) }

// SignsIn says who comes next: sub, name, roles and the like.
func (p *Provider) SignsIn(person Claims) { p.set(func() { p.person = person }) }

// Changes has each token of a sign-in changed before it is signed; nil: none.
func (p *Provider) Changes(change func(Claims)) { p.set(func() { p.change = change }) }

// Signs has tokens of a sign-in signed otherwise; nil: as usual.
func (p *Provider) Signs(sign func(Claims) string) { p.set(func() { p.sign = sign }) }

// Declines has the next sign-ins declined with an error; "": none.
func (p *Provider) Declines(problem string) { p.set(func() { p.declines = problem }) }

// Down has everything answered with an error.
func (p *Provider) Down(down bool) { p.set(func() { p.down = down }) }

// Rotate gives the provider another key. The one before is forgotten.
func (p *Provider) Rotate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // there is no randomness
	}
	p.set(func() { p.key, p.keyID = key, rand.Text() })
}

func (p *Provider) name() string {
	if p.issuer != "" {
		return p.issuer
	}
	return p.server.URL
}

func (p *Provider) discovery(w http.ResponseWriter) {
	base := p.server.URL
	answer(w, http.StatusOK, map[string]any{
		"issuer": locked(p, p.name), "authorization_endpoint": base + "/authorize", "token_endpoint": base + "/token", "jwks_uri": base + "/keys",
		"id_token_signing_alg_values_supported": []string{"ES256"}, "token_endpoint_auth_methods_supported": []string{"client_secret_post"},
	})
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, locked(p, func() jose.JSONWebKeySet {
		return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: p.keyID, Algorithm: "ES256", Use: "sig"}}}
	}))
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // whoever has gone does not read it
}

// authorize sends the browser back at once.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" ||
		len(q.Get("code_challenge")) != 43 || q.Get("state") == "" || q.Get("nonce") == "" || !strings.Contains(q.Get("scope"), "openid") {
		http.Error(w, "not a request for a sign-in with PKCE, state and nonce", http.StatusBadRequest)
		return
	}
	back := url.Values{"state": {q.Get("state")}}
	p.set(func() {
		if p.declines != "" {
			back.Set("error", p.declines)
			back.Set("error_description", "The user <b>declined</b>.")
			return
		}
		text := rand.Text()
		p.codes[text] = code{q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri")}
		back.Set("code", text)
	})
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

// token gives a code's tokens, once.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	text := r.PostFormValue("code")
	var c code
	var known bool
	p.set(func() {
		c, known = p.codes[text]
		delete(p.codes, text)
	})
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case !known, base64.RawURLEncoding.EncodeToString(challenge[:]) != c.challenge, r.PostFormValue("redirect_uri") != c.redirect:
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	case r.PostFormValue("client_id") != ClientID || r.PostFormValue("client_secret") != ClientSecret:
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	now := p.now()
	claims := Claims{"aud": ClientID, "nonce": c.nonce, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	var change func(Claims)
	var sign func(Claims) string
	p.set(func() {
		claims["iss"] = p.name()
		maps.Copy(claims, p.person)
		change, sign = p.change, p.sign
	})
	if change != nil {
		change(claims)
	}
	if sign == nil {
		sign = p.Sign
	}
	answer(w, http.StatusOK, map[string]any{"access_token": "opaque", "token_type": "Bearer", "expires_in": 3600, "id_token": sign(claims)})
}

// AccessToken is a token for the API in somebody's name, good for an hour; what more
// says takes the place of what it says otherwise.
func (p *Provider) AccessToken(person, more Claims) string {
	now := p.now()
	claims := Claims{"aud": Audience, "azp": "erp", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "iss": locked(p, p.name)}
	maps.Copy(claims, person)
	maps.Copy(claims, more)
	for name, value := range claims {
		if value == nil {
			delete(claims, name)
		}
	}
	return p.Sign(claims)
}

// Sign signs with the provider's key.
func (p *Provider) Sign(claims Claims) string {
	key := locked(p, func() jose.JSONWebKey { return jose.JSONWebKey{Key: p.key, KeyID: p.keyID} })
	return SignWith(jose.ES256, key, claims)
}

// KeyID is the name of the provider's key.
func (p *Provider) KeyID() string { return locked(p, func() string { return p.keyID }) }

// SignWith signs with any key.
func SignWith(algorithm jose.SignatureAlgorithm, key any, claims Claims) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, nil)
	if err != nil {
		panic(err) // a test's mistake
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return text
}

// Unsigned is a token of the algorithm none.
func Unsigned(claims Claims) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err) // a test's mistake
	}
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
}
