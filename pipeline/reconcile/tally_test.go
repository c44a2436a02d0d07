package reconcile_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pricing"
)

func TestTally(t *testing.T) {
	t.Parallel()
	groups := []*reconcile.Group{
		group(`
			S1 new 03-18..04-17 10 x 12.00 = 120.00
			S2 new 03-18..04-17 10 x 12.00 = 120.00
			S3 new 02-18..03-17 10 x 12.00 = 120.00 month=02
			-----
			S1 new 03-18..04-17 12 x 12.00 = 144.00
			S2 new 03-18..04-17 10 x 12.00 = 120.00`),
		group(`
			-----
			S4 new 03-18..04-17 1 x 9.00 = 9.00 tax=1.71
			S5 new 03-18..04-17 1 x 9.00 = 9.00 cur=USD`),
	}
	var all reconcile.Tally
	for _, g := range groups { // each in a tally of its own, as workers do
		var part reconcile.Tally
		part.Add(g, must(reconcile.Reconcile(nil, g)))
		all.Merge(&part)
	}
	var text strings.Builder
	for _, c := range all.Causes() {
		fmt.Fprintln(&text, c.Cause, c.Currency, c.Differences, euros(c.Amount.Subtotal), euros(c.Amount.Tax), euros(c.Amount.Total))
	}
	for _, s := range all.Sides() {
		fmt.Fprintln(&text, s.Currency, "lines", s.OurLines, s.TheirLines, "totals", euros(s.Ours.Total), euros(s.Theirs.Total), "matches", s.Matched, s.Agreed, s.Open)
	}
	fmt.Fprintln(&text, all.Steps())
	want := `
		unknown EUR 0 0.00 0.00 0.00
		unknown USD 0 0.00 0.00 0.00
		quantity EUR 1 24.00 0.00 24.00
		missingHere EUR 1 9.00 1.71 10.71
		missingHere USD 1 9.00 0.00 9.00
		EUR lines 2 3 totals 240.00 274.71 matches 3 1 2
		USD lines 0 1 totals 0.00 9.00 matches 1 0 1
		map[equal:1 quantity:1 remainder:2]`
	if got := squeeze(text.String()); got != squeeze(want) {
		t.Errorf("got\n%s\nwant\n%s", got, squeeze(want))
	}
}

// Which formula gives their Subtotal: 10.00 / 3 x 7 is 23.33 as a line and
// 23.31 by the licence; whole prices say nothing.
func TestSuggestedPolicy(t *testing.T) {
	t.Parallel()
	const (
		byLine = "03-21..03-30 7 x 10.00/3.3333333333 = 23.33"
		byUnit = "03-21..03-30 7 x 10.00/3.3333333333 = 23.31"
		either = "03-01..03-31 7 x 10.00 = 70.00"
		none   = "03-21..03-30 7 x 10.00/3.3333333333 = 23.32"
		blank  = "03-21..03-30 7 x 10.00 = 23.32 lacks=price"
	)
	tests := []struct {
		name  string
		lines []string
		want  string
	}{
		{"all by the licence", []string{"new " + byUnit, "addQuantity " + byUnit, "new " + either}, "unit 2 0"},
		{"all by the line", []string{"new " + byLine, "removeQuantity " + byLine}, "line 2 0"},
		{"seat changes by the line, the rest by the licence", []string{"AddQuantity " + byLine, "cycleCharge " + byUnit}, "documented 2 0"},
		{"most of them", []string{"new " + byUnit, "renew " + byLine, "cycleCharge " + byLine}, "line 2 1"},
		{"nothing to tell by", []string{"new " + either, "new " + blank}, "no"},
		{"a line that no policy gives is against all", append(slices.Repeat([]string{"new " + byUnit}, 9), "new "+none), "documented 9 1"},
		{"of two in ten nothing follows", append(slices.Repeat([]string{"new " + byUnit}, 8), "new "+none, "new "+none), "withheld"},
		{"nor of nothing else", []string{"new " + either, "new " + none}, "withheld"},
		{"usage is no evidence", []string{"usage " + byLine}, "no"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var lines strings.Builder
			for i, l := range test.lines {
				fmt.Fprintf(&lines, "S%d %s\n", i, l)
			}
			g := group("-----\n" + lines.String())
			var tally reconcile.Tally
			tally.Add(g, must(reconcile.Reconcile(nil, g)))
			got := "no"
			if s, ok := tally.Suggest(); ok {
				got = fmt.Sprint(s.Policy, s.For, s.Against)
				if s.Withheld() {
					got = "withheld"
				}
			}
			if got != test.want {
				t.Errorf("suggests %s, want %s: %+v", got, test.want, tally.Policies())
			}
		})
	}
}

func TestPolicyCounts(t *testing.T) {
	t.Parallel()
	g := group(`
		-----
		S1 new 03-21..03-30 7 x 10.00/3.3333333333 = 23.31
		S2 new 03-21..03-30 7 x 10.00/3.3333333333 = 23.32
		S3 new 03-01..03-31 7 x 10.00 = 70.00
		S4 new 03-01..03-31 7 x 10.00 = 70.00 lacks=price
		S5 usage 03-01..03-31 3 x 1.115 = 3.00 pc=USD rate=0.9
		S6 new 02-01..02-28 7 x 10.00 = 70.00 month=02`)
	var tally reconcile.Tally
	tally.Add(g, must(reconcile.Reconcile(nil, g)))
	want := `[{ChargeType:new Lines:4 Unit:2 Line:1 Usage:1 OnlyUnit:1 OnlyLine:0 Neither:1 Unknowable:1} ` +
		`{ChargeType:usage Lines:1 Unit:1 Line:0 Usage:1 OnlyUnit:1 OnlyLine:0 Neither:0 Unknowable:0}]`
	if got := fmt.Sprintf("%+v", tally.Policies()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	of := func(partner, customer string) *invoice.Line {
		l, _, _ := line("S1 new 03-18..04-17 10 x 12.00 = 120.00")
		l.Account = &invoice.Account{PartnerID: partner, CustomerID: customer}
		return l
	}
	ours := func(names ...string) iter.Seq2[reconcile.Ours, error] {
		return each(names, func(p, c string) reconcile.Ours { return reconcile.Ours{Line: of(p, c)} })
	}
	theirs := func(names ...string) iter.Seq2[reconcile.Billed, error] {
		return each(names, func(p, c string) reconcile.Billed { return reconcile.Billed{Line: of(p, c)} })
	}
	tests := []struct {
		name   string
		ours   iter.Seq2[reconcile.Ours, error]
		theirs iter.Seq2[reconcile.Billed, error]
		want   string
	}{
		{"one customer each", ours("P/A", "P/A", "P/C"), theirs("P/B", "P/C", "Q/A"), "P/A 2 0, P/B 0 1, P/C 1 1, Q/A 0 1"},
		{"one side only", ours("P/A"), theirs(), "P/A 1 0"},
		{"the other side only", ours(), theirs("P/A", "P/A"), "P/A 0 2"},
		{"nothing", ours(), theirs(), ""},
		{"ours out of order", ours("P/B", "P/A"), theirs(), "our lines are not sorted: customer A of partner P comes after customer B of partner P"},
		{"theirs out of order", ours("P/A"), theirs("Q/A", "P/B"), "P/A 1 0, their lines are not sorted: customer B of partner P comes after customer A of partner Q"},
		{"an error of a stream", ours("P/A", "!"), theirs("P/A"), "no more lines"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for g, err := range reconcile.Groups(march, test.ours, test.theirs) {
				if err != nil {
					got = append(got, err.Error())
					continue
				}
				got = append(got, fmt.Sprintf("%s/%s %d %d", g.PartnerID, g.CustomerID, len(g.Ours), len(g.Theirs)))
			}
			if text := strings.Join(got, ", "); text != test.want {
				t.Errorf("got %s, want %s", text, test.want)
			}
		})
	}
	for g, err := range reconcile.Groups(march, ours("P/A", "P/B"), theirs("P/C")) {
		if err != nil || g.CustomerID != "A" {
			t.Errorf("%v, %v", g, err)
		}
		break // and the streams end
	}
}

// each yields a line of each partner/customer, and fails at "!".
func each[T any](names []string, line func(partner, customer string) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, name := range names {
			partner, customer, ok := strings.Cut(name, "/")
			var l T
			var err error
			if ok {
				l = line(partner, customer)
			} else {
				err = errors.New("no more lines")
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// Every cause is in the order of a report, once.
func TestCausesAreListed(t *testing.T) {
	t.Parallel()
	all := reconcile.Causes()
	if all[0] != reconcile.Unknown {
		t.Errorf("%s is first", all[0])
	}
	if sorted := slices.Compact(slices.Sorted(slices.Values(all))); len(sorted) != len(all) {
		t.Errorf("%v has one twice", all)
	}
}

// failing is a world that cannot be asked.
type failing struct{ catalog }

func (failing) Prices(string, pricing.SKU, pricing.Month) ([]reconcile.PriceRow, error) {
	return nil, errors.New("no sheet")
}

func TestErrorsOfTheWorld(t *testing.T) {
	t.Parallel()
	const lines = "S1 new 03-18..04-17 10 x 12.00 = 120.00\n-----\nS1 new 03-18..04-17 10 x %s"
	if _, err := reconcile.Reconcile(failing{}, group(fmt.Sprintf(lines, "13.00 = 130.00"))); err == nil || !strings.Contains(err.Error(), "no sheet") {
		t.Errorf("error %v", err)
	}
	if _, err := reconcile.Reconcile(failing{}, group(fmt.Sprintf(lines, "12.00 = 120.00"))); err != nil {
		t.Errorf("asked for a line that agrees: %v", err)
	}
}
