package pricing

import "fmt"

// Term is the commitment of a subscription.
type Term uint8

// The terms of the new commerce experience. Their order is their length.
const (
	NoTerm Term = iota
	P1M
	P1Y
	P3Y
)

// ParseTerm reads an ISO 8601 termDuration. ok is false for any that is not sold.
func ParseTerm(s string) (term Term, ok bool) {
	switch s {
	case "P1M":
		return P1M, true
	case "P1Y", "P12M":
		return P1Y, true
	case "P3Y", "P36M":
		return P3Y, true
	}
	return NoTerm, false
}

// Months returns the length of the full term.
func (t Term) Months() int { return [...]int{0, 1, 12, 36}[t] }

// String returns the ISO 8601 form, "" for NoTerm.
func (t Term) String() string { return [...]string{"", "P1M", "P1Y", "P3Y"}[t] }

// Allows reports whether the term can be billed by the plan.
func (t Term) Allows(p Plan) bool {
	return t != NoTerm && p != NoPlan && p != PlanNone && p.Months() <= t.Months()
}

// Plan is a billing plan: how often a term is billed.
type Plan uint8

// The billing plans. PlanNone is a trial's.
const (
	NoPlan Plan = iota
	PlanNone
	Monthly
	Annual
	Triennial
)

// ParsePlan reads a billingCycle or BillingPlan in Microsoft's spelling, any case.
func ParsePlan(s string) (plan Plan, ok bool) {
	for p := PlanNone; p <= Triennial; p++ {
		if equalFold(s, p.String()) {
			return p, true
		}
	}
	return NoPlan, false
}

// Months returns the length of one charge cycle of the plan.
func (p Plan) Months() int { return [...]int{0, 1, 1, 12, 36}[p] }

// String returns Microsoft's spelling, "" for NoPlan.
func (p Plan) String() string {
	return [...]string{"", "None", "Monthly", "Annual", "Triennial"}[p]
}

// MonthEnd names the policy for charge cycles of terms that start at a month's end.
type MonthEnd uint8

const (
	// Clamp counts every cycle from the term's first day, clamped to the month.
	Clamp MonthEnd = iota
	// Stick keeps the distance from the month's end of a term that starts on
	// the last or the last but one day of its month.
	Stick
)

// String returns the policy's name as the configuration spells it.
func (m MonthEnd) String() string { return [...]string{"clamp", "stick"}[m] }

// ParseMonthEnd reads a policy name.
func ParseMonthEnd(s string) (MonthEnd, error) {
	switch s {
	case "clamp":
		return Clamp, nil
	case "stick":
		return Stick, nil
	}
	return Clamp, fmt.Errorf("month-end policy %q: want clamp or stick", s)
}

// equalFold is an ASCII-only strings.EqualFold: plan names are ASCII.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
