package ledger

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

func drawText(t *rapid.T) string { return rapid.StringN(0, 5, 12).Draw(t, "text") }

func drawOffers(t *rapid.T, told bool) (offers []pricing.Offer) {
	id := rapid.SampledFrom([]string{"CFQ7TTC0LH18", "CFQ7TTC0LDPB", "P"})
	skus := func() (all []pricing.SKU) {
		for range rapid.IntRange(0, 3).Draw(t, "skus") {
			all = append(all, pricing.SKU{ProductID: id.Draw(t, "product"), SkuID: drawText(t)})
		}
		return all
	}
	for i := range rapid.IntRange(1, 5).Draw(t, "offers") {
		o := pricing.Offer{SKU: pricing.SKU{ProductID: id.Draw(t, "product"), SkuID: fmt.Sprint(i)}, MinLicenses: rapid.Int64().Draw(t, "least"),
			MaxLicenses: rapid.Int64().Draw(t, "most"), Conversions: skus()}
		if told {
			o.Needs = skus()
			f := pricing.OfferFacts{ProductTitle: drawText(t), SkuTitle: drawText(t), Description: drawText(t), ProvisioningID: drawText(t),
				ProvisioningString: drawText(t), OwnershipLimit: drawText(t), OwnershipLimitType: drawText(t), Countries: drawText(t)}
			if f != (pricing.OfferFacts{}) {
				o.Facts = &f
			}
		}
		offers = append(offers, o)
	}
	return offers
}

func drawRows(t *rapid.T, told bool) (rows []pricing.Row) {
	for range rapid.IntRange(1, 5).Draw(t, "rows") {
		r := pricing.Row{SKU: pricing.SKU{ProductID: drawText(t), SkuID: drawText(t)}, Term: pricing.P1Y, Plan: pricing.Monthly, Market: "NL",
			Segment: drawText(t), Currency: "EUR", UnitPrice: decimal.RequireFromString(decimal.New(rapid.Int64().Draw(t, "price"), -2).String()), Start: 5, End: pricing.Instant(rapid.Int64().Draw(t, "end")),
			ProductTitle: drawText(t), SkuTitle: drawText(t), Publisher: drawText(t), Line: rapid.Int().Draw(t, "line"), Tiered: rapid.Bool().Draw(t, "tiered")}
		if l := (pricing.Listing{Description: drawText(t), UnitOfMeasure: drawText(t), Tags: drawText(t), ERPPrice: drawText(t)}); told && l != (pricing.Listing{}) {
			r.Listing = &l
		}
		rows = append(rows, r)
	}
	return rows
}

func held[T any](t *rapid.T, v T, err error) func(want T) {
	return func(want T) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(v, want) {
			t.Fatalf("got %+v, %v\nwant %+v", v, err, want)
		}
	}
}

// What is told comes back where it is asked for, and nowhere else.
func TestToldComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx, l := context.Background(), Ledger{Bucket: bucket.NewMemory()}
		told := rapid.Bool().Draw(t, "told")

		offers := drawOffers(t, told)
		o, err := l.PutOffers(ctx, offers)
		if err != nil {
			t.Fatal(err)
		}
		in := Input{Number: 1, Kind: Offers, Objects: []Object{o}}
		all, err := l.OfferMatrix(ctx, []Input{in})
		held(t, all, err)(offers)
		ruled := make([]pricing.Offer, 0, len(offers))
		for _, o := range offers {
			o.Facts = nil
			ruled = append(ruled, o)
		}
		var read []pricing.Offer
		err = l.eachOffer(ctx, o, func(o pricing.Offer) { read = append(read, o) })
		held(t, read, err)(ruled)

		rows := drawRows(t, told)
		if o, err = l.PutPrices(ctx, "NL", rows); err != nil {
			t.Fatal(err)
		}
		listed, err := l.ListedRows(ctx, o)
		held(t, listed, err)(rows)
		for i := range rows {
			rows[i].Listing = nil
		}
		priced, err := l.PriceRows(ctx, o)
		held(t, priced, err)(rows)
	})
}

// pricesBefore and offersBefore write and read objects as programs did before anything
// was told; a row's name is part of the bytes.
func pricesBefore(ctx context.Context, l Ledger) (put func([]pricing.Row) (Object, error), get func(Object) ([]pricing.Row, error)) {
	type priceRow struct {
		ProductID    string `parquet:"productId,dict"`
		SkuID        string `parquet:"skuId,dict"`
		Term         int32  `parquet:"term"`
		Plan         int32  `parquet:"plan"`
		Segment      string `parquet:"segment,dict"`
		Currency     string `parquet:"currency,dict"`
		UnitPrice    string `parquet:"unitPrice,dict"`
		Start        int64  `parquet:"start"`
		End          int64  `parquet:"end"`
		Tiered       bool   `parquet:"tiered"`
		ProductTitle string `parquet:"productTitle,dict"`
		SkuTitle     string `parquet:"skuTitle,dict"`
		Publisher    string `parquet:"publisher,dict"`
		Line         int64  `parquet:"line"`
	}
	put = func(rows []pricing.Row) (Object, error) {
		var all []priceRow
		for _, p := range rows {
			all = append(all, priceRow{p.ProductID, p.SkuID, int32(p.Term), int32(p.Plan), p.Segment, p.Currency, p.UnitPrice.String(),
				int64(p.Start), int64(p.End), p.Tiered, p.ProductTitle, p.SkuTitle, p.Publisher, int64(p.Line)})
		}
		o, err := write(ctx, l, all)
		o.Market = "NL"
		return o, err
	}
	get = func(o Object) (rows []pricing.Row, err error) {
		err = read(ctx, l, o, func(batch []priceRow) error {
			for _, r := range batch {
				rows = append(rows, pricing.Row{SKU: pricing.SKU{ProductID: r.ProductID, SkuID: r.SkuID}, Term: pricing.Term(r.Term), Plan: pricing.Plan(r.Plan),
					Market: "NL", Segment: r.Segment, Currency: r.Currency, UnitPrice: decimal.RequireFromString(r.UnitPrice), Start: pricing.Instant(r.Start),
					End: pricing.Instant(r.End), Tiered: r.Tiered, ProductTitle: r.ProductTitle, SkuTitle: r.SkuTitle, Publisher: r.Publisher, Line: int(r.Line)})
			}
			return nil
		})
		return rows, err
	}
	return put, get
}

func offersBefore(ctx context.Context, l Ledger) (put func([]pricing.Offer) (Object, error), get func(Object) ([]pricing.Offer, error)) {
	type offerRow struct {
		ProductID   string   `parquet:"productId"`
		SkuID       string   `parquet:"skuId"`
		MinLicenses int64    `parquet:"minLicenses"`
		MaxLicenses int64    `parquet:"maxLicenses"`
		Conversions []string `parquet:"conversions,list"`
	}
	put = func(offers []pricing.Offer) (Object, error) {
		var all []offerRow
		for _, o := range offers {
			all = append(all, offerRow{o.ProductID, o.SkuID, o.MinLicenses, o.MaxLicenses, pairs(o.Conversions)})
		}
		return write(ctx, l, all)
	}
	get = func(o Object) (offers []pricing.Offer, err error) {
		err = read(ctx, l, o, func(rows []offerRow) error {
			for _, r := range rows {
				offers = append(offers, pricing.Offer{SKU: pricing.SKU{ProductID: r.ProductID, SkuID: r.SkuID}, MinLicenses: r.MinLicenses,
					MaxLicenses: r.MaxLicenses, Conversions: unpaired(r.Conversions)})
			}
			return nil
		})
		return offers, err
	}
	return put, get
}

// An object of before reads as one that tells nothing, and what tells nothing is written
// as before. An object of now reads as before in a program of before. So no layout
// changes.
func TestToldBeforeAndAfter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx, l := context.Background(), Ledger{Bucket: bucket.NewMemory()}
		putOffers, getOffers := offersBefore(ctx, l)
		offers := drawOffers(t, false)
		o, err := putOffers(offers)
		if err != nil {
			t.Fatal(err)
		}
		now, err := l.OfferMatrix(ctx, []Input{{Kind: Offers, Objects: []Object{o}}})
		held(t, now, err)(offers)
		again, err := l.PutOffers(ctx, now)
		held(t, again, err)(o)

		offers = drawOffers(t, true)
		if o, err = l.PutOffers(ctx, offers); err != nil {
			t.Fatal(err)
		}
		for i := range offers {
			offers[i].Needs, offers[i].Facts = nil, nil
		}
		before, err := getOffers(o)
		held(t, before, err)(offers)

		putRows, getRows := pricesBefore(ctx, l)
		rows := drawRows(t, false)
		if o, err = putRows(rows); err != nil {
			t.Fatal(err)
		}
		listed, err := l.ListedRows(ctx, o)
		held(t, listed, err)(rows)
		again, err = l.PutPrices(ctx, "NL", listed)
		held(t, again, err)(o)

		rows = drawRows(t, true)
		if o, err = l.PutPrices(ctx, "NL", rows); err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			rows[i].Listing = nil
		}
		sold, err := getRows(o)
		held(t, sold, err)(rows)
	})
}
