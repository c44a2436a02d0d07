package history_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs/history"
)

func at(t testing.TB, text string) time.Time {
	t.Helper()
	instant, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return instant
}

// line writes where a slice stands the way the table below says it.
func line(s history.Standing) string {
	parts := []string{}
	add := func(show bool, format string, args ...any) {
		if show {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	clock := func(t time.Time) string { return t.UTC().Format("02T15:04") }
	add(!s.Done.IsZero(), "done %s", clock(s.Done))
	add(s.Basis != "", "of %s", s.Basis)
	add(s.Failures > 0, "failures %d", s.Failures)
	add(s.Interruptions > 0, "interruptions %d", s.Interruptions)
	add(s.Waiting != "", "waits for %s", s.Waiting)
	add(s.Waits > 0, "waits %d", s.Waits)
	add(!s.NotBefore.IsZero(), "not before %s", clock(s.NotBefore))
	add(s.Parked, "parked")
	return strings.Join(parts, ", ")
}

// Four failures park, with pauses of 10, 20 and at most 30 minutes; so do eight
// attempts in a row that ended without a word, five of them without a pause.
func TestRetry(t *testing.T) {
	t.Parallel()
	retry := history.Retry{Limit: 4, First: 10 * time.Minute, Most: 30 * time.Minute, Interruptions: 8}
	const tick, now = "2026-10-03T02:00:00Z", "2026-10-03T06:00:00Z"
	done, done2 := at(t, "2026-10-02T02:00:00Z"), at(t, tick)
	tests := []struct {
		name   string
		before history.Standing
		ended  history.Ended
		want   string
	}{
		{"the first is done", history.Standing{}, history.Ended{Result: history.Done}, "done 03T02:00"},
		{"done again", history.Standing{Done: done, Basis: "a"}, history.Ended{Result: history.Done, Outcome: history.Outcome{Basis: "b"}}, "done 03T02:00, of b"},
		{"done by hand for an older tick", history.Standing{Done: at(t, now)}, history.Ended{Result: history.Done}, "done 03T06:00"},
		{"done clears all", history.Standing{Failures: 4, Interruptions: 2, Parked: true, Waiting: "input", Waits: 3, NotBefore: at(t, now)}, history.Ended{Result: history.Done}, "done 03T02:00"},
		{"done by a clock a week ahead", history.Standing{Done: done2.Add(7 * 24 * time.Hour)}, history.Ended{Result: history.Done}, "done 03T02:00"},

		{"the first failure", history.Standing{Done: done, Basis: "a"}, history.Ended{Result: history.Failed}, "done 02T02:00, of a, failures 1, not before 03T06:10"},
		{"the second", history.Standing{Failures: 1}, history.Ended{Result: history.Failed}, "failures 2, not before 03T06:20"},
		{"the third", history.Standing{Failures: 2}, history.Ended{Result: history.Failed}, "failures 3, not before 03T06:30"},
		{"the fourth parks", history.Standing{Failures: 3}, history.Ended{Result: history.Failed}, "failures 4, not before 03T06:30, parked"},
		{"by hand, parked", history.Standing{Failures: 4, Parked: true}, history.Ended{Result: history.Failed}, "failures 5, not before 03T06:30, parked"},
		{"by hand, parked, and done", history.Standing{Failures: 4, Parked: true}, history.Ended{Result: history.Done}, "done 03T02:00"},
		{"by hand, parked, and it waits now", history.Standing{Failures: 4, Parked: true}, history.Ended{Result: history.Waiting, Code: "approval"}, "waits for approval"},
		{"failures around an interruption", history.Standing{Failures: 2, Interruptions: 1}, history.Ended{Result: history.Failed}, "failures 3, not before 03T06:30"},

		{"interrupted", history.Standing{Done: done, Failures: 2}, history.Ended{Result: history.Interrupted}, "done 02T02:00, failures 2, interruptions 1"},
		{"interrupted five times", history.Standing{Interruptions: 4}, history.Ended{Result: history.Interrupted}, "interruptions 5"},
		{"six times", history.Standing{Interruptions: 5}, history.Ended{Result: history.Interrupted}, "interruptions 6, not before 03T06:10"},
		{"once too often", history.Standing{Interruptions: 7}, history.Ended{Result: history.Interrupted}, "interruptions 8, not before 03T06:30, parked"},
		{"interrupted by hand, parked", history.Standing{Failures: 4, Parked: true}, history.Ended{Result: history.Interrupted}, "failures 4, interruptions 1, parked"},

		{"the plan says that it waits", history.Standing{Done: done, Basis: "a", Failures: 2}, history.Ended{Result: history.Waiting, Code: "import"}, "done 02T02:00, waits for import"},
		{"it waits until something changes", history.Standing{}, history.Ended{Result: history.Waiting, Code: "held", Tried: true, Outcome: history.Outcome{Basis: "input 7"}}, "of input 7, waits for held"},
		{"it waits, and nothing tells for how long", history.Standing{}, history.Ended{Result: history.Waiting, Code: "not-published", Tried: true}, "waits for not-published, waits 1, not before 03T06:10"},
		{"and waits", history.Standing{Waits: 1, Waiting: "not-published"}, history.Ended{Result: history.Waiting, Code: "not-published", Tried: true}, "waits for not-published, waits 2, not before 03T06:20"},
		{"and waits, but is never parked", history.Standing{Waits: 99, Waiting: "not-published"}, history.Ended{Result: history.Waiting, Code: "not-published", Tried: true}, "waits for not-published, waits 100, not before 03T06:30"},

		{"stopped", history.Standing{Done: done, Failures: 2, NotBefore: at(t, "2026-10-03T05:00:00Z"), Waiting: "x", Parked: true}, history.Ended{Result: history.Stopped},
			"done 02T02:00, failures 2, waits for x, not before 03T05:00, parked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.ended.Tick, tt.ended.Ended = done2, at(t, now)
			if got := line(retry.After(tt.before, tt.ended)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Pauses never shrink, and never exceed the longest, whatever is configured.
func TestPausesGrow(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-10-03T06:00:00Z")
	for _, retry := range []history.Retry{
		history.DefaultRetry(),
		{Limit: 1 << 30, First: time.Hour, Most: time.Hour, Interruptions: 1},
		{Limit: 1 << 30, First: time.Hour, Most: time.Minute, Interruptions: 1},
		{Limit: 1 << 30, First: 7 * time.Second, Most: math.MaxInt64, Interruptions: 1},
	} {
		var pause time.Duration
		for failures := range 100 {
			after := retry.After(history.Standing{Failures: failures}, history.Ended{Result: history.Failed, Ended: now})
			next := after.NotBefore.Sub(now)
			if next < pause || next > retry.Most || next <= 0 {
				t.Fatalf("%+v: after %d failures a pause of %s, before it %s", retry, failures+1, next, pause)
			}
			pause = next
		}
	}
}

// A slice that failed is left alone until its time, one whose time lies absurdly far
// ahead is not: the clock that said so was wrong.
func TestRests(t *testing.T) {
	t.Parallel()
	retry := history.Retry{Limit: 4, First: time.Minute, Most: time.Hour, Interruptions: 3}
	now := at(t, "2026-10-03T06:00:00Z")
	tests := []struct {
		notBefore string
		want      bool
	}{
		{"0001-01-01T00:00:00Z", false},
		{"2026-10-03T05:59:59Z", false},
		{"2026-10-03T06:00:00Z", false},
		{"2026-10-03T06:00:01Z", true},
		{"2026-10-04T07:00:00Z", true},
		{"2026-10-04T07:00:01Z", false},
		{"2036-01-01T00:00:00Z", false},
	}
	for _, tt := range tests {
		if got := retry.Rests(history.Standing{NotBefore: at(t, tt.notBefore)}, now); got != tt.want {
			t.Errorf("not before %s: rests %v, want %v", tt.notBefore, got, tt.want)
		}
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	const now = "2026-10-03T06:00:00Z"
	tests := []struct {
		name, done, tick string
		want             bool
	}{
		{"never done", "0001-01-01T00:00:00Z", "2026-10-03T02:00:00Z", true},
		{"done for an older tick", "2026-10-02T02:00:00Z", "2026-10-03T02:00:00Z", true},
		{"done", "2026-10-03T02:00:00Z", "2026-10-03T02:00:00Z", false},
		{"done for a newer tick, by a clock a little ahead", "2026-10-04T02:00:00Z", "2026-10-03T02:00:00Z", false},
		{"done next year, by a clock that was wrong", "2027-10-04T02:00:00Z", "2026-10-03T02:00:00Z", true},
	}
	for _, tt := range tests {
		if got := (history.Standing{Done: at(t, tt.done)}).Due(at(t, tt.tick), at(t, now)); got != tt.want {
			t.Errorf("%s: due %v, want %v", tt.name, got, tt.want)
		}
	}
}
