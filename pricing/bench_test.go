package pricing

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/shopspring/decimal"
)

// manyLines are lines as a month has them: prices with up to six decimals, most
// without a promotion, half in another currency than the sheet's.
func manyLines() []Calculation {
	random := rand.New(rand.NewPCG(1, 2))
	lines := make([]Calculation, 4096)
	for i := range lines {
		days := []int{28, 30, 31, 31, 365}[random.IntN(5)]
		lines[i] = Calculation{
			UnitPrice:   decimal.New(100+random.Int64N(1_000_000), -int32(2+random.IntN(5))),
			CycleMonths: 1, TermMonths: []int{1, 12, 12, 36}[random.IntN(4)],
			BillingDays: 1 + random.IntN(days), CycleDays: days,
			ExchangeRate: one, Quantity: 1 + random.Int64N(500), Credit: random.IntN(4) == 0, PerUnit: random.IntN(2) == 0, MinorDigits: 2,
		}
		if random.IntN(5) == 0 {
			lines[i].Discount = decimal.New(5*(1+random.Int64N(5)), -2)
		}
		if random.IntN(2) == 0 {
			lines[i].ExchangeRate = decimal.New(100_000_000+random.Int64N(900_000_000), -9)
		}
	}
	return lines
}

// shopspringSubtotal is what one would write with the decimal library: the
// division comes last, and still 16 digits are all that it keeps.
func shopspringSubtotal(c Calculation) decimal.Decimal {
	amount := c.UnitPrice.Mul(one.Sub(c.Discount)).Mul(c.ExchangeRate).
		Mul(decimal.NewFromInt(int64(c.CycleMonths * c.BillingDays))).Shift(int32(c.MinorDigits))
	divisor, quantity := decimal.NewFromInt(int64(c.TermMonths*c.CycleDays)), decimal.NewFromInt(c.Quantity)
	if c.PerUnit {
		return amount.Div(divisor).Truncate(0).Mul(quantity)
	}
	return amount.Mul(quantity).Div(divisor).Truncate(0)
}

func benchmarkLines(b *testing.B, do func(Calculation)) {
	lines := manyLines()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		do(lines[i%len(lines)])
		i++
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkSubtotal compares the amount of one line: on 128-bit integers, on
// big integers, on exact rationals and on the decimal library.
func BenchmarkSubtotal(b *testing.B) {
	var sum int64
	b.Run("uint128", func(b *testing.B) {
		benchmarkLines(b, func(c Calculation) { units, _ := c.Units(); sum += units.Subtotal })
	})
	b.Run("big", func(b *testing.B) {
		benchmarkLines(b, func(c Calculation) { units, _ := c.bigSubtotal(); sum += units })
	})
	b.Run("rational", func(b *testing.B) {
		total := new(big.Rat)
		benchmarkLines(b, func(c Calculation) { total.Set(ratSubtotal(c)) })
	})
	b.Run("shopspring", func(b *testing.B) {
		benchmarkLines(b, func(c Calculation) { sum += shopspringSubtotal(c).IntPart() })
	})
}

// BenchmarkRate is a whole line, with its printed prices.
func BenchmarkRate(b *testing.B) {
	var last Rated
	b.Run("uint128", func(b *testing.B) {
		benchmarkLines(b, func(c Calculation) { last, _ = c.Rate() })
	})
	b.Run("rational", func(b *testing.B) {
		var unit, effective, subtotal *big.Rat
		benchmarkLines(b, func(c Calculation) {
			unit, effective, subtotal = ratHalfEven(ratUnitPrice(c), 10), ratHalfEven(ratEffective(c), 10), ratSubtotal(c)
		})
		_, _, _ = unit, effective, subtotal
	})
	_ = last
}

// BenchmarkCycleAt finds the cycle of a day in the middle of three years.
func BenchmarkCycleAt(b *testing.B) {
	s := FullTerm(P3Y, day("2023-01-31"), Clamp)
	for b.Loop() {
		s.CycleAt(Monthly, s.Start+500)
	}
}

func TestUnitsDoNotAllocate(t *testing.T) {
	tax, _ := FixedOf(decimal.New(19, -2))
	lines := manyLines()
	i := 0
	if got := testing.AllocsPerRun(len(lines), func() {
		u, ok := lines[i%len(lines)].Units()
		if !ok {
			t.Fatalf("%+v does not fit 128 bits", lines[i%len(lines)])
		}
		if _, ok := TaxUnits(u.Subtotal, tax); !ok {
			t.Fatalf("the tax on %d does not fit 128 bits", u.Subtotal)
		}
		i++
	}); got != 0 {
		t.Errorf("%v allocations a line, want none", got)
	}
}
