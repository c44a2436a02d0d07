package jobs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/calends/calends/pricing"
)

// believed is what the ledger believes on a day, a subscription a line.
func believed(t *testing.T, env Env, day pricing.Date) (lines []string) {
	t.Helper()
	for b, err := range env.Subscriptions(t.Context(), day) {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range b.Subscriptions {
			state := "active"
			switch {
			case s.Ended:
				state = "ended"
			case s.Suspended:
				state = "suspended"
			case s.Parked:
				state = "parked"
			}
			lines = append(lines, fmt.Sprintf("%s %s %d x %s %s %s, %s to %s, %s", b.CustomerID, s.Term.SubscriptionID, s.Quantity,
				s.Term.SKU.ProductID, s.Term.Span.Term, s.Term.Plan, s.Term.Span.Start, s.Term.Span.End, state))
		}
	}
	return lines
}

const dairySubscription = "ac85bab0-1652-40cc-94ec-81da3ac37385"

func TestSubscriptionsOnADay(t *testing.T) {
	t.Parallel()
	env := demoEnv(t)
	for _, row := range []struct{ day, want string }{
		{"2024-01-14", ""},
		{"2024-01-15", "2024-01-15 to 2025-01-14, active"},
		{"2024-04-20", "2024-01-15 to 2025-01-14, active"},
		{"2025-01-14", "2024-01-15 to 2025-01-14, active"},
		{"2025-01-15", "2025-01-15 to 2026-01-14, active"}, // renewed on that very day, in mid-month
	} {
		day, err := pricing.ParseDate(row.day)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, line := range believed(t, env, day) {
			if strings.Contains(line, dairySubscription) {
				_, got, _ = strings.Cut(line, "Monthly, ")
			}
		}
		if got != row.want {
			t.Errorf("on %s: %q, want %q", row.day, got, row.want)
		}
	}
}

// What stood at the close and came in since tells the same as all that ever came
// in, but for those that had ended before: their ids are remembered.
func TestSubscriptionsDoNotDependOnTheClose(t *testing.T) {
	t.Parallel()
	env := demoEnv(t)
	whole := env
	whole.WholeHistory = true
	for _, day := range []pricing.Date{pricing.DateOf(2024, 4, 1), pricing.DateOf(2024, 4, 17), pricing.DateOf(2024, 6, 30)} {
		stood := make(map[string]bool)
		for _, line := range believed(t, env, day) {
			stood[line] = true
		}
		seen := make(map[string]func(string) bool)
		for b, err := range env.Subscriptions(t.Context(), day) {
			if err != nil {
				t.Fatal(err)
			}
			seen[b.CustomerID] = b.Seen
		}
		before := 0
		for _, line := range believed(t, whole, day) {
			words := strings.Fields(line)
			switch {
			case stood[line]:
				delete(stood, line)
			case strings.HasSuffix(line, "ended") && seen[words[0]](words[1]):
				before++
			default:
				t.Errorf("on %s, from the beginning only: %s", day, line)
			}
		}
		for line := range stood {
			t.Errorf("on %s, since the close only: %s", day, line)
		}
		if before == 0 {
			t.Errorf("on %s: no subscription had ended before the close, so nothing was tested", day)
		}
	}
}

func TestSubscriptionsStop(t *testing.T) {
	t.Parallel()
	env := demoEnv(t)
	customers := 0
	for _, err := range env.Subscriptions(t.Context(), pricing.DateOf(2024, 4, 30)) {
		if err != nil {
			t.Fatal(err)
		}
		customers++
		break
	}
	if customers != 1 {
		t.Errorf("%d customers, want to stop after the first", customers)
	}
}
