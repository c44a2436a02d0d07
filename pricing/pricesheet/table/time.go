package table

import "github.com/calends/calends/pricing"

// Precision is how finely a timestamp was given.
type Precision uint8

// The precisions.
const (
	ToDay Precision = iota
	ToMinute
	ToTick // seconds, or a fraction of one
)

// Stamp is a point in time as a file gives it.
type Stamp struct {
	At        pricing.Instant // the first one that it can mean
	Precision Precision
	Offset    bool // it came with Z or an offset from UTC; without, it is taken as UTC
	ISO       bool // 2026-10-01 with T, not 10/1/2026
}

// End returns the last instant that the stamp can mean: one given to the day
// or to the minute lasts through it.
func (s Stamp) End() pricing.Instant {
	switch s.Precision {
	case ToDay:
		return s.At + pricing.Day - 1
	case ToMinute:
		return s.At + pricing.Minute - 1
	case ToTick:
	}
	return s.At
}

// Time reads the spellings of dates and times that Microsoft's files use:
//
//	2/1/2019 12:00:00 AM   2/1/2023 0:00   10/1/2026       month/day/year
//	2021-11-01T00:00:00.0000000Z   2026-10-01   2026-10-01T02:00:00+02:00
//
// Anything finer than 100 ns is dropped. No other order of day and month is
// ever tried.
func Time(s []byte) (stamp Stamp, ok bool) {
	p := stampParser{s: s}
	if len(s) > 4 && s[4] == '-' {
		stamp, ok = p.iso()
	} else {
		stamp, ok = p.american()
	}
	return stamp, ok && p.pos == len(s)
}

type stampParser struct {
	s   []byte
	pos int
}

// number reads between low and high digits.
func (p *stampParser) number(low, high int) (n int, ok bool) {
	from := p.pos
	for p.pos < len(p.s) && p.pos-from < high && '0' <= p.s[p.pos] && p.s[p.pos] <= '9' {
		n = n*10 + int(p.s[p.pos]-'0')
		p.pos++
	}
	return n, p.pos-from >= low
}

func (p *stampParser) take(c byte) bool {
	if p.pos < len(p.s) && p.s[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *stampParser) iso() (stamp Stamp, ok bool) {
	year, ok1 := p.number(4, 4)
	ok1 = ok1 && p.take('-')
	month, ok2 := p.number(2, 2)
	ok2 = ok2 && p.take('-')
	day, ok3 := p.number(2, 2)
	if !ok1 || !ok2 || !ok3 {
		return stamp, false
	}
	if stamp.At, ok = civil(year, month, day); !ok || p.pos == len(p.s) {
		return stamp, ok
	}
	stamp.ISO = p.take('T')
	if !stamp.ISO && !p.take(' ') {
		return stamp, false
	}
	if !p.clock(&stamp, 2) {
		return stamp, false
	}
	if p.take('Z') {
		stamp.Offset = true
		return stamp, true
	}
	sign := pricing.Instant(-1)
	switch {
	case p.pos == len(p.s):
		return stamp, true
	case p.take('-'):
		sign = 1
	case !p.take('+'):
		return stamp, false
	}
	hours, ok1 := p.number(2, 2)
	ok1 = ok1 && p.take(':')
	minutes, ok2 := p.number(2, 2)
	stamp.At += sign * (pricing.Instant(hours)*pricing.Hour + pricing.Instant(minutes)*pricing.Minute)
	stamp.Offset = true
	return stamp, ok1 && ok2 && hours < 24 && minutes < 60
}

func (p *stampParser) american() (stamp Stamp, ok bool) {
	month, ok1 := p.number(1, 2)
	ok1 = ok1 && p.take('/')
	day, ok2 := p.number(1, 2)
	ok2 = ok2 && p.take('/')
	year, ok3 := p.number(4, 4)
	if !ok1 || !ok2 || !ok3 {
		return stamp, false
	}
	if stamp.At, ok = civil(year, month, day); !ok || p.pos == len(p.s) {
		return stamp, ok
	}
	return stamp, p.take(' ') && p.clock(&stamp, 1)
}

// clock reads h:mm, h:mm:ss and h:mm:ss.fffffff, with AM or PM.
func (p *stampParser) clock(stamp *Stamp, hourDigits int) bool {
	hour, ok1 := p.number(hourDigits, 2)
	ok1 = ok1 && p.take(':')
	minute, ok2 := p.number(2, 2)
	if !ok1 || !ok2 {
		return false
	}
	stamp.Precision = ToMinute
	var second int
	var ticks pricing.Instant
	if p.take(':') {
		stamp.Precision = ToTick
		var ok bool
		if second, ok = p.number(2, 2); !ok {
			return false
		}
		if p.take('.') {
			if ticks, ok = p.fraction(); !ok {
				return false
			}
		}
	}
	if p.pos+3 <= len(p.s) && p.s[p.pos] == ' ' && p.s[p.pos+2]|0x20 == 'm' {
		half := p.s[p.pos+1] | 0x20
		if half != 'a' && half != 'p' || hour < 1 || hour > 12 {
			return false
		}
		if hour %= 12; half == 'p' {
			hour += 12
		}
		p.pos += 3
	}
	stamp.At += pricing.Instant(hour)*pricing.Hour + pricing.Instant(minute)*pricing.Minute + pricing.Instant(second)*pricing.Second + ticks
	return hour < 24 && minute < 60 && second < 60
}

func (p *stampParser) fraction() (ticks pricing.Instant, ok bool) {
	unit := pricing.Second / 10
	from := p.pos
	for ; p.pos < len(p.s) && '0' <= p.s[p.pos] && p.s[p.pos] <= '9'; p.pos++ {
		ticks += unit * pricing.Instant(p.s[p.pos]-'0')
		unit /= 10
	}
	return ticks, p.pos > from
}

// civil returns 00:00 of a day, which must exist.
func civil(year, month, day int) (pricing.Instant, bool) {
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	// Days from civil, after Howard Hinnant: years start in March, so that the
	// leap day is the last of its year.
	y := int64(year)
	if month <= 2 {
		y--
	}
	era := y / 400
	if y < 0 {
		era = -1
	}
	yearOfEra := y - era*400
	dayOfYear := int64((153*((month+9)%12)+2)/5 + day - 1)
	days := era*146097 + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - 719468
	return pricing.Instant(days) * pricing.Day, true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}
