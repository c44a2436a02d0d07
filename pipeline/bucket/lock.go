package bucket

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The ways in which a lock is not held, for errors.Is.
var (
	// ErrLocked: somebody else holds the lock. The error is a [LockedError] where
	// it is known who.
	ErrLocked = errors.New("locked by another run")
	// ErrLost: the lock was held and is not any more. The error is a [LostError].
	ErrLost = errors.New("the lock is lost")
)

// A Lock keeps two runs from doing the same work. It ends with Unlock; on a store
// that cannot tell a dead holder from a slow one it is a lease, which another run
// may take over from a holder that shows no sign of life (see pipeline/README.md).
// So whoever holds one works under its Context and calls Check before each write
// that makes something count.
type Lock interface {
	// Context is the one that the lock was taken with. It ends with the lock, too: if
	// that is lost, [context.Cause] is the LostError.
	Context() context.Context

	// Check asks the store whether the lock is still held. Errors: ErrLost; also
	// ErrLocked if another run has it; or why the store cannot say, and then nothing
	// may be written either.
	Check(ctx context.Context) error

	// Unlock ends the lock and leaves no trace of it. It may be called twice. That the
	// lock was lost is no error here.
	Unlock() error
}

// DefaultTTL is how long a holder may be silent before another run takes over.
const DefaultTTL = 15 * time.Second

// A Claim says which lock a run wants, and what others shall know about the run.
type Claim struct {
	// Name is the lock's. Any short text is a name.
	Name string
	// Run says what the lock is wanted for, such as "close 2026-10".
	Run string
	// TTL is how long this run may be silent before another takes over. 0: [DefaultTTL].
	TTL time.Duration
	// Waiting is told, once, that a holder is watched for a sign of life, and for how
	// long at most. nil: nobody wants to know.
	Waiting func(holder Holder, most time.Duration)
	// Now is the clock. nil: the system's.
	Now func() time.Time
}

// withDefaults fills in what the claim leaves open.
func (c Claim) withDefaults() Claim {
	if c.TTL <= 0 {
		c.TTL = DefaultTTL
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // silence is measured in time; it decides who works, never what comes out
	}
	if c.Waiting == nil {
		c.Waiting = func(Holder, time.Duration) {}
	}
	return c
}

// LockedError says who holds a lock. It is an ErrLocked.
type LockedError struct {
	Name   string
	Holder Holder
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("lock %q: %v: %s", e.Name, ErrLocked, e.Holder)
}

// Unwrap makes the class known to errors.Is.
func (e *LockedError) Unwrap() error { return ErrLocked }

// LostError says how a lock was lost. It is an ErrLost, and an ErrLocked while
// another run has it.
type LostError struct {
	Name string
	// Silent is how long the loser had shown no sign of life.
	Silent time.Duration
	// By is who has the lock now. nil: nobody, or it is not known.
	By *Holder
}

func (e *LostError) Error() string {
	text := fmt.Sprintf("lock %q: %v: ", e.Name, ErrLost)
	if e.Silent > 0 {
		text += fmt.Sprintf("this run showed no sign of life for %s; ", e.Silent.Round(100*time.Millisecond))
	}
	if e.By != nil {
		text += fmt.Sprintf("another has taken over: %s", *e.By)
	} else {
		text += "another has taken over and is done since, or somebody removed the lock's files"
	}
	return text + "; what was not published yet stays unpublished"
}

// Unwrap makes the classes known to errors.Is.
func (e *LostError) Unwrap() []error {
	if e.By != nil {
		return []error{ErrLost, ErrLocked}
	}
	return []error{ErrLost}
}

// errUnlocked is what a lock says after its Unlock.
var errUnlocked = errors.New("the lock is unlocked")

// held is a lock that ends with the process, as disk and memory have it.
type held struct {
	name   string
	ctx    context.Context
	cancel context.CancelCauseFunc
	check  func() error // nil while nothing has ended it; else a LostError
	unlock func() error // called once
}

func newHeld(ctx context.Context, name string, check, unlock func() error) *held {
	h := &held{name: name, check: check}
	h.ctx, h.cancel = context.WithCancelCause(ctx)
	h.unlock = sync.OnceValue(func() error {
		h.cancel(errUnlocked)
		return unlock()
	})
	return h
}

func (h *held) Context() context.Context { return h.ctx }

func (h *held) Check(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("check lock %q: %w", h.name, ctx.Err())
	}
	if h.ctx.Err() != nil {
		return fmt.Errorf("check lock %q: %w", h.name, context.Cause(h.ctx))
	}
	err := h.check()
	if errors.Is(err, ErrLost) {
		h.cancel(err)
	}
	return err
}

func (h *held) Unlock() error { return h.unlock() }
