package pricing

import (
	"fmt"
	"math"
	"time"
)

// Date is a UTC calendar day, counted in days since 1970-01-01.
// The zero Date is 1970-01-01; NoDate stands for "none".
type Date int32

// NoDate is the absence of a date. It prints as an empty string.
const NoDate Date = math.MinInt32

// DateOf returns the day y-m-d. Days outside the month roll over, as in [time.Date].
func DateOf(year int, month time.Month, day int) Date {
	return MonthOf(year, month).First() + Date(day-1)
}

// ParseDate reads 2006-01-02.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return NoDate, fmt.Errorf("date %q: want YYYY-MM-DD", s)
	}
	return Date(floorDiv(t.Unix(), secondsPerDay)), nil
}

// Civil returns the year, month and day of the month.
func (d Date) Civil() (year int, month time.Month, day int) {
	m, day := d.split()
	year, month = m.Civil()
	return year, month, day
}

// The Gregorian calendar comes again every 400 years. A year is counted from
// March here: then the day that only some years have is the last of its year, and
// the months before a day follow from a straight line, 153 days in each five.
const (
	daysPerEra     = 146_097
	daysPerCentury = 36_524
	daysPer4Years  = 1_461
	eraBegin       = -719_468 // 0000-03-01
)

// split returns the month of a day and which one it is in that. It is asked some
// ten times for each line, which a [time.Time] would take too long for.
func (d Date) split() (month Month, day int) {
	days := int(d) - eraBegin
	era := int(floorDiv(int64(days), daysPerEra))
	days -= era * daysPerEra
	year := (days - days/(daysPer4Years-1) + days/daysPerCentury - days/(daysPerEra-1)) / 365
	days -= 365*year + year/4 - year/100
	march := (5*days + 2) / 153 // months since March
	return Month(12*(400*era+year) + march + 2), days - (153*march+2)/5 + 1
}

// String returns the date as 2006-01-02, or "" for NoDate.
func (d Date) String() string {
	var text [16]byte
	return string(d.Append(text[:0]))
}

// Append appends what String returns.
func (d Date) Append(dst []byte) []byte {
	if d == NoDate {
		return dst
	}
	year, month, day := d.Civil()
	if year < 0 || year > 9999 {
		return fmt.Appendf(dst, "%04d-%02d-%02d", year, month, day)
	}
	return append(dst, '0'+byte(year/1000), '0'+byte(year/100%10), '0'+byte(year/10%10), '0'+byte(year%10),
		'-', '0'+byte(month/10), '0'+byte(month%10), '-', '0'+byte(day/10), '0'+byte(day%10))
}

// AddMonths returns the same day of the month n months on (or back), clamped
// to the last day of that month: 31 January plus one month is 28 February.
func (d Date) AddMonths(n int) Date {
	month, day := d.split()
	month += Month(n)
	if day > 28 {
		day = min(day, month.Days())
	}
	return month.First() + Date(day-1)
}

// Month returns the calendar month that contains the day.
func (d Date) Month() Month {
	month, _ := d.split()
	return month
}

// Instant returns 00:00 UTC of the day.
func (d Date) Instant() Instant { return Instant(int64(d) * int64(Day)) }

// Month is a calendar month, counted in months since January of year 0.
// It is the billing period: a line belongs to the month of its OrderDate.
type Month int32

// MonthOf returns the given month of a year.
func MonthOf(year int, month time.Month) Month { return Month(year*12 + int(month) - 1) }

// ParseMonth reads 2006-01.
func ParseMonth(s string) (Month, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil {
		return 0, fmt.Errorf("month %q: want YYYY-MM, such as 2026-10", s)
	}
	return MonthOf(t.Year(), t.Month()), nil
}

// Civil returns the year and the month of the year.
func (m Month) Civil() (year int, month time.Month) {
	return int(floorDiv(int64(m), 12)), time.Month(int64(m)-12*floorDiv(int64(m), 12)) + 1
}

// String returns the month as 2006-01.
func (m Month) String() string {
	year, month := m.Civil()
	return fmt.Sprintf("%04d-%02d", year, month)
}

// Compact returns the month as 200601, as invoice numbers and file names carry it.
func (m Month) Compact() string {
	year, month := m.Civil()
	return fmt.Sprintf("%04d%02d", year, month)
}

// First returns the first day of the month.
func (m Month) First() Date {
	months := int(m) - 2 // since March of year 0
	year := int(floorDiv(int64(months), 12))
	march := months - 12*year
	era := int(floorDiv(int64(year), 400))
	year -= 400 * era
	return Date(eraBegin + era*daysPerEra + 365*year + year/4 - year/100 + (153*march+2)/5)
}

// Last returns the last day of the month.
func (m Month) Last() Date { return (m + 1).First() - 1 }

// Days returns the number of days in the month, 28 to 31.
func (m Month) Days() int { return int((m + 1).First() - m.First()) }

// Instant is a moment in UTC, counted in ticks of 100 nanoseconds since 1970,
// the precision with which Microsoft prints its own.
type Instant int64

// Lengths of time in ticks.
const (
	Second Instant = 10_000_000
	Minute         = 60 * Second
	Hour           = 60 * Minute
	Day            = 24 * Hour
)

const secondsPerDay = 24 * 60 * 60

// InstantOf converts a time. Anything finer than 100 ns is dropped.
func InstantOf(t time.Time) Instant {
	return Instant(t.Unix())*Second + Instant(t.Nanosecond()/100)
}

// ParseInstant reads an RFC 3339 timestamp with any offset and up to nine
// fractional digits.
func ParseInstant(s string) (Instant, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, fmt.Errorf("time %q: want RFC 3339, such as 2026-10-05T09:30:00Z", s)
	}
	return InstantOf(t), nil
}

// Date returns the UTC day that contains the instant.
func (i Instant) Date() Date { return Date(floorDiv(int64(i), int64(Day))) }

// Time returns the instant as a time in UTC.
func (i Instant) Time() time.Time {
	seconds := floorDiv(int64(i), int64(Second))
	return time.Unix(seconds, (int64(i)-seconds*int64(Second))*100).UTC()
}

// String returns the instant in RFC 3339, with fractional digits only where needed.
func (i Instant) String() string { return i.Time().Format(time.RFC3339Nano) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}
