package pricing

import (
	"strings"
	"testing"
)

func TestMinorDigits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, codes string
		digits      int
	}{
		{"what most partners are billed in", "AUD BRL CAD CHF DKK EUR GBP INR NOK NZD RUB SEK TWD USD", 2},
		{"other billing currencies", "AED CZK HKD HUF ILS KZT MXN MYR PEN PHP PLN QAR RON SAR SGD THB TRY UAH ZAR", 2},
		{"these have a minor unit that nobody uses", "IDR COP PKR HUF TWD AFN ALL AMD CRC IRR KPW LAK LBP LKR MMK MNT MUR RSD SOS SYP TZS UZS YER", 2},
		{"fifths and other oddities count as two", "MGA MRU", 2},
		{"funds with a code of their own", "BOV CHE CHW COU MXV USN", 2},
		{"none at all", "JPY KRW CLP ISK VND PYG UGX XAF XOF XPF", 0},
		{"thousandths", "KWD BHD JOD OMR TND IQD LYD", 3},
		{"units of account", "CLF UYW", 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for code := range strings.FieldsSeq(test.codes) {
				if got, ok := MinorDigits(code); !ok || got != test.digits {
					t.Errorf("%s: got %d, %t, want %d", code, got, ok, test.digits)
				}
			}
		})
	}
	for _, code := range []string{"", "eur", "EURO", "EU", "XXX", "XTS", "XAU", "XDR", "DEM", "HRK", "ZWL", "EUR "} {
		if got, ok := MinorDigits(code); ok || got != 0 {
			t.Errorf("%q has %d digits, want an unknown code", code, got)
		}
	}
}

func TestFormatMinor(t *testing.T) {
	t.Parallel()
	tests := []struct {
		units  int64
		digits int
		want   string
	}{
		{11289, 2, "112.89"}, {11280, 2, "112.80"}, {112, 2, "1.12"}, {5, 2, "0.05"}, {0, 2, "0.00"},
		{-11289, 2, "-112.89"}, {-5, 2, "-0.05"}, {-100, 2, "-1.00"},
		{4350, 0, "4350"}, {0, 0, "0"}, {-7, 0, "-7"},
		{108162, 3, "108.162"}, {-1, 3, "-0.001"}, {12345, 4, "1.2345"},
		{999_999_999_999_999_999, 2, "9999999999999999.99"}, {-999_999_999_999_999_999, 4, "-99999999999999.9999"},
	}
	for _, test := range tests {
		if got := FormatMinor(test.units, test.digits); got != test.want {
			t.Errorf("%d with %d digits: got %s, want %s", test.units, test.digits, got, test.want)
		}
	}
}
