// Package web asks Microsoft's services over HTTP. It attaches tokens, waits as
// long as it is told to, tries again what may pass, and takes no answer for data
// that is none: an error page, half a file, an empty body. What the answers mean
// is for the packages above.
package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Tokens gives what a request is authorised by. It may be called concurrently.
type Tokens interface {
	// Token returns a token for a scope, such as
	// https://graph.microsoft.com/.default, one that was given before if it
	// still holds.
	Token(ctx context.Context, scope string) (string, error)
}

// Refusals are Tokens that want to know when a token was refused, so that the
// next one is another. Without it a refused token is not tried again.
type Refusals interface {
	Refused(scope, token string)
}

// Defaults of Options.
const (
	DefaultTimeout     = 60 * time.Second
	DefaultConcurrency = 4
	DefaultAttempts    = 5
	DefaultPatience    = 15 * time.Minute
	DefaultMaxBody     = 32 << 20
)

// Options make a Client. Zero values are the defaults.
type Options struct {
	// Tokens may be nil where every request has no scope.
	Tokens Tokens
	// Version of the program, for the User-Agent.
	Version string
	// Timeout is how long an answer may be silent: before its first byte, and
	// between two reads of its body. An answer that is no download must also be
	// there in whole by then.
	Timeout time.Duration
	// Concurrency is how many requests are under way at a time.
	Concurrency int
	// Attempts is how often a request may fail before it has failed: broken
	// connections, answers that break off, 5xx. Being told to wait is no failure.
	Attempts int
	// Patience is how long one request may wait in all between its attempts.
	Patience time.Duration
	// MaxBody is the size of an answer that is read into memory, unpacked.
	MaxBody int64

	// Transport is what carries requests. Nil: one of the client's own.
	Transport http.RoundTripper
	// Now and Wait are the clock. Nil: the machine's.
	Now  func() time.Time
	Wait func(ctx context.Context, d time.Duration) error
	// NewID names a request in Microsoft's logs. Nil: a random UUID.
	NewID func() string
}

// Client asks. It may be used concurrently.
type Client struct {
	o     Options
	http  *http.Client
	slots chan struct{} // one for each request under way

	mu     sync.Mutex
	paused map[string]time.Time // until when a host wants to be left alone
}

// New returns a client.
func New(o Options) *Client {
	o.Timeout = orDefault(o.Timeout, DefaultTimeout)
	o.Concurrency = orDefault(o.Concurrency, DefaultConcurrency)
	o.Attempts = orDefault(o.Attempts, DefaultAttempts)
	o.Patience = orDefault(o.Patience, DefaultPatience)
	o.MaxBody = orDefault(o.MaxBody, DefaultMaxBody)
	if o.Version == "" {
		o.Version = "devel"
	}
	if o.Transport == nil {
		o.Transport = newTransport(o)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = Sleep
	}
	if o.NewID == nil {
		o.NewID = uuid.NewString
	}
	return &Client{
		o:      o,
		http:   &http.Client{Transport: o.Transport, CheckRedirect: checkRedirect},
		slots:  make(chan struct{}, o.Concurrency),
		paused: make(map[string]time.Time),
	}
}

func orDefault[T int | int64 | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

func newTransport(o Options) http.RoundTripper {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: min(o.Timeout, 30*time.Second), KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   o.Concurrency,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   min(o.Timeout, 30*time.Second),
		ResponseHeaderTimeout: o.Timeout,
		// What is compressed is unpacked here, where a half is noticed and a zip
		// is known for what it is.
		DisableCompression: true,
	}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Wait waits on the client's clock, for callers that are told to come again.
func (c *Client) Wait(ctx context.Context, d time.Duration) error { return c.o.Wait(ctx, d) }

// Now is the client's clock.
func (c *Client) Now() time.Time { return c.o.Now() }

// Sleep waits on the machine's clock.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Request is what is asked.
type Request struct {
	Method string // blank: GET
	URL    string
	// Scope is that of the token. Blank: none is sent, as where the address
	// itself authorises.
	Scope  string
	Header http.Header
	// Body is sent as JSON, unless it is nil.
	Body any
	// Progress is told of a download's bytes as they arrive. total is -1 where
	// the server does not say.
	Progress func(done, total int64)
}

func (r Request) method() string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

// Answer is what came back, with a status of 2xx.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // unpacked
}

// Do asks and reads the whole answer into memory.
//
// Any method is tried again, with the same request id, after 408, 429, 500, 502,
// 503, 504 and broken connections: do not use it for what must not happen twice.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	var a Answer
	err := c.try(ctx, r, func(ctx context.Context, t try) error {
		t.header.Set("Accept-Encoding", "gzip")
		ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
		defer cancel()
		res, err := c.send(ctx, r, t)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		body, err := c.readAll(res)
		if err != nil {
			return err
		}
		a = Answer{Status: res.StatusCode, Header: res.Header, Body: body}
		return nil
	})
	return a, err
}

func (c *Client) readAll(res *http.Response) ([]byte, error) {
	raw, err := readLimited(res.Body, c.o.MaxBody)
	if err != nil {
		return nil, err
	}
	if res.ContentLength > int64(len(raw)) {
		return nil, fmt.Errorf("%w: %d of %d bytes", ErrIncomplete, len(raw), res.ContentLength)
	}
	return unpackBody(raw, res.Header.Get("Content-Encoding"), c.o.MaxBody)
}

// readLimited reads a body, and refuses one that is larger than allowed.
func readLimited(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w after %d bytes: %w", ErrIncomplete, len(data), err)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return data, nil
}

// GetJSON asks for an address and decodes the answer, which must be JSON.
func (c *Client) GetJSON(ctx context.Context, address, scope string, into any) error {
	return c.JSON(ctx, Request{URL: address, Scope: scope}, into)
}

// JSON is Do for an answer that must be JSON. Fields that into does not have are
// ignored.
func (c *Client) JSON(ctx context.Context, r Request, into any) error {
	r.Header = r.Header.Clone()
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	r.Header.Set("Accept", "application/json")
	a, err := c.Do(ctx, r)
	if err != nil {
		return err
	}
	if err := a.Decode(into); err != nil {
		return describe(r, a.Status, a.Header, err)
	}
	return nil
}

// Decode reads the body as one JSON value.
func (a Answer) Decode(into any) error {
	body := bytes.TrimSpace(bytes.TrimPrefix(a.Body, []byte("\xef\xbb\xbf")))
	if err := checkHead(body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%w: not the JSON that was asked for: %w", ErrNotData, err)
	}
	return nil
}

// Peek asks and returns how the answer begins, up to n bytes, as they came. The
// rest is not fetched, also from a server that knows no ranges.
func (c *Client) Peek(ctx context.Context, r Request, n int) (Answer, error) {
	var a Answer
	err := c.try(ctx, r, func(ctx context.Context, t try) error {
		t.header.Set("Range", fmt.Sprintf("bytes=0-%d", n-1))
		ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
		defer cancel() // also ends the rest of the body
		res, err := c.send(ctx, r, t)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		head := make([]byte, n)
		read, err := io.ReadFull(res.Body, head)
		if err != nil && (!errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) || res.ContentLength > int64(read)) {
			return fmt.Errorf("%w after %d bytes: %w", ErrIncomplete, read, err)
		}
		a = Answer{Status: res.StatusCode, Header: res.Header, Body: head[:read]}
		return nil
	})
	return a, err
}

// checkRedirect follows to other places of the same safety. Tokens do not go along
// to another host: net/http would give them to another port, and to hosts below.
func checkRedirect(to *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return errors.New("redirected more than 5 times")
	}
	if to.URL.Scheme != "https" && via[0].URL.Scheme == "https" {
		return errors.New("redirected from https to plain http")
	}
	if to.URL.Host != via[0].URL.Host {
		to.Header.Del("Authorization")
	}
	return nil
}

// checkAddress refuses to send a token where others can read it.
func checkAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		var parse *url.Error // quotes the address
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, fmt.Errorf("read an address: %w", err)
	case u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("address %s: want https://host/path", Redact(address))
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		return nil, fmt.Errorf("address %s: plain http is for this machine alone; want https", Redact(address))
	}
	return u, nil
}

// Loopback reports whether a host name means this machine.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
