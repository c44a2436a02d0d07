package bucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// The store's own folder inside the bucket. Its dot keeps it out of every key and
// listing. It must be on the file system of the objects, since hard links do not
// cross file systems.
const (
	ownFolder  = ".calends"
	tempFolder = "tmp"
	lockFolder = "locks"
)

// Disk is a [Bucket] in a local folder, one file an object. It wants a Unix file
// system with hard links and file locks, which the usual ones are. Objects are
// regular files; anything else in the folder, and every name that no key can have,
// is left alone and not listed. Make one with [NewDisk].
type Disk struct {
	root string // absolute
}

// NewDisk returns the bucket in the given folder, which need not exist yet. It is
// an error if the path is something other than a folder.
func NewDisk(path string) (*Disk, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// The first object or lock makes it.
	case err != nil:
		return nil, withAdvice(err)
	case !info.IsDir():
		return nil, fmt.Errorf("%s is a file; a bucket needs a folder", root)
	}
	return &Disk{root: root}, nil
}

// Create is [Bucket]'s.
func (d *Disk) Create(ctx context.Context, key string) (Writer, error) {
	if err := begin(ctx, key); err != nil {
		return nil, fmt.Errorf("create object %q: %w", key, err)
	}
	temp, err := d.createTemp()
	if err != nil {
		return nil, fmt.Errorf("create object %q: %w", key, withAdvice(err))
	}
	return &writer{ctx: ctx, key: key, sink: &diskSink{disk: d, key: key, temp: temp}}, nil
}

// Open is [Bucket]'s.
func (d *Disk) Open(ctx context.Context, key string) (Object, error) {
	if err := begin(ctx, key); err != nil {
		return nil, fmt.Errorf("open object %q: %w", key, err)
	}
	object, err := openObject(d.path(key))
	if err != nil {
		return nil, fmt.Errorf("open object %q: %w", key, err)
	}
	return object, nil
}

func openObject(path string) (Object, error) {
	// Looking first keeps a pipe or device that somebody put here from blocking.
	info, err := os.Lstat(path)
	if isAbsent(err) || err == nil && !info.Mode().IsRegular() {
		return nil, ErrNotExist
	}
	if err != nil {
		return nil, withAdvice(err)
	}
	file, err := os.Open(path)
	if isAbsent(err) {
		return nil, ErrNotExist
	}
	if err != nil {
		return nil, withAdvice(err)
	}
	// Asked again: the path may lead to another object by now.
	if info, err = file.Stat(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &diskObject{File: file, size: info.Size()}, nil
}

type diskObject struct {
	*os.File
	size int64
}

func (o *diskObject) Size() int64 { return o.size }

// Delete is [Bucket]'s. Folders that become empty go too, since they would stand
// in the way of an object of their name.
func (d *Disk) Delete(ctx context.Context, key string) error {
	if err := begin(ctx, key); err != nil {
		return fmt.Errorf("delete object %q: %w", key, err)
	}
	if err := d.remove(d.path(key)); err != nil {
		return fmt.Errorf("delete object %q: %w", key, withAdvice(err))
	}
	return nil
}

func (d *Disk) remove(path string) error {
	info, err := os.Lstat(path)
	if isAbsent(err) || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !isAbsent(err) {
		return err
	}
	folder := filepath.Dir(path)
	for folder != d.root && syscall.Rmdir(folder) == nil { // fails on the first that is not empty
		folder = filepath.Dir(folder)
	}
	err = syncFolder(folder)
	if isAbsent(err) {
		return nil // another deletion has removed the folder meanwhile, and synced that
	}
	return err
}

func (d *Disk) path(key string) string { return filepath.Join(d.root, filepath.FromSlash(key)) }

func (d *Disk) ownPath(name string) string { return filepath.Join(d.root, ownFolder, name) }

// makeFolders creates a folder and its parents, each of them durable. A file in
// the way is ENOTDIR.
func makeFolders(path string) error {
	err := os.Mkdir(path, 0o777) // the umask decides who may read
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeFolders(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Mkdir(path, 0o777)
	}
	if errors.Is(err, fs.ErrExist) {
		return requireFolder(path)
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func requireFolder(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	}
	return err
}

// syncFolder makes the names in a folder survive a power cut.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// isAbsent says that a path leads to nothing, be it that a folder on the way is
// missing or that a file stands in its place.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// withAdvice adds to an error of the file system what the operator can do. The
// error itself names the path.
func withAdvice(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w (make room on that file system, then run again; nothing half-written is visible)", err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w (the file system is mounted read-only; mount it writable or choose another bucket)", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w (let the user who runs this read and write there, or choose another bucket)", err)
	}
	return err
}
