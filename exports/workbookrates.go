package exports

import (
	"cmp"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// rates adds up the lines by the exchange rate on them.
type rates struct {
	byKey map[rateKey]*rateSum
}

type rateKey struct {
	pricing string
	date    pricing.Date
	rate    string
}

type rateSum struct {
	rateKey
	rate decimal.Decimal
	invoice.Totals
}

func (r *rates) add(l *invoice.Line) {
	if l.PricingCurrency == l.Currency || l.ExchangeRate.IsZero() {
		return
	}
	key := rateKey{l.PricingCurrency, l.RateDate, l.ExchangeRate.String()}
	s := r.byKey[key]
	if s == nil {
		if r.byKey == nil {
			r.byKey = make(map[rateKey]*rateSum)
		}
		s = &rateSum{rateKey: key, rate: l.ExchangeRate}
		r.byKey[key] = s
	}
	s.Add(l)
}

func (r *rates) sorted() []*rateSum {
	all := make([]*rateSum, 0, len(r.byKey))
	for _, s := range r.byKey {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *rateSum) int {
		return cmp.Or(strings.Compare(a.pricing, b.pricing), cmp.Compare(a.date, b.date), strings.Compare(a.rateKey.rate, b.rateKey.rate))
	})
	return all
}

// writeRates lists the exchange rates on the lines.
func (b *Workbook) writeRates() error {
	inv := b.Info.Invoice
	sheet := b.sheet(dataSheet{name: ratesSheet, table: "ExchangeRates", colour: tabBlue, keys: 1,
		empty: "Every line is priced in " + inv.Currency,
		columns: []sheetColumn{
			{"Pair", 12, kindText, "Pricing and billing currency."},
			{"From", 9, kindText, "One unit of this, the pricing currency …"},
			{"Rate", 16, kindRate, "… is this much …"},
			{"To", 9, kindText, "… of this, the billing currency. USDPerUnit of From divided by that of To, at most 9 digits; used as printed."},
			{"Rate date", 13, kindDate, "PCToBCExchangeRateDate: the first of the month whose rates hold."},
			{"Used for", 34, kindText, "The order dates that take it."},
			{"Source", 44, kindText, "Where it comes from."},
			{"Lines", 9, kindWhole, "Number of invoice lines."},
			sheetColumn{netColumnName, 15, kindAmount, "Subtotal of those lines."}.in(inv.Currency),
		}})
	for _, s := range b.rates.sorted() {
		row, err := sheet.next(0)
		if err != nil {
			return err
		}
		row.text(s.pricing + "/" + inv.Currency)
		row.text(s.pricing)
		row.decimal(s.rate)
		row.text(inv.Currency)
		row.date(s.date)
		if s.date == pricing.NoDate {
			row.skip()
		} else {
			row.text("order dates in " + s.date.Month().String())
		}
		row.text("Microsoft's monthly rates (fxrates), see Sources")
		row.whole(int64(s.Lines))
		row.amount(s.Subtotal, inv.MinorDigits)
		if err := row.end(); err != nil {
			return err
		}
	}
	return sheet.addTo(b.file, b.archive, nil)
}

// lateLines adds up what belongs to earlier months.
type lateLines struct{ invoice.Totals }

func (t *lateLines) add(l *invoice.Line, month pricing.Month) {
	if l.OrderDate.Month() < month {
		t.Add(l)
	}
}
