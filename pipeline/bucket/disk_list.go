package bucket

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
)

// List is [Bucket]'s. It reads one folder at a time.
func (d *Disk) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		err := checkPrefix(prefix)
		if err == nil {
			l := lister{ctx: ctx, disk: d, prefix: prefix, yield: yield}
			_, err = l.folder(startFolder(prefix))
		}
		if err != nil {
			yield(Info{}, fmt.Errorf("list objects under %q: %w", prefix, err))
		}
	}
}

// startFolder returns the folder part of a prefix with its slash, or nothing.
func startFolder(prefix string) string { return prefix[:strings.LastIndexByte(prefix, '/')+1] }

type lister struct {
	ctx    context.Context
	disk   *Disk
	prefix string
	yield  func(Info, error) bool
}

// folder yields what is under a folder, given with its slash. It reports whether
// the consumer wants more.
func (l *lister) folder(folder string) (more bool, err error) {
	if l.ctx.Err() != nil {
		return false, l.ctx.Err()
	}
	entries, err := os.ReadDir(l.disk.path(folder))
	if isAbsent(err) {
		return true, nil // nothing there, or deleted since
	}
	if err != nil {
		return false, withAdvice(err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(sortName(a), sortName(b)) })
	for _, entry := range entries {
		if more, err := l.entry(folder, entry); !more || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (l *lister) entry(folder string, entry fs.DirEntry) (more bool, err error) {
	key := folder + entry.Name()
	switch {
	case checkSegment(entry.Name()) != nil:
		return true, nil
	case entry.IsDir():
		if !overlap(key+"/", l.prefix) {
			return true, nil
		}
		return l.folder(key + "/")
	case !entry.Type().IsRegular() || !strings.HasPrefix(key, l.prefix):
		return true, nil
	}
	info, err := entry.Info()
	if isAbsent(err) {
		return true, nil
	}
	if err != nil {
		return false, withAdvice(err)
	}
	if l.ctx.Err() != nil {
		return false, l.ctx.Err()
	}
	return l.yield(Info{Key: key, Size: info.Size(), Modified: info.ModTime()}, nil), nil
}

// sortName puts entries into the order of the keys under them: in "a-1" and "a/b",
// the dash sorts before the slash, though the folder's name "a" sorts before "a-1".
func sortName(entry fs.DirEntry) string {
	if entry.IsDir() {
		return entry.Name() + "/"
	}
	return entry.Name()
}

// overlap says whether one of the two begins with the other.
func overlap(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }
