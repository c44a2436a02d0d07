package twin

import (
	"math/big"
	"strings"
)

// minorDigits is the number of minor digits of a currency, by ISO 4217.
func minorDigits(currency string) int {
	switch currency {
	case "JPY", "KRW", "CLP", "VND", "ISK", "PYG", "UGX", "XAF", "XOF", "XPF", "RWF", "KMF", "GNF", "DJF", "BIF", "VUV":
		return 0
	case "KWD", "BHD", "JOD", "OMR", "TND", "IQD", "LYD":
		return 3
	}
	return 2
}

// rat reads a plain decimal number.
func rat(text string) (*big.Rat, bool) {
	text = strings.TrimSpace(text)
	if text == "" || strings.ContainsAny(text, "/xXpP_") {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

func ratOf(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }

func mul(a, b *big.Rat) *big.Rat { return new(big.Rat).Mul(a, b) }

func powerOfTen(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// truncate cuts toward zero to so many decimals.
func truncate(x *big.Rat, digits int) *big.Rat {
	scale := powerOfTen(digits)
	scaled := new(big.Int).Mul(x.Num(), scale)
	scaled.Quo(scaled, x.Denom())
	return new(big.Rat).SetFrac(scaled, scale)
}

// roundHalfEven rounds to so many decimals, a half to the even neighbour.
func roundHalfEven(x *big.Rat, digits int) *big.Rat {
	scale := powerOfTen(digits)
	scaled := new(big.Int).Mul(x.Num(), scale)
	whole, rest := new(big.Int).QuoRem(scaled, x.Denom(), new(big.Int))
	twice := rest.Abs(rest).Lsh(rest, 1)
	side := twice.Cmp(x.Denom())
	if side > 0 || side == 0 && whole.Bit(0) == 1 {
		whole.Add(whole, big.NewInt(int64(x.Sign())))
	}
	return new(big.Rat).SetFrac(whole, scale)
}

// roundRate rounds an exchange rate: to 9 decimals, or to 9 significant digits
// where that is finer.
func roundRate(x *big.Rat) *big.Rat {
	digits := 9
	tenth := big.NewRat(1, 10)
	for y := new(big.Rat).Set(x); y.Sign() > 0 && y.Cmp(tenth) < 0; digits++ {
		y.Mul(y, ratOf(10))
	}
	return roundHalfEven(x, digits)
}

// printAmount prints exactly the currency's minor digits.
func printAmount(x *big.Rat, currency string) string { return x.FloatString(minorDigits(currency)) }

// printPrice prints at most 10 decimals, half even, without trailing zeros.
func printPrice(x *big.Rat) string { return strip(roundHalfEven(x, 10).FloatString(10)) }

// printRate prints a rate that is already rounded, without trailing zeros.
func printRate(x *big.Rat) string { return strip(x.FloatString(40)) }

func strip(text string) string {
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		return "0"
	}
	return text
}

// negate changes the sign of a printed number; zero has none.
func negate(text string) string {
	if strings.Trim(text, "0.") == "" {
		return text
	}
	if strings.HasPrefix(text, "-") {
		return text[1:]
	}
	return "-" + text
}

// amount is section 5: the subtotal of a line. The effective unit price carries
// its sign, and truncation is toward zero either way.
func amount(policy, chargeType string, effective, rate *big.Rat, quantity int64, currency string) *big.Rat {
	perLine := policy == "line"
	if policy == "documented" || policy == "" {
		perLine = chargeType == "addQuantity" || chargeType == "removeQuantity"
	}
	digits := minorDigits(currency)
	converted := mul(effective, rate)
	if perLine {
		return truncate(mul(converted, ratOf(quantity)), digits)
	}
	return mul(truncate(converted, digits), ratOf(quantity))
}
