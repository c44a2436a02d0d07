package microsoft

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/calends/calends/jobs/microsoft/signin"
	"github.com/calends/calends/jobs/microsoft/web"
	"github.com/calends/calends/jobs/secret"
	"github.com/calends/calends/pricing"
)

// State is how a step of a check ended.
type State string

// The states.
const (
	StateOK      State = "ok"
	StateWarning State = "warning" // it works, and will not for ever
	StateFailed  State = "failed"
	StateSkipped State = "skipped" // it cannot be tried, or is not wanted
)

// CheckStep is one step of a check.
type CheckStep struct {
	Step   string `json:"step"`
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"` // what was found
	Advice string `json:"advice,omitempty"` // what to do, if anything
}

// CheckResult is what a check found, step by step.
type CheckResult struct {
	Steps  []CheckStep `json:"steps"`
	Failed int         `json:"failed"`
	// Missing is set where the first failure is something that a person has not
	// given yet: a setting, a secret.
	Missing bool `json:"missing"`
}

// checkLimits bound how long a person waits for a service that is down.
const (
	checkAttempts = 2
	checkPatience = 30 * time.Second
)

// Check tries everything that imports need, in the order in which one needs the
// other, and says what is missing and what to do about it. No file is fetched, only
// how it begins, and nothing is changed but a refresh token, which each sign-in
// renews. progress is told of each step before it is tried; it may be nil.
func Check(ctx context.Context, o Options, s Surroundings, today pricing.Date, progress func(step string)) (CheckResult, error) {
	if progress == nil {
		progress = func(string) {}
	}
	if s.Lookup == nil {
		s.Lookup = os.LookupEnv
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	s.Attempts, s.Patience = checkAttempts, checkPatience
	c := &check{o: o, s: s, progress: progress}
	if c.given() {
		c.client = NewClient(o, s)
		defer c.client.Close()
		c.signIns(ctx)
		c.files(ctx, today)
		c.partner(ctx, today)
	}
	return c.result, ctx.Err()
}

type check struct {
	o        Options
	s        Surroundings
	progress func(string)
	client   *Client
	result   CheckResult

	app, user bool // whether they could sign in
}

func (c *check) add(step CheckStep) {
	c.result.Steps = append(c.result.Steps, step)
	if step.State == StateFailed {
		c.result.Failed++
	}
}

// missing is a failure that a person's input ends.
func (c *check) missing(step, reason, advice string) {
	c.result.Missing = c.result.Missing || c.result.Failed == 0
	c.add(CheckStep{step, StateFailed, reason, advice})
}

// given looks at what needs no network, and reports whether to go on.
func (c *check) given() bool {
	c.progress("configuration")
	if err := c.o.Validate(); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			c.missing("configuration", line, "write it under microsoft in calends.yaml; calends.example.yaml shows every key")
		}
		return false
	}
	reason := fmt.Sprintf("tenant %s, client %s", c.o.Tenant, c.o.Client)
	switch len(c.o.Markets) {
	case 0:
		c.add(CheckStep{"configuration", StateWarning, reason + ", no markets", "list the markets whose prices are wanted under microsoft: markets"})
	default:
		c.add(CheckStep{"configuration", StateOK, reason + ", markets " + strings.Join(c.o.Markets, " "), ""})
	}
	proof, name := c.o.Secret, "secret"
	if !c.o.Certificate.IsZero() {
		proof, name = c.o.Certificate, "certificate"
	}
	c.progress(name)
	good := c.secret(name, proof, "make one in the Entra admin center (App registrations, Certificates & secrets) and store it there")
	if c.o.RefreshToken.IsZero() {
		c.add(CheckStep{"refresh token", StateSkipped, "none is configured: prices, exchange rates and the offer matrix cannot be imported",
			"sign in once as an Admin Agent or a Sales Agent and name the token under microsoft: refreshToken"})
		return good
	}
	c.progress("refresh token")
	if !c.readable("refresh token", c.o.RefreshToken, signInAdvice) {
		return false
	}
	c.age()
	return good
}

const signInAdvice = "sign in once as an Admin Agent or a Sales Agent, with multi-factor authentication, and store the refresh token there"

func (c *check) secret(step string, source secret.Source, advice string) bool {
	if !c.readable(step, source, advice) {
		return false
	}
	c.add(CheckStep{step, StateOK, "in " + source.String(), ""})
	return true
}

func (c *check) readable(step string, source secret.Source, advice string) bool {
	_, err := source.Read(c.s.Lookup)
	switch {
	case errors.Is(err, secret.ErrMissing):
		c.missing(step, source.String()+" is empty or not there", advice)
	case err != nil:
		c.add(CheckStep{step, StateFailed, err.Error(), "make it readable for whoever runs calends"})
	}
	return err == nil
}

// age looks how long the refresh token still holds, if that can be known.
func (c *check) age() {
	where := "in " + c.o.RefreshToken.String()
	age, known, err := signin.Age(c.o.RefreshToken, c.s.Now())
	warning := signin.Warning(c.o.RefreshToken, c.s.Now())
	switch {
	case err != nil:
		c.add(CheckStep{"refresh token", StateFailed, err.Error(), "make its folder readable for whoever runs calends"})
	case !known:
		c.add(CheckStep{"refresh token", StateWarning, where + ": a renewed one cannot be kept there, so it ends 90 days after it was issued",
			"keep it in a file that calends may replace: then it renews itself"})
	case warning != "":
		c.add(CheckStep{"refresh token", StateWarning, warning,
			"nothing has used it since: signing in, as the next steps do, renews it where its file can be replaced"})
	default:
		c.add(CheckStep{"refresh token", StateOK, fmt.Sprintf("%s, renewed %d days ago", where, int(age/(24*time.Hour))), ""})
	}
}

func (c *check) signIns(ctx context.Context) {
	c.app = c.signIn(ctx, "sign in as application", c.client.App, c.client.graph("").Scope)
	if c.o.RefreshToken.IsZero() {
		c.add(CheckStep{"sign in with user", StateSkipped, "no refresh token is configured", ""})
		return
	}
	c.user = c.signIn(ctx, "sign in with user", c.client.User, c.client.prices("").Scope)
}

func (c *check) signIn(ctx context.Context, step string, tokens *signin.Tokens, scope string) bool {
	c.progress(step)
	_, err := tokens.Token(ctx, scope)
	if err == nil {
		c.add(CheckStep{step, StateOK, "a token for " + strings.TrimSuffix(scope, "/.default"), ""})
		return true
	}
	result := CheckStep{step, StateFailed, err.Error(), "look at the network, the proxy and endpoints: login"}
	var said *signin.Error
	if errors.As(err, &said) && said.Advice != "" {
		result.Advice = said.Advice
		result.Reason = strings.TrimSuffix(result.Reason, "; "+said.Advice)
	}
	c.add(result)
	return false
}

const (
	pricesAdvice = "make the user an Admin Agent or a Sales Agent in Partner Center, and grant the application the delegated permission user_impersonation of the API Microsoft Partner (4990cffe-04e8-4e8b-808a-1175604b879f)"
	centerAdvice = "grant the application the permission user_impersonation of the API Microsoft Partner Center (fa3d9a0c-3fb0-42cc-9193-47c7ecd2edbd), and register it in Partner Center (Account settings, App management); or set identity: user"
	graphAdvice  = "grant the application the permission PartnerBilling.Read.All of Microsoft Graph, with an administrator's consent"
)

// files looks at how each file begins.
func (c *check) files(ctx context.Context, today pricing.Date) {
	w := Want{Month: today.Month(), Today: today}
	type file struct{ step, path string }
	var files []file
	for _, m := range c.o.Markets {
		path, err := sheetPath(m, w)
		if err != nil {
			c.add(CheckStep{"prices " + m, StateFailed, err.Error(), ""})
			continue
		}
		files = append(files, file{"prices " + m, path})
	}
	month := w.Month.Compact()
	files = append(files, file{"exchange rates", "/v1.0/sales/fxrates(Month='" + month + "')/$value"},
		file{"offer matrix", "/v1.0/sales/offermatrix(Month='" + month + "')/$value"})
	for _, f := range files {
		c.step(ctx, f.step, c.user, "with user", pricesAdvice, func() (string, error) {
			r := c.client.prices(f.path)
			r.Header = map[string][]string{"Accept-Encoding": {"deflate"}}
			a, err := c.client.Web.Peek(ctx, r, 1<<10)
			if errors.Is(err, web.ErrNotFound) && !strings.HasPrefix(f.step, "prices") {
				return "may be asked for; " + w.Month.String() + " has none yet", nil
			}
			if err != nil {
				return "", err
			}
			if !packed(a.Body) {
				if err := web.CheckHead(a.Body); err != nil {
					return "", fmt.Errorf("%s: %w", web.Redact(r.URL), err)
				}
			}
			return "there for " + w.Month.String(), nil
		})
	}
}

func packed(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK")) || bytes.HasPrefix(head, []byte("\x1f\x8b"))
}

// partner looks at Partner Center's lists, one element of each, and at Graph.
func (c *check) partner(ctx context.Context, today pricing.Date) {
	can, who := c.app, "as application"
	if c.o.Identity == "user" {
		can, who = c.user, "with user"
	}
	segments := c.o.Segments
	if len(segments) == 0 {
		segments = knownSegments[:1]
	}
	for _, m := range c.o.Markets {
		for _, segment := range segments {
			path := "/v1/productpromotions?country=" + m + "&segment=" + strings.ToLower(segment)
			c.step(ctx, "promotions "+m+" "+segment, can, who, centerAdvice, func() (string, error) {
				n, _, err := c.first(ctx, path)
				return counted(n, "promotion"), err
			})
		}
	}
	c.step(ctx, "subscriptions", can, who, centerAdvice, func() (string, error) {
		_, id, err := c.first(ctx, "/v1/customers?size=1")
		if err != nil || id == "" {
			return "no customers yet", err
		}
		n, _, err := c.first(ctx, "/v1/customers/"+url.PathEscape(id)+"/subscriptions")
		return counted(n, "subscription") + " of the first customer", err
	})
	c.step(ctx, "audit records", can, who, centerAdvice, func() (string, error) {
		_, _, err := c.first(ctx, auditPath(Window{From: today, To: today}, "Subscription"))
		return "may be asked for", err
	})
	c.step(ctx, "invoices", can, who, centerAdvice, func() (string, error) {
		_, _, err := c.first(ctx, "/v1/invoices?size=1&offset=0")
		return "may be asked for", err
	})
	c.step(ctx, "reconciliation", can, who, graphAdvice, func() (string, error) {
		// To ask for an export would make one. Who may not gets 403; who may is told
		// that there is no such operation, or none any more.
		_, err := c.client.Web.Do(ctx, c.client.graph("/v1.0/reports/partners/billing/operations/00000000-0000-0000-0000-000000000000"))
		var said *web.Error
		if errors.As(err, &said) && (said.Status == http.StatusNotFound || said.Status == http.StatusGone) && !said.Page {
			err = nil
		}
		return "may be asked for", err
	})
}

// first asks for the first page of a collection, and returns how many elements it
// has and the id of the first.
func (c *check) first(ctx context.Context, path string) (n int, id string, err error) {
	r := c.client.partnerCenter(path)
	var page collection
	if err := c.client.Web.JSON(ctx, r, &page); err != nil {
		return 0, "", err
	}
	if page.Items == nil {
		return 0, "", fmt.Errorf("%s: %w", web.Redact(r.URL), errNoCollection)
	}
	if n = len(*page.Items); n > 0 {
		var has struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal((*page.Items)[0], &has); err != nil {
			return 0, "", fmt.Errorf("%s: %w", web.Redact(r.URL), notData(err))
		}
		id = has.ID
	}
	return n, id, nil
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// step tries something, if it could sign in for it.
func (c *check) step(ctx context.Context, name string, can bool, who, advice string, try func() (string, error)) {
	if !can {
		c.add(CheckStep{name, StateSkipped, "could not sign in " + who, ""})
		return
	}
	if ctx.Err() != nil {
		return
	}
	c.progress(name)
	found, err := try()
	if err == nil {
		c.add(CheckStep{name, StateOK, found, ""})
		return
	}
	result := CheckStep{name, StateFailed, err.Error(), ""}
	var said *web.Error
	var refused *signin.Error
	switch {
	case errors.As(err, &refused):
		result.Advice = refused.Advice
		result.Reason = strings.TrimSuffix(result.Reason, "; "+refused.Advice)
	case errors.Is(err, web.ErrUnauthorized), errors.Is(err, web.ErrForbidden), errors.As(err, &said) && said.Status == http.StatusBadRequest:
		result.Advice = advice
	case errors.Is(err, web.ErrNotFound) && strings.HasPrefix(name, "prices"):
		result.Advice = "look at the market, whether the partner sells there, and at the endpoint"
	case errors.Is(err, web.ErrThrottled):
		result.Advice = "wait, then check again"
	case errors.As(err, &said) && said.Status >= 500:
		result.Advice = "the service is not well: check again later"
	case errors.Is(err, web.ErrNotData), errors.Is(err, web.ErrNotFound):
		result.Advice = "look at the endpoint, and at what stands between here and there: a proxy, a sign-in page"
	default:
		result.Advice = "look at the network, the proxy and the endpoint"
	}
	c.add(result)
}
