package reconcile

import "slices"

// The steps take what fits best at the moment. Where several lines of a
// subscription differ at once, one that was taken early may be what a later one
// needed. Such subscriptions are looked at again: matched in another order, and
// their single lines shared out anew. What needs the fewest and plainest causes
// is kept.

// mostAgain bounds the lines of a subscription that is looked at again.
const mostAgain = 60

// doubt is a subscription to look at again.
type doubt struct {
	found        []found
	ours, theirs []entry
	differing    int  // matches that are not equal
	settled      bool // a line of it is matched with another's, or with one that could not be read
}

// reconsider looks at doubtful subscriptions again.
func (m *matcher) reconsider(x *explainer) error {
	doubts := m.doubts()
	if len(doubts) == 0 {
		return nil
	}
	m.found = slices.DeleteFunc(m.found, func(f found) bool { return doubts[f.subscription()] != nil })
	for _, s := range doubts {
		best, least, err := x.shareOut(m, s.found)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(s.found, func(f found) bool { return f.step == StepNetted }) {
			again := m.again(s)
			again.run(netsLast)
			if other, cost, err := x.shareOut(again, again.found); err != nil {
				return err
			} else if cost < least {
				best = other
			}
		}
		m.found = append(m.found, best...)
	}
	return nil
}

// again is a matcher of one subscription, with nothing matched.
func (m *matcher) again(s *doubt) *matcher {
	a := &matcher{group: m.group, full: m.full, ours: s.ours, theirs: s.theirs}
	for i := range a.ours {
		a.ours[i].used = false
		a.freeOurs = append(a.freeOurs, &a.ours[i])
	}
	for i := range a.theirs {
		a.theirs[i].used = false
		a.freeTheirs = append(a.freeTheirs, &a.theirs[i])
	}
	return a
}

// doubts are the subscriptions in which more than one match differs and one of
// them is a poor one, by subscription.
func (m *matcher) doubts() map[string]*doubt {
	differing, poor := 0, false
	for i := range m.found {
		differing += one(m.found[i].step != StepEqual)
		poor = poor || m.found[i].poor()
	}
	if differing < 2 || !poor {
		return nil
	}
	all := make(map[string]*doubt)
	for i := range m.found {
		if f := &m.found[i]; f.poor() {
			all[f.subscription()] = &doubt{}
		}
	}
	for _, f := range m.found {
		if s := all[f.subscription()]; s != nil {
			s.found = append(s.found, f)
			s.differing += one(f.step != StepEqual)
		}
		if f.unread == nil && !f.several() {
			continue
		}
		for _, e := range f.lines() {
			if s := all[e.subscription]; s != nil {
				s.settled = true
			}
		}
	}
	for id, s := range all {
		if s.differing < 2 || s.settled {
			delete(all, id)
		}
	}
	if len(all) == 0 {
		return nil
	}
	for i := range m.ours {
		if s := all[m.ours[i].subscription]; s != nil {
			s.ours = append(s.ours, m.ours[i])
		}
	}
	for i := range m.theirs {
		if s := all[m.theirs[i].subscription]; s != nil {
			s.theirs = append(s.theirs, m.theirs[i])
		}
	}
	for id, s := range all {
		if len(s.ours)+len(s.theirs) > mostAgain {
			delete(all, id)
		}
	}
	return all
}

// first is the first line, ours if there is one.
func (f *found) first() *entry {
	if len(f.ours) > 0 {
		return f.ours[0]
	}
	return f.theirs[0]
}

func (f *found) subscription() string { return f.first().subscription }

// lines are those of both sides.
func (f *found) lines() []*entry { return slices.Concat(f.ours, f.theirs) }

// several reports whether a match is over more than one subscription.
func (f *found) several() bool {
	id := f.subscription()
	other := func(e *entry) bool { return e.subscription != id }
	return slices.ContainsFunc(f.ours, other) || slices.ContainsFunc(f.theirs, other)
}

// poor reports whether a licence line has no counterpart, or one that has
// little in common with it.
func (f *found) poor() bool {
	switch f.step {
	case StepRemainder:
		return isRated(f.first())
	case StepQuantity, StepDate, StepDates, StepOccasion, StepType, StepLoose, StepSign:
		return true
	default:
		return false
	}
}

func isRated(e *entry) bool { return e.rated && e.here }

// What a cause weighs. A line without a counterpart weighs more than half of
// what a pair can that differs in everything.
var weights = map[Cause]int{
	Rounding: 1, Tax: 4, Quantity: 6, Days: 6, Price: 6, Promotion: 6, Rate: 6, Arithmetic: 6, Period: 8, Currency: 8, Refused: 8,
	Duplicate: 9, Credit: 9, MissingHere: 20, MissingThere: 20, Unknown: 100,
}

// What else weighs: a price that is on no sheet, and each line of a match
// beyond two.
const (
	offSheet  = 8
	regrouped = 1
)

// weigh is how much has to be believed for a match to be so.
func (x *explainer) weigh(f found) (int, error) {
	if f.step == StepEqual {
		return 0, nil
	}
	match, err := x.explain(f)
	if err != nil {
		return 0, err
	}
	weight := regrouped * max(0, len(f.ours)+len(f.theirs)-2)
	for _, d := range match.Differences {
		weight += weights[d.Cause]
		if d.Cause == Price && d.Evidence.Sheet == nil {
			weight += offSheet
		}
	}
	return weight, nil
}

// shareOut gives single lines of the month that differ to each other anew, so
// that all matches together weigh least; of as much, so that they are nearest.
// It returns what they then weigh.
func (x *explainer) shareOut(m *matcher, all []found) (result []found, weight int, err error) {
	classes := make(map[key]*class)
	var order []*class
	for _, f := range all {
		if f.single() {
			k, _ := f.first().key(bySign | byCurrency)
			k.kind = family(f.first().kind)
			if classes[k] == nil {
				classes[k] = &class{}
				order = append(order, classes[k])
			}
			classes[k].found = append(classes[k].found, f)
			continue
		}
		w, err := x.weigh(f)
		if err != nil {
			return nil, 0, err
		}
		result, weight = append(result, f), weight+w
	}
	for _, c := range order {
		some, w, err := c.assign(x, m)
		if err != nil {
			return nil, 0, err
		}
		result, weight = append(result, some...), weight+w
	}
	return result, weight, nil
}

// single reports whether a match is one line of the month, or one of each side.
func (f *found) single() bool {
	if len(f.ours) > 1 || len(f.theirs) > 1 || f.unread != nil {
		return false
	}
	if slices.ContainsFunc(f.lines(), func(e *entry) bool { return !isRated(e) }) {
		return false
	}
	switch f.step {
	case StepRemainder, StepQuantity, StepDate, StepDates, StepOccasion, StepLoose:
		return true
	default:
		return false
	}
}
