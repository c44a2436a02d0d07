package damage_test

import (
	"fmt"
	"math/rand"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// world is one partner in a market whose prices and rates move every month.
type world struct {
	chance    *rand.Rand
	partner   party.Partner
	policies  subscription.Policies
	rows      map[pricing.Month][]pricing.Row
	sheets    map[pricing.Month]*pricing.Sheet
	promotion map[pricing.SKU]pricing.Promotion
	rates     map[pricing.Month]decimal.Decimal
	skus      []pricing.SKU
}

var (
	first  = mustMonth("2023-11")
	march  = mustMonth("2024-03")
	latest = mustMonth("2024-04")
)

func newWorld(seed int64) *world {
	w := &world{
		chance:  rand.New(rand.NewSource(seed)),
		partner: party.Partner{ID: "P", Name: "Partner", Country: "DE", BillingCurrency: "EUR", TaxRate: decimal.New(19, -2)},
		rows:    map[pricing.Month][]pricing.Row{}, sheets: map[pricing.Month]*pricing.Sheet{},
		promotion: map[pricing.SKU]pricing.Promotion{}, rates: map[pricing.Month]decimal.Decimal{},
	}
	prices := make([]int64, 30)
	for i := range prices {
		w.skus = append(w.skus, pricing.SKU{ProductID: fmt.Sprintf("PRODUCT%02d", i), SkuID: fmt.Sprintf("%04d", 1+i%3)})
		prices[i] = 200 + w.chance.Int63n(6000)
		if i%3 == 0 {
			w.promotion[w.skus[i]] = pricing.Promotion{ID: fmt.Sprintf("PROMO%02d", i), SKU: w.skus[i], Term: pricing.P1Y, Plan: pricing.Monthly,
				Discount: decimal.New(5*(1+w.chance.Int63n(6)), -2), Start: 0, End: pricing.DateOf(2100, 1, 1).Instant()}
		}
	}
	for m := first; m <= latest; m++ {
		w.rates[m] = decimal.New(900_000_000+w.chance.Int63n(60_000_000), -9)
		for i, sku := range w.skus {
			if w.chance.Intn(2) == 0 {
				prices[i] += prices[i]*(w.chance.Int63n(21)-8)/100 + 1
			}
			currency := "EUR"
			if i%4 == 1 {
				currency = "USD"
			}
			row := func(term pricing.Term, plan pricing.Plan, cents int64) {
				w.rows[m] = append(w.rows[m], pricing.Row{SKU: sku, Term: term, Plan: plan, Market: "DE", Segment: "Commercial", Currency: currency,
					UnitPrice: decimal.New(cents, -2), End: pricing.DateOf(2100, 1, 1).Instant(), ProductTitle: sku.ProductID, Publisher: "Microsoft", Line: len(w.rows[m]) + 2})
			}
			row(pricing.P1M, pricing.Monthly, prices[i]*12/10)
			row(pricing.P1Y, pricing.Monthly, prices[i]*12)
			row(pricing.P1Y, pricing.Annual, prices[i]*11)
		}
		w.sheets[m] = pricing.NewSheet("DE", m, "DE.csv", "hash"+m.String(), w.rows[m])
	}
	return w
}

func (w *world) Payer(customerID string, _ pricing.Month) (*subscription.Payer, pricing.Code) {
	return &subscription.Payer{Partner: w.partner, Policies: w.policies, Customer: party.Customer{ID: customerID, Name: "Customer " + customerID,
		Country: "DE", Segment: "Commercial", PartnerID: w.partner.ID}}, ""
}

func (w *world) Partner(id string, _ pricing.Month) (party.Partner, bool) {
	return w.partner, id == w.partner.ID
}

func (w *world) Rate(from, to string, month pricing.Month) (decimal.Decimal, bool) {
	rate, ok := w.rates[month]
	return rate, ok && from == "USD" && to == "EUR"
}

func (w *world) Sheet(_ string, month pricing.Month) (*pricing.Sheet, error) {
	return w.sheets[month], nil
}

func (w *world) promotions(sku pricing.SKU) []pricing.Promotion {
	if p, ok := w.promotion[sku]; ok {
		return []pricing.Promotion{p}
	}
	return nil
}

func (w *world) Offer(pricing.SKU, pricing.Month) (pricing.Offer, bool) {
	return pricing.Offer{}, false
}

func (w *world) Lock(string, subscription.LockKey) (subscription.Lock, bool) {
	return subscription.Lock{}, false
}

func (w *world) Promotions(id string) []pricing.Promotion {
	for _, p := range w.promotion {
		if p.ID == id {
			return []pricing.Promotion{p}
		}
	}
	return nil
}

// known is what the reconciler may ask.
type known struct{ *world }

func (k known) Prices(_ string, sku pricing.SKU, month pricing.Month) ([]reconcile.PriceRow, error) {
	var all []reconcile.PriceRow
	for m := month - 3; m <= month+1; m++ {
		for _, r := range k.rows[m] {
			if r.SKU == sku {
				all = append(all, reconcile.PriceRow{Row: r, Market: "DE", Month: m, File: "DE.csv"})
			}
		}
	}
	return all, nil
}

func (k known) Promotions(sku pricing.SKU) []pricing.Promotion { return k.promotions(sku) }

// LastPrice and LastRate are what damage takes.
func (w *world) LastPrice(l *invoice.Line) (decimal.Decimal, bool) {
	p := l.Proof
	for _, r := range w.rows[p.Source.Month] {
		if r.Line != p.Source.Line {
			continue
		}
		for _, last := range w.rows[p.Source.Month-1] {
			if last.SKU == r.SKU && last.Term == r.Term && last.Plan == r.Plan {
				return last.UnitPrice, true
			}
		}
	}
	return decimal.Decimal{}, false
}

func (w *world) LastRate(l *invoice.Line) (decimal.Decimal, bool) {
	if l.PricingCurrency == l.Currency {
		return decimal.Decimal{}, false
	}
	rate, ok := w.rates[l.OrderDate.Month()-1]
	return rate, ok
}

// history draws one customer's changes since November.
func (w *world) history(customer string) []*change.Change {
	var changes []*change.Change
	n := 0
	at := func(day pricing.Date) *change.Change {
		n++
		return &change.Change{ID: fmt.Sprintf("%s-%03d", customer, n), At: day.Instant() + pricing.Instant(w.chance.Intn(20))*pricing.Hour,
			CustomerID: customer, CustomTermEnd: pricing.NoDate}
	}
	days := int(latest.Last() - first.First())
	for s := range 1 + w.chance.Intn(5) {
		id := fmt.Sprintf("%s-S%d", customer, s)
		bought := first.First() + pricing.Date(w.chance.Intn(days))
		seats := int64(1 + w.chance.Intn(60))
		c := at(bought)
		sku := w.skus[w.chance.Intn(len(w.skus))]
		c.Type, c.Subject, c.SKU, c.OrderID, c.Quantity = change.Purchased, id, sku, "order", &seats
		c.TermDuration, c.BillingCycle = "P1Y", "Monthly"
		switch w.chance.Intn(5) {
		case 0:
			c.TermDuration = "P1M"
		case 1:
			c.BillingCycle = "Annual"
		default:
			c.PromotionID = w.promotion[sku].ID
		}
		changes = append(changes, c)
		day := bought
		for range w.chance.Intn(6) {
			day += pricing.Date(1 + w.chance.Intn(25))
			more := seats + int64(1+w.chance.Intn(9))
			if seats > 4 && w.chance.Intn(3) == 0 {
				more = seats - int64(1+w.chance.Intn(3))
			}
			c := at(day)
			c.Type, c.Subject, c.Quantity = change.QuantityChanged, id, &more
			seats = more
			changes = append(changes, c)
		}
		if w.chance.Intn(8) == 0 {
			c := at(day + pricing.Date(w.chance.Intn(9)))
			c.Type, c.Subject = change.Canceled, id
			changes = append(changes, c)
		}
	}
	slices.SortFunc(changes, change.Compare)
	return changes
}

// customers bills February to April for a number of customers.
func (w *world) customers(n int) []*reconcile.Group {
	var all []*reconcile.Group
	row := 0
	for i := range n {
		id := fmt.Sprintf("C%05d", i)
		g := &reconcile.Group{PartnerID: "P", CustomerID: id, Month: march, OurMonths: []pricing.Month{march - 1, march, march + 1}}
		history := w.history(id)
		for _, month := range g.OurMonths {
			outcome, err := invoice.Bill(w, invoice.Books{}, month, invoice.Customer{ID: id, Changes: history})
			if err != nil {
				panic(err)
			}
			for _, l := range outcome.Lines {
				row++
				g.Ours = append(g.Ours, reconcile.Ours{Line: l, Month: month, Row: row, TaxRate: w.partner.TaxRate, HasTaxRate: true})
			}
			for _, x := range outcome.Exceptions {
				if x.Severity == invoice.Error {
					g.Refusals = append(g.Refusals, reconcile.Refusal{Code: x.Code, SubscriptionID: x.SubscriptionID, EventID: x.EventID, Date: pricing.NoDate, Month: x.Month, Message: x.Message})
				}
			}
		}
		all = append(all, g)
	}
	return all
}

func mustMonth(s string) pricing.Month {
	m, err := pricing.ParseMonth(s)
	if err != nil {
		panic(err)
	}
	return m
}
