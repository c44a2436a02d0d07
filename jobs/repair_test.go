package jobs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestRepairInterrupted: a repair that dies after any number of writes and
// deletions loses nothing, and the next one finishes it.
func TestRepairInterrupted(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("stops after every write")
	}
	archive, err := txtar.ParseFile(shelfFolder + "/many.txtar")
	if err != nil {
		t.Fatal(err)
	}
	_, script, _ := strings.Cut(string(archive.Comment), "\n\n")
	died := true
	for writes := int64(0); died; writes++ {
		s := newShelf(t)
		for line := range strings.Lines(script) {
			s.run(line)
		}
		damaged := contents(t.Context(), t, s.env.Bucket)
		left := new(atomic.Int64)
		left.Store(writes)
		dying := s.env
		dying.Bucket = mortalBucket{s.env.Bucket, left}
		_, err := dying.Repair(t.Context(), RepairPlan{From: s.offers})
		died = err != nil
		if died && !errors.Is(err, errDead) {
			t.Fatal(err)
		}
		s.nothingIsLost(damaged)
		result, text := s.repair(false)
		if len(result.Left) > 0 || died && result.Faults > 0 {
			t.Errorf("after %d writes: %d faults\n%s", writes, result.Faults, text)
		}
		s.nothingIsLost(damaged)
	}
}

// TestRepairTakesOnlyWhatIsWanted: a file of the right name and other content is
// no help, and stays out of the bucket.
func TestRepairTakesOnlyWhatIsWanted(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.run("remove data:2")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "customers.csv"), []byte("CustomerId,CustomerName,CustomerDomainName,CustomerCountry,Segment,PartnerId,ResellerMpnId\nx,X,,NL,,shelf,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := contents(t.Context(), t, s.env.Bucket)
	result, err := s.env.Repair(t.Context(), RepairPlan{From: []string{dir}})
	if err != nil || len(result.Actions) > 0 || len(result.Left) != 1 || !result.Open() {
		t.Errorf("repair: %v, %+v", err, result)
	}
	sameFiles(t, "a repair that could not", before, contents(t.Context(), t, s.env.Bucket))
}

// TestRepairAsksForFiles: what is offered must be there, and readable twice.
func TestRepairAsksForFiles(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	if _, err := s.env.Repair(t.Context(), RepairPlan{From: []string{"nowhere"}}); !errors.Is(err, ErrMissing) {
		t.Errorf("a path to nothing: %v", err)
	}
	if _, err := s.env.Repair(t.Context(), RepairPlan{From: []string{"-"}}); !errors.Is(err, ErrUsage) {
		t.Errorf("standard input: %v", err)
	}
}
