package jobs

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/calends/calends/pipeline/bucket"
)

// patch is a bucket as it will be after a repair: what is written goes over what
// lies below, and what is hidden is not there. The bucket below is only read.
type patch struct {
	bucket.Bucket // below
	over          bucket.Bucket
	hidden        []string // keys, and prefixes that end with a slash
}

func newPatch(below bucket.Bucket, hidden ...string) *patch {
	return &patch{Bucket: below, over: bucket.NewMemory(), hidden: hidden}
}

func (p *patch) hides(key string) bool {
	return slices.ContainsFunc(p.hidden, func(h string) bool {
		return key == h || strings.HasSuffix(h, "/") && strings.HasPrefix(key, h)
	})
}

// put replaces an object.
func (p *patch) put(ctx context.Context, key string, data []byte) error {
	if err := p.over.Delete(ctx, key); err != nil {
		return err
	}
	return bucket.Put(ctx, p.over, key, data)
}

// made returns what was written under a key.
func (p *patch) made(ctx context.Context, key string) ([]byte, error) {
	return bucket.ReadAll(ctx, p.over, key)
}

// Create is [bucket.Bucket]'s.
func (p *patch) Create(ctx context.Context, key string) (bucket.Writer, error) {
	return p.over.Create(ctx, key)
}

// Open is [bucket.Bucket]'s.
func (p *patch) Open(ctx context.Context, key string) (bucket.Object, error) {
	object, err := p.over.Open(ctx, key)
	if err == nil {
		return object, nil
	}
	if p.hides(key) {
		return nil, fmt.Errorf("open object %q: %w", key, bucket.ErrNotExist)
	}
	return p.Bucket.Open(ctx, key)
}

// List is [bucket.Bucket]'s.
func (p *patch) List(ctx context.Context, prefix string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		var infos []bucket.Info
		written := make(map[string]bool)
		for info, err := range p.over.List(ctx, prefix) {
			if err != nil {
				yield(info, err)
				return
			}
			written[info.Key] = true
			infos = append(infos, info)
		}
		for info, err := range p.Bucket.List(ctx, prefix) {
			if err != nil {
				yield(info, err)
				return
			}
			if !written[info.Key] && !p.hides(info.Key) {
				infos = append(infos, info)
			}
		}
		slices.SortFunc(infos, func(a, b bucket.Info) int { return strings.Compare(a.Key, b.Key) })
		for _, info := range infos {
			if !yield(info, nil) {
				return
			}
		}
	}
}

// Delete is [bucket.Bucket]'s. Nothing that works on a patch deletes.
func (p *patch) Delete(_ context.Context, key string) error {
	return fmt.Errorf("delete object %q: a patch only adds", key)
}

// Lock is [bucket.Bucket]'s: that of what is written over.
func (p *patch) Lock(ctx context.Context, claim bucket.Claim) (bucket.Lock, error) {
	return p.over.Lock(ctx, claim)
}
