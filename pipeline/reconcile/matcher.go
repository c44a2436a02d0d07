package reconcile

// matcher puts the lines of one group together.
type matcher struct {
	world   World
	group   *Group
	matches []Match
}

func newMatcher(world World, g *Group) *matcher { return &matcher{world: world, group: g} }

func (m *matcher) run() {
	for _, o := range m.group.Ours {
		if o.Month == m.group.Month {
			d := Difference{Cause: MissingThere, Currency: o.Line.Currency, Amount: Amount{}.Sub(amountOf(o.Line))}
			m.matches = append(m.matches, Match{Step: StepRemainder, Ours: []Ours{o}, Currency: d.Currency, Difference: d.Amount, Differences: []Difference{d}})
		}
	}
	for _, b := range m.group.Theirs {
		if b.Month == m.group.Month {
			d := Difference{Cause: MissingHere, Currency: b.Line.Currency, Amount: amountOf(b.Line)}
			m.matches = append(m.matches, Match{Step: StepRemainder, Theirs: []Billed{b}, Currency: d.Currency, Difference: d.Amount, Differences: []Difference{d}})
		}
	}
}

func (m *matcher) result() (Result, error) { return Result{m.matches}, nil }
