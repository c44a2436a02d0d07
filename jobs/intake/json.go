package intake

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// kind is the kind of a JSON value, or of a cell.
type kind uint8

const (
	absent kind = iota
	null
	text
	number
	boolean
	object
	array
	floating // a binary floating-point number of a Parquet file
)

// value is a JSON value or a cell. text holds the characters of a string
// without quotes and escapes, and everything else as it stands.
type value struct {
	kind kind
	text []byte
}

// maxDepth is how deep objects and arrays may nest.
const maxDepth = 200

// scanner reads one JSON text. It accepts what encoding/json does, up to
// maxDepth; whether the text is UTF-8 is for the caller to check. What its
// methods return stands in the text or in the arena, and is valid until reset.
type scanner struct {
	s     []byte
	pos   int
	arena []byte // strings that had escapes
}

func (p *scanner) reset(s []byte) { p.s, p.pos, p.arena = s, 0, p.arena[:0] }

// peek skips white space and returns the next byte, 0 at the end.
func (p *scanner) peek() byte {
	for ; p.pos < len(p.s); p.pos++ {
		switch c := p.s[p.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// done reports whether only white space is left.
func (p *scanner) done() bool { return p.peek() == 0 && p.pos == len(p.s) }

// members reads an object. each is called behind every key and reads the value.
func (p *scanner) members(each func(key []byte) bool) bool {
	if p.peek() != '{' {
		return false
	}
	p.pos++
	if p.peek() == '}' {
		p.pos++
		return true
	}
	for {
		if p.peek() != '"' {
			return false
		}
		key, ok := p.str()
		if !ok || p.peek() != ':' {
			return false
		}
		p.pos++
		if !each(key) {
			return false
		}
		switch p.peek() {
		case ',':
			p.pos++
		case '}':
			p.pos++
			return true
		default:
			return false
		}
	}
}

// elements reads an array. each is called before every element and reads it.
func (p *scanner) elements(each func() bool) bool {
	if p.peek() != '[' {
		return false
	}
	p.pos++
	if p.peek() == ']' {
		p.pos++
		return true
	}
	for {
		if !each() {
			return false
		}
		switch p.peek() {
		case ',':
			p.pos++
		case ']':
			p.pos++
			return true
		default:
			return false
		}
	}
}

// value reads one value; objects and arrays come out whole.
func (p *scanner) value(depth int) (v value, ok bool) {
	switch c := p.peek(); c {
	case '"':
		v.kind = text
		v.text, ok = p.str()
	case '{', '[':
		from := p.pos
		ok = p.skip(depth)
		v = value{object, p.s[from:p.pos]}
		if c == '[' {
			v.kind = array
		}
	case 't':
		v = value{boolean, p.literal("true")}
		ok = v.text != nil
	case 'f':
		v = value{boolean, p.literal("false")}
		ok = v.text != nil
	case 'n':
		v = value{null, p.literal("null")}
		ok = v.text != nil
	default:
		v.kind = number
		v.text, ok = p.number()
	}
	return v, ok
}

// skip reads an object or array for its form alone.
func (p *scanner) skip(depth int) bool {
	if depth >= maxDepth {
		return false
	}
	inner := func() bool {
		switch p.peek() {
		case '{', '[':
			return p.skip(depth + 1)
		case '"':
			return p.skipString()
		}
		_, ok := p.value(depth + 1)
		return ok
	}
	if p.peek() == '[' {
		return p.elements(inner)
	}
	return p.members(func([]byte) bool { return inner() })
}

func (p *scanner) literal(word string) []byte {
	end := p.pos + len(word)
	if end > len(p.s) || string(p.s[p.pos:end]) != word {
		return nil
	}
	token := p.s[p.pos:end]
	p.pos = end
	return token
}

func (p *scanner) number() ([]byte, bool) {
	s, i := p.s, p.pos
	digits := func() bool {
		from := i
		for i < len(s) && '0' <= s[i] && s[i] <= '9' {
			i++
		}
		return i > from
	}
	if i < len(s) && s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if !digits() {
		return nil, false
	}
	if i < len(s) && s[i] == '.' {
		i++
		if !digits() {
			return nil, false
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return nil, false
		}
	}
	token := s[p.pos:i]
	p.pos = i
	return token, true
}

// str reads a string.
func (p *scanner) str() ([]byte, bool) {
	s := p.s
	from := p.pos + 1
	for i := from + plainRun(s[from:]); i < len(s); i++ {
		c := s[i]
		if c == '"' {
			p.pos = i + 1
			return s[from:i], true
		}
		if c == '\\' {
			return p.escaped(from, i)
		}
		if c < 0x20 {
			return nil, false
		}
	}
	return nil, false
}

// plainRun returns how many bytes at least, from the first on, are neither quote
// nor backslash nor control character. It looks at eight at once.
func plainRun(s []byte) (n int) {
	const (
		low         = 0x0101010101010101
		high        = 0x8080808080808080
		quotes      = '"' * low
		backslashes = '\\' * low
	)
	for ; n+8 <= len(s); n += 8 {
		x := binary.LittleEndian.Uint64(s[n:])
		q, b := x^quotes, x^backslashes
		// A byte of zero, or one below a blank, borrows and sets its high bit; a
		// byte above a true one may, too, but not below the first.
		if found := ((q-low)&^q | (b-low)&^b | (x-' '*low)&^x) & high; found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	return n
}

func (p *scanner) skipString() bool {
	kept := len(p.arena)
	_, ok := p.str()
	p.arena = p.arena[:kept]
	return ok
}

// escaped reads on at the first backslash of a string.
func (p *scanner) escaped(from, i int) ([]byte, bool) {
	s := p.s
	begin := len(p.arena)
	out := append(p.arena, s[from:i]...)
	for i < len(s) {
		c := s[i]
		switch {
		case c == '"':
			p.pos = i + 1
			p.arena = out
			return out[begin:], true
		case c < 0x20:
			return nil, false
		case c != '\\':
			out = append(out, c)
			i++
			continue
		}
		if i+1 >= len(s) {
			return nil, false
		}
		i += 2
		switch s[i-1] {
		case '"', '\\', '/':
			out = append(out, s[i-1])
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, ok := hex4(s, i)
			if !ok {
				return nil, false
			}
			i += 4
			if utf16.IsSurrogate(r) {
				second, ok := rune(0), false
				if i+1 < len(s) && s[i] == '\\' && s[i+1] == 'u' {
					second, ok = hex4(s, i+2)
				}
				if r = utf16.DecodeRune(r, second); ok && r != utf8.RuneError {
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			return nil, false
		}
	}
	return nil, false
}

func hex4(s []byte, i int) (r rune, ok bool) {
	if i+4 > len(s) {
		return 0, false
	}
	for _, c := range s[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
