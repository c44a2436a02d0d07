package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

func TestExitCode(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"no error", nil, exitDone},
		{"something to look at", errOpen, exitOpen},
		{"an input is missing", fmt.Errorf("bill: %w", jobs.ErrMissing), exitMissing},
		{"the lock is held", fmt.Errorf("lock: %w", bucket.ErrLocked), exitLocked},
		{"wrong usage", fmt.Errorf("close: %w", jobs.ErrUsage), exitUsage},
		{"a month is held for want of an input", &jobs.HeldError{Missing: true}, exitMissing},
		{"a month is held for another reason", &jobs.HeldError{}, exitFailed},
		{"a damaged bucket", bucket.ErrConflict, exitFailed},
		{"anything else", errors.New("disk full"), exitFailed},
	}
	for _, tt := range tests {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// A command that is stopped ends with 130 and says that nothing is lost.
func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, talk bytes.Buffer
	code := run(ctx, []string{"demo", t.TempDir()}, streams{nil, &out, &talk})
	if code != exitStopped {
		t.Errorf("exit code %d, want %d", code, exitStopped)
	}
	if out.Len() > 0 || !bytes.Contains(talk.Bytes(), []byte("running again finishes the job")) {
		t.Errorf("printed %q, said %q", out.String(), talk.String())
	}
}

func TestExampleConfig(t *testing.T) {
	c, err := loadConfig("../../calends.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.policiesOf("80f6fb73-3725-4404-a0ee-98ef768080f3").Rounding; got != pricing.Unit {
		t.Errorf("rounding of the partner that differs is %s, want unit", got)
	}
	if got := c.policiesOf("anybody else"); got != defaultsOfConfig().policiesOf("") {
		t.Errorf("policies of the others are %+v, want the defaults: the example shows them", got)
	}
}

func TestEmptyConfig(t *testing.T) {
	for _, text := range []string{"", "# only a comment\n", "partners:\n"} {
		if _, err := parseConfig([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What stands in an input file is printed, but does not steer the terminal.
func TestShowHidesControlCharacters(t *testing.T) {
	var out bytes.Buffer
	a := &app{streams: streams{stdout: &out}}
	if err := a.show(view{text: func(w io.Writer) { fmt.Fprintln(w, "Zoë\x1b[2J") }}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "Zoë\uFFFD[2J\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestSpans(t *testing.T) {
	tests := map[string][]string{
		"":                            nil,
		"2026-01":                     {"2026-01"},
		"2025-11 to 2026-02":          {"2025-11", "2025-12", "2026-01", "2026-02"},
		"2026-01, 2026-03 to 2026-04": {"2026-01", "2026-03", "2026-04"},
	}
	for want, months := range tests {
		if got := spans(months); got != want {
			t.Errorf("%v: %q, want %q", months, got, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{{"", "abc", 3}, {"abc", "abc", 0}, {"roundng", "rounding", 1}, {"windwos", "windows", 2}}
	for _, tt := range tests {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q and %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
