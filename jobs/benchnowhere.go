package jobs

import (
	"context"
	"iter"
	"path"
	"sync"

	"github.com/calends/calends/pipeline/bucket"
)

// drain is a bucket that forgets the large files put into it and keeps their
// sizes: what writing to nowhere costs is the floor for writing anywhere.
type drain struct {
	bucket.Bucket // for the rest

	mutex sync.Mutex
	gone  map[string]int64 // bytes by key
}

func newDrain() *drain { return &drain{Bucket: bucket.NewMemory(), gone: make(map[string]int64)} }

// Create is [bucket.Bucket]'s.
func (d *drain) Create(ctx context.Context, key string) (bucket.Writer, error) {
	switch path.Base(key) {
	case csvName, parquetName, workbookName:
		return &drained{drain: d, key: key}, nil
	default:
		return d.Bucket.Create(ctx, key)
	}
}

// List is [bucket.Bucket]'s; the files that are gone come last.
func (d *drain) List(ctx context.Context, prefix string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		for info, err := range d.Bucket.List(ctx, prefix) {
			if !yield(info, err) {
				return
			}
		}
		d.mutex.Lock()
		defer d.mutex.Unlock()
		for key, size := range d.gone {
			if !yield(bucket.Info{Key: key, Size: size}, nil) {
				return
			}
		}
	}
}

// drained counts the bytes of one file.
type drained struct {
	drain *drain
	key   string
	size  int64
}

// Write is [bucket.Writer]'s.
func (d *drained) Write(p []byte) (int, error) {
	d.size += int64(len(p))
	return len(p), nil
}

// Commit is [bucket.Writer]'s.
func (d *drained) Commit() error {
	d.drain.mutex.Lock()
	defer d.drain.mutex.Unlock()
	d.drain.gone[d.key] = d.size
	return nil
}

// Abort is [bucket.Writer]'s.
func (d *drained) Abort() error { return nil }
