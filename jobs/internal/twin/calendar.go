package twin

import (
	"fmt"
	"time"
)

// Date is a UTC day, counted from 1970-01-01.
type Date int

// NewDate makes a date; days past the month's end run over as time.Date does.
func NewDate(year, month, day int) Date {
	return Date(time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// DateOf is the UTC date of an instant.
func DateOf(t time.Time) Date {
	y, m, d := t.UTC().Date()
	return NewDate(y, int(m), d)
}

// Midnight is the first instant of the day.
func (d Date) Midnight() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// YMD gives the parts of a date.
func (d Date) YMD() (year, month, day int) {
	y, m, dd := d.Midnight().Date()
	return y, int(m), dd
}

// Month is the month of the day.
func (d Date) Month() Month {
	y, m, _ := d.YMD()
	return NewMonth(y, m)
}

// String prints 2026-10-05.
func (d Date) String() string { return d.Midnight().Format("2006-01-02") }

// Month is a calendar month: year x 12 + month - 1.
type Month int

// NewMonth makes a month from a year and a month number of 1 to 12.
func NewMonth(year, month int) Month { return Month(year*12 + month - 1) }

// First is the first day of the month.
func (m Month) First() Date { return NewDate(int(m)/12, int(m)%12+1, 1) }

// Last is the last day of the month.
func (m Month) Last() Date { return (m + 1).First() - 1 }

// Days is the length of the month.
func (m Month) Days() int { return int((m + 1).First() - m.First()) }

// String prints 2026-10.
func (m Month) String() string { return fmt.Sprintf("%04d-%02d", int(m)/12, int(m)%12+1) }

// Compact prints 202610.
func (m Month) Compact() string { return fmt.Sprintf("%04d%02d", int(m)/12, int(m)%12+1) }

// addMonths is the same day of the month n months on, clamped to the month's last day.
func addMonths(d Date, n int) Date {
	_, _, day := d.YMD()
	m := d.Month() + Month(n)
	if day > m.Days() {
		day = m.Days()
	}
	return m.First() + Date(day-1)
}

// termMonths is the length of a term; 0 for a text that is no term.
func termMonths(term string) int {
	switch term {
	case "P1M":
		return 1
	case "P1Y":
		return 12
	case "P3Y":
		return 36
	}
	return 0
}

// planMonths is the cycle length of a billing plan; 0 for a text that is no plan.
func planMonths(plan string) int {
	switch plan {
	case "Monthly":
		return 1
	case "Annual":
		return 12
	case "Triennial":
		return 36
	}
	return 0
}

// planFits says whether a term has that plan: no cycle is longer than its term.
func planFits(term, plan string) bool {
	t, p := termMonths(term), planMonths(plan)
	return t > 0 && p > 0 && p <= t
}

// cycle is one charge cycle of a term.
type cycle struct {
	first, last Date
	days        int // of the full cycle that it is, or is part of
	months      int // that the full cycle is long: its share of the term's price
	cut         int // where it starts on the term's grid of months, see term.at
	plan        string
	lock        *lock // the price; nil while the term is parked
}

// term is one term of a subscription.
type term struct {
	name    string // P1M, P1Y, P3Y; of a trial the default of what follows it
	plan    string // in force now; of a trial the default of what follows it
	months  int
	trial   bool
	start   Date
	end     Date // the last day
	custom  bool // it ends before its full length
	stick   bool // the month-end policy
	instant time.Time
	cycles  []cycle
}

// newTerm makes a term without prices. The second result is false when the
// custom end is not allowed, and then the full term stands.
func newTerm(name, plan string, trial bool, instant time.Time, customEnd *Date, stick bool) (*term, bool) {
	t := &term{name: name, plan: plan, months: termMonths(name), trial: trial, instant: instant, stick: stick}
	if trial {
		t.months = 1
	}
	t.start = DateOf(instant)
	full := addMonths(t.start, t.months) - 1
	t.end = full
	allowed := true
	if customEnd != nil {
		switch {
		case trial, *customEnd < t.start, *customEnd > full:
			allowed = false
		case *customEnd < full:
			t.end, t.custom = *customEnd, true
		}
	}
	length := planMonths(plan)
	if trial {
		length = 1
	}
	t.cycles = t.tile(plan, length)
	return t, allowed
}

// at is a date on the term's grid of months. Of a full term the grid counts
// forward from the start, of a term with a custom end back from the day after it.
func (t *term) at(cut int) Date {
	if t.custom {
		return addMonths(t.end+1, -cut)
	}
	if t.stick && cut > 0 && cut < t.months {
		month := t.start.Month()
		fromEnd := month.Last() - t.start
		if fromEnd <= 1 {
			return (month + Month(cut)).Last() - fromEnd
		}
	}
	return addMonths(t.start, cut)
}

// tile cuts the whole term into cycles.
func (t *term) tile(plan string, length int) []cycle {
	if !t.custom {
		return t.tileFrom(0, plan, length)
	}
	cut := 0
	for t.at(cut) > t.start {
		cut += length
	}
	cycles := t.tileFrom(cut, plan, length)
	cycles[0].first = t.start // a stub keeps the days of the full cycle
	return cycles
}

// tileFrom cuts the rest of the term, from a place on its grid.
func (t *term) tileFrom(cut int, plan string, length int) []cycle {
	var cycles []cycle
	goal := t.months
	if t.custom {
		goal = 0
	}
	for cut != goal {
		next := (cut/length + 1) * length
		months := next - cut
		if t.custom {
			next = (cut - 1) / length * length
			months = cut - next
		}
		first, after := t.at(cut), t.at(next)
		cycles = append(cycles, cycle{first: first, last: after - 1, days: int(after - first), months: months, cut: cut, plan: plan})
		cut = next
	}
	return cycles
}
