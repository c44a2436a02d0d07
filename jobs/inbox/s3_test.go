package inbox

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/bucket/buckettest"
)

// On a real server two machines take one inbox, to the bytes that one gives in memory.
func TestTwoMachinesOnS3(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a real server takes a while")
	}
	server := buckettest.StartS3(t)
	address, _ := server.NewBucket(t)
	drop(t, server.Open(t, address), everything(t))
	var machines sync.WaitGroup
	for range 2 {
		b := server.Open(t, address)
		machines.Go(func() {
			_, err := run1(context.Background(), inboxOn(b), Options{Now: fifth})
			if err != nil && !errors.Is(err, bucket.ErrLocked) {
				t.Error(err)
			}
		})
	}
	machines.Wait()
	undisturbed := bucket.NewMemory()
	drop(t, undisturbed, everything(t))
	take(t, undisturbed)
	if got, want := contents(t, server.Open(t, address)), contents(t, undisturbed); !mapsEqual(got, want) {
		t.Errorf("got %q\nwant %q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}
