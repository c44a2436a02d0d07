package pricing

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// day reads a date of a table.
func day(s string) Date {
	d, err := ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// instant reads a timestamp of a table; a bare date is 00:00 of the day.
func instant(s string) Instant {
	if len(s) == len(time.DateOnly) {
		return day(s).Instant()
	}
	i, err := ParseInstant(s)
	if err != nil {
		panic(err)
	}
	return i
}

// The days that the exhaustive tests go through.
var firstDay, lastDay = day("1970-01-01"), day("2100-12-31")

func TestAddMonths(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, from string
		months     int
		want       string
	}{
		{"the same day of the month", "2021-06-18", 1, "2021-07-18"},
		{"none is the day itself", "2021-01-31", 0, "2021-01-31"},
		{"over the end of the year", "2021-11-15", 3, "2022-02-15"},
		{"a year", "2021-06-18", 12, "2022-06-18"},
		{"three years", "2021-06-18", 36, "2024-06-18"},

		{"clamped to 28 February", "2021-01-31", 1, "2021-02-28"},
		{"clamped to 29 February in a leap year", "2024-01-31", 1, "2024-02-29"},
		{"clamped to the 30th", "2021-01-31", 3, "2021-04-30"},
		{"not clamped again: the day comes from the first", "2021-01-31", 2, "2021-03-31"},
		{"a short month does not move a day that it has", "2021-02-28", 1, "2021-03-28"},
		{"30 January and the 28th", "2021-01-30", 1, "2021-02-28"},

		{"a leap day a year on", "2024-02-29", 12, "2025-02-28"},
		{"a leap day four years on", "2024-02-29", 48, "2028-02-29"},
		{"28 February stays the 28th in a leap year", "2023-02-28", 12, "2024-02-28"},
		{"1900 had no leap day", "1896-02-29", 48, "1900-02-28"},
		{"2000 had one", "1996-02-29", 48, "2000-02-29"},
		{"2100 has none", "2096-02-29", 48, "2100-02-28"},

		{"back", "2021-07-18", -1, "2021-06-18"},
		{"back over the start of the year", "2021-01-15", -1, "2020-12-15"},
		{"back, clamped", "2021-03-31", -1, "2021-02-28"},
		{"back, clamped in a leap year", "2024-03-30", -1, "2024-02-29"},
		{"back a year from a leap day", "2024-02-29", -12, "2023-02-28"},
		{"back three years", "2024-10-02", -36, "2021-10-02"},
		{"back beyond 1970", "1970-01-31", -2, "1969-11-30"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := day(test.from).AddMonths(test.months).String(); got != test.want {
				t.Errorf("%s + %d months: got %s, want %s", test.from, test.months, got, test.want)
			}
		})
	}
}

// Every day of 131 years, against the calendar of the standard library: day 0
// of a month is the last one of the month before.
func TestAddMonthsAgainstTheCalendar(t *testing.T) {
	t.Parallel()
	for d := firstDay; d <= lastDay; d++ {
		year, month, dayOfMonth := d.Civil()
		for _, n := range []int{-36, -12, -1, 1, 2, 11, 12, 13, 36} {
			last := time.Date(year, month+time.Month(n)+1, 0, 0, 0, 0, 0, time.UTC)
			want := time.Date(year, month+time.Month(n), min(dayOfMonth, last.Day()), 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
			if got := d.AddMonths(n).String(); got != want {
				t.Fatalf("%s + %d months: got %s, want %s", d, n, got, want)
			}
		}
	}
}

func TestDateRoundTrips(t *testing.T) {
	t.Parallel()
	for d := firstDay; d <= lastDay; d++ {
		if got := DateOf(d.Civil()); got != d {
			t.Fatalf("%s is %v, which is %s", d, d.Instant(), got)
		}
		if got, err := ParseDate(d.String()); err != nil || got != d {
			t.Fatalf("%s is read as %s, %v", d, got, err)
		}
		if got := d.Instant().Date(); got != d {
			t.Fatalf("00:00 of %s falls on %s", d, got)
		}
		if got := (d.Instant() + Day - 1).Date(); got != d {
			t.Fatalf("the last tick of %s falls on %s", d, got)
		}
		if m := d.Month(); d < m.First() || d > m.Last() {
			t.Fatalf("%s is not in %s, %s to %s", d, m, m.First(), m.Last())
		}
	}
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Date{"1970-01-01": 0, "1970-01-02": 1, "1969-12-31": -1, "2000-03-01": 11017, "2024-02-29": 19782} {
		if got, err := ParseDate(in); err != nil || got != want {
			t.Errorf("%s: got day %d, %v, want day %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "2021-02-29", "2021-1-1", "2021-13-01", "2021-04-31", "18.06.2021", "2021-06-18T00:00:00Z", " 2021-06-18"} {
		got, err := ParseDate(in)
		if err == nil {
			t.Errorf("%q is read as %s", in, got)
		} else if want := `date "` + in + `": want YYYY-MM-DD`; err.Error() != want || got != NoDate {
			t.Errorf("%q: got %v and error %q, want no date and %q", in, got, err, want)
		}
	}
	if got := NoDate.String(); got != "" {
		t.Errorf("no date prints as %q", got)
	}
	if got := DateOf(2021, time.January, 32).String(); got != "2021-02-01" {
		t.Errorf("32 January rolls over to %s, want 2021-02-01", got)
	}
}

func TestMonth(t *testing.T) {
	t.Parallel()
	tests := []struct {
		month, first, last string
		days               int
		next, compact      string
	}{
		{"2021-01", "2021-01-01", "2021-01-31", 31, "2021-02", "202101"},
		{"2021-02", "2021-02-01", "2021-02-28", 28, "2021-03", "202102"},
		{"2024-02", "2024-02-01", "2024-02-29", 29, "2024-03", "202402"},
		{"2100-02", "2100-02-01", "2100-02-28", 28, "2100-03", "210002"},
		{"2021-04", "2021-04-01", "2021-04-30", 30, "2021-05", "202104"},
		{"2021-12", "2021-12-01", "2021-12-31", 31, "2022-01", "202112"},
		{"1969-12", "1969-12-01", "1969-12-31", 31, "1970-01", "196912"},
		{"0001-01", "0001-01-01", "0001-01-31", 31, "0001-02", "000101"},
	}
	for _, test := range tests {
		t.Run(test.month, func(t *testing.T) {
			t.Parallel()
			m, err := ParseMonth(test.month)
			if err != nil {
				t.Fatal(err)
			}
			if m.String() != test.month || m.Compact() != test.compact {
				t.Errorf("prints as %s and %s, want %s and %s", m, m.Compact(), test.month, test.compact)
			}
			if m.First().String() != test.first || m.Last().String() != test.last || m.Days() != test.days {
				t.Errorf("got %s to %s, %d days, want %s to %s, %d", m.First(), m.Last(), m.Days(), test.first, test.last, test.days)
			}
			if next := m + 1; next.String() != test.next {
				t.Errorf("the next month is %s, want %s", next, test.next)
			}
			if got := m.First().Month(); got != m || m.Last().Month() != m {
				t.Errorf("its days are in %s and %s", got, m.Last().Month())
			}
		})
	}
	for _, in := range []string{"", "2026", "2026-13", "2026-1", "202610", "2026-10-01"} {
		if got, err := ParseMonth(in); err == nil {
			t.Errorf("%q is read as %s", in, got)
		} else if want := `month "` + in + `": want YYYY-MM, such as 2026-10`; err.Error() != want {
			t.Errorf("%q: got error %q, want %q", in, err, want)
		}
	}
}

func TestMonthRoundTrips(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := Month(rapid.IntRange(0, 9999*12+11).Draw(t, "month"))
		if got := MonthOf(m.Civil()); got != m {
			t.Fatalf("%s comes back as %s", m, got)
		}
		if got, err := ParseMonth(m.String()); err != nil || got != m {
			t.Fatalf("%s is read as %s, %v", m, got, err)
		}
		if next := m + 1; next.First() != m.Last()+1 || m.Days() != int(m.Last()-m.First())+1 {
			t.Fatalf("%s ends on %s, the next month begins on %s", m, m.Last(), next.First())
		}
	})
}

func TestParseInstant(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want, date string }{
		{"UTC", "2026-10-05T09:30:00Z", "2026-10-05T09:30:00Z", "2026-10-05"},
		{"an offset east may be the day before", "2026-10-05T01:30:00+02:00", "2026-10-04T23:30:00Z", "2026-10-04"},
		{"an offset west may be the day after", "2026-10-05T20:30:00-07:00", "2026-10-06T03:30:00Z", "2026-10-06"},
		{"an offset of half an hour", "2026-10-05T00:00:00+05:30", "2026-10-04T18:30:00Z", "2026-10-04"},
		{"an offset of nothing", "2026-10-05T00:00:00+00:00", "2026-10-05T00:00:00Z", "2026-10-05"},
		{"seven digits, as Microsoft prints", "2021-11-03T06:57:30.0682597Z", "2021-11-03T06:57:30.0682597Z", "2021-11-03"},
		{"zeros are not printed", "2021-11-01T00:00:00.0000000Z", "2021-11-01T00:00:00Z", "2021-11-01"},
		{"finer than 100 ns is dropped", "2021-11-03T06:57:30.068259799Z", "2021-11-03T06:57:30.0682597Z", "2021-11-03"},
		{"the last tick of a day", "2026-10-05T23:59:59.9999999Z", "2026-10-05T23:59:59.9999999Z", "2026-10-05"},
		{"the end of time on a price sheet", "9999-11-30T23:59:59Z", "9999-11-30T23:59:59Z", "9999-11-30"},
		{"the start of time on a price sheet", "1753-01-01T00:00:00Z", "1753-01-01T00:00:00Z", "1753-01-01"},
		{"the tick before 1970", "1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.9999999Z", "1969-12-31"},
		{"noon before 1970", "1969-12-30T12:00:00.5Z", "1969-12-30T12:00:00.5Z", "1969-12-30"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseInstant(test.in)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != test.want || got.Date().String() != test.date {
				t.Errorf("%s: got %s on %s, want %s on %s", test.in, got, got.Date(), test.want, test.date)
			}
			if back := InstantOf(got.Time()); back != got {
				t.Errorf("%s: its time comes back as %s", got, back)
			}
		})
	}
	for _, in := range []string{"", "2026-10-05", "2026-10-05T09:30:00", "2026-10-05 09:30:00Z", "2026-10-05T25:00:00Z", "2026-02-30T00:00:00Z"} {
		if got, err := ParseInstant(in); err == nil {
			t.Errorf("%q is read as %s", in, got)
		} else if !strings.Contains(err.Error(), `"`+in+`": want RFC 3339`) {
			t.Errorf("%q: the error is %q", in, err)
		}
	}
}

func TestInstantArithmetic(t *testing.T) {
	t.Parallel()
	start := instant("2022-03-12T10:00:00Z")
	for after, want := range map[Instant]string{
		1: "2022-03-12T10:00:00.0000001Z", Second: "2022-03-12T10:00:01Z", Minute: "2022-03-12T10:01:00Z",
		24 * Hour: "2022-03-13T10:00:00Z", 168 * Hour: "2022-03-19T10:00:00Z",
	} {
		if got := (start + after).String(); got != want {
			t.Errorf("%d ticks later: got %s, want %s", after, got, want)
		}
	}
}

// The calendar is that of package time, for any day that a date can be.
func TestCalendarIsThatOfTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := Date(rapid.OneOf(rapid.Int32Range(-3_000_000, 3_000_000), rapid.Int32Range(int32(firstDay), int32(lastDay)), rapid.Int32Min(int32(NoDate+1))).Draw(t, "day"))
		year, month, day := time.Unix(int64(d)*secondsPerDay, 0).UTC().Date()
		if y, m, n := d.Civil(); y != year || m != month || n != day {
			t.Fatalf("day %d is %d-%d-%d, want %d-%d-%d", d, y, m, n, year, month, day)
		}
		if got := DateOf(year, month, day); got != d {
			t.Fatalf("%d-%d-%d is day %d, want %d", year, month, day, got, d)
		}
		if got, want := d.Month().Days(), time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day(); got != want {
			t.Fatalf("%s has %d days, want %d", d.Month(), got, want)
		}
	})
}

// Each day of the years that there are invoices of, and more.
func TestEveryDayFollows(t *testing.T) {
	t.Parallel()
	was := time.Date(1899, 12, 31, 0, 0, 0, 0, time.UTC)
	for d := DateOf(1900, 1, 1); d <= DateOf(2500, 12, 31); d++ {
		was = was.AddDate(0, 0, 1)
		if year, month, day := d.Civil(); year != was.Year() || month != was.Month() || day != was.Day() {
			t.Fatalf("day %d is %d-%d-%d, want %s", d, year, month, day, was)
		}
	}
}
