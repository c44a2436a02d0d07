package world

import (
	"fmt"
	"io"
	"strings"

	"github.com/calends/calends/pricing"
)

// Worlds below this size have fewer markets, things to buy and years: their price
// sheets would be most of the work.
const small = 10_000

// skus is how many things there are to buy: each family in each edition.
func (p Plan) skus() int {
	if p.Subscriptions < small {
		return 40
	}
	return len(families) * len(editions)
}

func (p Plan) markets() []market {
	if p.Subscriptions < small {
		return markets[:3]
	}
	return markets[:]
}

var families = [...]string{
	"Microsoft 365 Business", "Microsoft 365", "Office 365", "Exchange Online", "SharePoint", "Microsoft Teams", "Power BI", "Power Apps",
	"Power Automate", "Dynamics 365 Sales", "Dynamics 365 Finance", "Dynamics 365 Customer Service", "Microsoft Entra ID", "Microsoft Intune",
	"Microsoft Defender for Office 365", "Microsoft Purview", "Windows 365", "Project", "Visio", "Microsoft 365 Copilot",
}

var editions = [...]string{
	"Basic", "Standard", "Premium", "Enterprise", "E1", "E3", "E5", "F1", "F3", "Plan 1", "Plan 2", "Plan 3", "Plan 5", "P1", "P2", "Suite",
}

// sku is one thing to buy, by its number.
type sku int

func (s sku) title() string {
	return families[int(s)/len(editions)] + " " + editions[int(s)%len(editions)]
}

// Two editions are SKUs of one product.
func (s sku) product() string { return "CFQ7TTC0" + newDice(7).of(aboutID, int(s)/2).letters(4) }

func (s sku) id() string {
	if s%2 == 0 {
		return "0001"
	}
	return "0002"
}

func (s sku) availability() string { return "CFQ7TTC0" + newDice(8).of(aboutID, int(s)).letters(4) }

// Not everything is offered to everybody, for three years or on trial. Twenty
// SKUs further on one is offered in the same ways.
func (s sku) forAll() bool    { return s%4 == 1 }
func (s sku) threeYear() bool { return s%5 < 2 }
func (s sku) onTrial() bool   { return s%10 == 0 }
func (s sku) promoted() bool  { return s%10 == 3 }

func (s sku) sibling(skus int) sku { return sku((int(s) + 20) % skus) }

const trialSKU = "000T"

func (s sku) promotion() string {
	d := newDice(9).of(aboutID, int(s))
	return d.letters(12) + ":0001:" + d.again(1).letters(12)
}

// market is where customers are and what prices are in there.
type market struct {
	country, currency string
	decimals          int
	// perMille of a US price that is asked there.
	perMille int
}

var markets = [...]market{
	{"NL", "EUR", 2, 930}, {"DE", "EUR", 2, 930}, {"US", "USD", 2, 1000}, {"GB", "GBP", 2, 820}, {"FR", "EUR", 2, 940},
	{"CH", "CHF", 2, 910}, {"JP", "JPY", 0, 149_000}, {"SE", "SEK", 2, 10_600}, {"AU", "AUD", 2, 1520}, {"AE", "USD", 2, 1000},
}

var segments = [...]string{"Commercial", "Education", "Charity", "Government"}

// price is what a licence costs for a whole term, in the market's minor units
// times ten to the missing decimals: prices move now and then, each on its own.
func (s sku) price(m market, segment int, term pricing.Term, plan pricing.Plan, month pricing.Month) string {
	d := newDice(10).of(aboutPrice, int(s))
	cents := 150 + d.low(9000)
	steps := (int(month) + d.again(1).roll(12)) / 12 % 10 // a little more every year
	cents = cents * (1000 + 15*steps) / 1000
	cents = cents * [...]int{1000, 600, 500, 900}[segment] / 1000
	switch term {
	case pricing.P1M:
		cents = cents * 12 / 10
	case pricing.P1Y:
		cents *= 12
	case pricing.P3Y:
		cents = cents * 36 * 95 / 100
	case pricing.NoTerm:
	}
	if plan == pricing.Monthly && term != pricing.P1M {
		cents = cents * 105 / 100
	}
	cents = cents * m.perMille / 1000
	if m.decimals == 0 {
		return fmt.Sprint(cents / 100)
	}
	return fmt.Sprintf("%d.%02d", cents/100, cents%100)
}

// offer is a term and plan that things are sold with.
type offer struct {
	term pricing.Term
	plan pricing.Plan
}

// offers are the ways in which a SKU is sold to a segment.
func (s sku) offers(segment int) []offer {
	if segment > 0 && !s.forAll() {
		return nil
	}
	all := []offer{{pricing.P1M, pricing.Monthly}, {pricing.P1Y, pricing.Monthly}, {pricing.P1Y, pricing.Annual}}
	if s.threeYear() {
		all = append(all, offer{pricing.P3Y, pricing.Monthly}, offer{pricing.P3Y, pricing.Annual}, offer{pricing.P3Y, pricing.Triennial})
	}
	return all
}

// Markets lists where there are price sheets.
func (w *World) Markets() []string {
	var all []string
	for _, m := range w.markets() {
		all = append(all, m.country)
	}
	return all
}

// WriteSheet writes the price sheet of a market and month, as Partner Center
// serves it.
func (w *World) WriteSheet(out io.Writer, country string, month pricing.Month) error {
	b := newText(out)
	b.printf("ProductTitle,ProductId,SkuId,SkuTitle,Publisher,SkuDescription,UnitOfMeasure,TermDuration,BillingPlan,Market,Currency,UnitPrice," +
		"PricingTierRangeMin,PricingTierRangeMax,EffectiveStartDate,EffectiveEndDate,Tags,ERP Price,Segment\r\n")
	year, civil := month.Civil()
	row := func(s sku, m market, title, id, segment, price string, o offer) {
		b.printf(`"%s","%s","%s","%s","Microsoft Corporation","","","%s","%s","%s","%s","%s","","","%d/1/%d 12:00:00 AM","11/30/9999 11:59:59 PM","License","%s","%s"`+"\r\n",
			title, s.product(), id, title, o.term, o.plan, m.country, m.currency, price, int(civil), year, price, segment)
	}
	for _, m := range w.markets() {
		if m.country != country {
			continue
		}
		for s := range sku(w.skus()) {
			for n, segment := range segments {
				for _, o := range s.offers(n) {
					row(s, m, s.title(), s.id(), segment, s.price(m, n, o.term, o.plan, month), o)
				}
			}
			if s.onTrial() {
				row(s, m, s.title()+" Trial", trialSKU, segments[0], "0.00", offer{pricing.P1M, pricing.PlanNone})
			}
		}
	}
	return b.Flush()
}

// WriteRates writes the exchange rates of all months.
func (w *World) WriteRates(out io.Writer) error {
	b := newText(out)
	b.printf("CurrencyCode,USDPerUnit,Month\r\n")
	for month := w.First(); month <= w.Month; month++ {
		for i, r := range []struct {
			currency string
			micros   int // USD a unit, in millionths
		}{{"EUR", 1_084_300}, {"GBP", 1_271_600}, {"CHF", 1_127_100}, {"JPY", 6_712}, {"SEK", 95_310}, {"AUD", 655_200}, {"KWD", 3_252_900}} {
			year, civil := month.Civil()
			micros := r.micros * (980 + newDice(11).of(i, int(month)).roll(40)) / 1000
			b.printf("%s,%d.%06d,%d%02d\r\n", r.currency, micros/1_000_000, micros%1_000_000, year, int(civil))
		}
	}
	return b.Flush()
}

// WritePromotions writes the promotions, as Partner Center returns them.
func (w *World) WritePromotions(out io.Writer) error {
	var items []string
	for s := range sku(w.skus()) {
		if !s.promoted() {
			continue
		}
		items = append(items, fmt.Sprintf(`{"id":%q,"name":%q,"startDate":"%s-01T00:00:00+00:00","endDate":"%s-01T00:00:00+00:00",`+
			`"requiredProducts":[{"productId":%q,"skuId":%q,"term":{"duration":"P1Y","billingCycle":"Monthly"},"pricingPolicies":[{"policyType":"PercentDiscount","value":"0.%02d"}]}]}`,
			s.promotion(), s.title()+" for less", w.First(), w.Month+6, s.product(), s.id(), 5+5*(int(s)%3)))
	}
	_, err := io.WriteString(out, `{"totalCount":`+fmt.Sprint(len(items))+`,"items":[`+strings.Join(items, ",\n")+"]}\n")
	return err
}
