package jobs

import (
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/bucket"
)

// Damaged records of relationships are faults: their customers cannot be bought for.
func TestVerifyRelationships(t *testing.T) {
	t.Parallel()
	const (
		first  = `{"layout":1,"customerId":"C1","partnerId":"P","number":1,"says":"requested","expires":"2026-01-01T00:00:00Z"}`
		second = `{"layout":1,"customerId":"C1","partnerId":"P","number":2,"says":"accepted","request":1}`
	)
	for _, tt := range []struct {
		name          string
		first, second string // "": it is not there
		want          string // "": no fault
	}{
		{"whole", first, second, ""},
		{"the newest is not there", first, "", ""},
		{"one is missing", "", second, "wrong-books relationships/C1/0001.json"},
		{"one is no JSON", first, "{", "unreadable-object relationships/C1/0002.json"},
		{"one is another customer's", first, strings.Replace(second, "C1", "C2", 1), "unreadable-object relationships/C1/0002.json"},
		{"one is of a later program", first, strings.Replace(second, `"layout":1`, `"layout":2`, 1), "newer-layout relationships/C1/0002.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := office(t)
			for key, data := range map[string]string{"relationships/C1/0001.json": tt.first, "relationships/C1/0002.json": tt.second} {
				if data == "" {
					continue
				}
				if err := bucket.Put(t.Context(), env.Bucket, key, []byte(data)); err != nil {
					t.Fatal(err)
				}
			}
			result, err := env.Verify(t.Context(), VerifyPlan{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range result.Findings {
				got = append(got, string(f.Kind)+" "+f.Object)
			}
			if strings.Join(got, ", ") != tt.want || len(result.Notices)+len(result.Leftovers) > 0 {
				t.Errorf("got %q, notices %v; want %q", got, result.Notices, tt.want)
			}
		})
	}
}
