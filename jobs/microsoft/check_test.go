package microsoft_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs/microsoft"
	"github.com/calends/calends/jobs/microsoft/microsofttest"
	"github.com/calends/calends/jobs/secret"
	"github.com/calends/calends/pricing"
)

// checked is a world in which everything is there.
type checked struct {
	*world
	o   microsoft.Options
	env map[string]string
}

func newChecked(t *testing.T) *checked {
	t.Helper()
	w := newWorld(t)
	microsofttest.AddExports(w.Server)
	partners := microsofttest.AddPartners(w.Server)
	partners.Put("c1", `{"id":"s1"}`, `{"id":"s2"}`)
	w.PutSheet("DE", "current", "", sheet)
	w.PutFX("202610", rates)
	w.PutOfferMatrix("202610", matrix)
	w.PutPromotions("DE", "commercial", promotion("A"))
	c := &checked{world: w, o: w.Client.Options(), env: map[string]string{"SECRET": microsofttest.ClientSecret}}
	name := filepath.Join(t.TempDir(), "refresh-token")
	if err := os.WriteFile(name, []byte(microsofttest.RefreshToken), 0o600); err != nil {
		t.Fatal(err)
	}
	c.o.RefreshToken = secret.Source{File: name}
	c.age(t, 3)
	return c
}

// age makes the refresh token as many days old.
func (c *checked) age(t *testing.T, days int) {
	t.Helper()
	at := c.now.Add(-time.Duration(days) * 24 * time.Hour)
	if err := os.Chtimes(c.o.RefreshToken.File, at, at); err != nil {
		t.Fatal(err)
	}
}

func (c *checked) check(t *testing.T) (microsoft.CheckResult, map[string]microsoft.CheckStep) {
	t.Helper()
	s := microsoft.Surroundings{
		Lookup: func(name string) (string, bool) { v, ok := c.env[name]; return v, ok },
		Now:    func() time.Time { return c.now },
		Wait:   c.Web.Wait,
	}
	got, err := microsoft.Check(t.Context(), c.o, s, pricing.DateOf(2026, 10, 15), nil)
	if err != nil {
		t.Fatal(err)
	}
	steps := make(map[string]microsoft.CheckStep)
	for _, s := range got.Steps {
		steps[s.Step] = s
		for _, secret := range []string{microsofttest.ClientSecret, microsofttest.RefreshToken, "access-token-", "refresh-token-renewed"} {
			if strings.Contains(fmt.Sprintf("%+v", s), secret) {
				t.Errorf("%+v shows %s", s, secret)
			}
		}
	}
	return got, steps
}

func TestCheckFindsNothingMissing(t *testing.T) {
	t.Parallel()
	c := newChecked(t)
	got, _ := c.check(t)
	var names []string
	for _, s := range got.Steps {
		names = append(names, s.Step)
		if s.State != microsoft.StateOK || s.Reason == "" || s.Advice != "" {
			t.Errorf("got %+v", s)
		}
	}
	want := "configuration, secret, refresh token, sign in as application, sign in with user, prices DE, exchange rates, offer matrix, " +
		"promotions DE commercial, subscriptions, audit records, invoices, reconciliation"
	if strings.Join(names, ", ") != want || got.Failed != 0 || got.Missing {
		t.Errorf("got %s, %d failed\nwant %s", strings.Join(names, ", "), got.Failed, want)
	}
}

// A price sheet has tens of megabytes; a check wants to know whether it is there.
func TestCheckFetchesNoFile(t *testing.T) {
	t.Parallel()
	c := newChecked(t)
	sent := make(chan int, 1)
	c.Fail("/sales/pricesheets", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		n, row := 0, []byte(strings.Repeat(sheet, 100))
		for n < 1<<28 {
			m, err := w.Write(row)
			if n += m; err != nil {
				break
			}
		}
		sent <- n
	})
	if got, steps := c.check(t); got.Failed > 0 {
		t.Errorf("got %+v", steps)
	}
	if n := <-sent; n >= 1<<28 {
		t.Error("the whole file was fetched")
	}
	if c.Count("/export") > 0 {
		t.Error("an export was made")
	}
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		change  func(t *testing.T, c *checked)
		step    string
		state   microsoft.State
		says    string // reason and advice
		skipped string
		missing bool
	}{
		{"a setting", func(_ *testing.T, c *checked) { c.o.Tenant = "" }, "configuration", microsoft.StateFailed, "tenant is missing", "", true},
		{"markets", func(_ *testing.T, c *checked) { c.o.Markets = nil }, "configuration", microsoft.StateWarning, "no markets", "", false},
		{"the secret", func(_ *testing.T, c *checked) { delete(c.env, "SECRET") }, "secret", microsoft.StateFailed, "environment variable SECRET is empty or not there; make one", "", true},
		{"the certificate", func(t *testing.T, c *checked) {
			c.o.Secret, c.o.Certificate = secret.Source{}, secret.Source{File: filepath.Join(t.TempDir(), "none.pem")}
		}, "certificate", microsoft.StateFailed, "none.pem is empty or not there", "", true},
		{"the refresh token", func(_ *testing.T, c *checked) { c.o.RefreshToken = secret.Source{} }, "refresh token", microsoft.StateSkipped, "cannot be imported; sign in once", "prices DE", false},
		{"the refresh token's file", func(t *testing.T, c *checked) { c.o.RefreshToken.File += "-elsewhere" }, "refresh token", microsoft.StateFailed, "is empty or not there; sign in once", "", true},
		{"a place to keep the refresh token", func(_ *testing.T, c *checked) {
			c.o.RefreshToken = secret.Source{Env: "REFRESH"}
			c.env["REFRESH"] = microsofttest.RefreshToken
		}, "refresh token", microsoft.StateWarning, "ends 90 days after it was issued; keep it in a file", "", false},
		{"use of the refresh token", func(t *testing.T, c *checked) { c.age(t, 76) }, "refresh token", microsoft.StateWarning, "has not been renewed for 76 days: it ends on its 90th day; nothing has used it", "", false},

		{"the right secret", func(_ *testing.T, c *checked) { c.env["SECRET"] = "another-secret" }, "sign in as application", microsoft.StateFailed, "AADSTS7000215: Invalid client secret provided: '***'. (correlation id correlation-of-the-fake); the application's secret is wrong", "subscriptions", false},
		{"a refresh token that holds", func(_ *testing.T, c *checked) { c.RevokeRefreshTokens() }, "sign in with user", microsoft.StateFailed, "a person must sign in again", "exchange rates", false},
		{"the sign-in service", func(_ *testing.T, c *checked) { c.o.Endpoints.Login = "http://127.0.0.1:1" }, "sign in as application", microsoft.StateFailed, "no answer from the sign-in service", "audit records", false},
		{"consent", func(_ *testing.T, c *checked) {
			c.RefuseSignIns(&microsofttest.Refusal{Status: 400, Code: "invalid_grant", Description: "AADSTS65001: No consent."})
		}, "sign in with user", microsoft.StateFailed, "AADSTS65001: No consent. (correlation id correlation-of-the-fake); consent is missing", "prices DE", false},

		{"the user's role", forbid("/sales/pricesheets", 403), "prices DE", microsoft.StateFailed, "403 Forbidden (correlation id correlation-of-the-fake, request id request-of-the-fake); make the user an Admin Agent", "", false},
		{"the user's role, told in another way", forbid("/sales/fxrates", 400), "exchange rates", microsoft.StateFailed, "400 Bad Request", "", false},
		{"the market", func(_ *testing.T, c *checked) { c.o.Markets = []string{"FR"} }, "prices FR", microsoft.StateFailed, "look at the market", "", false},
		{"the right place", func(_ *testing.T, c *checked) { c.Fail("/offermatrix", microsofttest.Page("Welcome to the proxy")) }, "offer matrix", microsoft.StateFailed, `it is a web page: "Welcome to the proxy"; look at the endpoint`, "", false},
		{"rates of the month", func(_ *testing.T, c *checked) { c.Fail("/fxrates", microsofttest.Status(404)) }, "exchange rates", microsoft.StateOK, "2026-10 has none yet", "", false},
		{"the application in Partner Center", forbid("/customers", 403), "subscriptions", microsoft.StateFailed, "App management", "", false},
		{"the permission of audit records", forbid("/auditrecords", 401, 401), "audit records", microsoft.StateFailed, "401 Unauthorized", "", false},
		{"customers", func(_ *testing.T, c *checked) { c.Fail("/customers", microsofttest.Text(`{"items":[]}`)) }, "subscriptions", microsoft.StateOK, "no customers yet", "", false},
		{"Graph's permission", forbid("/billing/operations", 403), "reconciliation", microsoft.StateFailed, "PartnerBilling.Read.All", "", false},
		{"Graph", func(_ *testing.T, c *checked) {
			c.Fail("/billing/operations", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				w.WriteHeader(http.StatusNotFound)
				_, _ = w.Write([]byte("<html>no such page</html>"))
			})
		}, "reconciliation", microsoft.StateFailed, "look at the endpoint", "", false},
		{"health", func(_ *testing.T, c *checked) {
			c.Fail("/invoices", microsofttest.Status(503), microsofttest.Status(503), microsofttest.Status(503))
		}, "invoices", microsoft.StateFailed, "gave up after 2 attempts", "", false},
		{"patience", func(_ *testing.T, c *checked) { c.Fail("/productpromotions", microsofttest.Throttle("600")) }, "promotions DE commercial", microsoft.StateFailed, "wait, then check again", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newChecked(t)
			tt.change(t, c)
			got, steps := c.check(t)
			s := steps[tt.step]
			if s.State != tt.state || !strings.Contains(s.Reason+"; "+s.Advice, tt.says) {
				t.Errorf("got %+v\nwant %s: %s", s, tt.state, tt.says)
			}
			if tt.state == microsoft.StateFailed && (got.Failed == 0 || s.Advice == "") {
				t.Errorf("%d failed, with the advice %q", got.Failed, s.Advice)
			}
			if tt.skipped != "" && steps[tt.skipped].State != microsoft.StateSkipped {
				t.Errorf("got %+v, want it skipped", steps[tt.skipped])
			}
			if got.Missing != tt.missing {
				t.Errorf("missing is %t", got.Missing)
			}
		})
	}
}

func forbid(part string, codes ...int) func(*testing.T, *checked) {
	return func(_ *testing.T, c *checked) {
		for _, code := range codes {
			c.Fail(part, microsofttest.Status(code))
		}
	}
}
