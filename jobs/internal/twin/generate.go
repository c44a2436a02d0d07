package twin

import (
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2" //nolint:depguard // made-up test cases, drawn from a given seed
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
	trialRows   bool // sheets list trials too, with the plan None
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
	m.markets = []string{"DE", "US", "JP", "GB"}
	m.rng.Shuffle(len(m.markets), func(i, j int) { m.markets[i], m.markets[j] = m.markets[j], m.markets[i] })
	m.markets = m.markets[:m.between(1, 3)]
	m.trialRows = m.chance(15)
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
	if m.chance(15) && len(in.Charges) > 0 {
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
