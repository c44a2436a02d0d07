package reconcile_test

import (
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/reconcile"
)

// Lines of theirs that could not be read stand behind the second row of dashes.
// A line of ours that one may be is still missing there, and says where to look.
func TestUnread(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, lines, want string }{
		{"all but the amount was read", `
			S1 cycleCharge 03-18..04-17 10 x 12.00 = 120.00
			-----
			-----
			S1 cycleCharge 03-18..04-17 10 x 12.00 = 0`, `
			remainder 1| missingThere -120.00 ms.csv row 1`},
		{"the subscription alone was read", `
			S1 cycleCharge 03-18..04-17 10 x 12.00 = 120.00
			-----
			-----
			S1 cycleCharge 03-18..04-17 0 x 0 = 0 lacks=dates`, `
			remainder 1| missingThere -120.00 ms.csv row 1`},
		{"another subscription", `
			S1 cycleCharge 03-18..04-17 10 x 12.00 = 120.00
			-----
			-----
			S2 cycleCharge 03-18..04-17 10 x 12.00 = 0`, `
			remainder 1| missingThere -120.00`},
		{"another day", `
			S1 addQuantity 03-18..03-31 10 x 12.00 = 120.00
			-----
			-----
			S1 addQuantity 03-19..03-31 10 x 12.00 = 0`, `
			remainder 1| missingThere -120.00`},
		{"the likest of two, one each", `
			S1 addQuantity 03-18..03-31 10 x 12.00 = 120.00
			S1 addQuantity 03-18..03-31 12 x 12.00 = 144.00
			-----
			-----
			S1 addQuantity 03-18..03-31 12 x 12.00 = 0`, `
			remainder 1| missingThere -120.00
			remainder 2| missingThere -144.00 ms.csv row 1`},
		{"what was read keeps its match", `
			S1 addQuantity 03-18..03-31 10 x 12.00 = 120.00
			-----
			S1 addQuantity 03-18..03-31 10 x 12.00 = 120.00
			-----
			S1 addQuantity 03-18..03-31 10 x 12.00 = 0`, `
			equal 1|1`},
		{"no other line takes its place", `
			S1 addQuantity 03-18..03-31 10 x 12.00 = 120.00
			-----
			S1 addQuantity 03-20..03-31 11 x 12.00 = 132.00
			-----
			S1 addQuantity 03-18..03-31 10 x 12.00 = 0`, `
			remainder 1| missingThere -120.00 ms.csv row 1
			remainder |1 missingHere 132.00`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := group(c.lines)
			r, err := reconcile.Reconcile(nil, g)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Split(found(r.Matches), "\n")
			for i, m := range r.Matches {
				for _, d := range m.Differences {
					if d.Evidence.Other != "" {
						got[i] += " " + d.Evidence.Other
						if !strings.Contains(d.Explanation, "refused, "+d.Evidence.Other+": amount \"x\": want a number") {
							t.Errorf("it says %q", d.Explanation)
						}
					}
				}
			}
			var want []string
			for l := range strings.Lines(c.want) {
				if l = strings.TrimSpace(l); l != "" {
					want = append(want, l)
				}
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}
