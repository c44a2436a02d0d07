package twin

import (
	"fmt"
	"slices"
	"strings"
)

// Shrink makes a life that fails as small as it can: it leaves out steps, changes,
// customers, price rows and everything else for as long as fails still says true.
// A life that fails for another reason than the first will do too, so fails should
// ask for the difference that it is after.
func Shrink(l Life, fails func(Life) bool) Life {
	for {
		smaller := shrinkList(l, stepsOf, fails)
		for i := range smaller.Steps {
			for _, list := range listsOf(i) {
				smaller = shrinkList(smaller, list, fails)
			}
			for j := range smaller.Steps[i].Inputs.Sheets {
				smaller = shrinkList(smaller, rowsOf(i, j), fails)
			}
		}
		if weight(smaller) == weight(l) {
			return smaller
		}
		l = smaller
	}
}

// list is one of the lists that a life is made of.
type list struct {
	length  func(Life) int
	without func(l Life, from, to int) Life // a copy without some elements
}

// shrinkList leaves out ever smaller stretches of one list.
func shrinkList(l Life, part list, fails func(Life) bool) Life {
	for size := part.length(l); size > 0; size /= 2 {
		for from := 0; from < part.length(l); {
			try := part.without(l, from, min(from+size, part.length(l)))
			if fails(try) {
				l = try
			} else {
				from += size
			}
		}
	}
	return l
}

var stepsOf = list{
	length: func(l Life) int { return len(l.Steps) },
	without: func(l Life, from, to int) Life {
		l.Steps = slices.Delete(slices.Clone(l.Steps), from, to)
		return l
	},
}

// listsOf are the lists of inputs of one step.
func listsOf(step int) []list {
	return []list{
		inputsOf(step, func(w *World) *[]Change { return &w.Changes }),
		inputsOf(step, func(w *World) *[]Customer { return &w.Customers }),
		inputsOf(step, func(w *World) *[]Partner { return &w.Partners }),
		inputsOf(step, func(w *World) *[]Sheet { return &w.Sheets }),
		inputsOf(step, func(w *World) *[]Rate { return &w.FX }),
		inputsOf(step, func(w *World) *[]Promotion { return &w.Promotions }),
		inputsOf(step, func(w *World) *[]Offer { return &w.Offers }),
		inputsOf(step, func(w *World) *[]ChargeFile { return &w.Charges }),
	}
}

func inputsOf[T any](step int, of func(*World) *[]T) list {
	return list{
		length: func(l Life) int { return len(*of(&l.Steps[step].Inputs)) },
		without: func(l Life, from, to int) Life {
			l.Steps = slices.Clone(l.Steps)
			elements := of(&l.Steps[step].Inputs)
			*elements = slices.Delete(slices.Clone(*elements), from, to)
			return l
		},
	}
}

func rowsOf(step, sheet int) list {
	return list{
		length: func(l Life) int { return len(l.Steps[step].Inputs.Sheets[sheet].Rows) },
		without: func(l Life, from, to int) Life {
			l.Steps = slices.Clone(l.Steps)
			sheets := slices.Clone(l.Steps[step].Inputs.Sheets)
			sheets[sheet].Rows = slices.Delete(slices.Clone(sheets[sheet].Rows), from, to)
			l.Steps[step].Inputs.Sheets = sheets
			return l
		},
	}
}

// weight counts the elements of a life.
func weight(l Life) int {
	n := len(l.Steps)
	for i := range l.Steps {
		for _, part := range listsOf(i) {
			n += part.length(l)
		}
		for _, s := range l.Steps[i].Inputs.Sheets {
			n += len(s.Rows)
		}
	}
	return n
}

// String tells a life in a few lines a step, to be read by people.
func (l Life) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d\n", l.Seed)
	for i, s := range l.Steps {
		if s.Kind != StepIngest {
			fmt.Fprintf(&b, "%d %s %s\n", i, s.Kind, s.Month)
			continue
		}
		fmt.Fprintf(&b, "%d ingest\n", i)
		s.Inputs.tell(&b)
	}
	return b.String()
}

func (w World) tell(b *strings.Builder) {
	for _, p := range w.Partners {
		fmt.Fprintf(b, "  partner %+v\n", p)
	}
	for _, c := range w.Customers {
		fmt.Fprintf(b, "  customer %+v\n", c)
	}
	for _, s := range w.Sheets {
		fmt.Fprintf(b, "  sheet %s %s, %d rows\n", s.Market, s.Month, len(s.Rows))
		for _, r := range s.Rows[:min(len(s.Rows), 12)] {
			fmt.Fprintf(b, "    %s/%s %s/%s %s %s %s tier %q..%q, %s to %s\n",
				r.ProductID, r.SkuID, r.Term, r.Plan, r.Segment, r.UnitPrice, r.Currency, r.TierMin, r.TierMax, r.Start, r.End)
		}
	}
	for _, r := range w.FX[:min(len(w.FX), 12)] {
		fmt.Fprintf(b, "  rate %s %s %s\n", r.Month, r.Currency, r.USDPerUnit)
	}
	for _, p := range w.Promotions {
		fmt.Fprintf(b, "  promotion %+v\n", p)
	}
	for _, o := range w.Offers {
		fmt.Fprintf(b, "  offer %+v\n", o)
	}
	changes := slices.Clone(w.Changes)
	slices.SortStableFunc(changes, func(x, y Change) int { return strings.Compare(x.Time+x.ID, y.Time+y.ID) })
	for _, c := range changes {
		fmt.Fprintf(b, "  change %s %s %s %s %v %s\n", c.Time, c.ID, c.Type, c.Subject, c.Data, c.Override)
	}
	for _, f := range w.Charges {
		fmt.Fprintf(b, "  charges %s %s, %d rows\n", f.Month, f.Name, len(f.Rows))
	}
}
