package exports

import (
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
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
func appendText[T string | []byte](dst []byte, s T) ([]byte, error) {
	if plainText(s) {
		return append(dst, s...), nil
	}
	return appendOddText(dst, string(s))
}

// plainText reports whether a text consists of ASCII from the hyphen upwards,
// as identifiers do: it needs no quotes. Of others it may know no better.
func plainText[T string | []byte](s T) bool {
	const (
		least = 0x2d2d2d2d2d2d2d2d
		high  = 0x8080808080808080
	)
	n := len(s)
	if n < 8 {
		for i := range n {
			if s[i] < '-' || s[i] >= utf8.RuneSelf {
				return false
			}
		}
		return true
	}
	for i := 0; ; i += 8 {
		i = min(i, n-8)
		w := s[i : i+8]
		x := uint64(w[0]) | uint64(w[1])<<8 | uint64(w[2])<<16 | uint64(w[3])<<24 |
			uint64(w[4])<<32 | uint64(w[5])<<40 | uint64(w[6])<<48 | uint64(w[7])<<56
		// A smaller byte borrows and sets a high bit.
		if (x|(x-least))&high != 0 {
			return false
		}
		if i == n-8 {
			return true
		}
	}
}

func appendOddText(dst []byte, s string) ([]byte, error) {
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

// twoDigits holds the numbers from 00 to 99.
var twoDigits = func() (t [200]byte) {
	for i := range 100 {
		t[2*i], t[2*i+1] = byte('0'+i/10), byte('0'+i%10)
	}
	return t
}()

// appendAmount appends an amount of minor units with exactly the given decimals,
// [maxDigits] at most.
func appendAmount(dst []byte, minor int64, digits int) []byte {
	u := uint64(minor)
	if minor < 0 {
		dst = append(dst, '-')
		u = -u
	}
	var text [24]byte
	at := len(text)
	if digits > 0 {
		for ; digits > 1; digits -= 2 {
			at -= 2
			pair := u % 100 * 2
			text[at], text[at+1] = twoDigits[pair], twoDigits[pair+1]
			u /= 100
		}
		if digits == 1 {
			at--
			text[at] = byte('0' + u%10)
			u /= 10
		}
		at--
		text[at] = '.'
	}
	for u >= 100 {
		at -= 2
		pair := u % 100 * 2
		text[at], text[at+1] = twoDigits[pair], twoDigits[pair+1]
		u /= 100
	}
	if u >= 10 {
		at -= 2
		text[at], text[at+1] = twoDigits[2*u], twoDigits[2*u+1]
	} else {
		at--
		text[at] = byte('0' + u)
	}
	return append(dst, text[at:]...)
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
	return appendUnits(dst, v, places)
}

// appendUnits appends v x 10^-places as a plain decimal without trailing zeros.
func appendUnits(dst []byte, v int64, places int) []byte {
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

// dateTexts remembers how dates are written: those of a month's terms lie within
// a few years.
type dateTexts [1024]struct {
	date  pricing.Date
	known bool
	// The separator behind it, and what makes it a size that is copied at once.
	text [16]byte
}

const dateLength = len("2006-01-02")

func (t *dateTexts) append(dst []byte, d pricing.Date) ([]byte, error) {
	if d == pricing.NoDate {
		return dst, nil
	}
	if !hasText(d) {
		return dst, errDateRange
	}
	text := t.of(d)
	return append(dst, text[:dateLength]...), nil
}

// of returns the text of a date that has one, and a separator.
func (t *dateTexts) of(d pricing.Date) *[16]byte {
	e := &t[uint32(d)%uint32(len(t))]
	if e.date != d || !e.known {
		e.date, e.known = d, true
		_ = append(d.Append(e.text[:0]), separator)
	}
	return &e.text
}

// put writes a date that has a text, or none, and a separator behind it: dst must
// have 16 bytes of room. It returns where they end.
func (t *dateTexts) put(dst []byte, n int, d pricing.Date) int {
	if d == pricing.NoDate {
		dst[n] = separator
		return n + 1
	}
	*(*[16]byte)(dst[n:]) = *t.of(d)
	return n + dateLength + 1
}

var (
	firstText = pricing.DateOf(0, time.January, 1)
	lastText  = pricing.DateOf(9999, time.December, 31)
)

// hasText reports whether a date can be written; none is written, too.
func hasText(d pricing.Date) bool { return firstText <= d && d <= lastText || d == pricing.NoDate }

// priceTexts remembers how prices of blocks are written: a month has few of them.
type priceTexts [1024]struct {
	price  int64
	length int
	text   [24]byte // with the separator
}

// put writes a price and a separator: dst must have 24 bytes of room. It returns
// where they end.
func (t *priceTexts) put(dst []byte, n int, price int64) int {
	e := &t[uint64(price)*0x9e3779b97f4a7c15>>54]
	if e.price != price || e.length == 0 {
		e.price = price
		e.length = len(append(appendUnits(e.text[:0], price, invoice.PriceScale), separator))
	}
	*(*[24]byte)(dst[n:]) = e.text
	return n + e.length
}

// putAmount writes what [appendAmount] does and a separator: dst must have 24
// bytes of room. It returns where they end.
func putAmount(dst []byte, n int, minor int64, digits int) int {
	u := uint64(minor)
	if minor < 0 {
		dst[n] = '-'
		n++
		u = -u
	}
	end := n + max(decimalDigits(u), digits+1)
	if digits > 0 {
		end++
	}
	dst[end] = separator
	at := end
	for ; digits > 1; digits -= 2 {
		at -= 2
		pair := u % 100 * 2
		dst[at], dst[at+1] = twoDigits[pair], twoDigits[pair+1]
		u /= 100
		if digits == 2 {
			at--
			dst[at] = '.'
		}
	}
	if digits == 1 {
		at -= 2
		dst[at], dst[at+1] = '.', byte('0'+u%10)
		u /= 10
	}
	for u >= 100 {
		at -= 2
		pair := u % 100 * 2
		dst[at], dst[at+1] = twoDigits[pair], twoDigits[pair+1]
		u /= 100
	}
	if u >= 10 {
		dst[at-2], dst[at-1] = twoDigits[2*u], twoDigits[2*u+1]
	} else {
		dst[at-1] = byte('0' + u)
	}
	return end + 1
}

// decimalDigits returns how many digits a number has; 0 has one.
func decimalDigits(u uint64) int {
	n := bits.Len64(u) * 1233 >> 12 // by the logarithm, or one less
	if n < len(powersOfTen) && u >= uint64(powersOfTen[n]) || n == 0 {
		n++
	}
	return n
}

// parseDate reads YYYY-MM-DD, and blank as none.
func parseDate(s string) (pricing.Date, error) {
	if s == "" {
		return pricing.NoDate, nil
	}
	return pricing.ParseDate(s)
}
