// Package signin gets tokens from Microsoft's sign-in service: as the application
// alone, or as the application together with the user whose refresh token is
// stored. It keeps what it got until it runs out, and a renewed refresh token in
// its file.
//
// A refresh token can be used for ninety days from the day it was issued, and each
// use brings a new one. In a file the new one takes the old one's place, so that
// it goes on for as long as it is used. From the environment the old one stays: it
// ends on its ninetieth day whatever happens.
package signin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/calends/calends/jobs/microsoft/web"
	"github.com/calends/calends/jobs/secret"
)

// DefaultLogin is Microsoft's sign-in service, but for national clouds.
const DefaultLogin = "https://login.microsoftonline.com"

const (
	// early is how long before its end a token is no longer given out, so that
	// what it is for can begin; of a short life it is a fifth.
	early = 5 * time.Minute
	// attempts at one token, and the longest wait between two of them.
	attempts = 4
	patience = 2 * time.Minute
)

// Options say who signs in, and where.
type Options struct {
	Login  string // address of the sign-in service; blank: DefaultLogin
	Tenant string // the partner's, a GUID or a domain
	Client string // the application's id
	// Secret or Certificate prove that it is the application. A certificate is a
	// PEM with its private key.
	Secret, Certificate secret.Source
	// RefreshToken is the user's. It may be nowhere for the application alone.
	RefreshToken secret.Source

	Timeout   time.Duration     // of one answer; 0: web.DefaultTimeout
	Transport http.RoundTripper // nil: net/http's
	Log       *slog.Logger      // nil: nobody is told
	Lookup    func(name string) (string, bool)
	Now       func() time.Time
	Wait      func(ctx context.Context, d time.Duration) error
}

// Tokens are those of one identity. It implements web.Tokens and web.Refusals, and
// may be used concurrently.
type Tokens struct {
	o    Options
	user bool
	turn chan struct{} // holds one while nobody signs in
	have map[string]token

	// The refresh token as it was found, and what became of it since.
	found, latest string
	told          bool      // that it cannot be kept
	warned        time.Time // when it was last said that it ends soon
}

type token struct {
	value string
	until time.Time // when it is no longer given out
}

// App signs in as the application alone.
func App(o Options) *Tokens { return newTokens(o, false) }

// User signs in as the application together with the user.
func User(o Options) *Tokens { return newTokens(o, true) }

func newTokens(o Options, user bool) *Tokens {
	if o.Login == "" {
		o.Login = DefaultLogin
	}
	if o.Timeout <= 0 {
		o.Timeout = web.DefaultTimeout
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Lookup == nil {
		o.Lookup = os.LookupEnv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = web.Sleep
	}
	t := &Tokens{o: o, user: user, turn: make(chan struct{}, 1), have: make(map[string]token)}
	t.turn <- struct{}{}
	return t
}

// Token returns a token for a scope. One call at a time signs in: each use of a
// refresh token makes the next one.
func (t *Tokens) Token(ctx context.Context, scope string) (string, error) {
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-t.turn:
	}
	defer func() { t.turn <- struct{}{} }()
	if have, ok := t.have[scope]; ok && t.o.Now().Before(have.until) {
		return have.value, nil
	}
	got, err := t.signIn(ctx, scope)
	if err != nil {
		return "", fmt.Errorf("sign in %s: %w", t.who(), err)
	}
	t.have[scope] = got
	return got.value, nil
}

// Refused forgets a token that was not accepted, though it should still hold.
func (t *Tokens) Refused(scope, value string) {
	<-t.turn
	defer func() { t.turn <- struct{}{} }()
	if t.have[scope].value == value {
		delete(t.have, scope)
	}
}

func (t *Tokens) who() string {
	who := "as application " + t.o.Client
	if t.user {
		who += " with the user's refresh token"
	}
	return who + " in tenant " + t.o.Tenant
}

// signIn makes attempts until one is good or nothing can be hoped for.
func (t *Tokens) signIn(ctx context.Context, scope string) (token, error) {
	login, proof, hide, err := t.identity()
	if err != nil {
		return token{}, err
	}
	var seed *seeded
	if t.user {
		if seed, err = t.seed(login); err != nil {
			return token{}, err
		}
		hide = append(hide, seed.secret)
	}
	for n := 1; ; n++ {
		got, err := t.ask(ctx, login, proof, seed, scope)
		if err == nil {
			t.keep(seed)
			t.warn()
			return got, nil
		}
		said := explain(err, hide, t.o.Now())
		wait := time.Second << (n - 1)
		if said.retryAfter > 0 {
			wait = said.retryAfter
		}
		if ctx.Err() != nil || !said.passes || n == attempts || wait > patience {
			return token{}, said
		}
		if err := t.o.Wait(ctx, wait); err != nil {
			return token{}, err
		}
	}
}

// CheckLogin reads the sign-in service's address.
func CheckLogin(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("login address %q: want one such as %s", web.Redact(address), DefaultLogin)
	case u.Scheme == "http" && !web.Loopback(u.Hostname()):
		return nil, fmt.Errorf("login address %s: plain http is for this machine alone; want https", web.Redact(address))
	}
	return u, nil
}

// identity is where to sign in, what proves that it is the application, and what of
// that must not be shown.
func (t *Tokens) identity() (login *url.URL, proof confidential.Credential, hide []string, err error) {
	if login, err = CheckLogin(t.o.Login); err != nil {
		return nil, proof, nil, err
	}
	if t.o.Tenant == "" || t.o.Client == "" {
		return nil, proof, nil, errors.New("the tenant or the client id is missing")
	}
	proof, hide, err = t.credential()
	return login, proof, hide, err
}

// credential is what proves that it is the application, and what of it must not
// be shown.
func (t *Tokens) credential() (proof confidential.Credential, hide []string, err error) {
	switch {
	case !t.o.Certificate.IsZero():
		pem, err := t.o.Certificate.Read(t.o.Lookup)
		if err != nil {
			return proof, nil, fmt.Errorf("the application's certificate: %w", err)
		}
		chain, key, err := confidential.CertFromPEM([]byte(pem.Reveal()), "")
		if err == nil {
			proof, err = confidential.NewCredFromCert(chain, key)
		}
		if err != nil {
			return proof, nil, fmt.Errorf("the application's certificate in %s: %w", t.o.Certificate, err)
		}
		return proof, nil, nil
	case !t.o.Secret.IsZero():
		value, err := t.o.Secret.Read(t.o.Lookup)
		if err != nil {
			return proof, nil, fmt.Errorf("the application's secret: %w", err)
		}
		proof, err = confidential.NewCredFromSecret(value.Reveal())
		return proof, []string{value.Reveal()}, err
	}
	return proof, nil, errors.New("neither a secret nor a certificate of the application is configured")
}

// msal is a client with no cache but the one that is given. Each sign-in has its
// own, so that nothing but ours decides what is asked for.
func (t *Tokens) msal(login *url.URL, proof confidential.Credential, seed *seeded) (confidential.Client, error) {
	authority := "https://" + login.Host + strings.TrimSuffix(login.Path, "/") + "/" + url.PathEscape(t.o.Tenant)
	carrier := t.o.Transport
	if login.Scheme == "http" {
		carrier = loopback{carrier, login.Host, authority}
	}
	options := []confidential.Option{
		confidential.WithHTTPClient(&http.Client{Transport: carrier, Timeout: t.o.Timeout}),
		confidential.WithInstanceDiscovery(false),
	}
	if seed != nil {
		options = append(options, confidential.WithCache(seed))
	}
	return confidential.New(authority, t.o.Client, proof, options...)
}

// ask is one attempt.
func (t *Tokens) ask(ctx context.Context, login *url.URL, proof confidential.Credential, seed *seeded, scope string) (token, error) {
	client, err := t.msal(login, proof, seed)
	if err != nil {
		return token{}, err
	}
	var got confidential.AuthResult
	if seed != nil {
		got, err = client.AcquireTokenSilent(ctx, []string{scope}, confidential.WithSilentAccount(seed.account()))
	} else {
		got, err = client.AcquireTokenByCredential(ctx, []string{scope})
	}
	if err != nil {
		return token{}, err
	}
	life := time.Until(got.ExpiresOn) // MSAL counts from the machine's clock
	return token{got.AccessToken, t.o.Now().Add(life - min(early, life/5))}, nil
}
