package routine

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// A running month is asked for at each tick, one that is over once more a day after
// its end.
func TestByMonth(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, cron, now, want string }{
		{"before the first tick", "15 2 * * *", "2026-01-01T02:14:00Z", ""},
		{"the first tick", "15 2 * * *", "2026-01-01T02:15:00Z", "2026-01 at 2026-01-01T02:15:00Z"},
		{"the running month", "15 2 * * *", "2026-01-20T12:00:00Z", "2026-01 at 2026-01-20T02:15:00Z"},
		{"its last day", "15 2 * * *", "2026-01-31T23:59:00Z", "2026-01 at 2026-01-31T02:15:00Z"},
		{"the day after", "15 2 * * *", "2026-02-01T12:00:00Z", "2026-01 at 2026-01-31T02:15:00Z, 2026-02 at 2026-02-01T02:15:00Z"},
		{"a day later the month is asked for once more", "15 2 * * *", "2026-02-02T12:00:00Z", "2026-01 at 2026-02-02T02:15:00Z, 2026-02 at 2026-02-02T02:15:00Z"},
		{"and not again", "15 2 * * *", "2026-02-20T12:00:00Z", "2026-01 at 2026-02-02T02:15:00Z, 2026-02 at 2026-02-20T02:15:00Z"},
		{"one tick a month", "0 6 10 * *", "2026-02-20T12:00:00Z", "2026-01 at 2026-02-10T06:00:00Z, 2026-02 at 2026-02-10T06:00:00Z"},
		{"its month has no tick yet", "0 6 10 * *", "2026-02-05T12:00:00Z", "2026-01 at 2026-01-10T06:00:00Z"},
		{"off", "off", "2026-02-20T12:00:00Z", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ticks, err := schedule.ParseTicks(tt.cron, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			now, err := time.Parse(time.RFC3339, tt.now)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			Job{Ticks: ticks}.byMonth(schedule.Moment{Now: now, First: pricing.MonthOf(2026, 1)}, func(m pricing.Month, tick time.Time) {
				got = append(got, fmt.Sprintf("%s at %s", m, tick.Format(time.RFC3339)))
			})
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("got %s, want %s", strings.Join(got, ", "), tt.want)
			}
		})
	}
}

// A sheet that lost half of its rows waits for a person, and nothing of it counts.
func TestHalfASheetIsHeld(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../testdata/demo/prices/2024-01/DE.csv")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.SplitAfter(string(data), "\n")
	store := bucket.NewMemory()
	imports := Import{Job: Job{Env: jobs.Env{Bucket: store, Version: "test", Workers: 1, Log: slog.New(slog.DiscardHandler)}}, LostRows: 30}
	take := func(month pricing.Month, text, accept string) error {
		dir := t.TempDir()
		file := filepath.Join(dir, "DE.csv")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := imports.take(t.Context(), schedule.Request{Accept: accept, Log: imports.Env.Log}, dir, file, month)
		return err
	}
	if err := take(pricing.MonthOf(2024, 1), string(data), ""); err != nil {
		t.Fatal(err)
	}
	half := strings.Join(rows[:len(rows)/2], "")
	var waits *schedule.WaitError
	if err := take(pricing.MonthOf(2024, 2), half, ""); !errors.As(err, &waits) || waits.Code != "held" {
		t.Errorf("half a sheet: %v, want that it is held", err)
	}
	if err := take(pricing.MonthOf(2024, 2), half, "it is so"); err != nil {
		t.Errorf("accepted: %v", err)
	}
}
