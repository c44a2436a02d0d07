package table

// Interner returns one string for equal bytes, so that what repeats in a file
// is kept once. The zero Interner is ready. It forgets everything when it
// grows past a bound: equal strings are then kept twice, nothing else changes.
type Interner struct {
	seen map[string]string
}

const maxInterned = 1 << 16

// String returns b as a string.
func (in *Interner) String(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := in.seen[string(b)]; ok {
		return s
	}
	if in.seen == nil || len(in.seen) >= maxInterned {
		in.seen = make(map[string]string, 256)
	}
	s := string(b)
	in.seen[s] = s
	return s
}
