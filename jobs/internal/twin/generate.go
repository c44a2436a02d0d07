package twin

import (
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"time"
)

// Random makes a random life. The same seed and size always make the same one.
// Size is the largest number of customers; 1 to 15 keeps a life well under a second.
func Random(seed uint64, size int) Life {
	m := &maker{rng: rand.New(rand.NewPCG(seed, uint64(size)))}
	m.span()
	m.catalogue()
	m.people(max(size, 1))
	m.priceSheets()
	m.exchangeRates()
	m.history()
	return Life{Seed: seed, Steps: m.steps()}
}

// maker holds what a life is made of while it is being made.
type maker struct {
	rng *rand.Rand

	start, end  Month // of the history
	firstClose  Month
	lastClose   Month
	markets     []string
	products    []product
	partners    []Partner
	late        []Partner // known only later
	customers   []Customer
	newcomers   []Customer // known only later
	strangers   []string   // customers of whom changes speak before anybody knows them
	promotions  []Promotion
	offers      []Offer
	sheets      []Sheet
	lateSheets  []Sheet
	rates       []Rate
	lateRates   []Rate
	changes     []arriving
	serial      int
	sharedSheet map[string]bool
}

// product is a SKU of the catalogue, with the price of a year of it.
type product struct {
	id, sku, title, skuTitle string
	cents                    int64
}

// arriving is a change and the month whose ingest brings it.
type arriving struct {
	change Change
	month  Month
}

// subject is what the maker remembers of a subscription, to aim changes at it.
type subject struct {
	id           string
	start        time.Time
	term, plan   string
	trial        bool
	quantity     int64
	product, sku string
}

func (m *maker) chance(percent int) bool { return m.rng.IntN(100) < percent }

func (m *maker) between(low, high int) int { return low + m.rng.IntN(high-low+1) }

func pick[T any](m *maker, from []T) T { return from[m.rng.IntN(len(from))] }

func (m *maker) uuid() string {
	a, b := m.rng.Uint64(), m.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

// id is mostly a UUID, and sometimes a short text.
func (m *maker) id(prefix string) string {
	m.serial++
	if m.chance(75) {
		return m.uuid()
	}
	return fmt.Sprintf("%s-%d", prefix, m.serial)
}

// span chooses the months of the history, often around a border of the rules.
func (m *maker) span() {
	m.start = pick(m, []Month{
		NewMonth(2022, 1), NewMonth(2022, 2), NewMonth(2022, 3), NewMonth(2023, 11), NewMonth(2024, 1),
		NewMonth(2024, 12), NewMonth(2025, 1), NewMonth(2021, 1) + Month(m.rng.IntN(57)), NewMonth(2021, 1) + Month(m.rng.IntN(57)),
	})
	length := m.between(3, 8)
	if m.chance(40) {
		length = m.between(9, 20)
	}
	if m.chance(10) {
		length = m.between(21, 42)
	}
	m.end = min(m.start+Month(length), NewMonth(2026, 10))
	m.firstClose = m.start + Month(m.rng.IntN(3))
	if m.chance(30) {
		m.firstClose = m.start + Month(m.rng.IntN(int(m.end-m.start)))
	}
	m.lastClose = min(m.firstClose+Month(m.between(1, 6)), m.end)
}

func (m *maker) catalogue() {
	m.markets = []string{"DE", "US", "JP", "GB"}[:m.between(1, 3)]
	names := []product{
		{id: "CFQ7TTC0LH18", sku: "0001", title: "Business Basic", skuTitle: "Business Basic"},
		{id: "CFQ7TTC0LH18", sku: "0002", title: "Business Basic", skuTitle: "Business Basic, charity"},
		{id: "CFQ7TTC0LDPB", sku: "0001", title: "Business Standard", skuTitle: "Business Standard"},
		{id: "CFQ7TTC0LF8Q", sku: "000P", title: "Office E3", skuTitle: "Office \"E3\""},
		{id: "CFQ7TTC0HD33", sku: "0003", title: "Visio", skuTitle: "Visio Plan 1"},
	}
	for _, p := range names {
		p.cents = pick(m, []int64{12096, 5760, 63132, 7716, 7, 100000, 19999, 24000, 333, 123457})
		m.products = append(m.products, p)
	}
	for i := range m.between(1, 5) {
		m.promotions = append(m.promotions, m.promotion(i))
	}
	if m.chance(40) {
		m.offers = m.offerMatrix()
	}
}

func (m *maker) promotion(i int) Promotion {
	p := pick(m, m.products)
	term, plan := m.termAndPlan()
	from := (m.start + Month(m.rng.IntN(int(m.end-m.start)+1))).First() - Date(m.rng.IntN(60))
	until := from + Date(pick(m, []int{0, 10, 45, 400}))
	promotion := Promotion{
		ID: fmt.Sprintf("39NFJQT1PJQB:%04d:39NFJQT1Q5KN", i+1), ProductID: p.id, SkuID: p.sku, Term: term, Plan: plan,
		Start: from.String() + "T00:00:00+00:00", End: until.String() + "T23:59:59+00:00",
		Discount: pick(m, []string{"0.05", "0.1", "0.167", "0.333333", "0.5", "1"}),
	}
	if m.chance(25) {
		promotion.Start, promotion.End = from.String()+"T00:00:00Z", until.String()+"T00:00:00Z"
	}
	return promotion
}

func (m *maker) offerMatrix() []Offer {
	var offers []Offer
	for _, p := range m.products {
		var allowed []string
		for _, q := range m.products {
			if m.chance(75) {
				sku := q.sku
				if m.chance(20) {
					sku = strings.TrimLeft(sku, "0")
				}
				allowed = append(allowed, q.id+"/"+sku)
			}
		}
		offer := Offer{
			ProductID: p.id, SkuID: p.sku, Min: "1", Max: pick(m, []string{"300", "40", "", "300"}),
			Conversions: strings.Join(allowed, pick(m, []string{",", ";"})),
		}
		if m.chance(20) {
			offer.Min = "2"
		}
		if m.chance(93) {
			offers = append(offers, offer)
		}
	}
	return offers
}

func (m *maker) termAndPlan() (term, plan string) {
	all := [][2]string{
		{"P1M", "Monthly"}, {"P1M", "Monthly"}, {"P1Y", "Monthly"}, {"P1Y", "Monthly"}, {"P1Y", "Annual"},
		{"P3Y", "Monthly"}, {"P3Y", "Annual"}, {"P3Y", "Triennial"},
	}
	chosen := pick(m, all)
	return chosen[0], chosen[1]
}

func (m *maker) people(size int) {
	for i := range m.between(1, 3) {
		p := Partner{
			ID: fmt.Sprintf("partner-%d", i+1), Name: fmt.Sprintf("Partner %d", i+1), Country: pick(m, m.markets),
			Currency: pick(m, []string{"EUR", "EUR", "USD", "JPY", "KWD", "GBP"}), MpnID: fmt.Sprintf("60344%02d", i),
			TaxRate: pick(m, []string{"", "0", "0.21", "0.19", "0.077", "0.1", "0.055"}), Policy: DefaultPolicy,
		}
		if m.chance(50) {
			p.Policy = Policy{
				Rounding: pick(m, []string{"unit", "line", "documented"}),
				MonthEnd: pick(m, []string{"clamp", "stick"}),
				Windows:  pick(m, []string{"enforce", "enforce", "trust"}),
			}
		}
		if m.chance(30) {
			p.ID = m.uuid()
		}
		m.partners = append(m.partners, p)
	}
	everybody := m.partners
	if m.chance(15) {
		p := m.partners[0]
		p.ID, p.Name = "partner-late", "Partner, late"
		m.late = append(m.late, p)
		everybody = append(slices.Clone(m.partners), p)
	}
	for range m.between(1, size) {
		c := m.customer(pick(m, everybody).ID)
		switch {
		case m.chance(5):
			m.newcomers = append(m.newcomers, c)
		case m.chance(2):
			c.PartnerID = "partner-nobody"
			fallthrough
		default:
			m.customers = append(m.customers, c)
		}
	}
	if m.chance(10) {
		m.strangers = append(m.strangers, m.id("stranger"))
	}
}

func (m *maker) customer(partner string) Customer {
	id := m.id("customer")
	return Customer{
		ID: id, Name: "Customer, " + id[:4], Domain: id[:4] + ".onmicrosoft.com", Market: pick(m, m.markets),
		Segment: pick(m, []string{"", "Commercial", "Commercial", "Education"}), PartnerID: partner, ResellerMpnID: pick(m, []string{"", "6048879"}),
	}
}

// priceSheets makes a sheet of every market for most of the months. Some are
// missing for good, so that the one before governs, and some arrive late.
func (m *maker) priceSheets() {
	for _, market := range m.markets {
		for month := m.start; month <= m.end; month++ {
			sheet := m.sheet(market, month)
			first := month == m.start
			switch {
			case first && m.chance(85) || !first && m.chance(35):
				m.sheets = append(m.sheets, sheet)
			case m.chance(20):
				m.lateSheets = append(m.lateSheets, sheet)
			}
		}
	}
}

func (m *maker) sheet(market string, month Month) Sheet {
	s := Sheet{Market: market, Month: month, ByteOrderMark: m.chance(30), CRLF: m.chance(50), ExtraColumns: m.chance(20)}
	year, _, _ := month.First().YMD()
	s.NoSegmentColumn = year <= 2023 && m.chance(40)
	for _, p := range m.products {
		for _, t := range []struct {
			term, plan string
			percent    int64
		}{
			{"P1M", "Monthly", 10}, {"P1Y", "Monthly", 105}, {"P1Y", "Annual", 100},
			{"P3Y", "Monthly", 300}, {"P3Y", "Annual", 291}, {"P3Y", "Triennial", 285},
		} {
			if m.chance(3) {
				continue // no price
			}
			for _, segment := range []string{"Commercial", "Education"} {
				if segment == "Education" && (s.NoSegmentColumn || m.chance(20)) {
					continue
				}
				rows := m.rowsOf(market, month, p, t.term, t.plan, segment, p.cents*t.percent/100+int64(m.rng.IntN(5)))
				s.Rows = append(s.Rows, rows...)
			}
		}
	}
	m.rng.Shuffle(len(s.Rows), func(i, j int) { s.Rows[i], s.Rows[j] = s.Rows[j], s.Rows[i] })
	return s
}

// rowsOf makes the rows of one SKU, term, plan and segment, in one or more currencies.
func (m *maker) rowsOf(market string, month Month, p product, term, plan, segment string, cents int64) []PriceRow {
	home := map[string]string{"DE": "EUR", "US": "USD", "JP": "JPY", "GB": "GBP"}[market]
	currencies := []string{home}
	switch {
	case m.chance(25):
		currencies = append(currencies, pick(m, []string{"USD", "KWD", "GBP", "EUR"}))
	case m.chance(5):
		currencies = []string{pick(m, []string{"GBP", "EUR", "KWD"})}
	}
	slices.Sort(currencies)
	currencies = slices.Compact(currencies)
	var rows []PriceRow
	for _, currency := range currencies {
		price := fmt.Sprintf("%d.%02d", cents/100, cents%100)
		if currency == "JPY" {
			price = fmt.Sprint(cents)
		}
		row := PriceRow{
			ProductTitle: p.title, ProductID: p.id, SkuID: p.sku, SkuTitle: p.skuTitle, Publisher: "Microsoft Corporation",
			Term: term, Plan: plan, Currency: currency, UnitPrice: price, Segment: segment,
			Start: pick(m, []string{"1/1/1753 12:00:00 AM", "2/1/2019 12:00:00 AM", "2/1/2019 0:00", "2021-01-01T00:00:00.0000000Z", "2019-02-01"}),
			End:   pick(m, []string{"9999-11-30T23:59:59.0000000Z", "11/30/9999 23:59", "12/31/9999", "11/30/9999 11:59:59 PM"}),
		}
		if m.chance(20) {
			row.SkuID = strings.TrimLeft(p.sku, "0")
		}
		if segment == "Commercial" && m.chance(10) {
			row.Segment = ""
		}
		rows = append(rows, m.withCompany(row, month)...)
	}
	return rows
}

// withCompany gives a row the company that rows have in the wild: successors,
// duplicates, contradictions and tiers.
func (m *maker) withCompany(row PriceRow, month Month) []PriceRow {
	switch {
	case m.chance(8):
		return m.succession(row, month)
	case m.chance(4):
		return []PriceRow{row, row}
	case m.chance(2):
		other := row
		other.UnitPrice += "1"
		if !strings.Contains(row.UnitPrice, ".") {
			other.UnitPrice = row.UnitPrice + ".5"
		}
		return []PriceRow{row, other}
	case m.chance(4):
		tier := row
		tier.TierMin, tier.TierMax, tier.UnitPrice = "1", "9", "1"
		return []PriceRow{tier, row}
	case m.chance(1):
		row.TierMin, row.TierMax = "1", ""
		return []PriceRow{row}
	case m.chance(5):
		row.End = m.stamp(month.Last(), true)
		return []PriceRow{row}
	}
	return []PriceRow{row}
}

// succession is a price that changes inside the month, with or without an overlap.
func (m *maker) succession(row PriceRow, month Month) []PriceRow {
	day := month.First() + Date(m.rng.IntN(month.Days()))
	overlap := Date(m.rng.IntN(4))
	next := row
	row.End = m.stamp(min(day+overlap, month.Last()), true)
	next.Start = m.stamp(day, false)
	next.UnitPrice = "9" + row.UnitPrice
	return []PriceRow{row, next}
}

// stamp writes a day as a start or an end, in one of the ways seen in the wild.
func (m *maker) stamp(d Date, end bool) string {
	year, month, day := d.YMD()
	short := fmt.Sprintf("%d/%d/%d", month, day, year)
	if end {
		return pick(m, []string{short, short + " 23:59", short + " 11:59:59 PM", d.String() + "T23:59:59.0000000Z", d.String() + "T06:57:30.0682597Z", short + " 0:00"})
	}
	return pick(m, []string{short, short + " 0:00", short + " 12:00:00 AM", d.String() + "T00:00:00.0000000Z", d.String() + "T12:00:00.0000000Z"})
}

func (m *maker) exchangeRates() {
	slashed := m.chance(30)
	for month := m.start; month <= m.end+1; month++ {
		table := m.rateTable(month, slashed)
		switch {
		case m.chance(92):
			m.rates = append(m.rates, table...)
		case m.chance(70):
			m.lateRates = append(m.lateRates, table...)
		}
	}
}

func (m *maker) rateTable(month Month, slashed bool) []Rate {
	var table []Rate
	add := func(currency, low string) {
		table = append(table, Rate{Currency: currency, USDPerUnit: fmt.Sprintf("%s%d", low, m.rng.IntN(1_000_000_000)), Month: month, Slashed: slashed})
	}
	add("EUR", "1.0")
	add("GBP", "1.2")
	add("JPY", "0.00")
	add("KWD", "3.2")
	if m.chance(30) {
		table = append(table, Rate{Currency: "USD", USDPerUnit: "1", Month: month, Slashed: slashed})
	}
	return table
}

// history makes the changes of every customer.
func (m *maker) history() {
	for _, c := range slices.Concat(m.customers, m.newcomers) {
		m.customerHistory(c.ID, m.currencyOf(c))
	}
	for _, id := range m.strangers {
		m.customerHistory(id, "EUR")
	}
	for _, a := range slices.Clone(m.changes) {
		m.repeat(a)
	}
}

func (m *maker) currencyOf(c Customer) string {
	for _, p := range slices.Concat(m.partners, m.late) {
		if p.ID == c.PartnerID {
			return p.Currency
		}
	}
	return "EUR"
}

func (m *maker) customerHistory(customer, currency string) {
	var subs []*subject
	var taken []Change
	for range m.between(1, 4) {
		sub, change := m.purchase(customer, currency)
		subs = append(subs, sub)
		taken = append(taken, change)
	}
	for range m.rng.IntN(13) {
		change := m.anyChange(customer, currency, &subs, taken)
		taken = append(taken, change)
	}
	for _, c := range taken {
		m.arrive(c)
	}
}

// arrive decides which ingest brings a change: mostly that of its own month,
// sometimes a later one, now and then one before it has happened.
func (m *maker) arrive(c Change) {
	month := parseChange(c).month()
	switch {
	case m.chance(18):
		month += Month(m.between(1, 4))
	case m.chance(4):
		month--
	}
	m.changes = append(m.changes, arriving{c, month})
}

// repeat delivers some changes again, and some ids with another content.
func (m *maker) repeat(a arriving) {
	again := a
	again.month += Month(m.rng.IntN(3))
	again.change.KeyOrder = m.rng.Uint64()
	switch {
	case m.chance(6):
		m.changes = append(m.changes, again)
	case m.chance(4):
		again.change.Data = maps.Clone(a.change.Data)
		switch {
		case m.chance(40):
			at := parseChange(a.change).at.Add(time.Duration(m.between(1, 40*24)) * time.Hour)
			again.change.Time = at.Format(time.RFC3339)
		case m.chance(20):
			again.change.Override = "second thoughts"
		default:
			again.change.Data["quantity"] = number(fmt.Sprint(m.between(1, 30)))
		}
		m.changes = append(m.changes, again)
		if m.chance(20) {
			m.changes = append(m.changes, again)
		}
	}
}

func (m *maker) spanStart() time.Time { return m.start.First().Midnight() }
func (m *maker) spanEnd() time.Time   { return (m.end + 1).First().Midnight() }

// instant is any second of the span, often at a month's end or on a border of the rules.
func (m *maker) instant() time.Time {
	days := int(m.end.Last() - m.start.First())
	day := m.start.First() + Date(m.rng.IntN(days+1))
	if m.chance(50) { // most of a history is at its start, so that something follows
		day = m.start.First() + Date(m.rng.IntN(min(days, 75)+1))
	}
	switch {
	case m.chance(25):
		day = day.Month().Last() - Date(m.rng.IntN(4))
	case m.chance(12):
		day = pick(m, []Date{
			NewDate(2022, 3, 11), NewDate(2022, 3, 12), NewDate(2022, 3, 9), NewDate(2024, 2, 29), NewDate(2024, 2, 28),
			NewDate(2025, 3, 31), NewDate(2025, 4, 1), NewDate(2025, 2, 28), NewDate(2022, 1, 30), NewDate(2023, 1, 31),
		})
	}
	return m.inside(m.onDay(day))
}

// onDay is an instant on a day, often its first.
func (m *maker) onDay(day Date) time.Time {
	if m.chance(20) {
		return day.Midnight()
	}
	return day.Midnight().Add(time.Duration(m.rng.IntN(86400)) * time.Second)
}

func (m *maker) inside(t time.Time) time.Time {
	if t.Before(m.spanStart()) {
		return m.spanStart().Add(t.Sub(t.Truncate(24 * time.Hour)))
	}
	if !t.Before(m.spanEnd()) {
		return m.spanEnd().Add(-time.Duration(1+m.rng.IntN(86400)) * time.Second)
	}
	return t
}

// near is an instant that means something to a subscription: an edge of a window,
// the first day of a cycle, the last day of a term, or just after another change.
func (m *maker) near(sub *subject, taken []Change) time.Time {
	start := DateOf(sub.start)
	length := termMonths(sub.term)
	if sub.trial {
		length = 1
	}
	renewal := addMonths(start, length*m.rng.IntN(3)).Midnight()
	var t time.Time
	switch m.rng.IntN(9) {
	case 0, 1:
		from := sub.start
		if m.chance(40) {
			from = renewal
		}
		hours := pick(m, []int{24, 72, 168})
		t = from.Add(time.Duration(hours)*time.Hour + time.Duration(m.between(-1, 1))*time.Second)
	case 2, 3:
		t = m.onDay(addMonths(start, m.between(0, 14)))
	case 4:
		t = m.onDay(addMonths(start, length) - Date(m.rng.IntN(2)))
	case 5:
		t = sub.start.Add(time.Duration(m.rng.IntN(7*86400)) * time.Second)
	case 6:
		t = parseChange(pick(m, taken)).at
	case 7:
		t = parseChange(pick(m, taken)).at.Add(time.Duration(m.rng.IntN(3*86400)) * time.Second)
	default:
		t = m.instant()
	}
	if t.Before(sub.start) && m.chance(95) {
		t = sub.start.Add(time.Duration(m.rng.IntN(30*86400)) * time.Second)
	}
	return m.inside(t)
}

func (m *maker) change(customer, changeType, about string, at time.Time, data map[string]any) Change {
	data["customerId"] = customer
	id := m.id("ev")
	if m.chance(1) {
		id = "ev-shared" // of several customers, and twice of one it is a conflict
	}
	return Change{
		ID: id, Type: changeType, Subject: about, Time: at.Format(time.RFC3339), Data: data, KeyOrder: m.rng.Uint64(),
	}
}

func (m *maker) seats() int64 {
	return int64(pick(m, []int{1, 2, 3, 5, 10, 10, 12, 25, 300}))
}

func (m *maker) purchase(customer, currency string) (*subject, Change) {
	p := pick(m, m.products)
	term, plan := m.termAndPlan()
	sub := &subject{
		id: m.id("sub"), start: m.instant(), term: term, plan: plan, trial: m.chance(15),
		quantity: m.seats(), product: p.id, sku: p.sku,
	}
	if m.chance(2) {
		sub.id = "sub-shared" // ids are looked up within the customer
	}
	data := map[string]any{
		"productId": p.id, "skuId": p.sku, "termDuration": term, "billingCycle": plan, "quantity": number(fmt.Sprint(sub.quantity)),
		"orderId": fmt.Sprintf("order%d", m.rng.IntN(100000)),
	}
	if m.chance(10) {
		data["skuId"] = strings.TrimLeft(p.sku, "0")
	}
	if m.chance(50) {
		data["availabilityId"] = "CFQ7TTC0K5RQ"
	}
	m.purchaseExtras(data, sub, currency)
	return sub, m.change(customer, "subscription.purchased", sub.id, sub.start, data)
}

func (m *maker) purchaseExtras(data map[string]any, sub *subject, currency string) {
	if sub.trial {
		data["isTrial"] = true
	}
	if m.chance(8) {
		data["autoRenewEnabled"] = m.chance(30)
	}
	if m.chance(25) && (!sub.trial || m.chance(20)) {
		data["customTermEndDate"] = m.customEnd(DateOf(sub.start), sub.term)
	}
	if m.chance(25) {
		data["promotionId"] = m.promotionFor(sub)
	}
	if m.chance(8) {
		data["parentSubscriptionId"] = m.uuid()
	}
	if m.chance(12) {
		data["unitPrice"] = number(pick(m, []string{"120.96", "100", "0", "57.123456789", "10.08"}))
		if m.chance(70) {
			data["currency"] = pick(m, []string{currency, "USD", "EUR", "KWD"})
		}
	}
	switch { // values that are refused
	case m.chance(1):
		data["quantity"] = number("0")
	case m.chance(1):
		data["termDuration"] = "P2Y"
	case m.chance(1):
		data["termDuration"], data["billingCycle"] = "P1M", "Annual"
	case m.chance(1):
		data["quantity"] = number("2.5")
	}
}

// promotionFor is mostly a promotion that could fit, if its dates do.
func (m *maker) promotionFor(sub *subject) string {
	for _, p := range m.promotions {
		if p.ProductID == sub.product && p.SkuID == sub.sku && m.chance(80) {
			return p.ID
		}
	}
	if m.chance(10) {
		return "39NFJQT1PJQB:9999:39NFJQT1Q5KN"
	}
	return pick(m, m.promotions).ID
}

// customEnd is a custom end of a term: mostly inside it, at times at its very
// ends or outside.
func (m *maker) customEnd(start Date, term string) string {
	full := addMonths(start, max(termMonths(term), 1)) - 1
	end := start + Date(m.rng.IntN(int(full-start)+1))
	switch {
	case m.chance(30):
		end = end.Month().Last()
	case m.chance(10):
		end = full
	case m.chance(10):
		end = start
	case m.chance(8):
		end = full + Date(m.between(1, 40))
	case m.chance(5):
		end = start - Date(m.between(1, 10))
	}
	if m.chance(50) {
		return end.String()
	}
	return end.String() + "T00:00:00Z"
}

// anyChange makes one change of a customer that has subscriptions.
func (m *maker) anyChange(customer, currency string, subs *[]*subject, taken []Change) Change {
	sub := pick(m, *subs)
	at := m.near(sub, taken)
	make := func(changeType string, data map[string]any) Change {
		return m.change(customer, changeType, sub.id, at, data)
	}
	n := m.rng.IntN(100)
	if sub.trial && m.chance(35) {
		return m.conversion(make, sub)
	}
	switch {
	case n < 28:
		return m.overridden(make("subscription.quantityChanged", map[string]any{"quantity": m.newQuantity(sub)}))
	case n < 38:
		return m.overridden(make("subscription.canceled", map[string]any{}))
	case n < 56:
		return m.overridden(m.upgrade(make, sub, subs))
	case n < 66:
		return make("subscription.nextTermScheduled", map[string]any{"scheduledNextTermInstructions": m.instructions(sub)})
	case n < 68:
		return make("subscription.nextTermCleared", map[string]any{})
	case n < 75:
		return make("subscription.renewalChanged", map[string]any{"autoRenewEnabled": m.chance(45)})
	case n < 79:
		return make("subscription.suspended", map[string]any{})
	case n < 83:
		return make("subscription.reactivated", map[string]any{})
	case n < 88:
		return make("subscription.billingPlanChanged", map[string]any{"billingCycle": pick(m, []string{"Monthly", "Annual", "Annual", "Triennial"})})
	case n < 93:
		return m.credit(customer, currency, sub, at)
	case n < 97:
		return m.override(customer, sub, at, taken)
	case n < 98:
		return make("subscription.renamed", map[string]any{})
	case n < 99:
		stray := make("subscription.quantityChanged", map[string]any{"quantity": number("4")})
		stray.Subject = m.id("sub")
		return stray
	}
	again := make("subscription.purchased", map[string]any{
		"productId": sub.product, "skuId": sub.sku, "termDuration": sub.term, "billingCycle": sub.plan, "quantity": number("3"),
	})
	return again
}

// overridden gives a change an override, at times.
func (m *maker) overridden(c Change) Change {
	if m.chance(12) {
		c.Override = pick(m, []string{"goodwill", "agreed \"by phone\" & mail", "ticket 4711, <urgent>"})
	}
	return c
}

func (m *maker) newQuantity(sub *subject) any {
	switch {
	case m.chance(4):
		return number("0")
	case m.chance(2):
		return number("-3")
	case m.chance(8):
		return number(fmt.Sprint(sub.quantity)) // perhaps what it is already
	case m.chance(50):
		sub.quantity += int64(m.between(1, 5))
	default:
		sub.quantity = max(1, sub.quantity-int64(m.between(1, 5)))
	}
	return number(fmt.Sprint(sub.quantity))
}

func (m *maker) upgrade(make func(string, map[string]any) Change, sub *subject, subs *[]*subject) Change {
	to := pick(m, m.products)
	for to.id == sub.product && to.sku == sub.sku && m.chance(90) {
		to = pick(m, m.products)
	}
	data := map[string]any{"toProductId": to.id, "toSkuId": to.sku}
	part := sub.quantity > 1 && m.chance(50)
	moved := sub.quantity
	if part {
		moved = int64(m.between(1, int(sub.quantity)-1))
		data["quantity"] = number(fmt.Sprint(moved))
	} else if m.chance(20) {
		data["quantity"] = number(fmt.Sprint(pick(m, []int64{sub.quantity, sub.quantity, sub.quantity + 1, 0})))
	}
	if m.chance(20) {
		data["termDuration"] = pick(m, []string{"P1M", "P1Y", "P1Y", "P3Y", "P3Y"})
		if m.chance(80) {
			data["billingCycle"] = pick(m, []string{"Monthly", "Annual"})
		}
	} else if m.chance(8) {
		data["billingCycle"] = pick(m, []string{sub.plan, "Monthly"})
	}
	if m.chance(20) {
		data["promotionId"] = pick(m, m.promotions).ID
	}
	switch {
	case m.chance(30): // into one that exists, perhaps
		other := pick(m, *subs)
		if other != sub {
			data["toProductId"], data["toSkuId"] = other.product, other.sku
			if m.chance(90) {
				delete(data, "promotionId")
			}
			other.quantity += moved
		}
		data["toSubscriptionId"] = other.id
	case part && m.chance(95) || m.chance(60):
		target := *sub
		target.id, target.product, target.sku, target.quantity = m.id("sub"), to.id, to.sku, moved
		data["toSubscriptionId"] = target.id
		*subs = append(*subs, &target)
	case !part:
		sub.product, sub.sku = to.id, to.sku
	}
	change := make("subscription.upgraded", data)
	if part {
		sub.quantity -= moved
	}
	return change
}

func (m *maker) conversion(make func(string, map[string]any) Change, sub *subject) Change {
	to := pick(m, m.products)
	data := map[string]any{"toProductId": to.id, "toSkuId": to.sku, "quantity": number(fmt.Sprint(m.seats()))}
	if m.chance(60) {
		data["termDuration"], data["billingCycle"] = sub.term, sub.plan
		if m.chance(40) {
			data["termDuration"], data["billingCycle"] = m.termAndPlan()
		}
	}
	return make("subscription.trialConverted", data)
}

func (m *maker) instructions(sub *subject) map[string]any {
	if m.chance(6) {
		return map[string]any{}
	}
	product := map[string]any{}
	term := sub.term
	if m.chance(40) {
		to := pick(m, m.products)
		product["productId"], product["skuId"] = to.id, to.sku
	}
	if m.chance(30) {
		t, plan := m.termAndPlan()
		term = t
		product["termDuration"] = t
		if m.chance(85) {
			product["billingCycle"] = plan
		}
	}
	if m.chance(25) {
		product["promotionId"] = pick(m, m.promotions).ID
	}
	in := map[string]any{}
	if len(product) > 0 {
		in["product"] = product
	}
	if m.chance(45) || len(in) == 0 {
		in["quantity"] = number(fmt.Sprint(m.seats()))
		if m.chance(5) {
			in["quantity"] = number("0")
		}
	}
	if m.chance(20) {
		length := termMonths(sub.term)
		if sub.trial {
			length = 1
		}
		in["customTermEndDate"] = m.customEnd(addMonths(DateOf(sub.start), length), term)
	}
	return in
}

func (m *maker) credit(customer, currency string, sub *subject, at time.Time) Change {
	data := map[string]any{
		"amount":   number(pick(m, []string{"10", "12.34", "0.019", "7.5", "1000"})),
		"currency": currency, "reason": pick(m, []string{"SLA credit", "Goodwill, agreed"}),
	}
	switch {
	case m.chance(8):
		data["currency"] = "CHF"
	case m.chance(8):
		data["amount"] = number(pick(m, []string{"0", "-5"}))
	}
	if m.chance(40) {
		data["subscriptionId"] = sub.id
		if m.chance(10) {
			data["subscriptionId"] = m.id("sub")
		}
	}
	return m.change(customer, "customer.credited", customer, at, data)
}

// override names an earlier change, or now and then one that does not fit.
func (m *maker) override(customer string, sub *subject, at time.Time, taken []Change) Change {
	named := pick(m, taken)
	for _, c := range taken {
		if (c.Type == "subscription.canceled" || c.Type == "subscription.quantityChanged") && m.chance(70) {
			named = c
		}
	}
	data := map[string]any{"eventId": named.ID, "reason": "decided later"}
	about := named.Subject
	if m.chance(85) {
		at = m.inside(parseChange(named).at.Add(time.Duration(m.between(1, 40*24)) * time.Hour))
	}
	switch {
	case m.chance(6):
		data["eventId"] = m.id("ev")
	case m.chance(4):
		about = sub.id
	}
	return m.change(customer, "change.overridden", about, at, data)
}

// steps lays the life out: everything up to the first close, then month by month,
// with late arrivals and second imports between.
func (m *maker) steps() []Step {
	first := World{Partners: m.partners, Customers: m.customers, Sheets: m.sheets, FX: m.rates, Promotions: m.promotions, Offers: m.offers}
	first.Changes = m.arrivals(0, m.firstClose-1)
	steps := []Step{Ingest(first)}
	if m.chance(30) {
		steps = append(steps, Bill(m.firstClose))
	}
	for month := m.firstClose; month <= m.lastClose; month++ {
		steps = append(steps, m.monthSteps(month)...)
	}
	return append(steps, m.lastSteps()...)
}

func (m *maker) monthSteps(month Month) []Step {
	in := World{Changes: m.arrivals(month, month), Charges: m.chargeFiles(month)}
	m.lateArrivals(&in, 35)
	if month > m.firstClose {
		m.secondImports(&in, month)
	}
	steps := []Step{Ingest(in)}
	if m.chance(50) {
		steps = append(steps, Bill(month))
	}
	if m.chance(20) {
		steps = append(steps, Bill(month+1))
	}
	if m.chance(20) {
		more := World{}
		m.lateArrivals(&more, 50)
		for _, f := range in.Charges {
			more.Charges = append(more.Charges, m.revised(f))
		}
		steps = append(steps, Ingest(more))
	}
	steps = append(steps, Close(month, "accepted for the books"))
	if m.chance(5) && len(in.Charges) > 0 {
		steps = append(steps, Ingest(World{Charges: []ChargeFile{m.revised(in.Charges[0])}}))
	}
	if m.chance(15) {
		steps = append(steps, Bill(m.firstClose+Month(m.rng.IntN(int(month-m.firstClose)+1))))
	}
	return steps
}

func (m *maker) lastSteps() []Step {
	rest := World{Changes: m.arrivals(m.lastClose+1, m.lastClose+1)}
	m.lateArrivals(&rest, 100)
	m.secondImports(&rest, m.lastClose)
	steps := []Step{Ingest(rest), Bill(m.lastClose + 1)}
	everything := World{Changes: m.arrivals(m.lastClose+2, m.end+100)}
	steps = append(steps, Ingest(everything), Bill(m.lastClose+1))
	if m.chance(60) {
		steps = append(steps, Bill(m.lastClose+2))
	}
	return steps
}

// arrivals are the changes that the ingests of some months bring, in any order.
func (m *maker) arrivals(from, to Month) []Change {
	var changes []Change
	for _, a := range m.changes {
		if a.month >= from && a.month <= to {
			changes = append(changes, a.change)
		}
	}
	m.rng.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
	return changes
}

// lateArrivals brings some of what was missing so far.
func (m *maker) lateArrivals(in *World, percent int) {
	m.sharedSheet = map[string]bool{}
	in.Sheets = append(in.Sheets, some(m, &m.lateSheets, percent)...)
	in.FX = append(in.FX, some(m, &m.lateRates, percent)...)
	in.Partners = append(in.Partners, some(m, &m.late, percent)...)
	in.Customers = append(in.Customers, some(m, &m.newcomers, percent)...)
	if m.chance(percent / 3) {
		for _, id := range m.strangers {
			c := m.customer(m.partners[0].ID)
			c.ID = id
			in.Customers = append(in.Customers, c)
		}
		m.strangers = nil
	}
	for _, s := range in.Sheets {
		m.sharedSheet[s.Market+s.Month.String()] = true
	}
}

// some takes a random part out of a list.
func some[T any](m *maker, from *[]T, percent int) []T {
	var out, rest []T
	for _, x := range *from {
		if m.chance(percent) {
			out = append(out, x)
		} else {
			rest = append(rest, x)
		}
	}
	*from = rest
	return out
}

// secondImports says again, and differently, what was taken in before.
func (m *maker) secondImports(in *World, month Month) {
	if m.chance(25) && len(m.sheets) > 0 {
		old := pick(m, m.sheets)
		if !m.sharedSheet[old.Market+old.Month.String()] {
			in.Sheets = append(in.Sheets, m.sheet(old.Market, old.Month))
		}
	}
	if m.chance(25) {
		in.FX = append(in.FX, m.rateTable(m.start+Month(m.rng.IntN(int(month-m.start)+1)), false)...)
		in.FX = uniqueRates(in.FX)
	}
	if m.chance(20) {
		p := pick(m, m.partners)
		p.TaxRate = pick(m, []string{"0.2", "0.07", ""})
		p.MpnID = "7000001"
		in.Partners = append(in.Partners, p)
	}
	if m.chance(25) && len(m.customers) > 0 {
		in.Customers = append(in.Customers, m.moved(pick(m, m.customers)))
	}
	if m.chance(8) && len(m.offers) > 0 {
		in.Offers = m.offers
	}
}

// uniqueRates keeps the first rate of each currency and month: one file does not
// contradict itself.
func uniqueRates(rates []Rate) []Rate {
	seen := map[rateKey]bool{}
	var out []Rate
	for _, r := range rates {
		if key := (rateKey{r.Month, r.Currency}); !seen[key] {
			seen[key] = true
			out = append(out, r)
		}
	}
	return out
}

// moved is a customer with other data: a name, a segment, a market, a partner.
func (m *maker) moved(c Customer) Customer {
	switch m.rng.IntN(4) {
	case 0:
		c.Name += " & Sons"
	case 1:
		c.Segment = pick(m, []string{"Commercial", "Education"})
	case 2:
		c.Market = pick(m, m.markets)
	case 3:
		var policy Policy
		for _, p := range m.partners {
			if p.ID == c.PartnerID {
				policy = p.Policy
			}
		}
		for _, p := range m.partners {
			if p.Policy.MonthEnd == policy.MonthEnd {
				c.PartnerID = p.ID
			}
		}
	}
	return c
}

// chargeFiles are a month's charges that were rated elsewhere.
func (m *maker) chargeFiles(month Month) []ChargeFile {
	if len(m.customers) == 0 {
		return nil
	}
	var files []ChargeFile
	for i, p := range m.partners {
		if !m.chance(25) {
			continue
		}
		f := ChargeFile{Month: month, Name: fmt.Sprintf("azure-%d", i+1)}
		for range m.between(1, 4) {
			f.Rows = append(f.Rows, m.chargeRow(month, p, fmt.Sprintf("G%s%03d", month.Compact(), i)))
		}
		files = append(files, f)
	}
	return files
}

func (m *maker) chargeRow(month Month, p Partner, invoice string) Row {
	c := pick(m, m.customers)
	digits := minorDigits(p.Currency)
	money := func(n int) string {
		return printAmount(new(big.Rat).SetFrac(big.NewInt(int64(n)), powerOfTen(digits)), p.Currency)
	}
	subtotal, tax := m.between(1, 500000), m.between(0, 40000)
	row := Row{}
	for _, column := range Columns {
		row[column] = ""
	}
	maps.Copy(row, Row{
		"PartnerId": p.ID, "CustomerId": c.ID, "CustomerName": c.Name, "CustomerDomainName": c.Domain, "CustomerCountry": c.Market,
		"InvoiceNumber": invoice, "MpnId": p.MpnID, "OrderId": "az-1", "OrderDate": (month.First() + Date(m.rng.IntN(month.Days()))).String(),
		"ProductId": "DZH318Z0BNZ5", "SkuId": "006G", "SkuName": "Tables - LRS", "ProductName": "Tables", "ChargeType": "new",
		"UnitPrice": "0.045", "EffectiveUnitPrice": "0.03825", "Quantity": "17", "BillableQuantity": "17",
		"Subtotal": money(subtotal), "TaxTotal": money(tax), "Total": money(subtotal + tax), "Currency": p.Currency,
		"PublisherName": "Microsoft", "SubscriptionDescription": "Azure plan", "SubscriptionId": pick(m, []string{"", "azure-plan", m.uuid()}),
		"ChargeStartDate": month.First().String(), "ChargeEndDate": month.Last().String(), "UnitType": "1 GB/Month",
		"PricingCurrency": "USD", "PCToBCExchangeRate": "0.846202666", "PCToBCExchangeRateDate": month.First().String(),
	})
	if m.chance(6) {
		row["Currency"] = "CHF"
		row["Subtotal"], row["TaxTotal"], row["Total"] = "10.00", "1.00", "11.00"
	}
	return row
}

// revised is the same charge file, or one with the same invoice that says more.
func (m *maker) revised(f ChargeFile) ChargeFile {
	if m.chance(40) {
		return f
	}
	again := f
	again.Name += "-again"
	again.Rows = append(slices.Clone(f.Rows), maps.Clone(f.Rows[0]))
	last := again.Rows[len(again.Rows)-1]
	last["OrderId"] = "az-2"
	sort.SliceStable(again.Rows, func(i, j int) bool { return again.Rows[i]["OrderDate"] < again.Rows[j]["OrderDate"] })
	return again
}
