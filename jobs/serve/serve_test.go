package serve_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/servetest"
	"github.com/calends/calends/pipeline/bucket"
)

// notes is a trail in memory.
type notes struct {
	mu     sync.Mutex
	events []audit.Event
	broken error
}

func (n *notes) Note(_ context.Context, e audit.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
	return n.broken
}

func (n *notes) last() audit.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.events) == 0 {
		return audit.Event{}
	}
	return n.events[len(n.events)-1]
}

// known lets in whoever says so: X-Test-Role and X-Test-Partner.
type known struct {
	// inside is asked for /inside, behind everything.
	inside http.HandlerFunc
}

func (k known) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if role := r.Header.Get("X-Test-Role"); role != "" {
			p := access.Principal{ID: "test " + role, Name: role, Roles: []access.Role{access.Role(role)}}
			if partner := r.Header.Get("X-Test-Partner"); partner != "" {
				p.Partners = []string{partner}
			} else {
				p.Everyone = true
			}
			r = r.WithContext(access.With(r.Context(), p))
		}
		next.ServeHTTP(w, r)
	})
}

func (k known) Routes(mux *http.ServeMux) {
	if k.inside != nil {
		mux.HandleFunc("/inside", k.inside)
	}
}

// server is one on the demo's bucket.
func server(t *testing.T, o serve.Options, inside http.HandlerFunc, trail *notes) *serve.Server {
	t.Helper()
	env := servetest.Env(servetest.Demo(t))
	s, err := serve.New(t.Context(), o, serve.World{
		Env: func() jobs.Env { return env }, Now: time.Now, Log: slog.New(slog.DiscardHandler), Version: "test", Who: known{inside}, Trail: trail,
		Events: peopled(t, env.Bucket), Directory: directory.New(env.Bucket, time.Now),
		Settings: map[string]any{"workers": 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// peopled gives the bucket a user, a token and an event of the partner ours.
func peopled(t *testing.T, b bucket.Bucket) *audit.Store {
	t.Helper()
	rights := `"layout":1,"number":1,"name":"` + ours + `","roles":["sales-agent"],"partners":["` + ours + `"]`
	for key, record := range map[string]string{
		"users/user-of-" + ours + "/0001.json":   `{"id":"user-of-` + ours + `","at":"2024-05-01T08:00:00Z",` + rights + `}`,
		"tokens/token-of-" + ours + "/0001.json": `{"id":"token-of-` + ours + `","expires":"2099-01-01T00:00:00Z","made":{"at":"2024-05-01T08:00:00Z"},` + rights + `}`,
	} {
		if err := bucket.Put(t.Context(), b, key, []byte(record)); err != nil {
			t.Fatal(err)
		}
	}
	s := audit.NewStore(b, audit.Settings{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err := s.Note(t.Context(), audit.Event{Kind: audit.Downloaded, Who: "user-of-" + ours, Operation: "download-invoice-file", Partner: ours, Object: ours}); err != nil {
		t.Fatal(err)
	}
	return s
}

// ask makes a request and returns the answer. pairs are header names and values.
func ask(t *testing.T, s http.Handler, method, path, body string, pairs ...string) *httptest.ResponseRecorder {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, reader)
	for i := 0; i+1 < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func problemType(w *httptest.ResponseRecorder) string {
	var p struct{ Type string }
	_ = json.Unmarshal(w.Body.Bytes(), &p)
	return p.Type
}

func TestNobodyIsRefusedAndEverybodyIsInTheTrail(t *testing.T) {
	t.Parallel()
	trail := &notes{}
	s := server(t, serve.Options{}, nil, trail).Handler()
	if w := ask(t, s, "GET", "/v1/self", ""); w.Code != 401 || problemType(w) != "urn:calends:problem:not-signed-in" {
		t.Errorf("nobody: %d %s", w.Code, w.Body)
	}
	w := ask(t, s, "GET", "/v1/self", "", "X-Test-Role", "sales-agent")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"sales-agent"`) {
		t.Errorf("a sales agent: %d %s", w.Code, w.Body)
	}
	e := trail.last()
	if e.Who != "test sales-agent" || e.Kind != audit.Saw || e.Operation != "get-self" || e.Path != "/v1/self" || e.Status != 200 || e.Request != w.Header().Get("X-Request-Id") {
		t.Errorf("the trail has %+v", e)
	}
	trail.broken = errors.New("the bucket is full")
	if w := ask(t, s, "GET", "/v1/self", "", "X-Test-Role", "sales-agent"); w.Code != 503 || problemType(w) != "urn:calends:problem:trail-unwritable" {
		t.Errorf("without the trail: %d %s", w.Code, w.Body)
	}
}

func TestBrowsersAreToldToBeStrict(t *testing.T) {
	t.Parallel()
	for _, o := range []serve.Options{{}, {URL: "https://billing.example.com"}} {
		w := ask(t, server(t, o, nil, &notes{}).Handler(), "GET", "/v1/self", "")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "private, no-cache",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
			t.Errorf("content policy %q", policy)
		}
		if strict := w.Header().Get("Strict-Transport-Security") != ""; strict != (o.URL != "") {
			t.Errorf("url %q: strict transport is %v", o.URL, strict)
		}
	}
}

func TestOtherSitesPagesCannotAct(t *testing.T) {
	t.Parallel()
	done := 0
	s := server(t, serve.Options{URL: "https://billing.example.com"}, func(http.ResponseWriter, *http.Request) { done++ }, &notes{}).Handler()
	for _, row := range []struct {
		name  string
		pairs []string
		want  int
	}{
		{"a program", nil, 200},
		{"our own page", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"our own page through a proxy", []string{"Origin", "https://billing.example.com"}, 200},
		{"another site", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another site of an old browser", []string{"Origin", "https://elsewhere.example"}, 403},
		{"a sandboxed page", []string{"Origin", "null"}, 403},
	} {
		before := done
		w := ask(t, s, "POST", "/inside", "x=1", row.pairs...)
		if w.Code != row.want || (done > before) != (row.want == 200) {
			t.Errorf("%s: %d, done %v", row.name, w.Code, done > before)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	s := server(t, serve.Options{}, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if n != 1<<20 {
			t.Errorf("%d bytes came in", n)
		}
	}, &notes{}).Handler()
	if w := ask(t, s, "POST", "/inside", strings.Repeat("x", 1<<20)); w.Code != 200 {
		t.Errorf("a body of a mebibyte: %d", w.Code)
	}
	if w := ask(t, s, "POST", "/inside", strings.Repeat("x", 1<<20+1)); w.Code != 413 || problemType(w) != "urn:calends:problem:too-large" {
		t.Errorf("a byte more: %d", w.Code)
	}
}

func TestWhoAsksTooMuchIsRefusedAndNobodyElse(t *testing.T) {
	t.Parallel()
	s := server(t, serve.Options{Limits: serve.Limits{PerSecond: 1, Burst: 3}}, nil, &notes{}).Handler()
	for i := range 4 {
		w := ask(t, s, "GET", "/v1/self", "", "X-Test-Role", "admin-agent")
		if want := map[bool]int{true: 200, false: 429}[i < 3]; w.Code != want {
			t.Errorf("request %d: %d, want %d", i+1, w.Code, want)
		}
		if w.Code == 429 && w.Header().Get("Retry-After") == "" {
			t.Error("nobody is told when to come back")
		}
	}
	if w := ask(t, s, "GET", "/v1/self", "", "X-Test-Role", "sales-agent"); w.Code != 200 {
		t.Errorf("somebody else: %d", w.Code)
	}
}

func TestRequestsTogetherAreBounded(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	s := server(t, serve.Options{Limits: serve.Limits{Together: 1}}, func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-leave
	}, &notes{}).Handler()
	first := make(chan int)
	go func() { first <- ask(t, s, "GET", "/inside", "").Code }()
	<-entered
	if w := ask(t, s, "GET", "/v1/self", "", "X-Test-Role", "sales-agent"); w.Code != 503 {
		t.Errorf("a second one: %d", w.Code)
	}
	if w := ask(t, s, "GET", "/healthz", ""); w.Code != 200 {
		t.Errorf("health, meanwhile: %d", w.Code)
	}
	close(leave)
	if code := <-first; code != 200 {
		t.Errorf("the first: %d", code)
	}
}

func TestAPanicIsOneRequests(t *testing.T) {
	t.Parallel()
	s := server(t, serve.Options{}, func(http.ResponseWriter, *http.Request) { panic("the price of a secret is 42") }, &notes{}).Handler()
	if w := ask(t, s, "GET", "/inside", ""); w.Code != 500 || strings.Contains(w.Body.String(), "42") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(t, s, "GET", "/v1/self", "", "X-Test-Role", "sales-agent"); w.Code != 200 {
		t.Errorf("the next: %d", w.Code)
	}
}

func TestTextIsCompressedAndItsMarkIsAnother(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a seat, a day, a price. ", 200)
	s := server(t, serve.Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"sheet"`)
		if r.Header.Get("If-None-Match") == `"sheet"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		_, _ = io.WriteString(w, text)
	}, &notes{}).Handler()
	w := ask(t, s, "GET", "/inside?type=text/csv", "", "Accept-Encoding", "gzip")
	if w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("ETag") != `"sheet-gzip"` {
		t.Errorf("headers %v", w.Header())
	}
	plain, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(plain); err != nil || string(got) != text {
		t.Errorf("unpacked: %v, %d bytes", err, len(got))
	}
	if w := ask(t, s, "GET", "/inside", "", "Accept-Encoding", "gzip", "If-None-Match", `"sheet-gzip"`); w.Code != 304 {
		t.Errorf("asked with the compressed one's mark: %d", w.Code)
	}
	if w := ask(t, s, "GET", "/inside?type=application/vnd.apache.parquet", "", "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "" || w.Body.String() != text {
		t.Error("what is no text was compressed")
	}
}

func TestAddressIsTheLastThatNoProxyMadeUp(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ proxies, forwarded, want string }{
		{"", "203.0.113.9", "192.0.2.1"},
		{"192.0.2.0/24", "203.0.113.9", "203.0.113.9"},
		{"192.0.2.1", "198.51.100.7, 203.0.113.9", "203.0.113.9"},
		{"192.0.2.1,203.0.113.9", "198.51.100.7, 203.0.113.9", "198.51.100.7"},
		{"192.0.2.1", "not an address", "192.0.2.1"},
		{"192.0.2.1", "", "192.0.2.1"},
	} {
		trail := &notes{}
		var o serve.Options
		if row.proxies != "" {
			o.Proxies = strings.Split(row.proxies, ",")
		}
		s := server(t, o, nil, trail).Handler()
		ask(t, s, "GET", "/v1/self", "", "X-Test-Role", "sales-agent", "X-Forwarded-For", row.forwarded)
		if got := trail.last().From; got != row.want {
			t.Errorf("proxies %q, forwarded %q: %s, want %s", row.proxies, row.forwarded, got, row.want)
		}
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		options serve.Options
		want    string
	}{
		{serve.Options{TLS: serve.TLS{Key: "k.pem"}}, "certificate and key go together"},
		{serve.Options{URL: "billing.example.com"}, "want a scheme and a host"},
		{serve.Options{URL: "https://billing.example.com/calends"}, "want a scheme and a host"},
		{serve.Options{Proxies: []string{"the proxy"}}, "want an address or a range"},
		{serve.Options{Limits: serve.Limits{Burst: -1}}, "above 0"},
	} {
		if err := row.options.Validate(); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%+v: %v, want %q", row.options, err, row.want)
		}
	}
}

// keyPair writes a certificate of this machine's own, with a name to tell it by.
func keyPair(t *testing.T, folder, name string) serve.TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := serve.TLS{Certificate: filepath.Join(folder, "cert.pem"), Key: filepath.Join(folder, "key.pem")}
	for file, block := range map[string]*pem.Block{files.Certificate: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: private}} {
		var text bytes.Buffer
		if err := pem.Encode(&text, block); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// listening starts a server and returns its address, and what stops it and waits.
func listening(t *testing.T, s *serve.Server) (address string, stop func() error) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	var once sync.Once
	var ended error
	stop = func() error {
		once.Do(func() { cancel(); ended = <-done })
		return ended
	}
	t.Cleanup(func() { _ = stop() })
	return l.Addr().String(), stop
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := server(t, serve.Options{TLS: keyPair(t, t.TempDir(), "the first")}, nil, &notes{})
	address, _ := listening(t, s)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 || answer.ProtoMajor != 2 || answer.TLS.PeerCertificates[0].Subject.CommonName != "the first" || answer.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%s %d, %v", answer.Proto, answer.StatusCode, answer.Header)
	}
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}
	if conn, err := (&tls.Dialer{Config: old}).DialContext(t.Context(), "tcp", address); err == nil {
		t.Error("TLS 1.1 was spoken")
		_ = conn.Close()
	}
}

func TestStopLetsAnswersEnd(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	s := server(t, serve.Options{}, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-leave
		if r.Context().Err() == nil {
			_, _ = io.WriteString(w, "whole")
		}
	}, &notes{})
	address, stop := listening(t, s)
	body := make(chan string, 1)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/inside", nil)
		if err != nil {
			body <- err.Error()
			return
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			body <- err.Error()
			return
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		body <- string(text)
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	select {
	case err := <-stopped:
		t.Fatalf("it stopped in the middle of an answer: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(leave)
	if got := <-body; got != "whole" {
		t.Errorf("the answer under way: %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A demonstration works with another day; its connections are of today.
func TestAServerOfAnotherDayAnswers(t *testing.T) {
	t.Parallel()
	for _, days := range []time.Duration{-900, 900} {
		now := func() time.Time { return time.Now().Add(days * 24 * time.Hour) }
		env := servetest.Env(servetest.Demo(t))
		s, err := serve.New(t.Context(), serve.Options{}, serve.World{
			Env: func() jobs.Env { return env }, Now: now, Log: slog.New(slog.DiscardHandler), Version: "test", Who: known{}, Trail: &notes{},
			Events: peopled(t, env.Bucket), Directory: directory.New(env.Bucket, now),
		})
		if err != nil {
			t.Fatal(err)
		}
		address, stop := listening(t, s)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/v1/price-lookups", strings.NewReader(`{"month":"2024-03","keys":[{"market":"NL","productId":"CFQ7TTC0LH18","skuId":"0001","termDuration":"P1Y","billingPlan":"Annual"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Test-Role", string(access.SalesAgent))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("%d days away: %v", days, err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%d days away: %s", days, answer.Status)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatOpensSomethingIsInNoLog(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/local/AAAABBBBCCCCDDDD", "/nowhere/cal_AAAABBBBCCCCDDDD"} {
		var log bytes.Buffer
		env := servetest.Env(servetest.Demo(t))
		s, err := serve.New(t.Context(), serve.Options{}, serve.World{
			Env: func() jobs.Env { return env }, Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Version: "test", Who: known{}, Trail: &notes{},
		})
		if err != nil {
			t.Fatal(err)
		}
		ask(t, s.Handler(), "GET", path, "", "Authorization", "Bearer cal_EEEEFFFFGGGG", "Cookie", "calends=HHHHIIII")
		for _, secret := range []string{"AAAABBBB", "CCCCDDDD", "EEEEFFFF", "HHHHIIII"} {
			if strings.Contains(log.String(), secret) {
				t.Errorf("%s: the log has %s: %s", path, secret, &log)
			}
		}
		if !strings.Contains(log.String(), "status=") {
			t.Errorf("%s is not in the log at all: %s", path, &log)
		}
	}
}

// Bodies that come slowly, or never, are one caller's own trouble.
func TestSlowBodiesLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	s := server(t, serve.Options{Limits: serve.Limits{Together: 16}}, nil, &notes{})
	address, stop := listening(t, s)
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	for range 16 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST /v1/customers HTTP/1.1\r\nHost: "+address+"\r\nContent-Length: 1000\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(100 * time.Millisecond) // until all of them are being read, as far as they are
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/v1/price-lookups", strings.NewReader(`{"month":"2024-03","keys":[{"market":"NL","productId":"CFQ7TTC0LH18","skuId":"0001","termDuration":"P1Y","billingPlan":"Annual"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Test-Role", string(access.SalesAgent))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("somebody else is answered %s", answer.Status)
	}
}

func TestWhatTheAPIDoesNotHave(t *testing.T) {
	t.Parallel()
	s := server(t, serve.Options{}, nil, &notes{}).Handler()
	for _, row := range []struct {
		method, path string
		want         int
		allow        string
	}{
		{"GET", "/v1/nothing", 404, ""},
		{"GET", "/v1/", 404, ""},
		{"PUT", "/v1/price", 405, "GET, HEAD"},
		{"DELETE", "/v1/orders", 405, "POST"},
		{"PATCH", "/v1/customers", 405, "GET, HEAD, POST"},
	} {
		w := ask(t, s, row.method, row.path, "", "X-Test-Role", "global-admin")
		if w.Code != row.want || w.Header().Get("Allow") != row.allow || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d, allow %q, want %d, %q: %s", row.method, row.path, w.Code, w.Header().Get("Allow"), row.want, row.allow, w.Body)
		}
	}
}
