package offers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// Shelf makes catalogues when they are first asked for and keeps the last ones. It is
// safe for concurrent use.
type Shelf struct {
	most int

	mu         sync.Mutex
	sight      *sight
	background *made[*Background]
	catalogues []*made[*Catalogue] // the last that was asked for last
}

// Most is how many catalogues a shelf keeps unless told otherwise. One of 25,000 SKUs
// takes about 36 MB.
const Most = 8

// NewShelf returns a shelf that keeps so many catalogues.
func NewShelf(most int) *Shelf { return &Shelf{most: max(1, most)} }

// made is something that is made once.
type made[T any] struct {
	key string
	mu  sync.Mutex
	has bool
	it  T
}

// of returns what was made, or makes it. What failed is tried again by the next.
func (m *made[T]) of(make func() (T, error)) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.has {
		return m.it, nil
	}
	it, err := make()
	if err == nil {
		m.it, m.has = it, true
	}
	return it, err
}

// sight is what the shelf has to know of a reading, so that it is looked up once.
type sight struct {
	reading *jobs.Reading
	sheets  map[string][]ledger.SheetSource // of a market, by month
	key     string                          // of the background
}

func (s *Shelf) see(r *jobs.Reading) *sight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sight != nil && s.sight.reading == r {
		return s.sight
	}
	seen := &sight{reading: r, sheets: make(map[string][]ledger.SheetSource)}
	for _, source := range r.Catalog().SheetSources() {
		seen.sheets[source.Market] = append(seen.sheets[source.Market], source)
	}
	var depends []byte
	for _, in := range r.Inputs() {
		if in.Kind == ledger.Offers || in.Kind == ledger.Promotions {
			depends = fmt.Appendf(depends, "%d %s %s\n", in.Number, in.Kind, in.SHA256)
		}
	}
	seen.key = hashOf(depends)
	s.sight = seen
	return seen
}

// Background returns the offer matrix and the promotions of a reading.
func (s *Shelf) Background(ctx context.Context, r *jobs.Reading) (*Background, error) {
	seen := s.see(r)
	s.mu.Lock()
	if s.background == nil || s.background.key != seen.key {
		s.background = &made[*Background]{key: seen.key}
	}
	b := s.background
	s.mu.Unlock()
	return b.of(func() (*Background, error) {
		// Others wait for it too: it is not given up when whoever asked first goes away.
		matrix, err := r.OfferMatrix(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		return NewBackground(seen.key, matrix, slices.Collect(r.Catalog().AllPromotions)), nil
	})
}

// Catalogue returns what the sheet offers that governs a market in a month: the month's
// own, else the latest earlier one. The error is [jobs.ErrMissing] where there is none.
func (s *Shelf) Catalogue(ctx context.Context, r *jobs.Reading, market string, month pricing.Month) (*Catalogue, error) {
	seen := s.see(r)
	var source *ledger.SheetSource
	for i, one := range seen.sheets[market] {
		if one.Month <= month {
			source = &seen.sheets[market][i]
		}
	}
	if source == nil {
		return nil, fmt.Errorf("offers: %w", r.NoSheet(market, month))
	}
	background, err := s.Background(ctx, r)
	if err != nil {
		return nil, err
	}
	tag := tagOf(*source)
	return s.held(tag + " " + background.tag).of(func() (*Catalogue, error) {
		rows, err := r.ListedRows(context.WithoutCancel(ctx), *source)
		if err != nil {
			return nil, err
		}
		return New(Sheet{source.Market, source.Month, source.File, source.SHA256, tag}, rows, background), nil
	})
}

// held returns the place of a catalogue, and lets go of the one that was not asked for
// for the longest time.
func (s *Shelf) held(key string) *made[*Catalogue] {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.catalogues, func(m *made[*Catalogue]) bool { return m.key == key })
	var m *made[*Catalogue]
	switch {
	case at >= 0:
		m = s.catalogues[at]
		s.catalogues = slices.Delete(s.catalogues, at, at+1)
	case len(s.catalogues) == s.most:
		s.catalogues = slices.Delete(s.catalogues, 0, 1)
		fallthrough
	default:
		m = &made[*Catalogue]{key: key}
	}
	s.catalogues = append(s.catalogues, m)
	return m
}

// tagOf changes whenever anything about the sheet does.
func tagOf(s ledger.SheetSource) string {
	depends := fmt.Appendf(nil, "%q %s %q %s", s.Market, s.Month, s.File, s.SHA256)
	for _, o := range s.Objects {
		depends = fmt.Appendf(depends, " %s", o.SHA256)
	}
	return hashOf(depends)
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
