package pricing

import "math/bits"

// uint128 is a product that is too wide for 64 bits. Operations report
// overflow; callers then take the slow path on big integers.
type uint128 struct{ hi, lo uint64 }

// mul returns u x v. ok is false when the product needs more than 128 bits.
func (u uint128) mul(v uint64) (product uint128, ok bool) {
	hi, lo := bits.Mul64(u.lo, v)
	over, mid := bits.Mul64(u.hi, v)
	hi, carry := bits.Add64(hi, mid, 0)
	return uint128{hi, lo}, over == 0 && carry == 0
}

// div returns the quotient and remainder of u / v; v is not 0.
func (u uint128) div(v uint64) (quotient uint128, remainder uint64) {
	quotient.hi, remainder = u.hi/v, u.hi%v
	quotient.lo, remainder = bits.Div64(remainder, u.lo, v)
	return quotient, remainder
}

// pow10 returns 10^n. ok is false above 10^19, the largest that fits.
func pow10(n int) (power uint64, ok bool) {
	if n < 0 || n > 19 {
		return 0, false
	}
	return powers[n], true
}

// powers are those of 10 that fit.
var powers = func() (p [20]uint64) {
	p[0] = 1
	for i := range p[1:] {
		p[i+1] = 10 * p[i]
	}
	return p
}()
