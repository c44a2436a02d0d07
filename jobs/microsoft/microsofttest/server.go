// Package microsofttest has a server that stands in for Microsoft's services in
// tests: sign-in, prices, Partner Center, Graph and its blobs. It answers as the
// published pages say, refuses what they refuse, and can be told to fail.
package microsofttest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Who may ask.
type Who int

// The kinds of callers.
const (
	Anyone Who = iota // the address itself authorises
	Signed            // the application, alone or with a user
	User              // the application with a user
)

// Fault answers a request in the service's place. next is the service.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// Server stands in for all services at one address.
type Server struct {
	*httptest.Server

	mux *http.ServeMux

	mu     sync.Mutex
	login  login
	prices prices
	faults map[string][]Fault // by part of the path
	asked  []string
	n      int
}

// New starts a server and ends it with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{mux: http.NewServeMux(), faults: make(map[string][]Fault)}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	s.newLogin()
	s.newPrices()
	return s
}

// Handle adds a service. A pattern is one of http.ServeMux.
func (s *Server) Handle(pattern string, who Who, h http.HandlerFunc) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if code, text := s.allows(who, r); code != 0 {
			Refuse(w, code, strconv.Itoa(code), text)
			return
		}
		h(w, r)
	})
}

// Fail lets the next requests to a path that has a part fail, one fault a request.
func (s *Server) Fail(part string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[part] = append(s.faults[part], faults...)
}

// Asked returns the requests so far, as method, path and query.
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Count returns how many requests so far had a part in them.
func (s *Server) Count(part string) (n int) {
	for _, a := range s.Asked() {
		if strings.Contains(a, part) {
			n++
		}
	}
	return n
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+r.URL.String())
	var fault Fault
	for part, faults := range s.faults {
		if strings.Contains(r.URL.Path, part) && len(faults) > 0 {
			fault, s.faults[part] = faults[0], faults[1:]
			break
		}
	}
	s.mu.Unlock()
	w.Header().Set("MS-CorrelationId", "correlation-of-the-fake")
	w.Header().Set("Request-ID", "request-of-the-fake")
	if fault != nil {
		fault(w, r, s.mux)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Refuse answers in Partner Center's form.
func Refuse(w http.ResponseWriter, status int, code, description string) {
	JSON(w, status, map[string]any{"code": code, "description": description, "data": []any{}, "source": "PartnerApiServiceCore"})
}

// JSON answers with a value, and a byte-order mark before it, as Partner Center
// does.
func JSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // a test's own value
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte("\ufeff"), data...))
}

// Throttle is 429 with a Retry-After, or without one if it is blank.
func Throttle(retryAfter string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		JSON(w, http.StatusTooManyRequests, map[string]any{"statusCode": 429, "message": "Rate limit is exceeded. Try again later."})
	}
}

// Status is an answer without a body.
func Status(code int) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(code) }
}

// Page is 200 with a page for people.
func Page(title string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, "<!DOCTYPE html>\r\n<html><head><title>%s</title></head><body>Please try later.</body></html>", title)
	}
}

// Text is 200 with a body of any kind.
func Text(body string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = io.WriteString(w, body) }
}

// HangUp ends the connection without an answer.
func HangUp() Fault {
	return func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }
}

// Half is the service's own answer up to its middle, with the length of the whole.
func Half() Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		whole := httptest.NewRecorder()
		next.ServeHTTP(whole, r)
		for name, values := range whole.Header() {
			w.Header()[name] = values
		}
		body := whole.Body.Bytes()
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(whole.Code)
		_, _ = w.Write(body[:len(body)/2])
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

func rawItems(items []string) []json.RawMessage {
	raw := make([]json.RawMessage, len(items))
	for i, item := range items {
		raw[i] = json.RawMessage(item)
	}
	return raw
}
