package faulty_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/bucket/buckettest"
	"github.com/calends/calends/pipeline/bucket/faulty"
)

// Without faults it is a bucket like any other, on whatever it stands.
func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		buckettest.Run(t, func(*testing.T) (one, two bucket.Bucket) {
			b := bucket.NewMemory()
			return faulty.New(b), faulty.New(b)
		})
	})
	t.Run("disk", func(t *testing.T) {
		t.Parallel()
		buckettest.Run(t, func(t *testing.T) (one, two bucket.Bucket) {
			b, err := bucket.NewDisk(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			return faulty.New(b), faulty.New(b)
		})
	})
}

// Each row writes "abcdef" under "new" into a bucket that has "old", in two writes,
// then reads "old", lists and deletes it. It says at which step the fault shows,
// with which error, and what is there afterwards.
func TestFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault faulty.Fault
		fails string // the first step that fails
		err   error
		left  string // the keys in the inner bucket right after it
	}{
		{faulty.Fault{}, "", nil, "new"},
		{faulty.Fault{Kind: faulty.Fail, Op: faulty.Create}, "create", faulty.ErrFault, "old"},
		{faulty.Fault{Kind: faulty.Fail, Op: faulty.Write}, "write 1", faulty.ErrFault, "old"},
		{faulty.Fault{Kind: faulty.Fail, Op: faulty.Write, At: 2}, "write 2", faulty.ErrFault, "old"},
		{faulty.Fault{Kind: faulty.Fail, Op: faulty.Write, At: 3}, "", nil, "new"},
		{faulty.Fault{Kind: faulty.Fail, Op: faulty.Commit}, "commit", faulty.ErrFault, "old"},
		{faulty.Fault{Kind: faulty.FailAfter, Op: faulty.Commit}, "commit", faulty.ErrFault, "new old"},
		{faulty.Fault{Kind: faulty.Partial, Op: faulty.Commit}, "commit", faulty.ErrFault, "old"},
		{faulty.Fault{Kind: faulty.Partial, Op: faulty.Write, At: 2}, "write 2", faulty.ErrFault, "old"},
		{faulty.Fault{Kind: faulty.Refuse, Op: faulty.Commit}, "commit", fs.ErrPermission, "old"},
		{faulty.Fault{Kind: faulty.Refuse, Op: faulty.Open}, "open", fs.ErrPermission, "new old"},
		{faulty.Fault{Kind: faulty.Full}, "write 1", syscall.ENOSPC, "old"},
		{faulty.Fault{Kind: faulty.Full, Bytes: 5}, "write 2", syscall.ENOSPC, "old"},
		{faulty.Fault{Kind: faulty.Full, Bytes: 6}, "", nil, "new"},
		{faulty.Fault{Kind: faulty.Full, Op: faulty.Commit}, "commit", syscall.ENOSPC, "old"},
		{faulty.Fault{Kind: faulty.Die, Op: faulty.Commit}, "commit", faulty.ErrDead, "old"},
		{faulty.Fault{Kind: faulty.DieAfter, Op: faulty.Commit}, "commit", faulty.ErrDead, "new old"},
		{faulty.Fault{Kind: faulty.DieAfter, Op: faulty.Write, At: 2}, "write 2", faulty.ErrDead, "old"},
		{faulty.Fault{Kind: faulty.Fail, Op: faulty.Read}, "read", faulty.ErrFault, "new old"},
		{faulty.Fault{Kind: faulty.Partial, Op: faulty.Read}, "read", faulty.ErrFault, "new old"},
		{faulty.Fault{Kind: faulty.Fail, Op: faulty.List}, "list", faulty.ErrFault, "new old"},
		{faulty.Fault{Kind: faulty.Partial, Op: faulty.List}, "list", faulty.ErrFault, "new old"},
		{faulty.Fault{Kind: faulty.Fail, Op: faulty.Delete}, "delete", faulty.ErrFault, "new old"},
		{faulty.Fault{Kind: faulty.FailAfter, Op: faulty.Delete}, "delete", faulty.ErrFault, "new"},
		{faulty.Fault{Kind: faulty.Fail, Key: "old"}, "open", faulty.ErrFault, "new old"},
		{faulty.Fault{Kind: faulty.Fail, Key: "elsewhere"}, "", nil, "new"},
		{faulty.Fault{Kind: faulty.Die, At: 6}, "read", faulty.ErrDead, "new old"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %s%s %d", tt.fault.Kind, tt.fault.Op, tt.fault.Key, tt.fault.At), func(t *testing.T) {
			t.Parallel()
			inner := bucket.NewMemory()
			put(t, inner, "old", "123456")
			b := faulty.New(inner, tt.fault)
			step, err := steps(t.Context(), b)
			if step != tt.fails || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Errorf("%q fails with %v, want %q with %v", step, err, tt.fails, tt.err)
			}
			if err != nil && !strings.Contains(err.Error(), `"`) {
				t.Errorf("the error names no key: %v", err)
			}
			if left := strings.Join(keys(t, inner, ""), " "); left != tt.left {
				t.Errorf("%q is there, want %q", left, tt.left)
			}
			if got := len(b.Faults()) > 0; got != (tt.fails != "") {
				t.Errorf("faults noted: %v", b.Faults())
			}
		})
	}
}

// steps does one of everything, and tells which step failed first.
func steps(ctx context.Context, b bucket.Bucket) (string, error) {
	w, err := b.Create(ctx, "new")
	if err != nil {
		return "create", err
	}
	for i, part := range []string{"abc", "def"} {
		if _, err := w.Write([]byte(part)); err != nil {
			return fmt.Sprintf("write %d", i+1), errors.Join(err, w.Abort())
		}
	}
	if err := w.Commit(); err != nil {
		return "commit", err
	}
	o, err := b.Open(ctx, "old")
	if err != nil {
		return "open", err
	}
	data, err := io.ReadAll(o)
	if err = errors.Join(err, o.Close()); err != nil {
		return "read", err
	}
	if !bytes.Equal(data, []byte("123456")) {
		return "read", fmt.Errorf("read %q", data)
	}
	n := 0
	for _, err := range b.List(ctx, "") {
		if err != nil {
			return "list", err
		}
		n++
	}
	if n != 2 {
		return "list", fmt.Errorf("listed %d keys", n)
	}
	if err := b.Delete(ctx, "old"); err != nil {
		return "delete", err
	}
	return "", nil
}

// The dead do nothing more, and somebody else may have what they held.
func TestDeath(t *testing.T) {
	t.Parallel()
	inner := bucket.NewMemory()
	b := faulty.New(inner, faulty.Fault{Kind: faulty.DieAfter, Op: faulty.Commit})
	held := lock(t, b)
	if err := bucket.Put(t.Context(), b, "last", nil); !errors.Is(err, faulty.ErrDead) {
		t.Errorf("the commit that kills says %v", err)
	}
	if step, err := steps(t.Context(), b); step != "create" || !errors.Is(err, faulty.ErrDead) {
		t.Errorf("after death %q fails with %v", step, err)
	}
	if err := held.Check(t.Context()); !errors.Is(err, faulty.ErrDead) {
		t.Errorf("the lock of the dead says %v", err)
	}
	unlock(t, held)
	unlock(t, lock(t, inner))
	if got := keys(t, inner, ""); !slices.Equal(got, []string{"last"}) {
		t.Errorf("%q is there, want what was committed", got)
	}
}

// What stalls stops with its context, and says what it was about.
func TestStall(t *testing.T) {
	t.Parallel()
	for _, op := range []faulty.Op{faulty.Create, faulty.Write, faulty.Commit, faulty.Open, faulty.Read, faulty.List, faulty.Delete} {
		inner := bucket.NewMemory()
		put(t, inner, "old", "123456")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		_, err := steps(ctx, faulty.New(inner, faulty.Fault{Kind: faulty.Stall, Op: op}))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), string(op)) {
			t.Errorf("%s: %v", op, err)
		}
	}
}

// A stale listing lacks what has come and shows what has gone; what is opened by
// its key is there all the same.
func TestStale(t *testing.T) {
	t.Parallel()
	b := faulty.New(bucket.NewMemory(), faulty.Fault{Kind: faulty.Stale, Lag: 3, Times: 2})
	for _, key := range []string{"a", "b/1", "c", "b/2"} {
		put(t, b, key, key)
	}
	for _, key := range []string{"a", "never there"} {
		if err := b.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []struct {
		prefix string
		keys   []string
	}{{"", []string{"a", "b/1"}}, {"b/", []string{"b/1"}}, {"b/", []string{"b/1", "b/2"}}, {"", []string{"b/1", "b/2", "c"}}} {
		if got := keys(t, b, want.prefix); !slices.Equal(got, want.keys) {
			t.Errorf("under %q: %q, want %q", want.prefix, got, want.keys)
		}
	}
	if data, err := bucket.ReadAll(t.Context(), b, "c"); err != nil || string(data) != "c" {
		t.Errorf("c is %q, %v", data, err)
	}
}

// A copy that comes late is refused while the object is there. The store cannot
// know it for a copy when the object has gone meanwhile.
func TestRepeat(t *testing.T) {
	t.Parallel()
	inner := bucket.NewMemory()
	b := faulty.New(inner, faulty.Fault{Kind: faulty.Repeat, Times: -1})
	put(t, b, "kept", "first")
	if got := keys(t, b, ""); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("%q is there", got)
	}
	if again := b.Faults()[0]; !errors.Is(again.Err, bucket.ErrExists) {
		t.Errorf("the copy was not refused: %s", again)
	}
	put(t, b, "gone", "x")
	if err := inner.Delete(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, b, ""); !slices.Equal(got, []string{"gone", "kept"}) {
		t.Errorf("%q is there", got)
	}
	if again := b.Faults()[1]; again.Err != nil {
		t.Errorf("%s, want it taken", again)
	}
}

// A lock that cannot be taken, or not be asked for, says so; one whose reply is lost
// hinders nobody.
func TestLock(t *testing.T) {
	t.Parallel()
	inner := bucket.NewMemory()
	for _, kind := range []faulty.Kind{faulty.Fail, faulty.FailAfter} {
		b := faulty.New(inner, faulty.Fault{Kind: kind, Op: faulty.Lock}, faulty.Fault{Kind: kind, Op: faulty.Check})
		if _, err := b.Lock(t.Context(), bucket.Claim{Name: "write"}); !errors.Is(err, faulty.ErrFault) {
			t.Errorf("%s: Lock = %v", kind, err)
		}
		held := lock(t, b)
		if err := held.Check(t.Context()); !errors.Is(err, faulty.ErrFault) {
			t.Errorf("%s: Check = %v", kind, err)
		}
		if err := held.Check(t.Context()); err != nil {
			t.Errorf("%s: second Check = %v", kind, err)
		}
		unlock(t, held)
	}
}

// Chances fall the same way every time, and about as often as they say.
func TestChance(t *testing.T) {
	t.Parallel()
	failed := func(seed uint64, backwards bool) map[string]bool {
		b := faulty.New(bucket.NewMemory(), faulty.Fault{Kind: faulty.Fail, Op: faulty.Create, Times: -1, Chance: 300, Seed: seed})
		failed := make(map[string]bool)
		for i := range 2000 {
			if backwards {
				i = 1999 - i
			}
			key := fmt.Sprintf("object-%04d", i)
			if err := bucket.Put(t.Context(), b, key, nil); err != nil {
				failed[key] = true
			}
		}
		return failed
	}
	one, same, other := failed(1, false), failed(1, true), failed(2, false)
	both := 0
	for key := range one {
		if !same[key] {
			t.Errorf("%s fails or not, by the order of the others", key)
		}
		if other[key] {
			both++
		}
	}
	for name, n := range map[string]int{"one seed": len(one), "another": len(other), "both, out of one": both * 2000 / len(one)} {
		if n < 500 || n > 700 {
			t.Errorf("%s: %d of 2000 failed, want about 600", name, n)
		}
	}
}

// Every operation is told as it is done.
func TestWatch(t *testing.T) {
	t.Parallel()
	inner := bucket.NewMemory()
	put(t, inner, "old", "123456")
	b := faulty.New(inner, faulty.Fault{Kind: faulty.Fail, Op: faulty.Delete})
	var told []string
	b.Watch(func(e faulty.Event) { told = append(told, e.String()) })
	step, err := steps(t.Context(), b)
	if step != "delete" {
		t.Fatal(step, err)
	}
	want := []string{`1: create "new"`, `2: write "new"`, `3: write "new"`, `4: commit "new"`, `5: open "old"`}
	if len(told) < 5 || !slices.Equal(told[:5], want) {
		t.Errorf("told %q, want %q first", told, want)
	}
	if last := told[len(told)-1]; !strings.HasSuffix(last, `delete "old", failed: delete object "old": `+faulty.ErrFault.Error()) {
		t.Errorf("told last: %s", last)
	}
	if len(told) != len(b.Events()) {
		t.Errorf("%d told, %d noted", len(told), len(b.Events()))
	}
}

func put(t *testing.T, b bucket.Bucket, key, data string) {
	t.Helper()
	if err := bucket.Put(t.Context(), b, key, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

func keys(t *testing.T, b bucket.Bucket, prefix string) (keys []string) {
	t.Helper()
	for info, err := range b.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func lock(t *testing.T, b bucket.Bucket) bucket.Lock {
	t.Helper()
	held, err := b.Lock(t.Context(), bucket.Claim{Name: "write"})
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func unlock(t *testing.T, held bucket.Lock) {
	t.Helper()
	if err := held.Unlock(); err != nil {
		t.Error(err)
	}
}
