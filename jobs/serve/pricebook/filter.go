package pricebook

import (
	"iter"
	"slices"
	"strings"

	"github.com/calends/calends/pricing"
)

// Filter says which rows of a sheet are wanted. The zero value is all of them.
type Filter struct {
	ProductID, SkuID  string
	Term              pricing.Term
	Plan              pricing.Plan
	Segment, Currency string
	// At keeps the rows that are valid at an instant.
	At *pricing.Instant
	// Words keeps the rows in whose titles, ids, publisher, term, plan, segment or
	// currency each occurs, in any case. There are 64 at most, without line ends.
	Words []string
}

// Select yields the numbers of the rows that the filter wants, from one on.
func (s *Sheet) Select(f Filter, from int) iter.Seq[int] {
	return func(yield func(int) bool) {
		to := len(s.rows)
		if f.ProductID != "" {
			first, last := s.ofProduct(f.ProductID)
			from, to = max(from, first), last
		}
		words := s.wordsIn(f.Words)
		for i := from; i < to; i++ {
			if r := &s.rows[i]; s.wanted(f, r) && words.all(r) && !yield(i) {
				return
			}
		}
	}
}

// ofProduct returns where the rows of a product begin and end.
func (s *Sheet) ofProduct(id string) (first, last int) {
	compare := func(r row, id string) int { return strings.Compare(s.texts[r.product], id) }
	first, _ = slices.BinarySearchFunc(s.rows, id, compare)
	last = first
	for last < len(s.rows) && s.texts[s.rows[last].product] == id {
		last++
	}
	return first, last
}

// wanted reports whether the row has all that the filter asks for but the words.
func (s *Sheet) wanted(f Filter, r *row) bool {
	is := func(wanted string, text uint32) bool { return wanted == "" || s.texts[text] == wanted }
	return is(f.ProductID, r.product) && is(f.SkuID, r.sku) && is(f.Segment, r.segment) && is(f.Currency, r.currency) &&
		(f.Term == pricing.NoTerm || r.term == f.Term) && (f.Plan == pricing.NoPlan || r.plan == f.Plan) &&
		(f.At == nil || s.instants[r.start] <= *f.At && *f.At <= s.instants[r.end])
}

// wordSearch finds words in rows. Each text is searched once.
type wordSearch struct {
	sheet *Sheet
	words []string // in small letters
	every uint64   // a bit a word
	found []uint64 // by text, with the bits of the words that it has
	done  []bool   // by text
}

func (s *Sheet) wordsIn(words []string) *wordSearch {
	w := &wordSearch{sheet: s}
	for i, word := range words {
		w.words = append(w.words, strings.ToLower(word))
		w.every |= 1 << i
	}
	if w.every != 0 {
		w.found, w.done = make([]uint64, len(s.texts)), make([]bool, len(s.texts))
	}
	return w
}

// all reports whether each word is somewhere in the row.
func (w *wordSearch) all(r *row) bool {
	if w.every == 0 {
		return true
	}
	found := w.in(r.term.String()) | w.in(r.plan.String())
	for _, text := range [...]uint32{r.productTitle, r.skuTitle, r.publisher, r.product, r.sku, r.segment, r.currency} {
		if !w.done[text] {
			w.found[text], w.done[text] = w.in(w.sheet.texts[text]), true
		}
		found |= w.found[text]
	}
	return found == w.every
}

// in returns the words that a text has.
func (w *wordSearch) in(text string) (found uint64) {
	text = strings.ToLower(text)
	for i, word := range w.words {
		if strings.Contains(text, word) {
			found |= 1 << i
		}
	}
	return found
}
