package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// DefaultTimeout is how long a store may be silent before an operation fails.
const DefaultTimeout = 30 * time.Second

const (
	// silentAttempts is how often a request is sent to a store that stays silent.
	// The second time is for connections that died unnoticed.
	silentAttempts = 2
	// attempts is how often a request is sent to a store that answers with a failure
	// of its own, with pauses in between. The longest pause is a tenth of the timeout,
	// so that all of them together stay well within it.
	attempts = 5
	// idleConnections are kept for the next request.
	idleConnections = 64
)

// A silenceError is a store that accepted nothing and sent nothing for too long.
type silenceError struct {
	host string
	wait time.Duration
	last bool // the call's last attempt at it
}

func (e *silenceError) Error() string {
	return fmt.Sprintf("no sign of life from %s for %s", e.host, e.wait)
}

// Timeout marks it as such for net.Error's friends.
func (e *silenceError) Timeout() bool { return true }

// patience gives up a request when nothing moves for a while: no connection, no
// byte accepted, none sent. How long the whole of it takes is not limited, so
// large objects may take their time on a slow line.
type patience struct {
	next http.RoundTripper
	wait time.Duration
}

// RoundTrip is [http.RoundTripper]'s.
func (p patience) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(request.Context())
	silence := &silenceError{host: request.URL.Host, wait: p.wait}
	w := &watch{ctx: ctx, wait: p.wait, stop: func() { cancel(context.Canceled) }}
	w.timer = time.AfterFunc(p.wait, func() { cancel(silence) })

	watched := request.Clone(ctx)
	if request.Body != nil && request.Body != http.NoBody {
		watched.Body = &sending{ReadCloser: request.Body, watch: w}
	}
	response, err := p.next.RoundTrip(watched)
	if err != nil {
		err = w.cause(err)
		w.end()
		return nil, err
	}
	w.timer.Stop()
	response.Body = &receiving{ReadCloser: response.Body, watch: w}
	return response, nil
}

// watch ends a request when its timer runs out.
type watch struct {
	ctx   context.Context
	wait  time.Duration
	timer *time.Timer
	stop  func()
}

// silences counts the silent attempts of one call, which carries it in its context.
type silences struct{ n atomic.Int32 }

type silencesKey struct{}

// cause returns the silence that is behind an error, or the error.
func (w *watch) cause(err error) error {
	var silence *silenceError
	if errors.As(context.Cause(w.ctx), &silence) {
		if count, ok := w.ctx.Value(silencesKey{}).(*silences); ok {
			silence.last = count.n.Add(1) >= silentAttempts
		}
		return silence
	}
	return err
}

func (w *watch) end() {
	w.timer.Stop()
	w.stop()
}

// sending is the body of a request: who asks for more of it is alive.
type sending struct {
	io.ReadCloser
	watch *watch
}

func (s *sending) Read(p []byte) (int, error) {
	s.watch.timer.Reset(s.watch.wait)
	return s.ReadCloser.Read(p)
}

// receiving is the body of an answer. The time between two reads is the reader's.
type receiving struct {
	io.ReadCloser
	watch *watch
}

func (r *receiving) Read(p []byte) (int, error) {
	r.watch.timer.Reset(r.watch.wait)
	n, err := r.ReadCloser.Read(p)
	r.watch.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.watch.cause(err)
	}
	return n, err
}

func (r *receiving) Close() error {
	r.watch.end()
	return r.ReadCloser.Close()
}

// longestGap is the longest pause between two attempts.
func longestGap(timeout time.Duration) time.Duration { return timeout / 10 }

// newHTTPClient is what all requests to a store go through. A silent request may
// be sent again, and both attempts together take the timeout.
func newHTTPClient(transport *http.Transport, timeout time.Duration) *http.Client {
	transport.MaxIdleConns = 0 // no limit in all
	transport.MaxIdleConnsPerHost = idleConnections
	return &http.Client{
		Transport: patience{next: transport, wait: timeout / silentAttempts},
		// A redirect means another region or a wrong address; following it would fail
		// with a signature that nobody understands.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
