package pricing

import "fmt"

// FindPrice returns the row that governs the query: of the sheet of the
// instant's month (or the latest earlier one), in the currency that the rules
// prefer, valid at the instant, the one that started first. A *[PriceError]
// says why there is none; any other error comes from the book.
func FindPrice(book Book, q PriceQuery) (Price, error) {
	month := q.At.Date().Month()
	sheet, err := book.Sheet(q.Market, month)
	if err != nil {
		return Price{}, err
	}
	if sheet == nil {
		return Price{}, &PriceError{Code: PriceNotFound,
			Reason: fmt.Sprintf("market %s has no price sheet for %s or earlier", q.Market, month)}
	}
	return FindPriceIn(sheet, sheet.rows[rowKey{q.SKU, q.Term, q.Plan, q.Segment}], q)
}

// FindPriceIn is [FindPrice] where it is known which sheet governs, and which of its rows
// have the query's SKU, term, plan and segment: these, in the order of the file.
func FindPriceIn(sheet *Sheet, rows []Row, q PriceQuery) (Price, error) {
	month := q.At.Date().Month()
	stale := sheet.Month != month
	refuse := func(code Code, format string, args ...any) (Price, error) {
		what := fmt.Sprintf("%s/%s %s %s %s %s", q.ProductID, q.SkuID, q.Term, q.Plan, q.Market, q.Segment)
		where := fmt.Sprintf(" (sheet %s %s, %s)", sheet.Market, sheet.Month, sheet.File)
		return Price{}, &PriceError{Code: code, Stale: stale, Governs: sheet.Month, Reason: what + " " + fmt.Sprintf(format, args...) + where}
	}

	var few [8]*Row
	valid, tiered := few[:0], 0
	from, until := month.First().Instant(), (month.Last()+1).Instant()-1
	for i := range rows {
		// The last instants before something else holds.
		for _, last := range [...]Instant{rows[i].Start - 1, rows[i].End} {
			if q.At <= last {
				until = min(until, last)
			} else {
				from = max(from, last+1)
			}
		}
		switch r := &rows[i]; {
		case q.At < r.Start || r.End < q.At:
		case r.Tiered:
			tiered++
		default:
			valid = append(valid, r)
		}
	}
	switch {
	case len(valid) == 0 && tiered > 0:
		return refuse(PriceNotFound, "has only %d rows with a PricingTierRange at %s, which are no licence prices", tiered, q.At)
	case len(valid) == 0 && len(rows) > 0:
		return refuse(PriceNotFound, "has %d rows, none valid at %s", len(rows), q.At)
	case len(valid) == 0:
		return refuse(PriceNotFound, "has no row")
	}

	currency, anyhow, ok := preferredCurrency(valid, q.BillingCurrency)
	if !ok {
		if q.BillingCurrency == "" {
			return refuse(PriceAmbiguous, "is offered in several currencies, not in USD")
		}
		return refuse(PriceAmbiguous, "is offered in several currencies, neither %s nor USD", q.BillingCurrency)
	}
	first := -1
	for i, r := range valid {
		if r.Currency == currency && (first < 0 || r.Start < valid[first].Start) {
			first = i
		}
	}
	for _, r := range valid {
		if r.Currency == currency && r.Start == valid[first].Start && !r.UnitPrice.Equal(valid[first].UnitPrice) {
			return refuse(PriceAmbiguous, "has two prices that start at %s: %s (line %d) and %s (line %d)",
				r.Start, valid[first].UnitPrice, valid[first].Line, r.UnitPrice, r.Line)
		}
	}
	return Price{Row: *valid[first], Sheet: sheet, Stale: stale, Anyhow: anyhow, From: from, Until: until}, nil
}

// preferredCurrency picks the billing currency, else USD, else the only one.
// anyhow is set when there is no other on offer.
func preferredCurrency(rows []*Row, billing string) (currency string, anyhow, ok bool) {
	only, several, usd, own := rows[0].Currency, false, false, false
	for _, r := range rows {
		own = own || r.Currency == billing
		usd = usd || r.Currency == "USD"
		several = several || r.Currency != only
	}
	switch {
	case !several:
		return only, true, true
	case own:
		return billing, false, true
	case usd:
		return "USD", false, true
	}
	return "", false, false
}
