package jobs

import (
	"fmt"

	"github.com/calends/calends/pipeline/ledger"
)

// heldError marks a file that is more likely broken than true.
type heldError struct{ why string }

func (e *heldError) Error() string { return e.why }

// lostRows holds a price sheet, of which the market has so many rows, that has lost
// more than the plan allows: a download that broke off looks like that. It is
// compared with the last sheet of the market, of its month or before; one that
// says more than it is never held.
func (i *ingestion) lostRows(in *ledger.Input, market string, rows int) error {
	if i.plan.LostRows <= 0 {
		return nil
	}
	last, ok := lastSheet(i.at.inputs, in, market)
	if !ok || int64(rows)*100 >= last.rows*int64(100-i.plan.LostRows) {
		return nil
	}
	if i.plan.Accept != "" {
		in.Accepted = i.plan.Accept
		return nil
	}
	return &heldError{fmt.Sprintf("%s has %s of %s, the sheet of %s (input %d) has %d: more than %d%% are gone",
		in.Month, plural(rows, "row"), market, last.month, last.number, last.rows, i.plan.LostRows)}
}

// sheet is what the ledger has of a market's price sheet.
type sheet struct {
	number int64
	month  string
	rows   int64
}

// lastSheet finds the sheet of the market that holds for the month of the input, or
// for the nearest one before.
func lastSheet(inputs []ledger.Input, in *ledger.Input, market string) (last sheet, ok bool) {
	for _, known := range inputs {
		if known.Kind != in.Kind || known.Month > in.Month || known.Month < last.month {
			continue
		}
		for _, o := range known.Objects {
			if o.Market == market {
				last, ok = sheet{known.Number, known.Month, o.Records}, true
			}
		}
	}
	return last, ok
}
