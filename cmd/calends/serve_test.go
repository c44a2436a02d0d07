package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// talk is what a program says while it runs.
type talk struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write is the program's.
func (k *talk) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text.Write(p)
}

// String is what was said so far.
func (k *talk) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text.String()
}

// waitFor waits until something that matches was said, and returns what did.
func (k *talk) waitFor(t *testing.T, pattern string) string {
	t.Helper()
	wanted := regexp.MustCompile(pattern)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if found := wanted.FindString(k.String()); found != "" {
			return found
		}
	}
	t.Fatalf("nobody said %s:\n%s", pattern, k)
	return ""
}

// serving runs calends serve on a bucket and returns a client that the link has signed
// in, the server's address, and what stops it and returns its exit code.
func serving(t *testing.T, args ...string) (client *http.Client, address string, says *talk, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	says = &talk{}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...), streams{nil, io.Discard, says})
	}()
	stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() { stop() })
	link := says.waitFor(t, `http://127\.0\.0\.1:\d+/local/\w+`)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client = &http.Client{Jar: jar, Transport: transport, Timeout: time.Minute}
	address = link[:strings.Index(link, "/local/")]
	if status, body := get(t, client, link); status != http.StatusOK {
		t.Fatalf("the link: %d %s", status, body)
	}
	return client, address, says, stop
}

func get(t *testing.T, client *http.Client, address string, pairs ...string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestServe(t *testing.T) {
	t.Parallel()
	demo := demoBucket(t)
	client, address, says, stop := serving(t, "--bucket", demo)

	status, body := get(t, client, address+"/v1/self")
	if status != 200 || !strings.Contains(body, `"global-admin"`) {
		t.Errorf("who am I: %d %s", status, body)
	}
	if status, body := get(t, client, address+"/v1/price?market=NL&month=2024-03&productId=CFQ7TTC0LH18&skuId=1&termDuration=P1Y&billingPlan=Annual&currency=EUR"); status != 200 || !strings.Contains(body, `"unitPrice":"57.12"`) {
		t.Errorf("a price: %d %s", status, body)
	}
	stranger := &http.Client{Transport: client.Transport}
	if status, _ := get(t, stranger, address+"/v1/self"); status != 401 {
		t.Errorf("somebody without the link: %d", status)
	}
	if status, _ := get(t, stranger, address+"/v1/self", "Host", "evil.example"); status != 401 {
		t.Errorf("somebody else: %d", status)
	}
	if status, body := get(t, stranger, address+"/healthz"); status != 200 || strings.Contains(body, demo) {
		t.Errorf("health: %d %s", status, body)
	}

	// A program with a token, made beside the server.
	var out, err bytes.Buffer
	if code := run(t.Context(), []string{"token", "create", "--bucket", demo, "--name", "robot", "--role", "sales-agent", "--partner", "80f6fb73-3725-4404-a0ee-98ef768080f3", "--output", "json"}, streams{nil, &out, &err}); code != exitDone {
		t.Fatalf("token create: %d %s", code, &err)
	}
	var made struct{ Token string }
	if err := json.Unmarshal(out.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(30 * time.Second)
	for {
		status, body = get(t, stranger, address+"/v1/self", "Authorization", "Bearer "+made.Token)
		if status == 200 || time.Now().After(until) {
			break
		}
		time.Sleep(200 * time.Millisecond) // the server looks for new tokens now and then
	}
	if status != 200 || !strings.Contains(body, `"sales-agent"`) || !strings.Contains(body, `"80f6fb73-3725-4404-a0ee-98ef768080f3"`) {
		t.Errorf("a program: %d %s", status, body)
	}
	if code := stop(); code != exitDone {
		t.Errorf("stopped with %d: %s", code, says)
	}
	if said := says.String(); strings.Contains(said, made.Token) || !strings.HasSuffix(said, "stopped\n") {
		t.Errorf("it said %s", said)
	}
	if files, err := filepath.Glob(filepath.Join(demo, "audit", "day=*", "*.jsonl")); err != nil || len(files) == 0 {
		t.Errorf("no trail: %v", err)
	}
}

func TestServeBesideTheSchedule(t *testing.T) {
	t.Parallel()
	demo := demoBucket(t)
	args := append(scheduled(t, "schedule: {since: 2024-04, poll: 1s}\n"), "--schedule", "--metrics", "127.0.0.1:0", "--bucket", demo, "--today", "2024-05-02")
	client, address, says, stop := serving(t, args...)
	says.waitFor(t, `metrics and health at http://`)
	if status, body := get(t, client, address+"/v1/self"); status != 200 {
		t.Errorf("the server: %d %s", status, body)
	}
	if code := stop(); code != exitDone {
		t.Errorf("stopped with %d: %s", code, says)
	}
}

func TestServeIsForThisMachineOnlyWithoutASignIn(t *testing.T) {
	t.Parallel()
	var says bytes.Buffer
	code := run(t.Context(), []string{"serve", "--listen", "0.0.0.0:0", "--bucket", t.TempDir()}, streams{nil, io.Discard, &says})
	if code != exitUsage || !strings.Contains(says.String(), "configure signIn") {
		t.Errorf("%d %s", code, &says)
	}
}

// demoBucket plays the demo and returns the bucket of it.
func demoBucket(t *testing.T) string {
	t.Helper()
	dir, err := finishedDemo(t)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "calends-data")
}
