package runlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// line is what a test reads of a logged line.
type line struct {
	Level, Msg, Run, Month string
	Attempt, N, Lines      int
	Bytes                  int
	Error                  string
}

func read(t *testing.T, log []byte) []line {
	t.Helper()
	var lines []line
	for text := range bytes.Lines(log) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatalf("line %q: %v", text, err)
		}
		lines = append(lines, l)
	}
	return lines
}

func TestALineGoesToBoth(t *testing.T) {
	t.Parallel()
	var shown bytes.Buffer
	logger, kept := New(slog.NewJSONHandler(&shown, nil), DefaultLimit)
	logger = logger.With("run", "r1", "attempt", 2, "month", "2026-10")
	logger.Debug("a detail")
	logger.Info("began")
	logger.Error("ended", "error", errors.New("disk full"))
	if shown.String() != string(kept()) {
		t.Errorf("shown\n%s\nkept\n%s", &shown, kept())
	}
	want := []line{
		{Level: "INFO", Msg: "began", Run: "r1", Attempt: 2, Month: "2026-10"},
		{Level: "ERROR", Msg: "ended", Run: "r1", Attempt: 2, Month: "2026-10", Error: "disk full"},
	}
	got := read(t, kept())
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAQuietProgramStillKeepsItsLog(t *testing.T) {
	t.Parallel()
	var shown bytes.Buffer
	logger, kept := New(slog.NewTextHandler(&shown, &slog.HandlerOptions{Level: slog.LevelError}), DefaultLimit)
	logger.Info("began")
	logger.Warn("slow")
	if shown.Len() > 0 || len(read(t, kept())) != 2 {
		t.Errorf("shown %q, kept %q: want nothing and two lines", &shown, kept())
	}
}

func TestATalkativeProgramDoesNotFillTheRecord(t *testing.T) {
	t.Parallel()
	var shown bytes.Buffer
	logger, kept := New(slog.NewTextHandler(&shown, &slog.HandlerOptions{Level: slog.LevelDebug}), DefaultLimit)
	logger.Debug("a detail")
	if shown.Len() == 0 || len(kept()) != 0 {
		t.Errorf("shown %q, kept %q: want the line, and nothing", &shown, kept())
	}
}

func TestTooMuchIsCutInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, minLimit, 10_000, DefaultLimit} {
		logger, kept := New(slog.DiscardHandler, limit)
		const lines = 4_000
		for n := range lines {
			logger.Info("step", "n", n)
			if n%997 == 0 && len(kept()) > max(limit, minLimit) {
				t.Fatalf("limit %d: %d bytes after %d lines", limit, len(kept()), n)
			}
		}
		log := kept()
		if len(log) > max(limit, minLimit) || len(log) < max(limit, minLimit)*9/10 {
			t.Errorf("limit %d: %d bytes kept", limit, len(log))
		}
		got := read(t, log)
		if got[0].N != 0 || got[len(got)-1].N != lines-1 {
			t.Errorf("limit %d: lines from %d to %d: want the first and the last", limit, got[0].N, got[len(got)-1].N)
		}
		// What is missing is what the note says: numbers jump once, by that much.
		cuts := 0
		for i, l := range got {
			if l.Msg == "step" {
				continue
			}
			cuts++
			if l.Lines != got[i+1].N-got[i-1].N-1 || l.Lines+len(got)-1 != lines || l.Bytes < l.Lines*20 {
				t.Errorf("limit %d: cut %+v between %d and %d", limit, l, got[i-1].N, got[i+1].N)
			}
		}
		if cuts != 1 {
			t.Errorf("limit %d: %d cuts", limit, cuts)
		}
	}
}

func TestOneHugeTextDoesNotPushOutTheOthers(t *testing.T) {
	t.Parallel()
	logger, kept := New(slog.DiscardHandler, DefaultLimit)
	huge := strings.Repeat("x", 10<<20)
	logger.Info("began")
	logger.Error("ended", "error", errors.New(huge))
	logger.Info(huge)
	got := read(t, kept())
	if len(got) != 3 || got[0].Msg != "began" || !strings.HasSuffix(got[1].Error, "xx... (cut here, 10485760 bytes in all)") {
		t.Errorf("%d lines of %d bytes", len(got), len(kept()))
	}
	if len(kept()) > DefaultLimit {
		t.Errorf("%d bytes kept", len(kept()))
	}
}

func TestManyMayLogAtOnce(t *testing.T) {
	t.Parallel()
	logger, kept := New(slog.DiscardHandler, DefaultLimit)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := range 100 {
				logger.Info("step", "n", n)
				_ = kept()
			}
		})
	}
	all.Wait()
	if got := len(read(t, kept())); got != 800 {
		t.Errorf("%d lines, want 800", got)
	}
}
