package routine_test

import (
	"testing"
	"time"

	"github.com/calends/calends/jobs/routine"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// October 2026 closes at the first tick of the days after it, wherever the clocks
// stand, but not before the month is over: at midnight UTC.
func TestCloseTicks(t *testing.T) {
	t.Parallel()
	tests := []struct{ spec, zone, want string }{
		{"0 6 3 * *", "UTC", "2026-11-03T06:00:00Z"},
		{"0 6 3 * *", "Europe/Amsterdam", "2026-11-03T05:00:00Z"},
		{"0 0 1 * *", "UTC", "2026-11-01T00:00:00Z"},
		{"0 0 1 * *", "Europe/Amsterdam", "2026-11-01T00:00:00Z"}, // 23:00 the day before, UTC
		{"0 6 1 * *", "Pacific/Auckland", "2026-11-01T00:00:00Z"}, // 17:00 the day before, UTC
		{"0 6 3 * *", "Pacific/Auckland", "2026-11-02T17:00:00Z"},
		{"0 0 1 * *", "America/New_York", "2026-11-01T04:00:00Z"},
		{"0 0 31 * *", "UTC", "2026-12-31T00:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.spec+" "+tt.zone, func(t *testing.T) {
			t.Parallel()
			zone, err := schedule.ParseZone(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			ticks, err := schedule.ParseTicks(tt.spec, zone)
			if err != nil {
				t.Fatal(err)
			}
			c := routine.Close{Job: routine.Job{Books: &routine.Books{Ledger: ledger.Ledger{Bucket: bucket.NewMemory()}}, Ticks: ticks}}
			want, err := time.Parse(time.RFC3339, tt.want)
			if err != nil {
				t.Fatal(err)
			}
			october := pricing.MonthOf(2026, 10)
			asks := func(at time.Time) []schedule.Ask {
				list, err := c.Asks(t.Context(), schedule.Moment{Now: at, First: october})
				if err != nil {
					t.Fatal(err)
				}
				return list
			}
			if early := asks(want.Add(-time.Nanosecond)); len(early) > 0 {
				t.Errorf("asked for too early: %+v", early)
			}
			if list := asks(want); len(list) == 0 || list[0].Slice.Month != october || !list[0].Tick.Equal(want) {
				t.Errorf("at %s asked for %+v", tt.want, list)
			}
		})
	}
}
