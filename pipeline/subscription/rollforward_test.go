package subscription_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// printSeats says what there is: `10 +5 purchased -2 removed = 13`.
func printSeats(s subscription.Seats) string {
	text := fmt.Sprint(s.Opening)
	for _, m := range movements(s) {
		if m.seats != 0 {
			text += fmt.Sprintf(" %+d %s", m.seats, m.name)
		}
	}
	return text + fmt.Sprintf(" = %d", s.Closing)
}

type movement struct {
	name  string
	seats int64
}

func movements(s subscription.Seats) []movement {
	return []movement{
		{"purchased", s.Purchased}, {"added", s.Added}, {"removed", -s.Removed}, {"cancelled", -s.Cancelled}, {"expired", -s.Expired},
		{"moved in", s.UpgradedIn}, {"moved out", -s.UpgradedOut}, {"renewed", s.Renewed},
	}
}

// The seats of each month from the first of the changes on.
func TestSeatsRollForward(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, changes string
		want          []string
	}{
		{"a purchase, seats added and removed", `
			2023-06-18T09:00Z purchase S1 P1Y Monthly 10
			2023-07-02T09:00Z seats S1 15
			2023-07-03T09:00Z seats S1 12
			until 2023-08`, []string{"0 +10 purchased = 10", "10 +5 added -3 removed = 12", "12 = 12"}},
		{"the day before the month and its first day", `
			2023-06-30T23:59Z purchase S1 P1Y Monthly 10
			2023-07-01T00:00Z seats S1 15`, []string{"0 +10 purchased = 10", "10 +5 added = 15"}},
		{"what is cancelled in its month leaves nothing", `
			2023-06-18T09:00Z purchase S1 P1Y Monthly 10
			2023-06-19T09:00Z seats S1 12
			2023-06-20T09:00Z cancel S1
			until 2023-07`, []string{"0 +10 purchased +2 added -12 cancelled = 0", "0 = 0"}},
		{"a term that ends with the month is there until it is over", `
			2023-06-18T09:00Z purchase S1 P1M Monthly 10 end=2023-06-30 autorenew=off
			until 2023-08`, []string{"0 +10 purchased = 10", "10 -10 expired = 0", "0 = 0"}},
		{"a renewal at 00:00 of the month's first day is of that month", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-20T09:00Z schedule S1 qty=4
			until 2023-08`, []string{"0 +10 purchased = 10", "10 -6 renewed = 4", "4 = 4"}},
		{"a renewal, then a change of the same day", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-20T09:00Z schedule S1 qty=4
			2023-07-01T00:00Z seats S1 9
			until 2023-07`, []string{"0 +10 purchased = 10", "10 +5 added -6 renewed = 9"}},
		{"one subscription renews while another changes", `
			2023-06-01T09:00Z purchase S1 P1M Monthly 10
			2023-06-10T09:00Z purchase S2 P1M Monthly 3 autorenew=off
			2023-07-20T09:00Z seats S1 11`, []string{"0 +13 purchased = 13", "13 +1 added -3 expired = 11"}},
		{"trials count, and are converted or expire", `
			2023-06-18T09:00Z purchase S1 P1Y Monthly 25 trial
			2023-06-18T09:00Z purchase S2 P1Y Monthly 5 trial
			2023-07-03T09:00Z convert S1 qty=20
			until 2023-08`, []string{"0 +30 purchased = 30", "30 -5 expired -5 renewed = 20", "20 = 20"}},
		{"parked and suspended seats are there", `
			2023-06-18T09:00Z purchase S1 P1Y Monthly 10 sku=X
			2023-06-18T09:00Z purchase S2 P1Y Monthly 2
			2023-06-19T09:00Z suspend S2
			2023-07-02T09:00Z seats S1 11
			until 2023-07`, []string{"0 +12 purchased = 12", "12 +1 added = 13"}},
		{"an upgrade of the whole subscription under its own id", `
			2023-06-18T09:00Z purchase S1 P1Y Monthly 10
			2023-07-02T09:00Z upgrade S1 B
			until 2023-08`, []string{"0 +10 purchased = 10", "10 +10 moved in -10 moved out = 10", "10 = 10"}},
		{"an upgrade in the month of the purchase", `
			2023-06-18T09:00Z purchase S1 P1Y Monthly 10
			2023-06-20T09:00Z upgrade S1 B
			until 2023-07`, []string{"0 +10 purchased +10 moved in -10 moved out = 10", "10 = 10"}},
		{"an upgrade of some seats to a new subscription", `
			2023-06-18T09:00Z purchase S1 P1Y Monthly 10
			2023-07-02T09:00Z upgrade S1 B qty=4 to=S2
			2023-07-03T09:00Z upgrade S1 B to=S3`, []string{"0 +10 purchased = 10", "10 +10 moved in -10 moved out = 10"}},
		{"an upgrade into a subscription that exists", `
			2023-06-01T09:00Z purchase S1 P1Y Monthly 10
			2023-06-01T09:00Z purchase S2 P1Y Monthly 7 sku=B
			2023-07-02T09:00Z upgrade S1 B to=S2 qty=4`, []string{"0 +17 purchased = 17", "17 +4 moved in -4 moved out = 17"}},
		{"what is refused moves nothing", `
			2023-06-01T09:00Z purchase S1 P1Y Monthly 10
			2023-06-02T09:00Z purchase S2 P1Y Monthly 0
			2023-07-02T09:00Z cancel S1
			2023-07-02T09:00Z seats S1 4`, []string{"0 +10 purchased = 10", "10 = 10"}},
		{"an unknown customer's renewal keeps the seats, parked", `
			unknown customer 2023-07
			2023-06-18T09:00Z purchase S1 P1M Monthly 10
			until 2023-07`, []string{"0 +10 purchased = 10", "10 = 10"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			last := parse(t, c.changes).until
			first := last + 1 - pricing.Month(len(c.want))
			for i, want := range c.want {
				l := parse(t, c.changes)
				l.until = first + pricing.Month(i)
				if got := printSeats(l.live(t).seats); got != want {
					t.Errorf("%s\n%s: %s, want %s", squeeze(c.changes), l.until, got, want)
				}
			}
		})
	}
}

// Whatever happens: the movements lead from Opening to Closing, a month opens
// with what the month before left, and a life that begins where subscriptions
// stood, one open month ago or three, counts the same.
func TestSeatsAlwaysRollForward(t *testing.T) {
	t.Parallel()
	const months = 7
	first := must(pricing.ParseMonth("2023-01"))
	var seen subscription.Seats
	states := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.payer.Policies.Trust = rapid.Bool().Draw(t, "trust")
		if rapid.IntRange(0, 9).Draw(t, "unknown") == 0 {
			w.learn([]string{"unknown", "customer", "2023-05"})
		}
		changes := drawHistory(t, first.First(), months*30)
		var before subscription.Seats
		ends := make([]subscription.End, months)
		for i := range months {
			month := first + pricing.Month(i)
			ends[i] = liveOn(t, w, nil, changes, month)
			got := ends[i].Seats
			rolled := got.Opening
			for _, m := range movements(got) {
				rolled += m.seats
			}
			if rolled != got.Closing {
				t.Fatalf("%s: %s, it comes to %d", month, printSeats(got), rolled)
			}
			if got.Opening != before.Closing {
				t.Fatalf("%s: %s, the month before left %d", month, printSeats(got), before.Closing)
			}
			if got.UpgradedIn != got.UpgradedOut {
				t.Fatalf("%s: %s, upgrades bring no seats", month, printSeats(got))
			}
			for back := 1; back <= min(i, 3); back++ {
				standing, gone, known := ends[i-back].Standings()
				since := slices.DeleteFunc(slices.Clone(changes), func(c *change.Change) bool { return c.At.Date().Month() <= month-pricing.Month(back) })
				ofGone := func(c *change.Change) bool {
					return slices.Contains(gone, c.Subject) || slices.Contains(gone, c.ToSubscription)
				}
				if !known || slices.ContainsFunc(since, ofGone) {
					continue // needs the whole history
				}
				states++
				if again := liveOn(t, w, standing, since, month).Seats; again != got {
					t.Fatalf("%s: from where it stood %d months before %s, from the beginning %s", month, back, printSeats(again), printSeats(got))
				}
			}
			before = got
			got.Renewed = max(got.Renewed, -got.Renewed) // so that gains and losses do not hide each other
			seen.Add(got)
		}
	})
	for _, m := range append(movements(seen), movement{"opening", seen.Opening}, movement{"closing", seen.Closing}) {
		if m.seats == 0 {
			t.Errorf("no history had seats %s", m.name)
		}
	}
	if states == 0 {
		t.Error("no life began where subscriptions stood")
	}
}

func liveOn(t *rapid.T, w *world, from []subscription.Standing, changes []*change.Change, until pricing.Month) subscription.End {
	t.Helper()
	end, err := new(subscription.Lives).Live(w, &outcome{locks: make(map[subscription.LockKey]subscription.Lock)}, "C", from, changes, until)
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// drawHistory draws changes of few subscriptions, with a liking for the days
// around the first of a month.
func drawHistory(t *rapid.T, first pricing.Date, days int) (changes []*change.Change) {
	id := func() string { return fmt.Sprintf("S%d", rapid.IntRange(1, 4).Draw(t, "subscription")) }
	seats := func() int { return rapid.IntRange(1, 12).Draw(t, "seats") }
	of := func(label string, words ...string) string { return rapid.SampledFrom(words).Draw(t, label) }
	for i := range rapid.IntRange(1, 25).Draw(t, "changes") {
		on := first + pricing.Date(rapid.IntRange(0, days-1).Draw(t, "day"))
		switch of("near", "here", "here", "first", "last") {
		case "first":
			on = on.Month().First()
		case "last":
			on = on.Month().Last()
		}
		line := on.String() + of("time", "T00:00Z ", "T09:00Z ", "T23:59Z ")
		switch of("kind", "purchase", "purchase", "purchase", "seats", "seats", "cancel", "upgrade", "upgrade", "convert", "schedule", "autorenew", "status") {
		case "purchase":
			line += fmt.Sprintf("purchase %s %s %d sku=%s autorenew=%s%s%s", id(), of("term", "P1M Monthly", "P1M Monthly", "P1Y Monthly", "P1Y Annual"), seats(),
				of("product", "A", "A", "B", "X"), of("renews", "on", "off"), of("trial", "", "", " trial"), of("end", "", "", " end="+on.Month().Last().String()))
		case "seats":
			line += fmt.Sprintf("seats %s %d override=%s", id(), seats(), of("override", "", "yes"))
		case "cancel":
			line += "cancel " + id() + of("override", "", " override=yes")
		case "upgrade":
			line += "upgrade " + id() + " " + of("product", "A", "B", "B", "X") + of("some", "", fmt.Sprintf(" qty=%d", seats())) +
				of("to", "", " to="+id(), " to=S9") + of("longer", "", "", " term=P1Y plan=Annual")
		case "convert":
			line += "convert " + id() + of("some", "", fmt.Sprintf(" qty=%d", seats())) + " term=P1Y plan=Monthly"
		case "schedule":
			line += fmt.Sprintf("schedule %s qty=%d", id(), seats())
		case "autorenew":
			line += "autorenew " + id() + " " + of("renews", "on", "off")
		case "status":
			line += of("status", "suspend", "reactivate", "clear") + " " + id()
		}
		changes = append(changes, parseChange(strings.Fields(line), fmt.Sprintf("e%d", i+1)))
	}
	slices.SortFunc(changes, change.Compare)
	return changes
}
