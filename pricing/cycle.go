package pricing

// TermSpan is one term of a subscription with the rule that cuts it into
// charge cycles. Both dates are inclusive.
type TermSpan struct {
	Term     Term
	Start    Date
	End      Date
	Custom   bool // End was aligned by the customer: boundaries count back from it
	MonthEnd MonthEnd
	Trial    bool // one month at price 0, whatever Term says
}

// FullTerm returns the term of full length that starts on the given day.
func FullTerm(term Term, start Date, policy MonthEnd) TermSpan {
	return TermSpan{Term: term, Start: start, End: start.AddMonths(term.Months()) - 1, MonthEnd: policy}
}

// TrialTerm returns the one month of a trial that starts on the given day. The
// term is what the trial's conversion or renewal defaults to.
func TrialTerm(term Term, start Date) TermSpan {
	return TermSpan{Term: term, Start: start, End: start.AddMonths(1) - 1, Trial: true}
}

// WithEnd shortens a full term to a custom end. The full term's own end is no
// custom end. ok is false when the end lies outside the full term.
func (s TermSpan) WithEnd(end Date) (_ TermSpan, ok bool) {
	if end < s.Start || end > s.End {
		return s, false
	}
	s.Custom = end != s.End
	s.End = end
	return s, true
}

// Months returns the length of the full term in months: what UnitPrice is for.
func (s TermSpan) Months() int {
	if s.Trial {
		return 1
	}
	return s.Term.Months()
}

// Cycle is one charge cycle: the days that one line pays for.
type Cycle struct {
	First Date
	Last  Date // inclusive
	// Days is the length of the full cycle that this is (part of): the
	// denominator of every proration in it. 28..31, 365, 366, 1095 or 1096.
	Days int
	// Months of the term's price that a full cycle carries.
	Months int
}

// Len returns the number of days in the cycle itself; less than Days in a stub.
func (c Cycle) Len() int { return int(c.Last-c.First) + 1 }

// From returns the number of days billed when charging starts on the day: the
// event day counts.
func (c Cycle) From(day Date) int { return int(c.Last-day) + 1 }

// CycleAt returns the cycle of the plan that contains the day, which must lie
// in the term. The cycle depends on the term and the plan only, never on
// today or on the cycle before.
func (s TermSpan) CycleAt(plan Plan, day Date) Cycle {
	length := plan.Months()
	if s.Trial || length > s.Months() {
		length = s.Months()
	}
	if s.Custom {
		return s.customCycle(length, day)
	}
	// Each boundary lies in a month of its own: the day is in cycle k or the one before.
	k := int(day.Month()-s.Start.Month()) / length
	if s.boundary(k, length) > day {
		k--
	}
	first, next := s.boundary(k, length), s.boundary(k+1, length)
	return Cycle{First: first, Last: next - 1, Days: int(next - first), Months: length}
}

// boundary returns the first day of cycle k of a full term.
func (s TermSpan) boundary(k, length int) Date {
	months := k * length
	if months == 0 {
		return s.Start
	}
	if months >= s.Months() {
		return s.End + 1
	}
	if s.MonthEnd == Stick {
		month := s.Start.Month()
		if distance := month.Last() - s.Start; distance <= 1 {
			return (month + Month(months)).Last() - distance
		}
	}
	return s.Start.AddMonths(months)
}

// customCycle counts boundaries back from the day after the custom end. The
// first cycle is a stub when the term starts on no boundary.
func (s TermSpan) customCycle(length int, day Date) Cycle {
	after := s.End + 1
	k := int(after.Month()-day.Month()) / length
	if after.AddMonths(-k*length) > day {
		k++
	}
	first, next := after.AddMonths(-k*length), after.AddMonths(-(k-1)*length)
	cycle := Cycle{First: first, Last: next - 1, Days: int(next - first), Months: length}
	if cycle.First < s.Start {
		cycle.First = s.Start
	}
	return cycle
}

// SwitchedCycle returns the cycle that starts on a boundary of the old plan
// where the billing plan changes. It reaches to the new plan's next boundary,
// counted from the term's own anchor: in mid-year a yearly cycle is only the
// months left to the anniversary, and carries that share of the price.
func (s TermSpan) SwitchedCycle(plan Plan, first Date) Cycle {
	cycle := s.CycleAt(plan, first)
	if cycle.First == first {
		return cycle
	}
	cycle.Months = int((cycle.Last + 1).Month() - first.Month())
	cycle.First = first
	cycle.Days = cycle.Len()
	return cycle
}
