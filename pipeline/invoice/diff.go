package invoice

import "slices"

// Diff returns the lines that only one of two versions has. Lines that bill the
// same are the same line, whatever their names and descriptions.
func Diff(before, after []*Line) (gone, added []*Line) {
	left := make(map[string]int)
	for _, l := range before {
		left[l.identity()]++
	}
	for _, l := range after {
		if key := l.identity(); left[key] > 0 {
			left[key]--
		} else {
			added = append(added, l)
		}
	}
	for i := len(before) - 1; i >= 0; i-- { // of equal ones the first stay
		if key := before[i].identity(); left[key] > 0 {
			left[key]--
			gone = append(gone, before[i])
		}
	}
	slices.Reverse(gone)
	return gone, added
}
