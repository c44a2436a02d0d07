package invoice

import "sync"

// Spare is memory of blocks whose lines were put aside, for others to use: a month
// asks for it again and again, and memory that is new costs the system and the
// collector more than the lines that are written into it. It is safe for
// concurrent use.
type Spare struct {
	mu     sync.Mutex
	blocks []Block // without lines
}

// Give takes the memory of a block that nobody needs any more.
func (s *Spare) Give(b *Block) {
	if cap(b.Rows) < mostRoom { // most have more
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks = append(s.blocks, Block{Rows: b.Rows[:0], Texts: b.Texts[:0]})
}

// take returns a block with room for some lines, empty without any.
func (s *Spare) take(room int) (b Block) {
	if s == nil || room > mostRoom {
		return b
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.blocks); n > 0 {
		b, s.blocks = s.blocks[n-1], s.blocks[:n-1]
	}
	return b
}
