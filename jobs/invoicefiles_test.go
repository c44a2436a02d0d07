package jobs

import (
	"context"
	"path"
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/bucket"
)

// forgetfulBucket gives back another CSV than it was given: one line less.
type forgetfulBucket struct{ bucket.Bucket }

func (b forgetfulBucket) Open(ctx context.Context, key string) (bucket.Object, error) {
	if path.Base(key) != csvName {
		return b.Bucket.Open(ctx, key)
	}
	data, err := bucket.ReadAll(ctx, b.Bucket, key)
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(data), "\r\n")
	less := bucket.NewMemory()
	if err := bucket.Put(ctx, less, key, []byte(strings.Join(append(lines[:1:1], lines[2:]...), ""))); err != nil {
		return nil, err
	}
	return less.Open(ctx, key)
}

// What lies in the bucket is added up before the manifest says that it is there.
func TestNothingIsPublishedThatReadsOtherwise(t *testing.T) {
	t.Parallel()
	plan := WorldPlan{Folder: t.TempDir(), Subscriptions: 300, Seed: 3, Month: "2026-03"}
	env := testEnv(t, nil)
	disk, err := bucket.NewDisk(WorldBucket(plan.Folder))
	if err != nil {
		t.Fatal(err)
	}
	env.Bucket = disk
	if _, err := env.MakeWorld(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	over := bucket.NewMemory()
	month := mustMonth(t, plan.Month)
	env.Bucket = forgetfulBucket{&patch{Bucket: disk, over: over}}
	_, err = env.Bill(t.Context(), month, false)
	if err == nil || !strings.Contains(err.Error(), "control totals: "+csvName+" read back gives") {
		t.Errorf("billed, with %v", err)
	}
	for info, err := range over.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if path.Base(info.Key) == manifestName {
			t.Errorf("%s is there", info.Key)
		}
	}
}
