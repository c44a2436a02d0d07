package reconcile

import (
	"testing"

	"pgregory.net/rapid"
)

// What is assigned is a permutation, and no other costs less.
func TestCheapest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "n")
		costs := make([][]int64, n)
		for i := range costs {
			costs[i] = rapid.SliceOfN(rapid.Int64Range(0, 20), n, n).Draw(t, "row")
		}
		var best int64 = -1
		taken := make([]bool, n)
		var try func(row int, sum int64)
		try = func(row int, sum int64) {
			if row == n {
				if best < 0 || sum < best {
					best = sum
				}
				return
			}
			for j := range n {
				if !taken[j] {
					taken[j] = true
					try(row+1, sum+costs[row][j])
					taken[j] = false
				}
			}
		}
		try(0, 0)
		var got int64
		seen := make([]bool, n)
		for i, j := range cheapest(costs) {
			if seen[j] {
				t.Fatalf("column %d is assigned twice", j)
			}
			seen[j] = true
			got += costs[i][j]
		}
		if got != best {
			t.Errorf("it costs %d, the least is %d", got, best)
		}
	})
}
