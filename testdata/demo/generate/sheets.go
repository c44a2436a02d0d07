package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A style is one of the shapes in which price sheets are met.
type style struct {
	bom, crlf, quoted bool
	noSegment         bool
	endOfSale         bool // an EndofSaleDate column in the middle
	changeIndicator   bool // ChangeIndicator first, PreviousValues last
	shortSKU          bool // SkuId 1 instead of 0001
	dates             string
}

// The spellings of dates.
const (
	isoDates   = "2006-01-02T15:04:05Z"
	longDates  = "2006-01-02T15:04:05.0000000Z"
	usDates    = "1/2/2006 3:04:05 PM"
	sheetDates = "1/2/2006 15:04"
	dayDates   = "1/2/2006"
)

// styleOf gives some sheets of the first months an odd shape each. The others
// are plain, so that a reader sees the format before its oddities.
func styleOf(market, month string) style {
	switch market + " " + month {
	case "DE 2024-02":
		return style{bom: true, crlf: true}
	case "NL 2024-03":
		return style{bom: true, crlf: true, quoted: true, dates: usDates}
	case "US 2024-02":
		return style{endOfSale: true, shortSKU: true, dates: sheetDates}
	case "US 2024-05":
		return style{dates: longDates}
	case "CH 2024-03":
		return style{changeIndicator: true}
	case "JP 2024-04":
		return style{dates: dayDates}
	}
	return style{noSegment: market == "GB" && month <= "2024-03"}
}

func (s style) columns() []string {
	columns := strings.Split("ProductTitle,ProductId,SkuId,SkuTitle,Publisher,SkuDescription,UnitOfMeasure,TermDuration,BillingPlan,Market,Currency,UnitPrice,PricingTierRangeMin,PricingTierRangeMax,EffectiveStartDate,EffectiveEndDate,Tags,ERP Price,Segment", ",")
	if s.noSegment {
		columns = columns[:len(columns)-1]
	}
	if s.endOfSale {
		columns = slices.Insert(columns, 7, "EndofSaleDate")
	}
	if s.changeIndicator {
		columns = append(slices.Insert(columns, 0, "ChangeIndicator"), "PreviousValues")
	}
	return columns
}

func (s style) fields(r row) []string {
	id := r.sku.id
	if s.shortSKU {
		id = strings.TrimLeft(id, "0")
	}
	fields := []string{r.title, r.product, id, r.title, "Microsoft Corporation", "", "", r.term, r.billing, r.market, r.currency,
		r.unit, r.tierMin, r.tierMax, s.date(r.start), s.date(r.end), r.tags, r.erp, r.segment}
	if s.noSegment {
		fields = fields[:len(fields)-1]
	}
	if s.endOfSale {
		fields = slices.Insert(fields, 7, "")
	}
	if s.changeIndicator {
		fields = append(slices.Insert(fields, 0, "Unchanged"), "")
	}
	return fields
}

func (s style) date(text string) string {
	t, err := time.Parse("2006-01-02T15:04:05", text)
	if err != nil {
		return text // an instant to the fraction, already spelled
	}
	if s.dates == "" {
		return t.Format(isoDates)
	}
	return t.Format(s.dates)
}

// line is one CSV record. encoding/csv is not used: it cannot quote everything.
func (s style) line(fields []string) string {
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		if s.quoted || strings.ContainsAny(f, "\",\n") {
			f = `"` + strings.ReplaceAll(f, `"`, `""`) + `"`
		}
		b.WriteString(f)
	}
	if s.crlf {
		b.WriteByte('\r')
	}
	b.WriteByte('\n')
	return b.String()
}

func (s style) sheet(rows []row) []byte {
	var b bytes.Buffer
	if s.bom {
		b.WriteString("\ufeff")
	}
	b.WriteString(s.line(s.columns()))
	for _, r := range rows {
		b.WriteString(s.line(s.fields(r)))
	}
	return b.Bytes()
}

// sheetOf is a market's price sheet of a month, oddities in its rows included.
func sheetOf(market, month string) []byte {
	rows := rowsOf(market, month)
	switch market + " " + month {
	case "DE 2024-04":
		rows = overlap(rows)
	case "CH 2024-03":
		// The first five rows once more: identical duplicates count once.
		rows = append(rows, rows[:5]...)
	case "US 2024-03":
		rows = append(rows, tiered()...)
		rows = append(rows, perpetual()...)
	}
	return styleOf(market, month).sheet(rows)
}

// overlap lets the March prices of Business Standard stand beside the new ones
// until some minutes into 3 April, as real sheets do.
func overlap(rows []row) []row {
	var out []row
	for _, r := range rows {
		if r.key == "BS" {
			key := map[string]string{"P1M Monthly": "m", "P1Y Monthly": "ym", "P1Y Annual": "ya"}[r.term+" "+r.billing]
			old := priced(r.sku, key, "DE", "EUR", "2024-03")
			old.end = "2024-04-03T06:57:30.0682597Z"
			out = append(out, old)
		}
		out = append(out, r)
	}
	return out
}

// tiered are rows that are no licence prices: to be skipped.
func tiered() []row {
	var rows []row
	for i, limits := range [][2]string{{"1", "249"}, {"250", "2400"}} {
		r := priced(bySKU("TP"), "ym", "US", "USD", "2024-03")
		r.tierMin, r.tierMax = limits[0], limits[1]
		r.unit = fmt.Sprintf("%d.00", 80-10*i)
		rows = append(rows, r)
	}
	return rows
}

// perpetual are rows of the software list: bought once, with no billing plan.
func perpetual() []row {
	r := row{
		sku:  sku{title: "Windows Server 2022 CAL - 1 Device", product: "DG7GMGF0D5SL", id: "0007", segment: "Commercial"},
		plan: plan{term: "OneTime"}, market: "US", currency: "USD", unit: "39.10", erp: "46.00",
		start: "2021-10-01T00:00:00", end: forever, tags: "Software;Perpetual",
	}
	user := r
	user.title, user.sku.id = "Windows Server 2022 CAL - 1 User", "0008"
	return []row{r, user}
}
