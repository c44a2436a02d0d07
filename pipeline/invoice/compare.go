package invoice

import (
	"cmp"
	"slices"
	"strings"
)

// Cause totals the lines that differ between two versions of an invoice for
// one reason. Amounts are totals in minor units of Currency.
type Cause struct {
	Cause    string
	Currency string
	Lines    int
	Before   int64
	After    int64
}

// Compare says what became of an invoice's lines, by cause: lines that are new
// or gone, by charge type, and lines of the same event and side whose amount
// has another price, rate, quantity, days or tax.
func Compare(before, after []*Line) []Cause {
	left := make(map[string][]*Line)
	for _, l := range before {
		left[l.occasion()] = append(left[l.occasion()], l)
	}
	causes := make(map[[2]string]*Cause)
	count := func(cause, currency string, was, is int64) {
		key := [2]string{cause, currency}
		if causes[key] == nil {
			causes[key] = &Cause{Cause: cause, Currency: currency}
		}
		c := causes[key]
		c.Lines++
		c.Before += was
		c.After += is
	}
	for _, now := range after {
		same := left[now.occasion()]
		if len(same) == 0 {
			count("new lines: "+now.ChargeType, now.Currency, 0, now.Total)
			continue
		}
		was := same[0]
		left[now.occasion()] = same[1:]
		if cause := was.changedTo(now); cause != "" {
			count("changed: "+cause, now.Currency, was.Total, now.Total)
		}
	}
	for _, l := range before {
		gone := left[l.occasion()]
		if len(gone) > 0 && gone[0] == l {
			left[l.occasion()] = gone[1:]
			count("lines gone: "+l.ChargeType, l.Currency, l.Total, 0)
		}
	}
	var list []Cause
	for _, c := range causes {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b Cause) int {
		return cmp.Or(strings.Compare(a.Cause, b.Cause), strings.Compare(a.Currency, b.Currency))
	})
	return list
}

// occasion is equal for two lines of the same event, cycle and side.
func (l *Line) occasion() string {
	side := "+"
	if l.EffectiveUnitPrice.IsNegative() {
		side = "-"
	}
	return strings.Join([]string{l.Account.CustomerID, l.SubscriptionID, l.ReferenceID, l.ChargeType, side, l.CreditReasonCode, l.PriceAdjustment}, "\x00")
}

// changedTo names the first thing that explains another amount, "" when the
// lines bill the same.
func (l *Line) changedTo(now *Line) string {
	switch {
	case l.identity() == now.identity():
		return ""
	case l.Currency != now.Currency:
		return "billing currency"
	case l.PricingCurrency != now.PricingCurrency:
		return "pricing currency"
	case !l.UnitPrice.Equal(now.UnitPrice):
		return "price"
	case l.Item.PromotionID != now.Item.PromotionID:
		return "promotion"
	case !l.BillableQuantity.Equal(now.BillableQuantity):
		return "quantity"
	case l.ChargeStart != now.ChargeStart, l.ChargeEnd != now.ChargeEnd, !l.EffectiveUnitPrice.Equal(now.EffectiveUnitPrice):
		return "days"
	case !l.ExchangeRate.Equal(now.ExchangeRate):
		return "exchange rate"
	case l.Subtotal != now.Subtotal:
		return "rounding policy"
	case l.TaxTotal != now.TaxTotal:
		return "tax"
	}
	return "term"
}
