package intake

import (
	"fmt"
	"strings"

	"github.com/calends/calends/pricing"
)

// MonthFromPath finds the month of a price sheet in its path: 2026-10 or
// 202610, with no digit before or behind it, in the file's own name or else in
// the nearest folder (or archive) that has one. Years are 2000 to 2099. Two
// different months in one name are an error.
func MonthFromPath(path string) (pricing.Month, error) {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' || r == '!' })
	for i := len(parts) - 1; i >= 0; i-- {
		months := monthsIn(parts[i])
		for _, m := range months {
			if m != months[0] {
				return 0, fmt.Errorf("month of %s: %q names two months, %s and %s; say which with --month", path, parts[i], months[0], m)
			}
		}
		if len(months) > 0 {
			return months[0], nil
		}
	}
	return 0, fmt.Errorf("month of %s: neither its name nor a folder has one, such as 2026-10 or 202610; say it with --month", path)
}

func monthsIn(name string) (months []pricing.Month) {
	digit := func(i int) bool { return 0 <= i && i < len(name) && '0' <= name[i] && name[i] <= '9' }
	number := func(from, to int) (n int) {
		for _, c := range name[from:to] {
			n = n*10 + int(c-'0')
		}
		return n
	}
	for i := range len(name) {
		if !digit(i) || digit(i-1) || !digit(i+1) || !digit(i+2) || !digit(i+3) {
			continue
		}
		at := i + 4
		if at < len(name) && name[at] == '-' {
			at++
		}
		if !digit(at) || !digit(at+1) || digit(at+2) {
			continue
		}
		year, month := number(i, i+4), number(at, at+2)
		if year/100 == 20 && 1 <= month && month <= 12 {
			months = append(months, pricing.Month(year*12+month-1))
		}
	}
	return months
}
