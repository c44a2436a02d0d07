package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// receiver is somebody else's: it knows the specification and nothing of this package.
// What it answers is a script, the last line of which goes on for ever.
type receiver struct {
	server *httptest.Server
	key    []byte
	script []func(http.ResponseWriter, *http.Request)
	now    func() time.Time

	mu     sync.Mutex
	bodies []string // of requests with a good signature
	ids    []string
	stamps []string
	seen   map[string]int // by id
	forged int            // requests that it could not trust
	asked  int
}

func receive(t *testing.T, now func() time.Time, key string, script ...func(http.ResponseWriter, *http.Request)) *receiver {
	t.Helper()
	r := &receiver{key: []byte(key), script: script, now: now, seen: make(map[string]int)}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

// hmacByHand is RFC 2104 as it is written.
func hmacByHand(key []byte, text string) []byte {
	if len(key) > 64 {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	inner, outer := bytes.Repeat([]byte{0x36}, 64), bytes.Repeat([]byte{0x5c}, 64)
	for i, b := range key {
		inner[i] ^= b
		outer[i] ^= b
	}
	first := sha256.Sum256(append(inner, text...))
	second := sha256.Sum256(append(outer, first[:]...))
	return second[:]
}

func (r *receiver) trusts(request *http.Request, body string) bool {
	id, stamp := request.Header.Get("webhook-id"), request.Header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if age := r.now().Sub(time.Unix(seconds, 0)); err != nil || age < -5*time.Minute || age > 5*time.Minute {
		return false
	}
	want := base64.StdEncoding.EncodeToString(hmacByHand(r.key, id+"."+stamp+"."+body))
	for _, signature := range strings.Split(request.Header.Get("webhook-signature"), " ") {
		if version, got, _ := strings.Cut(signature, ","); version == "v1" && got == want {
			return true
		}
	}
	return false
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	all, err := io.ReadAll(request.Body)
	if err != nil {
		http.Error(w, "half a request", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	step := r.script[min(r.asked, len(r.script)-1)]
	r.asked++
	if request.Method == http.MethodPost && request.Header.Get("Content-Type") == "application/json" && r.trusts(request, string(all)) {
		r.bodies = append(r.bodies, string(all))
		r.ids = append(r.ids, request.Header.Get("webhook-id"))
		r.stamps = append(r.stamps, request.Header.Get("webhook-timestamp"))
		r.seen[request.Header.Get("webhook-id")]++
	} else {
		r.forged++
	}
	r.mu.Unlock()
	step(w, request)
}

// What a receiver may answer.
func answer(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func busy(code int, after string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", after)
		w.WriteHeader(code)
	}
}

func redirect(to string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) }
}

// hang answers when the asker has given up.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// breakOff cuts the line in the middle of the answer.
func breakOff(w http.ResponseWriter, _ *http.Request) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_, _ = connection.Write([]byte("HTTP/1.1 20"))
		_ = connection.Close()
	}
}

// endless never stops answering.
func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := w.Write(make([]byte, 4096)); err != nil {
			return
		}
	}
}
