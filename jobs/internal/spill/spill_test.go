package spill

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drain reads everything, twice: a merge can be read again.
func drain(t interface{ Fatal(...any) }, sorters ...*Sorter) []string {
	var first []string
	for pass := range 2 {
		var all []string
		for r, err := range Merge(sorters...) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(r.Key)+"="+string(r.Value))
		}
		if pass == 1 && !slices.Equal(first, all) {
			t.Fatal("reading again gives something else")
		}
		first = all
	}
	return first
}

// Whatever the records, the memory and the split among sorters: what comes out
// is a stable sort by key.
func TestMergeIsAStableSort(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type record struct{ key, value string }
		var want []record
		var sorters []*Sorter
		defer func() {
			for _, s := range sorters {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}()
		n := 0
		for range rapid.IntRange(1, 3).Draw(t, "sorters") {
			s := New("", rapid.IntRange(1, 2000).Draw(t, "limit"))
			sorters = append(sorters, s)
			for _, key := range rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "ab", "partner-1\x00x", "partner-1\x00y", "partner-1\x00\x00", "\xff\xff"}), 0, 60).Draw(t, "keys") {
				n++
				r := record{key, fmt.Sprint(n, strings.Repeat("v", n%40))}
				want = append(want, r)
				if err := s.Add([]byte(r.key), []byte(r.value)); err != nil {
					t.Fatal(err)
				}
			}
		}
		slices.SortStableFunc(want, func(a, b record) int { return bytes.Compare([]byte(a.key), []byte(b.key)) })
		var texts []string
		for _, r := range want {
			texts = append(texts, r.key+"="+r.value)
		}
		if got := drain(t, sorters...); !slices.Equal(got, texts) {
			t.Fatalf("got %q\nwant %q", got, texts)
		}
	})
}

func TestCloseRemovesTheFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := New(dir, 100)
	for i := range 50 {
		if err := s.Add(fmt.Append(nil, 50-i), make([]byte, 40)); err != nil {
			t.Fatal(err)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) < 10 || s.Spilled == 0 {
		t.Fatalf("%d files of %d bytes, %v: want runs on disk", len(files), s.Spilled, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("left over: %v, %v", files, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// A run that was cut is an error, not the end.
func TestADamagedRunIsAnError(t *testing.T) {
	t.Parallel()
	s := New(t.TempDir(), 1)
	defer s.Close()
	if err := s.Add([]byte("key"), bytes.Repeat([]byte("value"), 100)); err != nil {
		t.Fatal(err)
	}
	if err := s.runs[0].Truncate(20); err != nil {
		t.Fatal(err)
	}
	for _, err := range Merge(s) {
		if err == nil {
			t.Error("a record came out of a damaged file")
		} else if !strings.Contains(err.Error(), "calends-sort-") {
			t.Errorf("%v: does not name the file", err)
		}
		return
	}
	t.Error("a damaged run reads as empty")
}

func BenchmarkSort(b *testing.B) {
	value := make([]byte, 400)
	for b.Loop() {
		s := New(b.TempDir(), 64<<20)
		for i := range 500_000 {
			if err := s.Add(fmt.Appendf(nil, "6c483e07-8f13-4923-9228-bccb7b3b8939\x00%08x", uint32(i)*2654435761), value); err != nil {
				b.Fatal(err)
			}
		}
		for _, err := range Merge(s) {
			if err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(500_000*b.N)/b.Elapsed().Seconds(), "records/s")
}
