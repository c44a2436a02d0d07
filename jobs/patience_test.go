package jobs

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket"
)

// Whoever has patience waits for the lock; whoever has none is told at once.
func TestPatience(t *testing.T) {
	t.Parallel()
	env := envOn(bucket.NewMemory())
	held, err := env.Bucket.Lock(t.Context(), bucket.Claim{Name: writeLock, Run: "bill 2024-04"})
	if err != nil {
		t.Fatal(err)
	}
	ran := false
	job := func(context.Context, Env) error { ran = true; return nil }
	if err := env.Together(t.Context(), "hasty", job); !errors.Is(err, bucket.ErrLocked) || ran {
		t.Errorf("without patience: got %v, want that the bucket is locked", err)
	}
	env.Patience = 20 * time.Millisecond
	if err := env.Together(t.Context(), "of little patience", job); !errors.Is(err, bucket.ErrLocked) || ran {
		t.Errorf("with too little patience: got %v, want that the bucket is locked", err)
	}
	time.AfterFunc(30*time.Millisecond, func() { _ = held.Unlock() })
	env.Patience = time.Minute
	if err := env.Together(t.Context(), "patient", job); err != nil || !ran {
		t.Errorf("with patience: got %v, ran %t", err, ran)
	}
}
