package exports

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

var (
	errNotUTF8   = errors.New("text is not UTF-8")
	errDateRange = errors.New("year is not between 0000 and 9999")
)

// maxDigits is how many digits an int64 holds whatever they are.
const maxDigits = 18

var powersOfTen = func() (p [maxDigits + 1]int64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = 10 * p[i-1]
	}
	return p
}()

// minorDigits returns the decimals of a currency, or why there are none.
func minorDigits(currency string) (int, error) {
	digits, ok := pricing.MinorDigits(currency)
	if !ok {
		return 0, fmt.Errorf("%q is no active ISO 4217 currency", currency)
	}
	return digits, nil
}

// appendText appends a text field, quoted where it must be.
func appendText(dst []byte, s string) ([]byte, error) {
	plain, ascii := true, true
	for i := range len(s) {
		switch c := s[i]; {
		case c == separator || c == quote || c == '\r' || c == '\n':
			plain = false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	if !ascii && !utf8.ValidString(s) {
		return dst, errNotUTF8
	}
	if plain {
		return append(dst, s...), nil
	}
	dst = append(dst, quote)
	for {
		i := strings.IndexByte(s, quote)
		if i < 0 {
			return append(append(dst, s...), quote), nil
		}
		dst = append(append(dst, s[:i+1]...), quote)
		s = s[i+1:]
	}
}

// appendAmount appends an amount of minor units with exactly the given decimals.
func appendAmount(dst []byte, minor int64, digits int) []byte {
	u := uint64(minor)
	if minor < 0 {
		dst = append(dst, '-')
		u = -u
	}
	if digits == 0 {
		return strconv.AppendUint(dst, u, 10)
	}
	unit := uint64(powersOfTen[digits])
	dst = strconv.AppendUint(dst, u/unit, 10)
	return appendDecimals(dst, u%unit, digits)
}

// appendDecimals appends a point and exactly the given number of digits.
func appendDecimals(dst []byte, fraction uint64, digits int) []byte {
	dst = append(dst, '.')
	for unit := uint64(powersOfTen[digits-1]); unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+fraction/unit%10))
	}
	return dst
}

// parseAmount reads what [appendAmount] writes and refuses any other spelling.
func parseAmount(s string, digits int) (int64, error) {
	minor, err := strconv.ParseInt(strings.Replace(s, ".", "", 1), 10, 64)
	if err != nil || string(appendAmount(nil, minor, digits)) != s {
		return 0, fmt.Errorf("amount %q: want a plain number with %d decimals", s, digits)
	}
	return minor, nil
}

// coefficient returns d as v x 10^-places when both are small enough to be
// exact in 64 bits, as nearly all are.
func coefficient(d decimal.Decimal) (v int64, places int, ok bool) {
	exponent := int(d.Exponent())
	if exponent > 0 || exponent < -maxDigits || d.NumDigits() > maxDigits {
		return 0, 0, false
	}
	return d.CoefficientInt64(), -exponent, true
}

// appendNumber appends a plain decimal without trailing zeros.
func appendNumber(dst []byte, d decimal.Decimal) []byte {
	v, places, ok := coefficient(d)
	if !ok {
		return append(dst, d.String()...)
	}
	for places > 0 && v%10 == 0 {
		v /= 10
		places--
	}
	return appendAmount(dst, v, places)
}

// maxNumberLength bounds what parseNumber takes: longer than any price and
// short enough that parsing costs nothing.
const maxNumberLength = 60

// parseNumber reads what [appendNumber] writes and refuses any other spelling.
func parseNumber(s string) (decimal.Decimal, error) {
	if len(s) > 0 && len(s) <= maxNumberLength && strings.Trim(s, "-.0123456789") == "" {
		if d, err := decimal.NewFromString(s); err == nil && string(appendNumber(nil, d)) == s {
			return d, nil
		}
	}
	return decimal.Zero, fmt.Errorf("number %q: want a plain decimal without trailing zeros", s)
}

// scaled returns d in units of 10^-scale, rounded half to even, and whether it
// fits into 18 digits.
func scaled(d decimal.Decimal, scale int) (int64, bool) {
	v, places, ok := coefficient(d)
	if !ok {
		return scaledBig(d, scale)
	}
	if places <= scale {
		unit := powersOfTen[scale-places]
		if limit := (powersOfTen[maxDigits] - 1) / unit; v > limit || v < -limit {
			return 0, false
		}
		return v * unit, true
	}
	unit := powersOfTen[places-scale]
	q, r := v/unit, v%unit
	// Doubling cannot overflow: |r| < 10^18.
	switch twice := 2 * max(r, -r); {
	case twice > unit, twice == unit && q%2 != 0:
		if v < 0 {
			return q - 1, true
		}
		return q + 1, true
	}
	return q, true
}

// scaledBig is scaled for decimals of any size. It is the oracle of its test.
func scaledBig(d decimal.Decimal, scale int) (int64, bool) {
	if d.IsZero() {
		return 0, true
	}
	// The position of the first digit decides before 10^exponent is computed.
	switch first := int64(d.NumDigits()) + int64(d.Exponent()) + int64(scale); {
	case first > maxDigits:
		return 0, false
	case first < 0:
		return 0, true
	}
	q, r := d.Coefficient(), new(big.Int)
	shift := int64(scale) + int64(d.Exponent())
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(max(shift, -shift)), nil)
	if shift >= 0 {
		q.Mul(q, unit)
	} else {
		q.QuoRem(q, unit, r)
		if c := new(big.Int).Lsh(r, 1).CmpAbs(unit); c > 0 || c == 0 && q.Bit(0) == 1 {
			q.Add(q, big.NewInt(int64(d.Sign())))
		}
	}
	if !q.IsInt64() || q.CmpAbs(big.NewInt(powersOfTen[maxDigits])) >= 0 {
		return 0, false
	}
	return q.Int64(), true
}

// dateTexts remembers how recent dates are written: a month has few of them.
type dateTexts [64]struct {
	date pricing.Date
	text string
}

func (t *dateTexts) append(dst []byte, d pricing.Date) ([]byte, error) {
	if d == pricing.NoDate {
		return dst, nil
	}
	e := &t[uint32(d)%uint32(len(t))]
	if e.date != d || e.text == "" {
		if year, _, _ := d.Civil(); year < 0 || year > 9999 {
			return dst, errDateRange
		}
		e.date, e.text = d, d.String()
	}
	return append(dst, e.text...), nil
}

// parseDate reads YYYY-MM-DD, and blank as none.
func parseDate(s string) (pricing.Date, error) {
	if s == "" {
		return pricing.NoDate, nil
	}
	return pricing.ParseDate(s)
}
