package exports

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
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
	start := d.starts[number]
	size := binary.LittleEndian.Uint32(d.page[start:])
	return d.page[start+4 : start+4+size]
}

// find returns the number of a text, if it has one, and its hash.
func (d *dictionary) find(s string) (number int32, hash uint32, ok bool) {
	hash = uint32(maphash.String(d.seed, s))
	for i := int(hash); ; i++ {
		slot := d.slots[i&(len(d.slots)-1)]
		if slot == 0 {
			return 0, hash, false
		}
		if n := slot - 1; d.hashes[n] == hash && string(d.text(n)) == s {
			return n, hash, true
		}
	}
}

// add gives a new text the next number.
func (d *dictionary) add(s string, hash uint32) int32 {
	number := int32(d.len())
	d.starts = append(d.starts, uint32(len(d.page)))
	d.hashes = append(d.hashes, hash)
	d.page = binary.LittleEndian.AppendUint32(d.page, uint32(len(s)))
	d.page = append(d.page, s...)
	if 2*d.len() > len(d.slots) {
		d.slots = make([]int32, 4*len(d.slots))
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

// bounds returns the least and the greatest text by bytes.
func (d *dictionary) bounds() (least, most []byte) {
	least = d.text(0)
	most = least
	for n := range d.starts {
		if t := d.text(int32(n)); bytes.Compare(t, least) < 0 {
			least = t
		} else if bytes.Compare(t, most) > 0 {
			most = t
		}
	}
	return least, most
}

func (d *dictionary) reset() {
	d.page, d.starts, d.hashes = d.page[:0], d.starts[:0], d.hashes[:0]
	clear(d.slots)
}
