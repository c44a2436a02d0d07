package pricing

import (
	"strings"
	"testing"
)

func TestTermsAndPlans(t *testing.T) {
	t.Parallel()
	tests := []struct {
		term   Term
		months int
		plans  string // that it allows
	}{
		{NoTerm, 0, ""},
		{P1M, 1, "Monthly"},
		{P1Y, 12, "Monthly Annual"},
		{P3Y, 36, "Monthly Annual Triennial"},
	}
	for _, test := range tests {
		t.Run(test.term.String(), func(t *testing.T) {
			t.Parallel()
			if got := test.term.Months(); got != test.months {
				t.Errorf("%s has %d months, want %d", test.term, got, test.months)
			}
			var allowed []string
			for plan := NoPlan; plan <= Triennial; plan++ {
				if test.term.Allows(plan) {
					allowed = append(allowed, plan.String())
				}
			}
			if got := strings.Join(allowed, " "); got != test.plans {
				t.Errorf("%s allows %q, want %q", test.term, got, test.plans)
			}
		})
	}
	for plan, months := range map[Plan]int{NoPlan: 0, PlanNone: 1, Monthly: 1, Annual: 12, Triennial: 36} {
		if got := plan.Months(); got != months {
			t.Errorf("a cycle of %q has %d months, want %d", plan, got, months)
		}
	}
}

func TestParseTerm(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Term{"P1M": P1M, "P1Y": P1Y, "P12M": P1Y, "P3Y": P3Y, "P36M": P3Y} {
		if got, ok := ParseTerm(in); !ok || got != want {
			t.Errorf("%q: got %v, %t, want %v", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "P2Y", "P5Y", "p1y", "1Y", "P1D"} {
		if got, ok := ParseTerm(in); ok || got != NoTerm {
			t.Errorf("%q is read as %v", in, got)
		}
	}
}

func TestParsePlan(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Plan{"None": PlanNone, "Monthly": Monthly, "MONTHLY": Monthly, "annual": Annual, "tRIENNIAl": Triennial} {
		if got, ok := ParsePlan(in); !ok || got != want {
			t.Errorf("%q: got %v, %t, want %v", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "Yearly", "Annual ", "Annually", "Änual"} {
		if got, ok := ParsePlan(in); ok || got != NoPlan {
			t.Errorf("%q is read as %v", in, got)
		}
	}
}

func TestParsePolicies(t *testing.T) {
	t.Parallel()
	for _, want := range []MonthEnd{Clamp, Stick} {
		if got, err := ParseMonthEnd(want.String()); err != nil || got != want {
			t.Errorf("month end %q: got %v, %v", want, got, err)
		}
	}
	if _, err := ParseMonthEnd("Clamp"); err == nil || err.Error() != `month-end policy "Clamp": want clamp or stick` {
		t.Errorf("month end Clamp: the error is %v", err)
	}
	for _, want := range []Rounding{Documented, Unit, WholeLine} {
		if got, err := ParseRounding(want.String()); err != nil || got != want {
			t.Errorf("rounding %q: got %v, %v", want, got, err)
		}
	}
	if _, err := ParseRounding(""); err == nil || err.Error() != `rounding policy "": want documented, unit or line` {
		t.Errorf("no rounding: the error is %v", err)
	}
}
