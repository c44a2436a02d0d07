package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/calends/calends/pricing"
)

// explainNth explains a line of a subscription's month, 0 being the first.
func explainNth(t *testing.T, subscription, month string, n int) Explanation {
	t.Helper()
	result, err := story(t).Explain(context.Background(), ExplainPlan{Subscription: subscription, Month: testMonth(t, month)})
	if err != nil {
		t.Fatal(err)
	}
	if n >= len(result.Lines) {
		t.Fatalf("subscription %s has %d lines in %s, want more than %d", subscription, len(result.Lines), month, n)
	}
	return result.Lines[n]
}

func TestExplainArithmetic(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		subscription string
		month        string
		line         int
		want         []string
	}{
		{"a purchase truncates the licence", voorbeeldStandard, "2024-01", 0, []string{
			"new change sheet", "119.34 x 1/12 = 9.945", "9.945 x 31/31 = 9.945", "9.945, cut to 2 decimals = 9.94, cut off 0.005", "9.94 x 25 = 248.50",
			"248.50 x 0.21, cut to 2 decimals = 52.18, cut off 0.005", "248.50 + 52.18 = 300.68"}},
		{"a seat change truncates the line, 19 January to 14 February", voorbeeldStandard, "2024-01", 2, []string{
			"addQuantity change sheet", "119.34 x 1/12 = 9.945", "9.945 x 27/31 = 8.6617741935...", "8.6617741935... x 30 = 259.8532258064...",
			"259.8532258064..., cut to 2 decimals = 259.85, cut off 0.0032258064...",
			"259.85 x 0.21, cut to 2 decimals = 54.56, cut off 0.0085", "259.85 + 54.56 = 314.41"}},
		{"a cycle charge has no event", voorbeeldStandard, "2024-02", 0, []string{
			"cycleCharge cycle sheet", "119.34 x 1/12 = 9.945", "9.945 x 29/29 = 9.945", "9.945, cut to 2 decimals = 9.94, cut off 0.005", "9.94 x 28 = 278.32",
			"278.32 x 0.21, cut to 2 decimals = 58.44, cut off 0.0072", "278.32 + 58.44 = 336.76"}},
		{"a price in USD, billed with three decimals", mithalOffice, "2024-01", 0, []string{
			"new change sheet", "234.6 x 1/12 = 19.55", "19.55 x 31/31 = 19.55", "19.55 x 0.307408546 = 6.0098370743", "6.0098370743, cut to 3 decimals = 6.009, cut off 0.0008370743",
			"6.009 x 18 = 108.162", "108.162 x 0 = 0.000", "108.162 + 0.000 = 108.162"}},
		{"the second year of three at the purchase's own price", placeholderSales, "2024-02", 0, []string{
			"cycleCharge cycle own", "2736 x 12/36 = 912", "912 x 366/366 = 912", "912, cut to 2 decimals = 912.00", "912.00 x 12 = 10944.00",
			"10944.00 x 0 = 0.00", "10944.00 + 0.00 = 10944.00"}},
		{"a trial costs nothing", beispielTrialBI, "2024-02", 0, []string{
			"new change trial", "0 = 0", "0 x 29/29 = 0", "0, cut to 2 decimals = 0.00", "0.00 x 5 = 0.00", "0.00 x 0.21, cut to 2 decimals = 0.00", "0.00 + 0.00 = 0.00"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := explainNth(t, test.subscription, test.month, test.line)
			if !e.Reproduced {
				t.Fatalf("not reproduced: %v", e.Notes)
			}
			got := []string{e.Line.ChargeType + " " + e.Origin + " " + e.Price.Source}
			for _, s := range e.Steps {
				got = append(got, s.Text)
			}
			sameLines(t, "explanation of "+e.Line.Ref, got, test.want...)
		})
	}
}

func TestExplainFacts(t *testing.T) {
	t.Parallel()
	event := func(e *EventFacts) string {
		return fmt.Sprintf("%s %s %s:%d", e.Type, e.Time, e.Input.Name, e.Input.Record)
	}
	tests := []struct {
		name         string
		subscription string
		month        string
		line         int
		facts        func(Explanation) string
		want         string
	}{
		{"the change and the record that brought it", voorbeeldStandard, "2024-01", 0,
			func(e Explanation) string { return event(e.Event) }, "subscription.purchased 2024-01-15T09:12:00Z 2024-01.jsonl:12"},
		{"the sheet row", voorbeeldStandard, "2024-01", 0,
			func(e Explanation) string {
				return fmt.Sprint(e.Price.Sheet.Market, " ", e.Price.Sheet.Month, " ", e.Price.Sheet.File, ":", e.Price.Row.Line, " ", e.Price.Row.UnitPrice, " ", e.Price.Row.SkuTitle)
			}, "NL 2024-01 NL.csv:6 119.34 Microsoft 365 Business Standard"},
		{"the purchase that brought its own price", placeholderSales, "2024-02", 0,
			func(e Explanation) string { return event(e.Price.Purchase) }, "subscription.purchased 2023-02-14T10:00:00Z takeover.csv:2"},
		{"a custom end makes the first cycle a stub", voorbeeldOffice, "2024-02", 0,
			func(e Explanation) string { return fmt.Sprint(*e.Cycle, e.Term.Custom) }, "{2024-02-15 2024-02-29 29 1 true 2024-02-15 15} true"},
		{"a renewal into what was scheduled", beispielE3, "2024-03", 0,
			func(e Explanation) string {
				return e.Origin + " " + e.Line.Quantity + " " + e.Line.SkuName + " " + e.Term.Start
			}, "renewal 12 Office 365 E5 2024-03-10"},
		{"a promotion of five percent", voorbeeldPowerBI, "2024-02", 0,
			func(e Explanation) string {
				return e.Price.Discount + " " + e.Steps[1].Formula[strings.Index(e.Steps[1].Formula, "x"):]
			}, "0.05 x (1 - 0.05) x 365/365"},
		{"the policy truncates the line of a seat change", voorbeeldStandard, "2024-01", 2,
			func(e Explanation) string { return fmt.Sprint(e.Policies.Rounding, e.Policies.PerUnit) }, "documentedfalse"},
		{"a late line and the change that brought it", dairyPremium, "2024-04", 0,
			func(e Explanation) string { return e.Late.Month + " " + event(&e.Late.Changes[0]) }, "2024-02 subscription.quantityChanged 2024-02-13T10:00:00Z changes.jsonl:1"},
		{"a correction names the line that it takes back", dairyPremium, "2024-04", 2,
			func(e Explanation) string {
				return e.Origin + " " + e.Correction.Line.Ref + " " + e.Correction.Line.Subtotal + " by " + event(&e.Correction.Changes[0])
			},
			"correction C202403-000002:1 1122.00 by subscription.quantityChanged 2024-02-13T10:00:00Z changes.jsonl:1"},
		{"without a late change, the late inputs", exemplarGuides, "2024-04", 0,
			func(e Explanation) string { return e.Late.Month + " " + e.Late.Inputs[0].Name }, "2024-03 US.csv"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := explainNth(t, test.subscription, test.month, test.line)
			if got := test.facts(e); got != test.want {
				t.Errorf("%s: got %q, want %q", e.Line.Ref, got, test.want)
			}
		})
	}
}

// Every line of the demo comes out as it stands, and its steps end with its total.
func TestExplainAllLines(t *testing.T) {
	if testing.Short() {
		t.Skip("every line of the demo")
	}
	t.Parallel()
	env, ctx := story(t), context.Background()
	at, err := env.snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	x := env.explainer(at)
	var elsewhere []string
	check := func(stored storedLine) {
		e, err := x.explain(ctx, stored)
		if err != nil {
			t.Fatal(err)
		}
		if !e.Reproduced {
			t.Errorf("%s is not reproduced", e.Line.Ref)
		}
		switch {
		case e.Origin == OriginElsewhere:
			elsewhere = append(elsewhere, fmt.Sprintf("%s:%d", e.Elsewhere.Name, e.Elsewhere.Record))
		case e.Origin == OriginCorrection:
		case e.Steps[len(e.Steps)-1].Value != e.Line.Total:
			t.Errorf("%s: the steps end with %s, the line's total is %s", e.Line.Ref, e.Steps[len(e.Steps)-1].Value, e.Line.Total)
		case e.Price.Source == PriceFromSheet && e.Price.Row == nil:
			t.Errorf("%s: its price has no row", e.Line.Ref)
		}
	}
	for _, m := range at.months {
		for _, inv := range m.Current.Invoices {
			if err := env.eachStored(ctx, m, inv, check); err != nil {
				t.Fatal(err)
			}
		}
	}
	slices.Sort(elsewhere)
	const file = "rated-elsewhere-2024-03.csv:"
	sameLines(t, "charges rated elsewhere", elsewhere, file+"1", file+"2", file+"3", file+"4", file+"5")
}

// A line that does not come out as it stands says so.
func TestExplainOtherLine(t *testing.T) {
	t.Parallel()
	env := story(t)
	at, err := env.snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	stored, err := env.lineAt(context.Background(), at, lineRef{month: pricing.MonthOf(2024, 1), number: "C202401-000003", row: 1})
	if err != nil {
		t.Fatal(err)
	}
	stored.line.Subtotal++
	e, err := env.explainer(at).explain(context.Background(), stored)
	if err != nil {
		t.Fatal(err)
	}
	if e.Reproduced || e.Steps != nil || len(e.Notes) != 1 {
		t.Errorf("a line with another amount: reproduced %v, %d steps, notes %q", e.Reproduced, len(e.Steps), e.Notes)
	}
}

func TestExplainRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		plan  ExplainPlan
		class error
		says  string
	}{
		{"neither a line nor a subscription", ExplainPlan{}, ErrUsage, "name either a line or a subscription"},
		{"both", ExplainPlan{Line: "C202401-000001:1", Subscription: "x"}, ErrUsage, "name either a line or a subscription"},
		{"no row", ExplainPlan{Line: "C202401-000001"}, ErrUsage, "want C202610-000001:12"},
		{"row 0 is the header", ExplainPlan{Line: "C202401-000001:0"}, ErrUsage, "1 being the first below the header"},
		{"no number", ExplainPlan{Line: "X202401-000001:1"}, ErrUsage, "want C202610-000001:12"},
		{"no month", ExplainPlan{Line: "2024/x:1"}, ErrUsage, "want C202610-000001:12"},
		{"a month with a line", ExplainPlan{Line: "C202401-000001:1", Month: 24290}, ErrUsage, "a month goes with a subscription"},

		{"a month that was not billed", ExplainPlan{Line: "2025-01/" + demoEuropean + ":1"}, ErrMissing, "run calends bill 2025-01 first"},
		{"a month that was not billed, by subscription", ExplainPlan{Subscription: voorbeeldStandard, Month: pricing.MonthOf(2025, 1)}, ErrMissing, "was not billed"},
		{"a row below the last", ExplainPlan{Line: "C202401-000003:999"}, ErrMissing, "the invoice has 21 lines"},
		{"a number that was not given", ExplainPlan{Line: "C202401-000009:1"}, ErrMissing, "2024-01 has no invoice C202401-000009; it has C202401-000001, "},
		{"a number of a draft", ExplainPlan{Line: "C202404-000001:1"}, ErrMissing, "is not closed, so its invoices have no numbers yet"},
		{"a partner without an invoice", ExplainPlan{Line: "2024-04/nobody:1"}, ErrMissing, "has no invoice of partner nobody"},
		{"an unknown subscription", ExplainPlan{Subscription: "nothing"}, ErrMissing, "it has no line in 2024-04"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := story(t).Explain(context.Background(), test.plan)
			if !errors.Is(err, test.class) || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("%+v: got %v, want %v with %q", test.plan, err, test.class, test.says)
			}
		})
	}
}
