package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/schedule"
)

// stage is a schedule's clock that a test moves.
type stage struct {
	mu  sync.Mutex
	now time.Time
	// asleep takes the instant until which somebody waits; awake ends the wait.
	asleep chan time.Time
	awake  chan struct{}
}

func newStage() *stage {
	return &stage{now: noon, asleep: make(chan time.Time), awake: make(chan struct{})}
}

func (s *stage) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stage) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *stage) Wait(_ context.Context, until time.Time) error {
	s.asleep <- until
	<-s.awake
	return nil
}

func TestSignsOfLife(t *testing.T) {
	t.Parallel()
	s := newStage()
	h := NewHealth(s.Now, nil)
	clock := h.Clock(s)
	live := func(want bool, says string) {
		t.Helper()
		a := h.Live()
		if a.OK != want || len(a.Checks) != 1 || a.Checks[0].OK != want || a.Checks[0].Detail != says {
			t.Errorf("got %+v, want %v, %q", a, want, says)
		}
	}
	live(true, "at work since 2026-11-03T12:00:00Z") // the first round
	s.pass(12 * time.Hour)
	live(true, "at work since 2026-11-03T12:00:00Z")
	s.pass(time.Second)
	live(false, "it has been at one round since 2026-11-03T12:00:00Z")

	waited := make(chan error)
	go func() { waited <- clock.Wait(t.Context(), s.Now().Add(time.Minute)) }()
	<-s.asleep
	live(true, "sleeps until 2026-11-04T00:01:01Z")
	s.pass(3 * time.Minute)
	live(true, "sleeps until 2026-11-04T00:01:01Z")
	s.pass(time.Second)
	live(false, "it should have woken up at 2026-11-04T00:01:01Z")
	s.awake <- struct{}{}
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	live(true, "at work since 2026-11-04T00:03:02Z")
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	s := newStage()
	var broken error
	stuck := func() (parked, waiting []history.Slice) {
		return []history.Slice{{Job: "import-prices", Subject: "DE", Month: october}}, []history.Slice{{Job: "close", Month: october}}
	}
	h := NewHealth(s.Now, stuck, Check{"bucket", func(context.Context) error { return broken }})
	ready := func(want bool, details ...string) {
		t.Helper()
		a := h.Ready(t.Context())
		var got []string
		for _, c := range a.Checks {
			got = append(got, c.Name+": "+c.Detail)
		}
		if a.OK != want || !slices.Equal(got, details) || len(a.Parked) != 1 || len(a.Waiting) != 1 {
			t.Errorf("got %v %q, want %v %q", a.OK, got, want, details)
		}
	}
	ready(true, "bucket: ", "round: the first one is under way")
	broken = errors.New("no route to host")
	ready(false, "bucket: no route to host", "round: the first one is under way")
	broken = nil
	h.After(schedule.Round{}, nil)
	ready(true, "bucket: ", "round: the last one ended at 2026-11-03T12:00:00Z")
	s.pass(time.Minute)
	h.After(schedule.Round{}, errors.New("list the runs of 2026-10: timeout"))
	ready(false, "bucket: ", "round: list the runs of 2026-10: timeout")
	h.After(schedule.Round{Busy: "machine b, process 7"}, nil)
	ready(true, "bucket: ", "round: the last one ended at 2026-11-03T12:01:00Z; another machine had it: machine b, process 7")
}

func TestACheckThatHangs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	h := NewHealth(newStage().Now, nil, Check{"bucket", func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}})
	if a := h.Ready(ctx); a.OK || a.Checks[0].Detail != context.DeadlineExceeded.Error() {
		t.Errorf("got %+v", a)
	}
}

func TestHealthPages(t *testing.T) {
	t.Parallel()
	s := newStage()
	h := NewHealth(s.Now, func() (parked, waiting []history.Slice) {
		return []history.Slice{{Job: "import-prices", Subject: "DE", Month: october}}, nil
	})
	get := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	w := get("GET", "/readyz")
	want := `{"ok":true,"checks":[{"name":"round","ok":true,"detail":"the first one is under way"}],"parked":["import-prices/DE/2026-10"]}`
	var body any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	var wanted any
	_ = json.Unmarshal([]byte(want), &wanted)
	if g, e := encoded(body), encoded(wanted); g != e || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got %d %s, want %s", w.Code, g, e)
	}
	h.After(schedule.Round{}, errors.New("no"))
	s.pass(100 * time.Hour)
	for path, code := range map[string]int{"/readyz": 503, "/healthz": 503, "/other": 404} {
		if w := get("GET", path); w.Code != code {
			t.Errorf("%s: %d, want %d", path, w.Code, code)
		}
	}
	if w := get("POST", "/healthz"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func encoded(v any) string {
	data, _ := json.Marshal(v)
	return string(data)
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for address, host := range map[string]string{"0": "127.0.0.1", ":0": "127.0.0.1", "127.0.0.1:0": "127.0.0.1", "localhost:0": "127.0.0.1", "0.0.0.0:0": "::|0.0.0.0"} {
		l, err := Listen(t.Context(), address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		got, _, _ := strings.Cut(strings.Trim(l.Addr().String(), "["), "]")
		if i := strings.LastIndex(got, ":"); i > 0 && !strings.HasPrefix(got, "::") {
			got = got[:i]
		}
		if !slices.Contains(strings.Split(host, "|"), got) {
			t.Errorf("%s: listens at %s, want %s", address, got, host)
		}
		_ = l.Close()
	}
	for _, address := range []string{"", "metrics", "1.2.3.4", "host:http", ":65536", "-1", "a:b:1"} {
		if l, err := Listen(t.Context(), address); err == nil || !strings.Contains(err.Error(), "listen") {
			t.Errorf("%q: listens at %v, %v", address, l, err)
		}
	}
}

func TestServeStopsAndLetsAnswersEnd(t *testing.T) {
	t.Parallel()
	l, err := Listen(t.Context(), "0")
	if err != nil {
		t.Fatal(err)
	}
	began, end := make(chan struct{}), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(began)
			<-end
			w.WriteHeader(http.StatusTeapot)
		}))
	}()
	answered := make(chan int, 1)
	go func() {
		answer, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			answered <- 0
			return
		}
		_ = answer.Body.Close()
		answered <- answer.StatusCode
	}()
	<-began
	stop()
	for { // until nobody new is let in
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		_ = c.Close()
	}
	close(end)
	if err := <-served; err != nil {
		t.Error(err)
	}
	if code := <-answered; code != http.StatusTeapot {
		t.Errorf("answered %d: an answer under way was cut off", code)
	}
	if _, err := http.Get("http://" + l.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

func TestServeSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	l, err := Listen(t.Context(), "0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := Serve(t.Context(), l, http.NotFoundHandler()); err == nil || !strings.Contains(err.Error(), "serve at 127.0.0.1") {
		t.Errorf("error %v", err)
	}
	taken, err := Listen(t.Context(), "0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := Listen(t.Context(), taken.Addr().String()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v", err)
	}
}

func TestMux(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mux := Mux(w.refreshed(), NewHealth(newStage().Now, nil))
	for path, want := range map[string]string{"/metrics": "calends_build_info{goversion=", "/healthz": `"ok": true`, "/readyz": `"ok": true`} {
		r := httptest.NewRecorder()
		mux.ServeHTTP(r, httptest.NewRequest("GET", path, nil))
		if r.Code != 200 || !strings.Contains(r.Body.String(), want) {
			t.Errorf("%s: %d %s", path, r.Code, r.Body)
		}
	}
}
