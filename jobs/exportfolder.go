package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
)

// folder is a plain folder that people and other programs read.
type folder string

// put writes a file below the folder unless it is there with the same bytes. The
// content goes into a hidden file beside it first and takes its place only when
// it is whole and has the wanted hash; "" wants none.
func (f folder) put(_ context.Context, path string, content io.Reader, wanted string) (ExportedFile, error) {
	local := filepath.FromSlash(path)
	if !filepath.IsLocal(local) {
		return ExportedFile{}, errors.New("the path leads out of the folder")
	}
	name := filepath.Join(string(f), local)
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return ExportedFile{}, err
	}
	part, err := createPart(filepath.Dir(name))
	if err != nil {
		return ExportedFile{}, err
	}
	defer part.Close() // only when it has its place: until then it is locked
	file, err := fill(part, content)
	if err == nil && wanted != "" {
		err = sameHash(wanted, file.SHA256)
	}
	if err != nil {
		return ExportedFile{}, errors.Join(err, os.Remove(part.Name()))
	}
	file.Path = path
	switch there, err := hashFile(name); {
	case err == nil && there == file.SHA256:
		return file, os.Remove(part.Name())
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return ExportedFile{}, errors.Join(err, os.Remove(part.Name()))
	}
	file.Written = true
	if err := os.Rename(part.Name(), name); err != nil {
		return ExportedFile{}, errors.Join(err, os.Remove(part.Name()))
	}
	return file, syncFolder(filepath.Dir(name))
}

// sameHash refuses a file of the bucket that is not what its manifest says.
func sameHash(wanted, got string) error {
	if wanted == got {
		return nil
	}
	return fmt.Errorf("%w: the manifest says sha256 %s, the content has %s; find out more with: calends verify", bucket.ErrConflict, wanted, got)
}

// fill writes the content and makes it durable.
func fill(part *os.File, content io.Reader) (ExportedFile, error) {
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(part, hash), content)
	if err == nil {
		err = part.Chmod(0o644)
	}
	if err == nil {
		err = part.Sync()
	}
	return ExportedFile{Size: size, SHA256: hex.EncodeToString(hash.Sum(nil))}, err
}

func hashFile(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// syncFolder makes a rename durable.
func syncFolder(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// others is [exportTarget]'s.
func (f folder) others(_ context.Context, ours map[string]bool) ([]string, error) {
	var others []string
	err := filepath.WalkDir(string(f), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, err := filepath.Rel(string(f), name)
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		switch {
		case d.IsDir() && path != "." && !strings.HasPrefix(path, "partner="):
			return fs.SkipDir
		case !d.IsDir() && !ours[path] && exportName(path):
			others = append(others, path)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // an export without a single file made no folder
	}
	return others, err
}

// exportName reports whether an export could have written the path.
func exportName(path string) bool {
	partner, name, below := strings.Cut(path, "/")
	if !below {
		return path == exceptionsName || path == lateName || path == ledger.ManifestName
	}
	for _, file := range formatFiles {
		if name == file && strings.HasPrefix(partner, "partner=") {
			return true
		}
	}
	return false
}
