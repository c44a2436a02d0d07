package twin

import (
	"fmt"
	"slices"
	"strings"
)

// priceSheets makes a sheet of every market for most of the months. Some are
// missing for good, so that the one before governs, and some arrive late.
func (m *maker) priceSheets() {
	for _, market := range m.markets {
		for month := m.start; month <= m.end; month++ {
			sheet := m.sheet(market, month)
			first := month == m.start
			switch {
			case first && m.chance(93) || !first && m.chance(35):
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
	s.NoSegmentColumn = year <= 2023 && m.chance(15)
	for _, p := range m.products {
		if m.trialRows {
			s.Rows = append(s.Rows, m.rowsOf(market, month, p, "P1M", "None", "Commercial", 0)...)
		}
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
				if segment == "Education" && (s.NoSegmentColumn || m.chance(10)) {
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
		currencies = append(currencies, pick(m, []string{"USD", "USD", "USD", "KWD", "GBP", "EUR"}))
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
