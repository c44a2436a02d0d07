package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/sync/errgroup"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// ManifestName is the name of a manifest in its revision's folder.
const ManifestName = manifestName

// Found is a record of the ledger as an audit finds it, damaged or not.
type Found[T any] struct {
	Key   string
	Value T
	// Err says why the object is not what its key says.
	Err error
}

// AuditInputs yields every object below the inputs in the order of its key, also
// those that [Ledger.Inputs] refuses. It reads with so many workers. The second
// value ends the sequence.
func (l Ledger) AuditInputs(ctx context.Context, workers int) iter.Seq2[Found[Input], error] {
	return audit(ctx, l.Bucket, workers, inputsPrefix, func(string) bool { return true }, func(key string, in Input) error {
		if err := checkLayout(key, in.Layout); err != nil {
			return err
		}
		if inputKey(in.Number) != key {
			return fmt.Errorf("it says that it is input %d", in.Number)
		}
		return nil
	})
}

// AuditRevisions yields the manifest of every revision, superseded ones too, in
// the order of its key, also those that [Ledger.Months] refuses.
func (l Ledger) AuditRevisions(ctx context.Context, workers int) iter.Seq2[Found[Manifest], error] {
	isManifest := func(key string) bool {
		_, _, ok := parseManifestKey(key)
		return ok
	}
	return audit(ctx, l.Bucket, workers, invoicesPrefix, isManifest, func(key string, m Manifest) error {
		if err := checkLayout(key, m.Layout); err != nil {
			return err
		}
		month, revision, _ := parseManifestKey(key)
		if m.Month != month.String() || m.Revision != revision {
			return fmt.Errorf("it says month %s, revision %d", m.Month, m.Revision)
		}
		for partner, policies := range m.Policies {
			if _, err := ParsePolicies(policies); err != nil {
				return fmt.Errorf("partner %s: %w", partner, err)
			}
		}
		return nil
	})
}

// auditBatch is how many records a worker reads before they are handed on: they
// are small, and a remote store takes its time for each.
const auditBatch = 16

func audit[T any](ctx context.Context, b bucket.Bucket, workers int, prefix string, ours func(key string) bool, check func(string, T) error) iter.Seq2[Found[T], error] {
	return func(yield func(Found[T], error) bool) {
		var keys []string
		for info, err := range b.List(ctx, prefix) {
			if err != nil {
				yield(Found[T]{}, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			if ours(info.Key) {
				keys = append(keys, info.Key)
			}
		}
		for batch := range slices.Chunk(keys, auditBatch*max(1, workers)) {
			for _, f := range readRecords(ctx, b, workers, batch, check) {
				if !yield(f, nil) {
					return
				}
			}
		}
	}
}

// readRecords reads on all workers, and gives the records back in order.
func readRecords[T any](ctx context.Context, b bucket.Bucket, workers int, keys []string, check func(string, T) error) []Found[T] {
	found := make([]Found[T], len(keys))
	var group errgroup.Group
	group.SetLimit(max(1, workers))
	for i, key := range keys {
		group.Go(func() error {
			f := Found[T]{Key: key}
			if f.Err = readJSON(ctx, b, key, &f.Value); f.Err == nil {
				f.Err = check(key, f.Value)
			}
			found[i] = f
			return nil
		})
	}
	_ = group.Wait() // what went wrong stands with each record
	return found
}

// RevisionOf tells which revision of which month a manifest's key is of.
func RevisionOf(manifestKey string) (pricing.Month, int, bool) { return parseManifestKey(manifestKey) }

// CountRecords returns how many rows a Parquet object has, and false for an
// object of another kind.
func (l Ledger) CountRecords(ctx context.Context, o Object) (n int64, ok bool, err error) {
	if !strings.HasSuffix(o.Key, ".parquet") {
		return 0, false, nil
	}
	object, err := l.Bucket.Open(ctx, o.Key)
	if err != nil {
		return 0, true, err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	file, err := parquet.OpenFile(io.NewSectionReader(object, 0, object.Size()), object.Size())
	if err != nil {
		return 0, true, fmt.Errorf("read %s: %w", o.Key, err)
	}
	return file.NumRows(), true, nil
}
