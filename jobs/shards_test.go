package jobs

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/calends/calends/pipeline/bucket"
)

// A month's files do not depend on how many work at it, on how much they take at
// a time, nor on how much of it is in memory.
func TestSameBytesWhateverTheShards(t *testing.T) {
	t.Parallel()
	plan := WorldPlan{Folder: t.TempDir(), Subscriptions: 3000, Seed: 7, Month: "2026-03"}
	env := testEnv(t, nil)
	disk, err := bucket.NewDisk(WorldBucket(plan.Folder))
	if err != nil {
		t.Fatal(err)
	}
	env.Bucket = disk
	if _, err := env.MakeWorld(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	month := mustMonth(t, plan.Month)
	env.Today = month.Last() + 1
	bill := func(workers, shard int, memory int64) map[string]string {
		over := bucket.NewMemory()
		env := env
		env.Bucket, env.Workers, env.Shard, env.memory = &patch{Bucket: disk, over: over}, workers, shard, memory
		if _, err := env.Bill(t.Context(), month, false); err != nil {
			t.Fatal(err)
		}
		if _, err := env.Close(t.Context(), month, "a few are parked"); err != nil {
			t.Fatal(err)
		}
		files := make(map[string]string)
		for info, err := range over.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			data, err := bucket.ReadAll(t.Context(), over, info.Key)
			if err != nil {
				t.Fatal(err)
			}
			files[info.Key] = fmt.Sprintf("%x", sha256.Sum256(data))
		}
		return files
	}
	want := bill(1, 0, 0)
	if len(want) < 20 {
		t.Fatalf("%d files, want those of two revisions", len(want))
	}
	for _, test := range []struct {
		workers, shard int
		memory         int64
	}{
		{2, 0, 0},
		{8, 1, 1},
		{2, 100, 1},
		{1, 1_000_000, 100_000},
		{8, 700, 0},
	} {
		sameFiles(t, fmt.Sprintf("%d workers, shards of %d, %d bytes in memory", test.workers, test.shard, test.memory), want,
			bill(test.workers, test.shard, test.memory))
	}
}
