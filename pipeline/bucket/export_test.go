package bucket

import (
	"context"
	"time"

	"gocloud.dev/blob/memblob"
)

// NewRemoteInMemory is a Remote whose store is in this process.
func NewRemoteInMemory() *Remote {
	t := troubles{store: "memory", timeout: DefaultTimeout, now: time.Now, words: s3Words}
	return &Remote{store: remoteStore{bucket: memblob.OpenBucket(nil), prefix: "prefix/", explain: func(ctx context.Context, err error) error { return t.explain(ctx, err) }}}
}
