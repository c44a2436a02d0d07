package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// try is one attempt at a request.
type try struct {
	token  string
	header http.Header // of this attempt
}

// try makes attempts until one is good, and returns the last one's error.
func (c *Client) try(ctx context.Context, r Request, attempt func(ctx context.Context, t try) error) error {
	address, err := checkAddress(r.URL)
	if err != nil {
		return fmt.Errorf("%s: %w", r.method(), err)
	}
	id := c.o.NewID()
	var failures, throttled int
	var waited time.Duration
	renewed := false
	for {
		if err := c.leaveAlone(ctx, address.Host); err != nil {
			return named(r, err)
		}
		t := try{header: c.headers(r, id)}
		if r.Scope != "" {
			if c.o.Tokens == nil {
				return named(r, errors.New("there is nothing to sign in with"))
			}
			if t.token, err = c.o.Tokens.Token(ctx, r.Scope); err != nil {
				return named(r, err)
			}
			t.header.Set("Authorization", "Bearer "+t.token)
		}
		err := c.inSlot(ctx, func() error { return attempt(ctx, t) })
		if err == nil {
			return nil
		}
		err = hide(named(r, err), t.token, r.URL)
		if ctx.Err() != nil {
			return err
		}
		if refusals, ok := c.o.Tokens.(Refusals); ok && errors.Is(err, ErrUnauthorized) && t.token != "" && !renewed {
			refusals.Refused(r.Scope, t.token)
			renewed = true
			continue
		}
		var delay time.Duration
		switch {
		case errors.Is(err, ErrThrottled):
			throttled++
			delay = asked(err, backoff(throttled))
		case passes(err):
			if failures++; failures >= c.o.Attempts {
				return gaveUp(err, failures)
			}
			delay = asked(err, backoff(failures))
		default:
			return err
		}
		if waited += delay; waited > c.o.Patience {
			return fmt.Errorf("%w; gave up, for the next attempt is due in %s only", err, delay.Round(time.Second))
		}
		if errors.Is(err, ErrThrottled) {
			c.pause(address.Host, delay) // for every request; this one then waits there too
			continue
		}
		if err := c.o.Wait(ctx, delay); err != nil {
			return named(r, err)
		}
	}
}

func gaveUp(err error, attempts int) error {
	if attempts == 1 {
		return err
	}
	return fmt.Errorf("%w; gave up after %d attempts", err, attempts)
}

// passes reports whether an error may be gone the next time.
func passes(err error) bool {
	var e *Error
	if errors.As(err, &e) {
		switch e.Status {
		case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
	}
	return errors.Is(err, ErrIncomplete) || errors.Is(err, errBroken)
}

// asked is how long the server wants to be left alone, if it said so.
func asked(err error, otherwise time.Duration) time.Duration {
	var e *Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		return e.RetryAfter
	}
	return otherwise
}

// backoff is the wait before attempt n+1: 1 s, 2 s, 4 s and on, a minute at most.
func backoff(n int) time.Duration {
	return min(time.Second<<min(n-1, 10), time.Minute)
}

// RetryAfter reads the header of that name, which holds seconds or a date. Where
// it is missing or means nothing, the answer is 0.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if !(seconds > 0) || seconds > 1e6 {
			return 0
		}
		return time.Duration(seconds * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// pause keeps all requests from a host for a while. Limits are Microsoft's of a
// partner: what another request sends meanwhile only counts against it.
func (c *Client) pause(host string, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until := c.o.Now().Add(d); until.After(c.paused[host]) {
		c.paused[host] = until
	}
}

// leaveAlone waits as long as the host asked for.
func (c *Client) leaveAlone(ctx context.Context, host string) error {
	c.mu.Lock()
	d := c.paused[host].Sub(c.o.Now())
	c.mu.Unlock()
	if d <= 0 {
		return ctx.Err()
	}
	return c.o.Wait(ctx, d)
}

// inSlot does it when it is its turn.
func (c *Client) inSlot(ctx context.Context, do func() error) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case c.slots <- struct{}{}:
	}
	defer func() { <-c.slots }()
	return do()
}

func (c *Client) headers(r Request, id string) http.Header {
	h := make(http.Header)
	h.Set("User-Agent", "calends/"+c.o.Version)
	if r.Scope != "" {
		// The first two for Partner Center, the third for Graph.
		h.Set("MS-RequestId", id)
		h.Set("MS-CorrelationId", id)
		h.Set("client-request-id", id)
	}
	for name, values := range r.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	return h
}

// send makes the request and returns an answer of 2xx, whose body the caller
// closes, or an error.
func (c *Client) send(ctx context.Context, r Request, t try) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = json.Marshal(r.Body); err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		t.header.Set("Content-Type", "application/json")
	}
	req, err := http.NewRequestWithContext(ctx, r.method(), r.URL, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", withoutAddress(err))
	}
	req.Header = t.header
	res, err := c.http.Do(req)
	if err != nil {
		if res != nil { // a redirect that was not followed; its body is closed already
			return nil, withoutAddress(err)
		}
		return nil, fmt.Errorf("%w: %w", errBroken, withoutAddress(err))
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	return nil, c.refusal(r, t.token, res)
}

// withoutAddress unwraps the error in which net/http quotes the whole address,
// with all that it authorises.
func withoutAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
