package twin

import "testing"

// movesSeats says whether a life has a moveQuantity line somewhere.
func movesSeats(l Life) bool {
	for _, o := range Run(l) {
		for _, rows := range o.Result.Partners {
			for _, r := range rows {
				if r["ChargeType"] == "moveQuantity" {
					return true
				}
			}
		}
	}
	return false
}

func TestShrink(t *testing.T) {
	for seed := uint64(0); ; seed++ {
		life := Random(seed, 4)
		if !movesSeats(life) {
			continue
		}
		small := Shrink(life, movesSeats)
		// A few steps, a partner, a customer, a sheet with a few rows, and three or
		// four changes: two purchases and a move, however they came about.
		if !movesSeats(small) || weight(small) > 20 {
			t.Errorf("seed %d: from %d to %d\n%s", seed, weight(life), weight(small), small)
		}
		return
	}
}
