package table

import (
	"math/big"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// Rules of the values below.
const (
	RuleDecimal = "want a plain decimal such as 1234.56, without grouping or currency"
	RuleDate    = "want a date such as 2026-10-01 or 10/1/2026 (month/day/year)"
)

// Limits of a decimal, beyond which nothing is money.
const (
	maxWhole    = 24 // digits before the point
	maxFraction = 30 // digits after it
)

// Decimal reads a plain decimal: a sign at most, digits, a point, digits. It
// never guesses at a comma. The result has no trailing zeros after the point.
func Decimal(s []byte) (d decimal.Decimal, ok bool) { return parseDecimal(s, false) }

// Number reads what JSON calls a number: a Decimal that may have an exponent.
func Number(s []byte) (d decimal.Decimal, ok bool) { return parseDecimal(s, true) }

func parseDecimal(s []byte, exponent bool) (d decimal.Decimal, ok bool) {
	i, negative := 0, false
	if i < len(s) && s[i] == '-' {
		negative = true
		i++
	}
	begin := i
	var mantissa int64
	digits, fraction, point := 0, 0, -1
	for ; i < len(s); i++ {
		c := s[i]
		if c == '.' && point < 0 && i > begin {
			point = i
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		if digits > 0 || c != '0' {
			digits++
		}
		if digits <= 18 {
			mantissa = mantissa*10 + int64(c-'0')
		}
		if point >= 0 {
			fraction++
		}
	}
	if i == begin || point == i-1 || digits > maxWhole+maxFraction || fraction > 1000 {
		return d, false
	}
	plain := s[begin:i]
	exp := 0
	if i < len(s) {
		if !exponent || s[i]|0x20 != 'e' {
			return d, false
		}
		if exp, ok = parseExponent(s[i+1:]); !ok {
			return d, false
		}
	}
	exp -= fraction
	if digits <= 18 {
		for exp < 0 && mantissa%10 == 0 && mantissa != 0 {
			mantissa /= 10
			exp++
			digits--
		}
		if mantissa == 0 {
			return decimal.Decimal{}, true
		}
		if exp < -maxFraction || digits+exp > maxWhole {
			return d, false
		}
		if digits+exp <= 18 {
			if negative {
				mantissa = -mantissa
			}
			for ; exp > 0; exp-- {
				mantissa *= 10
			}
			return decimal.New(mantissa, int32(exp)), true
		}
	}
	return bigDecimal(plain, negative, exp)
}

// bigDecimal is the slow way for more than 18 digits.
func bigDecimal(plain []byte, negative bool, exp int) (decimal.Decimal, bool) {
	text := make([]byte, 0, len(plain))
	for _, c := range plain {
		if c != '.' {
			text = append(text, c)
		}
	}
	for exp < 0 && len(text) > 1 && text[len(text)-1] == '0' {
		text = text[:len(text)-1]
		exp++
	}
	n, ok := new(big.Int).SetString(string(text), 10)
	if !ok || exp < -maxFraction {
		return decimal.Decimal{}, false
	}
	for ; exp > 0 && exp <= maxWhole; exp-- {
		n.Mul(n, big.NewInt(10))
	}
	if exp > 0 || len(n.String())+exp > maxWhole {
		return decimal.Decimal{}, false
	}
	if negative {
		n.Neg(n)
	}
	return decimal.NewFromBigInt(n, int32(exp)), true
}

func parseExponent(s []byte) (exp int, ok bool) {
	sign := 1
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	if len(s) == 0 || len(s) > 4 {
		return 0, false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		exp = exp*10 + int(c-'0')
	}
	return sign * exp, true
}

// Whole reads a whole number of at most 18 digits. Without a sign it is only digits.
func Whole(s []byte) (n int64, ok bool) {
	digits := s
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) < len(s) {
		n = -n
	}
	return n, true
}

// Country reads a two-letter country code, in capitals.
func Country(s []byte) (code string, ok bool) {
	if len(s) != 2 {
		return "", false
	}
	a, b := s[0]&^0x20, s[1]&^0x20
	if a < 'A' || a > 'Z' || b < 'A' || b > 'Z' {
		return "", false
	}
	return string([]byte{a, b}), true
}

// Currency reads an ISO 4217 code, in capitals.
func Currency(s []byte) (code string, ok bool) {
	if len(s) != 3 {
		return "", false
	}
	code = string([]byte{upper(s[0]), upper(s[1]), upper(s[2])})
	_, ok = pricing.MinorDigits(code)
	return code, ok
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c
}

// Segment returns the usual spelling of the four segments that are known in
// any case, Commercial for a blank, and anything else as it stands.
func Segment(s []byte) string {
	if len(s) == 0 {
		return "Commercial"
	}
	for _, known := range [...]string{"Commercial", "Education", "Charity", "Government"} {
		if EqualFold(s, known) {
			return known
		}
	}
	return string(s)
}

// EqualFold reports whether an ASCII text is t in any case.
func EqualFold(s []byte, t string) bool {
	if len(s) != len(t) {
		return false
	}
	for i, c := range s {
		if c|0x20 != t[i]|0x20 {
			return false
		}
	}
	return true
}
