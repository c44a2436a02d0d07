package pricesheet

import (
	"fmt"
	"io"

	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

const (
	ruleRate     = "want a rate greater than 0, such as 0.2722"
	ruleFXMonth  = "want a month such as 202610 or 10/1/2026"
	ruleOtherFX  = "is another rate for %s in %s than line %d has"
	ruleOtherRow = "gives another offer for %s/%s than line %d"
)

// FX is what an exchange rate file holds.
type FX struct {
	Rates   []pricing.FXRate // in file order, each currency and month once
	Unknown []string         // columns without a meaning here
}

// ReadFX reads Microsoft's fxrates file.
func ReadFX(src io.Reader) (*FX, error) {
	t, err := table.New("exchange rates", src)
	if err != nil {
		return nil, err
	}
	currency, rate, month := t.Required("CurrencyCode"), t.Required("USDPerUnit"), t.Required("Month")
	type key struct {
		currency string
		month    pricing.Month
	}
	fx := &FX{}
	seen := make(map[key]int)
	lines := []int64{}
	err = t.Each(func() *table.Error {
		var r pricing.FXRate
		var ok bool
		if r.Currency, ok = table.Currency(t.Cell(currency)); !ok {
			return t.Refuse(currency, ruleCurrency)
		}
		if r.USDPerUnit, ok = table.Decimal(t.Cell(rate)); !ok || !r.USDPerUnit.IsPositive() {
			return t.Refuse(rate, ruleRate)
		}
		if r.Month, ok = fxMonth(t.Cell(month)); !ok {
			return t.Refuse(month, ruleFXMonth)
		}
		if i, dup := seen[key{r.Currency, r.Month}]; dup {
			if !fx.Rates[i].USDPerUnit.Equal(r.USDPerUnit) {
				return t.Refuse(rate, fmt.Sprintf(ruleOtherFX, r.Currency, r.Month, lines[i]))
			}
			return nil
		}
		seen[key{r.Currency, r.Month}] = len(fx.Rates)
		fx.Rates = append(fx.Rates, r)
		lines = append(lines, t.Line())
		return nil
	})
	if err != nil {
		return nil, err
	}
	fx.Unknown = t.Unknown()
	return fx, nil
}

// fxMonth reads 202610, 2026-10 and the first of a month in any spelling of a date.
func fxMonth(s []byte) (pricing.Month, bool) {
	digits := s
	if len(s) == 7 && s[4] == '-' {
		digits = append(append([]byte{}, s[:4]...), s[5:]...)
	}
	if n, ok := table.Whole(digits); ok && len(digits) == 6 && n > 0 {
		s = fmt.Appendf(nil, "%04d-%02d-01", n/100, n%100)
	}
	stamp, ok := table.Time(s)
	return stamp.At.Date().Month(), ok
}
