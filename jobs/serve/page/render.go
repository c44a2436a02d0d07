package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pricing"
)

// view is what the layout shows.
type view struct {
	Title   string
	Nav     []navItem
	Crumbs  []crumb
	Who     access.Principal
	Roles   string
	Known   bool // somebody is signed in
	Version string
	Body    any
}

type navItem struct {
	Name, Address string
	Here          bool
}

// places are the parts of the site, each with the action that shows it.
var places = []struct {
	name, address string
	needs         access.Action
}{
	{"Months", "/", access.SeeInvoices},
	{"Partners", "/partners", access.SeeCustomers},
	{"Customers", "/customers", access.SeeCustomers},
	{"Prices", "/prices", access.SeePrices},
	{"Offers", "/offers", access.SeeOffers},
	{"Runs", "/runs", access.SeeRuns},
}

// render makes a page.
func (s *Site) render(a ask, out answer) ([]byte, error) {
	if out.to != "" {
		return nil, nil
	}
	v := view{Title: out.title, Crumbs: out.crumbs, Who: a.who, Known: a.who.ID != "", Version: s.Version, Body: out.body}
	var roles []string
	for _, r := range a.who.Roles {
		roles = append(roles, strings.ReplaceAll(string(r), "-", " "))
	}
	v.Roles = strings.Join(roles, ", ")
	for _, p := range places {
		if a.may(p.needs) {
			v.Nav = append(v.Nav, navItem{p.name, p.address, p.name == out.place})
		}
	}
	t, ok := s.templates[out.template]
	if !ok {
		return nil, fmt.Errorf("no template %q", out.template)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout", v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// functions are those of the templates.
func (s *Site) functions() template.FuncMap {
	return template.FuncMap{
		"asset":    func(name string) string { return s.assets[name].address },
		"amount":   amountOf,
		"number":   func(n any) amount { return amountOf(fmt.Sprint(n), "") },
		"month":    monthName,
		"kalends":  kalends,
		"instant":  instantText,
		"short":    short,
		"segment":  url.PathEscape,
		"size":     sizeText,
		"plural":   plural,
		"plural64": func(n int64, one string) string { return plural(int(n), one) },
		"event":    func(name string) string { return strings.TrimPrefix(name, "subscription.") },
	}
}

// amount is decimal text for the eye: its digits stand in groups, and whoever copies
// them gets the text as it is in the files.
type amount struct {
	Sign     string
	Groups   []string // of the whole part, three digits each but the first
	Fraction string   // with its point
	Currency string
	Negative bool
	// Odd is what is no number, as it came.
	Odd string
}

func amountOf(text, currency string) amount {
	a := amount{Currency: currency}
	rest, negative := strings.CutPrefix(text, "-")
	whole, fraction, hasFraction := strings.Cut(rest, ".")
	if whole == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		a.Odd = text
		return a
	}
	if negative {
		a.Sign, a.Negative = "-", true
	}
	for n := len(whole); n > 3; n = len(whole) {
		first := (n-1)%3 + 1
		a.Groups, whole = append(a.Groups, whole[:first]), whole[first:]
	}
	a.Groups = append(a.Groups, whole)
	if hasFraction {
		a.Fraction = "." + fraction
	}
	return a
}

// monthName says March 2024.
func monthName(m string) string {
	month, err := pricing.ParseMonth(m)
	if err != nil {
		return m
	}
	year, name := month.Civil()
	return fmt.Sprintf("%s %d", name, year)
}

// kalends says it as the painted calendars did: the first of the month, by its Latin
// letters. An ornament beside the name, never instead of it.
func kalends(m string) string {
	month, err := pricing.ParseMonth(m)
	if err != nil {
		return ""
	}
	_, name := month.Civil()
	return [...]string{"IAN", "FEB", "MAR", "APR", "MAI", "IVN", "QVI", "SEX", "SEP", "OCT", "NOV", "DEC"}[name-1]
}

// instantText says 2024-05-02 09:30:00 UTC. Microsoft's instants have more decimals than
// anybody reads.
func instantText(at any) string {
	switch at := at.(type) {
	case time.Time:
		if at.IsZero() {
			return ""
		}
		return at.UTC().Format("2006-01-02 15:04:05") + " UTC"
	case string:
		if parsed, err := time.Parse(time.RFC3339, at); err == nil {
			return instantText(parsed)
		}
		return at
	default:
		return fmt.Sprint(at)
	}
}

// short is the beginning of a hash or an id, for where the whole stands nearby.
func short(text string) string { return text[:min(len(text), 12)] }

// sizeText says how large a file is.
func sizeText(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d kB", n>>10)
	default:
		return plural(int(n), "byte")
	}
}

// plural says 1 line, 2 lines; with a third word, that for several.
func plural(n int, one string, many ...string) string {
	word := one + "s"
	if len(many) > 0 {
		word = many[0]
	}
	if n == 1 {
		word = one
	}
	return fmt.Sprintf("%d %s", n, word)
}

// with returns the request's address with some of its query changed; "" takes one away.
func with(r *http.Request, changes map[string]string) string {
	q := r.URL.Query()
	for name, value := range changes {
		if value == "" {
			q.Del(name)
		} else {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return r.URL.EscapedPath()
	}
	return r.URL.EscapedPath() + "?" + q.Encode()
}

// pathSegment is a text as one segment of an address.
func pathSegment(text string) string { return url.PathEscape(text) }

// hexSum is the SHA-256 of bytes, as manifests write it.
func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
