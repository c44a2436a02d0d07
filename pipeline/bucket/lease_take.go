package bucket

import (
	"context"
	"errors"
	"slices"
	"time"
)

// A watcher looks often at first, since most holders show themselves or finish
// soon, and then a few times in a TTL.
const (
	firstWait   = 50 * time.Millisecond
	longestWait = time.Second
)

// take returns when the lease is ours, or with a LockedError when somebody else
// has it and is alive.
func (l *lease) take(ctx context.Context) error {
	seen, moved, err := l.leases.look(ctx, l.claim)
	if err != nil {
		return err
	}
	w := newWatching(l.claim)
	for {
		if !moved && (len(seen) == 0 || l.leases.allGone(seen) || w.silent >= patienceWith(seen, l.claim)) {
			if taken, err := l.tryTake(ctx, seen); taken || err != nil {
				return err
			}
		} else if !w.told && len(seen) > 0 {
			w.told = true
			l.claim.Waiting(last(seen).Holder, patienceWith(seen, l.claim))
		}
		if err := w.wait(ctx); err != nil {
			return err
		}
		var now []sighting
		if now, moved, err = l.leases.look(ctx, l.claim); err != nil {
			return err
		}
		w.looked(l.claim.Now())
		switch news := newsOf(seen, now); {
		case len(news) > 0 && !l.leases.allGone(news):
			return &LockedError{Name: l.claim.Name, Holder: last(news).Holder}
		case moved || !slices.EqualFunc(seen, now, sighting.same):
			w.silent = 0
		}
		seen = now
	}
}

// tryTake creates the number after those seen. It reports false when somebody was
// quicker, or anything else has changed.
func (l *lease) tryTake(ctx context.Context, seen []sighting) (taken bool, err error) {
	number := int64(1)
	if len(seen) > 0 {
		number = last(seen).number + 1
	}
	begun := l.claim.Now()
	at, err := l.leases.create(ctx, l.claim, number, l.holder)
	if errors.Is(err, ErrExists) {
		there, readErr := l.leases.read(ctx, l.claim, number)
		if readErr == nil && there.Holder.ID == l.holder.ID {
			at, err = there.At, nil // our own, from an attempt of which no answer came
		}
	}
	if errors.Is(err, ErrExists) {
		return false, nil
	}
	if err == nil {
		taken, err = l.settle(ctx, seen, number)
	}
	// Whoever has watched our object since may take it over after a TTL: a lock that
	// is so old when it is had would be another's soon, or is already.
	if took := l.claim.Now().Sub(begun); err == nil && taken && took >= l.claim.TTL/freshness {
		err = tooSlow(took)
	}
	if err != nil || !taken {
		return false, errors.Join(err, l.withdraw(ctx, number))
	}
	l.newest, l.oldest, l.at, l.shown = number, number, at, begun
	return true, nil
}

// settle makes a creation a taking: nothing may have changed but for our own
// object, and then what was seen is removed. It looks twice, since a listing is not
// a picture of one moment: what is replaced by its successor during the first one,
// and so perhaps in neither place when it looks there, the second one sees.
func (l *lease) settle(ctx context.Context, seen []sighting, number int64) (bool, error) {
	want := append(slices.Clone(seen), sighting{number: number, leaseRecord: leaseRecord{Holder: l.holder}})
	for range 2 {
		now, moved, err := l.leases.look(ctx, l.claim)
		if err != nil {
			return false, err
		}
		// A holder whose signs of life came and went while a slow look read them is
		// alive, though it saw none.
		if moved || !slices.EqualFunc(want, now, sighting.same) {
			return false, nil
		}
	}
	for _, s := range seen {
		if err := l.leases.remove(ctx, l.claim, s.number, s.Holder.ID); err != nil {
			return false, err
		}
	}
	return true, nil
}

// withdraw takes back a creation that came to nothing.
func (l *lease) withdraw(ctx context.Context, number int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
	defer cancel()
	return l.leases.remove(ctx, l.claim, number, l.holder.ID)
}

// watching is the time that a watcher has watched without seeing anything new.
type watching struct {
	since  time.Time
	silent time.Duration
	pause  time.Duration // until the next look
	most   time.Duration // what the pause grows to
	told   bool
}

func newWatching(claim Claim) watching {
	most := min(longestWait, claim.TTL/beats)
	return watching{since: claim.Now(), pause: min(firstWait, most), most: most}
}

func (w *watching) wait(ctx context.Context) error {
	timer := time.NewTimer(w.pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// looked counts the time since the look before. Time in which the watcher itself
// was paused does not count: the holder may have been paused by the same cause.
func (w *watching) looked(now time.Time) {
	w.silent += min(now.Sub(w.since), 2*w.pause)
	w.since = now
	w.pause = min(2*w.pause, w.most)
}

// patienceWith is how long the holders that were seen may be silent.
func patienceWith(seen []sighting, claim Claim) time.Duration {
	var most time.Duration
	for _, s := range seen {
		ttl, err := time.ParseDuration(s.TTL)
		if err != nil || ttl <= 0 {
			ttl = claim.TTL
		}
		most = max(most, ttl)
	}
	return most
}

// newsOf returns what was not there before.
func newsOf(before, now []sighting) []sighting {
	var news []sighting
	for _, s := range now {
		if !slices.ContainsFunc(before, s.same) {
			news = append(news, s)
		}
	}
	return news
}

func last(seen []sighting) sighting { return seen[len(seen)-1] }
