package bucket

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestDiskWriterThatFailedStaysFailed(t *testing.T) {
	t.Parallel()
	d, err := NewDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w, err := d.Create(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	// Reading only, the file refuses what is written from now on.
	temp := w.(*writer).sink.(*diskSink)
	broken, err := os.Open(temp.temp.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := temp.temp.Close(); err != nil {
		t.Fatal(err)
	}
	temp.temp = broken

	_, failure := w.Write([]byte("x"))
	if !errors.Is(failure, syscall.EBADF) {
		t.Fatalf("Write = %v, want EBADF", failure)
	}
	if _, err := w.Write(nil); !errors.Is(err, syscall.EBADF) {
		t.Errorf("next Write = %v, want the first failure", err)
	}
	if err := w.Commit(); !errors.Is(err, syscall.EBADF) {
		t.Errorf("Commit = %v, want the first failure", err)
	}
	if _, err := d.Open(t.Context(), "key"); !errors.Is(err, ErrNotExist) {
		t.Errorf("Open after the failure = %v, want ErrNotExist", err)
	}
	if _, err := os.Lstat(broken.Name()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary file is still there (%v)", err)
	}
}

// A network file system whose reply was lost repeats the link and meets itself.
func TestDiskRecognisesItsOwnLink(t *testing.T) {
	t.Parallel()
	d, err := NewDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w, err := d.Create(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(w.(*writer).sink.(*diskSink).temp.Name(), d.path("key")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Errorf("Commit = %v, want success", err)
	}
}

func TestCleaningSparesWritersInThisProcess(t *testing.T) {
	t.Parallel()
	d, err := NewDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			if err := Put(t.Context(), d, "key", nil); err != nil {
				t.Error(err)
			}
			if err := d.Delete(t.Context(), "key"); err != nil {
				t.Error(err)
			}
		}
	}()
	for {
		select {
		case <-done:
			return
		default:
			d.cleanTemp()
		}
	}
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	tests := []struct {
		errno syscall.Errno
		says  string
	}{
		{syscall.ENOSPC, "make room"},
		{syscall.EDQUOT, "make room"},
		{syscall.EROFS, "read-only"},
		{syscall.EACCES, "let the user"},
		{syscall.EPERM, "let the user"},
		{syscall.EIO, ""},
	}
	for _, tt := range tests {
		t.Run(tt.errno.Error(), func(t *testing.T) {
			t.Parallel()
			cause := &fs.PathError{Op: "write", Path: "/srv/calends/x", Err: tt.errno}
			err := withAdvice(cause)
			if !errors.Is(err, tt.errno) || !strings.Contains(err.Error(), cause.Path) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("withAdvice(%v) = %v; want it to wrap the cause and say %q", cause, err, tt.says)
			}
		})
	}
	if withAdvice(nil) != nil {
		t.Error("withAdvice(nil) is an error")
	}
}

func TestMakeFoldersNamesTheFileInTheWay(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, file + "/below", file + "/far/below"} {
		if err := makeFolders(path); !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), file) {
			t.Errorf("makeFolders(%q) = %v, want ENOTDIR", path, err)
		}
	}
}

func TestSegment(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, id, want string }{
		{"a GUID stays", "72f988bf-86f1-41af-91ab-2d7cd011db47", "72f988bf-86f1-41af-91ab-2d7cd011db47"},
		{"a month stays", "2026-10", "2026-10"},
		{"a file name stays", "reconciliation_v1.csv", "reconciliation_v1.csv"},
		{"case is kept", "aA", "aA"},

		{"a slash is no border", "a/b", "a%2Fb"},
		{"a percent sign is not an escape", "a%2Fb", "a%252Fb"},
		{"leading dots do not hide", "..a", "%2E%2Ea"},
		{"trailing dots are not lost", "a..", "a%2E%2E"},
		{"dots alone are no path", "..", "%2E%2E"},
		{"inner dots stay", "a..b", "a..b"},
		{"an equals sign is no partition", "a=b", "a%3Db"},
		{"Unicode goes by bytes", "Zoë", "Zo%C3%AB"},
		{"so does what is not Unicode", "\xff\x00", "%FF%00"},
		{"the empty id has a segment", "", "%"},
		{"which no other id has", "%", "%25"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Segment(tt.id); got != tt.want {
				t.Errorf("Segment(%q) = %q, want %q", tt.id, got, tt.want)
			}
			if got, err := ParseSegment(tt.want); got != tt.id || err != nil {
				t.Errorf("ParseSegment(%q) = %q, %v; want %q", tt.want, got, err, tt.id)
			}
		})
	}
}

func TestParseSegmentRefuses(t *testing.T) {
	t.Parallel()
	for _, segment := range []string{"", ".", "a.", ".a", "a b", "a/b", "%4", "a%", "%41", "%2f", "%zz", "ë", "%%"} {
		if id, err := ParseSegment(segment); !errors.Is(err, ErrInvalidKey) {
			t.Errorf("ParseSegment(%q) = %q, %v; want ErrInvalidKey", segment, id, err)
		}
	}
}

func FuzzSegmentRoundTrip(f *testing.F) {
	for _, id := range []string{"", ".", "..", "a.b", "%", "%41", "Zoë/Ltd", "\xff\x00\\"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		segment := Segment(id)
		if err := checkKey(segment); err != nil && len(segment) <= maxSegmentBytes {
			t.Errorf("Segment(%q) = %q, which is no key: %v", id, segment, err)
		}
		if back, err := ParseSegment(segment); back != id || err != nil {
			t.Errorf("ParseSegment(Segment(%q)) = %q, %v", id, back, err)
		}
	})
}

// The keys that memory and disk list for any prefix must agree; disk takes short
// cuts by folder.
func FuzzListPrefixDiskAndMemory(f *testing.F) {
	keys := []string{"a-1", "a.csv", "a/b-2", "a/b/c", "a/b/d/e", "a0", "month=2026-10/x", "month=2026-1/x"}
	d, err := NewDisk(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	m := NewMemory()
	for _, key := range keys {
		for i := range key {
			f.Add(key[:i+1])
		}
		if err := errors.Join(Put(f.Context(), d, key, nil), Put(f.Context(), m, key, nil)); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, prefix string) {
		if onDisk, inMemory := listAll(t, d, prefix), listAll(t, m, prefix); !slices.Equal(onDisk, inMemory) {
			t.Errorf("List(%q) on disk is %q, in memory %q", prefix, onDisk, inMemory)
		}
	})
}

func listAll(t *testing.T, b Bucket, prefix string) []string {
	t.Helper()
	var found []string
	for info, err := range b.List(t.Context(), prefix) {
		if err != nil {
			return append(found, err.Error())
		}
		found = append(found, info.Key)
	}
	return found
}
