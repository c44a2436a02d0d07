package pages

import (
	"errors"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// errDictionary is what a column is refused with that a dictionary was not
// expected of.
var errDictionary = errors.New("it has a dictionary")

// errShort is what a page is refused with that has fewer values than it says.
var errShort = fmt.Errorf("%w: a page has fewer values than it says", parquet.ErrCorrupted)

// Numbers is a column of whole numbers: dates, instants, counts.
type Numbers[T int32 | int64] struct {
	Values []T

	read []T

	kept   []T // of a page to write
	packed []byte
}

func (c *Numbers[T]) group() {}
func (c *Numbers[T]) clear() { c.Values = c.Values[:0] }
func (c *Numbers[T]) keep()  { c.Values = nil }

func (c *Numbers[T]) page(p parquet.Page) error {
	if p.Dictionary() != nil {
		return errDictionary
	}
	data := p.Data()
	switch read := any(&c.read).(type) {
	case *[]int32:
		if data.Kind() != encoding.Int32 {
			return wrongKind(p)
		}
		*read = data.Int32()
	case *[]int64:
		if data.Kind() != encoding.Int64 {
			return wrongKind(p)
		}
		*read = data.Int64()
	}
	return nil
}

func (c *Numbers[T]) take(n int) error {
	if n > len(c.read) {
		return errShort
	}
	c.Values = append(c.Values, c.read[:n]...)
	c.read = c.read[n:]
	return nil
}

func (c *Numbers[T]) none(n int) { c.Values = append(c.Values, make([]T, n)...) }

// Flags is a column of truths.
type Flags struct {
	Values []bool

	bits []byte
	at   int
}

func (c *Flags) group() {}
func (c *Flags) clear() { c.Values = c.Values[:0] }
func (c *Flags) keep()  { c.Values = nil }

func (c *Flags) page(p parquet.Page) error {
	data := p.Data()
	if data.Kind() != encoding.Boolean {
		return wrongKind(p)
	}
	c.bits, c.at = data.Boolean(), 0
	return nil
}

func (c *Flags) take(n int) error {
	if c.at+n > 8*len(c.bits) {
		return errShort
	}
	for n > 0 {
		if c.at&7 != 0 || n < 8 {
			c.Values = append(c.Values, c.bits[c.at>>3]>>(c.at&7)&1 != 0)
			c.at, n = c.at+1, n-1
			continue
		}
		b := c.bits[c.at>>3]
		c.Values = append(c.Values, b&1 != 0, b&2 != 0, b&4 != 0, b&8 != 0, b&16 != 0, b&32 != 0, b&64 != 0, b&128 != 0)
		c.at, n = c.at+8, n-8
	}
	return nil
}

func (c *Flags) none(n int) { c.Values = append(c.Values, make([]bool, n)...) }

// Texts is a column of text of which each value stands once, as ids do. Those of
// a page share one piece of memory.
type Texts struct {
	Values []string

	words dictionary
	read  []string // of the page
	at    int
	index []int32 // instead, where the page has a dictionary

	lengths []int32 // of a page to write
	packed  []byte
}

func (c *Texts) group() { c.words.group() }
func (c *Texts) clear() { c.Values = c.Values[:0] }
func (c *Texts) keep()  { c.Values = nil }

func (c *Texts) page(p parquet.Page) (err error) {
	c.read, c.at, c.index = c.read[:0], 0, nil
	if p.Dictionary() != nil {
		c.index, _, err = c.words.page(p)
		return err
	}
	c.read, err = appendTexts(c.read, p)
	return err
}

func (c *Texts) take(n int) error {
	if c.index != nil {
		if n > len(c.index) {
			return errShort
		}
		for _, i := range c.index[:n] {
			c.Values = append(c.Values, c.words.texts[i])
		}
		c.index = c.index[n:]
		return nil
	}
	if c.at+n > len(c.read) {
		return errShort
	}
	c.Values = append(c.Values, c.read[c.at:c.at+n]...)
	c.at += n
	return nil
}

func (c *Texts) none(n int) { c.Values = append(c.Values, make([]string, n)...) }

// Names is a column of text that rows share. Index has a place in Values for each
// row; within a row group a place keeps its text.
type Names struct {
	Values []string
	Index  []int32

	words dictionary
	read  []int32
	base  int32 // of read
	plain []string
	empty int32 // the place of no text; -1: it has none yet
	// others are the places of texts that stand outside the dictionary, as they do
	// once that has grown too large. In writing it is those of all texts.
	others map[string]int32

	packed []byte
	seen   []int32 // by place, the last page that had it, of so many
	pages  int32
}

// Of returns the text of a row.
func (c *Names) Of(row int) string { return c.Values[c.Index[row]] }

func (c *Names) group() {
	c.words.group()
	c.Values, c.others, c.empty = nil, nil, -1
	c.seen = nil
}

func (c *Names) clear() { c.Index = c.Index[:0] }
func (c *Names) keep()  { c.Index = nil }

func (c *Names) page(p parquet.Page) (err error) {
	if p.Dictionary() != nil {
		var fresh bool
		if c.read, fresh, err = c.words.page(p); fresh {
			c.base = int32(len(c.Values))
			c.Values = append(c.Values[:c.base:c.base], c.words.texts...)
		}
		return err
	}
	if c.others == nil {
		c.others = make(map[string]int32)
		for i, text := range c.Values {
			c.others[text] = int32(i)
		}
	}
	if c.plain, err = appendTexts(c.plain[:0], p); err != nil {
		return err
	}
	c.read, c.base = make([]int32, len(c.plain)), 0
	for i, text := range c.plain {
		c.read[i] = c.place(text)
	}
	return nil
}

// place returns where a text stands that is in no dictionary.
func (c *Names) place(text string) int32 {
	i, ok := c.others[text]
	if !ok {
		i = int32(len(c.Values))
		c.Values = append(c.Values, text)
		c.others[text] = i
	}
	return i
}

func (c *Names) take(n int) error {
	if n > len(c.read) {
		return errShort
	}
	if c.base == 0 {
		c.Index = append(c.Index, c.read[:n]...)
	} else {
		for _, i := range c.read[:n] {
			c.Index = append(c.Index, c.base+i)
		}
	}
	c.read = c.read[n:]
	return nil
}

func (c *Names) none(n int) {
	if c.empty < 0 {
		c.empty = int32(len(c.Values))
		c.Values = append(c.Values, "")
	}
	for range n {
		c.Index = append(c.Index, c.empty)
	}
}

// dictionary is the text that the pages of a row group refer to.
type dictionary struct {
	of    parquet.Dictionary
	texts []string
}

func (d *dictionary) group() { d.of, d.texts = nil, nil }

// page returns the indexes of a page, and whether the dictionary is another than
// that of the page before.
func (d *dictionary) page(p parquet.Page) (index []int32, fresh bool, err error) {
	if of := p.Dictionary(); of != d.of {
		d.of, fresh = of, true
		if d.texts, err = appendTexts(nil, of.Page()); err != nil {
			return nil, false, err
		}
	}
	data := p.Data()
	index = data.Int32()
	words := uint32(len(d.texts))
	for _, i := range index {
		if uint32(i) >= words {
			return nil, false, fmt.Errorf("%w: a page refers to text %d of a dictionary of %d", parquet.ErrCorrupted, i, words)
		}
	}
	return index, fresh, nil
}

// appendTexts appends the texts of a page, with memory of their own.
func appendTexts(texts []string, p parquet.Page) ([]string, error) {
	values := p.Data()
	if values.Kind() != encoding.ByteArray {
		return nil, wrongKind(p)
	}
	data, offsets := values.ByteArray()
	if len(offsets) == 0 {
		return texts, nil
	}
	texts = slices.Grow(texts, len(offsets)-1)
	all := string(data[:offsets[len(offsets)-1]])
	for i, end := range offsets[1:] {
		texts = append(texts, all[offsets[i]:end])
	}
	return texts, nil
}

func wrongKind(p parquet.Page) error {
	data := p.Data()
	return fmt.Errorf("%w: it holds %s", parquet.ErrCorrupted, data.Kind())
}
