package pricing

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func (u uint128) big() *big.Int {
	hi := new(big.Int).SetUint64(u.hi)
	return hi.Lsh(hi, 64).Or(hi, new(big.Int).SetUint64(u.lo))
}

func TestUint128Overflow(t *testing.T) {
	t.Parallel()
	const max64 = 1<<64 - 1
	tests := []struct {
		name string
		u    uint128
		v    uint64
		ok   bool
	}{
		{"64 bits by 64 bits", uint128{0, max64}, max64, true},
		{"the most by one", uint128{max64, max64}, 1, true},
		{"the most by nothing", uint128{max64, max64}, 0, true},
		{"the high half alone overflows", uint128{1 << 63, 0}, 2, false},
		{"the halves overflow together", uint128{max64, max64}, 2, false},
		{"only the carry overflows", uint128{1 << 62, 1 << 63}, 4, false},
		{"the carry alone, the high half fits", uint128{1<<63 - 1, max64}, 2, true},
		{"the high half fits, with the carry no more", uint128{max64 / 3, max64}, 3, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			checkUint128(t, test.u, test.v)
			if _, ok := test.u.mul(test.v); ok != test.ok {
				t.Errorf("%+v x %d: fits %t, want %t", test.u, test.v, ok, test.ok)
			}
		})
	}
}

func TestUint128AgainstBig(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		u := uint128{rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}
		checkUint128(t, u, rapid.Uint64().Draw(t, "v"))
	})
}

// checkUint128 holds u x v and u / v against big integers.
func checkUint128(t interface{ Fatalf(string, ...any) }, u uint128, v uint64) {
	by := new(big.Int).SetUint64(v)
	want := new(big.Int).Mul(u.big(), by)
	if got, ok := u.mul(v); ok != (want.BitLen() <= 128) || ok && got.big().Cmp(want) != 0 {
		t.Fatalf("%+v x %d: got %+v, %t, want %s", u, v, got, ok, want)
	}
	if v == 0 {
		return
	}
	quotient, remainder := new(big.Int).QuoRem(u.big(), by, new(big.Int))
	if got, rest := u.div(v); got.big().Cmp(quotient) != 0 || new(big.Int).SetUint64(rest).Cmp(remainder) != 0 {
		t.Fatalf("%+v / %d: got %+v and %d, want %s and %s", u, v, got, rest, quotient, remainder)
	}
}

func TestPow10(t *testing.T) {
	t.Parallel()
	want := big.NewInt(1)
	for n := range 20 {
		if got, ok := pow10(n); !ok || new(big.Int).SetUint64(got).Cmp(want) != 0 {
			t.Errorf("10^%d: got %d, %t, want %s", n, got, ok, want)
		}
		want.Mul(want, big.NewInt(10))
	}
	for _, n := range []int{-1, 20} {
		if got, ok := pow10(n); ok {
			t.Errorf("10^%d fits 64 bits: %d", n, got)
		}
	}
}
