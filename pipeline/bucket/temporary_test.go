package bucket_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket"
)

// TestAbandoned: what a dead writer left is shown, what a living one writes is not.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	disk, err := bucket.NewDisk(root)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := disk.Abandoned(t.Context()); err != nil || len(left) != 0 {
		t.Fatalf("in an empty folder: %v, %v", left, err)
	}
	w, err := disk.Create(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := os.WriteFile(filepath.Join(root, ".calends", "tmp", "dead"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	left, err := disk.Abandoned(t.Context())
	if err != nil || len(left) != 1 || left[0].Key != ".calends/tmp/dead" || left[0].Size != 4 {
		t.Errorf("left %v, %v; want the dead writer's file alone", left, err)
	}
	if err := w.Commit(); err != nil {
		t.Errorf("the living writer was disturbed: %v", err)
	}
}

// TestListTellsWhen: listings date objects, by the store's clock.
func TestListTellsWhen(t *testing.T) {
	t.Parallel()
	memory := bucket.NewMemory()
	at := time.Date(2026, 10, 5, 9, 30, 0, 0, time.UTC)
	memory.Now = func() time.Time { return at }
	disk, err := bucket.NewDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(-time.Minute)
	for _, b := range []bucket.Bucket{memory, disk} {
		if err := bucket.Put(t.Context(), b, "a/b", nil); err != nil {
			t.Fatal(err)
		}
		for info, err := range b.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if b == memory && !info.Modified.Equal(at) || b == disk && !info.Modified.After(begin) {
				t.Errorf("%T: modified %s", b, info.Modified)
			}
		}
	}
}
