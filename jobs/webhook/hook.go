package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// waits are the pauses between sendings of a message. They are short, since a run
// waits for them; what is still not delivered is sent again in a later round.
var waits = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}

// maxWait is the longest pause that a receiver can ask for. If it wants a longer one,
// the message is left for a later round.
const maxWait = time.Minute

// World is what sending needs of the outside.
type World struct {
	Now    func() time.Time
	Wait   func(context.Context, time.Duration) error // returns early with the context's error
	Lookup func(name string) (string, bool)           // os.LookupEnv
	Agent  string                                     // User-Agent, such as calends/1.4.0
}

// Hook sends messages to one receiver. It may be used from any goroutine.
type Hook struct {
	options Options
	url     *url.URL
	world   World
	client  *http.Client
	gone    atomic.Bool
}

// New checks the options and makes a hook of them. It sends nothing yet.
func New(o Options, w World) (*Hook, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	u, err := o.parse()
	if err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // messages are hours apart
	return &Hook{options: o, url: u, world: w, client: &http.Client{
		Transport: transport,
		// A redirect would carry the message to a host that nobody has named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Key names the receiver where it is remembered what it was told: letters and digits
// that depend on the address alone and do not tell it.
func (h *Hook) Key() string {
	sum := sha256.Sum256([]byte(h.url.String()))
	return hex.EncodeToString(sum[:6])
}

// String names the receiver for people: its host, for paths and queries hold tokens.
func (h *Hook) String() string { return h.url.Scheme + "://" + h.url.Host }

// Wants says whether the receiver is told messages of a type.
func (h *Hook) Wants(t Type) bool {
	return len(h.options.On) == 0 || slices.ContainsFunc(h.options.On, func(name string) bool { return types[name] == t })
}

// Check reads the secrets, as a sending would.
func (h *Hook) Check() error { return h.options.Check(h.world.Lookup) }

// Send delivers a message, in several tries if need be, and returns when the receiver
// has it. The error is ErrGone, an *UndeliveredError, the context's, or one of what
// was to be sent.
func (h *Hook) Send(ctx context.Context, m Message) error {
	if err := h.send(ctx, m); err != nil {
		return fmt.Errorf("webhook %s: %s %s: %w", h, m.Type, m.ID, err)
	}
	return nil
}

func (h *Hook) send(ctx context.Context, m Message) error {
	body, err := m.encode()
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		if h.gone.Load() {
			return ErrGone
		}
		// Anew each time, so that a secret that was exchanged holds at once.
		keys, err := h.options.keys(h.world.Lookup)
		if err != nil {
			return err
		}
		asked, err := h.post(ctx, m.ID, body, keys)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ErrGone):
			h.gone.Store(true)
			return err
		case try == len(waits) || asked > maxWait:
			return &UndeliveredError{Tries: try + 1, Err: err}
		}
		if err := h.world.Wait(ctx, max(waits[try], asked)); err != nil {
			return err
		}
	}
}

// post sends once. With an error it tells how long the receiver asked to be left alone.
func (h *Hook) post(ctx context.Context, id string, body []byte, keys [][]byte) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, h.options.Timeout,
		fmt.Errorf("no answer within %s", h.options.Timeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url.String(), bytes.NewReader(body))
	if err != nil {
		return 0, withoutAddress(err)
	}
	now := h.world.Now()
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", h.world.Agent)
	request.Header.Set("Webhook-Id", id)
	request.Header.Set("Webhook-Timestamp", stamp(now))
	request.Header.Set("Webhook-Signature", sign(keys, id, now, body))
	answer, err := h.client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return 0, withoutAddress(err)
	}
	defer answer.Body.Close()
	// What it says besides is of no interest; a little is read so that it can say it.
	_, _ = io.CopyN(io.Discard, answer.Body, 16<<10)
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return 0, nil
	case code == http.StatusGone:
		return 0, ErrGone
	case code >= 300 && code < 400:
		return 0, fmt.Errorf("it answered %d, a redirect, which is not followed: put the new address into the configuration", code)
	default:
		return retryAfter(answer.Header.Get("Retry-After"), now), fmt.Errorf("it answered %s", strings.TrimSpace(fmt.Sprintln(code, http.StatusText(code))))
	}
}

// withoutAddress takes the address out of an error: http puts it, query and all, in
// front of the cause.
func withoutAddress(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(seconds, 0), 1<<30)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
