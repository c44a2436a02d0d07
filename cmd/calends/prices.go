package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pricing"
)

type pricesCmd struct {
	Find    pricesFindCmd    `cmd:"" help:"Look a price up as billing does, and say by which rule."`
	List    pricesListCmd    `cmd:"" help:"List the rows of a month's price sheet."`
	Compare pricesCompareCmd `cmd:"" help:"Compare the price sheets of two months."`
}

// Help tells more than one line.
func (pricesCmd) Help() string {
	return `The sheet of the month in the market governs; when it is missing, the latest earlier one. Of several rows
that are valid at an instant the one that started first governs until it ends. Prices are for one licence
and the whole term.

The exit code is 3 when a price is not found or ambiguous, 4 when there is no sheet at all.`
}

// asTerm and asPlan read what is on the command line; "" is any.
func asTerm(s string) (pricing.Term, error) {
	term, ok := pricing.ParseTerm(strings.ToUpper(s))
	if !ok && s != "" {
		return term, fmt.Errorf("%w: --term %q: want P1M, P1Y or P3Y", jobs.ErrUsage, s)
	}
	return term, nil
}

func asPlan(s string) (pricing.Plan, error) {
	plan, ok := pricing.ParsePlan(s)
	if !ok && s != "" {
		return plan, fmt.Errorf("%w: --plan %q: want Monthly, Annual, Triennial or None", jobs.ErrUsage, s)
	}
	return plan, nil
}

type pricesFindCmd struct {
	Market   string     `required:"" placeholder:"DE" help:"Market of the customer."`
	Product  string     `required:"" placeholder:"ID" help:"ProductId."`
	SKU      string     `name:"sku" placeholder:"ID" help:"SkuId. Default: every one."`
	Term     string     `placeholder:"P1Y" help:"P1M, P1Y or P3Y. Default: every one."`
	Plan     string     `placeholder:"Monthly" help:"Monthly, Annual, Triennial, or None for trials. Default: every one."`
	Segment  string     `placeholder:"NAME" help:"Segment. Default: every one."`
	Currency string     `placeholder:"EUR" help:"The partner's billing currency, which is preferred. Default: USD is."`
	At       instantArg `xor:"when" placeholder:"TIME" help:"2026-10-05T09:30:00Z, or a day alone for the last second of it. Default: now."`
	Month    monthArg   `xor:"when" placeholder:"MONTH" help:"The first instant of a month instead."`
}

// Run looks prices up.
func (c pricesFindCmd) Run(ctx context.Context, a *app) error {
	term, err := asTerm(c.Term)
	if err != nil {
		return err
	}
	plan, err := asPlan(c.Plan)
	if err != nil {
		return err
	}
	query := jobs.PriceFindPlan{Market: strings.ToUpper(c.Market), ProductID: c.Product, Term: term, Plan: plan,
		Segment: c.Segment, Currency: strings.ToUpper(c.Currency), At: a.instantAsked(c.At, c.Month)}
	if c.SKU != "" {
		query.SkuID = pricing.NormalSKU(c.SKU)
	}
	env, err := a.env()
	if err != nil {
		return err
	}
	result, err := env.FindPrices(ctx, query)
	if err != nil {
		return err
	}
	err = a.show(view{json: result, rows: foundRows(result), text: func(w io.Writer) { writeFound(w, result) }})
	if err != nil {
		return err
	}
	return openIf(!result.Found())
}

// instantAsked is the one that was given, the first of the month that was, or now.
func (a *app) instantAsked(at instantArg, month monthArg) pricing.Instant {
	switch {
	case at.given:
		return at.Instant
	case month.Month != 0:
		return month.First().Instant()
	case a.globals.Today.given:
		return lastSecond(a.globals.Today.Date)
	}
	return pricing.InstantOf(time.Now())
}

func foundRows(r jobs.PriceFindResult) *table {
	t := newTable("ProductId", "SkuId", "TermDuration", "BillingPlan", "Segment", "Currency", ">UnitPrice", "EffectiveStartDate", "EffectiveEndDate",
		"File", ">Line", "Verdict")
	for _, l := range r.Lookups {
		for _, row := range l.Rows {
			t.add(l.ProductID, l.SkuID, l.Term, l.Plan, l.Segment, row.Currency, row.UnitPrice, row.Start, row.End, r.Sheet.File, strconv.Itoa(row.Line), row.Verdict)
		}
	}
	return t
}

func writeFound(w io.Writer, r jobs.PriceFindResult) {
	writeSheet(w, "at "+r.At+" governs", r.Sheet)
	if r.NotFound != "" {
		fmt.Fprintln(w, "\nnot found:", r.NotFound)
	}
	for _, l := range r.Lookups {
		fmt.Fprintf(w, "\n%s/%s %s %s %s", l.ProductID, l.SkuID, l.Term, l.Plan, l.Segment)
		if l.Price != nil {
			fmt.Fprintf(w, ": %s %s  %s\n", l.Price.Currency, l.Price.UnitPrice, l.Price.SkuTitle)
		} else {
			fmt.Fprintf(w, ": %s\n  %s\n", l.Code, l.Reason)
		}
		t := newTable(">LINE", ">PRICE", "VALID FROM", "TO", "VERDICT")
		for _, row := range l.Rows {
			t.add(strconv.Itoa(row.Line), row.Currency+" "+row.UnitPrice, cmp.Or(row.Start, "ever"), cmp.Or(row.End, "further notice"), row.Verdict)
		}
		t.write(w, "  ")
	}
}

// writeSheet names the sheet that governs.
func writeSheet(w io.Writer, what string, s jobs.SheetFacts) {
	stale := ""
	if s.Stale {
		stale = " (stale: the month has no sheet of its own)"
	}
	fmt.Fprintf(w, "%s the sheet of %s for %s%s: %s, sha256 %s\n", what, s.Market, s.Month, stale, s.File, short(s.SHA256))
}

type pricesListCmd struct {
	Market string   `required:"" placeholder:"DE" help:"Market."`
	Month  monthArg `required:"" placeholder:"MONTH" help:"Month."`
	Search []string `sep:" " placeholder:"WORDS" help:"Only rows in which every word occurs: in titles, ids, publisher, term, plan, segment or currency."`
}

// Run lists a sheet.
func (c pricesListCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	result, err := env.ListPrices(ctx, jobs.PriceListPlan{Market: strings.ToUpper(c.Market), Month: c.Month.Month, Search: c.Search})
	if err != nil {
		return err
	}
	t := newTable("ProductId", "SkuId", "TermDuration", "BillingPlan", "Segment", "Currency", ">UnitPrice", "EffectiveStartDate", "EffectiveEndDate", "SkuTitle")
	for _, r := range result.Rows {
		t.add(r.ProductID, r.SkuID, r.Term, r.Plan, r.Segment, r.Currency, r.UnitPrice, r.Start, r.End, r.SkuTitle)
	}
	return a.show(view{json: result, rows: t, text: func(w io.Writer) {
		writeSheet(w, "in "+c.Month.String()+" governs", result.Sheet)
		fmt.Fprintln(w)
		t.write(w, "")
		fmt.Fprintf(w, "\n%s\n", plural(len(result.Rows), "row"))
	}})
}

type pricesCompareCmd struct {
	Market string     `required:"" placeholder:"DE" help:"Market."`
	Before monthArg   `arg:"" help:"The earlier month, such as 2026-09."`
	After  monthArg   `arg:"" help:"The later month."`
	At     instantArg `placeholder:"TIME" help:"Compare what is valid at this instant in both sheets. Default: the first instant of each month."`
}

// Help tells more than one line.
func (pricesCompareCmd) Help() string {
	return `Prints what is new, gone, up or down, sorted by product, SKU, term, plan, segment and currency. Of each key it
compares the row that governs; a key without a row that is valid at the instant is not there. Prices that
stayed are only counted. What changes in the middle of a month shows with --at.`
}

// Run compares two sheets.
func (c pricesCompareCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	plan := jobs.PriceComparePlan{Market: strings.ToUpper(c.Market), Before: c.Before.Month, After: c.After.Month}
	if c.At.given {
		plan.At = &c.At.Instant
	}
	result, err := env.ComparePrices(ctx, plan)
	if err != nil {
		return err
	}
	t := newTable("What", "ProductId", "SkuId", "TermDuration", "BillingPlan", "Segment", "Currency", ">Before", ">After", ">Change", ">Percent", "SkuTitle", "Note")
	for _, p := range result.Changes {
		t.add(p.What, p.ProductID, p.SkuID, p.Term, p.Plan, p.Segment, p.Currency, p.Before, p.After, p.Change, p.Percent, p.Title, p.Note)
	}
	err = a.show(view{json: result, rows: t, text: func(w io.Writer) {
		writeSheet(w, "before:", result.Before)
		writeSheet(w, "after: ", result.After)
		if len(result.Changes) > 0 {
			fmt.Fprintln(w)
			t.write(w, "")
		}
		fmt.Fprintf(w, "\n%d new, %d gone, %d changed, %d the same, %d ambiguous\n", result.New, result.Gone, result.Changed, result.Same, result.Ambiguous)
	}})
	if err != nil {
		return err
	}
	return openIf(result.Ambiguous > 0)
}
