package jobs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// partPrefix begins the names of the hidden files that content goes into before it
// takes its place; digits follow.
const partPrefix = ".calends-"

// createPart returns a new hidden file in the folder, for content on its way. It
// removes those of runs that died: a part is locked as long as its writer lives.
func createPart(dir string) (*os.File, error) {
	removeDeadParts(dir)
	for {
		part, err := os.CreateTemp(dir, partPrefix+"*")
		if err != nil {
			return nil, err
		}
		if err := flock(part, syscall.LOCK_EX); err != nil {
			return nil, errors.Join(err, os.Remove(part.Name()), part.Close())
		}
		// Before it was locked another run may have taken it for a dead one's.
		_, err = os.Lstat(part.Name())
		if err == nil {
			return part, nil
		}
		err = errors.Join(err, part.Close())
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

// removeDeadParts is a courtesy: what it cannot remove does no harm.
func removeDeadParts(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		digits, ours := strings.CutPrefix(entry.Name(), partPrefix)
		if ours && digits != "" && strings.Trim(digits, "0123456789") == "" && entry.Type().IsRegular() {
			removeDeadPart(filepath.Join(dir, entry.Name()))
		}
	}
}

func removeDeadPart(name string) {
	part, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer part.Close()
	if flock(part, syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		_ = os.Remove(name)
	}
}

// flock calls flock(2), again when a signal interrupts it. The lock ends when the
// file is closed, by the end of the process at the latest.
func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("flock "+file.Name(), err)
		}
	}
}
