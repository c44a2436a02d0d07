package damage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pipeline/reconcile/damage"
	"github.com/calends/calends/pricing"
)

// BenchmarkReconcile is the price of a line on one core, with one line in so
// many damaged.
func BenchmarkReconcile(b *testing.B) {
	for _, oneIn := range []int{1_000_000, 100, 10, 1} {
		b.Run(fmt.Sprintf("1-in-%d", oneIn), func(b *testing.B) {
			w := newWorld(5)
			groups := w.customers(2000)
			lines := 0
			for i, g := range groups {
				g.Theirs, _ = damage.Write(w, g.Ours, damage.Options{Seed: uint64(i), Month: march, OneIn: oneIn, Together: 3})
				g.TheirMonths = g.OurMonths
				g.Ours = without(g.Ours)
				lines += len(g.Theirs)
			}
			b.ReportAllocs()
			b.ResetTimer()
			start := time.Now()
			for b.Loop() {
				var tally reconcile.Tally
				for _, g := range groups {
					r, err := reconcile.Reconcile(known{w}, g)
					if err != nil {
						b.Fatal(err)
					}
					tally.Add(g, r)
				}
			}
			b.ReportMetric(float64(lines)*float64(b.N)/time.Since(start).Seconds(), "lines/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkGiant is one customer with all the lines of thousands.
func BenchmarkGiant(b *testing.B) {
	w := newWorld(6)
	giant := &reconcile.Group{PartnerID: "P", CustomerID: "C", Month: march, OurMonths: []pricing.Month{march - 1, march, march + 1}}
	giant.TheirMonths = giant.OurMonths
	for i, g := range w.customers(8000) {
		theirs, _ := damage.Write(w, g.Ours, damage.Options{Seed: uint64(i), Month: march, OneIn: 20, Together: 3})
		giant.Theirs = append(giant.Theirs, theirs...)
		giant.Ours = append(giant.Ours, without(g.Ours)...)
	}
	b.ReportAllocs()
	start := time.Now()
	for b.Loop() {
		if _, err := reconcile.Reconcile(known{w}, giant); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(giant.Theirs))*float64(b.N)/time.Since(start).Seconds(), "lines/s")
}
