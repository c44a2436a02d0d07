package bucket

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// diskSink writes one object to a hidden file and publishes it with a hard link,
// which unlike a rename fails when the name is taken.
type diskSink struct {
	disk *Disk
	key  string
	temp *os.File
}

func (s *diskSink) write(p []byte) (int, error) {
	n, err := s.temp.Write(p)
	return n, withAdvice(err)
}

func (s *diskSink) publish() error {
	// What is left of the temporary file after a success is only a second name for
	// the object; if removing that goes wrong, the next lock's cleaning does it.
	defer func() { _ = s.discard() }()
	if err := s.temp.Sync(); err != nil {
		return withAdvice(err)
	}
	linkErr := s.link()
	if linkErr != nil && !errors.Is(linkErr, ErrExists) {
		return linkErr
	}
	// Also when the object exists: whoever wrote it may have died before this point,
	// and the caller will rely on it.
	if err := s.disk.syncUpwards(filepath.Dir(s.disk.path(s.key))); err != nil {
		return withAdvice(err)
	}
	return linkErr
}

// linkAttempts bounds how often link meets a deletion that removes the emptied
// folder under its feet. Twice in a row is already hard to provoke.
const linkAttempts = 100

func (s *diskSink) link() error {
	path := s.disk.path(s.key)
	var err error
	for range linkAttempts {
		if err = makeFolders(filepath.Dir(path)); err == nil {
			err = os.Link(s.temp.Name(), path)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return s.taken(path)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: a folder on the way is an object: %w", ErrConflict, err)
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.EXDEV):
		return fmt.Errorf("%w (a bucket needs one file system with hard links; choose a folder on such a one)", err)
	}
	return withAdvice(err)
}

// taken tells what already has the object's name.
func (s *diskSink) taken(path string) error {
	there, err := os.Lstat(path)
	if err != nil {
		return withAdvice(err)
	}
	if there.IsDir() {
		return folderConflict(s.key)
	}
	// A network file system may repeat a link whose reply was lost, and then answers
	// that the name exists: our own.
	if ours, err := s.temp.Stat(); err == nil && os.SameFile(ours, there) {
		return nil
	}
	return ErrExists
}

func (s *diskSink) discard() error {
	// Removed before closed: closing gives up the lock that protects it.
	return errors.Join(ignoreAbsent(os.Remove(s.temp.Name())), s.temp.Close())
}

// syncUpwards makes the way to a folder durable. All of it, not only the folders
// that this process made: another may have made one and not come to syncing it.
func (d *Disk) syncUpwards(folder string) error {
	for {
		// A folder is gone when the object was deleted at once.
		if err := syncFolder(folder); err != nil && !isAbsent(err) {
			return err
		}
		if folder == d.root {
			return nil
		}
		folder = filepath.Dir(folder)
	}
}

// createTemp returns a new hidden file. Its lock, which ends with the process,
// tells cleanTemp that somebody is still writing.
func (d *Disk) createTemp() (*os.File, error) {
	folder := d.ownPath(tempFolder)
	if err := makeFolders(folder); err != nil {
		return nil, err
	}
	for {
		file, err := os.OpenFile(filepath.Join(folder, rand.Text()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return nil, err
		}
		kept, err := lockNew(file)
		if err != nil {
			return nil, errors.Join(err, os.Remove(file.Name()), file.Close())
		}
		if kept {
			return file, nil
		}
		if err := file.Close(); err != nil {
			return nil, err
		}
	}
}

// lockNew locks a file just created, and reports whether it is still there: in
// the moment before the lock, cleanTemp may have taken it for an orphan.
func lockNew(file *os.File) (kept bool, err error) {
	if err := flock(file, syscall.LOCK_EX); err != nil {
		return false, err
	}
	info, err := os.Lstat(file.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Mode().IsRegular(), err
}

// cleanTemp removes the hidden files of processes that died. It is a courtesy to
// the disk: what it cannot remove does no harm, and the next time it tries again.
func (d *Disk) cleanTemp() {
	entries, err := os.ReadDir(d.ownPath(tempFolder))
	if err != nil {
		return
	}
	for _, entry := range entries {
		removeOrphan(filepath.Join(d.ownPath(tempFolder), entry.Name()))
	}
}

func removeOrphan(path string) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer file.Close()
	if flock(file, syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return // its writer lives
	}
	_ = os.Remove(path)
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
