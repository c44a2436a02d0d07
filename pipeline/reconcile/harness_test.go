package reconcile_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pricing"
)

// march is the month of every case.
var march = must(pricing.ParseMonth("2024-03"))

// line reads one line of a case. Dates are of 2024; prices are of one cycle.
//
//	S1 new 03-18..04-17 10 x 12.00 = 120.00
//	S1 addQuantity 03-21..03-30 12 x 10.00/3.3333333333 = 40.00 tax=7.60
//
// The first price is the list price, the second one, after the slash, the
// effective one; an amount below zero makes the line a credit. Words after it:
// on= order date, tax=, rate=, pc= pricing currency, cur= currency, promo=,
// ref=, sku=, month=, note=, lacks=price (or dates, rate, promo, unit).
func line(text string) (l *invoice.Line, month pricing.Month, lacks reconcile.Fields) {
	w := strings.Fields(text)
	from, to, _ := strings.Cut(w[2], "..")
	list, effective, several := strings.Cut(w[5], "/")
	if !several {
		effective = list
	}
	l = &invoice.Line{
		Account:        &invoice.Account{PartnerID: "P", CustomerID: "C"},
		Item:           &invoice.Item{ProductID: "A", SkuID: "0001"},
		SubscriptionID: w[0], ChargeType: w[1], OrderDate: day(from), ChargeStart: day(from), ChargeEnd: day(to),
		Quantity: dec(w[3]), BillableQuantity: dec(w[3]), UnitPrice: dec(list), EffectiveUnitPrice: dec(effective),
		Currency: "EUR", PricingCurrency: "EUR", ExchangeRate: dec("1"), TermStart: pricing.NoDate, TermEnd: pricing.NoDate,
	}
	l.Subtotal = cents(w[7])
	if l.Subtotal < 0 {
		l.EffectiveUnitPrice = l.EffectiveUnitPrice.Neg()
	}
	month = march
	for _, word := range w[8:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "on":
			l.OrderDate = day(value)
		case "tax":
			l.TaxTotal = cents(value)
		case "rate":
			l.ExchangeRate = dec(value)
		case "pc":
			l.PricingCurrency = value
		case "cur":
			l.Currency, l.PricingCurrency = value, value
		case "promo":
			l.Item.PromotionID = value
		case "ref":
			l.ReferenceID = value
		case "sku":
			l.Item.SkuID = value
		case "note":
			l.CreditReasonCode, l.PriceAdjustment = "Correction", `["Correction of `+value+` line 1"]`
		case "month":
			month = must(pricing.ParseMonth("2024-" + value))
		case "lacks":
			switch value {
			case "price":
				lacks |= reconcile.FieldEffectiveUnitPrice
				l.EffectiveUnitPrice = decimal.Decimal{}
			case "unit":
				lacks |= reconcile.FieldUnitPrice
				l.UnitPrice = decimal.Decimal{}
			case "rate":
				lacks |= reconcile.FieldExchangeRate | reconcile.FieldPricingCurrency
				l.ExchangeRate, l.PricingCurrency = decimal.Decimal{}, ""
			case "promo":
				lacks |= reconcile.FieldPromotionID
			case "dates":
				lacks |= reconcile.FieldChargeDates | reconcile.FieldOrderDate
				l.OrderDate, l.ChargeStart, l.ChargeEnd = pricing.NoDate, pricing.NoDate, pricing.NoDate
			}
		default:
			panic("what is " + word)
		}
	}
	l.Total = l.Subtotal + l.TaxTotal
	return l, month, lacks
}

// group reads a case: our lines, then their lines after a row of dashes, then
// those of theirs that could not be read after another.
func group(text string) *reconcile.Group {
	g := &reconcile.Group{PartnerID: "P", CustomerID: "C", Month: march}
	theirs, unread := false, false
	for row := range strings.Lines(text) {
		row = strings.TrimSpace(row)
		switch {
		case row == "":
		case strings.HasPrefix(row, "---"):
			theirs, unread = true, theirs
		case unread:
			l, month, lacks := line(row)
			g.Unread = append(g.Unread, reconcile.Billed{Line: l, Month: month, Lacks: lacks, File: "ms.csv", Row: int64(len(g.Unread) + 1), Refused: `amount "x": want a number`})
		case theirs:
			l, month, lacks := line(row)
			g.Theirs = append(g.Theirs, reconcile.Billed{Line: l, Month: month, Lacks: lacks, File: "ms.csv", Row: int64(len(g.Theirs) + 1)})
		default:
			l, month, _ := line(row)
			l.InvoiceNumber = "C" + month.Compact()
			g.Ours = append(g.Ours, reconcile.Ours{Line: l, Month: month, Row: len(g.Ours) + 1})
		}
	}
	return g
}

// found prints what was found: the step, our rows and theirs, and the causes
// with what they cost, tax apart where there is any.
func found(matches []reconcile.Match) string {
	var lines []string
	for _, m := range matches {
		var ours, theirs []string
		for _, o := range m.Ours {
			ours = append(ours, strconv.Itoa(o.Row))
		}
		for _, b := range m.Theirs {
			theirs = append(theirs, strconv.FormatInt(b.Row, 10))
		}
		text := fmt.Sprintf("%s %s|%s", m.Step, strings.Join(ours, ","), strings.Join(theirs, ","))
		for _, d := range m.Differences {
			text += fmt.Sprintf(" %s %s", d.Cause, euros(d.Amount.Subtotal))
			if d.Amount.Tax != 0 {
				text += "+" + euros(d.Amount.Tax)
			}
			if d.Currency != m.Currency {
				text += d.Currency
			}
		}
		lines = append(lines, text)
	}
	return strings.Join(lines, "\n")
}

func euros(units int64) string { return pricing.FormatMinor(units, 2) }

// catalog is a world with the prices, promotions and rates of a case.
type catalog struct {
	rows       []reconcile.PriceRow
	promotions []pricing.Promotion
	rates      map[string]string // by month
}

func (c catalog) Prices(_ string, sku pricing.SKU, _ pricing.Month) ([]reconcile.PriceRow, error) {
	return slices.DeleteFunc(slices.Clone(c.rows), func(r reconcile.PriceRow) bool { return r.Row.SKU != sku }), nil
}
func (c catalog) Promotions(pricing.SKU) []pricing.Promotion { return c.promotions }
func (c catalog) Rate(_, _ string, month pricing.Month) (decimal.Decimal, bool) {
	rate, ok := c.rates[month.String()]
	if !ok {
		return decimal.Decimal{}, false
	}
	return dec(rate), true
}

// prices are monthly rows of A, one a month's sheet: 2024-02 11.50.
func (c catalog) price(month, monthly string) catalog {
	c.rows = append(c.rows, reconcile.PriceRow{Market: "DE", Month: must(pricing.ParseMonth(month)), File: month + ".csv", Row: pricing.Row{
		SKU: pricing.SKU{ProductID: "A", SkuID: "0001"}, Term: pricing.P1M, Plan: pricing.Monthly, Currency: "EUR", UnitPrice: dec(monthly), Line: 7}})
	return c
}

func (c catalog) promotion(id, discount string) catalog {
	c.promotions = append(c.promotions, pricing.Promotion{ID: id, Discount: dec(discount)})
	return c
}

func cents(s string) int64 { return dec(s).Shift(2).IntPart() }

func day(s string) pricing.Date {
	if strings.Count(s, "-") == 1 {
		s = "2024-" + s
	}
	return must(pricing.ParseDate(s))
}

func dec(s string) decimal.Decimal { return must(decimal.NewFromString(s)) }

func squeeze(text string) string {
	var out []string
	for row := range strings.Lines(text) {
		if words := strings.Fields(row); len(words) > 0 {
			out = append(out, strings.Join(words, " "))
		}
	}
	return strings.Join(out, "\n")
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
