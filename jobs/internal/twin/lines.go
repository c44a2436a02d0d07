package twin

import (
	"encoding/json"
	"math/big"
	"strings"
)

// entry is what a line charges, before money is looked at.
type entry struct {
	chargeType  string
	quantity    int64
	credit      bool // the amounts carry a minus
	from        Date // the event day
	order       Date // OrderDate
	reference   string
	event       string // for exceptions; blank on a cycle's own line
	description string // PriceAdjustmentDescription
}

// emit adds a line of a subscription, for one of its cycles. A parked cycle has none.
func (w *walk) emit(sub *subscription, t *term, c *cycle, e entry) {
	if c.lock == nil {
		return
	}
	month := e.order.Month()
	customer, partner, rate, ok := w.billing(month, c.lock.currency, sub.id, e.event)
	if !ok {
		return
	}
	list := mul(c.lock.price, big.NewRat(int64(c.months), int64(t.months)))
	billed := int64(c.last-e.from) + 1
	effective := mul(mul(list, new(big.Rat).Sub(ratOf(1), c.lock.discount)), big.NewRat(billed, int64(c.days)))
	if e.credit {
		effective.Neg(effective)
	}
	row := newRow(customer, partner)
	row.setMoney(list, effective, rate, e.quantity, e.chargeType, c.lock.currency, partner, month)
	row["OrderId"] = sub.orderID
	row["AvailabilityId"] = sub.availabilityID
	row["OrderDate"] = e.order.String()
	row["ProductId"] = sub.product
	row["SkuId"] = padSku(sub.sku)
	row["SkuName"] = c.lock.skuTitle
	row["ProductName"] = c.lock.productTitle
	row["PublisherName"] = c.lock.publisher
	row["SubscriptionDescription"] = c.lock.skuTitle
	row["SubscriptionId"] = sub.id
	row["ChargeStartDate"] = e.from.String()
	row["ChargeEndDate"] = c.last.String()
	row["TermAndBillingCycle"] = termAndBillingCycle(t, c)
	row["BillingFrequency"] = billingFrequency(t, c)
	row["SubscriptionStartDate"] = t.start.String()
	row["SubscriptionEndDate"] = t.end.String()
	row["ProductQualifiers"] = qualifiers(t.trial, sub.addOn)
	row["PromotionId"] = c.lock.promotion
	row["PriceAdjustmentDescription"] = e.description
	row["ReferenceId"] = e.reference
	w.lines = append(w.lines, line{month: month, row: row})
}

// emitCredit adds the line of a customer credit.
func (w *walk) emitCredit(day Date, value *big.Rat, currency, reason, subscription, event string) {
	customer, partner, rate, ok := w.billing(day.Month(), currency, subscription, event)
	if !ok {
		return
	}
	row := newRow(customer, partner)
	row.setMoney(value, new(big.Rat).Neg(value), rate, 1, "customerCredit", currency, partner, day.Month())
	row["OrderDate"] = day.String()
	row["SubscriptionId"] = subscription
	row["ChargeStartDate"] = day.String()
	row["ChargeEndDate"] = day.String()
	row["CreditReasonCode"] = reason
	row["ReferenceId"] = eventReference(event)
	w.lines = append(w.lines, line{month: day.Month(), row: row})
}

// billing is who pays in a month, and the rate from a pricing currency. Without
// partner or rate the line is not billed, and the exceptions say so.
func (w *walk) billing(month Month, pricing, subscription, event string) (Customer, Partner, *big.Rat, bool) {
	customer, ok := w.books.customerAt(w.customer, month)
	if !ok {
		w.report(month, "error", "UNKNOWN_CUSTOMER", subscription, event)
		return customer, Partner{}, nil, false
	}
	partner, ok := w.books.partnerAt(customer.PartnerID, month)
	if !ok {
		w.report(month, "error", "UNKNOWN_PARTNER", subscription, event)
		return customer, partner, nil, false
	}
	rate, ok := w.books.rate(month, pricing, partner.Currency)
	if !ok {
		w.report(month, "error", "FX_RATE_NOT_FOUND", subscription, event)
		return customer, partner, nil, false
	}
	return customer, partner, rate, true
}

func newRow(customer Customer, partner Partner) Row {
	row := Row{}
	for _, column := range Columns {
		row[column] = ""
	}
	row["PartnerId"] = partner.ID
	row["MpnId"] = partner.MpnID
	row["CustomerId"] = customer.ID
	row["CustomerName"] = customer.Name
	row["CustomerDomainName"] = customer.Domain
	row["CustomerCountry"] = customer.Market
	row["ResellerMpnId"] = customer.ResellerMpnID
	row["UnitType"] = "Licenses"
	return row
}

// setMoney fills every column that holds money.
func (r Row) setMoney(list, effective, rate *big.Rat, quantity int64, chargeType, pricing string, partner Partner, month Month) {
	billing := partner.Currency
	subtotal := amount(partner.Policy.Rounding, chargeType, effective, rate, quantity, billing)
	taxRate, ok := rat(partner.TaxRate)
	if !ok {
		taxRate = new(big.Rat)
	}
	tax := truncate(mul(subtotal, taxRate), minorDigits(billing))
	r["ChargeType"] = chargeType
	r["UnitPrice"] = printPrice(list)
	r["EffectiveUnitPrice"] = printPrice(effective)
	r["Quantity"] = itoa(quantity)
	r["BillableQuantity"] = itoa(quantity)
	r["Subtotal"] = printAmount(subtotal, billing)
	r["TaxTotal"] = printAmount(tax, billing)
	r["Total"] = printAmount(new(big.Rat).Add(subtotal, tax), billing)
	r["Currency"] = billing
	r["PricingCurrency"] = pricing
	r["PCToBCExchangeRate"] = printRate(rate)
	r["PCToBCExchangeRateDate"] = month.First().String()
}

func termAndBillingCycle(t *term, c *cycle) string {
	if t.trial {
		return "One-month commitment for trial"
	}
	length := map[string]string{"P1M": "One-month", "P1Y": "One-year", "P3Y": "Three-year"}[t.name]
	billing := map[string]string{"Monthly": "monthly", "Annual": "yearly", "Triennial": "triennial"}[c.plan]
	return length + " commitment for " + billing + " billing"
}

// billingFrequency is blank when the plan is the whole term.
func billingFrequency(t *term, c *cycle) string {
	if t.trial || planMonths(c.plan) == t.months {
		return ""
	}
	return c.plan
}

func qualifiers(trial, addOn bool) string {
	var all []string
	if trial {
		all = append(all, "Trial")
	}
	if addOn {
		all = append(all, "Add-on")
	}
	if len(all) == 0 {
		return ""
	}
	return jsonArray(all...)
}

// jsonArray prints texts as a JSON array, without escaping what HTML would.
func jsonArray(texts ...string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(texts); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}
