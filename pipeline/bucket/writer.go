package bucket

import (
	"context"
	"errors"
	"fmt"
)

// errFinished is what a writer says after its Commit or Abort.
var errFinished = errors.New("writer is finished")

// A sink is where one implementation collects the bytes of a new object. Exactly
// one of publish and discard ends it, and both clean up whatever happens.
type sink interface {
	write(p []byte) (int, error)
	publish() error
	discard() error
}

// writer gives any sink the life that [Writer] promises.
type writer struct {
	ctx      context.Context // covers the writer's life, see Bucket
	key      string
	sink     sink
	err      error // what every further call returns
	finished bool
}

func (w *writer) Write(p []byte) (int, error) {
	if err := w.check(); err != nil {
		return 0, err
	}
	n, err := w.sink.write(p)
	if err != nil {
		w.err = fmt.Errorf("write object %q: %w", w.key, err)
	}
	return n, w.err
}

func (w *writer) Commit() error {
	if err := w.check(); err != nil {
		return errors.Join(err, w.Abort())
	}
	w.finished = true
	if err := w.sink.publish(); err != nil {
		w.err = fmt.Errorf("commit object %q: %w", w.key, err)
		return w.err
	}
	w.err = fmt.Errorf("object %q is committed: %w", w.key, errFinished)
	return nil
}

func (w *writer) Abort() error {
	if w.finished {
		return nil
	}
	w.finished = true
	if w.err == nil {
		w.err = fmt.Errorf("object %q is aborted: %w", w.key, errFinished)
	}
	if err := w.sink.discard(); err != nil {
		return fmt.Errorf("abort object %q: %w", w.key, err)
	}
	return nil
}

// check returns the failure the writer is stuck in, which a done context is too.
func (w *writer) check() error {
	if w.err == nil && w.ctx.Err() != nil {
		w.err = fmt.Errorf("write object %q: %w", w.key, w.ctx.Err())
	}
	return w.err
}
