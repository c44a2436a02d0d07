package faulty

import (
	"context"
	"errors"

	"github.com/calends/calends/pipeline/bucket"
)

// Lock is [bucket.Bucket]'s.
func (b *Bucket) Lock(ctx context.Context, claim bucket.Claim) (bucket.Lock, error) {
	c, err := b.begin(ctx, Lock, claim.Name, 0)
	if err != nil {
		return nil, err
	}
	inner, err := b.inner.Lock(ctx, claim)
	if err := c.finish(err); err != nil {
		if inner != nil {
			err = errors.Join(err, inner.Unlock())
		}
		return nil, err
	}
	return &lock{Lock: inner, bucket: b, name: claim.Name}, nil
}

// lock is a lock that is held. Its Unlock is never a fault: the dead lose their
// locks, and a store that forgets to take one back is a store that forgets a dead
// holder.
type lock struct {
	bucket.Lock
	bucket *Bucket
	name   string
}

func (l *lock) Check(ctx context.Context) error {
	c, err := l.bucket.begin(ctx, Check, l.name, 0)
	if err != nil {
		return err
	}
	return c.finish(l.Lock.Check(ctx))
}
