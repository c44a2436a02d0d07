package history

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/calends/calends/pricing"
)

// Whatever a slice is called, its keys say so, and no two have the same.
func TestKeysRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		slice := func(name string) Slice {
			return Slice{Job: rapid.StringMatching(`[a-z]([a-z-]{0,9}|[/.%=ü]{1,3})`).Draw(t, name+" job"), Subject: rapid.StringN(0, 20, 60).Draw(t, name+" subject"),
				Month: pricing.MonthOf(2026, 1) + pricing.Month(rapid.IntRange(0, 20).Draw(t, name+" month"))}
		}
		s, other := slice("the"), slice("another")
		attempt := rapid.IntRange(1, 20_000).Draw(t, "attempt")
		p := rapid.SampledFrom([]phase{started, logged, ended, told}).Draw(t, "phase")
		k := key(s, attempt, p)
		got, n, ph, err := parseKey(k)
		if err != nil || got != s || n != attempt || ph != p {
			t.Fatalf("%s is read as %q, %d, %s, %v; want %q, %d, %s", k, got, n, ph, err, s, attempt, p)
		}
		if other != s && key(other, attempt, p) == k {
			t.Fatalf("%q and %q have the key %s", s, other, k)
		}
		if !strings.HasPrefix(k, monthPrefix(s.Month)) {
			t.Fatalf("%s is not below %s", k, monthPrefix(s.Month))
		}
	})
}

func TestKeysThatAreNotOurs(t *testing.T) {
	t.Parallel()
	const ours = "runs/month=2026-10/job=bill/subject=%/attempt=0001-ended.json"
	if _, _, _, err := parseKey(ours); err != nil {
		t.Fatalf("%s: %v", ours, err)
	}
	for _, k := range []string{
		"runs/began.json",
		"runs/told/run_5f0c/8a.json",
		"inputs/month=2026-10/job=bill/subject=%/attempt=0001-ended.json",
		"runs/2026-10/job=bill/subject=%/attempt=0001-ended.json",
		"runs/month=2026-13/job=bill/subject=%/attempt=0001-ended.json",
		"runs/month=2026-1/job=bill/subject=%/attempt=0001-ended.json",
		"runs/month=2026-10/bill/subject=%/attempt=0001-ended.json",
		"runs/month=2026-10/job=%62ill/subject=%/attempt=0001-ended.json",
		"runs/month=2026-10/job=bill/subject=/attempt=0001-ended.json",
		"runs/month=2026-10/job=bill/attempt=0001-ended.json",
		"runs/month=2026-10/job=bill/subject=%/more/attempt=0001-ended.json",
		"runs/month=2026-10/job=bill/subject=%/attempt=0000-ended.json",
		"runs/month=2026-10/job=bill/subject=%/attempt=1-ended.json",
		"runs/month=2026-10/job=bill/subject=%/attempt=00001-ended.json",
		"runs/month=2026-10/job=bill/subject=%/attempt=+001-ended.json",
		"runs/month=2026-10/job=bill/subject=%/attempt=99999999999999999999-ended.json",
		"runs/month=2026-10/job=bill/subject=%/0001-ended.json",
		"runs/month=2026-10/job=bill/subject=%/attempt=0001-ended.json.bak",
		"runs/month=2026-10/job=bill/subject=%/attempt=0001",
	} {
		if s, n, p, err := parseKey(k); err == nil {
			t.Errorf("%s is taken for %s of attempt %d at %s", k, p, n, s)
		}
	}
}

func TestParseSlice(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want Slice
	}{
		{"close/2026-10", Slice{"close", "", pricing.MonthOf(2026, 10)}},
		{"import-prices/DE/2026-10", Slice{"import-prices", "DE", pricing.MonthOf(2026, 10)}},
		{"export/a/b/2026-10", Slice{"export", "a/b", pricing.MonthOf(2026, 10)}},
	}
	for _, tt := range tests {
		got, err := ParseSlice(tt.text)
		if err != nil || got != tt.want || got.String() != tt.text {
			t.Errorf("%s: %+v, %v, written as %s", tt.text, got, err, got)
		}
	}
	for _, text := range []string{"", "close", "2026-10", "/2026-10", "close/", "close/2026-13", "close/2026-10/DE", "close/2026-10 "} {
		if got, err := ParseSlice(text); err == nil || !strings.Contains(err.Error(), "slice") {
			t.Errorf("%q is read as %+v, %v", text, got, err)
		}
	}
}
