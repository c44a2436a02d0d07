package change_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	made := func(customer string, at pricing.Instant, id string, input, record int64) *change.Change {
		return &change.Change{CustomerID: customer, At: at, ID: id, Taken: change.Position{Input: input, Record: record}}
	}
	tests := []struct {
		name          string
		before, after *change.Change
	}{
		{"by customer first", made("a", 2, "e2", 2, 2), made("b", 1, "e1", 1, 1)},
		{"customers by bytes: capitals before small letters", made("B", 2, "e2", 2, 2), made("a", 1, "e1", 1, 1)},
		{"then by time", made("a", 1, "e2", 2, 2), made("a", 2, "e1", 1, 1)},
		{"to the tick, also before 1970", made("a", -2, "e2", 2, 2), made("a", -1, "e1", 1, 1)},
		{"then by id", made("a", 1, "e1", 2, 2), made("a", 1, "e2", 1, 1)},
		{"ids by bytes: e10 before e2", made("a", 1, "e10", 2, 2), made("a", 1, "e2", 1, 1)},
		{"then by input", made("a", 1, "e1", 1, 2), made("a", 1, "e1", 2, 1)},
		{"then by record", made("a", 1, "e1", 1, 1), made("a", 1, "e1", 1, 2)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := change.Compare(test.before, test.after); got >= 0 {
				t.Errorf("Compare = %d, want less than 0", got)
			}
			if got := change.Compare(test.after, test.before); got <= 0 {
				t.Errorf("the other way round = %d, want more than 0", got)
			}
			if got := change.Compare(test.before, test.before); got != 0 {
				t.Errorf("with itself = %d, want 0", got)
			}
		})
	}
}

// The contents do not count: two changes of one place are the same.
func TestCompareIsAnOrder(t *testing.T) {
	t.Parallel()
	draw := rapid.Custom(func(t *rapid.T) *change.Change {
		return &change.Change{
			CustomerID: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "customer"), ID: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "id"),
			At:    pricing.Instant(rapid.IntRange(0, 2).Draw(t, "at")),
			Taken: change.Position{Input: rapid.Int64Range(1, 2).Draw(t, "input"), Record: rapid.Int64Range(1, 2).Draw(t, "record")},
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		changes := rapid.SliceOfN(draw, 0, 12).Draw(t, "changes")
		shuffled := rapid.Permutation(changes).Draw(t, "shuffled")
		slices.SortFunc(changes, change.Compare)
		slices.SortFunc(shuffled, change.Compare)
		for i := range changes {
			if change.Compare(changes[i], shuffled[i]) != 0 {
				t.Fatalf("place %d: %+v or %+v, by the order of arrival", i, changes[i], shuffled[i])
			}
			if i > 0 && change.Compare(changes[i-1], changes[i]) > 0 {
				t.Fatalf("places %d and %d are out of order", i-1, i)
			}
		}
	})
}

func TestNextTermEmpty(t *testing.T) {
	t.Parallel()
	if !(change.NextTerm{CustomTermEnd: pricing.NoDate}).Empty() {
		t.Error("nothing is not empty")
	}
	for name, n := range map[string]change.NextTerm{
		"a quantity":             {Quantity: new(int64(0)), CustomTermEnd: pricing.NoDate},
		"an end on 1970-01-01":   {},
		"a product":              {SKU: pricing.SKU{ProductID: "A"}, CustomTermEnd: pricing.NoDate},
		"a promotion to ask for": {PromotionID: "SUMMER", CustomTermEnd: pricing.NoDate},
	} {
		if n.Empty() {
			t.Errorf("%s is empty", name)
		}
	}
}
