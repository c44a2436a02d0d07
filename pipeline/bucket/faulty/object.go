package faulty

import (
	"context"
	"errors"
	"io"

	"github.com/calends/calends/pipeline/bucket"
)

// writer is a new object on its way.
type writer struct {
	bucket *Bucket
	ctx    context.Context // covers the writer's life, as every bucket has it
	key    string
	inner  bucket.Writer
	size   int64
	copy   []byte // for a commit that is repeated
	err    error  // the fault that ended it
}

func (w *writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	c, err := w.bucket.begin(w.ctx, Write, w.key, len(p))
	if err != nil {
		w.err = err
		return 0, err
	}
	part := p
	switch c.fault.Kind {
	case Partial:
		part = p[:len(p)/2]
	case Full:
		part = p[:c.room]
	default: // all of it
	}
	n, err := w.inner.Write(part)
	w.size += int64(n)
	w.copy = append(w.copy, part[:n]...)
	failed := err != nil
	if err = c.finish(err); err != nil && !failed {
		w.err = err // the inner writer knows its own failures
	}
	return n, err
}

func (w *writer) Commit() error {
	if w.err != nil {
		return errors.Join(w.err, w.inner.Abort())
	}
	c, err := w.bucket.begin(w.ctx, Commit, w.key, 0)
	if err != nil {
		w.err = err
		return errors.Join(err, w.inner.Abort())
	}
	if c.fault.Kind == Partial {
		w.err = c.finish(w.inner.Abort())
		return w.err
	}
	err = w.inner.Commit()
	failed := err != nil
	if !failed {
		w.bucket.changed(bucket.Info{Key: w.key, Size: w.size}, true)
	}
	if err = c.finish(err); err != nil && !failed {
		w.err = err
	}
	if c.fault.Kind == Repeat && !failed {
		w.bucket.deliverAgain(delivery{context.WithoutCancel(w.ctx), c.number, w.key, w.copy})
	}
	return err
}

// Abort is done by the dead too: nobody finishes what they began.
func (w *writer) Abort() error { return w.inner.Abort() }

// delivery is a commit that comes once more.
type delivery struct {
	ctx    context.Context
	number int // of the event
	key    string
	data   []byte
}

func (b *Bucket) deliverAgain(d delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.again = append(b.again, d)
}

// redeliver lets the store have what was held back, and enters its answer.
func (b *Bucket) redeliver() {
	b.mu.Lock()
	due := b.again
	b.again = nil
	b.mu.Unlock()
	for _, d := range due {
		err := bucket.Put(d.ctx, b.inner, d.key, d.data)
		b.mu.Lock()
		b.events[d.number-1].Err = err
		b.mu.Unlock()
		if err == nil {
			b.changed(bucket.Info{Key: d.key, Size: int64(len(d.data))}, true)
		}
	}
}

// object is an open object.
type object struct {
	bucket.Object
	bucket *Bucket
	ctx    context.Context // covers the object's life
	key    string
}

func (o *object) Read(p []byte) (int, error) {
	return o.read(p, o.Object.Read)
}

func (o *object) ReadAt(p []byte, offset int64) (int, error) {
	return o.read(p, func(p []byte) (int, error) { return o.Object.ReadAt(p, offset) })
}

func (o *object) read(p []byte, inner func([]byte) (int, error)) (int, error) {
	c, err := o.bucket.begin(o.ctx, Read, o.key, len(p))
	if err != nil {
		return 0, err
	}
	if c.fault.Kind == Partial {
		p = p[:len(p)/2]
	}
	n, err := inner(p)
	if errors.Is(err, io.EOF) {
		// The end is no failure: it is what comes after the last byte, also of a read
		// that goes wrong.
		if fault := c.finish(nil); fault != nil {
			return n, fault
		}
		return n, err
	}
	return n, c.finish(err)
}
