package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// PriceComparePlan says which two months of a market to compare.
type PriceComparePlan struct {
	Market        string
	Before, After pricing.Month
	// At is the instant at which rows must be valid, of both sheets. nil: the
	// first of each month.
	At *pricing.Instant
}

// PriceCompareResult says what became of prices from one sheet to another.
type PriceCompareResult struct {
	Before SheetFacts `json:"before"`
	After  SheetFacts `json:"after"`
	// Changes are sorted by the bytes of their keys: product, SKU, term, plan,
	// segment, currency. Keys whose price stayed are only counted.
	Changes []PriceChange `json:"changes"`
	New     int           `json:"new"`
	Gone    int           `json:"gone"`
	Changed int           `json:"changed"`
	Same    int           `json:"same"`
	// Ambiguous counts keys with two prices that start at the same instant.
	Ambiguous int `json:"ambiguous"`
}

// PriceChange is what became of the price of one key. Prices are for the whole term.
type PriceChange struct {
	PriceKey
	Currency string `json:"currency"`
	Title    string `json:"skuTitle"`
	What     string `json:"what"` // new, gone, up, down or ambiguous
	Before   string `json:"before,omitempty"`
	After    string `json:"after,omitempty"`
	Change   string `json:"change,omitempty"`
	Percent  string `json:"percent,omitempty"` // of before, to two decimals
	Note     string `json:"note,omitempty"`
}

// What became of a price.
const (
	PriceNew       = "new"
	PriceGone      = "gone"
	PriceUp        = "up"
	PriceDown      = "down"
	PriceAmbiguous = "ambiguous"
)

// ComparePrices compares what governs each key in two months.
func (e Env) ComparePrices(ctx context.Context, plan PriceComparePlan) (PriceCompareResult, error) {
	catalog, err := e.catalog(ctx)
	if err != nil {
		return PriceCompareResult{}, err
	}
	return ComparePricesIn(catalog, plan)
}

// ComparePricesIn compares what governs each key in two months of a book.
func ComparePricesIn(book PriceBook, plan PriceComparePlan) (PriceCompareResult, error) {
	var result PriceCompareResult
	var sides [2]map[comparedKey]comparedPrice
	for i, month := range []pricing.Month{plan.Before, plan.After} {
		sheet, err := governing(book, plan.Market, month)
		if err != nil {
			return result, fmt.Errorf("compare prices: %w", err)
		}
		at := month.First().Instant()
		if plan.At != nil {
			at = *plan.At
		}
		if sides[i], err = governingPrices(sheet, at); err != nil {
			return result, fmt.Errorf("compare prices of %s: %w", sheet.Month, err)
		}
		facts := SheetFactsOf(sheet, month)
		if i == 0 {
			result.Before = facts
		} else {
			result.After = facts
		}
	}
	result.compare(sides[0], sides[1])
	return result, nil
}

type comparedKey struct {
	PriceKey
	currency string
}

func (k comparedKey) text() string {
	return strings.Join([]string{k.ProductID, k.SkuID, k.Term, k.Plan, k.Segment, k.currency}, "\x00")
}

// comparedPrice is what governs a key, or why nothing does.
type comparedPrice struct {
	row       pricing.Row
	ambiguous string
}

// governingPrices returns what governs each key at the instant, if anything does.
func governingPrices(sheet *pricing.Sheet, at pricing.Instant) (map[comparedKey]comparedPrice, error) {
	byKey := make(map[comparedKey][]pricing.Row)
	for _, r := range sheet.Rows() {
		key := comparedKey{keyOfRow(r), r.Currency}
		byKey[key] = append(byKey[key], r)
	}
	prices := make(map[comparedKey]comparedPrice)
	for key, rows := range byKey {
		// A lookup prefers one currency to another; here each stands for itself.
		own := pricing.NewSheet(sheet.Market, sheet.Month, sheet.File, sheet.SHA256, rows)
		price, err := pricing.FindPrice(oneSheet{own}, pricing.PriceQuery{SKU: rows[0].SKU, Term: rows[0].Term, Plan: rows[0].Plan,
			Market: sheet.Market, Segment: rows[0].Segment, BillingCurrency: rows[0].Currency, At: at})
		var refused *pricing.PriceError
		switch {
		case errors.As(err, &refused):
			if refused.Code == pricing.PriceAmbiguous {
				prices[key] = comparedPrice{row: rows[0], ambiguous: refused.Reason}
			}
		case err != nil:
			return nil, err
		default:
			prices[key] = comparedPrice{row: price.Row}
		}
	}
	return prices, nil
}

func (r *PriceCompareResult) compare(before, after map[comparedKey]comparedPrice) {
	r.Changes = []PriceChange{}
	for key, was := range before {
		is, stays := after[key]
		switch {
		case was.ambiguous != "" || is.ambiguous != "":
			r.Ambiguous++
			r.add(key, was.row, PriceAmbiguous, PriceChange{Note: strings.TrimSpace(was.ambiguous + " " + is.ambiguous)})
		case !stays:
			r.Gone++
			r.add(key, was.row, PriceGone, PriceChange{Before: was.row.UnitPrice.String()})
		case was.row.UnitPrice.Equal(is.row.UnitPrice):
			r.Same++
		default:
			r.Changed++
			r.change(key, was.row, is.row)
		}
	}
	for key, is := range after {
		if _, known := before[key]; known {
			continue
		}
		if is.ambiguous != "" {
			r.Ambiguous++
			r.add(key, is.row, PriceAmbiguous, PriceChange{Note: is.ambiguous})
			continue
		}
		r.New++
		r.add(key, is.row, PriceNew, PriceChange{After: is.row.UnitPrice.String()})
	}
	slices.SortFunc(r.Changes, func(a, b PriceChange) int {
		return strings.Compare(comparedKey{a.PriceKey, a.Currency}.text(), comparedKey{b.PriceKey, b.Currency}.text())
	})
}

func (r *PriceCompareResult) change(key comparedKey, was, is pricing.Row) {
	difference := is.UnitPrice.Sub(was.UnitPrice)
	what := PriceUp
	if difference.IsNegative() {
		what = PriceDown
	}
	c := PriceChange{Before: was.UnitPrice.String(), After: is.UnitPrice.String(), Change: signed(difference)}
	if !was.UnitPrice.IsZero() {
		c.Percent = signed(difference.Shift(2).DivRound(was.UnitPrice, 2))
	}
	r.add(key, is, what, c)
}

func (r *PriceCompareResult) add(key comparedKey, row pricing.Row, what string, c PriceChange) {
	c.PriceKey, c.Currency, c.Title, c.What = key.PriceKey, key.currency, row.SkuTitle, what
	r.Changes = append(r.Changes, c)
}

// signed prints a difference with its sign.
func signed(d decimal.Decimal) string {
	if d.IsPositive() {
		return "+" + d.String()
	}
	return d.String()
}
