package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/calends/calends/jobs/secret"
)

const key = "an old key of 24 letters"

var (
	midnight = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	closed   = Message{Type: Finished, ID: "run_2026-10_close_2", Time: midnight, Attempt: 2,
		Slice: Slice{Job: "close", Month: "2026-10"}, Counts: map[string]int64{"invoices": 4}, Exceptions: 1}
)

// clock is time that passes when somebody waits.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.waits = append(c.waits, d)
	return context.Cause(ctx)
}

func whsec(key string) string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(key)) }

// rig is a hook with its environment.
type rig struct {
	*Hook
	env map[string]string
}

func newRig(t *testing.T, c *clock, o Options) rig {
	t.Helper()
	r := rig{env: map[string]string{"KEY": whsec(key)}}
	if o.Secret == nil {
		o.Secret = Secrets{{Env: "KEY"}}
	}
	hook, err := New(o, World{Now: c.Now, Wait: c.Wait, Agent: "calends/test",
		Lookup: func(name string) (string, bool) { v, ok := r.env[name]; return v, ok }})
	if err != nil {
		t.Fatal(err)
	}
	r.Hook = hook
	return r
}

func TestSignatureOfTheSpecification(t *testing.T) {
	t.Parallel()
	k, err := keyOf(secret.Of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	if err != nil {
		t.Fatal(err)
	}
	got := sign([][]byte{k}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAMessageArrives(t *testing.T) {
	t.Parallel()
	c := &clock{now: midnight}
	to := receive(t, c.Now, key, answer(http.StatusNoContent))
	r := newRig(t, c, Options{URL: to.server.URL + "/calends?tenant=7"})
	if err := r.Send(t.Context(), closed); err != nil {
		t.Fatal(err)
	}
	want := `{"type":"run.finished","id":"run_2026-10_close_2","timestamp":"2026-11-01T00:00:00Z",` +
		`"slice":{"job":"close","month":"2026-10"},"attempt":2,"counts":{"invoices":4},"exceptions":1}`
	if len(to.bodies) != 1 || to.bodies[0] != want || to.ids[0] != closed.ID || to.stamps[0] != "1793491200" {
		t.Errorf("got %s %s %s (%d not trusted), want %s", to.ids, to.stamps, to.bodies, to.forged, want)
	}
}

// TestAnswers is the list of what receivers do, and what follows.
func TestAnswers(t *testing.T) {
	t.Parallel()
	type script = []func(http.ResponseWriter, *http.Request)
	const s = time.Second
	for name, test := range map[string]struct {
		script script
		waits  []time.Duration
		says   string // "" is delivered
	}{
		"200":                                {script{answer(200)}, nil, ""},
		"202":                                {script{answer(202)}, nil, ""},
		"a 500 that passes":                  {script{answer(500), answer(200)}, []time.Duration{1 * s}, ""},
		"the last try":                       {script{answer(500), answer(502), answer(503), answer(200)}, []time.Duration{1 * s, 5 * s, 30 * s}, ""},
		"500 for ever":                       {script{answer(500)}, []time.Duration{1 * s, 5 * s, 30 * s}, "tries: 4): it answered 500 Internal Server Error"},
		"a signature that it does not trust": {script{answer(401)}, []time.Duration{1 * s, 5 * s, 30 * s}, "tries: 4): it answered 401 Unauthorized"},
		"an address that it does not know":   {script{answer(404)}, []time.Duration{1 * s, 5 * s, 30 * s}, "tries: 4): it answered 404 Not Found"},
		"a number of its own":                {script{answer(599)}, []time.Duration{1 * s, 5 * s, 30 * s}, "tries: 4): it answered 599"},
		"gone":                               {script{answer(410)}, nil, "the receiver is gone (410)"},
		"gone at last":                       {script{answer(500), answer(410)}, []time.Duration{1 * s}, "the receiver is gone (410)"},
		"busy for a while":                   {script{busy(429, "20"), answer(200)}, []time.Duration{20 * s}, ""},
		"busy until a date":                  {script{busy(503, "Sun, 01 Nov 2026 00:00:45 GMT"), answer(200)}, []time.Duration{45 * s}, ""},
		"busy until yesterday":               {script{busy(503, "Sat, 31 Oct 2026 00:00:00 GMT"), answer(200)}, []time.Duration{1 * s}, ""},
		"busy for a nonsense":                {script{busy(429, "soon"), answer(200)}, []time.Duration{1 * s}, ""},
		"busy for a minute":                  {script{busy(429, "60"), answer(200)}, []time.Duration{60 * s}, ""},
		"busy for longer":                    {script{busy(429, "61"), answer(200)}, nil, "tries: 1): it answered 429 Too Many Requests"},
		"busy for ages":                      {script{busy(429, "9223372036854775807"), answer(200)}, nil, "tries: 1): it answered 429 Too Many Requests"},
		"a line that breaks":                 {script{breakOff, answer(200)}, []time.Duration{1 * s}, ""},
		"silence":                            {script{hang}, []time.Duration{1 * s, 5 * s, 30 * s}, "tries: 4): no answer within 100ms"},
		"silence that passes":                {script{hang, answer(200)}, []time.Duration{1 * s}, ""},
		"an answer without an end":           {script{endless}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &clock{now: midnight}
			to := receive(t, c.Now, key, test.script...)
			timeout := 5 * time.Second
			if strings.HasPrefix(name, "silence") {
				timeout = 100 * time.Millisecond
			}
			r := newRig(t, c, Options{URL: to.server.URL + "/path-token?token=query-token", Timeout: timeout})
			err := r.Send(t.Context(), closed)
			if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.HasSuffix(err.Error(), test.says) &&
				!strings.Contains(err.Error(), test.says+":")) {
				t.Errorf("error %v, want %q", err, test.says)
			}
			if err != nil && (strings.Contains(err.Error(), "token") || strings.Contains(err.Error(), key)) {
				t.Errorf("the error tells too much: %v", err)
			}
			if !slices.Equal(c.waits, test.waits) {
				t.Errorf("waited %v, want %v", c.waits, test.waits)
			}
			// Every sending is one that the receiver can trust, of the same id and bytes.
			to.mu.Lock()
			defer to.mu.Unlock()
			if to.forged > 0 || to.asked != len(test.waits)+1 || to.seen[closed.ID] != to.asked {
				t.Errorf("%d requests, %d not trusted, %v", to.asked, to.forged, to.seen)
			}
			if len(slices.Compact(slices.Clone(to.bodies))) != 1 {
				t.Errorf("bodies differ: %s", to.bodies)
			}
		})
	}
}

func TestEachSendingIsStampedAnew(t *testing.T) {
	t.Parallel()
	c := &clock{now: midnight}
	to := receive(t, c.Now, key, answer(500))
	r := newRig(t, c, Options{URL: to.server.URL})
	var undelivered *UndeliveredError
	if err := r.Send(t.Context(), closed); !errors.As(err, &undelivered) || undelivered.Tries != 4 {
		t.Errorf("error %v, want an UndeliveredError of 4 tries", err)
	}
	if want := []string{"1793491200", "1793491201", "1793491206", "1793491236"}; !slices.Equal(to.stamps, want) {
		t.Errorf("stamps %v, want %v", to.stamps, want)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	c := &clock{now: midnight}
	elsewhere := receive(t, c.Now, key, answer(200))
	to := receive(t, c.Now, key, redirect(elsewhere.server.URL))
	r := newRig(t, c, Options{URL: to.server.URL})
	err := r.Send(t.Context(), closed)
	if err == nil || !strings.Contains(err.Error(), "it answered 307, a redirect, which is not followed") {
		t.Errorf("error %v", err)
	}
	if elsewhere.asked != 0 || to.asked != 4 {
		t.Errorf("%d requests, %d elsewhere", to.asked, elsewhere.asked)
	}
}

func TestWhoIsGoneIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	c := &clock{now: midnight}
	to := receive(t, c.Now, key, answer(410))
	r := newRig(t, c, Options{URL: to.server.URL})
	for range 3 {
		if err := r.Send(t.Context(), closed); !errors.Is(err, ErrGone) {
			t.Errorf("error %v, want ErrGone", err)
		}
	}
	if to.asked != 1 {
		t.Errorf("%d requests, want 1", to.asked)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	c := &clock{now: midnight}
	to := receive(t, c.Now, key, answer(200))
	to.server.Close()
	r := newRig(t, c, Options{URL: to.server.URL + "/x?token=query-token"})
	err := r.Send(t.Context(), closed)
	if err == nil || !strings.Contains(err.Error(), "tries: 4)") || !strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "token") {
		t.Errorf("error %v", err)
	}
}

func TestStoppedWhileWaiting(t *testing.T) {
	t.Parallel()
	stop := errors.New("asked to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	c := &clock{now: midnight}
	to := receive(t, c.Now, key, answer(500))
	r := newRig(t, c, Options{URL: to.server.URL})
	r.Hook.world.Wait = func(ctx context.Context, _ time.Duration) error {
		cancel(stop)
		return context.Cause(ctx)
	}
	if err := r.Send(ctx, closed); !errors.Is(err, stop) || to.asked != 1 {
		t.Errorf("error %v after %d requests, want the cause of the stop after 1", err, to.asked)
	}

	ctx, cancel = context.WithCancelCause(t.Context())
	to = receive(t, c.Now, key, func(w http.ResponseWriter, request *http.Request) {
		cancel(stop)
		hang(w, request)
	})
	if err := newRig(t, c, Options{URL: to.server.URL}).Send(ctx, closed); !errors.Is(err, stop) || to.asked != 1 {
		t.Errorf("error %v after %d requests, want the cause of the stop after 1", err, to.asked)
	}
}

// TestAnExchangeOfKeys: the new key is added, then the receiver learns it, then the old
// one is taken away. No message is lost on the way.
func TestAnExchangeOfKeys(t *testing.T) {
	t.Parallel()
	const newKey = "a new key of some 25 letters"
	c := &clock{now: midnight}
	to := receive(t, c.Now, key, answer(200))
	name := filepath.Join(t.TempDir(), "key")
	write := func(text string) {
		if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(newKey) // of this form, too: any text of some length
	both := newRig(t, c, Options{URL: to.server.URL, Secret: Secrets{{Env: "KEY"}, {File: name}}})
	send := func(h rig) {
		if err := h.Send(t.Context(), closed); err != nil {
			t.Fatal(err)
		}
	}
	send(both)
	to.key = []byte(newKey)
	send(both)
	alone := newRig(t, c, Options{URL: to.server.URL, Secret: Secrets{{File: name}}})
	send(alone)
	// A file that is replaced holds without a restart.
	to.key = []byte("the third key of 24 bytes")
	write(whsec(string(to.key)))
	send(alone)
	if len(to.bodies) != 4 || to.forged != 0 {
		t.Errorf("%d trusted and %d not, want 4 and 0", len(to.bodies), to.forged)
	}
}

func TestSecretsThatCannotSign(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ value, says string }{
		"none":                  {"", "secret is missing: environment variable KEY"},
		"a short word":          {"opensesame", "secret of 10 characters"},
		"no base64":             {"whsec_!!opensesame!!", "not base64"},
		"23 bytes":              {whsec(strings.Repeat("x", 23)), "secret of 23 bytes: want 24 to 64"},
		"65 bytes":              {whsec(strings.Repeat("x", 65)), "secret of 65 bytes: want 24 to 64"},
		"24 bytes":              {whsec(strings.Repeat("x", 24)), ""},
		"64 bytes":              {whsec(strings.Repeat("x", 64)), ""},
		"a phrase of 16":        {strings.Repeat("x", 16), ""},
		"a phrase of 15":        {strings.Repeat("x", 15), "secret of 15 characters"},
		"a phrase beyond block": {strings.Repeat("x", 100), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &clock{now: midnight}
			to := receive(t, c.Now, key, answer(200))
			r := newRig(t, c, Options{URL: to.server.URL})
			r.env["KEY"] = test.value
			check, send := r.Check(), r.Send(t.Context(), closed)
			for _, err := range []error{check, send} {
				if (test.says == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), test.says) ||
					strings.Contains(err.Error(), "opensesame") || strings.Contains(err.Error(), "xxxx")) {
					t.Errorf("error %v, want %q", err, test.says)
				}
			}
			if (to.asked == 0) != (test.says != "") {
				t.Errorf("%d requests", to.asked)
			}
		})
	}
}

func TestMessagesThatCannotBeSent(t *testing.T) {
	t.Parallel()
	c := &clock{now: midnight}
	to := receive(t, c.Now, key, answer(200))
	r := newRig(t, c, Options{URL: to.server.URL})
	for _, id := range []string{"", "a.1793491200", "a b", "a\nb", "ä", strings.Repeat("x", maxID+1)} {
		m := closed
		m.ID = id
		if err := r.Send(t.Context(), m); err == nil || !strings.Contains(err.Error(), "message id") {
			t.Errorf("id %q: error %v", id, err)
		}
	}
	if to.asked > 0 {
		t.Errorf("%d requests, want none", to.asked)
	}
}

func TestALongReasonIsCut(t *testing.T) {
	t.Parallel()
	c := &clock{now: midnight}
	to := receive(t, c.Now, key, answer(200))
	m := closed
	m.Type, m.Reason = Failed, "x"+strings.Repeat("ü", 100_000)
	if err := newRig(t, c, Options{URL: to.server.URL}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var got Message
	if err := json.Unmarshal([]byte(to.bodies[0]), &got); err != nil {
		t.Fatal(err)
	}
	if want := "x" + strings.Repeat("ü", 2047) + "..."; got.Reason != want {
		t.Errorf("a reason of %d bytes, want %d", len(got.Reason), len(want))
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	const good = `{url: "https://example.com/x", secret: {env: KEY}`
	for text, says := range map[string]string{
		good + "}": "",
		good + ", on: [finished, failed, waiting, parked], timeout: 1m}":           "",
		`{url: "http://127.0.0.1:8080/x", secret: {env: KEY}}`:                     "",
		`{url: "http://[::1]/x", secret: [{env: KEY}, {file: /run/key}]}`:          "",
		`{url: "http://localhost/x", secret: {env: KEY}}`:                          "",
		`{url: "http://example.com/x?token", plainHttp: true, secret: {env: KEY}}`: "",
		`{url: "http://example.com/x?token", secret: {env: KEY}}`:                  "plain http is for this machine only",
		`{url: "http://localhost.example.com/token", secret: {env: KEY}}`:          "plain http is for this machine only",
		`{url: "ftp://example.com/token", secret: {env: KEY}}`:                     "want https://host/path",
		`{url: "example.com/token", secret: {env: KEY}}`:                           "want https://host/path",
		`{url: "https:///token", secret: {env: KEY}}`:                              "want https://host/path",
		`{url: "https://example.com/%zz?token", secret: {env: KEY}}`:               "cannot be read",
		`{secret: {env: KEY}}`: "want https://host/path",
		`{url: "https://me:token@example.com/x", secret: {env: KEY}}`: "user and password do not stand",
		`{url: "https://example.com/x"}`:                              "secret is missing",
		`{url: "https://example.com/x", secret: token}`:               "does not stand in the configuration",
		`{url: "https://example.com/x", secret: [token]}`:             "does not stand in the configuration",
		good + ", on: [finish]}":                                      `on: "finish": want failed, finished, parked, waiting`,
		good + ", timeout: 61s}":                                      "timeout 1m1s: want at most 1m",
		good + ", timeout: -1s}":                                      "timeout -1s",
	} {
		var o Options
		d := yaml.NewDecoder(strings.NewReader(text))
		d.KnownFields(true)
		err := d.Decode(&o)
		if err == nil {
			err = o.Validate()
		}
		if (says == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "token")) {
			t.Errorf("%s: error %v, want %q", text, err, says)
		}
	}
}

func TestWhoIsTold(t *testing.T) {
	t.Parallel()
	c := &clock{now: midnight}
	all := newRig(t, c, Options{URL: "https://example.com/a"})
	some := newRig(t, c, Options{URL: "https://example.com/b?token=x", On: []string{"failed", "parked"}})
	for message, want := range map[Type][2]bool{Finished: {true, false}, Failed: {true, true}, Waiting: {true, false}, Parked: {true, true}} {
		if got := [2]bool{all.Wants(message), some.Wants(message)}; got != want {
			t.Errorf("%s: wanted %v, want %v", message, got, want)
		}
	}
	again := newRig(t, c, Options{URL: "https://example.com/a", On: []string{"failed"}, Timeout: time.Second})
	if all.Key() == some.Key() || all.Key() != again.Key() || len(all.Key()) != 12 {
		t.Errorf("keys %s, %s, %s: want the same for the same address", all.Key(), some.Key(), again.Key())
	}
	if some.String() != "https://example.com" {
		t.Errorf("named %s, want the host alone", some)
	}
}
