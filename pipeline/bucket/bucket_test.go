package bucket_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/bucket/buckettest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(*testing.T) (one, two bucket.Bucket) {
		b := bucket.NewMemory()
		return b, b
	})
}

func TestDisk(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(t *testing.T) (one, two bucket.Bucket) {
		folder := filepath.Join(t.TempDir(), "made", "when needed")
		return newDisk(t, folder), newDisk(t, folder)
	})
}

func TestRemoteInMemory(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(*testing.T) (one, two bucket.Bucket) {
		b := bucket.NewRemoteInMemory()
		return b, b
	}, buckettest.FlatKeys)
}

func TestS3(t *testing.T) {
	t.Parallel()
	server := buckettest.StartS3(t)
	buckettest.Run(t, func(t *testing.T) (one, two bucket.Bucket) {
		address, _ := server.NewBucket(t)
		return server.Open(t, address), server.Open(t, address)
	})
}

func TestDiskLeavesNoTemporaryFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	b := newDisk(t, folder)
	for _, data := range []string{"new", "exists already"} {
		err := bucket.Put(t.Context(), b, "a/b", []byte(data))
		if err != nil && !errors.Is(err, bucket.ErrExists) {
			t.Fatal(err)
		}
	}
	if err := bucket.Put(t.Context(), b, "a/b/c", nil); !errors.Is(err, bucket.ErrConflict) {
		t.Fatalf("Put below an object = %v, want ErrConflict", err)
	}
	if left := filesUnder(t, folder); !slices.Equal(left, []string{"a/b"}) {
		t.Errorf("the folder holds %q, want the object alone", left)
	}
}

// A folder is also touched by people and by the system. What cannot be an object
// is neither listed, nor opened, nor deleted.
func TestDiskIgnoresWhatIsNoObject(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	b := newDisk(t, folder)
	for _, key := range []string{"object", "folder/object"} {
		if err := bucket.Put(t.Context(), b, key, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{".DS_Store", "folder/.nfs0001", "back\\slash", "dot."} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"link": "object", "loop": "."} {
		if err := os.Symlink(target, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}

	var got []string
	for info, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Key)
	}
	if want := []string{"folder/object", "object"}; !slices.Equal(got, want) {
		t.Errorf("List = %q, want %q", got, want)
	}
	for _, key := range []string{"link", "empty"} {
		if _, err := b.Open(t.Context(), key); !errors.Is(err, bucket.ErrNotExist) {
			t.Errorf("Open(%q) = %v, want ErrNotExist", key, err)
		}
		if err := b.Delete(t.Context(), key); err != nil {
			t.Errorf("Delete(%q): %v", key, err)
		}
		if _, err := os.Lstat(filepath.Join(folder, key)); err != nil {
			t.Errorf("Delete(%q) took what is not an object: %v", key, err)
		}
	}
}

func TestDiskReadingCreatesNothing(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "mistyped")
	b := newDisk(t, folder)
	for info, err := range b.List(t.Context(), "") {
		t.Errorf("List of nothing gave %v, %v", info, err)
	}
	if _, err := b.Open(t.Context(), "a"); !errors.Is(err, bucket.ErrNotExist) {
		t.Errorf("Open = %v, want ErrNotExist", err)
	}
	if err := b.Delete(t.Context(), "a"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder exists after reading only (%v)", err)
	}
}

const holderEnv = "CALENDS_TEST_HOLD_BUCKET"

// TestHolder is not a test but the other process of the next one: it takes the
// lock, writes half an object, says so, and waits to be killed.
func TestHolder(t *testing.T) {
	folder := os.Getenv(holderEnv)
	if folder == "" {
		t.Skip("only runs as a child of TestDiskAfterAKill")
	}
	b := newDisk(t, folder)
	if _, err := b.Lock(t.Context(), bucket.Claim{Name: "ledger"}); err != nil {
		t.Fatal(err)
	}
	w, err := b.Create(t.Context(), "half")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("half an obj")); err != nil {
		t.Fatal(err)
	}
	fmt.Println("holding")
	_, _ = os.Stdin.Read(make([]byte, 1)) // ends with the parent, should that die first
}

func TestDiskAfterAKill(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	b := newDisk(t, folder)
	child := startHolder(t, folder)

	_, err := b.Lock(t.Context(), bucket.Claim{Name: "ledger"})
	if !errors.Is(err, bucket.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", child.Process.Pid)) {
		t.Errorf("Lock while process %d holds it = %v, want ErrLocked naming it", child.Process.Pid, err)
	}
	// A lock of another name cleans up too, and must spare what is being written.
	takeAndRelease(t, b, "another")
	if left := tempFiles(t, folder); len(left) != 1 {
		t.Errorf("temporary files while one is being written: %q", left)
	}

	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed, as wanted
	takeAndRelease(t, b, "ledger")
	if left := tempFiles(t, folder); len(left) != 0 {
		t.Errorf("temporary files after the kill: %q", left)
	}
	for info, err := range b.List(t.Context(), "") {
		t.Errorf("listed after the kill: %v, %v", info, err)
	}
}

func startHolder(t *testing.T, folder string) *exec.Cmd {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHolder$")
	child.Env = append(os.Environ(), holderEnv+"="+folder)
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "holding\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	return child
}

func takeAndRelease(t *testing.T, b bucket.Bucket, name string) {
	t.Helper()
	held, err := b.Lock(t.Context(), bucket.Claim{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestOpenAddress(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	tests := []struct {
		name, address, reads string
	}{
		{"a file address", "file://" + folder + "/one", folder + "/one/key"},
		{"a file address with an escape", "file://" + folder + "/two%20words", folder + "/two words/key"},
		{"an absolute path", folder + "/three", folder + "/three/key"},
		{"a path with a percent sign, as it stands", folder + "/100%25", folder + "/100%25/key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, err := bucket.Open(tt.address)
			if err != nil {
				t.Fatal(err)
			}
			if err := bucket.Put(t.Context(), b, "key", []byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(tt.reads); err != nil {
				t.Errorf("the object is not where the address says: %v", err)
			}
		})
	}
}

func TestOpenAddressRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, address, says string }{
		{"nothing", "", "empty"},
		{"an unknown scheme, and lists the known ones", "ftp://host/path", "file:///path, mem:// and a plain path"},
		{"a file address that is not absolute", "file://calends-data", "absolute"},
		{"a file address without a path", "file://", "absolute"},
		{"a file address with options", "file:///tmp/x?sync=no", "no options"},
		{"a named bucket in memory", "mem://name", "mem://"},
		{"a file", file, "needs a folder"},
		{"a folder below a file", file + "/x", file},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := bucket.Open(tt.address)
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), tt.address) {
				t.Errorf("Open(%q) = %v; want it named, and %q", tt.address, err, tt.says)
			}
		})
	}
}

func TestOpenRelativePathStays(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	b, err := bucket.Open("calends-data")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := bucket.Put(t.Context(), b, "key", nil); err != nil {
		t.Fatal(err)
	}
	if got := filesUnder(t, folder); !slices.Equal(got, []string{"calends-data/key"}) {
		t.Errorf("files are %q, want calends-data/key", got)
	}
}

func TestSameWriterMeasures(t *testing.T) {
	t.Parallel()
	w, err := bucket.CreateSame(t.Context(), bucket.NewMemory(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, part := range []string{"a", "bc"} {
		if _, err := w.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // of "abc", FIPS 180-2
	if w.Size() != 3 || w.SHA256() != want {
		t.Errorf("measured %d bytes, %s; want 3, %s", w.Size(), w.SHA256(), want)
	}
}

func newDisk(t *testing.T, folder string) *bucket.Disk {
	t.Helper()
	b, err := bucket.NewDisk(folder)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tempFiles(t *testing.T, folder string) []string {
	t.Helper()
	return filesUnder(t, filepath.Join(folder, ".calends", "tmp"))
}

func filesUnder(t *testing.T, folder string) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS(folder), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
