package bucket

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A lease is the [Lock] of a store that knows nothing of processes and cannot
// overwrite: S3, Azure. All that it asks for is create-if-absent. It is a row of
// numbered objects
//
//	.calends/leases/<name>/00000041.json
//
// each of which says who holds the lock. The highest number is the newest word:
//
//   - Taking is creating the next number after those that are there, or 1. Of
//     several takers one has it. The winner looks again: nothing may have changed
//     but for its own object, else it withdraws that. Then it removes what it saw,
//     and only then the lock is its own.
//   - A sign of life is the holder's next number; then it removes the one before.
//   - Releasing is removing what is left, lowest number first. So nothing remains.
//
// Everything else follows from one sentence: as long as a holder's newest object is
// there, nobody else has completed taking, since that removes it. To check is
// therefore to read one object; and to renew is to create the next and then to read
// the one before, in this order. An object that is gone does not come back, since
// every claim has an identity of its own, and every attempt at a number its instant.
//
// When may a holder be taken over? No clock of another machine is believed. Who
// wants the lock watches: if nothing new comes for as long as the holder's own TTL,
// by the watcher's clock, the holder is taken for dead. The holder counts from
// before it created its newest object, the watcher from after it saw it, so a holder
// whose object is younger than its TTL is not taken over. One that was paused or cut
// off for longer is not lost by that alone. It must renew before it passes a check,
// and whether it can is decided by create-if-absent: either its next number is there
// first and the watcher gives up, or the taker's is. A holder on the same machine
// whose process has ended needs no watching.
//
// What remains is a write that was checked and is still on its way when the lock is
// lost: for longer than half the TTL, or while its process died. Then
// create-if-absent on its own key decides, and nothing that counts is overwritten.
// A removal that arrives after its run, at the same number of a later one, costs that
// its lock; the next check tells.
type lease struct {
	leases leases
	claim  Claim
	holder Holder

	ctx    context.Context
	cancel context.CancelCauseFunc
	stop   context.CancelFunc // ends the beating
	beaten chan struct{}      // closed when the beating has ended
	unlock func() error

	// turn holds one token: who has it deals with the store. What follows is theirs.
	turn   chan struct{}
	newest int64     // the number of the newest object
	oldest int64     // lower ones of ours are removed for certain
	at     time.Time // what newest says of when: another attempt's is not ours any more
	shown  time.Time // right before newest was created
	tried  time.Time // right before newest+1 was tried first; zero: it was not
	lost   error
}

const (
	// beats is how many signs of life fit into a TTL. One or two may fail.
	beats = 4
	// freshness is the part of the TTL for which a check is content with the object
	// that is there. The other part is for the write that follows it.
	freshness = 2
	// unlockTimeout bounds the release, which happens also after a stop.
	unlockTimeout = 10 * time.Second
)

// lock takes the lease that is claimed, and keeps it until it is unlocked.
func (s leases) lock(ctx context.Context, claim Claim) (Lock, error) {
	claim = claim.withDefaults()
	l := &lease{leases: s, claim: claim, holder: s.self(claim), beaten: make(chan struct{}), turn: make(chan struct{}, 1)}
	if err := l.take(ctx); err != nil {
		var locked *LockedError
		if errors.As(err, &locked) {
			return nil, err
		}
		return nil, fmt.Errorf("lock %q: %w", claim.Name, err)
	}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	// A holder that was told to stop is alive until it has unlocked.
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	l.unlock = sync.OnceValue(l.release)
	go l.beat(beating)
	return l, nil
}

// Context is [Lock]'s.
func (l *lease) Context() context.Context { return l.ctx }

// Check is [Lock]'s.
func (l *lease) Check(ctx context.Context) error {
	err := l.inTurn(ctx, l.check)
	var lost *LostError
	if err == nil || errors.As(err, &lost) {
		return err
	}
	return fmt.Errorf("check lock %q: %w", l.claim.Name, err)
}

func (l *lease) check(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	begun := l.claim.Now()
	fresh := func() bool { return l.age() < l.claim.TTL/freshness }
	if fresh() {
		if err := l.confirm(ctx); err != nil || fresh() {
			return err
		}
	}
	// The first may only find the sign of life that was tried long ago.
	for range 2 {
		if err := l.renew(ctx); err != nil || fresh() {
			return err
		}
	}
	return tooSlow(l.claim.Now().Sub(begun))
}

func tooSlow(took time.Duration) error {
	return fmt.Errorf("the store took %s to answer, too long to hold a lock on it", took.Round(time.Millisecond))
}

// Unlock is [Lock]'s.
func (l *lease) Unlock() error { return l.unlock() }

func (l *lease) release() error {
	l.stop()
	<-l.beaten
	l.cancel(errUnlocked)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), unlockTimeout)
	defer cancel()
	// One more than the newest may be there: a number that was tried, and the store
	// did not say what became of it.
	err := l.inTurn(ctx, func(ctx context.Context) error { return l.sweep(ctx, l.newest+2) })
	if err != nil {
		return fmt.Errorf("unlock %q: %w (it ends by itself after %s)", l.claim.Name, err, l.claim.TTL)
	}
	return nil
}

// beat shows signs of life until it is stopped, or the lock is lost.
func (l *lease) beat(ctx context.Context) {
	defer close(l.beaten)
	ticker := time.NewTicker(l.claim.TTL / beats)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		// What fails without being lost is tried again with the next beat. Until it
		// succeeds no check does.
		if err := l.beatOnce(ctx); errors.Is(err, ErrLost) {
			return
		}
	}
}

func (l *lease) beatOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.claim.TTL/2)
	defer cancel()
	return l.inTurn(ctx, func(ctx context.Context) error {
		if l.lost != nil {
			return l.lost
		}
		return l.renew(ctx)
	})
}

// inTurn deals with the store while nobody else does.
func (l *lease) inTurn(ctx context.Context, deal func(context.Context) error) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case l.turn <- struct{}{}:
	}
	defer func() { <-l.turn }()
	return deal(ctx)
}

// age is how long ago the newest sign of life was given, at most. A machine that
// slept may have stopped one of its clocks, so the one that ran further counts.
func (l *lease) age() time.Duration {
	now := l.claim.Now()
	return max(now.Sub(l.shown), now.Round(0).Sub(l.shown.Round(0)))
}

// renew shows a sign of life. Afterwards the lock is known to be held.
func (l *lease) renew(ctx context.Context) error {
	// After a long silence somebody may have taken over and be done already, and our
	// next number would only confuse who came after that.
	if l.age() >= l.claim.TTL {
		if err := l.confirm(ctx); err != nil {
			return err
		}
	}
	if l.tried.IsZero() {
		l.tried = l.claim.Now()
	}
	next := l.newest + 1
	at, err := l.leases.create(ctx, l.claim, next, l.holder)
	if errors.Is(err, ErrExists) {
		at, err = l.recognise(ctx, next)
	}
	if err != nil {
		return err
	}
	if err := l.confirm(ctx); err != nil {
		return err
	}
	l.newest, l.at, l.shown, l.tried = next, at, l.tried, time.Time{}
	// What cannot be removed now is removed with the next beat.
	_ = l.sweep(ctx, l.newest)
	return nil
}

// recognise tells our own object, of whose creation we were not told, from that of
// a run that has taken over.
func (l *lease) recognise(ctx context.Context, number int64) (at time.Time, err error) {
	there, err := l.leases.read(ctx, l.claim, number)
	switch {
	case err == nil && there.Holder.ID == l.holder.ID:
		return there.At, nil
	case err == nil:
		return at, l.lose(&there.Holder)
	case errors.Is(err, ErrNotExist):
		// Whoever had it is gone again; what that means for us confirm finds out.
		return at, fmt.Errorf("%w: the lease changed hands meanwhile", err)
	}
	return at, err
}

// confirm finds out whether our newest object is still there.
func (l *lease) confirm(ctx context.Context) error {
	there, err := l.leases.read(ctx, l.claim, l.newest)
	if err == nil && there.Holder.ID == l.holder.ID && there.At.Equal(l.at) {
		return nil
	}
	if err != nil && !errors.Is(err, ErrNotExist) {
		return err
	}
	// Who it was is asked for the message's sake only.
	var by *Holder
	if seen, _, err := l.leases.look(ctx, l.claim); err == nil {
		for _, s := range seen {
			if s.Holder.ID != l.holder.ID {
				by = &s.Holder
			}
		}
	}
	return l.lose(by)
}

// lose ends the lock and the context of whoever works under it.
func (l *lease) lose(by *Holder) error {
	l.lost = &LostError{Name: l.claim.Name, Silent: l.age(), By: by}
	l.cancel(l.lost)
	return l.lost
}

// sweep removes our objects below a number, lowest first.
func (l *lease) sweep(ctx context.Context, below int64) error {
	for ; l.oldest < below; l.oldest++ {
		if err := l.leases.remove(ctx, l.claim, l.oldest, l.holder.ID); err != nil {
			return err
		}
	}
	return nil
}
