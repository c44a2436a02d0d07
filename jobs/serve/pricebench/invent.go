// Package pricebench invents price sheets and measures how fast a server answers for
// prices.
package pricebench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// Plan says which sheets are invented.
type Plan struct {
	Markets int
	Month   pricing.Month // the last one
	Months  int
	Rows    int // of all sheets together
	Seed    uint64
}

// currencies are those that the invented markets are priced in.
var currencies = [...]string{"EUR", "USD", "GBP", "JPY", "NOK", "KWD", "CHF", "INR"}

// Market is the code of an invented market: AA, AB and so on.
func Market(i int) string { return string([]byte{'A' + byte(i/26%26), 'A' + byte(i%26)}) }

// shapes are the ways in which a SKU is sold.
var shapes = [...]struct {
	term pricing.Term
	plan pricing.Plan
}{{pricing.P1M, pricing.Monthly}, {pricing.P1Y, pricing.Monthly}, {pricing.P1Y, pricing.Annual}, {pricing.P3Y, pricing.Monthly}, {pricing.P3Y, pricing.Annual}, {pricing.P3Y, pricing.Triennial}}

var segments = [...]string{"Commercial", "Education", "Charity"}

// Sheet invents the rows of one market and month: a row for each shape and segment of
// one SKU after another. Markets differ in prices, a tenth of which change each month.
func (p Plan) Sheet(market int, month pricing.Month) []pricing.Row {
	n := p.Rows / (p.Markets * p.Months)
	rows := make([]pricing.Row, 0, n)
	random := newDice(p.Seed, uint64(market))
	renewed := newDice(p.Seed+uint64(month), uint64(market))
	from, to := pricing.DateOf(2023, 1, 1).Instant(), pricing.DateOf(10000, 1, 1).Instant()-1
	for sku := 0; len(rows) < n; sku++ {
		product, number := sku/3, sku%3+1
		title := fmt.Sprintf("Invented Service %d", product)
		skuTitle := fmt.Sprintf("%s Plan %d", title, number)
		id := fmt.Sprintf("CFQ7TTC%05X", product)
		skuID := pricing.NormalSKU(fmt.Sprint(number))
		yearly := int64(random.roll(2_000_000) + 1200)
		for _, segment := range segments {
			for _, shape := range shapes {
				if len(rows) == n {
					break
				}
				price := yearly * int64(shape.term.Months()) / 12
				if renewed.roll(10) == 0 {
					price += price / 20
				}
				rows = append(rows, pricing.Row{
					SKU: pricing.SKU{ProductID: id, SkuID: skuID}, Term: shape.term, Plan: shape.plan, Market: Market(market), Segment: segment,
					Currency: currencies[market%len(currencies)], UnitPrice: decimal.New(price, -2), Start: from, End: to,
					ProductTitle: title, SkuTitle: skuTitle, Publisher: "Microsoft Corporation", Line: len(rows) + 2,
				})
			}
		}
	}
	return rows
}

// Make takes the sheets into an empty bucket, as ingest would, an input a month.
func (p Plan) Make(ctx context.Context, b bucket.Bucket, progress func(done, total int)) error {
	l := ledger.Ledger{Bucket: b}
	for i := range p.Months {
		month := p.Month - pricing.Month(p.Months-1-i)
		in := ledger.Input{Number: int64(i + 1), Kind: ledger.Prices, Name: fmt.Sprintf("invented-%s.csv", month), Month: month.String()}
		var sums []byte
		for market := range p.Markets {
			o, err := l.PutPrices(ctx, Market(market), p.Sheet(market, month))
			if err != nil {
				return fmt.Errorf("invent the prices of %s for %s: %w", Market(market), month, err)
			}
			sums = append(sums, o.SHA256...)
			in.Objects = append(in.Objects, o)
			in.Records += o.Records
			progress(i*p.Markets+market+1, p.Months*p.Markets)
		}
		sum := sha256.Sum256(sums)
		in.SHA256 = hex.EncodeToString(sum[:])
		if err := l.Append(ctx, in); err != nil {
			return fmt.Errorf("invent the prices for %s: %w", month, err)
		}
	}
	return nil
}

// dice give the same throws for the same seeds.
type dice struct{ state uint64 }

func newDice(a, b uint64) *dice { return &dice{a*0x9e3779b97f4a7c15 ^ b*0xd1342543de82ef95} }

// roll is a number from 0 to n-1 (splitmix64).
func (d *dice) roll(n int) int {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) >> 1 % uint64(n))
}
