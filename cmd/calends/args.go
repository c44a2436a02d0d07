package main

import (
	"fmt"

	"github.com/calends/calends/pricing"
)

// monthArg is a month on the command line.
type monthArg struct{ pricing.Month }

// UnmarshalText reads 2026-10.
func (m *monthArg) UnmarshalText(text []byte) (err error) {
	if m.Month, err = pricing.ParseMonth(string(text)); err != nil {
		return fmt.Errorf("month %q: want year and month, such as 2026-10", text)
	}
	return nil
}

// dateArg is a day on the command line.
type dateArg struct {
	pricing.Date
	given bool
}

// UnmarshalText reads 2026-10-31.
func (d *dateArg) UnmarshalText(text []byte) (err error) {
	if d.Date, err = pricing.ParseDate(string(text)); err != nil {
		return fmt.Errorf("day %q: want year, month and day, such as 2026-10-31", text)
	}
	d.given = true
	return nil
}
