package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Rows a second, of one goroutine, from memory.

const benchSubscriptions = 200_000

// standingOf is the nth subscription of a made-up month's end: SKUs, sheets and
// days repeat as those of a partner do.
func standingOf(n int) subscription.Standing {
	sku := n * 7 % 120
	start := pricing.DateOf(2025, time.Month(1+n%12), 1+n%28)
	lock := &subscription.Lock{
		UnitPrice: dec(fmt.Sprintf("%d.%d1", 5+sku, sku%10)), Currency: "EUR", Discount: dec("0"),
		ProductTitle: fmt.Sprintf("Product %d", sku), SkuTitle: fmt.Sprintf("Product %d, the SKU", sku), Publisher: "Microsoft Corporation",
		Source: subscription.Source{Market: "NL", Month: start.Month(), File: "sheet.csv", SHA256: fmt.Sprintf("%064d", start.Month()), Line: 2 + sku},
	}
	st := subscription.Standing{
		Term: &subscription.Term{
			SubscriptionID: fmt.Sprintf("%08x-5b1a-4c3e-9f00-%012x", uint32(n)*2654435761, n), OrderID: fmt.Sprintf("%012x", n/3),
			SKU:  pricing.SKU{ProductID: fmt.Sprintf("CFQ7TTC0%04d", sku), SkuID: "0001"},
			Span: pricing.TermSpan{Term: pricing.P1Y, Start: start, End: start + 364}, Plan: pricing.Monthly, Lock: lock,
		},
		Cycle: pricing.Cycle{First: start, Last: start + 29, Days: 30, Months: 1},
		Start: start.Instant(), Quantity: int64(1 + n%50), Layers: []subscription.Layer{{Seats: int64(1 + n%50), Closed: true}}, AutoRenew: true,
	}
	if n%20 == 0 {
		st.Layers = []subscription.Layer{{Seats: st.Quantity - 1, Closed: true}, {Seats: 1, Added: start.Instant()}}
	}
	return st
}

func customerID(n int) string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", n) }

// standAll puts the state of customers of some subscriptions each.
func (s *store) standAll(b testing.TB, subscriptions, each int) *ledger.AtClose {
	b.Helper()
	var all ledger.Standings
	for n := 0; n < subscriptions; {
		c := ledger.Standing{CustomerID: customerID(n / each)}
		var ids []string
		for range each {
			c.Subscriptions = append(c.Subscriptions, standingOf(n))
			ids = append(ids, fmt.Sprint("a", n), fmt.Sprint("b", n))
			n++
		}
		c.Seen = c.Seen.Add(ids)
		if err := all.Add(&c); err != nil {
			b.Fatal(err)
		}
	}
	customers, subscribed, err := all.Finish()
	if err != nil {
		b.Fatal(err)
	}
	return &ledger.AtClose{Customers: must(s.Put(s.ctx, customers)), Subscriptions: must(s.Put(s.ctx, subscribed))}
}

func (s *store) readStandings(b testing.TB, at *ledger.AtClose) (read int) {
	b.Helper()
	r := s.Standings(s.ctx, at)
	defer r.Close()
	for {
		c, err := r.Next()
		if err != nil {
			b.Fatal(err)
		}
		if c == nil {
			return read
		}
		read += len(c.Subscriptions)
	}
}

func perSecond(b *testing.B, rows int) {
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows)/float64(b.N), "ns/row")
}

func BenchmarkReadStandings(b *testing.B) {
	s := newStore()
	at := s.standAll(b, benchSubscriptions, 20)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if n := s.readStandings(b, at); n != benchSubscriptions {
			b.Fatalf("%d rows", n)
		}
	}
	perSecond(b, benchSubscriptions)
}

func BenchmarkWriteStandings(b *testing.B) {
	s := newStore()
	at := s.standAll(b, benchSubscriptions, 20)
	r := s.Standings(s.ctx, at)
	defer r.Close()
	var all []*ledger.Standing
	for c := must(r.Next()); c != nil; c = must(r.Next()) {
		all = append(all, c)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		var w ledger.Standings
		for _, c := range all {
			if err := w.Add(c); err != nil {
				b.Fatal(err)
			}
		}
		if _, _, err := w.Finish(); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b, benchSubscriptions)
}

// What is made of a row is made with those around it.
func TestReadingStandingsAllocatesByTheBatch(t *testing.T) {
	s := newStore()
	const subscriptions = 20_000
	at := s.standAll(t, subscriptions, 20)
	allocations := testing.AllocsPerRun(2, func() {
		if n := s.readStandings(t, at); n != subscriptions {
			t.Errorf("%d rows", n)
		}
	})
	if most := subscriptions / 4.; allocations > most {
		t.Errorf("%.0f allocations for %d rows, not more than %.0f", allocations, subscriptions, most)
	}
}
