package main

import (
	"fmt"
	"slices"
	"strings"
)

// A sku is one line of the invented catalogue. The names are Microsoft's; ids
// and prices are only of the demo.
type sku struct {
	key     string // how the table of changes names it
	title   string
	product string
	id      string
	cents   int64  // suggested retail price of a seat and month in USD, annual commitment
	plans   string // rows of rowsOf; "trial" for a free month
	markets string
	segment string
	max     int64 // licences of one subscription; 0: no limit worth a name
	targets string
	from    string // first and last month with the SKU on the sheets
	until   string
}

const (
	everywhere = "DE NL US GB CH JP KW"
	west       = "DE NL US"
	europe     = "DE NL GB CH"
)

var catalogue = []sku{
	{key: "BB", title: "Microsoft 365 Business Basic", product: "CFQ7TTC0LH18", id: "0001", cents: 600, plans: "m ym ya", markets: everywhere, max: 300, targets: "BS BP E1 E3"},
	{key: "BS", title: "Microsoft 365 Business Standard", product: "CFQ7TTC0LDPB", id: "0001", cents: 1250, plans: "m ym ya", markets: everywhere, max: 300, targets: "BP E3 M3"},
	{key: "BP", title: "Microsoft 365 Business Premium", product: "CFQ7TTC0LCHC", id: "0002", cents: 2200, plans: "m ym ya", markets: west + " GB", max: 300, targets: "M3 M5"},
	{key: "BPT", title: "Microsoft 365 Business Premium Trial", product: "CFQ7TTC0LCHC", id: "000P", plans: "trial", markets: west, max: 25, targets: "BP"},
	{key: "AB", title: "Microsoft 365 Apps for business", product: "CFQ7TTC0LH1G", id: "0001", cents: 830, plans: "m ym ya", markets: west, max: 300, targets: "BS BP"},
	{key: "E1", title: "Office 365 E1", product: "CFQ7TTC0LF8Q", id: "0001", cents: 1000, plans: "m ym ya", markets: west + " GB", targets: "E3 E5 M3"},
	{key: "E3", title: "Office 365 E3", product: "CFQ7TTC0LF8R", id: "0001", cents: 2300, plans: "m ym ya", markets: everywhere, targets: "E5 M3 M5"},
	{key: "E5", title: "Office 365 E5", product: "CFQ7TTC0LF8S", id: "0002", cents: 3800, plans: "m ym ya tm ta tt", markets: west, targets: "M5"},
	{key: "M3", title: "Microsoft 365 E3", product: "CFQ7TTC0LFLX", id: "0001", cents: 3600, plans: "m ym ya", markets: west + " JP", targets: "M5"},
	{key: "M3N", title: "Microsoft 365 E3 (no Teams)", product: "CFQ7TTC0LFLX", id: "0006", cents: 3375, plans: "m ym ya", markets: "DE NL", targets: "M5", from: "2024-04"},
	{key: "M5", title: "Microsoft 365 E5", product: "CFQ7TTC0LFLZ", id: "0002", cents: 5700, plans: "m ym ya tm ta tt", markets: west},
	{key: "F3", title: "Microsoft 365 F3", product: "CFQ7TTC0LH05", id: "0001", cents: 800, plans: "m ym ya", markets: "DE US KW", targets: "E1 E3 M3"},
	{key: "X1", title: "Exchange Online (Plan 1)", product: "CFQ7TTC0LH16", id: "0001", cents: 400, plans: "m ym ya", markets: "DE US KW JP", targets: "X2"},
	{key: "X2", title: "Exchange Online (Plan 2)", product: "CFQ7TTC0LH1P", id: "0001", cents: 800, plans: "m ym ya", markets: "DE US"},
	{key: "PBI", title: "Power BI Pro", product: "CFQ7TTC0HL8W", id: "0001", cents: 1000, plans: "m ym ya", markets: everywhere, targets: "PPU"},
	{key: "PPU", title: "Power BI Premium Per User", product: "CFQ7TTC0HL8W", id: "0002", cents: 2000, plans: "m ym ya", markets: west},
	{key: "PPUT", title: "Power BI Premium Per User Trial", product: "CFQ7TTC0HL8W", id: "000T", plans: "trial", markets: west, max: 25, targets: "PPU"},
	{key: "V1", title: "Visio Plan 1", product: "CFQ7TTC0HD33", id: "0003", cents: 500, plans: "m ym ya", markets: "DE US GB CH", targets: "V2"},
	{key: "V2", title: "Visio Plan 2", product: "CFQ7TTC0HD32", id: "0002", cents: 1500, plans: "m ym ya", markets: west + " GB JP"},
	{key: "P1", title: "Planner Plan 1", product: "CFQ7TTC0HDB1", id: "0002", cents: 1000, plans: "m ym ya", markets: "DE US GB", targets: "P3 P5"},
	{key: "P3", title: "Project Plan 3", product: "CFQ7TTC0HDB0", id: "0002", cents: 3000, plans: "m ym ya", markets: west, targets: "P5"},
	{key: "P5", title: "Project Plan 5", product: "CFQ7TTC0HD9Z", id: "0001", cents: 5500, plans: "m ym ya", markets: west, until: "2024-03"},
	{key: "DSP", title: "Dynamics 365 Sales Professional", product: "CFQ7TTC0LFN5", id: "0001", cents: 6500, plans: "ym ya", markets: "DE US", targets: "DSE"},
	{key: "DSE", title: "Dynamics 365 Sales Enterprise", product: "CFQ7TTC0LFF1", id: "0001", cents: 9500, plans: "ym ya tm ta", markets: west},
	{key: "DSET", title: "Dynamics 365 Sales Enterprise Trial", product: "CFQ7TTC0LFF1", id: "000K", plans: "trial", markets: west, max: 25, targets: "DSE"},
	{key: "DBC", title: "Dynamics 365 Business Central Essentials", product: "CFQ7TTC0HD4T", id: "0001", cents: 7000, plans: "ym ya", markets: "US JP"},
	{key: "DG", title: "Dynamics 365 Guides", product: "CFQ7TTC0HHSF", id: "0001", cents: 6500, plans: "m ym ya", markets: "DE US"},
	{key: "EP1", title: "Microsoft Entra ID P1", product: "CFQ7TTC0LFLS", id: "0002", cents: 600, plans: "m ym ya", markets: west, targets: "EP2"},
	{key: "EP2", title: "Microsoft Entra ID P2", product: "CFQ7TTC0LFK5", id: "0001", cents: 900, plans: "m ym ya", markets: west},
	{key: "TP", title: "Microsoft Teams Phone Standard", product: "CFQ7TTC0LH0T", id: "0001", cents: 800, plans: "m ym ya", markets: west},
	{key: "COP", title: "Copilot for Microsoft 365", product: "CFQ7TTC0MM8R", id: "0002", cents: 3000, plans: "ya", markets: everywhere, from: "2024-03"},

	{key: "A3", title: "Office 365 A3 for faculty", product: "CFQ7TTC0P0HK", id: "0001", cents: 325, plans: "ym ya", markets: "NL US", segment: "Education", targets: "A5"},
	{key: "A5", title: "Office 365 A5 for faculty", product: "CFQ7TTC0P0HL", id: "0001", cents: 800, plans: "ym ya", markets: "NL US", segment: "Education"},
	{key: "PBIE", title: "Power BI Pro", product: "CFQ7TTC0HL8W", id: "0001", cents: 300, plans: "ym ya", markets: "NL US", segment: "Education", targets: "PPU"},
}

// bySKU finds a catalogue entry by its short name.
func bySKU(key string) sku {
	i := slices.IndexFunc(catalogue, func(s sku) bool { return s.key == key })
	if i < 0 {
		panic("no SKU " + key)
	}
	return catalogue[i]
}

func (s sku) soldIn(market, month string) bool {
	return slices.Contains(strings.Fields(s.markets), market) &&
		(s.from == "" || s.from <= month) && (s.until == "" || month <= s.until)
}

// plan is one way to buy a SKU: a row of the sheet.
type plan struct {
	term, billing string
	months        int64
	percent       int64 // of the annual price: a monthly commitment costs 20 % more
}

var plansByKey = map[string]plan{
	"m":     {"P1M", "Monthly", 1, 120},
	"ym":    {"P1Y", "Monthly", 12, 100},
	"ya":    {"P1Y", "Annual", 12, 100},
	"tm":    {"P3Y", "Monthly", 36, 95},
	"ta":    {"P3Y", "Annual", 36, 95},
	"tt":    {"P3Y", "Triennial", 36, 95},
	"trial": {"P1M", "None", 1, 0},
}

// A currency turns the USD price into a local one: per mille of the dollar,
// then to the step that local prices are printed in. Amounts are in thousandths.
type currency struct {
	perMille int64
	step     int64
	minor    int64 // thousandths of the minor unit
	digits   int
}

var currencies = map[string]currency{
	"USD": {1000, 50, 10, 2},
	"EUR": {936, 100, 10, 2},
	"GBP": {824, 100, 10, 2},
	"CHF": {930, 100, 10, 2},
	"JPY": {142_000, 10_000, 1000, 0},
	"KWD": {307, 5, 1, 3},
}

func round(n, step int64) int64 { return (n + step/2) / step * step }

// retail is the suggested price of a seat and month in thousandths.
func retail(s sku, cur, month string) int64 {
	c := currencies[cur]
	price := round(s.cents*10*c.perMille/1000, c.step)
	for _, change := range changesOf(s, cur) {
		if change.month <= month {
			price = round(price*(100+change.percent)/100, c.step)
		}
	}
	return price
}

type priceChange struct {
	month   string
	percent int64
}

// changesOf are the price changes of the demo: Visio and Project everywhere and
// the Business suites in Europe in April, Dynamics everywhere and all of Japan
// in October.
func changesOf(s sku, cur string) []priceChange {
	var changes []priceChange
	european := cur == "EUR" || cur == "GBP" || cur == "CHF"
	switch {
	case strings.HasPrefix(s.title, "Visio"), strings.HasPrefix(s.title, "Pro"), strings.HasPrefix(s.title, "Planner"):
		changes = append(changes, priceChange{"2024-04", 8})
	case strings.HasPrefix(s.title, "Microsoft 365 Business") && european:
		changes = append(changes, priceChange{"2024-04", 4})
	case strings.HasPrefix(s.title, "Dynamics"):
		changes = append(changes, priceChange{"2024-10", 10})
	}
	if cur == "JPY" {
		changes = append(changes, priceChange{"2024-10", 8})
	}
	return changes
}

// since is the first day of the price that is on the month's sheet.
func since(s sku, cur, month string) string {
	day := "2023-11-01"
	if s.from != "" {
		day = s.from + "-01"
	}
	for _, change := range changesOf(s, cur) {
		if change.month <= month {
			day = change.month + "-01"
		}
	}
	return day
}

// A partner pays 85 % of the retail price.
const partnerPercent = 85

func format(milli int64, cur string) string {
	c := currencies[cur]
	milli = round(milli, c.minor)
	whole, part := milli/1000, fmt.Sprintf("%03d", milli%1000)
	if c.digits == 0 {
		return fmt.Sprint(whole)
	}
	return fmt.Sprintf("%d.%s", whole, part[:c.digits])
}

// currenciesOf are those in which a market offers a SKU.
func currenciesOf(s sku, market string) []string {
	switch market {
	case "US":
		return []string{"USD"}
	case "GB":
		return []string{"GBP"}
	case "CH":
		if s.key == "V1" {
			return []string{"CHF"}
		}
		return []string{"CHF", "EUR"}
	case "JP":
		if s.key == "DBC" {
			return []string{"USD"}
		}
		return []string{"JPY"}
	case "KW":
		if s.key == "BB" || s.key == "BS" {
			return []string{"KWD", "USD"}
		}
		return []string{"USD"}
	}
	return []string{"EUR"}
}

// row is one price of a sheet, before it is formatted in a sheet's style.
type row struct {
	sku
	plan
	market, currency string
	unit, erp        string
	start, end       string // RFC 3339 without the zone; the styles spell them
	tierMin, tierMax string
	tags             string
}

const forever = "9999-11-30T23:59:59"

// rowsOf lists a market's prices of a month.
func rowsOf(market, month string) []row {
	var rows []row
	for _, s := range catalogue {
		if !s.soldIn(market, month) || s.key == "DG" && market == "US" && month < "2024-04" {
			continue // Guides are left out of the first US sheets; late/ brings the correction
		}
		if s.segment == "" {
			s.segment = "Commercial"
		}
		for _, cur := range currenciesOf(s, market) {
			for _, key := range strings.Fields(s.plans) {
				rows = append(rows, priced(s, key, market, cur, month))
			}
		}
	}
	return rows
}

func priced(s sku, planKey, market, cur, month string) row {
	p := plansByKey[planKey]
	r := row{sku: s, plan: p, market: market, currency: cur, end: forever, tags: "License"}
	r.start = since(s, cur, month) + "T00:00:00"
	if market == "KW" {
		r.start = "1753-01-01T00:00:00" // the placeholder year of the real sheets
	}
	erp := retail(s, cur, month) * p.months * p.percent
	r.erp = format(erp/100, cur)
	r.unit = format((erp*partnerPercent+5000)/10_000, cur)
	if planKey == "trial" {
		r.tags = "License;Trial"
	}
	return r
}
