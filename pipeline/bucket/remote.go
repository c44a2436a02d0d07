package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"gocloud.dev/blob"
)

// Remote is a [Bucket] in an object store that is reached over the network: S3 and
// what speaks its language, Azure Blob Storage. The program's folder of a key is
// part of the key there, so whether a key is also the folder of another goes
// unnoticed where the store does not look. Open makes one.
type Remote struct {
	store remoteStore
}

// remoteStore holds the objects of a Remote by their keys in the store. It is the
// place where errors get their class and their advice.
type remoteStore struct {
	bucket *blob.Bucket
	prefix string // of every key; empty, or ending with a slash
	// unsorted: listings do not come in the byte order of keys.
	unsorted bool
	// lends: the store signs addresses of its objects ([Lender]).
	lends bool
	// explain says of an error of the store what happened and what to do.
	explain func(ctx context.Context, err error) error
}

// Create is [Bucket]'s.
func (r *Remote) Create(ctx context.Context, key string) (Writer, error) {
	if err := begin(ctx, key); err != nil {
		return nil, fmt.Errorf("create object %q: %w", key, err)
	}
	return &writer{ctx: ctx, key: key, sink: newRemoteSink(ctx, r.store, key)}, nil
}

// Open is [Bucket]'s.
func (r *Remote) Open(ctx context.Context, key string) (Object, error) {
	if err := begin(ctx, key); err != nil {
		return nil, fmt.Errorf("open object %q: %w", key, err)
	}
	object, err := openRemote(ctx, r.store, key)
	if err != nil {
		return nil, fmt.Errorf("open object %q: %w", key, err)
	}
	return object, nil
}

// List is [Bucket]'s. It asks for a page of keys at a time.
func (r *Remote) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		err := checkPrefix(prefix)
		if err == nil {
			err = r.list(ctx, prefix, yield)
		}
		if err != nil {
			yield(Info{}, fmt.Errorf("list objects under %q: %w", prefix, err))
		}
	}
}

func (r *Remote) list(ctx context.Context, prefix string, yield func(Info, error) bool) error {
	for info, err := range r.store.all(ctx, prefix) {
		if err != nil {
			return err
		}
		// The store's own folder, and what other programs have put here.
		if checkKey(info.Key) != nil {
			continue
		}
		if !yield(info, nil) {
			return nil
		}
	}
	return nil
}

// Delete is [Bucket]'s.
func (r *Remote) Delete(ctx context.Context, key string) error {
	if err := begin(ctx, key); err != nil {
		return fmt.Errorf("delete object %q: %w", key, err)
	}
	return r.store.remove(ctx, key)
}

// Lock is [Bucket]'s. It is a lease.
func (r *Remote) Lock(ctx context.Context, claim Claim) (Lock, error) {
	return leasesOn(r.store).lock(ctx, claim)
}

// The rawStore.

func (s remoteStore) create(ctx context.Context, key string, data []byte) error {
	if err := s.put(ctx, key, newMark(), data); err != nil {
		return fmt.Errorf("create object %q: %w", key, err)
	}
	return nil
}

func (s remoteStore) read(ctx context.Context, key string) ([]byte, error) {
	object, err := openRemote(ctx, s, key)
	if err != nil {
		return nil, fmt.Errorf("read object %q: %w", key, err)
	}
	defer object.Close()
	data, err := io.ReadAll(object)
	if err != nil {
		return nil, fmt.Errorf("read object %q: %w", key, err)
	}
	return data, nil
}

func (s remoteStore) list(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	for info, err := range s.all(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list objects under %q: %w", prefix, err)
		}
		keys = append(keys, info.Key)
	}
	return keys, nil
}

func (s remoteStore) remove(ctx context.Context, key string) error {
	err := s.bucket.Delete(ctx, s.prefix+key)
	if err == nil || isNotFound(err) {
		return nil
	}
	return fmt.Errorf("delete object %q: %w", key, s.explain(ctx, err))
}

// all yields what is below a prefix, the store's own folder too, in the byte order
// of the keys.
func (s remoteStore) all(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	if s.unsorted {
		return sorted(s.pages(ctx, prefix))
	}
	return inOrder(s.pages(ctx, prefix))
}

// pages yields a listing as the store gives it.
func (s remoteStore) pages(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if ctx.Err() != nil {
			yield(Info{}, ctx.Err())
			return
		}
		listing := s.bucket.List(&blob.ListOptions{Prefix: s.prefix + prefix})
		for {
			object, err := listing.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Info{}, s.explain(ctx, err))
				return
			}
			if !yield(Info{Key: strings.TrimPrefix(object.Key, s.prefix), Size: object.Size, Modified: object.ModTime}, nil) {
				return
			}
		}
	}
}

// sorted brings a listing into order, which takes all of it.
func sorted(listing iter.Seq2[Info, error]) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		var all []Info
		for info, err := range listing {
			if err != nil {
				yield(Info{}, err)
				return
			}
			all = append(all, info)
		}
		slices.SortFunc(all, func(a, b Info) int { return strings.Compare(a.Key, b.Key) })
		for _, info := range all {
			if !yield(info, nil) {
				return
			}
		}
	}
}

// inOrder passes on a listing that claims to be in order, and stops where it is
// not: a reader that takes the highest key would take a wrong one.
func inOrder(listing iter.Seq2[Info, error]) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		last := ""
		for info, err := range listing {
			if err == nil && info.Key <= last && last != "" {
				err = fmt.Errorf("the store lists %q after %q, which is not the order of their bytes (directory buckets of S3 cannot be used)", info.Key, last)
			}
			if !yield(info, err) || err != nil {
				return
			}
			last = info.Key
		}
	}
}
