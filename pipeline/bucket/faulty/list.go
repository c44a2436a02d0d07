package faulty

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/calends/calends/pipeline/bucket"
)

// List is [bucket.Bucket]'s. It is one operation, however many keys are taken.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		c, err := b.begin(ctx, List, prefix, 0)
		if err != nil {
			yield(bucket.Info{}, err)
			return
		}
		if c.fault.Kind == None {
			b.pass(c, yield)
			return
		}
		infos, err := b.collect(ctx, prefix)
		switch c.fault.Kind {
		case Partial:
			infos = infos[:len(infos)/2]
		case Stale:
			infos = b.past(infos, prefix, c.fault.Lag)
		default: // all of them, and then the error
		}
		for _, info := range infos {
			if !yield(info, nil) {
				_ = c.note(nil) // nobody sees what would have come
				return
			}
		}
		if err = c.finish(err); err != nil {
			yield(bucket.Info{}, err)
		}
	}
}

// pass hands on what the inner bucket yields.
func (b *Bucket) pass(c *call, yield func(bucket.Info, error) bool) {
	var failed error
	defer func() { _ = c.note(failed) }() // it was yielded already
	for info, err := range b.inner.List(c.ctx, c.key) {
		if err != nil {
			failed = err
		}
		if !yield(info, err) {
			return
		}
	}
}

func (b *Bucket) collect(ctx context.Context, prefix string) (infos []bucket.Info, err error) {
	for info, err := range b.inner.List(ctx, prefix) {
		if err != nil {
			return infos, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// past takes the last changes back out of a listing.
func (b *Bucket) past(infos []bucket.Info, prefix string, lag int) []bucket.Info {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := make(map[string]bucket.Info, len(infos))
	for _, info := range infos {
		now[info.Key] = info
	}
	for _, c := range slices.Backward(b.changes[max(0, len(b.changes)-lag):]) {
		switch {
		case !strings.HasPrefix(c.info.Key, prefix):
		case c.created:
			delete(now, c.info.Key)
		default:
			now[c.info.Key] = c.info
		}
	}
	past := make([]bucket.Info, 0, len(now))
	for _, key := range slices.Sorted(maps.Keys(now)) {
		past = append(past, now[key])
	}
	return past
}
