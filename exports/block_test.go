package exports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// blockEncoder is what both encoders of blocks have in common.
type blockEncoder interface {
	encoder
	EncodeBlock(b *invoice.Block, from, to int) error
	SetInvoice(number string)
}

// both calls f with an encoder of each format; file returns what it wrote.
func both(t *testing.T, currency string, f func(name string, open func() (e blockEncoder, file func() []byte))) {
	t.Helper()
	f("csv", func() (blockEncoder, func() []byte) {
		var b bytes.Buffer
		return NewCSV(&b), b.Bytes
	})
	used := false
	f("parquet", func() (blockEncoder, func() []byte) {
		var b bytes.Buffer
		p, err := NewParquet(&b, currency)
		if err != nil {
			t.Fatal(err)
		}
		if used { // every other encoder has left a file half-written
			if p, err = NewParquet(io.Discard, "CLF"); err != nil {
				t.Fatal(err)
			}
			left := wildBlock(rand.New(rand.NewPCG(5, 6)), 100, "CLF")
			p.SetInvoice("another")
			if err := p.EncodeBlock(left, 0, len(left.Rows)); err != nil && !errors.Is(err, errTooLarge) {
				t.Fatal(err)
			}
			if err := p.Reset(&b, currency); err != nil {
				t.Fatal(err)
			}
		}
		used = !used
		return p, b.Bytes
	})
}

// requireSameFile writes blocks as such, in pieces, and line by line: both must
// give the same bytes, totals and errors.
func requireSameFile(t *testing.T, blocks []*invoice.Block, number string, random *rand.Rand) {
	t.Helper()
	both(t, blocks[0].Currency, func(name string, open func() (blockEncoder, func() []byte)) {
		slow, slowFile := open()
		fast, fastFile := open()
		fast.SetInvoice(number)
		var want, got error
		for _, b := range blocks {
			for i := range b.Rows {
				if want == nil {
					want = slow.Encode(numbered(b, i, number))
				}
			}
			for from := 0; from < len(b.Rows); {
				to := min(len(b.Rows), from+1+random.IntN(len(b.Rows)))
				if err := fast.EncodeBlock(b, from, to); got == nil {
					got = err
				} else if !errors.Is(err, got) {
					t.Fatalf("%s: after %v: %v", name, got, err)
				}
				from = to
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s: blocks: %v\nlines: %v", name, got, want)
		}
		if got, want := fast.Totals(), slow.Totals(); got != want {
			t.Fatalf("%s: totals of blocks %+v, of lines %+v", name, got, want)
		}
		if got == nil {
			got, want = fast.Close(), slow.Close()
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s: closing blocks: %v, lines: %v", name, got, want)
		}
		if got == nil && !bytes.Equal(fastFile(), slowFile()) {
			t.Fatalf("%s: a file from blocks differs from one of their lines: %s", name, firstDifference(fastFile(), slowFile()))
		}
	})
}

// numbered is the slow way to a line: in full, with the invoice's number.
func numbered(b *invoice.Block, i int, number string) *invoice.Line {
	l := *b.Line(i)
	if b.Rows[i].Other < 0 {
		l.InvoiceNumber = number
	}
	return &l
}

func firstDifference(a, b []byte) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return fmt.Sprintf("at byte %d:\n%q\n%q", n, a[max(0, n-100):min(len(a), n+40)], b[max(0, n-100):min(len(b), n+40)])
}

// put appends a text to a block.
func put(b *invoice.Block, s string) invoice.Text {
	t := invoice.Text{At: uint32(len(b.Texts)), Len: uint32(len(s))}
	b.Texts = append(b.Texts, s...)
	return t
}

// grow appends n zero values that pointers in the slice point at.
func grow[T any](s *[]*T, n int) {
	for range n {
		*s = append(*s, new(T))
	}
}

// wildBlock makes a block of n rows with what is rare: every text, sign, size and date.
func wildBlock(random *rand.Rand, n int, currency string) *invoice.Block {
	b := &invoice.Block{Currency: currency, Shared: new(invoice.Shared)}
	word := func() string { return nasty[random.IntN(len(nasty))] }
	grow(&b.Accounts, 1+random.IntN(4))
	grow(&b.Items, 1+random.IntN(6))
	b.Sheets = append(b.Sheets, invoice.Proof{}.Source)
	for _, a := range b.Accounts {
		*a = *company()[0].Account
		a.CustomerID, a.CustomerName, a.ResellerMpnID = word(), word(), word()
	}
	for _, i := range b.Items {
		i.ProductID, i.SkuName, i.PromotionID = word(), word(), word()
	}
	b.Items = append(b.Items, b.Items[0]) // stands twice
	for range 3 {
		b.Rates = append(b.Rates, invoice.Rate{PricingCurrency: word(), Currency: currency, Exchange: decimal.New(random.Int64N(1000)-10, -int32(random.IntN(12)))})
		b.Notes = append(b.Notes, invoice.Note{PriceAdjustment: word(), CreditReasonCode: word()})
	}
	date := func() pricing.Date {
		if random.IntN(3) == 0 {
			return pricing.NoDate
		}
		return october.First() + pricing.Date(random.IntN(90)-random.IntN(2)*20_000)
	}
	money := func(digits int) int64 {
		limit := powersOfTen[random.IntN(digits)]
		return random.Int64N(2*limit+1) - limit
	}
	for len(b.Rows) < n {
		if random.IntN(10) == 0 {
			l := *company()[random.IntN(5)]
			l.Account, l.Currency, l.SubscriptionID, l.PriceAdjustment = b.Accounts[len(b.Accounts)-1], currency, word(), word()
			l.UnitPrice = decimal.New(money(12), -int32(random.IntN(20)))
			if random.IntN(2) == 0 {
				l.Item = b.Items[0]
			}
			b.Add(&l)
			continue
		}
		r := invoice.Row{
			Other: -1, Account: int32(random.IntN(len(b.Accounts))), Item: int32(random.IntN(len(b.Items))),
			Rate: int32(random.IntN(len(b.Rates))), Note: int32(random.IntN(len(b.Notes)+1)) - 1,
			Type:      invoice.ChargeType(random.IntN(len(invoice.ChargeTypes))),
			OrderDate: date(), ChargeStart: date(), ChargeEnd: date(), TermStart: date(), TermEnd: date(), RateDate: date(),
			Quantity: money(8), UnitPrice: money(18), EffectiveUnitPrice: money(18),
			Subtotal: money(18), TaxTotal: money(18), Total: money(18),
			Subscription: put(b, word()), Order: put(b, word()), Reference: put(b, word()),
		}
		if last := len(b.Rows) - 1; last >= 0 && random.IntN(2) == 0 {
			r.Subscription, r.Order, r.Reference = b.Rows[last].Subscription, b.Rows[last].Order, b.Rows[last].Reference
		}
		b.Rows = append(b.Rows, r)
	}
	return b
}

func TestBlocksGiveTheBytesOfTheirLines(t *testing.T) {
	t.Parallel()
	for _, currency := range []string{"EUR", "JPY", "KWD", "CLF"} {
		t.Run(currency, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(7, 7))
			for range 40 {
				blocks := []*invoice.Block{wildBlock(random, 1+random.IntN(200), currency), wildBlock(random, 1+random.IntN(20), currency)}
				requireSameFile(t, append(blocks, blocks[0]), "C202610-000001", random)
			}
		})
	}
	t.Run("row groups", func(t *testing.T) {
		t.Parallel()
		blocks := manyBlocks(parquetGroup+20_000, "EUR")
		if len(blocks) < 2 {
			t.Fatalf("%d blocks", len(blocks))
		}
		requireSameFile(t, blocks, "", rand.New(rand.NewPCG(1, 2)))
	})
}

// A row that no file can hold fails like its line, and what came before counts.
func TestBlocksRefuseWhatTheirLinesRefuse(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(b *invoice.Block, r *invoice.Row){
		"subscription not UTF-8": func(b *invoice.Block, r *invoice.Row) { r.Subscription = put(b, "a\xff") },
		"order not UTF-8":        func(b *invoice.Block, r *invoice.Row) { r.Order = put(b, "\xc3") },
		"reference not UTF-8":    func(b *invoice.Block, r *invoice.Row) { r.Reference = put(b, "\xff") },
		"subtotal of 19 digits":  func(_ *invoice.Block, r *invoice.Row) { r.Subtotal = powersOfTen[18] },
		"tax of 19 digits":       func(_ *invoice.Block, r *invoice.Row) { r.TaxTotal = -powersOfTen[18] },
		"least total":            func(_ *invoice.Block, r *invoice.Row) { r.Total = math.MinInt64 },
		"prices of 19 digits": func(_ *invoice.Block, r *invoice.Row) {
			r.UnitPrice, r.EffectiveUnitPrice = math.MaxInt64, math.MinInt64
		},
		"quantity of 13 digits": func(_ *invoice.Block, r *invoice.Row) { r.Quantity = powersOfTen[12] },
		"least quantity":        func(_ *invoice.Block, r *invoice.Row) { r.Quantity = math.MinInt64 },
		"year of five digits":   func(_ *invoice.Block, r *invoice.Row) { r.TermEnd = pricing.DateOf(10000, 1, 1) },
		"year before the first": func(_ *invoice.Block, r *invoice.Row) { r.OrderDate = pricing.DateOf(-1, 12, 31) },
		"last year":             func(_ *invoice.Block, r *invoice.Row) { r.RateDate = pricing.DateOf(9999, 12, 31) },
		"no account":            func(b *invoice.Block, r *invoice.Row) { b.Accounts[r.Account] = nil },
		"no item":               func(b *invoice.Block, r *invoice.Row) { b.Items[r.Item] = nil },
		"bad account":           func(b *invoice.Block, r *invoice.Row) { b.Accounts[r.Account] = &invoice.Account{CustomerName: "\xff"} },
		"bad item":              func(b *invoice.Block, r *invoice.Row) { b.Items[r.Item] = &invoice.Item{SkuName: "\xff"} },
		"bad pricing currency":  func(b *invoice.Block, r *invoice.Row) { b.Rates[r.Rate].PricingCurrency = "\xff" },
		"huge exchange rate":    func(b *invoice.Block, r *invoice.Row) { b.Rates[r.Rate].Exchange = decimal.New(1, 30) },
		"bad note": func(b *invoice.Block, r *invoice.Row) {
			b.Notes = append(b.Notes, invoice.Note{CreditReasonCode: "\xff"})
			r.Note = int32(len(b.Notes) - 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(3, 4))
			b := wildBlock(random, 50, "EUR")
			at := 30
			for b.Rows[at].Other >= 0 {
				at++
			}
			spoil(b, &b.Rows[at])
			requireSameFile(t, []*invoice.Block{b}, "", random)
		})
	}
	unknown := wildBlock(rand.New(rand.NewPCG(3, 4)), 5, "EUR")
	in := func(b *invoice.Block, currency string) {
		b.Currency = currency
		for i := range b.Rates {
			b.Rates[i].Currency = currency
		}
	}
	for name, change := range map[string]func(e blockEncoder, b *invoice.Block){
		"currency": func(_ blockEncoder, b *invoice.Block) { in(b, "XXX") },
		"number":   func(e blockEncoder, b *invoice.Block) { in(b, "EUR"); e.SetInvoice("\xff") },
	} {
		both(t, "EUR", func(format string, open func() (blockEncoder, func() []byte)) {
			e, _ := open()
			change(e, unknown)
			if err := e.EncodeBlock(unknown, 0, 5); err == nil {
				t.Errorf("%s: a bad %s was written", format, name)
			}
		})
	}
}

func FuzzBlocksGiveTheBytesOfTheirLines(f *testing.F) {
	for i, s := range nasty {
		f.Add(uint64(i), s, s+"x", int64(-4950), int64(i), int32(20_000), uint8(i))
	}
	f.Add(uint64(1), "a", "b", int64(math.MinInt64), int64(math.MaxInt64), int32(math.MinInt32), uint8(3))
	f.Fuzz(func(t *testing.T, seed uint64, a, c string, amount, price int64, date int32, kind uint8) {
		random := rand.New(rand.NewPCG(seed, 1))
		b := wildBlock(random, 20, []string{"EUR", "JPY", "KWD", "CLF", "USD"}[kind%5])
		b.Accounts[0].CustomerName, b.Items[0].ProductQualifiers = a, c
		b.Notes[0].PriceAdjustment, b.Rates[0].PricingCurrency = c, a
		b.Rates[0].Exchange = decimal.New(price, -int32(kind%20))
		for i := range b.Rows {
			r := &b.Rows[i]
			if r.Other >= 0 || i%3 > 0 {
				continue
			}
			r.Subtotal, r.TaxTotal, r.Total, r.UnitPrice, r.EffectiveUnitPrice, r.Quantity = amount, -amount, price, price, -price, amount>>20
			r.OrderDate, r.RateDate = pricing.Date(date), pricing.Date(date+int32(i))
			r.Subscription, r.Reference = put(b, a), put(b, c)
		}
		requireSameFile(t, []*invoice.Block{b}, c, random)
	})
}

// manyBlocks makes n lines as a month of a large partner has them, in blocks of
// at most 100,000: ten subscriptions a customer, of every fourth a change, which
// is a pair of lines; 100 products; ids sorted within the customer.
func manyBlocks(n int, currency string) (blocks []*invoice.Block) {
	random := rand.New(rand.NewPCG(2026, 11))
	uuid := func() string {
		return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", random.Uint32(), random.IntN(1<<16), random.IntN(1<<12), random.IntN(1<<12), random.Uint64()>>16)
	}
	template := company()
	items, prices := make([]*invoice.Item, 100), make([]int64, 100)
	for i := range items {
		item := *template[0].Item
		item.ProductID, item.AvailabilityID = fmt.Sprintf("CFQ7TTC0%04X", i*i), fmt.Sprintf("CFQ7TTC0%04X", i*i+7)
		item.SkuID = fmt.Sprintf("%04d", 1+i%4)
		item.SkuName = fmt.Sprintf("Microsoft 365 Plan %d", i)
		item.ProductName, item.SubscriptionDescription = item.SkuName, item.SkuName
		items[i], prices[i] = &item, (100+random.Int64N(5_000))*powersOfTen[invoice.PriceScale-2]
	}
	var b *invoice.Block
	var account *invoice.Account
	for customer, written := 0, 0; written < n; customer++ {
		if b == nil || len(b.Rows) >= 100_000 {
			b = &invoice.Block{Currency: currency, Shared: &invoice.Shared{Items: items, Rates: []invoice.Rate{{PricingCurrency: currency, Currency: currency, Exchange: decimal.New(1, 0)}}}}
			b.Sheets = append(b.Sheets, invoice.Proof{}.Source)
			blocks = append(blocks, b)
		}
		a := *template[0].Account
		a.CustomerID = fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", customer*4001, random.IntN(1<<16), random.IntN(1<<12), random.IntN(1<<12), random.Uint64()>>16)
		a.CustomerName, a.CustomerDomainName = fmt.Sprintf("Customer %d Ltd", customer), fmt.Sprintf("customer%d.onmicrosoft.com", customer)
		account = &a
		b.Accounts = append(b.Accounts, account)
		for s := range 10 {
			item := random.IntN(len(items))
			start := october.First() + pricing.Date(random.IntN(31))
			r := invoice.Row{
				Other: -1, Account: int32(len(b.Accounts) - 1), Item: int32(item), Note: -1, Type: 2,
				OrderDate: start, ChargeStart: start, ChargeEnd: start + 30, TermStart: start, TermEnd: start + 364, RateDate: october.First(),
				Quantity: 1 + random.Int64N(100)*random.Int64N(3)/2, UnitPrice: prices[item], EffectiveUnitPrice: prices[item],
				Subscription: put(b, fmt.Sprintf("%08x-%s", s<<28+random.IntN(1<<28), uuid()[9:])), Order: put(b, uuid()[24:]), Reference: put(b, uuid()),
			}
			add := func(r invoice.Row) {
				r.Subtotal = r.EffectiveUnitPrice / 1e5 * r.Quantity / 1e3
				r.TaxTotal = r.Subtotal * 19 / 100
				r.Total = r.Subtotal + r.TaxTotal
				if written < n {
					b.Rows = append(b.Rows, r)
					written++
				}
			}
			add(r)
			if s%8 == 3 {
				days := 1 + random.Int64N(30)
				r.Type, r.Reference, r.OrderDate, r.ChargeStart = 3, put(b, uuid()), r.ChargeEnd-pricing.Date(days)+1, r.ChargeEnd-pricing.Date(days)+1
				r.EffectiveUnitPrice = -r.UnitPrice * days / 31
				add(r)
				r.EffectiveUnitPrice, r.Quantity = -r.EffectiveUnitPrice, r.Quantity+5
				add(r)
			}
		}
	}
	return blocks
}

// Once an encoder has seen accounts and items of a size, rows cost no memory.
func TestRowsAllocateNothing(t *testing.T) {
	b := manyBlocks(parquetGroup, "EUR")[0]
	p, err := NewParquet(io.Discard, "EUR")
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]blockEncoder{"csv": NewCSV(io.Discard), "parquet": p} {
		encode := func(rows int) {
			for rows > 0 {
				n := min(rows, len(b.Rows))
				if err := e.EncodeBlock(b, 0, n); err != nil {
					t.Fatal(err)
				}
				rows -= n
			}
		}
		encode(parquetGroup) // the first row group
		if n := testing.AllocsPerRun(10, func() { encode(2_000) }); n != 0 {
			t.Errorf("%s: %v allocations in 2,000 rows", name, n)
		}
	}
}

func benchmarkBlocks(b *testing.B, open func() (blockEncoder, error)) {
	blocks := manyBlocks(2*parquetGroup, "EUR")
	lines := 0
	b.ReportAllocs()
	for b.Loop() {
		e, err := open()
		if err != nil {
			b.Fatal(err)
		}
		for _, block := range blocks {
			if err := e.EncodeBlock(block, 0, len(block.Rows)); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
		lines += e.Totals().Lines
	}
	b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkCSVBlock(b *testing.B) {
	benchmarkBlocks(b, func() (blockEncoder, error) { return NewCSV(io.Discard), nil })
}

func BenchmarkParquetBlock(b *testing.B) {
	p, err := NewParquet(io.Discard, "EUR")
	if err != nil {
		b.Fatal(err)
	}
	benchmarkBlocks(b, func() (blockEncoder, error) { return p, p.Reset(io.Discard, "EUR") })
}
