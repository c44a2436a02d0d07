package audit

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/calends/calends/pipeline/bucket"
)

// Layout is how objects of the trail are written.
const Layout = 1

// Settings are what a store works with.
type Settings struct {
	Now func() time.Time
	// Every is how long what was seen may wait until it is written. 0: five seconds.
	Every time.Duration
	Log   *slog.Logger
}

// A Store is the trail in a bucket. It may be used concurrently, and by many servers
// on one bucket.
//
//	audit/day=2026-11-23/053011.123456-p3kq5cz2w7nd-00000001.jsonl
//
// An object is named by when it was written, by which instance of the server and its
// which it is. Its first line is a [Header], the others are events. The header has the
// SHA-256 of the instance's object before it, and the first one those of the newest of
// other instances, so that one that is missing or was changed shows ([Store.Check]). An
// instance that stops in order says so in its last object.
type Store struct {
	bucket   bucket.Bucket
	now      func() time.Time
	every    time.Duration
	log      *slog.Logger
	instance string

	// pen is held by whoever writes. Those who wait for it find what they brought
	// written by the one before: many at a time cost one object.
	pen chan struct{}
	// With the pen only:
	number  int64
	before  string
	latest  time.Time
	unsure  *object // may or may not be in the bucket
	stopped bool    // the last object is there

	mu     sync.Mutex
	queue  []*waiting
	seen   map[sight]*Event
	since  time.Time // when the bucket was first found not to be writable; zero: it is
	closed bool      // takes nothing more
}

// waiting is an event whose writer waits until it is in the bucket.
type waiting struct {
	event   Event
	written bool
	err     error
}

// sight is what events of [Saw] are counted by.
type sight struct {
	minute                        string
	who, operation, partner, from string
	status                        int
}

type object struct {
	key  string
	data []byte
	last bool
}

const (
	prefix = "audit/"
	// mostSeen is how many kinds of sights may wait. Beyond it the bucket has not been
	// writable for long.
	mostSeen = 50_000
	// fullSeen is how many are written before their time.
	fullSeen = 2_000
	// bearableFor is how long the trail may be unwritable before nothing may be seen either.
	bearableFor = 30 * time.Second
	// patience is how long one object may take.
	patience = 30 * time.Second
)

// ErrClosed is a trail that takes nothing more.
var ErrClosed = errors.New("the trail is closed")

// NewStore returns the trail of a bucket. Somebody has to [Store.Run] it.
func NewStore(b bucket.Bucket, s Settings) *Store {
	return &Store{
		bucket: b, now: s.Now, every: cmp.Or(s.Every, 5*time.Second), log: s.Log,
		instance: strings.ToLower(rand.Text()[:12]),
		pen:      make(chan struct{}, 1), seen: make(map[sight]*Event),
	}
}

// Instance is the name of this server's own chain.
func (s *Store) Instance() string { return s.instance }

// Note is [Trail]'s. Its errors mean that the event may not be in the bucket, and that
// what it tells of must not go on.
func (s *Store) Note(ctx context.Context, e Event) error {
	e = clean(e)
	if e.At == "" {
		e.At = s.now().UTC().Format(time.RFC3339Nano)
	}
	e.Count = max(e.Count, 1)
	if e.Kind == Saw {
		return s.gather(ctx, e)
	}
	w := &waiting{event: e}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.queue = append(s.queue, w)
	s.mu.Unlock()
	return s.write(ctx, w)
}

// gather counts what was seen.
func (s *Store) gather(ctx context.Context, e Event) error {
	minute, _, _ := strings.Cut(e.At, ".")
	k := sight{minute: minute[:min(len(minute), len("2026-11-23T05:30"))], who: e.Who, operation: e.Operation, partner: e.Partner, from: e.From, status: e.Status}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	if err := s.bearable(); err != nil {
		s.mu.Unlock()
		return err
	}
	if known, ok := s.seen[k]; ok {
		known.Count += e.Count
		s.mu.Unlock()
		return nil
	}
	if len(s.seen) >= mostSeen {
		s.mu.Unlock()
		return errors.New("write the trail: too much waits to be written")
	}
	s.seen[k] = &e
	full := len(s.seen) == fullSeen
	s.mu.Unlock()
	if full {
		return s.write(ctx, nil)
	}
	return nil
}

// bearable refuses what is only seen too once nothing could be written for a while:
// what waits in memory is lost with it. Whoever calls it holds mu.
func (s *Store) bearable() error {
	if s.since.IsZero() || s.now().Sub(s.since) < bearableFor {
		return nil
	}
	return fmt.Errorf("write the trail: not possible since %s", s.since.UTC().Format(time.RFC3339))
}

// Ready reports whether the trail can be written, as far as is known.
func (s *Store) Ready(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		return nil
	}
	return fmt.Errorf("the trail cannot be written since %s", s.since.UTC().Format(time.RFC3339))
}

// Run writes what was seen, every few seconds, until the context ends; what is left then
// is [Store.Close]'s.
func (s *Store) Run(ctx context.Context) {
	t := time.NewTicker(s.every)
	defer t.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		err := s.Flush(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.log.Error("the trail could not be written; nothing is lost yet", "error", err)
		}
		failing = err != nil
	}
}

// Flush writes what was seen so far.
func (s *Store) Flush(ctx context.Context) error { return s.write(ctx, nil) }

// Close writes what is left, and that the instance has stopped. Afterwards nothing more
// is taken. After an error it may be called again.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.give()
	if s.stopped {
		return nil
	}
	if err := s.publish(ctx, true); err != nil {
		return fmt.Errorf("close the trail: %w", err)
	}
	return nil
}

func (s *Store) take(ctx context.Context) error {
	select {
	case s.pen <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write the trail: %w", ctx.Err())
	}
}

func (s *Store) give() { <-s.pen }

// write puts all that waits into the bucket, and returns what became of w.
func (s *Store) write(ctx context.Context, w *waiting) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.give()
	if w != nil && w.written {
		return w.err
	}
	err := s.publish(ctx, false)
	if w != nil {
		return w.err
	}
	return err
}

// publish writes the next object, of all that waits. Whoever holds the pen calls it.
func (s *Store) publish(ctx context.Context, last bool) error {
	// Others wait for the same object, so that it does not end with one caller's patience.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()

	s.mu.Lock()
	queue, seen := s.queue, s.seen
	s.queue, s.seen = nil, make(map[sight]*Event)
	s.mu.Unlock()

	err := s.settle(ctx)
	if err != nil {
		s.keep(seen)
	} else if events := gathered(queue, seen); len(events) > 0 || last && s.number > 0 && !s.stopped {
		if err = s.append(ctx, events, last); err != nil && s.unsure == nil {
			s.keep(seen)
		}
	}
	s.mu.Lock()
	switch {
	case err == nil:
		s.since = time.Time{}
	case s.since.IsZero():
		s.since = s.now()
	}
	s.mu.Unlock()
	for _, w := range queue {
		w.written, w.err = true, err
	}
	return err
}

// gathered are the events of an object, in the order of their instants.
func gathered(queue []*waiting, seen map[sight]*Event) []Event {
	events := make([]Event, 0, len(queue)+len(seen))
	for _, w := range queue {
		events = append(events, w.event)
	}
	for _, e := range seen {
		events = append(events, *e)
	}
	slices.SortStableFunc(events, func(a, b Event) int {
		return cmp.Or(instant(a).Compare(instant(b)), cmp.Compare(a.Who, b.Who), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Partner, b.Partner),
			cmp.Compare(a.Status, b.Status), cmp.Compare(a.From, b.From))
	})
	return events
}

func instant(e Event) time.Time {
	at, _ := time.Parse(time.RFC3339Nano, e.At)
	return at
}

// keep puts back what was seen and is in no object.
func (s *Store) keep(seen map[sight]*Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, e := range seen {
		if later, ok := s.seen[k]; ok {
			e.Count += later.Count
		}
		s.seen[k] = e
	}
}

// settle makes sure of an object of which it is not known whether it is there. Its
// events are told of then, though their callers were refused: they had asked.
func (s *Store) settle(ctx context.Context) error {
	if s.unsure == nil {
		return nil
	}
	if err := bucket.PutSame(ctx, s.bucket, s.unsure.key, s.unsure.data); err != nil {
		return fmt.Errorf("write the trail: %w", err)
	}
	s.advance(s.unsure)
	return nil
}

func (s *Store) advance(o *object) {
	s.number++
	s.before, s.stopped, s.unsure = sumOf(o.data), o.last, nil
}

func (s *Store) append(ctx context.Context, events []Event, last bool) error {
	// The keys of an instance are in the order of its numbers, also where a clock is put back.
	now := s.now().UTC()
	if now.Before(s.latest) {
		now = s.latest
	}
	s.latest = now
	h := Header{
		Layout: Layout, Instance: s.instance, Number: s.number + 1, At: now.Format(time.RFC3339Nano),
		Before: s.before, Events: len(events), Last: last,
	}
	if s.number == 0 {
		var err error
		if h.Others, err = s.others(ctx, now); err != nil {
			return fmt.Errorf("write the trail: %w", err)
		}
	}
	data, err := encode(h, events)
	if err != nil {
		return fmt.Errorf("write the trail: %w", err)
	}
	o := &object{key: keyOf(now, s.instance, h.Number), data: data, last: last}
	err = bucket.PutSame(ctx, s.bucket, o.key, data)
	if err != nil {
		s.unsure = o
		return fmt.Errorf("write the trail: %w", err)
	}
	s.advance(o)
	return nil
}

// others are the newest objects of the chains of today and yesterday.
func (s *Store) others(ctx context.Context, now time.Time) ([]Link, error) {
	heads := make(map[string]Link)
	newest := make(map[string]int64)
	for _, day := range []time.Time{now.AddDate(0, 0, -1), now} {
		for info, err := range s.bucket.List(ctx, folderOf(day)) {
			if err != nil {
				return nil, err
			}
			if instance, number, ok := parseKey(info.Key); ok && instance != s.instance && number > newest[instance] {
				newest[instance], heads[instance] = number, Link{Key: info.Key}
			}
		}
	}
	links := make([]Link, 0, len(heads))
	for _, instance := range slices.Sorted(maps.Keys(heads)) {
		l := heads[instance]
		data, err := bucket.ReadAll(ctx, s.bucket, l.Key)
		if err != nil {
			return nil, err
		}
		l.SHA256 = sumOf(data)
		links = append(links, l)
	}
	return links, nil
}

func encode(h Header, events []Event) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(h); err != nil {
		return nil, err
	}
	for _, event := range events {
		if err := e.Encode(event); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
