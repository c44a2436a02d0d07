package linebook

import (
	"container/list"
	"context"
	"errors"
	"sync"

	"github.com/calends/calends/pipeline/bucket"
)

// Shelf keeps the books that were asked for last, as many as there is room for; the
// last one always. It is safe for concurrent use.
type Shelf struct {
	room int64
	// turns are how many books may be made at the same time.
	turns chan struct{}

	mu    sync.Mutex
	books map[string]*entry // by hash
	used  *list.List        // of hashes, the last used first
	taken int64
}

// entry is a book that is there, or on its way.
type entry struct {
	ready chan struct{} // closed when it is there, or has failed
	book  *Book
	err   error
	at    *list.Element
}

// NewShelf returns one with room for so many bytes.
func NewShelf(room int64) *Shelf {
	return &Shelf{room: room, turns: make(chan struct{}, 1), books: make(map[string]*entry), used: list.New()}
}

// Open returns the book of a file. Of several who ask for one that is not there, one
// makes it and the others wait.
func (s *Shelf) Open(ctx context.Context, b bucket.Bucket, f File) (*Book, error) {
	for {
		e, mine := s.entry(f.SHA256)
		if mine {
			return s.make(ctx, b, f, e)
		}
		select {
		case <-e.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !errors.Is(e.err, context.Canceled) && !errors.Is(e.err, context.DeadlineExceeded) {
			return e.book, e.err
		}
		// Whoever made it has gone away: this one tries itself.
	}
}

// entry returns the one of a hash; mine if it has to be made.
func (s *Shelf) entry(sum string) (e *entry, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.books[sum]; ok {
		if e.at != nil {
			s.used.MoveToFront(e.at)
		}
		return e, false
	}
	e = &entry{ready: make(chan struct{})}
	s.books[sum] = e
	return e, true
}

func (s *Shelf) make(ctx context.Context, b bucket.Bucket, f File, e *entry) (*Book, error) {
	defer close(e.ready)
	select {
	case s.turns <- struct{}{}:
		e.book, e.err = read(ctx, b, f)
		<-s.turns
	case <-ctx.Done():
		e.err = ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.err != nil {
		delete(s.books, f.SHA256)
		return nil, e.err
	}
	e.at = s.used.PushFront(f.SHA256)
	s.taken += e.book.Size()
	for s.taken > s.room && s.used.Len() > 1 {
		last := s.used.Back()
		sum := s.used.Remove(last).(string)
		s.taken -= s.books[sum].book.Size()
		delete(s.books, sum)
	}
	return e.book, nil
}
