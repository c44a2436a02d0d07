package damage_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pipeline/reconcile/damage"
	"github.com/calends/calends/pricing"
)

// without returns our lines as they come back from a file: without their proof.
func without(ours []reconcile.Ours) []reconcile.Ours {
	all := make([]reconcile.Ours, len(ours))
	for i, o := range ours {
		line := *o.Line
		line.Proof = nil
		o.Line = &line
		all[i] = o
	}
	return all
}

type outcome struct {
	lines, planted int
	scores         []damage.Score
	misses         []damage.Miss
	all            []reconcile.Match
	tally          reconcile.Tally
}

// round damages every customer's month and reconciles it.
func round(t testing.TB, seed int64, customers int, o damage.Options, neighbours bool) outcome {
	t.Helper()
	w := newWorld(seed)
	var out outcome
	var matches []reconcile.Match
	var planted []damage.Planted
	rows := int64(0)
	for i, g := range w.customers(customers) {
		o.Seed, o.Month = uint64(seed)*1_000_003+uint64(i), march
		theirs, damages := damage.Write(w, g.Ours, o)
		for _, b := range theirs {
			b.Row += rows
			if neighbours || b.Month == march || moved(damages, b.Row-rows) {
				g.Theirs = append(g.Theirs, b)
			}
		}
		for _, p := range damages {
			for j := range p.Theirs {
				p.Theirs[j] += rows
			}
			planted = append(planted, p)
		}
		rows += int64(len(theirs))
		g.TheirMonths = []pricing.Month{march}
		if neighbours {
			g.TheirMonths = g.OurMonths
		}
		g.Ours = without(g.Ours)
		r, err := reconcile.Reconcile(known{w}, g)
		if err != nil {
			t.Fatal(err)
		}
		conserved(t, g, r)
		out.tally.Add(g, r)
		matches = append(matches, r.Matches...)
		out.lines += len(g.Ours)
	}
	out.planted = len(planted)
	out.all = matches
	out.scores, out.misses = damage.Judge(matches, planted)
	return out
}

func moved(planted []damage.Planted, row int64) bool {
	for _, p := range planted {
		if p.Kind == damage.Moved && len(p.Theirs) == 1 && p.Theirs[0] == row {
			return true
		}
	}
	return false
}

// conserved checks that every line of the month is in exactly one match, and
// that the causes add up to theirs - ours.
func conserved(t testing.TB, g *reconcile.Group, r reconcile.Result) {
	t.Helper()
	var want, got reconcile.Amount
	seen := make(map[*invoice.Line]int)
	for _, m := range r.Matches {
		var sum reconcile.Amount
		for _, d := range m.Differences {
			sum = sum.Add(d.Amount)
		}
		if sum != m.Difference {
			t.Fatalf("%s: the causes add up to %v, the difference is %v", m.Step, sum, m.Difference)
		}
		got = got.Add(sum)
		for _, o := range m.Ours {
			seen[o.Line]++
		}
		for _, b := range m.Theirs {
			seen[b.Line]++
		}
	}
	add := func(l *invoice.Line, month pricing.Month, sign int64) {
		if month == g.Month {
			want = want.Add(reconcile.Amount{Subtotal: sign * l.Subtotal, Tax: sign * l.TaxTotal, Total: sign * l.Total})
			if seen[l] != 1 {
				t.Fatalf("a line of %s %s is in %d matches", l.SubscriptionID, l.ChargeType, seen[l])
			}
		} else if seen[l] > 1 {
			t.Fatalf("a line of %s is in %d matches", month, seen[l])
		}
	}
	for _, o := range g.Ours {
		add(o.Line, o.Month, -1)
	}
	for _, b := range g.Theirs {
		add(b.Line, b.Month, 1)
	}
	if want != got {
		t.Fatalf("theirs - ours is %v, the causes add up to %v", want, got)
	}
}

func table(o outcome) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d lines of ours, %d damages, %d misses\n", o.lines, o.planted, len(o.misses))
	for _, x := range o.scores {
		fmt.Fprintf(&s, "%-14s planted %5d found %5d (%s %%)  named %5d right %5d (%s %%)\n", x.Cause, x.Planted, x.Found, x.Recall(), x.Named, x.Right, x.Precision())
	}
	return s.String()
}

func describe(miss damage.Miss) string {
	var s strings.Builder
	if miss.Planted != nil {
		fmt.Fprintf(&s, "NOT FOUND %s of %v\n", miss.Planted.Kind, miss.Planted)
	} else {
		fmt.Fprintf(&s, "NOT PLANTED %s\n", miss.Cause)
	}
	if miss.Match == nil {
		return s.String()
	}
	m := miss.Match
	fmt.Fprintf(&s, "  step %s, difference %v\n", m.Step, m.Difference)
	show := func(side string, l *invoice.Line, row int64, month pricing.Month) {
		fmt.Fprintf(&s, "  %s %d %s: %s %s %s %s..%s q %s up %s eup %s rate %s promo %q sub %d tax %d\n", side, row, month, l.SubscriptionID, l.ChargeType, l.OrderDate,
			l.ChargeStart, l.ChargeEnd, l.BillableQuantity, l.UnitPrice, l.EffectiveUnitPrice, l.ExchangeRate, l.Item.PromotionID, l.Subtotal, l.TaxTotal)
	}
	for _, o := range m.Ours {
		show("ours  ", o.Line, int64(o.Row), o.Month)
	}
	for _, b := range m.Theirs {
		show("theirs", b.Line, b.Row, b.Month)
	}
	for _, d := range m.Differences {
		fmt.Fprintf(&s, "    %s %v %s\n", d.Cause, d.Amount, d.Explanation)
	}
	return s.String()
}

func TestQuality(t *testing.T) {
	t.Parallel()
	for _, neighbours := range []bool{true, false} {
		for _, together := range []int{1, 3} {
			o := round(t, 1, 300, damage.Options{OneIn: 5, Together: together}, neighbours)
			t.Logf("neighbours %v, together %d\n%s", neighbours, together, table(o))
			for i, m := range o.misses {
				if i < 12 {
					t.Log(describe(m))
				}
			}
		}
	}
}
