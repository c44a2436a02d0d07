package main

import "encoding/json"

// A change is one event and what it is in the demo for.
type change struct {
	At, Type, Subject, Customer string
	Override                    string
	Data                        data
	shows                       string
	name                        string // set where another change refers to it, or shares its id
}

// data is a CloudEvent's data, in the order in which it is written.
type data struct {
	CustomerID           string          `json:"customerId"`
	ProductID            string          `json:"productId,omitempty"`
	SkuID                string          `json:"skuId,omitempty"`
	ToProductID          string          `json:"toProductId,omitempty"`
	ToSkuID              string          `json:"toSkuId,omitempty"`
	TermDuration         string          `json:"termDuration,omitempty"`
	BillingCycle         string          `json:"billingCycle,omitempty"`
	Quantity             *int64          `json:"quantity,omitempty"`
	ToSubscriptionID     string          `json:"toSubscriptionId,omitempty"`
	OrderID              string          `json:"orderId,omitempty"`
	AvailabilityID       string          `json:"availabilityId,omitempty"`
	AutoRenewEnabled     *bool           `json:"autoRenewEnabled,omitempty"`
	CustomTermEndDate    string          `json:"customTermEndDate,omitempty"`
	PromotionID          string          `json:"promotionId,omitempty"`
	IsTrial              *bool           `json:"isTrial,omitempty"`
	ParentSubscriptionID string          `json:"parentSubscriptionId,omitempty"`
	UnitPrice            json.RawMessage `json:"unitPrice,omitempty"`
	Amount               json.RawMessage `json:"amount,omitempty"`
	Currency             string          `json:"currency,omitempty"`
	Reason               string          `json:"reason,omitempty"`
	SubscriptionID       string          `json:"subscriptionId,omitempty"`
	EventID              string          `json:"eventId,omitempty"`
	NextTerm             *nextTerm       `json:"scheduledNextTermInstructions,omitempty"`

	to string // the name behind ToSubscriptionID
}

type nextTerm struct {
	Product           *nextProduct `json:"product,omitempty"`
	Quantity          *int64       `json:"quantity,omitempty"`
	CustomTermEndDate string       `json:"customTermEndDate,omitempty"`
}

type nextProduct struct {
	ProductID    string `json:"productId,omitempty"`
	SkuID        string `json:"skuId,omitempty"`
	BillingCycle string `json:"billingCycle,omitempty"`
	TermDuration string `json:"termDuration,omitempty"`
}

// The table below is written with these. Times are UTC to the minute;
// subscriptions are customer/name.

type with func(*change)

func shows(text string) with      { return func(c *change) { c.shows = text } }
func override(reason string) with { return func(c *change) { c.Override = reason } }
func named(name string) with      { return func(c *change) { c.name = name } }
func customEnd(date string) with  { return func(c *change) { c.Data.CustomTermEndDate = date } }
func promo(key string) with       { return func(c *change) { c.Data.PromotionID = promotionID(key) } }
func addOnTo(sub string) with {
	return func(c *change) { c.Data.ParentSubscriptionID = subscriptionID(sub) }
}
func into(sub string) with {
	return func(c *change) { c.Data.ToSubscriptionID, c.Data.to = subscriptionID(sub), sub }
}
func by(customer string) with       { return func(c *change) { c.Customer = customer } }
func seatsOnly(quantity int64) with { return func(c *change) { c.Data.Quantity = &quantity } }

func term(term, billing string) with {
	return func(c *change) { c.Data.TermDuration, c.Data.BillingCycle = term, billing }
}
func ownPrice(price, cur string) with {
	return func(c *change) { c.Data.UnitPrice, c.Data.Currency = json.RawMessage(price), cur }
}

func event(at, kind, sub string, d data, options []with) change {
	c := change{At: at, Type: kind, Subject: sub, Customer: customerOf(sub), Data: d}
	for _, o := range options {
		o(&c)
	}
	return c
}

func buy(at, sub, key, planKey string, quantity int64, options ...with) change {
	s, p := bySKU(key), plansByKey[planKey]
	d := data{ProductID: s.product, SkuID: s.id, TermDuration: p.term, BillingCycle: p.billing, Quantity: &quantity,
		OrderID: orderID(sub), AvailabilityID: availabilityID(s)}
	return event(at, "subscription.purchased", sub, d, options)
}

// try is the purchase of a trial; the term and plan are the defaults of what comes after it.
func try(at, sub, key, planKey string, quantity int64, options ...with) change {
	c := buy(at, sub, key, planKey, quantity, options...)
	yes := true
	c.Data.IsTrial = &yes
	return c
}

func seats(at, sub string, quantity int64, options ...with) change {
	return event(at, "subscription.quantityChanged", sub, data{Quantity: &quantity}, options)
}

func cancel(at, sub string, options ...with) change {
	return event(at, "subscription.canceled", sub, data{}, options)
}

func upgrade(at, sub, key string, options ...with) change {
	s := bySKU(key)
	return event(at, "subscription.upgraded", sub, data{ToProductID: s.product, ToSkuID: s.id}, options)
}

func convert(at, sub, key, planKey string, quantity int64, options ...with) change {
	s, p := bySKU(key), plansByKey[planKey]
	d := data{ToProductID: s.product, ToSkuID: s.id, Quantity: &quantity, TermDuration: p.term, BillingCycle: p.billing}
	return event(at, "subscription.trialConverted", sub, d, options)
}

func changePlan(at, sub, billing string, options ...with) change {
	return event(at, "subscription.billingPlanChanged", sub, data{BillingCycle: billing}, options)
}

func autoRenew(at, sub string, on bool, options ...with) change {
	return event(at, "subscription.renewalChanged", sub, data{AutoRenewEnabled: &on}, options)
}

func schedule(at, sub string, key, planKey string, quantity int64, options ...with) change {
	next := &nextTerm{}
	if key != "" {
		s, p := bySKU(key), plansByKey[planKey]
		next.Product = &nextProduct{ProductID: s.product, SkuID: s.id, BillingCycle: p.billing, TermDuration: p.term}
	}
	if quantity != 0 {
		next.Quantity = &quantity
	}
	return event(at, "subscription.nextTermScheduled", sub, data{NextTerm: next}, options)
}

func simple(at, kind, sub string, options ...with) change {
	return event(at, "subscription."+kind, sub, data{}, options)
}

func overridden(at, sub, name, reason string, options ...with) change {
	return event(at, "change.overridden", sub, data{EventID: eventIDOf(name), Reason: reason}, options)
}

func credit(at, customer, amount, cur, reason, sub string, options ...with) change {
	d := data{Amount: json.RawMessage(amount), Currency: cur, Reason: reason}
	if sub != "" {
		d.SubscriptionID = subscriptionID(sub)
	}
	c := event(at, "customer.credited", customer+"/", d, options)
	c.Subject = ""
	return c
}

// takeover are subscriptions that ran before the books began: bought in 2023,
// with the price that they were sold at. They come in bulk, as CSV.
var takeover = []change{
	buy("2023-02-14T10:00", "placeholder/sales", "DSE", "ta", 12, ownPrice("2736.00", "USD"), shows("taken over with its own price: its second year is billed on 14 Feb 2024, 2736/3 a seat")),
	buy("2023-03-10T09:00", "beispiel/e3", "E3", "ya", 15, ownPrice("240.00", "EUR"), shows("taken over; renews on 10 Mar 2024 into what is scheduled on 20 Feb")),
	buy("2023-05-15T08:00", "beispiel/premium", "BP", "ym", 40, ownPrice("226.80", "EUR"), shows("taken over: 18.90 a month; renews at the sheet's price on 15 May 2024")),
	buy("2023-06-20T01:00", "mihon/suite", "M3", "ym", 50, ownPrice("52200", "JPY"), shows("taken over: 4350 yen a month")),
	buy("2023-09-01T07:00", "namuthaj/frontline", "F3", "ym", 150, ownPrice("81.60", "USD"), shows("taken over, priced in USD, billed in KWD with three decimals")),
}

// reidai is one customer whose changes come as a Parquet table.
var reidai = []change{
	buy("2024-01-10T02:00", "reidai/exchange", "X1", "m", 6, shows("a monthly term in yen, no decimals")),
	buy("2024-02-01T03:00", "reidai/central", "DBC", "ym", 9, shows("only offered in USD: priced in USD, billed in JPY at the month's rate")),
	seats("2024-02-08T05:00", "reidai/central", 11, shows("two more seats: the pair at the same rate")),
	buy("2024-02-21T03:00", "reidai/visio", "V2", "ya", 4, shows("a prepaid year over a leap day: 366 days")),
	cancel("2024-02-27T02:00", "reidai/visio", shows("cancelled on the sixth day: 360 of 366 days come back")),
}

var january = []change{
	buy("2024-01-02T08:15", "placeholder/suite", "M3", "ym", 100, shows("a year billed monthly: `new` now, then `cycleCharge` on each 2nd")),
	buy("2024-01-03T07:40", "hogeschool/faculty", "A3", "ya", 120, shows("a prepaid year at the Education price")),
	buy("2024-01-04T09:05", "specimen/office", "E1", "m", 20, shows("a market in GBP, a partner in EUR: the month's rate stands on the line")),
	buy("2024-01-05T10:20", "muster/standard", "BS", "ym", 30, shows("ten of these seats move to muster/premium in March")),
	buy("2024-01-07T06:30", "mithal/basic", "BB", "m", 12, shows("offered in KWD and USD: the billing currency wins, three decimals")),
	buy("2024-01-08T08:00", "beispiel/mistake", "P3", "m", 5, shows("bought by mistake")),
	cancel("2024-01-09T07:30", "beispiel/mistake", shows("23.5 hours later: all days come back, from 8 January")),
	buy("2024-01-09T13:00", "school/faculty", "A3", "ym", 300),
	buy("2024-01-10T10:00", "beispiel/project", "P3", "m", 5),
	buy("2024-01-11T15:30", "dairy/premium", "BP", "ym", 60, shows("late/ brings a reduction of 13 February for it")),
	buy("2024-01-12T08:00", "beispiel/visio", "V2", "ym", 4),
	buy("2024-01-15T09:12", "voorbeeld/standard", "BS", "ym", 25, shows("the worked example below")),
	cancel("2024-01-16T09:00", "beispiel/project", shows("after 143 hours: the days from 16 January come back")),
	buy("2024-01-16T16:00", "placeholder/standard", "BS", "ym", 20, promo("standard"), shows("10 % promotion, locked for the year")),
	buy("2024-01-17T11:00", "specimen/planner", "P1", "m", 6),
	buy("2024-01-18T09:30", "muster/premium", "BP", "ym", 50),
	seats("2024-01-19T14:00", "voorbeeld/standard", 30, shows("seats up: minus 25, plus 30 from the 19th")),
	buy("2024-01-20T03:00", "mihon/standard", "BS", "ym", 33, shows("yen and 10 % tax: both are cut to whole yen")),
	try("2024-01-20T12:00", "beispiel/trial-premium", "BPT", "trial", 10, shows("a trial that nobody converts: one line of 0, ends on 19 February")),
	buy("2024-01-21T07:00", "mithal/office", "E3", "ym", 18, shows("offered in USD only: the rate USD to KWD")),
	buy("2024-01-22T08:45", "beispiel/e5", "E5", "tm", 10, shows("three years billed monthly: 1/36 of the sheet's price")),
	seats("2024-01-23T10:15", "voorbeeld/standard", 28, shows("seats down inside the window: two of the five added on the 19th")),
	buy("2024-01-25T09:00", "muster/powerbi", "PBI", "m", 7),
	buy("2024-01-26T17:30", "exemplar/project5", "P5", "m", 2, shows("the SKU leaves the sheets in April")),
	buy("2024-01-30T10:10", "exempla/standard", "BS", "m", 8, shows("month end: 30 Jan to 28 Feb, renews 29 Feb, 29 Mar, 29 Apr. The Swiss sheet has CHF and EUR: EUR governs")),
	buy("2024-01-31T13:25", "voorbeeld/visio", "V2", "m", 3, shows("month end: 31 Jan to 28 Feb, renews 29 Feb (leap day), 29 Mar, 29 Apr")),
	buy("2024-01-31T23:59", "namuthaj/exchange", "X1", "m", 9, shows("the last minute of January in UTC is January, wherever the customer is")),
}

var february = []change{
	buy("2024-02-01T08:20", "muster/phone", "TP", "m", 5),
	buy("2024-02-01T14:00", "muster/visio", "V1", "ym", 3),
	buy("2024-02-02T07:50", "muster/temps", "BS", "m", 6, shows("renews on 2 April, when the German sheet has the old and the new price: the old one governs until 3 April, 06:57:30")),
	cancel("2024-02-05T09:40", "beispiel/visio", shows("CANCEL_WINDOW_CLOSED: bought on 12 January, 168 hours are over")),
	try("2024-02-05T10:00", "beispiel/trial-sales", "DSET", "ym", 25, shows("a trial")),
	buy("2024-02-05T18:00", "placeholder/visio", "V2", "m", 5, promo("visio"), shows("15 % promotion: kept on 5 March, dropped for good on 5 April")),
	upgrade("2024-02-06T11:30", "hogeschool/faculty", "A5", seatsOnly(20), into("hogeschool/faculty-a5"), shows("20 of 120 seats upgraded into a new subscription with the same term dates")),
	seats("2024-02-07T02:30", "mihon/standard", 37, shows("seats up in yen")),
	buy("2024-02-08T16:45", "placeholder/bi", "PPU", "ym", 10, promo("premium-bi"), shows("PROMOTION_NOT_APPLIED: the promotion was over in December; billed at list price")),
	seats("2024-02-09T15:00", "school/faculty", 320, shows("on the first day of a cycle: `cycleCharge` for 300, then the pair over all days")),
	seats("2024-02-09T17:00", "school/faculty", 325, shows("a second change on that day has its own pair")),
	buy("2024-02-10T08:00", "specimen/basic", "BB", "m", 15),
	simple("2024-02-10T09:00", "suspended", "muster/powerbi", shows("suspended; reactivated in time, it renews on the 25th as if nothing had been")),
	autoRenew("2024-02-10T12:00", "specimen/planner", false, shows("auto-renew off: ends on 16 February")),
	try("2024-02-12T10:00", "beispiel/trial-bi", "PPUT", "m", 5),
	schedule("2024-02-13T09:00", "beispiel/trial-bi", "PPU", "m", 5, shows("a trial with instructions renews into them on 12 March")),
	upgrade("2024-02-14T09:30", "specimen/office", "E3", shows("all seats upgraded without a new id: the subscription keeps its own")),
	changePlan("2024-02-14T13:00", "beispiel/premium", "Annual", shows("PLAN_CHANGE_NOT_ALLOWED: only three-year terms may")),
	buy("2024-02-15T08:10", "voorbeeld/office", "E3", "ym", 12, customEnd("2024-06-30"), shows("custom end: first cycle 15 to 29 February, 15 of 29 days, then calendar months")),
	buy("2024-02-16T15:00", "school/powerbi", "PBIE", "ym", 40, named("twice"), shows("comes twice, with its keys in another order: taken once")),
	seats("2024-02-20T09:00", "voorbeeld/standard", 32, shows("seats up in the second cycle")),
	schedule("2024-02-20T10:00", "beispiel/e3", "E5", "ym", 12, shows("another SKU, plan and quantity for the term that starts on 10 March")),
	simple("2024-02-20T11:00", "reactivated", "muster/powerbi"),
	seats("2024-02-20T12:00", "specimen/planner", 8, shows("SUBSCRIPTION_NOT_ACTIVE: it ended on the 16th")),
	cancel("2024-02-20T15:00", "muster/visio", named("muster-visio-cancel"), shows("the window is closed, but see 22 February: `cancelImmediate` for 20 to 29 February")),
	overridden("2024-02-22T08:00", "muster/visio", "muster-visio-cancel", "Duplicate order, agreed with support, case 2402220040000815", shows("lifts the window of the cancel of the 20th")),
	buy("2024-02-23T04:00", "mihon/visio", "V2", "m", 4),
	schedule("2024-02-24T04:00", "mihon/visio", "V2", "ym", 6, shows("cleared two days later: nothing comes of it")),
	simple("2024-02-25T09:00", "suspended", "muster/phone", shows("still suspended on the last day of its term: ends on 29 February")),
	simple("2024-02-26T04:00", "nextTermCleared", "mihon/visio", shows("so 23 March is an ordinary renewal")),
	convert("2024-02-26T10:30", "beispiel/trial-sales", "DSE", "ym", 20, shows("the trial becomes paid: `convert` 0 for 25, `convert` for 20, a year from 26 February")),
	credit("2024-02-28T09:00", "hogeschool", "150.00", "EUR", "SLA credit for 12 January", "hogeschool/faculty", shows("a credit: minus 150.00, and minus 31.50 tax")),
	seats("2024-02-29T08:00", "voorbeeld/standard", 30, shows("SEAT_WINDOW_CLOSED: the four seats of the 20th could go until the 27th at 09:00, the others long not")),
	buy("2024-02-29T10:00", "voorbeeld/powerbi", "PBI", "ya", 10, promo("bi-annual"), shows("leap day: the year ends on 27 February 2025, 365 days; 5 % promotion")),
}

var march = []change{
	buy("2024-03-01T09:00", "hogeschool/powerbi", "PBIE", "ym", 30),
	buy("2024-03-04T10:00", "exempla/copilot", "COP", "ya", 5, shows("a SKU that is new on the sheets of March")),
	buy("2024-03-04T11:00", "exempla/visio", "V1", "ym", 2, shows("offered in CHF only: the only currency governs, with a rate")),
	buy("2024-03-05T12:00", "namuthaj/powerbi", "PBI", "m", 10, customEnd("2024-05-31T00:00:00Z"), shows("TERM_END_NOT_ALLOWED: after the end of the month's term; the full term is billed")),
	seats("2024-03-05T14:30", "voorbeeld/standard", 26, override("Utrecht shop closed, reduction granted, case 2403050040001234"), shows("six seats down outside the window, with an override: taken, the reason stands on the lines")),
	upgrade("2024-03-06T09:15", "muster/standard", "BP", seatsOnly(10), into("muster/premium"), shows("`moveQuantity`: ten seats into a subscription that is there, at its locked price")),
	upgrade("2024-03-07T09:15", "muster/standard", "PBI", seatsOnly(5), into("muster/nowhere"), shows("UPGRADE_NOT_ELIGIBLE: the offer matrix does not allow that way")),
	buy("2024-03-08T08:00", "stranger/basic", "BB", "m", 4, shows("UNKNOWN_CUSTOMER")),
	buy("2024-03-09T08:00", "orphan/basic", "BB", "m", 5, shows("UNKNOWN_PARTNER: the customer's partner is in no file")),
	seats("2024-03-10T08:00", "voorbeeld/typo", 5, shows("UNKNOWN_SUBSCRIPTION")),
	cancel("2024-03-11T08:00", "beispiel/premium", by("muster"), shows("UNKNOWN_SUBSCRIPTION: it is another customer's")),
	changePlan("2024-03-11T11:00", "beispiel/e5", "Annual", shows("from the next cycle: `changeBillingPlan` on 22 March for the 10 months to the anniversary")),
	buy("2024-03-12T16:00", "exemplar/guides", "DG", "ym", 5, shows("PRICE_NOT_FOUND: parked, until late/ brings a corrected sheet")),
	buy("2024-03-13T15:00", "placeholder/exchange", "X2", "m", 10, named("conflict"), shows("the first of two contents with one id: stands")),
	buy("2024-03-13T15:00", "placeholder/exchange", "X2", "m", 100, named("conflict"), shows("CONFLICTING_CHANGE: the same id, another quantity")),
	seats("2024-03-14T09:00", "voorbeeld/standard", 0, shows("INVALID_CHANGE: no seats left; that would be a cancel")),
	buy("2024-03-14T10:00", "voorbeeld/standard", "BS", "ym", 26, shows("INVALID_CHANGE: bought again under an id that is taken")),
	seats("2024-03-15T10:00", "mithal/basic", 400, shows("INVALID_CHANGE: the offer matrix allows 300")),
	buy("2024-03-15T11:00", "mithal/wrong", "E3", "ya", 3, term("P1M", "Annual"), shows("INVALID_CHANGE: a month cannot be billed by the year")),
	simple("2024-03-16T11:00", "paused", "mithal/office", shows("INVALID_CHANGE: no such type")),
	upgrade("2024-03-18T09:00", "specimen/basic", "BS", term("P1Y", "Monthly"), into("specimen/standard"), shows("into a longer term: the target's year starts on the day")),
	seats("2024-03-19T15:00", "placeholder/standard", 26, shows("seats added later get the promotion too")),
	buy("2024-03-20T09:00", "dairy/phone", "TP", "m", 10, addOnTo("dairy/premium"), shows("an add-on: ProductQualifiers `[\"Add-on\"]`")),
	autoRenew("2024-03-26T15:00", "school/powerbi", false),
	schedule("2024-03-27T15:00", "school/powerbi", "", "", 50, shows("INVALID_CHANGE: there is no next term with auto-renew off")),
	buy("2024-03-31T22:00", "mihon/basic", "BB", "ya", 20),
}

var april = []change{
	buy("2024-04-03T06:00", "muster/early", "BS", "m", 4, shows("before 06:57:30: still the old price")),
	buy("2024-04-03T07:30", "muster/later", "BS", "m", 4, shows("after it: the price of April")),
	buy("2024-04-10T09:00", "muster/suite", "M3N", "ym", 20, shows("a SKU that is new in April")),
	seats("2024-04-15T14:00", "school/faculty", 340),
	buy("2024-04-16T09:00", "specimen/visio", "V1", "m", 9),
	cancel("2024-04-16T15:00", "specimen/visio", shows("cancelled the same day")),
	credit("2024-04-17T13:00", "placeholder", "320.50", "USD", "Goodwill for the outage of 9 April", "", shows("a credit to the customer, to no subscription: its row comes first")),
	upgrade("2024-04-18T10:00", "placeholder/suite", "M5", seatsOnly(10), into("placeholder/suite-e5"), shows("10 of 100 seats upgraded")),
	buy("2024-04-22T07:00", "namuthaj/office", "E3", "ym", 25, customEnd("2024-12-31"), shows("PRICE_LIST_STALE: Kuwait has no sheet for April, March's governs")),
	schedule("2024-04-24T08:00", "exempla/standard", "", "", 10, shows("the renewal of 29 April has 10 seats")),
	buy("2024-04-30T12:00", "exempla/office", "E3", "m", 11, shows("month end: 30 April to 29 May")),
}

// afterwards goes beyond the months that the demo bills: to go on with.
var afterwards = []change{
	seats("2024-05-06T10:00", "dairy/premium", 50),
	buy("2024-07-31T08:00", "voorbeeld/copilot", "COP", "ya", 4),
	seats("2024-08-20T09:00", "muster/premium", 72),
	buy("2024-10-15T09:00", "beispiel/sales", "DSE", "ym", 8, shows("at October's price, 10 % up")),
	schedule("2024-12-10T09:00", "hogeschool/faculty", "", "", 110, shows("the renewal of 3 January 2025 has 110 seats")),
	autoRenew("2024-12-20T09:00", "muster/standard", false, shows("ends on 4 January 2025")),
	cancel("2025-01-17T08:00", "voorbeeld/standard", shows("two days after its renewal of 15 January: 29 of 31 days come back")),
}

// late arrives when January to March are closed.
var late = []change{
	seats("2024-02-13T10:00", "dairy/premium", 45, override("Reduction ordered in time, reported late, case 2405020040000042"), shows("the pair of February as late lines; March's `cycleCharge` for 60 seats reversed and issued anew for 45")),
	buy("2024-03-14T17:00", "exemplar/office", "E5", "ya", 8, shows("a late purchase: billed in April with its dates of March")),
	credit("2024-03-29T10:00", "dairy", "75.00", "USD", "Compensation for the migration weekend", "dairy/premium", shows("a late credit")),
}
