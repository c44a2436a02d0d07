package reconcile

import (
	"math"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// class is a set of single matches whose lines may as well be each other's.
type class struct{ found []found }

// mostShared bounds the lines of a side that are shared out.
const mostShared = 12

// family is the charge type; lines of one sign that add or remove seats may be
// of the same event.
func family(kind string) string {
	if isSeatPair(kind) {
		return "seats"
	}
	return kind
}

// assign gives each line the counterpart, or none, with which all of them
// together weigh least.
func (c *class) assign(x *explainer, m *matcher) (result []found, weight int, err error) {
	var ours, theirs []*entry
	for _, f := range c.found {
		ours, theirs = append(ours, f.ours...), append(theirs, f.theirs...)
	}
	if len(ours) == 0 || len(theirs) == 0 || len(c.found) < 2 || max(len(ours), len(theirs)) > mostShared {
		for _, f := range c.found {
			w, err := x.weigh(f)
			if err != nil {
				return nil, 0, err
			}
			weight += w
		}
		return c.found, weight, nil
	}
	byPlace := func(a, b *entry) int { return a.place - b.place }
	slices.SortFunc(ours, byPlace)
	slices.SortFunc(theirs, byPlace)
	// Rows are our lines, then one for each of theirs that stays alone; columns
	// are theirs, then one for each of ours that does.
	n := len(ours) + len(theirs)
	costs := make([][]int64, n)
	for i := range costs {
		costs[i] = make([]int64, n)
		for j := range costs[i] {
			switch {
			case i < len(ours) && j < len(theirs):
				if costs[i][j], err = x.pairCost(m, ours[i], theirs[j]); err != nil {
					return nil, 0, err
				}
			case i < len(ours):
				costs[i][j] = int64(weights[MissingThere]) * heavier
			case j < len(theirs):
				costs[i][j] = int64(weights[MissingHere]) * heavier
			}
		}
	}
	for i, j := range cheapest(costs) {
		switch {
		case i < len(ours) && j < len(theirs):
			result = append(result, found{step: stepOf(ours[i], theirs[j]), ours: ours[i : i+1 : i+1], theirs: theirs[j : j+1 : j+1]})
		case i < len(ours):
			result = append(result, found{step: StepRemainder, ours: ours[i : i+1 : i+1]})
		case j < len(theirs):
			result = append(result, found{step: StepRemainder, theirs: theirs[j : j+1 : j+1]})
		}
	}
	for _, f := range result {
		w, err := x.weigh(f)
		if err != nil {
			return nil, 0, err
		}
		weight += w
	}
	return result, weight, nil
}

// heavier keeps weights apart from distances, which decide between equal ones.
const heavier = 1 << 24

// pairCost is what a pair weighs and, less than that, how far its lines are apart.
func (x *explainer) pairCost(m *matcher, o, b *entry) (int64, error) {
	anotherEvent := o.kind != b.kind && (o.start != b.start || o.end != b.end)
	if !m.within(o, b) || !sameProduct(o, b) || anotherEvent {
		return math.MaxInt32 * heavier, nil
	}
	weight, err := x.weigh(found{step: stepOf(o, b), ours: []*entry{o}, theirs: []*entry{b}})
	if err != nil {
		return 0, err
	}
	if o.kind != b.kind {
		weight += weights[Days]
	}
	return int64(weight)*heavier + min(distance(o, b), heavier-1), nil
}

// distance is how many days and hundredths of its quantity a line is off.
func distance(o, b *entry) int64 {
	n := daysApart(o.line.OrderDate, b.line.OrderDate) + daysApart(o.start, b.start) + daysApart(o.end, b.end)
	if most := decimal.Max(o.quantity, b.quantity); most.IsPositive() {
		n += o.quantity.Sub(b.quantity).Abs().Shift(2).Div(most).IntPart()
	}
	if o.line.ReferenceID != "" && o.line.ReferenceID == b.line.ReferenceID {
		return n
	}
	return n + 1
}

func daysApart(a, b pricing.Date) int64 {
	if a == pricing.NoDate || b == pricing.NoDate {
		return 0
	}
	return apart(a, b)
}

// stepOf is the strictest step that would find a pair of a subscription.
func stepOf(o, b *entry) Step {
	start, end, quantity := o.start == b.start, o.end == b.end, o.quantity.Equal(b.quantity)
	switch {
	case o.kind != b.kind:
		return StepType
	case start && end && quantity:
		return StepKey
	case start && end:
		return StepQuantity
	case end && quantity:
		return StepDate
	case quantity:
		return StepDates
	case end:
		return StepOccasion
	default:
		return StepLoose
	}
}

// cheapest assigns each row of a square matrix a column, so that the sum is
// least: the Hungarian method, with the potentials of rows and columns.
func cheapest(costs [][]int64) []int {
	n := len(costs)
	rows, columns := make([]int64, n+1), make([]int64, n+1) // potentials
	of := make([]int, n+1)                                  // the row of a column, both from 1
	for row := 1; row <= n; row++ {
		from, least, seen := make([]int, n+1), make([]int64, n+1), make([]bool, n+1)
		for j := range least {
			least[j] = math.MaxInt64
		}
		of[0] = row
		at := 0
		for of[at] != 0 {
			seen[at] = true
			i, step, next := of[at], int64(math.MaxInt64), 0
			for j := 1; j <= n; j++ {
				if seen[j] {
					continue
				}
				if c := costs[i-1][j-1] - rows[i] - columns[j]; c < least[j] {
					least[j], from[j] = c, at
				}
				if least[j] < step {
					step, next = least[j], j
				}
			}
			for j := range n + 1 {
				if seen[j] {
					rows[of[j]] += step
					columns[j] -= step
				} else {
					least[j] -= step
				}
			}
			at = next
		}
		for at != 0 {
			of[at] = of[from[at]]
			at = from[at]
		}
	}
	assigned := make([]int, n)
	for j := 1; j <= n; j++ {
		assigned[of[j]-1] = j - 1
	}
	return assigned
}
