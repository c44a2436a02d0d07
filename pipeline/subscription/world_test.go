package subscription_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// world is what a life is lived in: one customer of one partner in one market.
type world struct {
	payer  subscription.Payer
	rows   []pricing.Row
	sheets []pricing.Month // nil: every month has one
	cache  map[pricing.Month]*pricing.Sheet

	promotions map[string][]pricing.Promotion
	offers     map[pricing.SKU]pricing.Offer
	locks      map[subscription.LockKey]subscription.Lock

	unknown      pricing.Code
	unknownSince pricing.Month
}

// newWorld sells A, and B at twice the price, in every term and plan, C by the
// year only, and no X.
func newWorld() *world {
	w := &world{
		payer: subscription.Payer{
			Partner:  party.Partner{ID: "P", BillingCurrency: "EUR"},
			Customer: party.Customer{ID: "C", Country: "DE", Segment: "Commercial", PartnerID: "P"},
		},
		cache:      make(map[pricing.Month]*pricing.Sheet),
		promotions: make(map[string][]pricing.Promotion),
	}
	for _, line := range []string{
		"A P1M Monthly EUR 10", "A P1Y Monthly EUR 120", "A P1Y Annual EUR 108",
		"A P3Y Monthly EUR 360", "A P3Y Annual EUR 324", "A P3Y Triennial EUR 300",
		"B P1M Monthly EUR 20", "B P1Y Monthly EUR 240", "B P1Y Annual EUR 216",
		"B P3Y Monthly EUR 720", "B P3Y Annual EUR 648", "B P3Y Triennial EUR 600",
		"C P1Y Annual EUR 999",
	} {
		w.learn(strings.Fields("price " + line + " 2019-01-01..2030-12-31"))
	}
	return w
}

// learn takes one line of a case that is no change.
func (w *world) learn(words []string) {
	switch args := words[1:]; words[0] {
	case "price":
		start, end := period(args[5])
		w.rows = append(w.rows, pricing.Row{SKU: sku(args[0]), Term: term(args[1]), Plan: plan(args[2]), Market: "DE", Segment: "Commercial",
			Currency: args[3], UnitPrice: *number(args[4]), Start: start, End: end,
			ProductTitle: "Product " + args[0], SkuTitle: "SKU " + args[0], Line: len(w.rows) + 2})
	case "promo":
		start, end := period(args[5])
		w.promotions[args[0]] = append(w.promotions[args[0]], pricing.Promotion{ID: args[0], SKU: sku(args[1]), Term: term(args[2]), Plan: plan(args[3]),
			Discount: *number(args[4]), Start: start, End: end})
	case "offer":
		if w.offers == nil {
			w.offers = make(map[pricing.SKU]pricing.Offer)
		}
		o := pricing.Offer{SKU: sku(args[0])}
		least, most, _ := strings.Cut(args[1], "..")
		o.MinLicenses, o.MaxLicenses = must(strconv.ParseInt(least, 10, 64)), must(strconv.ParseInt(most, 10, 64))
		for _, to := range args[2:] {
			o.Conversions = append(o.Conversions, sku(to))
		}
		w.offers[o.SKU] = o
	case "policy":
		for _, p := range args {
			switch name, value, _ := strings.Cut(p, "="); name {
			case "trust":
				w.payer.Policies.Trust = true
			case "stick":
				w.payer.Policies.MonthEnd = pricing.Stick
			case "currency":
				w.payer.Partner.BillingCurrency = value
			default:
				panic("policy " + p)
			}
		}
	case "sheets":
		for _, m := range args {
			w.sheets = append(w.sheets, must(pricing.ParseMonth(m)))
		}
	case "unknown":
		w.unknown = pricing.Code("UNKNOWN_" + strings.ToUpper(args[0]))
		w.unknownSince = must(pricing.ParseMonth(args[1]))
	default:
		panic(fmt.Sprintf("what is %v?", words))
	}
}

func period(s string) (start, end pricing.Instant) {
	first, last, _ := strings.Cut(s, "..")
	return day(first).Instant(), (day(last) + 1).Instant() - 1
}

func term(s string) pricing.Term {
	t, ok := pricing.ParseTerm(s)
	if !ok {
		panic("term " + s)
	}
	return t
}

func plan(s string) pricing.Plan {
	p, ok := pricing.ParsePlan(s)
	if !ok {
		panic("plan " + s)
	}
	return p
}

func (w *world) Payer(_ string, month pricing.Month) (*subscription.Payer, pricing.Code) {
	switch {
	case w.unknown == "" || month < w.unknownSince:
		return &w.payer, ""
	case w.unknown == pricing.UnknownPartner:
		return &subscription.Payer{Partner: party.Partner{ID: "P"}, Customer: w.payer.Customer}, w.unknown
	}
	return nil, w.unknown
}

func (w *world) Sheet(market string, month pricing.Month) (*pricing.Sheet, error) {
	if w.sheets != nil {
		best := pricing.Month(-1)
		for _, m := range w.sheets {
			if m <= month {
				best = max(best, m)
			}
		}
		if best < 0 {
			return nil, nil
		}
		month = best
	}
	if w.cache[month] == nil {
		w.cache[month] = pricing.NewSheet(market, month, "prices.csv", "hash of prices.csv", w.rows)
	}
	return w.cache[month], nil
}

func (w *world) Promotions(id string) []pricing.Promotion { return w.promotions[id] }

func (w *world) Offer(sku pricing.SKU, _ pricing.Month) (pricing.Offer, bool) {
	return w.offers[sku], w.offers != nil
}

func (w *world) Lock(key subscription.LockKey) (subscription.Lock, bool) {
	lock, ok := w.locks[key]
	return lock, ok
}

var _ subscription.World = (*world)(nil)
