package offers

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

type largeKey struct {
	term              pricing.Term
	plan              pricing.Plan
	segment, currency string
}

// largeSheet invents the rows of a sheet as large as the largest: of so many SKUs, each
// in two terms, two plans and two currencies, with a description of some forty words.
func largeSheet(skus int) (rows []pricing.Row, matrix []pricing.Offer) {
	chance := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 4000)
	for i := range words {
		letters := make([]byte, 3+chance.IntN(8))
		for j := range letters {
			letters[j] = byte('a' + chance.IntN(26))
		}
		words[i] = string(letters)
	}
	some := func(n int) (text string) {
		for range n {
			// Some words are in many titles, most in few.
			text += words[int(float64(len(words))*chance.Float64()*chance.Float64()*chance.Float64())] + " "
		}
		return text
	}
	for i := range skus {
		sku := pricing.SKU{ProductID: fmt.Sprintf("CFQ7TTC0%04X", i/3), SkuID: fmt.Sprintf("%04d", i%3+1)}
		title := fmt.Sprintf("Product %s%d", some(4), i)
		listing := &pricing.Listing{Description: some(40), Tags: "License", ERPPrice: "12.50"}
		for _, k := range []largeKey{{pricing.P1M, pricing.Monthly, "Commercial", "EUR"}, {pricing.P1Y, pricing.Monthly, "Commercial", "EUR"},
			{pricing.P1Y, pricing.Annual, "Commercial", "EUR"}, {pricing.P1Y, pricing.Annual, "Education", "EUR"}, {pricing.P1M, pricing.Monthly, "Commercial", "USD"},
			{pricing.P1Y, pricing.Monthly, "Commercial", "USD"}, {pricing.P1Y, pricing.Annual, "Commercial", "USD"}, {pricing.P1Y, pricing.Annual, "Education", "USD"}} {
			rows = append(rows, pricing.Row{SKU: sku, Market: "NL", Term: k.term, Plan: k.plan, Segment: k.segment, Currency: k.currency, UnitPrice: decimal.New(chance.Int64N(100000), -2),
				End: 1 << 60, ProductTitle: title, SkuTitle: title, Publisher: "Microsoft Corporation", Listing: listing})
		}
		matrix = append(matrix, pricing.Offer{SKU: sku, MinLicenses: 1, MaxLicenses: 300, Conversions: []pricing.SKU{{ProductID: fmt.Sprintf("CFQ7TTC0%04X", i/3+1), SkuID: "0001"}}})
	}
	return rows, matrix
}

const large = 25_000

func BenchmarkNew(b *testing.B) {
	rows, matrix := largeSheet(large)
	background := NewBackground("", matrix, nil)
	var kept *Catalogue
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		kept = New(Sheet{}, rows, background)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB/catalogue")
	b.ReportMetric(float64(kept.Len()), "SKUs")
	runtime.KeepAlive(rows)
}

// BenchmarkSearch finds offers by words and shows the first hundred, as a page does.
func BenchmarkSearch(b *testing.B) {
	rows, matrix := largeSheet(large)
	c := New(Sheet{}, rows, NewBackground("", matrix, nil))
	yes := true
	for _, bb := range []struct {
		name string
		q    Query
	}{
		{"one-letter", Query{Words: "a"}},
		{"a-word-of-all", Query{Words: "product"}},
		{"publisher", Query{Words: "microsoft corporation"}},
		{"two-words", Query{Words: "product 17"}},
		{"an-id", Query{Words: "CFQ7TTC00123"}},
		{"nothing", Query{Words: "nowhere"}},
		{"no-words", Query{}},
		{"a-plan", Query{Term: pricing.P1Y, Plan: pricing.Annual, Segment: "Education", Currency: "USD"}},
		{"promotion", Query{Promotion: true}},
		{"trials", Query{Trial: &yes}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			found := 0
			for b.Loop() {
				places := c.Find(bb.q)
				found = len(places)
				for _, place := range places[:min(100, found)] {
					_ = c.Offer(place, bb.q)
				}
			}
			b.ReportMetric(float64(found), "found")
		})
	}
}
