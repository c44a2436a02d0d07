package faulty

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io/fs"
	"strings"
	"syscall"
)

// Kind is a way to go wrong.
type Kind int

// The ways to go wrong.
const (
	// None: all is well.
	None Kind = iota
	// Fail: nothing is done, and the caller sees an error.
	Fail
	// FailAfter: it is done, and the caller sees an error all the same, as when a
	// reply is lost. A listing fails at its end. A lock is given back at once, since
	// the caller cannot.
	FailAfter
	// Partial: half of it is done, then comes an error. Of a write, read or listing
	// that is half of the bytes or keys; of a commit nothing becomes visible.
	Partial
	// Stall: nothing happens until the context ends.
	Stall
	// Stale: a listing shows the bucket as it was some changes ago, see [Fault].Lag.
	Stale
	// Refuse: the permission is refused.
	Refuse
	// Full: there is no space. Writes use up [Fault].Bytes first; once those are
	// gone, no write gets through any more.
	Full
	// Die: nothing is done, and nothing that comes later: the process is dead.
	Die
	// DieAfter: it is done, and nothing that comes later.
	DieAfter
	// Repeat: the object is delivered once more at the next operation, as by a
	// network that held a copy back. The store must refuse it; the event tells.
	Repeat
)

var kindNames = [...]string{"none", "failed", "failed after it was done", "half done", "stalled", "stale",
	"permission refused", "no space", "died", "died after it was done", "delivered again"}

func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return kindNames[k]
}

// Fault says what goes wrong when.
type Fault struct {
	Kind Kind
	// Op is the operation. "": any that can go wrong so; that is List for [Stale],
	// Commit for [Repeat] and Write for [Full].
	Op Op
	// Key is a part of the object's key, the listing's prefix or the lock's name.
	// "": any.
	Key string
	// At is the first of the operations that fit, counted from 1, that goes wrong.
	// 0 is 1.
	At int
	// Times is how many go wrong from At on. 0: one. Negative: all.
	Times int
	// Chance makes only so many of a thousand of them go wrong. Which ones depends on
	// Seed, the operation, the key, and how often both have come together: not on
	// what other goroutines do. 0: all.
	Chance int
	Seed   uint64
	// Lag is how many changes a stale listing is behind.
	Lag int
	// Bytes is what a full store still has room for.
	Bytes int64
}

var (
	errRefused = fmt.Errorf("%w by the store", fs.ErrPermission)
	errFull    = syscall.ENOSPC
)

// rule is a fault and what it has seen.
type rule struct {
	Fault
	matches int
	room    int64
	seen    map[string]int // how often each operation and key have come together
}

// decide returns the fault of an operation on so many bytes, and of a full store
// how many of them there is still room for. The caller has the mutex.
func (b *Bucket) decide(op Op, key string, size int) (f Fault, room int) {
	for _, r := range b.rules {
		hit, left := r.hit(op, key, size) // each counts the operation
		if hit && f.Kind == None {
			f, room = r.Fault, left
		}
	}
	return f, room
}

// hit counts the operation if it fits and reports whether it goes wrong.
func (r *rule) hit(op Op, key string, size int) (hit bool, room int) {
	if r.Op != "" && r.Op != op || r.Op == "" && !r.Kind.of(op) || !strings.Contains(key, r.Key) {
		return false, 0
	}
	r.matches++
	first := max(1, r.At)
	switch {
	case r.matches < first:
		return false, 0
	case r.Kind == Full && op == Write:
		room = int(min(r.room, int64(size)))
		r.room -= int64(room)
		return room < size, room
	case r.Times >= 0 && r.matches >= first+max(1, r.Times):
		return false, 0
	}
	return r.Chance == 0 || r.draw(op, key) < uint64(r.Chance), 0
}

// of reports whether an operation can go wrong so when none is named.
func (k Kind) of(op Op) bool {
	switch k {
	case Stale:
		return op == List
	case Repeat:
		return op == Commit
	case Full:
		return op == Write
	default:
		return true
	}
}

// draw returns a number below 1000.
func (r *rule) draw(op Op, key string) uint64 {
	which := string(op) + " " + key
	r.seen[which]++
	hash := fnv.New64a()
	hash.Write(binary.BigEndian.AppendUint64(nil, r.Seed))
	hash.Write(binary.BigEndian.AppendUint64(nil, uint64(r.seen[which])))
	hash.Write([]byte(which))
	// The last bytes of what FNV hashes hardly reach its high bits; two rounds of
	// multiplying and folding spread them over all.
	h := hash.Sum64()
	for range 2 {
		h = (h ^ h>>32) * 0x9E3779B97F4A7C15
	}
	return h >> 32 % 1000
}
