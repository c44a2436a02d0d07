package pricebook

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// shelfWorld is a shelf of a world whose time stands still until it is told.
type shelfWorld struct {
	*world
	*testing.T
	shelf  *Shelf
	passed atomic.Int64 // since the beginning
	gate   sync.Mutex   // held: nobody learns which sheets there are
	broken atomic.Bool
}

var errBroken = errors.New("the store is gone")

func newShelfWorld(t *testing.T) *shelfWorld {
	t.Helper()
	w := &shelfWorld{world: newWorld(), T: t}
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w.shelf = &Shelf{
		Context: t.Context(), Ledger: w.Ledger, Often: time.Second, Workers: 1, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return began.Add(time.Duration(w.passed.Load())) },
		Sources: func() ([]ledger.SheetSource, error) {
			w.gate.Lock()
			defer w.gate.Unlock()
			if w.broken.Load() {
				return nil, errBroken
			}
			return w.catalog(t).SheetSources(), nil
		},
	}
	w.price("10")
	return w
}

// price takes another sheet in.
func (w *shelfWorld) price(text string) {
	w.Helper()
	w.gate.Lock()
	defer w.gate.Unlock()
	month := pricing.MonthOf(2026, 1)
	w.take(w.T, ledger.Prices, month, "DE", []pricing.Row{{SKU: pricing.SKU{ProductID: "P", SkuID: "0001"}, Term: pricing.P1Y, Plan: pricing.Annual, Market: "DE",
		Segment: "Commercial", Currency: "EUR", UnitPrice: decimal.RequireFromString(text), Start: month.First().Instant(), End: (month + 1).First().Instant(), Line: 2}})
}

// wants asks for the newest book and wants it to have the price.
func (w *shelfWorld) wants(text string) {
	w.Helper()
	book, err := w.shelf.Book()
	if err != nil {
		w.Fatal(err)
	}
	if got := book.Of("DE", pricing.MonthOf(2026, 1)).Row(0).UnitPrice.String(); got != text {
		w.Errorf("got the book with %s, want that with %s", got, text)
	}
}

func (w *shelfWorld) after(d time.Duration) { w.passed.Add(int64(d)) }

func TestTheBookBeforeServesMeanwhile(t *testing.T) {
	t.Parallel()
	w := newShelfWorld(t)
	w.wants("10")
	w.price("11")
	w.after(900 * time.Millisecond)
	w.wants("10") // it counts as new
	w.after(200 * time.Millisecond)
	w.gate.Lock()
	w.wants("10") // the next is being read, which takes a while
	w.wants("10")
	w.gate.Unlock()
	w.shelf.Wait()
	w.wants("11")
}

func TestNoAnswerIsOld(t *testing.T) {
	t.Parallel()
	w := newShelfWorld(t)
	w.wants("10")
	w.price("11")
	w.after(time.Minute) // nobody has asked
	w.wants("11")
}

func TestAStoreThatIsGone(t *testing.T) {
	t.Parallel()
	w := newShelfWorld(t)
	w.wants("10")
	w.broken.Store(true)
	w.after(2 * time.Second)
	w.wants("10") // and the next could not be read
	w.shelf.Wait()
	w.after(5 * time.Second)
	w.wants("10")
	w.after(5 * time.Second)
	if _, err := w.shelf.Book(); !errors.Is(err, errBroken) {
		t.Errorf("a book of 12 seconds: got %v, want that the store is gone", err)
	}
	w.broken.Store(false)
	w.price("11")
	w.wants("11")
}

func TestTheFirstBookFails(t *testing.T) {
	t.Parallel()
	w := newShelfWorld(t)
	w.broken.Store(true)
	w.shelf.Warm()
	w.shelf.Wait()
	if _, err := w.shelf.Book(); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want that the store is gone", err)
	}
	w.broken.Store(false)
	w.wants("10")
}

func TestManyAskForTheFirstBook(t *testing.T) {
	t.Parallel()
	w := newShelfWorld(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { w.wants("10") })
	}
	group.Wait()
	if len(w.opened.keys) != 1 {
		t.Errorf("%d objects were read, want one", len(w.opened.keys))
	}
}
