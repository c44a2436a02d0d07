package pricing

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// span returns the term of a table row. end is a custom end; "" is a full term.
func span(t *testing.T, term Term, start, end string, policy MonthEnd) TermSpan {
	t.Helper()
	s := FullTerm(term, day(start), policy)
	if end == "" {
		return s
	}
	s, ok := s.WithEnd(day(end))
	if !ok {
		t.Fatalf("a %s from %s cannot end on %s", term, start, end)
	}
	return s
}

// show prints a cycle as the tables spell it.
func show(c Cycle) string {
	return fmt.Sprintf("%s..%s %d/%d %dm", c.First, c.Last, c.Len(), c.Days, c.Months)
}

// cycles walks the term from its first day, a cycle at a time.
func cycles(s TermSpan, plan Plan) []Cycle {
	var all []Cycle
	for d := s.Start; d <= s.End && len(all) <= 40; {
		c := s.CycleAt(plan, d)
		all = append(all, c)
		d = c.Last + 1
	}
	return all
}

func TestCyclesOfFullTerms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		term  Term
		plan  Plan
		start string
		want  []string // the first cycles
	}{
		{"a month", P1M, Monthly, "2021-06-18", []string{"2021-06-18..2021-07-17 30/30 1m"}},
		{"a month from the 31st ends before the last of February", P1M, Monthly, "2021-01-31", []string{"2021-01-31..2021-02-27 28/28 1m"}},
		{"a year billed monthly keeps the day of its start", P1Y, Monthly, "2021-06-18",
			[]string{"2021-06-18..2021-07-17 30/30 1m", "2021-07-18..2021-08-17 31/31 1m", "2021-08-18..2021-09-17 31/31 1m", "2021-09-18..2021-10-17 30/30 1m"}},
		{"a cycle that starts in February has 28 days", P1Y, Monthly, "2022-02-21",
			[]string{"2022-02-21..2022-03-20 28/28 1m", "2022-03-21..2022-04-20 31/31 1m"}},
		{"a year from 31 January clamps each cycle by itself", P1Y, Monthly, "2021-01-31",
			[]string{"2021-01-31..2021-02-27 28/28 1m", "2021-02-28..2021-03-30 31/31 1m", "2021-03-31..2021-04-29 30/30 1m",
				"2021-04-30..2021-05-30 31/31 1m", "2021-05-31..2021-06-29 30/30 1m"}},
		{"30 January and February without a 30th", P1Y, Monthly, "2021-01-30",
			[]string{"2021-01-30..2021-02-27 29/29 1m", "2021-02-28..2021-03-29 30/30 1m", "2021-03-30..2021-04-29 31/31 1m"}},
		{"a leap day is kept where the month has it", P1Y, Monthly, "2024-02-29",
			[]string{"2024-02-29..2024-03-28 29/29 1m", "2024-03-29..2024-04-28 31/31 1m"}},

		{"a year prepaid", P1Y, Annual, "2021-06-18", []string{"2021-06-18..2022-06-17 365/365 12m"}},
		{"a year with a leap day", P1Y, Annual, "2023-06-18", []string{"2023-06-18..2024-06-17 366/366 12m"}},
		{"a year up to a leap day does not have it", P1Y, Annual, "2023-02-28", []string{"2023-02-28..2024-02-27 365/365 12m"}},
		{"a year from a leap day", P1Y, Annual, "2024-02-29", []string{"2024-02-29..2025-02-27 365/365 12m"}},
		{"three years billed annually", P3Y, Annual, "2023-03-01",
			[]string{"2023-03-01..2024-02-29 366/366 12m", "2024-03-01..2025-02-28 365/365 12m", "2025-03-01..2026-02-28 365/365 12m"}},
		{"three years billed monthly", P3Y, Monthly, "2021-09-20", []string{"2021-09-20..2021-10-19 30/30 1m"}},
		{"three years prepaid", P3Y, Triennial, "2023-03-01", []string{"2023-03-01..2026-02-28 1096/1096 36m"}},
		{"three years prepaid without a leap day", P3Y, Triennial, "2024-03-01", []string{"2024-03-01..2027-02-28 1095/1095 36m"}},
		{"a plan longer than the term is the term", P1Y, Triennial, "2021-06-18", []string{"2021-06-18..2022-06-17 365/365 12m"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			all := cycles(span(t, test.term, test.start, "", Clamp), test.plan)
			if want := max(1, test.term.Months()/test.plan.Months()); len(all) != want {
				t.Fatalf("%d cycles, want %d", len(all), want)
			}
			for i, want := range test.want {
				if got := show(all[i]); got != want {
					t.Errorf("cycle %d of %s %s from %s: got %s, want %s", i, test.term, test.plan, test.start, got, want)
				}
			}
		})
	}
}

func TestTrialIsOneMonth(t *testing.T) {
	t.Parallel()
	for _, term := range []Term{P1M, P1Y, P3Y} {
		s := TrialTerm(term, day("2021-06-25"))
		for _, plan := range []Plan{PlanNone, Monthly, Annual, Triennial} {
			if got, want := show(s.CycleAt(plan, s.End)), "2021-06-25..2021-07-24 30/30 1m"; got != want || s.Months() != 1 || !s.Trial {
				t.Errorf("trial with %s %s as its default: got %s of %d months, want %s", term, plan, got, s.Months(), want)
			}
		}
	}
}

// A renewed term is anchored on its own first day.
func TestRenewedMonthForgetsThe31st(t *testing.T) {
	t.Parallel()
	start := day("2021-01-31")
	for _, want := range []string{"2021-01-31", "2021-02-28", "2021-03-28", "2021-04-28"} {
		if start.String() != want {
			t.Errorf("a term starts on %s, want %s", start, want)
		}
		start = FullTerm(P1M, start, Clamp).End + 1
	}
}

func TestCyclesOfCustomEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		term       Term
		plan       Plan
		start, end string
		want       []string // the first cycles
		count      int
	}{
		{"a stub of 17 of 31 days, then calendar months", P1Y, Monthly, "2026-07-15", "2027-06-30",
			[]string{"2026-07-15..2026-07-31 17/31 1m", "2026-08-01..2026-08-31 31/31 1m", "2026-09-01..2026-09-30 30/30 1m"}, 12},
		{"no stub from a boundary on", P1Y, Monthly, "2026-07-01", "2026-12-31",
			[]string{"2026-07-01..2026-07-31 31/31 1m", "2026-08-01..2026-08-31 31/31 1m"}, 6},
		{"days of a stub lie between the boundaries around it", P1Y, Monthly, "2022-01-25", "2022-07-20",
			[]string{"2022-01-25..2022-02-20 27/31 1m", "2022-02-21..2022-03-20 28/28 1m"}, 6},
		{"boundaries are clamped each by itself", P1Y, Monthly, "2026-09-10", "2027-01-30",
			[]string{"2026-09-10..2026-09-29 20/30 1m", "2026-09-30..2026-10-30 31/31 1m", "2026-10-31..2026-11-29 30/30 1m", "2026-11-30..2026-12-30 31/31 1m",
				"2026-12-31..2027-01-30 31/31 1m"}, 5},
		{"a month cut short", P1M, Monthly, "2021-11-17", "2021-12-10", []string{"2021-11-17..2021-12-10 24/30 1m"}, 1},
		{"a single day", P1Y, Monthly, "2026-07-15", "2026-07-15", []string{"2026-07-15..2026-07-15 1/30 1m"}, 1},
		{"a day less than full", P1M, Monthly, "2021-06-18", "2021-07-16", []string{"2021-06-18..2021-07-16 29/30 1m"}, 1},

		{"a prepaid year counts its days back from the end", P1Y, Annual, "2023-07-15", "2023-12-31",
			[]string{"2023-07-15..2023-12-31 170/365 12m"}, 1},
		{"a prepaid year back from after a leap day", P1Y, Annual, "2023-07-15", "2024-03-31", []string{"2023-07-15..2024-03-31 261/366 12m"}, 1},
		{"three years billed annually have a stub before whole years", P3Y, Annual, "2022-07-01", "2024-10-01",
			[]string{"2022-07-01..2022-10-01 93/365 12m", "2022-10-02..2023-10-01 365/365 12m", "2023-10-02..2024-10-01 366/366 12m"}, 3},
		{"three years prepaid", P3Y, Triennial, "2022-07-01", "2024-10-01", []string{"2022-07-01..2024-10-01 824/1096 36m"}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, policy := range []MonthEnd{Clamp, Stick} { // stick moves full terms only
				all := cycles(span(t, test.term, test.start, test.end, policy), test.plan)
				if len(all) != test.count {
					t.Fatalf("%d cycles, want %d", len(all), test.count)
				}
				for i, want := range test.want {
					if got := show(all[i]); got != want {
						t.Errorf("%s cycle %d of %s %s from %s to %s: got %s, want %s", policy, i, test.term, test.plan, test.start, test.end, got, want)
					}
				}
			}
		})
	}
}

func TestWithEnd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		term       Term
		start, end string
		want       string
	}{
		{"an end inside the term", P1Y, "2026-07-15", "2027-06-30", "2026-07-15..2027-06-30 custom"},
		{"the first day", P1Y, "2026-07-15", "2026-07-15", "2026-07-15..2026-07-15 custom"},
		{"the day before the full end", P1Y, "2026-07-15", "2027-07-13", "2026-07-15..2027-07-13 custom"},
		{"the full end is not custom", P1Y, "2026-07-15", "2027-07-14", "2026-07-15..2027-07-14 full"},
		{"the full end of a month from the 31st", P1M, "2021-01-31", "2021-02-27", "2021-01-31..2021-02-27 full"},
		{"a day after the full end", P1Y, "2026-07-15", "2027-07-15", "refused 2026-07-15..2027-07-14 full"},
		{"a day before the start", P1Y, "2026-07-15", "2026-07-14", "refused 2026-07-15..2027-07-14 full"},
		{"27 months of 36", P3Y, "2022-07-01", "2024-10-01", "2022-07-01..2024-10-01 custom"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, ok := FullTerm(test.term, day(test.start), Clamp).WithEnd(day(test.end))
			got := fmt.Sprintf("%s..%s %s", s.Start, s.End, map[bool]string{true: "custom", false: "full"}[s.Custom])
			if !ok {
				got = "refused " + got
			}
			if got != test.want {
				t.Errorf("%s from %s with end %s: got %s, want %s", test.term, test.start, test.end, got, test.want)
			}
		})
	}
}

func TestStick(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		term  Term
		plan  Plan
		start string
		want  string // the first days of its cycles
	}{
		// The table of https://learn.microsoft.com/partner-center/common-billing-scenarios-onetime-recurring
		{"the published table of 30 January", P1Y, Monthly, "2021-01-30",
			"2021-01-30 2021-02-27 2021-03-30 2021-04-29 2021-05-30 2021-06-29 2021-07-30 2021-08-30 2021-09-29 2021-10-30 2021-11-29 2021-12-30"},
		{"the last day stays the last day", P1Y, Monthly, "2021-04-30",
			"2021-04-30 2021-05-31 2021-06-30 2021-07-31 2021-08-31 2021-09-30 2021-10-31 2021-11-30 2021-12-31 2022-01-31 2022-02-28 2022-03-31"},
		{"the last day but two is clamped", P1Y, Monthly, "2021-01-29",
			"2021-01-29 2021-02-28 2021-03-29 2021-04-29 2021-05-29 2021-06-29 2021-07-29 2021-08-29 2021-09-29 2021-10-29 2021-11-29 2021-12-29"},
		{"28 February finds the leap day a year on", P3Y, Annual, "2023-02-28", "2023-02-28 2024-02-29 2025-02-28"},
		{"a leap day", P3Y, Annual, "2024-02-29", "2024-02-29 2025-02-28 2026-02-28"},
		{"28 February is the last but one in a leap year", P3Y, Annual, "2024-02-28", "2024-02-28 2025-02-27 2026-02-27"},
		{"one cycle has nothing to move", P1M, Monthly, "2021-02-28", "2021-02-28"},
		{"nor has a prepaid term", P3Y, Triennial, "2021-02-28", "2021-02-28"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := span(t, test.term, test.start, "", Stick)
			if clamped := span(t, test.term, test.start, "", Clamp); s.End != clamped.End {
				t.Errorf("the term ends on %s, with clamp on %s", s.End, clamped.End)
			}
			var starts []string
			for _, c := range cycles(s, test.plan) {
				starts = append(starts, c.First.String())
			}
			if got := strings.Join(starts, " "); got != test.want {
				t.Errorf("%s %s from %s\n got %s\nwant %s", test.term, test.plan, test.start, got, test.want)
			}
		})
	}
}

func TestSwitchedCycle(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		start, end string
		policy     MonthEnd
		plan       Plan // the new one
		first      string
		want       string
	}{
		{"to annual in mid-year: the months left to the anniversary", "2023-01-15", "", Clamp, Annual, "2023-07-15", "2023-07-15..2024-01-14 184/184 6m"},
		{"to annual after the first month", "2023-01-15", "", Clamp, Annual, "2023-02-15", "2023-02-15..2024-01-14 334/334 11m"},
		{"to annual before the last month", "2023-01-15", "", Clamp, Annual, "2025-12-15", "2025-12-15..2026-01-14 31/31 1m"},
		{"to annual on the anniversary", "2023-01-15", "", Clamp, Annual, "2024-01-15", "2024-01-15..2025-01-14 366/366 12m"},
		{"to triennial: the months left to the end", "2023-01-15", "", Clamp, Triennial, "2023-07-15", "2023-07-15..2026-01-14 915/915 30m"},
		{"to monthly", "2021-09-20", "", Clamp, Monthly, "2022-09-20", "2022-09-20..2022-10-19 30/30 1m"},
		{"a clamped boundary is a whole month away", "2023-01-31", "", Clamp, Annual, "2023-02-28", "2023-02-28..2024-01-30 337/337 11m"},
		{"up to a clamped anniversary", "2024-02-29", "", Clamp, Annual, "2024-08-29", "2024-08-29..2025-02-27 183/183 6m"},
		{"a boundary that sticks", "2023-01-30", "", Stick, Annual, "2023-02-27", "2023-02-27..2024-01-29 337/337 11m"},
		{"the end that does not stick", "2023-02-28", "", Stick, Annual, "2026-01-31", "2026-01-31..2026-02-27 28/28 1m"},
		{"a custom end: to annual inside the stub", "2022-07-01", "2024-10-01", Clamp, Annual, "2022-08-02", "2022-08-02..2022-10-01 61/61 2m"},
		{"a custom end: to annual in mid-year", "2022-07-01", "2024-10-01", Clamp, Annual, "2023-12-02", "2023-12-02..2024-10-01 305/305 10m"},
		{"a custom end on the last but one of January", "2022-07-01", "2024-01-30", Clamp, Annual, "2023-09-30", "2023-09-30..2024-01-30 123/123 4m"},
		{"a custom end: to monthly", "2022-07-01", "2024-10-01", Clamp, Monthly, "2022-10-02", "2022-10-02..2022-11-01 31/31 1m"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := span(t, P3Y, test.start, test.end, test.policy)
			if got := show(s.SwitchedCycle(test.plan, day(test.first))); got != test.want {
				t.Errorf("from %s to %s on %s: got %s, want %s", test.start, test.plan, test.first, got, test.want)
			}
		})
	}
}

func TestCycleFrom(t *testing.T) {
	t.Parallel()
	c := FullTerm(P1M, day("2021-06-18"), Clamp).CycleAt(Monthly, day("2021-06-20"))
	for from, want := range map[string]int{"2021-06-18": 30, "2021-06-20": 28, "2021-06-25": 23, "2021-07-17": 1} {
		if got := c.From(day(from)); got != want {
			t.Errorf("from %s: got %d days, want %d", from, got, want)
		}
	}
}

// The combinations that are sold.
var sold = []struct {
	term Term
	plan Plan
}{{P1M, Monthly}, {P1Y, Monthly}, {P1Y, Annual}, {P3Y, Monthly}, {P3Y, Annual}, {P3Y, Triennial}}

// Cycles tile a full term, from every first day in 131 years: no gap, no
// overlap, each where the rule puts it whatever the ones before.
func TestCyclesTileEveryFullTerm(t *testing.T) {
	t.Parallel()
	for _, pair := range sold {
		for _, policy := range []MonthEnd{Clamp, Stick} {
			t.Run(fmt.Sprintf("%s %s %s", pair.term, pair.plan, policy), func(t *testing.T) {
				t.Parallel()
				for d := firstDay; d <= lastDay; d++ {
					// Stick is clamp but for two days of a month; these, and one day in seven.
					atEnd := d.Month().Last()-d <= 1
					if d%7 != 0 && (testing.Short() || policy == Stick && !atEnd) {
						continue
					}
					s := FullTerm(pair.term, d, policy)
					if fault := tiles(s, pair.plan); fault != "" {
						t.Fatalf("term %s to %s: %s", s.Start, s.End, fault)
					}
				}
			})
		}
	}
}

// tiles says what is wrong with the cycles of a full term.
func tiles(s TermSpan, plan Plan) string {
	count, length := s.Months()/plan.Months(), plan.Months()
	fromEnd := s.Start.Month().Last() - s.Start
	next := s.Start
	for k := range count {
		c := s.CycleAt(plan, next)
		want := s.Start.AddMonths(k * length)
		if s.MonthEnd == Stick && fromEnd <= 1 && k > 0 {
			want = (s.Start.Month() + Month(k*length)).Last() - fromEnd
		}
		switch {
		case c.First != next:
			return fmt.Sprintf("cycle %d begins on %s, want %s", k, c.First, next)
		case c.First != want:
			return fmt.Sprintf("cycle %d begins on %s, the rule says %s", k, c.First, want)
		case c.Len() != c.Days || c.Months != length || !isCycleLength(c.Days, length):
			return fmt.Sprintf("cycle %d is %s", k, show(c))
		case s.CycleAt(plan, c.Last) != c:
			return fmt.Sprintf("the last day of %s is in %s", show(c), show(s.CycleAt(plan, c.Last)))
		}
		next = c.Last + 1
	}
	if next != s.End+1 {
		return fmt.Sprintf("the cycles end on %s", next-1)
	}
	return ""
}

func isCycleLength(days, months int) bool {
	switch months {
	case 1:
		return 28 <= days && days <= 31
	case 12:
		return days == 365 || days == 366
	default:
		return days == 1095 || days == 1096
	}
}

// drawSpan draws a term that is sold, every third time with a custom end.
func drawSpan(t *rapid.T) (TermSpan, Plan) {
	pair := rapid.SampledFrom(sold).Draw(t, "pair")
	start := Date(rapid.Int32Range(int32(firstDay), int32(lastDay)).Draw(t, "start"))
	if rapid.Bool().Draw(t, "at a month's end") {
		start = start.Month().Last() - Date(rapid.IntRange(0, 3).Draw(t, "days from the end"))
	}
	s := FullTerm(pair.term, start, rapid.SampledFrom([]MonthEnd{Clamp, Stick}).Draw(t, "policy"))
	if rapid.IntRange(0, 2).Draw(t, "custom") == 0 {
		end := s.Start + Date(rapid.IntRange(0, int(s.End-s.Start)).Draw(t, "end"))
		if rapid.Bool().Draw(t, "to a month's end") {
			end = min(end.Month().Last(), s.End)
		}
		s, _ = s.WithEnd(end)
	}
	return s, pair.plan
}

// Each day of a term is in one cycle, the same whichever day asks. Only the
// first one of a custom end may be a stub.
func TestCyclesTileEveryTermDayByDay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, plan := drawSpan(t)
		current := s.CycleAt(plan, s.Start)
		if current.First != s.Start {
			t.Fatalf("%+v: the first cycle is %s", s, show(current))
		}
		for d := s.Start; d <= s.End; d++ {
			c := s.CycleAt(plan, d)
			if d == current.Last+1 {
				current = c
				if c.First != d {
					t.Fatalf("%+v: %s begins a cycle, got %s", s, d, show(c))
				}
			}
			if c != current || d < c.First || d > c.Last {
				t.Fatalf("%+v: %s is in %s, want %s", s, d, show(c), show(current))
			}
			if stub := s.Custom && c.First == s.Start; c.Len() > c.Days || c.Len() < c.Days && !stub || !isCycleLength(c.Days, c.Months) {
				t.Fatalf("%+v: cycle %s", s, show(c))
			}
		}
		if current.Last != s.End {
			t.Fatalf("%+v: the last cycle is %s", s, show(current))
		}
	})
}

// Boundaries of a custom end are whole cycles before the day after it.
func TestCustomBoundariesCountBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, plan := drawSpan(t)
		if !s.Custom {
			t.Skip("a full term")
		}
		all := cycles(s, plan)
		slices.Reverse(all)
		for i, c := range all {
			first, next := (s.End + 1).AddMonths(-(i+1)*plan.Months()), (s.End + 1).AddMonths(-i*plan.Months())
			if want := max(first, s.Start); c.First != want || c.Last != next-1 || c.Days != int(next-first) {
				t.Fatalf("%+v: cycle %d from the end is %s, want %s to %s of %d days", s, i, show(c), want, next-1, next-first)
			}
		}
	})
}

// A plan change in mid-year leaves nothing unbilled: the months billed before
// and the months of the switched cycle are whole cycles of the new plan.
func TestSwitchedCyclesCompleteTheYear(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, _ := drawSpan(t)
		all := cycles(s, Monthly)
		k := rapid.IntRange(0, len(all)-1).Draw(t, "k")
		for _, plan := range []Plan{Annual, Triennial} {
			if plan.Months() > s.Months() {
				continue
			}
			got, whole := s.SwitchedCycle(plan, all[k].First), s.CycleAt(plan, all[k].First)
			if k == 0 { // nothing was billed before: the plan's own cycle, a stub too
				if got != whole {
					t.Fatalf("%+v: to %s on the first day: got %s, want %s", s, plan, show(got), show(whole))
				}
				continue
			}
			left := 0 // monthly cycles that begin in the switched one
			for _, c := range all[k:] {
				if c.First <= whole.Last {
					left++
				}
			}
			if got.First != all[k].First || got.Last != whole.Last || got.Months != left || got.Len() != got.Days {
				t.Fatalf("%+v: to %s on %s: got %s, want %d months to %s", s, plan, all[k].First, show(got), left, whole.Last)
			}
		}
		if got := s.SwitchedCycle(Monthly, all[k].First); got != all[k] {
			t.Fatalf("%+v: to monthly on %s: got %s, want %s", s, all[k].First, show(got), show(all[k]))
		}
	})
}
