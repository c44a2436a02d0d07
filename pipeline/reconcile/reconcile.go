package reconcile

// Reconcile matches the lines of a group and explains what differs. Without a
// world, other prices and rates are named but not traced to a sheet. An error
// comes from the world, never from a line.
func Reconcile(world World, g *Group) (Result, error) {
	m := newMatcher(g)
	m.run(netsFirst)
	x := newExplainer(world, g, m.theirs)
	if err := m.reconsider(x); err != nil {
		return Result{}, err
	}
	r := Result{Matches: make([]Match, 0, len(m.found))}
	for _, f := range m.inOrder() {
		match, err := x.explain(f)
		if err != nil {
			return Result{}, err
		}
		r.Matches = append(r.Matches, match)
	}
	return r, nil
}
