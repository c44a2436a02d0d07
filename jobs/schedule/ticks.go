package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Ticks are the instants that a cron expression names in a zone. They ask what is
// due, and nothing else hangs on them: one that is missed, late or comes twice
// changes nothing.
//
// Each wall time of the expression is one tick, on any day: what a spring night
// leaves out comes when the clocks have moved on, what an autumn night has twice
// comes the first time.
type Ticks struct {
	spec string
	wall cron.Schedule // in wall time, as if it were UTC
	zone *time.Location
}

// Off is the expression of a job that never runs by itself.
const Off = "off"

// ParseTicks reads a cron expression of five fields (minute, hour, day of the
// month, month, day of the week), @daily and its like, or off. One that never
// fires, such as 31 February, is an error.
func ParseTicks(spec string, zone *time.Location) (Ticks, error) {
	if spec == Off {
		return Ticks{spec: spec, zone: zone}, nil
	}
	refused := func(err error) (Ticks, error) { return Ticks{}, fmt.Errorf("cron %q: %w", spec, err) }
	switch upper := strings.ToUpper(spec); {
	case strings.HasPrefix(upper, "TZ=") || strings.HasPrefix(upper, "CRON_TZ="):
		return refused(errors.New("the zone does not stand here: it is the schedule's, for all jobs"))
	case strings.HasPrefix(spec, "@every"):
		return refused(errors.New("@every counts from when the program started; want times of the calendar, such as */10 * * * *"))
	}
	wall, err := cron.ParseStandard(spec)
	if err != nil {
		return refused(fmt.Errorf("%w: want minute, hour, day, month and day of the week, such as 0 6 3 * *, or off", err))
	}
	// Every pattern that fires at all does within the eight years between leap days
	// around a century; the library looks five years ahead, so ask around one.
	if wall.Next(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return refused(errors.New("it never fires: there is no such day"))
	}
	return Ticks{spec: spec, wall: wall, zone: zone}, nil
}

// ParseZone reads the name of a time zone, such as Europe/Amsterdam; "" is UTC.
func ParseZone(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, errors.New("zone Local: it differs from machine to machine; want a name such as Europe/Amsterdam, or UTC")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("zone %q: there is none; want a name of the IANA list such as Europe/Amsterdam, or UTC", name)
	}
	return zone, nil
}

// String returns the expression.
func (t Ticks) String() string { return t.spec }

// Off reports whether there are none.
func (t Ticks) Off() bool { return t.wall == nil }

// Next returns the first tick after an instant; zero if there is none.
func (t Ticks) Next(after time.Time) time.Time {
	if t.Off() {
		return time.Time{}
	}
	local := after.In(t.zone)
	wall := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), 0, time.UTC)
	for {
		if wall = t.wall.Next(wall); wall.IsZero() {
			return wall
		}
		// In an hour that comes twice, the wall times still to come may lie behind.
		if tick := instant(wall, t.zone); tick.After(after) {
			return tick
		}
	}
}

// instant is when the clocks of the zone first show a wall time, or have passed it.
// The wall time comes as if it were UTC.
func instant(wall time.Time, zone *time.Location) time.Time {
	// No zone is more than 15 hours from UTC, and none moves its clocks twice in two days.
	before, after := offset(wall.Add(-24*time.Hour), zone), offset(wall.Add(24*time.Hour), zone)
	first, second := wall.Add(-before), wall.Add(-after)
	if second.Before(first) {
		first, second = second, first
	}
	for _, at := range []time.Time{first, second} {
		if at.Add(offset(at, zone)).Equal(wall) {
			return at.UTC()
		}
	}
	// The clocks skip it: the moment at which they do lies between the two.
	for second.Sub(first) > time.Second {
		middle := first.Add(second.Sub(first) / 2).Truncate(time.Second)
		if middle.Add(offset(middle, zone)).Before(wall) {
			first = middle
		} else {
			second = middle
		}
	}
	return second.UTC()
}

func offset(at time.Time, zone *time.Location) time.Duration {
	_, seconds := at.In(zone).Zone()
	return time.Duration(seconds) * time.Second
}

// Latest returns the last tick at or before now; zero if there was none in 40 years.
func (t Ticks) Latest(now time.Time) time.Time {
	const day = 24 * time.Hour
	for _, back := range []time.Duration{time.Hour, day, 40 * day, 400 * day, 40 * 366 * day} {
		var latest time.Time
		for tick := t.Next(now.Add(-back)); !tick.IsZero() && !tick.After(now); tick = t.Next(tick) {
			latest = tick
		}
		if !latest.IsZero() {
			return latest
		}
	}
	return time.Time{}
}

// FirstOn returns the first tick on a day, as the zone counts days, or later; zero if
// there is none.
func (t Ticks) FirstOn(year int, month time.Month, day int) time.Time {
	return t.FirstFrom(instant(time.Date(year, month, day, 0, 0, 0, 0, time.UTC), t.zone))
}

// FirstFrom returns the first tick at or after an instant; zero if there is none.
func (t Ticks) FirstFrom(at time.Time) time.Time { return t.Next(at.Add(-time.Nanosecond)) }
