package offers

import (
	"iter"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// fold makes texts equal that differ in case, accents or forms of a letter only.
func fold(s string) string {
	plain := true
	for i := range len(s) {
		if s[i] >= 0x80 {
			plain = false
			break
		}
	}
	if !plain {
		// A chain has state: each use has its own.
		chain := transform.Chain(norm.NFKD, runes.Remove(runes.In(unicode.Mn)), norm.NFC)
		if folded, _, err := transform.String(chain, s); err == nil {
			s = folded
		}
	}
	return strings.ToLower(s)
}

// wordsOf are the runs of letters and digits of a folded text.
func wordsOf(folded string) iter.Seq[string] {
	return strings.FieldsFuncSeq(folded, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// texts are what an offer is found by.
type texts struct {
	title string
	rest  []string // the second and third are its product's id and its own
}

// index finds offers by the beginnings of words.
type index struct {
	offers int
	titles []string         // folded; the offers are in the order of them
	ids    map[string][]int // PRODUCT and PRODUCT/SKU, folded -> places
	title  wordIndex
	rest   wordIndex
}

// wordIndex has the places of each word.
type wordIndex struct {
	words  []string // in order
	places [][]int32
}

// newIndex makes the index of offers that are in the order of their folded titles.
func newIndex(offers []texts) index {
	x := index{offers: len(offers), titles: make([]string, len(offers)), ids: make(map[string][]int)}
	title, rest := make(map[string][]int32), make(map[string][]int32)
	known := make(map[string]string) // texts that several have are folded once
	folded := func(s string) string {
		f, ok := known[s]
		if !ok {
			f = fold(s)
			known[s] = f
		}
		return f
	}
	for i, o := range offers {
		x.titles[i] = fold(o.title)
		note(title, x.titles[i], i)
		for _, text := range o.rest {
			note(rest, folded(text), i)
		}
		product, sku := folded(o.rest[1]), folded(o.rest[2])
		x.ids[product] = append(x.ids[product], i)
		x.ids[product+"/"+sku] = append(x.ids[product+"/"+sku], i)
	}
	x.title, x.rest = newWordIndex(title), newWordIndex(rest)
	return x
}

func note(words map[string][]int32, folded string, place int) {
	for w := range wordsOf(folded) {
		if places := words[w]; len(places) == 0 || places[len(places)-1] != int32(place) {
			words[w] = append(places, int32(place))
		}
	}
}

func newWordIndex(words map[string][]int32) wordIndex {
	x := wordIndex{words: slices.Sorted(maps.Keys(words))}
	for _, w := range x.words {
		x.places = append(x.places, slices.Clip(words[w]))
	}
	return x
}

// beginning adds the places of all words that begin so.
func (x *wordIndex) beginning(word string, to set) {
	at, _ := slices.BinarySearch(x.words, word)
	for ; at < len(x.words) && strings.HasPrefix(x.words[at], word); at++ {
		for _, place := range x.places[at] {
			to.add(int(place))
		}
	}
}

// find yields the places of the offers that have all words, or words that begin with
// them: the best first, else in order. Without words it yields all.
func (x *index) find(query string) iter.Seq[int] {
	return func(yield func(int) bool) {
		folded := fold(strings.TrimSpace(query))
		words := slices.Collect(wordsOf(folded))
		if len(words) == 0 {
			if folded != "" {
				return // no letter and no digit: nothing has that
			}
			for i := range x.offers {
				if !yield(i) {
					return
				}
			}
			return
		}
		inTitle, found := newSet(x.offers), newSet(x.offers)
		for i, w := range words {
			title, any := newSet(x.offers), newSet(x.offers)
			x.title.beginning(w, title)
			x.rest.beginning(w, any)
			any.join(title)
			if i == 0 {
				inTitle, found = title, any
				continue
			}
			inTitle.keep(title)
			found.keep(any)
		}
		exact, begins := newSet(x.offers), newSet(x.offers)
		for _, place := range x.ids[strings.ReplaceAll(folded, ":", "/")] {
			exact.add(place)
		}
		at, _ := slices.BinarySearch(x.titles, folded)
		for ; at < x.offers && strings.HasPrefix(x.titles[at], folded); at++ {
			begins.add(at)
		}
		begins.keep(inTitle)
		said := newSet(x.offers)
		for _, rank := range [...]set{exact, begins, inTitle, found} {
			for place := range rank.all() {
				if said.has(place) {
					continue
				}
				said.add(place)
				if !yield(place) {
					return
				}
			}
		}
	}
}

// set is a set of places.
type set []uint64

func newSet(size int) set { return make(set, (size+63)/64) }

func (s set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

func (s set) join(t set) {
	for i := range s {
		s[i] |= t[i]
	}
}

func (s set) keep(t set) {
	for i := range s {
		s[i] &= t[i]
	}
}

func (s set) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, w := range s {
			for ; w != 0; w &= w - 1 {
				if !yield(i*64 + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}
