package damage_test

import (
	"math/rand"
	"testing"

	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pipeline/reconcile/damage"
	"github.com/calends/calends/pricing"
)

func TestExplore(t *testing.T) {
	for seed := int64(20); seed < 26; seed++ {
		o := round(t, seed, 500, damage.Options{OneIn: 1, Together: 4, KeepReferences: seed%2 == 0}, seed%3 == 0)
		t.Logf("%s", table(o))
		for i, m := range o.misses {
			if i%(1+len(o.misses)/6) == 0 {
				t.Log(describe(m))
			}
		}
	}
}

func TestRough(t *testing.T) {
	w := newWorld(3)
	var out outcome
	rows := int64(0)
	var planted []damage.Planted
	chance := rand.New(rand.NewSource(4))
	for _, g := range w.customers(1500) {
		r := &rough{Rand: chance, w: w}
		lines, damages := r.damage(g.Ours, 3)
		for i := range lines {
			lines[i].Row += rows
		}
		for _, p := range damages {
			for j := range p.Theirs {
				p.Theirs[j] += rows
			}
			planted = append(planted, p)
		}
		rows += int64(len(lines))
		g.Theirs = lines
		g.TheirMonths = []pricing.Month{march - 1, march, march + 1}
		g.Ours = without(g.Ours)
		res, err := reconcile.Reconcile(known{w}, g)
		if err != nil {
			t.Fatal(err)
		}
		conserved(t, g, res)
		out.all = append(out.all, res.Matches...)
		out.lines += len(g.Ours)
	}
	out.planted = len(planted)
	out.scores, out.misses = damage.Judge(out.all, planted)
	t.Log(table(out))
	for i, m := range out.misses {
		if i%(1+len(out.misses)/25) == 0 {
			t.Log(describe(m))
		}
	}
}
