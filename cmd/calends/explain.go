package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/jobs"
)

type explainCmd struct {
	Line         string   `arg:"" optional:"" help:"An invoice or draft and a row of its CSV: C202610-000001:12 or 2026-10/<PartnerId>:12."`
	Subscription string   `placeholder:"ID" help:"Explain all lines of a subscription instead."`
	Month        monthArg `placeholder:"MONTH" help:"Month of the subscription's lines. Default: the newest that was billed."`
}

// Help tells more than one line.
func (explainCmd) Help() string {
	return `Reads the line from the month's current revision, computes its customer again from what that revision
knew, and prints what asked for the line, where its price comes from, which days it charges, by which
policy, and the arithmetic with its numbers put in. Row 1 is the first below the header. Of a correction
it says which line it takes back and which late arrivals made the difference.

    calends explain C202610-000001:12
    calends explain 2026-10/80f6fb73-3725-4404-a0ee-98ef768080f3:12
    calends explain --subscription ac85bab0-1652-40cc-94ec-81da3ac37385 --month 2026-10

The exit code is 3 when a line does not come out as it stands, 4 when there is no such line.`
}

// Run explains one line, or those of a subscription.
func (c explainCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	result, err := env.Explain(ctx, jobs.ExplainPlan{Line: c.Line, Subscription: c.Subscription, Month: c.Month.Month})
	if err != nil {
		return err
	}
	err = a.show(view{json: result, rows: explainRows(result), text: func(w io.Writer) {
		for i, e := range result.Lines {
			if i > 0 {
				fmt.Fprintln(w)
			}
			writeExplanation(w, e)
		}
	}})
	if err != nil {
		return err
	}
	return openIf(!result.Reproduced())
}

// explainRows are the steps of the arithmetic.
func explainRows(r jobs.ExplainResult) *table {
	t := newTable("Line", "SubscriptionId", "ChargeType", "Origin", "Step", "Formula", ">Value", ">CutOff")
	for _, e := range r.Lines {
		add := func(step, formula, value, cut string) {
			t.add(e.Line.Ref, e.Line.SubscriptionID, e.Line.ChargeType, e.Origin, step, formula, value, cut)
		}
		for _, s := range e.Steps {
			add(s.Name, s.Formula, s.Value, s.Cut)
		}
		if len(e.Steps) == 0 {
			add("total", "", e.Line.Total, "")
		}
	}
	return t
}

// sheet prints what is known of something: a label, and text beside it.
type sheet struct{ w io.Writer }

const labelWidth = 14

func (s sheet) put(label, format string, args ...any) {
	fmt.Fprintf(s.w, "  %-*s%s\n", labelWidth, label, fmt.Sprintf(format, args...))
}

// money says EUR 100.80 + 21.16 tax = 121.96.
func money(currency, subtotal, tax, total string) string {
	sign := "+"
	if credit, negative := strings.CutPrefix(tax, "-"); negative {
		sign, tax = "-", credit
	}
	return fmt.Sprintf("%s %s %s %s tax = %s", currency, subtotal, sign, tax, total)
}

func writeExplanation(w io.Writer, e jobs.Explanation) {
	l := e.Line
	fmt.Fprintf(w, "%s  %s  %s\n", l.Ref, l.ChargeType, money(l.Currency, l.Subtotal, l.TaxTotal, l.Total))
	s := sheet{w}
	s.put("month", "%s, revision %d, %s", l.Month, l.Revision, l.State)
	writeLineFacts(s, l)
	if e.Event != nil {
		writeEvent(s, "event", *e.Event)
	}
	switch e.Origin {
	case jobs.OriginCycle:
		s.put("event", "cycle charge: the cycle of %s begins", l.OrderDate)
	case jobs.OriginRenewal:
		s.put("event", "renewal: the term before ended, a new one begins on %s", l.OrderDate)
	case jobs.OriginElsewhere:
		s.put("event", "rated elsewhere: passed through as it came, amounts and tax included")
		if e.Elsewhere != nil {
			s.put("", "%s row %d (input %d, sha256 %s)", e.Elsewhere.Name, e.Elsewhere.Record, e.Elsewhere.Number, short(e.Elsewhere.SHA256))
		}
	}
	if e.Correction != nil {
		writeCorrection(s, *e.Correction)
	}
	if e.Late != nil {
		s.put("late", "%s was closed already: the line stands in the first open month, with its own dates", e.Late.Month)
		if itself := len(e.Late.Changes) == 1 && e.Event != nil && e.Late.Changes[0].ID == e.Event.ID; !itself {
			writeLateArrivals(s, *e.Late)
		}
	}
	if e.Term != nil {
		writeTerm(s, e)
	}
	if e.Price != nil {
		writePrice(s, *e.Price)
	}
	if e.Policies != nil {
		s.put("policy", "rounding %s, month end %s, windows %s", e.Policies.Rounding, e.Policies.MonthEnd, e.Policies.Windows)
		s.put("", "%s", e.Policies.Why)
	}
	for i, step := range e.Steps {
		label := ""
		if i == 0 {
			label = "arithmetic"
		}
		s.put(label, "%-26s%s", step.Name, step.Text)
	}
	for _, n := range e.Notes {
		s.put("note", "%s", n)
	}
}

func writeLineFacts(s sheet, l jobs.LineFacts) {
	s.put("customer", "%s (%s)", l.CustomerName, l.CustomerID)
	if l.SubscriptionID != "" {
		s.put("subscription", "%s", l.SubscriptionID)
	}
	if l.ProductID != "" {
		s.put("product", "%s", strings.TrimSpace(l.SkuName+" ("+l.ProductID+"/"+l.SkuID+")"))
	}
	s.put("charge", "quantity %s from %s to %s, effective unit price %s %s", l.Quantity, l.ChargeStart, l.ChargeEnd, l.PricingCurrency, l.EffectiveUnitPrice)
}

func writeEvent(s sheet, label string, e jobs.EventFacts) {
	what := e.Type
	if e.Quantity != nil {
		what += fmt.Sprintf(", quantity %d,", *e.Quantity)
	}
	s.put(label, "%s at %s, id %s", what, e.Time, e.ID)
	s.put("", "%s record %d (input %d, sha256 %s)", e.Input.Name, e.Input.Record, e.Input.Number, short(e.Input.SHA256))
	if e.Override != "" {
		s.put("", "with an override: %s", e.Override)
	}
}

func writeCorrection(s sheet, c jobs.CorrectionFacts) {
	s.put("corrects", "%s line %d: %s of %s, quantity %s, %s", c.Invoice, c.Row, c.Line.ChargeType, c.Line.OrderDate, c.Line.Quantity,
		money(c.Line.Currency, c.Line.Subtotal, c.Line.TaxTotal, c.Line.Total))
	s.put("", "mirrored with every amount negated, because the history no longer wants it")
	s.put("", "how it came about: calends explain %s:%d", c.Invoice, c.Row)
	writeLateArrivals(s, c.LateFacts)
}

func writeLateArrivals(s sheet, l jobs.LateFacts) {
	for _, c := range l.Changes {
		writeEvent(s, "brought by", c)
	}
	if len(l.Changes) > 0 {
		return
	}
	s.put("brought by", "no change of this subscription came in after the close of %s; other inputs since then:", l.Closed)
	for _, in := range l.Inputs {
		s.put("", "%s (input %d, sha256 %s)", in.Name, in.Number, short(in.SHA256))
	}
}

func writeTerm(s sheet, e jobs.Explanation) {
	custom := ""
	if e.Term.Custom {
		custom = ", shortened to a custom end"
	}
	s.put("term", "%s to %s%s, %s", e.Term.Start, e.Term.End, custom, e.Term.Commitment)
	c := e.Cycle
	stub := ""
	if c.Stub {
		stub = ", a part of a cycle"
	}
	s.put("cycle", "%s to %s%s, a full one has %d days", c.First, c.Last, stub, c.Days)
	s.put("", "charged from %s, that day included: %s", c.ChargeStart, plural(c.BillingDays, "day"))
}

func writePrice(s sheet, p jobs.PriceFacts) {
	whole := fmt.Sprintf("%s %s a licence for the whole term", p.Currency, p.UnitPrice)
	switch p.Source {
	case jobs.PriceFromCredit:
		s.put("price", "the amount of the credit, %s %s", p.Currency, p.UnitPrice)
	case jobs.PriceOfTrial:
		s.put("price", "a trial costs nothing")
	case jobs.PriceOwn:
		s.put("price", "%s, brought by the purchase itself", whole)
		if p.Purchase != nil {
			s.put("", "%s record %d (input %d, sha256 %s)", p.Purchase.Input.Name, p.Purchase.Input.Record, p.Purchase.Input.Number, short(p.Purchase.Input.SHA256))
		}
	default:
		s.put("price", "%s, locked until it ends", whole)
		writeSheetRow(s, p)
	}
	if p.Promotion != "" {
		s.put("promotion", "%s: %s off", p.Promotion, percent(p.Discount))
	}
	if r := p.Rate; r != nil {
		s.put("rate", "1 %s = %s %s in %s", r.From, r.Rate, r.To, r.Month)
	}
}

func writeSheetRow(s sheet, p jobs.PriceFacts) {
	stale := ""
	if p.Sheet.Stale {
		stale = ", stale: the month had no sheet of its own"
	}
	line := ""
	if p.Row != nil {
		line = fmt.Sprintf(" line %d", p.Row.Line)
	}
	s.put("", "sheet of %s for %s%s: %s%s (sha256 %s)", p.Sheet.Market, p.Sheet.Month, stale, p.Sheet.File, line, short(p.Sheet.SHA256))
	if p.Row != nil {
		s.put("", "%s %s %s %s, %s", p.Row.SkuTitle, p.Row.Term, p.Row.Plan, p.Row.Segment, validity(*p.Row))
	}
}

// validity says from when to when a row holds.
func validity(r jobs.PriceRow) string {
	return "valid from " + cmp.Or(r.Start, "ever") + " to " + cmp.Or(r.End, "further notice")
}

// short is enough of a hash to recognise it.
func short(sha256 string) string { return sha256[:min(12, len(sha256))] }

// percent prints a fraction as a percentage.
func percent(fraction string) string {
	d, err := decimal.NewFromString(fraction)
	if err != nil {
		return fraction
	}
	return d.Shift(2).String() + " %"
}
