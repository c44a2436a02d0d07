package intake

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/calends/calends/pricing/pricesheet/table"
)

// appendText appends bytes behind their length, so that no two texts run into
// each other.
func appendText(dst, s []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendCanonical appends a form of a JSON value that is equal for equal
// values: no white space, sorted keys of which the last of a name counts,
// numbers as plain decimals. The value must have been read by a scanner.
func appendCanonical(dst []byte, v value) []byte {
	dst = append(dst, '0'+byte(v.kind))
	switch v.kind {
	case number, floating:
		if d, ok := table.Number(v.text); ok {
			return appendText(dst, []byte(d.String()))
		}
		return appendText(dst, bytes.ToLower(v.text))
	case array:
		p := scanner{s: v.text}
		p.elements(func() bool {
			element, ok := p.value(0)
			if ok {
				dst = appendCanonical(dst, element)
			}
			return ok
		})
		return append(dst, ']')
	case object:
		return append(appendObject(dst, v.text), '}')
	case absent, null, text, boolean:
	}
	return appendText(dst, v.text)
}

func appendObject(dst, raw []byte) []byte {
	type member struct {
		key   []byte
		value value
	}
	var members []member
	p := scanner{s: raw}
	p.members(func(key []byte) bool {
		v, ok := p.value(0)
		members = append(members, member{key, v})
		return ok
	})
	slices.SortStableFunc(members, func(a, b member) int { return bytes.Compare(a.key, b.key) })
	for i, m := range members {
		if i+1 < len(members) && bytes.Equal(m.key, members[i+1].key) {
			continue
		}
		dst = appendCanonical(appendText(dst, m.key), m.value)
	}
	return dst
}
