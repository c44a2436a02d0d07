package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Lock is [Bucket]'s. The lock is the kernel's lock on a file, so it ends with the
// process however that ends, and a holder that is merely stopped keeps it: nobody
// takes over, and a claim never waits. The file itself stays, empty. Lock also
// removes what killed processes have left.
//
// In a network folder it holds between machines if the file system passes flock on
// to the server, as NFS and SMB do on Linux unless they are mounted with local locks.
func (d *Disk) Lock(ctx context.Context, claim Claim) (Lock, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("lock %q: %w", claim.Name, ctx.Err())
	}
	file, err := d.lockFile(claim.withDefaults())
	if errors.Is(err, ErrLocked) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("lock %q: %w", claim.Name, withAdvice(err))
	}
	d.cleanTemp()
	check := func() error { return checkLockFile(claim.Name, file) }
	return newHeld(ctx, claim.Name, check, func() error {
		// A holder that is gone must not be named by the next one's failure. And closing
		// alone would not do: a process that is just being started from this one has the
		// file open too, until it has become another program.
		if err := errors.Join(file.Truncate(0), flock(file, syscall.LOCK_UN), file.Close()); err != nil {
			return fmt.Errorf("unlock %q: %w", claim.Name, err)
		}
		return nil
	}), nil
}

// lockFile opens and locks the file of a lock, and notes the holder in it.
func (d *Disk) lockFile(claim Claim) (*os.File, error) {
	folder := d.ownPath(lockFolder)
	if err := makeFolders(folder); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(folder, Segment(claim.Name)), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	err = flock(file, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = &LockedError{Name: claim.Name, Holder: readHolder(file)}
	} else if err == nil {
		err = noteHolder(file, thisProcess(claim))
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// checkLockFile finds out whether the locked file is still the one that others
// would lock: somebody may have removed it or the whole folder by hand.
func checkLockFile(name string, file *os.File) error {
	ours, err := file.Stat()
	if err != nil {
		return fmt.Errorf("check lock %q: %w", name, err)
	}
	there, err := os.Stat(file.Name())
	if isAbsent(err) || err == nil && !os.SameFile(ours, there) {
		return &LostError{Name: name}
	}
	if err != nil {
		return fmt.Errorf("check lock %q: %w", name, withAdvice(err))
	}
	return nil
}

// noteHolder writes who holds the lock. It is for people; what decides is the lock.
func noteHolder(file *os.File, holder Holder) error {
	note, err := json.Marshal(holder)
	if err != nil {
		return err
	}
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err = file.WriteAt(append(note, '\n'), 0)
	return err
}

// readHolder reads who holds a lock that is held. In the moment after the lock was
// taken the file still names nobody, or a holder before that was killed; so one
// that is gone is not believed, and asked for again.
func readHolder(file *os.File) (holder Holder) {
	const attempts, pause = 10, 5 * time.Millisecond
	for range attempts {
		note, err := io.ReadAll(io.NewSectionReader(file, 0, 4096))
		var found Holder
		if err == nil && json.Unmarshal(note, &found) == nil && !found.gone() {
			return found
		}
		time.Sleep(pause)
	}
	return Holder{}
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
