package inbox

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/bucket"
)

// keep puts the file where it goes and its report beside it.
func (r *run) keep(ctx context.Context, item Item, file *spooled, report Report, files []jobs.FileResult) error {
	report.Dropped, report.SHA256, report.Size = item.Key, file.sha256, file.size
	filed := report.To
	return name(folderOf(report.Status), r.plan.Day, item.rel, file.sha256, func(key string) (bool, error) {
		report.To = cmp.Or(filed, key)
		free, err := r.room(ctx, key, report)
		if err != nil || !free {
			return false, err
		}
		if filed == "" {
			err = r.copy(ctx, key, file)
		}
		if err == nil {
			err = r.write(ctx, key, report)
		}
		if err == nil {
			r.fates[item.Key] = Fate{Key: item.Key, Status: report.Status, Reason: report.Reason, To: report.To, Report: key + reportSuffix,
				RefusedRecords: report.Refused, Files: brief(files)}
		}
		return true, err
	})
}

// brief are results with the first refused records; the report has all.
func brief(files []jobs.FileResult) []jobs.FileResult {
	files = slices.Clone(files)
	for i, f := range files {
		files[i].Errors = f.Errors[:min(len(f.Errors), 50)]
	}
	return files
}

// room reports whether the name is free, or is that of this file already.
func (r *run) room(ctx context.Context, name string, report Report) (bool, error) {
	if report.To == name {
		there, err := r.sha256(ctx, name)
		if err != nil || there != "" && there != report.SHA256 {
			return false, err
		}
	}
	old, err := r.report(ctx, name)
	return err == nil && (old == nil || old.tells(report)), err
}

// report reads the one that is there, nil if there is none.
func (r *run) report(ctx context.Context, name string) (*Report, error) {
	data, err := bucket.ReadAll(ctx, r.env.Bucket, name+reportSuffix)
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var old Report
	if err := json.Unmarshal(data, &old); err != nil {
		return &Report{}, nil // somebody else's, or edited: it tells nothing
	}
	return &old, nil
}

// write writes the report, unless one is there that says it all.
func (r *run) write(ctx context.Context, name string, report Report) error {
	if old, err := r.report(ctx, name); err != nil || old != nil {
		return err
	}
	data, err := report.encode()
	if err != nil {
		return err
	}
	return bucket.PutSame(ctx, r.env.Bucket, name+reportSuffix, data)
}

// copy makes the object of a file.
func (r *run) copy(ctx context.Context, key string, file *spooled) error {
	w, err := bucket.CreateSame(ctx, r.env.Bucket, key)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.Copy(w, io.NewSectionReader(file.File, 0, file.size)); err != nil {
		return err
	}
	if w.SHA256() != file.sha256 {
		return fmt.Errorf("copy %s: the temporary file has changed", key)
	}
	return w.Commit()
}

// sha256 is that of an object, "" if there is none.
func (r *run) sha256(ctx context.Context, key string) (string, error) {
	object, err := r.env.Bucket.Open(ctx, key)
	if errors.Is(err, bucket.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer object.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, object); err != nil {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// remove ends the move. Whoever has put another content under the key meanwhile has
// it taken next time.
func (r *run) remove(ctx context.Context, item Item, file *spooled) error {
	there, err := r.sha256(ctx, item.Key)
	if err != nil {
		return err
	}
	if there != file.sha256 {
		fate := r.fates[item.Key]
		fate.Reason = "was replaced meanwhile: the new one is taken next time"
		r.fates[item.Key] = fate
		return nil
	}
	if r.fates[item.Key].To == item.Key {
		return nil // it is held again
	}
	if err := r.env.MayWrite(ctx); err != nil {
		return err
	}
	if item.Key != folder+item.rel { // it was held: its report goes first, so that none stands alone
		if err := r.env.Bucket.Delete(ctx, item.Key+reportSuffix); err != nil {
			return err
		}
	}
	return r.env.Bucket.Delete(ctx, item.Key)
}
