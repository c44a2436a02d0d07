package webhook

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

func ended(result history.Result) history.Ended {
	return history.Ended{Result: result, Ended: midnight.Add(time.Minute),
		Begun: history.Begun{Attempt: 2, Started: midnight,
			Slice: history.Slice{Job: "import-prices", Subject: "s3://a/b", Month: pricing.MonthOf(2026, time.October)}}}
}

func newHooks(t *testing.T, c *clock, b bucket.Bucket, options ...Options) *Hooks {
	t.Helper()
	for i := range options {
		options[i].Secret = Secrets{{Env: "KEY"}}
	}
	hs, err := NewHooks(options, World{Now: c.Now, Wait: c.Wait, Agent: "calends/test",
		Lookup: func(string) (string, bool) { return whsec(key), true }}, b)
	if err != nil {
		t.Fatal(err)
	}
	return hs
}

func TestWhatIsTold(t *testing.T) {
	t.Parallel()
	failed, parked, waiting := ended(history.Failed), ended(history.Interrupted), ended(history.Waiting)
	failed.Error, parked.Error = "disk full", "the process ended without a word"
	parked.Standing.Parked = true
	waiting.Code, waiting.Reason = "approval", "waits for approval of revision 3"
	passes := waiting
	passes.Code = "not-published"
	done := ended(history.Done)
	done.Outcome = history.Outcome{Summary: "one sheet", Counts: map[string]int64{"records": 7}, Exceptions: 1}
	const slice = `"slice":{"job":"import-prices","subject":"s3://a/b","month":"2026-10"},"attempt":2`
	for name, test := range map[string]struct {
		run  history.Ended
		on   []string
		want string // "": nothing
	}{
		"done":                      {done, nil, `{"type":"run.finished",` + slice + `,"counts":{"records":7},"exceptions":1,"summary":"one sheet"}`},
		"failed":                    {failed, nil, `{"type":"run.failed",` + slice + `,"exceptions":0,"reason":"disk full"}`},
		"waiting":                   {waiting, nil, `{"type":"run.waiting",` + slice + `,"exceptions":0,"code":"approval","reason":"waits for approval of revision 3"}`},
		"waiting for its time":      {passes, nil, ``},
		"parked":                    {parked, nil, `{"type":"run.parked",` + slice + `,"exceptions":0,"reason":"the process ended without a word"}`},
		"parked, to who wants it":   {parked, []string{"parked"}, `{"type":"run.parked",` + slice + `,"exceptions":0,"reason":"the process ended without a word"}`},
		"parked, to who wants both": {parked, []string{"failed", "parked"}, `{"type":"run.parked",` + slice + `,"exceptions":0,"reason":"the process ended without a word"}`},
		"parked, as a failure":      {parked, []string{"failed"}, `{"type":"run.failed",` + slice + `,"exceptions":0,"reason":"the process ended without a word"}`},
		"a failure is not parked":   {failed, []string{"parked"}, ``},
		"stopped":                   {ended(history.Stopped), nil, ``},
		"done, to who wants worse":  {done, []string{"failed", "waiting", "parked"}, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &clock{now: midnight}
			to := receive(t, c.Now, key, answer(200))
			told, err := newHooks(t, c, bucket.NewMemory(), Options{URL: to.server.URL + "/token", On: test.on}).Tell(t.Context(), test.run)
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "" {
				if len(told) != 0 || to.asked != 0 {
					t.Errorf("told %v in %d requests, want nobody", told, to.asked)
				}
				return
			}
			if want := []history.Told{{Address: to.server.URL}}; !slices.Equal(told, want) {
				t.Errorf("told %v, want %v", told, want)
			}
			id, stamp := `"id":"`+idOf(test.run.Begun)+`",`, `"timestamp":"2026-11-01T00:01:00Z",`
			got := strings.Replace(strings.Replace(to.bodies[0], id, "", 1), stamp, "", 1)
			if got != test.want || len(to.bodies[0]) != len(got)+len(id)+len(stamp) {
				t.Errorf("got  %s\nwant %s", to.bodies[0], test.want)
			}
		})
	}
}

func TestAnIdIsOfOneAttempt(t *testing.T) {
	t.Parallel()
	one := ended(history.Done).Begun
	seen := map[string]string{idOf(one): "itself"}
	for name, change := range map[string]func(*history.Begun){
		"another attempt": func(b *history.Begun) { b.Attempt++ },
		"another month":   func(b *history.Begun) { b.Slice.Month++ },
		"another subject": func(b *history.Begun) { b.Slice.Subject = "" },
		"another bucket":  func(b *history.Begun) { b.Started = b.Started.Add(time.Millisecond) },
	} {
		other := one
		change(&other)
		if like, ok := seen[idOf(other)]; ok {
			t.Errorf("%s has the id of %s", name, like)
		}
		seen[idOf(other)] = name
	}
	other := one
	other.Started = one.Started.In(time.FixedZone("", 7200))
	if idOf(other) != idOf(one) {
		t.Error("the id depends on the zone")
	}
	if err := checkID(idOf(one)); err != nil {
		t.Error(err)
	}
}

// TestOneIsIll: the well one hears a message once, whatever the ill one does and
// however often the program is started; the ill one hears it when it is well again.
func TestOneIsIll(t *testing.T) {
	t.Parallel()
	c := &clock{now: midnight}
	b := bucket.NewMemory()
	well := receive(t, c.Now, key, answer(200))
	ill := receive(t, c.Now, key, answer(500))
	options := []Options{{URL: well.server.URL}, {URL: ill.server.URL + "/token"}}
	run := ended(history.Done)

	hs := newHooks(t, c, b, options...)
	told, err := hs.Tell(t.Context(), run)
	var undelivered *UndeliveredError
	if !errors.As(err, &undelivered) || told != nil || strings.Contains(err.Error(), "token") {
		t.Fatalf("told %v, error %v", told, err)
	}
	if well.asked != 1 || ill.asked != 4 {
		t.Errorf("%d and %d requests, want 1 and 4", well.asked, ill.asked)
	}
	// It is left alone for a while.
	if _, err := hs.Tell(t.Context(), run); err == nil || !strings.Contains(err.Error(), "left alone until 2026-11-01T00:02:36Z") || ill.asked != 4 {
		t.Errorf("error %v after %d requests", err, ill.asked)
	}
	// Then it gets another chance, and rests for longer.
	_ = c.Wait(t.Context(), rest)
	if _, err := hs.Tell(t.Context(), run); err == nil || ill.asked != 8 {
		t.Errorf("error %v after %d requests", err, ill.asked)
	}
	_ = c.Wait(t.Context(), rest)
	if _, err := hs.Tell(t.Context(), run); err == nil || !strings.Contains(err.Error(), "left alone") || ill.asked != 8 {
		t.Errorf("error %v after %d requests", err, ill.asked)
	}
	// The next process knows whom it has reached.
	ill.script[0] = answer(200)
	told, err = newHooks(t, c, b, options...).Tell(t.Context(), run)
	if want := []history.Told{{Address: well.server.URL}, {Address: ill.server.URL}}; err != nil || !slices.Equal(told, want) {
		t.Errorf("told %v, error %v, want %v", told, err, want)
	}
	if well.asked != 1 || ill.asked != 9 || ill.seen[idOf(run.Begun)] != 9 {
		t.Errorf("%d and %d requests, want 1 and 9", well.asked, ill.asked)
	}
}

func TestGoneIsSettled(t *testing.T) {
	t.Parallel()
	c := &clock{now: midnight}
	gone, ill := receive(t, c.Now, key, answer(410)), receive(t, c.Now, key, answer(500))
	b := bucket.NewMemory()
	options := []Options{{URL: gone.server.URL}, {URL: ill.server.URL}}
	run := ended(history.Done)
	if _, err := newHooks(t, c, b, options...).Tell(t.Context(), run); err == nil || errors.Is(err, ErrGone) {
		t.Errorf("error %v, want that of the other alone", err)
	}
	ill.script[0] = answer(200)
	told, err := newHooks(t, c, b, options...).Tell(t.Context(), run)
	want := []history.Told{{Address: gone.server.URL, Error: ErrGone.Error()}, {Address: ill.server.URL}}
	if err != nil || !slices.Equal(told, want) || gone.asked != 1 {
		t.Errorf("told %v, error %v, %d requests, want %v", told, err, gone.asked, want)
	}
}

// TestNothingIsKeptWhereAllIsWell: the run's own record says who was told.
func TestNothingIsKeptWhereAllIsWell(t *testing.T) {
	t.Parallel()
	c := &clock{now: midnight}
	a, b := receive(t, c.Now, key, answer(200)), receive(t, c.Now, key, answer(200))
	store := bucket.NewMemory()
	if _, err := newHooks(t, c, store, Options{URL: a.server.URL}, Options{URL: b.server.URL}).Tell(t.Context(), ended(history.Done)); err != nil {
		t.Fatal(err)
	}
	for info, err := range store.List(t.Context(), "") {
		t.Errorf("found %s, %v", info.Key, err)
	}
}

// TestAReceiverThatKeepsIdsHearsOnce: what the idempotency key is for.
func TestAReceiverThatKeepsIdsHearsOnce(t *testing.T) {
	t.Parallel()
	c := &clock{now: midnight}
	// It acts, and its answer is lost; then the process dies before it can note anything.
	to := receive(t, c.Now, key, breakOff, breakOff, breakOff, breakOff, answer(200))
	for range 2 {
		_, _ = newHooks(t, c, bucket.NewMemory(), Options{URL: to.server.URL}).Tell(t.Context(), ended(history.Done))
	}
	if len(to.bodies) != 5 || len(to.seen) != 1 || to.forged > 0 {
		t.Errorf("%d messages of %d ids: want 5 of 1", len(to.bodies), len(to.seen))
	}
	var m Message
	if err := json.Unmarshal([]byte(to.bodies[4]), &m); err != nil || to.seen[m.ID] != 5 {
		t.Errorf("the id in the body is %s, those of the headers %v", m.ID, to.seen)
	}
}

func TestHooksThatCannotBe(t *testing.T) {
	t.Parallel()
	good := Options{URL: "https://example.com/x?token", Secret: Secrets{{Env: "KEY"}}}
	other := Options{URL: "https://example.com/y?token", Secret: Secrets{{Env: "NONE"}}}
	bad := Options{URL: "https://example.com/z?token"}
	world := World{Now: time.Now, Lookup: func(name string) (string, bool) { return map[string]string{"KEY": whsec(key)}[name], true }}
	if _, err := NewHooks([]Options{good, bad}, world, nil); err == nil || !strings.HasPrefix(err.Error(), "webhook 2: secret is missing") {
		t.Errorf("error %v", err)
	}
	if _, err := NewHooks([]Options{good, good}, world, nil); err == nil || !strings.HasPrefix(err.Error(), "webhook 2: the address stands there already") {
		t.Errorf("error %v", err)
	}
	hs, err := NewHooks([]Options{good, other}, world, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := hs.Check(); err == nil || err.Error() != "webhook 2 (https://example.com): secret is missing: environment variable NONE is empty or not there" {
		t.Errorf("error %v", err)
	}
}
