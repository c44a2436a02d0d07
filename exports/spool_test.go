package exports

import (
	"bytes"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What goes into a spool comes out of it, from memory and file alike, and no
// file stays behind.
func TestSpool(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, limit := range []int{0, 10, 1 << 20} {
		s := spool{limit: limit}
		var want []byte
		for range 50 {
			piece := make([]byte, random.IntN(2_000))
			for i := range piece {
				piece[i] = byte(random.Uint32())
			}
			want = append(want, piece...)
			if n, err := s.Write(piece); err != nil || n != len(piece) {
				t.Fatal(n, err)
			}
		}
		var got bytes.Buffer
		if n, err := s.WriteTo(&got); err != nil || n != int64(len(want)) || s.size != n || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("limit %d: %d of %d bytes (%v)", limit, n, len(want), err)
		}
		name := ""
		if s.file != nil {
			name = s.file.Name()
		} else if limit < 1<<20 {
			t.Errorf("limit %d: no file", limit)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s stays behind", name)
		}
	}
}

func TestCombineCRC(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		a, b := rapid.SliceOf(rapid.Byte()).Draw(r, "a"), rapid.SliceOf(rapid.Byte()).Draw(r, "b")
		want := crc32.ChecksumIEEE(append(bytes.Clone(a), b...))
		if got := combineCRC(crc32.ChecksumIEEE(a), crc32.ChecksumIEEE(b), int64(len(b))); got != want {
			r.Errorf("%08x, want %08x", got, want)
		}
	})
}

func TestAppendXML(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain":            "plain",
		"<a & b>":          "&lt;a &amp; b&gt;",
		"ä🍞":               "ä🍞",
		"tab\tand\nline":   "tab\tand\nline",
		"bell\a, return\r": "bell_x0007_, return_x000D_",
		"_x000D_":          "_x005F_x000D_",
		"_x00":             "_x00",
		"_xyzwv_":          "_xyzwv_",
		"bad \xff byte":    "bad \ufffd byte",
		"\ufffe":           "\ufffd",
	} {
		if got := string(appendXML(nil, text)); got != want {
			t.Errorf("%q is written %q, want %q", text, got, want)
		}
	}
}

// A record with too few or too many cells is no record.
func TestRowsRefuse(t *testing.T) {
	t.Parallel()
	for _, cells := range []int{1, 3} {
		r, err := newRows(new(styles), []cellKind{kindText, kindText}, 2)
		if err != nil {
			t.Fatal(err)
		}
		r.next(0)
		for range cells {
			r.text("a")
		}
		if err := r.end(); err == nil || !strings.Contains(err.Error(), "row 2") {
			t.Errorf("%d cells in two columns: %v", cells, err)
		}
		if err := r.finish(); err == nil {
			t.Error("rows that failed are finished")
		}
	}
}
