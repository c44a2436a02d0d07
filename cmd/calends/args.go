package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/calends/calends/pipeline/bucket"
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

// placeArg is where files are exported to: a plain path, file:///path as buckets
// are written, or a store.
type placeArg struct {
	name  string
	store bucket.Bucket // nil: a folder of that name
}

// UnmarshalText reads either form.
func (p *placeArg) UnmarshalText(text []byte) error {
	p.name = string(text)
	scheme, _, isURL := strings.Cut(p.name, "://")
	if !isURL {
		return nil
	}
	u, err := url.Parse(p.name)
	switch {
	case scheme == "s3" || scheme == "azblob":
		p.name, _, _ = strings.Cut(p.name, "?") // without options
		p.store, err = bucket.Open(string(text))
		return err
	case scheme != "file":
		return fmt.Errorf("place %q: files are exported to a plain path, file:///path, s3://name/prefix or azblob://name/prefix, not to %s://", text, scheme)
	case err != nil:
		return fmt.Errorf("place %q: %w", text, err)
	case u.Host != "" || u.Path == "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("place %q: a file address is file:///path and no more", text)
	}
	p.name = u.Path
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
