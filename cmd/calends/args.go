package main

import (
	"fmt"
	"net/url"
	"strings"

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

// folderArg is a folder: a plain path, or file:///path as buckets are written.
type folderArg string

// UnmarshalText reads either form.
func (f *folderArg) UnmarshalText(text []byte) error {
	scheme, _, isURL := strings.Cut(string(text), "://")
	if !isURL {
		*f = folderArg(text)
		return nil
	}
	u, err := url.Parse(string(text))
	switch {
	case scheme != "file":
		return fmt.Errorf("folder %q: files are exported to a plain path or file:///path, not to %s://", text, scheme)
	case err != nil:
		return fmt.Errorf("folder %q: %w", text, err)
	case u.Host != "" || u.Path == "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("folder %q: a file address is file:///path and no more", text)
	}
	*f = folderArg(u.Path)
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
