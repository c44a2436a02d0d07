package signin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/calends/calends/jobs/secret"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/jobs/serve/access/oidctest"
	"github.com/calends/calends/jobs/serve/access/signin"
)

func TestAPersonSignsInAndOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b := w.browser(t)
	expect(t, b.who(), "nobody")
	res := b.signIn("/invoices?month=2026-10")
	expect(t, res.Header.Get("Location"), "/invoices?month=2026-10")
	expect(t, b.who(), w.id("anna")+" Anna [admin-agent] [A B] false")
	if len(b.cookies) != 1 {
		t.Errorf("%d cookies are left", len(b.cookies))
	}
	cookie := b.cookies["__Host-calends"]
	if cookie == nil || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" || len(cookie.Value) != 52 {
		t.Errorf("the cookie is %+v", cookie)
	}

	stolen := cookie.Value
	if res := b.ask("POST", "/sign-out", "Sec-Fetch-Site", "cross-site"); res.StatusCode != http.StatusForbidden {
		t.Errorf("another site signs out: %s", res.Status)
	}
	if res := b.ask("GET", "/sign-out"); res.StatusCode == http.StatusSeeOther {
		t.Errorf("a link signs out: %s", res.Status)
	}
	res = b.ask("POST", "/sign-out", "Sec-Fetch-Site", "same-origin")
	expect(t, res.Header.Get("Location"), "/signed-out")
	expect(t, b.who(), "nobody")
	b.cookies["__Host-calends"] = &http.Cookie{Name: "__Host-calends", Value: stolen}
	expect(t, b.who(), "nobody")
	contains(t, text(t, b.ask("GET", "/signed-out")), "Sign in again")
	events(t, w, "signed-in "+w.id("anna"), "did "+w.id("anna"))
}

// Cookies of an address on this machine are kept to its port, and not to TLS.
func TestCookiesOnThisMachine(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	who, err := signin.New(options(w.provider), "http://127.0.0.1:8420", w.settings(), signin.Surroundings{Lookup: lookup})
	if err != nil {
		t.Fatal(err)
	}
	w.who = who
	w.serve()
	b := w.browser(t)
	b.ask("GET", "/sign-in")
	for name, c := range b.cookies {
		if !strings.HasPrefix(name, "calends-8420-sign-in-") || c.Secure || !c.HttpOnly || c.Path != "/" {
			t.Errorf("the cookie is %+v", c)
		}
	}
	if len(b.cookies) != 1 {
		t.Errorf("%d cookies", len(b.cookies))
	}
}

func TestASignInGivesANewID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b := w.browser(t)
	b.signIn("/")
	first := b.cookies["__Host-calends"].Value
	b.signIn("/")
	second := b.cookies["__Host-calends"].Value
	if first == second {
		t.Error("the session kept its id")
	}
	b.cookies["__Host-calends"].Value = first
	expect(t, b.who(), "nobody")
	// What somebody else has put there is no session, nor becomes one.
	b.cookies["__Host-calends"] = &http.Cookie{Name: "__Host-calends", Value: "chosen"}
	b.signIn("/")
	if b.cookies["__Host-calends"].Value == "chosen" {
		t.Error("the session has an id that somebody chose")
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		every time.Duration // between requests
		after time.Duration // the first at which nobody is signed in
	}{
		"an hour without a request": {time.Hour, time.Hour},
		"twelve hours with":         {59 * time.Minute, 12*time.Hour + 47*time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			b := w.browser(t)
			b.signIn("/")
			for b.who() != "nobody" {
				w.clock.add(test.every)
			}
			expect(t, w.clock.now().Sub(start).String(), test.after.String())
		})
	}
}

func TestDisablingEndsSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b := w.browser(t)
	b.signIn("/")
	u := directory.User{ID: w.id("anna"), Name: "Anna B.", Rights: directory.Rights{Roles: []access.Role{access.SalesAgent}, Partners: []string{"C"}}}
	put(t, w, u)
	expect(t, b.who(), w.id("anna")+" Anna B. [sales-agent] [C] false")
	u.Disabled = true
	put(t, w, u)
	expect(t, b.who(), "nobody")
	res := b.signIn("/")
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("got %s", res.Status)
	}
	contains(t, text(t, res), "the user is disabled: ask a global admin")
	if res := b.ask("GET", "/", "Authorization", "Bearer "+w.provider.AccessToken(anna, nil)); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token of a disabled user: %s", res.Status)
	}
	u.Disabled = false
	put(t, w, u)
	expect(t, b.who(), "nobody") // the session does not come back
}

func put(t *testing.T, w *world, u directory.User) {
	t.Helper()
	if _, err := w.people.PutUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
}

// Whatever is wrong with a sign-in, nobody is let in.
func TestASignInThatIsWrong(t *testing.T) {
	t.Parallel()
	wrong, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		claims func(c oidctest.Claims)
		sign   func(w *world) func(oidctest.Claims) string
		says   string
	}{
		"another nonce":          {claims: func(c oidctest.Claims) { c["nonce"] = "x" }, says: "its nonce is wrong"},
		"no nonce":               {claims: func(c oidctest.Claims) { delete(c, "nonce") }, says: "its nonce is wrong"},
		"another issuer":         {claims: func(c oidctest.Claims) { c["iss"] = "https://evil.example.com" }, says: "issued by another provider"},
		"no issuer":              {claims: func(c oidctest.Claims) { delete(c, "iss") }, says: "issued by another provider"},
		"another audience":       {claims: func(c oidctest.Claims) { c["aud"] = "x" }, says: "its aud is wrong"},
		"no audience":            {claims: func(c oidctest.Claims) { delete(c, "aud") }, says: "its aud is wrong"},
		"another party":          {claims: func(c oidctest.Claims) { c["azp"] = "x" }, says: "its azp is wrong"},
		"audiences and no party": {claims: func(c oidctest.Claims) { c["aud"] = []string{oidctest.ClientID, "x"} }, says: "azp is missing"},
		"expired":                {claims: func(c oidctest.Claims) { c["exp"] = start.Unix() - 1 }, says: "has expired"},
		"no end":                 {claims: func(c oidctest.Claims) { delete(c, "exp") }, says: "has expired"},
		"not valid yet":          {claims: func(c oidctest.Claims) { c["nbf"] = start.Add(time.Hour).Unix() }, says: "not valid yet"},
		"nobody":                 {claims: func(c oidctest.Claims) { delete(c, "sub") }, says: "sub is missing"},
		"another token's hash":   {claims: func(c oidctest.Claims) { c["at_hash"] = "x" }, says: "does not belong"},

		"another key": {sign: func(w *world) func(oidctest.Claims) string {
			return func(c oidctest.Claims) string {
				return oidctest.SignWith(jose.ES256, jose.JSONWebKey{Key: wrong, KeyID: w.provider.KeyID()}, c)
			}
		}, says: "signature is wrong"},
		"a key of no name": {sign: func(*world) func(oidctest.Claims) string {
			return func(c oidctest.Claims) string { return oidctest.SignWith(jose.ES256, wrong, c) }
		}, says: "signature is wrong"},
		"not signed": {sign: func(*world) func(oidctest.Claims) string { return oidctest.Unsigned }, says: "the token is not valid"},
		"signed with the secret": {sign: func(*world) func(oidctest.Claims) string {
			return func(c oidctest.Claims) string {
				return oidctest.SignWith(jose.HS256, []byte(strings.Repeat(oidctest.ClientSecret, 2)), c)
			}
		}, says: "the token is not valid"},
		"no token": {sign: func(*world) func(oidctest.Claims) string {
			return func(oidctest.Claims) string { return "hello" }
		}, says: "the token is not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.provider.Changes(test.claims)
			if test.sign != nil {
				w.provider.Signs(test.sign(w))
			}
			b := w.browser(t)
			res := b.signIn("/")
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("got %s", res.Status)
			}
			contains(t, text(t, res), test.says)
			expect(t, b.who(), "nobody")
			if len(b.cookies) != 0 {
				t.Errorf("cookies %v", b.cookies)
			}
			if got := w.trail.say(); len(got) != 1 || !strings.HasPrefix(got[0], "refused nobody") || !strings.Contains(got[0], test.says) {
				t.Errorf("the trail has %q", got)
			}
		})
	}
}

func TestACallbackThatIsNobodys(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(b *browser, back string) string
		says   string
	}{
		"another state":        {func(_ *browser, back string) string { return strings.Replace(back, "state=", "state=X", 1) }, "no such sign-in"},
		"no state":             {func(_ *browser, back string) string { return "/sign-in/callback?code=" + query(back).Get("code") }, "no such sign-in"},
		"another browser":      {func(b *browser, back string) string { clear(b.cookies); return back }, "no such sign-in"},
		"a cookie of its own":  {func(b *browser, back string) string { spoil(b); return back }, "no such sign-in"},
		"too late":             {func(b *browser, back string) string { b.w.clock.add(10 * time.Minute); return back }, "took too long"},
		"another code":         {func(_ *browser, back string) string { return strings.Replace(back, "code=", "code=X", 1) }, "does not take the code"},
		"another issuer":       {func(_ *browser, back string) string { return back + "&iss=https%3A%2F%2Fevil.example.com" }, "from another provider"},
		"declined, in its own": {func(_ *browser, back string) string { return back + "&error=access_denied&error_description=%3Cb%3ENo" }, "access_denied: &lt;b&gt;No"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			b := w.browser(t)
			res := b.ask("GET", test.change(b, b.toProvider("/sign-in")))
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("got %s", res.Status)
			}
			contains(t, text(t, res), test.says)
			expect(t, b.who(), "nobody")
		})
	}
}

func query(address string) url.Values {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	return u.Query()
}

func spoil(b *browser) {
	for _, c := range b.cookies {
		c.Value = c.Value[:len(c.Value)-2] + "AA"
	}
}

// A code that was used already, in the browser that has its cookie still.
func TestACodeWorksOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b := w.browser(t)
	back := b.toProvider("/sign-in")
	thief := w.browser(t)
	for name, c := range b.cookies {
		thief.cookies[name] = c
	}
	b.ask("GET", back)
	contains(t, b.who(), "Anna")
	contains(t, text(t, thief.ask("GET", back)), "does not take the code (invalid_grant)")
	expect(t, thief.who(), "nobody")
	contains(t, text(t, b.ask("GET", back)), "no such sign-in") // as when the page is opened again
	contains(t, b.who(), "Anna")
}

func TestTabsSignInAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b := w.browser(t)
	one, two := b.toProvider("/sign-in?back=/one"), b.toProvider("/sign-in?back=/two")
	expect(t, b.ask("GET", one).Header.Get("Location"), "/one")
	expect(t, b.ask("GET", two).Header.Get("Location"), "/two")
	for range 30 {
		b.toProvider("/sign-in")
	}
	if len(b.cookies) > 10 {
		t.Errorf("%d cookies", len(b.cookies))
	}
}

func TestOnlyOursIsGoneBackTo(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"/":                        "/",
		"/months/2026-10":          "/months/2026-10",
		"/prices?q=a%20b&x=%2F%2F": "/prices?q=a%20b&x=%2F%2F",
		"/x?y=https://example.com": "/x?y=https://example.com",

		"":                             "/",
		"months":                       "/",
		"https://evil.example.com/":    "/",
		"//evil.example.com":           "/",
		"///evil.example.com":          "/",
		"/\\evil.example.com":          "/",
		"\\\\evil.example.com":         "/",
		"/\t/evil.example.com":         "/",
		"/\n/evil.example.com":         "/",
		" //evil.example.com":          "/",
		"/\u00a0/evil.example.com":     "/",
		"javascript:alert(1)":          "/",
		"@evil.example.com":            "/",
		"/x\r\nSet-Cookie: a=b":        "/",
		"/%zz":                         "/",
		"/sign-in":                     "/",
		"/sign-in/callback?x=1":        "/",
		"/sign-out":                    "/",
		"/local/secret":                "/",
		"/" + strings.Repeat("x", 2e3): "/",
	} {
		if got := signin.Back(given); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
	w := newWorld(t, nil)
	expect(t, w.browser(t).signIn("//evil.example.com").Header.Get("Location"), "/")
	asked, _ := url.Parse("/invoices/2026-10?page=2")
	expect(t, signin.SignIn(asked), "/sign-in?back=%2Finvoices%2F2026-10%3Fpage%3D2")
}

func TestRolesAndPartnersOfClaims(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options func(o *signin.Options)
		claims  oidctest.Claims
		want    string // without the id
	}{
		"as it is":               {nil, oidctest.Claims{}, "Anna [admin-agent] [A B] false"},
		"one role as a text":     {nil, oidctest.Claims{"roles": "sales-agent"}, "Anna [sales-agent] [A B] false"},
		"several":                {nil, oidctest.Claims{"roles": []string{"sales-agent", "global-admin", "sales-agent"}}, "Anna [global-admin sales-agent] [A B] false"},
		"no role":                {nil, oidctest.Claims{"roles": nil}, "Anna [] [A B] false"},
		"a role that is unknown": {nil, oidctest.Claims{"roles": []any{"owner", "Global-Admin", 7}}, "Anna [] [A B] false"},
		"roles of other names": {func(o *signin.Options) {
			o.RolesClaim, o.Roles = "realm_access.roles", map[string]access.Role{"Billing.Admin": access.GlobalAdmin}
		}, oidctest.Claims{"realm_access": map[string]any{"roles": []string{"Billing.Admin"}}}, "Anna [global-admin] [A B] false"},
		"a path through a text": {func(o *signin.Options) { o.RolesClaim = "roles.x" }, oidctest.Claims{"roles": "sales-agent"}, "Anna [] [A B] false"},
		"a path to nowhere":     {func(o *signin.Options) { o.RolesClaim = "a.b.c" }, oidctest.Claims{"a": map[string]any{"b": nil}}, "Anna [] [A B] false"},
		"a claim with dots in its name": {func(o *signin.Options) { o.RolesClaim = "https://example.com/roles" },
			oidctest.Claims{"https://example.com/roles": []string{"sales-agent"}}, "Anna [sales-agent] [A B] false"},
		"no name": {nil, oidctest.Claims{"name": nil, "preferred_username": "anna@example.com"}, "anna@example.com [admin-agent] [A B] false"},

		"everyone":                        {func(o *signin.Options) { o.Partners = []string{"*"} }, oidctest.Claims{}, "Anna [admin-agent] [] true"},
		"no partner":                      {func(o *signin.Options) { o.Partners = nil }, oidctest.Claims{}, "Anna [admin-agent] [] false"},
		"partners of a claim":             {func(o *signin.Options) { o.Partners, o.PartnersClaim = nil, "partners" }, oidctest.Claims{"partners": []string{"C", "C"}}, "Anna [admin-agent] [C] false"},
		"a claim narrows":                 {func(o *signin.Options) { o.PartnersClaim = "partners" }, oidctest.Claims{"partners": []string{"B", "C"}}, "Anna [admin-agent] [B] false"},
		"a claim narrows everyone":        {func(o *signin.Options) { o.Partners, o.PartnersClaim = []string{"*"}, "partners" }, oidctest.Claims{"partners": "C"}, "Anna [admin-agent] [C] false"},
		"a claim that is missing":         {func(o *signin.Options) { o.Partners, o.PartnersClaim = []string{"*"}, "partners" }, oidctest.Claims{}, "Anna [admin-agent] [] false"},
		"no claim makes anybody everyone": {func(o *signin.Options) { o.Partners, o.PartnersClaim = nil, "partners" }, oidctest.Claims{"partners": []string{"*"}}, "Anna [admin-agent] [] false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.options)
			w.provider.Changes(func(c oidctest.Claims) {
				for k, v := range test.claims {
					if c[k] = v; v == nil {
						delete(c, k)
					}
				}
			})
			b := w.browser(t)
			b.signIn("/")
			expect(t, b.who(), w.id("anna")+" "+test.want)
		})
	}
}

// many is a world of an application that serves two tenants.
func many(t *testing.T) *world {
	w := newWorld(t, func(o *signin.Options) {
		o.Issuer += "/organizations/v2.0"
		o.Partners = nil
		o.Tenants = map[string][]string{tenant: {"*"}, other: {"B"}}
	})
	w.provider.Calls(w.provider.URL() + "/{tenantid}/v2.0")
	return w
}

func TestManyTenants(t *testing.T) {
	t.Parallel()
	const third = "11111111-86f1-41af-91ab-2d7cd011db47"
	for name, test := range map[string]struct {
		issued, tid any
		want        string // "": refused
	}{
		"the tenant of everyone": {tenant, tenant, "entra:" + tenant + ":" + object + " Anna [admin-agent] [] true"},
		"a partner's tenant":     {other, other, "entra:" + other + ":" + object + " Anna [admin-agent] [B] false"},
		"a tenant in capitals":   {tenant, strings.ToUpper(tenant), "entra:" + tenant + ":" + object + " Anna [admin-agent] [] true"},
		"an unknown tenant":      {third, third, ""},
		"another one's issuer":   {other, tenant, ""},
		"no tenant":              {tenant, nil, ""},
		"a tenant that is none":  {"x/../" + tenant, "x/../" + tenant, ""},
		"the pattern itself":     {"{tenantid}", "{tenantid}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := many(t)
			person := oidctest.Claims{"sub": "pairwise", "oid": object, "tid": test.tid, "name": "Anna", "roles": []string{"admin-agent"},
				"iss": fmt.Sprintf("%s/%s/v2.0", w.provider.URL(), test.issued)}
			w.provider.SignsIn(person)
			b := w.browser(t)
			b.signIn("/")
			token := w.browser(t).who("Authorization", "Bearer "+w.provider.AccessToken(person, nil))
			if test.want == "" {
				expect(t, b.who(), "nobody")
				contains(t, token, "invalid-token")
				return
			}
			expect(t, b.who(), test.want)
			expect(t, token, test.want)
		})
	}
}

func TestUsersByEmail(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		emails bool
		claims oidctest.Claims
		known  bool
	}{
		"verified":                 {true, oidctest.Claims{"email": "Anna@Example.com", "email_verified": true}, true},
		"verified, in a text":      {true, oidctest.Claims{"email": "anna@example.com", "email_verified": "true"}, true},
		"of a domain of its own":   {true, oidctest.Claims{"email": "anna@example.com", "xms_edov": "1"}, true},
		"not verified":             {true, oidctest.Claims{"email": "anna@example.com"}, false},
		"said not to be":           {true, oidctest.Claims{"email": "anna@example.com", "email_verified": false}, false},
		"not configured":           {false, oidctest.Claims{"email": "anna@example.com", "email_verified": true}, false},
		"a name that looks so too": {true, oidctest.Claims{"preferred_username": "anna@example.com", "email_verified": true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *signin.Options) { o.Emails, o.Partners = test.emails, nil })
			put(t, w, directory.User{ID: "email:anna@example.com", Name: "Anna", Rights: directory.Rights{Roles: []access.Role{access.SalesAgent}, Partners: []string{"A"}}})
			w.provider.Changes(func(c oidctest.Claims) {
				for k, v := range test.claims {
					c[k] = v
				}
			})
			b := w.browser(t)
			b.signIn("/")
			want := w.id("anna") + " Anna [admin-agent] [] false"
			if test.known {
				want = w.id("anna") + " Anna [sales-agent] [A] false"
			}
			expect(t, b.who(), want)
		})
	}
}

func TestTheServerStartsWithoutTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.provider.Down(true)
	b := w.browser(t)
	if err := w.who.Ready(t.Context()); err == nil {
		t.Error("it is ready without a provider")
	}
	res := b.ask("GET", "/sign-in")
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %s", res.Status)
	}
	contains(t, text(t, res), "does not answer")
	res = b.ask("GET", "/", "Authorization", "Bearer "+w.provider.AccessToken(anna, nil))
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a token: %s", res.Status)
	}
	for range 10 {
		b.ask("GET", "/sign-in")
	}
	if n := w.provider.Fetched("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	w.provider.Down(false)
	w.clock.add(5 * time.Second)
	b.signIn("/")
	contains(t, b.who(), "Anna")
	if err := w.who.Ready(t.Context()); err != nil {
		t.Error(err)
	}

	// What it said of itself holds for an hour, and longer while it is down.
	w.clock.add(25 * time.Hour)
	w.provider.Down(true)
	contains(t, b.ask("GET", "/sign-in").Header.Get("Location"), w.provider.URL())
}

func TestAProviderOfAnotherName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.provider.Calls("https://login.example.com/")
	err := w.who.Ready(t.Context())
	if err == nil || !strings.Contains(err.Error(), "calls itself https://login.example.com/: write that as the issuer") {
		t.Errorf("got %v", err)
	}
	w = many(t)
	w.provider.Calls(w.provider.URL() + "/" + tenant + "/v2.0")
	if err := w.who.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "calls itself") {
		t.Errorf("got %v", err)
	}
}

// The secret is read when it is needed, and stands nowhere.
func TestTheSecretIsNeverTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *signin.Options) { o.ClientSecret = secret.Source{Env: "NONE"} })
	b := w.browser(t)
	res := b.ask("GET", "/sign-in")
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %s", res.Status)
	}
	contains(t, w.log.String(), "environment variable NONE is empty or not there")

	w = newWorld(t, nil)
	b = w.browser(t)
	back := b.toProvider("/sign-in")
	w.provider.Down(true)
	page := text(t, b.ask("GET", back))
	contains(t, page, "does not answer")
	told := page + w.log.String() + strings.Join(w.trail.say(), "\n")
	for _, s := range []string{oidctest.ClientSecret, query(back).Get("code"), query(back).Get("state")} {
		if strings.Contains(told, s) {
			t.Errorf("%q is told in %s", s, told)
		}
	}
}

func TestNobodyIsLetInWithoutTheTrail(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.trail.broken = true
	b := w.browser(t)
	if res := b.signIn("/"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %s", res.Status)
	}
	expect(t, b.who(), "nobody")
}
