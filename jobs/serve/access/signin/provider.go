package signin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/calends/calends/jobs/secret"
	"github.com/calends/calends/jobs/serve/access/directory"
)

// errUnavailable is a provider that does not answer; the credentials may be right.
var errUnavailable = errors.New("the provider of the sign-in does not answer")

const (
	// asksWithin is how long one answer of the provider may take.
	asksWithin = 10 * time.Second
	// asksAgain is how soon it is asked again that did not answer.
	asksAgain = 5 * time.Second
	// rediscovers is how long what it says of itself holds, and a key that it has taken back.
	rediscovers = time.Hour
	// keysHold is how long its keys are taken from memory, whatever is asked for: a
	// token with an invented key must not make us ask for them each time.
	keysHold = 30 * time.Second
	// maxAnswer is how large an answer may be.
	maxAnswer = 1 << 20
	// tokensHold is how long a program's token that was right is not verified again.
	tokensHold = time.Minute
	mostTokens = 4096
)

// provider is the provider of OpenID Connect. It is asked for the first time when
// somebody signs in, so that the server starts without it.
type provider struct {
	o        Options
	redirect string
	client   *http.Client
	now      func() time.Time
	lookup   func(name string) (string, bool)

	turn  chan struct{} // of whoever asks what the provider is
	mu    sync.Mutex
	found *discovered
	err   error
	asked time.Time

	tokensMu sync.Mutex
	tokens   map[[sha256.Size]byte]seenToken
}

// seenToken is a program's token that was right.
type seenToken struct {
	who   directory.Claimed
	until time.Time
}

// discovered is what the provider says of itself.
type discovered struct {
	issuer     string // may have tenantMark
	endpoint   oauth2.Endpoint
	ids, calls *oidc.IDTokenVerifier // of sign-ins, and of programs
}

func newProvider(o Options, redirect string, transport http.RoundTripper, now func() time.Time, lookup func(string) (string, bool)) *provider {
	p := &provider{o: o, redirect: redirect, now: now, lookup: lookup, turn: make(chan struct{}, 1), tokens: make(map[[sha256.Size]byte]seenToken)}
	p.client = &http.Client{Timeout: asksWithin, Transport: &bounded{next: transport, now: now}, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("the provider answers from elsewhere")
	}}
	return p
}

// known is what was found out, true where it is new enough.
func (p *provider) known() (*discovered, error, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := p.now().Sub(p.asked)
	switch {
	case p.err == nil:
		return p.found, nil, p.found != nil && age < rediscovers
	case p.found != nil:
		return p.found, nil, age < asksAgain // what it said before
	}
	return nil, p.err, age < asksAgain
}

// discover returns what the provider says of itself.
func (p *provider) discover(ctx context.Context) (*discovered, error) {
	if found, err, ok := p.known(); ok {
		return found, err
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errUnavailable, ctx.Err())
	}
	found, err, ok := p.known()
	if ok {
		return found, err // somebody else has asked meanwhile
	}
	return p.ask(ctx, found)
}

// ask asks the provider, and keeps what it knew before if there is no answer. Whoever
// has the turn calls it.
func (p *provider) ask(ctx context.Context, before *discovered) (*discovered, error) {
	// Others wait for the same answer.
	found, err := p.request(context.WithoutCancel(ctx))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.err = p.now(), err
	if err != nil && before != nil {
		return before, nil
	}
	p.found = found
	return found, err
}

func (p *provider) request(ctx context.Context) (*discovered, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	issuer := p.o.Issuer
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, err
	}
	if tenant, _, _ := strings.Cut(strings.Trim(u.Path, "/"), "/"); len(p.o.Tenants) > 0 && slices.Contains(manyTenants, tenant) {
		// Entra names itself by a pattern there. Each token is held against it, and its
		// tenant against those that may sign in.
		issuer = strings.Replace(issuer, "/"+tenant+"/", "/"+tenantMark+"/", 1)
		ctx = oidc.InsecureIssuerURLContext(ctx, issuer)
	}
	found, err := oidc.NewProvider(ctx, p.o.Issuer)
	var mismatch *oidc.IssuerMismatchError
	switch {
	case errors.As(err, &mismatch):
		return nil, fmt.Errorf("sign-in: the provider at %s calls itself %s: write that as the issuer", p.o.Issuer, mismatch.Discovered)
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %w", errUnavailable, p.o.Issuer, short(err))
	}
	var told struct {
		Issuer  string   `json:"issuer"`
		Keys    string   `json:"jwks_uri"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := found.Claims(&told); err != nil {
		return nil, fmt.Errorf("sign-in: read what %s says of itself: %w", p.o.Issuer, err)
	}
	if told.Issuer != issuer {
		return nil, fmt.Errorf("sign-in: the provider at %s calls itself %s: write that as the issuer", p.o.Issuer, told.Issuer)
	}
	endpoint := found.Endpoint()
	for _, address := range []string{endpoint.AuthURL, endpoint.TokenURL, told.Keys} {
		at, err := url.Parse(address)
		if err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != u.Scheme {
			return nil, fmt.Errorf("sign-in: the provider at %s names the address %q: want https", p.o.Issuer, address)
		}
	}
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if p.o.ClientSecret.IsZero() || slices.Contains(told.Methods, "client_secret_post") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	// The issuer is checked with the tenant, in checkTokenIssuer; an API has audiences.
	keys := oidc.ClientContext(context.Background(), p.client)
	return &discovered{
		issuer: issuer, endpoint: endpoint,
		ids:   found.VerifierContext(keys, &oidc.Config{ClientID: p.o.ClientID, SkipIssuerCheck: true, Now: p.now}),
		calls: found.VerifierContext(keys, &oidc.Config{SkipClientIDCheck: true, SkipIssuerCheck: true, Now: p.now}),
	}, nil
}

// short takes a page out of an error: the library's quote whole answers.
func short(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) <= 200 {
		return err
	}
	return errors.New(strings.ToValidUTF8(text[:200], "") + " …")
}

func (p *provider) config(d *discovered) (*oauth2.Config, error) {
	c := &oauth2.Config{ClientID: p.o.ClientID, Endpoint: d.endpoint, RedirectURL: p.redirect, Scopes: []string{oidc.ScopeOpenID, "profile", "email"}}
	if !p.o.ClientSecret.IsZero() {
		var value secret.Value
		value, err := p.o.ClientSecret.Read(p.lookup) // anew each time: it may have been replaced
		if err != nil {
			return nil, fmt.Errorf("sign-in: clientSecret: %w", err)
		}
		c.ClientSecret = value.Reveal()
	}
	return c, nil
}

// start is the address that a browser is sent to.
func (p *provider) start(ctx context.Context, f flow) (string, error) {
	d, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	c, err := p.config(d)
	if err != nil {
		return "", err
	}
	return c.AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)), nil
}

// finish turns the code that a browser came back with into who signed in.
func (p *provider) finish(ctx context.Context, f flow, code, issuer string) (directory.Claimed, error) {
	d, err := p.discover(ctx)
	if err != nil {
		return directory.Claimed{}, err
	}
	if issuer != "" && issuer != d.issuer && !strings.Contains(d.issuer, tenantMark) {
		return directory.Claimed{}, refused("the answer comes from another provider") // RFC 9207
	}
	c, err := p.config(d)
	if err != nil {
		return directory.Claimed{}, err
	}
	token, err := c.Exchange(oidc.ClientContext(ctx, p.client), code, oauth2.VerifierOption(f.Verifier))
	var answered *oauth2.RetrieveError
	switch {
	case errors.As(err, &answered) && answered.Response.StatusCode < 500:
		return directory.Claimed{}, refused("the provider does not take the code (%s): sign in again", answered.ErrorCode)
	case err != nil:
		return directory.Claimed{}, fmt.Errorf("%w: %w", errUnavailable, short(err))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return directory.Claimed{}, refused("the provider gave no id token")
	}
	id, err := d.ids.Verify(ctx, raw)
	if err != nil {
		return directory.Claimed{}, refusalOf(err)
	}
	said, err := decodeClaims(id.Claims)
	if err != nil {
		return directory.Claimed{}, err
	}
	switch {
	case said.Nonce == "" || said.Nonce != f.Nonce:
		return directory.Claimed{}, refused("the token is of another sign-in: its nonce is wrong")
	case said.AuthorizedParty != "" && said.AuthorizedParty != p.o.ClientID:
		return directory.Claimed{}, refused("the token was given to another application: its azp is wrong")
	case len(said.Audience) > 1 && said.AuthorizedParty == "":
		return directory.Claimed{}, refused("the token is for several applications, and does not say who it was given to: azp is missing")
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return directory.Claimed{}, refused("the token does not belong to the one that came with it")
		}
	}
	if err := p.o.checkTokenIssuer(said, d.issuer); err != nil {
		return directory.Claimed{}, err
	}
	return p.o.claimed(said), nil
}

// refusalOf is a reason that may be shown of why a token was not accepted.
func refusalOf(err error) error {
	var expired *oidc.TokenExpiredError
	text := err.Error()
	switch {
	case errors.As(err, &expired):
		return refused("the token has expired")
	case strings.Contains(text, "fetching keys"):
		return fmt.Errorf("%w: %w", errUnavailable, short(err))
	case strings.Contains(text, "expected audience"):
		return refused("the token is for another application: its aud is wrong")
	case strings.Contains(text, "before the nbf"):
		return refused("the token is not valid yet")
	case strings.Contains(text, "verify signature"):
		return refused("the token's signature is wrong")
	}
	return refused("the token is not valid")
}

// bearer returns whom a token of the provider's is of that a program sends.
func (p *provider) bearer(ctx context.Context, raw string) (directory.Claimed, error) {
	if len(p.o.API.Audience) == 0 {
		return directory.Claimed{}, refused("tokens of the provider are not taken here: signIn has no api audience")
	}
	sum := sha256.Sum256([]byte(raw))
	now := p.now()
	p.tokensMu.Lock()
	seen, ok := p.tokens[sum]
	p.tokensMu.Unlock()
	if ok && now.Before(seen.until) {
		return seen.who, nil
	}
	d, err := p.discover(ctx)
	if err != nil {
		return directory.Claimed{}, err
	}
	token, err := d.calls.Verify(ctx, raw)
	if err != nil {
		return directory.Claimed{}, refusalOf(err)
	}
	said, err := decodeClaims(token.Claims)
	if err != nil {
		return directory.Claimed{}, err
	}
	if err := p.checkCall(said); err != nil {
		return directory.Claimed{}, err
	}
	if err := p.o.checkTokenIssuer(said, d.issuer); err != nil {
		return directory.Claimed{}, err
	}
	who := p.o.claimed(said)
	until := now.Add(tokensHold)
	if token.Expiry.Before(until) {
		until = token.Expiry
	}
	p.tokensMu.Lock()
	defer p.tokensMu.Unlock()
	if len(p.tokens) >= mostTokens {
		clear(p.tokens)
	}
	p.tokens[sum] = seenToken{who, until}
	return who, nil
}

// checkCall refuses what is not an access token of this API.
func (p *provider) checkCall(c claims) error {
	if !slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(p.o.API.Audience, a) }) {
		return refused("the token is for another API: its aud is wrong")
	}
	var party string
	for _, one := range []string{c.AuthorizedParty, c.AppID, c.Client} {
		if party == "" {
			party = one
		}
	}
	switch {
	case c.Nonce != "" || c.CodeHash != "" || c.AccessHash != "":
		return refused("the token is of a sign-in: want an access token for the API")
	case party == "":
		return refused("the token does not say which application it was given to: want an access token for the API")
	case len(p.o.API.Clients) > 0 && !slices.Contains(p.o.API.Clients, party):
		return refused("the application may not ask here: its id has to stand under api clients")
	}
	return nil
}

// bounded asks the provider. It takes answers that are small enough, and the keys from
// memory for a while.
type bounded struct {
	next http.RoundTripper
	now  func() time.Time

	mu   sync.Mutex
	kept map[string]keptAnswer
}

type keptAnswer struct {
	header http.Header
	body   []byte
	at     time.Time
}

// RoundTrip is [http.RoundTripper]'s.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	// The library asks for keys so, and for nothing else.
	keys := r.Method == http.MethodGet && r.Header.Get("Cache-Control") == "no-cache"
	if keys {
		b.mu.Lock()
		k, ok := b.kept[r.URL.String()]
		b.mu.Unlock()
		if ok && b.now().Sub(k.at) < keysHold {
			return &http.Response{
				StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
				Header: k.header, Body: io.NopCloser(bytes.NewReader(k.body)), ContentLength: int64(len(k.body)), Request: r,
			}, nil
		}
	}
	res, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if closed := res.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	if keys && res.StatusCode == http.StatusOK {
		b.mu.Lock()
		b.kept = map[string]keptAnswer{r.URL.String(): {res.Header, body, b.now()}}
		b.mu.Unlock()
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return res, nil
}
