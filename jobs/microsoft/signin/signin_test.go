package signin_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs/microsoft/microsofttest"
	"github.com/calends/calends/jobs/microsoft/signin"
	"github.com/calends/calends/jobs/secret"
)

const scope = "https://api.partner.microsoft.com/.default"

// world is a sign-in service, a machine's environment and its clock.
type world struct {
	*microsofttest.Server
	env    map[string]string
	log    bytes.Buffer
	now    time.Time
	waited []time.Duration
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{
		Server: microsofttest.New(t),
		env:    map[string]string{"SECRET": microsofttest.ClientSecret, "REFRESH": microsofttest.RefreshToken},
		now:    time.Date(2026, 10, 1, 4, 0, 0, 0, time.UTC),
	}
}

func (w *world) options() signin.Options {
	return signin.Options{
		Login: w.URL, Tenant: microsofttest.Tenant, Client: microsofttest.ClientID,
		Secret: secret.Source{Env: "SECRET"}, RefreshToken: secret.Source{Env: "REFRESH"},
		Log:    slog.New(slog.NewTextHandler(&w.log, nil)),
		Lookup: func(name string) (string, bool) { v, ok := w.env[name]; return v, ok },
		Now:    func() time.Time { return w.now },
		Wait: func(ctx context.Context, d time.Duration) error {
			w.waited = append(w.waited, d)
			w.now = w.now.Add(d)
			return ctx.Err()
		},
	}
}

// inFile keeps the refresh token in a file.
func (w *world) inFile(t *testing.T, o *signin.Options) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "refresh-token")
	if err := os.WriteFile(name, []byte(w.env["REFRESH"]+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o.RefreshToken = secret.Source{File: name}
	return name
}

func get(t *testing.T, tokens *signin.Tokens) string {
	t.Helper()
	token, err := tokens.Token(t.Context(), scope)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (w *world) signIns() int { return w.Count("/oauth2/v2.0/token") }

func TestATokenIsKeptUntilItRunsOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tokens := range map[string]*signin.Tokens{"app": signin.App(w.options()), "user": signin.User(w.options())} {
		before := w.signIns()
		first := get(t, tokens)
		if !strings.HasPrefix(first, name+"-access-token-") {
			t.Errorf("%s: got %s", name, first)
		}
		w.now = w.now.Add(54 * time.Minute)
		if again := get(t, tokens); again != first {
			t.Errorf("%s: six minutes before its end another token was given", name)
		}
		w.now = w.now.Add(2 * time.Minute)
		if again := get(t, tokens); again == first {
			t.Errorf("%s: four minutes before its end the token is still given", name)
		}
		if n := w.signIns() - before; n != 2 {
			t.Errorf("%s: signed in %d times, want 2", name, n)
		}
	}
}

func TestAShortLifeIsUsedToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tokens := signin.App(w.options())
	short := microsofttest.Text(`{"token_type":"Bearer","expires_in":60,"access_token":"AccessTokenValue"}`)
	w.Fail("/token", short, short)
	for range 6 { // 0, 10, ... 50 seconds
		get(t, tokens)
		w.now = w.now.Add(10 * time.Second)
	}
	if w.signIns() != 2 {
		t.Errorf("signed in %d times, want 2", w.signIns())
	}
}

func TestARefusedTokenIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tokens := signin.App(w.options())
	first := get(t, tokens)
	tokens.Refused(scope, "another one")
	if get(t, tokens) != first {
		t.Error("the refusal of another token counts")
	}
	tokens.Refused(scope, first)
	if get(t, tokens) == first {
		t.Error("the refused token is given again")
	}
}

func TestEachScopeHasItsToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tokens := signin.User(w.options())
	other, err := tokens.Token(t.Context(), "https://graph.microsoft.com/.default")
	if err != nil || other == get(t, tokens) {
		t.Errorf("got %s, %v", other, err)
	}
}

func TestARenewedRefreshTokenTakesItsPlaceInTheFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.RefreshOnce()
	o := w.options()
	name := w.inFile(t, &o)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(name, link); err != nil {
		t.Fatal(err)
	}
	o.RefreshToken.File = link
	old := w.now.Add(-80 * 24 * time.Hour)
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
	if age, known, err := signin.Age(o.RefreshToken, w.now); err != nil || !known || age != 80*24*time.Hour || age < signin.WarnAfter {
		t.Errorf("age %s, %t, %v; want 80 days", age, known, err)
	}
	// Each process has only the file; the service takes each refresh token once.
	seen := map[string]bool{}
	for range 3 {
		get(t, signin.User(o))
		data, err := os.ReadFile(name)
		if err != nil || !strings.HasPrefix(string(data), "0.refresh-token-renewed-") || seen[string(data)] {
			t.Fatalf("the file holds %q, %v", data, err)
		}
		seen[string(data)] = true
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v; want 0600", info.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(name)); err != nil || len(entries) != 1 {
		t.Errorf("beside the file there are %v, %v", entries, err)
	}
	if age, _, err := signin.Age(o.RefreshToken, time.Now()); err != nil || age > time.Hour {
		t.Errorf("age %s, %v; want none", age, err)
	}
	if w.log.Len() > 0 {
		t.Errorf("log: %s", &w.log)
	}
}

func TestARefreshTokenOfTheEnvironmentCannotBeKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.RefreshOnce()
	tokens := signin.User(w.options())
	for range 3 { // in this process the renewed one goes on
		get(t, tokens)
		w.now = w.now.Add(time.Hour)
	}
	if text := w.log.String(); strings.Count(text, "cannot be kept") != 1 || !strings.Contains(text, "REFRESH") || strings.Contains(text, "refresh-token-") {
		t.Errorf("log: %s", text)
	}
	if _, known, err := signin.Age(secret.Source{Env: "REFRESH"}, w.now); known || err != nil {
		t.Errorf("an age is known, %v", err)
	}
}

func TestAWarningComesBeforeTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options()
	name := w.inFile(t, &o)
	for days, want := range map[int]string{0: "", 74: "", 75: "for 75 days: it ends on its 90th day", 89: "for 89 days: it ends", 90: "for 90 days: a person must sign in again"} {
		at := w.now.Add(-time.Duration(days) * 24 * time.Hour)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
		if got := signin.Warning(o.RefreshToken, w.now); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("after %d days: got %q, want %q", days, got, want)
		}
	}
	if got := signin.Warning(secret.Source{Env: "REFRESH"}, w.now); got != "" {
		t.Errorf("of the environment: got %q", got)
	}
	if _, _, err := signin.Age(secret.Source{File: name + "-none"}, w.now); !errors.Is(err, secret.ErrMissing) {
		t.Errorf("of no file: got %v", err)
	}
}

// Where no new one comes, or none can be kept, the log says so in time, and not at
// each sign-in.
func TestTheLogWarnsOnceADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options()
	name := w.inFile(t, &o)
	at := w.now.Add(-74*24*time.Hour - time.Minute)
	if err := os.Chtimes(name, at, at); err != nil {
		t.Fatal(err)
	}
	tokens := signin.User(o)
	for range 26 {
		w.Fail("/token", microsofttest.Text(`{"token_type":"Bearer","expires_in":3599,"access_token":"AccessTokenValue"}`))
		get(t, tokens)
		w.now = w.now.Add(2 * time.Hour)
	}
	if n := strings.Count(w.log.String(), "it ends on its 90th day"); n != 2 {
		t.Errorf("in two days it was said %d times, want 2: %s", n, &w.log)
	}
}

func TestANewRefreshTokenIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options()
	name := w.inFile(t, &o)
	tokens := signin.User(o)
	get(t, tokens)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	w.RevokeRefreshTokens()
	w.now = w.now.Add(time.Hour)
	if _, err := tokens.Token(t.Context(), scope); !errors.Is(err, signin.ErrPerson) {
		t.Fatalf("got %v, want a person to act", err)
	}
	if now, err := os.ReadFile(name); err != nil || !bytes.Equal(now, data) {
		t.Errorf("a refusal changed the file to %q, %v", now, err)
	}
	w.AddRefreshToken("0.refresh-token-two")
	if err := os.WriteFile(name, []byte("0.refresh-token-two"), 0o600); err != nil {
		t.Fatal(err)
	}
	get(t, tokens)
}

func TestAFileThatCannotBeReplacedIsSaidSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options()
	name := w.inFile(t, &o)
	w.Fail("/token", func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if err := os.RemoveAll(filepath.Dir(name)); err != nil {
			t.Error(err)
		}
		next.ServeHTTP(rw, r)
	})
	get(t, signin.User(o)) // the token is as good as any
	if text := w.log.String(); !strings.Contains(text, "cannot be kept") || strings.Contains(text, "refresh-token-renewed") {
		t.Errorf("log: %s", text)
	}
}

func TestWhatARefusalMeans(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		user    bool
		change  func(w *world, o *signin.Options)
		says    []string
		person  bool
		signIns int
	}{
		{"a wrong secret", false, func(w *world, _ *signin.Options) { w.env["SECRET"] = "wrong-secret" },
			[]string{"sign in as application " + microsofttest.ClientID + " in tenant " + microsofttest.Tenant, "AADSTS7000215", "take its value, not its id", "correlation id correlation-of-the-fake"}, true, 1},
		{"a wrong tenant", false, func(_ *world, o *signin.Options) { o.Tenant = "example.com" }, []string{"AADSTS90002", "look at tenant"}, true, 1},
		{"a wrong client", false, func(_ *world, o *signin.Options) { o.Client = "nobody" }, []string{"AADSTS700016", "look at client and tenant"}, true, 1},
		{"a stale refresh token", true, func(w *world, _ *signin.Options) { w.RevokeRefreshTokens() },
			[]string{"with the user's refresh token", "AADSTS700082", "a person must sign in again"}, true, 1},
		{"conditional access", true, refuse(400, "interaction_required", "AADSTS53003: Access has been blocked by Conditional Access policies."),
			[]string{"AADSTS53003: Access has been blocked", "an administrator of the tenant must allow"}, true, 1},
		{"consent", true, refuse(400, "invalid_grant", "AADSTS65001: The user or administrator has not consented to use the application."),
			[]string{"AADSTS65001", "Grant admin consent"}, true, 1},
		{"a code that nobody knows", true, refuse(400, "invalid_grant", "AADSTS999999999: Something new."), []string{"AADSTS999999999: Something new.", "a person must sign in again"}, true, 1},
		{"no code at all", false, refuse(400, "invalid_client", "No."), []string{"invalid_client: No.", "look at client"}, true, 1},

		{"no secret configured", false, func(_ *world, o *signin.Options) { o.Secret = secret.Source{} }, []string{"neither a secret nor a certificate"}, false, 0},
		{"the secret is not there", false, func(w *world, _ *signin.Options) { delete(w.env, "SECRET") }, []string{"the application's secret", "environment variable SECRET"}, false, 0},
		{"no refresh token configured", true, func(_ *world, o *signin.Options) { o.RefreshToken = secret.Source{} }, []string{"no refresh token of a user is configured"}, false, 0},
		{"the refresh token is not there", true, func(w *world, _ *signin.Options) { delete(w.env, "REFRESH") }, []string{"the user's refresh token", "environment variable REFRESH"}, false, 0},
		{"plain http elsewhere", false, func(_ *world, o *signin.Options) { o.Login = "http://login.example.com" }, []string{"plain http is for this machine alone"}, false, 0},
		{"a login that is no address", false, func(_ *world, o *signin.Options) { o.Login = "login.microsoftonline.com" }, []string{"want one such as https://login.microsoftonline.com"}, false, 0},

		{"down for good", false, func(w *world, _ *signin.Options) {
			w.Fail("/token", microsofttest.Status(503), microsofttest.Status(502), microsofttest.HangUp(), microsofttest.Status(500), microsofttest.Status(500))
		}, []string{"the sign-in service answered 500"}, false, 4},
		{"an error page with 200", false, func(w *world, _ *signin.Options) {
			page := microsofttest.Page("Service unavailable")
			w.Fail("/token", page, page, page, page)
		}, []string{"answered with something that is no token: look at the login address"}, false, 4},
		{"another server", false, func(_ *world, o *signin.Options) { o.Login += "/elsewhere/and" }, []string{"the sign-in service answered 404", "look at the login address"}, false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			o := w.options()
			tt.change(w, &o)
			tokens := signin.App(o)
			if tt.user {
				tokens = signin.User(o)
			}
			_, err := tokens.Token(t.Context(), scope)
			if err == nil {
				t.Fatal("got a token")
			}
			for _, part := range tt.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v\ndoes not say %q", err, part)
				}
			}
			if errors.Is(err, signin.ErrPerson) != tt.person {
				t.Errorf("that a person must act is %t, want %t", !tt.person, tt.person)
			}
			if n := w.signIns(); n != tt.signIns {
				t.Errorf("asked %d times, want %d", n, tt.signIns)
			}
			for _, s := range []string{"wrong-secret", microsofttest.ClientSecret, microsofttest.RefreshToken, "Trace ID", "<html>"} {
				if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), s) {
					t.Errorf("the error shows %q: %v", s, err)
				}
			}
		})
	}
}

func refuse(status int, code, description string) func(*world, *signin.Options) {
	return func(w *world, _ *signin.Options) {
		w.RefuseSignIns(&microsofttest.Refusal{Status: status, Code: code, Description: description})
	}
}

func TestSigningInWaitsAsToldAndTriesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Fail("/token", microsofttest.Throttle("17"), microsofttest.Status(503))
	get(t, signin.User(w.options()))
	if got := fmt.Sprint(w.waited); got != "[17s 2s]" {
		t.Errorf("waited %s", got)
	}
	w.Fail("/token", microsofttest.Throttle("3600"))
	if _, err := signin.User(w.options()).Token(t.Context(), scope); err == nil || len(w.waited) != 2 {
		t.Errorf("got %v after waiting %v, want no wait of an hour", err, w.waited)
	}
}

// Not every stand-in describes itself.
func TestAServerThatOnlyGivesTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Bare()
	get(t, signin.App(w.options()))
	get(t, signin.User(w.options()))
	// As the pages print it: an id_token that is none, numbers in quotes.
	w.Fail("/token", microsofttest.Text("\ufeff"+`{"token_type":"Bearer","expires_in":"3599","expires_on":"1999999999","access_token":"AccessTokenValue","refresh_token":"RefreshTokenValue","id_token":"IDTokenValue"}`))
	if token := get(t, signin.User(w.options())); token != "AccessTokenValue" {
		t.Errorf("got %s", token)
	}
}

func TestACertificateInTheSecretsPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "calends"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	w.Trust(certificate)
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})...)
	name := filepath.Join(t.TempDir(), "app.pem")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	o := w.options()
	if _, err := signin.App(o).Token(t.Context(), scope); err == nil || !strings.Contains(err.Error(), "AADSTS700027") {
		t.Errorf("a secret in the certificate's place: got %v", err)
	}
	o.Certificate, o.Secret = secret.Source{File: name}, secret.Source{}
	get(t, signin.App(o))
	get(t, signin.User(o))

	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := signin.App(o).Token(t.Context(), scope); err == nil || !strings.Contains(err.Error(), "the application's certificate in file "+name) {
		t.Errorf("a certificate without its key: got %v", err)
	}
}

func TestSigningInCanBeCalledOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := signin.App(w.options()).Token(ctx, scope); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
