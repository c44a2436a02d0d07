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

// Keeper is a [Bucket] whose writers leave something hidden behind when their
// process dies. No listing shows it and no reader sees it.
type Keeper interface {
	// Abandoned lists what dead writers have left, by names that are no keys. The
	// next [Bucket.Lock] removes it.
	Abandoned(ctx context.Context) ([]Info, error)
}

// Abandoned is [Keeper]'s: the hidden files whose writer does not live any more.
func (d *Disk) Abandoned(ctx context.Context) ([]Info, error) {
	entries, err := os.ReadDir(d.ownPath(tempFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list temporary files: %w", withAdvice(err))
	}
	var left []Info
	for _, entry := range entries {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("list temporary files: %w", ctx.Err())
		}
		if info, ok := abandoned(filepath.Join(d.ownPath(tempFolder), entry.Name())); ok {
			left = append(left, Info{Key: ownFolder + "/" + tempFolder + "/" + entry.Name(), Size: info.Size(), Modified: info.ModTime()})
		}
	}
	return left, nil
}

// abandoned looks at one hidden file without disturbing its writer, who locks it
// exclusively. A file that is gone meanwhile was finished.
func abandoned(path string) (fs.FileInfo, bool) {
	file, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	defer file.Close()
	if flock(file, syscall.LOCK_SH|syscall.LOCK_NB) != nil {
		return nil, false
	}
	info, err := file.Stat()
	return info, err == nil
}
