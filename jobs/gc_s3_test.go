package jobs

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket/buckettest"
)

// TestGCAndRepairOnS3: on a real server, by its own clock.
func TestGCAndRepairOnS3(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a real server takes a while")
	}
	ctx := context.Background()
	server := buckettest.StartS3(t)
	address, folder := server.NewBucket(t)
	env := envOn(server.Open(t, address))
	healthy, err := shelfBucket()
	if err != nil {
		t.Fatal(err)
	}
	for key, data := range healthy {
		put(t, env.Bucket, key, data)
	}
	want := contents(ctx, t, env.Bucket)
	const young, old = "invoices/month=2026-02/revision=0002/exceptions.csv", unnamedData
	put(t, env.Bucket, young, []byte("half"))
	put(t, env.Bucket, old, []byte("half"))
	then := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(folder, filepath.FromSlash(old)), then, then); err != nil {
		t.Fatal(err)
	}
	workbook := january26 + "partner=shelf/reconciliation.xlsx"
	damage{t, env.Bucket}.replace(workbook, []byte("PK"))

	repaired, err := env.Repair(ctx, RepairPlan{})
	if err != nil || repaired.Faults > 0 || len(repaired.Actions) != 1 || repaired.Actions[0].Key != workbook {
		t.Errorf("repair: %v, %+v", err, repaired)
	}
	collected, err := env.GC(ctx, GCPlan{OlderThan: MinimumAge})
	if err != nil || len(collected.Removed) != 1 || collected.Removed[0].Key != old || collected.Young != 1 || collected.Undated != 0 {
		t.Errorf("gc: %v, %+v", err, collected)
	}
	want[young] = "half"
	got := contents(ctx, t, env.Bucket)
	delete(got, quarantineFolder+hashOf([]byte("PK"))+"-reconciliation.xlsx")
	sameFiles(t, "after both", want, got)
}
