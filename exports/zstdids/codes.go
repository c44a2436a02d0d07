package zstdids

import "slices"

// kind is one of the three numbers of a sequence: how it is put into a code and
// extra bits, and the table of its codes.
type kind struct {
	code  func(*sequence) byte
	extra func(*sequence) (v uint32, n int)
	table *table
}

var (
	literalLengths = lengths(0, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		func(s *sequence) uint32 { return uint32(s.literals) },
		newTable(6, 4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1))

	matchLengths = lengths(3, append(make([]byte, 32), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
		func(s *sequence) uint32 { return uint32(s.match) },
		newTable(6, 1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
			1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1))

	// An offset's code is how many extra bits it has. Up to 3 it would mean one
	// of the offsets before, which are not used here.
	offsets = kind{
		code: func(s *sequence) byte { return byte(log2(uint32(s.offset) + 3)) },
		extra: func(s *sequence) (uint32, int) {
			v := uint32(s.offset) + 3
			n := log2(v)
			return v - 1<<n, n
		},
		table: newTable(5, 1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1),
	}
)

// lengths are a kind whose codes begin at least and cover the more the more
// extra bits they have.
func lengths(least uint32, extra []byte, value func(*sequence) uint32, t *table) kind {
	begin := make([]uint32, len(extra))
	for i := range extra {
		if begin[i] = least; i > 0 {
			begin[i] = begin[i-1] + 1<<extra[i-1]
		}
	}
	code := func(s *sequence) byte {
		v := value(s)
		i, found := slices.BinarySearch(begin, v)
		if !found {
			i--
		}
		return byte(i)
	}
	return kind{
		code: code,
		extra: func(s *sequence) (uint32, int) {
			i := code(s)
			return value(s) - begin[i], int(extra[i])
		},
		table: t,
	}
}

// table is a finite state entropy coder of codes with fixed probabilities. The
// more probable a code the fewer bits a step to another state takes.
type table struct {
	log    int
	states []uint32 // by code and rank
	codes  []step
}

// step is how a code leads from one state to the next.
type step struct {
	bits  uint32 // with the state added, the bits to write stand above 16
	first int32  // where the states of the code begin, in a rank's terms
}

// newTable makes the table of 2^log states, of which each code has so many; -1
// is one for a code that hardly comes.
func newTable(log int, counts ...int) *table {
	size := 1 << log
	t := &table{log: log, states: make([]uint32, size), codes: make([]step, len(counts))}

	// Codes are spread over the states; the rarest stand at the end.
	spread := make([]int, size)
	high := size - 1
	begin := make([]int, len(counts)+1)
	for code, n := range counts {
		if n == -1 {
			spread[high] = code
			high--
			n = 1
		}
		begin[code+1] = begin[code] + n
	}
	at := 0
	for code, n := range counts {
		for range max(n, 0) {
			spread[at] = code
			at = (at + size>>1 + size>>3 + 3) & (size - 1)
			for at > high {
				at = (at + size>>1 + size>>3 + 3) & (size - 1)
			}
		}
	}
	rank := slices.Clone(begin)
	for state, code := range spread {
		t.states[rank[code]] = uint32(size + state)
		rank[code]++
	}
	for code := range counts {
		n := begin[code+1] - begin[code]
		if n == 1 {
			t.codes[code] = step{uint32(log<<16 - size), int32(begin[code] - 1)}
			continue
		}
		most := log - log2(uint32(n-1))
		t.codes[code] = step{uint32(most<<16 - n<<most), int32(begin[code] - n)}
	}
	return t
}

// begin returns the state after the first code.
func (t *table) begin(code byte) uint32 {
	c := t.codes[code]
	n := (c.bits + 1<<15) >> 16
	return t.states[int32((n<<16-c.bits)>>n)+c.first]
}

// next writes the bits that lead from a state to that of the next code.
func (t *table) next(s *bitStream, state uint32, code byte) uint32 {
	c := t.codes[code]
	n := (state + c.bits) >> 16
	s.add(state, int(n))
	return t.states[int32(state>>n)+c.first]
}
