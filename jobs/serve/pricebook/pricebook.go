// Package pricebook is all price sheets of a bucket in memory, for those who ask
// often: 56 bytes a row, up to 16 for the table of keys, and each text once a sheet.
//
// A [Sheet] never changes, and is made of objects that never change. When the ledger
// has new inputs, [Read] makes a new [Book] of the sheets that stayed and those that
// came, while the old one still answers.
//
// The book has no rules of its own. To answer a question it hands the few rows of its
// key to [pricing.FindPriceIn], in the order in which the file has them: so it says what
// billing says, refusals to the letter.
package pricebook

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// Book is the sheets of all markets and months. It is immutable. It implements
// [pricing.Book], with whole sheets that are made anew each time.
type Book struct {
	sheets   []*Sheet // by market and month
	byMarket map[string][]*Sheet
}

// Read reads the sheets, as many at a time as there are workers. Those that another
// book has are taken from it; nil has none.
func Read(ctx context.Context, l ledger.Ledger, sources []ledger.SheetSource, from *Book, workers int) (*Book, error) {
	known := make(map[string]*Sheet)
	if from != nil {
		for _, s := range from.sheets {
			known[s.tag] = s
		}
	}
	sheets := make([]*Sheet, len(sources))
	errs := make([]error, len(sources))
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(max(1, workers), len(sources)) {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(sources) || ctx.Err() != nil {
					return
				}
				source := sources[i]
				if sheets[i] = known[tagOf(source)]; sheets[i] != nil {
					continue
				}
				if sheets[i], errs[i] = readSheet(ctx, l, source); errs[i] != nil {
					errs[i] = fmt.Errorf("price sheet of %s for %s (%s): %w", source.Market, source.Month, source.File, errs[i])
				}
			}
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read price sheets: %w", err)
	}
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	b := &Book{sheets: sheets, byMarket: make(map[string][]*Sheet)}
	for _, s := range sheets {
		b.byMarket[s.Market] = append(b.byMarket[s.Market], s)
	}
	return b, nil
}

// Sheets are all sheets by market and month. They are not to be changed.
func (b *Book) Sheets() []*Sheet { return b.sheets }

// Rows is how many rows all sheets have.
func (b *Book) Rows() (n int) {
	for _, s := range b.sheets {
		n += s.Len()
	}
	return n
}

// Markets are those that have a sheet, in order.
func (b *Book) Markets() []string {
	var markets []string
	for _, s := range b.sheets {
		if n := len(markets); n == 0 || markets[n-1] != s.Market {
			markets = append(markets, s.Market)
		}
	}
	return markets
}

// Months are those that have a sheet of the market, in order.
func (b *Book) Months(market string) []pricing.Month {
	var months []pricing.Month
	for _, s := range b.byMarket[market] {
		months = append(months, s.Month)
	}
	return months
}

// Of returns the sheet of the market and month itself, nil where there is none.
func (b *Book) Of(market string, month pricing.Month) *Sheet {
	if s := b.Governing(market, month); s != nil && s.Month == month {
		return s
	}
	return nil
}

// Governing returns the sheet of the market and month, or the latest earlier one; nil
// where there is none.
func (b *Book) Governing(market string, month pricing.Month) *Sheet {
	sheets := b.byMarket[market]
	i, found := slices.BinarySearchFunc(sheets, month, func(s *Sheet, m pricing.Month) int { return int(s.Month - m) })
	switch {
	case found:
		return sheets[i]
	case i > 0:
		return sheets[i-1]
	}
	return nil
}

// Sheet returns a whole sheet as [ledger.Catalog] does.
func (b *Book) Sheet(market string, month pricing.Month) (*pricing.Sheet, error) {
	if s := b.Governing(market, month); s != nil {
		return s.Whole(), nil
	}
	return nil, nil
}

// Find answers as [pricing.FindPrice]. The sheet of the answer has no rows.
func (b *Book) Find(q pricing.PriceQuery) (pricing.Price, error) {
	s := b.Governing(q.Market, q.At.Date().Month())
	if s == nil {
		return pricing.FindPrice(none{}, q)
	}
	var few [8]pricing.Row
	return pricing.FindPriceIn(s.facts, s.ofKey(few[:0], q), q)
}

// none is a book without a sheet.
type none struct{}

// Sheet returns none.
func (none) Sheet(string, pricing.Month) (*pricing.Sheet, error) { return nil, nil }
