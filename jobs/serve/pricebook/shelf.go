package pricebook

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/calends/calends/pipeline/ledger"
)

// patience is how many times as old as it should be a book may get while the next one
// is read. An answer is never older.
const patience = 10

// Shelf has the newest book. It is safe for concurrent use.
type Shelf struct {
	// Context is the server's.
	//nolint:containedctx // a book is read anew behind the request that finds the last one old, and outlives it
	Context context.Context
	// Ledger has the sheets.
	Ledger ledger.Ledger
	// Sources says which sheets there are now.
	Sources func() ([]ledger.SheetSource, error)
	Now     func() time.Time
	// Often is how long a book counts as new.
	Often   time.Duration
	Workers int
	Log     *slog.Logger

	held    atomic.Pointer[held]
	reading sync.Mutex // one reads at a time
	behind  sync.WaitGroup
}

// held is a book and when its sheets were known to be all.
type held struct {
	book *Book
	at   time.Time
	// late is set once somebody began to read the next one.
	late atomic.Bool
}

// Book returns the newest book. While it is read anew the one before serves, for a
// while; when that could not be done, those who ask later wait for it and are told.
func (s *Shelf) Book() (*Book, error) {
	h := s.held.Load()
	if h == nil {
		return s.read(nil)
	}
	age := s.Now().Sub(h.at)
	switch {
	case age >= patience*s.Often:
		return s.read(h)
	case age >= s.Often && h.late.CompareAndSwap(false, true):
		s.behind.Go(func() {
			if _, err := s.read(h); err != nil {
				s.Log.Error("price sheets could not be read anew; the ones before serve a little longer", "error", err)
			}
		})
	}
	return h.book, nil
}

// Told reads what a sheet tells people besides.
func (s *Shelf) Told(ctx context.Context, sheet *Sheet) (Told, error) {
	told := Told{Sheet: sheet}
	for _, o := range sheet.source.Objects {
		rows, err := s.Ledger.ListedRows(ctx, o)
		if err != nil {
			return Told{}, fmt.Errorf("price sheet of %s for %s (%s): %w", sheet.Market, sheet.Month, sheet.File, err)
		}
		told.listed = append(told.listed, rows...)
	}
	return told, nil
}

// Warm begins to read the first book, so that nobody has to wait for it.
func (s *Shelf) Warm() {
	s.behind.Go(func() {
		if _, err := s.Book(); err != nil && s.Context.Err() == nil {
			s.Log.Error("price sheets could not be read; who asks for prices is told why", "error", err)
		}
	})
}

// Wait waits for what [Shelf.Book] and [Shelf.Warm] began.
func (s *Shelf) Wait() { s.behind.Wait() }

// read reads the book that comes after another, unless somebody else just did.
func (s *Shelf) read(after *held) (*Book, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if h := s.held.Load(); h != after {
		return h.book, nil
	}
	at := s.Now()
	sources, err := s.Sources()
	if err != nil {
		return nil, err
	}
	var from *Book
	if after != nil {
		from = after.book
	}
	book, err := Read(s.Context, s.Ledger, sources, from, s.Workers)
	if err != nil {
		return nil, err
	}
	s.held.Store(&held{book: book, at: at})
	return book, nil
}
