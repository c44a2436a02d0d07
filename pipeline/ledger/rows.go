package ledger

import (
	"context"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// The rows of data objects. Decimals are exact text; instants are ticks of 100
// ns, dates days since 1970.

type partnerRow struct {
	ID              string `parquet:"id"`
	Name            string `parquet:"name"`
	Country         string `parquet:"country"`
	BillingCurrency string `parquet:"billingCurrency"`
	MpnID           string `parquet:"mpnId"`
	TaxRate         string `parquet:"taxRate"`
}

// customerRow is the row where none of the customers has a relationship: so it was
// before there were any, name and all, and the same customers still give the same bytes.
type customerRow struct {
	ID            string `parquet:"id"`
	Name          string `parquet:"name"`
	Domain        string `parquet:"domain"`
	Country       string `parquet:"country,dict"`
	Segment       string `parquet:"segment,dict"`
	PartnerID     string `parquet:"partnerId,dict"`
	ResellerMpnID string `parquet:"resellerMpnId,dict"`
}

// relatedRow is the row of customers with relationships, and what both are read as.
type relatedRow struct {
	ID            string `parquet:"id"`
	Name          string `parquet:"name"`
	Domain        string `parquet:"domain"`
	Country       string `parquet:"country,dict"`
	Segment       string `parquet:"segment,dict"`
	PartnerID     string `parquet:"partnerId,dict"`
	ResellerMpnID string `parquet:"resellerMpnId,dict"`
	Relationship  string `parquet:"relationship,dict"`
}

// priceRow is the row of a sheet that tells nothing besides; see listedRow.
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

type rateRow struct {
	Currency   string `parquet:"currency"`
	Month      int32  `parquet:"month"`
	USDPerUnit string `parquet:"usdPerUnit"`
}

type promotionRow struct {
	ID        string `parquet:"id"`
	ProductID string `parquet:"productId"`
	SkuID     string `parquet:"skuId"`
	Term      int32  `parquet:"term"`
	Plan      int32  `parquet:"plan"`
	Start     int64  `parquet:"start"`
	End       int64  `parquet:"end"`
	Discount  string `parquet:"discount"`
}

type lockRow struct {
	CustomerID     string `parquet:"customerId,dict"`
	SubscriptionID string `parquet:"subscriptionId"`
	At             int64  `parquet:"at"`
	ProductID      string `parquet:"productId,dict"`
	SkuID          string `parquet:"skuId,dict"`
	Term           int32  `parquet:"term"`
	Plan           int32  `parquet:"plan"`
	Asked          string `parquet:"asked,dict"`

	UnitPrice    string `parquet:"unitPrice,dict"`
	Currency     string `parquet:"currency,dict"`
	PromotionID  string `parquet:"promotionId,dict"`
	Discount     string `parquet:"discount,dict"`
	ProductTitle string `parquet:"productTitle,dict"`
	SkuTitle     string `parquet:"skuTitle,dict"`
	Publisher    string `parquet:"publisher,dict"`
	Market       string `parquet:"market,dict"`
	Month        int32  `parquet:"month"`
	File         string `parquet:"file,dict"`
	SHA256       string `parquet:"sha256,dict"`
	Line         int64  `parquet:"line"`
}

// PutPartners keeps partners as a data object.
func (l Ledger) PutPartners(ctx context.Context, partners []party.Partner) (Object, error) {
	rows := make([]partnerRow, len(partners))
	for i, p := range partners {
		rows[i] = partnerRow{p.ID, p.Name, p.Country, p.BillingCurrency, p.MpnID, p.TaxRate.String()}
	}
	return write(ctx, l, rows)
}

// PutCustomers keeps customers as a data object.
func (l Ledger) PutCustomers(ctx context.Context, customers []party.Customer) (Object, error) {
	if slices.ContainsFunc(customers, func(c party.Customer) bool { return c.Relationship != "" }) {
		rows := make([]relatedRow, len(customers))
		for i, c := range customers {
			rows[i] = relatedRow{c.ID, c.Name, c.Domain, c.Country, c.Segment, c.PartnerID, c.ResellerMpnID, string(c.Relationship)}
		}
		return write(ctx, l, rows)
	}
	rows := make([]customerRow, len(customers))
	for i, c := range customers {
		rows[i] = customerRow{c.ID, c.Name, c.Domain, c.Country, c.Segment, c.PartnerID, c.ResellerMpnID}
	}
	return write(ctx, l, rows)
}

func (r *relatedRow) customer() party.Customer {
	return party.Customer{ID: r.ID, Name: r.Name, Domain: r.Domain, Country: r.Country, Segment: r.Segment,
		PartnerID: r.PartnerID, ResellerMpnID: r.ResellerMpnID, Relationship: party.Relationship(r.Relationship)}
}

// PutPrices keeps the rows of one market of a price sheet as a data object.
func (l Ledger) PutPrices(ctx context.Context, market string, prices []pricing.Row) (Object, error) {
	if slices.ContainsFunc(prices, func(p pricing.Row) bool { return p.Listing != nil }) {
		return l.putListed(ctx, market, prices)
	}
	rows := make([]priceRow, len(prices))
	for i, p := range prices {
		rows[i] = priceRow{p.ProductID, p.SkuID, int32(p.Term), int32(p.Plan), p.Segment, p.Currency, p.UnitPrice.String(),
			int64(p.Start), int64(p.End), p.Tiered, p.ProductTitle, p.SkuTitle, p.Publisher, int64(p.Line)}
	}
	o, err := write(ctx, l, rows)
	o.Market = market
	return o, err
}

// PutRates keeps exchange rates as a data object.
func (l Ledger) PutRates(ctx context.Context, rates []pricing.FXRate) (Object, error) {
	rows := make([]rateRow, len(rates))
	for i, r := range rates {
		rows[i] = rateRow{r.Currency, int32(r.Month), r.USDPerUnit.String()}
	}
	return write(ctx, l, rows)
}

// PutPromotions keeps promotions as a data object.
func (l Ledger) PutPromotions(ctx context.Context, promotions []pricing.Promotion) (Object, error) {
	rows := make([]promotionRow, len(promotions))
	for i, p := range promotions {
		rows[i] = promotionRow{p.ID, p.ProductID, p.SkuID, int32(p.Term), int32(p.Plan), int64(p.Start), int64(p.End), p.Discount.String()}
	}
	return write(ctx, l, rows)
}

// Lock is a price that a closed month used.
type Lock struct {
	CustomerID string
	Key        subscription.LockKey
	subscription.Lock
}

// Locks collects the locks that a close keeps, in the order of the customers'
// ids. What it holds is encoded already, but for the last chunk.
type Locks struct {
	rows    []lockRow
	encoded []Pending
}

// Add takes the next lock. Those of one customer stand in one object.
func (s *Locks) Add(k Lock) (err error) {
	if n := len(s.rows); n >= standingChunk && s.rows[n-1].CustomerID != k.CustomerID {
		if s.encoded, err = flush(s.encoded, &s.rows); err != nil {
			return fmt.Errorf("prices of a close: %w", err)
		}
	}
	s.rows = append(s.rows, lockRow{
		k.CustomerID, k.Key.SubscriptionID, int64(k.Key.At), k.Key.SKU.ProductID, k.Key.SKU.SkuID,
		int32(k.Key.Term), int32(k.Key.Plan), k.Asked,
		k.UnitPrice.String(), k.Currency, k.PromotionID, k.Discount.String(), k.ProductTitle, k.SkuTitle, k.Publisher,
		k.Source.Market, int32(k.Source.Month), k.Source.File, k.Source.SHA256, int64(k.Source.Line),
	})
	return nil
}

// Finish returns what is to be written, in order.
func (s *Locks) Finish() ([]Pending, error) {
	var err error
	if s.encoded, err = flush(s.encoded, &s.rows); err != nil {
		return nil, fmt.Errorf("prices of a close: %w", err)
	}
	return s.encoded, nil
}

func (r lockRow) lock() (Lock, error) {
	unitPrice, err := decimal.NewFromString(r.UnitPrice)
	if err != nil {
		return Lock{}, fmt.Errorf("lock of subscription %s: price %q: %w", r.SubscriptionID, r.UnitPrice, err)
	}
	discount, err := decimal.NewFromString(r.Discount)
	if err != nil {
		return Lock{}, fmt.Errorf("lock of subscription %s: discount %q: %w", r.SubscriptionID, r.Discount, err)
	}
	return Lock{
		CustomerID: r.CustomerID,
		Key: subscription.LockKey{SubscriptionID: r.SubscriptionID, At: pricing.Instant(r.At),
			SKU:  pricing.SKU{ProductID: r.ProductID, SkuID: r.SkuID},
			Term: pricing.Term(r.Term), Plan: pricing.Plan(r.Plan)},
		Lock: subscription.Lock{
			Asked: r.Asked, UnitPrice: unitPrice, Currency: r.Currency, PromotionID: r.PromotionID, Discount: discount,
			ProductTitle: r.ProductTitle, SkuTitle: r.SkuTitle, Publisher: r.Publisher,
			Source: subscription.Source{Market: r.Market, Month: pricing.Month(r.Month), File: r.File, SHA256: r.SHA256, Line: int(r.Line)},
		},
	}, nil
}
