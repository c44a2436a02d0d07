package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/bucket/faulty"
)

var day = time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC)

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func store(b bucket.Bucket, c *clock) *audit.Store {
	return audit.NewStore(b, audit.Settings{Now: c.now, Log: slog.New(slog.DiscardHandler)})
}

func noon() *clock { return &clock{at: day.Add(12 * time.Hour)} }

func event(kind audit.Kind, who, object string) audit.Event {
	return audit.Event{Kind: kind, Who: who, Action: "buy", Operation: "put-order", Path: "/v1/orders/1", Object: object, Status: 200, Request: "r"}
}

// texts are the events of the bucket: kind, who, object and count.
func texts(t *testing.T, s *audit.Store) []string {
	t.Helper()
	all := []string{}
	for e, err := range s.Events(t.Context(), day, day.AddDate(0, 0, 1), audit.Place{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %s %s x%d", e.Kind, e.Who, e.Object, e.Count))
	}
	return all
}

func keysOf(t *testing.T, b bucket.Bucket) (keys []string) {
	t.Helper()
	for info, err := range b.List(t.Context(), "audit/") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func note(t *testing.T, s *audit.Store, e audit.Event) {
	t.Helper()
	if err := s.Note(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestWhatWasDoneIsThereAtOnceAndWhatWasSeenIsCounted(t *testing.T) {
	t.Parallel()
	b, c := bucket.NewMemory(), noon()
	s := store(b, c)
	see := event(audit.Saw, "anna", "")
	see.Partner = "A"
	for range 3 {
		note(t, s, see)
	}
	want(t, texts(t, s))
	note(t, s, event(audit.Did, "anna", "order 1"))
	c.add(time.Minute)
	note(t, s, see)
	other := see
	other.Partner = "B"
	note(t, s, other)
	failed := see
	failed.Status = 404
	note(t, s, failed)
	note(t, s, event(audit.Downloaded, "anna", "lines.csv"))
	note(t, s, see)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, texts(t, s),
		"did anna order 1 x1", "saw anna  x3", // one object: what waited goes along
		"downloaded anna lines.csv x1", "saw anna  x1", "saw anna  x1", "saw anna  x1", // of A, A refused, B
		"saw anna  x1") // the last one by Close
}

func TestAClosedTrailTakesNothing(t *testing.T) {
	t.Parallel()
	s := store(bucket.NewMemory(), noon())
	note(t, s, event(audit.Did, "anna", "1"))
	for range 2 {
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Note(t.Context(), event(audit.Did, "anna", "2")); err == nil {
		t.Error("a closed trail took an event")
	}
}

func TestRunWritesByItself(t *testing.T) {
	t.Parallel()
	b, c := bucket.NewMemory(), noon()
	s := audit.NewStore(b, audit.Settings{Now: c.now, Every: time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	note(t, s, event(audit.Saw, "anna", ""))
	for deadline := time.Now().Add(10 * time.Second); len(keysOf(t, b)) == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	stop()
	<-done
	want(t, texts(t, s), "saw anna  x1")
}

func TestManyAtATimeShareObjects(t *testing.T) {
	t.Parallel()
	b, c := bucket.NewMemory(), noon()
	s := store(b, c)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			if err := s.Note(context.Background(), event(audit.Did, "anna", fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got := texts(t, s)
	slices.Sort(got)
	if len(slices.Compact(got)) != 200 {
		t.Errorf("%d of 200 events", len(slices.Compact(got)))
	}
	checked, err := s.Check(t.Context(), day, day)
	if err != nil || len(checked.Faults) > 0 || checked.Events != 200 {
		t.Errorf("%+v %v", checked, err)
	}
}

func TestTwoServersAreReadInOrder(t *testing.T) {
	t.Parallel()
	b, c := bucket.NewMemory(), noon()
	one, two := store(b, c), store(b, c)
	for i := range 40 {
		note(t, []*audit.Store{one, two}[i%2], event(audit.Did, "anna", fmt.Sprintf("%02d", i)))
		c.add(time.Millisecond)
	}
	got := texts(t, one)
	if len(got) != 40 || !slices.IsSorted(got) {
		t.Errorf("got %q", got)
	}
}

func TestReadingGoesOnAfterAPlace(t *testing.T) {
	t.Parallel()
	b, c := bucket.NewMemory(), noon()
	s := store(b, c)
	for i := range 20 {
		note(t, s, event(audit.Saw, fmt.Sprintf("w%02d", i), ""))
		if i%3 == 0 {
			note(t, s, event(audit.Did, "anna", fmt.Sprint(i)))
		}
		c.add(time.Hour) // into the next day
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	whole := texts(t, s)
	for step := 1; step < 6; step++ {
		got, place := []string{}, audit.Place{}
		for {
			n := 0
			for e, err := range s.Events(t.Context(), day, day.AddDate(0, 0, 1), place) {
				if err != nil {
					t.Fatal(err)
				}
				got, place = append(got, fmt.Sprintf("%s %s %s x%d", e.Kind, e.Who, e.Object, e.Count)), e.Place
				if n++; n == step {
					break
				}
			}
			if n < step {
				break
			}
		}
		want(t, got, whole...)
	}
}

func TestNoSecretStandsInAnEvent(t *testing.T) {
	t.Parallel()
	b, c := bucket.NewMemory(), noon()
	s := store(b, c)
	const token, signed = "cal_ABCDEFGHIJKLMNOPQRSTUVWXYZ", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
	e := event(audit.Refused, "anna", "token "+token)
	e.Path, e.Name = "/local/hunter2/x?code=hunter2", signed+" "+strings.Repeat("é", 1000)
	note(t, s, e)
	for _, key := range keysOf(t, b) {
		data, err := bucket.ReadAll(t.Context(), b, key)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"hunter2", token, "c2lnbmF0dXJl", "�"} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s in %s", secret, data)
			}
		}
	}
}

// A change, a loss, a copy elsewhere: each shows. What came last and is gone does not,
// but then the instance has not said that it stopped.
func TestABrokenChainShows(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		harm func(keys []string, put func(key string, data []byte), get func(key string) []byte, remove func(key string))
		says string
	}{
		"nothing": {func([]string, func(string, []byte), func(string) []byte, func(string)) {}, ""},
		"changed": {func(k []string, put func(string, []byte), get func(string) []byte, remove func(string)) {
			data := bytes.Replace(get(k[1]), []byte(`"who":"anna"`), []byte(`"who":"bert"`), 1)
			remove(k[1])
			put(k[1], data)
		}, "has been changed"},
		"an event taken out": {func(k []string, put func(string, []byte), get func(string) []byte, remove func(string)) {
			lines := bytes.SplitAfter(get(k[1]), []byte("\n"))
			remove(k[1])
			put(k[1], lines[0])
		}, "0 events, and its header says 1"},
		"missing": {func(k []string, _ func(string, []byte), _ func(string) []byte, remove func(string)) {
			remove(k[1])
		}, "1 are missing"},
		"the first missing": {func(k []string, _ func(string, []byte), _ func(string) []byte, remove func(string)) {
			remove(k[0])
		}, ""}, // may lie on an earlier day
		"copied": {func(k []string, put func(string, []byte), get func(string) []byte, _ func(string)) {
			put(strings.Replace(k[3], "00000004", "00000005", 1), get(k[3]))
		}, "it says instance"},
		"one that came after the last": {func(k []string, put func(string, []byte), get func(string) []byte, _ func(string)) {
			data := bytes.Replace(get(k[3]), []byte(`"number":4`), []byte(`"number":5`), 1)
			put(strings.Replace(k[3], "00000004", "00000005", 1), data)
		}, "has been changed"},
		"not JSON": {func(k []string, put func(string, []byte), _ func(string) []byte, remove func(string)) {
			remove(k[2])
			put(k[2], []byte("hello\n"))
		}, "invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, c := bucket.NewMemory(), noon()
			s := store(b, c)
			for i := range 3 {
				note(t, s, event(audit.Did, "anna", fmt.Sprint(i)))
				c.add(time.Second)
			}
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			test.harm(keysOf(t, b), func(key string, data []byte) {
				if err := bucket.Put(t.Context(), b, key, data); err != nil {
					t.Fatal(err)
				}
			}, func(key string) []byte {
				data, err := bucket.ReadAll(t.Context(), b, key)
				if err != nil {
					t.Fatal(err)
				}
				return data
			}, func(key string) {
				if err := b.Delete(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			})
			checked, err := s.Check(t.Context(), day, day)
			if err != nil {
				t.Fatal(err)
			}
			if test.says == "" {
				if len(checked.Faults) > 0 {
					t.Errorf("faults %+v", checked.Faults)
				}
				return
			}
			if len(checked.Faults) == 0 || !strings.Contains(checked.Faults[0].What, test.says) {
				t.Errorf("faults %+v, want one with %q", checked.Faults, test.says)
			}
		})
	}
}

// A server that begins says what the others had: an end that is cut off shows, and so
// does a chain that is gone as a whole.
func TestOtherChainsAreNamed(t *testing.T) {
	t.Parallel()
	b, c := bucket.NewMemory(), noon()
	first := store(b, c)
	note(t, first, event(audit.Did, "anna", "1"))
	note(t, first, event(audit.Did, "anna", "2"))
	c.add(13 * time.Hour) // the next day
	second := store(b, c)
	note(t, second, event(audit.Did, "bert", "1"))
	note(t, first, event(audit.Did, "anna", "3")) // goes on meanwhile
	faults := func(from, to time.Time) string {
		checked, err := second.Check(t.Context(), from, to)
		if err != nil {
			t.Fatal(err)
		}
		all := ""
		for _, f := range checked.Faults {
			all += f.Object[len("audit/day="):len("audit/day=2026-11-23")] + " " + f.What[:len("it is missing")] + ";"
		}
		return all
	}
	next := day.AddDate(0, 0, 1)
	if got := faults(day, next); got != "" {
		t.Errorf("got %s", got)
	}
	keys := keysOf(t, b)
	for _, key := range keys[:2] {
		if err := b.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if got := faults(day, next); got != "2026-11-23 it is missing;" {
		t.Errorf("got %s", got)
	}
	if got := faults(next, next); got != "" { // that day is not looked at
		t.Errorf("got %s", got)
	}
}

func TestAnInstanceThatWasInterruptedIsOpen(t *testing.T) {
	t.Parallel()
	b, c := bucket.NewMemory(), noon()
	one, two := store(b, c), store(b, c)
	note(t, one, event(audit.Did, "anna", "1"))
	note(t, two, event(audit.Did, "anna", "2"))
	if err := two.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	checked, err := one.Check(t.Context(), day, day)
	if err != nil || !slices.Equal(checked.Open, []string{one.Instance()}) || checked.Objects != 3 {
		t.Errorf("%+v %v", checked, err)
	}
}

// A process that dies at any operation leaves a chain that is whole, with all that it
// was told is written, and the next one begins its own.
func TestDyingLeavesAWholeChain(t *testing.T) {
	t.Parallel()
	for _, kind := range []faulty.Kind{faulty.Die, faulty.DieAfter} {
		for nth := range 16 {
			under, c := bucket.NewMemory(), noon()
			s := store(faulty.New(under, faulty.Fault{Kind: kind, At: nth + 1}), c)
			want := []string{}
			for i := range 5 {
				if s.Note(t.Context(), event(audit.Did, "anna", fmt.Sprint(i))) == nil {
					want = append(want, fmt.Sprintf("did anna %d x1", i))
				}
				c.add(time.Second)
			}
			next := store(under, c)
			got := texts(t, next)
			if len(got) < len(want) || len(got) > len(want)+1 || !slices.Equal(got[:len(want)], want) {
				t.Errorf("%v at %d: got %q, want %q and at most one more", kind, nth+1, got, want)
			}
			note(t, next, event(audit.Did, "bert", ""))
			checked, err := next.Check(t.Context(), day, day)
			if err != nil || len(checked.Faults) > 0 {
				t.Errorf("%v at %d: %+v %v", kind, nth+1, checked, err)
			}
		}
	}
}

// Whatever fails at whichever write: who was told that it is written finds it, the
// chain is whole, and nothing that was seen is lost.
func TestNothingIsLostWhateverFails(t *testing.T) {
	t.Parallel()
	for _, kind := range []faulty.Kind{faulty.Fail, faulty.FailAfter, faulty.Partial, faulty.Refuse} {
		for nth := range 24 {
			t.Run(fmt.Sprintf("%v at %d", kind, nth), func(t *testing.T) {
				t.Parallel()
				under, c := bucket.NewMemory(), noon()
				s := store(faulty.New(under, faulty.Fault{Kind: kind, At: nth + 1}), c)
				told := 0
				for i := range 6 {
					if err := s.Note(t.Context(), event(audit.Saw, "bert", "")); err != nil {
						t.Fatal(err)
					}
					object := fmt.Sprint(i)
					if err := s.Note(t.Context(), event(audit.Did, "anna", object)); err == nil {
						told++
						if !slices.Contains(texts(t, store(under, c)), "did anna "+object+" x1") {
							t.Errorf("event %s was written, and is not there", object)
						}
					}
					c.add(time.Second)
				}
				if err := s.Close(t.Context()); err != nil {
					if err := s.Close(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				checked, err := store(under, c).Check(t.Context(), day, day)
				if err != nil || len(checked.Faults) > 0 || len(checked.Open) > 0 {
					t.Errorf("%+v %v", checked, err)
				}
				saw := int64(0)
				for e, err := range store(under, c).Events(t.Context(), day, day, audit.Place{}) {
					if err != nil {
						t.Fatal(err)
					}
					if e.Kind == audit.Saw {
						saw += e.Count
					}
				}
				if saw != 6 || told < 5 {
					t.Errorf("%d of 6 seen, %d told", saw, told)
				}
			})
		}
	}
}

// readOnly is a bucket that takes nothing for a while.
type readOnly struct {
	bucket.Bucket
	on bool
}

func (b *readOnly) Create(ctx context.Context, key string) (bucket.Writer, error) {
	if b.on {
		return nil, errors.New("the bucket is read-only")
	}
	return b.Bucket.Create(ctx, key)
}

// What is done is refused at once while the trail cannot be written; what is only seen,
// after a while, and then the server is not ready.
func TestNothingIsSeenForLongWithoutATrail(t *testing.T) {
	t.Parallel()
	b, c := &readOnly{Bucket: bucket.NewMemory(), on: true}, noon()
	s := store(b, c)
	saw := func(want bool) {
		t.Helper()
		if err := s.Note(t.Context(), event(audit.Saw, "bert", "")); (err == nil) != want {
			t.Errorf("seen at %s: %v", c.now().Format(time.TimeOnly), err)
		}
	}
	saw(true)
	if s.Flush(t.Context()) == nil || s.Ready(t.Context()) == nil {
		t.Error("nobody is told that the trail cannot be written")
	}
	c.add(29 * time.Second)
	saw(true)
	c.add(time.Second)
	saw(false)
	b.on = false
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	saw(true)
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, texts(t, s), "saw bert  x1", "saw bert  x1", "saw bert  x1")
}
