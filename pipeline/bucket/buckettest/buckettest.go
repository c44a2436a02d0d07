// Package buckettest holds the promises of [bucket.Bucket] as tests, for every
// implementation to run.
package buckettest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/calends/calends/pipeline/bucket"
)

// A Trait is something that a store cannot do, and that [Run] does not ask of it.
type Trait int

// FlatKeys: the store has no folders, so nothing keeps a key from being the folder
// of another.
const FlatKeys Trait = iota

// Run tests an implementation. Each call of fresh returns two handles, as two
// processes would hold them, on one new and empty storage. A bucket whose handles
// share their state may return the same one twice.
func Run(t *testing.T, fresh func(t *testing.T) (one, two bucket.Bucket), traits ...Trait) {
	tests := []struct {
		name string
		test func(t *testing.T, one, two bucket.Bucket)
	}{
		{"an object reads back as written", testReadBack},
		{"an object of many writes is their concatenation", testManyWrites},
		{"what is not there is ErrNotExist", testNotExist},
		{"an existing object is left untouched", testExists},
		{"of concurrent creators one wins", testOneWinner},
		{"a writer that is not committed leaves nothing", testAbort},
		{"a finished writer takes nothing more", testFinished},
		{"a reader never sees half an object", testNoHalfObject},
		{"a listing is sorted by the bytes of the keys", testListOrder},
		{"a prefix is any beginning of a key", testListPrefix},
		{"a listing can be left early", testListBreak},
		{"keys may hold odd characters", testOddKeys},
		{"invalid keys are refused by every operation", testInvalidKeys},
		{keyAndFolder, testKeyAndFolder},
		{"deletion can be repeated", testDelete},
		{"deletion and creation side by side", testDeleteRace},
		{"a lock excludes until it is unlocked", testLock},
		{"who is kept out learns who holds the lock", testLockNamesHolder},
		{"a lock is checked as long as it is held", testLockLife},
		{"a lock is unlocked by who was stopped", testUnlockAfterStop},
		{"of concurrent lockers one wins", testOneLocker},
		{"a done context stops everything", testContext},
		{"the same bytes again are no conflict", testPutSame},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.name == keyAndFolder && slices.Contains(traits, FlatKeys) {
				t.Skip("the store has no folders")
			}
			one, two := fresh(t)
			tt.test(t, one, two)
		})
	}
}

const keyAndFolder = "a key is not also a folder"

func testReadBack(t *testing.T, one, two bucket.Bucket) {
	for _, data := range []string{"", "x", strings.Repeat("0123456789", 100_000)} {
		key := fmt.Sprintf("sizes/%d", len(data))
		put(t, one, key, data)
		object, err := two.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if object.Size() != int64(len(data)) {
			t.Errorf("Size of %s is %d, want %d", key, object.Size(), len(data))
		}
		checkReaders(t, object, data)
		if err := object.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func checkReaders(t *testing.T, object bucket.Object, data string) {
	t.Helper()
	// A section reader only uses ReadAt, so the two do not disturb one another.
	section := io.NewSectionReader(object, 0, object.Size())
	if err := iotest.TestReader(section, []byte(data)); err != nil {
		t.Errorf("ReadAt: %v", err)
	}
	got, err := io.ReadAll(object)
	if err != nil || string(got) != data {
		t.Errorf("Read gave %d bytes and %v, want the %d written", len(got), err, len(data))
	}
	if n, err := object.ReadAt(make([]byte, 2), max(0, object.Size()-1)); !errors.Is(err, io.EOF) || int64(n) != min(1, object.Size()) {
		t.Errorf("ReadAt across the end = %d, %v; want %d, EOF", n, err, min(1, object.Size()))
	}
}

func testManyWrites(t *testing.T, one, two bucket.Bucket) {
	w := create(t, one, "invoice")
	var want bytes.Buffer
	for i := range 1000 {
		line := fmt.Sprintf("line %d\r\n", i)
		want.WriteString(line)
		write(t, w, line)
	}
	commit(t, w)
	wantObject(t, two, "invoice", want.String())
}

func testNotExist(t *testing.T, one, _ bucket.Bucket) {
	put(t, one, "folder/object", "x")
	for _, key := range []string{"absent", "folder", "folder/other", "folder/object/below", "no/such/folder"} {
		wantAbsent(t, one, key)
	}
	wantKeys(t, one, "absent/")
}

func testExists(t *testing.T, one, two bucket.Bucket) {
	put(t, one, "a/manifest", "first")
	for _, b := range []bucket.Bucket{one, two} {
		err := bucket.Put(t.Context(), b, "a/manifest", []byte("second"))
		wantError(t, err, bucket.ErrExists, "a/manifest")
	}
	wantObject(t, one, "a/manifest", "first")
	wantKeys(t, one, "", "a/manifest")
}

func testOneWinner(t *testing.T, one, two bucket.Bucket) {
	const creators = 16
	var winners, losers atomic.Int32
	var winner atomic.Value
	var group sync.WaitGroup
	for i := range creators {
		b := []bucket.Bucket{one, two}[i%2]
		data := strings.Repeat(string(rune('a'+i)), 10_000)
		group.Go(func() {
			err := bucket.Put(t.Context(), b, "new/folder/object", []byte(data))
			switch {
			case err == nil:
				winners.Add(1)
				winner.Store(data)
			case errors.Is(err, bucket.ErrExists):
				losers.Add(1)
			default:
				t.Errorf("Put among others: %v", err)
			}
		})
	}
	group.Wait()
	if winners.Load() != 1 || losers.Load() != creators-1 {
		t.Fatalf("%d winners and %d losers, want 1 and %d", winners.Load(), losers.Load(), creators-1)
	}
	wantObject(t, two, "new/folder/object", winner.Load().(string))
}

func testAbort(t *testing.T, one, two bucket.Bucket) {
	w := create(t, one, "a/b")
	write(t, w, "half a")
	for range 2 {
		if err := w.Abort(); err != nil {
			t.Errorf("Abort: %v", err)
		}
	}
	if err := w.Commit(); err == nil {
		t.Error("Commit after Abort succeeded")
	}
	wantAbsent(t, one, "a/b")
	wantKeys(t, two, "")
	put(t, two, "a/b", "whole")
	wantObject(t, one, "a/b", "whole")
}

func testFinished(t *testing.T, one, _ bucket.Bucket) {
	w := create(t, one, "a")
	write(t, w, "whole")
	commit(t, w)
	if err := w.Abort(); err != nil {
		t.Errorf("Abort after Commit = %v, want nil", err)
	}
	if _, err := w.Write([]byte("more")); err == nil {
		t.Error("Write after Commit succeeded")
	}
	if err := w.Commit(); err == nil {
		t.Error("second Commit succeeded")
	}
	wantObject(t, one, "a", "whole")

	loser := create(t, one, "a")
	first := loser.Commit()
	wantError(t, first, bucket.ErrExists, "a")
	if again := loser.Commit(); again == nil || again.Error() != first.Error() {
		t.Errorf("Commit after a failure = %v, want the failure again: %v", again, first)
	}
	if _, err := loser.Write([]byte("more")); !errors.Is(err, bucket.ErrExists) {
		t.Errorf("Write after a failure = %v, want the failure", err)
	}
}

// Objects are a body and its hash, so a reader can tell a whole one on its own.
func testNoHalfObject(t *testing.T, one, two bucket.Bucket) {
	const objects, chunk, chunks = 20, 4096, 16
	var group sync.WaitGroup
	group.Go(func() {
		for i := range objects {
			w, err := one.Create(t.Context(), fmt.Sprintf("objects/%02d", i))
			if err != nil {
				t.Error(err)
				return
			}
			body := bytes.Repeat([]byte{byte(i)}, chunk*chunks)
			sum := sha256.Sum256(body)
			for part := range slices.Chunk(append(body, sum[:]...), chunk) {
				if _, err := w.Write(part); err != nil {
					t.Error(err)
				}
			}
			if err := w.Commit(); err != nil {
				t.Error(err)
			}
		}
	})
	for seen := 0; seen < objects && !t.Failed(); {
		seen = 0
		for info, err := range two.List(t.Context(), "objects/") {
			if err != nil {
				t.Fatal(err)
			}
			data, err := bucket.ReadAll(t.Context(), two, info.Key)
			if err != nil || int64(len(data)) != info.Size || len(data) != chunk*chunks+sha256.Size {
				t.Fatalf("listed %+v, read %d bytes, %v; want %d", info, len(data), err, chunk*chunks+sha256.Size)
			}
			if sum := sha256.Sum256(data[:chunk*chunks]); !bytes.Equal(sum[:], data[chunk*chunks:]) {
				t.Fatalf("%s holds other bytes than were written", info.Key)
			}
			seen++
		}
	}
	group.Wait()
}

func testListOrder(t *testing.T, one, two bucket.Bucket) {
	// A walk through folders would give a/b before a-1 and a.csv.
	keys := []string{"a/b/c", "a-1", "a.csv", "a0", "a/b-2", "A", "b", "ä", "a b/c", "a%2F/c", "revision=0010/x", "revision=0009/x"}
	for i, key := range keys {
		put(t, one, key, strings.Repeat("x", i))
	}
	want := slices.Sorted(slices.Values(keys))
	wantKeys(t, two, "", want...)
	for info, err := range two.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if size := int64(slices.Index(keys, info.Key)); info.Size != size {
			t.Errorf("size of %s is %d, want %d", info.Key, info.Size, size)
		}
	}
}

func testListPrefix(t *testing.T, one, two bucket.Bucket) {
	for _, key := range []string{"month=2026-1", "month=2026-10/a", "month=2026-10/b/c", "month=2026-11/a", "n"} {
		put(t, one, key, "x")
	}
	wantKeys(t, two, "month=2026-10/", "month=2026-10/a", "month=2026-10/b/c")
	wantKeys(t, two, "month=2026-1", "month=2026-1", "month=2026-10/a", "month=2026-10/b/c", "month=2026-11/a")
	wantKeys(t, two, "month=2026-10/b", "month=2026-10/b/c")
	wantKeys(t, two, "month=2026-10/b/c", "month=2026-10/b/c")
	wantKeys(t, two, "n", "n")
	wantKeys(t, two, "n/")
	wantKeys(t, two, "month=2026-1/")
	wantKeys(t, two, "o")
}

func testListBreak(t *testing.T, one, two bucket.Bucket) {
	for _, key := range []string{"a/a", "a/b", "b/a", "c"} {
		put(t, one, key, "x")
	}
	var got []string
	for info, err := range two.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, info.Key); len(got) == 2 {
			break
		}
	}
	if want := []string{"a/a", "a/b"}; !slices.Equal(got, want) {
		t.Errorf("first two keys are %q, want %q", got, want)
	}
}

func testOddKeys(t *testing.T, one, two bucket.Bucket) {
	keys := []string{
		"partner=0001 & Söhne/ñ, (1)/日本.csv",
		"a:b;c?d*e\"f<g>|h'i#j&k=l+m@n!o$p~q`r^s{t}[u]",
		"%2E%2E/%", "-rf", "con", "NUL.txt", "a..b", " ", "~", "e\u0301", "\u00e9",
		bucket.Segment("../../etc/passwd"), bucket.Segment("\x00\xff\n"), bucket.Segment(""), bucket.Segment("\\server\\share"),
		strings.Repeat("ä", 127) + "x",
		strings.Repeat("0123456789/", 93) + "x",
	}
	for i, key := range keys {
		put(t, one, key, fmt.Sprint(i))
	}
	for i, key := range keys {
		wantObject(t, two, key, fmt.Sprint(i))
	}
	wantKeys(t, two, "", slices.Sorted(slices.Values(keys))...)
}

func testInvalidKeys(t *testing.T, one, _ bucket.Bucket) {
	keys := []string{
		"", "/", "/a", "a/", "a//b",
		".", "..", "a/..", "../a", "a/./b", ".hidden", "a/.hidden/b", ".calends/locks/x", "a.", "a./b",
		"a\\b", "a\nb", "a\x00", "a\x7f", "a\u0085", "a\xffb",
		strings.Repeat("x", 256), strings.Repeat("x/", 512) + "x",
	}
	for _, key := range keys {
		_, err := one.Create(t.Context(), key)
		wantError(t, err, bucket.ErrInvalidKey, key)
		_, err = one.Open(t.Context(), key)
		wantError(t, err, bucket.ErrInvalidKey, key)
		wantError(t, one.Delete(t.Context(), key), bucket.ErrInvalidKey, key)
	}
	for _, prefix := range []string{"/", "../", "a/../b", ".calends/", "a//", "a\\/b"} {
		_, err := list(t.Context(), one, prefix)
		wantError(t, err, bucket.ErrInvalidKey, prefix)
	}
	wantKeys(t, one, "")
}

func testKeyAndFolder(t *testing.T, one, two bucket.Bucket) {
	put(t, one, "a/b", "object")
	wantError(t, bucket.Put(t.Context(), two, "a", nil), bucket.ErrConflict, "a")
	wantError(t, bucket.Put(t.Context(), two, "a/b/c/d", nil), bucket.ErrConflict, "a/b/c/d")
	wantError(t, bucket.PutSame(t.Context(), two, "a", nil), bucket.ErrConflict, "a")
	wantKeys(t, two, "", "a/b")

	remove(t, one, "a")
	remove(t, one, "a/b/c")
	wantObject(t, one, "a/b", "object")
}

func testDelete(t *testing.T, one, two bucket.Bucket) {
	put(t, one, "a/b/c", "x")
	put(t, one, "a/d", "kept")
	object, err := one.Open(t.Context(), "a/b/c")
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	remove(t, two, "a/b/c")
	remove(t, two, "a/b/c")
	remove(t, one, "never/was")
	wantAbsent(t, one, "a/b/c")
	wantKeys(t, one, "", "a/d")

	put(t, one, "a/b", "a folder's name is free once nothing is in it")
	remove(t, one, "a/b")
	put(t, two, "a/b/c", "again")
	wantObject(t, one, "a/b/c", "again")
}

// Each round removes the folder's last object, and on disk the folder with it.
func testDeleteRace(t *testing.T, one, two bucket.Bucket) {
	const rounds = 100
	var group sync.WaitGroup
	for i, b := range []bucket.Bucket{one, two} {
		key := fmt.Sprintf("deep/folder/%d", i)
		group.Go(func() {
			for range rounds {
				if err := bucket.Put(t.Context(), b, key, []byte("x")); err != nil {
					t.Error(err)
				}
				if err := b.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	wantKeys(t, one, "")
}

func testLock(t *testing.T, one, two bucket.Bucket) {
	held := lock(t, one, "month=2026-10")
	for _, b := range []bucket.Bucket{one, two} {
		_, err := b.Lock(t.Context(), bucket.Claim{Name: "month=2026-10"})
		wantError(t, err, bucket.ErrLocked, "month=2026-10")
	}
	other := lock(t, two, "../another: name/")
	put(t, two, "a", "a lock hinders nobody from writing")
	wantKeys(t, two, "", "a")

	for range 2 {
		if err := held.Unlock(); err != nil {
			t.Errorf("Unlock: %v", err)
		}
	}
	again := lock(t, two, "month=2026-10")
	if err := held.Unlock(); err != nil {
		t.Errorf("Unlock: %v", err)
	}
	_, err := one.Lock(t.Context(), bucket.Claim{Name: "month=2026-10"})
	wantError(t, err, bucket.ErrLocked, "month=2026-10")
	if err := errors.Join(again.Unlock(), other.Unlock()); err != nil {
		t.Errorf("Unlock: %v", err)
	}
	wantKeys(t, one, "", "a")
}

func testLockNamesHolder(t *testing.T, one, two bucket.Bucket) {
	since := time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)
	held, err := one.Lock(t.Context(), bucket.Claim{Name: "write", Run: "close 2026-10", Now: func() time.Time { return since }})
	if err != nil {
		t.Fatal(err)
	}
	_, err = two.Lock(t.Context(), bucket.Claim{Name: "write", Run: "bill 2026-11"})
	wantError(t, err, bucket.ErrLocked, "write")
	if want := fmt.Sprintf("close 2026-10, process %d on ", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Lock = %v, want the holder: %s", err, want)
	}
	var locked *bucket.LockedError
	if !errors.As(err, &locked) || !locked.Holder.Since.Equal(since) {
		t.Errorf("Lock = %v, want a LockedError with the time of the claim, %s", err, since)
	}
	if err := held.Unlock(); err != nil {
		t.Errorf("Unlock: %v", err)
	}
}

func testLockLife(t *testing.T, one, two bucket.Bucket) {
	held := lock(t, one, "write")
	for range 2 {
		if err := held.Check(t.Context()); err != nil {
			t.Errorf("Check of a held lock = %v", err)
		}
	}
	if err := held.Context().Err(); err != nil {
		t.Errorf("the context of a held lock: %v", err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, held.Check(done), context.Canceled, "write")

	if err := held.Unlock(); err != nil {
		t.Errorf("Unlock: %v", err)
	}
	if held.Context().Err() == nil {
		t.Error("the context outlives the lock")
	}
	next := lock(t, two, "write")
	if err := held.Check(t.Context()); err == nil {
		t.Error("Check of an unlocked lock succeeds")
	}
	if err := next.Check(t.Context()); err != nil {
		t.Errorf("Check of the next holder = %v", err)
	}
	if err := next.Unlock(); err != nil {
		t.Errorf("Unlock: %v", err)
	}
}

func testUnlockAfterStop(t *testing.T, one, two bucket.Bucket) {
	ctx, stop := context.WithCancel(t.Context())
	held, err := one.Lock(ctx, bucket.Claim{Name: "write"})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if err := held.Context().Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("the lock's context after its parent was stopped: %v", err)
	}
	if err := held.Unlock(); err != nil {
		t.Errorf("Unlock: %v", err)
	}
	if err := lock(t, two, "write").Unlock(); err != nil {
		t.Errorf("Unlock: %v", err)
	}
}

func testOneLocker(t *testing.T, one, two bucket.Bucket) {
	const lockers, rounds = 8, 5
	var inside, entered atomic.Int32
	var group sync.WaitGroup
	for i := range lockers {
		b := []bucket.Bucket{one, two}[i%2]
		group.Go(func() {
			for range rounds {
				held, err := b.Lock(t.Context(), bucket.Claim{})
				if errors.Is(err, bucket.ErrLocked) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two hold the lock at once")
				}
				entered.Add(1)
				if err := held.Check(t.Context()); err != nil {
					t.Error(err)
				}
				inside.Add(-1)
				if err := held.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if entered.Load() == 0 {
		t.Error("nobody ever had the lock")
	}
}

func testContext(t *testing.T, one, _ bucket.Bucket) {
	put(t, one, "there", "x")
	ctx, cancel := context.WithCancel(t.Context())
	begun, err := one.Create(ctx, "begun")
	if err != nil {
		t.Fatal(err)
	}
	write(t, begun, "half")
	cancel()

	_, err = begun.Write([]byte("more"))
	wantError(t, err, context.Canceled, "begun")
	wantError(t, begun.Commit(), context.Canceled, "begun")
	_, err = one.Create(ctx, "new")
	wantError(t, err, context.Canceled, "new")
	_, err = one.Open(ctx, "there")
	wantError(t, err, context.Canceled, "there")
	_, err = list(ctx, one, "the")
	wantError(t, err, context.Canceled, "the")
	wantError(t, one.Delete(ctx, "there"), context.Canceled, "there")
	_, err = one.Lock(ctx, bucket.Claim{Name: "name"})
	wantError(t, err, context.Canceled, "name")

	wantKeys(t, one, "", "there")
	if err := lock(t, one, "name").Unlock(); err != nil {
		t.Errorf("Unlock: %v", err)
	}
}

func testPutSame(t *testing.T, one, two bucket.Bucket) {
	for _, b := range []bucket.Bucket{one, two, one} {
		if err := bucket.PutSame(t.Context(), b, "a/manifest", []byte("same")); err != nil {
			t.Errorf("PutSame: %v", err)
		}
	}
	err := bucket.PutSame(t.Context(), two, "a/manifest", []byte("other"))
	wantError(t, err, bucket.ErrConflict, "a/manifest")
	for _, data := range []string{"same", "other"} {
		if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(data))); err == nil || !strings.Contains(err.Error(), sum) {
			t.Errorf("the conflict does not name %s, the sha256 of %q: %v", sum, data, err)
		}
	}
	wantObject(t, one, "a/manifest", "same")
}

func put(t *testing.T, b bucket.Bucket, key, data string) {
	t.Helper()
	if err := bucket.Put(t.Context(), b, key, []byte(data)); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

func create(t *testing.T, b bucket.Bucket, key string) bucket.Writer {
	t.Helper()
	w, err := b.Create(t.Context(), key)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return w
}

func write(t *testing.T, w bucket.Writer, data string) {
	t.Helper()
	if n, err := w.Write([]byte(data)); n != len(data) || err != nil {
		t.Fatalf("Write of %d bytes = %d, %v", len(data), n, err)
	}
}

func commit(t *testing.T, w bucket.Writer) {
	t.Helper()
	if err := w.Commit(); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func remove(t *testing.T, b bucket.Bucket, key string) {
	t.Helper()
	if err := b.Delete(t.Context(), key); err != nil {
		t.Fatalf("Delete: %v", err)
	}
}

func lock(t *testing.T, b bucket.Bucket, name string) bucket.Lock {
	t.Helper()
	held, err := b.Lock(t.Context(), bucket.Claim{Name: name})
	if err != nil {
		t.Fatalf("Lock: %v", err)
	}
	return held
}

func list(ctx context.Context, b bucket.Bucket, prefix string) ([]string, error) {
	var keys []string
	for info, err := range b.List(ctx, prefix) {
		if err != nil {
			return keys, err
		}
		keys = append(keys, info.Key)
	}
	return keys, nil
}

func wantKeys(t *testing.T, b bucket.Bucket, prefix string, want ...string) {
	t.Helper()
	got, err := list(t.Context(), b, prefix)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("List(%q) = %q, %v; want %q", prefix, got, err, want)
	}
}

func wantObject(t *testing.T, b bucket.Bucket, key, want string) {
	t.Helper()
	got, err := bucket.ReadAll(t.Context(), b, key)
	if err != nil || string(got) != want {
		t.Errorf("ReadAll(%q) = %.100q (%d bytes), %v; want %.100q (%d bytes)", key, got, len(got), err, want, len(want))
	}
}

func wantAbsent(t *testing.T, b bucket.Bucket, key string) {
	t.Helper()
	object, err := b.Open(t.Context(), key)
	if err == nil {
		err = object.Close()
		t.Errorf("Open(%q) found an object (Close: %v)", key, err)
		return
	}
	wantError(t, err, bucket.ErrNotExist, key)
}

// wantError checks the class of an error, and that it names what it is about.
func wantError(t *testing.T, err, class error, name string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("%q: error is %v, want %v", name, err, class)
		return
	}
	if !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
		t.Errorf("error does not name %q: %v", name, err)
	}
}
