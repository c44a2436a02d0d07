// Package microsoft is Microsoft as a source: price sheets, exchange rates, the
// offer matrix and promotions; what was billed; what happened to subscriptions. It
// fetches and checks that an answer is what was asked for. What files mean, and
// taking them in, is the ordinary ingest's.
package microsoft

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/calends/calends/jobs/microsoft/signin"
	"github.com/calends/calends/jobs/microsoft/web"
	"github.com/calends/calends/jobs/secret"
)

// Options are the configuration's part under microsoft.
type Options struct {
	Tenant string `yaml:"tenant"` // the partner's, a GUID or a domain
	Client string `yaml:"client"` // the application's id
	// Secret or Certificate prove that it is the application; one of both.
	Secret      secret.Source `yaml:"secret"`
	Certificate secret.Source `yaml:"certificate"` // a PEM with its private key
	// RefreshToken is that of a user who is an Admin Agent or a Sales Agent. Prices,
	// exchange rates and the offer matrix are given to nobody else.
	RefreshToken secret.Source `yaml:"refreshToken"`
	// Identity is who asks Partner Center and Graph: "app", the application alone,
	// or "user", the application with that user. Blank: app.
	Identity string `yaml:"identity"`

	Markets     []string      `yaml:"markets"`     // such as DE, of price sheets and promotions
	Segments    []string      `yaml:"segments"`    // of promotions; none: commercial
	Endpoints   Endpoints     `yaml:"endpoints"`   // for national clouds, and for tests
	Timeout     time.Duration `yaml:"timeout"`     // how long an answer may be silent; 0: a minute
	Concurrency int           `yaml:"concurrency"` // requests at a time; 0: 4
}

// Endpoints are where the services are. A blank one is Microsoft's own.
type Endpoints struct {
	Login         string `yaml:"login"`
	Prices        string `yaml:"prices"`
	PartnerCenter string `yaml:"partnerCenter"`
	Graph         string `yaml:"graph"`
}

// The services, as they are but for national clouds.
const (
	DefaultPrices        = "https://api.partner.microsoft.com"
	DefaultPartnerCenter = "https://api.partnercenter.microsoft.com"
	DefaultGraph         = "https://graph.microsoft.com"
)

// IsZero says that nothing of Microsoft's is configured.
func (o Options) IsZero() bool {
	return o.Tenant == "" && o.Client == "" && o.Secret.IsZero() && o.Certificate.IsZero() && o.RefreshToken.IsZero() &&
		o.Identity == "" && len(o.Markets) == 0 && len(o.Segments) == 0 && o.Endpoints == Endpoints{} && o.Timeout == 0 && o.Concurrency == 0
}

// Validate refuses what cannot work, all of it at once. Whether Microsoft agrees is
// for Check.
func (o Options) Validate() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	switch {
	case o.Tenant == "":
		bad("tenant is missing: the partner's, a GUID or a domain")
	case url.PathEscape(o.Tenant) != o.Tenant:
		bad("tenant %q: want a GUID or a domain", o.Tenant)
	}
	switch {
	case o.Client == "":
		bad("client is missing: the application's id")
	case url.PathEscape(o.Client) != o.Client:
		bad("client %q: want the application's id, a GUID", o.Client)
	}
	switch {
	case o.Secret.IsZero() && o.Certificate.IsZero():
		bad("secret or certificate is missing")
	case !o.Secret.IsZero() && !o.Certificate.IsZero():
		bad("secret and certificate: want one of both")
	}
	if o.Identity != "" && o.Identity != "app" && o.Identity != "user" {
		bad("identity %q: want app or user", o.Identity)
	}
	if o.Identity == "user" && o.RefreshToken.IsZero() {
		bad("identity user wants a refreshToken")
	}
	seen := make(map[string]bool)
	for _, m := range o.Markets {
		if len(m) != 2 || strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			bad("market %q: want two capital letters, such as DE", m)
		}
		if seen[m] {
			bad("market %s is there twice", m)
		}
		seen[m] = true
	}
	for _, s := range o.Segments {
		if !slices.Contains(knownSegments, strings.ToLower(s)) {
			bad("segment %q: want one of %s", s, strings.Join(knownSegments, ", "))
		}
	}
	if o.Timeout < 0 || o.Concurrency < 0 {
		bad("timeout and concurrency: want 0 or more")
	}
	if _, err := signin.CheckLogin(orElse(o.Endpoints.Login, signin.DefaultLogin)); err != nil {
		all = append(all, fmt.Errorf("endpoints: %w", err))
	}
	for _, e := range []struct{ name, address string }{
		{"prices", o.Endpoints.Prices}, {"partnerCenter", o.Endpoints.PartnerCenter}, {"graph", o.Endpoints.Graph},
	} {
		if e.address == "" {
			continue
		}
		u, err := url.Parse(e.address)
		if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !web.Loopback(u.Hostname())) || u.RawQuery != "" {
			bad("endpoints: %s %q: want https://host; plain http is for this machine alone", e.name, web.Redact(e.address))
		}
	}
	return errors.Join(all...)
}

var knownSegments = []string{"commercial", "education", "charity", "government"}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Surroundings are what a client needs besides the configuration. All may be left
// out but Version.
type Surroundings struct {
	Version   string
	Log       *slog.Logger
	Lookup    func(name string) (string, bool) // nil: os.LookupEnv
	Transport http.RoundTripper
	Now       func() time.Time
	Wait      func(ctx context.Context, d time.Duration) error
	// Attempts and Patience are those of web.Options.
	Attempts int
	Patience time.Duration
}

// Client asks Microsoft's services. It may be used concurrently.
type Client struct {
	// Web makes requests with the right token for each scope.
	Web *web.Client
	// App and User sign in. User fails where there is no refresh token.
	App, User *signin.Tokens

	o Options
}

// NewClient returns a client. It asks nothing yet; o is valid.
func NewClient(o Options, s Surroundings) *Client {
	sign := signin.Options{
		Login: o.Endpoints.Login, Tenant: o.Tenant, Client: o.Client, Secret: o.Secret, Certificate: o.Certificate, RefreshToken: o.RefreshToken,
		Timeout: o.Timeout, Transport: s.Transport, Log: s.Log, Lookup: s.Lookup, Now: s.Now, Wait: s.Wait,
	}
	c := &Client{App: signin.App(sign), User: signin.User(sign), o: o}
	c.Web = web.New(web.Options{
		Tokens: identities{c}, Version: s.Version, Timeout: o.Timeout, Concurrency: o.Concurrency,
		Transport: s.Transport, Now: s.Now, Wait: s.Wait, Attempts: s.Attempts, Patience: s.Patience,
	})
	return c
}

// Options are those that the client was made with.
func (c *Client) Options() Options { return c.o }

// Close lets go of idle connections.
func (c *Client) Close() { c.Web.Close() }

// prices, partnerCenter and graph are a request's address and scope.

func (c *Client) prices(path string) web.Request {
	return at(c.o.Endpoints.Prices, DefaultPrices, path)
}

func (c *Client) partnerCenter(path string) web.Request {
	return at(c.o.Endpoints.PartnerCenter, DefaultPartnerCenter, path)
}

func (c *Client) graph(path string) web.Request {
	return at(c.o.Endpoints.Graph, DefaultGraph, path)
}

// at is a request to a service. A token's scope names the service, also where
// another one on this machine stands in for it.
func at(endpoint, standard, path string) web.Request {
	base := strings.TrimSuffix(orElse(endpoint, standard), "/")
	r := web.Request{URL: base + path, Scope: standard + "/.default"}
	if u, err := url.Parse(base); err == nil && !web.Loopback(u.Hostname()) {
		r.Scope = "https://" + u.Host + "/.default"
	}
	return r
}

// identities chooses who signs in for a scope.
type identities struct{ c *Client }

func (i identities) of(scope string) *signin.Tokens {
	if i.c.o.Identity == "user" || scope == i.c.prices("").Scope {
		return i.c.User
	}
	return i.c.App
}

// Token signs in.
func (i identities) Token(ctx context.Context, scope string) (string, error) {
	return i.of(scope).Token(ctx, scope)
}

// Refused passes on that a token was not accepted.
func (i identities) Refused(scope, token string) { i.of(scope).Refused(scope, token) }

// SignIn lets a person sign in with a browser and stores their refresh token, as
// signin.Tokens.Browse says.
func (c *Client) SignIn(ctx context.Context, l net.Listener, show func(address string)) error {
	return c.User.Browse(ctx, l, c.prices("").Scope, show)
}
