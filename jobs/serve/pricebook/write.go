package pricebook

import (
	"encoding/csv"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// csvColumns are those of Microsoft's price sheet, in its order.
var csvColumns = []string{"ProductTitle", "ProductId", "SkuId", "SkuTitle", "Publisher", "SkuDescription", "UnitOfMeasure", "TermDuration", "BillingPlan", "Market", "Currency", "UnitPrice",
	"PricingTierRangeMin", "PricingTierRangeMax", "EffectiveStartDate", "EffectiveEndDate", "Tags", "ERP Price", "Segment"}

// tieredMark stands in PricingTierRangeMin of a row whose range is not kept, so that
// nobody takes its price for that of a licence.
const tieredMark = "tiered"

// Told is a sheet with what it tells people besides, which the book does not keep: see
// [Shelf.Told].
type Told struct {
	*Sheet
	listed []pricing.Row // in the order of the file
}

// listing is what is told of a row.
func (t Told) listing(i int) pricing.Listing {
	if at := int(t.rows[i].read); at < len(t.listed) && t.listed[at].Listing != nil {
		return *t.listed[at].Listing
	}
	return pricing.Listing{}
}

// WriteCSV writes all rows as a price sheet, which can be taken in again.
func (t Told) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	if err := c.Write(csvColumns); err != nil {
		return err
	}
	for i := range t.rows {
		r, more := t.Row(i), t.listing(i)
		mark := ""
		if r.Tiered {
			mark = tieredMark
		}
		err := c.Write([]string{r.ProductTitle, r.ProductID, r.SkuID, r.SkuTitle, r.Publisher, more.Description, more.UnitOfMeasure, r.Term.String(), r.Plan.String(),
			r.Market, r.Currency, r.UnitPrice.String(), mark, "", r.Start.String(), r.End.String(), more.Tags, more.ERPPrice, r.Segment})
		if err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// parquetRow is a row of the Parquet file. Instants are cut to microseconds.
type parquetRow struct {
	ProductTitle       string `parquet:"ProductTitle,dict"`
	ProductID          string `parquet:"ProductId,dict"`
	SkuID              string `parquet:"SkuId,dict"`
	SkuTitle           string `parquet:"SkuTitle,dict"`
	Publisher          string `parquet:"Publisher,dict"`
	SkuDescription     string `parquet:"SkuDescription,dict"`
	UnitOfMeasure      string `parquet:"UnitOfMeasure,dict"`
	TermDuration       string `parquet:"TermDuration,dict"`
	BillingPlan        string `parquet:"BillingPlan,dict"`
	Market             string `parquet:"Market,dict"`
	Currency           string `parquet:"Currency,dict"`
	UnitPrice          int64  `parquet:"UnitPrice,decimal(6:18)"`
	UnitPriceText      string `parquet:"UnitPriceText,dict"`
	Tiered             bool   `parquet:"Tiered"`
	EffectiveStartDate int64  `parquet:"EffectiveStartDate,timestamp(microsecond)"`
	EffectiveEndDate   int64  `parquet:"EffectiveEndDate,timestamp(microsecond)"`
	Tags               string `parquet:"Tags,dict"`
	ERPPrice           string `parquet:"ERP Price,dict"`
	Segment            string `parquet:"Segment,dict"`
}

// decimals is how many a price has in Parquet, and limit the first number that does
// not fit.
const (
	decimals = 6
	limit    = 1_000_000_000_000_000_000
)

// scaled is a price in units of its last decimal in Parquet.
func scaled(price decimal.Decimal) (int64, bool) {
	whole := price.Shift(decimals).RoundBank(0)
	return whole.IntPart(), whole.BigInt().IsInt64() && whole.IntPart() < limit
}

// FitsParquet refuses a sheet with a price of more than twelve digits before the point,
// which [Sheet.WriteParquet] cannot write.
func (s *Sheet) FitsParquet() error {
	for i := range s.rows {
		if r := &s.rows[i]; r.price >= limit/1_000_000_000 || r.exp > 0 { // few can be too large
			if _, ok := scaled(s.price(r)); !ok {
				return fmt.Errorf("line %d: the price %s does not fit in a DECIMAL(18,%d): take the CSV file", r.line, s.price(r), decimals)
			}
		}
	}
	return nil
}

// WriteParquet writes all rows as a Parquet file.
func (t Told) WriteParquet(w io.Writer) error {
	if err := t.FitsParquet(); err != nil {
		return err
	}
	p := parquet.NewGenericWriter[parquetRow](w, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(131_072), parquet.CreatedBy("calends", "1", ""))
	batch := make([]parquetRow, 0, 1024)
	for i := range t.rows {
		r, more := t.Row(i), t.listing(i)
		price, _ := scaled(r.UnitPrice)
		batch = append(batch, parquetRow{
			ProductTitle: r.ProductTitle, ProductID: r.ProductID, SkuID: r.SkuID, SkuTitle: r.SkuTitle, Publisher: r.Publisher,
			SkuDescription: more.Description, UnitOfMeasure: more.UnitOfMeasure, Tags: more.Tags, ERPPrice: more.ERPPrice,
			TermDuration: r.Term.String(), BillingPlan: r.Plan.String(), Market: r.Market, Currency: r.Currency,
			UnitPrice: price, UnitPriceText: r.UnitPrice.String(), Tiered: r.Tiered,
			EffectiveStartDate: microseconds(r.Start), EffectiveEndDate: microseconds(r.End), Segment: r.Segment,
		})
		if len(batch) == cap(batch) || i+1 == len(t.rows) {
			if _, err := p.Write(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return p.Close()
}

func microseconds(i pricing.Instant) int64 { return i.Time().UnixMicro() }
