package subscription_test

import (
	"testing"

	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

func TestWindowEnd(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, start, want string }{
		{"seven days to the second", "2026-10-05T09:30:00Z", "2026-10-12T09:30:00Z"},
		{"three days before 12 March 2022", "2022-03-11T23:59:59Z", "2022-03-14T23:59:59Z"},
		{"seven from then on", "2022-03-12T00:00:00Z", "2022-03-19T00:00:00Z"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			start, err := pricing.ParseInstant(test.start)
			if err != nil {
				t.Fatal(err)
			}
			if got := subscription.WindowEnd(start).String(); got != test.want {
				t.Errorf("WindowEnd(%s) = %s, want %s", test.start, got, test.want)
			}
		})
	}
}
