package exports

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/calends/calends/exports/zstdids"
	"github.com/calends/calends/pipeline/invoice"
)

// idTexts are the texts of a column in which hardly one comes again but in the
// next row, as those of the two lines of a change do. Neighbours that are equal
// stand once.
type idTexts struct {
	page    []byte // as in a data page: each text behind its length
	starts  []uint32
	rows    []int32 // by row, which text it has
	longest int
}

func (t *idTexts) len() int { return len(t.starts) }

// text returns a text, valid until the next reset.
func (t *idTexts) text(n int32) []byte { return sizedText(t.page, t.starts[n]) }

// setID makes s the last text.
func setID[T string | []byte](t *idTexts, s T) error {
	if n := t.len(); n > 0 && string(t.text(int32(n-1))) == string(s) {
		return nil
	}
	if !plainText(s) && !utf8.ValidString(string(s)) {
		return errNotUTF8
	}
	if len(t.page)+len(s) > maxDictionary {
		return fmt.Errorf("more than %d bytes of text in %d lines", maxDictionary, parquetGroup)
	}
	t.starts = append(t.starts, uint32(len(t.page)))
	t.page = appendSized(room(t.page, 4+len(s)), s)
	t.longest = max(t.longest, len(s))
	return nil
}

// appendRows appends an id of each row of a block. They are plain.
func (t *idTexts) appendRows(b *invoice.Block, rows []invoice.Row, id func(*invoice.Row) invoice.Text) {
	var last []byte
	number := int32(t.len() - 1)
	if number >= 0 {
		last = t.text(number)
	}
	for i := range rows {
		s := b.Text(id(&rows[i]))
		if number < 0 || !bytes.Equal(s, last) {
			t.starts = append(t.starts, uint32(len(t.page)))
			t.page = appendSized(room(t.page, 4+len(s)), s)
			t.longest = max(t.longest, len(s))
			number, last = number+1, s
		}
		t.rows = append(t.rows, number)
	}
}

// repeat gives one more row the last text.
func (t *idTexts) repeat() { t.rows = append(t.rows, int32(len(t.starts)-1)) }

func (t *idTexts) reset() {
	*t = idTexts{page: t.page[:0], starts: t.starts[:0], rows: t.rows[:0]}
}

// idSample is how many texts show whether texts come again.
const idSample = 4096

// index looks the texts up in a dictionary, if they come again: it returns the
// number of each there, or nil when they are better written as they are.
func (t *idTexts) index(words *dictionary) []int32 {
	numbers := make([]int32, 0, t.len())
	for n := range t.starts {
		if n == idSample && 2*words.len() > n {
			return nil
		}
		s := t.text(int32(n))
		number, hash, known := findWord(words, s)
		if !known {
			number = addWord(words, s, hash)
		}
		numbers = append(numbers, number)
	}
	if 2*words.len() > len(t.rows) {
		return nil
	}
	return numbers
}

// span returns the bytes of the texts that rows from:to have, neighbours once.
func (t *idTexts) span(from, to int) []byte {
	return t.page[t.starts[t.rows[from]]:t.end(t.rows[to-1])]
}

// fit reports whether the pages can be compressed by what is known of them.
func (t *idTexts) fit() bool { return zstdids.Fits(t.longest + 4) }

// repeats says, for the page of rows from:to, where in its span a text comes again.
func (t *idTexts) repeats(dst []zstdids.Repeat, from, to int) []zstdids.Repeat {
	begin := t.starts[t.rows[from]] // of the literals that no repeat has yet
	for i := from + 1; i < to; i++ {
		n := t.rows[i]
		if n != t.rows[i-1] {
			continue
		}
		times := 1
		for i+1 < to && t.rows[i+1] == n {
			times++
			i++
		}
		end := t.end(n)
		dst = append(dst, zstdids.Repeat{Literals: int(end - begin), Size: int(end - t.starts[n]), Times: times})
		begin = end
	}
	return dst
}

// end is where a text ends.
func (t *idTexts) end(n int32) uint32 {
	if int(n)+1 < t.len() {
		return t.starts[n+1]
	}
	return uint32(len(t.page))
}

// appendPage appends the texts of rows from:to, each as often as it stands there.
func (t *idTexts) appendPage(dst []byte, from, to int) []byte {
	for _, n := range t.rows[from:to] {
		dst = appendSized(dst, t.text(n))
	}
	return dst
}

// bounds returns the least and the greatest text of rows from:to by bytes.
func (t *idTexts) bounds(from, to int) (least, most []byte) {
	least = t.text(t.rows[from])
	most = least
	low, high := prefix(least), prefix(most)
	for n := t.rows[from] + 1; n <= t.rows[to-1]; n++ {
		s := t.text(n)
		switch p := prefix(s); {
		case p < low || p == low && bytes.Compare(s, least) < 0:
			least, low = s, p
		case p > high || p == high && bytes.Compare(s, most) > 0:
			most, high = s, p
		}
	}
	return least, most
}

// prefix orders texts by their first bytes.
func prefix(s []byte) uint64 {
	if len(s) >= 8 {
		return binary.BigEndian.Uint64(s)
	}
	var first [8]byte
	copy(first[:], s)
	return binary.BigEndian.Uint64(first[:])
}

// appendSized appends a text behind its length.
func appendSized[T string | []byte](dst []byte, s T) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(s))), s...)
}

// sizedText returns the text that stands behind its length at start.
func sizedText(page []byte, start uint32) []byte {
	size := binary.LittleEndian.Uint32(page[start:])
	return page[start+4 : start+4+size]
}
