package signin_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/jobs/serve/access/oidctest"
	"github.com/calends/calends/jobs/serve/access/signin"
)

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

func TestATokenOfTheProvider(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options func(o *signin.Options)
		more    oidctest.Claims
		says    string // "": accepted
	}{
		"as it is":                {},
		"of an application alone": {more: oidctest.Claims{"azp": nil, "appid": "erp"}},
		"as RFC 9068 has it":      {more: oidctest.Claims{"azp": nil, "client_id": "erp"}},
		"of a client that may":    {options: func(o *signin.Options) { o.API.Clients = []string{"erp"} }},
		"one audience of several": {more: oidctest.Claims{"aud": []string{"x", oidctest.Audience}}},
		"of Entra, for the application that people sign in at": {func(o *signin.Options) { o.API.Audience = []string{oidctest.ClientID} },
			oidctest.Claims{"aud": oidctest.ClientID}, ""},
		"its id token": {func(o *signin.Options) { o.API.Audience = []string{oidctest.ClientID} },
			oidctest.Claims{"aud": oidctest.ClientID, "nonce": "x"}, "of a sign-in"},
		"of a client that may not":    {func(o *signin.Options) { o.API.Clients = []string{"crm"} }, nil, "has to stand under api clients"},
		"another audience":            {more: oidctest.Claims{"aud": "https://graph.microsoft.com"}, says: "its aud is wrong"},
		"the sign-in's own audience":  {more: oidctest.Claims{"aud": oidctest.ClientID}, says: "its aud is wrong"},
		"an id token, by its nonce":   {more: oidctest.Claims{"nonce": "x"}, says: "of a sign-in"},
		"an id token, by its hash":    {more: oidctest.Claims{"at_hash": "x"}, says: "of a sign-in"},
		"given to no application":     {more: oidctest.Claims{"azp": nil}, says: "does not say which application"},
		"another issuer":              {more: oidctest.Claims{"iss": "https://evil.example.com"}, says: "issued by another provider"},
		"of version 1.0":              {more: oidctest.Claims{"iss": "https://sts.windows.net/" + tenant + "/"}, says: "requestedAccessTokenVersion to 2"},
		"expired":                     {more: oidctest.Claims{"exp": start.Unix() - 1}, says: "has expired"},
		"not valid yet":               {more: oidctest.Claims{"nbf": start.Add(time.Hour).Unix()}, says: "not valid yet"},
		"of nobody":                   {more: oidctest.Claims{"sub": nil}, says: "sub is missing"},
		"without an audience of ours": {func(o *signin.Options) { o.API = signin.API{} }, nil, "signIn has no api audience"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.options)
			b := w.browser(t)
			token := w.provider.AccessToken(anna, test.more)
			res := b.ask("GET", "/", bearer(token)...)
			body := text(t, res)
			if test.says == "" {
				expect(t, body, w.id("anna")+" Anna [admin-agent] [A B] false")
				events(t, w)
				return
			}
			if res.StatusCode != http.StatusUnauthorized || res.Header.Get("Content-Type") != "application/problem+json" ||
				res.Header.Get("WWW-Authenticate") != `Bearer realm="calends", error="invalid_token"` {
				t.Errorf("got %s %v", res.Status, res.Header)
			}
			contains(t, body, test.says)
			contains(t, body, "urn:calends:problem:invalid-token")
			if strings.Contains(body+w.log.String()+strings.Join(w.trail.say(), ""), token) {
				t.Error("the token is told")
			}
			if got := w.trail.say(); len(got) != 1 || !strings.HasPrefix(got[0], "refused nobody") {
				t.Errorf("the trail has %q", got)
			}
		})
	}
}

func TestForgedTokensOfTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	good := w.provider.AccessToken(anna, nil)
	b := w.browser(t)
	contains(t, b.who(bearer(good)...), "Anna")
	parts := strings.Split(good, ".")
	other := strings.Split(w.provider.AccessToken(oidctest.Claims{"sub": "boss", "roles": "global-admin"}, nil), ".")
	for i, token := range []string{
		oidctest.Unsigned(oidctest.Claims{"sub": "anna", "aud": oidctest.Audience, "azp": "erp", "iss": w.provider.URL(), "exp": start.Add(time.Hour).Unix()}),
		parts[0] + "." + other[1] + "." + parts[2],
		parts[0] + "." + parts[1] + ".",
		parts[0] + "." + parts[1],
		"..", "hello", "eyJ",
	} {
		if res := b.ask("GET", "/", bearer(token)...); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%d: %s", i, res.Status)
		}
	}
}

// A token that was right is not verified each time, but no longer than it is good.
func TestTokensOfTheProviderAreRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b := w.browser(t)
	token := w.provider.AccessToken(anna, oidctest.Claims{"exp": start.Add(3 * time.Hour).Unix()})
	contains(t, b.who(bearer(token)...), "Anna")
	w.provider.Rotate()
	w.clock.add(time.Hour)
	contains(t, b.who(bearer(token)...), "signature is wrong") // its key was taken back
	contains(t, b.who(bearer(w.provider.AccessToken(anna, nil))...), "Anna")

	short := w.provider.AccessToken(anna, oidctest.Claims{"exp": w.clock.now().Add(5 * time.Second).Unix()})
	contains(t, b.who(bearer(short)...), "Anna")
	w.clock.add(6 * time.Second)
	contains(t, b.who(bearer(short)...), "has expired")
}

// Tokens with keys that nobody has do not make us ask for keys each time.
func TestInventedKeysDoNotFloodTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b := w.browser(t)
	tokens := make([]string, 9)
	for i := range tokens {
		w.provider.Rotate()
		tokens[i] = w.provider.AccessToken(anna, nil)
	}
	w.provider.Rotate()
	for _, token := range tokens {
		contains(t, b.who(bearer(token)...), "signature is wrong")
	}
	if n := w.provider.Fetched("/keys"); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestOurOwnTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token, made, err := w.people.CreateToken(t.Context(), directory.Token{
		Name: "erp", Rights: directory.Rights{Roles: []access.Role{access.SalesAgent}, Partners: []string{"A"}}, Expires: start.Add(time.Hour).Format(time.RFC3339),
	})
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser(t)
	expect(t, b.who(bearer(token.Reveal())...), "token:"+made.ID+" erp [sales-agent] [A] false")
	expect(t, b.who("Authorization", "bearer  "+token.Reveal()), "token:"+made.ID+" erp [sales-agent] [A] false")
	// A token counts, not the session that is there too.
	b.signIn("/")
	contains(t, b.who(bearer(token.Reveal())...), "erp")
	contains(t, b.who("Authorization", "Bearer cal_X"), "the token is not valid")
	for _, headers := range [][]string{
		{"Authorization", ""}, {"Authorization", "Bearer"}, {"Authorization", "Basic YTpi"}, {"Authorization", token.Reveal()},
		{"Authorization", "Bearer " + token.Reveal(), "Authorization", "Bearer " + token.Reveal()},
	} {
		if res := w.browser(t).ask("GET", "/", headers...); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: %s", headers[:1], res.Status)
		}
	}
	w.clock.add(time.Hour)
	contains(t, b.who(bearer(token.Reveal())...), "it has expired")
	if strings.Contains(w.log.String()+strings.Join(w.trail.say(), ""), token.Reveal()) {
		t.Error("the token is told")
	}
}

// No header makes somebody of anybody.
func TestHeadersAreNotBelieved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, name := range []string{"X-Forwarded-User", "Remote-User", "X-Ms-Client-Principal-Id", "X-Test-Role", "Cookie"} {
		expect(t, w.browser(t).who(name, "__Host-calends=anna"), "nobody")
	}
}

// Too many wrong tokens: their sender waits, the trail hears no more of him, and who has
// a right one is not kept out by a neighbour.
func TestTooManyFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b := w.browser(t)
	status := func(b *browser, token string) int { return b.ask("GET", "/", bearer(token)...).StatusCode }
	for i := range 15 {
		want := http.StatusUnauthorized
		if i >= 10 {
			want = http.StatusTooManyRequests
		}
		if got := status(b, "x"); got != want {
			t.Errorf("failure %d: %d, want %d", i+1, got, want)
		}
	}
	if n := len(w.trail.say()); n != 10 {
		t.Errorf("the trail has %d", n)
	}
	if got := status(b, w.provider.AccessToken(anna, nil)); got != http.StatusOK {
		t.Errorf("a right one from there: %d", got)
	}
	elsewhere := w.browser(t)
	elsewhere.from = "192.0.2.2:99"
	if got := status(elsewhere, "x"); got != http.StatusUnauthorized {
		t.Errorf("from elsewhere: %d", got)
	}
	w.clock.add(10 * time.Second)
	if got := status(b, "x"); got != http.StatusUnauthorized {
		t.Errorf("later: %d", got)
	}
}

// BenchmarkMiddleware: what finding out who asks costs each request.
func BenchmarkMiddleware(b *testing.B) {
	clock := new(clock)
	provider := oidctest.New(b, clock.now)
	w := &world{clock: clock, provider: provider}
	who, err := signin.New(options(provider), home, w.settings(), signin.Surroundings{Lookup: lookup})
	if err != nil {
		b.Fatal(err)
	}
	own, _, err := w.people.CreateToken(b.Context(), directory.Token{Name: "erp", Expires: start.Add(time.Hour).Format(time.RFC3339)})
	if err != nil {
		b.Fatal(err)
	}
	next := who.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, token := range map[string]string{"own": own.Reveal(), "provider": provider.AccessToken(anna, nil)} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("GET", home, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			rec := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				next.ServeHTTP(rec, r)
			}
			if rec.Code != http.StatusOK {
				b.Fatalf("got %d %s", rec.Code, rec.Body)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "request/s")
		})
	}
}
