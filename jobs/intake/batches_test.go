package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/change"
)

func memberOf(content []byte) *Member {
	return &Member{Name: "changes", file: bytes.NewReader(content), size: int64(len(content))}
}

// told is what a file of changes comes to, one by one or in batches.
type told struct {
	text    strings.Builder
	unknown []string
}

func (s *told) String() string { return fmt.Sprint(s.text.String(), s.unknown) }

func (s *told) change(c *change.Change) {
	fmt.Fprintf(&s.text, "%d %s %x\n", c.Taken.Record, c.ID, c.Content[:4])
}

func oneByOne(t rapid.TB, content []byte) *told {
	t.Helper()
	r, err := NewJSONChanges(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	var s, bad told
	for {
		var c change.Change
		refused, err := r.Next(&c)
		switch {
		case errors.Is(err, io.EOF):
			s.unknown = r.Unknown()
			s.text.WriteString(bad.text.String())
			return &s
		case err != nil:
			t.Fatal(err)
		case refused != nil:
			fmt.Fprintln(&bad.text, refused)
		default:
			s.change(&c)
		}
	}
}

func inBatches(t rapid.TB, content []byte, workers int) *told {
	t.Helper()
	var s, bad told
	unknown, err := ReadChanges(context.Background(), memberOf(content), JSONLines, workers, func(b *Batch) error {
		for i := range b.Changes {
			s.change(&b.Changes[i])
		}
		for _, refused := range b.Refused {
			fmt.Fprintln(&bad.text, refused)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.unknown = unknown
	s.text.WriteString(bad.text.String())
	return &s
}

// Read by many or one by one, a file has the same changes and the same mistakes
// in the same lines.
func TestBatchesAreTheFile(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxLine)
	rapid.Check(t, func(t *rapid.T) {
		var b bytes.Buffer
		if rapid.Bool().Draw(t, "mark") {
			b.WriteString("\xef\xbb\xbf")
		}
		for range rapid.IntRange(0, 30).Draw(t, "lines") {
			line := benchLine(rapid.IntRange(0, 1000).Draw(t, "change"))
			line = strings.TrimSuffix(line, "\n")
			switch rapid.IntRange(0, 30).Draw(t, "kind") {
			case 0:
				line = ""
			case 1:
				line = "{no JSON"
			case 2:
				line = long[:MaxLine-rapid.IntRange(0, 3).Draw(t, "short of too long")]
			case 3:
				line = long + long[:rapid.IntRange(0, MaxLine).Draw(t, "more")]
			case 4:
				line = "\xef\xbb\xbf" + line
			case 5, 6, 7:
				line = strings.Replace(line, `"data":{`, fmt.Sprintf(`"data":{"note":"%s","extra%d":1,`, long[:rapid.IntRange(0, pieceSize).Draw(t, "note")], rapid.IntRange(0, 40).Draw(t, "extra")), 1)
			}
			b.WriteString(line + rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end"))
		}
		content := b.Bytes()
		if rapid.Bool().Draw(t, "no last end") {
			content = bytes.TrimSuffix(content, []byte("\n"))
		}
		want := oneByOne(t, content).String()
		for _, workers := range []int{1, 3} {
			if got := inBatches(t, content, workers).String(); got != want {
				t.Fatalf("%d workers\ngot\n%s\nwant\n%s", workers, got, want)
			}
		}
	})
}

// Of a file that breaks off, the whole lines before are handed on, and the error
// names the line.
func TestBatchesOfABrokenFile(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	for i := range 20_000 {
		_, _ = z.Write([]byte(benchLine(i)))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	content := packed.Bytes()[:packed.Len()/2]
	for _, workers := range []int{1, 4} {
		n := 0
		_, err := ReadChanges(t.Context(), memberOf(content), JSONLines, workers, func(b *Batch) error {
			n += len(b.Changes)
			return nil
		})
		if want := fmt.Sprintf("read changes, line %d: ", n+1); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("after %d changes: %v, not %s", n, err, want)
		}
		if n < 1000 {
			t.Errorf("%d changes of some 10,000", n)
		}
	}
}

// Whoever takes the batches may stop it, and so may the context.
func TestBatchesStop(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 20_000 {
		text.WriteString(benchLine(i))
	}
	enough := errors.New("enough")
	if _, err := ReadChanges(t.Context(), memberOf([]byte(text.String())), JSONLines, 3, func(*Batch) error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := ReadChanges(ctx, memberOf([]byte(text.String())), JSONLines, 3, func(*Batch) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestCutterReadsSlowly(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a line\n", 100) + "the last"
	cut := cutter{src: iotest.OneByteReader(strings.NewReader(text))}
	var got []byte
	for {
		piece, _, err := cut.next(nil)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, piece...)
	}
	if string(got) != text {
		t.Errorf("%q", got)
	}
}
