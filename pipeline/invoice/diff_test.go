package invoice

import (
	"strings"
	"testing"

	"github.com/shopspring/decimal"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	lines := func(names string) (all []*Line) {
		for _, n := range strings.Fields(names) {
			all = append(all, &Line{Account: &Account{}, Item: &Item{SkuName: "name " + n}, ReferenceID: strings.ToLower(n), Quantity: decimal.NewFromInt(1)})
		}
		return all
	}
	names := func(all []*Line) string {
		var list []string
		for _, l := range all {
			list = append(list, l.ReferenceID)
		}
		return strings.Join(list, " ")
	}
	tests := []struct {
		name, before, after, gone, added string
	}{
		{"nothing differs", "a b", "a b", "", ""},
		{"order does not matter", "a b", "b a", "", ""},
		{"names do not matter", "a", "A", "", ""},
		{"new and gone, each in its order", "c a d", "x c w", "a d", "x w"},
		{"of equal lines as many stay as there are", "a a a", "a", "a a", ""},
		{"of equal lines as many come as there are", "a", "a a a", "", "a a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			gone, added := Diff(lines(test.before), lines(test.after))
			if names(gone) != test.gone || names(added) != test.added {
				t.Errorf("Diff(%s; %s): gone %q, added %q, want %q and %q", test.before, test.after, names(gone), names(added), test.gone, test.added)
			}
		})
	}
}
