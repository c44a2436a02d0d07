package bucket

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxKeyBytes     = 1024 // S3's limit
	maxSegmentBytes = 255  // the limit of a file name on the usual file systems
)

// checkKey returns ErrInvalidKey with the reason, or nil.
func checkKey(key string) error {
	if len(key) > maxKeyBytes {
		return fmt.Errorf("%w: %d bytes, at most %d fit", ErrInvalidKey, len(key), maxKeyBytes)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if err := checkSegment(segment); err != nil {
			return err
		}
	}
	return nil
}

// checkPrefix allows any beginning of a valid key. Only the folders in it can lead
// out of the bucket, so only they are checked; a last part that no key can begin
// with matches none.
func checkPrefix(prefix string) error {
	folder, _, found := cutLast(prefix, "/")
	if !found {
		return nil
	}
	return checkKey(folder)
}

func checkSegment(segment string) error {
	switch {
	case segment == "":
		return fmt.Errorf("%w: empty segment", ErrInvalidKey)
	case len(segment) > maxSegmentBytes:
		return fmt.Errorf("%w: segment of %d bytes, at most %d fit", ErrInvalidKey, len(segment), maxSegmentBytes)
	case segment[0] == '.':
		// Covers "." and "..", and keeps hidden names for the store itself.
		return fmt.Errorf("%w: segment %q begins with a dot", ErrInvalidKey, segment)
	case segment[len(segment)-1] == '.':
		// Azure and Windows drop the dot, and two keys become one.
		return fmt.Errorf("%w: segment %q ends with a dot", ErrInvalidKey, segment)
	case !utf8.ValidString(segment):
		return fmt.Errorf("%w: segment %q is not UTF-8", ErrInvalidKey, segment)
	case strings.ContainsFunc(segment, forbidden):
		return fmt.Errorf("%w: segment %q holds a backslash or a control character", ErrInvalidKey, segment)
	}
	return nil
}

func forbidden(r rune) bool { return r == '\\' || unicode.IsControl(r) }

// emptySegment stands for the empty id. No other id gives it, since a percent sign
// is otherwise followed by two digits.
const emptySegment = "%"

const upperHex = "0123456789ABCDEF"

// Segment turns any text, such as a partner id, into one safe segment of a key.
// Different ids give different segments, and [ParseSegment] turns them back.
// Letters and digits of ASCII, '-', '_' and inner dots stand for themselves, so
// GUIDs, months and file names stay as they are; every other byte becomes %XX:
//
//	Segment("2026-10")   = "2026-10"
//	Segment("Zoë/Ltd")   = "Zo%C3%AB%2FLtd"
//	Segment("..")        = "%2E%2E"
//	Segment("")          = "%"
//
// A segment can outgrow the 255 bytes that fit into a key; the bucket then refuses
// the key.
func Segment(id string) string {
	if id == "" {
		return emptySegment
	}
	inner := len(id) - len(strings.TrimLeft(id, "."))
	end := len(strings.TrimRight(id, "."))
	var b strings.Builder
	for i := range len(id) {
		c := id[i]
		if isPlain(c) || c == '.' && inner <= i && i < end {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&0xF])
	}
	return b.String()
}

// ParseSegment returns the id that [Segment] made the segment of. A segment that
// Segment does not produce is ErrInvalidKey.
func ParseSegment(segment string) (string, error) {
	id, ok := decodeSegment(segment)
	if !ok || Segment(id) != segment {
		return "", fmt.Errorf("decode segment %q: %w", segment, ErrInvalidKey)
	}
	return id, nil
}

func decodeSegment(segment string) (string, bool) {
	if segment == emptySegment {
		return "", true
	}
	var b strings.Builder
	for i := 0; i < len(segment); i++ {
		if segment[i] != '%' {
			b.WriteByte(segment[i])
			continue
		}
		if i+2 >= len(segment) {
			return "", false
		}
		high := strings.IndexByte(upperHex, segment[i+1])
		low := strings.IndexByte(upperHex, segment[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), true
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// cutLast cuts s around the last separator.
func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
