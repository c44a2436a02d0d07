package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"gocloud.dev/blob"
)

const (
	// blockSize is what is read ahead: opening an object reads its first block, and
	// ReadAt goes by whole blocks. Most objects are smaller than one.
	blockSize = 1 << 20
	// blocksKept of an object stay in memory for the next ReadAt.
	blocksKept = 8
	// readAttempts bounds how often a broken answer is continued without a single
	// byte having come in between.
	readAttempts = 4
)

// remoteObject reads an object by ranges. Reading from its beginning to its end is
// one request, after the first block; ReadAt is one for each block.
type remoteObject struct {
	ctx   context.Context // it was opened with
	store remoteStore
	key   string
	size  int64
	first []byte // the first block, or all of the object

	offset int64        // of Read
	stream *blob.Reader // from offset on, or nil
	blocks blockCache
}

func openRemote(ctx context.Context, store remoteStore, key string) (*remoteObject, error) {
	o := &remoteObject{ctx: ctx, store: store, key: key}
	reader, err := store.bucket.NewRangeReader(ctx, store.prefix+key, 0, blockSize, nil)
	if isBeyondEnd(err) {
		return o, o.checkEmpty()
	}
	if err != nil {
		return nil, store.explainRead(ctx, err)
	}
	o.size = reader.Size()
	o.first = make([]byte, min(o.size, blockSize))
	n, err := io.ReadFull(reader, o.first)
	if err = errors.Join(err, reader.Close()); err != nil {
		err = o.fetch(o.first[n:], int64(n), err)
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// checkEmpty makes sure that an object is empty of which no range could be read.
func (o *remoteObject) checkEmpty() error {
	there, err := o.store.bucket.Attributes(o.ctx, o.store.prefix+o.key)
	if err != nil {
		return o.store.explainRead(o.ctx, err)
	}
	if there.Size != 0 {
		return fmt.Errorf("the store has %d bytes and gives none", there.Size)
	}
	return nil
}

// explainRead is explain for reading, where an object may be missing.
func (s remoteStore) explainRead(ctx context.Context, err error) error {
	if ctx.Err() == nil && isNotFound(err) {
		return ErrNotExist
	}
	return s.explain(ctx, err)
}

func (o *remoteObject) Size() int64 { return o.size }

func (o *remoteObject) Close() error { return o.closeStream() }

func (o *remoteObject) closeStream() error {
	if o.stream == nil {
		return nil
	}
	err := o.stream.Close()
	o.stream = nil
	return err
}

func (o *remoteObject) Read(p []byte) (int, error) {
	if err := o.ctx.Err(); err != nil {
		return 0, fmt.Errorf("read object %q: %w", o.key, err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if o.offset >= o.size {
		return 0, io.EOF
	}
	if o.offset < int64(len(o.first)) {
		n := copy(p, o.first[o.offset:])
		o.offset += int64(n)
		return n, nil
	}
	n, err := o.readStream(p)
	o.offset += int64(n)
	if err != nil {
		return n, fmt.Errorf("read object %q: %w", o.key, err)
	}
	return n, nil
}

// readStream reads on, if need be with a new request from where the last broke off.
func (o *remoteObject) readStream(p []byte) (int, error) {
	var broken error
	for range readAttempts {
		if o.stream == nil {
			stream, err := o.store.bucket.NewRangeReader(o.ctx, o.store.prefix+o.key, o.offset, -1, nil)
			if err != nil {
				return 0, o.store.explainRead(o.ctx, err)
			}
			o.stream = stream
		}
		n, err := o.stream.Read(p)
		if n > 0 {
			return n, nil // an error comes again
		}
		if err == nil {
			continue
		}
		_ = o.closeStream() // it is broken already
		if isFinal(broken, err) {
			return 0, o.store.explain(o.ctx, err)
		}
		broken = brokenOff(err)
	}
	return 0, o.store.explain(o.ctx, broken)
}

// brokenOff makes an error of an end that came too early.
func brokenOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// isFinal says that reading on is hopeless: the store was silent a second time.
func isFinal(last, err error) bool {
	var silent *silenceError
	return errors.As(err, &silent) && errors.As(last, &silent)
}

func (o *remoteObject) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("read object %q: negative offset %d", o.key, offset)
	}
	done := 0
	for done < len(p) && offset < o.size {
		n, err := o.readAt(p[done:], offset)
		done += n
		offset += int64(n)
		if err != nil {
			return done, fmt.Errorf("read object %q: %w", o.key, err)
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// readAt reads some bytes at an offset inside the object.
func (o *remoteObject) readAt(p []byte, offset int64) (int, error) {
	if o.ctx.Err() != nil {
		return 0, o.ctx.Err()
	}
	if offset < int64(len(o.first)) {
		return copy(p, o.first[offset:]), nil
	}
	if len(p) >= blockSize {
		n := min(int64(len(p)), o.size-offset)
		return int(n), o.fetch(p[:n], offset, nil)
	}
	start := offset - offset%blockSize
	block, err := o.blocks.get(start, func() ([]byte, error) {
		data := make([]byte, min(blockSize, o.size-start))
		return data, o.fetch(data, start, nil)
	})
	if err != nil {
		return 0, err
	}
	return copy(p, block[offset-start:]), nil
}

// fetch fills p with the bytes from an offset on. A broken answer is continued
// with a new request; broken is the error of the request before, or nil.
func (o *remoteObject) fetch(p []byte, offset int64, broken error) error {
	for attempts := 0; len(p) > 0; attempts++ {
		if attempts == readAttempts {
			return o.store.explain(o.ctx, broken)
		}
		reader, err := o.store.bucket.NewRangeReader(o.ctx, o.store.prefix+o.key, offset, int64(len(p)), nil)
		if err != nil {
			return o.store.explainRead(o.ctx, err)
		}
		n, err := io.ReadFull(reader, p)
		if err = errors.Join(err, reader.Close()); err == nil {
			return nil
		}
		if n > 0 {
			attempts = 0
		}
		if isFinal(broken, err) {
			return o.store.explain(o.ctx, err)
		}
		broken = brokenOff(err)
		p, offset = p[n:], offset+int64(n)
	}
	return nil
}

// blockCache keeps the blocks that were read last. Each is fetched once, by the
// first who wants it; the others wait.
type blockCache struct {
	mu     sync.Mutex
	blocks []*block // the last used at the end
}

type block struct {
	start int64
	once  sync.Once
	data  []byte
	err   error
}

func (c *blockCache) get(start int64, fetch func() ([]byte, error)) ([]byte, error) {
	b := c.use(start)
	b.once.Do(func() { b.data, b.err = fetch() })
	if b.err != nil {
		c.drop(b)
	}
	return b.data, b.err
}

func (c *blockCache) use(start int64) *block {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.IndexFunc(c.blocks, func(b *block) bool { return b.start == start })
	b := &block{start: start}
	switch {
	case at >= 0:
		b = c.blocks[at]
		c.blocks = slices.Delete(c.blocks, at, at+1)
	case len(c.blocks) == blocksKept:
		c.blocks = slices.Delete(c.blocks, 0, 1)
	}
	c.blocks = append(c.blocks, b)
	return b
}

// drop forgets a block that could not be read, so that it is tried again.
func (c *blockCache) drop(b *block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocks = slices.DeleteFunc(c.blocks, func(other *block) bool { return other == b })
}
