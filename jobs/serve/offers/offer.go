package offers

import (
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// Offer is a SKU as it is sold at an instant.
type Offer struct {
	ProductID    string   `json:"productId" example:"CFQ7TTC0LH18"`
	SkuID        string   `json:"skuId" example:"0001"`
	ProductTitle string   `json:"productTitle" example:"Microsoft 365 Business Basic"`
	SkuTitle     string   `json:"skuTitle" example:"Microsoft 365 Business Basic"`
	Publisher    string   `json:"publisher,omitempty" example:"Microsoft Corporation"`
	Description  string   `json:"description,omitempty"`
	Unit         string   `json:"unitOfMeasure,omitempty"`
	Commerce     Commerce `json:"commerce" enum:"new,traditional" doc:"new: a product of the catalogue, sold by term and billing plan at a price for the whole term. traditional: a licence offer of before, whose id is a GUID"`
	Trial        bool     `json:"trial" doc:"It costs nothing, ends with its term, and may be converted to one of convertsTo"`
	AddOn        bool     `json:"addOn" doc:"It needs one of needs. It is bought on its own; only whether the customer has what it needs is checked"`
	Software     bool     `json:"software" doc:"Software that is sold by the term. Perpetual software is not in the catalogue: its rows are no licence prices"`
	MonthlyTerm  bool     `json:"monthlyTerm" doc:"There is a term of one month"`
	Tags         []string `json:"tags,omitempty" doc:"As the sheet gives them, such as License"`
	Plans        []Plan   `json:"plans" doc:"By term, billing plan and segment; only those that were asked for"`
	Limits       *Limits  `json:"limits,omitempty" doc:"Absent where the offer matrix does not have the SKU"`
	Needs        []Named  `json:"needs,omitempty" doc:"An add-on's prerequisites: a customer must have one of them"`
	UpgradesTo   []Named  `json:"upgradesTo,omitempty" doc:"Upgrade targets that the offer matrix allows"`
	ConvertsTo   []Named  `json:"convertsTo,omitempty" doc:"What a trial may be converted to"`
	AddOns       []Named  `json:"addOns,omitempty" doc:"Add-ons of this market that it is enough for; of one offer only"`
	// Countries and Provisioning are of one offer only.
	Countries    []string      `json:"allowedCountries,omitempty" doc:"Where the offer matrix allows it; of one offer only"`
	Provisioning *Provisioning `json:"provisioning,omitempty" doc:"Of one offer only"`
}

// Plan is a way to buy an offer.
type Plan struct {
	Term    string  `json:"termDuration" enum:"P1M,P1Y,P3Y" example:"P1Y"`
	Plan    string  `json:"billingPlan" enum:"Monthly,Annual,Triennial,None" example:"Monthly" doc:"None is a trial's"`
	Segment string  `json:"segment" example:"Commercial"`
	Monthly bool    `json:"monthlyTerm" doc:"The term is one month"`
	Trial   bool    `json:"trial"`
	Prices  []Price `json:"prices" doc:"By currency"`
}

// Price is what governs in a currency.
type Price struct {
	Currency  string `json:"currency" example:"EUR"`
	UnitPrice string `json:"unitPrice,omitempty" example:"158.4" doc:"For one licence and the whole term; absent where it is ambiguous"`
	ERPPrice  string `json:"erpPrice,omitempty" doc:"The sheet's estimated retail price, as it stands there"`
	// Ambiguous prices are not sold: billing would park the subscription.
	Ambiguous  bool            `json:"ambiguous,omitempty" doc:"The sheet has two prices that start at the same instant: nothing can be bought at either"`
	Until      string          `json:"until,omitempty" format:"date-time" doc:"The last instant at which the row is valid; absent: until further notice"`
	Promotions []OpenPromotion `json:"promotions,omitempty" doc:"Those that a purchase may name now"`
}

// OpenPromotion is one that a purchase may take.
type OpenPromotion struct {
	ID        string `json:"promotionId" example:"39NFJQT1X27N:0001:39NFJQT1Q5KA"`
	Percent   string `json:"percent" example:"10"`
	UnitPrice string `json:"unitPrice" example:"142.56" doc:"After the promotion, exact, for one licence and the whole term"`
	Until     string `json:"until" format:"date-time" doc:"The last instant of the promotion"`
}

// Limits are how many licences may be bought.
type Limits struct {
	MinLicenses        int64  `json:"minLicenses,omitempty" doc:"Absent: no minimum"`
	MaxLicenses        int64  `json:"maxLicenses,omitempty" doc:"Absent: no maximum"`
	OwnershipLimit     string `json:"ownershipLimit,omitempty" example:"2" doc:"How many subscriptions of the SKU a customer may have, as the offer matrix gives it. It is told, not enforced"`
	OwnershipLimitType string `json:"ownershipLimitType,omitempty" example:"ConcurrentCount"`
}

// Named is a SKU and what it is called.
type Named struct {
	ProductID string `json:"productId" example:"CFQ7TTC0LDPB"`
	SkuID     string `json:"skuId,omitempty" example:"0001" doc:"Absent: any SKU of the product"`
	Title     string `json:"title,omitempty" example:"Microsoft 365 Business Standard" doc:"Absent where neither the sheet nor the offer matrix knows it"`
}

// Provisioning is what the service is switched on by.
type Provisioning struct {
	ID   string `json:"provisioningId,omitempty"`
	Text string `json:"provisioningString,omitempty"`
}

// Offer returns what [Catalogue.Find] found, with the plans that the query wants.
func (c *Catalogue) Offer(place int, q Query) Offer {
	e := &c.entries[place]
	o := Offer{
		ProductID: e.ProductID, SkuID: e.SkuID, ProductTitle: e.productTitle, SkuTitle: e.skuTitle, Publisher: e.publisher,
		Description: e.description, Unit: e.unit, Commerce: e.commerce, Trial: e.trial, AddOn: e.addOn, Software: e.software,
		Tags: e.tags, Plans: c.plans(e, q),
	}
	for i := range e.prices {
		o.MonthlyTerm = o.MonthlyTerm || e.prices[i].term == pricing.P1M && e.prices[i].valid(q.At)
	}
	m := e.matrix
	if m == nil {
		return o
	}
	o.Limits = &Limits{MinLicenses: m.MinLicenses, MaxLicenses: m.MaxLicenses}
	if m.Facts != nil {
		o.Limits.OwnershipLimit, o.Limits.OwnershipLimitType = m.Facts.OwnershipLimit, m.Facts.OwnershipLimitType
	}
	o.Needs = c.named(m.Needs)
	if e.trial {
		o.ConvertsTo = c.named(m.Conversions)
	} else {
		o.UpgradesTo = c.named(m.Conversions)
	}
	return o
}

// Whole returns one offer with all that there is to say of it, false if the sheet does
// not sell it so at the instant.
func (c *Catalogue) Whole(sku pricing.SKU, q Query) (Offer, bool) {
	place, ok := c.at[sku]
	w := c.want(&q)
	if !ok || w.none || !c.wants(&w, &c.entries[place]) {
		return Offer{}, false
	}
	o := c.Offer(place, q)
	for _, i := range c.addOns[sku] {
		o.AddOns = append(o.AddOns, c.nameOf(c.entries[i].SKU))
	}
	if m := c.entries[place].matrix; m != nil && m.Facts != nil {
		f := m.Facts
		o.Countries = strings.FieldsFunc(f.Countries, func(r rune) bool { return r == ';' || r == ',' || r == ' ' })
		if f.ProvisioningID != "" || f.ProvisioningString != "" {
			o.Provisioning = &Provisioning{f.ProvisioningID, f.ProvisioningString}
		}
	}
	return o, true
}

func (c *Catalogue) named(skus []pricing.SKU) (all []Named) {
	for _, sku := range skus {
		all = append(all, c.nameOf(sku))
	}
	return all
}

func (c *Catalogue) nameOf(sku pricing.SKU) Named {
	return Named{sku.ProductID, sku.SkuID, c.Title(sku)}
}

// plans are the ways to buy the SKU that the query wants.
func (c *Catalogue) plans(e *entry, q Query) []Plan {
	w, promotions := c.want(&q), c.Background.ofSKU(e.SKU)
	plans := []Plan{}
	for rows := e.prices; len(rows) > 0; {
		n := 1
		for n < len(rows) && rows[n].key == rows[0].key {
			n++
		}
		governing, ambiguous := governs(rows[:n], q.At)
		rows = rows[n:]
		if governing == nil || !w.price(governing) || q.Promotion && len(governing.open(promotions, q.At)) == 0 {
			continue
		}
		k := governing.key
		plan := Plan{Term: k.term.String(), Plan: k.plan.String(), Segment: c.names[k.segment], Monthly: k.term == pricing.P1M, Trial: k.plan == pricing.PlanNone}
		if i := len(plans) - 1; i < 0 || plans[i].Term != plan.Term || plans[i].Plan != plan.Plan || plans[i].Segment != plan.Segment {
			plans = append(plans, plan)
		}
		last := &plans[len(plans)-1]
		last.Prices = append(last.Prices, governing.show(c.names[k.currency], ambiguous, promotions, q.At))
	}
	return plans
}

// governs returns the row of a key that governs at an instant: of those that are valid
// the one that started first. It is ambiguous where another that started with it has
// another price. [pricing.FindPrice] is what billing goes by; a test holds this against it.
func governs(rows []price, at pricing.Instant) (first *price, ambiguous bool) {
	for i := range rows {
		switch r := &rows[i]; {
		case !r.valid(at):
		case first == nil:
			first = r
		case r.start == first.start && !r.unit.Equal(first.unit):
			ambiguous = true
		}
	}
	return first, ambiguous
}

func (p *price) show(currency string, ambiguous bool, promotions []pricing.Promotion, at pricing.Instant) Price {
	shown := Price{Currency: currency, Ambiguous: ambiguous}
	if ambiguous {
		return shown
	}
	shown.UnitPrice, shown.ERPPrice, shown.Until = p.unit.String(), p.erp, until(p.end)
	for _, o := range p.open(promotions, at) {
		shown.Promotions = append(shown.Promotions, OpenPromotion{ID: o.ID, Percent: percent(o.Discount), UnitPrice: after(p.unit, o.Discount).String(), Until: o.End.String()})
	}
	return shown
}

// after is what a price is with a fraction off.
func after(unit, discount decimal.Decimal) decimal.Decimal {
	return unit.Mul(decimal.NewFromInt(1).Sub(discount))
}

func percent(discount decimal.Decimal) string { return discount.Shift(2).String() }

// until prints the end of a validity, "" for the placeholder year 9999.
func until(end pricing.Instant) string {
	if year, _, _ := end.Date().Civil(); year == 9999 {
		return ""
	}
	return end.String()
}
