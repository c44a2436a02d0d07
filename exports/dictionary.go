package exports

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

// dictionary numbers the distinct texts of a column in the order of their first
// appearance. It holds no pointers: the texts stand in the dictionary page as it
// will be written, each behind its length, and a hash table finds them there.
// The seed of the hash decides where a text is looked for, never its number.
type dictionary struct {
	seed   maphash.Seed
	page   []byte
	starts []uint32 // of the texts in page
	hashes []uint32
	slots  []int32 // number + 1, 0 for none; a power of two long
}

func newDictionary() dictionary {
	return dictionary{seed: maphash.MakeSeed(), slots: make([]int32, 64)}
}

func (d *dictionary) len() int { return len(d.starts) }

// text returns the text of a number, valid until the next reset.
func (d *dictionary) text(number int32) []byte {
	return sizedText(d.page, d.starts[number])
}

// findWord returns the number of a text, if it has one, and its hash.
func findWord[T string | []byte](d *dictionary, s T) (number int32, hash uint32, ok bool) {
	hash = hashText(d.seed, s)
	for i := int(hash); ; i++ {
		slot := d.slots[i&(len(d.slots)-1)]
		if slot == 0 {
			return 0, hash, false
		}
		if n := slot - 1; d.hashes[n] == hash && string(d.text(n)) == string(s) {
			return n, hash, true
		}
	}
}

func hashText[T string | []byte](seed maphash.Seed, s T) uint32 {
	switch s := any(s).(type) {
	case string:
		return uint32(maphash.String(seed, s))
	case []byte:
		return uint32(maphash.Bytes(seed, s))
	}
	panic("a text is a string or bytes")
}

// addWord gives a new text the next number.
func addWord[T string | []byte](d *dictionary, s T, hash uint32) int32 {
	number := int32(d.len())
	d.starts = append(d.starts, uint32(len(d.page)))
	d.hashes = append(d.hashes, hash)
	d.page = appendSized(d.page, s)
	if 2*d.len() > len(d.slots) {
		d.slots = emptySlots(d.slots, 4*len(d.slots))
		for n, h := range d.hashes {
			d.place(int32(n), h)
		}
	} else {
		d.place(number, hash)
	}
	return number
}

func (d *dictionary) place(number int32, hash uint32) {
	for i := int(hash); ; i++ {
		if slot := &d.slots[i&(len(d.slots)-1)]; *slot == 0 {
			*slot = number + 1
			return
		}
	}
}

// boundsOf returns the least and the greatest by bytes of some of the texts.
func (d *dictionary) boundsOf(numbers []int32) (least, most []byte) {
	least = d.text(numbers[0])
	most = least
	for _, n := range numbers[1:] {
		if t := d.text(n); bytes.Compare(t, least) < 0 {
			least = t
		} else if bytes.Compare(t, most) > 0 {
			most = t
		}
	}
	return least, most
}

// reset forgets all texts. After few there are fewer slots, for all of them
// have to be cleared.
func (d *dictionary) reset() {
	for len(d.slots) > 64 && 16*d.len() < len(d.slots) {
		d.slots = d.slots[:len(d.slots)/4]
	}
	d.page, d.starts, d.hashes = d.page[:0], d.starts[:0], d.hashes[:0]
	clear(d.slots)
}

// numberDictionary numbers the distinct values of a column in the order of their
// first appearance.
type numberDictionary struct {
	values  []int64
	indexes []int32 // of the column's values
	slots   []int32 // number + 1, 0 for none; a power of two long
	shift   int     // from a hash to a slot
}

// index looks all values up, unless more than limit of them differ.
func (d *numberDictionary) index(values []int64, limit int) bool {
	d.values, d.indexes = d.values[:0], d.indexes[:0]
	d.resize(64)
	last, number := int64(0), int32(-1)
	for _, v := range values {
		if v != last || number < 0 {
			if number = d.number(v); int(number) >= limit {
				return false
			}
			last = v
		}
		d.indexes = append(d.indexes, number)
	}
	return true
}

func (d *numberDictionary) number(v int64) int32 {
	i := d.slot(v)
	for ; d.slots[i] != 0; i = (i + 1) & (len(d.slots) - 1) {
		if n := d.slots[i] - 1; d.values[n] == v {
			return n
		}
	}
	d.values = append(d.values, v)
	d.slots[i] = int32(len(d.values))
	if 2*len(d.values) > len(d.slots) {
		d.resize(4 * len(d.slots))
		for n, v := range d.values {
			i := d.slot(v)
			for d.slots[i] != 0 {
				i = (i + 1) & (len(d.slots) - 1)
			}
			d.slots[i] = int32(n + 1)
		}
	}
	return int32(len(d.values) - 1)
}

func (d *numberDictionary) slot(v int64) int { return int(uint64(v) * 0x9e3779b97f4a7c15 >> d.shift) }

func (d *numberDictionary) resize(size int) {
	d.slots = emptySlots(d.slots, size)
	d.shift = 64 - bits.TrailingZeros(uint(size))
}

// emptySlots returns so many empty slots, in the memory given if it suffices.
func emptySlots(slots []int32, size int) []int32 {
	if size > cap(slots) {
		return make([]int32, size)
	}
	clear(slots[:size])
	return slots[:size]
}
