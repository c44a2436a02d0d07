package jobs

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calends/calends/pricing"
)

// Without the manifest of a closed month its lines would look as if nobody had
// issued them: nothing more is billed until it is back.
func TestALostCloseHoldsTheBooks(t *testing.T) {
	t.Parallel()
	env := demoEnv(t)
	lost := february + "manifest.json"
	manifest := get(t, env.Bucket, lost)
	damage{t, env.Bucket}.remove(lost)

	refused := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "the manifest that closed 2024-02 is lost, while 2024-03 is closed") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := env.Bill(t.Context(), pricing.MonthOf(2024, 4), false)
	refused("bill the month after", err)
	_, err = env.Bill(t.Context(), pricing.MonthOf(2024, 2), false)
	refused("bill the month itself", err)
	_, err = env.Close(t.Context(), pricing.MonthOf(2024, 4), "for the test")
	refused("close the month after", err)

	put(t, env.Bucket, lost, manifest)
	if _, err := env.Bill(t.Context(), pricing.MonthOf(2024, 4), false); err != nil {
		t.Errorf("with the manifest back: %v", err)
	}
}

// Without the first close the books would begin a month later, and what comes
// late for the first would never be billed.
func TestALostFirstCloseHoldsTheBooks(t *testing.T) {
	t.Parallel()
	env := demoEnv(t)
	damage{t, env.Bucket}.remove("invoices/month=2024-01/revision=0002/manifest.json")
	for _, month := range []pricing.Month{pricing.MonthOf(2024, 1), pricing.MonthOf(2024, 4)} {
		_, err := env.Bill(t.Context(), month, true)
		if err == nil || !strings.Contains(err.Error(), "the manifest that closed 2024-01 is lost, while 2024-02 is closed") {
			t.Errorf("bill %s: %v", month, err)
		}
	}
	verified, err := env.Verify(t.Context(), VerifyPlan{SkipProof: true})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(verified.Findings, func(f Finding) bool { return f.Kind == WrongBooks }) {
		t.Errorf("verify finds %+v", verified.Findings)
	}
}

// With the manifest put back from an export nothing is left to a person.
func TestALostCloseIsPutBack(t *testing.T) {
	t.Parallel()
	env := demoEnv(t)
	lost := february + "manifest.json"
	manifest := get(t, env.Bucket, lost)
	damage{t, env.Bucket}.remove(lost)
	export := t.TempDir()
	if err := os.WriteFile(filepath.Join(export, "manifest.json"), manifest, 0o600); err != nil {
		t.Fatal(err)
	}

	result, err := env.Repair(t.Context(), RepairPlan{From: []string{export}})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Left) > 0 || result.Open() {
		t.Errorf("left: %+v, %d faults", result.Left, result.Faults)
	}
	if !bytes.Equal(get(t, env.Bucket, lost), manifest) {
		t.Error("the manifest is another one")
	}
}
