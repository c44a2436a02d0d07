package damage_test

import (
	"fmt"
	"math/rand"
	"slices"
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

// outcome is what a number of customers came to.
type outcome struct {
	lines   int
	matches []reconcile.Match
	planted []damage.Planted
	tally   reconcile.Tally
}

// spoil makes a customer's lines into Microsoft's.
type spoil func(customer int, ours []reconcile.Ours) ([]reconcile.Billed, []damage.Planted)

// play damages the month of a number of customers and reconciles it. Rows count
// through. Without neighbours their files hold March, and of April no more
// than what was moved there.
func play(t testing.TB, w *world, customers int, neighbours bool, damaged spoil) outcome {
	t.Helper()
	var out outcome
	for i, g := range w.customers(customers) {
		theirs, planted := damaged(i, g.Ours)
		moved := make(map[int64]bool)
		for _, p := range planted {
			if p.Kind == damage.Moved {
				moved[p.Theirs[0]] = true
			}
		}
		shift := int64(out.lines)
		for _, b := range theirs {
			if neighbours || b.Month == march || moved[b.Row] {
				b.Row += shift
				g.Theirs = append(g.Theirs, b)
			}
		}
		for _, p := range planted {
			for j := range p.Theirs {
				p.Theirs[j] += shift
			}
			out.planted = append(out.planted, p)
		}
		out.lines += len(theirs) + 2
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
		out.matches = append(out.matches, r.Matches...)
	}
	return out
}

// planted damages with the package's own kinds.
func planted(w *world, seed int64, o damage.Options) spoil {
	return func(customer int, ours []reconcile.Ours) ([]reconcile.Billed, []damage.Planted) {
		o.Seed, o.Month = uint64(seed)*1_000_003+uint64(customer), march
		return damage.Write(w, ours, o)
	}
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

// table prints scores as the README has them.
func table(scores []damage.Score) string {
	var s strings.Builder
	fmt.Fprintf(&s, "| cause | planted | found | recall %% | named | right | precision %% |\n|---|---|---|---|---|---|---|\n")
	for _, x := range scores {
		fmt.Fprintf(&s, "| `%s` | %d | %d | %s | %d | %d | %s |\n", x.Cause, x.Planted, x.Found, x.Recall(), x.Named, x.Right, x.Precision())
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

// Planted causes are found and no others named: one in five lines is damaged,
// then every line, in up to four factors at once; with and without the files
// of the months beside.
func TestQuality(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]damage.Options{
		"one damage a line":      {OneIn: 5, Together: 1},
		"every line, up to four": {OneIn: 1, Together: 4},
		"event ids as ours":      {OneIn: 2, Together: 3, KeepReferences: true},
	} {
		for _, neighbours := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, neighbours %v", name, neighbours), func(t *testing.T) {
				t.Parallel()
				w := newWorld(1)
				out := play(t, w, 150, neighbours, planted(w, 1, o))
				scores, misses := damage.Judge(out.matches, out.planted)
				for _, s := range scores {
					if s.Cause == reconcile.Unknown && s.Named > 0 || s.Found*100 < s.Planted*99 || s.Right*100 < s.Named*99 {
						t.Errorf("%s: of %d planted %d were found, of %d named %d were right", s.Cause, s.Planted, s.Found, s.Named, s.Right)
					}
				}
				if t.Failed() {
					for _, miss := range misses[:min(len(misses), 5)] {
						t.Log(describe(miss))
					}
				}
			})
		}
	}
}

// Damage that was not made with the reconciler in mind is found all the same.
// Amounts that somebody rounded are called so, on top of their cause.
func TestRoughDamage(t *testing.T) {
	t.Parallel()
	w := newWorld(3)
	chance := rand.New(rand.NewSource(4))
	out := play(t, w, 400, true, func(_ int, ours []reconcile.Ours) ([]reconcile.Billed, []damage.Planted) {
		r := &rough{Rand: chance, w: w}
		return r.damage(ours, 3)
	})
	scores, misses := damage.Judge(out.matches, out.planted)
	for _, s := range scores {
		if s.Found < s.Planted || s.Right < s.Named && s.Cause != reconcile.Rounding {
			t.Errorf("%s: of %d planted %d were found, of %d named %d were right", s.Cause, s.Planted, s.Found, s.Named, s.Right)
		}
	}
	if t.Failed() {
		for _, miss := range misses[:min(len(misses), 5)] {
			t.Log(describe(miss))
		}
	}
}

// An undamaged copy agrees, whatever is truncated where.
func TestACopyAgrees(t *testing.T) {
	t.Parallel()
	for _, rounding := range []pricing.Rounding{pricing.Documented, pricing.Unit, pricing.WholeLine} {
		w := newWorld(2)
		w.policies.Rounding = rounding
		out := play(t, w, 100, true, planted(w, 2, damage.Options{OneIn: 1, Kinds: []damage.Kind{""}}))
		for _, s := range out.tally.Sides() {
			if s.Open > 0 || s.Agreed != s.OurLines || s.OurLines != s.TheirLines {
				t.Errorf("%s: %+v", rounding, s)
			}
		}
		if s, ok := out.tally.Suggest(); !ok || s.Policy != rounding || s.Against > 0 {
			t.Errorf("their arithmetic is %s: suggested %+v", rounding, s)
		}
	}
}

// BenchmarkQuality prints the table of the README: four worlds of a thousand
// customers, every licence line of March damaged, in up to four factors at once.
func BenchmarkQuality(b *testing.B) {
	for b.Loop() {
		var all outcome
		for seed := int64(11); seed <= 14; seed++ {
			w := newWorld(seed)
			out := play(b, w, 1000, seed%2 == 0, planted(w, seed, damage.Options{OneIn: 1, Together: 4}))
			for i := range out.matches { // rows of the worlds, one after the other
				renumber(&out.matches[i], all.lines)
			}
			for i := range out.planted {
				p := &out.planted[i]
				for j := range p.Theirs {
					p.Theirs[j] += int64(all.lines)
				}
				for j := range p.Ours {
					p.Ours[j] += all.lines
				}
			}
			all.matches, all.planted = append(all.matches, out.matches...), append(all.planted, out.planted...)
			all.lines += out.lines
		}
		scores, misses := damage.Judge(all.matches, all.planted)
		b.ReportMetric(float64(len(all.planted)), "damages")
		b.ReportMetric(float64(len(misses)), "misses")
		fmt.Printf("%d lines and matches of March\n%s", len(all.matches), table(scores))
	}
}

// BenchmarkOtherWorlds counts what is missed in worlds that nothing was tried on:
// one to three licence lines to one that is damaged, some with event ids as ours.
func BenchmarkOtherWorlds(b *testing.B) {
	for b.Loop() {
		damages, missed, unknown := 0, 0, 0
		for seed := int64(31); seed <= 46; seed++ {
			w := newWorld(seed)
			o := damage.Options{OneIn: 1 + int(seed%3), Together: 4, KeepReferences: seed%5 == 0}
			out := play(b, w, 1000, seed%2 == 0, planted(w, seed, o))
			scores, misses := damage.Judge(out.matches, out.planted)
			damages, missed, unknown = damages+len(out.planted), missed+len(misses), unknown+scores[0].Named
		}
		b.ReportMetric(float64(damages), "damages")
		b.ReportMetric(float64(missed), "misses")
		b.ReportMetric(float64(unknown), "unknown")
	}
}

func renumber(m *reconcile.Match, by int) {
	m.Ours, m.Theirs = slices.Clone(m.Ours), slices.Clone(m.Theirs)
	for i := range m.Ours {
		m.Ours[i].Row += by
	}
	for i := range m.Theirs {
		m.Theirs[i].Row += int64(by)
	}
}
