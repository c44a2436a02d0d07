package jobs

import (
	"context"
	"fmt"

	"github.com/calends/calends/pricing"
)

// MonthDifferences counts what reconciling a month left for somebody to look at.
type MonthDifferences struct {
	Month pricing.Month
	Open  int
}

// OpenDifferences counts the open differences of each of the months, first and last
// included, that was reconciled. Of each partner the newest comparison counts.
func (e Env) OpenDifferences(ctx context.Context, first, last pricing.Month) ([]MonthDifferences, error) {
	var months []MonthDifferences
	for month := first; month <= last; month++ {
		// Keys sort as text, so the highest number need not come last.
		newest, open := make(map[string]int), make(map[string]int)
		for m, err := range e.reconcileManifests(ctx, month, new(int)) {
			if err != nil {
				return nil, fmt.Errorf("count the open differences of %s: %w", month, err)
			}
			for _, p := range m.Partners {
				if m.Revision >= newest[p.PartnerID] {
					newest[p.PartnerID], open[p.PartnerID] = m.Revision, p.Open
				}
			}
		}
		if len(newest) == 0 {
			continue
		}
		sum := 0
		for _, n := range open {
			sum += n
		}
		months = append(months, MonthDifferences{month, sum})
	}
	return months, nil
}
