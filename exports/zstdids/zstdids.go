// Package zstdids compresses pages of identifiers into zstd frames, several
// times as fast as a compressor that has to look for what repeats: random text
// repeats nowhere, but for texts that its caller knows to be equal to the one
// before. What is left is to write common characters in fewer bits.
//
// Any zstd decoder reads the frames (RFC 8878). Same input, same bytes.
package zstdids

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/klauspost/compress/huff0"
)

// Repeat says that behind so many bytes of literals the last Size bytes come
// Times more.
type Repeat struct{ Literals, Size, Times int }

// Encoder compresses pages. It is for one goroutine.
type Encoder struct {
	huffman   huff0.Scratch
	sequences []sequence
	stream    bitStream
}

// sequence is what zstd calls one: literals, then a match of what stands offset
// bytes before.
type sequence struct{ literals, match, offset int }

// maxBlock is how much a block holds when it is unpacked: less than it may, so
// that it is never longer than it may when it is packed, whatever is in it.
const maxBlock = 96 << 10

// window is the code of 2^17 bytes, in which all repeats lie.
const window = (17 - 10) << 3

// maxRepeat bounds the size of one piece that is repeated, so that a block can
// always hold some.
const maxRepeat = maxBlock / 4

// Fits reports whether a page whose repeats have at most size bytes can be encoded.
func Fits(size int) bool { return size <= maxRepeat }

// Append appends a frame of literals with what is repeated between them to dst,
// and returns how long it is when it is unpacked. The sizes of all repeats must
// fit (see [Fits]), and what is repeated must be there. It changes repeats.
func (e *Encoder) Append(dst, literals []byte, repeats []Repeat) (_ []byte, size int) {
	size = len(literals)
	for _, r := range repeats {
		size += r.Size * r.Times
	}
	// The size in four bytes, no checksum, a window of 128 KiB: were the frame one
	// segment, its size would be the window and so the most that a block may
	// take, which a few bytes that do not pack exceed.
	dst = append(dst, 0x28, 0xb5, 0x2f, 0xfd, 0x80, window)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(size))
	last := false
	for !last {
		n := 0
		n, repeats = e.cut(len(literals), repeats)
		last = n == len(literals) && len(repeats) == 0
		dst = e.appendBlock(dst, literals[:n], last)
		literals = literals[n:]
	}
	return dst, size
}

// cut makes the sequences of the next block, and returns how many literals it
// takes and the repeats that are left.
func (e *Encoder) cut(literals int, repeats []Repeat) (int, []Repeat) {
	e.sequences = e.sequences[:0]
	taken, room := 0, maxBlock
	for len(repeats) > 0 {
		r := &repeats[0]
		if r.Literals > room {
			r.Literals -= room
			return taken + room, repeats
		}
		times := min(r.Times, (room-r.Literals)/r.Size)
		if times == 0 {
			if len(e.sequences) == 0 && taken == 0 && r.Literals == 0 {
				panic("zstdids: a repeat does not fit")
			}
			taken += r.Literals
			r.Literals = 0
			return taken, repeats
		}
		e.sequences = append(e.sequences, sequence{r.Literals, r.Size * times, r.Size})
		taken += r.Literals
		room -= r.Literals + r.Size*times
		if r.Times -= times; r.Times > 0 {
			r.Literals = 0
			return taken, repeats
		}
		repeats = repeats[1:]
	}
	return taken + min(room, literals-taken), repeats
}

const (
	rawLiterals        = 0
	compressedLiterals = 2
	compressedBlock    = 2
)

// appendBlock appends one block: literals and e.sequences.
func (e *Encoder) appendBlock(dst, literals []byte, last bool) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0)
	dst = e.appendLiterals(dst, literals)
	dst = e.appendSequences(dst)
	header := uint32(len(dst)-start-3)<<3 | compressedBlock<<1
	if last {
		header |= 1
	}
	dst[start], dst[start+1], dst[start+2] = byte(header), byte(header>>8), byte(header>>16)
	return dst
}

// leastHuffman is how many literals are worth a table.
const leastHuffman = 1024

func (e *Encoder) appendLiterals(dst, literals []byte) []byte {
	if len(literals) >= leastHuffman {
		// A table of its own for each block, so that no page depends on another.
		e.huffman.Reuse = huff0.ReusePolicyNone
		packed, _, err := huff0.Compress4X(literals, &e.huffman)
		if err == nil {
			// Four streams; both sizes in 18 bits.
			header := uint64(compressedLiterals) | 3<<2 | uint64(len(literals))<<4 | uint64(len(packed))<<22
			dst = append(dst, byte(header), byte(header>>8), byte(header>>16), byte(header>>24), byte(header>>32))
			return append(dst, packed...)
		}
		if !errors.Is(err, huff0.ErrIncompressible) && !errors.Is(err, huff0.ErrUseRLE) {
			panic("zstdids: " + err.Error()) // of its scratch space, which is good
		}
	}
	// As they are; the size in 20 bits.
	header := uint32(rawLiterals) | 3<<2 | uint32(len(literals))<<4
	dst = append(dst, byte(header), byte(header>>8), byte(header>>16))
	return append(dst, literals...)
}

func (e *Encoder) appendSequences(dst []byte) []byte {
	switch n := len(e.sequences); {
	case n == 0:
		return append(dst, 0)
	case n < 128:
		dst = append(dst, byte(n))
	case n < 0x7f00:
		dst = append(dst, byte(n>>8)+128, byte(n))
	default:
		dst = append(dst, 255, byte(n-0x7f00), byte((n-0x7f00)>>8))
	}
	kinds := [3]kind{literalLengths, offsets, matchLengths}
	// A table for each kind: the predefined one, or a single code.
	var one [3]bool
	modes := len(dst)
	dst = append(dst, 0)
	for i, k := range kinds {
		first := k.code(&e.sequences[0])
		one[i] = true
		for j := range e.sequences {
			if k.code(&e.sequences[j]) != first {
				one[i] = false
				break
			}
		}
		if one[i] {
			dst[modes] |= 1 << (6 - 2*i)
			dst = append(dst, first)
		}
	}
	return e.appendStream(dst, &kinds, &one)
}

// appendStream appends the codes and extra bits of the sequences. A decoder
// reads it from its end, so that the last sequence comes first.
func (e *Encoder) appendStream(dst []byte, kinds *[3]kind, one *[3]bool) []byte {
	s := &e.stream
	s.dst, s.held, s.count = dst, 0, 0
	var states [3]uint32
	for i := len(e.sequences) - 1; i >= 0; i-- {
		q := &e.sequences[i]
		// Of the codes: offset, match, literals. Of the extra bits: literals, match, offset.
		for _, k := range [3]int{1, 2, 0} {
			switch code := kinds[k].code(q); {
			case one[k]:
			case i == len(e.sequences)-1:
				states[k] = kinds[k].table.begin(code)
			default:
				states[k] = kinds[k].table.next(s, states[k], code)
			}
		}
		for _, k := range [3]int{0, 2, 1} {
			s.add(kinds[k].extra(q))
		}
	}
	for _, k := range [3]int{2, 1, 0} {
		if !one[k] {
			s.add(states[k]-1<<kinds[k].table.log, kinds[k].table.log)
		}
	}
	return s.close()
}

// bitStream writes bits, the lowest first.
type bitStream struct {
	dst   []byte
	held  uint64
	count int
}

// add adds the lowest n bits of v, 32 at most.
func (s *bitStream) add(v uint32, n int) {
	s.held |= (uint64(v) & (1<<n - 1)) << s.count
	for s.count += n; s.count >= 8; s.count -= 8 {
		s.dst = append(s.dst, byte(s.held))
		s.held >>= 8
	}
}

// close adds the bit that says where the stream ends.
func (s *bitStream) close() []byte {
	s.add(1, 1)
	if s.count > 0 {
		s.dst = append(s.dst, byte(s.held))
	}
	dst := s.dst
	s.dst = nil
	return dst
}

// log2 is the place of the highest bit.
func log2(v uint32) int { return bits.Len32(v) - 1 }
