package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/calends/calends/pipeline/bucket"
)

// exportStore is a place below a prefix of an object store that people and other
// programs read. A bucket can only create; so what is there stays.
type exportStore struct{ bucket bucket.Bucket }

// put is [exportTarget]'s.
func (s exportStore) put(ctx context.Context, path string, content io.Reader, wanted string) (ExportedFile, error) {
	w, err := bucket.CreateSame(ctx, s.bucket, path)
	if err != nil {
		return ExportedFile{}, err
	}
	defer w.Abort()
	if _, err := io.Copy(w, content); err != nil {
		return ExportedFile{}, err
	}
	file := ExportedFile{Path: path, Size: w.Size(), SHA256: w.SHA256()}
	if wanted != "" {
		if err := sameHash(wanted, file.SHA256); err != nil {
			return ExportedFile{}, err
		}
	}
	there, err := s.hash(ctx, path)
	switch {
	case errors.Is(err, bucket.ErrNotExist):
		file.Written = true
		return file, w.Commit()
	case err != nil:
		return ExportedFile{}, err
	case there != file.SHA256:
		return ExportedFile{}, fmt.Errorf("%w: it is there with sha256 %s, the export has %s; "+
			"nothing is replaced in a store, so export to another prefix, or remove it there first", bucket.ErrConflict, there, file.SHA256)
	}
	return file, nil
}

func (s exportStore) hash(ctx context.Context, path string) (string, error) {
	object, err := s.bucket.Open(ctx, path)
	if err != nil {
		return "", err
	}
	defer object.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, object); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// others is [exportTarget]'s.
func (s exportStore) others(ctx context.Context, ours map[string]bool) ([]string, error) {
	var others []string
	for info, err := range s.bucket.List(ctx, "") {
		if err != nil {
			return nil, err
		}
		if !ours[info.Key] && exportName(info.Key) {
			others = append(others, info.Key)
		}
	}
	return others, nil
}
