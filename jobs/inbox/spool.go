package inbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/bucket"
)

// spooled is the content of an object as it was read, in a temporary file that has no
// name any more.
type spooled struct {
	*os.File
	size   int64
	sha256 string
}

// What happens to objects that others write too.
var (
	errGone    = errors.New("is gone: somebody else has taken it")
	errChanged = errors.New("has changed since it was looked at: it is taken next time")
)

// spool reads an object that has not changed since the plan was made. One that has,
// and one that nobody may read, is left for the next run.
func (r *run) spool(ctx context.Context, item Item) (*spooled, error) {
	file, err := os.CreateTemp("", "calends-inbox-*")
	if err != nil {
		return nil, err
	}
	s := &spooled{File: file}
	if err = os.Remove(file.Name()); err == nil {
		err = r.read(ctx, item, s)
	}
	if err == nil {
		return s, nil
	}
	left := Fate{Key: item.Key, Status: Left, Reason: err.Error()}
	if errors.Is(err, fs.ErrPermission) {
		left.Status = Stuck
	}
	if left.Status == Stuck || errors.Is(err, errGone) || errors.Is(err, errChanged) {
		r.fates[item.Key] = left
		err = jobs.ErrLeave
	}
	return nil, errors.Join(err, file.Close())
}

func (r *run) read(ctx context.Context, item Item, to *spooled) error {
	object, err := r.env.Bucket.Open(ctx, item.Key)
	if errors.Is(err, bucket.ErrNotExist) {
		return errGone
	}
	if err != nil {
		return err
	}
	defer object.Close()
	hash := sha256.New()
	if to.size, err = io.Copy(io.MultiWriter(to.File, hash), object); err != nil {
		return err
	}
	to.sha256 = hex.EncodeToString(hash.Sum(nil))
	now, err := r.first(ctx, item.Key)
	if err != nil {
		return err
	}
	if now.Key != item.Key || now.Size != item.seen.Size || !now.Modified.Equal(item.seen.Modified) || to.size != now.Size {
		return errChanged
	}
	return nil
}

// first is the first object with the prefix; the zero Info: there is none.
func (r *run) first(ctx context.Context, prefix string) (bucket.Info, error) {
	for info, err := range r.env.Bucket.List(ctx, prefix) {
		if err != nil || strings.HasPrefix(info.Key, prefix) { // always, so this is the first
			return info, err
		}
	}
	return bucket.Info{}, nil
}
