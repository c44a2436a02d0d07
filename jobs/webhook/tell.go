package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/pipeline/bucket"
)

// rest is how long a receiver that did not take a message is left alone: else each
// message would wait for the same dead line. It doubles with each failure, up to most.
const rest, mostRest = 2 * time.Minute, time.Hour

// Hooks tell all receivers what became of runs. Whom a message has reached is kept in
// the bucket while others still wait for it, below runs/told/, so that a receiver that
// is well does not hear it again because another is ill. They may be used from any
// goroutine.
type Hooks struct {
	hooks  []*Hook
	bucket bucket.Bucket
	now    func() time.Time

	mu      sync.Mutex
	resting map[string]resting // by the hook's key
}

// resting is a receiver that is left alone for a while.
type resting struct {
	until time.Time
	pause time.Duration
	last  error
}

// NewHooks checks the options of all webhooks and makes hooks of them.
func NewHooks(options []Options, w World, b bucket.Bucket) (*Hooks, error) {
	hs := &Hooks{bucket: b, now: w.Now, resting: make(map[string]resting)}
	for i, o := range options {
		h, err := New(o, w)
		if err != nil {
			return nil, fmt.Errorf("webhook %d: %w", i+1, err)
		}
		if slices.ContainsFunc(hs.hooks, func(other *Hook) bool { return other.Key() == h.Key() }) {
			return nil, fmt.Errorf("webhook %d: the address stands there already; name all its types in one", i+1)
		}
		hs.hooks = append(hs.hooks, h)
	}
	return hs, nil
}

// Check reads the secrets of all hooks, as sending would.
func (hs *Hooks) Check() error {
	var errs []error
	for i, h := range hs.hooks {
		if err := h.Check(); err != nil {
			errs = append(errs, fmt.Errorf("webhook %d (%s): %w", i+1, h, err))
		}
	}
	return errors.Join(errs...)
}

// Tell sends what became of a run to all who want to know, side by side. It returns
// who was told. With an error somebody is still to be told: then it wants to be called
// again later, and sends only what is missing.
func (hs *Hooks) Tell(ctx context.Context, e history.Ended) ([]history.Told, error) {
	told := make([]history.Told, len(hs.hooks))
	errs := make([]error, len(hs.hooks))
	var all sync.WaitGroup
	for i, h := range hs.hooks {
		m, ok := messageFor(h, e)
		if !ok {
			continue
		}
		told[i].Address = h.String()
		all.Go(func() { told[i].Error, errs[i] = hs.tell(ctx, h, m) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		for i, h := range hs.hooks {
			if told[i].Address != "" && errs[i] == nil {
				err = errors.Join(err, hs.keep(ctx, e.Begun, h, told[i]))
			}
		}
		return nil, err
	}
	return slices.DeleteFunc(told, func(t history.Told) bool { return t.Address == "" }), nil
}

// tell sends a message to one receiver, unless it has it, or has to be left alone. That
// a receiver is gone settles the message: it is no error, but is told.
func (hs *Hooks) tell(ctx context.Context, h *Hook, m Message) (settled string, err error) {
	data, err := bucket.ReadAll(ctx, hs.bucket, toldKey(m.ID, h))
	if err == nil {
		var t history.Told
		err = json.Unmarshal(data, &t)
		return t.Error, err
	}
	if !errors.Is(err, bucket.ErrNotExist) {
		return "", err
	}
	if r, ok := hs.rests(h); ok {
		return "", fmt.Errorf("webhook %s: left alone until %s: %w", h, r.until.UTC().Format(time.RFC3339), r.last)
	}
	err = h.Send(ctx, m)
	hs.remember(h, err)
	if errors.Is(err, ErrGone) {
		return ErrGone.Error(), nil
	}
	return "", err
}

func toldKey(id string, h *Hook) string { return "runs/told/" + id + "/" + h.Key() + ".json" }

// keepWithin is how long the note that a message was delivered may take, also when a
// signal has ended everything else.
const keepWithin = 10 * time.Second

// keep notes that a receiver has a message which others still wait for.
func (hs *Hooks) keep(ctx context.Context, b history.Begun, h *Hook, t history.Told) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepWithin)
	defer cancel()
	data, err := json.Marshal(t)
	if err == nil {
		err = bucket.Put(ctx, hs.bucket, toldKey(idOf(b), h), data)
	}
	if err != nil && !errors.Is(err, bucket.ErrExists) {
		return fmt.Errorf("note that webhook %s was told: %w", h, err)
	}
	return nil
}

func (hs *Hooks) rests(h *Hook) (resting, bool) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	r, ok := hs.resting[h.Key()]
	return r, ok && hs.now().Before(r.until)
}

// remember lets a receiver rest that did not take a message.
func (hs *Hooks) remember(h *Hook, err error) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	var undelivered *UndeliveredError
	if !errors.As(err, &undelivered) {
		delete(hs.resting, h.Key())
		return
	}
	pause := min(max(2*hs.resting[h.Key()].pause, rest), mostRest)
	hs.resting[h.Key()] = resting{hs.now().Add(pause), pause, undelivered.Err}
}

// passing are codes of waits that end without anybody here acting on them: for the end
// of the month, a sheet that is still to be published, another slice that is told of.
var passing = map[string]bool{"not-over": true, "not-published": true, "earlier-month": true, "import": true, "export": true}

// messageFor is the message that a hook wants of an attempt; false if it wants none.
// One that was parked is told as such to who wants that, and else as a failure: what
// parks has failed.
func messageFor(h *Hook, e history.Ended) (Message, bool) {
	var candidates []Type
	switch e.Result {
	case history.Done:
		candidates = []Type{Finished}
	case history.Waiting:
		if !passing[e.Code] {
			candidates = []Type{Waiting}
		}
	case history.Failed, history.Interrupted:
		if e.Standing.Parked {
			candidates = []Type{Parked}
		}
		candidates = append(candidates, Failed)
	case history.Stopped: // goes on at the next round
	}
	i := slices.IndexFunc(candidates, h.Wants)
	if i < 0 {
		return Message{}, false
	}
	m := Message{Type: candidates[i], ID: idOf(e.Begun), Time: e.Ended, Attempt: e.Attempt, Counts: maps.Clone(e.Counts),
		Exceptions: e.Exceptions, Summary: e.Summary, Code: e.Code, Reason: e.Reason,
		Slice: Slice{Job: e.Slice.Job, Subject: e.Slice.Subject, Month: e.Slice.Month.String()}}
	if m.Reason == "" {
		m.Reason = e.Error
	}
	return m, true
}

// idOf names an attempt: the same whoever tells of it, and another in another bucket.
func idOf(b history.Begun) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", b.Slice, b.Attempt, b.Started.UTC().Format(time.RFC3339Nano)))
	return "run_" + hex.EncodeToString(sum[:16])
}
