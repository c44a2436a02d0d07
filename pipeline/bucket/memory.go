package bucket

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a [Bucket] that lives in the process: for tests and trials. Make one
// with [NewMemory].
type Memory struct {
	// Now is the clock that dates objects. nil: they have no time. It is set before
	// the bucket is used.
	Now func() time.Time

	mu      sync.Mutex
	objects map[string][]byte // never modified once in here
	dates   map[string]time.Time
	locks   map[string]Holder
}

// NewMemory returns an empty bucket.
func NewMemory() *Memory {
	return &Memory{objects: map[string][]byte{}, dates: map[string]time.Time{}, locks: map[string]Holder{}}
}

// Create is [Bucket]'s.
func (m *Memory) Create(ctx context.Context, key string) (Writer, error) {
	if err := begin(ctx, key); err != nil {
		return nil, fmt.Errorf("create object %q: %w", key, err)
	}
	return &writer{ctx: ctx, key: key, sink: &memorySink{bucket: m, key: key}}, nil
}

// Open is [Bucket]'s.
func (m *Memory) Open(ctx context.Context, key string) (Object, error) {
	if err := begin(ctx, key); err != nil {
		return nil, fmt.Errorf("open object %q: %w", key, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.objects[key]
	if !ok {
		return nil, fmt.Errorf("open object %q: %w", key, ErrNotExist)
	}
	return memoryObject{bytes.NewReader(data)}, nil
}

// List is [Bucket]'s. It yields what was there when the iteration began.
func (m *Memory) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if err := checkPrefix(prefix); err != nil {
			yield(Info{}, fmt.Errorf("list objects under %q: %w", prefix, err))
			return
		}
		for _, info := range m.snapshot(prefix) {
			if ctx.Err() != nil {
				yield(Info{}, fmt.Errorf("list objects under %q: %w", prefix, ctx.Err()))
				return
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (m *Memory) snapshot(prefix string) []Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	var infos []Info
	for key, data := range m.objects {
		if strings.HasPrefix(key, prefix) {
			infos = append(infos, Info{Key: key, Size: int64(len(data)), Modified: m.dates[key]})
		}
	}
	slices.SortFunc(infos, func(a, b Info) int { return strings.Compare(a.Key, b.Key) })
	return infos
}

// Delete is [Bucket]'s.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := begin(ctx, key); err != nil {
		return fmt.Errorf("delete object %q: %w", key, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	delete(m.dates, key)
	return nil
}

// Lock is [Bucket]'s. A holder in the same process is known to be there, so nobody
// waits for it and nobody takes over.
func (m *Memory) Lock(ctx context.Context, claim Claim) (Lock, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("lock %q: %w", claim.Name, ctx.Err())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if holder, taken := m.locks[claim.Name]; taken {
		return nil, &LockedError{Name: claim.Name, Holder: holder}
	}
	m.locks[claim.Name] = thisProcess(claim.withDefaults())
	return newHeld(ctx, claim.Name, func() error { return nil }, func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.locks, claim.Name)
		return nil
	}), nil
}

func (m *Memory) publish(key string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.objects[key]; taken {
		return ErrExists
	}
	folder := key + "/"
	for other := range m.objects {
		if strings.HasPrefix(other, folder) {
			return folderConflict(key)
		}
	}
	for i, c := range key {
		if c != '/' {
			continue
		}
		if _, taken := m.objects[key[:i]]; taken {
			return objectConflict(key[:i])
		}
	}
	m.objects[key] = data
	if m.Now != nil {
		m.dates[key] = m.Now()
	}
	return nil
}

// memorySink collects one object before it is published.
type memorySink struct {
	bucket *Memory
	key    string
	buffer bytes.Buffer
}

func (s *memorySink) write(p []byte) (int, error) { return s.buffer.Write(p) }
func (s *memorySink) publish() error              { return s.bucket.publish(s.key, s.buffer.Bytes()) }
func (s *memorySink) discard() error              { s.buffer = bytes.Buffer{}; return nil }

type memoryObject struct{ *bytes.Reader }

func (memoryObject) Close() error { return nil }

// begin is what every operation on a key checks first.
func begin(ctx context.Context, key string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return checkKey(key)
}

func folderConflict(key string) error {
	return fmt.Errorf("%w: objects exist below %q", ErrConflict, key)
}

func objectConflict(key string) error {
	return fmt.Errorf("%w: %q, which would be a folder, is an object", ErrConflict, key)
}
