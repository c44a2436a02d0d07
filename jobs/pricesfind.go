package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/calends/calends/pricing"
)

// PriceFindPlan says which price to look up. What is left out may be anything:
// each combination on the sheet is looked up.
type PriceFindPlan struct {
	Market    string
	ProductID string
	SkuID     string
	Term      pricing.Term
	Plan      pricing.Plan
	Segment   string
	// Currency is the partner's billing currency, which is preferred.
	Currency string
	At       pricing.Instant
}

// PriceFindResult says what governs at an instant and by which rule.
type PriceFindResult struct {
	Market string     `json:"market"`
	At     string     `json:"at"`
	Sheet  SheetFacts `json:"sheet"`
	// Lookups are in the order of product, SKU, term, plan and segment.
	Lookups []PriceLookup `json:"lookups"`
	// NotFound says why there are no lookups at all.
	NotFound string `json:"notFound,omitempty"`
}

// Found reports whether every lookup has its price.
func (r PriceFindResult) Found() bool {
	for _, l := range r.Lookups {
		if l.Price == nil {
			return false
		}
	}
	return len(r.Lookups) > 0
}

// PriceLookup is one question for a price.
type PriceLookup struct {
	PriceKey
	Price *PriceRow `json:"price,omitempty"`
	// Code and Reason say why there is none.
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Rows are all of the key, each with what became of it.
	Rows []ConsideredRow `json:"rows"`
}

// ConsideredRow is a row that a lookup met.
type ConsideredRow struct {
	PriceRow
	Verdict string `json:"verdict"`
}

// FindPrices looks prices up as billing does and explains the answers.
func (e Env) FindPrices(ctx context.Context, plan PriceFindPlan) (PriceFindResult, error) {
	catalog, err := e.catalog(ctx)
	if err != nil {
		return PriceFindResult{}, err
	}
	month := plan.At.Date().Month()
	sheet, err := governing(catalog, plan.Market, month)
	if err != nil {
		return PriceFindResult{}, fmt.Errorf("find price: %w", err)
	}
	result := PriceFindResult{Market: plan.Market, At: plan.At.String(), Sheet: SheetFactsOf(sheet, month), Lookups: []PriceLookup{}}
	for _, rows := range plan.byKey(sheet) {
		lookup, err := lookUp(sheet, plan, rows)
		if err != nil {
			return PriceFindResult{}, err
		}
		result.Lookups = append(result.Lookups, lookup)
	}
	if len(result.Lookups) == 0 {
		result.NotFound = plan.notFound(sheet)
	}
	return result, nil
}

// byKey returns the sheet's rows that the plan asks for, a group a key.
func (p PriceFindPlan) byKey(sheet *pricing.Sheet) (groups [][]pricing.Row) {
	var last PriceKey
	for _, r := range sheet.Rows() {
		if !p.asksFor(r) {
			continue
		}
		if key := keyOfRow(r); len(groups) == 0 || key != last {
			groups, last = append(groups, nil), key
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], r)
	}
	return groups
}

func (p PriceFindPlan) asksFor(r pricing.Row) bool {
	return r.ProductID == p.ProductID &&
		(p.SkuID == "" || r.SkuID == p.SkuID) &&
		(p.Term == pricing.NoTerm || r.Term == p.Term) &&
		(p.Plan == pricing.NoPlan || r.Plan == p.Plan) &&
		(p.Segment == "" || r.Segment == p.Segment)
}

// notFound names the first part of the question that the sheet has no row for.
func (p PriceFindPlan) notFound(sheet *pricing.Sheet) string {
	narrowed := PriceFindPlan{ProductID: p.ProductID}
	what := "product " + p.ProductID
	for _, part := range []struct {
		given bool
		name  string
		add   func()
	}{
		{true, "", func() {}},
		{p.SkuID != "", "SKU " + p.SkuID, func() { narrowed.SkuID = p.SkuID }},
		{p.Term != pricing.NoTerm, "term " + p.Term.String(), func() { narrowed.Term = p.Term }},
		{p.Plan != pricing.NoPlan, "plan " + p.Plan.String(), func() { narrowed.Plan = p.Plan }},
		{p.Segment != "", "segment " + p.Segment, func() { narrowed.Segment = p.Segment }},
	} {
		if !part.given {
			continue
		}
		part.add()
		if part.name != "" {
			what += ", " + part.name
		}
		if len(narrowed.byKey(sheet)) == 0 {
			return "the sheet has no row of " + what
		}
	}
	return ""
}

// lookUp asks for one key, whose rows these are.
func lookUp(sheet *pricing.Sheet, plan PriceFindPlan, rows []pricing.Row) (PriceLookup, error) {
	lookup := PriceLookup{PriceKey: keyOfRow(rows[0])}
	query := pricing.PriceQuery{SKU: rows[0].SKU, Term: rows[0].Term, Plan: rows[0].Plan, Market: plan.Market,
		Segment: rows[0].Segment, BillingCurrency: plan.Currency, At: plan.At}
	price, err := pricing.FindPrice(oneSheet{sheet}, query)
	var refused *pricing.PriceError
	switch {
	case errors.As(err, &refused):
		lookup.Code, lookup.Reason = string(refused.Code), refused.Reason
	case err != nil:
		return lookup, err
	default:
		row := PriceRowOf(price.Row)
		lookup.Price = &row
	}
	for _, r := range rows {
		lookup.Rows = append(lookup.Rows, ConsideredRow{PriceRowOf(r), verdict(r, plan.At, price.Row, refused)})
	}
	return lookup, nil
}

// verdict says what became of a row that a lookup met.
func verdict(r pricing.Row, at pricing.Instant, governs pricing.Row, refused *pricing.PriceError) string {
	switch {
	case at < r.Start:
		return "not valid yet"
	case r.End < at:
		return "not valid any more"
	case r.Tiered:
		return "has a PricingTierRange: no licence price"
	case refused != nil:
		return "valid, but none of the valid ones goes first"
	case r == governs:
		return "governs"
	case r.Currency != governs.Currency:
		return governs.Currency + " goes before " + r.Currency
	case r.Start == governs.Start:
		return "says the same as line " + fmt.Sprint(governs.Line)
	default:
		return fmt.Sprintf("started later than line %d, which governs until it ends", governs.Line)
	}
}
