package ledger_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/party"
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
		c, err := r.NextParts()
		if err != nil {
			b.Fatal(err)
		}
		if c == nil {
			return read
		}
		for _, p := range c.Parts {
			read += p.To - p.From
		}
	}
}

// changeOf is the nth change of a made-up month: mostly of seats, one in eight a
// purchase.
func changeOf(n int) change.Change {
	c := change.Change{
		ID: fmt.Sprintf("%08x-7d2e-4a11-8f00-%012x", uint32(n)*2654435761, n), Source: "partner-center", Type: change.QuantityChanged,
		At:      pricing.DateOf(2026, 10, 1+n%28).Instant() + pricing.Instant(n%86_400)*10_000_000,
		Subject: fmt.Sprintf("%08x-5b1a-4c3e-9f00-%012x", uint32(n/4)*2654435761, n/4), CustomerID: customerID(n / 20),
		Quantity: new(int64(1 + n%50)), CustomTermEnd: pricing.NoDate, Content: sha256.Sum256([]byte{byte(n), byte(n >> 8), byte(n >> 16)}),
		Taken: change.Position{Record: int64(n) + 1},
	}
	if n%8 == 0 {
		c.Type, c.SKU, c.TermDuration, c.BillingCycle = change.Purchased, pricing.SKU{ProductID: fmt.Sprintf("CFQ7TTC0%04d", n%120), SkuID: "0001"}, "P1Y", "Monthly"
		c.OrderID, c.AutoRenew = fmt.Sprintf("%012x", n), new(true)
	}
	if n%100 == 0 {
		c.UnitPrice, c.Currency = new(dec(fmt.Sprintf("%d.5", n%7))), "EUR"
	}
	return c
}

// takeMany takes changes in some files, each with a part of every customer's.
func (s *store) takeMany(changes, files int) {
	for f := range files {
		var part []change.Change
		for n := f; n < changes; n += files {
			part = append(part, changeOf(n))
		}
		s.take(ledger.Changes, "", must(s.PutChanges(s.ctx, part))...)
	}
}

func (s *store) readChanges(b testing.TB) (read int) {
	b.Helper()
	for group, err := range s.Groups(s.ctx, s.inputs, ledger.Span{Until: ledger.Ever}) {
		if err != nil {
			b.Fatal(err)
		}
		read += len(group)
	}
	return read
}

func BenchmarkMergeChanges(b *testing.B) {
	const changes = 200_000
	for _, files := range []int{1, 30} {
		b.Run(fmt.Sprintf("of %d files", files), func(b *testing.B) {
			s := newStore()
			s.takeMany(changes, files)
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				if n := s.readChanges(b); n != changes {
					b.Fatalf("%d changes", n)
				}
			}
			perSecond(b, changes)
		})
	}
}

func BenchmarkPutChanges(b *testing.B) {
	const changes = 200_000
	all := make([]change.Change, changes)
	for i := range all {
		all[i] = changeOf(i * 7919 % changes)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		s := newStore()
		if _, err := s.PutChanges(s.ctx, slices.Clone(all)); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b, changes)
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

// What a month looks up of all customers, as the close before left it.
func BenchmarkLoadParties(b *testing.B) {
	const customers = 100_000
	s := newStore()
	s.takePartner("P", "EUR", "0.21")
	all := make([]party.Customer, customers)
	for i := range all {
		all[i] = party.Customer{ID: customerID(i), Name: fmt.Sprint("Customer ", i), Domain: fmt.Sprintf("customer%d.example", i),
			Country: "NL", Segment: "Commercial", PartnerID: "P"}
	}
	last := closed("2026-09", 1)
	last.AtClose = &ledger.AtClose{Parties: must(s.PutParties(s.ctx, all))}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if _, err := s.Load(s.ctx, s.inputs, []ledger.Close{last}, &last, func(string) subscription.Policies { return subscription.Policies{} }); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b, customers)
}
