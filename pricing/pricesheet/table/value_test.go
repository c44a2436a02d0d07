package table

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

func TestDecimal(t *testing.T) {
	t.Parallel()
	good := []struct{ in, want string }{
		{"115.2", "115.2"}, {"0", "0"}, {"0.00", "0"}, {"12.50", "12.5"}, {"100", "100"}, {"-3.10", "-3.1"}, {"007", "7"},
		{"0.27224589249009701", "0.27224589249009701"},
		{"123456789012345678901234.5", "123456789012345678901234.5"},
		{"0.000000000000000000000000000001", "0.000000000000000000000000000001"},
	}
	for _, tt := range good {
		if got, ok := Decimal([]byte(tt.in)); !ok || got.String() != tt.want {
			t.Errorf("%q: got %s, %v, want %s", tt.in, got, ok, tt.want)
		}
	}
	for _, in := range []string{"", "-", ".", ".5", "5.", "1,5", "1.234,5", "1 000", "1e3", "+1", "1.2.3", "$5", "5%", "NaN", "0x10", "1_000", "--1", "1-",
		"12345678901234567890123456", "0.0000000000000000000000000000001", strings.Repeat("9", 5000)} {
		if got, ok := Decimal([]byte(in)); ok {
			t.Errorf("%q is no decimal: got %s", in, got)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"1E-05", "0.00001"}, {"1e3", "1000"}, {"12.50e1", "125"}, {"-2.5E+0", "-2.5"}, {"0e9999", "0"}, {"1e23", "100000000000000000000000"},
		{"12345678901234567890e-5", "123456789012345.6789"}, {"12345678901234567890e2", "1234567890123456789000"},
	} {
		got, ok := Number([]byte(tt.in))
		if !ok || got.String() != tt.want || got.Exponent() > 0 {
			t.Errorf("%q: got %s (exponent %d), %v, want %s", tt.in, got, got.Exponent(), ok, tt.want)
		}
	}
	for _, in := range []string{"1e", "e1", "1e1.5", "1e+", "1e99999", "1e24", "1e-31", "1ee1"} {
		if got, ok := Number([]byte(in)); ok {
			t.Errorf("%q is out of bounds: got %s", in, got)
		}
	}
}

// FuzzNumberAgainstRat holds a number against the exact rational of the
// standard library.
func FuzzNumberAgainstRat(f *testing.F) {
	for _, s := range []string{"1", "-0.50", "1e5", "12345678901234567890.5", "999999999999999999", "1e-30", "00.10e1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if len(in) > 100 {
			t.Skip()
		}
		d, ok := Number([]byte(in))
		if !ok {
			return
		}
		want, valid := new(big.Rat).SetString(in)
		if !valid || d.Rat().Cmp(want) != 0 {
			t.Fatalf("%q: got %s, big.Rat %v", in, d, want)
		}
		if again, ok := Decimal([]byte(d.String())); !ok || !again.Equal(d) || again.Exponent() != d.Exponent() {
			t.Fatalf("%q: %s reads back as %s, %v", in, d, again, ok)
		}
		if e := d.Exponent(); e > 0 || e < 0 && d.Mul(decimal.New(1, -e-1)).IsInteger() {
			t.Fatalf("%q: %s has exponent %d", in, d, e)
		}
	})
}

func TestTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, start, end string }{
		{"month/day/year with AM", "2/1/2019 12:00:00 AM", "2019-02-01T00:00:00Z", "2019-02-01T00:00:00Z"},
		{"noon is 12 PM", "2/4/2021 12:30:00 PM", "2021-02-04T12:30:00Z", "2021-02-04T12:30:00Z"},
		{"evening", "2/4/2021 8:35:31 PM", "2021-02-04T20:35:31Z", "2021-02-04T20:35:31Z"},
		{"to the minute lasts through it", "11/30/2023 23:59", "2023-11-30T23:59:00Z", "2023-11-30T23:59:59.9999999Z"},
		{"one digit for the hour", "2/1/2023 0:00", "2023-02-01T00:00:00Z", "2023-02-01T00:00:59.9999999Z"},
		{"to the day lasts through it", "10/1/2026", "2026-10-01T00:00:00Z", "2026-10-01T23:59:59.9999999Z"},
		{"ISO to the day", "2026-10-01", "2026-10-01T00:00:00Z", "2026-10-01T23:59:59.9999999Z"},
		{"seven fractional digits", "2021-11-01T00:00:00.1234567Z", "2021-11-01T00:00:00.1234567Z", "2021-11-01T00:00:00.1234567Z"},
		{"no offset is UTC", "2019-01-09T00:21:45.9263727", "2019-01-09T00:21:45.9263727Z", "2019-01-09T00:21:45.9263727Z"},
		{"an offset is taken off", "2026-10-01T01:30:00+02:00", "2026-09-30T23:30:00Z", "2026-09-30T23:30:00Z"},
		{"a negative one too", "2026-10-01T01:30:00-02:30", "2026-10-01T04:00:00Z", "2026-10-01T04:00:00Z"},
		{"a blank for T", "2026-10-01 01:30:00", "2026-10-01T01:30:00Z", "2026-10-01T01:30:00Z"},
		{"finer than 100 ns is dropped", "2026-10-01T00:00:00.123456789Z", "2026-10-01T00:00:00.1234567Z", "2026-10-01T00:00:00.1234567Z"},
		{"the first placeholder year", "1/1/1753 12:00:00 AM", "1753-01-01T00:00:00Z", "1753-01-01T00:00:00Z"},
		{"the last one", "9999-11-30T23:59:59.0000000Z", "9999-11-30T23:59:59Z", "9999-11-30T23:59:59Z"},
		{"a leap day", "2/29/2024", "2024-02-29T00:00:00Z", "2024-02-29T23:59:59.9999999Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := Time([]byte(tt.in))
			if !ok || got.At.String() != tt.start || got.End().String() != tt.end {
				t.Errorf("%q: got %s to %s, %v, want %s to %s", tt.in, got.At, got.End(), ok, tt.start, tt.end)
			}
		})
	}
	for _, in := range []string{"", "31/12/2026", "31/31/2026", "2/29/2023", "0/1/2026", "1/0/2026", "10/1/26", "10-1-2026", "1.10.2026", "2026-13-01", "2026-02-30",
		"2026-1-1", "202610", "2026-10-01T", "2026-10-01T24:00:00Z", "2026-10-01T00:60:00Z", "2026-10-01T00:00:60Z", "2026-10-01T00:00:00z", "2026-10-01T00:00:00+2",
		"2026-10-01T00:00:00.Z", "2/1/2019 13:00:00 PM", "2/1/2019 0:00 AM", "2/1/2019 12:00:00AM", "2/1/2019 ", "2026-10-01Z", "10/1/2026T00:00:00"} {
		if got, ok := Time([]byte(in)); ok {
			t.Errorf("%q is no date: got %s", in, got.At)
		}
	}
}

// FuzzTimeAgainstTimeParse holds RFC 3339 against the standard library, and
// checks that what was read is printed and read as the same instant.
func FuzzTimeAgainstTimeParse(f *testing.F) {
	for _, s := range []string{"2026-10-05T09:30:00Z", "2000-02-29T23:59:59.9999999-12:00", "0000-01-01T00:00:00Z", "2/1/2019 12:00:00 AM", "2026-10-01", "0000-01-01T00:00:00+00:60"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if len(in) > 60 {
			t.Skip()
		}
		got, ok := Time([]byte(in))
		if want, err := time.Parse(time.RFC3339, in); err == nil && !offTheClock(in) && !strings.ContainsAny(in, ",") && in[11:13] != "  " && len(in) >= 20 && in[12] != ':' {
			if !ok || got.At != pricing.InstantOf(want) || !got.Offset {
				t.Fatalf("%q: got %s, %v, time.Parse %s", in, got.At, ok, want)
			}
		}
		if !ok {
			return
		}
		again, ok := Time([]byte(got.At.String()))
		if year, _ := got.At.Date().Month().Civil(); year >= 0 && year <= 9999 && (!ok || again.At != got.At) {
			t.Fatalf("%q: %s reads back as %s, %v", in, got.At, again.At, ok)
		}
		if end := got.End(); end < got.At || end.Date() != got.At.Date() {
			t.Fatalf("%q: ends %s", in, end)
		}
	})
}

// offTheClock reports an offset that RFC 3339 does not have and time.Parse
// takes all the same: 24 hours, or 60 minutes.
func offTheClock(in string) bool {
	return strings.HasSuffix(in, ":60") || len(in) > 5 && in[len(in)-5:len(in)-3] == "24"
}

func TestCodes(t *testing.T) {
	t.Parallel()
	if got, ok := Currency([]byte("eur")); !ok || got != "EUR" {
		t.Errorf("a currency in any case: got %q, %v", got, ok)
	}
	if got, ok := Country([]byte("nL")); !ok || got != "NL" {
		t.Errorf("a country in any case: got %q, %v", got, ok)
	}
	for _, in := range []string{"", "E", "EU1", "EURO", "XYZ", "€"} {
		if _, ok := Currency([]byte(in)); ok {
			t.Errorf("%q is no currency", in)
		}
	}
	for _, in := range []string{"", "N", "NLD", "N1", "@A", "{a"} {
		if _, ok := Country([]byte(in)); ok {
			t.Errorf("%q is no country", in)
		}
	}
	for in, want := range map[string]string{"": "Commercial", "EDUCATION": "Education", "charity": "Charity", "Government": "Government", "GovGCC": "GovGCC"} {
		if got := Segment([]byte(in)); got != want {
			t.Errorf("segment %q: got %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]int64{"0": 0, "-5": -5, "007": 7, "999999999999999999": 999999999999999999} {
		if got, ok := Whole([]byte(in)); !ok || got != want {
			t.Errorf("%q: got %d, %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "-", "+5", "1.0", "1000000000000000000", "１"} {
		if got, ok := Whole([]byte(in)); ok {
			t.Errorf("%q is no whole number: got %d", in, got)
		}
	}
}
