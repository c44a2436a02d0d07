package schedule_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/calends/calends/jobs/schedule"
)

func ticks(t testing.TB, spec, zone string) schedule.Ticks {
	t.Helper()
	location, err := schedule.ParseZone(zone)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := schedule.ParseTicks(spec, location)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func instant(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Each wall time is one tick, whatever the clocks do in its night.
func TestNext(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, spec, zone, after, want string }{
		{"UTC", "0 6 3 * *", "", "2026-10-03T06:00:00Z", "2026-11-03T06:00:00Z"},
		{"summer time", "0 6 * * *", "Europe/Amsterdam", "2026-07-01T00:00:00Z", "2026-07-01T04:00:00Z"},
		{"winter time", "0 6 * * *", "Europe/Amsterdam", "2026-12-01T00:00:00Z", "2026-12-01T05:00:00Z"},
		{"an hour that spring leaves out comes when the clocks move", "30 2 * * *", "Europe/Amsterdam", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		{"and not once more", "30 2 * * *", "Europe/Amsterdam", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
		{"two times that it leaves out are one", "30,45 2 * * *", "Europe/Amsterdam", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
		{"an hour that autumn has twice comes the first time", "30 2 * * *", "Europe/Amsterdam", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
		{"and not the second", "30 2 * * *", "Europe/Amsterdam", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"asked within the second", "30 2 * * *", "Europe/Amsterdam", "2026-10-25T01:10:00Z", "2026-10-26T01:30:00Z"},
		{"every ten minutes through it", "*/10 * * * *", "Europe/Amsterdam", "2026-10-25T00:50:00Z", "2026-10-25T02:00:00Z"},
		{"half an hour of summer time", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z"},
		{"a day that was left out", "0 12 * * *", "Pacific/Apia", "2011-12-29T23:00:00Z", "2011-12-30T10:00:00Z"},
		{"leap day", "0 0 29 2 *", "", "2024-03-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"month's first", "@monthly", "America/New_York", "2026-10-15T00:00:00Z", "2026-11-01T04:00:00Z"},
		{"within a second", "0 6 * * *", "", "2026-10-03T05:59:59.999Z", "2026-10-03T06:00:00Z"},
		{"off", "off", "", "2026-10-03T05:59:59Z", "0001-01-01T00:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ticks(t, tt.spec, tt.zone).Next(instant(t, tt.after)).UTC().Format(time.RFC3339)
			if got != tt.want {
				t.Errorf("%s in %s after %s: got %s, want %s", tt.spec, tt.zone, tt.after, got, tt.want)
			}
		})
	}
}

func TestParseTicksRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, spec, want string }{
		{"a day that no month has", "0 6 31 2 *", "it never fires"},
		{"a day that those months have not", "0 6 31 4,6,9,11 *", "it never fires"},
		{"a zone of its own", "TZ=Nowhere/Land 0 6 * * *", "the zone does not stand here"},
		{"the same spelt otherwise", "CRON_TZ=UTC 0 6 * * *", "the zone does not stand here"},
		{"a clock of its own", "@every 1h", "want times of the calendar"},
		{"seconds", "0 0 6 * * *", "want minute, hour, day, month and day of the week"},
		{"a minute too many", "60 6 * * *", "want minute, hour, day, month and day of the week"},
		{"nothing", "", "want minute, hour, day, month and day of the week"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := schedule.ParseTicks(tt.spec, time.UTC)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.spec) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParseZoneRefuses(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"Europe/Atlantis", "Local", "../etc/passwd"} {
		if _, err := schedule.ParseZone(zone); err == nil || !strings.Contains(err.Error(), zone) {
			t.Errorf("zone %q: %v", zone, err)
		}
	}
}

// Latest is the last of the ticks that Next gives, and FirstFrom the first.
func TestLatestIsTheLastOfNext(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := rapid.SampledFrom([]string{"*/5 * * * *", "30 2 * * *", "0 6 3 * *", "0 2 * * 0", "15 1-3 * 3,10 *", "0 0 29 2 *"}).Draw(t, "spec")
		zone := rapid.SampledFrom([]string{"UTC", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"}).Draw(t, "zone")
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 3*365*24*60).Draw(t, "minute")) * time.Minute)
		location, err := schedule.ParseZone(zone)
		if err != nil {
			t.Fatal(err)
		}
		ticks, err := schedule.ParseTicks(spec, location)
		if err != nil {
			t.Fatal(err)
		}
		first := ticks.Next(from)
		second := ticks.Next(first)
		if !second.After(first) || !first.After(from) {
			t.Fatalf("%s after %s: %s, then %s", spec, from, first, second)
		}
		for _, at := range []time.Time{first, first.Add(time.Nanosecond), first.Add(second.Sub(first) / 2), second.Add(-time.Nanosecond)} {
			if got := ticks.Latest(at); !got.Equal(first) {
				t.Errorf("%s in %s: the latest at %s is %s, want %s", spec, zone, at, got, first)
			}
		}
		if got := ticks.FirstFrom(first); !got.Equal(first) {
			t.Errorf("%s: the first from %s is %s", spec, first, got)
		}
		if got := ticks.FirstFrom(first.Add(time.Nanosecond)); !got.Equal(second) {
			t.Errorf("%s: the first after %s is %s, want %s", spec, first, got, second)
		}
	})
}
