package jobs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/jobs/internal/twin"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

var demoDay = pricing.DateOf(2024, 5, 2)

func tellStory(t *testing.T, r *Reading, subscriptionID string, day pricing.Date) Story {
	t.Helper()
	owner, ok, err := r.Owner(t.Context(), subscriptionID, nil)
	if err != nil || !ok {
		t.Fatalf("owner of %s: %v, %v", subscriptionID, ok, err)
	}
	s, err := r.Story(t.Context(), StoryPlan{CustomerID: owner, SubscriptionID: subscriptionID, Day: day})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStoriesAddUp: the lines of all stories are the subscriptions' lines in the files
// of all months, to the cent and one by one, and each subscription stands as the ledger
// believes.
func TestStoriesAddUp(t *testing.T) {
	t.Parallel()
	env := story(t)
	storiesAddUp(t, env, pricing.DateOf(2024, 4, 30))
}

// TestStoriesAddUpInRandomLives: the same of invented histories, with corrections and refusals.
func TestStoriesAddUpInRandomLives(t *testing.T) {
	t.Parallel()
	forLives(t, 1, 6, func(t *testing.T, life twin.Life) {
		env := testEnv(t, life.Policies())
		references, files := allInputs(t, life)
		mustIngest(t.Context(), t, env, references...)
		for _, f := range files {
			if _, err := env.Ingest(t.Context(), IngestPlan{Paths: []string{f}}); err != nil {
				t.Fatal(err)
			}
		}
		last := monthOf(t, lastMonth(life))
		for m := last - 3; m < last; m++ {
			if _, err := env.Close(t.Context(), m, "all of it is meant"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := env.Bill(t.Context(), last, false); err != nil {
			t.Fatal(err)
		}
		storiesAddUp(t, env, last.Last())
	})
}

// storiesAddUp holds every story against the files and against [Env.Subscriptions].
// The last month is open, and billed as it is now.
func storiesAddUp(t *testing.T, env Env, day pricing.Date) {
	t.Helper()
	r := read(t, env)
	type owned struct{ customer, subscription string } // two customers may have the same id
	inFiles := make(map[owned][]string)
	for _, m := range r.Months() {
		for _, inv := range m.Current.Invoices {
			err := env.eachStored(t.Context(), m, inv, func(s storedLine) {
				f := s.facts()
				if m.Current.State == ledger.Draft {
					f.Ref, f.Revision, f.State = "", 0, LineOpen
				}
				key := owned{f.CustomerID, f.SubscriptionID}
				inFiles[key] = append(inFiles[key], fmt.Sprintf("%+v", f))
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	env.WholeHistory = true
	n := 0
	for b, err := range env.Subscriptions(t.Context(), day) {
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range b.Subscriptions {
			n++
			id := v.Term.SubscriptionID
			s, err := r.Story(t.Context(), StoryPlan{CustomerID: b.CustomerID, SubscriptionID: id, Day: day})
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			sum := make(map[string]decimal.Decimal)
			for _, l := range s.Lines {
				lines = append(lines, fmt.Sprintf("%+v", l.LineFacts))
				sum[l.Currency] = sum[l.Currency].Add(testDecimal(t, l.Total))
			}
			key := owned{b.CustomerID, id}
			want := inFiles[key]
			delete(inFiles, key)
			sameLines(t, "lines of "+id, lines, want...)
			for _, total := range s.Sums {
				if !testDecimal(t, total.Total).Equal(sum[total.Currency]) ||
					!testDecimal(t, total.Issued.Total).Add(testDecimal(t, total.Open.Total)).Equal(sum[total.Currency]) {
					t.Errorf("sum of %s is %+v, want %s", id, total, sum[total.Currency])
				}
			}
			end := s.History[len(s.History)-1]
			if s.State != standsAs(&v) || s.TermStart != v.Term.Span.Start.String() || s.TermEnd != v.Term.Span.End.String() ||
				end.State != s.State || !v.Ended && (s.Quantity != v.Quantity || end.Quantity != v.Quantity || s.AutoRenew != v.AutoRenew) {
				t.Errorf("%s is told as %+v and ended with %+v, want %+v", id, s.SubscriptionFacts, end, v)
			}
			eventsFitTogether(t, s)
		}
	}
	for key, lines := range inFiles {
		of := func(customerID string) bool { return customerID == key.customer }
		if _, ok, err := r.Owner(t.Context(), key.subscription, of); ok || err != nil {
			t.Errorf("%d lines of %+v are in no story", len(lines), key)
		}
	}
	if n == 0 {
		t.Error("no subscription was told of")
	}
}

// eventsFitTogether: each event begins where the one before ended, in order; what was
// refused changed nothing; layers add up; terms follow each other without a gap.
func eventsFitTogether(t *testing.T, s Story) {
	t.Helper()
	quantity, last := int64(0), ""
	for _, e := range s.History {
		if e.QuantityBefore != quantity {
			t.Errorf("%s: %s begins with %d seats, but there were %d", s.SubscriptionID, e.Did, e.QuantityBefore, quantity)
		}
		if e.Refused != nil && e.Quantity != quantity {
			t.Errorf("%s: %s changed %d seats to %d", s.SubscriptionID, e.Did, quantity, e.Quantity)
		}
		layers := int64(0)
		for _, l := range e.Layers {
			layers += l.Seats
		}
		if layers != e.Quantity {
			t.Errorf("%s: %s leaves %d seats in layers of %d", s.SubscriptionID, e.Did, e.Quantity, layers)
		}
		if e.Time[:10] < last {
			t.Errorf("%s: %s is told after %s", s.SubscriptionID, e.Time, last)
		}
		if e.Did == "" {
			t.Errorf("%s: %s did nothing that has words", s.SubscriptionID, e.Time)
		}
		quantity, last = e.Quantity, e.Time[:10]
	}
	for i, term := range s.Terms {
		if len(term.Cycles) == 0 && term.From <= term.To || len(term.Cycles) > 0 && term.Cycles[0] != term.From || !slices.IsSorted(term.Cycles) {
			t.Errorf("%s: cycles of %+v", s.SubscriptionID, term)
		}
		if i+1 < len(s.Terms) && term.From <= term.To {
			if to, err := pricing.ParseDate(term.To); err != nil || (to+1).String() != s.Terms[i+1].From {
				t.Errorf("%s: a gap after %+v, %v", s.SubscriptionID, term, err)
			}
		}
	}
}

// TestStory reads some stories of the demo as a person would.
func TestStory(t *testing.T) {
	t.Parallel()
	r := read(t, story(t))
	for _, row := range []struct{ name, id, day, want string }{
		{"seats go up and down, and some may not", voorbeeldStandard, "2024-05-02", `active, 26 seats, 2024-01-15 to 2025-01-14, EUR 119.34 by NL 2024-01 line 6; next 2024-05-15 cycleCharge EUR 312.71; renewal 2025-01-15 renew EUR 326.24
2024-01-15T09:12:00Z change: bought: 25 seats of Microsoft 365 Business Standard (CFQ7TTC0LDPB/0001), P1Y billed Monthly to 2025-01-14
2024-01-19T14:00:00Z change: +5: 25 to 30 seats
2024-01-23T10:15:00Z change: -2: 30 to 28 seats
2024-02-20T09:00:00Z change: +4: 28 to 32 seats
2024-02-29T08:00:00Z change: refused: 2 seats shall go, only 0 can still be taken back on 2024-02-29T08:00:00Z
2024-03-05T14:30:00Z change: -6: 32 to 26 seats
2024-03-14T09:00:00Z change: refused: quantity 0: want 1 or more
2024-03-14T10:00:00Z change: refused: subscription ac85bab0-1652-40cc-94ec-81da3ac37385 was bought before
C202401-000003:16 2024-01-15 new 25 x 9.945 = 248.50 EUR
C202401-000003:17 2024-01-19 addQuantity 25 x -8.6617741935 = -216.54 EUR
C202401-000003:18 2024-01-19 addQuantity 30 x 8.6617741935 = 259.85 EUR
C202401-000003:19 2024-01-23 removeQuantity 30 x -7.3785483871 = -221.35 EUR
C202401-000003:20 2024-01-23 removeQuantity 28 x 7.3785483871 = 206.59 EUR
C202402-000003:25 2024-02-15 cycleCharge 28 x 9.945 = 278.32 EUR
C202402-000003:26 2024-02-20 addQuantity 28 x -8.2303448276 = -230.44 EUR
C202402-000003:27 2024-02-20 addQuantity 32 x 8.2303448276 = 263.37 EUR
C202403-000003:22 2024-03-05 removeQuantity 32 x -3.4293103448 = -109.73 EUR
C202403-000003:23 2024-03-05 removeQuantity 26 x 3.4293103448 = 89.16 EUR
C202403-000003:24 2024-03-15 cycleCharge 26 x 9.945 = 258.44 EUR
2024-04 2024-04-15 cycleCharge 26 x 9.945 = 258.44 EUR
2024-05 2024-05-15 cycleCharge 26 x 9.945 = 258.44 EUR
13 lines, 1343.05 + 282.01 = 1625.06 EUR, issued 999.64
`},
		{"a late change is corrected", dairyPremium, "2024-05-02", `active, 45 seats, 2024-01-11 to 2025-01-10, USD 224.4 by US 2024-01 line 9; next 2024-05-11 cycleCharge USD 935.00; renewal 2025-01-11 renew USD 935.00
2024-01-11T15:30:00Z change: bought: 60 seats of Microsoft 365 Business Premium (CFQ7TTC0LCHC/0002), P1Y billed Monthly to 2025-01-10
2024-02-13T10:00:00Z change: -15: 60 to 45 seats
2024-03-29T10:00:00Z change: credit of USD 75: Compensation for the migration weekend
C202401-000002:1 2024-01-11 new 60 x 18.7 = 1122.00 USD
C202402-000002:1 2024-02-11 cycleCharge 60 x 18.7 = 1122.00 USD
C202403-000002:1 2024-03-11 cycleCharge 60 x 18.7 = 1122.00 USD
2024-04 2024-02-13 removeQuantity 60 x -17.4103448276 = -1044.62 USD
2024-04 2024-02-13 removeQuantity 45 x 17.4103448276 = 783.46 USD
2024-04 2024-03-11 cycleCharge 60 x -18.7 = -1122.00 USD, corrects C202403-000002:1
2024-04 2024-03-11 cycleCharge 45 x 18.7 = 841.50 USD
2024-04 2024-03-29 customerCredit 1 x -75 = -75.00 USD
2024-04 2024-04-11 cycleCharge 45 x 18.7 = 841.50 USD
2024-05 2024-05-06 addQuantity 45 x -3.1166666667 = -140.25 USD
2024-05 2024-05-06 addQuantity 50 x 3.1166666667 = 155.83 USD
2024-05 2024-05-11 cycleCharge 50 x 18.7 = 935.00 USD
12 lines, 4541.42 + 0.00 = 4541.42 USD, issued 3366.00
`},
		{"a trial that will be bought", beispielTrialBI, "2024-02-20", `active, 5 seats, 2024-02-12 to 2024-03-11, scheduled on 2024-03-12; next 2024-03-12 renew EUR 115.37; renewal 2024-03-12 renew EUR 115.37
2024-02-12T10:00:00Z change: bought: 5 seats of CFQ7TTC0HL8W/000T, a trial to 2024-03-11
2024-02-13T09:00:00Z change: scheduled for the next term: 5 seats, product CFQ7TTC0HL8W/0002, term P1M, billed Monthly
C202402-000003:16 2024-02-12 new 5 x 0 = 0.00 EUR
1 lines, 0.00 + 0.00 = 0.00 EUR, issued 0.00
`},
		{"and was, each month at its price", beispielTrialBI, "2024-05-02", `active, 5 seats, 2024-04-12 to 2024-05-11, EUR 19.07 by DE 2024-04 line 54; next 2024-05-12 renew EUR 115.37; renewal 2024-05-12 renew EUR 115.37
2024-02-12T10:00:00Z change: bought: 5 seats of CFQ7TTC0HL8W/000T, a trial to 2024-03-11
2024-02-13T09:00:00Z change: scheduled for the next term: 5 seats, product CFQ7TTC0HL8W/0002, term P1M, billed Monthly
2024-03-12T00:00:00Z renewal: renewed: 5 seats of Power BI Premium Per User (CFQ7TTC0HL8W/0002), P1M billed Monthly to 2024-04-11
2024-04-12T00:00:00Z renewal: renewed: 5 seats of Power BI Premium Per User (CFQ7TTC0HL8W/0002), P1M billed Monthly to 2024-05-11
C202402-000003:16 2024-02-12 new 5 x 0 = 0.00 EUR
C202403-000003:16 2024-03-12 renew 5 x 19.07 = 95.35 EUR
2024-04 2024-04-12 renew 5 x 19.07 = 95.35 EUR
2024-05 2024-05-12 renew 5 x 19.07 = 95.35 EUR
4 lines, 286.05 + 60.06 = 346.11 EUR, issued 115.37
`},
		{"an upgrade names the other", placeholderSuite, "2024-05-02", `active, 90 seats, 2024-01-02 to 2025-01-01, USD 367.2 by US 2024-01 line 28; next 2024-06-02 cycleCharge USD 2754.00; renewal 2025-01-02 renew USD 2754.00; into b2b6f2b0
2024-01-02T08:15:00Z change: bought: 100 seats of Microsoft 365 E3 (CFQ7TTC0LFLX/0001), P1Y billed Monthly to 2025-01-01
2024-04-18T10:00:00Z change: 10 seats upgraded to CFQ7TTC0LFLZ/0002 as b2b6f2b0-90b0-475e-ac49-80123a26839c
C202401-000002:3 2024-01-02 new 100 x 30.6 = 3060.00 USD
C202402-000002:4 2024-02-02 cycleCharge 100 x 30.6 = 3060.00 USD
C202403-000002:11 2024-03-02 cycleCharge 100 x 30.6 = 3060.00 USD
2024-04 2024-04-02 cycleCharge 100 x 30.6 = 3060.00 USD
2024-04 2024-04-18 convert 10 x -14.28 = -142.80 USD
2024-05 2024-05-02 cycleCharge 90 x 30.6 = 2754.00 USD
6 lines, 14851.20 + 0.00 = 14851.20 USD, issued 9180.00
`},
		{"and the other the one", "b2b6f2b0-90b0-475e-ac49-80123a26839c", "2024-05-02", `active, 10 seats, 2024-01-02 to 2025-01-01, USD 581.4 by US 2024-04 line 31; next 2024-06-02 cycleCharge USD 484.50; renewal 2025-01-02 renew USD 484.50; from 74ed4072
2024-04-18T10:00:00Z change: 10 seats came by an upgrade from 74ed4072-312c-4a44-900e-348198989f5e
2024-04 2024-04-18 convert 10 x 22.61 = 226.10 USD
2024-05 2024-05-02 cycleCharge 10 x 48.45 = 484.50 USD
2 lines, 710.60 + 0.00 = 710.60 USD, issued 0.00
`},
		{"a change of no known type", mithalOffice, "2024-03-20", `active, 18 seats, 2024-01-21 to 2025-01-20, USD 234.6 by KW 2024-01 line 15; next 2024-03-21 cycleCharge KWD 108.126; renewal 2025-01-21 renew KWD 108.540
2024-01-21T07:00:00Z change: bought: 18 seats of Office 365 E3 (CFQ7TTC0LF8R/0001), P1Y billed Monthly to 2025-01-20
2024-03-16T11:00:00Z change: refused: unknown type of change
C202401-000001:2 2024-01-21 new 18 x 19.55 = 108.162 KWD
C202402-000001:2 2024-02-21 cycleCharge 18 x 19.55 = 108.306 KWD
C202403-000001:2 2024-03-21 cycleCharge 18 x 19.55 = 108.126 KWD
3 lines, 324.594 + 0.000 = 324.594 KWD, issued 324.594
`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			day, err := pricing.ParseDate(row.day)
			if err != nil {
				t.Fatal(err)
			}
			s := tellStory(t, r, row.id, day)
			if got := storyText(s); got != row.want {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

// storyText tells a story in a few lines.
func storyText(s Story) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d seats, %s to %s", s.State, s.Quantity, s.TermStart, s.TermEnd)
	if p := s.Price; p != nil && p.Row != nil {
		fmt.Fprintf(&b, ", %s %s by %s %s line %d", p.Currency, p.UnitPrice, p.Sheet.Market, p.Sheet.Month, p.Row.Line)
	}
	if s.Parked != nil {
		fmt.Fprintf(&b, ", %s", s.Parked.Code)
	}
	if s.Scheduled != nil {
		fmt.Fprintf(&b, ", scheduled on %s", s.Scheduled.On)
	}
	if n := s.Next; n != nil {
		for _, c := range []struct {
			name   string
			charge *CycleCharge
		}{{"next", n.Charge}, {"renewal", n.Renewal}} {
			if c.charge != nil {
				fmt.Fprintf(&b, "; %s %s %s %s %s", c.name, c.charge.First, c.charge.ChargeType, n.Currency, c.charge.Total)
			}
		}
	}
	for _, other := range s.UpgradedFrom {
		fmt.Fprintf(&b, "; from %.8s", other)
	}
	for _, other := range s.UpgradedInto {
		fmt.Fprintf(&b, "; into %.8s", other)
	}
	b.WriteString("\n")
	for _, e := range s.History {
		fmt.Fprintf(&b, "%s %s: %s\n", e.Time, e.Kind, e.Did)
		for _, n := range e.Notes {
			fmt.Fprintf(&b, "  %s\n", n)
		}
	}
	for _, l := range s.Lines {
		fmt.Fprintf(&b, "%s %s %s %s x %s = %s %s", cmp.Or(l.Ref, l.Month), l.OrderDate, l.ChargeType, l.Quantity, l.EffectiveUnitPrice, l.Subtotal, l.Currency)
		if l.Corrects != "" {
			fmt.Fprintf(&b, ", corrects %s", l.Corrects)
		}
		b.WriteString("\n")
	}
	for _, sum := range s.Sums {
		fmt.Fprintf(&b, "%d lines, %s + %s = %s %s, issued %s\n", sum.Lines, sum.Subtotal, sum.TaxTotal, sum.Total, sum.Currency, sum.Issued.Total)
	}
	return b.String()
}

// TestStoryOfNone: what is not there, or not yet, has no story.
func TestStoryOfNone(t *testing.T) {
	t.Parallel()
	r := read(t, story(t))
	for _, row := range []struct {
		name, customer, id string
		day                pricing.Date
	}{
		{"another's subscription", beispiel, voorbeeldStandard, demoDay},
		{"nobody's", beispiel, "nobody's", demoDay},
		{"an unknown customer", "nobody", voorbeeldStandard, demoDay},
		{"before it began", r.mustOwn(t, voorbeeldStandard), voorbeeldStandard, pricing.DateOf(2024, 1, 14)},
	} {
		if s, err := r.Story(t.Context(), StoryPlan{CustomerID: row.customer, SubscriptionID: row.id, Day: row.day}); !errors.Is(err, ErrMissing) {
			t.Errorf("%s: %+v, %v; want ErrMissing", row.name, s.SubscriptionFacts, err)
		}
	}
}
