package web_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/calends/calends/jobs/microsoft/web"
)

// clock is a machine's clock on which waiting takes no time.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	waited []time.Duration
}

func newClock() *clock { return &clock{now: time.Date(2026, 10, 1, 4, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.waited = append(c.waited, d)
	return ctx.Err()
}

func (c *clock) waits() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Trim(fmt.Sprint(c.waited), "[]")
}

// tokens are secret-1, and after each refusal the next.
type tokens struct {
	n       atomic.Int32
	refused atomic.Int32
}

func (t *tokens) Token(context.Context, string) (string, error) {
	return fmt.Sprintf("secret-token-%d", t.n.Load()+1), nil
}

func (t *tokens) Refused(string, string) { t.n.Add(1); t.refused.Add(1) }

type service struct {
	*httptest.Server
	asked atomic.Int32
}

// serve answers with steps, one a request; the last one stays.
func serve(t *testing.T, steps ...http.HandlerFunc) *service {
	t.Helper()
	s := new(service)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(s.asked.Add(1))
		steps[min(n, len(steps))-1](w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

func text(code int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status(code, headers...)(w, r)
		_, _ = io.WriteString(w, body)
	}
}

// half promises more than it brings.
func half(body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(2*len(body)))
		status(200, headers...)(w, r)
		_, _ = io.WriteString(w, body)
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func newClient(c *clock, o web.Options) *web.Client {
	if o.Tokens == nil {
		o.Tokens = new(tokens)
	}
	o.Now, o.Wait = c.Now, c.Wait
	if o.NewID == nil {
		o.NewID = func() string { return "our-id" }
	}
	return web.New(o)
}

const good = `{"value":"yes"}`

func TestWhatPassesIsTriedAgain(t *testing.T) {
	t.Parallel()
	ok := text(200, good)
	for _, tt := range []struct {
		name  string
		steps []http.HandlerFunc
		waits string
	}{
		{"at once", []http.HandlerFunc{ok}, ""},
		{"throttled, with seconds", []http.HandlerFunc{status(429, "Retry-After", "57"), ok}, "57s"},
		{"throttled, until a date", []http.HandlerFunc{status(429, "Retry-After", "Thu, 01 Oct 2026 04:02:00 GMT"), ok}, "2m0s"},
		{"throttled, until a date that is over", []http.HandlerFunc{status(429, "Retry-After", "Thu, 01 Oct 2026 03:02:00 GMT"), ok}, "1s"},
		{"throttled, without a word", []http.HandlerFunc{status(429), status(429), status(429), ok}, "1s 2s 4s"},
		{"throttled more often than errors may happen", []http.HandlerFunc{status(429), status(429), status(429), status(429), status(429), status(429), status(429), ok}, "1s 2s 4s 8s 16s 32s 1m0s"},
		{"a time that means nothing", []http.HandlerFunc{status(429, "Retry-After", "soon"), ok}, "1s"},

		{"busy, with a time", []http.HandlerFunc{status(503, "Retry-After", "9"), ok}, "9s"},
		{"500, 502, 504", []http.HandlerFunc{status(500), status(502), status(504), ok}, "1s 2s 4s"},
		{"408", []http.HandlerFunc{status(408), ok}, "1s"},
		{"hung up", []http.HandlerFunc{hangUp, hangUp, ok}, "1s 2s"},
		{"half an answer", []http.HandlerFunc{half(`{"value":`), ok}, "1s"},
		{"half a gzip", []http.HandlerFunc{text(200, packGzip(good)[:20], "Content-Encoding", "gzip"), ok}, "1s"},
		{"half a zip", []http.HandlerFunc{text(200, packZip(good)[:60]), ok}, "1s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			clock, server := newClock(), serve(t, tt.steps...)
			var got struct{ Value string }
			if err := newClient(clock, web.Options{}).GetJSON(t.Context(), server.URL, "scope", &got); err != nil || got.Value != "yes" {
				t.Errorf("got %q, %v; want yes", got.Value, err)
			}
			if clock.waits() != tt.waits {
				t.Errorf("waited %s, want %s", clock.waits(), tt.waits)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 1, 4, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"57": 57 * time.Second, " 1.5 ": 1500 * time.Millisecond, "Thu, 01 Oct 2026 04:02:00 GMT": 2 * time.Minute,
		"": 0, "0": 0, "-5": 0, "NaN": 0, "Inf": 0, "1e300": 0, "soon": 0, "Thu, 01 Oct 2026 03:00:00 GMT": 0,
	} {
		if got := web.RetryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestWhatDoesNotPass(t *testing.T) {
	t.Parallel()
	const page = "<!DOCTYPE html>\n<html><head><title>Sign in to your account</title></head></html>"
	for _, tt := range []struct {
		name  string
		step  http.HandlerFunc
		class error
		asked int32
		says  string
	}{
		{"not found", text(404, `{"code":2000,"description":"no such month","source":"PartnerFD"}`, "MS-CorrelationId", "c-1", "Request-ID", "r-1"), web.ErrNotFound, 1,
			"GET URL/x: 404 Not Found: 2000: no such month (correlation id c-1, request id r-1)"},
		{"forbidden by Graph", text(403, `{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges"}}`), web.ErrForbidden, 1,
			"GET URL/x: 403 Forbidden: Authorization_RequestDenied: Insufficient privileges"},
		{"a blob's XML", text(403, "\ufeff<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed.\nTime:2026</Message></Error>"), web.ErrForbidden, 1,
			"GET URL/x: 403 Forbidden: AuthenticationFailed: Server failed."},
		{"a sign-in error", text(400, `{"error":"invalid_grant","error_description":"AADSTS50173: expired"}`), nil, 1, "GET URL/x: 400 Bad Request: invalid_grant: AADSTS50173: expired"},
		{"plain words", text(400, "no\x1b[2J\nway"), nil, 1, "GET URL/x: 400 Bad Request: no [2J way"},
		{"not modified", status(304), web.ErrNotModified, 1, "GET URL/x: 304 Not Modified"},
		{"throttled for too long", status(429, "Retry-After", "7200"), web.ErrThrottled, 1,
			"GET URL/x: 429 Too Many Requests; gave up, for the next attempt is due in 2h0m0s only"},
		{"never well", status(500), nil, 5, "GET URL/x: 500 Internal Server Error; gave up after 5 attempts"},
		{"an error page with 200", text(200, page), web.ErrNotData, 1, `GET URL/x: the answer is no data: it is a web page: "Sign in to your account"`},
		{"an empty body", status(200), web.ErrNotData, 1, "GET URL/x: the answer is no data: it is empty"},
		{"other JSON", text(200, `[1]`), web.ErrNotData, 1, "GET URL/x: the answer is no data: not the JSON that was asked for: json: cannot unmarshal array into Go value of type struct { Value string }"},
		{"more than may be", text(200, `"`+strings.Repeat("a", 2000)+`"`), web.ErrTooLarge, 1, "GET URL/x: the answer is too large: more than 1000 bytes"},
		{"a bomb", text(200, packGzip(strings.Repeat("a", 1_000_000))), web.ErrTooLarge, 1, "GET URL/x: the answer is too large: more than 1000 bytes"},
		{"always half", half(`{"value":`), web.ErrIncomplete, 5, "GET URL/x: the answer breaks off after 9 bytes: unexpected EOF; gave up after 5 attempts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, tt.step)
			var got struct{ Value string }
			err := newClient(newClock(), web.Options{MaxBody: 1000}).GetJSON(t.Context(), server.URL+"/x", "scope", &got)
			if err == nil || strings.ReplaceAll(err.Error(), server.URL, "URL") != tt.says {
				t.Errorf("got  %v\nwant %s", err, tt.says)
			}
			if tt.class != nil && !errors.Is(err, tt.class) {
				t.Errorf("%v is not %v", err, tt.class)
			}
			if server.asked.Load() != tt.asked {
				t.Errorf("asked %d times, want %d", server.asked.Load(), tt.asked)
			}
		})
	}
}

func TestAnswersMayBePackedAnyWay(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]http.HandlerFunc{
		"gzip that says so":         text(200, packGzip(good), "Content-Encoding", "gzip"),
		"gzip that does not":        text(200, packGzip(good)),
		"zip":                       text(200, packZip(good), "Content-Encoding", "deflate"),
		"plain, said to be gzip":    text(200, good, "Content-Encoding", "gzip"),
		"plain, said to be deflate": text(200, good, "Content-Encoding", "deflate"),
		"with a byte-order mark":    text(200, "\ufeff"+good),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got struct{ Value string }
			if err := newClient(newClock(), web.Options{}).GetJSON(t.Context(), serve(t, step).URL, "scope", &got); err != nil || got.Value != "yes" {
				t.Errorf("got %q, %v", got.Value, err)
			}
		})
	}
}

func TestARefusedTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	check := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer secret-token-2" {
			text(200, good)(w, r)
			return
		}
		status(401)(w, r)
	}
	var got struct{ Value string }
	if err := newClient(newClock(), web.Options{}).GetJSON(t.Context(), serve(t, check).URL, "scope", &got); err != nil {
		t.Error(err)
	}
	mine, server := new(tokens), serve(t, status(401))
	err := newClient(newClock(), web.Options{Tokens: mine}).GetJSON(t.Context(), server.URL, "scope", &got)
	if !errors.Is(err, web.ErrUnauthorized) || server.asked.Load() != 2 || mine.refused.Load() != 1 {
		t.Errorf("got %v after %d requests and %d refusals, want unauthorised after 2 and 1", err, server.asked.Load(), mine.refused.Load())
	}
}

func TestRequestsSayWhoAsks(t *testing.T) {
	t.Parallel()
	var heads []http.Header
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		heads = append(heads, r.Header)
		status(500)(w, r)
	}, func(w http.ResponseWriter, r *http.Request) {
		heads = append(heads, r.Header)
		text(200, good)(w, r)
	})
	c := newClient(newClock(), web.Options{Version: "v1.2.3"})
	if _, err := c.Do(t.Context(), web.Request{URL: server.URL, Scope: "s"}); err != nil {
		t.Fatal(err)
	}
	for i, h := range heads {
		if h.Get("User-Agent") != "calends/v1.2.3" || h.Get("MS-RequestId") != "our-id" || h.Get("client-request-id") != "our-id" || h.Get("MS-CorrelationId") != "our-id" {
			t.Errorf("attempt %d: got headers %v", i+1, h)
		}
	}
	heads = nil
	if _, err := c.Do(t.Context(), web.Request{URL: server.URL}); err != nil {
		t.Fatal(err)
	}
	if h := heads[0]; h.Get("Authorization") != "" || h.Get("MS-RequestId") != "" {
		t.Errorf("a request without a scope has %v", h)
	}
}

// What authorises stands in no error, whoever repeats it.
func TestErrorsHideWhatAuthorises(t *testing.T) {
	t.Parallel()
	repeat := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		_, _ = fmt.Fprintf(w, `{"error":{"code":"bad","message":"%s at %s of %s"}}`, r.Header.Get("Authorization"), r.URL, r.URL.Query().Get("sig"))
	}
	for name, step := range map[string]http.HandlerFunc{"said again": repeat, "hung up": hangUp, "half": half("PK"), "a page": text(200, "<html>"),
		"sent away": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var into any
			address := serve(t, step).URL + "/blob?sv=2026-01-01&sig=very%2Bsecret%3D%3D&continuationToken=opaque-token&month=202610"
			err := newClient(newClock(), web.Options{}).GetJSON(t.Context(), address, "scope", &into)
			if err == nil {
				t.Fatal("no error")
			}
			var said *web.Error
			if !errors.As(err, &said) {
				t.Fatalf("%v is no *web.Error", err)
			}
			for _, secret := range []string{"secret-token-1", "very%2Bsecret", "very+secret", "opaque-token", "2026-01-01"} {
				if strings.Contains(err.Error(), secret) || strings.Contains(said.Message, secret) {
					t.Errorf("the error shows %s: %v", secret, err)
				}
			}
			if !strings.Contains(err.Error(), "/blob?sv=***&sig=***&continuationToken=***&month=202610") {
				t.Errorf("the error does not say what was asked for: %v", err)
			}
		})
	}
}

func TestPlainHTTPIsForThisMachine(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"http://api.partner.microsoft.com/x?sig=secret", "ftp://127.0.0.1/x?sig=secret", "/x?sig=secret", "http://[?sig=secret"} {
		_, err := newClient(newClock(), web.Options{}).Do(t.Context(), web.Request{URL: address, Scope: "s"})
		if err == nil || strings.Contains(err.Error(), "sig=secret") {
			t.Errorf("%s: got %v, want a refusal without the signature", address, err)
		}
	}
}

// Another port is another service.
func TestATokenStaysWhereItBelongs(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 4)
	note := func(then http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			seen <- r.Header.Get("Authorization")
			then(w, r)
		}
	}
	other := serve(t, note(text(200, good)))
	first := serve(t, note(status(307, "Location", "/moved")), note(status(307, "Location", other.URL)))
	if _, err := newClient(newClock(), web.Options{}).Do(t.Context(), web.Request{URL: first.URL, Scope: "s"}); err != nil {
		t.Fatal(err)
	}
	asked, moved, elsewhere := <-seen, <-seen, <-seen
	if asked == "" || moved != asked || elsewhere != "" {
		t.Errorf("authorised by %q, on the same host by %q, elsewhere by %q", asked, moved, elsewhere)
	}
}

func TestNoMoreAtATimeThanAllowed(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
		text(200, good)(w, r)
	})
	c := newClient(newClock(), web.Options{Concurrency: 3})
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			if _, err := c.Do(t.Context(), web.Request{URL: server.URL, Scope: "s"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most.Load() > 3 {
		t.Errorf("%d requests at a time, want 3", most.Load())
	}
}

// Being told to wait is meant for every request to that host.
func TestThrottlingHoldsEverybody(t *testing.T) {
	t.Parallel()
	clock, server := newClock(), serve(t, status(429, "Retry-After", "60"), text(200, good))
	called := errors.New("called off")
	callOff := func(context.Context, time.Duration) error { return called }
	c := web.New(web.Options{Tokens: new(tokens), Now: clock.Now, Wait: callOff})
	for i := range 2 {
		if _, err := c.Do(t.Context(), web.Request{URL: server.URL, Scope: "s"}); !errors.Is(err, called) {
			t.Errorf("request %d: got %v, want a wait", i+1, err)
		}
	}
	if server.asked.Load() != 1 {
		t.Errorf("asked %d times, want once", server.asked.Load())
	}
	_ = clock.Wait(t.Context(), time.Minute)
	if _, err := c.Do(t.Context(), web.Request{URL: server.URL, Scope: "s"}); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestAWaitCanBeCalledOff(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := web.New(web.Options{})
	if err := c.Wait(ctx, time.Microsecond); err != nil {
		t.Error(err)
	}
	cancel()
	if err := c.Wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSilenceEndsARequest(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	silent := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	server := serve(t, silent, text(200, good))
	if _, err := newClient(newClock(), web.Options{Timeout: 50 * time.Millisecond}).Do(t.Context(), web.Request{URL: server.URL, Scope: "s"}); err != nil {
		t.Errorf("got %v, want the second attempt's answer", err)
	}
}

func TestPeekFetchesNoMore(t *testing.T) {
	t.Parallel()
	sent := make(chan int, 1)
	endless := func(w http.ResponseWriter, r *http.Request) {
		n, chunk := 0, []byte(strings.Repeat("0123456789", 1000))
		for n < 1<<30 {
			m, err := w.Write(chunk)
			n += m
			if err != nil {
				break
			}
		}
		sent <- n
	}
	server := serve(t, endless)
	a, err := newClient(newClock(), web.Options{}).Peek(t.Context(), web.Request{URL: server.URL, Scope: "s"}, 15)
	if err != nil || string(a.Body) != "012345678901234" {
		t.Errorf("got %q, %v", a.Body, err)
	}
	if n := <-sent; n >= 1<<30 {
		t.Error("the whole answer was fetched")
	}
	a, err = newClient(newClock(), web.Options{}).Peek(t.Context(), web.Request{URL: serve(t, text(200, "short")).URL, Scope: "s"}, 15)
	if err != nil || string(a.Body) != "short" {
		t.Errorf("got %q, %v", a.Body, err)
	}
}

func packGzip(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

func packZip(files ...string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, content := range files {
		w, _ := z.Create(fmt.Sprintf("sheets%d.csv", i))
		_, _ = io.WriteString(w, content)
	}
	_ = z.Close()
	return b.String()
}

func packZlib(s string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

func packFlate(s string) string {
	var b bytes.Buffer
	z, _ := flate.NewWriter(&b, flate.DefaultCompression)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}
