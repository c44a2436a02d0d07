package jobs

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestPartsOfDeadRunsGo: what a killed export left half written is removed by the
// next one; what another is writing, and what is not ours, stays.
func TestPartsOfDeadRunsGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{partPrefix + "1234567", partPrefix + "notes", "manifest.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	living, err := createPart(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer living.Close()
	another, err := createPart(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer another.Close()
	want := []string{partPrefix + "notes", "manifest.json", filepath.Base(living.Name()), filepath.Base(another.Name())}
	slices.Sort(want)
	if got := below(t, dir); !slices.Equal(got, want) {
		t.Errorf("%q is there, want %q", got, want)
	}
}
