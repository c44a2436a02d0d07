package bucket

import "context"

// rawStore keeps small objects under any key, also under those below the store's
// own folder, which no [Bucket] can name. Leases are made of them. Errors are
// wrapped with the key.
type rawStore interface {
	// create makes an object, and returns ErrExists if the key is taken by another's.
	// That the answer to a creation was lost on its way is found out in here.
	create(ctx context.Context, key string, data []byte) error
	// read returns an object, or ErrNotExist.
	read(ctx context.Context, key string) ([]byte, error)
	// list returns the keys that begin with prefix, in byte order.
	list(ctx context.Context, prefix string) ([]string, error)
	// remove deletes an object. That it is not there is no error.
	remove(ctx context.Context, key string) error
}
