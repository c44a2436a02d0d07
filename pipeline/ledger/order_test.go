package ledger

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// Customers whose ids begin alike, changes at the same time and with the same id
// stand as [change.Compare] has them.
func TestChangesInOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	customers := []string{"", "a", "12345678", "12345678-a", "12345678-b", "12345678\x00", "1234567", "ffffffff-1", "ffffffff-2", "87654321-9"}
	day := pricing.DateOf(2026, 1, 1).Instant()
	for range 50 {
		changes := make([]change.Change, 1+random.IntN(400))
		for i := range changes {
			c := &changes[i]
			c.CustomerID = customers[random.IntN(len(customers))]
			c.At = day + pricing.Instant(random.Int64N(4))*40*pricing.Instant(pricing.Day)
			c.ID = fmt.Sprint(random.IntN(30))
			c.Taken.Record = int64(i)
		}
		want := make([]*change.Change, len(changes))
		for i := range changes {
			want[i] = &changes[i]
		}
		slices.SortFunc(want, func(a, b *change.Change) int {
			return cmp.Or(cmp.Compare(a.At.Date().Month(), b.At.Date().Month()), change.Compare(a, b))
		})
		for i, p := range inOrder(changes) {
			if p.change != want[i] || p.month != want[i].At.Date().Month() {
				t.Fatalf("of %d changes the %d. is %+v, want %+v", len(changes), i, p.change, want[i])
			}
		}
	}
}
