// Package bucket is the object store under everything that is kept: whole
// objects under slash-separated keys, each created once and never changed.
//
// The interface asks only for what a folder, S3 and Azure can all promise. There
// is no overwrite, no rename and no conditional update; there is create-if-absent.
// What looks like an update elsewhere is a new numbered key here, and a reader
// takes the highest. Two rules follow for whoever writes:
//
//   - Data first, manifest last: an object that no manifest names is not there.
//   - Keys are deterministic, so that a step which runs again meets its own
//     objects: write them with [PutSame] or [CreateSame], where "exists with the
//     same bytes" is success and "exists with other bytes" is [ErrConflict].
//
// An object is visible from the moment it is whole, never before. On disk it is
// written to a hidden temporary file, synced, and linked to its name; a process
// killed on the way leaves nothing that [Bucket.List] or [Bucket.Open] can see,
// and what it leaves hidden is removed by the next [Bucket.Lock].
//
// Keys are relative and slash-separated; no segment is empty, begins or ends with
// a dot, holds a backslash or a control character, or is longer than 255 bytes;
// a key is valid UTF-8 of at most 1024 bytes. Names that come from outside go
// through [Segment]. A key must not also be the folder of another key: a disk
// cannot hold both, so every implementation that can tell refuses the second one
// with [ErrConflict].
package bucket

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// The classes of failure that callers act upon, for errors.Is. The error itself
// names the operation and the key. Everything else (permissions, a full disk, a
// lost connection) arrives wrapped as it came.
var (
	// ErrNotExist: there is no object under the key.
	ErrNotExist = errors.New("no such object")
	// ErrExists: the key is taken; the object there was left untouched.
	ErrExists = errors.New("object already exists")
	// ErrConflict: what is stored contradicts what was to be stored. Running
	// again does not help; somebody has to look.
	ErrConflict = errors.New("conflict with a stored object")
	// ErrInvalidKey: the key breaks the rules of the package comment.
	ErrInvalidKey = errors.New("invalid key")
)

// A Bucket keeps objects. All methods may be called concurrently, and several
// processes may use the same storage. Once its context is done, a method returns
// the context's error. A writer or object lives at most as long as the context it
// was made with.
type Bucket interface {
	// Create begins a new object. Nothing is visible until the writer's Commit,
	// and that is also where an occupied key shows. Errors: ErrInvalidKey.
	Create(ctx context.Context, key string) (Writer, error)

	// Open opens an object for reading. Errors: ErrNotExist, ErrInvalidKey.
	Open(ctx context.Context, key string) (Object, error)

	// List yields the objects whose keys begin with prefix (any text, not only
	// whole segments), in the byte order of their keys. An object that is created
	// or deleted meanwhile may or may not be among them. An error ends the
	// sequence. Errors: ErrInvalidKey, when the folders in prefix break the rules.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]

	// Delete removes an object. Deleting what is not there succeeds, so that a
	// deletion can be repeated. Errors: ErrInvalidKey.
	Delete(ctx context.Context, key string) error

	// Lock takes the lock that the claim names. It keeps two runs from doing the same
	// work; what keeps the data right even without it is create-if-absent. A process
	// that dies loses its locks: at once where the kernel tells, else when it has been
	// silent for its TTL. Lock waits only to find out about that: as soon as a holder
	// shows a sign of life it gives up. Errors: ErrLocked.
	Lock(ctx context.Context, claim Claim) (Lock, error)
}

// A Writer takes the bytes of one new object. It ends with Commit or Abort, and
// `defer w.Abort()` right after Create is the way to use it. After a failure every
// further call returns that failure. It is not for concurrent use.
type Writer interface {
	io.Writer

	// Commit makes the object durable and visible. With ErrExists or ErrConflict
	// the key was taken and nothing changed. With any other error the object may or
	// may not be there, as when a reply is lost on its way; PutSame or CreateSame
	// with the same bytes then settle it. The writer is finished in every case.
	Commit() error

	// Abort discards everything written. After Commit or Abort it does nothing.
	Abort() error
}

// An Object is an open object. Its bytes never change. ReadAt may be called
// concurrently, Read may not; after Close neither may be called.
type Object interface {
	io.Reader
	io.ReaderAt
	io.Closer

	// Size is the number of bytes in the whole object.
	Size() int64
}

// Info is what a listing tells of an object.
type Info struct {
	Key  string
	Size int64
	// Modified is when the object came, by the clock of the store; zero where the
	// store does not tell. It differs from copy to copy, so nothing that is computed
	// may depend on it: it only keeps young leftovers from being removed.
	Modified time.Time
}
