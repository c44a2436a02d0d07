package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Lock is [Bucket]'s. The lock is the kernel's lock on a file, so it ends with the
// process however that ends; the file itself stays. It also removes what killed
// processes have left.
func (d *Disk) Lock(ctx context.Context, name string) (unlock func() error, err error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("lock %q: %w", name, ctx.Err())
	}
	file, err := d.lockFile(name)
	if err != nil {
		return nil, fmt.Errorf("lock %q: %w", name, withAdvice(err))
	}
	d.cleanTemp()
	return sync.OnceValue(func() error {
		// A holder that is gone must not be named by the next one's failure.
		if err := errors.Join(file.Truncate(0), file.Close()); err != nil {
			return fmt.Errorf("unlock %q: %w", name, err)
		}
		return nil
	}), nil
}

// lockFile opens and locks the file of a lock, and notes the holder in it.
func (d *Disk) lockFile(name string) (*os.File, error) {
	folder := d.ownPath(lockFolder)
	if err := makeFolders(folder); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(folder, Segment(name)), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	err = flock(file, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = lockedBy(file)
	} else if err == nil {
		err = noteHolder(file)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// noteHolder writes for people who holds the lock. Nothing else reads it.
func noteHolder(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed host"
	}
	_, err = fmt.Fprintf(file, "process %d on %s", os.Getpid(), host)
	return err
}

func lockedBy(file *os.File) error {
	note, err := io.ReadAll(io.LimitReader(file, 200))
	if err != nil || len(note) == 0 {
		return ErrLocked
	}
	return fmt.Errorf("%w: %s", ErrLocked, strings.TrimSpace(string(note)))
}

// flock calls flock(2), again when a signal interrupts it.
func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("flock "+file.Name(), err)
		}
	}
}
